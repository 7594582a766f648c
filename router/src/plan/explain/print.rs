//! An explanation as text: stable, a fact a line, what is sent indented below whoever gets it.

use std::fmt;
use std::time::Duration;

use podway_model::{Map, ShardIndex};

use super::{Explanation, Way};

/// Of a longer text only so many bytes are shown.
const MAX_SHOWN: usize = 4_096;

/// What a shard's answer was when the statement was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The place of its part in [`Explanation::parts`].
    pub part: usize,
    /// The shard.
    pub shard: ShardIndex,
    /// How many rows it gave.
    pub rows: u64,
    /// How many bytes of rows, without the packets' headers.
    pub bytes: u64,
    /// From sending to its last row.
    pub time: Duration,
}

/// What a statement's run took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// What shards gave, in any order.
    pub shards: Vec<Measured>,
    /// What the final statement gave: rows, bytes, time.
    pub last: Option<(u64, u64, Duration)>,
    /// The rows of the result.
    pub rows: u64,
    /// From the first preparation to the result's last row.
    pub time: Duration,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Proxy => "the proxy itself",
            Way::OneShard => "one shard",
            Way::Merged => "merged",
            Way::Folded => "folded",
            Way::Finished => "finished in MySQL",
            Way::Scattered => "scattered write",
            Way::EveryShard => "every shard for itself",
            Way::Operation => "operation on every shard",
            Way::ByParameters => "as its parameters' values decide",
            Way::WithoutInto => "as without its INTO",
        })
    }
}

impl Explanation {
    /// The explanation as text, with what a run took where it was run. `names_servers`: for those who may see where shards lie.
    pub fn printed(&self, map: &Map, measures: Option<&Measures>, names_servers: bool) -> String {
        let mut lines = vec![format!("way: {}", self.way)];
        lines.extend(self.notes.iter().cloned());
        for (nth, part) in self.parts.iter().enumerate() {
            let indent = if part.title.is_some() { "  " } else { "" };
            lines.extend(part.title.clone());
            for (at, sent) in part.sent.iter().enumerate() {
                let took = measures.map_or(String::new(), |measures| measures.said(nth, sent.shard));
                lines.push(format!("{indent}{}{took}", self.place(map, sent.shard, names_servers)));
                if part.sent.get(at + 1).is_none_or(|next| next.text != sent.text) {
                    put_text(&sent.text, indent, &mut lines);
                }
            }
        }
        if let Some(last) = &self.last {
            let place = if last.at_home { "the home shard's server" } else { "any shard's server" };
            let took = measures.and_then(|measures| measures.last);
            let took = took.map_or(String::new(), |(rows, bytes, time)| took_said(rows, bytes, time));
            lines.push(format!("final statement, on {place}{took}"));
            put_text(&last.text, "", &mut lines);
        }
        if let Some(measures) = measures {
            lines.push(format!("result: {} rows in {}", measures.rows, millis(measures.time)));
        }
        lines.join("\n")
    }

    fn place(&self, map: &Map, index: ShardIndex, names_servers: bool) -> String {
        let keyspace = self.keyspace.as_ref().and_then(|name| map.keyspace(name));
        let placed = keyspace.and_then(|keyspace| map.place(keyspace, index));
        let Some((server, shard)) = placed else { return "a shard that has left the map".to_owned() };
        let frozen = keyspace.is_some_and(|keyspace| keyspace.freeze(index).is_some());
        let frozen = if frozen { ", frozen" } else { "" };
        match names_servers {
            true => format!("{} on {}{frozen}", shard.id, server.address()),
            false => format!("{}{frozen}", shard.id),
        }
    }
}

impl Measures {
    fn said(&self, part: usize, shard: ShardIndex) -> String {
        let found = self.shards.iter().find(|measured| (measured.part, measured.shard) == (part, shard));
        found.map_or(": not asked".to_owned(), |found| took_said(found.rows, found.bytes, found.time))
    }
}

fn took_said(rows: u64, bytes: u64, time: Duration) -> String {
    format!(": {rows} rows, {bytes} bytes, {}", millis(time))
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}

fn put_text(text: &[u8], indent: &str, lines: &mut Vec<String>) {
    let shown = &text[..text.len().min(MAX_SHOWN)];
    let shown = String::from_utf8_lossy(shown);
    let shown = shown.trim_end_matches('\u{FFFD}');
    lines.extend(shown.lines().map(|line| format!("{indent}    {line}")));
    if text.len() > MAX_SHOWN {
        lines.push(format!("{indent}    … {} bytes in all", text.len()));
    }
}
