//! MySQL's own `mysql` program: texts that people paste into it, its own commands, and what it prints.

use std::process::Stdio;

use podway_tests::mysql_client;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::place::{Place, Site};
use crate::values::{Kind, TypedColumn, columns_of_every_type, list};

/// Enough ids that every shard has some.
const IDS: std::ops::RangeInclusive<i64> = 1..=16;
const LARGE: usize = 20 << 20;
/// The program's own words in a script, which newer versions understand only when asked to.
const COMMANDS: [&str; 2] = ["--loose-commands", "--named-commands"];

/// What a run of the program said.
struct Said {
    out: String,
    err: String,
    succeeded: bool,
}

pub async fn check(place: Place) {
    let site = place.prepare("mysql_program").await;
    connecting(&site).await;
    scripts(&site).await;
    every_type(&site).await;
    errors(&site).await;
    what_it_prints(&site).await;
    its_own_commands(&site).await;
    several_statements_in_one(&site).await;
    local_infile(&site).await;
    large_values(&site).await;
}

async fn run(site: &Site, arguments: &[&str], script: &str) -> Said {
    let mut command = Command::new(mysql_client());
    command.args(["--no-defaults", "--batch", "--default-character-set=utf8mb4", "--max-allowed-packet=64M"]);
    command.args(["--host", &site.host, "--port", &site.port.to_string(), "--user", &site.user]);
    command.args(arguments).env("MYSQL_PWD", &site.password);
    if !arguments.iter().any(|argument| argument.starts_with("--database")) {
        command.arg(format!("--database={}", site.database));
    }
    let pipes =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = pipes.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let script = script.to_owned();
    // It may end, or print, before it has read everything.
    let writing = tokio::spawn(async move { stdin.write_all(script.as_bytes()).await });
    let output = child.wait_with_output().await.unwrap();
    let _ = writing.await.unwrap();
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Said { out, err, succeeded: output.status.success() }
}

/// What a script prints, without headings; it must not complain of anything.
async fn answer(site: &Site, script: &str) -> String {
    let said = run(site, &["--skip-column-names"], script).await;
    assert!(said.succeeded && said.err.is_empty(), "{}\n{}", excerpt(script), said.err);
    said.out
}

fn excerpt(text: &str) -> &str {
    text.get(..text.len().min(300)).unwrap_or("…")
}

async fn connecting(site: &Site) {
    // First without TLS: the password goes under the server's RSA key, as nobody has logged in as this user yet.
    let plain = ["--ssl-mode=DISABLED", "--get-server-public-key"];
    for (arguments, has_tls) in
        [(&plain[..], false), (&["--ssl-mode=REQUIRED"][..], true), (&["--compress"][..], true)]
    {
        let arguments = [arguments, &COMMANDS].concat();
        let said = run(site, &arguments, "status\n").await;
        assert!(said.succeeded, "{arguments:?}: {}", said.err);
        let database = format!("Current database:\t{}\n", site.database);
        let user = format!("Current user:\t\t{}@", site.user);
        let tls = if has_tls { "Cipher in use is" } else { "Not in use" };
        for expected in [database.as_str(), &user, tls, "Protocol version:\t10", "Threads: "] {
            assert!(said.out.contains(expected), "{arguments:?}: no {expected:?} in {}", said.out);
        }
    }
    let refused = [
        (Site { password: "wrong".to_owned(), ..site.clone() }, "ERROR 1045 (28000)"),
        (Site { user: "nobody_at_all".to_owned(), ..site.clone() }, "ERROR 1045 (28000)"),
        (
            Site { database: "no_such_db".to_owned(), ..site.clone() },
            "ERROR 1049 (42000): Unknown database 'no_such_db'",
        ),
    ];
    for (wrong, expected) in refused {
        let said = run(&wrong, &[], "SELECT 1").await;
        assert!(
            !said.succeeded && said.err.contains(expected),
            "{expected:?} was expected: {}{}",
            said.out,
            said.err
        );
    }
    let nowhere = Site { database: String::new(), ..site.clone() };
    assert_eq!(answer(&nowhere, "SELECT DATABASE()").await, "NULL\n");
}

