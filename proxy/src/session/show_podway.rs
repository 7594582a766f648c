//! SHOW PODWAY: the cluster and this proxy as rows, for whoever may see all sessions. It shows what the proxy knows itself: its map, its
//! pools, its counters; never a password, a secret, or another proxy. What each topic shows is decided by pure functions of these.

use std::borrow::Cow;

use podway_model::{DriftSubject, Keyspace, Map, ServerId, ShardIndex, Table, TableKind};
use podway_topology_api::{Operation, OperationKind};
use podway_wire::Cell;

use super::clocks::{ClockRow, standing};
use super::core::Session;
use super::reply::Column;
use super::shared::Shared;
use crate::clock::Peer;
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::txn::InDoubt;

/// One topic.
struct Topic {
    name: &'static str,
    columns: &'static [Column],
    rows: fn(&Map, &Shared) -> Vec<Vec<Cell<'static>>>,
}

const fn text(name: &'static str) -> Column {
    Column { name, is_number: false, length: 255 }
}

const fn count(name: &'static str) -> Column {
    Column { name, is_number: true, length: 21 }
}

/// Every topic, by name.
const TOPICS: [Topic; 10] = [
    Topic {
        name: "CLOCKS",
        columns: &[text("clock"), text("ahead_ms"), text("within_ms"), count("samples"), text("state")],
        rows: clocks,
    },
    Topic {
        name: "DEADLOCKS",
        columns: &[
            count("deadlock"),
            count("age_ms"),
            text("role"),
            text("transaction"),
            text("waited_on"),
            count("session"),
            Column { name: "statement", is_number: false, length: 1_024 },
        ],
        rows: deadlocks,
    },
    Topic {
        name: "DRIFT",
        columns: &[
            text("keyspace"),
            text("table"),
            text("server"),
            Column { name: "what", is_number: false, length: 1_600 },
            count("since_ms"),
            text("pins"),
        ],
        rows: drifts,
    },
    Topic {
        name: "KEYSPACES",
        columns: &[text("keyspace"), count("shards"), count("tables"), text("home")],
        rows: keyspaces,
    },
    Topic { name: "METRICS", columns: &[text("name"), count("value")], rows: metrics },
    Topic {
        name: "SERVERS",
        columns: &[
            count("id"),
            text("address"),
            text("version"),
            text("uuid"),
            count("connections"),
            count("idle"),
            text("deadlocks"),
        ],
        rows: servers,
    },
    Topic { name: "SETTINGS", columns: &[text("name"), text("value")], rows: settings },
    Topic {
        name: "SHARDS",
        columns: &[
            text("keyspace"),
            count("shard"),
            text("ranges"),
            text("server"),
            text("schema"),
            count("epoch"),
            text("state"),
        ],
        rows: shards,
    },
    Topic {
        name: "TABLES",
        columns: &[text("keyspace"), text("table"), text("kind"), text("sharding key"), text("vindex")],
        rows: tables,
    },
    Topic {
        name: "TRANSACTIONS",
        columns: &[text("transaction"), text("server"), text("primary"), count("seen_ms"), text("state")],
        rows: transactions,
    },
];

/// The topic that the topology is asked for.
const OPERATIONS: &str = "OPERATIONS";

const OPERATION: [Column; 7] = [
    count("operation"),
    text("state"),
    count("done"),
    count("targets"),
    text("who"),
    Column { name: "statement", is_number: false, length: 1024 },
    Column { name: "trouble", is_number: false, length: 1024 },
];

impl Session {
    /// SHOW PODWAY topic.
    pub(super) async fn show_podway(&mut self, map: &Map, topic: &str) -> Result<(), ProxyError> {
        if topic.eq_ignore_ascii_case(OPERATIONS) {
            return self.show_operations().await;
        }
        let found = TOPICS.iter().find(|known| known.name.eq_ignore_ascii_case(topic)).ok_or_else(|| {
            let mut names: Vec<&str> = TOPICS.iter().map(|known| known.name).collect();
            names.push(OPERATIONS);
            names.sort_unstable();
            let message = format!("SHOW PODWAY shows {}; not '{topic}'", names.join(", "));
            ClientError::new(ErrorCode::SYNTAX, message)
        })?;
        self.check_sees_all().await?;
        let rows = (found.rows)(map, &self.shared);
        self.reply_rows(found.columns, &rows).await
    }

