//! The same tables twice: in a database of one MySQL and in a keyspace of four shards on two others, behind the proxy. Loads them,
//! compares them as a whole, and brings them back to how they were. Never decides what is run on them.

use std::collections::{BTreeMap, HashSet};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};
use podway::provision::Declaration;
use podway_model::{ServerId, ShardIndex};
use podway_tests::{Pod, PodOptions, TestKeyspace};
use tokio::sync::Mutex;

use crate::tables::{REFERENCE_ROWS, TABLES, Table, rows_of};
use podway_tests::answer::{Answer, execute, prepare, query, sorted};

/// The name of both the keyspace and the database.
pub const DATABASE: &str = "shopdiff";
/// The shards' schemas: two on each server, so that a name that is not translated meets the wrong rows.
const PHYSICAL: [&str; 4] = ["shopdiff", "shopdiff", "shopdiff_b", "shopdiff__2"];

/// Both sides.
pub struct World {
    keyspace: TestKeyspace<'static>,
    mysql: &'static Pod,
    /// Each table's rows on each shard, and in the single database, as they were loaded.
    loaded: BTreeMap<&'static str, Vec<Rows>>,
    found_by_key: Mutex<HashSet<String>>,
}

type Rows = Vec<Vec<Value>>;

impl World {
    /// Starts everything and loads the rows.
    pub async fn start() -> World {
        let shards = PodOptions { servers: 2, ..PodOptions::default() };
        let alone = PodOptions { servers: 1, has_proxy: false, ..PodOptions::default() };
        let (pod, mysql) = tokio::join!(Pod::start(shards), Pod::start(alone));
        let pod: &'static Pod = Box::leak(Box::new(pod.unwrap()));
        let mysql: &'static Pod = Box::leak(Box::new(mysql.unwrap()));
        let keyspace = pod.keyspace_named(DATABASE, &PHYSICAL).await.unwrap();
        let mut admin = mysql.admin(ServerId(0)).await.unwrap();
        admin.query_drop(format!("CREATE DATABASE {DATABASE}")).await.unwrap();
        let mut world = World { keyspace, mysql, loaded: BTreeMap::new(), found_by_key: Mutex::default() };
        world.create().await;
        world.load().await;
        world
    }

    async fn create(&self) {
        let mut single = self.single().await;
        for table in TABLES {
            single.query_drop(table.definition).await.unwrap();
            let declaration = match table.key {
                [] if table.everywhere => Declaration::Reference,
                [] => Declaration::Home,
                key => Declaration::sharded_by(key),
            };
            self.keyspace.create_table(table.definition, table.name, declaration).await.unwrap();
        }
    }

    async fn load(&mut self) {
        let (mut single, mut proxied) = (self.single().await, self.proxied().await);
        for sql in REFERENCE_ROWS {
            single.query_drop(*sql).await.unwrap();
            for shard in 0..PHYSICAL.len() {
                self.keyspace.on_shard(ShardIndex(shard as u16), sql).await.unwrap();
            }
        }
        let mut refused = 0;
        for table in TABLES {
            for sql in rows_of(table) {
                let ours = query(&mut proxied, sql.as_bytes()).await;
                match &ours {
                    Answer::Refused(1235, _) => {
                        refused += 1;
                        continue;
                    }
                    _ => {
                        let theirs = query(&mut single, sql.as_bytes()).await;
                        assert_eq!(ours.difference(&theirs, true), None, "{sql}");
                    }
                }
            }
        }
        eprintln!("loading: {refused} rows refused");
        for table in TABLES {
            let rows = self.everywhere(table).await;
            self.loaded.insert(table.name, rows);
        }
    }

    /// A new client's connection to MySQL itself.
    pub async fn single(&self) -> Conn {
        let options = self.mysql.direct_options(ServerId(0)).unwrap().stmt_cache_size(0);
        let mut conn = Conn::new(options).await.unwrap();
        let _ = conn.query_drop(format!("USE {DATABASE}")).await;
        conn
    }

    /// A new client's connection to Podway.
    pub async fn proxied(&self) -> Conn {
        let options = self.keyspace.pod.client_options().db_name(Some(DATABASE)).stmt_cache_size(0);
        Conn::new(options).await.unwrap()
    }

    async fn places(&self) -> Vec<Conn> {
        let mut places = Vec::new();
        for shard in 0..PHYSICAL.len() {
            places.push(self.keyspace.direct(ShardIndex(shard as u16)).await.unwrap());
        }
        places.push(self.single().await);
        places
    }

