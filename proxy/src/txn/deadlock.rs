//! Deadlocks over several servers, which no server sees: who waits for whom, put together from what each server shows, and which transaction has to give way.
//! Decides only; `lock_waits` reads what servers show.
//!
//! A server knows its own transactions alone, by its own numbers. Which of them are parts of one transaction over several servers, each proxy knows of its own and
//! tells the others. A cycle that crosses from one server to another does so in such a transaction, so that each cycle has one; the youngest gives way, the same for whoever looks.
//!
//! Servers are looked at one after the other, so that what one look shows may never have been at one time. What two looks in a row show, the same waits for the
//! same locks, was there all the time between them: only such cycles count.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use podway_model::{Gtrid, ServerId};

/// A server's transaction, by the server's own number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// The server.
    pub server: ServerId,
    /// InnoDB's number.
    pub transaction: u64,
}

/// A wait for a lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    /// The server on which it is.
    pub server: ServerId,
    /// Who waits.
    pub waiter: u64,
    /// Who has the lock, or waits before.
    pub blocker: u64,
    /// Which lock, and since when: a later wait of the same transaction has another text.
    pub which: String,
}

/// What is known of a transaction over several servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its parts that wait or are waited for.
    pub parts: BTreeSet<Part>,
    /// Whose it is.
    pub by: By,
}

/// Who says that parts belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// This proxy, whose session has been at this statement during the whole look.
    Here {
        /// Another number for each statement.
        statement: u64,
    },
    /// Another one.
    Elsewhere {
        /// Of which of its looks this is: it rises.
        look: u64,
    },
}

/// What one look at all servers has shown.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// The waits.
    pub waits: BTreeSet<Wait>,
    /// The transactions over several servers.
    pub known: BTreeMap<Gtrid, Known>,
}

/// Who waits, and is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// A transaction over several servers.
    Several(Gtrid),
    /// One that is on this server alone, as far as is known.
    Alone(Part),
}

/// A cycle, and who gives way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadlock {
    /// The youngest transaction over several servers in it.
    pub victim: Gtrid,
    /// Everybody in it, the victim first, each with the wait for the next one; the last waits for the victim.
    pub members: Vec<(Member, Wait)>,
}

/// Transactions that one proxy tells the others of at once.
const MAX_TOLD: usize = 1_000;

/// The deadlocks that two looks in a row have shown, each cycle broken by the youngest transaction over several servers that is in one.
pub fn deadlocks(before: &Look, now: &Look) -> Vec<Deadlock> {
    let several = lasting(before, now);
    let member = |part: Part| several.get(&part).map_or(Member::Alone(part), |of| Member::Several(*of));
    let mut graph: BTreeMap<Member, BTreeMap<Member, &Wait>> = BTreeMap::new();
    for wait in now.waits.intersection(&before.waits) {
        let of = |transaction| member(Part { server: wait.server, transaction });
        let (waiter, blocker) = (of(wait.waiter), of(wait.blocker));
        if waiter != blocker {
            graph.entry(waiter).or_default().entry(blocker).or_insert(wait);
        }
    }
    let youngest_first: BTreeSet<Gtrid> = several.into_values().collect();
    let mut found = Vec::new();
    for victim in youngest_first.into_iter().rev() {
        let Some(members) = cycle(&graph, Member::Several(victim)) else { continue };
        found.push(Deadlock { victim, members });
        graph.remove(&Member::Several(victim));
    }
    found
}

/// The parts of which both looks say that they are of the same transaction, which goes on all the time between them.
fn lasting(before: &Look, now: &Look) -> BTreeMap<Part, Gtrid> {
    let mut lasting = BTreeMap::new();
    for (gtrid, known) in &now.known {
        let Some(then) = before.known.get(gtrid) else { continue };
        let goes_on = match (then.by, known.by) {
            (By::Here { statement: then }, By::Here { statement }) => then == statement,
            (By::Elsewhere { look: then }, By::Elsewhere { look }) => then < look,
            _ => false,
        };
        if goes_on {
            lasting.extend(known.parts.intersection(&then.parts).map(|part| (*part, *gtrid)));
        }
    }
    lasting
}

