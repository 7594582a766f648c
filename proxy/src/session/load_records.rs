//! A file's records on their way to the shards: cut, given their numbers, put into the batches of their shards. Pure: what comes is bytes, what goes are batches.

use std::sync::Arc;

use podway_model::{Keyspace, ShardIndex};
use podway_router::{Load, LoadFile, Next, Record, RouterError, SqlMode, Want};

use super::state::Warning;
use crate::error::{ClientError, ErrorCode};
use crate::numbers::Taken;

/// About how many bytes of records one statement on a shard has.
const BATCH_BYTES: usize = 1 << 20;
/// How many bytes of records are held for all shards.
const HELD_BYTES: usize = 8 << 20;
/// The longest record.
const RECORD_BYTES: usize = 64 << 20;
/// How many records are cut at once.
const AT_ONCE: usize = 512;

/// Records for one shard.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The shard's place; every shard gets it where they have copies.
    pub shard: usize,
    /// Their bytes.
    pub file: Vec<u8>,
    /// Their places in the client's file, from 1 on.
    rows: Vec<u64>,
    /// The cluster's numbers that they have.
    pub numbers: Vec<Arc<Taken>>,
    /// The first of those.
    pub first_number: Option<u64>,
    /// Whether MySQL alone can say what records it has; it is expected to say that they are none.
    pub is_unclear: bool,
}

/// What is cut of the file and not yet put into a batch.
pub(super) struct Cut {
    /// What each record wants of the table's numbers.
    pub wants: Vec<Want>,
    /// Bytes that are no text follow them.
    pub is_malformed: bool,
}

/// A file that is being loaded.
pub(super) struct Records<'l> {
    load: &'l Load,
    file: &'l LoadFile,
    keyspace: &'l Keyspace,
    mode: SqlMode,
    /// What has come and is in no batch.
    pub input: Vec<u8>,
    /// How much of it is cut.
    at: usize,
    cut: Vec<(usize, Record)>,
    cut_count: usize,
    /// Cutting is tried again when there is as much.
    wanted: usize,
    left_to_skip: u64,
    /// Records so far.
    pub count: u64,
    batches: Vec<Batch>,
}

