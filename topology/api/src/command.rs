//! What the topology can be told to do: every change of its state is one of these commands, proposed by a named client under a sequence number, so
//! that a retry is known. Nothing is decided here; what a command is answered stands in [`answer`](crate::Done) and [`refusal`](crate::Refusal).
//!
//! Names are as somebody typed them: how they compare is the cluster's rule, which the state applies.

use std::fmt;

use podway_model::{
    Account, AccountName, ClusterSecret, Column, FreezeId, HybridTime, KeyRange, NameRule, Revision,
    ServerId, ShardId, Table,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::clock_report::ClockReport;
use crate::drift::DriftCommand;
use crate::incarnation::{Incarnation, LogTime};
use crate::operation::OperationCommand;
use crate::secret::Secret;

/// Who proposes: chosen at random by each client process, so that its retries are known as such.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u128);

/// A command under the number that makes a retry of it known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The client that proposes.
    pub client: ClientId,
    /// Rises with each command of the client, and stays for its retries.
    pub sequence: u64,
    /// The person or part of Podway behind it, for the log of changes.
    pub who: Box<str>,
    /// What is to be done.
    pub command: Command,
}

/// One change of the topology's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// The first command of a cluster: gives it its secret. Later ones are refused.
    Found {
        /// From which Podway's own passwords on the servers are derived.
        secret: ClusterSecret,
    },
    /// Of keyspaces and their shards.
    Keyspace(KeyspaceCommand),
    /// Of freezes and retired schemas.
    Shard(ShardCommand),
    /// Of MySQL servers.
    Server(ServerCommand),
    /// Of tables.
    Table(TableCommand),
    /// Of accounts.
    Account(AccountCommand),
    /// Of settings.
    Setting(SettingCommand),
    /// Of proxies and their leases.
    Proxy(ProxyCommand),
    /// Of AUTO_INCREMENT numbers.
    Sequence(SequenceCommand),
    /// Of work that takes many steps.
    Operation(OperationCommand),
    /// Of what differs on the servers from the map.
    Drift(DriftCommand),
}

/// Of keyspaces and their shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyspaceCommand {
    /// Makes a keyspace.
    Create {
        /// Its name.
        name: Box<str>,
        /// Its shards. None or all of them name their ranges; none: the slots are cut evenly, in the shards' order.
        shards: Vec<NewShard>,
        /// Which of them is home.
        #[serde(default)]
        home: u16,
    },
    /// Adds shards to a keyspace without sharded and reference tables, and cuts the slots evenly anew. The home shard stays home.
    Spread {
        /// The keyspace.
        name: Box<str>,
        /// The further shards, without ranges.
        shards: Vec<NewShard>,
    },
    /// Forgets a keyspace; its schemas stay on the servers.
    Drop {
        /// Its name.
        name: Box<str>,
        /// Also if tables are declared in it.
        #[serde(default)]
        with_tables: bool,
    },
    /// Makes a keyspace the one for statements that name none.
    MakeDefault {
        /// Its name.
        name: Box<str>,
    },
}

/// A shard that is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewShard {
    /// The server's name.
    pub server: Box<str>,
    /// The physical schema; `None`: the keyspace's name.
    #[serde(default)]
    pub schema: Option<Box<str>>,
    /// The slots it owns.
    #[serde(default)]
    pub ranges: Vec<KeyRange>,
}

/// Of freezes and retired schemas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardCommand {
    /// Has proxies hold new statements for a shard.
    Freeze {
        /// The shard.
        shard: ShardId,
    },
    /// Ends a freeze that no operation holds.
    Unfreeze {
        /// The freeze.
        freeze: FreezeId,
    },
    /// Forgets a retired schema, which was dropped from its server.
    ForgetRetired {
        /// The server's name.
        server: Box<str>,
        /// The schema.
        schema: Box<str>,
    },
    /// Has a retired schema dropped before its retention is over.
    DropRetired {
        /// The server's name.
        server: Box<str>,
        /// The schema.
        schema: Box<str>,
    },
    /// A leader tells what became of a retired schema that it was to drop.
    ReportRetired {
        /// The server.
        server: ServerId,
        /// The schema.
        schema: Box<str>,
        /// Since when it is retired: a report about an earlier one of this name is not listened to.
        since: LogTime,
        /// What became of it.
        report: RetiredReport,
    },
}

/// What became of a retired schema that was to be dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetiredReport {
    /// It is no more.
    Dropped,
    /// It is still there.
    Stays {
        /// Why, without secrets.
        reason: Box<str>,
    },
}

/// Of MySQL servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerCommand {
    /// Adds a server.
    Add {
        /// Its name for people, as host names are spelled.
        name: Box<str>,
        /// Where it answers and what it is.
        facts: ServerFacts,
        /// As whom Podway administers it.
        admin: AdminAccount,
    },
    /// Removes a server that holds no shard.
    Remove {
        /// Its name.
        name: Box<str>,
    },
    /// The same server, at another address or of another version.
    Update {
        /// Its name.
        name: Box<str>,
        /// Where it answers now; the uuid must be the known one.
        facts: ServerFacts,
    },
    /// Another primary in a server's place: its promoted replica. Each of its shards changes its epoch.
    Promote {
        /// Its name.
        name: Box<str>,
        /// `@@server_uuid` of the primary that it was: refused if that is no longer so.
        from_uuid: Box<str>,
        /// The promoted server.
        facts: ServerFacts,
    },
    /// Changes as whom Podway administers a server.
    SetAdmin {
        /// Its name.
        name: Box<str>,
        /// The account.
        admin: AdminAccount,
    },
}

