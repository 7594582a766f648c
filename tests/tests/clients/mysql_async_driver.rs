//! mysql_async, a driver in Rust: it prepares what `exec` is given, keeps the statements, and has its own pool.

use std::time::Duration;

use mysql_async::prelude::{Query, Queryable, WithParams};
use mysql_async::{
    ChangeUserOpts, Conn, Error, IsolationLevel, OptsBuilder, Params, Pool, PoolConstraints, PoolOpts, Row,
    SslOpts, TxOpts, Value, WhiteListFsHandler, params,
};

use crate::place::{Place, Site};
use crate::values::{Kind, TypedColumn, columns_of_every_type, hex, list, numbers_of, unhex};

/// Enough ids that every shard has some.
const IDS: std::ops::RangeInclusive<i64> = 1..=16;
const LARGE: usize = 20 << 20;

pub async fn check(place: Place) {
    let site = place.prepare("mysql_async").await;
    connecting(&site).await;
    queries(&site).await;
    every_type(&site).await;
    errors(&site).await;
    results_of_writes(&site).await;
    several_statements(&site).await;
    session_state(&site).await;
    transactions(&site).await;
    local_infile(&site).await;
    living_and_dying(&site).await;
    large_values(&site).await;
}

fn options(site: &Site) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(&site.host)
        .tcp_port(site.port)
        .user(Some(&site.user))
        .pass(Some(&site.password))
        .db_name(Some(&site.database))
        .prefer_socket(false)
        .max_allowed_packet(Some(64 << 20))
}

async fn connect(site: &Site) -> Conn {
    Conn::new(options(site)).await.unwrap()
}

