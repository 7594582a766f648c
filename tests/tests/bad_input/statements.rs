//! SQL that is built to break parsers: deep, long, not text at all. Over one shard the answer is MySQL's own; over four it may be a
//! refusal; the session goes on in any case, unless MySQL itself would end it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use podway_model::{ServerId, ShardIndex};
use podway_tests::{Pod, TestKeyspace, is_left_out};
use podway_wire::CapabilityFlags;

use crate::ground::{MUCH_MEMORY, Witness, keyspace, proxy, resident_bytes};
use podway_tests::raw::{Answer, RawClient};

/// No hostile text holds a session for longer, in an unoptimised build on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// MySQL's error when the parser has used up its memory.
const OUT_OF_MEMORY: u16 = 3950;

/// What an answer is, as far as it must be the same from MySQL and over one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Rows(usize),
    Done,
    Error(u16),
    Closed,
}

type Text = (&'static str, Vec<u8>);

fn hostile_texts() -> Vec<Text> {
    [nested_texts(), long_texts(), broken_texts(), texts_that_are_no_text()].concat()
}

fn nested_texts() -> Vec<Text> {
    let around = |open: &str, inner: &str, close: &str, times: usize| {
        let (open, close) = (open.repeat(times), close.repeat(times));
        format!("SELECT {open}{inner}{close} FROM items WHERE id = 1").into_bytes()
    };
    let (opened, closed) = ("(".repeat(2_000), ")".repeat(2_000));
    let (from, alias) = ("(SELECT * FROM ".repeat(300), ") t".repeat(300));
    let (comment, end) = ("/*!50000 ".repeat(1_000), " */".repeat(1_000));
    vec![
        ("40 kB of nested parentheses", around("(", "1", ")", 20_000)),
        ("40 kB of parentheses that are not closed", format!("SELECT {}", "(".repeat(40_000)).into_bytes()),
        ("parentheses in WHERE", format!("SELECT n FROM items WHERE {opened}id = 1{closed}").into_bytes()),
        ("10,000 minus signs", around("- ", "1", "", 10_000)),
        ("10,000 NOTs", around("NOT ", "1", "", 10_000)),
        ("10,000 tildes", around("~", "1", "", 10_000)),
        ("3,000 nested functions", around("ABS(", "1", ")", 3_000)),
        ("3,000 nested CASEs", around("CASE WHEN 1 THEN ", "1", " END", 3_000)),
        ("500 nested subqueries", around("(SELECT ", "1", ")", 500)),
        ("300 derived tables", format!("SELECT * FROM {from}items{alias}").into_bytes()),
        ("nested version comments", format!("SELECT {comment}1{end}").into_bytes()),
    ]
}

fn long_texts() -> Vec<Text> {
    let list = |first: &str, item: &str, times: usize| {
        format!("SELECT n FROM items WHERE {first}{}", item.repeat(times)).into_bytes()
    };
    let joins: String = (1..200).map(|n| format!(" JOIN items a{n}")).collect();
    let (name, digits) = ("x".repeat(1 << 20), "9".repeat(1 << 20));
    vec![
        ("5,000 ORs", list("id = 1", " OR id = 2", 5_000)),
        ("5,000 ANDs", list("id = 1", " AND id = 1", 5_000)),
        ("10,000 values in IN", [list("id IN (1", ", 1", 10_000), b")".to_vec()].concat()),
        ("1,000 UNIONs", format!("SELECT 1{}", " UNION SELECT 1".repeat(1_000)).into_bytes()),
        ("200 joins", format!("SELECT 1 FROM items a0{joins}").into_bytes()),
        ("5,000 columns", format!("SELECT 1{}", ", 1".repeat(4_999)).into_bytes()),
        ("a name of 1 MiB", format!("SELECT `{name}` FROM items WHERE id = 1").into_bytes()),
        ("a number of 1 MiB", format!("SELECT n FROM items WHERE id = {digits}").into_bytes()),
        ("an exponent too large", b"SELECT n FROM items WHERE id = 1e999999999".to_vec()),
        ("a string of 1 MiB", format!("SELECT n FROM items WHERE id = '{name}'").into_bytes()),
        ("blanks", vec![b' '; 1 << 20]),
        ("semicolons", vec![b';'; 100_000]),
    ]
}

fn broken_texts() -> Vec<Text> {
    let brackets = b"SELECT ([{<>}])".iter().copied().cycle().take(100_000).collect();
    vec![
        ("a string that is not closed", b"SELECT 'abc".to_vec()),
        ("a name that is not closed", b"SELECT `abc".to_vec()),
        ("a comment that is not closed", b"SELECT 1 /* abc".to_vec()),
        ("a version comment that is not closed", b"SELECT 1 /*!50000 + 1".to_vec()),
        ("a hint that is not closed", b"SELECT /*+ MAX_EXECUTION_TIME(1 n FROM items WHERE id = 1".to_vec()),
        ("a backslash at the end", b"SELECT 'abc\\".to_vec()),
        ("hexadecimal of odd length", b"SELECT x'123'".to_vec()),
        ("a delimiter that is ours", b"SELECT ?, :1, ${a}, {{a}} FROM items WHERE id = 1".to_vec()),
        ("100 kB of brackets of all kinds", brackets),
    ]
}

fn texts_that_are_no_text() -> Vec<Text> {
    vec![
        ("noughts", vec![0; 10_000]),
        ("noughts in a text", b"SELECT\0 1".to_vec()),
        ("every byte", (0..=255).collect()),
        ("invalid UTF-8 in a string", b"SELECT n, '\xff\xfe\xc0\x80' FROM items WHERE id = 1".to_vec()),
        ("invalid UTF-8 in a name", b"SELECT `\xff\xfe` FROM items WHERE id = 1".to_vec()),
        ("invalid UTF-8 outside of everything", b"SELECT n \xff\xfe FROM items WHERE id = 1".to_vec()),
        ("a surrogate", b"SELECT '\xed\xa0\x80'".to_vec()),
        ("half a character at the end", b"SELECT 'a\xe2\x82".to_vec()),
        ("an overlong slash", b"SELECT '\xc0\xa7 OR 1=1 -- '".to_vec()),
    ]
}

async fn outcome(client: &mut RawClient, sql: &[u8]) -> Outcome {
    match client.query(sql).await {
        Answer::Ok => Outcome::Done,
        Answer::Error(number) => Outcome::Error(number),
        Answer::Closed => Outcome::Closed,
        Answer::Packet(_) => match rows(client).await {
            Ok(rows) => Outcome::Rows(rows),
            Err(number) => Outcome::Error(number),
        },
    }
}

/// Reads a result to its end, after its first packet; returns how many rows it had.
async fn rows(client: &mut RawClient) -> Result<usize, u16> {
    let (mut ends, mut rows) = (0, 0);
    while ends < 2 {
        let packet = client.packet().await.unwrap().expect("a result has an end");
        match packet[0] {
            0xFE if packet.len() < 9 => ends += 1,
            0xFF => return Err(u16::from_le_bytes([packet[1], packet[2]])),
            _ => rows += ends,
        }
    }
    Ok(rows)
}

async fn try_texts(address: SocketAddr, database: &str) -> Vec<(&'static str, Outcome)> {
    let mut client = RawClient::login(address, database, CapabilityFlags::empty()).await.unwrap();
    let mut outcomes = Vec::new();
    for (what, sql) in hostile_texts() {
        let started = Instant::now();
        let ended = outcome(&mut client, &sql).await;
        assert!(started.elapsed() < DEADLINE, "{what} took {:?}", started.elapsed());
        if ended == Outcome::Closed || client.command(b"\x0e").await != Answer::Ok {
            outcomes.push((what, Outcome::Closed));
            client = RawClient::login(address, database, CapabilityFlags::empty()).await.unwrap();
        } else {
            outcomes.push((what, ended));
        }
    }
    outcomes
}

#[tokio::test]
async fn hostile_texts_over_one_shard_get_mysqls_own_answer() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|_| ()).await;
    let (one, mut witness) = (keyspace("hostile_one", 1).await, Witness::of(&proxy).await);
    one.on_shard(ShardIndex(0), "INSERT INTO items (id) VALUES (1), (2), (3)").await.unwrap();
    let before = resident_bytes();
    let through = try_texts(proxy.local_addr(), &one.name).await;
    assert!(resident_bytes() < before + MUCH_MEMORY);
    witness.is_untouched("hostile texts").await;
    let direct = try_texts(direct_address(&one).await, &one.name).await;
    // What MySQL's parser has no memory for may be refused before it gets there.
    let is_own = |(_, outcome): &(&str, Outcome)| *outcome == Outcome::Error(OUT_OF_MEMORY);
    let differ: Vec<_> = through
        .iter()
        .zip(&direct)
        .filter(|(through, direct)| through != direct && !is_own(direct))
        .collect();
    assert!(differ.is_empty(), "(through Podway, from MySQL): {differ:#?}");
}

