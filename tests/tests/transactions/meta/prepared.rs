//! Preparing a server twice changes nothing, puts right what somebody damaged, and leaves alone what cannot take part.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway::provision::{TransactionsReady, ensure_account, ensure_transactions, read_account};
use podway_model::{AccountName, ClusterSecret, HostPattern, transaction_account, transaction_token};
use podway_tests::Pod;

use super::{LATER, SERVER, another_pod, errno, options, uuid};

#[tokio::test]
async fn preparing_a_server_again_changes_nothing_and_puts_right_what_is_not() {
    let pod = another_pod().await;
    let (secret, uuid) = (pod.secret().clone(), uuid(&pod));
    let mut root = pod.admin(SERVER).await.unwrap();
    root.query_drop("SET SESSION sql_mode = 'ANSI', lock_wait_timeout = 77").await.unwrap();
    let before = executed(&mut root).await;
    assert_eq!(ensure_transactions(&mut root, &secret, &uuid).await.unwrap(), TransactionsReady::Ready);
    assert_eq!(executed(&mut root).await, before, "nothing is written where all is as it should be");
    let kept: (String, u32) =
        root.query_first("SELECT @@sql_mode, @@lock_wait_timeout").await.unwrap().unwrap();
    assert!(kept.0.contains("ANSI_QUOTES") && kept.1 == 77, "{kept:?}");
    root.query_drop("SET SESSION sql_mode = DEFAULT").await.unwrap();

    // What somebody did, and how it shows that it was put right.
    let password = secret.backend_password(&transaction_account(), &uuid);
    let damages = [
        "DROP PROCEDURE _podway.decide",
        "ALTER PROCEDURE _podway.decide COMMENT 'mine'",
        "ALTER PROCEDURE _podway.decide SQL SECURITY INVOKER",
        "DROP TABLE _podway.mark",
        "UPDATE _podway.secret SET value = REPEAT('x', 128) WHERE name = 'pads'",
        "DELETE FROM _podway.secret",
        "ALTER USER _podway IDENTIFIED BY 'mine'",
        "ALTER USER _podway ACCOUNT LOCK",
        "DROP USER _podway",
        "REVOKE XA_RECOVER_ADMIN ON *.* FROM _podway",
        "REVOKE INSERT ON _podway.decision FROM _podway",
        "REVOKE SELECT ON performance_schema.data_lock_waits FROM _podway",
        "REVOKE EXECUTE ON PROCEDURE _podway.decide FROM app",
        "CREATE USER late IDENTIFIED BY 'x'",
        "CREATE USER ''@'10.1.2.3' IDENTIFIED BY 'x'",
        "DROP DATABASE _podway",
    ];
    for damage in damages {
        root.query_drop(damage).await.unwrap();
        let damaged = executed(&mut root).await;
        let ready = ensure_transactions(&mut root, &secret, &uuid).await;
        assert_eq!(ready.unwrap_or_else(|e| panic!("{damage}: {e}")), TransactionsReady::Ready);
        let repaired = executed(&mut root).await;
        assert_ne!(repaired, damaged, "{damage}");
        ensure_transactions(&mut root, &secret, &uuid).await.unwrap();
        assert_eq!(executed(&mut root).await, repaired, "{damage}: once is enough");
        works(&pod, &password, &secret.transaction_key(&uuid), damage).await;
    }
    let sql = "SELECT COUNT(*) FROM mysql.procs_priv WHERE Db = '_podway' AND User IN ('late', '')";
    assert_eq!(root.query_first::<u64, _>(sql).await.unwrap(), Some(8), "each procedure for both");

    // A server that took another's place has another key and another password; a cluster with another secret too.
    let other = ClusterSecret::new(b"another");
    ensure_transactions(&mut root, &other, &uuid).await.unwrap();
    let others = other.backend_password(&transaction_account(), &uuid);
    works(&pod, &others, &other.transaction_key(&uuid), "another secret").await;
    assert_eq!(errno(Conn::new(options(&pod, "_podway", &password)).await), 1045);
    let mistaken = ensure_transactions(&mut root, &secret, "another uuid").await;
    assert!(mistaken.unwrap_err().to_string().contains("another server"));
    works(&pod, &others, &other.transaction_key(&uuid), "another uuid").await;
}

#[tokio::test]
async fn what_a_later_version_made_stays_and_what_cannot_take_part_is_left_alone() {
    let pod = another_pod().await;
    let (secret, uuid) = (pod.secret().clone(), uuid(&pod));
    let mut root = pod.admin(SERVER).await.unwrap();
    root.query_drop("ALTER PROCEDURE _podway.mark COMMENT 'podway 4000 x'").await.unwrap();
    let before = executed(&mut root).await;
    ensure_transactions(&mut root, &secret, &uuid).await.unwrap();
    assert_eq!(executed(&mut root).await, before);

    root.query_drop("DROP DATABASE _podway").await.unwrap();
    root.query_drop("DROP USER _podway").await.unwrap();
    root.query_drop("SET GLOBAL xa_detach_on_prepare = OFF").await.unwrap();
    let before = executed(&mut root).await;
    let TransactionsReady::Unfit(why) = ensure_transactions(&mut root, &secret, &uuid).await.unwrap() else {
        panic!("a server where branches stay with their sessions takes no part");
    };
    assert!(why.contains("xa_detach_on_prepare is OFF"), "{why}");
    assert_eq!(executed(&mut root).await, before, "nothing was made there");
    // Users are made there as before.
    let name = AccountName { user: "plain".into(), host: HostPattern::new("%") };
    root.query_drop("CREATE USER plain IDENTIFIED BY 'x'").await.unwrap();
    let account = read_account(&mut root, &name).await.unwrap();
    let password = secret.backend_password(&name, &uuid);
    ensure_account(&mut root, &account, &[], &password).await.unwrap();
}

/// Whether all of it works: a proxy's side connection, and a decision by a user.
async fn works(pod: &Pod, password: &str, key: &str, what: &str) {
    let mut side =
        Conn::new(options(pod, "_podway", password)).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    let _: Vec<mysql_async::Row> = side.query("XA RECOVER CONVERT XID").await.unwrap();
    let mut conn = Conn::new(pod.direct_options(SERVER).unwrap()).await.unwrap();
    let id = conn.id().to_string();
    let g = format!("works-{id}");
    let token = transaction_token(key, &["decide", &id, &g, &LATER.to_string(), "7", ""]);
    conn.query_drop("BEGIN").await.unwrap();
    let call = format!("CALL _podway.decide('{token}','{g}',{LATER},7,'')");
    conn.query_drop(call).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    side.query_drop(format!("INSERT INTO _podway.mark (g, ts, parts) VALUES ('{g}+', 8, '')")).await.unwrap();
    let highest: Vec<u64> = conn.query("CALL _podway.highest()").await.unwrap();
    assert_eq!(highest, [8], "{what}");
}

async fn executed(conn: &mut Conn) -> String {
    conn.query_first("SELECT @@GLOBAL.gtid_executed").await.unwrap().unwrap()
}
