//! `podway table`: where the rows of tables lie: declared after a look at every shard, shown, and forgotten. No table is made or changed, and no
//! row moved.

use podway_model::{ColumnType, Table, TableKind, Vindex};
use podway_topology_api::{Command, Done, KeyspaceView, TableCommand, TableView, View};
use serde::Serialize;

use super::context::{Common, Context, Servers};
use super::drift::{self, DriftRow};
use super::error::AdminError;
use super::find;
use super::print::{self, Row};
use crate::provision::{Declarable, Declaration, NotDeclared, ShardPlace, Wanted, declare_everywhere};

const EXAMPLES: &str = "\
Examples:
  podway table declare shop.customers --by id
  podway table declare shop.orders --by customer_id
  podway table declare shop.accounts --by id --unique-per-shard
  podway table declare shop.countries --reference
  podway table list shop
  podway table show shop.orders --json
  podway table check shop

The table must be there on every shard, the same everywhere, with a primary key, and empty: rows that are there already would be looked for
where the sharding key leads. A UNIQUE key has to contain the sharding key, or the AUTO_INCREMENT column: else it is unique on each shard only, which
--unique-per-shard accepts, also later and of a table with rows.";

/// Says where the rows of tables lie
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum TableCommandLine {
    /// Declares an empty table sharded, reference or home, after a look at every shard
    #[command(after_help = EXAMPLES, group = clap::ArgGroup::new("kind").args(["by", "reference", "home"]).required(true))]
    Declare {
        /// The table
        #[arg(value_name = "KEYSPACE.TABLE")]
        table: String,
        /// Sharded by these columns: each row lies where they lead
        #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
        by: Vec<String>,
        /// The function that makes a keyspace id of the key: xxh3, hash (Vitess's) or identity
        #[arg(long, value_name = "NAME", default_value = "xxh3", value_parser = parse_vindex)]
        vindex: Vindex,
        /// UNIQUE keys that do not contain the sharding key may be unique on each shard only
        #[arg(long, conflicts_with_all = ["reference", "home"])]
        unique_per_shard: bool,
        /// A copy on every shard
        #[arg(long)]
        reference: bool,
        /// Whole, on the home shard
        #[arg(long)]
        home: bool,
        /// Also if it has rows: they lie where the key leads already, or are the same copy everywhere. This is not checked
        #[arg(long)]
        rows_in_place: bool,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Forgets a declaration: the table is an undeclared one at home again; nothing is changed on the servers
    Forget {
        /// The table
        #[arg(value_name = "KEYSPACE.TABLE")]
        table: String,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Shows one table with its columns
    Show {
        /// The table
        #[arg(value_name = "KEYSPACE.TABLE")]
        table: String,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Compares the tables on all shards with each other and with the map now, and shows what differs; exit code 1 if something does
    Check {
        /// The keyspace
        keyspace: Option<String>,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Lists the declared tables, of all keyspaces or of one
    List {
        /// The keyspace
        keyspace: Option<String>,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
}

fn parse_vindex(text: &str) -> Result<Vindex, String> {
    let all = [Vindex::Xxh3, Vindex::Hash, Vindex::Identity];
    let found = all.into_iter().find(|vindex| find::vindex_name(*vindex) == text);
    found.ok_or_else(|| "it is xxh3, hash or identity".to_owned())
}

/// A table in a list.
#[derive(Serialize)]
struct TableRow {
    keyspace: String,
    table: String,
    kind: &'static str,
    key: Vec<String>,
    vindex: Option<&'static str>,
    columns: usize,
    next_auto_increment: Option<u64>,
}

impl Row for TableRow {
    const HEAD: &'static [&'static str] = &["keyspace", "table", "kind", "key", "vindex", "#columns"];

    fn cells(&self) -> Vec<String> {
        let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        vec![
            self.keyspace.clone(),
            self.table.clone(),
            self.kind.to_owned(),
            dash(self.key.join(", ")),
            dash(self.vindex.unwrap_or_default().to_owned()),
            self.columns.to_string(),
        ]
    }
}

impl TableRow {
    fn of(keyspace: &KeyspaceView, TableView { table, sequence }: &TableView) -> TableRow {
        TableRow {
            keyspace: keyspace.name.to_string(),
            table: table.name.to_string(),
            kind: find::kind(table),
            key: find::key(table),
            vindex: find::vindex(table),
            columns: table.columns.len(),
            next_auto_increment: sequence.as_ref().map(|sequence| sequence.next),
        }
    }
}

/// A column of a table that is shown.
#[derive(Serialize)]
struct ColumnRow {
    column: String,
    #[serde(rename = "type")]
    column_type: String,
    collation: Option<String>,
    nullable: bool,
    is_key: bool,
}

impl Row for ColumnRow {
    const HEAD: &'static [&'static str] = &["column", "type", "collation", "null", "key"];

    fn cells(&self) -> Vec<String> {
        let word = |is: bool, yes: &str, no: &str| if is { yes } else { no }.to_owned();
        vec![
            self.column.clone(),
            self.column_type.clone(),
            self.collation.clone().unwrap_or_else(|| "-".to_owned()),
            word(self.nullable, "yes", "no"),
            word(self.is_key, "sharding key", "-"),
        ]
    }
}

/// Runs it.
pub(super) async fn run(line: TableCommandLine) -> Result<(), AdminError> {
    match line {
        TableCommandLine::Declare {
            table,
            by,
            vindex,
            unique_per_shard,
            reference,
            home: _,
            rows_in_place,
            common,
        } => {
            let declaration = match (by.is_empty(), reference) {
                (false, _) => Declaration::Sharded { columns: by, vindex, unique_per_shard },
                (true, true) => Declaration::Reference,
                (true, false) => Declaration::Home,
            };
            let (keyspace, name) = find::split_table(&table)?;
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let servers = context.servers(&view).await?;
            let wanted = Wanted::new(name, &declaration, rows_in_place);
            let line = declare_one(&context, &servers, find::keyspace(&view, keyspace)?, wanted).await?;
            Ok(print::done(&line, context.is_json)?)
        }
        TableCommandLine::Forget { table, common } => {
            let (keyspace, name) = find::split_table(&table)?;
            let context = Context::new(&common)?;
            let command = TableCommand::Forget { keyspace: keyspace.into(), table: name.into() };
            context.propose(Command::Table(command)).await?;
            Ok(print::done(
                &format!("table {table} forgotten; nothing was changed on the servers"),
                context.is_json,
            )?)
        }
        TableCommandLine::Show { table, common } => {
            let (keyspace, name) = find::split_table(&table)?;
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let keyspace = find::keyspace(&view, keyspace)?;
            show(&view, keyspace, find::table(keyspace, name)?, context.is_json)
        }
        TableCommandLine::Check { keyspace, common } => {
            drift::check(&Context::new(&common)?, keyspace.as_deref()).await
        }
        TableCommandLine::List { keyspace, common } => {
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let rows = listed(&view, keyspace.as_deref())?;
            Ok(print::list(&rows, context.is_json)?)
        }
    }
}

fn listed(view: &View, keyspace: Option<&str>) -> Result<Vec<TableRow>, AdminError> {
    let keyspaces: Vec<&KeyspaceView> = match keyspace {
        Some(name) => vec![find::keyspace(view, name)?],
        None => view.keyspaces.iter().collect(),
    };
    let rows = keyspaces
        .into_iter()
        .flat_map(|keyspace| keyspace.tables.iter().map(move |table| TableRow::of(keyspace, table)));
    Ok(rows.collect())
}

fn show(view: &View, keyspace: &KeyspaceView, table: &TableView, is_json: bool) -> Result<(), AdminError> {
    let drift = DriftRow::of_table(view, keyspace.name.as_str(), table.table.name.as_str());
    let row = TableRow::of(keyspace, table);
    let key = find::key(&table.table);
    let columns: Vec<ColumnRow> = table
        .table
        .columns
        .iter()
        .map(|column| ColumnRow {
            column: column.name.to_string(),
            column_type: type_text(&column.column_type),
            collation: column.collation.as_deref().map(str::to_owned),
            nullable: column.nullable,
            is_key: key.iter().any(|name| name == column.name.as_str()),
        })
        .collect();
    if is_json {
        return Ok(print::json(&serde_json::json!({ "table": row, "columns": columns, "drift": drift }))?);
    }
    let by = match row.vindex {
        Some(vindex) => format!(" by ({}) through {vindex}", row.key.join(", ")),
        None => String::new(),
    };
    let next =
        row.next_auto_increment.map(|next| format!(", next AUTO_INCREMENT {next}")).unwrap_or_default();
    let mut head = format!("table {}.{}: {}{by}{next}\n", row.keyspace, row.table, row.kind);
    if let Some(drift) = drift {
        head += &format!("! {}\n", drift.sentence());
    }
    Ok(print::out(&format!("{head}\n{}", print::table(&columns)))?)
}

/// A type much as MySQL writes it.
fn type_text(column_type: &ColumnType) -> String {
    let sign = |unsigned: bool| if unsigned { " unsigned" } else { "" };
    match column_type {
        ColumnType::Integer { bytes, unsigned } => {
            let name = match bytes {
                1 => "tinyint",
                2 => "smallint",
                3 => "mediumint",
                4 => "int",
                _ => "bigint",
            };
            format!("{name}{}", sign(*unsigned))
        }
        ColumnType::Decimal { precision, scale, unsigned } => {
            format!("decimal({precision},{scale}){}", sign(*unsigned))
        }
        ColumnType::Text(_) => "text".to_owned(),
        ColumnType::Blob(_) => "blob".to_owned(),
        ColumnType::Other(name) => name.to_string(),
        other => format!("{other:?}").to_lowercase().replace("(0)", ""),
    }
}

/// Looks at the table on every shard that has to have it, and declares it. Returns what was done.
pub(super) async fn declare_one(
    context: &Context,
    servers: &Servers,
    keyspace: &KeyspaceView,
    wanted: Wanted<'_>,
) -> Result<String, AdminError> {
    let known = keyspace.tables.iter().find(|known| known.table.name.as_str() == wanted.name);
    let wanted = wanted.of_known(known.map(|known| &known.table), keyspace.shards.len());
    let Declarable { table, next } = read_and_check(servers, keyspace, wanted).await?;
    let (name, described) = (format!("{}.{}", keyspace.name, wanted.name), described(&table));
    let command = TableCommand::Declare { keyspace: keyspace.name.as_str().into(), table, next };
    match context.propose(Command::Table(command)).await? {
        Done::Unchanged => Ok(format!("table {name} was declared {described} already")),
        _ => Ok(format!("table {name} declared {described}")),
    }
}

async fn read_and_check(
    servers: &Servers,
    keyspace: &KeyspaceView,
    wanted: Wanted<'_>,
) -> Result<Declarable, AdminError> {
    let is_at_home = *wanted.declaration == Declaration::Home;
    let shards = keyspace.shards.iter().filter(|shard| !is_at_home || shard.id == keyspace.home);
    let places: Vec<ShardPlace> = shards
        .map(|shard| {
            let server = servers.all().iter().find(|server| server.id == shard.server);
            let server = server
                .ok_or_else(|| AdminError::refused(format!("{} is not in the topology", shard.server)))?;
            let login = servers.login(server)?;
            let schema = shard.schema.as_str().to_owned();
            Ok(ShardPlace { server: server.name.to_string(), login, schema })
        })
        .collect::<Result<_, AdminError>>()?;
    declare_everywhere(&places, wanted).await.map_err(|error| match error {
        NotDeclared::Refused(text) => AdminError::refused(text),
        NotDeclared::OnServer { server, error } => AdminError::at(&server)(error),
    })
}

fn described(table: &Table) -> String {
    match find::vindex(table) {
        Some(vindex) => {
            let per_shard = match &table.kind {
                TableKind::Sharded(sharding) if sharding.unique_per_shard => ", unique per shard",
                _ => "",
            };
            format!("sharded by ({}) through {vindex}{per_shard}", find::key(table).join(", "))
        }
        None => find::kind(table).to_owned(),
    }
}
