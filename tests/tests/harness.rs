//! The harness itself, and what it stands on: accounts that two passwords open, tables read into the model's words, keyspaces with
//! another physical name on one shard. No proxy is needed here.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use podway::provision::{
    Declaration, OwnPassword, create_user, ensure_account, read_account, read_accounts, read_table,
};
use podway_model::{
    AccountName, ColumnDefault, ColumnType, HostPattern, Name, ServerId, ShardIndex, TableKind,
};
use podway_tests::{APP, Grant, Password, Pod, PodOptions, User};
use tokio::sync::OnceCell;

async fn pod() -> &'static Pod {
    static POD: OnceCell<Pod> = OnceCell::const_new();
    let start = || async {
        Pod::start(PodOptions { servers: 2, has_proxy: false, ..Default::default() }).await.unwrap()
    };
    POD.get_or_init(start).await
}

async fn login(pod: &Pod, id: ServerId, user: &str, password: &str) -> Result<String, String> {
    let options: OptsBuilder = pod.direct_options(id).unwrap().user(Some(user)).pass(Some(password));
    let mut conn = Conn::new(options).await.map_err(|error| error.to_string())?;
    let current: Option<String> =
        conn.query_first("SELECT CURRENT_USER()").await.map_err(|error| error.to_string())?;
    Ok(current.unwrap_or_default())
}

fn name(user: &str) -> AccountName {
    AccountName { user: user.into(), host: HostPattern::new("%") }
}

#[tokio::test]
async fn both_passwords_of_a_user_open_every_server() {
    let pod = pod().await;
    for id in [ServerId(0), ServerId(1)] {
        let backend = pod.secret().backend_password(&name(APP.0), &pod.map().server(id).unwrap().uuid);
        for password in [APP.1, &backend] {
            assert_eq!(login(pod, id, APP.0, password).await.as_deref(), Ok("app@%"), "on {id}");
        }
        assert!(login(pod, id, APP.0, "wrong").await.unwrap_err().contains("Access denied"));
    }
}

#[tokio::test]
async fn an_account_is_brought_again_without_a_visible_change() {
    let pod = pod().await;
    let mut conn = pod.admin(ServerId(0)).await.unwrap();
    let account_name = name("twice");
    create_user(&mut conn, &account_name, "o'wn\\pass`word").await.unwrap();
    let account = read_account(&mut conn, &account_name).await.unwrap();
    assert!(account.authentication_string.starts_with(b"$A$") && account.authentication_string.len() == 70);
    let grants = ["SELECT ON mysql.*".to_owned()];
    for _ in 0..3 {
        let own = ensure_account(&mut conn, &account, &grants, "Pw.backend1").await.unwrap();
        assert_eq!(own, OwnPassword::Kept);
        assert_eq!(
            read_account(&mut conn, &account_name).await.unwrap(),
            account,
            "the own string stays the first"
        );
        for password in ["o'wn\\pass`word", "Pw.backend1"] {
            assert_eq!(login(pod, ServerId(0), "twice", password).await.as_deref(), Ok("twice@%"));
        }
    }
    // The user's own SET PASSWORD leaves Podway's in place.
    conn.query_drop("ALTER USER twice IDENTIFIED BY 'new'").await.unwrap();
    assert!(login(pod, ServerId(0), "twice", "Pw.backend1").await.is_ok());
    let users: Vec<String> =
        read_accounts(&mut conn).await.unwrap().iter().map(|account| account.name.to_string()).collect();
    assert!(
        users.contains(&"'twice'@'%'".to_owned()) && !users.iter().any(|user| user.contains("mysql.sys")),
        "{users:?}"
    );
}

#[tokio::test]
async fn users_with_an_empty_or_a_native_password_are_opened_by_podways_alone() {
    let pod = pod().await;
    let users = [("nopass", Password::Empty), ("native", Password::Native("old".into()))];
    for (user, password) in users {
        pod.add_user(User::new(user, password)).await.unwrap();
        let backend =
            pod.secret().backend_password(&name(user), &pod.map().server(ServerId(1)).unwrap().uuid);
        assert_eq!(login(pod, ServerId(1), user, &backend).await, Ok(format!("{user}@%")));
        assert!(login(pod, ServerId(1), user, "").await.is_err(), "nobody else gets in as {user}");
    }
}

