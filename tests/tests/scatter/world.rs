//! The same tables in a keyspace of four shards on two servers and in one plain MySQL, for each test its own.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Value};
use podway::provision::Declaration;
use podway_model::{ServerId, ShardIndex};
use podway_tests::answer::{Answer, execute, prepare, query};
use podway_tests::{Pod, PodOptions, TestKeyspace};
use tokio::sync::OnceCell;

/// Rows of `accounts`, by their id from 1 on.
pub const ACCOUNTS: u64 = 16;

const TABLES: [(&str, &str); 3] = [
    (
        "accounts",
        "CREATE TABLE accounts (id BIGINT PRIMARY KEY, owner VARCHAR(20) NOT NULL, amount INT NOT NULL CHECK (amount >= 0), touched DATETIME(6) NULL)",
    ),
    (
        "entries",
        "CREATE TABLE entries (account BIGINT NOT NULL, id BIGINT NOT NULL, note VARCHAR(10), PRIMARY KEY (account, id))",
    ),
    ("currencies", "CREATE TABLE currencies (code CHAR(3) PRIMARY KEY, name VARCHAR(20))"),
];

/// Both sides of one test.
pub struct World {
    pub keyspace: TestKeyspace<'static>,
    pub ours: Conn,
    pub theirs: Conn,
}

async fn servers() -> &'static (Pod, Pod) {
    static SERVERS: OnceCell<(Pod, Pod)> = OnceCell::const_new();
    SERVERS
        .get_or_init(|| async {
            let two = Pod::start(PodOptions { servers: 2, ..PodOptions::default() });
            let alone = Pod::start(PodOptions { servers: 1, has_proxy: false, ..PodOptions::default() });
            let (two, alone) = tokio::join!(two, alone);
            (two.unwrap(), alone.unwrap())
        })
        .await
}

impl World {
    /// Filled tables, under this name.
    pub async fn new(name: &str) -> World {
        World::with(name, &[]).await
    }

    /// The same, and further tables, by their definitions, sharded by these columns.
    pub async fn with(name: &str, further: &[(&str, &str, &[&str])]) -> World {
        let (pod, mysql) = servers().await;
        let (third, fourth) = (format!("{name}_b"), format!("{name}__2"));
        let keyspace = pod.keyspace_named(name, &[name, name, &third, &fourth]).await.unwrap();
        let mut admin = mysql.admin(ServerId(0)).await.unwrap();
        admin.query_drop(format!("CREATE DATABASE {name}")).await.unwrap();
        let options = mysql.direct_options(ServerId(0)).unwrap();
        let theirs = Conn::new(options.db_name(Some(name)).stmt_cache_size(0)).await.unwrap();
        let ours = Conn::new(pod.client_options().db_name(Some(name)).stmt_cache_size(0)).await.unwrap();
        let mut world = World { keyspace, ours, theirs };
        for (table, definition, key) in further {
            world.theirs.query_drop(*definition).await.unwrap();
            world.keyspace.create_table(definition, table, Declaration::sharded_by(key)).await.unwrap();
        }
        for (table, definition) in TABLES {
            let declaration = match table {
                "accounts" => Declaration::sharded_by(&["id"]),
                "entries" => Declaration::sharded_by(&["account"]),
                _ => Declaration::Reference,
            };
            world.theirs.query_drop(definition).await.unwrap();
            world.keyspace.create_table(definition, table, declaration).await.unwrap();
        }
        let accounts: Vec<String> =
            (1..=ACCOUNTS).map(|id| format!("({id}, 'owner {id}', {}, NULL)", id * 10)).collect();
        world.same(&format!("INSERT INTO accounts VALUES {}", accounts.join(", "))).await;
        let entries: Vec<String> = (1..=ACCOUNTS).map(|id| format!("({id}, {id}, 'first')")).collect();
        world.same(&format!("INSERT INTO entries (account, id, note) VALUES {}", entries.join(","))).await;
        world.same("INSERT INTO currencies VALUES ('EUR', 'euro'), ('PEN', 'sol')").await;
        for shard in 0..4 {
            let mut direct = world.keyspace.direct(ShardIndex(shard)).await.unwrap();
            let rows: Option<u64> = direct.query_first("SELECT COUNT(*) FROM accounts").await.unwrap();
            assert!(rows > Some(0), "shard {shard} has no accounts");
        }
        world
    }

    /// An administrator's session of the plain MySQL.
    pub async fn alone(&self) -> Conn {
        servers().await.1.admin(ServerId(0)).await.unwrap()
    }

    /// Another session of the same client.
    pub async fn another(&self) -> Conn {
        let options: OptsBuilder = self.keyspace.pod.client_options();
        Conn::new(options.db_name(Some(self.keyspace.name.as_str())).stmt_cache_size(0)).await.unwrap()
    }

    /// Runs a statement on both sides; both must answer the same, to the number of rows and the text.
    pub async fn same(&mut self, sql: &str) -> Answer {
        let ours = query(&mut self.ours, sql.as_bytes()).await;
        let theirs = query(&mut self.theirs, sql.as_bytes()).await;
        assert_eq!(ours.difference(&theirs, sql.contains("ORDER BY")), None, "{sql}");
        ours
    }

    /// The warnings of the last statement are the same.
    pub async fn same_warnings(&mut self) {
        let mut both = Vec::new();
        for conn in [&mut self.ours, &mut self.theirs] {
            let mut warnings: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.unwrap();
            warnings.sort();
            both.push(warnings);
        }
        assert_eq!(both[0], both[1]);
    }

    /// The same for a prepared statement.
    pub async fn same_prepared(&mut self, sql: &str, params: &[Value]) {
        let ours =
            prepare(&mut self.ours, sql).await.unwrap_or_else(|answer| panic!("{sql}: {}", answer.shown()));
        let theirs = prepare(&mut self.theirs, sql).await.unwrap();
        let our_answer = execute(&mut self.ours, &ours, params).await;
        let their_answer = execute(&mut self.theirs, &theirs, params).await;
        assert_eq!(our_answer.difference(&their_answer, false), None, "{sql} {params:?}");
    }

    /// All tables are the same on both sides.
    pub async fn same_tables(&mut self) {
        for (table, _) in TABLES {
            let columns = if table == "accounts" { "id, owner, amount" } else { "*" };
            let sql = format!("SELECT {columns} FROM {table}");
            let ours = query(&mut self.ours, sql.as_bytes()).await;
            let theirs = query(&mut self.theirs, sql.as_bytes()).await;
            assert_eq!(ours.difference(&theirs, false), None, "{sql}");
        }
        let name = self.keyspace.name.clone();
        for shard in 0..4 {
            let mut direct = self.keyspace.direct(ShardIndex(shard)).await.unwrap();
            let copy: Vec<(String, Option<String>)> =
                direct.query("SELECT code, name FROM currencies ORDER BY code").await.unwrap();
            let one: Vec<(String, Option<String>)> =
                self.theirs.query("SELECT code, name FROM currencies ORDER BY code").await.unwrap();
            assert_eq!(copy, one, "the copy of {name} on shard {shard}");
        }
    }
}
