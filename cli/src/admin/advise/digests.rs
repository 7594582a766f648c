//! Statements as a server counts them: `performance_schema.events_statements_summary_by_digest`. The sample of a statement is read where it is
//! whole; else its digest, with the lists put back that MySQL shortened.

use std::collections::BTreeMap;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, FromRowError, Row};
use podway_router::advise::RanStatement;

use crate::admin::print;
use crate::provision::ProvisionError;

/// How many picoseconds a nanosecond has: the timers of performance_schema count the former.
const PICOS: u64 = 1_000;

/// What servers have counted.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// By current database and digest.
    statements: BTreeMap<(Option<String>, String), RanStatement>,
    /// Executions of statements that found no room in the table.
    uncounted: u64,
    /// Statements of which neither the sample nor the digest is whole.
    cut: u64,
}

/// A row of the table.
struct DigestRow {
    database: Option<String>,
    digest: Option<String>,
    text: Option<String>,
    sample: Option<String>,
    count: u64,
    picos: u64,
    rows_examined: u64,
}

impl FromRow for DigestRow {
    fn from_row_opt(mut row: Row) -> Result<Self, FromRowError> {
        let read = |row: &mut Row| {
            let text =
                |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            Some(DigestRow {
                database: row.take(0)?,
                digest: row.take(1)?,
                text: row.take::<Option<Vec<u8>>, _>(2).map(text)?,
                sample: row.take::<Option<Vec<u8>>, _>(3).map(text)?,
                count: row.take(4)?,
                picos: row.take(5)?,
                rows_examined: row.take(6)?,
            })
        };
        read(&mut row).ok_or(FromRowError(row))
    }
}

/// Reads what the server counted of statements in this schema, or that name it.
pub(super) async fn read(conn: &mut Conn, schema: &str, keyspace: &str) -> Result<Counted, ProvisionError> {
    let sql = "SELECT schema_name, digest, digest_text, query_sample_text, count_star, sum_timer_wait, sum_rows_examined \
               FROM performance_schema.events_statements_summary_by_digest \
               WHERE schema_name = ? OR INSTR(digest_text, CONCAT('`', ?, '` .')) > 0 OR digest IS NULL";
    let doing = "reading performance_schema.events_statements_summary_by_digest".to_owned();
    let rows: Vec<DigestRow> =
        conn.exec(sql, (schema, schema)).await.map_err(|error| ProvisionError::Statement { doing, error })?;
    let mut counted = Counted::default();
    for row in rows {
        counted.take(row, schema, keyspace);
    }
    Ok(counted)
}

impl Counted {
    fn take(&mut self, row: DigestRow, schema: &str, keyspace: &str) {
        let (Some(digest), Some(digest_text)) = (row.digest, row.text) else {
            self.uncounted += row.count;
            return;
        };
        let Some(text) = whole(row.sample.as_deref(), &digest_text) else {
            self.cut += 1;
            return;
        };
        // On a shard the statements name the schema that lies there.
        let text = if schema == keyspace {
            text
        } else {
            text.replace(&format!("`{schema}`"), &format!("`{keyspace}`"))
        };
        let database = row.database.filter(|database| database != schema);
        let known = self.statements.entry((database.clone(), digest)).or_default();
        known.database = database;
        if known.texts.is_empty() {
            known.texts.push(text);
        }
        known.count += row.count;
        known.nanos += row.picos / PICOS;
        known.rows_examined += row.rows_examined;
    }

    /// Adds what another server counted.
    pub(super) fn add(&mut self, other: Counted) {
        self.uncounted += other.uncounted;
        self.cut += other.cut;
        for (key, ran) in other.statements {
            let known = self.statements.entry(key).or_default();
            known.database = ran.database;
            if known.texts.is_empty() {
                known.texts = ran.texts;
            }
            known.count += ran.count;
            known.nanos += ran.nanos;
            known.rows_examined += ran.rows_examined;
        }
    }

