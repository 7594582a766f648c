//! How a table's rows travel inside the text of a statement: what a shard is asked for, the JSON document
//! that its cells are put into, and the derived table that MySQL's JSON_TABLE makes of it, with the columns'
//! own types. It never carries a value as another one: what it is not sure of is an error, here, from a guard
//! on the shard, or from MySQL. All SQL is ASCII and means the same under every sql_mode, time zone and
//! client character set. It sends nothing. Read next: the part that reads the rows.

use std::fmt::Write as _;

/// The fence: a derived table with a LIMIT is materialised once, where a bare JSON_TABLE is parsed again for
/// every outer row.
const FENCE: &str = " LIMIT 18446744073709551615)";
/// Makes the statement fail (1242): a scalar subquery with two rows.
const FAIL: &str = "(SELECT 1 UNION ALL SELECT 2)";
/// JSON's types that its text keeps.
const JSON_TEXT_TYPES: &str =
    "'NULL','BOOLEAN','INTEGER','UNSIGNED INTEGER','DOUBLE','STRING','OBJECT','ARRAY'";
/// Up to this length bytes travel in a VARCHAR twice as long, so that they come back as VARBINARY; more would
/// fill the row size.
const SHORT_BYTES: u64 = 512;
const SECONDS_A_DAY: u64 = 86_400;

/// A column as SHOW FULL COLUMNS shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// `Field`.
    pub name: String,
    /// `Type`, for example `varchar(20)`, `enum('a','b')` or `int unsigned`.
    pub declared: String,
    /// `Collation`: texts, ENUM and SET have one.
    pub collation: Option<String>,
    /// `Extra`.
    pub extra: String,
}

/// Why a column or a value cannot travel; nothing was sent, and trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncarried {
    /// JSON_TABLE wants one column at least.
    #[error("a table without columns cannot be carried")]
    NoColumns,
    /// The column can never be carried.
    #[error("column {column} ({declared}) cannot be carried: {why}")]
    Column {
        /// Its name.
        column: String,
        /// Its type.
        declared: String,
        /// What stands against it.
        why: &'static str,
    },
    /// One of its values cannot be carried.
    #[error("a value of column {column} cannot be carried: {why}")]
    Value {
        /// The column's name.
        column: String,
        /// What is wrong with the value.
        why: &'static str,
    },
    /// A row has other cells than the select list asks for.
    #[error("a row has more or fewer cells than the {expected} that were asked for")]
    Cells {
        /// How many the select list has.
        expected: usize,
    },
}

/// How the columns of one table travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carriage {
    columns: Vec<Carried>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Carried {
    name: String,
    /// The type in JSON_TABLE's COLUMNS.
    typed: String,
    kind: Kind,
}

/// What a cell is, as far as its way is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A JSON number: integers.
    Integer,
    /// BIT, a JSON number.
    Bits,
    /// Digits and signs in a JSON string: DECIMAL, TIME, YEAR. As JSON numbers they would pass through a
    /// double.
    Digits,
    /// FLOAT and DOUBLE; the text of a FLOAT keeps only six digits, so both are read as DOUBLE.
    Float {
        /// Whether the type rounds to a number of decimals, as FLOAT(7,3) does.
        rounds: bool,
    },
    /// DATE and DATETIME.
    Date,
    /// As seconds since 1970: local time is ambiguous in the hour that a clock is set back.
    Timestamp,
    Text(Text),
    /// Read as the index, sent as the member: JSON_TABLE takes "2" for a member before it takes it for an
    /// index.
    Enum(Text, Vec<String>),
    /// Read as the bits, sent as the members.
    Set(Text, Vec<String>),
    /// In hexadecimal digits.
    Bytes,
    /// As text in a JSON string: embedded, JSON's null would become SQL's.
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Text {
    charset: String,
    collation: String,
}

/// `Type`, taken apart.
struct Declared<'t> {
    base: &'t str,
    /// What stands between the parentheses.
    arguments: Option<&'t str>,
    unsigned: bool,
}

impl Carriage {
    /// How these columns travel, at least one; an error for a column that cannot.
    pub fn of(columns: &[TableColumn]) -> Result<Carriage, Uncarried> {
        if columns.is_empty() {
            return Err(Uncarried::NoColumns);
        }
        let columns = columns.iter().map(Carried::of).collect::<Result<_, _>>()?;
        Ok(Carriage { columns })
    }

