//! ORDER BY and LIMIT over several shards: the rows that shards give in order come in MySQL's order, and what they are merged by is not seen.

use mysql_async::Value;

use crate::world::world;

/// Columns by whose order rows are merged.
const MERGEABLE: [&str; 12] = ["id", "i", "u", "d", "f", "x", "day", "at", "t", "ts", "word", "raw"];

#[tokio::test]
async fn every_mergeable_column_orders_as_in_mysql() {
    let mut both = world().await.both_merging().await;
    for column in MERGEABLE {
        both.same(&format!("SELECT {column} FROM kinds ORDER BY {column}")).await;
        both.same(&format!("SELECT {column} FROM kinds ORDER BY {column} DESC")).await;
        both.same(&format!("SELECT id FROM kinds ORDER BY {column} ASC, id DESC")).await;
        both.same(&format!("SELECT k.* FROM kinds AS k ORDER BY k.{column} DESC, k.id LIMIT 9")).await;
        both.same(&format!("SELECT id, {column} FROM kinds WHERE {column} IS NOT NULL ORDER BY {column}"))
            .await;
    }
    both.same("SELECT y FROM kinds ORDER BY y DESC").await;
    both.end();
}

#[tokio::test]
async fn several_keys_decide_one_after_the_other() {
    let mut both = world().await.both_merging().await;
    for sql in [
        "SELECT id, grp FROM kinds ORDER BY grp, word, id",
        "SELECT id FROM kinds ORDER BY grp DESC, at, id DESC",
        "SELECT note FROM kinds ORDER BY grp, t DESC, id LIMIT 20",
        "SELECT id, id FROM kinds ORDER BY grp DESC, raw DESC, x, id LIMIT 5, 11",
        "SELECT customers.id, o.total FROM customers JOIN orders o ON o.customer = customers.id ORDER BY o.placed, o.id",
        "SELECT c.id, n.name FROM customers c LEFT JOIN countries n ON n.code = c.country ORDER BY n.name DESC, c.id",
        "SELECT i FROM `kinds` ORDER BY `kinds`.`i` DESC",
        "SELECT gathered.kinds.i FROM gathered.kinds ORDER BY gathered.kinds.i DESC, gathered.kinds.id",
    ] {
        both.same(sql).await;
    }
    both.end();
}

#[tokio::test]
async fn limits_count_over_all_shards() {
    let mut both = world().await.both_merging().await;
    for limit in [
        "0",
        "1",
        "7",
        "48",
        "1000",
        "3, 5",
        "0, 3",
        "5 OFFSET 3",
        "40, 20",
        "10 OFFSET 48",
        "5 OFFSET 5000",
        "0 OFFSET 3",
        "18446744073709551615",
        "2, 18446744073709551615",
    ] {
        both.same(&format!("SELECT id, word FROM kinds ORDER BY id LIMIT {limit}")).await;
        both.same(&format!("SELECT * FROM kinds ORDER BY t DESC, id LIMIT {limit}")).await;
        both.same(&format!("SELECT * FROM nothing ORDER BY id LIMIT {limit}")).await;
        // Which rows come is MySQL's choice, how many is not.
        both.same(&format!("SELECT 'row' FROM kinds LIMIT {limit}")).await;
    }
    both.end();
}

#[tokio::test]
async fn values_of_parameters_narrow_what_is_merged() {
    let mut both = world().await.both_merging().await;
    let word: Value = "b".into();
    both.same_executed(
        "SELECT * FROM kinds WHERE id > ? ORDER BY id",
        &[&[5.into()], &[47.into()], &[99.into()]],
    )
    .await;
    both.same_executed(
        "SELECT id, word FROM kinds WHERE word > ? ORDER BY word DESC LIMIT 6",
        &[&[word], &[Value::NULL]],
    )
    .await;
    both.same_executed(
        "SELECT id FROM kinds WHERE id IN (?, ?, ?) ORDER BY i, id",
        &[&[3.into(), 8.into(), 31.into()]],
    )
    .await;
    both.same_executed("SELECT ?, id FROM kinds ORDER BY at, id LIMIT 4", &[&["é".into()], &["x".into()]])
        .await;
    both.same_executed("SELECT id FROM kinds WHERE day < ? ORDER BY day", &[&["1975-01-01".into()]]).await;
    both.end();
}

#[tokio::test]
async fn orders_that_cannot_be_merged_are_finished_in_mysql() {
    let mut both = world().await.both().await;
    for sql in [
        "SELECT id, word FROM kinds ORDER BY 2, 1",
        "SELECT id, word AS id2 FROM kinds ORDER BY id2 DESC, id LIMIT 10",
        "SELECT id, -i AS i FROM kinds ORDER BY i, id",
        "SELECT id FROM kinds ORDER BY i + grp, id",
        "SELECT id FROM kinds ORDER BY e, id",
        "SELECT id, e FROM kinds ORDER BY e DESC, id",
        "SELECT id FROM kinds ORDER BY s, id",
        "SELECT id FROM kinds ORDER BY j->'$.n', id",
        "SELECT id FROM kinds ORDER BY blobby DESC, id",
        "SELECT id FROM kinds ORDER BY word COLLATE utf8mb4_bin, id",
        "SELECT id FROM kinds ORDER BY note, id",
        "SELECT id FROM kinds ORDER BY (SELECT COUNT(*) FROM orders WHERE customer = kinds.id), id",
    ] {
        both.same(sql).await;
    }
    both.same_executed("SELECT id FROM kinds ORDER BY word, id LIMIT ?", &[&[4.into()], &[0.into()]]).await;
    both.same_executed(
        "SELECT id FROM kinds ORDER BY word, id LIMIT ?, ?",
        &[&[4.into(), 6.into()], &[60.into(), 6.into()]],
    )
    .await;
    both.end();
}
