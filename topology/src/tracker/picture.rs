//! Which tables have to be looked at closely, and what is reported of a whole look. Pure: digests and shapes come in, findings go out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podway_model::{DriftSubject, Keyspace, Map, Name, ServerId, ShardIndex, Table, TableKind};
use podway_topology_api::{Finding, Operation, OperationKind};

use super::judge::{Group, judge, judge_traits};
use crate::provision::{ServerTraits, TableDigest, TableShape, ViewUse};

/// How many tables that nobody declared are named in each keyspace.
const MOST_STRANGERS: usize = 20;

/// What is under way, and must not raise alarms: what is read there may be half-done.
#[derive(Clone, Debug, Default)]
pub(super) struct Busy {
    /// Shards that move.
    shards: BTreeSet<u32>,
    /// Tables that a statement is about; `None`: it may be any of the keyspace.
    tables: BTreeSet<(Box<str>, Option<Box<str>>)>,
}

/// A shard's place in a keyspace.
pub(super) type Place = (Name, ShardIndex);
/// A table, by its keyspace's and its own name in the form that is compared.
pub(super) type TableKey = (Name, Name);

/// What was seen of all servers.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The digests of a shard's tables; one that could not be read is not here.
    pub(super) digests: BTreeMap<Place, BTreeMap<Name, TableDigest>>,
    /// What the views of a server use; one that could not be read is not here.
    pub(super) views: BTreeMap<ServerId, Vec<ViewUse>>,
    /// What servers are set to.
    pub(super) traits: Vec<(ServerId, ServerTraits)>,
    /// What else is wrong with servers.
    pub(super) problems: BTreeMap<ServerId, Vec<String>>,
}

/// A table that has to be looked at closely, with a shard for each way in which it is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    pub(super) table: TableKey,
    /// For each digest, the shards that have it; the first one is read.
    pub(super) groups: Vec<Vec<ShardIndex>>,
    pub(super) missing: Vec<ShardIndex>,
}

/// Tables that were found to be as they should be: as long as nothing of this changes, they still are.
pub(super) type Sound = BTreeMap<TableKey, (Vec<(ShardIndex, TableDigest)>, Arc<Table>)>;

/// What a look is compared with.
pub(super) struct Picture<'a> {
    pub(super) map: &'a Map,
    pub(super) busy: &'a Busy,
    pub(super) seen: &'a Seen,
    /// What servers are called.
    pub(super) names: &'a BTreeMap<ServerId, Box<str>>,
}

impl Busy {
    /// What these operations, which go on, are about.
    pub(super) fn of(operations: &[Operation], map: &Map) -> Busy {
        let fold = |name: &str| -> Box<str> { map.names.fold(name).into() };
        let mut busy = Busy::default();
        for operation in operations {
            match &operation.kind {
                OperationKind::MoveShard(one) => {
                    busy.shards.insert(one.shard.0);
                }
                OperationKind::Ddl(ddl) => {
                    let (keyspace, tables) = (fold(&ddl.keyspace), ddl.tables());
                    if tables.is_empty() {
                        busy.tables.insert((keyspace.clone(), None));
                    }
                    busy.tables.extend(tables.iter().map(|table| (keyspace.clone(), Some(fold(table)))));
                }
                OperationKind::Users { .. } => {}
            }
        }
        busy
    }

    /// Whether a shard's schema may be half-done.
    pub(super) fn has_shard(&self, keyspace: &Keyspace, index: ShardIndex) -> bool {
        keyspace.shard(index).is_some_and(|shard| self.shards.contains(&shard.id.0))
    }

    fn has_table(&self, keyspace: &Name, table: &Name) -> bool {
        let keyspace: Box<str> = keyspace.key().into();
        self.tables.contains(&(keyspace.clone(), None))
            || self.tables.contains(&(keyspace, Some(table.key().into())))
    }
}

