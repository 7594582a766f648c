//! The canonical form of a sharding key: bytes that are the same for all keys that MySQL takes for equal. Never decides whether a
//! value is certain.
//!
//! Each column adds `payload, payload length (u32), tag`, big-endian; read from its end such a form has one meaning only, so columns
//! of a composite key cannot run into each other. The forms are stored on disk by implication (each row lies where they led it):
//! changing one is a reshard of every table, and the golden test below says so. Read next: [`super::function`].

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::decimal::Decimal;
use super::value::{CalendarTime, ClockTime};

/// Long enough for every key of numbers and for most of text; longer ones are hashed as they come.
const BUFFER_BYTES: usize = 256;

/// What the payload before it is.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Tag {
    Null = 0,
    NonNegative = 1,
    Negative = 2,
    Decimal = 3,
    Text = 4,
    Bytes = 5,
    Instant = 6,
    Span = 7,
}

/// A sharding key's canonical form, as far as it has been written.
pub(super) struct CanonicalForm {
    buffer: [u8; BUFFER_BYTES],
    len: usize,
    /// The hash of what no longer fits the buffer.
    hashed: Option<Xxh3>,
    /// Payload bytes of the column being written.
    payload: u32,
    /// The last whole number written, for the functions that take a number itself.
    number: Option<u64>,
}

impl CanonicalForm {
    pub(super) fn new() -> Self {
        CanonicalForm { buffer: [0; BUFFER_BYTES], len: 0, hashed: None, payload: 0, number: None }
    }

    pub(super) fn null(&mut self) {
        self.number = None;
        self.end(Tag::Null);
    }

    /// A whole number between `i64::MIN` and `u64::MAX`.
    pub(super) fn integer(&mut self, number: i128) {
        let word = number as u64;
        self.put(&word.to_be_bytes());
        self.number = Some(word);
        self.end(if number < 0 { Tag::Negative } else { Tag::NonNegative });
    }

    /// A number; whole ones have the form of integers.
    pub(super) fn decimal(&mut self, number: &Decimal<'_>) {
        match number.whole_number() {
            Some(whole) if whole >= i128::from(i64::MIN) && whole <= i128::from(u64::MAX) => {
                self.integer(whole)
            }
            _ => {
                self.put(if number.negative { b"-" } else { b"+" });
                self.put(number.whole);
                self.put(b".");
                self.put(number.fraction);
                self.end(Tag::Decimal);
            }
        }
    }

    /// One weight of a text; [`end_text`](Self::end_text) follows the last.
    pub(super) fn weight(&mut self, weight: u16) {
        self.put(&weight.to_be_bytes());
    }

    pub(super) fn end_text(&mut self) {
        self.end(Tag::Text);
    }

    /// A binary string. Zero bytes at its end do not count: BINARY columns add them.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let kept = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        self.put(&bytes[..kept]);
        self.end(Tag::Bytes);
    }

    /// A DATE (at midnight) or DATETIME.
    pub(super) fn instant(&mut self, at: &CalendarTime) {
        self.put(&at.year.to_be_bytes());
        self.put(&[at.month, at.day, at.hour, at.minute, at.second]);
        self.put(&at.micros.to_be_bytes());
        self.end(Tag::Instant);
    }

    /// A TIME.
    pub(super) fn span(&mut self, span: &ClockTime) {
        self.put(&span.signed_micros().to_be_bytes());
        self.end(Tag::Span);
    }

    /// The hash of all columns.
    pub(super) fn xxh3(&self) -> u64 {
        let rest = &self.buffer[..self.len];
        match &self.hashed {
            None => xxh3_64(rest),
            Some(hashed) => {
                let mut hashed = hashed.clone();
                hashed.update(rest);
                hashed.digest()
            }
        }
    }

    /// The whole number that was written last, in two's complement; `None` after a NULL.
    pub(super) fn number(&self) -> Option<u64> {
        self.number
    }

    fn put(&mut self, bytes: &[u8]) {
        self.payload = self.payload.wrapping_add(bytes.len() as u32);
        self.append(bytes);
    }

    fn end(&mut self, tag: Tag) {
        let payload = self.payload.to_be_bytes();
        self.append(&payload);
        self.append(&[tag as u8]);
        self.payload = 0;
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.len + bytes.len() > BUFFER_BYTES {
            let hashed = self.hashed.get_or_insert_with(Xxh3::new);
            hashed.update(&self.buffer[..self.len]);
            self.len = 0;
            if bytes.len() > BUFFER_BYTES {
                hashed.update(bytes);
                return;
            }
        }
        self.buffer[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(write: impl FnOnce(&mut CanonicalForm)) -> u64 {
        let mut form = CanonicalForm::new();
        write(&mut form);
        form.xxh3()
    }

    /// A failure here means that existing rows would be looked for on other shards than those they are on.
    #[test]
    fn the_forms_never_change() {
        let at = CalendarTime { year: 2026, month: 11, day: 20, hour: 14, minute: 4, second: 59, micros: 7 };
        let span = ClockTime { negative: true, hours: 838, minutes: 59, seconds: 59, micros: 1 };
        let cases: [(&[u8], u64); 8] = [
            (b"\0\0\0\0\0", form(|f| f.null())),
            (b"\0\0\0\0\0\0\0\x05\0\0\0\x08\x01", form(|f| f.integer(5))),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfb\0\0\0\x08\x02", form(|f| f.integer(-5))),
            (b"-1.5\0\0\0\x04\x03", form(|f| f.decimal(&Decimal::parse(b"01.50", true).unwrap()))),
            (
                b"\x1c\x47\0\0\0\x02\x04",
                form(|f| {
                    f.weight(0x1c47);
                    f.end_text();
                }),
            ),
            (b"a\0b\0\0\0\x03\x05", form(|f| f.bytes(b"a\0b\0\0"))),
            (b"\x07\xea\x0b\x14\x0e\x04\x3b\0\0\0\x07\0\0\0\x0b\x06", form(|f| f.instant(&at))),
            (b"\xff\xff\xfd\x40\xc2\x30\xc6\x3f\0\0\0\x08\x07", form(|f| f.span(&span))),
        ];
        for (bytes, hash) in cases {
            assert_eq!(hash, xxh3_64(bytes), "{bytes:02x?}");
        }
    }

    #[test]
    fn long_forms_hash_like_short_ones() {
        for len in [0, 1, 250, 251, 252, 255, 256, 257, 600, 5000] {
            let payload: Vec<u8> = (0..len).map(|at| (at % 250) as u8 + 1).collect();
            let mut whole = payload.clone();
            whole.extend_from_slice(&(len as u32).to_be_bytes());
            whole.push(Tag::Bytes as u8);
            assert_eq!(form(|f| f.bytes(&payload)), xxh3_64(&whole), "{len}");
        }
    }

    #[test]
    fn columns_do_not_run_into_each_other() {
        let pair = |left: &[u8], right: &[u8]| {
            form(|f| {
                f.bytes(left);
                f.bytes(right);
            })
        };
        assert_ne!(pair(b"a", b"bc"), pair(b"ab", b"c"));
        assert_ne!(pair(b"", b"abc"), pair(b"abc", b""));
    }
}
