//! MySQL servers: their numbers, names and administrators. Where they answer and what they are is in the map. Nothing is asked of a server here:
//! what it said comes with the command.

use std::collections::BTreeMap;
use std::sync::Arc;

use podway_model::{Change, Epoch, Keyspace, Map, Server, ServerId, Shard, ShardIndex};
use podway_topology_api::{AdminAccount, Done, Refusal, ServerCommand, ServerFacts, ServerView, Thing};
use serde::{Deserialize, Serialize};

use super::names::{check_label, clipped, unknown};
use super::outcome::{Effect, Outcome};

/// How many servers there can be.
pub(super) const MAX_SERVERS: usize = 4_096;
/// The longest password of an administrator, in bytes.
const MAX_PASSWORD: usize = 1_024;

/// What the map does not say of servers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Servers {
    /// The highest number that was ever given.
    last: u32,
    known: BTreeMap<ServerId, Record>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    name: Box<str>,
    admin: AdminAccount,
}

impl Servers {
    /// Does a command. `check` refuses if an operation needs the server with this number and name as it is.
    pub(super) fn execute(
        &mut self,
        command: &ServerCommand,
        map: &Map,
        check: impl Fn(ServerId, &str) -> Result<(), Refusal>,
    ) -> Outcome {
        match command {
            ServerCommand::Add { name, facts, admin } => self.add(name, facts, admin, map),
            ServerCommand::Remove { name } => self.remove(name, map, check),
            ServerCommand::Update { name, facts } => self.update(name, facts, map),
            ServerCommand::Promote { name, from_uuid, facts } => {
                let id = self.find(name)?;
                check(id, &self.name(id))?;
                self.promote(id, from_uuid, facts, map)
            }
            ServerCommand::SetAdmin { name, admin } => self.set_admin(name, admin),
        }
    }

    /// The server with this name.
    pub(super) fn find(&self, name: &str) -> Result<ServerId, Refusal> {
        let found = self.known.iter().find(|(_, record)| record.name.eq_ignore_ascii_case(name));
        found
            .map(|(id, _)| *id)
            .ok_or_else(|| unknown(Thing::Server, name, self.known.values().map(|record| &*record.name)))
    }

    /// A server's name, or its number if it has none.
    pub(super) fn name(&self, id: ServerId) -> Box<str> {
        self.known.get(&id).map_or_else(|| id.to_string().into(), |record| record.name.clone())
    }

    /// As whom Podway administers a server.
    pub(super) fn admin(&self, id: ServerId) -> Option<&AdminAccount> {
        self.known.get(&id).map(|record| &record.admin)
    }

    pub(super) fn view(&self, map: &Map) -> Vec<ServerView> {
        let view = |server: &Arc<Server>| {
            let record = self.known.get(&server.id)?;
            Some(ServerView {
                id: server.id,
                name: record.name.clone(),
                host: server.host.clone(),
                port: server.port,
                uuid: server.uuid.clone(),
                version: server.version.clone(),
                admin: record.admin.user.clone(),
            })
        };
        map.servers().filter_map(view).collect()
    }

    fn add(&mut self, name: &str, facts: &ServerFacts, admin: &AdminAccount, map: &Map) -> Outcome {
        check_label(Thing::Server, name)?;
        check_admin(name, admin)?;
        if let Ok(id) = self.find(name) {
            let is_same = map.server(id).is_some_and(|known| **known == server(id, facts));
            return match is_same && self.admin(id) == Some(admin) {
                true => Ok(Effect::quiet(Done::Server(id))),
                false => Err(Refusal::Exists { what: Thing::Server, name: name.into() }),
            };
        }
        self.check_facts(name, facts, None, map)?;
        if self.known.len() >= MAX_SERVERS {
            return Err(Refusal::Full { what: Thing::Server, limit: MAX_SERVERS as u64 });
        }
        let mut changes = Vec::new();
        if facts.names != map.names {
            // The first server says how names compare: nothing is named under the rule yet.
            let anew = Change::Anew { names: facts.names, schema_version: map.schema_version };
            changes.push(anew);
            changes.extend(map.as_changes().into_iter().skip(1));
        }
        self.last += 1;
        let id = ServerId(self.last);
        let server = server(id, facts);
        let what = format!("server {name} added at {} as {id}", server.address());
        changes.push(Change::Server(Arc::new(server)));
        self.known.insert(id, Record { name: name.into(), admin: admin.clone() });
        Ok(Effect::new(Done::Server(id), changes, what))
    }

    fn remove(
        &mut self,
        name: &str,
        map: &Map,
        check: impl Fn(ServerId, &str) -> Result<(), Refusal>,
    ) -> Outcome {
        let id = self.find(name)?;
        let held: Vec<_> = shards_on(map, id).collect();
        if !held.is_empty() {
            let mut keyspaces: Vec<Box<str>> =
                held.iter().map(|(keyspace, _, _)| keyspace.name.as_str().into()).collect();
            keyspaces.sort();
            keyspaces.dedup();
            let mut shards: Vec<_> = held.iter().map(|(_, _, shard)| shard.id).collect();
            shards.sort();
            return Err(Refusal::HoldsShards { server: self.name(id), shards, keyspaces });
        }
        check(id, &self.name(id))?;
        let what = format!("server {} removed", self.name(id));
        self.known.remove(&id);
        Ok(Effect::new(Done::Changed, vec![Change::ServerRemoved(id)], what))
    }

