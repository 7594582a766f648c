//! Values as a server stores them: how a sharding key is read so that the router's function sees exactly what is stored, and how a primary key is read and written again so that a
//! scan goes on behind it. No row is judged here.

use std::borrow::Cow;

use mysql_async::{Row, Value};
use podway_model::{ColumnType, KeyspaceId, Table};
use podway_router::{InsertId, KeyValue, SqlMode, TextCharset, keyspace_id_for_insert};

use crate::provision::quote_name;

/// What is stored is what it is: nothing is rounded, and 0 is 0.
const AS_STORED: SqlMode = SqlMode::STRICT.union(SqlMode::NO_AUTO_VALUE_ON_ZERO);

/// The sharding key of a table's rows.
pub(super) struct KeyReader<'a> {
    table: &'a Table,
}

impl KeyReader<'_> {
    /// Of a sharded table.
    pub(super) fn new(table: &Table) -> KeyReader<'_> {
        KeyReader { table }
    }

    /// What is selected, one expression for each column of the key.
    pub(super) fn expressions(&self) -> Vec<String> {
        let expression = |column: &podway_model::Column| {
            let name = quote_name(column.name.as_str());
            match column.column_type {
                // The bytes of its own character set, whatever the connection's is.
                ColumnType::Char(_) | ColumnType::Varchar(_) => format!("CAST({name} AS BINARY)"),
                _ => name,
            }
        };
        self.table.key_columns().map(expression).collect()
    }

    /// The keyspace id of a row whose key stands in its columns from `first` on; `None`: the router knows no id for what is stored there.
    pub(super) fn id(&self, row: &Row, first: usize) -> Option<KeyspaceId> {
        let values: Option<Vec<KeyValue<'_>>> = self
            .table
            .key_columns()
            .enumerate()
            .map(|(at, column)| value(&column.column_type, row.as_ref(first + at)?))
            .collect();
        match keyspace_id_for_insert(self.table, values?, AS_STORED) {
            InsertId::Id(id) => Some(id),
            InsertId::Refused | InsertId::Generated | InsertId::Uncertain => None,
        }
    }
}

/// What MySQL's text protocol printed, as the router takes it.
fn value<'a>(column_type: &ColumnType, printed: &'a Value) -> Option<KeyValue<'a>> {
    let bytes = match printed {
        Value::NULL => return Some(KeyValue::Null),
        Value::Bytes(bytes) => bytes.as_slice(),
        _ => return None,
    };
    let digits = || std::str::from_utf8(bytes).ok();
    Some(match column_type {
        ColumnType::Integer { unsigned: true, .. } => KeyValue::UInt(digits()?.parse().ok()?),
        ColumnType::Integer { .. } => KeyValue::Int(digits()?.parse().ok()?),
        ColumnType::Decimal { .. } => KeyValue::Decimal { negative: false, text: bytes },
        ColumnType::Char(_) | ColumnType::Varchar(_) | ColumnType::Binary(_) | ColumnType::Varbinary(_) => {
            KeyValue::Bytes(Cow::Borrowed(bytes))
        }
        _ => KeyValue::Text { bytes: Cow::Borrowed(bytes), charset: TextCharset::Ascii },
    })
}

/// A column of a primary key, and how its values travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrimaryColumn {
    name: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    /// FLOAT and DOUBLE: a literal with an exponent.
    Double,
    /// Dates and times.
    Time,
    /// ENUM, SET and BIT: by their numbers, as they are ordered.
    Index,
    Text {
        charset: String,
        collation: String,
    },
    Bytes,
}

/// Where a scan is: behind a row of this primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Behind(Vec<Vec<u8>>);

impl PrimaryColumn {
    /// From `information_schema.columns`.
    pub(super) fn new(
        name: String,
        data_type: &str,
        charset: Option<String>,
        collation: Option<String>,
    ) -> PrimaryColumn {
        let kind = match (data_type, charset, collation) {
            ("enum" | "set" | "bit", _, _) => Kind::Index,
            (_, Some(charset), Some(collation)) => Kind::Text { charset, collation },
            ("float" | "double", _, _) => Kind::Double,
            ("date" | "time" | "datetime" | "timestamp", _, _) => Kind::Time,
            ("tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "year", _, _) => {
                Kind::Number
            }
            _ => Kind::Bytes,
        };
        PrimaryColumn { name, kind }
    }

    /// Its name, in backticks.
    pub(super) fn quoted(&self) -> String {
        quote_name(&self.name)
    }

    /// What is selected of it.
    pub(super) fn expression(&self) -> String {
        let name = self.quoted();
        match self.kind {
            Kind::Double => format!("CAST({name} AS DOUBLE)"),
            Kind::Index => format!("CAST({name} AS UNSIGNED)"),
            Kind::Text { .. } => format!("CAST({name} AS BINARY)"),
            Kind::Number | Kind::Time | Kind::Bytes => name,
        }
    }