async fn direct_address(keyspace: &TestKeyspace<'_>) -> SocketAddr {
    let id = keyspace.get().shards[0].server;
    let map = Pod::shared().await.map();
    let server = map.server(ServerId(id.0)).unwrap();
    format!("{}:{}", server.host, server.port).parse().unwrap()
}

#[tokio::test]
async fn hostile_texts_over_four_shards_end_in_mysqls_answer_or_an_error() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|_| ()).await;
    let (four, mut witness) = (keyspace("hostile_four", 4).await, Witness::of(&proxy).await);
    let mut client =
        RawClient::login(proxy.local_addr(), &four.name, CapabilityFlags::empty()).await.unwrap();
    for id in 1..=3 {
        assert_eq!(
            client.query(format!("INSERT INTO items (id) VALUES ({id})").as_bytes()).await,
            Answer::Ok
        );
    }
    let before = resident_bytes();
    let through = try_texts(proxy.local_addr(), &four.name).await;
    assert!(resident_bytes() < before + MUCH_MEMORY);
    witness.is_untouched("hostile texts").await;
    let whole = keyspace("hostile_whole", 1).await;
    whole.on_shard(ShardIndex(0), "INSERT INTO items (id) VALUES (1), (2), (3)").await.unwrap();
    let direct = try_texts(direct_address(&whole).await, &whole.name).await;
    for ((what, outcome), (_, whole)) in through.into_iter().zip(direct) {
        let is_refused = matches!(outcome, Outcome::Error(_));
        assert!(is_refused || outcome == whole, "{what}: {outcome:?}, but MySQL: {whole:?}");
    }
}

