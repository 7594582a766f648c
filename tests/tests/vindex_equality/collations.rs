//! Texts that the server takes for equal under an allowed collation have one keyspace id: every character alone, pairs of
//! characters, and strings made to be equal in ways that no table of characters shows. Never tests values that are no text.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{ColumnType, KeyspaceId, Table};
use podway_router::{KeyValue, Pinned, PredicateId, TextCharset, keyspace_id_for_predicate};

use super::server::{Random, connect, sharded_by};
use super::tables::connect_with_characters;

/// Each allowed collation; and whether ids must tell apart whatever it tells apart, but for trailing blanks.
const COLLATIONS: [(&str, bool); 17] = [
    ("utf8mb4_0900_ai_ci", true),
    ("utf8mb4_0900_as_ci", false),
    ("utf8mb4_0900_as_cs", false),
    ("utf8mb4_0900_bin", true),
    ("utf8mb4_unicode_ci", true),
    ("utf8mb4_unicode_520_ci", true),
    ("utf8mb4_general_ci", true),
    ("utf8mb4_bin", true),
    ("utf8mb3_general_ci", true),
    ("utf8mb3_unicode_ci", true),
    ("utf8mb3_bin", true),
    ("latin1_swedish_ci", true),
    ("latin1_general_ci", true),
    ("latin1_general_cs", true),
    ("latin1_bin", true),
    ("ascii_general_ci", true),
    ("ascii_bin", true),
];

/// Spellings of one text each, in the eyes of some collation: composed and decomposed, one letter and two, marks in either order.
const SPELLINGS: [&[&str]; 34] = [
    &["a", "A", "ａ", "ⓐ", "ª", "a\u{200d}", "\u{200c}a", "a\0"],
    &["é", "e\u{301}", "É", "e"],
    &["ß", "ss", "ẞ", "SS", "s"],
    &["æ", "ae", "Æ"],
    &["ﬁ", "fi", "ﬀi"],
    &["ậ", "a\u{323}\u{302}", "a\u{302}\u{323}", "â\u{323}", "ạ\u{302}"],
    &["Å", "Å", "A\u{30a}", "å"],
    &["Ω", "Ω", "ω"],
    &["K", "K", "k"],
    &["й", "и\u{306}", "и", "Й"],
    &["ё", "е\u{308}", "е"],
    &["ccs", "cscs", "CCS"],
    &["dzs", "dz\u{200d}s", "ǆs", "ǅs"],
    &["ll", "l·l", "ŀl"],
    &["เก", "กเ", "แก", "กแ"],
    &["ເກ", "ກເ", "ໜ", "ຫນ"],
    &["\u{f71}\u{f72}", "\u{f73}", "\u{f72}\u{f71}"],
    &["\u{fb2}\u{f80}", "\u{f76}", "\u{f77}"],
    &["\u{958}", "\u{915}\u{93c}", "\u{915}"],
    &["\u{9cb}", "\u{9c7}\u{9be}"],
    &["\u{b4b}", "\u{b47}\u{b3e}"],
    &["\u{bcb}", "\u{bc7}\u{bbe}"],
    &["\u{ccb}", "\u{cc6}\u{cc2}\u{cd5}", "\u{cca}\u{cd5}"],
    &["\u{d4b}", "\u{d47}\u{d3e}"],
    &["\u{dda}", "\u{dd9}\u{dca}", "\u{ddd}", "\u{dd9}\u{dcf}\u{dca}"],
    &["가", "\u{1100}\u{1161}", "ㄱㅏ"],
    &["각", "가\u{11a8}", "\u{1100}\u{1161}\u{11a8}"],
    &["آ", "ا\u{653}", "ا"],
    &["שׁ", "ש\u{5c1}", "ש"],
    &["が", "か\u{3099}", "ガ", "ｶﾞ", "か"],
    &["㍿", "株式会社"],
    &["豈", "豈", "中", "丰"],
    &["𝐚", "𝒂", "😀", "😁", "\u{1d15e}", "\u{1d157}\u{1d165}"],
    &[" ", "\u{a0}", "\u{3000}", "\t", "\u{1}", "\u{200b}", "\u{feff}", "\u{ad}", ""],
];

/// Strings for each collation.
const STRINGS: usize = 1500;
/// Spellings joined to a string, at most.
const STRING_PARTS: u64 = 4;

fn id(table: &Table, bytes: &[u8], charset: TextCharset) -> Option<KeyspaceId> {
    match keyspace_id_for_predicate(
        table,
        [Pinned { value: KeyValue::text(bytes, charset), null_safe: false }],
    ) {
        PredicateId::Id(id) => Some(id),
        _ => None,
    }
}

fn charset_of(collation: &str) -> &str {
    collation.split('_').next().unwrap_or_default()
}

