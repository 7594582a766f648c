//! Where a record ends, where its fields are and what their values are. Follows MySQL's READ_INFO (sql/sql_load.cc) step by step, oddities included: what stands
//! behind the last wanted field is skipped without minding quotes, a line without its prefix is passed over, `\N` is NULL also between quotes.

use std::ops::Range;

use super::charset::FileCharset;

/// How a file is written, as FIELDS, LINES and CHARACTER SET say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFormat {
    /// FIELDS TERMINATED BY; not empty.
    pub field_end: Vec<u8>,
    /// LINES STARTING BY; may be empty.
    pub line_start: Vec<u8>,
    /// LINES TERMINATED BY; not empty, and not the same as `field_end`.
    pub line_end: Vec<u8>,
    /// ENCLOSED BY.
    pub enclosed: Option<u8>,
    /// ESCAPED BY.
    pub escape: Option<u8>,
    /// CHARACTER SET.
    pub charset: FileCharset,
}

/// What was found at the head of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A record.
    Record,
    /// Its end has not come yet.
    More,
    /// Nothing more: what is left, if anything, is no record.
    End,
    /// Bytes that are no text in the file's character set, which MySQL refuses.
    Malformed,
}

/// A record; used again for the next one.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// How many bytes it has, with what ends it.
    pub length: usize,
    /// Where its first field begins, behind the line's prefix.
    pub start: usize,
    fields: Vec<Field>,
    values: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Field {
    raw: Range<usize>,
    value: Range<usize>,
    is_null: bool,
}

impl Record {
    /// Where a field's bytes are in the file, quotes and escapes included; `None` if the record is too short to have it.
    pub fn raw(&self, at: usize) -> Option<Range<usize>> {
        self.fields.get(at).map(|field| field.raw.clone())
    }

    /// A field's value: `None` if the record is too short to have it, `Some(None)` for NULL.
    pub fn value(&self, at: usize) -> Option<Option<&[u8]>> {
        let field = self.fields.get(at)?;
        Some((!field.is_null).then(|| &self.values[field.value.clone()]))
    }
}

impl FileFormat {
    /// Reads the record at the head of `bytes`, of which the first `fields` fields count. `is_all`: nothing follows these bytes.
    pub fn record(&self, bytes: &[u8], is_all: bool, fields: usize, record: &mut Record) -> Next {
        let mut reader = Reader::new(self, bytes);
        record.fields.clear();
        record.values.clear();
        let found = reader.record(fields, record);
        record.length = reader.at;
        match found {
            _ if reader.ran_out && !is_all => Next::More,
            found => found,
        }
    }

    /// Passes over a line as IGNORE n LINES does: gives its length, `None` if its end is not there.
    pub fn line(&self, bytes: &[u8]) -> Option<usize> {
        let mut reader = Reader::new(self, bytes);
        reader.next_line();
        (!reader.is_at_end).then_some(reader.at)
    }
}

/// Why a field ended, or that there is none.
enum Ended {
    Field,
    None,
    Malformed,
}

struct Reader<'b> {
    format: &'b FileFormat,
    bytes: &'b [u8],
    at: usize,
    /// The end of the bytes was read: with more bytes all might be otherwise.
    ran_out: bool,
    ends_line: bool,
    is_at_end: bool,
}

