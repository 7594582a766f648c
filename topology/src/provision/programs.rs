//! Triggers and events that stand in the way of a table that is to lie on several shards. They were made when a table of its name was one server's, or lay otherwise: they
//! would see the rows of their own shard alone, or write rows where they do not belong. Those that are made through Podway afterwards are analysed.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::bodies::{may_use, reaches_out};
use super::error::ProvisionError;

/// Why a table of this name cannot come to lie on several shards, as far as programs of this schema go; `None`: nothing is in the way.
///
/// # Errors
/// The server does not say.
pub async fn program_in_the_way(
    conn: &mut Conn,
    schema: &str,
    table: &str,
) -> Result<Option<String>, ProvisionError> {
    let doing = || ProvisionError::doing(format!("reading triggers and events of {schema}"));
    let sql = "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_STATEMENT FROM information_schema.TRIGGERS \
               WHERE TRIGGER_SCHEMA = ? AND (LOWER(EVENT_OBJECT_TABLE) = LOWER(?) OR LOCATE(LOWER(?), LOWER(ACTION_STATEMENT)) > 0)";
    let triggers: Vec<(String, String, String)> =
        conn.exec(sql, (schema, table, table)).await.map_err(doing())?;
    for (trigger, own, body) in triggers {
        let is_its_own = own.to_lowercase() == table.to_lowercase();
        if may_use(&body, table) || is_its_own && reaches_out(&body) {
            return Ok(Some(in_the_way("trigger", &trigger, table)));
        }
    }
    let sql = "SELECT EVENT_NAME, EVENT_DEFINITION FROM information_schema.EVENTS \
               WHERE EVENT_SCHEMA = ? AND LOCATE(LOWER(?), LOWER(EVENT_DEFINITION)) > 0";
    let events: Vec<(String, String)> = conn.exec(sql, (schema, table)).await.map_err(doing())?;
    let found = events.into_iter().find(|(_, body)| may_use(body, table));
    Ok(found.map(|(event, _)| in_the_way("event", &event, table)))
}

fn in_the_way(kind: &str, program: &str, table: &str) -> String {
    let kind_in_capitals = kind.to_uppercase();
    format!(
        "the {kind} {program} was made for a table {table} that lay otherwise, and would see the rows of one shard alone: \
         DROP {kind_in_capitals} first, and create it through Podway afterwards"
    )
}
