//! Aggregates that shards may compute in part: groups that lie on several shards, sums of sums, names that mean a column here and an alias there.
//! What types columns have `finish` asks.

use mysql_async::Value;

use crate::world::world;

async fn all_same(statements: &[&str]) {
    let mut both = world().await.both().await;
    both.compares_types = false;
    for sql in statements {
        both.same(sql).await;
    }
    both.end();
}

#[tokio::test]
async fn partial_results_come_together() {
    all_same(&[
        "SELECT COUNT(*), COUNT(1), COUNT(NULL), COUNT(i), COUNT(i + 1) FROM kinds",
        "SELECT COUNT(*) * 2 + SUM(i) - MIN(id), MAX(id) - MIN(id), SUM(i) / COUNT(*) FROM kinds",
        "SELECT SUM(i), SUM(u), SUM(d), SUM(i * 2), AVG(i), AVG(d), AVG(u) FROM kinds",
        "SELECT SUM(id), AVG(id), SUM(grp) FROM kinds WHERE id > 40 OR grp = 1",
        "SELECT MIN(t), MAX(t), MIN(ts), MAX(at), MIN(day), MIN(word), MAX(raw), MIN(y), MAX(note), MIN(blobby) FROM kinds",
        "SELECT MIN(e), MAX(e), MIN(s), MAX(s), MAX(j), MIN(f), MAX(x) FROM kinds",
        "SELECT AVG(DISTINCT grp), SUM(DISTINCT grp), COUNT(*) FROM kinds",
        "SELECT SUM(word), AVG(t) IS NULL, SUM(e) FROM kinds WHERE id = 7 OR id = 8",
        "SELECT COUNT(*), SUM(i), MAX(word), AVG(d) FROM kinds WHERE 0",
        "SELECT COUNT(*), SUM(i) FROM kinds WHERE id > 1000 HAVING COUNT(*) = 0",
        "SELECT COUNT(*) FROM kinds WHERE id > 1000 GROUP BY grp",
        "SELECT BIT_AND(id), BIT_OR(id), STD(id) > 0, VARIANCE(grp) > 0 FROM kinds",
    ])
    .await;
}

#[tokio::test]
async fn groups_of_several_shards_are_one() {
    all_same(&[
        "SELECT grp, COUNT(*), SUM(i), AVG(d), MAX(word) FROM kinds GROUP BY grp ORDER BY grp DESC",
        "SELECT grp AS g, COUNT(*) AS n FROM kinds GROUP BY g HAVING g > 1 AND n > 2 ORDER BY n DESC, g LIMIT 2",
        "SELECT grp, COUNT(*) FROM kinds GROUP BY 1 ORDER BY COUNT(*) DESC, 1 LIMIT 1, 2",
        "SELECT COUNT(*) FROM kinds GROUP BY grp ORDER BY grp",
        "SELECT grp FROM kinds GROUP BY grp HAVING SUM(i) > AVG(i) ORDER BY MAX(i)",
        "SELECT grp, e, COUNT(*) FROM kinds GROUP BY grp, e ORDER BY grp, e",
        "SELECT grp, e, COUNT(*), SUM(id) FROM kinds GROUP BY grp, e WITH ROLLUP",
        "SELECT grp, SUM(id) AS total FROM kinds GROUP BY grp WITH ROLLUP HAVING total > 100",
        "SELECT country, COUNT(*), COUNT(boss), MIN(boss) FROM customers GROUP BY country",
        "SELECT id, COUNT(*) FROM customers GROUP BY id ORDER BY id",
        "SELECT ts, COUNT(*) FROM kinds GROUP BY ts ORDER BY ts",
        "SELECT f, COUNT(*) FROM kinds GROUP BY f ORDER BY f",
        "SELECT t, day, COUNT(*) FROM kinds GROUP BY t, day ORDER BY t, day",
        "SELECT s, MAX(id) FROM kinds GROUP BY s ORDER BY MAX(id)",
        "SELECT raw, COUNT(*) FROM kinds GROUP BY raw ORDER BY raw",
        "SELECT grp + 1, COUNT(*) FROM kinds GROUP BY grp + 1 ORDER BY 1",
        "SELECT LEFT(word, 1) = 'a', COUNT(*) FROM kinds GROUP BY 1 ORDER BY 1",
        "SELECT COUNT(*) FROM kinds GROUP BY grp ORDER BY NULL",
    ])
    .await;
}

