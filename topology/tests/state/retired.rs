//! Schemas that shards left behind: when they may be dropped, and what is told of them.

use podway_model::ServerId;
use podway_topology_api::{
    Command, LogTime, MoveStep, RetiredReport, RetiredSchema, ServerCommand, SettingCommand, ShardCommand,
};

use crate::moves::{at, begin, done};
use crate::script::{Script, check};

const HOUR: u64 = 3_600_000;

fn drop_now(schema: &str) -> Command {
    Command::Shard(ShardCommand::DropRetired { server: "a".into(), schema: schema.into() })
}

fn report(since: LogTime, report: RetiredReport) -> Command {
    Command::Shard(ShardCommand::ReportRetired { server: ServerId(1), schema: "shop".into(), since, report })
}

fn stays(reason: &str) -> RetiredReport {
    RetiredReport::Stays { reason: reason.into() }
}

/// Shard 1 has moved from `a` to `c`; what it left.
fn moved() -> (Script, RetiredSchema) {
    let mut script = at(MoveStep::Retire);
    script.ok(done(MoveStep::Retire));
    let left = script.view().retired.remove(0);
    (script, left)
}

fn due(script: &Script, at: u64) -> usize {
    script.state.due_retired(LogTime(at)).len()
}

#[test]
fn a_schema_is_due_when_its_retention_is_over_and_not_before() {
    let (mut script, left) = moved();
    let since = left.since.0;
    assert_eq!(due(&script, since + 24 * HOUR - 1), 0);
    assert_eq!(due(&script, since + 24 * HOUR), 1);
    let set = |value: &str| {
        Command::Setting(SettingCommand::Set { name: "retired.retention".into(), value: value.into() })
    };
    script.ok(set("1h"));
    assert_eq!(due(&script, since + HOUR), 1);
    script.ok(set("48h"));
    assert_eq!(due(&script, since + 24 * HOUR), 0);
    script.ok(drop_now("shop"));
    assert_eq!(due(&script, since), 1, "nobody wants it");
    assert!(script.view().retired[0].is_unwanted);
}

#[test]
fn a_schema_is_not_due_while_its_move_goes_on_or_before_the_flip() {
    for step in MoveStep::ALL {
        let mut script = at(step);
        let far = script.at + 1_000 * HOUR;
        assert_eq!(due(&script, far), 0, "{step}");
        if step > MoveStep::Flip {
            script.ok(drop_now("shop"));
            assert_eq!(due(&script, far), 0, "{step}: wanted gone, but the move has still to do there");
        } else {
            assert_eq!(script.refusal(drop_now("shop")), "there is no retired schema shop", "{step}");
        }
    }
}

#[test]
fn what_a_leader_tells_counts_once_and_for_the_schema_it_is_about() {
    let (mut script, left) = moved();
    let earlier = LogTime(left.since.0 - 1);
    check(
        script.clone(),
        vec![
            (drop_now("shp"), "there is no retired schema shp; did you mean shop?"),
            (drop_now("shop"), "ok"),
            (drop_now("shop"), "unchanged"),
            (report(earlier, RetiredReport::Dropped), "unchanged"),
            (begin(2, "a"), "schema shop on server a is what shard 1 left behind already"),
            (report(left.since, stays("it is in use")), "ok"),
            (report(left.since, RetiredReport::Dropped), "ok"),
            (report(left.since, RetiredReport::Dropped), "unchanged"),
            (report(left.since, stays("it is in use")), "unchanged"),
            (begin(2, "a"), "ok"),
        ],
    );
    script.ok(report(left.since, stays("it is in use")));
    assert_eq!(script.view().retired[0].trouble.as_deref(), Some("it is in use"));
    script.ok(report(left.since, RetiredReport::Dropped));
    assert_eq!(script.view().retired, []);
    assert_eq!(&*script.view().log.last().unwrap().what, "retired schema shop on server a dropped");
}

#[test]
fn a_report_about_a_server_that_left_is_late() {
    let (mut script, left) = moved();
    script.ok(Command::Server(ServerCommand::Remove { name: "a".into() }));
    check(script, vec![(report(left.since, RetiredReport::Dropped), "unchanged")]);
}
