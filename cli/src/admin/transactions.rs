//! `podway txn`: transactions over several servers that are not finished yet, and what became of one. Servers are read as their administrator; nothing is changed:
//! proxies finish what others left.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Gtrid, ServerId, Xid};
use podway_topology_api::View;
use serde::Serialize;

use super::context::{Common, Context, Servers};
use super::error::AdminError;
use super::find;
use super::print::{self, Row};
use crate::provision::ProvisionError;

/// ER_BAD_DB_ERROR and ER_NO_SUCH_TABLE: the server is not prepared for such transactions.
const UNPREPARED: [u16; 2] = [1049, 1146];

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
}

/// What a transaction's first server says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Decision {
    Committed,
    RolledBack,
    None,
    Unreachable,
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
    }
}

async fn list(common: &Common) -> Result<(), AdminError> {
    let context = Context::new(common)?;
    let view = context.view().await?;
    let servers = context.servers(&view).await?;
    let mut decisions: BTreeMap<(ServerId, Gtrid), Decision> = BTreeMap::new();
    let mut rows = Vec::new();
    for server in servers.all() {
        let (mut conn, name) = match servers.connect(server.id).await {
            Ok(connected) => connected,
            Err(error) => {
                print::note(&format!("left out: {error}"));
                continue;
            }
        };
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
    let Some(gtrid) = Gtrid::parse(id) else {
        return Err(AdminError::Usage(format!(
            "'{id}' is no id of a transaction: such as 6a1b2c3d4e5f6071-0007-0003-0000a91f"
        )));
    };
    let context = Context::new(common)?;
    let view = context.view().await?;
    let servers = context.servers(&view).await?;
    let (mut prepared_on, mut found) = (Vec::new(), None);
    for server in servers.all() {
        let (mut conn, name) = servers.connect(server.id).await?;
        let branches = prepared(&mut conn).await.map_err(AdminError::at(name))?;
        if branches.into_iter().flatten().any(|xid| xid.gtrid == gtrid) {
            prepared_on.push(name.to_owned());
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
    };
    let properties = [
        ("transaction", shown.transaction.clone()),
        ("outcome", shown.outcome.to_owned()),
        ("decided on", shown.decided_on.clone().unwrap_or_default()),
        ("servers", shown.servers.join(", ")),
        ("prepared on", shown.prepared_on.join(", ")),
    ];
    Ok(print::one(&shown, &properties, context.is_json)?)
}

/// Servers that a decision lists by their numbers, by name.
fn named(view: &View, parts: &str) -> Vec<String> {
    let numbers = parts.split(',').filter_map(|part| part.parse().ok());
    numbers.map(|id| find::server_name(view, ServerId(id))).collect()
}

/// The prepared branches of a server; those of other programs without a name.
async fn prepared(conn: &mut Conn) -> Result<Vec<Option<Xid>>, ProvisionError> {
    let rows: Vec<(u64, usize, usize, String)> =
        conn.query("XA RECOVER CONVERT XID").await.map_err(|error| ProvisionError::Statement {
            doing: "listing prepared branches".to_owned(),
            error,
        })?;
    Ok(rows
        .iter()
        .map(|(format, gtrid, bqual, data)| Xid::recovered(*format, *gtrid, *bqual, data))
        .collect())
}

/// What a transaction's first server has decided of it.
async fn standing(servers: &Servers, primary: ServerId, gtrid: Gtrid) -> Result<Decision, AdminError> {
    let (mut conn, name) = servers.connect(primary).await?;
    let row = decision(&mut conn, gtrid).await.map_err(AdminError::at(name))?;
    Ok(row.map_or(Decision::None, |(decision, _, _)| decision))
}

/// What a server has decided of a transaction, with the stamp and the servers; none if it has no row of it.
async fn decision(
    conn: &mut Conn,
    gtrid: Gtrid,
) -> Result<Option<(Decision, Option<u64>, String)>, ProvisionError> {
    let sql = "SELECT st, cts, parts FROM _podway.decision WHERE g = ?";
    let row = conn.exec_first::<(String, Option<u64>, String), _, _>(sql, (gtrid.to_string(),)).await;
    let row = match row {
        Err(mysql_async::Error::Server(error)) if UNPREPARED.contains(&error.code) => None,
        row => {
            row.map_err(|error| ProvisionError::Statement { doing: "reading a decision".to_owned(), error })?
        }
    };
    Ok(row.map(|(standing, stamp, parts)| {
        let decision = if standing == "C" { Decision::Committed } else { Decision::RolledBack };
        (decision, stamp, parts)
    }))
}
