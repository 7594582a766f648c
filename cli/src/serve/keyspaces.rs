//! Keyspaces as the servers have them: every table's definition read, compared between the shards, and declared. Nothing is written.
//! Read next: `accounts`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mysql_async::prelude::Queryable;
use podway_model::{Epoch, Keyspace, NameRule, SLOTS, Shard, ShardId, ShardIndex, Table, TableKind};

use super::error::{PlanError, ServeError};
use super::plan::{KeyspacePlan, ShardPlan};
use super::servers::ReachedServer;
use crate::provision::{
    Declaration, ProvisionError, TableDefinition, check_unique_keys, declare, read_table, read_view_uses,
    table_names, views_of_spread,
};

/// The numbers that shards have had in this process's maps, by keyspace, server_uuid and schema.
#[derive(Debug, Default)]
pub(super) struct ShardNumbers(Vec<(String, String, String)>);

impl ShardNumbers {
    fn of(&mut self, keyspace: &str, uuid: &str, schema: &str) -> ShardId {
        let key = (keyspace.to_owned(), uuid.to_owned(), schema.to_owned());
        let index = self.0.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.0.push(key);
            self.0.len() - 1
        });
        ShardId(index as u32 + 1)
    }
}

/// Each schema of the only server as a keyspace of its own.
pub(super) async fn every_schema(server: &mut ReachedServer) -> Result<Vec<KeyspacePlan>, ServeError> {
    let sql = "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN \
               ('mysql', 'information_schema', 'performance_schema', 'sys', '_podway') ORDER BY schema_name";
    let doing = |error| ProvisionError::Statement { doing: "listing the schemas".to_owned(), error };
    let names: Vec<String> =
        server.conn.query(sql).await.map_err(doing).map_err(ServeError::at(&server.name))?;
    if names.is_empty() {
        return Err(ServeError::unfit(&server.name, "it has no database to serve; create one first"));
    }
    let keyspace = |name: String| KeyspacePlan {
        shards: vec![ShardPlan { server: 0, schema: name.clone(), ranges: Vec::new() }],
        name,
        home: ShardIndex(0),
        tables: Vec::new(),
    };
    Ok(names.into_iter().map(keyspace).collect())
}

/// Reads one keyspace. `notes` are told what may surprise somebody.
pub(super) async fn read_keyspace(
    plan: &KeyspacePlan,
    servers: &mut [ReachedServer],
    numbers: &mut ShardNumbers,
    notes: &mut Vec<String>,
) -> Result<Keyspace, ServeError> {
    let names = super::servers::name_rule(servers);
    let shards: Vec<Shard> = plan
        .shards
        .iter()
        .map(|shard| {
            let server = &servers[shard.server];
            Shard {
                id: numbers.of(&plan.name, &server.facts.uuid, &shard.schema),
                server: server.server.id,
                schema: names.name(&shard.schema),
                epoch: Epoch(1),
            }
        })
        .collect();
    let slots = slots(plan)?;
    let mut keyspace = Keyspace::new(names.name(&plan.name), shards, plan.home, slots)?;
    let listed = list_tables(plan, servers).await?;
    for table in declared_tables(plan, servers, names).await? {
        keyspace.tables.insert(table.name.clone(), Arc::new(table));
    }
    // With one shard every statement goes there as it is: what else is in it need not be known.
    if plan.shards.len() > 1 {
        let home = &plan.shards[usize::from(plan.home.0)];
        let partial = partial_views(home, servers, names, &keyspace).await?;
        for table in listed.get(&usize::from(plan.home.0)).into_iter().flatten() {
            if !keyspace.tables.contains_key(names.fold(table).as_ref()) {
                let definition = read_definition(home, servers, table).await?;
                let mut declared =
                    declare(names, &definition, &Declaration::Home).map_err(at(home, servers))?;
                if declared.kind == TableKind::View && !partial.contains(declared.name.key()) {
                    // It sees all that is in what it uses, as any statement on the home shard.
                    declared.kind = TableKind::Home;
                }
                keyspace.tables.insert(declared.name.clone(), Arc::new(declared));
            }
        }
        note_strays(plan, &keyspace, &listed, notes);
    }
    Ok(keyspace)
}

/// The views on a home shard that may use a table of which their server has a part or one copy: a declared one, or any of another schema but MySQL's own.
async fn partial_views(
    home: &ShardPlan,
    servers: &mut [ReachedServer],
    names: NameRule,
    keyspace: &Keyspace,
) -> Result<BTreeSet<String>, ServeError> {
    const OF_MYSQL: [&str; 4] = ["mysql", "information_schema", "performance_schema", "sys"];
    let server = &mut servers[home.server];
    let uses = read_view_uses(&mut server.conn).await.map_err(ServeError::at(&server.name))?;
    let schema = names.fold(&home.schema);
    let is_spread = |used: &str, table: &str| match used == &*schema {
        true => keyspace.tables.get(table).is_some_and(|table| table.kind != TableKind::Home),
        false => !OF_MYSQL.iter().any(|own| own.eq_ignore_ascii_case(used)),
    };
    let found = views_of_spread(&uses, names, is_spread);
    Ok(found.into_keys().filter(|(of, _)| *of == *schema).map(|(_, view)| view).collect())
}

