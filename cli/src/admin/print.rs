//! How commands answer: tables for people, JSON for scripts, one line for what was done. A pipe that somebody closed is no error.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;

/// A line of a list.
pub(super) trait Row: Serialize {
    /// The columns' names. Those of numbers begin with `#`, which is not shown.
    const HEAD: &'static [&'static str];

    /// What stands in the columns.
    fn cells(&self) -> Vec<String>;
}

/// Shows a list: a JSON array, or a table.
pub(super) fn list<R: Row>(rows: &[R], is_json: bool) -> io::Result<()> {
    if is_json {
        return json(&rows);
    }
    let text = if rows.is_empty() { "(none)".to_owned() } else { table(rows) };
    out(&text)
}

/// A list as a table.
pub(super) fn table<R: Row>(rows: &[R]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(R::HEAD.iter().map(|name| name.trim_start_matches('#').to_uppercase()));
    table.add_rows(rows.iter().map(Row::cells));
    for (column, name) in table.column_iter_mut().zip(R::HEAD) {
        column.set_padding((0, 2));
        if name.starts_with('#') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    trimmed(&table.to_string())
}

/// Shows one thing: a JSON object, or a line for each of its properties.
pub(super) fn one<T: Serialize>(thing: &T, properties: &[(&str, String)], is_json: bool) -> io::Result<()> {
    if is_json {
        return json(thing);
    }
    let width = properties.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> = properties
        .iter()
        .map(|(name, value)| format!("{name:width$}  {value}").trim_end().to_owned())
        .collect();
    out(&lines.join("\n"))
}

/// Shows what was done: the line, or `{"done": line}`.
pub(super) fn done(line: &str, is_json: bool) -> io::Result<()> {
    if is_json { json(&serde_json::json!({ "done": line })) } else { out(line) }
}

/// Shows JSON.
pub(super) fn json<T: Serialize>(thing: &T) -> io::Result<()> {
    out(&serde_json::to_string_pretty(thing).map_err(io::Error::other)?)
}

/// Shows a text and ends its last line.
pub(super) fn out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        shown => shown,
    }
}

/// Tells something beside the answer.
pub(super) fn note(text: &str) {
    eprintln!("note: {text}");
}

/// "1 shard", "2 shards".
pub(super) fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn trimmed(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Fruit {
        name: &'static str,
        count: u32,
    }

    impl Row for Fruit {
        const HEAD: &'static [&'static str] = &["name", "#count"];

        fn cells(&self) -> Vec<String> {
            vec![self.name.to_owned(), self.count.to_string()]
        }
    }

    #[test]
    fn a_table_is_read_by_people_and_by_awk() {
        let rows = [Fruit { name: "apple", count: 5 }, Fruit { name: "fig", count: 12 }];
        assert_eq!(table(&rows), "NAME   COUNT\napple      5\nfig       12");
    }
}
