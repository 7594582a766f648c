//! Whether the tables on the shards are what the map says of them: looked at on a schedule, and when somebody asks, by whichever node leads. It reads servers and changes
//! none; what it finds it reports, and the state decides whether that still counts.
//!
//! Reading order: [`judge`], what one table's or the servers' look says → [`picture`], which tables are looked at and what is reported (of [`views`] too) → [`read`], all that is asked of
//! servers → [`round`], one look at everything → [`watch`](track), the loop.

mod judge;
mod picture;
mod read;
mod round;
mod views;
mod watch;

pub use watch::track;
