//! After the login: packets and commands that are wrong in themselves, whatever SQL they carry.

use std::time::Duration;

use podway_proxy::Proxy;
use podway_tests::{TestKeyspace, is_left_out};
use podway_wire::CapabilityFlags;

use crate::ground::{MUCH_MEMORY, Witness, keyspace, proxy, resident_bytes};
use podway_tests::raw::{Answer, RawClient};

const READ_DEADLINE: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(20);

/// What a case may end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// This error, and the session goes on.
    Goes(u16),
    /// This error, and the connection is closed.
    Closes(u16),
    /// Any error, whether the session goes on or not, or a closed connection without a word.
    Anyhow,
    /// No answer; the session goes on.
    Silent,
}

async fn client(proxy: &Proxy, database: &str) -> RawClient {
    RawClient::login(proxy.local_addr(), database, CapabilityFlags::empty()).await.unwrap()
}

async fn ends_in(client: &mut RawClient, what: &str, end: End) {
    if end == End::Silent {
        assert_eq!(client.command(b"\x0e").await, Answer::Ok, "{what}: the next command");
        return;
    }
    let answer = client.answer().await;
    match (end, &answer) {
        (End::Goes(number), Answer::Error(found)) if *found == number => {
            assert_eq!(client.command(b"\x0e").await, Answer::Ok, "{what}: the next command");
        }
        (End::Closes(number), Answer::Error(found)) if *found == number => {
            assert!(client.is_closed_within(SLACK).await, "{what}: the connection stays open");
        }
        (End::Anyhow, Answer::Error(_) | Answer::Closed) => {}
        _ => panic!("{what}: {end:?} was expected, not {answer:?}"),
    }
}

#[tokio::test]
async fn unknown_commands_are_refused_and_known_ones_go_on() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|_| ()).await;
    let mut client = client(&proxy, "").await;
    // All that MySQL's own clients never send: server's internals, replication, what is long gone, what never was.
    let unknown = [
        0x00, 0x05, 0x06, 0x0B, 0x0F, 0x10, 0x12, 0x13, 0x14, 0x15, 0x1D, 0x1E, 0x20, 0x21, 0x22, 0x40, 0x7F,
        0x80, 0xFE, 0xFF,
    ];
    for command in unknown {
        for payload in [vec![command], vec![command; 100]] {
            assert_eq!(client.command(&payload).await, Answer::Error(1047), "command {command:#x}");
        }
    }
    assert_eq!(client.command(b"\x0e").await, Answer::Ok);
}

