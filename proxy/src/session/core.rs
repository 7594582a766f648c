//! The session itself: its fields, and the few things that its verbs hand each other. What it does is in the modules above.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use podway_model::{Account, Keyspace, Map, Name, ServerId, Shard, ShardIndex};
use podway_router::{Measures, Normalised, Plan};
use podway_wire::{CapabilityFlags, OkPacket, ParamType, ResponseKind};
use rustc_hash::FxHashMap;

use super::captured::Captured;
use super::locked::Locks;
use super::registry::SessionHandle;
use super::shared::Shared;
use super::state::{Lexical, SessionState, Warning};
use crate::backend::{BackendConnection, PoolKey, ServerPool, Settings};
use crate::client::ClientStream;
use crate::execute::NameChange;
use crate::numbers::Taken;

/// A client's session.
pub struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) client: ClientStream,
    pub(super) handle: Arc<SessionHandle>,
    pub(super) account: Arc<Account>,
    /// Which connections are its own kind.
    pub(super) key: PoolKey,
    pub(super) capabilities: CapabilityFlags,
    pub(super) state: SessionState,
    /// What the login settled, for COM_RESET_CONNECTION.
    pub(super) initial: SessionState,
    /// Connections that are the session's own for now: at most one per server.
    #[allow(clippy::vec_box, reason = "a connection moves between pool and session at every statement")]
    pub(super) held: Vec<Box<BackendConnection>>,
    /// Where the next answer goes.
    pub(super) place: Place,
    /// The map that the running statement, or the open transaction, began under.
    pub(super) under: Option<Arc<Map>>,
    /// How many bytes of the client's buffer are the command at work.
    pub(super) command_bytes: usize,
    pub(super) normal: Normalised,
    pub(super) payload: Vec<u8>,
    /// Boxed: an execution takes its statement out and puts it back.
    pub(super) statements: FxHashMap<u32, Box<ClientStatement>>,
    pub(super) next_statement: u32,
    /// What PREPARE made, by its name, where the session keeps it: in keyspaces with several shards.
    pub(super) sql_statements: HashMap<Name, Box<ClientStatement>>,
    /// The nonce that the client's next proof of its password is made with.
    pub(super) nonce: [u8; 20],
    /// When the command at work came.
    pub(super) started: Instant,
    /// When the last one ended.
    pub(super) ended: Instant,
    /// What the running statement's shards gave: its rows are counted, and not sent.
    pub(super) measures: Option<Box<Measures>>,
    /// A connection broke that held state of the session: it cannot go on as if nothing had happened.
    pub(super) lost: bool,
    /// LOCK TABLES in a keyspace of several shards.
    pub(super) locks: Option<Box<Locks>>,
    /// Where a part of a statement leaves its answer, which is not the client's.
    pub(super) kept_answer: Option<OkPacket>,
    /// Where a query's rows go that are not the client's: INSERT … SELECT.
    pub(super) captured: Option<Captured>,
    /// What the client of the transaction that was committed last is to be warned of.
    pub(super) late: Option<Warning>,
}

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// With the next command.
    Next,
    /// Not at all.
    Close,
}

/// Where an answer stands among those to one command.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its first packet's sequence number.
    pub sequence: u8,
    /// Whether another statement's answer follows.
    pub more_follows: bool,
    /// Whether rows go in the binary protocol.
    pub binary: bool,
    /// Whether it is the answer of a COMMIT or ROLLBACK: if it is lost, so is what became of the transaction.
    pub ends_transaction: bool,
    /// Whether the statement has a snapshot of its own open, of several servers.
    pub in_own_snapshot: bool,
    /// Whether the statement, which is on its own, has a transaction open.
    pub in_own_transaction: bool,
    /// Whether the client has been sent a part of it, and an error comes behind that: the statement cannot be tried again.
    pub has_begun: bool,
}

impl Default for Place {
    fn default() -> Place {
        Place {
            sequence: 1,
            more_follows: false,
            binary: false,
            ends_transaction: false,
            in_own_snapshot: false,
            in_own_transaction: false,
            has_begun: false,
        }
    }
}

