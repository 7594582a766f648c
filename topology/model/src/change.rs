//! What becomes different between two maps: each change sets or removes one thing that watchers see, so that a changed table costs bytes,
//! whatever else the cluster holds. A whole map is a list of changes too ([`Map::as_changes`](crate::Map::as_changes)). Nothing is applied here:
//! that is [`Map::changed`](crate::Map::changed).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Account, AccountName, Drift, DriftSubject, FreezeId, KeyspaceRecord, Name, NameRule, Revision, Server,
    ServerId, Shard, ShardIndex, Table,
};

/// One thing set or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A whole map follows: whatever was there before is forgotten.
    Anew {
        /// How the servers compare names.
        names: NameRule,
        /// [`Map::schema_version`](crate::Map::schema_version) of the map that follows.
        schema_version: u64,
    },
    /// A keyspace with its shards and slots. Its tables, if it was there before, stay.
    Keyspace(KeyspaceRecord),
    /// A keyspace is gone, with its tables.
    KeyspaceRemoved(Name),
    /// Where statements go that name no keyspace.
    DefaultKeyspace(Option<Name>),
    /// One shard of a keyspace: it has another owner, or is frozen, or is no longer.
    Shard {
        /// The keyspace.
        keyspace: Name,
        /// The shard's place in it.
        index: ShardIndex,
        /// The shard.
        shard: Shard,
        /// The freeze that holds new statements for it, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        freeze: Option<FreezeId>,
    },
    /// A table declared or altered.
    Table {
        /// Its keyspace.
        keyspace: Name,
        /// The table.
        table: Arc<Table>,
    },
    /// A table that nobody declares any more.
    TableRemoved {
        /// Its keyspace.
        keyspace: Name,
        /// Its name.
        table: Name,
    },
    /// Blocks of a table's AUTO_INCREMENT numbers that were reserved under an older generation are void.
    SequenceGeneration {
        /// The table's keyspace.
        keyspace: Name,
        /// The table.
        table: Name,
        /// The generation from now on; only rises.
        generation: u64,
    },
    /// Statements that name a table wait: an operation is about to change what the name stands for.
    Held {
        /// The table's keyspace.
        keyspace: Name,
        /// The name, of a table that there is or will be.
        table: Name,
        /// The number of the operation; `None`: they wait no more.
        by: Option<u64>,
    },
    /// A server added, or answering elsewhere, or another one in its place.
    Server(Arc<Server>),
    /// A server that left.
    ServerRemoved(ServerId),
    /// An account made or altered.
    Account(Arc<Account>),
    /// An account that may no longer log in.
    AccountRemoved(AccountName),
    /// What may be done under an account has changed on the servers, or may have; `None`: under any account.
    Rights {
        /// The account.
        account: Option<AccountName>,
        /// The revision of that.
        since: Revision,
    },
    /// What differs on the servers from what the map says; `None`: nothing any more.
    Drift {
        /// Of what.
        subject: DriftSubject,
        /// The difference.
        drift: Option<Arc<Drift>>,
    },
    /// A setting; `None`: its default counts.
    Setting {
        /// The setting's name.
        name: Box<str>,
        /// The value, as typed.
        value: Option<Box<str>>,
    },
}

impl Change {
    /// Whether plans made before it must not be used after it: tables, columns, what may be pinned by or the number of shards differ.
    pub fn is_of_schema(&self) -> bool {
        matches!(
            self,
            Change::Anew { .. }
                | Change::Keyspace(_)
                | Change::KeyspaceRemoved(_)
                | Change::DefaultKeyspace(_)
                | Change::Table { .. }
                | Change::TableRemoved { .. }
                | Change::Held { .. }
                | Change::Drift { .. }
        )
    }
}
