//! AUTO_INCREMENT numbers: never one twice.

use podway_model::{Change, Column, ColumnType, TableKind};
use podway_topology_api::{Command, Done, Incarnation, ProxyCommand, SequenceCommand, SequenceStep};

use crate::script::{Script, alter, beats, check, column, declare, forget, orders, sequence, sharded, table};

fn reserve(number: u32, count: u64) -> Command {
    sequence(SequenceStep::Reserve { incarnation: Incarnation(number), count })
}

fn claim(number: u32, value: u64) -> Command {
    sequence(SequenceStep::Claim { incarnation: Incarnation(number), value, through: None })
}

fn block(first: u64, last: u64, generation: u64) -> Done {
    Done::Block { first, last, generation, floor: 0 }
}

fn stands(next: u64, generation: u64, voided: &[u32]) -> Done {
    let voided = voided.iter().map(|number| Incarnation(*number)).collect();
    Done::Sequence { next, generation, voided, floor: 0 }
}

/// What a command is answered, but for the floor.
fn ok(script: &mut Script, command: Command) -> Done {
    match script.ok(command) {
        Done::Block { first, last, generation, .. } => block(first, last, generation),
        Done::Sequence { next, generation, voided, .. } => {
            Done::Sequence { next, generation, voided, floor: 0 }
        }
        other => other,
    }
}

/// The floor that a command is answered with.
fn floor(script: &mut Script, command: Command) -> u64 {
    match script.ok(command) {
        Done::Block { floor, .. } | Done::Sequence { floor, .. } => floor,
        other => panic!("{other:?}"),
    }
}

/// These proxies have applied the newest map.
fn applied(script: &mut Script, numbers: &[u32]) {
    let applied = script.map().revision;
    let beat =
        |number: &u32| podway_topology_api::Beat { applied, ..crate::script::beat(Incarnation(*number)) };
    let all = numbers.iter().map(beat).collect();
    script.ok(beats(all));
}

/// The shop with two proxies.
fn script() -> Script {
    let mut script = Script::with_shop();
    script.register("p");
    script.register("q");
    applied(&mut script, &[1, 2]);
    script
}

#[test]
fn blocks_follow_each_other() {
    let mut script = script();
    assert_eq!(ok(&mut script, reserve(1, 100)), block(1, 100, 1));
    assert_eq!(ok(&mut script, reserve(2, 1)), block(101, 101, 1));
    assert_eq!(ok(&mut script, reserve(1, 1 << 20)), block(102, 101 + (1 << 20), 1));
    check(
        script,
        vec![
            (reserve(1, 0), "sequence of orders: a block has 1 to 1048576 numbers, not 0"),
            (reserve(1, (1 << 20) + 1), "sequence of orders: a block has 1 to 1048576 numbers, not 1048577"),
            (reserve(3, 1), "proxy incarnation 3 has no lease; register again"),
            (claim(3, 1), "proxy incarnation 3 has no lease; register again"),
        ],
    );
}

#[test]
fn only_tables_of_every_shard_with_such_a_column_have_numbers() {
    let of = |table: &str| {
        let step = SequenceStep::Advance { to: 5 };
        Command::Sequence(SequenceCommand { keyspace: "shop".into(), table: table.into(), step })
    };
    let none = "the table is on the home shard alone, or has no AUTO_INCREMENT column of an integer type";
    let mut decimal = orders();
    decimal.name = podway_model::NameRule::CaseSensitive.name("decimal");
    decimal.columns[0].column_type = ColumnType::Double;
    check(
        script(),
        vec![
            (of("countries"), &*format!("sequence of countries: {none}")),
            (of("order"), "there is no table order; did you mean orders?"),
            (declare("shop", table("plain", sharded(&[0]), &["id"])), "ok"),
            (of("plain"), &*format!("sequence of plain: {none}")),
            (declare("shop", decimal), "ok"),
            (of("decimal"), &*format!("sequence of decimal: {none}")),
            (of("orders"), "ok"),
            (alter("shop", "plain", vec![Column { auto_increment: true, ..column("id") }]), "ok"),
            (of("plain"), "ok"),
        ],
    );
}

#[test]
fn an_explicit_number_above_the_mark_advances_it() {
    let mut script = script();
    ok(&mut script, reserve(1, 10));
    assert_eq!(script.changes(claim(2, 500)), []);
    assert_eq!(ok(&mut script, claim(2, 500)), stands(501, 1, &[]));
    assert_eq!(ok(&mut script, reserve(2, 10)), block(501, 510, 1));
    assert_eq!(ok(&mut script, sequence(SequenceStep::Advance { to: 400 })), stands(511, 1, &[]));
    assert_eq!(ok(&mut script, sequence(SequenceStep::Advance { to: 900 })), stands(901, 1, &[]));
}

