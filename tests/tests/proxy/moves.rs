//! A shard changes its owner: statements wait while it is frozen, its old server refuses those that come too late, and nothing that was
//! acknowledged is lost, done twice, or seen on the wrong side. The steps of the move are done by hand here, as the topology does them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use podway::provision::create_schema;
use podway_model::{Epoch, FreezeId, Map, Revision, ServerId, Shard, ShardIndex};
use podway_tests::{Pod, RunningProxy, TestKeyspace, eventually_async, is_left_out};
use podway_topology_api::{MapPublisher, map_channel};
use tokio::task::JoinHandle;

use crate::shop::{CUSTOMERS, shop};

/// The shard that moves: neither the home shard nor the one with another physical name.
const MOVING: ShardIndex = ShardIndex(1);
/// What the tests wait for at most.
const DEADLINE: Duration = Duration::from_secs(30);

/// A move of [`MOVING`] to another server, step by step.
struct Move<'a> {
    keyspace: &'a TestKeyspace<'static>,
    source: Shard,
    target: Shard,
    freeze: FreezeId,
}

impl<'a> Move<'a> {
    async fn to(keyspace: &'a TestKeyspace<'static>, server: ServerId) -> Move<'a> {
        let source = keyspace.get().shard(MOVING).unwrap().clone();
        let schema = format!("{}__moved", keyspace.name);
        create_schema(&mut keyspace.pod.admin(server).await.unwrap(), &schema).await.unwrap();
        let target = Shard {
            id: source.id,
            server,
            schema: keyspace.pod.map().names.name(&schema),
            epoch: Epoch(source.epoch.0 + 1),
        };
        Move { keyspace, freeze: FreezeId(source.id.0.into()), source, target }
    }

    async fn freeze(&self, freeze: Option<FreezeId>) {
        self.keyspace.change(|keyspace| keyspace.set_freeze(MOVING, freeze)).await.unwrap();
    }

    async fn wait_until_drained(&self, proxy: &RunningProxy) {
        eventually_async(DEADLINE, "the proxy drains the shard", async || {
            proxy.proxy.drained().contains(&self.freeze).then_some(())
        })
        .await;
    }

    /// ALTER DATABASE … READ ONLY on the source, which waits for whoever still works there.
    async fn fence(&self, on: bool) {
        let sql = format!("ALTER DATABASE `{}` READ ONLY = {}", self.source.schema, u8::from(on));
        self.keyspace.pod.admin(self.source.server).await.unwrap().query_drop(sql).await.unwrap();
    }

    async fn copy(&self) {
        let mut from = self.keyspace.pod.admin(self.source.server).await.unwrap();
        let mut to = self.keyspace.pod.admin(self.target.server).await.unwrap();
        from.query_drop(format!("USE `{}`", self.source.schema)).await.unwrap();
        to.query_drop(format!("USE `{}`", self.target.schema)).await.unwrap();
        for table in ["customers", "orders", "countries"] {
            let create: Row = from.query_first(format!("SHOW CREATE TABLE {table}")).await.unwrap().unwrap();
            to.query_drop(create.get::<String, _>(1).unwrap()).await.unwrap();
            let rows: Vec<Row> = from.exec(format!("SELECT * FROM {table}"), ()).await.unwrap();
            for row in rows {
                let values = row.unwrap();
                let marks = vec!["?"; values.len()].join(",");
                to.exec_drop(format!("INSERT INTO {table} VALUES ({marks})"), values).await.unwrap();
            }
        }
    }

    async fn flip(&self) {
        self.keyspace
            .change(|keyspace| {
                keyspace.shards[usize::from(MOVING.0)] = self.target.clone();
                keyspace.set_freeze(MOVING, None);
            })
            .await
            .unwrap();
    }

    /// A customer on the shard that moves, and one that is not.
    async fn customers(&self) -> (u64, u64) {
        let mut source = self.keyspace.pod.admin(self.source.server).await.unwrap();
        let sql = format!("SELECT id FROM `{}`.customers ORDER BY id", self.source.schema);
        let there: Vec<u64> = source.query(sql).await.unwrap();
        let elsewhere = (1..=CUSTOMERS).find(|id| !there.contains(id)).unwrap();
        (there[0], elsewhere)
    }

    async fn balance(&self, shard: &Shard, id: u64) -> Option<f64> {
        let mut conn = self.keyspace.pod.admin(shard.server).await.unwrap();
        let sql = format!("SELECT balance FROM `{}`.customers WHERE id = {id}", shard.schema);
        conn.query_first(sql).await.unwrap()
    }
}

