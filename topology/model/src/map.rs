//! The map: one immutable picture of the cluster, by which a statement is routed from its first byte to its last. Changing it makes a
//! new map with a higher revision; nothing here reads or writes anything else.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Account, Keyspace, MySqlVersion, Name, NameRule, Server, ServerId, Shard, ShardIndex};

/// Counts the changes of the map: the topology's applied index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision(pub u64);

/// A picture of the cluster at one revision.
#[derive(Clone, Debug)]
pub struct Map {
    /// Which picture this is.
    pub revision: Revision,
    /// Rises when a keyspace's tables, columns or number of shards change: plans made before are not used after.
    pub schema_version: u64,
    /// How the servers compare names.
    pub names: NameRule,
    /// The servers.
    servers: BTreeMap<ServerId, Arc<Server>>,
    /// The accounts that may log in.
    pub accounts: Vec<Arc<Account>>,
    keyspaces: HashMap<Name, Arc<Keyspace>>,
    default_keyspace: Option<Name>,
    lowest_version: MySqlVersion,
}

/// Why a map cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// A shard lies on a server that the map does not have.
    #[error("keyspace {keyspace}: a shard lies on {server}, which is not in the map")]
    NoServer {
        /// The keyspace.
        keyspace: Name,
        /// The missing server.
        server: ServerId,
    },
    /// Two keyspaces have one name.
    #[error("there are two keyspaces {0}")]
    Twice(Name),
}

impl Map {
    /// A map without servers, keyspaces and accounts.
    pub fn empty(names: NameRule) -> Map {
        Map {
            revision: Revision(0),
            schema_version: 0,
            names,
            servers: BTreeMap::new(),
            accounts: Vec::new(),
            keyspaces: HashMap::new(),
            default_keyspace: None,
            lowest_version: MySqlVersion::FLOOR,
        }
    }

    /// Adds a keyspace, or puts this one in the place of the one with its name.
    pub fn put_keyspace(&mut self, keyspace: Keyspace) -> Result<(), MapError> {
        let missing = keyspace.shards.iter().find(|shard| !self.servers.contains_key(&shard.server));
        if let Some(shard) = missing {
            return Err(MapError::NoServer { keyspace: keyspace.name, server: shard.server });
        }
        self.default_keyspace.get_or_insert_with(|| keyspace.name.clone());
        self.keyspaces.insert(keyspace.name.clone(), Arc::new(keyspace));
        Ok(())
    }

    /// Adds or replaces a server.
    pub fn put_server(&mut self, server: Server) {
        self.servers.insert(server.id, Arc::new(server));
        self.find_lowest_version();
    }

    /// Forgets a server.
    pub fn remove_server(&mut self, id: ServerId) {
        self.servers.remove(&id);
        self.find_lowest_version();
    }

    fn find_lowest_version(&mut self) {
        let versions = self.servers.values().map(|server| server.parsed_version());
        self.lowest_version = versions.min().unwrap_or(MySqlVersion::FLOOR);
    }

    /// The server with this number.
    pub fn server(&self, id: ServerId) -> Option<&Arc<Server>> {
        self.servers.get(&id)
    }

    /// The servers, lowest number first.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.servers.values()
    }

    /// The keyspace with this name.
    pub fn keyspace(&self, name: &Name) -> Option<&Arc<Keyspace>> {
        self.keyspaces.get(name.key())
    }

    /// The keyspace with this name, spelled as the servers' rule allows.
    pub fn keyspace_spelled(&self, name: &str) -> Option<&Arc<Keyspace>> {
        let folded: Cow<'_, str> = self.names.fold(name);
        self.keyspaces.get(folded.as_ref())
    }

    /// All keyspaces, in no order.
    pub fn keyspaces(&self) -> impl Iterator<Item = &Arc<Keyspace>> {
        self.keyspaces.values()
    }

    /// Where statements go that name no keyspace: the one that was declared first.
    pub fn default_keyspace(&self) -> Option<&Arc<Keyspace>> {
        self.default_keyspace.as_ref().and_then(|name| self.keyspace(name))
    }

    /// Where a shard of `keyspace` lies.
    pub fn place<'a>(
        &'a self,
        keyspace: &'a Keyspace,
        index: ShardIndex,
    ) -> Option<(&'a Arc<Server>, &'a Shard)> {
        let shard = keyspace.shard(index)?;
        Some((self.servers.get(&shard.server)?, shard))
    }

    /// The account that a client from `host` logs in to as `user`: the most specific host wins, a named user before the anonymous one.
    pub fn account(&self, user: &str, host: &str) -> Option<&Arc<Account>> {
        let fits = |account: &&Arc<Account>| {
            (&*account.name.user == user || account.name.user.is_empty()) && account.name.host.matches(host)
        };
        self.accounts
            .iter()
            .filter(fits)
            .max_by_key(|account| (account.name.host.specificity(), !account.name.user.is_empty()))
    }

    /// The lowest version among the servers: what version comments are read by.
    pub fn lowest_version(&self) -> MySqlVersion {
        self.lowest_version
    }

    /// Whether one server holds all there is, so that every statement can go there whole.
    pub fn is_one_server(&self) -> bool {
        let mut shards = self.keyspaces.values().flat_map(|keyspace| keyspace.shards.iter());
        let first = shards.next().map(|shard| shard.server);
        self.keyspaces.values().all(|keyspace| keyspace.is_single())
            && shards.all(|shard| Some(shard.server) == first)
    }
}
