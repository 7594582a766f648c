//! Things of a view by the names that people type, with the nearest name where there is none. Reads only.

use podway_model::{KeyRange, ServerId, ShardId, Table, TableKind, Vindex};
use podway_topology_api::{KeyspaceView, ServerView, ShardView, TableView, View};

use super::error::AdminError;

/// The keyspace of this name. MySQL's own comparison of names is the topology's; here an exact spelling is tried before one without case.
pub(super) fn keyspace<'a>(view: &'a View, name: &str) -> Result<&'a KeyspaceView, AdminError> {
    by_name(&view.keyspaces, name, "keyspace", |keyspace| keyspace.name.as_str())
}

/// The server of this name.
pub(super) fn server<'a>(view: &'a View, name: &str) -> Result<&'a ServerView, AdminError> {
    by_name(&view.servers, name, "server", |server| &server.name)
}

/// The table of this name.
pub(super) fn table<'a>(keyspace: &'a KeyspaceView, name: &str) -> Result<&'a TableView, AdminError> {
    by_name(&keyspace.tables, name, "declared table", |table| table.table.name.as_str())
}

/// The shard of this number, with its keyspace.
pub(super) fn shard(view: &View, id: u32) -> Result<(&KeyspaceView, &ShardView), AdminError> {
    let all =
        view.keyspaces.iter().flat_map(|keyspace| keyspace.shards.iter().map(move |shard| (keyspace, shard)));
    let found = all.clone().find(|(_, shard)| shard.id == ShardId(id));
    found.ok_or_else(|| {
        let known: Vec<String> = all.map(|(_, shard)| shard.id.0.to_string()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        AdminError::refused(format!("there is no shard {id}; there are: {known}"))
    })
}

/// A server's name by its number.
pub(super) fn server_name(view: &View, id: ServerId) -> String {
    let found = view.servers.iter().find(|server| server.id == id);
    found.map_or_else(|| id.to_string(), |server| server.name.to_string())
}

/// "KEYSPACE.TABLE" in two parts.
pub(super) fn split_table(text: &str) -> Result<(&str, &str), AdminError> {
    let parts = text.split_once('.').filter(|(keyspace, table)| !keyspace.is_empty() && !table.is_empty());
    parts.ok_or_else(|| AdminError::Usage(format!("{text:?} is no table; name it as KEYSPACE.TABLE")))
}

/// Ranges as people read them: "-40,80-".
pub(super) fn ranges(ranges: &[KeyRange]) -> String {
    let texts: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(",") }
}

/// "sharded", "reference", "home", "view".
pub(super) fn kind(table: &Table) -> &'static str {
    match table.kind {
        TableKind::Sharded(_) => "sharded",
        TableKind::Reference => "reference",
        TableKind::Home => "home",
        TableKind::View => "view",
    }
}

/// The sharding key's columns by their names.
pub(super) fn key(table: &Table) -> Vec<String> {
    table.key_columns().map(|column| column.name.to_string()).collect()
}

/// The function that makes a keyspace id of a key, if the table is sharded.
pub(super) fn vindex(table: &Table) -> Option<&'static str> {
    match &table.kind {
        TableKind::Sharded(sharding) => Some(vindex_name(sharding.vindex)),
        _ => None,
    }
}

/// A vindex by the name that files and flags have for it.
pub(super) fn vindex_name(vindex: Vindex) -> &'static str {
    match vindex {
        Vindex::Xxh3 => "xxh3",
        Vindex::Hash => "hash",
        Vindex::Identity => "identity",
    }
}

fn by_name<'a, T>(
    things: &'a [T],
    name: &str,
    what: &str,
    named: impl Fn(&T) -> &str,
) -> Result<&'a T, AdminError> {
    let exact = things.iter().find(|thing| named(thing) == name);
    let found = exact.or_else(|| things.iter().find(|thing| named(thing).eq_ignore_ascii_case(name)));
    found.ok_or_else(|| {
        let near = nearest(name, things.iter().map(&named));
        let advice = match (near, things.len()) {
            (Some(near), _) => format!("; did you mean {near}?"),
            (None, 0) => "; there is none yet".to_owned(),
            (None, _) => {
                let known: Vec<&str> = things.iter().map(&named).take(LISTED).collect();
                format!("; there are: {}{}", known.join(", "), if things.len() > LISTED { ", …" } else { "" })
            }
        };
        AdminError::refused(format!("there is no {what} {name}{advice}"))
    })
}

/// How many names a message lists.
const LISTED: usize = 8;

/// The name that needs the fewest changed letters to be this one, if those are few.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (name.chars().count() / 3).max(1);
    known
        .map(|known| (distance(name, known), known))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, known)| known)
}

/// The Levenshtein distance, without case.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.to_lowercase().chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, r) in right.iter().enumerate() {
            let changed = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_is_suggested() {
        assert_eq!(nearest("costumers", ["orders", "customers"].into_iter()), Some("customers"));
        assert_eq!(nearest("x", ["orders", "customers"].into_iter()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn a_table_is_named_with_its_keyspace() {
        assert_eq!(split_table("shop.orders").unwrap(), ("shop", "orders"));
        for wrong in ["orders", ".orders", "shop."] {
            assert!(split_table(wrong).is_err(), "{wrong}");
        }
    }
}
