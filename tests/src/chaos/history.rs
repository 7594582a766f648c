//! What transactions on lists have seen, checked for what no order of them could have shown: aborted and intermediate reads, and circles of dependencies (Adya's G0, G1 and G-single, found as
//! Elle finds them: each list has the order of its appends in it). Knows no database.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How a transaction ended, as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was acknowledged.
    Committed,
    /// It was rolled back.
    Aborted,
    /// Nobody could say.
    Unknown,
}

/// What one transaction did.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How it ended.
    pub end: End,
    /// When its first statement was sent, and its last answer came; in any unit.
    pub during: (u64, u64),
    /// The values that it appended, each another, with their lists: one to a list at most.
    pub appends: BTreeMap<u64, u64>,
    /// The lists that it read, whole, as they were then.
    pub reads: Vec<(u64, Vec<u64>)>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An acknowledged transaction's append is not there.
    Lost(usize),
    /// One of a transaction that was rolled back is there, or was read.
    Aborted(usize),
    /// Of a transaction that nobody could say of, a part is there.
    Half(usize),
    /// What was read was never a beginning of the list.
    Fork(usize),
    /// Transactions of which each wrote, or read, what the one before had written (G0, G1c).
    Circle(usize),
    /// A circle with one who did not see what the next has written (G-single): what a reader saw of a transaction in part, too.
    Fractured(usize),
}

/// All that is wrong in a history; `lists`: what is there at its end.
pub fn faults(history: &[Seen], lists: &BTreeMap<u64, Vec<u64>>) -> BTreeSet<Fault> {
    let mut graph = Graph::default();
    let mut found = BTreeSet::new();
    let mut writer: BTreeMap<u64, usize> = BTreeMap::new();
    for (number, seen) in history.iter().enumerate() {
        writer.extend(seen.appends.values().map(|value| (*value, number)));
        let there = |(list, value): (&u64, &u64)| lists.get(list).is_some_and(|all| all.contains(value));
        let present = seen.appends.iter().filter(|append| there(*append)).count();
        let fault = match seen.end {
            End::Committed if present < seen.appends.len() => Some(Fault::Lost(number)),
            End::Aborted if present > 0 => Some(Fault::Aborted(number)),
            End::Unknown if present > 0 && present < seen.appends.len() => Some(Fault::Half(number)),
            _ => None,
        };
        found.extend(fault);
    }
    for all in lists.values() {
        let writers: Vec<usize> = all.iter().filter_map(|value| writer.get(value).copied()).collect();
        writers.windows(2).for_each(|pair| graph.follows(pair[0], pair[1]));
    }
    for (number, seen) in history.iter().enumerate() {
        for (list, read) in &seen.reads {
            // Its own append is at the end of what it reads afterwards.
            let own = seen.appends.get(list);
            let read = match read.split_last() {
                Some((last, before)) if Some(last) == own => before,
                _ => read,
            };
            let all = lists.get(list).map(Vec::as_slice).unwrap_or_default();
            if !all.starts_with(read) {
                let gone = read.iter().find(|value| !all.contains(value));
                let by = gone.and_then(|value| writer.get(value)).copied();
                // Who reads and is rolled back has read what was there all the same.
                found.insert(by.map_or(Fault::Fork(number), Fault::Aborted));
                continue;
            }
            if seen.end != End::Committed {
                continue;
            }
            if let Some(by) = read.last().and_then(|value| writer.get(value)) {
                graph.follows(*by, number);
            }
            if let Some(by) =
                all.get(read.len()).and_then(|value| writer.get(value)).filter(|by| **by != number)
            {
                graph.unseen.insert((number, *by));
            }
        }
    }
    let began = |number: usize| history[number].during.0;
    let ended =
        |number: usize| if history[number].end == End::Unknown { u64::MAX } else { history[number].during.1 };
    for (from, to) in graph.edges() {
        if graph.leads(to, from, |between| began(between) <= ended(from)) {
            found.insert(Fault::Circle(from));
        }
    }
    for (from, to) in &graph.unseen {
        if graph.leads(*to, *from, |between| began(between) <= ended(*from)) {
            found.insert(Fault::Fractured(*from));
        }
    }
    found
}

/// What of a history concerns these lists only.
pub fn only(history: &[Seen], is_one: impl Fn(u64) -> bool) -> Vec<Seen> {
    let part = |seen: &Seen| Seen {
        appends: seen.appends.iter().filter(|(list, _)| is_one(**list)).map(|(k, v)| (*k, *v)).collect(),
        reads: seen.reads.iter().filter(|(list, _)| is_one(*list)).cloned().collect(),
        ..*seen
    };
    history.iter().map(part).collect()
}

