//! `podway watch`: each change of the map as it happens, one line a change, until Ctrl-C or until whoever reads the lines is gone. What is secret in a
//! change is not shown.

use futures::StreamExt;
use podway_model::{Change, Revision};
use podway_topology_api::{StoreError, TopologyStore, WatchMessage};
use tokio::time::sleep;

use super::context::{Common, Context};
use super::error::AdminError;
use super::find;
use super::print;

/// The pause before another node is asked.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_millis(500);

/// Shows each change as it happens, one line a change
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  podway watch\n  podway watch --from-start --json | jq .change")]
pub struct WatchArgs {
    /// Begin with the whole map as it is
    #[arg(long)]
    from_start: bool,
    /// End after so many changes
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// Runs it.
pub(super) async fn run(args: WatchArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let mut has = if args.from_start { Revision(0) } else { context.view().await?.revision };
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let mut stream = match context.store.watch(has).await {
            Ok(stream) => stream,
            Err(error @ StoreError::Away { .. }) => {
                print::note(&error.to_string());
                sleep(ASK_AGAIN).await;
                continue;
            }
            Err(error) => return Err(context.failed(error)),
        };
        while left > 0 {
            match stream.next().await {
                Some(Ok(WatchMessage::Snapshot(event) | WatchMessage::Event(event))) => {
                    has = event.revision;
                    for change in event.changes.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                        show(event.revision, change, context.is_json)?;
                        left -= 1;
                    }
                }
                Some(Ok(WatchMessage::Progress { .. })) => {}
                Some(Err(error)) => {
                    print::note(&error.to_string());
                    break;
                }
                None => break,
            }
        }
        sleep(ASK_AGAIN).await;
    }
    Ok(())
}

fn show(revision: Revision, change: &Change, is_json: bool) -> Result<(), AdminError> {
    let text = described(change);
    let line = match is_json {
        true => serde_json::json!({ "revision": revision.0, "change": text }).to_string(),
        false => format!("{:>8}  {text}", revision.0),
    };
    Ok(print::out(&line)?)
}

fn described(change: &Change) -> String {
    match change {
        Change::Anew { .. } => "the whole map:".to_owned(),
        Change::Keyspace(record) => {
            format!("keyspace {}: {}", record.name, print::counted(record.shards.len(), "shard"))
        }
        Change::KeyspaceRemoved(name) => format!("keyspace {name} removed"),
        Change::DefaultKeyspace(Some(name)) => format!("the default keyspace is {name}"),
        Change::DefaultKeyspace(None) => "there is no default keyspace".to_owned(),
        Change::Shard { keyspace, shard, freeze, .. } => {
            let frozen = if freeze.is_some() { ", frozen" } else { "" };
            format!(
                "{} of {keyspace}: {}, schema {}, epoch {}{frozen}",
                shard.id, shard.server, shard.schema, shard.epoch.0
            )
        }
        Change::Table { keyspace, table } => {
            let key = find::key(table);
            let by = if key.is_empty() { String::new() } else { format!(" by ({})", key.join(", ")) };
            format!(
                "table {keyspace}.{}: {}{by}, {} columns",
                table.name,
                find::kind(table),
                table.columns.len()
            )
        }
        Change::TableRemoved { keyspace, table } => format!("table {keyspace}.{table} forgotten"),
        Change::SequenceGeneration { keyspace, table, generation } => {
            format!("sequence of {keyspace}.{table}: generation {generation}")
        }
        Change::Held { keyspace, table, by: Some(by) } => {
            format!("statements on {keyspace}.{table} wait for operation {by}")
        }
        Change::Held { keyspace, table, by: None } => {
            format!("statements on {keyspace}.{table} go on")
        }
        Change::Server(server) => format!("{}: {}, MySQL {}", server.id, server.address(), server.version),
        Change::ServerRemoved(id) => format!("{id} removed"),
        Change::Account(account) => {
            format!("user {}{}", account.name, if account.locked { ", locked" } else { "" })
        }
        Change::AccountRemoved(name) => format!("user {name} dropped"),
        Change::Rights { account: Some(name), .. } => format!("what {name} may do has changed"),
        Change::Rights { account: None, .. } => "what users may do has changed".to_owned(),
        Change::Drift { subject, drift: Some(drift) } => format!("{subject} differs: {}", drift.what),
        Change::Drift { subject, drift: None } => format!("{subject} is as it should be again"),
        Change::Setting { name, value: Some(value) } => format!("setting {name} is {value}"),
        Change::Setting { name, value: None } => format!("setting {name} is as by default"),
    }
}
