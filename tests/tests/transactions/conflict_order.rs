//! Stamps follow the order of conflicts, whatever proxies' clocks say. Each row says who wrote it last and who before; so each transaction knows whose work it read or
//! overwrote, and all of those have to have earlier stamps. With the rule taken out (a proxy that does not mind what servers have) the same load shows that they have not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway::provision::Declaration;
use podway_proxy::{StampClock, WallClock};
use podway_tests::is_left_out;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::clocks::{Skew, proxy_of, session_of};
use crate::ground::Ground;

/// Rows that all transactions want, on each shard.
const ROWS: usize = 3;
/// Sessions of each proxy.
const SESSIONS: u64 = 1;
/// Clocks are wrong by no more, in milliseconds.
const SKEW: i64 = 500;
/// After so many transactions a session sets its proxy's clock anew.
const ANEW: u64 = 12;

/// A transaction that was acknowledged.
#[derive(Debug)]
struct Committed {
    stamp: String,
    /// Those whose work it read or overwrote.
    after: Vec<u64>,
}

/// What all sessions share.
struct Shared {
    /// The rows' ids, by shard.
    rows: Vec<Vec<u64>>,
    last: AtomicU64,
    acknowledged: AtomicUsize,
    wanted: usize,
}

/// A client.
struct Client {
    conn: Conn,
    rng: StdRng,
    skew: Skew,
    shared: Arc<Shared>,
    committed: BTreeMap<u64, Committed>,
}

