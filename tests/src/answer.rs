//! What a statement was answered with, on either side, and how two answers differ. Never knows which statement it was.

use std::time::Duration;

use mysql_async::consts::ColumnFlags;
use mysql_async::prelude::{Protocol, Queryable};
use mysql_async::{Column, Conn, Error, Params, QueryResult, Row, Statement, Value};

/// After this a statement is taken for one that is never answered.
const PATIENCE: Duration = Duration::from_secs(60);

/// One result set, or one OK.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Each column's name, type and origin.
    pub columns: Vec<String>,
    /// The rows, as they came.
    pub rows: Vec<Vec<Value>>,
    /// What an OK says: rows affected, the last insert id, the text.
    pub effect: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// All results.
    Parts(Vec<Part>),
    /// MySQL's number and the text.
    Refused(u16, String),
    /// The connection broke, or nothing came.
    Lost(String),
}

/// Runs a statement's text.
pub async fn query(conn: &mut Conn, sql: &[u8]) -> Answer {
    within(async {
        let result = conn.query_iter(sql).await?;
        parts(result).await
    })
    .await
}

/// Prepares a statement.
pub async fn prepare(conn: &mut Conn, sql: &str) -> Result<Statement, Answer> {
    match tokio::time::timeout(PATIENCE, conn.prep(sql)).await {
        Ok(Ok(statement)) => Ok(statement),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(Answer::Lost("no answer to PREPARE".into())),
    }
}

/// Runs a prepared statement.
pub async fn execute(conn: &mut Conn, statement: &Statement, params: &[Value]) -> Answer {
    let params = if params.is_empty() { Params::Empty } else { Params::Positional(params.to_vec()) };
    within(async {
        let result = conn.exec_iter(statement, params).await?;
        parts(result).await
    })
    .await
}

async fn within(work: impl Future<Output = Result<Vec<Part>, Error>>) -> Answer {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(parts)) => Answer::Parts(parts),
        Ok(Err(error)) => failed(error),
        Err(_) => Answer::Lost("no answer".into()),
    }
}

fn failed(error: Error) -> Answer {
    match error {
        Error::Server(error) => Answer::Refused(error.code, error.message),
        error => Answer::Lost(error.to_string()),
    }
}

async fn parts<P: Protocol>(mut result: QueryResult<'_, 'static, P>) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    loop {
        let columns = result.columns().map(|columns| columns.iter().map(described).collect());
        let rows: Vec<Row> = result.collect().await?;
        let is_query = columns.as_ref().is_some_and(|columns: &Vec<String>| !columns.is_empty());
        let effect = match is_query {
            true => String::new(),
            false => format!(
                "{} affected, id {:?}, {}",
                result.affected_rows(),
                result.last_insert_id(),
                result.info()
            ),
        };
        parts.push(Part {
            columns: columns.unwrap_or_default(),
            rows: rows.into_iter().map(Row::unwrap).collect(),
            effect,
        });
        if result.is_empty() {
            return Ok(parts);
        }
    }
}

fn described(column: &Column) -> String {
    format!(
        "{} ({}.{} {}.{}) {:?} {:?} {} {} {}",
        column.name_str(),
        column.schema_str(),
        column.table_str(),
        column.org_table_str(),
        if column.org_table_str().is_empty() { "".into() } else { column.org_name_str() },
        column.column_type(),
        flags(column),
        charset(column.character_set()),
        column.column_length(),
        column.decimals()
    )
}

/// A description without what MySQL says of the table behind a derived one, which it says otherwise of a prepared statement: only where it says that there is none.
fn outside_tables(column: &str) -> String {
    let Some((before, rest)) = column.split_once(" (") else { return column.to_owned() };
    let Some((table, after)) = rest.split_once(')') else { return column.to_owned() };
    let alias = table.split(' ').next().and_then(|table| table.rsplit('.').next()).unwrap_or_default();
    format!("{before} ({alias}){after}")
}

/// Flags that say how MySQL runs a statement, not what it gives: they change when it is prepared, or goes by a temporary table. So does the original name of a column that is
/// no table's.
const OF_THE_PLAN: ColumnFlags = ColumnFlags::BINARY_FLAG
    .union(ColumnFlags::PRI_KEY_FLAG)
    .union(ColumnFlags::UNIQUE_KEY_FLAG)
    .union(ColumnFlags::MULTIPLE_KEY_FLAG)
    .union(ColumnFlags::PART_KEY_FLAG)
    .union(ColumnFlags::AUTO_INCREMENT_FLAG)
    // Of MySQL itself, for groups; 8.0 lets it out.
    .union(ColumnFlags::NUM_FLAG);