impl<'b> Reader<'b> {
    fn new(format: &'b FileFormat, bytes: &'b [u8]) -> Reader<'b> {
        Reader { format, bytes, at: 0, ran_out: false, ends_line: false, is_at_end: false }
    }

    fn get(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        match byte {
            Some(_) => self.at += 1,
            None => self.ran_out = true,
        }
        byte
    }

    fn unget(&mut self) {
        self.at -= 1;
    }

    /// Whether the rest of a terminator follows, whose first byte was read; if so, it is passed.
    fn passes(&mut self, terminator: &[u8]) -> bool {
        let (wanted, there) = (&terminator[1..], &self.bytes[self.at..]);
        if there.starts_with(wanted) {
            self.at += wanted.len();
            return true;
        }
        self.ran_out |= there.len() < wanted.len() && wanted.starts_with(there);
        false
    }

    fn length(&mut self, first: u8) -> usize {
        match self.format.charset.length(first) {
            0 => match self.bytes.get(self.at) {
                Some(&second) => self.format.charset.length_of_two(second),
                None => {
                    self.ran_out = true;
                    0
                }
            },
            length => length,
        }
    }

    fn record(&mut self, fields: usize, record: &mut Record) -> Next {
        let prefix = &self.format.line_start;
        if !prefix.is_empty() {
            match memchr::memmem::find(self.bytes, prefix) {
                Some(at) => self.at = at + prefix.len(),
                None => {
                    self.ran_out = true;
                    return Next::End;
                }
            }
        }
        record.start = self.at;
        while record.fields.len() < fields {
            match self.field(record) {
                Ended::Field => {}
                Ended::None => break,
                Ended::Malformed => return Next::Malformed,
            }
        }
        if record.fields.is_empty() {
            return Next::End;
        }
        if !self.ends_line && !self.is_at_end {
            self.next_line();
        }
        Next::Record
    }

    /// Reads a field.
    fn field(&mut self, record: &mut Record) -> Ended {
        if self.ends_line {
            return Ended::None;
        }
        let start = self.at;
        let Some(first) = self.get() else {
            (self.ends_line, self.is_at_end) = (true, true);
            return Ended::None;
        };
        let from = record.values.len();
        let enclosed = self.format.enclosed.filter(|&enclosed| enclosed == first);
        match enclosed {
            Some(quote) => record.values.push(quote),
            None => self.unget(),
        }
        let mut was_null = false;
        let Some((end, was_enclosed)) = self.value(enclosed, &mut was_null, &mut record.values) else {
            return Ended::Malformed;
        };
        let value = from + usize::from(was_enclosed)..record.values.len();
        let is_word =
            !was_enclosed && self.format.enclosed.is_some() && record.values[value.clone()] == *b"NULL";
        let is_null = is_word || was_null && value.len() == 1;
        record.fields.push(Field { raw: start..end, value, is_null });
        Ended::Field
    }

    /// Reads a field's value: where its bytes end, and whether it was enclosed; `None` where it is no text.
    fn value(
        &mut self,
        enclosed: Option<u8>,
        was_null: &mut bool,
        out: &mut Vec<u8>,
    ) -> Option<(usize, bool)> {
        let format = self.format;
        let mut is_escaped = false;
        loop {
            let before = self.at;
            let Some(mut byte) = self.get() else { return Some(self.end_of_file(before)) };
            if Some(byte) == format.escape {
                let Some(next) = self.get() else {
                    out.push(byte);
                    return Some(self.end_of_file(before + 1));
                };
                if format.escape != format.enclosed || Some(next) == format.escape {
                    if self.length(next) == 1 {
                        out.push(unescaped(next, was_null));
                    } else {
                        is_escaped = true;
                        self.unget();
                    }
                    continue;
                }
                self.unget();
                byte = format.escape.unwrap_or(byte);
            }
            if enclosed.is_none() {
                if byte == format.line_end[0] && self.passes(&format.line_end) {
                    self.ends_line = true;
                    return Some((before, false));
                }
                if byte == format.field_end[0] && self.passes(&format.field_end) {
                    return Some((before, false));
                }
            } else if Some(byte) == enclosed {
                match self.closing(byte, out) {
                    Closing::Doubled => continue,
                    Closing::Closed(end) => return Some((end, true)),
                    Closing::Open => {}
                }
            }
            match self.character(byte, &mut is_escaped, was_null, out)? {
                true => {}
                false => return Some(self.end_of_file(self.bytes.len())),
            }
        }
    }

    /// What a quote in an enclosed field is.
    fn closing(&mut self, quote: u8, out: &mut Vec<u8>) -> Closing {
        let end = self.at;
        let Some(next) = self.get() else {
            (self.ends_line, self.is_at_end) = (true, true);
            return Closing::Closed(end);
        };
        if next == quote {
            out.push(quote);
            return Closing::Doubled;
        }
        if next == self.format.line_end[0] && self.passes(&self.format.line_end) {
            self.ends_line = true;
            return Closing::Closed(end);
        }
        if next == self.format.field_end[0] && self.passes(&self.format.field_end) {
            return Closing::Closed(end);
        }
        self.unget();
        Closing::Open
    }

    /// Takes the character that begins with this byte. `Some(false)`: the file ends in it; `None`: it is none.
    fn character(
        &mut self,
        first: u8,
        is_escaped: &mut bool,
        was_null: &mut bool,
        out: &mut Vec<u8>,
    ) -> Option<bool> {
        let length = match self.length(first) {
            0 => return None,
            1 => {
                out.push(first);
                return Some(true);
            }
            length => length,
        };
        let (from, back) = (out.len(), self.at);
        let mut was_changed = false;
        out.push(first);
        for _ in 1..length {
            let Some(mut byte) = self.get() else {
                out.truncate(from);
                return Some(false);
            };
            if Some(byte) == self.format.escape && *is_escaped {
                was_changed = true;
                byte = unescaped(self.get()?, was_null);
            }
            out.push(byte);
        }
        *is_escaped = false;
        if self.format.charset.is_character(&out[from..]) {
            return Some(true);
        }
        if was_changed {
            // MySQL goes on with the bytes as they were changed: not worth following.
            return None;
        }
        out.truncate(from + 1);
        self.at = back;
        Some(true)
    }

    fn end_of_file(&mut self, end: usize) -> (usize, bool) {
        (self.ends_line, self.is_at_end) = (true, true);
        (end, false)
    }

    /// Passes over what is left of a line.
    fn next_line(&mut self) {
        let format = self.format;
        while let Some(mut byte) = self.get() {
            let length = self.length(byte);
            if length > 1 {
                let mut ended = false;
                for _ in 1..length {
                    match self.get() {
                        Some(next) => byte = next,
                        None => {
                            ended = true;
                            break;
                        }
                    }
                }
                if ended {
                    break;
                }
                if Some(byte) == format.escape {
                    continue;
                }
            }
            if Some(byte) == format.escape {
                if self.get().is_none() {
                    break;
                }
                continue;
            }
            if byte == format.line_end[0] && self.passes(&format.line_end) {
                return;
            }
        }
        self.is_at_end = true;
    }
}

