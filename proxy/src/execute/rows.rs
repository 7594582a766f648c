//! The rows of one statement on one connection, one at a time: for answers that the proxy has to look into. Reads no more than it is asked for, so that a slow reader
//! slows the server down.

use bytes::{Buf, Bytes};
use podway_wire::{
    ErrPacket, HEADER, MAX_PAYLOAD, PacketEvent, PacketRole, ResponseKind, ResponseTracker, Summary,
};

use super::forward::sequence_of_answer;
use crate::backend::BackendConnection;
use crate::error::{ClientError, ProxyError};

/// A statement's answer as it comes.
pub struct RowStream {
    backend: Box<BackendConnection>,
    tracker: ResponseTracker,
    columns: Vec<Bytes>,
    /// A row that was read to see whether the statement runs at all.
    first: Option<Bytes>,
    is_done: bool,
}

impl RowStream {
    /// Sends a command (headers included) on a connection that is at rest: COM_QUERY, or COM_STMT_EXECUTE without a cursor.
    pub async fn send(
        mut backend: Box<BackendConnection>,
        packets: &[u8],
        kind: ResponseKind,
    ) -> Result<RowStream, ProxyError> {
        backend.send(packets).await?;
        let tracker = ResponseTracker::new(kind, backend.capabilities(), sequence_of_answer(packets));
        Ok(RowStream { backend, tracker, columns: Vec::new(), first: None, is_done: false })
    }

    /// Waits until the statement has given its columns, and its first row or its end.
    pub async fn begin(&mut self) -> Result<(), ProxyError> {
        self.first = self.next().await?;
        Ok(())
    }

    /// The columns' definitions, as the server sent them.
    pub fn columns(&self) -> &[Bytes] {
        &self.columns
    }

    /// The next row's payload; `None` at the end. After an error of the server the connection is at rest. Safe to cancel.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ProxyError> {
        if let Some(row) = self.first.take() {
            return Ok(Some(row));
        }
        while !self.is_done {
            let event = self
                .tracker
                .next_packet(&self.backend.input)
                .map_err(|error| self.backend.surprise(error))?;
            let Some(PacketEvent { total, role, last }) = event else {
                self.backend.read_some().await?;
                continue;
            };
            let mut packet = self.backend.input.split_to(total);
            packet.advance(HEADER);
            if last {
                self.end()?;
            }
            match role {
                PacketRole::Row if packet.len() < MAX_PAYLOAD => return Ok(Some(packet.freeze())),
                PacketRole::ColumnDefinition => self.columns.push(packet.freeze()),
                PacketRole::Err => {
                    let refused = ErrPacket::decode(&packet).map_err(|error| self.backend.surprise(error))?;
                    return Err(ProxyError::Server(refused));
                }
                // The connection is in the middle of an answer, and is closed for that.
                PacketRole::Row | PacketRole::RowContinuation => {
                    return Err(ClientError::not_supported("a row over 16 MiB over several shards").into());
                }
                PacketRole::LocalInfile => return Err(self.backend.surprise("it asks for a file")),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Reads to the answer's end, which is wanted for the connection's sake alone.
    pub async fn read_out(&mut self) {
        while !self.is_done && matches!(self.next().await, Ok(Some(_)) | Err(ProxyError::Client(_))) {}
    }

    fn end(&mut self) -> Result<(), ProxyError> {
        self.is_done = true;
        if !self.backend.input.is_empty() {
            return Err(self.backend.surprise("bytes behind the end of an answer"));
        }
        let summary = self.tracker.summary();
        self.backend.answered(summary.has_status.then_some(summary.status));
        Ok(())
    }

    /// The server's error with which the connection is of no more use.
    pub fn surprise(&self, reason: impl ToString) -> ProxyError {
        self.backend.surprise(reason)
    }

    /// The connection, and what the server said at the end; in the middle of an answer the connection is good for nothing but to be closed.
    pub fn into_parts(self) -> (Box<BackendConnection>, Summary) {
        (self.backend, self.tracker.into_summary())
    }
}
