//! What comes next, for records as they can be.

use podway_model::{Revision, ShardId};
use podway_topology_api::{Ddl, LogTime, OperationId, ServerMessage, TableDeclaration, TableEffect};

use super::*;

const ALICE: Incarnation = Incarnation(7);

fn waiting() -> TargetState {
    TargetState::Waiting
}

fn begun() -> TargetState {
    TargetState::Begun { before: "x".into() }
}

fn done() -> TargetState {
    TargetState::Done { before: "x".into() }
}

fn failed() -> TargetState {
    TargetState::Failed { reason: "away".into(), attempts: 1 }
}

fn message() -> ServerMessage {
    ServerMessage { code: 1062, state: "23000".into(), text: "Duplicate entry".into() }
}

fn refused() -> TargetState {
    TargetState::Refused { error: message(), attempts: 1 }
}

fn operation(targets: Vec<TargetState>) -> Operation {
    let numbered = targets.into_iter().zip(1..).map(|(state, n)| (Target::Shard(ShardId(n)), state));
    Operation {
        id: OperationId(1),
        kind: OperationKind::Ddl(Ddl {
            keyspace: "shop".into(),
            effects: vec![TableEffect::Altered("orders".into())],
            shown: "ALTER TABLE orders".into(),
            declaration: None,
            held: None,
            declared: None,
            followed: None,
        }),
        who: "a test".into(),
        since: LogTime(0),
        changed: LogTime(0),
        term: Term(3),
        state: OperationState::Running,
        targets: numbered.collect(),
        trouble: None,
        refusal: None,
        warnings: Vec::new(),
    }
}

fn ddl(operation: &mut Operation) -> &mut Ddl {
    match &mut operation.kind {
        OperationKind::Ddl(ddl) => ddl,
        other => panic!("{other:?}"),
    }
}

fn declaring(targets: Vec<TargetState>, declared: Option<u64>) -> Operation {
    let mut operation = operation(targets);
    ddl(&mut operation).declaration = Some(TableDeclaration::Reference);
    ddl(&mut operation).declared = declared.map(Revision);
    operation
}

fn facts() -> Facts {
    Facts { term: Term(3), ..Facts::default() }
}

fn run(targets: &[u32]) -> Next {
    Next::Run(targets.iter().map(|number| Target::Shard(ShardId(*number))).collect())
}

#[test]
fn one_target_goes_first_and_the_others_follow_together() {
    let cases = [
        (vec![waiting(), waiting(), waiting()], run(&[1])),
        (vec![begun(), waiting(), waiting()], run(&[1])),
        (vec![failed(), waiting(), waiting()], run(&[1])),
        (vec![done(), waiting(), waiting()], run(&[2, 3])),
        (vec![done(), begun(), failed()], run(&[2, 3])),
        (vec![done(), done(), begun()], run(&[3])),
        (vec![done(), refused(), begun()], run(&[3])),
        (vec![done(), refused(), done()], Next::Rest),
        (vec![refused(), waiting(), waiting()], Next::Rest),
        (vec![done(), done(), done()], Next::Follow),
    ];
    for (targets, expected) in cases {
        assert_eq!(next(&operation(targets.clone()), &facts()), expected, "{targets:?}");
    }
}

#[test]
fn a_leader_takes_an_operation_before_it_does_anything_and_leaves_a_later_ones_alone() {
    let operation = operation(vec![begun()]);
    assert_eq!(next(&operation, &Facts { term: Term(4), ..facts() }), Next::Take);
    assert_eq!(next(&operation, &Facts { term: Term(2), ..facts() }), Next::Nothing);
    for state in [OperationState::Finished, OperationState::Refused, OperationState::GivenUp] {
        assert_eq!(next(&Operation { state, ..operation.clone() }, &facts()), Next::Nothing);
    }
}

#[test]
fn it_ends_when_every_proxy_has_the_map_that_follows() {
    let mut operation = operation(vec![done(), done()]);
    ddl(&mut operation).followed = Some(Revision(9));
    let behind = Facts { behind: vec![ALICE], ..facts() };
    assert_eq!(next(&operation, &behind), Next::WaitFor(vec![ALICE]));
    assert_eq!(next(&operation, &facts()), Next::TakenOver);
}

