//! What the cluster has before anything goes wrong: servers, a keyspace with a shard on each, tables, and somebody who may use them.

use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use mysql_async::prelude::Queryable;
use podway::local_mysql::LocalServer;

/// Servers, at first each with one shard.
pub const SERVERS: [&str; 3] = ["s0", "s1", "s2"];
/// The keyspace, and each shard's schema at first.
pub const KEYSPACE: &str = "chaos";
/// Who uses it, and their password.
pub const USER: (&str, &str) = ("app", "app's own");
const TABLES: [(&str, &str, &str); 3] = [
    ("accounts", "id", "CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)"),
    (
        "ledger",
        "account",
        "CREATE TABLE ledger (account BIGINT, id BIGINT, amount BIGINT NOT NULL, PRIMARY KEY (account, id))",
    ),
    ("lists", "id", "CREATE TABLE lists (id BIGINT PRIMARY KEY, body MEDIUMTEXT NOT NULL)"),
];

/// Makes all of it, with this binary's commands.
pub async fn furnish(
    podway: &Path,
    topology: &str,
    servers: &[Arc<LocalServer>],
    folder: &Path,
) -> anyhow::Result<()> {
    let run = async |words: &[&str]| {
        let mut command = tokio::process::Command::new(podway);
        let output = command.args(words).args(["--topology", topology]).output().await?;
        ensure!(output.status.success(), "podway {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        anyhow::Ok(())
    };
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        anyhow::Ok(path.to_string_lossy().into_owned())
    };
    let mut create = vec!["keyspace", "create", KEYSPACE, "--create-schemas"];
    for (server, name) in servers.iter().zip(SERVERS) {
        let password = file(name, server.root_password())?;
        let address = server.address();
        run(&["server", "add", name, &address, "--admin-user", "root", "--admin-password-file", &password])
            .await?;
        create.extend(["--shard", name]);
    }
    run(&create).await?;
    for server in servers {
        let mut admin = server.admin().connect().await?;
        admin.query_drop(format!("USE {KEYSPACE}")).await?;
        for (_, _, sql) in TABLES {
            admin.query_drop(sql).await?;
        }
    }
    for (table, by, _) in TABLES {
        run(&["table", "declare", &format!("{KEYSPACE}.{table}"), "--by", by]).await?;
    }
    let password = file("app.password", USER.1)?;
    let grants = ["--grant", "SELECT, INSERT, UPDATE", "--on", KEYSPACE];
    run(&[&["user", "create", USER.0, "--password-file", &password][..], &grants].concat()).await
}
