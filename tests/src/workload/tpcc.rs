//! The tables and transactions of the benchmark TPC-C (Transaction Processing Performance Council, "TPC Benchmark C", revision 5.11), shortened: without think times, with as many
//! customers and items as are asked for. All tables are sharded by the warehouse, items are on every shard. No result is comparable with a published one.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Params, Row, Value, params};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Table, inserts};

/// All tables.
pub const TABLES: [Table; 9] = [
    Table {
        name: "item",
        create: "CREATE TABLE item (i_id INT PRIMARY KEY, i_name VARCHAR(24) NOT NULL, i_price DECIMAL(5,2) NOT NULL, i_data VARCHAR(50) NOT NULL)",
        sharded_by: &[],
    },
    Table {
        name: "warehouse",
        create: "CREATE TABLE warehouse (w_id INT PRIMARY KEY, w_name VARCHAR(10) NOT NULL, w_tax DECIMAL(4,4) NOT NULL, w_ytd DECIMAL(12,2) NOT NULL)",
        sharded_by: &["w_id"],
    },
    Table {
        name: "district",
        create: "CREATE TABLE district (d_w_id INT NOT NULL, d_id INT NOT NULL, d_tax DECIMAL(4,4) NOT NULL, d_ytd DECIMAL(12,2) NOT NULL,
            d_next_o_id INT NOT NULL, PRIMARY KEY (d_w_id, d_id))",
        sharded_by: &["d_w_id"],
    },
    Table {
        name: "customer",
        create: "CREATE TABLE customer (c_w_id INT NOT NULL, c_d_id INT NOT NULL, c_id INT NOT NULL, c_first VARCHAR(16) NOT NULL, c_last VARCHAR(16) NOT NULL,
            c_credit CHAR(2) NOT NULL, c_discount DECIMAL(4,4) NOT NULL, c_balance DECIMAL(12,2) NOT NULL, c_ytd_payment DECIMAL(12,2) NOT NULL,
            c_payment_cnt INT NOT NULL, c_delivery_cnt INT NOT NULL, c_data VARCHAR(500) NOT NULL, PRIMARY KEY (c_w_id, c_d_id, c_id),
            KEY (c_w_id, c_d_id, c_last, c_first))",
        sharded_by: &["c_w_id"],
    },
    Table {
        name: "history",
        create: "CREATE TABLE history (h_w_id INT NOT NULL, h_id BIGINT NOT NULL, h_d_id INT NOT NULL, h_c_w_id INT NOT NULL, h_c_d_id INT NOT NULL,
            h_c_id INT NOT NULL, h_amount DECIMAL(6,2) NOT NULL, h_data VARCHAR(24) NOT NULL, PRIMARY KEY (h_w_id, h_id))",
        sharded_by: &["h_w_id"],
    },
    Table {
        name: "orders",
        create: "CREATE TABLE orders (o_w_id INT NOT NULL, o_d_id INT NOT NULL, o_id INT NOT NULL, o_c_id INT NOT NULL, o_carrier_id INT, o_ol_cnt INT NOT NULL,
            o_all_local INT NOT NULL, PRIMARY KEY (o_w_id, o_d_id, o_id), KEY (o_w_id, o_d_id, o_c_id, o_id))",
        sharded_by: &["o_w_id"],
    },
    Table {
        name: "new_order",
        create: "CREATE TABLE new_order (no_w_id INT NOT NULL, no_d_id INT NOT NULL, no_o_id INT NOT NULL, PRIMARY KEY (no_w_id, no_d_id, no_o_id))",
        sharded_by: &["no_w_id"],
    },
    Table {
        name: "order_line",
        create: "CREATE TABLE order_line (ol_w_id INT NOT NULL, ol_d_id INT NOT NULL, ol_o_id INT NOT NULL, ol_number INT NOT NULL, ol_i_id INT NOT NULL,
            ol_supply_w_id INT NOT NULL, ol_is_delivered INT NOT NULL, ol_quantity INT NOT NULL, ol_amount DECIMAL(6,2) NOT NULL, ol_dist_info CHAR(24) NOT NULL,
            PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number))",
        sharded_by: &["ol_w_id"],
    },
    Table {
        name: "stock",
        create: "CREATE TABLE stock (s_w_id INT NOT NULL, s_i_id INT NOT NULL, s_quantity INT NOT NULL, s_dist CHAR(24) NOT NULL, s_ytd INT NOT NULL,
            s_order_cnt INT NOT NULL, s_remote_cnt INT NOT NULL, s_data VARCHAR(50) NOT NULL, PRIMARY KEY (s_w_id, s_i_id))",
        sharded_by: &["s_w_id"],
    },
];

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Warehouses, numbered from 1.
    pub warehouses: u32,
    /// Districts of a warehouse.
    pub districts: u32,
    /// Customers of a district.
    pub customers: u32,
    /// Items, each in stock in each warehouse.
    pub items: u32,
}

