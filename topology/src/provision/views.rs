//! Which tables views use. A view lies on one server and reads the tables of that server alone, so one that uses a table of several shards shows and changes a part of
//! it. MySQL keeps what a view uses also while the table is not there, and takes any later table of that name for it.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::NameRule;

use super::error::ProvisionError;

/// That a view uses a table, or another view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewUse {
    /// The view's physical schema and name.
    pub view: (String, String),
    /// The same of what it uses.
    pub uses: (String, String),
}

/// What a view is called in an error, as `` `schema`.`view` ``, of those on this server that use a table, or a later one of its name; `None`: there is none.
/// Letters' case does not count: in doubt a view uses the table.
///
/// # Errors
/// The server does not say.
pub async fn view_using(
    conn: &mut Conn,
    schema: &str,
    table: &str,
) -> Result<Option<String>, ProvisionError> {
    let sql = "SELECT CONCAT('`', VIEW_SCHEMA, '`.`', VIEW_NAME, '`') FROM information_schema.VIEW_TABLE_USAGE \
               WHERE LOWER(TABLE_SCHEMA) = LOWER(?) AND LOWER(TABLE_NAME) = LOWER(?) ORDER BY VIEW_SCHEMA, VIEW_NAME LIMIT 1";
    let doing = ProvisionError::doing(format!("looking for views that use {schema}.{table}"));
    conn.exec_first(sql, (schema, table)).await.map_err(doing)
}

/// Why a table is not declared that a view uses.
pub fn used_by_a_view(table: &str, view: &str, server: &str) -> String {
    format!(
        "the view {view} on server {server} uses a table of the name {table}, and would see the rows of that server alone: DROP VIEW first"
    )
}

/// All that views of this server use, but those that MySQL comes with.
///
/// # Errors
/// The server does not say.
pub async fn read_view_uses(conn: &mut Conn) -> Result<Vec<ViewUse>, ProvisionError> {
    let sql = "SELECT VIEW_SCHEMA, VIEW_NAME, TABLE_SCHEMA, TABLE_NAME FROM information_schema.VIEW_TABLE_USAGE \
               WHERE VIEW_SCHEMA NOT IN ('sys', 'information_schema', 'performance_schema')";
    let rows: Vec<(String, String, String, String)> =
        conn.query(sql).await.map_err(ProvisionError::doing("reading what views use"))?;
    let read = |(schema, view, used_schema, used): (String, String, String, String)| ViewUse {
        view: (schema, view),
        uses: (used_schema, used),
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The views that use, by themselves or through other views, a table of which `is_spread` says so; with the table, in the form that is compared.
pub fn views_of_spread(
    uses: &[ViewUse],
    names: NameRule,
    is_spread: impl Fn(&str, &str) -> bool,
) -> BTreeMap<(String, String), String> {
    type Key = (String, String);
    let fold = |(schema, name): &Key| (names.fold(schema).into_owned(), names.fold(name).into_owned());
    let mut users: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
    for one in uses {
        users.entry(fold(&one.uses)).or_default().push(fold(&one.view));
    }
    let mut found: BTreeMap<Key, String> = BTreeMap::new();
    for (schema, table) in users.keys().filter(|(schema, table)| is_spread(schema, table)) {
        let mut next = vec![(schema.clone(), table.clone())];
        let mut seen = BTreeSet::new();
        while let Some(used) = next.pop() {
            for view in users.get(&used).into_iter().flatten() {
                if seen.insert(view.clone()) {
                    found.entry(view.clone()).or_insert_with(|| table.clone());
                    next.push(view.clone());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_of_a_view_uses_what_that_one_uses_and_circles_end() {
        let one = |view: &str, uses: &str| {
            let key = |text: &str| {
                let (schema, name) = text.split_once('.').unwrap();
                (schema.to_owned(), name.to_owned())
            };
            ViewUse { view: key(view), uses: key(uses) }
        };
        let uses = [
            one("a.v", "a.T"),
            one("b.w", "A.v"),
            one("a.x", "b.w"),
            one("a.x", "a.y"),
            one("a.y", "a.x"),
            one("a.home", "a.notes"),
            one("a.other", "b.t"),
        ];
        let of = |names| {
            let found = views_of_spread(&uses, names, |schema, table| (schema, table) == ("a", "t"));
            found.into_keys().map(|(schema, view)| format!("{schema}.{view}")).collect::<Vec<_>>()
        };
        assert_eq!(of(NameRule::CaseInsensitive), ["a.v", "a.x", "a.y", "b.w"]);
        assert_eq!(of(NameRule::CaseSensitive), Vec::<String>::new());
    }
}
