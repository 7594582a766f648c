//! Views on the home shard's server see that server's rows alone: none is made of a table that several shards have, no table comes to be one that a view uses, and what comes to
//! be so beside Podway is seen and refused.

use mysql_async::prelude::Queryable;
use podway_model::DriftSubject;
use podway_tests::{Pod, eventually_async};
use podway_topology_api::{Command, Done, DriftCommand, OperationState};

use crate::ground::{DEADLINE, Ground, refusal};

const COUNTRIES: &str = "CREATE TABLE lands (id BIGINT PRIMARY KEY, v INT) COMMENT 'podway: reference'";

impl Ground {
    /// Has the shards compared now: the views of this keyspace that are told of, and whether statements on each are refused. Returns when the proxy has the marks.
    async fn drifts(&self) -> Vec<(String, String, bool)> {
        let Done::CheckAsked(asked) = self.propose(Command::Drift(DriftCommand::Check)).await else {
            panic!("it was not asked");
        };
        let view = eventually_async(DEADLINE, "the shards are compared", async || {
            let view = self.view().await;
            (view.checks.answered >= asked).then_some(view)
        })
        .await;
        assert!(view.checks.unread.is_empty(), "{:?}", view.checks.unread);
        self.proxies_have(view.revision).await;
        let of = |subject: &DriftSubject| match subject {
            DriftSubject::Table { table, .. } => table.to_string(),
            DriftSubject::Server(_) => String::new(),
        };
        let marks = view.drifts.iter();
        marks.map(|drift| (of(&drift.subject), drift.what.to_string(), drift.stops_pinning)).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_view_is_made_of_a_table_that_several_shards_have() {
    let ground = Ground::new(Pod::shared().await, "ddl_view", 2, 1).await;
    let mut conn = ground.connect(0).await;
    for sql in [
        COUNTRIES,
        "CREATE TABLE t (id BIGINT PRIMARY KEY, v INT) COMMENT 'podway: shard by (id)'",
        "CREATE TABLE notes (id BIGINT PRIMARY KEY, v INT)",
        "INSERT INTO notes VALUES (1, 1), (2, 2)",
        "CREATE VIEW of_notes AS SELECT * FROM notes",
        "CREATE VIEW of_view AS SELECT * FROM of_notes",
        "INSERT INTO of_view VALUES (3, 3)",
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    for (sql, named) in [
        ("CREATE VIEW x AS SELECT * FROM lands", "reference table lands"),
        ("CREATE OR REPLACE VIEW of_notes AS SELECT * FROM lands", "reference table lands"),
        ("ALTER VIEW of_notes AS SELECT * FROM lands", "reference table lands"),
        ("CREATE VIEW x AS SELECT n.* FROM notes n JOIN lands l ON n.id = l.id", "reference table lands"),
        ("CREATE VIEW x AS SELECT 1 FROM notes WHERE EXISTS (SELECT 1 FROM lands)", "reference table lands"),
        ("CREATE VIEW x AS WITH c AS (SELECT * FROM lands) SELECT * FROM c", "reference table lands"),
        ("CREATE VIEW x AS SELECT (SELECT COUNT(*) FROM t) AS n", "sharded table t"),
        ("CREATE VIEW x AS SELECT * FROM t WHERE id = 1", "sharded table t"),
        ("CREATE VIEW x AS SELECT * FROM notes UNION SELECT * FROM t", "sharded table t"),
    ] {
        let (code, text) = refusal(&mut conn, sql).await;
        assert!(code == 1235 && text.contains(named), "{sql}: {code} {text}");
    }
    let rows: Vec<i64> = conn.query("SELECT id FROM of_view ORDER BY id").await.unwrap();
    assert_eq!(rows, [1, 2, 3]);
    assert_eq!(ground.drifts().await, [], "views on home tables are nothing to tell");
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_table_comes_to_be_on_several_shards_that_a_view_at_home_uses() {
    let ground = Ground::new(Pod::shared().await, "ddl_viewed", 3, 1).await;
    let mut conn = ground.connect(0).await;
    // The view stays when its table goes, and takes the next one of that name.
    for sql in [
        "CREATE TABLE hv (id BIGINT PRIMARY KEY, v INT)",
        "CREATE VIEW vv AS SELECT * FROM hv",
        "DROP TABLE hv",
        "CREATE TABLE t (id BIGINT PRIMARY KEY, v INT) COMMENT 'podway: shard by (id)'",
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    let sharded = "CREATE TABLE hv (id BIGINT PRIMARY KEY, v INT) COMMENT 'podway: shard by (id)'";
    let reference =
        "CREATE TABLE IF NOT EXISTS hv (id BIGINT PRIMARY KEY, v INT) COMMENT 'podway: reference'";
    for sql in [sharded, reference, "RENAME TABLE t TO hv", "ALTER TABLE t RENAME hv"] {
        let (code, text) = refusal(&mut conn, sql).await;
        assert!(code == 1235 && text.contains("`vv` on server"), "{sql}: {code} {text}");
        assert_eq!(ground.last().await.state, OperationState::Refused, "{sql}: nothing is half done");
        assert_eq!(ground.columns("hv").await, vec![Vec::<String>::new(); 3], "{sql}");
        assert_eq!(ground.known("hv").await, None);
    }
    // A table that is there.
    for shard in 0..3 {
        ground.on_shard::<u64>(shard, "CREATE TABLE {}.hv (id BIGINT PRIMARY KEY, v INT)").await;
    }
    for sql in ["ALTER PODWAY TABLE hv SHARD BY (id)", "ALTER PODWAY TABLE hv REFERENCE"] {
        let (code, text) = refusal(&mut conn, sql).await;
        assert!(code == 1105 && text.contains("`vv` on server"), "{sql}: {code} {text}");
    }
    conn.query_drop("DROP VIEW vv").await.unwrap();
    conn.query_drop("ALTER PODWAY TABLE hv SHARD BY (id)").await.unwrap();
    for id in 1..=4 {
        conn.query_drop(format!("INSERT INTO hv VALUES ({id}, 1)")).await.unwrap();
    }
    let count: Option<u64> = conn.query_first("SELECT COUNT(*) FROM hv").await.unwrap();
    assert_eq!(count, Some(4));
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_was_made_beside_podway_is_told_of_and_refused_until_it_is_dropped() {
    let ground = Ground::new(Pod::shared().await, "ddl_beside", 2, 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop(COUNTRIES).await.unwrap();
    conn.query_drop("CREATE TABLE t (id BIGINT PRIMARY KEY, v INT) COMMENT 'podway: shard by (id)'")
        .await
        .unwrap();
    for id in 1..=8 {
        conn.query_drop(format!("INSERT INTO t VALUES ({id}, 1)")).await.unwrap();
    }
    for sql in [
        "CREATE VIEW {}.vt AS SELECT * FROM {}.t",
        "CREATE VIEW {}.vvt AS SELECT * FROM {}.vt",
        "CREATE VIEW {}.vl AS SELECT * FROM {}.lands",
        "CREATE VIEW {}.well AS SELECT 1 AS one",
    ] {
        ground.on_shard::<u64>(0, sql).await;
    }
    let marked = ground.drifts().await;
    let names: Vec<&str> = marked.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names, ["vl", "vt", "vvt"], "{marked:?}");
    assert!(marked.iter().all(|(_, what, stops)| what.contains("a view that uses") && *stops), "{marked:?}");
    for sql in [
        "SELECT * FROM vt",
        "SELECT COUNT(*) FROM vvt",
        "INSERT INTO vt VALUES (5, 5)",
        "UPDATE vl SET v = 1",
        "DELETE FROM vt",
        "DELETE FROM vt WHERE id = 1",
        "CREATE VIEW more AS SELECT * FROM vt",
    ] {
        let (code, text) = refusal(&mut conn, sql).await;
        assert!(code == 1235 && text.contains("SHOW PODWAY DRIFT"), "{sql}: {code} {text}");
    }
    let one: Option<u64> = conn.query_first("SELECT one FROM well").await.unwrap();
    assert_eq!(one, Some(1));
    conn.query_drop("DROP VIEW vt, vvt, vl").await.unwrap();
    assert_eq!(ground.drifts().await, []);
    let (code, text) = refusal(&mut conn, "SELECT * FROM vt").await;
    assert_eq!(code, 1146, "{text}");
    ground.close().await;
}
