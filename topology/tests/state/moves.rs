//! A shard's move: its steps in their order, what each waits for, and what watchers see of it.

use podway_model::{Change, Epoch, FreezeId, NameRule, ServerId, Shard, ShardId, ShardIndex};
use podway_topology_api::{
    Beat, Command, Done, Incarnation, MoveStep, NewOperation, OperationCommand, OperationId, OperationKind,
    OperationState, ProxyCommand, Report, ServerCommand, ShardCommand, ShardMove, Term,
};

use crate::script::{
    Script, add_server, beat, beats, check, create_with, drop_keyspace, facts, shard_in, shard_on, spread,
};

pub fn begin(shard: u32, to: &str) -> Command {
    let new = NewOperation::MoveShard { shard: ShardId(shard), to: to.into(), schema: None };
    Command::Operation(OperationCommand::Begin(new))
}

pub fn take(id: u64, term: u64) -> Command {
    Command::Operation(OperationCommand::Take { id: OperationId(id), term: Term(term) })
}

pub fn report(id: u64, term: u64, report: Report) -> Command {
    Command::Operation(OperationCommand::Report { id: OperationId(id), term: Term(term), report })
}

pub fn done(step: MoveStep) -> Command {
    report(1, 1, Report::StepDone(step))
}

pub fn cancel(id: u64) -> Command {
    Command::Operation(OperationCommand::Cancel { id: OperationId(id) })
}

fn move_of(script: &Script) -> (ShardMove, OperationState) {
    let operation = script.view().operations.remove(0);
    match operation.kind {
        OperationKind::MoveShard(one) => (one, operation.state),
        other => panic!("{other:?}"),
    }
}

/// The shop, whose shard 1 has been taken on its way from `a` to `c` and is at this step.
pub fn at(step: MoveStep) -> Script {
    let mut script = Script::with_shop();
    script.ok(begin(1, "c"));
    script.ok(take(1, 1));
    for before in MoveStep::ALL.into_iter().take_while(|before| *before < step) {
        script.ok(done(before));
    }
    script
}

fn told(server: u32, epoch: u64, freeze: Option<u64>) -> Change {
    let name = |text| NameRule::CaseSensitive.name(text);
    let shard = Shard { id: ShardId(1), server: ServerId(server), schema: name("shop"), epoch: Epoch(epoch) };
    Change::Shard { keyspace: name("shop"), index: ShardIndex(0), shard, freeze: freeze.map(FreezeId) }
}

#[test]
fn watchers_see_the_freeze_and_the_flip_and_nothing_else() {
    let mut script = at(MoveStep::Prepare);
    for step in MoveStep::ALL {
        let expected = match step {
            MoveStep::Prepare => vec![told(1, 1, Some(1))],
            MoveStep::Flip => vec![told(3, 2, None)],
            _ => vec![],
        };
        assert_eq!(move_of(&script).0.step, step);
        assert_eq!(script.changes(done(step)), expected, "{step}");
    }
    assert_eq!(move_of(&script).1, OperationState::Finished);
    let view = script.view();
    assert_eq!(view.retired.len(), 1);
    assert_eq!((view.retired[0].server, view.retired[0].shard), (ServerId(1), ShardId(1)));
    let said: Vec<&str> = view.log.iter().rev().take(11).map(|line| &*line.what).collect();
    assert_eq!(
        said.into_iter().rev().collect::<Vec<_>>(),
        [
            "operation 1 began: shard 1 of keyspace shop moves from server a to server c",
            "operation 1 taken by the leader of term 1",
            "operation 1: prepare of shard 1 is done, next is freeze",
            "operation 1: freeze of shard 1 is done, next is shut out",
            "operation 1: shut out of shard 1 is done, next is resolve branches",
            "operation 1: resolve branches of shard 1 is done, next is fence",
            "operation 1: fence of shard 1 is done, next is catch up",
            "operation 1: catch up of shard 1 is done, next is flip",
            "operation 1: flip of shard 1 is done, next is revoke",
            "operation 1: revoke of shard 1 is done, next is retire",
            "operation 1 finished: shard 1 has moved",
        ]
    );
}

