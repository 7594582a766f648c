//! The map that the router's tests plan against. Cases in `testdata/` name its tables; changing it changes what they say.
//!
//! * `shop`, four shards, the second with another physical schema: sharded `customers` (id), `orders` and `items` (customer_id), `parts`
//!   (tenant, name), `codes` (code, text), `tickets` (id, AUTO_INCREMENT), `visits` (nullable customer_id, AUTO_INCREMENT id that is no
//!   key), `drafts` (owner with a default); reference `countries` (columns known), `rates` (unknown) and
//!   `units` (AUTO_INCREMENT id, a time and a token that have expressions as defaults); home `notes` (columns known) and
//!   whatever is not declared; the view `active`.
//! * `other`, two shards: sharded `events` (id).
//! * `solo`, one shard whose schema is `solo__3`, and `lone`, one shard, on another server.

use std::sync::Arc;

use podway_model::{
    Column, ColumnDefault, ColumnType, Epoch, Keyspace, Map, Name, NameRule, Server, ServerId, Shard,
    ShardId, Sharding, Table, TableKind, Vindex,
};

const BIGINT: ColumnType = ColumnType::Integer { bytes: 8, unsigned: false };

fn column(name: &str, column_type: ColumnType) -> Column {
    let is_text = matches!(column_type, ColumnType::Char(_) | ColumnType::Varchar(_) | ColumnType::Text(_));
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

fn nullable(name: &str, column_type: ColumnType) -> Column {
    Column { nullable: true, default: ColumnDefault::Null, ..column(name, column_type) }
}

fn counter(name: &str) -> Column {
    Column { auto_increment: true, ..column(name, BIGINT) }
}

fn sharded(keys: &[usize]) -> TableKind {
    TableKind::Sharded(Sharding::by(keys.to_vec(), Vindex::Xxh3))
}

fn table(keyspace: &mut Keyspace, rule: NameRule, name: &str, kind: TableKind, columns: Vec<Column>) {
    let name = rule.name(name);
    keyspace.tables.insert(name.clone(), Arc::new(Table { name, kind, columns }));
}

fn keyspace(rule: NameRule, name: &str, shards: &[(u32, u32, &str)]) -> Keyspace {
    let shard = |&(id, server, schema): &(u32, u32, &str)| Shard {
        id: ShardId(id),
        server: ServerId(server),
        schema: rule.name(schema),
        epoch: Epoch(1),
    };
    Keyspace::evenly(rule.name(name), shards.iter().map(shard).collect()).unwrap()
}

/// The map with all keyspaces.
pub fn map(rule: NameRule) -> Map {
    let mut map = servers(rule);
    map.put_keyspace(shop(rule)).unwrap();
    let mut other = keyspace(rule, "other", &[(21, 1, "other"), (22, 2, "other")]);
    table(
        &mut other,
        rule,
        "events",
        sharded(&[0]),
        vec![column("id", BIGINT), nullable("at", ColumnType::Datetime(0))],
    );
    map.put_keyspace(other).unwrap();
    map.put_keyspace(keyspace(rule, "solo", &[(31, 3, "solo__3")])).unwrap();
    map.put_keyspace(keyspace(rule, "lone", &[(41, 4, "lone")])).unwrap();
    map
}

/// A map whose keyspaces, `solo`, `duo` and `lone`, have one shard each; the first two are on one server.
#[allow(dead_code, reason = "not every test file plans against it")]
pub fn single_map(rule: NameRule, one_server: bool) -> Map {
    let mut map = servers(rule);
    map.put_keyspace(keyspace(rule, "solo", &[(31, 3, "solo__3")])).unwrap();
    map.put_keyspace(keyspace(rule, "duo", &[(32, 3, "duo")])).unwrap();
    if !one_server {
        map.put_keyspace(keyspace(rule, "lone", &[(41, 4, "lone")])).unwrap();
    }
    map
}

fn servers(rule: NameRule) -> Map {
    let mut map = Map::empty(rule);
    for id in 1..=4 {
        let (host, uuid, version) = ("127.0.0.1".into(), format!("uuid-{id}").into(), "9.7.4".into());
        map.put_server(Server { id: ServerId(id), host, port: 3306, uuid, version });
    }
    map.schema_version = 1;
    map
}

fn shop(rule: NameRule) -> Keyspace {
    let text = || ColumnType::Varchar(64);
    let mut shop =
        keyspace(rule, "shop", &[(11, 1, "shop"), (12, 2, "shop__2"), (13, 3, "shop"), (14, 4, "shop")]);
    let shop_ref = &mut shop;
    let mut add = |name: &str, kind, columns| table(shop_ref, rule, name, kind, columns);
    add(
        "customers",
        sharded(&[0]),
        vec![column("id", BIGINT), nullable("name", text()), nullable("country", text())],
    );
    add(
        "orders",
        sharded(&[1]),
        vec![column("id", BIGINT), column("customer_id", BIGINT), nullable("total", ColumnType::Double)],
    );
    add(
        "items",
        sharded(&[2]),
        vec![
            column("order_id", BIGINT),
            column("line", BIGINT),
            column("customer_id", BIGINT),
            nullable("sku", text()),
        ],
    );
    add(
        "parts",
        sharded(&[0, 1]),
        vec![column("tenant", BIGINT), column("name", text()), nullable("stock", BIGINT)],
    );
    add("codes", sharded(&[0]), vec![column("code", text()), nullable("used", BIGINT)]);
    add("tickets", sharded(&[0]), vec![counter("id"), nullable("subject", text())]);
    add(
        "visits",
        sharded(&[1]),
        vec![counter("id"), nullable("customer_id", BIGINT), nullable("page", text())],
    );
    let owner = Column { default: ColumnDefault::Literal("7".into()), ..column("owner", BIGINT) };
    let hidden =
        Column { invisible: true, default: ColumnDefault::Null, nullable: true, ..column("hidden", BIGINT) };
    add("drafts", sharded(&[2]), vec![column("id", BIGINT), hidden, owner, nullable("body", text())]);
    add("countries", TableKind::Reference, vec![column("code", text()), nullable("name", text())]);
    add("rates", TableKind::Reference, vec![]);
    let computed = |name: &str, kind| Column { default: ColumnDefault::Expression, ..column(name, kind) };
    let at = computed("at", ColumnType::Timestamp(0));
    add(
        "units",
        TableKind::Reference,
        vec![counter("id"), nullable("name", text()), at, computed("token", text())],
    );
    add(
        "notes",
        TableKind::Home,
        vec![column("id", BIGINT), nullable("customer_id", BIGINT), nullable("text", text())],
    );
    let loose = Sharding { unique_per_shard: true, ..Sharding::by(vec![0], Vindex::Xxh3) };
    let named = || vec![column("id", BIGINT), nullable("name", text())];
    add("loose", TableKind::Sharded(loose), named());
    add("hashed", TableKind::Sharded(Sharding::by(vec![0], Vindex::Hash)), named());
    add("active", TableKind::View, vec![]);
    add("straße", sharded(&[0]), vec![column("id", BIGINT), nullable("ort", text())]);
    add("order", sharded(&[0]), vec![column("id", BIGINT), nullable("select", text())]);
    shop
}
