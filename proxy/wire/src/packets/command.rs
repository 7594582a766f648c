//! A client's command, told apart by its first byte.
//!
//! Commands that need the connection's memory to be read on (EXECUTE, CHANGE_USER, a QUERY with attributes) are handed out as
//! bytes. Nothing is executed or refused here: an unknown command is a value.

use mysql_common::constants::Command;

use crate::codec::{Cursor, Decoded};

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCommand<'a> {
    /// It leaves.
    Quit,
    /// The current database shall be this one.
    InitDb(&'a [u8]),
    /// A statement; see [`crate::query_text`].
    Query(&'a [u8]),
    /// A table's columns, the old way.
    FieldList {
        /// The table.
        table: &'a [u8],
        /// A LIKE pattern; empty: all columns.
        wildcard: &'a [u8],
    },
    /// KILL, the old way.
    ProcessKill(u32),
    /// A line on the server's state.
    Statistics,
    /// Makes a server write to its log.
    Debug,
    /// Are you there?
    Ping,
    /// See [`crate::ChangeUser::decode`].
    ChangeUser(&'a [u8]),
    /// The session starts anew, without a login.
    ResetConnection,
    /// 0: several statements in one query; 1: no longer.
    SetOption(u16),
    /// A statement to prepare. Has no attributes.
    StmtPrepare(&'a [u8]),
    /// See [`crate::Execute::decode`].
    StmtExecute(&'a [u8]),
    /// A piece of a parameter's value; has no answer.
    StmtSendLongData {
        /// The statement.
        id: u32,
        /// The parameter, from 0.
        param: u16,
        /// The piece.
        data: &'a [u8],
    },
    /// Drops the statement's long data and cursor.
    StmtReset(u32),
    /// Drops the statement; has no answer.
    StmtClose(u32),
    /// Rows from a statement's cursor.
    StmtFetch {
        /// The statement.
        id: u32,
        /// How many rows.
        rows: u32,
    },
    /// Anything else, by its number; MySQL answers 1047 (08S01).
    Unknown(u8),
}

impl<'a> ClientCommand<'a> {
    /// Reads a command's payload. Errors are malformed packets: MySQL answers 1835 (HY000).
    pub fn decode(payload: &'a [u8]) -> Decoded<ClientCommand<'a>> {
        let mut cursor = Cursor::new(payload);
        let number = cursor.u8("command")?;
        Ok(match number {
            QUIT => ClientCommand::Quit,
            INIT_DB => ClientCommand::InitDb(cursor.rest()),
            QUERY => ClientCommand::Query(cursor.rest()),
            FIELD_LIST => {
                let table = cursor.null_terminated("table")?;
                // Some clients end the pattern with a NUL, some with the packet.
                ClientCommand::FieldList { table, wildcard: cursor.null_terminated_or_rest() }
            }
            PROCESS_KILL => ClientCommand::ProcessKill(cursor.u32le("connection id")?),
            STATISTICS => ClientCommand::Statistics,
            DEBUG => ClientCommand::Debug,
            PING => ClientCommand::Ping,
            CHANGE_USER => ClientCommand::ChangeUser(cursor.rest()),
            RESET_CONNECTION => ClientCommand::ResetConnection,
            SET_OPTION => ClientCommand::SetOption(cursor.u16le("option")?),
            STMT_PREPARE => ClientCommand::StmtPrepare(cursor.rest()),
            STMT_EXECUTE => ClientCommand::StmtExecute(cursor.rest()),
            STMT_SEND_LONG_DATA => ClientCommand::StmtSendLongData {
                id: cursor.u32le("statement id")?,
                param: cursor.u16le("parameter")?,
                data: cursor.rest(),
            },
            STMT_RESET => ClientCommand::StmtReset(cursor.u32le("statement id")?),
            STMT_CLOSE => ClientCommand::StmtClose(cursor.u32le("statement id")?),
            STMT_FETCH => {
                let id = cursor.u32le("statement id")?;
                ClientCommand::StmtFetch { id, rows: cursor.u32le("rows")? }
            }
            other => ClientCommand::Unknown(other),
        })
    }
}

const QUIT: u8 = Command::COM_QUIT as u8;
const INIT_DB: u8 = Command::COM_INIT_DB as u8;
const QUERY: u8 = Command::COM_QUERY as u8;
const FIELD_LIST: u8 = Command::COM_FIELD_LIST as u8;
const PROCESS_KILL: u8 = Command::COM_PROCESS_KILL as u8;
const STATISTICS: u8 = Command::COM_STATISTICS as u8;
const DEBUG: u8 = Command::COM_DEBUG as u8;
const PING: u8 = Command::COM_PING as u8;
const CHANGE_USER: u8 = Command::COM_CHANGE_USER as u8;
const RESET_CONNECTION: u8 = Command::COM_RESET_CONNECTION as u8;
const SET_OPTION: u8 = Command::COM_SET_OPTION as u8;
const STMT_PREPARE: u8 = Command::COM_STMT_PREPARE as u8;
const STMT_EXECUTE: u8 = Command::COM_STMT_EXECUTE as u8;
const STMT_SEND_LONG_DATA: u8 = Command::COM_STMT_SEND_LONG_DATA as u8;
const STMT_RESET: u8 = Command::COM_STMT_RESET as u8;
const STMT_CLOSE: u8 = Command::COM_STMT_CLOSE as u8;
const STMT_FETCH: u8 = Command::COM_STMT_FETCH as u8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::DecodeError;

    #[test]
    fn commands_are_told_apart() {
        let cases: [(&[u8], ClientCommand<'_>); 23] = [
            (b"\x01", ClientCommand::Quit),
            (b"\x02shop", ClientCommand::InitDb(b"shop")),
            (b"\x03select 1", ClientCommand::Query(b"select 1")),
            (b"\x03", ClientCommand::Query(b"")),
            (b"\x04t\0", ClientCommand::FieldList { table: b"t", wildcard: b"" }),
            (b"\x04t\0a%", ClientCommand::FieldList { table: b"t", wildcard: b"a%" }),
            (b"\x04t\0a%\0", ClientCommand::FieldList { table: b"t", wildcard: b"a%" }),
            (b"\x09", ClientCommand::Statistics),
            (b"\x0C\x07\0\0\0", ClientCommand::ProcessKill(7)),
            (b"\x0D", ClientCommand::Debug),
            (b"\x0E", ClientCommand::Ping),
            (b"\x11app\0\0\0", ClientCommand::ChangeUser(b"app\0\0\0")),
            (b"\x16select ?", ClientCommand::StmtPrepare(b"select ?")),
            (b"\x17\x01\0\0\0\0\x01\0\0\0", ClientCommand::StmtExecute(b"\x01\0\0\0\0\x01\0\0\0")),
            (b"\x18\x01\0\0\0\x02\0data", ClientCommand::StmtSendLongData { id: 1, param: 2, data: b"data" }),
            (b"\x19\x01\0\0\0", ClientCommand::StmtClose(1)),
            (b"\x1A\x01\0\0\0", ClientCommand::StmtReset(1)),
            (b"\x1B\x01\0", ClientCommand::SetOption(1)),
            (b"\x1C\x01\0\0\0\x09\0\0\0", ClientCommand::StmtFetch { id: 1, rows: 9 }),
            (b"\x1F", ClientCommand::ResetConnection),
            (b"\0", ClientCommand::Unknown(0)),
            (b"\x12binlog", ClientCommand::Unknown(0x12)),
            (b"\x63", ClientCommand::Unknown(0x63)),
        ];
        for (bytes, command) in cases {
            assert_eq!(ClientCommand::decode(bytes), Ok(command), "{bytes:?}");
        }
    }

    #[test]
    fn cut_commands_are_refused() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "command"),
            (b"\x04t", "table"),
            (b"\x0C\x07\0", "connection id"),
            (b"\x18\x01\0\0\0", "parameter"),
            (b"\x19\x01", "statement id"),
            (b"\x1A", "statement id"),
            (b"\x1B\x01", "option"),
            (b"\x1C\x01\0\0\0", "rows"),
            (b"\x1C", "statement id"),
        ];
        for (bytes, field) in cases {
            assert_eq!(ClientCommand::decode(bytes), Err(DecodeError::Truncated { field }), "{bytes:?}");
        }
    }
}
