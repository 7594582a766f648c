//! The shop: its tables, how their rows lie, and the rows, which are the same in every demo. No I/O. Read next: `cluster`, `load`.

/// The keyspace's name.
pub(super) const KEYSPACE: &str = "shop";
/// How many customers there are, numbered from 1.
pub(super) const CUSTOMERS: u64 = 1_000;
/// How many orders each customer has.
pub(super) const ORDERS_PER_CUSTOMER: u64 = 3;

/// A table of the shop's.
pub(super) struct ShopTable {
    /// Its name.
    pub(super) name: &'static str,
    /// How its rows lie on the shards.
    pub(super) lies: Lies,
    /// What creates it, unless it is there.
    pub(super) create: &'static str,
}

/// How a table's rows lie on the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lies {
    /// Each row where this column leads.
    By(&'static str),
    /// A copy on every shard.
    Everywhere,
    /// Whole, on the home shard.
    AtHome,
}

/// The tables.
pub(super) const TABLES: [ShopTable; 4] = [
    ShopTable {
        name: "customers",
        lies: Lies::By("id"),
        create: "CREATE TABLE IF NOT EXISTS customers (
            id BIGINT NOT NULL PRIMARY KEY,
            name VARCHAR(80) NOT NULL,
            email VARCHAR(120) NOT NULL,
            country_code CHAR(2) NOT NULL,
            created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
        )",
    },
    ShopTable {
        name: "orders",
        lies: Lies::By("customer_id"),
        create: "CREATE TABLE IF NOT EXISTS orders (
            customer_id BIGINT NOT NULL,
            id BIGINT NOT NULL,
            item VARCHAR(80) NOT NULL,
            quantity INT NOT NULL,
            price DECIMAL(10,2) NOT NULL,
            ordered_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
            PRIMARY KEY (customer_id, id)
        )",
    },
    ShopTable {
        name: "countries",
        lies: Lies::Everywhere,
        create: "CREATE TABLE IF NOT EXISTS countries (
            code CHAR(2) NOT NULL PRIMARY KEY,
            name VARCHAR(80) NOT NULL
        )",
    },
    ShopTable {
        name: "settings",
        lies: Lies::AtHome,
        create: "CREATE TABLE IF NOT EXISTS settings (
            name VARCHAR(80) NOT NULL PRIMARY KEY,
            value VARCHAR(255) NOT NULL
        )",
    },
];

/// The reference rows: code and name.
pub(super) const COUNTRIES: [(&str, &str); 20] = [
    ("AR", "Argentina"),
    ("AU", "Australia"),
    ("BR", "Brazil"),
    ("CA", "Canada"),
    ("CH", "Switzerland"),
    ("CL", "Chile"),
    ("DE", "Germany"),
    ("EG", "Egypt"),
    ("ES", "Spain"),
    ("FR", "France"),
    ("GB", "United Kingdom"),
    ("IN", "India"),
    ("IT", "Italy"),
    ("JP", "Japan"),
    ("KE", "Kenya"),
    ("MX", "Mexico"),
    ("NO", "Norway"),
    ("PL", "Poland"),
    ("US", "United States"),
    ("ZA", "South Africa"),
];

/// The rows at home: name and value.
pub(super) const SETTINGS: [(&str, &str); 4] = [
    ("shop.name", "The Podway shop"),
    ("currency", "EUR"),
    ("vat.percent", "19"),
    ("shipping.free_from", "50.00"),
];

const FIRST_NAMES: [&str; 16] = [
    "Ada",
    "Alan",
    "Barbara",
    "Claude",
    "Donald",
    "Edsger",
    "Frances",
    "Grace",
    "Hedy",
    "Jim",
    "Katherine",
    "Leslie",
    "Margaret",
    "Niklaus",
    "Radia",
    "Tony",
];
const LAST_NAMES: [&str; 15] = [
    "Lindqvist",
    "Okafor",
    "Nakamura",
    "Müller",
    "García",
    "Rossi",
    "Dubois",
    "Novák",
    "Silva",
    "Haddad",
    "Kowalska",
    "O'Brien",
    "Jensen",
    "Sharma",
    "Mbeki",
];
const ITEMS: [(&str, u64); 12] = [
    ("teapot", 24_90),
    ("kettle", 39_00),
    ("coffee mill", 54_50),
    ("bread knife", 18_75),
    ("cast-iron pan", 62_00),
    ("picnic rug", 29_99),
    ("desk lamp", 44_40),
    ("umbrella", 15_20),
    ("wall clock", 33_00),
    ("notebook", 4_95),
    ("fountain pen", 21_60),
    ("chess board", 48_00),
];

/// A customer's row.
pub(super) struct Customer {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) country_code: &'static str,
}

/// An order's row.
pub(super) struct Order {
    pub(super) customer_id: u64,
    pub(super) id: u64,
    pub(super) item: &'static str,
    pub(super) quantity: u64,
    /// A decimal number.
    pub(super) price: String,
}

/// The customer with this number.
pub(super) fn customer(id: u64) -> Customer {
    let (first, last) = (pick(&FIRST_NAMES, id), pick(&LAST_NAMES, id * 7));
    let email = format!("{}.{id}@example.com", first.to_lowercase());
    Customer {
        id,
        name: format!("{first} {last}"),
        email,
        country_code: pick(&COUNTRIES, id * 3 + id / 20).0,
    }
}

/// The orders of the customer with this number.
pub(super) fn orders_of(customer_id: u64) -> impl Iterator<Item = Order> {
    (1..=ORDERS_PER_CUSTOMER).map(move |nth| {
        let id = (customer_id - 1) * ORDERS_PER_CUSTOMER + nth;
        let (item, cents) = *pick(&ITEMS, id * 5);
        let price = format!("{}.{:02}", cents / 100, cents % 100);
        Order { customer_id, id, item, quantity: 1 + id % 4, price }
    })
}

/// How many rows a shop has that are loaded through the proxy.
pub(super) fn rows_through_the_proxy() -> u64 {
    CUSTOMERS * (1 + ORDERS_PER_CUSTOMER) + SETTINGS.len() as u64
}

fn pick<T>(list: &[T], number: u64) -> &T {
    &list[(number % list.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn order_numbers_are_the_shops_not_the_customers() {
        let ids: HashSet<u64> = (1..=CUSTOMERS).flat_map(orders_of).map(|order| order.id).collect();
        assert_eq!(ids.len() as u64, CUSTOMERS * ORDERS_PER_CUSTOMER);
        assert_eq!(ids.iter().max(), Some(&(CUSTOMERS * ORDERS_PER_CUSTOMER)));
    }

    #[test]
    fn customers_differ_and_live_in_known_countries() {
        let customers: Vec<Customer> = (1..=CUSTOMERS).map(customer).collect();
        let emails: HashSet<&str> = customers.iter().map(|customer| customer.email.as_str()).collect();
        assert_eq!(emails.len() as u64, CUSTOMERS);
        let countries: HashSet<&str> = customers.iter().map(|customer| customer.country_code).collect();
        assert_eq!(countries.len(), COUNTRIES.len());
    }
}
