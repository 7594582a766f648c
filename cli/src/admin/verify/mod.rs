//! `podway verify`: reads the rows of sharded tables on every shard and names those that lie where they do not belong, compares the copies of reference tables, and looks for
//! values that stand on several shards in keys that are unique on each shard only. Reads only.
//!
//! Reading order: [`stored`] → [`scan`] → [`copies`] → [`doubles`] → [`report`] → here, the command.

mod copies;
mod doubles;
mod report;
mod scan;
mod stored;

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Table, TableKind};
use podway_topology_api::{KeyspaceView, OperationKind, ShardView, View};
use tokio::time::sleep;

use self::copies::{Copy, copy};
use self::doubles::{Compared, Side, paddings};
use self::report::{KeyReport, Report, TableReport, WrongRow};
use self::scan::{ANSWER_WITHIN, Owners, SESSION, Scan};
use super::context::{Common, Context, Servers};
use super::error::AdminError;
use super::find;
use super::print;
use crate::provision::{ProvisionError, read_table, unique_on_each_shard_only};

/// How often the topology is asked whether a move has ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Copies that differ are read once more after this: one may have been written between.
const ONCE_MORE_AFTER: Duration = Duration::from_secs(1);

/// Looks for rows on a wrong shard, and for copies of reference tables that differ
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  podway verify                                 every keyspace
  podway verify shop
  podway verify shop.orders --rows-per-second 5000 --json

Every row of sharded tables is read, along the primary key, as each server's administrator; and once more for each UNIQUE key that is unique on each
shard only, whose values are compared between the shards. The exit code is 1 if something was found. A keyspace whose shards move is waited for.")]
pub struct VerifyArgs {
    /// The keyspace, or one table of it; without this, all
    #[arg(value_name = "KEYSPACE[.TABLE]")]
    what: Option<String>,
    /// Read so many rows of a shard in a second at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rows_per_second: Option<u64>,
    /// Name so many wrong rows of each table and shard
    #[arg(long, value_name = "N", default_value_t = 10)]
    show: usize,
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// Runs it.
pub(super) async fn run(args: VerifyArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let (keyspace, table) = match args.what.as_deref().map(|what| (what, what.split_once('.'))) {
        None => (None, None),
        Some((_, Some((keyspace, table)))) => (Some(keyspace), Some(table)),
        Some((keyspace, None)) => (Some(keyspace), None),
    };
    let view = context.view().await?;
    let names: Vec<String> = match keyspace {
        Some(name) => vec![find::keyspace(&view, name)?.name.to_string()],
        None => view.keyspaces.iter().map(|keyspace| keyspace.name.to_string()).collect(),
    };
    let mut report = Report::default();
    for name in names {
        let view = settled(&context, &name).await?;
        let keyspace = find::keyspace(&view, &name)?;
        let tables = tables(keyspace, table)?;
        let servers = context.servers(&view).await?;
        let verify = Verify { args: &args, view: &view, keyspace, servers: &servers };
        for table in tables {
            report.tables.push(verify.table(table).await?);
        }
        let now = context.view().await?;
        let shards_now = now.keyspaces.iter().find(|known| known.name == keyspace.name);
        if shards_now.is_none_or(|known| !is_where_it_was(known, keyspace)) {
            return Err(AdminError::refused(format!(
                "shards of {name} moved while their rows were read: what was found says nothing; run it again"
            )));
        }
    }
    report.print(context.is_json)?;
    match report.found() {
        None => Ok(()),
        Some(found) => Err(AdminError::refused(found)),
    }
}

/// The tables that there is something to verify of.
fn tables<'a>(keyspace: &'a KeyspaceView, only: Option<&str>) -> Result<Vec<&'a Table>, AdminError> {
    let is_spread = |table: &&Table| matches!(table.kind, TableKind::Sharded(_) | TableKind::Reference);
    let Some(name) = only else {
        return Ok(keyspace.tables.iter().map(|view| &view.table).filter(is_spread).collect());
    };
    let table = &find::table(keyspace, name)?.table;
    match is_spread(&table) {
        true => Ok(vec![table]),
        false => Err(AdminError::refused(format!(
            "{}.{} is a {} table: its rows lie on one shard, and there is nothing to verify",
            keyspace.name,
            table.name,
            find::kind(table)
        ))),
    }
}