async fn text(conn: &mut Conn, sql: &str) -> Option<String> {
    conn.query_first::<Option<String>, _>(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
        .flatten()
}

/// The error's number, its SQLSTATE and what it says.
#[track_caller]
fn refused<T: std::fmt::Debug>(what: &str, result: Result<T, Error>, code: u16, state: &str) -> String {
    match result {
        Err(Error::Server(error)) => {
            assert_eq!((error.code, error.state.as_str()), (code, state), "{what}: {}", error.message);
            error.message
        }
        other => panic!("{what}: error {code} was expected, not {other:?}"),
    }
}

async fn connecting(site: &Site) {
    let tls =
        SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
    for (way, ssl) in [("plain", None), ("TLS", Some(tls))] {
        let mut conn = Conn::new(options(site).ssl_opts(ssl)).await.unwrap();
        assert_eq!(text(&mut conn, "SELECT DATABASE()").await.as_ref(), Some(&site.database), "{way}");
        assert_eq!(text(&mut conn, "SELECT CONNECTION_ID()").await, Some(conn.id().to_string()), "{way}");
        let (major, minor, patch) = conn.server_version();
        let version = text(&mut conn, "SELECT VERSION()").await.unwrap();
        assert!(version.starts_with(&format!("{major}.{minor}.{patch}")), "{way}: {version}");
        conn.disconnect().await.unwrap();
    }
    refused("a wrong password", Conn::new(options(site).pass(Some("wrong"))).await, 1045, "28000");
    refused("an unknown database", Conn::new(options(site).db_name(Some("no_such_db"))).await, 1049, "42000");
    let mut conn = Conn::new(options(site).db_name(None::<String>)).await.unwrap();
    assert_eq!(text(&mut conn, "SELECT DATABASE()").await, None);
    refused("no database selected", conn.query_drop("SELECT * FROM settings").await, 1046, "3D000");
}

async fn queries(site: &Site) {
    let mut conn = connect(site).await;
    let accounts: Vec<_> = IDS.map(|id| (id, format!("owner {id}"), 100)).collect();
    conn.exec_batch("INSERT INTO accounts VALUES (?, ?, ?)", accounts.clone()).await.unwrap();
    for account in accounts {
        let select = "SELECT id, owner, balance FROM accounts WHERE id = :id";
        let found: Option<(i64, String, i32)> =
            conn.exec_first(select, params! { "id" => account.0 }).await.unwrap();
        assert_eq!(found, Some(account.clone()), "prepared");
        let found = conn
            .query_iter(format!("SELECT id AS i, owner, balance FROM accounts WHERE id = {}", account.0))
            .await;
        let mut found = found.unwrap();
        let first = found.columns_ref()[0].clone();
        let names = [first.schema_str(), first.table_str(), first.org_name_str(), first.name_str()];
        assert_eq!(names, [site.database.as_str(), "accounts", "id", "i"]);
        assert_eq!(found.collect::<(i64, String, i32)>().await.unwrap(), [account], "as text");
    }
    let codes: Vec<String> =
        "SELECT code FROM countries ORDER BY code".with(()).fetch(&mut conn).await.unwrap();
    assert_eq!(codes, ["AT", "JP", "US"]);
    let keys: [Value; 4] = ["7".into(), 7u64.into(), 7.0f64.into(), "7.0".into()];
    for key in keys {
        let found: Option<i64> =
            conn.exec_first("SELECT id FROM accounts WHERE id = ?", (key.clone(),)).await.unwrap();
        assert_eq!(found, Some(7), "a key as {key:?}");
    }
    let found: Option<i64> =
        conn.exec_first("SELECT id FROM accounts WHERE id = ?", (Value::NULL,)).await.unwrap();
    assert_eq!(found, None);
}

async fn every_type(site: &Site) {
    let mut conn = connect(site).await;
    conn.query_drop("SET time_zone = '+00:00'").await.unwrap();
    let columns = columns_of_every_type();
    let names = list(&columns, |column| column.name.clone());
    let insert =
        format!("INSERT INTO every_type (id, {names}) VALUES (?, {})", list(&columns, |_| "?".to_owned()));
    let mut differences = Vec::new();
    for row in 0..4usize {
        let id = 501 + row as i64;
        // The last row is all NULL.
        let values = columns
            .iter()
            .map(|column| column.texts.get(row).map_or(Value::NULL, |text| value(column, text)));
        let params: Vec<Value> = [id.into()].into_iter().chain(values).collect();
        conn.exec_drop(&insert, Params::Positional(params)).await.unwrap();
        let select = |list: &str| format!("SELECT {list} FROM every_type WHERE id = {id}");
        let all = select(&names);
        let rows: [Option<Row>; 2] =
            [conn.exec_first(&all, ()).await.unwrap(), conn.query_first(&all).await.unwrap()];
        let stored: Option<Row> =
            conn.exec_first(select(&list(&columns, TypedColumn::server_text)), ()).await.unwrap();
        for (n, column) in columns.iter().enumerate() {
            let found = rows.each_ref().map(|row| spelled(column, &row.as_ref().unwrap()[n]));
            let expected = column.texts.get(row).map(|text| canonical(column, text));
            if found != [expected.clone(), expected.clone()] {
                differences.push(format!(
                    "{} in row {row}: {expected:?}, but {found:?} (binary, text)",
                    column.name
                ));
            }
            let in_server: Option<String> = stored.as_ref().unwrap().get(n).unwrap();
            if !in_server.as_ref().map_or(row == 3, |found| column.is_server_text(row, found)) {
                differences
                    .push(format!("{} in row {row}: MySQL has {in_server:?} for {expected:?}", column.name));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// What is bound for a text.
fn value(column: &TypedColumn, text: &str) -> Value {
    let numbers = || numbers_of(text);
    match column.kind {
        Kind::Int => text.parse().map(Value::Int).unwrap_or_else(|_| Value::UInt(text.parse().unwrap())),
        Kind::Bit => Value::UInt(text.parse().unwrap()),
        Kind::Float if column.name == "c_float" => Value::Float(text.parse().unwrap()),
        Kind::Float => Value::Double(text.parse().unwrap()),
        Kind::Decimal | Kind::Text | Kind::Json => Value::Bytes(text.into()),
        Kind::Bytes => Value::Bytes(unhex(text)),
        Kind::Date => {
            let [year, month, day, _] = numbers()[..] else { panic!("{text}") };
            Value::Date(year as u16, month as u8, day as u8, 0, 0, 0, 0)
        }
        Kind::DateTime => {
            let [year, month, day, hour, minute, second, micros] = numbers()[..] else { panic!("{text}") };
            Value::Date(year as u16, month as u8, day as u8, hour as u8, minute as u8, second as u8, micros)
        }
        Kind::Time => {
            let [hours, minute, second, micros] = numbers()[..] else { panic!("{text}") };
            Value::Time(
                text.starts_with('-'),
                hours / 24,
                (hours % 24) as u8,
                minute as u8,
                second as u8,
                micros,
            )
        }
    }
}

/// One spelling for what both protocols answer: `None` for NULL.
fn spelled(column: &TypedColumn, found: &Value) -> Option<String> {
    Some(match found {
        Value::NULL => return None,
        Value::Bytes(bytes) => match column.kind {
            Kind::Bytes => hex(bytes),
            Kind::Bit => bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte)).to_string(),
            _ => canonical(column, &String::from_utf8_lossy(bytes)),
        },
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => f64::from(*number).to_string(),
        Value::Double(number) => number.to_string(),
        Value::Date(year, month, day, hour, minute, second, micros) => match column.kind {
            Kind::Date => format!("{year:04}-{month:02}-{day:02}"),
            _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}"),
        },
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let sign = if *negative { "-" } else { "" };
            format!("{sign}{:02}:{minutes:02}:{seconds:02}.{micros:06}", days * 24 + u32::from(*hours))
        }
    })
}

/// The same spelling for a text.
fn canonical(column: &TypedColumn, text: &str) -> String {
    match column.kind {
        Kind::Float => text.parse::<f64>().unwrap().to_string(),
        Kind::Time | Kind::DateTime if !text.contains('.') => format!("{text}.000000"),
        _ => text.to_owned(),
    }
}

async fn errors(site: &Site) {
    let mut conn = connect(site).await;
    for id in IDS {
        let message = refused(
            "a duplicate",
            conn.exec_drop("INSERT INTO accounts VALUES (?, '', 0)", (id,)).await,
            1062,
            "23000",
        );
        assert!(message.contains(&format!("'{id}'")) && message.contains("accounts.PRIMARY"), "{message}");
        let orphan = conn.exec_drop("INSERT INTO entries VALUES (?, 1, '')", (id + 1000,)).await;
        let message = refused("a foreign key", orphan, 1452, "23000");
        assert!(message.contains(&format!("(`{}`.`entries`,", site.database)), "{message}");
        let unknown = conn.exec_drop("SELECT nope FROM accounts WHERE id = ?", (id,)).await;
        refused("an unknown column", unknown, 1054, "42S22");
    }
    let message =
        refused("an unknown table", conn.query_drop("SELECT * FROM no_such_table").await, 1146, "42S02");
    assert!(message.contains(&format!("'{}.no_such_table'", site.database)), "{message}");
    refused("an unknown table, prepared", conn.prep("SELECT * FROM no_such_table").await, 1146, "42S02");
    refused("syntax", conn.query_drop("SELEC 1").await, 1064, "42000");
    refused("syntax, prepared", conn.prep("SELEC ?").await, 1064, "42000");
    assert_eq!(text(&mut conn, "SELECT 1").await.as_deref(), Some("1"));
}

async fn results_of_writes(site: &Site) {
    let mut conn = connect(site).await;
    conn.exec_drop("INSERT INTO settings (name, n) VALUES (?, 1)", ("first",)).await.unwrap();
    let id = conn.last_insert_id().unwrap();
    assert_eq!(
        (conn.affected_rows(), text(&mut conn, "SELECT LAST_INSERT_ID()").await),
        (1, Some(id.to_string()))
    );
    conn.query_drop("SET SESSION sql_mode = ''").await.unwrap();
    conn.exec_drop("UPDATE settings SET n = ? WHERE name = 'first'", (300,)).await.unwrap();
    assert_eq!((conn.get_warnings(), conn.info().as_ref()), (1, "Rows matched: 1  Changed: 1  Warnings: 1"));
    let warnings: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.unwrap();
    assert_eq!(warnings, [("Warning".into(), 1264, "Out of range value for column 'n' at row 1".into())]);
    let mut found = Conn::new(options(site).client_found_rows(true)).await.unwrap();
    for (conn, expected) in [(&mut conn, 0), (&mut found, 1)] {
        for id in IDS {
            conn.exec_drop("UPDATE accounts SET balance = 100 WHERE id = ?", (id,)).await.unwrap();
            assert_eq!(conn.affected_rows(), expected, "CLIENT_FOUND_ROWS is the client's own");
        }
    }
    conn.query_drop("DELETE FROM settings").await.unwrap();
    assert_eq!(conn.affected_rows(), 1);
}

async fn several_statements(site: &Site) {
    let mut conn = connect(site).await;
    let mut result = conn
        .query_iter("SELECT 1; SET @a = 'x;y'; SELECT @a; SELECT owner FROM accounts WHERE id = 16")
        .await
        .unwrap();
    let mut found: Vec<Vec<String>> = Vec::new();
    while !result.is_empty() {
        found.push(result.collect().await.unwrap());
    }
    let expected: [&[&str]; 4] = [&["1"], &[], &["x;y"], &["owner 16"]];
    assert_eq!(found, expected);
    if site.shards == 1 {
        let mut result = conn.exec_iter("CALL two_results(?)", (5,)).await.unwrap();
        assert_eq!(result.collect::<i32>().await.unwrap(), [5]);
        assert_eq!(result.collect::<(i32, String)>().await.unwrap(), [(6, "second".to_owned())]);
    } else {
        refused("CALL over shards", conn.query_drop("CALL two_results(5)").await, 1235, "42000");
    }
}

async fn session_state(site: &Site) {
    let constraints = PoolConstraints::new(2, 4).unwrap();
    let pool = Pool::new(
        options(site)
            .pool_opts(PoolOpts::default().with_constraints(constraints).with_reset_connection(true)),
    );
    let mut conns = Vec::new();
    for (n, zone) in ["+01:00", "-03:30", "+00:00", "+09:00"].into_iter().enumerate() {
        let mut conn = pool.get_conn().await.unwrap();
        conn.exec_drop("SET @n = ?", (n,)).await.unwrap();
        conn.query_drop(format!("SET time_zone = '{zone}'")).await.unwrap();
        conns.push((conn, n, zone.to_owned()));
    }
    for id in IDS {
        for (conn, n, zone) in &mut conns {
            let seen = "SELECT @n, @@time_zone FROM accounts WHERE id = ?";
            let found: Option<(usize, String)> = conn.exec_first(seen, (id,)).await.unwrap();
            assert_eq!(found, Some((*n, zone.clone())), "at {id}");
        }
    }
    drop(conns);
    let mut conn = pool.get_conn().await.unwrap();
    assert_eq!(text(&mut conn, "SELECT @n").await, None, "the driver's pool resets what it takes back");
    drop(conn);
    pool.disconnect().await.unwrap();
}

async fn transactions(site: &Site) {
    let (mut conn, mut other) = (connect(site).await, connect(site).await);
    let (update, select) =
        ("UPDATE accounts SET balance = ? WHERE id = ?", "SELECT balance FROM accounts WHERE id = ?");
    for id in IDS.take(6) {
        let mut options = TxOpts::default();
        options.with_isolation_level(IsolationLevel::ReadCommitted);
        let mut transaction = conn.start_transaction(options).await.unwrap();
        transaction.exec_drop(update, (50, id)).await.unwrap();
        let seen = (
            transaction.exec_first(select, (id,)).await.unwrap(),
            other.exec_first(select, (id,)).await.unwrap(),
        );
        assert_eq!(seen, (Some(50), Some(100)));
        transaction.rollback().await.unwrap();
        conn.query_drop("SET autocommit = 0").await.unwrap();
        conn.exec_drop(update, (60, id)).await.unwrap();
        conn.query_drop("SAVEPOINT here").await.unwrap();
        conn.exec_drop(update, (70, id)).await.unwrap();
        conn.query_drop("ROLLBACK TO SAVEPOINT here").await.unwrap();
        conn.query_drop("COMMIT").await.unwrap();
        conn.query_drop("SET autocommit = 1").await.unwrap();
        assert_eq!(other.exec_first(select, (id,)).await.unwrap(), Some(60));
    }
    let mut options = TxOpts::default();
    options.with_readonly(true);
    let mut transaction = conn.start_transaction(options).await.unwrap();
    refused("a read-only transaction", transaction.exec_drop(update, (1, 1)).await, 1792, "25006");
    // Dropped without an end: the driver rolls it back before the connection's next use.
    drop(transaction);
    conn.exec_drop(update, (61, 1)).await.unwrap();
    assert_eq!(other.exec_first(select, (1,)).await.unwrap(), Some(61));
}

async fn local_infile(site: &Site) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    let lines: String = (0..5000).map(|n| format!("row {n},{}\n", n % 100)).collect();
    std::fs::write(&file, lines).unwrap();
    let handler = WhiteListFsHandler::new([file.as_path()]);
    let mut conn = Conn::new(options(site).local_infile_handler(Some(handler))).await.unwrap();
    let load = format!(
        "LOAD DATA LOCAL INFILE '{}' INTO TABLE settings FIELDS TERMINATED BY ',' (name, n)",
        file.display()
    );
    conn.query_drop(load).await.unwrap();
    assert_eq!(conn.affected_rows(), 5000);
    assert_eq!(text(&mut conn, "SELECT COUNT(*) FROM settings").await.as_deref(), Some("5000"));
    conn.query_drop("DELETE FROM settings").await.unwrap();
}

