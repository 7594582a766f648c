//! LOAD DATA LOCAL over several shards, with its values: how the file is written, where each record goes, what a shard is told. Read next: [`super::scatter`], which
//! says when that may be.

use podway_model::{Keyspace, ShardIndex};

use super::plan::Plan;
use super::rewrite::Facts;
use super::scatter::{FieldPlace, Load, LoadCharset};
use crate::vindex::{
    CounterValue, InsertId, TextCharset, ValueContext, counter_value, keyspace_id_for_insert, literal_value,
};
use crate::{
    FileCharset, FileFormat, KeyValue, Normalised, Record, RouterError, SqlMode, TemplateSpan, Want,
};

/// What a LOAD DATA says of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFile {
    /// Its name, as the client is asked for it.
    pub name: Vec<u8>,
    /// How it is written.
    pub format: FileFormat,
    /// Its character set's name.
    pub charset: String,
    /// How many lines at its head are passed over.
    pub skipped: u64,
}

impl Plan {
    /// The character set that the statement names for its file; `None`: it is the current database's.
    pub fn load_charset(&self, load: &Load, text: (&[u8], &Normalised)) -> Option<String> {
        match &load.charset {
            LoadCharset::OfDatabase => None,
            LoadCharset::Named(name) => Some(name.to_ascii_lowercase()),
            LoadCharset::Literal(literal) => {
                let name = self.load_bytes(text, *literal).unwrap_or_default();
                Some(String::from_utf8_lossy(&name).to_ascii_lowercase())
            }
        }
    }

    /// What the statement says of its file, which is in this character set.
    pub fn load_file(
        &self,
        load: &Load,
        text: (&[u8], &Normalised),
        charset: &str,
    ) -> Result<LoadFile, RouterError> {
        let refused = |what: &str| {
            let table = &load.table.name;
            RouterError::unsupported(format_args!(
                "LOAD DATA into the table {table} over several shards, {what}"
            ))
        };
        let mark = |literal: Option<u32>, default: &[u8]| match literal {
            None => Ok(default.to_vec()),
            Some(literal) => self
                .load_bytes(text, literal)
                .filter(|bytes| bytes.is_ascii())
                .ok_or_else(|| refused("with separators outside ASCII")),
        };
        let marks = &load.marks;
        let escapes = !self.values.sql_mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
        let (field_end, line_end) = (mark(marks.field_end, b"\t")?, mark(marks.line_end, b"\n")?);
        let line_start = mark(marks.line_start, b"")?;
        let escape = mark(marks.escape, if escapes { b"\\" } else { b"" })?;
        let enclosed = mark(marks.enclosed, b"")?;
        if field_end.is_empty() || line_end.is_empty() || field_end == line_end {
            return Err(refused("where fields or lines have no terminator of their own"));
        }
        if load.counter.is_some() {
            let mut signs = [&field_end, &line_end, &escape, &enclosed].into_iter().flatten();
            if signs.any(u8::is_ascii_digit) {
                return Err(refused("with digits as separators, where a number may be put in"));
            }
        }
        let file_charset = FileCharset::from_name(charset)
            .ok_or_else(|| refused(&format!("from a file in the character set {charset}")))?;
        let number = load.skipped.map(|at| self.load_literal(text, at));
        let skipped = match number {
            None => 0,
            Some(KeyValue::Int(number)) => number.unsigned_abs(),
            Some(KeyValue::UInt(number)) => number,
            Some(_) => return Err(refused("with this number of lines to ignore")),
        };
        let name = self.load_bytes(text, load.file).ok_or_else(|| refused("from a file of this name"))?;
        let format = FileFormat {
            field_end,
            line_start,
            line_end,
            enclosed: enclosed.first().copied(),
            escape: escape.first().copied(),
            charset: file_charset,
        };
        Ok(LoadFile { name, format, charset: charset.to_owned(), skipped })
    }