/// A proxy with a map of its own, which does not hear of the pod's changes until it is told.
struct Stale {
    publisher: MapPublisher,
    proxy: RunningProxy,
}

impl Stale {
    async fn start(pod: &Pod) -> Stale {
        let (publisher, watch) = map_channel((*pod.map()).clone());
        publisher.set_live(false);
        let proxy = pod
            .another_proxy(watch, |config| config.client.move_deadline = Duration::from_secs(3))
            .await
            .unwrap();
        Stale { publisher, proxy }
    }

    async fn connect(&self, keyspace: &TestKeyspace<'_>) -> Conn {
        let port = self.proxy.address.port();
        let options = keyspace.pod.client_options().tcp_port(port).db_name(Some(&keyspace.name));
        Conn::new(options).await.unwrap()
    }

    fn hear_of(&self, map: &Map) {
        self.publisher.publish(map.clone()).unwrap();
    }
}

fn number(error: Error) -> u16 {
    match error {
        Error::Server(error) => error.code,
        error => panic!("not an answer of the server: {error}"),
    }
}

const ADD: &str = "UPDATE customers SET balance = balance + 1 WHERE id = ";

#[tokio::test]
async fn a_proxy_with_an_old_map_is_refused_by_the_shard_and_finds_the_new_owner() {
    if is_left_out("a map of its own making") {
        return;
    }
    let keyspace = shop("moves_stale", 3).await;
    let stale = Stale::start(keyspace.pod).await;
    let step = Move::to(&keyspace, ServerId(3)).await;
    let (id, other) = step.customers().await;
    step.fence(true).await;
    step.copy().await;
    step.flip().await;
    let mut fresh = keyspace.connect().await.unwrap();
    fresh.query_drop(format!("{ADD}{id}")).await.unwrap();

    // Not told of the move, it says that it is to be tried again, and does nothing.
    let mut conn = stale.connect(&keyspace).await;
    let refused = conn.query_drop(format!("{ADD}{id}")).await.unwrap_err();
    assert_eq!(number(refused), 1213);
    conn.query_drop(format!("{ADD}{other}")).await.unwrap();
    assert_eq!(step.balance(&step.source, id).await, Some(0.0));

    // Told while statements wait, it sends them to the new owner: text, prepared, and a transaction's first.
    let mut text = stale.connect(&keyspace).await;
    let mut prepared = stale.connect(&keyspace).await;
    let mut transaction = stale.connect(&keyspace).await;
    let waiting = [
        tokio::spawn(async move { text.query_drop(format!("{ADD}{id}")).await.map(|()| text) }),
        tokio::spawn(async move { prepared.exec_drop(format!("{ADD}?"), (id,)).await.map(|()| prepared) }),
        tokio::spawn(async move {
            transaction.query_drop("BEGIN").await?;
            transaction.query_drop("SAVEPOINT here").await?;
            transaction.query_drop(format!("{ADD}{id}")).await?;
            transaction.query_drop("ROLLBACK TO here").await?;
            transaction.query_drop(format!("{ADD}{id}")).await?;
            transaction.query_drop("COMMIT").await.map(|()| transaction)
        }),
    ];
    eventually_async(DEADLINE, "the three wait", async || {
        (stale.proxy.proxy.metrics().rerouted >= 4).then_some(())
    })
    .await;
    // Other tests change the pod's map too.
    let newest = keyspace.pod.map();
    stale.hear_of(&newest);
    for statement in waiting {
        statement.await.unwrap().unwrap();
    }
    assert_eq!(step.balance(&step.source, id).await, Some(0.0), "the old owner was never written");
    assert_eq!(step.balance(&step.target, id).await, Some(4.0));
    assert_eq!(newest.revision, stale.proxy.proxy.applied());
}

