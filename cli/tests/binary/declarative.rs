//! The cluster as a file: what differs is said, applied once, and then nothing differs; what is exported is what was applied.

use mysql_async::prelude::Queryable;

use crate::cluster::Cluster;

/// A file for two servers and a keyspace over them.
fn cluster_file(cluster: &Cluster) -> String {
    let mut text = String::new();
    for (index, name) in ["a", "b"].into_iter().enumerate() {
        let address = cluster.servers[index].address();
        text += &format!(
            "[servers.{name}]\naddress = \"{address}\"\nadmin_user = \"root\"\nadmin_password_file = \"{index}.password\"\n"
        );
    }
    text + r#"
[keyspaces.shop]
shards = [{ server = "a", ranges = ["-40"] }, { server = "b", schema = "shop__2", ranges = ["40-"] }]
[keyspaces.shop.tables]
customers = { shard_by = ["id"] }
countries = { reference = true }
[users]
adopt = ["app"]
grant = "SELECT"
[settings]
"proxy.lease" = "12s"
"#
}

#[tokio::test]
async fn a_file_is_applied_once_and_exported_as_it_was() {
    let cluster = Cluster::start(&[&[], &[]]).await.unwrap();
    for (index, schema) in ["shop", "shop__2"].into_iter().enumerate() {
        let mut admin = cluster.admin(index).await.unwrap();
        for sql in [
            format!("CREATE DATABASE {schema}"),
            format!("CREATE TABLE {schema}.customers (id BIGINT PRIMARY KEY, name VARCHAR(40))"),
            format!("CREATE TABLE {schema}.countries (code CHAR(2) PRIMARY KEY)"),
            "CREATE USER app IDENTIFIED BY 'app''s own'".to_owned(),
        ] {
            admin.query_drop(sql).await.unwrap();
        }
    }
    let path = cluster.file("cluster.toml", &cluster_file(&cluster)).unwrap();

    let planned = cluster.done(&format!("apply -f {path} --dry-run"));
    for expected in [
        "+ server a",
        "+ server b",
        "+ keyspace shop on a/shop, b/shop__2",
        "+ table shop.customers sharded by (id)",
        "~ setting proxy.lease = 12s",
    ] {
        assert!(planned.contains(expected), "{expected:?} is not in {planned}");
    }
    assert!(cluster.json("server list").as_array().unwrap().is_empty(), "a dry run changes nothing");
    cluster.done(&format!("apply -f {path}"));
    assert_eq!(cluster.done(&format!("apply -f {path}")), "nothing to do: the cluster is as the file says");
    assert_eq!(cluster.done(&format!("diff -f {path} --prune")), "nothing differs");
    assert_eq!(cluster.json(&format!("diff -f {path}"))["steps"].as_array().map(Vec::len), Some(0));
    assert_eq!(cluster.json("shard list")[0]["ranges"][0], "-40");
    assert_eq!(cluster.json("user list")[0]["user"], "'app'@'%'");

    // What is exported changes nothing when it is applied, and is exported the same again.
    let exported = cluster.done("export");
    let copy = cluster.file("exported.toml", &exported).unwrap();
    assert_eq!(cluster.done(&format!("diff -f {copy} --prune")), "nothing differs");
    cluster.done(&format!("apply -f {copy}"));
    assert_eq!(cluster.done("export"), exported);
    let passwords = cluster.servers.iter().any(|server| exported.contains(server.root_password()));
    assert!(!passwords, "no password leaves: {exported}");

    // What the file no longer names goes only when it is asked for.
    let less = exported.replace("[keyspaces.shop.tables.countries]\nreference = true\n", "");
    assert_ne!(less, exported);
    let less = cluster.file("less.toml", &less).unwrap();
    assert_eq!(cluster.done(&format!("diff -f {less}")), "nothing differs");
    assert_eq!(cluster.done(&format!("apply -f {less} --prune")), "- table shop.countries");
    assert_eq!(cluster.json("table list").as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_file_that_would_move_rows_is_refused_as_a_whole() {
    let cluster = Cluster::start(&[&[], &[]]).await.unwrap();
    cluster.add_servers();
    cluster.done("keyspace create shop --shard a --shard b/shop__2 --create-schemas");
    for (index, schema) in ["shop", "shop__2"].into_iter().enumerate() {
        let sql = format!("CREATE TABLE {schema}.customers (id BIGINT PRIMARY KEY, other BIGINT NOT NULL)");
        cluster.admin(index).await.unwrap().query_drop(sql).await.unwrap();
    }
    cluster.done("table declare shop.customers --by id");
    let before = cluster.json("status")["revision"].clone();
    let exported = cluster.done("export");
    let cases = [
        (
            exported.replace("shop__2", "shop__3"),
            "its shards are a/shop, b/shop__2, and the file says a/shop, b/shop__3",
        ),
        (
            exported.replace("\"-80\"", "\"-40\"").replace("\"80-\"", "\"40-\""),
            "has the keys -80, and the file says -40",
        ),
        (
            exported.replace("shard_by = [\"id\"]", "shard_by = [\"other\"]"),
            "is declared sharded by (id), and the file says sharded by (other)",
        ),
    ];
    for (text, expected) in cases {
        let path =
            cluster.file("other.toml", &format!("{text}\n[settings]\n\"proxy.lease\" = \"20s\"\n")).unwrap();
        let refused = cluster.run(&format!("apply -f {path}"));
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.said.contains(expected), "{expected:?} is not in {}", refused.said);
    }
    assert_eq!(cluster.json("status")["revision"], before, "nothing was changed");
}
