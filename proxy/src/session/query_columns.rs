//! The columns of a query as those of a table that could hold its rows: for rows that are inserted elsewhere. Rows are read with
//! `character_set_results = utf8mb4`.

use std::borrow::Cow;

use podway_router::{Texts, Transfer};
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

/// DOUBLE without a fixed number of decimals.
const ALL_DECIMALS: u8 = 31;
/// Years below are no years of a YEAR column, but for 0, whose text is longer than the number's.
const SHORT_YEAR: u32 = 1000;

/// A column that is given.
pub(super) struct Given {
    pub(super) column: TableColumn,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Text that may have lost letters on its way through Unicode, or come back as another letter of two.
    Lossy,
    /// Text whose bytes are known if it is ASCII's.
    Ascii,
    /// Digits, perhaps behind zeros.
    Number,
    /// A year whose text is stored.
    YearText,
    /// Bytes that are a number.
    Bits,
    /// Local time, which may be there twice.
    Instant,
}

/// What the column is that a value is stored in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taker {
    Text,
    Member,
    Bytes,
    /// Numbers, times, JSON …
    Other,
    Unknown,
}

/// The name of the column at this place, quoted.
pub(super) fn column_of(at: usize) -> String {
    format!("`_podway_{at}`")
}

/// What the rows of a query are carried in; an error says what cannot. `is_binary`: they are in the binary protocol.
pub(super) fn columns_of(
    columns: &[ColumnDefinition],
    transfer: &Transfer,
    is_binary: bool,
) -> Result<Vec<Given>, String> {
    let given = |(at, column)| {
        given(at, column, (transfer, is_binary)).map_err(|what| {
            let name = String::from_utf8_lossy(&column.name).into_owned();
            format!("the query's column {name} is {what}")
        })
    };
    columns.iter().enumerate().map(given).collect()
}

fn given(
    at: usize,
    column: &ColumnDefinition,
    (transfer, is_binary): (&Transfer, bool),
) -> Result<Given, &'static str> {
    use ColumnType::*;
    let target = target(at, transfer);
    let taker = taker(target);
    check_computed(column, (target, taker))?;
    check_form(column, (taker, transfer), is_binary)?;
    let unsigned = column.flags.contains(ColumnFlags::UNSIGNED_FLAG);
    let integer = |name: &str| format!("{name}{}", if unsigned { " unsigned" } else { "" });
    let fraction = column.decimals.min(6);
    let mut kind = match column.flags.contains(ColumnFlags::ZEROFILL_FLAG) {
        true => Kind::Number,
        false => Kind::Plain,
    };
    let declared = match column.column_type {
        MYSQL_TYPE_TINY => integer("tinyint"),
        MYSQL_TYPE_SHORT => integer("smallint"),
        MYSQL_TYPE_INT24 => integer("mediumint"),
        MYSQL_TYPE_LONG => integer("int"),
        MYSQL_TYPE_LONGLONG => integer("bigint"),
        // Of a table's own column only: YEAR(…) gives years that are none.
        MYSQL_TYPE_YEAR if !column.org_table.is_empty() => {
            kind = Kind::Plain;
            "year".to_owned()
        }
        MYSQL_TYPE_YEAR => {
            kind = match taker {
                Taker::Other => Kind::Number,
                _ => Kind::YearText,
            };
            "smallint unsigned".to_owned()
        }
        MYSQL_TYPE_NEWDECIMAL => {
            let signs = u32::from(!unsigned) + u32::from(column.decimals > 0);
            let digits = column.length.saturating_sub(signs).clamp(u32::from(column.decimals).max(1), 65);
            format!("decimal({digits},{})", column.decimals)
        }
        MYSQL_TYPE_DOUBLE => "double".to_owned(),
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
            if column.charset != BINARY {
                // Bits are a text's bytes.
                let takes_bytes = matches!(target, Some(podway_model::ColumnType::Bit(_)));
                kind = kind_of_text(if takes_bytes { Taker::Bytes } else { taker }, transfer)?;
            }
            text(column)
        }
        MYSQL_TYPE_FLOAT => return Err("of the type FLOAT"),
        MYSQL_TYPE_JSON => return Err("of the type JSON"),
        _ => return Err("of a type that rows in the text of a statement cannot have"),
    };
    let is_text = declared.ends_with("text") || declared.starts_with("varchar");
    let collation = is_text.then(|| "utf8mb4_bin".to_owned());
    let column = TableColumn { name: format!("_podway_{at}"), declared, collation, extra: String::new() };
    Ok(Given { column, kind })
}

