//! Users, roles and privileges through Podway, on real servers: every server has them, every proxy lets in whom it should, and nobody does more than MySQL
//! says he may, whichever way he tries. Each attack stands beside its negative control: the same by one who may.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod attacks;
mod ground;
mod lifecycle;
mod privileges;
mod refused;
mod unfinished;
