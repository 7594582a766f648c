//! What the coordinator does, literally: every event in every state.

use podway_model::{HybridTime, ServerId};

use super::super::Action::*;
use super::super::Event::*;
use super::super::{Action, Commit, Event, Outcome, Participant, Participants, Phase, Ruling, Via, Why};
use super::gtrid;

const P: ServerId = ServerId(1);
const Q: ServerId = ServerId(2);
const R: ServerId = ServerId(3);
/// It only reads.
const READER: ServerId = ServerId(4);

const NOW: HybridTime = HybridTime(100);
const LOW: HybridTime = HybridTime(99);
const LATER: HybridTime = HybridTime(150);

const COMMITTED: Event = Ruled(Ruling::Committed(NOW));
const ABORTED: Event = Ruled(Ruling::Aborted);

type Turn = (Event, Vec<Action>);

fn participants(primary_wrote: bool, writers: &[ServerId], readers: &[ServerId]) -> Participants {
    let participant = |wrote: bool| move |server: &ServerId| Participant { server: *server, wrote };
    let branches = writers.iter().map(participant(true)).chain(readers.iter().map(participant(false)));
    Participants { gtrid: gtrid(), primary: participant(primary_wrote)(&P), branches: branches.collect() }
}

/// Two servers that are written to, and one that is read.
fn pair() -> Participants {
    participants(true, &[Q], &[READER])
}

fn check(participants: &Participants, first: &[Action], turns: &[Turn]) -> Commit {
    let (mut commit, actions) = Commit::new(participants, NOW);
    assert_eq!(actions, first);
    run(&mut commit, turns);
    commit
}

fn run(commit: &mut Commit, turns: &[Turn]) {
    for (number, (event, actions)) in turns.iter().enumerate() {
        assert_eq!(commit.on(event.clone()), *actions, "{number}: {event:?}");
    }
}

/// From where it is, these events lead to these actions.
fn from(commit: &Commit, turns: &[Turn]) {
    run(&mut commit.clone(), turns);
}

fn prepared(server: ServerId) -> Event {
    Prepared { server, highest: LOW }
}

fn released(outcome: Outcome) -> Turn {
    (Done(READER), vec![Answer(outcome)])
}

fn ok(stamp: HybridTime) -> Outcome {
    Outcome::Committed { stamp: Some(stamp), in_doubt_elsewhere: Vec::new() }
}

fn plainly() -> Outcome {
    Outcome::Committed { stamp: None, in_doubt_elsewhere: Vec::new() }
}

fn rolled_back(why: Why) -> Outcome {
    Outcome::RolledBack { why }
}

fn commit_on(server: ServerId, via: Via) -> Action {
    CommitBranch { server, via }
}

fn roll_back_on(server: ServerId, via: Via) -> Action {
    RollBackBranch { server, via }
}

fn release() -> Vec<Action> {
    vec![Release { server: READER }]
}

fn dropped(server: ServerId) -> Action {
    Drop { server }
}

fn preparing() -> Commit {
    check(&pair(), &[Prepare { server: Q, stamp: NOW }, HighestElsewhere], &[])
}

#[test]
fn stamps_are_read_where_it_prepares_and_where_it_only_read() {
    assert_eq!(preparing().unprepared().collect::<Vec<_>>(), [P, READER]);
}

fn stamping() -> Commit {
    let mut commit = preparing();
    run(&mut commit, &[(prepared(Q), vec![]), (Highest(NOW), vec![NewStamp { after: NOW }])]);
    commit
}

fn deciding() -> Commit {
    let mut commit = preparing();
    run(&mut commit, &[(prepared(Q), vec![]), (Highest(LOW), vec![Decide { stamp: NOW }])]);
    commit
}

fn asking() -> Commit {
    let mut commit = deciding();
    run(&mut commit, &[(Lost(P), vec![Ask])]);
    commit
}

fn withdrawing() -> Commit {
    let mut commit = deciding();
    run(&mut commit, &[(Refused(P), vec![RollBackPrimary])]);
    commit
}

