//! The value of a literal, read from the statement's own bytes. Never converts between character sets: it says which one the bytes
//! are in.
//!
//! Read next: [`super::predicate`] and [`super::insert`].

use std::borrow::Cow;

use memchr::memchr2;
use podway_model::{Column, ColumnDefault, ColumnType};

use super::value::{KeyValue, TextCharset};
use crate::{ClientCharset, Literal, LiteralKind, SqlMode};

/// What the meaning of a literal depends on besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct ValueContext<'a> {
    /// The session's `sql_mode`.
    pub sql_mode: SqlMode,
    /// `character_set_client`.
    pub charset: ClientCharset,
    /// `collation_connection`.
    pub collation: &'a str,
}

/// The value of `literals[at]`, with the adjacent strings that continue it; [`KeyValue::Unknown`] where MySQL would refuse the
/// literal or where it is a parameter.
pub fn literal_value<'a>(
    sql: &'a [u8],
    literals: &[Literal],
    at: usize,
    context: &ValueContext<'_>,
) -> KeyValue<'a> {
    let Some(literal) = literals.get(at) else { return KeyValue::Unknown };
    let text = literal.text(sql);
    match literal.kind() {
        LiteralKind::Integer => integer(text),
        LiteralKind::Decimal => KeyValue::Decimal { negative: false, text },
        LiteralKind::Float => double(text),
        LiteralKind::String | LiteralKind::National => {
            let continued = literals[at + 1..].iter().take_while(|next| next.continues());
            string(sql, literal, continued, context)
        }
        LiteralKind::Hex => introduced(literal, hex_bytes(text)),
        LiteralKind::Bit => introduced(literal, bit_bytes(text)),
        LiteralKind::Param => KeyValue::Unknown,
    }
}

/// What an INSERT that does not name the column stores; nothing where only MySQL can say, or where there is no default.
pub fn default_value(column: &Column) -> Option<KeyValue<'_>> {
    if column.auto_increment {
        return Some(KeyValue::Null);
    }
    match &column.default {
        ColumnDefault::Null => Some(KeyValue::Null),
        ColumnDefault::None | ColumnDefault::Expression => None,
        // Defaults of these are printed as hexadecimal digits.
        ColumnDefault::Literal(_)
            if matches!(column.column_type, ColumnType::Binary(_) | ColumnType::Varbinary(_)) =>
        {
            None
        }
        ColumnDefault::Literal(text) => Some(KeyValue::text(text.as_bytes(), TextCharset::Utf8mb4)),
    }
}

fn integer(text: &[u8]) -> KeyValue<'_> {
    let number = text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| number.checked_mul(10)?.checked_add(u64::from(digit)))?
    });
    match number {
        Some(number) => i64::try_from(number).map_or(KeyValue::UInt(number), KeyValue::Int),
        None => KeyValue::Decimal { negative: false, text },
    }
}

fn double(text: &[u8]) -> KeyValue<'_> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    number.filter(|number| number.is_finite()).map_or(KeyValue::Unknown, KeyValue::Double)
}

fn string<'a, 'l>(
    sql: &'a [u8],
    first: &Literal,
    continued: impl Iterator<Item = &'l Literal>,
    context: &ValueContext<'_>,
) -> KeyValue<'a> {
    let charset = match (first.introducer(), first.kind()) {
        (Some(name), _) => TextCharset::from_name(name),
        (None, LiteralKind::National) if context.charset == ClientCharset::Utf8 => TextCharset::Utf8mb3,
        (None, LiteralKind::National) => TextCharset::AsciiSuperset,
        (None, _) => TextCharset::of_connection(context.charset, context.collation),
    };
    let Some(mut bytes) = unquoted(first.text(sql), context) else { return KeyValue::Unknown };
    for next in continued {
        match unquoted(next.text(sql), context) {
            Some(more) => bytes.to_mut().extend_from_slice(&more),
            None => return KeyValue::Unknown,
        }
    }
    if charset == TextCharset::Binary { KeyValue::Bytes(bytes) } else { KeyValue::Text { bytes, charset } }
}

