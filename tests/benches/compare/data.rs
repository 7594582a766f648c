//! The servers and what is in them: each holds everything in the schema `bench`; `bench4` (and `bench4r`) lie on all four, each row on the
//! shard where Podway's map has it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, ensure};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway::local_mysql::{LocalServer, ServerOptions};
use podway::provision::{Declaration, create_schema, declare, quote_name, read_table};
use podway_model::{Epoch, Keyspace, NameRule, ServerId, Shard, ShardId, Table};
use podway_router::{KeyValue, Pinned, PredicateId, keyspace_id_for_predicate};
use podway_tests::mysql_source;

use crate::client::Credentials;
use crate::workload::{FIRST_LARGE_OWNER, LARGE_OWNERS, POINTS, SMALL_OWNERS, TABLES, Workload};

/// How many servers there are, and shards of a sharded keyspace.
pub const SERVERS: usize = 4;
/// The schema of all rows, on each server.
pub const WHOLE: &str = "bench";
/// The keyspace with four shards.
pub const SHARDED: &str = "bench4";
/// The keyspace with four shards whose schemas have another name than the keyspace, as after a resharding.
pub const RENAMED: &str = "bench4r";
/// The schema of a renamed keyspace's shards.
pub const RENAMED_SCHEMA: &str = "bench4r__2";

const USER: (&str, &str) = ("bench", "bench's password");
/// Rows of one INSERT.
const BATCH: usize = 500;
/// More than all targets need together.
const MAX_CONNECTIONS: &str = "--max-connections=4000";

/// The servers, with their rows.
#[derive(Debug)]
pub struct Servers {
    all: Vec<LocalServer>,
}

impl Servers {
    /// Starts them and fills them.
    pub async fn start(renamed: bool) -> anyhow::Result<Servers> {
        let source = tokio::task::spawn_blocking(mysql_source).await?;
        let options =
            ServerOptions { extra_args: vec![MAX_CONNECTIONS.to_owned()], ..ServerOptions::default() };
        let servers = Servers { all: LocalServer::start_all_async(source, vec![options; SERVERS]).await? };
        for server in &servers.all {
            let mut admin = server.admin().connect().await?;
            let (user, password) = (USER.0, USER.1.replace('\'', "''"));
            admin.query_drop(format!("CREATE USER {user} IDENTIFIED BY '{password}'")).await?;
            admin.query_drop(format!("GRANT ALL ON *.* TO {user}")).await?;
        }
        for server in &servers.all {
            fill(std::slice::from_ref(server), WHOLE, WHOLE).await?;
        }
        fill(&servers.all, SHARDED, SHARDED).await?;
        if renamed {
            fill(&servers.all, RENAMED, RENAMED_SCHEMA).await?;
        }
        Ok(servers)
    }

    /// Where they answer.
    pub fn addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        self.all.iter().map(|server| Ok(server.address().parse()?)).collect()
    }

    /// Where the first of them answers.
    pub fn first(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.all[0].address().parse()?)
    }
}

/// Makes a keyspace with a shard on each of these servers, and puts its rows where they belong.
async fn fill(servers: &[LocalServer], keyspace: &str, schema: &str) -> anyhow::Result<()> {
    let names = NameRule::default();
    let shard = |n: usize| {
        let (id, server) = (ShardId(n as u32), ServerId(n as u32));
        Shard { id, server, schema: names.name(schema), epoch: Epoch(1) }
    };
    let map = Keyspace::evenly(names.name(keyspace), (0..servers.len()).map(shard).collect())?;
    for (n, server) in servers.iter().enumerate() {
        let mut conn = server.admin().connect().await?;
        create_schema(&mut conn, schema).await?;
        conn.query_drop(format!("USE {}", quote_name(schema))).await?;
        for (name, key, sql) in TABLES {
            conn.query_drop(sql).await?;
            let definition = read_table(&mut conn, schema, name).await?;
            let table = declare(names, &definition, &Declaration::sharded_by(&[key]))?;
            let is_here = |key: u64| Ok::<bool, anyhow::Error>(place(&map, &table, key)? == n);
            match name {
                "points" => fill_points(&mut conn, &is_here).await?,
                _ => fill_entries(&mut conn, &is_here).await?,
            }
            conn.query_drop(format!("ANALYZE TABLE {name}")).await?;
        }
    }
    Ok(())
}

