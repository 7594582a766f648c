//! How a table's rows travel inside the text of a statement: what a shard is asked for, the JSON document
//! that its cells are put into, and the derived table that MySQL's JSON_TABLE makes of it, with the columns'
//! own types. It never carries a value as another one: what it is not sure of is an error, here, from a guard
//! on the shard, or from MySQL. All SQL is ASCII and means the same under every sql_mode, time zone and
//! client character set. It sends nothing. Read next: the part that reads the rows.

mod cell;
mod declared;
mod guard;
mod literal;
#[cfg(test)]
mod tests;

use cell::*;
use declared::{Declared, Text};
use guard::*;

use crate::backend::quoted_identifier;

/// The fence: a derived table with a LIMIT is materialised once, where a bare JSON_TABLE is parsed again for
/// every outer row.
const FENCE: &str = " LIMIT 18446744073709551615)";
/// Makes the statement fail (1242): a scalar subquery with two rows.
const FAIL: &str = "(SELECT 1 UNION ALL SELECT 2)";

/// A column as SHOW FULL COLUMNS shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// `Field`.
    pub name: String,
    /// `Type`, for example `varchar(20)`, `enum('a','b')` or `int unsigned`.
    pub declared: String,
    /// `Collation`: texts, ENUM and SET have one.
    pub collation: Option<String>,
    /// `Extra`.
    pub extra: String,
}

/// Why a column or a value cannot travel; nothing was sent, and trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncarried {
    /// JSON_TABLE wants one column at least.
    #[error("a table without columns cannot be carried")]
    NoColumns,
    /// The column can never be carried.
    #[error("column {column} ({declared}) cannot be carried: {why}")]
    Column {
        /// Its name.
        column: String,
        /// Its type.
        declared: String,
        /// What stands against it.
        why: &'static str,
    },
    /// One of its values cannot be carried.
    #[error("a value of column {column} cannot be carried: {why}")]
    Value {
        /// The column's name.
        column: String,
        /// What is wrong with the value.
        why: &'static str,
    },
    /// A row has other cells than the select list asks for.
    #[error("a row has more or fewer cells than the {expected} that were asked for")]
    Cells {
        /// How many the select list has.
        expected: usize,
    },
}

/// How the columns of one table travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carriage {
    columns: Vec<Carried>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Carried {
    name: String,
    /// The type in JSON_TABLE's COLUMNS.
    typed: String,
    kind: Kind,
}

/// What a cell is, as far as its way is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A JSON number: integers.
    Integer,
    /// BIT, a JSON number.
    Bits,
    /// Digits and signs in a JSON string: DECIMAL, TIME, YEAR. As JSON numbers they would pass through a
    /// double.
    Digits,
    /// FLOAT and DOUBLE; the text of a FLOAT keeps only six digits, so both are read as DOUBLE.
    Float {
        /// Whether the type rounds to a number of decimals, as FLOAT(7,3) does.
        rounds: bool,
    },
    /// DATE and DATETIME.
    Date,
    /// As seconds since 1970: local time is ambiguous in the hour that a clock is set back.
    Timestamp,
    Text(Text),
    /// Read as the index, sent as the member: JSON_TABLE takes "2" for a member before it takes it for an
    /// index.
    Enum(Text, Vec<String>),
    /// Read as the bits, sent as the members.
    Set(Text, Vec<String>),
    /// In hexadecimal digits.
    Bytes,
    /// As text in a JSON string: embedded, JSON's null would become SQL's.
    Json,
}

impl Carriage {
    /// How these columns travel, at least one; an error for a column that cannot.
    pub fn of(columns: &[TableColumn]) -> Result<Carriage, Uncarried> {
        if columns.is_empty() {
            return Err(Uncarried::NoColumns);
        }
        let columns = columns.iter().map(Carried::of).collect::<Result<_, _>>()?;
        Ok(Carriage { columns })
    }

    /// Appends the select list of the statement that reads the rows on a shard: an expression for each
    /// column, then guards that are 1 where the column's value survives. `qualifier` is the table's alias,
    /// quoted.
    pub fn select_list(&self, qualifier: &str, out: &mut Vec<u8>) {
        let mut list: Vec<String> = self.columns.iter().map(|column| column.read(qualifier)).collect();
        list.extend(self.columns.iter().filter_map(|column| column.guard(qualifier)));
        out.extend_from_slice(list.join(", ").as_bytes());
    }

