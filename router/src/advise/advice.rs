//! The advice: where each table should lie, and what becomes of each statement then.

use podway_model::MapError;

use super::candidates::{Evidence, candidates};
use super::ground::{Case, Ground};
use super::question::{Lies, Question, RanStatement};
use super::reasons::Chosen;
use super::search::Search;
use super::way::{Served, Way, is_of_rows};

/// A key is hot if one of the tried shards has more of a statement's executions …
const HOT_SHARE: f64 = 0.25;
/// … among at least so many texts.
const HOT_TEXTS: usize = 40;

/// How often statements ran, and how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Executions.
    pub count: u64,
    /// Nanoseconds.
    pub nanos: u64,
}

/// How statements are divided among the ways. Those aside (BEGIN, SET, DDL …) are in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// All of them.
    pub all: Load,
    /// One shard does it all.
    pub one_shard: Load,
    /// Merged from all shards.
    pub merged: Load,
    /// Finished in MySQL.
    pub finished: Load,
    /// Committed on several shards.
    pub several_writes: Load,
    /// No way is foreseen.
    pub refused: Load,
    /// Of all these: what this version of Podway answers with an error.
    pub refused_today: Load,
}

/// Where a table should lie.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvisedTable {
    /// Its place in [`Question::tables`].
    pub table: usize,
    /// Where its rows should lie.
    pub lies: Lies,
    /// Why.
    pub why: Vec<String>,
    /// What to beware of.
    pub warnings: Vec<String>,
    /// What becomes of the statements with it.
    pub shares: Shares,
}

/// What becomes of a statement.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvisedStatement<'q> {
    /// The statement.
    pub ran: &'q RanStatement,
    /// What becomes of it.
    pub served: Served,
}

/// The adviser's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice<'q> {
    /// Each table, in the question's order.
    pub tables: Vec<AdvisedTable>,
    /// The statements with rows, those that took longest (or, where that is not known, ran most often) first.
    pub statements: Vec<AdvisedStatement<'q>>,
    /// Of all statements.
    pub shares: Shares,
    /// How many executions are in no share: BEGIN, SET, SHOW, DDL.
    pub aside: u64,
    /// How many executions have a text that cannot be told apart into words.
    pub unreadable: u64,
}

/// Where the tables should lie. An error would be a mistake of the adviser's own.
pub fn advise(question: &Question) -> Result<Advice<'_>, MapError> {
    let ground = Ground::new(question)?;
    let (mut cases, mut unreadable): (Vec<Case<'_>>, u64) = (Vec::new(), 0);
    for ran in &question.statements {
        match ground.case(ran) {
            Some(case) => cases.push(case),
            None => unreadable += ran.count,
        }
    }
    let weights = weights(&cases);
    let evidence = Evidence::of(question, &cases, &weights);
    let candidates = candidates(question, &evidence);
    let mut search = Search::new(&ground, (&cases, &weights), &evidence, &candidates);
    let choice = search.best()?;
    let lies: Vec<Lies> =
        choice.iter().zip(&candidates).map(|(&at, candidates)| candidates[at].clone()).collect();
    let outcomes: Vec<Served> =
        (0..cases.len()).map(|case| search.served(case, &choice)).collect::<Result<_, _>>()?;
    let chosen = Chosen { question, evidence: &evidence, lies: &lies };
    let mut tables: Vec<AdvisedTable> = (0..lies.len())
        .map(|table| AdvisedTable {
            table,
            lies: lies[table].clone(),
            why: chosen.why(table),
            warnings: chosen.warnings(table),
            shares: shares(&cases, &outcomes, |case| case.tables.contains(&table)),
        })
        .collect();
    warn_of_hot_keys(&ground, &cases, &outcomes, &mut tables)?;
    let is_aside = |served: &Served| served.way == Way::Aside;
    let aside = cases.iter().zip(&outcomes).filter(|(_, served)| is_aside(served));
    Ok(Advice {
        tables,
        shares: shares(&cases, &outcomes, |_| true),
        aside: aside.map(|(case, _)| case.ran.count).sum(),
        unreadable,
        statements: by_cost(&cases, outcomes),
    })
}

/// What each case weighs, of 1 in all: half by how often it ran, half by how long. What is no statement with rows weighs nothing.
fn weights(cases: &[Case<'_>]) -> Vec<f64> {
    let of_rows = || cases.iter().filter(|case| is_of_rows(case.verb)).map(|case| case.ran);
    let count: u64 = of_rows().map(|ran| ran.count).sum();
    let nanos: u64 = of_rows().map(|ran| ran.nanos).sum();
    let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
    let weight = |case: &Case<'_>| match nanos {
        _ if !is_of_rows(case.verb) => 0.0,
        0 => share(case.ran.count, count),
        nanos => (share(case.ran.count, count) + share(case.ran.nanos, nanos)) / 2.0,
    };
    cases.iter().map(weight).collect()
}

fn shares(cases: &[Case<'_>], outcomes: &[Served], of: impl Fn(&Case<'_>) -> bool) -> Shares {
    let mut shares = Shares::default();
    for (case, served) in cases.iter().zip(outcomes).filter(|(case, _)| of(case)) {
        let part = match &served.way {
            Way::Aside => continue,
            Way::OneShard | Way::AnyShard | Way::Home => &mut shares.one_shard,
            Way::Merged => &mut shares.merged,
            Way::Finished(_) => &mut shares.finished,
            Way::SeveralWrites(_) => &mut shares.several_writes,
            Way::Refused(_) => &mut shares.refused,
        };
        part.add(case.ran);
        shares.all.add(case.ran);
        if served.refused_today.is_some() {
            shares.refused_today.add(case.ran);
        }
    }
    shares
}

impl Load {
    fn add(&mut self, ran: &RanStatement) {
        self.count += ran.count;
        self.nanos += ran.nanos;
    }
}

fn warn_of_hot_keys(
    ground: &Ground<'_>,
    cases: &[Case<'_>],
    outcomes: &[Served],
    tables: &mut [AdvisedTable],
) -> Result<(), MapError> {
    for (case, _) in cases.iter().zip(outcomes).filter(|(_, served)| served.way == Way::OneShard) {
        let lies: Vec<(usize, Lies)> =
            case.tables.iter().map(|&table| (table, tables[table].lies.clone())).collect();
        let (share, texts) = ground.fullest(case, &lies)?;
        if texts < HOT_TEXTS || share < HOT_SHARE {
            continue;
        }
        let sharded = lies.iter().find(|(_, lies)| matches!(lies, Lies::Sharded(_)));
        if let Some((table, _)) = sharded {
            let warning = format!(
                "one key has {:.0} % of the {} executions that were looked at of: {}",
                100.0 * share,
                texts,
                shortened(&case.ran.texts[0])
            );
            tables[*table].warnings.push(warning);
        }
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} …", &words[..end]),
        None => words,
    }
}

fn by_cost<'q>(cases: &[Case<'q>], outcomes: Vec<Served>) -> Vec<AdvisedStatement<'q>> {
    let mut statements: Vec<AdvisedStatement<'q>> = cases
        .iter()
        .zip(outcomes)
        .filter(|(_, served)| served.way != Way::Aside)
        .map(|(case, served)| AdvisedStatement { ran: case.ran, served })
        .collect();
    statements.sort_by(|left, right| {
        let by_time = right.ran.nanos.cmp(&left.ran.nanos);
        by_time.then(right.ran.count.cmp(&left.ran.count)).then_with(|| left.ran.texts.cmp(&right.ran.texts))
    });
    statements
}
