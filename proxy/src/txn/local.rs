//! A transaction on one server.

use podway_model::{Name, ServerId};

/// Savepoints that a transaction may have before its first server is known.
const MAX_PENDING_SAVEPOINTS: usize = 1_000;

/// How a transaction was asked to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// START TRANSACTION READ ONLY.
    pub read_only: bool,
    /// START TRANSACTION READ WRITE.
    pub read_write: bool,
}

/// SET TRANSACTION without a scope: it counts for the next transaction only.
pub type Characteristics = Vec<u8>;

/// A session's transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transaction {
    /// None is open: each statement is its own.
    #[default]
    None,
    /// BEGIN was answered; no server knows of it.
    Pending {
        /// How it was asked to begin.
        begin: Begin,
        /// The savepoints set so far.
        savepoints: Vec<Name>,
    },
    /// It is open on this server.
    Open(ServerId),
}

/// Why a statement cannot be part of the transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// It needs another server than the one that the transaction is open on.
    #[error("a transaction that touches a second MySQL server")]
    SecondServer,
    /// There is no such savepoint.
    #[error("SAVEPOINT {0} does not exist")]
    NoSavepoint(Name),
    /// More savepoints than a transaction may have before its first statement.
    #[error("more than {MAX_PENDING_SAVEPOINTS} savepoints before the first statement of a transaction")]
    TooManySavepoints,
}

impl Transaction {
    /// Begins one; whatever was open has been committed.
    pub fn begin(begin: Begin) -> Transaction {
        Transaction::Pending { begin, savepoints: Vec::new() }
    }

    /// Whether the client is told that a transaction is open.
    pub fn is_open(&self) -> bool {
        !matches!(self, Transaction::None)
    }

    /// The server that it is open on.
    pub fn server(&self) -> Option<ServerId> {
        match self {
            Transaction::Open(server) => Some(*server),
            Transaction::None | Transaction::Pending { .. } => None,
        }
    }

    /// Whether a statement for `server` may run in it.
    pub fn admits(&self, server: ServerId) -> Result<(), TransactionError> {
        match self {
            Transaction::Open(open) if *open != server => Err(TransactionError::SecondServer),
            _ => Ok(()),
        }
    }

    /// The statements that open a pending transaction on its first server, in their order.
    pub fn opening(&self) -> Vec<String> {
        let Transaction::Pending { begin, savepoints } = self else { return Vec::new() };
        let mode = match (begin.read_only, begin.read_write) {
            (true, _) => " READ ONLY",
            (_, true) => " READ WRITE",
            _ => "",
        };
        let savepoint = |name: &Name| format!("SAVEPOINT `{}`", name.as_str().replace('`', "``"));
        std::iter::once(format!("START TRANSACTION{mode}")).chain(savepoints.iter().map(savepoint)).collect()
    }

    /// SAVEPOINT before the first server is known.
    pub fn set_savepoint(&mut self, name: &Name) -> Result<(), TransactionError> {
        let Transaction::Pending { savepoints, .. } = self else { return Ok(()) };
        savepoints.retain(|existing| existing != name);
        if savepoints.len() >= MAX_PENDING_SAVEPOINTS {
            return Err(TransactionError::TooManySavepoints);
        }
        savepoints.push(name.clone());
        Ok(())
    }

    /// ROLLBACK TO before the first server is known: later savepoints are gone.
    pub fn roll_back_to(&mut self, name: &Name) -> Result<(), TransactionError> {
        let position = self.savepoint_position(name)?;
        if let Transaction::Pending { savepoints, .. } = self {
            savepoints.truncate(position + 1);
        }
        Ok(())
    }

    /// RELEASE SAVEPOINT before the first server is known: it and later ones are gone.
    pub fn release(&mut self, name: &Name) -> Result<(), TransactionError> {
        let position = self.savepoint_position(name)?;
        if let Transaction::Pending { savepoints, .. } = self {
            savepoints.truncate(position);
        }
        Ok(())
    }

    fn savepoint_position(&self, name: &Name) -> Result<usize, TransactionError> {
        let position = match self {
            Transaction::Pending { savepoints, .. } => {
                savepoints.iter().position(|existing| existing == name)
            }
            Transaction::None | Transaction::Open(_) => None,
        };
        position.ok_or_else(|| TransactionError::NoSavepoint(name.clone()))
    }

    /// What it is after an answer of `server` that said whether a transaction is open there.
    pub fn after_answer(self, server: ServerId, open_there: bool) -> Transaction {
        match self {
            Transaction::Open(open) if open != server => Transaction::Open(open),
            _ if open_there => Transaction::Open(server),
            // A statement that ran outside it says nothing of it.
            Transaction::Pending { .. } => self,
            Transaction::None | Transaction::Open(_) => Transaction::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::caseless(text)
    }

    #[test]
    fn a_transaction_opens_where_its_first_statement_goes() {
        let mut transaction = Transaction::begin(Begin { read_only: true, ..Begin::default() });
        assert!(transaction.is_open());
        assert_eq!(transaction.server(), None);
        transaction.set_savepoint(&name("a`b")).unwrap();
        assert_eq!(transaction.opening(), ["START TRANSACTION READ ONLY", "SAVEPOINT `a``b`"]);
        assert_eq!(transaction.admits(ServerId(2)), Ok(()));
        let transaction = transaction.after_answer(ServerId(2), true);
        assert_eq!(transaction, Transaction::Open(ServerId(2)));
        assert_eq!(transaction.admits(ServerId(2)), Ok(()));
        assert_eq!(transaction.admits(ServerId(3)), Err(TransactionError::SecondServer));
        assert_eq!(transaction.after_answer(ServerId(2), false), Transaction::None);
    }

    #[test]
    fn a_statement_that_ran_outside_leaves_a_transaction_to_begin_later() {
        let pending = Transaction::begin(Begin::default());
        assert_eq!(pending.clone().after_answer(ServerId(1), false), pending);
        assert_eq!(pending.after_answer(ServerId(1), true), Transaction::Open(ServerId(1)));
    }

    #[test]
    fn another_servers_answer_says_nothing_of_the_transaction() {
        let open = Transaction::Open(ServerId(1));
        assert_eq!(open.clone().after_answer(ServerId(2), false), open);
    }

    #[test]
    fn savepoints_before_the_first_statement_behave_as_in_mysql() {
        let mut transaction = Transaction::begin(Begin::default());
        for text in ["a", "b", "c", "A"] {
            transaction.set_savepoint(&name(text)).unwrap();
        }
        assert_eq!(transaction.opening()[1..], ["SAVEPOINT `b`", "SAVEPOINT `c`", "SAVEPOINT `A`"]);
        transaction.roll_back_to(&name("c")).unwrap();
        assert_eq!(transaction.roll_back_to(&name("a")), Err(TransactionError::NoSavepoint(name("a"))));
        transaction.release(&name("b")).unwrap();
        assert_eq!(transaction.opening(), ["START TRANSACTION"]);
        assert_eq!(transaction.release(&name("c")), Err(TransactionError::NoSavepoint(name("c"))));
    }

    #[test]
    fn pending_savepoints_are_bounded() {
        let mut transaction = Transaction::begin(Begin::default());
        for n in 0..MAX_PENDING_SAVEPOINTS {
            transaction.set_savepoint(&name(&format!("s{n}"))).unwrap();
        }
        assert_eq!(transaction.set_savepoint(&name("one more")), Err(TransactionError::TooManySavepoints));
    }
}
