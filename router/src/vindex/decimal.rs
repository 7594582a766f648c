//! Exact decimal numbers as digits, of any length that MySQL's DECIMAL has. Never goes through a float.
//!
//! Read next: [`super::number`], which makes one of each kind of value.

/// DECIMAL's longest precision.
pub(super) const MAX_DIGITS: usize = 65;
/// DECIMAL's largest scale.
const MAX_SCALE: usize = 30;
/// Room for a rounded number: its digits and a carry.
const BUFFER_DIGITS: usize = MAX_DIGITS + 1;
/// Every whole number of this many digits fits an `i128`.
const I128_DIGITS: usize = 38;

/// A number: no zeros before the whole part nor behind the fraction, and no minus before zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal<'a> {
    pub(super) negative: bool,
    pub(super) whole: &'a [u8],
    pub(super) fraction: &'a [u8],
}

/// Where a rounded number's digits, or those of an integer, are kept.
pub(super) struct DigitBuffer([u8; BUFFER_DIGITS]);

impl DigitBuffer {
    pub(super) fn new() -> Self {
        DigitBuffer([b'0'; BUFFER_DIGITS])
    }
}

impl<'a> Decimal<'a> {
    /// Reads `[+-] digits [. digits]` with at least one digit. `None` for anything else and for what DECIMAL cannot hold.
    pub(super) fn parse(text: &'a [u8], negative: bool) -> Option<Self> {
        let (sign, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        let point = digits.iter().position(|&byte| byte == b'.').unwrap_or(digits.len());
        let (whole, fraction) = (&digits[..point], digits.get(point + 1..).unwrap_or_default());
        let all_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let number = Self::normalised(sign != negative, whole, fraction);
        let fits = whole.len() + fraction.len() <= MAX_DIGITS && fraction.len() <= MAX_SCALE;
        fits.then_some(number)
    }

    /// A whole number.
    pub(super) fn of_integer(number: i128, buffer: &'a mut DigitBuffer) -> Self {
        let mut rest = number.unsigned_abs();
        let mut start = BUFFER_DIGITS;
        while rest > 0 && start > 0 {
            start -= 1;
            buffer.0[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Decimal { negative: number < 0, whole: &buffer.0[start..], fraction: &[] }
    }

    fn normalised(negative: bool, whole: &'a [u8], fraction: &'a [u8]) -> Self {
        let start = whole.iter().position(|&digit| digit != b'0').unwrap_or(whole.len());
        let end = fraction.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
        let (whole, fraction) = (&whole[start..], &fraction[..end]);
        let is_zero = whole.is_empty() && fraction.is_empty();
        Decimal { negative: negative && !is_zero, whole, fraction }
    }

    /// How many digits it is written with.
    pub(super) fn digits(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    /// The number, if it is whole and not longer than an `i128`.
    pub(super) fn whole_number(&self) -> Option<i128> {
        if !self.fraction.is_empty() || self.whole.len() > I128_DIGITS {
            return None;
        }
        let magnitude = self.whole.iter().fold(0i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The number with `scale` digits behind the point, halves away from zero, as MySQL stores decimals.
    pub(super) fn rounded(&self, scale: usize, buffer: &'a mut DigitBuffer) -> Self {
        let kept = self.fraction.len().min(scale);
        let round_up = self.fraction.get(scale).is_some_and(|&digit| digit >= b'5');
        let len = 1 + self.whole.len() + kept;
        let digits = &mut buffer.0[..len];
        digits[0] = b'0';
        digits[1..=self.whole.len()].copy_from_slice(self.whole);
        digits[1 + self.whole.len()..].copy_from_slice(&self.fraction[..kept]);
        let mut carry = round_up;
        for digit in digits.iter_mut().rev() {
            if !carry {
                break;
            }
            carry = *digit == b'9';
            *digit = if carry { b'0' } else { *digit + 1 };
        }
        let (whole, fraction) = buffer.0[..len].split_at(len - kept);
        Self::normalised(self.negative, whole, fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(number: &Decimal<'_>) -> String {
        let part = |digits: &[u8]| String::from_utf8(digits.to_vec()).unwrap();
        format!("{}{}.{}", if number.negative { "-" } else { "" }, part(number.whole), part(number.fraction))
    }

    #[test]
    fn numbers_have_one_form() {
        let cases = [
            ("5", "5."),
            ("+05.00", "5."),
            ("-5.10", "-5.1"),
            ("-0.0", "."),
            (".5", ".5"),
            ("1.", "1."),
            ("000", "."),
        ];
        for (text, form) in cases {
            assert_eq!(printed(&Decimal::parse(text.as_bytes(), false).unwrap()), form, "{text}");
        }
        for text in ["", ".", "-", "5a", " 5", "5 ", "1e3", "1.2.3", "--5", "5-"] {
            assert_eq!(Decimal::parse(text.as_bytes(), false), None, "{text}");
        }
        assert_eq!(Decimal::parse(&[b'1'; 66], false), None);
    }

    #[test]
    fn halves_round_away_from_zero() {
        let cases = [
            ("1.25", 1, "1.3"),
            ("-1.25", 1, "-1.3"),
            ("1.24", 1, "1.2"),
            ("9.99", 1, "10."),
            ("-99.5", 0, "-100."),
            ("0.4", 0, "."),
            ("-0.4", 0, "."),
            ("5.5", 0, "6."),
            ("5", 3, "5."),
        ];
        for (text, scale, rounded) in cases {
            let mut buffer = DigitBuffer::new();
            let number = Decimal::parse(text.as_bytes(), false).unwrap();
            assert_eq!(printed(&number.rounded(scale, &mut buffer)), rounded, "{text} to {scale}");
        }
    }

    #[test]
    fn integers_become_digits_and_back() {
        for number in [0, 1, -1, 1234567890, i128::from(u64::MAX), i128::from(i64::MIN)] {
            let mut buffer = DigitBuffer::new();
            assert_eq!(Decimal::of_integer(number, &mut buffer).whole_number(), Some(number));
        }
    }
}
