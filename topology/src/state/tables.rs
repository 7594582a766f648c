//! Tables: declared, altered, forgotten. What a value of a key is worth is the router's; here it is checked what a table's description says of
//! itself, and a sharding key never changes under rows that lie by it.

use std::collections::BTreeSet;
use std::sync::Arc;

use podway_model::{Change, Column, ColumnType, Keyspace, Map, Name, Sharding, Table, TableKind, Vindex};
use podway_topology_api::{Done, Refusal, TableCommand, Thing};

use super::keyspaces::find_keyspace;
use super::names::{check_identifier, unknown};
use super::outcome::{Effect, Outcome};

/// How many tables a keyspace can have that are declared or known.
pub(super) const MAX_TABLES: usize = 100_000;
/// MySQL's bound for the columns of a table.
const MAX_COLUMNS: usize = 4_096;
/// MySQL's bound for the columns of a key.
const MAX_KEY_COLUMNS: usize = 16;
/// The longest default of a column that is kept, in bytes.
const MAX_DEFAULT: usize = 65_535;

/// Does a command of tables.
pub(super) fn execute(command: &TableCommand, map: &Map) -> Outcome {
    match command {
        TableCommand::Declare { keyspace, table, .. } => declare(find_keyspace(keyspace, map)?, table, map),
        TableCommand::Alter { keyspace, table, columns } => {
            alter(find_keyspace(keyspace, map)?, table, columns, map)
        }
        TableCommand::Rename { keyspace, table, to } => rename(find_keyspace(keyspace, map)?, table, to, map),
        TableCommand::Forget { keyspace, table } => forget(find_keyspace(keyspace, map)?, table, map),
    }
}

/// The table with this name.
pub(super) fn find_table<'a>(
    keyspace: &'a Keyspace,
    name: &str,
    map: &Map,
) -> Result<&'a Arc<Table>, Refusal> {
    keyspace.tables.get(map.names.fold(name).as_ref()).ok_or_else(|| {
        let mut known: Vec<&str> = keyspace.tables.keys().map(Name::as_str).collect();
        known.sort_unstable();
        unknown(Thing::Table, name, known)
    })
}

fn declare(keyspace: &Keyspace, table: &Table, map: &Map) -> Outcome {
    check_identifier(Thing::Table, table.name.as_str())?;
    let name = map.names.name(table.name.as_str());
    let columns = table.columns.iter().map(caseless).collect();
    let table = Table { name, kind: table.kind.clone(), columns };
    check_columns(&table)?;
    if let TableKind::Sharded(sharding) = &table.kind {
        check_sharding(&table, sharding)?;
    }
    match keyspace.tables.get(table.name.key()) {
        Some(known) if **known == table => return Ok(Effect::unchanged()),
        // Its UNIQUE keys may be unique on each shard from now on, or not any more: rows lie as before.
        Some(known) if differs_in_uniqueness_alone(known, &table) => {}
        // What is known of a home table is only what was seen of it: it may become what somebody declares.
        Some(known) if !matches!(known.kind, TableKind::Home) => {
            return Err(Refusal::Exists { what: Thing::Table, name: known.name.as_str().into() });
        }
        Some(_) => {}
        None if keyspace.tables.len() >= MAX_TABLES => {
            return Err(Refusal::Full { what: Thing::Table, limit: MAX_TABLES as u64 });
        }
        None => {}
    }
    let what = format!("table {}.{} declared {}", keyspace.name, table.name, described(&table));
    Ok(Effect::new(Done::Changed, vec![set(keyspace, table)], what))
}

fn differs_in_uniqueness_alone(known: &Table, table: &Table) -> bool {
    let strict = |table: &Table| match &table.kind {
        TableKind::Sharded(sharding) => {
            Some((table.name.clone(), Sharding { unique_per_shard: false, ..sharding.clone() }))
        }
        _ => None,
    };
    known.columns == table.columns && strict(known).is_some_and(|known| strict(table) == Some(known))
}

