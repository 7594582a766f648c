//! Histories written by hand: each anomaly is found in one that has it, and in none that has not.

use Anomaly::*;

use super::*;

/// "C 1+10 2=10,11": committed, appended 10 to list 1, then read 10 and 11 in list 2. A letter behind C says how it read (`a`, `s`), `!` that it was acknowledged with a warning,
/// `@4` its stamp, `0-5` when it was; without, all were at the same time.
fn seen(text: &str) -> Seen {
    let mut words = text.split(' ');
    let head = words.next().unwrap();
    let end = match &head[..1] {
        "C" => End::Committed,
        "A" => End::Aborted,
        _ => End::Unknown,
    };
    let mode = match &head[1..] {
        "a" => Mode::Atomic,
        "s" => Mode::Serializable,
        _ => Mode::Fast,
    };
    let mut seen = Seen { end, mode, is_late: false, stamp: None, during: (0, 10), ops: Vec::new() };
    for word in words {
        if let Some((list, value)) = word.split_once('+') {
            seen.ops.push(Op::Append(list.parse().unwrap(), value.parse().unwrap()));
        } else if let Some((list, read)) = word.split_once('=') {
            let values = read.split(',').filter_map(|value| value.parse().ok()).collect();
            seen.ops.push(Op::Read(list.parse().unwrap(), values));
        } else if let Some((from, to)) = word.split_once('-') {
            seen.during = (from.parse().unwrap(), to.parse().unwrap());
        } else if let Some(stamp) = word.strip_prefix('@') {
            seen.stamp = Some(stamp.parse().unwrap());
        } else {
            seen.is_late = word == "!";
        }
    }
    seen
}

