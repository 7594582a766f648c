//! A map after changes: what it shares with the one before, what it refuses, and how changes are stored.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::sync::Arc;

use podway_model::{
    Change, Column, ColumnDefault, ColumnType, Epoch, FreezeId, Keyspace, KeyspaceRecord, Map, MapError,
    Name, NameRule, Revision, Server, ServerId, Shard, ShardId, ShardIndex, Table, TableKind,
};

fn name(text: &str) -> Name {
    NameRule::CaseSensitive.name(text)
}

fn server(id: u32) -> Change {
    let server = Server {
        id: ServerId(id),
        host: format!("10.0.0.{id}").into(),
        port: 3306,
        uuid: format!("uuid-{id}").into(),
        version: "8.4.3".into(),
    };
    Change::Server(Arc::new(server))
}

fn shard(id: u32, server: u32) -> Shard {
    Shard { id: ShardId(id), server: ServerId(server), schema: name("shop"), epoch: Epoch(1) }
}

fn keyspace(text: &str, servers: &[u32]) -> KeyspaceRecord {
    let shards = servers.iter().map(|server| shard(*server, *server)).collect();
    Keyspace::evenly(name(text), shards).unwrap().record()
}

fn table(keyspace: &str, text: &str) -> Change {
    let table = Table { name: name(text), kind: TableKind::Home, columns: Vec::new() };
    Change::Table { keyspace: name(keyspace), table: Arc::new(table) }
}

fn map() -> Map {
    let changes = [
        server(1),
        server(2),
        Change::Keyspace(keyspace("shop", &[1, 2])),
        Change::Keyspace(keyspace("other", &[1])),
        table("shop", "notes"),
        table("shop", "orders"),
        table("other", "events"),
    ];
    Map::empty(NameRule::CaseSensitive).changed(Revision(5), &changes).unwrap()
}

#[test]
fn what_a_change_does_not_touch_is_shared() {
    let before = map();
    let after = before.changed(Revision(6), &[table("shop", "orders")]).unwrap();
    let keyspace = |map: &Map, text: &str| map.keyspace_spelled(text).unwrap().clone();
    assert!(Arc::ptr_eq(&keyspace(&before, "other"), &keyspace(&after, "other")));
    assert!(Arc::ptr_eq(before.server(ServerId(1)).unwrap(), after.server(ServerId(1)).unwrap()));
    let table = |map: &Map, text: &str| keyspace(map, "shop").tables[text].clone();
    assert!(Arc::ptr_eq(&table(&before, "notes"), &table(&after, "notes")));
    assert!(!Arc::ptr_eq(&table(&before, "orders"), &table(&after, "orders")));
}

#[test]
fn a_missed_change_is_noticed() {
    let map = map();
    let frozen = |keyspace: &str, index| Change::Shard {
        keyspace: name(keyspace),
        index: ShardIndex(index),
        shard: shard(1, 1),
        freeze: None,
    };
    let missing = |text: &str| MapError::NoKeyspace(name(text));
    let no_server =
        |keyspace: &str, id| MapError::NoServer { keyspace: name(keyspace), server: ServerId(id) };
    let moved = |server| Change::Shard {
        keyspace: name("shop"),
        index: ShardIndex(0),
        shard: shard(1, server),
        freeze: None,
    };
    let generation = Change::SequenceGeneration { keyspace: name("x"), table: name("t"), generation: 1 };
    let removed = Change::TableRemoved { keyspace: name("x"), table: name("t") };
    let cases = [
        (table("nowhere", "t"), missing("nowhere")),
        (generation, missing("x")),
        (removed, missing("x")),
        (frozen("nowhere", 0), missing("nowhere")),
        (frozen("shop", 2), MapError::NoShard { keyspace: name("shop"), index: ShardIndex(2) }),
        (moved(9), no_server("shop", 9)),
        (Change::Keyspace(keyspace("new", &[9])), no_server("new", 9)),
    ];
    for (change, expected) in cases {
        assert_eq!(map.changed(Revision(6), std::slice::from_ref(&change)), Err(expected), "{change:?}");
    }
    let gone = map.changed(Revision(6), &[Change::ServerRemoved(ServerId(2))]);
    assert_eq!(gone, Err(no_server("shop", 2)));
    for offered in [4, 5] {
        let stale = MapError::Stale { offered: Revision(offered), current: Revision(5) };
        assert_eq!(map.changed(Revision(offered), &[]), Err(stale));
    }
}

