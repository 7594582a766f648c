//! How a file's character set groups bytes into characters: what LOAD DATA must know to see where fields end. It follows MySQL's own `mbcharlen` and
//! `ismbchar` (strings/ctype-*.cc), for by these MySQL reads files.

/// A character set that a file can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileCharset {
    /// Each byte is a character.
    Single,
    /// utf8mb4.
    Utf8mb4,
    /// utf8mb3.
    Utf8mb3,
    /// gbk.
    Gbk,
    /// sjis and cp932.
    Sjis,
    /// big5.
    Big5,
    /// gb18030.
    Gb18030,
    /// ujis and eucjpms.
    Ujis,
    /// euckr.
    Euckr,
    /// gb2312.
    Gb2312,
}

/// Character sets of one byte for each character.
#[rustfmt::skip]
const SINGLE: [&str; 26] = [
    "latin1", "ascii", "binary", "latin2", "latin5", "latin7", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "dec8",
    "hp8", "koi8r", "koi8u", "swe7", "greek", "hebrew", "tis620", "armscii8", "geostd8", "keybcs2", "macce", "macroman",
];

impl FileCharset {
    /// The character set of this name; `None` for one that no file can be in.
    pub fn from_name(name: &str) -> Option<FileCharset> {
        let name = name.to_ascii_lowercase();
        Some(match name.as_str() {
            "utf8mb4" => FileCharset::Utf8mb4,
            "utf8mb3" | "utf8" => FileCharset::Utf8mb3,
            "gbk" => FileCharset::Gbk,
            "sjis" | "cp932" => FileCharset::Sjis,
            "big5" => FileCharset::Big5,
            "gb18030" => FileCharset::Gb18030,
            "ujis" | "eucjpms" => FileCharset::Ujis,
            "euckr" => FileCharset::Euckr,
            "gb2312" => FileCharset::Gb2312,
            other if SINGLE.contains(&other) => FileCharset::Single,
            _ => return None,
        })
    }

    /// How many bytes a character has that begins with this one; 0: none does, or the second byte decides.
    pub(super) fn length(self, first: u8) -> usize {
        let two = |leads: bool| if leads { 2 } else { 1 };
        match self {
            FileCharset::Single => 1,
            FileCharset::Utf8mb4 | FileCharset::Utf8mb3 => match first {
                0..=0x7F => 1,
                0x80..=0xC1 => 0,
                0xC2..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xF7 if self == FileCharset::Utf8mb4 => 4,
                _ => 0,
            },
            FileCharset::Gbk | FileCharset::Euckr => two(matches!(first, 0x81..=0xFE)),
            FileCharset::Sjis => two(matches!(first, 0x81..=0x9F | 0xE0..=0xFC)),
            FileCharset::Big5 => two(matches!(first, 0xA1..=0xF9)),
            FileCharset::Gb2312 => two(matches!(first, 0xA1..=0xF7)),
            FileCharset::Gb18030 if matches!(first, 0x81..=0xFE) => 0,
            FileCharset::Gb18030 => 1,
            FileCharset::Ujis => match first {
                0xA1..=0xFE | 0x8E => 2,
                0x8F => 3,
                _ => 1,
            },
        }
    }

    /// The same where two bytes are known and the first alone said 0.
    pub(super) fn length_of_two(self, second: u8) -> usize {
        match (self, second) {
            (FileCharset::Gb18030, 0x40..=0x7E | 0x80..=0xFE) => 2,
            (FileCharset::Gb18030, b'0'..=b'9') => 4,
            _ => 0,
        }
    }

    /// Whether these bytes are text in it: as a literal that names this character set, others are an error.
    pub fn is_text(self, bytes: &[u8]) -> bool {
        let mut left = bytes;
        while let [first, rest @ ..] = left {
            let length = match (self.length(*first), rest) {
                (0, [second, ..]) => self.length_of_two(*second),
                (length, _) => length,
            };
            let is_one = match (self, length) {
                (_, 0) => false,
                (FileCharset::Single, _) => true,
                // Half-width katakana.
                (FileCharset::Sjis, 1) => matches!(first, 0..=0x7F | 0xA1..=0xDF),
                (_, 1) => first.is_ascii(),
                _ => left.get(..length).is_some_and(|character| self.is_character(character)),
            };
            if !is_one {
                return false;
            }
            left = &left[length..];
        }
        true
    }

    /// Whether these bytes, as many as the first one says, are one character.
    pub(super) fn is_character(self, bytes: &[u8]) -> bool {
        match (self, bytes) {
            (FileCharset::Utf8mb4 | FileCharset::Utf8mb3, _) => std::str::from_utf8(bytes).is_ok(),
            (FileCharset::Gbk, [_, trail]) => matches!(trail, 0x40..=0x7E | 0x80..=0xFE),
            (FileCharset::Sjis, [_, trail]) => matches!(trail, 0x40..=0x7E | 0x80..=0xFC),
            (FileCharset::Big5, [_, trail]) => matches!(trail, 0x40..=0x7E | 0xA1..=0xFE),
            (FileCharset::Euckr, [_, trail]) => matches!(trail, 0x41..=0x5A | 0x61..=0x7A | 0x81..=0xFE),
            (FileCharset::Gb2312, [_, trail]) => matches!(trail, 0xA1..=0xFE),
            (FileCharset::Gb18030, [_, trail]) => matches!(trail, 0x40..=0x7E | 0x80..=0xFE),
            (FileCharset::Gb18030, [_, b'0'..=b'9', 0x81..=0xFE, b'0'..=b'9']) => true,
            (FileCharset::Ujis, [0x8E, trail]) => matches!(trail, 0xA1..=0xDF),
            (FileCharset::Ujis, [_, trail]) => matches!(trail, 0xA1..=0xFE),
            (FileCharset::Ujis, [_, 0xA1..=0xFE, 0xA1..=0xFE]) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_or_not() {
        let cases: [(&str, &[u8], bool); 14] = [
            ("latin1", b"r\xE9sum\xE9", true),
            ("binary", b"\xFF\x00", true),
            ("utf8mb4", b"", true),
            ("utf8mb4", b"r\xC3\xA9", true),
            ("utf8mb4", b"r\xE9sum", false),
            ("utf8mb4", b"\xC3", false),
            ("utf8mb3", b"\xF0\x9F\x98\x80", false),
            ("gbk", b"a\x81\x5Cb", true),
            ("gbk", b"\x81\x20", false),
            ("gbk", b"\x80", false),
            ("sjis", b"\xB1\x95\x5C", true),
            ("gb18030", b"\x81\x30\x81\x30a", true),
            ("gb18030", b"\x90\n", false),
            ("euckr", b"\xDF\x7C\x4E", false),
        ];
        for (charset, bytes, expected) in cases {
            assert_eq!(
                FileCharset::from_name(charset).unwrap().is_text(bytes),
                expected,
                "{charset} {bytes:?}"
            );
        }
    }
}
