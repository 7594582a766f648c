//! What the rows of a query are, where they are inserted: MySQL's own values, errors and warnings; or a refusal.

use mysql_async::Value;
use mysql_async::prelude::Queryable;

use crate::world::World;

const DST: &str = "CREATE TABLE dst (k BIGINT PRIMARY KEY, a VARCHAR(60), vb VARBINARY(60), i BIGINT DEFAULT 7, db DOUBLE, y YEAR NULL, ts TIMESTAMP NULL)";
const DSTV: &str = "CREATE TABLE dstv (k VARCHAR(40) PRIMARY KEY, a VARCHAR(60))";
const PLAIN: &str = "CREATE TABLE plain (id BIGINT PRIMARY KEY, dt DATETIME, d3 DATETIME(3), t2 TIME(2), n VARCHAR(20), z INT(6) ZEROFILL, y YEAR, dd DOUBLE(10,2), ts TIMESTAMP NULL)";
const LATIN: &str = "CREATE TABLE latin (id BIGINT PRIMARY KEY, t VARCHAR(20) CHARACTER SET latin1)";
const WIDE: &str = "CREATE TABLE wide16 (id BIGINT PRIMARY KEY, t VARCHAR(20) CHARACTER SET utf16)";
const CP: &str = "CREATE TABLE cp (id BIGINT PRIMARY KEY, t VARCHAR(20) CHARACTER SET cp932)";

impl World {
    async fn filled(name: &str) -> World {
        let tables: [(&str, &str, &[&str]); 6] = [
            ("dst", DST, &["k"]),
            ("dstv", DSTV, &["k"]),
            ("plain", PLAIN, &["id"]),
            ("latin", LATIN, &["id"]),
            ("wide16", WIDE, &["id"]),
            ("cp", CP, &["id"]),
        ];
        let mut world = World::with(name, &tables).await;
        world.each("SET time_zone = '+00:00'").await;
        let rows: Vec<String> = (1..9)
            .map(|id| {
                format!(
                    "({id}, '2024-02-0{id} 01:02:03', '2024-02-0{id} 01:02:03.5', '01:02:03.25', 'abc', {id}, 2020, {id}.5, '1970-01-01 00:10:0{id}')"
                )
            })
            .collect();
        for sql in [
            format!("INSERT INTO plain VALUES {}", rows.join(", ")).as_str(),
            "INSERT INTO plain (id, n, y) VALUES (9, 'caf\u{e9}', 0)",
            "INSERT INTO latin VALUES (1, 'abc'), (2, 'caf\u{e9}')",
            "INSERT INTO wide16 VALUES (1, 'abc')",
            "INSERT INTO cp VALUES (1, 'abc'), (2, '\u{2252}')",
        ] {
            world.same(sql).await;
        }
        world
    }

    async fn each(&mut self, sql: &str) {
        for conn in [&mut self.ours, &mut self.theirs] {
            conn.query_drop(sql).await.unwrap();
        }
    }

    /// Podway does not do it.
    async fn refused(&mut self, sql: &str) {
        match self.ours.query_drop(sql).await {
            Err(mysql_async::Error::Server(error)) => assert_eq!(error.code, 1235, "{sql}: {error}"),
            other => panic!("{sql}: {other:?}"),
        }
    }

    async fn same_values(&mut self) {
        self.same("SELECT *, HEX(a), HEX(vb) FROM dst").await;
        self.same("SELECT * FROM dstv").await;
    }
}

