//! A client's file on its way in: asked for by its name, taken packet by packet, no faster than it is used. What is in it is [`super::load_records`]'s.

use bytes::{Buf, BytesMut};
use podway_wire::{FrameError, HEADER, Header, MAX_PAYLOAD, write_packet};
use tokio::time::timeout;

use super::core::Session;
use crate::error::ProxyError;

/// The first byte of the packet that asks for a file.
const ASKS_FOR_FILE: u8 = 0xFB;

/// Where a client's file is: packets up to an empty one.
#[derive(Debug)]
pub(super) struct ClientFile {
    /// The next packet's number.
    pub sequence: u8,
    /// Whether it has come to its end.
    pub is_all: bool,
    /// Its bytes so far.
    pub bytes: u64,
    left: usize,
    /// The last packet was full: the next belongs to it, and may be empty without ending the file.
    continues: bool,
}

impl ClientFile {
    /// A file whose first packet has this number.
    pub fn new(sequence: u8) -> ClientFile {
        ClientFile { sequence, is_all: false, bytes: 0, left: 0, continues: false }
    }

    /// Takes what has arrived of it, and leaves what follows it.
    pub fn take(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<(), FrameError> {
        while !self.is_all {
            let taken = self.left.min(input.len());
            out.extend_from_slice(&input[..taken]);
            input.advance(taken);
            self.left -= taken;
            self.bytes += taken as u64;
            let header = if self.left == 0 { Header::read(input) } else { None };
            let Some(header) = header else { break };
            if header.seq != self.sequence {
                return Err(FrameError::WrongSequence { expected: self.sequence, found: header.seq });
            }
            input.advance(HEADER);
            self.sequence = self.sequence.wrapping_add(1);
            self.left = header.len;
            self.is_all = header.len == 0 && !self.continues;
            self.continues = header.len == MAX_PAYLOAD;
        }
        Ok(())
    }
}

impl Session {
    /// Asks the client for the file of this name.
    pub(super) async fn ask_for_file(&mut self, name: &[u8]) -> Result<ClientFile, ProxyError> {
        // The command is done with: what follows it in the buffer is the file.
        self.client.consume(std::mem::take(&mut self.command_bytes));
        let mut packet = BytesMut::new();
        write_packet(&mut packet, &mut self.place.sequence, &[&[ASKS_FOR_FILE][..], name].concat());
        self.client.send(&packet).await.map_err(ProxyError::ClientGone)?;
        Ok(ClientFile::new(self.place.sequence))
    }

    /// Takes more of the file, at least a byte, or its end.
    pub(super) async fn more_of_file(
        &mut self,
        file: &mut ClientFile,
        out: &mut Vec<u8>,
    ) -> Result<(), ProxyError> {
        let before = file.bytes;
        loop {
            file.take(&mut self.client.input, out).map_err(broken)?;
            if file.bytes > before || file.is_all {
                return Ok(());
            }
            let silence = self.shared.config.client.read_deadline;
            let read = timeout(silence, self.client.read_some());
            tokio::select! {
                biased;
                () = self.handle.interrupted() => return Err(ProxyError::interrupted()),
                read = read => {
                    read.map_err(|_| silent())?.map_err(ProxyError::ClientGone)?;
                }
            }
        }
    }

    /// Reads what is left of the file: the client hears of an error only behind it.
    pub(super) async fn drain_file(&mut self, file: &mut ClientFile) -> Result<(), ProxyError> {
        let mut unused = Vec::new();
        loop {
            file.take(&mut self.client.input, &mut unused).map_err(broken)?;
            unused.clear();
            if file.is_all {
                return Ok(());
            }
            let silence = self.shared.config.client.read_deadline;
            let read = timeout(silence, self.client.read_some()).await;
            read.map_err(|_| silent())?.map_err(ProxyError::ClientGone)?;
        }
    }
}

fn silent() -> ProxyError {
    let why = "the rest of its file did not come";
    ProxyError::ClientGone(std::io::Error::new(std::io::ErrorKind::TimedOut, why))
}

fn broken(error: FrameError) -> ProxyError {
    ProxyError::ClientGone(std::io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_ends_at_an_empty_packet_and_leaves_what_follows() {
        let mut wire = BytesMut::new();
        let mut sequence = 2;
        for chunk in [&b"one,"[..], b"two", b""] {
            write_packet(&mut wire, &mut sequence, chunk);
        }
        wire.extend_from_slice(b"next");
        for step in 1..wire.len() {
            let (mut file, mut input, mut out) = (ClientFile::new(2), BytesMut::new(), Vec::new());
            for part in wire.chunks(step) {
                input.extend_from_slice(part);
                file.take(&mut input, &mut out).unwrap();
            }
            assert_eq!((&out[..], &input[..], file.is_all), (&b"one,two"[..], &b"next"[..], true), "{step}");
            assert_eq!((file.sequence, file.bytes), (5, 7));
        }
    }

    #[test]
    fn packets_of_another_order_are_refused() {
        let mut wire = BytesMut::new();
        write_packet(&mut wire, &mut 7, b"x");
        assert!(ClientFile::new(2).take(&mut wire, &mut Vec::new()).is_err());
    }
}
