//! The client's answer to the greeting: who it is and what it can do; or, before that, its wish for TLS.
//!
//! Real clients bend the format (a final NUL missing, announced fields left out), and MySQL lets them; so does the decoder.
//! It does not judge the password: that is [`crate::auth`]'s. Next: [`crate::ClientCommand`].

use bytes::BufMut;
use mysql_common::constants::CapabilityFlags;

use super::attributes::{Attributes, put_attributes, read_attributes};
use crate::codec::{Cursor, DecodeError, Decoded, put_lenenc_bytes, put_null_terminated};

/// The longest packet worth waiting for from someone who has not logged in: attributes have 64 KiB, the rest far less.
pub const MAX_LOGIN: usize = 1 << 17;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::hex;

    /// The `mysql` client 9.7.4 with `--ssl-mode=DISABLED`.
    const CAPTURED: &str = "8da2bf19 00000001 ff 0000000000000000000000000000000000000000000000 753100
        20 ed58cba54247c5fff2bc6c0985d879aecaf90eacd8489357cf353dd353cc13c4 7769726500
        63616368696e675f736861325f70617373776f726400
        72 045f706964 05 3236313331 095f706c6174666f726d 06 7838365f3634 035f6f73 05 4c696e7578
        0c5f636c69656e745f6e616d65 08 6c69626d7973716c 076f735f75736572 04 726f6f74
        0f5f636c69656e745f76657273696f6e 05 392e372e34 0c70726f6772616d5f6e616d65 05 6d7973716c";

    /// The same client, before TLS.
    const CAPTURED_TLS: &str = "85aabf19 00000001 ff 0000000000000000000000000000000000000000000000";

    fn captured() -> Login {
        let attributes = [
            ("_pid", "26131"),
            ("_platform", "x86_64"),
            ("_os", "Linux"),
            ("_client_name", "libmysql"),
            ("os_user", "root"),
            ("_client_version", "9.7.4"),
            ("program_name", "mysql"),
        ];
        Login {
            capabilities: CapabilityFlags::from_bits_retain(0x19BF_A28D),
            max_packet: 0x100_0000,
            charset: 255,
            charset_high: 0,
            user: b"u1".to_vec(),
            auth_response: hex("ed58cba54247c5fff2bc6c0985d879aecaf90eacd8489357cf353dd353cc13c4"),
            database: Some(b"wire".to_vec()),
            plugin: Some(b"caching_sha2_password".to_vec()),
            attributes: attributes.map(|(name, value)| (name.into(), value.into())).to_vec(),
        }
    }

    #[test]
    fn a_captured_login_is_read_and_written() {
        assert_eq!(LoginOrTls::decode(&hex(CAPTURED)), Ok(LoginOrTls::Login(captured())));
        let mut out = Vec::new();
        captured().encode(&mut out);
        assert_eq!(out, hex(CAPTURED));
    }

    #[test]
    fn a_captured_wish_for_tls_is_read_and_written() {
        let capabilities = CapabilityFlags::from_bits_retain(0x19BF_AA85);
        let request = TlsRequest { capabilities, max_packet: 0x100_0000, charset: 255 };
        assert_eq!(LoginOrTls::decode(&hex(CAPTURED_TLS)), Ok(LoginOrTls::Tls(request)));
        let mut out = Vec::new();
        request.encode(&mut out);
        assert_eq!(out, hex(CAPTURED_TLS));
    }

    const BASE: u32 = 0x0000_8201;
    const WITH_DB: u32 = 0x8;
    const PLUGIN_AUTH: u32 = 0x8_0000;
    const ATTRIBUTES: u32 = 0x10_0000;
    const LENENC: u32 = 0x20_0000;
    const SSL: u32 = 0x800;
    const SECURE: u32 = 0x8000;

    fn packet(capabilities: u32, rest: &[u8]) -> Vec<u8> {
        let mut packet = capabilities.to_le_bytes().to_vec();
        packet.extend_from_slice(&[0, 0, 0, 1, 33]);
        packet.extend_from_slice(&[0; 23]);
        packet.extend_from_slice(rest);
        packet
    }

    /// user, response, database, plugin
    type Said<'a> = (&'a str, &'a [u8], Option<&'a str>, Option<&'a str>);

    #[test]
    fn the_bent_logins_of_real_clients_are_understood() {
        let native = "mysql_native_password";
        let cases: [(&str, u32, &[u8], Said<'_>); 14] = [
            ("no plugins, a length of one byte", BASE, b"app\0\x03abc", ("app", b"abc", None, None)),
            ("and a database", BASE | WITH_DB, b"app\0\x03abcdb\0", ("app", b"abc", Some("db"), None)),
            ("no password at all", BASE, b"app\0\0", ("app", b"", None, None)),
            ("not even a length", BASE, b"app\0", ("app", b"", None, None)),
            ("not even the NUL after the user", BASE, b"app", ("app", b"", None, None)),
            ("an anonymous user", BASE, b"\0\0", ("", b"", None, None)),
            ("a response that a NUL ends", BASE & !SECURE, b"app\0abc\0", ("app", b"abc", None, None)),
            ("or the packet", BASE & !SECURE, b"app\0abc", ("app", b"abc", None, None)),
            (
                "a length-encoded response",
                BASE | LENENC | PLUGIN_AUTH,
                b"app\0\xFC\x03\0abcmysql_native_password\0",
                ("app", b"abc", None, Some(native)),
            ),
            (
                "no NUL after the plugin, as PHP once had it",
                BASE | PLUGIN_AUTH | WITH_DB,
                b"app\0\x03abcdb\0mysql_native_password",
                ("app", b"abc", Some("db"), Some(native)),
            ),
            (
                "no NUL after the database",
                BASE | WITH_DB,
                b"app\0\x03abcdb",
                ("app", b"abc", Some("db"), None),
            ),
            ("an announced database left out", BASE | WITH_DB, b"app\0\x03abc", ("app", b"abc", None, None)),
            (
                "an empty database and a plugin",
                BASE | WITH_DB | PLUGIN_AUTH,
                b"app\0\x03abc\0mysql_native_password\0",
                ("app", b"abc", None, Some(native)),
            ),
            (
                "announced plugin and attributes left out",
                BASE | PLUGIN_AUTH | ATTRIBUTES,
                b"app\0\x03abc",
                ("app", b"abc", None, None),
            ),
        ];
        for (name, capabilities, rest, (user, response, database, plugin)) in cases {
            let login = Login::decode(&packet(capabilities, rest)).expect(name);
            let text = |text: &str| text.as_bytes().to_vec();
            assert_eq!(login.user, text(user), "{name}");
            assert_eq!(login.auth_response, response, "{name}");
            assert_eq!(login.database, database.map(text), "{name}");
            assert_eq!(login.plugin, plugin.map(text), "{name}");
            assert_eq!(login.attributes, [], "{name}");
            assert_eq!(login.collation_id(), 33, "{name}");
        }
    }

    #[test]
    fn a_login_after_tls_still_announces_tls_and_is_a_login() {
        let bytes = packet(BASE | SSL, b"app\0\0");
        assert!(matches!(LoginOrTls::decode(&bytes), Ok(LoginOrTls::Login(login)) if login.user == b"app"));
    }

    #[test]
    fn a_zstd_level_at_the_end_is_passed_over() {
        let zstd = 0x0400_0000;
        let bytes = packet(BASE | zstd | PLUGIN_AUTH, b"app\0\0mysql_native_password\0\x03");
        assert_eq!(Login::decode(&bytes).unwrap().plugin.as_deref(), Some(&b"mysql_native_password"[..]));
    }

    #[test]
    fn what_cannot_be_a_login_is_refused() {
        let response = DecodeError::Truncated { field: "authentication response" };
        let cases: [(&str, Vec<u8>, DecodeError); 6] = [
            ("nothing", vec![], DecodeError::Truncated { field: "capabilities" }),
            ("MySQL 4.0's", b"\x05\0\0\0\0app\0scramble".to_vec(), DecodeError::OldProtocol),
            ("cut", packet(BASE, b"")[..20].to_vec(), DecodeError::Truncated { field: "reserved" }),
            ("a response longer than the packet", packet(BASE, b"app\0\x20abc"), response.clone()),
            (
                "absurdly longer",
                packet(BASE | LENENC, b"app\0\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
                response,
            ),
            (
                "attributes longer than their block",
                packet(BASE | ATTRIBUTES, b"app\0\0\x02\x09a"),
                DecodeError::Truncated { field: "attribute name" },
            ),
        ];
        for (name, bytes, error) in cases {
            assert_eq!(LoginOrTls::decode(&bytes), Err(error), "{name}");
        }
    }
}
