//! The router's weight tables, made anew from what the server says and compared with the committed ones. The format is described at
//! `router/src/vindex/collation/weights.rs`. Never used to *check* equality: that is [`super::collations`]'s, by another way.
//!
//! `cargo test -p podway-tests --test vindex_equality -- --ignored weight_tables` compares;
//! with `PODWAY_WRITE_WEIGHTS=1` it writes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::server::connect;

const SYLLABLES: std::ops::RangeInclusive<u32> = 0xAC00..=0xD7A3;

/// File, character set, collation, bytes of a weight.
const FILES: [(&str, &str, &str, usize); 7] = [
    ("uca_900.bin", "utf8mb4", "utf8mb4_0900_ai_ci", 2),
    ("uca_520.bin", "utf8mb4", "utf8mb4_unicode_520_ci", 2),
    ("uca_400.bin", "utf8mb4", "utf8mb4_unicode_ci", 2),
    ("general.bin", "utf8mb4", "utf8mb4_general_ci", 2),
    ("latin1_swedish.bin", "latin1", "latin1_swedish_ci", 1),
    ("latin1_general_ci.bin", "latin1", "latin1_general_ci", 1),
    ("latin1_general_cs.bin", "latin1", "latin1_general_cs", 1),
];

type Weights = BTreeMap<u32, Vec<u16>>;

/// Connects to a database of its own with a table `characters (code, c)` of the characters for which a condition on `code` holds.
pub async fn connect_with_characters(database: &str, which: &str) -> Result<Conn> {
    let mut conn = connect(database).await?;
    conn.query_drop(
        "SET max_heap_table_size = 256 << 20, tmp_table_size = 256 << 20, cte_max_recursion_depth = 2000",
    )
    .await?;
    conn.query_drop(
        "CREATE TEMPORARY TABLE low (i INT UNSIGNED PRIMARY KEY) ENGINE = MEMORY
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1023) SELECT i FROM n",
    )
    .await?;
    conn.query_drop(
        "CREATE TEMPORARY TABLE high (i INT UNSIGNED PRIMARY KEY) ENGINE = MEMORY
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1087) SELECT i << 10 AS i FROM n",
    )
    .await?;
    conn.query_drop(format!(
        "CREATE TEMPORARY TABLE characters (code INT UNSIGNED, c VARCHAR(1) COLLATE utf8mb4_bin NOT NULL) ENGINE = MEMORY
         SELECT code, CONVERT(CHAR(code USING utf32) USING utf8mb4) AS c
         FROM (SELECT high.i + low.i AS code FROM high STRAIGHT_JOIN low) codes
         WHERE code NOT BETWEEN 0xD800 AND 0xDFFF AND ({which})"
    ))
    .await?;
    Ok(conn)
}

async fn ask(conn: &mut Conn, charset: &str, collation: &str, bytes: usize) -> Result<Weights> {
    let query = format!(
        "SELECT code, WEIGHT_STRING(CONVERT(c USING {charset}) COLLATE {collation}) FROM characters
         WHERE CONVERT(CONVERT(c USING {charset}) USING utf8mb4) = c ORDER BY code"
    );
    let rows: Vec<(u32, Vec<u8>)> = conn.query(query).await?;
    let word = |part: &[u8]| part.iter().fold(0, |word, &byte| word << 8 | u16::from(byte));
    Ok(rows.into_iter().map(|(code, weights)| (code, weights.chunks(bytes).map(word).collect())).collect())
}

/// Whether every syllable weighs what its jamo weigh together.
fn syllables_decompose(weights: &Weights) -> bool {
    SYLLABLES.zip(0u32..).all(|(syllable, index)| {
        let tail = (index % 28 > 0).then_some(0x11A7 + index % 28);
        let jamo = [Some(0x1100 + index / 588), Some(0x1161 + index / 28 % 21), tail];
        let together = jamo.iter().flatten().filter_map(|jamo| weights.get(jamo)).flatten();
        weights.get(&syllable).is_some_and(|own| own.iter().eq(together))
    })
}

struct Run {
    first: u32,
    kind: u32,
    weights: Vec<u16>,
}

fn continues(run: &mut Run, code: u32, weights: &[u16]) -> bool {
    let offset = code - run.first;
    if run.kind == 2 {
        return false;
    }
    if run.weights == weights && (run.kind == 0) {
        return true;
    }
    let (Some((last, head)), Some((own_last, own_head))) = (weights.split_last(), run.weights.split_last())
    else {
        return false;
    };
    let rises = head == own_head && u32::from(*last) == u32::from(*own_last) + offset;
    if rises && (run.kind == 1 || offset == 1) {
        run.kind = 1;
        return true;
    }
    false
}

fn runs(weights: &Weights) -> Vec<Run> {
    let hangul = syllables_decompose(weights);
    let mut runs: Vec<Run> = Vec::new();
    let mut previous = None;
    for (&code, own) in weights {
        let is_syllable = hangul && SYLLABLES.contains(&code);
        let neighbour = previous == Some(code.wrapping_sub(1));
        previous = Some(code);
        if is_syllable {
            if code == *SYLLABLES.start() {
                runs.push(Run { first: code, kind: 2, weights: Vec::new() });
            }
            continue;
        }
        if !(neighbour && runs.last_mut().is_some_and(|run| continues(run, code, own))) {
            runs.push(Run { first: code, kind: 0, weights: own.clone() });
        }
    }
    runs
}

fn file(weights: &Weights) -> Vec<u8> {
    let runs = runs(weights);
    let mut pool: Vec<u16> = Vec::new();
    let mut places: BTreeMap<&[u16], u32> = BTreeMap::new();
    let mut table: Vec<u8> = Vec::new();
    for run in &runs {
        let at = *places.entry(&run.weights).or_insert_with(|| {
            pool.extend(&run.weights);
            (pool.len() - run.weights.len()) as u32
        });
        table.extend((run.first | run.kind << 24).to_le_bytes());
        table.extend((at << 8 | run.weights.len() as u32).to_le_bytes());
    }
    let counts = [runs.len() as u32, pool.len() as u32];
    let head = counts.iter().flat_map(|count| count.to_le_bytes());
    head.chain(table).chain(pool.into_iter().flat_map(u16::to_le_bytes)).collect()
}

#[tokio::test]
#[ignore = "asks for every character's weight; run it when a table is added"]
async fn the_weight_tables_are_what_the_server_says() -> Result<()> {
    let mut conn = connect_with_characters("tables", "TRUE").await?;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../router/src/vindex/collation");
    for (name, charset, collation, bytes) in FILES {
        let made = file(&ask(&mut conn, charset, collation, bytes).await?);
        let path = directory.join(name);
        if std::env::var_os("PODWAY_WRITE_WEIGHTS").is_some() {
            std::fs::write(&path, &made)?;
        }
        assert!(std::fs::read(&path)? == made, "{name} is not what the server says of {collation}");
    }
    Ok(())
}
