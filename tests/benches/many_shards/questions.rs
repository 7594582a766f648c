//! TPC-H's questions over four shards, beside one MySQL.

use mysql_async::Row;
use mysql_async::prelude::Queryable;
use podway_tests::workload::tpch::{TABLES, questions, rows};

use crate::Args;
use crate::ground::{Ground, in_turns, middle, ms, ratio};

const SEED: u64 = 22;

/// Measures and prints.
pub async fn measure(args: &Args) -> anyhow::Result<()> {
    let orders = args.orders;
    let ground = Ground::start("tpch", &[], &TABLES, || Box::new(rows(orders, SEED))).await?;
    let mut clients = [ground.keyspace.connect().await?, ground.plain().await?];
    println!("\n{orders} orders\n\n| question | ms, MySQL | time, of MySQL |\n| --- | --: | --: |");
    for (name, sql) in questions() {
        let took = in_turns(args.rounds, &mut clients, async |conn| {
            conn.query::<Row, _>(sql).await?;
            Ok(())
        })
        .await;
        match took {
            Ok(took) => {
                let [ours, plain] = [0, 1].map(|side: usize| middle(&took[side], |took| took.time));
                println!("| {name} | {:.1}, {:.1} | {:.2} |", ms(ours), ms(plain), ratio(ours, plain));
            }
            Err(error) => println!("| {name} | {error} | |"),
        }
    }
    Ok(())
}
