//! What the values of a query's columns may be, beyond what their definitions in its answer say: in which character sets texts were, and whether bytes are numbers
//! where a number is wanted.

use podway_model::{Column, ColumnType};

use crate::LiteralKind;
use crate::plan::bind::{Binding, Bound, Place};
use crate::plan::sketch::parts::{Role, Run};
use crate::plan::tokens::{Class, Tokens};

/// How far the texts of a query are the same in UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// They are in UTF-8 themselves.
    Utf8,
    /// Each letter has one place in Unicode, and comes back from there; ASCII's have ASCII's bytes.
    Single,
    /// Each letter has one place in Unicode, but its bytes are others.
    Wide,
    /// Some letters may have no place in Unicode of their own.
    Unknown,
}

/// Character sets of which each letter has one place in Unicode, and comes back from there.
const SINGLE: [&str; 3] = ["latin1", "ascii", "binary"];
const UTF8: [&str; 3] = ["utf8mb4", "utf8mb3", "utf8"];
const WIDE: [&str; 4] = ["ucs2", "utf16", "utf16le", "utf32"];
/// What the texts of the query in `run` may be.
pub(super) fn texts(binding: &Binding<'_>, run: Run) -> Texts {
    let sources = binding.sources.iter().zip(&binding.sketch.sources);
    let read = sources.filter(|(_, source)| source.role != Role::Insert).map(|(bound, _)| of_table(bound));
    let own = of_collation(binding.ctx.collation);
    read.chain([own, of_words(binding.t, run)]).max_by_key(|texts| *texts as u8).unwrap_or(Texts::Unknown)
}

/// What character sets the query's own words bring in.
fn of_words(t: &Tokens<'_>, run: Run) -> Texts {
    let of_token = |at: usize| match t.class(at) {
        // An introducer is a part of its literal.
        Class::Literal(..) => {
            let text = String::from_utf8_lossy(t.slice(t.start(at), t.end(at))).to_ascii_lowercase();
            let introducer = text.strip_prefix('_').map(|rest| {
                rest.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default()
            });
            introducer.map_or(Texts::Utf8, of_charset)
        }
        Class::Word => match t.text(at) {
            "ASCII" => Texts::Single,
            "UNICODE" => Texts::Wide,
            "USING" if t.is(at + 1, "(") => Texts::Utf8,
            "USING" | "CHARSET" => of_name(t, at + 1),
            "SET" if at > 0 && matches!(t.text(at - 1), "CHARACTER" | "CHAR") => of_name(t, at + 1),
            _ => Texts::Utf8,
        },
        _ => Texts::Utf8,
    };
    (run.first..run.end).map(of_token).max_by_key(|texts| *texts as u8).unwrap_or(Texts::Utf8)
}

fn of_name(t: &Tokens<'_>, at: usize) -> Texts {
    t.name(at).map_or(Texts::Unknown, |name| of_charset(&name.to_ascii_lowercase()))
}

fn of_table(bound: &Bound) -> Texts {
    if matches!(bound.place, Place::Derived) {
        return Texts::Utf8;
    }
    let Some(columns) = bound.columns() else { return Texts::Unknown };
    columns.iter().map(of_column).max_by_key(|texts| *texts as u8).unwrap_or(Texts::Utf8)
}

fn of_column(column: &Column) -> Texts {
    use ColumnType::*;
    let is_text = matches!(column.column_type, Char(_) | Varchar(_) | Text(_) | Enum | Set);
    match column.collation.as_deref() {
        Some(collation) => of_collation(collation),
        None if is_text => Texts::Unknown,
        None => Texts::Utf8,
    }
}

fn of_collation(collation: &str) -> Texts {
    of_charset(collation.split('_').next().unwrap_or(collation))
}

fn of_charset(charset: &str) -> Texts {
    match charset {
        utf8 if UTF8.contains(&utf8) => Texts::Utf8,
        single if SINGLE.contains(&single) => Texts::Single,
        wide if WIDE.contains(&wide) => Texts::Wide,
        _ => Texts::Unknown,
    }
}

/// Whether the query in `run` has literals of bytes that are numbers where a number is wanted: `0x31`, `b'1'`.
pub(super) fn has_number_literals(t: &Tokens<'_>, run: Run) -> bool {
    let is_one = |at| matches!(t.class(at), Class::Literal(_, LiteralKind::Hex | LiteralKind::Bit));
    (run.first..run.end).any(is_one)
}
