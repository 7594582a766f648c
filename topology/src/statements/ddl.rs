//! What DDL needs besides being run: whether it took effect, how a new table is declared, and how the map follows.

use podway_model::NameRule;
use podway_topology_api::{Ddl, Follow, Report, ServerMessage, TableEffect};

use super::error::TryError;
use super::fingerprint::{ABSENT, Seen, fingerprint, look, look_at_triggers};
use crate::mover::Control;
use crate::provision::{TableDefinition, read_next_number, read_table};
use crate::statement_seam::KeyRules;

/// MySQL's number and SQLSTATE of "Table '…' already exists".
const EXISTS: (u16, &str) = (1050, "42S01");
/// MySQL's number and SQLSTATE of "This version of MySQL doesn't yet support …".
const NOT_SUPPORTED: (u16, &str) = (1235, "42000");

/// By what it is seen later whether the statement took effect. Refuses what could not be told.
pub async fn before(
    control: &mut Control,
    ddl: &Ddl,
    schema: &str,
    names: NameRule,
) -> Result<String, TryError> {
    let seen = look(control, schema, &ddl.tables(), names).await?;
    check(ddl, &seen)?;
    with_triggers(control, ddl, schema, &seen).await
}

/// The fingerprint alone.
pub async fn now(
    control: &mut Control,
    ddl: &Ddl,
    schema: &str,
    names: NameRule,
) -> Result<String, TryError> {
    let seen = look(control, schema, &ddl.tables(), names).await?;
    with_triggers(control, ddl, schema, &seen).await
}

async fn with_triggers(
    control: &mut Control,
    ddl: &Ddl,
    schema: &str,
    seen: &[Seen],
) -> Result<String, TryError> {
    let tables = fingerprint(seen);
    match ddl.retriggered() {
        None => Ok(tables),
        Some(table) => Ok(format!("{tables} {}", look_at_triggers(control, schema, table).await?)),
    }
}

/// TRUNCATE shows by InnoDB's numbers alone; and a table that is there already is not declared by a statement that creates it.
fn check(ddl: &Ddl, seen: &[Seen]) -> Result<(), TryError> {
    let unknown = seen.iter().any(|one| matches!(one, Seen::Present { ids, .. } if ids.is_empty()));
    if unknown && ddl.effects.iter().any(|effect| matches!(effect, TableEffect::Emptied(_))) {
        return Err(TryError::unsupported(
            "This version of Podway doesn't yet support 'TRUNCATE of a table that InnoDB does not hold under a name of ASCII letters, over several shards'"
                .to_owned(),
        ));
    }
    if ddl.declaration.is_some() && !matches!(seen, [Seen::Absent]) {
        return Err(TryError::Refused(exists(ddl)));
    }
    Ok(())
}

fn exists(ddl: &Ddl) -> ServerMessage {
    let (code, state) = EXISTS;
    let table = ddl.tables().first().copied().unwrap_or_default().to_owned();
    let text = format!(
        "Table '{table}' already exists: a table that is there is declared by ALTER PODWAY TABLE or podway table declare, while it is empty"
    );
    ServerMessage { code, state: state.into(), text: text.into() }
}

/// Whether the table is at home already, where it must not come into being before it is declared.
pub async fn is_at_home(
    control: &mut Control,
    ddl: &Ddl,
    schema: &str,
    names: NameRule,
) -> Result<bool, TryError> {
    Ok(now(control, ddl, schema, names).await? != ABSENT)
}

/// The table is at home already.
pub fn at_home_already(ddl: &Ddl) -> Report {
    Report::NotDeclared(exists(ddl))
}

/// Reads the table that a statement made.
pub async fn read(control: &mut Control, ddl: &Ddl, schema: &str) -> Result<TableDefinition, TryError> {
    let table = ddl.tables().first().copied().unwrap_or_default().to_owned();
    let read = read_table(control.stream(), schema, &table).await;
    read.map_err(|error| TryError::Later(format!("server {}: {error}", control.server())))
}

/// What is to be declared of the table that the targets have, or why it is not.
pub fn declaration(
    ddl: &Ddl,
    read: &[(Box<str>, TableDefinition)],
    names: NameRule,
    rules: &KeyRules,
) -> Report {
    let (code, state) = NOT_SUPPORTED;
    let refused =
        |text: String| Report::NotDeclared(ServerMessage { code, state: state.into(), text: text.into() });
    let Some(((_, first), declaration)) = read.first().zip(ddl.declaration.as_ref()) else {
        return refused("there is no table to be declared".to_owned());
    };
    for (server, other) in &read[1..] {
        if let Some(what) = first.difference(other) {
            return refused(format!("The table is not the same on every shard ({what} on server {server})"));
        }
    }
    match rules.apply(names, first, declaration) {
        Ok(table) => Report::Declared(table),
        Err(reason) => refused(reason),
    }
}

