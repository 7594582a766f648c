//! The session of the client who typed a statement, opened by the leader in its name. It is known by a connection attribute, and ended by it.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row};
use podway_topology_api::{ClientStatement, OperationId, ServerMessage, Target, Term};
use tokio::time::{Instant, sleep, timeout};

use super::error::TryError;
use super::place::{Place, short};
use crate::mover::Control;

/// The connection attribute: `cluster:term:operation:target`.
const ATTRIBUTE: &str = "podway_statement";
/// A server that does not let a client in within this is tried again later.
const LOGIN_WITHIN: Duration = Duration::from_secs(5);
/// Sessions that were killed are gone within this, or it is tried again later: a statement that is killed is rolled back first.
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// How often is looked.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The current database of a client that has none: everybody may enter it.
const NO_DATABASE: &str = "information_schema";

/// A client's session.
pub struct ClientSession {
    conn: Conn,
    server: Box<str>,
}

impl ClientSession {
    /// Logs in as the statement's account and brings the session to its client's state.
    pub async fn open(
        place: &Place,
        statement: &ClientStatement,
        mark: &Mark,
    ) -> Result<ClientSession, TryError> {
        let server = place.login.name.clone();
        let database = match (&statement.database, &place.schema) {
            (Some(_), Some(schema)) => schema,
            _ => NO_DATABASE,
        };
        let options = OptsBuilder::default()
            .ip_or_hostname(place.login.host.to_string())
            .tcp_port(place.login.port)
            .user(Some(statement.account.user.to_string()))
            .pass(Some(place.password.clone()))
            .db_name(Some(database))
            .connect_attribute(ATTRIBUTE, mark.text())
            .prefer_socket(false);
        let failed = |error| TryError::of_client(&server, error);
        let mut conn = match timeout(LOGIN_WITHIN, Conn::new(options)).await {
            Ok(conn) => conn.map_err(failed)?,
            Err(_) => {
                return Err(TryError::Later(format!(
                    "server {server} does not answer within {LOGIN_WITHIN:?}"
                )));
            }
        };
        if !statement.setup.0.is_empty() {
            conn.query_drop(statement.setup.0.to_vec()).await.map_err(failed)?;
        }
        Ok(ClientSession { conn, server })
    }

    /// Runs the statement; returns what the server said besides.
    pub async fn run(&mut self, text: Vec<u8>) -> Result<Vec<ServerMessage>, TryError> {
        let done = self.conn.query_drop(text).await;
        done.map_err(|error| TryError::of_client(&self.server, error))?;
        if self.conn.get_warnings() == 0 {
            return Ok(Vec::new());
        }
        // It is done: what was to be said besides may get lost.
        let rows: Vec<Row> = self.conn.query("SHOW WARNINGS").await.unwrap_or_default();
        Ok(rows.into_iter().filter_map(message).collect())
    }
}

fn message(mut row: Row) -> Option<ServerMessage> {
    let state: Vec<u8> = row.take(0)?;
    let code: u16 = row.take(1)?;
    let text: Vec<u8> = row.take(2)?;
    let text_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
    Some(ServerMessage { code, state: text_of(&state), text: text_of(&text) })
}

/// Whose statement a session runs.
#[derive(Clone, Debug)]
pub struct Mark {
    cluster: String,
    term: Term,
    operation: OperationId,
    target: Target,
}

impl Mark {
    /// Of the leader whose control session this is.
    pub fn new(control: &Control, operation: OperationId, target: Target) -> Mark {
        let owner = control.owner();
        Mark { cluster: owner.cluster.clone(), term: owner.term, operation, target }
    }

    fn text(&self) -> String {
        format!("{}:{}:{}:{}", self.cluster, self.term.0, self.operation.0, short(self.target))
    }

    /// Finds the sessions of earlier leaders, and those of the same target.
    fn others(&self) -> String {
        let Mark { cluster, term, operation, target } = self;
        format!(
            "SELECT PROCESSLIST_ID FROM performance_schema.session_connect_attrs \
             WHERE ATTR_NAME = '{ATTRIBUTE}' AND ATTR_VALUE LIKE '{cluster}:%' AND \
             (CAST(SUBSTRING_INDEX(SUBSTRING_INDEX(ATTR_VALUE, ':', 2), ':', -1) AS UNSIGNED) < {} \
             OR SUBSTRING_INDEX(ATTR_VALUE, ':', -2) = '{}:{}')",
            term.0,
            operation.0,
            short(*target)
        )
    }
}

/// Ends the clients' sessions that earlier leaders, or earlier tries on this target, have left; returns when there is none.
pub async fn end_others(control: &mut Control, mark: &Mark) -> Result<(), TryError> {
    let sql = mark.others();
    let give_up = Instant::now() + GONE_WITHIN;
    loop {
        let threads: Vec<u64> = control.rows(&sql).await?;
        let Some(first) = threads.first() else { return Ok(()) };
        if Instant::now() >= give_up {
            return Err(TryError::Later(format!(
                "server {}: thread {first} of an earlier try is still there {GONE_WITHIN:?} after it was killed",
                control.server()
            )));
        }
        for thread in threads {
            control.kill(thread).await?;
        }
        sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use podway_model::ShardId;

    use super::*;

    #[test]
    fn a_session_is_known_by_its_leader_its_operation_and_its_target() {
        let mark = Mark {
            cluster: "c0".to_owned(),
            term: Term(7),
            operation: OperationId(12),
            target: Target::Shard(ShardId(3)),
        };
        assert_eq!(mark.text(), "c0:7:12:s3");
        assert!(mark.others().contains("LIKE 'c0:%'") && mark.others().contains("< 7 OR"));
        assert!(mark.others().ends_with("= '12:s3')"));
    }
}
