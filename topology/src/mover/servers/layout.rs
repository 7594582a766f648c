//! The target's schema with the source's tables in it, empty: made before anything is held, so that clients do not wait for it, and looked through under the fence. A schema
//! that this move did not make is never dropped.

use super::super::error::MoveError;
use super::arrival::Arrival;
use super::control::Control;
use super::objects::{tables, triggers};
use super::text::{name, quoted};

/// One statement asks so many tables whether they are empty.
const ASKED_AT_ONCE: usize = 50;

/// A table and the number that its next row gets.
pub(super) type Counter = (String, u64);

/// Makes the target's schema anew, with the source's tables.
pub(super) async fn lay_out(
    source: &mut Control,
    target: &mut Control,
    arrival: &Arrival<'_>,
) -> Result<(), MoveError> {
    make(source, target, arrival).await?;
    enter(source, target, arrival).await?;
    for table in tables(source, arrival.from_schema, "BASE TABLE").await? {
        let definition = definition(source, &table).await?;
        target.change(definition).await?;
    }
    Ok(())
}

/// What is to be set yet where the target has the source's tables as they are now, with no rows; `None`: it is to be laid out anew.
pub(super) async fn laid_out(
    source: &mut Control,
    target: &mut Control,
    arrival: &Arrival<'_>,
) -> Result<Option<Vec<Counter>>, MoveError> {
    let (from, to) = (arrival.from_schema, arrival.to_schema);
    let here = defaults(source, from).await?;
    if here.is_none() || here != defaults(target, to).await? || !is_own(target, arrival).await? {
        return Ok(None);
    }
    enter(source, target, arrival).await?;
    let wanted = tables(source, from, "BASE TABLE").await?;
    let is_bare = tables(target, to, "VIEW").await?.is_empty() && triggers(target, to).await?.is_empty();
    if !is_bare || wanted != tables(target, to, "BASE TABLE").await? || !are_empty(target, &wanted).await? {
        return Ok(None);
    }
    let mut counters = Vec::new();
    for table in wanted {
        let (here, there) = tokio::try_join!(definition(source, &table), definition(target, &table))?;
        let ((here, counter), (there, counter_there)) = (without_counter(&here), without_counter(&there));
        if here != there {
            return Ok(None);
        }
        if let Some(counter) = counter.filter(|_| counter != counter_there) {
            counters.push((table, counter));
        }
    }
    Ok(Some(counters))
}

/// A table's definition, in the session's current schema.
pub(super) async fn definition(control: &mut Control, table: &str) -> Result<String, MoveError> {
    let (_, definition): (String, String) =
        control.row(&format!("SHOW CREATE TABLE {}", name(table))).await?;
    Ok(definition)
}

/// Makes the two schemas their sessions' current ones. Tables get the primary keys that they have, and no others.
async fn enter(source: &mut Control, target: &mut Control, arrival: &Arrival<'_>) -> Result<(), MoveError> {
    source.set(&format!("USE {}", name(arrival.from_schema))).await?;
    target.set(&format!("USE {}", name(arrival.to_schema))).await?;
    for control in [source, target] {
        control.set("SET SESSION sql_require_primary_key = 0").await?;
        let known: Vec<(String, String)> =
            control.rows("SHOW VARIABLES LIKE 'sql_generate_invisible_primary_key'").await?;
        if !known.is_empty() {
            let sql = "SET SESSION sql_generate_invisible_primary_key = 0, \
                       show_gipk_in_create_table_and_information_schema = 1";
            control.set(sql).await?;
        }
    }
    Ok(())
}

async fn are_empty(target: &mut Control, tables: &[String]) -> Result<bool, MoveError> {
    for some in tables.chunks(ASKED_AT_ONCE) {
        let asked: Vec<String> =
            some.iter().map(|table| format!("EXISTS (SELECT 1 FROM {})", name(table))).collect();
        if target.row::<u64>(&format!("SELECT {}", asked.join(" OR "))).await? != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What tables of a schema are by default: character set, collation, encryption.
async fn defaults(
    control: &mut Control,
    schema: &str,
) -> Result<Option<(String, String, String)>, MoveError> {
    let sql = "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, DEFAULT_ENCRYPTION \
               FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ";
    let found: Vec<(String, String, String)> = control.rows(&format!("{sql}{}", quoted(schema))).await?;
    Ok(found.into_iter().next())
}

/// Makes the target's schema anew, empty, like the source's. What is there is this move's own.
async fn make(source: &mut Control, target: &mut Control, arrival: &Arrival<'_>) -> Result<(), MoveError> {
    let Some((charset, collation, encryption)) = defaults(source, arrival.from_schema).await? else {
        return Err(MoveError::Refused(format!(
            "server {} has no schema {}",
            source.server(),
            arrival.from_schema
        )));
    };
    if !is_own(target, arrival).await? {
        return Err(not_own(target, arrival));
    }
    let schema = name(arrival.to_schema);
    target.change(format!("DROP DATABASE IF EXISTS {schema}")).await?;
    let encryption = if encryption == "YES" { " DEFAULT ENCRYPTION = 'Y'" } else { "" };
    let sql =
        format!("CREATE DATABASE {schema} DEFAULT CHARACTER SET {charset} COLLATE {collation}{encryption}");
    target.change(sql).await
}

/// Whether the schema on the target was made by this move.
pub(super) async fn is_own(target: &mut Control, arrival: &Arrival<'_>) -> Result<bool, MoveError> {
    Ok(own(target, arrival).await?.is_some())
}

/// Whether the schema on the target was made by this move, and then whether anybody had privileges on it before.
pub(super) async fn own(target: &mut Control, arrival: &Arrival<'_>) -> Result<Option<bool>, MoveError> {
    let sql =
        "SELECT had_grants FROM _podway.arrivals WHERE schema_name = ? AND cluster = ? AND operation = ?";
    let values = (arrival.to_schema, target.owner().cluster.clone(), arrival.operation.0);
    let rows: Vec<bool> = target.rows_with(sql, values).await?;
    Ok(rows.first().copied())
}

fn not_own(target: &Control, arrival: &Arrival<'_>) -> MoveError {
    MoveError::Refused(format!(
        "schema {} of server {} was not made by this move",
        arrival.to_schema,
        target.server()
    ))
}

/// A definition without the number that the next row gets, and that number.
pub(super) fn without_counter(definition: &str) -> (String, Option<u64>) {
    const COUNTER: &str = " AUTO_INCREMENT=";
    // Behind the last parenthesis that closes the columns there are options only; in a text a parenthesis at a line's start is printed as \n.
    let found =
        definition.rfind("\n) ").and_then(|options| Some(options + definition[options..].find(COUNTER)?));
    let Some(start) = found else { return (definition.to_owned(), None) };
    let digits: String =
        definition[start + COUNTER.len()..].chars().take_while(char::is_ascii_digit).collect();
    let rest = &definition[start + COUNTER.len() + digits.len()..];
    (format!("{}{rest}", &definition[..start]), digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_is_no_part_of_a_definition() {
        let with = "CREATE TABLE `t` (\n  `a` int COMMENT ' AUTO_INCREMENT=3'\n) ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT";
        let without = "CREATE TABLE `t` (\n  `a` int COMMENT ' AUTO_INCREMENT=3'\n) ENGINE=InnoDB DEFAULT";
        assert_eq!(without_counter(with), (without.to_owned(), Some(42)));
        assert_eq!(without_counter(without), (without.to_owned(), None));
        assert_eq!(without_counter("CREATE VIEW"), ("CREATE VIEW".to_owned(), None));
    }
}
