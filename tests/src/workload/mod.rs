//! Workloads that others know, on tables of our own making: what tests compare beside plain MySQL, and benchmarks measure. Never knows whether it talks to Podway or to MySQL.

pub mod tpcc;
pub mod tpch;

use podway::provision::Declaration;

/// A table of a workload.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The statement that creates it.
    pub create: &'static str,
    /// The columns that it is sharded by; none for a reference table.
    pub sharded_by: &'static [&'static str],
}

impl Table {
    /// How its rows lie.
    pub fn declaration(&self) -> Declaration {
        match self.sharded_by {
            [] => Declaration::Reference,
            columns => Declaration::sharded_by(columns),
        }
    }
}

/// Statements that insert these rows, written as lists of literals, some hundred at a time.
fn inserts(table: &str, rows: Vec<String>) -> impl Iterator<Item = String> {
    const AT_A_TIME: usize = 250;
    let table = table.to_owned();
    let chunks: Vec<Vec<String>> = rows.chunks(AT_A_TIME).map(<[_]>::to_vec).collect();
    chunks.into_iter().map(move |rows| format!("INSERT INTO {table} VALUES {}", rows.join(", ")))
}