#[test]
fn a_table_comes_into_being_at_home_when_everybody_knows_it() {
    let unsettled = Facts { unsettled: vec![ALICE], ..facts() };
    let cases = [
        (vec![waiting(), waiting(), waiting()], None, facts(), run(&[1])),
        (vec![done(), waiting(), waiting()], None, facts(), run(&[2])),
        (vec![done(), refused(), waiting()], None, facts(), Next::Rest),
        (vec![done(), done(), waiting()], None, facts(), Next::Declare),
        (vec![done(), done(), waiting()], None, unsettled.clone(), Next::Declare),
        (vec![done(), done(), waiting()], Some(5), unsettled.clone(), Next::WaitFor(vec![ALICE])),
        (vec![done(), done(), waiting()], Some(5), facts(), run(&[3])),
        (vec![done(), done(), begun()], Some(5), facts(), run(&[3])),
        (vec![done(), done(), refused()], Some(5), facts(), Next::Rest),
        (vec![done(), done(), done()], Some(5), facts(), Next::Follow),
        // With one shard there is nobody who could be wrong meanwhile.
        (vec![waiting()], None, facts(), run(&[1])),
        (vec![done()], None, unsettled, Next::Declare),
        (vec![done()], Some(5), facts(), Next::Follow),
    ];
    for (targets, declared, facts, expected) in cases {
        assert_eq!(next(&declaring(targets.clone(), declared), &facts), expected, "{targets:?} {declared:?}");
    }
}

#[test]
fn what_is_given_up_is_ended_where_it_is_under_way() {
    let undoing = |targets| Operation { state: OperationState::Undoing, ..operation(targets) };
    let second = Target::Shard(ShardId(2));
    assert_eq!(next(&undoing(vec![done(), begun()]), &facts()), Next::Stop(vec![second]));
    assert_eq!(next(&undoing(vec![done(), refused()]), &facts()), Next::Undone);
}

#[test]
fn what_was_made_for_a_declaration_that_is_refused_is_dropped() {
    let refused = |targets| Operation {
        state: OperationState::Undoing,
        refusal: Some(message()),
        ..declaring(targets, None)
    };
    let first = Target::Shard(ShardId(1));
    assert_eq!(next(&refused(vec![done(), waiting()]), &facts()), Next::Drop(vec![first]));
    assert_eq!(next(&refused(vec![waiting(), waiting()]), &facts()), Next::Undone);
}

#[test]
fn names_are_held_before_any_target_is_begun_and_nobody_runs_anything_from_before() {
    let renaming = |targets, held: Option<u64>| {
        let mut operation = operation(targets);
        let renamed = TableEffect::Renamed { from: "orders".into(), to: "older".into() };
        ddl(&mut operation).effects = vec![renamed];
        ddl(&mut operation).held = held.map(Revision);
        operation
    };
    let unheld = Facts { unheld: vec![ALICE], ..facts() };
    let overdue = Facts { is_hold_overdue: true, ..unheld.clone() };
    let cases = [
        (vec![waiting(), waiting()], None, facts(), Next::Hold),
        (vec![waiting(), waiting()], Some(5), unheld.clone(), Next::WaitFor(vec![ALICE])),
        (vec![waiting(), waiting()], Some(5), overdue.clone(), Next::GiveWay(Target::Shard(ShardId(1)))),
        (vec![waiting(), waiting()], Some(5), facts(), run(&[1])),
        // A proxy came meanwhile, and has no map yet.
        (vec![begun(), waiting()], Some(5), overdue, Next::WaitFor(vec![ALICE])),
        (vec![done(), waiting()], Some(5), unheld, Next::WaitFor(vec![ALICE])),
        (vec![done(), waiting()], Some(5), facts(), run(&[2])),
        (vec![done(), done()], Some(5), facts(), Next::Follow),
        // One shard has it whole.
        (vec![waiting()], None, facts(), run(&[1])),
    ];
    for (targets, held, facts, expected) in cases {
        assert_eq!(next(&renaming(targets.clone(), held), &facts), expected, "{targets:?} {held:?}");
    }
}
