//! What a DDL statement is about, before and after: each table's definition, and the numbers that InnoDB gives to what it keeps the rows in, which TRUNCATE and
//! every rebuild change. As long as both are the same the statement has not taken effect, or had none.

use std::fmt::Write;

use podway_model::NameRule;
use sha2::{Digest, Sha256};

use crate::mover::{Control, MoveError};

/// The fingerprint of one table that is not there.
pub const ABSENT: &str = "absent";
/// ER_NO_SUCH_TABLE, ER_BAD_TABLE_ERROR and ER_BAD_DB_ERROR.
const NOT_THERE: [u16; 3] = [1146, 1051, 1049];

/// One table, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is not there.
    Absent,
    /// It is.
    Present {
        /// SHOW CREATE TABLE, without the next AUTO_INCREMENT number.
        definition: String,
        /// InnoDB's numbers; empty where they are not known.
        ids: Vec<u64>,
    },
}

/// Looks at tables.
pub async fn look(
    control: &mut Control,
    schema: &str,
    tables: &[&str],
    names: NameRule,
) -> Result<Vec<Seen>, MoveError> {
    let mut seen = Vec::with_capacity(tables.len());
    for table in tables {
        seen.push(look_at(control, schema, table, names).await?);
    }
    Ok(seen)
}

async fn look_at(
    control: &mut Control,
    schema: &str,
    table: &str,
    names: NameRule,
) -> Result<Seen, MoveError> {
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let sql = format!("SHOW CREATE TABLE {}.{}", quoted(schema), quoted(table));
    let definition = match control.rows::<mysql_async::Row>(&sql).await {
        Ok(rows) => rows.into_iter().next().and_then(|mut row| row.take::<String, _>(1)).unwrap_or_default(),
        Err(error) if error.code().is_some_and(|code| NOT_THERE.contains(&code)) => return Ok(Seen::Absent),
        Err(error) => return Err(error),
    };
    let ids = match stored_name(&names.fold(schema)).zip(stored_name(&names.fold(table))) {
        Some((schema, table)) => {
            let sql = "SELECT TABLE_ID FROM information_schema.INNODB_TABLES WHERE NAME COLLATE utf8mb3_bin = ? \
                       OR LOWER(LEFT(NAME, CHAR_LENGTH(?) + 3)) COLLATE utf8mb3_bin = LOWER(CONCAT(?, '#p#')) \
                       AND LEFT(NAME, CHAR_LENGTH(?)) COLLATE utf8mb3_bin = ? ORDER BY TABLE_ID";
            let name = format!("{schema}/{table}");
            control.rows_with(sql, (&name, &name, &name, &name, &name)).await?
        }
        None => Vec::new(),
    };
    Ok(Seen::Present { definition: without_next_number(&definition), ids })
}

/// A table's triggers, as a fingerprint.
pub async fn look_at_triggers(control: &mut Control, schema: &str, table: &str) -> Result<String, MoveError> {
    let sql = "SELECT CONCAT_WS('/', ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER, HEX(TRIGGER_NAME), HEX(DEFINER), SQL_MODE, HEX(ACTION_STATEMENT), CREATED) \
               FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE = ? ORDER BY 1";
    let triggers: Vec<String> = control.rows_with(sql, (schema, table)).await?;
    let seen = Seen::Present { definition: triggers.join("\n"), ids: Vec::new() };
    Ok(fingerprint(&[seen]))
}

/// A fingerprint of them all.
pub fn fingerprint(seen: &[Seen]) -> String {
    if let [Seen::Absent] = seen {
        return ABSENT.to_owned();
    }
    let mut sum = Sha256::new();
    for one in seen {
        match one {
            Seen::Absent => sum.update([0]),
            Seen::Present { definition, ids } => {
                sum.update([1]);
                sum.update((definition.len() as u64).to_le_bytes());
                sum.update(definition.as_bytes());
                sum.update((ids.len() as u64).to_le_bytes());
                ids.iter().for_each(|id| sum.update(id.to_le_bytes()));
            }
        }
    }
    let mut text = String::with_capacity(64);
    for byte in sum.finalize() {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A name as InnoDB keeps it: what is not a letter of ASCII, a digit or `_` as `@` and four hexadecimal digits. Some other letters have names of their own, which are not
/// known here.
fn stored_name(name: &str) -> Option<String> {
    let mut stored = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => stored.push(c),
            c if c.is_ascii() => {
                let _ = write!(stored, "@{:04x}", u32::from(c));
            }
            _ => return None,
        }
    }
    Some(stored)
}

/// A definition without the ` AUTO_INCREMENT=n` of its options, which every insert changes.
fn without_next_number(definition: &str) -> String {
    let options = definition.rfind("\n) ").map_or(0, |at| at + 1);
    let (columns, options) = definition.split_at(options);
    let comment = options.find(" COMMENT=").unwrap_or(options.len());
    let Some(at) = options[..comment].find(" AUTO_INCREMENT=") else { return definition.to_owned() };
    let number = &options[at + " AUTO_INCREMENT=".len()..];
    let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{columns}{}{rest}", &options[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(definition: &str, ids: &[u64]) -> Seen {
        Seen::Present { definition: definition.to_owned(), ids: ids.to_vec() }
    }

    #[test]
    fn a_fingerprint_tells_apart_what_a_statement_may_have_changed() {
        let all = [
            vec![Seen::Absent],
            vec![present("a", &[1])],
            vec![present("b", &[1])],
            vec![present("a", &[2])],
            vec![present("a", &[1, 2])],
            vec![present("a", &[])],
            vec![Seen::Absent, Seen::Absent],
            vec![present("a", &[1]), Seen::Absent],
            vec![Seen::Absent, present("a", &[1])],
        ];
        let distinct: std::collections::BTreeSet<String> = all.iter().map(|seen| fingerprint(seen)).collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(fingerprint(&all[0]), ABSENT);
        assert_eq!(fingerprint(&all[1]), fingerprint(&[present("a", &[1])]));
    }

    #[test]
    fn names_are_as_innodb_keeps_them() {
        assert_eq!(stored_name("sh-op").as_deref(), Some("sh@002dop"));
        assert_eq!(stored_name("shop__2").as_deref(), Some("shop__2"));
        assert_eq!(stored_name("a$b c").as_deref(), Some("a@0024b@0020c"));
        assert_eq!(stored_name("tüten"), None);
    }

    #[test]
    fn the_next_number_is_no_part_of_a_definition() {
        let definition = |next: &str| {
            format!(
                "CREATE TABLE `t` (\n  `AUTO_INCREMENT=5` int NOT NULL\n) ENGINE=InnoDB{next} DEFAULT CHARSET=utf8mb4 COMMENT='x AUTO_INCREMENT=7'"
            )
        };
        assert_eq!(without_next_number(&definition(" AUTO_INCREMENT=12")), definition(""));
        assert_eq!(without_next_number(&definition("")), definition(""));
        let plain = "CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB";
        assert_eq!(without_next_number(plain), plain);
    }
}
