//! What is asked for a statement on `information_schema`. Never asks it.

use podway_model::Keyspace;

use super::{ExplainedPart, Scene, Sent};
use crate::plan::catalog::{CatalogAsk, catalog_asks, catalog_condition};
use crate::plan::catalog_tables::INFORMATION_SCHEMA;
use crate::plan::gather::{CatalogRows, Part};
use crate::plan::plan::Plan;

impl Plan {
    /// What is read in the place of a table; `keyspace` is the session's, of whose shards alone it is said what they get.
    pub(super) fn catalog_part(
        &self,
        scene: &Scene<'_>,
        keyspace: &Keyspace,
        (title, part, rows): (String, &Part, &CatalogRows),
    ) -> ExplainedPart {
        let text = (scene.sql, scene.n);
        let schemas = self.catalog_schemas(rows, scene.facts.database, text, &[]);
        let asks = catalog_asks(scene.map, keyspace, rows, schemas.as_deref());
        let (own, others): (Vec<CatalogAsk>, Vec<CatalogAsk>) =
            asks.into_iter().partition(|ask| ask.keyspace == keyspace.name);
        let sent = |ask: &CatalogAsk| {
            let schema = ask.of.as_ref().and_then(|_| keyspace.shard(ask.shard));
            let schema = schema.map(|shard| shard.schema.as_str());
            let condition = rows.table.and_then(|table| catalog_condition(table, schema));
            let mut out = "SELECT …".as_bytes().to_vec();
            self.part_text_where(
                part,
                (INFORMATION_SCHEMA, condition.as_deref()),
                text,
                &|_, _| None,
                &mut out,
            );
            Sent { shard: ask.shard, text: out }
        };
        let and = if others.is_empty() { "" } else { ", and of other keyspaces" };
        ExplainedPart { title: Some(format!("{title}{and}")), sent: own.iter().map(sent).collect() }
    }
}
