//! How a table is built as a whole, for comparing the shards of a keyspace: first digests, which cost one pass over `information_schema` and no table's rows, then,
//! of tables whose digests are new, all of it. Compares two shapes; what a difference means is decided elsewhere.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::columns::{TableDefinition, read_table};
use super::error::ProvisionError;

/// Changes whenever a table is built in another way. Equal digests of two servers say that the tables are built alike; different ones may too, for versions
/// print some things differently.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableDigest {
    /// Whether it is a view.
    pub is_view: bool,
    /// The table itself, its columns, its indexes, its triggers.
    parts: [(u64, u64); 4],
}

/// How a table is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableShape {
    /// Its columns, its primary key, what sets columns by itself.
    pub definition: TableDefinition,
    /// The storage engine; empty for a view.
    pub engine: String,
    /// What a text column gets whose collation is not named.
    pub collation: String,
    /// Each column as one text: its type with everything that belongs to it.
    pub columns: Vec<(String, String)>,
    /// Each index as one text, by name.
    pub indexes: BTreeMap<String, String>,
}

/// What each part of a digest is made of: the name of the table, what is hashed of each row, and where the rows are.
const PARTS: [(&str, &str, &str); 4] = [
    (
        "TABLE_NAME",
        "TABLE_TYPE, IFNULL(ENGINE, ''), IFNULL(TABLE_COLLATION, '')",
        "TABLES WHERE TABLE_SCHEMA",
    ),
    (
        "TABLE_NAME",
        "ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, IFNULL(HEX(COLUMN_DEFAULT), '-'), EXTRA, \
         IFNULL(COLLATION_NAME, ''), IFNULL(HEX(GENERATION_EXPRESSION), '')",
        "COLUMNS WHERE TABLE_SCHEMA",
    ),
    (
        "TABLE_NAME",
        "INDEX_NAME, SEQ_IN_INDEX, NON_UNIQUE, IFNULL(COLUMN_NAME, ''), IFNULL(SUB_PART, 0), IFNULL(COLLATION, ''), \
         INDEX_TYPE, IFNULL(HEX(EXPRESSION), '')",
        "STATISTICS WHERE TABLE_SCHEMA",
    ),
    (
        "EVENT_OBJECT_TABLE",
        "TRIGGER_NAME, EVENT_MANIPULATION, ACTION_ORDER, ACTION_TIMING, HEX(ACTION_STATEMENT)",
        "TRIGGERS WHERE EVENT_OBJECT_SCHEMA",
    ),
];

/// The digests of all tables and views of a schema, by name; `None`: there is no such schema.
pub async fn read_digests(
    conn: &mut Conn,
    schema: &str,
) -> Result<Option<BTreeMap<String, TableDigest>>, ProvisionError> {
    let doing = || ProvisionError::doing(format!("reading how the tables of {schema} are built"));
    let sql = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?";
    let found: Option<u64> = conn.exec_first(sql, (schema,)).await.map_err(doing())?;
    if found.unwrap_or_default() == 0 {
        return Ok(None);
    }
    let sql =
        "SELECT TABLE_NAME AS name, TABLE_TYPE AS type FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?";
    let tables: Vec<(String, String)> = conn.exec(sql, (schema,)).await.map_err(doing())?;
    let empty = |(name, kind): (String, String)| {
        (name, TableDigest { is_view: kind.contains("VIEW"), parts: [(0, 0); 4] })
    };
    let mut digests: BTreeMap<String, TableDigest> = tables.into_iter().map(empty).collect();
    for (place, (name, hashed, from)) in PARTS.into_iter().enumerate() {
        // Rows come in no order: what is added up depends on none.
        let sql = format!(
            "SELECT {name} AS name, COUNT(*), \
             BIT_XOR(CAST(CONV(LEFT(SHA2(CONCAT_WS('|', {hashed}), 256), 16), 16, 10) AS UNSIGNED)) \
             FROM information_schema.{from} = ? GROUP BY {name}"
        );
        let rows: Vec<(String, u64, u64)> = conn.exec(sql, (schema,)).await.map_err(doing())?;
        for (table, count, hash) in rows {
            if let Some(digest) = digests.get_mut(&table) {
                digest.parts[place] = (count, hash);
            }
        }
    }
    Ok(Some(digests))
}