    /// Appends the select list of the statement that reads the rows on a shard: an expression for each
    /// column, then guards that are 1 where the column's value survives. `qualifier` is the table's alias,
    /// quoted.
    pub fn select_list(&self, qualifier: &str, out: &mut Vec<u8>) {
        let mut list: Vec<String> = self.columns.iter().map(|column| column.read(qualifier)).collect();
        list.extend(self.columns.iter().filter_map(|column| column.guard(qualifier)));
        out.extend_from_slice(list.join(", ").as_bytes());
    }

    /// Appends one row to a document, or nothing if it is an error. `cells` are those that the select list
    /// gave over the text protocol with character_set_results = utf8mb4. Documents of the same carriage may
    /// be appended to each other.
    pub fn put_row<'c>(
        &self,
        cells: impl Iterator<Item = Option<&'c [u8]>>,
        document: &mut Vec<u8>,
    ) -> Result<(), Uncarried> {
        let before = document.len();
        let put = self.put_cells(cells, document);
        if put.is_err() {
            document.truncate(before);
        }
        put
    }

    /// Appends a subquery in parentheses, without an alias, that gives the document's rows under the columns'
    /// names. The document is what `put_row` appended; an empty one gives no rows.
    pub fn derived_table(&self, document: &[u8], out: &mut Vec<u8>) {
        let numbered = || self.columns.iter().enumerate();
        let names: Vec<String> = numbered().map(|(at, column)| column.given(at)).collect();
        let columns: Vec<String> = numbered().map(|(at, column)| column.taken(at)).collect();
        let checks: Vec<String> = numbered().filter_map(|(at, column)| column.check(at)).collect();
        out.extend_from_slice(b"(SELECT ");
        out.extend_from_slice(names.join(", ").as_bytes());
        out.extend_from_slice(b" FROM JSON_TABLE(_utf8mb4 X'5B");
        put_hex(document.strip_suffix(b",").unwrap_or(document), out);
        out.extend_from_slice(b"5D', '$[*]' COLUMNS(");
        out.extend_from_slice(columns.join(", ").as_bytes());
        out.extend_from_slice(b")) AS j");
        if !checks.is_empty() {
            let check = format!(" WHERE IF({}, 1, {FAIL})", checks.join(" AND "));
            out.extend_from_slice(check.as_bytes());
        }
        out.extend_from_slice(FENCE.as_bytes());
    }

    fn put_cells<'c>(
        &self,
        mut cells: impl Iterator<Item = Option<&'c [u8]>>,
        document: &mut Vec<u8>,
    ) -> Result<(), Uncarried> {
        let guarded = || self.columns.iter().filter(|column| column.is_guarded());
        let wrong = || Uncarried::Cells { expected: self.columns.len() + guarded().count() };
        for (at, column) in self.columns.iter().enumerate() {
            document.push(if at == 0 { b'[' } else { b',' });
            let cell = cells.next().ok_or_else(wrong)?;
            column.put(cell, document).map_err(|why| column.value(why))?;
        }
        document.extend_from_slice(b"],");
        for column in guarded() {
            if cells.next().ok_or_else(wrong)? != Some(b"1") {
                return Err(column.value("it does not survive the way through text"));
            }
        }
        match cells.next() {
            Some(_) => Err(wrong()),
            None => Ok(()),
        }
    }
}

impl Carried {
    fn of(column: &TableColumn) -> Result<Carried, Uncarried> {
        let refused =
            |why| Uncarried::Column { column: column.name.clone(), declared: column.declared.clone(), why };
        if !column.name.is_ascii() {
            return Err(refused("its name is not ASCII"));
        }
        if column.extra.to_ascii_uppercase().contains("INVISIBLE") {
            return Err(refused("it is invisible"));
        }
        let declared = Declared::of(&column.declared).map_err(refused)?;
        let (kind, typed) = declared.kind(column.collation.as_deref()).map_err(refused)?;
        Ok(Carried { name: column.name.clone(), typed, kind })
    }

    /// What the shard is asked for.
    fn read(&self, qualifier: &str) -> String {
        let column = self.qualified(qualifier);
        match self.kind {
            Kind::Float { .. } => format!("CAST({column} AS DOUBLE)"),
            Kind::Timestamp => format!("UNIX_TIMESTAMP({column})"),
            Kind::Bits | Kind::Enum(..) | Kind::Set(..) => format!("CAST({column} AS UNSIGNED)"),
            // Bytes are not converted to character_set_results; HEX would be NULL above max_allowed_packet.
            Kind::Integer | Kind::Digits | Kind::Date | Kind::Text(_) | Kind::Bytes | Kind::Json => column,
        }
    }

