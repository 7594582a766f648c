//! What the map knows of a table's columns: enough to find a sharding key in a statement and to say how MySQL will store it.
//! Values are never looked at here: that is the router's vindex.

use serde::{Deserialize, Serialize};

use crate::Name;

/// A column of a sharded table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, compared without case.
    pub name: Name,
    /// Its type.
    pub column_type: ColumnType,
    /// Its collation, for character types, as `information_schema.columns.collation_name` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<Box<str>>,
    /// Whether it takes NULL.
    #[serde(default, skip_serializing_if = "is_no")]
    pub nullable: bool,
    /// Whether it is `AUTO_INCREMENT`: 0 and NULL then mean "the next number".
    #[serde(default, skip_serializing_if = "is_no")]
    pub auto_increment: bool,
    /// Whether its value is generated from other columns.
    #[serde(default, skip_serializing_if = "is_no")]
    pub generated: bool,
    /// What an INSERT that does not name it stores.
    #[serde(default, skip_serializing_if = "ColumnDefault::is_none")]
    pub default: ColumnDefault,
    /// Whether it was declared INVISIBLE: an INSERT without a column list does not count it.
    #[serde(default, skip_serializing_if = "is_no")]
    pub invisible: bool,
}

/// What an INSERT stores in a column that it does not name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnDefault {
    /// There is none: an error in strict mode, the type's zero otherwise.
    #[default]
    None,
    /// NULL.
    Null,
    /// A literal, as `information_schema.columns.column_default` prints it.
    Literal(Box<str>),
    /// An expression: only MySQL can say.
    Expression,
}

/// A column's type with what decides how a value is stored in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnType {
    /// TINYINT, SMALLINT, MEDIUMINT, INT and BIGINT: 1, 2, 3, 4 or 8 bytes.
    Integer {
        /// Bytes of the stored number.
        bytes: u8,
        /// Whether it is UNSIGNED.
        unsigned: bool,
    },
    /// DECIMAL(precision, scale).
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
        /// Whether it is UNSIGNED.
        unsigned: bool,
    },
    /// FLOAT, in any form.
    Float,
    /// DOUBLE, in any form.
    Double,
    /// CHAR(length), in characters.
    Char(u32),
    /// VARCHAR(length), in characters.
    Varchar(u32),
    /// TINYTEXT to LONGTEXT, by its limit in bytes.
    Text(u64),
    /// BINARY(length), in bytes: shorter values are filled up with zero bytes.
    Binary(u32),
    /// VARBINARY(length), in bytes.
    Varbinary(u32),
    /// TINYBLOB to LONGBLOB, by its limit in bytes.
    Blob(u64),
    /// DATE.
    Date,
    /// TIME with digits of fractional seconds.
    Time(u8),
    /// DATETIME with digits of fractional seconds.
    Datetime(u8),
    /// TIMESTAMP with digits of fractional seconds.
    Timestamp(u8),
    /// YEAR.
    Year,
    /// BIT(length).
    Bit(u8),
    /// ENUM.
    Enum,
    /// SET.
    Set,
    /// JSON.
    Json,
    /// Anything else, by MySQL's name for it.
    Other(Box<str>),
}

impl ColumnDefault {
    fn is_none(&self) -> bool {
        *self == ColumnDefault::None
    }
}

/// What is usual is not stored: there are many columns.
fn is_no(value: &bool) -> bool {
    !value
}
