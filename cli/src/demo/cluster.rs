//! The demo's servers: started, filled with schemas, tables and the account, and told to the topology. Rows of sharded tables are not its
//! business. Read next: `map`.

use std::sync::Arc;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Account, AccountName, ClusterSecret, HostPattern, NameRule, ServerId, Shard, ShardIndex};
use podway_topology_api::ServerFacts as ToldFacts;

use super::args::Plan;
use super::error::DemoError;
use super::layout::{Layout, Rows};
use super::map::Teller;
use super::shop::{COUNTRIES, Lies, ShopTable, TABLES};
use crate::local_mysql::{LocalServer, MysqlSource, ServerError, ServerOptions};
use crate::provision::{
    AdminLogin, Declaration, ServerFacts, create_schema, create_user, declare, ensure_account,
    ensure_transactions, quote_name, read_account, read_facts, read_table, schema_grant,
};

/// The running servers.
pub(super) struct Cluster {
    servers: Vec<(ServerId, Arc<LocalServer>)>,
}

impl Cluster {
    /// Starts all servers at once.
    pub(super) async fn start(source: &MysqlSource, plan: &Plan) -> Result<Cluster, DemoError> {
        let numbers = plan.layout.servers();
        let options = numbers
            .iter()
            .map(|&number| ServerOptions { data: plan.data_dir(number), ..ServerOptions::default() });
        let started = LocalServer::start_all_async(source, options.collect()).await?;
        let servers = started.into_iter().map(Arc::new);
        Ok(Cluster { servers: numbers.into_iter().map(ServerId).zip(servers).collect() })
    }

    /// Makes schemas, tables, reference rows and the account, as far as they are missing, and tells the topology of them.
    pub(super) async fn prepare(
        &self,
        layout: &Layout,
        teller: &Teller,
        secret: &ClusterSecret,
    ) -> Result<(), DemoError> {
        let shards = layout.shards();
        for (index, shard) in shards.iter().enumerate() {
            let mut conn = self.admin(shard.server).await?;
            prepare_shard(&mut conn, shard, ShardIndex(index as u16), layout.rows).await?;
        }
        let mut names = NameRule::default();
        for (id, server) in &self.servers {
            let login = server.admin();
            let mut conn = login.connect().await?;
            let facts = read_facts(&mut conn).await?;
            ensure_transactions(&mut conn, secret, &facts.uuid).await?;
            names = facts.names();
            teller.server(&server_name(*id), of_topology(&facts, &login), &login).await?;
        }
        teller.keyspace(&shards, |shard| server_name(shard.server)).await?;
        let home = &shards[0];
        let mut conn = self.admin(home.server).await?;
        for table in &TABLES {
            let definition = read_table(&mut conn, home.schema.as_str(), table.name).await?;
            teller.table(declare(names, &definition, &table.declaration())?).await?;
        }
        teller.account(self.bring_account(layout, secret).await?).await
    }

    /// Makes the user on the first server, and brings the account to all, with all privileges on the shop's schemas and on no other.
    async fn bring_account(&self, layout: &Layout, secret: &ClusterSecret) -> Result<Account, DemoError> {
        let name = AccountName { user: layout.user.as_str().into(), host: HostPattern::new("%") };
        let mut first = self.admin(self.servers[0].0).await?;
        create_user(&mut first, &name, &layout.password).await?;
        let account = read_account(&mut first, &name).await?;
        for (id, server) in &self.servers {
            let here = layout.shards().into_iter().filter(|shard| shard.server == *id);
            let grants: Vec<String> =
                here.map(|shard| schema_grant("ALL PRIVILEGES", shard.schema.as_str())).collect();
            let password = secret.backend_password(&name, server.uuid());
            ensure_account(&mut self.admin(*id).await?, &account, &grants, &password).await?;
        }
        Ok(account)
    }

    /// The servers, with what the topology calls them.
    pub(super) fn named(&self) -> Vec<(String, Arc<LocalServer>)> {
        self.servers.iter().map(|(id, server)| (server_name(*id), server.clone())).collect()
    }

    /// How many servers there are.
    pub(super) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Stops all servers at once and waits for them. Those that fail are killed when this process is gone.
    pub(super) async fn stop(self) -> Result<(), ServerError> {
        let stopping: Vec<_> = self
            .servers
            .into_iter()
            .map(|(_, server)| tokio::task::spawn_blocking(move || server.stop()))
            .collect();
        let mut result = Ok(());
        for server in stopping {
            result =
                result.and(server.await.unwrap_or_else(|error| Err(std::io::Error::other(error).into())));
        }
        result
    }

    async fn admin(&self, id: ServerId) -> Result<Conn, DemoError> {
        let found = self.servers.iter().find(|(server, _)| *server == id);
        let server = found.map(|(_, server)| server).ok_or(ServerError::Stopped)?;
        Ok(server.admin().connect().await?)
    }
}

/// What a server is called in the topology.
fn server_name(id: ServerId) -> String {
    format!("server-{}", id.0)
}

/// What a server says of itself, as the topology keeps it.
fn of_topology(facts: &ServerFacts, login: &AdminLogin) -> ToldFacts {
    ToldFacts {
        host: login.host.as_str().into(),
        port: login.port,
        uuid: facts.uuid.as_str().into(),
        version: facts.version.as_str().into(),
        names: facts.names(),
    }
}

impl ShopTable {
    fn declaration(&self) -> Declaration {
        match self.lies {
            Lies::By(column) => Declaration::sharded_by(&[column]),
            Lies::Everywhere => Declaration::Reference,
            Lies::AtHome => Declaration::Home,
        }
    }
}

/// Makes a shard's schema, its tables and its copy of the reference rows. What a start that was cut short left of the rows goes first.
async fn prepare_shard(
    conn: &mut Conn,
    shard: &Shard,
    index: ShardIndex,
    rows: Rows,
) -> Result<(), DemoError> {
    let schema = shard.schema.as_str();
    let doing = |what: &str| DemoError::doing(format!("{what} on {}", shard.id));
    if rows == Rows::Loading {
        let sql = format!("DROP DATABASE IF EXISTS {}", quote_name(schema));
        conn.query_drop(sql).await.map_err(doing("dropping the half-loaded schema"))?;
    }
    create_schema(conn, schema).await?;
    conn.query_drop(format!("USE {}", quote_name(schema))).await.map_err(doing("entering the schema"))?;
    for table in TABLES.iter().filter(|table| table.lies != Lies::AtHome || index == ShardIndex(0)) {
        conn.query_drop(table.create).await.map_err(doing(&format!("creating table {}", table.name)))?;
    }
    if rows == Rows::Loading {
        // Writing reference tables through the proxy is not built yet: each copy is filled beside it.
        conn.exec_batch("INSERT INTO countries (code, name) VALUES (?, ?)", COUNTRIES)
            .await
            .map_err(doing("loading countries"))?;
    }
    Ok(())
}
