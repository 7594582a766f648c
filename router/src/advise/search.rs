//! The combination of places that costs least: from several starts, one table after the other is moved to where the statements cost least, until
//! none gains. No chance in it: the same question has the same answer. Read next: [`super::reasons`].
//!
//! A start is a family of columns that joins and foreign keys make equal (`customers.id`, `orders.customer_id`, …): every table that has one of them
//! begins by it. So tables that belong together move together, which no step of one table alone would find.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use podway_model::MapError;

use super::candidates::{Evidence, TableColumn, foreign_pairs, is_tiny};
use super::ground::{Case, Ground};
use super::question::{Lies, Question};
use super::way::{ROWS_OF_SEVERAL_KEYS, Served, Way, served};

/// How many families are tried.
const MAX_STARTS: usize = 16;
/// How often all tables are looked at again from one start.
const MAX_ROUNDS: usize = 20;
/// What is gained must be more, against rounding.
const GAIN: f64 = 1e-9;

/// What a statement costs where each shard does its part. One that one shard does alone costs nothing.
const MERGED: f64 = 0.5;
/// … where MySQL finishes rows of all shards.
const FINISHED: f64 = 1.0;
/// … where it commits on several servers.
const SEVERAL_WRITES: f64 = 1.0;
/// … where it inserts several listed rows, each of which goes where its key leads: the same under every key. Whether the rows that were
/// seen share a value (a load sorted by country) says nothing of how the table is used.
const ROWS_LISTED: f64 = 0.1;
/// … where it is refused.
const REFUSED: f64 = 1.5;
/// … at home, where nothing is spread …
const AT_HOME: f64 = 0.3;
/// … unless its tables are tiny.
const TINY_AT_HOME: f64 = 0.05;
/// What rows at home cost, if all were there.
const ROWS_AT_HOME: f64 = 0.5;
/// What it costs to look after a declared table.
const DECLARED: f64 = 0.005;
/// … after one that is copied.
const COPIED: f64 = 0.01;
/// What rows on every shard cost, if all were there.
const ROWS_COPIED: f64 = 0.5;
/// A key of so few values that shards would differ much.
const UNEVEN: f64 = 0.3;
/// A key has few values if there are fewer for each shard.
const VALUES_PER_SHARD: u64 = 100;

/// A search.
pub(super) struct Search<'s, 'q> {
    pub(super) ground: &'s Ground<'q>,
    pub(super) cases: &'s [Case<'q>],
    pub(super) weights: &'s [f64],
    pub(super) evidence: &'s Evidence,
    pub(super) candidates: &'s [Vec<Lies>],
    /// What became of a case with its tables lying so: by the case, and the number of each of its tables' candidate.
    known: HashMap<(usize, Vec<usize>), Served>,
    cases_of: Vec<Vec<usize>>,
}

impl<'s, 'q> Search<'s, 'q> {
    pub(super) fn new(
        ground: &'s Ground<'q>,
        (cases, weights): (&'s [Case<'q>], &'s [f64]),
        evidence: &'s Evidence,
        candidates: &'s [Vec<Lies>],
    ) -> Search<'s, 'q> {
        let mut cases_of = vec![Vec::new(); candidates.len()];
        for (at, case) in cases.iter().enumerate() {
            case.tables.iter().for_each(|&table| cases_of[table].push(at));
        }
        Search { ground, cases, weights, evidence, candidates, known: HashMap::new(), cases_of }
    }

    /// The best choice: for each table the number of its candidate.
    pub(super) fn best(&mut self) -> Result<Vec<usize>, MapError> {
        let mut best: Option<(f64, Vec<usize>)> = None;
        for start in self.starts() {
            let choice = self.descend(start)?;
            let cost = self.cost(&choice)?;
            if best.as_ref().is_none_or(|(known, _)| cost + GAIN < *known) {
                best = Some((cost, choice));
            }
        }
        Ok(best.map(|(_, choice)| choice).unwrap_or_default())
    }

