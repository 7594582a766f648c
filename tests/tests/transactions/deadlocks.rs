//! Deadlocks over several servers: one gives way, whole, and its client is told as MySQL tells; who only waits is left alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Value};
use podway_tests::{Grant, Password, RunningProxy, User, eventually_async};
use tokio::task::JoinHandle;

use crate::ground::{Ground, SOON, add, code};

/// MySQL's own patience is longer by far.
const AT_ONCE: Duration = Duration::from_secs(8);

/// A session that is at a statement.
struct Waiting(JoinHandle<(Conn, Result<(), Error>)>);

/// Sends a statement that will wait.
fn waits(mut conn: Conn, sql: String) -> Waiting {
    Waiting(tokio::spawn(async move {
        let done = conn.query_drop(sql).await;
        (conn, done)
    }))
}

impl Waiting {
    /// The session and what it got: 0 or an error's number.
    async fn ended(self) -> (Conn, u16) {
        let (conn, done) = self.0.await.unwrap();
        (conn, code(done))
    }
}

/// A session in a transaction that has changed these cells, one after the other.
async fn changed(mut conn: Conn, ids: &[u64]) -> Conn {
    conn.query_drop("SET innodb_lock_wait_timeout = 40").await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    for id in ids {
        conn.query_drop(add(*id, 1)).await.unwrap();
    }
    conn
}

async fn through(ground: &Ground, proxy: &RunningProxy) -> Conn {
    let options = ground.pod.client_options().tcp_port(proxy.address.port());
    Conn::new(options.db_name(Some(&ground.keyspace.name))).await.unwrap()
}

/// `SHOW PODWAY METRICS` of one name.
async fn measured(conn: &mut Conn, name: &str) -> u64 {
    let all: Vec<(String, u64)> = conn.query("SHOW PODWAY METRICS").await.unwrap();
    all.into_iter().collect::<BTreeMap<_, _>>()[name]
}

/// A row of SHOW PODWAY DEADLOCKS, less its age.
type Shown = (u64, String, Option<String>, Option<u64>, String);

async fn shown(conn: &mut Conn) -> Vec<Shown> {
    type Row = (u64, u64, String, Option<String>, String, Option<u64>, String);
    let rows: Vec<Row> = conn.query("SHOW PODWAY DEADLOCKS").await.unwrap();
    let of = |(number, _, role, gtrid, _, session, sql): Row| (number, role, gtrid, session, sql);
    rows.into_iter().map(of).collect()
}

/// The newest deadlock of these statements, the victim's first: other tests have deadlocks of their own meanwhile.
async fn newest(conn: &mut Conn, [victim, survivor]: [String; 2]) -> [Shown; 2] {
    let all = shown(conn).await;
    let mut pairs = all.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let pair = pairs.find(|pair| pair[0].4 == victim && pair[1].4 == survivor);
    pair.unwrap_or_else(|| panic!("{victim}, {survivor}: {all:?}")).to_vec().try_into().unwrap()
}

