//! Rows of several shards become those of one database.

use std::sync::Arc;

use podway_model::{
    Keyspace, Map, Name, NameRule, SLOTS, Server, ServerId, Shard, ShardId, ShardIndex, Sharding, Table,
    Vindex,
};
use podway_router::{CatalogRows, catalog_asks};

use super::*;

fn cell(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

fn line(cells: &[&str]) -> Line {
    cells.iter().map(|text| if *text == "NULL" { None } else { cell(text) }).collect()
}

fn shown(lines: &[Line]) -> Vec<String> {
    let cell = |cell: &Option<Vec<u8>>| match cell {
        Some(text) => String::from_utf8_lossy(text).into_owned(),
        None => "NULL".to_owned(),
    };
    lines.iter().map(|line| line.iter().map(cell).collect::<Vec<_>>().join(" ")).collect()
}

/// `shop` of two shards, on one server as `shop` and `shop__2`: `orders` is sharded, `countries` a copy.
fn map() -> Map {
    let names = NameRule::CaseSensitive;
    let shard = |id: u32, schema: &str| Shard {
        id: ShardId(id),
        server: ServerId(0),
        schema: names.name(schema),
        epoch: Default::default(),
    };
    let slots = (0..SLOTS).map(|slot| ShardIndex(u16::from(slot >= SLOTS / 2))).collect();
    let shards = vec![shard(0, "shop__2"), shard(1, "shop__3")];
    let mut keyspace = Keyspace::new(names.name("shop"), shards, ShardIndex(0), slots).unwrap();
    let kinds = [
        (
            "orders",
            TableKind::Sharded(Sharding { columns: vec![0], vindex: Vindex::Xxh3, unique_per_shard: false }),
        ),
        ("countries", TableKind::Reference),
    ];
    for (name, kind) in kinds {
        let table = Table { name: names.name(name), kind, columns: Vec::new() };
        keyspace.tables.insert(names.name(name), Arc::new(table));
    }
    let mut map = Map::empty(names);
    let (host, uuid, version) = ("127.0.0.1".into(), "uuid".into(), "9.7.4".into());
    map.put_server(Server { id: ServerId(0), host, port: 3306, uuid, version });
    map.put_keyspace(keyspace).unwrap();
    map
}

fn changes() -> Vec<NameChange> {
    let change = |physical: &str| NameChange { physical: physical.into(), logical: b"shop".to_vec() };
    vec![change("shop__2"), change("shop__3")]
}

/// What the shards say: home first, then the server's own, then the other shard.
fn said(lines: [&[&[&str]]; 3]) -> Vec<CatalogSaid> {
    let home = CatalogAsk {
        of: Some(Name::caseless("shop")),
        keyspace: Name::caseless("shop"),
        shard: ShardIndex(0),
        is_whole: true,
    };
    let own = CatalogAsk { of: None, ..home.clone() };
    let other = CatalogAsk { shard: ShardIndex(1), is_whole: false, ..home.clone() };
    let schemas = ["shop__2", "", "shop__3"];
    let of = |((ask, schema), lines): ((CatalogAsk, &str), &[&[&str]])| CatalogSaid {
        ask,
        schema: schema.to_owned(),
        changes: changes(),
        lines: lines.iter().map(|cells| line(cells)).collect(),
    };
    [home, own, other].into_iter().zip(schemas).zip(lines).map(of).collect()
}

fn table(name: &str) -> &'static CatalogTable {
    podway_router::catalog_table(name).unwrap()
}

#[test]
fn a_sharded_table_has_one_row_with_the_numbers_of_all_shards() {
    let columns: Vec<String> = [
        "TABLE_SCHEMA",
        "TABLE_NAME",
        "TABLE_ROWS",
        "DATA_LENGTH",
        "AVG_ROW_LENGTH",
        "AUTO_INCREMENT",
        "UPDATE_TIME",
    ]
    .map(str::to_owned)
    .to_vec();
    let said = said([
        &[
            &["shop__2", "orders", "3", "300", "100", "NULL", "2026-01-01 10:00:00"],
            &["shop__2", "countries", "7", "70", "10", "NULL", "NULL"],
            &["shop__3", "orders", "9", "9", "9", "9", "NULL"],
            &["_podway", "marks", "1", "1", "1", "1", "NULL"],
        ],
        &[
            &["mysql", "user", "5", "50", "10", "NULL", "NULL"],
            &["shop__2", "orders", "1", "1", "1", "1", "NULL"],
        ],
        &[
            &["shop__3", "orders", "1", "300", "300", "12", "2026-01-02 09:00:00"],
            &["shop__3", "countries", "7", "70", "10", "NULL", "NULL"],
            &["shop__3", "strange", "7", "70", "10", "NULL", "NULL"],
        ],
    ]);
    assert_eq!(
        shown(&together(&map(), table("tables"), &columns, said)),
        [
            "shop orders 4 600 150 12 2026-01-02 09:00:00",
            "shop countries 7 70 10 NULL NULL",
            "mysql user 5 50 10 NULL NULL",
        ]
    );
}

