//! Who is no proxy tries to have something decided, to read what is secret, and to write beside the procedures. Each attack stands beside its negative control: the same with the right token.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use podway::provision::{read_account, read_accounts};
use podway_model::{transaction_account, transaction_token};

use super::{DENIED, Ground, LATER, SERVER, errno, options, uuid};

#[tokio::test]
async fn who_is_no_proxy_cannot_have_anything_decided() {
    let mut ground = Ground::new("mallory").await;
    let mut conn = ground.session().await;
    let others = ground.session().await;
    let (mine, theirs) = (conn.id().to_string(), others.id().to_string());
    let key = ground.key.clone();
    let until = LATER.to_string();
    let token = |parts: &[&str]| format!("'{}'", transaction_token(&key, parts));
    let right = token(&["decide", &mine, "m", &until, "7", "1,2"]);
    let tokens = [
        "''".to_owned(),
        "NULL".to_owned(),
        "0".to_owned(),
        "TRUE".to_owned(),
        format!("'{}'", "0".repeat(64)),
        right.to_uppercase(),
        format!("CONCAT({right}, '0')"),
        format!("LEFT({right}, 63)"),
        format!("UNHEX({right})"),
        token(&["decide", &theirs, "m", &until, "7", "1,2"]),
        token(&["decide", &mine, "n", &until, "7", "1,2"]),
        token(&["decide", &mine, "m", "1", "7", "1,2"]),
        token(&["decide", &mine, "m", &until, "8", "1,2"]),
        token(&["decide", &mine, "m", &until, "7", "1"]),
        token(&["mark", &mine, "m", "7", "1,2"]),
        token(&["mark", &mine, "m", &until, "7", "1,2"]),
        format!("'{}'", transaction_token("", &["decide", &mine, "m", &until, "7", "1,2"])),
        format!("'{}'", transaction_token(&uuid(ground.pod), &["decide", &mine, "m", &until, "7", "1,2"])),
    ];
    ground.begun(&mut conn, 1).await;
    for wrong in &tokens {
        let result = conn.query_drop(format!("CALL _podway.decide({wrong},'m',{LATER},7,'1,2')")).await;
        let code = errno(result);
        // What is too long for a token (1406), or no ASCII (1366), is none.
        assert!([DENIED, 1406, 1366].contains(&code), "{wrong}: {code}");
    }
    for (call, why) in [
        (format!("CALL _podway.decide({right},'m',NULL,7,'1,2')"), "NULL is nothing that a token is for"),
        (format!("CALL _podway.decide({right},'m',{LATER},NULL,'1,2')"), "the same"),
        (format!("CALL _podway.decide({right},NULL,{LATER},7,'1,2')"), "the same"),
        (format!("CALL _podway.decide({right},'M',{LATER},7,'1,2')"), "another case"),
        (format!("CALL _podway.mark({right},'m',7,'1,2')"), "another procedure"),
    ] {
        assert_eq!(errno(conn.query_drop(&call).await), DENIED, "{call}: {why}");
    }
    assert_eq!(ground.decision("m").await, None);
    // The controls: it is the token that counts, once.
    conn.query_drop(format!("CALL _podway.decide({right},'m',{LATER},7,'1,2')")).await.unwrap();
    assert_eq!(ground.decision("m").await.unwrap().0, "C");
    ground.begun(&mut conn, 2).await;
    let again = conn.query_drop(format!("CALL _podway.decide({right},'m',{LATER},7,'1,2')")).await;
    assert_eq!(errno(again), 1062);
}

