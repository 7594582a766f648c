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