/// Who comes after whom.
#[derive(Default)]
struct Graph {
    /// Who wrote or read what this one had written.
    after: BTreeMap<usize, BTreeSet<usize>>,
    /// Who did not see what that one has written next.
    unseen: BTreeSet<(usize, usize)>,
}

impl Graph {
    fn follows(&mut self, first: usize, then: usize) {
        if first != then {
            self.after.entry(first).or_default().insert(then);
        }
    }

    fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        self.after.iter().flat_map(|(from, all)| all.iter().map(|to| (*from, *to)))
    }

    /// Whether a way leads from one to the other; `may_be_on_it`: who began too late is not on it.
    fn leads(&self, from: usize, to: usize, may_be_on_it: impl Fn(usize) -> bool) -> bool {
        let (mut known, mut next) = (BTreeSet::from([from]), VecDeque::from([from]));
        while let Some(one) = next.pop_front() {
            if one == to {
                return true;
            }
            let after = self.after.get(&one).into_iter().flatten();
            next.extend(after.filter(|after| may_be_on_it(**after) && known.insert(**after)));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "C 1+10 2=10,11": committed, appended 10 to list 1, read 10 and 11 in list 2.
    fn seen(text: &str) -> Seen {
        let mut words = text.split(' ');
        let end = match words.next() {
            Some("C") => End::Committed,
            Some("A") => End::Aborted,
            _ => End::Unknown,
        };
        let mut seen = Seen { end, during: (0, 10), appends: BTreeMap::new(), reads: Vec::new() };
        for word in words {
            if let Some((list, value)) = word.split_once('+') {
                seen.appends.insert(list.parse().unwrap(), value.parse().unwrap());
            } else if let Some((list, read)) = word.split_once('=') {
                let values = read.split(',').filter_map(|value| value.parse().ok()).collect();
                seen.reads.push((list.parse().unwrap(), values));
            }
        }
        seen
    }

    fn check(history: &[&str], lists: &[(u64, &[u64])], expected: &[Fault]) {
        let all: Vec<Seen> = history.iter().map(|text| seen(text)).collect();
        let lists = lists.iter().map(|(list, values)| (*list, values.to_vec())).collect();
        let found: Vec<Fault> = faults(&all, &lists).into_iter().collect();
        assert_eq!(found, expected, "{history:?}");
    }

    #[test]
    fn what_an_order_explains_is_right() {
        check(&["C 1+10 2+11", "C 1=10 2=11", "C 1= 2=", "U 1+12 2+13"], &[(1, &[10]), (2, &[11])], &[]);
        check(&["C 1+10 1=10", "A 1+11", "C 1+12 1=10,12"], &[(1, &[10, 12])], &[]);
        check(&["U 1+10 2+11", "C 1=10"], &[(1, &[10]), (2, &[11])], &[]);
    }

    #[test]
    fn what_is_lost_or_half_or_too_much_is_found() {
        check(&["C 1+10 2+11"], &[(1, &[10])], &[Fault::Lost(0)]);
        check(&["A 1+10 2+11"], &[(1, &[10])], &[Fault::Aborted(0)]);
        check(&["U 1+10 2+11"], &[(1, &[10])], &[Fault::Half(0)]);
        check(&["A 1+10", "C 1=10"], &[(1, &[])], &[Fault::Aborted(0)]);
        check(&["C 1+10", "C 1+11", "C 1=11"], &[(1, &[10, 11])], &[Fault::Fork(2)]);
    }

    #[test]
    fn circles_are_found() {
        let both: &[(u64, &[u64])] = &[(1, &[10, 20]), (2, &[21, 11])];
        check(&["C 1+10 2+11", "C 1+20 2+21"], both, &[Fault::Circle(0), Fault::Circle(1)]);
        check(
            &["C 1+10 2=20", "C 2+20 1=10"],
            &[(1, &[10]), (2, &[20])],
            &[Fault::Circle(0), Fault::Circle(1)],
        );
        check(&["C 1+10 2+11", "C 1=10 2="], &[(1, &[10]), (2, &[11])], &[Fault::Fractured(1)]);
        check(&["C 1+10", "C 1=10 2+20", "C 1= 2=20"], &[(1, &[10]), (2, &[20])], &[Fault::Fractured(2)]);
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
}
