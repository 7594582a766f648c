//! Advice as data: a small shop's tables and statements, and where its tables should lie.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use podway_model::{Column, ColumnDefault, ColumnType, MySqlVersion, Name, NameRule};
use podway_router::SqlMode;
use podway_router::advise::{
    Advice, ForeignKey, Kept, Lies, Question, RanStatement, TableFacts, UniqueKey, Way, advise,
};

const BIGINT: ColumnType = ColumnType::Integer { bytes: 8, unsigned: false };

fn column(name: &str) -> Column {
    let (name, is_counter) = match name.strip_prefix('+') {
        Some(name) => (name, true),
        None => (name, false),
    };
    Column {
        name: Name::caseless(name),
        column_type: if name.starts_with("w_") { ColumnType::Double } else { BIGINT },
        collation: None,
        nullable: false,
        auto_increment: is_counter,
        generated: false,
        default: ColumnDefault::None,
        invisible: false,
    }
}

/// A table of integer columns (`+x`: AUTO_INCREMENT; `w_x`: DOUBLE, which is no key); the first `primary` ones are its primary key.
fn table(name: &str, columns: &[&str], primary: usize, rows: u64) -> TableFacts {
    let columns: Vec<Column> = columns.iter().map(|name| column(name)).collect();
    let refused =
        |column: &Column| (column.column_type == ColumnType::Double).then(|| "a DOUBLE is no key".to_owned());
    TableFacts {
        name: NameRule::CaseSensitive.name(name),
        is_view: false,
        refused_keys: columns.iter().map(refused).collect(),
        distinct: vec![None; columns.len()],
        columns,
        primary_key: (0..primary).collect(),
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        rows,
        bytes: rows * 100,
    }
}

fn ran(count: u64, text: &str) -> RanStatement {
    RanStatement { texts: vec![text.to_owned()], count, ..RanStatement::default() }
}

/// customers, orders (with their customer), items (with their order and customer), countries, settings. (The items were called `lines` once: a
/// reserved word, so MySQL refuses each statement that names it without quotes, and the router does, too.)
fn shop(statements: Vec<RanStatement>) -> Question {
    Question {
        keyspace: "shop".into(),
        names: NameRule::CaseSensitive,
        version: MySqlVersion(80400),
        sql_mode: SqlMode::STRICT,
        tables: vec![
            table("countries", &["code", "name"], 1, 200),
            table("customers", &["id", "name", "country"], 1, 100_000),
            table("items", &["order_id", "nr", "customer_id", "product", "w_weight"], 2, 1_000_000),
            table("orders", &["id", "customer_id", "total"], 1, 300_000),
            table("settings", &["name", "value"], 1, 10),
        ],
        statements,
        shards: 4,
        kept: Vec::new(),
    }
}

fn usual_statements() -> Vec<RanStatement> {
    vec![
        ran(1000, "SELECT name FROM customers WHERE id = 42"),
        ran(
            500,
            "SELECT c.name, n.name FROM customers c JOIN countries n ON n.code = c.country WHERE c.id = 42",
        ),
        ran(800, "SELECT * FROM orders WHERE customer_id = 42 ORDER BY id DESC LIMIT 10"),
        ran(
            300,
            "SELECT * FROM orders o JOIN items l ON l.order_id = o.id AND l.customer_id = o.customer_id \
             WHERE o.customer_id = 7",
        ),
        ran(100, "INSERT INTO orders (id, customer_id, total) VALUES (1, 42, 3)"),
        ran(200, "INSERT INTO items (order_id, nr, customer_id, product) VALUES (1, 1, 42, 9)"),
        ran(50, "SELECT value FROM settings WHERE name = 1"),
        ran(5, "SELECT COUNT(*) FROM orders"),
    ]
}

fn keys(question: &Question, advice: &Advice<'_>) -> Vec<String> {
    let shown = |lies: &Lies, facts: &TableFacts| match lies {
        Lies::Sharded(key) => {
            key.iter().map(|&at| facts.columns[at].name.to_string()).collect::<Vec<_>>().join("+")
        }
        Lies::Reference => "everywhere".to_owned(),
        Lies::Home => "home".to_owned(),
    };
    let tables = advice.tables.iter().map(|advised| (&question.tables[advised.table], advised));
    tables.map(|(facts, advised)| format!("{} {}", facts.name, shown(&advised.lies, facts))).collect()
}

