//! Tables: declared, altered, forgotten.

use podway_model::{Column, ColumnDefault, ColumnType, Sharding, Table, TableKind, Vindex};

use crate::script::{Script, alter, check, column, declare, forget, orders, rename, sharded, table, text};

fn with(kind: TableKind, columns: Vec<Column>) -> Table {
    Table { columns, ..table("t", kind, &[]) }
}

fn by(vindex: Vindex, keys: &[usize]) -> TableKind {
    TableKind::Sharded(Sharding::by(keys.to_vec(), vindex))
}

fn typed(column_type: ColumnType) -> Table {
    with(sharded(&[0]), vec![Column { column_type, ..column("k") }])
}

#[test]
fn a_key_that_no_router_can_follow_is_refused() {
    let cases: Vec<(Table, &str)> = vec![
        (with(sharded(&[]), vec![column("k")]), "a sharding key has at least one column"),
        (with(sharded(&[1]), vec![column("k")]), "its sharding key names column 2, which it does not have"),
        (with(sharded(&[0, 0]), vec![column("k")]), "its sharding key names k twice"),
        (
            with(sharded(&[0]), vec![Column { generated: true, ..column("k") }]),
            "k is generated: shard by what it is made of",
        ),
        (
            with(sharded(&[0]), vec![Column { collation: None, ..text("k") }]),
            "the collation of k is not known",
        ),
        (with(by(Vindex::Hash, &[0]), vec![text("k")]), "the vindex hash takes one integer column; use xxh3"),
        (
            with(by(Vindex::Identity, &[0, 1]), vec![column("k"), column("l")]),
            "the vindex identity takes one integer column; use xxh3",
        ),
        (with(TableKind::Home, vec![column("k"), column("K")]), "it has two columns K"),
        (
            with(
                TableKind::Home,
                ["a", "b"].map(|name| Column { auto_increment: true, ..column(name) }).to_vec(),
            ),
            "it has two AUTO_INCREMENT columns",
        ),
        (
            with(TableKind::Home, (0..4_097).map(|n| column(&format!("c{n}"))).collect()),
            "it has more than 4096 columns",
        ),
        (
            with(sharded(&(0..17).collect::<Vec<_>>()), (0..17).map(|n| column(&format!("c{n}"))).collect()),
            "a sharding key has at most 16 columns",
        ),
        (
            with(
                TableKind::Home,
                vec![Column { default: ColumnDefault::Literal("x".repeat(65_536).into()), ..column("k") }],
            ),
            "the default of column k is too long",
        ),
    ];
    for (table, reason) in cases {
        let refusal = Script::with_shop().refusal(declare("shop", table));
        assert_eq!(refusal, format!("table t: {reason}"));
    }
}

#[test]
fn types_are_keys_where_their_equality_is_known() {
    let fit = [
        ColumnType::Integer { bytes: 1, unsigned: false },
        ColumnType::Decimal { precision: 10, scale: 2, unsigned: false },
        ColumnType::Binary(16),
        ColumnType::Varbinary(16),
        ColumnType::Date,
        ColumnType::Time(6),
        ColumnType::Datetime(0),
        ColumnType::Year,
    ];
    for column_type in fit {
        Script::with_shop().ok(declare("shop", typed(column_type)));
    }
    let unfit = [
        (ColumnType::Float, "FLOAT"),
        (ColumnType::Double, "DOUBLE"),
        (ColumnType::Text(65_535), "TEXT"),
        (ColumnType::Blob(65_535), "BLOB"),
        (ColumnType::Timestamp(0), "TIMESTAMP"),
        (ColumnType::Bit(1), "BIT"),
        (ColumnType::Enum, "ENUM"),
        (ColumnType::Set, "SET"),
        (ColumnType::Json, "JSON"),
        (ColumnType::Other("geometry".into()), "geometry"),
    ];
    for (column_type, shown) in unfit {
        let refusal = Script::with_shop().refusal(declare("shop", typed(column_type.clone())));
        assert_eq!(refusal, format!("table t: k is {shown}, which cannot be a sharding key"));
        Script::with_shop()
            .ok(declare("shop", with(TableKind::Reference, vec![Column { column_type, ..column("k") }])));
    }
}

#[test]
fn a_table_is_declared_once_and_not_as_something_else() {
    let other_key = Table { kind: sharded(&[0]), ..orders() };
    check(
        Script::with_shop(),
        vec![
            (declare("shop", orders()), "unchanged"),
            (declare("shop", other_key), "there is a table orders already"),
            (
                declare("shop", Table { kind: TableKind::Reference, ..orders() }),
                "there is a table orders already",
            ),
            (declare("shopp", orders()), "there is no keyspace shopp; did you mean shop?"),
            (
                declare("shop", table("", TableKind::Home, &[])),
                "\"\" cannot be the name of a table: it is empty",
            ),
            (declare("shop", table("notes", TableKind::Home, &["id"])), "ok"),
            (declare("shop", table("notes", sharded(&[0]), &["id"])), "ok"),
            (declare("shop", table("notes", TableKind::Home, &["id"])), "there is a table notes already"),
            (declare("shop", table("active", TableKind::View, &[])), "ok"),
            (declare("shop", table("Orders", TableKind::View, &[])), "ok"),
        ],
    );
}

