//! Puts the proxy's bytes in the place of the client's: physical schemas, what only the session knows, and the aliases that keep
//! columns' names. Every byte outside a splice is copied as it is.

use std::io::Write;
use std::ops::Range;

use podway_model::{HybridTime, Name};

use super::context::PlanContext;
use super::numbered::Numbers;
use super::plan::Plan;
use super::target::SpliceKind;
use crate::{ClientCharset, FunctionKind, Normalised, SqlMode, TemplateSpan};

/// What a session knows when a statement is sent.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The session's current database, as clients name it.
    pub database: Option<&'a Name>,
    /// The physical schema of a keyspace on the shard that the statement goes to; `None` where the name stays as it is.
    pub physical: &'a dyn Fn(&Name) -> Option<&'a str>,
    /// What CONNECTION_ID() gives.
    pub connection_id: u64,
    /// What ROW_COUNT() gives.
    pub row_count: i64,
    /// What FOUND_ROWS() gives.
    pub found_rows: u64,
    /// `@@warning_count`.
    pub warning_count: u64,
    /// `@@error_count`.
    pub error_count: u64,
    /// `character_set_client`, in which the statement is written.
    pub charset: ClientCharset,
    /// The session's `sql_mode`.
    pub sql_mode: SqlMode,
    /// AUTO_INCREMENT numbers that the cluster gave to the statement's rows.
    pub numbers: Numbers<'a>,
    /// The variables that are Podway's own.
    pub podway: PodwayVariables<'a>,
}

impl<'a> Facts<'a> {
    /// What a session knows that has just begun, where nothing is named otherwise on the shards.
    pub fn of_new_session(ctx: &PlanContext<'a>) -> Facts<'a> {
        Facts {
            database: ctx.keyspace,
            physical: &|_| None,
            connection_id: 0,
            row_count: -1,
            found_rows: 0,
            warning_count: 0,
            error_count: 0,
            charset: ctx.charset,
            sql_mode: ctx.sql_mode,
            numbers: Numbers::default(),
            podway: PodwayVariables::default(),
        }
    }
}

/// A session's variables that are Podway's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct PodwayVariables<'a> {
    /// `@@podway_read`.
    pub read: &'a str,
    /// `@@podway_after`.
    pub after: Option<HybridTime>,
    /// `@@podway_last_commit`.
    pub last_commit: Option<HybridTime>,
    /// `@@podway_stamp_single_shard`.
    pub stamps_single_shard: bool,
    /// `@@session_track_system_variables`.
    pub tracked: &'a str,
}

/// A part of a statement for several shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPiece {
    /// Bytes as they are.
    Text(Vec<u8>),
    /// The physical schema of this keyspace.
    Schema(Name),
}

impl Plan {
    /// Whether the statement cannot be sent as it is; `physical_is_logical`: whether the shards that it goes to have schemas named like
    /// their keyspaces.
    pub fn needs_rewrite(&self, physical_is_logical: bool) -> bool {
        self.splices.iter().any(|splice| match splice.kind {
            SpliceKind::Function(FunctionKind::Database) => !physical_is_logical || self.names.elsewhere,
            SpliceKind::Function(_) => true,
            SpliceKind::Schema(_) | SpliceKind::SchemaText(_) => !physical_is_logical,
            // With numbers it is written anew anyway.
            SpliceKind::Heading(_) | SpliceKind::Number { .. } | SpliceKind::NumberColumn { .. } => false,
        })
    }

    /// Appends the statement as it is to be sent.
    pub fn rewrite(&self, sql: &[u8], n: &Normalised, facts: &Facts<'_>, out: &mut Vec<u8>) {
        self.rewrite_end(0, sql, n, facts, out);
    }

    /// Appends the statement from `start` in the template to its end.
    pub(super) fn rewrite_end(
        &self,
        start: u32,
        sql: &[u8],
        n: &Normalised,
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) {
        let rest = TemplateSpan { start, end: n.template().len() as u32 };
        self.rewrite_span(rest, sql, n, facts, out);
        // The end of the last literal is behind the template's last byte as mapped: whatever follows is copied.
        let copied = n.original_offset(n.template().len());
        out.extend_from_slice(sql.get(copied..).unwrap_or_default());
    }

