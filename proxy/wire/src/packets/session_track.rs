//! What a statement changed in its session, as an OK packet tells clients with CLIENT_SESSION_TRACK.
//!
//! Entries only; the list as a whole is [`crate::OkPacket::session_track`].

use bytes::BufMut;

use crate::codec::{Cursor, Decoded, put_lenenc_bytes, put_lenenc_int};

const SYSTEM_VARIABLE: u8 = 0;
const SCHEMA: u8 = 1;
const STATE_CHANGE: u8 = 2;
const GTIDS: u8 = 3;
const TRANSACTION_CHARACTERISTICS: u8 = 4;
const TRANSACTION_STATE: u8 = 5;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionTrack {
    /// A variable named in `session_track_system_variables` was set.
    SystemVariable {
        /// The variable.
        name: Vec<u8>,
        /// Its new value.
        value: Vec<u8>,
    },
    /// The current database changed.
    Schema(Vec<u8>),
    /// Whether anything in the session changed.
    StateChange(bool),
    /// GTIDs of what the statement committed.
    Gtids(Vec<u8>),
    /// Statements that would start a transaction with the same characteristics.
    TransactionCharacteristics(Vec<u8>),
    /// Eight letters on what the transaction has done so far, `T_______` as a rule.
    TransactionState(Vec<u8>),
    /// A kind that this crate does not know, kept whole.
    Other {
        /// The kind's number.
        kind: u8,
        /// Its data.
        data: Vec<u8>,
    },
}

impl SessionTrack {
    /// Appends the entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut data = Vec::new();
        let kind = match self {
            SessionTrack::SystemVariable { name, value } => {
                put_lenenc_bytes(&mut data, name);
                put_lenenc_bytes(&mut data, value);
                SYSTEM_VARIABLE
            }
            SessionTrack::Schema(name) => text(&mut data, name, SCHEMA),
            SessionTrack::StateChange(changed) => {
                // The only kind whose text has no length of its own.
                data.put_u8(if *changed { b'1' } else { b'0' });
                STATE_CHANGE
            }
            SessionTrack::Gtids(gtids) => {
                // The encoding; 0 is plain text, and there is no other.
                data.put_u8(0);
                text(&mut data, gtids, GTIDS)
            }
            SessionTrack::TransactionCharacteristics(sql) => {
                text(&mut data, sql, TRANSACTION_CHARACTERISTICS)
            }
            SessionTrack::TransactionState(letters) => text(&mut data, letters, TRANSACTION_STATE),
            SessionTrack::Other { kind, data: raw } => {
                data.put_slice(raw);
                *kind
            }
        };
        out.put_u8(kind);
        put_lenenc_int(out, data.len() as u64);
        out.put_slice(&data);
    }

    /// Reads a whole list.
    pub fn decode_all(entries: &[u8]) -> Decoded<Vec<SessionTrack>> {
        let mut cursor = Cursor::new(entries);
        let mut all = Vec::new();
        while !cursor.is_empty() {
            let kind = cursor.u8("session state, kind")?;
            let data = cursor.lenenc_bytes("session state, data")?;
            all.push(Self::decode_entry(kind, data)?);
        }
        Ok(all)
    }

    fn decode_entry(kind: u8, data: &[u8]) -> Decoded<SessionTrack> {
        let mut cursor = Cursor::new(data);
        let entry = match kind {
            SYSTEM_VARIABLE => SessionTrack::SystemVariable {
                name: cursor.lenenc_bytes("variable name")?.to_vec(),
                value: cursor.lenenc_bytes("variable value")?.to_vec(),
            },
            SCHEMA => SessionTrack::Schema(cursor.lenenc_bytes("schema")?.to_vec()),
            STATE_CHANGE => SessionTrack::StateChange(cursor.rest() == b"1"),
            GTIDS => {
                cursor.u8("GTID encoding")?;
                SessionTrack::Gtids(cursor.lenenc_bytes("GTIDs")?.to_vec())
            }
            TRANSACTION_CHARACTERISTICS => {
                let sql = cursor.lenenc_bytes("transaction characteristics")?;
                SessionTrack::TransactionCharacteristics(sql.to_vec())
            }
            TRANSACTION_STATE => {
                SessionTrack::TransactionState(cursor.lenenc_bytes("transaction state")?.to_vec())
            }
            kind => SessionTrack::Other { kind, data: cursor.rest().to_vec() },
        };
        cursor.finish()?;
        Ok(entry)
    }
}

fn text(data: &mut Vec<u8>, value: &[u8], kind: u8) -> u8 {
    put_lenenc_bytes(data, value);
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_entries_are_read_and_written() {
        let text = |text: &str| text.as_bytes().to_vec();
        let cases: [(&[u8], SessionTrack); 8] = [
            (
                b"\0\x0A\x08sql_mode\0",
                SessionTrack::SystemVariable { name: text("sql_mode"), value: Vec::new() },
            ),
            (b"\x01\x06\x05mysql", SessionTrack::Schema(text("mysql"))),
            (b"\x02\x011", SessionTrack::StateChange(true)),
            (b"\x02\x010", SessionTrack::StateChange(false)),
            (b"\x03\x08\0\x06uuid:1", SessionTrack::Gtids(text("uuid:1"))),
            (b"\x04\x01\0", SessionTrack::TransactionCharacteristics(Vec::new())),
            (b"\x05\x09\x08T_R___S_", SessionTrack::TransactionState(text("T_R___S_"))),
            (b"\x63\x02ab", SessionTrack::Other { kind: 0x63, data: text("ab") }),
        ];
        let (mut all, mut entries) = (Vec::new(), Vec::new());
        for (bytes, entry) in cases {
            let mut out = Vec::new();
            entry.encode(&mut out);
            assert_eq!(out, bytes);
            all.extend_from_slice(bytes);
            entries.push(entry);
        }
        assert_eq!(SessionTrack::decode_all(&all), Ok(entries));
    }

    #[test]
    fn cut_and_overfull_entries_are_refused() {
        for bytes in [&b"\x01"[..], b"\x01\x06\x05mysq", b"\x01\x07\x05mysqlx", b"\0\x02\x09a", b"\x03\0"] {
            assert!(SessionTrack::decode_all(bytes).is_err(), "{bytes:?}");
        }
    }
}
