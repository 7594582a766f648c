//! `podway shard`: where the shards lie; moving them is `moving`, what they leave behind `retired`.

use podway_topology_api::{KeyspaceView, ShardView, View};
use serde::Serialize;

use super::context::{Common, Context};
use super::error::AdminError;
use super::find;
use super::moving::{self, CancelArgs, MoveArgs};
use super::print::{self, Row};
use super::retired::{self, RetiredArgs, RetiredSchemaArgs};

/// Shows where the shards lie, and moves them
#[derive(Debug, clap::Subcommand)]
pub enum ShardCommandLine {
    /// Lists the shards, of all keyspaces or of one
    #[command(after_help = "Examples:\n  podway shard list\n  podway shard list shop --json")]
    List {
        /// The keyspace
        keyspace: Option<String>,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Shows one shard
    Show {
        /// Its number
        shard: u32,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Moves a shard with all its rows to another server
    Move(MoveArgs),
    /// Gives a shard's move up, before the shard has its new owner
    Cancel(CancelArgs),
    /// Lists the schemas that shards left behind, and when they are dropped
    Retired(RetiredArgs),
    /// Drops a schema that a shard left behind, before its retention is over
    DropRetired(RetiredSchemaArgs),
    /// Forgets a schema that a shard left behind: for one that was dropped by hand, or is to stay
    ForgetRetired(RetiredSchemaArgs),
}

/// A shard in a list.
#[derive(Serialize)]
pub(super) struct ShardRow {
    shard: u32,
    keyspace: String,
    ranges: Vec<String>,
    server: String,
    schema: String,
    epoch: u64,
    is_home: bool,
    state: &'static str,
}

impl Row for ShardRow {
    const HEAD: &'static [&'static str] =
        &["#shard", "keyspace", "range", "server", "schema", "#epoch", "state"];

    fn cells(&self) -> Vec<String> {
        let state = if self.is_home { format!("{}, home", self.state) } else { self.state.to_owned() };
        vec![
            self.shard.to_string(),
            self.keyspace.clone(),
            self.ranges.join(","),
            self.server.clone(),
            self.schema.clone(),
            self.epoch.to_string(),
            state,
        ]
    }
}

impl ShardRow {
    pub(super) fn of(keyspace: &KeyspaceView, shard: &ShardView, view: &View) -> ShardRow {
        ShardRow {
            shard: shard.id.0,
            keyspace: keyspace.name.to_string(),
            ranges: shard.ranges.iter().map(ToString::to_string).collect(),
            server: find::server_name(view, shard.server),
            schema: shard.schema.to_string(),
            epoch: shard.epoch.0,
            is_home: keyspace.home == shard.id,
            state: if shard.freeze.is_some() { "frozen" } else { "serving" },
        }
    }

    /// All shards of a view.
    pub(super) fn all(view: &View) -> Vec<ShardRow> {
        let keyspaces = view.keyspaces.iter();
        keyspaces
            .flat_map(|keyspace| keyspace.shards.iter().map(|shard| ShardRow::of(keyspace, shard, view)))
            .collect()
    }

    fn properties(&self) -> [(&'static str, String); 8] {
        [
            ("shard", self.shard.to_string()),
            ("keyspace", self.keyspace.clone()),
            ("ranges", self.ranges.join(",")),
            ("server", self.server.clone()),
            ("schema", self.schema.clone()),
            ("epoch", self.epoch.to_string()),
            ("home", if self.is_home { "yes" } else { "no" }.to_owned()),
            ("state", self.state.to_owned()),
        ]
    }
}

/// Runs it.
pub(super) async fn run(line: ShardCommandLine) -> Result<(), AdminError> {
    match line {
        ShardCommandLine::Move(args) => moving::run(args).await,
        ShardCommandLine::Cancel(args) => moving::cancel(args).await,
        ShardCommandLine::Retired(args) => retired::list(args).await,
        ShardCommandLine::DropRetired(args) => retired::drop_now(args).await,
        ShardCommandLine::ForgetRetired(args) => retired::forget(args).await,
        ShardCommandLine::List { keyspace, common } => {
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let rows = match keyspace {
                None => ShardRow::all(&view),
                Some(name) => {
                    let keyspace = find::keyspace(&view, &name)?;
                    keyspace.shards.iter().map(|shard| ShardRow::of(keyspace, shard, &view)).collect()
                }
            };
            Ok(print::list(&rows, context.is_json)?)
        }
        ShardCommandLine::Show { shard, common } => {
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let (keyspace, shard) = find::shard(&view, shard)?;
            let row = ShardRow::of(keyspace, shard, &view);
            Ok(print::one(&row, &row.properties(), context.is_json)?)
        }
    }
}
