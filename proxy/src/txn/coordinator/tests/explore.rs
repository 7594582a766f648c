//! Breadth-first exploration of all states that a model can reach.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::rc::Rc;

/// A step that a model may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: &'static str,
    /// The number of the server or resolver that takes it.
    pub place: usize,
    /// It need not happen: nothing may depend on it.
    pub failure: bool,
}

pub trait Model: Clone + Eq + Hash + Debug {
    /// All that can happen next.
    fn steps(&self) -> Vec<(Step, Self)>;
    /// What must never be, if it is.
    fn violation(&self) -> Option<String>;
    /// Whether all has come to its end.
    fn is_resolved(&self) -> bool;
}

/// What was found: how many states there are, and the path to the first that is wrong.
#[derive(Debug)]
pub struct Explored {
    pub states: usize,
    pub steps: usize,
    /// The names of all steps that were taken.
    pub taken: BTreeSet<&'static str>,
    pub wrong: Option<String>,
}

struct Reached<M> {
    states: Vec<Rc<M>>,
    from: Vec<Option<(usize, Step)>>,
    /// Steps that are no failures, backwards.
    backwards: Vec<Vec<usize>>,
    steps: usize,
    taken: BTreeSet<&'static str>,
}

/// A fast hash: the standard one takes most of the time here.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

/// Explores all. Wrong is: a violation; or a state from which, without further failures, no end can be reached.
pub fn explore<M: Model>(first: M, most: usize) -> Explored {
    let first = Rc::new(first);
    let mut numbers: HashMap<Rc<M>, usize, BuildHasherDefault<Fold>> = HashMap::default();
    numbers.insert(Rc::clone(&first), 0);
    let mut reached = Reached {
        states: vec![first],
        from: vec![None],
        backwards: vec![Vec::new()],
        steps: 0,
        taken: BTreeSet::new(),
    };
    let mut next = 0;
    while next < reached.states.len() {
        let state = Rc::clone(&reached.states[next]);
        if let Some(violation) = state.violation() {
            return reached.explored(Some((violation, next)));
        }
        for (step, after) in state.steps() {
            let fresh = reached.states.len();
            let number = *numbers.entry(Rc::new(after)).or_insert_with_key(|after| {
                reached.states.push(Rc::clone(after));
                reached.from.push(Some((next, step)));
                reached.backwards.push(Vec::new());
                fresh
            });
            reached.steps += 1;
            reached.taken.insert(step.name);
            if !step.failure {
                reached.backwards[number].push(next);
            }
        }
        assert!(reached.states.len() <= most, "more than {most} states");
        next += 1;
    }
    let stuck = reached.stuck().map(|state| (String::from("no end can be reached"), state));
    reached.explored(stuck)
}

impl<M: Model> Reached<M> {
    fn stuck(&self) -> Option<usize> {
        let mut ends = vec![false; self.states.len()];
        let mut open: Vec<usize> =
            (0..self.states.len()).filter(|state| self.states[*state].is_resolved()).collect();
        for state in &open {
            ends[*state] = true;
        }
        while let Some(state) = open.pop() {
            for before in &self.backwards[state] {
                if !ends[*before] {
                    ends[*before] = true;
                    open.push(*before);
                }
            }
        }
        ends.iter().position(|ends| !ends)
    }

    fn explored(&self, wrong: Option<(String, usize)>) -> Explored {
        let wrong = wrong.map(|(what, state)| {
            let mut path = Vec::new();
            let mut at = state;
            while let Some((before, step)) = self.from[at] {
                path.push(format!("{}({})", step.name, step.place));
                at = before;
            }
            path.reverse();
            format!("{what} after {}: {:#?}", path.join(", "), self.states[state])
        });
        Explored { states: self.states.len(), steps: self.steps, taken: self.taken.clone(), wrong }
    }
}
