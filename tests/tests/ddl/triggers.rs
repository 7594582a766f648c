//! Triggers through the proxy: made on every shard that has their table, they do what they do in one MySQL; what they could not do is refused, by Podway or by MySQL.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use podway_tests::{Pod, PodOptions};
use podway_topology_api::OperationState;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::ground::{Ground, refusal};

/// Tables with how their rows lie, which plain MySQL does not mind.
const TABLES: [&str; 5] = [
    "CREATE TABLE accounts (id BIGINT PRIMARY KEY, name VARCHAR(20), balance INT NOT NULL DEFAULT 0, changed INT NOT NULL DEFAULT 0) \
     COMMENT 'podway: shard by (id)'",
    "CREATE TABLE moves (account BIGINT NOT NULL, n INT NOT NULL, amount INT NOT NULL, PRIMARY KEY (account, n)) COMMENT 'podway: shard by (account)'",
    "CREATE TABLE lands (code CHAR(2) PRIMARY KEY, name VARCHAR(20), shout VARCHAR(20)) COMMENT 'podway: reference'",
    "CREATE TABLE notes (id INT PRIMARY KEY, said VARCHAR(20))",
    "CREATE TABLE log (id INT, what VARCHAR(20))",
];

const TRIGGERS: [&str; 8] = [
    "CREATE TRIGGER named BEFORE INSERT ON accounts FOR EACH ROW SET NEW.name = CONCAT(UPPER(NEW.name), ' ', NEW.id)",
    "CREATE TRIGGER counted BEFORE UPDATE ON accounts FOR EACH ROW BEGIN \
       IF NEW.balance < 0 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'too little', MYSQL_ERRNO = 30001; END IF; \
       SET NEW.changed = OLD.changed + 1; END",
    "CREATE TRIGGER summed AFTER INSERT ON moves FOR EACH ROW UPDATE accounts SET balance = balance + NEW.amount WHERE id = NEW.account",
    "CREATE TRIGGER unsummed AFTER DELETE ON moves FOR EACH ROW UPDATE accounts SET balance = balance - OLD.amount WHERE id = OLD.account",
    "CREATE TRIGGER emptied BEFORE DELETE ON accounts FOR EACH ROW DELETE FROM moves WHERE account = OLD.id",
    "CREATE TRIGGER loud BEFORE INSERT ON lands FOR EACH ROW SET NEW.shout = UPPER(NEW.name)",
    "CREATE TRIGGER logged AFTER INSERT ON notes FOR EACH ROW BEGIN DECLARE n INT; SELECT COUNT(*) INTO n FROM lands; \
       INSERT INTO log VALUES (n, NEW.said); END",
    "CREATE TRIGGER first BEFORE INSERT ON accounts FOR EACH ROW PRECEDES named SET NEW.name = CONCAT(NEW.name, '!')",
];

const WRITES: [&str; 12] = [
    "INSERT INTO accounts (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'), (6, 'f')",
    "INSERT INTO moves VALUES (1, 1, 10), (2, 1, 20), (3, 1, 30), (1, 2, 5)",
    "INSERT INTO moves VALUES (5, 1, -1)",
    "UPDATE accounts SET balance = balance - 15 WHERE id IN (1, 2)",
    "UPDATE accounts SET balance = balance - 1",
    "DELETE FROM moves WHERE amount = 5",
    "DELETE FROM accounts WHERE id IN (2, 3)",
    "INSERT INTO lands (code, name) VALUES ('no', 'Norway'), ('de', 'Germany')",
    "REPLACE INTO lands (code, name) VALUES ('no', 'Norge')",
    "INSERT INTO notes VALUES (1, 'one'), (2, 'two')",
    "INSERT INTO accounts (id, name) VALUES (1, 'x') ON DUPLICATE KEY UPDATE balance = 3",
    "INSERT IGNORE INTO accounts (id, name) VALUES (1, 'x'), (7, 'y')",
];