    /// The literal that is the value.
    fn literal(&self, value: &[u8]) -> Vec<u8> {
        match &self.kind {
            Kind::Number | Kind::Index => value.to_vec(),
            Kind::Double if value.contains(&b'e') => value.to_vec(),
            Kind::Double => [value, b"e0"].concat(),
            Kind::Time => [b"'", value, b"'"].concat(),
            Kind::Text { charset, collation } => {
                format!("_{charset} X'{}' COLLATE {collation}", hex(value)).into_bytes()
            }
            Kind::Bytes => format!("X'{}'", hex(value)).into_bytes(),
        }
    }

    /// The value as people read it.
    fn shown(&self, value: &[u8]) -> String {
        let is_readable = |text: &&str| !text.chars().any(char::is_control);
        match &self.kind {
            Kind::Bytes => format!("0x{}", hex(value)),
            Kind::Text { .. } => match std::str::from_utf8(value).ok().filter(is_readable) {
                Some(text) => format!("'{text}'"),
                None => format!("0x{}", hex(value)),
            },
            _ => String::from_utf8_lossy(value).into_owned(),
        }
    }
}

/// The primary key of a row whose first columns it is, as literals.
pub(super) fn behind(columns: &[PrimaryColumn], row: &Row) -> Option<Behind> {
    let literal = |(at, column): (usize, &PrimaryColumn)| match row.as_ref(at)? {
        Value::Bytes(bytes) => Some(column.literal(bytes)),
        _ => None,
    };
    columns.iter().enumerate().map(literal).collect::<Option<Vec<_>>>().map(Behind)
}

/// The primary key of a row as people read it: "id = 5".
pub(super) fn shown(columns: &[PrimaryColumn], row: &Row) -> String {
    let part = |(at, column): (usize, &PrimaryColumn)| {
        let value = match row.as_ref(at) {
            Some(Value::Bytes(bytes)) => column.shown(bytes),
            _ => "NULL".to_owned(),
        };
        format!("{} = {value}", column.name)
    };
    columns.iter().enumerate().map(part).collect::<Vec<_>>().join(", ")
}

impl Behind {
    /// The condition that is true for the rows behind it, in an order that an index serves.
    pub(super) fn condition(&self, columns: &[PrimaryColumn]) -> Vec<u8> {
        let mut sql = Vec::new();
        for last in 0..columns.len() {
            sql.extend_from_slice(if last == 0 { b"(" } else { b" OR (" });
            for (at, column) in columns.iter().take(last + 1).enumerate() {
                if at > 0 {
                    sql.extend_from_slice(b" AND ");
                }
                sql.extend_from_slice(column.quoted().as_bytes());
                sql.extend_from_slice(if at == last { b" > " } else { b" = " });
                sql.extend_from_slice(&self.0[at]);
            }
            sql.push(b')');
        }
        sql
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: &str, charset: Option<&str>) -> PrimaryColumn {
        let collation = charset.map(|charset| format!("{charset}_bin"));
        PrimaryColumn::new(name.to_owned(), data_type, charset.map(str::to_owned), collation)
    }

    #[test]
    fn values_are_written_as_what_they_are() {
        type Case = (&'static str, Option<&'static str>, &'static [u8], &'static str, &'static str);
        let cases: [Case; 8] = [
            ("int", None, b"-5", "-5", "-5"),
            ("decimal", None, b"1.50", "1.50", "1.50"),
            ("double", None, b"1.5", "1.5e0", "1.5"),
            ("datetime", None, b"2024-02-29 00:00:00", "'2024-02-29 00:00:00'", "2024-02-29 00:00:00"),
            ("varchar", Some("latin1"), b"\xe4'", "_latin1 X'E427' COLLATE latin1_bin", "0xE427"),
            ("char", Some("utf8mb4"), b"it's", "_utf8mb4 X'69742773' COLLATE utf8mb4_bin", "'it's'"),
            ("varbinary", None, b"\x00\xff", "X'00FF'", "0x00FF"),
            ("enum", Some("utf8mb4"), b"2", "2", "2"),
        ];
        for (data_type, charset, value, literal, shown) in cases {
            let column = column("c", data_type, charset);
            assert_eq!(String::from_utf8_lossy(&column.literal(value)), literal, "{data_type}");
            assert_eq!(column.shown(value), shown, "{data_type}");
        }
    }

    #[test]
    fn a_scan_goes_on_behind_a_row_of_several_columns() {
        let columns = [column("a", "int", None), column("b`", "int", None)];
        let behind = Behind(vec![b"1".to_vec(), b"2".to_vec()]);
        let condition = String::from_utf8(behind.condition(&columns)).unwrap();
        assert_eq!(condition, "(`a` > 1) OR (`a` = 1 AND `b``` > 2)");
    }
}
