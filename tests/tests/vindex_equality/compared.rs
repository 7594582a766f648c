//! Rows that the server takes for equal to a value have the id that the router gives for the predicate, where it is certain; and
//! where the router says that there is no such row, there is none. With an index and without, as literal, in a list and as parameter.

use std::collections::HashMap;

use anyhow::Result;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Value};
use podway_model::KeyspaceId;
use podway_router::{KeyValue, Pinned, PredicateId, keyspace_id_for_predicate};

use super::cases::{KeyColumn, SESSIONS, Session, columns, expressions, parameters};
use super::server::connect;

/// Inserts rows together, or each alone where one is no literal at all here; what even this mode refuses is no row.
async fn insert(conn: &mut Conn, rows: &[(usize, &[u8])]) {
    let values =
        rows.iter().map(|(row, expression)| [format!("({row}, ").as_bytes(), expression, b")"].concat());
    let statement =
        [b"INSERT IGNORE INTO plain VALUES ".to_vec(), values.collect::<Vec<_>>().join(&b","[..])].concat();
    if conn.query_drop(statement.as_slice()).await.is_err() && rows.len() > 1 {
        let (left, right) = rows.split_at(rows.len() / 2);
        Box::pin(insert(conn, left)).await;
        Box::pin(insert(conn, right)).await;
    }
}

/// Fills a table with whatever each value becomes in this column when nothing is refused. Gives the ids of its rows.
async fn fill(conn: &mut Conn, column: &KeyColumn) -> Result<HashMap<u32, Option<KeyspaceId>>> {
    conn.query_drop("SET SESSION sql_mode = '', NAMES utf8mb4").await?;
    conn.query_drop("DROP TABLE IF EXISTS plain, indexed").await?;
    for (name, index) in [("plain", ""), ("indexed", ", KEY (k)")] {
        conn.query_drop(format!("CREATE TABLE {name} (id INT PRIMARY KEY, k {}{index})", column.declaration))
            .await?;
    }
    conn.query_drop("BEGIN").await?;
    let rows: Vec<(usize, &[u8])> = expressions().into_iter().enumerate().collect();
    for batch in rows.chunks(BATCH) {
        insert(conn, batch).await;
    }
    conn.query_drop("COMMIT").await?;
    conn.query_drop("INSERT INTO indexed SELECT * FROM plain").await?;
    let rows: Vec<(u32, Option<Vec<u8>>)> =
        conn.query(format!("SELECT id, {} FROM plain", column.read_back())).await?;
    Ok(rows.into_iter().map(|(row, stored)| (row, column.id_of_row(stored.as_deref()))).collect())
}

fn said(column: &KeyColumn, value: KeyValue<'_>, null_safe: bool) -> PredicateId {
    keyspace_id_for_predicate(&column.table, [Pinned { value, null_safe }])
}

/// Whether a row may be found where the router says this.
fn is_right(said: PredicateId, row: u32, ids: &HashMap<u32, Option<KeyspaceId>>) -> bool {
    match said {
        PredicateId::Id(id) => ids[&row] == Some(id),
        PredicateId::NoRow => false,
        PredicateId::Uncertain => true,
    }
}

/// How many questions go into one statement.
const BATCH: usize = 30;

/// `SELECT id FROM` what, and what the router says of the rows that this finds.
struct Question {
    what: Vec<u8>,
    parameter: Option<Value>,
    said: PredicateId,
}

impl Question {
    fn place(&self) -> String {
        let what = String::from_utf8_lossy(&self.what);
        self.parameter.as_ref().map_or(what.to_string(), |value| format!("{what} with {value:?}"))
    }
}

