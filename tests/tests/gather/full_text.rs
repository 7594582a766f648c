//! Full-text search as a condition over several shards beside plain MySQL: which rows match is one row's matter, what they score is not.

use mysql_async::Value;
use mysql_async::prelude::Queryable;
use podway_model::ShardIndex;

use crate::world::{Both, refusal, world};

/// Rows of which all have one word, few have another, and one shard alone has a third.
async fn pages() -> Both {
    static MADE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let world = world().await;
    MADE.get_or_init(async || {
        let mut both = world.both().await;
        let words = ["green", "black", "white", "rare milk", "red"];
        for id in 1..=40_u64 {
            let word = words[(id % 5) as usize];
            let milk = if id % 7 == 0 { " with milk and sugar" } else { "" };
            let title = if id % 3 == 0 { "NULL".to_owned() } else { format!("'page of {word}'") };
            let sql = format!(
                "INSERT INTO pages VALUES ({id}, {title}, 'everybody drinks {word} tea{milk}', {}, {})",
                id % 4,
                id % 11
            );
            both.ours.query_drop(&sql).await.unwrap();
            both.theirs.query_drop(&sql).await.unwrap();
        }
        for shard in 0..4 {
            let mut conn = world.keyspace.direct(ShardIndex(shard)).await.unwrap();
            let rows: Option<u64> = conn.query_first("SELECT COUNT(*) FROM pages").await.unwrap();
            assert!(rows > Some(2), "shard {shard} has few pages");
        }
    })
    .await;
    world.both().await
}

/// Searches in the words of SQL, of which MySQL finds some rows, none or all.
const SEARCHES: [&str; 14] = [
    "MATCH (body) AGAINST ('tea')",
    "MATCH (body) AGAINST ('everybody tea')",
    "MATCH (body) AGAINST ('milk')",
    "MATCH (body) AGAINST ('rare green' IN NATURAL LANGUAGE MODE)",
    "MATCH (title, body) AGAINST ('page')",
    "MATCH (body) AGAINST ('+tea -green' IN BOOLEAN MODE)",
    "MATCH (body) AGAINST ('+tea +(rare sugar)' IN BOOLEAN MODE)",
    "MATCH (body) AGAINST ('\"rare milk\"' IN BOOLEAN MODE)",
    "MATCH (body) AGAINST ('suga* gre*' IN BOOLEAN MODE)",
    "MATCH (body) AGAINST ('nothing' IN BOOLEAN MODE)",
    "MATCH (body) AGAINST ('drinks' ' rare')",
    "NOT MATCH (body) AGAINST ('milk green')",
    "(MATCH (body) AGAINST ('milk') AND n > 1)",
    "n BETWEEN 1 AND 2 AND MATCH (pages.body) AGAINST ('black white')",
];

#[tokio::test]
async fn what_matches_on_each_shard_matches_in_one_mysql() {
    let mut both = pages().await;
    for search in SEARCHES {
        both.same(&format!("SELECT id, title FROM pages WHERE {search} ORDER BY id")).await;
        both.same(&format!("SELECT id FROM pages WHERE {search} ORDER BY n DESC, id LIMIT 3, 5")).await;
        both.same(&format!("SELECT COUNT(*), MAX(id) FROM pages WHERE {search}")).await;
        both.same(&format!("SELECT n, COUNT(*), AVG(id) FROM pages WHERE {search} GROUP BY n ORDER BY n"))
            .await;
        both.same(&format!("SELECT GROUP_CONCAT(id ORDER BY id) FROM pages WHERE {search} AND n < 3")).await;
        both.same(&format!(
            "SELECT c.name, pages.id FROM pages JOIN customers c ON c.id = pages.other WHERE {search} ORDER BY pages.id"
        ))
        .await;
        both.same(&format!(
            "SELECT name FROM customers WHERE id IN (SELECT other FROM pages WHERE {search}) ORDER BY name"
        ))
        .await;
    }
    both.same("SELECT id FROM pages WHERE MATCH (body) AGAINST ('rare') OR id = 3 ORDER BY id").await;
    both.same("SELECT id FROM pages WHERE MATCH (body) AGAINST ('rare') AND MATCH (title, body) AGAINST ('page') ORDER BY id").await;
    both.end();
}

#[tokio::test]
async fn searches_are_made_in_transactions_and_of_what_is_committed() {
    let mut both = pages().await;
    for sql in [
        "BEGIN",
        "SELECT COUNT(*) FROM pages WHERE MATCH (body) AGAINST ('tea')",
        "SELECT id FROM pages WHERE MATCH (body) AGAINST ('milk') ORDER BY id",
        "SELECT id FROM pages WHERE MATCH (body) AGAINST ('milk')",
        "COMMIT",
    ] {
        if sql.starts_with("SELECT") {
            both.same(sql).await;
        } else {
            both.ours.query_drop(sql).await.unwrap();
            both.theirs.query_drop(sql).await.unwrap();
        }
    }
    both.end();
}

