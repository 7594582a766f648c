//! A column's definition: what precedes the rows of a result, and follows a PREPARE.
//!
//! Names are kept as the server sent them; [`rewrite_schema`] changes one without decoding the rest. Next: `row`.

use bytes::BufMut;
use mysql_common::constants::{ColumnFlags, ColumnType};

use crate::codec::{Cursor, DecodeError, Decoded, put_lenenc_bytes};

/// What a column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// The database of the table.
    pub schema: Vec<u8>,
    /// The table's alias, or name.
    pub table: Vec<u8>,
    /// The table's name.
    pub org_table: Vec<u8>,
    /// The column's alias, or name.
    pub name: Vec<u8>,
    /// The column's name.
    pub org_name: Vec<u8>,
    /// The collation id; 63 (binary) for numbers and bytes.
    pub charset: u16,
    /// The longest value's display length, in bytes.
    pub length: u32,
    /// The type.
    pub column_type: ColumnType,
    /// NOT NULL, UNSIGNED, part of a key …
    pub flags: ColumnFlags,
    /// Digits after the point; 31 for floats without a fixed number of them.
    pub decimals: u8,
}

impl ColumnDefinition {
    /// A column that belongs to no table: text in utf8mb4.
    pub fn text(name: impl Into<Vec<u8>>) -> Self {
        const UTF8MB4_0900_AI_CI: u16 = 255;
        Self::expression(
            name.into(),
            UTF8MB4_0900_AI_CI,
            ColumnType::MYSQL_TYPE_VAR_STRING,
            ColumnFlags::empty(),
        )
    }

    /// A column that belongs to no table: a signed 64-bit integer.
    pub fn int(name: impl Into<Vec<u8>>) -> Self {
        Self::expression(name.into(), BINARY, ColumnType::MYSQL_TYPE_LONGLONG, ColumnFlags::BINARY_FLAG)
    }

    /// A column that belongs to no table: an unsigned 64-bit integer.
    pub fn uint(name: impl Into<Vec<u8>>) -> Self {
        let flags = ColumnFlags::BINARY_FLAG | ColumnFlags::UNSIGNED_FLAG;
        Self::expression(name.into(), BINARY, ColumnType::MYSQL_TYPE_LONGLONG, flags)
    }

    /// Writes the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_lenenc_bytes(out, b"def");
        for text in [&self.schema, &self.table, &self.org_table, &self.name, &self.org_name] {
            put_lenenc_bytes(out, text);
        }
        out.put_u8(FIXED);
        out.put_u16_le(self.charset);
        out.put_u32_le(self.length);
        out.put_u8(self.column_type as u8);
        out.put_u16_le(self.flags.bits());
        out.put_u8(self.decimals);
        out.put_u16_le(0);
    }

    /// Reads the payload. The default value that COM_FIELD_LIST appends is passed over.
    pub fn decode(payload: &[u8]) -> Decoded<ColumnDefinition> {
        let mut cursor = Cursor::new(payload);
        cursor.lenenc_bytes("catalog")?;
        let schema = cursor.lenenc_bytes("schema")?.to_vec();
        let table = cursor.lenenc_bytes("table")?.to_vec();
        let org_table = cursor.lenenc_bytes("original table")?.to_vec();
        let name = cursor.lenenc_bytes("name")?.to_vec();
        let org_name = cursor.lenenc_bytes("original name")?.to_vec();
        let mut fixed = Cursor::new(cursor.lenenc_bytes("fixed fields")?);
        let charset = fixed.u16le("character set")?;
        let length = fixed.u32le("length")?;
        let number = fixed.u8("type")?;
        let column_type = ColumnType::try_from(number)
            .map_err(|_| DecodeError::Unexpected { field: "type", value: number.into() })?;
        let flags = ColumnFlags::from_bits_retain(fixed.u16le("flags")?);
        let decimals = fixed.u8("decimals")?;
        Ok(ColumnDefinition {
            schema,
            table,
            org_table,
            name,
            org_name,
            charset,
            length,
            column_type,
            flags,
            decimals,
        })
    }

    fn expression(name: Vec<u8>, charset: u16, column_type: ColumnType, flags: ColumnFlags) -> Self {
        let length = match column_type {
            ColumnType::MYSQL_TYPE_LONGLONG => 21,
            _ => 1024,
        };
        let decimals = if column_type == ColumnType::MYSQL_TYPE_LONGLONG { 0 } else { 31 };
        let (schema, table, org_table, org_name) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        ColumnDefinition {
            schema,
            table,
            org_table,
            name,
            org_name,
            charset,
            length,
            column_type,
            flags,
            decimals,
        }
    }
}

