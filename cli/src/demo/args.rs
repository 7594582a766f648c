//! What the demo is told: as typed, then as decided, with nothing left to ask. Read next: `layout`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::error::DemoError;
use super::layout::Layout;
use crate::local_mysql::{DataDir, FindOptions};

/// How many shards there are if nobody says.
const DEFAULT_SHARDS: u16 = 4;
/// Where the proxy listens if nobody says and nothing else does.
const DEFAULT_PORT: u16 = 6033;

/// Starts MySQL servers and a proxy with a small shop, to look around in
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DemoArgs {
    /// How many shards, each on a MySQL server of its own [default: 4, or what the data directory holds]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub shards: Option<u16>,
    /// Keep the data here: the next start on it comes up with the data [default: temporary]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the proxy listens; 0: the system chooses [default: 6033, or another if that is taken]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Leave the shop's tables empty
    #[arg(long)]
    pub no_data: bool,
    /// Move money between accounts on all servers, and kill proxies and servers from a menu meanwhile, while the sum is watched
    #[arg(long)]
    pub bank: bool,
    /// With --bank: stop and count after so many seconds [default: when you say q]
    #[arg(long, value_name = "N", requires = "bank")]
    pub seconds: Option<u64>,
    /// The mysqld to start, 8.0.30 or later [default: found or fetched]
    #[arg(long, value_name = "PATH")]
    pub mysqld: Option<PathBuf>,
}

/// What the bank is to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct BankPlan {
    /// How long it is open; none: until somebody says that it is to stop.
    pub(super) seconds: Option<u64>,
}

/// What the demo does.
pub(super) struct Plan {
    /// The bank, if there is to be one.
    pub(super) bank: Option<BankPlan>,
    /// Where MySQL comes from.
    pub(super) find: FindOptions,
    /// Which shards lie where, and whether rows are to be loaded.
    pub(super) layout: Layout,
    /// The folder that keeps it all, if any.
    pub(super) folder: Option<PathBuf>,
    /// Where the proxy listens.
    pub(super) listen: SocketAddr,
    /// Whether it may listen on another port.
    pub(super) may_listen_elsewhere: bool,
}

impl Plan {
    /// Decides, and remembers what was decided where a folder was named.
    pub(super) fn decide(args: DemoArgs) -> Result<Plan, DemoError> {
        let folder = args.data_dir.map(std::path::absolute).transpose()?;
        let known = folder.as_deref().map(Layout::read).transpose()?.flatten();
        let layout = match (known, args.shards) {
            (Some(known), Some(wanted)) => known.of_shards(wanted)?,
            (Some(known), None) => known,
            (None, wanted) => {
                let layout = Layout::new(wanted.unwrap_or(DEFAULT_SHARDS), !args.no_data)?;
                folder.as_deref().map_or(Ok(()), |folder| layout.write(folder))?;
                layout
            }
        };
        let mut find = FindOptions::from_env();
        find.mysqld = args.mysqld.or(find.mysqld);
        let port = args.port.unwrap_or(DEFAULT_PORT);
        Ok(Plan {
            bank: args.bank.then_some(BankPlan { seconds: args.seconds }),
            find,
            layout,
            folder,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            may_listen_elsewhere: args.port.is_none(),
        })
    }

    /// Where the topology keeps the map.
    pub(super) fn topology_dir(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join("topology"))
    }

    /// Where the data of a server lies.
    pub(super) fn data_dir(&self, server: u32) -> DataDir {
        let kept = self.folder.as_ref().map(|folder| folder.join(format!("server-{server}")));
        kept.map_or(DataDir::Temporary, DataDir::Kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(args: DemoArgs) -> Result<Plan, DemoError> {
        Plan::decide(args)
    }

    #[test]
    fn without_a_word_there_are_four_temporary_shards() {
        let plan = decide(DemoArgs::default()).unwrap();
        assert_eq!(plan.layout.shards().len(), 4);
        assert_eq!(plan.data_dir(1), DataDir::Temporary);
        assert!(plan.may_listen_elsewhere && plan.listen.port() == DEFAULT_PORT);
    }

    #[test]
    fn a_kept_folder_decides_the_number_of_shards() {
        let folder = tempfile::tempdir().unwrap();
        let args =
            |shards| DemoArgs { shards, data_dir: Some(folder.path().join("kept")), ..DemoArgs::default() };
        assert_eq!(decide(args(Some(3))).unwrap().layout.shards().len(), 3);
        assert_eq!(decide(args(None)).unwrap().layout.shards().len(), 3);
        assert_eq!(decide(args(Some(3))).unwrap().layout.shards().len(), 3);
        let refused = decide(args(Some(2))).err().unwrap().to_string();
        assert!(refused.contains("3 shards") && refused.contains("--shards 2"), "{refused}");
    }

    #[test]
    fn a_port_that_was_named_is_the_port() {
        let plan = decide(DemoArgs { port: Some(0), ..DemoArgs::default() }).unwrap();
        assert!(!plan.may_listen_elsewhere && plan.listen.port() == 0);
    }
}
