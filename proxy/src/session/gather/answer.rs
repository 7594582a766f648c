//! Writing a gathered answer: the columns' definitions, rows in the protocol that the client asked for, the end; or an error behind the rows that are out.

use bytes::BytesMut;
use podway_wire::codec::put_lenenc_int;
use podway_wire::{
    CapabilityFlags, ColumnDefinition, EofPacket, HEADER, decode_text_row, encode_end, put_binary_row,
    write_packet,
};

use super::super::core::Session;
use crate::error::{ClientError, ErrorCode, ProxyError};

/// How much output is collected before it is sent.
const OUTPUT_CHUNK: usize = 32 << 10;

/// An answer on its way to the client.
pub(crate) struct Answer {
    out: BytesMut,
    payload: Vec<u8>,
    columns: Vec<ColumnDefinition>,
    /// Whether rows of the text protocol are to be rows of the binary one.
    converts: bool,
    /// Whether its rows are counted only.
    is_measured: bool,
    /// Bytes of rows so far.
    pub(super) bytes: u64,
    /// Whether the client has been sent a part of it: the statement cannot be tried again.
    has_begun: bool,
    /// Rows so far.
    pub(super) rows: u64,
    /// The number of the first packet that the client has not been sent, which an error in its place has too.
    unsent: u8,
}

impl Answer {
    pub(crate) fn of(columns: Vec<ColumnDefinition>, session: &Session, is_bound: bool) -> Answer {
        let (out, payload) = (BytesMut::new(), Vec::new());
        Answer {
            out,
            payload,
            columns,
            converts: session.place.binary && !is_bound,
            is_measured: session.measures.is_some(),
            bytes: 0,
            has_begun: false,
            rows: 0,
            unsent: session.place.sequence,
        }
    }

    /// An error in the place of what the client has not been sent: behind the rows that it has it ends the result, as MySQL's own do. Nothing is tried again then.
    pub(crate) fn cut_off(&self, error: ProxyError, session: &mut Session) -> ProxyError {
        session.place.sequence = self.unsent;
        match error {
            ProxyError::BackendUnusable { server, reason } if self.has_begun => {
                ProxyError::BackendLost { server, reason }
            }
            error @ ProxyError::ShardMoved(_) if self.has_begun => {
                ClientError::new(ErrorCode::TRY_AGAIN, error.to_string()).into()
            }
            error => error,
        }
    }
}

impl Session {
    pub(crate) fn put_columns(&mut self, answer: &mut Answer) {
        if let Some(captured) = &mut self.captured {
            return captured.begin(&answer.columns);
        }
        if answer.is_measured {
            return;
        }
        let sequence = &mut self.place.sequence;
        answer.payload.clear();
        put_lenenc_int(&mut answer.payload, answer.columns.len() as u64);
        write_packet(&mut answer.out, sequence, &answer.payload);
        for column in &answer.columns {
            answer.payload.clear();
            column.encode(&mut answer.payload);
            write_packet(&mut answer.out, sequence, &answer.payload);
        }
        if !self.capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF) {
            answer.payload.clear();
            let status = self.status();
            EofPacket { warnings: 0, status }.encode(&mut answer.payload);
            write_packet(&mut answer.out, &mut self.place.sequence, &answer.payload);
        }
    }

    /// Adds a row, and sends what has come together where that is much.
    pub(crate) async fn put_row(&mut self, answer: &mut Answer, row: &[u8]) -> Result<(), ProxyError> {
        answer.rows += 1;
        if let Some(captured) = &mut self.captured {
            return captured.take(row);
        }
        answer.bytes += row.len() as u64;
        if answer.is_measured {
            return Ok(());
        }
        if !answer.converts {
            write_packet(&mut answer.out, &mut self.place.sequence, row);
        } else {
            answer.payload.clear();
            let cells: Result<Vec<Option<&[u8]>>, _> = decode_text_row(row).collect();
            let put = cells
                .and_then(|cells| put_binary_row(&answer.columns, cells.into_iter(), &mut answer.payload));
            put.map_err(|error| {
                let message = format!("A shard's row does not fit its columns: {error}");
                ClientError::new(ErrorCode::UNKNOWN, message)
            })?;
            write_packet(&mut answer.out, &mut self.place.sequence, &answer.payload);
        }
        if answer.out.len() >= OUTPUT_CHUNK {
            self.send_answer(answer).await?;
        }
        Ok(())
    }

    pub(crate) async fn put_end(&mut self, answer: &mut Answer, warnings: usize) -> Result<(), ProxyError> {
        if self.captured.is_some() {
            return Ok(());
        }
        if answer.is_measured {
            return Ok(());
        }
        answer.payload.clear();
        let warnings = u16::try_from(warnings).unwrap_or(u16::MAX);
        encode_end(self.capabilities, self.status(), warnings, &mut answer.payload);
        write_packet(&mut answer.out, &mut self.place.sequence, &answer.payload);
        self.send_answer(answer).await
    }

    async fn send_answer(&mut self, answer: &mut Answer) -> Result<(), ProxyError> {
        debug_assert!(answer.out.len() >= HEADER, "an answer is never empty");
        answer.has_begun = true;
        self.client.send(&answer.out).await.map_err(ProxyError::ClientGone)?;
        answer.out.clear();
        answer.unsent = self.place.sequence;
        Ok(())
    }
}
