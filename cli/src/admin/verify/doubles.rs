//! Values that stand on several shards in a UNIQUE key that was accepted as unique on each shard only. Each shard is asked for a hash of each value, a part of all hashes at a time so
//! that few are held; what several shards have a hash of is asked for by the hash and named. Equal is what the column's collation says. Changes nothing.

use std::collections::{BTreeMap, HashMap};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Column, ColumnType, Name, Table};

use super::super::error::AdminError;
use crate::provision::{ProvisionError, UniqueKey, quote_name};

/// About how many hashes of all shards are held at once.
const HELD: u64 = 4_000_000;
/// Values of one key that are named.
const NAMED: usize = 10;

/// A UNIQUE key as its values are compared over shards.
pub(super) struct Compared {
    /// The key, as a person reads it.
    key: String,
    table: String,
    /// An expression that is equal where values are, and NULL where nothing is equal to them.
    hash: String,
    /// What is shown of a value.
    shown: String,
}

/// What was found of one key.
#[derive(Debug, Default)]
pub(super) struct Doubles {
    /// How many values stand on several shards.
    pub(super) values: u64,
    /// The first of them, with how many shards have each.
    pub(super) named: Vec<(String, usize)>,
}

/// A shard's rows.
pub(super) struct Side {
    conn: Conn,
    server: String,
    schema: String,
}

impl Side {
    /// A shard's session, which may take its time.
    pub(super) async fn new(mut conn: Conn, server: &str, schema: &str) -> Result<Side, AdminError> {
        let prepared = conn.query_drop("SET SESSION max_execution_time = 0").await;
        prepared.map_err(failed("preparing the session".to_owned())).map_err(AdminError::at(server))?;
        Ok(Side { conn, server: server.to_owned(), schema: schema.to_owned() })
    }
}

impl Compared {
    /// `None`: values of such a key cannot be compared here: a part of it is an expression, the beginning of a column, or of a type without an exact text. `pads`: whether a
    /// collation pads with blanks.
    pub(super) fn new(table: &Table, key: &UniqueKey, pads: &HashMap<String, bool>) -> Option<Compared> {
        if key.parts != key.columns.len() {
            return None;
        }
        let column = |name: &Name| table.columns.iter().find(|column| column.name == *name);
        let columns = key.columns.iter().map(column).collect::<Option<Vec<&Column>>>()?;
        let expressions =
            columns.iter().map(|column| comparable(column, pads)).collect::<Option<Vec<String>>>()?;
        let names: Vec<String> = columns.iter().map(|column| quote_name(column.name.as_str())).collect();
        let nulls: Vec<String> = names.iter().map(|name| format!("{name} IS NULL")).collect();
        let hash = format!(
            "IF({}, NULL, CAST(CONV(LEFT(SHA2(CONCAT_WS('|', {}), 256), 15), 16, 10) AS UNSIGNED))",
            nulls.join(" OR "),
            expressions.join(", ")
        );
        Some(Compared {
            key: key.named(),
            table: table.name.to_string(),
            hash,
            shown: format!("CONCAT_WS('-', {})", names.join(", ")),
        })
    }

    /// Reads all shards. `rows`: about how many there are.
    pub(super) async fn run(&self, sides: &mut [Side], rows: u64) -> Result<Doubles, AdminError> {
        let mut doubles = Doubles::default();
        let parts = rows / HELD + 1;
        for part in 0..parts {
            let mut known: HashMap<u64, usize> = HashMap::new();
            for side in &mut *sides {
                let sql = format!(
                    "SELECT h FROM (SELECT {} AS h FROM {}.{}) AS hashed WHERE h % {parts} = {part}",
                    self.hash,
                    quote_name(&side.schema),
                    quote_name(&self.table)
                );
                let hashes: Vec<u64> = side.conn.query(sql).await.map_err(self.doing(side))?;
                for hash in hashes {
                    *known.entry(hash).or_default() += 1;
                }
            }
            let several: BTreeMap<u64, usize> = known.into_iter().filter(|(_, shards)| *shards > 1).collect();
            doubles.values += several.len() as u64;
            for (hash, shards) in several.into_iter().take(NAMED.saturating_sub(doubles.named.len())) {
                doubles.named.push((self.value(sides, hash).await?, shards));
            }
        }
        Ok(doubles)
    }

    /// A value that has this hash.
    async fn value(&self, sides: &mut [Side], hash: u64) -> Result<String, AdminError> {
        for side in sides {
            let sql = format!(
                "SELECT {} FROM {}.{} WHERE {} = {hash} LIMIT 1",
                self.shown,
                quote_name(&side.schema),
                quote_name(&self.table),
                self.hash
            );
            let found: Option<Vec<u8>> = side.conn.query_first(sql).await.map_err(self.doing(side))?;
            if let Some(found) = found {
                return Ok(String::from_utf8_lossy(&found).into_owned());
            }
        }
        Ok("a value that is gone by now".to_owned())
    }

    fn doing(&self, side: &Side) -> impl FnOnce(mysql_async::Error) -> AdminError {
        let doing = format!("comparing {} of {}.{} between the shards", self.key, side.schema, self.table);
        let server = side.server.clone();
        move |error| AdminError::at(&server)(failed(doing)(error))
    }
}

fn failed(doing: String) -> impl FnOnce(mysql_async::Error) -> ProvisionError {
    move |error| ProvisionError::Statement { doing, error }
}

/// A text that is equal for two values if MySQL holds them for equal in this column.
fn comparable(column: &Column, pads: &HashMap<String, bool>) -> Option<String> {
    let name = quote_name(column.name.as_str());
    match column.column_type {
        ColumnType::Char(length) | ColumnType::Varchar(length) => {
            match pads.get(column.collation.as_deref()?)? {
                true => Some(format!("HEX(WEIGHT_STRING({name} AS CHAR({length})))")),
                false => Some(format!("HEX(WEIGHT_STRING({name}))")),
            }
        }
        ColumnType::Binary(_) | ColumnType::Varbinary(_) => Some(format!("HEX({name})")),
        ColumnType::Integer { .. }
        | ColumnType::Decimal { .. }
        | ColumnType::Date
        | ColumnType::Time(_)
        | ColumnType::Datetime(_)
        | ColumnType::Timestamp(_)
        | ColumnType::Year
        | ColumnType::Enum => Some(format!("CAST({name} AS CHAR)")),
        _ => None,
    }
}

/// Whether each collation of a server pads with blanks.
pub(super) async fn paddings(conn: &mut Conn) -> Result<HashMap<String, bool>, ProvisionError> {
    let sql = "SELECT COLLATION_NAME AS name, PAD_ATTRIBUTE = 'PAD SPACE' AS pads FROM information_schema.COLLATIONS";
    let rows: Vec<(String, bool)> =
        conn.query(sql).await.map_err(failed("reading how collations pad".to_owned()))?;
    Ok(rows.into_iter().collect())
}
