//! Cells of every type, by the bytes that the manual gives them; what no server sends; and the way back.

use proptest::prelude::*;

use super::super::row::decode_binary_row;
use super::*;
use ColumnType::*;

/// The types that travel as a length and bytes.
const STRINGS: [ColumnType; 15] = [
    MYSQL_TYPE_DECIMAL,
    MYSQL_TYPE_NEWDECIMAL,
    MYSQL_TYPE_VARCHAR,
    MYSQL_TYPE_VAR_STRING,
    MYSQL_TYPE_STRING,
    MYSQL_TYPE_BIT,
    MYSQL_TYPE_ENUM,
    MYSQL_TYPE_SET,
    MYSQL_TYPE_JSON,
    MYSQL_TYPE_GEOMETRY,
    MYSQL_TYPE_VECTOR,
    MYSQL_TYPE_TINY_BLOB,
    MYSQL_TYPE_MEDIUM_BLOB,
    MYSQL_TYPE_LONG_BLOB,
    MYSQL_TYPE_BLOB,
];

/// Types of stored rows and of replication.
const NEVER_SENT: [ColumnType; 6] = [
    MYSQL_TYPE_NEWDATE,
    MYSQL_TYPE_TIMESTAMP2,
    MYSQL_TYPE_DATETIME2,
    MYSQL_TYPE_TIME2,
    MYSQL_TYPE_TYPED_ARRAY,
    MYSQL_TYPE_UNKNOWN,
];

fn column(column_type: ColumnType, unsigned: bool) -> ColumnDefinition {
    let plain = if unsigned { ColumnDefinition::uint("c") } else { ColumnDefinition::int("c") };
    ColumnDefinition { column_type, ..plain }
}

fn row(columns: &[ColumnDefinition], cells: &[Option<&[u8]>]) -> Decoded<Vec<u8>> {
    let mut out = b"before".to_vec();
    let written = put_binary_row(columns, cells.iter().copied(), &mut out);
    let row = out.strip_prefix(b"before").expect("what was there stays");
    assert!(written.is_ok() || row.is_empty(), "an error left {row:?} behind");
    written.map(|()| row.to_vec())
}

/// The value's bytes, behind the row's first byte and a bitmap of one.
fn value(column_type: ColumnType, unsigned: bool, text: &[u8]) -> Decoded<Vec<u8>> {
    let row = row(&[column(column_type, unsigned)], &[Some(text)])?;
    assert_eq!(row[..2], [0, 0], "{column_type:?}");
    Ok(row[2..].to_vec())
}

type Case = (ColumnType, bool, &'static str, &'static [u8]);

fn check(cases: &[Case]) {
    for &(column_type, unsigned, text, bytes) in cases {
        let written = value(column_type, unsigned, text.as_bytes());
        assert_eq!(written.as_deref(), Ok(bytes), "{column_type:?} {unsigned} {text:?}");
    }
}

fn check_refused(column_type: ColumnType, unsigned: bool, texts: &[&str]) {
    for text in texts {
        let written = value(column_type, unsigned, text.as_bytes());
        assert_eq!(written, Err(DecodeError::NotOfItsType { column_type }), "{unsigned} {text:?}");
    }
}

