//! The time of day, behind a seam: the system's, or what a test says.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that tells the time of day; the default is the system's.
#[derive(Clone, Default)]
pub struct WallClock(Option<Arc<dyn Fn() -> Duration + Send + Sync>>);

impl WallClock {
    /// A clock that tells what `now` says: the time since 1970. It may jump.
    pub fn of(now: impl Fn() -> Duration + Send + Sync + 'static) -> WallClock {
        WallClock(Some(Arc::new(now)))
    }

    /// The time since 1970.
    pub fn now(&self) -> Duration {
        match &self.0 {
            Some(now) => now(),
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "WallClock(given)" } else { "WallClock(system)" })
    }
}
