//! The client's file for LOAD DATA LOCAL: packets up to an empty one.
//!
//! Only the end is looked for; the bytes go to the server as they are. Next: [`super::ResponseTracker::resume_after_infile`].

use super::answer::{Event, Progress};
use crate::frame::{FrameError, HEADER, Header, MAX_PAYLOAD};

/// Follows a file on its way from the client.
#[derive(Debug, Clone)]
pub struct InfileRelay {
    seq: u8,
    skip: usize,
    /// The last packet was full, so the next belongs to it, and may be empty without ending the file.
    continues: bool,
    done: bool,
}

impl InfileRelay {
    /// Expects the file's first packet with the number after the server's request: [`super::ResponseTracker::next_seq`].
    pub fn new(first_seq: u8) -> Self {
        InfileRelay { seq: first_seq, skip: 0, continues: false, done: false }
    }

    /// Walks on, like [`super::ResponseTracker::feed`]. The event is [`Event::More`] or [`Event::Done`].
    pub fn feed(&mut self, buf: &[u8]) -> Result<Progress, FrameError> {
        let mut at = 0;
        while !self.done {
            let passed = self.skip.min(buf.len() - at);
            self.skip -= passed;
            at += passed;
            let header = match self.skip {
                0 => Header::read(&buf[at..]),
                _ => None,
            };
            let Some(header) = header else { return Ok(Progress { consumed: at, event: Event::More }) };
            if header.seq != self.seq {
                return Err(FrameError::WrongSequence { expected: self.seq, found: header.seq });
            }
            self.seq = self.seq.wrapping_add(1);
            at += HEADER;
            self.skip = header.len;
            self.done = header.len == 0 && !self.continues;
            self.continues = header.len == MAX_PAYLOAD;
        }
        Ok(Progress { consumed: at, event: Event::Done })
    }

    /// The number of the server's next packet, once the file is through.
    pub fn next_seq(&self) -> u8 {
        self.seq
    }
}
