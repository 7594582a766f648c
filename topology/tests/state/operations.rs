//! Operations on many targets: DDL on every shard, statements about users on every server.

use podway_model::{Change, HybridTime, ServerId, ShardId, TableKind};
use podway_topology_api::{
    Beat, ClientStatement, Command, Done, Follow, NewOperation, OperationCommand, OperationId, OperationKind,
    OperationState, Report, ServerCommand, ServerMessage, TableCommand, TableDeclaration, TableEffect,
    Target, TargetState, UserVerb,
};

use crate::moves::{cancel, report, take};
use crate::script::{Script, account, add_server, beats, check, orders, register, table, user_statement};

pub fn statement(text: &str) -> ClientStatement {
    ClientStatement::plain(account("ann").name, text)
}

fn altered(tables: &[&str]) -> Vec<TableEffect> {
    tables.iter().map(|table| TableEffect::Altered((*table).into())).collect()
}

fn begin(effects: Vec<TableEffect>, text: &str, declaration: Option<TableDeclaration>) -> Command {
    Command::Operation(OperationCommand::Begin(NewOperation::Ddl {
        keyspace: "shop".into(),
        effects,
        shown: "ALTER TABLE …".into(),
        statement: statement(text),
        declaration,
    }))
}

fn ddl(tables: &[&str]) -> Command {
    begin(altered(tables), "ALTER TABLE orders ADD note TEXT", None)
}

fn creating(name: &str) -> Command {
    let effects = vec![TableEffect::Created(name.into())];
    begin(effects, "CREATE TABLE …", Some(TableDeclaration::Reference))
}

fn users() -> Command {
    Command::Operation(OperationCommand::Begin(NewOperation::Users {
        shown: "CREATE USER 'ann'@'%' IDENTIFIED BY <secret>".into(),
        statement: user_statement(UserVerb::Create, "CREATE USER 'ann'@'%' IDENTIFIED BY 'swordfish'"),
    }))
}

fn retry(id: u64) -> Command {
    Command::Operation(OperationCommand::Retry { id: OperationId(id) })
}

fn give_up(id: u64) -> Command {
    Command::Operation(OperationCommand::GiveUp { id: OperationId(id) })
}

fn shard(number: u32) -> Target {
    Target::Shard(ShardId(number))
}

fn said(code: u16) -> ServerMessage {
    ServerMessage { code, state: "HY000".into(), text: "no".into() }
}

pub fn tell(what: Report) -> Command {
    report(1, 1, what)
}

fn began(target: Target) -> Command {
    tell(Report::TargetBegan { target, before: "before".into() })
}

fn done(target: Target) -> Command {
    tell(Report::TargetDone { target, warnings: Vec::new() })
}

fn failed(target: Target, reason: &str) -> Command {
    tell(Report::TargetFailed { target, reason: reason.into() })
}

fn refused(target: Target, code: u16) -> Command {
    tell(Report::TargetRefused { target, error: said(code) })
}

fn state(script: &Script) -> OperationState {
    script.view().operations[0].state
}

/// The shop with an operation that a leader took.
fn taken(command: Command) -> Script {
    let mut script = Script::with_shop();
    script.ok(command);
    script.ok(take(1, 1));
    script
}

fn altering() -> Script {
    taken(ddl(&["orders"]))
}

/// The statement on these targets, one after the other.
fn carry_out(script: &mut Script, targets: &[Target]) {
    for target in targets {
        script.ok(began(*target));
        script.ok(done(*target));
    }
}

fn done_there() -> TargetState {
    TargetState::Done { before: "before".into() }
}

#[test]
fn a_statement_ends_when_every_target_has_it_and_the_map_has_followed() {
    let mut script = altering();
    let operation = script.view().operations.remove(0);
    assert_eq!(operation.targets, [1, 2].map(|number| (shard(number), TargetState::Waiting)));
    assert!(script.state.statement(OperationId(1)).is_some());
    carry_out(&mut script, &[shard(2)]);
    assert_eq!(state(&script), OperationState::Running);
    assert_eq!(script.ok(done(shard(2))), Done::Unchanged);
    assert_eq!(
        script.refusal(tell(Report::Followed(vec![]))),
        "operation 1 is running: it is not done on every target"
    );
    carry_out(&mut script, &[shard(1)]);
    assert_eq!(state(&script), OperationState::Running, "the map has not followed");
    script.ok(tell(Report::Followed(vec![])));
    assert_eq!(state(&script), OperationState::Finished);
    assert_eq!(script.state.statement(OperationId(1)), None, "kept no longer than it is needed");
    assert_eq!(script.refusal(done(shard(1))), "operation 1 is finished: it has ended");
}