    fn is_guarded(&self) -> bool {
        match &self.kind {
            // The protocol does not convert utf8mb4; whether it is valid is seen here.
            Kind::Text(text) => text.charset != "utf8mb4",
            Kind::Enum(..) | Kind::Set(..) | Kind::Json => true,
            _ => false,
        }
    }

    /// An expression that is 1 where the shard's value survives.
    fn guard(&self, qualifier: &str) -> Option<String> {
        let column = self.qualified(qualifier);
        if !self.is_guarded() {
            return None;
        }
        match &self.kind {
            Kind::Text(text) => Some(text_guard(&column, &text.charset)),
            Kind::Enum(text, members) => Some(enum_guard(&column, text, members)),
            Kind::Set(text, members) => Some(set_guard(&column, text, members)),
            Kind::Json => Some(json_guard(&column)),
            _ => None,
        }
    }

    fn qualified(&self, qualifier: &str) -> String {
        format!("{qualifier}.{}", quoted(&self.name))
    }

    /// The column in JSON_TABLE's COLUMNS.
    fn taken(&self, at: usize) -> String {
        let typed = &self.typed;
        const STRICT: &str = "ERROR ON EMPTY ERROR ON ERROR";
        let (path, beside) = match self.kind {
            Kind::Timestamp => ("[0]", format!(", e{at} DECIMAL(18,6) PATH '$[{at}][1]' {STRICT}")),
            Kind::Float { rounds: true } => ("", format!(", e{at} DOUBLE PATH '$[{at}]' {STRICT}")),
            _ => ("", String::new()),
        };
        format!("c{at} {typed} PATH '$[{at}]{path}' {STRICT}{beside}")
    }

    /// The column in the derived table's select list.
    fn given(&self, at: usize) -> String {
        let name = quoted(&self.name);
        match self.kind {
            // A bare UNHEX gives way to another text's collation in a comparison (coercibility 4); a cast is as firm as a column (2).
            Kind::Bytes => format!("CAST(UNHEX(j.c{at}) AS BINARY) AS {name}"),
            Kind::Json => format!("CAST(j.c{at} AS JSON) AS {name}"),
            _ => format!("j.c{at} AS {name}"),
        }
    }

    /// What has to hold in each row of the document, else the statement fails.
    ///
    /// JSON_TABLE keeps a TIMESTAMP's instant, but the fence may copy it by way of local time (it does under
    /// the default sql_mode), which tells only one of the two hours when a clock is set back. And without
    /// explicit_defaults_for_timestamp JSON_TABLE leaves the row before in a TIMESTAMP that is NULL. A type
    /// that rounds might round once more.
    fn check(&self, at: usize) -> Option<String> {
        match self.kind {
            Kind::Timestamp => Some(format!(
                "UNIX_TIMESTAMP(j.c{at}) <=> j.e{at} \
                 AND UNIX_TIMESTAMP(CAST(j.c{at} AS DATETIME(6))) <=> j.e{at}"
            )),
            Kind::Float { rounds: true } => Some(format!("CAST(j.c{at} AS DOUBLE) <=> j.e{at}")),
            _ => None,
        }
    }

    fn value(&self, why: &'static str) -> Uncarried {
        Uncarried::Value { column: self.name.clone(), why }
    }

    /// Appends a cell to the document.
    fn put(&self, cell: Option<&[u8]>, document: &mut Vec<u8>) -> Result<(), &'static str> {
        let Some(cell) = cell else {
            let timestamp = self.kind == Kind::Timestamp;
            document.extend_from_slice(if timestamp { b"[null,null]" } else { b"null" });
            return Ok(());
        };
        if self.kind == Kind::Bytes {
            put_quoted(document, |document| put_hex(cell, document));
            return Ok(());
        }
        let cell = str::from_utf8(cell).map_err(|_| "it is not UTF-8")?;
        match &self.kind {
            Kind::Integer | Kind::Bits => put_integer(cell, document),
            Kind::Digits => put_plain(cell, ":", document),
            Kind::Float { .. } => put_plain(cell, "e+", document),
            Kind::Date => put_date(cell, document),
            Kind::Timestamp => put_timestamp(cell, document),
            Kind::Enum(_, members) => put_text(enum_member(cell, members)?, document),
            Kind::Set(_, members) => put_text(&set_members(cell, members)?, document),
            Kind::Text(_) | Kind::Json | Kind::Bytes => put_text(cell, document),
        }
    }
}

