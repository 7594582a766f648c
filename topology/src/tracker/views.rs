//! Views that use tables of which their server has a part, or one copy. Pure.

use std::collections::BTreeMap;

use podway_model::{DriftSubject, ServerId, TableKind};

use super::picture::Picture;
use crate::provision::views_of_spread;

impl Picture<'_> {
    /// Views on home shards that use a sharded or reference table of several shards. With several shards statements that name such a view are refused; with one
    /// they go where the view is, whatever it uses, and it is told of only.
    pub(super) fn views(&self, differing: &mut BTreeMap<DriftSubject, (String, bool)>) {
        for keyspace in self.keyspaces() {
            let Some(home) = keyspace.shard(keyspace.home) else { continue };
            // A shard that moves is not looked at.
            let was_read = self.seen.digests.contains_key(&(keyspace.name.clone(), keyspace.home));
            let Some(uses) = self.seen.views.get(&home.server).filter(|_| was_read) else { continue };
            let is_spread = |schema: &str, table: &str| self.is_spread(home.server, schema, table);
            for ((schema, view), table) in views_of_spread(uses, self.map.names, is_spread) {
                let declared = keyspace.tables.get(view.as_str()).map(|table| &table.kind);
                let is_here = schema == home.schema.key()
                    && !matches!(declared, Some(TableKind::Sharded(_) | TableKind::Reference));
                let name = self.map.names.name(&view);
                if !is_here || self.is_busy(keyspace, &name) {
                    continue;
                }
                let what = format!(
                    "it is a view that uses {table}, of which its server has a part or one copy: DROP VIEW it"
                );
                let subject = DriftSubject::Table { keyspace: keyspace.name.clone(), table: name };
                differing.insert(subject, (what, !keyspace.is_single()));
            }
        }
    }

    /// Whether a table, by its physical schema, is one that several shards have.
    fn is_spread(&self, server: ServerId, schema: &str, table: &str) -> bool {
        let has = |shard: &podway_model::Shard| shard.server == server && shard.schema.key() == schema;
        self.map.keyspaces().any(|keyspace| {
            let kind = keyspace.tables.get(table).map(|table| &table.kind);
            !keyspace.is_single()
                && matches!(kind, Some(TableKind::Sharded(_) | TableKind::Reference))
                && keyspace.shards.iter().any(has)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use podway_model::{
        Change, Epoch, Keyspace, Map, NameRule, Revision, Server, Shard, ShardId, ShardIndex, Table,
    };
    use podway_topology_api::Finding;

    use super::super::picture::{Busy, Seen, Sound};
    use super::*;
    use crate::provision::{TableDigest, ViewUse};

    const RULE: NameRule = NameRule::CaseSensitive;

    /// `shop` over servers 1 and 2 with the reference table `lands`; `alone`, with one shard, on server 1 beside its home shard.
    fn map() -> Map {
        let server = |id: u32| {
            let uuid = format!("uuid-{id}").into();
            let server =
                Server { id: ServerId(id), host: "h".into(), port: 3306, uuid, version: "8.4.3".into() };
            Change::Server(Arc::new(server))
        };
        let shard = |id: u32, server: u32, schema: &str| Shard {
            id: ShardId(id),
            server: ServerId(server),
            schema: RULE.name(schema),
            epoch: Epoch(1),
        };
        let spread = vec![shard(1, 1, "shop_1"), shard(2, 2, "shop")];
        let keyspace = |name: &str, shards| {
            Change::Keyspace(Keyspace::evenly(RULE.name(name), shards).unwrap().record())
        };
        let lands = Table { name: RULE.name("lands"), kind: TableKind::Reference, columns: Vec::new() };
        let changes = [
            server(1),
            server(2),
            keyspace("shop", spread),
            keyspace("alone", vec![shard(3, 1, "alone")]),
            Change::Table { keyspace: RULE.name("shop"), table: Arc::new(lands) },
        ];
        Map::empty(RULE).changed(Revision(5), &changes).unwrap()
    }

    /// What is found where server 1 has these views, `schema.view` with what each uses, and server 2 the same.
    fn found(map: &Map, views: &[(&str, &str)], home_is_read: bool) -> Vec<(String, bool)> {
        let key = |text: &str| {
            let (schema, name) = text.split_once('.').unwrap();
            (schema.to_owned(), name.to_owned())
        };
        let uses: Vec<ViewUse> =
            views.iter().map(|(view, uses)| ViewUse { view: key(view), uses: key(uses) }).collect();
        let lands = || BTreeMap::from([(RULE.name("lands"), TableDigest::of(1, false))]);
        let mut digests = BTreeMap::from([
            ((RULE.name("shop"), ShardIndex(1)), lands()),
            ((RULE.name("alone"), ShardIndex(0)), BTreeMap::new()),
        ]);
        if home_is_read {
            digests.insert((RULE.name("shop"), ShardIndex(0)), lands());
        }
        let views = BTreeMap::from([(ServerId(1), uses.clone()), (ServerId(2), uses)]);
        let seen = Seen { digests, views, ..Seen::default() };
        let picture = Picture { map, busy: &Busy::default(), seen: &seen, names: &BTreeMap::new() };
        let findings = picture.findings(&[], &BTreeMap::new(), &mut Sound::new());
        let told = |finding: Finding| match finding {
            Finding::Differs { subject, stops_pinning, .. } => (subject.to_string(), stops_pinning),
            other => panic!("{other:?}"),
        };
        findings.into_iter().map(told).collect()
    }

    #[test]
    fn views_at_home_that_use_a_table_of_several_shards_are_found_and_stop_statements() {
        let views = [
            ("shop_1.v", "shop_1.lands"),
            ("shop_1.w", "shop_1.v"),
            ("shop_1.well", "shop_1.notes"),
            ("alone.a", "shop_1.lands"),
            ("alone.well", "alone.lands"),
            // Elsewhere than at home no statement reaches it.
            ("shop.v2", "shop.lands"),
        ];
        let expected = [("table shop.v", true), ("table shop.w", true), ("table alone.a", false)];
        let expected: Vec<(String, bool)> =
            expected.into_iter().map(|(name, stops)| (name.to_owned(), stops)).collect();
        assert_eq!(found(&map(), &views, true), expected);
        assert_eq!(found(&map(), &views[..2], false), [], "a home shard that moves is not looked at");
    }
}