#[test]
fn a_target_that_has_it_is_never_begun_again_and_what_was_there_before_is_kept() {
    let mut script = altering();
    assert_eq!(script.refusal(done(shard(1))), "operation 1 is running: the target was not begun");
    script.ok(began(shard(1)));
    assert_eq!(script.ok(began(shard(1))), Done::Unchanged);
    let other = tell(Report::TargetBegan { target: shard(1), before: "after".into() });
    assert_eq!(
        script.refusal(other),
        "operation 1 is running: the target was begun already: whether it is done shows by what was there before"
    );
    script.ok(failed(shard(1), "gone away"));
    let begun = TargetState::Begun { before: "before".into() };
    assert_eq!(script.view().operations[0].targets[0].1, begun, "it may have taken effect");
    script.ok(done(shard(1)));
    assert_eq!(
        script.refusal(began(shard(1))),
        "operation 1 is running: the target has it: it is never run there again"
    );
}

#[test]
fn what_the_first_target_refuses_has_been_done_nowhere() {
    let mut script = altering();
    script.ok(failed(shard(1), "away"));
    script.ok(began(shard(1)));
    script.ok(refused(shard(1), 1142));
    let operation = script.view().operations.remove(0);
    assert_eq!((operation.state, operation.refusal), (OperationState::Refused, Some(said(1142))));
    assert_eq!(script.state.statement(OperationId(1)), None);
    script.ok(ddl(&["orders"]));
}

#[test]
fn half_done_work_stays_visible_until_it_is_completed_or_given_up() {
    let mut script = altering();
    carry_out(&mut script, &[shard(1)]);
    script.ok(failed(shard(2), "Lock wait timeout exceeded"));
    script.ok(failed(shard(2), "gone away"));
    let operation = script.view().operations.remove(0);
    assert_eq!(operation.targets[1].1, TargetState::Failed { reason: "gone away".into(), attempts: 2 });
    assert_eq!(operation.trouble.as_deref(), Some("on shard 2: gone away"));
    assert!(!operation.needs_somebody(), "it is tried again by itself");
    script.ok(began(shard(2)));
    script.ok(refused(shard(2), 1062));
    let operation = script.view().operations.remove(0);
    assert_eq!(operation.state, OperationState::Running);
    assert!(operation.needs_somebody() && operation.is_settled());
    assert_eq!(script.ok(failed(shard(1), "late")), Done::Unchanged);
    assert_eq!(script.refusal(done(shard(3))), "operation 1 has nothing to do on shard 3");
    assert_eq!(
        script.refusal(cancel(1)),
        "operation 1 is running: it is done on 1 of 2 targets already: it can only be completed or given up"
    );

    let mut completed = script.clone();
    completed.ok(retry(1));
    assert_eq!(completed.view().operations[0].targets[1].1, TargetState::Waiting);
    assert_eq!(
        completed.refusal(retry(1)),
        "operation 1 is running: no target refused it: it goes on by itself"
    );
    carry_out(&mut completed, &[shard(2)]);
    assert_eq!(completed.view().operations[0].trouble, None);

    script.ok(give_up(1));
    assert_eq!(state(&script), OperationState::GivenUp);
    assert_eq!(script.state.statement(OperationId(1)), None);
    assert_eq!(script.refusal(retry(1)), "operation 1 is given up: it has ended");
}

#[test]
fn what_may_be_at_work_is_ended_before_an_operation_is_given_up() {
    let mut script = altering();
    script.ok(began(shard(1)));
    script.ok(give_up(1));
    assert_eq!(state(&script), OperationState::Undoing);
    assert_eq!(script.ok(give_up(1)), Done::Unchanged);
    assert_eq!(
        script.refusal(tell(Report::Undone)),
        "operation 1 is being undone: it may be at work on a target"
    );
    assert_eq!(script.refusal(began(shard(2))), "operation 1 is being undone: nothing is begun any more");
    let mut without = script.clone();
    without.ok(refused(shard(1), 1317));
    assert_eq!(state(&without), OperationState::Undoing);
    without.ok(tell(Report::Undone));
    assert_eq!(state(&without), OperationState::Cancelled);
    script.ok(done(shard(1)));
    script.ok(tell(Report::Undone));
    assert_eq!(state(&script), OperationState::GivenUp);
    assert_eq!(altering().refusal(tell(Report::Undone)), "operation 1 is running: nobody gave it up");
}

#[test]
fn nothing_was_begun_so_nothing_is_left_of_what_is_given_up() {
    for command in [cancel(1), give_up(1)] {
        let mut script = altering();
        script.ok(failed(shard(1), "away"));
        script.ok(command);
        assert_eq!(state(&script), OperationState::Cancelled);
        assert_eq!(script.refusal(began(shard(1))), "operation 1 is cancelled: it has ended");
    }
}