impl<'t> Declared<'t> {
    fn of(declared: &'t str) -> Result<Declared<'t>, &'static str> {
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
    fn kind(&self, collation: Option<&str>) -> Result<(Kind, String), &'static str> {
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
            "bit" => Kind::Bits,
            "decimal" | "time" => Kind::Digits,
            "float" | "double" => Kind::Float { rounds: self.arguments.is_some() },
            "date" | "datetime" => Kind::Date,
            "timestamp" => Kind::Timestamp,
            _ => return Err("rows in the text of a statement cannot have this type"),
        };
        Ok((kind, self.typed()?))
    }

    /// The type as declared; its arguments are numbers.
    fn typed(&self) -> Result<String, &'static str> {
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

    fn hex_typed(&self) -> Result<String, &'static str> {
        let length: u64 =
            self.arguments.unwrap_or("1").parse().map_err(|_| "its length is not understood")?;
        Ok(match length {
            0..=SHORT_BYTES => format!("VARCHAR({}) CHARACTER SET ascii", 2 * length),
            _ => "LONGTEXT CHARACTER SET ascii".to_owned(),
        })
    }

    /// ENUM and SET; the members are written as hexadecimal literals, whose bytes MySQL takes for the
    /// column's own character set.
    fn members(&self, text: &Text) -> Result<(Kind, String), &'static str> {
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
    fn of(collation: Option<&str>) -> Result<Text, &'static str> {
        let collation = collation.ok_or("its collation is missing")?;
        if !collation.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err("its collation is not understood");
        }
        let charset = collation.split('_').next().unwrap_or(collation);
        Ok(Text { charset: charset.to_owned(), collation: collation.to_owned() })
    }

    fn clause(&self) -> String {
        format!("CHARACTER SET {} COLLATE {}", self.charset, self.collation)
    }
}

/// Whether the text is the same bytes in every character set but the UTF-16 kind: some national sets replace
/// `\`, `~` and others.
fn is_common_ascii(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii() && !b"\\~#$@[]^`{|}".contains(&byte))
}

/// Takes `'a','it''s','b\\c'` apart, as SHOW COLUMNS writes it under every sql_mode: quotes doubled; `\`,
/// NUL, and line ends escaped.
fn parse_members(list: &str) -> Result<Vec<String>, &'static str> {
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

fn unescaped(letter: Option<char>) -> Option<char> {
    match letter? {
        '\\' => Some('\\'),
        '0' => Some('\0'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        _ => None,
    }
}

/// Whether a text is the same after the way through utf8mb4: some sets have letters that Unicode lacks, or
/// two for one of its own.
fn text_guard(column: &str, charset: &str) -> String {
    same_bytes(column, &format!("CONVERT({column} USING utf8mb4)"), charset)
}

/// Whether an ENUM's value has the name that is known here (SHOW COLUMNS shows letters beyond U+FFFF as
/// question marks), and the name finds its index again: members that the collation holds for equal can be
/// stored by index only.
fn enum_guard(column: &str, text: &Text, members: &[String]) -> String {
    let list = literals(members);
    let named = format!("ELT(CAST({column} AS UNSIGNED), {list})");
    format!(
        "{} AND COALESCE(FIELD({column}, {list}) = CAST({column} AS UNSIGNED), 1)",
        same_bytes(column, &named, &text.charset)
    )
}

/// The same of a SET, whose members' names have to be apart from each other even where the row lacks them.
fn set_guard(column: &str, text: &Text, members: &[String]) -> String {
    let Text { charset, collation } = text;
    let named = format!("MAKE_SET(CAST({column} AS UNSIGNED), {})", literals(members));
    let mut guard = same_bytes(column, &named, charset);
    for (at, member) in members.iter().enumerate().skip(1) {
        let member = hex_literal(member);
        let before = literals(&members[..at]);
        let _ = write!(
            guard,
            " AND FIELD(CONVERT(_utf8mb4 {member} USING {charset}) COLLATE {collation}, {before}) = 0"
        );
    }
    guard
}

fn same_bytes(column: &str, other: &str, charset: &str) -> String {
    format!("(CAST({column} AS BINARY) <=> CAST(CONVERT({other} USING {charset}) AS BINARY))")
}

/// Whether a JSON value has only scalars whose text gives them back. Equality alone is not enough: DECIMAL
/// 1.5 equals DOUBLE 1.5.
fn json_guard(column: &str) -> String {
    let none = |path: &str| {
        format!(
            "NOT EXISTS (SELECT 1 FROM JSON_TABLE(JSON_ARRAY({column}), '{path}' COLUMNS(v JSON PATH '$' \
             ERROR ON ERROR)) AS e WHERE JSON_TYPE(e.v) NOT IN ({JSON_TEXT_TYPES}))"
        )
    };
    format!(
        "({column} <=> CAST(CAST({column} AS CHAR CHARACTER SET utf8mb4) AS JSON)) AND {} AND {}",
        none("$**[*]"),
        none("$**.*")
    )
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn hex_literal(text: &str) -> String {
    let mut digits = Vec::new();
    put_hex(text.as_bytes(), &mut digits);
    format!("X'{}'", String::from_utf8_lossy(&digits))
}

fn literals(members: &[String]) -> String {
    let list: Vec<String> =
        members.iter().map(|member| format!("_utf8mb4 {}", hex_literal(member))).collect();
    list.join(", ")
}

fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

fn put_quoted(document: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    document.push(b'"');
    put(document);
    document.push(b'"');
}

fn put_integer(cell: &str, document: &mut Vec<u8>) -> Result<(), &'static str> {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    if !all_digits(digits) {
        return Err("it is not an integer");
    }
    document.extend_from_slice(cell.as_bytes());
    Ok(())
}

