//! Table definitions out of `information_schema`, in the model's words. What is declared of a table is `declare`'s.

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, FromRowError, Row};
use podway_model::{Column, ColumnDefault, ColumnType, Name};

use super::bodies::may_set;
use super::error::ProvisionError;
use super::unique::{UniqueKey, read_unique_keys};

/// A table as a server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// Its name.
    pub name: String,
    /// Whether it is a view.
    pub is_view: bool,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// The primary key's columns; empty if there is none.
    pub primary_key: Vec<Name>,
    /// Its UNIQUE keys, the primary key among them.
    pub unique_keys: Vec<UniqueKey>,
    /// The columns that an UPDATE sets by itself (ON UPDATE CURRENT_TIMESTAMP).
    pub set_on_update: Vec<Name>,
    /// The bodies of its BEFORE triggers, which may set columns.
    pub before_triggers: Vec<String>,
}

impl TableDefinition {
    /// The body of a BEFORE trigger that may set a column.
    pub fn trigger_that_may_set(&self, column: &Name) -> Option<&str> {
        self.before_triggers.iter().find(|body| may_set(body, column)).map(String::as_str)
    }

    /// What differs from another server's table in a way that a statement could see.
    pub fn difference(&self, other: &TableDefinition) -> Option<String> {
        if self.primary_key != other.primary_key {
            return Some("the primary key".to_owned());
        }
        if self.columns.len() != other.columns.len() {
            return Some(format!("{} columns and {}", self.columns.len(), other.columns.len()));
        }
        let differing = self.columns.iter().zip(&other.columns).find(|(own, theirs)| own != theirs);
        differing.map(|(column, _)| format!("column {}", column.name))
    }
}

/// The names of a schema's tables and views.
pub async fn table_names(conn: &mut Conn, schema: &str) -> Result<Vec<String>, ProvisionError> {
    let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = ? ORDER BY table_name";
    conn.exec(sql, (schema,)).await.map_err(ProvisionError::doing(format!("listing the tables of {schema}")))
}

/// Reads one table's or view's definition.
pub async fn read_table(
    conn: &mut Conn,
    schema: &str,
    table: &str,
) -> Result<TableDefinition, ProvisionError> {
    let doing = || ProvisionError::doing(format!("reading the definition of {schema}.{table}"));
    let key = (schema, table);
    let sql = "SELECT table_type FROM information_schema.tables WHERE table_schema = ? AND table_name = ?";
    let table_type: Option<String> = conn.exec_first(sql, key).await.map_err(doing())?;
    let no_table = || ProvisionError::NoTable { schema: schema.to_owned(), table: table.to_owned() };
    let table_type = table_type.ok_or_else(no_table)?;

    let sql = "SELECT column_name AS name, column_default AS value, is_nullable AS nullable, data_type AS kind, \
               column_type AS full_type, character_maximum_length AS length, numeric_precision AS digits, \
               numeric_scale AS scale, datetime_precision AS fraction, collation_name AS collation, extra AS extra \
               FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position";
    let described: Vec<Described> = conn.exec(sql, key).await.map_err(doing())?;
    let sql = "SELECT column_name FROM information_schema.statistics \
               WHERE table_schema = ? AND table_name = ? AND index_name = 'PRIMARY' ORDER BY seq_in_index";
    let primary_key: Vec<String> = conn.exec(sql, key).await.map_err(doing())?;
    let unique_keys = read_unique_keys(conn, schema, table).await?;
    let sql = "SELECT action_statement FROM information_schema.triggers \
               WHERE event_object_schema = ? AND event_object_table = ? AND action_timing = 'BEFORE'";
    let before_triggers = conn.exec(sql, key).await.map_err(doing())?;

    let is_set_on_update = |column: &&Described| column.extra.to_ascii_lowercase().contains("on update");
    Ok(TableDefinition {
        name: table.to_owned(),
        is_view: table_type.contains("VIEW"),
        set_on_update: described
            .iter()
            .filter(is_set_on_update)
            .map(|column| Name::caseless(&column.name))
            .collect(),
        columns: described.iter().map(Described::column).collect(),
        primary_key: primary_key.iter().map(|name| Name::caseless(name)).collect(),
        unique_keys,
        before_triggers,
    })
}

/// The number that a table's AUTO_INCREMENT column would get next on this server; `None` if it has none.
pub async fn read_next_number(
    conn: &mut Conn,
    schema: &str,
    table: &str,
) -> Result<Option<u64>, ProvisionError> {
    let doing = || ProvisionError::doing(format!("reading the next number of {schema}.{table}"));
    // What is kept for a day otherwise.
    conn.query_drop("SET SESSION information_schema_stats_expiry = 0").await.map_err(doing())?;
    let sql =
        "SELECT auto_increment FROM information_schema.tables WHERE table_schema = ? AND table_name = ?";
    let next: Option<Option<u64>> = conn.exec_first(sql, (schema, table)).await.map_err(doing())?;
    Ok(next.flatten())
}

