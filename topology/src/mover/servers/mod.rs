//! All that is said to MySQL for a move. Each server has one session that may change things there, known by a lock that it holds and by the leader's term in
//! `_podway.control`; nothing is changed without it. What the topology thinks of the move is not known here.
//!
//! Reading order: [`text`] → [`arrival`] → [`control`] → [`threads`] → [`fence`] → [`columns`] → [`objects`] → [`layout`] → [`grants`] → [`prepare`] → [`compare`] →
//! [`copy`] → [`departure`].

mod arrival;
mod columns;
mod compare;
mod control;
mod copy;
mod departure;
mod fence;
mod grants;
mod layout;
mod objects;
mod prepare;
mod text;
mod threads;

pub(super) use arrival::Arrival;
pub(crate) use control::{Control, Login, Owner};
pub(super) use copy::catch_up;
pub(super) use departure::{drop_left, forget_withheld, give_back, revoke, withhold};
pub(super) use fence::{check_fence, fence, unfence};
pub(super) use prepare::{clean_up, prepare, undo};
pub(super) use threads::{check_branches, shut_out};
