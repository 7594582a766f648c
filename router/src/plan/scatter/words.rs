//! Which words a write on several shards may have: those that are known to do the same on each, or to each row alone. What is not known is refused by its name.

use podway_model::{Column, ColumnDefault, ColumnType};

use crate::plan::functions;
use crate::plan::gather::{is_deterministic, is_operator_word};
use crate::plan::sketch::parts::Run;
use crate::plan::tokens::{Class, Tokens};
use crate::{Effects, Recognised, RouterError};

/// Functions that give what `timestamp` says: the same everywhere where all shards have the same.
#[rustfmt::skip]
const CLOCK: [&str; 12] = [
    "CURDATE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURTIME", "LOCALTIME", "LOCALTIMESTAMP", "NOW", "UNIX_TIMESTAMP",
    "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP",
];

/// More functions that give the same for the same arguments under the same settings.
#[rustfmt::skip]
const FUNCTIONS: [&str; 96] = [
    "AES_DECRYPT", "AES_ENCRYPT", "BIN_TO_UUID", "DATABASE", "DEFAULT", "EXPORT_SET", "GET_FORMAT", "IS_IPV4", "IS_IPV4_COMPAT",
    "IS_IPV4_MAPPED", "IS_IPV6", "IS_UUID", "JSON_ARRAY", "JSON_ARRAY_APPEND", "JSON_ARRAY_INSERT", "JSON_CONTAINS_PATH", "JSON_INSERT",
    "JSON_KEYS", "JSON_MERGE", "JSON_MERGE_PATCH", "JSON_MERGE_PRESERVE", "JSON_OBJECT", "JSON_OVERLAPS", "JSON_PRETTY", "JSON_QUOTE",
    "JSON_REMOVE", "JSON_REPLACE", "JSON_SCHEMA_VALID", "JSON_SEARCH", "JSON_SET", "JSON_VALUE", "LINESTRING", "MAKE_SET", "MBRCONTAINS",
    "MBRCOVEREDBY", "MBRCOVERS", "MBRDISJOINT", "MBREQUALS", "MBRINTERSECTS", "MBROVERLAPS", "MBRTOUCHES", "MBRWITHIN", "PERIOD_ADD",
    "PERIOD_DIFF", "POINT", "POLYGON", "REGEXP_INSTR", "REGEXP_LIKE", "REGEXP_REPLACE", "REGEXP_SUBSTR", "SCHEMA", "SHA", "SOUNDEX",
    "STR_TO_DATE", "ST_ASBINARY", "ST_ASTEXT", "ST_ASWKB", "ST_ASWKT", "ST_CONTAINS", "ST_DISJOINT", "ST_DISTANCE", "ST_DISTANCE_SPHERE",
    "ST_EQUALS", "ST_GEOHASH", "ST_GEOMFROMGEOJSON", "ST_GEOMFROMTEXT", "ST_GEOMFROMWKB", "ST_INTERSECTS", "ST_LATITUDE", "ST_LONGITUDE",
    "ST_POINTFROMTEXT", "ST_SRID", "ST_WITHIN", "ST_X", "ST_Y", "SUBDATE", "SUBTIME", "TIME", "TIMEDIFF", "TIMESTAMP", "TIMESTAMPADD",
    "TIMESTAMPDIFF", "TIME_FORMAT", "TIME_TO_SEC", "TO_BASE64", "TO_SECONDS", "UCASE", "UNCOMPRESS", "UNCOMPRESSED_LENGTH", "UNHEX",
    "UUID_TO_BIN", "WEEK", "WEEKDAY", "WEEKOFYEAR", "WEIGHT_STRING", "YEARWEEK",
];

/// Words of expressions and of queries within them.
#[rustfmt::skip]
const EXPRESSIONS: [&str; 69] = [
    "ALL", "ANY", "ASC", "BOTH", "CROSS", "DATETIME", "DAY_HOUR", "DAY_MICROSECOND", "DAY_MINUTE", "DAY_SECOND", "DEC", "DECIMAL", "DEFAULT",
    "DESC", "DOUBLE", "DUAL", "EMPTY", "ESCAPE", "EXISTS", "FIXED", "FLOAT", "FORCE", "HOUR_MICROSECOND", "HOUR_MINUTE", "HOUR_SECOND",
    "IGNORE", "INDEX", "INNER", "INT", "INTEGER", "JOIN", "KEY", "LEADING", "LEFT", "MINUTE_MICROSECOND", "MINUTE_SECOND", "NATURAL", "NCHAR",
    "NUMERIC", "NVARCHAR", "OF", "ON", "ORDER", "OUTER", "PARTITION", "PRECISION", "REAL", "RETURNING", "RIGHT", "ROW", "SECOND_MICROSECOND",
    "SELECT", "SIGNED", "SOME", "SOUNDS", "SQL_BIG_RESULT", "SQL_SMALL_RESULT", "STRAIGHT_JOIN", "TEXT", "TRAILING", "UNSIGNED", "USE",
    "USING", "VARCHAR", "WHERE", "YEAR_MONTH", "ZEROFILL", "HIGH_PRIORITY", "VECTOR",
];