const READS: [&str; 6] = [
    "SELECT * FROM accounts ORDER BY id",
    "SELECT * FROM moves ORDER BY account, n",
    "SELECT * FROM lands ORDER BY code",
    "SELECT * FROM log ORDER BY id, what",
    "SHOW TRIGGERS",
    "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_MANIPULATION, EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, ACTION_ORDER, ACTION_STATEMENT, ACTION_TIMING \
     FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY TRIGGER_NAME",
];

/// Rows as text, or the error's number and text. Of SHOW TRIGGERS without when and by whom they were made.
async fn answer(conn: &mut Conn, sql: &str, database: &str) -> Vec<String> {
    let rows: Vec<Row> = match conn.query(sql).await {
        Ok(rows) => rows,
        Err(mysql_async::Error::Server(said)) => {
            return vec![format!("{} {} {}", said.code, said.state, said.message)];
        }
        Err(other) => panic!("{sql}: {other}"),
    };
    let columns = if sql == "SHOW TRIGGERS" { 5 } else { usize::MAX };
    let shown = |row: Row| {
        let values: Vec<String> = row.unwrap().iter().take(columns).map(|value| value.as_sql(true)).collect();
        values.join(", ").replace(database, "…")
    };
    let mut rows: Vec<String> = rows.into_iter().map(shown).collect();
    rows.push(format!("{} affected", conn.affected_rows()));
    rows
}

/// Servers of this file's own, one test at a time: what is asked and committed there under Podway's own account bears the secret of one cluster.
async fn servers() -> (MutexGuard<'static, ()>, &'static Pod) {
    static TURN: Mutex<()> = Mutex::const_new(());
    static OWN: OnceCell<Pod> = OnceCell::const_new();
    let turn = TURN.lock().await;
    let start = || async {
        let options = PodOptions { has_proxy: false, ..PodOptions::default() };
        Pod::start(options).await.unwrap()
    };
    (turn, OWN.get_or_init(start).await)
}

