//! The load generator: a few threads with a runtime each, on which clients send one statement after the other until the turn is over.
//! It counts and times; it never judges.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::BytesMut;
use hdrhistogram::Histogram;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use crate::client::{Client, Credentials};
use crate::targets::Target;
use crate::workload::Workload;

/// Logins under way at once.
const LOGINS: usize = 32;

/// The threads.
pub struct Generator {
    lanes: Vec<Lane>,
}

struct Lane {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Clients that are logged in to one target.
pub struct Crew {
    workers: Vec<Worker>,
}

/// A client and what it works with.
struct Worker {
    lane: usize,
    client: Client,
    statement: u32,
    request: BytesMut,
    random: u64,
}

/// What a turn brought.
pub struct Tally {
    pub statements: u64,
    pub wall: Duration,
    /// Nanoseconds of each statement.
    pub latency: Histogram<u64>,
}

impl Generator {
    /// Starts this many threads.
    pub fn start(threads: usize) -> anyhow::Result<Generator> {
        let lanes = (0..threads).map(|_| Lane::start()).collect::<io::Result<Vec<Lane>>>()?;
        Ok(Generator { lanes })
    }

    /// Logs clients in, spread over the threads.
    pub async fn connect(
        &self,
        target: &Target,
        who: &Credentials,
        connections: usize,
        workload: Workload,
    ) -> anyhow::Result<Crew> {
        let (logins, who) = (Arc::new(Semaphore::new(LOGINS)), Arc::new(who.clone()));
        let mut joining = JoinSet::new();
        for n in 0..connections {
            let (logins, who, address) = (logins.clone(), who.clone(), target.address);
            let lane = n % self.lanes.len();
            let login = async move {
                let _permit = logins.acquire().await?;
                let mut client = Client::connect(address, &who).await?;
                let statement = match workload.prepared_text() {
                    Some(text) => client.prepare(text).await?,
                    None => 0,
                };
                let random = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(n as u64 + 1);
                Ok::<Worker, anyhow::Error>(Worker {
                    lane,
                    client,
                    statement,
                    request: BytesMut::new(),
                    random,
                })
            };
            joining.spawn_on(login, &self.lanes[lane].handle);
        }
        let mut workers = Vec::with_capacity(connections);
        while let Some(joined) = joining.join_next().await {
            workers.push(joined?.with_context(|| format!("logging in to {}", target.name))?);
        }
        Ok(Crew { workers })
    }

    /// Lets every client of a crew work for this long.
    pub async fn run(&self, crew: &mut Crew, workload: Workload, time: Duration) -> anyhow::Result<Tally> {
        let mut joining = JoinSet::new();
        let begin = Instant::now();
        let end = begin + time;
        for worker in crew.workers.drain(..) {
            let handle = self.lanes[worker.lane].handle.clone();
            joining.spawn_on(worker.work(workload, end), &handle);
        }
        let mut latency = Histogram::<u64>::new(3)?;
        while let Some(joined) = joining.join_next().await {
            let (worker, nanos) = joined??;
            for nano in nanos {
                latency.record(nano)?;
            }
            crew.workers.push(worker);
        }
        Ok(Tally { statements: latency.len(), wall: begin.elapsed(), latency })
    }

    /// Every client of a crew sends one statement.
    pub async fn once(&self, crew: &mut Crew, workload: Workload) -> anyhow::Result<()> {
        let limit = Arc::new(Semaphore::new(LOGINS));
        let mut joining = JoinSet::new();
        for mut worker in crew.workers.drain(..) {
            let (handle, limit) = (self.lanes[worker.lane].handle.clone(), limit.clone());
            let statement = async move {
                let _permit = limit.acquire().await?;
                worker.statement(workload).await?;
                Ok::<Worker, anyhow::Error>(worker)
            };
            joining.spawn_on(statement, &handle);
        }
        while let Some(joined) = joining.join_next().await {
            crew.workers.push(joined??);
        }
        Ok(())
    }
}

impl Worker {
    async fn work(mut self, workload: Workload, end: Instant) -> anyhow::Result<(Worker, Vec<u64>)> {
        let mut nanos = Vec::with_capacity(1024);
        let mut before = Instant::now();
        while before < end {
            self.statement(workload).await?;
            let after = Instant::now();
            nanos.push(after.duration_since(before).as_nanos() as u64);
            before = after;
        }
        Ok((self, nanos))
    }

    async fn statement(&mut self, workload: Workload) -> anyhow::Result<()> {
        workload.write(self.next_random(), self.statement, &mut self.request);
        let summary = self.client.exchange(&self.request, workload.kind()).await?;
        ensure!(
            summary.rows == workload.rows(),
            "{} rows came where {} were due",
            summary.rows,
            workload.rows()
        );
        Ok(())
    }

    /// SplitMix64: keys are the same in every run.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Lane {
    fn start() -> io::Result<Lane> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let drive = move || drop(runtime.block_on(stopped));
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(drive)?;
        Ok(Lane { handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
