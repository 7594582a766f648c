//! LOAD DATA LOCAL into tables of several shards. MySQL itself judges the statement first, with an empty file; then the client is asked for its own, whose records go to their
//! shards in batches, each a LOAD DATA LOCAL of its own, all in one transaction. Nothing is asked for twice: what fails behind the first packet fails for good.

use std::sync::Arc;

use podway_model::{Keyspace, ShardIndex};
use podway_router::{Load, LoadFile, Scatter, Want};
use podway_wire::OkPacket;

use super::core::{Session, Spot};
use super::gather::MAX_WARNINGS;
use super::literals::held_text;
use super::load_file::ClientFile;
use super::load_records::{Batch, Records};
use super::run::warnings;
use super::scatter::{Done, Frame};
use super::state::Warning;
use crate::backend::{BackendConnection, UserVariables};
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::sequence_of_answer;
use crate::numbers::{Taken, Wanted};

/// ER_CHECK_CONSTRAINT_VIOLATED: with LOCAL such a record is left out, and not counted.
const CHECK_VIOLATED: u16 = 3819;
/// What marks a user variable of a connection as one that is to be set anew.
const UNKNOWN_VALUE: &[u8] = b"_binary X'706F64776179'";

/// What the shards have answered so far.
#[derive(Default)]
struct Answers {
    /// Warnings, by the places of their records.
    warnings: Vec<(u64, Warning)>,
    /// Those of the statement itself, which every batch has.
    of_statement: Vec<Warning>,
    /// What the user variables have got from the last record, in hexadecimal, and its place.
    variables: (u64, Vec<Option<Vec<u8>>>),
}

/// What all batches have in common.
#[derive(Clone, Copy)]
struct Loading<'p> {
    frame: Frame<'p>,
    load: &'p Load,
    charset: &'p str,
}

impl Session {
    /// Loads the records of the client's file where they belong.
    pub(super) async fn load_rows(
        &mut self,
        frame: Frame<'_>,
        scatter: &Scatter,
        keyspace: &Keyspace,
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        let Some(load) = scatter.load.as_deref() else { return Ok(()) };
        let mut spots = Vec::with_capacity(keyspace.shards.len());
        for shard in 0..keyspace.shards.len() {
            spots.push(self.target(frame, ShardIndex(shard as u16)).await?);
        }
        let home = spots.get(usize::from(keyspace.home.0)).ok_or_else(|| {
            ClientError::new(ErrorCode::UNKNOWN, "The table's home shard has left the map: try again")
        })?;
        let file = self.file_of(frame, load, keyspace, home).await?;
        let loading = Loading { frame, load, charset: &file.charset };
        let mut answers = Answers::default();
        // What MySQL has to say of the statement it says before the client is asked for anything.
        self.load_batch(loading, home, &Batch::default(), done, &mut answers, true).await?;
        let mut from = self.ask_for_file(&file.name).await?;
        self.handle.begins_file();
        let mut records = Records::new(load, &file, keyspace, self.state.lexical.sql_mode);
        let loaded =
            self.load_file(loading, &mut records, (&spots, &mut from), (&mut *done, &mut answers)).await;
        let loaded = match loaded {
            Err(error @ ProxyError::ClientGone(_)) => Err(error),
            Err(error) => self.drain_file(&mut from).await.and(Err(error)),
            Ok(()) => Ok(()),
        };
        self.handle.ends_file();
        self.place.sequence = from.sequence;
        if let Err(error) = loaded {
            return Err(self.for_good(error).await?);
        }
        answers.warnings.sort_by_key(|(row, _)| *row);
        done.warn(answers.warnings.into_iter().map(|(_, warning)| warning));
        if records.count > 0 {
            self.take_variables(load, &file, &answers.variables.1);
        }
        Ok(())
    }

    /// What the statement says of its file; the current database's character set is asked for.
    async fn file_of(
        &mut self,
        frame: Frame<'_>,
        load: &Load,
        keyspace: &Keyspace,
        spot: &Spot,
    ) -> Result<LoadFile, ProxyError> {
        let plan = frame.planned.plan.clone();
        let text = (frame.planned.sql, frame.planned.normal);
        let charset = match plan.load_charset(load, text) {
            Some(charset) => charset,
            None if self.state.database.as_ref() != Some(&keyspace.name) => {
                let what = "LOAD DATA over several shards without CHARACTER SET, where the current database is another than the table's";
                return Err(ClientError::not_supported(what).into());
            }
            None => {
                let of = frame.at(spot);
                let mut connection = self.enter_server(of).await?;
                let asked = connection.synchronise(&spot.current, frame.settings, None).await;
                let asked = match asked {
                    Ok(()) => connection.rows(b"SELECT @@character_set_database LIMIT 1").await,
                    Err(error) => Err(error),
                };
                let rows = self.leave_server(connection, of, asked).await?;
                rows.text(0).unwrap_or_default()
            }
        };
        Ok(plan.load_file(load, text, &charset).map_err(ClientError::from)?)
    }