/// A statement with its plan.
pub(super) struct Planned<'a> {
    /// Its text.
    pub sql: &'a [u8],
    /// Its text's shape and literals.
    pub normal: &'a Normalised,
    /// The picture of the cluster that it runs under.
    pub map: Arc<Map>,
    /// What to do.
    pub plan: Arc<Plan>,
    /// The database that unqualified names are in: the current one, or a prepared statement's own.
    pub database: Option<&'a Name>,
    /// AUTO_INCREMENT numbers of its rows, once it has them.
    pub numbered: Option<Numbered>,
}

impl Planned<'_> {
    /// The same statement, which goes as this plan says; without numbers of the cluster's.
    pub(super) fn with_plan(&self, plan: Plan) -> Planned<'_> {
        Planned {
            sql: self.sql,
            normal: self.normal,
            map: self.map.clone(),
            plan: Arc::new(plan),
            database: self.database,
            numbered: None,
        }
    }
}

/// The numbers that a statement is sent with.
#[derive(Clone, Debug)]
pub(super) struct Numbered {
    pub(super) taken: Taken,
    /// Whether its text has parameters for them.
    pub(super) as_params: bool,
}

/// Where a statement runs.
pub(super) struct Spot {
    /// The server's connections.
    pub pool: Arc<ServerPool>,
    /// The physical schema there.
    pub schema: Arc<str>,
    /// The schema that is to be the connection's current one.
    pub current: Arc<str>,
    /// The keyspace whose shard it is, if the schema is one's.
    pub keyspace: Option<Arc<Keyspace>>,
    /// The shard's place in it.
    pub index: ShardIndex,
    /// Whether the schema has another name than the keyspace.
    pub renamed: bool,
}

/// What is asked of a text statement's run.
#[derive(Clone, Copy)]
pub(super) struct Work {
    /// What shape the answer has.
    pub kind: ResponseKind,
    /// Whether the command's bytes can be passed on as they came.
    pub as_received: bool,
}

impl Spot {
    pub(super) fn new(
        pool: Arc<ServerPool>,
        schema: Arc<str>,
        keyspace: Option<Arc<Keyspace>>,
        index: ShardIndex,
    ) -> Spot {
        let renamed = keyspace.as_ref().is_some_and(|keyspace| *schema != *keyspace.name.as_str());
        Spot { pool, current: schema.clone(), schema, keyspace, index, renamed }
    }

    /// The shard, if it is one.
    pub(super) fn shard(&self) -> Option<(&Keyspace, &Shard)> {
        let keyspace = self.keyspace.as_ref()?;
        Some((keyspace, keyspace.shard(self.index)?))
    }

    /// The name that changes between shard and client, if one does.
    pub(super) fn name_change(&self) -> Option<NameChange> {
        let keyspace = self.keyspace.as_ref().filter(|_| self.renamed)?;
        Some(NameChange {
            physical: self.schema.as_bytes().to_vec(),
            logical: keyspace.name.as_str().as_bytes().to_vec(),
        })
    }
}

/// A client's prepared statement.
pub(super) struct ClientStatement {
    pub(super) text: Bytes,
    pub(super) normal: Normalised,
    pub(super) plan: Arc<Plan>,
    pub(super) schema_version: u64,
    /// The current database when it was prepared, which unqualified names mean for good.
    pub(super) database: Option<Name>,
    /// The settings under which it was prepared, for how its text reads.
    pub(super) settings: Arc<Settings>,
    /// The same, as far as plans depend on them.
    pub(super) lexical: Lexical,
    pub(super) types: Arc<[ParamType]>,
    pub(super) long_data: HashMap<u16, Vec<u8>>,
    pub(super) long_data_bytes: usize,
    pub(super) cursor: Option<Cursor>,
}

impl ClientStatement {
    /// It as it was planned, under this map.
    pub(super) fn planned<'a>(&'a self, map: &Arc<Map>) -> Planned<'a> {
        Planned {
            sql: &self.text,
            normal: &self.normal,
            map: map.clone(),
            plan: self.plan.clone(),
            database: self.database.as_ref(),
            numbered: None,
        }
    }
}

/// An open cursor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) server: ServerId,
    pub(super) backend_id: u32,
}