enum Closing {
    Doubled,
    Closed(usize),
    Open,
}

/// What stands for this byte behind the escape character.
fn unescaped(byte: u8, was_null: &mut bool) -> u8 {
    match byte {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 0x08,
        b'0' => 0,
        b'Z' => 0x1A,
        b'N' => {
            *was_null = true;
            b'N'
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(of: &str) -> FileFormat {
        let plain = FileFormat {
            field_end: b"\t".to_vec(),
            line_start: Vec::new(),
            line_end: b"\n".to_vec(),
            enclosed: None,
            escape: Some(b'\\'),
            charset: FileCharset::Utf8mb4,
        };
        let csv = FileFormat { field_end: b",".to_vec(), enclosed: Some(b'"'), ..plain.clone() };
        match of {
            "tab" => plain,
            "csv" => csv,
            "doubled" => FileFormat { escape: Some(b'"'), ..csv },
            "bare" => FileFormat { escape: None, ..csv },
            "gbk" => FileFormat { charset: FileCharset::Gbk, ..csv },
            "sjis" => FileFormat { charset: FileCharset::Sjis, ..plain },
            "long" => FileFormat { field_end: b"||".to_vec(), line_end: b"\r\n".to_vec(), ..plain },
            "prefix" => FileFormat { line_start: b"xx".to_vec(), ..csv },
            other => panic!("{other}"),
        }
    }

    /// All records in words: fields by `|`, records by `;`, `~` for NULL.
    fn read(of: &str, bytes: &[u8], fields: usize) -> String {
        let (format, mut record) = (format(of), Record::default());
        let (mut at, mut out) = (0, Vec::new());
        loop {
            match format.record(&bytes[at..], true, fields, &mut record) {
                Next::Record => {}
                Next::End => break,
                Next::Malformed => {
                    out.push("malformed".to_owned());
                    break;
                }
                Next::More => panic!("more than all"),
            }
            let shown = (0..fields).map_while(|at| record.value(at)).map(|value| match value {
                None => "~".to_owned(),
                Some(value) => String::from_utf8_lossy(value).into_owned(),
            });
            out.push(shown.collect::<Vec<_>>().join("|"));
            at += record.length;
        }
        out.join(";")
    }

    #[test]
    fn records_are_read_as_mysql_reads_them() {
        let cases: [(&str, &[u8], &str); 28] = [
            ("tab", b"1\ta\n2\tb\n", "1|a;2|b"),
            ("tab", b"1\ta\n2\tb", "1|a;2|b"),
            ("tab", b"1\ta\n\n3\tc\n", "1|a;;3|c"),
            ("tab", b"1\t\\N\n\\N\tN\n", "1|~;~|N"),
            ("tab", b"1\ta\\\nb\n2\t\\t\n", "1|a\nb;2|\t"),
            ("tab", b"1\ta\tx\ty\n2\tb\n", "1|a;2|b"),
            ("tab", b"1\n2\t\n3", "1;2|;3"),
            ("tab", b"1\t", "1"),
            ("tab", b"1\ta\\", "1|a\\"),
            ("csv", b"1,\"a,b\"\n\"2\",\"c\"\"d\"\n", "1|a,b;2|c\"d"),
            ("csv", b"1,\"a\nb\"\n2,c\n", "1|a\nb;2|c"),
            ("csv", b"1,NULL\n2,\"NULL\"\n3,\"\\N\"\n", "1|~;2|NULL;3|~"),
            ("csv", b"1,\"a\"b\"\n", "1|a\"b"),
            ("csv", b"1,\"open\n2,b\n", "1|\"open\n2,b\n"),
            ("csv", b"1,\"a\\\"b\"\n2,a\"b\n", "1|a\"b;2|a\"b"),
            ("csv", b"1,a,\"x\ny\"\n", "1|a;y\""),
            ("doubled", b"\"fie\"\"ld1\",\"field2\"\n", "fie\"ld1|field2"),
            ("bare", b"1,\"a\\\"\n2,\\N\n", "1|a\\;2|\\N"),
            ("gbk", b"1,\"\x81\x5C\"\n2,\x81\x22\n", "1|\u{fffd}\\;2|\u{fffd}\""),
            ("sjis", b"1\t\x95\x5C\n2\t\xB1\\\n3\n", "1|\u{fffd}\\;2|\u{fffd}\n3"),
            ("tab", b"1\t\xE4\xB8\xAD\n2\t\xE4ab\n", "1|\u{4e2d};2|\u{fffd}ab"),
            ("tab", b"1\ta\n2\t\x80\n", "1|a;malformed"),
            ("long", b"1|a||b\r\n2||c\rd\r\n", "1|a|b;2|c\rd"),
            ("long", b"1||b||", "1|b"),
            ("prefix", b"xx1,a\nyy2,b\nzzxx3,c\n", "1|a;3|c"),
            ("prefix", b"nothing\n", ""),
            ("tab", b"", ""),
            ("csv", b"\"\",\"\"\n", "|"),
        ];
        for (of, bytes, expected) in cases {
            let shown = String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(read(of, bytes, 2), expected, "{of} {shown:?}");
        }
    }

    #[test]
    fn a_record_that_comes_in_pieces_is_the_same_record() {
        let files: [(&str, &[u8]); 6] = [
            ("csv", b"1,\"a\"\"b\"\n2,\"c\nd\",x,\"y\"\n3"),
            ("long", b"1||a\r\n2|b||\r\n||\r\n"),
            ("prefix", b"abxx1,\"x\"\nyyxx2,b\n"),
            ("gbk", b"1,\x81\x5C\n2,\"\x81\x22\"\n"),
            ("tab", b"1\t\\N\n\\\xE4\xB8\xAD\tb\\\n\n"),
            ("doubled", b"\"a\"\"\",\"b\"\n\"c\",d\n"),
        ];
        for (of, bytes) in files {
            let format = format(of);
            let (mut whole, mut part) = (Record::default(), Record::default());
            let mut at = 0;
            while format.record(&bytes[at..], true, 2, &mut whole) == Next::Record {
                for end in at..bytes.len() {
                    match format.record(&bytes[at..end], false, 2, &mut part) {
                        Next::More => {}
                        Next::Record => {
                            assert_eq!(part.length, whole.length, "{of} {at}..{end}");
                            assert_eq!(part.values, whole.values, "{of} {at}..{end}");
                        }
                        other => panic!("{of} {at}..{end}: {other:?}"),
                    }
                }
                at += whole.length;
            }
        }
    }

    #[test]
    fn a_fields_bytes_are_known_with_their_quotes() {
        let mut record = Record::default();
        assert_eq!(format("csv").record(b"1,\"a\\\"b\",c\n", true, 3, &mut record), Next::Record);
        assert_eq!(record.raw(1), Some(2..8));
        assert_eq!(record.raw(2), Some(9..10));
        assert_eq!(record.raw(3), None);
    }

    #[test]
    fn lines_are_passed_over_without_minding_quotes() {
        assert_eq!(format("csv").line(b"a,\"b\nc\"\n"), Some(5));
        assert_eq!(format("tab").line(b"a\\\nb\nc"), Some(5));
        assert_eq!(format("long").line(b"a\nb"), None);
    }
}
