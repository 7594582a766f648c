//! Operations on many targets: DDL on every shard, statements about users on every server.

use podway_model::{ServerId, ShardId};
use podway_topology_api::{
    Command, Done, NewOperation, OperationCommand, OperationId, OperationState, Report, Secret,
    ServerCommand, Target, TargetState,
};

use crate::moves::{cancel, report, take};
use crate::script::{Script, add_server, check};

fn ddl(tables: &[&str]) -> Command {
    Command::Operation(OperationCommand::Begin(NewOperation::Ddl {
        keyspace: "shop".into(),
        tables: tables.iter().map(|table| (*table).into()).collect(),
        shown: "ALTER TABLE …".into(),
        statement: Secret::new("ALTER TABLE orders ADD note TEXT"),
        home_only: false,
    }))
}

fn home_ddl() -> Command {
    Command::Operation(OperationCommand::Begin(NewOperation::Ddl {
        keyspace: "shop".into(),
        tables: vec!["notes".into()],
        shown: "CREATE TABLE notes".into(),
        statement: Secret::new("CREATE TABLE notes (id INT)"),
        home_only: true,
    }))
}

fn users() -> Command {
    Command::Operation(OperationCommand::Begin(NewOperation::Users {
        shown: "CREATE USER 'ann'@'%' IDENTIFIED BY <secret>".into(),
        statement: Secret::new("CREATE USER 'ann'@'%' IDENTIFIED BY 'swordfish'"),
    }))
}

fn shard(number: u32) -> Target {
    Target::Shard(ShardId(number))
}

fn done(target: Target) -> Command {
    report(1, 1, Report::TargetDone(target))
}

fn failed(target: Target, reason: &str) -> Command {
    report(1, 1, Report::TargetFailed { target, reason: reason.into() })
}

fn state(script: &Script) -> OperationState {
    script.view().operations[0].state
}

/// The shop with a DDL operation that a leader took.
fn altering() -> Script {
    let mut script = Script::with_shop();
    script.ok(ddl(&["orders"]));
    script.ok(take(1, 1));
    script
}

#[test]
fn a_statement_ends_when_every_target_has_it() {
    let mut script = altering();
    let operation = script.view().operations.remove(0);
    assert_eq!(operation.targets, [1, 2].map(|number| (shard(number), TargetState::Waiting)));
    assert_eq!(script.state.statement(OperationId(1)).unwrap().reveal(), "ALTER TABLE orders ADD note TEXT");
    script.ok(done(shard(2)));
    assert_eq!(state(&script), OperationState::Running);
    assert_eq!(script.ok(done(shard(2))), Done::Unchanged);
    script.ok(done(shard(1)));
    assert_eq!(state(&script), OperationState::Finished);
    assert_eq!(script.state.statement(OperationId(1)), None, "kept no longer than it is needed");
    assert_eq!(script.refusal(done(shard(1))), "operation 1 is finished: it has ended");
}

#[test]
fn half_done_work_stays_visible_until_it_is_completed_or_given_up() {
    let mut script = altering();
    script.ok(done(shard(1)));
    script.ok(failed(shard(2), "Lock wait timeout exceeded"));
    script.ok(failed(shard(2), "gone away"));
    let operation = script.view().operations.remove(0);
    assert_eq!(operation.targets[1].1, TargetState::Failed { reason: "gone away".into(), attempts: 2 });
    assert_eq!(operation.trouble.as_deref(), Some("on shard 2: gone away"));
    assert_eq!(script.ok(failed(shard(1), "late")), Done::Unchanged);
    assert_eq!(script.refusal(done(shard(3))), "operation 1 has nothing to do on shard 3");
    assert_eq!(
        script.refusal(cancel(1)),
        "operation 1 is running: it is done on 1 of 2 targets already: it can only be completed or given up"
    );
    let mut completed = script.clone();
    completed.ok(done(shard(2)));
    assert_eq!(state(&completed), OperationState::Finished);
    script.ok(report(1, 1, Report::GivenUp { reason: "nobody knows".into() }));
    assert_eq!(state(&script), OperationState::GivenUp);
    assert_eq!(script.state.statement(OperationId(1)), None);
}

