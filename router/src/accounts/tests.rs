//! Statements about accounts, as data: what is read of each, what is refused, what is shown.

use podway_model::{
    AccountName, Epoch, HostPattern, Keyspace, Map, Name, NameRule, Server, ServerId, Shard, ShardId, Table,
    TableKind,
};

use super::*;
use crate::{ClientCharset, SqlMode, recognise};

fn map() -> Map {
    let rule = NameRule::CaseSensitive;
    let mut map = Map::empty(rule);
    for id in 0..2 {
        map.put_server(Server {
            id: ServerId(id),
            host: "h".into(),
            port: 1,
            uuid: "u".into(),
            version: "8.0.36".into(),
        });
    }
    for name in ["shop", "my_shop"] {
        let shard = |id: u32| Shard {
            id: ShardId(id),
            server: ServerId(id),
            schema: rule.name(name),
            epoch: Epoch(1),
        };
        let mut keyspace = Keyspace::evenly(rule.name(name), vec![shard(0), shard(1)]).unwrap();
        let orders = Table { name: rule.name("orders"), kind: TableKind::Reference, columns: Vec::new() };
        keyspace.tables.insert(orders.name.clone(), orders.into());
        map.put_keyspace(keyspace).unwrap();
    }
    map
}

fn name(user: &str, host: &str) -> AccountName {
    AccountName { user: user.into(), host: HostPattern::new(host) }
}

fn normalised(sql: &str) -> Normalised {
    let mut n = Normalised::new();
    n.run(sql.as_bytes(), SqlMode::empty(), ClientCharset::Utf8).unwrap();
    n
}

fn read(sql: &str) -> Result<AccountStatement, RouterError> {
    let (map, n) = (map(), normalised(sql));
    let shop = Name::caseless("shop");
    let ctx = AccountContext { map: &map, keyspace: Some(&shop), myself: &name("me", "%") };
    read_accounts(sql.as_bytes(), &n, &ctx)
}

/// The text as pieces in one line.
fn pieces(sql: &str, said: &AccountStatement) -> String {
    let piece = |piece: &AccountPiece| match piece {
        AccountPiece::Text(range) => sql[range.clone()].to_owned(),
        AccountPiece::Put(text) => format!("[{text}]"),
        AccountPiece::Schema { is_pattern: true } => "[PATTERN]".to_owned(),
        AccountPiece::Schema { is_pattern: false } => "[SCHEMA]".to_owned(),
        AccountPiece::Password { account, text, is_whole } => {
            format!("[{}{account}:{}]", if *is_whole { "WHOLE" } else { "PASSWORD" }, &sql[text.clone()])
        }
        AccountPiece::IfExists => "[IF EXISTS]".to_owned(),
    };
    said.pieces.iter().map(piece).collect()
}

#[test]
fn statements_about_accounts_are_told_from_others() {
    let cases = [
        ("CREATE USER a IDENTIFIED BY 'x'", true),
        ("ALTER USER a ACCOUNT LOCK", true),
        ("DROP USER a", true),
        ("RENAME USER a TO b", true),
        ("CREATE ROLE r", true),
        ("DROP ROLE r", true),
        ("GRANT SELECT ON *.* TO a", true),
        ("REVOKE r FROM a", true),
        ("SET PASSWORD = 'x'", true),
        ("SET PASSWORD FOR a = 'x'", true),
        ("SET DEFAULT ROLE ALL TO a", true),
        ("FLUSH PRIVILEGES", true),
        ("FLUSH TABLES", false),
        ("SET ROLE r", false),
        ("SET @password = 'x'", false),
        ("SELECT 'CREATE USER'", false),
        ("SHOW GRANTS", false),
    ];
    for (sql, expected) in cases {
        let n = normalised(sql);
        let recognised = recognise(sql.as_bytes(), &n, SqlMode::empty(), n.version());
        assert_eq!(is_about_accounts(&recognised, &n), expected, "{sql}");
    }
}

