//! What transactions on lists have seen, checked for what no order of them could have shown: Adya's anomalies, found as Elle finds them, since each list has the order of its appends in it.
//! What a reader may see depends on how it reads. Knows no database.
//!
//! Read next: `graph` (circles).

mod graph;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use graph::Graph;

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

/// How it read: `podway_read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Each server has its own snapshot.
    Fast,
    /// One snapshot of all servers.
    Atomic,
    /// What is read is locked until the end.
    Serializable,
}

/// What it did, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// It appended a value, which no other append has, to a list.
    Append(u64, u64),
    /// It read a list, whole.
    Read(u64, Vec<u64>),
}

/// A transaction.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How it ended.
    pub end: End,
    /// How it read.
    pub mode: Mode,
    /// It was acknowledged with the warning that a server is still to be told.
    pub is_late: bool,
    /// The stamp that its client was told.
    pub stamp: Option<u64>,
    /// When its first statement was sent, and its last answer came; in any unit.
    pub during: (u64, u64),
    /// What it did.
    pub ops: Vec<Op>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// An acknowledged transaction's append is not there.
    Lost,
    /// An append of a transaction that was rolled back is there, or was read (G1a).
    Aborted,
    /// Of a transaction that nobody could say of, a part is there.
    Half,
    /// What was read was never a beginning of the list.
    Fork,
    /// Of two appends of one transaction to one list the first was read and the second not (G1b).
    Intermediate,
    /// It did not read what it had appended itself, or read what it had yet to append.
    Own,
    /// It missed what had been acknowledged before it began.
    Stale,
    /// Its stamp is not after the stamp of what it has read or overwritten.
    Unordered,
    /// A circle of transactions of which each has overwritten what the one before had written (G0).
    WriteCircle,
    /// A circle of transactions of which each has overwritten, or read, what the one before had written (G1c).
    Circle,
    /// It has seen another transaction in part.
    Fractured,
    /// A circle with one reader in it who did not see what the next has written, where nobody was seen in part (the rest of G-single).
    Skewed,
    /// A circle in which all such readers are serializable (what is left of G-single and G2).
    Unserial,
}

/// What is wrong, and with which transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// What.
    pub anomaly: Anomaly,
    /// The number of the transaction in its history.
    pub by: usize,
}

/// Whether Podway promises that who reads in this mode, on several servers, never sees this.
pub fn is_excluded(anomaly: Anomaly, mode: Mode) -> bool {
    match anomaly {
        Anomaly::Fractured => mode != Mode::Fast,
        Anomaly::Skewed => mode == Mode::Serializable,
        _ => true,
    }
}

impl Seen {
    /// What it appended to lists.
    pub fn appends(&self) -> impl Iterator<Item = (u64, u64)> {
        self.ops.iter().filter_map(|op| match op {
            Op::Append(list, value) => Some((*list, *value)),
            Op::Read(..) => None,
        })
    }

    /// Whether it wrote nothing.
    pub fn only_reads(&self) -> bool {
        self.appends().next().is_none()
    }
}

/// What of a history concerns these lists only.
pub fn only(history: &[Seen], is_one: impl Fn(u64) -> bool) -> Vec<Seen> {
    let concerns = |op: &&Op| match op {
        Op::Append(list, _) | Op::Read(list, _) => is_one(*list),
    };
    let part = |seen: &Seen| Seen { ops: seen.ops.iter().filter(concerns).cloned().collect(), ..*seen };
    history.iter().map(part).collect()
}

/// All that is wrong in a history; `lists`: what is there at its end.
pub fn faults(history: &[Seen], lists: &BTreeMap<u64, Vec<u64>>) -> BTreeSet<Fault> {
    let mut check = Check::new(history, lists);
    check.ends();
    check.orders();
    for number in 0..history.len() {
        check.reads(number);
    }
    check.circles();
    check.found
}

