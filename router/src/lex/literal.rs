//! A literal of a statement and the one byte that stands for it in the template. Never decodes the value: that is `vindex`'s.
//!
//! The placeholders are control bytes which MySQL refuses everywhere outside quotes, so a template cannot be mistaken for another
//! statement's text. Read next: [`crate::Normalised`].

use std::ops::Range;

use super::charset_names;

/// What kind of literal it is. The number is the byte that stands for it in templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LiteralKind {
    /// Digits only: `42`.
    Integer = 0x01,
    /// With a point, without exponent: `4.2`, `.5`, `1.`.
    Decimal = 0x02,
    /// With an exponent: `1e10`.
    Float = 0x03,
    /// `'a'`, or `"a"` where double quotes do not mark names.
    String = 0x04,
    /// `N'a'`: the prefix is part of the literal.
    National = 0x05,
    /// `x'41'` or `0x41`: the prefix is part of the literal.
    Hex = 0x06,
    /// `b'01'` or `0b01`: the prefix is part of the literal.
    Bit = 0x07,
    /// `?`.
    Param = 0x08,
}

impl LiteralKind {
    /// The byte that stands for a plain comment in templates; it counts as a blank.
    pub const COMMENT: u8 = 0x0E;

    /// The byte that stands for a comment which names a shard or a key; it counts as a blank, too.
    pub const HINT: u8 = 0x0F;

    /// The byte that stands for a literal of this kind in templates.
    pub fn placeholder(self) -> u8 {
        self as u8
    }

    /// The kind that a template's byte stands for, if it stands for one.
    pub fn from_placeholder(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::Integer,
            0x02 => Self::Decimal,
            0x03 => Self::Float,
            0x04 => Self::String,
            0x05 => Self::National,
            0x06 => Self::Hex,
            0x07 => Self::Bit,
            0x08 => Self::Param,
            _ => return None,
        })
    }

    /// Whether it is written as a number in decimal digits.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Float)
    }

    /// Whether it is quoted text.
    pub fn is_text(self) -> bool {
        matches!(self, Self::String | Self::National)
    }
}

/// One literal: what it is and where it stands, in the original and in the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    kind: LiteralKind,
    introducer: u8,
    continues: bool,
    start: u32,
    end: u32,
    at: u32,
}

impl Literal {
    pub(crate) fn new(kind: LiteralKind, original: Range<usize>, at: usize) -> Self {
        let (start, end) = (original.start as u32, original.end as u32);
        Literal { kind, introducer: charset_names::NONE, continues: false, start, end, at: at as u32 }
    }

    pub(crate) fn with_introducer(mut self, introducer: u8) -> Self {
        self.introducer = introducer;
        self
    }

    pub(crate) fn continuing(mut self, continues: bool) -> Self {
        self.continues = continues;
        self
    }

    /// What kind of literal it is.
    pub fn kind(&self) -> LiteralKind {
        self.kind
    }

    /// The character set that its introducer names, in lower case: `utf8mb4` for `_UTF8MB4'a'`. Only the first of adjacent
    /// strings has one; it holds for all of them.
    pub fn introducer(&self) -> Option<&'static str> {
        charset_names::name(self.introducer)
    }

    /// Whether it is a string directly after a string: `'a' 'b'` is two literals and one value, and the second one continues.
    pub fn continues(&self) -> bool {
        self.continues
    }

    /// Where its bytes are in the original, quotes and prefix (`N`, `x`, `0x`) included, the introducer not.
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Its bytes.
    pub fn text<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        &sql[self.range()]
    }

    /// Where its placeholder is in the template.
    pub fn template_at(&self) -> usize {
        self.at as usize
    }
}
