//! Dates and times: read from their canonical spellings, rounded to a column's precision. Never reads a relaxed spelling
//! ('20-1-1', '2020/01/01 5'), which MySQL takes in many ways.
//!
//! Read next: [`super::predicate`] and [`super::insert`].

use super::value::{CalendarTime, ClockTime};

const MICROS_PER_SECOND: u32 = 1_000_000;
/// Digits of a fraction of a second.
const MAX_FRACTION_DIGITS: usize = 6;
const MAX_YEAR: u16 = 9999;
/// TIME ends at 838:59:59.
const MAX_TIME_HOURS: u32 = 838;
const MAX_TIME_SECONDS: u32 = (MAX_TIME_HOURS * 60 + 59) * 60 + 59;

/// What digits of a value a column drops.
#[derive(Clone, Copy)]
pub(super) enum Excess {
    Round,
    Truncate,
}

impl CalendarTime {
    /// Reads `YYYY-MM-DD`, or that with `HH:MM:SS` and up to six digits of a fraction behind a blank or a `T`; only real days from
    /// the year 1 on.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (date, time) = match text.len() {
            10 => (text, None),
            19.. if matches!(text[10], b' ' | b'T') => (&text[..10], Some(&text[11..])),
            _ => return None,
        };
        let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else { return None };
        let year = u16::from(two_digits(y1, y2)?) * 100 + u16::from(two_digits(y3, y4)?);
        let mut at =
            CalendarTime { year, month: two_digits(m1, m2)?, day: two_digits(d1, d2)?, ..Self::default() };
        if let Some(time) = time {
            let (clock, fraction) = time.split_at(8);
            (at.hour, at.minute, at.second) = clock_digits(clock)?;
            at.micros = parse_fraction(fraction)?;
        }
        at.is_real().then_some(at)
    }

    /// Whether it is a moment of the calendar, from the year 1 on.
    pub(super) fn is_real(&self) -> bool {
        (1..=MAX_YEAR).contains(&self.year)
            && (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= days_of_month(self.year, self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
            && self.micros < MICROS_PER_SECOND
    }

    pub(super) fn is_midnight(&self) -> bool {
        (self.hour, self.minute, self.second, self.micros) == (0, 0, 0, 0)
    }

    /// The moment with this many digits of a fraction; `None` where that would be after the year 9999.
    pub(super) fn with_precision(mut self, digits: u8, excess: Excess) -> Option<Self> {
        let (micros, carry) = round_micros(self.micros, digits, excess);
        self.micros = micros;
        if carry { self.next_second() } else { Some(self) }
    }

    fn next_second(mut self) -> Option<Self> {
        self.second += 1;
        if self.second == 60 {
            (self.second, self.minute) = (0, self.minute + 1);
        }
        if self.minute == 60 {
            (self.minute, self.hour) = (0, self.hour + 1);
        }
        if self.hour == 24 {
            (self.hour, self.day) = (0, self.day + 1);
        }
        if self.day > days_of_month(self.year, self.month) {
            (self.day, self.month) = (1, self.month + 1);
        }
        if self.month == 13 {
            (self.month, self.year) = (1, self.year + 1);
        }
        (self.year <= MAX_YEAR).then_some(self)
    }
}

impl ClockTime {
    /// Reads `[-]HH:MM:SS` or `[-]HHH:MM:SS` with up to six digits of a fraction.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', text @ ..] => (true, text),
            text => (false, text),
        };
        let (hundreds, text) = match text {
            [digit, _, _, b':', ..] => {
                (digit.is_ascii_digit().then_some(u32::from(digit - b'0'))?, &text[1..])
            }
            text => (0, text),
        };
        if text.len() < 8 {
            return None;
        }
        let (clock, fraction) = text.split_at(8);
        let (hours, minutes, seconds) = clock_digits(clock)?;
        let hours = hundreds * 100 + u32::from(hours);
        let span = ClockTime { negative, hours, minutes, seconds, micros: parse_fraction(fraction)? };
        span.is_real().then_some(span)
    }

    /// Whether a TIME column can hold it.
    pub(super) fn is_real(&self) -> bool {
        self.hours <= MAX_TIME_HOURS
            && self.minutes < 60
            && self.seconds < 60
            && self.micros < MICROS_PER_SECOND
            && (self.whole_seconds(), self.micros) <= (MAX_TIME_SECONDS, 0)
    }

    /// The span with this many digits of a fraction; `None` where TIME does not reach.
    pub(super) fn with_precision(mut self, digits: u8, excess: Excess) -> Option<Self> {
        let (micros, carry) = round_micros(self.micros, digits, excess);
        let seconds = self.whole_seconds() + u32::from(carry);
        self.micros = micros;
        self.hours = seconds / 3600;
        self.minutes = (seconds / 60 % 60) as u8;
        self.seconds = (seconds % 60) as u8;
        self.is_real().then_some(self)
    }

    pub(super) fn signed_micros(&self) -> i64 {
        let magnitude =
            i64::from(self.whole_seconds()) * i64::from(MICROS_PER_SECOND) + i64::from(self.micros);
        if self.negative { -magnitude } else { magnitude }
    }

    fn whole_seconds(&self) -> u32 {
        (self.hours * 60 + u32::from(self.minutes)) * 60 + u32::from(self.seconds)
    }
}

