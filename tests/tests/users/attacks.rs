//! Mallory may read `customers` and nothing else; the insider may do everything in the keyspace. Whatever Mallory tries through a proxy, he neither reads nor changes
//! `secrets`, nor learns what columns it has; the insider does the same with success, so each way leads somewhere.

use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn};

use crate::ground::{CUSTOMERS, Ground, errno, message};

/// The word that nobody else may see.
const SECRET: &str = "the treasure is under the oak";

async fn ground(name: &str) -> (Ground, Conn, Conn) {
    let ground = Ground::shop(name, 4).await;
    let table = "CREATE TABLE secrets (id BIGINT PRIMARY KEY, word VARCHAR(100) NOT NULL)";
    ground.create_sharded(table, "secrets", "id").await;
    let mut boss = ground.boss().await;
    for id in 1..=CUSTOMERS {
        boss.query_drop(format!("INSERT INTO secrets VALUES ({id}, '{SECRET}')")).await.unwrap();
    }
    boss.query_drop("CREATE USER mallory IDENTIFIED BY 'm', insider IDENTIFIED BY 'i'").await.unwrap();
    boss.query_drop(format!("GRANT SELECT ON {name}.customers TO mallory")).await.unwrap();
    boss.query_drop(format!("GRANT ALL ON {name}.* TO insider")).await.unwrap();
    let mut mallory = ground.connect_as("mallory", "m", 0).await.unwrap();
    mallory.query_drop(format!("USE {name}")).await.unwrap();
    let mut insider = ground.connect_as("insider", "i", 0).await.unwrap();
    insider.query_drop(format!("USE {name}")).await.unwrap();
    (ground, mallory, insider)
}

/// Statements that name the table, with ID for a customer's number.
const ATTACKS: [&str; 26] = [
    "SELECT * FROM secrets WHERE id = ID",
    "SELECT COUNT(*) FROM secrets WHERE id = ID",
    "SELECT 1 FROM secrets WHERE id = ID AND word LIKE 'the%'",
    "SELECT c.id, s.word FROM customers c JOIN secrets s ON s.id = c.id WHERE c.id = ID",
    "SELECT id, (SELECT word FROM secrets WHERE id = ID) FROM customers WHERE id = ID",
    "SELECT id FROM customers WHERE id = ID AND EXISTS (SELECT 1 FROM secrets s WHERE s.id = ID)",
    "SELECT word FROM (SELECT * FROM secrets WHERE id = ID) AS d",
    "WITH w AS (SELECT * FROM secrets WHERE id = ID) SELECT * FROM w",
    "SELECT id FROM customers WHERE id = ID UNION SELECT id FROM secrets WHERE id = ID",
    "SET @stolen = (SELECT word FROM secrets WHERE id = ID)",
    "DO (SELECT word FROM secrets WHERE id = ID)",
    "SELECT word INTO @stolen FROM secrets WHERE id = ID",
    "SELECT * FROM secrets WHERE id = ID FOR UPDATE",
    "EXPLAIN SELECT * FROM secrets WHERE id = ID",
    "EXPLAIN ANALYZE SELECT * FROM secrets WHERE id = ID",
    "EXPLAIN FORMAT=JSON UPDATE secrets SET word = 'x' WHERE id = ID",
    "DESCRIBE secrets",
    "SHOW CREATE TABLE secrets",
    "SHOW COLUMNS FROM secrets",
    "SHOW INDEX FROM secrets",
    "UPDATE secrets SET word = word WHERE id = ID",
    "UPDATE customers SET balance = (SELECT LENGTH(word) FROM secrets WHERE id = ID) WHERE id = ID",
    "INSERT INTO secrets VALUES (ID + 0, 'x') ON DUPLICATE KEY UPDATE word = word",
    "DELETE FROM secrets WHERE id = ID AND word = 'x'",
    "REPLACE INTO secrets VALUES (ID, 'the treasure is under the oak')",
    "SELECT word FROM SCHEMA.secrets WHERE id = ID",
];