    fn update(&mut self, name: &str, facts: &ServerFacts, map: &Map) -> Outcome {
        let id = self.find(name)?;
        let known = self.in_map(id, map)?;
        if known.uuid != facts.uuid {
            let reason = format!(
                "it is {}, not {}; another server takes its place by promotion",
                known.uuid, facts.uuid
            );
            return Err(self.refused(id, reason));
        }
        self.check_facts(name, facts, Some(id), map)?;
        let server = server(id, facts);
        if **known == server {
            return Ok(Effect::unchanged());
        }
        let what = format!("server {} is at {}, version {}", self.name(id), server.address(), server.version);
        Ok(Effect::new(Done::Changed, vec![Change::Server(Arc::new(server))], what))
    }

    fn promote(&mut self, id: ServerId, from_uuid: &str, facts: &ServerFacts, map: &Map) -> Outcome {
        let known = self.in_map(id, map)?;
        let promoted = server(id, facts);
        if **known == promoted {
            return Ok(Effect::unchanged());
        }
        if &*known.uuid != from_uuid {
            return Err(self.refused(id, format!("it is {}, no longer {from_uuid}", known.uuid)));
        }
        if facts.uuid == known.uuid {
            let reason = "a server cannot be promoted in its own place; update says where it answers";
            return Err(self.refused(id, reason.to_owned()));
        }
        self.check_facts(&self.name(id), facts, Some(id), map)?;
        let what = format!(
            "server {}: {} at {} promoted in the place of {from_uuid}",
            self.name(id),
            facts.uuid,
            promoted.address()
        );
        let mut changes = vec![Change::Server(Arc::new(promoted))];
        let mut held: Vec<_> = shards_on(map, id).collect();
        held.sort_by_key(|(_, _, shard)| shard.id);
        changes.extend(held.into_iter().map(|(keyspace, index, shard)| Change::Shard {
            keyspace: keyspace.name.clone(),
            index,
            shard: Shard { epoch: Epoch(shard.epoch.0 + 1), ..shard.clone() },
            freeze: keyspace.freeze(index),
        }));
        Ok(Effect::new(Done::Changed, changes, what))
    }

    fn set_admin(&mut self, name: &str, admin: &AdminAccount) -> Outcome {
        let id = self.find(name)?;
        check_admin(name, admin)?;
        let Some(record) = self.known.get_mut(&id).filter(|record| record.admin != *admin) else {
            return Ok(Effect::unchanged());
        };
        record.admin = admin.clone();
        let what = format!("server {} is administered as {}", self.name(id), clipped(&admin.user));
        Ok(Effect::new(Done::Changed, Vec::new(), what))
    }

    /// Whether a server can be what it says beside the others. `own` is the number under which it is known.
    fn check_facts(
        &self,
        name: &str,
        facts: &ServerFacts,
        own: Option<ServerId>,
        map: &Map,
    ) -> Result<(), Refusal> {
        let refused = |reason: String| Err(Refusal::Server { server: clipped(name), reason: reason.into() });
        check_label(Thing::Server, &facts.host)?;
        if facts.port == 0 {
            return refused("its port is 0".to_owned());
        }
        if facts.uuid.is_empty() || clipped(&facts.uuid) != facts.uuid {
            return refused("its server_uuid is empty or no uuid".to_owned());
        }
        if clipped(&facts.version) != facts.version {
            return refused("its version is too long".to_owned());
        }
        for other in map.servers().filter(|other| Some(other.id) != own) {
            if other.uuid == facts.uuid {
                return refused(format!(
                    "it has the server_uuid of {}: it is the same server, or a copy of its data directory; for a copy, remove its auto.cnf and restart it",
                    self.name(other.id)
                ));
            }
            if other.host == facts.host && other.port == facts.port {
                return refused(format!("{} answers at {}", self.name(other.id), other.address()));
            }
        }
        let is_only = map.servers().all(|other| Some(other.id) == own);
        if facts.names != map.names && !(is_only && own.is_none()) {
            return refused(
                "its lower_case_table_names is not that of the others; all must compare names alike"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn in_map<'a>(&self, id: ServerId, map: &'a Map) -> Result<&'a Arc<Server>, Refusal> {
        map.server(id).ok_or_else(|| unknown(Thing::Server, &self.name(id), []))
    }

    fn refused(&self, id: ServerId, reason: String) -> Refusal {
        Refusal::Server { server: self.name(id), reason: reason.into() }
    }
}

/// The shards that a server holds.
pub(super) fn shards_on(
    map: &Map,
    server: ServerId,
) -> impl Iterator<Item = (&Arc<Keyspace>, ShardIndex, &Shard)> {
    map.keyspaces().flat_map(move |keyspace| {
        let shards = keyspace.shards.iter().enumerate();
        let here = shards.filter(move |(_, shard)| shard.server == server);
        here.map(move |(index, shard)| (keyspace, ShardIndex(index as u16), shard))
    })
}

fn server(id: ServerId, facts: &ServerFacts) -> Server {
    Server {
        id,
        host: facts.host.clone(),
        port: facts.port,
        uuid: facts.uuid.clone(),
        version: facts.version.clone(),
    }
}

fn check_admin(server: &str, admin: &AdminAccount) -> Result<(), Refusal> {
    let refused = |reason: &str| Err(Refusal::Server { server: clipped(server), reason: reason.into() });
    if admin.user.is_empty() || clipped(&admin.user) != admin.user {
        return refused("its administrator's name is empty or too long");
    }
    if admin.password.reveal().len() > MAX_PASSWORD {
        return refused("its administrator's password is too long");
    }
    Ok(())
}