/// Words of the statements themselves.
pub(super) const STATEMENTS: [&str; 6] = ["UPDATE", "DELETE", "LOW_PRIORITY", "QUICK", "IGNORE", "SET"];

/// What gives any one of several values (COUNT, too, of the columns beside it), or adds up in the rows' order: not where copies must stay alike.
pub(super) const OVER_ROWS: [&str; 12] = [
    "AVG",
    "COUNT",
    "DISTINCT",
    "DISTINCTROW",
    "EXCEPT",
    "GROUP",
    "HAVING",
    "INTERSECT",
    "MAX",
    "MIN",
    "SUM",
    "UNION",
];

/// What a statement as a whole must not do.
const HINDRANCES: [(Effects, &str); 10] = [
    (Effects::LOCKS_ROWS, "a locking read"),
    (Effects::READS_USER_VARIABLES.union(Effects::ASSIGNS_USER_VARIABLES), "user variables"),
    (Effects::SELECTS_INTO, "SELECT … INTO"),
    (Effects::SERVER_FILES, "files of a server"),
    (Effects::SET_VAR_HINT, "the hint SET_VAR"),
    (Effects::USER_LOCKS, "user locks"),
    (Effects::SETS_LAST_INSERT_ID, "LAST_INSERT_ID with an argument"),
    (Effects::READS_LAST_INSERT_ID, "LAST_INSERT_ID()"),
    (Effects::READS_DIAGNOSTICS, "what the last statement left (ROW_COUNT() and the like)"),
    (Effects::PINS.union(Effects::MANY_RESULTS), "this statement"),
];

/// What is said of a construct that such a write must not have.
pub(super) fn refused(what: impl std::fmt::Display) -> RouterError {
    RouterError::unsupported(format_args!("{what} in a write to several shards"))
}

/// An error where the statement as a whole does what several servers cannot do as one.
pub(super) fn check_effects(recognised: &Recognised) -> Result<(), RouterError> {
    match HINDRANCES.iter().find(|(effects, _)| recognised.effects.intersects(*effects)) {
        Some((_, what)) => Err(refused(what)),
        None => Ok(()),
    }
}

/// An error that names the first word in `run` that is not known; `more` are known besides.
pub(super) fn check(t: &Tokens<'_>, run: Run, more: &[&str]) -> Result<(), RouterError> {
    unknown(t, run, more).map_or(Ok(()), |what| Err(refused(what)))
}

/// What is first in `run` of that which is not known to give the same on every shard; `more` is known besides.
pub(in crate::plan) fn unknown(t: &Tokens<'_>, run: Run, more: &[&str]) -> Option<String> {
    let is_known = |word: &str| {
        more.contains(&word)
            || is_operator_word(word)
            || is_deterministic(word)
            || EXPRESSIONS.contains(&word)
            || FUNCTIONS.contains(&word)
            || CLOCK.contains(&word)
    };
    (run.first..run.end).find_map(|at| match t.class(at) {
        Class::UserVariable => Some("user variables".to_owned()),
        Class::Symbol if t.is(at, "@@") => Some("a system variable".to_owned()),
        Class::Symbol if t.is(at, ":=") => Some(":=".to_owned()),
        Class::Word => {
            let word = t.text(at);
            let is_call = t.is(at + 1, "(") && !word.is_empty() && !names_query(t, at);
            let is_odd = (is_call || functions::is_reserved(word)) && !is_known(word);
            let what = if is_call && !functions::opens_parenthesis(word) { "()" } else { "" };
            is_odd.then(|| format!("{word}{what}"))
        }
        _ => None,
    })
}

/// Whether the word is the name of a common table expression that lists its columns.
fn names_query(t: &Tokens<'_>, at: usize) -> bool {
    let begins = at.checked_sub(1).is_some_and(|before| matches!(t.text(before), "WITH" | "RECURSIVE" | ","));
    begins && t.are(t.mate(at + 1) + 1, &["AS", "("])
}

/// Whether there is a query within `run`.
pub(super) fn has_query(t: &Tokens<'_>, run: Run) -> bool {
    (run.first..run.end).any(|at| matches!(t.text(at), "SELECT" | "TABLE" | "VALUES"))
}

/// Whether what stands in `run` asks for the time.
pub(super) fn reads_clock(t: &Tokens<'_>, run: Run) -> bool {
    (run.first..run.end).any(|at| t.class(at) == Class::Word && CLOCK.contains(&t.text(at)))
}

/// Whether MySQL may put the time into these columns by itself: DEFAULT or ON UPDATE CURRENT_TIMESTAMP.
pub(super) fn keeps_time(columns: Option<&[Column]>) -> bool {
    let may_keep = |column: &Column| {
        matches!(column.column_type, ColumnType::Timestamp(_) | ColumnType::Datetime(_))
            || column.default == ColumnDefault::Expression
    };
    columns.is_none_or(|columns| columns.iter().any(may_keep))
}
