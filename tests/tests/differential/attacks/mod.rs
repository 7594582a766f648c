//! Statements made by hand to lead a planner astray: each group is a list of scripts, each script runs in a session of its own. Data
//! and their runner.
//!
//! A line is a statement, or one of
//! * `PREPARE …`: the text behind it, as a prepared statement of the protocol's; `EXECUTE 5, 'a', NULL`: runs it with these values
//! * `RESET`: COM_RESET_CONNECTION.

mod conditions;

use mysql_async::Value;

use crate::Tally;
use crate::run::{Outcome, Sessions};
use crate::world::World;

/// A group's name and its scripts.
type Group = (&'static str, &'static [&'static [&'static str]]);

const GROUPS: &[Group] = &[("conditions", conditions::SCRIPTS)];

/// Runs all scripts.
pub async fn run(world: &World, tally: &mut Tally) {
    for (group, scripts) in GROUPS {
        for script in *scripts {
            run_script(world, group, script, tally).await;
        }
    }
}

async fn run_script(world: &World, group: &str, script: &[&str], tally: &mut Tally) {
    let mut sessions = Sessions::new(world).await;
    let mut may_write = false;
    for line in script {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let outcome = match word {
            "PREPARE:" => sessions.prepare(rest).await,
            "EXECUTE:" => sessions.execute(&values(rest), false).await,
            "RESET:" => {
                sessions.reset().await;
                Outcome::Same
            }
            _ => sessions.text(line.as_bytes(), false).await,
        };
        may_write |= outcome == Outcome::Same && !line.starts_with("SELECT");
        let stops = matches!(outcome, Outcome::Differs(_) | Outcome::Chance);
        tally.note(&format!("{group}: {line}\n    in {script:?}"), outcome);
        if stops {
            break;
        }
    }
    sessions.end().await;
    if !may_write {
        return;
    }
    let tables = world.settle().await;
    if !tables.is_empty() {
        tally.note(&format!("{group}: the tables after {script:?}"), Outcome::Differs(tables.join("\n    ")));
    }
}

fn values(list: &str) -> Vec<Value> {
    list.split(", ").filter(|text| !text.is_empty()).map(value).collect()
}

fn value(text: &str) -> Value {
    if text == "NULL" {
        return Value::NULL;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::Int(number);
    }
    if let Ok(number) = text.parse::<f64>() {
        return Value::Double(number);
    }
    Value::Bytes(text.trim_matches('\'').into())
}
