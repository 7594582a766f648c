//! Prepared branches that a dead coordinator left, made by hand: the primary's row says what becomes of each, and another program's are left alone.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway_model::{HybridClock, HybridTime, ServerId, ShardIndex, transaction_token};
use podway_tests::eventually_async;
use podway_topology_api::Incarnation;

use crate::ground::{Ground, SOON, add, code, prepared};

/// What a resolver gives a coordinator that may live.
const PATIENCE: Duration = Duration::from_secs(5);
/// Long after every test.
const LATER: i64 = 4_000_000_000_000_000;

/// The time now, as stamps have it.
fn now() -> HybridTime {
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    HybridClock::new().now(wall)
}

/// A transaction's name, as proxies make them, of a proxy that does not run.
fn gtrid(sequence: u32) -> String {
    format!("{:016x}-00ff-0001-{sequence:08x}", now().0)
}

/// Prepares a branch on a server that adds one to a cell there, and leaves it.
async fn leave(ground: &Ground, xid: &str, shard: usize, nth: usize) {
    let mut conn = ground.keyspace.direct(ShardIndex(shard as u16)).await.unwrap();
    for sql in [
        format!("XA START {xid}"),
        add(ground.row(shard, nth), 1),
        format!("XA END {xid}"),
        format!("XA PREPARE {xid}"),
    ] {
        conn.query_drop(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    conn.disconnect().await.unwrap();
}

async fn root(ground: &Ground, server: u32) -> Conn {
    ground.pod.admin(ServerId(server)).await.unwrap()
}

/// Writes the decision that a coordinator made before it died.
async fn decided(ground: &Ground, server: u32, g: &str, standing: &str, stamp: Option<u64>) {
    let sql = "INSERT INTO _podway.decision (g, st, cts, parts) VALUES (?, ?, ?, '')";
    root(ground, server).await.exec_drop(sql, (g, standing, stamp)).await.unwrap();
}

async fn standing(ground: &Ground, server: u32, g: &str) -> Option<(String, String)> {
    let sql = "SELECT st, parts FROM _podway.decision WHERE g = ?";
    root(ground, server).await.exec_first(sql, (g,)).await.unwrap()
}

/// How far a cell is from what it was.
async fn added(ground: &Ground, shard: usize, nth: usize) -> i64 {
    let id = ground.row(shard, nth);
    let sql = format!("SELECT v FROM cells WHERE id = {id}");
    let v: Option<i64> = ground.session().await.query_first(sql).await.unwrap();
    v.unwrap() - 10 * id as i64
}

/// Waits until no branch of these is prepared any more.
async fn until_finished(ground: &Ground, transactions: &[&str]) {
    eventually_async(SOON, "the branches are finished", async || {
        let all = prepared(ground.pod).await;
        let is_one = |data: &str| transactions.iter().any(|g| data.starts_with(*g));
        (!all.iter().any(|(_, data)| is_one(data))).then_some(())
    })
    .await;
}

/// What a coordinator says that comes late: after it, the primary's part is rolled back.
async fn decide_late(ground: &Ground, g: &str) -> Result<(), Error> {
    let mut conn = ground.keyspace.direct(ShardIndex(0)).await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    conn.query_drop(add(ground.row(0, 0), 1)).await.unwrap();
    let uuid = ground.pod.map().server(ServerId(0)).unwrap().uuid.clone();
    let key = ground.pod.secret().transaction_key(&uuid);
    let (id, stamp) = (conn.id().to_string(), now().0.to_string());
    let token = transaction_token(&key, &["decide", &id, g, &LATER.to_string(), &stamp, "0,1"]);
    let done =
        conn.query_drop(format!("CALL _podway.decide('{token}', '{g}', {LATER}, {stamp}, '0,1')")).await;
    conn.query_drop("ROLLBACK").await.unwrap();
    conn.disconnect().await.unwrap();
    done
}

#[tokio::test]
async fn the_primarys_row_says_what_becomes_of_a_branch() {
    let ground = Ground::new("left_behind").await;
    let [undecided, committed, aborted, both] = [1, 2, 3, 4].map(gtrid);
    // Made first, so that they are seen no later than the others.
    let foreign = [
        "'another program','s branch',1".to_owned(),
        "'another program','0.1',1347".to_owned(),
        format!("'{}','0.1',1", gtrid(5)),
        format!("'{}','0.01',1347", gtrid(6)),
        format!("'{}','',1347", gtrid(7).to_uppercase()),
    ];
    for (nth, xid) in foreign.iter().enumerate() {
        leave(&ground, xid, 1, 5 + nth).await;
    }
    let stamp = now().0;
    decided(&ground, 0, &committed, "C", Some(stamp)).await;
    decided(&ground, 0, &aborted, "A", None).await;
    decided(&ground, 3, &both, "C", Some(stamp + 1)).await;
    for (g, primary, shard, nth) in [
        (&undecided, 0, 1, 0),
        (&committed, 0, 1, 1),
        (&aborted, 0, 1, 2),
        (&both, 3, 1, 3),
        (&both, 3, 2, 3),
    ] {
        leave(&ground, &format!("'{g}','{primary}.{shard}',1347"), shard, nth).await;
    }
    assert_eq!(prepared(ground.pod).await.len(), 10, "nobody is in a hurry");
    until_finished(&ground, &[&undecided, &committed, &aborted, &both]).await;

    assert_eq!(standing(&ground, 0, &undecided).await, Some(("A".to_owned(), "0,1".to_owned())));
    assert_eq!(added(&ground, 1, 0).await, 0);
    assert_eq!(added(&ground, 1, 1).await, 1);
    assert_eq!(added(&ground, 1, 2).await, 0);
    assert_eq!((added(&ground, 1, 3).await, added(&ground, 2, 3).await), (1, 1));
    for (g, stamp, servers) in [
        (&committed, stamp, vec![1]),
        (&both, stamp + 1, vec![1, 2]),
        (&undecided, 0, vec![]),
        (&aborted, 0, vec![]),
    ] {
        let floors = ground.marks(&format!("{g}-floor")).await;
        assert_eq!(floors, servers.into_iter().map(|server| (server, stamp)).collect());
    }
    // Who was thought dead and comes back changes nothing.
    assert_eq!(code(decide_late(&ground, &undecided).await), 1062);
    assert_eq!(added(&ground, 0, 0).await, 0);
    assert_eq!(standing(&ground, 0, &undecided).await.unwrap().0, "A");
    let fresh = gtrid(8);
    decide_late(&ground, &fresh).await.unwrap();
    assert_eq!(added(&ground, 0, 0).await, 1, "without a tombstone it is committed");

    let left: Vec<(u32, String)> = prepared(ground.pod).await;
    assert_eq!(left.len(), foreign.len(), "another program's are its own: {left:?}");
    for xid in foreign {
        root(&ground, 1).await.query_drop(format!("XA ROLLBACK {xid}")).await.unwrap();
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_decision_that_is_being_written_is_waited_for() {
    let ground = Ground::new("left_behind_deciding").await;
    let [committed, withdrawn] = [11, 12].map(gtrid);
    let stamp = now().0;
    let mut deciding = Vec::new();
    for (nth, g) in [&committed, &withdrawn].into_iter().enumerate() {
        let mut conn = root(&ground, 0).await;
        conn.query_drop("BEGIN").await.unwrap();
        let sql = "INSERT INTO _podway.decision (g, st, cts, parts) VALUES (?, 'C', ?, '0,1')";
        conn.exec_drop(sql, (g, stamp)).await.unwrap();
        leave(&ground, &format!("'{g}','0.1',1347"), 1, nth).await;
        deciding.push(conn);
    }
    // Whoever asks waits, and asks again.
    ground.until_one_waits(0).await;
    assert_eq!(prepared(ground.pod).await.len(), 2);
    let sql = "SELECT COUNT(*) FROM performance_schema.data_lock_waits";
    let mut looking = root(&ground, 0).await;
    for is_waited in [false, true, false] {
        let looking = tokio::sync::Mutex::new(&mut looking);
        eventually_async(SOON, "the tombstone is given up and tried again", async || {
            let waiting: Option<u64> = looking.lock().await.query_first(sql).await.unwrap();
            ((waiting > Some(0)) == is_waited).then_some(())
        })
        .await;
    }
    assert_eq!(prepared(ground.pod).await.len(), 2);
    deciding[0].query_drop("COMMIT").await.unwrap();
    deciding[1].query_drop("ROLLBACK").await.unwrap();
    until_finished(&ground, &[&committed, &withdrawn]).await;
    assert_eq!((added(&ground, 1, 0).await, added(&ground, 1, 1).await), (1, 0));
    assert_eq!(standing(&ground, 0, &withdrawn).await.unwrap().0, "A");
    assert_eq!(standing(&ground, 0, &committed).await.unwrap().0, "C");
    drop((deciding, looking));
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn what_a_dead_proxy_left_is_finished_at_once_and_a_living_ones_later() {
    let ground = Ground::new("left_behind_dead").await;
    // The proxy of `gtrid` is registered under this number.
    let (here, there) = (Incarnation(0x00ff_0002), Incarnation(0x00ff_0001));
    let proxy = ground.pod.another_proxy(ground.pod.watch(), |_| {}).await.unwrap();
    proxy.proxy.set_incarnation(here);
    let alive = ground.pod.another_proxy(ground.pod.watch(), |_| {}).await.unwrap();
    alive.proxy.set_incarnation(there);
    let options = ground.pod.client_options().tcp_port(alive.address.port());
    let mut at_work = Conn::new(options.db_name(Some(&ground.keyspace.name))).await.unwrap();
    for sql in ["BEGIN".to_owned(), add(ground.row(0, 5), 1), add(ground.row(1, 5), 1)] {
        at_work.query_drop(sql).await.unwrap();
    }
    let attributes = "SELECT COUNT(DISTINCT ATTR_VALUE) FROM performance_schema.session_connect_attrs WHERE ATTR_NAME = 'podway_incarnation'";
    eventually_async(SOON, "both have connections", async || {
        let mut counts = Vec::new();
        for server in [0, 1] {
            counts.push(root(&ground, server).await.query_first::<u64, _>(attributes).await.unwrap());
        }
        (counts == [Some(2), Some(2)]).then_some(())
    })
    .await;
    let [waits, left] = [41, 42].map(gtrid);
    leave(&ground, &format!("'{waits}','0.1',1347"), 1, 0).await;
    let begun = Instant::now();
    until_finished(&ground, &[&waits]).await;
    assert!(begun.elapsed() >= PATIENCE - Duration::from_secs(1), "its proxy lives: {:?}", begun.elapsed());

    drop((at_work, alive));
    eventually_async(SOON, "its connections are gone", async || {
        let count: Option<u64> = root(&ground, 1).await.query_first(attributes).await.unwrap();
        (count == Some(1)).then_some(())
    })
    .await;
    leave(&ground, &format!("'{left}','0.1',1347"), 1, 1).await;
    let begun = Instant::now();
    until_finished(&ground, &[&left]).await;
    assert!(begun.elapsed() < PATIENCE - Duration::from_secs(1), "its proxy is dead: {:?}", begun.elapsed());
    assert_eq!(standing(&ground, 0, &left).await.unwrap().0, "A");
    drop(proxy);
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_branch_that_is_older_than_decisions_are_kept_is_nobodys_to_guess() {
    let ground = Ground::new("left_behind_old").await;
    let day = 24 * 3_600_u64;
    let old = format!("{:016x}-00ff-0001-00000051", now().0 - ((day + 60) << 32));
    leave(&ground, &format!("'{old}','0.1',1347"), 1, 0).await;
    type Row = (Option<String>, String, Option<String>, u64, String);
    eventually_async(SOON, "it is seen that it is too old", async || {
        let rows: Vec<Row> = ground.session().await.query("SHOW PODWAY TRANSACTIONS").await.unwrap();
        let is_it = |row: &&Row| row.0.as_ref() == Some(&old);
        rows.iter().find(is_it).filter(|row| row.4 == "TOO OLD").map(|_| ())
    })
    .await;
    assert_eq!(standing(&ground, 0, &old).await, None, "no tombstone says what nobody knows");
    assert_eq!(prepared(ground.pod).await.len(), 1);
    decided(&ground, 0, &old, "C", Some(now().0)).await;
    until_finished(&ground, &[&old]).await;
    assert_eq!(added(&ground, 1, 0).await, 1);
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_branch_whose_primary_cannot_be_asked_waits_for_it() {
    if podway_tests::is_left_out("a server that is killed") {
        return;
    }
    let ground = Ground::new("left_behind_away").await;
    let [committed, undecided] = [21, 22].map(gtrid);
    decided(&ground, 0, &committed, "C", Some(now().0)).await;
    for (nth, g) in [&committed, &undecided].into_iter().enumerate() {
        leave(&ground, &format!("'{g}','0.1',1347"), 1, nth).await;
    }
    let unknown = gtrid(23);
    leave(&ground, &format!("'{unknown}','77.1',1347"), 1, 2).await;
    let server = ground.pod.server(ServerId(0)).await;
    let away = server.clone();
    tokio::task::spawn_blocking(move || away.kill().unwrap()).await.unwrap();
    // The resolver's patience with the coordinator is over, and it has looked again and again.
    let listed = async || {
        let mut conn = root(&ground, 1).await;
        let rows: Vec<(u64, u64, u64, String)> = conn.query("XA RECOVER").await.unwrap();
        rows.len()
    };
    let until = tokio::time::Instant::now() + Duration::from_secs(8);
    while tokio::time::Instant::now() < until {
        assert_eq!(listed().await, 3, "nobody may guess");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    tokio::task::spawn_blocking(move || server.restart().unwrap()).await.unwrap();
    until_finished(&ground, &[&committed, &undecided]).await;
    assert_eq!((added(&ground, 1, 0).await, added(&ground, 1, 1).await), (1, 0));
    assert_eq!(prepared(ground.pod).await.len(), 1, "a primary that is not in the map is asked never");
    root(&ground, 1).await.query_drop(format!("XA ROLLBACK '{unknown}','77.1',1347")).await.unwrap();
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn what_is_older_than_a_day_and_needed_by_nobody_is_forgotten() {
    let ground = Ground::new("forgotten").await;
    let [old, young, needed] = [21, 22, 23].map(gtrid);
    // Its primary is no server of the cluster, so that it stays prepared.
    let xid = format!("'{needed}','77.1',1347");
    leave(&ground, &xid, 1, 0).await;
    let mut admin = root(&ground, 0).await;
    for (g, hours) in [(&old, 25), (&young, 23), (&needed, 25)] {
        let sql = format!(
            "INSERT INTO _podway.decision (g, st, cts, parts, t) VALUES ('{g}', 'C', 7, '', NOW(6) - INTERVAL {hours} HOUR)"
        );
        admin.query_drop(sql).await.unwrap();
        let sql = format!(
            "INSERT INTO _podway.mark (g, ts, parts, t) VALUES ('{g}', 7, '', NOW(6) - INTERVAL {hours} HOUR)"
        );
        admin.query_drop(sql).await.unwrap();
    }
    admin.query_drop("INSERT INTO _podway.mark (g, ts, parts) VALUES ('forgotten', 8, '')").await.unwrap();
    let proxy = ground.pod.another_proxy(ground.pod.watch(), |_| {}).await.unwrap();
    eventually_async(SOON, "the old ones are forgotten", async || {
        let marks: Option<u64> = root(&ground, 0)
            .await
            .exec_first("SELECT COUNT(*) FROM _podway.mark WHERE g = ?", (&old,))
            .await
            .unwrap();
        (standing(&ground, 0, &old).await.is_none() && marks == Some(0)).then_some(())
    })
    .await;
    assert!(standing(&ground, 0, &young).await.is_some());
    assert!(standing(&ground, 0, &needed).await.is_some(), "a branch asks for it still");
    drop(proxy);
    root(&ground, 1).await.query_drop(format!("XA ROLLBACK {xid}")).await.unwrap();
    let sql = format!("DELETE FROM _podway.decision WHERE g IN ('{young}', '{needed}')");
    admin.query_drop(sql).await.unwrap();
    admin.query_drop("DELETE FROM _podway.mark WHERE ts < 10").await.unwrap();
}
