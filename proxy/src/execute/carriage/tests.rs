//! What is asked of shards and what is sent, literally.

use super::cell::civil;
use super::declared::parse_members;
use super::{Carriage, TableColumn, Uncarried};

fn column(name: &str, declared: &str, collation: &str) -> TableColumn {
    TableColumn {
        name: name.to_owned(),
        declared: declared.to_owned(),
        collation: (!collation.is_empty()).then(|| collation.to_owned()),
        extra: String::new(),
    }
}

fn carriage(declared: &str, collation: &str) -> Carriage {
    Carriage::of(&[column("c", declared, collation)]).unwrap()
}

fn selected(carriage: &Carriage) -> String {
    let mut out = Vec::new();
    carriage.select_list("`t`", &mut out);
    String::from_utf8(out).unwrap()
}

fn derived(carriage: &Carriage, document: &str) -> String {
    let mut out = Vec::new();
    carriage.derived_table(document.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

fn put(carriage: &Carriage, cells: &[Option<&[u8]>]) -> Result<String, Uncarried> {
    let mut document = Vec::new();
    carriage.put_row(cells.iter().copied(), &mut document)?;
    Ok(String::from_utf8(document).unwrap())
}

/// What a cell of a single column becomes, its guard being content; for an error, why.
fn carried(declared: &str, collation: &str, cell: &[u8]) -> String {
    let carriage = carriage(declared, collation);
    let guarded = carriage.columns[0].is_guarded();
    let cells: &[Option<&[u8]>] = if guarded { &[Some(cell), Some(b"1")] } else { &[Some(cell)] };
    match put(&carriage, cells) {
        Ok(row) => row,
        Err(Uncarried::Value { why, .. }) => why.to_owned(),
        Err(other) => panic!("{other}"),
    }
}

fn refused(column: TableColumn) -> &'static str {
    match Carriage::of(&[column]) {
        Err(Uncarried::Column { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_travels_as_one_fenced_json_table() {
    let columns = [column("id", "bigint unsigned", ""), column("a`b", "varchar(20)", "utf8mb4_0900_ai_ci")];
    let carriage = Carriage::of(&columns).unwrap();
    assert_eq!(selected(&carriage), "`t`.`id`, `t`.`a``b`");
    let row = put(&carriage, &[Some(b"7"), Some(b"x\"")]).unwrap();
    assert_eq!(row, r#"[7,"x\""],"#);
    assert_eq!(
        derived(&carriage, "[7,null],"),
        "(SELECT j.c0 AS `id`, j.c1 AS `a``b` \
         FROM JSON_TABLE(_utf8mb4 X'5B5B372C6E756C6C5D5D', _utf8mb4'$[*]' COLUMNS(\
         c0 BIGINT UNSIGNED PATH _utf8mb4'$[0]' ERROR ON EMPTY ERROR ON ERROR, \
         c1 VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci PATH _utf8mb4'$[1]' \
         ERROR ON EMPTY ERROR ON ERROR\
         )) AS j LIMIT 18446744073709551615)"
    );
}

#[test]
fn no_rows_are_an_empty_array() {
    assert!(derived(&carriage("int", ""), "").contains("_utf8mb4 X'5B5D'"));
}

#[test]
fn a_timestamp_travels_as_an_instant_and_is_checked() {
    let carriage = carriage("timestamp(3)", "");
    assert_eq!(selected(&carriage), "UNIX_TIMESTAMP(`t`.`c`)");
    let row = put(&carriage, &[Some(b"1729992600.250")]).unwrap();
    assert_eq!(row, r#"[["2024-10-27 01:30:00.250+00:00","1729992600.250"]],"#);
    assert_eq!(put(&carriage, &[None]).unwrap(), "[[null,null]],");
    let table = derived(&carriage, "");
    assert!(table.contains(
        "c0 TIMESTAMP(3) PATH _utf8mb4'$[0][0]' ERROR ON EMPTY ERROR ON ERROR, \
         e0 DECIMAL(18,6) PATH _utf8mb4'$[0][1]' ERROR ON EMPTY ERROR ON ERROR"
    ));
    assert!(table.ends_with(
        " WHERE IF(UNIX_TIMESTAMP(j.c0) <=> j.e0 \
         AND UNIX_TIMESTAMP(CAST(j.c0 AS DATETIME(6))) <=> j.e0, 1, \
         (SELECT 1 UNION ALL SELECT 2)) LIMIT 18446744073709551615)"
    ));
}

#[test]
fn a_type_that_rounds_is_compared_with_one_that_does_not() {
    let carriage = carriage("float(7,3)", "");
    assert_eq!(selected(&carriage), "CAST(`t`.`c` AS DOUBLE)");
    let table = derived(&carriage, "");
    assert!(table.contains(
        "c0 FLOAT(7,3) PATH _utf8mb4'$[0]' ERROR ON EMPTY ERROR ON ERROR, e0 DOUBLE PATH _utf8mb4'$[0]'"
    ));
    assert!(
        table.contains(" WHERE IF(CAST(j.c0 AS DOUBLE) <=> j.e0, 1, (SELECT 1 UNION ALL SELECT 2)) LIMIT")
    );
}

#[test]
fn bytes_and_json_are_made_of_text_outside_of_json_table() {
    let columns = [column("b", "binary(2)", ""), column("l", "longblob", ""), column("j", "json", "")];
    let carriage = Carriage::of(&columns).unwrap();
    let list = selected(&carriage);
    assert!(list.starts_with("`t`.`b`, `t`.`l`, `t`.`j`, (`t`.`j` <=> CAST(CAST(`t`.`j` AS CHAR"));
    let row = put(&carriage, &[Some(b"\xff\0"), Some(b""), Some(b"null"), Some(b"1")]).unwrap();
    assert_eq!(row, r#"["FF00","","null"],"#);
    let table = derived(&carriage, &row);
    let names = "(SELECT CAST(UNHEX(j.c0) AS BINARY) AS `b`, CAST(UNHEX(j.c1) AS BINARY) AS `l`, CAST(j.c2 AS JSON) AS `j` FROM";
    assert!(table.starts_with(names));
    assert!(table.contains("c0 VARCHAR(4) CHARACTER SET ascii PATH"));
    assert!(table.contains("c1 LONGTEXT CHARACTER SET ascii PATH"));
}

#[test]
fn members_are_read_as_numbers_and_sent_as_names() {
    let carriage = carriage("enum('a','it''s')", "latin1_swedish_ci");
    assert_eq!(
        selected(&carriage),
        "CAST(`t`.`c` AS UNSIGNED), \
         (CAST(`t`.`c` AS BINARY) <=> CAST(CONVERT(ELT(CAST(`t`.`c` AS UNSIGNED), \
         _utf8mb4 X'61', _utf8mb4 X'69742773') USING latin1) AS BINARY)) AND \
         COALESCE(FIELD(`t`.`c`, _utf8mb4 X'61', _utf8mb4 X'69742773') = CAST(`t`.`c` AS UNSIGNED), 1)"
    );
    assert!(derived(&carriage, "").contains(
        "c0 ENUM(X'61',X'69742773') CHARACTER SET latin1 COLLATE latin1_swedish_ci PATH _utf8mb4'$[0]'"
    ));
    assert_eq!(parse_members(r"'a\\b','','x,y','n\n'").unwrap(), [r"a\b", "", "x,y", "n\n"]);
    assert!(parse_members("'a',").is_err() && parse_members("'a").is_err() && parse_members("'a'b").is_err());
}

#[test]
fn a_set_is_guarded_against_members_that_its_collation_holds_for_equal() {
    assert!(selected(&carriage("set('a','b')", "utf8mb4_bin")).ends_with(
        "MAKE_SET(CAST(`t`.`c` AS UNSIGNED), _utf8mb4 X'61', _utf8mb4 X'62') USING utf8mb4) AS BINARY)) \
         AND FIELD(CONVERT(_utf8mb4 X'62' USING utf8mb4) COLLATE utf8mb4_bin, _utf8mb4 X'61') = 0"
    ));
}

#[test]
fn cells_become_json() {
    let utf8 = "utf8mb4_bin";
    let cases: &[(&str, &str, &[u8], &str)] = &[
        ("tinyint(1)", "", b"-1", "[-1],"),
        ("bit(64)", "", b"18446744073709551615", "[18446744073709551615],"),
        ("decimal(10,2)", "", b"-0.10", r#"["-0.10"],"#),
        ("float(7,3)", "", b"1.5e-7", r#"["1.5e-7"],"#),
        ("double unsigned", "", b"inf", "it is not a number or time"),
        ("time(6)", "", b"-838:59:59.000000", r#"["-838:59:59.000000"],"#),
        ("year", "", b"0000", r#"["0000"],"#),
        ("date", "", b"2024-02-29", r#"["2024-02-29"],"#),
        ("date", "", b"2023-02-29", "it is a date that does not exist"),
        ("datetime(1)", "", b"0000-00-00 00:00:00.0", "it is a zero date"),
        ("datetime", "", b"2024-00-01 00:00:00", "it is a zero date"),
        ("timestamp", "", b"0", "it is a zero timestamp"),
        ("timestamp(6)", "", b"0.000000", "it is a zero timestamp"),
        ("text", utf8, b"\0\\\n\xf0\x9f\x98\x80 ", "[\"\\u0000\\\\\\u000A\u{1f600} \"],"),
        ("text", utf8, b"\xed\xa0\x80", "it is not UTF-8"),
        ("enum('1','0')", utf8, b"2", r#"["0"],"#),
        ("enum('1','0')", utf8, b"0", "it is the value of an invalid ENUM"),
        ("enum('1','0')", utf8, b"3", "it is not one of the members"),
        ("set('a','','c')", utf8, b"5", r#"["a,c"],"#),
        ("set('a','','c')", utf8, b"0", r#"[""],"#),
        ("set('a','','c')", utf8, b"2", "its empty member looks like no member"),
        ("json", "", br#"{"a": "\""}"#, r#"["{\"a\": \"\\\"\"}"],"#),
    ];
    for (declared, collation, cell, expected) in cases {
        assert_eq!(carried(declared, collation, cell), *expected, "{declared}");
    }
}

#[test]
fn a_guard_that_is_not_one_is_an_error_and_leaves_the_document_alone() {
    let carriage = carriage("varchar(5)", "cp932_japanese_ci");
    assert_eq!(
        selected(&carriage),
        "`t`.`c`, (CAST(`t`.`c` AS BINARY) <=> \
         CAST(CONVERT(CONVERT(`t`.`c` USING utf8mb4) USING cp932) AS BINARY))"
    );
    let mut document = b"[\"a\"],".to_vec();
    for guard in [Some(&b"0"[..]), None] {
        let row = [Some(&b"x"[..]), guard];
        let error = carriage.put_row(row.into_iter(), &mut document).unwrap_err();
        assert!(matches!(error, Uncarried::Value { column, .. } if column == "c"));
    }
    let short = carriage.put_row([Some(&b"x"[..])].into_iter(), &mut document);
    assert_eq!(short, Err(Uncarried::Cells { expected: 2 }));
    let long = carriage.put_row([Some(&b"x"[..]), Some(b"1"), None].into_iter(), &mut document);
    assert_eq!(long, Err(Uncarried::Cells { expected: 2 }));
    assert_eq!(document, b"[\"a\"],");
}

#[test]
fn what_cannot_travel_is_refused_by_name() {
    assert_eq!(Carriage::of(&[]), Err(Uncarried::NoColumns));
    let zerofill = "int(5) unsigned zerofill";
    for declared in ["point", "geometry", "vector(3)", zerofill, "int(x)", "enum()", "varchar(9)"] {
        refused(column("c", declared, ""));
    }
    assert_eq!(refused(column("é", "int", "")), "its name is not ASCII");
    let hidden = TableColumn { extra: "VIRTUAL GENERATED INVISIBLE".to_owned(), ..column("c", "int", "") };
    assert_eq!(refused(hidden), "it is invisible");
    refused(column("c", "enum('é')", "latin1_bin"));
    refused(column("c", "enum('a')", "utf16_bin"));
    refused(column("c", "varchar(9)", "utf8mb4_bin'"));
}

#[test]
fn days_are_counted_over_leap_years() {
    let cases = [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (11_016, (2000, 2, 29)), (24_855, (2038, 1, 19))];
    for (day, date) in cases {
        assert_eq!(civil(day), date);
    }
}
