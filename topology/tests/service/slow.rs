//! A watcher that does not read: it costs the node nothing, is told that it is too slow, and begins again.

use futures::StreamExt;
use podway_model::{Column, ColumnDefault, ColumnType, Map, Name, NameRule, Revision, Table, TableKind};
use podway_topology::Tuning;
use podway_topology_api::{
    AdminAccount, Command, KeyspaceCommand, NewShard, Secret, ServerCommand, ServerFacts, StoreError,
    TableCommand, TopologyStore, WatchMessage,
};

use super::cluster::{Cluster, PATIENCE, Writer};

/// A table whose declaration takes about 40 KiB: three hundred are more than HTTP/2 keeps for a stream that is not read.
fn wide_table(number: u32) -> Table {
    let column = |place: u32| Column {
        name: Name::caseless(&format!("a_column_with_a_rather_long_name_{place}")),
        column_type: ColumnType::Integer { bytes: 8, unsigned: false },
        collation: None,
        nullable: false,
        auto_increment: false,
        generated: false,
        default: ColumnDefault::None,
        invisible: false,
    };
    let name = NameRule::CaseSensitive.name(&format!("table_{number}"));
    Table { name, kind: TableKind::Home, columns: (0..200).map(column).collect() }
}

async fn with_keyspace<S: TopologyStore>(writer: &Writer<S>) {
    let facts = ServerFacts {
        host: "127.0.0.1".into(),
        port: 3306,
        uuid: "6ccd780c-baba-1026-9564-5b8c656024db".into(),
        version: "8.4.0".into(),
        names: NameRule::CaseSensitive,
    };
    let admin = AdminAccount { user: "podway".into(), password: Secret::new("secret") };
    let add = ServerCommand::Add { name: "s1".into(), facts, admin };
    writer.propose(Command::Server(add)).await;
    let shards = vec![NewShard { server: "s1".into(), schema: None, ranges: Vec::new() }];
    let create = KeyspaceCommand::Create { name: "shop".into(), shards, home: 0 };
    writer.propose(Command::Keyspace(create)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_does_not_read_is_dropped_and_begins_again() {
    const TABLES: u32 = 300;
    let cluster = Cluster::tuned(1, Tuning { events_kept: 16, ..Tuning::default() }).await;
    let client = cluster.client();
    let writer = Writer::new(client.clone());
    with_keyspace(&writer).await;
    let mut stream = client.watch(Revision(0)).await.unwrap();
    let Some(Ok(WatchMessage::Snapshot(first))) = stream.next().await else { panic!("no snapshot") };
    let mut map = Map::empty(NameRule::CaseSensitive).changed(first.revision, &first.changes).unwrap();

    for number in 0..TABLES {
        let declare =
            TableCommand::Declare { keyspace: "shop".into(), table: wide_table(number), next: None };
        writer.propose(Command::Table(declare)).await;
    }
    let mut events = 0;
    let end = loop {
        match tokio::time::timeout(PATIENCE, stream.next()).await.unwrap().unwrap() {
            Ok(WatchMessage::Event(event)) => {
                map = map.changed(event.revision, &event.changes).unwrap();
                events += 1;
                assert!(events < TABLES, "all of it was kept somewhere");
            }
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(end, StoreError::TooSlow);
    assert!((1..TABLES).contains(&events), "the buffers between held {events} of {TABLES}");

    let mut stream = client.watch(map.revision).await.unwrap();
    let Some(Ok(WatchMessage::Snapshot(whole))) = stream.next().await else { panic!("no snapshot") };
    let map = map.changed(whole.revision, &whole.changes).unwrap();
    let shop = map.keyspace_spelled("shop").unwrap();
    assert!(
        (0..TABLES).all(|number| shop.tables.contains_key(&wide_table(number).name)),
        "nothing is missing"
    );
}