    /// The statement in pieces, a keyspace's name standing wherever its physical schema goes: for whoever sends it to several shards. `facts` are as for one shard of
    /// that keyspace's own name.
    pub fn text_pieces(&self, sql: &[u8], n: &Normalised, facts: &Facts<'_>) -> Vec<TextPiece> {
        let mut pieces = Vec::new();
        let mut text = Vec::new();
        let mut copied = 0;
        for (nth, splice) in self.splices.iter().enumerate() {
            let at = n.original_range(splice.span.range());
            if at.start < copied {
                continue;
            }
            text.extend_from_slice(sql.get(copied..at.start).unwrap_or_default());
            copied = at.start;
            match &splice.kind {
                SpliceKind::Schema(keyspace) => {
                    pieces.push(TextPiece::Text(std::mem::take(&mut text)));
                    pieces.push(TextPiece::Schema(keyspace.clone()));
                    copied = at.end;
                }
                _ => {
                    let before = text.len();
                    match self.put(nth, sql, n, facts, &mut text) {
                        true => copied = at.end,
                        false => text.truncate(before),
                    }
                }
            }
        }
        text.extend_from_slice(sql.get(copied..).unwrap_or_default());
        pieces.push(TextPiece::Text(text));
        pieces
    }

    /// Appends one part of the statement, such as the value of a SET, as it is to be sent.
    pub fn rewrite_span(
        &self,
        span: TemplateSpan,
        sql: &[u8],
        n: &Normalised,
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) {
        let Range { start: mut copied, end } = n.original_range(span.range());
        // Splices are sorted by their ends.
        let first = self.splices.partition_point(|splice| splice.span.end < span.start);
        let inside = self.splices.iter().enumerate().skip(first);
        for (nth, splice) in inside.take_while(|(_, splice)| splice.span.end <= span.end) {
            if splice.span.start < span.start {
                continue;
            }
            let at = n.original_range(splice.span.range());
            if at.start < copied {
                continue;
            }
            let before = out.len();
            out.extend_from_slice(sql.get(copied..at.start).unwrap_or_default());
            if self.put(nth, sql, n, facts, out) {
                copied = at.end;
            } else {
                out.truncate(before);
            }
        }
        out.extend_from_slice(sql.get(copied..end).unwrap_or_default());
    }

    /// Appends what a splice puts in; `false`, and nothing appended, where the client's bytes stay.
    pub(super) fn put(
        &self,
        nth: usize,
        sql: &[u8],
        n: &Normalised,
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        match &self.splices[nth].kind {
            SpliceKind::Schema(keyspace) => match (facts.physical)(keyspace) {
                Some(physical) if physical != keyspace.as_str() => {
                    put_name(physical.as_bytes(), ClientCharset::Utf8, out)
                }
                _ => return false,
            },
            SpliceKind::SchemaText(literal) => {
                let Some(physical) = self.schema_text(*literal, sql, n, facts) else { return false };
                put_text(physical.as_bytes(), b'\'', out);
            }
            SpliceKind::Function(kind) => {
                let Some(text) = self.call(*kind, facts) else { return false };
                out.extend_from_slice(&text);
            }
            SpliceKind::Number { row, comma } => {
                let Some(number) = facts.numbers.values.get(*row as usize).copied().flatten() else {
                    return false;
                };
                if *comma {
                    out.extend_from_slice(b", ");
                }
                match facts.numbers.as_params {
                    true => out.push(b'?'),
                    false => out.extend_from_slice(number.to_string().as_bytes()),
                }
            }
            SpliceKind::NumberColumn { text } => {
                if facts.numbers.values.iter().all(Option::is_none) {
                    return false;
                }
                out.extend_from_slice(text);
            }
            SpliceKind::Heading(item) => {
                // Splices are sorted by their ends: those inside the item stand right before its heading.
                let inside = (0..nth).rev().take_while(|&other| self.splices[other].span.end > item.start);
                let mut scratch = Vec::new();
                let changed = inside
                    .filter(|&other| !matches!(self.splices[other].kind, SpliceKind::Heading(_)))
                    .any(|other| self.put(other, sql, n, facts, &mut scratch));
                if !changed {
                    return false;
                }
                out.extend_from_slice(b" AS ");
                let text = sql.get(n.original_range(item.range())).unwrap_or_default();
                put_name(text, facts.charset, out);
            }
        }
        true
    }

