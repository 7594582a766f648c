//! What a statement's place depends on besides its text.

use podway_model::{Map, Name};

use crate::{ClientCharset, SqlMode};

/// The session's side of planning.
#[derive(Clone, Copy, Debug)]
pub struct PlanContext<'a> {
    /// The map by which the statement is planned.
    pub map: &'a Map,
    /// The session's current database, as clients name it; it may be no keyspace, such as `mysql`.
    pub keyspace: Option<&'a Name>,
    /// The session's `sql_mode`.
    pub sql_mode: SqlMode,
    /// `character_set_client`.
    pub charset: ClientCharset,
    /// `collation_connection`.
    pub collation: &'a str,
    /// `time_zone`.
    pub time_zone: &'a str,
    /// The session's temporary tables: plans that they may have a part in are not cached.
    pub temporary_tables: &'a [Name],
}
