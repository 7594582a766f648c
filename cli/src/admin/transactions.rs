//! `podway txn`: transactions over several servers that are not finished yet, and what became of one. Servers are read as their administrator; nothing is changed here:
//! proxies finish what others left, and `resolving` does when it is asked to.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Gtrid, ServerId};
use podway_topology_api::View;
use serde::Serialize;

use super::branches::{Decision, decision, gtrid, is_older_than_decisions, prepared};
use super::context::{Common, Context, Servers};
use super::error::AdminError;
use super::find;
use super::print::{self, Row};
use super::resolving;
use crate::provision::ProvisionError;

/// Waiting statements that are shown of one server.
const MAX_WAITING: usize = 100;

/// Transactions over several servers
#[derive(Debug, clap::Subcommand)]
pub enum TransactionCommandLine {
    /// Lists the branches that servers have prepared, and what is known of their transactions
    #[command(after_help = "Examples:\n  podway txn list\n  podway txn list --json")]
    List {
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Says what became of a transaction: an error of Podway's names its id
    #[command(after_help = "Example:\n  podway txn show 6a1b2c3d4e5f6071-0007-0003-0000a91f")]
    Show {
        /// Its id
        id: String,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Finishes a transaction's prepared branches now, as its first server has decided
    #[command(
        after_help = "Proxies do this by themselves within seconds: this is for when none runs, or none reaches the servers. What becomes of the transaction is not chosen: its first server \
                      says so. Where it has decided nothing the transaction is rolled back for good; a COMMIT that is under way gets error 1213.\n\n\
                      Examples:\n  podway txn resolve 6a1b2c3d4e5f6071-0007-0003-0000a91f"
    )]
    Resolve {
        /// Its id
        id: String,
        /// Only where nobody can say any more what was decided, since the first server has left the cluster for good, or the decision is too old to be there still: rolls back what is prepared. If
        /// the transaction was committed it is then HALF OF ONE: its other servers' rows stay. To confirm, the id again
        #[arg(long, value_name = "ID")]
        roll_back_undecidable: Option<String>,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
}

/// A prepared branch in a list.
#[derive(Serialize)]
struct BranchRow {
    transaction: Option<String>,
    server: String,
    primary: Option<String>,
    decision: Option<Decision>,
    what: &'static str,
}

/// A transaction.
#[derive(Serialize)]
struct Shown {
    transaction: String,
    outcome: &'static str,
    decided_on: Option<String>,
    stamp: Option<u64>,
    servers: Vec<String>,
    prepared_on: Vec<String>,
    waiting: Vec<WaitingRow>,
}

/// A statement that waits for a lock of a prepared branch.
#[derive(Serialize)]
struct WaitingRow {
    server: String,
    thread: u64,
    seconds: u64,
    statement: String,
}

impl Row for BranchRow {
    const HEAD: &'static [&'static str] = &["transaction", "server", "primary", "decision", "what"];

    fn cells(&self) -> Vec<String> {
        let decision = match self.decision {
            Some(Decision::Committed) => "committed",
            Some(Decision::RolledBack) => "rolled back",
            Some(Decision::None | Decision::Unreachable) | None => "",
        };
        vec![
            self.transaction.clone().unwrap_or_default(),
            self.server.clone(),
            self.primary.clone().unwrap_or_default(),
            decision.to_owned(),
            self.what.to_owned(),
        ]
    }
}

/// Runs it.
pub(super) async fn run(line: TransactionCommandLine) -> Result<(), AdminError> {
    match line {
        TransactionCommandLine::List { common } => list(&common).await,
        TransactionCommandLine::Show { id, common } => show(&id, &common).await,
        TransactionCommandLine::Resolve { id, roll_back_undecidable, common } => {
            resolving::resolve(&id, roll_back_undecidable.as_deref(), &common).await
        }
    }
}

async fn list(common: &Common) -> Result<(), AdminError> {
    let context = Context::new(common)?;
    let view = context.view().await?;
    let servers = context.servers(&view).await?;
    let mut decisions: BTreeMap<(ServerId, Gtrid), Decision> = BTreeMap::new();
    let mut rows = Vec::new();
    for server in servers.all() {
        let Some((mut conn, name)) = servers.connect_or_leave_out(server.id).await else { continue };
        for branch in prepared(&mut conn).await.map_err(AdminError::at(name))? {
            let Some(xid) = branch else {
                let what = "another program's: left alone";
                rows.push(BranchRow {
                    transaction: None,
                    server: name.to_owned(),
                    primary: None,
                    decision: None,
                    what,
                });
                continue;
            };
            let key = (xid.branch.primary, xid.gtrid);
            let decision = match decisions.get(&key) {
                Some(known) => Some(*known),
                None if view.servers.iter().any(|known| known.id == key.0) => {
                    let found = standing(&servers, key.0, key.1).await.unwrap_or(Decision::Unreachable);
                    decisions.insert(key, found);
                    Some(found)
                }
                None => None,
            };
            rows.push(BranchRow {
                transaction: Some(xid.gtrid.to_string()),
                server: name.to_owned(),
                primary: Some(find::server_name(&view, key.0)),
                decision,
                what: meaning(decision),
            });
        }
    }
    Ok(print::list(&rows, context.is_json)?)
}

