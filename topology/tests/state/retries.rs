//! A command that comes twice is done once.

use podway_topology_api::{ClientId, Done, Incarnation, Refusal, SequenceStep};

use crate::script::{Script, create, drop_keyspace, sequence};

#[test]
fn a_retry_gets_the_first_answer_whatever_happened_since() {
    let mut script = Script::with_servers();
    let client = ClientId(42);
    let first = script.propose(client, 1, create("shop", &["a"]));
    assert!(first.answer.is_ok() && !first.changes.is_empty());
    script.ok(drop_keyspace("shop", false));
    let again = script.propose(client, 1, create("shop", &["a"]));
    assert_eq!(again.answer, first.answer);
    assert_eq!(again.changes, [], "done once");
    assert!(script.map().keyspace_spelled("shop").is_none());
}

#[test]
fn a_refusal_is_remembered_too() {
    let mut script = Script::with_servers();
    let client = ClientId(42);
    let first = script.propose(client, 1, drop_keyspace("shop", false)).answer;
    script.ok(create("shop", &["a"]));
    assert_eq!(script.propose(client, 1, drop_keyspace("shop", false)).answer, first);
    assert_eq!(script.propose(client, 2, drop_keyspace("shop", false)).answer, Ok(Done::Changed));
}

#[test]
fn a_block_that_is_asked_for_again_is_the_same_block() {
    let mut script = Script::with_shop();
    let incarnation = script.register("p");
    let reserve = || sequence(SequenceStep::Reserve { incarnation, count: 10 });
    let block = |first, last| Ok(Done::Block { first, last, generation: 1, floor: last + 1 });
    for _ in 0..3 {
        assert_eq!(script.propose(ClientId(7), 1, reserve()).answer, block(1, 10));
    }
    assert_eq!(script.propose(ClientId(7), 2, reserve()).answer, block(11, 20));
    assert_eq!(incarnation, Incarnation(1));
}

#[test]
fn what_is_too_old_to_be_known_is_not_done_again() {
    let mut script = Script::with_servers();
    for sequence in 1..=20 {
        assert!(
            script.propose(ClientId(7), sequence, create(&format!("k{sequence}"), &["a"])).answer.is_ok()
        );
    }
    script.ok(drop_keyspace("k1", false));
    assert_eq!(script.propose(ClientId(7), 1, create("k1", &["a"])).answer, Err(Refusal::Forgotten));
}
