//! What information_schema says over several shards is what one MySQL would say: one row for a table, databases by the names that clients know, numbers of all shards.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};
use podway::provision::Declaration;
use podway_model::ShardIndex;
use podway_tests::{TestKeyspace, is_left_out};
use tokio::sync::OnceCell;

use crate::tables::KINDS;
use crate::world::{Both, World, refusal, until_running, world};

/// A keyspace that none of its shards' schemas is named like.
const RENAMED: &str = "catalogued";
const TABLES: [(&str, &str); 4] = [
    (
        "parent",
        "CREATE TABLE parent (id BIGINT PRIMARY KEY, label VARCHAR(20) DEFAULT 'none' COMMENT 'a label', KEY by_label (label))",
    ),
    (
        "child",
        "CREATE TABLE child (parent_id BIGINT, id BIGINT, at TIMESTAMP NULL, size ENUM('s','l') NOT NULL, PRIMARY KEY (parent_id, id), \
         CONSTRAINT of_parent FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE, CHECK (id > 0))",
    ),
    ("kinds_of", "CREATE TABLE kinds_of (code CHAR(2) PRIMARY KEY, name VARCHAR(10))"),
    ("lonely", "CREATE TABLE lonely (id INT PRIMARY KEY, note TEXT) PARTITION BY HASH (id) PARTITIONS 2"),
];

/// Both sides, with the renamed keyspace's tables on them.
async fn catalogued() -> &'static World {
    static MADE: OnceCell<TestKeyspace<'static>> = OnceCell::const_new();
    let world = world().await;
    MADE.get_or_init(|| async move {
        let names = ["catalogued__2", "catalogued__3", "catalogued__4"];
        let keyspace = world.keyspace.pod.keyspace_named(RENAMED, &names).await.unwrap();
        let mut theirs = world.single().await;
        theirs.query_drop(format!("CREATE DATABASE {RENAMED}")).await.unwrap();
        theirs.query_drop(format!("USE {RENAMED}")).await.unwrap();
        let lies = [
            Declaration::sharded_by(&["id"]),
            Declaration::sharded_by(&["parent_id"]),
            Declaration::Reference,
            Declaration::Home,
        ];
        for ((name, definition), lies) in TABLES.into_iter().zip(lies) {
            theirs.query_drop(definition).await.unwrap();
            keyspace.create_table(definition, name, lies).await.unwrap();
        }
        let view = "CREATE VIEW seen AS SELECT id, note FROM lonely";
        theirs.query_drop(view).await.unwrap();
        let mut ours = Conn::new(world.options().db_name(Some(RENAMED))).await.unwrap();
        ours.query_drop(view).await.unwrap();
        keyspace
    })
    .await;
    world
}

/// Sessions in the renamed keyspace's database.
async fn both() -> Both {
    let mut both = catalogued().await.both().await;
    // What is computed of names has the lengths and decimals that a table's columns have.
    both.compares_types = false;
    for conn in [&mut both.ours, &mut both.theirs] {
        conn.query_drop(format!("USE {RENAMED}")).await.unwrap();
    }
    both
}

