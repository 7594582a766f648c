//! What is refused or ends, and what one proxy does about it.

use mysql_async::Error;
use mysql_async::prelude::Queryable;

use crate::ground::Ground;

fn refused(result: Result<(), Error>) -> (u16, String) {
    match result.unwrap_err() {
        Error::Server(error) => (error.code, error.message),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn numbers_end_with_the_column() {
    let ground = Ground::new("ai_ends", 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop("INSERT INTO tiny (id) VALUES (124)").await.unwrap();
    conn.query_drop("INSERT INTO tiny (a) VALUES (1), (2)").await.unwrap();
    assert_eq!(ground.numbers("tiny").await.into_iter().collect::<Vec<_>>(), [124, 125, 126]);
    let (code, text) = refused(conn.query_drop("INSERT INTO tiny (a) VALUES (3), (4)").await);
    assert_eq!((code, text.contains("used up")), (1467, true), "{text}");
    assert_eq!(ground.numbers("tiny").await.len(), 3, "nothing was written");
}

#[tokio::test]
async fn what_could_give_a_number_twice_is_refused_by_name() {
    let ground = Ground::new("ai_refused", 1).await;
    let mut conn = ground.connect(0).await;
    for (sql, what) in [
        ("INSERT INTO visits (id, page) VALUES (1 + 1, 'a')", "an expression as the value"),
        ("UPDATE visits SET id = id + 1000", "AUTO_INCREMENT column id"),
        (
            "INSERT INTO visits (page) VALUES ('a') ON DUPLICATE KEY UPDATE id = id + 5",
            "AUTO_INCREMENT column id",
        ),
        ("INSERT INTO visits (page) VALUES ('a') AS new(p) ON DUPLICATE KEY UPDATE page = p", "row alias"),
        (
            "ALTER TABLE visits ADD COLUMN other INT, DROP COLUMN id, ADD COLUMN n INT AUTO_INCREMENT UNIQUE",
            "AUTO_INCREMENT",
        ),
    ] {
        let (code, text) = refused(conn.query_drop(sql).await);
        assert_eq!((code, text.contains(what)), (1235, true), "{sql}: {text}");
    }
    conn.query_drop("SET auto_increment_increment = 2").await.unwrap();
    let (code, text) = refused(conn.query_drop("INSERT INTO visits (page) VALUES ('a')").await);
    assert_eq!((code, text.contains("auto_increment_increment")), (1235, true), "{text}");
    conn.query_drop("INSERT INTO visits (id, page) VALUES (3, 'a')").await.unwrap();
    conn.query_drop("SET auto_increment_increment = 1").await.unwrap();
    conn.query_drop("INSERT INTO visits (page) VALUES ('b')").await.unwrap();
    assert_eq!(ground.numbers("visits").await.into_iter().collect::<Vec<_>>(), [3, 4]);
}

#[tokio::test]
async fn ddl_sets_the_number_to_go_on_with_and_never_sets_it_back() {
    let ground = Ground::new("ai_ddl", 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop(
        "CREATE TABLE late (id INT AUTO_INCREMENT PRIMARY KEY, a INT) AUTO_INCREMENT = 5000 COMMENT 'podway: shard by (id)'",
    )
    .await
    .unwrap();
    conn.query_drop("INSERT INTO late (a) VALUES (1)").await.unwrap();
    assert_eq!(conn.last_insert_id(), Some(5000));
    conn.query_drop("ALTER TABLE late AUTO_INCREMENT = 9000").await.unwrap();
    assert_eq!(ground.sequence("late").await.next, 9000);
    conn.query_drop("INSERT INTO late (a) VALUES (2)").await.unwrap();
    assert!(conn.last_insert_id() >= Some(5001));
    conn.query_drop("ALTER TABLE late AUTO_INCREMENT = 1").await.unwrap();
    conn.query_drop("INSERT INTO late (a) VALUES (3)").await.unwrap();
    let before = ground.sequence("late").await;
    conn.query_drop("TRUNCATE TABLE late").await.unwrap();
    assert_eq!(ground.sequence("late").await.next, before.next);
    conn.query_drop("INSERT INTO late (a) VALUES (4)").await.unwrap();
    assert!(ground.numbers("late").await.into_iter().all(|number| number > 5000));
    conn.query_drop("RENAME TABLE late TO later").await.unwrap();
    conn.query_drop("INSERT INTO later (a) VALUES (5), (6)").await.unwrap();
    ground.numbers("later").await;
}

#[tokio::test]
async fn without_the_topology_a_block_is_used_up_to_its_end_and_then_nothing_is_written() {
    let ground = Ground::apart("ai_away", 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop("INSERT INTO visits (page, customer) VALUES ('first', 1)").await.unwrap();
    ground.stop_node().await;
    conn.query_drop("INSERT INTO visits (page, customer) VALUES ('second', 1)").await.unwrap();
    let many = format!("INSERT INTO visits (customer, page) VALUES {}", vec!["(9, 'x')"; 300].join(","));
    let (code, text) = refused(conn.query_drop(&many).await);
    assert_eq!((code, text.contains("topology")), (1467, true), "{text}");
    let (code, _) =
        refused(conn.query_drop("INSERT INTO visits (id, page, customer) VALUES (70000, 'x', 1)").await);
    assert_eq!(code, 1467);
    let count: Option<u64> =
        conn.query_first("SELECT COUNT(*) FROM visits WHERE customer = 9").await.unwrap();
    assert_eq!(count, Some(0));
    ground.start_node().await;
    conn.query_drop("INSERT INTO visits (page, customer) VALUES ('third', 1)").await.unwrap();
    assert_eq!(ground.numbers("visits").await.len(), 3);
}

#[tokio::test]
async fn who_may_not_change_a_table_does_not_move_its_numbers() {
    let ground = Ground::new("ai_denied", 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop("INSERT INTO visits (page) VALUES ('a')").await.unwrap();
    ground.add_user("ai_reader", "SELECT ON *.*").await;
    let mut reader =
        podway_tests::eventually_async(std::time::Duration::from_secs(10), "the user is known", async || {
            ground.try_connect_as(0, "ai_reader").await.ok()
        })
        .await;
    let before = ground.sequence("visits").await;
    for sql in [
        "INSERT INTO visits (id, page) VALUES (2000000000, 'x')",
        "INSERT INTO visits (page) VALUES ('x')",
        "UPDATE visits SET id = 2000000000 WHERE customer = 7",
    ] {
        assert_eq!(refused(reader.query_drop(sql).await).0, 1142, "{sql}");
    }
    assert_eq!(ground.sequence("visits").await, before);
    conn.query_drop("INSERT INTO visits (page) VALUES ('b')").await.unwrap();
    assert_eq!(conn.last_insert_id(), Some(2));
}
