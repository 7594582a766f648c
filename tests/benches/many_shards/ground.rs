//! Both sides: four servers with a shard each behind a proxy, and one MySQL; and how long something takes on each, in turns. Never knows what is measured.

use std::time::{Duration, Instant};

use futures::future::join_all;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use nix::sys::resource::{UsageWho, getrusage};
use podway_model::ServerId;
use podway_tests::workload::Table;
use podway_tests::{APP, Pod, PodOptions, TestKeyspace};

use crate::client::{Client, Credentials};

const SHARDS: usize = 4;
/// How many statements fill at a time.
const FILLERS: usize = 4;

/// Both sides.
pub struct Ground {
    pub pod: &'static Pod,
    pub mysql: &'static Pod,
    pub keyspace: TestKeyspace<'static>,
    name: String,
}

/// How long something took, and the CPU time of this process meanwhile: the client's and, on Podway's side, the proxy's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    pub time: Duration,
    pub cpu: Duration,
}

impl Ground {
    /// Starts servers with these options, and creates and fills tables on both sides.
    pub async fn start(
        name: &str,
        server_args: &[&str],
        tables: &[Table],
        rows: impl Fn() -> Box<dyn Iterator<Item = String> + Send>,
    ) -> anyhow::Result<Ground> {
        let server_args: Vec<String> = server_args.iter().map(|word| (*word).to_owned()).collect();
        let options =
            |servers| PodOptions { servers, server_args: server_args.clone(), ..PodOptions::default() };
        let pod: &'static Pod = Box::leak(Box::new(Pod::start(options(SHARDS)).await?));
        let mysql: &'static Pod =
            Box::leak(Box::new(Pod::start(PodOptions { has_proxy: false, ..options(1) }).await?));
        let keyspace = pod.keyspace(name, SHARDS).await?;
        let mut admin = mysql.admin(ServerId(0)).await?;
        admin.query_drop(format!("CREATE DATABASE {name}")).await?;
        let ground = Ground { pod, mysql, keyspace, name: name.to_owned() };
        for table in tables {
            ground.plain().await?.query_drop(table.create).await?;
            ground.keyspace.create_table(table.create, table.name, table.declaration()).await?;
        }
        for is_plain in [false, true] {
            ground.fill(is_plain, rows()).await?;
            let mut conn = if is_plain { ground.plain().await? } else { ground.keyspace.connect().await? };
            if is_plain {
                for table in tables {
                    conn.query_drop(format!("ANALYZE TABLE {}", table.name)).await?;
                }
            }
        }
        for shard in 0..SHARDS {
            for table in tables {
                let shard = podway_model::ShardIndex(shard as u16);
                ground.keyspace.on_shard(shard, &format!("ANALYZE TABLE {}", table.name)).await?;
            }
        }
        Ok(ground)
    }

    async fn fill(&self, is_plain: bool, rows: impl Iterator<Item = String>) -> anyhow::Result<()> {
        let mut fillers = Vec::new();
        for _ in 0..FILLERS {
            fillers.push(if is_plain { self.plain().await? } else { self.keyspace.connect().await? });
        }
        let mut rows = rows.peekable();
        while rows.peek().is_some() {
            let batch: Vec<String> = rows.by_ref().take(FILLERS).collect();
            let work = fillers.iter_mut().zip(&batch).map(|(conn, sql)| conn.query_drop(sql));
            for done in join_all(work).await {
                done?;
            }
        }
        Ok(())
    }

    /// A client of the one MySQL.
    pub async fn plain(&self) -> anyhow::Result<Conn> {
        let options = self.mysql.direct_options(ServerId(0))?;
        Ok(Conn::new(options.db_name(Some(&self.name))).await?)
    }

    /// Clients that count rows and never decode them: Podway's, and MySQL's.
    pub async fn counting(&self) -> anyhow::Result<[Client; 2]> {
        let who =
            Credentials { user: APP.0.to_owned(), password: APP.1.to_owned(), schema: self.name.clone() };
        let (host, port) = self.mysql.server_address(ServerId(0))?;
        let plain = format!("{host}:{port}").parse()?;
        Ok([Client::connect(self.pod.address(), &who).await?, Client::connect(plain, &who).await?])
    }
}

/// Runs something on each side in turns: Podway's first, then MySQL's.
pub async fn in_turns<T>(
    rounds: usize,
    sides: &mut [T; 2],
    mut run: impl AsyncFnMut(&mut T) -> anyhow::Result<()>,
) -> anyhow::Result<[Vec<Took>; 2]> {
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..=rounds {
        for (side, took) in sides.iter_mut().zip(&mut took) {
            let (begun, cpu) = (Instant::now(), cpu()?);
            run(side).await?;
            // The first time warms caches up.
            if round > 0 {
                took.push(Took { time: begun.elapsed(), cpu: self::cpu()?.saturating_sub(cpu) });
            }
        }
    }
    Ok(took)
}

/// The middle one.
pub fn middle(took: &[Took], of: impl Fn(&Took) -> Duration) -> Duration {
    let mut all: Vec<Duration> = took.iter().map(of).collect();
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// `a` divided by `b`.
pub fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn cpu() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = |time: nix::sys::time::TimeVal| (time.tv_sec() * 1_000_000 + time.tv_usec()) as u64;
    Ok(Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time())))
}
