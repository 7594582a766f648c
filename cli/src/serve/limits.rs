//! The proxy's limits by their names, as a cluster file or `--limit` sets them. The defaults, and what each limit means, stand with
//! [`podway_proxy::ProxyConfig`]; nothing is bounded here.

use std::time::Duration;

use podway_proxy::{BackendLimits, ClientLimits, ProxyConfig};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::error::PlanError;

/// Limits that somebody set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    client: Client,
    backend: Backend,
    plan_cache_bytes: Option<Size>,
    shutdown_deadline: Option<Span>,
    max_clock_ahead: Option<Span>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Client {
    max_sessions: Option<usize>,
    max_unauthenticated: Option<usize>,
    login_deadline: Option<Span>,
    idle_deadline: Option<Span>,
    write_deadline: Option<Span>,
    read_deadline: Option<Span>,
    statement_deadline: Option<Span>,
    commit_step: Option<Span>,
    snapshot_deadline: Option<Span>,
    move_deadline: Option<Span>,
    drain_deadline: Option<Span>,
    max_held: Option<usize>,
    max_gathered_rows: Option<usize>,
    max_gathered_bytes: Option<Size>,
    max_packet: Option<Size>,
    max_statements: Option<usize>,
    max_long_data: Option<Size>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Backend {
    max_connections: Option<usize>,
    queue_deadline: Option<Span>,
    max_waiters: Option<usize>,
    connect_deadline: Option<Span>,
    idle_deadline: Option<Span>,
    max_statements: Option<usize>,
    max_statements_per_connection: Option<usize>,
    max_metadata: Option<Size>,
}

/// A time: "30s", "500ms", "5m", "8h", or a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span(Duration);

/// An amount of memory: "64MiB", "512KiB", "1GiB", or a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(usize);

impl Limits {
    /// Reads `client.max_sessions=500`.
    pub(super) fn parse_one(text: &str) -> Result<Limits, PlanError> {
        let refused = |reason: String| PlanError::Limit { text: text.to_owned(), reason };
        let (name, value) =
            text.split_once('=').ok_or_else(|| refused("a limit is set as NAME=VALUE".to_owned()))?;
        let value = value.trim();
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let value = if is_number { value.to_owned() } else { format!("{value:?}") };
        toml::from_str(&format!("{} = {value}", name.trim()))
            .map_err(|error| refused(error.message().to_owned()))
    }

    /// Puts what was set into the proxy's configuration.
    pub(super) fn apply(&self, config: &mut ProxyConfig) {
        self.client.apply(&mut config.client);
        self.backend.apply(&mut config.backend);
        set(&mut config.plan_cache_bytes, self.plan_cache_bytes);
        set(&mut config.shutdown_deadline, self.shutdown_deadline);
        set(&mut config.max_clock_ahead, self.max_clock_ahead);
    }
}

impl Client {
    fn apply(&self, limits: &mut ClientLimits) {
        set(&mut limits.max_sessions, self.max_sessions);
        set(&mut limits.max_unauthenticated, self.max_unauthenticated);
        set(&mut limits.login_deadline, self.login_deadline);
        set(&mut limits.idle_deadline, self.idle_deadline);
        set(&mut limits.write_deadline, self.write_deadline);
        set(&mut limits.read_deadline, self.read_deadline);
        set(&mut limits.statement_deadline, self.statement_deadline);
        set(&mut limits.commit_step, self.commit_step);
        set(&mut limits.snapshot_deadline, self.snapshot_deadline);
        set(&mut limits.move_deadline, self.move_deadline);
        set(&mut limits.drain_deadline, self.drain_deadline);
        set(&mut limits.max_held, self.max_held);
        set(&mut limits.max_gathered_rows, self.max_gathered_rows);
        set(&mut limits.max_gathered_bytes, self.max_gathered_bytes);
        set(&mut limits.max_packet, self.max_packet);
        set(&mut limits.max_statements, self.max_statements);
        set(&mut limits.max_long_data, self.max_long_data);
    }
}

impl Backend {
    fn apply(&self, limits: &mut BackendLimits) {
        set(&mut limits.max_connections, self.max_connections);
        set(&mut limits.queue_deadline, self.queue_deadline);
        set(&mut limits.max_waiters, self.max_waiters);
        set(&mut limits.connect_deadline, self.connect_deadline);
        set(&mut limits.idle_deadline, self.idle_deadline);
        set(&mut limits.max_statements, self.max_statements);
        set(&mut limits.max_statements_per_connection, self.max_statements_per_connection);
        set(&mut limits.max_metadata, self.max_metadata);
    }
}

fn set<T, V: Into<T>>(limit: &mut T, value: Option<V>) {
    if let Some(value) = value {
        *limit = value.into();
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        span.0
    }
}

impl From<Size> for usize {
    fn from(size: Size) -> usize {
        size.0
    }
}

/// A number with a unit behind it; without one, the unit is 1.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (text[..end].parse::<u64>().ok()?, text[end..].trim());
    let factor = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor);
    number.checked_mul(factor?)
}

