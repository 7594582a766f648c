//! Expressions that are 1 on a shard where a value survives its way through text.

use std::fmt::Write as _;

use super::declared::Text;
use super::literal::{hex_literal, literals};

/// JSON's types that its text keeps.
const JSON_TEXT_TYPES: &str =
    "'NULL','BOOLEAN','INTEGER','UNSIGNED INTEGER','DOUBLE','STRING','OBJECT','ARRAY'";

/// Whether a text is the same after the way through utf8mb4: some sets have letters that Unicode lacks, or
/// two for one of its own.
pub(super) fn text_guard(column: &str, charset: &str) -> String {
    same_bytes(column, &format!("CONVERT({column} USING utf8mb4)"), charset)
}

/// Whether an ENUM's value has the name that is known here (SHOW COLUMNS shows letters beyond U+FFFF as
/// question marks), and the name finds its index again: members that the collation holds for equal can be
/// stored by index only.
pub(super) fn enum_guard(column: &str, text: &Text, members: &[String]) -> String {
    let list = literals(members);
    let named = format!("ELT(CAST({column} AS UNSIGNED), {list})");
    format!(
        "{} AND COALESCE(FIELD({column}, {list}) = CAST({column} AS UNSIGNED), 1)",
        same_bytes(column, &named, &text.charset)
    )
}

/// The same of a SET, whose members' names have to be apart from each other even where the row lacks them.
pub(super) fn set_guard(column: &str, text: &Text, members: &[String]) -> String {
    let Text { charset, collation } = text;
    let named = format!("MAKE_SET(CAST({column} AS UNSIGNED), {})", literals(members));
    let mut guard = same_bytes(column, &named, charset);
    for (at, member) in members.iter().enumerate().skip(1) {
        let member = hex_literal(member);
        let before = literals(&members[..at]);
        let _ = write!(
            guard,
            " AND FIELD(CONVERT(_utf8mb4 {member} USING {charset}) COLLATE {collation}, {before}) = 0"
        );
    }
    guard
}

pub(super) fn same_bytes(column: &str, other: &str, charset: &str) -> String {
    format!("(CAST({column} AS BINARY) <=> CAST(CONVERT({other} USING {charset}) AS BINARY))")
}

/// Whether a JSON value has only scalars whose text gives them back. Equality alone is not enough: DECIMAL
/// 1.5 equals DOUBLE 1.5.
pub(super) fn json_guard(column: &str) -> String {
    let none = |path: &str| {
        format!(
            "NOT EXISTS (SELECT 1 FROM JSON_TABLE(JSON_ARRAY({column}), _utf8mb4'{path}' COLUMNS(v JSON PATH _utf8mb4'$' \
             ERROR ON ERROR)) AS e WHERE JSON_TYPE(e.v) NOT IN ({JSON_TEXT_TYPES}))"
        )
    };
    format!(
        "({column} <=> CAST(CAST({column} AS CHAR CHARACTER SET utf8mb4) AS JSON)) AND {} AND {}",
        none("$**[*]"),
        none("$**.*")
    )
}