const SYLLABLES: [&str; 10] =
    ["BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING"];

/// Statements that fill the tables: nobody has ordered anything yet.
pub fn rows(scale: Scale) -> impl Iterator<Item = String> {
    let Scale { warehouses, districts, customers, items } = scale;
    let district = move |warehouse| (1..=districts).map(move |district| (warehouse, district));
    let item =
        (1..=items).map(|id| format!("({id}, 'item {id}', {}.{:02}, 'original')", id % 99 + 1, id % 100));
    let warehouse = (1..=warehouses).map(|id| format!("({id}, 'ware {id}', 0.0{}, 300000)", id % 10));
    let of_district = (1..=warehouses)
        .flat_map(district)
        .map(|(warehouse, id)| format!("({warehouse}, {id}, 0.0{}, 30000, 1)", id % 10));
    let customer = (1..=warehouses).flat_map(district).flat_map(|(warehouse, district)| {
        (1..=customers).map(move |id| {
            let credit = if id % 10 == 0 { "BC" } else { "GC" };
            let last = last_name(id);
            format!("({warehouse}, {district}, {id}, 'first {id}', '{last}', '{credit}', 0.0{}, -10, 10, 1, 0, 'nothing')", id % 10)
        })
    });
    let stock = (1..=warehouses).flat_map(|warehouse| {
        (1..=items)
            .map(move |id| format!("({warehouse}, {id}, {}, 'dist {id}', 0, 0, 0, 'stock')", id % 90 + 10))
    });
    inserts("item", item.collect())
        .chain(inserts("warehouse", warehouse.collect()))
        .chain(inserts("district", of_district.collect()))
        .chain(inserts("customer", customer.collect()))
        .chain(inserts("stock", stock.collect()))
}

fn last_name(customer: u32) -> String {
    let digit = |place: u32| SYLLABLES[(customer / place % 10) as usize];
    format!("{}{}", digit(10), digit(1))
}

/// One who works at a warehouse.
pub struct Terminal {
    rng: StdRng,
    scale: Scale,
    warehouse: u32,
    /// The share of orders with a line, and of payments by a customer, of another warehouse.
    remote: f64,
    /// The number of the last payment.
    payments: u64,
    /// All that the last transaction read, in order.
    pub heard: Vec<Row>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Done {
    /// An order was entered.
    NewOrder,
    /// One with an item that does not exist was rolled back.
    NoSuchItem,
    /// A customer paid.
    Payment,
    /// The last order was looked at.
    OrderStatus,
    /// The oldest orders were delivered.
    Delivery,
    /// Items that run out were counted.
    StockLevel,
}

impl Terminal {
    /// A terminal of this number, at one of the warehouses in turn; the same number and seed do the same.
    pub fn new(scale: Scale, number: u32, remote: f64, seed: u64) -> Terminal {
        let rng = StdRng::seed_from_u64(seed ^ u64::from(number) << 32);
        let warehouse = number % scale.warehouses + 1;
        Terminal { rng, scale, warehouse, remote, payments: u64::from(number) << 32, heard: Vec::new() }
    }

    /// Runs one transaction of the mix.
    ///
    /// # Errors
    /// What a server says; then the transaction may still be open.
    pub async fn turn(&mut self, conn: &mut Conn) -> Result<Done, Error> {
        self.heard.clear();
        match self.rng.random_range(0..100) {
            0..45 => self.new_order(conn).await,
            45..88 => self.payment(conn).await,
            88..92 => self.order_status(conn).await,
            92..96 => self.delivery(conn).await,
            _ => self.stock_level(conn).await,
        }
    }

    async fn read(&mut self, conn: &mut Conn, sql: &str, params: Params) -> Result<Vec<Row>, Error> {
        let rows: Vec<Row> = conn.exec(sql, params).await?;
        self.heard.extend(rows.iter().cloned());
        Ok(rows)
    }

    async fn value(&mut self, conn: &mut Conn, sql: &str, params: Params) -> Result<Option<Value>, Error> {
        let rows = self.read(conn, sql, params).await?;
        Ok(rows.first().and_then(|row| row.as_ref(0)).cloned())
    }

    fn district(&mut self) -> u32 {
        self.rng.random_range(1..=self.scale.districts)
    }

    fn customer(&mut self) -> u32 {
        self.rng.random_range(1..=self.scale.customers)
    }

    fn other_warehouse(&mut self) -> u32 {
        match self.scale.warehouses {
            0 | 1 => self.warehouse,
            all => (self.warehouse - 1 + self.rng.random_range(1..all)) % all + 1,
        }
    }

