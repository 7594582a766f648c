//! What a client is told of its commits: the stamp in the OK packet and by name, what became of a transaction, and what comes after another session's commit.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use podway_model::{HybridTime, ServerId};
use podway_tests::raw::{self, RawClient};
use podway_tests::{RunningProxy, is_left_out};
use podway_wire::{CapabilityFlags, OkPacket, SessionTrack};

use crate::ground::{Ground, add, answer, code};

fn wall() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
}

/// Whether two servers were written to, what their commit was stamped.
async fn stamp_of(ground: &mut Ground) -> Option<String> {
    let decisions = ground.decisions().await;
    assert!(decisions.len() < 2, "{decisions:?}");
    decisions.first().map(|decision| HybridTime(decision.stamp.unwrap()).to_string())
}

/// A client by hand, with these capabilities besides.
async fn client(ground: &Ground, more: CapabilityFlags) -> RawClient {
    let all = more | CapabilityFlags::CLIENT_DEPRECATE_EOF;
    RawClient::login(ground.pod.address(), &ground.keyspace.name, all).await.unwrap()
}

/// What a statement that is answered OK tells of `podway_last_commit`.
async fn told(client: &mut RawClient, tracks: CapabilityFlags, sql: &str) -> Vec<String> {
    client.send_packet(0, &[b"\x03", sql.as_bytes()].concat()).await.unwrap();
    let packet = client.packet().await.unwrap().unwrap();
    let capabilities = raw::CAPABILITIES | tracks | CapabilityFlags::CLIENT_DEPRECATE_EOF;
    let ok = OkPacket::decode(&packet, capabilities)
        .unwrap_or_else(|error| panic!("{sql}: {error}: {}", String::from_utf8_lossy(&packet)));
    let entries = SessionTrack::decode_all(&ok.session_track).unwrap();
    let ours = |entry: SessionTrack| match entry {
        SessionTrack::SystemVariable { name, value } if name == b"podway_last_commit" => {
            Some(String::from_utf8(value).unwrap())
        }
        _ => None,
    };
    entries.into_iter().filter_map(ours).collect()
}

#[tokio::test]
async fn the_ok_of_a_commit_over_several_servers_bears_its_stamp() {
    let mut ground = Ground::new("stamps_told").await;
    let track = CapabilityFlags::CLIENT_SESSION_TRACK;
    let everywhere = "UPDATE cells SET v = v + 0, note = CONCAT(note, '.')";
    let lists = [
        (track, None, true),
        (track, Some("''"), false),
        (track, Some("'autocommit'"), false),
        (track, Some("'autocommit, podway_last_commit'"), true),
        (track, Some("'*'"), true),
        (track, Some("DEFAULT"), true),
        (CapabilityFlags::empty(), None, false),
    ];
    for (capabilities, list, is_told) in lists {
        let mut client = client(&ground, capabilities).await;
        if let Some(list) = list {
            let set = format!("SET SESSION session_track_system_variables = {list}");
            assert!(told(&mut client, capabilities, &set).await.is_empty());
        }
        let mut sql = vec!["BEGIN".to_owned()];
        sql.extend((0..2).map(|shard| add(ground.row(shard, 0), 0).replace("+ 0", "+ 0, note = UUID()")));
        for sql in &sql {
            assert!(told(&mut client, capabilities, sql).await.is_empty(), "{sql}");
        }
        let committed = told(&mut client, capabilities, "COMMIT").await;
        let stamp = stamp_of(&mut ground).await.unwrap();
        assert_eq!(committed, if is_told { vec![stamp] } else { vec![] }, "{list:?}");

        let alone = told(&mut client, capabilities, everywhere).await;
        let stamp = stamp_of(&mut ground).await.unwrap();
        assert_eq!(alone, if is_told { vec![stamp] } else { vec![] }, "{list:?}");

        // What commits by the way is told of as well: by the statement itself.
        for sql in &sql {
            assert!(told(&mut client, capabilities, sql).await.is_empty(), "{sql}");
        }
        let implicit = told(&mut client, capabilities, "BEGIN").await;
        let stamp = stamp_of(&mut ground).await.unwrap();
        assert_eq!(implicit, if is_told { vec![stamp] } else { vec![] }, "{list:?}");

        // One server's has no stamp.
        let one = add(ground.row(2, 0), 1);
        assert!(told(&mut client, capabilities, &one).await.is_empty());
        assert!(told(&mut client, capabilities, "COMMIT").await.is_empty());
        assert_eq!(stamp_of(&mut ground).await, None);
    }
    ground.nothing_is_open().await;
}

