//! Savepoints of a transaction over several servers are one MySQL's: set before a server joined, after, one inside the other, gone and unknown.

use crate::ground::{Ground, add};

#[tokio::test]
async fn a_rollback_to_a_savepoint_undoes_what_came_later_on_all_servers() {
    let ground = Ground::new("savepoints_over_servers").await;
    let mut both = ground.both().await;
    let cell = |shard: usize, nth: usize| add(ground.row(shard, nth), 1);
    let look = "SELECT id, v FROM cells ORDER BY id";
    for script in [
        // Before any server, and before the second.
        vec!["SAVEPOINT a".to_owned(), cell(0, 0), "SAVEPOINT b".to_owned(), cell(1, 0), cell(0, 1)],
        // After two, and before the third.
        vec![
            cell(0, 0),
            cell(1, 0),
            "SAVEPOINT a".to_owned(),
            cell(0, 1),
            "SAVEPOINT b".to_owned(),
            cell(2, 0),
        ],
        // Set twice, and in another case.
        vec![
            "SAVEPOINT a".to_owned(),
            cell(0, 0),
            "SAVEPOINT b".to_owned(),
            cell(1, 0),
            "SAVEPOINT A".to_owned(),
            cell(2, 0),
        ],
        // Between every two of four servers.
        vec![
            cell(3, 0),
            "SAVEPOINT a".to_owned(),
            cell(2, 0),
            "SAVEPOINT b".to_owned(),
            cell(1, 0),
            "SAVEPOINT c".to_owned(),
            cell(0, 0),
        ],
    ] {
        for back in
            [vec!["b"], vec!["a"], vec!["b", "a"], vec!["a", "b"], vec!["a", "a"], vec!["b", "c", "b"]]
        {
            for end in ["COMMIT", "ROLLBACK"] {
                both.same("BEGIN").await;
                for sql in &script {
                    both.same(sql).await;
                }
                for name in &back {
                    both.same(&format!("ROLLBACK TO SAVEPOINT {name}")).await;
                    both.same(look).await;
                    both.same(&cell(1, 2)).await;
                    both.same(&cell(2, 2)).await;
                }
                both.same(end).await;
                ground.same_rows().await;
            }
        }
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_released_savepoint_is_gone_on_all_servers() {
    let ground = Ground::new("savepoints_released").await;
    let mut both = ground.both().await;
    let cell = |shard: usize| add(ground.row(shard, 0), 1);
    for released in ["a", "b", "c"] {
        both.all(&["BEGIN", "SAVEPOINT a"]).await;
        both.same(&cell(0)).await;
        both.same("SAVEPOINT b").await;
        both.same(&cell(1)).await;
        both.same("SAVEPOINT c").await;
        both.same(&cell(2)).await;
        both.same(&format!("RELEASE SAVEPOINT {released}")).await;
        both.same(&format!("RELEASE SAVEPOINT {released}")).await;
        // One that joins later knows as much as the others.
        both.same(&cell(3)).await;
        for name in ["c", "b", "a"] {
            both.same(&format!("ROLLBACK TO {name}")).await;
            both.same("SELECT id, v FROM cells ORDER BY id").await;
        }
        both.same("COMMIT").await;
        ground.same_rows().await;
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn an_unknown_savepoint_leaves_the_transaction_as_it_was() {
    let ground = Ground::new("savepoints_unknown").await;
    let mut both = ground.both().await;
    for sql in ["ROLLBACK TO nowhere", "RELEASE SAVEPOINT nowhere"] {
        both.all(&["BEGIN", "SAVEPOINT `here``s`"]).await;
        for shard in 0..3 {
            both.same(&add(ground.row(shard, 0), 1)).await;
        }
        assert_eq!(both.same(sql).await, "error 1305 42000");
        both.same(&add(ground.row(3, 0), 1)).await;
        assert_eq!(both.same(sql).await, "error 1305 42000");
        both.same("ROLLBACK WORK TO SAVEPOINT `here``s`").await;
        both.same(&add(ground.row(1, 0), 2)).await;
        both.same("COMMIT").await;
        ground.same_rows().await;
        // They end with their transaction.
        assert_eq!(both.same("ROLLBACK TO `here``s`").await, "error 1305 42000");
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn what_was_rolled_back_to_the_beginning_can_be_committed() {
    let ground = Ground::new("savepoints_beginning").await;
    let mut both = ground.both().await;
    let before = ground.same_rows().await;
    both.all(&["BEGIN", "SAVEPOINT beginning"]).await;
    for shard in 0..4 {
        both.same(&add(ground.row(shard, 0), 1)).await;
    }
    both.same("ROLLBACK TO beginning").await;
    both.same("COMMIT").await;
    assert_eq!(ground.same_rows().await, before);
    ground.nothing_is_open().await;
}
