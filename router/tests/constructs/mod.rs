//! MySQL's constructs, each with an example and the way that it goes: `testdata/constructs/list.txt` has the examples, the planner says the way, and
//! `docs/sql-constructs.md` has to say the same.
//!
//! `PODWAY_GOLDEN=write cargo test --workspace --test golden` writes the page anew: read the difference.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use podway_model::{AccountName, HostPattern, Map, NameRule};
use podway_router::{
    AccountContext, ClientCharset, Facts, Normalised, Plan, PlanContext, Route, RouterError, Scene, SqlMode,
    Statement, Target, Way, is_about_accounts, plan_uncached, read_accounts,
};

use crate::shop;

const LIST: &str = include_str!("../../testdata/constructs/list.txt");

const INTRODUCTION: &str = "\
# How each construct of MySQL runs

Over a keyspace with several shards, with a topology. [sql.md](sql.md) says what the ways are and what they promise; in a keyspace with one shard everything goes to the shard
as it is. This page is made of examples that the planner is run on: `customers` is sharded by `id`, `orders` and `items` by `customer_id`, `parts` by `(tenant, name)`, `tickets` by its
AUTO_INCREMENT column, `visits` by `customer_id`; `countries` is a reference table, `notes` a home table, `active` a view. EXPLAIN FORMAT=PODWAY says the same of any statement.

