//! An UPDATE or DELETE with LIMIT on several shards. Without ORDER BY any rows will do: the shards write one after the other, each what is left. With it the rows are chosen
//! first: each shard locks those of its own that come first, in order; of all of them those that come first are written by their primary keys, on each shard its
//! own. They are locked when they are compared, so what is written is what was chosen; that it was as many is counted.

use podway_router::{Chosen, Limited, Verb};
use podway_wire::{ResponseKind, decode_binary_row};

use super::core::{Session, Spot};
use super::gather::{Bound, keys_of};
use super::move_rows::{execution, unreadable};
use super::move_settings::unbounded;
use super::row_key::{RowKey, any_of};
use super::scatter::{Done, Frame, ToDo};
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::{Ordered, execute_packet};

/// Rows that one statement writes.
const ROWS_AT_ONCE: usize = 200;

/// A row that may be among the first.
struct Candidate {
    /// The place of its shard among the statement's.
    at: usize,
    /// What it is ordered by.
    order: Ordered,
    /// The condition that it meets alone.
    condition: Vec<u8>,
}

/// The rows that were found, and how many bytes they take.
#[derive(Default)]
struct Candidates {
    rows: Vec<Candidate>,
    bytes: usize,
}

impl Session {
    /// Runs an UPDATE or DELETE that writes no more than so many rows.
    pub(super) async fn write_limited(
        &mut self,
        frame: Frame<'_>,
        limited: &Limited,
        (keyspace, pieces, spots): ToDo<'_>,
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        let text = (frame.planned.sql, frame.planned.normal);
        let rows = frame.planned.plan.limit(limited, text, keys_of(frame.bound));
        let rows = rows.map_err(ClientError::from)?;
        let mut left = rows;
        let none = match &limited.chosen {
            Some(chosen) if rows > 0 => {
                let found = self.choose(frame, chosen, (rows, spots), done).await?;
                self.write_candidates(frame, limited, (keyspace, pieces, spots), found, done).await?
            }
            _ => {
                for (piece, spot) in pieces.iter().zip(spots) {
                    let piece = limited.piece(piece.shard, left, None);
                    let written = self.write_counted(frame, spot, &piece, done).await?;
                    left = left.saturating_sub(written);
                    if left == 0 {
                        break;
                    }
                }
                false
            }
        };
        if let (true, Some(piece), Some(spot)) = (none, pieces.first(), spots.first()) {
            // One shard says what is wrong with the statement, or that it has written nothing.
            self.write_counted(frame, spot, &limited.piece(piece.shard, 0, None), done).await?;
        }
        Ok(())
    }

    /// Has a shard do its piece; gives the number of rows that count for LIMIT: those that an UPDATE has found, changed or not.
    async fn write_counted(
        &mut self,
        frame: Frame<'_>,
        spot: &Spot,
        piece: &podway_router::Piece,
        done: &mut Done,
    ) -> Result<u64, ProxyError> {
        let affected = |done: &Done| done.ok.as_ref().map_or(0, |ok| ok.affected_rows);
        let before = affected(done);
        done.matched = None;
        self.write_piece(frame.at(spot), piece, frame.bound, done).await?;
        match frame.planned.plan.verb() {
            Verb::Update => done.matched.ok_or_else(|| {
                ClientError::new(ErrorCode::UNKNOWN, "A shard does not say how many rows it has found").into()
            }),
            _ => Ok(affected(done).saturating_sub(before)),
        }
    }

    /// Locks the first rows of each shard, and puts those of all shards in order: the first of all.
    async fn choose(
        &mut self,
        frame: Frame<'_>,
        chosen: &Chosen,
        (rows, spots): (u64, &[Spot]),
        done: &mut Done,
    ) -> Result<Vec<Candidate>, ProxyError> {
        let Some(first) = spots.first() else { return Ok(Vec::new()) };
        let key = self.row_key(frame, (frame.at(first), &chosen.table), done).await?;
        let mut found = Candidates::default();
        for (at, spot) in spots.iter().enumerate() {
            self.candidates(frame, (chosen, rows, &key), (at, spot), &mut found, done).await?;
        }
        let mut rows_in_order = found.rows;
        rows_in_order.sort_by(|left, right| left.order.compare(&right.order, &chosen.keys));
        rows_in_order.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
        Ok(rows_in_order)
    }

