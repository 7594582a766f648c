//! SELECTs of `information_schema` in clusters where some keyspace has several shards: whose rows each table stands for, so that the answer is what one MySQL with
//! all databases would say. Where one shard's word is the whole answer, [`super::super::catalog`] says so when the values are known; there it is also said whom to
//! ask.

use podway_model::Name;

use super::parts::parts;
use super::{Gather, Part, Rows, words};
use crate::plan::bind::{Binding, Bound};
use crate::plan::catalog_tables::{CatalogTable, INFORMATION_SCHEMA, find};
use crate::plan::conjuncts::conjuncts;
use crate::plan::pins::Known;
use crate::plan::sketch::parts::{Role, Run, SourceId, SourceKind};
use crate::plan::target::KeySource;
use crate::{Effects, Recognised, SqlMode, Verb};

/// The rows of a table of `information_schema`.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogRows {
    /// What it tells of databases; none: it is about the server, and the home shard's word is taken.
    pub table: Option<&'static CatalogTable>,
    /// The databases that it is asked about; `None`: all.
    pub schemas: Option<Vec<SchemaSource>>,
    /// Whether the statement has to do with numbers that are one shard's own.
    pub numbers: bool,
}

/// Where a database's name comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SchemaSource {
    /// DATABASE(): the current one.
    Current,
    /// A literal or a parameter.
    Value(KeySource),
}

/// How the rows of a statement on `information_schema` are gathered; none where it is none, or does more than read: then the home shard's word is taken.
pub(in crate::plan) fn catalog(
    binding: &Binding<'_>,
    recognised: &Recognised,
    keyspace: Name,
) -> Option<Gather> {
    if !is_read(binding, recognised) {
        return None;
    }
    let known = Known::of(binding);
    let (mut parts, edits) = parts(binding, &|id| Some(rows(binding, &known, id)), &|_| false).ok()?;
    let is_about_databases = |part: &Part| matches!(&part.rows, Rows::Catalog(rows) if rows.table.is_some());
    if !parts.iter().any(is_about_databases) {
        return None;
    }
    let columns = words::mentioned(binding.t).map(|names| with_needed(names, &mut parts));
    if columns.is_none() {
        parts.iter_mut().for_each(|part| note_numbers(part, |_| true));
    }
    Some(Gather {
        keyspace,
        parts,
        columns,
        merge: None,
        unmerged: Some("what information_schema says is put together of what the shards say".into()),
        fold: None,
        groups: words::groups(binding.t),
        edits,
    })
}

/// Whether it reads `information_schema` and nothing else.
fn is_read(binding: &Binding<'_>, recognised: &Recognised) -> bool {
    let more = Effects::LOCKS_ROWS
        | Effects::ASSIGNS_USER_VARIABLES
        | Effects::SELECTS_INTO
        | Effects::SERVER_FILES
        | Effects::SET_VAR_HINT
        | Effects::USER_LOCKS
        | Effects::SETS_LAST_INSERT_ID
        | Effects::WRITES
        | Effects::PINS
        | Effects::MANY_RESULTS;
    let t = binding.t;
    let is_plain = matches!(recognised.verb, Verb::Select | Verb::Table)
        && !recognised.effects.intersects(more)
        && !binding.sketch.needs_home
        && !(0..t.len()).any(|at| t.is(at, "MATCH") && t.is(at + 1, "("));
    let is_own = |(id, bound): (SourceId, &Bound)| match binding.sketch.sources[id].kind {
        SourceKind::Derived => true,
        SourceKind::Table { .. } => {
            let schema = bound.database.as_ref().map_or("", Name::as_str);
            schema.eq_ignore_ascii_case(INFORMATION_SCHEMA) && binding.sketch.sources[id].role == Role::Read
        }
    };
    is_plain && binding.sources.iter().enumerate().all(is_own)
}

