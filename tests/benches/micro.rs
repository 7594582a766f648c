//! `cargo bench -p podway-tests --bench micro`: the steps of the hot path, each by itself, in nanoseconds. The least of many batches is
//! printed: what else the machine does can only add. Arguments that are not flags choose steps by a part of their name; `--json` prints JSON.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::BytesMut;
use podway_model::{
    Column, ColumnDefault, ColumnType, Epoch, Keyspace, KeyspaceId, Map, Name, NameRule, Server, ServerId,
    Shard, ShardId, Sharding, Table, TableKind, Vindex,
};
use podway_router::{
    ClientCharset, KeyValue, Normalised, Pinned, PlanCache, PlanContext, SqlMode, keyspace_id_for_predicate,
    plan_uncached,
};
use podway_wire::{
    CapabilityFlags, Cell, ColumnDefinition, ResponseKind, ResponseTracker, ResultSet, RowFormat,
    StatusFlags, command_frame,
};

const CHARSET: ClientCharset = ClientCharset::Utf8;
const POINT: &[u8] = b"SELECT c FROM points WHERE id = 4711";
const LONGER: &[u8] =
    b"SELECT p.c, p.pad, e.note /* orders.py:117 */ FROM points AS p JOIN entries AS e ON e.owner = p.id \
    WHERE p.id = 4711 AND e.n BETWEEN 10 AND 20 AND e.note <> 'nothing to say' ORDER BY e.n DESC LIMIT 10";

/// How long one batch is.
const BATCH: Duration = Duration::from_millis(2);
/// How long one step is measured.
const STEP: Duration = Duration::from_millis(600);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let chosen: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let mut report = Report { chosen: &chosen, lines: Vec::new() };
    routing(&mut report)?;
    wire(&mut report);
    match json {
        true => {
            let steps = report.lines.iter().map(|(name, nanos)| ((*name).to_owned(), (*nanos).into()));
            println!("{}", serde_json::Value::Object(steps.collect()));
        }
        false => report.lines.iter().for_each(|(name, nanos)| println!("{nanos:>12.1} ns  {name}")),
    }
    Ok(())
}

struct Report<'a> {
    chosen: &'a [&'a String],
    lines: Vec<(&'static str, f64)>,
}

impl Report<'_> {
    /// Measures one step.
    fn step<T>(&mut self, name: &'static str, mut run: impl FnMut() -> T) {
        if !self.chosen.is_empty() && !self.chosen.iter().any(|part| name.contains(part.as_str())) {
            return;
        }
        let mut batch = |times: u64| {
            let begin = Instant::now();
            (0..times).for_each(|_| drop(black_box(run())));
            begin.elapsed()
        };
        let mut times = 1;
        while batch(times) < BATCH {
            times *= 2;
        }
        let end = Instant::now() + STEP;
        let mut least = f64::INFINITY;
        while Instant::now() < end {
            least = least.min(batch(times).as_nanos() as f64 / times as f64);
        }
        self.lines.push((name, least));
    }
}

/// The router's steps.
fn routing(report: &mut Report<'_>) -> anyhow::Result<()> {
    let map = map()?;
    let keyspace = map.keyspace_spelled("bench").context("the map has no keyspace")?.clone();
    let table = keyspace.tables.get(&map.names.name("points")).context("the keyspace has no table")?.clone();
    let context = PlanContext {
        map: &map,
        keyspace: Some(&keyspace.name),
        sql_mode: SqlMode::default(),
        charset: CHARSET,
        collation: "utf8mb4_0900_ai_ci",
        time_zone: "SYSTEM",
        temporary_tables: &[],
    };
    let mut normal = Normalised::new();
    normal.set_version(map.lowest_version());
    for (name, sql) in [("normalise: point select", POINT), ("normalise: join of two tables", LONGER)] {
        normal.run(sql, context.sql_mode, CHARSET)?;
        report.step(name, || normal.run(black_box(sql), context.sql_mode, CHARSET).is_ok());
    }
    let cache = PlanCache::new(64 << 20);
    let names = [
        [
            "plan-cache hit: look-up only, point select",
            "plan-cache hit: normalise, look up, route, point select",
        ],
        ["plan-cache hit: look-up only, join", "plan-cache hit: normalise, look up, route, join"],
    ];
    for ([look_up, whole], sql) in names.into_iter().zip([POINT, LONGER]) {
        normal.run(sql, context.sql_mode, CHARSET)?;
        report.step(look_up, || cache.plan(&context, black_box(sql), &normal));
        report.step(whole, || {
            let normalised = normal.run(black_box(sql), context.sql_mode, CHARSET).is_ok();
            let plan = cache.plan(&context, sql, &normal);
            (normalised, plan.route(&map, sql, &normal, &[]).is_ok())
        });
    }
    report.step("vindex: keyspace id of a BIGINT (xxh3)", || {
        keyspace_id_for_predicate(
            &table,
            [Pinned { value: KeyValue::Int(black_box(4711)), null_safe: false }],
        )
    });
    let mut id = 0_u64;
    report.step("slot look-up: keyspace id to shard", || {
        id = id.wrapping_add(0x9E37_79B9_7F4A_7C15);
        keyspace.shard_of(KeyspaceId(black_box(id)))
    });
    for (name, sql) in [
        ("plan-cache miss: parse and plan, point select", POINT),
        ("plan-cache miss: parse and plan, join", LONGER),
    ] {
        normal.run(sql, context.sql_mode, CHARSET)?;
        report.step(name, || plan_uncached(&context, black_box(sql), &normal));
    }
    Ok(())
}

