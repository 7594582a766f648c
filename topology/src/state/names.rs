//! Names as somebody typed them: which can be names at all, and which known one is meant by one that is not known. Never compares under the
//! servers' rule: that is the model's `Name`.

use podway_topology_api::{Refusal, Thing};

/// MySQL's bound for the names of databases, tables and columns, in characters.
const MAX_IDENTIFIER: usize = 64;
/// Bound for the names of servers, proxies and whoever proposes, in characters.
const MAX_LABEL: usize = 128;
/// Bound for sentences in the log and for statements as they are shown, in characters.
const MAX_SENTENCE: usize = 400;
/// At most this part of a name, in edits, may differ from a known one for that to be suggested.
const NEAR: usize = 3;
/// Longer names are not compared for a suggestion.
const MAX_COMPARED: usize = 128;
/// Schemas that are MySQL's or Podway's own, in lower case.
const RESERVED: [&str; 5] = ["mysql", "information_schema", "performance_schema", "sys", "_podway"];

/// Refuses what MySQL would not take as a database's or a table's name, and what could hide in a log.
pub(super) fn check_identifier(what: Thing, name: &str) -> Result<(), Refusal> {
    if name.ends_with(' ') {
        return refused(what, name, "it ends with a blank");
    }
    check(what, name, MAX_IDENTIFIER)
}

/// The same for a keyspace or a schema, which must not be one of MySQL's own either.
pub(super) fn check_schema(what: Thing, name: &str) -> Result<(), Refusal> {
    if RESERVED.contains(&name.to_lowercase().as_str()) {
        return refused(what, name, "it is one of MySQL's or Podway's own schemas");
    }
    check_identifier(what, name)
}

/// Refuses what cannot be a server's or a proxy's name.
pub(super) fn check_label(what: Thing, name: &str) -> Result<(), Refusal> {
    if name.chars().any(char::is_whitespace) {
        return refused(what, name, "it has blanks");
    }
    check(what, name, MAX_LABEL)
}

fn check(what: Thing, name: &str, longest: usize) -> Result<(), Refusal> {
    if name.is_empty() {
        return refused(what, name, "it is empty");
    }
    if name.chars().count() > longest {
        return refused(what, name, &format!("it has more than {longest} characters"));
    }
    if name.chars().any(char::is_control) {
        return refused(what, name, "it has control characters");
    }
    Ok(())
}

fn refused(what: Thing, name: &str, reason: &str) -> Result<(), Refusal> {
    Err(Refusal::BadName { what, name: clipped(name), reason: reason.into() })
}

/// A name for the log or an answer: without control characters, and not too long.
pub(super) fn clipped(text: &str) -> Box<str> {
    cut(text, MAX_LABEL)
}

/// The same for a sentence or a statement.
pub(super) fn sentence(text: &str) -> Box<str> {
    cut(text, MAX_SENTENCE)
}

fn cut(text: &str, longest: usize) -> Box<str> {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(longest).map(printable).collect();
    if text.chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown.into()
}

/// Says that there is no such name, and which known one may be meant.
pub(super) fn unknown<'a>(what: Thing, name: &str, known: impl IntoIterator<Item = &'a str>) -> Refusal {
    let near = nearest(name, known).map(Into::into);
    Refusal::Unknown { what, name: clipped(name), near }
}

/// The known name with the fewest edits, if they are few enough.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(MAX_COMPARED + 1).collect();
    if wanted.is_empty() || wanted.len() > MAX_COMPARED {
        return None;
    }
    let worst = wanted.len().div_ceil(NEAR);
    let distances = known.into_iter().map(|candidate| (edits(&wanted, &candidate.to_lowercase()), candidate));
    distances.filter(|(distance, _)| *distance <= worst).min().map(|(_, candidate)| candidate)
}

/// How many characters must be put in, left out or replaced (Levenshtein).
fn edits(left: &[char], right: &str) -> usize {
    let mut row: Vec<usize> = (0..=left.len()).collect();
    for (above, there) in right.chars().take(MAX_COMPARED).enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (at, here) in left.iter().enumerate() {
            let replaced = diagonal + usize::from(*here != there);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[left.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_name_is_suggested() {
        let known = ["shop", "orders", "statement_deadline", "client.max_sessions"];
        let cases = [
            ("shp", Some("shop")),
            ("Shop ", Some("shop")),
            ("oders", Some("orders")),
            ("statement_dedline", Some("statement_deadline")),
            ("client.maxsessions", Some("client.max_sessions")),
            ("warehouse", None),
            ("", None),
        ];
        for (typed, expected) in cases {
            assert_eq!(nearest(typed, known), expected, "{typed:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        let long = "x".repeat(65);
        for name in ["", "a\nb", "ends ", &long, "MySQL", "_podway"] {
            assert!(check_schema(Thing::Keyspace, name).is_err(), "{name:?}");
        }
        for name in ["shop", "Läden", "a b", "x__2", &long[1..]] {
            assert_eq!(check_schema(Thing::Keyspace, name), Ok(()), "{name:?}");
        }
        assert!(check_label(Thing::Server, "a b").is_err());
        assert_eq!(check_label(Thing::Server, "db-1.example.com:3306"), Ok(()));
    }

    #[test]
    fn edits_are_counted() {
        for (left, right, count) in [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)] {
            assert_eq!(edits(&left.chars().collect::<Vec<_>>(), right), count, "{left} {right}");
        }
    }
}
