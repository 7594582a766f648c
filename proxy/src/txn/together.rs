//! Whether snapshots of several servers show every transaction whole: decided without I/O, by the marks in them.
//!
//! A transaction over several servers commits on each with a mark that names all of them. One that is in one snapshot and not in another of its servers' is seen in
//! part. Not every mark is compared: those with stamps from a window's start on, and those whose branches were prepared just before. Why that is enough: let a transaction be missing in a
//! server's snapshot and not in another's. If its branch there was prepared when the server was asked for its prepared branches, which is before the snapshot, it was listed: it had not been
//! committed yet. Else it was prepared later, and decided later still; and no stamp waits longer for its decision than [`DECIDE_WITHIN`](super::ending), by the clock of the server that
//! decides. So its stamps are above that server's time when it was asked, less so much.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use podway_model::{Gtrid, HybridTime, ServerId, Xid};

use super::ending::DECIDE_WITHIN;

/// How far servers' clocks may be apart.
const CLOCKS_APART: Duration = Duration::from_secs(5);

/// A server with its snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Which server.
    pub server: ServerId,
    /// The branches that were prepared there just before the snapshot was opened.
    pub prepared: Vec<Xid>,
    /// The transactions in the snapshot, as far as they were asked for, and each one's servers.
    pub seen: BTreeMap<Gtrid, Vec<ServerId>>,
}

/// What is missing where: not in that server's snapshot, though it is in another's or may be.
pub type Missing = BTreeMap<ServerId, BTreeSet<Gtrid>>;

/// From which stamp on marks are to be compared, by the clocks of the servers (since 1970) before they were asked what is prepared.
pub fn window(clocks: impl IntoIterator<Item = Duration>) -> HybridTime {
    let earliest = clocks.into_iter().min().unwrap_or_default();
    HybridTime::at(earliest.saturating_sub(DECIDE_WITHIN + CLOCKS_APART))
}

/// The transactions that the snapshots show in part, or may; none: they are of one moment.
pub fn missing(opened: &[Opened]) -> Missing {
    let mut missing = Missing::new();
    let all: BTreeMap<Gtrid, &Vec<ServerId>> =
        opened.iter().flat_map(|one| one.seen.iter().map(|(gtrid, parts)| (*gtrid, parts))).collect();
    for one in opened {
        let mut lacks = |gtrid: Gtrid| {
            missing.entry(one.server).or_default().insert(gtrid);
        };
        for (gtrid, parts) in &all {
            if parts.contains(&one.server) && !one.seen.contains_key(gtrid) {
                lacks(*gtrid);
            }
        }
        // What was decided on a server that is not looked at: another one's snapshot may show it, of rows that have moved since.
        let is_elsewhere = |xid: &&Xid| !opened.iter().any(|other| other.server == xid.branch.primary);
        for xid in one.prepared.iter().filter(is_elsewhere) {
            if !one.seen.contains_key(&xid.gtrid) {
                lacks(xid.gtrid);
            }
        }
    }
    missing
}

/// The marks that `_podway.seen` gives: a JSON array of `id parts`; what is no transaction's id, such as a floor's, is left out.
pub fn read_marks(text: &str) -> BTreeMap<Gtrid, Vec<ServerId>> {
    let mark = |text: &str| {
        let (id, parts) = text.split_once(' ')?;
        let gtrid = Gtrid::parse(id)?;
        let parts = parts.split(',').filter_map(|part| part.parse().ok().map(ServerId)).collect();
        Some((gtrid, parts))
    };
    // Ids and numbers hold no quotes: what is between two of them is a mark, or what stands between marks.
    text.split('"').filter_map(mark).collect()
}

/// Ids as a JSON array.
pub fn names<'a>(gtrids: impl IntoIterator<Item = &'a Gtrid>) -> String {
    let quoted: Vec<String> = gtrids.into_iter().map(|gtrid| format!("\"{gtrid}\"")).collect();
    format!("[{}]", quoted.join(","))
}

#[cfg(test)]
mod tests;
