//! A table on every shard that has to have it: read, compared, and declared by the rules if its rows may be taken to lie right. Changes nothing.

use mysql_async::prelude::Queryable;
use podway_model::{NameRule, Table};
use podway_topology::KeyRules;
use podway_topology::provision::{
    AdminLogin, ProvisionError, TableDefinition, program_in_the_way, quote_name, read_next_number,
    read_table, used_by_a_view, view_using,
};
use podway_topology_api::TableDeclaration;

use super::declare::{Declaration, check_unique_keys, declare, lies_so};

/// Where a shard is, and how to log in there.
#[derive(Clone, Debug)]
pub struct ShardPlace {
    /// The server's name for people.
    pub server: String,
    /// Its administrator.
    pub login: AdminLogin,
    /// The physical schema.
    pub schema: String,
}

/// Why a table is not declared.
#[derive(Debug, thiserror::Error)]
pub enum NotDeclared {
    /// It cannot be so.
    #[error("{0}")]
    Refused(String),
    /// A server said something else.
    #[error("server {server}: {error}")]
    OnServer {
        /// Its name.
        server: String,
        /// What.
        error: ProvisionError,
    },
}

/// What is to be declared of a table.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// How its rows are to lie.
    pub declaration: &'a Declaration,
    /// Whether its rows, if it has some, may be taken to lie right.
    pub rows_in_place: bool,
    /// Whether it comes to lie otherwise, on several shards or on one of them: what programs do with its rows was decided for how it lies now.
    pub lies_anew: bool,
}

impl<'a> Wanted<'a> {
    /// A declaration, of which it is not known yet what it changes.
    pub fn new(name: &'a str, declaration: &'a Declaration, rows_in_place: bool) -> Wanted<'a> {
        Wanted { name, declaration, rows_in_place, lies_anew: false }
    }

    /// What is wanted of a table of a keyspace of so many shards that is known so, or not declared.
    pub fn of_known(self, known: Option<&Table>, shards: usize) -> Self {
        let lies_so = known.is_some_and(|known| lies_so(known, self.declaration));
        let stays = lies_so || known.is_none() && *self.declaration == Declaration::Home;
        Wanted { rows_in_place: self.rows_in_place || lies_so, lies_anew: shards > 1 && !stays, ..self }
    }
}

/// A table as the topology is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declarable {
    /// The table.
    pub table: Table,
    /// The highest number that a shard would give next, if it has an AUTO_INCREMENT column.
    pub next: Option<u64>,
}

/// Looks at a table on these shards, which are all that have to have it, and says what the map is to have.
pub async fn declare_everywhere(
    places: &[ShardPlace],
    wanted: Wanted<'_>,
) -> Result<Declarable, NotDeclared> {
    let is_at_home = *wanted.declaration == Declaration::Home;
    let mut first: Option<(&str, TableDefinition)> = None;
    let mut next = None;
    for ShardPlace { server, login, schema } in places {
        let at = |error| NotDeclared::OnServer { server: server.clone(), error };
        let mut conn = login.connect().await.map_err(at)?;
        let definition = read_table(&mut conn, schema, wanted.name).await.map_err(at)?;
        if definition.is_view {
            let text =
                format!("{schema}.{} is a view on server {server}; views are not declared", wanted.name);
            return Err(NotDeclared::Refused(text));
        }
        // With one shard a view sees all rows there are.
        if !is_at_home
            && places.len() > 1
            && let Some(view) = view_using(&mut conn, schema, wanted.name).await.map_err(at)?
        {
            return Err(NotDeclared::Refused(used_by_a_view(wanted.name, &view, server)));
        }
        if wanted.lies_anew
            && let Some(why) = program_in_the_way(&mut conn, schema, wanted.name).await.map_err(at)?
        {
            return Err(NotDeclared::Refused(why));
        }
        if !is_at_home
            && !wanted.rows_in_place
            && has_rows(&mut conn, schema, wanted.name).await.map_err(at)?
        {
            return Err(NotDeclared::Refused(format!(
                "table {schema}.{} on server {server} has rows, which would be looked for elsewhere: declare it while it is empty and load it through a proxy, or say --rows-in-place if they lie right already",
                wanted.name
            )));
        }
        if definition.columns.iter().any(|column| column.auto_increment) {
            next = next.max(read_next_number(&mut conn, schema, wanted.name).await.map_err(at)?);
        }
        match &first {
            None => first = Some((server, definition)),
            Some((other, known)) => {
                if let Some(what) = known.difference(&definition) {
                    return Err(NotDeclared::Refused(format!(
                        "table {schema}.{} on server {server} is not as on server {other} ({what}); make them the same",
                        wanted.name
                    )));
                }
            }
        }
    }
    let (server, definition) =
        first.ok_or_else(|| NotDeclared::Refused("the keyspace has no shards".to_owned()))?;
    // How names compare is the topology's to apply.
    let at = |error| NotDeclared::OnServer { server: server.to_owned(), error };
    let table = declare(NameRule::CaseSensitive, &definition, wanted.declaration).map_err(at)?;
    check_unique_keys(&table, &definition).map_err(at)?;
    Ok(Declarable { table, next })
}

async fn has_rows(conn: &mut mysql_async::Conn, schema: &str, table: &str) -> Result<bool, ProvisionError> {
    let sql = format!("SELECT 1 FROM {}.{} LIMIT 1", quote_name(schema), quote_name(table));
    let doing =
        |error| ProvisionError::Statement { doing: format!("looking for rows in {schema}.{table}"), error };
    let row: Option<u64> = conn.query_first(sql).await.map_err(doing)?;
    Ok(row.is_some())
}

/// A declaration as the topology writes it, as one that is checked here.
pub fn declaration(declaration: &TableDeclaration) -> Declaration {
    match declaration {
        TableDeclaration::Sharded { columns, vindex, unique_per_shard } => Declaration::Sharded {
            columns: columns.iter().map(|column| column.to_string()).collect(),
            vindex: *vindex,
            unique_per_shard: *unique_per_shard,
        },
        TableDeclaration::Reference => Declaration::Reference,
        TableDeclaration::Home => Declaration::Home,
    }
}

/// The router's rules for keys, for a topology node, which must not know the router.
pub fn key_rules() -> KeyRules {
    KeyRules::new(|names, definition, wanted| {
        let table = declare(names, definition, &declaration(wanted)).map_err(|error| error.to_string())?;
        check_unique_keys(&table, definition).map_err(|error| error.to_string())?;
        Ok(table)
    })
}