#[tokio::test]
async fn the_younger_of_two_that_wait_for_each_other_gives_way() {
    let mut ground = Ground::new("circle").await;
    let (a, b, c) = (ground.row(0, 0), ground.row(1, 0), ground.row(2, 0));
    let older = changed(ground.session().await, &[a, c]).await;
    let younger = changed(ground.session().await, &[b, ground.row(2, 1)]).await;
    let ids = [older.id(), younger.id()];
    let begun = Instant::now();
    let older = waits(older, add(b, 10));
    let younger = waits(younger, add(a, 100));
    let (mut younger, given_way) = younger.ended().await;
    assert_eq!(given_way, 1213);
    let (mut older, went_on) = older.ended().await;
    assert_eq!(went_on, 0);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());

    let [victim, survivor] = newest(&mut ground.session().await, [add(a, 100), add(b, 10)]).await;
    assert_eq!((victim.1.as_str(), survivor.1.as_str()), ("VICTIM", "SURVIVOR"));
    assert_eq!((victim.3, survivor.3), (Some(ids[1].into()), Some(ids[0].into())));
    assert!(victim.2 > survivor.2 && survivor.2.is_some(), "{victim:?}, {survivor:?}");

    let warnings: Vec<(String, u16, String)> = younger.query("SHOW WARNINGS").await.unwrap();
    let text = "Deadlock found when trying to get lock; try restarting transaction";
    assert_eq!(warnings, [("Error".to_owned(), 1213, text.to_owned())]);
    // All of its transaction was rolled back, and no other is open: this is committed by itself.
    younger.query_drop(add(ground.row(3, 0), 5)).await.unwrap();
    younger.query_drop("ROLLBACK").await.unwrap();
    older.query_drop("COMMIT").await.unwrap();
    // And again, as clients do.
    let mut younger = changed(younger, &[b, a]).await;
    younger.query_drop("COMMIT").await.unwrap();
    let mut plain = ground.plain().await;
    for (id, amount) in [(a, 2), (c, 1), (b, 11), (ground.row(3, 0), 5)] {
        plain.query_drop(add(id, amount)).await.unwrap();
    }
    ground.same_rows().await;
    ground.nothing_is_open().await;
    assert_eq!(ground.decisions().await.len(), 2);
}

#[tokio::test]
async fn two_proxies_see_one_deadlock_and_choose_one_victim() {
    let ground = Ground::new("circle_of_two").await;
    let proxy = ground.pod.another_proxy(ground.pod.watch(), |_| {}).await.unwrap();
    let (a, b) = (ground.row(0, 0), ground.row(1, 0));
    for younger_is_there in [false, true] {
        let (mut here, mut there) = (ground.session().await, through(&ground, &proxy).await);
        if younger_is_there {
            std::mem::swap(&mut here, &mut there);
        }
        let older = changed(here, &[a, ground.row(2, 0)]).await;
        let younger = changed(there, &[b, ground.row(2, 1)]).await;
        let begun = Instant::now();
        let (older, younger) = (waits(older, add(b, 1)), waits(younger, add(a, 1)));
        let (mut younger, given_way) = younger.ended().await;
        let (mut older, went_on) = older.ended().await;
        assert_eq!((given_way, went_on), (1213, 0), "the younger one, wherever it is: {younger_is_there}");
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        older.query_drop("ROLLBACK").await.unwrap();
        // The proxy of either shows it, with what the other ran.
        for conn in [&mut older, &mut younger] {
            let deadlocks = newest(conn, [add(a, 1), add(b, 1)]).await;
            assert_eq!([deadlocks[0].3, deadlocks[1].3].iter().flatten().count(), 1, "{deadlocks:?}");
        }
    }
    ground.same_rows().await;
    ground.nothing_is_open().await;
    drop(proxy);
}

