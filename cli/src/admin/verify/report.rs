//! What a verification found, as it is shown.

use std::io;

use podway_model::Table;
use podway_topology_api::KeyspaceView;
use serde::Serialize;

use super::super::find;
use super::super::print::{self, Row, counted};
use super::doubles::Doubles;
use crate::provision::UniqueKey;

/// What was found in all.
#[derive(Default, Serialize)]
pub(super) struct Report {
    pub(super) tables: Vec<TableReport>,
}

/// What was found of one table.
#[derive(Serialize)]
pub(super) struct TableReport {
    keyspace: String,
    table: String,
    kind: &'static str,
    pub(super) rows: u64,
    /// Rows on a shard that their key does not lead to.
    pub(super) misplaced: u64,
    /// Rows whose key leads nowhere that is known.
    pub(super) unknown: u64,
    /// The first of both.
    pub(super) wrong: Vec<WrongRow>,
    /// The copies, if they differ.
    pub(super) copies: Vec<String>,
    /// The UNIQUE keys that are unique on each shard only.
    pub(super) keys: Vec<KeyReport>,
}

/// What was found of a UNIQUE key that is unique on each shard only.
#[derive(Serialize)]
pub(super) struct KeyReport {
    key: String,
    /// How many values stand on several shards; none: they cannot be compared.
    doubles: Option<u64>,
    /// The first of them.
    values: Vec<String>,
}

impl KeyReport {
    pub(super) fn compared(key: &UniqueKey, doubles: Doubles) -> KeyReport {
        let value = |(value, shards): (String, usize)| format!("'{value}' stands on {shards} shards");
        let values = doubles.named.into_iter().map(value).collect();
        KeyReport { key: key.named(), doubles: Some(doubles.values), values }
    }

    pub(super) fn not_compared(key: &UniqueKey) -> KeyReport {
        KeyReport { key: key.named(), doubles: None, values: Vec::new() }
    }

    fn lines(&self, table: &str) -> Vec<String> {
        let key = &self.key;
        match self.doubles {
            None => vec![format!(
                "{table}: {key} is unique on each shard only; its values cannot be compared between shards"
            )],
            Some(_) => self.values.iter().map(|value| format!("{table}: {value} in {key}")).collect(),
        }
    }
}

/// A row that lies wrong.
#[derive(Serialize)]
pub(super) struct WrongRow {
    /// Its primary key.
    pub(super) row: String,
    pub(super) shard: u32,
    pub(super) server: String,
    /// Where its key leads; none: the router knows no id for it.
    pub(super) belongs_to: Option<u32>,
    pub(super) belongs_on: Option<String>,
}

impl TableReport {
    pub(super) fn new(keyspace: &KeyspaceView, table: &Table) -> TableReport {
        TableReport {
            keyspace: keyspace.name.to_string(),
            table: table.name.to_string(),
            kind: find::kind(table),
            rows: 0,
            misplaced: 0,
            unknown: 0,
            wrong: Vec::new(),
            copies: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Values that stand on several shards in a UNIQUE key.
    fn doubles(&self) -> u64 {
        self.keys.iter().filter_map(|key| key.doubles).sum()
    }

    fn details(&self) -> Vec<String> {
        let name = format!("{}.{}", self.keyspace, self.table);
        let row = |wrong: &WrongRow| {
            let should = match (&wrong.belongs_to, &wrong.belongs_on) {
                (Some(shard), Some(server)) => format!("belongs to shard {shard} on server {server}"),
                _ => "has a key that Podway cannot route by".to_owned(),
            };
            format!(
                "{name}: the row with {} on shard {} (server {}) {should}",
                wrong.row, wrong.shard, wrong.server
            )
        };
        let copies = self.copies.iter().map(|copy| format!("{name}: {copy}"));
        let keys = self.keys.iter().flat_map(|key| key.lines(&name));
        self.wrong.iter().map(row).chain(copies).chain(keys).collect()
    }
}

impl Row for TableReport {
    const HEAD: &'static [&'static str] = &["table", "kind", "#rows", "found"];

    fn cells(&self) -> Vec<String> {
        let found = match (self.misplaced + self.unknown, self.copies.is_empty()) {
            (0, true) if self.doubles() > 0 => {
                format!("{} ON SEVERAL SHARDS", counted_values(self.doubles()))
            }
            (0, true) => "all is where it belongs".to_owned(),
            (0, false) => "COPIES DIFFER".to_owned(),
            (wrong, _) => format!("{} WRONG", counted_rows(wrong)),
        };
        vec![format!("{}.{}", self.keyspace, self.table), self.kind.to_owned(), self.rows.to_string(), found]
    }
}

impl Report {
    /// Shows it.
    pub(super) fn print(&self, is_json: bool) -> io::Result<()> {
        if is_json {
            return print::json(self);
        }
        print::list(&self.tables, false)?;
        let details: Vec<String> = self.tables.iter().flat_map(TableReport::details).collect();
        if details.is_empty() { Ok(()) } else { print::out(&format!("\n{}", details.join("\n"))) }
    }

    /// What was found in a line; `None`: nothing is wrong.
    pub(super) fn found(&self) -> Option<String> {
        let sum = |of: fn(&TableReport) -> u64| self.tables.iter().map(of).sum::<u64>();
        let (misplaced, unknown) = (sum(|table| table.misplaced), sum(|table| table.unknown));
        let copies = self.tables.iter().filter(|table| !table.copies.is_empty()).count();
        let mut found = Vec::new();
        if misplaced > 0 {
            found.push(format!("{} on a wrong shard", counted_rows(misplaced)));
        }
        if unknown > 0 {
            found.push(format!("{} with a key that Podway cannot route by", counted_rows(unknown)));
        }
        if copies > 0 {
            found.push(format!("{} with copies that differ", counted(copies, "reference table")));
        }
        let doubles = sum(TableReport::doubles);
        if doubles > 0 {
            found.push(format!("{} of UNIQUE keys on several shards", counted_values(doubles)));
        }
        (!found.is_empty()).then(|| found.join(", "))
    }
}

fn counted_values(values: u64) -> String {
    counted(usize::try_from(values).unwrap_or(usize::MAX), "value")
}

fn counted_rows(rows: u64) -> String {
    counted(usize::try_from(rows).unwrap_or(usize::MAX), "row")
}