struct Check<'a> {
    history: &'a [Seen],
    lists: &'a BTreeMap<u64, Vec<u64>>,
    /// Who appended a value.
    writer: BTreeMap<u64, usize>,
    /// Of each place in a list, the highest stamp before it.
    highest: BTreeMap<u64, Vec<Option<u64>>>,
    graph: Graph,
    found: BTreeSet<Fault>,
}

/// A read without what the reader itself had appended.
struct Beginning<'a> {
    list: u64,
    /// What is in the list, at last.
    all: &'a [u64],
    length: usize,
}

impl<'a> Check<'a> {
    fn new(history: &'a [Seen], lists: &'a BTreeMap<u64, Vec<u64>>) -> Check<'a> {
        let writers = history.iter().enumerate();
        let writer = writers.flat_map(|(number, seen)| seen.appends().map(move |(_, value)| (value, number)));
        Check {
            history,
            lists,
            writer: writer.collect(),
            highest: BTreeMap::new(),
            graph: Graph::new(history.len()),
            found: BTreeSet::new(),
        }
    }

    fn find(&mut self, anomaly: Anomaly, by: usize) {
        self.found.insert(Fault { anomaly, by });
    }

    /// Whether what was acknowledged is there, and what was rolled back is not.
    fn ends(&mut self) {
        for (number, seen) in self.history.iter().enumerate() {
            let is_there =
                |(list, value): &(u64, u64)| self.lists.get(list).is_some_and(|all| all.contains(value));
            let (all, present) = (seen.appends().count(), seen.appends().filter(is_there).count());
            match seen.end {
                End::Committed if present < all => self.find(Anomaly::Lost, number),
                End::Aborted if present > 0 => self.find(Anomaly::Aborted, number),
                End::Unknown if present > 0 && present < all => self.find(Anomaly::Half, number),
                _ => {}
            }
        }
    }

    /// Who has overwritten whom, and whether stamps say so too.
    fn orders(&mut self) {
        for (list, all) in self.lists {
            let writers: Vec<Option<usize>> =
                all.iter().map(|value| self.writer.get(value).copied()).collect();
            let (mut highest, mut before, mut last) = (None, Vec::with_capacity(all.len() + 1), None);
            for writer in writers {
                before.push(highest);
                let Some(writer) = writer else { continue };
                if let Some(last) = last.filter(|last| *last != writer) {
                    self.graph.overwrites(last, writer);
                    if let Some(stamp) = self.history[writer].stamp {
                        if highest.is_some_and(|highest| highest >= stamp) {
                            self.find(Anomaly::Unordered, writer);
                        }
                        highest = highest.max(Some(stamp));
                    }
                } else {
                    highest = highest.max(self.history[writer].stamp);
                }
                last = Some(writer);
            }
            before.push(highest);
            self.highest.insert(*list, before);
        }
    }

    /// What one transaction has read.
    fn reads(&mut self, number: usize) {
        let seen = &self.history[number];
        let mut own: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut beginnings = Vec::new();
        for op in &seen.ops {
            match op {
                Op::Append(list, value) => own.entry(*list).or_default().push(*value),
                Op::Read(list, values) => {
                    let own = own.get(list).map(Vec::as_slice).unwrap_or_default();
                    beginnings.extend(self.beginning(number, *list, values, own));
                }
            }
        }
        for one in &beginnings {
            self.last_of(number, one);
        }
        // Who reads and is rolled back has read what was there all the same; that it is of one moment was promised to who commits.
        if seen.end == End::Committed {
            self.parts(number, &beginnings);
        }
    }

    /// What a read shows of a list; none, if it is no beginning of it.
    fn beginning(&mut self, number: usize, list: u64, read: &[u64], own: &[u64]) -> Option<Beginning<'a>> {
        let Some(read) = read.strip_suffix(own) else {
            self.find(Anomaly::Own, number);
            return None;
        };
        let all = self.lists.get(&list).map(Vec::as_slice).unwrap_or_default();
        if all.starts_with(read) {
            if read.iter().any(|value| self.writer.get(value) == Some(&number)) {
                self.find(Anomaly::Own, number);
            }
            return Some(Beginning { list, all, length: read.len() });
        }
        let gone = read.iter().find(|value| !all.contains(value));
        match gone.and_then(|value| self.writer.get(value)).copied() {
            Some(by) => self.find(Anomaly::Aborted, by),
            None => self.find(Anomaly::Fork, number),
        }
        None
    }

    /// Whose append is the last that was read, and whose is the first that was not.
    fn last_of(&mut self, number: usize, read: &Beginning<'_>) {
        let by = |at: Option<&u64>| at.and_then(|value| self.writer.get(value)).copied();
        let last = by(read.all[..read.length].last());
        let next = by(read.all.get(read.length));
        let seen = &self.history[number];
        if last.is_some() && last == next && last != Some(number) {
            self.find(Anomaly::Intermediate, number);
        }
        if seen.end != End::Committed {
            return;
        }
        if let Some(last) = last.filter(|last| *last != number) {
            self.graph.reads(last, number);
        }
        if let Some(next) = next.filter(|next| *next != number) {
            self.graph.misses(number, next);
        }
        let highest = self.highest.get(&read.list).and_then(|all| all.get(read.length)).copied().flatten();
        if seen.stamp.zip(highest).is_some_and(|(own, highest)| highest >= own) {
            self.find(Anomaly::Unordered, number);
        }
    }

    /// Whether it has seen others in part, or too little of what there was.
    fn parts(&mut self, number: usize, reads: &[Beginning<'_>]) {
        let seen = &self.history[number];
        let writers = |values: &'_ [u64]| -> BTreeSet<usize> {
            values.iter().filter_map(|value| self.writer.get(value)).copied().collect()
        };
        let seen_by: Vec<BTreeSet<usize>> =
            reads.iter().map(|read| writers(&read.all[..read.length])).collect();
        let (mut is_fractured, mut is_stale) = (false, false);
        for (nth, read) in reads.iter().enumerate() {
            for missed in writers(&read.all[read.length..]) {
                let other = &self.history[missed];
                let has_seen = |at: usize| at != nth && seen_by[at].contains(&missed);
                is_fractured |= missed != number && (0..reads.len()).any(has_seen);
                is_stale |= other.end == End::Committed
                    && other.during.1 < seen.during.0
                    && (!other.is_late || seen.mode == Mode::Atomic);
            }
        }
        if is_fractured {
            self.find(Anomaly::Fractured, number);
        }
        if is_stale {
            self.find(Anomaly::Stale, number);
        }
    }

    fn circles(&mut self) {
        let overwriting = self.graph.in_circles(|_| false, false);
        let reading = self.graph.in_circles(|_| false, true);
        let locking = self.graph.in_circles(|number| self.history[number].mode == Mode::Serializable, true);
        for number in locking.difference(&reading) {
            if self.history[*number].mode == Mode::Serializable {
                self.find(Anomaly::Unserial, *number);
            }
        }
        for number in reading.difference(&overwriting) {
            self.find(Anomaly::Circle, *number);
        }
        for number in overwriting {
            self.find(Anomaly::WriteCircle, number);
        }
        let began = |number: usize| self.history[number].during.0;
        let ended = |number: usize| match self.history[number].end {
            End::Unknown => u64::MAX,
            _ => self.history[number].during.1,
        };
        for (reader, missed) in self.graph.missed() {
            let is_known = [Anomaly::Fractured, Anomaly::Intermediate]
                .into_iter()
                .any(|anomaly| self.found.contains(&Fault { anomaly, by: reader }));
            // Who began when it had ended has no part in what it saw.
            let may_be = |between: usize| began(between) <= ended(reader);
            if !is_known && self.graph.leads(missed, reader, may_be) {
                self.find(Anomaly::Skewed, reader);
            }
        }
    }
}
