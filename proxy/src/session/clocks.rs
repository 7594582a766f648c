//! SHOW PODWAY CLOCKS: this machine's clock beside the topology's and the servers', as rows. Pure.

use std::borrow::Cow;

use podway_wire::Cell;

use crate::clock::{Offset, StampClock, Standing};

/// What is shown of one clock.
#[derive(Debug, PartialEq, Eq)]
pub struct ClockRow {
    /// Whose it is.
    pub clock: String,
    /// How far this machine's is ahead of it, in microseconds; none: it was not heard of late.
    pub offset: Option<Offset>,
    /// What is wrong, or that nothing is.
    pub state: &'static str,
}

impl ClockRow {
    /// Of another's clock.
    pub fn of(clock: String, offset: Option<Offset>, ours: &StampClock) -> ClockRow {
        let bound = ours.most_ahead();
        let state = match offset {
            None => "NOT HEARD",
            Some(offset) if offset.is_ahead_by(bound) => "THIS ONE IS AHEAD",
            Some(offset) if offset.is_behind_by(bound) => "THIS ONE IS BEHIND",
            Some(_) => "agrees",
        };
        ClockRow { clock, offset, state }
    }

    /// Its cells.
    pub fn cells(&self) -> Vec<Cell<'static>> {
        let text = |text: String| Cell::Bytes(Cow::Owned(text.into_bytes()));
        let (ahead, within, samples) = match self.offset {
            Some(offset) => (
                text(milliseconds(offset.ahead_us)),
                text(milliseconds(offset.within_us).replace('+', "")),
                Cell::UInt(offset.samples as u64),
            ),
            None => (Cell::Null, Cell::Null, Cell::UInt(0)),
        };
        vec![text(self.clock.clone()), ahead, within, samples, text(self.state.to_owned())]
    }
}

/// What becomes of commits over several servers.
pub fn standing(clock: &StampClock) -> &'static str {
    match clock.standing() {
        Standing::Good => "stamps",
        Standing::TooFarAhead(_) => "REFUSES TO STAMP",
        Standing::Unmeasured => "not compared yet",
    }
}

/// Milliseconds with a sign and three digits behind the point.
fn milliseconds(us: i64) -> String {
    let sign = if us < 0 { '-' } else { '+' };
    format!("{sign}{}.{:03}", us.unsigned_abs() / 1_000, us.unsigned_abs() % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_print_as_milliseconds_with_a_sign() {
        for (us, text) in [(0, "+0.000"), (1, "+0.001"), (-1_500, "-1.500"), (3_600_000_999, "+3600000.999")]
        {
            assert_eq!(milliseconds(us), text);
        }
    }
}
