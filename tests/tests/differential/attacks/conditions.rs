//! Conditions that look as if they pinned a key.

/// Scripts of one statement each, most of them.
pub const SCRIPTS: &[&[&str]] = &[
    &["SELECT * FROM num WHERE k = 5 OR 1"],
    &["INSERT /*+ SET_VAR(sql_mode='NO_ENGINE_SUBSTITUTION') */ INTO tiny (id, k) VALUES (900, 300)"],
];