fn finishing() -> Commit {
    let mut commit = deciding();
    run(&mut commit, &[(Done(P), vec![commit_on(Q, Via::Session)])]);
    commit
}

fn flooring() -> Commit {
    let mut commit = stamping();
    run(&mut commit, &[(Stamp(LATER), vec![Decide { stamp: LATER }])]);
    run(&mut commit, &[(Done(P), vec![Floor { server: Q, stamp: LATER }])]);
    commit
}

/// Nobody knows more of Q than that it was asked to prepare.
fn rolling_back_primary() -> Commit {
    let mut commit = preparing();
    run(&mut commit, &[(HighestFailed, vec![RollBackPrimary])]);
    commit
}

#[test]
fn what_wrote_nothing_is_committed_where_it_began() {
    let participants = participants(false, &[], &[READER]);
    check(&participants, &[CommitPlain], &[(Done(P), release()), released(plainly())]);
}

#[test]
fn a_primary_alone_is_committed_plainly() {
    let alone = participants(true, &[], &[]);
    check(&alone, &[CommitPlain], &[(Done(P), vec![Answer(plainly())])]);
    let commit = check(&participants(true, &[], &[READER]), &[CommitPlain], &[]);
    assert_eq!(commit.phase(), Phase::Single);
    from(&commit, &[(Done(P), release()), released(plainly())]);
    from(&commit, &[(Lost(P), release()), released(Outcome::Unknown)]);
    from(&commit, &[(Late, vec![dropped(P), Release { server: READER }]), released(Outcome::Unknown)]);
    let refused = vec![RollBackPrimary, Release { server: READER }];
    let answer = Answer(rolled_back(Why::Refused(P)));
    from(&commit, &[(Refused(P), refused.clone()), (Done(READER), vec![]), (Done(P), vec![answer.clone()])]);
    from(&commit, &[(Refused(P), refused.clone()), (Lost(P), vec![]), (Lost(READER), vec![answer.clone()])]);
    from(&commit, &[(Refused(P), refused), (Done(READER), vec![]), (Refused(P), vec![dropped(P), answer])]);
    from(&commit, &[(Lost(READER), vec![]), (prepared(Q), vec![]), (ABORTED, vec![])]);
}

#[test]
fn a_branch_alone_is_committed_in_one_phase() {
    let participants = participants(false, &[Q], &[READER]);
    let commit = check(&participants, &[CommitOnePhase { server: Q }], &[]);
    assert_eq!(commit.phase(), Phase::Single);
    let rest = vec![RollBackPrimary, Release { server: READER }];
    let last = |outcome: Outcome| [(Done(P), vec![]), released(outcome)];
    from(&commit, &[&[(Done(Q), rest.clone())], &last(plainly())[..]].concat());
    from(&commit, &[&[(Lost(Q), rest.clone())], &last(Outcome::Unknown)[..]].concat());
    let late = vec![dropped(Q), RollBackPrimary, Release { server: READER }];
    from(&commit, &[&[(Late, late)], &last(Outcome::Unknown)[..]].concat());
    // It may still be ACTIVE.
    let all = vec![RollBackPrimary, Release { server: Q }, Release { server: READER }];
    let failed = rolled_back(Why::Refused(Q));
    from(&commit, &[&[(Refused(Q), all.clone()), (Done(Q), vec![])], &last(failed.clone())[..]].concat());
    from(&commit, &[&[(Refused(Q), all), (Refused(Q), vec![dropped(Q)])], &last(failed)[..]].concat());
    from(&commit, &[(Done(P), vec![]), (Lost(P), vec![]), (Refused(READER), vec![])]);
}

