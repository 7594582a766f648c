//! Connections to the servers say under which registration of the topology they were opened, so that they can be found and ended.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use podway_model::ServerId;
use podway_tests::{Pod, PodOptions, is_left_out};
use podway_topology_api::Incarnation;

/// How long the servers may take to notice.
const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn connections_say_which_registration_they_are_of() {
    if is_left_out("a map of its own making") {
        return;
    }
    let pod = Box::leak(Box::new(
        Pod::start(PodOptions {
            servers: 1,
            server_args: vec!["--performance-schema=ON".to_owned()],
            ..PodOptions::default()
        })
        .await
        .unwrap(),
    ));
    let keyspace = pod.keyspace("registered", 1).await.unwrap();
    let proxy = &pod.proxy().proxy;
    let mut conn = keyspace.connect().await.unwrap();
    let mut admin = pod.admin(ServerId(0)).await.unwrap();
    let all = "SELECT GROUP_CONCAT(DISTINCT attr_value) FROM performance_schema.session_connect_attrs \
               WHERE attr_name = 'podway_incarnation'";
    for (incarnation, expected) in [(None, None), (Some(4_711), Some("4711")), (Some(4_712), Some("4712"))] {
        if let Some(incarnation) = incarnation {
            proxy.set_incarnation(Incarnation(incarnation));
        }
        conn.query_drop("SELECT 1").await.unwrap();
        let started = Instant::now();
        // A connection of the older registration is closed, which its server notices a moment later.
        loop {
            let found: Option<String> = admin.query_first(all).await.unwrap().unwrap();
            if found.as_deref() == expected {
                break;
            }
            assert!(started.elapsed() < DEADLINE, "{found:?}, not {expected:?}");
            tokio::task::yield_now().await;
        }
    }
}
