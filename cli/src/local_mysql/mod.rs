//! Real MySQL servers on this machine, for the demo and for every test: a mysqld is found or fetched, data directories are copied
//! from one that was made once, servers come up in about a second, and nothing of them outlives this process. It never changes the
//! machine: what it downloads and writes lies below one cache folder. It knows nothing of Podway's own protocol.
//!
//! Reading order: [`cache`](Cache) (where everything lies, and who may touch it) → `version` → `distribution` → `apt` → `tree`
//! (packages without root) → `program` (how a mysqld is run: a file, an unpacked tree, a Docker image) → `template` (the data
//! directory that is copied) → [`find`](MysqlSource) → `guardian` (who cleans up when nobody else can) → `launch` (flags, ports,
//! readiness) → [`server`](LocalServer) → [`tools`](Tools) (the `mysql` client, sysbench and their like).

mod apt;
mod cache;
mod distribution;
mod find;
mod guardian;
mod launch;
mod program;
mod server;
mod template;
mod tools;
mod tree;
mod version;

pub use cache::Cache;
pub use find::{Attempt, FindError, FindOptions, MysqlSource, Way};
pub(crate) use guardian::{Duty, Guardian};
pub use program::Origin;
pub use server::{DataDir, LocalServer, ServerError, ServerOptions};
pub use tools::{ToolError, Tools};
