//! Whether a history of one register is linearizable: whether there is one order of its operations in which each happens between its question and its
//! answer, and each read sees the write before it. Searched as Wing and Gong do, without trying the same state twice.

use std::collections::HashSet;

/// What is done with the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Write(u64),
    Read(u64),
}

/// When and what.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub action: Action,
    pub from: usize,
    /// `None`: it was never answered, and may have been done at any time after, or never. Such a read says nothing and is not to be among the steps.
    pub until: Option<usize>,
}

/// Whether there is such an order for a register that begins with `initial`.
pub fn is_linearizable(initial: u64, steps: &[Step]) -> bool {
    let mut steps = steps.to_vec();
    steps.sort_by_key(|step| step.from);
    let mut search =
        Search { done: vec![false; steps.len()], value: initial, first: 0, seen: HashSet::new(), steps };
    search.succeeds()
}

struct Search {
    steps: Vec<Step>,
    done: Vec<bool>,
    value: u64,
    /// Everything before this is done.
    first: usize,
    seen: HashSet<(Vec<bool>, usize, u64)>,
}

/// What is to be undone when a try fails.
struct Before {
    value: u64,
    first: usize,
    done: Vec<usize>,
}

impl Search {
    fn succeeds(&mut self) -> bool {
        let mut tries: Vec<(Before, Vec<usize>)> = Vec::new();
        loop {
            let before = self.read_all();
            if self.is_over() {
                return true;
            }
            let next = if self.is_new() { self.writes() } else { Vec::new() };
            tries.push((before, next));
            // The next write to try, of the last choice that has one left.
            loop {
                let Some((before, left)) = tries.last_mut() else { return false };
                if let Some(write) = left.pop() {
                    let (value, first) = (self.value, self.first);
                    let Action::Write(written) = self.steps[write].action else { unreachable!() };
                    self.value = written;
                    self.finish(write);
                    let undo = Before { value, first, done: vec![write] };
                    tries.push((undo, Vec::new()));
                    break;
                }
                let before = Before { value: before.value, first: before.first, done: before.done.clone() };
                self.undo(&before);
                tries.pop();
            }
        }
    }

    /// Does every read that fits now and may happen now: it changes nothing, so that it cannot be wrong to do it at once.
    fn read_all(&mut self) -> Before {
        let mut before = Before { value: self.value, first: self.first, done: Vec::new() };
        while let Some(read) = self.fitting_read() {
            self.finish(read);
            before.done.push(read);
        }
        before
    }

    fn fitting_read(&self) -> Option<usize> {
        self.possible().find(|step| self.steps[*step].action == Action::Read(self.value))
    }

    /// What may happen next: whatever was asked before anything that is not done yet was answered.
    fn possible(&self) -> impl Iterator<Item = usize> {
        let open = || (self.first..self.steps.len()).filter(|step| !self.done[*step]);
        let deadline = open().filter_map(|step| self.steps[step].until).min().unwrap_or(usize::MAX);
        open().take_while(move |step| self.steps[*step].from < deadline)
    }

    fn writes(&self) -> Vec<usize> {
        let is_write = |step: &usize| matches!(self.steps[*step].action, Action::Write(_));
        let mut writes: Vec<usize> = self.possible().filter(is_write).collect();
        // What was answered first most likely happened first: it is tried first, and so stands last.
        writes.sort_by_key(|step| std::cmp::Reverse(self.steps[*step].until.unwrap_or(usize::MAX)));
        writes
    }

    fn is_over(&self) -> bool {
        (self.first..self.steps.len()).all(|step| self.done[step] || self.steps[step].until.is_none())
    }

    fn is_new(&mut self) -> bool {
        self.seen.insert((self.done[self.first..].to_vec(), self.first, self.value))
    }

    fn finish(&mut self, step: usize) {
        self.done[step] = true;
        while self.first < self.done.len() && self.done[self.first] {
            self.first += 1;
        }
    }

    fn undo(&mut self, before: &Before) {
        self.value = before.value;
        self.first = before.first;
        for step in &before.done {
            self.done[*step] = false;
        }
    }
}

#[test]
fn histories_are_told_apart() {
    use Action::{Read, Write};
    let step = |action, from, until| Step { action, from, until: Some(until) };
    let lost = |action, from| Step { action, from, until: None };
    let cases: &[(&str, bool, &[Step])] = &[
        ("nothing", true, &[]),
        ("one after another", true, &[step(Write(1), 1, 2), step(Read(1), 3, 4)]),
        ("an old read", false, &[step(Write(1), 1, 2), step(Read(0), 3, 4)]),
        ("a read beside a write", true, &[step(Write(1), 1, 4), step(Read(0), 2, 3)]),
        ("back again", false, &[step(Write(1), 1, 9), step(Read(1), 2, 3), step(Read(0), 4, 5)]),
        (
            "a lost write that shows late",
            true,
            &[lost(Write(1), 1), step(Read(0), 2, 3), step(Read(1), 4, 5)],
        ),
        ("a lost write that never shows", true, &[lost(Write(1), 1), step(Read(0), 2, 3)]),
        ("nobody wrote it", false, &[step(Read(7), 2, 3)]),
        ("two writers and who won", true, &[step(Write(1), 1, 4), step(Write(2), 2, 3), step(Read(1), 5, 6)]),
        (
            "two readers disagree on who won",
            false,
            &[step(Write(1), 1, 4), step(Write(2), 2, 3), step(Read(1), 5, 6), step(Read(2), 7, 8)],
        ),
        (
            "an answered write is gone",
            false,
            &[step(Write(1), 1, 2), step(Write(2), 3, 4), step(Read(1), 5, 6)],
        ),
    ];
    for (name, expected, steps) in cases {
        assert_eq!(is_linearizable(0, steps), *expected, "{name}");
    }
}
