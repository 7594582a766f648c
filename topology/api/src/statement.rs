//! A client's statement on its way through the topology to the servers: whose it is, under what settings it reads as its client meant it, and where a
//! physical schema's name goes. It may hold a password, so nothing here prints a byte of it.

use std::fmt;

use podway_model::AccountName;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A statement that a leader runs on several targets as the client who typed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatement {
    /// The account as which it runs: its privileges decide, and definers are it.
    pub account: AccountName,
    /// The statement that brings a new connection to the client's settings: sql_mode, character sets, time zone, foreign_key_checks …; empty: none.
    #[serde(default)]
    pub setup: SqlBytes,
    /// The keyspace that is the client's current database; `None`: names are qualified.
    #[serde(default)]
    pub database: Option<Box<str>>,
    /// The text, in its order.
    pub pieces: Vec<StatementPiece>,
}

/// A part of a statement's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementPiece {
    /// Bytes of the client's, in its character set.
    Text(SqlBytes),
    /// The physical schema of this keyspace, as a quoted name.
    Schema(Box<str>),
}

/// Bytes of a statement, in any character set. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SqlBytes(pub Box<[u8]>);

impl ClientStatement {
    /// A statement without settings and holes, for whoever has nothing to say of these.
    pub fn plain(account: AccountName, text: &str) -> ClientStatement {
        let pieces = vec![StatementPiece::Text(SqlBytes(text.as_bytes().into()))];
        ClientStatement { account, setup: SqlBytes::default(), database: None, pieces }
    }

    /// The text for one target, `physical` saying what a keyspace's schema is called there; `None` where it does not know one.
    pub fn text<'a>(&self, physical: impl Fn(&str) -> Option<&'a str>) -> Option<Vec<u8>> {
        let mut text = Vec::with_capacity(self.bytes());
        for piece in &self.pieces {
            match piece {
                StatementPiece::Text(bytes) => text.extend_from_slice(&bytes.0),
                StatementPiece::Schema(keyspace) => {
                    let quoted = format!("`{}`", physical(keyspace)?.replace('`', "``"));
                    text.extend_from_slice(quoted.as_bytes());
                }
            }
        }
        Some(text)
    }

    /// How many bytes the text has without what goes into its holes.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(StatementPiece::bytes).sum()
    }

    /// Whether there is nothing to run.
    pub fn is_blank(&self) -> bool {
        self.pieces.iter().all(|piece| match piece {
            StatementPiece::Text(bytes) => bytes.0.iter().all(u8::is_ascii_whitespace),
            StatementPiece::Schema(_) => false,
        })
    }
}

impl StatementPiece {
    fn bytes(&self) -> usize {
        match self {
            StatementPiece::Text(bytes) => bytes.0.len(),
            StatementPiece::Schema(name) => name.len() + 2,
        }
    }
}

impl fmt::Debug for SqlBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqlBytes(…)")
    }
}

/// As stored and sent: text where it is UTF-8, else its hexadecimal digits.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Text(Box<str>),
    Hex(Box<str>),
}

impl Serialize for SqlBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = match std::str::from_utf8(&self.0) {
            Ok(text) => Stored::Text(text.into()),
            Err(_) => Stored::Hex(self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SqlBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SqlBytes, D::Error> {
        let bytes = match Stored::deserialize(deserializer)? {
            Stored::Text(text) => text.into_boxed_bytes(),
            Stored::Hex(digits) => {
                let pairs = digits.as_bytes().chunks(2);
                let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                let bytes: Option<Box<[u8]>> = pairs.map(byte).collect();
                bytes.ok_or_else(|| de::Error::custom("these are no hexadecimal digits"))?
            }
        };
        Ok(SqlBytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use podway_model::HostPattern;

    use super::*;

    fn statement(pieces: Vec<StatementPiece>) -> ClientStatement {
        let account = AccountName { user: "ann".into(), host: HostPattern::new("%") };
        ClientStatement { account, setup: SqlBytes::default(), database: None, pieces }
    }

    fn text(bytes: &[u8]) -> StatementPiece {
        StatementPiece::Text(SqlBytes(bytes.into()))
    }

    #[test]
    fn holes_are_filled_with_the_schema_of_the_target() {
        let all = statement(vec![
            text(b"ALTER TABLE "),
            StatementPiece::Schema("shop".into()),
            text(b".orders ADD x INT"),
        ]);
        let there = all.text(|keyspace| (keyspace == "shop").then_some("shop`2")).unwrap();
        assert_eq!(there, b"ALTER TABLE `shop``2`.orders ADD x INT");
        assert_eq!(all.text(|_| None), None);
    }

    #[test]
    fn bytes_of_any_character_set_arrive_as_they_were() {
        for bytes in [&b"plain"[..], b"\xd0\xe4\xff", "Straße".as_bytes(), b""] {
            let all = statement(vec![text(bytes)]);
            let json = serde_json::to_vec(&all).unwrap();
            assert_eq!(serde_json::from_slice::<ClientStatement>(&json).unwrap(), all);
        }
        assert!(serde_json::from_str::<SqlBytes>(r#"{"hex":"0g"}"#).is_err());
    }

    #[test]
    fn a_statement_is_never_printed() {
        let all = statement(vec![text(b"SET PASSWORD = 'hunter2'")]);
        assert!(!format!("{all:?}").contains("hunter2"));
    }

    #[test]
    fn blanks_are_no_statement() {
        assert!(statement(vec![]).is_blank());
        assert!(statement(vec![text(b" \n")]).is_blank());
        assert!(!statement(vec![text(b" x")]).is_blank());
    }
}
