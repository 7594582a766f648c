//! MySQL's latin1: cp1252, with its five holes filled by the control characters of the same number. Never another 8-bit set.
//!
//! Read next: [`super`].

/// What the bytes from 0x80 to 0x9F stand for.
const HIGH_CONTROLS: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2c6}',
    '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}', '\u{90}', '\u{2018}',
    '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}',
    '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

/// The character that a byte stands for.
pub(super) fn to_char(byte: u8) -> char {
    match byte {
        0x80..=0x9F => HIGH_CONTROLS[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// Whether a byte stands for the character.
pub(super) fn has(character: char) -> bool {
    matches!(u32::from(character), 0..=0x7F | 0xA0..=0xFF) || HIGH_CONTROLS.contains(&character)
}
