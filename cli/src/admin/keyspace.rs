//! `podway keyspace`: keyspaces made, spread, shown and forgotten. Schemas are made on servers only where that was asked for, and never dropped.

use mysql_async::prelude::Queryable;
use podway_model::KeyRange;
use podway_topology_api::{Command, Done, KeyspaceCommand, KeyspaceView, NewShard, View};
use serde::Serialize;

use super::context::{Common, Context, Servers};
use super::error::AdminError;
use super::find;
use super::print::{self, Row, counted};
use super::shard::ShardRow;
use crate::provision::{ProvisionError, create_schema};

const EXAMPLES: &str = "\
Examples:
  podway keyspace create shop --shard a --shard b --create-schemas
  podway keyspace create shop --shard a --shard b/shop__2 --home 1
  podway keyspace create shop --shard a=-40 --shard b=40-     uneven: a quarter of the rows on a
  podway keyspace list
  podway keyspace show shop --json";

/// Makes, shows and forgets keyspaces: the logical databases
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum KeyspaceCommandLine {
    /// Makes a keyspace of shards, each a schema on a server
    #[command(after_help = EXAMPLES)]
    Create {
        /// Its name, which clients use
        name: String,
        /// The shards
        #[command(flatten)]
        shards: ShardArgs,
        /// Which shard is home, counted from 0: tables that nobody declares lie there
        #[arg(long, value_name = "N", default_value_t = 0)]
        home: u16,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Adds shards to a keyspace that has no sharded and no reference tables yet
    Spread {
        /// The keyspace
        name: String,
        /// The shards
        #[command(flatten)]
        shards: ShardArgs,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Forgets a keyspace; its schemas and rows stay on the servers
    Drop {
        /// The keyspace
        name: String,
        /// Also if tables are declared in it
        #[arg(long)]
        with_tables: bool,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Shows one keyspace with its shards
    Show {
        /// The keyspace
        name: String,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Lists the keyspaces
    List {
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Makes a keyspace the one for statements that name none
    MakeDefault {
        /// The keyspace
        name: String,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
}

/// Shards that are to be.
#[derive(Debug, clap::Args)]
pub struct ShardArgs {
    /// A shard: its server, the schema there if it is not the keyspace's name, and its key range if they are not to be even; once for each
    #[arg(long = "shard", value_name = "SERVER[/SCHEMA][=RANGE]", required = true, value_parser = parse_shard)]
    shards: Vec<NewShard>,
    /// Make the schemas that are missing on the servers
    #[arg(long)]
    create_schemas: bool,
}

fn parse_shard(text: &str) -> Result<NewShard, String> {
    let (place, range) = text.split_once('=').map_or((text, None), |(place, range)| (place, Some(range)));
    let (server, schema) =
        place.split_once('/').map_or((place, None), |(server, schema)| (server, Some(schema)));
    if server.is_empty() || schema.is_some_and(str::is_empty) {
        return Err("a shard is named as SERVER, SERVER/SCHEMA or SERVER/SCHEMA=RANGE".to_owned());
    }
    let ranges =
        range.map(|range| range.split(',').map(str::parse::<KeyRange>).collect::<Result<Vec<_>, _>>());
    let ranges = ranges.transpose().map_err(|error| error.to_string())?.unwrap_or_default();
    Ok(NewShard { server: server.into(), schema: schema.map(Into::into), ranges })
}

/// A keyspace in a list.
#[derive(Serialize)]
pub(super) struct KeyspaceRow {
    name: String,
    is_default: bool,
    shards: usize,
    servers: Vec<String>,
    sharded_tables: usize,
    reference_tables: usize,
    home_tables: usize,
}

impl Row for KeyspaceRow {
    const HEAD: &'static [&'static str] =
        &["keyspace", "#shards", "servers", "#sharded", "#reference", "#home"];

    fn cells(&self) -> Vec<String> {
        let name = if self.is_default { format!("{} (default)", self.name) } else { self.name.clone() };
        let numbers = [self.sharded_tables, self.reference_tables, self.home_tables];
        let mut cells = vec![name, self.shards.to_string(), self.servers.join(", ")];
        cells.extend(numbers.map(|number| number.to_string()));
        cells
    }
}

impl KeyspaceRow {
    pub(super) fn of(keyspace: &KeyspaceView, view: &View) -> KeyspaceRow {
        let count =
            |kind: &str| keyspace.tables.iter().filter(|table| find::kind(&table.table) == kind).count();
        let mut servers: Vec<String> =
            keyspace.shards.iter().map(|shard| find::server_name(view, shard.server)).collect();
        servers.sort();
        servers.dedup();
        KeyspaceRow {
            name: keyspace.name.to_string(),
            is_default: view.default_keyspace.as_ref() == Some(&keyspace.name),
            shards: keyspace.shards.len(),
            servers,
            sharded_tables: count("sharded"),
            reference_tables: count("reference"),
            home_tables: count("home"),
        }
    }
}

/// Runs it.
pub(super) async fn run(line: KeyspaceCommandLine) -> Result<(), AdminError> {
    match line {
        KeyspaceCommandLine::Create { name, shards, home, common } => {
            let command = |shards| KeyspaceCommand::Create { name: name.as_str().into(), shards, home };
            with_shards(&Context::new(&common)?, &name, shards, "created", command).await
        }
        KeyspaceCommandLine::Spread { name, shards, common } => {
            let command = |shards| KeyspaceCommand::Spread { name: name.as_str().into(), shards };
            with_shards(&Context::new(&common)?, &name, shards, "spread", command).await
        }
        KeyspaceCommandLine::Drop { name, with_tables, common } => {
            let command = KeyspaceCommand::Drop { name: name.as_str().into(), with_tables };
            change(&common, command, &format!("keyspace {name} forgotten; its schemas stay on the servers"))
                .await
        }
        KeyspaceCommandLine::MakeDefault { name, common } => {
            let command = KeyspaceCommand::MakeDefault { name: name.as_str().into() };
            change(&common, command, &format!("statements that name no keyspace go to {name}")).await
        }
        KeyspaceCommandLine::Show { name, common } => show(&Context::new(&common)?, &name).await,
        KeyspaceCommandLine::List { common } => {
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let rows: Vec<KeyspaceRow> =
                view.keyspaces.iter().map(|keyspace| KeyspaceRow::of(keyspace, &view)).collect();
            Ok(print::list(&rows, context.is_json)?)
        }
    }
}

async fn change(common: &Common, command: KeyspaceCommand, line: &str) -> Result<(), AdminError> {
    let context = Context::new(common)?;
    let done = context.propose(Command::Keyspace(command)).await?;
    let line = if done == Done::Unchanged { format!("{line} (as it was)") } else { line.to_owned() };
    Ok(print::done(&line, context.is_json)?)
}

async fn with_shards(
    context: &Context,
    name: &str,
    args: ShardArgs,
    verb: &str,
    command: impl FnOnce(Vec<NewShard>) -> KeyspaceCommand,
) -> Result<(), AdminError> {
    let view = context.view().await?;
    let servers = context.servers(&view).await?;
    prepare_schemas(&view, &servers, name, &args.shards, args.create_schemas).await?;
    let done = context.propose(Command::Keyspace(command(args.shards))).await?;
    let shards = match done {
        Done::Shards(shards) => counted(shards.len(), "shard"),
        _ => "its shards".to_owned(),
    };
    Ok(print::done(&format!("keyspace {name} {verb}: {shards}"), context.is_json)?)
}

/// Makes sure that every shard's schema is on its server: a typing error would else become an empty shard.
pub(super) async fn prepare_schemas(
    view: &View,
    servers: &Servers,
    keyspace: &str,
    shards: &[NewShard],
    may_create: bool,
) -> Result<(), AdminError> {
    for shard in shards {
        let server = find::server(view, &shard.server)?;
        let schema = shard.schema.as_deref().unwrap_or(keyspace);
        let (mut conn, name) = servers.connect(server.id).await?;
        let sql = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?";
        let looking =
            |error| ProvisionError::Statement { doing: format!("looking for schema {schema}"), error };
        let found: Result<Option<u64>, _> = conn.exec_first(sql, (schema,)).await.map_err(looking);
        if found.map_err(AdminError::at(name))? == Some(1) {
            continue;
        }
        if !may_create {
            return Err(AdminError::refused(format!(
                "server {name} has no schema {schema}; create it there, or let --create-schemas do it"
            )));
        }
        create_schema(&mut conn, schema).await.map_err(AdminError::at(name))?;
    }
    Ok(())
}

async fn show(context: &Context, name: &str) -> Result<(), AdminError> {
    let view = context.view().await?;
    let keyspace = find::keyspace(&view, name)?;
    let shards: Vec<ShardRow> =
        keyspace.shards.iter().map(|shard| ShardRow::of(keyspace, shard, &view)).collect();
    let row = KeyspaceRow::of(keyspace, &view);
    if context.is_json {
        return Ok(print::json(&serde_json::json!({ "keyspace": row, "shards": shards }))?);
    }
    let head = format!(
        "keyspace {}{}: {}, {} sharded, {} reference and {} home tables\n",
        row.name,
        if row.is_default { " (default)" } else { "" },
        counted(row.shards, "shard"),
        row.sharded_tables,
        row.reference_tables,
        row.home_tables,
    );
    Ok(print::out(&format!("{head}\n{}", print::table(&shards)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_a_server_a_schema_and_a_range() {
        let shard = parse_shard("a").unwrap();
        assert_eq!((&*shard.server, shard.schema, shard.ranges.len()), ("a", None, 0));
        let shard = parse_shard("b/shop__2=-40,80-").unwrap();
        assert_eq!((&*shard.server, shard.schema.as_deref()), ("b", Some("shop__2")));
        assert_eq!(find::ranges(&shard.ranges), "-40,80-");
        for wrong in ["", "/shop", "a/", "a=x", "a="] {
            assert!(parse_shard(wrong).is_err(), "{wrong:?}");
        }
    }
}
