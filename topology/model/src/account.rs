//! Who may log in: accounts as MySQL has them, and the passwords under which Podway itself logs in as them. Verifying a client's
//! proof is not done here: see the wire crate's authentication.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// `'user'@'host'`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountName {
    /// User name, compared as written; empty for the anonymous account.
    pub user: Box<str>,
    /// From where it may connect.
    pub host: HostPattern,
}

/// The user name that is Podway's own on every server, whatever the host.
const RESERVED_USER: &str = "_podway";

impl AccountName {
    /// Whether the name is Podway's own: no client's, to be neither served nor changed through Podway.
    pub fn is_reserved(&self) -> bool {
        &*self.user == RESERVED_USER
    }
}

/// The host part of an account: an address, a name, or a pattern with `%` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostPattern(Box<str>);

/// The plugin by which an account proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthPlugin {
    /// `caching_sha2_password`; the string is `$A$005$` + 20 bytes of salt + 43 of digest.
    CachingSha2Password,
    /// `mysql_native_password`; the string is `*` + 40 hexadecimal digits.
    MysqlNativePassword,
}

/// An account as the map carries it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: AccountName,
    /// How it proves who it is.
    pub plugin: AuthPlugin,
    /// `mysql.user.authentication_string`, byte by byte; empty: no password.
    pub authentication_string: Box<[u8]>,
    /// Whether it must come over TLS (REQUIRE SSL).
    pub requires_tls: bool,
    /// Whether it is locked (ACCOUNT LOCK).
    pub locked: bool,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'@'{}'", self.user, self.host.0)
    }
}

impl HostPattern {
    /// The pattern as `mysql.user.host` has it; empty means `%`.
    pub fn new(text: &str) -> HostPattern {
        HostPattern(if text.is_empty() { "%".into() } else { text.to_ascii_lowercase().into() })
    }

    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a client from this host may use the account. `localhost` stands for the loopback addresses, for a proxy has no socket file.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let is_loopback = host == "localhost" || host == "::1" || host.starts_with("127.");
        (&*self.0 == "localhost" && is_loopback) || like(self.0.as_bytes(), host.as_bytes())
    }

    /// MySQL tries more specific hosts first: literal ones, then patterns by where the first wildcard stands.
    pub fn specificity(&self) -> usize {
        self.0.find(['%', '_']).unwrap_or(usize::MAX)
    }
}

/// MySQL's LIKE with `%` and `_` and no escape.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'%') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == b'_' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'%')
}

/// The cluster's secret, from which the passwords are derived under which Podway logs in to servers as its users.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSecret(Box<[u8]>);

impl ClusterSecret {
    /// A secret of these bytes; 32 random ones are meant.
    pub fn new(bytes: &[u8]) -> ClusterSecret {
        ClusterSecret(bytes.into())
    }

    /// The password of `account` on the server with this uuid, for Podway alone: HMAC-SHA-256 of both names, in hexadecimal, behind a
    /// prefix that satisfies MySQL's `validate_password` component at its strictest.
    pub fn backend_password(&self, account: &AccountName, server_uuid: &str) -> String {
        format!(
            "Pw.{}",
            self.derived(&["podway-backend-1", &account.user, account.host.as_str(), server_uuid])
        )
    }

    /// The key of [`transaction_token`] on the server with this uuid: 64 hexadecimal digits, whose ASCII bytes are the key.
    pub fn transaction_key(&self, server_uuid: &str) -> String {
        self.derived(&["podway-transactions-1", server_uuid])
    }

    fn derived(&self, parts: &[&str]) -> String {
        let mut message = Vec::new();
        for part in parts {
            message.extend_from_slice(&(part.len() as u64).to_le_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        hmac_hex(&self.0, &message)
    }
}

/// The account under which proxies see to transactions over several servers: side connections and the procedures' definer. No client's.
pub fn transaction_account() -> AccountName {
    AccountName { user: RESERVED_USER.into(), host: HostPattern::new("%") }
}

/// What a procedure of `_podway` takes as proof that a proxy calls it: HMAC-SHA-256 of the parts, joined by `/`, in lowercase hexadecimal.
pub fn transaction_token(key: &str, parts: &[&str]) -> String {
    hmac_hex(key.as_bytes(), parts.join("/").as_bytes())
}

fn hmac_hex(key: &[u8], message: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length");
    };
    mac.update(message);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_match_as_mysql_matches_them() {
        let cases = [
            ("%", "10.1.2.3", true),
            ("", "10.1.2.3", true),
            ("10.1.%", "10.1.2.3", true),
            ("10.1.%", "10.2.2.3", false),
            ("localhost", "127.0.0.1", true),
            ("localhost", "10.0.0.1", false),
            ("db_.example.com", "DB1.example.com", true),
            ("%.example.%", "a.example.com", true),
            ("10.1.2.3", "10.1.2.30", false),
        ];
        for (pattern, host, expected) in cases {
            assert_eq!(HostPattern::new(pattern).matches(host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn each_account_has_its_own_password_on_each_server() {
        let secret = ClusterSecret::new(b"secret");
        let name = |user: &str, host| AccountName { user: user.into(), host: HostPattern::new(host) };
        let passwords = [
            secret.backend_password(&name("ann", "%"), "u1"),
            secret.backend_password(&name("ann", "%"), "u2"),
            secret.backend_password(&name("ann", "10.%"), "u1"),
            secret.backend_password(&name("an", "n%"), "u1"),
            ClusterSecret::new(b"other").backend_password(&name("ann", "%"), "u1"),
        ];
        let distinct: std::collections::HashSet<_> = passwords.iter().collect();
        assert_eq!(distinct.len(), passwords.len());
        assert_eq!(passwords[0], secret.backend_password(&name("ann", "%"), "u1"));
    }

    #[test]
    fn tokens_are_hmac_sha_256() {
        // RFC 4231, case 2.
        let token = transaction_token("Jefe", &["what do ya want for nothing?"]);
        assert_eq!(token, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(transaction_token("k", &["a", "b"]), transaction_token("k", &["a/b"]));
        let secret = ClusterSecret::new(b"secret");
        let key = secret.transaction_key("u1");
        assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(key, secret.transaction_key("u2"));
    }

    #[test]
    fn podways_own_name_is_reserved_at_every_host() {
        assert!(transaction_account().is_reserved());
        assert!(AccountName { user: "_podway".into(), host: HostPattern::new("localhost") }.is_reserved());
        assert!(!AccountName { user: "podway".into(), host: HostPattern::new("%") }.is_reserved());
    }
}
