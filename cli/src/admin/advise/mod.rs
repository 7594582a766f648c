//! `podway advise`: which sharding key each table of a database should have, judged by the statements that ran. Reads servers, changes nothing; what is
//! decided is decided by [`podway_router::advise`].
//!
//! Reading order: this (what is asked, of whom) → `schema` (tables) → `digests` (statements that a server counted) → `texts` (statements in a file) →
//! `show` (the answer).

mod digests;
mod schema;
mod show;
mod texts;

use std::path::PathBuf;

use mysql_async::Conn;
use podway_model::{MySqlVersion, NameRule, Table, TableKind};
use podway_router::SqlMode;
use podway_router::advise::{Kept, Lies, Question, RanStatement, TableFacts, advise};

use super::context::{Common, Context};
use super::error::AdminError;
use super::find;
use super::secret_input::SecretInput;
use crate::provision::{AdminLogin, Declaration, TableDefinition, declare, read_facts};
use crate::serve::server_address;

const EXAMPLES: &str = "\
Examples:
  podway advise --server 10.0.0.1:3306 --user root --password-file root.password --database shop
  podway advise shop                                     the same, of a keyspace that the topology knows
  podway advise shop --keep customers=id --keep countries=reference --shards 8
  podway advise shop --statements slow.log --json

It reads the schema, and of the statements what the server has counted since it started (performance_schema.events_statements_summary_by_digest;
TRUNCATE TABLE performance_schema.events_statements_summary_by_digest begins anew), or a file: a slow log, a general log, or one statement
on each line. It needs SELECT on performance_schema and on the database. Nothing is changed.";

/// Proposes a sharding key for each table, judged by the statements that ran
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct AdviseArgs {
    /// The keyspace, read from its servers as their administrator
    #[arg(value_name = "KEYSPACE", required_unless_present = "server", conflicts_with = "server")]
    keyspace: Option<String>,
    /// A MySQL server that Podway need not know, host:port
    #[arg(long, value_name = "ADDRESS", requires_all = ["user", "database"])]
    server: Option<String>,
    /// As whom to log in there
    #[arg(long, value_name = "USER", requires = "server")]
    user: Option<String>,
    /// The database there
    #[arg(long, value_name = "NAME", requires = "server")]
    database: Option<String>,
    /// The file with the password
    #[arg(long, value_name = "FILE", group = "advise_password", requires = "server")]
    password_file: Option<PathBuf>,
    /// The environment variable with the password
    #[arg(long, value_name = "NAME", group = "advise_password", requires = "server")]
    password_env: Option<String>,
    /// Read the password from standard input
    #[arg(long, group = "advise_password", requires = "server")]
    password_stdin: bool,
    /// The statements, in the place of what the server has counted: a slow log, a general log, or one statement on each line
    #[arg(long, value_name = "FILE")]
    statements: Option<PathBuf>,
    /// Where a table is to lie, whatever the statements say: TABLE=COLUMN[,COLUMN], TABLE=reference or TABLE=home
    #[arg(long, value_name = "TABLE=KEY")]
    keep: Vec<String>,
    /// How many shards are thought of
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..))]
    shards: u16,
    /// How many of the statements that one shard cannot answer are shown
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// A schema that is read, on a server.
struct Place {
    conn: Conn,
    server: String,
    schema: String,
}

/// A database, wherever its rows are.
struct Database {
    name: String,
    /// One for each shard.
    places: Vec<Place>,
    /// Its tables as they are declared today; none where Podway does not know the database.
    declared: Vec<Table>,
}