#[test]
fn a_rollback_goes_everywhere_at_once() {
    let (commit, actions) = Commit::roll_back(&participants(true, &[Q], &[READER]));
    assert_eq!(actions, [RollBackPrimary, Release { server: Q }, Release { server: READER }]);
    assert_eq!(commit.phase(), Phase::Release);
    let answer = Answer(rolled_back(Why::Client));
    from(&commit, &[(Done(Q), vec![]), (Done(P), vec![]), (Done(READER), vec![answer.clone()])]);
    from(
        &commit,
        &[(Lost(Q), vec![]), (Refused(READER), vec![dropped(READER)]), (Lost(P), vec![answer.clone()])],
    );
    from(&commit, &[(Late, vec![dropped(P), dropped(Q), dropped(READER), answer.clone()])]);
    from(&commit, &[(Done(P), vec![]), (Done(Q), vec![]), (Late, vec![dropped(READER), answer])]);
}

#[test]
fn two_writers_prepare_and_the_primary_decides() {
    let commit = check(
        &pair(),
        &[Prepare { server: Q, stamp: NOW }, HighestElsewhere],
        &[
            (Highest(LOW), vec![]),
            (prepared(Q), vec![Decide { stamp: NOW }]),
            (Done(P), vec![commit_on(Q, Via::Session)]),
            (Done(Q), release()),
            released(ok(NOW)),
            (Done(P), vec![]),
            (Late, vec![]),
        ],
    );
    assert_eq!(commit.phase(), Phase::Answered);
    assert_eq!(commit.parts(), "1,2");
    assert_eq!((commit.primary(), commit.gtrid()), (P, gtrid()));
}

#[test]
fn a_primary_that_only_read_decides_too() {
    let commit = check(
        &participants(false, &[Q, R], &[]),
        &[Prepare { server: Q, stamp: NOW }, Prepare { server: R, stamp: NOW }, HighestElsewhere],
        &[
            (prepared(R), vec![]),
            (Highest(LOW), vec![]),
            (prepared(Q), vec![Decide { stamp: NOW }]),
            (Done(P), vec![commit_on(Q, Via::Session), commit_on(R, Via::Session)]),
            (Done(R), vec![]),
            (Done(Q), vec![Answer(ok(NOW))]),
        ],
    );
    assert_eq!(commit.parts(), "1,2,3");
}

#[test]
fn the_stamp_is_later_than_every_servers() {
    for (at_q, at_p, after) in [(NOW, LOW, NOW), (LOW, LATER, LATER), (LATER, NOW, LATER)] {
        let stamp = HybridTime(after.0 + 1);
        let mut commit = preparing();
        run(
            &mut commit,
            &[
                (Prepared { server: Q, highest: at_q }, vec![]),
                (Highest(at_p), vec![NewStamp { after }]),
                (Stamp(stamp), vec![Decide { stamp }]),
                (Done(P), vec![Floor { server: Q, stamp }]),
                (Done(Q), vec![commit_on(Q, Via::Session)]),
                (Done(Q), release()),
                released(ok(stamp)),
            ],
        );
    }
}

#[test]
fn a_failed_preparation_rolls_the_primary_back_first() {
    let commit = preparing();
    assert_eq!(commit.phase(), Phase::Prepare);
    let session = vec![roll_back_on(Q, Via::Session)];
    let refused = [(Refused(Q), vec![RollBackPrimary]), (Done(P), session), (Done(Q), release())];
    from(&commit, &[&refused[..], &[released(rolled_back(Why::Refused(Q)))]].concat());
    let side = vec![roll_back_on(Q, Via::Side)];
    let lost = [(Lost(Q), vec![RollBackPrimary]), (Done(P), side.clone()), (Done(Q), release())];
    from(&commit, &[&lost[..], &[released(rolled_back(Why::Lost(Q)))]].concat());
    let late = [(Late, vec![dropped(Q), RollBackPrimary]), (Done(P), side), (Done(Q), release())];
    from(&commit, &[&late[..], &[released(rolled_back(Why::Late))]].concat());
}