type Lists<'a> = &'a [(u64, &'a [u64])];

fn check(history: &[&str], lists: Lists<'_>, expected: &[(Anomaly, usize)]) {
    let all: Vec<Seen> = history.iter().map(|text| seen(text)).collect();
    let lists = lists.iter().map(|(list, values)| (*list, values.to_vec())).collect();
    let found: Vec<(Anomaly, usize)> =
        faults(&all, &lists).into_iter().map(|fault| (fault.anomaly, fault.by)).collect();
    assert_eq!(found, expected, "{history:?}");
}

#[test]
fn what_an_order_explains_is_right() {
    check(&["C 1+10 2+11", "C 1=10 2=11", "C 1= 2=", "U 1+12 2+13"], &[(1, &[10]), (2, &[11])], &[]);
    check(&["C 1+10 1=10", "A 1+11", "C 1+12 1=10,12"], &[(1, &[10, 12])], &[]);
    check(&["U 1+10 2+11", "C 1=10"], &[(1, &[10]), (2, &[11])], &[]);
    check(&["C 1+10 1+11 1=10,11", "C 1= 1=", "C 1=10,11"], &[(1, &[10, 11])], &[]);
    check(&["Cs 1= 2+10", "Cs 2=10 1+11"], &[(1, &[11]), (2, &[10])], &[]);
}

#[test]
fn what_is_lost_or_half_or_too_much_is_found() {
    check(&["C 1+10 2+11"], &[(1, &[10])], &[(Lost, 0)]);
    check(&["A 1+10 2+11"], &[(1, &[10])], &[(Aborted, 0)]);
    check(&["U 1+10 2+11"], &[(1, &[10])], &[(Half, 0)]);
}

#[test]
fn reads_of_what_was_rolled_back_or_never_was_are_found() {
    // G1a, also by a reader that is rolled back itself.
    for reader in ["C 1=10", "A 1=10"] {
        check(&["A 1+10", reader], &[(1, &[])], &[(Aborted, 0)]);
    }
    check(&["C 1+10", "C 1+11", "C 1=11"], &[(1, &[10, 11])], &[(Fork, 2)]);
    check(&["C 1=99"], &[(1, &[])], &[(Fork, 0)]);
}

#[test]
fn intermediate_reads_are_found() {
    // G1b.
    let lists: Lists<'_> = &[(1, &[10, 11])];
    check(&["C 1+10 1+11", "C 1=10"], lists, &[(Intermediate, 1)]);
    check(&["C 1+10 1+11", "A 1=10"], lists, &[(Intermediate, 1)]);
    check(&["C 1+10 1=10 1+11"], lists, &[]);
}

#[test]
fn who_does_not_read_its_own_appends_is_found() {
    check(&["C 1+10 1="], &[(1, &[10])], &[(Own, 0)]);
    check(&["C 1=10 1+10"], &[(1, &[10])], &[(Own, 0)]);
}

#[test]
fn circles_of_writers_are_found() {
    // G0.
    let both: Lists<'_> = &[(1, &[10, 20]), (2, &[21, 11])];
    check(&["C 1+10 2+11", "C 1+20 2+21"], both, &[(WriteCircle, 0), (WriteCircle, 1)]);
    check(&["C 1+10 2+11", "U 1+20 2+21"], both, &[(WriteCircle, 0), (WriteCircle, 1)]);
}

#[test]
fn circles_of_writers_and_readers_are_found() {
    // G1c.
    let lists: Lists<'_> = &[(1, &[10]), (2, &[20])];
    check(&["C 1+10 2=20", "C 2+20 1=10"], lists, &[(Circle, 0), (Circle, 1)]);
    // Of three.
    let lists: Lists<'_> = &[(1, &[10]), (2, &[20]), (3, &[30])];
    check(&["C 1+10 3=30", "C 2+20 1=10", "C 3+30 2=20"], lists, &[(Circle, 0), (Circle, 1), (Circle, 2)]);
    // Who is rolled back or unknown has not read for anybody.
    check(&["U 1+10 2=20", "C 2+20 1=10"], &[(1, &[10]), (2, &[20])], &[]);
}

#[test]
fn who_sees_another_in_part_is_found() {
    let lists: Lists<'_> = &[(1, &[10, 12]), (2, &[11, 13])];
    let writers = ["C 1+10 2+11", "C 1+12 2+13"];
    for reader in ["C 1=10 2=", "C 2=11 1=", "Ca 1=10,12 2=11", "C 1=10 1=10,12", "C 1=10,12 2="] {
        check(&[writers[0], writers[1], reader], lists, &[(Fractured, 2)]);
    }
    check(&[writers[0], writers[1], "A 1=10 2="], lists, &[]);
    // Not the next append, but a later one.
    check(&["C 1+10 2+11", "C 1+9", "C 2=11 1="], &[(1, &[9, 10]), (2, &[11])], &[(Fractured, 2)]);
    assert!(is_excluded(Fractured, Mode::Atomic) && !is_excluded(Fractured, Mode::Fast));
}

#[test]
fn readers_of_two_moments_are_found() {
    // G-single, where nobody is seen in part: what came later is seen, and what it had seen is not.
    let lists: Lists<'_> = &[(1, &[10]), (2, &[20])];
    check(&["C 1+10", "C 1=10 2+20", "C 1= 2=20"], lists, &[(Skewed, 2)]);
    // A lost update.
    let lists: Lists<'_> = &[(1, &[10, 20])];
    check(&["C 1= 1+10", "C 1= 1+20"], lists, &[(Skewed, 1)]);
    assert!(is_excluded(Skewed, Mode::Serializable) && !is_excluded(Skewed, Mode::Atomic));
}

#[test]
fn circles_of_serializable_readers_are_found() {
    // Write skew: G2, with two readers that did not see the other.
    let lists: Lists<'_> = &[(1, &[10]), (2, &[20])];
    check(&["Cs 2= 1+10", "Cs 1= 2+20"], lists, &[(Unserial, 0), (Unserial, 1)]);
    // Others may have it.
    check(&["C 2= 1+10", "Cs 1= 2+20"], lists, &[]);
    check(&["C 1+10 2+20", "Cs 1=10 2="], lists, &[(Fractured, 1), (Unserial, 1)]);
}

#[test]
fn what_was_acknowledged_before_is_to_be_seen() {
    let lists: Lists<'_> = &[(1, &[10])];
    check(&["C 1+10 0-3", "C 1= 4-5"], lists, &[(Stale, 1)]);
    check(&["C 1+10 0-3", "C 1= 3-5"], lists, &[]);
    check(&["U 1+10 0-3", "C 1= 4-5"], lists, &[]);
    // Where a server is still to be told, readers of one moment wait for it, others do not.
    check(&["C ! 1+10 0-3", "C 1= 4-5"], lists, &[]);
    check(&["C ! 1+10 0-3", "Ca 1= 4-5"], lists, &[(Stale, 1)]);
}

#[test]
fn stamps_follow_what_was_read_and_overwritten() {
    let lists: Lists<'_> = &[(1, &[10, 20, 30])];
    check(&["C @1 1+10", "C 1+20", "C @2 1+30"], lists, &[]);
    check(&["C @2 1+10", "C 1+20", "C @1 1+30"], lists, &[(Unordered, 2)]);
    check(&["C @2 1+10", "C 1+20", "C @2 1+30"], lists, &[(Unordered, 2)]);
    check(&["C @2 1+10 1+20 1+30"], lists, &[]);
    let lists: Lists<'_> = &[(1, &[10]), (2, &[20])];
    check(&["C @5 1+10", "C @4 1=10 2+20"], lists, &[(Unordered, 1)]);
    check(&["C @5 1+10", "C @4 1= 2+20"], lists, &[]);
    check(&["C @5 1+10", "C 1=10 2+20"], lists, &[]);
}

#[test]
fn lists_of_one_server_are_looked_at_alone() {
    let all = [seen("C 1+10 2+11"), seen("C 1=10 2=")];
    let lists = BTreeMap::from([(1, vec![10]), (2, vec![11])]);
    assert!(!faults(&all, &lists).is_empty());
    for list in [1, 2] {
        let lists = BTreeMap::from([(list, lists[&list].clone())]);
        assert_eq!(faults(&only(&all, |one| one == list), &lists), BTreeSet::new());
    }
}