#[tokio::test]
async fn who_may_not_neither_reads_nor_changes_nor_learns() {
    let (ground, mut mallory, mut insider) = ground("theft").await;
    for attack in ATTACKS {
        for id in 1..=CUSTOMERS {
            let sql = attack.replace("ID + 0", &id.to_string()).replace("ID", &id.to_string());
            let sql = sql.replace("SCHEMA", "theft");
            let tried = mallory.query_drop(&sql).await;
            let text = message(&tried);
            assert!(!text.contains(SECRET) && !text.contains("theft__2"), "{sql}: {text}");
            let code = errno(tried);
            assert!([1142, 1143, 1044].contains(&code), "{sql}: {code} {text}");
            if let Err(error) = insider.query_drop(&sql).await {
                panic!("the control fails: {sql}: {error}");
            }
        }
    }
    let mut boss = ground.boss().await;
    for id in 1..=CUSTOMERS {
        let word: Option<String> =
            boss.query_first(format!("SELECT word FROM secrets WHERE id = {id}")).await.unwrap();
        assert_eq!(word.as_deref(), Some(SECRET));
    }
    ground.close().await;
}

#[tokio::test]
async fn errors_do_not_tell_what_columns_there_are() {
    let (ground, mut mallory, mut insider) = ground("columns").await;
    for column in ["word", "nothing"] {
        let sql = format!("SELECT {column} FROM secrets WHERE id = 1");
        assert_eq!(errno(mallory.query_drop(&sql).await), 1142, "{sql}");
    }
    assert_eq!(errno(insider.query_drop("SELECT nothing FROM secrets WHERE id = 1").await), 1054);
    let known = "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_NAME = 'secrets' AND TABLE_SCHEMA = 'columns'";
    assert_eq!(mallory.query_first::<u64, _>(known).await.unwrap(), Some(0));
    assert_eq!(insider.query_first::<u64, _>(known).await.unwrap(), Some(2));
    let tables: Vec<String> = mallory.query("SHOW TABLES").await.unwrap();
    assert!(!tables.contains(&"secrets".to_owned()), "{tables:?}");
    let tables: Vec<String> = insider.query("SHOW TABLES").await.unwrap();
    assert!(tables.contains(&"secrets".to_owned()), "{tables:?}");
    ground.close().await;
}

#[tokio::test]
async fn the_physical_schemas_are_no_way_around() {
    let (ground, mut mallory, mut insider) = ground("house").await;
    for conn in [&mut mallory, &mut insider] {
        for sql in ["SELECT * FROM house__2.secrets WHERE id = 1", "USE house__2"] {
            assert_eq!(errno(conn.query_drop(sql).await), 1049, "{sql}");
        }
    }
    ground.close().await;
}

#[tokio::test]
async fn podways_own_schema_and_accounts_are_nobodys() {
    let (ground, mut mallory, mut insider) = ground("keep").await;
    let mut boss = ground.boss().await;
    let cases = [
        "SELECT * FROM _podway.control",
        "INSERT INTO _podway.control VALUES ('x', 1)",
        "UPDATE `_podway`.control SET term = 99",
        "DELETE FROM _podway.passwords",
        "CREATE TABLE _podway.t (a INT)",
        "DROP DATABASE _podway",
        "USE _podway",
        "SHOW TABLES FROM _podway",
        "CREATE VIEW v AS SELECT * FROM _podway.control",
    ];
    for sql in cases {
        for conn in [&mut mallory, &mut insider, &mut boss] {
            let code = errno(conn.query_drop(sql).await);
            assert!([1044, 1049].contains(&code), "{sql}: {code}");
        }
    }
    assert_eq!(errno(mallory.query_drop("SELECT user FROM mysql.user").await), 1142);
    let mut conn = ground.server(0).await;
    let terms: Vec<u64> = conn.query("SELECT term FROM _podway.control").await.unwrap();
    assert!(!terms.contains(&99), "{terms:?}");
    ground.close().await;
}