#[tokio::test]
async fn values_are_stored_as_mysql_stores_them_or_refused() {
    let mut world = World::filled("scatter_query_values").await;
    for sql in [
        "INSERT INTO dst (k, i) SELECT id + 100, YEAR('0005-01-01') FROM plain",
        "INSERT INTO dst (k, y, a) SELECT id + 200, y, y FROM plain",
        "INSERT INTO dst (k, i) SELECT id + 300, z FROM plain",
        "INSERT INTO dst (k, a, vb) SELECT id + 400, 0x41, n FROM plain",
        "INSERT INTO dst (k, vb) SELECT id + 500, t FROM latin WHERE id = 1",
        "INSERT INTO dst (k, a) SELECT id + 600, t FROM latin",
        "INSERT INTO dst (k, a) SELECT id + 700, t FROM wide16",
        "INSERT INTO dst (k, a) SELECT id + 800, t FROM cp WHERE id = 1",
        "INSERT INTO dst (k, ts) SELECT id + 900, ts FROM plain",
        "INSERT INTO dst (k, db) SELECT id + 1000, id / 3e0 FROM plain",
        "INSERT INTO dstv SELECT t2, 'time' FROM plain WHERE id = 1",
        "INSERT INTO dstv SELECT d3, dt FROM plain WHERE id < 9",
        "INSERT INTO dst(SELECT 1100, 'in parentheses', NULL, 1, 1, 2000, NULL)",
        "REPLACE entries(TABLE entries)",
        "INSERT INTO entries SELECT id, 800, 'one' FROM accounts WHERE id IN (5, 5)",
        "INSERT INTO dst (k, i) SELECT 1200, SLEEP(0.02)",
    ] {
        world.same(sql).await;
        world.same_values().await;
    }
    for sql in [
        "INSERT INTO dstv SELECT y, 'year' FROM plain WHERE id = 9",
        "INSERT INTO dst (k, a) SELECT id + 2000, z FROM plain",
        "INSERT INTO dst (k, a) SELECT 2000, AVG(id) FROM plain",
        "INSERT INTO dst (k, i) SELECT id + 2000, 0x31 FROM plain",
        "INSERT INTO dst (k, vb) SELECT id + 2000, t FROM latin",
        "INSERT INTO dst (k, vb) SELECT id + 2000, t FROM wide16",
        "INSERT INTO dst (k, vb) SELECT id + 2000, CONVERT(n USING utf16) FROM plain",
        "INSERT INTO dst (k, a) SELECT id + 2000, t FROM cp",
        "INSERT INTO dst (k, db) SELECT id + 2000, PI() FROM plain",
        "INSERT INTO dst (k, db) SELECT id + 2000, dd FROM plain",
        "INSERT INTO dst (k, i) SELECT MAX(k) + 2000, DEFAULT(i) FROM dst GROUP BY i",
        "INSERT INTO dst (k, i) SELECT /*+ MAX_EXECUTION_TIME(100) */ id + 2000, 1 FROM plain",
        "INSERT INTO entries /*!80000 SELECT id + 1, 9, 'v' FROM accounts */",
        "UPDATE accounts SET id = /*!80000 id + */ 1 WHERE id = 3",
    ] {
        world.refused(sql).await;
    }
    // Before MySQL 8.4 this is an integer; from then on a year, of four digits as text.
    let year = "INSERT INTO dst (k, a) SELECT id + 2000, YEAR('0005-01-01') FROM plain";
    match world.theirs.server_version() < (8, 4, 0) {
        true => drop(world.same(year).await),
        false => world.refused(year).await,
    }
    world.same_values().await;
    let after = [Value::Int(0)];
    world.same_prepared("INSERT INTO dstv SELECT dt, 'x' FROM plain WHERE id > ? AND id < 9", &after).await;
    world.same_prepared("REPLACE INTO dstv SELECT d3, t2 FROM plain WHERE id > ? AND id < 9", &after).await;
    world
        .same_prepared("INSERT INTO dst (k, y, db) SELECT id + 3000, y, dd FROM plain WHERE id > ?", &after)
        .await;
    world.same_values().await;
    world.same("SELECT a FROM dstv WHERE k = '2024-02-03 01:02:03'").await;
    world.same("SELECT a FROM dstv WHERE k = '2024-02-03 01:02:03.500'").await;
}

