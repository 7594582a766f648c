//! A table that CREATE TABLE … SELECT makes from rows of several shards: the texts by which it is made. Read next: [`super::making`].

use podway_model::Name;

use crate::{Normalised, TemplateSpan};

/// A table that is made from rows of several shards.
#[derive(Clone, Debug, PartialEq)]
pub struct Making {
    /// Its keyspace.
    pub keyspace: Name,
    /// Its name.
    pub table: String,
    /// Whether IF NOT EXISTS stands there.
    pub if_not_exists: bool,
    /// What becomes of rows with a key that is there: nothing, or IGNORE or REPLACE.
    pub duplicates: Option<&'static str>,
    /// IF NOT EXISTS, and the name with its database.
    pub(super) named: TemplateSpan,
    /// The query.
    pub(super) query: TemplateSpan,
    /// The query without its LIMIT.
    pub(super) unlimited: TemplateSpan,
}

impl Making {
    /// The statement that makes the table empty, under another name.
    pub fn create_text(&self, (sql, n): (&[u8], &Normalised), name: &str) -> Vec<u8> {
        let named = n.original_range(self.named.range());
        let kept = n.original_range(self.unlimited.range());
        [&sql[..named.start], name.as_bytes(), &sql[named.end..kept.end], b" LIMIT 0"].concat()
    }

    /// The query.
    pub fn query_text<'s>(&self, (sql, n): (&'s [u8], &Normalised)) -> &'s [u8] {
        sql.get(n.original_range(self.query.range())).unwrap_or_default()
    }
}
