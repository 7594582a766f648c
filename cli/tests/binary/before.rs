//! What was there before Podway: servers with an application's schema and accounts, and the cluster file that names them. What a proxy
//! before them does is tried elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway::local_mysql::{FindOptions, LocalServer, MysqlSource, ServerOptions};

use crate::podway::Podway;

/// Servers with an application's schema on each, and a cluster file.
pub struct Before {
    pub servers: Vec<LocalServer>,
    pub folder: tempfile::TempDir,
}

/// The MySQL of this machine.
pub async fn mysql_source() -> anyhow::Result<MysqlSource> {
    let find = || MysqlSource::find(&FindOptions::from_env(), &|what| eprintln!("{what}"));
    Ok(tokio::task::spawn_blocking(find).await??)
}

const TABLES: [&str; 4] = [
    "CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR(40))",
    "CREATE TABLE countries (code CHAR(2) PRIMARY KEY, name VARCHAR(40))",
    "CREATE TABLE weights (id FLOAT PRIMARY KEY)",
    "CREATE TABLE later (id BIGINT PRIMARY KEY)",
];

impl Before {
    pub async fn start(servers: usize) -> anyhow::Result<Before> {
        let source = mysql_source().await?;
        let servers = LocalServer::start_all_async(&source, vec![ServerOptions::default(); servers]).await?;
        let before = Before { servers, folder: tempfile::tempdir()? };
        for (index, schema) in ["shop", "shop__2"].into_iter().take(before.servers.len()).enumerate() {
            let mut admin = before.admin(index).await?;
            admin.query_drop(format!("CREATE DATABASE {schema}")).await?;
            admin.query_drop(format!("USE {schema}")).await?;
            for table in TABLES {
                admin.query_drop(table).await?;
            }
            admin.query_drop("INSERT INTO countries VALUES ('NO', 'Norway')").await?;
            admin.query_drop("CREATE USER app IDENTIFIED BY 'app''s own'").await?;
            admin.query_drop(format!("GRANT ALL ON {schema}.* TO app")).await?;
        }
        Ok(before)
    }

    pub async fn admin(&self, index: usize) -> anyhow::Result<Conn> {
        Ok(self.servers[index].admin().connect().await?)
    }

    /// Writes a cluster file of all servers, with this after them.
    pub fn write(&self, rest: &str) -> anyhow::Result<PathBuf> {
        let mut text = "secret_file = \"cluster.secret\"\n".to_owned();
        for (server, name) in self.servers.iter().zip(["a", "b"]) {
            let (address, password) = (server.address(), server.root_password());
            fs::write(self.folder.path().join(name), password)?;
            text += &format!(
                "[servers.{name}]\naddress = \"{address}\"\nadmin_user = \"root\"\nadmin_password_file = \"{name}\"\n"
            );
        }
        let path = self.folder.path().join("cluster.toml");
        fs::write(&path, text + rest)?;
        Ok(path)
    }
}

/// A proxy before the servers of a cluster file, with these further arguments.
pub fn proxy(cluster: &Path, more: &[&str]) -> Podway {
    let cluster = cluster.to_str().expect("a path in UTF-8");
    let arguments =
        ["proxy", "--cluster", cluster, "--listen", "127.0.0.1:0", "--limit", "shutdown_deadline=5s"];
    Podway::start(&[&arguments, more].concat())
}
