//! Privileges and roles: on every shard of a keyspace and under its name, and gone when they are taken away.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::ground::{CUSTOMERS, Ground, errno};

/// No error.
const NONE: [u16; 0] = [];

/// The numbers of errors that reading each customer gives; nothing for those that were read.
async fn read_each(conn: &mut Conn) -> Vec<u16> {
    let mut errors = Vec::new();
    for id in 1..=CUSTOMERS {
        match conn.query_drop(format!("SELECT balance FROM customers WHERE id = {id}")).await {
            Ok(()) => {}
            Err(mysql_async::Error::Server(error)) => errors.push(error.code),
            Err(error) => panic!("{error}"),
        }
    }
    errors
}

#[tokio::test]
async fn privileges_hold_on_every_shard_and_end_at_once_on_open_sessions() {
    let ground = Ground::shop("rights", 4).await;
    let mut boss = ground.boss().await;
    boss.query_drop("CREATE USER ann IDENTIFIED BY 'x'").await.unwrap();
    let denied = vec![1142; CUSTOMERS as usize];
    let mut ann = ground.connect_as("ann", "x", 1).await.unwrap();
    assert_eq!(errno(ann.query_drop("USE rights").await), 1044);

    boss.query_drop("GRANT SELECT ON rights.customers TO ann").await.unwrap();
    ann.query_drop("USE rights").await.unwrap();
    assert_eq!(read_each(&mut ann).await, NONE);
    assert_eq!(errno(ann.query_drop("SELECT * FROM ledger WHERE customer = 1").await), 1142);
    boss.query_drop("REVOKE SELECT ON rights.customers FROM ann").await.unwrap();
    let code = errno(ann.query_drop("SELECT balance FROM customers WHERE id = 1").await);
    assert!([1142, 1044].contains(&code), "{code}");

    boss.query_drop("GRANT SELECT ON rights.* TO ann").await.unwrap();
    let mut ann = ground.connect_as("ann", "x", 0).await.unwrap();
    ann.query_drop("USE rights").await.unwrap();
    assert_eq!(read_each(&mut ann).await, NONE);
    boss.query_drop("REVOKE SELECT ON rights.* FROM ann").await.unwrap();
    let errors = read_each(&mut ann).await;
    assert_eq!(errors.len(), denied.len(), "no shard answers any more: {errors:?}");

    // What MySQL reads at the login alone ends too: no connection from before serves later statements.
    for server in ground.servers() {
        let mut conn = ground.server(server).await;
        conn.query_drop("GRANT SELECT ON *.* TO ann").await.unwrap();
    }
    boss.query_drop("GRANT PROCESS ON *.* TO ann").await.unwrap();
    let mut ann = ground.connect_as("ann", "x", 0).await.unwrap();
    ann.query_drop("USE rights").await.unwrap();
    assert_eq!(read_each(&mut ann).await, NONE);
    boss.query_drop("REVOKE SELECT ON *.* FROM ann").await.unwrap();
    assert_eq!(read_each(&mut ann).await.len(), denied.len());
    let mut again = ground.connect_as("ann", "x", 0).await.unwrap();
    assert!(errno(again.query_drop("SELECT * FROM rights.customers WHERE id = 1").await) > 0);
    ground.close().await;
}

#[tokio::test]
async fn roles_are_made_granted_and_defaults_on_every_server() {
    let ground = Ground::shop("parts", 3).await;
    let mut boss = ground.boss().await;
    boss.query_drop("CREATE ROLE reader, 'writer'@'%'").await.unwrap();
    boss.query_drop("GRANT SELECT ON parts.* TO reader").await.unwrap();
    boss.query_drop("CREATE USER ann IDENTIFIED BY 'x' DEFAULT ROLE reader").await.unwrap();
    let mut ann = ground.connect_as("ann", "x", 1).await.unwrap();
    if ann.server_version() < (8, 4, 0) {
        // MySQL 8.0 does not let the members of a role into a database with an underscore in its name, as shards' schemas have.
        assert_eq!(errno(ann.query_drop("USE parts").await), 1044);
        ground.close().await;
        return;
    }
    ann.query_drop("USE parts").await.unwrap();
    assert_eq!(read_each(&mut ann).await, NONE);
    boss.query_drop("SET DEFAULT ROLE NONE TO ann").await.unwrap();
    assert_eq!(read_each(&mut ann).await.len(), CUSTOMERS as usize);
    boss.query_drop("SET DEFAULT ROLE ALL TO ann").await.unwrap();
    let mut ann = ground.connect_as("ann", "x", 1).await.unwrap();
    ann.query_drop("USE parts").await.unwrap();
    assert_eq!(read_each(&mut ann).await, NONE);
    boss.query_drop("REVOKE reader FROM ann").await.unwrap();
    assert_eq!(read_each(&mut ann).await.len(), CUSTOMERS as usize);
    boss.query_drop("DROP ROLE reader, writer").await.unwrap();
    for server in ground.servers() {
        let mut conn = ground.server(server).await;
        let left: Option<u64> = conn
            .query_first("SELECT COUNT(*) FROM mysql.user WHERE user IN ('reader', 'writer')")
            .await
            .unwrap();
        assert_eq!(left, Some(0));
    }
    ground.close().await;
}

#[tokio::test]
async fn grants_and_users_are_shown_in_clients_names_and_without_podways_secret() {
    let ground = Ground::shop("shown", 4).await;
    let mut boss = ground.boss().await;
    boss.query_drop("CREATE USER ann IDENTIFIED BY 'x'").await.unwrap();
    boss.query_drop("GRANT SELECT, INSERT ON shown.* TO ann WITH GRANT OPTION").await.unwrap();
    boss.query_drop("GRANT UPDATE (balance) ON shown.customers TO ann").await.unwrap();
    let mut ann = ground.connect_as("ann", "x", 1).await.unwrap();
    let grants: Vec<String> = ann.query("SHOW GRANTS").await.unwrap();
    let expected = [
        "GRANT USAGE ON *.* TO `ann`@`%`",
        "GRANT SELECT, INSERT ON `shown`.* TO `ann`@`%` WITH GRANT OPTION",
        "GRANT UPDATE (`balance`) ON `shown`.`customers` TO `ann`@`%`",
    ];
    assert_eq!(grants, expected);
    assert_eq!(boss.query::<String, _>("SHOW GRANTS FOR ann").await.unwrap(), expected);
    let create: Option<String> = boss.query_first("SHOW CREATE USER ann").await.unwrap();
    let create = create.unwrap();
    assert!(create.starts_with("CREATE USER `ann`@`%` IDENTIFIED WITH 'caching_sha2_password' AS '$A$"));
    assert!(!create.contains("additional_password"), "{create}");
    let attributes: Option<Option<String>> = boss
        .query_first("SELECT ATTRIBUTE FROM information_schema.USER_ATTRIBUTES WHERE USER = 'ann'")
        .await
        .unwrap();
    assert_eq!(attributes, Some(None), "the second password is no attribute that is shown");
    // What she may pass on she passes on, on every shard; what she may not, MySQL refuses.
    boss.query_drop("CREATE USER bob IDENTIFIED BY 'x'").await.unwrap();
    ann.query_drop("GRANT SELECT ON shown.* TO bob").await.unwrap();
    assert_eq!(errno(ann.query_drop("GRANT DELETE ON shown.* TO bob").await), 1044);
    let mut bob = ground.connect_as("bob", "x", 0).await.unwrap();
    bob.query_drop("USE shown").await.unwrap();
    assert_eq!(read_each(&mut bob).await, NONE);
    ground.close().await;
}