#[tokio::test]
async fn malformed_commands_end_in_errors() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|_| ()).await;
    let items: TestKeyspace = keyspace("malformed", 4).await;
    let mut witness = Witness::of(&proxy).await;
    let statement = b"\x16SELECT ?, n FROM items WHERE id = ?";
    let execute = |rest: &[u8]| [&[0x17, 1, 0, 0, 0, 0, 1, 0, 0, 0][..], rest].concat();
    let cases: Vec<(&str, Vec<u8>, End)> = vec![
        ("an empty packet", vec![], End::Anyhow),
        ("an empty text", b"\x03".to_vec(), End::Goes(1065)),
        ("a database of no name", b"\x02".to_vec(), End::Anyhow),
        ("a database that is no text", b"\x02\xff\xfe\0\0".to_vec(), End::Goes(1049)),
        ("a database of 100 kB", [&b"\x02"[..], &[b'd'; 100_000]].concat(), End::Anyhow),
        ("a field list without an end", b"\x04items".to_vec(), End::Anyhow),
        ("a kill without a number", b"\x0c\x01".to_vec(), End::Anyhow),
        ("a kill of nobody", b"\x0c\xff\xff\xff\x7f".to_vec(), End::Goes(1094)),
        ("an option of one byte", b"\x1b\x00".to_vec(), End::Anyhow),
        ("an unknown option", b"\x1b\x07\x00".to_vec(), End::Goes(1047)),
        ("another user, cut off", b"\x11app".to_vec(), End::Anyhow),
        (
            "another user of 2^64 bytes",
            b"\x11app\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
            End::Anyhow,
        ),
        ("a statement that is none", b"\x16".to_vec(), End::Goes(1065)),
        ("an execution of nothing", b"\x17".to_vec(), End::Anyhow),
        (
            "an execution of an unknown statement",
            [&[0x17, 99, 0, 0, 0, 0, 1, 0, 0, 0][..], &[0; 20]].concat(),
            End::Goes(1243),
        ),
        ("a fetch of an unknown statement", b"\x1c\x63\0\0\0\x01\0\0\0".to_vec(), End::Goes(1243)),
        ("a fetch without a cursor", b"\x1c\x01\0\0\0\x01\0\0\0".to_vec(), End::Goes(1421)),
        ("a fetch, cut off", b"\x1c\x01\0".to_vec(), End::Anyhow),
        ("a reset of an unknown statement", b"\x1a\x63\0\0\0".to_vec(), End::Goes(1243)),
        ("long data for an unknown statement", b"\x18\x63\0\0\0\0\0data".to_vec(), End::Silent),
        ("long data, cut off", b"\x18\x01".to_vec(), End::Anyhow),
        ("the end of an unknown statement", b"\x19\x63\0\0\0".to_vec(), End::Silent),
        ("no types, and none bound before", execute(&[0, 0, 8, 0, 8, 0]), End::Anyhow),
        ("no NULL bitmap", execute(&[]), End::Anyhow),
        ("types cut off", execute(&[0, 1, 8]), End::Anyhow),
        ("values cut off", execute(&[0, 1, 8, 0, 8, 0, 1, 2, 3]), End::Anyhow),
        (
            "a text of 2^64 bytes",
            execute(&[0, 1, 254, 0, 8, 0, 0xFE, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
            End::Anyhow,
        ),
        (
            "a text of 16 MiB that is not there",
            execute(&[0, 1, 254, 0, 8, 0, 0xFD, 255, 255, 255]),
            End::Anyhow,
        ),
        ("an unknown type", execute(&[&[0, 1, 99, 0, 8, 0][..], &[1; 16]].concat()), End::Anyhow),
        ("a date of 200 bytes", execute(&[&[0, 1, 12, 0, 8, 0, 200][..], &[1; 16]].concat()), End::Anyhow),
        ("a time of 3 bytes", execute(&[&[0, 1, 11, 0, 8, 0, 3][..], &[1; 16]].concat()), End::Anyhow),
    ];
    for (what, payload, end) in cases {
        let mut client = client(&proxy, &items.name).await;
        assert!(matches!(client.command(statement).await, Answer::Ok), "PREPARE answers with a zero byte");
        read_prepared(&mut client).await;
        client.send_packet(0, &payload).await.unwrap();
        ends_in(&mut client, what, end).await;
    }
    witness.is_untouched("malformed commands").await;
}

/// Reads what follows the first packet of a PREPARE's answer: two parameters, two columns, and an EOF after each.
async fn read_prepared(client: &mut RawClient) {
    for _ in 0..6 {
        client.packet().await.unwrap().expect("the connection stays");
    }
}

#[tokio::test]
async fn query_attributes_are_counted_with_care() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|_| ()).await;
    let mut witness = Witness::of(&proxy).await;
    let cases: [(&str, &[u8]); 7] = [
        ("2^64 attributes", b"\x03\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01SELECT 1"),
        ("65535 attributes", b"\x03\xfc\xff\xff\x01SELECT 1"),
        ("2^64 sets of them", b"\x03\x01\xfe\xff\xff\xff\xff\xff\xff\xff\xffSELECT 1"),
        ("no sets of them", b"\x03\x01\x00SELECT 1"),
        ("one, cut off in its bitmap", b"\x03\x01\x01"),
        ("one, cut off in its name", b"\x03\x01\x01\x00\x01\xfe\x00\xff"),
        ("one, of an unknown type", b"\x03\x01\x01\x00\x01\x63\x00\x01xSELECT 1"),
    ];
    for (what, payload) in cases {
        let more = CapabilityFlags::CLIENT_QUERY_ATTRIBUTES;
        let mut client = RawClient::login(proxy.local_addr(), "", more).await.unwrap();
        assert!(matches!(client.query(b"SELECT 1").await, Answer::Packet(_)));
        while client.packet().await.unwrap().unwrap()[0] != 0xFE {}
        while client.packet().await.unwrap().unwrap()[0] != 0xFE {}
        client.send_packet(0, payload).await.unwrap();
        ends_in(&mut client, what, End::Anyhow).await;
    }
    witness.is_untouched("query attributes").await;
}

