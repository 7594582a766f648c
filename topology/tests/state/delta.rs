//! What a change of one thing costs in a large cluster: bytes to send, and nothing copied that it does not touch.

use std::sync::Arc;

use podway_model::{Map, NameRule, Revision};
use podway_topology_api::{NewShard, WatchEvent};

use crate::script::{Script, column, create, create_with, declare, shard_in, sharded, table};

/// The most that a change of one table may cost, in bytes.
const MOST: usize = 2_000;

/// 1,000 shards in one keyspace, 10,000 tables in it, and a second keyspace.
fn large() -> Script {
    let mut script = Script::with_servers();
    let shards: Vec<NewShard> =
        (0..1_000).map(|number| shard_in(["a", "b", "c"][number % 3], &format!("shop__{number}"))).collect();
    script.ok(create_with("shop", shards, 0));
    script.ok(create("other", &["a"]));
    // Told as changes: ten thousand commands would each copy what the one before made.
    let shop = NameRule::CaseSensitive.name("shop");
    let tables: Vec<podway_model::Change> = (0..10_000)
        .map(|number| {
            let made = table(&format!("table_{number}"), sharded(&[0]), &["id", "customer_id", "amount"]);
            podway_model::Change::Table { keyspace: shop.clone(), table: Arc::new(made) }
        })
        .collect();
    let map = script.map().changed(Revision(script.index + 1), &tables).unwrap();
    script.index += 1;
    let mut stored = serde_json::to_value(&script.state).unwrap();
    stored["map"] = serde_json::json!({ "revision": map.revision, "changes": map.as_changes() });
    script.state = serde_json::from_value(stored).unwrap();
    assert_eq!(**script.state.map(), map);
    script
}

fn bytes(script: &Script, changes: Vec<podway_model::Change>) -> usize {
    let event = WatchEvent { revision: Revision(script.index), changes };
    serde_json::to_vec(&event).unwrap().len()
}

#[test]
fn a_change_costs_bytes_and_copies_nothing_else() {
    let mut script = large();
    let before = script.state.map().clone();
    let columns = ["id", "customer_id", "amount", "note"].map(column).to_vec();
    let told = script.changes(crate::script::alter("shop", "table_77", columns));
    assert!(bytes(&script, told) < MOST);
    let after: &Map = script.map();
    let untouched = |name: &str| {
        let table = |map: &Map| map.keyspace_spelled("shop").unwrap().tables[name].clone();
        Arc::ptr_eq(&table(&before), &table(after))
    };
    let shared = (0..10_000).filter(|number| untouched(&format!("table_{number}"))).count();
    assert_eq!(shared, 9_999);
    let other = |map: &Map| map.keyspace_spelled("other").unwrap().clone();
    assert!(Arc::ptr_eq(&other(&before), &other(after)));
    assert!(before.servers().zip(after.servers()).all(|(left, right)| Arc::ptr_eq(left, right)));

    let freeze = podway_topology_api::ShardCommand::Freeze { shard: podway_model::ShardId(500) };
    let told = script.changes(podway_topology_api::Command::Shard(freeze));
    assert!(bytes(&script, told) < MOST, "a freeze");
    let told = script.changes(declare("shop", table("one_more", sharded(&[0]), &["id"])));
    assert!(bytes(&script, told) < MOST, "a new table");
    let told = script.changes(crate::script::forget("shop", "table_9"));
    assert!(bytes(&script, told) < MOST, "a table forgotten");
}