#[test]
fn an_explicit_number_inside_anothers_block_voids_the_tables_blocks() {
    let mut script = script();
    ok(&mut script, reserve(1, 10));
    ok(&mut script, reserve(2, 10));
    assert_eq!(ok(&mut script, claim(1, 7)), stands(21, 1, &[]), "one's own block is one's own business");
    assert_eq!(ok(&mut script, claim(1, 15)), stands(21, 2, &[2]), "the other one may not have heard of it");
    assert_eq!(ok(&mut script, claim(1, 16)), stands(21, 2, &[2]), "nor of the numbers beside it");
    assert_eq!(ok(&mut script, claim(1, 5)), stands(21, 2, &[]), "the other one never had this");
    assert_eq!(ok(&mut script, claim(1, 25)), stands(26, 2, &[]), "this one was in nobody's block");
    applied(&mut script, &[2]);
    assert_eq!(ok(&mut script, claim(1, 16)), stands(26, 2, &[]), "the void blocks are nobody's");
    assert_eq!(ok(&mut script, reserve(2, 10)), block(26, 35, 2));
    let several =
        |value, through| sequence(SequenceStep::Claim { incarnation: Incarnation(1), value, through });
    assert_eq!(ok(&mut script, several(36, Some(50))), stands(51, 2, &[]));
    assert_eq!(ok(&mut script, several(20, Some(26))), stands(51, 3, &[2]), "the last of them is in a block");
}

#[test]
fn watchers_are_told_which_blocks_are_void() {
    let mut script = script();
    ok(&mut script, reserve(1, 10));
    let told = script.changes(claim(2, 1));
    assert!(matches!(&told[..], [Change::SequenceGeneration { generation: 2, .. }]), "{told:?}");
    let shop = script.map().keyspace_spelled("shop").unwrap();
    assert_eq!(shop.sequence_generation(&orders().name), 2);
}

#[test]
fn a_fifth_block_says_that_the_first_is_used_up() {
    let mut script = script();
    for _ in 0..5 {
        ok(&mut script, reserve(1, 10));
    }
    assert_eq!(ok(&mut script, claim(2, 5)), stands(51, 1, &[]));
    assert_eq!(ok(&mut script, claim(2, 15)), stands(51, 2, &[1]));
}

#[test]
fn a_table_that_is_altered_to_go_on_higher_calls_its_blocks_back() {
    let mut script = script();
    ok(&mut script, reserve(1, 10));
    let begin = podway_topology_api::OperationCommand::Begin(podway_topology_api::NewOperation::Ddl {
        keyspace: "shop".into(),
        effects: vec![podway_topology_api::TableEffect::Altered("orders".into())],
        shown: "…".into(),
        statement: crate::operations::statement("ALTER TABLE orders AUTO_INCREMENT = 100000"),
        declaration: None,
    });
    ok(&mut script, Command::Operation(begin));
    crate::operations::carry_out_first(&mut script);
    let told = script.changes(crate::operations::tell(podway_topology_api::Report::Followed(vec![
        podway_topology_api::Follow::Columns {
            table: "orders".into(),
            columns: orders().columns,
            next: Some(100_000),
        },
    ])));
    assert!(matches!(&told[..], [Change::SequenceGeneration { generation: 2, .. }]), "{told:?}");
    assert_eq!(ok(&mut script, reserve(2, 10)), block(100_000, 100_009, 2));
}

#[test]
fn below_the_floor_nobody_has_a_number() {
    let mut script = script();
    assert_eq!(floor(&mut script, reserve(1, 10)), 11, "nobody else has any");
    assert_eq!(floor(&mut script, reserve(2, 10)), 1);
    assert_eq!(floor(&mut script, reserve(1, 10)), 11);
    assert_eq!(floor(&mut script, reserve(1, 10)), 11);
    assert_eq!(floor(&mut script, reserve(1, 10)), 11);
    assert_eq!(floor(&mut script, reserve(1, 10)), 11);
    assert_eq!(floor(&mut script, reserve(2, 10)), 21, "the oldest of five blocks is used up");
    assert_eq!(floor(&mut script, claim(2, 500)), 21);
    assert_eq!(floor(&mut script, claim(2, 25)), 0, "blocks are void, and not everybody knows");
    applied(&mut script, &[1]);
    assert_eq!(floor(&mut script, claim(2, 25)), 501);
}

