//! Which rows of each table a statement can need, and what stands in the tables' places when it is finished.

use podway_model::ColumnType;

use super::{Edit, EditKind, Part, locks, PartFilter, Rows, Takes, words};
use crate::plan::bind::{Binding, Database, Place, database};
use crate::plan::conjuncts::conjuncts;
use crate::plan::pins::{self, Known};
use crate::plan::sketch::parts::{BlockId, Run, Source, SourceId, SourceKind};
use crate::plan::tokens::{Class, Tokens};
use crate::{RouterError, SqlMode, TemplateSpan};

/// How many parts a statement may have: MySQL joins no more tables in one query, and each is a statement per shard.
const MAX_PARTS: usize = 61;

/// The parts of all tables but those that stay where they are, with what changes in the text; `rows` says where a source's rows are.
pub(super) fn parts(
    binding: &Binding<'_>,
    rows: &dyn Fn(SourceId) -> Option<Rows>,
    stays: &dyn Fn(SourceId) -> bool,
) -> Result<(Vec<Part>, Vec<Edit>), RouterError> {
    let (mut parts, mut edits) = (Vec::new(), Vec::new());
    for (id, source) in binding.sketch.sources.iter().enumerate() {
        let SourceKind::Table { database, name } = source.kind else { continue };
        if stays(id) {
            continue;
        }
        let Some(rows) = rows(id) else { continue };
        let reference = Reference::read(binding.t, database, name, source.alias);
        let alias_at = source.alias.unwrap_or(name);
        let alias = binding.t.name(alias_at).ok_or_else(crate::plan::bind::unreadable)?;
        edits.push(Edit {
            span: reference.span(binding.t),
            kind: EditKind::Rows {
                part: parts.len(),
                wants_alias: alias_at == name,
                wants_select: reference.is_whole_query,
            },
        });
        if let Some(hints) = reference.hints {
            edits.push(Edit { span: span(binding.t, hints), kind: EditKind::Nothing });
        }
        parts.push(Part {
            table: binding.sources[id].table.as_str().into(),
            alias: alias.into_owned().into(),
            rows,
            partition: reference.partition.map(|run| span(binding.t, run)),
            lock: locks::of_source(binding, id),
            filters: filters(binding, id),
        });
    }
    if parts.len() > MAX_PARTS {
        return Err(RouterError::unsupported(format_args!(
            "more than {MAX_PARTS} tables over several shards"
        )));
    }
    // What stands in the tables' places cannot be locked.
    let clauses = binding.sketch.locks.iter();
    edits.extend(clauses.map(|clause| Edit { span: span(binding.t, clause.run), kind: EditKind::Nothing }));
    unqualify(binding, stays, &mut edits)?;
    edits.sort_by_key(|edit| edit.span.start);
    Ok((parts, edits))
}

/// Where the rows of a source of a keyspace are.
pub(super) fn rows(binding: &Binding<'_>, known: &Known, id: SourceId) -> Option<Rows> {
    match binding.sources[id].place {
        Place::Sharded(_) => Some(Rows::Shards(pins::pins_of(binding, known, id).unwrap_or_default())),
        Place::Reference(_) => Some(Rows::Copy),
        Place::Home(_) => Some(Rows::Home),
        Place::Derived | Place::View | Place::System(_) | Place::Foreign => None,
    }
}

pub(in crate::plan) fn span(t: &Tokens<'_>, run: Run) -> TemplateSpan {
    TemplateSpan { start: t.start(run.first) as u32, end: t.end(run.end.max(run.first + 1) - 1) as u32 }
}

/// A table's place in FROM.
struct Reference {
    /// The name, with its database and the word TABLE where that stands for a whole query.
    name: Run,
    partition: Option<Run>,
    hints: Option<Run>,
    is_whole_query: bool,
}

impl Reference {
    fn read(t: &Tokens<'_>, database: Option<usize>, name: usize, alias: Option<usize>) -> Reference {
        let named = database.unwrap_or(name);
        let is_whole_query = named > 0 && t.is(named - 1, "TABLE");
        let first = if is_whole_query { named - 1 } else { named };
        let mut end = name + 1;
        let mut partition = None;
        if t.is(end, "PARTITION") && t.is(end + 1, "(") {
            let close = t.mate(end + 1) + 1;
            partition = Some(Run { first: end, end: close });
            end = close;
        }
        let behind = alias.filter(|&alias| alias != name).map_or(end, |alias| alias + 1);
        let mut hints_end = behind;
        while matches!(t.text(hints_end), "USE" | "FORCE" | "IGNORE")
            && matches!(t.text(hints_end + 1), "INDEX" | "KEY")
        {
            let open = (hints_end..t.len()).find(|&at| t.is(at, "("));
            let Some(open) = open else { break };
            hints_end = t.mate(open) + 1;
        }
        let hints = (hints_end > behind).then_some(Run { first: behind, end: hints_end });
        Reference { name: Run { first, end: name + 1 }, partition, hints, is_whole_query }
    }

