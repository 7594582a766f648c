//! The cursor every packet is read with, and the writers that mirror it.
//!
//! It knows MySQL's integers and strings and nothing of any packet. It never panics, whatever the bytes are, and never
//! copies: what it returns borrows from the packet. Next: [`crate::frame`], which finds the packets.

use bytes::BufMut;
use mysql_common::constants::ColumnType;
use thiserror::Error;

/// Why a packet's bytes are not the packet they should be.
///
/// Always the fault of whoever sent the bytes; sending the same again cannot help. What arrives as a command is answered with
/// 1835 (HY000, "Malformed communication packet.") where a variant does not say otherwise, and the connection goes on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The packet ends before the field does.
    #[error("the packet ends inside {field}")]
    Truncated {
        /// The field that was being read.
        field: &'static str,
    },
    /// The packet goes on after its last field.
    #[error("{count} bytes follow the packet's last field")]
    TrailingBytes {
        /// How many bytes are left over.
        count: usize,
    },
    /// A field holds a value that the protocol does not give it.
    #[error("{field} holds {value:#x}, which has no meaning there")]
    Unexpected {
        /// The field that was being read.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// A statement's parameters are not what it needs, or are of no known type. MySQL answers 1210 (HY000).
    #[error("the values bound to a statement do not fit it")]
    BadArguments,
    /// A cell of a text row spells no value of its column's type: the fault of the server that sent the row.
    #[error("a cell of the type {column_type:?} holds no value of that type")]
    NotOfItsType {
        /// The column's type.
        column_type: ColumnType,
    },
    /// A client that speaks the protocol from before MySQL 4.1.
    #[error("the client speaks the protocol from before MySQL 4.1")]
    OldProtocol,
}

/// The result of reading a packet.
pub type Decoded<T> = Result<T, DecodeError>;

/// A reader that walks over one packet's payload.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte of `payload`.
    pub fn new(payload: &'a [u8]) -> Self {
        Cursor { all: payload, at: 0 }
    }

    /// How many bytes were read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.all.len() - self.at
    }

    /// True at the packet's end.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next byte, without passing over it.
    pub fn peek(&self) -> Option<u8> {
        self.all.get(self.at).copied()
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize, field: &'static str) -> Decoded<&'a [u8]> {
        let rest = &self.all[self.at..];
        let taken = rest.get(..len).ok_or(DecodeError::Truncated { field })?;
        self.at += len;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Decoded<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N, field)?);
        Ok(array)
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Decoded<u8> {
        Ok(self.array::<1>(field)?[0])
    }

    /// Two bytes, little-endian.
    pub fn u16le(&mut self, field: &'static str) -> Decoded<u16> {
        self.array(field).map(u16::from_le_bytes)
    }

    /// Three bytes, little-endian.
    pub fn u24le(&mut self, field: &'static str) -> Decoded<u32> {
        let [a, b, c] = self.array(field)?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    /// Four bytes, little-endian.
    pub fn u32le(&mut self, field: &'static str) -> Decoded<u32> {
        self.array(field).map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    pub fn u64le(&mut self, field: &'static str) -> Decoded<u64> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A length-encoded integer. 0xFB (NULL) and 0xFF (an error packet's mark) are not integers.
    pub fn lenenc_int(&mut self, field: &'static str) -> Decoded<u64> {
        match self.u8(field)? {
            0xFC => self.u16le(field).map(u64::from),
            0xFD => self.u24le(field).map(u64::from),
            0xFE => self.u64le(field),
            marker @ (0xFB | 0xFF) => Err(DecodeError::Unexpected { field, value: marker.into() }),
            small => Ok(small.into()),
        }
    }

    /// A length-encoded string.
    pub fn lenenc_bytes(&mut self, field: &'static str) -> Decoded<&'a [u8]> {
        let len = self.lenenc_int(field)?;
        let len = usize::try_from(len).map_err(|_| DecodeError::Truncated { field })?;
        self.bytes(len, field)
    }

    /// The bytes before the next NUL, which is passed over too.
    pub fn null_terminated(&mut self, field: &'static str) -> Decoded<&'a [u8]> {
        let len = self.find_nul().ok_or(DecodeError::Truncated { field })?;
        let text = self.bytes(len, field)?;
        self.at += 1;
        Ok(text)
    }

    /// The bytes before the next NUL, or all that is left: for the strings whose final NUL real clients forget.
    pub fn null_terminated_or_rest(&mut self) -> &'a [u8] {
        match self.find_nul() {
            Some(len) => {
                let text = &self.all[self.at..self.at + len];
                self.at += len + 1;
                text
            }
            None => self.rest(),
        }
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.all[self.at..];
        self.at = self.all.len();
        rest
    }

    /// Ends the packet: bytes that are left over are an error.
    pub fn finish(self) -> Decoded<()> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { count }),
        }
    }

    fn find_nul(&self) -> Option<usize> {
        self.all[self.at..].iter().position(|&byte| byte == 0)
    }
}