#[test]
fn the_map_follows_what_every_shard_has() {
    let mut script = taken(begin(
        vec![
            TableEffect::Altered("orders".into()),
            TableEffect::Renamed { from: "countries".into(), to: "lands".into() },
            TableEffect::Dropped("unknown".into()),
        ],
        "…",
        None,
    ));
    carry_out(&mut script, &[shard(1), shard(2)]);
    let mut columns = orders().columns;
    columns.rotate_left(1);
    let follows = vec![
        Follow::Columns { table: "orders".into(), columns, next: Some(500) },
        Follow::Columns { table: "undeclared".into(), columns: Vec::new(), next: None },
        Follow::Renamed { from: "countries".into(), to: "lands".into() },
        Follow::Forgotten("unknown".into()),
    ];
    let changes = script.changes(tell(Report::Followed(follows.clone())));
    assert!(matches!(
        &changes[..],
        [
            Change::Table { .. },
            Change::SequenceGeneration { .. },
            Change::TableRemoved { .. },
            Change::Table { .. }
        ]
    ));
    assert_eq!(script.ok(tell(Report::Followed(follows))), Done::Unchanged);
    assert_eq!(state(&script), OperationState::Running, "proxies have to take it over");
    script.ok(tell(Report::TakenOver));
    assert_eq!(state(&script), OperationState::Finished);
    let tables: Vec<String> =
        script.view().keyspaces[0].tables.iter().map(|known| known.table.name.to_string()).collect();
    assert_eq!(tables, ["lands", "orders"]);
}

#[test]
fn two_tables_may_change_their_names() {
    let renamed = |from: &str, to: &str| Follow::Renamed { from: from.into(), to: to.into() };
    let mut script = taken(ddl(&["orders", "countries", "tmp"]));
    carry_out(&mut script, &[shard(1), shard(2)]);
    let follows = vec![renamed("orders", "tmp"), renamed("countries", "orders"), renamed("tmp", "countries")];
    script.ok(tell(Report::Followed(follows)));
    let view = script.view();
    let kinds: Vec<(&str, bool)> = view.keyspaces[0]
        .tables
        .iter()
        .map(|known| (known.table.name.as_str(), known.table.kind == TableKind::Reference))
        .collect();
    assert_eq!(kinds, [("countries", false), ("orders", true)]);
}

#[test]
fn what_the_map_cannot_follow_is_not_forgotten() {
    let mut script = altering();
    carry_out(&mut script, &[shard(1), shard(2)]);
    script.ok(tell(Report::Followed(vec![Follow::Columns {
        table: "orders".into(),
        columns: Vec::new(),
        next: None,
    }])));
    let operation = script.view().operations.remove(0);
    assert_eq!(operation.state, OperationState::GivenUp);
    assert!(operation.trouble.unwrap().starts_with("done everywhere, but the map cannot follow: "));
}

#[test]
fn a_new_table_is_declared_when_all_but_home_have_it() {
    let lands = || table("lands", TableKind::Reference, &["code"]);
    let mut script = taken(creating("lands"));
    // Home is shard 1.
    let targets: Vec<Target> =
        script.view().operations[0].targets.iter().map(|(target, _)| *target).collect();
    assert_eq!(targets, [shard(2), shard(1)]);
    carry_out(&mut script, &[shard(2)]);
    let changes = script.changes(tell(Report::Declared(lands())));
    assert!(matches!(&changes[..], [Change::Table { .. }]));
    let operation = script.view().operations.remove(0);
    let OperationKind::Ddl(ddl) = operation.kind else { panic!() };
    assert_eq!(ddl.declared, Some(script.view().revision));
    // A leader that did not hear the answer says it again, and waits for no revision that never comes.
    script.ok(tell(Report::Declared(lands())));
    let OperationKind::Ddl(ddl) = script.view().operations.remove(0).kind else { panic!() };
    assert_eq!(ddl.declared, Some(script.view().revision));
    carry_out(&mut script, &[shard(1)]);
    script.ok(tell(Report::Followed(vec![])));
    assert_eq!(state(&script), OperationState::Finished);
}

#[test]
fn a_table_that_cannot_be_declared_is_taken_back() {
    let mut script = taken(creating("lands"));
    carry_out(&mut script, &[shard(2)]);
    script.ok(tell(Report::NotDeclared(said(1235))));
    assert_eq!(state(&script), OperationState::Undoing);
    script.ok(tell(Report::Undone));
    let operation = script.view().operations.remove(0);
    assert_eq!((operation.state, operation.refusal), (OperationState::Refused, Some(said(1235))));
    assert_eq!(
        altering().refusal(tell(Report::NotDeclared(said(1235)))),
        "operation 1 is running: it declares no table"
    );
    assert_eq!(
        altering().refusal(tell(Report::Declared(orders()))),
        "operation 1 is running: it declares no table"
    );
    // One that is declared otherwise stays as it is.
    let mut other = taken(creating("orders"));
    carry_out(&mut other, &[shard(2)]);
    other.refusal(tell(Report::Declared(table("orders", TableKind::Reference, &["id"]))));
    assert_eq!(state(&other), OperationState::Running);
}

