//! `podway txn resolve`: a transaction's prepared branches finished now, as its first server has decided. What is to become of them is decided without I/O, by what servers say: never by whoever types,
//! but where no server can say it any more.

use std::collections::BTreeSet;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Gtrid, ServerId, Xid, parts_text};
use serde::Serialize;

use super::branches::{Decision, decision, gtrid, is_older_than_decisions, prepared};
use super::context::{Common, Context, Servers};
use super::error::AdminError;
use super::find;
use super::print;
use crate::provision::ProvisionError;

/// ER_DUP_ENTRY: there is a decision, or a floor, already.
const DUPLICATE: u16 = 1062;
/// ER_XAER_NOTA: somebody was quicker.
const UNKNOWN_XID: u16 = 1397;
/// A tombstone waits no longer for a decision that is being written.
const SETTINGS: &str = "SET SESSION autocommit = 1, innodb_lock_wait_timeout = 10, time_zone = '+00:00'";

/// What is known of a transaction with prepared branches.
#[derive(Clone, Debug)]
struct Known {
    first: First,
    /// The highest stamp of it that a server has committed: there is one only if the transaction was committed.
    committed: Option<u64>,
    /// Whether it is older than decisions are kept.
    is_old: bool,
    /// Whether it was asked to give up what cannot be decided.
    gives_up: bool,
}

/// What its first server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Committed(Option<u64>),
    RolledBack,
    Nothing,
    /// It is in the cluster, and does not answer.
    Away,
    /// It is in the cluster no more.
    Gone,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Commit, with this stamp.
    Commit(Option<u64>),
    RollBack,
    /// Have the first server decide: a tombstone, and what is there if it is refused.
    Ask,
    /// Nothing: why.
    Leave(Leave),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// Its first server has to be there.
    Away,
    /// Nobody can say it.
    Undecidable,
    /// It is not for people to choose.
    Decidable,
}

#[derive(Serialize)]
struct Resolved {
    transaction: String,
    outcome: &'static str,
    finished_on: Vec<String>,
    still_prepared_on: Vec<String>,
}

impl Known {
    fn verdict(&self) -> Verdict {
        match (self.first, self.committed) {
            (_, _) if self.gives_up && !self.is_undecidable() => Verdict::Leave(Leave::Decidable),
            (First::Committed(stamp), seen) => Verdict::Commit(stamp.or(seen)),
            (First::RolledBack, _) => Verdict::RollBack,
            (First::Away, _) => Verdict::Leave(Leave::Away),
            (First::Nothing, _) if !self.is_old => Verdict::Ask,
            // Another server has committed its part: that is done only after the decision.
            (First::Nothing | First::Gone, Some(stamp)) => Verdict::Commit(Some(stamp)),
            (First::Nothing | First::Gone, None) if self.gives_up => Verdict::RollBack,
            (First::Nothing | First::Gone, None) => Verdict::Leave(Leave::Undecidable),
        }
    }

    fn is_undecidable(&self) -> bool {
        let can_say = match self.first {
            First::Committed(_) | First::RolledBack | First::Away => true,
            First::Nothing => !self.is_old,
            First::Gone => false,
        };
        !can_say && self.committed.is_none()
    }
}