#[tokio::test]
async fn warnings_of_queries_are_errors_in_strict_mode_and_warnings_else() {
    let mut world = World::filled("scatter_query_warnings").await;
    world.each("SET group_concat_max_len = 4").await;
    let warned = [
        "SELECT 1, 1/0",
        "SELECT 2, CAST('abc' AS SIGNED)",
        "SELECT id + 10, CAST(n AS SIGNED) FROM plain WHERE id < 3",
        "SELECT id + 20, 1 FROM plain WHERE n = 5 AND id < 9",
        "SELECT MAX(id) + 30, LENGTH(GROUP_CONCAT(n)) FROM plain WHERE id < 9",
        "SELECT 40, STR_TO_DATE('x', '%Y') IS NULL",
        "SELECT 50, LOG(-1) IS NULL",
        "SELECT id + 60, 1 FROM plain WHERE id < 5",
    ];
    for mode in ["STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE", ""] {
        world.each(&format!("SET sql_mode = '{mode}'")).await;
        for query in warned {
            world.same(&format!("INSERT INTO dst (k, i) {query}")).await;
        }
        world.same_values().await;
        for query in warned {
            world.same(&format!("INSERT IGNORE INTO dst (k, i) {query}")).await;
        }
        world.same_values().await;
        world.same("DELETE FROM dst").await;
    }
    world.each("SET sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO'").await;
    world.same("INSERT IGNORE INTO dst (k, i) SELECT 70, 1/0").await;
    world.same_warnings().await;
    world.each("SET max_execution_time = 1").await;
    world.same("INSERT INTO dst (k, i) SELECT 80, SLEEP(0.05)").await;
    world.each("SET max_execution_time = 0").await;
    world.same_values().await;
    world.same("CREATE TABLE homed (id INT AUTO_INCREMENT PRIMARY KEY, t TEXT)").await;
    world
        .same("INSERT INTO homed (t) SELECT REPEAT('x', 5000) FROM accounts a CROSS JOIN accounts b CROSS JOIN currencies")
        .await;
    world.same("SELECT LAST_INSERT_ID()").await;
}

#[tokio::test]
async fn executions_in_sql_have_their_variables_values() {
    let mut world = World::filled("scatter_query_execute").await;
    for sql in [
        "SET @one = 1, @minus = -1, @text = 'it''s', @bytes = CAST('a\u{e9}' AS BINARY), @latin = CONVERT('\u{e9}' USING latin1)",
        "SELECT HEX(@bytes)",
        "PREPARE p FROM 'UPDATE accounts SET amount = amount + 1 WHERE id > 3--? \n AND owner <> ''owner 16'''",
        "EXECUTE p USING @one",
        "EXECUTE p USING @minus",
        "PREPARE p FROM 'UPDATE accounts SET amount = amount -? WHERE id < 4'",
        "EXECUTE p USING @minus",
        "PREPARE p FROM 'UPDATE accounts SET owner = ? WHERE id = 5'",
        "EXECUTE p USING @latin",
        "EXECUTE p USING @text",
        "SELECT id, HEX(owner), amount FROM accounts",
    ] {
        world.same(sql).await;
    }
    for (sql, value) in [
        ("SELECT ? \"abc\" FROM accounts", "@text"),
        ("SELECT id, amount FROM accounts ORDER BY ?", "@one"),
        ("SELECT COUNT(*) FROM accounts GROUP BY ?", "@one"),
    ] {
        world.ours.query_drop(format!("PREPARE p FROM '{sql}'")).await.unwrap();
        world.refused(&format!("EXECUTE p USING {value}")).await;
    }
    world.each("SET @long = REPEAT('x', 5000000)").await;
    let markers = vec!["?"; 20].join(", ");
    world.ours.query_drop(format!("PREPARE p FROM 'SELECT CONCAT({markers}) FROM accounts'")).await.unwrap();
    let using = vec!["@long"; 20].join(", ");
    match world.ours.query_drop(format!("EXECUTE p USING {using}")).await {
        Err(mysql_async::Error::Server(error)) => assert_eq!(error.code, 1153),
        other => panic!("{other:?}"),
    }
    world.same("SELECT 1").await;
}

#[tokio::test]
async fn bits_are_the_bytes_of_a_text_and_take_no_computed_times() {
    let bits = "CREATE TABLE bits (k BIGINT PRIMARY KEY, b BIT(64) NULL, y YEAR NULL)";
    let mut world = World::with("query_bits", &[("bits", bits, &["k"]), ("latin", LATIN, &["id"])]).await;
    world.same("INSERT INTO latin VALUES (1, 'abc'), (2, 'caf\u{e9}')").await;
    world.same("INSERT INTO bits (k, b) SELECT id + 10, t FROM latin WHERE id = 1").await;
    for sql in [
        "INSERT INTO bits (k, b) SELECT id + 20, t FROM latin WHERE id = 2",
        "INSERT INTO bits (k, b) SELECT id + 30, SEC_TO_TIME(id) FROM latin",
        "INSERT INTO bits (k, y) SELECT id + 40, SEC_TO_TIME(1200 + id) FROM latin",
    ] {
        world.refused(sql).await;
    }
    world.same("SELECT k, HEX(b), y FROM bits ORDER BY k").await;
}
