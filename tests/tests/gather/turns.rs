//! A client that takes its time over the rows of several shards: inside a transaction it sees the moment at which the statement began, and an error behind the
//! first rows ends the result, not the session.

use std::collections::BTreeSet;

use mysql_async::prelude::{Protocol, Queryable};
use mysql_async::{Conn, QueryResult, Row};
use podway_model::ShardIndex;
use podway_tests::is_left_out;

use crate::bounds::with_big_table;
use crate::world::{refusal, until_over, world};

/// Rows of each shard: more than what sockets take on the way to a client that does not read.
const EACH: u64 = 6_000;

#[tokio::test]
async fn a_row_that_moves_while_its_client_reads_in_a_transaction_is_there_once() {
    if is_left_out("rows that are moved beside the proxy") {
        return;
    }
    let keyspace = with_big_table(world().await.keyspace.pod, "gather_turns", EACH, 1900).await;
    let shards = keyspace.get().shards.clone();
    let near = ShardIndex(0);
    let far = (1..4).rev().find(|far| shards[*far].server != shards[0].server).unwrap();
    let far = ShardIndex(far as u16);
    let mut reader = keyspace.connect().await.unwrap();
    reader.query_drop("BEGIN").await.unwrap();
    let mut result = reader.query_iter("SELECT id FROM big WHERE filler <> 'y'").await.unwrap();
    let first: Row = result.next().await.unwrap().unwrap();
    let mut ids: Vec<u64> = vec![first.get(0).unwrap()];
    // Each side's first row is the other's last now.
    for (from, to) in [(near, far), (far, near)] {
        let id = 4 + u64::from(from.0);
        keyspace.on_shard(from, &format!("DELETE FROM big WHERE id = {id}")).await.unwrap();
        keyspace.on_shard(to, &format!("INSERT INTO big VALUES ({id}, 1, 'x')")).await.unwrap();
    }
    while let Some(row) = result.next().await.unwrap() {
        ids.push(row.get(0).unwrap());
    }
    drop(result);
    let expected: BTreeSet<u64> = (4..4 * (EACH + 1)).collect();
    assert_eq!(ids.len() as u64, 4 * EACH);
    assert!(ids.iter().copied().collect::<BTreeSet<_>>() == expected, "a row is missing, or there twice");
    // It is the transaction's view, which goes on.
    let again: Vec<u64> = reader.query("SELECT id FROM big LIMIT 100000").await.unwrap();
    assert_eq!(again.len() as u64, 4 * EACH);
    assert!(again.into_iter().collect::<BTreeSet<_>>() == expected);
    reader.query_drop("COMMIT").await.unwrap();
}

/// Reads to the end: how many rows came, and the error behind them.
async fn read_on<P: Protocol>(mut result: QueryResult<'_, 'static, P>) -> (u64, Option<(u16, String)>) {
    let mut rows = 0;
    loop {
        match result.next().await {
            Ok(Some(_)) => rows += 1,
            Ok(None) => return (rows, None),
            Err(error) => return (rows, Some(refusal(error))),
        }
    }
}

async fn written(conn: &mut Conn) -> Option<u64> {
    conn.query_first("SELECT COUNT(*) FROM big WHERE v = 999999").await.unwrap()
}

#[tokio::test]
async fn an_error_behind_rows_ends_the_result_and_not_the_session() {
    if is_left_out("a keyspace that is filled beside the proxy") {
        return;
    }
    let keyspace = with_big_table(world().await.keyspace.pod, "gather_behind", 1_000, 200).await;
    // EXP(710) is out of a DOUBLE's range, and the rows before are long out.
    let statements = [
        "SELECT id, filler, EXP(v) FROM big",
        "SELECT id, filler, EXP(v) FROM big ORDER BY id",
        "SELECT big.id, big.filler, EXP(big.v) FROM big JOIN big other ON other.v = big.v AND other.v < 900",
    ];
    for is_inside in [false, true] {
        let mut conn = keyspace.connect().await.unwrap();
        if is_inside {
            conn.query_drop("BEGIN").await.unwrap();
            conn.query_drop("INSERT INTO big VALUES (100001, 999999, ''), (100002, 999999, '')")
                .await
                .unwrap();
        }
        for sql in statements {
            let id: u32 = conn.id();
            let (rows, error) = read_on(conn.query_iter(sql).await.unwrap()).await;
            let (code, text) = error.unwrap_or_else(|| panic!("{sql}: {rows} rows are taken for all"));
            assert_eq!(code, 1690, "{sql}: {text}");
            let (rows, error) = read_on(conn.exec_iter(sql, ()).await.unwrap()).await;
            assert_eq!(error.map(|(code, _)| code), Some(1690), "{sql} prepared: behind {rows} rows");
            let same: Option<u32> = conn.query_first("SELECT CONNECTION_ID()").await.unwrap();
            assert_eq!(same, Some(id), "{sql}");
            let rows: Vec<u64> = conn.query("SELECT id FROM big WHERE v < 3 ORDER BY id").await.unwrap();
            assert_eq!(rows, (4..12).collect::<Vec<u64>>(), "{sql}");
            assert_eq!(written(&mut conn).await, Some(if is_inside { 2 } else { 0 }), "{sql}");
        }
        conn.query_drop("ROLLBACK").await.unwrap();
        assert_eq!(written(&mut conn).await, Some(0));
    }
}

#[tokio::test]
async fn kill_query_behind_rows_is_an_error_of_the_statement_alone() {
    if is_left_out("a keyspace that is filled beside the proxy") {
        return;
    }
    let pod = world().await.keyspace.pod;
    let keyspace = with_big_table(pod, "gather_behind_kill", EACH, 1900).await;
    let mut victim = keyspace.connect().await.unwrap();
    let id = victim.id();
    victim.query_drop("BEGIN").await.unwrap();
    victim.query_drop("INSERT INTO big VALUES (100001, 999999, ''), (100002, 999999, '')").await.unwrap();
    let mut result = victim.query_iter("SELECT /* gather_behind_kill */ * FROM big").await.unwrap();
    let _: Row = result.next().await.unwrap().unwrap();
    keyspace.connect().await.unwrap().query_drop(format!("KILL QUERY {id}")).await.unwrap();
    let (rows, error) = read_on(result).await;
    assert_eq!(error.map(|(code, _)| code), Some(1317), "behind {rows} rows");
    assert_eq!(written(&mut victim).await, Some(2), "the transaction goes on");
    victim.query_drop("COMMIT").await.unwrap();
    assert_eq!(written(&mut victim).await, Some(2));
    until_over(pod, "gather\\_behind\\_kill").await;
}
