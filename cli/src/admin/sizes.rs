//! How large shards are, as their servers estimate it. Nothing is counted: MySQL's statistics are read, which may be a day old.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde::Serialize;

use crate::provision::ProvisionError;

/// A schema's size on its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct SchemaSize {
    #[serde(skip)]
    pub(super) schema: String,
    /// Base tables in it.
    pub(super) tables: u64,
    /// Rows, about.
    pub(super) rows: u64,
    /// Bytes of rows and indexes, about.
    pub(super) bytes: u64,
}

/// Reads the sizes of a server's schemas.
pub(super) async fn read_sizes(conn: &mut Conn) -> Result<Vec<SchemaSize>, ProvisionError> {
    let sql = "SELECT table_schema, COUNT(*), CAST(COALESCE(SUM(table_rows), 0) AS UNSIGNED), \
               CAST(COALESCE(SUM(data_length + index_length), 0) AS UNSIGNED) \
               FROM information_schema.tables WHERE table_type = 'BASE TABLE' GROUP BY table_schema";
    let size = |(schema, tables, rows, bytes)| SchemaSize { schema, tables, rows, bytes };
    let read = conn.query_map(sql, size).await;
    read.map_err(|error| ProvisionError::Statement {
        doing: "reading the sizes of schemas".to_owned(),
        error,
    })
}

impl SchemaSize {
    /// Of a schema without tables.
    pub(super) fn empty(schema: &str) -> SchemaSize {
        SchemaSize { schema: schema.to_owned(), tables: 0, rows: 0, bytes: 0 }
    }

    /// For people: "1.2 million rows, 3.4 GiB".
    pub(super) fn shown(&self) -> String {
        format!(
            "{} rows, {}",
            rounded(self.rows, 1_000, &["", " thousand", " million", " billion"]),
            bytes(self.bytes)
        )
    }
}

fn bytes(bytes: u64) -> String {
    rounded(bytes, 1_024, &[" B", " KiB", " MiB", " GiB", " TiB"])
}

/// Two digits are enough to compare by.
fn rounded(number: u64, step: u64, units: &[&str]) -> String {
    let mut whole = number as f64;
    let mut unit = 0;
    while whole >= step as f64 && unit + 1 < units.len() {
        whole /= step as f64;
        unit += 1;
    }
    match unit > 0 && whole < 10.0 {
        true => format!("{whole:.1}{}", units[unit]),
        false => format!("{whole:.0}{}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_in_a_few_digits() {
        let cases = [
            (0, 0, "0 rows, 0 B"),
            (999, 1_023, "999 rows, 1023 B"),
            (1_500, 16_384, "1.5 thousand rows, 16 KiB"),
            (12_345_678, 5 << 30, "12 million rows, 5.0 GiB"),
            (u64::MAX, u64::MAX, "18446744074 billion rows, 16777216 TiB"),
        ];
        for (rows, bytes, expected) in cases {
            let size = SchemaSize { schema: "shop".to_owned(), tables: 1, rows, bytes };
            assert_eq!(size.shown(), expected);
        }
    }
}
