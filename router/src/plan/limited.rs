//! What shards get of a write with LIMIT: the query that chooses rows, and the statement with as many rows as are a shard's. Read next: [`super::scatter`], which says when
//! that may be.

use podway_model::ShardIndex;

use super::gathered::Put;
use super::plan::Plan;
use super::rewrite::{Facts, put_name};
use super::scatter::{Chosen, Limited, Narrowed, Piece};
use super::target::KeySource;
use crate::{ClientCharset, KeyValue, Normalised, RouterError, TemplateSpan};

impl Limited {
    /// A shard's piece that writes so many rows at most, and of them those that meet a condition on the table's columns, if there is one.
    pub fn piece(&self, shard: ShardIndex, rows: u64, keys: Option<Vec<u8>>) -> Piece {
        let is_param = matches!(self.rows, KeySource::Param(_));
        Piece {
            shard,
            params: is_param.then(|| self.params.clone()),
            has_last_row: true,
            rows: None,
            narrowed: Some(Narrowed { rows, keys }),
        }
    }
}

impl Chosen {
    /// The numbers of the parameters in the query for rows, in their order.
    pub fn params(&self) -> &[u32] {
        &self.params
    }
}

impl Plan {
    /// How many rows a statement writes at most.
    pub fn limit(
        &self,
        limited: &Limited,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
    ) -> Result<u64, RouterError> {
        let unread = || RouterError::unsupported("a LIMIT that is no integer in a write to several shards");
        match limited.rows {
            KeySource::Literal(number) => {
                let literal = n.literals().get(number as usize).ok_or_else(unread)?;
                let digits = std::str::from_utf8(literal.text(sql)).ok();
                digits.and_then(|digits| digits.parse().ok()).ok_or_else(unread)
            }
            KeySource::Param(number) => match params.get(number as usize) {
                Some(&KeyValue::Int(rows)) => u64::try_from(rows).map_err(|_| unread()),
                Some(&KeyValue::UInt(rows)) => Ok(rows),
                _ => Err(unread()),
            },
            _ => Err(unread()),
        }
    }

    /// Appends the query that locks the first `rows` rows on a shard, and gives for each these columns of its primary key and what it is ordered by.
    pub fn chosen_text(
        &self,
        chosen: &Chosen,
        (columns, rows): (&[String], u64),
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) {
        for (nth, column) in columns.iter().enumerate() {
            out.extend_from_slice(if nth == 0 { b"SELECT " } else { b", " });
            put_name(column.as_bytes(), ClientCharset::Utf8, out);
        }
        for key in &chosen.keys {
            out.extend_from_slice(b", ");
            out.extend_from_slice(key.asked.0.as_bytes());
            self.rewrite_span(key.column, sql, n, facts, out);
            out.extend_from_slice(key.asked.1.as_bytes());
        }
        out.extend_from_slice(b" FROM ");
        self.rewrite_span(chosen.from, sql, n, facts, out);
        if let Some(condition) = chosen.condition {
            out.extend_from_slice(b" WHERE ");
            self.rewrite_span(condition, sql, n, facts, out);
        }
        out.extend_from_slice(b" ORDER BY ");
        self.rewrite_span(chosen.order, sql, n, facts, out);
        out.extend_from_slice(format!(" LIMIT {rows} FOR UPDATE").as_bytes());
    }

    /// Appends the statement for fewer rows.
    pub(super) fn narrowed_text(
        &self,
        (limited, narrowed): (&Limited, &Narrowed),
        text: (&[u8], &Normalised),
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut puts = self.splices_at();
        puts.push((limited.span, Put::Bytes(narrowed.rows.to_string().into_bytes())));
        if let (Some(chosen), Some(keys)) = (&limited.chosen, &narrowed.keys) {
            let at = |place: u32| TemplateSpan { start: place, end: place };
            match chosen.condition {
                Some(condition) => {
                    puts.push((at(condition.start), Put::Bytes(b"(".to_vec())));
                    puts.push((at(condition.end), Put::Bytes([b") AND (", keys.as_slice(), b")"].concat())));
                }
                None => {
                    let whole = [b"WHERE ", keys.as_slice(), b" "].concat();
                    puts.push((at(chosen.order_start), Put::Bytes(whole)));
                }
            }
        }
        self.put_all(puts, text, facts, &|_, _| {}, out);
    }
}