/// What clients ask information_schema, by the client.
const ASKED: [&str; 22] = [
    // Rails
    "SELECT fk.referenced_table_name AS 'to_table', fk.referenced_column_name AS 'primary_key', fk.column_name AS 'column', fk.constraint_name AS 'name', rc.update_rule AS 'on_update', rc.delete_rule AS 'on_delete' FROM information_schema.referential_constraints rc JOIN information_schema.key_column_usage fk USING (constraint_schema, constraint_name) WHERE fk.referenced_column_name IS NOT NULL AND fk.table_schema = DATABASE() AND fk.table_name = 'child' AND rc.constraint_schema = DATABASE() AND rc.table_name = 'child'",
    "SELECT column_name FROM information_schema.statistics WHERE index_name = 'PRIMARY' AND table_schema = DATABASE() AND table_name = 'child' ORDER BY seq_in_index",
    "SELECT table_name FROM (SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE()) _subquery WHERE _subquery.table_type = 'BASE TABLE' ORDER BY table_name",
    "SELECT table_comment FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'lonely'",
    // Prisma
    "SELECT DISTINCT BINARY table_info.table_name AS table_name FROM information_schema.tables AS table_info JOIN information_schema.columns AS column_info ON BINARY column_info.table_name = BINARY table_info.table_name WHERE table_info.table_schema = 'catalogued' AND column_info.table_schema = 'catalogued' AND table_info.table_type = 'BASE TABLE' ORDER BY BINARY table_info.table_name",
    "SELECT column_name column_name, data_type data_type, column_type full_data_type, character_maximum_length character_maximum_length, numeric_precision numeric_precision, numeric_scale numeric_scale, datetime_precision datetime_precision, column_default column_default, is_nullable is_nullable, extra extra, table_name table_name, IF(column_comment = '', NULL, column_comment) AS column_comment FROM information_schema.columns WHERE table_schema = 'catalogued' ORDER BY table_name, ordinal_position",
    "SELECT DISTINCT index_name AS index_name, non_unique AS non_unique, column_name AS column_name, seq_in_index AS seq_in_index, table_name AS table_name, sub_part AS partial, collation AS column_order, index_type AS index_type FROM information_schema.statistics WHERE table_schema = 'catalogued' ORDER BY BINARY table_name, BINARY index_name, seq_in_index",
    // sqlalchemy and Hibernate
    "SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE (table_schema, table_name, LOWER(column_name)) IN (('catalogued', 'parent', 'id'))",
    "SELECT table_name, column_name, referenced_table_schema, referenced_table_name FROM information_schema.key_column_usage WHERE table_schema = SCHEMA() AND referenced_table_name IS NOT NULL",
    // phpMyAdmin and Workbench
    "SELECT v.table_schema, `TABLE_NAME` AS `Name`, v.view_definition, v.is_updatable FROM information_schema.views AS v WHERE v.table_schema = 'catalogued'",
    "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME FROM information_schema.schemata WHERE schema_name LIKE 'catal%' OR schema_name IN ('gathered', 'mysql', 'sys', 'catalogued__2') ORDER BY schema_name",
    "SELECT s.schema_name, COUNT(t.table_name) FROM information_schema.schemata s LEFT JOIN information_schema.tables t ON t.table_schema = s.schema_name WHERE s.schema_name LIKE 'catal%' GROUP BY s.schema_name ORDER BY 1",
    "SELECT CONCAT(table_schema, '.', table_name) AS whole FROM information_schema.tables WHERE table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema', 'gathered') AND table_schema LIKE 'c%' ORDER BY whole",
    "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema LIKE 'catalogued%'",
    "SELECT table_schema, COUNT(*) FROM information_schema.tables WHERE table_schema LIKE '%catalogued%' OR table_schema = 'sys' GROUP BY table_schema WITH ROLLUP",
    "SELECT partition_name, partition_method, partition_expression FROM information_schema.partitions WHERE table_schema = 'catalogued' AND table_name = 'lonely' ORDER BY partition_name",
    "SELECT constraint_name, check_clause FROM information_schema.check_constraints WHERE constraint_schema = DATABASE()",
    "SELECT tc.constraint_name, tc.constraint_type, cc.check_clause FROM information_schema.table_constraints tc LEFT JOIN information_schema.check_constraints cc USING (constraint_schema, constraint_name) WHERE tc.table_schema = 'catalogued' ORDER BY 1, 2",
    "TABLE information_schema.collation_character_set_applicability ORDER BY collation_name LIMIT 3",
    "WITH mine AS (SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()) SELECT name, (SELECT COUNT(*) FROM information_schema.columns c WHERE c.table_schema = DATABASE() AND c.table_name = mine.name) AS columns_of FROM mine ORDER BY name",
    "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND EXISTS (SELECT 1 FROM information_schema.statistics s WHERE s.table_schema = tables.table_schema AND s.table_name = tables.table_name AND s.index_name = 'by_label')",
    "SELECT c.character_set_name, COUNT(*) FROM information_schema.character_sets c JOIN information_schema.columns k ON k.character_set_name = c.character_set_name WHERE k.table_schema = 'catalogued' GROUP BY 1 ORDER BY 1",
];

#[tokio::test]
async fn what_clients_ask_is_answered_as_one_mysql_answers_it() {
    let mut both = both().await;
    for sql in ASKED {
        both.same(sql).await;
    }
    for schema in [RENAMED, "catalogued__2", "mysql"] {
        let sql = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = ? AND table_name <> 'x' ORDER BY table_name LIMIT 9";
        both.same_prepared(sql, &[Value::from(schema)]).await;
    }
    both.end();
}

#[tokio::test]
async fn the_same_is_answered_in_other_databases_in_none_and_in_transactions() {
    let mut both = both().await;
    for sql in [
        "USE gathered",
        "USE information_schema",
        "SET autocommit = 0",
        "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
    ] {
        for conn in [&mut both.ours, &mut both.theirs] {
            conn.query_drop(sql).await.unwrap();
        }
        for sql in &ASKED[4..18] {
            if !sql.contains("DATABASE()") && !sql.contains("SCHEMA()") {
                both.same(sql).await;
            }
        }
    }
    for conn in [&mut both.ours, &mut both.theirs] {
        conn.query_drop("USE information_schema").await.unwrap();
    }
    both.same("SELECT table_name FROM tables WHERE table_schema = 'catalogued' ORDER BY 1").await;
    both.same("SELECT COUNT(*) > 50 FROM tables WHERE table_schema = DATABASE()").await;
    both.end();
}

