//! Which columns may be sharding keys: those where MySQL's equality is known exactly here. Never looks at a value.
//!
//! Read next: [`super::canonical`], what equality becomes.

use podway_model::{Column, ColumnType, Name, Sharding, Vindex};

use super::collation::{ALLOWED, Collation};

/// Why a table cannot be sharded like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationError {
    /// No column was named.
    #[error("A sharding key must have at least one column")]
    NoColumns,
    /// The key names a column that the table does not have.
    #[error("Key column at position {0} doesn't exist in table")]
    UnknownColumn(usize),
    /// The key names a column twice.
    #[error("Duplicate column name '{0}' in sharding key")]
    DuplicateColumn(Name),
    /// The type has no equality that a router can know.
    #[error("Column '{column}' of type {type_name} cannot be part of a sharding key: {reason}")]
    Type {
        /// The column.
        column: Name,
        /// Its type.
        type_name: Box<str>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The value is computed by MySQL.
    #[error(
        "Generated column '{0}' cannot be part of a sharding key: only MySQL knows its value; use the columns it is made of"
    )]
    Generated(Name),
    /// The collation is not on the allow-list.
    #[error(
        "Column '{column}' with collation '{collation}' cannot be part of a sharding key; allowed are {ALLOWED}"
    )]
    Collation {
        /// The column.
        column: Name,
        /// Its collation; empty if it is not known.
        collation: Box<str>,
    },
    /// `hash` and `identity` take one whole number.
    #[error("Vindex '{0}' needs a sharding key of one integer column; use 'xxh3'")]
    Vindex(&'static str),
}

/// Whether a table with these columns may be sharded like this.
pub fn check_declaration(columns: &[Column], sharding: &Sharding) -> Result<(), DeclarationError> {
    if sharding.columns.is_empty() {
        return Err(DeclarationError::NoColumns);
    }
    for (at, &position) in sharding.columns.iter().enumerate() {
        let column = columns.get(position).ok_or(DeclarationError::UnknownColumn(position))?;
        if sharding.columns[..at].contains(&position) {
            return Err(DeclarationError::DuplicateColumn(column.name.clone()));
        }
        check_column(column)?;
    }
    let vindex = match sharding.vindex {
        Vindex::Xxh3 => return Ok(()),
        Vindex::Hash => "hash",
        Vindex::Identity => "identity",
    };
    match sharding.columns[..] {
        [only] if matches!(columns[only].column_type, ColumnType::Integer { .. }) => Ok(()),
        _ => Err(DeclarationError::Vindex(vindex)),
    }
}

fn check_column(column: &Column) -> Result<(), DeclarationError> {
    if column.generated {
        return Err(DeclarationError::Generated(column.name.clone()));
    }
    let floating = "equal numbers may be stored as different ones; use DECIMAL";
    let limitless = "it has no length limit; use VARCHAR or VARBINARY";
    let by_number = "its values are compared as numbers and as text; use an integer or VARCHAR";
    let (type_name, reason): (&str, &'static str) = match &column.column_type {
        ColumnType::Char(_) | ColumnType::Varchar(_) => return check_collation(column),
        ColumnType::Integer { .. }
        | ColumnType::Decimal { .. }
        | ColumnType::Binary(_)
        | ColumnType::Varbinary(_)
        | ColumnType::Date
        | ColumnType::Time(_)
        | ColumnType::Datetime(_)
        | ColumnType::Year => return Ok(()),
        ColumnType::Float => ("FLOAT", floating),
        ColumnType::Double => ("DOUBLE", floating),
        ColumnType::Text(_) => ("TEXT", limitless),
        ColumnType::Blob(_) => ("BLOB", limitless),
        ColumnType::Timestamp(_) => {
            ("TIMESTAMP", "its text depends on the session's time_zone; use DATETIME")
        }
        ColumnType::Bit(_) => ("BIT", by_number),
        ColumnType::Enum => ("ENUM", by_number),
        ColumnType::Set => ("SET", by_number),
        ColumnType::Json => ("JSON", "equal documents may be written differently"),
        ColumnType::Other(name) => (name, "its values cannot be compared by Podway"),
    };
    Err(DeclarationError::Type { column: column.name.clone(), type_name: type_name.into(), reason })
}

fn check_collation(column: &Column) -> Result<(), DeclarationError> {
    match column.collation.as_deref() {
        Some(name) if Collation::by_name(name).is_some() => Ok(()),
        name => Err(DeclarationError::Collation {
            column: column.name.clone(),
            collation: name.unwrap_or_default().into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use podway_model::ColumnDefault;

    use super::*;

    fn column(name: &str, column_type: ColumnType, collation: Option<&str>) -> Column {
        Column {
            name: Name::caseless(name),
            column_type,
            collation: collation.map(Into::into),
            nullable: false,
            auto_increment: false,
            generated: false,
            default: ColumnDefault::None,
            invisible: false,
        }
    }

    #[test]
    fn keys_are_allowed_or_refused_by_name() {
        let int = ColumnType::Integer { bytes: 4, unsigned: false };
        let columns = [
            column("id", int.clone(), None),
            column("name", ColumnType::Varchar(20), Some("utf8mb4_0900_ai_ci")),
            column("hu", ColumnType::Varchar(20), Some("utf8mb4_hu_0900_ai_ci")),
            column("at", ColumnType::Timestamp(0), None),
            column("f", ColumnType::Float, None),
            Column { generated: true, ..column("g", int, None) },
        ];
        let cases: [(&[usize], Vindex, &str); 11] = [
            (&[0], Vindex::Xxh3, ""),
            (&[0], Vindex::Hash, ""),
            (&[0], Vindex::Identity, ""),
            (&[1, 0], Vindex::Xxh3, ""),
            (&[], Vindex::Xxh3, "at least one column"),
            (&[0, 0], Vindex::Xxh3, "Duplicate column name 'id'"),
            (&[0, 1], Vindex::Hash, "Vindex 'hash' needs"),
            (&[1], Vindex::Identity, "Vindex 'identity' needs"),
            (&[2], Vindex::Xxh3, "Column 'hu' with collation 'utf8mb4_hu_0900_ai_ci' cannot"),
            (&[3], Vindex::Xxh3, "Column 'at' of type TIMESTAMP cannot"),
            (&[5], Vindex::Xxh3, "Generated column 'g' cannot"),
        ];
        for (key, vindex, message) in cases {
            let sharding = Sharding::by(key.to_vec(), vindex);
            let result = check_declaration(&columns, &sharding)
                .map_or_else(|error| error.to_string(), |()| String::new());
            assert!(
                result.contains(message) && result.is_empty() == message.is_empty(),
                "{key:?} {vindex:?}: {result}"
            );
        }
    }
}
