//! The tables and their rows, as text: the same on both sides. Values of a column that is ordered by are unique, or NULL.

use std::fmt::Write;

/// A table.
pub struct Table {
    pub name: &'static str,
    pub definition: &'static str,
    pub lies: Lies,
}

/// Where a table's rows are.
pub enum Lies {
    /// By this column.
    By(&'static str),
    Everywhere,
    Home,
}

/// How many rows `kinds` has.
pub const KINDS: u64 = 48;
/// How many customers there are; each has up to three orders.
pub const CUSTOMERS: u64 = 20;

/// All of them.
pub const TABLES: [Table; 9] = [
    Table {
        name: "kinds",
        definition: "CREATE TABLE kinds (id BIGINT PRIMARY KEY, grp INT NOT NULL, i INT, u BIGINT UNSIGNED, d DECIMAL(30,4), f FLOAT, \
                     x DOUBLE, day DATE, at DATETIME(6), t TIME(3), ts TIMESTAMP(3) NULL, y YEAR, \
                     word VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci, raw VARBINARY(20), note TEXT, blobby BLOB, \
                     j JSON, e ENUM('small','medium','large'), s SET('a','b','c'))",
        lies: Lies::By("id"),
    },
    Table {
        name: "customers",
        definition: "CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL, country CHAR(4), boss BIGINT, \
                     KEY by_country (country))",
        lies: Lies::By("id"),
    },
    Table {
        name: "orders",
        definition: "CREATE TABLE orders (customer BIGINT NOT NULL, id BIGINT NOT NULL, total DECIMAL(10,2), placed DATE, \
                     label VARCHAR(40), PRIMARY KEY (customer, id))",
        lies: Lies::By("customer"),
    },
    Table {
        name: "nothing",
        definition: "CREATE TABLE nothing (id BIGINT PRIMARY KEY, v INT, w VARCHAR(10))",
        lies: Lies::By("id"),
    },
    Table {
        name: "parted",
        definition: "CREATE TABLE parted (id BIGINT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 3",
        lies: Lies::By("id"),
    },
    Table {
        name: "countries",
        definition: "CREATE TABLE countries (code CHAR(2) PRIMARY KEY, name VARCHAR(40) NOT NULL)",
        lies: Lies::Everywhere,
    },
    Table {
        name: "settings",
        definition: "CREATE TABLE settings (id INT PRIMARY KEY, name VARCHAR(40), value INT)",
        lies: Lies::Home,
    },
    Table {
        name: "pages",
        definition: "CREATE TABLE pages (id BIGINT PRIMARY KEY, title VARCHAR(80), body TEXT, n INT, other BIGINT, \
                     FULLTEXT KEY by_body (body), FULLTEXT KEY by_both (title, body))",
        lies: Lies::By("id"),
    },
    Table {
        name: "old_pages",
        definition: "CREATE TABLE old_pages (id BIGINT PRIMARY KEY, body TEXT, FULLTEXT KEY (body)) ENGINE = MyISAM",
        lies: Lies::By("id"),
    },
];

/// The reference table's rows, as one statement.
pub const COUNTRIES: &str =
    "INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France'), ('pe', 'Perú'), ('xx', 'Nowhere')";

/// Statements that each make one row.
pub fn rows() -> Vec<String> {
    let mut all: Vec<String> = (1..=KINDS).map(kind).collect();
    for id in 1..=CUSTOMERS {
        let country = ["'de'", "'fr'", "'pe'", "NULL"][(id % 4) as usize];
        let boss = if id % 5 == 0 { "NULL".to_owned() } else { (id * 7 % 20 + 1).to_string() };
        all.push(format!("INSERT INTO customers VALUES ({id}, 'customer {id}', {country}, {boss})"));
        for nth in 0..id % 4 {
            let total = if nth == 2 { "NULL".to_owned() } else { format!("{}.{nth}5", id * 3 % 11) };
            all.push(format!(
                "INSERT INTO orders VALUES ({id}, {}, {total}, '2024-0{}-1{nth}', 'café {nth} 😀')",
                id * 10 + nth,
                id % 9 + 1
            ));
        }
        all.push(format!("INSERT INTO parted VALUES ({id}, {})", id * id % 17));
    }
    all.push("INSERT INTO settings VALUES (1, 'one', 5), (2, 'two', 7), (3, 'none', NULL)".to_owned());
    all
}

/// A row of `kinds`: each column in an order of its own, with NULLs in every ninth row of another turn.
fn kind(id: u64) -> String {
    let n = |factor: u64| id * factor % 101;
    let start = ["a", "Á", "b", "B", "ß", "z", "Ž", "é", "E", "ñ", "😀", "ø"][(id % 12) as usize];
    let sign = |factor: u64| if n(factor).is_multiple_of(2) { "-" } else { "" };
    let cells = [
        (n(37) as i64 - 50).to_string(),
        (n(11) * 180_000_000_000_000_000).to_string(),
        format!("{}{}.{}", sign(5), "9".repeat((n(5) % 20) as usize + 1), n(5)),
        format!("{}{}.5", sign(17), n(17)),
        format!("{}{}e{}", sign(23), n(23) + 1, (id % 9) as i64 * 30 - 120),
        format!("'19{}-{:02}-{:02}'", 50 + n(29) % 50, n(29) % 12 + 1, n(29) % 28 + 1),
        format!("'2024-03-{:02} 12:{:02}:09.{:06}'", n(31) % 28 + 1, n(31) % 60, n(31) * 9_000),
        format!("'{}{}:{:02}:{:02}.{:03}'", sign(41), n(41) * 8, n(41) % 60, n(41) % 59, n(41) * 7),
        format!("'2024-{:02}-{:02} 01:{:02}:00.{:03}'", n(43) % 12 + 1, n(43) % 28 + 1, n(43) % 60, n(43)),
        (1950 + n(47)).to_string(),
        format!("'{start}{:02}'", n(7)),
        format!("X'{:02X}{}'", n(13) * 2 + 1, "00".repeat((id % 3) as usize)),
        format!("'note {} \\' \\\\ ü'", n(3)),
        format!("X'FF00{:02X}'", n(3)),
        format!("'{{\"n\": {}, \"tags\": [\"é\", {}]}}'", n(19), id.is_multiple_of(2)),
        ["'small'", "'large'", "'medium'"][(id % 3) as usize].to_owned(),
        ["''", "'a'", "'b,c'", "'a,c'"][(id % 4) as usize].to_owned(),
    ];
    let mut sql = format!("INSERT INTO kinds VALUES ({id}, {}", id % 5);
    for (nth, cell) in (0..).zip(cells) {
        let is_null = (id + nth).is_multiple_of(9);
        let _ = write!(sql, ", {}", if is_null { "NULL" } else { &cell });
    }
    sql + ")"
}
