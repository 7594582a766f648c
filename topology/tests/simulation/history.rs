//! What happened in a run, in the order in which it happened: what clients asked and were answered, what watchers heard, what broke. One thread runs
//! the whole simulation, so this order is the true one.

use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podway_model::{Change, Map, Revision};

/// What a client asked of the topology.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// Set a register to a value that nobody else sets it to.
    Set { register: usize, value: u64 },
    /// Read a register.
    Get { register: usize },
    /// Register a proxy under a name that nobody else uses.
    Register { name: String },
}

/// What it was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answered {
    /// It is set.
    Set,
    /// It has this value.
    Got(u64),
    /// The proxy has this number.
    Registered(u32),
    /// What a right topology never answers.
    Wrong(String),
}

/// A question, and when it was asked and answered, counted in events.
#[derive(Clone, Debug)]
pub struct Operation {
    pub asked: Asked,
    pub from: usize,
    /// `None`: it may have been done, or may be yet.
    pub answer: Option<(usize, Answered)>,
}

/// What a watcher heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A stream began behind this revision.
    Began(Revision),
    /// The whole map.
    Snapshot(Revision),
    /// A change.
    Event(Revision, Vec<Change>),
}

/// One watcher.
#[derive(Clone, Debug)]
pub struct Watched {
    pub name: String,
    pub heard: Vec<Heard>,
    pub map: Map,
    /// The first change that did not fit its map.
    pub misfit: Option<String>,
}

/// Everything.
#[derive(Default)]
pub struct Events {
    pub operations: Vec<Operation>,
    pub watched: Vec<Watched>,
    /// Each event as a line.
    pub log: String,
    count: usize,
    /// The simulation's time, as it was last known.
    at: Duration,
}

/// A run's history, as all that take part in it share it.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<Events>>);

impl History {
    /// Looks at all of it.
    pub fn look<T>(&self, look: impl FnOnce(&Events) -> T) -> T {
        look(&self.0.lock().unwrap())
    }

    /// Writes down something.
    pub fn note(&self, who: &str, what: &str) {
        self.0.lock().unwrap().note(who, what);
    }

    /// Something is asked.
    pub fn ask(&self, who: &str, asked: Asked) -> usize {
        let events = &mut *self.0.lock().unwrap();
        let from = events.note(who, &format!("asks {asked:?}"));
        events.operations.push(Operation { asked, from, answer: None });
        events.operations.len() - 1
    }

    /// It is answered.
    pub fn answer(&self, who: &str, operation: usize, answered: Answered) {
        let events = &mut *self.0.lock().unwrap();
        let until =
            events.note(who, &format!("hears {answered:?} to {:?}", events.operations[operation].asked));
        events.operations[operation].answer = Some((until, answered));
    }

    /// How many questions were answered.
    pub fn answered(&self) -> usize {
        self.look(|events| events.operations.iter().filter(|operation| operation.answer.is_some()).count())
    }

    /// Another watcher.
    pub fn watcher(&self, name: String, map: Map) -> usize {
        let events = &mut *self.0.lock().unwrap();
        events.watched.push(Watched { name, heard: Vec::new(), map, misfit: None });
        events.watched.len() - 1
    }

    /// A watcher hears something; its map follows.
    pub fn hear(&self, watcher: usize, heard: Heard, changes: &[Change]) {
        let events = &mut *self.0.lock().unwrap();
        let line = match &heard {
            Heard::Began(revision) => format!("begins behind {revision:?}"),
            Heard::Snapshot(revision) => format!("hears the whole map of {revision:?}"),
            Heard::Event(revision, _) => format!("hears of {revision:?}"),
        };
        let name = events.watched[watcher].name.clone();
        events.note(&name, &line);
        let watched = &mut events.watched[watcher];
        if let Heard::Snapshot(revision) | Heard::Event(revision, _) = heard {
            match watched.map.changed(revision, changes) {
                // The whole map of a topology in which nothing was changed yet.
                _ if revision == Revision(0) => {}
                Ok(map) => watched.map = map,
                Err(error) => drop(watched.misfit.get_or_insert_with(|| format!("{revision:?}: {error}"))),
            }
        }
        watched.heard.push(heard);
    }
}

impl Events {
    fn note(&mut self, who: &str, what: &str) -> usize {
        self.count += 1;
        self.at = turmoil::sim_elapsed().unwrap_or(self.at);
        let at = self.at.as_millis();
        writeln!(self.log, "{at:>7} {who:<12} {what}").unwrap();
        self.count
    }
}
