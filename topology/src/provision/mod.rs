//! Makes servers ready for Podway and reads from them what the map must know: schemas, accounts, tables. It never changes rows, and what is decided on
//! what it reads is decided elsewhere.
//!
//! Reading order: [`login`](AdminLogin) → [`schema`](create_schema) → [`grant`](schema_grant) → [`compare`](ServerTraits) → [`account`](ensure_account) →
//! [`transactions`](ensure_transactions) → [`columns`](TableDefinition) → [`shape`](TableShape) → [`views`](ViewUse) →
//! [`programs`](program_in_the_way), which read `bodies`.

mod account;
mod bodies;
mod bring;
mod calls;
mod columns;
mod compare;
mod error;
mod grant;
mod literal;
mod login;
mod procedures;
mod programs;
mod rights;
mod schema;
mod shape;
mod transactions;
mod unique;
mod views;

pub use account::{
    OwnPassword, RequiredTransport, change_password, create_user, drop_user, ensure_account, plugin_name,
    plugin_of, read_account, read_accounts, unhex,
};
pub use bring::bring_accounts;
pub use calls::{grant_calls, lacking_calls};
pub use columns::{TableDefinition, read_next_number, read_table, table_names};
pub use compare::{Difference, ServerTraits, read_traits};
pub use error::ProvisionError;
pub use grant::schema_grant;
pub use literal::{account_literal, text_literal};
pub use login::{AdminLogin, ServerFacts, read_facts};
pub use programs::program_in_the_way;
pub use rights::missing_rights;
pub use schema::{create_schema, quote_name};
pub use shape::{TableDigest, TableShape, read_digests, read_shape};
pub use transactions::{TransactionsReady, ensure_transactions};
pub use unique::{UniqueKey, names_of_keys, unique_on_each_shard_only};
pub use views::{ViewUse, read_view_uses, used_by_a_view, view_using, views_of_spread};
