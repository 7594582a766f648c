//! The texts that shards and MySQL get for a gathered statement: the client's own bytes, with spans replaced.

use super::{Edit, EditKind, Gather, Merge, Part, PartFilter, Takes};
use crate::plan::plan::Plan;
use crate::plan::rewrite::{Facts, put_name};
use crate::plan::target::SpliceKind;
use crate::{ClientCharset, Normalised, RouterError, TemplateSpan};

/// How much of a merged result is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Rows that are left out before the first.
    pub offset: u64,
    /// Rows; `None`: all.
    pub count: Option<u64>,
}

impl Wanted {
    /// How many rows a shard has to give at most.
    pub fn of_each(&self) -> Option<u64> {
        self.count.map(|count| count.saturating_add(self.offset))
    }
}

impl Merge {
    /// How many rows are wanted of the statement with this text.
    pub fn wanted(&self, sql: &[u8], n: &Normalised) -> Result<Wanted, RouterError> {
        let number = |literal: u32| {
            let text =
                n.literals().get(literal as usize).map(|literal| literal.text(sql)).unwrap_or_default();
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
            number.ok_or_else(|| RouterError::syntax(sql, 0))
        };
        Ok(match self.limit {
            None => Wanted { offset: 0, count: None },
            Some(limit) => Wanted {
                offset: limit.offset.map(number).transpose()?.unwrap_or(0),
                count: Some(number(limit.count)?),
            },
        })
    }
}

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
enum Put<'p> {
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
        let mut puts: Vec<(TemplateSpan, Put<'_>)> =
            gather.edits.iter().map(|edit| (edit.span, Put::Edit(edit))).collect();
        let calls = self.splices_at().into_iter().filter(|(_, put)| match put {
            Put::Splice(nth) => matches!(self.splices[*nth].kind, SpliceKind::Function(_)),
            _ => true,
        });
        puts.extend(calls);
        let alias = |part: usize, out: &mut Vec<u8>| {
            let alias = gather.parts.get(part).map(|part| part.alias.as_bytes()).unwrap_or_default();
            put_name(alias, ClientCharset::Utf8, out);
        };
        let table = |edit: &Edit, out: &mut Vec<u8>| {
            let EditKind::Rows { part, wants_alias, wants_select } = edit.kind else { return };
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

    fn splices_at(&self) -> Vec<(TemplateSpan, Put<'_>)> {
        self.splices.iter().enumerate().map(|(nth, splice)| (splice.span, Put::Splice(nth))).collect()
    }

    fn put_all(
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
