//! Statements whose spelling makes gathering hard: names that mean something else, hints, comments, comparisons by a column's own type.

use crate::finish::all_same;
use crate::world::world;

#[tokio::test]
async fn an_alias_may_be_called_like_a_column() {
    let mut both = world().await.both().await;
    for sql in [
        "SELECT id AS i, i AS id FROM kinds ORDER BY i",
        "SELECT id AS i, i AS j2 FROM kinds ORDER BY kinds.i, id",
        "SELECT id word FROM kinds ORDER BY word",
        "SELECT id 'word' FROM kinds ORDER BY word",
        "SELECT id `WORD` FROM kinds ORDER BY word",
        "SELECT UPPER(word) AS word, id FROM kinds ORDER BY word, id",
        "SELECT (id) word FROM kinds ORDER BY word",
        "SELECT *, id FROM kinds ORDER BY kinds.id",
        "SELECT word, word AS w2 FROM kinds ORDER BY (word), id",
        "SELECT K.id FROM kinds AS K ORDER BY K.word, K.id",
        "SELECT 5 + 5 word, id FROM kinds ORDER BY word, id",
        "SELECT CASE grp WHEN 1 THEN 'x' END day, id FROM kinds ORDER BY day, id",
        "SELECT c.id AS customer, o.id FROM customers c JOIN orders o ON o.customer = c.id ORDER BY customer, o.id",
        "SELECT -id AS id, (SELECT 1) AS i FROM kinds ORDER BY id LIMIT 4",
    ] {
        both.same(sql).await;
    }
    both.end();
}

#[tokio::test]
async fn comments_hints_and_options_stay_what_they_are() {
    all_same(&[
        "SELECT id FROM kinds ORDER BY id;",
        "SELECT COUNT(*) FROM kinds;",
        "SELECT COUNT(*) FROM kinds -- the end",
        "SELECT id FROM kinds ORDER BY id LIMIT 5 -- the end",
        "SELECT id /* , */ FROM /* FROM */ kinds # x\n ORDER BY /* id */ i, id",
        "/* first */ SELECT COUNT(*) /*! , 7 */ FROM kinds",
        "SELECT /*+ MAX_EXECUTION_TIME(60000) */ COUNT(*) FROM kinds",
        "SELECT /*+ NO_INDEX(customers by_country) */ country, COUNT(*) FROM customers GROUP BY country",
        "(SELECT id FROM kinds ORDER BY id LIMIT 3)",
        "(SELECT COUNT(*) AS n FROM kinds) ORDER BY n",
        "SELECT ALL SQL_NO_CACHE id FROM kinds ORDER BY id",
        "SELECT HIGH_PRIORITY SQL_BUFFER_RESULT id FROM kinds ORDER BY id",
        "SELECT SQL_BIG_RESULT COUNT(*) AS 'n' FROM kinds",
        "SELECT `c c`.`id` AS `a``b` FROM `customers` `c c` JOIN parted `p``q` ON `p``q`.`v` = `c c`.`id` ORDER BY `a``b`, `p``q`.id",
        "select Kinds.ID, COUNT(*) from kinds Kinds group by Kinds.id order by Kinds.Id limit 4",
    ])
    .await;
}

#[tokio::test]
async fn conditions_compare_by_the_columns_own_types() {
    all_same(&[
        "SELECT COUNT(*) FROM kinds WHERE e = 1",
        "SELECT COUNT(*) FROM kinds WHERE e > 1 AND s = 3",
        "SELECT COUNT(*) FROM kinds WHERE e > 'a' OR s & 1",
        "SELECT COUNT(*), MAX(e) FROM kinds WHERE e IN ('LARGE', 'small') AND FIND_IN_SET('a', s)",
        "SELECT COUNT(*) FROM kinds WHERE j->'$.n' > 10 AND j->>'$.tags[0]' = 'é'",
        "SELECT COUNT(*) FROM kinds WHERE 'é' MEMBER OF (j->'$.tags')",
        "SELECT COUNT(*) FROM kinds WHERE y > '1999' OR y = 99",
        "SELECT COUNT(*) FROM kinds WHERE blobby = X'FF0003' OR raw < 'z'",
        "SELECT COUNT(*) FROM kinds WHERE f = 17.5 OR x > 1e50 OR d = -999.0",
        "SELECT COUNT(*) FROM kinds WHERE u > 9223372036854775807",
        "SELECT COUNT(*) FROM kinds WHERE word REGEXP '^a' OR word LIKE 'á%' OR word = 'SS21'",
        "SELECT COUNT(*) FROM kinds WHERE t BETWEEN '-100:00:00' AND '50:00:00'",
        "SELECT COUNT(*) FROM kinds WHERE day + INTERVAL 1 YEAR > DATE '1980-01-01' AND at < TIMESTAMP '2024-03-20 00:00:00'",
        "SELECT COUNT(*) FROM kinds WHERE (id, grp) = (6, 1) OR ROW(id, grp) IN ((7, 2), (8, 9))",
        "SELECT COUNT(*) FROM kinds WHERE id = 3 XOR grp = 3",
        "SELECT COUNT(*) FROM kinds WHERE NOT i > 0 AND i IS NOT NULL",
        "SELECT COUNT(*) FROM kinds WHERE word = 'Á20' COLLATE utf8mb4_0900_as_cs",
        "SELECT COUNT(*) FROM kinds WHERE note = word OR blobby = note",
        "SELECT COUNT(*) FROM kinds HAVING COUNT(*) > 3",
        "SELECT 1 FROM kinds HAVING 0",
        "SELECT COLLATION(MAX(word)), CHARSET(MIN(note)), CHARSET(MAX(raw)) FROM kinds",
        "SELECT COUNT(*) FROM customers WHERE country = 'DE' AND name = 'CUSTOMER 4'",
        "SELECT k.id, jt.tag FROM kinds k, JSON_TABLE(k.j, '$.tags[*]' COLUMNS (tag VARCHAR(10) PATH '$')) AS jt ORDER BY k.id, jt.tag",
        "SELECT COUNT(*) FROM kinds WHERE ts < NOW() AND day < CURDATE()",
        "SELECT c.id, COUNT(o.id) FROM customers c LEFT JOIN orders o ON o.customer = c.id AND o.total > 2 WHERE c.id > 3 GROUP BY c.id ORDER BY c.id",
        "SELECT c.id, o.id FROM orders o RIGHT JOIN customers c ON o.customer = c.id AND c.id > 5 WHERE o.total IS NULL ORDER BY c.id, o.id",
    ])
    .await;
}
