//! What is open, and on which server: the rules of transactions on one server, decided without I/O. Sending what is decided is the session's work.
//!
//! A transaction begins nowhere: BEGIN is answered at once and sent to the first server that a statement of it needs. Until then its
//! savepoints are kept here. A second server is refused before any effect.

mod local;

pub use local::{Begin, Characteristics, Transaction, TransactionError};
