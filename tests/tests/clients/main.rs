//! The clients that people use, at work: the `mysql` program, PyMySQL, mysql-connector-python, mysql2 for Node, mysql_async and sqlx.
//! Each is tried in three places: on a MySQL server itself, so that a check that asks for too much shows; over one shard; and over
//! four, of which one has another physical name. The Python and Node programs lie in `tests/clients`, with the tables that all work on.
//!
//! Reading order: [`place`] (where a client is sent) → [`values`] (of every type) → [`runtime`] (Python and Node with their packages) →
//! [`programs`] → the clients in this process: [`mysql_program`], [`mysql_async_driver`], [`sqlx_driver`].

mod mysql_async_driver;
mod mysql_program;
mod place;
mod programs;
mod runtime;
mod sqlx_driver;
mod values;

/// One client in all three places.
macro_rules! client {
    ($name:ident, $check:path) => {
        mod $name {
            use crate::place::Place;

            #[tokio::test]
            async fn works_on_mysql_itself() {
                $check(Place::Mysql).await;
            }

            #[tokio::test]
            async fn works_over_one_shard() {
                $check(Place::OneShard).await;
            }

            #[tokio::test]
            async fn works_over_four_shards() {
                $check(Place::FourShards).await;
            }
        }
    };
}

client!(the_mysql_program, crate::mysql_program::check);
client!(pymysql, crate::programs::pymysql);
client!(mysql_connector_python, crate::programs::mysql_connector_python);
client!(node_mysql2, crate::programs::node_mysql2);
client!(mysql_async, crate::mysql_async_driver::check);
client!(sqlx, crate::sqlx_driver::check);
