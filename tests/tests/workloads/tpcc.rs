//! TPC-C: the same transactions, one after the other, read the same and leave the same rows in one MySQL and over several shards; many at once leave books that balance.

use std::collections::HashMap;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Value};
use podway_tests::TestKeyspace;
use podway_tests::workload::tpcc::{Done, Scale, TABLES, Terminal, rows};
use tokio::task::JoinSet;

use crate::world::world;

const SCALE: Scale = Scale { warehouses: 6, districts: 3, customers: 30, items: 100 };
/// The share of transactions that reach another warehouse: as often as not another shard.
const REMOTE: f64 = 0.5;
const SEED: u64 = 5;
/// What a client may be told that is no fault: a deadlock, a lock that was waited for too long.
const RETRIED: [u16; 2] = [1213, 1205];

#[tokio::test]
async fn transactions_of_tpcc_read_and_leave_the_same_on_several_shards() {
    let world = world().await;
    let mut plain = world.plain("tpcc", &TABLES, rows(SCALE)).await;
    let (_keyspace, mut conn) = world.sharded(("tpcc3", 3), &TABLES, rows(SCALE)).await;
    let terminals = |_| (0..SCALE.warehouses).map(|number| Terminal::new(SCALE, number, REMOTE, SEED));
    let (mut ours, mut theirs): (Vec<_>, Vec<_>) = (terminals(()).collect(), terminals(()).collect());
    let mut done: HashMap<Done, u32> = HashMap::new();
    for turn in 0..240 {
        let (ours, theirs) = (&mut ours[turn % 6], &mut theirs[turn % 6]);
        let expected = theirs.turn(&mut plain).await.unwrap();
        let what = ours.turn(&mut conn).await.unwrap_or_else(|error| panic!("{expected:?}: {error}"));
        assert_eq!(what, expected);
        let values = |terminal: &Terminal| -> Vec<Vec<Value>> {
            terminal.heard.iter().map(|row| row.clone().unwrap()).collect()
        };
        assert_eq!(values(ours), values(theirs), "{what:?}, the turn {turn}");
        *done.entry(what).or_default() += 1;
    }
    assert_eq!(done.len(), 6, "not all was done: {done:?}");
    for table in &TABLES {
        let sql = format!("SELECT * FROM {}", table.name);
        let mut found: Vec<String> = texts(&mut conn, &sql).await;
        let mut expected = texts(&mut plain, &sql).await;
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{}", table.name);
    }
}

#[tokio::test]
async fn books_balance_after_many_transactions_of_tpcc_at_once() {
    let world = world().await;
    let (keyspace, mut conn) = world.sharded(("tpcc4", 4), &TABLES, rows(SCALE)).await;
    let mut clients = JoinSet::new();
    for number in 0..8 {
        clients.spawn(work(keyspace.connect().await.unwrap(), number));
    }
    let mut done: HashMap<Done, u32> = HashMap::new();
    while let Some(client) = clients.join_next().await {
        client.unwrap().into_iter().for_each(|what| *done.entry(what).or_default() += 1);
    }
    assert_balanced(&mut conn, &done).await;
    assert_nothing_is_left(&keyspace).await;
}

/// Does its transactions, those that MySQL refuses for others' sake until they are done.
async fn work(mut conn: Conn, number: u32) -> Vec<Done> {
    let mut terminal = Terminal::new(SCALE, number, REMOTE, SEED);
    let mut done = Vec::new();
    while done.len() < 40 {
        match tokio::time::timeout(Duration::from_secs(60), terminal.turn(&mut conn)).await.unwrap() {
            Ok(what) => done.push(what),
            Err(Error::Server(error)) if RETRIED.contains(&error.code) => {
                conn.query_drop("ROLLBACK").await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    done
}

/// The consistency conditions of TPC-C, as far as these tables have them, and one row for each transaction that was acknowledged.
async fn assert_balanced(conn: &mut Conn, done: &HashMap<Done, u32>) {
    let holds = [
        "SELECT COUNT(*) FROM warehouse WHERE w_ytd - 300000 <> (SELECT SUM(d_ytd - 30000) FROM district WHERE d_w_id = w_id)",
        "SELECT COUNT(*) FROM district WHERE d_next_o_id - 1 <> (SELECT COUNT(*) FROM orders WHERE o_w_id = d_w_id AND o_d_id = d_id)",
        "SELECT COUNT(*) FROM orders WHERE o_ol_cnt <> (SELECT COUNT(*) FROM order_line WHERE ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id)",
        "SELECT COUNT(*) FROM orders WHERE (o_carrier_id IS NULL) <> EXISTS (SELECT * FROM new_order WHERE no_w_id = o_w_id AND no_d_id = o_d_id AND no_o_id = o_id)",
        "SELECT COUNT(*) FROM warehouse WHERE w_ytd - 300000 <> (SELECT COALESCE(SUM(h_amount), 0) FROM history WHERE h_w_id = w_id)",
        "SELECT COUNT(*) FROM customer WHERE c_ytd_payment - 10 <> (SELECT COALESCE(SUM(h_amount), 0) FROM history WHERE h_c_w_id = c_w_id AND h_c_d_id = c_d_id AND h_c_id = c_id)",
        "SELECT COUNT(*) FROM stock WHERE s_ytd <> (SELECT COALESCE(SUM(ol_quantity), 0) FROM order_line WHERE ol_supply_w_id = s_w_id AND ol_i_id = s_i_id)",
        "SELECT COUNT(*) FROM stock WHERE s_order_cnt <> (SELECT COUNT(*) FROM order_line WHERE ol_supply_w_id = s_w_id AND ol_i_id = s_i_id)",
    ];
    for sql in holds {
        assert_eq!(conn.query_first::<u64, _>(sql).await.unwrap(), Some(0), "{sql}");
    }
    let count = |what: Done| u64::from(done.get(&what).copied().unwrap_or_default());
    let payments: Option<u64> = conn.query_first("SELECT COUNT(*) FROM history").await.unwrap();
    assert_eq!(payments, Some(count(Done::Payment)));
    let orders: Option<u64> = conn.query_first("SELECT COUNT(*) FROM orders").await.unwrap();
    assert_eq!(orders, Some(count(Done::NewOrder)));
}

async fn assert_nothing_is_left(keyspace: &TestKeyspace<'_>) {
    for server in keyspace.pod.server_ids() {
        let mut root = keyspace.pod.admin(server).await.unwrap();
        let left: Vec<mysql_async::Row> = root.query("XA RECOVER").await.unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}

async fn texts(conn: &mut Conn, sql: &str) -> Vec<String> {
    let rows: Vec<mysql_async::Row> = conn.query(sql).await.unwrap();
    rows.into_iter().map(|row| format!("{:?}", row.unwrap())).collect()
}
