//! What would end or judge a part of a transaction without its other parts, beside one MySQL where that has the same.

use mysql_async::prelude::Queryable;

use crate::ground::{Ground, add, answer};

#[tokio::test]
async fn autocommit_is_not_switched_on_for_one_server_alone() {
    let ground = Ground::new("edges_autocommit").await;
    let mut conn = ground.session().await;
    conn.query_drop("SET autocommit = 0").await.unwrap();
    for shard in [0, 1] {
        conn.query_drop(add(ground.row(shard, 0), 7)).await.unwrap();
    }
    for sql in
        ["SET autocommit = 1, sql_mode = ''", "SET autocommit = DEFAULT", "SET @on = 1, autocommit = @on"]
    {
        assert_eq!(answer(&mut conn, sql).await, "error 1235 42000", "{sql}");
    }
    conn.query_drop("ROLLBACK").await.unwrap();
    let changed = "SELECT COUNT(*) FROM cells WHERE v % 10 <> 0";
    assert_eq!(answer(&mut ground.session().await, changed).await, "'0'");
    conn.query_drop("SET autocommit = 1, sql_mode = ''").await.unwrap();
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn what_may_be_written_is_for_mysql_to_say_and_is_committed() {
    let ground = Ground::new("edges_modes").await;
    let mut both = ground.both().await;
    both.same("SET SESSION TRANSACTION READ ONLY").await;
    for (nth, allowing) in [
        "SET @@transaction_read_only = 0",
        "SET TRANSACTION READ\n WRITE",
        "SET TRANSACTION /* READ ONLY */ READ WRITE",
    ]
    .into_iter()
    .enumerate()
    {
        let writes = [0, 1, 2].map(|shard| add(ground.row(shard, nth), 1));
        both.all(&[allowing, "BEGIN", &writes[0], &writes[1], &writes[2], "COMMIT"]).await;
        both.same("SELECT SUM(v) FROM cells").await;
    }
    // The mode is that of the beginning.
    let (first, second) =
        (format!("SELECT v FROM cells WHERE id = {}", ground.row(0, 0)), add(ground.row(1, 0), 1));
    both.all(&["BEGIN", &first, "SET SESSION TRANSACTION READ WRITE", &second, "COMMIT"]).await;
    both.all(&["BEGIN", &first, "SET SESSION TRANSACTION READ ONLY", &second, "COMMIT"]).await;
    both.same("SELECT SUM(v) FROM cells").await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn savepoints_without_autocommit_begin_the_transaction() {
    let ground = Ground::new("edges_savepoint").await;
    let mut both = ground.both().await;
    let writes = [0, 1].map(|shard| add(ground.row(shard, 0), 5));
    both.all(&["SET autocommit = 0", "SAVEPOINT a", &writes[0], &writes[1], "ROLLBACK TO a"]).await;
    both.all(&["SELECT SUM(v) FROM cells", &writes[1], "COMMIT", "SELECT SUM(v) FROM cells", "COMMIT"]).await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_chain_keeps_its_mode_for_servers_that_join_later() {
    let ground = Ground::new("edges_chain").await;
    let mut both = ground.both().await;
    let look = format!("SELECT v FROM cells WHERE id = {}", ground.row(0, 0));
    let write = add(ground.row(1, 0), 1);
    both.all(&["START TRANSACTION READ ONLY", &look, "COMMIT AND CHAIN", &look, &write, "COMMIT"]).await;
    both.all(&["SELECT SUM(v) FROM cells", &write, "SELECT SUM(v) FROM cells"]).await;
    // An empty one uses up what was set for it.
    both.all(&["SET TRANSACTION READ ONLY", "BEGIN", "COMMIT", &write, "SELECT SUM(v) FROM cells"]).await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn locked_tables_stay_locked_beside_a_write_on_several_shards() {
    let ground = Ground::new("edges_locks").await;
    let mut conn = ground.session().await;
    ground
        .keyspace
        .on_shard(podway_model::ShardIndex(0), "CREATE TABLE alone (id INT PRIMARY KEY)")
        .await
        .unwrap();
    conn.query_drop("LOCK TABLES alone WRITE").await.unwrap();
    assert_eq!(answer(&mut conn, "UPDATE cells SET v = 0").await, "error 1100 HY000");
    let mut other = ground.session().await;
    other.query_drop("SET lock_wait_timeout = 1").await.unwrap();
    assert_eq!(answer(&mut other, "SELECT * FROM alone").await, "error 1205 HY000", "it is locked still");
    conn.query_drop("UNLOCK TABLES").await.unwrap();
    assert_eq!(answer(&mut other, "SELECT * FROM alone").await, "0 rows affected");
    let wrong = "SELECT COUNT(*) FROM cells WHERE v = 0";
    assert_eq!(answer(&mut other, wrong).await, "'0'");
}
