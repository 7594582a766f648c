//! Money moves between accounts on all servers, through two proxies, while clients leave, proxies die and servers are killed: no transfer is ever half there, none that was
//! acknowledged is lost, and none that was rolled back has happened.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};
use podway::provision::Declaration;
use podway_model::{ServerId, ShardIndex};
use podway_proxy::{Proxy, ProxyConfig};
use podway_tests::{eventually_async, is_left_out};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::ground::{Ground, SERVERS, prepared};

const ACCOUNTS: u64 = 24;
const OPENING: i64 = 1_000;
const TELLERS: u64 = 8;
/// How long it may take until all that was left behind is finished.
const FINISHED: Duration = Duration::from_secs(15);

/// What became of transfers, as their clients know it.
#[derive(Clone, Debug, Default)]
struct Told {
    acknowledged: BTreeSet<u64>,
    /// Rolled back, given up before COMMIT, or refused: they have not happened.
    undone: BTreeSet<u64>,
    /// Nobody could say.
    unknown: BTreeSet<u64>,
    /// Refusals of statements and commits, by number.
    refusals: BTreeMap<u16, usize>,
}

/// What the servers hold.
#[derive(Clone, Debug, Default)]
struct Books {
    balances: BTreeMap<u64, i64>,
    /// Of each transfer, what it did to which account.
    ledger: BTreeMap<u64, Vec<(u64, i64)>>,
}

/// How a transfer ended.
enum End {
    Acknowledged,
    Undone(Option<u16>),
    Unknown,
}

/// All that is wrong.
fn faults(books: &Books, told: &Told) -> Vec<String> {
    let mut faults = Vec::new();
    let sum: i64 = books.balances.values().sum();
    if sum != OPENING * ACCOUNTS as i64 {
        faults.push(format!("the sum is {sum}"));
    }
    let mut expected: BTreeMap<u64, i64> = (1..=ACCOUNTS).map(|account| (account, OPENING)).collect();
    for (id, entries) in &books.ledger {
        let is_whole = entries.len() == 2 && entries[0].1 + entries[1].1 == 0 && entries[0].0 != entries[1].0;
        if !is_whole {
            faults.push(format!("transfer {id} is {entries:?}"));
        }
        if told.undone.contains(id) {
            faults.push(format!("transfer {id} was rolled back, and is there: {entries:?}"));
        }
        for (account, amount) in entries {
            *expected.entry(*account).or_default() += amount;
        }
    }
    if expected != books.balances {
        faults.push(format!("balances are {:?}, by the ledger {expected:?}", books.balances));
    }
    let lost = told.acknowledged.iter().filter(|id| !books.ledger.contains_key(id));
    faults.extend(lost.map(|id| format!("transfer {id} was acknowledged, and is not there")));
    faults
}

/// Tellers at work.
struct Bank {
    ground: Ground,
    counters: Arc<Counters>,
    tellers: Vec<JoinHandle<Told>>,
}

/// What the tellers share.
#[derive(Default)]
struct Counters {
    ends: AtomicBool,
    acknowledged: AtomicUsize,
    /// Where the second proxy is.
    second: std::sync::Mutex<Option<SocketAddr>>,
}

/// A proxy on a runtime of its own, which can die with all that it does.
struct Mortal {
    runtime: Option<Runtime>,
    _proxy: Proxy,
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // Its connections break wherever they are.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Mortal {
    async fn start(bank: &Bank) -> Mortal {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let config = ProxyConfig::new(([127, 0, 0, 1], 0).into(), bank.ground.pod.secret().clone());
        let watch = bank.ground.pod.watch();
        let proxy = runtime.spawn(async move { Proxy::start(config, watch).await.unwrap() }).await.unwrap();
        *bank.counters.second.lock().unwrap() = Some(proxy.local_addr());
        Mortal { runtime: Some(runtime), _proxy: proxy }
    }
}

impl Bank {
    async fn open(name: &str) -> Bank {
        let ground = Ground::new(name).await;
        let accounts = "CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)";
        let ledger = "CREATE TABLE ledger (account BIGINT, id BIGINT, amount BIGINT NOT NULL, PRIMARY KEY (account, id))";
        let by = |column: &str| Declaration::sharded_by(&[column]);
        ground.keyspace.create_table(accounts, "accounts", by("id")).await.unwrap();
        ground.keyspace.create_table(ledger, "ledger", by("account")).await.unwrap();
        let mut conn = ground.session().await;
        for id in 1..=ACCOUNTS {
            conn.query_drop(format!("INSERT INTO accounts VALUES ({id}, {OPENING})")).await.unwrap();
        }
        Bank { ground, counters: Arc::default(), tellers: Vec::new() }
    }

