//! What a look at one table on all its shards says, and what one at all servers' settings does. Pure: no server is asked here.

use std::collections::BTreeMap;

use podway_model::{Column, Name, ServerId, Table, TableKind};

use crate::provision::{ServerTraits, TableShape, names_of_keys, unique_on_each_shard_only};

/// Shards that have a table built in one way.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The shards, as people know them: "shard 1 (server a)".
    pub(super) shards: Vec<String>,
    /// How it is built there.
    pub(super) shape: TableShape,
}

/// What there is to say of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What differs; none: nothing.
    pub(super) problems: Vec<String>,
    /// Whether its sharding key is not certain any more.
    pub(super) stops_pinning: bool,
    /// Its columns, if all shards have others than the map, and all the same.
    pub(super) columns: Option<Vec<Column>>,
}

/// Judges a declared table by how its shards have it. `groups`: at least one shard each; `missing`: the shards that have none.
pub(super) fn judge(table: &Table, groups: &[Group], missing: &[String]) -> Verdict {
    let mut verdict = Verdict::default();
    if !missing.is_empty() {
        verdict.problems.push(format!("it is missing on {}", missing.join(", ")));
    }
    for group in groups.iter().filter(|group| group.shape.definition.is_view) {
        verdict.problems.push(format!("it is a view on {}", group.shards.join(", ")));
        verdict.stops_pinning |= matches!(table.kind, TableKind::Sharded(_));
    }
    let is_alike =
        groups.windows(2).all(|pair| pair[0].shape.definition.columns == pair[1].shape.definition.columns);
    if matches!(table.kind, TableKind::Sharded(_)) {
        for group in groups {
            let problems = key_problems(table, group, is_alike);
            verdict.stops_pinning |= !problems.is_empty();
            verdict.problems.extend(problems);
        }
        let without = groups.iter().filter(|group| group.shape.definition.primary_key.is_empty());
        let without: Vec<&str> = without.flat_map(|group| &group.shards).map(String::as_str).collect();
        if !without.is_empty() {
            verdict.problems.push(format!("it has no primary key on {}", without.join(", ")));
        }
        verdict.problems.extend(loose_keys(table, groups));
    }
    if let Some((first, others)) = groups.split_first() {
        for other in others {
            let Some((what, here, there)) = first.shape.difference(&other.shape) else { continue };
            let (first, other) = (first.shards.join(", "), other.shards.join(", "));
            verdict.problems.push(format!("{what} is {here} on {first} and {there} on {other}"));
        }
        let columns = &first.shape.definition.columns;
        let is_known = !table.columns.is_empty() || table.key_columns().next().is_some();
        if is_alike && missing.is_empty() && !verdict.stops_pinning && is_known && *columns != table.columns {
            verdict.columns = Some(columns.clone());
        }
    }
    verdict
}

/// In what the sharding key of some shards is not what the map says, so that a value could lead, or could have led, elsewhere.
fn key_problems(table: &Table, group: &Group, is_alike: bool) -> Vec<String> {
    let definition = &group.shape.definition;
    if definition.is_view {
        return Vec::new();
    }
    let on = group.shards.join(", ");
    let mut problems = Vec::new();
    for pinned in table.key_columns() {
        let name = &pinned.name;
        let Some(column) = definition.columns.iter().find(|column| column.name == *name) else {
            problems.push(format!("its sharding key {name} is missing on {on}"));
            continue;
        };
        let is_same = column.column_type == pinned.column_type
            && column.collation == pinned.collation
            && column.generated == pinned.generated;
        if !is_same {
            problems.push(format!(
                "its sharding key {name} is {} on {on} and was declared as {}",
                described(column),
                described(pinned)
            ));
        } else if !is_alike && stores_otherwise(column, pinned) {
            // Where all shards agree, the map learns it.
            problems.push(format!(
                "its sharding key {name} has another default, or takes NULL otherwise, on {on}"
            ));
        }
        if definition.set_on_update.contains(name) {
            problems.push(format!("its sharding key {name} is set ON UPDATE on {on}"));
        }
        if definition.trigger_that_may_set(name).is_some() {
            problems.push(format!("a BEFORE trigger may set its sharding key {name} on {on}"));
        }
        if !is_alike && place(&definition.columns, name) != place(&table.columns, name) {
            problems
                .push(format!("its sharding key {name} stands at another place among its columns on {on}"));
        }
    }
    problems
}

