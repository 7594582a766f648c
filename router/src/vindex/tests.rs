//! Which answers are certain, and that equal values lead to one id. That they are *right* is tested against a real server
//! (`tests/tests/vindex_equality`).

use std::borrow::Cow;

use podway_model::{
    Column, ColumnDefault, ColumnType, KeyspaceId, Name, NameRule, Sharding, Table, TableKind, Vindex,
};

use super::*;
use crate::SqlMode;

fn table(columns: &[(ColumnType, Option<&str>)], vindex: Vindex) -> Table {
    let column = |(at, (column_type, collation)): (usize, &(ColumnType, Option<&str>))| Column {
        name: Name::caseless(&format!("c{at}")),
        column_type: column_type.clone(),
        collation: collation.map(Into::into),
        nullable: true,
        auto_increment: false,
        generated: false,
        default: ColumnDefault::Null,
        invisible: false,
    };
    Table {
        name: NameRule::CaseSensitive.name("t"),
        kind: TableKind::Sharded(Sharding::by((0..columns.len()).collect(), vindex)),
        columns: columns.iter().enumerate().map(column).collect(),
    }
}

fn equal(table: &Table, value: KeyValue<'_>) -> PredicateId {
    keyspace_id_for_predicate(table, [Pinned { value, null_safe: false }])
}

fn insert(table: &Table, value: KeyValue<'_>) -> InsertId {
    keyspace_id_for_insert(table, [value], SqlMode::STRICT)
}

fn text(text: &str) -> KeyValue<'_> {
    KeyValue::text(text.as_bytes(), TextCharset::Utf8mb4)
}

fn decimal(text: &str) -> KeyValue<'_> {
    KeyValue::Decimal { negative: false, text: text.as_bytes() }
}

const INT: ColumnType = ColumnType::Integer { bytes: 4, unsigned: false };
const BIGINT: ColumnType = ColumnType::Integer { bytes: 8, unsigned: false };
const TEXT: (ColumnType, Option<&str>) = (ColumnType::Varchar(20), Some("utf8mb4_0900_ai_ci"));

#[test]
fn spellings_of_one_value_have_one_certain_id() {
    let at = CalendarTime { year: 2020, month: 2, day: 29, ..CalendarTime::default() };
    let hex = |bytes: &'static [u8]| KeyValue::HexOrBit(Cow::Borrowed(bytes));
    let cases = [
        (
            (INT, None),
            vec![
                KeyValue::Int(5),
                KeyValue::UInt(5),
                text("5"),
                text("+05.0"),
                decimal("5.00"),
                hex(b"\x05"),
            ],
        ),
        ((INT, None), vec![KeyValue::Int(5), KeyValue::Double(5.0), KeyValue::Float(5.0)]),
        ((BIGINT, None), vec![KeyValue::Int(9_007_199_254_740_993), text("9007199254740993")]),
        (
            (ColumnType::Decimal { precision: 10, scale: 2, unsigned: false }, None),
            vec![decimal("1.50"), decimal("01.5"), text("1.5")],
        ),
        (TEXT, vec![text("Straße"), text("STRASSE"), KeyValue::text(b"stra\xdfe", TextCharset::Latin1)]),
        (
            (ColumnType::Char(9), Some("latin1_swedish_ci")),
            vec![text("Müller"), text("MYLLER  "), KeyValue::text(b"m\xfcller", TextCharset::Latin1)],
        ),
        (
            (ColumnType::Binary(4), None),
            vec![text("ab"), KeyValue::Bytes(Cow::Borrowed(b"ab\0\0")), hex(b"ab")],
        ),
        (
            (ColumnType::Date, None),
            vec![text("2020-02-29"), KeyValue::Date { year: 2020, month: 2, day: 29 }],
        ),
        (
            (ColumnType::Datetime(0), None),
            vec![text("2020-02-29"), text("2020-02-29 00:00:00.000"), KeyValue::DateTime(at)],
        ),
        (
            (ColumnType::Time(0), None),
            vec![text("00:00:00"), text("-00:00:00"), KeyValue::Time(ClockTime::default())],
        ),
        ((ColumnType::Year, None), vec![text("2020"), KeyValue::Int(2020)]),
    ];
    for (column, values) in cases {
        let table = table(&[column], Vindex::Xxh3);
        let first = equal(&table, values[0].clone());
        assert!(matches!(first, PredicateId::Id(_)), "{:?}", values[0]);
        for value in values {
            assert_eq!(equal(&table, value.clone()), first, "{value:?}");
        }
    }
}

