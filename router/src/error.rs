//! The one error of this crate: what a client is to be told. Never logs, never decides whether to retry.
//!
//! Every error carries MySQL's own number and SQLSTATE, so that drivers map it as they map the server's. Read next:
//! [`crate::Normalised`], the first that can fail.

use std::fmt;

/// How much of the offending text a syntax error quotes, as MySQL does.
const NEAR_BYTES: usize = 80;

/// ER_LOCK_WAIT_TIMEOUT.
const HELD: u16 = 1205;

/// An error as MySQL would send it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RouterError {
    /// MySQL's error number.
    pub errno: u16,
    /// The SQLSTATE of that number.
    pub sqlstate: [u8; 5],
    /// The text for the client.
    pub message: String,
}

impl RouterError {
    /// Any error, by its number, SQLSTATE and text.
    pub fn new(errno: u16, sqlstate: &[u8; 5], message: impl Into<String>) -> Self {
        RouterError { errno, sqlstate: *sqlstate, message: message.into() }
    }

    /// 1235: a construct that Podway does not serve (here); `what` names it.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(1235, b"42000", format!("This version of Podway doesn't yet support '{what}'"))
    }

    /// 1064 at byte `at` of `sql`, worded like the server's.
    pub fn syntax(sql: &[u8], at: usize) -> Self {
        let at = at.min(sql.len());
        let line = 1 + sql[..at].iter().filter(|&&byte| byte == b'\n').count();
        let near = String::from_utf8_lossy(&sql[at..sql.len().min(at + NEAR_BYTES)]);
        let message = format!(
            "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version \
             for the right syntax to use near '{near}' at line {line}"
        );
        Self::new(1064, b"42000", message)
    }

    /// 1205: what a name of a table stands for is about to change. Whoever can waits, and plans again.
    pub fn held(keyspace: impl fmt::Display, table: &str, operation: u64) -> Self {
        let message = format!(
            "Lock wait timeout exceeded; operation {operation} is changing what {keyspace}.{table} stands for; try restarting transaction"
        );
        Self::new(HELD, b"HY000", message)
    }

    /// Whether it says that a name of a table is about to change.
    pub fn is_held(&self) -> bool {
        self.errno == HELD
    }

    /// 1100: under LOCK TABLES, a table that is not among them.
    pub fn not_locked(table: &str) -> Self {
        Self::new(1100, b"HY000", format!("Table '{table}' was not locked with LOCK TABLES"))
    }

    /// 1046: an unqualified table, and no database in use.
    pub fn no_database() -> Self {
        Self::new(1046, b"3D000", "No database selected")
    }

    /// 1049: there is no such database.
    pub fn unknown_database(name: impl fmt::Display) -> Self {
        Self::new(1049, b"42000", format!("Unknown database '{name}'"))
    }
}

impl fmt::Display for RouterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = String::from_utf8_lossy(&self.sqlstate);
        write!(f, "ERROR {} ({state}): {}", self.errno, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_quotes_what_follows_and_counts_lines() {
        let error = RouterError::syntax(b"SELECT 1,\n'abc", 10);
        assert_eq!((error.errno, &error.sqlstate), (1064, b"42000"));
        assert!(error.message.ends_with("near ''abc' at line 2"), "{}", error.message);
    }

    #[test]
    fn errors_print_as_the_mysql_client_prints_them() {
        assert_eq!(RouterError::no_database().to_string(), "ERROR 1046 (3D000): No database selected");
    }
}