/// A shortest way from a member back to itself.
fn cycle(graph: &BTreeMap<Member, BTreeMap<Member, &Wait>>, of: Member) -> Option<Vec<(Member, Wait)>> {
    let mut came_by: BTreeMap<Member, (Member, &Wait)> = BTreeMap::new();
    let mut next = VecDeque::from([of]);
    while let Some(member) = next.pop_front() {
        for (blocker, wait) in graph.get(&member).into_iter().flatten() {
            if came_by.contains_key(blocker) {
                continue;
            }
            came_by.insert(*blocker, (member, *wait));
            if *blocker == of {
                return Some(way_back(&came_by, of));
            }
            next.push_back(*blocker);
        }
    }
    None
}

fn way_back(came_by: &BTreeMap<Member, (Member, &Wait)>, of: Member) -> Vec<(Member, Wait)> {
    let (mut members, mut at) = (VecDeque::new(), of);
    while let Some((waiter, wait)) = came_by.get(&at) {
        members.push_front((*waiter, (*wait).clone()));
        at = *waiter;
        if at == of {
            break;
        }
    }
    members.into()
}

impl Look {
    /// What other proxies are to be told after this proxy's look of this number: its own transactions that wait and are waited for. Nothing, where there are none.
    pub fn telling(&self, look: u64) -> Option<String> {
        let waits = |part: &Part| self.waits.iter().any(|wait| wait.is_of(part, wait.waiter));
        let blocks = |part: &Part| self.waits.iter().any(|wait| wait.is_of(part, wait.blocker));
        let is_told = |known: &Known| {
            matches!(known.by, By::Here { .. })
                && known.parts.iter().any(waits)
                && known.parts.iter().any(blocks)
        };
        let told = self.known.iter().filter(|(_, known)| is_told(known)).take(MAX_TOLD);
        let texts: Vec<String> = told
            .map(|(gtrid, known)| {
                let part = |part: &Part| format!("{}.{}", part.server.0, part.transaction);
                let parts: Vec<String> = known.parts.iter().map(part).collect();
                format!(";{gtrid}={}", parts.join(","))
            })
            .collect();
        (!texts.is_empty()).then(|| format!("{look}{}", texts.concat()))
    }

    /// Takes in what another proxy has told; what this proxy knows itself it knows better. A text that none wrote is passed over.
    pub fn hear(&mut self, text: &str) {
        let Some(told) = heard(text) else { return };
        for (gtrid, known) in told {
            self.known.entry(gtrid).or_insert(known);
        }
    }
}

fn heard(text: &str) -> Option<Vec<(Gtrid, Known)>> {
    let mut pieces = text.split(';');
    let by = By::Elsewhere { look: pieces.next()?.parse().ok()? };
    let part = |text: &str| {
        let (server, transaction) = text.split_once('.')?;
        Some(Part { server: ServerId(server.parse().ok()?), transaction: transaction.parse().ok()? })
    };
    let one = |piece: &str| {
        let (gtrid, parts) = piece.split_once('=')?;
        let parts = parts.split(',').map(part).collect::<Option<BTreeSet<Part>>>()?;
        Some((Gtrid::parse(gtrid)?, Known { parts, by }))
    };
    pieces.take(MAX_TOLD).map(one).collect()
}

impl Wait {
    fn is_of(&self, part: &Part, side: u64) -> bool {
        self.server == part.server && side == part.transaction
    }
}

#[cfg(test)]
mod tests {
    use podway_model::HybridTime;

    use super::*;

    /// The transaction that began at this time, of one proxy if that is odd, of another if not.
    fn gtrid(begun: u64) -> Gtrid {
        Gtrid { begun: HybridTime(begun), node: 1 + (begun % 2) as u16, incarnation: 1, sequence: 1 }
    }

    fn part(text: &str) -> Part {
        let (server, transaction) = text.split_once('.').unwrap();
        Part { server: ServerId(server.parse().unwrap()), transaction: transaction.parse().unwrap() }
    }

