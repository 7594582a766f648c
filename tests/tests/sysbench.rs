//! sysbench from the distribution's packages, through Podway, on tables that are sharded by `id` over four shards: its one-row workloads
//! run without an error, by prepared statements and by text, and afterwards every row is where its key leads to.

use std::path::Path;
use std::process::Output;

use mysql_async::prelude::Queryable;
use podway::local_mysql::Tools;
use podway::provision::Declaration;
use podway_model::ShardIndex;
use podway_router::{InsertId, KeyValue, SqlMode, keyspace_id_for_insert};
use podway_tests::{APP, Pod, TestKeyspace, mysql_source};

const TABLES: usize = 2;
/// The ids of the rows that selects, updates and deletes look for.
const IDS: std::ops::RangeInclusive<i32> = 1..=400;
const THREADS: &str = "8";
const SECONDS: &str = "3";

/// What sysbench said it has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Done {
    events: u64,
    reads: u64,
    writes: u64,
    other: u64,
    ignored_errors: u64,
    reconnects: u64,
}

/// Rows over all shards, where they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rows {
    count: u64,
    sum_of_k: i64,
    smallest_shard: u64,
}

#[tokio::test]
async fn one_row_workloads_run_clean_by_prepared_statements() {
    workloads_run_clean("auto").await;
}

#[tokio::test]
async fn one_row_workloads_run_clean_by_text() {
    workloads_run_clean("disable").await;
}

async fn workloads_run_clean(ps_mode: &'static str) {
    let Some(()) = sysbench_is_there().await else { return };
    let keyspace = empty_tables(&format!("sysbench_{ps_mode}")).await;

    let done = run(&keyspace, "oltp_insert", ps_mode).await;
    let rows = rows_on_their_shards(&keyspace).await;
    assert_eq!((done.writes, rows.count), (done.events, done.events), "oltp_insert: a row for each event");
    assert!(rows.smallest_shard > 0, "oltp_insert: {rows:?}");

    fill(&keyspace).await;
    let before = rows_on_their_shards(&keyspace).await;

    let done = run(&keyspace, "oltp_point_select", ps_mode).await;
    assert_eq!((done.reads, done.writes, done.other), (done.events, 0, 0), "oltp_point_select");
    assert_eq!(rows_on_their_shards(&keyspace).await, before, "oltp_point_select changes nothing");

    let done = run(&keyspace, "oltp_update_index", ps_mode).await;
    let after = rows_on_their_shards(&keyspace).await;
    assert_eq!(after.count, before.count, "oltp_update_index makes no rows");
    assert_eq!(
        after.sum_of_k - before.sum_of_k,
        done.events as i64,
        "oltp_update_index: one more for each event"
    );

    let done = run(&keyspace, "oltp_delete", ps_mode).await;
    let left = rows_on_their_shards(&keyspace).await;
    let gone = after.count - left.count;
    assert!(
        gone > 0 && gone <= done.events && gone <= (TABLES * IDS.count()) as u64,
        "oltp_delete: {gone} rows are gone"
    );
}

/// Whether there is a sysbench; only where no packages are is it done without.
async fn sysbench_is_there() -> Option<()> {
    let found = tokio::task::spawn_blocking(|| {
        Tools::of(mysql_source()).find("sysbench", &|what| eprintln!("{what}"))
    })
    .await
    .unwrap();
    let Err(error) = found else { return Some(()) };
    assert!(!Path::new("/etc/debian_version").exists(), "{error}");
    eprintln!("SKIPPED: {error}");
    None
}

/// sysbench's own tables; its `prepare` would create them through the proxy and fill them by many rows at once.
async fn empty_tables(name: &str) -> TestKeyspace<'static> {
    let keyspace = Pod::shared().await.keyspace(name, 4).await.unwrap();
    for n in 1..=TABLES {
        let sql = format!(
            "CREATE TABLE sbtest{n} (id INT NOT NULL, k INT DEFAULT 0 NOT NULL, c CHAR(120) DEFAULT '' NOT NULL,
             pad CHAR(60) DEFAULT '' NOT NULL, PRIMARY KEY (id), KEY k_{n} (k))"
        );
        keyspace.create_table(&sql, &format!("sbtest{n}"), Declaration::sharded_by(&["id"])).await.unwrap();
    }
    keyspace
}

