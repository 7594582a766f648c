//! Users made, changed, renamed, locked and dropped through one proxy, as another proxy and every server see it.

use mysql_async::prelude::Queryable;

use crate::ground::{Ground, errno};

/// An account's own string on each server, and whether it has a second password there.
async fn strings(ground: &Ground, user: &str) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for server in ground.servers() {
        let mut conn = ground.server(server).await;
        let sql = "SELECT HEX(authentication_string), JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password') \
                   FROM mysql.user WHERE user = ?";
        let row: Option<(String, Option<bool>)> = conn.exec_first(sql, (user,)).await.unwrap();
        all.extend(row.map(|(string, second)| (string, second.unwrap_or_default())));
    }
    all
}

/// How many of Podway's procedures a user may call on each server.
async fn calls(ground: &Ground, user: &str) -> Vec<u64> {
    let mut all = Vec::new();
    for server in ground.servers() {
        let mut conn = ground.server(server).await;
        let sql = "SELECT COUNT(*) FROM mysql.procs_priv WHERE Db = '_podway' AND User = ? AND Proc_priv = 'Execute'";
        all.extend(conn.exec_first::<u64, _, _>(sql, (user,)).await.unwrap());
    }
    all
}

/// Whether the user gets in through the first proxy, through the second, and on each server beside them.
async fn gets_in(ground: &Ground, user: &str, password: &str) -> Vec<bool> {
    let mut all = Vec::new();
    for options in ground.ways_in(user, password) {
        all.push(mysql_async::Conn::new(options).await.is_ok());
    }
    all
}

#[tokio::test]
async fn a_user_lives_alike_on_every_server_and_behind_every_proxy() {
    let ground = Ground::shop("lives", 3).await;
    let mut boss = ground.boss().await;
    boss.query_drop("CREATE USER ann IDENTIFIED BY 'one' COMMENT 'hers'").await.unwrap();
    let made = strings(&ground, "ann").await;
    assert_eq!(made.len(), ground.servers().len());
    assert!(made.iter().all(|one| *one == made[0] && one.1), "one string, and Podway's beside it: {made:?}");
    assert!(gets_in(&ground, "ann", "one").await.iter().all(|is_in| *is_in));
    assert!(gets_in(&ground, "ann", "other").await.iter().all(|is_in| !is_in));

    boss.query_drop("GRANT SELECT, INSERT ON lives.* TO ann").await.unwrap();
    let mut ann = ground.connect_as("ann", "one", 1).await.unwrap();
    ann.query_drop("USE lives").await.unwrap();
    for id in 1..=20 {
        ann.query_drop(format!("INSERT INTO customers (id) VALUES ({})", 1_000 + id)).await.unwrap();
        let seen: Option<u64> = ann
            .query_first(format!("SELECT COUNT(*) FROM customers WHERE id = {}", 1_000 + id))
            .await
            .unwrap();
        assert_eq!(seen, Some(1), "on whichever shard it is");
    }

    // Her own password, by herself: she may, and everything follows.
    ann.query_drop("SET PASSWORD = 'two' REPLACE 'one'").await.unwrap();
    let changed = strings(&ground, "ann").await;
    assert!(changed.iter().all(|one| *one == changed[0] && one.1 && one.0 != made[0].0), "{changed:?}");
    assert!(gets_in(&ground, "ann", "one").await.iter().all(|is_in| !is_in), "the old one gets in nowhere");
    assert!(gets_in(&ground, "ann", "two").await.iter().all(|is_in| *is_in));
    ann.query_drop("ALTER USER CURRENT_USER() IDENTIFIED BY 'three'").await.unwrap();
    boss.query_drop("ALTER USER ann IDENTIFIED BY 'four' ACCOUNT UNLOCK").await.unwrap();
    assert!(gets_in(&ground, "ann", "four").await.iter().all(|is_in| *is_in));
    assert_eq!(errno(ann.query_drop("ALTER USER ann ACCOUNT LOCK").await), 1227);

    boss.query_drop("ALTER USER ann ACCOUNT LOCK").await.unwrap();
    for options in ground.ways_in("ann", "four") {
        assert_eq!(errno(mysql_async::Conn::new(options).await), 3118);
    }
    boss.query_drop("ALTER USER ann ACCOUNT UNLOCK").await.unwrap();

    boss.query_drop("RENAME USER ann TO 'eve'@'%'").await.unwrap();
    assert!(gets_in(&ground, "ann", "four").await.iter().all(|is_in| !is_in));
    assert!(gets_in(&ground, "eve", "four").await.iter().all(|is_in| *is_in));
    let mut eve = ground.connect_as("eve", "four", 0).await.unwrap();
    let user: Option<String> = eve.query_first("SELECT CURRENT_USER()").await.unwrap();
    assert_eq!(user.as_deref(), Some("eve@%"));
    eve.query_drop("USE lives").await.unwrap();
    for id in 1..=20 {
        eve.query_drop(format!("SELECT * FROM customers WHERE id = {id}")).await.unwrap();
    }

    boss.query_drop("DROP USER eve").await.unwrap();
    for options in ground.ways_in("eve", "four") {
        // MySQL itself feigns some authentication plugin to whom it does not know, also one that this client lacks.
        match mysql_async::Conn::new(options).await {
            Err(mysql_async::Error::Driver(feigned)) => {
                assert!(feigned.to_string().contains("plugin"), "{feigned}")
            }
            answered => assert_eq!(errno(answered), 1045),
        }
    }
    assert!(strings(&ground, "eve").await.is_empty());
    // Whoever gets the name next is somebody else.
    boss.query_drop("CREATE USER eve IDENTIFIED BY 'five'").await.unwrap();
    let mut other = ground.connect_as("eve", "five", 0).await.unwrap();
    assert_eq!(errno(other.query_drop("SELECT * FROM lives.customers WHERE id = 1").await), 1142);
    ground.close().await;
}