impl Picture<'_> {
    /// The tables that have to be looked at closely.
    pub(super) fn suspects(&self, sound: &Sound) -> Vec<Suspect> {
        let mut suspects = Vec::new();
        for keyspace in self.keyspaces() {
            let mut tables: Vec<&Arc<Table>> = keyspace.tables.values().collect();
            tables.sort_by_key(|table| &table.name);
            for table in tables {
                if matches!(table.kind, TableKind::View) || self.busy.has_table(&keyspace.name, &table.name) {
                    continue;
                }
                let key = (keyspace.name.clone(), table.name.clone());
                let (has, missing) = self.on_shards(keyspace, table);
                let is_sound = missing.is_empty()
                    && self.map.drift(&subject(&key)).is_none()
                    && sound
                        .get(&key)
                        .is_some_and(|(known, as_declared)| *known == has && as_declared == table);
                if is_sound || has.is_empty() && missing.is_empty() {
                    continue;
                }
                let mut groups: BTreeMap<&TableDigest, Vec<ShardIndex>> = BTreeMap::new();
                for (index, digest) in &has {
                    groups.entry(digest).or_default().push(*index);
                }
                let mut groups: Vec<Vec<ShardIndex>> = groups.into_values().collect();
                groups.sort();
                suspects.push(Suspect { table: key, groups, missing });
            }
        }
        suspects
    }

    /// What is to be reported of these suspects and of everything else that was seen. What is sound is remembered.
    pub(super) fn findings(
        &self,
        suspects: &[Suspect],
        shapes: &BTreeMap<(TableKey, ShardIndex), TableShape>,
        sound: &mut Sound,
    ) -> Vec<Finding> {
        let mut differing: BTreeMap<DriftSubject, (String, bool)> = BTreeMap::new();
        let mut columns = Vec::new();
        let mut undecided = BTreeSet::new();
        for suspect in suspects {
            let (keyspace_name, table_name) = &suspect.table;
            let Some(keyspace) = self.map.keyspace(keyspace_name) else { continue };
            let Some(table) = keyspace.tables.get(table_name.key()) else { continue };
            let group = |shards: &Vec<ShardIndex>| {
                let shape = shapes.get(&(suspect.table.clone(), *shards.first()?))?.clone();
                Some(Group { shards: self.called(keyspace, shards), shape })
            };
            let groups: Option<Vec<Group>> = suspect.groups.iter().map(group).collect();
            // One that went while it was looked at is looked at again.
            let Some(groups) = groups else {
                undecided.insert(subject(&suspect.table));
                continue;
            };
            let verdict = judge(table, &groups, &self.called(keyspace, &suspect.missing));
            let is_sound = verdict.problems.is_empty() && verdict.columns.is_none();
            match is_sound {
                true => {
                    let (has, _) = self.on_shards(keyspace, table);
                    sound.insert(suspect.table.clone(), (has, table.clone()));
                }
                false => drop(sound.remove(&suspect.table)),
            }
            if !verdict.problems.is_empty() {
                let what = (verdict.problems.join("; "), verdict.stops_pinning);
                differing.insert(subject(&suspect.table), what);
            }
            if let Some(columns_now) = verdict.columns.filter(|_| self.is_whole(keyspace)) {
                columns.push(Finding::Columns {
                    keyspace: keyspace.name.as_str().into(),
                    table: table.name.as_str().into(),
                    columns: columns_now,
                });
            }
        }
        for keyspace in self.keyspaces() {
            self.strangers(keyspace, &mut differing);
        }
        self.views(&mut differing);
        self.servers(&mut differing);
        let mut findings = self.differences(differing, &undecided, suspects);
        findings.extend(columns);
        findings
    }

    /// What is new of what differs, and what differs no more; what stops pinning comes first.
    fn differences(
        &self,
        differing: BTreeMap<DriftSubject, (String, bool)>,
        undecided: &BTreeSet<DriftSubject>,
        suspects: &[Suspect],
    ) -> Vec<Finding> {
        let looked_at: BTreeSet<DriftSubject> =
            suspects.iter().map(|suspect| subject(&suspect.table)).collect();
        let mut findings = Vec::new();
        for (subject, drift) in self.map.drifts() {
            let is_over = !differing.contains_key(subject)
                && !undecided.contains(subject)
                && self.can_clear(subject, looked_at.contains(subject));
            if is_over {
                findings.push(Finding::Agrees { subject: subject.clone() });
            } else if let Some((what, stops_pinning)) = differing.get(subject) {
                let is_less = drift.stops_pinning && !stops_pinning;
                // From a part of the shards nothing is taken back.
                if is_less && !self.can_clear(subject, true) {
                    continue;
                }
                if *drift.what != **what || drift.stops_pinning != *stops_pinning {
                    findings.push(differs(subject, what, *stops_pinning));
                }
            }
        }
        let new = differing.iter().filter(|(subject, _)| self.map.drift(subject).is_none());
        findings.extend(new.map(|(subject, (what, stops_pinning))| differs(subject, what, *stops_pinning)));
        findings.sort_by_key(|finding| !matches!(finding, Finding::Differs { stops_pinning: true, .. }));
        findings
    }

    /// Whether enough was seen to say that something does not differ any more.
    fn can_clear(&self, subject: &DriftSubject, is_looked_at: bool) -> bool {
        match subject {
            DriftSubject::Server(id) => self.seen.traits.iter().any(|(seen, _)| seen == id),
            DriftSubject::Table { keyspace, table } => {
                let Some(keyspace) = self.map.keyspace(keyspace) else { return true };
                let is_declared = keyspace.tables.get(table.key());
                let is_expected = is_declared.is_some_and(|table| !matches!(table.kind, TableKind::View));
                self.is_whole(keyspace)
                    && !self.busy.has_table(&keyspace.name, table)
                    && (is_looked_at || !is_expected)
            }
        }
    }

    /// Tables on shards where nobody expects them: their rows there are not seen.
    fn strangers(&self, keyspace: &Keyspace, differing: &mut BTreeMap<DriftSubject, (String, bool)>) {
        let mut found: BTreeMap<&Name, Vec<ShardIndex>> = BTreeMap::new();
        for index in indexes(keyspace).filter(|index| *index != keyspace.home) {
            let Some(digests) = self.seen.digests.get(&(keyspace.name.clone(), index)) else { continue };
            for (name, _) in digests.iter().filter(|(_, digest)| !digest.is_view) {
                let declared = keyspace.tables.get(name.key()).map(|table| &table.kind);
                let is_expected = matches!(declared, Some(TableKind::Sharded(_) | TableKind::Reference));
                if !is_expected && !self.busy.has_table(&keyspace.name, name) {
                    found.entry(name).or_default().push(index);
                }
            }
        }
        for (name, shards) in found.into_iter().take(MOST_STRANGERS) {
            let on = self.called(keyspace, &shards).join(", ");
            let what = match keyspace.tables.contains_key(name.key()) {
                true => format!("it is a home table, and {on} has one too, whose rows nobody sees"),
                false => format!(
                    "it is on {on}, and nobody declared it: rows there are not seen (podway table declare)"
                ),
            };
            differing.insert(subject(&(keyspace.name.clone(), name.clone())), (what, false));
        }
    }

    fn servers(&self, differing: &mut BTreeMap<DriftSubject, (String, bool)>) {
        let mut problems = judge_traits(&self.seen.traits);
        for (id, further) in &self.seen.problems {
            problems.entry(*id).or_default().extend(further.iter().cloned());
        }
        for (id, texts) in problems {
            differing.insert(DriftSubject::Server(id), (texts.join("; "), false));
        }
    }

    /// Whether a statement is under way that is about a table.
    pub(super) fn is_busy(&self, keyspace: &Keyspace, table: &Name) -> bool {
        self.busy.has_table(&keyspace.name, table)
    }

    pub(super) fn keyspaces(&self) -> Vec<&Keyspace> {
        let mut keyspaces: Vec<&Keyspace> = self.map.keyspaces().map(|keyspace| &**keyspace).collect();
        keyspaces.sort_by_key(|keyspace| &keyspace.name);
        keyspaces
    }

    /// Whether all shards of a keyspace were read.
    fn is_whole(&self, keyspace: &Keyspace) -> bool {
        indexes(keyspace).all(|index| self.seen.digests.contains_key(&(keyspace.name.clone(), index)))
    }

    /// The shards that were read and should have a table: with its digest, and without it.
    fn on_shards(
        &self,
        keyspace: &Keyspace,
        table: &Table,
    ) -> (Vec<(ShardIndex, TableDigest)>, Vec<ShardIndex>) {
        let is_home = matches!(table.kind, TableKind::Home);
        let (mut has, mut missing) = (Vec::new(), Vec::new());
        for index in indexes(keyspace).filter(|index| !is_home || *index == keyspace.home) {
            let Some(digests) = self.seen.digests.get(&(keyspace.name.clone(), index)) else { continue };
            match digests.get(table.name.key()) {
                Some(digest) => has.push((index, digest.clone())),
                None => missing.push(index),
            }
        }
        (has, missing)
    }

    /// Shards as people know them.
    fn called(&self, keyspace: &Keyspace, shards: &[ShardIndex]) -> Vec<String> {
        let called = |index: &ShardIndex| {
            let shard = keyspace.shard(*index)?;
            let server = self.names.get(&shard.server).map_or("?", |name| name);
            Some(format!("{} (server {server})", shard.id))
        };
        shards.iter().filter_map(called).collect()
    }
}