#[tokio::test]
async fn numbers_of_a_sharded_table_are_those_of_all_shards() {
    if is_left_out("statistics that are made beside the proxy") {
        return;
    }
    let world = world().await;
    let mut sizes = 0;
    for shard in 0..4 {
        world.keyspace.on_shard(ShardIndex(shard), "ANALYZE TABLE kinds, countries, parted").await.unwrap();
        let mut direct = world.keyspace.direct(ShardIndex(shard)).await.unwrap();
        direct.query_drop("SET information_schema_stats_expiry = 0").await.unwrap();
        let line: Row = direct.query_first("SHOW TABLE STATUS LIKE 'kinds'").await.unwrap().unwrap();
        sizes += line.get::<u64, _>("Data_length").unwrap();
    }
    let mut both = world.both().await;
    both.theirs.query_drop("ANALYZE TABLE kinds, countries, customers, parted").await.unwrap();
    for conn in [&mut both.ours, &mut both.theirs] {
        conn.query_drop("SET information_schema_stats_expiry = 0").await.unwrap();
    }
    for sql in [
        "SELECT table_name, table_rows FROM information_schema.tables WHERE table_schema = 'gathered' AND table_name IN ('kinds', 'countries') ORDER BY 1",
        "SELECT SUM(table_rows) > 40 FROM information_schema.tables WHERE table_schema = DATABASE()",
        "SELECT partition_name, table_rows FROM information_schema.partitions WHERE table_name = 'parted' AND table_schema = 'gathered' ORDER BY 1",
        "SELECT table_name, cardinality FROM information_schema.statistics WHERE table_schema = 'gathered' AND index_name = 'PRIMARY' AND table_name IN ('kinds', 'countries') ORDER BY 1",
        "SELECT t.table_name, t.table_rows, s.index_name FROM information_schema.tables t JOIN information_schema.statistics s USING (table_schema, table_name) WHERE t.table_schema = DATABASE() AND t.table_name = 'kinds'",
    ] {
        both.same(sql).await;
    }
    let kept = "SELECT COUNT(*) FROM kinds";
    let rows: Option<u64> = both.ours.query_first(kept).await.unwrap();
    for sql in ["SHOW INDEX FROM kinds", "SHOW KEYS IN kinds FROM gathered"] {
        let line: Row = both.ours.query_first(sql).await.unwrap().unwrap();
        assert_eq!(line.get::<u64, _>("Cardinality"), rows, "{sql}");
        let prepared: Row = both.ours.exec_first(sql, ()).await.unwrap().unwrap();
        assert_eq!(prepared.get::<u64, _>("Cardinality"), rows, "{sql}");
    }
    let line: Row = both
        .ours
        .query_first("SHOW TABLE STATUS WHERE Name = 'kinds' AND `Rows` > 40")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((line.get::<u64, _>("Rows"), line.get::<u64, _>("Data_length")), (Some(KINDS), Some(sizes)));
    let of = "SELECT data_length, avg_row_length FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'kinds'";
    let (bytes, mean): (u64, u64) = both.ours.query_first(of).await.unwrap().unwrap();
    assert_eq!((bytes, mean), (sizes, sizes / KINDS));
    let all = "SELECT * FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name";
    let (ours, theirs): (Vec<Row>, Vec<Row>) =
        (both.ours.query(all).await.unwrap(), both.theirs.query(all).await.unwrap());
    let names =
        |rows: &[Row]| -> Vec<String> { rows.iter().map(|row| row.get("TABLE_NAME").unwrap()).collect() };
    assert_eq!(names(&ours), names(&theirs));
    both.end();
}

#[tokio::test]
async fn a_database_of_its_own_name_is_told_of_by_its_home_shard() {
    let mut both = world().await.both().await;
    for sql in [
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'kinds' ORDER BY ordinal_position",
        "SELECT c.column_name FROM information_schema.tables t JOIN information_schema.columns c USING (table_schema, table_name) WHERE t.table_schema = 'gathered' AND t.table_name = 'orders' ORDER BY c.column_name",
    ] {
        both.same(sql).await;
    }
    let sql =
        "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_name = 'kinds'";
    both.same_executed(sql, &[&[Value::from("gathered")], &[Value::from("nowhere")], &[Value::NULL]]).await;
    both.end();
}