    fn begin(&mut self) {
        for number in 0..TELLERS {
            let teller = Teller {
                number,
                counters: self.counters.clone(),
                options: self.ground.pod.client_options().db_name(Some(&self.ground.keyspace.name)),
                told: Told::default(),
            };
            self.tellers.push(tokio::spawn(teller.work()));
        }
    }

    /// Waits until so many more transfers have been acknowledged.
    async fn pass(&self, transfers: usize) {
        let wanted = self.counters.acknowledged.load(Ordering::Relaxed) + transfers;
        eventually_async(Duration::from_secs(60), "transfers are acknowledged", async || {
            (self.counters.acknowledged.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    async fn end(&mut self) -> Told {
        self.counters.ends.store(true, Ordering::Relaxed);
        let mut all = Told::default();
        for teller in self.tellers.drain(..) {
            let told = teller.await.unwrap();
            all.acknowledged.extend(told.acknowledged);
            all.undone.extend(told.undone);
            all.unknown.extend(told.unknown);
            for (code, count) in told.refusals {
                *all.refusals.entry(code).or_default() += count;
            }
        }
        all
    }

    /// Waits until nothing is left behind, and looks.
    async fn audit(&self, told: &Told) -> Books {
        let begun = Instant::now();
        eventually_async(FINISHED, "no branch is prepared", async || {
            prepared(self.ground.pod).await.is_empty().then_some(())
        })
        .await;
        let (acknowledged, undone, unknown) =
            (told.acknowledged.len(), told.undone.len(), told.unknown.len());
        eprintln!(
            "{}: {acknowledged} transfers acknowledged, {undone} undone, {unknown} unknown; refusals {:?}; finished after {:?}",
            self.ground.keyspace.name,
            told.refusals,
            begun.elapsed()
        );
        self.ground.nothing_is_open().await;
        let books = self.books().await;
        let found = faults(&books, told);
        assert!(found.is_empty(), "{found:#?}");
        books
    }

    async fn books(&self) -> Books {
        let mut books = Books::default();
        for shard in 0..SERVERS {
            let mut direct = self.ground.keyspace.direct(ShardIndex(shard)).await.unwrap();
            let balances: Vec<(u64, i64)> = direct.query("SELECT id, balance FROM accounts").await.unwrap();
            books.balances.extend(balances);
            let entries: Vec<(u64, u64, i64)> =
                direct.query("SELECT id, account, amount FROM ledger").await.unwrap();
            for (id, account, amount) in entries {
                books.ledger.entry(id).or_default().push((account, amount));
            }
        }
        books
    }
}

struct Teller {
    number: u64,
    counters: Arc<Counters>,
    options: OptsBuilder,
    told: Told,
}

fn chance(percent: u32) -> bool {
    rand::random::<u32>() % 100 < percent
}

/// MySQL's number, where the server has answered.
fn number(error: &Error) -> Option<u16> {
    match error {
        Error::Server(error) => Some(error.code),
        _ => None,
    }
}

impl Teller {
    async fn work(mut self) -> Told {
        let mut conn = None;
        let mut sequence = 0;
        while !self.counters.ends.load(Ordering::Relaxed) {
            let Some(session) = conn.take() else {
                conn = self.connect().await;
                continue;
            };
            sequence += 1;
            let id = self.number << 32 | sequence;
            let (end, session) = transfer(session, id).await;
            conn = session;
            match end {
                End::Acknowledged => {
                    self.told.acknowledged.insert(id);
                    self.counters.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                End::Undone(code) => {
                    self.told.undone.insert(id);
                    if let Some(code) = code {
                        *self.told.refusals.entry(code).or_default() += 1;
                    }
                }
                End::Unknown => {
                    self.told.unknown.insert(id);
                }
            }
        }
        self.told
    }

    /// A session of one of the proxies; none if there is none just now.
    async fn connect(&self) -> Option<Conn> {
        let second = *self.counters.second.lock().unwrap();
        let options = match second {
            Some(address) if self.number % 2 == 1 => self.options.clone().tcp_port(address.port()),
            _ => self.options.clone(),
        };
        let connected = tokio::time::timeout(Duration::from_secs(10), Conn::new(options)).await;
        let mut conn = connected.ok()?.ok();
        if conn.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let is_set = match &mut conn {
            Some(conn) => conn.query_drop("SET innodb_lock_wait_timeout = 2").await.is_ok(),
            None => false,
        };
        conn.filter(|_| is_set)
    }
}

/// Moves money, and says how that ended; the session, if it can be used again.
async fn transfer(mut conn: Conn, id: u64) -> (End, Option<Conn>) {
    let account = |not: u64| loop {
        let account = rand::random::<u64>() % ACCOUNTS + 1;
        if account != not {
            return account;
        }
    };
    let from = account(0);
    let to = account(from);
    let amount = rand::random::<u64>() % 50 + 1;
    let statements = [
        "BEGIN".to_owned(),
        format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {from}"),
        format!("INSERT INTO ledger VALUES ({from}, {id}, -{amount})"),
        format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {to}"),
        format!("INSERT INTO ledger VALUES ({to}, {id}, {amount})"),
    ];
    for sql in &statements {
        if chance(1) {
            // The client leaves without a word.
            return (End::Undone(None), None);
        }
        if let Err(error) = conn.query_drop(sql).await {
            let code = number(&error);
            let goes_on = code.is_some() && conn.query_drop("ROLLBACK").await.is_ok();
            return (End::Undone(code), goes_on.then_some(conn));
        }
    }
    if chance(10) {
        let is_done = conn.query_drop("ROLLBACK").await.is_ok();
        return (End::Undone(None), is_done.then_some(conn));
    }
    if chance(3) {
        // It leaves while the transaction is being committed.
        let patience = Duration::from_micros(rand::random::<u64>() % 30_000);
        return match tokio::time::timeout(patience, conn.query_drop("COMMIT")).await {
            Ok(Ok(())) => (End::Acknowledged, Some(conn)),
            _ => (End::Unknown, None),
        };
    }
    match conn.query_drop("COMMIT").await {
        Ok(()) => (End::Acknowledged, Some(conn)),
        Err(error) => match number(&error) {
            Some(code @ (1213 | 1205)) => (End::Undone(Some(code)), Some(conn)),
            _ => (End::Unknown, None),
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transfer_is_half_there_whatever_clients_do() {
    let mut bank = Bank::open("bank_clients").await;
    let second = Mortal::start(&bank).await;
    bank.begin();
    bank.pass(400).await;
    let told = bank.end().await;
    let books = bank.audit(&told).await;
    assert!(told.undone.len() > 10, "{told:?}");
    drop(second);

    // The auditor sees what is wrong: a half, a lost one, one too many.
    let id = *told.acknowledged.first().unwrap();
    let mut half = books.clone();
    half.ledger.get_mut(&id).unwrap().pop();
    assert!(!faults(&half, &told).is_empty());
    let mut without = books.clone();
    for (account, amount) in without.ledger.remove(&id).unwrap() {
        *without.balances.get_mut(&account).unwrap() -= amount;
    }
    let found = faults(&without, &told);
    assert!(found.len() == 1 && found[0].contains("acknowledged"), "{found:?}");
    let undone = Told { undone: told.acknowledged.clone(), ..Told::default() };
    assert_eq!(faults(&books, &undone).len(), told.acknowledged.len());
    let account = books.ledger[&id][0].0;
    let by_hand = format!("UPDATE accounts SET balance = balance + 1 WHERE id = {account}");
    bank.ground.session().await.query_drop(by_hand).await.unwrap();
    assert_eq!(faults(&bank.books().await, &told).len(), 2, "the sum, and a balance");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transfer_is_half_there_when_a_proxy_dies() {
    if is_left_out("proxies that die") {
        return;
    }
    let mut bank = Bank::open("bank_proxies").await;
    let mut second = Mortal::start(&bank).await;
    bank.begin();
    for _ in 0..5 {
        bank.pass(60).await;
        drop(second);
        second = Mortal::start(&bank).await;
    }
    bank.pass(60).await;
    let told = bank.end().await;
    bank.audit(&told).await;
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transfer_is_half_there_when_a_server_is_killed() {
    if is_left_out("servers that are killed") {
        return;
    }
    let mut bank = Bank::open("bank_servers").await;
    let second = Mortal::start(&bank).await;
    bank.begin();
    for victim in [0, 2, 3] {
        bank.pass(60).await;
        let server = bank.ground.pod.server(ServerId(victim)).await;
        tokio::task::spawn_blocking(move || {
            server.kill().unwrap();
            server.restart().unwrap();
        })
        .await
        .unwrap();
    }
    bank.pass(60).await;
    let told = bank.end().await;
    bank.audit(&told).await;
    drop(second);
}