#[test]
fn what_no_row_holds_and_what_only_mysql_knows_is_said() {
    let tiny = ColumnType::Integer { bytes: 1, unsigned: false };
    let cases = [
        ((tiny.clone(), None), KeyValue::Int(300), PredicateId::NoRow),
        ((INT, None), decimal("5.5"), PredicateId::NoRow),
        ((INT, None), KeyValue::Double(5.5), PredicateId::NoRow),
        ((INT, None), KeyValue::Null, PredicateId::NoRow),
        ((INT, None), text("5abc"), PredicateId::Uncertain),
        ((INT, None), text(" 5"), PredicateId::Uncertain),
        ((INT, None), text(""), PredicateId::Uncertain),
        ((BIGINT, None), KeyValue::Double(9_007_199_254_740_992.0), PredicateId::Uncertain),
        (TEXT, KeyValue::Int(5), PredicateId::Uncertain),
        (TEXT, KeyValue::text(b"\xff", TextCharset::Utf8mb4), PredicateId::Uncertain),
        (TEXT, KeyValue::text("é".as_bytes(), TextCharset::AsciiSuperset), PredicateId::Uncertain),
        ((ColumnType::Varchar(9), Some("latin1_bin")), text("中"), PredicateId::Uncertain),
        ((ColumnType::Date, None), text("2020-2-29"), PredicateId::Uncertain),
        ((ColumnType::Date, None), KeyValue::Int(20_200_229), PredicateId::Uncertain),
        ((ColumnType::Float, None), KeyValue::Double(1.0), PredicateId::Uncertain),
    ];
    for (column, value, said) in cases {
        assert_eq!(equal(&table(&[column], Vindex::Xxh3), value.clone()), said, "{value:?}");
    }
}

#[test]
fn inserts_go_by_what_is_stored() {
    let unsigned = ColumnType::Integer { bytes: 1, unsigned: true };
    let money = ColumnType::Decimal { precision: 5, scale: 2, unsigned: false };
    let cases = [
        ((INT, None), decimal("4.5"), Some(KeyValue::Int(5))),
        ((INT, None), KeyValue::Double(4.5), Some(KeyValue::Int(4))),
        ((INT, None), text("5"), Some(KeyValue::Int(5))),
        ((money.clone(), None), decimal("1.245"), Some(decimal("1.25"))),
        ((money, None), text("9.995"), Some(KeyValue::Int(10))),
        (TEXT, KeyValue::Int(-5), Some(text("-5"))),
        ((ColumnType::Datetime(0), None), text("2020-12-31 23:59:59.5"), Some(text("2021-01-01"))),
        ((unsigned.clone(), None), KeyValue::Int(256), None),
        ((unsigned, None), KeyValue::Int(-1), None),
        ((ColumnType::Char(2), Some("utf8mb4_bin")), text("abc"), None),
    ];
    for (column, value, stored) in cases {
        let table = table(&[column], Vindex::Xxh3);
        let wanted = match stored.map(|stored| equal(&table, stored)) {
            Some(PredicateId::Id(id)) => InsertId::Id(id),
            _ => InsertId::Refused,
        };
        assert_eq!(insert(&table, value.clone()), wanted, "{value:?}");
        if wanted == InsertId::Refused {
            let lenient = keyspace_id_for_insert(&table, [value.clone()], SqlMode::empty());
            assert_eq!(lenient, InsertId::Uncertain, "{value:?} without STRICT");
        }
    }
}

