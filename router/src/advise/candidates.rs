//! Where each table could lie: by a column that statements compare or join, by a foreign key's, by its primary key; as a copy on every shard; or at
//! home. And what the statements say for each column. Chooses nothing. Read next: [`super::search`].

use std::collections::{BTreeMap, BTreeSet};

use super::ground::Case;
use super::question::{Lies, Question, TableFacts};
use super::way::is_of_rows;
use crate::UsedAs;

/// A table with fewer rows is not worth sharding, if it has fewer than a hundredth of the database's, too.
const TINY_ROWS: u64 = 1_000;
/// A table with more rows is too large to be everywhere.
const REFERENCE_ROWS: u64 = 100_000;
/// A table with more bytes is too large to be everywhere.
const REFERENCE_BYTES: u64 = 64 << 20;
/// Above this share of writes among a table's statements, copies cost more than they can save: a write to every copy costs what a read
/// saves at best. Below it the costs decide.
const REFERENCE_WRITES: f64 = 0.5;

/// A column of one of the question's tables: the table's place, the column's.
pub(super) type TableColumn = (usize, usize);

/// What the statements say of tables and columns, by weight: all statements together weigh 1.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Of the statements that pin a column to a value.
    pub(super) pinned: BTreeMap<TableColumn, f64>,
    /// Of the statements that make two columns equal; both directions.
    pub(super) joined: BTreeMap<TableColumn, BTreeMap<TableColumn, f64>>,
    /// Of the statements with each table.
    pub(super) weight: Vec<f64>,
    /// Of those that change its rows.
    pub(super) written: Vec<f64>,
    /// Tables that are named beside each table.
    pub(super) beside: Vec<BTreeSet<usize>>,
}

impl Evidence {
    /// Of these cases.
    pub(super) fn of(question: &Question, cases: &[Case<'_>], weights: &[f64]) -> Evidence {
        let count = question.tables.len();
        let mut evidence = Evidence {
            weight: vec![0.0; count],
            written: vec![0.0; count],
            beside: vec![BTreeSet::new(); count],
            ..Evidence::default()
        };
        for (case, &weight) in cases.iter().zip(weights) {
            evidence.learn(case, weight);
        }
        evidence
    }

    fn learn(&mut self, case: &Case<'_>, weight: f64) {
        let Some(usage) = case.usage.as_ref().filter(|_| is_of_rows(case.verb)) else { return };
        for &table in &case.tables {
            self.weight[table] += weight;
            self.beside[table].extend(case.tables.iter().filter(|&&other| other != table));
        }
        let written = usage.sources.iter().zip(&case.sources);
        let written = written.filter(|(source, _)| source.used_as != UsedAs::Read);
        for table in written.filter_map(|(_, table)| *table).collect::<BTreeSet<_>>() {
            self.written[table] += weight;
        }
        let column = |site: &crate::Site| Some((case.sources[site.source]?, site.column));
        for pinned in usage.pinned.iter().filter_map(column).collect::<BTreeSet<_>>() {
            *self.pinned.entry(pinned).or_default() += weight;
        }
        let pairs = usage.equal.iter().flat_map(|(left, right)| [(left, right), (right, left)]);
        let pairs = pairs.filter_map(|(left, right)| Some((column(left)?, column(right)?)));
        for (left, right) in pairs.filter(|(left, right)| left != right).collect::<BTreeSet<_>>() {
            *self.joined.entry(left).or_default().entry(right).or_default() += weight;
        }
    }

    /// What speaks for a column: the weight of the statements that pin or join it.
    pub(super) fn of_column(&self, column: TableColumn) -> f64 {
        let joined = self.joined.get(&column).map_or(0.0, |others| others.values().sum());
        self.pinned.get(&column).copied().unwrap_or(0.0) + joined
    }
}

/// Whether a table is too small to be worth sharding.
pub(super) fn is_tiny(question: &Question, table: &TableFacts) -> bool {
    let all: u64 = question.tables.iter().map(|table| table.rows).sum();
    table.rows < TINY_ROWS && table.rows.saturating_mul(100) < all
}

/// Columns that a foreign key makes equal, both directions.
pub(super) fn foreign_pairs(question: &Question) -> BTreeSet<(TableColumn, TableColumn)> {
    let mut pairs = BTreeSet::new();
    for (child, table) in question.tables.iter().enumerate() {
        for key in &table.foreign_keys {
            let parent = question.tables.iter().position(|table| table.name == key.table);
            let Some(parent) = parent else { continue };
            for (&column, referenced) in key.columns.iter().zip(&key.referenced) {
                let Some(referenced) = question.tables[parent].position(referenced) else { continue };
                pairs.insert(((child, column), (parent, referenced)));
                pairs.insert(((parent, referenced), (child, column)));
            }
        }
    }
    pairs
}

/// Where each table could lie, at least one way each.
pub(super) fn candidates(question: &Question, evidence: &Evidence) -> Vec<Vec<Lies>> {
    let foreign: BTreeSet<TableColumn> =
        foreign_pairs(question).into_iter().map(|(column, _)| column).collect();
    let of_table = |at: usize| {
        let table = &question.tables[at];
        if let Some(kept) = question.kept.iter().find(|kept| kept.table == at) {
            return vec![kept.lies.clone()];
        }
        if table.is_view {
            return vec![Lies::Home];
        }
        let mut found = vec![Lies::Home];
        let is_small = table.rows <= REFERENCE_ROWS && table.bytes <= REFERENCE_BYTES;
        if is_small && evidence.written[at] <= REFERENCE_WRITES * evidence.weight[at] {
            found.push(Lies::Reference);
        }
        if !is_tiny(question, table) {
            let is_allowed = |column: &usize| table.refused_keys.get(*column).is_some_and(Option::is_none);
            let speaks = |column: &usize| {
                evidence.of_column((at, *column)) > 0.0
                    || foreign.contains(&(at, *column))
                    || table.primary_key.first() == Some(column)
            };
            let columns = (0..table.columns.len()).filter(is_allowed).filter(speaks);
            found.extend(columns.map(|column| Lies::Sharded(vec![column])));
        }
        found
    };
    (0..question.tables.len()).map(of_table).collect()
}
