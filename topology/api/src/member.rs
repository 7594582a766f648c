//! The nodes that keep the topology: how they are numbered and reached, and how they stand. Words alone: nobody is asked anything here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A topology node's number, chosen by the operator; never used for two nodes at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for NodeId {
    fn from(number: u64) -> NodeId {
        NodeId(number)
    }
}

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a number of 32 hexadecimal digits")]
pub struct NotAnId(String);

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub u128);

        impl $name {
            /// A new one that nobody else has.
            pub fn random() -> $name {
                $name(rand::random())
            }

            /// As it is sent between nodes.
            pub fn bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// From what was sent; `None` unless it has 16 bytes.
            pub fn from_bytes(bytes: &[u8]) -> Option<$name> {
                Some($name(u128::from_be_bytes(bytes.try_into().ok()?)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<$name, NotAnId> {
                let number = (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok()).flatten();
                number.map($name).ok_or_else(|| NotAnId(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;

            fn try_from(text: String) -> Result<$name, NotAnId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

random_id! {
    /// Which cluster a node belongs to: made at random when the cluster is, so that nodes of two clusters never mix.
    ClusterId
}

random_id! {
    /// Which disk a node answers from: made at random with an empty store. A node that lost its disk comes back with another one, and has no
    /// vote until it is added anew: its old votes and log entries are forgotten, so counting it could lose what a majority acknowledged.
    StoreId
}

/// A node as the cluster's configuration has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where the other nodes reach it: `host:port`.
    pub peer: String,
    /// Where clients reach it: `host:port`.
    pub client: String,
    /// The disk that it joined with.
    pub store: StoreId,
}

/// What a node does for the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Takes the changes.
    Leader,
    /// Has a vote.
    Voter,
    /// Receives the log, without a vote: a node that is being added.
    Learner,
}

/// How one node stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its number.
    pub id: NodeId,
    /// Its addresses.
    pub member: Member,
    /// Its part.
    pub role: MemberRole,
    /// The last log entry that the leader knows it to have; `None` where no leader answered, or it never did.
    pub has: Option<u64>,
    /// Whether the leader heard from it in the last seconds; `None` where no leader answered.
    pub reachable: Option<bool>,
}

/// The nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// The cluster.
    pub cluster: ClusterId,
    /// Who said this: the leader, or the node that was asked where no leader could be.
    pub told_by: NodeId,
    /// The leader, as far as it is known.
    pub leader: Option<NodeId>,
    /// Counts the elections.
    pub term: u64,
    /// The last entry of the teller's log.
    pub last_index: u64,
    /// Each node, lowest number first.
    pub nodes: Vec<MemberStatus>,
}

/// A change of who the nodes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberChange {
    /// A running node that waits to join gets a vote once it has the log.
    Add {
        /// Its number.
        id: NodeId,
        /// Where the others reach it: `host:port`.
        peer: String,
    },
    /// A node loses its vote and hears nothing more.
    Remove {
        /// Its number.
        id: NodeId,
    },
    /// One node leaves and a waiting one takes its place: another, or the same one with an empty disk.
    Replace {
        /// Who leaves.
        old: NodeId,
        /// Who joins; may be the same number.
        id: NodeId,
        /// Where the others reach the one that joins: `host:port`.
        peer: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_json_and_bytes() {
        let id = StoreId::random();
        assert_eq!(serde_json::from_str::<StoreId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        assert_eq!(StoreId::from_bytes(&id.bytes()), Some(id));
        assert_eq!(StoreId::from_bytes(&[1; 15]), None);
        assert!("00".parse::<ClusterId>().is_err());
    }
}
