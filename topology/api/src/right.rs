//! What a caller of the topology may do, by the token or certificate that it shows. What needs which right, the nodes decide.

use std::fmt;
use std::str::FromStr;

/// A caller's right; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// To look: at the view, the map and the nodes.
    Read,
    /// What a proxy needs besides: to register and report, to get the servers' credentials, to take AUTO_INCREMENT numbers, and to begin its users'
    /// statements about tables and accounts.
    Proxy,
    /// Everything.
    Admin,
}

/// A word that is no right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a right is `read`, `proxy` or `admin`")]
pub struct NotARight;

impl Right {
    /// All of them, the least first.
    pub const ALL: [Right; 3] = [Right::Read, Right::Proxy, Right::Admin];
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Right::Read => "read",
            Right::Proxy => "proxy",
            Right::Admin => "admin",
        })
    }
}

impl FromStr for Right {
    type Err = NotARight;

    fn from_str(text: &str) -> Result<Right, NotARight> {
        Right::ALL.into_iter().find(|right| right.to_string() == text).ok_or(NotARight)
    }
}