#[tokio::test]
async fn a_circle_of_three_with_a_home_table_and_prepared_statements_is_broken_once() {
    let ground = Ground::new("circle_of_three").await;
    let mut watcher = ground.session().await;
    let before = measured(&mut watcher, "deadlocks").await;
    let (b, c) = (ground.row(1, 0), ground.row(2, 0));
    // The home table is on the first server.
    let mut first = ground.session().await;
    first.query_drop("BEGIN").await.unwrap();
    first.query_drop("UPDATE settings SET v = v + 1 WHERE id = 1").await.unwrap();
    first.query_drop(add(ground.row(3, 0), 1)).await.unwrap();
    let second = changed(ground.session().await, &[b, ground.row(3, 1)]).await;
    let third = changed(ground.session().await, &[c, ground.row(3, 2)]).await;
    let mut second = second;
    let second = Waiting(tokio::spawn(async move {
        let done = second.exec_drop("UPDATE cells SET v = v + ? WHERE id = ?", (1, c)).await;
        (second, done)
    }));
    let first = waits(first, add(b, 1));
    let mut third = third;
    let third = Waiting(tokio::spawn(async move {
        let values: Vec<Value> = vec![1.into(), 1.into()];
        let done = third.exec_drop("UPDATE settings SET v = v + ? WHERE id = ?", values).await;
        (third, done)
    }));
    let (_third, given_way) = third.ended().await;
    assert_eq!(given_way, 1213, "it is the youngest");
    // The second's wait is over; the first waits for it.
    let (mut second, went_on) = second.ended().await;
    assert_eq!(went_on, 0);
    second.query_drop("ROLLBACK").await.unwrap();
    let (mut first, went_on) = first.ended().await;
    assert_eq!(went_on, 0);
    first.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(measured(&mut watcher, "deadlocks").await, before + 1);
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_statement_of_its_own_over_several_servers_gives_way_too() {
    let ground = Ground::new("circle_of_one_statement").await;
    let (a, b) = (ground.row(0, 0), ground.row(1, 0));
    let older = changed(ground.session().await, &[b, ground.row(2, 0)]).await;
    let mut holder = changed(ground.session().await, &[ground.row(2, 1)]).await;
    // It changes the first server's row, and waits for the second's.
    let statement = format!("UPDATE cells SET v = v + 1 WHERE id IN ({a}, {b})");
    let mut younger = ground.session().await;
    younger.query_drop("SET innodb_lock_wait_timeout = 40").await.unwrap();
    let younger = waits(younger, statement);
    ground.until_one_waits(1).await;
    let older = waits(older, add(a, 1));
    let (mut younger, given_way) = younger.ended().await;
    let (mut older, went_on) = older.ended().await;
    assert_eq!((given_way, went_on), (1213, 0));
    for conn in [&mut older, &mut holder, &mut younger] {
        conn.query_drop("ROLLBACK").await.unwrap();
    }
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn who_only_waits_is_left_alone() {
    let ground = Ground::new("no_circle").await;
    let mut watcher = ground.session().await;
    let before = measured(&mut watcher, "deadlocks").await;
    let (a, b) = (ground.row(0, 0), ground.row(1, 0));
    let mut first = changed(ground.session().await, &[a, ground.row(2, 0)]).await;
    let second = changed(ground.session().await, &[b, ground.row(2, 1)]).await;
    let third = changed(ground.session().await, &[ground.row(3, 0), ground.row(2, 2)]).await;
    let second = waits(second, add(a, 1));
    let third = waits(third, add(b, 1));
    let looks = measured(&mut watcher, "deadlock_looks").await;
    eventually_async(SOON, "the servers are looked at again and again", async || {
        let mut watcher = ground.session().await;
        (measured(&mut watcher, "deadlock_looks").await > looks + 5).then_some(())
    })
    .await;
    first.query_drop("COMMIT").await.unwrap();
    let (mut second, went_on) = second.ended().await;
    assert_eq!(went_on, 0);
    second.query_drop("COMMIT").await.unwrap();
    let (mut third, went_on) = third.ended().await;
    assert_eq!(went_on, 0);
    third.query_drop("COMMIT").await.unwrap();
    assert_eq!(measured(&mut watcher, "deadlocks").await, before);
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn deadlocks_are_shown_to_who_may_see_all_sessions() {
    let ground = Ground::new("circle_shown_to_few").await;
    let seen: Vec<(String, String)> = {
        let mut conn = ground.session().await;
        let rows: Vec<mysql_async::Row> = conn.query("SHOW PODWAY SERVERS").await.unwrap();
        rows.iter().map(|row| (row.get("address").unwrap(), row.get("deadlocks").unwrap())).collect()
    };
    assert!(seen.iter().all(|(_, deadlocks)| deadlocks == "seen"), "{seen:?}");
    let grants =
        vec![Grant { privileges: "SELECT".to_owned(), keyspace: Some(ground.keyspace.name.clone()) }];
    let user = User { grants, ..User::new("circle_reader", Password::Sha2("a password".to_owned())) };
    ground.pod.add_user(user).await.unwrap();
    let options = ground.pod.client_options().user(Some("circle_reader")).pass(Some("a password"));
    let mut conn = Conn::new(options).await.unwrap();
    assert_eq!(code(conn.query_drop("SHOW PODWAY DEADLOCKS").await), 1227);
}
