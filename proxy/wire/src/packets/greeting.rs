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
