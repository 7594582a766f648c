//! Bodies of triggers and other stored programs as words, for what is asked of them without knowing SQL. In doubt a body does what is asked about.

use std::iter::Peekable;
use std::str::Chars;

use podway_model::Name;

/// A word of a body, or a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// A name or a word of the language.
    Name(String),
    /// A text in double quotes, which may be a name.
    Quoted(String),
    /// A text in single quotes.
    Text,
    Sign(char),
}

/// Whether a BEFORE trigger with this body may set a column of its row: `SET NEW.column =`, also as one of several assignments; or it calls a procedure, whose OUT parameter
/// may be the column.
pub(super) fn may_set(body: &str, column: &Name) -> bool {
    let words = words(body);
    let is_column = |word: &Word| match word {
        Word::Name(name) | Word::Quoted(name) => Name::caseless(name) == *column,
        _ => false,
    };
    let names = words.iter().any(is_column);
    let calls = words.iter().any(|word| is_word(word, "call"));
    let is_set = |window: &[Word]| match window {
        [before, new, Word::Sign('.'), name, Word::Sign('=' | ':')] => {
            let is_new =
                is_word(new, "new") || matches!(new, Word::Quoted(name) if name.eq_ignore_ascii_case("new"));
            is_new && is_column(name) && (is_word(before, "set") || *before == Word::Sign(','))
        }
        _ => false,
    };
    names && (calls || words.windows(5).any(is_set))
}

/// Whether a body may use a table of this name.
pub(super) fn may_use(body: &str, table: &str) -> bool {
    let is_table = |word: &Word| match word {
        Word::Name(name) | Word::Quoted(name) => name.to_lowercase() == table.to_lowercase(),
        _ => false,
    };
    words(body).iter().any(is_table)
}

/// Whether a trigger's body may be about more than its own row: other tables, procedures, user variables.
pub(super) fn reaches_out(body: &str) -> bool {
    const STATEMENTS: [&str; 10] =
        ["call", "delete", "execute", "from", "insert", "into", "replace", "select", "table", "update"];
    words(body).iter().any(|word| match word {
        Word::Name(name) => STATEMENTS.iter().any(|other| name.eq_ignore_ascii_case(other)),
        Word::Sign(sign) => *sign == '@',
        Word::Quoted(_) | Word::Text => false,
    })
}

fn is_word(word: &Word, text: &str) -> bool {
    matches!(word, Word::Name(name) if name.eq_ignore_ascii_case(text))
}

/// The words of a body, without comments. A backslash before a quote is taken for one that escapes it and for one that does not: what follows is read both ways, so
/// that no word is missed.
fn words(body: &str) -> Vec<Word> {
    let mut words = read(body, true);
    if body.contains('\\') {
        words.push(Word::Sign(';'));
        words.extend(read(body, false));
    }
    words
}

fn read(body: &str, escapes: bool) -> Vec<Word> {
    let mut words = Vec::new();
    let mut chars = body.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '`' => words.push(Word::Name(quoted(&mut chars, '`', false))),
            '"' => words.push(Word::Quoted(quoted(&mut chars, '"', escapes))),
            '\'' => {
                quoted(&mut chars, '\'', escapes);
                words.push(Word::Text);
            }
            '#' => line(&mut chars),
            '-' if chars.peek() == Some(&'-') => {
                let mut behind = chars.clone();
                behind.next();
                if behind.next().is_none_or(|c| c.is_whitespace() || c.is_control()) {
                    line(&mut chars);
                } else {
                    words.push(Word::Sign('-'));
                }
            }
            '/' if chars.peek() == Some(&'*') => comment(&mut chars),
            c if is_letter(c) => {
                let mut name = String::from(c);
                while let Some(c) = chars.next_if(|c| is_letter(*c)) {
                    name.push(c);
                }
                words.push(Word::Name(name));
            }
            c if c.is_whitespace() => {}
            c => words.push(Word::Sign(c)),
        }
    }
    words
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii()
}

fn quoted(chars: &mut Peekable<Chars<'_>>, quote: char, escapes: bool) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        if c == '\\' && escapes {
            text.extend(chars.next());
        } else if c != quote {
            text.push(c);
        } else if chars.next_if_eq(&quote).is_some() {
            text.push(quote);
        } else {
            break;
        }
    }
    text
}

fn line(chars: &mut Peekable<Chars<'_>>) {
    for c in chars.by_ref() {
        if c == '\n' {
            break;
        }
    }
}

/// Skips a comment, but only the opening of one that some servers run.
fn comment(chars: &mut Peekable<Chars<'_>>) {
    chars.next();
    if chars.peek() == Some(&'!') {
        return;
    }
    let mut last = ' ';
    for c in chars.by_ref() {
        if last == '*' && c == '/' {
            return;
        }
        last = c;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_sets_a_column_by_an_assignment() {
        for (body, expected) in [
            ("SET NEW.id = 5", true),
            ("set new . `ID` := 5", true),
            ("BEGIN SET @a = 1, NEW.id = 2; END", true),
            ("SET /* why */ NEW.id -- not\n = 5", true),
            ("SET NEW.\"id\" = 5", true),
            ("SET NEW.note = '\\', NEW.id = 1, NEW.x = \\''", true),
            ("/*!50003 SET NEW.id = 1 */", true),
            ("CALL p(NEW.id)", true),
            ("IF NEW.id = 5 THEN SET NEW.note = 'x'; END IF", false),
            ("SET NEW.note = NEW.id", false),
            ("SET NEW.note = 'NEW.id = 5'", false),
            ("INSERT INTO log VALUES (NEW.id)", false),
            ("SET NEW.identity = 5", false),
            ("CALL p()", false),
        ] {
            assert_eq!(may_set(body, &Name::caseless("id")), expected, "{body}");
        }
    }

    #[test]
    fn a_body_that_is_about_its_row_alone_is_told_from_others() {
        assert!(!reaches_out("BEGIN IF NEW.a < 0 THEN SET NEW.a = LOWER('from'); END IF; END"));
        for body in ["INSERT INTO t VALUES (1)", "SET NEW.a = (SELECT 1)", "CALL p()", "SET @a = 1"] {
            assert!(reaches_out(body), "{body}");
        }
    }

    #[test]
    fn a_body_uses_what_it_names() {
        for (body, expected) in [
            ("INSERT INTO log VALUES (1)", true),
            ("INSERT INTO `LOG` VALUES (1)", true),
            ("INSERT INTO shop.log VALUES (1)", true),
            ("INSERT INTO \"log\" VALUES (1)", true),
            ("INSERT INTO logs VALUES ('log')", false),
            ("SELECT 1 -- from log", false),
        ] {
            assert_eq!(may_use(body, "log"), expected, "{body}");
        }
    }
}