/// The one value that a statement gives, by both protocols.
async fn value(conn: &mut Conn, sql: &str) -> Option<String> {
    let text: Row = conn.query_first(sql).await.unwrap().unwrap();
    let bound: Row = conn.exec_first(sql, ()).await.unwrap().unwrap();
    assert_eq!(text.columns_ref()[0].name_str(), bound.columns_ref()[0].name_str());
    let (text, bound): (Option<String>, Option<String>) = (text.get(0).unwrap(), bound.get(0).unwrap());
    assert_eq!(text, bound, "{sql}: as text, and bound");
    text
}

async fn commit_on(conn: &mut Conn, ground: &Ground, shards: [usize; 2]) -> String {
    conn.query_drop("BEGIN").await.unwrap();
    for shard in shards {
        conn.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
    }
    conn.query_drop("COMMIT").await.unwrap();
    value(conn, "SELECT PODWAY_LAST_COMMIT()").await.unwrap()
}

#[tokio::test]
async fn a_session_reads_its_last_commit_and_podways_variables_by_name() {
    let mut ground = Ground::new("stamps_read").await;
    let mut conn = ground.session().await;
    for (sql, expected) in [
        ("SELECT PODWAY_LAST_COMMIT()", None),
        ("SELECT @@podway_last_commit", Some("")),
        ("SELECT @@SESSION.podway_read", Some("fast")),
        ("SELECT @@podway_after", Some("")),
    ] {
        assert_eq!(value(&mut conn, sql).await.as_deref(), expected, "{sql}");
    }
    let stamp = commit_on(&mut conn, &ground, [0, 1]).await;
    assert_eq!(Some(stamp.clone()), stamp_of(&mut ground).await);
    assert_eq!(value(&mut conn, "SELECT @@podway_last_commit").await, Some(stamp.clone()));
    let row: Row =
        conn.query_first("SELECT PODWAY_LAST_COMMIT(), podway_last_commit() AS `b`").await.unwrap().unwrap();
    let names: Vec<_> = row.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
    assert_eq!(names, ["PODWAY_LAST_COMMIT()", "b"]);
    let sql = format!("SELECT id, PODWAY_LAST_COMMIT() FROM cells WHERE id = {}", ground.row(3, 0));
    assert_eq!(conn.query_first(sql).await.unwrap(), Some((ground.row(3, 0), stamp.clone())));
    // A rollback, a read and one server's commit leave it.
    for sql in
        ["BEGIN", &add(ground.row(0, 0), 1), &add(ground.row(1, 0), 1), "ROLLBACK", &add(ground.row(1, 0), 1)]
    {
        conn.query_drop(sql).await.unwrap();
    }
    assert_eq!(value(&mut conn, "SELECT PODWAY_LAST_COMMIT()").await, Some(stamp.clone()));
    let shown: Vec<(String, String)> = conn.query("SHOW VARIABLES LIKE 'podway%'").await.unwrap();
    let expected = [
        ("podway_after", ""),
        ("podway_last_commit", &stamp),
        ("podway_read", "fast"),
        ("podway_stamp_single_shard", "OFF"),
    ];
    assert_eq!(shown, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let tracked = value(&mut conn, "SELECT @@session_track_system_variables").await.unwrap();
    assert!(tracked.ends_with(",podway_last_commit"), "{tracked}");
    // Names, commas and blanks: what else a client writes there is none of it, whatever quotes it would end in a statement.
    for mode in ["", "NO_BACKSLASH_ESCAPES"] {
        conn.query_drop(format!("SET sql_mode = '{mode}'")).await.unwrap();
        for evil in [r#""a\', GET_LOCK(0x6C6C, 0) -- ""#, r#""a\\', 1""#, "'a'', 1, ''b'", "'é'"] {
            let set = format!("SET session_track_system_variables = {evil}");
            assert_eq!(answer(&mut conn, &set).await, "error 1231 42000", "{set}");
        }
        let set = "SET session_track_system_variables = 'podway_last_commit, sql_mode,*'";
        conn.query_drop(set).await.unwrap();
        let read = value(&mut conn, "SELECT @@session_track_system_variables").await;
        assert_eq!(read.as_deref(), Some("podway_last_commit, sql_mode,*"));
    }
    conn.query_drop("SET sql_mode = DEFAULT, session_track_system_variables = DEFAULT").await.unwrap();
    conn.query_drop("SET podway_read = SERIALIZABLE").await.unwrap();
    assert_eq!(value(&mut conn, "SELECT @@podway_read").await.as_deref(), Some("serializable"));
    for (sql, expected) in [
        ("SET podway_read = 'exact'", "error 1231 42000"),
        ("SET podway_last_commit = ''", "error 1238 HY000"),
        ("SET podway_read = CONCAT('fa', 'st')", "error 1235 42000"),
        ("SELECT @@GLOBAL.podway_read", "error 1193 HY000"),
        ("SELECT @@podway_written", "error 1193 HY000"),
    ] {
        assert_eq!(answer(&mut conn, sql).await, expected, "{sql}");
    }
    assert_eq!(value(&mut conn, "SELECT @@podway_read").await.as_deref(), Some("serializable"));
    conn.reset().await.unwrap();
    assert_eq!(value(&mut conn, "SELECT @@podway_read").await.as_deref(), Some("fast"));
    assert_eq!(value(&mut conn, "SELECT PODWAY_LAST_COMMIT()").await, None);
}

#[tokio::test]
async fn whoever_asks_is_told_what_became_of_a_transaction_and_settles_nothing() {
    let mut ground = Ground::new("stamps_outcome").await;
    let mut conn = ground.session().await;
    commit_on(&mut conn, &ground, [1, 3]).await;
    let committed = ground.decisions().await.pop().unwrap().gtrid;
    let aborted = committed.replace("-0", "-f");
    let mut root = ground.pod.admin(ServerId(2)).await.unwrap();
    let sql =
        format!("INSERT INTO _podway.decision (g, st, cts, parts) VALUES ('{aborted}', 'A', NULL, '2')");
    root.query_drop(sql).await.unwrap();
    let never = committed.replace("-0", "-e");
    for (id, expected) in [(&committed, "committed"), (&aborted, "aborted"), (&never, "unknown")] {
        let sql = format!("SELECT PODWAY_OUTCOME('{id}')");
        assert_eq!(value(&mut conn, &sql).await.as_deref(), Some(expected));
        let bound: Option<(String,)> = conn.exec_first("SELECT PODWAY_OUTCOME(?) AS o", (id,)).await.unwrap();
        assert_eq!(bound.unwrap().0, expected);
    }
    assert_eq!(value(&mut conn, "SELECT PODWAY_OUTCOME(NULL)").await, None);
    let row: Row = conn.query_first(format!("select podway_outcome('{never}') `is`")).await.unwrap().unwrap();
    assert_eq!(row.columns_ref()[0].name_str(), "is");
    for (sql, expected) in [
        ("SELECT PODWAY_OUTCOME('')", "error 1210 HY000"),
        ("SELECT PODWAY_OUTCOME('it')", "error 1210 HY000"),
        ("SELECT PODWAY_OUTCOME(@x)", "error 1235 42000"),
        ("SELECT 1, PODWAY_OUTCOME('it')", "error 1235 42000"),
        ("SELECT PODWAY_OUTCOME('it') FROM cells", "error 1235 42000"),
        ("SELECT PODWAY_OUTCOME()", "error 1305 42000"),
    ] {
        assert_eq!(answer(&mut conn, sql).await, expected, "{sql}");
    }

    // One that is being decided goes on, whoever asks.
    let mut holder = ground.pod.admin(ServerId(0)).await.unwrap();
    holder.query_drop("BEGIN").await.unwrap();
    holder.query_drop("SELECT COUNT(*) FROM _podway.decision FOR UPDATE").await.unwrap();
    let mut deciding = ground.session().await;
    deciding.query_drop("BEGIN").await.unwrap();
    for shard in 0..2 {
        deciding.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
    }
    let deciding = tokio::spawn(async move { code(deciding.query_drop("COMMIT").await) });
    ground.until_one_waits(0).await;
    let gtrid = crate::ground::prepared(ground.pod).await[0].1[..35].to_owned();
    let sql = format!("SELECT PODWAY_OUTCOME('{gtrid}')");
    for _ in 0..3 {
        assert_eq!(value(&mut conn, &sql).await.as_deref(), Some("unknown"));
    }
    holder.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(deciding.await.unwrap(), 0);
    assert_eq!(value(&mut conn, &sql).await.as_deref(), Some("committed"));
    let sql = format!("DELETE FROM _podway.decision WHERE g = '{aborted}'");
    root.query_drop(sql).await.unwrap();
    ground.nothing_is_open().await;
}

/// A proxy that has heard of a moment 400 ms ahead.
pub async fn ahead(ground: &Ground) -> RunningProxy {
    let configure = |config: &mut podway_proxy::ProxyConfig| {
        let later = HybridTime::at(wall() + Duration::from_millis(400));
        config.clock.observe(later).unwrap();
    };
    ground.pod.another_proxy(ground.pod.watch(), configure).await.unwrap()
}

#[tokio::test]
async fn what_a_session_commits_comes_after_the_stamp_that_it_was_given() {
    let ground = Ground::new("stamps_after").await;
    let mut second = ground.session().await;
    // Whoever made it, its clock is ahead, and none of these servers has it.
    let stamp = HybridTime::at(wall() + Duration::from_millis(400)).to_string();
    let without = commit_on(&mut second, &ground, [2, 3]).await;
    assert!(without < stamp, "nobody has told of it: {without}, {stamp}");
    second.query_drop(format!("SET podway_after = '{stamp}'")).await.unwrap();
    assert_eq!(value(&mut second, "SELECT @@podway_after").await, Some(stamp.clone()));
    let after = commit_on(&mut second, &ground, [2, 3]).await;
    assert!(after > stamp, "{after}, {stamp}");

    let far = HybridTime::at(wall() + Duration::from_secs(60)).to_string();
    let before = answer(&mut second, "SELECT @@podway_after").await;
    for (value, expected) in [(far.as_str(), 1231), ("7", 1231), ("later", 1231), (&stamp[1..], 1231)] {
        let refused = second.query_drop(format!("SET podway_after = '{value}'")).await.unwrap_err();
        let mysql_async::Error::Server(refused) = refused else { panic!("{refused}") };
        assert_eq!(refused.code, expected, "{refused}");
        assert_eq!(refused.message.contains("500 ms"), value == far, "{refused}");
        assert_eq!(answer(&mut second, "SELECT @@podway_after").await, before);
    }
    let next = commit_on(&mut second, &ground, [2, 3]).await;
    assert!(next > after && next < far, "what was refused moves no clock: {next}, {far}");
    second.exec_drop("SET podway_after = ?", (&next,)).await.unwrap();
    assert_eq!(value(&mut second, "SELECT @@podway_after").await, Some(next));
    second.exec_drop("SET podway_after = DEFAULT, podway_read = 'fast'", ()).await.unwrap();
    assert_eq!(value(&mut second, "SELECT @@podway_after").await.as_deref(), Some(""));
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn what_a_transaction_only_read_has_the_earlier_stamp_too() {
    if is_left_out("a proxy of its own") {
        return;
    }
    let ground = Ground::new("stamps_only_read").await;
    let proxy = ahead(&ground).await;
    let options = ground.pod.client_options().tcp_port(proxy.address.port());
    let mut first = Conn::new(options.db_name(Some(&ground.keyspace.name))).await.unwrap();
    let before = commit_on(&mut first, &ground, [0, 1]).await;
    // It reads what that wrote, on a server where it writes nothing and that is not its first.
    let mut second = ground.session().await;
    second.query_drop("BEGIN").await.unwrap();
    second.query_drop(add(ground.row(2, 0), 1)).await.unwrap();
    let sql = format!("SELECT v FROM cells WHERE id = {}", ground.row(1, 0));
    let _v: Option<i64> = second.query_first(sql).await.unwrap();
    second.query_drop(add(ground.row(3, 0), 1)).await.unwrap();
    second.query_drop("COMMIT").await.unwrap();
    let after = value(&mut second, "SELECT PODWAY_LAST_COMMIT()").await.unwrap();
    assert!(after > before, "{after}, {before}");
    ground.nothing_is_open().await;
}
