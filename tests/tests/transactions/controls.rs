//! What the parts of the protocol are for: a proxy of the test's own leaves one out, and what then goes wrong is found by the checks that find nothing while it is there. The lists of the checks are the
//! cells' notes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use podway_model::{ServerId, ShardIndex};
use podway_proxy::{ProxyConfig, Safeguards, StampClock};
use podway_tests::chaos::history::{Anomaly, End, Fault, Mode, Op, Seen, faults};
use podway_tests::{RunningProxy, eventually_async, is_left_out};

use crate::atomic::Held;
use crate::clocks::Skew;
use crate::ground::{CELLS, Ground, SERVERS, SOON, code, prepared};
use crate::stamps::ahead;

/// A proxy that leaves something out.
async fn proxy(ground: &Ground, configure: fn(&mut ProxyConfig)) -> RunningProxy {
    ground.pod.another_proxy(ground.pod.watch(), configure).await.unwrap()
}

async fn through(ground: &Ground, proxy: &RunningProxy) -> Conn {
    let options = ground.pod.client_options().tcp_port(proxy.address.port());
    Conn::new(options.db_name(Some(&ground.keyspace.name))).await.unwrap()
}

/// A keyspace whose lists are empty.
async fn ground(name: &str) -> Ground {
    let ground = Ground::new(name).await;
    ground.session().await.query_drop("UPDATE cells SET note = ''").await.unwrap();
    ground
}

fn append(list: u64, value: u64) -> String {
    format!("UPDATE cells SET note = CONCAT(note, '{value},') WHERE id = {list}")
}

fn values(note: &str) -> Vec<u64> {
    note.split(',').filter_map(|value| value.parse().ok()).collect()
}

/// What is in the lists, on the servers themselves.
async fn lists(ground: &Ground) -> BTreeMap<u64, Vec<u64>> {
    let mut lists = BTreeMap::new();
    for shard in 0..SERVERS {
        let mut direct = ground.keyspace.direct(ShardIndex(shard)).await.unwrap();
        let rows: Vec<(u64, String)> = direct.query("SELECT id, note FROM cells").await.unwrap();
        lists.extend(rows.into_iter().map(|(list, note)| (list, values(&note))));
    }
    assert_eq!(lists.len(), CELLS as usize);
    lists
}

/// All lists, as one statement shows them.
async fn read(conn: &mut Conn) -> Result<Vec<Op>, mysql_async::Error> {
    let rows: Vec<(u64, String)> = conn.query("SELECT id, note FROM cells").await?;
    Ok(rows.into_iter().map(|(list, note)| Op::Read(list, values(&note))).collect())
}

/// Of a transaction that goes on while the others do.
fn seen(end: End, mode: Mode, ops: Vec<Op>, stamp: Option<u64>) -> Seen {
    Seen { end, mode, is_late: false, stamp, during: (0, 1), ops }
}

fn found(anomaly: Anomaly, by: usize) -> BTreeSet<Fault> {
    BTreeSet::from([Fault { anomaly, by }])
}

#[tokio::test]
async fn without_a_comparison_of_marks_a_reader_of_one_moment_sees_a_transfer_in_part() {
    if is_left_out("a proxy of its own") {
        return;
    }
    let ground = ground("control_marks").await;
    let blind = proxy(&ground, |config| config.safeguards.compares_marks = false).await;
    let (mut blind, mut seeing) = (through(&ground, &blind).await, ground.session().await);
    for conn in [&mut blind, &mut seeing] {
        conn.query_drop("SET podway_read = 'atomic'").await.unwrap();
    }
    let (first, second) = (ground.row(0, 0), ground.row(1, 0));
    let held = Held::by(&ground, ground.session().await, &[append(first, 7), append(second, 8)]).await;
    let seeing = tokio::spawn(async move { read(&mut seeing).await.unwrap() });
    let by_blind = read(&mut blind).await.unwrap();
    held.let_go().await.unwrap();
    let by_seeing = seeing.await.unwrap();
    let writer = seen(End::Committed, Mode::Fast, vec![Op::Append(first, 7), Op::Append(second, 8)], None);
    let history = [(by_seeing, BTreeSet::new()), (by_blind, found(Anomaly::Fractured, 1))];
    for (ops, expected) in history {
        let reader = seen(End::Committed, Mode::Atomic, ops, None);
        assert_eq!(faults(&[writer.clone(), reader], &lists(&ground).await), expected);
    }
    ground.nothing_is_open().await;
}

/// A server that stands still until this ends.
struct Stopped(Pid);

