//! The servers of both sides, and keyspaces with the tables of a workload. Never knows what is asked of them.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::ServerId;
use podway_tests::workload::Table;
use podway_tests::{Pod, PodOptions, TestKeyspace};
use tokio::sync::OnceCell;

/// Two servers with a proxy, and one MySQL by itself.
pub struct World {
    pub pod: Pod,
    pub mysql: Pod,
}

pub async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    let start = || async {
        let alone = PodOptions { servers: 1, has_proxy: false, ..PodOptions::default() };
        let several = PodOptions { servers: 2, ..PodOptions::default() };
        let (pod, mysql) = tokio::join!(Pod::start(several), Pod::start(alone));
        World { pod: pod.unwrap(), mysql: mysql.unwrap() }
    };
    WORLD.get_or_init(start).await
}

impl World {
    /// A database in plain MySQL with these tables and rows.
    pub async fn plain(&self, name: &str, tables: &[Table], rows: impl Iterator<Item = String>) -> Conn {
        let mut admin = self.mysql.admin(ServerId(0)).await.unwrap();
        admin.query_drop(format!("CREATE DATABASE {name}")).await.unwrap();
        let options = self.mysql.direct_options(ServerId(0)).unwrap();
        let mut conn = Conn::new(options.db_name(Some(name))).await.unwrap();
        for table in tables {
            conn.query_drop(table.create).await.unwrap();
        }
        fill(&mut conn, rows).await;
        conn
    }

    /// A keyspace with these tables and rows, and a client of it.
    pub async fn sharded(
        &self,
        (name, shards): (&str, usize),
        tables: &[Table],
        rows: impl Iterator<Item = String>,
    ) -> (TestKeyspace<'_>, Conn) {
        let physical: Vec<String> = (0..shards)
            .map(|shard| if shard < 2 { name.to_owned() } else { format!("{name}_{shard}") })
            .collect();
        let physical: Vec<&str> = physical.iter().map(String::as_str).collect();
        let keyspace = self.pod.keyspace_named(name, &physical).await.unwrap();
        for table in tables {
            keyspace.create_table(table.create, table.name, table.declaration()).await.unwrap();
        }
        let mut conn = keyspace.connect().await.unwrap();
        fill(&mut conn, rows).await;
        (keyspace, conn)
    }
}

async fn fill(conn: &mut Conn, rows: impl Iterator<Item = String>) {
    for sql in rows {
        let start: String = sql.chars().take(200).collect();
        conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{error}: {start}"));
    }
}
