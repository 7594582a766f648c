//! The settings under which rows go from shard to shard: the session's own, but for what would bound or change the queries that a statement is made of.

use std::sync::Arc;

use super::gather::reading;
use crate::backend::{Settings, string_literal};

/// Under these rows are stored as they are, or not at all.
const AS_THEY_ARE: &[u8] = b"STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO";
/// No bound.
const MAX_JOIN_SIZE: &[u8] = b"18446744073709551615";

/// The session's settings, without what bounds a SELECT: that is not for the queries which an UPDATE is made of.
pub(super) fn unbounded(settings: &Settings) -> Arc<Settings> {
    let mut settings = (*reading(settings)).clone();
    // The largest one lifts sql_big_selects as well, and the session's own brings it back.
    if settings.get("max_join_size").is_some() && settings.get("sql_big_selects") != Some(b"1") {
        settings.put("max_join_size", MAX_JOIN_SIZE);
    }
    if settings.get("max_execution_time").is_some() {
        settings.put("max_execution_time", b"0");
    }
    Arc::new(settings)
}

/// Settings under which rows are read and stored as they are. No text of the client's may be sent under them: it would read otherwise.
pub(super) fn as_they_are(settings: &Settings) -> Arc<Settings> {
    let mut settings = (*unbounded(settings)).clone();
    settings.put("sql_mode", &string_literal(AS_THEY_ARE));
    settings.put("sql_safe_updates", b"0");
    Arc::new(settings)
}

/// The same in a time zone in which no hour comes twice.
pub(super) fn in_one_zone(settings: &Settings) -> Arc<Settings> {
    let mut settings = settings.clone();
    settings.put("time_zone", &string_literal(b"+00:00"));
    Arc::new(settings)
}
