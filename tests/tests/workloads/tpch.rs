//! TPC-H: all twenty-two questions, as text and prepared, find the same in one MySQL and over one, two, three and eight shards; and each finds something.

use mysql_async::Conn;
use podway_tests::answer::{Answer, execute, prepare, query};
use podway_tests::workload::tpch::{TABLES, questions, rows};

use crate::world::world;

const ORDERS: u32 = 800;
const SEED: u64 = 22;

#[tokio::test]
async fn every_question_of_tpch_has_its_answer_on_any_number_of_shards() {
    let world = world().await;
    let mut plain = world.plain("tpch", &TABLES, rows(ORDERS, SEED)).await;
    let mut expected = Vec::new();
    for (question, sql) in questions() {
        let both = both_ways(&mut plain, sql).await;
        assert!(both.iter().all(finds_something), "{question} finds nothing: {}", both[0].shown());
        expected.push(both);
    }
    let mut differences = Vec::new();
    for shards in [1, 2, 3, 8] {
        let name = format!("tpch{shards}");
        let (_keyspace, mut conn) = world.sharded((&name, shards), &TABLES, rows(ORDERS, SEED)).await;
        for ((question, sql), expected) in questions().into_iter().zip(&expected) {
            let found = both_ways(&mut conn, sql).await;
            for ((found, expected), way) in found.iter().zip(expected).zip(["as text", "prepared"]) {
                let how = difference(shards, found, expected);
                differences.extend(how.map(|how| format!("{question} {way} over {shards} shards: {how}")));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The answer as text, and prepared.
async fn both_ways(conn: &mut Conn, sql: &str) -> [Answer; 2] {
    let text = query(conn, sql.as_bytes()).await;
    let prepared = match prepare(conn, sql).await {
        Ok(statement) => execute(conn, &statement, &[]).await,
        Err(refused) => refused,
    };
    [text, prepared]
}

/// All but the name of the database, which is another one on each side.
fn difference(shards: usize, found: &Answer, expected: &Answer) -> Option<String> {
    let database = format!("(tpch{shards}.");
    let mut found = found.clone();
    if let Answer::Parts(parts) = &mut found {
        let columns = parts.iter_mut().flat_map(|part| &mut part.columns);
        columns.for_each(|column| *column = column.replace(&database, "(tpch."));
    }
    found.difference(expected, true)
}

fn finds_something(answer: &Answer) -> bool {
    let Answer::Parts(parts) = answer else { return false };
    let is_null = |value: &mysql_async::Value| *value == mysql_async::Value::NULL;
    parts.iter().any(|part| part.rows.iter().any(|row| !row.iter().all(is_null)))
}
