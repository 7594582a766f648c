//! The values of an execution's parameters: as the vindexes read them, and as literals in a text.

use podway_router::{CalendarTime, ClockTime, KeyValue, TextCharset};
use podway_wire::{BinaryValue, ColumnType, Execute, ParamType};

use super::core::{ClientStatement, Session};
use super::literals::{Reading, is_binary, sql_literal};

impl Session {
    /// A parameter as the vindexes read it.
    pub(super) fn key_value<'v>(&self, value: &BinaryValue<'v>, of: &ParamType) -> KeyValue<'v> {
        let is = |column_type: ColumnType| of.column_type == column_type as u8;
        match value {
            BinaryValue::Null => KeyValue::Null,
            BinaryValue::Int(value) => KeyValue::Int(*value),
            BinaryValue::UInt(value) => KeyValue::UInt(*value),
            BinaryValue::Float(value) => KeyValue::Float(*value),
            BinaryValue::Double(value) => KeyValue::Double(*value),
            BinaryValue::Bytes(text)
                if is(ColumnType::MYSQL_TYPE_NEWDECIMAL) || is(ColumnType::MYSQL_TYPE_DECIMAL) =>
            {
                KeyValue::Decimal { negative: false, text }
            }
            BinaryValue::Bytes(bytes) if is_binary(of.column_type) => KeyValue::Bytes((*bytes).into()),
            BinaryValue::Bytes(text) => {
                let lexical = &self.state.lexical;
                KeyValue::text(text, TextCharset::of_connection(lexical.charset, &lexical.collation))
            }
            BinaryValue::Date { year, month, day, hour, minute, second, micros } => {
                if is(ColumnType::MYSQL_TYPE_DATE) || is(ColumnType::MYSQL_TYPE_NEWDATE) {
                    return KeyValue::Date { year: *year, month: *month, day: *day };
                }
                let (year, month, day, hour, minute, second, micros) =
                    (*year, *month, *day, *hour, *minute, *second, *micros);
                KeyValue::DateTime(CalendarTime { year, month, day, hour, minute, second, micros })
            }
            BinaryValue::Time { negative, days, hours, minutes, seconds, micros } => {
                KeyValue::Time(ClockTime {
                    negative: *negative,
                    hours: days.saturating_mul(24).saturating_add((*hours).into()),
                    minutes: *minutes,
                    seconds: *seconds,
                    micros: *micros,
                })
            }
        }
    }
}

/// A statement's text with literals in the places of its parameters.
pub(super) fn with_literals(
    statement: &ClientStatement,
    execute: &Execute<'_>,
    reading: Reading<'_>,
) -> Vec<u8> {
    let mut text = Vec::with_capacity(statement.text.len());
    let mut copied = 0;
    for (n, literal) in statement.normal.literals().iter().enumerate() {
        let Some(ordinal) = statement.normal.param_ordinal(n) else { continue };
        let (Some(value), Some(of)) = (execute.values.get(ordinal), execute.types.get(ordinal)) else {
            continue;
        };
        let range = literal.range();
        text.extend_from_slice(&statement.text[copied..range.start]);
        text.extend_from_slice(&sql_literal(value, of.column_type, reading));
        copied = range.end;
    }
    text.extend_from_slice(&statement.text[copied..]);
    text
}
