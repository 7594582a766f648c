//! What a reader may see of the topology: everything but secrets. Nothing in these types can hold one.

use podway_model::{
    AccountName, AuthPlugin, DriftSubject, Epoch, FreezeId, HybridTime, KeyRange, Name, Revision, ServerId,
    ShardId, Table,
};
use serde::{Deserialize, Serialize};

use crate::clock_report::ClockReport;
use crate::incarnation::{Incarnation, LogTime};
use crate::operation::Operation;

/// The topology's state as a reader may see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// The index of the last command that changed something that watchers see.
    pub revision: Revision,
    /// The time of the last command.
    pub time: LogTime,
    /// Whether the cluster has its secret.
    pub is_founded: bool,
    /// By name.
    pub keyspaces: Vec<KeyspaceView>,
    /// Where statements go that name no keyspace.
    pub default_keyspace: Option<Name>,
    /// By number.
    pub servers: Vec<ServerView>,
    /// By name.
    pub accounts: Vec<AccountView>,
    /// By incarnation.
    pub proxies: Vec<ProxyView>,
    /// All that there are, by name.
    pub settings: Vec<SettingView>,
    /// Those that go on and the last that ended, oldest first.
    pub operations: Vec<Operation>,
    /// Schemas that were fenced off and may be dropped, oldest first.
    pub retired: Vec<RetiredSchema>,
    /// What differs on the servers from all of this.
    pub drifts: Vec<DriftView>,
    /// When that was looked at.
    pub checks: ChecksView,
    /// The last changes, oldest first.
    pub log: Vec<Logged>,
}

/// A keyspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyspaceView {
    /// Its name.
    pub name: Name,
    /// The home shard.
    pub home: ShardId,
    /// Its shards, in their order.
    pub shards: Vec<ShardView>,
    /// Its tables, by name.
    pub tables: Vec<TableView>,
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardView {
    /// Its number.
    pub id: ShardId,
    /// The server that holds it.
    pub server: ServerId,
    /// The physical schema there.
    pub schema: Name,
    /// How often it changed its owner.
    pub epoch: Epoch,
    /// Its slots.
    pub ranges: Vec<KeyRange>,
    /// The freeze that holds new statements for it.
    #[serde(default)]
    pub freeze: Option<FreezeId>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableView {
    /// The table.
    pub table: Table,
    /// Its AUTO_INCREMENT numbers, if it is sharded and has such a column.
    #[serde(default)]
    pub sequence: Option<SequenceView>,
}

/// A sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceView {
    /// The next number that is given out.
    pub next: u64,
    /// How often its blocks became void.
    pub generation: u64,
    /// How many blocks proxies hold.
    pub blocks: u64,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerView {
    /// Its number.
    pub id: ServerId,
    /// Its name for people.
    pub name: Box<str>,
    /// Host name or address.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// `@@server_uuid`.
    pub uuid: Box<str>,
    /// `@@version`.
    pub version: Box<str>,
    /// As which user Podway administers it.
    pub admin: Box<str>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Its name.
    pub name: AccountName,
    /// How it proves who it is.
    pub plugin: AuthPlugin,
    /// Whether it must come over TLS.
    pub requires_tls: bool,
    /// Whether it is locked.
    pub locked: bool,
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyView {
    /// Its number.
    pub incarnation: Incarnation,
    /// Its name for people.
    pub name: Box<str>,
    /// Where clients connect.
    pub address: Box<str>,
    /// Its version of Podway.
    pub version: Box<str>,
    /// When it registered.
    pub since: LogTime,
    /// When it was last heard.
    pub heard: LogTime,
    /// Whether it has a lease.
    pub lease: Lease,
    /// The revision of the map that its new statements take.
    pub applied: Revision,
    /// No statement that began under an older map than this is running on it.
    pub settled: Revision,
    /// Its hybrid clock when it was heard last.
    pub clock: HybridTime,
    /// What it knew of its machine's clock then.
    #[serde(default)]
    pub clocks: ClockReport,
    /// The freezes for which it has nothing under way.
    #[serde(default)]
    pub drained: Vec<FreezeId>,
}

/// Whether a proxy has a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lease {
    /// Until then, unless it is heard before.
    Until(LogTime),
    /// It ended; the proxy may have threads on servers yet.
    Ended,
    /// It ended, and the proxy has no thread on any server.
    ShutOut,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingView {
    /// Its name.
    pub name: Box<str>,
    /// What counts.
    pub value: Box<str>,
    /// What counts if nobody sets it.
    pub default: Box<str>,
    /// What it takes.
    pub takes: Box<str>,
    /// What it does.
    pub doc: Box<str>,
}

/// A physical schema that was a shard's until the shard moved away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredSchema {
    /// The server.
    pub server: ServerId,
    /// The schema.
    pub schema: Name,
    /// The shard that it was.
    pub shard: ShardId,
    /// Since when.
    pub since: LogTime,
    /// Whether it is to be dropped before its retention is over.
    #[serde(default)]
    pub is_unwanted: bool,
    /// Why it could not be dropped when it was tried last.
    #[serde(default)]
    pub trouble: Option<Box<str>>,
}

/// What differs on the servers from the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftView {
    /// Of what.
    pub subject: DriftSubject,
    /// In what, as a sentence.
    pub what: Box<str>,
    /// Since when it is known.
    pub since: LogTime,
    /// Whether statements are refused because a sharding key is not what it was declared as.
    pub stops_pinning: bool,
}

/// When the servers were compared with the map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChecksView {
    /// The number of the last request for a comparison.
    pub asked: u64,
    /// Up to which request it was done.
    pub answered: u64,
    /// When it was done last.
    pub at: Option<LogTime>,
    /// What could not be looked at then, as sentences.
    pub unread: Vec<Box<str>>,
}

/// A line of the log of changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// The index of the command.
    pub revision: Revision,
    /// When, by the log's time.
    pub at: LogTime,
    /// Who.
    pub who: Box<str>,
    /// What, as a sentence.
    pub what: Box<str>,
}