/// The protocol's steps.
fn wire(report: &mut Report<'_>) {
    let capabilities = CapabilityFlags::CLIENT_PROTOCOL_41 | CapabilityFlags::CLIENT_DEPRECATE_EOF;
    let mut command = BytesMut::new();
    podway_wire::write_packet(&mut command, &mut 0, &[&[3], POINT].concat());
    report.step("frame of a command", || command_frame(black_box(&command), 64 << 20));
    let cases = [
        ("response tracker: 1 row", 1),
        ("response tracker: 100 rows", 100),
        ("response tracker: 10,000 rows", 10_000),
    ];
    for (name, rows) in cases {
        let answer = answer(rows, capabilities);
        report.step(name, || {
            let mut tracker = ResponseTracker::new(ResponseKind::Query, capabilities, 1);
            tracker.feed(black_box(&answer)).is_ok()
        });
    }
}

/// An answer with so many rows of a number and 60 bytes of text.
fn answer(rows: usize, capabilities: CapabilityFlags) -> BytesMut {
    let text = "e".repeat(60);
    let columns = [ColumnDefinition::int("n"), ColumnDefinition::text("note")];
    let row = vec![Cell::Int(4711), Cell::from(text.as_str())];
    let result = ResultSet {
        columns: &columns,
        rows: &vec![row; rows],
        status: StatusFlags::SERVER_STATUS_AUTOCOMMIT,
        warnings: 0,
    };
    let mut out = BytesMut::new();
    result.write(&mut out, &mut 1, capabilities, RowFormat::Text);
    out
}

/// A keyspace of four shards with two sharded tables.
fn map() -> anyhow::Result<Map> {
    let names = NameRule::default();
    let mut map = Map::empty(names);
    map.schema_version = 1;
    for n in 1..=4 {
        let (uuid, version) = (format!("uuid-{n}").into(), "9.7.4".into());
        map.put_server(Server { id: ServerId(n), host: "127.0.0.1".into(), port: 3306, uuid, version });
    }
    let shard =
        |n| Shard { id: ShardId(n), server: ServerId(n), schema: names.name("bench"), epoch: Epoch(1) };
    let mut keyspace = Keyspace::evenly(names.name("bench"), (1..=4).map(shard).collect())?;
    let bigint = ColumnType::Integer { bytes: 8, unsigned: false };
    let int = ColumnType::Integer { bytes: 4, unsigned: false };
    let text = ColumnType::Varchar(120);
    let tables = [
        (
            "points",
            [("id", bigint.clone()), ("k", int.clone()), ("c", text.clone()), ("pad", text.clone())].to_vec(),
        ),
        ("entries", [("owner", bigint), ("n", int), ("note", text)].to_vec()),
    ];
    for (name, columns) in tables {
        let name = names.name(name);
        let kind = TableKind::Sharded(Sharding::by(vec![0], Vindex::Xxh3));
        let columns = columns.into_iter().map(|(name, of)| column(name, of)).collect();
        keyspace.tables.insert(name.clone(), Arc::new(Table { name, kind, columns }));
    }
    map.put_keyspace(keyspace)?;
    Ok(map)
}

fn column(name: &str, column_type: ColumnType) -> Column {
    let is_text = matches!(column_type, ColumnType::Varchar(_));
    Column {
        name: Name::caseless(name),
        column_type,
        collation: is_text.then(|| "utf8mb4_0900_ai_ci".into()),
        nullable: false,
        auto_increment: false,
        generated: false,
        default: ColumnDefault::None,
        invisible: false,
    }
}
