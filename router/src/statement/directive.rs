//! How a table's rows are to lie, as somebody writes it in a table's COMMENT: `podway: shard by (customer_id)`. Whether that can be is not known here.
//! Read next: [`super::podway_table`], the same as a statement.
//!
//! ```text
//! comment   = … "podway:" directive …           somewhere in the text, once; what else stands there is not read
//! directive = "shard by (" column { "," column } ")" [ "using" function ] [ "unique per shard" ]
//!           | "reference" | "home"
//! function  = "xxh3" | "hash" | "identity"
//! column    = a name, in backticks if it has other signs than letters, digits, "_" and "$"
//! ```
//! Words are read without case, and blanks may stand between any two of them.

use std::fmt;

use podway_model::{Table, TableKind, Vindex};

/// How a table's rows are to lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableDirective {
    /// Each where these columns lead.
    Sharded {
        /// The sharding key.
        columns: Vec<Box<str>>,
        /// The function that makes a keyspace id of it.
        vindex: Vindex,
        /// Whether UNIQUE keys may be unique on each shard only.
        unique_per_shard: bool,
    },
    /// A copy on every shard.
    Reference,
    /// Whole, on the home shard.
    Home,
}

/// What introduces a directive in a comment.
const INTRODUCTION: &str = "podway:";

impl TableDirective {
    /// How this table's rows lie, if they lie otherwise than those of a table that nobody declared.
    pub fn of_table(table: &Table) -> Option<TableDirective> {
        match &table.kind {
            TableKind::Sharded(sharding) => {
                let columns = table.key_columns().map(|column| column.name.as_str().into()).collect();
                let (vindex, unique_per_shard) = (sharding.vindex, sharding.unique_per_shard);
                Some(TableDirective::Sharded { columns, vindex, unique_per_shard })
            }
            TableKind::Reference => Some(TableDirective::Reference),
            TableKind::Home | TableKind::View => None,
        }
    }

    /// The definition of a table, as SHOW CREATE TABLE gives it, with this directive in its COMMENT: whoever runs it through Podway makes a table whose rows lie so. What
    /// its COMMENT says of that already stays if it is this, and is made unreadable if it is something else.
    pub fn in_definition(&self, definition: &str) -> String {
        let Some(options) = definition.rfind("\n) ").map(|at| at + 1) else { return definition.to_owned() };
        let end = definition[options..].find('\n').map_or(definition.len(), |at| options + at);
        let (head, line, rest) = (&definition[..options], &definition[options..end], &definition[end..]);
        let quoted = self.to_string().replace('\'', "''");
        let Some((before, comment, after)) = comment_of(line) else {
            return format!("{head}{line} COMMENT='{quoted}'{rest}");
        };
        if TableDirective::of_comment(comment).is_ok_and(|said| said.as_ref() == Some(self)) {
            return definition.to_owned();
        }
        let earlier = without_introduction(comment);
        format!("{head}{before}{earlier} {quoted}{after}{rest}")
    }

    /// The directive in a table's COMMENT; `None` where there is none, an error where something is meant to be one and cannot be read.
    pub fn of_comment(comment: &str) -> Result<Option<TableDirective>, String> {
        let lower = comment.to_ascii_lowercase();
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut places = lower
            .match_indices(INTRODUCTION)
            .map(|(at, _)| at)
            .filter(|at| !lower[..*at].chars().next_back().is_some_and(is_word));
        let Some(at) = places.next() else { return Ok(None) };
        if places.next().is_some() {
            return Err("there are two".to_owned());
        }
        let mut text = Text(&comment[at + INTRODUCTION.len()..]);
        let directive = text.directive()?;
        match text.0.chars().next() {
            Some(c) if is_word(c) => Err(format!("'{}' is not understood", text.shown())),
            _ => Ok(Some(directive)),
        }
    }
}

impl fmt::Display for TableDirective {
    /// As a COMMENT says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{INTRODUCTION} ")?;
        match self {
            TableDirective::Reference => f.write_str("reference"),
            TableDirective::Home => f.write_str("home"),
            TableDirective::Sharded { columns, vindex, unique_per_shard } => {
                let columns: Vec<String> = columns.iter().map(|name| shown_column(name)).collect();
                write!(f, "shard by ({})", columns.join(", "))?;
                f.write_str(match vindex {
                    Vindex::Xxh3 => "",
                    Vindex::Hash => " using hash",
                    Vindex::Identity => " using identity",
                })?;
                f.write_str(if *unique_per_shard { " unique per shard" } else { "" })
            }
        }
    }
}

