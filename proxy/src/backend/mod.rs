//! Connections to the servers: logging in as the client's own account, the state that was applied to them, their pools, and ending what
//! runs on them. A connection that surprises us is closed, never returned. It never reads a statement and knows no client.
//!
//! Reading order: `settings` → `key` → `losses` → `endpoint` → `login` → `statements` → `connection` → `pins` → `prepare` → `pool` → `pools`.

mod connection;
mod endpoint;
mod key;
mod login;
mod losses;
mod pins;
mod pool;
mod pools;
mod prepare;
mod rows;
mod settings;
mod statements;

pub use connection::BackendConnection;
pub use endpoint::ServerThread;
pub use key::PoolKey;
pub use pool::{Fit, ServerPool};
pub use pools::Pools;
pub use rows::Rows;
pub use settings::{Settings, UserVariables, quoted_identifier, string_literal};
pub use statements::Description;