    /// The items of an order, each with the warehouse that supplies it, in the order in which all lock them.
    fn items(&mut self) -> Vec<(u32, u32)> {
        let count = self.rng.random_range(5..=15.min(self.scale.items));
        let mut items: Vec<(u32, u32)> =
            (0..count).map(|_| (self.warehouse, self.rng.random_range(1..=self.scale.items))).collect();
        if self.rng.random_bool(self.remote) {
            items[0].0 = self.other_warehouse();
        }
        items.sort_unstable();
        items.dedup();
        items
    }

    async fn new_order(&mut self, conn: &mut Conn) -> Result<Done, Error> {
        let (w, d, c) = (self.warehouse, self.district(), self.customer());
        let items = self.items();
        let is_mistaken = self.rng.random_bool(0.01);
        conn.query_drop("BEGIN").await?;
        self.read(conn, "SELECT w_tax FROM warehouse WHERE w_id = ?", (w,).into()).await?;
        let sql = "SELECT d_next_o_id, d_tax FROM district WHERE d_w_id = ? AND d_id = ? FOR UPDATE";
        let order = self.value(conn, sql, (w, d).into()).await?;
        let sql = "UPDATE district SET d_next_o_id = d_next_o_id + 1 WHERE d_w_id = ? AND d_id = ?";
        conn.exec_drop(sql, (w, d)).await?;
        let sql =
            "SELECT c_discount, c_last, c_credit FROM customer WHERE c_w_id = ? AND c_d_id = ? AND c_id = ?";
        self.read(conn, sql, (w, d, c).into()).await?;
        let all_local = items.iter().all(|(supplier, _)| *supplier == w);
        let sql = "INSERT INTO orders VALUES (:w, :d, :o, :c, NULL, :count, :all_local)";
        let count = items.len();
        conn.exec_drop(sql, params! { w, d, "o" => &order, c, count, all_local }).await?;
        conn.exec_drop("INSERT INTO new_order VALUES (?, ?, ?)", (w, d, &order)).await?;
        for (nth, (supplier, item)) in items.into_iter().enumerate() {
            let item = if is_mistaken && nth + 1 == count { 0 } else { item };
            let price = self
                .value(conn, "SELECT i_price, i_name, i_data FROM item WHERE i_id = ?", (item,).into())
                .await?;
            let Some(price) = price else {
                conn.query_drop("ROLLBACK").await?;
                return Ok(Done::NoSuchItem);
            };
            let quantity = self.rng.random_range(1..=10);
            let sql =
                "SELECT s_quantity, s_data, s_dist FROM stock WHERE s_w_id = ? AND s_i_id = ? FOR UPDATE";
            self.read(conn, sql, (supplier, item).into()).await?;
            let remote = u32::from(supplier != w);
            let sql = "UPDATE stock SET s_quantity = IF(s_quantity >= :quantity + 10, s_quantity - :quantity, s_quantity - :quantity + 91), \
                       s_ytd = s_ytd + :quantity, s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + :remote \
                       WHERE s_w_id = :supplier AND s_i_id = :item";
            conn.exec_drop(sql, params! { quantity, remote, supplier, item }).await?;
            let sql = "INSERT INTO order_line VALUES (:w, :d, :o, :number, :item, :supplier, 0, :quantity, :quantity * :price, 'dist')";
            let number = nth + 1;
            let values = params! { w, d, "o" => &order, number, item, supplier, quantity, price };
            conn.exec_drop(sql, values).await?;
        }
        conn.query_drop("COMMIT").await?;
        Ok(Done::NewOrder)
    }

    async fn payment(&mut self, conn: &mut Conn) -> Result<Done, Error> {
        let (w, d) = (self.warehouse, self.district());
        let cd = self.district();
        let cw = if self.rng.random_bool(self.remote) { self.other_warehouse() } else { w };
        let amount = f64::from(self.rng.random_range(100..500_000)) / 100.0;
        let amount = format!("{amount:.2}");
        conn.query_drop("BEGIN").await?;
        conn.exec_drop("UPDATE warehouse SET w_ytd = w_ytd + ? WHERE w_id = ?", (&amount, w)).await?;
        let sql = "UPDATE district SET d_ytd = d_ytd + ? WHERE d_w_id = ? AND d_id = ?";
        conn.exec_drop(sql, (&amount, w, d)).await?;
        let customer = self.chosen_customer(conn, cw, cd).await?;
        let sql = "SELECT c_first, c_last, c_credit, c_balance FROM customer WHERE c_w_id = ? AND c_d_id = ? AND c_id = ? FOR UPDATE";
        self.read(conn, sql, (cw, cd, &customer).into()).await?;
        let sql = "UPDATE customer SET c_balance = c_balance - :amount, c_ytd_payment = c_ytd_payment + :amount, c_payment_cnt = c_payment_cnt + 1, \
                   c_data = IF(c_credit = 'BC', LEFT(CONCAT_WS(' ', c_id, :w, :d, :amount, c_data), 500), c_data) \
                   WHERE c_w_id = :cw AND c_d_id = :cd AND c_id = :customer";
        let values = params! { "amount" => &amount, w, d, cw, cd, "customer" => &customer };
        conn.exec_drop(sql, values).await?;
        let sql = "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, 'paid')";
        self.payments += 1;
        conn.exec_drop(sql, (w, self.payments, d, cw, cd, &customer, &amount)).await?;
        conn.query_drop("COMMIT").await?;
        Ok(Done::Payment)
    }

