//! Names of databases, tables and columns, compared as the servers compare them. Never a file name, never a user name.
//!
//! MySQL compares database and table names by `lower_case_table_names` (0: as written; 1 and 2: without case), column and variable
//! names always without case (MySQL manual, "Identifier Case Sensitivity"). Read next: [`crate::Map::names`].

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How the servers of a cluster compare the names of databases and tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NameRule {
    /// `lower_case_table_names = 0`: `Shop` and `shop` are two names.
    #[default]
    CaseSensitive,
    /// `lower_case_table_names = 1` or `2`: `Shop` and `shop` are one name.
    CaseInsensitive,
}

impl NameRule {
    /// The rule that a server's `@@lower_case_table_names` stands for.
    pub fn from_lower_case_table_names(value: u8) -> Self {
        if value == 0 { NameRule::CaseSensitive } else { NameRule::CaseInsensitive }
    }

    /// A name under this rule.
    pub fn name(self, text: &str) -> Name {
        let key = match self.fold(text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(folded) => Some(folded.into()),
        };
        Name { text: text.into(), key }
    }

    /// The form under which `text` is compared; borrowed where it is that already.
    pub fn fold(self, text: &str) -> Cow<'_, str> {
        match self {
            NameRule::CaseSensitive => Cow::Borrowed(text),
            NameRule::CaseInsensitive => fold_case(text),
        }
    }
}

fn fold_case(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| c.is_uppercase()) {
        Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// A name as its owner wrote it, equal to every spelling that the servers take for the same.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Name {
    text: Arc<str>,
    /// The compared form, where it differs from the text.
    key: Option<Arc<str>>,
}

/// How a name is stored: most are their own compared form, and there are many.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Plain(Arc<str>),
    Folded { text: Arc<str>, key: Arc<str> },
}

impl From<Name> for Written {
    fn from(name: Name) -> Written {
        match name.key {
            None => Written::Plain(name.text),
            Some(key) => Written::Folded { text: name.text, key },
        }
    }
}

impl From<Written> for Name {
    fn from(written: Written) -> Name {
        match written {
            Written::Plain(text) => Name { text, key: None },
            Written::Folded { text, key } => Name { text, key: Some(key) },
        }
    }
}

impl Name {
    /// A column's or variable's name: compared without case on every server.
    pub fn caseless(text: &str) -> Name {
        NameRule::CaseInsensitive.name(text)
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name as it was written, to be shared.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The name as it was written, shared.
    pub fn shared_text(&self) -> Arc<str> {
        self.text.clone()
    }

    /// The form that is compared: what [`NameRule::fold`] makes of the text.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.text)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(other.key())
    }
}

/// Look-ups by a text that was folded with the same rule need no allocation.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self.key()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_by_the_servers_rule_and_print_as_written() {
        let cases = [
            (NameRule::CaseSensitive, "Shop", "shop", false),
            (NameRule::CaseSensitive, "shop", "shop", true),
            (NameRule::CaseInsensitive, "Shop", "sHOP", true),
            (NameRule::CaseInsensitive, "Läden", "LÄDEN", true),
            (NameRule::CaseInsensitive, "shop", "shops", false),
        ];
        for (rule, left, right, equal) in cases {
            assert_eq!(rule.name(left) == rule.name(right), equal, "{left} {right} under {rule:?}");
            assert_eq!(rule.name(left).to_string(), left);
        }
    }

    #[test]
    fn a_folded_text_finds_a_name_in_a_map() {
        let rule = NameRule::CaseInsensitive;
        let map = std::collections::HashMap::from([(rule.name("Orders"), 1)]);
        assert_eq!(map.get(rule.fold("ORDERS").as_ref()), Some(&1));
    }
}
