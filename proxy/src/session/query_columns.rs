//! The columns of a query as those of a table that could hold its rows: for rows that are inserted elsewhere. Rows are read with
//! `character_set_results = utf8mb4`.

use std::borrow::Cow;

use podway_router::Transfer;
use podway_wire::{ColumnDefinition, ColumnFlags, ColumnType};

use super::literals::is_string;
use crate::execute::TableColumn;

/// The collation id of bytes.
const BINARY: u16 = 63;
/// Bytes of the longest letter.
const LETTER: u32 = 4;
/// Longer texts and bytes are held as the longest there are.
const SHORT: u32 = 255;
/// By how many seconds clocks are set back.
const SET_BACK: [u32; 7] = [900, 1200, 1800, 2700, 3600, 5400, 7200];

/// A column that is given.
pub(super) struct Given {
    pub(super) column: TableColumn,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Text that may have lost letters on its way through Unicode: they are question marks then.
    Lossy,
    /// Bytes that are a number.
    Bits,
    /// Local time, which may be there twice.
    Instant,
}

/// The name of the column at this place, quoted.
pub(super) fn column_of(at: usize) -> String {
    format!("`_podway_{at}`")
}

/// What the rows of a query are carried in; an error says what cannot.
pub(super) fn columns_of(columns: &[ColumnDefinition], transfer: &Transfer) -> Result<Vec<Given>, String> {
    columns.iter().enumerate().map(|(at, column)| given(at, column, transfer)).collect()
}

fn given(at: usize, column: &ColumnDefinition, transfer: &Transfer) -> Result<Given, String> {
    use ColumnType::*;
    let refused = |what: &str| {
        let name = String::from_utf8_lossy(&column.name).into_owned();
        Err(format!("the query's column {name} is {what}"))
    };
    let unsigned = column.flags.contains(ColumnFlags::UNSIGNED_FLAG);
    let integer = |name: &str| format!("{name}{}", if unsigned { " unsigned" } else { "" });
    let fraction = column.decimals.min(6);
    let is_member = column.flags.intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG);
    if is_member && !takes_members(at, transfer) {
        return refused("of the type ENUM or SET, and its target is none and no text");
    }
    let mut kind = Kind::Plain;
    let declared = match column.column_type {
        MYSQL_TYPE_TINY => integer("tinyint"),
        MYSQL_TYPE_SHORT => integer("smallint"),
        MYSQL_TYPE_INT24 => integer("mediumint"),
        MYSQL_TYPE_LONG => integer("int"),
        MYSQL_TYPE_LONGLONG => integer("bigint"),
        MYSQL_TYPE_YEAR => "year".to_owned(),
        MYSQL_TYPE_NEWDECIMAL => {
            let signs = u32::from(!unsigned) + u32::from(column.decimals > 0);
            let digits = column.length.saturating_sub(signs).clamp(u32::from(column.decimals).max(1), 65);
            format!("decimal({digits},{})", column.decimals)
        }
        MYSQL_TYPE_DOUBLE => "double".to_owned(),
        MYSQL_TYPE_FLOAT => return refused("of the type FLOAT"),
        MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE => "date".to_owned(),
        MYSQL_TYPE_TIME => format!("time({fraction})"),
        MYSQL_TYPE_DATETIME => format!("datetime({fraction})"),
        MYSQL_TYPE_TIMESTAMP => {
            kind = Kind::Instant;
            format!("datetime({fraction})")
        }
        MYSQL_TYPE_BIT => {
            kind = Kind::Bits;
            format!("bit({})", column.length.clamp(1, 64))
        }
        MYSQL_TYPE_NULL => "varchar(1)".to_owned(),
        string if is_string(string) => {
            if column.charset != BINARY && transfer.may_lose_letters {
                kind = Kind::Lossy;
            }
            text(column)
        }
        MYSQL_TYPE_JSON => return refused("of the type JSON"),
        _ => return refused("of a type that rows in the text of a statement cannot have"),
    };
    let is_text = declared.ends_with("text") || declared.starts_with("varchar");
    let collation = is_text.then(|| "utf8mb4_bin".to_owned());
    let column = TableColumn { name: format!("_podway_{at}"), declared, collation, extra: String::new() };
    Ok(Given { column, kind })
}

fn text(column: &ColumnDefinition) -> String {
    match (column.charset, column.length) {
        (BINARY, length @ 0..=SHORT) => format!("varbinary({})", length.max(1)),
        (BINARY, _) => "longblob".to_owned(),
        (_, length) if length.div_ceil(LETTER) <= SHORT => {
            format!("varchar({})", length.div_ceil(LETTER).max(1))
        }
        _ => "longtext".to_owned(),
    }
}

/// Whether the target stores a member by its name.
fn takes_members(at: usize, transfer: &Transfer) -> bool {
    use podway_model::ColumnType::*;
    let target = transfer.columns.as_ref().and_then(|columns| columns.get(at));
    target.is_some_and(|column| matches!(column.column_type, Enum | Set | Char(_) | Varchar(_) | Text(_)))
}

impl Given {
    /// A cell as it is carried.
    pub(super) fn cell<'c>(&self, cell: Option<&'c [u8]>) -> Result<Option<Cow<'c, [u8]>>, &'static str> {
        let Some(cell) = cell else { return Ok(None) };
        match self.kind {
            Kind::Lossy if cell.contains(&b'?') => {
                Err("a text with a question mark may have been one with letters that Unicode lacks")
            }
            Kind::Bits => {
                let number = cell.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
                Ok(Some(Cow::Owned(number.to_string().into_bytes())))
            }
            _ => Ok(Some(Cow::Borrowed(cell))),
        }
    }

    /// What has to hold of each value where it is inserted: that its local time is there once.
    pub(super) fn guard(&self, name: &str) -> Option<String> {
        if self.kind != Kind::Instant {
            return None;
        }
        let at = |sign: char, seconds: u32| {
            format!("FROM_UNIXTIME(UNIX_TIMESTAMP({name}) {sign} {seconds}) <> {name}")
        };
        let once: Vec<String> =
            SET_BACK.iter().flat_map(|&seconds| [at('+', seconds), at('-', seconds)]).collect();
        Some(format!("({name} IS NULL OR {})", once.join(" AND ")))
    }
}