/// Finishes a transaction.
pub(super) async fn resolve(id: &str, given_up: Option<&str>, common: &Common) -> Result<(), AdminError> {
    let gtrid = gtrid(id)?;
    if given_up.is_some_and(|confirmed| confirmed != id) {
        return Err(AdminError::Usage(
            "--roll-back-undecidable confirms by the same id again: nothing was done".to_owned(),
        ));
    }
    let context = Context::new(common)?;
    let view = context.view().await?;
    let servers = context.servers(&view).await?;
    let (branches, committed) = look(&servers, gtrid).await?;
    let Some(first) = branches.first().map(|xid| xid.branch.primary) else {
        return Err(AdminError::refused(format!(
            "nothing of transaction {gtrid} is prepared on any server that answers: there is nothing to do (podway txn show {gtrid})"
        )));
    };
    let known = Known {
        first: first_says(&servers, first, gtrid).await?,
        committed,
        is_old: is_older_than_decisions(gtrid),
        gives_up: given_up.is_some(),
    };
    let name = find::server_name(&view, first);
    let commits = match known.verdict() {
        Verdict::Commit(stamp) => Some(stamp.unwrap_or_default()),
        Verdict::RollBack => None,
        Verdict::Ask => ask(&servers, first, gtrid, &branches).await?,
        Verdict::Leave(why) => return Err(AdminError::refused(reason(why, gtrid, &name))),
    };
    let finished_on = finish(&servers, &branches, commits).await?;
    let (left, _) = look(&servers, gtrid).await?;
    let still: Vec<String> = left.iter().map(|xid| find::server_name(&view, xid.branch.server)).collect();
    let outcome = if commits.is_some() { "committed" } else { "rolled back" };
    let resolved =
        Resolved { transaction: gtrid.to_string(), outcome, finished_on, still_prepared_on: still };
    let properties = [
        ("transaction", resolved.transaction.clone()),
        ("outcome", resolved.outcome.to_owned()),
        ("finished on", resolved.finished_on.join(", ")),
        ("still prepared on", resolved.still_prepared_on.join(", ")),
    ];
    Ok(print::one(&resolved, &properties, context.is_json)?)
}

fn reason(why: Leave, gtrid: Gtrid, first: &str) -> String {
    match why {
        Leave::Away => format!(
            "transaction {gtrid} was begun on {first}, which alone can say what became of it and cannot be asked: nothing was done. Bring it back, or promote its replica (podway server promote)"
        ),
        Leave::Undecidable => format!(
            "nobody can say what became of transaction {gtrid}: {first}, where it was begun, is gone or has no decision, and decisions this old may have been deleted. Nothing was done. Compare the rows that it wrote on its other \
             servers; if it was not committed there: podway txn resolve {gtrid} --roll-back-undecidable {gtrid}"
        ),
        Leave::Decidable => {
            format!(
                "what became of transaction {gtrid} can be told, or asked of {first}: it is not for anybody to choose. Nothing was done; leave out --roll-back-undecidable"
            )
        }
    }
}

/// The transaction's branches that are prepared, and the highest stamp of it that some server has committed. A server that does not answer is left out.
async fn look(servers: &Servers, gtrid: Gtrid) -> Result<(Vec<Xid>, Option<u64>), AdminError> {
    let (mut branches, mut committed) = (Vec::new(), None);
    for server in servers.all() {
        let Some((mut conn, name)) = servers.connect_or_leave_out(server.id).await else { continue };
        let listed = prepared(&mut conn).await.map_err(AdminError::at(name))?;
        branches.extend(listed.into_iter().flatten().filter(|xid| xid.gtrid == gtrid));
        let sql = "SELECT MAX(ts) FROM _podway.mark WHERE g IN (?, ?)";
        let stamp: Result<Option<Option<u64>>, _> =
            conn.exec_first(sql, (gtrid.to_string(), gtrid.floor())).await;
        // A server without such tables has no stamps.
        committed = committed.max(stamp.ok().flatten().flatten());
    }
    Ok((branches, committed))
}

async fn first_says(servers: &Servers, first: ServerId, gtrid: Gtrid) -> Result<First, AdminError> {
    if !servers.all().iter().any(|server| server.id == first) {
        return Ok(First::Gone);
    }
    let Ok((mut conn, name)) = servers.connect(first).await else { return Ok(First::Away) };
    Ok(match decision(&mut conn, gtrid).await.map_err(AdminError::at(name))? {
        Some((Decision::Committed, stamp, _)) => First::Committed(stamp),
        Some(_) => First::RolledBack,
        None => First::Nothing,
    })
}

