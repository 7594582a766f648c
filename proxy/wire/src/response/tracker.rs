//! The walk through an answer: over whole buffers, or packet by packet.
//!
//! Next: [`super::phase`] for what may stand where.

use mysql_common::constants::{CapabilityFlags, StatusFlags};

use super::answer::{
    Event, MAX_COLUMNS, MAX_SESSION_TRACK, PacketEvent, PacketRole, Progress, ProtocolError, ResponseKind,
    Summary,
};
use super::phase::Phase;
use crate::codec::Cursor;
use crate::frame::{HEADER, Header, MAX_PAYLOAD};
use crate::packets::eof::EofPacket;
use crate::packets::err::ErrPacket;
use crate::packets::ok::OkView;
use crate::packets::prepare::PrepareOk;

/// Follows the answer to one command.
///
/// Either [`feed`](Self::feed) it whatever has arrived, or step with [`next_packet`](Self::next_packet); the two may
/// alternate wherever `feed` stopped at a packet's end. After an error the connection is beyond use.
#[derive(Debug, Clone)]
pub struct ResponseTracker {
    kind: ResponseKind,
    capabilities: CapabilityFlags,
    phase: Phase,
    seq: u8,
    /// Bytes of the current packet that are still to come, and say nothing.
    skip: usize,
    /// The EOF before the rows of OUT parameters says that a result follows them; the one after them forgets to.
    out_params: bool,
    summary: Summary,
}

impl ResponseTracker {
    /// Waits for the answer on a connection that agreed on `capabilities`; its first packet is numbered `first_seq`, which is
    /// 1 after a command of one physical packet.
    pub fn new(kind: ResponseKind, capabilities: CapabilityFlags, first_seq: u8) -> Self {
        let phase = Phase::first_of(kind);
        let summary = Summary::default();
        ResponseTracker { kind, capabilities, phase, seq: first_seq, skip: 0, out_params: false, summary }
    }

    /// Walks on. `buf` starts where the last call's `consumed` ended; what lies behind the answer's end is never consumed.
    pub fn feed(&mut self, buf: &[u8]) -> Result<Progress, ProtocolError> {
        let mut at = 0;
        loop {
            if self.phase == Phase::Rows && self.skip == 0 {
                at = self.skip_rows(buf, at)?;
            }
            let passed = self.skip.min(buf.len() - at);
            self.skip -= passed;
            at += passed;
            if self.skip > 0 {
                return Ok(Progress { consumed: at, event: Event::More });
            }
            if self.phase == Phase::Done {
                return Ok(Progress { consumed: at, event: Event::Done });
            }
            let Some((header, role)) = self.look(&buf[at..])? else {
                return Ok(Progress { consumed: at, event: Event::More });
            };
            let body = buf[at + HEADER..].get(..header.len);
            if body.is_none() && !role.may_pass_unread() {
                return Ok(Progress { consumed: at, event: Event::More });
            }
            self.pass(header, role, body.unwrap_or_default())?;
            at += HEADER;
            self.skip = header.len;
            if role == PacketRole::LocalInfile {
                self.skip = 0;
                return Ok(Progress { consumed: at + header.len, event: Event::LocalInfile });
            }
        }
    }

    /// Passes over exactly one whole physical packet at the start of `buf`. `None`: it has not all arrived.
    pub fn next_packet(&mut self, buf: &[u8]) -> Result<Option<PacketEvent>, ProtocolError> {
        if self.skip > 0 || self.phase == Phase::Done {
            return Err(ProtocolError::OutOfOrder);
        }
        let Some((header, role)) = self.look(buf)? else { return Ok(None) };
        let Some(body) = buf[HEADER..].get(..header.len) else { return Ok(None) };
        self.pass(header, role, body)?;
        Ok(Some(PacketEvent { total: HEADER + header.len, role, last: self.phase == Phase::Done }))
    }

    /// Goes on after the client's file has been sent; the server's next packet is numbered `next_seq`.
    pub fn resume_after_infile(&mut self, next_seq: u8) {
        if self.phase == Phase::Infile {
            self.phase = Phase::First;
            self.seq = next_seq;
        }
    }

