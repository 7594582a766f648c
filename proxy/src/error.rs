//! Errors with two texts: what the log says and what the client reads. Each carries MySQL's own number and SQLSTATE, says whose fault it
//! was and whether the connection can go on.

use std::borrow::Cow;
use std::io;

use podway_model::{FreezeId, Map, Name, Shard};
use podway_router::RouterError;
use podway_wire as wire;

/// MySQL's number and SQLSTATE of an error (MySQL manual, "Server Error Message Reference").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// The number.
    pub number: u16,
    /// The SQLSTATE.
    pub state: [u8; 5],
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $state:literal;)*) => {
        impl ErrorCode { $($(#[$doc])* pub const $name: ErrorCode = ErrorCode { number: $number, state: *$state };)* }
    };
}

codes! {
    /// ER_CON_COUNT_ERROR
    TOO_MANY_CONNECTIONS = 1040, b"08004";
    /// ER_OUT_OF_RESOURCES
    OUT_OF_ROOM = 1041, b"HY000";
    /// ER_BAD_HOST_ERROR
    BAD_HANDSHAKE = 1043, b"08S01";
    /// ER_ACCESS_DENIED_ERROR
    ACCESS_DENIED = 1045, b"28000";
    /// ER_NO_DB_ERROR
    NO_DATABASE = 1046, b"3D000";
    /// ER_EMPTY_QUERY
    EMPTY_QUERY = 1065, b"42000";
    /// ER_PARSE_ERROR
    SYNTAX = 1064, b"42000";
    /// ER_UNKNOWN_COM_ERROR
    UNKNOWN_COMMAND = 1047, b"08S01";
    /// ER_BAD_DB_ERROR
    UNKNOWN_DATABASE = 1049, b"42000";
    /// ER_SERVER_SHUTDOWN
    SHUTDOWN = 1053, b"08S01";
    /// ER_NO_SUCH_THREAD
    NO_SUCH_THREAD = 1094, b"HY000";
    /// ER_KILL_DENIED_ERROR
    KILL_DENIED = 1095, b"HY000";
    /// ER_UNKNOWN_ERROR
    UNKNOWN = 1105, b"HY000";
    /// ER_NET_PACKET_TOO_LARGE
    PACKET_TOO_LARGE = 1153, b"08S01";
    /// ER_NET_READ_ERROR
    BACKEND_LOST = 1158, b"08S01";
    /// ER_NET_PACKETS_OUT_OF_ORDER
    OUT_OF_ORDER = 1156, b"08S01";
    /// ER_WRONG_VALUE_COUNT_ON_ROW
    WRONG_VALUE_COUNT = 1136, b"21S01";
    /// ER_SPECIFIC_ACCESS_DENIED_ERROR
    PRIVILEGE_NEEDED = 1227, b"42000";
    /// ER_NOT_SUPPORTED_YET
    NOT_SUPPORTED = 1235, b"42000";
    /// ER_WRONG_ARGUMENTS
    WRONG_ARGUMENTS = 1210, b"HY000";
    /// ER_ERROR_DURING_COMMIT
    DURING_COMMIT = 1180, b"HY000";
    /// ER_LOCK_DEADLOCK: the transaction was rolled back and may be tried again
    TRY_AGAIN = 1213, b"40001";
    /// ER_UNKNOWN_STMT_HANDLER
    UNKNOWN_STATEMENT = 1243, b"HY000";
    /// ER_NOT_SUPPORTED_AUTH_MODE
    OLD_PROTOCOL = 1251, b"08004";
    /// ER_UNSUPPORTED_PS
    NOT_PREPARABLE = 1295, b"HY000";
    /// ER_SP_DOES_NOT_EXIST, which MySQL also gives for savepoints
    DOES_NOT_EXIST = 1305, b"42000";
    /// ER_TRG_DOES_NOT_EXIST
    NO_TRIGGER = 1360, b"HY000";
    /// ER_LOCK_OR_ACTIVE_TRANSACTION
    LOCK_OR_ACTIVE_TRANSACTION = 1192, b"HY000";
    /// ER_TABLEACCESS_DENIED_ERROR
    TABLE_ACCESS_DENIED = 1142, b"42000";
    /// ER_QUERY_TIMEOUT
    TIMEOUT = 3024, b"HY000";
    /// ER_QUERY_INTERRUPTED
    INTERRUPTED = 1317, b"70100";
    /// ER_STMT_HAS_NO_OPEN_CURSOR
    NO_CURSOR = 1421, b"HY000";
    /// ER_MAX_PREPARED_STMT_COUNT_REACHED
    TOO_MANY_STATEMENTS = 1461, b"42000";
    /// ER_CANT_CHANGE_TX_CHARACTERISTICS
    TRANSACTION_RUNNING = 1568, b"25001";
    /// ER_AUTOINC_READ_FAILED
    NO_NUMBER = 1467, b"HY000";
    /// ER_XAER_RMFAIL
    XA_STATE = 1399, b"XAE07";
    /// ER_MALFORMED_PACKET
    MALFORMED_PACKET = 1835, b"HY000";
}

/// What the client is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({}): {message}", code.number, String::from_utf8_lossy(&code.state))]
pub struct ClientError {
    /// MySQL's number and SQLSTATE.
    pub code: ErrorCode,
    /// The text: what happened and what to do.
    pub message: Cow<'static, str>,
}

impl ClientError {
    /// An error with this text.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> ClientError {
        ClientError { code, message: message.into() }
    }

    /// Error 1235 about `what`, in MySQL's words.
    pub fn not_supported(what: &str) -> ClientError {
        ClientError::new(
            ErrorCode::NOT_SUPPORTED,
            format!("This version of Podway doesn't yet support '{what}'"),
        )
    }
}

impl From<RouterError> for ClientError {
    fn from(error: RouterError) -> ClientError {
        ClientError {
            code: ErrorCode { number: error.errno, state: error.sqlstate },
            message: Cow::Owned(error.message),
        }
    }
}

/// Anything that ends a statement early.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The client is told and may go on.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server refused; its error packet has not been forwarded yet.
    #[error("the server answered {}: {}", .0.code, String::from_utf8_lossy(&.0.message))]
    Server(wire::ErrPacket),
    /// The client is gone, or broke the protocol so that nothing can be said to it any more.
    #[error("the client's connection ended: {0}")]
    ClientGone(io::Error),
    /// The statement had no effect where the map sent it: under a newer map it may be tried again.
    #[error("{}", .0.reason())]
    ShardMoved(Box<Moved>),
    /// A backend connection failed before it could have run anything: another may be tried.
    #[error("{server}: {reason}")]
    BackendUnusable {
        /// The server, by its address.
        server: String,
        /// What went wrong.
        reason: String,
    },
    /// A backend connection broke while it ran a statement: whether that took effect is not known.
    #[error("{server}: the connection broke in the middle of a statement: {reason}")]
    BackendLost {
        /// The server, by its address.
        server: String,
        /// What went wrong.
        reason: String,
    },
}

