//! Which newer maps are refused because rows would be looked for where they are not.

use std::sync::Arc;

use super::*;
use podway_model::{
    Column, ColumnDefault, ColumnType, Epoch, Name, NameRule, Server, ServerId, Shard, ShardId, Sharding,
    Vindex,
};

/// A map of `shop` on servers 1, 2 …, one shard on each of these, in this order, with one table sharded by this column.
fn map(servers: &[u32], key: &str, vindex: Vindex, home: u16) -> Map {
    let mut map = Map::empty(NameRule::CaseSensitive);
    let schema = map.names.name("shop");
    for &number in servers {
        let (id, uuid) = (ServerId(number), format!("uuid-{number}").into());
        map.put_server(Server { id, host: "h".into(), port: 3306, uuid, version: "9.7.4".into() });
    }
    let shard = |&number: &u32| Shard {
        id: ShardId(number),
        server: ServerId(number),
        schema: schema.clone(),
        epoch: Epoch(1),
    };
    let mut keyspace = Keyspace::evenly(schema.clone(), servers.iter().map(shard).collect()).unwrap();
    keyspace.home = ShardIndex(home);
    let column = |name: &str| Column {
        name: Name::caseless(name),
        column_type: ColumnType::Integer { bytes: 8, unsigned: false },
        collation: None,
        nullable: false,
        auto_increment: false,
        generated: false,
        default: ColumnDefault::None,
        invisible: false,
    };
    let columns = vec![column("new"), column("id"), column("customer_id")];
    let position = columns.iter().position(|column| column.name.as_str() == key).unwrap();
    let kind = TableKind::Sharded(Sharding::by(vec![position], vindex));
    let name = map.names.name("orders");
    keyspace.tables.insert(name.clone(), Arc::new(Table { name, kind, columns }));
    map.put_keyspace(keyspace).unwrap();
    map
}

#[test]
fn a_newer_map_must_find_the_rows_of_the_older_one() {
    let before = map(&[1, 2], "id", Vindex::Xxh3, 0);
    let cases = [
        (map(&[1, 2], "id", Vindex::Xxh3, 0), None),
        (map(&[1, 3], "id", Vindex::Xxh3, 0), None),
        (map(&[2, 1], "id", Vindex::Xxh3, 0), Some("another order")),
        (map(&[3, 1], "id", Vindex::Xxh3, 0), Some("another order")),
        (map(&[1, 2, 3], "id", Vindex::Xxh3, 0), Some("it has 2 shards and is to have 3")),
        (map(&[1, 2], "customer_id", Vindex::Xxh3, 0), Some("orders is to be sharded in another way")),
        (map(&[1, 2], "id", Vindex::Identity, 0), Some("orders is to be sharded in another way")),
        (map(&[1, 2], "id", Vindex::Xxh3, 1), Some("another shard is to be home")),
    ];
    for (next, expected) in cases {
        let keyspace = next.default_keyspace().unwrap();
        let refused = rows_stay(&before, &next, keyspace).err().map(|error| error.to_string());
        match (&refused, expected) {
            (None, None) => {}
            (Some(refused), Some(expected)) => assert!(refused.contains(expected), "{refused}"),
            _ => panic!("{expected:?} was expected, and it is {refused:?}"),
        }
    }
}

#[test]
fn a_new_column_before_the_key_changes_nothing() {
    let (before, mut next) = (map(&[1], "id", Vindex::Xxh3, 0), map(&[1], "id", Vindex::Xxh3, 0));
    let mut keyspace = (**next.default_keyspace().unwrap()).clone();
    let mut table = Table::clone(keyspace.tables.values().next().unwrap());
    table.columns.remove(0);
    table.kind = TableKind::Sharded(Sharding::by(vec![0], Vindex::Xxh3));
    keyspace.tables.insert(table.name.clone(), Arc::new(table));
    next.put_keyspace(keyspace).unwrap();
    assert!(rows_stay(&before, &next, next.default_keyspace().unwrap()).is_ok());
}
