//! SHOW TABLE STATUS has a line per table, with what all shards have of it.

use mysql_async::Row;
use mysql_async::prelude::Queryable;
use podway_model::ShardIndex;
use podway_tests::is_left_out;

use crate::tables::KINDS;
use crate::world::world;

#[tokio::test]
async fn a_sharded_tables_line_is_about_all_its_rows() {
    if is_left_out("statistics that are made beside the proxy") {
        return;
    }
    let world = world().await;
    let mut sizes = 0;
    for shard in 0..4 {
        world.keyspace.on_shard(ShardIndex(shard), "ANALYZE TABLE kinds, countries").await.unwrap();
        let mut direct = world.keyspace.direct(ShardIndex(shard)).await.unwrap();
        direct.query_drop("SET information_schema_stats_expiry = 0").await.unwrap();
        let line: Row = direct.query_first("SHOW TABLE STATUS LIKE 'kinds'").await.unwrap().unwrap();
        sizes += line.get::<u64, _>("Data_length").unwrap();
    }
    let mut both = world.both().await;
    both.theirs.query_drop("ANALYZE TABLE kinds, countries, customers").await.unwrap();
    for conn in [&mut both.ours, &mut both.theirs] {
        conn.query_drop("SET information_schema_stats_expiry = 0").await.unwrap();
        let line: Row = conn.query_first("SHOW TABLE STATUS LIKE 'kinds'").await.unwrap().unwrap();
        assert_eq!(line.get::<u64, _>("Rows"), Some(KINDS));
        let prepared: Row = conn.exec_first("SHOW TABLE STATUS LIKE 'kinds'", ()).await.unwrap().unwrap();
        assert_eq!(prepared.get::<u64, _>("Rows"), Some(KINDS));
    }
    let line: Row = both.ours.query_first("SHOW TABLE STATUS LIKE 'kinds'").await.unwrap().unwrap();
    let (bytes, mean): (u64, u64) = (line.get("Data_length").unwrap(), line.get("Avg_row_length").unwrap());
    assert_eq!((bytes, mean), (sizes, sizes / KINDS));
    // What is open stays open: it is asked for beside the transaction.
    both.ours.query_drop("BEGIN").await.unwrap();
    both.ours
        .query_drop("INSERT INTO nothing VALUES (81, 1, 'a'), (82, 1, 'b'), (83, 1, 'c')")
        .await
        .unwrap();
    both.ours.query_drop("SHOW TABLE STATUS").await.unwrap();
    let inside: Option<u64> = both.ours.query_first("SELECT COUNT(*) FROM nothing").await.unwrap();
    both.ours.query_drop("ROLLBACK").await.unwrap();
    let after: Option<u64> = both.ours.query_first("SELECT COUNT(*) FROM nothing").await.unwrap();
    assert_eq!((inside, after), (Some(3), Some(0)));
    // A copy counts once, and every table is there once, by the same names and columns.
    let names = "SHOW TABLE STATUS";
    let (ours, theirs): (Vec<Row>, Vec<Row>) =
        (both.ours.query(names).await.unwrap(), both.theirs.query(names).await.unwrap());
    let of = |rows: &[Row]| -> Vec<String> { rows.iter().map(|row| row.get("Name").unwrap()).collect() };
    assert_eq!(of(&ours), of(&theirs));
    let columns = |rows: &[Row]| -> Vec<String> {
        rows[0].columns_ref().iter().map(|column| column.name_str().into_owned()).collect()
    };
    assert_eq!(columns(&ours), columns(&theirs));
    let copies = |rows: &[Row]| -> Option<u64> {
        rows.iter().find(|row| row.get::<String, _>("Name").as_deref() == Some("countries"))?.get("Rows")
    };
    assert_eq!(copies(&ours), copies(&theirs));
}
