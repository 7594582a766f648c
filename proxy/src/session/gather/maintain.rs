//! ANALYZE, CHECK, CHECKSUM and REPAIR TABLE of tables that several shards have: each shard is asked as the user, home first and then the others, one after the other, and
//! what they say becomes one answer without I/O ([`maintained`], [`checksums`]).
//!
//! CHECKSUM TABLE reads: in a transaction it is a part of it. The others commit what is open, as in MySQL, and run beside the session's connections, unless these hold
//! its LOCK TABLES.

use bytes::Bytes;
use podway_model::Keyspace;
use podway_router::Maintenance;
use podway_wire::ResponseKind;
use podway_wire::codec::put_lenenc_bytes;

use super::super::core::{Planned, Session, Spot};
use super::super::run::{FRESH_CONNECTIONS, warnings};
use super::super::state::Warning;
use super::in_turn::Connections;
use super::{Answer, Budget, MAX_WARNINGS, Taking, definitions, keyspace_of};
use crate::backend::BackendConnection;
use crate::error::{ErrorCode, ProxyError};
use crate::execute::{Line, Remark, RowStream, checksums, maintained};

/// What NULL is in a row of the text protocol.
const NULL: u8 = 0xFB;

/// What one shard says.
#[derive(Default)]
struct Said {
    columns: Vec<Bytes>,
    lines: Vec<Line>,
    warnings: Vec<Warning>,
}

impl Session {
    /// Runs it on every shard that it is about, and answers it.
    pub(in crate::session) async fn maintain(
        &mut self,
        planned: &Planned<'_>,
        maintenance: &Maintenance,
    ) -> Result<(), ProxyError> {
        let Some(name) = planned.plan.keyspace() else { return Ok(()) };
        let keyspace = keyspace_of(&planned.map, name)?;
        self.check_free()?;
        match maintenance.sums {
            true => self.begin_snapshot(&planned.plan, &planned.map).await?,
            false => self.commit_quietly().await?,
        }
        let spots = self.spots(planned, &maintenance.shards(&keyspace)).await?;
        let mut texts = Vec::with_capacity(spots.len());
        for spot in &spots {
            let mut text = Vec::new();
            let asked = (maintenance, spot.index == keyspace.home);
            self.with_facts(planned, spot, |facts| {
                planned.plan.maintenance_text(asked, (planned.sql, planned.normal), facts, &mut text);
            });
            texts.push(text);
        }
        let said = match self.is_locked() || maintenance.sums && self.is_inside() {
            true => self.ask_inside(planned, &spots, &texts).await?,
            false => self.ask_outside(&spots, &texts).await?,
        };
        self.answer_maintained((&keyspace, maintenance), &spots, said).await
    }

    /// On connections beside the session's own.
    async fn ask_outside(&mut self, spots: &[Spot], texts: &[Vec<u8>]) -> Result<Vec<Said>, ProxyError> {
        let settings = self.settings_outside();
        let budget = Budget::of(&self.shared.config.client);
        let mut said = Vec::with_capacity(spots.len());
        for (spot, text) in spots.iter().zip(texts) {
            let mut attempts = FRESH_CONNECTIONS;
            let of_shard = loop {
                let connection = self.reader(spot, &settings).await?;
                self.handle.set_running([connection.thread().clone()]);
                let (connection, asked) = self.ask(connection, spot, (text, &budget)).await;
                // It goes on to further shards.
                self.handle.seeks();
                let is_condemned = self.handle.ended_running();
                if let Some(connection) = connection {
                    self.put_away(connection, is_condemned);
                }
                // What MySQL says of a statement that was interrupted may be a row.
                if is_condemned && !matches!(asked, Err(ProxyError::ClientGone(_))) {
                    return Err(ProxyError::interrupted());
                }
                match asked {
                    Err(ProxyError::BackendUnusable { .. }) if attempts > 0 => attempts -= 1,
                    asked => break asked,
                }
            };
            said.push(of_shard.map_err(|error| self.refused_early(error, spot))?);
        }
        Ok(said)
    }

    /// On the session's own connections: those of its transaction, or with its locks.
    async fn ask_inside(
        &mut self,
        planned: &Planned<'_>,
        spots: &[Spot],
        texts: &[Vec<u8>],
    ) -> Result<Vec<Said>, ProxyError> {
        let mut connections = self.enter_servers(planned, spots).await?;
        self.handle.set_running(connections.values().map(|connection| connection.thread().clone()));
        let mut said = Vec::with_capacity(spots.len());
        let mut asked = Ok(());
        for (spot, text) in spots.iter().zip(texts) {
            match self.ask_own(spot, text, &mut connections).await {
                Ok(of_shard) => said.push(of_shard),
                Err(error) => {
                    asked = Err(self.refused_early(error, spot));
                    break;
                }
            }
        }
        self.leave_servers(connections, asked).await?;
        Ok(said)
    }