#[test]
fn proxies_are_waited_for_by_what_they_run_and_by_what_they_take() {
    use podway_model::Revision;
    let mut script = Script::with_shop();
    script.ok(register("p1"));
    let proxy = script.view().proxies[0].incarnation;
    let beat = Beat {
        incarnation: proxy,
        applied: Revision(9),
        settled: Revision(5),
        clock: HybridTime::default(),
        clocks: Default::default(),
        drained: Vec::new(),
    };
    script.ok(beats(vec![beat]));
    assert_eq!(script.state.unsettled(Revision(6)), [proxy]);
    assert_eq!(script.state.unsettled(Revision(5)), []);
    assert_eq!(script.state.behind(Revision(9)), []);
    assert_eq!(script.state.behind(Revision(10)), [proxy]);
}

#[test]
fn a_statement_about_a_table_keeps_others_from_what_is_known_of_it() {
    let forget =
        |table: &str| Command::Table(TableCommand::Forget { keyspace: "shop".into(), table: table.into() });
    check(
        altering(),
        vec![
            (forget("orders"), "table orders is part of operation 1, which is not done yet"),
            (forget("countries"), "ok"),
            (give_up(1), "ok"),
            (forget("orders"), "ok"),
        ],
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
            (crate::moves::begin(1, "c"), "shard 1 is part of operation 1, which is not done yet"),
            (cancel(2), "ok"),
            (cancel(1), "ok"),
            (crate::moves::begin(1, "c"), "ok"),
            (ddl(&["orders"]), "keyspace shop is part of operation 3, which is not done yet"),
        ],
    );
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
    assert_eq!(script.refusal(add_server("d", 4)), "server d is part of operation 1, which is not done yet");
    script.ok(take(1, 1));
    carry_out(&mut script, &servers);
    script.ok(tell(Report::AccountsFollowed(vec![])));
    assert_eq!(state(&script), OperationState::Running);
    script.ok(tell(Report::TakenOver));
    assert_eq!(state(&script), OperationState::Finished);
    script.ok(add_server("d", 4));
    assert_eq!(script.view().operations[0].targets[0].1, done_there());
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
    let with = |text: &str, effects: Vec<TableEffect>| begin(effects, text, None);
    let named = "\"…\" cannot be the name of a statement";
    check(
        Script::with_shop(),
        vec![
            (with(" ", vec![]), &*format!("{named}: it is empty")),
            (with(&"x".repeat((1 << 19) + 1), vec![]), &*format!("{named}: it has more than 524288 bytes")),
            (with("x", altered(&["t"; 1_025])), &*format!("{named}: it names more than 1024 tables")),
            (with("x", altered(&[""])), "\"\" cannot be the name of a table: it is empty"),
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

#[test]
fn names_are_held_until_the_map_follows_or_the_statement_has_ended() {
    let renaming = || {
        let renamed = TableEffect::Renamed { from: "orders".into(), to: "older".into() };
        taken(begin(vec![renamed], "RENAME TABLE orders TO older", None))
    };
    let held = |script: &Script| -> Vec<(String, u64)> {
        let map = script.map();
        let keyspace = map.keyspace_spelled("shop").unwrap();
        keyspace.held_names().map(|(table, by)| (table.to_string(), by)).collect()
    };
    let both = [("older".to_owned(), 1), ("orders".to_owned(), 1)];
    let mut script = renaming();
    assert!(held(&script).is_empty());
    script.ok(tell(Report::Held));
    assert_eq!(held(&script), both);
    carry_out(&mut script, &[shard(1), shard(2)]);
    assert_eq!(held(&script), both);
    let renamed = Follow::Renamed { from: "orders".into(), to: "older".into() };
    script.ok(tell(Report::Followed(vec![renamed])));
    assert!(held(&script).is_empty());

    let mut script = renaming();
    script.ok(tell(Report::Held));
    script.ok(tell(Report::TargetRefused { target: shard(1), error: said(1205) }));
    assert_eq!(state(&script), OperationState::Refused);
    assert!(held(&script).is_empty());

    // What is begun is not held any more, nor what changes no name.
    let mut script = renaming();
    script.ok(began(shard(1)));
    script.refusal(tell(Report::Held));
    altering().refusal(tell(Report::Held));
}

/// The first operation, taken and done on both shards.
pub fn carry_out_first(script: &mut Script) {
    script.ok(take(1, 1));
    carry_out(script, &[shard(1), shard(2)]);
}
