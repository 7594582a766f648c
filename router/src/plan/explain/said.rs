//! Keys, orders and limits in words. Never decides anything.

use podway_model::{Keyspace, ShardIndex};

use super::Scene;
use crate::plan::gather::{Compared, Gather, Merge, Rows, Wanted};
use crate::plan::plan::Plan;
use crate::plan::target::{KeyPin, KeySource, KeyUse, Target};

/// How many keys are said; of more their number.
const MAX_KEYS: usize = 8;

impl Plan {
    /// The keys that lead to shards, a line each.
    pub(super) fn keys_said(&self, scene: &Scene<'_>) -> Vec<String> {
        match &self.target {
            Target::Keys { pins, .. } => keys_said(pins, scene),
            Target::Scattered { .. } => {
                self.scatter.as_ref().map_or(Vec::new(), |scatter| keys_said(&scatter.keys, scene))
            }
            _ => Vec::new(),
        }
    }

    /// Why one shard is not enough.
    pub(super) fn not_one(&self, gather: &Gather, scene: &Scene<'_>, keyspace: &Keyspace) -> String {
        if gather.is_catalog() {
            return "not one shard: each shard knows its own databases' names and its own rows' numbers"
                .to_owned();
        }
        let unpinned =
            gather.parts.iter().find(|part| matches!(&part.rows, Rows::Shards(keys) if keys.is_empty()));
        if let Some(part) = unpinned {
            return format!("not one shard: nothing pins the sharded table {} to one key", part.table);
        }
        let shards: Vec<ShardIndex> = self.part_shards(gather, scene, keyspace);
        let at_home = gather.parts.iter().find(|part| part.rows == Rows::Home);
        match (shards.len(), at_home) {
            (0 | 1, Some(part)) => {
                format!("not one shard: the rows of {} are on the home shard, others elsewhere", part.table)
            }
            (count, _) => {
                format!("not one shard: its keys lead, or may lead, to {count} shards")
            }
        }
    }

    fn part_shards(&self, gather: &Gather, scene: &Scene<'_>, keyspace: &Keyspace) -> Vec<ShardIndex> {
        let text = (scene.sql, scene.n);
        let of_part = |rows: &Rows| match rows {
            Rows::Shards(keys) => self.shards(keyspace, keys, text, &[]),
            _ => Vec::new(),
        };
        let mut shards: Vec<ShardIndex> = gather.parts.iter().flat_map(|part| of_part(&part.rows)).collect();
        shards.sort_unstable();
        shards.dedup();
        shards
    }
}

/// Keys as conditions, a line each.
pub(super) fn keys_said(pins: &[KeyPin], scene: &Scene<'_>) -> Vec<String> {
    let mut lines: Vec<String> = pins.iter().take(MAX_KEYS).map(|pin| key_said(pin, scene)).collect();
    if pins.len() > MAX_KEYS {
        lines.push(format!("and {} keys more", pins.len() - MAX_KEYS));
    }
    lines
}

fn key_said(pin: &KeyPin, scene: &Scene<'_>) -> String {
    let operator = |at: usize| match &pin.usage {
        KeyUse::Predicate { null_safe, .. } if null_safe.get(at) == Some(&true) => "<=>",
        KeyUse::Predicate { .. } => "=",
        KeyUse::Insert { .. } => ":=",
    };
    let columns: Vec<String> = (pin.table.key_columns().zip(&pin.columns).enumerate())
        .map(|(at, (column, source))| {
            format!("{} {} {}", column.name, operator(at), value_said(*source, scene))
        })
        .collect();
    format!("key of {}: {}", pin.table.name, columns.join(", "))
}

fn value_said(source: KeySource, scene: &Scene<'_>) -> String {
    let literal = |at: u32| {
        let literal = scene.n.literals().get(at as usize);
        String::from_utf8_lossy(literal.map(|literal| literal.text(scene.sql)).unwrap_or_default())
            .into_owned()
    };
    match source {
        KeySource::Literal(at) => literal(at),
        KeySource::NegatedLiteral(at) => format!("-{}", literal(at)),
        KeySource::Param(at) => format!("parameter {}", at + 1),
        KeySource::Integer(value) => value.to_string(),
        KeySource::Null => "NULL".to_owned(),
        KeySource::Default => "DEFAULT".to_owned(),
    }
}

/// How the shards' rows are put together.
pub(super) fn merge_said(merge: &Merge, wanted: Wanted, scene: &Scene<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let key = |key: &crate::plan::gather::OrderKey| {
        let text = scene.sql.get(scene.n.original_range(key.column.range())).unwrap_or_default();
        let compared = match key.compared {
            Compared::Number => "as numbers",
            Compared::Double => "as floating-point numbers",
            Compared::Bytes => "byte by byte",
        };
        let direction = if key.descending { " descending" } else { "" };
        format!("{}{direction} ({compared})", String::from_utf8_lossy(text))
    };
    if merge.order.is_empty() {
        lines.push("rows: one shard's after the other's".to_owned());
    } else {
        let keys: Vec<String> = merge.order.iter().map(key).collect();
        lines.push(format!("rows: in the order of {}", keys.join(", ")));
    }
    if let Some(count) = wanted.count {
        lines.push(match wanted.offset {
            0 => format!("limit: {count}"),
            offset => format!("limit: {count}, after {offset} that are left out"),
        });
    }
    lines
}
