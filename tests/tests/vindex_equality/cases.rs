//! Columns of every type that may be a sharding key, and values that mean something to one or another of them. Every value meets
//! every column, so that each also meets those where it is out of place.

use anyhow::{Result, bail};
use mysql_async::Value;
use podway_model::{ColumnType, KeyspaceId, Table};
use podway_router::{
    CalendarTime, ClientCharset, ClockTime, KeyValue, LiteralKind, Normalised, Pinned, PredicateId, SqlMode,
    TextCharset, ValueContext, keyspace_id_for_predicate, literal_value,
};

use super::server::sharded_by;

/// A column's declaration, and the table that the router is told of.
pub struct KeyColumn {
    pub declaration: String,
    pub column_type: ColumnType,
    pub table: Table,
}

/// A session's settings.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    pub sql_mode: &'static str,
    pub charset: &'static str,
    pub collation: &'static str,
}

/// Sessions that read, convert and store in different ways.
pub const SESSIONS: [Session; 6] = [
    Session { sql_mode: "STRICT_TRANS_TABLES", charset: "utf8mb4", collation: "utf8mb4_0900_ai_ci" },
    Session { sql_mode: "", charset: "utf8mb4", collation: "utf8mb4_bin" },
    Session {
        sql_mode: "STRICT_ALL_TABLES,TIME_TRUNCATE_FRACTIONAL,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES",
        charset: "latin1",
        collation: "latin1_swedish_ci",
    },
    Session { sql_mode: "ALLOW_INVALID_DATES", charset: "utf8mb4", collation: "latin1_german1_ci" },
    Session { sql_mode: "STRICT_TRANS_TABLES", charset: "gbk", collation: "gbk_chinese_ci" },
    Session { sql_mode: "STRICT_TRANS_TABLES,NO_ZERO_DATE", charset: "binary", collation: "binary" },
];

impl Session {
    /// The statement that makes a session so.
    pub fn set(&self) -> String {
        format!(
            "SET SESSION sql_mode = '{}', character_set_client = {}, collation_connection = {}",
            self.sql_mode, self.charset, self.collation
        )
    }

    pub fn mode(&self) -> SqlMode {
        SqlMode::parse(self.sql_mode)
    }

    /// What the router takes a literal for; nothing where it cannot be lexed.
    pub fn value<'a>(&self, expression: &'a [u8]) -> Result<KeyValue<'a>> {
        if expression == b"NULL" {
            return Ok(KeyValue::Null);
        }
        let charset = ClientCharset::from_name(self.charset);
        let context = ValueContext { sql_mode: self.mode(), charset, collation: self.collation };
        let mut normalised = Normalised::new();
        normalised.run(expression, self.mode(), charset)?;
        let first = normalised.literals().first();
        if first.is_none_or(|literal| literal.kind() == LiteralKind::Param) {
            bail!("not a literal: {}", String::from_utf8_lossy(expression));
        }
        let value = literal_value(expression, normalised.literals(), 0, &context);
        Ok(if expression[0] == b'-' { value.negated() } else { value })
    }

    /// What the router takes a parameter for.
    pub fn parameter<'a>(&self, value: &'a Value) -> KeyValue<'a> {
        let charset = TextCharset::of_connection(ClientCharset::from_name(self.charset), self.collation);
        match *value {
            Value::NULL => KeyValue::Null,
            Value::Bytes(ref bytes) => KeyValue::text(bytes, charset),
            Value::Int(number) => KeyValue::Int(number),
            Value::UInt(number) => KeyValue::UInt(number),
            Value::Float(number) => KeyValue::Float(number),
            Value::Double(number) => KeyValue::Double(number),
            Value::Date(year, month, day, hour, minute, second, micros) => {
                KeyValue::DateTime(CalendarTime { year, month, day, hour, minute, second, micros })
            }
            Value::Time(negative, days, hours, minutes, seconds, micros) => {
                let hours = days * 24 + u32::from(hours);
                KeyValue::Time(ClockTime { negative, hours, minutes, seconds, micros })
            }
        }
    }
}

