//! Packets on the wire: a three-byte length, a sequence number, the payload.
//!
//! A payload of [`MAX_PAYLOAD`] bytes goes on in the next packet; one logical packet may thus be several physical ones.
//! Nothing here knows what a payload means. Responses are not read with this: they are followed without being joined,
//! in [`crate::response`]. Next: `packets`.

use bytes::{Buf, BufMut, BytesMut};
use thiserror::Error;

/// Bytes of a packet's header.
pub const HEADER: usize = 4;

/// The longest payload of one physical packet; one of exactly this length goes on in the next.
pub const MAX_PAYLOAD: usize = 0xFF_FFFF;

/// Why bytes are not a packet that this connection can go on after.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The sequence number is not the next one. MySQL answers 1156 (08S01) and closes.
    #[error("a packet has the sequence number {found} where {expected} was due")]
    WrongSequence {
        /// The number that was due.
        expected: u8,
        /// The number in the packet.
        found: u8,
    },
    /// The packet is larger than allowed. MySQL answers 1153 (08S01) and closes.
    #[error("the packet is larger than the {limit} bytes allowed")]
    TooLarge {
        /// The limit that was in force.
        limit: usize,
    },
}

/// A physical packet's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Length of the payload that follows.
    pub len: usize,
    /// The sequence number.
    pub seq: u8,
}

impl Header {
    /// Reads the header at the start of `buf`; `None` when fewer than [`HEADER`] bytes are there.
    #[inline]
    pub fn read(buf: &[u8]) -> Option<Header> {
        let word = u32::from_le_bytes(*buf.first_chunk::<HEADER>()?);
        Some(Header { len: (word & 0xFF_FFFF) as usize, seq: (word >> 24) as u8 })
    }

    /// The bytes [`Header::read`] reads. `len` must not exceed [`MAX_PAYLOAD`].
    pub fn to_bytes(self) -> [u8; HEADER] {
        debug_assert!(self.len <= MAX_PAYLOAD);
        ((self.len as u32 & 0xFF_FFFF) | u32::from(self.seq) << 24).to_le_bytes()
    }

    fn continues(self) -> bool {
        self.len == MAX_PAYLOAD
    }
}

/// Appends one logical packet, split where it is longer than a physical packet may be, and moves `seq` past it.
pub fn write_packet(out: &mut BytesMut, seq: &mut u8, payload: &[u8]) {
    out.reserve(payload.len() + HEADER * (payload.len() / MAX_PAYLOAD + 1));
    let mut rest = payload;
    loop {
        let (part, next) = rest.split_at(rest.len().min(MAX_PAYLOAD));
        out.put_slice(&Header { len: part.len(), seq: *seq }.to_bytes());
        out.put_slice(part);
        *seq = seq.wrapping_add(1);
        rest = next;
        // A full packet is always followed by another, if only an empty one.
        if part.len() < MAX_PAYLOAD {
            return;
        }
    }
}

/// A whole command at the start of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandFrame {
    /// Bytes in the buffer, headers included.
    pub total: usize,
    /// Bytes of the joined payload.
    pub payload_len: usize,
    /// The sequence number of the answer's first packet.
    pub next_seq: u8,
    /// Whether the payload lies in several physical packets.
    pub fragmented: bool,
}

/// Looks for a whole logical packet at the start of `buf`, with sequence numbers from 0. `None`: more bytes are needed.
///
/// Errors are found from headers alone: a command that is too large is refused before its bytes arrive.
pub fn command_frame(buf: &[u8], max_payload: usize) -> Result<Option<CommandFrame>, FrameError> {
    logical_frame(buf, 0, max_payload)
}

