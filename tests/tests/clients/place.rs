//! Where a client is sent: a database of its own, with the tables of `tests/clients/tables.sql` and a user that nobody has logged in
//! as before, so that the long way of authentication is gone too.

use mysql_async::prelude::Queryable;
use podway::provision::{Declaration, create_schema};
use podway_model::ShardIndex;
use podway_tests::{Password, Pod, TestKeyspace, User};

const TABLES: &str = include_str!("../../clients/tables.sql");

/// The kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A MySQL server, without Podway.
    Mysql,
    /// A keyspace of one shard.
    OneShard,
    /// A keyspace of four.
    FourShards,
}

/// A place with everything in it.
#[derive(Clone, Debug)]
pub struct Site {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub database: String,
    pub shards: usize,
}

impl Place {
    /// Makes the place for one client.
    pub async fn prepare(self, client: &str) -> Site {
        let pod = Pod::shared().await;
        allow_local_files(pod).await;
        let (suffix, shards) = match self {
            Place::Mysql => ("itself", 1),
            Place::OneShard => ("one", 1),
            Place::FourShards => ("four", 4),
        };
        let database = format!("{client}_{suffix}");
        let (user, password) = (database.clone(), format!("{client}'s \"pass\\word\""));
        pod.add_user(User::new(&user, Password::Sha2(password.clone()))).await.unwrap();
        let (host, port) = match self {
            Place::Mysql => {
                load_schema(pod, &database).await;
                pod.server_address(pod.server_ids()[0]).unwrap()
            }
            _ => {
                load_keyspace(&pod.keyspace(&database, shards).await.unwrap()).await;
                (pod.address().ip().to_string(), pod.address().port())
            }
        };
        Site { host, port, user, password, database, shards }
    }
}

/// Servers refuse LOAD DATA LOCAL unless they are told otherwise.
async fn allow_local_files(pod: &Pod) {
    for server in pod.map().servers() {
        let mut admin = pod.admin(server.id).await.unwrap();
        admin.query_drop("SET GLOBAL local_infile = 1").await.unwrap();
    }
}

async fn load_schema(pod: &Pod, database: &str) {
    let mut admin = pod.admin(pod.server_ids()[0]).await.unwrap();
    create_schema(&mut admin, database).await.unwrap();
    admin.query_drop(format!("USE `{database}`")).await.unwrap();
    for statement in statements() {
        admin.query_drop(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

async fn load_keyspace(keyspace: &TestKeyspace<'_>) {
    let shards = keyspace.get().shards.len();
    for statement in statements() {
        if let Some((table, declaration)) = declared(statement) {
            keyspace.create_table(statement, &table, declaration).await.unwrap();
        } else if shards == 1 || !statement.starts_with("CREATE PROCEDURE") {
            for shard in 0..shards {
                keyspace.on_shard(ShardIndex(shard as u16), statement).await.unwrap();
            }
        }
    }
}

/// The file's statements: an empty line divides them, and comments are lines of their own.
fn statements() -> impl Iterator<Item = &'static str> {
    TABLES
        .split("\n\n")
        .map(|block| {
            let start = block.find("CREATE").or_else(|| block.find("INSERT"));
            start.map_or("", |start| block[start..].trim_end().trim_end_matches(';'))
        })
        .filter(|statement| !statement.is_empty())
}

/// The table that a statement creates, and where its comment says that its rows lie.
fn declared(statement: &str) -> Option<(String, Declaration)> {
    let table = statement.strip_prefix("CREATE TABLE ")?.split_whitespace().next()?;
    let comment = statement.rsplit_once("'podway: ")?.1.trim_end_matches('\'');
    let declaration = match comment {
        "home" => Declaration::Home,
        "reference" => Declaration::Reference,
        key => Declaration::sharded_by(&[key.strip_prefix("shard by (")?.strip_suffix(')')?]),
    };
    Some((table.to_owned(), declaration))
}

#[test]
fn the_tables_file_is_understood() {
    let of = |statement: &str| declared(statement);
    let tables: Vec<_> = statements().filter_map(of).collect();
    assert_eq!(tables.len(), 6, "{tables:?}");
    assert_eq!(tables[2], ("entries".to_owned(), Declaration::sharded_by(&["account_id"])));
    assert_eq!(tables[5], ("countries".to_owned(), Declaration::Reference));
    let others: Vec<&str> = statements().filter(|statement| declared(statement).is_none()).collect();
    assert!(
        others[0].starts_with("INSERT INTO countries")
            && others[1].starts_with("CREATE PROCEDURE")
            && others[1].ends_with("END")
    );
}
