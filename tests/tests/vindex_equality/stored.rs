//! An INSERT's id, where the router is certain, is that of what the server stored; and where the router says that the server
//! refuses, it does. Literals and parameters, every kind of column, several sessions.

use std::collections::HashMap;

use anyhow::Result;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Value};
use podway_router::{InsertId, KeyValue, keyspace_id_for_insert};

use super::cases::{KeyColumn, SESSIONS, Session, columns, expressions, parameters};
use super::server::connect;

/// How many rows go into one INSERT.
const BATCH: usize = 40;

/// A row that was tried.
struct Row {
    /// The value as it is written in the statement; `?` for parameters.
    expression: &'static [u8],
    parameter: Option<Value>,
    said: InsertId,
    stored: bool,
}

impl Row {
    fn what(&self) -> String {
        let expression = String::from_utf8_lossy(self.expression);
        self.parameter.as_ref().map_or(expression.into_owned(), |value| format!("{value:?}"))
    }
}

/// The rows of which the router is certain.
fn rows(column: &KeyColumn, session: &Session) -> Vec<Row> {
    let said = |value: KeyValue<'_>| keyspace_id_for_insert(&column.table, [value], session.mode());
    let literals = expressions().into_iter().filter_map(|expression| {
        Some(Row { expression, parameter: None, said: said(session.value(expression).ok()?), stored: false })
    });
    let parameters = parameters().into_iter().map(|value| {
        let said = said(session.parameter(&value));
        Row { expression: b"?", parameter: Some(value), said, stored: false }
    });
    literals.chain(parameters).filter(|row| row.said != InsertId::Uncertain).collect()
}

/// Inserts rows together, or each alone where the server refuses one of them.
async fn insert(conn: &mut Conn, rows: &mut [Row], first: usize) {
    let mut statement = b"INSERT INTO t VALUES ".to_vec();
    let mut parameters = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        statement.extend_from_slice(format!("{comma} ({}, ", first + at).as_bytes());
        statement.extend_from_slice(row.expression);
        statement.push(b')');
        parameters.extend(row.parameter.clone());
    }
    let result = match parameters.is_empty() {
        true => conn.query_drop(statement.as_slice()).await,
        false => conn.exec_drop(statement.as_slice(), Params::Positional(parameters)).await,
    };
    match (result, rows) {
        (Ok(()), rows) => rows.iter_mut().for_each(|row| row.stored = true),
        (Err(_), [_]) => {}
        (Err(_), rows) => {
            let (left, right) = rows.split_at_mut(rows.len() / 2);
            Box::pin(insert(conn, left, first)).await;
            Box::pin(insert(conn, right, first + left.len())).await;
        }
    }
}

async fn insert_all(conn: &mut Conn, rows: &mut [Row]) {
    let mut first = 0;
    while first < rows.len() {
        let alone = rows[first].said == InsertId::Refused;
        let bound = rows[first].parameter.is_some();
        let together = |row: &&Row| row.said != InsertId::Refused && row.parameter.is_some() == bound;
        let count = if alone { 1 } else { rows[first..].iter().take(BATCH).take_while(together).count() };
        insert(conn, &mut rows[first..first + count], first).await;
        first += count;
    }
}

async fn check(conn: &mut Conn, column: &KeyColumn, session: &Session) -> Result<usize> {
    let declaration = &column.declaration;
    conn.query_drop("DELETE FROM t").await?;
    conn.query_drop(session.set()).await?;
    let mut tried = rows(column, session);
    tried.sort_by_key(|row| (row.parameter.is_some(), row.said == InsertId::Refused));
    insert_all(conn, &mut tried).await;
    conn.query_drop("SET SESSION sql_mode = '', NAMES utf8mb4").await?;
    let rows: Vec<(usize, Option<Vec<u8>>)> =
        conn.query(format!("SELECT id, {} FROM t", column.read_back())).await?;
    let rows: HashMap<usize, Option<Vec<u8>>> = rows.into_iter().collect();
    for (row, Row { said, stored, .. }) in tried.iter().enumerate() {
        let place = format!("{} into {declaration}, {session:?}", tried[row].what());
        match said {
            InsertId::Refused => {
                assert!(!stored, "{place}: said to be refused, stored as {:?}", rows.get(&row))
            }
            InsertId::Id(id) if *stored => {
                let read = rows[&row].as_deref();
                let printed = read.map(String::from_utf8_lossy);
                assert_eq!(column.id_of_row(read), Some(*id), "{place}: stored as {printed:?}");
            }
            _ => {}
        }
    }
    Ok(tried.iter().filter(|row| row.stored && matches!(row.said, InsertId::Id(_))).count())
}

#[tokio::test]
async fn an_inserts_id_is_that_of_what_the_server_stores() -> Result<()> {
    let mut conn = connect("stored").await?;
    for column in columns() {
        conn.query_drop("DROP TEMPORARY TABLE IF EXISTS t").await?;
        let create = format!("CREATE TEMPORARY TABLE t (id INT PRIMARY KEY, k {})", column.declaration);
        conn.query_drop(create).await?;
        for session in SESSIONS {
            let certain = check(&mut conn, &column, &session).await?;
            let binary = session.charset == "binary";
            assert!(
                certain >= if binary { 1 } else { 3 },
                "only {certain} certain for {}",
                column.declaration
            );
        }
    }
    Ok(())
}
