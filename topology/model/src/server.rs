//! A MySQL server of the pod: where it answers and what it is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A server's number within the cluster; never used again for another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerId(pub u32);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {}", self.0)
    }
}

/// A MySQL server: a primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its number in the map.
    pub id: ServerId,
    /// Host name or address.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// `@@server_uuid`: what it is, wherever it answers.
    pub uuid: Box<str>,
    /// `@@version`, as clients are to see it.
    pub version: Box<str>,
}

impl Server {
    /// `host:port`.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The version as numbers.
    pub fn parsed_version(&self) -> MySqlVersion {
        MySqlVersion::parse(&self.version)
    }
}

/// A MySQL version as one ordered number, as version comments write it: 8.0.30 is 80030.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MySqlVersion(pub u32);

impl MySqlVersion {
    /// The oldest version that serves more than single-shard work.
    pub const FLOOR: MySqlVersion = MySqlVersion(80030);

    /// Reads "8.4.3-log", "9.7.4-2" and the like; what is missing counts as 0.
    pub fn parse(text: &str) -> MySqlVersion {
        let mut parts =
            text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        MySqlVersion(next() * 10_000 + next().min(99) * 100 + next().min(99))
    }
}

impl fmt::Display for MySqlVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0 / 10_000, self.0 / 100 % 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_as_version_comments_count_them() {
        for (text, number) in [
            ("8.0.30", 80030),
            ("8.4.3-log", 80403),
            ("9.7.4-2", 90704),
            ("10.11.19-MariaDB", 101119),
            ("", 0),
        ] {
            assert_eq!(MySqlVersion::parse(text), MySqlVersion(number), "{text}");
        }
    }
}