#[tokio::test]
async fn another_users_connections_and_plans_are_no_way_around() {
    let (ground, mut mallory, mut insider) = ground("pools").await;
    // One text, one plan, one pool of each server: and two accounts.
    let sql = "SELECT word FROM secrets WHERE id = ?";
    for id in 1..=CUSTOMERS {
        let word: Option<String> = insider.exec_first(sql, (id,)).await.unwrap();
        assert_eq!(word.as_deref(), Some(SECRET));
        assert_eq!(errno(mallory.exec_drop(sql, (id,)).await), 1142);
        let text = format!("SELECT word FROM secrets WHERE id = {id}");
        assert_eq!(insider.query_first::<String, _>(&text).await.unwrap().as_deref(), Some(SECRET));
        assert_eq!(errno(mallory.query_drop(&text).await), 1142);
    }
    // COM_CHANGE_USER: what was the insider's is Mallory's no more, and the other way round.
    let as_user = |user: &str, password: &str| {
        ChangeUserOpts::new()
            .with_user(Some(user.to_owned()))
            .with_pass(Some(password.to_owned()))
            .with_db_name(Some("pools".to_owned()))
    };
    insider.query_drop("SET @stolen = (SELECT word FROM secrets WHERE id = 1)").await.unwrap();
    insider.change_user(as_user("mallory", "m")).await.unwrap();
    assert_eq!(errno(insider.query_drop("SELECT word FROM secrets WHERE id = 1").await), 1142);
    let stolen: Option<Option<String>> = insider.query_first("SELECT @stolen").await.unwrap();
    assert_eq!(stolen, Some(None));
    mallory.change_user(as_user("insider", "i")).await.unwrap();
    assert_eq!(mallory.exec_first::<String, _, _>(sql, (1,)).await.unwrap().as_deref(), Some(SECRET));
    assert_eq!(errno(mallory.change_user(as_user("insider", "wrong")).await), 1045);
    ground.close().await;
}

#[tokio::test]
async fn what_was_prepared_under_rights_is_not_run_without_them() {
    let (ground, _mallory, mut insider) = ground("later").await;
    let mut boss = ground.boss().await;
    let statement = insider.prep("SELECT word FROM secrets WHERE id = ?").await.unwrap();
    let word: Option<String> = insider.exec_first(&statement, (1,)).await.unwrap();
    assert_eq!(word.as_deref(), Some(SECRET));
    boss.query_drop("REVOKE ALL ON later.* FROM insider").await.unwrap();
    for id in 1..=CUSTOMERS {
        let code = errno(insider.exec_drop(&statement, (id,)).await);
        assert!([1142, 1044].contains(&code), "{code}");
    }
    boss.query_drop("GRANT SELECT ON later.secrets TO insider").await.unwrap();
    let word: Option<String> = insider.exec_first(&statement, (1,)).await.unwrap();
    assert_eq!(word.as_deref(), Some(SECRET));
    ground.close().await;
}

#[tokio::test]
async fn nobody_sees_or_ends_anothers_session_or_takes_his_roles() {
    let (ground, mut mallory, mut insider) = ground("others").await;
    let mut boss = ground.boss().await;
    let seen: Vec<mysql_async::Row> = mallory.query("SHOW PROCESSLIST").await.unwrap();
    let users: Vec<String> = seen.into_iter().map(|row| row.get(1).unwrap()).collect();
    assert!(users.iter().all(|user| user == "mallory"), "{users:?}");
    let id: Option<u32> = insider.query_first("SELECT CONNECTION_ID()").await.unwrap();
    assert_eq!(errno(mallory.query_drop(format!("KILL {}", id.unwrap())).await), 1095);
    insider.query_drop("SELECT 1").await.unwrap();
    boss.query_drop("CREATE ROLE treasurer").await.unwrap();
    boss.query_drop("GRANT SELECT ON others.secrets TO treasurer").await.unwrap();
    for sql in [
        "SET ROLE treasurer",
        "SET ROLE insider",
        "SET DEFAULT ROLE treasurer TO mallory",
        "GRANT treasurer TO mallory",
        "ALTER USER mallory DEFAULT ROLE treasurer",
    ] {
        assert!(errno(mallory.query_drop(sql).await) > 0, "{sql}");
        assert_eq!(errno(mallory.query_drop("SELECT * FROM secrets WHERE id = 1").await), 1142);
    }
    boss.query_drop("GRANT treasurer TO mallory").await.unwrap();
    mallory.query_drop("SET DEFAULT ROLE treasurer TO mallory").await.unwrap();
    let mut again = ground.connect_as("mallory", "m", 1).await.unwrap();
    again.query_drop("SELECT * FROM others.secrets WHERE id = 1").await.unwrap();
    ground.close().await;
}
