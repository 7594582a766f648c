//! Which tables a statement pins to one key, by conditions that hold for every row that has a part in the result.
//!
//! A condition counts only if it is, token for token, `column = value` (or `<=>`, IN of values, IS NULL, or rows of these) and
//! joined to the rest by AND alone. Whatever stands between more operators is left alone: how they group never matters.
//! Read next: [`super::decide`].

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use podway_model::{Column, Name};

use super::bind::{Binding, Place};
use super::conjuncts::{Equality, Operand, conjuncts, equalities};
use super::sketch::parts::{BlockId, JoinKind, Role, Run, SourceId};
use super::target::{KeyPin, KeySource, KeyUse};
use crate::vindex::carries_pin;
use crate::{RouterError, SqlMode};

/// A column of a source.
pub(super) type Site = (SourceId, usize);

/// What a column of every contributing row equals.
#[derive(Clone, Debug)]
struct Pin {
    /// One of these.
    values: Vec<KeySource>,
    null_safe: bool,
}

/// What a statement's conditions say of its columns.
#[derive(Default)]
pub(super) struct Known {
    pins: HashMap<Site, Pin>,
    /// `to` equals `from` in every contributing row of `to`.
    edges: HashMap<Site, Vec<Site>>,
}

/// Where a condition stands.
#[derive(Clone, Copy)]
struct Standing<'a> {
    block: BlockId,
    reach: Option<&'a [SourceId]>,
    scope: Option<&'a [SourceId]>,
}

/// The pins of every sharded table that is read or changed; an error names the first that has none.
pub(super) fn pins(binding: &Binding<'_>) -> Result<Vec<KeyPin>, RouterError> {
    let known = Known::of(binding);
    let mut pins = Vec::new();
    for (id, source) in binding.sources.iter().enumerate() {
        if !matches!(source.place, Place::Sharded(_)) || binding.sketch.sources[id].role == Role::Insert {
            continue;
        }
        match pins_of(binding, &known, id) {
            Some(of_table) => pins.extend(of_table),
            None => return Err(unpinned(&source.table)),
        }
    }
    Ok(pins)
}

/// The keys that lead to all rows of this source that have a part in the result; `None` where no condition says.
pub(super) fn pins_of(binding: &Binding<'_>, known: &Known, id: SourceId) -> Option<Vec<KeyPin>> {
    let Place::Sharded(table) = &binding.sources[id].place else { return None };
    let positions =
        table.key_columns().map(|key| table.columns.iter().position(|column| column.name == key.name));
    let columns: Option<Vec<&Pin>> = positions.map(|at| known.pins.get(&(id, at?))).collect();
    let columns = columns.filter(|columns| !columns.is_empty())?;
    let listed = columns.iter().any(|pin| pin.values.len() > 1);
    if listed && columns.len() > 1 {
        return None;
    }
    let null_safe: Vec<bool> = columns.iter().map(|pin| pin.null_safe).collect();
    let most = columns.iter().map(|pin| pin.values.len()).max().unwrap_or(0);
    let pin = |nth: usize| {
        let columns = columns.iter().map(|pin| pin.values[nth.min(pin.values.len() - 1)]).collect();
        let usage = KeyUse::Predicate { null_safe: null_safe.clone(), listed };
        KeyPin { table: table.clone(), columns, usage }
    };
    Some((0..most).map(pin).collect())
}

/// What is said of a table that no condition pins.
pub(super) fn unpinned(table: &str) -> RouterError {
    RouterError::unsupported(format_args!(
        "a statement that needs several shards: nothing pins the sharded table {table} to one key"
    ))
}

impl Known {
    /// The columns that a condition compares with one value, or finds equal to such a one.
    pub(super) fn pinned(&self) -> impl Iterator<Item = Site> {
        self.pins.keys().copied()
    }

    /// The values one of which the column equals in every row that has a part in the result.
    pub(super) fn values(&self, site: Site) -> Option<&[KeySource]> {
        self.pins.get(&site).map(|pin| pin.values.as_slice())
    }

    /// Columns that are equal in every row that has a part in the result; a pair may come in both directions.
    pub(super) fn equal(&self) -> impl Iterator<Item = (Site, Site)> {
        self.edges.iter().flat_map(|(&from, to)| to.iter().map(move |&to| (from, to)))
    }

    /// Whether `to` equals `from` in every contributing row of `to`.
    pub(super) fn reaches(&self, from: Site, to: Site) -> bool {
        let mut open = vec![from];
        let mut seen = vec![from];
        while let Some(site) = open.pop() {
            if site == to {
                return true;
            }
            for &next in self.edges.get(&site).map_or(&[][..], Vec::as_slice) {
                if !seen.contains(&next) {
                    seen.push(next);
                    open.push(next);
                }
            }
        }
        false
    }