impl Span {
    const UNITS: [(&str, u64); 5] = [("", 1_000), ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

    fn parse(text: &str) -> Option<Span> {
        with_unit(text, &Span::UNITS).map(|millis| Span(Duration::from_millis(millis)))
    }
}

impl Size {
    const UNITS: [(&str, u64); 5] = [("", 1), ("b", 1), ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30)];

    fn parse(text: &str) -> Option<Size> {
        with_unit(text, &Size::UNITS).and_then(|bytes| usize::try_from(bytes).ok()).map(Size)
    }
}

/// Reads a number or a text, by a function that reads texts.
struct Measured<T>(fn(&str) -> Option<T>, &'static str);

impl<T> Visitor<'_> for Measured<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        deserializer
            .deserialize_any(Measured(Span::parse, "a time such as \"30s\", \"500ms\", \"5m\" or \"8h\""))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        deserializer.deserialize_any(Measured(Size::parse, "a size such as 4096, \"512KiB\" or \"64MiB\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podway_model::ClusterSecret;

    fn applied(limits: &[&str]) -> ProxyConfig {
        let mut config = ProxyConfig::new(([127, 0, 0, 1], 0).into(), ClusterSecret::new(b"secret"));
        limits.iter().for_each(|limit| Limits::parse_one(limit).unwrap().apply(&mut config));
        config
    }

    #[test]
    fn limits_are_set_by_their_names() {
        let config = applied(&[
            "client.max_sessions=7",
            "client.max_packet = 32MiB",
            "backend.queue_deadline=250ms",
            "backend.idle_deadline=90",
            "plan_cache_bytes=512 KiB",
            "shutdown_deadline=2m",
            "max_clock_ahead=50ms",
            "client.max_sessions=8",
        ]);
        assert_eq!(config.client.max_sessions, 8, "the last word counts");
        assert_eq!(config.client.max_packet, 32 << 20);
        assert_eq!(config.backend.queue_deadline, Duration::from_millis(250));
        assert_eq!(config.backend.idle_deadline, Duration::from_secs(90));
        assert_eq!(config.plan_cache_bytes, 512 << 10);
        assert_eq!(config.shutdown_deadline, Duration::from_secs(120));
        assert_eq!(config.max_clock_ahead, Duration::from_millis(50));
        assert_eq!(config.backend.max_connections, BackendLimits::default().max_connections);
    }

    #[test]
    fn what_is_no_limit_is_refused_with_the_reason() {
        let cases = [
            ("client.max_session=7", "unknown field"),
            ("max_sessions=7", "unknown field"),
            ("client.max_sessions", "NAME=VALUE"),
            ("shutdown_deadline=soon", "a time such as"),
            ("shutdown_deadline=-1s", "a time such as"),
            ("client.max_packet=5 apples", "a size such as"),
            ("client.max_sessions=many", "invalid type"),
        ];
        for (text, reason) in cases {
            let message = Limits::parse_one(text).unwrap_err().to_string();
            assert!(message.contains(reason) && message.contains(text), "{text}: {message}");
        }
    }
}