async fn check_characters(conn: &mut Conn, collation: &str, exact: bool) -> Result<()> {
    let charset = charset_of(collation);
    let query = format!(
        "SELECT code, c, WEIGHT_STRING(CONVERT(c USING {charset}) COLLATE {collation}),
                CONVERT(c USING {charset}) COLLATE {collation} = CONVERT('' USING {charset})
         FROM characters WHERE CONVERT(CONVERT(c USING {charset}) USING utf8mb4) = c"
    );
    let rows: Vec<(u32, Vec<u8>, Vec<u8>, bool)> = conn.query(query).await?;
    let table = sharded_by(ColumnType::Varchar(1), Some(collation));
    let empty = id(&table, b"", TextCharset::Utf8mb4);
    let (mut ids, mut distinct) = (HashMap::new(), HashSet::new());
    for (code, bytes, weights, is_empty) in rows {
        let own = id(&table, &bytes, TextCharset::Utf8mb4);
        assert!(own.is_some(), "U+{code:04X} under {collation} has no id");
        assert!(!is_empty || own == empty, "U+{code:04X} under {collation} is equal to nothing at all");
        let (first, first_code) = *ids.entry(weights).or_insert((own, code));
        assert_eq!(own, first, "U+{code:04X} under {collation} is equal to U+{first_code:04X}");
        distinct.insert(own);
    }
    let blanks = 2;
    let told_apart = distinct.len() + blanks >= ids.len();
    assert!(!exact || told_apart, "{collation}: {} ids, {} classes", distinct.len(), ids.len());
    Ok(())
}

/// Every character of the planes that have letters, and some of the others, whose characters are all alike.
const CHARACTERS: &str = "code < 0x30000 OR code % 61 = 0";

async fn check_all_characters(database: &str, which: &str, of: impl Fn(&str) -> bool) -> Result<()> {
    let mut conn = connect_with_characters(database, which).await?;
    for (collation, exact) in COLLATIONS.into_iter().filter(|(collation, _)| of(collation)) {
        check_characters(&mut conn, collation, exact).await?;
    }
    Ok(())
}

#[tokio::test]
async fn characters_that_the_server_takes_for_equal_have_one_id_under_uca_900() -> Result<()> {
    check_all_characters("characters_900", CHARACTERS, |collation| collation.contains("_0900_")).await
}

#[tokio::test]
async fn characters_that_the_server_takes_for_equal_have_one_id_under_all_other_collations() -> Result<()> {
    check_all_characters("characters", CHARACTERS, |collation| !collation.contains("_0900_")).await
}

#[tokio::test]
#[ignore = "a minute: the planes without letters as well"]
async fn all_characters_that_the_server_takes_for_equal_have_one_id() -> Result<()> {
    check_all_characters("all_characters", "TRUE", |_| true).await
}

/// One of the ways of writing a text, chosen part by part.
fn spelling(parts: &[usize], random: &mut Random) -> String {
    let mut text = String::new();
    for &part in parts {
        let ways = SPELLINGS[part];
        text.push_str(ways[random.below(ways.len() as u64) as usize]);
        if random.below(12) == 0 {
            text.push(['\u{200d}', '\u{301}', ' ', '\u{0}', '\u{323}'][random.below(5) as usize]);
        }
    }
    (0..random.below(3)).for_each(|_| text.push(' '));
    text
}

async fn check_strings(conn: &mut Conn, collation: &str, column: &str, random: &mut Random) -> Result<usize> {
    let charset = charset_of(collation);
    conn.query_drop("DROP TABLE IF EXISTS s").await?;
    conn.query_drop(format!("CREATE TABLE s (id INT PRIMARY KEY, k {column} COLLATE {collation}, KEY (k))"))
        .await?;
    let mut strings: Vec<String> =
        SPELLINGS.iter().flat_map(|ways| ways.iter().map(ToString::to_string)).collect();
    while strings.len() < STRINGS {
        let parts: Vec<usize> =
            (0..=random.below(STRING_PARTS)).map(|_| random.below(SPELLINGS.len() as u64) as usize).collect();
        (0..3).for_each(|_| strings.push(spelling(&parts, random)));
    }
    let mut insert = String::from("INSERT INTO s VALUES ");
    for (index, text) in strings.iter().enumerate() {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        insert += &format!(
            "{}({index}, CONVERT(_utf8mb4 x'{hex}' USING {charset}))",
            if index > 0 { "," } else { "" }
        );
    }
    conn.query_drop(insert).await?;
    let bytes: HashMap<u32, Vec<u8>> =
        conn.query("SELECT id, CAST(k AS BINARY) FROM s").await?.into_iter().collect();
    let table = sharded_by(ColumnType::Varchar(100), Some(collation));
    let id_of = |row: u32| id(&table, &bytes[&row], TextCharset::from_name(charset));
    let equal: Vec<(u32, u32)> = conn
        .query("SELECT a.id, MIN(b.id) FROM s a JOIN s b ON b.k = a.k GROUP BY a.id HAVING a.id > MIN(b.id)")
        .await?;
    for &(row, other) in &equal {
        let (left, right) = (&bytes[&row], &bytes[&other]);
        assert!(id_of(row).is_some(), "{left:02x?} under {collation} has no id");
        assert_eq!(id_of(row), id_of(other), "{left:02x?} and {right:02x?} are equal under {collation}");
    }
    // A literal is compared as a stored value is.
    for (row, text) in strings.iter().enumerate().step_by(25) {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let query = format!("SELECT id FROM s WHERE k = _utf8mb4 x'{hex}'");
        let Ok(found) = conn.query::<u32, _>(query).await else { continue };
        let Some(own) = id(&table, text.as_bytes(), TextCharset::Utf8mb4) else { continue };
        for other in found {
            assert_eq!(
                Some(own),
                id_of(other),
                "{text:?} ({row}) finds {:02x?} under {collation}",
                bytes[&other]
            );
        }
    }
    Ok(equal.len())
}

