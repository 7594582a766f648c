//! Files of any bytes, cut as MySQL cuts them: made of separators, quotes, escapes and halves of letters by a seed, in every kind of character set, and loaded beside plain
//! MySQL. What Podway will not route for certain it may refuse; what it takes must be the same rows, each where a read by its key finds it.

use bytes::Bytes;
use mysql_async::prelude::Queryable;
use podway_tests::answer::{Answer, query};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::loads::{give, world};

const SCRAPS: &str =
    "CREATE TABLE scraps (n INT NOT NULL PRIMARY KEY, a VARBINARY(80) NULL, b VARBINARY(80) NULL)";
const CHARSETS: [&str; 10] =
    ["binary", "latin1", "utf8mb4", "gbk", "sjis", "big5", "gb18030", "ujis", "euckr", "gb2312"];
const FORMATS: [(&str, &str, &str); 6] = [
    ("", "\t", "\n"),
    ("FIELDS TERMINATED BY ',' ENCLOSED BY '\"'", ",", "\n"),
    (
        "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\r\\n'",
        ",",
        "\r\n",
    ),
    ("FIELDS TERMINATED BY '||' ENCLOSED BY '''' ESCAPED BY '|' LINES TERMINATED BY '\\n'", "||", "\n"),
    (
        "FIELDS TERMINATED BY ';' ENCLOSED BY '\"' ESCAPED BY '\"' LINES STARTING BY '>' TERMINATED BY ';\\n'",
        ";",
        ";\n",
    ),
    ("FIELDS TERMINATED BY 0x01 LINES TERMINATED BY 0x0A", "\x01", "\n"),
];
/// What fields are made of.
const SCRAPS_OF: [&[u8]; 26] = [
    b"a",
    b"b",
    b"x",
    b"N",
    b"n",
    b"0",
    b" ",
    b"\\",
    b"\"",
    b"'",
    b",",
    b"|",
    b";",
    b"\\N",
    b"\"\"",
    b"NULL",
    b"\r",
    b"\\\n",
    b"\x81",
    b"\x95\x5C",
    b"\xA5\x5C",
    b"\xE4\xB8\xAD",
    b"\xB0\xA1",
    b"\x8E\xA1",
    b"\x81\x30\x81\x30",
    b"\xF0\x9F\x98\x80",
];
const SEEDS: u64 = 120;

fn file(random: &mut StdRng, (_, field, line): (&str, &str, &str)) -> Vec<u8> {
    let prefix = if line == ";\n" { ">" } else { "" };
    let mut file = Vec::new();
    for n in 1..=random.random_range(1..9) {
        file.extend_from_slice(format!("{prefix}{n}{field}").as_bytes());
        for at in 0..2 {
            let quote = random.random_bool(0.3);
            file.extend_from_slice(if quote { b"\"" } else { b"" });
            for _ in 0..random.random_range(0..5) {
                file.extend_from_slice(SCRAPS_OF.choose(random).unwrap());
            }
            file.extend_from_slice(if quote { b"\"" } else { b"" });
            file.extend_from_slice(if at == 0 { field.as_bytes() } else { line.as_bytes() });
        }
    }
    file.truncate(file.len() - usize::from(random.random_bool(0.2)));
    file
}

#[tokio::test]
async fn files_of_any_bytes_are_cut_as_mysql_cuts_them() {
    let mut world = world("load_files", &[("scraps", SCRAPS, &["a"])]).await;
    let mut taken = 0;
    for seed in 0..SEEDS {
        let mut random = StdRng::seed_from_u64(seed);
        let charset = CHARSETS[seed as usize % CHARSETS.len()];
        let format = FORMATS[random.random_range(0..FORMATS.len())];
        let file = file(&mut random, format);
        let sql = format!(
            "LOAD DATA LOCAL INFILE 'x' INTO TABLE scraps CHARACTER SET {charset} {} (n, a, b)",
            format.0
        );
        let shown = format!("seed {seed}: {sql}\n{:?}", String::from_utf8_lossy(&file));
        world.same("DELETE FROM scraps").await;
        give(&mut world.ours, file.chunks(5).map(Bytes::copy_from_slice).collect());
        let ours = query(&mut world.ours, sql.as_bytes()).await;
        if matches!(ours, Answer::Refused(1235, _)) {
            world.same("SELECT * FROM scraps").await;
            continue;
        }
        give(&mut world.theirs, vec![Bytes::from(file)]);
        let theirs = query(&mut world.theirs, sql.as_bytes()).await;
        if let (Answer::Refused(1300, _), Answer::Refused(1300, _)) = (&ours, &theirs) {
            world.same("SELECT * FROM scraps").await;
            continue;
        }
        assert_eq!(ours.difference(&theirs, false), None, "{shown}");
        taken += 1;
        let rows: Vec<Option<String>> = world.theirs.query("SELECT HEX(a) FROM scraps").await.unwrap();
        for key in rows.iter().flatten() {
            let found: Option<u64> = world
                .ours
                .query_first(format!("SELECT COUNT(*) FROM scraps WHERE a = X'{key}'"))
                .await
                .unwrap();
            assert!(found > Some(0), "{shown}: X'{key}' is not where its key leads");
        }
        let all = world.same("SELECT n, HEX(a), HEX(b) FROM scraps").await;
        assert!(matches!(all, Answer::Parts(_)), "{shown}");
    }
    // Most of the others are no texts of their character sets, which MySQL refuses as well.
    assert!(taken > SEEDS / 5, "only {taken} files were taken");
}