/// The stamp, if the first server has committed it after all; none: it has a tombstone now, and never will.
async fn ask(
    servers: &Servers,
    first: ServerId,
    gtrid: Gtrid,
    branches: &[Xid],
) -> Result<Option<u64>, AdminError> {
    let (mut conn, name) = servers.connect(first).await?;
    let parts = parts_text(first, branches.iter().map(|xid| xid.branch.server).collect::<BTreeSet<_>>());
    let sql =
        format!("INSERT INTO _podway.decision (g, st, cts, parts) VALUES ('{gtrid}', 'A', NULL, '{parts}')");
    run(&mut conn, SETTINGS, &[]).await.map_err(AdminError::at(name))?;
    run(&mut conn, &sql, &[DUPLICATE]).await.map_err(AdminError::at(name))?;
    match decision(&mut conn, gtrid).await.map_err(AdminError::at(name))? {
        Some((Decision::Committed, stamp, _)) => Ok(Some(stamp.unwrap_or_default())),
        Some(_) => Ok(None),
        None => Err(AdminError::refused(format!("{name} holds no decision of {gtrid} after one was made"))),
    }
}

/// Commits the branches, with a mark that raises later stamps there above this one, or rolls them back; the servers' names.
async fn finish(
    servers: &Servers,
    branches: &[Xid],
    commits: Option<u64>,
) -> Result<Vec<String>, AdminError> {
    let mut finished = Vec::new();
    for xid in branches {
        let server = xid.branch.server;
        let (mut conn, name) = servers.connect(server).await?;
        let at = AdminError::at(name);
        let ended = async {
            run(&mut conn, SETTINGS, &[]).await?;
            if let Some(stamp) = commits {
                let (key, parts) = (xid.gtrid.floor(), parts_text(server, []));
                let floor =
                    format!("INSERT INTO _podway.mark (g, ts, parts) VALUES ('{key}', {stamp}, '{parts}')");
                run(&mut conn, &floor, &[DUPLICATE]).await?;
            }
            let verb = if commits.is_some() { "COMMIT" } else { "ROLLBACK" };
            run(&mut conn, &format!("XA {verb} {}", xid.sql()), &[UNKNOWN_XID]).await
        };
        ended.await.map_err(at)?;
        finished.push(name.to_owned());
    }
    Ok(finished)
}

/// Runs a statement that may be refused by one of these errors.
async fn run(conn: &mut Conn, sql: &str, harmless: &[u16]) -> Result<(), ProvisionError> {
    match conn.query_drop(sql).await {
        Err(mysql_async::Error::Server(error)) if harmless.contains(&error.code) => Ok(()),
        done => done.map_err(|error| ProvisionError::Statement {
            doing: "finishing a transaction".to_owned(),
            error,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(first: First, committed: Option<u64>, is_old: bool, gives_up: bool) -> Verdict {
        Known { first, committed, is_old, gives_up }.verdict()
    }

    #[test]
    fn what_was_decided_is_never_chosen() {
        use First::{Away, Committed, Gone, Nothing, RolledBack};
        let (decided, seen) = (Committed(Some(7)), Some(5));
        for (first, committed, is_old, expected) in [
            (decided, None, false, Verdict::Commit(Some(7))),
            (decided, seen, true, Verdict::Commit(Some(7))),
            (RolledBack, None, false, Verdict::RollBack),
            (RolledBack, None, true, Verdict::RollBack),
            (Nothing, None, false, Verdict::Ask),
            (Nothing, None, true, Verdict::Leave(Leave::Undecidable)),
            (Nothing, seen, true, Verdict::Commit(seen)),
            (Gone, None, false, Verdict::Leave(Leave::Undecidable)),
            (Gone, seen, false, Verdict::Commit(seen)),
            (Away, None, false, Verdict::Leave(Leave::Away)),
            (Away, seen, true, Verdict::Leave(Leave::Away)),
        ] {
            assert_eq!(
                verdict(first, committed, is_old, false),
                expected,
                "{first:?} {committed:?} {is_old}"
            );
            let given_up = verdict(first, committed, is_old, true);
            match expected {
                Verdict::Leave(Leave::Undecidable) => assert_eq!(given_up, Verdict::RollBack),
                _ => assert_eq!(given_up, Verdict::Leave(Leave::Decidable), "{first:?} {committed:?}"),
            }
        }
    }
}
