//! The live line: sessions, statements a second, and how long they took. Without a terminal, a line now and then, and only if there is
//! news. It reads the proxy's counters and touches nothing. Read next: `run`.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use podway_proxy::{LatencySnapshot, Proxy};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often the live line changes.
const LIVE: Duration = Duration::from_secs(1);
/// How often a line is written where no terminal is.
const LOGGED: Duration = Duration::from_secs(10);

/// Shows the status for ever. Dropping it takes the live line away.
pub(super) async fn show(proxy: &Proxy) {
    if std::io::stderr().is_terminal() {
        let style =
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let line = Cleared(ProgressBar::new_spinner().with_style(style));
        every(LIVE, proxy, |status| line.0.set_message(status.to_string())).await;
    } else {
        let mut last = 0;
        every(LOGGED, proxy, |status| {
            if status.statements != 0 || status.sessions != last {
                eprintln!("{status}");
            }
            last = status.sessions;
        })
        .await;
    }
}

/// A bar that leaves no trace.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

async fn every(period: Duration, proxy: &Proxy, mut show: impl FnMut(&Status)) {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut since, mut earlier) = (Instant::now(), proxy.latency());
    loop {
        ticks.tick().await;
        let (now, latency) = (Instant::now(), proxy.latency());
        show(&Status::of(proxy.metrics().sessions, &latency.since(&earlier), now - since));
        (since, earlier) = (now, latency);
    }
}

/// What the line says.
#[derive(Debug, PartialEq)]
struct Status {
    sessions: u64,
    statements: u64,
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

impl Status {
    fn of(sessions: u64, latency: &LatencySnapshot, within: Duration) -> Status {
        let statements = latency.count();
        Status {
            sessions,
            statements,
            per_second: statements as f64 / within.as_secs_f64().max(f64::EPSILON),
            p50: latency.quantile(0.50),
            p99: latency.quantile(0.99),
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sessions = if self.sessions == 1 { "session" } else { "sessions" };
        write!(f, "{} {sessions} · {:.0} statements/s", self.sessions, self.per_second)?;
        if self.statements > 0 {
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            write!(f, " · p50 {:.2} ms · p99 {:.2} ms", millis(self.p50), millis(self.p99))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_only_of_statements() {
        let quiet =
            Status { sessions: 1, statements: 0, per_second: 0.0, p50: Duration::ZERO, p99: Duration::ZERO };
        assert_eq!(quiet.to_string(), "1 session · 0 statements/s");
        let (p50, p99) = (Duration::from_micros(210), Duration::from_micros(1_250));
        let busy = Status { sessions: 3, statements: 1234, per_second: 1234.4, p50, p99 };
        assert_eq!(busy.to_string(), "3 sessions · 1234 statements/s · p50 0.21 ms · p99 1.25 ms");
    }
}
