//! The results as people and programs read them. Numbers only; what they are to be is for the reader to judge.

use serde_json::{Value, json};

use crate::args::{Args, cpus};
use crate::idle::IdleMemory;
use crate::rounds::{BASE, BASE_OF_FOUR, Measured};
use crate::targets::Targets;

/// All that a run found.
pub struct Results<'a> {
    pub args: &'a Args,
    pub targets: &'a Targets,
    pub measured: Vec<Measured>,
    pub idle: Vec<IdleMemory>,
}

/// The columns of the main table.
const COLUMNS: [&str; 12] = [
    "workload",
    "connections",
    "target",
    "statements/s",
    "of haproxy",
    "of haproxy-4",
    "p50 µs",
    "p99 µs",
    "CPU µs",
    "in user space",
    "of haproxy",
    "of haproxy-4",
];
const IDLE_COLUMNS: [&str; 6] = [
    "target",
    "idle connections",
    "RSS after login",
    "PSS after login",
    "RSS after a statement",
    "PSS after a statement",
];

impl Results<'_> {
    /// In the form that the command line asks for.
    pub fn print(&self) -> anyhow::Result<()> {
        if self.args.json {
            println!("{}", serde_json::to_string_pretty(&self.json())?);
        } else if self.args.markdown {
            println!("{}", self.text(markdown));
        } else {
            println!("{}", self.text(columns));
        }
        Ok(())
    }

    fn text(&self, table: fn(&[&str], &[Vec<String>]) -> String) -> String {
        let mut text = format!("{}\n\n", self.conditions());
        if !self.measured.is_empty() {
            text += &table(&COLUMNS, &self.measured.iter().map(row).collect::<Vec<_>>());
        }
        if !self.idle.is_empty() {
            text += "\nMemory of the proxy's process for each idle connection, in KiB:\n\n";
            text += &table(&IDLE_COLUMNS, &self.idle.iter().map(idle_row).collect::<Vec<_>>());
        }
        text
    }

    fn conditions(&self) -> String {
        let here = self.targets.here.iter().map(|target| format!("{} ({})", target.name, target.version));
        let absent = self.targets.absent.iter().map(|(name, why)| format!("\nAbsent: {name}: {why}."));
        format!(
            "{} CPUs shared by {} servers, the proxies ({} worker threads each) and the load generator ({}); {} rounds of {} s. {}.{}",
            cpus(),
            crate::data::SERVERS,
            self.args.workers(),
            self.args.load_threads(),
            self.args.rounds,
            self.args.seconds,
            here.collect::<Vec<_>>().join(", "),
            absent.collect::<String>()
        )
    }

    fn json(&self) -> Value {
        let targets =
            self.targets.here.iter().map(|target| json!({ "name": target.name, "version": target.version }));
        let absent = self.targets.absent.iter().map(|(name, why)| json!({ "name": name, "why": why }));
        json!({
            "cpus": cpus(),
            "workers": self.args.workers(),
            "load_threads": self.args.load_threads(),
            "rounds": self.args.rounds,
            "seconds": self.args.seconds,
            "base": BASE,
            "base_of_four": BASE_OF_FOUR,
            "targets": targets.collect::<Vec<_>>(),
            "absent": absent.collect::<Vec<_>>(),
            "results": self.measured.iter().map(one_json).collect::<Vec<_>>(),
            "idle": self.idle.iter().map(idle_json).collect::<Vec<_>>(),
        })
    }
}

fn one_json(one: &Measured) -> Value {
    let turns = one.turns.iter().map(|turn| {
        json!({ "statements": turn.statements, "seconds": turn.seconds, "cpu_nanos": turn.cpu.map(|spent| spent.nanos) })
    });
    json!({
        "workload": one.cell.workload.name(),
        "connections": one.cell.connections,
        "target": one.target,
        "statements_per_second": one.per_second(),
        "throughput_ratio": one.of_base.throughput,
        "throughput_ratio_of_four": one.of_four.throughput,
        "p50_micros": one.latency_micros(0.5),
        "p99_micros": one.latency_micros(0.99),
        "cpu_micros": one.cpu_micros(),
        "cpu_user_micros": one.user_micros(),
        "cpu_ratio": one.of_base.cpu,
        "cpu_ratio_of_four": one.of_four.cpu,
        "turns": turns.collect::<Vec<_>>(),
    })
}

fn idle_json(idle: &IdleMemory) -> Value {
    json!({
        "target": idle.target,
        "connections": idle.connections,
        "after_login": { "rss": idle.after_login.rss, "pss": idle.after_login.pss },
        "after_statement": { "rss": idle.after_statement.rss, "pss": idle.after_statement.pss },
    })
}

fn row(one: &Measured) -> Vec<String> {
    let number = |value: Option<f64>, digits: usize| {
        value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
    };
    vec![
        one.cell.workload.name().to_owned(),
        one.cell.connections.to_string(),
        one.target.to_owned(),
        format!("{:.0}", one.per_second()),
        number(one.of_base.throughput, 2),
        number(one.of_four.throughput, 2),
        format!("{:.0}", one.latency_micros(0.5)),
        format!("{:.0}", one.latency_micros(0.99)),
        number(one.cpu_micros(), 1),
        number(one.user_micros(), 1),
        number(one.of_base.cpu, 2),
        number(one.of_four.cpu, 2),
    ]
}

fn idle_row(idle: &IdleMemory) -> Vec<String> {
    let kib = |bytes: f64| format!("{:.1}", bytes / 1024.0);
    let mut row = vec![idle.target.to_owned(), idle.connections.to_string()];
    row.extend(
        [idle.after_login, idle.after_statement].into_iter().flat_map(|each| [kib(each.rss), kib(each.pss)]),
    );
    row
}

/// Columns of even width; words left, numbers right.
fn columns(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let lines = || std::iter::once(&head).chain(rows);
    let width = |n: usize| lines().map(|line| line[n].chars().count()).max().unwrap_or(0);
    let is_words = |n: usize| rows.iter().all(|row| row[n].starts_with(|c: char| c.is_ascii_alphabetic()));
    let shape: Vec<(usize, bool)> = (0..head.len()).map(|n| (width(n), is_words(n))).collect();
    let print = |line: &Vec<String>| {
        let cells = line.iter().zip(&shape).map(|(cell, (width, is_words))| match is_words {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines().map(print).collect()
}

fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    let rule = format!("|{}\n", " --- |".repeat(head.len()));
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    line(&head) + &rule + &rows.iter().map(|row| line(row)).collect::<String>()
}
