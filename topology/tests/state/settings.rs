//! Settings: set, reset, and what counts.

use podway_model::Change;
use podway_topology_api::{Command, Done, SettingCommand};

use crate::script::{Script, check};

fn set(name: &str, value: &str) -> Command {
    Command::Setting(SettingCommand::Set { name: name.into(), value: value.into() })
}

fn reset(name: &str) -> Command {
    Command::Setting(SettingCommand::Reset { name: name.into() })
}

#[test]
fn a_setting_takes_what_it_is_for() {
    let lease = "it takes a time such as 500ms, 5s, 2m or 1h, from 3s to 10m";
    let refused = |value: &str| format!("setting proxy.lease cannot be {value:?}: {lease}");
    let values = ["5", "2s", "11m", "soon", "", "-5s", "5 s"];
    let refusals: Vec<String> = values.iter().map(|value| refused(value)).collect();
    let mut cases: Vec<_> = values
        .iter()
        .zip(&refusals)
        .map(|(value, text)| (set("proxy.lease", value), text.as_str()))
        .collect();
    cases.extend([
        (set("proxy.lease", "3s"), "ok"),
        (set("proxy.lease", " 3s "), "unchanged"),
        (set("PROXY.LEASE", "10m"), "ok"),
        (reset("proxy.lease"), "ok"),
        (reset("proxy.lease"), "unchanged"),
        (set("wrong_shard.retries", "0"), "ok"),
        (
            set("wrong_shard.retries", "11"),
            "setting wrong_shard.retries cannot be \"11\": it takes a whole number from 0 to 10",
        ),
        (set("proxy.leese", "5s"), "there is no setting proxy.leese; did you mean proxy.lease?"),
        (reset("lease"), "there is no setting lease"),
    ]);
    check(Script::with_servers(), cases);
}

#[test]
fn watchers_are_told_and_readers_see_what_counts() {
    let mut script = Script::with_servers();
    let told =
        |value: Option<&str>| Change::Setting { name: "freeze.hold".into(), value: value.map(Into::into) };
    assert_eq!(script.changes(set("freeze.hold", "2s")), [told(Some("2s"))]);
    assert_eq!(script.map().setting("freeze.hold"), Some("2s"));
    let seen = |script: &Script| {
        let settings = script.view().settings;
        let found = settings.iter().find(|setting| &*setting.name == "freeze.hold").unwrap();
        (found.value.to_string(), found.default.to_string())
    };
    assert_eq!(seen(&script), ("2s".into(), "10s".into()));
    assert_eq!(script.changes(reset("freeze.hold")), [told(None)]);
    assert_eq!(seen(&script), ("10s".into(), "10s".into()));
}

#[test]
fn the_lease_of_later_proxies_is_what_was_set() {
    let mut script = Script::with_servers();
    script.ok(set("proxy.lease", "30s"));
    let done = script.ok(crate::script::register("p"));
    assert!(matches!(done, Done::Registered { lease_ms: 30_000, .. }), "{done:?}");
}
