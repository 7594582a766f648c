//! Which names of tables statements wait for: those of every statement that changes what names stand for, from before its first target is begun until the map
//! has followed it, or it has ended. Derived from the operations after each of their commands, so that no end of one can forget a name.

use std::collections::BTreeMap;

use podway_model::{Change, Map, Name};
use podway_topology_api::{Operation, OperationKind};

/// The changes that make the map hold what these operations need, and nothing else.
pub(super) fn changes<'o>(operations: impl Iterator<Item = &'o Operation>, map: &Map) -> Vec<Change> {
    let mut wanted: BTreeMap<(Name, Name), Option<u64>> = BTreeMap::new();
    for keyspace in map.keyspaces() {
        for (table, _) in keyspace.held_names() {
            wanted.insert((keyspace.name.clone(), table.clone()), None);
        }
    }
    for operation in operations.filter(|operation| operation.state.is_open()) {
        let OperationKind::Ddl(ddl) = &operation.kind else { continue };
        let Some(keyspace) = map.keyspace_spelled(&ddl.keyspace) else { continue };
        if ddl.held.is_none() || ddl.followed.is_some() {
            continue;
        }
        for table in ddl.tables() {
            wanted.insert((keyspace.name.clone(), map.names.name(table)), Some(operation.id.0));
        }
    }
    let is_new = |((keyspace, table), by): &((Name, Name), Option<u64>)| {
        map.keyspace(keyspace).is_some_and(|known| known.held(table) != *by)
    };
    let change = |((keyspace, table), by)| Change::Held { keyspace, table, by };
    wanted.into_iter().filter(is_new).map(change).collect()
}