fn alter(keyspace: &Keyspace, name: &str, columns: &[Column], map: &Map) -> Outcome {
    let known = find_table(keyspace, name, map)?;
    let columns: Vec<Column> = columns.iter().map(caseless).collect();
    let mut table = Table { name: known.name.clone(), kind: known.kind.clone(), columns };
    check_columns(&table)?;
    if let TableKind::Sharded(sharding) = &known.kind {
        let mut key = Vec::with_capacity(sharding.columns.len());
        for pinned in known.key_columns() {
            key.push(pinned_position(&table, pinned)?);
        }
        table.kind = TableKind::Sharded(Sharding { columns: key, ..*sharding });
    }
    if **known == table {
        return Ok(Effect::unchanged());
    }
    let what = format!("table {}.{} altered: {} columns", keyspace.name, table.name, table.columns.len());
    Ok(Effect::new(Done::Changed, vec![set(keyspace, table)], what))
}

fn rename(keyspace: &Keyspace, name: &str, to: &str, map: &Map) -> Outcome {
    let known = find_table(keyspace, name, map)?;
    check_identifier(Thing::Table, to)?;
    let to = map.names.name(to);
    if to.as_str() == known.name.as_str() {
        return Ok(Effect::unchanged());
    }
    if to != known.name && keyspace.tables.contains_key(to.key()) {
        return Err(Refusal::Exists { what: Thing::Table, name: to.as_str().into() });
    }
    let what = format!("table {}.{} renamed to {to}", keyspace.name, known.name);
    let removed = Change::TableRemoved { keyspace: keyspace.name.clone(), table: known.name.clone() };
    let table = Table { name: to, ..Table::clone(known) };
    Ok(Effect::new(Done::Changed, vec![removed, set(keyspace, table)], what))
}

fn forget(keyspace: &Keyspace, name: &str, map: &Map) -> Outcome {
    let known = find_table(keyspace, name, map)?;
    let change = Change::TableRemoved { keyspace: keyspace.name.clone(), table: known.name.clone() };
    let what = format!("table {}.{} forgotten", keyspace.name, known.name);
    Ok(Effect::new(Done::Changed, vec![change], what))
}

fn set(keyspace: &Keyspace, table: Table) -> Change {
    Change::Table { keyspace: keyspace.name.clone(), table: Arc::new(table) }
}

/// Column names compare without case, whoever made them.
fn caseless(column: &Column) -> Column {
    Column { name: Name::caseless(column.name.as_str()), ..column.clone() }
}

fn check_columns(table: &Table) -> Result<(), Refusal> {
    if table.columns.len() > MAX_COLUMNS {
        return Err(refused(table, format!("it has more than {MAX_COLUMNS} columns")));
    }
    let mut seen = BTreeSet::new();
    for column in &table.columns {
        check_identifier(Thing::Column, column.name.as_str())?;
        if !seen.insert(column.name.key()) {
            return Err(refused(table, format!("it has two columns {}", column.name)));
        }
        let texts = [column.collation.as_deref(), default_text(column)];
        if texts.into_iter().flatten().any(|text| text.len() > MAX_DEFAULT) {
            return Err(refused(table, format!("the default of column {} is too long", column.name)));
        }
    }
    if table.columns.iter().filter(|column| column.auto_increment).count() > 1 {
        return Err(refused(table, "it has two AUTO_INCREMENT columns".to_owned()));
    }
    Ok(())
}

fn default_text(column: &Column) -> Option<&str> {
    match &column.default {
        podway_model::ColumnDefault::Literal(text) => Some(text),
        _ => None,
    }
}

