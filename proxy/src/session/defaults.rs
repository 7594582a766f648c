//! What a new session starts with: the values that its server gives to new connections and that the proxy has to know to read SQL as that
//! server does. They are asked for once per server and set on every connection, so that both sides always agree.

use std::time::{Duration, Instant};

use crate::backend::{Settings, string_literal};

/// How long the answer is good for: SET GLOBAL may change it beside the proxy.
pub const FRESH: Duration = Duration::from_secs(30);

/// A server's values for new sessions.
#[derive(Clone, Debug)]
pub struct ServerDefaults {
    /// `@@GLOBAL.sql_mode`.
    pub sql_mode: String,
    /// `@@GLOBAL.time_zone`.
    pub time_zone: String,
    /// `@@GLOBAL.autocommit`.
    pub autocommit: bool,
    /// The default collation of the server's character set.
    pub collation: String,
    /// When they were asked for.
    pub asked: Instant,
}

impl ServerDefaults {
    /// Settings that make a connection start as a new one would.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.put("sql_mode", &string_literal(self.sql_mode.as_bytes()));
        settings.put("time_zone", &string_literal(self.time_zone.as_bytes()));
        settings.put("autocommit", if self.autocommit { b"1" } else { b"0" });
        settings
    }
}
