//! Answers that the proxy gives itself, in the place that the command's answer has in the client's stream.

use bytes::BytesMut;
use podway_router::SqlMode;
use podway_wire::{
    CapabilityFlags, Cell, ColumnDefinition, ErrPacket, OkPacket, ResultSet, RowFormat, StatusFlags,
    write_packet,
};

use super::core::Session;
use crate::error::ProxyError;

/// A column of an answer that the proxy makes.
pub struct Column {
    /// Its header.
    pub name: &'static str,
    /// Whether it is a number.
    pub is_number: bool,
    /// Its width in characters.
    pub length: u32,
}

impl Session {
    /// The status flags of an answer that the proxy makes.
    pub(super) fn status(&self) -> StatusFlags {
        let mut status = StatusFlags::empty();
        status.set(StatusFlags::SERVER_STATUS_AUTOCOMMIT, self.state.autocommit);
        status.set(StatusFlags::SERVER_STATUS_IN_TRANS, self.state.transaction.is_open());
        // Clients go by this flag when they escape values.
        let is_plain = self.state.lexical.sql_mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
        status.set(StatusFlags::SERVER_STATUS_NO_BACKSLASH_ESCAPES, is_plain);
        status.set(StatusFlags::SERVER_MORE_RESULTS_EXISTS, self.place.more_follows);
        status
    }

    /// Answers OK.
    pub(super) async fn reply_ok(&mut self) -> Result<(), ProxyError> {
        self.reply_ok_with(OkPacket::default()).await
    }

    /// Answers OK with these numbers; the status is the session's.
    pub(super) async fn reply_ok_with(&mut self, ok: OkPacket) -> Result<(), ProxyError> {
        if let Some(kept) = &mut self.kept_answer {
            *kept = ok;
            return Ok(());
        }
        let mut payload = Vec::new();
        let mut ok = ok;
        self.state.own.tell(&mut ok.session_track);
        OkPacket { status: self.status(), ..ok }.encode(self.capabilities, &mut payload);
        self.reply_packet(&payload).await
    }

    /// Answers with an error.
    pub(super) async fn reply_error(&mut self, error: &ErrPacket) -> Result<(), ProxyError> {
        let mut payload = Vec::new();
        error.encode(self.capabilities, &mut payload);
        self.reply_packet(&payload).await
    }

    /// Answers with one packet.
    pub(super) async fn reply_packet(&mut self, payload: &[u8]) -> Result<(), ProxyError> {
        let mut out = BytesMut::with_capacity(payload.len() + podway_wire::HEADER);
        write_packet(&mut out, &mut self.place.sequence, payload);
        self.client.send(&out).await.map_err(ProxyError::ClientGone)
    }

    /// Answers with rows.
    pub(super) async fn reply_rows(
        &mut self,
        columns: &[Column],
        rows: &[Vec<Cell<'_>>],
    ) -> Result<(), ProxyError> {
        let columns: Vec<ColumnDefinition> = columns.iter().map(definition).collect();
        self.reply_result(&columns, rows).await
    }

    /// Answers with rows under these columns.
    pub(super) async fn reply_result(
        &mut self,
        columns: &[ColumnDefinition],
        rows: &[Vec<Cell<'_>>],
    ) -> Result<(), ProxyError> {
        let result = ResultSet { columns, rows, status: self.status(), warnings: 0 };
        let format = if self.place.binary { RowFormat::Binary } else { RowFormat::Text };
        let mut out = BytesMut::new();
        result.write(&mut out, &mut self.place.sequence, self.capabilities, format);
        self.client.send(&out).await.map_err(ProxyError::ClientGone)
    }
}

fn definition(column: &Column) -> ColumnDefinition {
    let shape = if column.is_number {
        ColumnDefinition::uint(column.name)
    } else {
        ColumnDefinition::text(column.name)
    };
    ColumnDefinition { length: column.length * if column.is_number { 1 } else { 4 }, ..shape }
}

/// What of the server's capabilities clients are offered.
pub fn offered(tls: bool) -> CapabilityFlags {
    let mut flags = crate::execute::PASSED_ON
        | CapabilityFlags::CLIENT_LONG_PASSWORD
        | CapabilityFlags::CLIENT_LONG_FLAG
        | CapabilityFlags::CLIENT_CONNECT_WITH_DB
        | CapabilityFlags::CLIENT_ODBC
        | CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_INTERACTIVE
        | CapabilityFlags::CLIENT_TRANSACTIONS
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_MULTI_STATEMENTS
        | CapabilityFlags::CLIENT_PLUGIN_AUTH
        | CapabilityFlags::CLIENT_CONNECT_ATTRS
        | CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;
    flags.set(CapabilityFlags::CLIENT_SSL, tls);
    flags
}
