//! `podway demo --bank`: tellers move money between accounts on all servers, through two proxies that are processes of their own, while whoever watches kills a proxy or a MySQL
//! server from a menu. The sum is read as of one moment all the while, and counted at the end. Only what the demo has started is ever killed.
//!
//! Reading order: `menu` (what is typed and printed) → `tellers` (transfers) → `proxies` (the processes) → [`run`].

mod menu;
mod proxies;
mod tellers;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use podway_proxy::ProxyObserver;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::args::BankPlan;
use super::error::DemoError;
use super::layout::Layout;
use super::shop::KEYSPACE;
use crate::local_mysql::{LocalServer, ServerError};
use menu::{Choice, Moment};
use proxies::TellersProxy;
use tellers::{Counters, teller};

/// How many accounts there are.
const ACCOUNTS: u64 = 60;
/// What is in each at first.
const OPENING: i64 = 1_000;
/// How many tellers there are.
const TELLERS: u64 = 6;
/// How many proxies they use.
const PROXIES: usize = 2;
/// How long what was killed stays away.
const AWAY: Duration = Duration::from_secs(3);
/// How often a line is printed.
const TICK: Duration = Duration::from_secs(1);
/// How long a sum may take to be read.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// How long it may take at the end until nothing is in doubt.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// Lines that were typed and not yet looked at.
const TYPED_AHEAD: usize = 16;

/// Where the bank is.
pub(super) struct Scene<'a> {
    /// The servers, with their names.
    pub(super) servers: Vec<(String, Arc<LocalServer>)>,
    /// Where the topology answers.
    pub(super) topology: &'a str,
    /// Where the demo's own proxy listens, which nobody kills.
    pub(super) proxy: SocketAddr,
    /// What that proxy sees.
    pub(super) observer: ProxyObserver,
    /// Who may log in.
    pub(super) layout: &'a Layout,
    /// What was asked for.
    pub(super) plan: BankPlan,
}

/// A bank at work.
struct Bank<'a> {
    scene: Scene<'a>,
    counters: Arc<Counters>,
    proxies: Vec<TellersProxy>,
    tellers: JoinSet<()>,
    /// Servers that are away, until they say that they are back.
    returning: JoinSet<(usize, Result<(), ServerError>)>,
    away: BTreeSet<usize>,
    killed: usize,
    begun: Instant,
    atomic: Option<Conn>,
    fast: Option<Conn>,
}

/// Runs it until somebody says `q`, or its time is over.
///
/// # Errors
/// The sum is not what it was: that would be an error of Podway's. Or something of the demo's own did not start.
pub(super) async fn run(scene: Scene<'_>) -> Result<(), DemoError> {
    open_accounts(&scene).await?;
    let mut bank = Bank::open(scene)?;
    menu::say(&menu::text(ACCOUNTS, OPENING, bank.scene.servers.len(), &bank.addresses()));
    let mut typed = listen();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = bank.scene.plan.seconds.map(|seconds| bank.begun + Duration::from_secs(seconds));
    loop {
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
        tokio::select! {
            _ = ticks.tick() => bank.tick().await?,
            Some(line) = typed.recv() => match menu::parse(&line) {
                Some(Choice::Quit) => break,
                Some(Choice::KillProxy) => bank.kill_proxy()?,
                Some(Choice::KillServer) => bank.kill_server().await?,
                None => menu::say(menu::CHOICES),
            },
            Some(back) = bank.returning.join_next() => bank.is_back(back)?,
        }
    }
    bank.close().await
}

/// New accounts, with the same in each.
async fn open_accounts(scene: &Scene<'_>) -> Result<(), DemoError> {
    let doing = || DemoError::doing("opening the accounts");
    let mut conn = Conn::new(options(scene, scene.proxy)).await.map_err(doing())?;
    let table = "CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL) COMMENT 'podway: shard by (id)'";
    let rows: Vec<String> = (1..=ACCOUNTS).map(|id| format!("({id}, {OPENING})")).collect();
    let insert = format!("INSERT INTO accounts VALUES {}", rows.join(", "));
    for sql in ["DROP TABLE IF EXISTS accounts", table, &insert] {
        conn.query_drop(sql).await.map_err(doing())?;
    }
    Ok(())
}

/// Lines as they are typed. The thread that reads them ends with the process.
fn listen() -> mpsc::Receiver<String> {
    let (sender, typed) = mpsc::channel(TYPED_AHEAD);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    typed
}

fn options(scene: &Scene<'_>, proxy: SocketAddr) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(proxy.ip().to_string())
        .tcp_port(proxy.port())
        .user(Some(&scene.layout.user))
        .pass(Some(&scene.layout.password))
        .db_name(Some(KEYSPACE))
        .prefer_socket(false)
}

