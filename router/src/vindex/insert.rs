//! The keyspace id of a value *as MySQL will store it*. Never guesses: what the server would change in a way that is not exactly
//! known here is uncertain.
//!
//! Read next: [`super::predicate`], the same for a value that rows are compared with.

use podway_model::{Column, ColumnType, KeyspaceId, Sharding, Table, TableKind};

use super::canonical::CanonicalForm;
use super::collation::{Collation, char_count};
use super::decimal::{Decimal, DigitBuffer};
use super::function::keyspace_id;
use super::number::{self, Number};
use super::predicate::{binary_bytes, calendar_time, clock_time};
use super::temporal::Excess;
use super::value::{KeyValue, TextCharset};
use crate::SqlMode;

/// Where a new row belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertId {
    /// On the shard of this id.
    Id(KeyspaceId),
    /// Nowhere: MySQL refuses the value, and any shard will do for saying so.
    Refused,
    /// MySQL would make the number itself (AUTO_INCREMENT with NULL or 0).
    Generated,
    /// Only MySQL can say what it stores.
    Uncertain,
}

/// The id of the row that an INSERT of these values stores, given in the order of the table's key columns. For INSERT IGNORE and its
/// like: pass the mode without `STRICT`.
pub fn keyspace_id_for_insert<'v>(
    table: &Table,
    key: impl IntoIterator<Item = KeyValue<'v>>,
    sql_mode: SqlMode,
) -> InsertId {
    let TableKind::Sharded(Sharding { columns, vindex, .. }) = &table.kind else {
        return InsertId::Uncertain;
    };
    let mut form = CanonicalForm::new();
    let mut key = key.into_iter();
    let mut worst = if columns.is_empty() { Stored::Uncertain } else { Stored::Written };
    for &position in columns {
        let (Some(column), Some(value)) = (table.columns.get(position), key.next()) else {
            return InsertId::Uncertain;
        };
        worst = worst.max(write_column(column, &value, sql_mode, &mut form));
    }
    if key.next().is_some() {
        return InsertId::Uncertain;
    }
    match worst {
        Stored::Written => InsertId::Id(keyspace_id(*vindex, &form)),
        Stored::Uncertain => InsertId::Uncertain,
        Stored::Generated => InsertId::Generated,
        Stored::Refused => InsertId::Refused,
    }
}

/// What becomes of one column's value; of several columns the greatest decides, since one refusal refuses the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stored {
    Written,
    Uncertain,
    Generated,
    Refused,
}

impl From<Option<()>> for Stored {
    fn from(written: Option<()>) -> Self {
        written.map_or(Stored::Uncertain, |()| Stored::Written)
    }
}

/// A value that does not fit: an error, or changed in a way that is not worth knowing.
fn misfit(sql_mode: SqlMode) -> Stored {
    if sql_mode.contains(SqlMode::STRICT) { Stored::Refused } else { Stored::Uncertain }
}

fn write_column(
    column: &Column,
    value: &KeyValue<'_>,
    sql_mode: SqlMode,
    form: &mut CanonicalForm,
) -> Stored {
    if *value == KeyValue::Null {
        return write_null(column, sql_mode, form);
    }
    let excess =
        if sql_mode.contains(SqlMode::TIME_TRUNCATE_FRACTIONAL) { Excess::Truncate } else { Excess::Round };
    match column.column_type {
        ColumnType::Integer { .. } => write_integer(column, value, sql_mode, form),
        ColumnType::Decimal { .. } => write_decimal(&column.column_type, value, sql_mode, form),
        ColumnType::Year => number::year(value).map(|year| form.integer(year)).into(),
        ColumnType::Char(length) | ColumnType::Varchar(length) => {
            let collation = column.collation.as_deref().and_then(Collation::by_name);
            collation
                .map_or(Stored::Uncertain, |collation| write_text((length, collation), value, sql_mode, form))
        }
        ColumnType::Binary(length) | ColumnType::Varbinary(length) => {
            write_bytes(length, value, sql_mode, form)
        }
        ColumnType::Date => {
            calendar_time(value).filter(|at| at.is_midnight()).map(|at| form.instant(&at)).into()
        }
        ColumnType::Datetime(digits) => calendar_time(value)
            .and_then(|at| at.with_precision(digits, excess))
            .map(|at| form.instant(&at))
            .into(),
        ColumnType::Time(digits) => clock_time(value)
            .and_then(|span| span.with_precision(digits, excess))
            .map(|span| form.span(&span))
            .into(),
        _ => Stored::Uncertain,
    }
}

fn write_null(column: &Column, sql_mode: SqlMode, form: &mut CanonicalForm) -> Stored {
    if column.auto_increment {
        return Stored::Generated;
    }
    if !column.nullable {
        return misfit(sql_mode);
    }
    form.null();
    Stored::Written
}

/// What an INSERT does with a value for an AUTO_INCREMENT column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterValue {
    /// It wants a number.
    Generated,
    /// It stores this one.
    Number(i128),
    /// MySQL refuses it.
    Refused,
    /// Only MySQL can say.
    Uncertain,
}

/// What an INSERT does with a value for an AUTO_INCREMENT column of an integer type. For INSERT IGNORE: pass the mode without `STRICT`.
pub fn counter_value(column: &Column, value: &KeyValue<'_>, sql_mode: SqlMode) -> CounterValue {
    if *value == KeyValue::Null {
        return CounterValue::Generated;
    }
    match integer(column, value, sql_mode) {
        Ok(number) => CounterValue::Number(number),
        Err(Stored::Generated) => CounterValue::Generated,
        Err(Stored::Refused) => CounterValue::Refused,
        Err(Stored::Written | Stored::Uncertain) => CounterValue::Uncertain,
    }
}

