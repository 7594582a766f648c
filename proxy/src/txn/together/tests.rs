//! A model of servers that commit transfers step by step, and of a reader that opens snapshots between the steps, in any order of both. With each part of the rule taken out
//! the reader is shown a transfer in part.

use super::*;

/// What of the rule counts.
#[derive(Clone, Copy)]
struct Rule {
    compares_marks: bool,
    asks_for_prepared: bool,
    decides_in_time: bool,
}

const WHOLE: Rule = Rule { compares_marks: true, asks_for_prepared: true, decides_in_time: true };
/// Moments of the model; one is a second.
const MOMENTS: u64 = 60;
const SERVERS: u32 = 3;

/// A transfer: when its stamp was chosen, when its branch was prepared, decided and committed, in moments.
#[derive(Clone, Debug)]
struct Transfer {
    gtrid: Gtrid,
    primary: ServerId,
    branch: ServerId,
    stamp: u64,
    prepared: u64,
    decided: u64,
    committed: u64,
}

/// Numbers without end, the same for each seed (Knuth's multiplier).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

fn transfer(numbers: &mut Numbers, sequence: u32, rule: Rule) -> Transfer {
    let primary = numbers.below(SERVERS.into()) as u32;
    let branch = (primary + 1 + numbers.below((SERVERS - 1).into()) as u32) % SERVERS;
    let stamp = 1 + numbers.below(MOMENTS);
    let most = if rule.decides_in_time { DECIDE_WITHIN.as_secs() } else { MOMENTS };
    let prepared = stamp + numbers.below(most);
    let decided = prepared + numbers.below(stamp + most - prepared);
    Transfer {
        gtrid: Gtrid { begun: HybridTime(1), node: 0, incarnation: 0, sequence },
        primary: ServerId(primary),
        branch: ServerId(branch),
        stamp,
        prepared,
        decided,
        // Its coordinator may have died: the resolver takes its time.
        committed: decided + numbers.below(MOMENTS),
    }
}

impl Transfer {
    fn on(&self, server: ServerId) -> bool {
        self.primary == server || self.branch == server
    }

    /// Whether a snapshot of that moment on this server shows it.
    fn is_in(&self, server: ServerId, moment: u64) -> bool {
        let from = if server == self.primary { self.decided } else { self.committed };
        self.on(server) && from <= moment
    }

    fn is_prepared_on(&self, server: ServerId, moment: u64) -> bool {
        server == self.branch && self.prepared <= moment && moment < self.committed
    }
}

/// The snapshots of a reader that begins to ask at one moment and opens each server's a little later; and whether they show a transfer in part.
fn read(numbers: &mut Numbers, transfers: &[Transfer], rule: Rule) -> (Vec<Opened>, bool) {
    let asked = numbers.below(2 * MOMENTS);
    let since = asked.saturating_sub((DECIDE_WITHIN + CLOCKS_APART).as_secs());
    let moments: Vec<u64> = (0..SERVERS).map(|_| asked + numbers.below(5)).collect();
    let lists = |server: ServerId| transfers.iter().filter(move |of| of.is_prepared_on(server, asked));
    let xid = |of: &Transfer| Xid::new(of.gtrid, of.primary, of.branch);
    let all: BTreeSet<Gtrid> = (0..SERVERS).flat_map(|n| lists(ServerId(n))).map(|of| of.gtrid).collect();
    let open = |n: u32| {
        let server = ServerId(n);
        let is_asked_for =
            |of: &&Transfer| of.stamp >= since || rule.asks_for_prepared && all.contains(&of.gtrid);
        let in_it = transfers.iter().filter(|of| of.is_in(server, moments[n as usize]));
        let seen = in_it.filter(is_asked_for).map(|of| (of.gtrid, vec![of.primary, of.branch])).collect();
        let prepared = if rule.asks_for_prepared { lists(server).map(xid).collect() } else { Vec::new() };
        Opened { server, prepared, seen: if rule.compares_marks { seen } else { BTreeMap::new() } }
    };
    let is_fractured = transfers.iter().any(|of| {
        let shows = |server: ServerId| of.is_in(server, moments[server.0 as usize]);
        shows(of.primary) != shows(of.branch)
    });
    ((0..SERVERS).map(open).collect(), is_fractured)
}