/// The names, with the columns that putting rows together takes; notes whose numbers are wanted.
fn with_needed(mut names: Vec<Name>, parts: &mut [Part]) -> Vec<Name> {
    let mentioned = names.clone();
    for part in parts {
        note_numbers(part, |name| mentioned.contains(&Name::caseless(name)));
        let Rows::Catalog(rows) = &part.rows else { continue };
        let Some(table) = rows.table else { continue };
        let mut needed: Vec<&str> =
            table.schemas.iter().take(1).chain(table.paths.iter().take(1)).copied().collect();
        if rows.numbers {
            needed.extend(table.table);
            needed.extend(table.numbers.key);
            needed.extend(table.numbers.columns());
        }
        for name in needed.into_iter().map(Name::caseless) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn note_numbers(part: &mut Part, is_named: impl Fn(&str) -> bool) {
    if let Rows::Catalog(rows) = &mut part.rows
        && let Some(table) = rows.table
    {
        rows.numbers = table.numbers.columns().any(is_named);
    }
}

/// The rows that a source of `information_schema` stands for.
fn rows(binding: &Binding<'_>, known: &Known, id: SourceId) -> Rows {
    let table = find(&binding.sources[id].table);
    let schemas = table.and_then(|table| schemas_of(binding, known, id, table.owners));
    Rows::Catalog(CatalogRows { table, schemas, numbers: false })
}

/// The databases that every row of the source with a part in the result is about, as conditions say.
fn schemas_of(
    binding: &Binding<'_>,
    known: &Known,
    id: SourceId,
    owners: usize,
) -> Option<Vec<SchemaSource>> {
    let owners = || (0..owners).map(move |position| (id, position));
    if let Some(values) = owners().find_map(|site| known.values(site)) {
        return Some(values.iter().copied().map(SchemaSource::Value).collect());
    }
    let current = current_sites(binding);
    let is_current = |site| current.iter().any(|&from| known.reaches(from, site));
    owners().any(is_current).then(|| vec![SchemaSource::Current])
}

/// The columns that conditions hold equal to DATABASE().
fn current_sites(binding: &Binding<'_>) -> Vec<(SourceId, usize)> {
    let t = binding.t;
    let pipes_concat = binding.ctx.sql_mode.contains(SqlMode::PIPES_AS_CONCAT);
    let mut sites = Vec::new();
    for (block, parts) in binding.sketch.blocks.iter().enumerate() {
        for filter in &parts.filters {
            for run in conjuncts(t, filter.run, pipes_concat) {
                let Some(column) = compared_with_current(binding, run) else { continue };
                let Some(site) = binding.column(column, block, filter.scope.as_deref()) else { continue };
                let reaches = match &filter.reach {
                    Some(reach) => reach.contains(&site.0),
                    None => binding.sketch.sources[site.0].block == block,
                };
                if reaches {
                    sites.push(site);
                }
            }
        }
    }
    sites
}

/// The column in `column = DATABASE()`, either way round, token for token.
fn compared_with_current(binding: &Binding<'_>, run: Run) -> Option<Run> {
    let t = binding.t;
    let is_call =
        |at: usize| matches!(t.text(at), "DATABASE" | "SCHEMA") && t.is(at + 1, "(") && t.is(at + 2, ")");
    let length = run.end.checked_sub(run.first)?;
    let operator = (run.first..run.end).find(|&at| t.is(at, "="))?;
    if length < 5 {
        return None;
    }
    let column = match (is_call(run.first), is_call(run.end - 3)) {
        (true, false) if operator == run.first + 3 => Run { first: operator + 1, end: run.end },
        (false, true) if operator + 4 == run.end => Run { first: run.first, end: operator },
        _ => return None,
    };
    // Only a chain of names is a column; what else it could be binds to none.
    Some(column)
}

impl Gather {
    /// Whether it is about `information_schema`.
    pub fn is_catalog(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.rows, Rows::Catalog(_)))
    }

    /// Whether parameters say which databases it is about.
    pub(in crate::plan) fn has_schema_params(&self) -> bool {
        let is_param = |source: &SchemaSource| matches!(source, SchemaSource::Value(KeySource::Param(_)));
        self.parts.iter().any(|part| match &part.rows {
            Rows::Catalog(rows) => rows.schemas.iter().flatten().any(is_param),
            _ => false,
        })
    }
}
