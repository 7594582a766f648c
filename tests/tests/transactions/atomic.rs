//! Reads of one moment on several servers. What is read is a sum that transfers between servers leave as it is. A transfer is held between its commit on the first server and on the
//! second, so that it can be seen in part for certain; `fast` shows it so, `atomic` never.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway_model::{HybridClock, ServerId, ShardIndex};
use podway_tests::{RunningProxy, is_left_out};
use tokio::task::JoinHandle;

use crate::ground::{CELLS, Ground, add, answer, code};

const SUM: &str = "SELECT CAST(SUM(v) AS SIGNED) FROM cells";
/// One statement of each way in which several shards are read, and what of its rows is summed up.
const WAYS: [(&str, &str); 3] = [
    ("folded", "SELECT 0, CAST(SUM(v) AS SIGNED) FROM cells"),
    ("merged", "SELECT id, v FROM cells ORDER BY id"),
    ("finished", "SELECT COUNT(*) OVER (), v FROM cells"),
];

fn total() -> i64 {
    (1..=CELLS as i64).map(|id| id * 10).sum()
}

async fn root(ground: &Ground, server: u32) -> Conn {
    ground.pod.admin(ServerId(server)).await.unwrap()
}

async fn through(ground: &Ground, proxy: &RunningProxy) -> Conn {
    let options = ground.pod.client_options().tcp_port(proxy.address.port());
    Conn::new(options.db_name(Some(&ground.keyspace.name))).await.unwrap()
}

async fn sum(conn: &mut Conn, sql: &str) -> Result<i64, Error> {
    let rows: Vec<(u64, i64)> = conn.query(sql).await?;
    Ok(rows.into_iter().map(|(_, v)| v).sum())
}

/// A transfer that is committed on the first server and not yet on the second.
pub struct Held {
    lock: Conn,
    commit: JoinHandle<Result<(), Error>>,
}

impl Held {
    async fn new(ground: &Ground) -> Held {
        let changes = [add(ground.row(0, 0), -7), add(ground.row(1, 0), 7)];
        Held::by(ground, ground.session().await, &changes).await
    }

    /// By this session, with one change on the first server and one on the second.
    pub async fn by(ground: &Ground, mut conn: Conn, changes: &[String; 2]) -> Held {
        let mut holder = root(ground, 0).await;
        holder.query_drop("BEGIN").await.unwrap();
        holder.query_drop("SELECT COUNT(*) FROM _podway.decision FOR UPDATE").await.unwrap();
        conn.query_drop("BEGIN").await.unwrap();
        for sql in changes {
            conn.query_drop(sql).await.unwrap();
        }
        let commit = tokio::spawn(async move { conn.query_drop("COMMIT").await });
        ground.until_one_waits(0).await;
        // XA COMMIT waits for it; reads do not.
        let mut lock = root(ground, 1).await;
        let branches: Vec<mysql_async::Row> = lock.query("XA RECOVER").await.unwrap();
        assert_eq!(branches.len(), 1);
        lock.query_drop("FLUSH TABLES WITH READ LOCK").await.unwrap();
        holder.query_drop("ROLLBACK").await.unwrap();
        let mut direct = ground.keyspace.direct(ShardIndex(0)).await.unwrap();
        let sql = format!("SELECT v FROM cells WHERE id = {} FOR SHARE", ground.row(0, 0));
        let _committed: Option<i64> = direct.query_first(sql).await.unwrap();
        Held { lock, commit }
    }

    /// What its client was told.
    pub async fn let_go(mut self) -> Result<(), Error> {
        self.lock.query_drop("UNLOCK TABLES").await.unwrap();
        self.commit.await.unwrap()
    }
}

