//! What clients did and saw while shards moved, and whether that can have been: decided here without a server.
//!
//! A *transaction* adds one to a counter and writes its entry into the ledger; a *note* is one row by itself; a *pair* is two rows of one transaction or statement, which may lie on two
//! shards. Every entry has a number that is never used again. A *scatter* is a read of all shards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// A counter's number.
pub type Key = u64;
/// The number of a row in the ledger or among the notes.
pub type Entry = u64;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// An acknowledged row is not there.
    Lost(Key, Entry),
    /// A row is there that was refused for certain.
    Undead(Key, Entry),
    /// A row is on several shards, or on one that does not own it.
    Misplaced(Key, Entry),
    /// A counter differs from its entries in the ledger: a transaction took effect in part.
    Torn(Key),
    /// One of two rows is there that were written together, and the other is not.
    Halved((Key, Entry), (Key, Entry)),
    /// A read found less than had been acknowledged when it was sent.
    Stale { key: Key, saw: u64, known: u64 },
    /// A scatter did not find a row that had been acknowledged when it was sent.
    Missed(Key, Entry),
    /// A scatter found a row twice.
    Twice(Key, Entry),
}

/// What is known of one counter.
#[derive(Debug, Default)]
struct Known {
    /// The highest value that an acknowledged transaction left.
    value: AtomicU64,
    /// How many notes were acknowledged.
    notes: AtomicU64,
}

/// What clients were told.
#[derive(Debug, Default)]
struct Told {
    acknowledged: BTreeSet<(Key, Entry)>,
    /// Those of them that are notes, as scatters look for them.
    notes: BTreeSet<(Entry, Key)>,
    /// Written together, acknowledged or not.
    pairs: Vec<[(Key, Entry); 2]>,
    /// Refused, so that it cannot be there.
    refused: BTreeSet<(Key, Entry)>,
    findings: BTreeSet<Finding>,
    errors: BTreeMap<(&'static str, u16), u64>,
}

/// Everything that all clients did and saw.
#[derive(Debug)]
pub struct History {
    known: BTreeMap<Key, Known>,
    next: AtomicU64,
    done: AtomicU64,
    told: Mutex<Told>,
}

/// What is on the servers at the end.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The rows of ledger and notes on the shards that own them.
    pub owned: Vec<(Key, Entry)>,
    /// Those on all other shards that the map has.
    pub elsewhere: Vec<(Key, Entry)>,
    /// Each counter's value and how many entries it has in the ledger.
    pub counters: Vec<(Key, u64, u64)>,
}

