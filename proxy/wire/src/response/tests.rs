//! Answers of a real server, and made ones, in every chunking.

use bytes::{BufMut, BytesMut};
use mysql_common::constants::{CapabilityFlags, StatusFlags};
use proptest::prelude::*;

use super::*;
use crate::codec::DecodeError;
use crate::frame::{HEADER, Header, MAX_PAYLOAD, write_packet};
use crate::hex::hex;

const CAPTURED: &str = include_str!("../../testdata/responses.txt");

struct Answer {
    name: &'static str,
    kind: ResponseKind,
    capabilities: CapabilityFlags,
    bytes: Vec<u8>,
}

fn captured() -> Vec<Answer> {
    CAPTURED.lines().filter(|line| !line.starts_with('#')).map(parse).collect()
}

fn parse(line: &'static str) -> Answer {
    let fields: Vec<&str> = line.split('\t').collect();
    let kind = match fields[1] {
        "Query" => ResponseKind::Query,
        "Simple" => ResponseKind::Simple,
        "Prepare" => ResponseKind::Prepare,
        "Execute" => ResponseKind::Execute,
        "Fetch" => ResponseKind::Fetch,
        "FieldList" => ResponseKind::FieldList,
        _ => ResponseKind::Statistics,
    };
    let mut capabilities = CapabilityFlags::CLIENT_PROTOCOL_41;
    capabilities.set(CapabilityFlags::CLIENT_DEPRECATE_EOF, fields[2] == "deprecate_eof");
    capabilities.set(CapabilityFlags::CLIENT_SESSION_TRACK, fields[3] == "track");
    Answer { name: fields[0], kind, capabilities, bytes: hex(fields[4]) }
}

/// Feeds the answer in chunks of the given sizes, over and over, with what was not consumed kept; the client's file takes two
/// packets.
fn fed_in(answer: &Answer, chunks: &[usize]) -> Result<Summary, ProtocolError> {
    let mut tracker = ResponseTracker::new(answer.kind, answer.capabilities, 1);
    let (mut arrived, mut start) = (0, 0);
    for chunk in chunks.iter().cycle() {
        arrived = (arrived + chunk.max(&1)).min(answer.bytes.len());
        loop {
            let progress = tracker.feed(&answer.bytes[start..arrived])?;
            start += progress.consumed;
            match progress.event {
                Event::Done => {
                    assert_eq!(start, answer.bytes.len(), "{}: done early", answer.name);
                    assert!(tracker.is_done());
                    return Ok(tracker.into_summary());
                }
                Event::LocalInfile => tracker.resume_after_infile(tracker.next_seq().wrapping_add(2)),
                Event::More => break,
            }
        }
        assert!(arrived < answer.bytes.len() || start < arrived, "{}: {tracker:?} wants more", answer.name);
    }
    unreachable!("there are no chunks")
}

fn stepped(answer: &Answer) -> Result<(Vec<PacketRole>, Summary), ProtocolError> {
    let mut tracker = ResponseTracker::new(answer.kind, answer.capabilities, 1);
    let (mut roles, mut at) = (Vec::new(), 0);
    loop {
        let packet = tracker.next_packet(&answer.bytes[at..])?.expect("the answer is all there");
        roles.push(packet.role);
        at += packet.total;
        if packet.role == PacketRole::LocalInfile {
            tracker.resume_after_infile(tracker.next_seq().wrapping_add(2));
        }
        if packet.last {
            assert_eq!(at, answer.bytes.len(), "{}: done early", answer.name);
            return Ok((roles, tracker.into_summary()));
        }
    }
}

/// `Row` three times is `Row*3`.
fn printed(roles: &[PacketRole]) -> String {
    let runs = roles.chunk_by(|a, b| a == b).map(|run| match run.len() {
        1 => format!("{:?}", run[0]),
        count => format!("{:?}*{count}", run[0]),
    });
    runs.collect::<Vec<_>>().join(" ")
}

fn outcome(summary: &Summary) -> String {
    if let Some((code, state)) = summary.error {
        return format!("{code} {}", std::str::from_utf8(&state).unwrap());
    }
    match (&summary.prepared, summary.ends_in_rows) {
        (Some(prepared), _) => format!("{} params, {} columns", prepared.params, prepared.columns),
        (None, true) => format!("{} rows, {} warnings", summary.rows, summary.warnings),
        (None, false) => format!("{} affected, id {}", summary.affected_rows, summary.last_insert_id),
    }
}

