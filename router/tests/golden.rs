//! Plans as text: each case of `testdata/*.txt` is a comment, settings, a statement and what its plan prints as; of `testdata/explain/*.txt`, what EXPLAIN FORMAT=PODWAY
//! shows of it.
//!
//! ```text
//! # What the case shows.
//! @ mode=ANSI_QUOTES keyspace=none      (settings for this case; `@@` for all that follow in the file)
//! SELECT 1
//! = any shard of shop
//! ```
//!
//! `PODWAY_GOLDEN=write cargo test -p podway-router --test golden` writes what is printed now into the files: read the difference.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod constructs;
mod shop;

use std::fmt::Write;
use std::path::Path;

use podway_model::{Map, Name, NameRule};
use podway_router::{ClientCharset, Facts, Normalised, Plan, PlanContext, Scene, SqlMode, plan_uncached};

#[derive(Clone, Default)]
struct Settings {
    mode: String,
    keyspace: String,
    charset: String,
    names: String,
    map: String,
    temporary: String,
    inside: bool,
    limited: bool,
    effects: bool,
}

impl Settings {
    fn read(&mut self, line: &str) {
        for pair in line.split_whitespace() {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "mode" => &mut self.mode,
                "keyspace" => &mut self.keyspace,
                "charset" => &mut self.charset,
                "names" => &mut self.names,
                "map" => &mut self.map,
                "temporary" => &mut self.temporary,
                "effects" | "inside" | "limited" => {
                    self.effects |= name == "effects";
                    self.inside |= name == "inside";
                    self.limited |= name == "limited";
                    continue;
                }
                _ => panic!("no such setting: {name}"),
            };
            *place = value.to_owned();
        }
    }

    fn map(&self) -> Map {
        let rule = if self.names == "caseless" { NameRule::CaseInsensitive } else { NameRule::CaseSensitive };
        match self.map.as_str() {
            "" => shop::map(rule),
            "single" => shop::single_map(rule, false),
            "one" => shop::single_map(rule, true),
            "empty" => Map::empty(rule),
            other => panic!("no such map: {other}"),
        }
    }

    /// Plans a statement, and shows the plan by `shown`.
    fn plan(&self, sql: &str, shown: Shown) -> String {
        let map = self.map();
        let default = if self.map.is_empty() { "shop" } else { "solo" };
        let keyspace = match self.keyspace.as_str() {
            "" => Some(map.names.name(default)),
            "none" => None,
            name => Some(map.names.name(name)),
        };
        let temporary: Vec<Name> = self
            .temporary
            .split(',')
            .filter(|name| !name.is_empty())
            .map(|name| map.names.name(name))
            .collect();
        let ctx = PlanContext {
            map: &map,
            keyspace: keyspace.as_ref(),
            sql_mode: SqlMode::parse(if self.mode.is_empty() { "STRICT_TRANS_TABLES" } else { &self.mode }),
            charset: ClientCharset::from_name(if self.charset.is_empty() {
                "utf8mb4"
            } else {
                &self.charset
            }),
            collation: "utf8mb4_0900_ai_ci",
            time_zone: "SYSTEM",
            temporary_tables: &temporary,
        };
        let mut n = Normalised::new();
        n.set_version(map.lowest_version());
        if let Err(error) = n.run(sql.as_bytes(), ctx.sql_mode, ctx.charset) {
            return format!("not normalised: {error}");
        }
        let plan = plan_uncached(&ctx, sql.as_bytes(), &n);
        let facts = Facts { connection_id: 7, ..Facts::of_new_session(&ctx) };
        let (sql, is_inside, is_limited) = (sql.as_bytes(), self.inside, self.limited);
        shown(self, &plan, &Scene { map: &map, sql, n: &n, facts, is_inside, is_limited })
    }
}

type Shown = fn(&Settings, &Plan, &Scene<'_>) -> String;

fn as_plan(settings: &Settings, plan: &Plan, _: &Scene<'_>) -> String {
    if settings.effects {
        format!("{}\neffects: {}", plan.printed(), plan.printed_effects())
    } else {
        plan.printed()
    }
}

fn as_explanation(_: &Settings, plan: &Plan, scene: &Scene<'_>) -> String {
    match plan.explained(scene) {
        Ok(explanation) => explanation.printed(scene.map, None, true),
        Err(error) => error.to_string(),
    }
}

/// Plans every case of a file; gives the file as it would be written now, and how many cases it has.
fn replay(text: &str, shown: Shown) -> (String, usize) {
    let mut out = String::new();
    let mut file = Settings::default();
    let mut cases = 0;
    for case in text.split("\n\n") {
        let case = case.trim_matches('\n');
        if case.is_empty() {
            continue;
        }
        let mut settings = file.clone();
        let mut sql: Vec<&str> = Vec::new();
        if !out.is_empty() {
            out.push('\n');
        }
        for line in case.lines() {
            if line.starts_with("= ") {
                continue;
            }
            writeln!(out, "{line}").unwrap();
            if let Some(all) = line.strip_prefix("@@ ") {
                file.read(all);
                settings.read(all);
            } else if let Some(one) = line.strip_prefix("@ ") {
                settings.read(one);
            } else if !line.starts_with("# ") {
                sql.push(line);
            }
        }
        if sql.is_empty() {
            continue;
        }
        assert!(case.starts_with("# "), "a case without a comment: {case}");
        cases += 1;
        for line in settings.plan(&sql.join("\n"), shown).lines() {
            writeln!(out, "= {line}").unwrap();
        }
    }
    (out, cases)
}

#[test]
fn every_plan_prints_as_its_case_says() {
    compare("testdata", as_plan);
}

#[test]
fn every_statement_is_explained_as_its_case_says() {
    compare("testdata/explain", as_explanation);
}

fn compare(folder: &str, shown: Shown) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let write = std::env::var_os("PODWAY_GOLDEN").is_some_and(|value| value == "write");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut total, mut wrong) = (0, Vec::new());
    for path in files.iter().filter(|path| path.extension().is_some_and(|ext| ext == "txt")) {
        let text = std::fs::read_to_string(path).unwrap();
        let (now, cases) = replay(&text, shown);
        total += cases;
        if write {
            std::fs::write(path, &now).unwrap();
        } else if now != text {
            let differing =
                text.split("\n\n").zip(now.split("\n\n")).filter(|(then, now)| then.trim() != now.trim());
            for (then, now) in differing {
                wrong.push(format!("{}:\n--- written\n{then}\n--- now\n{now}\n", path.display()));
            }
            if wrong.is_empty() {
                wrong.push(format!("{}: blank lines or the file's end differ", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases differ\n{}", wrong.len(), wrong.join("\n"));
    assert!(total > 0, "no cases in {}", folder.display());
}