fn indexes(keyspace: &Keyspace) -> impl Iterator<Item = ShardIndex> {
    (0..keyspace.shards.len()).map(|index| ShardIndex(index as u16))
}

fn subject((keyspace, table): &TableKey) -> DriftSubject {
    DriftSubject::Table { keyspace: keyspace.clone(), table: table.clone() }
}

fn differs(subject: &DriftSubject, what: &str, stops_pinning: bool) -> Finding {
    Finding::Differs { subject: subject.clone(), what: what.into(), stops_pinning }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provision::TableDefinition;
    use podway_model::{
        Change, Column, ColumnDefault, ColumnType, Drift, Epoch, NameRule, Revision, Server, Shard, ShardId,
        Sharding, Vindex,
    };
    use podway_topology_api::{
        Ddl, LogTime, MoveStep, OperationId, OperationState, ShardMove, TableEffect, Term,
    };

    const RULE: NameRule = NameRule::CaseSensitive;

    fn column(name: &str) -> Column {
        Column {
            name: Name::caseless(name),
            column_type: ColumnType::Integer { bytes: 8, unsigned: false },
            collation: None,
            nullable: false,
            auto_increment: false,
            generated: false,
            default: ColumnDefault::None,
            invisible: false,
        }
    }

    fn table(name: &str, kind: TableKind) -> Change {
        let table = Table { name: RULE.name(name), kind, columns: vec![column("id")] };
        Change::Table { keyspace: RULE.name("shop"), table: Arc::new(table) }
    }

    /// A shop on servers 1 and 2: `orders` sharded, `notes` at home; with these changes.
    fn map(further: Vec<Change>) -> Map {
        let server = |id: u32| {
            let uuid = format!("uuid-{id}").into();
            let server =
                Server { id: ServerId(id), host: "h".into(), port: 3306, uuid, version: "8.4.3".into() };
            Change::Server(Arc::new(server))
        };
        let shard = |id: u32| Shard {
            id: ShardId(id),
            server: ServerId(id),
            schema: RULE.name("shop"),
            epoch: Epoch(1),
        };
        let keyspace = Keyspace::evenly(RULE.name("shop"), vec![shard(1), shard(2)]).unwrap();
        let by_id = TableKind::Sharded(Sharding::by(vec![0], Vindex::Xxh3));
        let mut changes = vec![server(1), server(2), Change::Keyspace(keyspace.record())];
        changes.extend([table("orders", by_id), table("notes", TableKind::Home)]);
        changes.extend(further);
        Map::empty(RULE).changed(Revision(5), &changes).unwrap()
    }

    fn marked(table: &str, what: &str, stops_pinning: bool) -> Change {
        let drift = Drift { what: what.into(), since_ms: 1, stops_pinning };
        let subject = subject(&(RULE.name("shop"), RULE.name(table)));
        Change::Drift { subject, drift: Some(Arc::new(drift)) }
    }

    /// What shards have, by number from 0: tables with the numbers of their digests.
    fn seen(shards: &[(u16, &[(&str, u64)])]) -> Seen {
        let digests = |tables: &[(&str, u64)]| {
            tables.iter().map(|(name, number)| (RULE.name(name), TableDigest::of(*number, false))).collect()
        };
        let place = |index: u16| (RULE.name("shop"), ShardIndex(index));
        Seen {
            digests: shards.iter().map(|(index, tables)| (place(*index), digests(tables))).collect(),
            ..Seen::default()
        }
    }

    fn shape(columns: &[&str]) -> TableShape {
        let columns: Vec<Column> = columns.iter().map(|name| column(name)).collect();
        TableShape {
            columns: columns.iter().map(|c| (c.name.to_string(), format!("{c:?}"))).collect(),
            definition: TableDefinition {
                name: String::new(),
                is_view: false,
                columns,
                primary_key: vec![Name::caseless("id")],
                unique_keys: Vec::new(),
                set_on_update: Vec::new(),
                before_triggers: Vec::new(),
            },
            engine: "InnoDB".into(),
            collation: String::new(),
            indexes: BTreeMap::new(),
        }
    }

    /// A look: each digest's number is the number of columns that a table of it has. Gives the tables that were looked at closely, and what was found, printed.
    fn look(map: &Map, busy: &Busy, seen: &Seen, sound: &mut Sound) -> (Vec<String>, Vec<String>) {
        let names = BTreeMap::from([(ServerId(1), "a".into()), (ServerId(2), "b".into())]);
        let picture = Picture { map, busy, seen, names: &names };
        let suspects = picture.suspects(sound);
        let mut shapes = BTreeMap::new();
        for suspect in &suspects {
            for first in suspect.groups.iter().map(|group| group[0]) {
                let digest = &seen.digests[&(RULE.name("shop"), first)][&suspect.table.1];
                let columns = (1..=4).find(|number| *digest == TableDigest::of(*number, false)).unwrap();
                let columns = &["id", "x", "y", "z"][..columns as usize];
                shapes.insert((suspect.table.clone(), first), shape(columns));
            }
        }
        let findings = picture.findings(&suspects, &shapes, sound);
        let printed = |finding: &Finding| match finding {
            Finding::Differs { subject, what, stops_pinning } => {
                format!("{subject}: {what}{}", if *stops_pinning { " (stops)" } else { "" })
            }
            Finding::Agrees { subject } => format!("{subject} agrees"),
            Finding::Columns { table, columns, .. } => format!("{table}: {} columns", columns.len()),
        };
        let looked_at = suspects.iter().map(|suspect| suspect.table.1.to_string()).collect();
        (looked_at, findings.iter().map(printed).collect())
    }

    fn fresh(map: &Map, seen: &Seen) -> Vec<String> {
        look(map, &Busy::default(), seen, &mut Sound::new()).1
    }

    const WELL: [(u16, &[(&str, u64)]); 2] = [(0, &[("notes", 1), ("orders", 1)]), (1, &[("orders", 1)])];

    #[test]
    fn what_was_well_is_looked_at_again_only_when_something_of_it_is_new() {
        let (map, mut sound, idle) = (map(vec![]), Sound::new(), Busy::default());
        let first = look(&map, &idle, &seen(&WELL), &mut sound);
        assert_eq!(first, (vec!["notes".to_owned(), "orders".to_owned()], vec![]));
        assert_eq!(look(&map, &idle, &seen(&WELL), &mut sound), (vec![], vec![]));
        let altered = seen(&[(0, &[("notes", 1), ("orders", 1)]), (1, &[("orders", 2)])]);
        let (looked_at, found) = look(&map, &idle, &altered, &mut sound);
        assert_eq!(looked_at, ["orders"]);
        assert!(
            found[0].starts_with("table shop.orders: its column x is missing on shard 1 (server a)"),
            "{found:?}"
        );
        let marked = super::tests::map(vec![marked("orders", "x", false)]);
        let (looked_at, found) = look(&marked, &idle, &seen(&WELL), &mut sound);
        assert_eq!(
            (looked_at, found),
            (vec!["orders".to_owned()], vec!["table shop.orders agrees".to_owned()])
        );
    }

    #[test]
    fn what_all_shards_have_alike_is_taken_over_when_all_were_seen() {
        let alike = [(0, &[("notes", 1), ("orders", 2)][..]), (1, &[("orders", 2)][..])];
        assert_eq!(fresh(&map(vec![]), &seen(&alike)), ["orders: 2 columns"]);
        assert_eq!(fresh(&map(vec![]), &seen(&alike[..1])), Vec::<String>::new(), "half of them say nothing");
        assert_eq!(
            fresh(&map(vec![]), &seen(&[(0, &[("notes", 3), ("orders", 1)]), WELL[1]])),
            ["notes: 3 columns"]
        );
    }

    #[test]
    fn from_a_part_of_the_shards_nothing_is_taken_back() {
        let marked = map(vec![marked("orders", "its key differs", true)]);
        assert_eq!(fresh(&marked, &seen(&WELL[..1])), Vec::<String>::new());
        assert_eq!(fresh(&marked, &seen(&WELL)), ["table shop.orders agrees"]);
        let missing = [(0, &[("notes", 1)][..])];
        let found = fresh(&map(vec![]), &seen(&missing));
        assert_eq!(found, ["table shop.orders: it is missing on shard 1 (server a)"], "what is seen is told");
        assert_eq!(fresh(&marked, &seen(&missing)), Vec::<String>::new(), "and makes no key certain");
    }

    #[test]
    fn tables_where_nobody_expects_them_are_named_until_they_are_gone() {
        let strange = [WELL[0], (1, &[("notes", 1), ("orders", 1), ("stray", 1)][..])];
        let found = fresh(&map(vec![]), &seen(&strange));
        assert!(
            found[0].starts_with("table shop.notes: it is a home table, and shard 2 (server b) has one too"),
            "{found:?}"
        );
        assert!(
            found[1].starts_with("table shop.stray: it is on shard 2 (server b), and nobody declared it"),
            "{found:?}"
        );
        let known = map(vec![marked("stray", "it is on shard 2", false)]);
        assert_eq!(fresh(&known, &seen(&WELL)), ["table shop.stray agrees"]);
        let at_home = [(0, &[("notes", 1), ("orders", 1), ("other", 1)][..]), WELL[1]];
        assert_eq!(fresh(&map(vec![]), &seen(&at_home)), Vec::<String>::new());
    }

    fn operation(kind: OperationKind) -> Operation {
        Operation {
            id: OperationId(1),
            kind,
            who: "ann".into(),
            since: LogTime(0),
            changed: LogTime(0),
            term: Term(1),
            state: OperationState::Running,
            targets: Vec::new(),
            trouble: None,
            refusal: None,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn what_is_under_way_raises_no_alarm() {
        let map = map(vec![marked("notes", "x", false)]);
        let ddl = |tables: &[&str]| {
            let effects = tables.iter().map(|table| TableEffect::Altered((*table).into())).collect();
            operation(OperationKind::Ddl(Ddl {
                keyspace: "shop".into(),
                effects,
                shown: "".into(),
                declaration: None,
                held: None,
                declared: None,
                followed: None,
            }))
        };
        let half_done = seen(&[(0, &[("notes", 1), ("orders", 2)]), WELL[1]]);
        let busy = |operation: Operation| Busy::of(&[operation], &map);
        let found = |busy: &Busy| look(&map, busy, &half_done, &mut Sound::new()).1;
        assert_eq!(found(&busy(ddl(&["orders"]))), ["table shop.notes agrees"]);
        assert_eq!(found(&busy(ddl(&[]))), Vec::<String>::new(), "it may be about any table");
        assert_eq!(found(&busy(ddl(&["notes"]))).len(), 1, "orders is not its table");
        let one = ShardMove {
            keyspace: "shop".into(),
            shard: ShardId(2),
            from: ServerId(2),
            from_schema: "shop".into(),
            to: ServerId(1),
            to_schema: "x".into(),
            step: MoveStep::CatchUp,
            freeze: None,
            frozen_at: None,
        };
        let busy = busy(operation(OperationKind::MoveShard(one)));
        let keyspace = map.keyspace(&RULE.name("shop")).unwrap();
        assert!(busy.has_shard(keyspace, ShardIndex(1)) && !busy.has_shard(keyspace, ShardIndex(0)));
    }
}