/// How many bytes [`put_lenenc_int`] writes for `value`.
pub fn lenenc_int_len(value: u64) -> usize {
    match value {
        0..=0xFA => 1,
        0xFB..=0xFFFF => 3,
        0x1_0000..=0xFF_FFFF => 4,
        _ => 9,
    }
}

/// Writes a length-encoded integer.
pub fn put_lenenc_int(out: &mut impl BufMut, value: u64) {
    match lenenc_int_len(value) {
        1 => out.put_u8(value as u8),
        3 => {
            out.put_u8(0xFC);
            out.put_u16_le(value as u16);
        }
        4 => {
            out.put_u8(0xFD);
            out.put_uint_le(value, 3);
        }
        _ => {
            out.put_u8(0xFE);
            out.put_u64_le(value);
        }
    }
}

/// Writes a length-encoded string.
pub fn put_lenenc_bytes(out: &mut impl BufMut, bytes: &[u8]) {
    put_lenenc_int(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// Writes a string that a NUL ends. A NUL inside it would end it early, so it is cut there.
pub fn put_null_terminated(out: &mut impl BufMut, bytes: &[u8]) {
    let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    out.put_slice(&bytes[..len]);
    out.put_u8(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn length_encoded_integers_have_their_shortest_form() {
        let cases: [(u64, &[u8]); 9] = [
            (0, &[0]),
            (250, &[0xFA]),
            (251, &[0xFC, 0xFB, 0]),
            (0xFFFF, &[0xFC, 0xFF, 0xFF]),
            (0x1_0000, &[0xFD, 0, 0, 1]),
            (0xFF_FFFF, &[0xFD, 0xFF, 0xFF, 0xFF]),
            (0x100_0000, &[0xFE, 0, 0, 0, 1, 0, 0, 0, 0]),
            (u32::MAX.into(), &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]),
            (u64::MAX, &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put_lenenc_int(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(lenenc_int_len(value), bytes.len());
            assert_eq!(Cursor::new(bytes).lenenc_int("n"), Ok(value));
        }
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        for marker in [0xFB, 0xFF] {
            let error = Cursor::new(&[marker, 0, 0, 0, 0, 0, 0, 0, 0]).lenenc_int("n");
            assert_eq!(error, Err(DecodeError::Unexpected { field: "n", value: marker.into() }));
        }
        for short in [&[][..], &[0xFC, 1], &[0xFD, 1, 2], &[0xFE, 1, 2, 3, 4, 5, 6, 7]] {
            assert_eq!(Cursor::new(short).lenenc_int("n"), Err(DecodeError::Truncated { field: "n" }));
        }
    }

    #[test]
    fn a_length_beyond_the_packet_is_truncation_even_when_it_is_absurd() {
        for bytes in [&[5, 1, 2][..], &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]] {
            assert_eq!(Cursor::new(bytes).lenenc_bytes("s"), Err(DecodeError::Truncated { field: "s" }));
        }
    }

    #[test]
    fn strings_end_at_their_nul_or_at_the_packets_end_where_that_is_allowed() {
        let mut cursor = Cursor::new(b"ab\0cd");
        assert_eq!(cursor.null_terminated("s"), Ok(&b"ab"[..]));
        assert_eq!(cursor.clone().null_terminated("s"), Err(DecodeError::Truncated { field: "s" }));
        assert_eq!(cursor.null_terminated_or_rest(), b"cd");
        assert_eq!(cursor.null_terminated_or_rest(), b"");
        assert_eq!(cursor.finish(), Ok(()));
    }

    #[test]
    fn left_over_bytes_are_an_error() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.u8("n"), Ok(1));
        assert_eq!(cursor.finish(), Err(DecodeError::TrailingBytes { count: 2 }));
    }

    #[test]
    fn a_nul_cannot_be_smuggled_into_a_terminated_string() {
        let mut out = Vec::new();
        put_null_terminated(&mut out, b"root\0admin");
        assert_eq!(out, b"root\0");
    }

    proptest! {
        #[test]
        fn integers_and_strings_survive_the_round_trip(value: u64, text: Vec<u8>) {
            let mut out = Vec::new();
            put_lenenc_int(&mut out, value);
            put_lenenc_bytes(&mut out, &text);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.lenenc_int("n"), Ok(value));
            prop_assert_eq!(cursor.lenenc_bytes("s"), Ok(&text[..]));
            prop_assert_eq!(cursor.finish(), Ok(()));
        }
    }
}
