//! Threads on a server: whose they are, what they hold, and their end. And prepared branches, which have no thread.

use std::time::Duration;

use podway_model::BRANCH_FORMAT;
use podway_topology_api::Incarnation;
use tokio::time::{Instant, sleep};

use super::super::error::MoveError;
use super::control::Control;

/// Threads that were killed are gone within this, or it is tried again later.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often is looked.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A message names no more of a kind than this.
pub(super) const NAMED: usize = 5;

/// The connection attribute by which a proxy's threads are known: the number of its incarnation.
const ATTRIBUTE: &str = "podway_incarnation";

/// A thread that holds something.
pub(super) struct Holder {
    pub(super) thread: u64,
    pub(super) who: String,
    pub(super) what: String,
    /// Nothing runs on it: it holds this until its client does something about it.
    pub(super) is_idle: bool,
}

/// Ends the threads of these proxies on one server; returns when there is none.
pub async fn shut_out(control: &mut Control, proxies: &[Incarnation]) -> Result<(), MoveError> {
    let sql = format!(
        "SELECT DISTINCT PROCESSLIST_ID FROM performance_schema.session_connect_attrs \
         WHERE ATTR_NAME = '{ATTRIBUTE}' AND ATTR_VALUE IN ({})",
        listed(proxies)
    );
    kill_all(control, &sql, "of a proxy whose lease ended").await
}

/// Ends the threads that have a schema as their current one or hold locks in it, but for this session, the administrator's, and those of live proxies: these have a
/// map by which nothing of the schema is theirs.
pub(super) async fn empty(
    control: &mut Control,
    schema: &str,
    live: &[Incarnation],
) -> Result<(), MoveError> {
    let spared = format!(
        "SELECT PROCESSLIST_ID FROM performance_schema.session_connect_attrs \
         WHERE ATTR_NAME = '{ATTRIBUTE}' AND ATTR_VALUE IN ({})",
        listed(live)
    );
    let (schema, user) = (super::text::quoted(schema), super::text::quoted(control.user()));
    let sql = format!(
        "SELECT PROCESSLIST_ID FROM performance_schema.threads t WHERE PROCESSLIST_ID IS NOT NULL \
         AND TYPE = 'FOREGROUND' AND PROCESSLIST_ID <> CONNECTION_ID() AND PROCESSLIST_USER <> {user} \
         AND PROCESSLIST_ID NOT IN ({spared}) AND (PROCESSLIST_DB = {schema} OR EXISTS (SELECT 1 FROM \
         performance_schema.metadata_locks m WHERE m.OWNER_THREAD_ID = t.THREAD_ID AND m.OBJECT_SCHEMA = {schema}))"
    );
    kill_all(control, &sql, "in the schema that moved away").await
}

/// Who has a schema as the current one, but for live proxies: they have a map by which nothing of it is theirs.
pub(super) async fn strangers(
    control: &mut Control,
    schema: &str,
    live: &[Incarnation],
) -> Result<Vec<Holder>, MoveError> {
    let sql = format!(
        "SELECT PROCESSLIST_ID, CONCAT(COALESCE(PROCESSLIST_USER, ''), '@', COALESCE(PROCESSLIST_HOST, '')), \
         'it as its current schema', 1 FROM performance_schema.threads WHERE PROCESSLIST_DB = ? \
         AND PROCESSLIST_ID <> CONNECTION_ID() AND PROCESSLIST_ID NOT IN (SELECT PROCESSLIST_ID \
         FROM performance_schema.session_connect_attrs WHERE ATTR_NAME = '{ATTRIBUTE}' AND ATTR_VALUE IN ({})) \
         ORDER BY 1",
        listed(live)
    );
    read_holders(control, &sql, (schema,)).await
}

