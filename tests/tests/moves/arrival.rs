//! Everything of a schema arrives as it was: every type with its extreme values, every kind of column, key, partition, trigger and view, and who may do what.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use podway_model::ShardIndex;
use podway_tests::Pod;
use podway_topology::Moves;

use crate::ground::Ground;

const MOVING: ShardIndex = ShardIndex(1);
const SOURCE: u32 = 1;
const TARGET: u32 = 3;
const MOVED: &str = "moves_arrival_moved";

const MAKE: &[&str] = &[
    "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00'",
    "CREATE TABLE numbers (id INT AUTO_INCREMENT PRIMARY KEY, t TINYINT, s SMALLINT UNSIGNED, m MEDIUMINT, i INT(8) ZEROFILL, \
     b BIGINT, u BIGINT UNSIGNED, d DECIMAL(65,30), f FLOAT, g DOUBLE, h FLOAT(7,2), bits BIT(64), flag BIT(1), y YEAR)",
    "INSERT INTO numbers VALUES (0, -128, 65535, -8388608, 7, -9223372036854775808, 18446744073709551615, \
     -12345678901234567890123456789012345.123456789012345678901234567890, 1.1, 1.7976931348623157e308, 12345.67, b'1', b'1', 0)",
    "INSERT INTO numbers VALUES (5, 127, 0, 8388607, 0, 9223372036854775807, 0, 0, 16777217, 4.9e-324, -0.5, \
     0xFFFFFFFFFFFFFFFF, b'0', 2155), (6, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -0e0, -0e0, NULL, NULL, NULL, NULL), \
     (7, 1, 1, 1, 1, 1, 1, 0.1, 3.4028235e38, 0.1, 0.01, 0, b'1', 1901), (8, 0, 0, 0, 0, 0, 0, 0, 1.17549435e-38, 1e15, 0, 0, NULL, 1999)",
    "ALTER TABLE numbers AUTO_INCREMENT = 1000",
    "CREATE TABLE times (id INT PRIMARY KEY, d DATE, t TIME(6), dt DATETIME(6), dt3 DATETIME(3), ts TIMESTAMP(6) NULL, \
     changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
    "INSERT INTO times VALUES (1, '0000-00-00', '-838:59:59.000000', '0000-00-00 00:00:00', '1000-01-01', NULL, '2001-02-03 04:05:06'), \
     (2, '2024-02-31', '838:59:59', '9999-12-31 23:59:59.999999', '2024-01-01 00:00:00.123', '2038-01-19 03:14:07.999999', '1999-01-01'), \
     (3, '2024-00-00', '-00:00:00.000001', '2024-06-00 01:02:03.5', NULL, '1970-01-01 00:00:01', '1999-01-01')",
    "CREATE TABLE texts (id INT PRIMARY KEY, l VARCHAR(20) CHARACTER SET latin1, u VARCHAR(20) CHARACTER SET utf16, g VARCHAR(20) CHARACTER SET gb18030, \
     c CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, t LONGTEXT, k TINYTEXT CHARACTER SET cp1251, bi BINARY(4), vb VARBINARY(9), bl LONGBLOB, \
     e ENUM('', 'a', 'ä,''b') CHARACTER SET latin1, s SET('x', 'y', 'z'), j JSON)",
    "INSERT INTO texts VALUES (1, 'äöü\\'\\\\', '\u{1f600}x', '龘', 'a  ', '\u{1f600}\\0\\n', 'Привет', 'a', X'00FF27', X'FFFE00', '', 'x,z', '{\"a\": [1, 1.0, null, \"\u{1f600}\", 12345678901234567890]}'), \
     (2, '', '', '', '', '', '', '', '', '', 'ä,\\'b', '', '\"\"'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), \
     (4, ' ', ' ', ' ', ' ', REPEAT('long ', 300000), ' ', X'00', X'00', REPEAT(X'00', 1000000), 0, 'y', '[]')",
    "CREATE TABLE places (id INT PRIMARY KEY, any_kind GEOMETRY, p POINT NOT NULL SRID 4326, many GEOMETRYCOLLECTION, SPATIAL KEY (p))",
    "INSERT INTO places VALUES (1, ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'), ST_GeomFromText('POINT(52.5 13.4)', 4326), \
     ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')), (2, NULL, ST_GeomFromText('POINT(0 0)', 4326), NULL)",
    "CREATE TABLE parents (id INT, code VARCHAR(10), PRIMARY KEY (id), UNIQUE (code))",
    "CREATE TABLE children (id INT PRIMARY KEY, parent INT, next INT, code VARCHAR(10), CONSTRAINT to_parent FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE, \
     FOREIGN KEY (next) REFERENCES children (id), FOREIGN KEY (code) REFERENCES parents (code) ON UPDATE SET NULL)",
    "CREATE TABLE a_child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parents (id))",
    "INSERT INTO parents VALUES (1, 'x'), (2, NULL)",
    "SET SESSION foreign_key_checks = 0",
    "INSERT INTO children VALUES (1, 1, 2, 'x'), (2, NULL, 1, NULL)",
    "INSERT INTO a_child VALUES (1, 2)",
    "CREATE TABLE made (a INT, b INT AS (a * 2), c VARCHAR(30) AS (CONCAT('<', a, '>')) STORED NOT NULL, d INT INVISIBLE DEFAULT 9, e INT DEFAULT (a + 1), \
     CONSTRAINT positive CHECK (a > 0), KEY by_expression ((a + b)), KEY hidden (c) INVISIBLE, KEY part (c(5) DESC), FULLTEXT KEY words (c)) COMMENT 'it''s \\\\ here'",
    "INSERT INTO made (a, d) VALUES (1, 2), (3, NULL)",
    "CREATE TABLE parts (id INT, at DATE, PRIMARY KEY (id, at)) PARTITION BY RANGE (YEAR(at)) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 \
     (PARTITION before_2000 VALUES LESS THAN (2000), PARTITION later VALUES LESS THAN MAXVALUE)",
    "INSERT INTO parts VALUES (1, '1999-12-31'), (2, '2024-01-01')",
    "CREATE TABLE `odd ``name` (`a ``b` INT, `order` INT)",
    "INSERT INTO `odd ``name` VALUES (1, 2)",
    "CREATE TABLE heavy (id INT PRIMARY KEY, b LONGBLOB)",
    "INSERT INTO heavy WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) SELECT i, REPEAT(CHAR(i), 1000000) FROM n",
    "CREATE TABLE journal (n INT)",
    "CREATE TRIGGER second_of_two AFTER INSERT ON parents FOR EACH ROW INSERT INTO journal VALUES (NEW.id)",
    "CREATE TRIGGER first_of_two AFTER INSERT ON parents FOR EACH ROW PRECEDES second_of_two INSERT INTO journal VALUES (-NEW.id)",
    "SET SESSION sql_mode = 'ANSI_QUOTES'",
    "CREATE TRIGGER \"quoted\" BEFORE UPDATE ON parents FOR EACH ROW SET NEW.\"code\" = 'ü'",
    "SET SESSION sql_mode = ''",
    "CREATE VIEW z_base AS SELECT id, code FROM parents",
    "CREATE DEFINER = 'arriving'@'%' SQL SECURITY INVOKER VIEW a_view (x, y) AS SELECT id, CONCAT(code, 'ü') FROM z_base WHERE id > 0 WITH CHECK OPTION",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_and_every_kind_of_object_arrives_equal() {
    let ground = Ground::shop(Pod::shared().await, "moves_arrival", 2, Moves::default()).await;
    let schema = ground.keyspace.physical(MOVING);
    for server in [SOURCE, TARGET] {
        ground.server(server).await.query_drop("CREATE USER arriving, leaving_alone").await.unwrap();
    }
    let mut source = ground.server(SOURCE).await;
    source.query_drop(format!("USE `{schema}`")).await.unwrap();
    source.query_drop("SET NAMES utf8mb4").await.unwrap();
    for sql in MAKE {
        source.query_drop(*sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }
    let has_vectors =
        source.query_drop("CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3))").await.is_ok();
    if has_vectors {
        source
            .query_drop("INSERT INTO vectors VALUES (1, TO_VECTOR('[1.5,-2,3e-7]')), (2, NULL)")
            .await
            .unwrap();
    }
    let literal = schema.replace('_', "\\_");
    for sql in [
        format!("GRANT SELECT, CREATE VIEW ON `{literal}`.* TO arriving WITH GRANT OPTION"),
        format!("GRANT UPDATE (id), INSERT ON `{schema}`.parents TO arriving"),
    ] {
        source.query_drop(sql).await.unwrap();
    }
    // A definer's rights are looked at where a view is read: the grants come with it.
    let before = everything(&mut source, &schema).await;

    let id = ground.begin(MOVING, TARGET, MOVED).await;
    ground.finish(id).await;

    let mut target = ground.server(TARGET).await;
    target.query_drop(format!("USE {MOVED}")).await.unwrap();
    let after = everything(&mut target, MOVED).await;
    assert!(before.len() > if has_vectors { 80 } else { 77 }, "only {} facts", before.len());
    for (one, other) in before.iter().zip(&after) {
        assert_eq!(one, other);
    }
    assert_eq!(before.len(), after.len());
    let next: Option<u64> = {
        target.query_drop("INSERT INTO numbers (t) VALUES (1)").await.unwrap();
        target.query_first("SELECT LAST_INSERT_ID()").await.unwrap()
    };
    assert_eq!(next, Some(1000), "the next number is the one that the source would have given");
    let mut grants: Vec<String> = target.query("SHOW GRANTS FOR arriving").await.unwrap();
    grants.retain(|line| !line.contains("`_podway`"));
    assert_eq!(
        grants,
        [
            "GRANT USAGE ON *.* TO `arriving`@`%`".to_owned(),
            format!(
                "GRANT SELECT, CREATE VIEW ON `{}`.* TO `arriving`@`%` WITH GRANT OPTION",
                MOVED.replace('_', "\\_")
            ),
            format!("GRANT INSERT, UPDATE (`id`) ON `{MOVED}`.`parents` TO `arriving`@`%`"),
        ]
    );
    let mut left: Vec<String> = source.query("SHOW GRANTS FOR arriving").await.unwrap();
    left.retain(|line| !line.contains("`_podway`"));
    assert_eq!(left, ["GRANT USAGE ON *.* TO `arriving`@`%`"], "nobody reads the old copy any more");
    source.query_drop(format!("INSERT INTO `{schema}`.journal VALUES (1)")).await.unwrap_err();
    let arrivals: Option<u64> = target
        .query_first(format!("SELECT COUNT(*) FROM _podway.arrivals WHERE schema_name = '{MOVED}'"))
        .await
        .unwrap();
    assert_eq!(arrivals, Some(0));
    ground.close().await;
}

/// Definitions and rows of everything in the current schema, told apart from how they were copied and compared: rows by the binary protocol.
async fn everything(conn: &mut Conn, schema: &str) -> Vec<(String, String)> {
    conn.query_drop("SET SESSION time_zone = '+00:00'").await.unwrap();
    let sql = "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1";
    let tables: Vec<(String, String)> = conn.query(sql).await.unwrap();
    let mut facts = Vec::new();
    for (table, kind) in tables {
        let quoted = format!("`{}`", table.replace('`', "``"));
        let kind = if kind == "VIEW" { "VIEW" } else { "TABLE" };
        let shown: Row = conn.query_first(format!("SHOW CREATE {kind} {quoted}")).await.unwrap().unwrap();
        facts.push((table.clone(), shown.get::<String, _>(1).unwrap()));
        let columns = "SELECT GROUP_CONCAT(CONCAT('`', REPLACE(COLUMN_NAME, '`', '``'), '`') ORDER BY ORDINAL_POSITION) \
                       FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?";
        let columns: Option<String> = conn.exec_first(columns, (&table,)).await.unwrap();
        let rows: Vec<Row> =
            conn.exec(format!("SELECT {} FROM {quoted} ORDER BY 1", columns.unwrap()), ()).await.unwrap();
        for row in rows {
            facts.push((table.clone(), format!("{:?}", row.unwrap().iter().map(exact).collect::<Vec<_>>())));
        }
    }
    let sql = "SELECT TRIGGER_NAME, CONCAT_WS('|', DEFINER, ACTION_ORDER, ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_STATEMENT, SQL_MODE, \
               CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY 1";
    let triggers: Vec<(String, String)> = conn.query(sql).await.unwrap();
    facts.extend(triggers);
    let charset: Option<String> = conn
        .query_first("SELECT CONCAT(DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE()")
        .await
        .unwrap();
    facts.push((String::new(), charset.unwrap()));
    facts.into_iter().map(|(what, fact)| (what, fact.replace(schema, "…"))).collect()
}

/// A value to its last bit.
fn exact(value: &mysql_async::Value) -> String {
    match value {
        mysql_async::Value::Float(number) => format!("f{:08x}", number.to_bits()),
        mysql_async::Value::Double(number) => format!("d{:016x}", number.to_bits()),
        other => format!("{other:?}"),
    }
}
