//! Administrative commands against a topology and real servers: the session that a new user would type, every refusal with its exit code, users, and
//! a proxy that outlives its topology.

use mysql_async::prelude::Queryable;
use nix::sys::signal::Signal;

use crate::cluster::{Cluster, eventually};
use crate::podway::{Podway, connect};

const CUSTOMERS: &str = "CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR(40))";

/// Commands, their exit codes, and a part of what they say, in the cluster of [`what_is_refused_is_named_with_what_to_do`].
const REFUSALS: [(&str, i32, &str); 34] = [
    ("keyspace show shoop", 1, "did you mean shop?"),
    (
        "keyspace create other --shard a",
        1,
        "server a has no schema other; create it there, or let --create-schemas do it",
    ),
    ("keyspace create other --shard x", 1, "there is no server x"),
    ("keyspace create shop --shard a/shop", 1, "there is a keyspace shop already"),
    ("keyspace create shop --shard a=zz", 2, "is no key range"),
    ("keyspace drop shop", 1, "1"),
    ("keyspace spread shop --shard a/shop__3 --create-schemas", 1, "resharding"),
    ("server remove a", 1, "holds"),
    ("server remove z", 1, "there is no server z"),
    ("server add d nowhere:x --admin-user root --admin-password-env PATH", 2, "is no address"),
    ("server add d 127.0.0.1:1 --admin-user root", 2, "--admin-password-file"),
    (
        "server add d 127.0.0.1:1 --admin-user root --admin-password-env PATH",
        1,
        "cannot log in to 127.0.0.1:1",
    ),
    ("shard show 9", 1, "there is no shard 9; there are: 1, 2"),
    ("table declare customers --by id", 2, "KEYSPACE.TABLE"),
    ("table declare shop.customers", 2, "--by"),
    ("table declare shop.customers --reference", 1, "there is a table customers already"),
    ("table declare shop.nothing --by id", 1, "there is no table shop.nothing"),
    ("table declare shop.weights --by id", 1, "table weights"),
    ("table declare shop.keyless --by id", 1, "needs a primary key"),
    ("table declare shop.uneven --by id", 1, "is not as on server a (column id)"),
    ("table declare shop.full --by id", 1, "has rows"),
    ("table declare shop.full --by nope", 1, "has rows"),
    (
        "table declare shop.mails --by id",
        1,
        "UNIQUE KEY email (email) does not contain the sharding key (id)",
    ),
    ("table declare shop.mails --reference --unique-per-shard", 2, "--unique-per-shard"),
    ("table declare shop.full --by id --vindex crc", 2, "xxh3, hash or identity"),
    ("table forget shop.customer", 1, "did you mean customers?"),
    ("settings set proxy.lease soon", 1, "it takes"),
    ("settings set proxy.leese 5s", 1, "did you mean proxy.lease?"),
    ("user passwd nobody --password-env PATH", 1, "there is no user 'nobody'@'%'"),
    ("user create app", 2, "--password-file"),
    ("topology remove 7", 1, "there is no node 7; there are: 1"),
    ("topology remove 1", 1, "1"),
    ("apply -f /nowhere/cluster.toml", 2, "/nowhere/cluster.toml"),
    ("nonsense", 2, "unrecognized subcommand"),
];

/// A keyspace of two shards with a table on both.
async fn shop(cluster: &Cluster) {
    cluster.add_servers();
    cluster.done("keyspace create shop --shard a --shard b/shop__2 --create-schemas");
    for (index, schema) in ["shop", "shop__2"].into_iter().enumerate() {
        let mut admin = cluster.admin(index).await.expect("a login");
        admin.query_drop(format!("USE {schema}")).await.expect("a schema");
        admin.query_drop(CUSTOMERS).await.expect("a table");
    }
}

fn check_explained(cluster: &Cluster) {
    let explain = |sql: &str| cluster.run_all(&["explain", sql, "--keyspace", "shop"]);
    let ran = explain("SELECT name FROM customers ORDER BY id");
    assert!(ran.code == Some(0) && ran.printed.starts_with("way: merged\n"), "{ran:?}");
    assert!(ran.printed.contains("shard 1 on ") && ran.printed.contains("shard 2 on "), "{ran:?}");
    let ran = explain("SELECT name FROM customers FOR UPDATE");
    assert!(ran.code == Some(1) && ran.said.contains("1235"), "{ran:?}");
}

