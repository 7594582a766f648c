//! What shards get of a change that is run with rows of other shards: the statement with those rows in their tables' places. Read next: [`super::scatter`], which says when
//! that may be.

use super::gather::Gather;
use super::plan::Plan;
use super::rewrite::Facts;
use super::target::{Splice, SpliceKind};
use crate::Normalised;

impl Plan {
    /// Appends the statement; `rows` appends a query in parentheses that gives a part's rows.
    pub fn fed_text(
        &self,
        gather: &Gather,
        text: (&[u8], &Normalised),
        facts: &Facts<'_>,
        rows: &dyn Fn(usize, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        // Tables that stay have their shard's schema before their names.
        let stays = |splice: &Splice| {
            let is_within = |edit: &super::gather::Edit| {
                edit.span.start <= splice.span.start && splice.span.end <= edit.span.end
            };
            let is_put = !matches!(
                splice.kind,
                SpliceKind::Heading(_) | SpliceKind::Number { .. } | SpliceKind::NumberColumn { .. }
            );
            is_put && !gather.edits.iter().any(is_within)
        };
        self.edited_text((gather, &stays), text, facts, rows, out);
    }
}
