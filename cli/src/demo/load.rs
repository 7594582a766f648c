//! The shop's rows, loaded through the proxy as any client would: single-row INSERTs, prepared once for each of several connections.
//! Read next: `guide`.

use std::net::SocketAddr;

use indicatif::ProgressBar;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio::task::JoinSet;

use super::error::DemoError;
use super::layout::Layout;
use super::shop::{CUSTOMERS, KEYSPACE, SETTINGS, customer, orders_of};

/// How many connections load at once.
const CONNECTIONS: u64 = 8;
const INSERT_CUSTOMER: &str = "INSERT INTO customers (id, name, email, country_code) VALUES (?, ?, ?, ?)";
const INSERT_ORDER: &str =
    "INSERT INTO orders (customer_id, id, item, quantity, price) VALUES (?, ?, ?, ?, ?)";
const INSERT_SETTING: &str = "INSERT INTO settings (name, value) VALUES (?, ?)";

/// Loads all rows but the reference tables', and counts them on the bar.
pub(super) async fn load(proxy: SocketAddr, layout: &Layout, bar: &ProgressBar) -> Result<(), DemoError> {
    let options = OptsBuilder::default()
        .ip_or_hostname(proxy.ip().to_string())
        .tcp_port(proxy.port())
        .user(Some(&layout.user))
        .pass(Some(&layout.password))
        .db_name(Some(KEYSPACE))
        .prefer_socket(false);
    let mut loading: JoinSet<Result<(), mysql_async::Error>> = JoinSet::new();
    for first in 1..=CONNECTIONS {
        loading.spawn(load_customers(options.clone(), first, bar.clone()));
    }
    loading.spawn(load_settings(options, bar.clone()));
    while let Some(ended) = loading.join_next().await {
        ended
            .map_err(std::io::Error::other)?
            .map_err(DemoError::doing("loading the shop through the proxy"))?;
    }
    Ok(())
}

/// Every [`CONNECTIONS`]th customer, with the orders.
async fn load_customers(
    options: OptsBuilder,
    first: u64,
    bar: ProgressBar,
) -> Result<(), mysql_async::Error> {
    let mut conn = Conn::new(options).await?;
    let insert_customer = conn.prep(INSERT_CUSTOMER).await?;
    let insert_order = conn.prep(INSERT_ORDER).await?;
    for id in (first..=CUSTOMERS).step_by(CONNECTIONS as usize) {
        let row = customer(id);
        conn.exec_drop(&insert_customer, (row.id, row.name, row.email, row.country_code)).await?;
        bar.inc(1);
        for row in orders_of(id) {
            let values = (row.customer_id, row.id, row.item, row.quantity, row.price);
            conn.exec_drop(&insert_order, values).await?;
            bar.inc(1);
        }
    }
    conn.disconnect().await
}

async fn load_settings(options: OptsBuilder, bar: ProgressBar) -> Result<(), mysql_async::Error> {
    let mut conn = Conn::new(options).await?;
    for row in SETTINGS {
        conn.exec_drop(INSERT_SETTING, row).await?;
        bar.inc(1);
    }
    conn.disconnect().await
}