/// Each captured answer: its packets, as a server that ends columns with an EOF sends them, and what became of the statement.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("COM_INIT_DB", "Ok", "0 affected, id 0"),
    ("INSERT", "Ok", "3 affected, id 1"),
    ("UPDATE", "Ok", "1 affected, id 0"),
    ("SELECT of three rows", "ColumnCount ColumnDefinition*2 MidEof Row*3 End", "3 rows, 0 warnings"),
    ("SELECT of no row", "ColumnCount ColumnDefinition*2 MidEof End", "0 rows, 0 warnings"),
    ("SELECT of 300 rows", "ColumnCount ColumnDefinition MidEof Row*300 End", "300 rows, 0 warnings"),
    (
        "four statements",
        "ColumnCount ColumnDefinition MidEof Row End Ok ColumnCount ColumnDefinition MidEof End Ok",
        "0 affected, id 0",
    ),
    ("a wrong statement", "Err", "1054 42S22"),
    ("a wrong statement after a right one", "ColumnCount ColumnDefinition MidEof Row End Err", "1054 42S22"),
    ("an error amid rows", "ColumnCount ColumnDefinition*2 MidEof Err", "1242 21000"),
    ("an error after rows", "ColumnCount ColumnDefinition MidEof Err", "1690 22003"),
    ("a warning", "ColumnCount ColumnDefinition MidEof Row End", "1 rows, ? warnings"),
    (
        "CALL",
        "ColumnCount ColumnDefinition MidEof Row End ColumnCount ColumnDefinition MidEof Row*3 End Ok",
        "0 affected, id 0",
    ),
    (
        "CALL with an OUT parameter",
        "ColumnCount ColumnDefinition MidEof Row End ColumnCount ColumnDefinition MidEof Row*3 End \
         ColumnCount ColumnDefinition MidEof Row End Ok",
        "0 affected, id 0",
    ),
    (
        "PREPARE with parameters and columns",
        "PrepareOk ParamDefinition MidEof ColumnDefinition*2 MidEof",
        "1 params, 2 columns",
    ),
    ("PREPARE with neither", "PrepareOk", "0 params, 0 columns"),
    ("PREPARE with a parameter", "PrepareOk ParamDefinition MidEof", "1 params, 0 columns"),
    ("PREPARE with columns", "PrepareOk ColumnDefinition*2 MidEof", "0 params, 2 columns"),
    ("PREPARE of a wrong statement", "Err", "1054 42S22"),
    ("EXECUTE", "ColumnCount ColumnDefinition*2 MidEof Row*3 End", "3 rows, 0 warnings"),
    // Without the EOF after columns there is one at the end, in its place.
    ("EXECUTE with a cursor", "ColumnCount ColumnDefinition*2 MidEof", "0 rows, 0 warnings"),
    ("FETCH of one row", "Row End", "1 rows, 0 warnings"),
    (
        "EXECUTE while another statement has a cursor",
        "ColumnCount ColumnDefinition*2 MidEof Row*3 End",
        "3 rows, 0 warnings",
    ),
    (
        "SELECT while a statement has a cursor",
        "ColumnCount ColumnDefinition MidEof Row End",
        "1 rows, 0 warnings",
    ),
    ("FETCH of the last rows", "Row*2 End", "2 rows, 0 warnings"),
    ("FETCH of no rows", "Err", "1421 HY000"),
    ("EXECUTE of a statement without rows", "Ok", "3 affected, id 0"),
    ("EXECUTE of an unknown statement", "Err", "1243 HY000"),
    ("STMT_RESET", "Ok", "0 affected, id 0"),
    ("FIELD_LIST", "ColumnDefinition*2 End", "0 rows, 0 warnings"),
    ("FIELD_LIST of an unknown table", "Err", "1146 42S02"),
    ("STATISTICS", "Statistics", "0 affected, id 0"),
    ("PING", "Ok", "0 affected, id 0"),
    ("SET_OPTION", "End", "0 affected, id 0"),
    ("an unknown option", "Err", "1047 08S01"),
    ("LOAD DATA LOCAL", "LocalInfile Ok", "2 affected, id 0"),
    ("RESET_CONNECTION", "Ok", "0 affected, id 0"),
    ("SET of the tracking variables", "Ok", "0 affected, id 0"),
    ("SET of a tracked variable", "Ok", "0 affected, id 0"),
    ("USE", "Ok", "0 affected, id 0"),
    ("START TRANSACTION", "Ok", "0 affected, id 0"),
    ("SELECT in a transaction", "ColumnCount ColumnDefinition MidEof Row End", "1 rows, 0 warnings"),
    ("COMMIT", "Ok", "0 affected, id 0"),
];

