//! `podway shard retired`, `drop-retired` and `forget-retired`: schemas that shards left behind, and when they go. The topology's leader drops them.

use std::time::{Duration, Instant};

use podway_model::parse_span;
use podway_topology_api::{Command, LogTime, RetiredSchema, ShardCommand, View};
use serde::Serialize;
use tokio::time::sleep;

use super::clock::{shown, span};
use super::context::{Common, Context};
use super::error::AdminError;
use super::find;
use super::print::{self, Row};

/// The setting that says how long they are kept.
const RETENTION: &str = "retired.retention";
/// How often is looked whether one is gone.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A schema that is not gone within this is waited for no longer; the leader goes on trying.
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// Lists the schemas that shards left behind, and when they are dropped
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  podway shard retired\n  podway settings set retired.retention 72h")]
pub struct RetiredArgs {
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// A retired schema
#[derive(Debug, clap::Args)]
pub struct RetiredSchemaArgs {
    /// The server that it is on
    server: String,
    /// The schema
    schema: String,
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// A retired schema in a list.
#[derive(Serialize)]
pub(super) struct RetiredRow {
    server: String,
    schema: String,
    shard: u32,
    since: String,
    /// How long it is kept yet.
    dropped_in: String,
    trouble: Option<String>,
}

impl Row for RetiredRow {
    const HEAD: &'static [&'static str] = &["server", "schema", "#shard", "left", "dropped in", "trouble"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.server.clone(),
            self.schema.clone(),
            self.shard.to_string(),
            self.since.clone(),
            self.dropped_in.clone(),
            self.trouble.clone().unwrap_or_default(),
        ]
    }
}

impl RetiredRow {
    /// All of a view.
    pub(super) fn all(view: &View) -> Vec<RetiredRow> {
        let setting = view.settings.iter().find(|setting| &*setting.name == RETENTION);
        let kept_ms =
            setting.and_then(|setting| parse_span(&setting.value)).map_or(0, |kept| kept.as_millis() as u64);
        let row = |retired: &RetiredSchema| RetiredRow {
            server: find::server_name(view, retired.server),
            schema: retired.schema.to_string(),
            shard: retired.shard.0,
            since: shown(retired.since),
            dropped_in: left(retired, kept_ms, view.time),
            trouble: retired.trouble.as_ref().map(ToString::to_string),
        };
        view.retired.iter().map(row).collect()
    }

    /// What somebody has to look at.
    pub(super) fn alarm(&self) -> Option<String> {
        let trouble = self.trouble.as_ref()?;
        Some(format!("retired schema {} on server {} is not dropped: {trouble}", self.schema, self.server))
    }
}

/// How long one is kept yet.
fn left(retired: &RetiredSchema, kept_ms: u64, now: LogTime) -> String {
    match (retired.since.0.saturating_add(kept_ms)).saturating_sub(now.0) {
        _ if retired.is_unwanted => "now".to_owned(),
        0 => "now".to_owned(),
        ms => span(ms),
    }
}

/// Lists them.
pub(super) async fn list(args: RetiredArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let view = context.view().await?;
    Ok(print::list(&RetiredRow::all(&view), context.is_json)?)
}

/// Has one dropped, and waits until it is gone.
pub(super) async fn drop_now(args: RetiredSchemaArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let RetiredSchemaArgs { server, schema, .. } = args;
    let command =
        ShardCommand::DropRetired { server: server.as_str().into(), schema: schema.as_str().into() };
    context.propose(Command::Shard(command)).await?;
    let asked = Instant::now();
    loop {
        let rows = RetiredRow::all(&context.view().await?);
        let Some(row) = rows
            .iter()
            .find(|row| row.server.eq_ignore_ascii_case(&server) && row.schema.eq_ignore_ascii_case(&schema))
        else {
            let line = format!("retired schema {schema} on server {server} is dropped");
            return Ok(print::done(&line, context.is_json)?);
        };
        if asked.elapsed() > GONE_WITHIN {
            let why = row.trouble.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            return Err(AdminError::refused(format!(
                "retired schema {schema} on server {server} is not dropped yet{why}; the topology's leader goes on trying"
            )));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Has one forgotten: it stays on its server.
pub(super) async fn forget(args: RetiredSchemaArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let RetiredSchemaArgs { server, schema, .. } = args;
    let command =
        ShardCommand::ForgetRetired { server: server.as_str().into(), schema: schema.as_str().into() };
    context.propose(Command::Shard(command)).await?;
    let line =
        format!("retired schema {schema} on server {server} is forgotten; if it is still there, it stays");
    Ok(print::done(&line, context.is_json)?)
}

#[cfg(test)]
mod tests {
    use podway_model::{NameRule, ServerId, ShardId};

    use super::*;

    #[test]
    fn what_is_left_of_the_retention_is_told() {
        let retired = |is_unwanted| RetiredSchema {
            server: ServerId(1),
            schema: NameRule::CaseSensitive.name("shop"),
            shard: ShardId(1),
            since: LogTime(1_000),
            is_unwanted,
            trouble: None,
        };
        let cases = [(1_000, "60 min"), (3_541_000, "60 s"), (3_601_000, "now"), (9_999_000, "now")];
        for (now, expected) in cases {
            assert_eq!(left(&retired(false), 3_600_000, LogTime(now)), expected, "{now}");
            assert_eq!(left(&retired(true), 3_600_000, LogTime(now)), "now");
        }
    }
}