/// Scripts and what they print. Each runs in a session of its own.
async fn scripts(site: &Site) {
    for id in IDS {
        answer(site, &format!("INSERT INTO accounts VALUES ({id}, 'owner {id}', 100)")).await;
    }
    let database = &site.database;
    let qualified = format!("SELECT owner FROM `{database}`.accounts WHERE `{database}`.accounts.id = 5");
    let cases: Vec<(&str, &str)> = vec![
        ("SELECT owner FROM accounts WHERE id = 3", "owner 3\n"),
        (&qualified, "owner 5\n"),
        ("SELECT owner FROM accounts WHERE id = '3' AND balance > 0", "owner 3\n"),
        ("SELECT owner, name FROM accounts, countries WHERE id = 4 AND code = 'JP'", "owner 4\t日本\n"),
        ("SELECT name FROM countries ORDER BY code LIMIT 1", "Österreich\n"),
        (
            "SELECT 'it''s \\'q\\' \"x\"', 0x41, b'1000010', N'n', _latin1'l', -- c\n /* c */ 1 # c\n",
            "it's 'q' \"x\"\tA\tB\tn\tl\t1\n",
        ),
        ("SELECT /*! 1 + */ 1, /*!99999 wrong */ 2", "2\t2\n"),
        ("SET @a = 1, @b := 'two'; SELECT @a + 1, @b", "2\ttwo\n"),
        (
            "SET NAMES latin1; SELECT @@character_set_client, @@collation_connection",
            "latin1\tlatin1_swedish_ci\n",
        ),
        ("SET sql_mode = 'ANSI_QUOTES'; SELECT \"owner\" FROM accounts WHERE id = 6", "owner 6\n"),
        ("SET time_zone = '+05:00'; SELECT FROM_UNIXTIME(0)", "1970-01-01 05:00:00\n"),
        ("SET autocommit = 0; UPDATE accounts SET balance = 1 WHERE id = 7", ""),
        ("SELECT balance FROM accounts WHERE id = 7", "100\n"),
        (
            "BEGIN; UPDATE accounts SET balance = 2 WHERE id = 7; SAVEPOINT s; UPDATE accounts SET balance = 3 WHERE id = 7; \
          ROLLBACK TO s; COMMIT; SELECT balance FROM accounts WHERE id = 7",
            "2\n",
        ),
        (
            "START TRANSACTION; DELETE FROM accounts WHERE id = 7; ROLLBACK; SELECT COUNT(*) FROM accounts WHERE id = 7",
            "1\n",
        ),
        (
            "INSERT INTO settings (name, n) VALUES ('a', 1), ('b', 2); SELECT ROW_COUNT(); SELECT LAST_INSERT_ID() = MIN(id) FROM settings",
            "2\n1\n",
        ),
        (
            "SELECT SQL_CALC_FOUND_ROWS name FROM settings ORDER BY name LIMIT 1; SELECT FOUND_ROWS()",
            "a\n2\n",
        ),
        ("DELETE FROM settings; SELECT ROW_COUNT()", "2\n"),
        ("CREATE TEMPORARY TABLE t (n INT); INSERT INTO t VALUES (1), (2); SELECT SUM(n) FROM t", "3\n"),
        ("SELECT GET_LOCK('mine', 1), IS_FREE_LOCK('mine'), RELEASE_LOCK('mine')", "1\t0\t1\n"),
        ("SHOW TABLES LIKE 'acc%'", "accounts\n"),
        (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'entries'",
            "entries\n",
        ),
    ];
    let mut differences = Vec::new();
    for (script, expected) in cases {
        let said = run(site, &["--skip-column-names"], script).await;
        if (said.out.as_str(), said.err.as_str()) != (expected, "") {
            differences
                .push(format!("{script}: expected {expected:?}, found {:?}, {:?}", said.out, said.err));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

async fn every_type(site: &Site) {
    let columns = columns_of_every_type();
    let names = list(&columns, |column| column.name.clone());
    for row in 0..4usize {
        let id = 701 + row;
        let literals = list(&columns, |column| {
            column.texts.get(row).map_or("NULL".to_owned(), |text| literal(column, text))
        });
        let spelled = columns.iter().map(TypedColumn::server_text).collect::<Vec<_>>().join(", ");
        let script = format!(
            "SET time_zone = '+00:00'; INSERT INTO every_type (id, {names}) VALUES ({id}, {literals});
             SELECT {spelled} FROM every_type WHERE id = {id};"
        );
        let said = answer(site, &script).await;
        let cells: Vec<&str> = said.trim_end_matches('\n').split('\t').collect();
        assert_eq!(cells.len(), columns.len());
        for (column, cell) in columns.iter().zip(cells) {
            let holds = if row < 3 { column.is_server_text(row, cell) } else { cell == "NULL" };
            assert!(holds, "{} in row {row}: {:?}, but {cell:?}", column.name, column.texts.get(row));
        }
    }
}

/// The value as SQL spells it.
fn literal(column: &TypedColumn, text: &str) -> String {
    match column.kind {
        Kind::Int | Kind::Bit | Kind::Decimal | Kind::Float => text.to_owned(),
        Kind::Bytes => format!("x'{text}'"),
        _ => {
            let escaped =
                text.replace('\\', "\\\\").replace('\'', "\\'").replace('\0', "\\0").replace('\n', "\\n");
            format!("'{escaped}'")
        }
    }
}

async fn errors(site: &Site) {
    let database = &site.database;
    let cases = [
        (
            "INSERT INTO accounts VALUES (3, '', 0)",
            "ERROR 1062 (23000) at line 1: Duplicate entry '3' for key 'accounts.PRIMARY'",
        ),
        (
            "SELECT * FROM no_such_table",
            &format!("ERROR 1146 (42S02) at line 1: Table '{database}.no_such_table' doesn't exist"),
        ),
        ("SELEC 1", "ERROR 1064 (42000) at line 1: You have an error in your SQL syntax"),
        (
            "SELECT nope FROM accounts WHERE id = 9",
            "ERROR 1054 (42S22) at line 1: Unknown column 'nope' in 'field list'",
        ),
        ("USE no_such_db", "ERROR 1049 (42000) at line 1: Unknown database 'no_such_db'"),
        ("SELECT 'not closed", "ERROR 1064 (42000)"),
        ("ROLLBACK TO nowhere", "ERROR 1305 (42000) at line 1: SAVEPOINT nowhere does not exist"),
        (
            "SET no_such_variable = 1",
            "ERROR 1193 (HY000) at line 1: Unknown system variable 'no_such_variable'",
        ),
        (
            "SELECT @@no_such_variable",
            "ERROR 1193 (HY000) at line 1: Unknown system variable 'no_such_variable'",
        ),
    ];
    for (script, expected) in cases {
        let said =
            run(site, &["--force", "--skip-column-names"], &format!("{script};\nSELECT 'usable';")).await;
        assert!(said.err.contains(expected), "{script}: {expected:?} was expected: {}{}", said.out, said.err);
        let closed = script != "SELECT 'not closed";
        assert_eq!(said.out == "usable\n", closed, "{script}: {}", said.out);
    }
    for id in IDS {
        let said = run(site, &[], &format!("INSERT INTO entries VALUES ({}, 1, '')", id + 1000)).await;
        let expected = format!("a foreign key constraint fails (`{database}`.`entries`,");
        assert!(said.err.contains("ERROR 1452 (23000)") && said.err.contains(&expected), "{}", said.err);
    }
}

async fn what_it_prints(site: &Site) {
    let said = run(
        site,
        &["--column-type-info", "--table"],
        "SELECT owner AS o, balance FROM accounts a WHERE id = 11",
    )
    .await;
    let expected = [
        "Field   1:  `o`\nCatalog:    `def`\nDatabase:   `",
        &format!(
            "Database:   `{}`\nTable:      `a`\nOrg_table:  `accounts`\nType:       VAR_STRING",
            site.database
        ),
        "Flags:      NOT_NULL NO_DEFAULT_VALUE NUM",
    ];
    for expected in expected {
        assert!(said.out.contains(expected), "no {expected:?} in {}{}", said.out, said.err);
    }
    let script = "INSERT INTO settings (name) VALUES ('x'); SET sql_mode = ''; UPDATE settings SET n = 300; DELETE FROM settings;";
    let said = run(site, &["-vvv", "--show-warnings", "--table"], script).await;
    let expected = [
        "Query OK, 1 row affected (",
        "Query OK, 1 row affected, 1 warning (",
        "Rows matched: 1  Changed: 1  Warnings: 1",
        "Warning (Code 1264): Out of range value for column 'n' at row 1",
    ];
    for expected in expected {
        assert!(said.out.contains(expected), "no {expected:?} in {}{}", said.out, said.err);
    }
}

async fn its_own_commands(site: &Site) {
    let arguments = [&["--skip-column-names", "--auto-rehash", "--force"][..], &COMMANDS].concat();
    let cases = [
        // rehash asks for each table's columns, by COM_FIELD_LIST.
        ("rehash\nSELECT 1;\n", "1\n"),
        ("SET @a = 1, time_zone = '+05:00';\nresetconnection\nSELECT @a, @@time_zone;\n", "NULL\tSYSTEM\n"),
        ("SET @a = 1;\nconnect\nSELECT @a;\n", "NULL\n"),
        ("delimiter //\nSELECT 1; SELECT 2//\ndelimiter ;\nSELECT 3;\n", "1\n2\n3\n"),
        ("SELECT 5\\G\n", "*************************** 1. row ***************************\n5\n"),
        ("\\u information_schema\nSELECT DATABASE();\n", "information_schema\n"),
    ];
    for (script, expected) in cases {
        let said = run(site, &arguments, script).await;
        assert_eq!(said.out, expected, "{script}: {}", said.err);
    }
}

async fn several_statements_in_one(site: &Site) {
    let text = "delimiter //\nSELECT 1; UPDATE accounts SET balance = 5 WHERE id = 12; SELECT balance FROM accounts WHERE id = 12; SELECT nope; SELECT 6//\n";
    let said = run(site, &["--skip-column-names", "--loose-commands"], text).await;
    assert_eq!(said.out, "1\n5\n", "up to the error: {}", said.err);
    assert!(said.err.contains("ERROR 1054 (42S22)"), "{}", said.err);
    let said = run(site, &["--skip-column-names"], "CALL two_results(5)").await;
    if site.shards == 1 {
        assert_eq!((said.out.as_str(), said.err.as_str()), ("5\n6\tsecond\n", ""));
    } else {
        assert!(said.err.contains("ERROR 1235 (42000)"), "{}{}", said.out, said.err);
    }
    let prepared = "PREPARE s FROM 'SELECT owner FROM accounts WHERE id = ?'; SET @id = 4; EXECUTE s USING @id; DEALLOCATE PREPARE s";
    assert_eq!(answer(site, prepared).await, "owner 4\n");
}

async fn local_infile(site: &Site) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    std::fs::write(&file, (0..5000).map(|n| format!("row {n},{}\n", n % 100)).collect::<String>()).unwrap();
    let load = format!(
        "LOAD DATA LOCAL INFILE '{}' INTO TABLE settings FIELDS TERMINATED BY ',' (name, n)",
        file.display()
    );
    let script = format!("{load}; SELECT COUNT(*), SUM(n) FROM settings; DELETE FROM settings;");
    let said = run(site, &["--local-infile=1", "--skip-column-names"], &script).await;
    assert_eq!((said.out.as_str(), said.err.as_str()), ("5000\t247500\n", ""));
    let said = run(site, &["--local-infile=0"], &load).await;
    assert!(
        said.err.contains("ERROR 3948") || said.err.contains("ERROR 2068"),
        "a client that allows no files: {}",
        said.err
    );
}

async fn large_values(site: &Site) {
    let body = "0123456789abcdef".repeat(LARGE / 16);
    let script =
        format!("INSERT INTO blobs VALUES (61, '{body}'); SELECT LENGTH(body) FROM blobs WHERE id = 61;");
    assert_eq!(answer(site, &script).await, format!("{LARGE}\n"));
    for quick in ["--quick", "--skip-quick"] {
        let said = run(site, &["--skip-column-names", quick], "SELECT body FROM blobs WHERE id = 61").await;
        assert!(said.out.trim_end() == body, "{quick}: {} bytes, {}", said.out.len(), said.err);
    }
    answer(site, "DELETE FROM blobs WHERE id = 61").await;
}
