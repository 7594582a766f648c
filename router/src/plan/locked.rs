//! What LOCK TABLES locks, and what MySQL lets a session with such locks do. Data, and the rule; never looks at tokens. Read next: [`super::locks`].

use podway_model::{Name, NameRule};

use crate::{RouterError, Verb};

/// The tables of a LOCK TABLES, all of one keyspace with several shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableLocks {
    /// The keyspace.
    pub keyspace: Name,
    /// Its tables, in the statement's order.
    pub tables: Vec<TableLock>,
}

/// A table of a LOCK TABLES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableLock {
    /// Its name.
    pub table: Box<str>,
    /// Whether every shard has it; else home has it alone.
    pub is_everywhere: bool,
    /// The alias under which it may be used.
    pub alias: Option<Box<str>>,
    /// How it is locked.
    pub mode: LockMode,
}

/// How a table is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// READ.
    Read,
    /// READ LOCAL, which is READ where the engine is InnoDB.
    ReadLocal,
    /// WRITE, also where LOW_PRIORITY stands before it.
    Write,
}

impl LockMode {
    /// As LOCK TABLES has it.
    pub fn sql(self) -> &'static str {
        match self {
            LockMode::Read => "READ",
            LockMode::ReadLocal => "READ LOCAL",
            LockMode::Write => "WRITE",
        }
    }
}

/// What a statement under LOCK TABLES does with tables of keyspaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedUse {
    /// The tables, each time that one is named.
    pub tables: Vec<LockedTable>,
    /// Whether it is ALTER TABLE … DISABLE KEYS or ENABLE KEYS and nothing else.
    pub switches_keys: bool,
}

/// A table that a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedTable {
    /// Its keyspace.
    pub keyspace: Name,
    /// Its name.
    pub table: String,
    /// Its alias in the statement, or its own name.
    pub alias: String,
    /// Whether the statement may change it.
    pub is_written: bool,
}

impl TableLocks {
    /// Whether a table among them lies on every shard.
    pub fn are_everywhere(&self) -> bool {
        self.tables.iter().any(|lock| lock.is_everywhere)
    }

    /// What MySQL says of a statement that uses these tables.
    ///
    /// # Errors
    /// 1100 for a table that is not locked under this name, 1099 for a change of one that is locked to be read.
    pub fn check(&self, uses: &LockedUse, names: NameRule) -> Result<(), RouterError> {
        for used in &uses.tables {
            let Some(lock) = self.of(used, names) else { return Err(RouterError::not_locked(&used.alias)) };
            if used.is_written && lock.mode != LockMode::Write {
                let message =
                    format!("Table '{}' was locked with a READ lock and can't be updated", used.table);
                return Err(RouterError::new(1099, b"HY000", message));
            }
        }
        Ok(())
    }

    /// Whether a statement adds rows to one table that is locked to be written, and names no other.
    pub fn may_load(&self, verb: Verb, uses: &LockedUse, names: NameRule) -> bool {
        matches!(verb, Verb::Insert | Verb::Replace | Verb::Load)
            && uses.tables.len() == 1
            && self.check(uses, names).is_ok()
    }

    fn of(&self, used: &LockedTable, names: NameRule) -> Option<&TableLock> {
        let is_it = |lock: &&TableLock| {
            let alias = lock.alias.as_ref().unwrap_or(&lock.table);
            names.fold(alias) == names.fold(&used.alias) && names.fold(&lock.table) == names.fold(&used.table)
        };
        self.tables.iter().find(is_it).filter(|_| used.keyspace == self.keyspace)
    }

    /// About how many bytes they hold.
    pub(super) fn memory(&self) -> usize {
        let bytes = |lock: &TableLock| lock.table.len() + lock.alias.as_ref().map_or(0, |alias| alias.len());
        size_of::<TableLocks>()
            + self.tables.iter().map(|lock| size_of::<TableLock>() + bytes(lock)).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables that a statement names, their aliases, and whether it writes them.
    type Used = &'static [(&'static str, &'static str, bool)];

    fn lock(table: &str, alias: Option<&str>, mode: LockMode) -> TableLock {
        TableLock { table: table.into(), is_everywhere: true, alias: alias.map(Into::into), mode }
    }

    fn uses(tables: Used) -> LockedUse {
        let table = |(table, alias, is_written): &(&str, &str, bool)| LockedTable {
            keyspace: Name::caseless("shop"),
            table: (*table).to_owned(),
            alias: (*alias).to_owned(),
            is_written: *is_written,
        };
        LockedUse { tables: tables.iter().map(table).collect(), switches_keys: false }
    }

    fn locks() -> TableLocks {
        let tables = vec![
            lock("a", None, LockMode::Read),
            lock("b", Some("x"), LockMode::Write),
            lock("c", None, LockMode::Write),
        ];
        TableLocks { keyspace: Name::caseless("shop"), tables }
    }

    #[test]
    fn a_table_is_used_as_it_was_locked() {
        let cases: [(Used, u16); 12] = [
            (&[], 0),
            (&[("a", "a", false)], 0),
            (&[("A", "a", false)], 0),
            (&[("a", "a", true)], 1099),
            (&[("a", "z", false)], 1100),
            (&[("b", "x", true)], 0),
            (&[("b", "b", false)], 1100),
            (&[("c", "x", false)], 1100),
            (&[("c", "c", true), ("a", "a", false)], 0),
            (&[("c", "c", true), ("a", "a", true)], 1099),
            (&[("c", "c", true), ("d", "d", false)], 1100),
            (&[("c", "c", false), ("c", "c2", false)], 1100),
        ];
        for (tables, code) in cases {
            let checked = locks().check(&uses(tables), NameRule::CaseInsensitive);
            assert_eq!(checked.err().map_or(0, |error| error.errno), code, "{tables:?}");
        }
        let mut elsewhere = uses(&[("c", "c", false)]);
        elsewhere.tables[0].keyspace = Name::caseless("other");
        assert_eq!(locks().check(&elsewhere, NameRule::CaseInsensitive).unwrap_err().errno, 1100);
        assert!(locks().check(&uses(&[("C", "C", true)]), NameRule::CaseSensitive).is_err());
    }

    #[test]
    fn rows_are_loaded_into_one_table_that_is_locked_to_be_written() {
        let cases: [(Verb, Used, bool); 7] = [
            (Verb::Insert, &[("c", "c", true)], true),
            (Verb::Replace, &[("c", "c", true)], true),
            (Verb::Load, &[("c", "c", true)], true),
            (Verb::Insert, &[("a", "a", true)], false),
            (Verb::Insert, &[("c", "c", true), ("a", "a", false)], false),
            (Verb::Update, &[("c", "c", true)], false),
            (Verb::Insert, &[], false),
        ];
        for (verb, tables, loads) in cases {
            let may = locks().may_load(verb, &uses(tables), NameRule::CaseSensitive);
            assert_eq!(may, loads, "{verb:?} {tables:?}");
        }
    }
}
