//! Statements about users, roles and privileges on the servers: run as the client who gave them, with one string for each password, and with Podway's own
//! password beside each.
//!
//! A crash between any two steps is harmless. Whether the statement took effect on a server shows by how its accounts stood before ([`accounts`]), for MySQL
//! does each of these statements whole or not at all; where several are run, one for each schema, each can be run again. What comes after ([`passwords`]) looks
//! first what is left to do, and the one thing that must not be lost on the way, the string of the client's own password, is kept in `_podway.passwords`
//! meanwhile.
//!
//! Reading order: [`text`] → [`accounts`] → [`passwords`] → [`run`].

mod accounts;
mod passwords;
mod run;
mod text;

pub use run::{follows, run, stand_now};
