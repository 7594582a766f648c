//! LOCK TABLES on several servers, of which one is to let a shard go: the session keeps its locks for a time, then they end with it, on all servers.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway_model::{FreezeId, Revision, ShardIndex};
use podway_tests::{eventually_async, is_left_out};
use podway_topology_api::map_channel;

use crate::shop::shop;

/// What the tests wait for at most.
const DEADLINE: Duration = Duration::from_secs(30);

fn code(result: mysql_async::Result<()>) -> u16 {
    match result {
        Ok(()) => 0,
        Err(Error::Server(error)) => error.code,
        Err(other) => panic!("no server's error: {other:?}"),
    }
}

#[tokio::test]
async fn locks_on_several_servers_end_together_where_one_of_them_lets_a_shard_go() {
    if is_left_out("another proxy") {
        return;
    }
    let keyspace = shop("moves_locked", 3).await;
    let (publisher, watch) = map_channel((*keyspace.pod.map()).clone());
    let proxy = keyspace
        .pod
        .another_proxy(watch, |config| config.client.drain_deadline = Duration::from_millis(200))
        .await
        .unwrap();
    let connect = async || {
        let options = keyspace.pod.client_options().tcp_port(proxy.address.port());
        Conn::new(options.db_name(Some(&keyspace.name))).await.unwrap()
    };
    let freeze = FreezeId(4_712);
    let publish = |freeze: Option<FreezeId>| {
        let mut map = (*publisher.current()).clone();
        let mut changed = (**map.keyspace_spelled(&keyspace.name).unwrap()).clone();
        changed.set_freeze(ShardIndex(1), freeze);
        map.put_keyspace(changed).unwrap();
        map.revision = Revision(map.revision.0 + 1);
        publisher.publish(map).unwrap();
    };
    let mut holder = connect().await;
    holder.query_drop("LOCK TABLES customers WRITE").await.unwrap();
    let mut direct = keyspace.direct(ShardIndex(0)).await.unwrap();
    direct.query_drop("SET lock_wait_timeout = 1").await.unwrap();
    assert_eq!(code(direct.query_drop("SELECT COUNT(*) FROM customers").await), 1205);
    publish(Some(freeze));
    eventually_async(DEADLINE, "the freeze arrives", async || {
        (proxy.proxy.applied() == publisher.current().revision).then_some(())
    })
    .await;
    eventually_async(DEADLINE, "the proxy drains the shard", async || {
        proxy.proxy.drained().contains(&freeze).then_some(())
    })
    .await;
    publish(None);
    assert_eq!(code(holder.query_drop("SELECT COUNT(*) FROM customers").await), 1213);
    let ended = holder.query_drop("SELECT 1").await.unwrap_err();
    assert!(!matches!(ended, Error::Server(_)), "the session goes with what it held: {ended}");
    // On the other servers as well.
    direct.query_drop("SET lock_wait_timeout = 30").await.unwrap();
    direct.query_drop("SELECT COUNT(*) FROM customers").await.unwrap();
    // Locks that ended before hold up nothing.
    let mut other = connect().await;
    other.query_drop("LOCK TABLES customers WRITE").await.unwrap();
    other.query_drop("UNLOCK TABLES").await.unwrap();
    publish(Some(FreezeId(4_713)));
    eventually_async(DEADLINE, "the proxy drains the shard again", async || {
        proxy.proxy.drained().contains(&FreezeId(4_713)).then_some(())
    })
    .await;
    publish(None);
    assert_eq!(code(other.query_drop("SELECT COUNT(*) FROM customers").await), 0);
}