#[test]
fn a_shop_is_sharded_by_its_customers() {
    let question = shop(usual_statements());
    let advice = advise(&question).unwrap();
    assert_eq!(
        keys(&question, &advice),
        ["countries everywhere", "customers id", "items customer_id", "orders customer_id", "settings home"]
    );
    assert_eq!((advice.shares.all.count, advice.shares.one_shard.count), (2955, 2950));
    assert_eq!((advice.shares.merged.count, advice.shares.finished.count), (5, 0));
    let last = advice.statements.iter().find(|advised| !advised.served.way.is_one_shard()).unwrap();
    assert_eq!(last.ran.texts, ["SELECT COUNT(*) FROM orders"]);
    assert_eq!(last.served.refused_today, None);
}

#[test]
fn the_same_question_has_the_same_answer_whatever_the_statements_order() {
    let question = shop(usual_statements());
    let mut turned = usual_statements();
    turned.reverse();
    let turned = shop(turned);
    assert_eq!(keys(&question, &advise(&question).unwrap()), keys(&turned, &advise(&turned).unwrap()));
}

#[test]
fn what_is_settled_is_kept_and_the_rest_goes_by_it() {
    let mut question = shop(usual_statements());
    question.kept = vec![Kept { table: 3, lies: Lies::Sharded(vec![0]) }];
    let advice = advise(&question).unwrap();
    assert_eq!(keys(&question, &advice)[3], "orders id");
    assert_eq!(advice.tables[3].why, ["you said so"]);
    assert!(advice.shares.one_shard.count < 2950, "orders of a customer lie on several shards now");
}

/// What becomes of one statement with the shop's usual keys, in a word, and whether this version refuses it.
fn way_of(text: &str) -> (String, bool) {
    let mut question = shop(vec![ran(1, text)]);
    question.kept = vec![
        Kept { table: 0, lies: Lies::Reference },
        Kept { table: 1, lies: Lies::Sharded(vec![0]) },
        Kept { table: 2, lies: Lies::Sharded(vec![2]) },
        Kept { table: 3, lies: Lies::Sharded(vec![1]) },
        Kept { table: 4, lies: Lies::Home },
    ];
    let advice = advise(&question).unwrap();
    let Some(advised) = advice.statements.first() else { return ("aside".to_owned(), false) };
    let way = match &advised.served.way {
        Way::Aside => "aside".to_owned(),
        Way::OneShard => "one".to_owned(),
        Way::AnyShard => "any".to_owned(),
        Way::Home => "home".to_owned(),
        Way::Merged => "merged".to_owned(),
        Way::Finished(what) => format!("finished: {what}"),
        Way::SeveralWrites(what) => format!("writes: {what}"),
        Way::Refused(_) => "refused".to_owned(),
    };
    (way, advised.served.refused_today.is_some())
}