#[test]
fn innodbs_own_names_and_files_are_those_of_the_keyspace() {
    let columns: Vec<String> = ["FILE_NAME", "TABLESPACE_NAME", "TOTAL_EXTENTS"].map(str::to_owned).to_vec();
    let said = said([
        &[
            &["./shop__2/orders#p#p0.ibd", "shop__2/orders#p#p0", "2"],
            &["./_podway/marks.ibd", "_podway/marks", "1"],
        ],
        &[&["./ibdata1", "innodb_system", "12"], &["./shop__3/orders.ibd", "shop__3/orders", "1"]],
        &[&["./shop__3/orders#p#p0.ibd", "shop__3/orders#p#p0", "5"]],
    ]);
    assert_eq!(
        shown(&together(&map(), table("files"), &columns, said)),
        ["./shop/orders#p#p0.ibd shop/orders#p#p0 7", "./ibdata1 innodb_system 12"]
    );
    for (name, file) in [("shop__2", Some("shop__2")), ("a-b c", Some("a@002db@0020c")), ("ü", None)] {
        assert_eq!(file_name(name).as_deref(), file, "{name}");
        if let Some(file) = file {
            assert_eq!(table_name(&format!("{file}#p#p0.ibd")), name);
        }
    }
}

#[test]
fn views_and_privileges_name_the_keyspace() {
    let columns: Vec<String> = ["TABLE_SCHEMA", "VIEW_DEFINITION"].map(str::to_owned).to_vec();
    let views = said([&[&["shop__2", "select `shop__2`.`t`.`a` from `shop__2`.`t`"]], &[], &[]]);
    assert_eq!(
        shown(&together(&map(), table("views"), &columns, views)),
        ["shop select `shop`.`t`.`a` from `shop`.`t`"]
    );
    let privileges = said([&[&["shop\\_\\_2", "x"], &["other", "x"]], &[], &[]]);
    assert_eq!(shown(&together(&map(), table("schema_privileges"), &columns, privileges)), ["shop x"]);
}

#[test]
fn home_shards_are_asked_first_and_others_for_numbers_alone() {
    let map = map();
    let keyspace = map.keyspaces().next().unwrap();
    let rows = |numbers| CatalogRows { table: Some(table("tables")), schemas: None, numbers };
    let asked = |rows: &CatalogRows, schemas: Option<&[&str]>| -> Vec<String> {
        let schemas: Option<Vec<String>> =
            schemas.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        catalog_asks(&map, keyspace, rows, schemas.as_deref())
            .iter()
            .map(|ask| {
                format!("{} {} {}", ask.of.as_ref().map_or("own", Name::as_str), ask.shard.0, ask.is_whole)
            })
            .collect()
    };
    assert_eq!(asked(&rows(true), None), ["shop 0 true", "own 0 true", "shop 1 false"]);
    assert_eq!(asked(&rows(false), None), ["shop 0 true", "own 0 true"]);
    assert_eq!(asked(&rows(true), Some(&["SHOP"])), ["shop 0 true", "shop 1 false"]);
    assert_eq!(asked(&rows(true), Some(&["mysql"])), ["own 0 true"]);
    assert_eq!(asked(&rows(true), Some(&[])), [""; 0]);
    let of_server = CatalogRows { table: None, schemas: None, numbers: false };
    assert_eq!(asked(&of_server, None), ["own 0 true"]);
}

#[test]
fn times_and_numbers_of_two_shards_become_one() {
    let mut line = vec![cell("3"), None, cell("2026-01-01 10:00:00"), None];
    let other = vec![cell("4"), cell("7"), cell("2026-01-02 09:00:00"), None];
    for at in 0..2 {
        combine(&mut line, &other, Some(at), u64::saturating_add);
    }
    combine(&mut line, &other, Some(3), u64::max);
    combine(&mut line, &other, None, u64::max);
    latest(&mut line, &other, Some(2));
    assert_eq!(line, [cell("7"), cell("7"), cell("2026-01-02 09:00:00"), None]);
}