#[test]
fn every_captured_answer_has_the_packets_and_the_outcome_it_should() {
    for answer in captured() {
        let (_, roles, becomes) = EXPECTED.iter().find(|(name, ..)| *name == answer.name).expect(answer.name);
        let without_eof = answer.capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF);
        let roles = match (without_eof, answer.name) {
            (true, "EXECUTE with a cursor") => roles.replace("MidEof", "End"),
            (true, _) => roles.replace(" MidEof", ""),
            (false, _) => roles.to_string(),
        };
        let (found, summary) = stepped(&answer).unwrap();
        assert_eq!(printed(&found), roles, "{} {:?}", answer.name, answer.capabilities);
        let warnings = summary.warnings.to_string();
        assert_eq!(outcome(&summary), becomes.replace('?', &warnings), "{}", answer.name);
        assert_eq!(summary.result_sets, roles.contains("ColumnCount"), "{}", answer.name);
    }
}

#[test]
fn every_captured_answer_ends_where_the_server_ended_it_in_any_chunking() {
    for answer in captured() {
        let (_, expected) = stepped(&answer).unwrap();
        for chunks in [&[usize::MAX / 4][..], &[1], &[2], &[3, 1], &[4], &[5], &[7, 64], &[100]] {
            assert_eq!(fed_in(&answer, chunks).as_ref(), Ok(&expected), "{} in {chunks:?}", answer.name);
        }
    }
}

#[test]
fn what_the_session_reports_on_the_way_is_kept() {
    use crate::packets::session_track::SessionTrack;
    let text = |text: &str| text.as_bytes().to_vec();
    let variable = |name, value| SessionTrack::SystemVariable { name: text(name), value: text(value) };
    let cases = [
        ("COM_INIT_DB", vec![SessionTrack::Schema(text("wire"))]),
        ("SET of a tracked variable", vec![variable("sql_mode", ""), SessionTrack::StateChange(true)]),
        ("USE", vec![SessionTrack::Schema(text("mysql")), SessionTrack::StateChange(true)]),
        (
            "START TRANSACTION",
            vec![
                SessionTrack::TransactionState(text("T_______")),
                SessionTrack::TransactionCharacteristics(text("START TRANSACTION READ ONLY;")),
            ],
        ),
        (
            "COMMIT",
            vec![
                SessionTrack::TransactionState(text("________")),
                SessionTrack::TransactionCharacteristics(Vec::new()),
            ],
        ),
    ];
    for (name, entries) in cases {
        for answer in captured() {
            if answer.name == name && answer.capabilities.contains(CapabilityFlags::CLIENT_SESSION_TRACK) {
                let (_, summary) = stepped(&answer).unwrap();
                assert_eq!(SessionTrack::decode_all(&summary.session_track).unwrap(), entries, "{name}");
                let mut again = Vec::new();
                entries.iter().for_each(|entry| entry.encode(&mut again));
                assert_eq!(again, summary.session_track, "{name}");
            }
        }
    }
}

/// An answer made of payloads.
fn made(kind: ResponseKind, deprecates_eof: bool, payloads: &[&[u8]]) -> Answer {
    let (mut out, mut seq) = (BytesMut::new(), 1);
    payloads.iter().for_each(|payload| write_packet(&mut out, &mut seq, payload));
    let mut capabilities = CapabilityFlags::CLIENT_PROTOCOL_41;
    capabilities.set(CapabilityFlags::CLIENT_DEPRECATE_EOF, deprecates_eof);
    Answer { name: "made", kind, capabilities, bytes: out.to_vec() }
}

const COLUMN: &[u8] = b"\x03def";
const EOF: &[u8] = b"\xFE\0\0\x02\0";
const END: &[u8] = b"\xFE\0\0\x02\0\0\0";

