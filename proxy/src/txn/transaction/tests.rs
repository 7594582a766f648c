//! A transaction's states by what was asked of it and what servers answered.

use podway_model::HybridTime;

use super::*;

fn name(text: &str) -> Name {
    Name::caseless(text)
}

fn open_on_one() -> Transaction {
    Transaction::None.after_answer(ServerId(1), true)
}

fn gtrid(sequence: u32) -> Gtrid {
    Gtrid { begun: HybridTime(7), node: 1, incarnation: 2, sequence }
}

fn texts(statements: Vec<Vec<u8>>) -> Vec<String> {
    statements.into_iter().map(|statement| String::from_utf8(statement).unwrap()).collect()
}

#[test]
fn a_server_that_joins_is_told_what_the_first_was_told() {
    let mut transaction = Transaction::begin(Begin { read_only: true, ..Begin::default() });
    transaction.set_savepoint(&name("a")).unwrap();
    let characteristics = b"SET TRANSACTION ISOLATION LEVEL READ COMMITTED".to_vec();
    transaction.opened(ServerId(1), Some(characteristics));
    for text in ["b", "c"] {
        transaction.set_savepoint(&name(text)).unwrap();
    }
    transaction.roll_back_to(&name("b")).unwrap();
    let expected = [
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET TRANSACTION READ ONLY",
        "XA START X'303030303030303030303030303030372D303030312D303030322D3030303030303031',X'312E32',1347",
        "SAVEPOINT `a`",
        "SAVEPOINT `b`",
    ];
    assert_eq!(texts(transaction.joining(ServerId(2), gtrid(1), false).unwrap()), expected);
}

#[test]
fn all_branches_have_one_name() {
    let mut transaction = open_on_one();
    transaction.joined(ServerId(2), gtrid(1));
    let third = texts(transaction.joining(ServerId(3), gtrid(2), false).unwrap());
    assert_eq!(
        third,
        ["XA START X'303030303030303030303030303030372D303030312D303030322D3030303030303031',X'312E33',1347"]
    );
    transaction.joined(ServerId(3), gtrid(2));
    transaction.note_write(ServerId(3));
    let of = |server, wrote| Participant { server: ServerId(server), wrote };
    let expected =
        Participants { gtrid: gtrid(1), primary: of(1, false), branches: vec![of(2, false), of(3, true)] };
    assert_eq!(transaction.participants(), Some(expected));
}

#[test]
fn what_only_reads_has_not_written_whatever_it_tried() {
    let reads = b"SET TRANSACTION READ ONLY".to_vec();
    let writes = b"SET TRANSACTION READ WRITE".to_vec();
    for (begin, characteristics, by_default, wrote) in [
        (Begin::default(), None, false, true),
        (Begin::default(), None, true, false),
        // What it says is MySQL's to read.
        (Begin::default(), Some(reads.clone()), false, true),
        (Begin::default(), Some(writes), true, true),
        (Begin { read_only: true, ..Begin::default() }, None, false, false),
        (Begin { read_write: true, ..Begin::default() }, Some(reads), true, true),
    ] {
        let mut transaction = Transaction::begin(begin);
        transaction.opened(ServerId(1), characteristics);
        if by_default {
            transaction.read_by_default();
        }
        transaction.joined(ServerId(2), gtrid(1));
        transaction.note_write(ServerId(2));
        assert_eq!(transaction.participants().unwrap().branches[0].wrote, wrote, "{transaction:?}");
    }
}

#[test]
fn a_part_that_ends_by_itself_breaks_the_transaction() {
    for server in [1, 2] {
        let mut transaction = open_on_one();
        transaction.joined(ServerId(2), gtrid(1));
        let transaction = transaction.after_answer(ServerId(server), true);
        assert!(!transaction.is_broken());
        let transaction = transaction.after_answer(ServerId(server), false);
        assert!(transaction.is_broken() && transaction.is_open());
    }
}

#[test]
fn more_savepoints_than_are_remembered_keep_a_transaction_on_its_server() {
    let mut transaction = open_on_one();
    for n in 0..=MAX_SAVEPOINTS {
        transaction.set_savepoint(&name(&format!("s{n}"))).unwrap();
    }
    let refused = transaction.joining(ServerId(2), gtrid(1), false);
    assert_eq!(refused, Err(TransactionError::TooManySavepoints));
}