#[tokio::test]
async fn grants_on_a_keyspace_name_the_physical_schemas_and_no_others() {
    let pod = pod().await;
    let grant = Grant { privileges: "SELECT".into(), keyspace: Some("granted".into()) };
    let reader = User { grants: vec![grant], ..User::new("reader", Password::Sha2("r".into())) };
    pod.add_user(reader).await.unwrap();
    let keyspace = pod.keyspace("granted", 2).await.unwrap();
    assert_eq!(keyspace.physical(ShardIndex(1)), "granted__2");
    let mut conn = pod.admin(ServerId(1)).await.unwrap();
    let mut grants: Vec<String> = conn.query("SHOW GRANTS FOR reader").await.unwrap();
    grants.retain(|line| !line.contains("`_podway`"));
    assert_eq!(
        grants,
        [r"GRANT USAGE ON *.* TO `reader`@`%`", r"GRANT SELECT ON `granted\_\_2`.* TO `reader`@`%`"]
    );
    // Unescaped, each `_` would stand for any letter.
    conn.query_drop("CREATE DATABASE grantedxy2").await.unwrap();
    let options = pod.direct_options(ServerId(1)).unwrap().user(Some("reader")).pass(Some("r"));
    for (schema, is_granted) in [("granted__2", true), ("grantedxy2", false)] {
        let entered = Conn::new(options.clone().db_name(Some(schema))).await;
        assert_eq!(entered.is_ok(), is_granted, "{schema}: {:?}", entered.err());
    }
}

#[tokio::test]
async fn a_keyspaces_tables_are_on_its_shards_and_in_the_map() {
    let pod = pod().await;
    let shop = pod.keyspace("shop", 2).await.unwrap();
    let cases = [
        ("customers", "id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(40)", Declaration::sharded_by(&["id"])),
        ("countries", "code CHAR(2) PRIMARY KEY", Declaration::Reference),
        ("settings", "k INT PRIMARY KEY", Declaration::Home),
    ];
    for (table, columns, declaration) in cases {
        let sql = format!("CREATE TABLE {table} ({columns})");
        shop.create_table(&sql, table, declaration).await.unwrap();
    }
    shop.create_table("CREATE VIEW adults AS SELECT 1", "adults", Declaration::Home).await.unwrap();
    let tables = shop.get().tables.clone();
    let kind = |table: &str| tables[table].kind.clone();
    assert!(matches!(kind("customers"), TableKind::Sharded(_)));
    assert_eq!(
        [kind("countries"), kind("settings"), kind("adults")],
        [TableKind::Reference, TableKind::Home, TableKind::View]
    );

    for (shard, expected) in [(0, 4u32), (1, 2)] {
        let mut conn = shop.direct(ShardIndex(shard)).await.unwrap();
        let count: Option<u32> = conn
            .query_first("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()")
            .await
            .unwrap();
        assert_eq!(count, Some(expected), "on shard {shard}");
    }
    let refused =
        shop.create_table("CREATE TABLE f (x FLOAT PRIMARY KEY)", "f", Declaration::sharded_by(&["x"])).await;
    assert!(refused.unwrap_err().to_string().contains("'x'"));
}

#[tokio::test]
async fn servers_join_with_the_users_that_are_there() {
    let pod = Pod::start(PodOptions { servers: 1, has_proxy: false, ..Default::default() }).await.unwrap();
    let added = pod.add_servers(1).await.unwrap();
    assert_eq!(added, [ServerId(1)]);
    assert_eq!(login(&pod, ServerId(1), APP.0, APP.1).await.as_deref(), Ok("app@%"));
}

