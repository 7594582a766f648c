//! What a client's character set means for reading its bytes. Never converts text.
//!
//! In four families a byte of a multi-byte character may be 0x5C (a backslash) or 0x60 (a backtick): a lexer that does not know
//! would see a quote end where MySQL sees none. Read next: [`crate::lex`].

/// How many bytes the longest character of the four dangerous families has.
const GB18030_LONG: usize = 4;

/// `character_set_client`, as far as it matters for finding where literals end and what names read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientCharset {
    /// utf8mb4 and utf8mb3.
    #[default]
    Utf8,
    /// ascii: bytes from 0x80 on are no text.
    Ascii,
    /// latin1 (cp1252).
    Latin1,
    /// binary: bytes without a meaning as text.
    Binary,
    /// gbk: trail bytes from 0x40.
    Gbk,
    /// sjis and cp932: trail bytes from 0x40.
    Sjis,
    /// big5: trail bytes from 0x40.
    Big5,
    /// gb18030: trail bytes from 0x40, or four bytes with digits.
    Gb18030,
    /// Any other: each byte below 0x80 stands for itself wherever it stands.
    Other,
}

impl ClientCharset {
    /// The family that a character set's name belongs to.
    pub fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "utf8mb4" | "utf8mb3" | "utf8" => ClientCharset::Utf8,
            "ascii" => ClientCharset::Ascii,
            "latin1" => ClientCharset::Latin1,
            "binary" => ClientCharset::Binary,
            "gbk" => ClientCharset::Gbk,
            "sjis" | "cp932" => ClientCharset::Sjis,
            "big5" => ClientCharset::Big5,
            "gb18030" => ClientCharset::Gb18030,
            _ => ClientCharset::Other,
        }
    }

    /// Whether a byte below 0x80 may be part of a multi-byte character.
    pub fn has_low_trail_bytes(self) -> bool {
        matches!(self, Self::Gbk | Self::Sjis | Self::Big5 | Self::Gb18030)
    }

    /// The length of the character at the start of `bytes` (which is not empty): more than 1 only in the families where
    /// [`has_low_trail_bytes`](Self::has_low_trail_bytes) holds, and only for a whole, valid character.
    pub fn char_len(self, bytes: &[u8]) -> usize {
        let &[lead, ref rest @ ..] = bytes else { return 1 };
        let Some(&trail) = rest.first() else { return 1 };
        let (leads, trails) = match self {
            Self::Gbk => (matches!(lead, 0x81..=0xFE), matches!(trail, 0x40..=0x7E | 0x80..=0xFE)),
            Self::Sjis => {
                (matches!(lead, 0x81..=0x9F | 0xE0..=0xFC), matches!(trail, 0x40..=0x7E | 0x80..=0xFC))
            }
            Self::Big5 => (matches!(lead, 0xA1..=0xF9), matches!(trail, 0x40..=0x7E | 0xA1..=0xFE)),
            Self::Gb18030 => {
                if matches!(lead, 0x81..=0xFE) && is_gb18030_long(rest) {
                    return GB18030_LONG;
                }
                (matches!(lead, 0x81..=0xFE), matches!(trail, 0x40..=0x7E | 0x80..=0xFE))
            }
            _ => return 1,
        };
        if leads && trails { 2 } else { 1 }
    }
}

fn is_gb18030_long(rest: &[u8]) -> bool {
    matches!(rest, [b'0'..=b'9', 0x81..=0xFE, b'0'..=b'9', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_the_length_that_their_family_gives_them() {
        let cases: [(&str, &[u8], usize); 12] = [
            ("utf8mb4", b"\xE4\xB8\xAD", 1),
            ("latin1", b"\x81\x5C", 1),
            ("gbk", b"\x81\x5C'", 2),
            ("gbk", b"\x81'", 1),
            ("gbk", b"\x81", 1),
            ("gbk", b"\\'", 1),
            ("sjis", b"\x95\x5C", 2),
            ("cp932", b"\xB1\x5C", 1),
            ("big5", b"\xA5\x5C", 2),
            ("big5", b"\x85\x5C", 1),
            ("gb18030", b"\x81\x30\x81\x30", 4),
            ("gb18030", b"\x81\x5C", 2),
        ];
        for (name, bytes, len) in cases {
            assert_eq!(ClientCharset::from_name(name).char_len(bytes), len, "{name} {bytes:02x?}");
        }
    }
}
