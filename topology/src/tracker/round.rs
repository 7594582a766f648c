//! One look at everything: what is there to be compared with, all servers' digests, the tables that look different, and the report.

use std::collections::BTreeMap;
use std::sync::Arc;

use podway_model::{Map, ServerId, ShardIndex};
use podway_topology_api::{DriftReport, Finding, MAX_FINDINGS, OperationId};

use super::picture::{Busy, Picture, Place, Seen, Sound, Suspect, TableKey};
use super::read::{Asked, look, shapes};
use crate::keeper::Keeper;
use crate::provision::AdminLogin;

/// So many tables are looked at closely in one round; the next one goes on.
const CLOSELY: usize = 500;

/// What the topology says before anything is asked of a server.
struct Before {
    map: Arc<Map>,
    last_operation: OperationId,
    asked: u64,
    busy: Busy,
    names: BTreeMap<ServerId, Box<str>>,
    servers: Vec<Asked>,
}

/// A round's outcome.
pub(super) struct Round {
    pub(super) report: DriftReport,
    /// Whether there is more to look at than one round does.
    pub(super) goes_on: bool,
}

/// Looks at everything, and says what is to be reported.
pub(super) async fn round(keeper: &Keeper, sound: &mut Sound) -> Round {
    let before = before(keeper);
    sound.retain(|(keyspace, table), _| {
        before.map.keyspace(keyspace).is_some_and(|known| known.tables.contains_key(table.key()))
    });
    let (seen, mut unread) = look(&before.servers, &before.map).await;
    let picture = Picture { map: &before.map, busy: &before.busy, seen: &seen, names: &before.names };
    let mut suspects = picture.suspects(sound);
    let mut goes_on = suspects.len() > CLOSELY;
    suspects.truncate(CLOSELY);
    let (shapes, why) = shapes(&before.servers, &wanted(&suspects, &seen)).await;
    unread.extend(why);
    let mut findings = picture.findings(&suspects, &shapes, sound);
    goes_on |= findings.len() > MAX_FINDINGS;
    findings.truncate(MAX_FINDINGS);
    // Who asked waits until all was looked at.
    let answers = if goes_on { 0 } else { before.asked };
    let report = DriftReport {
        as_of: before.map.revision,
        last_operation: before.last_operation,
        answers,
        unread,
        findings,
    };
    Round { report, goes_on }
}

fn before(keeper: &Keeper) -> Before {
    keeper.machine.look(|state| {
        let map = state.map().clone();
        let busy = Busy::of(&state.open_operations(), &map);
        let asked = |server: &Arc<podway_model::Server>| {
            let admin = state.admin(server.id)?;
            Some(Asked {
                id: server.id,
                name: state.server_name(server.id),
                uuid: server.uuid.clone(),
                login: AdminLogin {
                    host: server.host.to_string(),
                    port: server.port,
                    user: admin.user.to_string(),
                    password: admin.password.reveal().to_owned(),
                },
                shards: shards_on(&map, server.id, &busy),
            })
        };
        Before {
            last_operation: state.last_operation(),
            asked: state.checks_asked(),
            names: map.servers().map(|server| (server.id, state.server_name(server.id))).collect(),
            servers: map.servers().filter_map(asked).collect(),
            busy,
            map,
        }
    })
}

/// The shards of a server that can be looked at.
fn shards_on(map: &Map, server: ServerId, busy: &Busy) -> Vec<(Place, u32, String)> {
    let mut shards = Vec::new();
    for keyspace in map.keyspaces() {
        for (index, shard) in keyspace.shards.iter().enumerate() {
            let index = ShardIndex(index as u16);
            if shard.server == server && !busy.has_shard(keyspace, index) {
                let place = (keyspace.name.clone(), index);
                shards.push((place, shard.id.0, shard.schema.as_str().to_owned()));
            }
        }
    }
    shards
}

/// Where each suspect is looked at, under the name that the server spells.
fn wanted(suspects: &[Suspect], seen: &Seen) -> Vec<(TableKey, Place, String)> {
    let mut wanted = Vec::new();
    for suspect in suspects {
        for first in suspect.groups.iter().filter_map(|group| group.first()) {
            let place: Place = (suspect.table.0.clone(), *first);
            let spelled = seen.digests.get(&place).and_then(|tables| tables.get_key_value(&suspect.table.1));
            let spelled = spelled.map_or(suspect.table.1.as_str(), |(name, _)| name.as_str());
            wanted.push((suspect.table.clone(), place, spelled.to_owned()));
        }
    }
    wanted
}

/// Findings that are worth a line in a log, in words.
pub(super) fn told(findings: &[Finding]) -> Vec<(bool, String)> {
    let told = |finding: &Finding| match finding {
        Finding::Differs { subject, what, .. } => (true, format!("{subject}: {what}")),
        Finding::Agrees { subject } => (false, format!("{subject} is as it should be again")),
        Finding::Columns { keyspace, table, .. } => {
            (false, format!("table {keyspace}.{table} was altered on every shard; the map has it so now"))
        }
    };
    findings.iter().map(told).collect()
}