/// Statements, the way of each with the shop's usual keys, and whether this version refuses it.
const WAYS: &[(&str, &str, bool)] = &[
    ("SELECT * FROM customers WHERE id = 1", "one", false),
    ("SELECT * FROM customers WHERE id = ?", "one", false),
    ("SELECT * FROM countries", "any", false),
    ("SELECT * FROM settings", "home", false),
    ("BEGIN", "aside", false),
    ("SHOW TABLES", "aside", false),
    ("SELECT 1", "aside", false),
    ("SELECT * FROM information_schema.tables", "aside", false),
    ("CREATE TABLE x (a INT)", "aside", false),
    ("SELECT * FROM customers", "merged", false),
    ("SELECT * FROM customers WHERE id IN (1, 2, 3)", "merged", false),
    ("SELECT * FROM customers WHERE id IN (?, ?)", "merged", false),
    ("SELECT country, COUNT(*) AS c FROM customers GROUP BY country ORDER BY c LIMIT 3", "merged", false),
    ("SELECT COUNT(*), MAX(total) FROM orders", "merged", false),
    ("SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.name = 5", "merged", false),
    (
        "SELECT * FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.total > 9)",
        "finished: what is computed over rows of several shards",
        false,
    ),
    (
        "SELECT * FROM orders o JOIN items l ON l.order_id = o.id WHERE o.total > 9",
        "finished: tables that are not joined on their sharding keys",
        false,
    ),
    ("SELECT total FROM orders GROUP BY total HAVING COUNT(*) > 1", "merged", false),
    ("SELECT SUM(w_weight) FROM items", "finished: sums of floating-point numbers", false),
    ("SELECT SUM(total) / COUNT(*) FROM orders", "merged", false),
    ("SELECT COUNT(DISTINCT total) FROM orders", "finished: DISTINCT in an aggregate", false),
    ("SELECT RANK() OVER (ORDER BY total) FROM orders", "finished: window functions", false),
    ("WITH x AS (SELECT 1) SELECT * FROM orders", "finished: common table expressions", false),
    (
        "SELECT id FROM customers UNION SELECT id FROM orders",
        "finished: tables that are not joined on their sharding keys",
        false,
    ),
    (
        "SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM orders GROUP BY total) x",
        "finished: a subquery over rows of several shards",
        false,
    ),
    (
        "SELECT * FROM settings s JOIN customers c ON c.name = s.value",
        "finished: tables of the home shard with rows of others",
        false,
    ),
    ("INSERT INTO customers (id, name, country) VALUES (1, 2, 3)", "one", false),
    (
        "INSERT INTO customers (id, name, country) VALUES (1, 2, 3), (4, 5, 6)",
        "writes: rows of several keys",
        false,
    ),
    (
        "INSERT INTO customers (id, name, country) VALUES (1, RAND(), 3), (4, 5, 6)",
        "writes: rows of several keys",
        true,
    ),
    (
        "INSERT INTO customers (id, name, country) VALUES (?, ?, ?), (?, ?, ?)",
        "writes: rows of several keys",
        false,
    ),
    (
        "INSERT INTO customers (id, name, country) SELECT id, 1, 1 FROM orders",
        "writes: rows out of a query",
        false,
    ),
    ("LOAD DATA LOCAL INFILE 'f' INTO TABLE customers", "writes: rows of several keys", false),
    ("LOAD DATA INFILE 'f' INTO TABLE customers", "writes: rows of several keys", true),
    ("LOAD DATA LOCAL INFILE 'f' INTO TABLE countries", "writes: every copy of a reference table", false),
    ("INSERT INTO countries VALUES (1, 2)", "writes: every copy of a reference table", false),
    ("UPDATE countries SET name = 1", "writes: every copy of a reference table", false),
    ("UPDATE countries SET name = 1 LIMIT 1", "writes: every copy of a reference table", true),
    ("UPDATE customers SET name = 1 WHERE id = 4", "one", false),
    ("UPDATE customers SET id = 1 WHERE id = 4", "writes: the sharding key changes: the row moves", false),
    ("DELETE FROM orders WHERE total < 5", "writes: nothing says which shard has the rows", false),
    (
        "DELETE FROM orders WHERE customer_id IN (?, ?)",
        "writes: nothing says which shard has the rows",
        false,
    ),
    (
        "DELETE IGNORE FROM orders WHERE total < 5 LIMIT 9",
        "writes: nothing says which shard has the rows",
        true,
    ),
    ("CALL p()", "refused", true),
];

#[test]
fn each_statement_goes_the_way_that_fits_it() {
    for &(text, way, is_refused) in WAYS {
        assert_eq!(way_of(text), (way.to_owned(), is_refused), "{text}");
    }
}

#[test]
fn a_number_that_the_cluster_gives_is_one_shards() {
    let mut question = shop(vec![ran(1, "INSERT INTO customers (name, country) VALUES (1, 2)")]);
    question.tables[1] = table("customers", &["+id", "name", "country"], 1, 100_000);
    question.kept = vec![Kept { table: 1, lies: Lies::Sharded(vec![0]) }];
    let advice = advise(&question).unwrap();
    assert_eq!(advice.statements[0].served.way, Way::OneShard);
    assert_eq!((advice.shares.one_shard.count, advice.shares.refused_today.count), (1, 0));
    let beware = "id is AUTO_INCREMENT: the cluster gives its numbers, each once, with gaps and not in the order of the inserts";
    assert_eq!(advice.tables[1].warnings, [beware]);
    question.kept = vec![Kept { table: 1, lies: Lies::Sharded(vec![2]) }];
    let advice = advise(&question).unwrap();
    assert_eq!(advice.shares.refused_today.count, 0);
    let elsewhere = "one that a statement brings itself is not compared with other shards' rows";
    assert_eq!(advice.tables[1].warnings, [format!("{beware}; {elsewhere}")]);
}

#[test]
fn rows_that_the_cluster_numbers_do_not_make_one_shard_hot() {
    let texts: Vec<String> = (0..60).map(|n| format!("INSERT INTO customers (name) VALUES ({n})")).collect();
    let mut question = shop(vec![RanStatement { texts, count: 60, ..RanStatement::default() }]);
    question.tables[1] = table("customers", &["+id", "name", "country"], 1, 100_000);
    question.kept = vec![Kept { table: 1, lies: Lies::Sharded(vec![0]) }];
    let advice = advise(&question).unwrap();
    assert_eq!(advice.tables[1].warnings.len(), 1, "{:?}", advice.tables[1].warnings);
}