    /// A customer by number or, mostly, by name: of several of that name the middle one.
    async fn chosen_customer(&mut self, conn: &mut Conn, w: u32, d: u32) -> Result<Value, Error> {
        let customer = self.customer();
        if self.rng.random_bool(0.4) {
            return Ok(customer.into());
        }
        let sql = "SELECT c_id FROM customer WHERE c_w_id = ? AND c_d_id = ? AND c_last = ? ORDER BY c_first";
        let named = self.read(conn, sql, (w, d, last_name(customer)).into()).await?;
        Ok(named.get(named.len() / 2).and_then(|row| row.as_ref(0)).cloned().unwrap_or(customer.into()))
    }

    async fn order_status(&mut self, conn: &mut Conn) -> Result<Done, Error> {
        let (w, d) = (self.warehouse, self.district());
        let customer = self.chosen_customer(conn, w, d).await?;
        let sql = "SELECT o_id, o_carrier_id FROM orders WHERE o_w_id = ? AND o_d_id = ? AND o_c_id = ? ORDER BY o_id DESC LIMIT 1";
        let order = self.value(conn, sql, (w, d, &customer).into()).await?;
        let sql = "SELECT ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_is_delivered FROM order_line \
                   WHERE ol_w_id = ? AND ol_d_id = ? AND ol_o_id = ? ORDER BY ol_number";
        self.read(conn, sql, (w, d, order).into()).await?;
        Ok(Done::OrderStatus)
    }

    async fn delivery(&mut self, conn: &mut Conn) -> Result<Done, Error> {
        let (w, carrier) = (self.warehouse, self.rng.random_range(1..=10));
        conn.query_drop("BEGIN").await?;
        for d in 1..=self.scale.districts {
            let sql = "SELECT no_o_id FROM new_order WHERE no_w_id = ? AND no_d_id = ? ORDER BY no_o_id LIMIT 1 FOR UPDATE";
            let Some(order) = self.value(conn, sql, (w, d).into()).await? else { continue };
            let of = (w, d, &order);
            let sql = "DELETE FROM new_order WHERE no_w_id = ? AND no_d_id = ? AND no_o_id = ?";
            conn.exec_drop(sql, of).await?;
            let sql = "SELECT o_c_id FROM orders WHERE o_w_id = ? AND o_d_id = ? AND o_id = ?";
            let customer = self.value(conn, sql, of.into()).await?;
            let sql = "UPDATE orders SET o_carrier_id = ? WHERE o_w_id = ? AND o_d_id = ? AND o_id = ?";
            conn.exec_drop(sql, (carrier, w, d, &order)).await?;
            let sql =
                "UPDATE order_line SET ol_is_delivered = 1 WHERE ol_w_id = ? AND ol_d_id = ? AND ol_o_id = ?";
            conn.exec_drop(sql, of).await?;
            let sql =
                "SELECT SUM(ol_amount) FROM order_line WHERE ol_w_id = ? AND ol_d_id = ? AND ol_o_id = ?";
            let amount = self.value(conn, sql, of.into()).await?;
            let sql = "UPDATE customer SET c_balance = c_balance + ?, c_delivery_cnt = c_delivery_cnt + 1 \
                       WHERE c_w_id = ? AND c_d_id = ? AND c_id = ?";
            conn.exec_drop(sql, (amount, w, d, customer)).await?;
        }
        conn.query_drop("COMMIT").await?;
        Ok(Done::Delivery)
    }

    async fn stock_level(&mut self, conn: &mut Conn) -> Result<Done, Error> {
        let (w, d) = (self.warehouse, self.district());
        let sql = "SELECT d_next_o_id FROM district WHERE d_w_id = ? AND d_id = ?";
        let next = self.value(conn, sql, (w, d).into()).await?;
        let sql = "SELECT COUNT(DISTINCT s_i_id) FROM order_line, stock WHERE ol_w_id = :w AND ol_d_id = :d AND ol_o_id < :next \
                   AND ol_o_id >= :next - 20 AND s_w_id = :w AND s_i_id = ol_i_id AND s_quantity < :level";
        let level = self.rng.random_range(10..=20);
        self.read(conn, sql, params! { w, d, next, level }).await?;
        Ok(Done::StockLevel)
    }
}