#[test]
fn steps_are_reported_in_their_order_only() {
    for at_step in MoveStep::ALL {
        let script = at(at_step);
        for reported in MoveStep::ALL.into_iter().filter(|reported| *reported != at_step) {
            let refusal = script.clone().refusal(done(reported));
            assert_eq!(refusal, format!("operation 1 is at {at_step}, not at {reported}"));
        }
    }
}

#[test]
fn the_freeze_waits_for_every_proxy_with_a_lease() {
    let mut script = Script::with_shop();
    let (first, second) = (script.register("p"), script.register("q"));
    script.ok(begin(1, "c"));
    script.ok(take(1, 1));
    script.ok(done(MoveStep::Prepare));
    let third = script.register("r");
    let drained = |incarnation| Beat { drained: vec![FreezeId(1)], ..beat(incarnation) };
    let waits = |names: &str| format!("still to drain: {names}");
    let [p, q, r] = [1, 2, 3].map(|number| format!("proxy incarnation {number}"));
    assert_eq!(script.refusal(done(MoveStep::Freeze)), waits(&format!("{p}, {q}, {r}")));
    script.ok(beats(vec![drained(first), beat(second)]));
    assert_eq!(script.refusal(done(MoveStep::Freeze)), waits(&format!("{q}, {r}")));
    script.ok(beats(vec![drained(third)]));
    assert_eq!(script.refusal(done(MoveStep::Freeze)), waits(&q));
    script.ok(beats(vec![drained(second)]));
    script.ok(done(MoveStep::Freeze));
}

#[test]
fn the_silent_are_shut_out_before_anything_else_is_done() {
    let mut script = Script::with_shop();
    let silent = script.register("p");
    script.ok(begin(1, "c"));
    script.ok(take(1, 1));
    script.ok(done(MoveStep::Prepare));
    for _ in 0..12 {
        script.at += 1_000;
        script.ok(beats(vec![]));
    }
    script.ok(done(MoveStep::Freeze));
    assert_eq!(script.refusal(done(MoveStep::ShutOut)), "still to be shut out: proxy incarnation 1");
    script.ok(Command::Proxy(ProxyCommand::ShutOut { incarnation: silent }));
    script.ok(done(MoveStep::ShutOut));
}

#[test]
fn an_older_leader_is_not_listened_to() {
    let mut script = at(MoveStep::Fence);
    script.ok(take(1, 3));
    check(
        script,
        vec![
            (done(MoveStep::Fence), "operation 1 belongs to the leader of term 3, not 1"),
            (take(1, 2), "operation 1 belongs to the leader of term 3, not 2"),
            (take(1, 3), "unchanged"),
            (
                report(1, 4, Report::StepDone(MoveStep::Fence)),
                "operation 1 belongs to the leader of term 3, not 4",
            ),
            (report(1, 3, Report::StepDone(MoveStep::Fence)), "ok"),
            (take(2, 3), "there is no operation 2"),
        ],
    );
    let mut untaken = Script::with_shop();
    untaken.ok(begin(1, "c"));
    assert_eq!(
        untaken.refusal(report(1, 0, Report::StepDone(MoveStep::Prepare))),
        "operation 1 belongs to the leader of term 0, not 0"
    );
}

#[test]
fn a_move_can_be_cancelled_until_its_flip() {
    for step in MoveStep::ALL {
        let mut script = at(step);
        if step > MoveStep::Flip {
            let refusal = script.refusal(cancel(1));
            assert_eq!(refusal, "operation 1 is running: the shard has its new owner; there is no way back");
            continue;
        }
        let unfreezes_at_once = step > MoveStep::Prepare && step < MoveStep::Fence;
        let expected = if unfreezes_at_once { vec![told(1, 1, None)] } else { vec![] };
        assert_eq!(script.changes(cancel(1)), expected, "{step}");
        assert_eq!(move_of(&script).1, OperationState::Undoing);
        assert_eq!(script.refusal(done(step)), "operation 1 is being undone: it was cancelled");
        assert_eq!(script.ok(cancel(1)), Done::Unchanged);
        let expected = if step >= MoveStep::Fence { vec![told(1, 1, None)] } else { vec![] };
        assert_eq!(script.changes(report(1, 1, Report::Undone)), expected, "{step}");
        assert_eq!(move_of(&script).1, OperationState::Cancelled);
        assert_eq!(script.refusal(cancel(1)), "operation 1 is cancelled: it has ended");
        script.ok(begin(1, "c"));
    }
}

