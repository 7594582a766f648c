//! COM_QUERY: the statement's text, after query attributes where the connection has agreed on them.
//!
//! The text is bytes in the client's character set; it is found here, not read. Next: `execute`.

use std::ops::Range;

use bytes::BufMut;
use mysql_common::constants::CapabilityFlags;

use super::binary_value::BinaryValue;
use super::bind::{Binding, Bound};
use crate::codec::{Cursor, DecodeError, Decoded};

/// An attribute of one statement, not of the connection.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryAttribute<'a> {
    /// The name.
    pub name: Vec<u8>,
    /// The type, a [`crate::ColumnType`] by number.
    pub column_type: u8,
    /// The value.
    pub value: BinaryValue<'a>,
}

/// Where a COM_QUERY has its text.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryText<'a> {
    /// The text's place in the bytes that were read.
    pub text_range: Range<usize>,
    /// What precedes it.
    pub attributes: Vec<QueryAttribute<'a>>,
}

/// Finds the statement in the bytes after the command byte.
pub fn query_text(payload: &[u8], capabilities: CapabilityFlags) -> Decoded<QueryText<'_>> {
    if !capabilities.contains(CapabilityFlags::CLIENT_QUERY_ATTRIBUTES) {
        return Ok(QueryText { text_range: 0..payload.len(), attributes: Vec::new() });
    }
    let mut cursor = Cursor::new(payload);
    let count = cursor.lenenc_int("number of attributes")?;
    let sets = cursor.lenenc_int("number of attribute sets")?;
    if sets != 1 {
        return Err(DecodeError::Unexpected { field: "number of attribute sets", value: sets });
    }
    let mut attributes = Vec::new();
    if count > 0 {
        let count = usize::try_from(count).map_err(|_| DecodeError::Truncated { field: "attributes" })?;
        let binding = Binding { count, named: true, previous_types: &[], long_data: &|_| None };
        let bound = Bound::read(&mut cursor, &binding)?;
        attributes = zip_attributes(bound);
    }
    Ok(QueryText { text_range: cursor.position()..payload.len(), attributes })
}

/// Writes what must stand between the command byte and the text of a statement without attributes.
pub fn put_query_prefix(capabilities: CapabilityFlags, out: &mut impl BufMut) {
    if capabilities.contains(CapabilityFlags::CLIENT_QUERY_ATTRIBUTES) {
        out.put_slice(&[0, 1]);
    }
}

fn zip_attributes(bound: Bound<'_>) -> Vec<QueryAttribute<'_>> {
    bound
        .types
        .iter()
        .zip(bound.values)
        .map(|(of, value)| QueryAttribute { name: of.name.clone(), column_type: of.column_type, value })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: CapabilityFlags = CapabilityFlags::CLIENT_QUERY_ATTRIBUTES;

    #[test]
    fn without_attributes_every_byte_is_text() {
        let found = query_text(b"\0\x01select 1", CapabilityFlags::empty()).unwrap();
        assert_eq!(found, QueryText { text_range: 0..10, attributes: Vec::new() });
    }

    #[test]
    fn the_text_follows_the_attributes() {
        let attribute = |name: &str, value| QueryAttribute { name: name.into(), column_type: 254, value };
        let cases: [(&[u8], Vec<QueryAttribute<'_>>); 3] = [
            (b"\0\x01select 1", vec![]),
            (b"\x01\x01\0\x01\xFE\0\x01a\x02hiselect 1", vec![attribute("a", BinaryValue::Bytes(b"hi"))]),
            (
                b"\x02\x01\x02\x01\xFE\0\x01a\xFE\0\x01b\x02hiselect 1",
                vec![attribute("a", BinaryValue::Bytes(b"hi")), attribute("b", BinaryValue::Null)],
            ),
        ];
        for (bytes, attributes) in cases {
            let found = query_text(bytes, NAMED).unwrap();
            assert_eq!(&bytes[found.text_range], b"select 1");
            assert_eq!(found.attributes, attributes);
        }
    }

    #[test]
    fn what_mysql_calls_malformed_is_refused() {
        for bytes in [&b""[..], b"\0", b"select 1", b"\0\x02select 1", b"\x01\x01\0\x01\xFE\0\x01a\x20hi"] {
            assert!(query_text(bytes, NAMED).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn the_prefix_is_written_only_where_it_is_due() {
        for (capabilities, expected) in [(NAMED, &b"\0\x01"[..]), (CapabilityFlags::empty(), b"")] {
            let mut out = Vec::new();
            put_query_prefix(capabilities, &mut out);
            assert_eq!(out, expected);
        }
    }
}