/// As whom the load logs in.
pub fn credentials(schema: &str) -> Credentials {
    Credentials { user: USER.0.to_owned(), password: USER.1.to_owned(), schema: schema.to_owned() }
}

/// The shard of a key, as the router finds it.
fn place(map: &Keyspace, table: &Table, key: u64) -> anyhow::Result<usize> {
    let pin = Pinned { value: KeyValue::Int(i64::try_from(key)?), null_safe: false };
    match keyspace_id_for_predicate(table, [pin]) {
        PredicateId::Id(id) => Ok(usize::from(map.shard_of(id).0)),
        other => anyhow::bail!("key {key} leads to {other:?}"),
    }
}

async fn fill_points(conn: &mut Conn, is_here: &impl Fn(u64) -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let (c, pad) = ("c".repeat(119), "p".repeat(59));
    let mut rows = Vec::new();
    for id in 1..=POINTS {
        if is_here(id)? {
            rows.push(format!("({id}, {id}, '{c}', '{pad}')"));
        }
    }
    for batch in rows.chunks(BATCH) {
        conn.query_drop(format!("INSERT INTO points VALUES {}", batch.join(", "))).await?;
    }
    Ok(())
}

async fn fill_entries(conn: &mut Conn, is_here: &impl Fn(u64) -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let small = (1..=SMALL_OWNERS).map(|owner| (owner, Workload::Rows100.rows()));
    let large = (0..LARGE_OWNERS).map(|n| (FIRST_LARGE_OWNER + n, Workload::Rows10000.rows()));
    conn.query_drop("SET SESSION cte_max_recursion_depth = 100000").await?;
    for (owner, count) in small.chain(large) {
        if is_here(owner)? {
            let numbers = format!(
                "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
            );
            let sql =
                format!("INSERT INTO entries {numbers} SELECT {owner}, n, RPAD(n, 60, 'e') FROM numbers");
            conn.query_drop(sql).await.with_context(|| format!("the entries of owner {owner}"))?;
        }
    }
    Ok(())
}

/// The cluster file of `podway proxy` for one keyspace.
pub fn cluster_file(servers: &Servers, keyspace: &str) -> anyhow::Result<String> {
    let (count, schema) = match keyspace {
        WHOLE => (1, WHOLE),
        RENAMED => (SERVERS, RENAMED_SCHEMA),
        _ => (SERVERS, SHARDED),
    };
    ensure!(servers.all.len() >= count, "too few servers");
    // All proxies of one server need the same secret: the user's second password there is made of it.
    let mut file = toml::Table::new();
    file.insert("secret_file".to_owned(), "cluster.secret".into());
    let entries: BTreeMap<String, toml::Value> = (servers.all[..count].iter().enumerate())
        .map(|(n, server)| {
            let entry = [
                ("address", server.address()),
                ("admin_user", "root".to_owned()),
                ("admin_password", server.root_password().to_owned()),
            ];
            let entry: toml::Table =
                entry.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
            (format!("s{n}"), entry.into())
        })
        .collect();
    file.insert("servers".to_owned(), toml::Value::try_from(entries)?);
    let shards: Vec<String> =
        (0..count).map(|n| format!("{{ server = \"s{n}\", schema = \"{schema}\" }}")).collect();
    let tables: Vec<String> =
        TABLES.iter().map(|(table, key, _)| format!("{table} = {{ shard_by = [\"{key}\"] }}")).collect();
    Ok(format!(
        "{file}\n[keyspaces.{keyspace}]\nshards = [{}]\n[keyspaces.{keyspace}.tables]\n{}\n[users]\nadopt = [\"{}\"]\n",
        shards.join(", "),
        tables.join("\n"),
        USER.0
    ))
}