#[tokio::test]
async fn who_is_no_proxy_neither_reads_nor_writes_beside_the_procedures() {
    let mut ground = Ground::new("reader").await;
    let mut conn = ground.session().await;
    let cases = [
        ("SELECT * FROM _podway.secret", 1142),
        ("SELECT * FROM _podway.decision", 1142),
        ("SELECT MAX(ts) FROM _podway.mark", 1142),
        ("INSERT INTO _podway.decision (g, st, parts) VALUES ('x', 'C', '')", 1142),
        ("REPLACE INTO _podway.mark (g, ts, parts) VALUES ('x', 1, '')", 1142),
        ("UPDATE _podway.decision SET st = 'C'", 1142),
        ("DELETE FROM _podway.decision", 1142),
        ("TRUNCATE _podway.decision", 1142),
        ("LOCK TABLES _podway.decision WRITE", 1044),
        ("DROP TABLE _podway.decision", 1142),
        ("DROP PROCEDURE _podway.decide", DENIED),
        ("ALTER PROCEDURE _podway.decide SQL SECURITY INVOKER", DENIED),
        ("CREATE TABLE _podway.x (a INT)", 1142),
        ("CREATE TEMPORARY TABLE _podway.secret (name VARCHAR(32), value VARBINARY(255))", 1044),
        ("CREATE VIEW v AS SELECT * FROM _podway.secret", 1142),
        ("CREATE TRIGGER _podway.tr BEFORE INSERT ON _podway.decision FOR EACH ROW SET NEW.st = 'C'", 1419),
        ("CREATE DEFINER = _podway PROCEDURE p() SELECT * FROM _podway.secret", 1227),
        ("CREATE DEFINER = _podway VIEW v2 AS SELECT 1", 1227),
        ("GRANT EXECUTE ON PROCEDURE _podway.decide TO reader", 1370),
        ("SET PASSWORD FOR _podway = 'x'", 1044),
        ("ALTER USER _podway IDENTIFIED BY 'x'", 1227),
        ("DROP USER _podway", 1227),
        ("SHOW CREATE USER _podway", 1044),
        ("SHOW GRANTS FOR _podway", 1142),
        ("SET SESSION pseudo_thread_id = 1", 1227),
        ("SET SESSION sql_log_bin = 0", 1227),
    ];
    for (sql, expected) in cases {
        assert_eq!(errno(conn.query_drop(sql).await), expected, "{sql}");
    }
    // A view or a procedure of one's own runs with one's own rights, whenever it is made.
    conn.query_drop("CREATE PROCEDURE p() SELECT * FROM _podway.secret").await.unwrap();
    assert_eq!(errno(conn.query_drop("CALL p()").await), 1142);
    let shown: (String, String, Option<String>) = {
        let row: Row = conn.query_first("SHOW CREATE PROCEDURE _podway.decide").await.unwrap().unwrap();
        (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap())
    };
    assert_eq!(shown.2, None, "who may only call it does not read it");
    let row: Row = ground.root.query_first("SHOW CREATE PROCEDURE _podway.decide").await.unwrap().unwrap();
    let text: Option<String> = row.get(2).unwrap();
    let (text, pads) = (text.unwrap().to_lowercase(), pads(&mut ground.root).await);
    assert!(text.contains("_podway.secret") && !text.contains(&ground.key), "{text}");
    assert!(!text.contains(&pads[..32]), "{text}");
}