/// What a server says of itself, and where it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// Host name or address.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// `@@server_uuid`.
    pub uuid: Box<str>,
    /// `@@version`.
    pub version: Box<str>,
    /// How it compares names: `@@lower_case_table_names`.
    pub names: NameRule,
}

/// As whom Podway administers a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminAccount {
    /// The user.
    pub user: Box<str>,
    /// Its password.
    pub password: Secret,
}

/// Of tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableCommand {
    /// Says where a table's rows lie. A table that is known differently is refused: altering and forgetting are commands of their own.
    Declare {
        /// Its keyspace.
        keyspace: Box<str>,
        /// The table, checked by the router's rules for keys already.
        table: Table,
        /// The number that its AUTO_INCREMENT column is to go on with, where the shards have one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<u64>,
    },
    /// Takes over columns as a DDL statement left them. The sharding key stays as it is.
    Alter {
        /// Its keyspace.
        keyspace: Box<str>,
        /// Its name.
        table: Box<str>,
        /// All its columns, in their order.
        columns: Vec<Column>,
    },
    /// A table that a DDL statement renamed; its numbers go on.
    Rename {
        /// Its keyspace.
        keyspace: Box<str>,
        /// Its name.
        table: Box<str>,
        /// Its name from now on.
        to: Box<str>,
    },
    /// Forgets a table that was dropped, or that is to be an undeclared one.
    Forget {
        /// Its keyspace.
        keyspace: Box<str>,
        /// Its name.
        table: Box<str>,
    },
}

/// Of accounts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountCommand {
    /// Adds an account that is not there yet.
    Create(Account),
    /// Changes one that is there.
    Alter(Account),
    /// Adds or changes: for accounts as the servers have them.
    Adopt(Account),
    /// Removes one.
    Drop(AccountName),
}

/// Of settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingCommand {
    /// Sets one.
    Set {
        /// Its name.
        name: Box<str>,
        /// The value, as typed.
        value: Box<str>,
    },
    /// Back to the default.
    Reset {
        /// Its name.
        name: Box<str>,
    },
}

/// Of proxies and their leases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyCommand {
    /// Gives a proxy an incarnation number and a lease.
    Register(ProxyInfo),
    /// What many proxies reported since the last one of these, and the end of leases by the log's time. The leader proposes it at least every
    /// [`BEAT_GAP_MS`](crate::BEAT_GAP_MS), also if nobody reported: time in which nobody could is not held against a lease. Needs no sequence number.
    Beats(Vec<Beat>),
    /// A proxy leaves in order: it runs nothing any more.
    Deregister {
        /// Which.
        incarnation: Incarnation,
    },
    /// A proxy whose lease ended has no thread on any server any more.
    ShutOut {
        /// Which.
        incarnation: Incarnation,
    },
}

/// What a proxy says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyInfo {
    /// Its name for people.
    pub name: Box<str>,
    /// Where clients connect.
    pub address: Box<str>,
    /// Its version of Podway.
    pub version: Box<str>,
}

/// One proxy's heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Who.
    pub incarnation: Incarnation,
    /// The revision of the map that new statements take.
    pub applied: Revision,
    /// No statement that began under an older map than this is running.
    #[serde(default)]
    pub settled: Revision,
    /// Its hybrid clock when it was sent.
    #[serde(default)]
    pub clock: HybridTime,
    /// What it knows of its machine's clock.
    #[serde(default)]
    pub clocks: ClockReport,
    /// The freezes for which no statement or transaction that may touch the shard under an older map is running: all that still last.
    #[serde(default)]
    pub drained: Vec<FreezeId>,
}

/// Of the AUTO_INCREMENT numbers of a sharded table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceCommand {
    /// The table's keyspace.
    pub keyspace: Box<str>,
    /// The table.
    pub table: Box<str>,
    /// What to do.
    pub step: SequenceStep,
}

/// What to do with a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SequenceStep {
    /// Gives a proxy a block of numbers. By asking for a third one it says that its oldest is used up.
    Reserve {
        /// For whom.
        incarnation: Incarnation,
        /// How many.
        count: u64,
    },
    /// No number up to this one is given out from now on. Blocks that were given stay good.
    Advance {
        /// The highest number in use.
        to: u64,
    },
    /// Makes numbers free for whoever inserts them explicitly: if one is above the mark, the mark advances; if one is inside a block of another
    /// proxy, the table's blocks become void.
    Claim {
        /// Who wants to insert them.
        incarnation: Incarnation,
        /// The number, or the lowest of several.
        value: u64,
        /// The highest of several; none lies outside these two.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        through: Option<u64>,
    },
    /// The next number from now on, also if it is lower; all blocks become void. For `AUTO_INCREMENT = n` and TRUNCATE.
    Restart {
        /// The next number.
        next: u64,
    },
}

impl TableCommand {
    /// The keyspace and the table that it is about.
    pub fn subject(&self) -> (&str, &str) {
        match self {
            TableCommand::Declare { keyspace, table, .. } => (keyspace, table.name.as_str()),
            TableCommand::Alter { keyspace, table, .. }
            | TableCommand::Rename { keyspace, table, .. }
            | TableCommand::Forget { keyspace, table } => (keyspace, table),
        }
    }
}

impl Command {
    /// Whether doing it twice is doing it once anyway, so that answers need not be remembered.
    pub fn is_idempotent(&self) -> bool {
        matches!(self, Command::Proxy(ProxyCommand::Beats(_)))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({self})")
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ClientId, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(ClientId).map_err(de::Error::custom)
    }
}
