//! The primary key of a table whose rows a statement finds first and writes then: its columns, and its values as conditions of the statement's own text. Only types of which a
//! value is certain to come back as the one that it was.

use std::collections::BTreeSet;

use podway_router::{ClientCharset, SqlMode};
use podway_wire::{BinaryValue, ColumnDefinition, ColumnType};

use super::core::Session;
use super::literals::is_string;
use super::move_settings::as_they_are;
use super::scatter::{Done, Frame, Place};
use crate::backend::{BackendConnection, quoted_identifier};
use crate::error::{ClientError, ProxyError};

/// The collation id of bytes.
const BINARY: u16 = 63;
/// Whole numbers, which are the same in every text; others are here by what they are declared as.
const NUMBERS: [&str; 6] = ["tinyint", "smallint", "mediumint", "int", "bigint", "decimal"];
const DATES: [&str; 2] = ["date", "datetime"];
const BYTES: [&str; 2] = ["binary", "varbinary"];
const TEXTS: [&str; 2] = ["char", "varchar"];
/// Character sets of which each letter has one place in Unicode, and comes back from there.
const SAFE_CHARSETS: [&str; 4] = ["utf8mb4", "utf8mb3", "latin1", "ascii"];

/// A table's primary key.
pub(super) struct RowKey {
    /// The names of its columns.
    pub(super) columns: Vec<String>,
}

impl Session {
    /// The primary key of a table on this shard, as the user sees it.
    pub(super) async fn row_key(
        &mut self,
        frame: Frame<'_>,
        (of, table): (Place<'_>, &str),
        done: &mut Done,
    ) -> Result<RowKey, ProxyError> {
        let settings = as_they_are(frame.settings);
        let of = Frame { settings: &settings, ..frame }.at(of.spot);
        let mut connection = self.enter_server(of).await?;
        let asked = async {
            done.begin_on(&mut connection, of).await?;
            key_columns(&of.spot.schema, table, &mut connection).await
        };
        let asked = asked.await;
        let found = self.leave_server(connection, of, asked).await?;
        let refused = |what: &str| {
            Err(ClientError::not_supported(&format!("{what} in a write to several shards")).into())
        };
        if found.is_empty() {
            return refused(&format!(
                "LIMIT with ORDER BY of the table {table}, of which no primary key is seen,"
            ));
        }
        let mode = self.state.lexical.sql_mode;
        for column in &found {
            let is_named = column.name.is_ascii() || self.state.lexical.charset == ClientCharset::Utf8;
            let is_padded = column.kind() == "char"
                && (mode.contains(SqlMode::PAD_CHAR_TO_FULL_LENGTH) || mode.contains(SqlMode::UNKNOWN));
            if !column.is_certain() || !is_named || is_padded {
                return refused(&format!(
                    "LIMIT with ORDER BY of the table {table}, whose primary key column {} has the type {},",
                    column.name, column.declared
                ));
            }
        }
        Ok(RowKey { columns: found.into_iter().map(|column| column.name).collect() })
    }
}

impl RowKey {
    /// The condition that the row with these values meets alone; `None` where a value is not certain.
    pub(super) fn condition(
        &self,
        columns: &[ColumnDefinition],
        values: &[BinaryValue<'_>],
    ) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        for (nth, name) in self.columns.iter().enumerate() {
            text.extend_from_slice(if nth == 0 { b"(" } else { b" AND " });
            text.extend_from_slice(quoted_identifier(name).as_bytes());
            text.extend_from_slice(b" = ");
            text.extend_from_slice(&literal(columns.get(nth)?, values.get(nth)?)?);
        }
        text.push(b')');
        Some(text)
    }
}

/// A value as a literal that reads alike under every sql_mode and in every character set.
fn literal(column: &ColumnDefinition, value: &BinaryValue<'_>) -> Option<Vec<u8>> {
    use ColumnType::*;
    let text = match (*value, column.column_type) {
        (BinaryValue::Int(value), _) => value.to_string(),
        (BinaryValue::UInt(value), _) => value.to_string(),
        (BinaryValue::Bytes(digits), MYSQL_TYPE_NEWDECIMAL) => {
            let is_number = digits.iter().all(|byte| byte.is_ascii_digit() || b"-.".contains(byte));
            std::str::from_utf8(digits).ok().filter(|_| is_number)?.to_owned()
        }
        (BinaryValue::Bytes(bytes), string) if is_string(string) => {
            let charset = if column.charset == BINARY { "binary" } else { "utf8mb4" };
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("_{charset} X'{digits}'")
        }
        (BinaryValue::Date { year, month, day, .. }, MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE) => {
            format!("'{year:04}-{month:02}-{day:02}'")
        }
        (BinaryValue::Date { year, month, day, hour, minute, second, micros }, MYSQL_TYPE_DATETIME) => {
            format!("'{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}'")
        }
        _ => return None,
    };
    Some(text.into_bytes())
}

/// A column of the primary key, as its server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyColumn {
    name: String,
    declared: String,
    collation: Option<String>,
}

