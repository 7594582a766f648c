//! What is refused: by MySQL on the first server, so that nothing has happened anywhere, and by Podway itself.

use mysql_async::prelude::Queryable;
use podway_model::{Account, transaction_account};
use podway_topology_api::{AccountCommand, Command, OperationKind, OperationState};

use crate::ground::{Ground, errno, message};

#[tokio::test]
async fn what_the_first_server_refuses_has_happened_nowhere() {
    let ground = Ground::shop("first", 2).await;
    let mut boss = ground.boss().await;
    boss.query_drop("CREATE USER ann IDENTIFIED BY 'x'").await.unwrap();
    let mut ann = ground.connect_as("ann", "x", 0).await.unwrap();
    let cases = [
        ("CREATE USER eve IDENTIFIED BY 'hunter2'", 1227),
        ("DROP USER boss", 1227),
        ("ALTER USER boss IDENTIFIED BY 'hunter2'", 1227),
        ("SET PASSWORD FOR boss = 'hunter2'", 1044),
        ("RENAME USER ann TO eve", 1227),
        ("CREATE ROLE r", 1227),
        ("GRANT SELECT ON first.* TO ann", 1044),
        ("GRANT PROCESS ON *.* TO ann", 1045),
        ("REVOKE ALL, GRANT OPTION FROM boss", 1227),
        ("ALTER USER ann COMMENT 'x'", 1227),
        ("SET PASSWORD = 'new' REPLACE 'hunter2'", 3891),
        ("FLUSH PRIVILEGES", 1227),
    ];
    for (sql, expected) in cases {
        assert_eq!(errno(ann.query_drop(sql).await), expected, "{sql}");
    }
    assert_eq!(errno(boss.query_drop("CREATE USER ann IDENTIFIED BY 'y'").await), 1396);
    assert_eq!(errno(boss.query_drop("DROP USER nobody").await), 1396);
    assert_eq!(errno(boss.query_drop("GRANT SELECT ON first.customers TO nobody").await), 1410);
    assert_eq!(errno(boss.query_drop("GRANT SELECT (nothing) ON first.customers TO ann").await), 1054);
    assert_eq!(errno(boss.query_drop("CREATE USER x IDENTIFIED BY").await), 1064);
    boss.query_drop("DROP USER IF EXISTS nobody").await.unwrap();
    let mut again = ground.connect_as("ann", "x", 1).await.unwrap();
    again.query_drop("SELECT 1").await.unwrap();
    for server in ground.servers() {
        let mut conn = ground.server(server).await;
        let made: Option<u64> =
            conn.query_first("SELECT COUNT(*) FROM mysql.user WHERE user IN ('eve', 'r')").await.unwrap();
        assert_eq!(made, Some(0));
    }
    // The record says that it was refused, and has no password.
    let view = ground.view().await;
    assert!(!format!("{view:?}").contains("hunter2"));
    let refused = view.operations.iter().find(|operation| {
        matches!(&operation.kind, OperationKind::Users { shown, .. } if &**shown == "CREATE USER eve IDENTIFIED BY <secret>")
    });
    assert_eq!(refused.unwrap().state, OperationState::Refused);
    ground.close().await;
}

#[tokio::test]
async fn what_would_reach_around_podway_is_refused_to_everybody() {
    let ground = Ground::shop("around", 2).await;
    let mut boss = ground.boss().await;
    boss.query_drop("CREATE USER ann IDENTIFIED BY 'x'").await.unwrap();
    let cases = [
        ("ALTER USER ann DISCARD OLD PASSWORD", 1235, "DISCARD OLD PASSWORD"),
        ("ALTER USER ann IDENTIFIED BY 'y' RETAIN CURRENT PASSWORD", 1235, "RETAIN CURRENT PASSWORD"),
        ("GRANT ALL ON *.* TO ann", 1235, "GRANT ALL ON *.*"),
        ("GRANT SELECT ON *.* TO ann", 1235, "GRANT SELECT ON *.*"),
        ("GRANT SELECT ON _podway.* TO ann", 1044, "_podway"),
        ("GRANT SELECT ON `%podway`.* TO ann", 1235, "wildcards"),
        ("GRANT INSERT ON mysql.* TO ann", 1235, "mysql.*"),
        ("GRANT SELECT ON `around__1`.* TO ann", 1049, "around__1"),
        ("GRANT root TO ann", 1227, "root"),
        ("ALTER USER root IDENTIFIED BY 'y'", 1227, "root"),
        ("DROP USER 'root'@'localhost'", 1227, "root"),
        ("RENAME USER ann TO 'root'@'10.0.0.1'", 1227, "root"),
        ("CREATE USER '_podway'@'10.%' IDENTIFIED BY 'y'", 1227, "Podway's own"),
        ("ALTER USER _podway IDENTIFIED BY 'y'", 1227, "Podway's own"),
        ("DROP USER _podway", 1227, "Podway's own"),
        ("RENAME USER ann TO _podway", 1227, "Podway's own"),
        ("GRANT _podway TO ann", 1227, "Podway's own"),
        ("CREATE USER eve", 1235, "without a password"),
        ("CREATE USER eve IDENTIFIED BY RANDOM PASSWORD", 1235, "RANDOM PASSWORD"),
        ("ALTER USER ann REQUIRE X509", 1235, "certificate"),
    ];
    for (sql, expected, what) in cases {
        let error = boss.query_drop(sql).await;
        let text = message(&error);
        assert_eq!(errno(error), expected, "{sql}: {text}");
        assert!(text.contains(what), "{sql}: {text}");
    }
    // Nor is it anybody's to log in as, whatever the topology is told.
    let account = ground.keyspace.pod.map().accounts[0].as_ref().clone();
    let own = Command::Account(AccountCommand::Adopt(Account { name: transaction_account(), ..account }));
    assert!(ground.proposer.propose(own).await.unwrap_err().to_string().contains("Podway's own"));
    let denied = ground.connect_as("_podway", "x", 0).await;
    assert_eq!(errno(denied), 1045);
    // Podway's password is as it was.
    ground.connect_as("ann", "x", 0).await.unwrap().query_drop("SELECT 1").await.unwrap();
    ground.close().await;
}
