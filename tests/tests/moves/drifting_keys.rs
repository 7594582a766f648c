//! A sharding key that is not what it was declared as on some shard: nothing is routed by it until it is put right, whichever way a statement comes.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway::provision::Declaration;
use podway_model::ShardIndex;
use podway_tests::Pod;
use podway_topology::Moves;

use crate::ground::Ground;

/// What a statement that was refused is answered.
#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Err(Error::Server(refused)) => {
            assert_eq!((refused.code, refused.state.as_str()), (1235, "42000"), "{}", refused.message);
            refused.message
        }
        other => panic!("it was not refused: {other:?}"),
    }
}

async fn find(conn: &mut Conn, email: &str) -> Result<Option<u64>, Error> {
    conn.query_first(format!("SELECT n FROM users WHERE email = '{email}'")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_collation_changed_on_one_shard_pins_nothing_until_it_is_put_right() {
    let pod = Pod::shared().await;
    let keyspace = pod.keyspace("schema_keys", 2).await.unwrap();
    let sql = "CREATE TABLE users (email VARCHAR(50) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, n INT NOT NULL)";
    let sharded = Declaration::sharded_by(&["email"]);
    keyspace.create_table(sql, "users", sharded).await.unwrap();
    let other = "CREATE TABLE others (id INT PRIMARY KEY)";
    keyspace.create_table(other, "others", Declaration::sharded_by(&["id"])).await.unwrap();
    let ground = Ground::over(keyspace, Moves::default()).await;
    let mut conn = ground.connect().await;
    for n in 0..20 {
        conn.query_drop(format!("INSERT INTO users VALUES ('u{n}@example.com', {n})")).await.unwrap();
    }
    let prepared = conn.prep("SELECT n FROM users WHERE email = ?").await.unwrap();
    assert_eq!(find(&mut conn, "U7@example.com").await.unwrap(), Some(7));

    let changes = [
        (
            "ALTER TABLE users MODIFY email VARCHAR(50) COLLATE utf8mb4_bin",
            "its sharding key email is varchar(50) collate utf8mb4_bin on shard 2 (server s1) and was declared as \
             varchar(50) collate utf8mb4_0900_ai_ci",
            "ALTER TABLE users MODIFY email VARCHAR(50) COLLATE utf8mb4_0900_ai_ci",
        ),
        (
            "ALTER TABLE users MODIFY email VARCHAR(70) COLLATE utf8mb4_0900_ai_ci",
            "its sharding key email is varchar(70)",
            "ALTER TABLE users MODIFY email VARCHAR(50) COLLATE utf8mb4_0900_ai_ci",
        ),
        (
            "CREATE TRIGGER lower BEFORE INSERT ON users FOR EACH ROW SET NEW.email = CONCAT('x', NEW.email)",
            "a BEFORE trigger may set its sharding key email on shard 2",
            "DROP TRIGGER lower",
        ),
    ];
    for (change, expected, back) in changes {
        ground.keyspace.on_shard(ShardIndex(1), change).await.unwrap();
        let (what, stops) = ground.drift("users").await.unwrap();
        assert!(stops && what.contains(expected), "{what}");
        ground.caught_up().await;
        for n in 0..20 {
            let said = refused(find(&mut conn, &format!("u{n}@example.com")).await);
            assert!(said.contains("SHOW PODWAY DRIFT") && said.contains("users"), "{said}");
        }
        refused(conn.query_drop("INSERT INTO users VALUES ('new@example.com', 99)").await);
        refused(conn.query_drop("UPDATE users SET n = 1 WHERE email = 'u1@example.com'").await);
        refused(conn.query_drop("DELETE FROM users WHERE email = 'u1@example.com'").await);
        refused(conn.exec_first::<u64, _, _>(&prepared, ("u3@example.com",)).await);
        conn.query_drop("SELECT * FROM others WHERE id = 5").await.unwrap();

        ground.keyspace.on_shard(ShardIndex(1), back).await.unwrap();
        assert_eq!(ground.drift("users").await, None);
        ground.caught_up().await;
        assert_eq!(find(&mut conn, "U7@example.com").await.unwrap(), Some(7));
        assert_eq!(conn.exec_first(&prepared, ("u3@example.com",)).await.unwrap(), Some(3_u64));
    }
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_changed_alike_on_every_shard_is_not_taken_over() {
    let ground = Ground::shop(Pod::shared().await, "schema_keys_alike", 2, Moves::default()).await;
    let customer = ground.customer(ShardIndex(1)).await;
    for shard in [0, 1] {
        let sql = "ALTER TABLE customers MODIFY id INT";
        ground.keyspace.on_shard(ShardIndex(shard), sql).await.unwrap();
    }
    let (what, stops) = ground.drift("customers").await.unwrap();
    assert!(stops && what.contains("its sharding key id is"), "{what}");
    ground.caught_up().await;
    let mut conn = ground.connect().await;
    let sql = format!("SELECT balance FROM customers WHERE id = {customer}");
    refused(conn.query_first::<u64, _>(sql).await);
    ground.close().await;
}