async fn living_and_dying(site: &Site) {
    let mut conn = connect(site).await;
    conn.ping().await.unwrap();
    let (id, seen) = (conn.id(), "SELECT CONCAT_WS(' ', @kept, @@time_zone, DATABASE())");
    let fresh = Some(format!("SYSTEM {}", site.database));
    for way in ["reset", "change_user"] {
        conn.query_drop("SET @kept = 'kept', time_zone = '+05:00'").await.unwrap();
        if way == "reset" {
            assert!(conn.reset().await.unwrap());
        } else {
            let change = ChangeUserOpts::default()
                .with_db_name(Some(site.database.clone()))
                .with_pass(Some(site.password.clone()));
            conn.change_user(change.with_user(Some(site.user.clone()))).await.unwrap();
        }
        assert_eq!((text(&mut conn, seen).await, conn.id()), (fresh.clone(), id), "after {way}");
        let owner: Option<String> =
            conn.exec_first("SELECT owner FROM accounts WHERE id = ?", (3,)).await.unwrap();
        assert_eq!(owner.as_deref(), Some("owner 3"), "after {way}");
    }
    let mut killer = connect(site).await;
    let sleeping = tokio::spawn(async move {
        let slept: Result<Option<i32>, Error> = conn.query_first("SELECT SLEEP(60)").await;
        (conn, slept)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    killer.query_drop(format!("KILL {id}")).await.unwrap();
    let (mut conn, _) =
        tokio::time::timeout(Duration::from_secs(20), sleeping).await.expect("KILL ends it").unwrap();
    assert!(conn.query_drop("SELECT 1").await.is_err(), "a killed connection answers no more");
}

async fn large_values(site: &Site) {
    let mut conn = connect(site).await;
    let body: Vec<u8> = (0..LARGE).map(|n| (n % 251) as u8).collect();
    conn.exec_drop("INSERT INTO blobs VALUES (?, ?)", (41, &body)).await.unwrap();
    let found: Option<Vec<u8>> = conn.exec_first("SELECT body FROM blobs WHERE id = ?", (41,)).await.unwrap();
    assert!(found.as_ref() == Some(&body), "prepared: {:?} bytes", found.map(|found| found.len()));
    conn.query_drop(format!("UPDATE blobs SET body = x'{}' WHERE id = 41", hex(&body[..LARGE / 2])))
        .await
        .unwrap();
    let found: Option<Vec<u8>> =
        conn.query_first("SELECT REPEAT(body, 2) FROM blobs WHERE id = 41").await.unwrap();
    assert!(
        found.as_deref() == Some(&body[..LARGE / 2].repeat(2)[..]),
        "as text: {:?} bytes",
        found.map(|found| found.len())
    );
    conn.query_drop("DELETE FROM blobs WHERE id = 41").await.unwrap();
}
