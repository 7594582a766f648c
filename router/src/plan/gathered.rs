//! The texts that shards and MySQL get for a gathered statement: the client's own bytes, with spans replaced.

use super::gather::{Edit, EditKind, Fold, Gather, Merge, Part, PartFilter, Takes, Wanted};
use super::plan::Plan;
use super::rewrite::{Facts, name_literal, put_name};
use super::target::{Splice, SpliceKind};
use crate::{ClientCharset, FunctionKind, Normalised, TemplateSpan};

impl PartFilter {
    /// The condition with literals in the places of its parameters.
    fn text(
        &self,
        (sql, n): (&[u8], &Normalised),
        literal: &dyn Fn(u32, Takes) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let whole = n.original_range(self.span.range());
        let mut text = Vec::with_capacity(whole.len());
        let mut copied = whole.start;
        for (number, span) in &self.params {
            let value = literal(*number, self.takes?)?;
            let at = n.original_range(span.range());
            text.extend_from_slice(sql.get(copied..at.start)?);
            text.extend_from_slice(&value);
            copied = at.end;
        }
        text.extend_from_slice(sql.get(copied..whole.end)?);
        Some(text)
    }
}

/// Bytes that are put in the place of a span.
pub(super) enum Put<'p> {
    Bytes(Vec<u8>),
    Splice(usize),
    Edit(&'p Edit),
}

impl Plan {
    /// Appends the statement as one shard of a merge gets it: with what it is ordered by as further columns, and with no more rows than may be needed.
    pub fn shard_text(
        &self,
        merge: &Merge,
        wanted: Wanted,
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut puts = self.splices_at();
        let mut keys = Vec::new();
        for key in &merge.order {
            keys.extend_from_slice(b", ");
            keys.extend_from_slice(key.asked.0.as_bytes());
            self.rewrite_span(key.column, sql, n, facts, &mut keys);
            keys.extend_from_slice(key.asked.1.as_bytes());
        }
        let list_end = TemplateSpan { start: merge.list_end, end: merge.list_end };
        puts.push((list_end, Put::Bytes(keys)));
        if let (Some(limit), Some(rows)) = (merge.limit, wanted.of_each()) {
            puts.push((limit.span, Put::Bytes(rows.to_string().into_bytes())));
        }
        self.put_all(puts, (sql, n), facts, &|_, _| {}, out);
    }

    /// Appends what follows the select list in the statement that reads a part's rows.
    /// `literal` writes a parameter's value as a literal that means the same where such values are taken; conditions with others are left out.
    pub fn part_text(
        &self,
        part: &Part,
        schema: &str,
        (sql, n): (&[u8], &Normalised),
        literal: &dyn Fn(u32, Takes) -> Option<Vec<u8>>,
        out: &mut Vec<u8>,
    ) {
        self.part_text_where(part, (schema, None), (sql, n), literal, out);
    }

    /// The same, under a further condition.
    pub fn part_text_where(
        &self,
        part: &Part,
        (schema, condition): (&str, Option<&str>),
        (sql, n): (&[u8], &Normalised),
        literal: &dyn Fn(u32, Takes) -> Option<Vec<u8>>,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(b" FROM ");
        put_name(schema.as_bytes(), ClientCharset::Utf8, out);
        out.push(b'.');
        put_name(part.table.as_bytes(), ClientCharset::Utf8, out);
        if let Some(partition) = part.partition {
            out.push(b' ');
            out.extend_from_slice(sql.get(n.original_range(partition.range())).unwrap_or_default());
        }
        out.extend_from_slice(b" AS ");
        put_name(part.alias.as_bytes(), ClientCharset::Utf8, out);
        let mut word: &[u8] = b" WHERE (";
        for filter in &part.filters {
            let Some(text) = filter.text((sql, n), literal) else { continue };
            out.extend_from_slice(word);
            out.extend_from_slice(&text);
            out.push(b')');
            word = b" AND (";
        }
        if let Some(condition) = condition {
            out.extend_from_slice(word);
            out.extend_from_slice(condition.as_bytes());
            out.push(b')');
        }
    }

    /// Appends what follows the select list in the statement that has a shard compute its own aggregates; its columns are those of `p`.
    pub fn fold_text(
        &self,
        fold: &Fold,
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(b" FROM (SELECT ");
        for (nth, (before, span, after)) in fold.computed.iter().enumerate() {
            if nth > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(before.as_bytes());
            if let Some(span) = span {
                self.rewrite_span(*span, sql, n, facts, out);
            }
            out.extend_from_slice(after.as_bytes());
            out.extend_from_slice(format!(" AS `c{nth}`").as_bytes());
        }
        out.push(b' ');
        self.rewrite_span(fold.region, sql, n, facts, out);
        for (nth, group) in fold.groups.iter().enumerate() {
            out.extend_from_slice(if nth == 0 { b" GROUP BY " } else { b", " });
            self.rewrite_span(*group, sql, n, facts, out);
        }
        out.extend_from_slice(b") AS p");
    }