/// The questions that the router answers with certainty.
fn questions(column: &KeyColumn, session: &Session, in_all_forms: bool) -> Vec<Question> {
    let mut questions = Vec::new();
    for expression in expressions() {
        let Ok(value) = session.value(expression) else { continue };
        let (equal, null_safe) = (said(column, value.clone(), false), said(column, value, true));
        let forms: [(&[u8], &[u8], PredicateId); 4] = [
            (b"plain WHERE k = ", b"", equal),
            (b"indexed WHERE k = ", b"", equal),
            (b"indexed WHERE k IN (", b")", equal),
            (b"plain WHERE k <=> ", b"", null_safe),
        ];
        let asked = if in_all_forms { &forms[..] } else { &forms[1..2] };
        for &(before, after, said) in asked {
            questions.push(Question { what: [before, expression, after].concat(), parameter: None, said });
        }
    }
    for parameter in parameters().into_iter().filter(|_| in_all_forms) {
        let said = said(column, session.parameter(&parameter), false);
        for what in [&b"indexed WHERE k = ?"[..], b"plain WHERE ? = k"] {
            questions.push(Question { what: what.to_vec(), parameter: Some(parameter.clone()), said });
        }
    }
    questions.retain(|question| question.said != PredicateId::Uncertain);
    questions
}

/// Asks together, or each alone where the server refuses one of the questions. Gives (question, row found).
async fn ask(conn: &mut Conn, questions: &[Question], first: usize) -> Vec<(usize, u32)> {
    let mut statement = Vec::new();
    let mut parameters = Vec::new();
    for (at, question) in questions.iter().enumerate() {
        let union = if at > 0 { " UNION ALL " } else { "" };
        statement.extend_from_slice(format!("{union}SELECT {}, id FROM ", first + at).as_bytes());
        statement.extend_from_slice(&question.what);
        parameters.extend(question.parameter.clone());
    }
    let found = match parameters.is_empty() {
        true => conn.query(statement.as_slice()).await,
        false => conn.exec(statement.as_slice(), Params::Positional(parameters)).await,
    };
    match found {
        Ok(found) => found,
        // A question that the server refuses finds no row.
        Err(_) if questions.len() == 1 => Vec::new(),
        Err(_) => {
            let (left, right) = questions.split_at(questions.len() / 2);
            let mut found = Box::pin(ask(conn, left, first)).await;
            found.extend(Box::pin(ask(conn, right, first + left.len())).await);
            found
        }
    }
}

/// Asks everything; gives how many rows were found.
async fn ask_all_of(
    conn: &mut Conn,
    column: &KeyColumn,
    session: &Session,
    ids: &HashMap<u32, Option<KeyspaceId>>,
) -> usize {
    let questions = questions(column, session, session.charset == "utf8mb4");
    let bound = questions.partition_point(|question| question.parameter.is_none());
    let mut found_rows = 0;
    for (part, offset) in [(&questions[..bound], 0), (&questions[bound..], bound)] {
        for (batch, asked) in part.chunks(BATCH).enumerate() {
            let found = ask(conn, asked, offset + batch * BATCH).await;
            found_rows += found.len();
            for (question, row) in found {
                let question = &questions[question];
                assert!(
                    is_right(question.said, row, ids),
                    "{} on {}, {session:?}: {:?}, but it finds the row that {} made",
                    question.place(),
                    column.declaration,
                    question.said,
                    String::from_utf8_lossy(expressions()[row as usize])
                );
            }
        }
    }
    found_rows
}

async fn ask_all(database: &str, sessions: &[Session]) -> Result<()> {
    let mut conn = connect(database).await?;
    for column in columns() {
        let ids = fill(&mut conn, &column).await?;
        for session in sessions {
            conn.query_drop(session.set()).await?;
            let found = ask_all_of(&mut conn, &column, session, &ids).await;
            assert!(
                found > 0 || session.charset != "utf8mb4",
                "no certain answer found a row on {}, {session:?}",
                column.declaration
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn rows_that_equal_a_value_have_the_predicates_id() -> Result<()> {
    ask_all("compared", &SESSIONS[..2]).await
}

#[tokio::test]
async fn rows_that_equal_a_value_in_another_character_set_have_the_predicates_id() -> Result<()> {
    ask_all("compared_charsets", &SESSIONS[2..]).await
}