/// The joined payload of the packet that `frame` describes; borrowed from `buf` unless it is fragmented.
///
/// `frame` must come from [`command_frame`] on the same bytes.
pub fn payload<'a>(buf: &'a [u8], frame: &CommandFrame, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if !frame.fragmented {
        return &buf[HEADER..frame.total];
    }
    scratch.clear();
    scratch.reserve(frame.payload_len);
    for chunk in buf[..frame.total].chunks(HEADER + MAX_PAYLOAD) {
        scratch.extend_from_slice(chunk.get(HEADER..).unwrap_or_default());
    }
    scratch
}

/// Reads logical packets off a stream whose sequence numbers run on, as in the connection phase.
#[derive(Debug, Clone)]
pub struct PacketReader {
    seq: u8,
}

impl PacketReader {
    /// Expects `seq` on the next packet.
    pub fn new(seq: u8) -> Self {
        PacketReader { seq }
    }

    /// The sequence number due next; an answer to the last packet uses it too.
    pub fn seq(&self) -> u8 {
        self.seq
    }

    /// Goes on at `seq`, after packets in the other direction have used numbers up.
    pub fn set_seq(&mut self, seq: u8) {
        self.seq = seq;
    }

    /// Takes one whole packet off `buf`. `None`: more bytes are needed.
    pub fn next(&mut self, buf: &mut BytesMut, max_payload: usize) -> Result<Option<BytesMut>, FrameError> {
        let Some(frame) = logical_frame(buf, self.seq, max_payload)? else { return Ok(None) };
        let mut raw = buf.split_to(frame.total);
        self.seq = frame.next_seq;
        if !frame.fragmented {
            raw.advance(HEADER);
            return Ok(Some(raw));
        }
        let mut joined = Vec::new();
        payload(&raw, &frame, &mut joined);
        Ok(Some(BytesMut::from(&joined[..])))
    }
}

