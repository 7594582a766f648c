//! What a state becomes when its cluster is made anew from one node's disk. What other nodes were told after that is lost, and is not known: whatever may
//! have been given out there is not given out again, every watcher gets the whole map, and nobody goes on with a move whose end may have been lost.

use std::sync::Arc;

use podway_model::Revision;

use super::State;
use super::outcome::Now;

/// Log indexes that are left out, so that no revision of the lost part comes again.
pub const INDEXES_SKIPPED: u64 = 1_000_000;
/// Incarnations that are left out.
pub(super) const INCARNATIONS_SKIPPED: u32 = 1_000_000;
/// Numbers that each AUTO_INCREMENT column leaves out, or half of what is left of it where that is less.
pub(super) const NUMBERS_SKIPPED: u64 = 1 << 24;

/// In whose name.
const WHO: &str = "podway topology recover";

impl State {
    /// Goes on at `index`, which is above every index that the lost part of the log may have had. Says what a person has to know.
    pub fn recover(&mut self, index: u64) -> Vec<String> {
        let mut notes = Vec::new();
        self.proxies.skip(INCARNATIONS_SKIPPED);
        let mut map = (*self.map).clone();
        let now = Now { at: self.time, revision: Revision(index), who: WHO };
        let (given_up, unfrozen) = self.operations.give_up_moves(&map, &mut self.shards, now.at);
        notes.extend(given_up);
        let mut changes = unfrozen;
        changes.extend(self.sequences.skip(&map, NUMBERS_SKIPPED, now.revision));
        // One index is left for what changes; the whole map comes after it, so that nobody who has a later revision keeps it.
        if !changes.is_empty() {
            match map.changed(Revision(index - 1), &changes) {
                Ok(changed) => map = changed,
                Err(error) => notes.push(format!("the map could not be put right: {error}")),
            }
        }
        match map.changed(Revision(index), &map.as_changes()) {
            Ok(anew) => self.map = Arc::new(anew),
            Err(error) => notes.push(format!("the map could not be given a new revision: {error}")),
        }
        self.log.push(&now, "the cluster was made anew from one node's disk; later changes are lost");
        notes
    }
}
