//! What a shard leaves behind. Before the flip the users' privileges on the source are withheld, written down beside it so that a cancelled move gives them back: whoever
//! still has the old map finds nothing to read there. After its retention the schema is dropped.
//!
//! Why no write can get in while a schema is dropped, for which it has to be writable: whoever has privileges on it by its name lost them before the flip, and whoever got
//! them back meanwhile keeps it from being dropped; whoever has privileges on everything reaches it through a proxy with a map from before the flip only, and such a proxy
//! has no lease, so its threads are ended first; and making it writable and dropping it are one packet.

use podway_topology_api::Incarnation;

use super::super::error::MoveError;
use super::arrival::Arrival;
use super::control::Control;
use super::fence::{fence, is_fenced};
use super::grants::{given, grantees, revoke_all};
use super::text::{account, name, quoted};
use super::threads::{NAMED, described, empty, holders, shut_out, strangers};

/// Takes users' privileges on the source away and ends their threads there: a thread keeps what it could do in its current schema. What they had is written down first.
pub async fn withhold(
    control: &mut Control,
    arrival: &Arrival<'_>,
    live: Option<&[Incarnation]>,
) -> Result<(), MoveError> {
    let (cluster, schema) = (control.owner().cluster.clone(), arrival.from_schema);
    let sql = "REPLACE INTO _podway.departures VALUES (?, ?, ?, 0)";
    control.change_with(sql, (schema, &cluster, arrival.operation.0)).await?;
    for statement in given(control, schema).await? {
        // A try before this one may have come so far, and further.
        let sql = "INSERT IGNORE INTO _podway.withheld VALUES (?, ?, SHA2(?, 256), ?)";
        control.change_with(sql, (schema, &cluster, &statement, &statement)).await?;
    }
    revoke(control, schema, live).await
}

/// The same once more, for what was granted since.
pub async fn revoke(
    control: &mut Control,
    schema: &str,
    live: Option<&[Incarnation]>,
) -> Result<(), MoveError> {
    revoke_all(control, schema).await?;
    match live {
        Some(live) => empty(control, schema, live).await,
        None => Ok(()),
    }
}

/// Gives back what was withheld.
pub async fn give_back(control: &mut Control, schema: &str) -> Result<(), MoveError> {
    let cluster = control.owner().cluster.clone();
    let sql = "SELECT statement FROM _podway.withheld WHERE schema_name = ? AND cluster = ?";
    let statements: Vec<String> = control.rows_with(sql, (schema, &cluster)).await?;
    for statement in statements {
        control.change(statement).await?;
    }
    forget_withheld(control, schema).await?;
    forget(control, schema).await
}

/// There is no way back any more: what was withheld need not be known.
pub async fn forget_withheld(control: &mut Control, schema: &str) -> Result<(), MoveError> {
    let cluster = control.owner().cluster.clone();
    let sql = "DELETE FROM _podway.withheld WHERE schema_name = ? AND cluster = ?";
    control.change_with(sql, (schema, cluster)).await
}

/// Drops a schema that a shard left: as this cluster's move left it, READ ONLY, with nobody in it. `gone` are the proxies that have no lease.
pub async fn drop_left(
    control: &mut Control,
    schema: &str,
    live: &[Incarnation],
    gone: &[Incarnation],
) -> Result<(), MoveError> {
    let exists =
        format!("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}", quoted(schema));
    if control.row::<u64>(&exists).await? == 0 {
        return forget(control, schema).await;
    }
    let cluster = control.owner().cluster.clone();
    let sql = "SELECT is_going FROM _podway.departures WHERE schema_name = ? AND cluster = ?";
    let known: Vec<bool> = control.rows_with(sql, (schema, &cluster)).await?;
    let Some(is_going) = known.first().copied() else {
        return Err(stays(
            control,
            schema,
            "was not left by a move of this cluster, as far as its server knows",
        ));
    };
    if !is_fenced(control, schema).await? {
        if !is_going {
            return Err(stays(control, schema, "is not READ ONLY any more: somebody has changed that"));
        }
        // A drop was interrupted half-way.
        fence(control, schema).await?;
    }
    let again = grantees(control, schema).await?;
    if !again.is_empty() {
        let named: Vec<String> = again.iter().take(NAMED).map(|one| account(&one.user, &one.host)).collect();
        return Err(stays(
            control,
            schema,
            &format!("can be used again by {}: revoke that", named.join(", ")),
        ));
    }
    shut_out(control, gone).await?;
    check_empty(control, schema, live).await?;
    let sql = "UPDATE _podway.departures SET is_going = 1 WHERE schema_name = ? AND cluster = ?";
    control.change_with(sql, (schema, &cluster)).await?;
    control.check_no_backup().await?;
    let schema_name = name(schema);
    let dropped = control
        .change(format!("ALTER DATABASE {schema_name} READ ONLY = 0; DROP DATABASE {schema_name}"))
        .await;
    if let Err(error) = dropped {
        // As it was, as far as that can be done now; the next try does the rest.
        let _as_far_as_it_can = control.change(format!("ALTER DATABASE {schema_name} READ ONLY = 1")).await;
        return Err(error);
    }
    forget(control, schema).await
}

async fn check_empty(control: &mut Control, schema: &str, live: &[Incarnation]) -> Result<(), MoveError> {
    let mut there = holders(control, schema).await?;
    there.extend(strangers(control, schema, live).await?);
    match there.is_empty() {
        true => Ok(()),
        false => Err(MoveError::Blocked(format!(
            "schema {schema} of server {} is in use: {}",
            control.server(),
            described(&there)
        ))),
    }
}

async fn forget(control: &mut Control, schema: &str) -> Result<(), MoveError> {
    let cluster = control.owner().cluster.clone();
    let sql = "DELETE FROM _podway.departures WHERE schema_name = ? AND cluster = ?";
    control.change_with(sql, (schema, cluster)).await
}

fn stays(control: &Control, schema: &str, why: &str) -> MoveError {
    MoveError::Refused(format!("schema {schema} of server {} {why}", control.server()))
}