/// How the map follows, with the columns that a target has now.
pub async fn follows(control: &mut Control, ddl: &Ddl, schema: &str) -> Result<Vec<Follow>, TryError> {
    let mut follows = Vec::new();
    for effect in &ddl.effects {
        match effect {
            TableEffect::Altered(table) | TableEffect::Created(table) => {
                match read_table(control.stream(), schema, table).await {
                    Ok(definition) if !definition.is_view => {
                        let (table, columns) = (table.clone(), definition.columns);
                        follows.push(Follow::Columns { table, columns, next: None });
                    }
                    // Another statement of the list took it away, or it never was: IF EXISTS.
                    Ok(_) | Err(crate::provision::ProvisionError::NoTable { .. }) => {}
                    Err(error) => {
                        return Err(TryError::Later(format!("server {}: {error}", control.server())));
                    }
                }
            }
            // The map knows no triggers.
            TableEffect::Retriggered(_) => {}
            TableEffect::Dropped(table) => follows.push(Follow::Forgotten(table.clone())),
            TableEffect::Emptied(table) => follows.push(Follow::Restarted(table.clone())),
            TableEffect::Renamed { from, to } => {
                follows.push(Follow::Renamed { from: from.clone(), to: to.clone() });
            }
        }
    }
    Ok(follows)
}

/// Whether one of the tables has an AUTO_INCREMENT column.
pub fn are_counted(follows: &[Follow]) -> bool {
    follows.iter().any(|follow| match follow {
        Follow::Columns { columns, .. } => columns.iter().any(|column| column.auto_increment),
        _ => false,
    })
}

/// Notes what a target would give next for the AUTO_INCREMENT columns of the tables that the map follows.
pub async fn note_numbers(
    control: &mut Control,
    schema: &str,
    follows: &mut [Follow],
) -> Result<(), TryError> {
    for follow in follows {
        let Follow::Columns { table, columns, next } = follow else { continue };
        if columns.iter().any(|column| column.auto_increment) {
            let known = read_next_number(control.stream(), schema, table).await;
            let known =
                known.map_err(|error| TryError::Later(format!("server {}: {error}", control.server())))?;
            *next = (*next).max(known);
        }
    }
    Ok(())
}

/// Drops the table that a statement made on a target.
pub async fn drop_made(control: &mut Control, ddl: &Ddl, schema: &str) -> Result<(), TryError> {
    for table in ddl.tables() {
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        control.change(format!("DROP TABLE IF EXISTS {}.{}", quoted(schema), quoted(table))).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use podway_model::{Column, ColumnDefault, ColumnType, Name, Table, TableKind};
    use podway_topology_api::TableDeclaration;

    use super::*;

    fn ddl(effects: Vec<TableEffect>, declaration: Option<TableDeclaration>) -> Ddl {
        let (keyspace, shown) = ("shop".into(), "…".into());
        Ddl { keyspace, effects, shown, declaration, held: None, declared: None, followed: None }
    }

    fn present(ids: &[u64]) -> Seen {
        Seen::Present { definition: "…".to_owned(), ids: ids.to_vec() }
    }

    fn definition(column: &str) -> TableDefinition {
        let column = Column {
            name: Name::caseless(column),
            column_type: ColumnType::Integer { bytes: 8, unsigned: false },
            collation: None,
            nullable: false,
            default: ColumnDefault::None,
            auto_increment: false,
            generated: false,
            invisible: false,
        };
        TableDefinition {
            name: "orders".to_owned(),
            is_view: false,
            columns: vec![column],
            primary_key: vec![Name::caseless("id")],
            unique_keys: Vec::new(),
            set_on_update: Vec::new(),
            before_triggers: Vec::new(),
        }
    }

    #[test]
    fn rows_that_could_be_lost_by_trying_again_are_not_touched() {
        let truncate = ddl(vec![TableEffect::Emptied("t".into())], None);
        assert!(check(&truncate, &[present(&[5])]).is_ok());
        assert!(check(&truncate, &[Seen::Absent]).is_ok());
        assert!(
            matches!(check(&truncate, &[present(&[])]), Err(TryError::Refused(said)) if said.code == 1235)
        );
        assert!(check(&ddl(vec![TableEffect::Altered("t".into())], None), &[present(&[])]).is_ok());
    }

    #[test]
    fn a_table_that_is_there_is_not_declared_by_creating_it() {
        let create = |declaration| ddl(vec![TableEffect::Created("t".into())], declaration);
        let declaring = create(Some(TableDeclaration::Reference));
        assert!(check(&declaring, &[Seen::Absent]).is_ok());
        assert!(
            matches!(check(&declaring, &[present(&[5])]), Err(TryError::Refused(said)) if said.code == 1050)
        );
        assert!(check(&create(None), &[present(&[5])]).is_ok());
    }

    #[test]
    fn a_table_is_declared_by_the_rules_and_only_if_it_is_the_same_everywhere() {
        let rules = KeyRules::new(|_, definition, _| match definition.columns[0].name.as_str() {
            "bad" => Err("no".to_owned()),
            _ => Ok(Table {
                name: Name::caseless("orders"),
                kind: TableKind::Reference,
                columns: definition.columns.clone(),
            }),
        });
        let one = ddl(vec![TableEffect::Created("orders".into())], Some(TableDeclaration::Reference));
        let of = |columns: &[&str], rules: &KeyRules| {
            let read: Vec<_> = columns.iter().map(|column| ("a".into(), definition(column))).collect();
            declaration(&one, &read, NameRule::CaseSensitive, rules)
        };
        assert!(matches!(of(&["id", "id"], &rules), Report::Declared(_)));
        for (columns, rules) in
            [(&["id", "x"][..], &rules), (&["bad"], &rules), (&[], &rules), (&["id"], &KeyRules::default())]
        {
            assert!(
                matches!(of(columns, rules), Report::NotDeclared(said) if said.code == 1235),
                "{columns:?}"
            );
        }
    }
}