    async fn ask_own(
        &mut self,
        spot: &Spot,
        text: &[u8],
        connections: &mut Connections,
    ) -> Result<Said, ProxyError> {
        // A server that waits for its turn does not heed KILL QUERY.
        if self.handle.is_condemned() || self.handle.is_evicted() {
            return Err(ProxyError::interrupted());
        }
        let server = spot.pool.id();
        let Some(mut connection) = connections.remove(&server) else {
            self.lost = true;
            return Err(spot.pool.endpoint().lost("the connection of an open transaction is gone"));
        };
        // Another shard of the same server may have had it before.
        if let Err(error) = connection.synchronise(&spot.current, &self.state.settings, None).await {
            connections.insert(server, connection);
            return Err(self.in_logical_names(error, spot));
        }
        let budget = Budget::of(&self.shared.config.client);
        let (connection, said) = self.ask(connection, spot, (text, &budget)).await;
        match connection {
            Some(connection) => drop(connections.insert(server, connection)),
            None => self.lost = true,
        }
        if self.handle.is_condemned() && !matches!(said, Err(ProxyError::ClientGone(_))) {
            return Err(ProxyError::interrupted());
        }
        said
    }

    /// What one shard says, in the client's names.
    async fn ask(
        &mut self,
        connection: Box<BackendConnection>,
        spot: &Spot,
        (text, budget): (&[u8], &Budget),
    ) -> (Option<Box<BackendConnection>>, Result<Said, ProxyError>) {
        let packet = self.query_packet(text);
        let mut stream = match RowStream::send(connection, &packet, ResponseKind::Query).await {
            Ok(stream) => stream,
            Err(error) => return (None, Err(error)),
        };
        let mut said = Said::default();
        let mut read = self.read_lines(&mut stream, &mut said.lines, (budget, &mut Taking::begun())).await;
        if matches!(read, Err(ProxyError::Client(_))) {
            stream.read_out().await;
        }
        said.columns.extend_from_slice(stream.columns());
        let (mut connection, summary) = stream.into_parts();
        if read.is_ok() && summary.warnings > 0 {
            read = warnings(&mut connection).await.map(|found| said.warnings = found);
        }
        if let Some(names) = spot.name_change() {
            said.lines.iter_mut().for_each(|line| names.line(line));
            said.warnings.iter_mut().for_each(|warning| warning.message = names.text(&warning.message));
        }
        let read = read.map_err(|error| self.in_logical_names(error, spot));
        (Some(connection), read.map(|()| said))
    }

    async fn answer_maintained(
        &mut self,
        (keyspace, maintenance): (&Keyspace, &Maintenance),
        spots: &[Spot],
        mut said: Vec<Said>,
    ) -> Result<(), ProxyError> {
        let Some((first, spot)) = said.first_mut().zip(spots.first()) else { return Ok(()) };
        let columns = std::mem::take(&mut first.columns);
        let columns = definitions(&columns, spot.name_change().as_ref())
            .map_err(|error| spot.pool.endpoint().lost(error))?;
        let mut warnings: Vec<Warning> = Vec::new();
        for warning in said.iter_mut().flat_map(|said| said.warnings.drain(..)) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        let said: Vec<Vec<Line>> = said.into_iter().map(|said| said.lines).collect();
        let lines = match maintenance.sums {
            true => checksums(said),
            false => {
                let (lines, remarks) = maintained(said);
                warnings.extend(remarks.iter().map(|remark| noted(keyspace, spots, remark)));
                lines
            }
        };
        warnings.truncate(MAX_WARNINGS);
        let mut answer = Answer::of(columns, self, false);
        self.put_columns(&mut answer);
        for line in lines {
            let mut row = Vec::new();
            for cell in line {
                match cell {
                    Some(cell) => put_lenenc_bytes(&mut row, &cell),
                    None => row.push(NULL),
                }
            }
            let put = self.put_row(&mut answer, &row).await;
            put.map_err(|error| answer.cut_off(error, self))?;
        }
        self.state.row_count = -1;
        let count = warnings.len();
        self.state.warnings = warnings;
        self.put_end(&mut answer, count).await
    }
}

/// Which shard has said what others have not.
fn noted(keyspace: &Keyspace, spots: &[Spot], remark: &Remark) -> Warning {
    let ranges = spots.get(remark.by).map(|spot| keyspace.ranges(spot.index)).unwrap_or_default();
    let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    let of = format!("The shard {} says of ", ranges.join(","));
    let message = [of.as_bytes(), &remark.table, b": ", &remark.text].concat();
    Warning { level: b"Note".to_vec(), code: ErrorCode::UNKNOWN.number, message }
}