    /// What becomes of a case under a choice.
    pub(super) fn served(&mut self, case: usize, choice: &[usize]) -> Result<Served, MapError> {
        let tables = &self.cases[case].tables;
        let key = (case, tables.iter().map(|&table| choice[table]).collect::<Vec<usize>>());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let lies: Vec<(usize, Lies)> =
            tables.iter().map(|&table| (table, self.candidates[table][choice[table]].clone())).collect();
        let tried = self.ground.try_out(&self.cases[case], &lies)?;
        let of = |table: usize| self.candidates[table][choice[table]].clone();
        let found = served(&self.cases[case], tried, &of);
        self.known.insert(key, found.clone());
        Ok(found)
    }

    fn descend(&mut self, start: Vec<usize>) -> Result<Vec<usize>, MapError> {
        let mut choice = start;
        let mut order: Vec<usize> = (0..choice.len()).collect();
        let weight = &self.evidence.weight;
        order.sort_by(|&left, &right| weight[right].total_cmp(&weight[left]).then(left.cmp(&right)));
        for _ in 0..MAX_ROUNDS {
            let before = choice.clone();
            for &table in &order {
                choice[table] = self.best_of_table(table, &choice)?;
            }
            if choice == before {
                break;
            }
        }
        Ok(choice)
    }

    fn best_of_table(&mut self, table: usize, choice: &[usize]) -> Result<usize, MapError> {
        let mut tried = choice.to_vec();
        let mut best = (self.cost_around(table, &tried)?, choice[table]);
        for candidate in 0..self.candidates[table].len() {
            tried[table] = candidate;
            let cost = self.cost_around(table, &tried)?;
            if cost + GAIN < best.0 {
                best = (cost, candidate);
            }
        }
        Ok(best.1)
    }

    /// The part of the cost that depends on where this table lies.
    fn cost_around(&mut self, table: usize, choice: &[usize]) -> Result<f64, MapError> {
        let mut cost = self.table_cost(table, choice);
        for at in 0..self.cases_of[table].len() {
            cost += self.case_cost(self.cases_of[table][at], choice)?;
        }
        Ok(cost)
    }

    fn cost(&mut self, choice: &[usize]) -> Result<f64, MapError> {
        let mut cost: f64 = (0..choice.len()).map(|table| self.table_cost(table, choice)).sum();
        for case in 0..self.cases.len() {
            cost += self.case_cost(case, choice)?;
        }
        Ok(cost)
    }

    fn case_cost(&mut self, case: usize, choice: &[usize]) -> Result<f64, MapError> {
        let each = match self.served(case, choice)?.way {
            Way::OneShard if self.lists_rows(case) => ROWS_LISTED,
            Way::SeveralWrites(reason) if reason == ROWS_OF_SEVERAL_KEYS => ROWS_LISTED,
            Way::Aside | Way::OneShard | Way::AnyShard => 0.0,
            Way::Home => {
                let question = self.ground.question;
                let mut tables = self.cases[case].tables.iter();
                let is_small = tables.all(|&table| is_tiny(question, &question.tables[table]));
                if is_small { TINY_AT_HOME } else { AT_HOME }
            }
            Way::Merged => MERGED,
            Way::Finished(_) => FINISHED,
            Way::SeveralWrites(_) => SEVERAL_WRITES,
            Way::Refused(_) => REFUSED,
        };
        Ok(each * self.weights[case])
    }

    /// Whether a case is an INSERT or REPLACE of several rows that it lists.
    fn lists_rows(&self, case: usize) -> bool {
        let usage = self.cases[case].usage.as_ref();
        usage.and_then(|usage| usage.listed_rows).is_some_and(|rows| rows > 1)
    }