/// Every kind of column.
pub fn columns() -> Vec<KeyColumn> {
    let int = |bytes, unsigned| ColumnType::Integer { bytes, unsigned };
    let decimal = |precision, scale, unsigned| ColumnType::Decimal { precision, scale, unsigned };
    let plain = [
        ("TINYINT", int(1, false)),
        ("TINYINT UNSIGNED", int(1, true)),
        ("SMALLINT", int(2, false)),
        ("MEDIUMINT UNSIGNED", int(3, true)),
        ("INT", int(4, false)),
        ("BIGINT", int(8, false)),
        ("BIGINT UNSIGNED", int(8, true)),
        ("DECIMAL(5,2)", decimal(5, 2, false)),
        ("DECIMAL(5,2) UNSIGNED", decimal(5, 2, true)),
        ("DECIMAL(15,0)", decimal(15, 0, false)),
        ("DECIMAL(20,5)", decimal(20, 5, false)),
        ("DECIMAL(65,30)", decimal(65, 30, false)),
        ("YEAR", ColumnType::Year),
        ("BINARY(3)", ColumnType::Binary(3)),
        ("BINARY(30)", ColumnType::Binary(30)),
        ("VARBINARY(3)", ColumnType::Varbinary(3)),
        ("VARBINARY(30)", ColumnType::Varbinary(30)),
        ("DATE", ColumnType::Date),
        ("DATETIME", ColumnType::Datetime(0)),
        ("DATETIME(3)", ColumnType::Datetime(3)),
        ("DATETIME(6)", ColumnType::Datetime(6)),
        ("TIME", ColumnType::Time(0)),
        ("TIME(3)", ColumnType::Time(3)),
        ("TIME(6)", ColumnType::Time(6)),
    ];
    let texts = [
        (ColumnType::Char(3), "utf8mb4_0900_ai_ci"),
        (ColumnType::Varchar(3), "utf8mb4_0900_ai_ci"),
        (ColumnType::Varchar(40), "utf8mb4_0900_as_cs"),
        (ColumnType::Char(3), "utf8mb4_0900_bin"),
        (ColumnType::Varchar(3), "utf8mb4_bin"),
        (ColumnType::Char(40), "utf8mb4_general_ci"),
        (ColumnType::Varchar(40), "utf8mb3_general_ci"),
        (ColumnType::Varchar(40), "utf8mb4_unicode_ci"),
        (ColumnType::Char(3), "latin1_swedish_ci"),
        (ColumnType::Varchar(40), "latin1_swedish_ci"),
        (ColumnType::Varchar(40), "latin1_bin"),
        (ColumnType::Char(40), "ascii_general_ci"),
    ];
    let plain = plain.map(|(declaration, column_type)| KeyColumn {
        declaration: declaration.to_owned(),
        table: sharded_by(column_type.clone(), None),
        column_type,
    });
    let texts = texts.map(|(column_type, collation)| KeyColumn {
        declaration: match column_type {
            ColumnType::Char(length) => format!("CHAR({length}) COLLATE {collation}"),
            _ => format!(
                "VARCHAR({}) COLLATE {collation}",
                if column_type == ColumnType::Varchar(3) { 3 } else { 40 }
            ),
        },
        table: sharded_by(column_type.clone(), Some(collation)),
        column_type,
    });
    plain.into_iter().chain(texts).collect()
}