#[tokio::test]
async fn statements_for_a_frozen_shard_wait_and_others_do_not() {
    if is_left_out("a map of its own making") {
        return;
    }
    let keyspace = shop("moves_frozen", 3).await;
    let proxy = keyspace.pod.proxy();
    let step = Move::to(&keyspace, ServerId(3)).await;
    let (id, other) = step.customers().await;

    let mut open = keyspace.connect().await.unwrap();
    open.query_drop("BEGIN").await.unwrap();
    open.query_drop(format!("{ADD}{id}")).await.unwrap();
    let before = keyspace.pod.map().revision;
    step.freeze(Some(step.freeze)).await;
    let frozen = keyspace.pod.map().revision;
    eventually_async(DEADLINE, "the freeze arrives", async || {
        (proxy.proxy.applied() >= frozen).then_some(())
    })
    .await;
    assert!(!proxy.proxy.drained().contains(&step.freeze), "a transaction is open there");
    assert!(proxy.proxy.settled() <= before);

    let held = proxy.proxy.metrics().held;
    let mut waiting = keyspace.connect().await.unwrap();
    let waiting = tokio::spawn(async move { waiting.query_drop(format!("{ADD}{id}")).await });
    eventually_async(DEADLINE, "a statement is held", async || {
        (proxy.proxy.metrics().held > held).then_some(())
    })
    .await;
    let mut unmoved = keyspace.connect().await.unwrap();
    unmoved.query_drop(format!("{ADD}{other}")).await.unwrap();
    assert!(!waiting.is_finished());

    // The open transaction goes on and ends; then nothing is left that the freeze waits for.
    open.query_drop(format!("{ADD}{id}")).await.unwrap();
    open.query_drop("COMMIT").await.unwrap();
    step.wait_until_drained(proxy).await;
    step.fence(true).await;
    step.copy().await;
    assert!(!waiting.is_finished());
    step.flip().await;
    waiting.await.unwrap().unwrap();
    assert_eq!(step.balance(&step.source, id).await, Some(2.0));
    assert_eq!(step.balance(&step.target, id).await, Some(3.0));
}

#[tokio::test]
async fn a_freeze_that_is_cancelled_lets_statements_through() {
    if is_left_out("a map of its own making") {
        return;
    }
    let keyspace = shop("moves_cancel", 3).await;
    let proxy = keyspace.pod.proxy();
    let step = Move::to(&keyspace, ServerId(3)).await;
    let (id, _) = step.customers().await;
    step.freeze(Some(step.freeze)).await;
    let held = proxy.proxy.metrics().held;
    let mut waiting = keyspace.connect().await.unwrap();
    let waiting = tokio::spawn(async move { waiting.query_drop(format!("{ADD}{id}")).await });
    eventually_async(DEADLINE, "a statement is held", async || {
        (proxy.proxy.metrics().held > held).then_some(())
    })
    .await;
    step.freeze(None).await;
    waiting.await.unwrap().unwrap();
    assert_eq!(step.balance(&step.source, id).await, Some(1.0));
}

#[tokio::test]
async fn a_transaction_does_not_enter_a_shard_that_moved_after_it_began() {
    if is_left_out("a map of its own making") {
        return;
    }
    let keyspace = shop("moves_snapshot", 3).await;
    let step = Move::to(&keyspace, ServerId(0)).await;
    // On the target's server, from before the move: what it sees there is older than the rows that arrive.
    let (id, _) = step.customers().await;
    let mut home = keyspace.pod.admin(ServerId(0)).await.unwrap();
    let on_target: u64 = home
        .query_first(format!("SELECT MIN(id) FROM `{}`.customers", keyspace.physical(ShardIndex(0))))
        .await
        .unwrap()
        .unwrap();
    let mut open = keyspace.connect().await.unwrap();
    open.query_drop("BEGIN").await.unwrap();
    let _: Option<Row> =
        open.query_first(format!("SELECT name FROM customers WHERE id = {on_target}")).await.unwrap();
    open.query_drop(format!("{ADD}{on_target}")).await.unwrap();
    step.freeze(Some(step.freeze)).await;
    step.wait_until_drained(keyspace.pod.proxy()).await;
    step.fence(true).await;
    step.copy().await;
    step.flip().await;
    let flipped = keyspace.pod.map().revision;
    eventually_async(DEADLINE, "the flip arrives", async || {
        (keyspace.pod.proxy().proxy.applied() >= flipped).then_some(())
    })
    .await;
    let refused =
        open.query_first::<Row, _>(format!("SELECT name FROM customers WHERE id = {id}")).await.unwrap_err();
    assert_eq!(number(refused), 1213);
    // It was rolled back, as 1213 says, and the session goes on.
    let balance: Option<f64> =
        open.query_first(format!("SELECT balance FROM customers WHERE id = {on_target}")).await.unwrap();
    assert_eq!(balance, Some(0.0));
    let name: Option<String> =
        open.query_first(format!("SELECT name FROM customers WHERE id = {id}")).await.unwrap();
    assert_eq!(name, Some(format!("customer {id}")));
}

