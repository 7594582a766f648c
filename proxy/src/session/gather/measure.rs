//! What a gathered statement takes, shard by shard, where it is run to be measured (EXPLAIN ANALYZE FORMAT=PODWAY).

use std::time::{Duration, Instant};

use bytes::Bytes;
use podway_model::ShardIndex;
use podway_router::Measured;

use super::super::core::Session;
use super::answer::Answer;

/// One answer's rows as they come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taking {
    begun: Instant,
    rows: u64,
    bytes: u64,
    time: Duration,
}

impl Taking {
    /// From now on.
    pub(crate) fn begun() -> Taking {
        Taking { begun: Instant::now(), rows: 0, bytes: 0, time: Duration::ZERO }
    }

    /// Notes a row, or that there are no more.
    pub(crate) fn saw(&mut self, row: Option<&Bytes>) {
        match row {
            Some(row) => {
                self.rows += 1;
                self.bytes += row.len() as u64;
            }
            None => self.time = self.begun.elapsed(),
        }
    }
}

impl Session {
    /// Forgets what a try that was in vain took.
    pub(super) fn measure_anew(&mut self) {
        if let Some(measures) = &mut self.measures {
            measures.shards.clear();
        }
    }

    /// Notes what a shard gave for a part.
    pub(crate) fn note_shard(&mut self, part: usize, shard: ShardIndex, took: Taking) {
        let Some(measures) = &mut self.measures else { return };
        // One that was not read to its end took until now.
        let time = if took.time.is_zero() { took.begun.elapsed() } else { took.time };
        let (rows, bytes) = (took.rows, took.bytes);
        measures.shards.push(Measured { part, shard, rows, bytes, time });
    }

    /// Notes what the final statement gave.
    pub(super) fn note_last(&mut self, answer: &Answer, time: Duration) {
        if let Some(measures) = &mut self.measures {
            measures.last = Some((answer.rows, answer.bytes, time));
            measures.rows = answer.rows;
        }
    }

    /// Notes how many rows the result has.
    pub(crate) fn note_result(&mut self, rows: u64) {
        if let Some(measures) = &mut self.measures {
            measures.rows = rows;
        }
    }
}