fn logical_frame(buf: &[u8], first_seq: u8, limit: usize) -> Result<Option<CommandFrame>, FrameError> {
    let mut frame = CommandFrame { total: 0, payload_len: 0, next_seq: first_seq, fragmented: false };
    loop {
        let Some(header) = buf.get(frame.total..).and_then(Header::read) else { return Ok(None) };
        if header.seq != frame.next_seq {
            return Err(FrameError::WrongSequence { expected: frame.next_seq, found: header.seq });
        }
        frame.payload_len += header.len;
        if frame.payload_len > limit {
            return Err(FrameError::TooLarge { limit });
        }
        frame.total += HEADER + header.len;
        frame.next_seq = frame.next_seq.wrapping_add(1);
        if !header.continues() {
            return Ok((frame.total <= buf.len()).then_some(frame));
        }
        frame.fragmented = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(len: usize, seq: u8) -> Vec<u8> {
        let mut bytes = Header { len, seq }.to_bytes().to_vec();
        bytes.resize(HEADER + len, b'x');
        bytes
    }

    #[test]
    fn a_header_is_a_length_and_a_number() {
        assert_eq!(Header::read(&[0x03, 0x02, 0x01, 0xFF, 9]), Some(Header { len: 0x01_0203, seq: 255 }));
        assert_eq!(Header { len: 0x01_0203, seq: 255 }.to_bytes(), [0x03, 0x02, 0x01, 0xFF]);
        assert_eq!(Header::read(&[0, 0, 0]), None);
    }

    #[test]
    fn a_command_is_found_once_all_of_it_is_there() {
        let bytes = packet(5, 0);
        let frame = CommandFrame { total: 9, payload_len: 5, next_seq: 1, fragmented: false };
        for len in 0..bytes.len() {
            assert_eq!(command_frame(&bytes[..len], 100), Ok(None), "{len}");
        }
        assert_eq!(command_frame(&bytes, 100), Ok(Some(frame)));
        // What follows is the next command's.
        assert_eq!(command_frame(&[&bytes[..], b"\xFF\xFF\xFF\xFF"].concat(), 100), Ok(Some(frame)));
        assert_eq!(payload(&bytes, &frame, &mut Vec::new()), b"xxxxx");
    }

    #[test]
    fn errors_are_found_in_headers_before_the_bytes_arrive() {
        let number = |expected, found| Err(FrameError::WrongSequence { expected, found });
        let too_large = Err(FrameError::TooLarge { limit: 100 });
        assert_eq!(command_frame(&Header { len: 5, seq: 1 }.to_bytes(), 100), number(0, 1));
        assert_eq!(command_frame(&Header { len: 101, seq: 0 }.to_bytes(), 100), too_large);
        assert_eq!(command_frame(&Header { len: 100, seq: 0 }.to_bytes(), 100), Ok(None));
        assert_eq!(command_frame(&Header { len: MAX_PAYLOAD, seq: 0 }.to_bytes(), 100), too_large);

        // A second part is judged by its own header.
        let limit = MAX_PAYLOAD + 10;
        let first = packet(MAX_PAYLOAD, 0);
        let then = |len, seq| [&first[..], &Header { len, seq }.to_bytes()].concat();
        assert_eq!(command_frame(&then(11, 1), limit), Err(FrameError::TooLarge { limit }));
        assert_eq!(command_frame(&then(10, 2), limit), number(1, 2));
        assert_eq!(command_frame(&then(10, 1), limit), Ok(None));
    }

    #[test]
    fn long_payloads_are_split_and_joined() {
        let cases = [
            (0, 1),
            (1, 1),
            (MAX_PAYLOAD - 1, 1),
            (MAX_PAYLOAD, 2),
            (MAX_PAYLOAD + 1, 2),
            (2 * MAX_PAYLOAD, 3),
        ];
        for (len, packets) in cases {
            let sent: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let (mut out, mut seq) = (BytesMut::new(), 0);
            write_packet(&mut out, &mut seq, &sent);
            assert_eq!(usize::from(seq), packets);
            assert_eq!(out.len(), len + packets * HEADER);
            let frame = command_frame(&out, usize::MAX).unwrap().unwrap();
            assert_eq!((frame.total, frame.payload_len), (out.len(), len));
            assert_eq!((usize::from(frame.next_seq), frame.fragmented), (packets, packets > 1));
            assert!(payload(&out, &frame, &mut Vec::new()) == sent, "{len}");
            assert_eq!(command_frame(&out[..out.len() - 1], usize::MAX), Ok(None), "{len}");
        }
    }

    #[test]
    fn a_reader_goes_on_where_the_numbers_are() {
        let mut buf = BytesMut::from(&[packet(2, 254), packet(3, 255), packet(0, 0)].concat()[..]);
        let mut reader = PacketReader::new(254);
        for len in [2, 3, 0] {
            assert_eq!(reader.next(&mut buf, 100).unwrap().unwrap(), &b"xxx"[..len]);
        }
        assert_eq!(reader.seq(), 1);
        assert_eq!(reader.next(&mut buf, 100), Ok(None));
        buf.put_slice(&packet(1, 7));
        assert_eq!(reader.next(&mut buf, 100), Err(FrameError::WrongSequence { expected: 1, found: 7 }));
        reader.set_seq(7);
        assert_eq!(reader.next(&mut buf, 100).unwrap().unwrap(), b"x"[..]);
    }

    proptest! {
        #[test]
        fn a_reader_finds_what_was_written_in_any_chunking(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
            first_seq: u8,
            chunk in 1usize..300,
        ) {
            let (mut bytes, mut seq) = (BytesMut::new(), first_seq);
            sent.iter().for_each(|payload| write_packet(&mut bytes, &mut seq, payload));
            let (mut reader, mut buf, mut found) = (PacketReader::new(first_seq), BytesMut::new(), Vec::new());
            for part in bytes.chunks(chunk) {
                buf.put_slice(part);
                while let Some(payload) = reader.next(&mut buf, 1000).unwrap() {
                    found.push(payload.to_vec());
                }
            }
            prop_assert_eq!(found, sent);
            prop_assert_eq!(reader.seq(), seq);
        }
    }
}