#[tokio::test]
async fn strings_that_the_server_takes_for_equal_have_one_id() -> Result<()> {
    let mut conn = connect("strings").await?;
    let mut random = Random::from_environment();
    for (collation, _) in COLLATIONS {
        for column in ["VARCHAR(100)", "CHAR(100)"] {
            let equal = check_strings(&mut conn, collation, column, &mut random).await?;
            assert!(equal > 50, "only {equal} strings were equal to others under {collation}");
        }
    }
    Ok(())
}

const UCA: [&str; 3] = ["utf8mb4_0900_ai_ci", "utf8mb4_unicode_520_ci", "utf8mb4_unicode_ci"];

/// Counts pairs of characters that weigh together other than one after the other.
async fn contractions(conn: &mut Conn, collation: &str, left: &str, right: &str) -> Result<u64> {
    conn.query_drop("DROP TABLE IF EXISTS w").await?;
    conn.query_drop(format!(
        "CREATE TABLE w (code INT UNSIGNED PRIMARY KEY, c VARCHAR(1) COLLATE {collation}, w VARBINARY(100))
         SELECT code, c, WEIGHT_STRING(c COLLATE {collation}) w FROM characters"
    ))
    .await?;
    let query = format!(
        "SELECT COUNT(*) FROM w l JOIN w r WHERE ({left}) AND ({right})
         AND (WEIGHT_STRING(CONCAT(l.c, r.c) COLLATE {collation}) <> CONCAT(l.w, r.w)
              OR WEIGHT_STRING(CONCAT(r.c, l.c) COLLATE {collation}) <> CONCAT(r.w, l.w))"
    );
    Ok(conn.query_first(query).await?.unwrap_or_default())
}

#[tokio::test]
async fn letters_and_marks_weigh_together_what_they_weigh_alone() -> Result<()> {
    let mut conn = connect_with_characters("contractions", "code < 0x3400").await?;
    // Marks of Latin, Greek and Cyrillic, and those that Unicode's own table contracts with letters before or after them.
    let marks = "r.code BETWEEN 0x300 AND 0x345 OR r.code IN (0x653, 0x654, 0x93C, 0x9BE, 0x9D7, 0xB3E, 0xB56, 0xBBE, 0xBD7,
        0xCC2, 0xCD5, 0xD3E, 0xD57, 0xDCA, 0xDCF, 0xDDF, 0xE40, 0xE44, 0xEC0, 0xEC4, 0xF71, 0xF72, 0xF80, 0x102E, 0x3099)";
    for collation in UCA {
        let found = contractions(&mut conn, collation, "l.code < 0x3400", marks).await?;
        assert_eq!(found, 0, "{collation}");
        let found = contractions(&mut conn, collation, "l.code < 0x250", "r.code < 0x250").await?;
        assert_eq!(found, 0, "{collation}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "minutes: every pair of characters below the second plane that are not alike (ideographs, syllables)"]
async fn all_characters_weigh_together_what_they_weigh_alone() -> Result<()> {
    let mut conn = connect_with_characters("all_contractions", "code < 0x20000").await?;
    let various = |table: &str| {
        format!(
            "HEX({table}.w) NOT LIKE 'FBC%' AND HEX({table}.w) NOT LIKE 'FB_0%'
             AND HEX({table}.w) <> 'FFFD' AND {table}.code NOT BETWEEN 0xAC02 AND 0xD7A3"
        )
    };
    for collation in UCA {
        let found = contractions(&mut conn, collation, &various("l"), &various("r")).await?;
        assert_eq!(found, 0, "{collation}");
    }
    Ok(())
}