/// The cluster when no shard of the keyspace moves.
async fn settled(context: &Context, keyspace: &str) -> Result<View, AdminError> {
    let mut is_noted = false;
    loop {
        let view = context.view().await?;
        let moves = view.operations.iter().filter(|operation| operation.state.is_open());
        let mut of_it = moves.filter(|operation| match &operation.kind {
            OperationKind::MoveShard(one) => &*one.keyspace == keyspace,
            _ => false,
        });
        let Some(operation) = of_it.next() else { return Ok(view) };
        if !is_noted {
            print::note(&format!("a shard of {keyspace} moves ({}): its end is waited for", operation.id));
            is_noted = true;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn is_where_it_was(now: &KeyspaceView, before: &KeyspaceView) -> bool {
    let place = |shard: &ShardView| (shard.id, shard.epoch, shard.ranges.clone());
    now.shards.iter().map(place).eq(before.shards.iter().map(place))
}

/// One keyspace's verification.
struct Verify<'a> {
    args: &'a VerifyArgs,
    view: &'a View,
    keyspace: &'a KeyspaceView,
    servers: &'a Servers,
}

impl Verify<'_> {
    async fn table(&self, table: &Table) -> Result<TableReport, AdminError> {
        match &table.kind {
            TableKind::Sharded(_) => self.rows(table).await,
            _ => self.copies(table).await,
        }
    }

    async fn rows(&self, table: &Table) -> Result<TableReport, AdminError> {
        let owners = Owners::of(self.keyspace);
        let mut report = TableReport::new(self.keyspace, table);
        for shard in &self.keyspace.shards {
            let (mut conn, server) = self.connect(shard).await?;
            let bar = self.bar(&mut conn, shard, table).await;
            let scan = Scan {
                table,
                schema: shard.schema.as_str(),
                shard: shard.id,
                owners: &owners,
                rows_per_second: self.args.rows_per_second,
                named: self.args.show,
            };
            let scanned = scan.run(&mut conn, |rows| bar.inc(rows)).await;
            bar.finish_and_clear();
            let scanned = scanned.map_err(AdminError::at(server))?;
            report.rows += scanned.rows;
            report.misplaced += scanned.misplaced;
            report.unknown += scanned.unknown;
            report.wrong.extend(scanned.named.into_iter().map(|(row, belongs)| WrongRow {
                row,
                shard: shard.id.0,
                server: server.to_owned(),
                belongs_to: belongs.map(|shard| shard.0),
                belongs_on: belongs.map(|shard| self.server_of(shard)),
            }));
        }
        self.compare_keys(table, &mut report).await?;
        Ok(report)
    }

    /// Looks for values that stand on several shards in a UNIQUE key that each shard keeps for itself.
    async fn compare_keys(&self, table: &Table, report: &mut TableReport) -> Result<(), AdminError> {
        let Some(first) = self.keyspace.shards.first() else { return Ok(()) };
        let (mut conn, server) = self.connect(first).await?;
        let name = table.name.as_str();
        let definition =
            read_table(&mut conn, first.schema.as_str(), name).await.map_err(AdminError::at(server))?;
        let loose = unique_on_each_shard_only(table, &definition.unique_keys);
        if loose.is_empty() || self.keyspace.shards.len() == 1 {
            return Ok(());
        }
        let pads = paddings(&mut conn).await.map_err(AdminError::at(server))?;
        let mut sides = Vec::new();
        for shard in &self.keyspace.shards {
            let (conn, server) = self.connect(shard).await?;
            sides.push(Side::new(conn, server, shard.schema.as_str()).await?);
        }
        for key in loose {
            let key = match Compared::new(table, key, &pads) {
                Some(compared) => {
                    let doubles = compared.run(&mut sides, report.rows).await;
                    KeyReport::compared(key, doubles?)
                }
                None => KeyReport::not_compared(key),
            };
            report.keys.push(key);
        }
        Ok(())
    }

    async fn copies(&self, table: &Table) -> Result<TableReport, AdminError> {
        let mut copies = self.read_copies(table).await?;
        if differ(&copies) {
            sleep(ONCE_MORE_AFTER).await;
            copies = self.read_copies(table).await?;
        }
        let mut report = TableReport::new(self.keyspace, table);
        report.rows = copies.iter().map(|(_, copy)| copy.rows).max().unwrap_or_default();
        if differ(&copies) {
            report.copies = copies
                .into_iter()
                .map(|(shard, copy)| format!("{shard} has {} rows, checksum {}", copy.rows, copy.checksum))
                .collect();
        }
        Ok(report)
    }

    async fn read_copies(&self, table: &Table) -> Result<Vec<(String, Copy)>, AdminError> {
        let mut copies = Vec::new();
        for shard in &self.keyspace.shards {
            let (mut conn, server) = self.connect(shard).await?;
            let read = copy(&mut conn, shard.schema.as_str(), table.name.as_str());
            let read = tokio::time::timeout(ANSWER_WITHIN, read).await.unwrap_or_else(|_| {
                Err(ProvisionError::Refused {
                    table: table.name.to_string(),
                    reason: format!("the server does not answer within {ANSWER_WITHIN:?}"),
                })
            });
            let read = read.map_err(AdminError::at(server))?;
            copies.push((format!("{} (server {server})", shard.id), read));
        }
        Ok(copies)
    }

    async fn connect(&self, shard: &ShardView) -> Result<(Conn, &str), AdminError> {
        let (mut conn, server) = self.servers.connect(shard.server).await?;
        let doing = "preparing the session".to_owned();
        let prepared = conn.query_drop(SESSION).await;
        prepared
            .map_err(|error| ProvisionError::Statement { doing, error })
            .map_err(AdminError::at(server))?;
        Ok((conn, server))
    }

    /// How far a shard's table is; its length is the server's guess.
    async fn bar(&self, conn: &mut Conn, shard: &ShardView, table: &Table) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let sql =
            "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";
        let guess: Option<Option<u64>> =
            conn.exec_first(sql, (shard.schema.as_str(), table.name.as_str())).await.unwrap_or_default();
        let bar = ProgressBar::with_draw_target(guess.flatten(), ProgressDrawTarget::stderr());
        let template = "{msg} [{bar:30}] {human_pos} of about {human_len} rows, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(format!("{}.{}, {}", self.keyspace.name, table.name, shard.id));
        bar
    }

    fn server_of(&self, shard: podway_model::ShardId) -> String {
        let found = self.keyspace.shards.iter().find(|known| known.id == shard);
        found.map_or_else(String::new, |shard| find::server_name(self.view, shard.server))
    }
}

fn differ(copies: &[(String, Copy)]) -> bool {
    copies.windows(2).any(|pair| pair[0].1 != pair[1].1)
}
