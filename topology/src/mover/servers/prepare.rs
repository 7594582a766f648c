//! Whether a schema can be moved at all, said before anything is held; and the end of the target's schema if the move is undone. A schema that this move did not
//! make is never dropped.

use super::super::error::MoveError;
use super::arrival::Arrival;
use super::control::Control;
use super::fence::is_fenced;
use super::grants::{self, check_users};
use super::layout::{is_own, lay_out, own};
use super::objects::check_objects;
use super::text::{name, quoted};

/// The first MySQL that can make a schema READ ONLY.
const FIRST_WITH_FENCE: (u32, u32, u32) = (8, 0, 22);

/// Refuses what cannot be moved, and makes the target's schema with its tables.
pub async fn prepare(
    source: &mut Control,
    target: &mut Control,
    arrival: &Arrival<'_>,
) -> Result<(), MoveError> {
    let (from, to) = (version(source).await?, version(target).await?);
    if (to.0, to.1) < (from.0, from.1) {
        return Err(MoveError::Refused(format!(
            "server {} has MySQL {}.{}, which is older than the {}.{} of server {}",
            target.server(),
            to.0,
            to.1,
            from.0,
            from.1,
            source.server()
        )));
    }
    for control in [&mut *source, &mut *target] {
        check_sight(control).await?;
        control.check_no_backup().await?;
    }
    let is_read_only: u64 = target.row("SELECT @@GLOBAL.read_only OR @@GLOBAL.super_read_only").await?;
    if is_read_only != 0 {
        return Err(MoveError::Refused(format!("server {} is read only", target.server())));
    }
    if is_fenced(source, arrival.from_schema).await? {
        return Err(MoveError::Refused(format!(
            "schema {} of server {} is READ ONLY already: make it writable first",
            arrival.from_schema,
            source.server()
        )));
    }
    check_objects(source, arrival).await?;
    check_users(source, target, arrival.from_schema).await?;
    check_place(target, arrival).await?;
    // Whatever can be done before the shard's clients wait.
    lay_out(source, target, arrival).await?;
    grants::bring_grants(source, target, arrival).await
}

/// The schema has arrived: what was written down of its arrival is not needed any more.
pub async fn clean_up(target: &mut Control, arrival: &Arrival<'_>) -> Result<(), MoveError> {
    let values = (arrival.to_schema, target.owner().cluster.clone(), arrival.operation.0);
    let sql = "DELETE FROM _podway.arrivals WHERE schema_name = ? AND cluster = ? AND operation = ?";
    target.change_with(sql, values).await
}

/// Drops what was brought to the target, and what was granted there for it.
pub async fn undo(target: &mut Control, arrival: &Arrival<'_>) -> Result<(), MoveError> {
    let Some(had_grants) = own(target, arrival).await? else { return Ok(()) };
    target.change(format!("DROP DATABASE IF EXISTS {}", name(arrival.to_schema))).await?;
    if !had_grants {
        grants::revoke_all(target, arrival.to_schema).await?;
    }
    clean_up(target, arrival).await
}

async fn check_place(target: &mut Control, arrival: &Arrival<'_>) -> Result<(), MoveError> {
    if take_over(target, arrival).await? {
        return Ok(());
    }
    let schema = quoted(arrival.to_schema);
    let sql = format!(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {schema} \
         UNION ALL SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {schema} \
         UNION ALL SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {schema} LIMIT 1"
    );
    let there: Vec<String> = target.rows(&sql).await?;
    if let Some(first) = there.first() {
        return Err(MoveError::Refused(format!(
            "schema {} of server {} is not empty: it has {first}",
            arrival.to_schema,
            target.server()
        )));
    }
    let had_grants = !grants::grantees(target, arrival.to_schema).await?.is_empty();
    let cluster = target.owner().cluster.clone();
    let values = (arrival.to_schema, cluster, arrival.operation.0, had_grants);
    target.change_with("REPLACE INTO _podway.arrivals VALUES (?, ?, ?, ?)", values).await
}

/// Whether the schema on the target is this move's, or was left by one of this cluster that was cancelled while the server was away: the topology lets no two
/// moves go to one place, nor one to where a shard is.
async fn take_over(target: &mut Control, arrival: &Arrival<'_>) -> Result<bool, MoveError> {
    let values = (arrival.operation.0, arrival.to_schema, target.owner().cluster.clone());
    let sql = "UPDATE _podway.arrivals SET operation = ? WHERE schema_name = ? AND cluster = ?";
    target.change_with(sql, values).await?;
    is_own(target, arrival).await
}

/// The three numbers of a server's version.
async fn version(control: &mut Control) -> Result<(u32, u32, u32), MoveError> {
    let text: String = control.row("SELECT @@version").await?;
    let version = parse_version(&text).filter(|version| *version >= FIRST_WITH_FENCE);
    version.ok_or_else(|| {
        MoveError::Refused(format!(
            "server {} has {text}: only MySQL 8.0.22 and later can make a schema READ ONLY, which a move needs",
            control.server()
        ))
    })
}

/// Threads and locks have to be seen.
async fn check_sight(control: &mut Control) -> Result<(), MoveError> {
    let sql = "SELECT @@performance_schema, @@performance_schema_session_connect_attrs_size, \
               (SELECT ENABLED FROM performance_schema.setup_instruments WHERE NAME = 'wait/lock/metadata/sql/mdl')";
    let (is_on, attributes, locks): (u64, i64, Option<String>) = control.row(sql).await?;
    if is_on == 0 || attributes == 0 || locks.as_deref() != Some("YES") {
        return Err(MoveError::Refused(format!(
            "server {} does not show connection attributes and metadata locks: a move needs performance_schema, \
             performance_schema_session_connect_attrs_size and the instrument wait/lock/metadata/sql/mdl",
            control.server()
        )));
    }
    Ok(())
}

/// `None` for what is not MySQL's.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    if text.to_ascii_lowercase().contains("mariadb") {
        return None;
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut numbers = text[..end].split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_old_ones_known() {
        let cases = [
            ("8.0.22", Some((8, 0, 22))),
            ("8.0.21-0ubuntu1", Some((8, 0, 21))),
            ("9.7.4-commercial", Some((9, 7, 4))),
            ("10.11.6-MariaDB-1", None),
            ("8.0", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_version(text), expected, "{text}");
        }
        assert!(parse_version("8.0.21") < Some(FIRST_WITH_FENCE));
    }
}