#[tokio::test]
async fn what_is_sought_may_be_a_parameter() {
    let mut both = pages().await;
    let text = |text: &str| [Value::from(text)];
    both.same_executed(
        "SELECT id FROM pages WHERE MATCH (body) AGAINST (?) ORDER BY id",
        &[&text("milk"), &text("rare"), &text("tea"), &text("nothing"), &text("~<>@ tea")],
    )
    .await;
    both.same_executed(
        "SELECT id FROM pages WHERE MATCH (body) AGAINST (? IN BOOLEAN MODE) ORDER BY id",
        &[&text("+tea -milk"), &text("gre* suga*")],
    )
    .await;
    let sql = "SELECT id FROM pages WHERE MATCH (body) AGAINST (? IN BOOLEAN MODE)";
    let error = both.ours.exec_drop(sql, ("~tea milk",)).await.expect_err(sql);
    assert_eq!(refusal(error).0, 1235);
    let sql = "SELECT COUNT(*) FROM pages WHERE MATCH (body) AGAINST (?)";
    let error = both.ours.exec_drop(sql, ("milk",)).await.expect_err(sql);
    assert_eq!(refusal(error).0, 1235, "what is computed over rows that were read");
    both.end();
}

#[tokio::test]
async fn what_depends_on_all_rows_is_refused_by_name() {
    let mut ours = pages().await.ours;
    for (sql, what) in [
        ("SELECT id, MATCH (body) AGAINST ('tea') FROM pages", "scores"),
        ("SELECT id FROM pages ORDER BY MATCH (body) AGAINST ('tea') DESC", "scores"),
        ("SELECT id FROM pages WHERE MATCH (body) AGAINST ('tea') > 0.1", "scores"),
        ("SELECT id FROM pages WHERE 0.1 < MATCH (body) AGAINST ('tea')", "scores"),
        ("SELECT id FROM pages WHERE (MATCH (body) AGAINST ('tea')) = n", "scores"),
        ("SELECT id FROM pages WHERE n BETWEEN 0 AND MATCH (body) AGAINST ('tea')", "scores"),
        ("SELECT id FROM pages WHERE IFNULL(MATCH (body) AGAINST ('tea'), 1)", "scores"),
        ("SELECT id FROM pages WHERE n IN (MATCH (body) AGAINST ('tea'))", "scores"),
        ("SELECT id FROM pages WHERE -MATCH (body) AGAINST ('tea')", "scores"),
        ("SELECT n FROM pages GROUP BY n HAVING SUM(MATCH (body) AGAINST ('tea')) > 0", "scores"),
        ("SELECT id FROM pages WHERE id IN (SELECT MATCH (body) AGAINST ('tea') FROM pages)", "scores"),
        (
            "SELECT id FROM pages WHERE MATCH (body) AGAINST ('tea' WITH QUERY EXPANSION)",
            "WITH QUERY EXPANSION",
        ),
        ("SELECT id FROM pages WHERE MATCH (body) AGAINST (CONCAT('t', 'ea'))", "more than a text"),
        ("SELECT id FROM pages WHERE MATCH (body) AGAINST ('~tea green' IN BOOLEAN MODE)", "~"),
        ("SELECT id FROM pages WHERE MATCH (body) AGAINST ('green' ' <tea' IN BOOLEAN MODE)", "~"),
        (
            "SELECT c.id FROM pages JOIN customers c ON c.id = other WHERE MATCH (body) AGAINST ('tea') OR c.id = 3",
            "no condition on one table's rows alone",
        ),
    ] {
        let (number, message) = refusal(ours.query_drop(sql).await.expect_err(sql));
        assert_eq!(number, 1235, "{sql}: {message}");
        assert!(message.contains(what), "{sql}: {message}");
    }
    // One shard has it all.
    ours.query_drop("SELECT id, MATCH (body) AGAINST ('tea') FROM pages WHERE id = 3").await.unwrap();
    let error =
        ours.query_drop("SELECT id FROM pages WHERE MATCH (title) AGAINST ('tea')").await.unwrap_err();
    assert_eq!(refusal(error).0, 1191, "there is no such index");
}

#[tokio::test]
async fn tables_of_other_engines_are_not_searched_over_shards() {
    let mut ours = world().await.proxied().await;
    let sql = "SELECT id FROM old_pages WHERE MATCH (body) AGAINST ('tea')";
    let (number, message) = refusal(ours.query_drop(sql).await.expect_err(sql));
    assert_eq!(number, 1235, "{message}");
    assert!(message.contains("InnoDB"), "{message}");
}
