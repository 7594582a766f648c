//! Preparing statements on a connection, within its own bound and its server's.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use podway_wire::{Command, HEADER, PacketEvent, PacketRole, PrepareOk, ResponseKind, ResponseTracker};

use super::connection::BackendConnection;
use super::statements::{BackendStatement, Description};
use crate::error::{ClientError, ErrorCode, ProxyError};

impl BackendConnection {
    /// The statement with this text, if it is prepared here. `key` is a hash of the text and of all that changes its meaning.
    pub fn prepared(&mut self, key: u64, text: &[u8]) -> Option<&mut BackendStatement> {
        self.statements.clock += 1;
        let now = self.statements.clock;
        let statement = self.statements.by_text.get_mut(&key).filter(|statement| statement.text == text)?;
        statement.used = now;
        Some(statement)
    }

    /// Gives a statement that was prepared here as `from`, and never executed, to `to`.
    pub fn hand_over(&mut self, from: u64, to: u64, text: &[u8]) {
        let by_text = &mut self.statements.by_text;
        let is_free = by_text.get(&from).is_some_and(|statement| !statement.bound && statement.text == text);
        if is_free
            && !by_text.contains_key(&to)
            && let Some(statement) = by_text.remove(&from)
        {
            by_text.insert(to, statement);
        }
    }

    /// The server's id of a statement that is about to be bound, prepared first if this connection does not know it yet.
    pub async fn ready(&mut self, key: u64, text: &Bytes) -> Result<u32, ProxyError> {
        if self.prepared(key, text).is_none() {
            self.prepare(key, text.clone()).await?;
        }
        let Some(prepared) = self.prepared(key, text) else {
            return Err(self.surprise("a statement that was just prepared is not there"));
        };
        prepared.bound = true;
        Ok(prepared.id)
    }

    /// Prepares a statement here, making room for it where the budgets are used up.
    pub async fn prepare(&mut self, key: u64, text: Bytes) -> Result<Description, ProxyError> {
        self.make_room(key).await?;
        let payload = [&[Command::COM_STMT_PREPARE as u8], &text[..]].concat();
        let answer = self.exchange(&payload, ResponseKind::Prepare).await;
        let answer = answer.inspect_err(|_| {
            self.endpoint().statements.fetch_sub(1, Relaxed);
        })?;
        match self.read_description(&answer) {
            Ok((id, description)) => {
                self.statements.clock += 1;
                let used = self.statements.clock;
                self.statements.by_text.insert(
                    key,
                    BackendStatement {
                        text,
                        id,
                        bound: false,
                        has_cursor: false,
                        description: description.clone(),
                        used,
                    },
                );
                Ok(description)
            }
            Err(error) => {
                self.endpoint().statements.fetch_sub(1, Relaxed);
                Err(error)
            }
        }
    }

    /// Takes a place in the server's budget, giving up older statements for it.
    async fn make_room(&mut self, key: u64) -> Result<(), ProxyError> {
        let limits = self.endpoint().limits.clone();
        // Another text with the same hash has to go: one key stands for one statement.
        if self.statements.by_text.contains_key(&key) {
            self.close_statement(key).await?;
        }
        if self.statements.len() >= limits.max_statements_per_connection {
            self.close_least_used().await?;
        }
        let endpoint = self.endpoint().clone();
        while endpoint.statements.fetch_add(1, Relaxed) >= limits.max_statements {
            endpoint.statements.fetch_sub(1, Relaxed);
            if !self.close_least_used().await? && !self.owner().is_some_and(|owner| owner.evict_statements())
            {
                let message = format!(
                    "Can't create more than backend.max_statements statements on MySQL server {} (current value: {})",
                    endpoint.address, limits.max_statements
                );
                return Err(ClientError::new(ErrorCode::TOO_MANY_STATEMENTS, message).into());
            }
        }
        Ok(())
    }

    async fn close_least_used(&mut self) -> Result<bool, ProxyError> {
        match self.statements.least_used() {
            Some(key) => self.close_statement(key).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Forgets a statement; COM_STMT_CLOSE has no answer.
    pub async fn close_statement(&mut self, key: u64) -> Result<(), ProxyError> {
        let Some(statement) = self.statements.forget(key) else { return Ok(()) };
        let mut packet = vec![5, 0, 0, 0, Command::COM_STMT_CLOSE as u8];
        packet.extend_from_slice(&statement.id.to_le_bytes());
        self.write(&packet).await
    }

    fn read_description(&self, answer: &[u8]) -> Result<(u32, Description), ProxyError> {
        let capabilities = self.capabilities();
        let first = podway_wire::Header::read(answer).map_or(1, |header| header.seq);
        let mut tracker = ResponseTracker::new(ResponseKind::Prepare, capabilities, first);
        let mut description = Description::default();
        let (mut id, mut rest) = (0, answer);
        while let Some(PacketEvent { total, role, last }) =
            tracker.next_packet(rest).map_err(|error| self.surprise(error))?
        {
            let body = &rest[HEADER..total];
            match role {
                PacketRole::Err => {
                    let refused =
                        podway_wire::ErrPacket::decode(body).map_err(|error| self.surprise(error))?;
                    return Err(ProxyError::Server(refused));
                }
                PacketRole::PrepareOk => {
                    let ok = PrepareOk::decode(body).map_err(|error| self.surprise(error))?;
                    id = ok.statement_id;
                    description.warnings = ok.warnings;
                }
                PacketRole::ParamDefinition => description.params.push(Bytes::copy_from_slice(body)),
                PacketRole::ColumnDefinition => description.columns.push(Bytes::copy_from_slice(body)),
                _ => {}
            }
            rest = &rest[total..];
            if last {
                break;
            }
        }
        Ok((id, description))
    }
}