fn two_digits(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}

fn clock_digits(text: &[u8]) -> Option<(u8, u8, u8)> {
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = text else { return None };
    Some((two_digits(h1, h2)?, two_digits(m1, m2)?, two_digits(s1, s2)?))
}

/// Reads nothing, or a point and one to six digits.
fn parse_fraction(text: &[u8]) -> Option<u32> {
    let digits = match text {
        [] => return Some(0),
        [b'.', digits @ ..] => digits,
        _ => return None,
    };
    if digits.is_empty() || digits.len() > MAX_FRACTION_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Some(value * 10u32.pow((MAX_FRACTION_DIGITS - digits.len()) as u32))
}

/// The micros that are left, and whether a second is carried.
fn round_micros(micros: u32, digits: u8, excess: Excess) -> (u32, bool) {
    let unit = 10u32.pow(MAX_FRACTION_DIGITS.saturating_sub(usize::from(digits)) as u32);
    let up = matches!(excess, Excess::Round) && micros % unit >= unit.div_ceil(2) && unit > 1;
    let kept = micros - micros % unit + if up { unit } else { 0 };
    (kept % MICROS_PER_SECOND, kept >= MICROS_PER_SECOND)
}

fn days_of_month(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(at: CalendarTime) -> String {
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}",
            at.year, at.month, at.day, at.hour, at.minute, at.second, at.micros
        )
    }

    #[test]
    fn moments_are_read_in_their_canonical_spelling_only() {
        let cases = [
            ("2020-02-29", Some("2020-02-29 00:00:00.000000")),
            ("2020-02-29 23:59:59", Some("2020-02-29 23:59:59.000000")),
            ("2020-02-29T23:59:59.5", Some("2020-02-29 23:59:59.500000")),
            ("0001-01-01 00:00:00.000001", Some("0001-01-01 00:00:00.000001")),
            ("2021-02-29", None),
            ("2020-00-01", None),
            ("0000-01-01", None),
            ("2020-1-1", None),
            ("20200101", None),
            ("2020-01-01 00:00", None),
            ("2020-01-01 24:00:00", None),
            ("2020-01-01 00:00:00.", None),
            ("2020-01-01 00:00:00.1234567", None),
            ("2020-01-01 00:00:00+00:00", None),
            ("2020-01-01 00:00:00 ", None),
        ];
        for (text, read) in cases {
            assert_eq!(CalendarTime::parse(text.as_bytes()).map(printed).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn fractions_round_with_a_carry_through_the_calendar() {
        let cases = [
            ("2020-12-31 23:59:59.5", 0, Some("2021-01-01 00:00:00.000000")),
            ("2020-02-28 23:59:59.499999", 0, Some("2020-02-28 23:59:59.000000")),
            ("2020-02-28 23:59:59.99995", 4, Some("2020-02-29 00:00:00.000000")),
            ("2020-02-28 23:59:59.123456", 6, Some("2020-02-28 23:59:59.123456")),
            ("9999-12-31 23:59:59.5", 0, None),
        ];
        for (text, digits, rounded) in cases {
            let at = CalendarTime::parse(text.as_bytes()).unwrap();
            let result = at.with_precision(digits, Excess::Round).map(printed);
            assert_eq!(result.as_deref(), rounded, "{text} to {digits}");
        }
    }

    #[test]
    fn spans_are_read_and_rounded_by_their_size() {
        let cases = [
            ("10:20:30", 0, Some(37_230_000_000)),
            ("-100:00:00.5", 0, Some(-360_001_000_000)),
            ("838:59:59", 0, Some(3_020_399_000_000)),
            ("838:59:59.5", 1, None),
            ("-00:00:00", 0, Some(0)),
            ("1:00:00", 0, None),
            ("10:20", 0, None),
            ("10:60:00", 0, None),
        ];
        for (text, digits, micros) in cases {
            let span =
                ClockTime::parse(text.as_bytes()).and_then(|span| span.with_precision(digits, Excess::Round));
            assert_eq!(span.map(|span| span.signed_micros()), micros, "{text} to {digits}");
        }
    }
}
