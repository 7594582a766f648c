//! The map: one immutable picture of the cluster, by which a statement is routed from its first byte to its last. Changing it makes a
//! new map with a higher revision; nothing here reads or writes anything else.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::change::Change;
use crate::{
    Account, AccountName, Drift, DriftSubject, Keyspace, KeyspaceError, MySqlVersion, Name, NameRule,
    Revision, Server, ServerId, Shard, ShardIndex, Table, parse_span,
};

/// Of how many accounts it is known apart since when their rights are as they are.
const MAX_RIGHTS: usize = 10_000;

/// A picture of the cluster at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Which picture this is.
    pub revision: Revision,
    /// Rises when a keyspace's tables, columns or number of shards change: plans made before are not used after. [`Map::changed`] sets it to
    /// the revision of such a change.
    pub schema_version: u64,
    /// How the servers compare names.
    pub names: NameRule,
    /// The servers.
    servers: BTreeMap<ServerId, Arc<Server>>,
    /// The accounts that may log in.
    pub accounts: Vec<Arc<Account>>,
    /// Since when what may be done under an account is as it is: for all accounts, and for those where it changed later.
    rights: (Revision, BTreeMap<AccountName, Revision>),
    keyspaces: HashMap<Name, Arc<Keyspace>>,
    default_keyspace: Option<Name>,
    /// The settings that differ from their defaults.
    settings: BTreeMap<Box<str>, Box<str>>,
    /// What differs on the servers from all of this.
    drifts: BTreeMap<DriftSubject, Arc<Drift>>,
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
    /// A keyspace cannot be so.
    #[error(transparent)]
    Keyspace(#[from] KeyspaceError),
    /// A change is of a keyspace that the map does not have: a change before it was missed.
    #[error("a change is of keyspace {0}, which is not in the map")]
    NoKeyspace(Name),
    /// A change is of a shard that the map does not have: a change before it was missed.
    #[error("a change is of shard {} of keyspace {keyspace}, which is not in the map", index.0)]
    NoShard {
        /// The keyspace.
        keyspace: Name,
        /// The missing shard's place.
        index: ShardIndex,
    },
    /// Revisions only rise.
    #[error("changes of revision {} came after revision {}", offered.0, current.0)]
    Stale {
        /// The revision of the changes.
        offered: Revision,
        /// The map's.
        current: Revision,
    },
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
            rights: Default::default(),
            keyspaces: HashMap::new(),
            default_keyspace: None,
            settings: BTreeMap::new(),
            drifts: BTreeMap::new(),
            lowest_version: MySqlVersion::FLOOR,
        }
    }

    /// The map after these changes, at their revision. It shares with this one what they do not touch. An error says that a change before
    /// these was missed, or that they are not of this cluster: a whole map is needed then.
    pub fn changed(&self, revision: Revision, changes: &[Change]) -> Result<Map, MapError> {
        if revision <= self.revision {
            return Err(MapError::Stale { offered: revision, current: self.revision });
        }
        let mut next = self.clone();
        next.revision = revision;
        if changes.iter().any(Change::is_of_schema) {
            next.schema_version = revision.0;
        }
        for change in changes {
            next.apply(change)?;
        }
        if let Some(Change::Anew { schema_version, .. }) = changes.first() {
            next.schema_version = *schema_version;
        }
        for keyspace in next.keyspaces.values() {
            next.check_servers(keyspace)?;
        }
        Ok(next)
    }

    /// The whole map as changes: [`Map::changed`] makes the same map of them, from any map.
    pub fn as_changes(&self) -> Vec<Change> {
        let mut changes = vec![Change::Anew { names: self.names, schema_version: self.schema_version }];
        changes.extend(self.servers.values().cloned().map(Change::Server));
        changes.extend(self.accounts.iter().cloned().map(Change::Account));
        if self.rights.0 > Revision(0) {
            changes.push(Change::Rights { account: None, since: self.rights.0 });
        }
        let rights = self.rights.1.iter();
        changes.extend(
            rights.map(|(name, since)| Change::Rights { account: Some(name.clone()), since: *since }),
        );
        let mut keyspaces: Vec<&Arc<Keyspace>> = self.keyspaces.values().collect();
        keyspaces.sort_by_key(|keyspace| &keyspace.name);
        for keyspace in keyspaces {
            let name = || keyspace.name.clone();
            changes.push(Change::Keyspace(keyspace.record()));
            let mut tables: Vec<&Arc<Table>> = keyspace.tables.values().collect();
            tables.sort_by_key(|table| &table.name);
            let tables = tables.into_iter();
            changes.extend(tables.map(|table| Change::Table { keyspace: name(), table: table.clone() }));
            changes.extend(keyspace.sequence_generations().map(|(table, generation)| {
                Change::SequenceGeneration { keyspace: name(), table: table.clone(), generation }
            }));
            let held = keyspace.held_names();
            changes.extend(held.map(|(table, by)| Change::Held {
                keyspace: name(),
                table: table.clone(),
                by: Some(by),
            }));
        }
        changes.push(Change::DefaultKeyspace(self.default_keyspace.clone()));
        changes.extend(
            self.settings
                .iter()
                .map(|(name, value)| Change::Setting { name: name.clone(), value: Some(value.clone()) }),
        );
        changes.extend(
            self.drifts.iter().map(|(subject, drift)| Change::Drift {
                subject: subject.clone(),
                drift: Some(drift.clone()),
            }),
        );
        changes
    }

    fn apply(&mut self, change: &Change) -> Result<(), MapError> {
        match change {
            Change::Anew { names, .. } => *self = Map { revision: self.revision, ..Map::empty(*names) },
            Change::Keyspace(record) => {
                let mut keyspace = Keyspace::from_record(record)?;
                if let Some(known) = self.keyspaces.get(record.name.key()) {
                    keyspace.keep_tables_of(known);
                }
                self.keyspaces.insert(keyspace.name.clone(), Arc::new(keyspace));
            }
            Change::KeyspaceRemoved(name) => {
                self.keyspaces.remove(name.key());
                self.drifts.retain(|subject, _| subject.keyspace() != Some(name));
                self.default_keyspace.take_if(|default| default == name);
            }
            Change::DefaultKeyspace(name) => self.default_keyspace.clone_from(name),
            Change::Shard { keyspace, index, shard, freeze } => {
                let keyspace = self.keyspace_mut(keyspace)?;
                let Some(known) = keyspace.shards.get_mut(usize::from(index.0)) else {
                    return Err(MapError::NoShard { keyspace: keyspace.name.clone(), index: *index });
                };
                known.clone_from(shard);
                keyspace.set_freeze(*index, *freeze);
            }
            Change::Table { keyspace, table } => {
                let tables = &mut self.keyspace_mut(keyspace)?.tables;
                // The name's spelling may have changed, which an insert alone would not take over.
                tables.remove(table.name.key());
                tables.insert(table.name.clone(), table.clone());
            }
            Change::TableRemoved { keyspace, table } => {
                let subject = DriftSubject::Table { keyspace: keyspace.clone(), table: table.clone() };
                self.drifts.remove(&subject);
                let keyspace = self.keyspace_mut(keyspace)?;
                keyspace.tables.remove(table.key());
                keyspace.set_sequence_generation(table.clone(), 0);
            }
            Change::SequenceGeneration { keyspace, table, generation } => {
                self.keyspace_mut(keyspace)?.set_sequence_generation(table.clone(), *generation);
            }
            Change::Held { keyspace, table, by } => {
                self.keyspace_mut(keyspace)?.set_held(table.clone(), *by);
            }
            Change::Server(server) => {
                self.servers.insert(server.id, server.clone());
                self.find_lowest_version();
            }
            Change::ServerRemoved(id) => {
                self.drifts.remove(&DriftSubject::Server(*id));
                self.remove_server(*id);
            }
            Change::Account(account) => self.put_account(account),
            Change::AccountRemoved(name) => {
                self.accounts.retain(|account| account.name != *name);
                // Whoever gets the name next may be somebody else.
                self.note_rights(name, self.revision);
            }
            Change::Rights { account: None, since } => self.rights = (*since, BTreeMap::new()),
            Change::Rights { account: Some(name), since } => self.note_rights(name, *since),
            Change::Drift { subject, drift } => self.note_drift(subject, drift.as_ref()),
            Change::Setting { name, value: Some(value) } => {
                self.settings.insert(name.clone(), value.clone());
            }
            Change::Setting { name, value: None } => {
                self.settings.remove(name);
            }
        }
        Ok(())
    }

    fn note_drift(&mut self, subject: &DriftSubject, drift: Option<&Arc<Drift>>) {
        match drift {
            Some(drift) => self.drifts.insert(subject.clone(), drift.clone()),
            None => self.drifts.remove(subject),
        };
    }

    fn keyspace_mut(&mut self, name: &Name) -> Result<&mut Keyspace, MapError> {
        let keyspace = self.keyspaces.get_mut(name.key());
        keyspace.map(Arc::make_mut).ok_or_else(|| MapError::NoKeyspace(name.clone()))
    }

    /// Adds or replaces an account; among others that stand in their names' order, it does too.
    fn put_account(&mut self, account: &Arc<Account>) {
        let name: &AccountName = &account.name;
        match self.accounts.iter_mut().find(|known| known.name == *name) {
            Some(known) => known.clone_from(account),
            None => {
                let place = self.accounts.partition_point(|known| known.name < *name);
                self.accounts.insert(place, account.clone());
            }
        }
    }

    fn note_rights(&mut self, account: &AccountName, since: Revision) {
        self.rights.1.insert(account.clone(), since);
        if self.rights.1.len() > MAX_RIGHTS {
            self.rights = (since, BTreeMap::new());
        }
    }

    fn check_servers(&self, keyspace: &Keyspace) -> Result<(), MapError> {
        let missing = keyspace.shards.iter().find(|shard| !self.servers.contains_key(&shard.server));
        missing.map_or(Ok(()), |shard| {
            Err(MapError::NoServer { keyspace: keyspace.name.clone(), server: shard.server })
        })
    }

    /// Adds a keyspace, or puts this one in the place of the one with its name.
    pub fn put_keyspace(&mut self, keyspace: Keyspace) -> Result<(), MapError> {
        self.check_servers(&keyspace)?;
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

    /// Since which revision what may be done under this account is as it is: a connection that was opened before is not to be used after.
    pub fn rights_since(&self, account: &AccountName) -> Revision {
        self.rights.1.get(account).copied().unwrap_or_default().max(self.rights.0)
    }

    /// The lowest version among the servers: what version comments are read by.
    pub fn lowest_version(&self) -> MySqlVersion {
        self.lowest_version
    }

    /// The settings that differ from their defaults, by name.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(name, value)| (&**name, &**value))
    }

    /// What a setting was set to; `None`: its default counts.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(|value| &**value)
    }

    /// A setting that is a time, where it was set.
    pub fn span(&self, name: &str) -> Option<Duration> {
        self.setting(name).and_then(parse_span)
    }

    /// What differs on the servers from this map.
    pub fn drifts(&self) -> impl Iterator<Item = (&DriftSubject, &Arc<Drift>)> {
        self.drifts.iter()
    }

    /// What differs on the servers of a table or a server.
    pub fn drift(&self, subject: &DriftSubject) -> Option<&Arc<Drift>> {
        self.drifts.get(subject)
    }

    /// Why nothing may be routed by the sharding key of a table, if that is so.
    pub fn unpinned(&self, keyspace: &Name, table: &Name) -> Option<&Arc<Drift>> {
        if self.drifts.is_empty() {
            return None;
        }
        let subject = DriftSubject::Table { keyspace: keyspace.clone(), table: table.clone() };
        self.drift(&subject).filter(|drift| drift.stops_pinning)
    }

    /// Whether servers have schemas that are not called as a keyspace is, or several keyspaces' schemas: names in texts that only a server reads
    /// could then stand for something else than clients are shown.
    pub fn has_hidden_schemas(&self) -> bool {
        let is_hidden =
            |keyspace: &Keyspace| keyspace.shards.iter().any(|shard| shard.schema != keyspace.name);
        self.keyspaces.len() > 1 || self.keyspaces.values().any(|keyspace| is_hidden(keyspace))
    }

    /// Whether one server holds all there is, so that every statement can go there whole.
    pub fn is_one_server(&self) -> bool {
        let mut shards = self.keyspaces.values().flat_map(|keyspace| keyspace.shards.iter());
        let first = shards.next().map(|shard| shard.server);
        self.keyspaces.values().all(|keyspace| keyspace.is_single())
            && shards.all(|shard| Some(shard.server) == first)
    }
}