| way | |
|---|---|
| one shard | the shard that the sharding key leads to, which runs the statement as it is |
| any shard, the home shard | one that has all that the statement is about |
| merged, folded, finished in MySQL | [SELECTs over several shards](sql.md#selects-over-several-shards) |
| several shards, one transaction | [writes over several shards](sql.md#writes-over-several-shards) |
| every shard, as an operation | [DDL](sql.md#ddl-on-tables-that-every-shard-has) |
| every server, as an operation | [users](sql.md#users-roles-and-privileges) |
| the proxy itself | BEGIN, SET, USE, SHOW PROCESSLIST …; what the session does next decides what servers hear of it |
| refused | error 1235 (42000), unless another is named, before anything is done |
";

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sql-constructs.md")
}

/// The way that a statement goes, in the page's words.
fn way(map: &Map, sql: &str) -> String {
    let keyspace = map.names.name("shop");
    let ctx = PlanContext {
        map,
        keyspace: Some(&keyspace),
        sql_mode: SqlMode::parse("STRICT_TRANS_TABLES"),
        charset: ClientCharset::from_name("utf8mb4"),
        collation: "utf8mb4_0900_ai_ci",
        time_zone: "SYSTEM",
        temporary_tables: &[],
    };
    let mut n = Normalised::new();
    n.set_version(map.lowest_version());
    n.run(sql.as_bytes(), ctx.sql_mode, ctx.charset).unwrap();
    let plan = plan_uncached(&ctx, sql.as_bytes(), &n);
    if is_about_accounts(&plan.recognised, &n) {
        let myself = AccountName { user: "me".into(), host: HostPattern::new("%") };
        let context = AccountContext { map, keyspace: Some(&keyspace), myself: &myself };
        return match read_accounts(sql.as_bytes(), &n, &context) {
            Ok(_) => "every server, as an operation".to_owned(),
            Err(error) => refused(&error),
        };
    }
    let facts = Facts::of_new_session(&ctx);
    let scene = Scene { map, sql: sql.as_bytes(), n: &n, facts, is_inside: false, is_limited: false };
    match plan.explained(&scene) {
        Ok(explanation) => named(&plan, explanation.way).to_owned(),
        // A session gives it a number of the cluster's.
        Err(_) if plan.counted.is_some() && is_routed(&plan, map, (sql, &n)) => {
            "one shard, with a number of the cluster's".to_owned()
        }
        Err(error) => refused(&error),
    }
}

fn is_routed(plan: &Plan, map: &Map, (sql, n): (&str, &Normalised)) -> bool {
    let route = plan.route_numbered(map, (sql.as_bytes(), n), &[], &[Some(7)]);
    matches!(route, Ok(Route::Shard(_)))
}

fn named(plan: &Plan, way: Way) -> &'static str {
    match (way, &plan.target) {
        (Way::OneShard, _) if *plan.statement() == Statement::ShowSums => "every shard, added up",
        (Way::OneShard, _) if matches!(plan.statement(), Statement::ShowSelected(_)) => {
            "as a SELECT of information_schema"
        }
        (Way::OneShard, _) if plan.locks.as_ref().is_some_and(|locks| locks.are_everywhere()) => {
            "every server, on the session's own connections"
        }
        (Way::OneShard, _) if plan.making.is_some() => "made at home, with the query's rows",
        (Way::OneShard, Target::Any { .. }) => "any shard",
        (Way::OneShard, Target::Keys { .. } | Target::Gathered { .. }) => "one shard",
        (Way::OneShard, _) => "the home shard",
        (Way::Proxy, _) => "the proxy itself",
        (Way::Merged, _) => "merged",
        (Way::Folded, _) => "folded",
        (Way::Finished, _) => "finished in MySQL",
        (Way::Scattered, _) => "several shards, one transaction",
        (Way::EveryShard, _) => match plan.statement() {
            Statement::Maintain(asked) if !asked.tables.iter().any(|table| table.is_everywhere) => {
                "the home shard"
            }
            _ => "every shard, one after the other",
        },
        (Way::Operation, _) => "every shard, as an operation",
        (Way::ByParameters, _) => "as its parameters' values decide",
        (Way::WithoutInto, _) => "as without its INTO",
    }
}

fn refused(error: &RouterError) -> String {
    let what = error.message.split_once("yet support '").and_then(|(_, rest)| rest.strip_suffix('\''));
    match what {
        Some(what) if error.errno == 1235 => format!("refused: {what}"),
        _ => format!("refused, error {}: {}", error.errno, error.message),
    }
}

/// The page as it has to be.
fn page() -> String {
    let map = shop::map(NameRule::CaseSensitive);
    let mut out = INTRODUCTION.to_owned();
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        if line.starts_with("## ") {
            write!(out, "\n{line}\n| construct | example | way |\n|---|---|---|\n").unwrap();
            continue;
        }
        let (construct, sql) = line.split_once(" :: ").unwrap_or_else(|| panic!("no example: {line}"));
        let cell = |text: &str| text.replace('|', "\\|");
        writeln!(out, "| {} | `{}` | {} |", cell(construct), cell(sql), cell(&way(&map, sql))).unwrap();
    }
    out
}

#[test]
fn the_page_of_constructs_says_what_the_planner_does() {
    let page = page();
    if std::env::var_os("PODWAY_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(page_path(), page).unwrap();
        return;
    }
    let written = std::fs::read_to_string(page_path()).unwrap_or_default();
    let differing: Vec<String> = written
        .lines()
        .chain(std::iter::repeat(""))
        .zip(page.lines())
        .filter(|(written, now)| written != now)
        .map(|(written, now)| format!("written: {written}\nnow:     {now}"))
        .take(20)
        .collect();
    assert!(
        written == page,
        "docs/sql-constructs.md is not what the planner does (PODWAY_GOLDEN=write writes it anew)\n{}",
        differing.join("\n")
    );
}

#[test]
fn every_construct_is_there_once_and_can_be_read() {
    let lines = || LIST.lines().filter(|line| !line.starts_with('#') && line.contains(" :: "));
    let examples: BTreeSet<&str> = lines().filter_map(|line| Some(line.split_once(" :: ")?.1)).collect();
    assert_eq!(examples.len(), lines().count(), "an example stands twice");
    assert!(lines().count() > 250, "the list is shorter than MySQL's manual");
    let map = shop::map(NameRule::CaseSensitive);
    for line in lines() {
        let (construct, sql) = line.split_once(" :: ").unwrap();
        let way = way(&map, sql);
        assert!(!way.contains("error 1064"), "{construct}: {sql}\n{way}");
    }
}