    fn call(&self, kind: FunctionKind, facts: &Facts<'_>) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        // A bare number could be taken for a column's place in ORDER BY or GROUP BY; a cast cannot, and keeps the type.
        let written = match kind {
            FunctionKind::ConnectionId | FunctionKind::PseudoThreadId => {
                write!(text, "CAST({} AS UNSIGNED)", facts.connection_id)
            }
            FunctionKind::RowCount => write!(text, "CAST({} AS SIGNED)", facts.row_count),
            FunctionKind::FoundRows => write!(text, "CAST({} AS SIGNED)", facts.found_rows),
            FunctionKind::WarningCount => write!(text, "CAST({} AS UNSIGNED)", facts.warning_count),
            FunctionKind::ErrorCount => write!(text, "CAST({} AS UNSIGNED)", facts.error_count),
            FunctionKind::PodwayLastCommit if facts.podway.last_commit.is_none() => write!(text, "NULL"),
            FunctionKind::PodwayLastCommit | FunctionKind::PodwayLastCommitVariable => {
                write!(text, "_utf8mb4'{}'", stamp(facts.podway.last_commit))
            }
            FunctionKind::PodwayAfter => write!(text, "_utf8mb4'{}'", stamp(facts.podway.after)),
            FunctionKind::PodwayRead => write!(text, "_utf8mb4'{}'", facts.podway.read),
            FunctionKind::PodwayStampSingleShard => {
                write!(text, "CAST({} AS SIGNED)", u8::from(facts.podway.stamps_single_shard))
            }
            FunctionKind::TrackedVariables => put_literal("_utf8mb4", facts.podway.tracked, &mut text),
            // It is answered by the proxy; this is for whoever asks what its answer will look like.
            FunctionKind::PodwayOutcome => write!(text, "LOWER"),
            FunctionKind::Database => {
                let Some(database) = facts.database else {
                    text.extend_from_slice(b"NULL");
                    return Some(text);
                };
                let same = (facts.physical)(database).is_none_or(|physical| physical == database.as_str());
                if same && !self.names.elsewhere {
                    return None;
                }
                put_literal("_utf8mb3", database.as_str(), &mut text)
            }
            _ => return None,
        };
        written.is_ok().then_some(text)
    }

    /// The physical schema that a literal names by its keyspace's name.
    fn schema_text<'f>(
        &self,
        literal: u32,
        sql: &[u8],
        n: &Normalised,
        facts: &Facts<'f>,
    ) -> Option<&'f str> {
        let text = n.literals().get(literal as usize)?.text(sql);
        let inner = std::str::from_utf8(text.get(1..text.len().checked_sub(1)?)?).ok()?;
        let keyspace = self.keyspaces().find(|keyspace| keyspace.as_str() == inner)?;
        (facts.physical)(keyspace).filter(|physical| *physical != inner)
    }
}

fn stamp(stamp: Option<HybridTime>) -> String {
    stamp.map_or_else(String::new, |stamp| stamp.to_string())
}

/// A name in backticks. A backtick may also be the second half of a character: those are left alone.
pub(super) fn put_name(name: &[u8], charset: ClientCharset, out: &mut Vec<u8>) {
    out.push(b'`');
    let mut rest = name;
    while let Some(&byte) = rest.first() {
        let length = charset.char_len(rest).min(rest.len());
        out.extend_from_slice(&rest[..length]);
        if byte == b'`' {
            out.push(b'`');
        }
        rest = &rest[length..];
    }
    out.push(b'`');
}

/// A string in a character set of its own: in hexadecimal digits, unless every SQL mode and character set of a client reads it alike between quotes.
fn put_literal(introducer: &str, text: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii() && byte != b'\\' && byte != b'\'');
    if is_plain {
        return write!(out, "{introducer}'{text}'");
    }
    write!(out, "{introducer} X'")?;
    text.bytes().try_for_each(|byte| write!(out, "{byte:02X}"))?;
    write!(out, "'")
}

/// A database's name as DATABASE() gives it.
pub(super) fn name_literal(name: &Name) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to a Vec does not fail.
    let _ = put_literal("_utf8mb3", name.as_str(), &mut text);
    text
}

/// A string of characters that need no escape but the quote's own.
fn put_text(text: &[u8], quote: u8, out: &mut Vec<u8>) {
    out.push(quote);
    for &byte in text {
        if byte == quote {
            out.push(quote);
        }
        out.push(byte);
    }
    out.push(quote);
}
