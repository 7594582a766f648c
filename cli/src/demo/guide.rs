//! What a demo tells its user once it is up: where it is, how to get in, what to try. Text only. Read next: `status`.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::layout::Layout;
use super::shop::KEYSPACE;

/// A statement for the user to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementToTry {
    /// What it shows.
    pub shows: &'static str,
    /// Its text, on one line or several.
    pub sql: &'static str,
}

/// The statements to try, in their order.
pub const STATEMENTS: [StatementToTry; 6] = [
    StatementToTry {
        shows: "one customer, from the shard that has it",
        sql: "SELECT * FROM customers WHERE id = 42;",
    },
    StatementToTry {
        shows: "a join inside that shard, with the reference table's copy there",
        sql: "SELECT c.name, n.name AS country, o.item, o.quantity * o.price AS total\n\
              FROM orders o JOIN customers c ON c.id = o.customer_id JOIN countries n ON n.code = c.country_code\n\
              WHERE o.customer_id = 42;",
    },
    StatementToTry {
        shows: "a new row, on the shard where its customer is",
        sql: "INSERT INTO orders (customer_id, id, item, quantity, price) VALUES (42, 900001, 'chess board', 1, 48.00);",
    },
    StatementToTry {
        shows: "a transaction on several servers: committed on all of them, or on none",
        sql: "BEGIN; UPDATE customers SET email = 'ada@example.com' WHERE id = 42;\n\
              UPDATE customers SET email = 'bob@example.com' WHERE id = 7; COMMIT;",
    },
    StatementToTry {
        shows: "all shards at once: each counts its own rows, and the counts are put together",
        sql: "SELECT country_code, COUNT(*) AS customers FROM customers\n\
              GROUP BY country_code ORDER BY customers DESC, country_code LIMIT 3;",
    },
    StatementToTry {
        shows: "a write on all shards, which is one transaction",
        sql: "UPDATE orders SET price = ROUND(price * 0.9, 2);",
    },
];

/// What the guide is about.
pub(super) struct Guide<'a> {
    /// Where the proxy listens.
    pub(super) address: SocketAddr,
    /// Where the topology answers.
    pub(super) topology: &'a str,
    /// Who may log in.
    pub(super) layout: &'a Layout,
    /// How many servers there are.
    pub(super) servers: usize,
    /// Their version.
    pub(super) version: &'a str,
    /// The client to call.
    pub(super) client: &'a str,
    /// How to call this program.
    pub(super) podway: &'a str,
}

impl Guide<'_> {
    /// The text, on several lines.
    pub(super) fn text(&self) -> String {
        let Layout { user, password, .. } = self.layout;
        let (ip, port) = (self.address.ip(), self.address.port());
        let servers = if self.servers == 1 {
            "1 MySQL server".to_owned()
        } else {
            format!("{} MySQL servers", self.servers)
        };
        let mut text = format!(
            "\nPodway listens on {}, before {servers} ({}).\nCopy this line to get in:\n\n  {} -h{ip} -P{port} -u{user} -p{password} {KEYSPACE}\n\nand try:\n",
            self.address, self.version, self.client
        );
        for StatementToTry { shows, sql } in STATEMENTS {
            let _ = write!(text, "\n  -- {shows}\n  {}\n", indented(sql));
        }
        let _ = write!(
            text,
            "\nThe cluster at a glance, from another terminal:\n\n  {} status --topology {}\n\nCtrl-C ends it all.\n",
            self.podway, self.topology
        );
        text
    }
}

fn indented(sql: &str) -> String {
    sql.replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_holds_the_address_the_line_to_copy_and_every_statement() {
        let layout = Layout::new(1, true).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 6033));
        let guide = Guide {
            address,
            topology: "127.0.0.1:7400",
            layout: &layout,
            servers: 1,
            version: "9.7.4",
            client: "/cache/mysql",
            podway: "/bin/podway",
        };
        let text = guide.text();
        assert!(text.contains("listens on 127.0.0.1:6033, before 1 MySQL server (9.7.4)"));
        assert!(text.contains("\n  /cache/mysql -h127.0.0.1 -P6033 -udemo -pdemo shop\n"));
        assert!(text.contains("\n  /bin/podway status --topology 127.0.0.1:7400\n"));
        assert!(STATEMENTS.iter().all(|statement| text.contains(&indented(statement.sql))));
    }
}