impl Stopped {
    async fn of(ground: &Ground, server: u32) -> Stopped {
        let pid = ground.pod.server(ServerId(server)).await.pid().unwrap();
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        kill(pid, Signal::SIGSTOP).unwrap();
        Stopped(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        kill(self.0, Signal::SIGCONT).unwrap();
    }
}

/// How long a reader that was sent is given to ask the servers that answer. Should it take longer, nothing is seen in part, and all is done again.
const ASKED: Duration = Duration::from_millis(300);

/// What a reader of one moment sees who asked the first two servers what is prepared there before a transfer was, and opens its snapshots in the middle of its commit: between, a third server did not answer. And what
/// the transfer's client was told.
async fn overtaken(
    ground: &Ground,
    (mut writer, mut reader): (Conn, Conn),
    value: u64,
    has_deadline: bool,
) -> (Vec<Op>, u16) {
    let changes = [append(ground.row(0, 0), value), append(ground.row(1, 0), value)];
    let stopped = Stopped::of(ground, 2).await;
    let reading = tokio::spawn(async move { read(&mut reader).await.unwrap() });
    tokio::time::sleep(ASKED).await;
    if !has_deadline {
        let held = Held::by(ground, writer, &changes).await;
        drop(stopped);
        let seen = reading.await.unwrap();
        return (seen, code(held.let_go().await));
    }
    // It is too late at once.
    writer.query_drop("BEGIN").await.unwrap();
    for sql in changes {
        writer.query_drop(sql).await.unwrap();
    }
    let told = code(writer.query_drop("COMMIT").await);
    drop(stopped);
    (reading.await.unwrap(), told)
}

#[tokio::test]
async fn without_a_deadline_a_slow_clocks_decision_is_older_than_readers_look_back() {
    if is_left_out("proxies of its own, and a server that is stopped") {
        return;
    }
    let ground = ground("control_deadline").await;
    // The reader's comparison goes back 15 seconds; the deadline keeps decisions of older stamps away.
    let slow = |config: &mut ProxyConfig| config.clock = Arc::new(StampClock::new(Skew::of(-30_000).clock()));
    let patient = |config: &mut ProxyConfig| config.client.snapshot_deadline = SOON;
    let through_reader = proxy(&ground, patient).await;
    for has_deadline in [true, false] {
        let coordinator = match has_deadline {
            true => proxy(&ground, slow).await,
            false => {
                let without = move |config: &mut ProxyConfig| {
                    slow(config);
                    config.safeguards.has_deadline = false;
                };
                ground.pod.another_proxy(ground.pod.watch(), without).await.unwrap()
            }
        };
        // Younger stamps would be heard of, and its own be later.
        for server in 0..u32::from(SERVERS) {
            let mut root = ground.pod.admin(ServerId(server)).await.unwrap();
            root.query_drop("DELETE FROM _podway.mark").await.unwrap();
        }
        let (mut value, mut tries) = (if has_deadline { 100 } else { 200 }, 0);
        loop {
            (value, tries) = (value + 1, tries + 1);
            let writer = through(&ground, &coordinator).await;
            let mut reader = through(&ground, &through_reader).await;
            reader.query_drop("SET podway_read = 'atomic'").await.unwrap();
            let (ops, told) = overtaken(&ground, (writer, reader), value, has_deadline).await;
            ground.nothing_is_open().await;
            let end = if has_deadline { End::Aborted } else { End::Committed };
            assert_eq!(told, if has_deadline { 1213 } else { 0 });
            let appends = [0, 1].map(|shard| Op::Append(ground.row(shard, 0), value)).to_vec();
            let history =
                [seen(end, Mode::Fast, appends, None), seen(End::Committed, Mode::Atomic, ops, None)];
            let found = faults(&history, &lists(&ground).await);
            match has_deadline {
                true => assert_eq!(found, BTreeSet::new()),
                false if found.is_empty() && tries < 10 => continue,
                false => assert_eq!(found, self::found(Anomaly::Fractured, 1)),
            }
            break;
        }
    }
}

/// How many statements wait for locks on the first server.
async fn waiting(root: &mut Conn) -> u64 {
    let sql = "SELECT COUNT(DISTINCT REQUESTING_THREAD_ID) FROM performance_schema.data_lock_waits";
    root.query_first(sql).await.unwrap().unwrap()
}

/// The other proxies of these servers write tombstones: those that wait are ended, after the last proxy has looked that still saw the branch.
async fn end_tombstones(root: &mut Conn) {
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let sql =
        "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'INSERT INTO \\_podway.decision%'";
    let threads: Vec<u64> = root.query(sql).await.unwrap();
    for thread in threads {
        root.query_drop(format!("KILL {thread}")).await.unwrap();
    }
    let root = tokio::sync::Mutex::new(root);
    eventually_async(SOON, "only the decision waits", async || {
        (waiting(*root.lock().await).await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_tombstone_a_coordinator_that_was_given_up_tears_its_transaction() {
    if is_left_out("a proxy of its own") {
        return;
    }
    let ground = ground("control_tombstone").await;
    let patient = |config: &mut ProxyConfig| config.client.commit_step = Duration::from_secs(60);
    let coordinator = proxy(&ground, patient).await;
    let mut root = ground.pod.admin(ServerId(0)).await.unwrap();
    for has_tombstones in [true, false] {
        // While it runs, another's resolver has no tombstones.
        let hasty = match has_tombstones {
            true => None,
            false => Some(proxy(&ground, |config| config.safeguards.has_tombstones = false).await),
        };
        let mut conn = through(&ground, &coordinator).await;
        let (first, second) = (ground.row(0, 1), ground.row(1, 1));
        let value = if has_tombstones { 1 } else { 2 };
        let mut holder = ground.pod.admin(ServerId(0)).await.unwrap();
        holder.query_drop("BEGIN").await.unwrap();
        holder.query_drop("SELECT COUNT(*) FROM _podway.decision FOR UPDATE").await.unwrap();
        conn.query_drop("BEGIN").await.unwrap();
        for list in [first, second] {
            conn.query_drop(append(list, value)).await.unwrap();
        }
        let commit = tokio::spawn(async move { code(conn.query_drop("COMMIT").await) });
        ground.until_one_waits(0).await;
        // Its coordinator is slow. With tombstones, whoever gives it up waits for what it is about to write; without, the branch is rolled back at once.
        match has_tombstones {
            true => {
                let root = tokio::sync::Mutex::new(&mut root);
                eventually_async(SOON, "a tombstone waits behind the decision", async || {
                    (waiting(*root.lock().await).await > 1).then_some(())
                })
                .await;
            }
            false => {
                eventually_async(SOON, "the branch is given up", async || {
                    prepared(ground.pod).await.is_empty().then_some(())
                })
                .await;
                end_tombstones(&mut root).await;
            }
        }
        holder.query_drop("ROLLBACK").await.unwrap();
        // With tombstones either may be first.
        let end = match commit.await.unwrap() {
            1213 if has_tombstones => End::Aborted,
            told => {
                assert_eq!(told, 0);
                End::Committed
            }
        };
        ground.nothing_is_open().await;
        drop(hasty);
        let ops = vec![Op::Append(first, value), Op::Append(second, value)];
        let history = [seen(end, Mode::Fast, ops, None)];
        let expected = if has_tombstones { BTreeSet::new() } else { found(Anomaly::Lost, 0) };
        assert_eq!(faults(&history, &lists(&ground).await), expected, "tombstones: {has_tombstones}");
    }
}

/// What a session appends, and the stamp of it.
async fn commit(conn: &mut Conn, appends: &[(u64, u64)]) -> Seen {
    conn.query_drop("BEGIN").await.unwrap();
    for (list, value) in appends {
        conn.query_drop(append(*list, *value)).await.unwrap();
    }
    conn.query_drop("COMMIT").await.unwrap();
    let stamp: Option<String> = conn.query_first("SELECT PODWAY_LAST_COMMIT()").await.unwrap().unwrap();
    let ops = appends.iter().map(|(list, value)| Op::Append(*list, *value)).collect();
    seen(End::Committed, Mode::Fast, ops, Some(u64::from_str_radix(&stamp.unwrap(), 16).unwrap()))
}

#[tokio::test]
async fn without_floors_what_overwrites_another_may_have_the_earlier_stamp() {
    if is_left_out("a proxy of its own") {
        return;
    }
    let ground = ground("control_floor").await;
    for has_floors in [true, false] {
        // A clock that was ahead is overtaken by the others after some tenths of a second: until then all has to be done.
        let mut tries = 0;
        let history = loop {
            tries += 1;
            assert!(tries < 50, "the machine is too busy");
            let between = match has_floors {
                true => proxy(&ground, |_| {}).await,
                false => proxy(&ground, |config| config.safeguards.has_floors = false).await,
            };
            let mut between = through(&ground, &between).await;
            // It has stamped before: a proxy asks all servers for their stamps before its first one.
            commit(&mut between, &[(ground.row(0, 1), 1), (ground.row(1, 0), 1)]).await;
            let mut behind = ground.session().await;
            behind.query_drop("UPDATE cells SET note = ''").await.unwrap();
            let begun = Instant::now();
            let ahead = ahead(&ground).await;
            let mut ahead = through(&ground, &ahead).await;
            let value = 10 * (tries + 1);
            // What comes between learns the high stamp on the first server, and leaves its own on the second; what comes behind finds it there, or does not.
            let history = [
                commit(&mut ahead, &[(ground.row(0, 0), value), (ground.row(2, 0), value)]).await,
                commit(&mut between, &[(ground.row(0, 1), value + 1), (ground.row(1, 0), value + 1)]).await,
                commit(&mut behind, &[(ground.row(1, 0), value + 2), (ground.row(3, 0), value + 2)]).await,
            ];
            if begun.elapsed() < Duration::from_millis(350) {
                break history;
            }
        };
        let lists = lists(&ground).await;
        let expected = if has_floors { BTreeSet::new() } else { found(Anomaly::Unordered, 2) };
        assert_eq!(faults(&history, &lists), expected, "floors: {has_floors}: {history:?}");
    }
    ground.nothing_is_open().await;
}

#[test]
fn a_proxy_leaves_nothing_out_unless_a_test_says_so() {
    let Safeguards { has_tombstones, has_deadline, has_floors, compares_marks } = Safeguards::default();
    assert!(has_tombstones && has_deadline && has_floors && compares_marks);
}
