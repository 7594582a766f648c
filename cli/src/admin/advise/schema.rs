//! The tables of a schema as the adviser wants them: definitions, keys, foreign keys, and about how large they are. Reads only.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Name, NameRule, Table, TableKind};
use podway_router::SqlMode;
use podway_router::advise::{ForeignKey, TableFacts, UniqueKey};

use crate::provision::{Declaration, ProvisionError, TableDefinition, declare, read_table, table_names};

/// A table, as it is declared from and as the adviser sees it.
pub(super) type ReadTable = (TableDefinition, TableFacts);

/// Reads all tables of a schema, in their names' order; none if there is no such schema.
pub(super) async fn read(conn: &mut Conn, schema: &str) -> Result<Vec<ReadTable>, ProvisionError> {
    let names = table_names(conn, schema).await?;
    let sizes = sizes(conn, schema).await?;
    let indexes = indexes(conn, schema).await?;
    let references = references(conn, schema).await?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let definition = read_table(conn, schema, &name).await?;
        let (rows, bytes) = sizes.get(&name).copied().unwrap_or_default();
        let facts = facts(&definition, (rows, bytes), &indexes, &references);
        tables.push((definition, facts));
    }
    tables.sort_by(|(left, _), (right, _)| left.name.cmp(&right.name));
    Ok(tables)
}

/// The tables of several shards as those of one database: the first shard's, with the rows of all but those that are copies.
pub(super) fn merged(shards: Vec<Vec<ReadTable>>, declared: &[Table]) -> Vec<ReadTable> {
    let mut shards = shards.into_iter();
    let mut first = shards.next().unwrap_or_default();
    for (definition, facts) in shards.flatten() {
        let kind = declared.iter().find(|table| table.name.as_str() == definition.name);
        let kind = kind.map(|table| &table.kind);
        match first.iter_mut().find(|(known, _)| known.name == definition.name) {
            Some(_) if kind == Some(&TableKind::Reference) => {}
            Some((_, known)) => add_shard(known, &facts, kind),
            None => first.push((definition, facts)),
        }
    }
    first.sort_by(|(left, _), (right, _)| left.name.cmp(&right.name));
    first
}

/// Adds a shard's part of a table. What the rows lie by, and what is unique, has other values on each shard; other columns, as far as anybody
/// knows, have the same.
fn add_shard(known: &mut TableFacts, more: &TableFacts, kind: Option<&TableKind>) {
    known.rows += more.rows;
    known.bytes += more.bytes;
    for column in 0..known.distinct.len() {
        let is_key = matches!(kind, Some(TableKind::Sharded(sharding)) if sharding.columns == [column]);
        let is_unique = known.primary_key == [column]
            || known.unique_keys.iter().any(|unique| unique.columns == [column]);
        let other = more.distinct.get(column).copied().flatten();
        known.distinct[column] = known.distinct[column].zip(other).map(|(left, right)| {
            if is_key || is_unique { left.saturating_add(right) } else { left.max(right) }
        });
    }
}

/// The server's sql_mode: what its clients' statements are read in, unless they set another.
pub(super) async fn sql_mode(conn: &mut Conn) -> Result<SqlMode, ProvisionError> {
    let mode: Option<String> = conn
        .query_first("SELECT @@GLOBAL.sql_mode")
        .await
        .map_err(|error| failed("reading sql_mode", error))?;
    Ok(SqlMode::parse(&mode.unwrap_or_default()))
}

/// Says of each column whether it could be a sharding key, as a declaration would be told.
pub(super) fn note_refused_keys(tables: &mut [TableFacts], definitions: &[TableDefinition]) {
    for (facts, definition) in tables.iter_mut().zip(definitions) {
        let refusal = |column: &podway_model::Column| {
            let declaration = Declaration::sharded_by(&[column.name.as_str()]);
            declare(NameRule::CaseSensitive, definition, &declaration).err().map(|error| error.to_string())
        };
        facts.refused_keys = facts.columns.iter().map(refusal).collect();
    }
}

fn failed(doing: &str, error: mysql_async::Error) -> ProvisionError {
    ProvisionError::Statement { doing: doing.to_owned(), error }
}

/// Rows and bytes by table. What the server estimates is enough; cached estimates of the past are not.
async fn sizes(conn: &mut Conn, schema: &str) -> Result<BTreeMap<String, (u64, u64)>, ProvisionError> {
    let doing = |error| failed("reading the tables' sizes", error);
    conn.query_drop("SET SESSION information_schema_stats_expiry = 0").await.map_err(doing)?;
    let sql = "SELECT table_name, table_rows, data_length + index_length FROM information_schema.tables \
               WHERE table_schema = ?";
    let rows: Vec<(String, Option<u64>, Option<u64>)> = conn.exec(sql, (schema,)).await.map_err(doing)?;
    let sized = |(name, rows, bytes): (String, Option<u64>, Option<u64>)| {
        (name, (rows.unwrap_or_default(), bytes.unwrap_or_default()))
    };
    Ok(rows.into_iter().map(sized).collect())
}

/// A column of an index.
struct Indexed {
    table: String,
    index: String,
    is_unique: bool,
    nth: u64,
    column: String,
    /// How many values the index's columns up to this one have.
    cardinality: Option<u64>,
}

