//! Whoever follows the map, as a snapshot or change by change, from one node or from any, has the same map of the same revision in the end.

use super::Verdict;
use crate::run::Outcome;

pub fn check(outcome: &Outcome) -> Verdict {
    if outcome.stuck.is_some() {
        return Ok(());
    }
    let Some(followed) = outcome.shared.followed() else { return Err("the follower has no map".to_owned()) };
    outcome.shared.history.look(|events| {
        for watched in &events.watched {
            let is_same = watched.map.revision != followed.revision
                || watched.map.as_changes() == followed.as_changes();
            if !is_same {
                return Err(format!(
                    "{} has another map of {:?} than the follower",
                    watched.name, followed.revision
                ));
            }
        }
        Ok(())
    })
}