/// The rows that selects, updates and deletes find, one by one through the proxy; an id that oltp_insert has hit already keeps its row.
async fn fill(keyspace: &TestKeyspace<'_>) {
    let mut conn = keyspace.connect().await.unwrap();
    for (table, id) in (1..=TABLES).flat_map(|table| IDS.map(move |id| (table, id))) {
        let sql = format!("INSERT IGNORE INTO sbtest{table} (id, k, c, pad) VALUES (?, ?, 'c', 'pad')");
        conn.exec_drop(sql, (id, id)).await.unwrap();
    }
}

async fn run(keyspace: &TestKeyspace<'_>, script: &str, ps_mode: &str) -> Done {
    let (address, database) = (keyspace.pod.address(), keyspace.name.clone());
    let mut arguments: Vec<String> =
        vec![script.to_owned(), "--auto_inc=off".to_owned(), "--skip_trx=on".to_owned()];
    arguments.extend([
        format!("--mysql-host={}", address.ip()),
        format!("--mysql-port={}", address.port()),
        format!("--mysql-user={}", APP.0),
        format!("--mysql-password={}", APP.1),
        format!("--mysql-db={database}"),
        format!("--db-ps-mode={ps_mode}"),
        format!("--tables={TABLES}"),
        format!("--table-size={}", IDS.end()),
        format!("--threads={THREADS}"),
        format!("--time={SECONDS}"),
    ]);
    let path = format!("usr/share/sysbench/{script}.lua");
    let output = tokio::task::spawn_blocking(move || {
        let tools = Tools::of(mysql_source());
        let mut command = tools.command("sysbench", &|what| eprintln!("{what}")).unwrap();
        let script = tools.file("sysbench", &path, &|_| ()).unwrap();
        command.arg(script).args(&arguments[1..]).arg("run").output().unwrap()
    });
    let done = read_report(&output.await.unwrap());
    println!("{script}, --db-ps-mode={ps_mode}: {done:?}");
    assert!(done.events > 0, "{script}: nothing was done");
    assert_eq!((done.ignored_errors, done.reconnects), (0, 0), "{script}: {done:?}");
    done
}

/// The numbers of sysbench's report.
fn read_report(output: &Output) -> Done {
    let [said, complained] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success() && !said.contains("FATAL"), "{said}\n{complained}");
    let number = |label: &str| {
        let line = said.lines().map(str::trim).find(|line| line.starts_with(label));
        let number = line.and_then(|line| line[label.len()..].split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {label:?} in {said}"))
    };
    Done {
        events: number("transactions:"),
        reads: number("read:"),
        writes: number("write:"),
        other: number("other:"),
        ignored_errors: number("ignored errors:"),
        reconnects: number("reconnects:"),
    }
}

/// Counts the rows beside the proxy, and panics if one is on a shard that its key does not lead to.
async fn rows_on_their_shards(keyspace: &TestKeyspace<'_>) -> Rows {
    let mut rows = Rows { smallest_shard: u64::MAX, ..Rows::default() };
    for shard in (0..4).map(ShardIndex) {
        let mut conn = keyspace.direct(shard).await.unwrap();
        let mut here = 0;
        for n in 1..=TABLES {
            let table = keyspace.get().tables[format!("sbtest{n}").as_str()].clone();
            let found: Vec<(i32, i64)> = conn.query(format!("SELECT id, k FROM sbtest{n}")).await.unwrap();
            for (id, k) in found {
                let keyspace_id =
                    keyspace_id_for_insert(&table, [KeyValue::Int(id.into())], SqlMode::empty());
                let InsertId::Id(keyspace_id) = keyspace_id else { panic!("{id} has no keyspace id") };
                assert_eq!(
                    keyspace.shard_of(keyspace_id),
                    shard,
                    "id {id} of sbtest{n} is on the wrong shard"
                );
                rows.sum_of_k += k;
                here += 1;
            }
        }
        rows.count += here;
        rows.smallest_shard = rows.smallest_shard.min(here);
    }
    rows
}
