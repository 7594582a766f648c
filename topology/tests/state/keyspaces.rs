//! Keyspaces: created, spread, dropped.

use podway_model::{
    Change, Epoch, FreezeId, Name, NameRule, ServerId, Shard, ShardId, ShardIndex, TableKind,
};
use podway_topology_api::{Command, Done, KeyspaceCommand, ShardCommand};

use crate::script::{
    Script, check, create, create_with, declare, drop_keyspace, orders, range, shard_in, shard_on, spread,
    table,
};

fn name(text: &str) -> Name {
    NameRule::CaseSensitive.name(text)
}

fn shard(id: u32, server: u32, schema: &str) -> Shard {
    Shard { id: ShardId(id), server: ServerId(server), schema: name(schema), epoch: Epoch(1) }
}

#[test]
fn a_keyspace_is_told_whole_and_the_first_is_the_default() {
    let mut script = Script::with_servers();
    let told = script.changes(create("shop", &["a", "b"]));
    let [Change::Keyspace(record), Change::DefaultKeyspace(Some(default))] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(record.name, name("shop"));
    assert_eq!(record.shards, [shard(1, 1, "shop"), shard(2, 2, "shop")]);
    assert_eq!(record.home, ShardIndex(0));
    let runs: Vec<String> = record.slots.iter().map(|run| format!("{} {}", run.range, run.shard.0)).collect();
    assert_eq!(runs, ["-80 0", "80- 1"]);
    assert_eq!(*default, name("shop"));
    let told = script.changes(create("other", &["c"]));
    assert!(matches!(&told[..], [Change::Keyspace(record)] if record.shards == [shard(3, 3, "other")]));
}

#[test]
fn creation_is_refused_for_what_does_not_fit() {
    let ranged = |ranges: &[&[(usize, usize)]]| {
        let shards = ranges.iter().enumerate().map(|(number, ranges)| {
            let mut shard = shard_on(["a", "b", "c"][number]);
            shard.ranges = ranges.iter().map(|(first, last)| range(*first, *last)).collect();
            shard
        });
        create_with("shop", shards.collect(), 0)
    };
    check(
        Script::with_servers(),
        vec![
            (create("", &["a"]), "\"\" cannot be the name of a keyspace: it is empty"),
            (
                create("mysql", &["a"]),
                "\"mysql\" cannot be the name of a keyspace: it is one of MySQL's or Podway's own schemas",
            ),
            (create("shop", &[]), "keyspace shop: a keyspace has 1 to 4096 shards"),
            (create("shop", &["d"]), "there is no server d; did you mean a?"),
            (
                create_with("shop", vec![shard_on("a")], 1),
                "keyspace shop: its home shard is not one of its shards",
            ),
            (
                create("shop", &["a", "a"]),
                "schema shop on server a is that of shard 1 of the same keyspace already",
            ),
            (
                create_with("shop", vec![shard_in("a", "_podway")], 0),
                "\"_podway\" cannot be the name of a schema: it is one of MySQL's or Podway's own schemas",
            ),
            (ranged(&[&[(0, 99)], &[(99, 16383)]]), "keyspace shop: slot 99 has two owners"),
            (ranged(&[&[(0, 99)], &[(101, 16383)]]), "keyspace shop: slots 100 to 100 have no owner"),
            (ranged(&[&[(0, 99)], &[(100, 16382)]]), "keyspace shop: slots 16383 to 16383 have no owner"),
            (ranged(&[&[(1, 16383)], &[]]), "keyspace shop: slots 0 to 0 have no owner"),
            (ranged(&[&[(0, 16383)], &[(5, 4)]]), "keyspace shop: range 5 to 4 is none"),
            (ranged(&[&[(0, 99), (200, 16383)], &[(100, 199)]]), "ok"),
            (ranged(&[&[(0, 99), (200, 16383)], &[(100, 199)]]), "ok"),
            (ranged(&[&[(0, 99)], &[(100, 16383)]]), "there is a keyspace shop already"),
            (create("shop", &["a", "b"]), "there is a keyspace shop already"),
            (
                create_with("other", vec![shard_in("a", "shop")], 0),
                "schema shop on server a is shard 1 already",
            ),
            (create("Shop", &["a"]), "ok"),
        ],
    );
}

#[test]
fn a_keyspace_without_spread_rows_is_spread() {
    let mut script = Script::with_servers();
    script.ok(create("shop", &["a"]));
    script.ok(declare("shop", table("notes", TableKind::Home, &[])));
    assert_eq!(
        script.ok(spread("shop", vec![shard_on("b"), shard_in("a", "shop__2")])),
        Done::Shards(vec![ShardId(2), ShardId(3)])
    );
    let view = script.view();
    let ranges: Vec<String> =
        view.keyspaces[0].shards.iter().map(|shard| shard.ranges[0].to_string()).collect();
    assert_eq!(ranges, ["-5558", "5558-aaac", "aaac-"]);
    assert_eq!(view.keyspaces[0].home, ShardId(1), "home stays");
    assert!(script.map().keyspace_spelled("shop").unwrap().tables.contains_key("notes"), "tables stay");
}

