//! What differs between shards beside sharding keys: it is told and stops nothing, and what all shards have alike is taken over.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use podway::provision::Declaration;
use podway_model::{DriftSubject, ShardIndex};
use podway_tests::{Pod, eventually_async};
use podway_topology::{Moment, Moves};
use podway_topology_api::{Command, Done, DriftCommand, MoveStep, OperationState, View};

use crate::ground::{DEADLINE, Ground, stop_at};

impl Ground {
    /// Has the shards compared now, and waits for it.
    pub async fn compared(&self) -> View {
        let Done::CheckAsked(asked) = self.propose(Command::Drift(DriftCommand::Check)).await else {
            panic!("it was not asked");
        };
        eventually_async(DEADLINE, "the shards are compared", async || {
            let view = self.view().await;
            (view.checks.answered >= asked).then_some(view)
        })
        .await
    }

    /// What differs of a table of this keyspace, and whether that stops pinning.
    pub async fn drift(&self, table: &str) -> Option<(String, bool)> {
        let view = self.compared().await;
        assert!(view.checks.unread.is_empty(), "{:?}", view.checks.unread);
        let of_it = |subject: &DriftSubject| match subject {
            DriftSubject::Table { keyspace, table: of } => {
                keyspace.as_str() == self.keyspace.name && of.as_str() == table
            }
            DriftSubject::Server(_) => false,
        };
        let found = view.drifts.into_iter().find(|drift| of_it(&drift.subject));
        found.map(|drift| (drift.what.to_string(), drift.stops_pinning))
    }

    /// Waits until the proxy has the topology's map.
    pub async fn caught_up(&self) {
        let revision = self.view().await.revision;
        eventually_async(DEADLINE, "the proxy has the map", async || {
            (self.proxy.proxy.applied() >= revision).then_some(())
        })
        .await;
    }
}

async fn columns(ground: &Ground, table: &str) -> Vec<String> {
    let view = ground.view().await;
    let tables = &view.keyspaces[0].tables;
    let table = tables.iter().find(|known| known.table.name.as_str() == table).unwrap();
    table.table.columns.iter().map(|column| column.name.to_string()).collect()
}

