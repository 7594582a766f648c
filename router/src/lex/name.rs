//! The text of a name token. Never folds case, never guesses at an encoding.
//!
//! Read next: [`super::token`].

use std::borrow::Cow;

use super::token::{Token, TokenKind};
use crate::charset::ClientCharset;
use crate::sql_mode::SqlMode;

/// The text of a word, a quoted name or a user variable (without its `@`): unquoted and as UTF-8. None where the token is no name or
/// its bytes cannot be read with certainty in the client's character set.
pub fn name_text<'a>(
    token: &Token,
    template: &'a [u8],
    mode: SqlMode,
    charset: ClientCharset,
) -> Option<Cow<'a, str>> {
    let text = token.text(template);
    match token.kind {
        TokenKind::Word => decode(Cow::Borrowed(text), charset),
        TokenKind::QuotedName => decode(unquote(text, charset, false)?, charset),
        TokenKind::UserVariable => {
            let name = &text[1..];
            match name.first() {
                Some(b'`') => decode(unquote(name, charset, false)?, charset),
                Some(b'\'' | b'"') => {
                    decode(unquote(name, charset, !mode.contains(SqlMode::NO_BACKSLASH_ESCAPES))?, charset)
                }
                _ => decode(Cow::Borrowed(name), charset),
            }
        }
        _ => None,
    }
}

/// The text of a string literal as it stands in a statement, without introducer: unquoted and as UTF-8. None where its bytes cannot be read with
/// certainty in the client's character set.
pub fn literal_text(text: &[u8], mode: SqlMode, charset: ClientCharset) -> Option<Cow<'_, str>> {
    let quoted = match text {
        [b'N' | b'n', rest @ ..] => rest,
        text => text,
    };
    decode(unquote(quoted, charset, !mode.contains(SqlMode::NO_BACKSLASH_ESCAPES))?, charset)
}

/// The inside of quotes, doubled quotes and escapes undone.
fn unquote(text: &[u8], charset: ClientCharset, backslash: bool) -> Option<Cow<'_, [u8]>> {
    let (&quote, rest) = text.split_first()?;
    let inside = rest.strip_suffix(&[quote])?;
    let escapes = inside.contains(&quote) || (backslash && inside.contains(&b'\\'));
    if !escapes {
        return Some(Cow::Borrowed(inside));
    }
    let mut out = Vec::with_capacity(inside.len());
    let mut i = 0;
    while let Some(&byte) = inside.get(i) {
        let len = charset.char_len(&inside[i..]);
        if len > 1 {
            out.extend_from_slice(&inside[i..i + len]);
            i += len;
        } else if byte == quote {
            out.push(quote);
            i += 2;
        } else if byte == b'\\' && backslash {
            out.push(escaped(*inside.get(i + 1)?));
            i += 2;
        } else {
            out.push(byte);
            i += 1;
        }
    }
    Some(Cow::Owned(out))
}

/// The character that a backslash and this byte stand for.
fn escaped(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'r' => b'\r',
        b'Z' => 0x1A,
        other => other,
    }
}

fn decode(bytes: Cow<'_, [u8]>, charset: ClientCharset) -> Option<Cow<'_, str>> {
    let readable = match charset {
        _ if bytes.is_ascii() => true,
        ClientCharset::Utf8 => true,
        // Where latin1 and Unicode differ (0x80 to 0x9F) nothing is certain.
        ClientCharset::Latin1 if bytes.iter().all(|byte| !matches!(byte, 0x80..=0x9F)) => {
            return Some(bytes.iter().map(|&byte| char::from(byte)).collect::<String>().into());
        }
        _ => false,
    };
    match bytes {
        _ if !readable => None,
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}