    fn table_cost(&self, table: usize, choice: &[usize]) -> f64 {
        let question = self.ground.question;
        let facts = &question.tables[table];
        let all: u64 = question.tables.iter().map(|table| table.rows).sum();
        let rows = facts.rows as f64 / all.max(1) as f64;
        match &self.candidates[table][choice[table]] {
            Lies::Home if is_tiny(question, facts) || facts.is_view => 0.0,
            Lies::Home => ROWS_AT_HOME * rows,
            Lies::Reference => COPIED + ROWS_COPIED * rows,
            Lies::Sharded(key) => {
                let uneven = key.iter().all(|&column| has_few_values(question, table, column).is_some());
                DECLARED + if uneven { UNEVEN } else { 0.0 }
            }
        }
    }

    fn starts(&self) -> Vec<Vec<usize>> {
        let mut starts = vec![self.start(&BTreeSet::new())];
        let families = families(self.ground.question, self.evidence);
        starts.extend(families.iter().take(MAX_STARTS).map(|family| self.start(family)));
        starts
    }

    /// Tables of the family by its column, others by the column that most speaks for, or whole.
    fn start(&self, family: &BTreeSet<TableColumn>) -> Vec<usize> {
        let of_table = |table: usize| {
            let candidates = &self.candidates[table];
            let keys = candidates.iter().enumerate().filter_map(|(at, lies)| match lies {
                Lies::Sharded(key) => Some((at, key)),
                _ => None,
            });
            let weight = |key: &[usize]| -> f64 {
                let is_family = key.iter().any(|&column| family.contains(&(table, column)));
                let own: f64 = key.iter().map(|&column| self.evidence.of_column((table, column))).sum();
                own + if is_family { f64::from(u16::MAX) } else { 0.0 }
            };
            let mut best: Option<(f64, usize)> = None;
            for (at, key) in keys {
                let weight = weight(key);
                if best.is_none_or(|(known, _)| weight > known) {
                    best = Some((weight, at));
                }
            }
            let copied = || candidates.iter().position(|lies| *lies == Lies::Reference);
            let is_joined = !self.evidence.beside[table].is_empty();
            best.map(|(_, at)| at).or_else(|| if is_joined { copied() } else { None }).unwrap_or(0)
        };
        (0..self.candidates.len()).map(of_table).collect()
    }
}

/// How many values a key column has, if those are too few for even shards.
pub(super) fn has_few_values(question: &Question, table: usize, column: usize) -> Option<u64> {
    let facts = &question.tables[table];
    let distinct = facts.distinct.get(column).copied().flatten()?;
    let enough = VALUES_PER_SHARD * u64::from(question.shards);
    (distinct < enough && distinct.saturating_mul(2) < facts.rows).then_some(distinct)
}

/// Columns that joins and foreign keys make equal, the families that most statements join first.
fn families(question: &Question, evidence: &Evidence) -> Vec<BTreeSet<TableColumn>> {
    let mut pairs: BTreeMap<TableColumn, BTreeSet<TableColumn>> = BTreeMap::new();
    let joined =
        evidence.joined.iter().flat_map(|(&left, others)| others.keys().map(move |&right| (left, right)));
    for (left, right) in foreign_pairs(question).into_iter().chain(joined) {
        pairs.entry(left).or_default().insert(right);
    }
    let mut families: Vec<(f64, BTreeSet<TableColumn>)> = Vec::new();
    let mut seen: BTreeSet<TableColumn> = BTreeSet::new();
    for &first in pairs.keys() {
        let mut family = BTreeSet::new();
        let mut open = vec![first];
        while let Some(column) = open.pop() {
            if seen.insert(column) {
                family.insert(column);
                open.extend(pairs.get(&column).into_iter().flatten());
            }
        }
        if !family.is_empty() {
            let weight = family.iter().map(|&column| evidence.of_column(column)).sum();
            families.push((weight, family));
        }
    }
    families.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    families.into_iter().map(|(_, family)| family).collect()
}