fn write_integer(
    column: &Column,
    value: &KeyValue<'_>,
    sql_mode: SqlMode,
    form: &mut CanonicalForm,
) -> Stored {
    match integer(column, value, sql_mode) {
        Ok(whole) => {
            form.integer(whole);
            Stored::Written
        }
        Err(otherwise) => otherwise,
    }
}

/// The number that an integer column stores, or what becomes of the value else.
fn integer(column: &Column, value: &KeyValue<'_>, sql_mode: SqlMode) -> Result<i128, Stored> {
    let ColumnType::Integer { bytes, unsigned } = column.column_type else { return Err(Stored::Uncertain) };
    let mut buffer = DigitBuffer::new();
    let (whole, below_zero) = match Number::of(value) {
        None => return Err(Stored::Uncertain),
        Some(Number::Whole(whole)) => (Some(whole), whole < 0),
        Some(Number::Decimal(decimal)) => (decimal.rounded(0, &mut buffer).whole_number(), decimal.negative),
        Some(Number::Double(double)) => (Some(double.round_ties_even() as i128), double < 0.0),
        Some(Number::Text(decimal)) if decimal.fraction.is_empty() => {
            (decimal.whole_number(), decimal.negative)
        }
        Some(Number::Text(_)) => return Err(Stored::Uncertain),
    };
    match whole.filter(|whole| number::integer_range(bytes, unsigned).contains(whole)) {
        None => Err(misfit(sql_mode)),
        // A fraction below zero that rounds to it.
        Some(0) if unsigned && below_zero => Err(Stored::Uncertain),
        Some(0) if column.auto_increment && !sql_mode.contains(SqlMode::NO_AUTO_VALUE_ON_ZERO) => {
            Err(Stored::Generated)
        }
        Some(whole) => Ok(whole),
    }
}

fn write_decimal(
    column_type: &ColumnType,
    value: &KeyValue<'_>,
    sql_mode: SqlMode,
    form: &mut CanonicalForm,
) -> Stored {
    let ColumnType::Decimal { precision, scale, unsigned } = *column_type else { return Stored::Uncertain };
    let (mut digits, mut rounded) = (DigitBuffer::new(), DigitBuffer::new());
    let number = match (value, Number::of(value)) {
        (KeyValue::HexOrBit(_), _) | (_, None | Some(Number::Double(_))) => return Stored::Uncertain,
        (_, Some(Number::Whole(whole))) => Decimal::of_integer(whole, &mut digits),
        (_, Some(Number::Decimal(number) | Number::Text(number))) => number,
    };
    let stored = number.rounded(usize::from(scale), &mut rounded);
    if stored.whole.len() > usize::from(precision.saturating_sub(scale)) || (unsigned && stored.negative) {
        return misfit(sql_mode);
    }
    if unsigned && number.negative {
        return Stored::Uncertain;
    }
    form.decimal(&stored);
    Stored::Written
}

/// The digits of a whole number, which is how MySQL stores it as text.
fn printed_integer<'b>(value: &KeyValue<'_>, buffer: &'b mut [u8; 20]) -> Option<&'b [u8]> {
    let number = match value {
        KeyValue::Int(number) => i128::from(*number),
        KeyValue::UInt(number) => i128::from(*number),
        _ => return None,
    };
    let mut rest = number.unsigned_abs();
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        start -= 1;
        buffer[start] = b'-';
    }
    Some(&buffer[start..])
}

fn write_text(
    (length, collation): (u32, Collation),
    value: &KeyValue<'_>,
    sql_mode: SqlMode,
    form: &mut CanonicalForm,
) -> Stored {
    let mut digits = [0; 20];
    let (bytes, charset) = match value {
        KeyValue::Text { bytes, charset } => (bytes.as_ref(), *charset),
        KeyValue::Bytes(bytes) | KeyValue::HexOrBit(bytes) => (bytes.as_ref(), collation.charset()),
        _ => match printed_integer(value, &mut digits) {
            Some(printed) => (printed, TextCharset::Ascii),
            None => return Stored::Uncertain,
        },
    };
    // Blanks beyond the column's length are dropped in every mode, and do not count in the canonical form.
    let kept = bytes.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    if collation.write(bytes, charset, form).is_none() {
        return Stored::Uncertain;
    }
    match char_count(&bytes[..kept], charset) {
        None => Stored::Uncertain,
        Some(count) if count > length as usize => misfit(sql_mode),
        Some(_) => Stored::Written,
    }
}

fn write_bytes(length: u32, value: &KeyValue<'_>, sql_mode: SqlMode, form: &mut CanonicalForm) -> Stored {
    let mut digits = [0; 20];
    let Some(bytes) = binary_bytes(value).or_else(|| printed_integer(value, &mut digits)) else {
        return Stored::Uncertain;
    };
    if let Some(excess) = bytes.get(length as usize..).filter(|excess| !excess.is_empty()) {
        let matters = excess.iter().any(|&byte| !matches!(byte, b' ' | 0));
        return if matters { misfit(sql_mode) } else { Stored::Uncertain };
    }
    form.bytes(bytes);
    Stored::Written
}