#[test]
fn without_the_primary_or_its_stamp_nothing_commits() {
    let session = vec![roll_back_on(Q, Via::Session)];
    from(
        &preparing(),
        &[
            (HighestFailed, vec![RollBackPrimary]),
            (Done(P), vec![]),
            (prepared(Q), session.clone()),
            (Done(Q), release()),
            released(rolled_back(Why::Stamp)),
        ],
    );
    // Its connection is gone, and with it its transaction.
    let gone = released(rolled_back(Why::Lost(P)));
    from(
        &preparing(),
        &[(Lost(P), vec![]), (prepared(Q), session.clone()), (Done(Q), release()), gone.clone()],
    );
    from(
        &preparing(),
        &[(prepared(Q), vec![]), (Lost(P), session.clone()), (Done(Q), release()), gone.clone()],
    );
    from(&stamping(), &[(Lost(P), session), (Done(Q), release()), gone]);
    from(
        &preparing(),
        &[(Lost(READER), vec![]), (Refused(P), vec![]), (Done(Q), vec![]), (Stamp(LATER), vec![])],
    );
}

#[test]
fn without_a_later_stamp_nothing_commits() {
    let session = vec![roll_back_on(Q, Via::Session)];
    let commit = stamping();
    assert_eq!(commit.phase(), Phase::Prepare);
    for (event, why) in [(Stamp(NOW), Why::Stamp), (Stamp(LOW), Why::Stamp), (Late, Why::Late)] {
        let turns = [(event, vec![RollBackPrimary]), (Done(P), session.clone()), (Done(Q), release())];
        from(&commit, &[&turns[..], &[released(rolled_back(why))]].concat());
    }
    from(&commit, &[(Lost(Q), vec![]), (prepared(Q), vec![]), (Done(P), vec![])]);
}

#[test]
fn a_branch_is_rolled_back_when_the_primary_is_and_its_own_answer_is_in() {
    let commit = rolling_back_primary();
    assert_eq!(commit.phase(), Phase::RollBackPrimary);
    let (session, side) = (vec![roll_back_on(Q, Via::Session)], vec![roll_back_on(Q, Via::Side)]);
    for (event, roll_back) in [(prepared(Q), &session), (Refused(Q), &session), (Lost(Q), &side)] {
        from(&commit, &[(event.clone(), vec![]), (Done(P), roll_back.clone())]);
        from(&commit, &[(Done(P), vec![]), (event.clone(), roll_back.clone())]);
        from(&commit, &[(Lost(P), vec![]), (event.clone(), roll_back.clone())]);
        from(&commit, &[(Refused(P), vec![dropped(P)]), (event.clone(), roll_back.clone())]);
    }
    from(&commit, &[(Late, vec![dropped(P), dropped(Q), roll_back_on(Q, Via::Side)])]);
    from(&commit, &[(prepared(Q), vec![]), (Late, vec![dropped(P), roll_back_on(Q, Via::Session)])]);
    from(&commit, &[(Highest(LOW), vec![]), (HighestFailed, vec![]), (Done(Q), vec![]), (ABORTED, vec![])]);
}

#[test]
fn a_rollback_that_fails_is_tried_on_the_side_and_then_the_resolvers() {
    let mut commit = rolling_back_primary();
    run(&mut commit, &[(prepared(Q), vec![]), (Done(P), vec![roll_back_on(Q, Via::Session)])]);
    assert_eq!(commit.phase(), Phase::RollBack);
    let end = released(rolled_back(Why::Stamp));
    let side = roll_back_on(Q, Via::Side);
    for failed in [Lost(Q), Refused(Q)] {
        let lost = [(Lost(Q), vec![side.clone()]), (failed.clone(), release()), end.clone()];
        from(&commit, &lost);
        let refused = [(Refused(Q), vec![dropped(Q), side.clone()]), (failed, release()), end.clone()];
        from(&commit, &refused);
    }
    from(&commit, &[(Lost(Q), vec![side.clone()]), (Done(Q), release()), end.clone()]);
    from(&commit, &[(Late, vec![dropped(Q), Release { server: READER }]), end.clone()]);
    from(&commit, &[(Lost(Q), vec![side]), (Late, release()), (Done(Q), vec![]), end.clone()]);
    from(&commit, &[(Done(P), vec![]), (prepared(Q), vec![]), (Done(Q), release()), end.clone()]);
    // One whose preparation is still awaited.
    let mut commit = rolling_back_primary();
    run(&mut commit, &[(Done(P), vec![])]);
    from(&commit, &[(Late, vec![dropped(Q), Release { server: READER }]), end]);
}