#[test]
fn numbers_that_mysql_makes_are_said_to_be() {
    let mut table = table(&[(BIGINT, None)], Vindex::Hash);
    table.columns[0].auto_increment = true;
    table.columns[0].nullable = false;
    for value in [KeyValue::Null, KeyValue::Int(0), text("0"), decimal("0.4")] {
        assert_eq!(insert(&table, value.clone()), InsertId::Generated, "{value:?}");
    }
    let zero =
        keyspace_id_for_insert(&table, [KeyValue::Int(0)], SqlMode::STRICT | SqlMode::NO_AUTO_VALUE_ON_ZERO);
    assert!(matches!(zero, InsertId::Id(_)));
    assert_eq!(default_value(&table.columns[0]), Some(KeyValue::Null));
}

#[test]
fn null_has_an_id_for_null_safe_equality_and_inserts() {
    for vindex in [Vindex::Xxh3, Vindex::Hash, Vindex::Identity] {
        let table = table(&[(BIGINT, None)], vindex);
        let found = keyspace_id_for_predicate(&table, [Pinned { value: KeyValue::Null, null_safe: true }]);
        let PredicateId::Id(id) = found else { panic!("{found:?}") };
        assert_eq!(insert(&table, KeyValue::Null), InsertId::Id(id));
    }
}

#[test]
fn keys_of_several_columns_need_all_of_them() {
    let table = table(&[(INT, None), TEXT], Vindex::Xxh3);
    let ask = |values: &[KeyValue<'static>]| {
        let pinned = values.iter().map(|value| Pinned { value: value.clone(), null_safe: false });
        keyspace_id_for_predicate(&table, pinned.collect::<Vec<_>>())
    };
    let id = ask(&[KeyValue::Int(1), text("a")]);
    assert!(matches!(id, PredicateId::Id(_)));
    assert_eq!(ask(&[text("1"), text("Á")]), id);
    assert_ne!(ask(&[KeyValue::Int(1), text("b")]), id);
    assert_eq!(ask(&[KeyValue::Int(1)]), PredicateId::Uncertain);
    assert_eq!(ask(&[KeyValue::Int(1), text("a"), text("a")]), PredicateId::Uncertain);
    assert_eq!(ask(&[KeyValue::Unknown, KeyValue::Null]), PredicateId::NoRow);
}

#[test]
fn identity_is_the_number_itself() {
    let table = table(&[(BIGINT, None)], Vindex::Identity);
    assert_eq!(equal(&table, text("7")), PredicateId::Id(KeyspaceId(7)));
    assert_eq!(equal(&table, KeyValue::Int(-1)), PredicateId::Id(KeyspaceId(u64::MAX)));
}

#[test]
fn equal_columns_carry_a_pin_only_where_their_forms_are_one() {
    let column = |column_type: ColumnType, collation| {
        table(&[(column_type, collation)], Vindex::Xxh3).columns.remove(0)
    };
    let ai_ci = Some("utf8mb4_0900_ai_ci");
    let cases = [
        (column(INT, None), column(BIGINT, None), true),
        (column(ColumnType::Char(3), ai_ci), column(ColumnType::Varchar(9), ai_ci), true),
        (column(ColumnType::Char(3), ai_ci), column(ColumnType::Char(3), Some("utf8mb4_bin")), false),
        (column(ColumnType::Char(3), ai_ci), column(INT, None), false),
        (column(ColumnType::Date, None), column(ColumnType::Datetime(3), None), true),
        (column(ColumnType::Time(0), None), column(ColumnType::Datetime(3), None), false),
        (column(ColumnType::Year, None), column(INT, None), false),
        (column(ColumnType::Binary(3), None), column(ColumnType::Varbinary(3), None), true),
    ];
    for (left, right, carries) in cases {
        assert_eq!(carries_pin(&left, &right), carries, "{left:?} {right:?}");
        assert_eq!(carries_pin(&right, &left), carries, "{right:?} {left:?}");
    }
}
