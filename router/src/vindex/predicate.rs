//! The keyspace id of the rows that *equal* a value, by MySQL's rules of comparison. Never more certain than they are: an explicit
//! COLLATE, a function around the column and the like are the caller's, who then does not ask.
//!
//! Read next: [`super::insert`], the same for a value that is stored.

use podway_model::{Column, ColumnType, KeyspaceId, Sharding, Table, TableKind};

use super::canonical::CanonicalForm;
use super::collation::{Collation, char_count};
use super::decimal::{Decimal, DigitBuffer};
use super::function::keyspace_id;
use super::number::{self, Number};
use super::temporal::Excess;
use super::value::{CalendarTime, ClockTime, KeyValue, TextCharset};

/// Doubles tell decimals of this many digits from each other, but no longer ones.
const EXACT_DIGITS: usize = 15;

/// One key column and what a predicate compares it with.
#[derive(Clone, Debug, PartialEq)]
pub struct Pinned<'a> {
    /// The value.
    pub value: KeyValue<'a>,
    /// Whether the comparison is `<=>` (or IS NULL): NULL then finds the rows that hold NULL.
    pub null_safe: bool,
}

/// Where the rows are that equal a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredicateId {
    /// All of them have this id.
    Id(KeyspaceId),
    /// There are none, on any shard.
    NoRow,
    /// They may be anywhere.
    Uncertain,
}

/// The id of the rows whose key columns equal these values, given in the order of the table's key columns.
pub fn keyspace_id_for_predicate<'v>(
    table: &Table,
    key: impl IntoIterator<Item = Pinned<'v>>,
) -> PredicateId {
    let TableKind::Sharded(Sharding { columns, vindex, .. }) = &table.kind else {
        return PredicateId::Uncertain;
    };
    let mut form = CanonicalForm::new();
    let mut key = key.into_iter();
    let mut uncertain = columns.is_empty();
    for &position in columns {
        let (Some(column), Some(pinned)) = (table.columns.get(position), key.next()) else {
            return PredicateId::Uncertain;
        };
        match write_column(column, &pinned, &mut form) {
            Equal::Written => {}
            Equal::NoRow => return PredicateId::NoRow,
            Equal::Uncertain => uncertain = true,
        }
    }
    if uncertain || key.next().is_some() {
        return PredicateId::Uncertain;
    }
    PredicateId::Id(keyspace_id(*vindex, &form))
}

/// Whether `left = right` between two columns means that a value which one of them equals leads to the rows of the other as well.
/// For keys of one column, or column by column, under one vindex.
pub fn carries_pin(left: &Column, right: &Column) -> bool {
    let is_text =
        |column: &Column| matches!(column.column_type, ColumnType::Char(_) | ColumnType::Varchar(_));
    let is_binary =
        |column: &Column| matches!(column.column_type, ColumnType::Binary(_) | ColumnType::Varbinary(_));
    if is_text(left) && is_text(right) {
        return left.collation.is_some() && left.collation == right.collation;
    }
    let is_instant =
        |column: &Column| matches!(column.column_type, ColumnType::Date | ColumnType::Datetime(_));
    let is_number = |column: &Column| number::is_exact_number(&column.column_type);
    let both = |of_kind: &dyn Fn(&Column) -> bool| of_kind(left) && of_kind(right);
    both(&is_binary)
        || both(&is_instant)
        || both(&is_number)
        || both(&|column| matches!(column.column_type, ColumnType::Time(_)))
        || both(&|column| matches!(column.column_type, ColumnType::Year))
}

/// What is known of the values that equal another one.
enum Equal {
    /// Their canonical form has been written.
    Written,
    /// There are none.
    NoRow,
    /// They may have several forms, or one that only MySQL knows.
    Uncertain,
}

impl From<Option<()>> for Equal {
    fn from(written: Option<()>) -> Self {
        written.map_or(Equal::Uncertain, |()| Equal::Written)
    }
}

fn write_column(column: &Column, pinned: &Pinned<'_>, form: &mut CanonicalForm) -> Equal {
    let value = &pinned.value;
    if *value == KeyValue::Null {
        if !pinned.null_safe {
            return Equal::NoRow;
        }
        form.null();
        return Equal::Written;
    }
    match column.column_type {
        ColumnType::Integer { bytes, unsigned } => {
            write_integer(number::integer_range(bytes, unsigned), value, form)
        }
        ColumnType::Decimal { precision, .. } => write_decimal(usize::from(precision), value, form).into(),
        ColumnType::Year => number::year(value).map(|year| form.integer(year)).into(),
        ColumnType::Char(_) | ColumnType::Varchar(_) => write_text(column, value, form).into(),
        ColumnType::Binary(_) | ColumnType::Varbinary(_) => {
            binary_bytes(value).map(|bytes| form.bytes(bytes)).into()
        }
        ColumnType::Date => calendar_time(value).map(|at| form.instant(&at)).into(),
        ColumnType::Datetime(digits) => calendar_time(value)
            .filter(|at| at.with_precision(digits, Excess::Truncate).as_ref() == Some(at))
            .map(|at| form.instant(&at))
            .into(),
        ColumnType::Time(digits) => clock_time(value)
            .filter(|span| span.with_precision(digits, Excess::Truncate).as_ref() == Some(span))
            .map(|span| form.span(&span))
            .into(),
        _ => Equal::Uncertain,
    }
}

