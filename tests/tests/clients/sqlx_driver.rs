//! sqlx, the other driver in Rust: it prepares nearly everything, pipelines nothing, and checks column types against what it decodes into.
//! Built here without TLS, so that its logins go by the server's RSA key.

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPoolOptions, MySqlRow, MySqlSslMode};
use sqlx::{Column, ConnectOptions, Connection, Error, Executor, Row, TypeInfo, ValueRef};

use crate::place::{Place, Site};
use crate::values::{Kind, TypedColumn, columns_of_every_type, hex, list, numbers_of, unhex};

/// Enough ids that every shard has some.
const IDS: std::ops::RangeInclusive<i64> = 1..=16;
const LARGE: usize = 20 << 20;

type Query<'q> = sqlx::query::Query<'q, sqlx::MySql, sqlx::mysql::MySqlArguments>;

pub async fn check(place: Place) {
    let site = place.prepare("sqlx").await;
    connecting(&site).await;
    queries(&site).await;
    every_type(&site).await;
    errors(&site).await;
    results_of_writes(&site).await;
    transactions(&site).await;
    session_state(&site).await;
    large_values(&site).await;
    several_statements(&site).await;
}

fn options(site: &Site) -> MySqlConnectOptions {
    MySqlConnectOptions::new()
        .host(&site.host)
        .port(site.port)
        .username(&site.user)
        .password(&site.password)
        .database(&site.database)
        .ssl_mode(MySqlSslMode::Disabled)
}

async fn connect(site: &Site) -> MySqlConnection {
    options(site).connect().await.unwrap()
}

async fn text(conn: &mut MySqlConnection, sql: &str) -> Option<String> {
    let row = sqlx::query(sql).fetch_one(conn).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    row.get_unchecked(0)
}

/// What the error says; it must have this number and SQLSTATE.
#[track_caller]
fn refused<T>(what: &str, result: Result<T, Error>, number: u16, state: &str) -> String {
    let Err(Error::Database(error)) = result.map(drop) else { panic!("{what}: error {number} was expected") };
    let mysql = error.downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
    assert_eq!((mysql.number(), mysql.code()), (number, Some(state)), "{what}: {}", mysql.message());
    mysql.message().to_owned()
}

async fn connecting(site: &Site) {
    let mut conn = connect(site).await;
    assert_eq!(text(&mut conn, "SELECT DATABASE()").await.as_ref(), Some(&site.database));
    conn.ping().await.unwrap();
    conn.close().await.unwrap();
    refused("a wrong password", options(site).password("wrong").connect().await, 1045, "28000");
    refused("an unknown database", options(site).database("no_such_db").connect().await, 1049, "42000");
}

async fn queries(site: &Site) {
    let mut conn = connect(site).await;
    for id in IDS {
        let insert = sqlx::query("INSERT INTO accounts VALUES (?, ?, ?)")
            .bind(id)
            .bind(format!("owner {id}"))
            .bind(100);
        assert_eq!(insert.execute(&mut conn).await.unwrap().rows_affected(), 1);
    }
    for id in IDS {
        let select = "SELECT id, owner, balance FROM accounts WHERE id = ?";
        let found: (i64, String, i32) = sqlx::query_as(select).bind(id).fetch_one(&mut conn).await.unwrap();
        assert_eq!(found, (id, format!("owner {id}"), 100), "prepared");
        let sql = format!("SELECT owner FROM accounts WHERE id = {id}");
        let row = conn.fetch_one(sql.as_str()).await.unwrap();
        assert_eq!(row.get::<String, _>("owner"), format!("owner {id}"), "as text");
        let optional = sqlx::query(select).bind(id + 500).fetch_optional(&mut conn).await.unwrap();
        assert!(optional.is_none());
    }
    let names: Vec<(String,)> =
        sqlx::query_as("SELECT name FROM countries ORDER BY code").fetch_all(&mut conn).await.unwrap();
    assert_eq!(
        names.into_iter().map(|(name,)| name).collect::<Vec<_>>(),
        ["Österreich", "日本", "United States"]
    );
    let described = conn.describe("SELECT id, owner FROM accounts WHERE id = ?").await.unwrap();
    let types: Vec<&str> = described.columns().iter().map(|column| column.type_info().name()).collect();
    assert_eq!(types, ["BIGINT", "VARCHAR"], "known from PREPARE on");
}

