//! All that can happen: every order of messages, losses, crashes, deadlines and resolvers. What is broken on purpose is found.

use podway_model::HybridTime;

use super::explore::{Explored, explore};
use super::world::{ANY, Flaw, STAMP, Setup, World};

/// No model here has more states.
const MOST_STATES: usize = 3_000_000;

const LOW: HybridTime = HybridTime(STAMP.0 - 1);

/// Two servers that wrote, and as many failures as there can be.
const PAIR: Setup = Setup {
    primary_wrote: true,
    branches: [Some(true), None],
    highest: LOW,
    resolvers: 1,
    roll_back: false,
    swift: false,
    failures: ANY,
    flaw: Flaw::None,
};

const TRIPLE: Setup = Setup { branches: [Some(true), Some(true)], swift: true, failures: 2, ..PAIR };

fn check(name: &str, setup: Setup) -> Explored {
    let explored = explore(World::new(setup), MOST_STATES);
    println!("{name}: {} states, {} steps", explored.states, explored.steps);
    explored
}

/// Nothing is ever wrong, and all of these steps were taken.
fn holds(name: &str, setup: Setup, taken: &[&str]) {
    let explored = check(name, setup);
    assert_eq!(explored.wrong, None, "{name}: after {} states", explored.states);
    for step in taken {
        assert!(explored.taken.contains(step), "{name}: {step} never happens");
    }
}

/// What is broken is found.
fn fails(flaw: Flaw, failures: u32, what: &str) {
    let highest = if flaw == Flaw::NoFloor { STAMP } else { LOW };
    let explored = check(&format!("{flaw:?}"), Setup { flaw, highest, failures, ..PAIR });
    let wrong =
        explored.wrong.unwrap_or_else(|| panic!("{flaw:?}: nothing wrong in {} states", explored.states));
    assert!(wrong.starts_with(what), "{flaw:?}: {wrong}");
}

#[test]
fn two_servers_end_alike_whatever_fails() {
    let taken = [
        "crash",
        "late",
        "duplicate decision",
        "commit decision with an error",
        "stray tombstone",
        "ruling lost",
    ];
    holds("pair", PAIR, &taken);
}

#[test]
fn two_servers_with_a_floor_end_alike_whatever_fails() {
    holds(
        "pair with floor",
        Setup { highest: STAMP, failures: 3, ..PAIR },
        &["crash", "late", "no stamp", "stray xa commit"],
    );
}

#[test]
fn resolvers_may_work_on_one_branch_together() {
    let setup = Setup { resolvers: 2, failures: 2, ..PAIR };
    holds("pair with two resolvers", setup, &["crash", "duplicate decision", "stray xa rollback"]);
}

#[test]
fn three_servers_end_alike() {
    holds("triple", TRIPLE, &["crash", "late", "side fails", "refuse xa commit"]);
}

#[test]
#[ignore = "takes minutes"]
fn three_servers_end_alike_after_three_failures() {
    holds("triple, three failures", Setup { swift: false, failures: 3, ..TRIPLE }, &[]);
}

#[test]
fn a_primary_that_only_read_holds_the_decision() {
    holds("reading primary", Setup { primary_wrote: false, failures: 1, ..TRIPLE }, &["duplicate decision"]);
}

#[test]
fn what_only_read_is_let_go() {
    let branches = [Some(true), Some(false)];
    holds("reading branch", Setup { branches, failures: 1, ..TRIPLE }, &["crash"]);
}

#[test]
fn one_server_that_wrote_needs_no_decision() {
    let one = |primary_wrote, branch| Setup { primary_wrote, branches: [Some(branch), Some(false)], ..PAIR };
    holds("primary only", one(true, false), &["commit", "refuse commit", "break"]);
    holds("branch only", one(false, true), &["one phase", "refuse one phase", "break"]);
    holds("nothing written", one(false, false), &["commit"]);
}

#[test]
fn a_rollback_leaves_nothing() {
    holds("rollback", Setup { roll_back: true, branches: [Some(true), Some(true)], ..PAIR }, &["crash"]);
}

#[test]
fn absence_of_a_decision_is_no_abort() {
    fails(Flaw::NoTombstone, ANY, "the primary committed and a branch rolled back");
}

#[test]
fn an_error_of_the_decision_is_no_abort() {
    fails(Flaw::RollsBackUnasked, ANY, "told rolled back, and it is committed");
    fails(Flaw::RollsBackUnasked, 1, "the primary committed and a branch rolled back");
}

#[test]
fn nor_is_it_a_commit() {
    fails(Flaw::CommitsUnasked, ANY, "told committed, and it is not");
}

#[test]
fn a_primary_that_refused_the_decision_would_lock_out_the_question() {
    fails(Flaw::AsksWhileLocked, 2, "no end can be reached");
}

#[test]
fn branches_are_not_rolled_back_alone() {
    fails(Flaw::LeavesPrimaryOpen, ANY, "the primary's connection is handed back with something open");
}

#[test]
fn effects_do_not_show_before_their_floor() {
    fails(Flaw::NoFloor, ANY, "effects without their floor");
}

#[test]
fn a_decision_without_the_primarys_transaction_commits_alone() {
    fails(Flaw::PrimaryGone, ANY, "the decision is not the primary's");
}
