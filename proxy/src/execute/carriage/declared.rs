//! A column's type as SHOW COLUMNS prints it, and the type that JSON_TABLE gives it.

use std::fmt::Write as _;

use super::Kind;
use super::literal::hex_literal;

/// Up to this length bytes travel in a VARCHAR twice as long, so that they come back as VARBINARY; more would fill the row size.
const SHORT_BYTES: u64 = 512;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) charset: String,
    pub(super) collation: String,
}

/// `Type`, taken apart.
pub(super) struct Declared<'t> {
    base: &'t str,
    /// What stands between the parentheses.
    arguments: Option<&'t str>,
    unsigned: bool,
}

impl<'t> Declared<'t> {
    pub(super) fn of(declared: &'t str) -> Result<Declared<'t>, &'static str> {
        let end = declared.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(declared.len());
        let (base, rest) = declared.split_at(end);
        let (arguments, attributes) = match rest.strip_prefix('(') {
            Some(rest) => {
                let (arguments, attributes) = rest.rsplit_once(')').ok_or("its type is not understood")?;
                (Some(arguments), attributes)
            }
            None => (None, rest),
        };
        let mut unsigned = false;
        for attribute in attributes.split_ascii_whitespace() {
            match attribute {
                "unsigned" => unsigned = true,
                "zerofill" => return Err("JSON_TABLE does not know ZEROFILL"),
                _ => return Err("its type is not understood"),
            }
        }
        Ok(Declared { base, arguments, unsigned })
    }

    /// The kind, and the type in JSON_TABLE's COLUMNS.
    pub(super) fn kind(&self, collation: Option<&str>) -> Result<(Kind, String), &'static str> {
        let kind = match self.base {
            "enum" | "set" => return self.members(&Text::of(collation)?),
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
                let text = Text::of(collation)?;
                let typed = format!("{} {}", self.typed()?, text.clause());
                return Ok((Kind::Text(text), typed));
            }
            "binary" | "varbinary" => return Ok((Kind::Bytes, self.hex_typed()?)),
            "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                return Ok((Kind::Bytes, "LONGTEXT CHARACTER SET ascii".to_owned()));
            }
            "json" => return Ok((Kind::Json, "LONGTEXT CHARACTER SET utf8mb4".to_owned())),
            "year" => return Ok((Kind::Digits, "YEAR".to_owned())),
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Kind::Integer,
            "bit" => return Ok((Kind::Bits, self.bytes_of_bits()?)),
            "decimal" | "time" => Kind::Digits,
            "float" | "double" => Kind::Float { rounds: self.arguments.is_some() },
            "date" | "datetime" => Kind::Date,
            "timestamp" => Kind::Timestamp,
            _ => return Err("rows in the text of a statement cannot have this type"),
        };
        Ok((kind, self.typed()?))
    }

    /// The type as declared; its arguments are numbers.
    pub(super) fn typed(&self) -> Result<String, &'static str> {
        let mut typed = self.base.to_ascii_uppercase();
        if let Some(arguments) = self.arguments {
            if !arguments.bytes().all(|byte| byte.is_ascii_digit() || byte == b',') {
                return Err("its type is not understood");
            }
            // Writing to a String never fails.
            let _ = write!(typed, "({arguments})");
        }
        if self.unsigned {
            typed.push_str(" UNSIGNED");
        }
        Ok(typed)
    }

    /// BIT of whole bytes: beside texts JSON_TABLE loses bits that fill none. Its values are as many bytes.
    fn bytes_of_bits(&self) -> Result<String, &'static str> {
        let bits: u64 = self.arguments.unwrap_or("1").parse().map_err(|_| "its length is not understood")?;
        Ok(format!("BIT({})", bits.next_multiple_of(8)))
    }

    pub(super) fn hex_typed(&self) -> Result<String, &'static str> {
        let length: u64 =
            self.arguments.unwrap_or("1").parse().map_err(|_| "its length is not understood")?;
        Ok(match length {
            0..=SHORT_BYTES => format!("VARCHAR({}) CHARACTER SET ascii", 2 * length),
            _ => "LONGTEXT CHARACTER SET ascii".to_owned(),
        })
    }

    /// ENUM and SET; the members are written as hexadecimal literals, whose bytes MySQL takes for the
    /// column's own character set.
    pub(super) fn members(&self, text: &Text) -> Result<(Kind, String), &'static str> {
        let members = parse_members(self.arguments.ok_or("its members are missing")?)?;
        let is_utf8 = matches!(text.charset.as_str(), "utf8mb4" | "utf8mb3" | "utf8");
        if text.charset == "binary" || matches!(text.charset.as_str(), "ucs2" | "utf16" | "utf16le" | "utf32")
        {
            return Err("members in this character set cannot be written in a statement");
        }
        if !is_utf8 && !members.iter().all(|member| is_common_ascii(member)) {
            return Err("its members are neither ASCII nor in a UTF-8 character set");
        }
        let list: Vec<String> = members.iter().map(|member| hex_literal(member)).collect();
        let typed = format!("{}({}) {}", self.base.to_ascii_uppercase(), list.join(","), text.clause());
        let kind = if self.base == "set" { Kind::Set } else { Kind::Enum };
        Ok((kind(text.clone(), members), typed))
    }
}

impl Text {
    pub(super) fn of(collation: Option<&str>) -> Result<Text, &'static str> {
        let collation = collation.ok_or("its collation is missing")?;
        if !collation.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err("its collation is not understood");
        }
        let charset = collation.split('_').next().unwrap_or(collation);
        Ok(Text { charset: charset.to_owned(), collation: collation.to_owned() })
    }

    pub(super) fn clause(&self) -> String {
        format!("CHARACTER SET {} COLLATE {}", self.charset, self.collation)
    }
}

/// Whether the text is the same bytes in every character set but the UTF-16 kind: some national sets replace
/// `\`, `~` and others.
pub(super) fn is_common_ascii(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii() && !b"\\~#$@[]^`{|}".contains(&byte))
}

/// Takes `'a','it''s','b\\c'` apart, as SHOW COLUMNS writes it under every sql_mode: quotes doubled; `\`,
/// NUL, and line ends escaped.
pub(super) fn parse_members(list: &str) -> Result<Vec<String>, &'static str> {
    const WRONG: &str = "its members are not understood";
    let mut members = Vec::new();
    let mut letters = list.chars().peekable();
    loop {
        if letters.next() != Some('\'') {
            return Err(WRONG);
        }
        let mut member = String::new();
        loop {
            match letters.next().ok_or(WRONG)? {
                '\'' if letters.next_if_eq(&'\'').is_none() => break,
                '\\' => member.push(unescaped(letters.next()).ok_or(WRONG)?),
                letter => member.push(letter),
            }
        }
        members.push(member);
        match letters.next() {
            None => return Ok(members),
            Some(',') => {}
            Some(_) => return Err(WRONG),
        }
    }
}

pub(super) fn unescaped(letter: Option<char>) -> Option<char> {
    match letter? {
        '\\' => Some('\\'),
        '0' => Some('\0'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        _ => None,
    }
}
