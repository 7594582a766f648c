//! The advice as people and scripts read it: a table of tables, what one shard cannot answer, and the commands to paste.

use podway_router::advise::{Advice, AdvisedStatement, Lies, Load, Question, Shares, TableFacts, Way};
use serde::Serialize;

use crate::admin::error::AdminError;
use crate::admin::print::{self, Row};

/// How much of a statement a line shows.
const SHOWN: usize = 110;

/// What the caller wants besides the advice.
pub(super) struct Wanted<'a> {
    /// Where the statements are from: "that 10.0.0.1:3306 counted".
    pub(super) since: &'a str,
    /// How many statements are shown.
    pub(super) limit: usize,
    pub(super) is_json: bool,
}

/// A table in the answer.
#[derive(Serialize)]
struct TableRow {
    table: String,
    lies: &'static str,
    key: Vec<String>,
    /// Whether a UNIQUE key would be unique on each shard only.
    unique_per_shard: bool,
    rows: u64,
    bytes: u64,
    /// Executions of statements with it.
    statements: u64,
    /// Of these, in percent, those that one shard answers.
    one_shard: Option<f64>,
    /// The same, of their time.
    one_shard_time: Option<f64>,
    why: Vec<String>,
    warnings: Vec<String>,
}

impl Row for TableRow {
    const HEAD: &'static [&'static str] =
        &["table", "key", "#rows", "#statements", "#one shard", "#of time", "why"];

    fn cells(&self) -> Vec<String> {
        let percent =
            |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.1} %"));
        let key = match self.lies {
            "sharded" => self.key.join(", "),
            other => format!("({other})"),
        };
        vec![
            self.table.clone(),
            key,
            self.rows.to_string(),
            self.statements.to_string(),
            percent(self.one_shard),
            percent(self.one_shard_time),
            self.why.join("; "),
        ]
    }
}

/// A statement that one shard cannot answer, or that is refused today.
#[derive(Serialize)]
struct StatementRow {
    way: &'static str,
    reason: Option<String>,
    count: u64,
    seconds: f64,
    rows_examined: u64,
    /// What this version of Podway answers.
    refused_today: Option<String>,
    statement: String,
}

impl Row for StatementRow {
    const HEAD: &'static [&'static str] = &["way", "today", "#count", "#seconds", "statement"];

    fn cells(&self) -> Vec<String> {
        let way = match &self.reason {
            Some(reason) => format!("{}: {reason}", self.way),
            None => self.way.to_owned(),
        };
        let today = if self.refused_today.is_some() { "refused" } else { "served" };
        vec![
            way,
            today.to_owned(),
            self.count.to_string(),
            format!("{:.3}", self.seconds),
            shortened(&self.statement),
        ]
    }
}

/// The whole answer.
#[derive(Serialize)]
struct Answer {
    keyspace: String,
    statements: u64,
    shares: Vec<ShareRow>,
    aside: u64,
    unreadable: u64,
    tables: Vec<TableRow>,
    /// Those that one shard cannot answer or that are refused today, the costliest first.
    not_one_shard: Vec<StatementRow>,
    commands: Vec<String>,
}

/// A way and how much goes it.
#[derive(Serialize)]
struct ShareRow {
    way: &'static str,
    executions: f64,
    time: Option<f64>,
}

impl Row for ShareRow {
    const HEAD: &'static [&'static str] = &["way", "#of executions", "#of time"];

    fn cells(&self) -> Vec<String> {
        let time = self.time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1} %"));
        vec![self.way.to_owned(), format!("{:.1} %", self.executions), time]
    }
}

/// Shows the advice.
pub(super) fn show(question: &Question, advice: &Advice<'_>, wanted: &Wanted<'_>) -> Result<(), AdminError> {
    let answer = answer(question, advice);
    if wanted.is_json {
        return Ok(print::json(&answer)?);
    }
    Ok(print::out(&text(&answer, question.shards, wanted))?)
}

fn answer(question: &Question, advice: &Advice<'_>) -> Answer {
    let tables: Vec<TableRow> = advice
        .tables
        .iter()
        .map(|advised| {
            let facts = &question.tables[advised.table];
            let shares = &advised.shares;
            TableRow {
                table: facts.name.to_string(),
                lies: if facts.is_view { "view" } else { lies(&advised.lies) },
                key: key(facts, &advised.lies),
                unique_per_shard: match &advised.lies {
                    Lies::Sharded(key) => !facts.unique_on_each_shard_only(key).is_empty(),
                    _ => false,
                },
                rows: facts.rows,
                bytes: facts.bytes,
                statements: shares.all.count,
                one_shard: percent(shares.one_shard.count, shares.all.count),
                one_shard_time: percent(shares.one_shard.nanos, shares.all.nanos),
                why: advised.why.clone(),
                warnings: advised.warnings.clone(),
            }
        })
        .collect();
    let is_shown = |advised: &&AdvisedStatement<'_>| {
        !advised.served.way.is_one_shard() || advised.served.refused_today.is_some()
    };
    Answer {
        keyspace: question.keyspace.clone(),
        statements: advice.shares.all.count,
        shares: shares(&advice.shares),
        aside: advice.aside,
        unreadable: advice.unreadable,
        not_one_shard: advice.statements.iter().filter(is_shown).map(statement).collect(),
        commands: commands(question, &tables),
        tables,
    }
}