fn meaning(decision: Option<Decision>) -> &'static str {
    match decision {
        Some(Decision::Committed) => "a proxy commits it",
        Some(Decision::RolledBack) => "a proxy rolls it back",
        Some(Decision::None) => "being decided, or left by a proxy: another one rolls it back within seconds",
        Some(Decision::Unreachable) => "its first server cannot be asked: it waits for it",
        None => "its first server is not in the cluster any more: nobody can say what becomes of it",
    }
}

async fn show(id: &str, common: &Common) -> Result<(), AdminError> {
    let gtrid = gtrid(id)?;
    let context = Context::new(common)?;
    let view = context.view().await?;
    let servers = context.servers(&view).await?;
    let (mut prepared_on, mut found, mut waiting) = (Vec::new(), None, Vec::new());
    for server in servers.all() {
        let (mut conn, name) = servers.connect(server.id).await?;
        let branches = prepared(&mut conn).await.map_err(AdminError::at(name))?;
        if branches.into_iter().flatten().any(|xid| xid.gtrid == gtrid) {
            prepared_on.push(name.to_owned());
            waiting.extend(waiting_there(&mut conn, name).await.map_err(AdminError::at(name))?);
        }
        if let Some(row) = decision(&mut conn, gtrid).await.map_err(AdminError::at(name))? {
            found = Some((name.to_owned(), row));
        }
    }
    let outcome = match (&found, prepared_on.is_empty()) {
        (Some((_, (Decision::Committed, _, _))), true) => "committed on all of its servers",
        (Some((_, (Decision::Committed, _, _))), false) => {
            "committed; a proxy commits what is still prepared"
        }
        (Some(_), true) => "rolled back on all of its servers",
        (Some(_), false) => "rolled back; a proxy rolls back what is still prepared",
        (None, true) => "not known: it was rolled back, or wrote on one server alone, or is older than a day",
        (None, false) if is_older_than_decisions(gtrid) => {
            "not known any more: it is older than decisions are kept. A server that was restored from a backup has again what was prepared then; whether it was committed the transaction's other \
             servers' rows may show (podway txn resolve --help)"
        }
        (None, false) => "not decided yet",
    };
    let (decided_on, stamp, parts) = match found {
        Some((name, (_, stamp, parts))) => (Some(name), stamp, parts),
        None => (None, None, String::new()),
    };
    let shown = Shown {
        transaction: gtrid.to_string(),
        outcome,
        decided_on,
        stamp,
        servers: named(&view, &parts),
        prepared_on,
        waiting,
    };
    let waits = |row: &WaitingRow| {
        format!("{} thread {} for {} s: {}", row.server, row.thread, row.seconds, row.statement)
    };
    let properties = [
        ("transaction", shown.transaction.clone()),
        ("outcome", shown.outcome.to_owned()),
        ("decided on", shown.decided_on.clone().unwrap_or_default()),
        ("servers", shown.servers.join(", ")),
        ("prepared on", shown.prepared_on.join(", ")),
        ("waiting for it", shown.waiting.iter().map(waits).collect::<Vec<_>>().join("; ")),
    ];
    Ok(print::one(&shown, &properties, context.is_json)?)
}

/// Servers that a decision lists by their numbers, by name.
fn named(view: &View, parts: &str) -> Vec<String> {
    let numbers = parts.split(',').filter_map(|part| part.parse().ok());
    numbers.map(|id| find::server_name(view, ServerId(id))).collect()
}

/// The statements that wait for locks of prepared branches on a server; whose branch's, where several are prepared, it does not say.
async fn waiting_there(conn: &mut Conn, server: &str) -> Result<Vec<WaitingRow>, ProvisionError> {
    let sql = format!(
        "SELECT DISTINCT r.trx_mysql_thread_id, GREATEST(0, TIMESTAMPDIFF(SECOND, r.trx_wait_started, NOW())), COALESCE(LEFT(r.trx_query, 200), '') \
         FROM performance_schema.data_lock_waits w \
         JOIN information_schema.INNODB_TRX r ON r.trx_id = w.REQUESTING_ENGINE_TRANSACTION_ID \
         JOIN information_schema.INNODB_TRX b ON b.trx_id = w.BLOCKING_ENGINE_TRANSACTION_ID AND b.trx_mysql_thread_id = 0 \
         ORDER BY 2 DESC LIMIT {MAX_WAITING}"
    );
    let rows: Vec<(u64, u64, String)> = conn.query(sql).await.map_err(|error| ProvisionError::Statement {
        doing: "reading who waits for locks".to_owned(),
        error,
    })?;
    let of =
        |(thread, seconds, statement)| WaitingRow { server: server.to_owned(), thread, seconds, statement };
    Ok(rows.into_iter().map(of).collect())
}

/// What a transaction's first server has decided of it.
async fn standing(servers: &Servers, primary: ServerId, gtrid: Gtrid) -> Result<Decision, AdminError> {
    let (mut conn, name) = servers.connect(primary).await?;
    let row = decision(&mut conn, gtrid).await.map_err(AdminError::at(name))?;
    Ok(row.map_or(Decision::None, |(decision, _, _)| decision))
}
