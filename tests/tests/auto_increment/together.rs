//! Several proxies: no number twice, whoever gives it, brings it, leaves or comes.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::ground::Ground;

async fn insert_many(mut conn: Conn, session: usize) {
    for n in 0..40 {
        let sql = match n % 4 {
            0 => "INSERT INTO tickets (subject) VALUES ('a')".to_owned(),
            1 => "INSERT INTO tickets (subject) VALUES ('a'), ('b'), ('c'), ('d')".to_owned(),
            2 => {
                let other = n + 1000;
                format!(
                    "INSERT INTO visits (page, customer) VALUES ('{session}', {n}), ('{session}', {other})"
                )
            }
            _ => "INSERT INTO units (name) VALUES (NULL), (NULL)".to_owned(),
        };
        conn.query_drop(sql).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_proxies_at_once_give_no_number_twice() {
    let ground = Ground::new("ai_two", 2).await;
    let mut at_work = tokio::task::JoinSet::new();
    for session in 0..8 {
        let conn = ground.connect(session % 2).await;
        at_work.spawn(insert_many(conn, session));
    }
    at_work.join_all().await;
    assert_eq!(ground.numbers("tickets").await.len(), 8 * 50);
    assert_eq!(ground.numbers("visits").await.len(), 8 * 20);
    assert_eq!(ground.numbers("units").await.len(), 8 * 20);
}

#[tokio::test]
async fn an_explicit_number_inside_anothers_block_is_not_given_any_more() {
    let ground = Ground::new("ai_inside", 2).await;
    let (mut one, mut other) = (ground.connect(0).await, ground.connect(1).await);
    one.query_drop("INSERT INTO visits (page, customer) VALUES ('a', 1)").await.unwrap();
    other.query_drop("INSERT INTO visits (page, customer) VALUES ('b', 1)").await.unwrap();
    let generation = ground.sequence("visits").await.generation;
    // The first proxy holds 2 to 62 or so.
    other
        .query_drop("INSERT INTO visits (id, page, customer) VALUES (10, 'c', 2), (12, 'd', 3)")
        .await
        .unwrap();
    assert!(ground.sequence("visits").await.generation > generation);
    for n in 0..60 {
        one.query_drop(format!("INSERT INTO visits (page, customer) VALUES ('e', {n})")).await.unwrap();
        other.query_drop(format!("INSERT INTO visits (page, customer) VALUES ('f', {n})")).await.unwrap();
    }
    assert_eq!(ground.numbers("visits").await.len(), 124);
}

#[tokio::test]
async fn proxies_that_crash_and_come_again_leave_gaps_alone() {
    let mut ground = Ground::apart("ai_crash", 2).await;
    for round in 0..3 {
        let proxy = if round == 0 { 0 } else { ground.add_proxy().await };
        let mut conn = ground.connect(proxy).await;
        let mut other = ground.connect(1).await;
        for n in 0..10 {
            conn.query_drop(format!("INSERT INTO visits (page, customer) VALUES ('{round}', {n})"))
                .await
                .unwrap();
            other
                .query_drop(format!("INSERT INTO visits (page, customer) VALUES ('o{round}', {n})"))
                .await
                .unwrap();
        }
        ground.crash_proxy(proxy);
    }
    assert_eq!(ground.numbers("visits").await.len(), 60);
}

#[tokio::test]
async fn an_update_above_the_mark_is_not_met_by_a_later_number() {
    let ground = Ground::new("ai_update", 2).await;
    let (mut one, mut other) = (ground.connect(0).await, ground.connect(1).await);
    one.query_drop("INSERT INTO visits (page, customer) VALUES ('a', 1)").await.unwrap();
    other.query_drop("INSERT INTO visits (page, customer) VALUES ('b', 2)").await.unwrap();
    let next = ground.sequence("visits").await.next;
    for (n, id) in (next - 3..next + 3).enumerate() {
        let sql = format!("INSERT INTO visits (page, customer) VALUES ('x', {})", n + 10);
        one.query_drop(sql).await.unwrap();
        one.query_drop(format!("UPDATE visits SET id = {id} WHERE customer = {} AND page = 'x'", n + 10))
            .await
            .unwrap();
    }
    for n in 0..80 {
        other.query_drop(format!("INSERT INTO visits (page, customer) VALUES ('c', {n})")).await.unwrap();
    }
    ground.numbers("visits").await;
}