    /// "1.10>11": on server 1, transaction 10 waits for 11.
    fn wait(text: &str) -> Wait {
        let (server, pair) = text.split_once('.').unwrap();
        let (waiter, blocker) = pair.split_once('>').unwrap();
        Wait {
            server: ServerId(server.parse().unwrap()),
            waiter: waiter.parse().unwrap(),
            blocker: blocker.parse().unwrap(),
            which: format!("the lock that {waiter} wants"),
        }
    }

    fn look(waits: &str, known: &[(u64, &str, By)]) -> Look {
        let of = |(begun, parts, by): &(u64, &str, By)| {
            (gtrid(*begun), Known { parts: parts.split(' ').map(part).collect(), by: *by })
        };
        Look { waits: waits.split_whitespace().map(wait).collect(), known: known.iter().map(of).collect() }
    }

    const HERE: By = By::Here { statement: 7 };

    /// The victims, by when they began, where two looks in a row show the same.
    fn victims(waits: &str, known: &[(u64, &str)]) -> Vec<u64> {
        let known: Vec<(u64, &str, By)> = known.iter().map(|(begun, parts)| (*begun, *parts, HERE)).collect();
        let seen = look(waits, &known);
        deadlocks(&seen, &seen).iter().map(|deadlock| deadlock.victim.begun.0).collect()
    }

    #[test]
    fn the_youngest_in_a_cycle_gives_way() {
        for (waits, known, expected, why) in [
            ("", vec![], vec![], "nobody waits"),
            ("1.10>20", vec![(1, "1.10 2.11"), (3, "1.20 2.21")], vec![], "an ordinary wait"),
            ("1.10>20 2.21>11", vec![(1, "1.10 2.11"), (3, "1.20 2.21")], vec![3], "two servers"),
            ("1.10>20 2.21>11", vec![(5, "1.10 2.11"), (3, "1.20 2.21")], vec![5], "the other is younger"),
            ("1.10>20 2.21>11", vec![(1, "1.10 2.11")], vec![], "who says that 20 and 21 are one?"),
            (
                "1.10>20 2.21>31 3.32>12",
                vec![(1, "1.10 3.12"), (3, "1.20 2.21"), (5, "2.31 3.32")],
                vec![5],
                "three servers",
            ),
            (
                "1.10>40 1.40>20 2.21>11",
                vec![(1, "1.10 2.11"), (3, "1.20 2.21")],
                vec![3],
                "by way of one that is on one server alone",
            ),
            (
                "1.10>20 2.21>11 1.90>10 1.90>20 2.21>80",
                vec![(1, "1.10 2.11"), (3, "1.20 2.21"), (9, "1.90 2.91")],
                vec![3],
                "who waits for a cycle is not in it, however young",
            ),
            (
                "1.10>20 2.21>11 1.30>40 2.41>31",
                vec![(1, "1.10 2.11"), (3, "1.20 2.21"), (5, "1.30 2.31"), (7, "1.40 2.41")],
                vec![7, 3],
                "two cycles",
            ),
            (
                "1.10>20 2.21>11 2.11>31 1.30>10",
                vec![(1, "1.10 2.11"), (3, "1.20 2.21"), (5, "1.30 2.31")],
                vec![5, 3],
                "the youngest of each goes, though one is in both",
            ),
            (
                "1.10>30 2.31>11 2.31>21 1.20>30",
                vec![(1, "1.10 2.11"), (3, "1.20 2.21"), (5, "1.30 2.31")],
                vec![5],
                "one breaks both",
            ),
            ("1.10>10", vec![(1, "1.10 2.11")], vec![], "nobody waits for themselves"),
            ("1.10>20 1.20>10", vec![], vec![], "on one server alone: MySQL's own to see"),
        ] {
            assert_eq!(victims(waits, &known), expected, "{why}");
        }
    }

    #[test]
    fn a_cycle_is_shown_from_its_victim_on() {
        let known = [(1, "1.10 3.12", HERE), (3, "1.20 2.21", HERE), (5, "2.31 3.32", HERE)];
        let seen = look("1.10>20 2.21>31 3.32>12", &known);
        let found = deadlocks(&seen, &seen);
        let expected = [
            (Member::Several(gtrid(5)), wait("3.32>12")),
            (Member::Several(gtrid(1)), wait("1.10>20")),
            (Member::Several(gtrid(3)), wait("2.21>31")),
        ];
        assert_eq!(found, [Deadlock { victim: gtrid(5), members: expected.to_vec() }]);
    }

