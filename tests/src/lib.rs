//! The harness: real servers, a map over them and a proxy before them, for the tests in `tests/`; and the checker of the repository's
//! own structure. Tests say what they need in these words and never start processes or build maps themselves.
//!
//! Reading order: [`servers`](mysql_source) (one MySQL for all) → [`eventually`] → `proxy_seam` (where the proxy comes in) →
//! [`target`] (a cluster of our own, or a given one) → `given` (the way into that one) → `told` (a map that comes from three topology nodes) →
//! [`pod`](Pod) (servers, accounts, the map, the proxy) → [`keyspace`](TestKeyspace) (a test's own database) → `telling` (what a topology is told of them) → [`answer`] (what a statement was answered with) → [`raw`] (a client that speaks the protocol by hand) → [`chaos`] (a cluster that is hurt) → [`workload`] (what others measure databases with) → [`structure`].

pub mod answer;
pub mod chaos;
mod eventually;
mod given;
mod keyspace;
mod pod;
mod proxy_seam;
pub mod raw;
mod servers;
pub mod structure;
mod target;
mod telling;
mod told;
mod users;
pub mod workload;

pub use eventually::{eventually, eventually_async};
pub use keyspace::TestKeyspace;
pub use pod::{Pod, PodOptions};
pub use proxy_seam::{RunningProxy, patient_config};
pub use servers::{client_program, harness, mysql_client, mysql_source, plain_server};
pub use target::{Target, is_left_out, target};
pub use telling::{keep_lease, prepare_servers, tell_keyspace, tell_servers};
pub use users::{APP, Grant, Password, User};
