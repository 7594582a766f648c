//! `podway status`: the cluster at a glance, with what somebody should look at first. Reads only; each server is asked whether it answers.

use std::time::Duration;

use podway_model::{HybridClock, ServerId};
use podway_topology_api::{MemberRole, Members, ShardView, StoreError, TopologyStore, View};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::clock::shown;
use super::context::{Common, Context, Servers};
use super::drift::DriftRow;
use super::error::AdminError;
use super::members::NodeRow;
use super::moving;
use super::print::{self, Row, counted};
use super::proxies::ProxyRow;
use super::retired::RetiredRow;
use super::server_facts;
use super::shard::ShardRow;
use super::sizes::{SchemaSize, read_sizes};
use crate::provision::{AdminLogin, ProvisionError, read_facts};

/// A server that takes longer to answer is called away.
const SERVER_WITHIN: Duration = Duration::from_secs(2);
/// Sizes that take longer are left out.
const SIZES_WITHIN: Duration = Duration::from_secs(1);

/// A proxy that has not taken over a change that is older is named. Heartbeats say so within a part of this.
const TAKEN_OVER_WITHIN_MS: u64 = 2_000;

/// A proxy whose clock is further from another one is named: half of what others believe.
const CLOCK_APART_MS: i64 = HybridClock::MOST_AHEAD.as_millis() as i64 / 2;

/// Shows the cluster at a glance
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  podway status\n  podway status --topology 10.0.0.1:7400,10.0.0.2:7400 --json | jq .alarms"
)]
pub struct StatusArgs {
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// Everything that is shown.
#[derive(Serialize)]
struct Picture {
    alarms: Vec<String>,
    revision: u64,
    at: String,
    /// Whether this is what the leader knows; else what one node does.
    is_certain: bool,
    keyspaces: Vec<KeyspaceLine>,
    users: usize,
    shards: Vec<SizedShard>,
    /// What shards left behind.
    retired: Vec<RetiredRow>,
    servers: Vec<ServerLine>,
    proxies: Vec<ProxyRow>,
    nodes: Vec<NodeRow>,
    operations: Vec<String>,
    /// What differs on the servers from the map.
    drifts: Vec<DriftRow>,
    /// When that was looked at last.
    compared: Option<String>,
}

#[derive(Serialize)]
struct KeyspaceLine {
    name: String,
    tables: usize,
}

/// A shard with its size, where its server tells.
#[derive(Serialize)]
struct SizedShard {
    #[serde(flatten)]
    shard: ShardRow,
    size: Option<SchemaSize>,
}

impl Row for SizedShard {
    const HEAD: &'static [&'static str] =
        &["#shard", "keyspace", "range", "server", "schema", "#epoch", "state", "size, about"];

    fn cells(&self) -> Vec<String> {
        let size = self.size.as_ref().map_or_else(|| "–".to_owned(), SchemaSize::shown);
        self.shard.cells().into_iter().chain([size]).collect()
    }
}

impl SizedShard {
    /// All shards; the answers are the servers', in their order.
    fn all(view: &View, answers: &[Asked]) -> Vec<SizedShard> {
        let shards = view.keyspaces.iter().flat_map(|keyspace| &keyspace.shards);
        let size = |server: ServerId, schema: &str| {
            let place = view.servers.iter().position(|known| known.id == server)?;
            let sizes = &answers.get(place)?.sizes;
            let found = sizes.iter().find(|size| size.schema.eq_ignore_ascii_case(schema)).cloned();
            // MySQL's own schemas are always told: where they are, a schema without tables is merely empty.
            (!sizes.is_empty()).then(|| found.unwrap_or_else(|| SchemaSize::empty(schema)))
        };
        let sized = |(row, shard): (ShardRow, &ShardView)| SizedShard {
            shard: row,
            size: size(shard.server, shard.schema.as_str()),
        };
        ShardRow::all(view).into_iter().zip(shards).map(sized).collect()
    }
}

