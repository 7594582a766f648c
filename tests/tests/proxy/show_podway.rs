//! SHOW PODWAY, for whoever may see all sessions.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use podway_tests::{Grant, Password, User};

use crate::shop::shop;

async fn cells(conn: &mut Conn, topic: &str) -> Vec<Vec<String>> {
    let rows: Vec<Row> = conn.query(format!("SHOW PODWAY {topic}")).await.unwrap();
    let cell = |value: mysql_async::Value| value.as_sql(true).trim_matches('\'').to_owned();
    rows.into_iter().map(|row| row.unwrap().into_iter().map(cell).collect()).collect()
}

#[tokio::test]
async fn the_cluster_and_the_proxy_are_shown_as_rows() {
    let keyspace = shop("shown", 3).await;
    let mut conn = keyspace.connect().await.unwrap();
    let of_shop =
        |rows: Vec<Vec<String>>| rows.into_iter().filter(|row| row[0] == "shown").collect::<Vec<_>>();
    let shards = of_shop(cells(&mut conn, "shards").await);
    let ranges: Vec<&str> = shards.iter().map(|row| row[2].as_str()).collect();
    assert_eq!(ranges, ["-5558", "5558-aaac", "aaac-"], "{shards:?}");
    assert_eq!((shards[2][4].as_str(), shards[2][6].as_str()), ("shown__2", "serving"));
    let tables = of_shop(cells(&mut conn, "TABLES").await);
    let kinds: Vec<[&str; 3]> =
        tables.iter().map(|row| [row[1].as_str(), row[2].as_str(), row[3].as_str()]).collect();
    assert_eq!(
        kinds,
        [
            ["countries", "reference", "NULL"],
            ["customers", "sharded", "id"],
            ["orders", "sharded", "customer_id"],
            ["settings", "home", "NULL"]
        ]
    );
    assert_eq!(of_shop(cells(&mut conn, "keyspaces").await)[0][1..3], ["3", "4"]);
    assert!(cells(&mut conn, "servers").await.len() >= 3);
    let metrics = cells(&mut conn, "metrics").await;
    let metric = |name: &str| metrics.iter().find(|row| row[0] == name).unwrap()[1].parse::<u64>().unwrap();
    assert!(metric("statements") > 80 && metric("map_is_live") == 1 && metric("map_revision") > 0);
    assert!(cells(&mut conn, "settings").await.is_empty());
    let unknown = conn.query_drop("SHOW PODWAY nonsense").await.unwrap_err().to_string();
    assert!(unknown.contains("1064") && unknown.contains("SHARDS"), "{unknown}");
}

#[tokio::test]
async fn a_user_who_may_not_see_all_sessions_is_refused() {
    let keyspace = shop("shown_to_few", 2).await;
    let grants = vec![Grant { privileges: "SELECT".to_owned(), keyspace: Some(keyspace.name.clone()) }];
    let user = User { grants, ..User::new("shown_to_few", Password::Sha2("a password".to_owned())) };
    keyspace.pod.add_user(user).await.unwrap();
    let options = keyspace.pod.client_options().user(Some("shown_to_few")).pass(Some("a password"));
    let mut conn = Conn::new(options).await.unwrap();
    let refused = conn.query_drop("SHOW PODWAY SHARDS").await.unwrap_err().to_string();
    assert!(refused.contains("1227"), "{refused}");
}