#[tokio::test]
async fn what_a_session_is_told_of_a_call_gives_no_key_and_no_token_away() {
    let mut ground = Ground::new("listener").await;
    let mut conn = ground.session().await;
    for sql in [
        "SET optimizer_trace = 'enabled=on', optimizer_trace_limit = 100, optimizer_trace_offset = -100",
        "SET SESSION optimizer_trace_max_mem_size = 10000000",
        "SET profiling = 1",
        "BEGIN",
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    let id = conn.id().to_string();
    let right = transaction_token(&ground.key, &["decide", &id, "l", &LATER.to_string(), "7", "1,2"]);
    let wrong = "0".repeat(64);
    let call = format!("CALL _podway.decide('{wrong}','l',{LATER},7,'1,2')");
    let refused = conn.query_drop(&call).await.unwrap_err().to_string();
    let mut told = refused;
    for sql in
        ["SHOW WARNINGS", "SHOW PROFILES", "SELECT QUERY, TRACE FROM information_schema.OPTIMIZER_TRACE"]
    {
        let rows: Vec<Row> = conn.query(sql).await.unwrap();
        told += &format!("{rows:?}");
    }
    let sql = format!(
        "SELECT SQL_TEXT, MESSAGE_TEXT FROM performance_schema.events_statements_history WHERE THREAD_ID = PS_THREAD_ID({})",
        conn.id()
    );
    let rows: Vec<(Option<String>, Option<String>)> = ground.root.query(sql).await.unwrap();
    assert!(!rows.is_empty());
    told += &format!("{rows:?}");
    let pads = pads(&mut ground.root).await;
    let told = told.to_lowercase();
    for secret in [&ground.key[..16], &right[..16], &pads[..32], &pads[128..160]] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert!(told.contains("only podway"), "{told}");
}

#[tokio::test]
async fn more_privileges_of_some_kinds_do_not_help() {
    let mut ground = Ground::new("shadow").await;
    for privilege in ["CREATE TEMPORARY TABLES", "CREATE USER", "PROCESS"] {
        ground.root.query_drop(format!("GRANT {privilege} ON *.* TO shadow")).await.unwrap();
    }
    let mut conn = ground.session().await;
    // Whoever has CREATE USER changes others, and not Podway's own. 4006: a procedure has it as its definer.
    for (sql, expected) in [
        ("ALTER USER _podway IDENTIFIED BY 'x'", 1227),
        ("DROP USER _podway", 4006),
        ("RENAME USER _podway TO x", 1227),
    ] {
        assert_eq!(errno(conn.query_drop(sql).await), expected, "{sql}");
    }
    // A table of one's own before Podway's, with a key of one's own.
    let own_key = "k".repeat(64);
    let bytes: String = own_key
        .bytes()
        .map(|byte| byte ^ 0x36)
        .chain(own_key.bytes().map(|byte| byte ^ 0x5c))
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for sql in [
        "CREATE TEMPORARY TABLE _podway.secret (name VARCHAR(32), value VARBINARY(255))".to_owned(),
        format!("INSERT INTO _podway.secret VALUES ('pads', 0x{bytes})"),
        "CREATE TEMPORARY TABLE _podway.decision (g VARCHAR(64), st CHAR(1), cts BIGINT, parts VARCHAR(255), t DATETIME)".to_owned(),
        "BEGIN".to_owned(),
    ] {
        conn.query_drop(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let id = conn.id().to_string();
    let forged = transaction_token(&own_key, &["decide", &id, "s", &LATER.to_string(), "7", "1,2"]);
    let call = format!("CALL _podway.decide('{forged}','s',{LATER},7,'1,2')");
    assert_eq!(errno(conn.query_drop(&call).await), DENIED);
    assert_eq!(ground.decision("s").await, None);
    // What a proxy has decided is written where all look.
    conn.query_drop("CREATE TEMPORARY TABLE _podway.decision (g VARCHAR(64), st CHAR(1))").await.unwrap();
    ground.begun(&mut conn, 1).await;
    conn.query_drop(ground.decide(&conn, "s", LATER)).await.unwrap();
    assert_eq!(ground.decision("s").await.unwrap().0, "C");
    // In a branch, where MySQL forbids temporary tables, the call fails.
    conn.query_drop("CREATE TEMPORARY TABLE _podway.mark (g VARCHAR(64), ts BIGINT)").await.unwrap();
    conn.query_drop("XA START 'shadow','1.2',1347").await.unwrap();
    assert_eq!(errno(conn.query_drop(ground.mark(&conn, "s2", 1)).await), 4091);
}

#[tokio::test]
async fn the_proxies_own_account_does_what_recovery_needs_and_no_more() {
    let ground = Ground::new("recoverer").await;
    let password = ground.pod.secret().backend_password(&transaction_account(), &uuid(ground.pod));
    let mut conn = Conn::new(options(ground.pod, "_podway", &password)).await.unwrap();
    let tombstone = "INSERT INTO _podway.decision (g, st, parts) VALUES ('r', 'A', '')";
    conn.query_drop(tombstone).await.unwrap();
    assert_eq!(errno(conn.query_drop(tombstone).await), 1062);
    conn.query_drop("INSERT INTO _podway.mark (g, ts, parts) VALUES ('r+floor', 1, '')").await.unwrap();
    let _: Option<u64> = conn.query_first("SELECT MAX(ts) FROM _podway.mark").await.unwrap();
    conn.query_drop("SELECT g FROM _podway.mark WHERE g = 'r+floor' FOR SHARE").await.unwrap();
    let _: Vec<Row> = conn.query("XA RECOVER CONVERT XID").await.unwrap();
    let other = ground.session().await;
    conn.query_drop(format!("KILL {}", other.id())).await.unwrap();
    conn.query_drop("DELETE FROM _podway.mark WHERE g = 'r+floor'").await.unwrap();
    conn.query_drop("DELETE FROM _podway.decision WHERE g = 'r'").await.unwrap();
    for (sql, expected) in [
        ("SELECT * FROM recoverer.t", 1142),
        ("SELECT user FROM mysql.user", 1142),
        ("UPDATE _podway.decision SET st = 'A'", 1142),
        ("DELETE FROM _podway.secret", 1142),
        ("CREATE USER x IDENTIFIED BY 'x'", 1227),
        ("SET GLOBAL read_only = 1", 1227),
        ("CREATE TABLE _podway.x (a INT)", 1142),
        ("DROP PROCEDURE _podway.decide", DENIED),
    ] {
        assert_eq!(errno(conn.query_drop(sql).await), expected, "{sql}");
    }
    for wrong in ["", "x", &ground.key] {
        assert_eq!(errno(Conn::new(options(ground.pod, "_podway", wrong)).await), 1045, "{wrong:?}");
    }
    let mut root = ground.pod.admin(SERVER).await.unwrap();
    let accounts = read_accounts(&mut root).await.unwrap();
    assert!(!accounts.is_empty() && !accounts.iter().any(|account| account.name.is_reserved()));
    assert!(read_account(&mut root, &transaction_account()).await.is_err(), "it is nobody's to adopt");
}

/// The padded keys, in hexadecimal.
async fn pads(root: &mut Conn) -> String {
    let sql = "SELECT LOWER(HEX(value)) FROM _podway.secret WHERE name = 'pads'";
    root.query_first(sql).await.unwrap().unwrap()
}
