//! All that is asked of servers for a look: what they are set to, the digests of their tables, and how some tables are built. Each server is asked over a session of its
//! own, so many at a time; nothing waits for longer than its deadline, and nothing is changed.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Map, Name, ServerId};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::picture::{Place, Seen, TableKey};
use crate::provision::{
    AdminLogin, ProvisionError, TableShape, read_digests, read_facts, read_shape, read_traits, read_view_uses,
};

/// So many servers are asked at a time.
const AT_A_TIME: usize = 8;
/// A server that does not let one in within this is left out of the look.
const LOGIN_WITHIN: Duration = Duration::from_secs(5);
/// One question to a server is answered within this, or the server is left out.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The server itself gives up before that.
const SESSION: &str = "SET SESSION max_execution_time = 9000, lock_wait_timeout = 2, sql_mode = '', group_concat_max_len = 1048576";

/// A server that is to be asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: ServerId,
    pub(super) name: Box<str>,
    pub(super) uuid: Box<str>,
    pub(super) login: AdminLogin,
    /// The shards that are looked at there, with their schemas.
    pub(super) shards: Vec<(Place, u32, String)>,
}

/// What one server told.
struct Told {
    seen: Seen,
    unread: Vec<Box<str>>,
}

/// Looks at all servers. What could not be looked at is said in sentences.
pub(super) async fn look(servers: &[Asked], map: &Map) -> (Seen, Vec<Box<str>>) {
    let names = map.names;
    let asking = servers.iter().cloned().map(|server| async move {
        let told = look_at(&server, |table| names.name(table)).await;
        told.unwrap_or_else(|why| Told { seen: Seen::default(), unread: vec![why] })
    });
    let (mut seen, mut unread) = (Seen::default(), Vec::new());
    for told in a_few_at_a_time(asking).await {
        seen.digests.extend(told.seen.digests);
        seen.traits.extend(told.seen.traits);
        seen.views.extend(told.seen.views);
        seen.problems.extend(told.seen.problems);
        unread.extend(told.unread);
    }
    seen.traits.sort_by_key(|(id, _)| *id);
    unread.sort();
    (seen, unread)
}

async fn look_at(server: &Asked, named: impl Fn(&str) -> Name) -> Result<Told, Box<str>> {
    let mut conn = connect(server).await?;
    let mut seen = Seen::default();
    let traits = within(server, read_traits(&mut conn)).await?;
    seen.traits.push((server.id, traits));
    let views = within(server, read_view_uses(&mut conn)).await?;
    seen.views.insert(server.id, views);
    for (place, shard, schema) in &server.shards {
        match within(server, read_digests(&mut conn, schema)).await? {
            Some(digests) => {
                let tables = digests.into_iter().map(|(name, digest)| (named(&name), digest));
                seen.digests.insert(place.clone(), tables.collect());
            }
            None => {
                let what = format!("there is no schema {schema}, which is shard {shard} of {}", place.0);
                seen.problems.entry(server.id).or_default().push(what);
            }
        }
    }
    let _ = timeout(ANSWER_WITHIN, conn.disconnect()).await;
    Ok(Told { seen, unread: Vec::new() })
}

/// How tables are built, each on one shard. One that went meanwhile, or whose server cannot be asked, is not among them.
pub(super) async fn shapes(
    servers: &[Asked],
    wanted: &[(TableKey, Place, String)],
) -> (BTreeMap<(TableKey, podway_model::ShardIndex), TableShape>, Vec<Box<str>>) {
    let asking = servers.iter().cloned().filter_map(|server| {
        let here: Vec<(TableKey, Place, String, String)> = wanted
            .iter()
            .filter_map(|(table, place, spelled)| {
                let (_, _, schema) = server.shards.iter().find(|(known, _, _)| known == place)?;
                Some((table.clone(), place.clone(), schema.clone(), spelled.clone()))
            })
            .collect();
        (!here.is_empty()).then_some(async move {
            let mut found = Vec::new();
            let read = async {
                let mut conn = connect(&server).await?;
                for (table, place, schema, spelled) in here {
                    let shape = within(&server, read_shape(&mut conn, &schema, &spelled)).await?;
                    found.extend(shape.map(|shape| ((table, place.1), shape)));
                }
                let _ = timeout(ANSWER_WITHIN, conn.disconnect()).await;
                Ok::<(), Box<str>>(())
            };
            let why = read.await.err();
            (found, why)
        })
    });
    let (mut shapes, mut unread) = (BTreeMap::new(), Vec::new());
    for (found, why) in a_few_at_a_time(asking).await {
        shapes.extend(found);
        unread.extend(why);
    }
    (shapes, unread)
}

async fn connect(server: &Asked) -> Result<Conn, Box<str>> {
    let mut conn = match timeout(LOGIN_WITHIN, server.login.connect()).await {
        Ok(conn) => conn.map_err(|error| said(server, &error.to_string()))?,
        Err(_) => return Err(said(server, &format!("it does not answer within {LOGIN_WITHIN:?}"))),
    };
    let facts = within(server, read_facts(&mut conn)).await?;
    if *facts.uuid != *server.uuid {
        return Err(said(server, &format!("another server, {}, answers at its address", facts.uuid)));
    }
    let prepared = async {
        let doing = "preparing the session".to_owned();
        conn.query_drop(SESSION).await.map_err(|error| ProvisionError::Statement { doing, error })
    };
    within(server, prepared).await?;
    Ok(conn)
}

async fn within<T>(
    server: &Asked,
    asked: impl Future<Output = Result<T, ProvisionError>>,
) -> Result<T, Box<str>> {
    match timeout(ANSWER_WITHIN, asked).await {
        Ok(answer) => answer.map_err(|error| said(server, &error.to_string())),
        Err(_) => Err(said(server, &format!("it does not answer within {ANSWER_WITHIN:?}"))),
    }
}

fn said(server: &Asked, why: &str) -> Box<str> {
    format!("server {}: {why}", server.name).into()
}

/// Does all of it, [`AT_A_TIME`].
async fn a_few_at_a_time<T: Send + 'static>(
    all: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let (mut under_way, mut done) = (JoinSet::new(), Vec::new());
    for one in all {
        if under_way.len() >= AT_A_TIME
            && let Some(Ok(answer)) = under_way.join_next().await
        {
            done.push(answer);
        }
        under_way.spawn(one);
    }
    while let Some(answer) = under_way.join_next().await {
        done.extend(answer.ok());
    }
    done
}
