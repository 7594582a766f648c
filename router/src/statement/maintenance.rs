//! What ANALYZE, CHECK, CHECKSUM and REPAIR TABLE name, where tables among them are on several shards. Only types.

use super::span::TemplateSpan;

/// A statement that looks after tables, run by each shard that has some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// Its tables, in its order.
    pub tables: Vec<MaintainedTable>,
    /// CHECKSUM TABLE: a table's number is made of the shards' numbers. The others are the server's messages.
    pub sums: bool,
}

/// A table of such a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaintainedTable {
    /// Its name, with its database where that stands before it.
    pub span: TemplateSpan,
    /// Whether every shard is asked about it; else home alone.
    pub is_everywhere: bool,
}
