//! Sessions that leave traps in their connections: settings, roles, locks, open transactions, temporary tables, procedures that do the
//! same out of sight. With two connections per server every other session comes after them; it must find nothing of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use podway_model::ShardIndex;
use podway_proxy::Proxy;
use podway_tests::{APP, Pod, TestKeyspace, is_left_out};
use tokio::time::timeout;

use crate::ground::{keyspace, proxy};

/// Enough ids that every shard has some.
const IDS: std::ops::RangeInclusive<i32> = 1..=12;
/// What a victim does takes no longer, unless something keeps it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a hostile session says, one text after the other; and whether others would be kept waiting, rightly, while it stays.
struct Trap {
    what: &'static str,
    texts: &'static [&'static str],
    blocks_others: bool,
}

const fn trap(what: &'static str, texts: &'static [&'static str]) -> Trap {
    Trap { what, texts, blocks_others: false }
}

const fn lock(what: &'static str, texts: &'static [&'static str]) -> Trap {
    Trap { what, texts, blocks_others: true }
}

const TRAPS: &[Trap] = &[
    trap("a stopped clock", &["SET timestamp = 1"]),
    trap(
        "a stopped clock, by another name",
        &["SET @@SESSION.timestamp = 1", "SELECT NOW() FROM items WHERE id = 1"],
    ),
    trap("a stopped clock, among others", &["SET @a = 1, timestamp = 1, @b = 2"]),
    trap(
        "a stopped clock in a version comment",
        &["/*!50000 SET timestamp = 1 */", "SET /*!50000 timestamp = 1 */"],
    ),
    trap("a stopped clock behind a semicolon", &["SELECT 1; SET timestamp = 1; SELECT 2"]),
    trap("a stopped clock in a hint", &["SELECT /*+ SET_VAR(timestamp = 1) */ n FROM items WHERE id = 1"]),
    trap("a stopped clock, prepared", &["PREPARE p FROM 'SET timestamp = 1'", "EXECUTE p"]),
    trap(
        "a stopped clock, prepared from a variable",
        &["SET @sql = 'SET timestamp = 1'", "PREPARE p FROM @sql", "EXECUTE p"],
    ),
    trap(
        "no rows",
        &["SET sql_select_limit = 0", "SELECT n FROM items WHERE id = 1", "SET SESSION sql_select_limit = 1"],
    ),
    trap("a COMMIT that closes", &["SET completion_type = 2", "BEGIN", "COMMIT"]),
    trap(
        "a COMMIT that closes, left open",
        &["SET completion_type = 'RELEASE'", "BEGIN", "SELECT n FROM items WHERE id = 1"],
    ),
    trap(
        "a COMMIT that goes on",
        &["SET completion_type = 1", "BEGIN", "SELECT n FROM items WHERE id = 1", "COMMIT"],
    ),
    trap(
        "writes that no replica sees",
        &["SET sql_log_bin = 0", "SET SESSION sql_log_bin = OFF", "SELECT n FROM items WHERE id = 1"],
    ),
    trap("another role", &["SET ROLE trap", "SELECT n FROM items WHERE id = 1"]),
    trap("all roles", &["SET ROLE ALL", "SELECT n FROM items WHERE id = 1"]),
    trap("another role, prepared", &["PREPARE p FROM 'SET ROLE trap'", "EXECUTE p"]),
    trap("no autocommit", &["SET autocommit = 0", "SELECT n FROM items WHERE id = 1"]),
    trap("read-only", &["SET SESSION TRANSACTION READ ONLY", "SELECT n FROM items WHERE id = 1"]),
    trap("read-only, the next one", &["SET TRANSACTION READ ONLY"]),
    trap(
        "another isolation",
        &["SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SELECT n FROM items WHERE id = 1"],
    ),
    trap("no checks", &["SET foreign_key_checks = 0, unique_checks = 0", "SELECT n FROM items WHERE id = 1"]),
    trap(
        "another optimizer",
        &[
            "SET optimizer_switch = 'index_merge=off', tmp_table_size = 1024, big_tables = 1",
            "SELECT n FROM items WHERE id = 1",
        ],
    ),
    trap(
        "other names",
        &[
            "SET sql_quote_show_create = 0, updatable_views_with_limit = 0, explicit_defaults_for_timestamp = 0",
        ],
    ),
    trap("safe updates", &["SET sql_safe_updates = 1", "SELECT n FROM items WHERE id = 1"]),
    trap(
        "short patience",
        &[
            "SET max_execution_time = 1, lock_wait_timeout = 1",
            "SET innodb_lock_wait_timeout = 1",
            "SELECT n FROM items WHERE id = 1",
        ],
    ),
    trap(
        "a short life",
        &["SET wait_timeout = 1, interactive_timeout = 1", "SET net_read_timeout = 1, net_write_timeout = 1"],
    ),
    trap("small joins", &["SET max_join_size = 1, sql_big_selects = 0", "SELECT n FROM items WHERE id = 1"]),
    trap(
        "another character set",
        &[
            "SET NAMES gbk",
            "SELECT n FROM items WHERE id = 1",
            "SET CHARACTER SET latin1",
            "SET character_set_results = NULL",
        ],
    ),
    trap(
        "another mode and zone",
        &["SET sql_mode = 'NO_BACKSLASH_ESCAPES', time_zone = '+11:00'", "SELECT n FROM items WHERE id = 1"],
    ),
    trap(
        "other numbers and words",
        &[
            "SET div_precision_increment = 0, group_concat_max_len = 4, lc_time_names = 'de_DE', sql_auto_is_null = 1",
        ],
    ),
    trap(
        "ids of its own",
        &["SET insert_id = 1000, last_insert_id = 77", "SELECT LAST_INSERT_ID(78) FROM items WHERE id = 1"],
    ),
    trap("another's thread", &["SET pseudo_thread_id = 1", "SET rand_seed1 = 1, rand_seed2 = 2"]),
    trap("a transaction of its own name", &["SET gtid_next = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:1'"]),
    trap("variables", &["SET @mine = 'stolen', @stolen = 1", "SELECT @stolen := n FROM items WHERE id = 1"]),
    trap("another database", &["USE information_schema", "SELECT 1"]),
    trap(
        "a table in the way",
        &["CREATE TEMPORARY TABLE items (id INT, n INT, text TEXT)", "SELECT * FROM items WHERE id = 1"],
    ),
    trap(
        "an open statement",
        &["PREPARE p FROM 'SELECT 1'", "HANDLER items OPEN", "HANDLER items READ FIRST"],
    ),
    trap("procedures that set", &["CALL sets_state()", "CALL prepares_state()", "CALL prepares_a_role()"]),
    lock("a procedure that leaves a transaction", &["CALL leaves_a_transaction()"]),
    lock(
        "a procedure that commits within one",
        &["BEGIN", "UPDATE items SET n = n WHERE id = 2", "CALL commits_inside()"],
    ),
    lock("an open transaction", &["BEGIN", "UPDATE items SET text = 'dirty' WHERE id = 3"]),
    lock(
        "an open transaction without BEGIN",
        &["SET autocommit = 0", "UPDATE items SET text = 'dirty' WHERE id = 4"],
    ),
    lock("a locked row", &["START TRANSACTION", "SELECT n FROM items WHERE id = 5 FOR UPDATE"]),
    lock("locked tables", &["LOCK TABLES notes WRITE", "LOCK TABLES items WRITE"]),
    lock("a locked server", &["FLUSH TABLES WITH READ LOCK"]),
    lock("a locked instance", &["LOCK INSTANCE FOR BACKUP"]),
    lock("a named lock", &["SELECT GET_LOCK('trap', 0)", "DO GET_LOCK('trap2', 0)"]),
    lock("an XA branch", &["XA START 'trap'", "UPDATE notes SET text = 'dirty'"]),
];

/// For a keyspace of one shard: what a client cannot see from outside.
const PROCEDURES: &[&str] = &[
    "CREATE PROCEDURE sets_state() BEGIN SET timestamp = 1; SET sql_select_limit = 0; SET time_zone = '+11:00'; SET @stolen = 1; \
     SET ROLE trap; SET sql_log_bin = 0; SET completion_type = 2; END",
    "CREATE PROCEDURE prepares_state() BEGIN PREPARE p FROM 'SET timestamp = 1'; EXECUTE p; PREPARE p FROM 'SET sql_select_limit = 0'; EXECUTE p; END",
    "CREATE PROCEDURE prepares_a_role() BEGIN PREPARE p FROM 'SET ROLE trap'; EXECUTE p; END",
    "CREATE PROCEDURE leaves_a_transaction() BEGIN START TRANSACTION; UPDATE items SET text = 'dirty' WHERE id = 6; END",
    "CREATE PROCEDURE commits_inside() BEGIN UPDATE items SET n = n WHERE id = 2; COMMIT; END",
];

/// All of a session's settings that a statement's meaning hangs on, whether they can be set through Podway or not; and the row.
const SEEN: &[&str] = &[
    "@@sql_mode",
    "@@time_zone",
    "IFNULL(@mine,'-')",
    "IFNULL(@stolen,'-')",
    "@@sql_select_limit",
    "@@completion_type",
    "@@sql_log_bin",
    "@@autocommit",
    "@@foreign_key_checks",
    "@@unique_checks",
    "@@sql_safe_updates",
    "@@max_execution_time",
    "@@lock_wait_timeout",
    "@@innodb_lock_wait_timeout",
    "@@wait_timeout",
    "@@net_read_timeout",
    "@@transaction_isolation",
    "@@transaction_read_only",
    "@@character_set_client",
    "IFNULL(@@character_set_results,'-')",
    "@@collation_connection",
    "@@sql_auto_is_null",
    "@@div_precision_increment",
    "@@group_concat_max_len",
    "@@lc_time_names",
    "@@max_join_size",
    "@@sql_big_selects",
    "@@gtid_next",
    "@@default_week_format",
    "@@optimizer_switch",
    "@@explicit_defaults_for_timestamp",
    "@@tmp_table_size",
    "@@sql_quote_show_create",
    "@@big_tables",
    "@@updatable_views_with_limit",
    "CURRENT_ROLE()",
    "DATABASE()",
    "LAST_INSERT_ID()",
    "n",
    "text",
];

/// A session that has done nothing wrong, and what it sees at each id when nobody else is there.
struct Victim {
    conn: Conn,
    sees: Vec<String>,
}

impl Victim {
    async fn new(proxy: &Proxy, database: &str, settings: &str) -> Victim {
        let mut conn = connect(proxy, database).await;
        conn.query_drop(settings).await.unwrap();
        let mut victim = Victim { conn, sees: Vec::new() };
        for id in IDS {
            let seen = victim.look(id).await;
            victim.sees.push(seen);
        }
        victim
    }

    async fn look(&mut self, id: i32) -> String {
        match timeout(
            PATIENCE,
            self.conn.query_first::<String, _>(format!(
                "SELECT CONCAT_WS('|', {}) FROM items WHERE id = {id}",
                SEEN.join(", ")
            )),
        )
        .await
        {
            Ok(Ok(seen)) => seen.unwrap_or_else(|| "no row".to_owned()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("nothing within {PATIENCE:?}"),
        }
    }

    /// What is different at this id; the clock included.
    async fn differs(&mut self, id: i32) -> Option<String> {
        let (seen, expected) = (self.look(id).await, &self.sees[id as usize - 1]);
        if seen != *expected {
            return Some(difference(expected, &seen));
        }
        let clock: i64 = self
            .conn
            .query_first(format!("SELECT UNIX_TIMESTAMP() FROM items WHERE id = {id}"))
            .await
            .ok()??;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        ((clock - now).abs() > 120).then(|| format!("sees {clock} on the clock"))
    }

    /// Whether it can write here, and see it, and end its transaction without being thrown out.
    async fn writes(&mut self, id: i32) -> Result<(), String> {
        let (begin, update, commit) =
            ("BEGIN", format!("UPDATE items SET n = n + 0, text = text WHERE id = {id}"), "COMMIT");
        for sql in [begin, &update, commit, "SELECT 1"] {
            let ended = timeout(PATIENCE, self.conn.query_drop(sql))
                .await
                .map_err(|_| format!("{sql}: waits for ever"))?;
            ended.map_err(|error| format!("{sql}: {error}"))?;
        }
        Ok(())
    }
}

async fn connect(proxy: &Proxy, database: &str) -> Conn {
    let address = proxy.local_addr();
    let options = OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .prefer_socket(false);
    Conn::new(options.user(Some(APP.0)).pass(Some(APP.1)).db_name(Some(database))).await.unwrap()
}

/// A proxy with two connections per server, a keyspace with its rows, and the role that traps use.
async fn ground(name: &str, shards: usize) -> (Proxy, TestKeyspace<'static>) {
    let proxy = proxy(|config| config.backend.max_connections = 2).await;
    let keyspace = keyspace(name, shards).await;
    for server in Pod::shared().await.map().servers() {
        let mut admin = Pod::shared().await.admin(server.id).await.unwrap();
        admin
            .query_drop("CREATE ROLE IF NOT EXISTS trap; GRANT SELECT ON *.* TO trap; GRANT trap TO app")
            .await
            .unwrap();
    }
    if shards == 1 {
        for procedure in PROCEDURES {
            keyspace.on_shard(ShardIndex(0), procedure).await.unwrap();
        }
    }
    let mut conn = connect(&proxy, name).await;
    for id in IDS {
        conn.exec_drop("INSERT INTO items VALUES (?, 0, ?)", (id, format!("item {id}"))).await.unwrap();
    }
    (proxy, keyspace)
}

/// The settings that are not the same in two lines.
fn difference(expected: &str, seen: &str) -> String {
    let [before, after] = [expected, seen].map(|line| line.split('|').collect::<Vec<_>>());
    if before.len() != after.len() {
        return format!("sees {seen}");
    }
    let changed = SEEN.iter().zip(before.iter().zip(&after)).filter(|(_, (before, after))| before != after);
    changed
        .map(|(name, (before, after))| format!("{name}: {before} became {after}"))
        .collect::<Vec<_>>()
        .join("; ")
}

/// Those whom traps are set for: two old sessions, one with settings of its own, and what a newcomer sees.
struct Scene {
    proxy: Proxy,
    victims: [(&'static str, Victim); 2],
    fresh: Vec<String>,
}

impl Scene {
    async fn new(database: &str) -> Scene {
        let proxy = proxy(|config| config.backend.max_connections = 2).await;
        let own = "SET sql_mode = 'ANSI_QUOTES', time_zone = '+02:00', @mine = 42";
        let old = Victim::new(&proxy, database, own).await;
        let plain = Victim::new(&proxy, database, "DO 0").await;
        let fresh = plain.sees.clone();
        Scene { proxy, victims: [("a session with settings", old), ("a session without", plain)], fresh }
    }

    /// Sets the trap and looks who is caught first.
    async fn catches(&mut self, database: &str, trap: &Trap, stays: bool) -> Option<String> {
        let mut hostile = connect(&self.proxy, database).await;
        for text in trap.texts {
            // Whether it goes through or is refused is not the question here.
            let _ =
                timeout(PATIENCE, hostile.query_drop(*text)).await.unwrap_or_else(|_| panic!("{text} hangs"));
        }
        let _staying = stays.then_some(hostile);
        let mut newcomer = Victim { conn: connect(&self.proxy, database).await, sees: self.fresh.clone() };
        let [(old_name, old), (plain_name, plain)] = &mut self.victims;
        for (who, victim) in [(*old_name, old), (*plain_name, plain), ("a newcomer", &mut newcomer)] {
            for id in IDS {
                let written = victim.writes(id).await.err();
                let different = victim.differs(id).await;
                if let Some(found) = written.or(different) {
                    return Some(format!("{who}, at {id}: {found}"));
                }
            }
        }
        None
    }
}

async fn traps_catch_nobody(name: &str, shards: usize) {
    ground(name, shards).await;
    let mut scene = Scene::new(name).await;
    let mut caught = Vec::new();
    for trap in TRAPS {
        for stays in [false, true] {
            if stays && trap.blocks_others {
                continue;
            }
            if let Some(who) = scene.catches(name, trap, stays).await {
                caught.push(format!("{}, {}: {who}", trap.what, if stays { "staying" } else { "leaving" }));
                // Its connections are not to be trusted any more.
                scene = Scene::new(name).await;
            }
        }
    }
    assert!(caught.is_empty(), "{} traps caught somebody:\n{}", caught.len(), caught.join("\n"));
}

#[tokio::test]
async fn hostile_sessions_over_one_shard_leave_nothing_to_others() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    traps_catch_nobody("traps_one", 1).await;
}

#[tokio::test]
async fn hostile_sessions_over_four_shards_leave_nothing_to_others() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    traps_catch_nobody("traps_four", 4).await;
}

#[tokio::test]
async fn a_procedure_that_commits_commits_as_in_mysql() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let (proxy, keyspace) = ground("commits_one", 1).await;
    for (way, mut conn) in [
        ("MySQL itself", keyspace.direct(ShardIndex(0)).await.unwrap()),
        ("through Podway", connect(&proxy, &keyspace.name).await),
    ] {
        conn.query_drop("UPDATE items SET text = 'before' WHERE id = 9").await.unwrap();
        for sql in
            ["BEGIN", "UPDATE items SET text = 'within' WHERE id = 9", "CALL commits_inside()", "ROLLBACK"]
        {
            conn.query_drop(sql).await.unwrap();
        }
        let text: Option<String> = conn.query_first("SELECT text FROM items WHERE id = 9").await.unwrap();
        assert_eq!(text.as_deref(), Some("within"), "{way}: the procedure has committed what was there");
    }
}

#[tokio::test]
async fn a_session_keeps_the_traps_it_set_itself() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let (proxy, keyspace) = ground("own_traps", 1).await;
    let cases = [
        ("SET sql_select_limit = 0", "SELECT 1", None),
        ("SET timestamp = 1", "SELECT UNIX_TIMESTAMP()", Some("1")),
        ("SET ROLE trap", "SELECT CURRENT_ROLE()", Some("`trap`@`%`")),
        ("PREPARE p FROM 'SELECT 7'", "EXECUTE p", Some("7")),
        ("CREATE TEMPORARY TABLE mine (n INT)", "SELECT COUNT(*) FROM mine", Some("0")),
        ("SELECT GET_LOCK('own', 20)", "SELECT IS_FREE_LOCK('own') = 0", Some("1")),
    ];
    for (set, ask, expected) in cases {
        for (way, mut conn) in [
            ("MySQL itself", keyspace.direct(ShardIndex(0)).await.unwrap()),
            ("through Podway", connect(&proxy, &keyspace.name).await),
        ] {
            conn.query_drop(set).await.unwrap_or_else(|error| panic!("{way}: {set}: {error}"));
            for _ in 0..3 {
                let found: Option<String> =
                    conn.query_first(ask).await.unwrap_or_else(|error| panic!("{way}: {ask}: {error}"));
                assert_eq!(found.as_deref(), expected, "{way}: {set}; {ask}");
            }
        }
    }
}