/// Refuses computed times where MySQL takes them as text, or as the date that it has today, and computed decimals where it takes more digits as text
/// than it shows: `AVG(n)` is 5.0000 to a client, and 5.000000000 in a VARCHAR.
fn check_computed(
    column: &ColumnDefinition,
    (target, taker): (Option<&podway_model::ColumnType>, Taker),
) -> Result<(), &'static str> {
    use ColumnType::{MYSQL_TYPE_DATETIME, MYSQL_TYPE_NEWDECIMAL, MYSQL_TYPE_TIME, MYSQL_TYPE_TIMESTAMP};
    use podway_model::ColumnType::{Bit, Year};
    if !column.org_table.is_empty() {
        return Ok(());
    }
    match column.column_type {
        MYSQL_TYPE_TIME | MYSQL_TYPE_DATETIME | MYSQL_TYPE_TIMESTAMP
            if matches!(target, Some(Bit(_) | Year)) =>
        {
            Err("a computed time, and its target is of the type BIT or YEAR")
        }
        MYSQL_TYPE_NEWDECIMAL if column.decimals > 0 && matches!(taker, Taker::Text | Taker::Bytes) => {
            Err("a computed DECIMAL, and its target is text")
        }
        _ => Ok(()),
    }
}

/// Refuses what would be stored otherwise than MySQL itself stores it, or of which that is not certain.
fn check_form(
    column: &ColumnDefinition,
    (taker, transfer): (Taker, &Transfer),
    is_binary: bool,
) -> Result<(), &'static str> {
    use ColumnType::*;
    let is_member = column.flags.intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG);
    if is_member && !matches!(taker, Taker::Text | Taker::Member) {
        return Err("of the type ENUM or SET, and its target is none and no text");
    }
    if column.flags.contains(ColumnFlags::ZEROFILL_FLAG)
        && column.column_type != MYSQL_TYPE_YEAR
        && taker != Taker::Other
    {
        return Err("of a ZEROFILL type, and its target is no number");
    }
    let is_double = column.column_type == MYSQL_TYPE_DOUBLE;
    if is_double && column.decimals < ALL_DECIMALS && (!is_binary || taker != Taker::Other) {
        return Err("of the type DOUBLE with a fixed number of decimals");
    }
    // The definition has all digits of what has a value of its own, as a parameter has.
    let has_fraction =
        matches!(column.column_type, MYSQL_TYPE_DATETIME | MYSQL_TYPE_TIMESTAMP | MYSQL_TYPE_TIME)
            && column.decimals >= 6;
    if is_binary && has_fraction && column.org_table.is_empty() && taker != Taker::Other {
        return Err("a time whose digits are not known, and its target is no time");
    }
    if is_string(column.column_type)
        && column.charset == BINARY
        && transfer.has_number_literals
        && matches!(taker, Taker::Other | Taker::Unknown | Taker::Member)
    {
        return Err("of bytes that may be a number, written in hexadecimal or binary digits");
    }
    Ok(())
}