#[test]
fn how_unique_its_keys_may_be_is_said_of_a_table_that_is_declared_already() {
    let loose = || match orders().kind {
        TableKind::Sharded(sharding) => {
            let kind = TableKind::Sharded(Sharding { unique_per_shard: true, ..sharding });
            Table { kind, ..orders() }
        }
        _ => orders(),
    };
    let other_key =
        TableKind::Sharded(Sharding { unique_per_shard: true, ..Sharding::by(vec![0], Vindex::Xxh3) });
    check(
        Script::with_shop(),
        vec![
            (declare("shop", Table { kind: other_key, ..orders() }), "there is a table orders already"),
            (declare("shop", loose()), "ok"),
            (declare("shop", loose()), "unchanged"),
            (alter("shop", "orders", [orders().columns, vec![text("note")]].concat()), "ok"),
            (declare("shop", loose()), "there is a table orders already"),
            (alter("shop", "orders", orders().columns), "ok"),
            (declare("shop", loose()), "unchanged"),
            (declare("shop", orders()), "ok"),
        ],
    );
}

#[test]
fn an_altered_table_keeps_its_key_wherever_its_columns_stand() {
    let mut script = Script::with_shop();
    let [id, customer] = [0, 1].map(|at| orders().columns[at].clone());
    script.ok(alter("shop", "orders", vec![text("note"), customer.clone(), id.clone(), column("amount")]));
    let known = script.map().keyspace_spelled("shop").unwrap().tables["orders"].clone();
    assert_eq!(known.kind, sharded(&[1]));
    assert_eq!(known.columns.len(), 4);
    script.ok(alter("shop", "orders", vec![customer.clone(), id.clone()]));
    let known = script.map().keyspace_spelled("shop").unwrap().tables["orders"].clone();
    assert_eq!(known.kind, sharded(&[0]));
    let wider = Column { column_type: ColumnType::Integer { bytes: 4, unsigned: true }, ..customer.clone() };
    let renamed = Column { name: podway_model::Name::caseless("buyer_id"), ..customer.clone() };
    let nullable = Column { nullable: true, ..customer.clone() };
    check(
        script,
        vec![
            (alter("shop", "orders", vec![customer.clone(), id.clone()]), "unchanged"),
            (
                alter("shop", "orders", vec![wider]),
                "table orders: customer_id is part of its sharding key: its type and collation stay as they are; resharding changes a key",
            ),
            (
                alter("shop", "orders", vec![renamed, id.clone()]),
                "table orders: customer_id is part of its sharding key and cannot leave it; resharding changes a key",
            ),
            (alter("shop", "orders", vec![nullable, id]), "ok"),
            (alter("shop", "order", vec![]), "there is no table order; did you mean orders?"),
            (alter("shop", "countries", vec![]), "ok"),
        ],
    );
}

#[test]
fn a_forgotten_table_can_be_declared_otherwise() {
    check(
        Script::with_shop(),
        vec![
            (forget("shop", "orders"), "ok"),
            (forget("shop", "orders"), "there is no table orders"),
            (forget("shop", "countrys"), "there is no table countrys; did you mean countries?"),
            (declare("shop", Table { kind: sharded(&[0]), ..orders() }), "ok"),
        ],
    );
}

#[test]
fn plans_are_told_to_end_when_tables_change_and_only_then() {
    let mut script = Script::with_shop();
    let mut schema = script.map().schema_version;
    assert!(schema > 0);
    script.ok(declare("shop", table("notes", TableKind::Home, &[])));
    assert!(script.map().schema_version > schema);
    schema = script.map().schema_version;
    let freeze = podway_topology_api::ShardCommand::Freeze { shard: podway_model::ShardId(1) };
    script.ok(podway_topology_api::Command::Shard(freeze));
    script.ok(crate::script::add_server("d", 4));
    assert_eq!(script.map().schema_version, schema);
    assert_eq!(script.map().revision.0, script.index);
}

#[test]
fn a_renamed_table_keeps_what_it_is() {
    let mut script = Script::with_shop();
    script.ok(rename("shop", "orders", "purchases"));
    let shop = script.map().keyspace_spelled("shop").unwrap();
    assert!(!shop.tables.contains_key("orders"));
    assert_eq!(shop.tables["purchases"].columns, orders().columns);
    check(
        script,
        vec![
            (rename("shop", "orders", "x"), "there is no table orders"),
            (rename("shop", "purchases", "purchases"), "unchanged"),
            (rename("shop", "purchases", "countries"), "there is a table countries already"),
            (rename("shop", "purchases", ""), "\"\" cannot be the name of a table: it is empty"),
            (declare("shop", orders()), "ok"),
            (rename("shop", "purchases", "orders"), "there is a table orders already"),
        ],
    );
}
