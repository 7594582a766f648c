//! A user's rights in a gathered statement are those that the shards' servers know: MySQL's own refusal, and nothing of the rows.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::ServerId;
use podway_tests::{Grant, Password, Pod, User, is_left_out};

use crate::world::{DATABASE, refusal, world};

const PASSWORD: &str = "limited's password";
/// What the user may read.
const GRANTS: [&str; 4] = [
    "GRANT SELECT ON `{schema}`.customers TO limited",
    "GRANT SELECT ON `{schema}`.countries TO limited",
    "GRANT SELECT (id, grp, i) ON `{schema}`.kinds TO limited",
    "GRANT SELECT (customer) ON `{schema}`.orders TO limited",
];

async fn grant(pod: &Pod, schemas: &[(u32, &str)]) {
    let nothing = Grant { privileges: "USAGE".to_owned(), keyspace: None };
    let user = User { grants: vec![nothing], ..User::new("limited", Password::Sha2(PASSWORD.to_owned())) };
    pod.add_user(user).await.unwrap();
    for (server, schema) in schemas {
        let mut admin = pod.admin(ServerId(*server)).await.unwrap();
        for sql in GRANTS {
            admin.query_drop(sql.replace("{schema}", schema)).await.unwrap();
        }
    }
}

/// What is refused to the user, with what MySQL refuses it.
const REFUSED: [(&str, u16); 12] = [
    ("SELECT * FROM parted", 1142),
    ("SELECT id FROM parted ORDER BY id LIMIT 1", 1142),
    ("SELECT COUNT(*) FROM parted", 1142),
    ("SELECT c.id, p.v FROM customers c JOIN parted p ON p.v = c.boss", 1142),
    ("SELECT COUNT(*) FROM customers WHERE id IN (SELECT v FROM parted)", 1142),
    ("SELECT c.id FROM customers c LEFT JOIN nothing n ON n.id = c.id", 1142),
    ("SELECT id, word FROM kinds", 1143),
    ("SELECT id FROM kinds ORDER BY word", 1143),
    ("SELECT COUNT(word) FROM kinds", 1143),
    ("SELECT COUNT(*) FROM kinds WHERE word > 'b'", 1143),
    ("SELECT MAX(id) FROM orders", 1143),
    ("SELECT customer, COUNT(*) FROM orders WHERE total > 3 GROUP BY customer", 1143),
];

/// What the user may read.
const ALLOWED: [&str; 5] = [
    "SELECT id, grp FROM kinds ORDER BY i, id LIMIT 10",
    "SELECT grp, COUNT(*), MAX(i) FROM kinds GROUP BY grp ORDER BY grp",
    "SELECT COUNT(*) FROM customers a JOIN orders o ON o.customer = a.boss",
    "SELECT n.name, COUNT(*) FROM customers c JOIN countries n ON n.code = c.country GROUP BY n.name ORDER BY n.name",
    "SELECT COUNT(customer) FROM orders",
];

#[tokio::test]
async fn what_a_user_may_not_read_is_refused_by_mysql() {
    if is_left_out("grants that are given beside the proxy") {
        return;
    }
    let world = world().await;
    grant(world.mysql, &[(0, DATABASE)]).await;
    let schemas = [(0, DATABASE), (1, DATABASE), (0, "gathered_b"), (1, "gathered__2")];
    grant(world.keyspace.pod, &schemas).await;
    let user = Some("limited");
    let options = world.options().user(user).pass(Some(PASSWORD));
    let mut both = world.both().await;
    both.ours = Conn::new(options).await.unwrap();
    let options = world.mysql.direct_options(ServerId(0)).unwrap().db_name(Some(DATABASE));
    both.theirs = Conn::new(options.user(user).pass(Some(PASSWORD))).await.unwrap();
    for (sql, wanted) in REFUSED {
        let theirs = refusal(both.theirs.query_drop(sql).await.expect_err(sql));
        assert_eq!(theirs.0, wanted, "{sql}: {}", theirs.1);
        let ours = [both.ours.query_drop(sql).await, both.ours.exec_drop(sql, ()).await];
        for ours in ours {
            let Err(error) = ours else {
                both.differences.push(format!("{sql}\n    is answered, MySQL {theirs:?}"));
                continue;
            };
            let (code, text) = refusal(error);
            // The user's host is the proxy's for a server.
            if code != wanted || tail(&text) != tail(&theirs.1) {
                both.differences.push(format!("{sql}\n    {code} {text}, MySQL {theirs:?}"));
            }
        }
    }
    for sql in ALLOWED {
        both.same(sql).await;
    }
    both.end();
}

/// What an error says after the account's name.
fn tail(text: &str) -> &str {
    text.rsplit_once("'@'").map_or(text, |(_, rest)| rest.split_once('\'').map_or(rest, |(_, tail)| tail))
}