/// A shard that does not take statements where the map has it.
#[derive(Clone, Debug)]
pub struct Moved {
    /// Its keyspace.
    pub keyspace: Name,
    /// The shard as the map has it.
    pub shard: Shard,
    /// How that showed.
    pub why: Why,
}

/// How a shard showed that it does not take statements where the map has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The map says so itself: a change of owner is under way.
    Frozen(FreezeId),
    /// What a name in the statement stands for is about to change, says the map of this schema version.
    Held {
        /// The version.
        schema_version: u64,
        /// What is said of it.
        reason: String,
    },
    /// Its server refused the statement with this error.
    Refused(wire::ErrPacket),
}

impl Moved {
    /// Whether this map gives reason to try again: the shard is elsewhere, its freeze has ended, or the freeze to be waited for is known now.
    pub fn is_over(&self, map: &Map) -> bool {
        if let Why::Held { schema_version, .. } = self.why {
            return map.schema_version != schema_version;
        }
        let Some(keyspace) = map.keyspace(&self.keyspace) else { return true };
        let Some(position) = keyspace.position(&self.shard) else { return true };
        let freeze = keyspace.freeze(position);
        match self.why {
            Why::Frozen(held_by) => freeze != Some(held_by),
            Why::Held { .. } | Why::Refused(_) => freeze.is_some(),
        }
    }