    /// A table's rows on each shard, and at last in the single database.
    async fn everywhere(&self, table: &Table) -> Vec<Rows> {
        let mut all = Vec::new();
        for conn in &mut self.places().await {
            all.push(self.rows(conn, table).await);
        }
        all
    }

    async fn rows(&self, conn: &mut Conn, table: &Table) -> Rows {
        let rows: Vec<mysql_async::Row> =
            conn.exec(format!("SELECT * FROM {}", table.name), ()).await.unwrap_or_default();
        rows.into_iter().map(mysql_async::Row::unwrap).collect()
    }

    /// Compares all tables; gives what differs, and brings what changed back.
    pub async fn settle(&self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut places = self.places().await;
        for table in TABLES {
            let mut now = Vec::new();
            for conn in &mut places {
                now.push(self.rows(conn, table).await);
            }
            if now == self.loaded[table.name] {
                continue;
            }
            differences.extend(self.differences(table, &now).await);
            self.restore(table, &mut places).await;
        }
        differences
    }

    async fn differences(&self, table: &Table, now: &[Rows]) -> Vec<String> {
        let mut found = Vec::new();
        let (single, shards) = now.split_last().unwrap();
        let union: Rows = match table.key {
            [] if table.everywhere => {
                if shards.iter().any(|rows| sorted(rows) != sorted(&shards[0])) {
                    found.push(format!("copies of {} differ", table.name));
                }
                shards[0].clone()
            }
            _ => shards.concat(),
        };
        let (ours, theirs) = (sorted(&union), sorted(single));
        let lacks = theirs.iter().find(|row| !ours.contains(row));
        let extra = ours.iter().find(|row| !theirs.contains(row));
        if lacks.is_some() || extra.is_some() || ours.len() != theirs.len() {
            found.push(format!("rows of {}: lacks {lacks:?}, has {extra:?}", table.name));
        }
        if !table.key.is_empty() {
            found.extend(self.misplaced(table, shards).await);
        }
        found
    }

    /// Rows that Podway does not find by their key.
    pub async fn misplaced(&self, table: &Table, shards: &[Rows]) -> Vec<String> {
        let mut conn = self.proxied().await;
        let mut found = Vec::new();
        let condition: Vec<String> = table.key.iter().map(|key| format!("{key} <=> ?")).collect();
        let sql = format!("SELECT id FROM {} WHERE {}", table.name, condition.join(" AND "));
        let Ok(statement) = prepare(&mut conn, &sql).await else {
            return vec![format!("{sql} cannot be prepared")];
        };
        for row in shards.iter().flatten() {
            let shown = format!("{} {row:?}", table.name);
            if !self.found_by_key.lock().await.insert(shown.clone()) {
                continue;
            }
            let id = &row[0];
            let key: Vec<Value> = table.key_positions.iter().map(|&at| row[at].clone()).collect();
            match execute(&mut conn, &statement, &key).await {
                Answer::Parts(parts) if parts[0].rows.iter().any(|found| found[0] == *id) => {}
                Answer::Refused(1235, _) => {}
                other => {
                    self.found_by_key.lock().await.remove(&shown);
                    found.push(format!(
                        "row {row:?} of {} is not found by its key: {}",
                        table.name,
                        other.shown()
                    ));
                }
            }
        }
        found
    }

    /// All rows that were loaded and are not found by their key.
    pub async fn all_misplaced(&self) -> Vec<String> {
        let mut found = Vec::new();
        for table in TABLES.iter().filter(|table| !table.key.is_empty()) {
            let rows = &self.loaded[table.name];
            found.extend(self.misplaced(table, &rows[..rows.len() - 1]).await);
        }
        found
    }

    async fn restore(&self, table: &Table, places: &mut [Conn]) {
        for (conn, rows) in places.iter_mut().zip(&self.loaded[table.name]) {
            for (sql, must) in [
                ("SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'".to_owned(), true),
                (table.definition.replacen("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1), table.on_all()),
                (format!("DELETE FROM {}", table.name), table.on_all()),
            ] {
                let done = conn.query_drop(&sql).await;
                assert!(done.is_ok() || !must, "{sql}: {done:?}");
            }
            if !rows.is_empty() {
                let places = vec!["?"; rows[0].len()].join(", ");
                let sql = format!("INSERT INTO {} VALUES ({places})", table.name);
                let rows = rows.iter().map(|row| mysql_async::Params::Positional(row.clone()));
                conn.exec_batch(sql, rows).await.unwrap();
            }
        }
    }
}
