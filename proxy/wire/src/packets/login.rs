//! The client's answer to the greeting: who it is and what it can do; or, before that, its wish for TLS.
//!
//! Real clients bend the format (a final NUL missing, announced fields left out), and MySQL lets them; so does the decoder.
//! It does not judge the password: that is [`crate::auth`]'s. Next: [`crate::ClientCommand`].

use bytes::BufMut;
use mysql_common::constants::CapabilityFlags;

use super::attributes::{Attributes, put_attributes, read_attributes};
use crate::codec::{Cursor, DecodeError, Decoded, put_lenenc_bytes, put_null_terminated};

/// Bytes before the user name; a packet that ends there and announces TLS is a [`TlsRequest`].
const FIXED: usize = 32;

/// Who logs in, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// What the client can do; only what the greeting offered counts, so intersect before use.
    pub capabilities: CapabilityFlags,
    /// The largest packet that the client takes. A hint; MySQL ignores it.
    pub max_packet: u32,
    /// The low byte of the client's collation id.
    pub charset: u8,
    /// The byte after it: the high half for the connectors that write a 16-bit id, zero for all others.
    pub charset_high: u8,
    /// The account's name.
    pub user: Vec<u8>,
    /// What the client's plugin computed from the password and the greeting's nonce.
    pub auth_response: Vec<u8>,
    /// The database to start in.
    pub database: Option<Vec<u8>>,
    /// The plugin that computed `auth_response`; `None` from clients older than plugins.
    pub plugin: Option<Vec<u8>>,
    /// What the client says of itself.
    pub attributes: Attributes,
}

impl Login {
    /// The client's collation id.
    pub fn collation_id(&self) -> u16 {
        u16::from_le_bytes([self.charset, self.charset_high])
    }

    /// Writes the payload. Whether a database is announced follows `database`, not `capabilities`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut capabilities = self.capabilities;
        capabilities.set(CapabilityFlags::CLIENT_CONNECT_WITH_DB, self.database.is_some());
        put_fixed(out, capabilities, self.max_packet, [self.charset, self.charset_high]);
        put_null_terminated(out, &self.user);
        self.put_auth_response(out);
        if let Some(database) = &self.database {
            put_null_terminated(out, database);
        }
        if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
            put_null_terminated(out, self.plugin.as_deref().unwrap_or_default());
        }
        if capabilities.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS) {
            put_attributes(out, &self.attributes);
        }
    }

    /// Reads the payload. A packet that may also be a TLS request is read with [`LoginOrTls::decode`].
    pub fn decode(payload: &[u8]) -> Decoded<Login> {
        let mut cursor = Cursor::new(payload);
        let fixed = read_fixed(&mut cursor)?;
        let capabilities = fixed.capabilities;
        // A user name that fills the packet comes without its NUL from some clients that have nothing more to say.
        let user = cursor.null_terminated_or_rest().to_vec();
        let auth_response = read_auth_response(&mut cursor, capabilities)?;
        let mut database = None;
        if capabilities.contains(CapabilityFlags::CLIENT_CONNECT_WITH_DB) {
            database = Some(cursor.null_terminated_or_rest().to_vec()).filter(|name| !name.is_empty());
        }
        let mut plugin = None;
        if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
            plugin = Some(cursor.null_terminated_or_rest().to_vec()).filter(|name| !name.is_empty());
        }
        let mut attributes = Vec::new();
        if capabilities.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS) {
            attributes = read_attributes(&mut cursor)?;
        }
        // What may still follow is the zstd level, which means nothing to us: compression is not offered.
        let (max_packet, [charset, charset_high]) = (fixed.max_packet, fixed.charset);
        Ok(Login {
            capabilities,
            max_packet,
            charset,
            charset_high,
            user,
            auth_response,
            database,
            plugin,
            attributes,
        })
    }

    fn put_auth_response(&self, out: &mut Vec<u8>) {
        if self.capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) {
            put_lenenc_bytes(out, &self.auth_response);
        } else if self.capabilities.contains(CapabilityFlags::CLIENT_SECURE_CONNECTION) {
            let response = &self.auth_response[..self.auth_response.len().min(u8::MAX.into())];
            out.put_u8(response.len() as u8);
            out.put_slice(response);
        } else {
            put_null_terminated(out, &self.auth_response);
        }
    }
}

