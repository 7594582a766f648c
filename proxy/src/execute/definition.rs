//! SHOW CREATE TABLE with what Podway knows of its table: how the rows lie, in the COMMENT, so that whoever runs the definition again makes such a table. Pure: rows in,
//! rows out.

use podway_router::TableDirective;
use podway_wire::codec::put_lenenc_bytes;
use podway_wire::{Cursor, DecodeError, decode_text_row};

/// The bytes before a binary row's values, of fewer than seven columns: the header and the NULLs.
const BINARY_HEAD: usize = 2;

/// A row of SHOW CREATE TABLE (the table's name, its definition) with the directive in the definition.
pub(super) fn declared(
    body: &[u8],
    is_binary: bool,
    directive: &TableDirective,
) -> Result<Vec<u8>, DecodeError> {
    let head = if is_binary { BINARY_HEAD } else { 0 };
    let mut payload = body.get(..head).unwrap_or_default().to_vec();
    let mut values = Vec::new();
    if is_binary {
        let mut cursor = Cursor::new(body.get(head..).unwrap_or_default());
        while !cursor.is_empty() {
            values.push(cursor.lenenc_bytes("a value")?);
        }
    } else {
        for cell in decode_text_row(body) {
            values.push(cell?.unwrap_or_default());
        }
    }
    for (nth, value) in values.into_iter().enumerate() {
        match nth {
            1 => put_lenenc_bytes(&mut payload, &in_any_charset(value, directive)),
            _ => put_lenenc_bytes(&mut payload, value),
        }
    }
    Ok(payload)
}

/// The definition with the directive. In another character set than UTF-8 a byte stands for itself: what is looked for, and what is put in, is ASCII.
fn in_any_charset(definition: &[u8], directive: &TableDirective) -> Vec<u8> {
    if let Ok(text) = std::str::from_utf8(definition) {
        return directive.in_definition(text).into_bytes();
    }
    let bytewise: String = definition.iter().copied().map(char::from).collect();
    let bytes: Option<Vec<u8>> =
        directive.in_definition(&bytewise).chars().map(|c| u8::try_from(c).ok()).collect();
    bytes.filter(|_| directive.to_string().is_ascii()).unwrap_or_else(|| definition.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_both_protocols_and_of_any_charset_say_it() {
        let row = |definition: &[u8]| {
            let mut row = Vec::new();
            put_lenenc_bytes(&mut row, b"t");
            put_lenenc_bytes(&mut row, definition);
            row
        };
        for letter in ["\u{e9}".as_bytes(), b"\xe9"] {
            let plain = [b"CREATE TABLE `t` (\n  `", letter, b"` int\n) ENGINE=InnoDB"].concat();
            let said = [&plain[..], b" COMMENT='podway: reference'"].concat();
            let text = declared(&row(&plain), false, &TableDirective::Reference);
            assert_eq!(text, Ok(row(&said)));
            let binary = declared(&[&[0, 0], &row(&plain)[..]].concat(), true, &TableDirective::Reference);
            assert_eq!(binary, Ok([&[0, 0], &row(&said)[..]].concat()));
        }
    }
}
