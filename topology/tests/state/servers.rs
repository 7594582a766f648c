//! Servers: added, updated, promoted, removed.

use std::sync::Arc;

use podway_model::{Change, Epoch, NameRule, Server, ServerId, Shard, ShardId, ShardIndex};
use podway_topology_api::{AdminAccount, Command, Done, Secret, ServerCommand, ServerFacts};

use crate::script::{Script, add_server, admin, check, create, facts};

fn update(name: &str, facts: ServerFacts) -> Command {
    Command::Server(ServerCommand::Update { name: name.into(), facts })
}

fn promote(name: &str, from: &str, facts: ServerFacts) -> Command {
    Command::Server(ServerCommand::Promote { name: name.into(), from_uuid: from.into(), facts })
}

fn remove(name: &str) -> Command {
    Command::Server(ServerCommand::Remove { name: name.into() })
}

fn server(id: u32, number: u16) -> Change {
    let ServerFacts { host, port, uuid, version, .. } = facts(number);
    Change::Server(Arc::new(Server { id: ServerId(id), host, port, uuid, version }))
}

#[test]
fn the_first_server_says_how_names_compare() {
    let mut script = Script::empty();
    let caseless = ServerFacts { names: NameRule::CaseInsensitive, ..facts(1) };
    let add = Command::Server(ServerCommand::Add { name: "a".into(), facts: caseless, admin: admin() });
    let told = script.changes(add);
    assert!(matches!(told[0], Change::Anew { names: NameRule::CaseInsensitive, .. }), "{told:?}");
    assert_eq!(script.map().names, NameRule::CaseInsensitive);
    assert_eq!(
        script.refusal(add_server("b", 2)),
        "server b: its lower_case_table_names is not that of the others; all must compare names alike"
    );
    script.ok(create("Shop", &["a"]));
    assert_eq!(script.refusal(create("sHOP", &["a", "a"])), "there is a keyspace Shop already");
    assert!(script.map().keyspace_spelled("SHOP").is_some());
}

#[test]
fn accounts_and_settings_outlast_the_first_server() {
    let mut script = Script::empty();
    let set = podway_topology_api::SettingCommand::Set { name: "proxy.lease".into(), value: "30s".into() };
    script.ok(Command::Setting(set));
    script.ok(Command::Account(podway_topology_api::AccountCommand::Create(crate::script::account("ann"))));
    let caseless = ServerFacts { names: NameRule::CaseInsensitive, ..facts(1) };
    script.ok(Command::Server(ServerCommand::Add { name: "a".into(), facts: caseless, admin: admin() }));
    assert_eq!(script.map().setting("proxy.lease"), Some("30s"));
    assert!(script.map().account("ann", "10.0.0.1").is_some());
}

#[test]
fn a_server_is_added_once() {
    let mut script = Script::empty();
    assert_eq!(script.changes(add_server("a", 1)), [server(1, 1)]);
    assert_eq!(script.ok(add_server("a", 1)), Done::Server(ServerId(1)), "the same once more is no error");
    assert_eq!(script.ok(add_server("b", 2)), Done::Server(ServerId(2)));
    let same_uuid = ServerFacts { host: "10.9.9.9".into(), ..facts(1) };
    let same_place = ServerFacts { uuid: "uuid-9".into(), ..facts(1) };
    let add = |facts| Command::Server(ServerCommand::Add { name: "d".into(), facts, admin: admin() });
    let no_admin = AdminAccount { user: "".into(), password: Secret::new("x") };
    check(
        script,
        vec![
            (add_server("a", 3), "there is a server a already"),
            (add_server("A", 3), "there is a server A already"),
            (add_server("a b", 3), "\"a b\" cannot be the name of a server: it has blanks"),
            (
                add(same_uuid),
                "server d: it has the server_uuid of a: it is the same server, or a copy of its data directory; for a copy, remove its auto.cnf and restart it",
            ),
            (add(same_place), "server d: a answers at 10.0.0.1:3306"),
            (add(ServerFacts { port: 0, ..facts(4) }), "server d: its port is 0"),
            (
                add(ServerFacts { uuid: "".into(), ..facts(4) }),
                "server d: its server_uuid is empty or no uuid",
            ),
            (
                add(ServerFacts { host: "".into(), ..facts(4) }),
                "\"\" cannot be the name of a server: it is empty",
            ),
            (
                Command::Server(ServerCommand::Add { name: "d".into(), facts: facts(4), admin: no_admin }),
                "server d: its administrator's name is empty or too long",
            ),
            (add(facts(4)), "ok"),
        ],
    );
}