    /// Of a whole statement.
    pub(super) fn of(binding: &Binding<'_>) -> Known {
        let mut known = Known::default();
        for (block, parts) in binding.sketch.blocks.iter().enumerate() {
            for filter in &parts.filters {
                let standing =
                    Standing { block, reach: filter.reach.as_deref(), scope: filter.scope.as_deref() };
                for conjunct in
                    conjuncts(binding.t, filter.run, binding.ctx.sql_mode.contains(SqlMode::PIPES_AS_CONCAT))
                {
                    for equality in equalities(binding.t, conjunct) {
                        known.learn(binding, &equality, standing);
                    }
                }
            }
            known.learn_merges(binding, block);
        }
        known.spread();
        known
    }

    fn learn(&mut self, binding: &Binding<'_>, equality: &Equality, standing: Standing<'_>) {
        let column = |run: Run| binding.column(run, standing.block, standing.scope);
        match equality {
            Equality { left: Operand::Column(left), right: Operand::Column(right), null_safe: false } => {
                if let (Some(left), Some(right)) = (column(*left), column(*right)) {
                    self.connect(binding, left, right, standing);
                    self.connect(binding, right, left, standing);
                }
            }
            Equality { left: Operand::Column(run), right: Operand::Values(values), null_safe }
            | Equality { left: Operand::Values(values), right: Operand::Column(run), null_safe } => {
                let Some(site) = column(*run) else { return };
                if !standing.reaches(binding, site.0) || *null_safe && binding.is_nullable(site, values) {
                    return;
                }
                let pin = Pin { values: values.clone(), null_safe: *null_safe };
                let better = self
                    .pins
                    .get(&site)
                    .is_none_or(|old| (old.null_safe, old.values.len()) > (pin.null_safe, pin.values.len()));
                if better {
                    self.pins.insert(site, pin);
                }
            }
            _ => {}
        }
    }

    /// Notes that a pin of `from` is one of `to`.
    fn connect(&mut self, binding: &Binding<'_>, from: Site, to: Site, standing: Standing<'_>) {
        let (Some(left), Some(right)) = (binding.column_of(from), binding.column_of(to)) else { return };
        if standing.reaches(binding, to.0) && carries_pin(left, right) {
            self.edges.entry(from).or_default().push(to);
        }
    }

    fn learn_merges(&mut self, binding: &Binding<'_>, block: BlockId) {
        if binding.sketch.blocks[block].natural {
            return;
        }
        for merge in &binding.sketch.blocks[block].merges {
            for &at in &merge.columns {
                let sides = (binding.merged(at, &merge.left), binding.merged(at, &merge.right));
                let (Some(left), Some(right)) = sides else { continue };
                let standing = Standing { block, reach: None, scope: None };
                if merge.join != JoinKind::Right {
                    self.connect(binding, left, right, standing);
                }
                if merge.join != JoinKind::Left {
                    self.connect(binding, right, left, standing);
                }
            }
        }
    }

    fn spread(&mut self) {
        let mut open: VecDeque<Site> =
            self.pins.iter().filter(|(_, pin)| !pin.null_safe).map(|(&site, _)| site).collect();
        while let Some(site) = open.pop_front() {
            let Some(pin) = self.pins.get(&site).cloned() else { continue };
            for &to in self.edges.get(&site).map_or(&[][..], Vec::as_slice) {
                if let Entry::Vacant(place) = self.pins.entry(to) {
                    place.insert(pin.clone());
                    open.push_back(to);
                }
            }
        }
    }
}

impl Standing<'_> {
    fn reaches(self, binding: &Binding<'_>, source: SourceId) -> bool {
        match self.reach {
            Some(reach) => reach.contains(&source),
            None => binding.sketch.sources[source].block == self.block,
        }
    }
}

impl Binding<'_> {
    fn column_of(&self, (source, position): Site) -> Option<&Column> {
        self.sources[source].columns()?.get(position)
    }

    /// Whether NULL may stand in the column without being stored there: an outer join's, or what IS NULL finds besides.
    fn is_nullable(&self, site: Site, values: &[KeySource]) -> bool {
        let stored = self.column_of(site).is_some_and(|column| column.nullable && !column.auto_increment);
        self.sketch.sources[site.0].nullable || values.contains(&KeySource::Null) && !stored
    }

    /// The one table of these that has the merged column; none where an earlier USING made one of several.
    fn merged(&self, at: usize, sources: &[SourceId]) -> Option<Site> {
        let name = Name::caseless(&self.t.name(at)?);
        if sources.len() > 1 && sources.iter().any(|&source| self.sources[source].columns().is_none()) {
            return None;
        }
        let mut found = sources.iter().filter_map(|&source| {
            let position = self.sources[source].columns()?.iter().position(|column| column.name == name)?;
            Some((source, position))
        });
        let only = found.next()?;
        found.next().is_none().then_some(only)
    }
}