#[test]
fn a_keyspace_is_not_spread_over_rows_that_lie_by_its_shards() {
    let mut script = Script::with_shop();
    let ranged = shard_on("c");
    let ranged = podway_topology_api::NewShard { ranges: vec![range(0, 5)], ..ranged };
    script.ok(create("solo", &["c"]));
    check(
        script,
        vec![
            (
                spread("shop", vec![shard_on("c")]),
                "keyspace shop has 1 sharded tables; their rows would be looked for on other shards: resharding moves them",
            ),
            (crate::script::forget("shop", "orders"), "ok"),
            (
                spread("shop", vec![shard_on("c")]),
                "keyspace shop has 1 reference tables; their rows would be looked for on other shards: resharding moves them",
            ),
            (spread("shopp", vec![shard_on("c")]), "there is no keyspace shopp; did you mean shop?"),
            (spread("solo", vec![]), "keyspace solo: no shard is to be added"),
            (
                spread("solo", vec![ranged]),
                "keyspace solo: shards that are added have no ranges of their own; the slots are cut evenly",
            ),
            (Command::Shard(ShardCommand::Freeze { shard: ShardId(3) }), "ok"),
            (spread("solo", vec![shard_on("a")]), "shard 3 is frozen by freeze 1"),
            (Command::Shard(ShardCommand::Unfreeze { freeze: FreezeId(1) }), "ok"),
            (spread("solo", vec![shard_on("c")]), "schema solo on server c is shard 3 already"),
            (spread("solo", vec![shard_on("a")]), "ok"),
        ],
    );
}

#[test]
fn a_keyspace_is_dropped_and_the_oldest_of_the_others_is_the_default() {
    let mut script = Script::with_shop();
    script.ok(create("second", &["c"]));
    script.ok(create("a_third", &["c"]));
    assert_eq!(
        script.refusal(drop_keyspace("shop", false)),
        "keyspace shop has 2 declared tables; forget them, or drop it with its tables"
    );
    assert_eq!(
        script.changes(drop_keyspace("shop", true)),
        [Change::KeyspaceRemoved(name("shop")), Change::DefaultKeyspace(Some(name("second")))]
    );
    assert_eq!(script.changes(drop_keyspace("a_third", false)), [Change::KeyspaceRemoved(name("a_third"))]);
    assert_eq!(
        script.changes(drop_keyspace("second", false)),
        [Change::KeyspaceRemoved(name("second")), Change::DefaultKeyspace(None)]
    );
    assert_eq!(script.refusal(drop_keyspace("second", false)), "there is no keyspace second");
}

#[test]
fn a_keyspace_of_the_same_name_gets_new_numbers() {
    let mut script = Script::with_shop();
    script.ok(drop_keyspace("shop", true));
    assert_eq!(script.ok(create("shop", &["a", "b"])), Done::Shards(vec![ShardId(3), ShardId(4)]));
    assert!(script.map().keyspace_spelled("shop").unwrap().tables.is_empty());
    script.ok(declare("shop", orders()));
}

#[test]
fn the_default_is_chosen() {
    let mut script = Script::with_shop();
    script.ok(create("second", &["c"]));
    let make = |name: &str| Command::Keyspace(KeyspaceCommand::MakeDefault { name: name.into() });
    assert_eq!(script.changes(make("second")), [Change::DefaultKeyspace(Some(name("second")))]);
    assert_eq!(script.ok(make("second")), Done::Unchanged);
    assert_eq!(script.refusal(make("secnd")), "there is no keyspace secnd; did you mean second?");
}

#[test]
fn a_freeze_is_told_and_ends_by_its_number() {
    let mut script = Script::with_shop();
    let freeze = || Command::Shard(ShardCommand::Freeze { shard: ShardId(2) });
    let unfreeze = |number| Command::Shard(ShardCommand::Unfreeze { freeze: FreezeId(number) });
    let told = |freeze| Change::Shard {
        keyspace: name("shop"),
        index: ShardIndex(1),
        shard: shard(2, 2, "shop"),
        freeze,
    };
    assert_eq!(script.changes(freeze()), [told(Some(FreezeId(1)))]);
    assert_eq!(script.map().keyspace_spelled("shop").unwrap().freeze(ShardIndex(1)), Some(FreezeId(1)));
    assert_eq!(script.refusal(freeze()), "shard 2 is frozen by freeze 1");
    assert_eq!(script.refusal(drop_keyspace("shop", true)), "shard 2 is frozen by freeze 1");
    assert_eq!(script.refusal(unfreeze(2)), "there is no freeze 2");
    assert_eq!(script.changes(unfreeze(1)), [told(None)]);
    assert_eq!(script.ok(unfreeze(1)), Done::Unchanged, "an old freeze that ended");
    assert_eq!(script.changes(freeze()), [told(Some(FreezeId(2)))], "its number is never used again");
    assert_eq!(script.ok(unfreeze(1)), Done::Unchanged, "an older freeze does not end a newer one");
    assert_eq!(
        script.refusal(Command::Shard(ShardCommand::Freeze { shard: ShardId(9) })),
        "there is no shard 9"
    );
}