async fn plain(ground: &Ground, name: &str) -> Conn {
    let mut plain = ground.server(0).await;
    plain.query_drop(format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
    plain.query_drop(format!("CREATE DATABASE {name}")).await.unwrap();
    plain.query_drop(format!("USE {name}")).await.unwrap();
    plain
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn triggers_do_over_shards_what_they_do_in_one_mysql() {
    let (_turn, pod) = servers().await;
    let ground = Ground::new(pod, "trg_equal", 3, 1).await;
    let mut conn = ground.connect(0).await;
    let mut plain = plain(&ground, "trg_equal_plain").await;
    for sql in TABLES.iter().chain(&TRIGGERS) {
        conn.query_drop(*sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        plain.query_drop(*sql).await.unwrap();
    }
    for sql in WRITES.iter().chain(&READS) {
        let ours = answer(&mut conn, sql, "trg_equal").await;
        let theirs = answer(&mut plain, sql, "trg_equal_plain").await;
        assert_eq!(ours, theirs, "{sql}");
    }
    // What a trigger has done is undone with what it was done for, on every shard.
    conn.query_drop("BEGIN").await.unwrap();
    conn.query_drop("INSERT INTO moves VALUES (1, 9, 1), (5, 9, 1), (6, 9, 1)").await.unwrap();
    conn.query_drop("ROLLBACK").await.unwrap();
    for sql in &READS[..2] {
        let ours = answer(&mut conn, sql, "trg_equal").await;
        assert_eq!(ours, answer(&mut plain, sql, "trg_equal_plain").await, "{sql}");
    }
    // Copies are alike, and each row is where its key leads.
    for shard in 0..3 {
        let shouts: Vec<String> = ground.on_shard(shard, "SELECT shout FROM {}.lands ORDER BY code").await;
        assert_eq!(shouts, ["GERMANY", "NORGE"]);
        let strays: Vec<u64> = ground
            .on_shard(
                shard,
                "SELECT COUNT(*) FROM {}.moves WHERE account NOT IN (SELECT id FROM {}.accounts)",
            )
            .await;
        assert_eq!(strays, [0]);
    }
    plain.query_drop("DROP DATABASE trg_equal_plain").await.unwrap();
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_is_dropped_wherever_its_table_is() {
    let (_turn, pod) = servers().await;
    let ground = Ground::new(pod, "trg_dropped", 3, 2).await;
    let (mut a, mut b) = (ground.connect(0).await, ground.connect(1).await);
    for sql in TABLES.iter().chain(&TRIGGERS) {
        a.query_drop(*sql).await.unwrap();
    }
    let count = async || {
        let mut counts = Vec::new();
        for shard in 0..3 {
            let sql = "SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = TRIM(BOTH '`' FROM '{}')";
            counts.extend(ground.on_shard::<u64>(shard, sql).await);
        }
        counts
    };
    assert_eq!(count().await, [8, 7, 7]);
    b.query_drop("DROP TRIGGER trg_dropped.named").await.unwrap();
    assert_eq!(count().await, [7, 6, 6]);
    assert_eq!(ground.last().await.state, OperationState::Finished);
    b.query_drop("DROP TRIGGER IF EXISTS logged").await.unwrap();
    assert_eq!(count().await, [6, 6, 6]);
    assert_eq!(refusal(&mut b, "DROP TRIGGER named").await, (1360, "Trigger does not exist".to_owned()));
    b.query_drop("DROP TRIGGER IF EXISTS named").await.unwrap();
    let said: Vec<(String, u16, String)> = b.query("SHOW WARNINGS").await.unwrap();
    assert_eq!(said, [("Note".to_owned(), 1360, "Trigger does not exist".to_owned())]);
    // A name is one trigger's, at home as elsewhere, and then nothing has happened anywhere.
    let sql = "CREATE TRIGGER loud BEFORE INSERT ON moves FOR EACH ROW SET NEW.amount = 1";
    assert_eq!(refusal(&mut a, sql).await.0, 1359);
    assert_eq!(ground.last().await.state, OperationState::Refused);
    assert_eq!(count().await, [6, 6, 6]);
    // A table takes its triggers along.
    a.query_drop("RENAME TABLE moves TO deeds").await.unwrap();
    a.query_drop("INSERT INTO accounts (id, name) VALUES (1, 'a')").await.unwrap();
    b.query_drop("INSERT INTO deeds VALUES (1, 1, 7)").await.unwrap();
    let balance: Option<i32> = b.query_first("SELECT balance FROM accounts WHERE id = 1").await.unwrap();
    assert_eq!(balance, Some(7));
    a.query_drop("DROP TABLE deeds").await.unwrap();
    assert_eq!(count().await, [4, 4, 4]);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_says_who_may_make_a_trigger() {
    let (_turn, pod) = servers().await;
    let ground = Ground::new(pod, "trg_rights", 2, 1).await;
    let mut conn = ground.connect(0).await;
    for sql in TABLES {
        conn.query_drop(sql).await.unwrap();
    }
    ground.add_user("trg_rights_few", "SELECT, INSERT ON *.*").await;
    ground.add_user("trg_rights_some", "SELECT, TRIGGER, SUPER ON *.*").await;
    let mut plain = plain(&ground, "trg_rights_plain").await;
    for sql in TABLES {
        plain.query_drop(sql).await.unwrap();
    }
    let make = "CREATE TRIGGER mine BEFORE INSERT ON accounts FOR EACH ROW SET NEW.name = 'x'";
    let as_other = "CREATE DEFINER = root@localhost TRIGGER mine BEFORE INSERT ON accounts FOR EACH ROW SET NEW.name = 'x'";
    for user in ["trg_rights_few", "trg_rights_some"] {
        let mut ours = ground.connect_as(0, user).await;
        let mut theirs = ground.direct_as(0, user, "trg_rights_plain").await;
        for sql in [as_other, make, "DROP TRIGGER mine", "DROP TRIGGER none"] {
            let ours = answer(&mut ours, sql, "trg_rights").await;
            let theirs = answer(&mut theirs, sql, "trg_rights_plain").await;
            assert_eq!(ours, theirs, "{sql} as {user}");
        }
    }
    conn.query_drop(make).await.unwrap();
    let mut few = ground.connect_as(0, "trg_rights_few").await;
    assert_eq!(refusal(&mut few, "DROP TRIGGER mine").await.0, 1142);
    plain.query_drop("DROP DATABASE trg_rights_plain").await.unwrap();
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_a_trigger_uses_does_not_come_to_lie_otherwise() {
    let (_turn, pod) = servers().await;
    let ground = Ground::new(pod, "trg_later", 2, 1).await;
    let mut conn = ground.connect(0).await;
    for sql in TABLES.iter().chain(&TRIGGERS) {
        conn.query_drop(*sql).await.unwrap();
    }
    for sql in [
        // The trigger of notes writes to it, at home.
        "ALTER PODWAY TABLE log SHARD BY (id)",
        "ALTER PODWAY TABLE log REFERENCE",
        // Its trigger is about rows that have the key that it has now.
        "ALTER PODWAY TABLE accounts SHARD BY (id) USING hash",
        "ALTER PODWAY TABLE notes SHARD BY (id)",
    ] {
        let (code, text) = refusal(&mut conn, sql).await;
        assert!(text.contains("DROP TRIGGER first"), "{sql}: {code} {text}");
    }
    conn.query_drop("DROP TABLE log").await.unwrap();
    let sql = "CREATE TABLE log (id INT PRIMARY KEY, what VARCHAR(20)) COMMENT 'podway: shard by (id)'";
    let (code, text) = refusal(&mut conn, sql).await;
    assert!(code == 1235 && text.contains("DROP TRIGGER first"), "{code} {text}");
    conn.query_drop("DROP TRIGGER logged").await.unwrap();
    conn.query_drop(sql).await.unwrap();
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_that_reaches_over_shards_is_refused_with_the_reason() {
    let (_turn, pod) = servers().await;
    let ground = Ground::new(pod, "trg_refused", 2, 1).await;
    let mut conn = ground.connect(0).await;
    for sql in TABLES {
        conn.query_drop(sql).await.unwrap();
    }
    for (sql, reason) in [
        (
            "CREATE TRIGGER t AFTER INSERT ON accounts FOR EACH ROW INSERT INTO notes VALUES (NEW.id, 'x')",
            "home shard alone",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON accounts FOR EACH ROW INSERT INTO moves VALUES (1, 1, 1)",
            "other shards",
        ),
        ("CREATE TRIGGER t BEFORE INSERT ON accounts FOR EACH ROW SET NEW.id = 1", "sharding key"),
        ("CREATE TRIGGER t BEFORE INSERT ON lands FOR EACH ROW SET NEW.name = RAND()", "RAND()"),
        ("CREATE TRIGGER t AFTER INSERT ON notes FOR EACH ROW DELETE FROM accounts", "several shards"),
    ] {
        let (code, text) = refusal(&mut conn, sql).await;
        assert!(code == 1235 && text.contains(reason), "{sql}: {code} {text}");
    }
    let (code, _) = refusal(&mut conn, "CREATE TRIGGER t AFTER INSERT ON none FOR EACH ROW DO 1").await;
    assert_eq!(code, 1146);
    let prepared =
        conn.prep("CREATE TRIGGER t BEFORE INSERT ON accounts FOR EACH ROW SET NEW.name = 'x'").await;
    assert!(matches!(prepared, Err(mysql_async::Error::Server(said)) if said.code == 1295));
    assert!(conn.query::<Row, _>("SHOW TRIGGERS").await.unwrap().is_empty());
    ground.close().await;
}