/// Which shard owns which slot: as the file says, or cut evenly.
fn slots(plan: &KeyspacePlan) -> Result<Vec<ShardIndex>, PlanError> {
    let count = plan.shards.len();
    if plan.shards.iter().all(|shard| shard.ranges.is_empty()) {
        return Ok((0..SLOTS).map(|slot| ShardIndex((slot * count / SLOTS) as u16)).collect());
    }
    let refused = |reason: String| PlanError::part(format!("keyspaces.{}", plan.name), reason);
    let mut owners: Vec<Option<ShardIndex>> = vec![None; SLOTS];
    for (index, shard) in plan.shards.iter().enumerate() {
        for range in &shard.ranges {
            for owner in &mut owners[range.first.index()..=range.last.index()] {
                if owner.replace(ShardIndex(index as u16)).is_some() {
                    return Err(refused(format!("two shards have keys of range {range}")));
                }
            }
        }
    }
    let owners: Option<Vec<ShardIndex>> = owners.into_iter().collect();
    owners.ok_or_else(|| {
        refused("no shard has some of the keys; give each shard its ranges, or none".to_owned())
    })
}

/// The names of each shard's tables, by the shard's place. A schema that is not there is an error: an empty one would hide a typing error.
async fn list_tables(
    plan: &KeyspacePlan,
    servers: &mut [ReachedServer],
) -> Result<BTreeMap<usize, Vec<String>>, ServeError> {
    let mut listed = BTreeMap::new();
    for (index, shard) in plan.shards.iter().enumerate() {
        let server = &mut servers[shard.server];
        let sql = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?";
        let doing = |error| ProvisionError::Statement {
            doing: format!("looking for schema {}", shard.schema),
            error,
        };
        let found: Option<u64> = server
            .conn
            .exec_first(sql, (&shard.schema,))
            .await
            .map_err(doing)
            .map_err(ServeError::at(&server.name))?;
        if found != Some(1) {
            let reason =
                format!("it has no schema {}, which is a shard of {}; create it", shard.schema, plan.name);
            return Err(ServeError::unfit(&server.name, reason));
        }
        let tables =
            table_names(&mut server.conn, &shard.schema).await.map_err(ServeError::at(&server.name))?;
        listed.insert(index, tables);
    }
    Ok(listed)
}

/// The tables that the file declares, which must be the same on every shard.
async fn declared_tables(
    plan: &KeyspacePlan,
    servers: &mut [ReachedServer],
    names: NameRule,
) -> Result<Vec<Table>, ServeError> {
    let mut tables = Vec::new();
    for (name, declaration) in &plan.tables {
        let mut first: Option<(TableDefinition, Table)> = None;
        for shard in &plan.shards {
            let definition = read_definition(shard, servers, name).await?;
            let server = &servers[shard.server].name;
            if definition.is_view {
                let part = format!("keyspaces.{}.tables.{name}", plan.name);
                return Err(
                    PlanError::part(part, format!("it is a view on server {server}; leave it out")).into()
                );
            }
            let table = declare(names, &definition, declaration).map_err(at(shard, servers))?;
            let Some((known, _)) = &first else {
                if let Err(error) = check_unique_keys(&table, &definition) {
                    tracing::warn!("keyspace {}: {error}", plan.name);
                }
                first = Some((definition, table));
                continue;
            };
            if let Some(what) = known.difference(&definition) {
                let other = &servers[plan.shards[0].server].name;
                let reason = format!(
                    "table {}.{name} is not as on server {other} ({what}); make them the same",
                    shard.schema
                );
                return Err(ServeError::unfit(server, reason));
            }
        }
        tables.extend(first.map(|(_, table)| table));
    }
    Ok(tables)
}

/// Tables on other shards than home that nobody declared: no statement reaches them.
fn note_strays(
    plan: &KeyspacePlan,
    keyspace: &Keyspace,
    listed: &BTreeMap<usize, Vec<String>>,
    notes: &mut Vec<String>,
) {
    let declared: Vec<&str> = plan.tables.iter().map(|(name, _)| name.as_str()).collect();
    for (index, tables) in listed.iter().filter(|(index, _)| **index != usize::from(plan.home.0)) {
        let is_stray = |table: &&String| !declared.iter().any(|name| name.eq_ignore_ascii_case(table));
        let strays: Vec<&str> = tables.iter().filter(is_stray).map(String::as_str).collect();
        if !strays.is_empty() {
            notes.push(format!(
                "keyspace {}: {} in {} on another shard than home: declare them in the file, or their rows there are not seen",
                keyspace.name,
                strays.join(", "),
                plan.shards[*index].schema
            ));
        }
    }
}

async fn read_definition(
    shard: &ShardPlan,
    servers: &mut [ReachedServer],
    table: &str,
) -> Result<TableDefinition, ServeError> {
    let server = &mut servers[shard.server];
    read_table(&mut server.conn, &shard.schema, table).await.map_err(ServeError::at(&server.name))
}

fn at(shard: &ShardPlan, servers: &[ReachedServer]) -> impl Fn(ProvisionError) -> ServeError {
    ServeError::at(&servers[shard.server].name)
}