#[tokio::test]
async fn a_schema_that_its_owner_made_read_only_stays_an_error_of_its_own() {
    if is_left_out("a map of its own making") {
        return;
    }
    let keyspace = shop("moves_read_only", 3).await;
    let step = Move::to(&keyspace, ServerId(3)).await;
    let (id, _) = step.customers().await;
    let mut conn = keyspace.connect().await.unwrap();
    step.fence(true).await;
    let asked = Instant::now();
    assert_eq!(number(conn.query_drop(format!("{ADD}{id}")).await.unwrap_err()), 3989);
    assert!(asked.elapsed() < Duration::from_secs(10), "a proxy that hears of moves does not wait for one");
    let name: Option<String> =
        conn.query_first(format!("SELECT name FROM customers WHERE id = {id}")).await.unwrap();
    assert_eq!(name, Some(format!("customer {id}")));
    step.fence(false).await;
    conn.query_drop(format!("{ADD}{id}")).await.unwrap();
}

#[tokio::test]
async fn what_waits_for_a_move_is_bounded_in_number_and_time() {
    if is_left_out("a map of its own making") {
        return;
    }
    let keyspace = shop("moves_bounds", 3).await;
    let step = Move::to(&keyspace, ServerId(3)).await;
    let (id, _) = step.customers().await;
    let (publisher, watch) = map_channel((*keyspace.pod.map()).clone());
    let configure: fn(&mut podway_proxy::ProxyConfig) = |config| {
        config.client.move_deadline = Duration::from_secs(2);
        config.client.max_held = 1;
    };
    let proxy = keyspace.pod.another_proxy(watch, configure).await.unwrap();
    let mut map = (*keyspace.pod.map()).clone();
    let mut frozen = (**map.keyspace_spelled(&keyspace.name).unwrap()).clone();
    frozen.set_freeze(MOVING, Some(step.freeze));
    map.put_keyspace(frozen).unwrap();
    map.revision = Revision(map.revision.0 + 1);
    publisher.publish(map).unwrap();
    let connect = async || {
        let options = keyspace.pod.client_options().tcp_port(proxy.address.port());
        Conn::new(options.db_name(Some(&keyspace.name))).await.unwrap()
    };
    let (mut first, mut second, mut third) = (connect().await, connect().await, connect().await);
    let waiting = tokio::spawn(async move {
        let error = first.query_drop(format!("{ADD}{id}")).await.unwrap_err();
        (number(error), first)
    });
    eventually_async(DEADLINE, "a statement is held", async || {
        (proxy.proxy.metrics().held > 0).then_some(())
    })
    .await;
    let one_more = second.query_drop(format!("{ADD}{id}")).await.unwrap_err();
    assert!(one_more.to_string().contains("client.max_held"), "{one_more}");
    assert!(!waiting.is_finished(), "the first still waits");
    let (given_up, mut first) = waiting.await.unwrap();
    assert_eq!(given_up, 1213);
    first.query_drop("DO 1").await.unwrap();
    // A client that leaves while it is held gives its place up.
    let (sessions, cancelled) = (proxy.proxy.metrics().sessions, proxy.proxy.metrics().cancelled);
    let held = proxy.proxy.metrics().held;
    let leaving = tokio::spawn(async move { third.query_drop(format!("{ADD}{id}")).await });
    eventually_async(DEADLINE, "the third is held", async || {
        (proxy.proxy.metrics().held > held).then_some(())
    })
    .await;
    leaving.abort();
    let _ = leaving.await;
    eventually_async(DEADLINE, "the third is gone", async || {
        (proxy.proxy.metrics().sessions < sessions).then_some(())
    })
    .await;
    assert_eq!(proxy.proxy.metrics().cancelled, cancelled, "nothing ran that could be cancelled");
    let fourth = second.query_drop(format!("{ADD}{id}")).await.unwrap_err();
    assert!(fourth.to_string().contains("client.move_deadline"), "{fourth}");
    assert_eq!(step.balance(&step.source, id).await, Some(0.0));
}

