//! What lets a part of Podway into the servers. Handed only to callers that proved who they are; never part of a [`View`](crate::View), a log or
//! a `Debug`.

use podway_model::{ClusterSecret, ServerId};
use serde::{Deserialize, Serialize};

use crate::AdminAccount;

/// The cluster's secret, and as whom each server is administered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// From which Podway's passwords of users on the servers are derived.
    pub secret: ClusterSecret,
    /// The administrators, by server.
    pub admins: Vec<(ServerId, AdminAccount)>,
}

impl Credentials {
    /// As whom a server is administered.
    pub fn admin(&self, server: ServerId) -> Option<&AdminAccount> {
        self.admins.iter().find(|(id, _)| *id == server).map(|(_, admin)| admin)
    }
}