async fn indexes(conn: &mut Conn, schema: &str) -> Result<Vec<Indexed>, ProvisionError> {
    let sql = "SELECT table_name, index_name, non_unique, seq_in_index, column_name, cardinality \
               FROM information_schema.statistics WHERE table_schema = ? AND column_name IS NOT NULL \
               ORDER BY table_name, index_name, seq_in_index";
    type Columns = (String, String, u8, u64, String, Option<u64>);
    let indexed = |(table, index, non_unique, nth, column, cardinality): Columns| Indexed {
        table,
        index,
        is_unique: non_unique == 0,
        nth,
        column,
        cardinality,
    };
    conn.exec_map(sql, (schema,), indexed).await.map_err(|error| failed("reading the tables' keys", error))
}

/// A column of a foreign key.
struct Reference {
    table: String,
    key: String,
    column: String,
    referenced_table: String,
    referenced: String,
}

async fn references(conn: &mut Conn, schema: &str) -> Result<Vec<Reference>, ProvisionError> {
    let sql = "SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name \
               FROM information_schema.key_column_usage \
               WHERE table_schema = ? AND referenced_table_schema = table_schema \
               ORDER BY table_name, constraint_name, ordinal_position";
    let reference = |(table, key, column, referenced_table, referenced)| Reference {
        table,
        key,
        column,
        referenced_table,
        referenced,
    };
    conn.exec_map(sql, (schema,), reference).await.map_err(|error| failed("reading the foreign keys", error))
}

/// Whether the values of a table's columns were counted when it had far fewer rows: InnoDB counts them now and then, rows at once. The whole
/// primary key has as many values as there were rows then.
fn are_outdated<'i>(indexes: impl Iterator<Item = &'i Indexed>, rows: u64) -> bool {
    let whole = indexes.filter(|indexed| indexed.index == "PRIMARY").max_by_key(|indexed| indexed.nth);
    whole.and_then(|whole| whole.cardinality).is_some_and(|values| values.saturating_mul(2) < rows)
}

fn facts(
    definition: &TableDefinition,
    (rows, bytes): (u64, u64),
    indexes: &[Indexed],
    references: &[Reference],
) -> TableFacts {
    let columns = definition.columns.clone();
    let position = |name: &str| {
        let name = Name::caseless(name);
        columns.iter().position(|column| column.name == name)
    };
    let own = || indexes.iter().filter(|indexed| indexed.table == definition.name);
    let is_outdated = are_outdated(own(), rows);
    let mut distinct = vec![None; columns.len()];
    let mut unique_keys: Vec<UniqueKey> = Vec::new();
    for indexed in own() {
        let Some(column) = position(&indexed.column) else { continue };
        if indexed.nth == 1 && !is_outdated {
            distinct[column] = distinct[column].max(indexed.cardinality);
        }
        if !indexed.is_unique || indexed.index == "PRIMARY" {
            continue;
        }
        match unique_keys.iter_mut().find(|known| known.name == indexed.index) {
            Some(known) => known.columns.push(column),
            None => unique_keys.push(UniqueKey { name: indexed.index.clone(), columns: vec![column] }),
        }
    }
    let mut foreign_keys: Vec<ForeignKey> = Vec::new();
    for reference in references.iter().filter(|reference| reference.table == definition.name) {
        let Some(column) = position(&reference.column) else { continue };
        let referenced = Name::caseless(&reference.referenced);
        match foreign_keys.iter_mut().find(|known| known.name == reference.key) {
            Some(known) => {
                known.columns.push(column);
                known.referenced.push(referenced);
            }
            None => foreign_keys.push(ForeignKey {
                name: reference.key.clone(),
                columns: vec![column],
                table: NameRule::CaseSensitive.name(&reference.referenced_table),
                referenced: vec![referenced],
            }),
        }
    }
    TableFacts {
        name: NameRule::CaseSensitive.name(&definition.name),
        is_view: definition.is_view,
        refused_keys: vec![None; columns.len()],
        primary_key: definition.primary_key.iter().filter_map(|name| position(name.as_str())).collect(),
        distinct,
        columns,
        unique_keys,
        foreign_keys,
        rows,
        bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podway_model::{Sharding, Vindex};

    fn indexed(index: &str, nth: u64, cardinality: u64) -> Indexed {
        let (table, column) = ("t".to_owned(), "c".to_owned());
        Indexed {
            table,
            index: index.to_owned(),
            is_unique: true,
            nth,
            column,
            cardinality: Some(cardinality),
        }
    }

    #[test]
    fn values_that_were_counted_before_the_rows_came_say_nothing() {
        let counted = [indexed("PRIMARY", 1, 3), indexed("PRIMARY", 2, 900), indexed("by_name", 1, 2)];
        assert!(!are_outdated(counted.iter(), 1_000));
        assert!(are_outdated(counted.iter(), 2_000));
        assert!(
            !are_outdated([indexed("by_name", 1, 2)].iter(), 2_000),
            "nothing says how many rows there were"
        );
    }

    #[test]
    fn shards_have_other_values_of_keys_and_the_same_of_other_columns() {
        let part = TableFacts {
            name: NameRule::CaseSensitive.name("orders"),
            is_view: false,
            columns: Vec::new(),
            refused_keys: Vec::new(),
            distinct: vec![Some(500), Some(100), Some(20), None],
            primary_key: vec![0],
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
            rows: 500,
            bytes: 10,
        };
        let by = TableKind::Sharded(Sharding::by(vec![1], Vindex::Xxh3));
        let mut whole = part.clone();
        add_shard(&mut whole, &part, Some(&by));
        assert_eq!((whole.rows, whole.distinct), (1_000, vec![Some(1_000), Some(200), Some(20), None]));
    }
}