    /// SHOW PODWAY OPERATIONS: work on several shards or servers that goes on, and the last that ended.
    async fn show_operations(&mut self) -> Result<(), ProxyError> {
        self.check_sees_all().await?;
        let operations = self.shared.operations.get().cloned().ok_or_else(|| {
            ClientError::not_supported(
                "SHOW PODWAY OPERATIONS without a topology: this proxy's map comes from a cluster file",
            )
        })?;
        let listed = tokio::select! {
            biased;
            listed = operations.list() => listed,
            error = self.client.gone(self.command_bytes) => return Err(ProxyError::ClientGone(error)),
        };
        let listed = listed.map_err(|error| ClientError::new(ErrorCode::UNKNOWN, error.to_string()))?;
        let rows: Vec<Vec<Cell<'static>>> = listed.iter().map(operation).collect();
        self.reply_rows(&OPERATION, &rows).await
    }

    pub(super) async fn check_sees_all(&mut self) -> Result<(), ProxyError> {
        if self.has_privilege(&["PROCESS", "SUPER"]).await? {
            return Ok(());
        }
        let message = "Access denied; you need (at least one of) the PROCESS privilege(s) for this operation";
        Err(ClientError::new(ErrorCode::PRIVILEGE_NEEDED, message).into())
    }
}

fn operation(operation: &Operation) -> Vec<Cell<'static>> {
    let (done, all) = operation.progress();
    let about = match &operation.kind {
        OperationKind::Ddl(ddl) => ddl.shown.to_string(),
        OperationKind::Users { shown, .. } => shown.to_string(),
        OperationKind::MoveShard(one) => format!("move of {} ({})", one.shard, one.step),
    };
    let state =
        if operation.needs_somebody() { "NEEDS SOMEBODY".to_owned() } else { operation.state.to_string() };
    vec![
        number(operation.id.0),
        string(state),
        number(done),
        number(all),
        string(&operation.who),
        string(about),
        operation.trouble.as_ref().map_or(Cell::Null, string),
    ]
}

/// The branches that servers have prepared, as they were last looked at.
fn transactions(map: &Map, shared: &Shared) -> Vec<Vec<Cell<'static>>> {
    let address = |id| server_address(map, id);
    let row = |branch: &InDoubt| {
        let (transaction, primary) = match branch.xid {
            Some(xid) => (string(xid.gtrid), string(address(xid.branch.primary))),
            None => (Cell::Null, Cell::Null),
        };
        let state = match branch.xid {
            None => "FOREIGN",
            Some(_) if branch.in_hand => "ENDING",
            Some(_) if branch.is_too_old => "TOO OLD",
            Some(_) => "IN DOUBT",
        };
        let seen = number(branch.seen.as_millis());
        vec![transaction, string(address(branch.server)), primary, seen, string(state)]
    };
    shared.transactions.in_doubt().iter().map(row).collect()
}

/// The last deadlocks over several servers in which a session of this proxy was, numbered from the newest: who waited, each for the next and the last for the first.
fn deadlocks(map: &Map, shared: &Shared) -> Vec<Vec<Cell<'static>>> {
    let mut rows = Vec::new();
    for (nth, found) in shared.deadlocks.last().iter().enumerate() {
        for (place, member) in found.members.iter().enumerate() {
            rows.push(vec![
                number(nth + 1),
                number(found.at.elapsed().as_millis()),
                string(if place == 0 { "VICTIM" } else { "SURVIVOR" }),
                member.gtrid.map_or(Cell::Null, string),
                string(server_address(map, member.server)),
                member.session.map_or(Cell::Null, number),
                Cell::Bytes(Cow::Owned(member.statement.clone())),
            ]);
        }
    }
    rows
}

/// This machine's clock beside each other one; of the stamps how far they are ahead of it.
fn clocks(map: &Map, shared: &Shared) -> Vec<Vec<Cell<'static>>> {
    let clock = &shared.transactions.clock;
    let known = clock.offsets();
    let offset = |wanted| known.iter().find(|(peer, _)| *peer == wanted).map(|(_, offset)| *offset);
    let mut rows = vec![vec![
        string(format!("this proxy (set back {} times)", clock.steps_back())),
        Cell::Null,
        Cell::Null,
        number(known.len()),
        string(standing(clock)),
    ]];
    let topology = offset(Peer::Topology).map(|offset| ("the topology".to_owned(), Some(offset)));
    let servers = map.servers().map(|server| (server.address(), offset(Peer::Server(server.id))));
    rows.extend(
        topology.into_iter().chain(servers).map(|(name, offset)| ClockRow::of(name, offset, clock).cells()),
    );
    rows
}

fn string(text: impl ToString) -> Cell<'static> {
    Cell::Bytes(Cow::Owned(text.to_string().into_bytes()))
}

fn number(value: impl TryInto<u64>) -> Cell<'static> {
    Cell::UInt(value.try_into().unwrap_or(u64::MAX))
}

fn sorted(map: &Map) -> Vec<&Keyspace> {
    let mut keyspaces: Vec<&Keyspace> = map.keyspaces().map(|keyspace| &**keyspace).collect();
    keyspaces.sort_by_key(|keyspace| &keyspace.name);
    keyspaces
}