impl<'a> Bank<'a> {
    fn open(scene: Scene<'a>) -> Result<Bank<'a>, DemoError> {
        let proxies = (1..=PROXIES)
            .map(|nth| TellersProxy::start(format!("bank-{nth}"), scene.topology))
            .collect::<Result<Vec<_>, _>>()?;
        let counters = Arc::<Counters>::default();
        let mut tellers = JoinSet::new();
        for nth in 0..TELLERS {
            let proxy = proxies[nth as usize % PROXIES].address();
            tellers.spawn(teller(options(&scene, proxy), ACCOUNTS, counters.clone()));
        }
        Ok(Bank {
            scene,
            counters,
            proxies,
            tellers,
            returning: JoinSet::new(),
            away: BTreeSet::new(),
            killed: 0,
            begun: Instant::now(),
            atomic: None,
            fast: None,
        })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.proxies.iter().map(TellersProxy::address).collect()
    }

    async fn tick(&mut self) -> Result<(), DemoError> {
        for proxy in &mut self.proxies {
            if proxy.is_due() {
                proxy.start_again()?;
                menu::say(&format!("{} is back\n", proxy.name()));
            }
        }
        let (mut atomic, mut fast) = (self.atomic.take(), self.fast.take());
        let (sum, fast_sum) = tokio::join!(self.sum(&mut atomic, "atomic"), self.sum(&mut fast, "fast"));
        (self.atomic, self.fast) = (atomic, fast);
        menu::say(&self.moment(sum, fast_sum).to_string());
        Ok(())
    }

    fn moment(&self, sum: Option<i64>, fast: Option<i64>) -> Moment {
        Moment {
            after: self.begun.elapsed(),
            told: self.counters.read(),
            in_doubt: self.scene.observer.in_doubt(),
            sum,
            fast,
            expected: OPENING * ACCOUNTS as i64,
        }
    }

    /// The sum of all accounts, read so; none where it cannot be read just now.
    async fn sum(&self, session: &mut Option<Conn>, mode: &str) -> Option<i64> {
        let read = async {
            let mut conn = match session.take() {
                Some(conn) => conn,
                None => {
                    let mut conn = Conn::new(options(&self.scene, self.scene.proxy)).await?;
                    conn.query_drop(format!("SET podway_read = '{mode}'")).await?;
                    conn
                }
            };
            let sum: Option<String> = conn.query_first("SELECT SUM(balance) FROM accounts").await?;
            *session = Some(conn);
            Ok::<_, mysql_async::Error>(sum.and_then(|sum| sum.parse().ok()))
        };
        timeout(READ_WITHIN, read).await.ok()?.ok()?
    }

    fn kill_proxy(&mut self) -> Result<(), DemoError> {
        let Some(nth) =
            (0..PROXIES).map(|n| (self.killed + n) % PROXIES).find(|nth| self.proxies[*nth].runs())
        else {
            menu::say("both proxies are away already\n");
            return Ok(());
        };
        self.killed += 1;
        self.proxies[nth].kill(Instant::now() + AWAY)?;
        menu::say(&format!("killed {}; back in {} s\n", self.proxies[nth].name(), AWAY.as_secs()));
        Ok(())
    }

    async fn kill_server(&mut self) -> Result<(), DemoError> {
        let count = self.scene.servers.len();
        let Some(nth) = (0..count).map(|n| (self.killed + n) % count).find(|nth| !self.away.contains(nth))
        else {
            menu::say("all servers are away already\n");
            return Ok(());
        };
        self.killed += 1;
        self.away.insert(nth);
        let (name, server) = self.scene.servers[nth].clone();
        let victim = server.clone();
        tokio::task::spawn_blocking(move || victim.kill()).await.map_err(std::io::Error::other)??;
        menu::say(&format!("killed MySQL {name}; back in {} s and more\n", AWAY.as_secs()));
        self.returning.spawn(async move {
            sleep(AWAY).await;
            let back = tokio::task::spawn_blocking(move || server.restart()).await;
            (nth, back.unwrap_or_else(|error| Err(std::io::Error::other(error).into())))
        });
        Ok(())
    }

    fn is_back(
        &mut self,
        back: Result<(usize, Result<(), ServerError>), tokio::task::JoinError>,
    ) -> Result<(), DemoError> {
        let (nth, back) = back.map_err(std::io::Error::other)?;
        back?;
        self.away.remove(&nth);
        menu::say(&format!("MySQL {} is back\n", self.scene.servers[nth].0));
        Ok(())
    }

    /// Stops the tellers, has all come back, waits until nothing is in doubt, and counts.
    async fn close(mut self) -> Result<(), DemoError> {
        menu::say("closing: waiting until nothing is in doubt\n");
        self.counters.close();
        while let Some(back) = self.returning.join_next().await {
            self.is_back(back)?;
        }
        let give_up = Instant::now() + SETTLED_WITHIN;
        while self.tellers.try_join_next().is_some() || !self.tellers.is_empty() {
            if Instant::now() > give_up {
                self.tellers.abort_all();
            }
            sleep(TICK / 10).await;
        }
        drop(std::mem::take(&mut self.proxies));
        loop {
            // The sum first: what is in doubt then was in doubt before it.
            let sum = self.sum(&mut None, "atomic").await;
            let moment = self.moment(sum, None);
            if moment.is_settled() {
                menu::say(&moment.verdict());
                return Ok(());
            }
            if moment.is_wrong() || Instant::now() > give_up {
                return Err(DemoError::Bank(moment.verdict()));
            }
            sleep(TICK / 4).await;
        }
    }
}
