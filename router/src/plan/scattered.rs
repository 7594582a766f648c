//! What each shard gets of a write on several: which rows, which parameters, which text. Read next: [`super::scatter`], which says what may be written so.

use std::collections::BTreeMap;

use podway_model::{Keyspace, ShardIndex};

use super::plan::Plan;
use super::rewrite::Facts;
use super::scatter::{Piece, Scatter};
use crate::{KeyValue, Normalised, RouterError, TemplateSpan};

impl Plan {
    /// What each shard gets, in the shards' order; but the piece with an INSERT's first row comes first.
    pub fn pieces(
        &self,
        scatter: &Scatter,
        keyspace: &Keyspace,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
        numbers: &[Option<u64>],
    ) -> Result<Vec<Piece>, RouterError> {
        if !scatter.rows.is_empty() {
            return self.row_pieces(scatter, keyspace, ((sql, n), params), numbers);
        }
        if scatter.is_at_home {
            return Ok(vec![Piece::whole(keyspace.home)]);
        }
        if scatter.transfer.is_some() || scatter.load.is_some() {
            return Ok(Vec::new());
        }
        self.check_counters(scatter, (sql, n), params, numbers)?;
        let shards = self.shards(keyspace, &scatter.keys, (sql, n), params);
        // Where no row can have these keys, one shard says so.
        let none = shards.is_empty().then_some(keyspace.home);
        Ok(shards.into_iter().chain(none).map(Piece::whole).collect())
    }

    fn row_pieces(
        &self,
        scatter: &Scatter,
        keyspace: &Keyspace,
        (text, params): ((&[u8], &Normalised), &[KeyValue<'_>]),
        numbers: &[Option<u64>],
    ) -> Result<Vec<Piece>, RouterError> {
        let shards = self.row_shards(keyspace, text, params, numbers)?;
        // A row that MySQL will refuse may do so anywhere.
        let anywhere = shards.iter().flatten().next().copied().unwrap_or(keyspace.home);
        let (count, last) = (text.1.param_count() as u32, shards.len() as u32 - 1);
        let piece = |(shard, rows): (ShardIndex, Vec<u32>)| Piece {
            shard,
            params: (count > 0).then(|| scatter.params_of(&rows, count)),
            has_last_row: rows.last() == Some(&last),
            rows: Some(rows),
            narrowed: None,
        };
        if self.counted.as_ref().is_some_and(|counted| counted.goes_one_by_one(numbers)) {
            let each = (0..).zip(&shards).map(|(row, shard)| (shard.unwrap_or(anywhere), vec![row]));
            return Ok(each.map(piece).collect());
        }
        let mut rows: BTreeMap<ShardIndex, Vec<u32>> = BTreeMap::new();
        for (row, shard) in (0..).zip(&shards) {
            rows.entry(shard.unwrap_or(anywhere)).or_default().push(row);
        }
        if rows.len() == 1 {
            return Ok(rows.into_keys().map(Piece::whole).collect());
        }
        let mut pieces: Vec<Piece> = rows.into_iter().map(piece).collect();
        let has_first = |piece: &Piece| piece.rows.as_ref().is_some_and(|rows| rows.first() == Some(&0));
        if let Some(first) = pieces.iter().position(has_first) {
            pieces[..=first].rotate_right(1);
        }
        Ok(pieces)
    }

    /// Appends the text of a piece as its shard gets it; `facts` are as for a statement that goes there alone.
    pub fn piece_text(
        &self,
        piece: &Piece,
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) {
        let limited = self.scatter.as_ref().and_then(|scatter| scatter.limited.as_deref());
        if let (Some(limited), Some(narrowed)) = (limited, &piece.narrowed) {
            return self.narrowed_text((limited, narrowed), (sql, n), facts, out);
        }
        let listed = self.scatter.as_ref().map(|scatter| scatter.rows.as_slice()).unwrap_or_default();
        let (Some(rows), Some(first), Some(last)) = (&piece.rows, listed.first(), listed.last()) else {
            return self.rewrite(sql, n, facts, out);
        };
        let head = TemplateSpan { start: 0, end: first.span.start };
        self.rewrite_span(head, sql, n, facts, out);
        for (nth, &row) in rows.iter().enumerate() {
            let Some(row) = listed.get(row as usize) else { continue };
            if nth > 0 {
                out.extend_from_slice(b", ");
            }
            self.rewrite_span(row.span, sql, n, facts, out);
        }
        self.rewrite_end(last.span.end, sql, n, facts, out);
    }
}

impl Piece {
    fn whole(shard: ShardIndex) -> Piece {
        Piece { shard, params: None, has_last_row: true, rows: None, narrowed: None }
    }
}

impl Scatter {
    /// The numbers of the parameters in the text with these rows, of `count` in all.
    fn params_of(&self, rows: &[u32], count: u32) -> Vec<u32> {
        let head = self.rows.first().map_or(0, |row| row.params.0);
        let tail = self.rows.last().map_or(count, |row| row.params.1);
        let of_row = |&row: &u32| self.rows.get(row as usize).map_or(0..0, |row| row.params.0..row.params.1);
        (0..head).chain(rows.iter().flat_map(of_row)).chain(tail..count).collect()
    }
}
