//! Makes servers ready for Podway and reads from them what the map must know: schemas, accounts, tables. It runs before and beside
//! the proxy, never on the path of a statement, and never changes rows.
//!
//! Reading order: [`login`](AdminLogin) → [`schema`](create_schema) → [`account`](ensure_account) → [`columns`](TableDefinition) →
//! [`declare`].

mod account;
mod columns;
mod declare;
mod error;
mod login;
mod schema;

pub use account::{OwnPassword, create_user, ensure_account, read_account, read_accounts};
pub use columns::{TableDefinition, read_table, table_names};
pub use declare::{Declaration, declare};
pub use error::ProvisionError;
pub use login::{AdminLogin, ServerFacts, read_facts};
pub use schema::{create_schema, quote_name};