#[tokio::test]
async fn show_says_it_too() {
    let mut both = both().await;
    for sql in [
        "SHOW DATABASES LIKE 'catalogued%'",
        "SHOW SCHEMAS WHERE `Database` IN ('gathered', 'catalogued', 'catalogued__2', 'sys')",
        "SHOW TABLE STATUS WHERE Comment = 'VIEW' OR Name = 'kinds_of' AND Data_length > 0 AND 1 = 2",
        "SHOW TABLE STATUS FROM gathered WHERE Name = 'nothing' AND `Rows` = 0 AND Engine IS NULL",
    ] {
        both.same_rows(sql).await;
    }
    let all: Vec<String> = both.ours.query("SHOW DATABASES").await.unwrap();
    let prepared: Vec<String> = both.ours.exec("SHOW DATABASES", ()).await.unwrap();
    assert_eq!(all, prepared);
    assert!(all.contains(&RENAMED.to_owned()) && all.is_sorted(), "{all:?}");
    assert!(
        all.iter().all(|name| !name.contains("__") && name != "_podway" && name != "gathered_b"),
        "{all:?}"
    );
    let heading: Row = both.ours.query_first("SHOW DATABASES LIKE 'catalogued%'").await.unwrap().unwrap();
    assert_eq!(heading.columns_ref()[0].name_str(), "Database (catalogued%)");
    both.end();
}

#[tokio::test]
async fn no_physical_name_and_nothing_of_podways_is_seen() {
    let world = catalogued().await;
    // Who may do everything sees everything that there is to see.
    let mut admin = Conn::new(world.options()).await.unwrap();
    for sql in [
        "SELECT GROUP_CONCAT(schema_name) FROM information_schema.schemata",
        "SELECT GROUP_CONCAT(table_schema, table_name) FROM information_schema.tables",
        "SELECT GROUP_CONCAT(table_schema, index_schema) FROM information_schema.statistics",
        "SELECT GROUP_CONCAT(constraint_schema, IFNULL(referenced_table_schema, '')) FROM information_schema.key_column_usage",
        "SELECT GROUP_CONCAT(unique_constraint_schema) FROM information_schema.referential_constraints",
        "SELECT GROUP_CONCAT(view_definition) FROM information_schema.views",
    ] {
        admin.query_drop("SET group_concat_max_len = 1000000").await.unwrap();
        let said: String = admin.query_first(sql).await.unwrap().unwrap();
        let prepared: String = admin.exec_first(sql, ()).await.unwrap().unwrap();
        for said in [said, prepared] {
            assert!(
                !said.contains("_podway") && !said.contains("__") && !said.contains("gathered_b"),
                "{sql}: {said}"
            );
            assert!(said.contains("catalogued") || said.contains("gathered"), "{sql}: {said}");
        }
    }
}

#[tokio::test]
async fn what_one_shard_knows_goes_there_and_the_rest_is_explained() {
    let mut ours = catalogued().await.proxied().await;
    for (sql, way) in [
        ("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()", "one shard"),
        ("SELECT table_name FROM information_schema.tables WHERE table_schema = 'gathered'", "one shard"),
        ("SELECT COUNT(*) FROM information_schema.collations", "one shard"),
        (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'catalogued'",
            "finished in MySQL",
        ),
        (
            "SELECT table_rows FROM information_schema.tables WHERE table_schema = DATABASE()",
            "finished in MySQL",
        ),
        ("SELECT schema_name FROM information_schema.schemata", "finished in MySQL"),
    ] {
        let said: String = ours.query_first(format!("EXPLAIN FORMAT=PODWAY {sql}")).await.unwrap().unwrap();
        assert!(said.starts_with(&format!("way: {way}\n")), "{sql}: {said}");
        let analyzed: String =
            ours.query_first(format!("EXPLAIN ANALYZE FORMAT=PODWAY {sql}")).await.unwrap().unwrap();
        assert!(analyzed.contains("result: "), "{sql}: {analyzed}");
    }
}

#[tokio::test]
async fn kill_query_ends_them_with_mysqls_error() {
    let world = world().await;
    let mark = "catalogue_that_is_killed";
    let mut ours = world.proxied().await;
    let id = ours.id();
    let sql = format!(
        "SELECT SLEEP(20), table_rows, '{mark}' FROM information_schema.tables WHERE table_schema = DATABASE()"
    );
    let run = tokio::spawn(async move { ours.query_drop(sql).await });
    until_running(world.keyspace.pod, mark).await;
    world.proxied().await.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    assert_eq!(refusal(run.await.unwrap().unwrap_err()).0, 1317);
    // Whenever it comes, SHOW TABLE STATUS answers or is interrupted.
    let mut killed = world.proxied().await;
    let mut killer = world.proxied().await;
    let id = killed.id();
    for _ in 0..40 {
        let (answer, _) = tokio::join!(
            killed.query::<Row, _>("SHOW TABLE STATUS"),
            killer.query_drop(format!("KILL QUERY {id}"))
        );
        if let Err(error) = answer {
            assert_eq!(refusal(error).0, 1317);
        }
    }
}