#[test]
fn what_to_beware_of_is_named() {
    let mut question = shop(usual_statements());
    question.tables[1].unique_keys = vec![UniqueKey { name: "by_name".into(), columns: vec![1] }];
    question.tables[1].foreign_keys = vec![ForeignKey {
        name: "lives_in".into(),
        columns: vec![2],
        table: NameRule::CaseSensitive.name("countries"),
        referenced: vec![Name::caseless("code")],
    }];
    question.tables[2].foreign_keys = vec![ForeignKey {
        name: "of_setting".into(),
        columns: vec![3],
        table: NameRule::CaseSensitive.name("settings"),
        referenced: vec![Name::caseless("name")],
    }];
    question.tables[3].foreign_keys = vec![ForeignKey {
        name: "of_customer".into(),
        columns: vec![1],
        table: NameRule::CaseSensitive.name("customers"),
        referenced: vec![Name::caseless("id")],
    }];
    question.kept = vec![Kept { table: 4, lies: Lies::Home }];
    let advice = advise(&question).unwrap();
    let warnings = |table: usize| advice.tables[table].warnings.join("; ");
    assert_eq!(
        warnings(1),
        "by_name (name) is without the sharding key: it would be unique on each shard only, which --unique-per-shard accepts"
    );
    assert!(warnings(2).contains("foreign key of_setting to settings would cross shards"), "{}", warnings(2));
    assert!(!warnings(3).contains("foreign key"), "{}", warnings(3));
    assert!(
        advice.tables[3].why.iter().any(|why| why.contains("customers.id")),
        "{:?}",
        advice.tables[3].why
    );
}

#[test]
fn a_column_of_few_values_is_passed_over_for_one_of_many() {
    let statements = vec![
        ran(60, "SELECT * FROM customers WHERE country = 3"),
        ran(40, "SELECT * FROM customers WHERE id = 3"),
    ];
    let mut question = shop(statements);
    question.tables[1].rows = 150_000;
    question.tables[1].distinct[2] = Some(20);
    assert_eq!(keys(&question, &advise(&question).unwrap())[1], "customers id");
    question.tables[1].distinct[2] = Some(50_000);
    assert_eq!(keys(&question, &advise(&question).unwrap())[1], "customers country");
}

#[test]
fn a_table_that_cannot_be_sharded_stays_and_says_why() {
    let mut question = shop(vec![ran(1, "SELECT * FROM weights WHERE w_a = 1")]);
    question.tables.push(table("weights", &["w_a", "w_b"], 1, 500_000));
    let advice = advise(&question).unwrap();
    let advised = advice.tables.last().unwrap();
    assert_eq!(advised.lies, Lies::Home);
    assert!(advised.why[0].contains("a DOUBLE is no key"), "{:?}", advised.why);
    assert!(advised.warnings[0].contains("stay on one server"), "{:?}", advised.warnings);
}

#[test]
fn a_key_that_most_executions_name_is_hot() {
    let text = |id: u32| format!("SELECT name FROM customers WHERE id = {id}");
    let texts = |hot: u32| (0..100).map(|nth| text(if nth < hot { 7 } else { 1_000 + nth })).collect();
    for (hot, is_hot) in [(60, true), (3, false)] {
        let ran = RanStatement { texts: texts(hot), count: 100, ..RanStatement::default() };
        let question = shop(vec![ran]);
        let advice = advise(&question).unwrap();
        let warned = advice.tables[1].warnings.iter().any(|warning| warning.starts_with("one key has"));
        assert_eq!(warned, is_hot, "{:?}", advice.tables[1].warnings);
    }
}

#[test]
fn statements_of_another_current_database_are_read_by_their_qualified_names() {
    let mut qualified = ran(10, "SELECT name FROM shop.customers WHERE id = 42");
    qualified.database = Some("mysql".into());
    let question = shop(vec![qualified]);
    let advice = advise(&question).unwrap();
    assert_eq!(keys(&question, &advice)[1], "customers id");
    assert_eq!(advice.shares.one_shard.count, 10);
}

#[test]
fn nothing_ran_is_an_answer_too() {
    let question = shop(Vec::new());
    let advice = advise(&question).unwrap();
    assert_eq!(advice.shares.all.count, 0);
    assert_eq!(advice.tables.len(), 5);
}
