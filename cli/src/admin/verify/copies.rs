//! Whether the copies of a reference table are equal: on each shard the number of its rows, and two sums over a hash of each row, which depend on no order. The server does the
//! counting.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::provision::{ProvisionError, quote_name};

/// What a copy comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) rows: u64,
    /// Two sums.
    pub(super) checksum: String,
}

/// Reads one copy.
pub(super) async fn copy(conn: &mut Conn, schema: &str, table: &str) -> Result<Copy, ProvisionError> {
    let doing = || {
        let doing = format!("comparing {schema}.{table}");
        move |error| ProvisionError::Statement { doing, error }
    };
    let sql = "SELECT COLUMN_NAME AS name, DATA_TYPE AS type FROM information_schema.COLUMNS \
               WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY COLUMN_NAME";
    let columns: Vec<(String, String)> = conn.exec(sql, (schema, table)).await.map_err(doing())?;
    if columns.is_empty() {
        return Err(ProvisionError::NoTable { schema: schema.to_owned(), table: table.to_owned() });
    }
    let digests: Vec<String> = columns
        .iter()
        .map(|(name, kind)| format!("IFNULL({}, 'NULL')", digest(name, &kind.to_lowercase())))
        .collect();
    let sum = |from: u8| format!("COALESCE(SUM(CAST(CONV(SUBSTR(h, {from}, 15), 16, 10) AS UNSIGNED)), 0)");
    let sql = format!(
        "SELECT COUNT(*), CONCAT({}, '/', {}) FROM (SELECT SHA2(CONCAT_WS('|', {}), 256) AS h FROM {}.{}) AS hashed",
        sum(1),
        sum(16),
        digests.join(", "),
        quote_name(schema),
        quote_name(table)
    );
    let row: Option<(u64, String)> = conn.query_first(sql).await.map_err(doing())?;
    let (rows, checksum) = row.unwrap_or_default();
    Ok(Copy { rows, checksum })
}

/// An expression of bounded length that differs where values differ.
fn digest(name: &str, data_type: &str) -> String {
    let name = quote_name(name);
    match data_type {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "year" | "date" | "time"
        | "datetime" | "timestamp" | "double" => name,
        "float" => format!("CAST({name} AS DOUBLE)"),
        "enum" | "set" | "bit" => format!("CAST({name} AS UNSIGNED)"),
        "json" => format!("SHA2(CAST({name} AS CHAR), 256)"),
        _ => format!("SHA2({name}, 256)"),
    }
}