fn server_address(map: &Map, id: ServerId) -> String {
    map.server(id).map_or_else(|| format!("server {id}"), |server| server.address())
}

/// The address of a shard's server.
fn address(map: &Map, keyspace: &Keyspace, index: ShardIndex) -> String {
    map.place(keyspace, index).map(|(server, _)| server.address()).unwrap_or_default()
}

fn keyspaces(map: &Map, _: &Shared) -> Vec<Vec<Cell<'static>>> {
    let row = |keyspace: &Keyspace| {
        vec![
            string(&keyspace.name),
            number(keyspace.shards.len()),
            number(keyspace.tables.len()),
            string(address(map, keyspace, keyspace.home)),
        ]
    };
    sorted(map).into_iter().map(row).collect()
}

/// What differs on the servers from the map; `pins`: whether statements are still routed by the table's sharding key.
fn drifts(map: &Map, _: &Shared) -> Vec<Vec<Cell<'static>>> {
    let row = |(subject, drift): (&DriftSubject, &std::sync::Arc<podway_model::Drift>)| {
        let (keyspace, table, server) = match subject {
            DriftSubject::Table { keyspace, table } => (string(keyspace), string(table), Cell::Null),
            DriftSubject::Server(id) => {
                let address = map.server(*id).map_or_else(|| id.to_string(), |server| server.address());
                (Cell::Null, Cell::Null, string(address))
            }
        };
        let pins = if drift.stops_pinning { "refused" } else { "served" };
        vec![keyspace, table, server, string(&drift.what), number(drift.since_ms), string(pins)]
    };
    map.drifts().map(row).collect()
}

fn shards(map: &Map, _: &Shared) -> Vec<Vec<Cell<'static>>> {
    let row = |keyspace: &Keyspace, index: ShardIndex| {
        let shard = keyspace.shard(index)?;
        let ranges: Vec<String> = keyspace.ranges(index).iter().map(ToString::to_string).collect();
        let state = if keyspace.freeze(index).is_some() { "frozen" } else { "serving" };
        Some(vec![
            string(&keyspace.name),
            number(shard.id.0),
            string(ranges.join(",")),
            string(address(map, keyspace, index)),
            string(&shard.schema),
            number(shard.epoch.0),
            string(state),
        ])
    };
    let of = |keyspace: &Keyspace| -> Vec<_> {
        (0..keyspace.shards.len()).filter_map(|n| row(keyspace, ShardIndex(n as u16))).collect()
    };
    sorted(map).into_iter().flat_map(of).collect()
}

fn tables(map: &Map, _: &Shared) -> Vec<Vec<Cell<'static>>> {
    let row = |keyspace: &Keyspace, table: &Table| {
        let (kind, vindex) = match &table.kind {
            TableKind::Sharded(sharding) => {
                ("sharded", string(format!("{:?}", sharding.vindex).to_ascii_lowercase()))
            }
            TableKind::Reference => ("reference", Cell::Null),
            TableKind::Home => ("home", Cell::Null),
            TableKind::View => ("view", Cell::Null),
        };
        let key: Vec<&str> = table.key_columns().map(|column| column.name.as_str()).collect();
        let key = if key.is_empty() { Cell::Null } else { string(key.join(",")) };
        vec![string(&keyspace.name), string(&table.name), string(kind), key, vindex]
    };
    let of = |keyspace: &Keyspace| -> Vec<_> {
        let mut tables: Vec<&Table> = keyspace.tables.values().map(|table| &**table).collect();
        tables.sort_by_key(|table| &table.name);
        tables.into_iter().map(|table| row(keyspace, table)).collect()
    };
    sorted(map).into_iter().flat_map(of).collect()
}

fn servers(map: &Map, shared: &Shared) -> Vec<Vec<Cell<'static>>> {
    let counts = shared.pools.counts();
    let of = |wanted: &str| {
        let here = counts.iter().find(|(address, _, _)| address == wanted);
        here.map_or((0, 0), |(_, open, idle)| (*open, *idle))
    };
    let row = |server: &podway_model::Server| {
        let address = server.address();
        let (open, idle) = of(&address);
        vec![
            number(server.id.0),
            string(address),
            string(&server.version),
            string(&server.uuid),
            number(open),
            number(idle),
            string(shared.deadlocks.unseen(server.id).unwrap_or_else(|| "seen".to_owned())),
        ]
    };
    map.servers().map(|server| row(server)).collect()
}

fn settings(map: &Map, _: &Shared) -> Vec<Vec<Cell<'static>>> {
    map.settings().map(|(name, value)| vec![string(name), string(value)]).collect()
}

fn metrics(_: &Map, shared: &Shared) -> Vec<Vec<Cell<'static>>> {
    shared.measured().into_iter().map(|one| vec![string(one.name), number(one.value)]).collect()
}