fn lies(lies: &Lies) -> &'static str {
    match lies {
        Lies::Sharded(_) => "sharded",
        Lies::Reference => "reference",
        Lies::Home => "home",
    }
}

fn key(facts: &TableFacts, lies: &Lies) -> Vec<String> {
    match lies {
        Lies::Sharded(key) => {
            key.iter().filter_map(|&at| facts.columns.get(at)).map(|column| column.name.to_string()).collect()
        }
        _ => Vec::new(),
    }
}

fn percent(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| (1000.0 * part as f64 / all as f64).round() / 10.0)
}

fn shares(shares: &Shares) -> Vec<ShareRow> {
    let row = |way: &'static str, load: Load| ShareRow {
        way,
        executions: percent(load.count, shares.all.count).unwrap_or(0.0),
        time: percent(load.nanos, shares.all.nanos),
    };
    vec![
        row("one shard", shares.one_shard),
        row("merged", shares.merged),
        row("finished in MySQL", shares.finished),
        row("written on several shards", shares.several_writes),
        row("refused", shares.refused),
        row("(refused by this version)", shares.refused_today),
    ]
}

fn statement(advised: &AdvisedStatement<'_>) -> StatementRow {
    let (way, reason) = match &advised.served.way {
        Way::Aside => ("aside", None),
        Way::OneShard => ("one shard", None),
        Way::AnyShard => ("any shard", None),
        Way::Home => ("home", None),
        Way::Merged => ("merged", None),
        Way::Finished(reason) => ("finished in MySQL", Some(reason.clone())),
        Way::SeveralWrites(reason) => ("two-phase commit", Some(reason.clone())),
        Way::Refused(reason) => ("refused", Some(reason.clone())),
    };
    StatementRow {
        way,
        reason,
        count: advised.ran.count,
        seconds: (advised.ran.nanos / 1_000_000) as f64 / 1000.0,
        rows_examined: advised.ran.rows_examined,
        refused_today: advised.served.refused_today.as_ref().map(|error| error.message.clone()),
        statement: advised.ran.texts.first().cloned().unwrap_or_default(),
    }
}

fn commands(question: &Question, tables: &[TableRow]) -> Vec<String> {
    let command = |table: &TableRow| {
        let name = quoted(&format!("{}.{}", question.keyspace, table.table));
        match table.lies {
            "sharded" => {
                let accepted = if table.unique_per_shard { " --unique-per-shard" } else { "" };
                Some(format!("podway table declare {name} --by {}{accepted}", quoted(&table.key.join(","))))
            }
            "reference" => Some(format!("podway table declare {name} --reference")),
            _ => None,
        }
    };
    tables.iter().filter_map(command).collect()
}

/// A word that a shell takes as it is, or in quotes.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ',');
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn text(answer: &Answer, shards: u16, wanted: &Wanted<'_>) -> String {
    let mut parts = vec![format!(
        "{} over {shards} shards, by {} executions of statements {}{}",
        answer.keyspace,
        answer.statements,
        wanted.since,
        left_out(answer)
    )];
    if answer.statements == 0 {
        parts.push(
            "No statement with rows was seen, so keys are guessed from the schema alone: let the application run first."
                .to_owned(),
        );
    }
    parts.push(print::table(&answer.tables));
    let warnings: Vec<String> = answer
        .tables
        .iter()
        .flat_map(|table| table.warnings.iter().map(move |warning| format!("  {}: {warning}", table.table)))
        .collect();
    if !warnings.is_empty() {
        parts.push(format!("Beware:\n{}", warnings.join("\n")));
    }
    parts.push(print::table(&answer.shares));
    if !answer.not_one_shard.is_empty() {
        let shown = &answer.not_one_shard[..answer.not_one_shard.len().min(wanted.limit)];
        let rest = answer.not_one_shard.len() - shown.len();
        let rest = if rest > 0 { format!("\n({rest} more; --limit shows them)") } else { String::new() };
        parts.push(format!("Not for one shard, the costliest first:\n{}{rest}", print::table(shown)));
    }
    if answer.not_one_shard.iter().any(|statement| statement.refused_today.is_some()) {
        parts.push(REFUSED_TODAY.to_owned());
    }
    parts.push(TRANSACTIONS.to_owned());
    if !answer.commands.is_empty() {
        parts.push(format!("To declare the tables so:\n  {}", answer.commands.join("\n  ")));
    }
    parts.join("\n\n")
}

/// What the column TODAY means.
const REFUSED_TODAY: &str = "This version of Podway answers what is marked \"refused\" with error 1235, before any effect. What is marked\n\"two-phase commit\" and not \"refused\" is done on several shards in one transaction.";

/// What the adviser cannot see.
const TRANSACTIONS: &str = "A commit on several servers costs each of them a prepare and a commit of their own, about one more wait for its disk: keep together what is\nwritten together. Statements are judged one by one: nobody counted which transactions name keys of several servers.";

fn left_out(answer: &Answer) -> String {
    match (answer.aside, answer.unreadable) {
        (0, 0) => String::new(),
        (aside, 0) => format!(" (without {aside} of BEGIN, SET, SHOW, DDL and what names no table)"),
        (aside, unreadable) => format!(
            " (without {aside} of BEGIN, SET, SHOW, DDL and what names no table, and {unreadable} that could not be read)"
        ),
    }
}

fn shortened(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} …", &words[..end]),
        None => words,
    }
}
