//! `podway proxy`: before servers that were there, with accounts that were theirs, and with a file that changes.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use nix::sys::signal::Signal;

use crate::before::{Before, proxy};
use crate::podway::{connect, errno};

const SHOP: &str = r#"
[keyspaces.shop]
shards = [{ server = "a" }, { server = "b", schema = "shop__2" }]
[keyspaces.shop.tables]
customers = { shard_by = ["id"] }
countries = { reference = true }
"#;

#[tokio::test]
async fn existing_servers_are_served_with_their_own_accounts() {
    let before = Before::start(2).await.unwrap();
    let path = before.write(SHOP).unwrap();
    let mut podway = proxy(&path, &[]);
    let address = podway.address();
    let mut conn = connect(address, "app", "app's own", "shop").await.unwrap_or_else(|error| {
        panic!("{error}; printed {}", podway.printed);
    });
    for id in 1..=20 {
        conn.exec_drop("INSERT INTO customers VALUES (?, ?)", (id, format!("customer {id}"))).await.unwrap();
    }
    let name: Option<String> = conn.query_first("SELECT name FROM customers WHERE id = 7").await.unwrap();
    assert_eq!(name.as_deref(), Some("customer 7"));
    let mut counts = Vec::new();
    for (index, schema) in ["shop", "shop__2"].into_iter().enumerate() {
        let sql = format!("SELECT COUNT(*) FROM {schema}.customers");
        counts.push(before.admin(index).await.unwrap().query_first::<u64, _>(sql).await.unwrap().unwrap());
    }
    assert!(counts.iter().sum::<u64>() == 20 && counts.iter().all(|count| *count > 0), "{counts:?}");

    let direct = format!("127.0.0.1:{}", before.servers[1].port()).parse().unwrap();
    assert!(connect(direct, "app", "app's own", "shop__2").await.is_ok(), "direct clients go on");
    assert!(connect(address, "app", "wrong", "shop").await.is_err());

    // A changed file becomes a newer map: the table is no longer at home.
    conn.query_drop("INSERT INTO later VALUES (1)").await.unwrap();
    assert!(conn.query_drop("SELECT COUNT(*) FROM later").await.is_ok(), "whole at home");
    before.write(&format!("{SHOP}later = {{ shard_by = [\"id\"] }}\n")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match conn.query_drop("SELECT id FROM later FOR UPDATE").await {
            Err(error) if errno(&error) == Some(1235) => break,
            _ => assert!(Instant::now() < deadline, "the changed file is not taken over"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    conn.disconnect().await.unwrap();
    let ended = podway.end(Signal::SIGTERM);
    assert!(ended.status.success(), "{}: {}", ended.status, ended.said);

    // A second start finds the accounts ready.
    let mut again = proxy(&path, &[]);
    let mut conn = connect(again.address(), "app", "app's own", "shop").await.unwrap();
    assert!(again.printed.contains("user 'app'@'%': ready on a, ready on b"), "{}", again.printed);
    let name: Option<String> = conn.query_first("SELECT name FROM customers WHERE id = 7").await.unwrap();
    assert_eq!(name.as_deref(), Some("customer 7"));
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_by_name() {
    let before = Before::start(2).await.unwrap();
    let cases = [
        (format!("{SHOP}weights = {{ shard_by = [\"id\"] }}\n"), "server a: table weights"),
        (format!("{SHOP}nothing = {{ shard_by = [\"id\"] }}\n"), "server a: there is no table shop.nothing"),
        (SHOP.replace("shop__2", "shop__3"), "server b: it has no schema shop__3"),
    ];
    for (rest, expected) in cases {
        let refused = proxy(&before.write(&rest).unwrap(), &[]).wait();
        assert!(!refused.status.success() && refused.said.contains(expected), "{expected}: {}", refused.said);
    }
    let mut admin = before.admin(1).await.unwrap();
    admin.query_drop("ALTER TABLE shop__2.customers ADD COLUMN more INT").await.unwrap();
    let refused = proxy(&before.write(SHOP).unwrap(), &[]).wait();
    let expected = "server b: table shop__2.customers is not as on server a (2 columns and 3)";
    assert!(refused.said.contains(expected), "{}", refused.said);
}

#[tokio::test]
async fn one_server_is_served_as_it_is() {
    let before = Before::start(1).await.unwrap();
    let mut podway = proxy(&before.write("[users]\nadopt = [\"app\", \"nobody\"]\n").unwrap(), &[]);
    let mut conn = connect(podway.address(), "app", "app's own", "shop").await.unwrap();
    assert!(podway.printed.contains("user nobody: not adopted"), "{}", podway.printed);
    conn.query_drop("INSERT INTO customers VALUES (1, 'a'), (2, 'b')").await.unwrap();
    let rows: Vec<(u64, String)> = conn.query("SELECT * FROM customers ORDER BY id DESC").await.unwrap();
    assert_eq!(rows, [(2, "b".to_owned()), (1, "a".to_owned())]);
    podway.signal(Signal::SIGHUP);
    assert_eq!(conn.query_first::<u64, _>("SELECT COUNT(*) FROM customers").await.unwrap(), Some(2));
    drop(conn);
    assert!(podway.end(Signal::SIGTERM).status.success());
}

#[tokio::test]
async fn accounts_that_would_come_to_harm_are_left_alone() {
    let before = Before::start(1).await.unwrap();
    let mut admin = before.admin(0).await.unwrap();
    for sql in [
        "CREATE USER bare",
        "CREATE USER rotating IDENTIFIED BY 'old'",
        "ALTER USER rotating IDENTIFIED BY 'new' RETAIN CURRENT PASSWORD",
        "CREATE USER far@'192.0.2.%' IDENTIFIED BY 'away'",
        "CREATE ROLE clerk",
        "CREATE USER safe IDENTIFIED BY 'under TLS' REQUIRE SSL",
        "CREATE USER carded IDENTIFIED BY 'with a card' REQUIRE X509",
    ] {
        admin.query_drop(sql).await.unwrap();
    }
    let mut podway = proxy(&before.write("").unwrap(), &[]);
    let address = podway.address();
    let cases = [
        ("user 'app'@'%': adopted on a", true),
        ("user 'bare'@'%': not adopted: it has no password", true),
        ("user 'rotating'@'%': not adopted: on server a it has a second password", true),
        ("user 'far'@'192.0.2.%': not served: nobody gets in as it from here on a", true),
        ("clerk", false),
        ("user 'safe'@'%': not adopted: on server a it requires TLS (REQUIRE SSL)", true),
        ("carded", false),
    ];
    for (line, is_there) in cases {
        assert_eq!(podway.printed.contains(line), is_there, "{line}: {}", podway.printed);
    }
    let changed: Option<u64> = admin
        .query_first(
            "SELECT COUNT(*) FROM mysql.user WHERE user IN ('safe', 'carded') AND user_attributes IS NOT NULL",
        )
        .await
        .unwrap();
    assert_eq!(changed, Some(0), "an account that is not adopted has no second password");
    let direct = before.servers[0].address().parse().unwrap();
    for (user, password) in [("bare", ""), ("rotating", "old"), ("rotating", "new"), ("app", "app's own")] {
        let database = if user == "app" { "shop" } else { "information_schema" };
        assert!(connect(direct, user, password, database).await.is_ok(), "{user} gets in directly as before");
        let through = connect(address, user, password, database).await;
        assert_eq!(through.is_ok(), user == "app", "{user} through the proxy");
    }
}
