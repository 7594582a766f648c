//! The log of changes: who, when, what; the last thousand.

use podway_model::Revision;
use podway_topology_api::{ClientId, Command, Done, LogTime, Proposal, SettingCommand};

use crate::script::{Script, create, declare, drop_keyspace, forget, orders};

#[test]
fn each_change_is_a_sentence_with_who_and_when() {
    let mut script = Script::with_shop();
    script.ok(forget("shop", "countries"));
    let said: Vec<String> = script.view().log.iter().map(|line| line.what.to_string()).collect();
    assert_eq!(
        said,
        [
            "the cluster was founded",
            "server a added at 10.0.0.1:3306 as server 1",
            "server b added at 10.0.0.2:3306 as server 2",
            "server c added at 10.0.0.3:3306 as server 3",
            "keyspace shop created with 2 shards on a, b",
            "table shop.orders declared sharded by (customer_id) with xxh3",
            "table shop.countries declared as a reference table",
            "table shop.countries forgotten",
        ]
    );
    let last = script.view().log.pop().unwrap();
    assert_eq!((&*last.who, last.at, last.revision), ("ann", LogTime(script.at), Revision(script.index)));
}

#[test]
fn what_changed_nothing_is_not_logged() {
    let mut script = Script::with_shop();
    let lines = script.view().log.len();
    script.refusal(create("shop", &["c"]));
    assert_eq!(script.ok(declare("shop", orders())), Done::Unchanged);
    script.refusal(drop_keyspace("nowhere", false));
    assert_eq!(script.view().log.len(), lines);
}

#[test]
fn the_last_thousand_are_kept() {
    let mut script = Script::with_servers();
    for number in 0..1_100 {
        let value = format!("{}ms", 100 + number);
        script.ok(Command::Setting(SettingCommand::Set { name: "freeze.hold".into(), value: value.into() }));
    }
    let log = script.view().log;
    assert_eq!(log.len(), 1_000);
    assert_eq!(&*log[0].what, "setting freeze.hold is 200ms");
    assert_eq!(&*log[999].what, "setting freeze.hold is 1199ms");
}

#[test]
fn nobody_writes_lines_of_their_own() {
    let mut script = Script::with_servers();
    let proposal = Proposal {
        client: ClientId(3),
        sequence: 1,
        who: format!("eve\nroot dropped everything{}", "x".repeat(1_000)).into(),
        command: create("shop", &["a"]),
    };
    script.state.apply(LogTime(9_999), 99, &proposal).answer.unwrap();
    let line = script.view().log.pop().unwrap();
    assert!(line.who.starts_with("eve root dropped") && line.who.chars().count() <= 129, "{}", line.who);
}