    /// How many cells the select list has.
    pub fn cells(&self) -> usize {
        self.columns.len() + self.columns.iter().filter(|column| column.is_guarded()).count()
    }

    /// Appends one row to a document, or nothing if it is an error. `cells` are those that the select list
    /// gave over the text protocol with character_set_results = utf8mb4. Documents of the same carriage may
    /// be appended to each other.
    pub fn put_row<'c>(
        &self,
        cells: impl Iterator<Item = Option<&'c [u8]>>,
        document: &mut Vec<u8>,
    ) -> Result<(), Uncarried> {
        let before = document.len();
        let put = self.put_cells(cells, document);
        if put.is_err() {
            document.truncate(before);
        }
        put
    }

    /// Appends a subquery in parentheses, without an alias, that gives the document's rows under the columns'
    /// names. The document is what `put_row` appended; an empty one gives no rows.
    pub fn derived_table(&self, document: &[u8], out: &mut Vec<u8>) {
        let numbered = || self.columns.iter().enumerate();
        let names: Vec<String> = numbered().map(|(at, column)| column.given(at)).collect();
        let columns: Vec<String> = numbered().map(|(at, column)| column.taken(at)).collect();
        let checks: Vec<String> = numbered().filter_map(|(at, column)| column.check(at)).collect();
        out.extend_from_slice(b"(SELECT ");
        out.extend_from_slice(names.join(", ").as_bytes());
        out.extend_from_slice(b" FROM JSON_TABLE(_utf8mb4 X'5B");
        put_hex(document.strip_suffix(b",").unwrap_or(document), out);
        out.extend_from_slice(b"5D', _utf8mb4'$[*]' COLUMNS(");
        out.extend_from_slice(columns.join(", ").as_bytes());
        out.extend_from_slice(b")) AS j");
        if !checks.is_empty() {
            let check = format!(" WHERE IF({}, 1, {FAIL})", checks.join(" AND "));
            out.extend_from_slice(check.as_bytes());
        }
        out.extend_from_slice(FENCE.as_bytes());
    }

    fn put_cells<'c>(
        &self,
        mut cells: impl Iterator<Item = Option<&'c [u8]>>,
        document: &mut Vec<u8>,
    ) -> Result<(), Uncarried> {
        let guarded = || self.columns.iter().filter(|column| column.is_guarded());
        let wrong = || Uncarried::Cells { expected: self.columns.len() + guarded().count() };
        for (at, column) in self.columns.iter().enumerate() {
            document.push(if at == 0 { b'[' } else { b',' });
            let cell = cells.next().ok_or_else(wrong)?;
            column.put(cell, document).map_err(|why| column.value(why))?;
        }
        document.extend_from_slice(b"],");
        for column in guarded() {
            if cells.next().ok_or_else(wrong)? != Some(b"1") {
                return Err(column.value("it does not survive the way through text"));
            }
        }
        match cells.next() {
            Some(_) => Err(wrong()),
            None => Ok(()),
        }
    }
}

impl Carried {
    fn of(column: &TableColumn) -> Result<Carried, Uncarried> {
        let refused =
            |why| Uncarried::Column { column: column.name.clone(), declared: column.declared.clone(), why };
        if !column.name.is_ascii() {
            return Err(refused("its name is not ASCII"));
        }
        if column.extra.to_ascii_uppercase().contains("INVISIBLE") {
            return Err(refused("it is invisible"));
        }
        let declared = Declared::of(&column.declared).map_err(refused)?;
        let (kind, typed) = declared.kind(column.collation.as_deref()).map_err(refused)?;
        Ok(Carried { name: column.name.clone(), typed, kind })
    }

    /// What the shard is asked for.
    fn read(&self, qualifier: &str) -> String {
        let column = self.qualified(qualifier);
        match self.kind {
            Kind::Float { .. } => format!("CAST({column} AS DOUBLE)"),
            Kind::Timestamp => format!("UNIX_TIMESTAMP({column})"),
            Kind::Bits | Kind::Enum(..) | Kind::Set(..) => format!("CAST({column} AS UNSIGNED)"),
            // Bytes are not converted to character_set_results; HEX would be NULL above max_allowed_packet.
            Kind::Integer | Kind::Digits | Kind::Date | Kind::Text(_) | Kind::Bytes | Kind::Json => column,
        }
    }

