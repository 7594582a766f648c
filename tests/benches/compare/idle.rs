//! The memory that a proxy holds for a client that has nothing to do: after its login, and after its first statement.

use std::time::Duration;

use crate::args::Args;
use crate::data::credentials;
use crate::load::Generator;
use crate::process::Memory;
use crate::targets::Target;
use crate::workload::Workload;

/// What a proxy's process needs to settle after many logins.
const SETTLE: Duration = Duration::from_millis(1_500);
/// Clients that come and go before anything counts, so that what is made once is there.
const FIRST_COMERS: usize = 64;
/// Sockets besides those of the idle connections.
const OTHER_FILES: u64 = 500;

/// Bytes that one idle connection holds.
#[derive(Debug)]
pub struct IdleMemory {
    pub target: &'static str,
    pub connections: usize,
    pub after_login: PerConnection,
    pub after_statement: PerConnection,
}

/// Bytes for each connection.
#[derive(Clone, Copy, Debug)]
pub struct PerConnection {
    pub rss: f64,
    pub pss: f64,
}

/// Measures one target; `None` where there is no process, or the system does not tell.
pub async fn measure(
    generator: &Generator,
    target: &Target,
    args: &Args,
) -> anyhow::Result<Option<IdleMemory>> {
    let wanted = if target.name.starts_with("podway") { args.idle } else { args.idle_others.min(args.idle) };
    let connections = wanted.min(open_files_limit()?.saturating_sub(OTHER_FILES) as usize);
    let Some(process) = target.process.as_ref().filter(|_| connections > 0) else { return Ok(None) };
    let (who, workload) = (credentials(target.schema), Workload::PointText);
    let mut first = generator.connect(target, &who, FIRST_COMERS, workload).await?;
    generator.once(&mut first, workload).await?;
    drop(first);
    tokio::time::sleep(SETTLE).await;
    let Some(before) = process.memory() else { return Ok(None) };
    let mut crew = generator.connect(target, &who, connections, workload).await?;
    tokio::time::sleep(SETTLE).await;
    let Some(logged_in) = process.memory() else { return Ok(None) };
    generator.once(&mut crew, workload).await?;
    tokio::time::sleep(SETTLE).await;
    let Some(used) = process.memory() else { return Ok(None) };
    let each = |now: Memory| PerConnection {
        rss: (now.rss as f64 - before.rss as f64) / connections as f64,
        pss: (now.pss as f64 - before.pss as f64) / connections as f64,
    };
    Ok(Some(IdleMemory {
        target: target.name,
        connections,
        after_login: each(logged_in),
        after_statement: each(used),
    }))
}

/// Raises the limit on open files as far as it goes, for this process and those that it starts, and returns it.
pub fn open_files_limit() -> anyhow::Result<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}