    /// Locks a shard's first rows.
    async fn candidates(
        &mut self,
        frame: Frame<'_>,
        (chosen, rows, key): (&Chosen, u64, &RowKey),
        (at, spot): (usize, &Spot),
        found: &mut Candidates,
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        let plan = &frame.planned.plan;
        let mut sql = Vec::new();
        self.with_facts(frame.planned, spot, |facts| {
            let text = (frame.planned.sql, frame.planned.normal);
            plan.chosen_text(chosen, (&key.columns, rows), text, facts, &mut sql);
        });
        let settings = unbounded(frame.settings);
        let of = Frame { settings: &settings, ..frame }.at(spot);
        let execute = execution(frame.bound, chosen.params());
        let prepared = self.preparation(frame.planned, spot, &sql, &settings);
        let statement = Bound { execute: &execute, keys: &[] }.key(prepared);
        let mut connection = self.enter_server(of).await?;
        let begun = async {
            done.begin_on(&mut connection, of).await?;
            connection.ready(statement, &sql.into()).await
        };
        let id = match begun.await {
            Ok(id) => id,
            Err(error) => return self.leave_server(connection, of, Err(error)).await,
        };
        let packet = execute_packet(&execute, id, connection.capabilities());
        let limits = &self.shared.config.client;
        let limits = (limits.max_gathered_rows, limits.max_gathered_bytes);
        self.read_rows(connection, of, (&packet, ResponseKind::Execute), |columns, row| {
            let values = decode_binary_row(row, columns).map_err(unreadable)?;
            let condition = key.condition(columns, &values).ok_or_else(|| untold(chosen))?;
            let order = Ordered::read_binary(row.to_vec().into(), columns, chosen.keys.len());
            let order = order.map_err(unreadable)?;
            found.take(Candidate { at, order, condition }, row.len(), limits)
        })
        .await
    }

    /// Has each shard write those of the chosen rows that it has; gives whether there are none.
    async fn write_candidates(
        &mut self,
        frame: Frame<'_>,
        limited: &Limited,
        (_, pieces, spots): ToDo<'_>,
        found: Vec<Candidate>,
        done: &mut Done,
    ) -> Result<bool, ProxyError> {
        let none = found.is_empty();
        let mut of_shard: Vec<Vec<Vec<u8>>> = pieces.iter().map(|_| Vec::new()).collect();
        for candidate in found {
            if let Some(rows) = of_shard.get_mut(candidate.at) {
                rows.push(candidate.condition);
            }
        }
        for ((piece, spot), rows) in pieces.iter().zip(spots).zip(&of_shard) {
            for some in rows.chunks(ROWS_AT_ONCE) {
                let expected = some.len() as u64;
                // One more than there are: if there is one more, that shows.
                let piece = limited.piece(piece.shard, expected + 1, Some(any_of(some)));
                if self.write_counted(frame, spot, &piece, done).await? != expected {
                    return Err(match &limited.chosen {
                        Some(chosen) => untold(chosen),
                        None => unreadable("rows that were chosen are not there"),
                    });
                }
            }
        }
        Ok(none)
    }
}

impl Candidates {
    fn take(
        &mut self,
        candidate: Candidate,
        row: usize,
        (max_rows, max_bytes): (usize, usize),
    ) -> Result<(), ProxyError> {
        self.bytes += row + candidate.condition.len();
        let what = match (self.rows.len() >= max_rows, self.bytes > max_bytes) {
            (false, false) => {
                self.rows.push(candidate);
                return Ok(());
            }
            (true, _) => "client.max_gathered_rows",
            (false, true) => "client.max_gathered_bytes",
        };
        let message = format!(
            "The statement chooses among more rows of several shards than {what} allows: write fewer at once, or raise the bound"
        );
        Err(ClientError::new(ErrorCode::OUT_OF_ROOM, message).into())
    }
}

/// What was written is not what was chosen; nothing is changed then.
fn untold(chosen: &Chosen) -> ProxyError {
    ClientError::not_supported(&format!(
        "LIMIT with ORDER BY of the table {} where writing one of the rows changes which others there are",
        chosen.table
    ))
    .into()
}