    /// Whether the answer is complete.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done && self.skip == 0
    }

    /// The sequence number that the server's next packet must have; the packets of a file start with it.
    pub fn next_seq(&self) -> u8 {
        self.seq
    }

    /// What became of the statement.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The summary, kept.
    pub fn into_summary(self) -> Summary {
        self.summary
    }

    /// The loop over small rows: stops at the first packet that is not plainly a row, or where the bytes end.
    #[inline]
    fn skip_rows(&mut self, buf: &[u8], mut at: usize) -> Result<usize, ProtocolError> {
        let (mut seq, mut rows) = (self.seq, 0);
        while let Some(&[a, b, c, found, first]) = buf.get(at..).and_then(<[u8]>::first_chunk) {
            let len = u32::from_le_bytes([a, b, c, 0]) as usize;
            if len == 0 || len == MAX_PAYLOAD || first >= EofPacket::HEADER || found != seq {
                break;
            }
            rows += 1;
            seq = seq.wrapping_add(1);
            at += HEADER + len;
        }
        self.seq = seq;
        self.summary.rows += rows;
        self.skip = at.saturating_sub(buf.len());
        Ok(at.min(buf.len()))
    }

    /// What the packet at the start of `buf` is; `None` while too little of it is there to tell.
    fn look(&self, buf: &[u8]) -> Result<Option<(Header, PacketRole)>, ProtocolError> {
        let Some(header) = Header::read(buf) else { return Ok(None) };
        if header.seq != self.seq {
            return Err(ProtocolError::WrongSequence { expected: self.seq, found: header.seq });
        }
        let first = buf.get(HEADER).copied().filter(|_| header.len > 0);
        if first.is_none() && header.len > 0 {
            return Ok(None);
        }
        self.phase.role(header.len, first, self.deprecates_eof()).map(|role| Some((header, role)))
    }

    /// Takes note of a packet; `body` is all of it unless its role may pass unread.
    fn pass(&mut self, header: Header, role: PacketRole, body: &[u8]) -> Result<(), ProtocolError> {
        self.seq = self.seq.wrapping_add(1);
        self.phase = match role {
            PacketRole::Row => {
                self.summary.rows += 1;
                row_phase(header)
            }
            PacketRole::RowContinuation => row_phase(header),
            PacketRole::ColumnDefinition | PacketRole::ParamDefinition => self.after_definition(),
            PacketRole::ColumnCount => self.after_column_count(body)?,
            PacketRole::MidEof => self.after_mid_eof(body)?,
            PacketRole::Ok => self.after_ok(body)?,
            PacketRole::End => self.after_rows(body)?,
            PacketRole::PrepareOk => self.after_prepare_ok(body)?,
            PacketRole::LocalInfile => Phase::Infile,
            PacketRole::Statistics => Phase::Done,
            PacketRole::Err => {
                let (code, state, _) = ErrPacket::parts(body)?;
                self.summary.error = Some((code, state));
                self.summary.error_bytes = HEADER + header.len;
                Phase::Done
            }
        };
        self.summary.next_seq = self.seq;
        Ok(())
    }

    fn after_column_count(&mut self, body: &[u8]) -> Result<Phase, ProtocolError> {
        let mut cursor = Cursor::new(body);
        let left = cursor.lenenc_int("number of columns")?;
        cursor.finish()?;
        if left > MAX_COLUMNS {
            return Err(ProtocolError::OversizeMetadata { len: left as usize });
        }
        self.summary.rows = 0;
        self.summary.result_sets = true;
        Ok(Phase::Columns { left })
    }

    fn after_definition(&self) -> Phase {
        let eof = !self.deprecates_eof();
        match self.phase {
            Phase::Columns { left: 1 } if eof => Phase::ColumnsEof,
            Phase::Columns { left: 1 } => Phase::Rows,
            Phase::Columns { left } => Phase::Columns { left: left - 1 },
            Phase::Params { left: 1, columns } if eof => Phase::ParamsEof { columns },
            Phase::Params { left: 1, columns } => prepared_columns(columns),
            Phase::Params { left, columns } => Phase::Params { left: left - 1, columns },
            Phase::PrepareColumns { left: 1 } if eof => Phase::PrepareColumnsEof,
            Phase::PrepareColumns { left: 1 } => Phase::Done,
            Phase::PrepareColumns { left } => Phase::PrepareColumns { left: left - 1 },
            other => other,
        }
    }

    fn after_mid_eof(&mut self, body: &[u8]) -> Result<Phase, ProtocolError> {
        let eof = EofPacket::decode(body)?;
        Ok(match self.phase {
            Phase::ParamsEof { columns } => prepared_columns(columns),
            Phase::PrepareColumnsEof => Phase::Done,
            // With a cursor the rows stay on the server, and this EOF is the answer's last.
            _ if self.kind == ResponseKind::Execute
                && eof.status.contains(StatusFlags::SERVER_STATUS_CURSOR_EXISTS) =>
            {
                self.after_result(eof.status, eof.warnings, true)
            }
            _ => {
                self.out_params = eof.status.contains(StatusFlags::SERVER_PS_OUT_PARAMS);
                Phase::Rows
            }
        })
    }

    fn after_ok(&mut self, body: &[u8]) -> Result<Phase, ProtocolError> {
        let ok = OkView::read(body, self.capabilities)?;
        self.keep_session_track(ok.session_track);
        let next = self.after_result(ok.status, ok.warnings, false);
        self.summary.affected_rows = ok.affected_rows;
        self.summary.last_insert_id = ok.last_insert_id;
        Ok(next)
    }

    /// The shortest OK is longer than any EOF, so both are understood whatever was agreed on.
    fn after_rows(&mut self, body: &[u8]) -> Result<Phase, ProtocolError> {
        const SHORTEST_OK: usize = 7;
        let has_rows = self.kind != ResponseKind::Simple;
        if body.len() < SHORTEST_OK {
            let eof = EofPacket::decode(body)?;
            return Ok(self.after_result(eof.status, eof.warnings, has_rows));
        }
        let ok = OkView::read(body, self.capabilities)?;
        self.keep_session_track(ok.session_track);
        Ok(self.after_result(ok.status, ok.warnings, has_rows))
    }

    fn after_prepare_ok(&mut self, body: &[u8]) -> Result<Phase, ProtocolError> {
        let prepared = PrepareOk::decode(body)?;
        self.summary.prepared = Some(prepared);
        self.summary.warnings = prepared.warnings;
        let PrepareOk { columns, params, .. } = prepared;
        Ok(match params {
            0 => prepared_columns(columns),
            left => Phase::Params { left, columns },
        })
    }

    fn after_result(&mut self, status: StatusFlags, warnings: u16, has_rows: bool) -> Phase {
        let several = matches!(self.kind, ResponseKind::Query | ResponseKind::Execute);
        let summary = &mut self.summary;
        summary.status = status;
        summary.has_status = true;
        summary.warnings = warnings;
        summary.ends_in_rows = has_rows;
        summary.affected_rows = 0;
        summary.last_insert_id = 0;
        let more = status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS) || self.out_params;
        self.out_params = false;
        match several && more {
            true => Phase::First,
            false => Phase::Done,
        }
    }

    fn keep_session_track(&mut self, entries: &[u8]) {
        if self.summary.session_track.len() + entries.len() > MAX_SESSION_TRACK {
            self.summary.session_track_lost = true;
            return;
        }
        self.summary.session_track.extend_from_slice(entries);
    }

    fn deprecates_eof(&self) -> bool {
        self.capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF)
    }
}

fn row_phase(header: Header) -> Phase {
    match header.len == MAX_PAYLOAD {
        true => Phase::RowRest,
        false => Phase::Rows,
    }
}

fn prepared_columns(columns: u16) -> Phase {
    match columns {
        0 => Phase::Done,
        left => Phase::PrepareColumns { left },
    }
}