#[test]
fn a_restart_voids_all_blocks_and_may_go_back() {
    let mut script = script();
    ok(&mut script, reserve(1, 100));
    assert_eq!(ok(&mut script, sequence(SequenceStep::Restart { next: 5 })), stands(5, 2, &[1]));
    assert_eq!(ok(&mut script, reserve(1, 2)), block(5, 6, 2));
    assert_eq!(
        script.refusal(sequence(SequenceStep::Restart { next: 0 })),
        "sequence of orders: the numbers begin at 1"
    );
    let last = script.view().log.pop().unwrap();
    assert_eq!(&*last.what, "AUTO_INCREMENT of shop.orders is 5");
}

#[test]
fn numbers_end_where_the_column_does() {
    let cases = [
        (1, false, 127),
        (1, true, 255),
        (2, false, 32_767),
        (3, true, 16_777_215),
        (4, false, 2_147_483_647),
        (8, false, i64::MAX as u64),
        (8, true, u64::MAX - 1),
    ];
    for (bytes, unsigned, last) in cases {
        let mut script = script();
        ok(&mut script, forget("shop", "orders"));
        let mut narrow = orders();
        narrow.columns[0].column_type = ColumnType::Integer { bytes, unsigned };
        ok(&mut script, declare("shop", narrow));
        ok(&mut script, sequence(SequenceStep::Advance { to: last - 3 }));
        assert_eq!(ok(&mut script, reserve(1, 100)), block(last - 2, last, 2), "{bytes} {unsigned}");
        assert!(script.refusal(reserve(1, 100)).contains("used up"));
        ok(&mut script, claim(1, u64::MAX));
        assert!(script.refusal(reserve(1, 1)).contains("used up"));
    }
}

#[test]
fn a_table_that_comes_again_begins_anew_under_another_generation() {
    let mut script = script();
    ok(&mut script, reserve(1, 10));
    ok(&mut script, forget("shop", "orders"));
    let told = script.changes(declare("shop", orders()));
    assert!(
        matches!(&told[..], [Change::Table { .. }, Change::SequenceGeneration { generation: 2, .. }]),
        "{told:?}"
    );
    assert_eq!(ok(&mut script, reserve(1, 10)), block(1, 10, 2));
    ok(&mut script, crate::script::drop_keyspace("shop", true));
    ok(&mut script, crate::script::create("shop", &["a"]));
    ok(&mut script, declare("shop", orders()));
    assert_eq!(ok(&mut script, reserve(1, 10)), block(1, 10, 3));
}

#[test]
fn a_table_that_is_no_longer_counted_forgets_its_numbers() {
    let mut script = script();
    ok(&mut script, reserve(1, 10));
    let mut columns = orders().columns;
    columns[0].auto_increment = false;
    ok(&mut script, alter("shop", "orders", columns));
    assert!(script.refusal(reserve(1, 10)).contains("no AUTO_INCREMENT column"));
    ok(&mut script, alter("shop", "orders", orders().columns));
    assert_eq!(ok(&mut script, reserve(1, 10)), block(1, 10, 2));
    ok(&mut script, declare("shop", table("notes", TableKind::Home, &["id"])));
}

#[test]
fn who_is_gone_holds_nothing() {
    let mut script = script();
    ok(&mut script, reserve(1, 10));
    ok(&mut script, Command::Proxy(ProxyCommand::Deregister { incarnation: Incarnation(1) }));
    assert_eq!(ok(&mut script, claim(2, 5)), stands(11, 1, &[]));
    ok(&mut script, reserve(2, 10));
    script.register("r");
    ok(&mut script, beats(vec![]));
    for _ in 0..11 {
        script.at += 1_000;
        ok(&mut script, beats(vec![crate::script::beat(Incarnation(3))]));
    }
    assert_eq!(
        ok(&mut script, claim(3, 15)),
        stands(21, 2, &[2]),
        "whoever is not shut out yet may insert yet"
    );
    ok(&mut script, Command::Proxy(ProxyCommand::ShutOut { incarnation: Incarnation(2) }));
    assert_eq!(ok(&mut script, claim(3, 16)), stands(21, 2, &[]));
}

#[test]
fn a_renamed_tables_numbers_go_on() {
    let mut script = script();
    ok(&mut script, reserve(1, 10));
    let told = script.changes(crate::script::rename("shop", "orders", "purchases"));
    assert!(
        matches!(
            &told[..],
            [
                Change::TableRemoved { .. },
                Change::Table { .. },
                Change::SequenceGeneration { generation: 2, .. }
            ]
        ),
        "{told:?}"
    );
    ok(&mut script, crate::script::rename("shop", "purchases", "orders"));
    assert_eq!(ok(&mut script, reserve(1, 10)), block(11, 20, 3));
    ok(&mut script, crate::script::rename("shop", "countries", "lands"));
}
