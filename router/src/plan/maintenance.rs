//! ANALYZE, CHECK, CHECKSUM, OPTIMIZE and REPAIR TABLE of tables that several shards have: who is asked about which, and by which text. Never says what becomes of the
//! answers.

use podway_model::{DriftSubject, Keyspace, Name, ShardIndex};

use super::bind::{Binding, Bound, Place};
use super::decide::check_key;
use super::plan::Plan;
use super::rewrite::Facts;
use super::sketch::parts::SourceKind;
use super::target::Target;
use super::tokens::Tokens;
use crate::{MaintainedTable, Maintenance, Normalised, RouterError, Statement, TemplateSpan, Verb};

/// The target of such a statement, whose plan knows then what it names; `None`: it goes where others do.
pub(super) fn target(plan: &mut Plan, binding: &Binding<'_>) -> Result<Option<Target>, RouterError> {
    let sums = plan.verb() == Verb::ChecksumTable;
    if !sums && plan.verb() != Verb::TableMaintenance {
        return Ok(None);
    }
    let Some((keyspace, tables)) = tables(binding, sums) else { return Ok(None) };
    for bound in &binding.sources {
        if let Place::Sharded(table) = &bound.place {
            check_key(binding, bound, table)?;
            check_alike(binding, bound, sums)?;
        }
    }
    if binding.t.is(0, "OPTIMIZE") {
        return Err(RouterError::unsupported(
            "OPTIMIZE TABLE of a table that every shard has; ALTER TABLE … FORCE rebuilds it on each",
        ));
    }
    plan.recognised.statement = Statement::Maintain(Maintenance { tables, sums });
    Ok(Some(Target::Home { keyspace: Some(keyspace) }))
}

/// The keyspace and the tables of a statement; `None` where it names other things than tables of one keyspace, or what home alone has.
fn tables(binding: &Binding<'_>, sums: bool) -> Option<(Name, Vec<MaintainedTable>)> {
    let first = binding.sources.first()?.keyspace.as_ref()?;
    // Of several tables MySQL makes no histogram, nor a part of it.
    let is_refused = binding.sources.len() > 1 && has_histogram(binding.t);
    let (mut tables, mut is_spread) = (Vec::with_capacity(binding.sources.len()), false);
    for (source, bound) in binding.sketch.sources.iter().zip(&binding.sources) {
        let is_everywhere = match bound.place {
            Place::Sharded(_) => true,
            // Of copies one is as good as the other.
            Place::Reference(_) => !sums,
            Place::Home(_) => false,
            _ => return None,
        };
        is_spread |= !matches!(bound.place, Place::Home(_));
        if bound.keyspace.as_ref().is_none_or(|keyspace| keyspace.name != first.name) {
            return None;
        }
        let SourceKind::Table { database, name } = source.kind else { return None };
        let start = binding.t.start(database.unwrap_or(name)) as u32;
        let span = TemplateSpan { start, end: binding.t.end(name) as u32 };
        tables.push(MaintainedTable { span, is_everywhere: is_everywhere && !is_refused });
    }
    is_spread.then(|| (first.name.clone(), tables))
}

fn has_histogram(t: &Tokens<'_>) -> bool {
    (0..t.len()).any(|at| t.are(at, &["UPDATE", "HISTOGRAM"]) || t.are(at, &["DROP", "HISTOGRAM"]))
}

/// Refuses a sum over rows that are not made up of the same columns on every shard.
fn check_alike(binding: &Binding<'_>, bound: &Bound, sums: bool) -> Result<(), RouterError> {
    let Some(keyspace) = bound.keyspace.as_ref().filter(|_| sums) else { return Ok(()) };
    let map = binding.ctx.map;
    let (keyspace, table) = (keyspace.name.clone(), map.names.name(&bound.table));
    let subject = DriftSubject::Table { keyspace, table };
    match map.drifts().any(|(known, _)| *known == subject) {
        false => Ok(()),
        true => Err(RouterError::unsupported(format_args!(
            "CHECKSUM TABLE of {}, which is not the same on every shard; SHOW PODWAY DRIFT says what differs",
            bound.table
        ))),
    }
}

impl Maintenance {
    /// The shards that are asked. Home comes first: it has all tables, and what it refuses is done nowhere.
    pub fn shards(&self, keyspace: &Keyspace) -> Vec<ShardIndex> {
        let all = (0..keyspace.shards.len()).map(|shard| ShardIndex(shard as u16));
        let is_spread = self.tables.iter().any(|table| table.is_everywhere);
        let others = all.filter(|shard| is_spread && *shard != keyspace.home);
        std::iter::once(keyspace.home).chain(others).collect()
    }
}

impl Plan {
    /// Appends what a shard gets: the statement with those of its tables that this shard is asked about.
    pub fn maintenance_text(
        &self,
        (maintenance, is_home): (&Maintenance, bool),
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) {
        let (Some(first), Some(last)) = (maintenance.tables.first(), maintenance.tables.last()) else {
            return self.rewrite(sql, n, facts, out);
        };
        let head = TemplateSpan { start: 0, end: first.span.start };
        self.rewrite_span(head, sql, n, facts, out);
        let asked = maintenance.tables.iter().filter(|table| is_home || table.is_everywhere);
        for (nth, table) in asked.enumerate() {
            if nth > 0 {
                out.extend_from_slice(b", ");
            }
            self.rewrite_span(table.span, sql, n, facts, out);
        }
        self.rewrite_end(last.span.end, sql, n, facts, out);
    }
}
