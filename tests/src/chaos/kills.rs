//! How long branches stay prepared that a killed proxy left: money is moved through it, it is killed, and servers are asked until they list none of its branches any more.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::clients::{Client, Shared};
use super::open_accounts;
use super::stage::Stage;
use super::trouble::{Dice, Trouble};

/// Money is moved for so long before each kill, and up to as long again.
const BEFORE: Duration = Duration::from_millis(400);

/// Who finishes what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surviving {
    /// A second proxy.
    Another,
    /// Nobody else: the proxy itself, which is started again at once.
    Nobody,
}

/// Kills of one proxy.
#[derive(Clone, Debug)]
pub struct Kills {
    /// How many.
    pub count: usize,
    /// Clients that move money through it.
    pub clients: u64,
    /// Who is there besides.
    pub surviving: Surviving,
    /// The binary.
    pub podway: PathBuf,
}

impl Kills {
    /// How long it took, of each kill that left something; shortest first.
    pub async fn measure(&self) -> anyhow::Result<Vec<Duration>> {
        let proxies = if self.surviving == Surviving::Another { 2 } else { 1 };
        let mut stage = Stage::start(&self.podway, proxies).await?;
        open_accounts(&stage).await?;
        let shared = Arc::new(Shared {
            ends: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            begun: Instant::now(),
        });
        let proxy = stage.addresses()[0];
        let clients: Vec<_> = (0..self.clients)
            .map(|number| tokio::spawn(Client::that_transfers(number, 0, proxy, shared.clone()).work()))
            .collect();
        let mut dice = Dice::new(0);
        let mut took = Vec::new();
        for _ in 0..self.count {
            let before = shared.acknowledged.load(Ordering::Relaxed);
            while shared.acknowledged.load(Ordering::Relaxed) < before + self.clients {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let more = dice.below(BEFORE.as_millis() as u64);
            tokio::time::sleep(BEFORE + Duration::from_millis(more)).await;
            stage.until_one_is_prepared().await?;
            took.extend(match self.surviving {
                Surviving::Another => stage.suffer(Trouble::KillProxy(0)).await?,
                Surviving::Nobody => stage.kill_and_restart_proxy(0).await?,
            });
        }
        shared.ends.store(true, Ordering::Relaxed);
        for client in clients {
            client.await?;
        }
        took.sort_unstable();
        Ok(took)
    }
}
