//! Watchers hear each change once, in order, without gaps, and all the same of each; a snapshot stands for all changes up to its revision.

use std::collections::BTreeMap;

use podway_model::{Change, Revision};

use super::Verdict;
use crate::history::{Heard, Watched};
use crate::run::Outcome;

/// Every change that anybody heard of.
type Known = BTreeMap<Revision, Vec<Change>>;

pub fn check(outcome: &Outcome) -> Verdict {
    outcome.shared.history.look(|events| {
        let mut known = Known::new();
        for watched in &events.watched {
            for heard in &watched.heard {
                let Heard::Event(revision, changes) = heard else { continue };
                let first = known.entry(*revision).or_insert_with(|| changes.clone());
                if first != changes {
                    return Err(format!("{}: {revision:?} is another change to others", watched.name));
                }
            }
        }
        events.watched.iter().try_for_each(|watched| check_one(watched, &known))
    })
}

fn check_one(watched: &Watched, known: &Known) -> Verdict {
    let name = &watched.name;
    if let Some(misfit) = &watched.misfit {
        return Err(format!("{name}: a change does not fit: {misfit}"));
    }
    let mut has = Revision(0);
    for heard in &watched.heard {
        match heard {
            Heard::Began(from) if *from != has => {
                return Err(format!("{name}: began behind {from:?}, not {has:?}"));
            }
            Heard::Began(_) => {}
            // The whole map of a topology in which nothing was changed yet.
            Heard::Snapshot(Revision(0)) if has == Revision(0) => {}
            Heard::Snapshot(revision) | Heard::Event(revision, _) if *revision <= has => {
                return Err(format!("{name}: {revision:?} came after {has:?}"));
            }
            Heard::Snapshot(revision) => has = *revision,
            Heard::Event(revision, _) => {
                let mut between =
                    known.range((std::ops::Bound::Excluded(has), std::ops::Bound::Excluded(*revision)));
                if let Some((missed, _)) = between.next() {
                    return Err(format!(
                        "{name}: heard of {revision:?} after {has:?}, and not of {missed:?}"
                    ));
                }
                has = *revision;
            }
        }
    }
    Ok(())
}