#[test]
fn the_order_within_one_revision_does_not_matter_for_servers() {
    let changes = [Change::Keyspace(keyspace("new", &[3])), server(3)];
    assert!(map().changed(Revision(6), &changes).is_ok());
}

#[test]
fn plans_end_with_the_tables_they_were_made_for() {
    let before = map();
    assert_eq!(before.schema_version, 5);
    let freeze = Change::Shard {
        keyspace: name("shop"),
        index: ShardIndex(1),
        shard: shard(2, 2),
        freeze: Some(FreezeId(3)),
    };
    let frozen = before.changed(Revision(6), &[freeze]).unwrap();
    assert_eq!(frozen.schema_version, 5);
    assert_eq!(frozen.keyspace_spelled("shop").unwrap().freeze(ShardIndex(1)), Some(FreezeId(3)));
    let altered = frozen.changed(Revision(8), &[table("shop", "orders")]).unwrap();
    assert_eq!(altered.schema_version, 8);
    let record = frozen.keyspace_spelled("shop").unwrap().record();
    let spread = altered.changed(Revision(9), &[Change::Keyspace(record)]).unwrap();
    assert_eq!(spread.schema_version, 9);
    let shop = spread.keyspace_spelled("shop").unwrap();
    assert_eq!((shop.tables.len(), shop.freeze(ShardIndex(1))), (2, Some(FreezeId(3))));
}

#[test]
fn slots_that_are_no_partition_are_refused() {
    let whole = keyspace("shop", &[1, 2]);
    let broken: [fn(&mut KeyspaceRecord); 4] = [
        |record| record.slots.truncate(1),
        |record| record.slots.swap(0, 1),
        |record| record.slots[0].range.last = record.slots[1].range.last,
        |record| record.slots[1].shard = ShardIndex(2),
    ];
    for (number, damage) in broken.iter().enumerate() {
        let mut record = whole.clone();
        damage(&mut record);
        assert!(Keyspace::from_record(&record).is_err(), "{number}");
    }
    assert_eq!(Keyspace::from_record(&whole).unwrap().record(), whole);
}

#[test]
fn a_whole_map_takes_the_place_of_any_older_one() {
    let newer = map().changed(Revision(7), &[Change::KeyspaceRemoved(name("other"))]).unwrap();
    let older = Map::empty(NameRule::CaseInsensitive)
        .changed(Revision(2), &[server(9), Change::Keyspace(keyspace("gone", &[9]))])
        .unwrap();
    assert_eq!(older.changed(Revision(7), &newer.as_changes()).unwrap(), newer);
}

#[test]
fn names_and_columns_are_stored_short_and_read_long() {
    let stored = |value: &Name| serde_json::to_string(value).unwrap();
    assert_eq!(stored(&name("Shop")), r#""Shop""#);
    assert_eq!(stored(&Name::caseless("Shop")), r#"{"text":"Shop","key":"shop"}"#);
    for value in [name("Shop"), Name::caseless("Shop"), Name::caseless("shop")] {
        let read: Name = serde_json::from_str(&stored(&value)).unwrap();
        assert_eq!((read.as_str(), read.key()), (value.as_str(), value.key()));
    }
    let plain = Column {
        name: Name::caseless("id"),
        column_type: ColumnType::Year,
        collation: None,
        nullable: false,
        auto_increment: false,
        generated: false,
        default: ColumnDefault::None,
        invisible: false,
    };
    assert_eq!(serde_json::to_string(&plain).unwrap(), r#"{"name":"id","column_type":"Year"}"#);
    let full = Column {
        collation: Some("utf8mb4_bin".into()),
        nullable: true,
        auto_increment: true,
        generated: true,
        default: ColumnDefault::Literal("7".into()),
        invisible: true,
        ..plain.clone()
    };
    for column in [plain, full] {
        let stored = serde_json::to_string(&column).unwrap();
        assert_eq!(serde_json::from_str::<Column>(&stored).unwrap(), column);
    }
}
