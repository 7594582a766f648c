//! DDL through the proxy on tables that every shard has, carried out by the topology's leader on real servers: it reaches every shard or says how far it is, whatever
//! stops the leader or a server, and no row comes to lie where the map does not look for it.

mod crashes;
mod declared;
mod dumped;
mod ground;
mod loaded;
mod refused;
mod renamed;
mod spread;
mod triggers;
mod uniques;
mod views;
