//! Statements out of a file: a slow log, a general log, or one statement on each line; those that differ in literals alone count as one. Pure.

use std::collections::HashMap;

use podway_router::advise::RanStatement;
use podway_router::{ClientCharset, Normalised, SqlMode};

/// How many texts of a statement are kept, to see which keys they name.
const TEXTS: usize = 1_000;

/// A statement in a log.
#[derive(Debug, Default, PartialEq)]
struct Entry {
    text: String,
    database: Option<String>,
    nanos: u64,
    rows_examined: u64,
}

/// The statements of a file. Those that ran in another current database than `keyspace` say so.
pub(super) fn statements(text: &str, keyspace: &str, sql_mode: SqlMode) -> Vec<RanStatement> {
    let entries = if text.lines().any(|line| line.starts_with("# Query_time:")) {
        slow_log(text)
    } else if text.lines().any(|line| general_command(line).is_some()) {
        general_log(text)
    } else {
        plain(text)
    };
    let mut places: HashMap<(Option<String>, Vec<u8>), usize> = HashMap::new();
    let mut statements: Vec<RanStatement> = Vec::new();
    for entry in entries {
        let mut n = Normalised::new();
        let template = match n.run(entry.text.as_bytes(), sql_mode, ClientCharset::Utf8) {
            Ok(()) => n.template().to_vec(),
            Err(_) => entry.text.clone().into_bytes(),
        };
        let database = entry.database.filter(|database| database != keyspace);
        let place = *places.entry((database.clone(), template)).or_insert_with(|| {
            statements.push(RanStatement { database, ..RanStatement::default() });
            statements.len() - 1
        });
        let ran = &mut statements[place];
        ran.count += 1;
        ran.nanos += entry.nanos;
        ran.rows_examined += entry.rows_examined;
        if ran.texts.len() < TEXTS {
            ran.texts.push(entry.text);
        }
    }
    statements
}

/// One statement on each line; `--` and `#` begin comments.
fn plain(text: &str) -> Vec<Entry> {
    let lines = text.lines().map(|line| line.trim().trim_end_matches(';').trim_end());
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("--") && !line.starts_with('#'));
    lines.map(|line| Entry { text: line.to_owned(), ..Entry::default() }).collect()
}

/// Lines of `#` with what a statement cost, then the statement, up to the next such lines. The log repeats `use` where the database changes.
fn slow_log(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut current: Option<Entry> = None;
    let mut database: Option<String> = None;
    for line in text.lines() {
        if line.starts_with("# ") {
            if let Some(entry) = current.take_if(|entry| !entry.text.is_empty()) {
                entries.push(entry);
            }
            let entry = current.get_or_insert_default();
            if let Some(seconds) = number_behind(line, "# Query_time:") {
                entry.nanos = (seconds * 1e9) as u64;
            }
            if let Some(rows) = number_behind(line, "Rows_examined:") {
                entry.rows_examined = rows as u64;
            }
            continue;
        }
        let Some(entry) = current.as_mut() else { continue };
        let trimmed = line.trim_end();
        if let Some(name) = used_database(trimmed).filter(|_| entry.text.is_empty()) {
            database = Some(name.to_owned());
        } else if !(entry.text.is_empty() && is_clock(trimmed)) {
            entry.database.clone_from(&database);
            push_line(&mut entry.text, trimmed);
        }
    }
    entries.extend(current.filter(|entry| !entry.text.is_empty()));
    finish(entries)
}

/// The name in `use name;`.
fn used_database(line: &str) -> Option<&str> {
    let (word, name) = line.split_once(' ')?;
    word.eq_ignore_ascii_case("use").then(|| name.trim_end_matches(';').trim().trim_matches('`'))
}

/// Whether the line is the log's own `SET timestamp=…;`.
fn is_clock(line: &str) -> bool {
    line.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("set timestamp="))
}

