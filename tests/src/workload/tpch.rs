//! The tables and questions of the benchmark TPC-H (Transaction Processing Performance Council, "TPC Benchmark H", revision 3), with data that we make ourselves: about its distributions and of fewer
//! different values, so that each question finds something in little of it. No result is comparable with a published one.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Table, inserts};

/// All tables: orders and their lines lie together, parts and what suppliers ask for them lie together.
pub const TABLES: [Table; 8] = [
    Table {
        name: "region",
        create: "CREATE TABLE region (r_regionkey INT PRIMARY KEY, r_name CHAR(25) NOT NULL, r_comment VARCHAR(152))",
        sharded_by: &[],
    },
    Table {
        name: "nation",
        create: "CREATE TABLE nation (n_nationkey INT PRIMARY KEY, n_name CHAR(25) NOT NULL, n_regionkey INT NOT NULL, n_comment VARCHAR(152))",
        sharded_by: &[],
    },
    Table {
        name: "supplier",
        create: "CREATE TABLE supplier (s_suppkey INT PRIMARY KEY, s_name CHAR(25) NOT NULL, s_address VARCHAR(40) NOT NULL,
            s_nationkey INT NOT NULL, s_phone CHAR(15) NOT NULL, s_acctbal DECIMAL(15,2) NOT NULL, s_comment VARCHAR(101) NOT NULL)",
        sharded_by: &["s_suppkey"],
    },
    Table {
        name: "part",
        create: "CREATE TABLE part (p_partkey INT PRIMARY KEY, p_name VARCHAR(55) NOT NULL, p_mfgr CHAR(25) NOT NULL, p_brand CHAR(10) NOT NULL,
            p_type VARCHAR(25) NOT NULL, p_size INT NOT NULL, p_container CHAR(10) NOT NULL, p_retailprice DECIMAL(15,2) NOT NULL, p_comment VARCHAR(23) NOT NULL)",
        sharded_by: &["p_partkey"],
    },
    Table {
        name: "partsupp",
        create: "CREATE TABLE partsupp (ps_partkey INT NOT NULL, ps_suppkey INT NOT NULL, ps_availqty INT NOT NULL, ps_supplycost DECIMAL(15,2) NOT NULL,
            ps_comment VARCHAR(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey))",
        sharded_by: &["ps_partkey"],
    },
    Table {
        name: "customer",
        create: "CREATE TABLE customer (c_custkey INT PRIMARY KEY, c_name VARCHAR(25) NOT NULL, c_address VARCHAR(40) NOT NULL, c_nationkey INT NOT NULL,
            c_phone CHAR(15) NOT NULL, c_acctbal DECIMAL(15,2) NOT NULL, c_mktsegment CHAR(10) NOT NULL, c_comment VARCHAR(117) NOT NULL)",
        sharded_by: &["c_custkey"],
    },
    Table {
        name: "orders",
        create: "CREATE TABLE orders (o_orderkey INT PRIMARY KEY, o_custkey INT NOT NULL, o_orderstatus CHAR(1) NOT NULL, o_totalprice DECIMAL(15,2) NOT NULL,
            o_orderdate DATE NOT NULL, o_orderpriority CHAR(15) NOT NULL, o_clerk CHAR(15) NOT NULL, o_shippriority INT NOT NULL, o_comment VARCHAR(79) NOT NULL,
            KEY (o_custkey))",
        sharded_by: &["o_orderkey"],
    },
    Table {
        name: "lineitem",
        create: "CREATE TABLE lineitem (l_orderkey INT NOT NULL, l_partkey INT NOT NULL, l_suppkey INT NOT NULL, l_linenumber INT NOT NULL,
            l_quantity DECIMAL(15,2) NOT NULL, l_extendedprice DECIMAL(15,2) NOT NULL, l_discount DECIMAL(15,2) NOT NULL, l_tax DECIMAL(15,2) NOT NULL,
            l_returnflag CHAR(1) NOT NULL, l_linestatus CHAR(1) NOT NULL, l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL,
            l_shipinstruct CHAR(25) NOT NULL, l_shipmode CHAR(10) NOT NULL, l_comment VARCHAR(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber),
            KEY (l_partkey, l_suppkey))",
        sharded_by: &["l_orderkey"],
    },
];

const QUESTIONS: &str = include_str!("../../testdata/tpch.sql");

