//! Who carries out statements that go to several targets: DDL on every shard of a keyspace, statements about users on every server. Whichever node leads, one
//! operation beside the other; what is left to do stands in the operation's record, so the next leader goes on where this one stopped.
//!
//! A statement runs as the client who typed it, so its privileges, definers and CURRENT_USER() are MySQL's own: the leader logs in as that account, with the
//! password that only Podway knows. That session cannot hold the control lock, so it is fenced like this. The client's session carries the leader's term, the
//! operation and the target as a connection attribute. It is opened first; *then* the term is read again through the control session; then the statement is
//! sent. Whoever comes later, a new leader or the next try, opens its control session first: that raises the term, takes the lock, kills its holder, and then
//! ends every client's session of a lower term, or of the same target, and waits until they are gone. Say that an earlier leader is stopped anywhere before it
//! sends. If its client's session is open, it is found by its attribute and dead before anything is looked at or sent; if it is opened later, the term is
//! read after that, on a control session that was killed, and by a server that has the higher term: the statement is not sent.
//!
//! Reading order: [`plan`], what comes next → [`place`], where → [`session`], the client's → [`work`], what a try has at hand → [`fingerprint`], whether it took effect → [`attempt`], one try on one
//! target → [`ddl`] (with [`views`]) and [`users`], what each kind needs besides → [`drive`], the loop.

mod attempt;
mod ddl;
mod drive;
mod error;
mod fingerprint;
mod place;
mod plan;
mod session;
mod users;
mod views;
mod work;

pub use drive::drive;
