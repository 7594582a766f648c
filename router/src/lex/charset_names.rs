//! The character sets that can introduce a literal, as in `_latin1'x'`. Never says how to read the literal's bytes.
//!
//! `_foo'x'` is a column and its alias unless `foo` is on this list. Read next: [`super::scan`].

/// The number that stands for "no introducer".
pub(crate) const NONE: u8 = u8::MAX;

/// Every character set of MySQL 8.0 to 9.7 (`SHOW CHARACTER SET`), and the alias `utf8`.
const NAMES: [&str; 42] = [
    "utf8mb4", "binary", "latin1", "utf8", "utf8mb3", "ascii", "armscii8", "big5", "cp1250", "cp1251",
    "cp1256", "cp1257", "cp850", "cp852", "cp866", "cp932", "dec8", "eucjpms", "euckr", "gb18030", "gb2312",
    "gbk", "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin2", "latin5", "latin7",
    "macce", "macroman", "sjis", "swe7", "tis620", "ucs2", "ujis", "utf16", "utf16le", "utf32",
];

/// The number of the character set of this name, in any case.
pub(crate) fn number(name: &[u8]) -> Option<u8> {
    let at = NAMES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
    u8::try_from(at).ok()
}

/// The name behind a number.
pub(crate) fn name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied()
}