impl KeyColumn {
    /// How a row's value is read back: text columns by their own bytes, all others as they print.
    pub fn read_back(&self) -> &'static str {
        match self.column_type {
            ColumnType::Char(_)
            | ColumnType::Varchar(_)
            | ColumnType::Binary(_)
            | ColumnType::Varbinary(_) => "CAST(k AS BINARY)",
            _ => "CAST(CAST(k AS CHAR) AS BINARY)",
        }
    }

    /// The id of a row, by what was read back; nothing for values that no certain answer leads to ('0000-00-00').
    pub fn id_of_row(&self, stored: Option<&[u8]>) -> Option<KeyspaceId> {
        let collation = self.table.columns[0].collation.as_deref();
        let value = match (stored, &self.column_type) {
            (None, _) => KeyValue::Null,
            (Some(text), ColumnType::Integer { .. } | ColumnType::Year) => {
                let number: i128 = std::str::from_utf8(text).ok()?.parse().ok()?;
                i64::try_from(number).map_or(KeyValue::UInt(number as u64), KeyValue::Int)
            }
            (Some(text), ColumnType::Decimal { .. }) => KeyValue::Decimal { negative: false, text },
            (Some(bytes), ColumnType::Char(_) | ColumnType::Varchar(_)) => {
                KeyValue::text(bytes, TextCharset::of_collation(collation.unwrap_or_default()))
            }
            (Some(bytes), ColumnType::Binary(_) | ColumnType::Varbinary(_)) => KeyValue::Bytes(bytes.into()),
            (Some(text), _) => KeyValue::text(text, TextCharset::Ascii),
        };
        match keyspace_id_for_predicate(&self.table, [Pinned { value, null_safe: true }]) {
            PredicateId::Id(id) => Some(id),
            _ => None,
        }
    }
}

/// Values, as they are written in statements.
pub fn expressions() -> Vec<&'static [u8]> {
    EXPRESSIONS.lines().map(str::as_bytes).filter(|line| !line.is_empty()).chain(RAW).collect()
}

/// Bytes that are no UTF-8, and those that lines cannot hold.
const RAW: [&[u8]; 8] = [
    b"_latin1'\xfc'",
    b"'\xfc'",
    b"'\xff'",
    b"'a\xe4\xb8'",
    b"_binary'\xfc'",
    b"'\x81\x5c'",
    b"'\r5'",
    b"'a\n'",
];

const EXPRESSIONS: &str = include_str!("expressions.txt");

/// Values, as drivers bind them.
pub fn parameters() -> Vec<Value> {
    let integers = [0, 1, 5, -5, 20, 127, 128, 300, 2020, -32769, 4_294_967_296, i64::MAX, i64::MIN];
    let doubles = [
        0.0,
        -0.0,
        5.0,
        5.5,
        4.5,
        -4.5,
        0.1,
        1.25,
        300.0,
        9_007_199_254_740_991.0,
        9_007_199_254_740_992.0,
        1e19,
        1e300,
    ];
    let texts = EXPRESSIONS.lines().filter_map(|line| line.strip_prefix('\'')?.strip_suffix('\''));
    let dates = [
        (2020, 2, 29, 0, 0, 0, 0),
        (2020, 2, 29, 10, 11, 12, 0),
        (2020, 2, 29, 23, 59, 59, 999_999),
        (0, 0, 0, 0, 0, 0, 0),
    ];
    let times = [
        (false, 0, 10, 11, 12, 0),
        (true, 0, 10, 11, 12, 500_000),
        (false, 34, 22, 59, 59, 0),
        (false, 0, 0, 0, 0, 1),
    ];
    let mut values = vec![Value::NULL, Value::UInt(u64::MAX), Value::UInt(5), Value::UInt(1 << 63)];
    values.extend(integers.map(Value::Int));
    values.extend(doubles.map(Value::Double));
    values.extend(doubles.map(|number| Value::Float(number as f32)));
    values.extend(texts.map(|text| Value::Bytes(text.as_bytes().to_vec())));
    values.extend(dates.map(|(y, m, d, h, i, s, u)| Value::Date(y, m, d, h, i, s, u)));
    values.extend(times.map(|(n, d, h, m, s, u)| Value::Time(n, d, h, m, s, u)));
    values
}