#[test]
fn integers_have_their_types_width_and_sign() {
    check(&[
        (MYSQL_TYPE_TINY, false, "-128", b"\x80"),
        (MYSQL_TYPE_TINY, false, "127", b"\x7F"),
        (MYSQL_TYPE_TINY, true, "255", b"\xFF"),
        (MYSQL_TYPE_TINY, true, "0", b"\0"),
        (MYSQL_TYPE_SHORT, false, "-32768", b"\0\x80"),
        (MYSQL_TYPE_SHORT, false, "32767", b"\xFF\x7F"),
        (MYSQL_TYPE_SHORT, true, "65535", b"\xFF\xFF"),
        (MYSQL_TYPE_YEAR, true, "2024", b"\xE8\x07"),
        (MYSQL_TYPE_YEAR, false, "2155", b"\x6B\x08"),
        (MYSQL_TYPE_YEAR, true, "0000", b"\0\0"),
        (MYSQL_TYPE_INT24, false, "-8388608", b"\0\0\x80\xFF"),
        (MYSQL_TYPE_INT24, false, "8388607", b"\xFF\xFF\x7F\0"),
        (MYSQL_TYPE_INT24, true, "16777215", b"\xFF\xFF\xFF\0"),
        (MYSQL_TYPE_LONG, false, "1", b"\x01\0\0\0"),
        (MYSQL_TYPE_LONG, false, "-2147483648", b"\0\0\0\x80"),
        (MYSQL_TYPE_LONG, false, "2147483647", b"\xFF\xFF\xFF\x7F"),
        (MYSQL_TYPE_LONG, true, "4294967295", b"\xFF\xFF\xFF\xFF"),
        (MYSQL_TYPE_LONG, true, "0000000042", b"\x2A\0\0\0"),
        (MYSQL_TYPE_LONGLONG, false, "-1", b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
        (MYSQL_TYPE_LONGLONG, false, "-9223372036854775808", b"\0\0\0\0\0\0\0\x80"),
        (MYSQL_TYPE_LONGLONG, false, "9223372036854775807", b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"),
        (MYSQL_TYPE_LONGLONG, true, "18446744073709551615", b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
    ]);
}

#[test]
fn integers_out_of_their_types_range_are_refused() {
    let cases: [(ColumnType, bool, &[&str]); 11] = [
        (MYSQL_TYPE_TINY, false, &["128", "-129"]),
        (MYSQL_TYPE_TINY, true, &["256", "-1"]),
        (MYSQL_TYPE_SHORT, false, &["32768", "-32769"]),
        (MYSQL_TYPE_SHORT, true, &["65536", "-1"]),
        (MYSQL_TYPE_YEAR, false, &["-1", "2156", "65536"]),
        (MYSQL_TYPE_INT24, false, &["8388608", "-8388609"]),
        (MYSQL_TYPE_INT24, true, &["16777216", "-1"]),
        (MYSQL_TYPE_LONG, false, &["2147483648", "-2147483649"]),
        (MYSQL_TYPE_LONG, true, &["4294967296", "-1"]),
        (MYSQL_TYPE_LONGLONG, false, &["9223372036854775808", "-9223372036854775809"]),
        (MYSQL_TYPE_LONGLONG, true, &["18446744073709551616", "-1"]),
    ];
    for (column_type, unsigned, texts) in cases {
        check_refused(column_type, unsigned, texts);
        let no_integers = ["", "-", "x", "1x", " 1", "1 ", "1.0", "1e3", "\0", "0x1F", "é"];
        check_refused(column_type, unsigned, &no_integers);
        check_refused(column_type, unsigned, &["999999999999999999999999999999999999999999999999"]);
    }
}

#[test]
fn floats_are_what_their_text_spells() {
    check(&[
        (MYSQL_TYPE_FLOAT, false, "1.5", b"\0\0\xC0\x3F"),
        (MYSQL_TYPE_FLOAT, false, "-0", b"\0\0\0\x80"),
        (MYSQL_TYPE_FLOAT, false, "0", b"\0\0\0\0"),
        (MYSQL_TYPE_FLOAT, false, "0.1", b"\xCD\xCC\xCC\x3D"),
        (MYSQL_TYPE_FLOAT, false, "3.4028235e38", b"\xFF\xFF\x7F\x7F"),
        (MYSQL_TYPE_FLOAT, false, "1e-45", b"\x01\0\0\0"),
        (MYSQL_TYPE_FLOAT, true, "0000001.5", b"\0\0\xC0\x3F"),
        (MYSQL_TYPE_DOUBLE, false, "10.2", b"\x66\x66\x66\x66\x66\x66\x24\x40"),
        (MYSQL_TYPE_DOUBLE, false, "-1.5", b"\0\0\0\0\0\0\xF8\xBF"),
        (MYSQL_TYPE_DOUBLE, false, "1.7976931348623157e308", b"\xFF\xFF\xFF\xFF\xFF\xFF\xEF\x7F"),
        (MYSQL_TYPE_DOUBLE, false, "2.2250738585072014e-308", b"\0\0\0\0\0\0\x10\0"),
        (MYSQL_TYPE_DOUBLE, false, "5e-324", b"\x01\0\0\0\0\0\0\0"),
    ]);
    for column_type in [MYSQL_TYPE_FLOAT, MYSQL_TYPE_DOUBLE] {
        let no_floats = ["", "-", ".", "1.5.5", "1e", "e5", " 1", "1,5", "x", "nan", "inf", "-infinity"];
        check_refused(column_type, false, &no_floats);
        check_refused(column_type, false, &["1e309", "-1e309"]);
    }
    check_refused(MYSQL_TYPE_FLOAT, false, &["1e39", "-1e39"]);
}

#[test]
fn dates_are_as_long_as_their_last_part_that_is_not_zero() {
    check(&[
        (MYSQL_TYPE_DATE, false, "0000-00-00", b"\0"),
        (MYSQL_TYPE_DATE, false, "2010-10-17", b"\x04\xDA\x07\x0A\x11"),
        (MYSQL_TYPE_DATE, false, "9999-12-31", b"\x04\x0F\x27\x0C\x1F"),
        (MYSQL_TYPE_DATE, false, "2024-00-00", b"\x04\xE8\x07\0\0"),
        (MYSQL_TYPE_DATE, false, "0000-00-01", b"\x04\0\0\0\x01"),
        (MYSQL_TYPE_DATE, false, "2023-02-31", b"\x04\xE7\x07\x02\x1F"),
        (MYSQL_TYPE_DATETIME, false, "0000-00-00 00:00:00", b"\0"),
        (MYSQL_TYPE_TIMESTAMP, false, "0000-00-00 00:00:00.000000", b"\0"),
        (MYSQL_TYPE_DATETIME, false, "2010-10-17 00:00:00", b"\x04\xDA\x07\x0A\x11"),
        (MYSQL_TYPE_DATETIME, false, "2010-10-17 00:00:00.000", b"\x04\xDA\x07\x0A\x11"),
        (MYSQL_TYPE_DATETIME, false, "2010-10-17 19:27:30", b"\x07\xDA\x07\x0A\x11\x13\x1B\x1E"),
        (MYSQL_TYPE_TIMESTAMP, false, "2010-10-17 00:00:01.0", b"\x07\xDA\x07\x0A\x11\0\0\x01"),
        (MYSQL_TYPE_DATETIME, false, "0000-00-00 00:01:00", b"\x07\0\0\0\0\0\x01\0"),
        (
            MYSQL_TYPE_DATETIME,
            false,
            "2010-10-17 19:27:30.000001",
            b"\x0B\xDA\x07\x0A\x11\x13\x1B\x1E\x01\0\0\0",
        ),
        (MYSQL_TYPE_TIMESTAMP, false, "2010-10-17 00:00:00.5", b"\x0B\xDA\x07\x0A\x11\0\0\0\x20\xA1\x07\0"),
        (
            MYSQL_TYPE_DATETIME,
            false,
            "9999-12-31 23:59:59.999999",
            b"\x0B\x0F\x27\x0C\x1F\x17\x3B\x3B\x3F\x42\x0F\0",
        ),
    ]);
}

#[test]
fn what_is_no_date_is_refused() {
    let neither = [
        "",
        "-",
        "2010",
        "2010-10",
        "2010-10-1",
        "10-10-17",
        "2010/10/17",
        "2010-13-01",
        "2010-01-32",
        "-010-01-01",
        "2010-1 -01",
        "20100-01-01",
        "2010-10-17 ",
        "2010-10-17 19:27",
        "2010-10-17 19:27:3",
        "é010-10-17",
        "2010-10-17\0",
    ];
    let no_datetimes = [
        "2010-10-17T19:27:30",
        "2010-10-17 24:00:00",
        "2010-10-17 19:60:00",
        "2010-10-17 19:27:60",
        "2010-10-17 19:27:30.",
        "2010-10-17 19:27:30.0000001",
        "2010-10-17 19:27:30.x",
        "2010-10-17 19:27:30.-1",
        "2010-10-17 019:27:30",
        "2010-10-17 19:27:30Z",
        "2010-10-17",
    ];
    for column_type in [MYSQL_TYPE_DATETIME, MYSQL_TYPE_TIMESTAMP] {
        check_refused(column_type, false, &neither);
        check_refused(column_type, false, &no_datetimes);
    }
    check_refused(MYSQL_TYPE_DATE, false, &neither);
    check_refused(MYSQL_TYPE_DATE, false, &["2010-10-17 00:00:00"]);
}

#[test]
fn times_have_a_sign_and_whole_days() {
    check(&[
        (MYSQL_TYPE_TIME, false, "00:00:00", b"\0"),
        (MYSQL_TYPE_TIME, false, "-00:00:00", b"\0"),
        (MYSQL_TYPE_TIME, false, "00:00:00.000000", b"\0"),
        (MYSQL_TYPE_TIME, false, "00:00:01", b"\x08\0\0\0\0\0\0\0\x01"),
        (MYSQL_TYPE_TIME, false, "23:59:59", b"\x08\0\0\0\0\0\x17\x3B\x3B"),
        (MYSQL_TYPE_TIME, false, "24:00:00", b"\x08\0\x01\0\0\0\0\0\0"),
        (MYSQL_TYPE_TIME, false, "100:02:03", b"\x08\0\x04\0\0\0\x04\x02\x03"),
        (MYSQL_TYPE_TIME, false, "838:59:59", b"\x08\0\x22\0\0\0\x16\x3B\x3B"),
        (MYSQL_TYPE_TIME, false, "-838:59:59.000000", b"\x08\x01\x22\0\0\0\x16\x3B\x3B"),
        (MYSQL_TYPE_TIME, false, "-00:00:00.000001", b"\x0C\x01\0\0\0\0\0\0\0\x01\0\0\0"),
        (MYSQL_TYPE_TIME, false, "26:03:04.25", b"\x0C\0\x01\0\0\0\x02\x03\x04\x90\xD0\x03\0"),
        (MYSQL_TYPE_TIME, false, "-19:27:30.000001", b"\x0C\x01\0\0\0\0\x13\x1B\x1E\x01\0\0\0"),
    ]);
    let no_times = [
        "",
        "-",
        ":",
        "::",
        "1:02:03",
        "0001:02:03",
        "839:00:00",
        "999:59:59",
        "00:60:00",
        "00:00:60",
        "00:00",
        "00:00:0",
        "00:00:00:00",
        "--00:00:01",
        "+00:00:01",
        "00:00:00.",
        "00:00:00.1234567",
        "00:00:00,5",
        "1 02:03:04",
        "xx:00:00",
        "00:xx:00",
        "00:00:xx",
        "00:0é:00",
        "-1:00:00",
        "2010-10-17",
    ];
    check_refused(MYSQL_TYPE_TIME, false, &no_times);
}

#[test]
fn strings_are_copied_whatever_they_hold() {
    let long = [&b"\xFC\x2C\x01"[..], &[b'x'; 300]].concat();
    let cases: [(&[u8], &[u8]); 5] = [
        (b"", b"\0"),
        (b"-12345678901234567890.50", b"\x18-12345678901234567890.50"),
        (b"\0\xFB\xFF", b"\x03\0\xFB\xFF"),
        ("é".as_bytes(), b"\x02\xC3\xA9"),
        (&[b'x'; 300], &long),
    ];
    for column_type in STRINGS {
        for (text, bytes) in cases {
            assert_eq!(value(column_type, false, text).as_deref(), Ok(bytes), "{column_type:?}");
        }
    }
}

#[test]
fn nulls_are_bits_from_the_third_on() {
    let ints = |count: usize| vec![column(MYSQL_TYPE_TINY, false); count];
    let one: Option<&[u8]> = Some(b"1");
    assert_eq!(row(&[], &[]).as_deref(), Ok(&b"\0\0"[..]));
    assert_eq!(row(&ints(1), &[None]).as_deref(), Ok(&b"\0\x04"[..]));
    assert_eq!(row(&ints(3), &[None, one, None]).as_deref(), Ok(&b"\0\x14\x01"[..]));
    assert_eq!(row(&ints(6), &[None; 6]).as_deref(), Ok(&b"\0\xFC"[..]));
    assert_eq!(row(&ints(7), &[None; 7]).as_deref(), Ok(&b"\0\xFC\x01"[..]));
    let last = [one, one, one, one, one, one, None];
    assert_eq!(row(&ints(7), &last).as_deref(), Ok(&b"\0\0\x01\x01\x01\x01\x01\x01\x01"[..]));
    // Any type may be NULL, even one of which no value travels.
    for column_type in
        NEVER_SENT.into_iter().chain([MYSQL_TYPE_NULL, MYSQL_TYPE_LONG, MYSQL_TYPE_JSON, MYSQL_TYPE_TIME])
    {
        assert_eq!(row(&[column(column_type, false)], &[None]).as_deref(), Ok(&b"\0\x04"[..]));
    }
}

#[test]
fn types_without_values_have_none() {
    check_refused(MYSQL_TYPE_NULL, false, &["", "0", "NULL"]);
    for column_type in NEVER_SENT {
        let error = DecodeError::Unexpected { field: "type", value: column_type as u64 };
        assert_eq!(value(column_type, false, b"1"), Err(error));
    }
}

#[test]
fn as_many_cells_as_columns_make_a_row() {
    let columns = [column(MYSQL_TYPE_TINY, false), ColumnDefinition::text("b")];
    let cells: [Option<&[u8]>; 4] = [Some(b"5"), Some(b"z"), None, Some(b"x")];
    assert_eq!(row(&columns, &cells[..2]).as_deref(), Ok(&b"\0\0\x05\x01z"[..]));
    for count in [0, 1, 3, 4] {
        let error = DecodeError::Unexpected { field: "number of cells", value: count as u64 };
        assert_eq!(row(&columns, &cells[..count]), Err(error));
    }
    assert!(row(&[], &cells[..1]).is_err());
    // What was written before the bad cell is taken back: `row` looks.
    assert!(row(&[ColumnDefinition::text("b"), columns[0].clone()], &[Some(b"z"), Some(b"z")]).is_err());
}

/// A column, a cell of it as MySQL prints it, and the value that it is.
type Spelled = (ColumnDefinition, Option<String>, BinaryValue<'static>);

fn spelled() -> impl Strategy<Value = Spelled> {
    let of = |of: ColumnType, unsigned, text: String, value| (column(of, unsigned), Some(text), value);
    let day = (0..=9999u16, 0..=12u8, 0..=31u8);
    let clock = (0..=23u8, 0..=59u8, 0..=59u8, 0..=999_999u32);
    prop_oneof![
        Just((ColumnDefinition::text("c"), None, BinaryValue::Null)),
        any::<i8>().prop_map(move |n| of(MYSQL_TYPE_TINY, false, n.to_string(), BinaryValue::Int(n.into()))),
        any::<u16>().prop_map(move |n| of(
            MYSQL_TYPE_SHORT,
            true,
            n.to_string(),
            BinaryValue::UInt(n.into())
        )),
        any::<i32>().prop_map(move |n| of(MYSQL_TYPE_LONG, false, n.to_string(), BinaryValue::Int(n.into()))),
        any::<i64>().prop_map(move |n| of(MYSQL_TYPE_LONGLONG, false, n.to_string(), BinaryValue::Int(n))),
        any::<u64>().prop_map(move |n| of(MYSQL_TYPE_LONGLONG, true, n.to_string(), BinaryValue::UInt(n))),
        any::<f32>().prop_map(move |n| of(MYSQL_TYPE_FLOAT, false, format!("{n:e}"), BinaryValue::Float(n))),
        any::<f64>().prop_map(move |n| of(MYSQL_TYPE_DOUBLE, false, n.to_string(), BinaryValue::Double(n))),
        (day, clock.clone()).prop_map(move |((year, month, day), (hour, minute, second, micros))| {
            let text = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}");
            let value = BinaryValue::Date { year, month, day, hour, minute, second, micros };
            of(MYSQL_TYPE_DATETIME, false, text, value)
        }),
        (any::<bool>(), 0..34u32, clock).prop_map(
            move |(negative, days, (hours, minutes, seconds, micros))| {
                let all_hours = days * 24 + u32::from(hours);
                let negative = negative && (all_hours, minutes, seconds, micros) != (0, 0, 0, 0);
                let sign = if negative { "-" } else { "" };
                let text = format!("{sign}{all_hours:02}:{minutes:02}:{seconds:02}.{micros:06}");
                let value = BinaryValue::Time { negative, days, hours, minutes, seconds, micros };
                of(MYSQL_TYPE_TIME, false, text, value)
            }
        ),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_as_what_was_spelled(spelled in prop::collection::vec(spelled(), 0..20)) {
        let columns: Vec<_> = spelled.iter().map(|(column, ..)| column.clone()).collect();
        let cells: Vec<_> = spelled.iter().map(|(_, text, _)| text.as_deref().map(str::as_bytes)).collect();
        let values: Vec<_> = spelled.iter().map(|&(.., value)| value).collect();
        let written = row(&columns, &cells).unwrap();
        prop_assert_eq!(decode_binary_row(&written, &columns), Ok(values));
    }

    #[test]
    fn any_cell_of_any_type_is_a_row_or_an_error(
        number: u8,
        unsigned: bool,
        text in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..30),
            "[-+0-9:. e]{0,30}".prop_map(String::into_bytes),
        ],
    ) {
        if let Ok(column_type) = ColumnType::try_from(number) {
            let columns = [column(column_type, unsigned)];
            if let Ok(written) = row(&columns, &[Some(&text)]) {
                prop_assert!(decode_binary_row(&written, &columns).is_ok());
            }
        }
    }
}
