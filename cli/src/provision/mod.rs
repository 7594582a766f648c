//! How a table that servers have comes to be one that the map has, by the router's rules; and what the topology's own work on servers is made of, which the
//! command line uses too: logins, schemas, accounts, definitions.

mod declare;
mod everywhere;

pub use declare::{Declaration, check_unique_keys, declare, lies_so};
pub use everywhere::{
    Declarable, NotDeclared, ShardPlace, Wanted, declaration, declare_everywhere, key_rules,
};
pub use podway_topology::provision::*;