    fn is_guarded(&self) -> bool {
        match &self.kind {
            // The protocol does not convert utf8mb4; whether it is valid is seen here.
            Kind::Text(text) => text.charset != "utf8mb4",
            Kind::Enum(..) | Kind::Set(..) | Kind::Json => true,
            _ => false,
        }
    }

    /// An expression that is 1 where the shard's value survives.
    fn guard(&self, qualifier: &str) -> Option<String> {
        let column = self.qualified(qualifier);
        if !self.is_guarded() {
            return None;
        }
        match &self.kind {
            Kind::Text(text) => Some(text_guard(&column, &text.charset)),
            Kind::Enum(text, members) => Some(enum_guard(&column, text, members)),
            Kind::Set(text, members) => Some(set_guard(&column, text, members)),
            Kind::Json => Some(json_guard(&column)),
            _ => None,
        }
    }

    fn qualified(&self, qualifier: &str) -> String {
        format!("{qualifier}.{}", quoted_identifier(&self.name))
    }

    /// The column in JSON_TABLE's COLUMNS.
    fn taken(&self, at: usize) -> String {
        let typed = &self.typed;
        const STRICT: &str = "ERROR ON EMPTY ERROR ON ERROR";
        let (path, beside) = match self.kind {
            Kind::Timestamp => ("[0]", format!(", e{at} DECIMAL(18,6) PATH _utf8mb4'$[{at}][1]' {STRICT}")),
            Kind::Float { rounds: true } => ("", format!(", e{at} DOUBLE PATH _utf8mb4'$[{at}]' {STRICT}")),
            _ => ("", String::new()),
        };
        format!("c{at} {typed} PATH _utf8mb4'$[{at}]{path}' {STRICT}{beside}")
    }

    /// The column in the derived table's select list.
    fn given(&self, at: usize) -> String {
        let name = quoted_identifier(&self.name);
        match self.kind {
            // A bare UNHEX gives way to another text's collation in a comparison (coercibility 4); a cast is as firm as a column (2).
            Kind::Bytes => format!("CAST(UNHEX(j.c{at}) AS BINARY) AS {name}"),
            Kind::Json => format!("CAST(j.c{at} AS JSON) AS {name}"),
            _ => format!("j.c{at} AS {name}"),
        }
    }

    /// What has to hold in each row of the document, else the statement fails.
    ///
    /// JSON_TABLE keeps a TIMESTAMP's instant, but the fence may copy it by way of local time (it does under
    /// the default sql_mode), which tells only one of the two hours when a clock is set back. And without
    /// explicit_defaults_for_timestamp JSON_TABLE leaves the row before in a TIMESTAMP that is NULL. A type
    /// that rounds might round once more.
    fn check(&self, at: usize) -> Option<String> {
        match self.kind {
            Kind::Timestamp => Some(format!(
                "UNIX_TIMESTAMP(j.c{at}) <=> j.e{at} \
                 AND UNIX_TIMESTAMP(CAST(j.c{at} AS DATETIME(6))) <=> j.e{at}"
            )),
            Kind::Float { rounds: true } => Some(format!("CAST(j.c{at} AS DOUBLE) <=> j.e{at}")),
            _ => None,
        }
    }

    fn value(&self, why: &'static str) -> Uncarried {
        Uncarried::Value { column: self.name.clone(), why }
    }

    /// Appends a cell to the document.
    fn put(&self, cell: Option<&[u8]>, document: &mut Vec<u8>) -> Result<(), &'static str> {
        let Some(cell) = cell else {
            let timestamp = self.kind == Kind::Timestamp;
            document.extend_from_slice(if timestamp { b"[null,null]" } else { b"null" });
            return Ok(());
        };
        if self.kind == Kind::Bytes {
            put_quoted(document, |document| put_hex(cell, document));
            return Ok(());
        }
        let cell = str::from_utf8(cell).map_err(|_| "it is not UTF-8")?;
        match &self.kind {
            Kind::Integer | Kind::Bits => put_integer(cell, document),
            Kind::Digits => put_plain(cell, ":", document),
            Kind::Float { .. } => put_plain(cell, "e+", document),
            Kind::Date => put_date(cell, document),
            Kind::Timestamp => put_timestamp(cell, document),
            Kind::Enum(_, members) => put_text(enum_member(cell, members)?, document),
            Kind::Set(_, members) => put_text(&set_members(cell, members)?, document),
            Kind::Text(_) | Kind::Json | Kind::Bytes => put_text(cell, document),
        }
    }
}
