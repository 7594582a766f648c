//! What a schema has besides rows: what of it cannot be moved, and how triggers and views are made again.

use super::super::error::MoveError;
use super::arrival::Arrival;
use super::control::Control;
use super::text::{account, name, quoted};
use super::threads::NAMED;

/// A question whose answers are in the way.
struct Obstacle {
    /// The rows that are; `{}` is the schema.
    sql: &'static str,
    /// What they are.
    what: &'static str,
}

const OBSTACLES: [Obstacle; 6] = [
    Obstacle {
        sql: "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {}",
        what: "stored procedures and functions",
    },
    Obstacle {
        sql: "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {}",
        what: "events",
    },
    Obstacle {
        sql: "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_TYPE = 'BASE TABLE' \
              AND COALESCE(ENGINE, '') <> 'InnoDB'",
        what: "tables of another engine than InnoDB",
    },
    Obstacle {
        sql: "SELECT CONCAT(TABLE_NAME, '.', CONSTRAINT_NAME) FROM information_schema.REFERENTIAL_CONSTRAINTS \
              WHERE CONSTRAINT_SCHEMA = {} AND UNIQUE_CONSTRAINT_SCHEMA <> CONSTRAINT_SCHEMA",
        what: "foreign keys to other schemas",
    },
    Obstacle {
        sql: "SELECT CONCAT(CONSTRAINT_SCHEMA, '.', TABLE_NAME, '.', CONSTRAINT_NAME) \
              FROM information_schema.REFERENTIAL_CONSTRAINTS \
              WHERE UNIQUE_CONSTRAINT_SCHEMA = {} AND UNIQUE_CONSTRAINT_SCHEMA <> CONSTRAINT_SCHEMA",
        what: "foreign keys from other schemas",
    },
    Obstacle {
        sql: "SELECT VIEW_NAME FROM information_schema.VIEW_TABLE_USAGE \
              WHERE VIEW_SCHEMA = {} AND TABLE_SCHEMA <> VIEW_SCHEMA",
        what: "views of other schemas' tables",
    },
];

/// Refuses a schema with something that does not travel.
pub(super) async fn check_objects(source: &mut Control, arrival: &Arrival<'_>) -> Result<(), MoveError> {
    let schema = quoted(arrival.from_schema);
    for Obstacle { sql, what } in OBSTACLES {
        let found: Vec<String> = source.rows(&sql.replace("{}", &schema)).await?;
        if !found.is_empty() {
            return Err(refused(source, arrival, what, &found));
        }
    }
    if arrival.from_schema == arrival.to_schema {
        return Ok(());
    }
    // Their text is the user's own: names in it cannot be changed for him.
    let sql = "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} \
               AND LOCATE(LOWER({}), LOWER(ACTION_STATEMENT)) > 0";
    let found: Vec<String> = source.rows(&sql.replace("{}", &schema)).await?;
    if !found.is_empty() {
        return Err(refused(
            source,
            arrival,
            "triggers that name their schema, which gets another name",
            &found,
        ));
    }
    Ok(())
}

fn refused(source: &Control, arrival: &Arrival<'_>, what: &str, found: &[String]) -> MoveError {
    let named: Vec<&str> = found.iter().take(NAMED).map(String::as_str).collect();
    MoveError::Refused(format!(
        "schema {} of server {} has {what}, which do not move: {}",
        arrival.from_schema,
        source.server(),
        named.join(", ")
    ))
}

/// The names of a schema's tables, or of its views.
pub(super) async fn tables(
    control: &mut Control,
    schema: &str,
    kind: &str,
) -> Result<Vec<String>, MoveError> {
    let sql = format!(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_TYPE = {} ORDER BY 1",
        quoted(schema),
        quoted(kind)
    );
    control.rows(&sql).await
}

/// A trigger, and what its body is read under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trigger {
    name: String,
    definition: String,
    sql_mode: String,
    charset: String,
    collation: String,
}

/// A schema's triggers, in the order in which they act.
pub(super) async fn triggers(control: &mut Control, schema: &str) -> Result<Vec<Trigger>, MoveError> {
    type Found = (String, String, String, String, String, String, String, String, String);
    let sql = format!(
        "SELECT TRIGGER_NAME, DEFINER, ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_STATEMENT, SQL_MODE, \
         CHARACTER_SET_CLIENT, COLLATION_CONNECTION FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} \
         ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
        quoted(schema)
    );
    let rows: Vec<Found> = control.rows(&sql).await?;
    let trigger =
        |(trigger, definer, timing, event, table, body, sql_mode, charset, collation): Found| Trigger {
            definition: format!(
                "CREATE DEFINER = {} TRIGGER {} {timing} {event} ON {} FOR EACH ROW {body}",
                definer_of(&definer),
                name(&trigger),
                name(&table)
            ),
            name: trigger,
            sql_mode,
            charset,
            collation,
        };
    Ok(rows.into_iter().map(trigger).collect())
}

/// Makes triggers in the current schema.
pub(super) async fn make_triggers(target: &mut Control, triggers: &[Trigger]) -> Result<(), MoveError> {
    for trigger in triggers {
        let context = format!(
            "SET SESSION sql_mode = {}, collation_connection = {}",
            quoted(&trigger.sql_mode),
            quoted(&trigger.collation)
        );
        target.set("SET @podway_mode = @@sql_mode, @podway_collation = @@collation_connection").await?;
        target.set(&context).await?;
        let made = target.change(trigger.definition.clone()).await;
        target.set("SET SESSION sql_mode = @podway_mode, collation_connection = @podway_collation").await?;
        made.map_err(|error| named("trigger", &trigger.name, error))?;
    }
    Ok(())
}

/// Makes the views of the source's current schema in the target's current one, those first that others read.
pub(super) async fn make_views(
    source: &mut Control,
    target: &mut Control,
    schema: &str,
) -> Result<(), MoveError> {
    let mut waiting = tables(source, schema, "VIEW").await?;
    while !waiting.is_empty() {
        let before = waiting.len();
        let (mut later, mut last) = (Vec::new(), None);
        for view in waiting {
            let (_, definition, _, collation): (String, String, String, String) =
                source.row(&format!("SHOW CREATE VIEW {}", name(&view))).await?;
            target.set("SET @podway_collation = @@collation_connection").await?;
            target.set(&format!("SET SESSION collation_connection = {}", quoted(&collation))).await?;
            let made = target.change(definition).await;
            target.set("SET SESSION collation_connection = @podway_collation").await?;
            if let Err(error) = made {
                last = Some(named("view", &view, error));
                later.push(view);
            }
        }
        if let (true, Some(error)) = (later.len() == before, last) {
            return Err(error);
        }
        waiting = later;
    }
    Ok(())
}

fn named(what: &str, name: &str, error: MoveError) -> MoveError {
    match error {
        MoveError::Server { .. } if !error.may_pass() => {
            MoveError::Refused(format!("{what} {name}: {error}"))
        }
        other => other,
    }
}

/// `user@host` as information_schema prints it.
fn definer_of(text: &str) -> String {
    let (user, host) = text.rsplit_once('@').unwrap_or((text, "%"));
    account(user, host)
}
