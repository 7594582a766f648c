//! The values of every type, from `tests/clients/values.json`, and how MySQL itself spells what it has stored.

use serde_json::Value;

/// A column of `every_type` with three values for it, as text.
#[derive(Clone, Debug)]
pub struct TypedColumn {
    pub name: String,
    pub kind: Kind,
    pub texts: Vec<String>,
}

/// What a column's texts stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Bit,
    Decimal,
    Float,
    Text,
    /// In hexadecimal digits.
    Bytes,
    Json,
    Date,
    Time,
    DateTime,
}

/// All columns of `every_type` but `id`, in their order.
pub fn columns_of_every_type() -> Vec<TypedColumn> {
    let columns: Vec<Value> = serde_json::from_str(include_str!("../../clients/values.json")).unwrap();
    columns.iter().map(column).collect()
}

fn column(column: &Value) -> TypedColumn {
    let kind = match column["kind"].as_str().unwrap() {
        "int" => Kind::Int,
        "bit" => Kind::Bit,
        "decimal" => Kind::Decimal,
        "float" => Kind::Float,
        "text" => Kind::Text,
        "bytes" => Kind::Bytes,
        "json" => Kind::Json,
        "date" => Kind::Date,
        "time" => Kind::Time,
        "datetime" => Kind::DateTime,
        other => panic!("no kind {other}"),
    };
    let texts = column["values"].as_array().unwrap().iter().map(spelled_out).collect();
    TypedColumn { name: column["column"].as_str().unwrap().to_owned(), kind, texts }
}

/// A long value is written as what is repeated and how often.
fn spelled_out(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value["repeat"].as_str().unwrap().repeat(value["times"].as_u64().unwrap() as usize),
    }
}

impl TypedColumn {
    /// An expression that makes MySQL itself say what it has stored, in a spelling that no driver converts.
    pub fn server_text(&self) -> String {
        let name = &self.name;
        match self.kind {
            Kind::Bytes => format!("LOWER(HEX({name}))"),
            Kind::Bit => format!("CAST({name} + 0 AS CHAR)"),
            Kind::Text => format!("LOWER(HEX(CONVERT({name} USING utf8mb4)))"),
            _ => format!("CAST({name} AS CHAR)"),
        }
    }

    /// Whether that expression's result stands for the value in this row.
    pub fn is_server_text(&self, row: usize, found: &str) -> bool {
        let text = &self.texts[row];
        match self.kind {
            Kind::Float => found.parse::<f64>().ok() == text.parse::<f64>().ok(),
            Kind::Text => found == hex(text.as_bytes()),
            _ => found == text,
        }
    }
}

/// The column names of `every_type`, or what `expression` makes of them, as a list for SQL.
pub fn list(columns: &[TypedColumn], expression: impl Fn(&TypedColumn) -> String) -> String {
    columns.iter().map(expression).collect::<Vec<_>>().join(", ")
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hexadecimal digits stand for.
pub fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Numbers of a date and time or of a time of day: `2024-02-29 12:34:56.000456` → [2024, 2, 29, 12, 34, 56, 456].
pub fn numbers_of(text: &str) -> Vec<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts = whole.trim_start_matches('-').split(['-', ' ', ':']);
    parts.chain([fraction]).map(|part| part.parse().unwrap()).collect()
}