#[test]
fn rows_of_16_mib_and_more_are_one_row_each() {
    let row = |len: usize| {
        // One cell, with its length in nine bytes: the row starts with the mark of an end.
        let mut row = vec![0xFE];
        row.put_u64_le(len as u64 - 9);
        row.resize(len, b'x');
        row
    };
    for len in [MAX_PAYLOAD - 1, MAX_PAYLOAD, MAX_PAYLOAD + 1, 2 * MAX_PAYLOAD] {
        for deprecates_eof in [false, true] {
            if deprecates_eof && len < MAX_PAYLOAD {
                // A first cell that needs nine bytes for its length makes a longer row.
                continue;
            }
            let big = row(len);
            let payloads: [&[u8]; 6] = if deprecates_eof {
                [b"\x01", COLUMN, b"\x01a", &big, b"\x01b", END]
            } else {
                [b"\x01", COLUMN, EOF, &big, b"\x01b", EOF]
            };
            let answer = made(ResponseKind::Query, deprecates_eof, &payloads);
            let rows = if deprecates_eof { 3 } else { 2 };
            let (roles, expected) = stepped(&answer).unwrap();
            assert_eq!(expected.rows, rows);
            let pieces = roles.iter().filter(|role| **role == PacketRole::RowContinuation).count();
            assert_eq!(pieces, len / MAX_PAYLOAD, "{len}");
            for chunks in [&[usize::MAX / 4][..], &[65_536], &[1_000_003, 1, 4]] {
                assert_eq!(fed_in(&answer, chunks), Ok(expected.clone()), "{len} in {chunks:?}");
            }
        }
    }
}

#[test]
fn what_follows_the_answer_is_left_alone() {
    for answer in captured().into_iter().filter(|answer| answer.name != "LOAD DATA LOCAL") {
        let mut more = answer.bytes.clone();
        more.extend_from_slice(&[9, 9, 9, 9, 9, 9]);
        let mut tracker = ResponseTracker::new(answer.kind, answer.capabilities, 1);
        let done = Progress { consumed: answer.bytes.len(), event: Event::Done };
        assert_eq!(tracker.feed(&more), Ok(done), "{}", answer.name);
        assert_eq!(
            tracker.feed(&more[answer.bytes.len()..]),
            Ok(Progress { consumed: 0, event: Event::Done })
        );
    }
}

#[test]
fn the_bytes_of_a_long_row_pass_before_all_of_it_has_come() {
    let answer = made(ResponseKind::Fetch, false, &[&[b'x'; 1000], EOF]);
    let mut tracker = ResponseTracker::new(answer.kind, answer.capabilities, 1);
    let steps = [(0..4, 0), (0..5, 5), (5..700, 695), (700..1008, 304), (1004..1013, 9)];
    for (part, consumed) in steps {
        assert_eq!(tracker.feed(&answer.bytes[part.clone()]).unwrap().consumed, consumed, "{part:?}");
    }
    assert!(tracker.is_done());
}

#[test]
fn answers_that_make_no_sense_are_errors() {
    use ResponseKind::*;
    let unexpected = |place, len, first| ProtocolError::UnexpectedPacket { place, len, first };
    let oversize = vec![1; MAX_METADATA + 1];
    let cases: Vec<(&str, ResponseKind, Vec<&[u8]>, ProtocolError)> = vec![
        ("nothing", Query, vec![b""], unexpected("the start of a result", 0, None)),
        ("an end without rows", Query, vec![EOF], unexpected("the start of a result", 5, Some(0xFE))),
        ("rows for a ping", Simple, vec![b"\x01"], unexpected("the answer's start", 1, Some(1))),
        ("rows for a PREPARE", Prepare, vec![b"\x01"], unexpected("the answer's start", 1, Some(1))),
        ("an empty row", Fetch, vec![b""], unexpected("a result's rows", 0, None)),
        (
            "a row for an EOF",
            Query,
            vec![b"\x01", COLUMN, b"\x01x"],
            unexpected("the end of a result's columns", 2, Some(1)),
        ),
        (
            "a short OK",
            Query,
            vec![b"\0\0"],
            ProtocolError::Malformed(DecodeError::Truncated { field: "last insert id" }),
        ),
        (
            "a huge column",
            Query,
            vec![b"\x01", &oversize],
            ProtocolError::OversizeMetadata { len: oversize.len() },
        ),
        ("too many columns", Query, vec![b"\xFD\0\0\x01"], ProtocolError::OversizeMetadata { len: 0x1_0000 }),
        (
            "more than a number of columns",
            Query,
            vec![b"\x01\x01"],
            ProtocolError::Malformed(DecodeError::TrailingBytes { count: 1 }),
        ),
    ];
    for (name, kind, payloads, error) in cases {
        let answer = made(kind, false, &payloads);
        assert_eq!(fed_in(&answer, &[usize::MAX / 4]), Err(error.clone()), "{name}");
        assert_eq!(stepped(&answer).err(), Some(error), "{name}");
    }
}