#[test]
fn a_decision_that_failed_is_asked_for() {
    let commit = deciding();
    assert_eq!(commit.phase(), Phase::Decide);
    from(&commit, &[(Lost(P), vec![Ask])]);
    from(&commit, &[(Late, vec![dropped(P), Ask])]);
    // Its row may still lock the question out.
    from(&commit, &[(Refused(P), vec![RollBackPrimary]), (Done(P), vec![Ask])]);
    from(&commit, &[(Lost(Q), vec![]), (Refused(Q), vec![]), (Done(Q), vec![]), (prepared(Q), vec![])]);
}

#[test]
fn a_refused_decision_is_withdrawn_before_it_is_asked_for() {
    let commit = withdrawing();
    assert_eq!(commit.phase(), Phase::Decide);
    let rest = [(ABORTED, vec![roll_back_on(Q, Via::Session)]), (Done(Q), release())];
    let end = [released(rolled_back(Why::Refused(P)))];
    for (event, actions) in [
        (Done(P), vec![Ask]),
        (Lost(P), vec![Ask]),
        (Refused(P), vec![dropped(P), Ask]),
        (Late, vec![dropped(P), Ask]),
    ] {
        from(&commit, &[&[(event, actions)], &rest[..], &end].concat());
    }
    from(&commit, &[(Done(Q), vec![]), (Refused(Q), vec![]), (Lost(Q), vec![]), (ABORTED, vec![])]);
    // An error of a COMMIT that took effect.
    let committed =
        [(Done(P), vec![Ask]), (COMMITTED, vec![commit_on(Q, Via::Session)]), (Done(Q), release())];
    from(&commit, &[&committed[..], &[released(ok(NOW))]].concat());
}

#[test]
fn what_the_primary_says_is_done() {
    let commit = asking();
    assert_eq!(commit.phase(), Phase::Ask);
    from(&commit, &[(COMMITTED, vec![commit_on(Q, Via::Session)]), (Done(Q), release()), released(ok(NOW))]);
    let aborted = [(ABORTED, vec![roll_back_on(Q, Via::Session)]), (Done(Q), release())];
    from(&commit, &[&aborted[..], &[released(rolled_back(Why::Lost(P)))]].concat());
    from(
        &commit,
        &[
            (RulingFailed, vec![Ask]),
            (RulingFailed, vec![Ask]),
            (ABORTED, vec![roll_back_on(Q, Via::Session)]),
        ],
    );
    from(&commit, &[(Late, release()), (ABORTED, vec![]), released(Outcome::Unknown)]);
    from(&commit, &[(Done(P), vec![]), (Lost(P), vec![]), (Lost(Q), vec![]), (Done(Q), vec![])]);
    let mut late = deciding();
    run(&mut late, &[(Late, vec![dropped(P), Ask])]);
    from(&late, &[&aborted[..], &[released(rolled_back(Why::Late))]].concat());
}

#[test]
fn a_commit_that_was_asked_for_gets_its_floor_too() {
    let mut commit = stamping();
    run(&mut commit, &[(Stamp(LATER), vec![Decide { stamp: LATER }]), (Lost(P), vec![Ask])]);
    let ruled = Ruled(Ruling::Committed(LATER));
    run(
        &mut commit,
        &[(ruled, vec![Floor { server: Q, stamp: LATER }]), (Done(Q), vec![commit_on(Q, Via::Session)])],
    );
}

