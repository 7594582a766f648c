//! Before a client has proved who it is: truncated and twisted logins, floods, and clients that take for ever.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use podway_tests::{eventually_async, is_left_out};
use podway_wire::{CapabilityFlags, ClientAuth, ServerKey, write_packet};

use crate::ground::{MUCH_MEMORY, Witness, proxy, resident_bytes};
use podway_tests::raw::{Answer, CAPABILITIES, RawClient, login_of};

const LOGIN_DEADLINE: Duration = Duration::from_secs(2);
/// For a loaded machine: when a deadline has surely been noticed.
const SLACK: Duration = Duration::from_secs(20);

/// The payload of a login that is right but for the password's proof, which is for another greeting.
fn login_payload() -> Vec<u8> {
    let greeting = podway_wire::Greeting {
        version: b"8.4.0".to_vec(),
        connection_id: 1,
        nonce: [7; 20],
        capabilities: CapabilityFlags::all(),
        charset: 255,
        status: podway_wire::StatusFlags::empty(),
        plugin: b"caching_sha2_password".to_vec(),
    };
    ClientAuth::new(login_of("mysql", CapabilityFlags::empty()), ServerKey::Refuse)
        .on_greeting(&greeting, false)
        .unwrap()
}

fn framed(seq: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = BytesMut::new();
    write_packet(&mut packet, &mut seq.clone(), payload);
    packet.to_vec()
}

/// Whatever the proxy asks, the answer is garbage, until it ends.
async fn ends_without_a_login(client: &mut RawClient, what: &str) {
    for round in 0..8u8 {
        match client.answer().await {
            Answer::Closed => return,
            Answer::Error(number) => {
                assert!(
                    [1043, 1045, 1047, 1049, 1156, 1153, 1251, 1835, 2012].contains(&number),
                    "{what}: error {number}"
                );
                assert!(client.is_closed_within(SLACK).await, "{what}: open after error {number}");
                return;
            }
            Answer::Ok => panic!("{what}: was let in"),
            Answer::Packet(_) => {
                let _ = client.send(&framed(3 + 2 * round, b"garbage")).await;
            }
        }
    }
    panic!("{what}: goes on for ever");
}

#[tokio::test]
async fn no_part_of_a_login_is_a_login() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|config| config.client.login_deadline = LOGIN_DEADLINE).await;
    let mut witness = Witness::of(&proxy).await;
    let payload = login_payload();
    for length in 0..=payload.len() {
        let (mut client, _) = RawClient::greet(proxy.local_addr()).await.unwrap();
        client.send(&framed(1, &payload[..length])).await.unwrap();
        ends_without_a_login(&mut client, &format!("the first {length} bytes")).await;
        // The same, but the packet says that there is more, and the client leaves.
        let (mut client, _) = RawClient::greet(proxy.local_addr()).await.unwrap();
        client.send(&framed(1, &payload)[..4 + length - length / 8]).await.unwrap();
        client.shut_down().await;
        assert!(client.is_closed_within(SLACK).await, "left after {length} bytes");
    }
    witness.is_untouched("truncated logins").await;
}

#[tokio::test]
async fn twisted_logins_are_refused() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|config| config.client.login_deadline = LOGIN_DEADLINE).await;
    let mut witness = Witness::of(&proxy).await;
    let payload = login_payload();
    let with = |at: usize, bytes: &[u8]| {
        let mut twisted = payload.clone();
        twisted.splice(at..(at + bytes.len()).min(twisted.len()), bytes.iter().copied());
        twisted
    };
    // After the fixed 32 bytes: the user with its NUL, then the length of the proof.
    let proof = 32 + "app".len() + 1;
    let old = (CAPABILITIES.bits() & !CapabilityFlags::CLIENT_PROTOCOL_41.bits()).to_le_bytes();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a wrong sequence number", framed(0, &payload)),
        ("another one", framed(200, &payload)),
        ("a proof of 2^64 bytes", framed(1, &with(proof, &[0xFE, 255, 255, 255, 255, 255, 255, 255, 255]))),
        ("a proof of 16 MiB", framed(1, &with(proof, &[0xFD, 255, 255, 255]))),
        ("a NULL proof", framed(1, &with(proof, &[0xFB]))),
        ("no end of the user's name", framed(1, &[&payload[..32], &[b'x'; 300]].concat())),
        ("bytes behind the end", framed(1, &[&payload[..], &[1; 500]].concat())),
        ("a protocol before 4.1", framed(1, &with(0, &old))),
        ("every capability", framed(1, &with(0, &[255; 4]))),
        ("no capability", framed(1, &with(0, &[0; 4]))),
        ("no packet", framed(1, b"")),
        ("noughts", framed(1, &[0; 4096])),
        ("a command", framed(0, b"\x03SELECT 1")),
        ("another protocol", b"GET / HTTP/1.1\r\nHost: podway\r\n\r\n".to_vec()),
        ("TLS without asking", [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3][..], &[9; 502]].concat()),
        ("the start of TLS, then no TLS", [framed(1, &tls_request()), framed(2, &payload)].concat()),
        ("the start of TLS, twice", [framed(1, &tls_request()), framed(2, &tls_request())].concat()),
    ];
    for (what, bytes) in cases {
        let (mut client, _) = RawClient::greet(proxy.local_addr()).await.unwrap();
        client.send(&bytes).await.unwrap();
        ends_without_a_login(&mut client, what).await;
    }
    witness.is_untouched("twisted logins").await;
}

