//! A test's own keyspace on a pod: its shards, one of which has another physical name, its tables, and ways in through the proxy and
//! beside it.

use std::sync::Arc;

use anyhow::Context;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway::provision::{Declaration, create_schema, declare, quote_name, read_table};
use podway_model::{Epoch, Keyspace, KeyspaceId, Server, ServerId, Shard, ShardId, ShardIndex};

use crate::given::Given;
use crate::pod::Pod;

/// A keyspace that one test made.
#[derive(Debug)]
pub struct TestKeyspace<'a> {
    /// Its pod.
    pub pod: &'a Pod,
    /// Its logical name.
    pub name: String,
}

impl Pod {
    /// A new keyspace with this many shards, one on each server in turn. The last of several has another physical name: `shop__2`.
    pub async fn keyspace(&self, name: &str, shards: usize) -> anyhow::Result<TestKeyspace<'_>> {
        let physical =
            |n: usize| if n > 0 && n + 1 == shards { format!("{name}__2") } else { name.to_owned() };
        let names: Vec<String> = (0..shards).map(physical).collect();
        self.keyspace_named(name, &names.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// A new keyspace with shards of these physical names, one on each server in turn.
    pub async fn keyspace_named(&self, name: &str, physical: &[&str]) -> anyhow::Result<TestKeyspace<'_>> {
        if let Some(given) = self.as_given() {
            return self.keyspace_on(given, name, physical).await;
        }
        let map = self.map();
        let servers = self.server_ids();
        let first_id = map.keyspaces().map(|keyspace| keyspace.shards.len()).sum::<usize>();
        let mut shards = Vec::new();
        for (n, schema) in physical.iter().enumerate() {
            let server = servers[n % servers.len()];
            create_schema(&mut self.admin(server).await?, schema).await?;
            let id = ShardId(u32::try_from(first_id + n)?);
            shards.push(Shard { id, server, schema: map.names.name(schema), epoch: Epoch(1) });
        }
        let keyspace = Keyspace::evenly(map.names.name(name), shards)?;
        let mut put = Ok(());
        self.change_map(|map| put = map.put_keyspace(keyspace)).await?;
        put?;
        for server in servers {
            self.bring_all_users(server).await?;
        }
        Ok(TestKeyspace { pod: self, name: name.to_owned() })
    }

    /// The same on a given cluster, in the place of what an earlier run left.
    async fn keyspace_on(
        &self,
        given: &Given,
        name: &str,
        physical: &[&str],
    ) -> anyhow::Result<TestKeyspace<'_>> {
        let servers = self.server_ids();
        let place = |n: usize| servers[n % servers.len()];
        let shards: Vec<(ServerId, &str)> =
            physical.iter().enumerate().map(|(n, schema)| (place(n), *schema)).collect();
        for (server, schema) in &shards {
            let mut admin = self.admin(*server).await?;
            admin.query_drop(format!("DROP DATABASE IF EXISTS {}", quote_name(schema))).await?;
            create_schema(&mut admin, schema).await?;
        }
        given.create_keyspace(name, &shards).await?;
        for server in servers {
            self.bring_all_users(server).await?;
        }
        Ok(TestKeyspace { pod: self, name: name.to_owned() })
    }
}

impl TestKeyspace<'_> {
    /// The keyspace as the map has it now.
    pub fn get(&self) -> Arc<Keyspace> {
        let keyspace = self.pod.map().keyspace_spelled(&self.name).cloned();
        keyspace.unwrap_or_else(|| panic!("the map has no keyspace {}", self.name))
    }

    /// Creates a table, or a view, on every shard that is to have it, beside the proxy, and declares it.
    pub async fn create_table(&self, sql: &str, table: &str, declaration: Declaration) -> anyhow::Result<()> {
        let keyspace = self.get();
        let places: Vec<ShardIndex> = match declaration {
            Declaration::Home => vec![keyspace.home],
            _ => (0..keyspace.shards.len()).map(|n| ShardIndex(n as u16)).collect(),
        };
        for place in &places {
            self.on_shard(*place, sql).await?;
        }
        let mut conn = self.direct(places[0]).await?;
        let schema = self.physical(places[0]);
        let definition = read_table(&mut conn, &schema, table).await?;
        let declared = declare(self.pod.map().names, &definition, &declaration)?;
        if let Some(given) = self.pod.as_given() {
            return given.declare(&self.name, declared).await;
        }
        let declared = Arc::new(declared);
        self.change(|keyspace| {
            keyspace.tables.insert(declared.name.clone(), declared);
        })
        .await
    }

    /// Publishes a map in which the keyspace is changed.
    pub async fn change(&self, change: impl FnOnce(&mut Keyspace)) -> anyhow::Result<()> {
        let mut result = Ok(());
        self.pod
            .change_map(|map| {
                let found = map.keyspace_spelled(&self.name).context("the map lost the keyspace");
                result = found.map(|keyspace| (**keyspace).clone()).and_then(|mut keyspace| {
                    change(&mut keyspace);
                    Ok(map.put_keyspace(keyspace)?)
                });
            })
            .await?;
        result
    }

    /// Runs a statement on one shard, beside the proxy.
    pub async fn on_shard(&self, shard: ShardIndex, sql: &str) -> anyhow::Result<()> {
        let mut conn = self.direct(shard).await?;
        conn.query_drop(sql).await.with_context(|| format!("on shard {}: {sql}", shard.0))
    }

    /// The shard that holds a keyspace id.
    pub fn shard_of(&self, id: KeyspaceId) -> ShardIndex {
        self.get().shard_of(id)
    }

    /// The physical schema's name on a shard.
    pub fn physical(&self, shard: ShardIndex) -> String {
        self.get().shards[usize::from(shard.0)].schema.to_string()
    }

    /// The server of a shard.
    pub fn server(&self, shard: ShardIndex) -> Arc<Server> {
        let (map, keyspace) = (self.pod.map(), self.get());
        let place = map.place(&keyspace, shard).map(|(server, _)| Arc::clone(server));
        place.unwrap_or_else(|| panic!("{} has no shard {}", self.name, shard.0))
    }

    /// A connection through the proxy with this keyspace as the current database.
    pub async fn connect(&self) -> anyhow::Result<Conn> {
        Ok(Conn::new(self.pod.client_options().db_name(Some(&self.name))).await?)
    }

    /// A connection to a shard, beside the proxy, as the same user, in its physical schema.
    pub async fn direct(&self, shard: ShardIndex) -> anyhow::Result<Conn> {
        let options = self.pod.direct_options(self.server(shard).id)?;
        Ok(Conn::new(options.db_name(Some(self.physical(shard)))).await?)
    }
}
