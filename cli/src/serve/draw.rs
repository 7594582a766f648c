//! From a decided cluster file and what the servers say to a map, and which newer map may not take the place of an older one.
//! Read next: `reread`.

use podway_model::{Keyspace, Map, MapError, Revision, ShardIndex, Table, TableKind};

use super::accounts::Adoption;
use super::error::ServeError;
use super::keyspaces::{ShardNumbers, every_schema, read_keyspace};
use super::plan::ClusterPlan;
use super::servers::{ReachedServer, ServerNumbers, name_rule, prepare_transactions, reach_all};

/// Draws maps, one after another, of one cluster.
#[derive(Debug, Default)]
pub(super) struct Draughtsman {
    servers: ServerNumbers,
    shards: ShardNumbers,
}

impl Draughtsman {
    /// Asks the servers, adopts accounts, and draws the map that follows `previous`. `notes` are told what was found and done.
    pub(super) async fn draw(
        &mut self,
        plan: &ClusterPlan,
        previous: Option<&Map>,
        notes: &mut Vec<String>,
    ) -> Result<Map, ServeError> {
        let mut servers = reach_all(&plan.servers, &mut self.servers).await?;
        let mut map = Map::empty(name_rule(&servers));
        map.revision = Revision(previous.map_or(1, |map| map.revision.0 + 1));
        map.schema_version = previous.map_or(1, |map| map.schema_version + 1);
        for server in &servers {
            notes.push(format!(
                "server {}: {}, MySQL {}",
                server.name,
                server.server.address(),
                server.facts.version
            ));
            map.put_server(server.server.clone());
        }
        prepare_transactions(&mut servers, &plan.secret, notes).await?;
        let found = match &plan.keyspaces[..] {
            [] => every_schema(&mut servers[0]).await?,
            _ => Vec::new(),
        };
        let mut keyspaces: Vec<Keyspace> = Vec::new();
        for wanted in plan.keyspaces.iter().chain(&found) {
            let keyspace = read_keyspace(wanted, &mut servers, &mut self.shards, notes).await?;
            if keyspaces.iter().any(|known| known.name == keyspace.name) {
                return Err(MapError::Twice(keyspace.name).into());
            }
            notes.push(described(&keyspace, &servers));
            keyspaces.push(keyspace);
        }
        if let Some(previous) = previous {
            keyspaces.iter().try_for_each(|keyspace| rows_stay(previous, &map, keyspace))?;
        }
        let adoption = Adoption {
            users: &plan.users,
            secret: &plan.secret,
            plans: &plan.servers,
            shards: keyspaces.iter().flat_map(|keyspace| keyspace.shards.iter().cloned()).collect(),
        };
        map.accounts = adoption.adopt(&mut servers, notes).await?;
        keyspaces.into_iter().try_for_each(|keyspace| map.put_keyspace(keyspace))?;
        Ok(map)
    }
}

/// One line on a keyspace.
fn described(keyspace: &Keyspace, servers: &[ReachedServer]) -> String {
    let place = |index: usize| {
        let shard = &keyspace.shards[index];
        let server = servers.iter().find(|server| server.server.id == shard.server);
        format!("{}.{}", server.map_or("?", |server| &server.name), shard.schema)
    };
    if keyspace.is_single() {
        return format!("keyspace {}: {}, as it is", keyspace.name, place(0));
    }
    let ranges = |index: usize| {
        let ranges = keyspace.ranges(ShardIndex(index as u16));
        ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    let shards: Vec<String> =
        (0..keyspace.shards.len()).map(|index| format!("{} {}", place(index), ranges(index))).collect();
    let count =
        |is_one: fn(&TableKind) -> bool| keyspace.tables.values().filter(|table| is_one(&table.kind)).count();
    format!(
        "keyspace {}: {}; home is {}; tables: {} sharded, {} reference, {} at home, {} views",
        keyspace.name,
        shards.join(", "),
        place(usize::from(keyspace.home.0)),
        count(|kind| matches!(kind, TableKind::Sharded(_))),
        count(|kind| *kind == TableKind::Reference),
        count(|kind| *kind == TableKind::Home),
        count(|kind| *kind == TableKind::View),
    )
}

/// Refuses a keyspace in which rows that are there would be looked for elsewhere. A shard may have moved to another server, for whoever
/// wrote the file moved its rows; but where a key leads is as it was, for the same tables.
fn rows_stay(previous: &Map, next: &Map, keyspace: &Keyspace) -> Result<(), ServeError> {
    let Some(before) = previous.keyspace(&keyspace.name) else { return Ok(()) };
    let refused =
        |reason: String| Err(ServeError::RowsWouldBeLost { keyspace: keyspace.name.clone(), reason });
    for table in before.tables.values().filter(|table| matches!(table.kind, TableKind::Sharded(_))) {
        if keyspace.tables.get(&table.name).is_some_and(|now| !leads_alike(table, now)) {
            return refused(format!("table {} is to be sharded in another way", table.name));
        }
    }
    let is_spread = before
        .tables
        .values()
        .any(|table| matches!(table.kind, TableKind::Sharded(_) | TableKind::Reference));
    if is_spread && before.shards.len() != keyspace.shards.len() {
        return refused(format!(
            "it has {} shards and is to have {}",
            before.shards.len(),
            keyspace.shards.len()
        ));
    }
    let at = |map: &Map, keyspace: &Keyspace, index: usize| {
        map.place(keyspace, ShardIndex(index as u16))
            .map(|(server, shard)| (server.uuid.clone(), shard.schema.clone()))
    };
    for index in 0..before.shards.len() {
        let place = at(previous, before, index);
        let now = (0..keyspace.shards.len()).find(|&now| at(next, keyspace, now) == place);
        if is_spread && now.is_some_and(|now| now != index) {
            return refused("its shards are to stand in another order".to_owned());
        }
    }
    if before.home != keyspace.home {
        return refused("another shard is to be home".to_owned());
    }
    Ok(())
}

/// Whether a key leads to one keyspace id by both.
fn leads_alike(left: &Table, right: &Table) -> bool {
    let vindex = |table: &Table| match &table.kind {
        TableKind::Sharded(sharding) => Some(sharding.vindex),
        _ => None,
    };
    let key = |table: &Table| -> Vec<_> {
        let columns = table.key_columns();
        columns
            .map(|column| (column.name.clone(), column.column_type.clone(), column.collation.clone()))
            .collect()
    };
    vindex(left) == vindex(right) && key(left) == key(right)
}

#[cfg(test)]
mod tests;