#[tokio::test]
async fn hostile_texts_can_be_prepared_without_harm() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|_| ()).await;
    let (four, mut witness) = (keyspace("hostile_prepared", 4).await, Witness::of(&proxy).await);
    for (what, sql) in hostile_texts() {
        // A session for each: what follows a PREPARE's first packet is not read.
        let mut client =
            RawClient::login(proxy.local_addr(), &four.name, CapabilityFlags::empty()).await.unwrap();
        let answer = client.command(&[b"\x16", &sql[..]].concat()).await;
        assert!(matches!(answer, Answer::Ok | Answer::Error(_)), "{what}: {answer:?}");
    }
    witness.is_untouched("hostile texts").await;
}

#[tokio::test]
async fn many_different_texts_do_not_fill_the_memory() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let proxy = proxy(|config| config.plan_cache_bytes = 1 << 20).await;
    let (four, mut witness) = (keyspace("many_texts", 4).await, Witness::of(&proxy).await);
    let before = resident_bytes();
    let mut client =
        RawClient::login(proxy.local_addr(), &four.name, CapabilityFlags::empty()).await.unwrap();
    for n in 0..2_000 {
        let sql = format!(
            "SELECT n AS a{n}, {} FROM items WHERE id = 1",
            format!("text AS b{n}, ").repeat(100).trim_end_matches(", ")
        );
        assert_eq!(outcome(&mut client, sql.as_bytes()).await, Outcome::Rows(0));
    }
    assert!(resident_bytes() < before + MUCH_MEMORY / 2, "{} MiB", (resident_bytes() - before) >> 20);
    witness.is_untouched("many texts").await;
}