impl Client {
    async fn work(mut self) -> BTreeMap<u64, Committed> {
        let mut tried = 0;
        while self.shared.acknowledged.load(Ordering::Relaxed) < self.shared.wanted {
            tried += 1;
            if tried % ANEW == 0 {
                self.skew.set(self.rng.random_range(-SKEW..=SKEW));
            }
            let done = match self.rng.random_range(0..5) {
                0 => self.carry().await,
                _ => self.transact().await,
            };
            match done {
                Ok(()) => {}
                // A deadlock, or a wait that was too long.
                Err(Error::Server(error)) if [1213, 1205].contains(&error.code) => {
                    self.conn.query_drop("ROLLBACK").await.unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        self.committed
    }

    fn row(&mut self, shard: usize) -> u64 {
        self.shared.rows[shard][self.rng.random_range(0..ROWS)]
    }

    /// One to three shards are written to, and perhaps a further one is read; always in the same order, so that nobody waits in a circle.
    async fn transact(&mut self) -> Result<(), Error> {
        let me = self.shared.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut shards: Vec<usize> = (0..self.shared.rows.len()).collect();
        while shards.len() > 1 && self.rng.random_range(0..3) > 0 {
            shards.remove(self.rng.random_range(0..shards.len()));
        }
        // Of three or four, one is only read; of two, sometimes.
        let reads = shards.len() > 2 || (shards.len() == 2 && self.rng.random_range(0..4) == 0);
        let is_read = reads.then(|| self.rng.random_range(0..shards.len()));
        let writes: Vec<bool> = (0..shards.len()).map(|nth| Some(nth) != is_read).collect();
        let mut after = Vec::new();
        self.conn.query_drop("BEGIN").await?;
        for (shard, is_written) in shards.into_iter().zip(writes) {
            let row = self.row(shard);
            let column = if is_written { "before" } else { "writer" };
            if is_written {
                let sql = format!("UPDATE hot SET `before` = writer, writer = {me} WHERE id = {row}");
                self.conn.query_drop(sql).await?;
            }
            let sql = format!("SELECT `{column}` FROM hot WHERE id = {row}");
            let other: Option<u64> = self.conn.query_first(sql).await?;
            after.extend(other.filter(|other| *other != 0));
        }
        self.conn.query_drop("COMMIT").await?;
        let stamp: Option<String> = self.conn.query_first("SELECT PODWAY_LAST_COMMIT()").await?;
        self.committed.insert(me, Committed { stamp: stamp.unwrap(), after });
        self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// What one row has is brought to another on the same shard, by a transaction that has no stamp: whoever finds it there comes after who wrote it first.
    async fn carry(&mut self) -> Result<(), Error> {
        self.conn.query_drop("SET podway_stamp_single_shard = 0").await?;
        let carried = self.carry_unstamped().await;
        self.conn.query_drop("SET podway_stamp_single_shard = 1").await?;
        carried
    }

    async fn carry_unstamped(&mut self) -> Result<(), Error> {
        let shard = self.rng.random_range(0..self.shared.rows.len());
        let (from, to) = (self.shared.rows[shard][0], self.shared.rows[shard][1]);
        self.conn.query_drop("BEGIN").await?;
        let sql = format!("SELECT writer FROM hot WHERE id = {from} FOR SHARE");
        let writer: Option<u64> = self.conn.query_first(sql).await?;
        let sql = format!("UPDATE hot SET writer = {} WHERE id = {to}", writer.unwrap());
        self.conn.query_drop(sql).await?;
        self.conn.query_drop("COMMIT").await
    }
}

/// Pairs of transactions of which the second depends on the first, and whether its stamp is the later one.
fn pairs(committed: &BTreeMap<u64, Committed>) -> (usize, Vec<String>) {
    let (mut checked, mut wrong) = (0, Vec::new());
    for (number, one) in committed {
        for other in one.after.iter().filter_map(|other| Some((other, committed.get(other)?))) {
            checked += 1;
            if other.1.stamp >= one.stamp {
                wrong.push(format!("{number} ({}) follows {} ({})", one.stamp, other.0, other.1.stamp));
            }
        }
    }
    (checked, wrong)
}

/// Conflicting transactions through three proxies with such clocks.
async fn run(
    ground: &Ground,
    seed: u64,
    wanted: usize,
    clock: fn(WallClock) -> StampClock,
) -> (usize, Vec<String>) {
    println!("PODWAY_SEED={seed}");
    ground.session().await.query_drop("UPDATE hot SET writer = 0, `before` = 0").await.unwrap();
    let rows = (0..4).map(|shard| (0..ROWS).map(|nth| ground.row(shard, nth)).collect()).collect();
    let shared =
        Arc::new(Shared { rows, last: AtomicU64::new(0), acknowledged: AtomicUsize::new(0), wanted });
    let (mut proxies, mut clients) = (Vec::new(), Vec::new());
    for (nth, ms) in (0..).zip([SKEW, -SKEW, 0]) {
        let skew = Skew::of(ms);
        let (proxy, _) = proxy_of(ground, clock(skew.clock()), Duration::from_secs(5)).await;
        for session in 0..SESSIONS {
            let mut conn = session_of(ground, &proxy).await;
            conn.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
            conn.query_drop("SET podway_stamp_single_shard = 1").await.unwrap();
            let rng = StdRng::seed_from_u64(seed ^ (nth * SESSIONS + session + 1) << 32);
            let client =
                Client { conn, rng, skew: skew.clone(), shared: shared.clone(), committed: BTreeMap::new() };
            clients.push(tokio::spawn(client.work()));
        }
        proxies.push(proxy);
    }
    let mut committed = BTreeMap::new();
    for client in clients {
        committed.extend(client.await.unwrap());
    }
    let (checked, wrong) = pairs(&committed);
    println!("{} transactions, {checked} dependencies, {} out of order", committed.len(), wrong.len());
    (checked, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stamps_follow_every_conflict_under_skewed_clocks_and_not_without_the_rule() {
    if is_left_out("proxies of its own") {
        return;
    }
    let ground = Ground::new("conflict_order").await;
    let table = "CREATE TABLE hot (id BIGINT PRIMARY KEY, writer BIGINT NOT NULL, `before` BIGINT NOT NULL)";
    ground.keyspace.create_table(table, "hot", Declaration::sharded_by(&["id"])).await.unwrap();
    let mut conn = ground.session().await;
    for shard in 0..4 {
        for nth in 0..ROWS {
            let sql = format!("INSERT INTO hot VALUES ({}, 0, 0)", ground.row(shard, nth));
            conn.query_drop(sql).await.unwrap();
        }
    }
    let seed = std::env::var("PODWAY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_130);
    let (checked, wrong) = run(&ground, seed, 120, StampClock::deaf).await;
    assert!(!wrong.is_empty(), "the control shows nothing: of {checked} dependencies all are in order");
    let (checked, wrong) = run(&ground, seed, 240, StampClock::new).await;
    assert!(checked > 200, "{checked} dependencies are few");
    assert!(wrong.is_empty(), "{wrong:#?}");
    ground.nothing_is_open().await;
}