fn write_integer(
    range: std::ops::RangeInclusive<i128>,
    value: &KeyValue<'_>,
    form: &mut CanonicalForm,
) -> Equal {
    let Some(number) = Number::of(value) else { return Equal::Uncertain };
    let whole = match number {
        Number::Whole(whole) => whole,
        Number::Decimal(decimal) => match decimal.whole_number() {
            Some(whole) => whole,
            None => return Equal::NoRow,
        },
        Number::Double(double) if double.fract() != 0.0 => return Equal::NoRow,
        Number::Double(double) => double as i128,
        // MySQL reads digits as the column's type where they fit it, and as a double where they do not.
        Number::Text(decimal) => match decimal.whole_number() {
            Some(whole) if number::is_exact_as_double(whole) => whole,
            Some(whole) if range.contains(&whole) && is_digits(value) => whole,
            _ => return Equal::Uncertain,
        },
    };
    if !range.contains(&whole) {
        return Equal::NoRow;
    }
    form.integer(whole);
    Equal::Written
}

/// Whether a text has no point.
fn is_digits(value: &KeyValue<'_>) -> bool {
    matches!(value, KeyValue::Text { bytes, .. } if !bytes.contains(&b'.'))
}

fn write_decimal(precision: usize, value: &KeyValue<'_>, form: &mut CanonicalForm) -> Option<()> {
    // Text and floats are compared as doubles.
    let fits_doubles = |number: &Decimal<'_>| precision <= EXACT_DIGITS && number.digits() <= EXACT_DIGITS;
    match (value, Number::of(value)?) {
        (KeyValue::HexOrBit(_), _) => return None,
        (_, Number::Whole(whole)) => form.integer(whole),
        (_, Number::Decimal(number)) => form.decimal(&number),
        (_, Number::Text(number)) => fits_doubles(&number).then(|| form.decimal(&number))?,
        (_, Number::Double(double)) => {
            let mut buffer = DigitBuffer::new();
            let whole = (double.fract() == 0.0).then_some(double as i128)?;
            let number = Decimal::of_integer(whole, &mut buffer);
            fits_doubles(&number).then(|| form.integer(whole))?;
        }
    }
    Some(())
}

fn write_text(column: &Column, value: &KeyValue<'_>, form: &mut CanonicalForm) -> Option<()> {
    let collation = Collation::by_name(column.collation.as_deref()?)?;
    match value {
        KeyValue::Text { bytes, charset } => collation.write(bytes, *charset, form),
        // Compared byte by byte with the column's own bytes.
        KeyValue::Bytes(bytes) | KeyValue::HexOrBit(bytes) => {
            collation.write(bytes, collation.charset(), form)
        }
        _ => None,
    }
}

/// The bytes that a value is to a binary column. Text is taken as it is, in its own character set, if that is certain.
pub(super) fn binary_bytes<'v>(value: &'v KeyValue<'_>) -> Option<&'v [u8]> {
    match value {
        KeyValue::Bytes(bytes) | KeyValue::HexOrBit(bytes) => Some(bytes),
        KeyValue::Text { bytes, charset } => char_count(bytes, *charset).map(|_| bytes.as_ref()),
        _ => None,
    }
}

/// The moment that a value certainly is.
pub(super) fn calendar_time(value: &KeyValue<'_>) -> Option<CalendarTime> {
    let at = match value {
        KeyValue::Date { year, month, day } => {
            CalendarTime { year: *year, month: *month, day: *day, ..CalendarTime::default() }
        }
        KeyValue::DateTime(at) => *at,
        KeyValue::Text { bytes, charset } if *charset != TextCharset::Opaque => CalendarTime::parse(bytes)?,
        _ => return None,
    };
    at.is_real().then_some(at)
}

/// The span of time that a value certainly is.
pub(super) fn clock_time(value: &KeyValue<'_>) -> Option<ClockTime> {
    let span = match value {
        KeyValue::Time(span) => *span,
        KeyValue::Text { bytes, charset } if *charset != TextCharset::Opaque => ClockTime::parse(bytes)?,
        _ => return None,
    };
    span.is_real().then_some(span)
}