fn kind_of_text(taker: Taker, transfer: &Transfer) -> Result<Kind, &'static str> {
    match (transfer.texts, taker) {
        (Texts::Utf8, _) => Ok(Kind::Plain),
        (Texts::Single, Taker::Bytes | Taker::Unknown) => Ok(Kind::Ascii),
        (Texts::Wide | Texts::Unknown, Taker::Bytes | Taker::Unknown) => {
            Err("text whose character set is not certain, and its target takes bytes")
        }
        (Texts::Single | Texts::Wide, _) => Ok(Kind::Plain),
        (Texts::Unknown, _) => Ok(Kind::Lossy),
    }
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

fn target(at: usize, transfer: &Transfer) -> Option<&podway_model::ColumnType> {
    let target = transfer.columns.as_ref().and_then(|columns| columns.get(at));
    target.map(|column| &column.column_type)
}

fn taker(target: Option<&podway_model::ColumnType>) -> Taker {
    use podway_model::ColumnType::*;
    match target {
        None => Taker::Unknown,
        Some(Char(_) | Varchar(_) | Text(_)) => Taker::Text,
        Some(Enum | Set) => Taker::Member,
        Some(Binary(_) | Varbinary(_) | Blob(_)) => Taker::Bytes,
        Some(Other(_)) => Taker::Unknown,
        Some(_) => Taker::Other,
    }
}

impl Given {
    /// A column of AUTO_INCREMENT numbers that the query does not have.
    pub(super) fn added_counter(at: usize) -> Given {
        Given::counter(at, "bigint unsigned")
    }

    /// The column at this place, as it is carried when numbers of the cluster's are put into it; `None` where the query has no integers there.
    pub(super) fn numbered(&self, at: usize, is_null: bool) -> Option<Given> {
        let declared = self.column.declared.as_str();
        let integers = ["tinyint", "smallint", "mediumint", "int", "bigint"];
        let kind = declared.split(' ').next().unwrap_or_default();
        let is_unsigned = declared.ends_with("unsigned");
        let wide = if is_unsigned || is_null { "bigint unsigned" } else { "bigint" };
        (is_null || integers.contains(&kind)).then(|| Given::counter(at, wide))
    }

    fn counter(at: usize, declared: &str) -> Given {
        let (declared, extra) = (declared.to_owned(), String::new());
        let column = TableColumn { name: format!("_podway_{at}"), declared, collation: None, extra };
        Given { column, kind: Kind::Number }
    }

    /// A cell as it is carried.
    pub(super) fn cell<'c>(&self, cell: Option<&'c [u8]>) -> Result<Option<Cow<'c, [u8]>>, &'static str> {
        let Some(cell) = cell else { return Ok(None) };
        match self.kind {
            Kind::Lossy if cell.contains(&b'?') || !cell.is_ascii() => Err(
                "a text may have been one with letters that Unicode lacks, or has once where its character set has them twice",
            ),
            Kind::Ascii if !cell.is_ascii() => Err(
                "a text has letters outside ASCII that are other bytes in its own character set, and its target takes bytes",
            ),
            Kind::Number | Kind::YearText => {
                let zeros = cell.iter().take_while(|byte| **byte == b'0').count();
                let digits = &cell[zeros.min(cell.len().saturating_sub(1))..];
                // A point needs a digit before it.
                let digits = match digits.first() {
                    Some(b'.') => &cell[zeros.saturating_sub(1)..],
                    _ => digits,
                };
                let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u32>().ok());
                match self.kind == Kind::YearText && number.is_none_or(|number| number < SHORT_YEAR) {
                    true => Err("a year below 1000 is to be text"),
                    false => Ok(Some(Cow::Borrowed(digits))),
                }
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
            // Before the epoch there is none.
            format!("COALESCE(FROM_UNIXTIME(UNIX_TIMESTAMP({name}) {sign} {seconds}) <> {name}, 1)")
        };
        let once: Vec<String> =
            SET_BACK.iter().flat_map(|&seconds| [at('+', seconds), at('-', seconds)]).collect();
        Some(format!("({name} IS NULL OR {})", once.join(" AND ")))
    }
}
