//! Statements that MySQL computes over rows of several shards: same rows, columns' names and types as in one MySQL.

use mysql_async::Value;

use crate::world::{Both, world};

/// Runs statements on both sides, as text and prepared.
pub async fn all_same(statements: &[&str]) {
    let mut both = world().await.both().await;
    for sql in statements {
        both.same(sql).await;
    }
    both.end();
}

#[tokio::test]
async fn groups_and_aggregates() {
    all_same(&[
        "SELECT COUNT(*) FROM kinds",
        "SELECT COUNT(*), COUNT(i), SUM(i), AVG(i), MIN(word), MAX(at), SUM(d), AVG(x) > 0, BIT_XOR(u) FROM kinds",
        "SELECT grp, COUNT(*) FROM kinds GROUP BY grp ORDER BY grp",
        "SELECT grp, SUM(i) AS total FROM kinds GROUP BY grp HAVING total > 0 ORDER BY total DESC",
        "SELECT country, COUNT(*) AS n, GROUPING(country) FROM customers GROUP BY country WITH ROLLUP",
        "SELECT e, s, COUNT(*) FROM kinds GROUP BY e, s ORDER BY e, s",
        "SELECT DISTINCT grp FROM kinds ORDER BY grp",
        "SELECT DISTINCT country, boss FROM customers",
        "SELECT COUNT(DISTINCT country), COUNT(DISTINCT country, boss) FROM customers",
        "SELECT GROUP_CONCAT(word ORDER BY word DESC SEPARATOR '|') FROM kinds",
        "SELECT country, GROUP_CONCAT(DISTINCT name ORDER BY name) FROM customers GROUP BY country ORDER BY country",
        "SELECT id, name, COUNT(*) FROM customers GROUP BY id ORDER BY id LIMIT 5",
        "SELECT JSON_ARRAYAGG(id) IS NOT NULL, ROUND(STDDEV_POP(i), 9) FROM kinds",
        "SELECT grp FROM kinds GROUP BY grp HAVING COUNT(*) > (SELECT AVG(v) FROM parted) ORDER BY 1",
    ])
    .await;
}

#[tokio::test]
async fn windows_and_sets() {
    all_same(&[
        "SELECT id, ROW_NUMBER() OVER (ORDER BY i, id) AS nth FROM kinds ORDER BY id",
        "SELECT id, SUM(total) OVER w, RANK() OVER w, LAG(total) OVER w FROM orders WINDOW w AS (PARTITION BY customer ORDER BY id) ORDER BY id",
        "SELECT grp, AVG(d) OVER (PARTITION BY grp) FROM kinds",
        "SELECT id FROM customers UNION SELECT customer FROM orders",
        "SELECT id FROM customers UNION ALL SELECT customer FROM orders ORDER BY 1",
        "SELECT id FROM customers INTERSECT SELECT customer FROM orders ORDER BY id",
        "SELECT id FROM customers EXCEPT SELECT customer FROM orders ORDER BY id",
        "SELECT * FROM (VALUES ROW(1, 'a'), ROW(2, 'b')) AS v (n, w) JOIN customers c ON c.id = v.n ORDER BY v.n",
    ])
    .await;
}