/// A row of `information_schema.columns`.
#[derive(Debug, Default)]
struct Described {
    name: String,
    value: Option<String>,
    nullable: String,
    kind: String,
    full_type: String,
    length: Option<u64>,
    digits: Option<u64>,
    scale: Option<u64>,
    fraction: Option<u64>,
    collation: Option<String>,
    extra: String,
}

impl FromRow for Described {
    fn from_row_opt(mut row: Row) -> Result<Self, FromRowError> {
        let read = |row: &mut Row| {
            Some(Described {
                name: row.take("name")?,
                value: row.take("value")?,
                nullable: row.take("nullable")?,
                kind: row.take("kind")?,
                full_type: row.take("full_type")?,
                length: row.take("length")?,
                digits: row.take("digits")?,
                scale: row.take("scale")?,
                fraction: row.take("fraction")?,
                collation: row.take("collation")?,
                extra: row.take("extra")?,
            })
        };
        read(&mut row).ok_or(FromRowError(row))
    }
}

impl Described {
    fn column(&self) -> Column {
        let extra = self.extra.to_ascii_lowercase();
        let column_type = self.column_type();
        let has_collation = matches!(
            column_type,
            ColumnType::Char(_)
                | ColumnType::Varchar(_)
                | ColumnType::Text(_)
                | ColumnType::Enum
                | ColumnType::Set
        );
        Column {
            name: Name::caseless(&self.name),
            default: self.default_value(&column_type),
            column_type,
            collation: self.collation.as_deref().filter(|_| has_collation).map(Box::from),
            nullable: self.nullable == "YES",
            auto_increment: extra.contains("auto_increment"),
            generated: self.is_generated(),
            invisible: extra.split_whitespace().any(|word| word == "invisible"),
        }
    }

    /// `VIRTUAL GENERATED` or `STORED GENERATED`; `DEFAULT_GENERATED` is an expression as a default.
    fn is_generated(&self) -> bool {
        self.extra.split_whitespace().any(|word| word.eq_ignore_ascii_case("GENERATED"))
    }

    fn default_value(&self, column_type: &ColumnType) -> ColumnDefault {
        let has_expression =
            self.extra.split_whitespace().any(|word| word.eq_ignore_ascii_case("DEFAULT_GENERATED"));
        match &self.value {
            _ if has_expression => ColumnDefault::Expression,
            None if self.nullable == "YES" && !self.is_generated() => ColumnDefault::Null,
            None => ColumnDefault::None,
            // The server cuts a binary default at its first zero byte when it prints it (seen on 9.7): only it knows the value.
            Some(_) if matches!(column_type, ColumnType::Binary(_) | ColumnType::Varbinary(_)) => {
                ColumnDefault::Expression
            }
            Some(text) => ColumnDefault::Literal(text.as_str().into()),
        }
    }

    fn column_type(&self) -> ColumnType {
        let unsigned = self.full_type.to_ascii_lowercase().contains("unsigned");
        let length = self.length.unwrap_or_default();
        let characters = u32::try_from(length).unwrap_or(u32::MAX);
        let small =
            |number: Option<u64>| number.and_then(|number| u8::try_from(number).ok()).unwrap_or_default();
        let integer = |bytes| ColumnType::Integer { bytes, unsigned };
        match self.kind.to_ascii_lowercase().as_str() {
            "tinyint" => integer(1),
            "smallint" => integer(2),
            "mediumint" => integer(3),
            "int" => integer(4),
            "bigint" => integer(8),
            "decimal" => {
                ColumnType::Decimal { precision: small(self.digits), scale: small(self.scale), unsigned }
            }
            "float" => ColumnType::Float,
            "double" => ColumnType::Double,
            "char" => ColumnType::Char(characters),
            "varchar" => ColumnType::Varchar(characters),
            "tinytext" | "text" | "mediumtext" | "longtext" => ColumnType::Text(length),
            "binary" => ColumnType::Binary(characters),
            "varbinary" => ColumnType::Varbinary(characters),
            "tinyblob" | "blob" | "mediumblob" | "longblob" => ColumnType::Blob(length),
            "date" => ColumnType::Date,
            "time" => ColumnType::Time(small(self.fraction)),
            "datetime" => ColumnType::Datetime(small(self.fraction)),
            "timestamp" => ColumnType::Timestamp(small(self.fraction)),
            "year" => ColumnType::Year,
            "bit" => ColumnType::Bit(small(self.digits)),
            "enum" => ColumnType::Enum,
            "set" => ColumnType::Set,
            "json" => ColumnType::Json,
            other => ColumnType::Other(other.into()),
        }
    }
}
