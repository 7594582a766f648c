//! A SELECT over several shards: which rows each shard gives, how rows are merged, and what MySQL itself computes over them. Data, and the order in which it
//! is found out; never reads a value.
//!
//! There are two ways, and [`gather`] notes each that a statement allows:
//! * **merge**: every shard answers the statement itself, and the proxy puts the rows together ([`merge`]);
//! * **finish**: every table's rows are read, narrowed to what the statement can need ([`parts`]), and the statement is computed by MySQL over them
//!   ([`super::gathered`] writes it). No semantics but MySQL's own are involved.
//!
//! Reading order: this file, [`words`], [`parts`], [`merge`], [`fold`] (aggregates: parts that the shards have computed), [`why`] (what keeps rows from being merged), [`locks`] (FOR UPDATE and its kin), [`catalog`] (`information_schema`); then [`super::gathered`].

mod catalog;
mod fold;
mod locks;
mod merge;
mod parts;
mod why;
mod words;

use podway_model::Name;

use super::bind::{Binding, Place};
use super::pins::Known;
use super::sketch::parts::{Role, SourceId, SourceKind};
use super::target::KeyPin;
use crate::{ClientCharset, Effects, Recognised, RouterError, TemplateSpan, Verb};

pub(super) use catalog::catalog;
pub(super) use merge::{Root, find, lies_with, order};
pub(super) use parts::span;
pub(super) use words::{is_deterministic, is_operator_word, names};

pub use catalog::{CatalogRows, SchemaSource};
pub use fold::{Fold, FoldColumn, Made};
pub use locks::{Locked, RowLock};
pub use merge::{Compared, Merge, OrderKey, RowLimit, Wanted};

/// A SELECT over several shards.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// Whose shards they are.
    pub keyspace: Name,
    /// What is read for the statement to be finished in MySQL: one part per table that it names, each time that it does.
    pub parts: Vec<Part>,
    /// Which columns of the parts' tables the statement can have to do with; `None`: all.
    pub columns: Option<Vec<Name>>,
    /// How the shards' own answers are put together, where that is enough.
    pub merge: Option<Merge>,
    /// What the shards compute of it themselves, where MySQL has to put together no more than their aggregates.
    pub fold: Option<Fold>,
    /// Why the shards' own answers are not enough, where they are not.
    pub(super) unmerged: Option<Box<str>>,
    /// Whether MySQL may find that columns outside GROUP BY depend on keys that the parts do not have.
    pub groups: bool,
    /// What changes in the text that is finished, in order.
    pub(super) edits: Vec<Edit>,
}

/// The rows of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its name, as the statement spells it.
    pub table: Box<str>,
    /// What the statement calls it.
    pub alias: Box<str>,
    /// Where its rows are.
    pub rows: Rows,
    /// `PARTITION (…)`.
    pub partition: Option<TemplateSpan>,
    /// How its rows are locked, if they are: until the transaction ends.
    pub lock: Option<RowLock>,
    /// Conditions that a row must meet to have a part in the result: each holds for no other table's columns.
    pub filters: Vec<PartFilter>,
}

/// A condition on one table's rows.
#[derive(Clone, Debug, PartialEq)]
pub struct PartFilter {
    /// Its text.
    pub(super) span: TemplateSpan,
    /// The parameters in it: their numbers, and where they stand.
    pub(super) params: Vec<(u32, TemplateSpan)>,
    /// Which values of parameters mean the same as literals; `None`: none, for MySQL compares a parameter otherwise than a literal with some types.
    pub(super) takes: Option<Takes>,
}

/// What a parameter's value may be for a literal to mean the same in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// An integer, compared with numbers.
    Integers,
    /// Text, compared with text.
    Text,
}

/// Where a table's rows are.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// On the home shard.
    Home,
    /// All of them on every shard.
    Copy,
    /// On the shards that these keys lead to; on all where there are none.
    Shards(Vec<KeyPin>),
    /// Where those are of whom a table of `information_schema` tells.
    Catalog(CatalogRows),
}

/// A change of the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edit {
    pub(super) span: TemplateSpan,
    pub(super) kind: EditKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum EditKind {
    /// A part's rows stand in the place of its table.
    Rows { part: usize, wants_alias: bool, wants_select: bool },
    /// Nothing stands there.
    Nothing,
}

/// What keeps a statement from being gathered at all.
const HINDRANCES: [(Effects, &str); 8] = [
    (Effects::ASSIGNS_USER_VARIABLES, "assigning user variables over several shards"),
    (Effects::SELECTS_INTO, "SELECT … INTO over several shards"),
    (Effects::SERVER_FILES, "files of a server over several shards"),
    (Effects::SET_VAR_HINT, "the hint SET_VAR over several shards"),
    (Effects::USER_LOCKS, "user locks over several shards"),
    (Effects::SETS_LAST_INSERT_ID, "LAST_INSERT_ID with an argument over several shards"),
    (Effects::READS_SYSTEM_SCHEMA, "system tables together with those of several shards"),
    (Effects::WRITES.union(Effects::PINS).union(Effects::MANY_RESULTS), "this statement over several shards"),
];

