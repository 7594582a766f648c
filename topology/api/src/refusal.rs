//! Why a command was not done: what was refused, why, and what to do. Nothing of the state changed.

use std::fmt;

use podway_model::{FreezeId, Name, Revision, ServerId, ShardId};
use serde::{Deserialize, Serialize};

use crate::incarnation::{Incarnation, Term};
use crate::operation::{MoveStep, OperationId, OperationState, Target};

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is no such thing.
    #[error("there is no {what} {name}{}", suggested(near))]
    Unknown {
        /// What is missing.
        what: Thing,
        /// What it was called.
        name: Box<str>,
        /// The known name that is most like it.
        #[serde(default)]
        near: Option<Box<str>>,
    },
    /// There is one already, and it is not the same.
    #[error("there is {} {name} already", what.with_article())]
    Exists {
        /// What there is.
        what: Thing,
        /// Its name.
        name: Box<str>,
    },
    /// A name or a text is empty, too long, or has characters that it must not have.
    #[error("{name:?} cannot be the name of {}: {reason}", what.with_article())]
    BadName {
        /// Of what.
        what: Thing,
        /// The name.
        name: Box<str>,
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// A bound of the topology is reached.
    #[error("there are {limit} {what}s, and there can be no more")]
    Full {
        /// Of what.
        what: Thing,
        /// The bound.
        limit: u64,
    },
    /// The cluster has no secret yet.
    #[error("the cluster was not founded yet")]
    NotFounded,
    /// The cluster has its secret.
    #[error("the cluster was founded already")]
    Founded,
    /// The sequence number is older than what is remembered of the client: whether the command was done is not known any more.
    #[error(
        "the command is an old retry, and its answer is no longer known; read the state to see whether it was done"
    )]
    Forgotten,
    /// Shards and slots do not fit.
    #[error("keyspace {keyspace}: {reason}")]
    Layout {
        /// The keyspace.
        keyspace: Box<str>,
        /// What does not fit.
        reason: Box<str>,
    },
    /// Two shards would share one schema of one server.
    #[error("schema {schema} on server {server} is {of} already")]
    SchemaTaken {
        /// The server.
        server: Box<str>,
        /// The schema.
        schema: Box<str>,
        /// What it is.
        of: Box<str>,
    },
    /// A keyspace has tables that something must not be done over.
    #[error("keyspace {keyspace} has {count} {kind} tables; {advice}")]
    HasTables {
        /// The keyspace.
        keyspace: Box<str>,
        /// How many.
        count: u64,
        /// Which kind.
        kind: Box<str>,
        /// What to do.
        advice: Box<str>,
    },
    /// A server still holds shards.
    #[error("server {server} holds {} of {}; move {} first", listed(shards), listed_names(keyspaces), if shards.len() == 1 { "it" } else { "them" })]
    HoldsShards {
        /// The server.
        server: Box<str>,
        /// Its shards.
        shards: Vec<ShardId>,
        /// Their keyspaces.
        keyspaces: Vec<Box<str>>,
    },
    /// Another server has this uuid, or the server has another one than was said.
    #[error("server {server}: {reason}")]
    Server {
        /// The server.
        server: Box<str>,
        /// What is wrong.
        reason: Box<str>,
    },
    /// A table cannot be declared or altered so.
    #[error("table {table}: {reason}")]
    Table {
        /// The table.
        table: Name,
        /// What is wrong, and what to do.
        reason: Box<str>,
    },
    /// A value is not one that the setting takes.
    #[error("setting {name} cannot be {value:?}: it takes {takes}")]
    Setting {
        /// The setting.
        name: Box<str>,
        /// The value.
        value: Box<str>,
        /// What it takes.
        takes: Box<str>,
    },
    /// A shard is frozen.
    #[error("{shard} is frozen by freeze {}", freeze.0)]
    Frozen {
        /// The shard.
        shard: ShardId,
        /// The freeze.
        freeze: FreezeId,
    },
    /// Something is part of an operation that is not done yet.
    #[error("{what} {name} is part of {operation}, which is not done yet")]
    Busy {
        /// What.
        what: Thing,
        /// Its name.
        name: Box<str>,
        /// The operation.
        operation: OperationId,
    },
    /// An account is one by which Podway administers a server.
    #[error(
        "{account} is an account by which Podway administers server {server}: it is changed there, and `podway server` told of it"
    )]
    OwnAccount {
        /// The account.
        account: Box<str>,
        /// The server's name.
        server: Box<str>,
    },
    /// A proxy's lease ended, or it left: it must register again.
    #[error("{incarnation} has no lease; register again")]
    NoLease {
        /// Who.
        incarnation: Incarnation,
    },
    /// Proxies have not done yet what the step waits for.
    #[error("still {what}: {}", listed(proxies))]
    NotYet {
        /// The proxies.
        proxies: Vec<Incarnation>,
        /// What is missing: "to drain", "to be shut out".
        what: Box<str>,
    },
    /// The proxy's lease has not ended.
    #[error("{incarnation} has a lease; it cannot be called shut out")]
    HasLease {
        /// Who.
        incarnation: Incarnation,
    },
    /// The sequence cannot do this.
    #[error("sequence of {table}: {reason}")]
    Sequence {
        /// The table.
        table: Name,
        /// Why.
        reason: Box<str>,
    },
    /// An AUTO_INCREMENT column has no number left.
    #[error("sequence of {table}: its column holds numbers up to {largest}, and they are used up")]
    UsedUp {
        /// The table.
        table: Name,
        /// The largest number that the column holds.
        largest: u64,
    },
    /// Another leader took the operation.
    #[error("{operation} belongs to the leader of term {}, not {}", current.0, offered.0)]
    OldTerm {
        /// The operation.
        operation: OperationId,
        /// Who has it.
        current: Term,
        /// Who reported.
        offered: Term,
    },
    /// The operation is at another step.
    #[error("{operation} is at {at}, not at {reported}")]
    WrongStep {
        /// The operation.
        operation: OperationId,
        /// Where it is.
        at: MoveStep,
        /// What was reported.
        reported: MoveStep,
    },
    /// The operation has no such target.
    #[error("{operation} has nothing to do on {target}")]
    NoTarget {
        /// The operation.
        operation: OperationId,
        /// The target.
        target: Target,
    },
    /// The operation does not take this in its state.
    #[error("{operation} is {state}: {reason}")]
    OperationState {
        /// The operation.
        operation: OperationId,
        /// How it stands.
        state: OperationState,
        /// Why that does not fit.
        reason: Box<str>,
    },
    /// The shards were compared with a map that is not the newest, or while an operation began.
    #[error("the shards were compared with map {}; since then something began, or the map is {}", read.0, current.0)]
    Outdated {
        /// The revision that they were compared with.
        read: Revision,
        /// The map's.
        current: Revision,
    },
    /// Something already lies where it is to go.
    #[error("{shard} lies on {server} already")]
    AlreadyThere {
        /// The shard.
        shard: ShardId,
        /// The server.
        server: ServerId,
    },
}