const REGIONS: [&str; 5] = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"];
/// Each with its region.
const NATIONS: [(&str, usize); 25] = [
    ("ALGERIA", 0),
    ("ARGENTINA", 1),
    ("BRAZIL", 1),
    ("CANADA", 1),
    ("EGYPT", 4),
    ("ETHIOPIA", 0),
    ("FRANCE", 3),
    ("GERMANY", 3),
    ("INDIA", 2),
    ("INDONESIA", 2),
    ("IRAN", 4),
    ("IRAQ", 4),
    ("JAPAN", 2),
    ("JORDAN", 4),
    ("KENYA", 0),
    ("MOROCCO", 0),
    ("MOZAMBIQUE", 0),
    ("PERU", 1),
    ("CHINA", 2),
    ("ROMANIA", 3),
    ("SAUDI ARABIA", 4),
    ("VIETNAM", 2),
    ("RUSSIA", 3),
    ("UNITED KINGDOM", 3),
    ("UNITED STATES", 1),
];
const SEGMENTS: [&str; 5] = ["AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY"];
const PRIORITIES: [&str; 5] = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"];
const COLOURS: [&str; 8] = ["forest", "green", "blue", "ivory", "lemon", "navy", "plum", "snow"];
const KINDS: [&str; 6] = [
    "ECONOMY ANODIZED STEEL",
    "PROMO BURNISHED COPPER",
    "STANDARD PLATED BRASS",
    "MEDIUM POLISHED TIN",
    "SMALL BRUSHED BRASS",
    "LARGE PLATED NICKEL",
];
const BRANDS: [&str; 4] = ["Brand#12", "Brand#23", "Brand#34", "Brand#45"];
const CONTAINERS: [&str; 6] = ["SM CASE", "SM BOX", "MED BAG", "MED BOX", "LG CASE", "LG PKG"];
const SIZES: [u32; 8] = [49, 14, 23, 45, 19, 3, 36, 9];
const MODES: [&str; 5] = ["AIR", "REG AIR", "MAIL", "SHIP", "RAIL"];
const INSTRUCTIONS: [&str; 2] = ["DELIVER IN PERSON", "NONE"];
const REMARKS: [&str; 5] =
    ["quick", "special handling requests", "Customer has Complaints", "slow café", "blue-eyed"];
/// The last day of an order, in days after 1992-01-01.
const LAST_ORDER: u32 = 2_405;
/// What was shipped until then, 1995-06-17, is done.
const TODAY: u32 = 1_263;

/// Each question's name and text.
pub fn questions() -> Vec<(&'static str, &'static str)> {
    let named = QUESTIONS.split("\n--- ").skip(1);
    named.filter_map(|question| question.split_once('\n')).map(|(name, sql)| (name, sql.trim())).collect()
}

/// Statements that fill the tables with so many orders and what belongs to them: four lines each on average, and a tenth as many customers.
pub fn rows(orders: u32, seed: u64) -> impl Iterator<Item = String> {
    let mut maker = Maker {
        rng: StdRng::seed_from_u64(seed),
        orders,
        customers: orders.div_ceil(10),
        parts: orders.div_ceil(7),
        suppliers: 10 + orders / 150,
    };
    let region = (0..REGIONS.len()).map(|key| format!("({key}, '{}', '')", REGIONS[key])).collect();
    let nation = (0..NATIONS.len())
        .map(|key| format!("({key}, '{}', {}, '')", NATIONS[key].0, NATIONS[key].1))
        .collect();
    let supplier = (1..=maker.suppliers).map(|key| maker.supplier(key)).collect();
    let part = (1..=maker.parts).map(|key| maker.part(key)).collect();
    let partsupp = (1..=maker.parts).flat_map(|key| maker.offers(key)).collect();
    let customer = (1..=maker.customers).map(|key| maker.customer(key)).collect();
    let (orders, lines): (Vec<_>, Vec<_>) = (1..=maker.orders).map(|nth| maker.order(nth)).unzip();
    let all = [region, nation, supplier, part, partsupp, customer, orders, lines.concat()];
    TABLES.iter().zip(all).flat_map(|(table, rows)| inserts(table.name, rows))
}

struct Maker {
    rng: StdRng,
    orders: u32,
    customers: u32,
    parts: u32,
    suppliers: u32,
}

/// What an order knows of one of its lines.
struct Line {
    row: String,
    price: f64,
    is_open: bool,
}