fn shown_column(name: &str) -> String {
    match name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$') {
        true => name.to_owned(),
        false => format!("`{}`", name.replace('`', "``")),
    }
}

/// A line of table options around the text of its COMMENT, which is as it is written: with doubled quotes.
fn comment_of(line: &str) -> Option<(&str, &str, &str)> {
    const OPTION: &str = " COMMENT='";
    let start = line.find(OPTION)? + OPTION.len();
    let mut end = start;
    loop {
        end += line[end..].find('\'')?;
        // A doubled quote is one of the text.
        if !line[end + 1..].starts_with('\'') {
            return Some((&line[..start], &line[start..end], &line[end..]));
        }
        end += 2;
    }
}

/// A comment in which nothing introduces a directive any more.
fn without_introduction(comment: &str) -> String {
    let lower = comment.to_ascii_lowercase();
    let mut text = comment.to_owned();
    for (at, _) in lower.match_indices(INTRODUCTION).collect::<Vec<_>>().into_iter().rev() {
        text.replace_range(at + INTRODUCTION.len() - 1..at + INTRODUCTION.len(), " was:");
    }
    text
}

/// What is left of a text.
struct Text<'t>(&'t str);

impl Text<'_> {
    fn directive(&mut self) -> Result<TableDirective, String> {
        if self.word("reference") {
            return Ok(TableDirective::Reference);
        }
        if self.word("home") {
            return Ok(TableDirective::Home);
        }
        if !(self.word("shard") && self.word("by") && self.sign('(')) {
            return Err(format!("'shard by (…)', 'reference' or 'home' is expected at '{}'", self.shown()));
        }
        let mut columns = Vec::new();
        loop {
            columns.push(self.column()?);
            if self.sign(')') {
                break;
            }
            if !self.sign(',') {
                return Err(format!("',' or ')' is expected at '{}'", self.shown()));
            }
        }
        let vindex = if self.word("using") { self.vindex()? } else { Vindex::Xxh3 };
        let unique_per_shard = self.word("unique");
        if unique_per_shard && !(self.word("per") && self.word("shard")) {
            return Err(format!("'unique per shard' is expected at '{}'", self.shown()));
        }
        if self.word("using") {
            return Err("'using' stands before 'unique per shard'".to_owned());
        }
        Ok(TableDirective::Sharded { columns, vindex, unique_per_shard })
    }

    fn vindex(&mut self) -> Result<Vindex, String> {
        let known = [("xxh3", Vindex::Xxh3), ("hash", Vindex::Hash), ("identity", Vindex::Identity)];
        let found = known.into_iter().find(|(name, _)| self.word(name));
        found
            .map(|(_, vindex)| vindex)
            .ok_or_else(|| format!("'xxh3', 'hash' or 'identity' is expected at '{}'", self.shown()))
    }

    fn column(&mut self) -> Result<Box<str>, String> {
        self.skip();
        let no_name = |text: &Text<'_>| format!("a column's name is expected at '{}'", text.shown());
        if let Some(quoted) = self.0.strip_prefix('`') {
            let mut name = String::new();
            let mut rest = quoted;
            loop {
                let end = rest.find('`').ok_or_else(|| no_name(self))?;
                name.push_str(&rest[..end]);
                rest = &rest[end + 1..];
                match rest.strip_prefix('`') {
                    Some(after) => {
                        name.push('`');
                        rest = after;
                    }
                    None => break,
                }
            }
            self.0 = rest;
            return if name.is_empty() { Err(no_name(self)) } else { Ok(name.into()) };
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        if end == 0 {
            return Err(no_name(self));
        }
        let (name, rest) = self.0.split_at(end);
        self.0 = rest;
        Ok(name.into())
    }

    fn skip(&mut self) {
        self.0 = self.0.trim_start();
    }

    fn sign(&mut self, sign: char) -> bool {
        self.skip();
        let rest = self.0.strip_prefix(sign);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes a word of ASCII letters and digits, if it is next.
    fn word(&mut self, word: &str) -> bool {
        self.skip();
        let Some(next) = self.0.get(..word.len()) else { return false };
        let rest = &self.0[word.len()..];
        let goes_on = rest.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let found = next.eq_ignore_ascii_case(word) && !goes_on;
        if found {
            self.0 = rest;
        }
        found
    }

    fn shown(&self) -> String {
        self.0.trim_start().chars().take(20).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharded_by(columns: &[&str], vindex: Vindex) -> TableDirective {
        let columns = columns.iter().map(|name| (*name).into()).collect();
        TableDirective::Sharded { columns, vindex, unique_per_shard: false }
    }

    /// By `id`, with UNIQUE keys that are unique on each shard.
    fn loose(vindex: Vindex) -> TableDirective {
        TableDirective::Sharded { columns: vec!["id".into()], vindex, unique_per_shard: true }
    }

    #[test]
    fn a_comment_may_say_how_rows_lie() {
        let by = |columns: &[&str]| Some(sharded_by(columns, Vindex::Xxh3));
        let cases = [
            ("", None),
            ("orders of customers", None),
            ("the podway of life", None),
            ("notpodway: shard by (id)", None),
            ("podway: shard by (customer_id)", by(&["customer_id"])),
            ("PODWAY:Shard  By(customer_id)", by(&["customer_id"])),
            ("podway: shard by ( tenant , `odd ``name` )", by(&["tenant", "odd `name"])),
            ("podway: shard by (id) using xxh3", by(&["id"])),
            ("podway: shard by (id) USING Hash", Some(sharded_by(&["id"], Vindex::Hash))),
            ("podway: shard by (id) using identity", Some(sharded_by(&["id"], Vindex::Identity))),
            ("podway: shard by (id) using hash Unique  per SHARD.", Some(loose(Vindex::Hash))),
            ("podway: shard by (id) unique per shard", Some(loose(Vindex::Xxh3))),
            ("all orders; podway: shard by (id); never deleted", by(&["id"])),
            ("all orders (podway: reference)", Some(TableDirective::Reference)),
            ("podway: reference.", Some(TableDirective::Reference)),
            ("podway: home", Some(TableDirective::Home)),
            ("podway: shard by (größe)", by(&["größe"])),
        ];
        for (comment, expected) in cases {
            assert_eq!(TableDirective::of_comment(comment), Ok(expected), "{comment:?}");
        }
    }

    #[test]
    fn what_is_meant_to_say_so_and_does_not_is_no_comment_like_any_other() {
        let cases = [
            "podway: shard by id",
            "podway: shard by ()",
            "podway: shard by (id",
            "podway: shard by (id) using md5",
            "podway: shared",
            "podway:",
            "podway: references",
            "podway: reference2",
            "podway: shard by (`id)",
            "podway: reference, podway: home",
            "podway: shard by (id) using hash2",
            "podway: shard by (id) unique",
            "podway: shard by (id) unique per shards",
            "podway: shard by (id) unique per shard using hash",
        ];
        for comment in cases {
            assert!(TableDirective::of_comment(comment).is_err(), "{comment:?}");
        }
    }

    #[test]
    fn a_definition_says_how_its_tables_rows_lie() {
        let by = sharded_by(&["a", "odd 'name"], Vindex::Hash);
        let said = "podway: shard by (a, `odd ''name`) using hash";
        let cases = [
            (
                "CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB",
                format!("CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB COMMENT='{said}'"),
            ),
            (
                "CREATE TABLE `t` (\n  `a` int COMMENT 'x'\n) ENGINE=InnoDB COMMENT='it''s old'\n/*!50100 PARTITION BY HASH (`a`)\nPARTITIONS 3 */",
                format!(
                    "CREATE TABLE `t` (\n  `a` int COMMENT 'x'\n) ENGINE=InnoDB COMMENT='it''s old {said}'\n/*!50100 PARTITION BY HASH (`a`)\nPARTITIONS 3 */"
                ),
            ),
            (
                "CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB COMMENT='Podway: reference'",
                format!(
                    "CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB COMMENT='Podway was: reference {said}'"
                ),
            ),
        ];
        for (definition, expected) in cases {
            let made = by.in_definition(definition);
            assert_eq!(made, expected);
            assert_eq!(by.in_definition(&made).matches("podway:").count(), 1, "it is said once: {made}");
        }
        let reference = "CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB COMMENT='all, podway: reference'";
        assert_eq!(TableDirective::Reference.in_definition(reference), reference);
        for by in [sharded_by(&["a"], Vindex::Xxh3), loose(Vindex::Xxh3), loose(Vindex::Identity)] {
            assert_eq!(TableDirective::of_comment(&by.to_string()), Ok(Some(by)));
        }
    }
}