/// The client's wish to continue under TLS: a login packet cut off before the user name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TlsRequest {
    /// What the client can do; it says so again in its login, and that is what counts.
    pub capabilities: CapabilityFlags,
    /// The largest packet that the client takes.
    pub max_packet: u32,
    /// The low byte of the client's collation id.
    pub charset: u8,
}

impl TlsRequest {
    /// Writes the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let capabilities = self.capabilities | CapabilityFlags::CLIENT_SSL;
        put_fixed(out, capabilities, self.max_packet, [self.charset, 0]);
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Decoded<TlsRequest> {
        let mut cursor = Cursor::new(payload);
        let Fixed { capabilities, max_packet, charset } = read_fixed(&mut cursor)?;
        if !capabilities.contains(CapabilityFlags::CLIENT_SSL) {
            return Err(DecodeError::Unexpected { field: "capabilities", value: capabilities.bits().into() });
        }
        cursor.finish()?;
        Ok(TlsRequest { capabilities, max_packet, charset: charset[0] })
    }
}

/// A client's first packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginOrTls {
    /// It logs in.
    Login(Login),
    /// It wants TLS first.
    Tls(TlsRequest),
}

impl LoginOrTls {
    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Decoded<LoginOrTls> {
        let announces_tls = payload.first_chunk::<4>().is_some_and(|bits| {
            CapabilityFlags::from_bits_retain(u32::from_le_bytes(*bits)).contains(CapabilityFlags::CLIENT_SSL)
        });
        match announces_tls && payload.len() == FIXED {
            true => TlsRequest::decode(payload).map(LoginOrTls::Tls),
            false => Login::decode(payload).map(LoginOrTls::Login),
        }
    }
}

struct Fixed {
    capabilities: CapabilityFlags,
    max_packet: u32,
    charset: [u8; 2],
}

fn read_fixed(cursor: &mut Cursor<'_>) -> Decoded<Fixed> {
    // The old login has two bytes of capabilities, and the bit that tells the formats apart is in those.
    let low = cursor.clone().u16le("capabilities")?;
    if !CapabilityFlags::from_bits_retain(low.into()).contains(CapabilityFlags::CLIENT_PROTOCOL_41) {
        return Err(DecodeError::OldProtocol);
    }
    let capabilities = CapabilityFlags::from_bits_retain(cursor.u32le("capabilities")?);
    let max_packet = cursor.u32le("largest packet")?;
    let charset = cursor.array("character set")?;
    cursor.bytes(FIXED - cursor.position(), "reserved")?;
    Ok(Fixed { capabilities, max_packet, charset })
}

fn put_fixed(out: &mut Vec<u8>, capabilities: CapabilityFlags, max_packet: u32, charset: [u8; 2]) {
    out.put_u32_le((capabilities | CapabilityFlags::CLIENT_PROTOCOL_41).bits());
    out.put_u32_le(max_packet);
    out.put_slice(&charset);
    out.put_bytes(0, 22);
}

fn read_auth_response(cursor: &mut Cursor<'_>, capabilities: CapabilityFlags) -> Decoded<Vec<u8>> {
    if cursor.is_empty() {
        return Ok(Vec::new());
    }
    let response = if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) {
        cursor.lenenc_bytes("authentication response")?
    } else if capabilities.contains(CapabilityFlags::CLIENT_SECURE_CONNECTION) {
        let len = cursor.u8("authentication response")?;
        cursor.bytes(len.into(), "authentication response")?
    } else {
        cursor.null_terminated_or_rest()
    };
    Ok(response.to_vec())
}