/// A column's flags, but for those of the plan and for one more: the database's name is put in as a literal, which MySQL knows is never NULL.
fn flags(column: &Column) -> ColumnFlags {
    match column.name_str().contains("DATABASE()") {
        true => column.flags() - OF_THE_PLAN - ColumnFlags::NOT_NULL_FLAG,
        false => column.flags() - OF_THE_PLAN,
    }
}

/// What the number of a column's collation says: that of character_set_results, of which the handshake may have asked for any collation.
fn charset(collation: u16) -> String {
    match collation {
        45 | 46 | 224..=247 | 255..=323 => "utf8mb4".to_owned(),
        other => other.to_string(),
    }
}

impl Part {
    /// Whether both changed the same. How often MySQL warns of a constant depends on its plan, and each of several shards does: how many warnings there are is not compared,
    /// but whether there are any.
    fn has_effect_of(&self, mysql: &Part) -> bool {
        let counted = |effect: &str| {
            let (effect, warnings) = effect.rsplit_once("Warnings: ")?;
            Some((effect.to_owned(), warnings.parse::<u64>().ok()? > 0))
        };
        match (counted(&self.effect), counted(&mysql.effect)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.effect == mysql.effect,
        }
    }
}

impl Answer {
    /// How `self` differs from what MySQL answers; `None` if it does not. Rows are compared in any order unless `ordered`.
    pub fn difference(&self, mysql: &Answer, ordered: bool) -> Option<String> {
        match (self, mysql) {
            (Answer::Parts(ours), Answer::Parts(theirs)) => {
                if ours.len() != theirs.len() {
                    return Some(format!("{} results, MySQL {}", ours.len(), theirs.len()));
                }
                ours.iter().zip(theirs).find_map(|(ours, theirs)| ours.difference(theirs, ordered))
            }
            (Answer::Refused(ours, _), Answer::Refused(theirs, _)) if ours == theirs => None,
            (ours, theirs) => Some(format!("{}, MySQL {}", ours.shown(), theirs.shown())),
        }
    }

    /// In short, for a report.
    pub fn shown(&self) -> String {
        match self {
            Answer::Parts(parts) => {
                let part = |part: &Part| match part.columns.is_empty() {
                    true => part.effect.clone(),
                    false => shown_rows(&part.rows),
                };
                parts.iter().map(part).collect::<Vec<_>>().join(" / ")
            }
            Answer::Refused(code, text) => format!("error {code} {text}"),
            Answer::Lost(what) => format!("LOST: {what}"),
        }
    }
}

impl Part {
    fn difference(&self, mysql: &Part, ordered: bool) -> Option<String> {
        if self.columns != mysql.columns
            && self
                .columns
                .iter()
                .map(|column| outside_tables(column))
                .ne(mysql.columns.iter().map(|column| outside_tables(column)))
        {
            return Some(format!("columns\n    {:?}\n    MySQL {:?}", self.columns, mysql.columns));
        }
        if !self.has_effect_of(mysql) {
            return Some(format!("'{}', MySQL '{}'", self.effect, mysql.effect));
        }
        let same = match ordered {
            true => self.rows == mysql.rows,
            false => sorted(&self.rows) == sorted(&mysql.rows),
        };
        (!same).then(|| {
            let only = |rows: &[Vec<Value>], others: &[Vec<Value>]| {
                let mut others = sorted(others);
                let is_missing =
                    |row: &&Vec<Value>| match others.iter().position(|other| *other == format!("{row:?}")) {
                        Some(place) => {
                            others.swap_remove(place);
                            false
                        }
                        None => true,
                    };
                let missing: Vec<Vec<Value>> = rows.iter().filter(is_missing).cloned().collect();
                if missing.is_empty() { rows.to_vec() } else { missing }
            };
            let (ours, theirs) = (only(&self.rows, &mysql.rows), only(&mysql.rows, &self.rows));
            format!(
                "{} rows, its own {}\n    MySQL {} rows, its own {}",
                self.rows.len(),
                shown_rows(&ours),
                mysql.rows.len(),
                shown_rows(&theirs)
            )
        })
    }
}

/// The rows in an order of their own.
pub fn sorted(rows: &[Vec<Value>]) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

fn shown_rows(rows: &[Vec<Value>]) -> String {
    let cell = |value: &Value| value.as_sql(false);
    let row = |row: &Vec<Value>| format!("({})", row.iter().map(cell).collect::<Vec<_>>().join(", "));
    let some = rows.iter().take(12).map(row).collect::<Vec<_>>().join(" ");
    format!("{} rows {some}", rows.len())
}