#[test]
fn a_branch_that_cannot_be_committed_is_the_resolvers() {
    let commit = finishing();
    assert_eq!(commit.phase(), Phase::Finish);
    let in_doubt = Outcome::Committed { stamp: Some(NOW), in_doubt_elsewhere: vec![Q] };
    let (side, end) = (commit_on(Q, Via::Side), released(in_doubt));
    from(&commit, &[(Lost(Q), vec![side.clone()]), (Done(Q), release()), released(ok(NOW))]);
    from(&commit, &[(Refused(Q), vec![dropped(Q), side.clone()]), (Done(Q), release()), released(ok(NOW))]);
    for event in [Lost(Q), Refused(Q)] {
        let again = (event, vec![side.clone()]);
        let begun = [(Lost(Q), vec![side.clone()]), again.clone(), again];
        from(&commit, &[&begun[..], &[(Late, release()), end.clone()]].concat());
        from(&commit, &[&begun[..], &[(Done(Q), release()), released(ok(NOW))]].concat());
    }
    from(&commit, &[(Late, vec![dropped(Q), Release { server: READER }]), end.clone()]);
    from(&commit, &[(Lost(Q), vec![side]), (Late, release()), (Done(Q), vec![]), end]);
    from(&commit, &[(Done(P), vec![]), (Lost(P), vec![]), (RulingFailed, vec![]), (ABORTED, vec![])]);
}

#[test]
fn without_its_floor_a_branch_is_not_committed() {
    let commit = flooring();
    assert_eq!(commit.phase(), Phase::Finish);
    let end = released(Outcome::Committed { stamp: Some(LATER), in_doubt_elsewhere: vec![Q] });
    let floor = Floor { server: Q, stamp: LATER };
    for event in [Lost(Q), Refused(Q)] {
        let again = (event, vec![floor.clone()]);
        from(&commit, &[again.clone(), again.clone(), (Late, release()), end.clone()]);
        from(&commit, &[again, (Done(Q), vec![commit_on(Q, Via::Session)])]);
    }
    from(&commit, &[(Late, release()), end]);
    from(&commit, &[(Done(Q), vec![commit_on(Q, Via::Session)]), (Lost(Q), vec![commit_on(Q, Via::Side)])]);
}

#[test]
fn each_branch_goes_its_own_way() {
    check(
        &participants(true, &[Q, R], &[READER]),
        &[Prepare { server: Q, stamp: NOW }, Prepare { server: R, stamp: NOW }, HighestElsewhere],
        &[
            (prepared(Q), vec![]),
            (Refused(R), vec![RollBackPrimary]),
            (Done(P), vec![roll_back_on(Q, Via::Session), roll_back_on(R, Via::Session)]),
            (Lost(R), vec![roll_back_on(R, Via::Side)]),
            (Done(Q), vec![]),
            (Done(R), release()),
            released(rolled_back(Why::Refused(R))),
        ],
    );
}

#[test]
fn a_failure_after_the_first_changes_nothing_of_why() {
    check(
        &participants(true, &[Q, R], &[]),
        &[Prepare { server: Q, stamp: NOW }, Prepare { server: R, stamp: NOW }, HighestElsewhere],
        &[
            (Lost(R), vec![RollBackPrimary]),
            (Refused(Q), vec![]),
            (Lost(P), vec![roll_back_on(Q, Via::Session), roll_back_on(R, Via::Side)]),
            (Done(R), vec![]),
            (Done(Q), vec![Answer(rolled_back(Why::Lost(R)))]),
        ],
    );
}

#[test]
fn deadlines_alone_lead_to_an_answer_from_everywhere() {
    for mut commit in [
        preparing(),
        stamping(),
        deciding(),
        asking(),
        withdrawing(),
        finishing(),
        flooring(),
        rolling_back_primary(),
        check(&participants(true, &[], &[READER]), &[CommitPlain], &[]),
        check(&participants(false, &[Q], &[READER]), &[CommitOnePhase { server: Q }], &[]),
        Commit::roll_back(&pair()).0,
    ] {
        let actions: Vec<Action> = (0..4).flat_map(|_| commit.on(Late)).collect();
        let answers = actions.iter().filter(|action| matches!(action, Answer(_))).count();
        assert_eq!((answers, commit.phase()), (1, Phase::Answered), "{actions:?}");
    }
}