/// Runs it.
pub(super) async fn run(args: AdviseArgs) -> Result<(), AdminError> {
    let Database { name: keyspace, mut places, declared } = database(&args).await?;
    let mut read = Vec::new();
    for place in &mut places {
        read.push(schema::read(&mut place.conn, &place.schema).await.map_err(AdminError::at(&place.server))?);
    }
    let (definitions, mut tables): (Vec<TableDefinition>, Vec<TableFacts>) =
        schema::merged(read, &declared).into_iter().unzip();
    if tables.is_empty() {
        return Err(AdminError::refused(format!("{keyspace} has no tables")));
    }
    let kept = kept(&args.keep, &definitions)?;
    let server = places[0].server.clone();
    let at_server = AdminError::at(&server);
    let facts = read_facts(&mut places[0].conn).await.map_err(&at_server)?;
    let sql_mode: SqlMode = schema::sql_mode(&mut places[0].conn).await.map_err(&at_server)?;
    let (statements, since): (Vec<RanStatement>, String) = match &args.statements {
        Some(path) => {
            let text = std::fs::read(path)
                .map_err(|error| AdminError::Usage(format!("--statements {}: {error}", path.display())))?;
            let text = String::from_utf8_lossy(&text);
            (texts::statements(&text, &keyspace, sql_mode), format!("of {}", path.display()))
        }
        None => {
            let mut all = digests::Counted::default();
            for place in &mut places {
                let counted = digests::read(&mut place.conn, &place.schema, &keyspace).await;
                all.add(counted.map_err(AdminError::at(&place.server))?);
            }
            all.note();
            (all.statements(), format!("that {server} counted"))
        }
    };
    schema::note_refused_keys(&mut tables, &definitions);
    let question = Question {
        keyspace,
        names: facts.names(),
        version: MySqlVersion::parse(&facts.version),
        sql_mode,
        tables,
        statements,
        shards: args.shards,
        kept,
    };
    let advice = advise(&question).map_err(|error| AdminError::refused(error.to_string()))?;
    show::show(
        &question,
        &advice,
        &show::Wanted { since: &since, limit: args.limit, is_json: args.common.json },
    )
}

/// What the arguments name.
async fn database(args: &AdviseArgs) -> Result<Database, AdminError> {
    if let (Some(server), Some(user), Some(database)) = (&args.server, &args.user, &args.database) {
        let password = SecretInput {
            flag: "--password",
            file: args.password_file.as_deref(),
            variable: args.password_env.as_deref(),
            is_stdin: args.password_stdin,
        };
        let (host, port) = server_address(server)
            .ok_or_else(|| AdminError::Usage(format!("{server:?} is no address; host:port is")))?;
        let login = AdminLogin { host, port, user: user.clone(), password: password.read()? };
        let conn = login.connect().await.map_err(AdminError::at(server))?;
        let place = Place { conn, server: server.clone(), schema: database.clone() };
        return Ok(Database { name: database.clone(), places: vec![place], declared: Vec::new() });
    }
    let context = Context::new(&args.common)?;
    let view = context.view().await?;
    let keyspace = find::keyspace(&view, args.keyspace.as_deref().unwrap_or_default())?;
    let servers = context.servers(&view).await?;
    let mut places = Vec::new();
    for shard in &keyspace.shards {
        let (conn, server) = servers.connect(shard.server).await?;
        places.push(Place { conn, server: server.to_owned(), schema: shard.schema.as_str().to_owned() });
    }
    if places.is_empty() {
        return Err(AdminError::refused(format!("keyspace {} has no shards", keyspace.name)));
    }
    let declared = keyspace.tables.iter().map(|table| table.table.clone()).collect();
    Ok(Database { name: keyspace.name.as_str().to_owned(), places, declared })
}

/// `--keep`, checked as a declaration would be.
fn kept(keep: &[String], definitions: &[TableDefinition]) -> Result<Vec<Kept>, AdminError> {
    keep.iter().map(|text| kept_one(text, definitions)).collect()
}

fn kept_one(text: &str, definitions: &[TableDefinition]) -> Result<Kept, AdminError> {
    let usage = |what: String| AdminError::Usage(format!("--keep {text}: {what}"));
    let (table, key) = text.split_once('=').ok_or_else(|| usage("it is TABLE=COLUMN".to_owned()))?;
    let at = definitions.iter().position(|definition| definition.name == table);
    let at = at.ok_or_else(|| usage(format!("there is no table {table}")))?;
    let declaration = match key {
        "reference" => Declaration::Reference,
        "home" => Declaration::Home,
        columns => Declaration::sharded_by(&columns.split(',').map(str::trim).collect::<Vec<_>>()),
    };
    let declared = declare(NameRule::CaseSensitive, &definitions[at], &declaration);
    let declared = declared.map_err(|error| usage(error.to_string()))?;
    let lies = match declared.kind {
        TableKind::Sharded(sharding) => Lies::Sharded(sharding.columns),
        TableKind::Reference => Lies::Reference,
        _ => Lies::Home,
    };
    Ok(Kept { table: at, lies })
}