#[test]
fn what_nobody_took_is_cancelled_at_once() {
    let mut script = Script::with_shop();
    script.ok(begin(1, "c"));
    assert_eq!(script.changes(cancel(1)), []);
    assert_eq!(move_of(&script).1, OperationState::Cancelled);
    assert_eq!(script.refusal(report(1, 1, Report::Undone)), "operation 1 is cancelled: it has ended");
}

#[test]
fn a_failed_step_is_told_and_tried_again() {
    let mut script = at(MoveStep::Fence);
    let failed = |step, reason: &str| report(1, 1, Report::StepFailed { step, reason: reason.into() });
    script.ok(failed(MoveStep::Fence, "a backup lock is held"));
    assert_eq!(script.view().operations[0].trouble.as_deref(), Some("fence: a backup lock is held"));
    assert_eq!(script.refusal(failed(MoveStep::Flip, "x")), "operation 1 is at fence, not at flip");
    script.ok(done(MoveStep::Fence));
    assert_eq!(script.view().operations[0].trouble, None);
    let given_up = report(1, 1, Report::GivenUp { reason: "the source is gone".into() });
    assert_eq!(
        script.refusal(given_up),
        "operation 1 is running: a move that was not flipped is cancelled, not given up"
    );
}

#[test]
fn what_is_left_after_the_flip_can_be_given_up() {
    let mut script = at(MoveStep::Revoke);
    script.ok(report(1, 1, Report::GivenUp { reason: "the source is gone".into() }));
    assert_eq!(move_of(&script).1, OperationState::GivenUp);
    assert_eq!(script.view().retired.len(), 1, "what it left behind is on record");
}

#[test]
fn a_move_needs_a_place_that_nobody_has() {
    let mut script = Script::with_shop();
    script.ok(create_with("other", vec![shard_in("c", "taken")], 0));
    let to = |schema: &str| {
        let new = NewOperation::MoveShard { shard: ShardId(1), to: "c".into(), schema: Some(schema.into()) };
        Command::Operation(OperationCommand::Begin(new))
    };
    check(
        script,
        vec![
            (begin(9, "c"), "there is no shard 9"),
            (begin(1, "d"), "there is no server d; did you mean a?"),
            (begin(1, "a"), "shard 1 lies on server 1 already"),
            (begin(1, "b"), "schema shop on server b is shard 2 already"),
            (to("taken"), "schema taken on server c is shard 3 already"),
            (
                to("sys"),
                "\"sys\" cannot be the name of a schema: it is one of MySQL's or Podway's own schemas",
            ),
            (to("shop__2"), "ok"),
            (to("shop__3"), "shard 1 is part of operation 1, which is not done yet"),
            (
                create_with("third", vec![shard_in("c", "shop__2")], 0),
                "schema shop__2 on server c is where shard 1 is moving to already",
            ),
        ],
    );
}

#[test]
fn nothing_else_is_done_to_what_moves() {
    let remove = |name: &str| Command::Server(ServerCommand::Remove { name: name.into() });
    let promote = |name: &str, number: u16| {
        let from_uuid = format!("uuid-{number}").into();
        Command::Server(ServerCommand::Promote { name: name.into(), from_uuid, facts: facts(number + 10) })
    };
    check(
        at(MoveStep::Fence),
        vec![
            (drop_keyspace("shop", true), "keyspace shop is part of operation 1, which is not done yet"),
            (
                spread("shop", vec![shard_on("c")]),
                "keyspace shop is part of operation 1, which is not done yet",
            ),
            (remove("c"), "server c is part of operation 1, which is not done yet"),
            (promote("a", 1), "server a is part of operation 1, which is not done yet"),
            (promote("c", 3), "server c is part of operation 1, which is not done yet"),
            (promote("b", 2), "ok"),
            (
                Command::Shard(ShardCommand::Unfreeze { freeze: FreezeId(1) }),
                "freeze 1 is part of operation 1, which is not done yet",
            ),
            (Command::Shard(ShardCommand::Freeze { shard: ShardId(1) }), "shard 1 is frozen by freeze 1"),
        ],
    );
    check(
        at(MoveStep::Revoke),
        vec![
            (remove("a"), "server a is part of operation 1, which is not done yet"),
            (promote("a", 1), "ok"),
        ],
    );
}