#[tokio::test]
async fn statements_that_are_prepared_reach_every_server_too() {
    let ground = Ground::shop("bound", 2).await;
    let mut boss = ground.boss().await;
    let statement = boss.prep("CREATE USER pre IDENTIFIED BY 'one'").await.unwrap();
    boss.exec_drop(&statement, ()).await.unwrap();
    assert_eq!(strings(&ground, "pre").await.len(), ground.servers().len());
    assert!(gets_in(&ground, "pre", "one").await.iter().all(|is_in| *is_in));
    ground.close().await;
}

#[tokio::test]
async fn a_password_policy_counts_for_users_and_not_for_podways_own_password() {
    let ground = Ground::shop("history", 2).await;
    let mut boss = ground.boss().await;
    boss.query_drop("CREATE USER old IDENTIFIED BY 'one' PASSWORD HISTORY 3").await.unwrap();
    boss.query_drop("ALTER USER old IDENTIFIED BY 'two'").await.unwrap();
    assert_eq!(errno(boss.query_drop("ALTER USER old IDENTIFIED BY 'one'").await), 3638);
    assert_eq!(gets_in(&ground, "old", "two").await, [true; 4]);
    // Podway's password for the new name is another; for the old one it is the one that was used before.
    boss.query_drop("RENAME USER old TO new").await.unwrap();
    boss.query_drop("RENAME USER new TO old").await.unwrap();
    assert_eq!(gets_in(&ground, "old", "two").await, [true; 4]);
    let mut conn = ground.server(0).await;
    let sql = "SELECT Password_reuse_history FROM mysql.user WHERE user = 'old'";
    assert_eq!(conn.query_first::<u32, _>(sql).await.unwrap(), Some(3));
    ground.close().await;
}

#[tokio::test]
async fn every_user_may_call_the_procedures_that_decide_transactions() {
    let ground = Ground::shop("calls", 2).await;
    let mut boss = ground.boss().await;
    boss.query_drop("CREATE USER ann IDENTIFIED BY 'one'").await.unwrap();
    assert_eq!(calls(&ground, "ann").await, [4, 4]);
    boss.query_drop("REVOKE ALL, GRANT OPTION FROM ann").await.unwrap();
    assert_eq!(calls(&ground, "ann").await, [4, 4], "that is not taken away with the rest");
    boss.query_drop("RENAME USER ann TO eve").await.unwrap();
    assert_eq!((calls(&ground, "ann").await, calls(&ground, "eve").await), (vec![0, 0], vec![4, 4]));
    boss.query_drop("CREATE ROLE reader").await.unwrap();
    assert_eq!(calls(&ground, "reader").await, [0, 0], "nobody logs in as a role");
    ground.close().await;
}
