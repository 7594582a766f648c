//! Records of a client's file that want numbers, beside one MySQL.

use bytes::Bytes;
use futures::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, InfileData};
use podway_model::ServerId;

use crate::ground::{Ground, Pair, plain};

fn give(conn: &mut Conn, file: &str, piece: usize) {
    let pieces: Vec<_> =
        file.as_bytes().chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    conn.set_infile_handler(async move {
        let data: InfileData = futures::stream::iter(pieces).boxed();
        Ok(data)
    });
}

#[tokio::test]
async fn records_of_a_file_get_numbers_as_from_one_mysql() {
    let ground = Ground::new("ai_loads", 1).await;
    let mut pair = Pair::new(&ground).await;
    for (pod, servers) in [(ground.keyspace.pod, 2), (plain().await, 1)] {
        for server in 0..servers {
            let mut admin = pod.admin(ServerId(server)).await.unwrap();
            admin.query_drop("SET GLOBAL local_infile = 1").await.unwrap();
        }
    }
    let many: String = (0..60).map(|n| format!("subject {n},{n}\n")).collect();
    let cases = [
        ("tickets FIELDS TERMINATED BY ',' (subject, code)", many.as_str(), "tickets"),
        (
            "visits FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' (customer, id, page)",
            "1,\\N,a\n2,0,\"b,c\"\n3,\"0\",d\n4,NULL,e\n5,\\N,f\n1,\\N,g\n",
            "visits",
        ),
        ("units LINES STARTING BY '>' (name)", ">kg\nx>m\nno\n>s\n", "units"),
    ];
    for (rest, file, table) in cases {
        let sql = format!("LOAD DATA LOCAL INFILE 'x' INTO TABLE {rest}");
        give(&mut pair.ours, file, 1000);
        give(&mut pair.theirs, file, 1000);
        pair.same(&sql).await;
        pair.same_rows(table).await;
    }
    let more: String = (100..4000).map(|n| format!("{n}\n")).collect();
    give(&mut pair.ours, &more, 1000);
    pair.ours.query_drop("LOAD DATA LOCAL INFILE 'x' INTO TABLE tickets (code)").await.unwrap();
    let ids: Vec<u64> =
        pair.ours.query("SELECT id FROM tickets WHERE code >= 100 ORDER BY code").await.unwrap();
    assert_eq!(ids.len(), 3900);
    assert!(ids.is_sorted_by(|one, other| one < other), "{ids:?}");
    // Numbers of the file's own are above the marks from then on.
    give(&mut pair.ours, "900000\tx\n", 3);
    pair.ours.query_drop("LOAD DATA LOCAL INFILE 'x' INTO TABLE tickets (id, subject)").await.unwrap();
    pair.ours.query_drop("INSERT INTO tickets (subject) VALUES ('later')").await.unwrap();
    let later: Option<u64> =
        pair.ours.query_first("SELECT id FROM tickets WHERE subject = 'later'").await.unwrap();
    assert!(later > Some(900_000), "{later:?}");
    let copies: Vec<u64> = pair.ours.query("SELECT COUNT(*) FROM units").await.unwrap();
    assert_eq!(copies, [3]);
}
