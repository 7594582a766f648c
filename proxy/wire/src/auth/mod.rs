//! Who is there: the plugins' arithmetic, and the exchange from either side.
//!
//! Both sides are state machines over payloads: [`ServerAuth`] asks a client, [`ClientAuth`] answers a server. Neither looks
//! an account up or sends a byte. Secrets are compared in constant time, and never printed. In reading order:
//! [`caching_sha2`], [`native`], [`rsa`], then the two machines.

pub mod caching_sha2;
pub mod native;
pub mod rsa;

mod client;
mod nonce;
mod server;

pub use caching_sha2::Verifier;
pub use client::{BackendLogin, ClientAuth, ClientAuthError, ClientStep, ServerKey};
pub use nonce::{NONCE_LEN, nonce};
pub use rsa::{RsaError, RsaKey};
pub use server::{AuthStep, ServerAuth, StoredAccount};