/// Who holds a metadata lock on something of a schema: whoever has a transaction there.
pub(super) async fn holders(control: &mut Control, schema: &str) -> Result<Vec<Holder>, MoveError> {
    let sql = "SELECT t.PROCESSLIST_ID, CONCAT(COALESCE(t.PROCESSLIST_USER, ''), '@', COALESCE(t.PROCESSLIST_HOST, '')), \
               COALESCE(m.OBJECT_NAME, m.OBJECT_SCHEMA), COALESCE(t.PROCESSLIST_COMMAND, '') = 'Sleep' \
               FROM performance_schema.metadata_locks m JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID \
               WHERE m.OBJECT_SCHEMA = ? AND m.LOCK_STATUS = 'GRANTED' AND t.PROCESSLIST_ID <> CONNECTION_ID() ORDER BY 1, 3";
    read_holders(control, sql, (schema,)).await
}

/// Refuses as long as a server has prepared branches of other programs. Podway's own come and go, and those that are of the shard hold up the fence.
pub async fn check_branches(control: &mut Control) -> Result<(), MoveError> {
    let mut branches: Vec<(i64, i64, i64, String)> = control.rows("XA RECOVER CONVERT XID").await?;
    branches.retain(|(format, ..)| u64::try_from(*format) != Ok(BRANCH_FORMAT));
    if branches.is_empty() {
        return Ok(());
    }
    let named = branches.iter().take(NAMED).map(|(format, global, _, data)| operand(*format, *global, data));
    Err(MoveError::Blocked(format!(
        "server {} has {} prepared XA branches that have to be committed or rolled back first: {}",
        control.server(),
        branches.len(),
        named.collect::<Vec<_>>().join(", ")
    )))
}

/// A branch as XA COMMIT and XA ROLLBACK take it, from what XA RECOVER says in hexadecimal.
fn operand(format: i64, global_length: i64, data: &str) -> String {
    let digits = data.trim_start_matches("0x");
    let split = usize::try_from(global_length).unwrap_or(0).saturating_mul(2).min(digits.len());
    let (global, branch) = digits.split_at(split);
    format!("X'{global}',X'{branch}',{format}")
}

/// Them, as a message says it.
pub(super) fn described(holders: &[Holder]) -> String {
    let one = |holder: &Holder| format!("thread {} ({}) holds {}", holder.thread, holder.who, holder.what);
    let named: Vec<String> = holders.iter().take(NAMED).map(one).collect();
    let more = holders.len().saturating_sub(NAMED);
    named.join(", ") + &if more > 0 { format!(", and {more} more") } else { String::new() }
}

async fn read_holders<P: Into<mysql_async::Params> + Send>(
    control: &mut Control,
    sql: &str,
    values: P,
) -> Result<Vec<Holder>, MoveError> {
    let rows: Vec<(u64, String, String, bool)> = control.rows_with(sql, values).await?;
    Ok(rows.into_iter().map(|(thread, who, what, is_idle)| Holder { thread, who, what, is_idle }).collect())
}

async fn kill_all(control: &mut Control, sql: &str, whose: &str) -> Result<(), MoveError> {
    let give_up = Instant::now() + GONE_WITHIN;
    loop {
        let threads: Vec<u64> = control.rows(sql).await?;
        if threads.is_empty() {
            return Ok(());
        }
        if Instant::now() >= give_up {
            return Err(MoveError::Blocked(format!(
                "server {} still has {} threads {whose} {GONE_WITHIN:?} after they were killed, first thread {}",
                control.server(),
                threads.len(),
                threads[0]
            )));
        }
        for thread in threads {
            control.kill(thread).await?;
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// For IN: never empty, and 0 is nobody's number.
fn listed(proxies: &[Incarnation]) -> String {
    let numbers = proxies.iter().map(|incarnation| format!("'{}'", incarnation.0));
    std::iter::once("'0'".to_owned()).chain(numbers).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_named_as_xa_takes_it() {
        assert_eq!(operand(1, 2, "0x616263"), "X'6162',X'63',1");
        assert_eq!(operand(7, 3, "0x616263"), "X'616263',X'',7");
    }
}