impl History {
    /// Of counters that are 0.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> History {
        let known = keys.into_iter().map(|key| (key, Known::default())).collect();
        History { known, next: AtomicU64::new(1), done: AtomicU64::new(0), told: Mutex::default() }
    }

    /// The counters' numbers.
    pub fn keys(&self) -> Vec<Key> {
        self.known.keys().copied().collect()
    }

    /// Another counter, of which this one is the other.
    pub fn opposite(&self, key: Key) -> Key {
        let mut keys = self.known.keys();
        let place = self.known.keys().position(|known| *known == key).unwrap_or_default();
        *keys.nth_back(place).unwrap_or(&key)
    }

    /// A number that nobody else gets.
    pub fn entry(&self) -> Entry {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// How many statements and transactions were acknowledged, reads included.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// A transaction was acknowledged; it left the counter at this value.
    pub fn committed(&self, key: Key, entry: Entry, value: u64) {
        self.known[&key].value.fetch_max(value, Ordering::SeqCst);
        self.told.lock().acknowledged.insert((key, entry));
        self.done.fetch_add(1, Ordering::SeqCst);
    }

    /// A note was acknowledged.
    pub fn noted(&self, key: Key, entry: Entry) {
        self.known[&key].notes.fetch_add(1, Ordering::SeqCst);
        let mut told = self.told.lock();
        told.acknowledged.insert((key, entry));
        told.notes.insert((entry, key));
        drop(told);
        self.done.fetch_add(1, Ordering::SeqCst);
    }

    /// A row was acknowledged, with the warning that it may not be seen yet.
    pub fn promised(&self, key: Key, entry: Entry) {
        self.told.lock().acknowledged.insert((key, entry));
        self.done.fetch_add(1, Ordering::SeqCst);
    }

    /// Two rows are about to be written together.
    pub fn pair(&self, rows: [(Key, Entry); 2]) {
        self.told.lock().pairs.push(rows);
    }

    /// The newest notes that were acknowledged, so many at most. To be asked before a scatter is sent.
    pub fn newest(&self, many: usize) -> BTreeSet<(Entry, Key)> {
        self.told.lock().notes.iter().rev().take(many).copied().collect()
    }

    /// A scatter over rows with numbers from the oldest of these found those.
    pub fn scattered(&self, known: &BTreeSet<(Entry, Key)>, saw: &[(Entry, Key)]) {
        self.done.fetch_add(1, Ordering::SeqCst);
        let mut there = BTreeSet::new();
        let twice = saw.iter().filter(|row| !there.insert(**row)).collect::<Vec<_>>();
        let mut told = self.told.lock();
        told.findings.extend(twice.into_iter().map(|(entry, key)| Finding::Twice(*key, *entry)));
        let missed = known.difference(&there).map(|(entry, key)| Finding::Missed(*key, *entry));
        told.findings.extend(missed);
    }

    /// A row was refused for certain.
    pub fn refused(&self, key: Key, entry: Entry) {
        self.told.lock().refused.insert((key, entry));
    }

    /// What is acknowledged of a counter: its value and its notes. To be asked before a read is sent.
    pub fn known(&self, key: Key) -> (u64, u64) {
        let known = &self.known[&key];
        (known.value.load(Ordering::SeqCst), known.notes.load(Ordering::SeqCst))
    }

    /// A read that was sent when so much was acknowledged found this.
    pub fn read(&self, key: Key, known: u64, saw: u64) {
        self.done.fetch_add(1, Ordering::SeqCst);
        if saw < known {
            self.told.lock().findings.insert(Finding::Stale { key, saw, known });
        }
    }

    /// A scatter that was sent when the counters had these values found those, in the counters' order.
    pub fn counted(&self, known: &[(Key, u64)], saw: &[(Key, u64)]) {
        let values: BTreeMap<Key, u64> = saw.iter().copied().collect();
        let mut told = self.told.lock();
        if values.len() < saw.len() {
            let mut there = BTreeSet::new();
            let twice = saw.iter().filter(|(key, _)| !there.insert(*key));
            told.findings.extend(twice.map(|(key, value)| Finding::Twice(*key, *value)));
        }
        drop(told);
        for (key, known) in known {
            self.read(*key, *known, values.get(key).copied().unwrap_or_default());
        }
    }

    /// A client got an error.
    pub fn error(&self, proxy: &'static str, code: u16) {
        *self.told.lock().errors.entry((proxy, code)).or_default() += 1;
    }

    /// How often clients of a proxy got an error.
    pub fn errors(&self, proxy: &'static str) -> BTreeMap<u16, u64> {
        let told = self.told.lock();
        let of_it = told.errors.iter().filter(|((at, _), _)| *at == proxy);
        of_it.map(|((_, code), times)| (*code, *times)).collect()
    }

    /// All that must not be, now that this is on the servers.
    pub fn check(&self, found: &Found) -> Vec<Finding> {
        let told = self.told.lock();
        let mut findings = told.findings.clone();
        let mut there = BTreeSet::new();
        for (key, entry) in &found.owned {
            if !there.insert((*key, *entry)) {
                findings.insert(Finding::Misplaced(*key, *entry));
            }
        }
        findings.extend(found.elsewhere.iter().map(|(key, entry)| Finding::Misplaced(*key, *entry)));
        findings.extend(told.acknowledged.difference(&there).map(|(key, entry)| Finding::Lost(*key, *entry)));
        findings.extend(told.refused.intersection(&there).map(|(key, entry)| Finding::Undead(*key, *entry)));
        let halved = told.pairs.iter().filter(|[one, other]| there.contains(one) != there.contains(other));
        findings.extend(halved.map(|[one, other]| Finding::Halved(*one, *other)));
        let torn = found.counters.iter().filter(|(_, value, entries)| value != entries);
        findings.extend(torn.map(|(key, ..)| Finding::Torn(*key)));
        findings.into_iter().collect()
    }
}