#[test]
fn sequence_numbers_must_run_on() {
    let wrong = ProtocolError::WrongSequence { expected: 3, found: 4 };
    for deprecates_eof in [true, false] {
        let mut answer = made(ResponseKind::Query, deprecates_eof, &[b"\x01", COLUMN, EOF, b"\x01x", EOF]);
        // The third packet starts after 5 and 8 bytes.
        assert_eq!(Header::read(&answer.bytes[13..]), Some(Header { len: EOF.len(), seq: 3 }));
        answer.bytes[13 + 3] = 4;
        assert_eq!(fed_in(&answer, &[1]), Err(wrong.clone()));
        assert_eq!(stepped(&answer).err(), Some(wrong.clone()));
    }
}

#[test]
fn a_caller_that_goes_on_out_of_turn_is_told_so() {
    let mut tracker = ResponseTracker::new(ResponseKind::Query, CapabilityFlags::empty(), 1);
    let infile = b"\x02\0\0\x01\xFBf";
    assert_eq!(tracker.feed(infile), Ok(Progress { consumed: 6, event: Event::LocalInfile }));
    assert_eq!(tracker.feed(b"\x02\0\0\x02\xFBf"), Err(ProtocolError::OutOfOrder));
    let mut tracker = ResponseTracker::new(ResponseKind::Fetch, CapabilityFlags::empty(), 1);
    assert_eq!(tracker.feed(b"\x09\0\0\x01x"), Ok(Progress { consumed: 5, event: Event::More }));
    assert_eq!(tracker.next_packet(b"xxxxxxxx"), Err(ProtocolError::OutOfOrder));
}

#[test]
fn session_state_beyond_the_limit_is_dropped_and_said_to_be() {
    let mut payloads = Vec::new();
    for more in [8, 0] {
        let mut ok = vec![0, 0, 0, 2 | more, 0x40, 0, 0, 0];
        crate::codec::put_lenenc_bytes(&mut ok, &vec![b'x'; MAX_SESSION_TRACK * 2 / 3]);
        payloads.push(ok);
    }
    let mut answer = made(ResponseKind::Query, true, &[&payloads[0], &payloads[1]]);
    answer.capabilities |= CapabilityFlags::CLIENT_SESSION_TRACK;
    let (_, summary) = stepped(&answer).unwrap();
    assert_eq!(summary.session_track.len(), MAX_SESSION_TRACK * 2 / 3);
    assert!(summary.session_track_lost);
}

#[test]
fn a_file_ends_with_its_first_empty_packet_that_is_none_s_continuation() {
    let mut bytes = BytesMut::new();
    let mut seq = 250;
    for part in [&b"one\n"[..], b"two\n", &vec![b'x'; MAX_PAYLOAD], b"three", b""] {
        write_packet(&mut bytes, &mut seq, part);
    }
    let end = bytes.len();
    bytes.put_slice(b"\x01\0\0\0\x0E");
    for chunk in [bytes.len(), 100_000, 4097] {
        let mut relay = InfileRelay::new(250);
        let (mut start, mut arrived) = (0, 0);
        loop {
            arrived = (arrived + chunk).min(bytes.len());
            let progress = relay.feed(&bytes[start..arrived]).unwrap();
            start += progress.consumed;
            if progress.event == Event::Done {
                break;
            }
        }
        assert_eq!((start, relay.next_seq()), (end, seq));
    }
    assert!(InfileRelay::new(7).feed(&bytes).is_err());
    assert_eq!(bytes.len(), end + HEADER + 1);
}