fn create_app(cluster: &Cluster) {
    let password = cluster.file("app.password", "app's own\n").expect("a file");
    let ran = cluster.run_all(&[
        "user",
        "create",
        "app",
        "--password-file",
        &password,
        "--grant",
        "SELECT, INSERT, UPDATE",
        "--on",
        "shop",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn a_new_cluster_is_a_handful_of_commands() {
    let cluster = Cluster::start(&[&[], &[]]).await.unwrap();
    shop(&cluster).await;
    let declared = cluster.done("table declare shop.customers --by id");
    assert_eq!(declared, "table shop.customers declared sharded by (id) through xxh3");
    create_app(&cluster);
    let mut proxy = cluster.proxy();
    let address = proxy.address();
    let mut conn = connect(address, "app", "app's own", "shop").await.unwrap();
    for id in 1..=20 {
        conn.exec_drop("INSERT INTO customers VALUES (?, 'somebody')", (id,)).await.unwrap();
    }
    let name: Option<String> = conn.query_first("SELECT name FROM customers WHERE id = 7").await.unwrap();
    assert_eq!(name.as_deref(), Some("somebody"));
    let mut counts = Vec::new();
    for (index, schema) in ["shop", "shop__2"].into_iter().enumerate() {
        let sql = format!("SELECT COUNT(*) FROM {schema}.customers");
        counts.push(cluster.admin(index).await.unwrap().query_first::<u64, _>(sql).await.unwrap().unwrap());
    }
    assert!(counts.iter().sum::<u64>() == 20 && counts.iter().all(|count| *count > 0), "{counts:?}");

    let status = cluster.json("status");
    assert_eq!(status["alarms"].as_array().map(Vec::len), Some(0), "{status}");
    assert_eq!(status["shards"][1]["ranges"][0], "80-");
    assert_eq!(status["servers"][0]["health"], "up");
    assert!(status["shards"][1]["size"]["tables"].as_u64() > Some(0), "{status}");
    assert!(status["shards"][1]["size"]["bytes"].as_u64() > Some(0), "{status}");
    assert_eq!(status["proxies"][0]["address"], address.to_string());
    let text = eventually("the proxy reports", async || match cluster.done("status") {
        text if text.contains("newest") => Ok(text),
        text => Err(text),
    })
    .await;
    for expected in ["All is well", "shop (1 declared table)", "-80", "80-", "leader"] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    for list in [
        "keyspace list",
        "shard list shop",
        "server list",
        "table list",
        "user list",
        "proxy list",
        "topology members",
        "settings list",
        "log",
    ] {
        assert!(!cluster.json(list).as_array().unwrap().is_empty(), "{list}");
    }
    check_explained(&cluster);
    let log = cluster.json("log --last 1");
    assert!(log[0]["what"].as_str().unwrap().contains("registered"), "{log}");

    // The proxy leaves in order.
    conn.disconnect().await.unwrap();
    let ended = proxy.end(Signal::SIGTERM);
    assert!(ended.status.success(), "{}", ended.said);
    let held = cluster
        .json("proxy list")
        .as_array()
        .unwrap()
        .iter()
        .filter(|proxy| proxy["lease"] == "held")
        .count();
    assert_eq!(held, 0, "{}", cluster.done("proxy list"));
}

#[tokio::test]
async fn what_is_refused_is_named_with_what_to_do() {
    let cluster =
        Cluster::start(&[&[], &[], &["--sql-mode=ANSI_QUOTES", "--max-allowed-packet=8M"]]).await.unwrap();
    for (index, name) in ["a", "b"].into_iter().enumerate() {
        assert_eq!(cluster.add_server(index, name).code, Some(0));
    }
    let other = cluster.add_server(2, "c");
    assert_eq!(other.code, Some(1));
    for expected in [
        "server c is not added",
        "sql_mode is \"ANSI_QUOTES\"",
        "max_allowed_packet is \"8388608\"",
        "SET PERSIST",
    ] {
        assert!(other.said.contains(expected), "{expected:?} is not in {}", other.said);
    }
    let again = cluster.add_server(0, "copy");
    assert!(again.code == Some(1) && again.said.contains("it has the server_uuid of a"), "{again:?}");

    cluster.done("keyspace create shop --shard a --shard b/shop__2 --create-schemas");
    for (index, schema) in ["shop", "shop__2"].into_iter().enumerate() {
        let mut admin = cluster.admin(index).await.unwrap();
        admin.query_drop(format!("USE {schema}")).await.unwrap();
        for sql in [CUSTOMERS, "CREATE TABLE weights (id FLOAT PRIMARY KEY)", "CREATE TABLE keyless (id INT)"]
        {
            admin.query_drop(sql).await.unwrap();
        }
        let columns = if index == 0 { "id INT PRIMARY KEY" } else { "id BIGINT PRIMARY KEY" };
        admin.query_drop(format!("CREATE TABLE uneven ({columns})")).await.unwrap();
        admin.query_drop("CREATE TABLE full (id INT PRIMARY KEY)").await.unwrap();
        admin.query_drop("CREATE TABLE mails (id INT PRIMARY KEY, email VARCHAR(40) UNIQUE)").await.unwrap();
    }
    cluster.admin(1).await.unwrap().query_drop("INSERT INTO shop__2.full VALUES (1)").await.unwrap();
    cluster.done("table declare shop.customers --by id");

    for (words, code, message) in REFUSALS {
        let ran = cluster.run(words);
        assert_eq!(ran.code, Some(code), "podway {words}: {ran:?}");
        assert!(ran.said.contains(message), "podway {words}: {message:?} is not in {}", ran.said);
        assert_eq!(ran.printed, "", "podway {words}");
    }
    cluster.done("table declare shop.full --by id --rows-in-place");
    cluster.done("table declare shop.mails --by id --unique-per-shard");
    let nobody = Podway::run(&["status", "--topology", "127.0.0.1:1"]);
    assert!(
        nobody.code == Some(1) && nobody.said.contains("is `podway topology` running at 127.0.0.1:1?"),
        "{nobody:?}"
    );
}

#[tokio::test]
async fn users_are_made_changed_and_dropped_live() {
    let cluster = Cluster::start(&[&[], &[]]).await.unwrap();
    shop(&cluster).await;
    let mut proxy = cluster.proxy();
    let address = proxy.address();
    assert!(connect(address, "app", "app's own", "shop").await.is_err(), "nobody is let in yet");
    create_app(&cluster);
    let login = async |password: &'static str| {
        eventually("a login", async || connect(address, "app", password, "shop").await).await
    };
    let mut conn = login("app's own").await;
    let user: Option<String> = conn.query_first("SELECT CURRENT_USER()").await.unwrap();
    assert_eq!(user.as_deref(), Some("app@%"));
    assert!(conn.query_drop("DROP TABLE customers").await.is_err(), "that was not granted");

    let password = cluster.file("new.password", "another").unwrap();
    cluster.done(&format!("user passwd app --password-file {password}"));
    login("another").await;
    assert!(connect(address, "app", "app's own", "shop").await.is_err());
    for server in &cluster.servers {
        let direct = server.address().parse().unwrap();
        assert!(connect(direct, "app", "another", "information_schema").await.is_ok());
    }

    // An account that a server has is adopted with the password that it has.
    let mut admin = cluster.admin(0).await.unwrap();
    admin.query_drop("CREATE USER report IDENTIFIED BY 'its own'").await.unwrap();
    let refused = cluster.run(&format!("user create report --password-file {password}"));
    assert!(refused.code == Some(1) && refused.said.contains("podway user adopt"), "{refused:?}");
    assert_eq!(cluster.done("user adopt report --grant SELECT --on shop"), "let in: 'report'@'%'");
    eventually("a login", async || connect(address, "report", "its own", "shop").await).await;

    cluster.done("user drop app");
    eventually("no login", async || match connect(address, "app", "another", "shop").await {
        Ok(_) => Err("it still gets in"),
        Err(_) => Ok(()),
    })
    .await;
    let left: Option<u64> =
        admin.query_first("SELECT COUNT(*) FROM mysql.user WHERE user = 'app'").await.unwrap();
    assert_eq!(left, Some(0));
}

#[tokio::test]
async fn a_proxy_serves_without_its_topology_and_catches_up() {
    let mut cluster = Cluster::start(&[&[], &[]]).await.unwrap();
    shop(&cluster).await;
    cluster.done("table declare shop.customers --by id");
    create_app(&cluster);
    let mut proxy = cluster.proxy();
    let address = proxy.address();
    let mut conn = connect(address, "app", "app's own", "shop").await.unwrap();
    conn.query_drop("INSERT INTO customers VALUES (1, 'before')").await.unwrap();

    let stopped = cluster.node.end(Signal::SIGTERM);
    assert!(stopped.status.success(), "{}", stopped.said);
    conn.query_drop("INSERT INTO customers VALUES (2, 'meanwhile')").await.unwrap();
    let mut fresh = connect(address, "app", "app's own", "shop").await.unwrap();
    let name: Option<String> = fresh.query_first("SELECT name FROM customers WHERE id = 2").await.unwrap();
    assert_eq!(name.as_deref(), Some("meanwhile"));

    cluster.restart_node();
    let password = cluster.file("late.password", "late").unwrap();
    let made =
        cluster.run_all(&["user", "create", "late", "--password-file", &password, "--grant", "SELECT"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    eventually("the change reaches the proxy", async || connect(address, "late", "late", "shop").await).await;
    drop((conn, fresh));
    let said = proxy.end(Signal::SIGTERM).said;
    for expected in ["lost the topology; serving from the last map", "the topology is back"] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
}

#[tokio::test]
async fn a_proxy_that_was_shut_out_goes_on_as_another_incarnation() {
    let cluster = Cluster::start(&[&[], &[]]).await.unwrap();
    shop(&cluster).await;
    create_app(&cluster);
    cluster.done("settings set proxy.lease 3s");
    let mut proxy = cluster.proxy();
    let address = proxy.address();
    let held = || {
        let list = cluster.json("proxy list");
        let held = list.as_array().unwrap().iter().filter(|proxy| proxy["lease"] == "held").cloned();
        held.map(|proxy| proxy["incarnation"].as_u64().unwrap()).collect::<Vec<u64>>()
    };
    let first = held();
    assert_eq!(first.len(), 1, "{}", cluster.done("proxy list"));
    proxy.signal(Signal::SIGSTOP);
    eventually(
        "the lease ends",
        async || if held().is_empty() { Ok(()) } else { Err(cluster.done("proxy list")) },
    )
    .await;
    let alarms = cluster.json("status")["alarms"].to_string();
    assert!(alarms.contains("is not heard any more"), "{alarms}");
    proxy.signal(Signal::SIGCONT);
    let second = eventually("another lease", async || match held() {
        held if held.is_empty() => Err(cluster.done("proxy list")),
        held => Ok(held),
    })
    .await;
    assert!(second[0] > first[0], "{first:?} {second:?}");
    let mut conn = connect(address, "app", "app's own", "shop").await.unwrap();
    let rows: Option<u64> = conn.query_first("SELECT 1").await.unwrap();
    assert_eq!(rows, Some(1));
    let said = proxy.end(Signal::SIGTERM).said;
    assert!(said.contains("was shut out; this proxy goes on as"), "{said}");
}

#[tokio::test]
async fn completions_and_help_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = Podway::run(&["completion", shell]);
        assert!(
            ran.code == Some(0) && ran.printed.contains("keyspace") && ran.printed.contains("rows-in-place"),
            "{shell}"
        );
    }
    for command in [
        "topology", "proxy", "keyspace", "server", "table", "user", "settings", "apply", "diff", "export",
        "status", "watch", "log",
    ] {
        let ran = Podway::run(&[command, "--help"]);
        assert!(ran.code == Some(0) && ran.printed.contains("Examples:"), "{command}: {}", ran.printed);
    }
}