    fn span(&self, t: &Tokens<'_>) -> TemplateSpan {
        let end = self.partition.map_or(self.name.end, |partition| partition.end);
        span(t, Run { first: self.name.first, end })
    }
}

/// Databases before columns' names go: what stands in the tables' places is in none.
fn unqualify(
    binding: &Binding<'_>,
    stays: &dyn Fn(SourceId) -> bool,
    edits: &mut Vec<Edit>,
) -> Result<(), RouterError> {
    let t = binding.t;
    let all: Vec<SourceId> = (0..binding.sources.len()).collect();
    let stays_there = |at: usize| {
        let is_its = |(id, source): (usize, &Source)| {
            matches!(source.kind, SourceKind::Table { database: Some(named), .. } if named == at) && stays(id)
        };
        binding.sketch.sources.iter().enumerate().any(is_its)
    };
    for &at in &binding.sketch.qualifiers {
        if stays_there(at) {
            continue;
        }
        let spelled = t.name(at).ok_or_else(crate::plan::bind::unreadable)?;
        let is_known = match database(binding.ctx, &spelled)? {
            Database::Keyspace(_) => true,
            Database::System => binding.sources.iter().any(|bound| matches!(bound.place, Place::System(_))),
            Database::Foreign(_) => false,
        };
        if !is_known {
            return Err(RouterError::unknown_database(&spelled));
        }
        let start = t.start(at) as u32;
        if edits.iter().any(|edit| edit.span.start <= start && start < edit.span.end) {
            continue;
        }
        let mut named = binding.named(at + 2, &all).into_iter().map(stays);
        if let Some(stays) = named.next() {
            if named.any(|other| other != stays) {
                return Err(RouterError::unsupported(format_args!(
                    "the database {spelled} before the name of two tables in a write to several shards"
                )));
            }
            if stays {
                continue;
            }
        }
        let dotted = Run { first: at, end: at + 2 };
        edits.push(Edit { span: span(t, dotted), kind: EditKind::Nothing });
    }
    Ok(())
}

/// The conditions that every row of this source meets when it has a part in its block's result, and that are about it alone. A source that an outer join may
/// replace by NULLs is left as it is: a condition on it need not hold for its rows.
fn filters(binding: &Binding<'_>, id: SourceId) -> Vec<PartFilter> {
    let source = &binding.sketch.sources[id];
    if source.nullable || binding.sources[id].columns().is_none() {
        return Vec::new();
    }
    let pipes_concat = binding.ctx.sql_mode.contains(SqlMode::PIPES_AS_CONCAT);
    let mut found = Vec::new();
    for filter in &binding.sketch.blocks[source.block].filters {
        let reaches = filter.reach.as_ref().is_none_or(|reach| reach.contains(&id));
        if !reaches {
            continue;
        }
        let scope = filter.scope.as_deref();
        for conjunct in conjuncts(binding.t, filter.run, pipes_concat) {
            if is_about(binding, conjunct, (source.block, scope), id) {
                found.push(filter_of(binding, conjunct, (source.block, scope)));
            }
        }
    }
    found
}

fn filter_of(binding: &Binding<'_>, run: Run, (block, scope): (BlockId, Option<&[SourceId]>)) -> PartFilter {
    let t = binding.t;
    let param = |at: usize| match t.class(at) {
        Class::Param(number) => Some((number, span(t, Run { first: at, end: at + 1 }))),
        _ => None,
    };
    let params = (run.first..run.end).filter_map(param).collect();
    let column = |name: &Run| {
        let (source, position) = binding.column(*name, block, scope)?;
        binding.sources[source].columns()?.get(position)
    };
    let mut takes = words::names(t, run)
        .iter()
        .map(|name| match column(name)?.column_type {
            ColumnType::Integer { .. } | ColumnType::Decimal { .. } => Some(Takes::Integers),
            ColumnType::Char(_) | ColumnType::Varchar(_) | ColumnType::Text(_) => Some(Takes::Text),
            _ => None,
        })
        .collect::<Vec<Option<Takes>>>()
        .into_iter();
    let first = takes.next().flatten();
    let takes = first.filter(|_| takes.all(|takes| takes == first));
    PartFilter { span: span(t, run), params, takes }
}

/// Whether a condition can be checked on this source's rows alone.
fn is_about(
    binding: &Binding<'_>,
    run: Run,
    (block, scope): (BlockId, Option<&[SourceId]>),
    id: SourceId,
) -> bool {
    let t = binding.t;
    let has_query =
        (run.first..run.end).any(|at| matches!(t.text(at), "SELECT" | "WITH" | "TABLE" | "VALUES"));
    if has_query || !words::is_plain(t, run, &[]) {
        return false;
    }
    let names = words::names(t, run);
    let is_own = |name: &Run| {
        // Of three parts the first is a database, which the part's own statement calls otherwise.
        name.end - name.first <= 3
            && binding.column(*name, block, scope).is_some_and(|(source, position)| {
                source == id && !binding.sources[id].is_translated(position)
            })
    };
    !names.is_empty() && names.iter().all(is_own)
}