#[tokio::test]
async fn joined_rows_are_counted_once() {
    all_same(&[
        "SELECT COUNT(*) FROM customers, countries",
        "SELECT n.name, COUNT(*), SUM(c.id) FROM customers c JOIN countries n ON n.code = c.country GROUP BY n.name ORDER BY n.name",
        "SELECT c.country, COUNT(*), SUM(o.total), AVG(o.total) FROM customers c JOIN orders o ON o.customer = c.id GROUP BY c.country ORDER BY c.country",
        "SELECT c.id, COUNT(o.id), SUM(o.total) FROM customers c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.id ORDER BY c.id",
        "SELECT COUNT(*), COUNT(c.id) FROM countries n LEFT JOIN customers c ON c.country = n.code",
        "SELECT n.code, COUNT(c.id) FROM countries n LEFT JOIN customers c ON c.country = n.code GROUP BY n.code ORDER BY n.code",
        "SELECT COUNT(*) FROM customers a JOIN customers b USING (id)",
        "SELECT COUNT(*), MAX(b.id) FROM customers a JOIN customers b ON a.boss = b.id",
        "SELECT COUNT(*) FROM parted PARTITION (p0, p1)",
        "SELECT MAX(gathered.customers.id), gathered.customers.country FROM gathered.customers GROUP BY gathered.customers.country",
        "SELECT COUNT(*) FROM nothing n JOIN customers c ON c.id = n.id",
        "SELECT COUNT(*) FROM settings",
        "SELECT COUNT(*) FROM customers JOIN settings ON settings.value = customers.id",
    ])
    .await;
}

#[tokio::test]
async fn aliases_and_columns_of_one_name() {
    all_same(&[
        "SELECT COUNT(*) AS id, MAX(id) FROM customers ORDER BY id",
        "SELECT grp, MAX(i) AS i FROM kinds GROUP BY grp ORDER BY i",
        "SELECT grp, MAX(i) AS m FROM kinds GROUP BY grp HAVING m > 10 ORDER BY m",
        "SELECT MAX(i) AS grp, grp AS g FROM kinds GROUP BY kinds.grp ORDER BY g",
        "SELECT e AS grp, COUNT(*) FROM kinds GROUP BY e ORDER BY grp",
        "SELECT -grp AS grp, COUNT(*) FROM kinds GROUP BY kinds.grp ORDER BY grp",
        "SELECT grp c0, COUNT(*) c1, SUM(i) c2 FROM kinds GROUP BY c0 ORDER BY c1, c0",
        "SELECT SUM(i) `SUM(i)`, SUM( i ), sum(I) FROM kinds",
        "SELECT COUNT(*) total, 'COUNT(*)' FROM kinds HAVING total > 1",
        "SELECT COUNT(*), COUNT( * ), count(*) FROM kinds k",
        "SELECT SUM(k.i) FROM kinds k WHERE k.i > 3 AND 'SUM(i)' <> k.word",
        "SELECT CONCAT(COUNT(*), '/', MAX(word)), IF(SUM(i) > 0, 'more', 'less') FROM kinds",
        "SELECT CASE WHEN COUNT(*) > 3 THEN MAX(day) END, COALESCE(SUM(i), 0) FROM kinds",
    ])
    .await;
}

#[tokio::test]
async fn parameters_and_settings_hold_in_parts() {
    let mut both = world().await.both().await;
    both.compares_types = false;
    let null = Value::NULL;
    both.same_executed(
        "SELECT COUNT(*), SUM(i) FROM kinds WHERE grp = ? AND id > ?",
        &[&[1.into(), 5.into()], &["1".into(), null]],
    )
    .await;
    both.same_executed(
        "SELECT grp, COUNT(*) FROM kinds WHERE word > ? GROUP BY grp HAVING COUNT(*) > ? ORDER BY grp",
        &[&["b".into(), 2.into()]],
    )
    .await;
    both.same_executed("SELECT SUM(i + ?), COUNT(*) FROM kinds", &[&[2.into()], &[5.into()]]).await;
    both.same_executed(
        "SELECT grp, COUNT(*) FROM kinds GROUP BY grp ORDER BY grp LIMIT ?",
        &[&[2.into()], &[0.into()]],
    )
    .await;
    both.same_executed(
        "SELECT MAX(at) FROM kinds WHERE day < ? OR t > ?",
        &[&["1980-01-01".into(), "00:00:01".into()]],
    )
    .await;
    for setting in [
        "SET div_precision_increment = 9",
        "SET time_zone = '+09:30'",
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'",
        "SET NAMES latin1",
        "SET group_concat_max_len = 20",
    ] {
        both.same_text(setting).await;
        both.same(
            "SELECT grp, AVG(i), AVG(d), MAX(ts), MIN(ts), MAX(word) FROM kinds GROUP BY grp ORDER BY grp",
        )
        .await;
        both.same("SELECT AVG(total), SUM(total) / 7, COUNT(*) FROM orders").await;
        both.same("SELECT ts, COUNT(*) FROM kinds WHERE ts > '2024-02-02' GROUP BY ts ORDER BY ts").await;
    }
    both.end();
}