    /// Says what could not be counted.
    pub(super) fn note(&self) {
        if self.uncounted > 0 {
            print::note(&format!(
                "{} executions found no room in the server's digest table and are not judged; performance_schema_digests_size makes it larger",
                self.uncounted
            ));
        }
        if self.cut > 0 {
            print::note(&format!(
                "{} statements are longer than the server keeps and are not judged; max_digest_length and performance_schema_max_sql_text_length make room",
                self.cut
            ));
        }
    }

    pub(super) fn statements(self) -> Vec<RanStatement> {
        self.statements.into_values().collect()
    }
}

/// The sample, if it is whole, or what the digest says of the statement.
fn whole(sample: Option<&str>, digest_text: &str) -> Option<String> {
    let is_cut = |text: &str| text.trim_end().ends_with("...");
    match sample {
        Some(sample) if !sample.is_empty() && !is_cut(sample) => Some(sample.to_owned()),
        _ if is_cut(digest_text) => None,
        _ => Some(spelled_out(digest_text)),
    }
}

/// How a digest says that further rows followed.
const MORE_ROWS: &str = " /* , ... */";

/// A digest with the lists that MySQL shortened: `IN (...)` has two values, `VALUES (...)` one for each listed column, twice where more rows followed.
fn spelled_out(digest_text: &str) -> String {
    let mut text = String::with_capacity(digest_text.len());
    let mut rest = digest_text;
    while let Some(at) = rest.find("(...)") {
        text.push_str(&rest[..at]);
        rest = &rest[at + "(...)".len()..];
        let behind = text.trim_end();
        let is_row = behind.ends_with("VALUES") || behind.ends_with("VALUE");
        let count = if is_row { listed_columns(&text).unwrap_or(1) } else { 2 };
        text.push_str(&format!("({})", vec!["?"; count].join(", ")));
    }
    text.push_str(rest);
    while let Some((rows, behind)) = text.split_once(MORE_ROWS) {
        let row = rows.rfind('(').map_or("", |at| &rows[at..]);
        text = format!("{rows}, {row}{behind}");
    }
    text
}

/// How many columns the list before VALUES names.
fn listed_columns(text: &str) -> Option<usize> {
    let list = text.trim_end().trim_end_matches("VALUES").trim_end_matches("VALUE").trim_end();
    let inner = list.strip_suffix(')')?;
    Some(inner[inner.rfind('(')?..].matches(',').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_a_statement_again() {
        let cases = [
            ("SELECT * FROM `t` WHERE `id` = ?", "SELECT * FROM `t` WHERE `id` = ?"),
            ("SELECT ? FROM `t` WHERE `id` IN (...)", "SELECT ? FROM `t` WHERE `id` IN (?, ?)"),
            ("INSERT INTO `t` ( `a` , `b` ) VALUES (...)", "INSERT INTO `t` ( `a` , `b` ) VALUES (?, ?)"),
            (
                "INSERT INTO `t` ( `a` , `b` ) VALUES (...) /* , ... */",
                "INSERT INTO `t` ( `a` , `b` ) VALUES (?, ?), (?, ?)",
            ),
            ("INSERT INTO `t` ( `a` ) VALUES (?) /* , ... */", "INSERT INTO `t` ( `a` ) VALUES (?), (?)"),
        ];
        for (digest, text) in cases {
            assert_eq!(spelled_out(digest), text);
        }
    }

    #[test]
    fn a_sample_that_is_cut_gives_way_to_the_digest() {
        assert_eq!(whole(Some("SELECT 1"), "SELECT ?").as_deref(), Some("SELECT 1"));
        assert_eq!(whole(Some("SELECT 'aaaa..."), "SELECT ?").as_deref(), Some("SELECT ?"));
        assert_eq!(whole(None, "SELECT ?").as_deref(), Some("SELECT ?"));
        assert_eq!(whole(Some("SELECT 'aaaa..."), "SELECT ? , ..."), None);
    }
}