/// How often snapshots show a transfer in part and pass, and how often they are whole and pass.
fn passes(rule: Rule) -> (usize, usize) {
    let (mut fractured, mut whole) = (0, 0);
    for seed in 0..20_000 {
        let mut numbers = Numbers(seed);
        let transfers: Vec<Transfer> = (0..3).map(|n| transfer(&mut numbers, n, rule)).collect();
        let (opened, is_fractured) = read(&mut numbers, &transfers, rule);
        // What was asked for by its stamp on one server alone is asked for by name on the other.
        if missing(&opened).is_empty() {
            fractured += usize::from(is_fractured);
            whole += usize::from(!is_fractured);
        }
    }
    (fractured, whole)
}

#[test]
fn snapshots_that_pass_show_every_transfer_whole() {
    let (fractured, whole) = passes(WHOLE);
    assert_eq!(fractured, 0);
    assert!(whole > 5_000, "{whole}");
}

#[test]
fn without_any_part_of_the_rule_transfers_are_seen_in_part() {
    for (what, rule) in [
        ("marks are not compared", Rule { compares_marks: false, asks_for_prepared: false, ..WHOLE }),
        ("what is prepared is not asked for", Rule { asks_for_prepared: false, ..WHOLE }),
        ("a decision may come late", Rule { decides_in_time: false, ..WHOLE }),
    ] {
        let (fractured, _) = passes(rule);
        assert!(fractured > 0, "{what}");
    }
}

fn gtrid(sequence: u32) -> Gtrid {
    Gtrid { begun: HybridTime(7), node: 1, incarnation: 2, sequence }
}

fn opened(server: u32, prepared: &[(u32, u32)], seen: &[(u32, &[u32])]) -> Opened {
    let xid =
        |(sequence, primary): &(u32, u32)| Xid::new(gtrid(*sequence), ServerId(*primary), ServerId(server));
    let mark = |(sequence, parts): &(u32, &[u32])| {
        (gtrid(*sequence), parts.iter().map(|part| ServerId(*part)).collect())
    };
    Opened {
        server: ServerId(server),
        prepared: prepared.iter().map(xid).collect(),
        seen: seen.iter().map(mark).collect(),
    }
}

#[test]
fn what_lags_is_named() {
    type Case = (Vec<Opened>, &'static [(u32, u32)]);
    let cases: [Case; 8] = [
        (vec![], &[]),
        (vec![opened(1, &[], &[]), opened(2, &[], &[])], &[]),
        (vec![opened(1, &[], &[(5, &[1, 2])]), opened(2, &[], &[(5, &[1, 2])])], &[]),
        (vec![opened(1, &[], &[(5, &[1, 2])]), opened(2, &[], &[])], &[(2, 5)]),
        (vec![opened(1, &[], &[]), opened(2, &[], &[(5, &[1, 2])])], &[(1, 5)]),
        // Of a server that is not looked at nothing is expected.
        (vec![opened(1, &[], &[(5, &[1, 3])]), opened(2, &[], &[])], &[]),
        // Prepared, and its decision not looked at: it may be in what has moved; unless it is in the snapshot.
        (vec![opened(1, &[(5, 3)], &[]), opened(2, &[], &[])], &[(1, 5)]),
        (vec![opened(1, &[(5, 3), (6, 2)], &[(5, &[3, 1])]), opened(2, &[], &[])], &[]),
    ];
    for (snapshots, expected) in cases {
        let expected: Vec<(ServerId, Gtrid)> =
            expected.iter().map(|(server, sequence)| (ServerId(*server), gtrid(*sequence))).collect();
        let found: Vec<(ServerId, Gtrid)> = missing(&snapshots)
            .into_iter()
            .flat_map(|(server, all)| all.into_iter().map(move |gtrid| (server, gtrid)))
            .collect();
        assert_eq!(found, expected, "{snapshots:?}");
    }
}

#[test]
fn marks_are_read_as_the_procedure_writes_them() {
    let text = format!(r#"["{} 3,1,12", "{}-floor 1", "{} 2"]"#, gtrid(1), gtrid(1), gtrid(2));
    let expected = BTreeMap::from([
        (gtrid(1), vec![ServerId(3), ServerId(1), ServerId(12)]),
        (gtrid(2), vec![ServerId(2)]),
    ]);
    assert_eq!(read_marks(&text), expected);
    assert!(read_marks("").is_empty() && read_marks("[]").is_empty());
    assert_eq!(names([]), "[]");
    assert_eq!(names([&gtrid(1), &gtrid(2)]), format!(r#"["{}","{}"]"#, gtrid(1), gtrid(2)));
}

#[test]
fn the_window_begins_before_the_earliest_clock_less_what_a_decision_may_take() {
    let clocks = [1_000_100, 1_000_090, 1_000_110].map(Duration::from_secs);
    assert_eq!(window(clocks), HybridTime::at(Duration::from_secs(1_000_075)));
}