impl KeyColumn {
    fn kind(&self) -> &str {
        self.declared.split(['(', ' ']).next().unwrap_or_default()
    }

    /// Whether its values come back as they were.
    fn is_certain(&self) -> bool {
        let kind = self.kind();
        let charset = self.collation.as_deref().and_then(|collation| collation.split('_').next());
        let is_safe_text = || charset.is_some_and(|charset| SAFE_CHARSETS.contains(&charset));
        NUMBERS.contains(&kind)
            || DATES.contains(&kind)
            || BYTES.contains(&kind)
            || TEXTS.contains(&kind) && is_safe_text()
    }
}

async fn key_columns(
    schema: &str,
    table: &str,
    connection: &mut BackendConnection,
) -> Result<Vec<KeyColumn>, ProxyError> {
    let table = format!("{}.{}", quoted_identifier(schema), quoted_identifier(table));
    let rows = connection.rows(format!("SHOW FULL COLUMNS FROM {table}").as_bytes()).await?;
    Ok(rows.iter().filter_map(key_column).collect())
}

fn key_column(row: &[Option<Vec<u8>>]) -> Option<KeyColumn> {
    let text =
        |nth: usize| row.get(nth).cloned().flatten().map(|text| String::from_utf8_lossy(&text).into_owned());
    let is_primary = text(4).as_deref() == Some("PRI");
    is_primary.then(|| KeyColumn {
        name: text(0).unwrap_or_default(),
        declared: text(1).unwrap_or_default(),
        collation: text(2),
    })
}

/// The conditions of several rows as one.
pub(super) fn any_of(conditions: &[Vec<u8>]) -> Vec<u8> {
    let distinct: BTreeSet<&[u8]> = conditions.iter().map(Vec::as_slice).collect();
    distinct.into_iter().collect::<Vec<_>>().join(&b" OR "[..])
}

#[cfg(test)]
mod tests {
    use podway_wire::ColumnFlags;

    use super::*;

    #[test]
    fn types_whose_values_may_come_back_as_others_are_not_certain() {
        let of = |declared: &str, collation: Option<&str>| {
            let (name, collation) = ("a".to_owned(), collation.map(str::to_owned));
            KeyColumn { name, declared: declared.to_owned(), collation }.is_certain()
        };
        for declared in
            ["int unsigned", "bigint", "decimal(10,2)", "date", "datetime(6)", "binary(16)", "varbinary(4)"]
        {
            assert!(of(declared, None), "{declared}");
        }
        assert!(of("varchar(20)", Some("utf8mb4_0900_ai_ci")));
        assert!(of("char(3)", Some("latin1_swedish_ci")));
        assert!(!of("char(3)", Some("gbk_chinese_ci")));
        assert!(!of("varchar(20)", None));
        for declared in
            ["float", "double", "timestamp", "time", "year", "enum('a')", "set('a')", "bit(3)", "blob"]
        {
            assert!(!of(declared, Some("utf8mb4_bin")), "{declared}");
        }
    }

    #[test]
    fn a_row_is_found_by_all_columns_of_its_key() {
        let column = |column_type, charset| ColumnDefinition {
            column_type,
            charset,
            flags: ColumnFlags::empty(),
            ..ColumnDefinition::text("a")
        };
        let key = RowKey { columns: vec!["a".to_owned(), "b`".to_owned(), "c".to_owned()] };
        let columns = [
            column(ColumnType::MYSQL_TYPE_LONGLONG, BINARY),
            column(ColumnType::MYSQL_TYPE_VAR_STRING, 255),
            column(ColumnType::MYSQL_TYPE_DATETIME, BINARY),
        ];
        let date =
            BinaryValue::Date { year: 2024, month: 2, day: 9, hour: 1, minute: 2, second: 3, micros: 4 };
        let values = [BinaryValue::Int(-7), BinaryValue::Bytes(b"x'\\"), date];
        let condition = key.condition(&columns, &values).unwrap();
        assert_eq!(
            String::from_utf8(condition).unwrap(),
            "(`a` = -7 AND `b``` = _utf8mb4 X'78275C' AND `c` = '2024-02-09 01:02:03.000004')"
        );
        assert_eq!(key.condition(&columns, &values[..2]), None);
        let values = [BinaryValue::Double(1.0), values[1], values[2]];
        assert_eq!(key.condition(&columns, &values), None);
    }
}
