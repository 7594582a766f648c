//! The columns of a table: how each is read so that nothing of its value is lost, and how the value is written so that exactly it arrives. Text keeps the bytes of its
//! character set; FLOAT is read as the DOUBLE that it is; ENUM, SET and BIT are their numbers.

use super::super::error::MoveError;
use super::control::Control;
use super::text::{name, push_hex, quoted};

/// How a column's values travel.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Digits.
    Number,
    /// FLOAT, which prints with fewer digits than it has.
    Float,
    Double,
    /// Dates and times, as text.
    Time,
    /// What has a number behind what it shows.
    Index,
    /// Text of a character set.
    Text(String),
    Json,
    /// Bytes of any meaning.
    Bytes,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    name: String,
    kind: Kind,
    is_generated: bool,
}

/// The columns of a table, in their order.
pub(super) async fn columns(
    control: &mut Control,
    schema: &str,
    table: &str,
) -> Result<Vec<Column>, MoveError> {
    let sql = format!(
        "SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_SET_NAME, GENERATION_EXPRESSION <> '' FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} ORDER BY ORDINAL_POSITION",
        quoted(schema),
        quoted(table)
    );
    let rows: Vec<(String, String, Option<String>, bool)> = control.rows(&sql).await?;
    let column = |(name, data_type, charset, is_generated): (String, String, Option<String>, bool)| match kind(
        &data_type, charset,
    ) {
        Some(kind) => Ok(Column { name, kind, is_generated }),
        None => Err(MoveError::Refused(format!(
            "table {table} of server {}: how columns of type {data_type} are copied is not known",
            control.server()
        ))),
    };
    rows.into_iter().map(column).collect()
}

fn kind(data_type: &str, charset: Option<String>) -> Option<Kind> {
    Some(match data_type {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "year" => Kind::Number,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "date" | "datetime" | "timestamp" | "time" => Kind::Time,
        "enum" | "set" | "bit" => Kind::Index,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Kind::Text(charset?),
        "json" => Kind::Json,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "vector" => Kind::Bytes,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" => Kind::Bytes,
        _ => return None,
    })
}

impl Column {
    /// Whether the server makes its values itself.
    pub(super) fn is_generated(&self) -> bool {
        self.is_generated
    }

    /// Its name, in backticks.
    pub(super) fn name(&self) -> String {
        name(&self.name)
    }

    /// The expression that reads it.
    pub(super) fn read(&self) -> String {
        match self.kind {
            Kind::Float => format!("CAST({} AS DOUBLE)", self.name()),
            Kind::Index => format!("CAST({} AS UNSIGNED)", self.name()),
            _ => self.name(),
        }
    }

    /// An expression of bounded length that differs where values differ, for comparing.
    pub(super) fn digest(&self) -> String {
        match self.kind {
            Kind::Text(_) | Kind::Bytes => format!("SHA2({}, 256)", self.name()),
            Kind::Json => format!("SHA2(CAST({} AS CHAR), 256)", self.name()),
            Kind::Number | Kind::Float | Kind::Double | Kind::Time | Kind::Index => self.read(),
        }
    }

    /// Appends the literal of a value that was read.
    pub(super) fn write(&self, value: Option<&[u8]>, sql: &mut Vec<u8>) {
        let Some(value) = value else { return sql.extend_from_slice(b"NULL") };
        match &self.kind {
            Kind::Number | Kind::Index => sql.extend_from_slice(value),
            Kind::Float | Kind::Double => {
                sql.extend_from_slice(value);
                // Without an exponent it would be read as a decimal, and -0 would lose its sign.
                if !value.contains(&b'e') {
                    sql.extend_from_slice(b"e0");
                }
            }
            Kind::Time => {
                sql.push(b'\'');
                sql.extend_from_slice(value);
                sql.push(b'\'');
            }
            Kind::Text(charset) => hex(Some(charset), value, sql),
            Kind::Json => hex(Some("utf8mb4"), value, sql),
            Kind::Bytes => hex(None, value, sql),
        }
    }
}

fn hex(charset: Option<&str>, value: &[u8], sql: &mut Vec<u8>) {
    if let Some(charset) = charset {
        sql.push(b'_');
        sql.extend_from_slice(charset.as_bytes());
        sql.push(b' ');
    }
    sql.extend_from_slice(b"X'");
    push_hex(value, sql);
    sql.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_what_they_are() {
        let text = || Some("latin1".to_owned());
        let cases: [(&str, Option<&[u8]>, &str); 12] = [
            ("int", Some(b"-5"), "-5"),
            ("year", Some(b"0000"), "0000"),
            ("decimal", Some(b"1.50"), "1.50"),
            ("float", Some(b"-0"), "-0e0"),
            ("double", Some(b"1.5e300"), "1.5e300"),
            ("datetime", Some(b"0000-00-00 00:00:00.000"), "'0000-00-00 00:00:00.000'"),
            ("enum", Some(b"0"), "0"),
            ("varchar", Some(b"\xe4'"), "_latin1 X'E427'"),
            ("varchar", Some(b""), "_latin1 X''"),
            ("json", Some(b"{}"), "_utf8mb4 X'7B7D'"),
            ("blob", Some(b"\x00\xff"), "X'00FF'"),
            ("point", None, "NULL"),
        ];
        for (data_type, value, expected) in cases {
            let column =
                Column { name: "c".to_owned(), kind: kind(data_type, text()).unwrap(), is_generated: false };
            let mut sql = Vec::new();
            column.write(value, &mut sql);
            assert_eq!(String::from_utf8_lossy(&sql), expected, "{data_type}");
        }
        assert_eq!(kind("hologram", None), None);
    }
}
