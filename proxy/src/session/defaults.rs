//! What a new session starts with: the values that its server gives to new connections and that the proxy has to know to read SQL as that
//! server does. They are asked for once per server and set on every connection, so that both sides always agree.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::{Fit, PoolKey, ServerPool, Settings, string_literal};
use crate::error::ProxyError;

use super::shared::Shared;

/// How long the answer is good for: SET GLOBAL may change it beside the proxy.
const FRESH: Duration = Duration::from_secs(30);

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
    asked: Instant,
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

/// The defaults of this server; asked for under the client's own account where they are not known yet.
pub async fn server_defaults(
    shared: &Shared,
    pool: &Arc<ServerPool>,
    key: &PoolKey,
) -> Result<Arc<ServerDefaults>, ProxyError> {
    if let Some(known) = shared.defaults.get(&pool.id()).filter(|known| known.asked.elapsed() < FRESH) {
        return Ok(known.clone());
    }
    let mut connection = pool.checkout(key, Fit { settings: 0, schema: "" }).await?;
    let sql = b"SELECT @@GLOBAL.sql_mode, @@GLOBAL.time_zone, @@GLOBAL.autocommit, @@GLOBAL.collation_server";
    let rows = connection.rows(sql).await?;
    let text = |column| rows.text(column).unwrap_or_default();
    let defaults = ServerDefaults {
        sql_mode: text(0),
        time_zone: text(1),
        autocommit: text(2) != "0",
        collation: text(3),
        asked: Instant::now(),
    };
    let defaults = Arc::new(defaults);
    if connection.is_clean() {
        pool.checkin(connection);
    }
    shared.defaults.insert(pool.id(), defaults.clone());
    Ok(defaults)
}
