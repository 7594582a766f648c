//! One sharded table on one shard, row by row along its primary key: each chunk is one statement, and so one consistent read; no more than a chunk is held. Says which rows do not
//! belong there; changes nothing.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use podway_model::{SLOTS, ShardId, Table};
use podway_topology_api::KeyspaceView;
use tokio::time::{Instant, sleep_until};

use super::stored::{Behind, KeyReader, PrimaryColumn, behind, shown};
use crate::provision::{ProvisionError, quote_name};

/// Rows of one statement.
const CHUNK: u64 = 1_000;
/// A server that does not answer a statement within this is not waited for.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// What the session runs under: values are printed as they are stored.
pub(super) const SESSION: &str = "SET SESSION sql_mode = '', time_zone = '+00:00', sql_select_limit = DEFAULT, max_execution_time = 55000, \
     transaction_isolation = 'REPEATABLE-READ', autocommit = 1";

/// Which shard has each slot.
pub(super) struct Owners(Vec<Option<ShardId>>);

impl Owners {
    /// Of a keyspace.
    pub(super) fn of(keyspace: &KeyspaceView) -> Owners {
        let mut owners = vec![None; SLOTS];
        for shard in &keyspace.shards {
            for range in &shard.ranges {
                owners[range.first.index()..=range.last.index()].fill(Some(shard.id));
            }
        }
        Owners(owners)
    }
}

/// What a scan is of.
pub(super) struct Scan<'a> {
    pub(super) table: &'a Table,
    /// The physical schema.
    pub(super) schema: &'a str,
    pub(super) shard: ShardId,
    pub(super) owners: &'a Owners,
    /// Rows that are read in a second; `None`: as fast as they come.
    pub(super) rows_per_second: Option<u64>,
    /// How many rows are named.
    pub(super) named: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) rows: u64,
    pub(super) misplaced: u64,
    /// Rows whose key the router has no id for.
    pub(super) unknown: u64,
    /// The first of both, by primary key, with where they should be.
    pub(super) named: Vec<(String, Option<ShardId>)>,
}

impl Scan<'_> {
    /// Reads all rows; `seen` is told how many, chunk by chunk.
    pub(super) async fn run(
        &self,
        conn: &mut Conn,
        mut seen: impl FnMut(u64),
    ) -> Result<Scanned, ProvisionError> {
        let primary = self.primary_key(conn).await?;
        let key = KeyReader::new(self.table);
        let mut scanned = Scanned::default();
        let mut from: Option<Behind> = None;
        let chunk = self.rows_per_second.map_or(CHUNK, |rate| rate.clamp(1, CHUNK));
        loop {
            let began = Instant::now();
            let rows: Vec<Row> =
                self.query(conn, self.statement(&primary, &key, from.as_ref(), chunk)).await?;
            for row in &rows {
                self.judge(row, &primary, &key, &mut scanned);
            }
            scanned.rows += rows.len() as u64;
            seen(rows.len() as u64);
            let Some(last) = rows.last().filter(|_| rows.len() as u64 == chunk) else { return Ok(scanned) };
            from = behind(&primary, last);
            if let Some(rate) = self.rows_per_second {
                sleep_until(began + Duration::from_secs_f64(chunk as f64 / rate.max(1) as f64)).await;
            }
        }
    }

    fn judge(&self, row: &Row, primary: &[PrimaryColumn], key: &KeyReader<'_>, scanned: &mut Scanned) {
        let belongs = key.id(row, primary.len()).and_then(|id| self.owners.0[id.slot().index()]);
        match belongs {
            Some(shard) if shard == self.shard => return,
            Some(_) => scanned.misplaced += 1,
            None => scanned.unknown += 1,
        }
        if scanned.named.len() < self.named {
            scanned.named.push((shown(primary, row), belongs));
        }
    }

    fn statement(
        &self,
        primary: &[PrimaryColumn],
        key: &KeyReader<'_>,
        from: Option<&Behind>,
        chunk: u64,
    ) -> Vec<u8> {
        let columns = primary.iter().map(PrimaryColumn::expression).chain(key.expressions());
        let columns: Vec<String> = columns.collect();
        let head = format!(
            "SELECT {} FROM {}.{} FORCE INDEX (PRIMARY)",
            columns.join(", "),
            quote_name(self.schema),
            quote_name(self.table.name.as_str())
        );
        let mut sql = head.into_bytes();
        if let Some(from) = from {
            sql.extend_from_slice(b" WHERE ");
            sql.extend_from_slice(&from.condition(primary));
        }
        let order: Vec<String> = primary.iter().map(PrimaryColumn::quoted).collect();
        sql.extend_from_slice(format!(" ORDER BY {} LIMIT {chunk}", order.join(", ")).as_bytes());
        sql
    }

    async fn primary_key(&self, conn: &mut Conn) -> Result<Vec<PrimaryColumn>, ProvisionError> {
        let sql = "SELECT c.COLUMN_NAME, c.DATA_TYPE, c.CHARACTER_SET_NAME, c.COLLATION_NAME FROM information_schema.STATISTICS s \
                   JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = s.TABLE_SCHEMA AND c.TABLE_NAME = s.TABLE_NAME \
                   AND c.COLUMN_NAME = s.COLUMN_NAME \
                   WHERE s.TABLE_SCHEMA = ? AND s.TABLE_NAME = ? AND s.INDEX_NAME = 'PRIMARY' ORDER BY s.SEQ_IN_INDEX";
        type Described = (String, String, Option<String>, Option<String>);
        let rows: Vec<Described> =
            conn.exec(sql, (self.schema, self.table.name.as_str())).await.map_err(self.doing())?;
        let column = |(name, kind, charset, collation): Described| {
            PrimaryColumn::new(name, &kind.to_lowercase(), charset, collation)
        };
        let columns: Vec<PrimaryColumn> = rows.into_iter().map(column).collect();
        match columns.is_empty() {
            false => Ok(columns),
            true => Err(ProvisionError::Refused {
                table: self.table.name.to_string(),
                reason: "it has no primary key there, or is not there, so that it cannot be read row by row"
                    .to_owned(),
            }),
        }
    }

    async fn query(&self, conn: &mut Conn, sql: Vec<u8>) -> Result<Vec<Row>, ProvisionError> {
        match tokio::time::timeout(ANSWER_WITHIN, conn.query(sql)).await {
            Ok(rows) => rows.map_err(self.doing()),
            Err(_) => Err(ProvisionError::Refused {
                table: self.table.name.to_string(),
                reason: format!("the server does not answer within {ANSWER_WITHIN:?}"),
            }),
        }
    }

    fn doing(&self) -> impl FnOnce(mysql_async::Error) -> ProvisionError {
        let doing = format!("reading {}.{}", self.schema, self.table.name);
        move |error| ProvisionError::Statement { doing, error }
    }
}
