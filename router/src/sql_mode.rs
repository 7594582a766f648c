//! The part of a session's `sql_mode` that changes how its statements read or what they store. Never sets anything.
//!
//! Read next: [`crate::ClientCharset`], the other half of a statement's lexical context.

use bitflags::bitflags;

bitflags! {
    /// The modes of `@@sql_mode`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SqlMode: u32 {
        /// `"x"` is a name, not a string.
        const ANSI_QUOTES = 1 << 0;
        /// `||` concatenates.
        const PIPES_AS_CONCAT = 1 << 1;
        /// A backslash is an ordinary character of strings.
        const NO_BACKSLASH_ESCAPES = 1 << 2;
        /// `NOT` binds like `!`.
        const HIGH_NOT_PRECEDENCE = 1 << 3;
        /// Blanks may stand between a function's name and its parenthesis.
        const IGNORE_SPACE = 1 << 4;
        /// 0 in an AUTO_INCREMENT column is stored as 0.
        const NO_AUTO_VALUE_ON_ZERO = 1 << 5;
        /// `STRICT_TRANS_TABLES` or `STRICT_ALL_TABLES`: what does not fit a column is an error.
        const STRICT = 1 << 6;
        /// CHAR values keep their trailing blanks when read.
        const PAD_CHAR_TO_FULL_LENGTH = 1 << 7;
        /// REAL is FLOAT.
        const REAL_AS_FLOAT = 1 << 8;
        /// '2020-00-01' is no date.
        const NO_ZERO_IN_DATE = 1 << 9;
        /// '0000-00-00' is no date.
        const NO_ZERO_DATE = 1 << 10;
        /// '2020-02-31' is a date.
        const ALLOW_INVALID_DATES = 1 << 11;
        /// Fractions of seconds are cut, not rounded.
        const TIME_TRUNCATE_FRACTIONAL = 1 << 12;
        /// Differences of unsigned numbers are signed.
        const NO_UNSIGNED_SUBTRACTION = 1 << 13;
        /// Division by zero is an error (with STRICT).
        const ERROR_FOR_DIVISION_BY_ZERO = 1 << 14;
        /// Columns outside GROUP BY are refused.
        const ONLY_FULL_GROUP_BY = 1 << 15;
        /// An engine that is missing is an error.
        const NO_ENGINE_SUBSTITUTION = 1 << 16;
        /// CREATE TABLE ignores directories.
        const NO_DIR_IN_CREATE = 1 << 17;
        /// A mode that this list does not know was named.
        const UNKNOWN = 1 << 31;
    }
}

impl SqlMode {
    /// Reads `A,B,C`, as `@@sql_mode` prints it. `ANSI` and `TRADITIONAL` may stand for their members.
    pub fn parse(text: &str) -> SqlMode {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Self::by_name).collect()
    }

    fn by_name(name: &str) -> SqlMode {
        let name = name.to_ascii_uppercase();
        match name.as_str() {
            "STRICT_TRANS_TABLES" | "STRICT_ALL_TABLES" => SqlMode::STRICT,
            "ANSI" => {
                SqlMode::REAL_AS_FLOAT
                    | SqlMode::PIPES_AS_CONCAT
                    | SqlMode::ANSI_QUOTES
                    | SqlMode::IGNORE_SPACE
                    | SqlMode::ONLY_FULL_GROUP_BY
            }
            "TRADITIONAL" => {
                SqlMode::STRICT
                    | SqlMode::NO_ZERO_IN_DATE
                    | SqlMode::NO_ZERO_DATE
                    | SqlMode::ERROR_FOR_DIVISION_BY_ZERO
                    | SqlMode::NO_ENGINE_SUBSTITUTION
            }
            "STRICT" => SqlMode::UNKNOWN,
            _ => SqlMode::from_name(&name).unwrap_or(SqlMode::UNKNOWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_as_the_variable_prints_them() {
        let cases = [
            ("", SqlMode::empty()),
            ("ANSI_QUOTES", SqlMode::ANSI_QUOTES),
            ("ansi_quotes, STRICT_ALL_TABLES", SqlMode::ANSI_QUOTES | SqlMode::STRICT),
            (
                "REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE,ONLY_FULL_GROUP_BY,ANSI",
                SqlMode::parse("ANSI"),
            ),
            ("STRICT_TRANS_TABLES,NO_SUCH_MODE", SqlMode::STRICT | SqlMode::UNKNOWN),
        ];
        for (text, mode) in cases {
            assert_eq!(SqlMode::parse(text), mode, "{text}");
        }
    }
}
