//! Proxies whose clocks are wrong: what is stamped, what is refused, and what nobody minds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway_model::{HybridTime, ServerId};
use podway_proxy::{StampClock, WallClock};
use podway_tests::{RunningProxy, eventually_async, is_left_out};

use crate::ground::{CELLS, Ground, SOON, add, code};

/// How far proxies' clocks are ahead of this machine's, in milliseconds; negative: behind.
#[derive(Clone, Default)]
pub struct Skew(Arc<AtomicI64>);

impl Skew {
    pub fn of(ms: i64) -> Skew {
        Skew(Arc::new(AtomicI64::new(ms)))
    }

    pub fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::Relaxed);
    }

    /// A clock with it.
    pub fn clock(&self) -> WallClock {
        let skew = self.0.clone();
        WallClock::of(move || {
            let ms = skew.load(Ordering::Relaxed);
            let by = Duration::from_millis(ms.unsigned_abs());
            if ms < 0 { wall() - by } else { wall() + by }
        })
    }
}

/// A row of SHOW PODWAY CLOCKS.
type ClockRow = (String, Option<String>, Option<String>, u64, String);

/// This machine's time.
fn wall() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
}

/// A proxy with this clock, and a session of it.
pub async fn proxy_of(ground: &Ground, clock: StampClock, most_ahead: Duration) -> (RunningProxy, Conn) {
    let configure = move |config: &mut podway_proxy::ProxyConfig| {
        config.clock = Arc::new(clock);
        config.max_clock_ahead = most_ahead;
    };
    let proxy = ground.pod.another_proxy(ground.pod.watch(), configure).await.unwrap();
    let conn = session_of(ground, &proxy).await;
    (proxy, conn)
}

pub async fn session_of(ground: &Ground, proxy: &RunningProxy) -> Conn {
    let options = ground.pod.client_options().tcp_port(proxy.address.port());
    Conn::new(options.db_name(Some(&ground.keyspace.name))).await.unwrap()
}

/// Writes on these shards and commits; the stamp.
async fn commit_on(conn: &mut Conn, ground: &Ground, shards: &[usize]) -> Result<HybridTime, Error> {
    conn.query_drop("BEGIN").await?;
    for shard in shards {
        conn.query_drop(add(ground.row(*shard, 0), 1)).await?;
    }
    conn.query_drop("COMMIT").await?;
    let stamp: Option<String> = conn.query_first("SELECT PODWAY_LAST_COMMIT()").await?;
    Ok(HybridTime(u64::from_str_radix(&stamp.unwrap(), 16).unwrap()))
}

async fn state_of(conn: &mut Conn, clock: &str) -> String {
    let rows: Vec<ClockRow> = conn.query("SHOW PODWAY CLOCKS").await.unwrap();
    let row = rows.iter().find(|row| row.0.starts_with(clock)).unwrap_or_else(|| panic!("{rows:?}"));
    row.4.clone()
}

async fn measured(conn: &mut Conn, name: &str) -> u64 {
    let all: Vec<(String, u64)> = conn.query("SHOW PODWAY METRICS").await.unwrap();
    all.into_iter().find(|(known, _)| known == name).unwrap().1
}

async fn rows(ground: &Ground) -> Vec<(u64, i64)> {
    ground.session().await.query("SELECT id, v FROM cells ORDER BY id").await.unwrap()
}

const HOUR_MS: i64 = 3_600_000;

