//! Session state as values: system variables and user variables with the SQL literals that make them so, and the SET statement that turns
//! one connection's state into another's. Pure: sending it is the connection's work.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::Xxh3;

/// System variables that a session has set, each with the literal that sets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(Values);

/// User variables of a session, each with the literal that sets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserVariables(Values);

/// Names in lower case and the literals that set them.
#[derive(Clone, Debug, Default, Eq)]
struct Values {
    literals: BTreeMap<Box<str>, Box<[u8]>>,
    fingerprint: u64,
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.literals == other.literals
    }
}

impl Values {
    fn put(&mut self, name: &str, literal: &[u8]) {
        self.literals.insert(name.to_lowercase().into(), literal.into());
        self.sum();
    }

    fn remove(&mut self, name: &str) {
        self.literals.remove(name.to_lowercase().as_str());
        self.sum();
    }

    fn sum(&mut self) {
        let mut hasher = Xxh3::new();
        self.literals.hash(&mut hasher);
        self.fingerprint = if self.literals.is_empty() { 0 } else { hasher.finish() };
    }

    /// Assignments that turn `self` into `to`; what `to` lacks is set to `missing`.
    fn assignments(&self, to: &Values, variable: impl Fn(&str) -> Vec<u8>, missing: &[u8]) -> Vec<Vec<u8>> {
        let changed = to.literals.iter().filter(|(name, literal)| self.literals.get(*name) != Some(literal));
        let gone = self.literals.keys().filter(|name| !to.literals.contains_key(*name));
        changed
            .map(|(name, literal)| (name, &literal[..]))
            .chain(gone.map(|name| (name, missing)))
            .map(|(name, literal)| [&variable(name), b" = ".as_slice(), literal].concat())
            .collect()
    }
}

impl Settings {
    /// These, and `name` set by `literal`.
    pub fn put(&mut self, name: &str, literal: &[u8]) {
        self.0.put(name, literal);
    }

    /// These, without `name`: the server's default again.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The literal that sets this variable.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.literals.get(name).map(|literal| &literal[..])
    }

    /// Equal settings have one fingerprint.
    pub fn fingerprint(&self) -> u64 {
        self.0.fingerprint
    }

    /// Whether `from` has variables set that these leave to the server. Only a reset undoes that: DEFAULT is not always what a new
    /// connection has (`SET foreign_key_checks = DEFAULT` leaves a 0 in place).
    pub fn need_reset_from(&self, from: &Settings) -> bool {
        from.0.literals.keys().any(|name| !self.0.literals.contains_key(name))
    }

    /// The statement that turns a connection in the state `from` into one in this state; `None` if it is.
    pub fn statement_from(&self, from: &Settings) -> Option<Vec<u8>> {
        let variable = |name: &str| format!("@@SESSION.{}", quoted_identifier(name)).into_bytes();
        set_statement(from.0.assignments(&self.0, variable, b"DEFAULT"))
    }
}

impl UserVariables {
    /// These, and `name` set by `literal`; a variable that is NULL is one that never was.
    pub fn put(&mut self, name: &str, literal: &[u8]) {
        if literal == b"NULL" { self.0.remove(name) } else { self.0.put(name, literal) }
    }

    /// The literal that sets this variable; `None`: it is NULL.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.literals.get(name.to_lowercase().as_str()).map(|literal| &literal[..])
    }

    /// The statement that turns a connection with the variables `from` into one with these; `None` if it is.
    pub fn statement_from(&self, from: &UserVariables) -> Option<Vec<u8>> {
        let variable = |name: &str| format!("@{}", quoted_identifier(name)).into_bytes();
        set_statement(from.0.assignments(&self.0, variable, b"NULL"))
    }

    /// Equal variables have one fingerprint.
    pub fn fingerprint(&self) -> u64 {
        self.0.fingerprint
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.0.literals.iter().map(|(name, literal)| name.len() + literal.len()).sum()
    }
}

fn set_statement(assignments: Vec<Vec<u8>>) -> Option<Vec<u8>> {
    (!assignments.is_empty()).then(|| [b"SET ".to_vec(), assignments.join(b", ".as_slice())].concat())
}

/// A name in backticks.
pub fn quoted_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string literal that reads the same under every sql_mode and client character set: `text` is UTF-8.
pub fn string_literal(text: &[u8]) -> Vec<u8> {
    let digits = text
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| b"0123456789ABCDEF"[usize::from(digit)]);
    b"_utf8mb4 X'".iter().copied().chain(digits).chain(*b"'").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        values.iter().for_each(|(name, literal)| settings.put(name, literal.as_bytes()));
        settings
    }

    #[test]
    fn one_statement_turns_one_state_into_another() {
        type State = &'static [(&'static str, &'static str)];
        let cases: [(State, State, Option<&str>); 5] = [
            (&[], &[], None),
            (&[("a", "1")], &[("A", "1")], None),
            (&[], &[("a", "1")], Some("SET @@SESSION.`a` = 1")),
            (&[("a", "1")], &[], Some("SET @@SESSION.`a` = DEFAULT")),
            (
                &[("a", "1"), ("b", "2")],
                &[("b", "3"), ("c", "4")],
                Some("SET @@SESSION.`b` = 3, @@SESSION.`c` = 4, @@SESSION.`a` = DEFAULT"),
            ),
        ];
        for (from, to, expected) in cases {
            let statement = settings(to).statement_from(&settings(from));
            assert_eq!(statement, expected.map(|text| text.as_bytes().to_vec()), "{from:?} -> {to:?}");
        }
    }

    #[test]
    fn fingerprints_tell_states_apart() {
        assert_eq!(
            settings(&[("a", "1"), ("b", "2")]).fingerprint(),
            settings(&[("b", "2"), ("a", "1")]).fingerprint()
        );
        assert_ne!(settings(&[("a", "1")]).fingerprint(), settings(&[("a", "2")]).fingerprint());
        assert_eq!(settings(&[]).fingerprint(), Settings::default().fingerprint());
    }

    #[test]
    fn a_variable_that_is_null_is_forgotten() {
        let mut variables = UserVariables::default();
        variables.put("x", b"5");
        variables.put("we`ird", b"6");
        let before = variables.clone();
        variables.put("X", b"NULL");
        assert_eq!(variables.statement_from(&before).unwrap(), b"SET @`x` = NULL");
        assert_eq!(variables.statement_from(&UserVariables::default()).unwrap(), b"SET @`we``ird` = 6");
    }

    #[test]
    fn strings_are_written_in_hexadecimal() {
        assert_eq!(string_literal("a'\\é".as_bytes()), b"_utf8mb4 X'61275CC3A9'");
    }
}
