//! The packets, one a file: what each holds, its decoder, its encoder and its captured bytes.
//!
//! Payloads only: framing is [`crate::frame`]'s. Nothing here remembers an earlier packet; what depends on one takes it
//! as an argument. Start with [`greeting`] and [`login`]; then [`command`], [`ok`] and [`result_set`].

pub mod attributes;
pub mod auth_exchange;
pub mod binary_row;
pub mod binary_value;
pub mod bind;
pub mod change_user;
pub mod column;
pub mod command;
pub mod eof;
pub mod err;
pub mod execute;
pub mod greeting;
pub mod login;
pub mod ok;
pub mod prepare;
pub mod query;
pub mod result_set;
pub mod row;
pub mod session_track;