/// What can be said of a key without its values: its columns are there, each once, and their equality is one that can be known.
fn check_sharding(table: &Table, sharding: &Sharding) -> Result<(), Refusal> {
    if sharding.columns.is_empty() {
        return Err(refused(table, "a sharding key has at least one column".to_owned()));
    }
    if sharding.columns.len() > MAX_KEY_COLUMNS {
        return Err(refused(table, format!("a sharding key has at most {MAX_KEY_COLUMNS} columns")));
    }
    for (at, position) in sharding.columns.iter().enumerate() {
        let Some(column) = table.columns.get(*position) else {
            return Err(refused(
                table,
                format!("its sharding key names column {}, which it does not have", position + 1),
            ));
        };
        if sharding.columns[..at].contains(position) {
            return Err(refused(table, format!("its sharding key names {} twice", column.name)));
        }
        if column.generated {
            return Err(refused(table, format!("{} is generated: shard by what it is made of", column.name)));
        }
        if let Some(kind) = unfit_type(&column.column_type) {
            return Err(refused(table, format!("{} is {kind}, which cannot be a sharding key", column.name)));
        }
        let is_text = matches!(column.column_type, ColumnType::Char(_) | ColumnType::Varchar(_));
        if is_text && column.collation.is_none() {
            return Err(refused(table, format!("the collation of {} is not known", column.name)));
        }
    }
    let is_integer = |column: &Column| matches!(column.column_type, ColumnType::Integer { .. });
    let is_one_integer =
        sharding.columns.len() == 1 && table.columns.get(sharding.columns[0]).is_some_and(is_integer);
    if sharding.vindex != Vindex::Xxh3 && !is_one_integer {
        return Err(refused(
            table,
            format!("the vindex {} takes one integer column; use xxh3", vindex_name(sharding.vindex)),
        ));
    }
    Ok(())
}

/// A type whose equal values may look different, by MySQL's name.
fn unfit_type(column_type: &ColumnType) -> Option<&str> {
    match column_type {
        ColumnType::Integer { .. }
        | ColumnType::Decimal { .. }
        | ColumnType::Char(_)
        | ColumnType::Varchar(_)
        | ColumnType::Binary(_)
        | ColumnType::Varbinary(_)
        | ColumnType::Date
        | ColumnType::Time(_)
        | ColumnType::Datetime(_)
        | ColumnType::Year => None,
        ColumnType::Float => Some("FLOAT"),
        ColumnType::Double => Some("DOUBLE"),
        ColumnType::Text(_) => Some("TEXT"),
        ColumnType::Blob(_) => Some("BLOB"),
        ColumnType::Timestamp(_) => Some("TIMESTAMP"),
        ColumnType::Bit(_) => Some("BIT"),
        ColumnType::Enum => Some("ENUM"),
        ColumnType::Set => Some("SET"),
        ColumnType::Json => Some("JSON"),
        ColumnType::Other(name) => Some(name),
    }
}

/// Where a column of the sharding key stands now. It must still store what it stored.
fn pinned_position(table: &Table, pinned: &Column) -> Result<usize, Refusal> {
    let found = table.columns.iter().enumerate().find(|(_, column)| column.name == pinned.name);
    let Some((position, column)) = found else {
        return Err(refused(
            table,
            format!(
                "{} is part of its sharding key and cannot leave it; resharding changes a key",
                pinned.name
            ),
        ));
    };
    if column.column_type != pinned.column_type
        || column.collation != pinned.collation
        || column.generated != pinned.generated
    {
        return Err(refused(
            table,
            format!(
                "{} is part of its sharding key: its type and collation stay as they are; resharding changes a key",
                pinned.name
            ),
        ));
    }
    Ok(position)
}

/// How a table's rows lie, for the log.
fn described(table: &Table) -> String {
    match &table.kind {
        TableKind::Sharded(sharding) => {
            let key: Vec<&str> = table.key_columns().map(|column| column.name.as_str()).collect();
            let per_shard = if sharding.unique_per_shard { ", unique per shard" } else { "" };
            format!("sharded by ({}) with {}{per_shard}", key.join(", "), vindex_name(sharding.vindex))
        }
        TableKind::Reference => "as a reference table".to_owned(),
        TableKind::Home => "as a home table".to_owned(),
        TableKind::View => "as a view".to_owned(),
    }
}

fn vindex_name(vindex: Vindex) -> &'static str {
    match vindex {
        Vindex::Xxh3 => "xxh3",
        Vindex::Hash => "hash",
        Vindex::Identity => "identity",
    }
}

fn refused(table: &Table, reason: String) -> Refusal {
    Refusal::Table { table: table.name.clone(), reason: reason.into() }
}
