//! Whose a connection is and what it was negotiated for: what decides who may use it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use podway_model::{AccountName, Revision};
use podway_wire::CapabilityFlags;

/// Whose a connection is and what it was negotiated for.
#[derive(Clone, Debug)]
pub struct PoolKey(Arc<PoolKeyData>);

#[derive(Debug, PartialEq, Eq)]
struct PoolKeyData {
    account: AccountName,
    capabilities: CapabilityFlags,
    rights: Revision,
    hash: u64,
}

impl PoolKey {
    /// The key of connections for this account with these capabilities. `rights`: since when what may be done under it is as it is. MySQL looks up
    /// a connection's global privileges, roles and password once, at its login, so that those from before serve no later statement.
    pub fn new(account: AccountName, capabilities: CapabilityFlags, rights: Revision) -> PoolKey {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        (&account, capabilities.bits(), rights).hash(&mut hasher);
        PoolKey(Arc::new(PoolKeyData { account, capabilities, rights, hash: hasher.finish() }))
    }

    /// As whom these connections are logged in.
    pub fn account(&self) -> &AccountName {
        &self.0.account
    }

    /// Since when what may be done under the account is as it is.
    pub fn rights(&self) -> Revision {
        self.0.rights
    }

    /// What they were negotiated for.
    pub fn capabilities(&self) -> CapabilityFlags {
        self.0.capabilities
    }
}

impl PartialEq for PoolKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for PoolKey {}

impl Hash for PoolKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}