#[test]
fn a_server_that_holds_shards_stays() {
    let mut script = Script::with_shop();
    assert_eq!(script.refusal(remove("a")), "server a holds shard 1 of shop; move it first");
    script.ok(create("other", &["a"]));
    assert_eq!(
        script.refusal(remove("a")),
        "server a holds shard 1, shard 3 of other, shop; move them first"
    );
    assert_eq!(script.changes(remove("c")), [Change::ServerRemoved(ServerId(3))]);
    assert_eq!(script.refusal(remove("c")), "there is no server c; did you mean a?");
    assert_eq!(script.ok(add_server("c", 3)), Done::Server(ServerId(4)), "its number is never used again");
}

#[test]
fn an_update_is_of_the_same_server() {
    let mut script = Script::with_shop();
    let moved = ServerFacts { host: "db-a.example.com".into(), version: "8.4.4".into(), ..facts(1) };
    let told = script.changes(update("a", moved.clone()));
    assert!(
        matches!(&told[..], [Change::Server(server)] if server.id == ServerId(1) && &*server.version == "8.4.4")
    );
    check(
        script,
        vec![
            (update("a", moved), "unchanged"),
            (
                update("a", facts(9)),
                "server a: it is uuid-1, not uuid-9; another server takes its place by promotion",
            ),
            (
                update("a", ServerFacts { host: "10.0.0.2".into(), ..facts(1) }),
                "server a: b answers at 10.0.0.2:3306",
            ),
            (
                update("a", ServerFacts { names: NameRule::CaseInsensitive, ..facts(1) }),
                "server a: its lower_case_table_names is not that of the others; all must compare names alike",
            ),
            (update("d", facts(4)), "there is no server d; did you mean a?"),
        ],
    );
}

#[test]
fn a_promotion_changes_the_epoch_of_every_shard_on_the_server() {
    let mut script = Script::with_shop();
    script.ok(create("other", &["a", "c"]));
    let names = script.map().names;
    let shard = |id, keyspace: &str, epoch| Change::Shard {
        keyspace: names.name(keyspace),
        index: ShardIndex(0),
        shard: Shard {
            id: ShardId(id),
            server: ServerId(1),
            schema: names.name(keyspace),
            epoch: Epoch(epoch),
        },
        freeze: None,
    };
    assert_eq!(
        script.changes(promote("a", "uuid-1", facts(7))),
        [server(1, 7), shard(1, "shop", 2), shard(3, "other", 2)]
    );
    check(
        script,
        vec![
            (promote("a", "uuid-1", facts(7)), "unchanged"),
            (promote("a", "uuid-1", facts(8)), "server a: it is uuid-7, no longer uuid-1"),
            (
                promote("a", "uuid-7", ServerFacts { host: "10.0.0.8".into(), ..facts(7) }),
                "server a: a server cannot be promoted in its own place; update says where it answers",
            ),
            (
                promote("a", "uuid-7", facts(2)),
                "server a: it has the server_uuid of b: it is the same server, or a copy of its data directory; for a copy, remove its auto.cnf and restart it",
            ),
            (promote("a", "uuid-7", facts(1)), "ok"),
        ],
    );
}

#[test]
fn the_administrator_changes_without_a_word_to_watchers() {
    let mut script = Script::with_servers();
    let set = |user: &str| {
        let admin = AdminAccount { user: user.into(), password: Secret::new("other") };
        Command::Server(ServerCommand::SetAdmin { name: "b".into(), admin })
    };
    assert_eq!(script.changes(set("root2")), []);
    assert_eq!(script.ok(set("root2")), Done::Unchanged);
    let admin = script.state.admin(ServerId(2)).unwrap();
    assert_eq!((&*admin.user, admin.password.reveal()), ("root2", "other"));
    assert_eq!(&*script.view().servers[1].admin, "root2");
}