async fn every_type(site: &Site) {
    let mut conn = connect(site).await;
    conn.execute("SET time_zone = '+00:00'").await.unwrap();
    let columns = columns_of_every_type();
    let names = list(&columns, |column| column.name.clone());
    let insert =
        format!("INSERT INTO every_type (id, {names}) VALUES (?, {})", list(&columns, |_| "?".to_owned()));
    let mut differences = Vec::new();
    for row in 0..4usize {
        let id = 601 + row as i32;
        let bound = sqlx::query(&insert).bind(id);
        let bound = columns.iter().fold(bound, |query, column| bind(query, column, column.texts.get(row)));
        bound.execute(&mut conn).await.unwrap();
        let all = format!("SELECT {names} FROM every_type WHERE id = ?");
        let found = sqlx::query(&all).bind(id).fetch_one(&mut conn).await.unwrap();
        let spelled_out =
            format!("SELECT {} FROM every_type WHERE id = ?", list(&columns, TypedColumn::server_text));
        let stored = sqlx::query(&spelled_out).bind(id).fetch_one(&mut conn).await.unwrap();
        for (n, column) in columns.iter().enumerate() {
            let expected = column.texts.get(row).map(|text| canonical(column, text));
            let found =
                if found.try_get_raw(n).unwrap().is_null() { None } else { Some(spelled(column, &found, n)) };
            if found != expected {
                differences.push(format!("{} in row {row}: {expected:?}, but {found:?}", column.name));
            }
            let in_server: Option<String> = stored.get_unchecked(n);
            if !in_server.as_ref().map_or(row == 3, |found| column.is_server_text(row, found)) {
                differences
                    .push(format!("{} in row {row}: MySQL has {in_server:?} for {expected:?}", column.name));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Binds a column's value in the Rust type that sqlx has for it; NULL where there is no text.
fn bind<'q>(query: Query<'q>, column: &TypedColumn, text: Option<&String>) -> Query<'q> {
    let name = column.name.as_str();
    let is_unsigned = name.starts_with("c_u");
    match column.kind {
        Kind::Int if is_unsigned => query.bind(text.map(|text| text.parse::<u64>().unwrap())),
        Kind::Int if name == "c_tinyint" => query.bind(text.map(|text| text.parse::<i8>().unwrap())),
        Kind::Int if name == "c_smallint" => query.bind(text.map(|text| text.parse::<i16>().unwrap())),
        Kind::Int if name == "c_int" => query.bind(text.map(|text| text.parse::<i32>().unwrap())),
        Kind::Int => query.bind(text.map(|text| text.parse::<i64>().unwrap())),
        Kind::Bit => query.bind(text.map(|text| text.parse::<u64>().unwrap())),
        Kind::Float if name == "c_float" => query.bind(text.map(|text| text.parse::<f32>().unwrap())),
        Kind::Float => query.bind(text.map(|text| text.parse::<f64>().unwrap())),
        Kind::Bytes => query.bind(text.map(|text| unhex(text))),
        _ => query.bind(text.cloned()),
    }
}

/// One spelling for what sqlx decodes.
fn spelled(column: &TypedColumn, row: &MySqlRow, n: usize) -> String {
    let is_unsigned = row.columns()[n].type_info().name().contains("UNSIGNED");
    match column.kind {
        Kind::Int if column.name == "c_year" => row.get::<u16, _>(n).to_string(),
        Kind::Int if is_unsigned => row.get::<u64, _>(n).to_string(),
        Kind::Int => row.get::<i64, _>(n).to_string(),
        Kind::Bit => row.get::<u64, _>(n).to_string(),
        Kind::Float if column.name == "c_float" => row.get::<f32, _>(n).to_string(),
        Kind::Float => row.get::<f64, _>(n).to_string(),
        Kind::Bytes => hex(row.get::<&[u8], _>(n)),
        Kind::Text => row.get::<String, _>(n),
        // Without further crates sqlx has no Rust types for these: the bytes of the binary protocol are read here.
        Kind::Decimal | Kind::Json => String::from_utf8(row.get_unchecked::<Vec<u8>, _>(n)).unwrap(),
        Kind::Date | Kind::DateTime | Kind::Time => {
            canonical(column, &temporal(column.kind, &row.get_unchecked::<Vec<u8>, _>(n)))
        }
    }
}

/// The text of a date or time in the binary protocol: after its length, without the parts on the right that are zero.
fn temporal(kind: Kind, bytes: &[u8]) -> String {
    let at = |n: usize| bytes.get(n + 1).copied().unwrap_or(0);
    let long = |n: usize| u32::from_le_bytes([at(n), at(n + 1), at(n + 2), at(n + 3)]);
    let date = format!("{:04}-{:02}-{:02}", u16::from_le_bytes([at(0), at(1)]), at(2), at(3));
    match kind {
        Kind::Date => date,
        Kind::DateTime => format!("{date} {:02}:{:02}:{:02}.{:06}", at(4), at(5), at(6), long(7)),
        _ => {
            let sign = if at(0) == 1 { "-" } else { "" };
            format!("{sign}{:02}:{:02}:{:02}.{:06}", long(1) * 24 + u32::from(at(5)), at(6), at(7), long(8))
        }
    }
}

/// The same spelling for a text.
fn canonical(column: &TypedColumn, text: &str) -> String {
    match column.kind {
        Kind::Float => text.parse::<f64>().unwrap().to_string(),
        Kind::Time | Kind::DateTime => {
            let numbers = numbers_of(text);
            let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
            format!("{whole}.{:06}", numbers.last().unwrap())
        }
        _ => text.to_owned(),
    }
}

async fn errors(site: &Site) {
    let mut conn = connect(site).await;
    for id in IDS {
        let duplicate =
            sqlx::query("INSERT INTO accounts VALUES (?, '', 0)").bind(id).execute(&mut conn).await;
        let Err(Error::Database(error)) = &duplicate else { panic!("a duplicate went through") };
        assert!(error.is_unique_violation());
        refused("a duplicate", duplicate, 1062, "23000");
        let orphan =
            sqlx::query("INSERT INTO entries VALUES (?, 1, '')").bind(id + 1000).execute(&mut conn).await;
        let message = refused("a foreign key", orphan, 1452, "23000");
        assert!(message.contains(&format!("(`{}`.`entries`,", site.database)), "{message}");
        let unknown = sqlx::query("SELECT nope FROM accounts WHERE id = ?").bind(id).execute(&mut conn).await;
        refused("an unknown column", unknown, 1054, "42S22");
    }
    for (sql, number, state) in [("SELECT * FROM no_such_table", 1146, "42S02"), ("SELEC 1", 1064, "42000")] {
        refused(sql, sqlx::query(sql).execute(&mut conn).await, number, state);
        refused(sql, conn.execute(sql).await, number, state);
    }
    assert_eq!(text(&mut conn, "SELECT 'usable'").await.as_deref(), Some("usable"));
}

async fn results_of_writes(site: &Site) {
    let mut conn = connect(site).await;
    let inserted = sqlx::query("INSERT INTO settings (name, n) VALUES (?, 1)")
        .bind("first")
        .execute(&mut conn)
        .await
        .unwrap();
    let last: (u64,) = sqlx::query_as("SELECT LAST_INSERT_ID()").fetch_one(&mut conn).await.unwrap();
    assert_eq!((inserted.rows_affected(), inserted.last_insert_id()), (1, last.0));
    // sqlx always asks for CLIENT_FOUND_ROWS.
    for id in IDS {
        let update = sqlx::query("UPDATE accounts SET balance = 100 WHERE id = ?")
            .bind(id)
            .execute(&mut conn)
            .await
            .unwrap();
        assert_eq!(update.rows_affected(), 1);
    }
    assert_eq!(conn.execute("DELETE FROM settings").await.unwrap().rows_affected(), 1);
}

async fn transactions(site: &Site) {
    let (mut conn, mut other) = (connect(site).await, connect(site).await);
    for id in IDS.take(6) {
        let mut transaction = conn.begin().await.unwrap();
        set_balance(&mut transaction, id, 50).await;
        assert_eq!((balance(&mut transaction, id).await, balance(&mut other, id).await), (50, 100));
        let mut nested = transaction.begin().await.unwrap();
        set_balance(&mut nested, id, 70).await;
        nested.rollback().await.unwrap();
        assert_eq!(balance(&mut transaction, id).await, 50, "back to the savepoint");
        transaction.rollback().await.unwrap();
        assert_eq!(balance(&mut other, id).await, 100);
        let mut transaction = conn.begin().await.unwrap();
        set_balance(&mut transaction, id, 60).await;
        transaction.commit().await.unwrap();
        assert_eq!(balance(&mut other, id).await, 60);
    }
}

async fn balance(conn: &mut MySqlConnection, id: i64) -> i32 {
    sqlx::query_scalar("SELECT balance FROM accounts WHERE id = ?").bind(id).fetch_one(conn).await.unwrap()
}

async fn set_balance(conn: &mut MySqlConnection, id: i64, balance: i32) {
    let update = sqlx::query("UPDATE accounts SET balance = ? WHERE id = ?").bind(balance).bind(id);
    update.execute(conn).await.unwrap();
}

async fn session_state(site: &Site) {
    let pool = MySqlPoolOptions::new()
        .max_connections(4)
        .connect_with(options(site).timezone(Some("+05:30".to_owned())))
        .await
        .unwrap();
    let mut conns = Vec::new();
    for n in 0..4i64 {
        let mut conn = pool.acquire().await.unwrap();
        sqlx::query("SET @n = ?").bind(n).execute(&mut *conn).await.unwrap();
        conns.push((conn, n));
    }
    for id in IDS {
        for (conn, n) in &mut conns {
            let seen = "SELECT CAST(@n AS SIGNED), @@time_zone FROM accounts WHERE id = ?";
            let found: (i64, String) = sqlx::query_as(seen).bind(id).fetch_one(&mut **conn).await.unwrap();
            assert_eq!(found, (*n, "+05:30".to_owned()), "at {id}");
        }
    }
    drop(conns);
    pool.close().await;
}

async fn large_values(site: &Site) {
    let mut conn = connect(site).await;
    let body: Vec<u8> = (0..LARGE).map(|n| (n % 251) as u8).collect();
    sqlx::query("INSERT INTO blobs VALUES (?, ?)").bind(51).bind(&body).execute(&mut conn).await.unwrap();
    let found: (Vec<u8>,) =
        sqlx::query_as("SELECT body FROM blobs WHERE id = ?").bind(51).fetch_one(&mut conn).await.unwrap();
    assert!(found.0 == body, "{} bytes", found.0.len());
    conn.execute("DELETE FROM blobs WHERE id = 51").await.unwrap();
}

async fn several_statements(site: &Site) {
    let mut conn = connect(site).await;
    let rows = conn
        .fetch_all("SELECT 'a'; SET @a = 'x;y'; SELECT @a; SELECT owner FROM accounts WHERE id = 16")
        .await
        .unwrap();
    let found: Vec<String> = rows.iter().map(|row| row.get_unchecked(0)).collect();
    assert_eq!(found, ["a", "x;y", "owner 16"]);
    refused("an error in the second", conn.fetch_all("SELECT 1; SELECT nope; SELECT 3").await, 1054, "42S22");
    assert_eq!(text(&mut conn, "SELECT 'usable'").await.as_deref(), Some("usable"));
}
