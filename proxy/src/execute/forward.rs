//! The hot path: send a command, copy its answer's packets to the client, never look into a row.
//!
//! One task drives both connections. While the server works it watches the client: one that has left takes its work with it (the backend
//! connection is dropped in the middle of a command, which ends its thread). An error is not passed on but returned: the
//! session may know better, and tells of it behind what was passed on before.

use bytes::{Buf, BytesMut};
use podway_wire::{
    CapabilityFlags, ErrPacket, Event, HEADER, Header, PacketRole, ResponseKind, ResponseTracker, Summary,
};

use super::rewriting::{Progress, Rewriting};
use crate::backend::BackendConnection;
use crate::client::ClientStream;
use crate::error::ProxyError;

/// How much changed output is collected before it is sent.
const OUTPUT_CHUNK: usize = 32 << 10;

/// What is sent to the server: packets, headers included.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// The client's command as it came: the first bytes of its buffer.
    AsReceived(usize),
    /// Packets made for the purpose.
    Packets(&'a [u8]),
}

/// One command's way from the client to the server and back.
pub struct Forward<'a> {
    /// The client.
    pub client: &'a mut ClientStream,
    /// How many bytes of the client's buffer are the command at work; what follows are later commands.
    pub command_bytes: &'a mut usize,
    /// The server.
    pub backend: &'a mut BackendConnection,
    /// What shape the answer has.
    pub kind: ResponseKind,
    /// What changes in the answer.
    pub rewriting: Rewriting,
    /// Whether the client has been sent a part of the answer: an error can no longer be told in its place.
    pub begun: bool,
    /// The number of the client's next packet, once a part of the answer has been sent and an error is to be told behind it.
    pub next_seq: u8,
}