/// A result to be sent: rows by their lengths, or nothing but an OK.
#[derive(Debug, Clone)]
enum Part {
    Ok,
    Rows { columns: u8, rows: Vec<u16> },
}

fn answers() -> impl Strategy<Value = (Vec<Part>, bool, bool)> {
    let rows = (1u8..5, prop::collection::vec(1u16..400, 0..300));
    let part = prop_oneof![Just(Part::Ok), rows.prop_map(|(columns, rows)| Part::Rows { columns, rows })];
    (prop::collection::vec(part, 1..4), any::<bool>(), any::<bool>())
}

fn send(parts: &[Part], deprecates_eof: bool, fails: bool) -> (Answer, u64) {
    let (mut payloads, mut counted) = (Vec::new(), 0);
    for (at, part) in parts.iter().enumerate() {
        let more = if fails || at + 1 < parts.len() { 8u8 } else { 0 };
        match part {
            Part::Ok => payloads.push(vec![0, 1, 2, more, 0, 0, 0]),
            Part::Rows { columns, rows } => {
                payloads.push(vec![*columns]);
                (0..*columns).for_each(|_| payloads.push(COLUMN.to_vec()));
                if !deprecates_eof {
                    payloads.push(vec![0xFE, 0, 0, more, 0]);
                }
                // A row may start with anything up to 0xFD.
                rows.iter().for_each(|len| payloads.push(vec![(*len % 0xFE) as u8; usize::from(*len)]));
                let end: &[u8] =
                    if deprecates_eof { &[0xFE, 0, 0, more, 0, 0, 0] } else { &[0xFE, 0, 0, more, 0] };
                payloads.push(end.to_vec());
                counted = rows.len() as u64;
            }
        }
    }
    if fails {
        payloads.push(b"\xFF\x1E\x04#42S22no".to_vec());
    }
    let payloads: Vec<&[u8]> = payloads.iter().map(|payload| &payload[..]).collect();
    (made(ResponseKind::Query, deprecates_eof, &payloads), counted)
}

proptest! {
    #[test]
    fn any_answer_comes_out_the_same_in_any_chunking(
        (parts, deprecates_eof, fails) in answers(),
        chunks in prop::collection::vec(1usize..3000, 1..20),
    ) {
        let (answer, rows) = send(&parts, deprecates_eof, fails);
        let (_, expected) = stepped(&answer).unwrap();
        prop_assert_eq!(expected.rows, rows);
        prop_assert_eq!(expected.error, fails.then_some((1054, *b"42S22")));
        prop_assert_eq!(expected.status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS), fails);
        prop_assert_eq!(fed_in(&answer, &chunks), Ok(expected.clone()));
        prop_assert_eq!(fed_in(&answer, &[usize::MAX / 4]), Ok(expected));
    }

    #[test]
    fn noise_is_judged_the_same_in_any_chunking(
        noise in prop::collection::vec(prop_oneof![0u8..4, 0xFAu8..=0xFF], 1..60),
        chunks in prop::collection::vec(1usize..9, 1..9),
        deprecates_eof: bool,
    ) {
        // Noise with right headers: what is in the packets is what is wild.
        let payloads: Vec<&[u8]> = noise.chunks(5).collect();
        for kind in [ResponseKind::Query, ResponseKind::Prepare, ResponseKind::Execute, ResponseKind::FieldList] {
            let mut answer = made(kind, deprecates_eof, &payloads);
            let whole = verdict(&mut answer, &[usize::MAX / 4]);
            prop_assert_eq!(verdict(&mut answer, &chunks), whole);
        }
    }
}

/// How far an answer is understood, and what ends it.
fn verdict(answer: &mut Answer, chunks: &[usize]) -> (usize, Option<ProtocolError>, Summary) {
    let mut tracker = ResponseTracker::new(answer.kind, answer.capabilities, 1);
    let (mut arrived, mut start) = (0, 0);
    for chunk in chunks.iter().cycle() {
        arrived = (arrived + chunk).min(answer.bytes.len());
        match tracker.feed(&answer.bytes[start..arrived]) {
            Err(error) => return (0, Some(error), tracker.into_summary()),
            Ok(progress) => {
                start += progress.consumed;
                if progress.event != Event::More || arrived == answer.bytes.len() {
                    return (start, None, tracker.into_summary());
                }
            }
        }
    }
    unreachable!("there are no chunks")
}