#[tokio::test]
async fn common_tables_and_subqueries() {
    all_same(&[
        "WITH t AS (SELECT customer, SUM(total) AS sum FROM orders GROUP BY customer) SELECT a.customer, b.sum FROM t a JOIN t b ON a.sum = b.sum ORDER BY a.customer, b.customer",
        "WITH RECURSIVE chain (id, boss, depth) AS (SELECT id, boss, 0 FROM customers WHERE id = 3 UNION ALL SELECT c.id, c.boss, depth + 1 FROM chain JOIN customers c ON c.id = chain.boss WHERE depth < 6) SELECT * FROM chain ORDER BY depth",
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 25) SELECT n.n, c.name FROM n LEFT JOIN customers c ON c.id = n.n ORDER BY n.n",
        "SELECT id FROM customers c WHERE (SELECT COUNT(*) FROM orders o WHERE o.customer = c.boss) > 1 ORDER BY id",
        "SELECT id, (SELECT MAX(total) FROM orders) AS top FROM customers ORDER BY id LIMIT 3",
        "SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id + 1) ORDER BY id",
        "SELECT id FROM customers WHERE id NOT IN (SELECT boss FROM customers) ORDER BY id",
        "SELECT id FROM customers WHERE id NOT IN (SELECT boss FROM customers WHERE boss IS NOT NULL) ORDER BY id",
        "SELECT c.id, l.total FROM customers c, LATERAL (SELECT total FROM orders o WHERE o.customer = c.id ORDER BY total DESC LIMIT 1) AS l ORDER BY c.id",
        "SELECT * FROM (SELECT id, name FROM customers ORDER BY name LIMIT 4) AS d ORDER BY id",
        "SELECT id > ALL (SELECT v FROM parted) AS a, id = ANY (SELECT boss FROM customers) AS b FROM customers ORDER BY id",
        "SELECT (id, boss) IN (SELECT boss, id FROM customers) FROM customers ORDER BY id",
    ])
    .await;
}

#[tokio::test]
async fn joins_across_shards() {
    all_same(&[
        "SELECT a.id, b.id FROM customers a JOIN customers b ON b.boss = a.id ORDER BY a.id, b.id",
        "SELECT c.name, o.label FROM customers c JOIN orders o ON o.id = c.id * 10 ORDER BY c.id",
        "SELECT c.id FROM customers c LEFT JOIN orders o ON o.customer = c.boss WHERE o.id IS NULL ORDER BY c.id",
        "SELECT o.id, c.id FROM orders o RIGHT JOIN customers c ON c.id = o.id % 7 ORDER BY c.id, o.id",
        "SELECT c.id, n.name, s.value FROM customers c JOIN countries n ON n.code = c.country LEFT JOIN settings s ON s.id = c.id ORDER BY c.id",
        "SELECT n.name, COUNT(c.id) FROM countries n LEFT JOIN customers c ON c.country = n.code GROUP BY n.name ORDER BY n.name",
        "SELECT * FROM customers JOIN settings USING (id) ORDER BY id",
        "SELECT * FROM customers NATURAL JOIN nothing",
        "SELECT customers.*, nothing.* FROM customers LEFT JOIN nothing ON nothing.id = customers.boss ORDER BY customers.id",
        "SELECT gathered.customers.name, gathered.parted.v FROM gathered.customers JOIN gathered.parted ON gathered.parted.v = gathered.customers.id ORDER BY gathered.customers.id, gathered.parted.id",
        "SELECT DISTINCT gathered.kinds.grp FROM gathered.kinds WHERE gathered.kinds.id > 40 ORDER BY 1",
        "SELECT COUNT(*) FROM customers a STRAIGHT_JOIN parted b CROSS JOIN settings",
        "SELECT a.id FROM (customers a, parted p) JOIN orders o ON o.id = p.id * 10 WHERE p.v = a.id ORDER BY a.id, p.id",
    ])
    .await;
}