/// A proxy that does not wait long for snapshots.
async fn hasty(ground: &Ground) -> RunningProxy {
    let pod = ground.pod;
    pod.another_proxy(pod.watch(), |config| config.client.snapshot_deadline = Duration::from_millis(300))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_transfer_in_the_middle_of_its_commit_is_seen_in_part_by_fast_and_by_atomic_never() {
    if is_left_out("a proxy of its own") {
        return;
    }
    let ground = Ground::new("atomic_held").await;
    let hasty = hasty(&ground).await;
    let mut fast = ground.session().await;
    for (way, sql) in WAYS {
        let mut atomic = ground.session().await;
        let mut impatient = through(&ground, &hasty).await;
        for conn in [&mut atomic, &mut impatient] {
            conn.query_drop("SET podway_read = 'atomic'").await.unwrap();
        }
        assert_eq!(sum(&mut atomic, sql).await.unwrap(), total(), "{way}");
        let held = Held::new(&ground).await;
        assert_eq!(sum(&mut fast, sql).await.unwrap(), total() - 7, "{way}: it is seen in part");
        assert_eq!(code(sum(&mut impatient, sql).await), 1213, "{way}: nothing is better than a part");
        let waiting = tokio::spawn(async move { (sum(&mut atomic, sql).await, atomic) });
        let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
        assert_eq!(code(impatient.query_drop(begin).await), 1213);
        assert!(!waiting.is_finished());
        held.let_go().await.unwrap();
        let (seen, mut atomic) = waiting.await.unwrap();
        assert_eq!(seen.unwrap(), total(), "{way}");
        // By prepared statement too, and afterwards as ever.
        let rows: Vec<(u64, i64)> = atomic.exec(sql, ()).await.unwrap();
        assert_eq!(rows.into_iter().map(|(_, v)| v).sum::<i64>(), total(), "{way}");
        for conn in [&mut impatient, &mut fast] {
            assert_eq!(sum(conn, sql).await.unwrap(), total(), "{way}");
        }
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_reader_commits_what_a_dead_proxy_left_between_its_servers() {
    let ground = Ground::new("atomic_left").await;
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let stamp = HybridClock::new().now(wall).0;
    let g = format!("{stamp:016x}-00fe-0001-00000001");
    let mark = format!("INSERT INTO _podway.mark (g, ts, parts) VALUES ('{g}', {stamp}, '0,1')");
    // What a proxy does until it dies: the branch is prepared, the decision and the first server's part are committed.
    let mut branch = ground.pod.admin(ServerId(1)).await.unwrap();
    let schema =
        ground.keyspace.direct(ShardIndex(1)).await.unwrap().query_first("SELECT DATABASE()").await.unwrap();
    let schema: String = schema.unwrap();
    let xid = format!("'{g}','0.1',1347");
    for sql in [
        format!("USE {schema}"),
        format!("XA START {xid}"),
        add(ground.row(1, 0), 7),
        mark.clone(),
        format!("XA END {xid}"),
        format!("XA PREPARE {xid}"),
    ] {
        branch.query_drop(sql).await.unwrap();
    }
    let mut first = ground.pod.admin(ServerId(0)).await.unwrap();
    let schema =
        ground.keyspace.direct(ShardIndex(0)).await.unwrap().query_first("SELECT DATABASE()").await.unwrap();
    let schema: String = schema.unwrap();
    for sql in [
        format!("USE {schema}"),
        "BEGIN".to_owned(),
        add(ground.row(0, 0), -7),
        format!("INSERT INTO _podway.decision (g, st, cts, parts) VALUES ('{g}', 'C', {stamp}, '0,1')"),
        mark,
        "COMMIT".to_owned(),
    ] {
        first.query_drop(sql).await.unwrap();
    }
    let (mut fast, mut atomic) = (ground.session().await, ground.session().await);
    atomic.query_drop("SET podway_read = 'atomic'").await.unwrap();
    let begun = Instant::now();
    let seen: Option<i64> = fast.query_first(SUM).await.unwrap();
    assert_eq!(seen, Some(total() - 7));
    let seen: Option<i64> = atomic.query_first(SUM).await.unwrap();
    assert_eq!(seen, Some(total()));
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "sooner than the resolver would: {:?}",
        begun.elapsed()
    );
    assert_eq!(ground.marks(&format!("{g}-floor")).await.get(&1), Some(&stamp), "with its floor");
    ground.nothing_is_open().await;
}

/// Moves money between random cells until it is told to stop; how often.
async fn transfer(mut conn: Conn, ids: Vec<u64>, stop: Arc<AtomicBool>) -> usize {
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let from = ids[rand::random_range(0..ids.len())];
        let to = ids[rand::random_range(0..ids.len())];
        let moved = async {
            conn.query_drop("BEGIN").await?;
            conn.query_drop(add(from.min(to), -3)).await?;
            conn.query_drop(add(from.max(to), 3)).await?;
            conn.query_drop("COMMIT").await
        };
        match moved.await {
            Ok(()) => done += 1,
            Err(Error::Server(_)) => conn.query_drop("ROLLBACK").await.unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
    done
}

#[tokio::test]
async fn under_load_through_two_proxies_atomic_sums_are_always_right() {
    if is_left_out("a proxy of its own") {
        return;
    }
    let ground = Ground::new("atomic_load").await;
    let other = ground.pod.another_proxy(ground.pod.watch(), |_| {}).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let ids: Vec<u64> = (0..4).flat_map(|shard| [ground.row(shard, 0), ground.row(shard, 1)]).collect();
    let mut writers = Vec::new();
    for nth in 0..4 {
        let conn = if nth % 2 == 0 { ground.session().await } else { through(&ground, &other).await };
        writers.push(tokio::spawn(transfer(conn, ids.clone(), stop.clone())));
    }
    let mut readers = Vec::new();
    for (nth, (own_way, own_sql)) in WAYS.into_iter().enumerate() {
        let mut conn = if nth % 2 == 0 { ground.session().await } else { through(&ground, &other).await };
        let stop = stop.clone();
        readers.push(tokio::spawn(async move {
            let mut sums = 0;
            conn.query_drop("SET podway_read = 'atomic'").await.unwrap();
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(sum(&mut conn, own_sql).await.unwrap(), total(), "{own_way}, after {sums}");
                conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await.unwrap();
                for (way, sql) in WAYS {
                    assert_eq!(sum(&mut conn, sql).await.unwrap(), total(), "{way} in a snapshot");
                }
                conn.query_drop("COMMIT").await.unwrap();
                sums += 4;
            }
            sums
        }));
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        assert!(writer.await.unwrap() > 10, "transfers went on");
    }
    for reader in readers {
        assert!(reader.await.unwrap() > 4, "and readers did");
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_snapshot_of_all_servers_reads_and_writes_as_mysqls_own_but_on_one_server() {
    let mut ground = Ground::new("atomic_snapshot").await;
    let looks = ["SELECT id, v FROM cells ORDER BY id", SUM, "SELECT COUNT(*) FROM cells WHERE v > 100"];
    for begin in [
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ WRITE",
    ] {
        let mut both = ground.both().await;
        let (mut other, mut others) = (ground.session().await, ground.plain().await);
        both.same(begin).await;
        // The snapshot is of this moment, whatever is read first later on.
        for conn in [&mut other, &mut others] {
            conn.query_drop("BEGIN").await.unwrap();
            for shard in 0..4 {
                conn.query_drop(add(ground.row(shard, 2), 1)).await.unwrap();
            }
            conn.query_drop("COMMIT").await.unwrap();
        }
        both.all(&looks).await;
        both.same("SAVEPOINT a").await;
        let write = add(ground.row(1, 0), 5);
        both.same(&write).await;
        both.all(&looks).await;
        assert_eq!(answer(&mut both.ours, &add(ground.row(2, 0), 5)).await, "error 1235 42000");
        assert_eq!(answer(&mut both.ours, "UPDATE cells SET v = v + 1").await, "error 1235 42000");
        both.all(&looks).await;
        both.same("ROLLBACK TO SAVEPOINT a").await;
        both.all(&looks).await;
        both.same(&write).await;
        both.same("COMMIT").await;
        both.all(&looks).await;
        ground.same_rows().await;
        both.same(begin).await;
        both.same(&write).await;
        both.same("ROLLBACK").await;
        ground.same_rows().await;
    }
    ground.decisions().await;
    let mut conn = ground.session().await;
    conn.query_drop("SET podway_read = atomic").await.unwrap();
    for begin in ["BEGIN", "SET autocommit = 0"] {
        for sql in [begin, &format!("SELECT v FROM cells WHERE id = {}", ground.row(3, 0))] {
            conn.query_drop(sql).await.unwrap();
        }
        ground.session().await.query_drop("UPDATE cells SET v = v + 1").await.unwrap();
        let before: Option<i64> = conn.query_first(SUM).await.unwrap();
        let after: Option<i64> = ground.session().await.query_first(SUM).await.unwrap();
        assert_eq!(after.unwrap() - before.unwrap(), CELLS as i64, "{begin}");
        conn.query_drop(add(ground.row(3, 0), 0)).await.unwrap();
        assert_eq!(code(conn.query_drop(add(ground.row(0, 0), 0)).await), 1235, "{begin}");
        conn.query_drop("COMMIT").await.unwrap();
    }
    conn.query_drop("SET autocommit = 1").await.unwrap();
    // On its own a write of several servers is one transaction, as ever; and one transaction alone may read otherwise.
    conn.query_drop("UPDATE cells SET v = v - 2").await.unwrap();
    conn.query_drop("SET podway_read = fast").await.unwrap();
    conn.query_drop("SET @@podway_read = atomic").await.unwrap();
    for expected in [1235, 0] {
        conn.query_drop("BEGIN").await.unwrap();
        conn.query_drop(add(ground.row(0, 0), 0)).await.unwrap();
        assert_eq!(code(conn.query_drop(add(ground.row(1, 0), 0)).await), expected);
        conn.query_drop("ROLLBACK").await.unwrap();
    }
    conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE").await.unwrap();
    assert_eq!(code(conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").await), 1235);
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn what_is_read_while_podway_read_is_serializable_is_locked_on_every_server() {
    let ground = Ground::new("atomic_locks").await;
    for begin in ["BEGIN", "SET autocommit = 0"] {
        let (mut reader, mut writer) = (ground.session().await, ground.session().await);
        reader.query_drop("SET podway_read = 'serializable'").await.unwrap();
        writer.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
        reader.query_drop(begin).await.unwrap();
        reader.query_drop(begin).await.unwrap();
        let _: Option<i64> = reader.query_first(SUM).await.unwrap();
        for shard in [0, 3] {
            assert_eq!(code(writer.query_drop(add(ground.row(shard, 0), 1)).await), 1205, "{begin}");
        }
        reader.query_drop("COMMIT").await.unwrap();
        reader.query_drop("SET autocommit = 1").await.unwrap();
        let _: Option<i64> = reader.query_first(SUM).await.unwrap();
        writer.query_drop(add(ground.row(0, 0), 1)).await.unwrap();
    }
    ground.nothing_is_open().await;
}
