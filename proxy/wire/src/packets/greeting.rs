//! The server's first packet: who it is, what it can do, and the nonce that passwords are scrambled with.
//!
//! Only protocol 10, the one since MySQL 3.21. A server may also open with an error packet ("Too many connections"), which
//! [`ServerHello`] tells apart. Next: `login`, the answer to this.

use bytes::BufMut;
use mysql_common::constants::{CapabilityFlags, StatusFlags};

use super::err::ErrPacket;
use crate::codec::{Cursor, DecodeError, Decoded, put_null_terminated};

const PROTOCOL: u8 = 10;
const NONCE: usize = 20;
const FIRST_PART: usize = 8;

/// The server's greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The version, as `SELECT VERSION()` prints it. Clients parse it to learn what they may send.
    pub version: Vec<u8>,
    /// What CONNECTION_ID() returns; KILL takes it.
    pub connection_id: u32,
    /// Random bytes without NUL; see [`crate::auth::nonce`].
    pub nonce: [u8; NONCE],
    /// What the server can do; the connection uses what both sides can.
    pub capabilities: CapabilityFlags,
    /// The server's default collation: the low byte of its id.
    pub charset: u8,
    /// Autocommit, as a rule.
    pub status: StatusFlags,
    /// The plugin that the nonce is meant for.
    pub plugin: Vec<u8>,
}

impl Greeting {
    /// Writes the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let bits = self.capabilities.bits();
        out.put_u8(PROTOCOL);
        put_null_terminated(out, &self.version);
        out.put_u32_le(self.connection_id);
        out.put_slice(&self.nonce[..FIRST_PART]);
        out.put_u8(0);
        out.put_u16_le(bits as u16);
        out.put_u8(self.charset);
        out.put_u16_le(self.status.bits());
        out.put_u16_le((bits >> 16) as u16);
        out.put_u8(if self.has_plugin() { NONCE as u8 + 1 } else { 0 });
        out.put_bytes(0, 10);
        out.put_slice(&self.nonce[FIRST_PART..]);
        out.put_u8(0);
        if self.has_plugin() {
            put_null_terminated(out, &self.plugin);
        }
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Decoded<Greeting> {
        let mut cursor = Cursor::new(payload);
        let protocol = cursor.u8("protocol version")?;
        if protocol != PROTOCOL {
            return Err(DecodeError::Unexpected { field: "protocol version", value: protocol.into() });
        }
        let version = cursor.null_terminated("server version")?.to_vec();
        let connection_id = cursor.u32le("connection id")?;
        let first: [u8; FIRST_PART] = cursor.array("nonce, part 1")?;
        cursor.u8("filler")?;
        let low = cursor.u16le("capabilities, low half")?;
        let charset = cursor.u8("character set")?;
        let status = StatusFlags::from_bits_retain(cursor.u16le("status")?);
        let high = cursor.u16le("capabilities, high half")?;
        let capabilities = CapabilityFlags::from_bits_retain(u32::from(high) << 16 | u32::from(low));
        let announced = usize::from(cursor.u8("nonce length")?);
        cursor.bytes(10, "reserved")?;
        // At least 13 bytes are there, whatever the length says; the last is a NUL that is not part of the nonce.
        let second = cursor.bytes(announced.saturating_sub(FIRST_PART).max(13), "nonce, part 2")?;
        let mut nonce = [0; NONCE];
        nonce[..FIRST_PART].copy_from_slice(&first);
        nonce[FIRST_PART..].copy_from_slice(&second[..NONCE - FIRST_PART]);
        let plugin = match capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
            true => cursor.null_terminated_or_rest().to_vec(),
            false => Vec::new(),
        };
        Ok(Greeting { version, connection_id, nonce, capabilities, charset, status, plugin })
    }

    fn has_plugin(&self) -> bool {
        self.capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH)
    }
}

/// What a server may open a connection with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerHello {
    /// The usual.
    Greeting(Greeting),
    /// The server will not talk to us: too many connections, host blocked.
    Refused(ErrPacket),
}

impl ServerHello {
    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Decoded<ServerHello> {
        match payload.first() {
            Some(&ErrPacket::HEADER) => ErrPacket::decode(payload).map(ServerHello::Refused),
            _ => Greeting::decode(payload).map(ServerHello::Greeting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::hex;

    /// MySQL 9.7.4's, as it came off the socket.
    const CAPTURED: &str = "0a 392e372e342d3200 1c000000 055a23391e0b4932 00 ffff ff 0200 ffdf 15
        00000000000000000000 7d76623013455b04337e4b14 00 63616368696e675f736861325f70617373776f726400";

    fn captured() -> Greeting {
        Greeting {
            version: b"9.7.4-2".to_vec(),
            connection_id: 28,
            nonce: hex("055a23391e0b49327d76623013455b04337e4b14").try_into().unwrap(),
            capabilities: CapabilityFlags::from_bits_retain(0xDFFF_FFFF),
            charset: 255,
            status: StatusFlags::SERVER_STATUS_AUTOCOMMIT,
            plugin: b"caching_sha2_password".to_vec(),
        }
    }

    #[test]
    fn a_captured_greeting_is_read_and_written() {
        assert_eq!(Greeting::decode(&hex(CAPTURED)), Ok(captured()));
        let mut out = Vec::new();
        captured().encode(&mut out);
        assert_eq!(out, hex(CAPTURED));
    }

    #[test]
    fn a_server_without_plugins_has_no_plugin() {
        let mut greeting = captured();
        greeting.capabilities.remove(CapabilityFlags::CLIENT_PLUGIN_AUTH);
        greeting.plugin.clear();
        let mut out = Vec::new();
        greeting.encode(&mut out);
        assert_eq!(Greeting::decode(&out), Ok(greeting));
    }

    #[test]
    fn a_refusal_before_the_greeting_is_an_error_without_sqlstate() {
        let refusal = b"\xFF\x10\x04Too many connections";
        let expected = ErrPacket::new(1040, *b"HY000", "Too many connections");
        assert_eq!(ServerHello::decode(refusal), Ok(ServerHello::Refused(expected)));
        assert_eq!(ServerHello::decode(&hex(CAPTURED)), Ok(ServerHello::Greeting(captured())));
    }

    #[test]
    fn other_protocols_and_cut_greetings_are_refused() {
        let mut old = hex(CAPTURED);
        old[0] = 9;
        let error = DecodeError::Unexpected { field: "protocol version", value: 9 };
        assert_eq!(Greeting::decode(&old), Err(error));
        let whole = hex(CAPTURED);
        // The plugin's name may be cut: nothing says how long it is.
        for len in 0..whole.len() - 22 {
            assert!(matches!(Greeting::decode(&whole[..len]), Err(DecodeError::Truncated { .. })), "{len}");
        }
    }
}