    /// Appends the statement over the shards' aggregates; `rows` is a query in parentheses that gives them.
    pub fn folded_text(
        &self,
        fold: &Fold,
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        rows: &[u8],
        out: &mut Vec<u8>,
    ) {
        let mut puts: Vec<(TemplateSpan, Put<'_>)> =
            fold.edits.iter().map(|(span, text)| (*span, Put::Bytes(text.clone().into_bytes()))).collect();
        puts.push((fold.region, Put::Bytes([b"FROM ", rows, b" AS p"].concat())));
        self.put_all(puts, (sql, n), facts, &|_, _| {}, out);
    }

    /// Appends the statement that is finished in MySQL; `rows` appends a query in parentheses that gives a part's rows.
    pub fn final_text(
        &self,
        gather: &Gather,
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        rows: &dyn Fn(usize, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        let is_call = |splice: &Splice| matches!(splice.kind, SpliceKind::Function(_));
        self.edited_text((gather, &is_call), (sql, n), facts, rows, out);
    }

    /// Appends the statement with rows in the places of the parts' tables, and with those splices that stay.
    pub(super) fn edited_text(
        &self,
        (gather, stays): (&Gather, &dyn Fn(&Splice) -> bool),
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        rows: &dyn Fn(usize, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        let mut puts: Vec<(TemplateSpan, Put<'_>)> =
            gather.edits.iter().map(|edit| (edit.span, Put::Edit(edit))).collect();
        let staying = self.splices_at().into_iter().filter(|(_, put)| match put {
            Put::Splice(nth) => stays(&self.splices[*nth]),
            _ => true,
        });
        puts.extend(staying);
        if gather.is_catalog() {
            puts.extend(self.current_databases(facts));
        }
        let alias = |part: usize, out: &mut Vec<u8>| {
            let alias = gather.parts.get(part).map(|part| part.alias.as_bytes()).unwrap_or_default();
            put_name(alias, ClientCharset::Utf8, out);
        };
        let table = |edit: &Edit, out: &mut Vec<u8>| {
            let EditKind::Rows { part, wants_alias, wants_select } = edit.kind else {
                if edit.kind == EditKind::True {
                    out.extend_from_slice(b"TRUE");
                }
                return;
            };
            if wants_select {
                out.extend_from_slice(b"SELECT * FROM ");
            }
            rows(part, out);
            if wants_alias {
                out.extend_from_slice(b" AS ");
                alias(part, out);
            }
        };
        self.put_all(puts, (sql, n), facts, &table, out);
    }

    /// DATABASE() where the text is not about a server: the name that the client knows.
    fn current_databases(&self, facts: &Facts<'_>) -> Vec<(TemplateSpan, Put<'_>)> {
        let calls = self.recognised.functions.iter().filter(|call| call.kind == FunctionKind::Database);
        let name = facts.database.map_or_else(|| b"NULL".to_vec(), name_literal);
        calls.map(|call| (call.span, Put::Bytes(name.clone()))).collect()
    }

    pub(super) fn splices_at(&self) -> Vec<(TemplateSpan, Put<'_>)> {
        self.splices.iter().enumerate().map(|(nth, splice)| (splice.span, Put::Splice(nth))).collect()
    }

    pub(super) fn put_all(
        &self,
        mut puts: Vec<(TemplateSpan, Put<'_>)>,
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        table: &dyn Fn(&Edit, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        puts.sort_by_key(|(span, _)| (span.start, span.end));
        let mut copied = 0;
        for (span, put) in puts {
            let at = n.original_range(span.range());
            if at.start < copied {
                continue;
            }
            out.extend_from_slice(sql.get(copied..at.start).unwrap_or_default());
            copied = at.start;
            match put {
                Put::Bytes(bytes) => out.extend_from_slice(&bytes),
                Put::Edit(edit) => table(edit, out),
                Put::Splice(nth) => {
                    let before = out.len();
                    if !self.put(nth, sql, n, facts, out) {
                        out.truncate(before);
                        continue;
                    }
                }
            }
            copied = at.end;
        }
        out.extend_from_slice(sql.get(copied..).unwrap_or_default());
    }
}
