//! What servers hold of transactions over several of them: prepared branches and decisions, read as their administrator. Changes nothing.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Gtrid, Xid};
use serde::Serialize;

use super::error::AdminError;
use crate::provision::ProvisionError;

/// ER_BAD_DB_ERROR and ER_NO_SUCH_TABLE: the server is not prepared for such transactions.
const UNPREPARED: [u16; 2] = [1049, 1146];

/// How long decisions are kept at least.
const KEPT: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);
/// What a transaction's first server says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Decision {
    Committed,
    RolledBack,
    None,
    Unreachable,
}

/// The id of a transaction that was typed.
pub(super) fn gtrid(id: &str) -> Result<Gtrid, AdminError> {
    let example = "6a1b2c3d4e5f6071-0007-0003-0000a91f";
    Gtrid::parse(id)
        .ok_or_else(|| AdminError::Usage(format!("'{id}' is no id of a transaction: such as {example}")))
}

/// Whether a transaction began so long ago that its decision may have been deleted.
pub(super) fn is_older_than_decisions(gtrid: Gtrid) -> bool {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(gtrid.begun.since_1970()) > KEPT
}

/// The prepared branches of a server; those of other programs without a name.
pub(super) async fn prepared(conn: &mut Conn) -> Result<Vec<Option<Xid>>, ProvisionError> {
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

/// What a server has decided of a transaction, with the stamp and the servers; none if it has no row of it.
pub(super) async fn decision(
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
