//! What becomes of one statement where its tables lie so: what this version of Podway does with it, by the router's own word, and which way it
//! is to go that is refused today. Read next: [`super::candidates`].
//!
//! The ways are tried in this order: one shard answers it whole; each shard answers its part and the parts are merged; the parts are
//! finished in MySQL. Tables whose keys the statement makes equal lie together, so a join of theirs is each shard's own.

use super::ground::{Case, Tried};
use super::question::Lies;
use crate::{RouterError, Site, Usage, UsedAs, Verb};

/// Which way a statement goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The session's own (BEGIN, SET, SHOW …), a definition, the administration of a server, or without tables: no part of the shares.
    Aside,
    /// One shard, which the sharding key says.
    OneShard,
    /// Any one shard: each has a copy.
    AnyShard,
    /// The home shard.
    Home,
    /// Every shard answers its part, and the parts are merged.
    Merged,
    /// Every shard gives its rows, and MySQL finishes them. What keeps them from being merged.
    Finished(String),
    /// Rows on several shards change in one atomic transaction: two-phase commit. Why.
    SeveralWrites(String),
    /// No way is foreseen for it.
    Refused(String),
}

/// What becomes of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Which way it goes.
    pub way: Way,
    /// What this version of Podway answers where it does not serve that way yet.
    pub refused_today: Option<RouterError>,
}

impl Way {
    /// Whether one shard does it all.
    pub fn is_one_shard(&self) -> bool {
        matches!(self, Way::OneShard | Way::AnyShard | Way::Home)
    }
}

/// What becomes of a case that was tried with its tables lying so (`lies` by the question's table).
pub(super) fn served(case: &Case<'_>, tried: Tried, lies: &dyn Fn(usize) -> Lies) -> Served {
    let refused = match tried {
        Tried::Nowhere => return Served { way: Way::Aside, refused_today: None },
        Tried::Refused(error) => error,
        _ if !is_of_rows(case.verb) || case.tables.is_empty() => {
            return Served { way: Way::Aside, refused_today: None };
        }
        Tried::ByKey(_) => return Served { way: Way::OneShard, refused_today: None },
        Tried::Anywhere => return Served { way: Way::AnyShard, refused_today: None },
        Tried::Home => return Served { way: Way::Home, refused_today: None },
        Tried::Scattered => {
            let way = match &case.usage {
                _ if case.verb == Verb::Load => Way::SeveralWrites(loaded(case, lies)),
                Some(usage) => write(case, usage, lies),
                None => Way::SeveralWrites(SOMEWHERE.to_owned()),
            };
            return Served { way, refused_today: None };
        }
        Tried::Gathered { merged } => {
            let computed = || Way::Finished("what is computed over rows of several shards".to_owned());
            let way = match (merged, &case.usage) {
                (true, _) => Way::Merged,
                (false, Some(usage)) => match read(case, usage, lies, "") {
                    Way::Merged => computed(),
                    way => way,
                },
                (false, None) => computed(),
            };
            return Served { way, refused_today: None };
        }
    };
    let way = match (case.verb, &case.usage) {
        (verb, _) if !is_of_rows(verb) && !RUNS_STATEMENTS.contains(&verb) => Way::Aside,
        (Verb::Load, Some(_)) => Way::SeveralWrites(loaded(case, lies)),
        (verb, Some(usage)) if is_of_rows(verb) && refused.errno == 1235 => match verb {
            Verb::Insert | Verb::Replace | Verb::Update | Verb::Delete => write(case, usage, lies),
            _ => read(case, usage, lies, &refused.message),
        },
        _ => Way::Refused(refused.message.clone()),
    };
    Served { way, refused_today: Some(refused) }
}

/// Why an INSERT is written on several shards if its rows are listed: each goes where its own key leads.
pub(super) const ROWS_OF_SEVERAL_KEYS: &str = "rows of several keys";

/// Why an UPDATE or DELETE of sharded tables is written on several shards.
const SOMEWHERE: &str = "nothing says which shard has the rows";

/// Statements that hide others.
const RUNS_STATEMENTS: [Verb; 4] = [Verb::Call, Verb::Prepare, Verb::Execute, Verb::Xa];

/// Whether statements of this kind read or change rows: others are aside.
pub(super) fn is_of_rows(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Select
            | Verb::Values
            | Verb::Table
            | Verb::Insert
            | Verb::Replace
            | Verb::Update
            | Verb::Delete
            | Verb::Load
            | Verb::Do
    )
}

fn write(case: &Case<'_>, usage: &Usage, lies: &dyn Fn(usize) -> Lies) -> Way {
    match case.verb {
        Verb::Insert | Verb::Replace => insert(case, usage, lies),
        _ => Way::SeveralWrites(changes(case, usage, lies)),
    }
}

