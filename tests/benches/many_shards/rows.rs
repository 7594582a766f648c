//! Statements over many rows: merged in order, folded, finished in MySQL; and the memory of this process while a long result passes.

use anyhow::Context;
use bytes::BytesMut;
use podway_tests::workload::Table;
use podway_wire::{Command, ResponseKind, write_packet};

use crate::Args;
use crate::client::Client;
use crate::ground::{Ground, in_turns, middle, ms, ratio};

const TABLES: [Table; 3] = [
    Table {
        name: "big",
        create: "CREATE TABLE big (id BIGINT PRIMARY KEY, k INT NOT NULL, g INT NOT NULL, v DECIMAL(12,2) NOT NULL, t VARCHAR(60) NOT NULL)",
        sharded_by: &["id"],
    },
    Table {
        name: "small",
        create: "CREATE TABLE small (id BIGINT PRIMARY KEY, other BIGINT NOT NULL, t VARCHAR(60) NOT NULL)",
        sharded_by: &["id"],
    },
    Table { name: "ten", create: "CREATE TABLE ten (n INT PRIMARY KEY)", sharded_by: &[] },
];
const SMALL: u64 = 100;
/// How often a short statement is run in one turn.
const SHORT: usize = 100;

/// What is asked: a name, the statement, how often in one turn.
const ASKED: [(&str, &str, usize); 6] = [
    ("merged: all rows, ORDER BY the key", "SELECT id, k, g, v, t FROM big ORDER BY id", 1),
    ("merged: all rows, in any order", "SELECT id, k, g, v, t FROM big", 1),
    (
        "folded: 100 groups of all rows",
        "SELECT g, COUNT(*), SUM(v), AVG(v), MIN(t), MAX(k) FROM big GROUP BY g ORDER BY g",
        1,
    ),
    ("folded: one group of all rows", "SELECT COUNT(*), SUM(v) FROM big", 1),
    ("finished: 90,000 rows", "SELECT COUNT(DISTINCT k, v) FROM big WHERE id <= 90000", 1),
    (
        "finished: a join of 100 rows with themselves",
        "SELECT a.id, b.t FROM small a JOIN small b ON b.id = a.other ORDER BY a.id",
        SHORT,
    ),
];
const TEN_TIMES: &str = "SELECT big.id, big.t, ten.n FROM big, ten";

/// Measures and prints.
pub async fn measure(args: &Args) -> anyhow::Result<()> {
    let count = args.rows;
    let ground = Ground::start("rows", &[], &TABLES, || Box::new(rows(count))).await?;
    let mut clients = ground.counting().await?;
    println!(
        "{count} rows\n\n| statement | rows | ms, MySQL | time, of MySQL | ms more, each time | CPU of client and proxy, of the client's alone |"
    );
    println!("| --- | --: | --: | --: | --: | --: |");
    for (name, sql, times) in ASKED {
        let mut found = Vec::new();
        let took = in_turns(args.rounds, &mut clients, async |client| {
            let mut rows = 0;
            for _ in 0..times {
                rows = ask(client, sql).await.with_context(|| sql)?;
            }
            found.push(rows);
            Ok(())
        })
        .await?;
        anyhow::ensure!(found.iter().all(|rows| *rows == found[0]), "{name}: {found:?} rows");
        let [ours, plain] = [0, 1].map(|side: usize| middle(&took[side], |took| took.time));
        let [our_cpu, plain_cpu] = [0, 1].map(|side: usize| middle(&took[side], |took| took.cpu));
        println!(
            "| {name} | {} | {:.1}, {:.1} | {:.2} | {:.2} | {:.2} |",
            found[0],
            ms(ours) / times as f64,
            ms(plain) / times as f64,
            ratio(ours, plain),
            (ms(ours) - ms(plain)) / times as f64,
            ratio(our_cpu, plain_cpu),
        );
    }
    memory(&mut clients[0]).await
}

async fn memory(client: &mut Client) -> anyhow::Result<()> {
    let once = peak_while(client, "SELECT id, t, k FROM big").await?;
    let ten_times = peak_while(client, TEN_TIMES).await?;
    println!(
        "\nResident memory of client and proxy at most, MiB: {} rows {:.1}, {} rows {:.1}",
        once.0, once.1, ten_times.0, ten_times.1
    );
    Ok(())
}

/// Rows, and the highest resident memory of this process, in MiB, while they passed (`proc(5)`: writing 5 to clear_refs begins anew).
async fn peak_while(client: &mut Client, sql: &str) -> anyhow::Result<(u64, f64)> {
    std::fs::write("/proc/self/clear_refs", "5")?;
    let rows = ask(client, sql).await?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = peak.trim().trim_end_matches("kB").trim().parse()?;
    Ok((rows, kib / 1024.0))
}

async fn ask(client: &mut Client, sql: &str) -> anyhow::Result<u64> {
    let payload = [&[Command::COM_QUERY as u8], sql.as_bytes()].concat();
    let mut packet = BytesMut::new();
    write_packet(&mut packet, &mut 0, &payload);
    Ok(client.exchange(&packet, ResponseKind::Query).await?.rows)
}

fn rows(count: u64) -> impl Iterator<Item = String> {
    const AT_A_TIME: u64 = 2_000;
    let big = (0..count.div_ceil(AT_A_TIME)).map(move |batch| {
        let ids = batch * AT_A_TIME + 1..=((batch + 1) * AT_A_TIME).min(count);
        let rows: Vec<String> = ids
            .map(|id| {
                let mixed = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
                format!(
                    "({id}, {}, {}, {}.{:02}, 'text of {mixed:020}')",
                    mixed % 10_000,
                    id % 100,
                    mixed % 1_000,
                    id % 100
                )
            })
            .collect();
        format!("INSERT INTO big VALUES {}", rows.join(", "))
    });
    let small: Vec<String> =
        (1..=SMALL).map(|id| format!("({id}, {}, 'text of {id}')", id * 7 % SMALL + 1)).collect();
    let ten: Vec<String> = (0..10).map(|n| format!("({n})")).collect();
    big.chain([
        format!("INSERT INTO small VALUES {}", small.join(", ")),
        format!("INSERT INTO ten VALUES {}", ten.join(", ")),
    ])
}
