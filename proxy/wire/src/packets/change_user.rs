//! COM_CHANGE_USER: a login on a connection that already has one.
//!
//! The format is a login's without capabilities: those of the first login stay, and decide which fields there are.
//! Everything after the password may be missing. Next: [`crate::auth`], which answers it.

use bytes::BufMut;
use mysql_common::constants::CapabilityFlags;

use super::attributes::{Attributes, put_attributes, read_attributes};
use crate::codec::{Cursor, Decoded, put_null_terminated};

/// Who takes the connection over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeUser {
    /// The account's name.
    pub user: Vec<u8>,
    /// What the client's plugin computed; often empty, to be asked for by a switch.
    pub auth_response: Vec<u8>,
    /// The database to start in.
    pub database: Option<Vec<u8>>,
    /// The client's collation id; 0 when the client leaves it out, and the server's default applies.
    pub charset: u16,
    /// The plugin that computed `auth_response`.
    pub plugin: Option<Vec<u8>>,
    /// What the client says of itself.
    pub attributes: Attributes,
}

impl ChangeUser {
    /// Writes the command's payload without its command byte.
    pub fn encode(&self, capabilities: CapabilityFlags, out: &mut Vec<u8>) {
        put_null_terminated(out, &self.user);
        if capabilities.contains(CapabilityFlags::CLIENT_SECURE_CONNECTION) {
            let response = &self.auth_response[..self.auth_response.len().min(u8::MAX.into())];
            out.put_u8(response.len() as u8);
            out.put_slice(response);
        } else {
            put_null_terminated(out, &self.auth_response);
        }
        put_null_terminated(out, self.database.as_deref().unwrap_or_default());
        out.put_u16_le(self.charset);
        if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
            put_null_terminated(out, self.plugin.as_deref().unwrap_or_default());
        }
        if capabilities.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS) {
            put_attributes(out, &self.attributes);
        }
    }

    /// Reads the bytes after the command byte, from a client that logged in with `capabilities`.
    pub fn decode(payload: &[u8], capabilities: CapabilityFlags) -> Decoded<ChangeUser> {
        let mut cursor = Cursor::new(payload);
        let user = cursor.null_terminated("user")?.to_vec();
        let auth_response = if capabilities.contains(CapabilityFlags::CLIENT_SECURE_CONNECTION) {
            let len = cursor.u8("authentication response")?;
            cursor.bytes(len.into(), "authentication response")?.to_vec()
        } else {
            cursor.null_terminated_or_rest().to_vec()
        };
        let non_empty = |name: &[u8]| Some(name.to_vec()).filter(|name| !name.is_empty());
        let mut change = ChangeUser { user, auth_response, ..ChangeUser::default() };
        change.database = non_empty(cursor.null_terminated_or_rest());
        if cursor.is_empty() {
            return Ok(change);
        }
        change.charset = cursor.u16le("character set")?;
        if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
            change.plugin = non_empty(cursor.null_terminated_or_rest());
        }
        if capabilities.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS) {
            change.attributes = read_attributes(&mut cursor)?;
        }
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::DecodeError;

    const SECURE: CapabilityFlags = CapabilityFlags::CLIENT_SECURE_CONNECTION;
    const PLUGIN: CapabilityFlags = SECURE.union(CapabilityFlags::CLIENT_PLUGIN_AUTH);
    const ALL: CapabilityFlags = PLUGIN.union(CapabilityFlags::CLIENT_CONNECT_ATTRS);

    fn whole() -> ChangeUser {
        ChangeUser {
            user: b"app".to_vec(),
            auth_response: vec![7; 32],
            database: Some(b"shop".to_vec()),
            charset: 255,
            plugin: Some(b"caching_sha2_password".to_vec()),
            attributes: vec![(b"program_name".to_vec(), b"test".to_vec())],
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for capabilities in [ALL, PLUGIN, SECURE] {
            let mut expected = whole();
            if !capabilities.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS) {
                expected.attributes.clear();
            }
            if !capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
                expected.plugin = None;
            }
            let mut out = Vec::new();
            expected.encode(capabilities, &mut out);
            assert_eq!(ChangeUser::decode(&out, capabilities), Ok(expected));
        }
    }

    #[test]
    fn everything_after_the_password_may_be_missing() {
        let of = |database: Option<&str>, charset, plugin: Option<&str>| ChangeUser {
            user: b"app".to_vec(),
            auth_response: b"ab".to_vec(),
            database: database.map(|name| name.as_bytes().to_vec()),
            charset,
            plugin: plugin.map(|name| name.as_bytes().to_vec()),
            attributes: Vec::new(),
        };
        let cases: [(&[u8], ChangeUser); 8] = [
            (b"app\0\x02ab", of(None, 0, None)),
            (b"app\0\x02ab\0", of(None, 0, None)),
            (b"app\0\x02abshop", of(Some("shop"), 0, None)),
            (b"app\0\x02abshop\0", of(Some("shop"), 0, None)),
            (b"app\0\x02abshop\0\x21\0", of(Some("shop"), 33, None)),
            (b"app\0\x02ab\0\x21\0\0", of(None, 33, None)),
            (b"app\0\x02ab\0\x21\0sha2", of(None, 33, Some("sha2"))),
            (b"app\0\x02ab\0\x21\0sha2\0", of(None, 33, Some("sha2"))),
        ];
        for (bytes, expected) in cases {
            assert_eq!(ChangeUser::decode(bytes, ALL), Ok(expected), "{bytes:?}");
        }
    }

    #[test]
    fn a_password_without_a_length_ends_with_a_nul() {
        let change = ChangeUser::decode(b"app\0ab\0shop\0", CapabilityFlags::empty()).unwrap();
        assert_eq!((&change.auth_response[..], change.database.as_deref()), (&b"ab"[..], Some(&b"shop"[..])));
    }

    #[test]
    fn a_cut_packet_is_refused() {
        let cases: [(&[u8], &str); 4] = [
            (b"", "user"),
            (b"app", "user"),
            (b"app\0", "authentication response"),
            (b"app\0\x05ab", "authentication response"),
        ];
        for (bytes, field) in cases {
            assert_eq!(ChangeUser::decode(bytes, ALL), Err(DecodeError::Truncated { field }), "{bytes:?}");
        }
    }
}