#[test]
fn texts_are_taken_apart_where_servers_differ() {
    let cases = [
        ("CREATE USER 'a'@'%' IDENTIFIED BY 'x'", "CREATE USER 'a'@'%' [PASSWORD0:IDENTIFIED BY 'x']"),
        (
            "create user if not exists a identified with caching_sha2_password by 'x', b@localhost IDENTIFIED BY 'y' REQUIRE SSL ACCOUNT LOCK",
            "create user if not exists a [PASSWORD0:identified with caching_sha2_password by 'x'], b@localhost [PASSWORD1:IDENTIFIED BY 'y'] [REQUIRE NONE] ACCOUNT LOCK",
        ),
        (
            "CREATE USER a IDENTIFIED WITH 'caching_sha2_password' AS 'hash' DEFAULT ROLE r1, 'r2'@'%' COMMENT 'c'",
            "CREATE USER a IDENTIFIED WITH 'caching_sha2_password' AS 'hash' DEFAULT ROLE r1, 'r2'@'%' COMMENT 'c'",
        ),
        ("CREATE USER dev ACCOUNT LOCK", "CREATE USER dev ACCOUNT LOCK"),
        (
            "ALTER USER b IDENTIFIED BY 'x' REPLACE 'y'",
            "ALTER USER b [PASSWORD0:IDENTIFIED BY 'x' REPLACE 'y']",
        ),
        ("ALTER USER USER() IDENTIFIED BY 'x'", "[WHOLE0:ALTER USER USER() IDENTIFIED BY 'x']"),
        ("ALTER USER me IDENTIFIED BY 'x'", "[WHOLE0:ALTER USER me IDENTIFIED BY 'x']"),
        (
            "ALTER USER me IDENTIFIED BY 'x' ACCOUNT UNLOCK",
            "ALTER USER me [PASSWORD0:IDENTIFIED BY 'x'] ACCOUNT UNLOCK",
        ),
        ("SET PASSWORD FOR b = 'x' REPLACE 'y'", "[WHOLE0:SET PASSWORD FOR b = 'x' REPLACE 'y']"),
        ("SET PASSWORD = 'x'", "[WHOLE0:SET PASSWORD = 'x']"),
        ("SET DEFAULT ROLE NONE TO a, b", "SET DEFAULT ROLE NONE TO a, b"),
        (
            "ALTER USER a PASSWORD EXPIRE INTERVAL 90 DAY PASSWORD HISTORY 5 PASSWORD REUSE INTERVAL 1 DAY",
            "ALTER USER a PASSWORD EXPIRE INTERVAL 90 DAY PASSWORD HISTORY 5 PASSWORD REUSE INTERVAL 1 DAY",
        ),
        (
            "GRANT SELECT, INSERT (`x`, y) ON orders TO a",
            "GRANT SELECT, INSERT (`x`, y) ON [SCHEMA][.]orders TO a",
        ),
        ("GRANT ALL ON shop.* TO a WITH GRANT OPTION", "GRANT ALL ON [PATTERN].* TO a WITH GRANT OPTION"),
        ("GRANT ALL PRIVILEGES ON `my\\_shop`.* TO a", "GRANT ALL PRIVILEGES ON [PATTERN].* TO a"),
        ("GRANT ALL ON my_shop.* TO a", "GRANT ALL ON [PATTERN].* TO a"),
        ("GRANT ALL ON * TO a", "GRANT ALL ON [PATTERN][.]* TO a"),
        ("GRANT EXECUTE ON PROCEDURE shop.p TO a", "GRANT EXECUTE ON PROCEDURE [SCHEMA].p TO a"),
        ("GRANT r1, r2 TO a, b WITH ADMIN OPTION", "GRANT r1, r2 TO a, b WITH ADMIN OPTION"),
        ("GRANT PROCESS, CREATE USER ON *.* TO a", "GRANT PROCESS, CREATE USER ON *.* TO a"),
        ("GRANT SELECT ON mysql.* TO a", "GRANT SELECT ON mysql.* TO a"),
        ("REVOKE SELECT ON shop.orders FROM a", "REVOKE [IF EXISTS]SELECT ON [SCHEMA].orders FROM a"),
        ("REVOKE IF EXISTS SELECT ON shop.t FROM a", "REVOKE IF EXISTS SELECT ON [SCHEMA].t FROM a"),
        ("REVOKE ALL, GRANT OPTION FROM a", "REVOKE [IF EXISTS]ALL, GRANT OPTION FROM a"),
        ("REVOKE ALL ON *.* FROM a", "REVOKE [IF EXISTS]ALL ON *.* FROM a"),
        ("REVOKE r1 FROM a IGNORE UNKNOWN USER", "REVOKE r1 FROM a IGNORE UNKNOWN USER"),
        ("FLUSH PRIVILEGES", "FLUSH PRIVILEGES"),
    ];
    for (sql, expected) in cases {
        let said = read(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(pieces(sql, &said), expected, "{sql}");
    }
}

#[test]
fn whom_a_statement_is_about_is_known() {
    let said =
        read("CREATE USER a IDENTIFIED BY 'x', 'B'@'LocalHost' IDENTIFIED BY 'y' DEFAULT ROLE r").unwrap();
    assert_eq!(said.accounts, [name("a", "%"), name("B", "localhost")]);
    assert_eq!(said.roles, [name("r", "%")]);
    assert_eq!(said.verb, AccountVerb::Create);
    let said = read("RENAME USER a TO b, c TO d@localhost").unwrap();
    assert_eq!(said.accounts, [name("a", "%"), name("c", "%")]);
    let pairs = vec![(name("a", "%"), name("b", "%")), (name("c", "%"), name("d", "localhost"))];
    assert_eq!(said.verb, AccountVerb::Rename(pairs));
    let said = read("GRANT r1, 'r2'@'h' TO CURRENT_USER(), a").unwrap();
    assert_eq!(
        (said.accounts, said.roles),
        (vec![name("me", "%"), name("a", "%")], vec![name("r1", "%"), name("r2", "h")])
    );
    assert_eq!(read("ALTER USER a REQUIRE SSL").unwrap().requires_tls, Some(true));
    assert_eq!(read("ALTER USER a REQUIRE NONE").unwrap().requires_tls, Some(false));
    let place = |sql: &str| read(sql).unwrap().place;
    let of_shop = |home_only| GrantPlace::Shards { keyspace: Name::caseless("shop"), home_only };
    assert_eq!(place("GRANT SELECT ON shop.* TO a"), of_shop(false));
    assert_eq!(place("GRANT SELECT ON shop.orders TO a"), of_shop(false));
    assert_eq!(place("GRANT SELECT ON shop.notes TO a"), of_shop(true));
    assert_eq!(place("GRANT EXECUTE ON FUNCTION f TO a"), of_shop(true));
    assert_eq!(place("GRANT PROCESS ON *.* TO a"), GrantPlace::Servers);
}

#[test]
fn what_reaches_around_podway_is_refused_by_name() {
    let cases = [
        ("ALTER USER a DISCARD OLD PASSWORD", 1235, "DISCARD OLD PASSWORD"),
        ("ALTER USER a IDENTIFIED BY 'x' RETAIN CURRENT PASSWORD", 1235, "RETAIN CURRENT PASSWORD"),
        ("SET PASSWORD = 'x' RETAIN CURRENT PASSWORD", 1235, "RETAIN CURRENT PASSWORD"),
        ("CREATE USER a", 1235, "without a password"),
        ("CREATE USER a IDENTIFIED BY ''", 1235, "without a password"),
        ("ALTER USER a IDENTIFIED WITH caching_sha2_password", 1235, "without a password"),
        ("SET PASSWORD = ''", 1235, "without a password"),
        ("CREATE USER a IDENTIFIED WITH auth_socket", 1235, "auth_socket"),
        ("CREATE USER a IDENTIFIED WITH sha256_password BY 'x'", 1235, "sha256_password"),
        ("CREATE USER a IDENTIFIED BY RANDOM PASSWORD", 1235, "RANDOM PASSWORD"),
        ("ALTER USER a IDENTIFIED BY 'x' AND IDENTIFIED WITH y", 1235, "factors"),
        ("ALTER USER a ADD 2 FACTOR IDENTIFIED WITH y", 1235, "factors"),
        ("ALTER USER a REQUIRE X509", 1235, "certificate"),
        ("ALTER USER a REQUIRE SUBJECT '/CN=x'", 1235, "certificate"),
        ("ALTER USER a PASSWORD EXPIRE", 1235, "PASSWORD EXPIRE"),
        ("GRANT ALL ON *.* TO a", 1235, "GRANT ALL ON *.*"),
        ("GRANT PROCESS, SELECT ON *.* TO a", 1235, "GRANT SELECT ON *.*"),
        ("GRANT SUPER ON *.* TO a", 1235, "SUPER"),
        ("GRANT `role_admin` ON *.* TO a", 1235, "ROLE_ADMIN"),
        ("GRANT INSERT ON mysql.* TO a", 1235, "GRANT INSERT ON mysql.*"),
        ("GRANT UPDATE ON mysql.user TO a", 1235, "GRANT UPDATE"),
        ("GRANT SELECT ON _podway.* TO a", 1044, "_podway"),
        ("GRANT SELECT ON `\\_podway`.* TO a", 1044, "_podway"),
        ("CREATE USER _podway IDENTIFIED BY 'x'", 1227, "Podway's own"),
        ("CREATE USER '_podway'@'10.%' IDENTIFIED BY 'x'", 1227, "Podway's own"),
        ("ALTER USER `_podway`@`%` ACCOUNT LOCK", 1227, "Podway's own"),
        ("DROP USER a, _podway", 1227, "Podway's own"),
        ("RENAME USER a TO _podway", 1227, "Podway's own"),
        ("SET PASSWORD FOR _podway = 'x'", 1227, "Podway's own"),
        ("GRANT SELECT ON shop.* TO _podway", 1227, "Podway's own"),
        ("GRANT _podway TO a", 1227, "Podway's own"),
        ("REVOKE PROCESS ON *.* FROM _podway", 1227, "Podway's own"),
        ("GRANT SELECT ON `_podwa_`.* TO a", 1049, "_podwa_"),
        ("GRANT SELECT ON `%`.* TO a", 1235, "wildcards"),
        ("GRANT SELECT ON `sho%`.* TO a", 1235, "wildcards"),
        ("GRANT SELECT ON nowhere.* TO a", 1049, "nowhere"),
        ("GRANT PROXY ON a TO b", 1235, "PROXY"),
        ("GRANT SELECT ON shop.* TO a AS b WITH ROLE r", 1235, "AS another user"),
        ("RENAME USER a TO b, b TO a", 1235, "twice"),
        ("ALTER USER a FOO", 1235, "this form of ALTER USER"),
        ("GRANT SELECT ON shop.* TO a, ", 1235, "this form of GRANT"),
    ];
    for (sql, errno, what) in cases {
        let error = read(sql).expect_err(sql);
        assert_eq!(error.errno, errno, "{sql}: {error}");
        assert!(error.message.contains(what), "{sql}: {error}");
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let cases = [
        ("CREATE USER 'a'@'%' IDENTIFIED BY 'hunter2'", "CREATE USER 'a'@'%' IDENTIFIED BY <secret>"),
        (
            "ALTER USER a IDENTIFIED BY 'hunter2' REPLACE \"hunter2\"",
            "ALTER USER a IDENTIFIED BY <secret> REPLACE <secret>",
        ),
        ("SET PASSWORD FOR 'a' = 'hunter2'", "SET PASSWORD FOR 'a' = <secret>"),
        (
            "CREATE USER a IDENTIFIED WITH caching_sha2_password AS 0x41",
            "CREATE USER a IDENTIFIED WITH caching_sha2_password AS <secret>",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(read(sql).unwrap().shown, expected);
        let shown = without_secrets(sql.as_bytes(), SqlMode::empty(), ClientCharset::Utf8).into_owned();
        let shown = String::from_utf8(shown).unwrap();
        assert!(!shown.contains("hunter2") && !shown.contains("0x41"), "{shown}");
    }
    let hidden = [
        "/* x */ ALTER USER a IDENTIFIED BY 'hunter2'",
        "PREPARE s FROM 'ALTER USER a IDENTIFIED BY ''hunter2'''",
        "alter user a identified by 'hunt",
        "SET PASSWORD = _utf8mb4'hunter2'",
        "CREATE USER a IDENTIFIED BY 'hun' 'ter2'",
        "CREATE USER a IDENTIFIED BY N'hunter2'",
        ";ALTER USER a IDENTIFIED BY 'hunter2'",
    ];
    for sql in hidden {
        let shown = without_secrets(sql.as_bytes(), SqlMode::empty(), ClientCharset::Utf8);
        assert!(!String::from_utf8_lossy(&shown).contains("hunt"), "{sql}");
    }
    // What holds none is shown as it is.
    for sql in ["SELECT 'password'", "INSERT INTO t VALUES ('password')", "GRANT SELECT ON shop.* TO 'a'"] {
        assert_eq!(&*without_secrets(sql.as_bytes(), SqlMode::empty(), ClientCharset::Utf8), sql.as_bytes());
    }
}