#[test]
fn one_that_reads_whole_has_its_snapshot_on_one_server_too_whatever_the_level() {
    let mut transaction = Transaction::None;
    transaction.read_whole(false);
    assert_eq!(transaction, Transaction::None);
    transaction.read_whole(true);
    let level = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
    assert_eq!(transaction.opening(), [level, "START TRANSACTION WITH CONSISTENT SNAPSHOT"]);
    let mut transaction = Transaction::begin(Begin { read_only: true, ..Begin::default() });
    transaction.read_whole(true);
    assert_eq!(transaction.opening(), [level, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"]);
    transaction.opened(ServerId(1), None);
    assert!(transaction.joining(ServerId(2), gtrid(1), false).is_err());
}

#[test]
fn a_transaction_opens_where_its_first_statement_goes() {
    let mut transaction = Transaction::begin(Begin { read_only: true, ..Begin::default() });
    assert!(transaction.is_open());
    assert_eq!(transaction.server(), None);
    transaction.set_savepoint(&name("a`b")).unwrap();
    assert_eq!(transaction.opening(), ["START TRANSACTION READ ONLY", "SAVEPOINT `a``b`"]);
    transaction.opened(ServerId(2), None);
    assert_eq!(transaction.server(), Some(ServerId(2)));
    assert_eq!(transaction.participants(), None);
    let transaction = transaction.after_answer(ServerId(2), true);
    assert!(transaction.is_on(ServerId(2)) && !transaction.is_on(ServerId(3)));
    assert_eq!(transaction.after_answer(ServerId(2), false), Transaction::None);
}

#[test]
fn a_statement_that_ran_outside_leaves_a_transaction_to_begin_later() {
    let pending = Transaction::begin(Begin::default());
    assert_eq!(pending.clone().after_answer(ServerId(1), false), pending);
    assert_eq!(pending.after_answer(ServerId(1), true).server(), Some(ServerId(1)));
}

#[test]
fn another_servers_answer_says_nothing_of_the_transaction() {
    let open = open_on_one();
    assert_eq!(open.clone().after_answer(ServerId(2), false), open);
}

#[test]
fn savepoints_before_the_first_statement_behave_as_in_mysql() {
    let mut transaction = Transaction::begin(Begin::default());
    for text in ["a", "b", "c", "A"] {
        transaction.set_savepoint(&name(text)).unwrap();
    }
    assert_eq!(transaction.opening()[1..], ["SAVEPOINT `b`", "SAVEPOINT `c`", "SAVEPOINT `A`"]);
    transaction.roll_back_to(&name("c")).unwrap();
    assert_eq!(transaction.roll_back_to(&name("a")), Err(TransactionError::NoSavepoint(name("a"))));
    transaction.release(&name("b")).unwrap();
    assert_eq!(transaction.opening(), ["START TRANSACTION"]);
    assert_eq!(transaction.release(&name("c")), Err(TransactionError::NoSavepoint(name("c"))));
}

#[test]
fn pending_savepoints_are_bounded() {
    let mut transaction = Transaction::begin(Begin::default());
    for n in 0..MAX_SAVEPOINTS {
        transaction.set_savepoint(&name(&format!("s{n}"))).unwrap();
    }
    assert_eq!(transaction.set_savepoint(&name("one more")), Err(TransactionError::TooManySavepoints));
}

#[test]
fn what_wrote_on_one_server_and_is_the_sessions_own_to_commit_wrote_alone() {
    assert_eq!(Transaction::None.wrote_alone(), None);
    assert_eq!(Transaction::begin(Begin::default()).wrote_alone(), None);
    let mut alone = open_on_one();
    assert_eq!(alone.wrote_alone(), None, "it only read");
    alone.note_write(ServerId(1));
    assert_eq!(alone.wrote_alone(), Some(ServerId(1)));
    let mut of_the_client = alone.clone();
    of_the_client.keep_to_xa();
    assert_eq!(of_the_client.wrote_alone(), None, "XA COMMIT ends it");
    let mut in_a_snapshot = alone.clone();
    in_a_snapshot.keep_to_snapshot();
    assert_eq!(in_a_snapshot.wrote_alone(), Some(ServerId(1)));
    let mut only_reads = Transaction::begin(Begin { read_only: true, ..Begin::default() });
    only_reads.opened(ServerId(1), None);
    only_reads.note_write(ServerId(1));
    assert_eq!(only_reads.wrote_alone(), None, "no mark could be written");
    alone.joined(ServerId(2), gtrid(1));
    assert_eq!(alone.wrote_alone(), Some(ServerId(1)), "the other one is only read");
    alone.note_write(ServerId(2));
    assert_eq!(alone.wrote_alone(), None, "its decision is stamped");
}
