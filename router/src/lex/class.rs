//! What a byte can start, outside quotes. Never decides: the scanners look on.
//!
//! Read next: [`super::scan`].

/// What a byte outside quotes can be the start of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// An operator or a bracket: never the start of a literal, a name or a comment.
    Plain,
    /// A blank.
    Blank,
    /// A letter, `_`, `$` or a byte from 0x80 on: a name or a keyword.
    Word,
    /// A digit: a number, or a name such as `1a`.
    Digit,
    /// `'`
    Quote,
    /// `"`
    DoubleQuote,
    /// A backtick.
    Backtick,
    /// `-`: perhaps a comment.
    Minus,
    /// `#`: a comment.
    Hash,
    /// `/`: perhaps a comment.
    Slash,
    /// `.`: perhaps a number.
    Dot,
    /// `@`: a variable.
    At,
    /// `?`: perhaps a parameter.
    Question,
    /// A control byte that MySQL refuses, and that templates use as placeholders.
    Refused,
}

const fn class_of(byte: u8) -> Class {
    match byte {
        b'\t' | b'\n' | 0x0B | 0x0C | b'\r' | b' ' => Class::Blank,
        b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'$' | 0x80..=0xFF => Class::Word,
        b'0'..=b'9' => Class::Digit,
        b'\'' => Class::Quote,
        b'"' => Class::DoubleQuote,
        b'`' => Class::Backtick,
        b'-' => Class::Minus,
        b'#' => Class::Hash,
        b'/' => Class::Slash,
        b'.' => Class::Dot,
        b'@' => Class::At,
        b'?' => Class::Question,
        0x00..=0x08 | 0x0E | 0x0F => Class::Refused,
        _ => Class::Plain,
    }
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = class_of(byte as u8);
        byte += 1;
    }
    classes
};

/// The class of a byte.
#[inline]
pub(crate) fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// Whether a byte can be inside an unquoted name.
#[inline]
pub(crate) fn is_word(byte: u8) -> bool {
    matches!(class(byte), Class::Word | Class::Digit)
}
