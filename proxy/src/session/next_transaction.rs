//! What SET TRANSACTION without a scope has said of the next transaction. As in MySQL each kind, isolation level and access mode, stays until it is said anew or the transaction begins.

use podway_router::{AccessMode, Isolation, TransactionSettings};

use crate::txn::Characteristics;

/// What was said, each as an assignment of SET's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextTransaction {
    isolation: Option<Vec<u8>>,
    access: Option<Vec<u8>>,
}

impl NextTransaction {
    /// SET TRANSACTION.
    pub fn set(&mut self, settings: &TransactionSettings) {
        if let Some(isolation) = settings.isolation {
            let level = match isolation {
                Isolation::ReadUncommitted => "READ-UNCOMMITTED",
                Isolation::ReadCommitted => "READ-COMMITTED",
                Isolation::RepeatableRead => "REPEATABLE-READ",
                Isolation::Serializable => "SERIALIZABLE",
            };
            self.isolation = Some(format!("@@transaction_isolation = '{level}'").into_bytes());
        }
        if let Some(access) = settings.access {
            let only = u8::from(access == AccessMode::ReadOnly);
            self.access = Some(format!("@@transaction_read_only = {only}").into_bytes());
        }
    }

    /// `SET @@transaction_isolation = …`, in this text; `name`: which variable.
    pub fn assign(&mut self, name: &str, text: Vec<u8>) {
        match name.contains("read_only") {
            true => self.access = Some(text),
            false => self.isolation = Some(text),
        }
    }

    /// The statement that tells a server all of it.
    pub fn statement(&self) -> Option<Characteristics> {
        let all: Vec<&[u8]> =
            [&self.isolation, &self.access].into_iter().flatten().map(Vec::as_slice).collect();
        (!all.is_empty()).then(|| [b"SET ".as_slice(), &all.join(b", ".as_slice())].concat())
    }
}

#[cfg(test)]
mod tests {
    use podway_router::Scope;

    use super::*;

    fn settings(isolation: Option<Isolation>, access: Option<AccessMode>) -> TransactionSettings {
        TransactionSettings { scope: Scope::Unscoped, isolation, access }
    }

    #[test]
    fn each_kind_stays_until_it_is_said_anew() {
        let mut next = NextTransaction::default();
        assert_eq!(next.statement(), None);
        for (said, expected) in [
            (settings(None, Some(AccessMode::ReadOnly)), "SET @@transaction_read_only = 1"),
            (
                settings(Some(Isolation::Serializable), None),
                "SET @@transaction_isolation = 'SERIALIZABLE', @@transaction_read_only = 1",
            ),
            (
                settings(Some(Isolation::ReadCommitted), None),
                "SET @@transaction_isolation = 'READ-COMMITTED', @@transaction_read_only = 1",
            ),
            (
                settings(Some(Isolation::ReadUncommitted), Some(AccessMode::ReadWrite)),
                "SET @@transaction_isolation = 'READ-UNCOMMITTED', @@transaction_read_only = 0",
            ),
        ] {
            next.set(&said);
            assert_eq!(next.statement(), Some(expected.as_bytes().to_vec()));
        }
        next.assign("tx_read_only", b"@@transaction_read_only = ON".to_vec());
        let expected = b"SET @@transaction_isolation = 'READ-UNCOMMITTED', @@transaction_read_only = ON";
        assert_eq!(next.statement(), Some(expected.to_vec()));
    }
}