#[tokio::test]
async fn types_and_columns_are_mysqls() {
    all_same(&[
        "SELECT DISTINCT * FROM kinds",
        "SELECT j, j->'$.n', j->>'$.tags[0]', JSON_TYPE(j) FROM kinds ORDER BY i + 1, id",
        "SELECT blobby, HEX(blobby), raw, LENGTH(raw) FROM kinds ORDER BY i + 1, id",
        "SELECT DISTINCT j, blobby, raw, note FROM kinds",
        "SELECT e, e + 0, COUNT(*) FROM kinds GROUP BY e ORDER BY e",
        "SELECT s, s + 0, COUNT(*) FROM kinds GROUP BY s ORDER BY s",
        "SELECT DISTINCT label FROM orders WHERE label LIKE '%😀' ORDER BY label",
        "SELECT MAX(label), '😀' AS `x😀` FROM orders",
        "SELECT MIN(t), MAX(t), MIN(ts), MAX(ts), MIN(day), MIN(at), MAX(y), MIN(f), MAX(x), MAX(u) FROM kinds",
        "SELECT word FROM kinds GROUP BY word HAVING word LIKE 'a%' ORDER BY word",
        "SELECT COUNT(*) FROM kinds WHERE note = 'note 3 '' \\\\ ü'",
        "SELECT id, CASE WHEN i > 0 THEN d ELSE x END AS v, IFNULL(day, at) FROM kinds UNION SELECT 0, NULL, NULL",
        "TABLE parted",
        "TABLE kinds ORDER BY id LIMIT 3",
        "SELECT COUNT(*) FROM parted PARTITION (p0, p2)",
        "SELECT SUM(v) FROM parted PARTITION (p1) AS p WHERE p.id > 3",
        "SELECT country, COUNT(*) FROM customers USE INDEX (by_country) GROUP BY country ORDER BY country",
        "SELECT COUNT(*) FROM customers AS c FORCE INDEX FOR JOIN (by_country) IGNORE INDEX FOR ORDER BY (PRIMARY) WHERE country = 'de'",
    ])
    .await;
}

#[tokio::test]
async fn empty_tables_give_what_no_rows_give() {
    all_same(&[
        "SELECT * FROM nothing",
        "SELECT COUNT(*), SUM(v), MAX(w), AVG(v) FROM nothing",
        "SELECT v, COUNT(*) FROM nothing GROUP BY v",
        "SELECT v, COUNT(*) FROM nothing GROUP BY v WITH ROLLUP",
        "SELECT w, ROW_NUMBER() OVER (ORDER BY id) FROM nothing",
        "SELECT id FROM customers WHERE NOT EXISTS (SELECT * FROM nothing) AND id < 4 ORDER BY id",
        "SELECT id FROM customers WHERE id > ALL (SELECT v FROM nothing) ORDER BY id",
        "TABLE nothing",
    ])
    .await;
}

#[tokio::test]
async fn found_rows_and_user_variables() {
    let mut both = world().await.both().await;
    for sql in [
        "SELECT SQL_CALC_FOUND_ROWS id FROM kinds ORDER BY id LIMIT 5",
        "SELECT FOUND_ROWS()",
        "SELECT SQL_CALC_FOUND_ROWS grp, COUNT(*) FROM kinds GROUP BY grp ORDER BY grp LIMIT 1, 2",
        "SELECT FOUND_ROWS()",
        "SELECT id FROM kinds ORDER BY id LIMIT 7",
        "SELECT FOUND_ROWS()",
        "SELECT ROW_COUNT()",
    ] {
        both.same_text(sql).await;
    }
    both.same_rows("SELECT DATABASE(), COUNT(*) FROM kinds").await;
    for sql in ["SET @wanted = 3, @word = 'de', @none = NULL"] {
        both.same_text(sql).await;
    }
    for sql in [
        "SELECT @wanted AS w, COUNT(*) FROM kinds WHERE grp = @wanted",
        "SELECT id FROM customers WHERE country = @word COLLATE utf8mb4_general_ci ORDER BY id + 1",
        "SELECT COUNT(*), @never FROM customers WHERE id = @none",
    ] {
        both.same(sql).await;
    }
    both.end();
}

/// MySQL says of columns that go through a temporary table something else when it runs a statement than when it prepares it.
#[tokio::test]
async fn columns_are_those_of_a_statement_that_ran() {
    all_same(&[
        "SELECT DISTINCT boss IS NULL FROM customers",
        "SELECT YEAR(placed) AS y, MONTH(placed) AS m FROM orders GROUP BY y, m ORDER BY y, m",
        "(SELECT name FROM customers WHERE id < 3) UNION ALL (SELECT label FROM orders)",
        "SELECT code FROM countries UNION SELECT country FROM customers",
        "SELECT DISTINCT j->'$.n', j->>'$.tags[0]', JSON_TYPE(j) FROM kinds",
        "SELECT DISTINCT HEX(blobby) FROM kinds",
        "SELECT MAX(s) FROM kinds GROUP BY grp",
    ])
    .await;
}

