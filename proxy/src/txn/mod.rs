//! Transactions. Where one is open, and what each of its servers is told, is decided without I/O ([`Transaction`]); so is how one over several servers ends
//! ([`Commit`]). Reading order: `transaction` → `coordinator` → `side` (connections of Podway's own) → `ending` (what the coordinator decides, done) →
//! `transactions` (what sessions share) → `resolver` (what others left) → `known` (what has become of one, for whoever asks); and `deadlock` (who waits for whom over several servers) → `lock_waits` (what servers show of it).
//! Reading whole: `together` (whether snapshots are of one moment) → `opening` (until they are).
//!
//! A transaction begins nowhere: BEGIN is answered at once and sent to the first server that a statement of it needs. Until then its
//! savepoints are kept here. Each further server joins before its first statement runs there.

mod coordinator;
mod deadlock;
mod ending;
mod known;
mod lock_waits;
mod opening;
mod resolver;
mod side;
mod together;
mod transaction;
mod transactions;

pub use coordinator::{Outcome, Participants, Why};
pub use deadlock::{By, Deadlock, Known, Look, Member, Part, Wait, deadlocks};
pub use ending::{Ended, Ending};
pub use lock_waits::{LockWatch, Shown, Unseen};
pub use opening::{Opening, OpeningError, Reader};
pub use resolver::{LiveMap, live};
pub use side::{SideServer, StoredProcedure};
pub use transaction::{Begin, Characteristics, Transaction, TransactionError};
pub use transactions::{InDoubt, Transactions};