fn number_behind(line: &str, word: &str) -> Option<f64> {
    let (_, rest) = line.split_once(word)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// `time<TAB>thread command<TAB>argument`; what follows without such a head belongs to the argument.
fn general_log(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut databases: HashMap<&str, String> = HashMap::new();
    let mut is_open = false;
    for line in text.lines() {
        let Some((thread, command, argument)) = general_command(line) else {
            if let Some(entry) = entries.last_mut().filter(|_| is_open) {
                push_line(&mut entry.text, line);
            }
            continue;
        };
        is_open = false;
        match command {
            "Init DB" => {
                databases.insert(thread, argument.trim().to_owned());
            }
            "Connect" => {
                // "user@host on database using TCP/IP"
                let database = argument.split_once(" on ").map(|(_, rest)| rest);
                let database =
                    database.and_then(|rest| rest.split(" using").next()).unwrap_or_default().trim();
                if !database.is_empty() {
                    databases.insert(thread, database.to_owned());
                }
            }
            "Query" | "Execute" => {
                is_open = true;
                let database = databases.get(thread).cloned();
                entries.push(Entry { text: argument.to_owned(), database, ..Entry::default() });
            }
            _ => {}
        }
    }
    finish(entries)
}

fn general_command(line: &str) -> Option<(&str, &str, &str)> {
    let (time, rest) = line.split_once('\t')?;
    let is_time =
        time.len() >= 20 && time.as_bytes()[..4].iter().all(u8::is_ascii_digit) && time.contains('T');
    let (thread, command) = rest.trim_start().split_once(' ')?;
    let is_thread = thread.bytes().all(|byte| byte.is_ascii_digit());
    let (command, argument) = command.split_once('\t').unwrap_or((command, ""));
    (is_time && is_thread).then_some((thread, command.trim(), argument))
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

fn finish(entries: Vec<Entry>) -> Vec<Entry> {
    let finished = entries.into_iter().map(|mut entry| {
        entry.text = entry.text.trim().trim_end_matches(';').trim_end().to_owned();
        entry
    });
    finished.filter(|entry| !entry.text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, u64, u64)> {
        let statements = statements(text, "shop", SqlMode::STRICT);
        statements.into_iter().map(|ran| (ran.texts.join(" | "), ran.count, ran.nanos)).collect()
    }

    #[test]
    fn lines_that_differ_in_literals_are_one_statement() {
        let text =
            "-- a comment\nSELECT 1 FROM t WHERE id = 5;\n\nSELECT 1 FROM t WHERE id = 7\nSELECT 2 FROM u\n";
        let expected = [
            ("SELECT 1 FROM t WHERE id = 5 | SELECT 1 FROM t WHERE id = 7".to_owned(), 2, 0),
            ("SELECT 2 FROM u".to_owned(), 1, 0),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_slow_log_gives_statements_with_what_they_cost() {
        let text = "/usr/sbin/mysqld, Version: 8.4.3 (MySQL Community Server). started with:\nTcp port: 3306\n\
            # Time: 2024-05-01T10:00:00.000001Z\n# User@Host: app[app] @ localhost []  Id:     8\n\
            # Query_time: 0.250000  Lock_time: 0.000001 Rows_sent: 1  Rows_examined: 300\n\
            use shop;\nSET timestamp=1714557600;\nSELECT *\nFROM orders;\n\
            # Time: 2024-05-01T10:00:01.000001Z\n# User@Host: app[app] @ localhost []  Id:     8\n\
            # Query_time: 0.500000  Lock_time: 0.000001 Rows_sent: 1  Rows_examined: 7\n\
            SET timestamp=1714557601;\nSELECT 2;\n";
        let expected =
            [("SELECT *\nFROM orders".to_owned(), 1, 250_000_000), ("SELECT 2".to_owned(), 1, 500_000_000)];
        assert_eq!(read(text), expected);
        assert_eq!(statements(text, "shop", SqlMode::STRICT)[0].rows_examined, 300);
        assert_eq!(statements(text, "other", SqlMode::STRICT)[1].database.as_deref(), Some("shop"));
    }

    #[test]
    fn a_general_log_gives_the_queries_and_their_databases() {
        let text = "Time                 Id Command    Argument\n\
            2024-05-01T10:00:00.000001Z\t    8 Connect\tapp@localhost on shop using TCP/IP\n\
            2024-05-01T10:00:00.000002Z\t    8 Query\tSELECT *\nFROM orders WHERE id = 1\n\
            2024-05-01T10:00:00.000003Z\t    9 Init DB\tother\n\
            2024-05-01T10:00:00.000004Z\t    9 Execute\tSELECT 1\n\
            2024-05-01T10:00:00.000005Z\t    9 Quit\t\n";
        let read = statements(text, "shop", SqlMode::STRICT);
        let shown: Vec<(&str, Option<&str>)> =
            read.iter().map(|ran| (ran.texts[0].as_str(), ran.database.as_deref())).collect();
        assert_eq!(shown, [("SELECT *\nFROM orders WHERE id = 1", None), ("SELECT 1", Some("other"))]);
    }
}
