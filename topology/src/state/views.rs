//! What a reader may see of the state. Whatever is put in here is seen by everybody: no secret, no proof of who somebody is.

use std::sync::Arc;

use podway_model::{Keyspace, ShardId, ShardIndex, Table};
use podway_topology_api::{KeyspaceView, ShardView, TableView, View};

use super::{State, accounts, drifts, settings};

pub(super) fn view(state: &State) -> View {
    let map = &state.map;
    let mut keyspaces: Vec<KeyspaceView> =
        map.keyspaces().map(|keyspace| keyspace_view(state, keyspace)).collect();
    keyspaces.sort_by(|left, right| left.name.cmp(&right.name));
    View {
        revision: map.revision,
        time: state.time,
        is_founded: state.secret.is_some(),
        keyspaces,
        default_keyspace: map.default_keyspace().map(|keyspace| keyspace.name.clone()),
        servers: state.servers.view(map),
        accounts: accounts::view(map),
        proxies: state.proxies.view(),
        settings: settings::view(map),
        operations: state.operations.view(),
        drifts: drifts::view(map),
        checks: state.checks.view(),
        retired: state.shards.retired().to_vec(),
        log: state.log.lines().cloned().collect(),
    }
}

fn keyspace_view(state: &State, keyspace: &Keyspace) -> KeyspaceView {
    let record = keyspace.record();
    let mut shards: Vec<ShardView> = Vec::with_capacity(keyspace.shards.len());
    for (index, shard) in keyspace.shards.iter().enumerate() {
        shards.push(ShardView {
            id: shard.id,
            server: shard.server,
            schema: shard.schema.clone(),
            epoch: shard.epoch,
            ranges: Vec::new(),
            freeze: keyspace.freeze(ShardIndex(index as u16)),
        });
    }
    for run in &record.slots {
        if let Some(shard) = shards.get_mut(usize::from(run.shard.0)) {
            shard.ranges.push(run.range);
        }
    }
    let table_view = |table: &Arc<Table>| TableView {
        table: Table::clone(table),
        sequence: state.sequences.view(&keyspace.name, &table.name),
    };
    let mut tables: Vec<TableView> = keyspace.tables.values().map(table_view).collect();
    tables.sort_by(|left, right| left.table.name.cmp(&right.table.name));
    KeyspaceView {
        name: keyspace.name.clone(),
        home: keyspace.shard(keyspace.home).map_or(ShardId(0), |shard| shard.id),
        shards,
        tables,
    }
}
