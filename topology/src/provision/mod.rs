//! Makes servers ready for Podway and reads from them what the map must know: schemas, accounts, tables. It never changes rows, and what is decided on
//! what it reads is decided elsewhere.
//!
//! Reading order: [`login`](AdminLogin) → [`schema`](create_schema) → [`grant`](schema_grant) → [`compare`](ServerTraits) → [`account`](ensure_account) →
//! [`columns`](TableDefinition).

mod account;
mod columns;
mod compare;
mod error;
mod grant;
mod login;
mod schema;

pub use account::{
    OwnPassword, RequiredTransport, change_password, create_user, drop_user, ensure_account, read_account,
    read_accounts,
};
pub use columns::{TableDefinition, read_table, table_names};
pub use compare::{Difference, ServerTraits, read_traits};
pub use error::ProvisionError;
pub use grant::schema_grant;
pub use login::{AdminLogin, ServerFacts, read_facts};
pub use schema::{create_schema, quote_name};