/// A server with whether it answers.
#[derive(Serialize)]
struct ServerLine {
    server: String,
    address: String,
    version: String,
    shards: usize,
    health: String,
}

impl Row for ServerLine {
    const HEAD: &'static [&'static str] = &["server", "address", "version", "#shards", "health"];

    fn cells(&self) -> Vec<String> {
        let ServerLine { server, address, version, shards, health } = self;
        vec![server.clone(), address.clone(), version.clone(), shards.to_string(), health.clone()]
    }
}

/// Runs it.
pub(super) async fn run(args: StatusArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let (view, why_uncertain) = match context.store.read(true).await {
        Ok(view) => (view, None),
        // Without a leader, one node's own knowledge is better than nothing, if it is called that.
        Err(StoreError::Away { last, .. }) => {
            (context.store.read(false).await.map_err(|error| context.failed(error))?, Some(last))
        }
        Err(error) => return Err(context.failed(error)),
    };
    let members = context.store.members().await.map_err(|error| context.failed(error))?;
    let servers = match &why_uncertain {
        // Whoever may only look does not get into the servers.
        None => match context.servers(&view).await {
            Err(AdminError::Store(StoreError::NotAllowed(_))) => None,
            servers => Some(servers?),
        },
        Some(_) => None,
    };
    let picture = picture(&view, &members, servers.as_ref(), why_uncertain).await;
    if context.is_json { Ok(print::json(&picture)?) } else { Ok(print::out(&picture.text())?) }
}

async fn picture(
    view: &View,
    members: &Members,
    servers: Option<&Servers>,
    why_uncertain: Option<String>,
) -> Picture {
    let is_certain = why_uncertain.is_none();
    let answers = ask_all(view, servers).await;
    let shards = SizedShard::all(view, &answers);
    let servers = server_lines(view, answers);
    let (proxies, nodes) = (ProxyRow::all(view), NodeRow::all(members));
    let ended = |operation: &&podway_topology_api::Operation| operation.state.is_open();
    let operations: Vec<String> =
        view.operations.iter().filter(ended).map(|operation| moving::described(operation, view)).collect();
    let mut alarms = Vec::new();
    alarms.extend(why_uncertain.map(|why| {
        format!(
            "the topology has no leader ({why}): this is what node {} knows, and nothing can be changed",
            members.told_by
        )
    }));
    alarms.extend(node_alarms(members, &nodes));
    let away = servers
        .iter()
        .filter(|server| server.health.starts_with("AWAY") || server.health.starts_with("ANOTHER"));
    alarms.extend(
        away.map(|server| format!("server {} at {}: {}", server.server, server.address, server.health)),
    );
    alarms.extend(map_alarms(view, &proxies));
    let retired = RetiredRow::all(view);
    alarms.extend(retired.iter().filter_map(RetiredRow::alarm));
    let drifts = DriftRow::all(view, None);
    alarms.extend(drifts.iter().map(DriftRow::sentence));
    Picture {
        alarms,
        revision: view.revision.0,
        at: shown(view.time),
        is_certain,
        keyspaces: view
            .keyspaces
            .iter()
            .map(|keyspace| KeyspaceLine { name: keyspace.name.to_string(), tables: keyspace.tables.len() })
            .collect(),
        users: view.accounts.len(),
        shards,
        retired,
        servers,
        proxies,
        nodes,
        operations,
        drifts,
        compared: view.checks.at.map(shown),
    }
}