/// What a name is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    /// A keyspace.
    Keyspace,
    /// A shard.
    Shard,
    /// A server.
    Server,
    /// A physical schema.
    Schema,
    /// A table.
    Table,
    /// A column.
    Column,
    /// An account.
    Account,
    /// A setting.
    Setting,
    /// A proxy.
    Proxy,
    /// A freeze.
    Freeze,
    /// A retired schema.
    RetiredSchema,
    /// An operation.
    Operation,
    /// A statement's text.
    Statement,
    /// A difference between the servers and the map.
    Finding,
}

impl Refusal {
    /// Whether the same command may be done later without anybody changing their mind.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Refusal::NotFounded
                | Refusal::Frozen { .. }
                | Refusal::Busy { .. }
                | Refusal::NotYet { .. }
                | Refusal::Outdated { .. }
        )
    }
}

impl Thing {
    fn with_article(self) -> String {
        match self {
            Thing::Account | Thing::Operation => format!("an {self}"),
            _ => format!("a {self}"),
        }
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Thing::Keyspace => "keyspace",
            Thing::Shard => "shard",
            Thing::Server => "server",
            Thing::Schema => "schema",
            Thing::Table => "table",
            Thing::Column => "column",
            Thing::Account => "account",
            Thing::Setting => "setting",
            Thing::Proxy => "proxy",
            Thing::Freeze => "freeze",
            Thing::RetiredSchema => "retired schema",
            Thing::Operation => "operation",
            Thing::Statement => "statement",
            Thing::Finding => "finding",
        })
    }
}

fn suggested(near: &Option<Box<str>>) -> String {
    near.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

fn listed<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn listed_names(names: &[Box<str>]) -> String {
    names.join(", ")
}