/// Sessions that add to customers' balances, and count what was acknowledged.
struct Adders {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Adders {
    async fn start(keyspace: &TestKeyspace<'_>, id: u64) -> Adders {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for n in 0..6 {
            let mut conn = keyspace.connect().await.unwrap();
            let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    match n % 3 {
                        0 => conn.query_drop(format!("{ADD}{id}")).await.unwrap(),
                        1 => conn.exec_drop(format!("{ADD}?"), (id,)).await.unwrap(),
                        _ => {
                            conn.query_drop("BEGIN").await.unwrap();
                            conn.query_drop(format!("{ADD}{id}")).await.unwrap();
                            conn.query_drop("COMMIT").await.unwrap();
                        }
                    }
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            }));
        }
        Adders { stop, acknowledged, tasks }
    }

    async fn pass(&self, statements: u64) {
        let target = self.acknowledged.load(Ordering::SeqCst) + statements;
        eventually_async(DEADLINE, "the load goes on", async || {
            assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a statement failed");
            (self.acknowledged.load(Ordering::SeqCst) >= target).then_some(())
        })
        .await;
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.acknowledged.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_shard_moves_under_load_without_an_error_and_with_every_write_once() {
    if is_left_out("a map of its own making") {
        return;
    }
    let keyspace = shop("moves_load", 3).await;
    let step = Move::to(&keyspace, ServerId(3)).await;
    let (id, _) = step.customers().await;
    let load = Adders::start(&keyspace, id).await;
    load.pass(100).await;
    step.freeze(Some(step.freeze)).await;
    step.wait_until_drained(keyspace.pod.proxy()).await;
    step.fence(true).await;
    let at_fence = step.balance(&step.source, id).await.unwrap();
    step.copy().await;
    step.flip().await;
    load.pass(100).await;
    let acknowledged = load.end().await;
    assert_eq!(
        step.balance(&step.source, id).await,
        Some(at_fence),
        "nothing reached the source after the fence"
    );
    assert_eq!(step.balance(&step.target, id).await, Some(acknowledged as f64));
}

#[tokio::test]
async fn what_does_not_let_a_frozen_shard_go_is_rolled_back() {
    if is_left_out("a map of its own making") {
        return;
    }
    let keyspace = shop("moves_drain", 3).await;
    let step = Move::to(&keyspace, ServerId(3)).await;
    let (id, _) = step.customers().await;
    let (publisher, watch) = map_channel((*keyspace.pod.map()).clone());
    let proxy = keyspace
        .pod
        .another_proxy(watch, |config| config.client.drain_deadline = Duration::from_millis(200))
        .await
        .unwrap();
    let connect = async || {
        let options = keyspace.pod.client_options().tcp_port(proxy.address.port());
        Conn::new(options.db_name(Some(&keyspace.name))).await.unwrap()
    };
    let (mut silent, mut gone, mut busy, mut alone) =
        (connect().await, connect().await, connect().await, connect().await);
    for (n, conn) in [&mut silent, &mut gone, &mut busy].into_iter().enumerate() {
        conn.query_drop("BEGIN").await.unwrap();
        conn.query_drop(format!("INSERT INTO orders VALUES ({id}, {}, 1)", 1_000 + n)).await.unwrap();
    }
    // Two statements wait for a lock that someone beside the proxy holds.
    let mut holder = keyspace.pod.admin(step.source.server).await.unwrap();
    holder.query_drop("BEGIN").await.unwrap();
    let lock = format!("SELECT 1 FROM `{}`.customers WHERE id = {id} FOR UPDATE", step.source.schema);
    holder.query_drop(lock).await.unwrap();
    let blocked = format!("/* moves_drain */ {ADD}{id}");
    let text = blocked.clone();
    let busy = tokio::spawn(async move { (number(busy.query_drop(text).await.unwrap_err()), busy) });
    let alone = tokio::spawn(async move { (number(alone.query_drop(blocked).await.unwrap_err()), alone) });
    wait_for_two(keyspace.pod.admin(step.source.server).await.unwrap()).await;
    let publish = |freeze: Option<FreezeId>| {
        let mut map = (*publisher.current()).clone();
        let mut keyspace = (**map.keyspace_spelled(&keyspace.name).unwrap()).clone();
        keyspace.set_freeze(MOVING, freeze);
        map.put_keyspace(keyspace).unwrap();
        map.revision = Revision(map.revision.0 + 1);
        publisher.publish(map).unwrap();
    };
    publish(Some(step.freeze));
    step.wait_until_drained(&proxy).await;
    holder.query_drop("ROLLBACK").await.unwrap();
    step.fence(true).await;
    // The freeze ends: everyone can go on.
    step.fence(false).await;
    publish(None);
    let count = format!("SELECT COUNT(*) FROM orders WHERE customer_id = {id} AND id >= 1000");
    for task in [busy, alone] {
        let (error, mut conn) = task.await.unwrap();
        assert_eq!(error, 1213);
        assert_eq!(conn.query_first::<u64, _>(&count).await.unwrap(), Some(0));
    }
    assert_eq!(number(silent.query_drop("COMMIT").await.unwrap_err()), 1213);
    assert_eq!(silent.query_first::<u64, _>(&count).await.unwrap(), Some(0));
    gone.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(gone.query_first::<u64, _>(&count).await.unwrap(), Some(0));
}

#[tokio::test]
async fn locks_and_temporary_tables_on_a_frozen_shard_end_with_their_sessions() {
    if is_left_out("another proxy") {
        return;
    }
    let keyspace = shop("moves_kept", 1).await;
    let source = keyspace.get().shards[0].clone();
    let (publisher, watch) = map_channel((*keyspace.pod.map()).clone());
    let proxy = keyspace
        .pod
        .another_proxy(watch, |config| config.client.drain_deadline = Duration::from_millis(200))
        .await
        .unwrap();
    let connect = async || {
        let options = keyspace.pod.client_options().tcp_port(proxy.address.port());
        Conn::new(options.db_name(Some(&keyspace.name))).await.unwrap()
    };
    let mut kept = Vec::new();
    for sql in
        ["LOCK TABLES customers READ", "DO GET_LOCK('moves_kept', 0)", "CREATE TEMPORARY TABLE kept (a INT)"]
    {
        let mut conn = connect().await;
        conn.query_drop(sql).await.unwrap();
        kept.push((sql, conn));
    }
    let mut other = connect().await;
    other.query_drop("DO 1").await.unwrap();
    let freeze = FreezeId(4_711);
    let publish = |freeze: Option<FreezeId>| {
        let mut map = (*publisher.current()).clone();
        let mut keyspace = (**map.keyspace_spelled(&keyspace.name).unwrap()).clone();
        keyspace.set_freeze(ShardIndex(0), freeze);
        map.put_keyspace(keyspace).unwrap();
        map.revision = Revision(map.revision.0 + 1);
        publisher.publish(map).unwrap();
    };
    publish(Some(freeze));
    eventually_async(DEADLINE, "the freeze arrives", async || {
        (proxy.proxy.applied() == publisher.current().revision).then_some(())
    })
    .await;
    // What runs already goes on until its time is over.
    assert!(!proxy.proxy.drained().contains(&freeze), "locks are held there");
    kept[0].1.query_drop("SELECT COUNT(*) FROM customers").await.unwrap();
    eventually_async(DEADLINE, "the proxy drains the shard", async || {
        proxy.proxy.drained().contains(&freeze).then_some(())
    })
    .await;
    let mut admin = keyspace.pod.admin(source.server).await.unwrap();
    admin.query_drop("SET lock_wait_timeout = 5").await.unwrap();
    for on in [1, 0] {
        admin.query_drop(format!("ALTER DATABASE `{}` READ ONLY = {on}", source.schema)).await.unwrap();
    }
    publish(None);
    for (sql, mut conn) in kept {
        assert_eq!(number(conn.query_drop("SELECT 1").await.unwrap_err()), 1213, "{sql}");
        let ended = conn.query_drop("SELECT 1").await.unwrap_err();
        assert!(!matches!(ended, Error::Server(_)), "{sql}: the session goes with what it held: {ended}");
    }
    other.query_drop(format!("{ADD}1")).await.unwrap();
}

async fn wait_for_two(mut admin: Conn) {
    let started = Instant::now();
    let running = "SELECT COUNT(*) FROM information_schema.processlist \
                   WHERE id <> CONNECTION_ID() AND info LIKE '%moves\\_drain%'";
    while admin.query_first::<u64, _>(running).await.unwrap() != Some(2) {
        assert!(started.elapsed() < DEADLINE, "the statements do not run");
        tokio::task::yield_now().await;
    }
}