fn node_alarms(members: &Members, nodes: &[NodeRow]) -> Vec<String> {
    let mut alarms: Vec<String> = nodes
        .iter()
        .filter(|node| node.reachable == Some(false))
        .map(|node| format!("topology node {} is not reached by the leader", node.node))
        .collect();
    let voters = members.nodes.iter().filter(|node| node.role != MemberRole::Learner);
    let (all, lost) = voters.fold((0_usize, 0_usize), |(all, lost), node| {
        (all + 1, lost + usize::from(node.reachable == Some(false)))
    });
    if lost > 0 && members.leader.is_some() {
        let spare = ((all - 1) / 2).saturating_sub(lost);
        let spare = if spare == 0 { "no".to_owned() } else { spare.to_string() };
        alarms.push(format!(
            "{lost} of {all} topology nodes lost: {spare} more may fail, or nothing can be changed"
        ));
    }
    if all > 1 && all % 2 == 0 {
        alarms.push(format!("{all} topology nodes survive no more losses than {}", all - 1));
    }
    alarms
}

fn map_alarms(view: &View, proxies: &[ProxyRow]) -> Vec<String> {
    let waiting = view.operations.iter().filter(|operation| operation.needs_somebody());
    let mut alarms: Vec<String> = waiting
        .map(|operation| {
            let number = operation.id.0;
            format!(
                "{} is half done: remove what is in the way and say podway operation retry {number}, or give-up {number}",
                operation.id
            )
        })
        .collect();
    for proxy in proxies {
        let name = format!("proxy {} ({})", proxy.incarnation, proxy.name);
        match proxy.lease {
            "ended" => alarms.push(format!("{name} is not heard any more; it may have threads on servers")),
            "held" if proxy.is_behind && is_overdue(view, proxy) => {
                alarms.push(format!("{name} has not taken over the newest map"))
            }
            _ => {}
        }
        if proxy.lease == "held" {
            alarms.extend(clock_alarm(proxy).map(|what| format!("{name}: {what}")));
        }
    }
    for keyspace in &view.keyspaces {
        let frozen = keyspace.shards.iter().filter(|shard| shard.freeze.is_some());
        alarms.extend(frozen.map(|shard| format!("{} of {} is frozen", shard.id, keyspace.name)));
    }
    alarms
}

/// What is wrong with a proxy's clock, or with one that it is compared with.
pub(super) fn clock_alarm(proxy: &ProxyRow) -> Option<String> {
    let is_far = |ahead: i64| ahead.abs() > CLOCK_APART_MS;
    let apart = |ahead: i64, whose: String| {
        let way = if ahead < 0 { "behind" } else { "ahead of" };
        format!("its clock is {} ms {way} {whose}", ahead.abs())
    };
    let topology = proxy
        .clock_ahead_ms
        .filter(|ahead| is_far(*ahead))
        .map(|ahead| apart(ahead, "the topology's".to_owned()));
    let server = proxy.clock_furthest.as_ref().filter(|clock| is_far(clock.ahead_ms));
    let server = server.map(|clock| apart(clock.ahead_ms, format!("that of server {}", clock.server)));
    let refuses = proxy.refuses_to_stamp.then(|| "it refuses commits over several servers".to_owned());
    let all: Vec<String> = topology.into_iter().chain(server).chain(refuses).collect();
    (!all.is_empty()).then(|| format!("{}; set the clock that is wrong", all.join(", ")))
}

/// Whether a proxy had the time to take over the newest map.
fn is_overdue(view: &View, proxy: &ProxyRow) -> bool {
    let registered = view.proxies.iter().find(|known| known.incarnation.0 == proxy.incarnation);
    let registered = registered.map_or(0, |known| known.since.0);
    let changed =
        view.log.iter().find(|logged| logged.revision >= view.revision).map_or(0, |logged| logged.at.0);
    view.time.0.saturating_sub(registered.max(changed)) > TAKEN_OVER_WITHIN_MS
}

/// What a server says of itself.
struct Asked {
    health: String,
    sizes: Vec<SchemaSize>,
}

impl Asked {
    fn only(health: impl Into<String>) -> Asked {
        Asked { health: health.into(), sizes: Vec::new() }
    }
}