    fn load_literal<'s>(&self, (sql, n): (&'s [u8], &Normalised), literal: u32) -> KeyValue<'s> {
        let context = ValueContext {
            sql_mode: self.values.sql_mode,
            charset: self.values.charset,
            collation: &self.values.collation,
        };
        literal_value(sql, n.literals(), literal as usize, &context)
    }

    fn load_bytes(&self, text: (&[u8], &Normalised), literal: u32) -> Option<Vec<u8>> {
        match self.load_literal(text, literal) {
            KeyValue::Text { bytes, .. } | KeyValue::Bytes(bytes) | KeyValue::HexOrBit(bytes) => {
                Some(bytes.into_owned())
            }
            _ => None,
        }
    }

    /// Appends the statement as a shard is given it: for a file of records alone, each of which begins with the cluster's number, where it has none of its own.
    pub fn load_text(
        &self,
        load: &Load,
        charset: &str,
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) {
        let text = &load.text;
        self.rewrite_span(TemplateSpan { start: 0, end: text.head }, sql, n, facts, out);
        if load.charset == LoadCharset::OfDatabase {
            out.extend_from_slice(format!(" CHARACTER SET {charset}").as_bytes());
        }
        self.rewrite_span(TemplateSpan { start: text.head, end: text.skipped.start }, sql, n, facts, out);
        self.rewrite_span(TemplateSpan { start: text.skipped.end, end: text.columns }, sql, n, facts, out);
        out.extend_from_slice(match load.counter {
            Some(FieldPlace::Number) => &text.with_number,
            _ => &text.without,
        });
        self.rewrite_end(text.columns, sql, n, facts, out);
    }
}

impl Load {
    /// What a record wants of the table's numbers.
    pub fn wanted_number(&self, record: &Record, charset: &str, mode: SqlMode) -> Result<Want, RouterError> {
        let Some(counter) = self.table.counter() else { return Ok(Want::Nothing) };
        let value = match self.counter {
            None => return Ok(Want::Nothing),
            Some(FieldPlace::Number) => return Ok(Want::Next),
            Some(FieldPlace::Field(at)) => value_of(record, at, charset),
        };
        match counter_value(counter.column, &value, mode - SqlMode::STRICT) {
            CounterValue::Generated => Ok(Want::Next),
            CounterValue::Number(number) => Ok(u64::try_from(number)
                .ok()
                .filter(|number| *number > 0)
                .map_or(Want::Nothing, Want::Explicit)),
            CounterValue::Refused | CounterValue::Uncertain => Err(RouterError::unsupported(format_args!(
                "a value for the AUTO_INCREMENT column {} of {} that only MySQL can tell, in a file for several shards",
                counter.column.name, self.table.name
            ))),
        }
    }

    /// The shard of a record that was given this number, if it was given one.
    pub fn shard(
        &self,
        keyspace: &Keyspace,
        (record, number): (&Record, Option<u64>),
        charset: &str,
        mode: SqlMode,
    ) -> Result<ShardIndex, RouterError> {
        let of = |place: &FieldPlace| match (*place, number) {
            (FieldPlace::Field(at), Some(number)) if self.counter == Some(FieldPlace::Field(at)) => {
                KeyValue::UInt(number)
            }
            (FieldPlace::Field(at), _) => value_of(record, at, charset),
            (FieldPlace::Number, number) => number.map_or(KeyValue::Unknown, KeyValue::UInt),
        };
        // A value that does not fit is changed, with LOCAL, and only MySQL can say to what.
        match keyspace_id_for_insert(&self.table, self.key.iter().map(of), mode - SqlMode::STRICT) {
            InsertId::Id(id) => Ok(keyspace.shard_of(id)),
            InsertId::Refused | InsertId::Generated | InsertId::Uncertain => {
                Err(RouterError::unsupported(format_args!(
                    "a sharding key of {} whose stored form only MySQL can tell, in a file for several shards",
                    self.table.name
                )))
            }
        }
    }

    /// Appends a record's bytes, with the number that it was given.
    pub fn put_record(
        &self,
        (bytes, record): (&[u8], &Record),
        number: Option<u64>,
        field_end: &[u8],
        out: &mut Vec<u8>,
    ) {
        let at = match (self.counter, number) {
            (Some(FieldPlace::Field(at)), Some(_)) => record.raw(at),
            (Some(FieldPlace::Number), Some(_)) => Some(record.start..record.start),
            _ => None,
        };
        let (Some(at), Some(number)) = (at, number) else { return out.extend_from_slice(bytes) };
        out.extend_from_slice(&bytes[..at.start]);
        out.extend_from_slice(number.to_string().as_bytes());
        if self.counter == Some(FieldPlace::Number) {
            out.extend_from_slice(field_end);
        }
        out.extend_from_slice(&bytes[at.end..]);
    }
}

fn value_of<'r>(record: &'r Record, at: usize, charset: &str) -> KeyValue<'r> {
    match record.value(at) {
        None => KeyValue::Unknown,
        Some(None) => KeyValue::Null,
        Some(Some(bytes)) => match TextCharset::from_name(charset) {
            // Bytes that stand for themselves in every column's character set, and read as numbers and times: mysqlimport's files are binary.
            TextCharset::Binary if bytes.is_ascii() => KeyValue::text(bytes, TextCharset::Ascii),
            charset => KeyValue::text(bytes, charset),
        },
    }
}
