//! Connection attributes: the names and values a client introduces itself with (`program_name`, `_os` …).
//!
//! Part of [`crate::Login`] and [`crate::ChangeUser`]; never a packet of its own. Next: `login`.

use crate::codec::{Cursor, DecodeError, Decoded, lenenc_int_len, put_lenenc_bytes, put_lenenc_int};

/// Names and values, in the client's order.
pub type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// The longest block; MySQL's server and clients have the same limit.
const MAX_BLOCK: usize = 1 << 16;

/// Reads the block; a client that announces attributes and then sends nothing has none.
pub(crate) fn read_attributes(cursor: &mut Cursor<'_>) -> Decoded<Attributes> {
    if cursor.is_empty() {
        return Ok(Vec::new());
    }
    let block = cursor.lenenc_bytes("connection attributes")?;
    if block.len() > MAX_BLOCK {
        let value = block.len() as u64;
        return Err(DecodeError::Unexpected { field: "length of the connection attributes", value });
    }
    let mut block = Cursor::new(block);
    let mut attributes = Vec::new();
    while !block.is_empty() {
        let name = block.lenenc_bytes("attribute name")?.to_vec();
        let value = block.lenenc_bytes("attribute value")?.to_vec();
        attributes.push((name, value));
    }
    Ok(attributes)
}

/// Writes the block.
pub(crate) fn put_attributes(out: &mut Vec<u8>, attributes: &[(Vec<u8>, Vec<u8>)]) {
    let string_len = |text: &Vec<u8>| lenenc_int_len(text.len() as u64) + text.len();
    let len: usize = attributes.iter().map(|(name, value)| string_len(name) + string_len(value)).sum();
    put_lenenc_int(out, len as u64);
    for (name, value) in attributes {
        put_lenenc_bytes(out, name);
        put_lenenc_bytes(out, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(len: usize) -> Vec<u8> {
        let value = vec![b'x'; len - 4];
        let mut out = Vec::new();
        put_attributes(&mut out, &[(Vec::new(), value)]);
        out
    }

    #[test]
    fn a_block_has_a_limit() {
        assert_eq!(read_attributes(&mut Cursor::new(&block(MAX_BLOCK))).map(|all| all.len()), Ok(1));
        assert!(read_attributes(&mut Cursor::new(&block(MAX_BLOCK + 1))).is_err());
    }

    #[test]
    fn no_block_and_an_empty_block_are_no_attributes() {
        for bytes in [&b""[..], b"\0"] {
            assert_eq!(read_attributes(&mut Cursor::new(bytes)), Ok(Vec::new()));
        }
    }
}
