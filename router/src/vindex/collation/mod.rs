//! The collations that a sharding key may have, and the canonical form of a text under each. Never orders texts, never converts to
//! a character set that a key cannot have.
//!
//! The form is a sequence of weights, equal for all texts that MySQL takes for equal. It may be coarser than MySQL's equality,
//! never finer: `as_cs` and `as_ci` share the primary weights of `ai_ci`, and trailing blanks never count, since PAD SPACE
//! collations ignore them and CHAR columns drop them. It is the concatenation of each character's weights, which is right because
//! none of these collations has contractions; that was tried for every pair of assigned characters on a real server
//! (`tests/tests/vindex_equality` repeats a part of it). Read next: [`weights`], the tables.

mod latin1;
mod weights;

use self::weights::{Table, tables};
use super::canonical::CanonicalForm;
use super::value::TextCharset;

/// The weight of a blank where a character weighs what its code point says.
const CODE_POINT_BLANK: u16 = b' ' as u16;

/// A collation of the allow-list.
#[derive(Clone, Copy)]
pub(super) struct Collation {
    charset: TextCharset,
    /// `None`: each character weighs what its code point says.
    table: Option<&'static Table>,
}

/// The names on the allow-list, for messages.
pub(super) const ALLOWED: &str = "binary, utf8mb4_0900_ai_ci, utf8mb4_0900_as_ci, utf8mb4_0900_as_cs, \
     utf8mb4_0900_bin, utf8mb4_general_ci, utf8mb4_unicode_ci, utf8mb4_unicode_520_ci, utf8mb4_bin, \
     utf8mb3_general_ci, utf8mb3_unicode_ci, utf8mb3_bin, latin1_swedish_ci, latin1_general_ci, latin1_general_cs, \
     latin1_bin, ascii_general_ci, ascii_bin";

impl Collation {
    /// The collation of this name, if keys may have it.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        let table: Option<&'static Table> = match name {
            "utf8mb4_0900_ai_ci" | "utf8mb4_0900_as_ci" | "utf8mb4_0900_as_cs" => Some(&tables::UCA_900),
            "utf8mb4_unicode_520_ci" => Some(&tables::UCA_520),
            "utf8mb4_unicode_ci" | "utf8mb3_unicode_ci" | "utf8_unicode_ci" => Some(&tables::UCA_400),
            "utf8mb4_general_ci" | "utf8mb3_general_ci" | "utf8_general_ci" | "ascii_general_ci" => {
                Some(&tables::GENERAL)
            }
            "latin1_swedish_ci" => Some(&tables::LATIN1_SWEDISH),
            "latin1_general_ci" => Some(&tables::LATIN1_GENERAL_CI),
            "latin1_general_cs" => Some(&tables::LATIN1_GENERAL_CS),
            "utf8mb4_0900_bin" | "utf8mb4_bin" | "utf8mb3_bin" | "utf8_bin" | "latin1_bin" | "ascii_bin" => {
                None
            }
            _ => return None,
        };
        Some(Collation { charset: TextCharset::of_collation(name), table })
    }

    /// The character set of columns of this collation.
    pub(super) fn charset(self) -> TextCharset {
        self.charset
    }

    /// Writes the canonical form of a text. Nothing where the text is not well-formed, cannot be read, or has a character that the
    /// column's character set lacks: what the form then holds is of no use.
    pub(super) fn write(self, bytes: &[u8], charset: TextCharset, form: &mut CanonicalForm) -> Option<()> {
        let blank = self.table.map_or(CODE_POINT_BLANK, Table::blank);
        let mut writer = Writer { form, blank, blanks: 0 };
        if bytes.is_ascii() && charset != TextCharset::Opaque {
            match self.table {
                Some(table) => bytes.iter().for_each(|&byte| writer.ascii(table, byte)),
                None => bytes.iter().for_each(|&byte| writer.weight(u16::from(byte))),
            }
        } else {
            for_each_char(bytes, charset, |character| {
                has_character(self.charset, character).then(|| writer.character(self.table, character))
            })?;
        }
        form.end_text();
        Some(())
    }
}

/// Weights on their way into the form: those of blanks wait until another one follows.
struct Writer<'f> {
    form: &'f mut CanonicalForm,
    blank: u16,
    blanks: u32,
}

impl Writer<'_> {
    #[inline]
    fn ascii(&mut self, table: &Table, byte: u8) {
        match table.ascii(byte) {
            Table::IGNORED => {}
            weight => self.weight(weight),
        }
    }

    fn character(&mut self, table: Option<&Table>, character: char) {
        match table {
            Some(table) => table.for_each_weight(character, |weight| self.weight(weight)),
            None => character.encode_utf16(&mut [0; 2]).iter().for_each(|&unit| self.weight(unit)),
        }
    }

    #[inline]
    fn weight(&mut self, weight: u16) {
        if weight == self.blank {
            self.blanks += 1;
            return;
        }
        for _ in 0..std::mem::take(&mut self.blanks) {
            self.form.weight(self.blank);
        }
        self.form.weight(weight);
    }
}

/// How many characters a text has; nothing where it is not well-formed or cannot be read.
pub(super) fn char_count(bytes: &[u8], charset: TextCharset) -> Option<usize> {
    let mut count = 0;
    for_each_char(bytes, charset, |_| {
        count += 1;
        Some(())
    })?;
    Some(count)
}