async fn balance(conn: &mut Conn, customer: u64) -> u64 {
    let sql = format!("SELECT balance FROM customers WHERE id = {customer}");
    conn.query_first(sql).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_differs_on_one_shard_is_told_of_until_it_is_put_right() {
    let ground = Ground::shop(Pod::shared().await, "schema_drift", 2, Moves::default()).await;
    let (first, second) = (ShardIndex(0), ShardIndex(1));
    let on = |shard, sql: &'static str| ground.keyspace.on_shard(shard, sql);
    assert_eq!(ground.compared().await.drifts, [], "nothing differs to begin with");

    let cases = [
        (
            "ALTER TABLE customers ADD COLUMN note VARCHAR(20)",
            "its column note is missing on shard 1 (server s0) and varchar(20) COLLATE",
            "ALTER TABLE customers DROP COLUMN note",
        ),
        (
            "ALTER TABLE customers ALTER COLUMN balance SET DEFAULT 5",
            "its column balance is bigint NOT NULL DEFAULT '0' on shard 1",
            "ALTER TABLE customers ALTER COLUMN balance SET DEFAULT 0",
        ),
        (
            "ALTER TABLE customers ADD INDEX by_balance (balance)",
            "its index by_balance is missing on shard 1 (server s0) and BTREE balance on shard 2 (server s1)",
            "ALTER TABLE customers DROP INDEX by_balance",
        ),
        (
            "ALTER TABLE customers ENGINE = MyISAM",
            "its engine is InnoDB on shard 1 (server s0) and MyISAM on shard 2 (server s1)",
            "ALTER TABLE customers ENGINE = InnoDB",
        ),
        (
            "ALTER TABLE customers COLLATE = utf8mb4_bin",
            "its default collation is utf8mb4_0900_ai_ci on shard 1",
            "ALTER TABLE customers COLLATE = utf8mb4_0900_ai_ci",
        ),
        (
            "CREATE TRIGGER t BEFORE UPDATE ON customers FOR EACH ROW SET NEW.balance = NEW.balance + 1",
            "its BEFORE triggers",
            "DROP TRIGGER t",
        ),
        (
            "RENAME TABLE customers TO elsewhere",
            "it is missing on shard 2 (server s1)",
            "RENAME TABLE elsewhere TO customers",
        ),
    ];
    let mut conn = ground.connect().await;
    let customer = ground.customer(first).await;
    for (change, expected, back) in cases {
        on(second, change).await.unwrap();
        let (what, stops) = ground.drift("customers").await.unwrap();
        assert!(what.contains(expected) && !stops, "{change}: {what}");
        balance(&mut conn, customer).await;
        on(second, back).await.unwrap();
        assert_eq!(ground.drift("customers").await, None, "{back}");
    }
    assert_eq!(ground.compared().await.drifts, [], "nothing is left of it");
    let log = ground.view().await.log;
    let count = |part: &str| log.iter().filter(|line| line.what.contains(part)).count();
    assert_eq!(count("its engine is InnoDB"), 1, "it is logged once");
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_altered_alike_on_every_shard_is_in_the_map_afterwards() {
    let ground = Ground::shop(Pod::shared().await, "schema_takeover", 2, Moves::default()).await;
    let (first, second) = (ShardIndex(0), ShardIndex(1));
    let sql = "ALTER TABLE customers ADD COLUMN note VARCHAR(20) FIRST";
    ground.keyspace.on_shard(first, sql).await.unwrap();
    let (what, stops) = ground.drift("customers").await.unwrap();
    assert!(stops && what.contains("its sharding key id stands at another place"), "{what}");
    assert_eq!(columns(&ground, "customers").await, ["id", "balance"], "half of it is not taken over");
    ground.keyspace.on_shard(second, sql).await.unwrap();
    assert_eq!(ground.drift("customers").await, None);
    assert_eq!(columns(&ground, "customers").await, ["note", "id", "balance"]);
    ground.caught_up().await;
    let mut conn = ground.connect().await;
    conn.query_drop("INSERT INTO customers VALUES ('new', 1001, 7)").await.unwrap();
    assert_eq!(balance(&mut conn, 1001).await, 7, "its key is where it stands now");
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_appears_on_a_shard_is_named_and_seen_by_sql() {
    let ground = Ground::shop(Pod::shared().await, "schema_stranger", 2, Moves::default()).await;
    let table = "CREATE TABLE stray (id INT PRIMARY KEY)";
    ground.keyspace.on_shard(ShardIndex(0), table).await.unwrap();
    assert_eq!(ground.drift("stray").await, None, "at home a table needs no declaration");
    ground.keyspace.on_shard(ShardIndex(1), table).await.unwrap();
    let (what, stops) = ground.drift("stray").await.unwrap();
    assert!(what.contains("it is on shard 2 (server s1), and nobody declared it") && !stops, "{what}");

    ground.caught_up().await;
    let mut conn = ground.connect().await;
    let rows: Vec<Row> = conn.query("SHOW PODWAY DRIFT").await.unwrap();
    let cell = |row: &Row, name: &str| row.get::<Option<String>, _>(name).unwrap();
    let row = rows.iter().find(|row| cell(row, "table").as_deref() == Some("stray")).unwrap();
    assert_eq!(cell(row, "keyspace").as_deref(), Some("schema_stranger"));
    assert_eq!(cell(row, "pins").as_deref(), Some("served"));
    assert_eq!(cell(row, "what").unwrap(), what);
    ground.keyspace.on_shard(ShardIndex(1), "DROP TABLE stray").await.unwrap();
    assert_eq!(ground.drift("stray").await, None);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shards_are_looked_at_on_a_schedule_and_not_where_one_moves() {
    let moves = stop_at(MoveStep::CatchUp, Moment::Before);
    let (moves, mut stopped) = moves;
    let ground = Ground::shop(Pod::shared().await, "schema_schedule", 2, moves).await;
    let id = ground.begin(ShardIndex(1), 2, "schema_schedule_moved").await;
    stopped.recv().await.unwrap();
    // Half of what moves is looked at: that shard's tables are not missed, and the other's are not compared with them.
    ground.keyspace.on_shard(ShardIndex(0), "ALTER TABLE ledger ADD COLUMN note INT").await.unwrap();
    assert_eq!(ground.compared().await.drifts, []);
    ground.cancel(id).await;
    assert_eq!(ground.end(id).await.state, OperationState::Cancelled);
    ground.set("schema.check", "100ms").await;
    eventually_async(DEADLINE, "somebody looks without being asked", async || {
        let drifts = ground.view().await.drifts;
        drifts.iter().any(|drift| drift.what.contains("its column note")).then_some(())
    })
    .await;
    ground.keyspace.on_shard(ShardIndex(1), "ALTER TABLE ledger ADD COLUMN note INT").await.unwrap();
    eventually_async(DEADLINE, "and sees that it was put right", async || {
        ground.view().await.drifts.is_empty().then_some(())
    })
    .await;
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_table_that_differs_is_told_of_too() {
    let pod = Pod::shared().await;
    let keyspace = pod.keyspace("schema_reference", 3).await.unwrap();
    let sql = "CREATE TABLE countries (code CHAR(2) PRIMARY KEY, name VARCHAR(50))";
    keyspace.create_table(sql, "countries", Declaration::Reference).await.unwrap();
    let ground = Ground::over(keyspace, Moves::default()).await;
    ground.keyspace.on_shard(ShardIndex(2), "ALTER TABLE countries MODIFY name VARCHAR(60)").await.unwrap();
    let (what, stops) = ground.drift("countries").await.unwrap();
    let expected = "its column name is varchar(50) COLLATE utf8mb4_0900_ai_ci on shard 1 (server s0), shard 2 (server s1) and varchar(60)";
    assert!(what.contains(expected) && !stops, "{what}");
    ground.close().await;
}