/// How a statement's rows are gathered; an error names what stands in the way.
pub(super) fn gather(binding: &Binding<'_>, recognised: &Recognised) -> Result<Gather, RouterError> {
    check(binding, recognised)?;
    locks::check(binding, recognised)?;
    let keyspace = binding.sources.iter().find_map(|bound| bound.keyspace.as_ref());
    let Some(keyspace) = keyspace.map(|keyspace| keyspace.name.clone()) else {
        return Err(RouterError::unsupported("a statement without tables over several shards"));
    };
    let known = Known::of(binding);
    let (parts, edits) = parts::parts(binding, &|id| parts::rows(binding, &known, id), &|_| false)?;
    // What is folded has been computed over rows that nobody locked.
    let may_fold = binding.sketch.locks.is_empty();
    let root = Root::of(binding, &known);
    let merge = root.as_ref().and_then(|root| merge::merge(binding, recognised, root));
    let unmerged = merge.is_none().then(|| why::unmerged(binding, recognised, root.as_ref()).into());
    Ok(Gather {
        keyspace,
        parts,
        columns: words::mentioned(binding.t),
        merge,
        unmerged,
        fold: root.as_ref().filter(|_| may_fold).and_then(|root| fold::fold(binding, recognised, root)),
        groups: words::groups(binding.t),
        edits,
    })
}

/// What is read for a change of tables that stay in their places: all rows of the others.
pub(super) fn fed(
    binding: &Binding<'_>,
    known: &Known,
    stays: &dyn Fn(SourceId) -> bool,
) -> Result<Gather, RouterError> {
    let keyspace = binding.sources.iter().find_map(|bound| bound.keyspace.as_ref());
    let Some(keyspace) = keyspace.map(|keyspace| keyspace.name.clone()) else {
        return Err(RouterError::unsupported("a statement without tables over several shards"));
    };
    let (mut parts, edits) = parts::parts(binding, &|id| parts::rows(binding, known, id), stays)?;
    parts.iter_mut().for_each(|part| part.lock = Some(RowLock::SHARED));
    Ok(Gather {
        keyspace,
        parts,
        columns: words::mentioned(binding.t),
        merge: None,
        unmerged: None,
        fold: None,
        groups: words::groups(binding.t),
        edits,
    })
}

fn check(binding: &Binding<'_>, recognised: &Recognised) -> Result<(), RouterError> {
    if !matches!(recognised.verb, Verb::Select | Verb::Table) {
        return Err(RouterError::unsupported("a statement that needs several shards and is no SELECT"));
    }
    if let Some((_, what)) = HINDRANCES.iter().find(|(effects, _)| recognised.effects.intersects(*effects)) {
        return Err(RouterError::unsupported(what));
    }
    if binding.sketch.needs_home {
        return Err(RouterError::unsupported("a function of one server over several shards"));
    }
    let t = binding.t;
    if (0..t.len()).any(|at| t.is(at, "MATCH") && t.is(at + 1, "(")) {
        return Err(RouterError::unsupported("full-text search over several shards"));
    }
    // Rows that are carried have no defaults.
    if (0..t.len()).any(|at| t.is(at, "DEFAULT") && t.is(at + 1, "(")) {
        return Err(RouterError::unsupported("DEFAULT of a column over several shards"));
    }
    for (id, bound) in binding.sources.iter().enumerate() {
        let source = &binding.sketch.sources[id];
        if source.role != Role::Read {
            return Err(RouterError::unsupported("a statement that needs several shards and is no SELECT"));
        }
        if !matches!(source.kind, SourceKind::Table { .. }) {
            continue;
        }
        match bound.place {
            Place::Sharded(_) | Place::Reference(_) | Place::Home(_) => {}
            Place::Derived => continue,
            Place::View | Place::System(_) | Place::Foreign => {
                let what = format_args!("{} together with tables of several shards", bound.table);
                return Err(RouterError::unsupported(what));
            }
        }
        let is_temporary = binding.ctx.temporary_tables.iter().any(|name| name.as_str() == bound.table);
        if is_temporary {
            return Err(RouterError::unsupported("a temporary table together with tables of several shards"));
        }
        if !bound.table.is_ascii() && binding.ctx.charset != ClientCharset::Utf8 {
            return Err(RouterError::unsupported("names outside ASCII in this character set"));
        }
    }
    Ok(())
}

impl Gather {
    /// Whether rows that are read stay locked until the transaction ends.
    pub fn locks(&self) -> bool {
        self.parts.iter().any(|part| part.lock.is_some())
    }

    /// Whether there is no table of which the transaction's snapshot is read.
    pub fn locks_all(&self) -> bool {
        self.parts.iter().all(|part| part.lock.is_some())
    }

    /// About how many bytes it holds.
    pub(super) fn memory(&self) -> usize {
        let part = |part: &Part| {
            size_of::<Part>()
                + part.table.len()
                + part.alias.len()
                + part.filters.capacity() * size_of::<PartFilter>()
        };
        let columns = self.columns.as_ref().map_or(0, |names| names.capacity() * 2 * size_of::<Name>());
        size_of::<Gather>()
            + self.parts.iter().map(part).sum::<usize>()
            + columns
            + self.unmerged.as_ref().map_or(0, |reason| reason.len())
            + self.edits.capacity() * size_of::<Edit>()
    }
}