fn tls_request() -> Vec<u8> {
    let mut payload = Vec::new();
    let capabilities = CAPABILITIES | CapabilityFlags::CLIENT_SSL;
    podway_wire::TlsRequest { capabilities, max_packet: 1 << 24, charset: 255 }.encode(&mut payload);
    payload
}

#[tokio::test]
async fn what_is_sent_before_the_login_is_not_kept() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|config| config.client.login_deadline = LOGIN_DEADLINE).await;
    let mut witness = Witness::of(&proxy).await;
    let before = resident_bytes();
    let mut clients = Vec::new();
    for _ in 0..64 {
        let (mut client, _) = RawClient::greet(proxy.local_addr()).await.unwrap();
        // A login of 16 MiB less one byte is announced, and most of it is sent, unless the proxy has had enough.
        clients.push(tokio::spawn(async move {
            let _ = client.send(&[255, 255, 255, 1]).await;
            for _ in 0..15 {
                if client.send(&[b'x'; 1 << 20]).await.is_err() {
                    break;
                }
            }
            client
        }));
    }
    let mut most = 0;
    for client in clients {
        most = most.max(resident_bytes());
        let mut client = client.await.unwrap();
        assert!(client.is_closed_within(SLACK).await);
    }
    assert!(most < before + MUCH_MEMORY, "{} MiB for 64 logins", (most - before) >> 20);
    witness.is_untouched("a flood before the login").await;
}

#[tokio::test]
async fn a_slow_login_ends_at_the_deadline_and_keeps_nobody_out_for_longer() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|config| {
        config.client.login_deadline = LOGIN_DEADLINE;
        config.client.max_unauthenticated = 20;
    })
    .await;
    let (address, mut witness) = (proxy.local_addr(), Witness::of(&proxy).await);
    let payload = framed(1, &login_payload());
    let started = Instant::now();
    let mut slow = Vec::new();
    for n in 0..20usize {
        let (mut client, _) = RawClient::greet(address).await.unwrap();
        let payload = payload.clone();
        slow.push(tokio::spawn(async move {
            // Some say nothing, some start with the length, some go on byte by byte.
            for byte in payload.iter().take(n * 3) {
                if client.send(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            assert!(client.is_closed_within(SLACK).await, "slow client {n} is still there");
        }));
    }
    // All seats before the login are taken: the next is turned away at once, in the place of the greeting.
    let mut turned_away = RawClient::connect(address).await.unwrap();
    assert_eq!(turned_away.answer().await, Answer::Error(1040));
    for client in slow {
        client.await.unwrap();
    }
    assert!(started.elapsed() >= LOGIN_DEADLINE, "cut off before the deadline");
    eventually_async(SLACK, "a seat is free again", || async {
        RawClient::login(address, "", CapabilityFlags::empty()).await.ok().map(drop)
    })
    .await;
    witness.is_untouched("slow logins").await;
}

#[tokio::test]
async fn clients_that_come_and_go_at_once_leave_nothing() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|_| ()).await;
    let mut witness = Witness::of(&proxy).await;
    let (sessions, before) = (proxy.metrics().sessions, resident_bytes());
    for n in 0..500 {
        let client = RawClient::connect(proxy.local_addr()).await.unwrap();
        if n % 2 == 0 {
            client.reset();
        }
    }
    eventually_async(SLACK, "their sessions are off the books", || async {
        (proxy.metrics().sessions <= sessions).then_some(())
    })
    .await;
    assert!(resident_bytes() < before + MUCH_MEMORY);
    witness.is_untouched("500 clients that left").await;
}