/// What stands between the quotes, escapes undone. The text is as the lexer found it: an `N`, maybe, and a whole quoted string.
fn unquoted<'a>(text: &'a [u8], context: &ValueContext<'_>) -> Option<Cow<'a, [u8]>> {
    let quoted = match text {
        [b'N' | b'n', quoted @ ..] => quoted,
        quoted => quoted,
    };
    let [quote @ (b'\'' | b'"'), inner @ .., last] = quoted else { return None };
    if quote != last {
        return None;
    }
    if memchr2(*quote, b'\\', inner).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    let escapes = !context.sql_mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let [byte, after @ ..] = rest {
        let length = context.charset.char_len(rest);
        rest = match after {
            _ if length > 1 => {
                out.extend_from_slice(&rest[..length]);
                &rest[length..]
            }
            [escaped, after @ ..] if *byte == b'\\' && escapes => {
                let length = context.charset.char_len(&rest[1..]);
                if length > 1 {
                    out.extend_from_slice(&rest[1..1 + length]);
                    &rest[1 + length..]
                } else {
                    unescape(*escaped, &mut out);
                    after
                }
            }
            [_, after @ ..] if byte == quote => {
                out.push(*byte);
                after
            }
            after => {
                out.push(*byte);
                after
            }
        };
    }
    Some(Cow::Owned(out))
}

/// MySQL manual, "String Literals", table of escape sequences. `\%` and `\_` keep their backslash outside LIKE.
fn unescape(escaped: u8, out: &mut Vec<u8>) {
    match escaped {
        b'0' => out.push(0),
        b'b' => out.push(8),
        b'n' => out.push(b'\n'),
        b'r' => out.push(b'\r'),
        b't' => out.push(b'\t'),
        b'Z' => out.push(0x1A),
        b'%' | b'_' => out.extend_from_slice(&[b'\\', escaped]),
        other => out.push(other),
    }
}

/// A hexadecimal or bit literal, which an introducer makes text.
fn introduced<'a>(literal: &Literal, bytes: Option<Vec<u8>>) -> KeyValue<'a> {
    let Some(bytes) = bytes else { return KeyValue::Unknown };
    match literal.introducer().map(TextCharset::from_name) {
        None => KeyValue::HexOrBit(Cow::Owned(bytes)),
        Some(TextCharset::Binary) => KeyValue::Bytes(Cow::Owned(bytes)),
        Some(charset) => KeyValue::Text { bytes: Cow::Owned(bytes), charset },
    }
}

/// The digits of `x'…'` or `0x…`, and whether it is the quoted form.
fn digits_of(text: &[u8]) -> Option<(&[u8], bool)> {
    match text {
        [b'0', _, digits @ ..] => Some((digits, false)),
        [_, b'\'', digits @ .., b'\''] => Some((digits, true)),
        _ => None,
    }
}

fn hex_bytes(text: &[u8]) -> Option<Vec<u8>> {
    let (digits, quoted) = digits_of(text)?;
    if quoted && !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (odd, pairs) = digits.split_at(digits.len() % 2);
    let mut bytes = Vec::with_capacity(digits.len().div_ceil(2));
    for &high in odd {
        bytes.push(digit(high)?);
    }
    for pair in pairs.chunks_exact(2) {
        bytes.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Some(bytes)
}

fn bit_bytes(text: &[u8]) -> Option<Vec<u8>> {
    let (digits, _) = digits_of(text)?;
    let mut bytes = vec![0; digits.len().div_ceil(8)];
    for (at, digit) in digits.iter().rev().enumerate() {
        let place = bytes.len() - 1 - at / 8;
        match digit {
            b'0' => {}
            b'1' => bytes[place] |= 1 << (at % 8),
            _ => return None,
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