#[test]
fn a_frozen_shard_does_not_set_out() {
    let mut script = Script::with_shop();
    script.ok(Command::Shard(ShardCommand::Freeze { shard: ShardId(1) }));
    assert_eq!(script.refusal(begin(1, "c")), "shard 1 is frozen by freeze 1");
    script.ok(begin(2, "c"));
}

#[test]
fn a_shard_frozen_on_its_way_is_not_frozen_twice() {
    let mut script = at(MoveStep::Prepare);
    script.ok(Command::Shard(ShardCommand::Freeze { shard: ShardId(1) }));
    assert_eq!(script.refusal(done(MoveStep::Prepare)), "shard 1 is frozen by freeze 1");
    script.ok(Command::Shard(ShardCommand::Unfreeze { freeze: FreezeId(1) }));
    script.ok(done(MoveStep::Prepare));
    assert_eq!(move_of(&script).0.freeze, Some(FreezeId(2)));
}

#[test]
fn who_comes_while_a_shard_is_frozen_may_have_an_older_map_and_is_waited_for_before_the_flip() {
    let mut script = at(MoveStep::Flip);
    let freeze = move_of(&script).0.freeze.unwrap();
    let came = script.register("p");
    assert_eq!(script.refusal(done(MoveStep::Flip)), "still to drain: proxy incarnation 1");
    // One that has acknowledged is safe, whatever becomes of its lease: it holds statements until it hears more.
    let mut drained = script.clone();
    drained.ok(beats(vec![Beat { drained: vec![freeze], ..beat(came) }]));
    end_leases(&mut drained);
    drained.ok(done(MoveStep::Flip));
    end_leases(&mut script);
    assert_eq!(script.refusal(done(MoveStep::Flip)), "still to be shut out: proxy incarnation 1");
    assert_eq!(script.state.late_proxies(freeze), [came]);
    script.ok(Command::Proxy(ProxyCommand::ShutOut { incarnation: came }));
    script.ok(done(MoveStep::Flip));
}

/// Nobody is heard until all leases have ended.
fn end_leases(script: &mut Script) {
    for _ in 0..20 {
        script.at += 1_000;
        script.ok(beats(vec![]));
    }
}

#[test]
fn a_retired_place_is_nobodys_until_it_is_forgotten() {
    let mut script = at(MoveStep::Retire);
    script.ok(add_server("d", 4));
    let forget = |schema: &str| {
        Command::Shard(ShardCommand::ForgetRetired { server: "a".into(), schema: schema.into() })
    };
    check(
        script,
        vec![
            (
                create_with("new", vec![shard_in("a", "shop")], 0),
                "schema shop on server a is what shard 1 left behind already",
            ),
            (forget("shop"), "retired schema shop is part of operation 1, which is not done yet"),
            (done(MoveStep::Retire), "ok"),
            (begin(2, "a"), "schema shop on server a is what shard 1 left behind already"),
            (forget("shp"), "there is no retired schema shp; did you mean shop?"),
            (forget("shop"), "ok"),
            (begin(2, "a"), "ok"),
        ],
    );
}

#[test]
fn a_server_that_leaves_takes_what_was_retired_on_it_along() {
    let mut script = at(MoveStep::Retire);
    script.ok(done(MoveStep::Retire));
    script.ok(Command::Server(ServerCommand::Remove { name: "a".into() }));
    assert_eq!(script.view().retired, []);
}

#[test]
fn a_proxy_that_left_in_order_is_not_waited_for() {
    let mut script = Script::with_shop();
    script.register("p");
    script.ok(begin(1, "c"));
    script.ok(take(1, 1));
    script.ok(done(MoveStep::Prepare));
    script.ok(Command::Proxy(ProxyCommand::Deregister { incarnation: Incarnation(1) }));
    script.ok(done(MoveStep::Freeze));
    script.ok(done(MoveStep::ShutOut));
}