/// UNIQUE keys that no shard can keep and that nobody accepted so. With one shard MySQL keeps them all.
fn loose_keys(table: &Table, groups: &[Group]) -> Option<String> {
    let is_said = matches!(&table.kind, TableKind::Sharded(sharding) if sharding.unique_per_shard);
    let shards: usize = groups.iter().map(|group| group.shards.len()).sum();
    let loose = groups
        .iter()
        .map(|group| unique_on_each_shard_only(table, &group.shape.definition.unique_keys))
        .find(|keys| !keys.is_empty() && !is_said && shards > 1)?;
    Some(format!(
        "{} does not contain the sharding key: it is unique on each shard only, which nobody accepted (podway table declare --unique-per-shard)",
        names_of_keys(&loose)
    ))
}

fn stores_otherwise(column: &Column, pinned: &Column) -> bool {
    column.nullable != pinned.nullable
        || column.auto_increment != pinned.auto_increment
        || column.default != pinned.default
}

/// Where an INSERT without a list of columns has a column's value.
fn place(columns: &[Column], name: &Name) -> Option<usize> {
    columns.iter().filter(|column| !column.invisible).position(|column| column.name == *name)
}

/// A column's type and collation in a few words.
fn described(column: &Column) -> String {
    let mut text = format!("{:?}", column.column_type).to_lowercase();
    if let Some(collation) = &column.collation {
        text += &format!(" collate {collation}");
    }
    if column.generated {
        text += ", generated";
    }
    text
}

