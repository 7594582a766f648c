//! A statement's AUTO_INCREMENT numbers, as values: what it wants, what it is given, and what its parameters are then. Data only. Read next: [`super::counted`].

use std::sync::Arc;

use podway_model::{Name, Table};

use super::target::KeySource;

/// A statement that may need numbers of the cluster's, or that uses numbers which nobody else may be given.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// The table's keyspace.
    pub keyspace: Name,
    /// The table, whose AUTO_INCREMENT column is a [`Counter`].
    pub table: Arc<Table>,
    pub(super) rows: Vec<CountedRow>,
    /// INSERT IGNORE.
    pub(super) ignore: bool,
    /// Whether a row may change another one instead of being stored: ON DUPLICATE KEY UPDATE.
    pub(super) updates: bool,
    /// What UPDATE, or ON DUPLICATE KEY UPDATE, sets the column to.
    pub(super) set: Vec<KeySource>,
}

/// What an inserted row gives for the column; NULL where it gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CountedRow {
    pub source: KeySource,
    /// How many of the statement's parameters stand before the place of its number.
    pub params_before: u32,
}

/// What is to be done about one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The row gets the cluster's next number.
    Next,
    /// The statement brings this number: nobody else may be given it.
    Explicit(u64),
    /// Neither: a number below 1, or a row that MySQL refuses.
    Nothing,
}

/// The numbers that a statement is sent with: by the places of its rows, those that the cluster gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers<'a> {
    /// For each row: its number, or nothing where the client's own stays.
    pub values: &'a [Option<u64>],
    /// Whether parameters stand for them in the text.
    pub as_params: bool,
}

/// A parameter of a statement as a shard gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamSource {
    /// The client's, by its number.
    Given(u32),
    /// A number of the cluster's.
    Number(u64),
}

impl Counted {
    /// Whether some of several rows may not be stored: which numbers were used then shows only if the rows go one by one.
    pub fn goes_one_by_one(&self, numbers: &[Option<u64>]) -> bool {
        self.rows.len() > 1 && (self.ignore || self.updates) && numbers.iter().any(Option::is_some)
    }

    /// How many rows it inserts.
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// Whether a row may change another one instead of being stored.
    pub fn updates(&self) -> bool {
        self.updates
    }

    /// About how many bytes it holds.
    pub(super) fn memory(&self) -> usize {
        size_of::<Counted>()
            + self.rows.capacity() * size_of::<CountedRow>()
            + self.set.capacity() * size_of::<KeySource>()
    }

    /// Whether a parameter decides which numbers it needs.
    pub(super) fn has_params(&self) -> bool {
        let sources = self.rows.iter().map(|row| &row.source).chain(&self.set);
        sources.into_iter().any(|source| matches!(source, KeySource::Param(_)))
    }
}