#[tokio::test]
async fn packets_out_of_order_end_the_connection() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|_| ()).await;
    let mut witness = Witness::of(&proxy).await;
    for seq in [1, 2, 128, 255] {
        let mut client = client(&proxy, "").await;
        client.send(&[1, 0, 0, seq, 0x0E]).await.unwrap();
        ends_in(&mut client, &format!("number {seq} at first"), End::Closes(1156)).await;
    }
    let mut client = client(&proxy, "").await;
    let mut long = vec![255, 255, 255, 0, 3];
    long.resize(4 + 0xFF_FFFF, b' ');
    long.extend([1, 0, 0, 5, b' ']);
    let _ = client.send(&long).await;
    ends_in(&mut client, "number 5 where 1 should be", End::Closes(1156)).await;
    witness.is_untouched("packets out of order").await;
}

#[tokio::test]
async fn a_command_that_does_not_arrive_is_not_waited_for() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|config| config.client.read_deadline = READ_DEADLINE).await;
    let mut witness = Witness::of(&proxy).await;
    let cases: [(&str, &[u8]); 4] = [
        ("a length alone", &[255, 255, 255]),
        ("16 MiB announced, nothing sent", &[255, 255, 255, 0]),
        ("16 MiB announced, something sent", b"\xff\xff\xff\0\x03SELECT 1"),
        ("half a query", b"\x09\0\0\0\x03SEL"),
    ];
    for (what, bytes) in cases {
        let mut staying = client(&proxy, "").await;
        staying.send(bytes).await.unwrap();
        assert!(staying.is_closed_within(READ_DEADLINE + SLACK).await, "{what}: it is waited for");
        let mut leaving = client(&proxy, "").await;
        leaving.send(bytes).await.unwrap();
        leaving.shut_down().await;
        assert!(leaving.is_closed_within(SLACK).await, "{what}, and left");
    }
    witness.is_untouched("commands that did not arrive").await;
}

#[tokio::test]
async fn a_command_larger_than_the_bound_is_refused_before_it_is_held() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|config| config.client.max_packet = 1 << 20).await;
    let mut witness = Witness::of(&proxy).await;
    let before = resident_bytes();
    for _ in 0..32 {
        let mut client = client(&proxy, "").await;
        let _ = client.send(&[255, 255, 255, 0, 3]).await;
        for _ in 0..15 {
            if client.send(&[b'x'; 1 << 20]).await.is_err() {
                break;
            }
        }
        assert!(matches!(client.answer().await, Answer::Error(1153) | Answer::Closed));
        assert!(client.is_closed_within(SLACK).await);
    }
    assert!(resident_bytes() < before + MUCH_MEMORY);
    witness.is_untouched("commands of 16 MiB").await;
}

#[tokio::test]
async fn parameters_sent_ahead_are_bounded() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|config| config.client.max_long_data = 4 << 20).await;
    let mut witness = Witness::of(&proxy).await;
    let before = resident_bytes();
    let mut client = client(&proxy, "").await;
    assert_eq!(client.command(b"\x16SELECT LENGTH(?)").await, Answer::Ok);
    for _ in 0..4 {
        client.packet().await.unwrap().unwrap();
    }
    let piece = [&b"\x18\x01\0\0\0\0\0"[..], &[b'x'; 1 << 20]].concat();
    for _ in 0..300 {
        client.send_packet(0, &piece).await.unwrap();
    }
    let answer = client.command(b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\xfc\0").await;
    assert!(matches!(answer, Answer::Error(_)), "300 MiB went through a bound of 4: {answer:?}");
    assert!(resident_bytes() < before + MUCH_MEMORY / 2, "{} MiB", (resident_bytes() - before) >> 20);
    assert_eq!(client.command(b"\x0e").await, Answer::Ok);
    witness.is_untouched("300 MiB of parameters").await;
}

#[tokio::test]
async fn prepared_statements_of_one_session_are_bounded() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|config| config.client.max_statements = 100).await;
    let mut witness = Witness::of(&proxy).await;
    let mut client = client(&proxy, "").await;
    for n in 0..120 {
        let answer = client.command(format!("\x16SELECT {n}").as_bytes()).await;
        if n < 100 {
            assert_eq!(answer, Answer::Ok, "statement {n}");
            client.packet().await.unwrap().unwrap();
            client.packet().await.unwrap().unwrap();
        } else {
            assert_eq!(answer, Answer::Error(1461), "statement {n}");
        }
    }
    assert_eq!(client.command(b"\x0e").await, Answer::Ok);
    witness.is_untouched("many statements").await;
}