/// Asks all servers at once whether they answer, as whom, and how much they hold.
async fn ask_all(view: &View, servers: Option<&Servers>) -> Vec<Asked> {
    let mut asking = JoinSet::new();
    for (place, server) in view.servers.iter().enumerate() {
        if let Some(Ok(login)) = servers.map(|servers| servers.login(server)) {
            let uuid = server.uuid.to_string();
            asking.spawn(async move { (place, ask(login, &uuid).await) });
        }
    }
    let mut answers: Vec<Asked> = view.servers.iter().map(|_| Asked::only("not asked")).collect();
    while let Some(asked) = asking.join_next().await {
        if let Ok((place, answer)) = asked {
            answers[place] = answer;
        }
    }
    answers
}

fn server_lines(view: &View, answers: Vec<Asked>) -> Vec<ServerLine> {
    let shards = || view.keyspaces.iter().flat_map(|keyspace| &keyspace.shards);
    let lines = view.servers.iter().zip(answers).map(|(server, asked)| ServerLine {
        server: server.name.to_string(),
        address: server_facts::address(server),
        version: server.version.to_string(),
        shards: shards().filter(|shard| shard.server == server.id).count(),
        health: asked.health,
    });
    lines.collect()
}

async fn ask(login: AdminLogin, uuid: &str) -> Asked {
    let asked = async {
        let mut conn = login.connect().await?;
        let facts = read_facts(&mut conn).await?;
        // A server whose sizes take too long is up all the same.
        let sizes = timeout(SIZES_WITHIN, read_sizes(&mut conn)).await.ok().and_then(Result::ok);
        Ok::<_, ProvisionError>((facts, sizes.unwrap_or_default()))
    };
    match timeout(SERVER_WITHIN, asked).await {
        Ok(Ok((facts, sizes))) if facts.uuid == uuid => Asked { health: "up".to_owned(), sizes },
        Ok(Ok((facts, _))) => Asked::only(format!("ANOTHER server answers: {}", facts.uuid)),
        Ok(Err(error)) => Asked::only(format!("AWAY: {error}")),
        Err(_) => Asked::only(format!("AWAY: no answer within {SERVER_WITHIN:?}")),
    }
}

impl Picture {
    fn text(&self) -> String {
        let mut text = match &self.alarms[..] {
            [] => "All is well".to_owned(),
            alarms => {
                let lines: Vec<String> = alarms.iter().map(|alarm| format!("  ! {alarm}")).collect();
                format!("{}:\n{}", counted(alarms.len(), "alarm"), lines.join("\n"))
            }
        };
        text += &format!("\nmap {} at {}", self.revision, self.at);
        let compared = self.compared.as_ref().map(|at| format!("; compared with the servers at {at}"));
        text += &format!("{}\n", compared.unwrap_or_default());
        let keyspaces: Vec<String> = self
            .keyspaces
            .iter()
            .map(|keyspace| format!("{} ({})", keyspace.name, counted(keyspace.tables, "declared table")))
            .collect();
        let keyspaces = if keyspaces.is_empty() { "none yet".to_owned() } else { keyspaces.join(", ") };
        text += &format!("keyspaces: {keyspaces}; {}\n", counted(self.users, "user"));
        section(&mut text, "Shards", &self.shards);
        section(&mut text, "Servers", &self.servers);
        section(&mut text, "Proxies", &self.proxies);
        section(&mut text, "Topology", &self.nodes);
        if !self.retired.is_empty() {
            section(&mut text, "Left behind", &self.retired);
        }
        if !self.operations.is_empty() {
            text += &format!("\nUnder way\n  {}\n", self.operations.join("\n  "));
        }
        text
    }
}

fn section<R: Row>(text: &mut String, name: &str, rows: &[R]) {
    let body = if rows.is_empty() { "(none)".to_owned() } else { print::table(rows) };
    let lines: Vec<String> = body.lines().map(|line| format!("  {line}")).collect();
    *text += &format!("\n{name}\n{}\n", lines.join("\n"));
}