#[test]
fn the_check_finds_each_thing_that_must_not_be() {
    let history = || {
        let history = History::new([1, 2]);
        history.committed(1, 10, 1);
        history.noted(2, 11);
        history.refused(2, 12);
        history
    };
    let good =
        Found { owned: vec![(1, 10), (2, 11), (2, 13)], counters: vec![(1, 1, 1)], ..Found::default() };
    assert_eq!(history().check(&good), [], "what nobody was told of may be there or not");
    let owned = |rows: &[(Key, Entry)]| Found { owned: rows.to_vec(), ..good.clone() };
    let cases = [
        (owned(&[(1, 10)]), Finding::Lost(2, 11)),
        (owned(&[(1, 10), (2, 11), (2, 12)]), Finding::Undead(2, 12)),
        (owned(&[(1, 10), (2, 11), (2, 11)]), Finding::Misplaced(2, 11)),
        (Found { elsewhere: vec![(1, 10)], ..good.clone() }, Finding::Misplaced(1, 10)),
        (Found { counters: vec![(1, 2, 1)], ..good.clone() }, Finding::Torn(1)),
    ];
    for (found, finding) in cases {
        assert_eq!(history().check(&found), [finding]);
    }
    let stale = history();
    let (value, notes) = stale.known(1);
    assert_eq!((value, notes), (1, 0));
    stale.read(1, value, 1);
    stale.read(1, value, 5);
    assert_eq!(stale.check(&good), []);
    stale.read(1, value, 0);
    assert_eq!(stale.check(&good), [Finding::Stale { key: 1, saw: 0, known: 1 }]);
    let counted = history();
    counted.counted(&[(1, 1), (2, 0)], &[(1, 1), (2, 0)]);
    assert_eq!(counted.check(&good), []);
    counted.counted(&[(1, 1), (2, 0)], &[(2, 0), (2, 0)]);
    let findings = [Finding::Stale { key: 1, saw: 0, known: 1 }, Finding::Twice(2, 0)];
    assert_eq!(counted.check(&good), findings);
    assert_eq!([1, 2].map(|key| counted.opposite(key)), [2, 1]);
    let paired = history();
    paired.pair([(1, 10), (2, 11)]);
    paired.pair([(1, 14), (2, 13)]);
    assert_eq!(paired.check(&good), [Finding::Halved((1, 14), (2, 13))]);
    let scattered = history();
    let known = scattered.newest(5);
    assert_eq!(known, BTreeSet::from([(11, 2)]), "a note, not an entry of the ledger");
    scattered.scattered(&known, &[(11, 2), (13, 2)]);
    assert_eq!(scattered.check(&good), []);
    scattered.promised(1, 20);
    assert_eq!(scattered.newest(5), known, "nobody looks for it yet");
    assert_eq!(scattered.check(&good), [Finding::Lost(1, 20)]);
    let scattered = history();
    scattered.scattered(&known, &[(13, 2), (13, 2)]);
    assert_eq!(scattered.check(&good), [Finding::Missed(2, 11), Finding::Twice(2, 13)]);
    stale.error("A", 1213);
    assert_eq!(stale.errors("A"), BTreeMap::from([(1213, 1)]));
    assert_eq!(stale.errors("B"), BTreeMap::new());
}
