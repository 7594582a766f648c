//! SHOW statements that over several shards are SELECTs of `information_schema`, as they are inside MySQL: SHOW DATABASES, and SHOW TABLE STATUS with WHERE. Writes
//! their texts, never runs them.

use super::bind::{Database, database};
use super::context::PlanContext;
use super::gather::span;
use super::rewrite::put_name;
use super::sketch::parts::Run;
use super::tokens::{Class, Tokens};
use crate::{ClientCharset, Normalised, SelectedShow, ShownObjects, TemplateSpan};

/// What SHOW TABLE STATUS calls the columns of `information_schema.TABLES`.
const STATUS_COLUMNS: &str = "TABLE_NAME AS Name, ENGINE AS Engine, VERSION AS Version, ROW_FORMAT AS Row_format, TABLE_ROWS AS `Rows`, \
     AVG_ROW_LENGTH AS Avg_row_length, DATA_LENGTH AS Data_length, MAX_DATA_LENGTH AS Max_data_length, INDEX_LENGTH AS Index_length, \
     DATA_FREE AS Data_free, AUTO_INCREMENT AS Auto_increment, CREATE_TIME AS Create_time, UPDATE_TIME AS Update_time, \
     CHECK_TIME AS Check_time, TABLE_COLLATION AS Collation, CHECKSUM AS Checksum, CREATE_OPTIONS AS Create_options, TABLE_COMMENT AS Comment";

/// The statement as a SELECT, if it is one of these; what it is not sure of stays a SHOW.
pub(super) fn selected(ctx: &PlanContext<'_>, t: &Tokens<'_>, at: Option<usize>) -> Option<SelectedShow> {
    let tail = |first: usize| Some(span(t, Run { first, end: t.len() })).filter(|_| first < t.len());
    if matches!(t.text(1), "DATABASES" | "SCHEMAS") {
        let objects = ShownObjects::Databases;
        return match (t.text(2), t.class(3)) {
            _ if t.len() == 2 => Some(SelectedShow { objects, pattern: None, condition: None }),
            ("LIKE", Class::Literal(_, kind)) if kind.is_text() && t.len() == 4 => {
                Some(SelectedShow { objects, pattern: tail(3), condition: None })
            }
            ("WHERE", _) => Some(SelectedShow { objects, pattern: None, condition: Some(tail(3)?) }),
            _ => None,
        };
    }
    if !t.are(1, &["TABLE", "STATUS"]) {
        return None;
    }
    let spelled = match at {
        Some(at) => t.name(at)?.into_owned(),
        None => ctx.keyspace?.as_str().to_owned(),
    };
    let Ok(Database::Keyspace(keyspace)) = database(ctx, &spelled) else { return None };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$' | b'.');
    let name = keyspace.name.as_str();
    let first = (3..t.len()).find(|&at| t.is(at, "WHERE"))? + 1;
    let objects = ShownObjects::TableStatus(name.into());
    let is_certain = !keyspace.is_single() && name.bytes().all(is_plain);
    Some(SelectedShow { objects, pattern: None, condition: Some(tail(first)?) }).filter(|_| is_certain)
}

impl SelectedShow {
    /// The SELECT.
    pub fn text(&self, sql: &[u8], n: &Normalised, charset: ClientCharset) -> Vec<u8> {
        let written = |span: TemplateSpan| sql.get(n.original_range(span.range()));
        let (pattern, condition) = (self.pattern.and_then(written), self.condition.and_then(written));
        let mut text = Vec::new();
        match (&self.objects, pattern, condition) {
            (ShownObjects::Databases, Some(pattern), _) => {
                text.extend_from_slice(b"SELECT SCHEMA_NAME AS ");
                let inner = pattern.get(1..pattern.len().saturating_sub(1)).unwrap_or_default();
                put_name(&[b"Database (".as_slice(), inner, b")"].concat(), charset, &mut text);
                text.extend_from_slice(b" FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE ");
                text.extend_from_slice(pattern);
                text.extend_from_slice(b" ORDER BY SCHEMA_NAME");
            }
            (ShownObjects::Databases, None, None) => text.extend_from_slice(
                b"SELECT SCHEMA_NAME AS `Database` FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME",
            ),
            (ShownObjects::Databases, None, Some(condition)) => {
                text.extend_from_slice(
                    b"SELECT * FROM (SELECT SCHEMA_NAME AS `Database` FROM information_schema.SCHEMATA) AS SCHEMATA WHERE (",
                );
                text.extend_from_slice(condition);
                text.extend_from_slice(b") ORDER BY 1");
            }
            (ShownObjects::TableStatus(database), _, condition) => {
                let head = format!(
                    "SELECT * FROM (SELECT {STATUS_COLUMNS} FROM information_schema.TABLES \
                     WHERE TABLE_SCHEMA = '{database}') AS TABLES WHERE ("
                );
                text.extend_from_slice(head.as_bytes());
                text.extend_from_slice(condition.unwrap_or(b"TRUE"));
                text.extend_from_slice(b") ORDER BY 1");
            }
        }
        text
    }
}