const EVERY_TYPE: &str = "CREATE TABLE every_type (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE, a TINYINT UNSIGNED ZEROFILL, b SMALLINT NOT NULL DEFAULT -3, c MEDIUMINT, d BIGINT,
    e DECIMAL(10,2) DEFAULT 1.5, f FLOAT, g DOUBLE UNSIGNED, h CHAR(3) DEFAULT 'x''y', i VARCHAR(20) COLLATE utf8mb4_bin NOT NULL,
    j TEXT, k BINARY(4) DEFAULT 0x61000000, l VARBINARY(10), m BLOB, n DATE DEFAULT '2020-01-01', o TIME(3), p DATETIME(6),
    q TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, r YEAR, s BIT(7) DEFAULT b'101', t ENUM('a','b'), u SET('a'),
    v JSON DEFAULT ('{}'), w GEOMETRY, x INT GENERATED ALWAYS AS (c + 1) STORED, y LONGTEXT, z INT DEFAULT (3 + 4), PRIMARY KEY (id, b))";

#[tokio::test]
async fn every_column_type_is_read_as_what_it_is() {
    let pod = pod().await;
    let keyspace = pod.keyspace("types", 1).await.unwrap();
    keyspace.on_shard(ShardIndex(0), EVERY_TYPE).await.unwrap();
    let mut conn = keyspace.direct(ShardIndex(0)).await.unwrap();
    let table = read_table(&mut conn, "types", "every_type").await.unwrap();
    let integer = |bytes, unsigned| ColumnType::Integer { bytes, unsigned };
    let literal = |text: &str| ColumnDefault::Literal(text.into());
    let (null, none, expression) = (ColumnDefault::Null, ColumnDefault::None, ColumnDefault::Expression);
    let cases = [
        ("id", integer(4, true), none.clone()),
        ("a", integer(1, true), null.clone()),
        ("b", integer(2, false), literal("-3")),
        ("c", integer(3, false), null.clone()),
        ("d", integer(8, false), null.clone()),
        ("e", ColumnType::Decimal { precision: 10, scale: 2, unsigned: false }, literal("1.50")),
        ("f", ColumnType::Float, null.clone()),
        ("g", ColumnType::Double, null.clone()),
        ("h", ColumnType::Char(3), literal("x'y")),
        ("i", ColumnType::Varchar(20), none.clone()),
        ("j", ColumnType::Text(65_535), null.clone()),
        ("k", ColumnType::Binary(4), expression.clone()),
        ("l", ColumnType::Varbinary(10), null.clone()),
        ("m", ColumnType::Blob(65_535), null.clone()),
        ("n", ColumnType::Date, literal("2020-01-01")),
        ("o", ColumnType::Time(3), null.clone()),
        ("p", ColumnType::Datetime(6), null.clone()),
        ("q", ColumnType::Timestamp(0), expression.clone()),
        ("r", ColumnType::Year, null.clone()),
        ("s", ColumnType::Bit(7), literal("b'101'")),
        ("t", ColumnType::Enum, null.clone()),
        ("u", ColumnType::Set, null.clone()),
        ("v", ColumnType::Json, expression.clone()),
        ("w", ColumnType::Other("geometry".into()), null.clone()),
        ("x", integer(4, false), none),
        ("y", ColumnType::Text(4_294_967_295), null),
        ("z", integer(4, false), expression),
    ];
    assert_eq!(table.columns.len(), cases.len());
    for (column, (name, column_type, default)) in table.columns.iter().zip(cases) {
        assert_eq!(
            (&column.name, &column.column_type, &column.default),
            (&Name::caseless(name), &column_type, &default)
        );
    }
    let flagged = |flag: fn(&podway_model::Column) -> bool| {
        let names = table.columns.iter().filter(|column| flag(column)).map(|column| column.name.as_str());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(flagged(|column| !column.nullable), "id b i");
    assert_eq!(flagged(|column| column.auto_increment), "id");
    assert_eq!(flagged(|column| column.invisible), "id");
    assert_eq!(flagged(|column| column.generated), "x");
    assert_eq!(flagged(|column| column.collation.is_some()), "h i j t u y");
    assert_eq!(table.columns[9].collation.as_deref(), Some("utf8mb4_bin"));
    assert_eq!(table.primary_key, [Name::caseless("id"), Name::caseless("b")]);
    assert_eq!(table.set_on_update, [Name::caseless("q")]);
}