// structure: one proxy whose clock is an hour ahead, set right, and set back
#[tokio::test]
async fn a_proxy_that_is_too_far_ahead_refuses_what_needs_a_stamp_before_anything_is_prepared() {
    if is_left_out("a proxy of its own") {
        return;
    }
    let mut ground = Ground::new("clocks_ahead").await;
    let skew = Skew::of(HOUR_MS);
    let (_proxy, mut conn) = proxy_of(&ground, StampClock::new(skew.clock()), StampClock::MOST_AHEAD).await;
    ground.decisions().await;
    let before = rows(&ground).await;

    let everywhere = format!("UPDATE cells SET v = v + 1 WHERE id <= {CELLS}");
    for statements in [
        vec!["BEGIN".to_owned(), add(ground.row(0, 0), 1), add(ground.row(1, 0), 1), "COMMIT".to_owned()],
        vec!["BEGIN".to_owned(), everywhere.clone(), "BEGIN".to_owned()],
        vec![everywhere.clone()],
    ] {
        let (last, first) = statements.split_last().unwrap();
        for sql in first {
            conn.query_drop(sql).await.unwrap();
        }
        let Error::Server(refused) = conn.query_drop(last).await.unwrap_err() else { panic!("{last}") };
        assert_eq!((refused.code, refused.state.as_str()), (1180, "HY000"), "{refused}");
        for what in ["ms ahead", "max_clock_ahead (250 ms)", "rolled back on all servers"] {
            assert!(refused.message.contains(what), "{refused}");
        }
    }
    assert_eq!(rows(&ground).await, before);
    assert!(ground.decisions().await.is_empty());
    ground.nothing_is_open().await;
    assert_eq!(state_of(&mut conn, "this proxy").await, "REFUSES TO STAMP");
    for server in 0..4 {
        let address = ground.pod.map().server(ServerId(server)).unwrap().address();
        assert_eq!(state_of(&mut conn, &address).await, "THIS ONE IS AHEAD");
    }
    assert_eq!(measured(&mut conn, "clock_is_too_far_ahead").await, 1);
    assert_eq!(measured(&mut conn, "clock_refused_stamps").await, 3);

    // What one server writes needs none, also where others are read.
    conn.query_drop(add(ground.row(0, 0), 5)).await.unwrap();
    for shards in [vec![1], vec![2, 3]] {
        conn.query_drop("BEGIN").await.unwrap();
        for shard in &shards[1..] {
            let sql = format!("SELECT v FROM cells WHERE id = {}", ground.row(*shard, 0));
            conn.query_drop(sql).await.unwrap();
        }
        conn.query_drop(add(ground.row(shards[0], 0), 5)).await.unwrap();
        conn.query_drop("COMMIT").await.unwrap();
    }
    let changed = rows(&ground).await.into_iter().zip(before).filter(|(now, then)| now != then).count();
    assert_eq!(changed, 3);

    // Set right, it goes on at once, and nothing is left of the hour.
    skew.set(0);
    let right = commit_on(&mut conn, &ground, &[0, 1]).await.unwrap();
    assert!(right.ahead_of(HybridTime::at(wall())) < Duration::from_secs(1), "{right}");
    assert_eq!(state_of(&mut conn, "this proxy").await, "stamps");
    // Set back, it goes on from its last stamp, also where no server has that.
    skew.set(-2_000);
    let behind = commit_on(&mut conn, &ground, &[2, 3]).await.unwrap();
    assert!(behind > right, "{behind}, {right}");
    assert_eq!(measured(&mut conn, "clock_steps_back").await, 2);
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_proxy_that_starts_anew_with_a_slow_clock_goes_on_from_what_it_had_stamped() {
    if is_left_out("proxies of its own") {
        return;
    }
    let ground = Ground::new("clocks_anew").await;
    let before = {
        let clock = StampClock::new(Skew::of(200).clock());
        let (_proxy, mut conn) = proxy_of(&ground, clock, StampClock::MOST_AHEAD).await;
        commit_on(&mut conn, &ground, &[2, 3]).await.unwrap()
    };
    // On other servers, so that only what is asked before the first stamp can tell.
    let slow = Skew::of(-3_000);
    let deaf = StampClock::deaf(slow.clock());
    let (_deaf, mut conn) = proxy_of(&ground, deaf, StampClock::MOST_AHEAD).await;
    let without = commit_on(&mut conn, &ground, &[0, 1]).await.unwrap();
    assert!(without < before, "the control goes back: {without}, {before}");
    let (_proxy, mut conn) = proxy_of(&ground, StampClock::new(slow.clock()), StampClock::MOST_AHEAD).await;
    let after = commit_on(&mut conn, &ground, &[0, 1]).await.unwrap();
    assert!(after > before, "{after}, {before}");
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_stamp_that_a_server_has_is_taken_over_however_far_it_is_ahead() {
    if is_left_out("marks of the test's own") {
        return;
    }
    let ground = Ground::new("clocks_marks").await;
    let far = HybridTime::at(wall() + Duration::from_millis(2_500));
    let mut root = ground.pod.admin(ServerId(0)).await.unwrap();
    let mark = "INSERT INTO _podway.mark (g, ts, parts) VALUES ('by hand', ?, '0')";
    root.exec_drop(mark, (far.0,)).await.unwrap();
    let mut conn = ground.session().await;
    let there = commit_on(&mut conn, &ground, &[0, 1]).await.unwrap();
    let elsewhere = commit_on(&mut conn, &ground, &[2, 3]).await.unwrap();
    assert!(far < there && there < elsewhere, "{far}, {there}, {elsewhere}");
    root.query_drop("DELETE FROM _podway.mark WHERE g = 'by hand'").await.unwrap();
    // Stamps of the tests after this one are made of clocks again.
    eventually_async(SOON, "time has come so far", async || {
        (HybridTime::at(wall()) > elsewhere).then_some(())
    })
    .await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn clocks_are_shown_to_who_may_see_all_sessions() {
    let ground = Ground::new("clocks_shown").await;
    let mut conn = ground.session().await;
    eventually_async(SOON, "all servers' clocks are known", async || {
        let mut conn = ground.session().await;
        let rows: Vec<ClockRow> = conn.query("SHOW PODWAY CLOCKS").await.unwrap();
        let agree = rows.iter().filter(|row| row.4 == "agrees" && row.1.is_some()).count();
        (agree >= 4).then_some(())
    })
    .await;
    commit_on(&mut conn, &ground, &[0, 1]).await.unwrap();
    assert_eq!(state_of(&mut conn, "this proxy").await, "stamps");
    assert_eq!(code(conn.query_drop("SHOW PODWAY CLOCK").await), 1064);
}