#[test]
fn a_taken_operation_is_cancelled_by_whoever_has_it() {
    let mut script = altering();
    script.ok(failed(shard(1), "no such column"));
    script.ok(cancel(1));
    assert_eq!(state(&script), OperationState::Undoing);
    script.ok(report(1, 1, Report::Undone));
    assert_eq!(state(&script), OperationState::Cancelled);

    let mut late = altering();
    late.ok(cancel(1));
    late.ok(done(shard(1)));
    assert_eq!(
        late.refusal(report(1, 1, Report::Undone)),
        "operation 1 is being undone: some targets have it: it can only be given up"
    );
    late.ok(done(shard(2)));
    assert_eq!(state(&late), OperationState::Finished);
    assert_eq!(
        altering().refusal(report(1, 1, Report::Undone)),
        "operation 1 is running: nobody cancelled it"
    );
}

#[test]
fn statements_about_one_table_go_one_after_the_other() {
    check(
        altering(),
        vec![
            (ddl(&["orders"]), "keyspace shop is part of operation 1, which is not done yet"),
            (ddl(&["x", "orders"]), "keyspace shop is part of operation 1, which is not done yet"),
            (ddl(&[]), "keyspace shop is part of operation 1, which is not done yet"),
            (ddl(&["countries"]), "ok"),
            (home_ddl(), "ok"),
            (crate::moves::begin(1, "c"), "shard 1 is part of operation 1, which is not done yet"),
            (cancel(3), "ok"),
            (cancel(2), "ok"),
            (done(shard(1)), "ok"),
            (done(shard(2)), "ok"),
            (crate::moves::begin(1, "c"), "ok"),
            (ddl(&["orders"]), "keyspace shop is part of operation 4, which is not done yet"),
        ],
    );
}

#[test]
fn what_is_on_the_home_shard_alone_has_one_target() {
    let mut script = Script::with_shop();
    script.ok(home_ddl());
    assert_eq!(script.view().operations[0].targets, [(shard(1), TargetState::Waiting)]);
}

#[test]
fn statements_about_users_go_to_every_server_one_after_the_other() {
    let mut script = Script::with_servers();
    assert_eq!(script.ok(users()), Done::Began(OperationId(1)));
    let servers = [1, 2, 3].map(|number| Target::Server(ServerId(number)));
    let operation = script.view().operations.remove(0);
    assert_eq!(operation.targets, servers.map(|target| (target, TargetState::Waiting)));
    assert_eq!(
        script.refusal(Command::Server(ServerCommand::Remove { name: "c".into() })),
        "server c is part of operation 1, which is not done yet"
    );
    assert_eq!(
        script.refusal(users()),
        "statement about users is part of operation 1, which is not done yet"
    );
    script.ok(add_server("d", 4));
    script.ok(take(1, 1));
    servers.into_iter().for_each(|target| drop(script.ok(done(target))));
    assert_eq!(state(&script), OperationState::Finished);
    script.ok(users());
}

#[test]
fn without_targets_there_is_nothing_to_do() {
    let mut script = Script::empty();
    script.ok(users());
    assert_eq!(state(&script), OperationState::Finished);
    assert_eq!(script.state.statement(OperationId(1)), None);
}

#[test]
fn what_is_no_statement_is_refused() {
    let with = |statement: &str, tables: Vec<Box<str>>| {
        Command::Operation(OperationCommand::Begin(NewOperation::Ddl {
            keyspace: "shop".into(),
            tables,
            shown: "…".into(),
            statement: Secret::new(statement),
            home_only: false,
        }))
    };
    let named = "\"…\" cannot be the name of a statement";
    check(
        Script::with_shop(),
        vec![
            (with(" ", vec![]), &*format!("{named}: it is empty")),
            (with(&"x".repeat((1 << 20) + 1), vec![]), &*format!("{named}: it has more than 1048576 bytes")),
            (with("x", vec!["t".into(); 1_025]), &*format!("{named}: it names more than 1024 tables")),
            (with("x", vec!["".into()]), "\"\" cannot be the name of a table: it is empty"),
        ],
    );
}

#[test]
fn operations_are_bounded_and_the_last_that_ended_are_remembered() {
    let mut script = Script::with_shop();
    for number in 1..=256_u64 {
        assert_eq!(script.ok(ddl(&[&format!("t{number}")])), Done::Began(OperationId(number)));
    }
    assert_eq!(script.refusal(ddl(&["one_more"])), "there are 256 operations, and there can be no more");
    for number in 1..=256_u64 {
        script.ok(cancel(number));
    }
    let kept: Vec<u64> = script.view().operations.iter().map(|operation| operation.id.0).collect();
    assert_eq!(kept, (157..=256).collect::<Vec<_>>());
    assert_eq!(script.ok(ddl(&["one_more"])), Done::Began(OperationId(257)));
}
