//! A statement on `information_schema` put to use: whether one shard's word is the whole answer, else whom to ask for which rows. Never asks anybody.

use std::sync::Arc;

use podway_model::{Keyspace, Map, Name, ShardIndex};

use super::catalog_tables::{CatalogTable, INFORMATION_SCHEMA};
use super::gather::{CatalogRows, Gather, Part, Rows, SchemaSource};
use super::plan::Plan;
use super::target::{KeySource, Route};
use crate::Normalised;
use crate::vindex::{KeyValue, ValueContext, literal_value};

/// Databases of the servers' own.
const OF_SERVERS: [&str; 4] = [INFORMATION_SCHEMA, "mysql", "performance_schema", "sys"];

/// Whom to ask for some of a table's rows.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogAsk {
    /// Whose tables the rows are about; `None`: the servers' own.
    pub of: Option<Name>,
    /// The keyspace whose shard is asked.
    pub keyspace: Name,
    /// The shard.
    pub shard: ShardIndex,
    /// Whether its rows count as rows; else only their numbers do.
    pub is_whole: bool,
}

impl Plan {
    /// Where a statement on `information_schema` goes: home, where one shard's word is the whole answer.
    pub(super) fn catalog_route(
        &self,
        keyspace: &Keyspace,
        gather: &Gather,
        text: (&[u8], &Normalised),
        params: &[KeyValue<'_>],
    ) -> Route {
        let is_named_alike = keyspace.shard(keyspace.home).is_some_and(|home| home.schema == keyspace.name);
        let is_own = |part: &Part| {
            let Rows::Catalog(rows) = &part.rows else { return false };
            if rows.table.is_none() {
                return true;
            }
            let schemas = self.catalog_schemas(rows, Some(&keyspace.name), text, params);
            !rows.numbers
                && schemas.is_some_and(|schemas| schemas.iter().all(|name| name == keyspace.name.as_str()))
        };
        if is_named_alike && !self.names.elsewhere && gather.parts.iter().all(is_own) {
            return Route::Shard(keyspace.home);
        }
        Route::Gather
    }

    /// The databases that a part is about, by name; `None`: all, or it is not certain. `current` is the session's.
    pub fn catalog_schemas(
        &self,
        rows: &CatalogRows,
        current: Option<&Name>,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
    ) -> Option<Vec<String>> {
        let values = &self.values;
        let context =
            ValueContext { sql_mode: values.sql_mode, charset: values.charset, collation: &values.collation };
        let mut names = Vec::new();
        for source in rows.schemas.as_ref()? {
            let value = match source {
                SchemaSource::Current => {
                    names.extend(current.map(|name| name.as_str().to_owned()));
                    continue;
                }
                SchemaSource::Value(KeySource::Literal(at)) => {
                    literal_value(sql, n.literals(), *at as usize, &context)
                }
                SchemaSource::Value(KeySource::Param(at)) => params.get(*at as usize)?.clone(),
                SchemaSource::Value(_) => return None,
            };
            match value {
                KeyValue::Null => {}
                KeyValue::Text { bytes, .. } if bytes.is_ascii() => {
                    names.push(String::from_utf8_lossy(&bytes).trim_end().to_owned());
                }
                _ => return None,
            }
        }
        Some(names)
    }
}

/// Whom to ask for a part's rows, about these databases; `home` is the keyspace whose home shard speaks of the servers. Home shards come first.
pub fn catalog_asks(
    map: &Map,
    home: &Keyspace,
    rows: &CatalogRows,
    schemas: Option<&[String]>,
) -> Vec<CatalogAsk> {
    let of_server = CatalogAsk { of: None, keyspace: home.name.clone(), shard: home.home, is_whole: true };
    if rows.table.is_none() {
        return vec![of_server];
    }
    let is_asked =
        |name: &str| schemas.is_none_or(|names| names.iter().any(|asked| asked.eq_ignore_ascii_case(name)));
    let mut keyspaces: Vec<&Arc<Keyspace>> =
        map.keyspaces().filter(|keyspace| is_asked(keyspace.name.as_str())).collect();
    keyspaces.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
    let ask = |keyspace: &Keyspace, shard: ShardIndex| CatalogAsk {
        of: Some(keyspace.name.clone()),
        keyspace: keyspace.name.clone(),
        shard,
        is_whole: shard == keyspace.home,
    };
    let mut asks: Vec<CatalogAsk> = keyspaces.iter().map(|keyspace| ask(keyspace, keyspace.home)).collect();
    if OF_SERVERS.iter().any(|name| is_asked(name)) {
        asks.push(of_server);
    }
    for keyspace in keyspaces.iter().filter(|_| rows.numbers) {
        let shards = (0..keyspace.shards.len()).map(|shard| ShardIndex(shard as u16));
        asks.extend(shards.filter(|shard| *shard != keyspace.home).map(|shard| ask(keyspace, shard)));
    }
    asks
}

/// The condition by which a shard's server is asked for the rows about this schema of its; `None`: those about its own databases. None where all are read.
pub fn catalog_condition(table: &CatalogTable, schema: Option<&str>) -> Option<String> {
    let quoted = |text: &str| {
        let digits: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        format!("_utf8mb4 X'{digits}'")
    };
    match (table.schemas.first(), schema) {
        (Some(column), Some(schema)) => {
            // Privileges are on patterns.
            let forms = [quoted(schema), quoted(&schema.replace('_', "\\_"))];
            let forms = if table.name == "SCHEMA_PRIVILEGES" { &forms[..] } else { &forms[..1] };
            Some(format!("{column} IN ({})", forms.join(", ")))
        }
        (Some(column), None) => {
            let own: Vec<String> = OF_SERVERS.iter().map(|name| quoted(name)).collect();
            Some(format!("{column} IN ({})", own.join(", ")))
        }
        (None, _) => None,
    }
}

/// Whether the database is one of the servers' own. No other is reachable where some keyspace has several shards.
pub fn is_of_servers(name: &str) -> bool {
    OF_SERVERS.iter().any(|own| own.eq_ignore_ascii_case(name))
}
