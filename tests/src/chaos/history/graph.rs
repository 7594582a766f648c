//! Which transaction comes after which, and circles of them.

use std::collections::{BTreeSet, VecDeque};

/// Transactions by their numbers.
pub struct Graph {
    /// Who has overwritten what this one had written.
    overwritten: Vec<BTreeSet<usize>>,
    /// Who has read what this one had written.
    read: Vec<BTreeSet<usize>>,
    /// Who has written what this one did not see.
    missed: Vec<BTreeSet<usize>>,
}

impl Graph {
    /// So many, of which nothing is known.
    pub fn new(count: usize) -> Graph {
        let none = || vec![BTreeSet::new(); count];
        Graph { overwritten: none(), read: none(), missed: none() }
    }

    /// `then` has overwritten what `first` had written (ww).
    pub fn overwrites(&mut self, first: usize, then: usize) {
        self.overwritten[first].insert(then);
    }

    /// `then` has read what `first` had written (wr).
    pub fn reads(&mut self, first: usize, then: usize) {
        self.read[first].insert(then);
    }

    /// `reader` did not see what `next` has written (rw).
    pub fn misses(&mut self, reader: usize, next: usize) {
        self.missed[reader].insert(next);
    }

    /// All who did not see what another has written.
    pub fn missed(&self) -> Vec<(usize, usize)> {
        let of = |(reader, all): (usize, &BTreeSet<usize>)| {
            all.iter().map(move |next| (reader, *next)).collect::<Vec<_>>()
        };
        self.missed.iter().enumerate().flat_map(of).collect()
    }

    /// Whether a way of overwriting and reading leads from one to the other. `may_be`: who may be on it.
    pub fn leads(&self, from: usize, to: usize, may_be: impl Fn(usize) -> bool) -> bool {
        let (mut known, mut next) = (BTreeSet::from([from]), VecDeque::from([from]));
        while let Some(one) = next.pop_front() {
            if one == to {
                return true;
            }
            let after = self.overwritten[one].iter().chain(&self.read[one]);
            next.extend(after.copied().filter(|after| may_be(*after) && known.insert(*after)));
        }
        false
    }

    /// Who is in a circle: of overwriting, of reading (`with_reads`), and of what these (`counts`) did not see.
    pub fn in_circles(&self, counts: impl Fn(usize) -> bool, with_reads: bool) -> BTreeSet<usize> {
        let after = |one: usize| -> Vec<usize> {
            let read = self.read[one].iter().filter(|_| with_reads);
            let missed = self.missed[one].iter().filter(|_| counts(one));
            self.overwritten[one].iter().chain(read).chain(missed).copied().collect()
        };
        components(self.read.len(), after).into_iter().filter(|part| part.len() > 1).flatten().collect()
    }
}

/// The strongly connected components (Tarjan, "Depth-first search and linear graph algorithms", 1972), without recursion.
fn components(count: usize, after: impl Fn(usize) -> Vec<usize>) -> Vec<Vec<usize>> {
    let mut found = Vec::new();
    let (mut order, mut lowest) = (vec![usize::MAX; count], vec![usize::MAX; count]);
    let (mut is_open, mut open, mut next) = (vec![false; count], Vec::new(), 0);
    for root in 0..count {
        if order[root] != usize::MAX {
            continue;
        }
        let mut way = vec![(root, None::<Vec<usize>>)];
        while let Some((one, left)) = way.last_mut() {
            let one = *one;
            let left = left.get_or_insert_with(|| {
                (order[one], lowest[one]) = (next, next);
                next += 1;
                open.push(one);
                is_open[one] = true;
                after(one)
            });
            if let Some(then) = left.pop() {
                if order[then] == usize::MAX {
                    way.push((then, None));
                } else if is_open[then] {
                    lowest[one] = lowest[one].min(order[then]);
                }
                continue;
            }
            if lowest[one] == order[one] {
                let at = open.iter().rposition(|other| *other == one).unwrap_or_default();
                let part = open.split_off(at);
                part.iter().for_each(|member| is_open[*member] = false);
                found.push(part);
            }
            way.pop();
            if let Some((parent, _)) = way.last() {
                lowest[*parent] = lowest[*parent].min(lowest[one]);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_what_leads_to_each_other() {
        let edges: [&[usize]; 7] = [&[1], &[2, 3], &[0], &[4], &[5], &[3], &[6]];
        let mut found = components(7, |one| edges[one].to_vec());
        found.iter_mut().for_each(|part| part.sort_unstable());
        found.sort_unstable();
        assert_eq!(found, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    }

    #[test]
    fn a_long_way_needs_no_deep_stack() {
        let count = 200_000;
        let circle = components(count, |one| vec![(one + 1) % count]);
        assert_eq!(circle.len(), 1);
        let line = components(count, |one| if one + 1 < count { vec![one + 1] } else { vec![] });
        assert_eq!(line.len(), count);
    }
}