/// How a table is built; `None`: there is none of that name.
pub async fn read_shape(
    conn: &mut Conn,
    schema: &str,
    table: &str,
) -> Result<Option<TableShape>, ProvisionError> {
    let definition = match read_table(conn, schema, table).await {
        Ok(definition) => definition,
        Err(ProvisionError::NoTable { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let doing = || ProvisionError::doing(format!("reading how {schema}.{table} is built"));
    let key = (schema, table);
    let sql = "SELECT IFNULL(ENGINE, '') AS engine, IFNULL(TABLE_COLLATION, '') AS collation \
               FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";
    let row: Option<(String, String)> = conn.exec_first(sql, key).await.map_err(doing())?;
    let Some((engine, collation)) = row else { return Ok(None) };
    let sql = "SELECT COLUMN_NAME AS name, CONCAT_WS(' ', COLUMN_TYPE, IF(COLLATION_NAME IS NULL, NULL, CONCAT('COLLATE ', COLLATION_NAME)), \
               IF(IS_NULLABLE = 'NO', 'NOT NULL', NULL), IF(COLUMN_DEFAULT IS NULL, NULL, CONCAT('DEFAULT ', QUOTE(COLUMN_DEFAULT))), \
               NULLIF(EXTRA, ''), IF(IFNULL(GENERATION_EXPRESSION, '') = '', NULL, CONCAT('AS (', GENERATION_EXPRESSION, ')'))) AS described \
               FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION";
    let columns = conn.exec(sql, key).await.map_err(doing())?;
    let sql = "SELECT INDEX_NAME AS name, CONCAT(IF(NON_UNIQUE, '', 'UNIQUE '), INDEX_TYPE), \
               CONCAT(IFNULL(COLUMN_NAME, CONCAT('(', EXPRESSION, ')')), IF(SUB_PART IS NULL, '', CONCAT('(', SUB_PART, ')')), IF(COLLATION = 'D', ' DESC', '')) \
               FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY INDEX_NAME, SEQ_IN_INDEX";
    let parts: Vec<(String, String, String)> = conn.exec(sql, key).await.map_err(doing())?;
    let mut indexes: BTreeMap<String, String> = BTreeMap::new();
    for (name, kind, column) in parts {
        match indexes.get_mut(&name) {
            Some(index) => *index = format!("{index}, {column}"),
            None => {
                indexes.insert(name, format!("{kind} {column}"));
            }
        }
    }
    Ok(Some(TableShape { definition, engine, collation, columns, indexes }))
}

#[cfg(test)]
impl TableDigest {
    /// One that is like no other of another number.
    pub(crate) fn of(number: u64, is_view: bool) -> TableDigest {
        TableDigest { is_view, parts: [(1, number); 4] }
    }
}

impl TableShape {
    /// What differs from the same table on another shard, as a text with what is here and what is there; the first that is found.
    pub fn difference(&self, other: &TableShape) -> Option<(String, String, String)> {
        let differing = |what: &str, own: &str, theirs: &str| {
            (own != theirs).then(|| (what.to_owned(), shown(own), shown(theirs)))
        };
        self.column_difference(other)
            .or_else(|| {
                let list = |shape: &TableShape| {
                    let names = shape.definition.primary_key.iter().map(ToString::to_string);
                    names.collect::<Vec<_>>().join(", ")
                };
                differing("its primary key", &list(self), &list(other))
            })
            .or_else(|| {
                let names = self.indexes.keys().chain(other.indexes.keys());
                let text =
                    |shape: &TableShape, name: &String| shape.indexes.get(name).cloned().unwrap_or_default();
                names.clone().find_map(|name| {
                    differing(&format!("its index {name}"), &text(self, name), &text(other, name))
                })
            })
            .or_else(|| differing("its engine", &self.engine, &other.engine))
            .or_else(|| differing("its default collation", &self.collation, &other.collation))
            .or_else(|| {
                let triggers = |shape: &TableShape| shape.definition.before_triggers.join(" / ");
                differing("its BEFORE triggers", &triggers(self), &triggers(other))
            })
    }

    fn column_difference(&self, other: &TableShape) -> Option<(String, String, String)> {
        let find = |shape: &TableShape, name: &str| {
            let found = shape.columns.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, described)| described.clone()).unwrap_or_default()
        };
        let names = self.columns.iter().chain(&other.columns).map(|(name, _)| name);
        let differing = names.clone().find_map(|name| {
            let (own, theirs) = (find(self, name), find(other, name));
            (own != theirs).then(|| (format!("its column {name}"), shown(&own), shown(&theirs)))
        });
        differing.or_else(|| {
            let order = |shape: &TableShape| {
                shape.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
            };
            let (own, theirs) = (order(self), order(other));
            (own != theirs).then(|| ("the order of its columns".to_owned(), own, theirs))
        })
    }
}

/// A text that a sentence can hold.
fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.is_empty() {
        return "missing".to_owned();
    }
    let cut: String = text.chars().take(LONGEST).collect();
    if text.chars().count() > LONGEST { format!("{cut}…") } else { cut }
}