    fn reason(&self) -> String {
        let Moved { keyspace, shard, .. } = self;
        match &self.why {
            Why::Frozen(_) => format!(
                "{} of keyspace {keyspace} is changing its owner, which took longer than client.move_deadline; try restarting transaction",
                shard.id
            ),
            Why::Held { reason, .. } => reason.clone(),
            Why::Refused(error) => format!(
                "The server of {} of keyspace {keyspace} refused the statement ({}), as if the shard had moved; try restarting transaction",
                shard.id, error.code
            ),
        }
    }
}

impl ProxyError {
    /// What MySQL says of a statement that was ended by KILL QUERY.
    pub fn interrupted() -> ProxyError {
        ProxyError::Server(error_packet(ErrorCode::INTERRUPTED, "Query execution was interrupted"))
    }

    /// What the client reads, unless it is the client that is gone.
    pub fn for_client(&self) -> Option<wire::ErrPacket> {
        let (code, message) = match self {
            ProxyError::Client(error) => (error.code, error.message.clone().into_owned()),
            ProxyError::Server(error) => return Some(error.clone()),
            ProxyError::ClientGone(_) => return None,
            ProxyError::ShardMoved(moved) => (ErrorCode::TRY_AGAIN, moved.reason()),
            ProxyError::BackendUnusable { server, reason } => {
                (ErrorCode::BACKEND_LOST, format!("Podway could not use MySQL server {server}: {reason}"))
            }
            ProxyError::BackendLost { server, reason } => (
                ErrorCode::BACKEND_LOST,
                format!(
                    "Podway lost MySQL server {server} while it ran the statement, which may or may not have taken effect: {reason}"
                ),
            ),
        };
        Some(error_packet(code, &message))
    }
}

/// An error packet with this text.
pub fn error_packet(code: ErrorCode, message: &str) -> wire::ErrPacket {
    wire::ErrPacket::new(code.number, code.state, message)
}

#[cfg(test)]
mod tests {
    use podway_model::{Epoch, Keyspace, NameRule, Server, ServerId, ShardId, ShardIndex};

    use super::*;

    fn shard(server: u32, epoch: u64) -> Shard {
        let schema = NameRule::CaseSensitive.name("shop");
        Shard { id: ShardId(7), server: ServerId(server), schema, epoch: Epoch(epoch) }
    }

    fn map(shard: Option<Shard>, freeze: Option<FreezeId>) -> Map {
        let mut map = Map::empty(NameRule::CaseSensitive);
        for id in 0..3 {
            let (host, port, uuid, version) = ("h".into(), 1, "u".into(), "8.4.0".into());
            map.put_server(Server { id: ServerId(id), host, port, uuid, version });
        }
        if let Some(shard) = shard {
            let name = NameRule::CaseSensitive.name("shop");
            let mut keyspace = Keyspace::evenly(name, vec![shard]).unwrap();
            keyspace.set_freeze(ShardIndex(0), freeze);
            map.put_keyspace(keyspace).unwrap();
        }
        map
    }

    #[test]
    fn a_statement_is_tried_again_when_the_map_gives_a_reason() {
        let frozen = Why::Frozen(FreezeId(1));
        let refused = Why::Refused(error_packet(ErrorCode::UNKNOWN, "read only"));
        let cases = [
            ("still frozen", &frozen, Some(shard(1, 1)), Some(1), false),
            ("frozen anew for another reason", &frozen, Some(shard(1, 1)), Some(2), true),
            ("the freeze was cancelled", &frozen, Some(shard(1, 1)), None, true),
            ("frozen, and moved", &frozen, Some(shard(2, 2)), None, true),
            ("refused, nothing known of why", &refused, Some(shard(1, 1)), None, false),
            (
                "refused, and frozen: the freeze is to be waited for",
                &refused,
                Some(shard(1, 1)),
                Some(1),
                true,
            ),
            ("refused, and moved", &refused, Some(shard(2, 2)), None, true),
            ("refused, and with another primary", &refused, Some(shard(1, 2)), None, true),
            ("the keyspace is gone", &frozen, None, None, true),
            ("the keyspace is gone", &refused, None, None, true),
        ];
        for (name, why, now, freeze, expected) in cases {
            let keyspace = NameRule::CaseSensitive.name("shop");
            let moved = Moved { keyspace, shard: shard(1, 1), why: why.clone() };
            assert_eq!(moved.is_over(&map(now, freeze.map(FreezeId))), expected, "{name}");
        }
    }
}