impl Forward<'_> {
    /// Sends the request and passes on the answer. A server's error is not passed on but returned; what stands before it has been sent to the client then.
    pub async fn run(&mut self, request: Request<'_>) -> Result<Summary, ProxyError> {
        let sent = match request {
            Request::AsReceived(bytes) => &self.client.input[..bytes],
            Request::Packets(packets) => packets,
        };
        let first = sequence_of_answer(sent);
        self.backend.send(sent).await?;
        let tracker = ResponseTracker::new(self.kind, self.backend.capabilities(), first);
        let answer =
            if self.rewriting.is_none(first) { self.copy(tracker).await } else { self.change(tracker).await };
        let summary = match answer {
            Err(error @ (ProxyError::BackendLost { .. } | ProxyError::BackendUnusable { .. }))
                if self.begun =>
            {
                // Half an answer is out: an error packet would be read as a part of it.
                return Err(ProxyError::ClientGone(std::io::Error::other(format!(
                    "its answer was cut off: {error}"
                ))));
            }
            answer => answer?,
        };
        if !self.backend.input.is_empty() {
            return Err(self.backend.surprise("bytes behind the end of an answer"));
        }
        Ok(summary)
    }

    /// Copies the answer's bytes.
    async fn copy(&mut self, mut tracker: ResponseTracker) -> Result<Summary, ProxyError> {
        loop {
            self.read().await?;
            let progress = tracker.feed(&self.backend.input).map_err(|error| self.backend.surprise(error))?;
            // An error is the last packet, and was taken whole.
            let is_refused = tracker.summary().error.is_some() && matches!(progress.event, Event::Done);
            let error_bytes = if is_refused { tracker.summary().error_bytes } else { 0 };
            let passed_on = progress.consumed - error_bytes;
            if passed_on > 0 {
                self.begun = true;
                self.client.send(&self.backend.input[..passed_on]).await.map_err(ProxyError::ClientGone)?;
                self.backend.input.advance(passed_on);
            }
            if is_refused {
                self.next_seq = tracker.next_seq().wrapping_sub(1);
                return Err(self.refusal(error_bytes));
            }
            match progress.event {
                Event::More => {}
                Event::Done => break,
                Event::LocalInfile => {
                    let next = self.relay_file(0).await?;
                    tracker.resume_after_infile(next);
                }
            }
        }
        Ok(self.ended(&tracker))
    }

    /// Passes on the answer packet by packet, changed.
    async fn change(&mut self, mut tracker: ResponseTracker) -> Result<Summary, ProxyError> {
        let mut out = BytesMut::new();
        let mut state = Progress {
            sequence: self.rewriting.first_sequence,
            columns: 0,
            capabilities: self.backend.capabilities(),
        };
        loop {
            let event =
                tracker.next_packet(&self.backend.input).map_err(|error| self.backend.surprise(error))?;
            let Some(event) = event else {
                self.flush(&mut out).await?;
                self.read().await?;
                continue;
            };
            if event.role == PacketRole::Err {
                self.flush(&mut out).await?;
                self.next_seq = state.sequence;
                return Err(self.refusal(event.total));
            }
            self.begun = true;
            let raw = &self.backend.input[..event.total];
            let changed = self.rewriting.packet(raw, event, &mut state, &mut out);
            changed.map_err(|error| self.backend.surprise(error))?;
            self.backend.input.advance(event.total);
            if event.role == PacketRole::LocalInfile {
                self.flush(&mut out).await?;
                let ahead = state.sequence.wrapping_sub(tracker.next_seq());
                let next = self.relay_file(ahead).await?;
                tracker.resume_after_infile(next);
                state.sequence = next.wrapping_add(ahead);
            }
            if event.last {
                break;
            }
            if out.len() >= OUTPUT_CHUNK {
                self.flush(&mut out).await?;
            }
        }
        self.flush(&mut out).await?;
        let mut summary = self.ended(&tracker);
        summary.next_seq = state.sequence;
        Ok(summary)
    }

    async fn flush(&mut self, out: &mut BytesMut) -> Result<(), ProxyError> {
        if !out.is_empty() {
            self.client.send(out).await.map_err(ProxyError::ClientGone)?;
            out.clear();
        }
        Ok(())
    }

    fn ended(&mut self, tracker: &ResponseTracker) -> Summary {
        let summary = tracker.summary().clone();
        self.backend.answered(summary.has_status.then_some(summary.status));
        summary
    }

    /// Reads from the server, watching the client.
    async fn read(&mut self) -> Result<(), ProxyError> {
        tokio::select! {
            biased;
            read = self.backend.read_some() => read,
            error = self.client.gone(*self.command_bytes) => Err(ProxyError::ClientGone(error)),
        }
    }

    /// Takes the error packet at the head of the input.
    fn refusal(&mut self, bytes: usize) -> ProxyError {
        let decoded = ErrPacket::decode(&self.backend.input[HEADER..bytes]);
        match decoded {
            Ok(mut refused) => {
                self.backend.input.advance(bytes);
                if !self.backend.input.is_empty() {
                    return self.backend.surprise("bytes behind an error");
                }
                self.backend.answered(None);
                if let Some(names) = &self.rewriting.names {
                    refused.message = names.text(&refused.message);
                }
                ProxyError::Server(refused)
            }
            Err(error) => self.backend.surprise(error),
        }
    }

    /// Passes a file from the client to the server, up to the empty packet that ends it. `ahead` is by how much the client's sequence
    /// numbers are ahead of the server's. Returns the sequence number of the server's next packet.
    async fn relay_file(&mut self, ahead: u8) -> Result<u8, ProxyError> {
        // The command is done with; what follows it in the buffer is the file.
        self.client.consume(std::mem::take(self.command_bytes));
        loop {
            while self.client.input.len() < HEADER {
                self.client.read_some().await.map_err(ProxyError::ClientGone)?;
            }
            let Some(header) = Header::read(&self.client.input) else { continue };
            let sequence = header.seq.wrapping_sub(ahead);
            let length = &self.client.input[..HEADER - 1];
            let head = [length[0], length[1], length[2], sequence];
            self.backend.write(&head).await?;
            self.client.input.advance(HEADER);
            let mut left = header.len;
            while left > 0 {
                if self.client.input.is_empty() {
                    self.client.read_some().await.map_err(ProxyError::ClientGone)?;
                }
                let chunk = left.min(self.client.input.len());
                self.backend.write(&self.client.input[..chunk]).await?;
                self.client.input.advance(chunk);
                left -= chunk;
            }
            if header.len == 0 {
                return Ok(sequence.wrapping_add(1));
            }
        }
    }
}

/// The sequence number of the answer's first packet: a command of over 16 MiB goes in several packets, and the answer counts on.
pub fn sequence_of_answer(mut packets: &[u8]) -> u8 {
    let mut sequence = 0;
    while let Some(header) = Header::read(packets) {
        sequence = header.seq;
        packets = packets.get(HEADER + header.len..).unwrap_or_default();
    }
    sequence.wrapping_add(1)
}

/// What of a client's capabilities the server has to know, so that its answers can be copied.
pub const PASSED_ON: CapabilityFlags = CapabilityFlags::from_bits_truncate(
    CapabilityFlags::CLIENT_FOUND_ROWS.bits()
        | CapabilityFlags::CLIENT_IGNORE_SPACE.bits()
        | CapabilityFlags::CLIENT_LOCAL_FILES.bits()
        | CapabilityFlags::CLIENT_MULTI_RESULTS.bits()
        | CapabilityFlags::CLIENT_PS_MULTI_RESULTS.bits()
        | CapabilityFlags::CLIENT_SESSION_TRACK.bits()
        | CapabilityFlags::CLIENT_DEPRECATE_EOF.bits()
        | CapabilityFlags::CLIENT_QUERY_ATTRIBUTES.bits(),
);