impl Maker {
    fn one_of(&mut self, names: &[&'static str]) -> &'static str {
        names[self.rng.random_range(0..names.len())]
    }

    fn balance(&mut self) -> String {
        format!("{:.2}", f64::from(self.rng.random_range(-99_999..999_999)) / 100.0)
    }

    fn phone(&mut self, nation: usize) -> String {
        let (area, number) = (self.rng.random_range(100..999), self.rng.random_range(1_000..9_999));
        format!("{}-{area}-{number}", nation + 10)
    }

    fn supplier(&mut self, key: u32) -> String {
        let nation = key as usize % NATIONS.len();
        let (phone, balance, remark) = (self.phone(nation), self.balance(), self.one_of(&REMARKS));
        format!("({key}, 'Supplier#{key:09}', 'street {key}', {nation}, '{phone}', {balance}, '{remark}')")
    }

    fn part(&mut self, key: u32) -> String {
        format!(
            "({key}, '{} {}', 'Manufacturer#{}', '{}', '{}', {}, '{}', {:.2}, '{}')",
            self.one_of(&COLOURS),
            self.one_of(&COLOURS),
            key % 5 + 1,
            self.one_of(&BRANDS),
            self.one_of(&KINDS),
            SIZES[self.rng.random_range(0..SIZES.len())],
            self.one_of(&CONTAINERS),
            price(key),
            self.one_of(&["final", "express"]),
        )
    }

    /// What its suppliers ask for a part.
    fn offers(&mut self, part: u32) -> Vec<String> {
        let mut offers = Vec::new();
        for nth in 0..4 {
            let (available, cost) = (self.rng.random_range(1..200), self.rng.random_range(100..100_000));
            let supplier = self.supplier_of(part, nth);
            offers.push(format!("({part}, {supplier}, {available}, {:.2}, '')", f64::from(cost) / 100.0));
        }
        offers
    }

    fn customer(&mut self, key: u32) -> String {
        let nation = self.rng.random_range(0..NATIONS.len());
        format!(
            "({key}, 'Customer#{key:09}', 'lane {key}', {nation}, '{}', {}, '{}', '{}')",
            self.phone(nation),
            self.balance(),
            self.one_of(&SEGMENTS),
            self.one_of(&REMARKS),
        )
    }

    /// An order and its lines. Keys have gaps, and a third of all customers orders nothing.
    fn order(&mut self, nth: u32) -> (String, Vec<String>) {
        let key = nth * 4 - 3;
        let customer = self.rng.random_range(0..self.customers) / 3 * 3 + self.rng.random_range(1..=2);
        let day = self.rng.random_range(0..LAST_ORDER);
        let count = self.rng.random_range(1..=7);
        let lines: Vec<Line> = (1..=count).map(|number| self.line(key, number, day)).collect();
        let status = match lines.iter().filter(|line| line.is_open).count() {
            0 => 'F',
            open if open == lines.len() => 'O',
            _ => 'P',
        };
        let row = format!(
            "({key}, {}, '{status}', {:.2}, '{}', '{}', 'Clerk#{:09}', 0, '{}')",
            customer.min(self.customers),
            lines.iter().map(|line| line.price).sum::<f64>(),
            date(day),
            self.one_of(&PRIORITIES),
            self.rng.random_range(1..100),
            self.one_of(&REMARKS),
        );
        (row, lines.into_iter().map(|line| line.row).collect())
    }

    fn line(&mut self, order: u32, number: u32, ordered: u32) -> Line {
        let part = self.rng.random_range(1..=self.parts);
        let nth = self.rng.random_range(0..4);
        let quantity = self.rng.random_range(1..=50);
        let (discount, tax) = (self.rng.random_range(0..=10), self.rng.random_range(0..=8));
        let shipped = ordered + self.rng.random_range(1..=121);
        let promised = ordered + self.rng.random_range(30..=90);
        let received = shipped + self.rng.random_range(1..=30);
        let is_open = shipped > TODAY;
        let price = f64::from(quantity) * price(part);
        let row = format!(
            "({order}, {part}, {}, {number}, {quantity}, {price:.2}, 0.{discount:02}, 0.{tax:02}, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
            self.supplier_of(part, nth),
            if received > TODAY { "N" } else { self.one_of(&["R", "A"]) },
            if is_open { 'O' } else { 'F' },
            date(shipped),
            date(promised),
            date(received),
            self.one_of(&INSTRUCTIONS),
            self.one_of(&MODES),
            self.one_of(&REMARKS),
        );
        Line { row, price, is_open }
    }

    /// One of four suppliers of a part.
    fn supplier_of(&self, part: u32, nth: u32) -> u32 {
        (part + nth * (self.suppliers / 4 + 1)) % self.suppliers + 1
    }
}

fn price(part: u32) -> f64 {
    f64::from(90_000 + part % 200 * 100 + part / 10) / 100.0
}

/// Days after 1992-01-01 as a date.
fn date(mut day: u32) -> String {
    const MONTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    for year in 1992.. {
        for (nth, length) in MONTHS.iter().enumerate() {
            let length = length + u32::from(nth == 1 && year % 4 == 0);
            if day < length {
                return format!("{year}-{:02}-{:02}", nth + 1, day + 1);
            }
            day -= length;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_twenty_two_questions_and_eight_filled_tables() {
        assert_eq!(questions().len(), 22);
        let rows: Vec<String> = rows(700, 1).collect();
        for table in &TABLES {
            assert!(rows.iter().any(|sql| sql.starts_with(&format!("INSERT INTO {} ", table.name))));
        }
    }

    #[test]
    fn days_are_dates() {
        assert_eq!(
            [0, 59, 60, 366, 2_404].map(date),
            ["1992-01-01", "1992-02-29", "1992-03-01", "1993-01-01", "1998-08-01"]
        );
    }
}