/// What each server that was asked is set to otherwise than most of them.
pub(super) fn judge_traits(servers: &[(ServerId, ServerTraits)]) -> BTreeMap<ServerId, Vec<String>> {
    let distance = |(_, traits): &&(ServerId, ServerTraits)| -> usize {
        servers.iter().map(|(_, other)| traits.differences(other).len()).sum()
    };
    // The one that most agree with speaks for all; the first of several.
    let Some((_, usual)) = servers.iter().min_by_key(distance) else { return BTreeMap::new() };
    let problems = |(id, traits): &(ServerId, ServerTraits)| {
        let differences = traits.differences(usual);
        let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
        (!texts.is_empty()).then_some((*id, texts))
    };
    servers.iter().filter_map(problems).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provision::{TableDefinition, UniqueKey};
    use podway_model::{ColumnDefault, ColumnType, NameRule, Sharding, Vindex};

    fn column(name: &str, column_type: ColumnType) -> Column {
        Column {
            name: Name::caseless(name),
            column_type,
            collation: None,
            nullable: false,
            auto_increment: false,
            generated: false,
            default: ColumnDefault::None,
            invisible: false,
        }
    }

    fn columns() -> Vec<Column> {
        let id = ColumnType::Integer { bytes: 8, unsigned: false };
        let email = Column {
            collation: Some("utf8mb4_0900_ai_ci".into()),
            ..column("email", ColumnType::Varchar(50))
        };
        vec![column("id", id), email]
    }

    fn users() -> Table {
        let kind = TableKind::Sharded(Sharding::by(vec![1], Vindex::Xxh3));
        Table { name: NameRule::CaseSensitive.name("users"), kind, columns: columns() }
    }

    fn shape(columns: Vec<Column>) -> TableShape {
        TableShape {
            columns: columns.iter().map(|c| (c.name.to_string(), format!("{c:?}"))).collect(),
            definition: TableDefinition {
                name: "users".into(),
                is_view: false,
                columns,
                primary_key: vec![Name::caseless("id")],
                unique_keys: Vec::new(),
                set_on_update: Vec::new(),
                before_triggers: Vec::new(),
            },
            engine: "InnoDB".into(),
            collation: "utf8mb4_0900_ai_ci".into(),
            indexes: BTreeMap::new(),
        }
    }

    fn on(shard: &str, shape: TableShape) -> Group {
        Group { shards: vec![shard.to_owned()], shape }
    }

    /// What is said of a table of which shard 2 has another shape: the problems, and whether it stops pinning.
    fn said(change: impl FnOnce(&mut TableShape)) -> (String, bool) {
        let mut other = shape(columns());
        change(&mut other);
        let verdict = judge(&users(), &[on("shard 1", shape(columns())), on("shard 2", other)], &[]);
        assert_eq!(verdict.columns, None, "nothing is taken over from shards that differ");
        (verdict.problems.join("; "), verdict.stops_pinning)
    }

    fn change_columns(shape: &mut TableShape, change: impl FnOnce(&mut Vec<Column>)) {
        change(&mut shape.definition.columns);
        shape.columns =
            shape.definition.columns.iter().map(|c| (c.name.to_string(), format!("{c:?}"))).collect();
    }

    #[test]
    fn what_is_alike_and_as_declared_is_no_problem() {
        let alike = Group { shards: vec!["shard 1".into(), "shard 2".into()], shape: shape(columns()) };
        assert_eq!(judge(&users(), &[alike], &[]), Verdict::default());
    }

    #[test]
    fn a_key_that_is_not_as_declared_on_some_shard_stops_pinning() {
        let columns = |change: fn(&mut Vec<Column>)| said(move |shape| change_columns(shape, change));
        let cases = [
            (
                columns(|c| c[1].collation = Some("utf8mb4_bin".into())),
                "email is varchar(50) collate utf8mb4_bin on shard 2",
            ),
            (columns(|c| c[1].column_type = ColumnType::Varchar(60)), "email is varchar(60)"),
            (columns(|c| c[1].generated = true), "generated on shard 2"),
            (columns(|c| c[1].nullable = true), "takes NULL otherwise, on shard 2"),
            (columns(|c| drop(c.pop())), "sharding key email is missing on shard 2"),
            (columns(|c| c.swap(0, 1)), "stands at another place among its columns on shard 2"),
            (
                said(|s| s.definition.set_on_update = vec![Name::caseless("EMAIL")]),
                "set ON UPDATE on shard 2",
            ),
            (
                said(|s| s.definition.before_triggers = vec!["SET NEW.email = 'x'".into()]),
                "BEFORE trigger may set its sharding key email on shard 2",
            ),
            (said(|s| s.definition.is_view = true), "it is a view on shard 2"),
        ];
        for ((problems, stops), expected) in cases {
            assert!(problems.contains(expected) && stops, "{expected:?}: {stops} {problems:?}");
        }
    }

    #[test]
    fn what_differs_beside_the_key_is_told_and_stops_nothing() {
        let columns = |change: fn(&mut Vec<Column>)| said(move |shape| change_columns(shape, change));
        let note = || column("note", ColumnType::Date);
        let cases = [
            (columns(|c| c[0].auto_increment = true), "its column id is"),
            (said(|s| change_columns(s, |c| c.push(note()))), "its column note is missing on shard 1"),
            (said(|s| s.engine = "MyISAM".into()), "its engine is InnoDB on shard 1 and MyISAM on shard 2"),
            (
                said(|s| drop(s.indexes.insert("by_email".into(), "BTREE email".into()))),
                "its index by_email is missing on shard 1 and BTREE email on shard 2",
            ),
            (said(|s| s.definition.primary_key.clear()), "it has no primary key on shard 2"),
            (said(|s| s.collation = "latin1_bin".into()), "its default collation is"),
        ];
        for ((problems, stops), expected) in cases {
            assert!(problems.contains(expected) && !stops, "{expected:?}: {stops} {problems:?}");
        }
        let gone = judge(&users(), &[on("shard 1", shape(super::tests::columns()))], &["shard 2".to_owned()]);
        assert_eq!((gone.problems, gone.stops_pinning), (vec!["it is missing on shard 2".to_owned()], false));
    }

    #[test]
    fn a_unique_key_that_no_shard_can_keep_is_told_of_until_somebody_accepts_it() {
        let mut keyed = shape(columns());
        let unique = |name: &str, columns: &[&str]| UniqueKey {
            name: name.to_owned(),
            columns: columns.iter().map(|name| Name::caseless(name)).collect(),
            parts: columns.len(),
            shown: columns.join(", "),
        };
        keyed.definition.unique_keys = vec![unique("PRIMARY", &["id"]), unique("both", &["id", "EMAIL"])];
        let two = Group { shards: vec!["shard 1".into(), "shard 2".into()], shape: keyed.clone() };
        let verdict = judge(&users(), std::slice::from_ref(&two), &[]);
        assert!(!verdict.stops_pinning && verdict.columns.is_none(), "{verdict:?}");
        let said = "PRIMARY KEY (id) does not contain the sharding key: it is unique on each shard only";
        assert!(verdict.problems.len() == 1 && verdict.problems[0].starts_with(said), "{verdict:?}");
        assert_eq!(judge(&users(), &[on("shard 1", keyed)], &[]), Verdict::default(), "MySQL keeps it");
        let accepted = Sharding { unique_per_shard: true, ..Sharding::by(vec![1], Vindex::Xxh3) };
        let accepted = Table { kind: TableKind::Sharded(accepted), ..users() };
        assert_eq!(judge(&accepted, &[two], &[]), Verdict::default());
    }

    #[test]
    fn what_all_shards_have_alike_is_taken_over_unless_it_is_the_key() {
        let judged = |change: fn(&mut Vec<Column>)| {
            let mut shape = shape(columns());
            change_columns(&mut shape, change);
            let alike = Group { shards: vec!["shard 1".into(), "shard 2".into()], shape };
            judge(&users(), &[alike], &[])
        };
        for change in [
            (|c: &mut Vec<Column>| c.insert(0, column("note", ColumnType::Date))) as fn(&mut Vec<Column>),
            |c| c[1].nullable = true,
            |c| c.swap(0, 1),
        ] {
            let verdict = judged(change);
            assert!(verdict.columns.is_some() && verdict.problems.is_empty(), "{verdict:?}");
        }
        let key = judged(|c| c[1].collation = Some("utf8mb4_bin".into()));
        assert!(key.stops_pinning && key.columns.is_none(), "{key:?}");
    }

    #[test]
    fn columns_of_a_table_that_nobody_described_are_not_taken_over() {
        let home = Table { kind: TableKind::Home, columns: Vec::new(), ..users() };
        assert_eq!(judge(&home, &[on("shard 1", shape(columns()))], &[]), Verdict::default());
    }

    #[test]
    fn the_servers_that_are_not_set_as_most_are_told_of() {
        let server = |id: u32, mode: &str| (ServerId(id), ServerTraits::of("8.4.3", &[("sql_mode", mode)]));
        let strict = "STRICT_TRANS_TABLES";
        let found = |servers: &[(ServerId, ServerTraits)]| -> Vec<u32> {
            judge_traits(servers).keys().map(|id| id.0).collect()
        };
        assert_eq!(found(&[server(1, strict), server(2, strict), server(3, strict)]), Vec::<u32>::new());
        assert_eq!(found(&[server(1, ""), server(2, strict), server(3, strict)]), [1]);
        assert_eq!(found(&[server(1, strict), server(2, "")]), [2], "of two, the first one counts");
        assert_eq!(found(&[server(1, "")]), Vec::<u32>::new());
        let told = judge_traits(&[server(1, strict), server(2, "")]);
        assert_eq!(told[&ServerId(2)], [format!("sql_mode is \"\", the others' is \"{strict}\"")]);
    }
}