fn put_plain(cell: &str, further: &str, document: &mut Vec<u8>) -> Result<(), &'static str> {
    let is_plain =
        |letter: char| letter.is_ascii_digit() || "-.".contains(letter) || further.contains(letter);
    if cell.is_empty() || !cell.chars().all(is_plain) {
        return Err("it is not a number or time");
    }
    put_quoted(document, |document| document.extend_from_slice(cell.as_bytes()));
    Ok(())
}

/// A DATE or DATETIME. Dates that do not exist depend on the sql_mode, so they stay at home.
fn put_date(cell: &str, document: &mut Vec<u8>) -> Result<(), &'static str> {
    let part = |from: usize, to: usize| -> Option<u32> {
        let digits = cell.get(from..to)?;
        all_digits(digits).then(|| digits.parse().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (part(0, 4), part(5, 7), part(8, 10)) else {
        return Err("it is not a date");
    };
    if year == 0 || month == 0 || day == 0 {
        return Err("it is a zero date");
    }
    if day > days_of(year, month) {
        return Err("it is a date that does not exist");
    }
    put_plain(cell, ": ", document)
}

fn days_of(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Seconds since 1970 as a time of day with its offset, and the seconds themselves, for the check.
fn put_timestamp(cell: &str, document: &mut Vec<u8>) -> Result<(), &'static str> {
    const WRONG: &str = "it is not a number of seconds";
    let (seconds, fraction) = cell.split_once('.').unwrap_or((cell, "0"));
    if !all_digits(seconds) || !all_digits(fraction) {
        return Err(WRONG);
    }
    let since: u64 = seconds.parse().map_err(|_| WRONG)?;
    if since == 0 {
        return Err("it is a zero timestamp");
    }
    let (year, month, day) = civil(since / SECONDS_A_DAY);
    let (hour, minute, second) = (since / 3600 % 24, since / 60 % 60, since % 60);
    let text = format!(
        "[\"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction}+00:00\",\"{cell}\"]"
    );
    document.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Year, month and day of a day since 1970-01-01. Years start in March, so that the leap day is the last.
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

fn enum_member<'m>(cell: &str, members: &'m [String]) -> Result<&'m str, &'static str> {
    let index: usize = cell.parse().map_err(|_| "it is not an index")?;
    let before = index.checked_sub(1).ok_or("it is the value of an invalid ENUM")?;
    members.get(before).map(String::as_str).ok_or("it is not one of the members")
}

fn set_members(cell: &str, members: &[String]) -> Result<String, &'static str> {
    let bits: u64 = cell.parse().map_err(|_| "it is not a number of bits")?;
    let mut chosen = Vec::new();
    for at in 0..u64::BITS {
        if bits >> at & 1 == 0 {
            continue;
        }
        let member = usize::try_from(at).ok().and_then(|at| members.get(at));
        match member.ok_or("it is not one of the members")? {
            member if member.is_empty() => return Err("its empty member looks like no member"),
            member => chosen.push(member.as_str()),
        }
    }
    Ok(chosen.join(","))
}