#[tokio::test]
async fn a_parameter_may_be_a_column() {
    let mut both = world().await.both().await;
    both.same_prepared("SELECT ? AS p, MAX(id) FROM customers", &["seven".into()]).await;
    both.same_prepared("SELECT ? AS p, MAX(id) FROM customers", &[Value::NULL]).await;
    both.same_prepared("SELECT MAX(id) + ? AS p FROM customers", &[7.into()]).await;
    both.same_prepared("SELECT ? AS p, MAX(id) FROM customers", &[7.into()]).await;
    both.end();
}

async fn executed(both: &mut Both, sql: &str, executions: &[&[Value]]) {
    both.same_executed(sql, executions).await;
}

#[tokio::test]
async fn parameters_of_all_kinds() {
    let mut both = world().await.both().await;
    let both_ref = &mut both;
    let date = Value::Date(2024, 3, 1, 0, 0, 0, 0);
    let (one, text, null): (Value, Value, Value) = (1.into(), "de".into(), Value::NULL);
    executed(
        both_ref,
        "SELECT COUNT(*), SUM(i) FROM kinds WHERE grp = ?",
        &[
            std::slice::from_ref(&one),
            &["1".into()],
            std::slice::from_ref(&null),
            &[1.5.into()],
            &["x".into()],
        ],
    )
    .await;
    executed(
        both_ref,
        "SELECT country, COUNT(*) FROM customers WHERE country >= ? GROUP BY country ORDER BY country",
        &[std::slice::from_ref(&text), &["DE".into()], std::slice::from_ref(&null), &["".into()]],
    )
    .await;
    executed(
        both_ref,
        "SELECT COUNT(*) FROM kinds WHERE at > ?",
        &[std::slice::from_ref(&date), &["2024-03-09".into()], std::slice::from_ref(&null)],
    )
    .await;
    executed(
        both_ref,
        "SELECT customer, COUNT(*) FROM orders WHERE placed >= ? GROUP BY customer ORDER BY customer",
        &[&[date]],
    )
    .await;
    executed(
        both_ref,
        "SELECT COUNT(*) FROM kinds WHERE t < ?",
        &[&[Value::Time(true, 0, 1, 0, 0, 0)], &[Value::Time(false, 2, 3, 4, 5, 6)], &["-10:00:00".into()]],
    )
    .await;
    both.end();
}

#[tokio::test]
async fn parameters_in_joins_and_beside_bytes() {
    let mut both = world().await.both().await;
    let both_ref = &mut both;
    let (one, text, null): (Value, Value, Value) = (1.into(), "de".into(), Value::NULL);
    executed(
        both_ref,
        "SELECT MAX(c.id), COUNT(*) FROM customers c JOIN orders o ON o.id = c.id * ? WHERE c.name LIKE ?",
        &[
            &[10.into(), "customer%".into()],
            &[10.into(), "%2".into()],
            &[10.into(), null.clone()],
            &[null, "%".into()],
        ],
    )
    .await;
    executed(
        both_ref,
        "SELECT GROUP_CONCAT(id ORDER BY id) FROM kinds WHERE word = ? OR raw = ? OR blobby = ?",
        &[
            &["á21".into(), vec![3_u8, 0].into(), vec![0xff_u8, 0, 9].into()],
            &["it's \\ 😀".into(), "".into(), "".into()],
        ],
    )
    .await;
    executed(
        both_ref,
        "SELECT SUM(d) FROM kinds WHERE d > ? AND id <> ?",
        &[&["10.5".into(), one], &[(-1_i64).into(), 0.into()]],
    )
    .await;
    executed(
        both_ref,
        "SELECT COUNT(*) FROM kinds WHERE id = ? OR grp = 2",
        &[&[3.into()], &[u64::MAX.into()]],
    )
    .await;
    executed(
        both_ref,
        "SELECT COUNT(*) FROM customers WHERE country = ? AND id IN (SELECT customer FROM orders WHERE label <> ?)",
        &[&[text, "x".into()]],
    )
    .await;
    both.end();
}