    /// Reads the file and has the shards store its records.
    async fn load_file(
        &mut self,
        loading: Loading<'_>,
        records: &mut Records<'_>,
        (spots, from): (&[Spot], &mut ClientFile),
        (done, answers): (&mut Done, &mut Answers),
    ) -> Result<(), ProxyError> {
        loop {
            let cut = records.cut(from.is_all)?;
            let is_through = cut.wants.is_empty() && from.is_all;
            let numbers = self.numbers_of(loading, &cut.wants).await?;
            records.place(numbers)?;
            self.handle.has_loaded(records.count, from.bytes);
            while let Some(batch) = records.due(is_through || cut.is_malformed) {
                self.load_on_shards(loading, &batch, spots, (&mut *done, &mut *answers)).await?;
            }
            if cut.is_malformed {
                let batch = records.malformed();
                self.load_on_shards(loading, &batch, spots, (&mut *done, &mut *answers)).await?;
                let what = "a file for several shards with bytes that are no letters of its character set";
                return Err(ClientError::not_supported(what).into());
            }
            if is_through {
                return Ok(());
            }
            if cut.wants.is_empty() {
                self.more_of_file(from, &mut records.input).await?;
            }
        }
    }

    /// The cluster's numbers for some records.
    async fn numbers_of(
        &mut self,
        loading: Loading<'_>,
        wants: &[Want],
    ) -> Result<Option<Arc<Taken>>, ProxyError> {
        let Loading { load, frame, .. } = loading;
        if load.counter.is_none() || wants.is_empty() {
            return Ok(None);
        }
        if wants.contains(&Want::Next) {
            self.check_strides(load.table.name.as_str())?;
        }
        if !self.shared.numbers.has_source() {
            return match wants.contains(&Want::Next) {
                false => Ok(None),
                true => Err(ClientError::not_supported(&format!(
                    "AUTO_INCREMENT numbers for the records of a file for {} without a topology",
                    load.table.name
                ))
                .into()),
            };
        }
        let Some(keyspace) = frame.planned.plan.keyspace() else { return Ok(None) };
        let taken = self.reserve_numbers(Wanted { keyspace, table: &load.table, wants }).await?;
        Ok(Some(Arc::new(taken)))
    }

    /// Has the batch's shard store it; every shard, where they have copies.
    async fn load_on_shards(
        &mut self,
        loading: Loading<'_>,
        batch: &Batch,
        spots: &[Spot],
        (done, answers): (&mut Done, &mut Answers),
    ) -> Result<(), ProxyError> {
        let all = !loading.load.is_sharded;
        let takes = |at: usize| all || at == batch.shard;
        let mut is_first = true;
        for (_, spot) in spots.iter().enumerate().filter(|(at, _)| takes(*at)) {
            self.load_batch(loading, spot, batch, &mut *done, &mut *answers, is_first).await?;
            is_first = false;
        }
        Ok(())
    }

    async fn load_batch(
        &mut self,
        loading: Loading<'_>,
        spot: &Spot,
        batch: &Batch,
        done: &mut Done,
        answers: &mut Answers,
        counts: bool,
    ) -> Result<(), ProxyError> {
        let Loading { frame, load, charset } = loading;
        let (of, planned) = (frame.at(spot), frame.planned);
        let mut sql = Vec::new();
        self.with_facts(planned, spot, |facts| {
            planned.plan.load_text(load, charset, (planned.sql, planned.normal), facts, &mut sql);
        });
        let packet = self.query_packet(&sql);
        let mut connection = self.enter_server(of).await?;
        if let Some(error) = batch.numbers.iter().find_map(|taken| self.check_taken(taken).err()) {
            self.settle(connection);
            return Err(error);
        }
        let work = async {
            done.begin_on(&mut connection, of).await?;
            let ok = connection.load(&packet, sequence_of_answer(&packet), &batch.file).await?;
            let ok = take_answer(&mut connection, ok, (batch, counts), answers).await?;
            if batch.last_row() > answers.variables.0 && !load.variables.is_empty() {
                answers.variables = (batch.last_row(), variables(&mut connection, load).await?);
            }
            if counts {
                let id = batch.first_number.filter(|_| ok.affected_rows > 0);
                done.take_loaded(ok, id);
            }
            Ok(())
        };
        let worked = tokio::select! {
            biased;
            worked = work => worked,
            error = self.client.gone(self.command_bytes) => Err(ProxyError::ClientGone(error)),
        };
        if !load.variables.is_empty() {
            connection.note_variables(&Arc::new(self.with_unknown(load)));
        }
        let worked = worked.map_err(|error| match error {
            ProxyError::Server(mut refused) => {
                refused.message = batch.in_file(&refused.message).0;
                ProxyError::Server(refused)
            }
            error => error,
        });
        self.leave_server(connection, of, worked).await
    }

