//! Transactions. Where one is open, and what each of its servers is told, is decided without I/O ([`Transaction`]); so is how one over several servers ends
//! ([`Commit`]). Reading order: `transaction` → `coordinator` → `side` (connections of Podway's own) → `ending` (what the coordinator decides, done) →
//! `transactions` (what sessions share) → `resolver` (what others left).
//!
//! A transaction begins nowhere: BEGIN is answered at once and sent to the first server that a statement of it needs. Until then its
//! savepoints are kept here. Each further server joins before its first statement runs there.

mod coordinator;
mod ending;
mod resolver;
mod side;
mod transaction;
mod transactions;

pub use coordinator::{Outcome, Participants, Why};
pub use ending::{Ended, Ending, wall_clock};
pub use resolver::live;
pub use side::SideServer;
pub use transaction::{Begin, Characteristics, Transaction, TransactionError};
pub use transactions::{InDoubt, Transactions};