impl<'l> Records<'l> {
    pub fn new(load: &'l Load, file: &'l LoadFile, keyspace: &'l Keyspace, mode: SqlMode) -> Records<'l> {
        let shards = if load.is_sharded { keyspace.shards.len() } else { 1 };
        let batch = |shard: usize| Batch { shard, ..Batch::default() };
        Records {
            load,
            file,
            keyspace,
            mode,
            input: Vec::new(),
            at: 0,
            cut: Vec::new(),
            cut_count: 0,
            wanted: 0,
            left_to_skip: file.skipped,
            count: 0,
            batches: (0..shards).map(batch).collect(),
        }
    }

    /// Cuts some records of what has come; none: more has to come, or nothing is left if this is `all`.
    pub fn cut(&mut self, is_all: bool) -> Result<Cut, ClientError> {
        let mut cut = Cut { wants: Vec::new(), is_malformed: false };
        self.cut_count = 0;
        if self.input.len() < self.wanted && !is_all {
            return Ok(cut);
        }
        self.skip(is_all);
        while self.left_to_skip == 0 && self.cut_count < AT_ONCE {
            if self.cut.len() == self.cut_count {
                self.cut.push((0, Record::default()));
            }
            let (start, record) = &mut self.cut[self.cut_count];
            let bytes = &self.input[self.at..];
            match self.file.format.record(bytes, is_all, self.load.fields, record) {
                Next::Record => {
                    *start = self.at;
                    self.at += record.length;
                    let want = self.load.wanted_number(record, &self.file.charset, self.mode);
                    cut.wants.push(want.map_err(|error| self.in_row(error))?);
                    self.cut_count += 1;
                }
                Next::Malformed => {
                    cut.is_malformed = true;
                    break;
                }
                Next::More | Next::End => break,
            }
        }
        if self.cut_count == 0 {
            self.shrink()?;
        }
        Ok(cut)
    }

    /// Passes over the lines that IGNORE n LINES means.
    fn skip(&mut self, is_all: bool) {
        while self.left_to_skip > 0 {
            match self.file.format.line(&self.input[self.at..]) {
                Some(length) => self.at += length,
                None if is_all => self.at = self.input.len(),
                None => return,
            }
            self.left_to_skip -= 1;
        }
    }

    /// Forgets what is in batches; what is left waits until twice as much has come.
    fn shrink(&mut self) -> Result<(), ClientError> {
        self.input.drain(..self.at);
        self.at = 0;
        self.wanted = if self.input.len() < BATCH_BYTES { 0 } else { self.input.len() * 2 };
        match self.input.len() > RECORD_BYTES {
            false => Ok(()),
            true => {
                let message =
                    format!("Row {} of the file has more than {RECORD_BYTES} bytes", self.count + 1);
                Err(ClientError::new(ErrorCode::PACKET_TOO_LARGE, message))
            }
        }
    }

    /// Puts the records that were cut into their batches, with these numbers.
    pub fn place(&mut self, taken: Option<Arc<Taken>>) -> Result<(), ClientError> {
        for nth in 0..self.cut_count {
            let (start, record) = &self.cut[nth];
            let number = taken.as_ref().and_then(|taken| taken.numbers.get(nth).copied().flatten());
            let shard = match self.load.is_sharded {
                false => Ok(ShardIndex(0)),
                true => self.load.shard(self.keyspace, (record, number), &self.file.charset, self.mode),
            };
            let shard = shard.map_err(|error| self.in_row(error))?;
            let Some(batch) = self.batches.get_mut(usize::from(shard.0)) else { continue };
            self.count += 1;
            batch.rows.push(self.count);
            let bytes = &self.input[*start..*start + record.length];
            self.load.put_record((bytes, record), number, &self.file.format.field_end, &mut batch.file);
            batch.first_number = batch.first_number.or(number);
            if let Some(taken) = &taken
                && !batch.numbers.last().is_some_and(|last| Arc::ptr_eq(last, taken))
            {
                batch.numbers.push(taken.clone());
            }
        }
        self.cut_count = 0;
        Ok(())
    }

    /// What is to be sent now: full batches, or all that has anything in it.
    pub fn due(&mut self, all: bool) -> Option<Batch> {
        let held: usize = self.batches.iter().map(|batch| batch.file.len()).sum();
        let least = if all {
            1
        } else if held > HELD_BYTES {
            0
        } else {
            BATCH_BYTES
        };
        let fullest = self.batches.iter_mut().max_by_key(|batch| batch.file.len())?;
        let empty = Batch { shard: fullest.shard, ..Batch::default() };
        (fullest.file.len() >= least.max(1)).then(|| std::mem::replace(fullest, empty))
    }

    /// The bytes that are no text, and what is before them in their record, for MySQL to refuse.
    pub fn malformed(&mut self) -> Batch {
        Batch {
            shard: usize::from(self.keyspace.home.0),
            file: self.input.split_off(self.at),
            rows: vec![self.count + 1],
            is_unclear: true,
            ..Batch::default()
        }
    }

    fn in_row(&self, error: RouterError) -> ClientError {
        let mut error = ClientError::from(error);
        error.message = format!("{} (row {} of the file)", error.message, self.count + 1).into();
        error
    }
}

impl Batch {
    /// How many records it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Its last record's place in the file.
    pub fn last_row(&self) -> u64 {
        self.rows.last().copied().unwrap_or(0)
    }

    /// A message with the record's place in the client's file where a shard counts in its own, and that place: `Row 3 …` or `… at row 3`.
    pub fn in_file(&self, message: &[u8]) -> (Vec<u8>, Option<u64>) {
        let text = String::from_utf8_lossy(message);
        let of = |digits: &str| {
            let nth = digits.parse::<usize>().ok()?.checked_sub(1)?;
            self.rows.get(nth).copied()
        };
        if let Some((before, digits)) = text.rsplit_once(" at row ")
            && let Some(row) = of(digits)
        {
            return (format!("{before} at row {row}").into_bytes(), Some(row));
        }
        if let Some((digits, after)) = text.strip_prefix("Row ").and_then(|rest| rest.split_once(' '))
            && let Some(row) = of(digits)
        {
            return (format!("Row {row} {after}").into_bytes(), Some(row));
        }
        (message.to_vec(), None)
    }

    /// Its warnings with the places that they are about; one that tells none stands where the one before it does.
    pub fn warnings_in_file(&self, warnings: Vec<Warning>) -> Vec<(u64, Warning)> {
        let mut last = self.rows.first().copied().unwrap_or(0);
        let of = |warning: Warning| {
            let (message, row) = self.in_file(&warning.message);
            last = row.unwrap_or(last);
            (last, Warning { message, ..warning })
        };
        warnings.into_iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_count_rows_of_the_clients_file() {
        let batch = Batch { rows: vec![4, 9, 30], ..Batch::default() };
        let cases = [
            ("Data truncated for column 'n' at row 2", "Data truncated for column 'n' at row 9", Some(9)),
            (
                "Row 3 doesn't contain data for all columns",
                "Row 30 doesn't contain data for all columns",
                Some(30),
            ),
            ("Duplicate entry '1' for key 't.PRIMARY'", "Duplicate entry '1' for key 't.PRIMARY'", None),
            ("something at row 7", "something at row 7", None),
        ];
        for (message, expected, row) in cases {
            let (shown, found) = batch.in_file(message.as_bytes());
            assert_eq!((String::from_utf8(shown).unwrap().as_str(), found), (expected, row));
        }
    }
}