fn put_text(text: &str, document: &mut Vec<u8>) -> Result<(), &'static str> {
    put_quoted(document, |document| {
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => document.extend_from_slice(&[b'\\', byte]),
                0..0x20 => {
                    document.extend_from_slice(b"\\u00");
                    put_hex(&[byte], document);
                }
                _ => document.push(byte),
            }
        }
    });
    Ok(())
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{Carriage, TableColumn, Uncarried, civil, parse_members};

    fn column(name: &str, declared: &str, collation: &str) -> TableColumn {
        TableColumn {
            name: name.to_owned(),
            declared: declared.to_owned(),
            collation: (!collation.is_empty()).then(|| collation.to_owned()),
            extra: String::new(),
        }
    }

    fn carriage(declared: &str, collation: &str) -> Carriage {
        Carriage::of(&[column("c", declared, collation)]).unwrap()
    }

    fn selected(carriage: &Carriage) -> String {
        let mut out = Vec::new();
        carriage.select_list("`t`", &mut out);
        String::from_utf8(out).unwrap()
    }

    fn derived(carriage: &Carriage, document: &str) -> String {
        let mut out = Vec::new();
        carriage.derived_table(document.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn put(carriage: &Carriage, cells: &[Option<&[u8]>]) -> Result<String, Uncarried> {
        let mut document = Vec::new();
        carriage.put_row(cells.iter().copied(), &mut document)?;
        Ok(String::from_utf8(document).unwrap())
    }

    /// What a cell of a single column becomes, its guard being content; for an error, why.
    fn carried(declared: &str, collation: &str, cell: &[u8]) -> String {
        let carriage = carriage(declared, collation);
        let guarded = carriage.columns[0].is_guarded();
        let cells: &[Option<&[u8]>] = if guarded { &[Some(cell), Some(b"1")] } else { &[Some(cell)] };
        match put(&carriage, cells) {
            Ok(row) => row,
            Err(Uncarried::Value { why, .. }) => why.to_owned(),
            Err(other) => panic!("{other}"),
        }
    }

    fn refused(column: TableColumn) -> &'static str {
        match Carriage::of(&[column]) {
            Err(Uncarried::Column { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_table_travels_as_one_fenced_json_table() {
        let columns =
            [column("id", "bigint unsigned", ""), column("a`b", "varchar(20)", "utf8mb4_0900_ai_ci")];
        let carriage = Carriage::of(&columns).unwrap();
        assert_eq!(selected(&carriage), "`t`.`id`, `t`.`a``b`");
        let row = put(&carriage, &[Some(b"7"), Some(b"x\"")]).unwrap();
        assert_eq!(row, r#"[7,"x\""],"#);
        assert_eq!(
            derived(&carriage, "[7,null],"),
            "(SELECT j.c0 AS `id`, j.c1 AS `a``b` \
             FROM JSON_TABLE(_utf8mb4 X'5B5B372C6E756C6C5D5D', '$[*]' COLUMNS(\
             c0 BIGINT UNSIGNED PATH '$[0]' ERROR ON EMPTY ERROR ON ERROR, \
             c1 VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci PATH '$[1]' \
             ERROR ON EMPTY ERROR ON ERROR\
             )) AS j LIMIT 18446744073709551615)"
        );
    }

    #[test]
    fn no_rows_are_an_empty_array() {
        assert!(derived(&carriage("int", ""), "").contains("_utf8mb4 X'5B5D'"));
    }

    #[test]
    fn a_timestamp_travels_as_an_instant_and_is_checked() {
        let carriage = carriage("timestamp(3)", "");
        assert_eq!(selected(&carriage), "UNIX_TIMESTAMP(`t`.`c`)");
        let row = put(&carriage, &[Some(b"1729992600.250")]).unwrap();
        assert_eq!(row, r#"[["2024-10-27 01:30:00.250+00:00","1729992600.250"]],"#);
        assert_eq!(put(&carriage, &[None]).unwrap(), "[[null,null]],");
        let table = derived(&carriage, "");
        assert!(table.contains(
            "c0 TIMESTAMP(3) PATH '$[0][0]' ERROR ON EMPTY ERROR ON ERROR, \
             e0 DECIMAL(18,6) PATH '$[0][1]' ERROR ON EMPTY ERROR ON ERROR"
        ));
        assert!(table.ends_with(
            " WHERE IF(UNIX_TIMESTAMP(j.c0) <=> j.e0 \
             AND UNIX_TIMESTAMP(CAST(j.c0 AS DATETIME(6))) <=> j.e0, 1, \
             (SELECT 1 UNION ALL SELECT 2)) LIMIT 18446744073709551615)"
        ));
    }

    #[test]
    fn a_type_that_rounds_is_compared_with_one_that_does_not() {
        let carriage = carriage("float(7,3)", "");
        assert_eq!(selected(&carriage), "CAST(`t`.`c` AS DOUBLE)");
        let table = derived(&carriage, "");
        assert!(
            table.contains("c0 FLOAT(7,3) PATH '$[0]' ERROR ON EMPTY ERROR ON ERROR, e0 DOUBLE PATH '$[0]'")
        );
        assert!(
            table
                .contains(" WHERE IF(CAST(j.c0 AS DOUBLE) <=> j.e0, 1, (SELECT 1 UNION ALL SELECT 2)) LIMIT")
        );
    }

    #[test]
    fn bytes_and_json_are_made_of_text_outside_of_json_table() {
        let columns = [column("b", "binary(2)", ""), column("l", "longblob", ""), column("j", "json", "")];
        let carriage = Carriage::of(&columns).unwrap();
        let list = selected(&carriage);
        assert!(list.starts_with("`t`.`b`, `t`.`l`, `t`.`j`, (`t`.`j` <=> CAST(CAST(`t`.`j` AS CHAR"));
        let row = put(&carriage, &[Some(b"\xff\0"), Some(b""), Some(b"null"), Some(b"1")]).unwrap();
        assert_eq!(row, r#"["FF00","","null"],"#);
        let table = derived(&carriage, &row);
        let names = "(SELECT CAST(UNHEX(j.c0) AS BINARY) AS `b`, CAST(UNHEX(j.c1) AS BINARY) AS `l`, CAST(j.c2 AS JSON) AS `j` FROM";
        assert!(table.starts_with(names));
        assert!(table.contains("c0 VARCHAR(4) CHARACTER SET ascii PATH"));
        assert!(table.contains("c1 LONGTEXT CHARACTER SET ascii PATH"));
    }

    #[test]
    fn members_are_read_as_numbers_and_sent_as_names() {
        let carriage = carriage("enum('a','it''s')", "latin1_swedish_ci");
        assert_eq!(
            selected(&carriage),
            "CAST(`t`.`c` AS UNSIGNED), \
             (CAST(`t`.`c` AS BINARY) <=> CAST(CONVERT(ELT(CAST(`t`.`c` AS UNSIGNED), \
             _utf8mb4 X'61', _utf8mb4 X'69742773') USING latin1) AS BINARY)) AND \
             COALESCE(FIELD(`t`.`c`, _utf8mb4 X'61', _utf8mb4 X'69742773') = CAST(`t`.`c` AS UNSIGNED), 1)"
        );
        assert!(derived(&carriage, "").contains(
            "c0 ENUM(X'61',X'69742773') CHARACTER SET latin1 COLLATE latin1_swedish_ci PATH '$[0]'"
        ));
        assert_eq!(parse_members(r"'a\\b','','x,y','n\n'").unwrap(), [r"a\b", "", "x,y", "n\n"]);
        assert!(
            parse_members("'a',").is_err() && parse_members("'a").is_err() && parse_members("'a'b").is_err()
        );
    }

    #[test]
    fn a_set_is_guarded_against_members_that_its_collation_holds_for_equal() {
        assert!(selected(&carriage("set('a','b')", "utf8mb4_bin")).ends_with(
            "MAKE_SET(CAST(`t`.`c` AS UNSIGNED), _utf8mb4 X'61', _utf8mb4 X'62') USING utf8mb4) AS BINARY)) \
             AND FIELD(CONVERT(_utf8mb4 X'62' USING utf8mb4) COLLATE utf8mb4_bin, _utf8mb4 X'61') = 0"
        ));
    }

    #[test]
    fn cells_become_json() {
        let utf8 = "utf8mb4_bin";
        let cases: &[(&str, &str, &[u8], &str)] = &[
            ("tinyint(1)", "", b"-1", "[-1],"),
            ("bit(64)", "", b"18446744073709551615", "[18446744073709551615],"),
            ("decimal(10,2)", "", b"-0.10", r#"["-0.10"],"#),
            ("float(7,3)", "", b"1.5e-7", r#"["1.5e-7"],"#),
            ("double unsigned", "", b"inf", "it is not a number or time"),
            ("time(6)", "", b"-838:59:59.000000", r#"["-838:59:59.000000"],"#),
            ("year", "", b"0000", r#"["0000"],"#),
            ("date", "", b"2024-02-29", r#"["2024-02-29"],"#),
            ("date", "", b"2023-02-29", "it is a date that does not exist"),
            ("datetime(1)", "", b"0000-00-00 00:00:00.0", "it is a zero date"),
            ("datetime", "", b"2024-00-01 00:00:00", "it is a zero date"),
            ("timestamp", "", b"0", "it is a zero timestamp"),
            ("timestamp(6)", "", b"0.000000", "it is a zero timestamp"),
            ("text", utf8, b"\0\\\n\xf0\x9f\x98\x80 ", "[\"\\u0000\\\\\\u000A\u{1f600} \"],"),
            ("text", utf8, b"\xed\xa0\x80", "it is not UTF-8"),
            ("enum('1','0')", utf8, b"2", r#"["0"],"#),
            ("enum('1','0')", utf8, b"0", "it is the value of an invalid ENUM"),
            ("enum('1','0')", utf8, b"3", "it is not one of the members"),
            ("set('a','','c')", utf8, b"5", r#"["a,c"],"#),
            ("set('a','','c')", utf8, b"0", r#"[""],"#),
            ("set('a','','c')", utf8, b"2", "its empty member looks like no member"),
            ("json", "", br#"{"a": "\""}"#, r#"["{\"a\": \"\\\"\"}"],"#),
        ];
        for (declared, collation, cell, expected) in cases {
            assert_eq!(carried(declared, collation, cell), *expected, "{declared}");
        }
    }

    #[test]
    fn a_guard_that_is_not_one_is_an_error_and_leaves_the_document_alone() {
        let carriage = carriage("varchar(5)", "cp932_japanese_ci");
        assert_eq!(
            selected(&carriage),
            "`t`.`c`, (CAST(`t`.`c` AS BINARY) <=> \
             CAST(CONVERT(CONVERT(`t`.`c` USING utf8mb4) USING cp932) AS BINARY))"
        );
        let mut document = b"[\"a\"],".to_vec();
        for guard in [Some(&b"0"[..]), None] {
            let row = [Some(&b"x"[..]), guard];
            let error = carriage.put_row(row.into_iter(), &mut document).unwrap_err();
            assert!(matches!(error, Uncarried::Value { column, .. } if column == "c"));
        }
        let short = carriage.put_row([Some(&b"x"[..])].into_iter(), &mut document);
        assert_eq!(short, Err(Uncarried::Cells { expected: 2 }));
        let long = carriage.put_row([Some(&b"x"[..]), Some(b"1"), None].into_iter(), &mut document);
        assert_eq!(long, Err(Uncarried::Cells { expected: 2 }));
        assert_eq!(document, b"[\"a\"],");
    }

    #[test]
    fn what_cannot_travel_is_refused_by_name() {
        assert_eq!(Carriage::of(&[]), Err(Uncarried::NoColumns));
        let zerofill = "int(5) unsigned zerofill";
        for declared in ["point", "geometry", "vector(3)", zerofill, "int(x)", "enum()", "varchar(9)"] {
            refused(column("c", declared, ""));
        }
        assert_eq!(refused(column("é", "int", "")), "its name is not ASCII");
        let hidden =
            TableColumn { extra: "VIRTUAL GENERATED INVISIBLE".to_owned(), ..column("c", "int", "") };
        assert_eq!(refused(hidden), "it is invisible");
        refused(column("c", "enum('é')", "latin1_bin"));
        refused(column("c", "enum('a')", "utf16_bin"));
        refused(column("c", "varchar(9)", "utf8mb4_bin'"));
    }

    #[test]
    fn days_are_counted_over_leap_years() {
        let cases = [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (11_016, (2000, 2, 29)), (24_855, (2038, 1, 19))];
        for (day, date) in cases {
            assert_eq!(civil(day), date);
        }
    }
}
