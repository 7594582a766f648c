//! Where a row belongs: keyspace id → slot → key range. Arithmetic only; what makes an id of a key is the router's vindex.
//!
//! The ranges print as Vitess prints them ("-80", "40-80"): hexadecimal digits of the id, trailing zero bytes dropped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many of a keyspace id's top bits are its slot.
pub const SLOT_BITS: u32 = 14;
/// How many slots a keyspace has.
pub const SLOTS: usize = 1 << SLOT_BITS;

/// What a table's vindex makes of a sharding key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyspaceId(pub u64);

impl KeyspaceId {
    /// The slot that holds this id.
    pub fn slot(self) -> Slot {
        Slot((self.0 >> (u64::BITS - SLOT_BITS)) as u16)
    }
}

/// One of the [`SLOTS`] equal parts of a keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(u16);

impl Slot {
    /// The slot with this number, if there is one.
    pub fn new(number: usize) -> Option<Slot> {
        (number < SLOTS).then_some(Slot(number as u16))
    }

    /// The slot's number, below [`SLOTS`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A run of neighbouring slots: `first ..= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRange {
    /// The lowest slot of the run.
    pub first: Slot,
    /// The highest slot of the run.
    pub last: Slot,
}

impl KeyRange {
    fn bound(slot_number: usize) -> String {
        let id = (slot_number as u64) << (u64::BITS - SLOT_BITS);
        let digits = format!("{id:016x}");
        let kept = digits.trim_end_matches('0').len().next_multiple_of(2);
        digits[..kept].to_owned()
    }
}

/// Why a text is not a key range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no key range: {reason}")]
pub struct NotAKeyRange {
    text: String,
    reason: &'static str,
}

impl FromStr for KeyRange {
    type Err = NotAKeyRange;

    /// Reads what is printed: "-80", "40-80", "80-", "-".
    fn from_str(text: &str) -> Result<KeyRange, NotAKeyRange> {
        let refused = |reason| NotAKeyRange { text: text.to_owned(), reason };
        let (lower, upper) =
            text.split_once('-').ok_or_else(|| refused("two bounds stand around a hyphen: 40-80"))?;
        let bound = |digits: &str| {
            bound_of(digits).ok_or_else(|| {
                refused("a bound has up to 16 hexadecimal digits, and divides slots from slots")
            })
        };
        let first = bound(lower)?;
        let end = if upper.is_empty() { SLOTS } else { bound(upper)? };
        let last = end.checked_sub(1).filter(|last| *last >= first).and_then(Slot::new);
        match (Slot::new(first), last) {
            (Some(first), Some(last)) => Ok(KeyRange { first, last }),
            _ => Err(refused("it is empty")),
        }
    }
}

/// The slot that begins at a bound; digits that are left out are zeros.
fn bound_of(digits: &str) -> Option<usize> {
    if digits.len() > 16 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let id = u64::from_str_radix(&format!("{digits:0<16}"), 16).ok()?;
    let shift = u64::BITS - SLOT_BITS;
    (id.trailing_zeros() >= shift).then_some((id >> shift) as usize)
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.last.index() + 1;
        let upper = if end == SLOTS { String::new() } else { Self::bound(end) };
        write!(f, "{}-{upper}", Self::bound(self.first.index()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_is_the_top_fourteen_bits() {
        for (id, slot) in [(0, 0), (u64::MAX, SLOTS - 1), (1 << 50, 1), ((1 << 50) - 1, 0), (1 << 63, 8192)] {
            assert_eq!(KeyspaceId(id).slot().index(), slot, "{id:#x}");
        }
    }

    #[test]
    fn ranges_print_as_vitess_prints_them() {
        let cases = [
            ((0, 16383), "-"),
            ((0, 8191), "-80"),
            ((8192, 16383), "80-"),
            ((4096, 8191), "40-80"),
            ((1, 1), "0004-0008"),
        ];
        for ((first, last), printed) in cases {
            let range = KeyRange { first: Slot::new(first).unwrap(), last: Slot::new(last).unwrap() };
            assert_eq!(range.to_string(), printed);
            assert_eq!(printed.parse(), Ok(range));
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "80", "80-40", "80-80", "x-", "00001-", "-0", "-80-90", "+8-", "00000000000000000-"]
        {
            assert!(text.parse::<KeyRange>().is_err(), "{text:?}");
        }
        assert_eq!("8-".parse(), "80-".parse::<KeyRange>(), "zeros that are left out are zeros");
    }
}
