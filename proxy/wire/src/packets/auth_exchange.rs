//! The two packets that a server keeps an authentication going with.
//!
//! What they carry is the plugin's business: [`crate::auth`].

use bytes::BufMut;

use crate::codec::{Cursor, DecodeError, Decoded, put_null_terminated};

/// "Answer with this plugin instead, and this nonce."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSwitch {
    /// The plugin to use.
    pub plugin: Vec<u8>,
    /// Its nonce, without the NUL that ends it on the wire.
    pub nonce: Vec<u8>,
}

impl AuthSwitch {
    /// The packet's first byte.
    pub const HEADER: u8 = 0xFE;

    /// Writes the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(Self::HEADER);
        put_null_terminated(out, &self.plugin);
        out.put_slice(&self.nonce);
        out.put_u8(0);
    }

    /// Reads the payload. A lone 0xFE asks for the scramble of before MySQL 4.1, which no one should answer.
    pub fn decode(payload: &[u8]) -> Decoded<AuthSwitch> {
        let mut cursor = Cursor::new(payload);
        expect_header(&mut cursor, Self::HEADER)?;
        if cursor.is_empty() {
            return Err(DecodeError::OldProtocol);
        }
        let plugin = cursor.null_terminated_or_rest().to_vec();
        let nonce = cursor.rest();
        Ok(AuthSwitch { plugin, nonce: nonce.strip_suffix(&[0]).unwrap_or(nonce).to_vec() })
    }
}

/// A plugin's message to its other half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthMoreData(pub Vec<u8>);

impl AuthMoreData {
    /// The packet's first byte.
    pub const HEADER: u8 = 0x01;

    /// Writes the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(Self::HEADER);
        out.put_slice(&self.0);
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Decoded<AuthMoreData> {
        let mut cursor = Cursor::new(payload);
        expect_header(&mut cursor, Self::HEADER)?;
        Ok(AuthMoreData(cursor.rest().to_vec()))
    }
}

fn expect_header(cursor: &mut Cursor<'_>, header: u8) -> Decoded<()> {
    match cursor.u8("header")? {
        found if found == header => Ok(()),
        found => Err(DecodeError::Unexpected { field: "header", value: found.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::hex;

    #[test]
    fn a_captured_switch_is_read_and_written() {
        let bytes = hex("fe 63616368696e675f736861325f70617373776f726400
            6e01106310 2e7176 1a1a6c39593b1d6950 1f4722 00");
        let mut expected =
            AuthSwitch { plugin: b"caching_sha2_password".to_vec(), nonce: bytes[23..].to_vec() };
        assert_eq!(expected.nonce.pop(), Some(0));
        assert_eq!(AuthSwitch::decode(&bytes), Ok(expected.clone()));
        let mut out = Vec::new();
        expected.encode(&mut out);
        assert_eq!(out, bytes);
    }

    #[test]
    fn the_switch_to_the_oldest_scramble_is_refused() {
        assert_eq!(AuthSwitch::decode(&[0xFE]), Err(DecodeError::OldProtocol));
    }

    #[test]
    fn more_data_is_whatever_follows_its_mark() {
        assert_eq!(AuthMoreData::decode(&[1, 4]), Ok(AuthMoreData(vec![4])));
        assert_eq!(AuthMoreData::decode(&[1]), Ok(AuthMoreData(vec![])));
        let error = DecodeError::Unexpected { field: "header", value: 2 };
        assert_eq!(AuthMoreData::decode(&[2, 4]), Err(error));
        let mut out = Vec::new();
        AuthMoreData(vec![3]).encode(&mut out);
        assert_eq!(out, [1, 3]);
    }
}