/// Copies a column definition to `out` with the schema `from` replaced by `to`. Where the schema is another, nothing is
/// written and the answer is `false`: the original bytes serve.
pub fn rewrite_schema(payload: &[u8], from: &[u8], to: &[u8], out: &mut Vec<u8>) -> Decoded<bool> {
    let mut cursor = Cursor::new(payload);
    cursor.lenenc_bytes("catalog")?;
    let start = cursor.position();
    if cursor.lenenc_bytes("schema")? != from {
        return Ok(false);
    }
    out.put_slice(&payload[..start]);
    put_lenenc_bytes(out, to);
    out.put_slice(cursor.rest());
    Ok(true)
}

/// The collation of numbers and bytes.
const BINARY: u16 = 63;

/// Bytes of the fields after the names.
const FIXED: u8 = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAPTURED: &[u8] = b"\x03def\x04wire\x02t2\x01t\x05alias\x01a\x0C\x3F\0\x0B\0\0\0\x03\x03\x42\0\0\0";

    fn captured() -> ColumnDefinition {
        ColumnDefinition {
            schema: b"wire".to_vec(),
            table: b"t2".to_vec(),
            org_table: b"t".to_vec(),
            name: b"alias".to_vec(),
            org_name: b"a".to_vec(),
            charset: 63,
            length: 11,
            column_type: ColumnType::MYSQL_TYPE_LONG,
            flags: ColumnFlags::from_bits_retain(0x4203),
            decimals: 0,
        }
    }

    #[test]
    fn a_captured_column_is_read_and_written() {
        assert_eq!(ColumnDefinition::decode(CAPTURED), Ok(captured()));
        let mut out = Vec::new();
        captured().encode(&mut out);
        assert_eq!(out, CAPTURED);
    }

    #[test]
    fn the_default_that_field_list_appends_is_passed_over() {
        assert_eq!(ColumnDefinition::decode(&[CAPTURED, b"\x010"].concat()), Ok(captured()));
        assert_eq!(ColumnDefinition::decode(&[CAPTURED, b"\xFB"].concat()), Ok(captured()));
    }

    #[test]
    fn only_the_schema_that_is_named_is_rewritten() {
        let mut out = Vec::new();
        assert_eq!(rewrite_schema(CAPTURED, b"other", b"shop", &mut out), Ok(false));
        assert_eq!(rewrite_schema(CAPTURED, b"wir", b"shop", &mut out), Ok(false));
        assert_eq!(out, b"");
        assert_eq!(rewrite_schema(CAPTURED, b"wire", b"a_longer_name", &mut out), Ok(true));
        let expected = ColumnDefinition { schema: b"a_longer_name".to_vec(), ..captured() };
        assert_eq!(ColumnDefinition::decode(&out), Ok(expected));
    }

    #[test]
    fn cut_columns_are_refused() {
        for len in 0..CAPTURED.len() {
            assert!(ColumnDefinition::decode(&CAPTURED[..len]).is_err(), "{len}");
        }
    }

    proptest! {
        #[test]
        fn rewriting_changes_the_schema_and_nothing_else(
            from in prop::collection::vec(any::<u8>(), 0..300),
            to in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let column = ColumnDefinition { schema: from.clone(), ..captured() };
            let (mut before, mut after, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            column.encode(&mut before);
            prop_assert_eq!(rewrite_schema(&before, &from, &to, &mut after), Ok(true));
            ColumnDefinition { schema: to, ..column }.encode(&mut expected);
            prop_assert_eq!(after, expected);
        }
    }
}