fn insert(case: &Case<'_>, usage: &Usage, lies: &dyn Fn(usize) -> Lies) -> Way {
    let target = usage.sources.iter().position(|source| source.used_as == UsedAs::Inserted);
    let target = target.and_then(|source| case.sources[source]).map(lies);
    match (target, usage.listed_rows) {
        (Some(Lies::Reference), _) => Way::SeveralWrites("every copy of a reference table".to_owned()),
        (_, None) => Way::SeveralWrites("rows out of a query".to_owned()),
        (Some(Lies::Sharded(key)), Some(_)) if sets(case, usage, &key) => {
            Way::SeveralWrites("the sharding key changes: the row moves".to_owned())
        }
        // The key is not in the statement: a number of the cluster's own, or a value that MySQL computes first.
        (_, Some(0 | 1)) => Way::OneShard,
        (_, Some(_)) => Way::SeveralWrites(ROWS_OF_SEVERAL_KEYS.to_owned()),
    }
}

/// Why a file's records are written on several shards.
fn loaded(case: &Case<'_>, lies: &dyn Fn(usize) -> Lies) -> String {
    let is_copied = case.tables.iter().any(|&table| lies(table) == Lies::Reference);
    if is_copied { "every copy of a reference table" } else { ROWS_OF_SEVERAL_KEYS }.to_owned()
}

fn sets(case: &Case<'_>, usage: &Usage, key: &[usize]) -> bool {
    usage.assigned.iter().any(|site| {
        usage.sources[site.source].used_as == UsedAs::Inserted
            && case.sources[site.source].is_some()
            && key.contains(&site.column)
    })
}

fn changes(case: &Case<'_>, usage: &Usage, lies: &dyn Fn(usize) -> Lies) -> String {
    let lies_of = |site: &Site| case.sources[site.source].map(lies);
    let moves = usage.assigned.iter().any(|site| match lies_of(site) {
        Some(Lies::Sharded(key)) => key.contains(&site.column),
        _ => false,
    });
    let writes_copies =
        usage.sources.iter().zip(&case.sources).any(|(source, table)| {
            source.used_as == UsedAs::Changed && table.map(lies) == Some(Lies::Reference)
        });
    if moves {
        "the sharding key changes: the row moves".to_owned()
    } else if writes_copies {
        "every copy of a reference table".to_owned()
    } else {
        SOMEWHERE.to_owned()
    }
}

fn read(case: &Case<'_>, usage: &Usage, lies: &dyn Fn(usize) -> Lies, refused: &str) -> Way {
    let is_unserved = |what: &str| refused.contains(what);
    if ["stored function", "INTO OUTFILE", "SET_VAR"].into_iter().any(is_unserved) {
        return Way::Refused(refused.to_owned());
    }
    if is_unserved("the view") {
        return Way::Finished("a view".to_owned());
    }
    if is_unserved("locking read") {
        return Way::SeveralWrites("locks every copy of a reference table".to_owned());
    }
    let mut sharded: Vec<(usize, Vec<usize>)> = Vec::new();
    let mut is_at_home = false;
    for (source, table) in case.sources.iter().enumerate() {
        match table.map(lies) {
            Some(Lies::Sharded(key)) => sharded.push((source, key)),
            Some(Lies::Home) => is_at_home = true,
            Some(Lies::Reference) | None => {}
        }
    }
    if is_at_home {
        return Way::Finished("tables of the home shard with rows of others".to_owned());
    }
    if !lie_together(usage, &sharded) {
        return Way::Finished("tables that are not joined on their sharding keys".to_owned());
    }
    if let Some(what) = usage.unmergeable {
        return Way::Finished(what.to_owned());
    }
    if !sharded.iter().any(|(source, _)| usage.sources[*source].is_outermost) {
        return Way::Finished("a subquery over rows of several shards".to_owned());
    }
    Way::Merged
}

/// Whether rows that meet in the statement have equal keys, table by table.
fn lie_together(usage: &Usage, sharded: &[(usize, Vec<usize>)]) -> bool {
    let mut sites: Vec<Site> = usage.equal.iter().flat_map(|(left, right)| [*left, *right]).collect();
    sites.sort_unstable();
    sites.dedup();
    let mut group: Vec<usize> = (0..sites.len()).collect();
    let place = |site: &Site| sites.binary_search(site).ok();
    loop {
        let mut changed = false;
        for (left, right) in &usage.equal {
            let (Some(left), Some(right)) = (place(left), place(right)) else { continue };
            let lowest = group[left].min(group[right]);
            changed |= group[left] != lowest || group[right] != lowest;
            (group[left], group[right]) = (lowest, lowest);
        }
        if !changed {
            break;
        }
    }
    let group_of = |source: usize, column: usize| place(&Site { source, column }).map(|at| group[at]);
    sharded.windows(2).all(|pair| {
        let [(left, left_key), (right, right_key)] = pair else { return true };
        left_key.len() == right_key.len()
            && left_key.iter().zip(right_key).all(
                |(&l, &r)| matches!((group_of(*left, l), group_of(*right, r)), (Some(l), Some(r)) if l == r),
            )
    })
}
