//! How a proxy hears of the map: a watch that always holds the newest one. Whoever owns the map publishes, every proxy watches;
//! neither knows how the other came by it. It never makes or changes a map.

mod watch;

pub use watch::{MapPublisher, MapWatch, PublishError, map_channel};