    /// The session's user variables, but for those that took fields: what these are on a connection is nothing that a session has set.
    fn with_unknown(&self, load: &Load) -> UserVariables {
        let mut variables = (*self.state.variables).clone();
        load.variables.iter().for_each(|name| variables.put(name.as_str(), UNKNOWN_VALUE));
        variables
    }

    /// The user variables have what the last record gave them.
    fn take_variables(&mut self, load: &Load, file: &LoadFile, values: &[Option<Vec<u8>>]) {
        let mut variables = (*self.state.variables).clone();
        for (name, value) in load.variables.iter().zip(values) {
            let literal = match value {
                None => b"NULL".to_vec(),
                Some(digits) => held_text(&file.charset, &String::from_utf8_lossy(digits)).into_bytes(),
            };
            variables.put(name.as_str(), &literal);
        }
        self.state.variables = Arc::new(variables);
    }

    /// An error behind the first packet of a file, which cannot be asked for again.
    async fn for_good(&mut self, error: ProxyError) -> Result<ProxyError, ProxyError> {
        Ok(match error {
            ProxyError::ShardMoved(_) => self.restart().await?,
            ProxyError::Client(refused) if refused.code == ErrorCode::NO_NUMBER => {
                ClientError::new(refused.code, format!("{}, with the whole file", refused.message)).into()
            }
            error => error,
        })
    }
}

/// What a shard has answered to a batch, its warnings taken over. The shard must have read as many records as were meant for it.
async fn take_answer(
    connection: &mut BackendConnection,
    ok: OkPacket,
    (batch, counts): (&Batch, bool),
    answers: &mut Answers,
) -> Result<OkPacket, ProxyError> {
    let mut ok = ok;
    let is_first = batch.len() == 0;
    let wants_all = answers.warnings.len() < MAX_WARNINGS || !answers.of_statement.is_empty();
    let records = records_of(&ok.info);
    let mut left_out = 0;
    if ok.warnings > 0 && (wants_all || records != Some(batch.len())) {
        let mut said = batch.warnings_in_file(warnings(connection).await?);
        let all = said.len();
        said.retain(|(_, warning)| !answers.of_statement.contains(warning));
        ok = with_fewer_warnings(ok, all - said.len());
        if is_first {
            answers.of_statement = said.iter().map(|(_, warning)| warning.clone()).collect();
        }
        left_out = said.iter().filter(|(_, warning)| warning.code == CHECK_VIOLATED).count();
        // Copies say the same.
        answers.warnings.extend(said.into_iter().take(if counts { MAX_WARNINGS } else { 0 }));
    }
    let is_right = records.is_some_and(|read| read == batch.len() || read < batch.len() && left_out > 0);
    match is_right || batch.is_unclear {
        true => Ok(ok),
        false => {
            let message = format!(
                "MySQL read {} records where Podway saw {}: nothing of the file is stored",
                records.map_or_else(|| "no".to_owned(), |records| records.to_string()),
                batch.len()
            );
            Err(ClientError::new(ErrorCode::UNKNOWN, message).into())
        }
    }
}

/// An answer without as many of its warnings.
fn with_fewer_warnings(mut ok: OkPacket, fewer: usize) -> OkPacket {
    ok.warnings = ok.warnings.saturating_sub(u16::try_from(fewer).unwrap_or(u16::MAX));
    let text = String::from_utf8_lossy(&ok.info).into_owned();
    if let Some((before, number)) = text.rsplit_once("Warnings: ")
        && let Ok(number) = number.parse::<usize>()
    {
        ok.info = format!("{before}Warnings: {}", number.saturating_sub(fewer)).into_bytes();
    }
    ok
}

/// The first number of "Records: 3  Deleted: 0  Skipped: 0  Warnings: 0".
fn records_of(info: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(info).ok()?;
    text.strip_prefix("Records: ")?.split(' ').next()?.parse().ok()
}

/// What the user variables hold now, in hexadecimal.
async fn variables(
    connection: &mut BackendConnection,
    load: &Load,
) -> Result<Vec<Option<Vec<u8>>>, ProxyError> {
    let quoted = |name: &podway_model::Name| format!("HEX(@`{}`)", name.as_str().replace('`', "``"));
    let names: Vec<String> = load.variables.iter().map(quoted).collect();
    let rows = connection.rows(format!("SELECT {} LIMIT 1", names.join(", ")).as_bytes()).await?;
    Ok(rows.first().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_text_says_how_many_records_were_read() {
        assert_eq!(records_of(b"Records: 12  Deleted: 0  Skipped: 3  Warnings: 9"), Some(12));
        assert_eq!(records_of(b""), None);
        let info = b"Records: 1  Deleted: 0  Skipped: 0  Warnings: 3".to_vec();
        let ok = with_fewer_warnings(OkPacket { warnings: 3, info, ..OkPacket::default() }, 2);
        assert_eq!((ok.warnings, &ok.info[..]), (1, &b"Records: 1  Deleted: 0  Skipped: 0  Warnings: 1"[..]));
    }
}