/// Calls `visit` with each character until it returns nothing.
fn for_each_char(
    bytes: &[u8],
    charset: TextCharset,
    mut visit: impl FnMut(char) -> Option<()>,
) -> Option<()> {
    match charset {
        TextCharset::Utf8mb4 => std::str::from_utf8(bytes).ok()?.chars().try_for_each(visit),
        TextCharset::Utf8mb3 => std::str::from_utf8(bytes)
            .ok()?
            .chars()
            .try_for_each(|character| has_character(charset, character).then(|| visit(character))?),
        TextCharset::Latin1 => bytes.iter().try_for_each(|&byte| visit(latin1::to_char(byte))),
        TextCharset::Ascii | TextCharset::AsciiSuperset => {
            bytes.is_ascii().then(|| bytes.iter().try_for_each(|&byte| visit(char::from(byte))))?
        }
        TextCharset::Binary | TextCharset::Opaque => None,
    }
}

fn has_character(charset: TextCharset, character: char) -> bool {
    match charset {
        TextCharset::Utf8mb4 => true,
        TextCharset::Utf8mb3 => u32::from(character) < 0x1_0000,
        TextCharset::Latin1 => latin1::has(character),
        _ => character.is_ascii(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(collation: &str, text: &str) -> Option<u64> {
        let mut form = CanonicalForm::new();
        Collation::by_name(collation).unwrap().write(text.as_bytes(), TextCharset::Utf8mb4, &mut form)?;
        Some(form.xxh3())
    }

    #[test]
    fn texts_that_mysql_takes_for_equal_have_one_form() {
        let cases = [
            ("utf8mb4_0900_ai_ci", vec!["a", "A", "á", "a\u{301}", "a\u{200d}", "ａ", "a  "]),
            ("utf8mb4_0900_ai_ci", vec!["straße", "STRASSE", "Strasse"]),
            ("utf8mb4_0900_as_cs", vec!["é", "e\u{301}"]),
            ("utf8mb4_0900_ai_ci", vec!["가", "\u{1100}\u{1161}"]),
            ("utf8mb4_unicode_ci", vec!["ß", "ss", "SS  ", "ss\u{a0}"]),
            ("utf8mb4_general_ci", vec!["ß", "s", "S  "]),
            ("utf8mb4_general_ci", vec!["😀", "😁"]),
            ("latin1_swedish_ci", vec!["ü", "y", "Y "]),
            ("utf8mb4_bin", vec!["a", "a  "]),
        ];
        for (collation, texts) in cases {
            for text in &texts {
                assert_eq!(form(collation, text), form(collation, texts[0]), "{text} under {collation}");
            }
        }
    }

    #[test]
    fn other_texts_have_another_form() {
        let cases = [
            ("utf8mb4_0900_ai_ci", "a", "b"),
            ("utf8mb4_0900_ai_ci", "😀", "😁"),
            ("utf8mb4_0900_ai_ci", "가", "각"),
            ("utf8mb4_0900_ai_ci", "中", "丰"),
            ("utf8mb4_0900_ai_ci", " a", "a"),
            ("utf8mb4_bin", "a", "A"),
            ("utf8mb4_0900_bin", "😀", "😁"),
            ("latin1_general_cs", "a", "A"),
            ("latin1_bin", "€", "\u{80}"),
        ];
        for (collation, left, right) in cases {
            assert_ne!(form(collation, left), form(collation, right), "{left} {right} under {collation}");
        }
    }

    #[test]
    fn texts_that_the_column_cannot_hold_have_no_form() {
        for (collation, text) in
            [("latin1_bin", "中"), ("ascii_bin", "é"), ("utf8mb3_bin", "😀"), ("latin1_bin", "\u{80}")]
        {
            assert_eq!(form(collation, text), None, "{text} under {collation}");
        }
        let mut form = CanonicalForm::new();
        let collation = Collation::by_name("utf8mb4_bin").unwrap();
        for charset in
            [TextCharset::Utf8mb4, TextCharset::Ascii, TextCharset::AsciiSuperset, TextCharset::Opaque]
        {
            assert_eq!(collation.write(b"\xff", charset, &mut form), None, "{charset:?}");
        }
    }

    #[test]
    fn every_name_that_messages_list_is_allowed() {
        for name in ALLOWED.split(", ").filter(|&name| name != "binary") {
            assert!(Collation::by_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_ascii_path_gives_the_form_of_the_table_path() {
        let ascii: Vec<u8> = (0..128).collect();
        for name in ALLOWED.split(", ").filter_map(|name| Collation::by_name(name).map(|_| name)) {
            let collation = Collation::by_name(name).unwrap();
            let mut fast = CanonicalForm::new();
            collation.write(&ascii, TextCharset::Utf8mb4, &mut fast).unwrap();
            let mut slow = CanonicalForm::new();
            let mut writer = Writer {
                form: &mut slow,
                blank: collation.table.map_or(CODE_POINT_BLANK, Table::blank),
                blanks: 0,
            };
            ascii.iter().for_each(|&byte| writer.character(collation.table, char::from(byte)));
            slow.end_text();
            assert_eq!(fast.xxh3(), slow.xxh3(), "{name}");
        }
    }
}