    #[test]
    fn what_one_look_alone_shows_is_no_deadlock() {
        let known = [(1, "1.10 2.11", HERE), (3, "1.20 2.21", HERE)];
        let both = look("1.10>20 2.21>11", &known);
        let mut again = both.clone();
        assert_eq!(deadlocks(&both, &again).len(), 1);
        assert_eq!(deadlocks(&Look::default(), &again), []);
        assert_eq!(deadlocks(&look("1.10>20", &known), &both), [], "the second wait is new");
        assert_eq!(deadlocks(&both, &look("2.21>11", &known)), [], "the first wait is over");
        let mut waits_anew = wait("1.10>20");
        waits_anew.which = "another lock".to_owned();
        again.waits = BTreeSet::from([waits_anew, wait("2.21>11")]);
        assert_eq!(deadlocks(&both, &again), [], "it waited, went on and waits again");
        let later = By::Here { statement: 8 };
        let again = look("1.10>20 2.21>11", &[known[0], (3, "1.20 2.21", later)]);
        assert_eq!(deadlocks(&both, &again), [], "another statement of the same transaction");
    }

    #[test]
    fn what_another_proxy_told_counts_while_it_tells_it_anew() {
        let here = (1, "1.10 2.11", HERE);
        let told = |look_of_it| {
            look("1.10>20 2.21>11", &[here, (2, "1.20 2.21", By::Elsewhere { look: look_of_it })])
        };
        assert_eq!(deadlocks(&told(4), &told(5)).len(), 1);
        assert_eq!(deadlocks(&told(4), &told(4)), [], "it may have stood there for long");
        assert_eq!(deadlocks(&told(5), &told(4)), [], "it began anew");
    }

    #[test]
    fn both_proxies_choose_the_same_victim() {
        let waits = "1.10>20 2.21>11";
        let of = |begun, parts, number| [(begun, parts, By::Here { statement: number })];
        let mut seen = Vec::new();
        for number in 1..=2 {
            let (mut first, mut second) =
                (look(waits, &of(1, "1.10 2.11", 7)), look(waits, &of(2, "1.20 2.21", 9)));
            let texts = (first.telling(number).unwrap(), second.telling(number + 40).unwrap());
            first.hear(&texts.1);
            second.hear(&texts.0);
            seen.push((first, second));
        }
        let one = deadlocks(&seen[0].0, &seen[1].0);
        let other = deadlocks(&seen[0].1, &seen[1].1);
        assert_eq!(one[0].victim, gtrid(2));
        assert_eq!(one, other);
    }

    #[test]
    fn others_are_told_of_what_waits_and_is_waited_for() {
        let seen = look(
            "1.10>20 2.21>11 1.30>10",
            &[(1, "1.10 2.11", HERE), (3, "1.30", HERE), (2, "1.20 2.21", By::Elsewhere { look: 4 })],
        );
        let text = "6;0000000000000001-0002-0001-00000001=1.10,2.11";
        assert_eq!(seen.telling(6).as_deref(), Some(text), "3 holds nobody up, 2 is another's");
        assert_eq!(look("1.10>20", &[(1, "1.10 2.11", HERE)]).telling(6), None);
        let mut other = Look::default();
        other.hear(text);
        let known =
            Known { parts: BTreeSet::from([part("1.10"), part("2.11")]), by: By::Elsewhere { look: 6 } };
        assert_eq!(other.known, BTreeMap::from([(gtrid(1), known)]));
    }

    #[test]
    fn a_text_that_no_proxy_wrote_says_nothing() {
        for text in [
            "",
            "x",
            "1;",
            "1;0000000000000001-0001-0001-00000001",
            "1;0000000000000001-0001-0001-00000001=",
            "1;0000000000000001-0001-0001-00000001=1.x",
            "1;0000000000000001-0001-0001=1.1",
            "1;0000000000000001-0001-0001-00000001=1.1;;",
        ] {
            let mut seen = Look::default();
            seen.hear(text);
            assert!(seen.known.is_empty(), "{text}");
        }
    }
}
