//! What differs on the servers from the map, as the topology knows it: in words for people, as rows, and looked at anew when asked. The topology's leader does the looking.

use std::time::{Duration, Instant};

use podway_model::DriftSubject;
use podway_topology_api::{Command, Done, DriftCommand, DriftView, View};
use serde::Serialize;
use tokio::time::sleep;

use super::clock::shown;
use super::context::Context;
use super::error::AdminError;
use super::find;
use super::print::{self, Row, counted};

/// How often the topology is asked whether the shards were compared.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A comparison that takes longer is not waited for.
const COMPARED_WITHIN: Duration = Duration::from_secs(300);

/// A difference in a list.
#[derive(Serialize)]
pub(super) struct DriftRow {
    keyspace: Option<String>,
    table: Option<String>,
    server: Option<String>,
    what: String,
    since: String,
    stops_pinning: bool,
}

impl Row for DriftRow {
    const HEAD: &'static [&'static str] = &["of", "since", "statements", "what"];

    fn cells(&self) -> Vec<String> {
        let statements = if self.stops_pinning { "refused" } else { "served" };
        vec![self.subject(), self.since.clone(), statements.to_owned(), self.what.clone()]
    }
}

impl DriftRow {
    /// All that differs, or what does in one keyspace.
    pub(super) fn all(view: &View, keyspace: Option<&str>) -> Vec<DriftRow> {
        let is_wanted = |drift: &&DriftView| {
            let of = drift.subject.keyspace();
            keyspace.is_none_or(|wanted| of.is_some_and(|of| of.as_str() == wanted))
        };
        view.drifts.iter().filter(is_wanted).map(|drift| DriftRow::of(view, drift)).collect()
    }

    /// What differs of one table.
    pub(super) fn of_table(view: &View, keyspace: &str, table: &str) -> Option<DriftRow> {
        let rows = DriftRow::all(view, Some(keyspace));
        rows.into_iter().find(|row| row.table.as_deref() == Some(table))
    }

    /// As a sentence.
    pub(super) fn sentence(&self) -> String {
        let refused = match self.stops_pinning {
            true => "; statements on it are refused until that is put right",
            false => "",
        };
        format!("{}: {} (since {}){refused}", self.subject(), self.what, self.since)
    }

    fn of(view: &View, drift: &DriftView) -> DriftRow {
        let (keyspace, table, server) = match &drift.subject {
            DriftSubject::Table { keyspace, table } => (Some(keyspace), Some(table), None),
            DriftSubject::Server(id) => (None, None, Some(find::server_name(view, *id))),
        };
        DriftRow {
            keyspace: keyspace.map(ToString::to_string),
            table: table.map(ToString::to_string),
            server,
            what: drift.what.to_string(),
            since: shown(drift.since),
            stops_pinning: drift.stops_pinning,
        }
    }

    fn subject(&self) -> String {
        match (&self.keyspace, &self.table, &self.server) {
            (Some(keyspace), Some(table), _) => format!("table {keyspace}.{table}"),
            (_, _, Some(server)) => format!("server {server}"),
            _ => "?".to_owned(),
        }
    }
}

/// Has the shards compared now, waits for it, and shows what differs.
pub(super) async fn check(context: &Context, keyspace: Option<&str>) -> Result<(), AdminError> {
    let view = context.view().await?;
    let keyspace = keyspace.map(|name| find::keyspace(&view, name)).transpose()?;
    let keyspace = keyspace.map(|keyspace| keyspace.name.to_string());
    let asked = match context.propose(Command::Drift(DriftCommand::Check)).await? {
        Done::CheckAsked(number) => number,
        other => return Err(AdminError::refused(format!("the topology answered with {other:?}"))),
    };
    let view = compared(context, asked).await?;
    for what in &view.checks.unread {
        print::note(&format!("not looked at: {what}"));
    }
    let rows = DriftRow::all(&view, keyspace.as_deref());
    match rows.is_empty() && !context.is_json {
        true => print::out("nothing differs")?,
        false => print::list(&rows, context.is_json)?,
    }
    match (rows.len(), view.checks.unread.len()) {
        (0, 0) => Ok(()),
        (0, unread) => {
            Err(AdminError::refused(format!("{} could not be looked at", counted(unread, "server"))))
        }
        (rows, _) => Err(AdminError::refused(counted(rows, "difference"))),
    }
}

async fn compared(context: &Context, asked: u64) -> Result<View, AdminError> {
    let start = Instant::now();
    loop {
        let view = context.view().await?;
        if view.checks.answered >= asked {
            return Ok(view);
        }
        if start.elapsed() >= COMPARED_WITHIN {
            return Err(AdminError::refused(format!(
                "the shards were not compared within {COMPARED_WITHIN:?}"
            )));
        }
        sleep(LOOK_EVERY).await;
    }
}
