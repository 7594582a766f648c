//! What a statement's words tell of it without being understood: which columns it can have to do with, which conditions a shard may check by itself.

use podway_model::Name;

use crate::plan::functions;
use crate::plan::sketch::parts::Run;
use crate::plan::tokens::{Class, Tokens};
use crate::statement::SELECT_OPTIONS;

/// Functions that give the same wherever and whenever they are called with the same arguments under the same settings.
#[rustfmt::skip]
const DETERMINISTIC: [&str; 125] = [
    "ABS", "ACOS", "ADDDATE", "ADDTIME", "ASCII", "ASIN", "ATAN", "ATAN2", "BIN", "BIT_COUNT", "BIT_LENGTH", "CAST", "CEIL", "CEILING", "CHAR",
    "CHARACTER_LENGTH", "CHAR_LENGTH", "COALESCE", "CONCAT", "CONCAT_WS", "CONV", "CONVERT", "COS", "COT", "CRC32", "DATE", "DATEDIFF", "DATE_ADD",
    "DATE_FORMAT", "DATE_SUB", "DAY", "DAYNAME", "DAYOFMONTH", "DAYOFWEEK", "DAYOFYEAR", "DEGREES", "ELT", "EXP", "EXTRACT", "FIELD", "FIND_IN_SET",
    "FLOOR", "FORMAT", "FROM_BASE64", "FROM_DAYS", "FROM_UNIXTIME", "GREATEST", "HEX", "HOUR", "IF", "IFNULL", "IN", "INET6_ATON", "INET6_NTOA",
    "INET_ATON", "INET_NTOA", "INSERT", "INSTR", "INTERVAL", "ISNULL", "JSON_CONTAINS", "JSON_DEPTH", "JSON_EXTRACT", "JSON_LENGTH", "JSON_TYPE",
    "JSON_UNQUOTE", "JSON_VALID", "LAST_DAY", "LCASE", "LEAST", "LEFT", "LENGTH", "LN", "LOCATE", "LOG", "LOG10", "LOG2", "LOWER", "LPAD", "LTRIM",
    "MAKEDATE", "MAKETIME", "MD5", "MICROSECOND", "MID", "MINUTE", "MOD", "MONTH", "MONTHNAME", "NULLIF", "OCT", "OCTET_LENGTH", "ORD", "PI",
    "POSITION", "POW", "POWER", "QUARTER", "QUOTE", "RADIANS", "REPEAT", "REPLACE", "REVERSE", "RIGHT", "ROUND", "RPAD", "RTRIM", "SECOND",
    "SEC_TO_TIME", "SHA1", "SHA2", "SIGN", "SIN", "SPACE", "SQRT", "STRCMP", "SUBSTR", "SUBSTRING", "SUBSTRING_INDEX", "TAN", "TO_DAYS", "TRIM",
    "TRUNCATE", "UPPER", "YEAR",
];

/// Reserved words that such conditions are made of.
const OPERATORS: [&str; 29] = [
    "AND",
    "AS",
    "BETWEEN",
    "BINARY",
    "BY",
    "CASE",
    "CHAR",
    "CHARACTER",
    "COLLATE",
    "DIV",
    "ELSE",
    "FALSE",
    "FOR",
    "FROM",
    "IN",
    "INTERVAL",
    "IS",
    "LIKE",
    "MOD",
    "NOT",
    "NULL",
    "OR",
    "REGEXP",
    "RLIKE",
    "SET",
    "THEN",
    "TRUE",
    "WHEN",
    "XOR",
];

/// Symbols that are more than an operator over values.
const OTHER_SYMBOLS: [&str; 3] = ["@@", ":=", ";"];

/// Whether what stands in `run` gives the same on every shard for the same row: deterministic functions, operators, literals and names, and these words.
pub(super) fn is_plain(t: &Tokens<'_>, run: Run, words: &[&str]) -> bool {
    first_odd(t, run, words).is_none()
}

/// The first token in `run` that may not give the same on every shard.
pub(super) fn first_odd(t: &Tokens<'_>, run: Run, words: &[&str]) -> Option<usize> {
    (run.first..run.end).find(|&at| match t.class(at) {
        Class::Literal(..) | Class::Param(_) | Class::Quoted => false,
        Class::UserVariable | Class::End => true,
        Class::Symbol => OTHER_SYMBOLS.contains(&t.text(at)),
        Class::Word if words.contains(&t.text(at)) => false,
        Class::Word if t.is(at + 1, "(") && !t.text(at).is_empty() => !is_plain_call(t.text(at)),
        Class::Word => {
            let word = t.text(at);
            functions::is_reserved(word) && !OPERATORS.contains(&word) && !DETERMINISTIC.contains(&word)
        }
    })
}

fn is_plain_call(word: &str) -> bool {
    is_deterministic(word) || is_operator_word(word)
}

/// Whether the function gives the same for the same arguments under the same settings.
pub(in crate::plan) fn is_deterministic(word: &str) -> bool {
    DETERMINISTIC.contains(&word)
}

/// Whether it is a reserved word of plain conditions.
pub(in crate::plan) fn is_operator_word(word: &str) -> bool {
    OPERATORS.contains(&word)
}

/// The names in `run` that may be columns: of each chain `a.b.c` the tokens that it spans.
pub(in crate::plan) fn names(t: &Tokens<'_>, run: Run) -> Vec<Run> {
    let mut found = Vec::new();
    let mut at = run.first;
    while at < run.end {
        let is_word = t.class(at) == Class::Word;
        if !t.is_name(at) || is_word && functions::is_reserved(t.text(at)) {
            at += 1;
            continue;
        }
        let first = at;
        while t.is(at + 1, ".") && at + 2 < run.end && (t.is_name(at + 2) || t.is(at + 2, "*")) {
            at += 2;
        }
        at += 1;
        if !t.is(at, "(") {
            found.push(Run { first, end: at });
        }
    }
    found
}

/// Every name in the statement; `None` where columns have a part in it that it does not name.
pub(super) fn mentioned(t: &Tokens<'_>) -> Option<Vec<Name>> {
    let mut names: Vec<Name> = Vec::new();
    for at in 0..t.len() {
        let is_join = t.is(at, "NATURAL") && !t.is(at + 1, "LANGUAGE");
        if is_join || t.is(at, "TABLE") || is_star(t, at) {
            return None;
        }
        if t.is_name(at) {
            let name = Name::caseless(&t.name(at)?);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Some(names)
}

/// Whether the token stands for all columns.
pub(super) fn is_star(t: &Tokens<'_>, at: usize) -> bool {
    let before = at.checked_sub(1).map_or("", |before| t.text(before));
    t.is(at, "*") && (matches!(before, "." | "," | "SELECT") || SELECT_OPTIONS.contains(&before))
}

/// Whether the statement groups rows, or makes them distinct.
pub(super) fn groups(t: &Tokens<'_>) -> bool {
    (0..t.len()).any(|at| matches!(t.text(at), "GROUP" | "DISTINCT" | "DISTINCTROW" | "HAVING"))
}
