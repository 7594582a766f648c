//! What has to be done for the topology to be as a file says, or why it cannot be. Decides without I/O. Read next: `carry_out`.

use std::fmt;

use podway_model::{AccountName, KeyRange, ShardId, Vindex};
use podway_topology_api::{Credentials, KeyspaceView, NewShard, ServerView, View};

use crate::admin::find;
use crate::provision::{AdminLogin, Declaration, lies_so};
use crate::serve::{FilePlan, FileServer, KeyspacePlan};

/// One thing to be done.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A server that the topology does not know.
    AddServer { name: String, login: AdminLogin },
    /// A server at another address, or with another administrator.
    ChangeServer { name: String, login: AdminLogin, what: &'static str },
    /// A keyspace that is not there.
    CreateKeyspace { name: String, shards: Vec<NewShard>, home: u16 },
    /// Further shards of a keyspace.
    SpreadKeyspace { name: String, shards: Vec<NewShard> },
    /// Another default keyspace.
    MakeDefault { name: String },
    /// A table that is not declared.
    DeclareTable { keyspace: String, table: String, declaration: Declaration },
    /// Accounts that are on the servers and not let in.
    AdoptUsers { users: Vec<AccountName>, grant: Option<String> },
    /// A setting with another value.
    Set { name: String, value: String },
    /// A setting that the file does not name.
    Reset { name: String },
    /// A table that the file does not name.
    ForgetTable { keyspace: String, table: String },
    /// A keyspace that the file does not name.
    DropKeyspace { name: String },
    /// A server that the file does not name.
    RemoveServer { name: String },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::AddServer { name, login } => write!(f, "+ server {name} at {}:{}", login.host, login.port),
            Step::ChangeServer { name, login, what } => {
                write!(f, "~ server {name}: {what} ({}@{}:{})", login.user, login.host, login.port)
            }
            Step::CreateKeyspace { name, shards, .. } => write!(f, "+ keyspace {name} on {}", places(shards)),
            Step::SpreadKeyspace { name, shards } => {
                write!(f, "~ keyspace {name}: further shards on {}", places(shards))
            }
            Step::MakeDefault { name } => write!(f, "~ default keyspace {name}"),
            Step::DeclareTable { keyspace, table, declaration } => {
                write!(f, "+ table {keyspace}.{table} {}", said(declaration))
            }
            Step::AdoptUsers { users, .. } => {
                let names: Vec<String> = users.iter().map(ToString::to_string).collect();
                write!(f, "+ users {}", names.join(", "))
            }
            Step::Set { name, value } => write!(f, "~ setting {name} = {value}"),
            Step::Reset { name } => write!(f, "- setting {name}"),
            Step::ForgetTable { keyspace, table } => write!(f, "- table {keyspace}.{table}"),
            Step::DropKeyspace { name } => write!(f, "- keyspace {name}"),
            Step::RemoveServer { name } => write!(f, "- server {name}"),
        }
    }
}

/// The steps, in the order in which they can be done; or everything that keeps the file from being applied. `candidates` are the accounts that the
/// file means and the servers have.
pub(super) fn steps(
    view: &View,
    credentials: &Credentials,
    plan: &FilePlan,
    candidates: &[AccountName],
    prune: bool,
) -> Result<Vec<Step>, Vec<String>> {
    let (mut steps, mut conflicts) = (Vec::new(), Vec::new());
    for server in &plan.servers {
        collect(server_step(view, credentials, server), &mut steps, &mut conflicts);
    }
    for keyspace in &plan.keyspaces {
        match view.keyspaces.iter().find(|known| known.name.as_str() == keyspace.name) {
            None => {
                steps.push(create(plan, keyspace));
                steps.extend(
                    keyspace.tables.iter().map(|(table, declared)| declare(keyspace, table, declared)),
                );
            }
            Some(known) => known_keyspace(view, plan, keyspace, known, &mut steps, &mut conflicts),
        }
    }
    let default = view.default_keyspace.as_ref().map(|name| name.as_str());
    // The first keyspace of an empty topology becomes the default by itself.
    let becomes = default.or(plan.keyspaces.first().map(|keyspace| keyspace.name.as_str()));
    if let Some(wanted) = plan.default_keyspace.as_deref().filter(|wanted| becomes != Some(wanted)) {
        steps.push(Step::MakeDefault { name: wanted.to_owned() });
    }
    let missing = |name: &&AccountName| !view.accounts.iter().any(|known| known.name == **name);
    let users: Vec<AccountName> = candidates.iter().filter(missing).cloned().collect();
    if !users.is_empty() {
        let grant = plan.users.as_ref().and_then(|users| users.grant.clone());
        steps.push(Step::AdoptUsers { users, grant });
    }
    for (name, value) in &plan.settings {
        let known = view.settings.iter().find(|setting| *setting.name == **name);
        if known.is_none_or(|setting| *setting.value != **value) {
            steps.push(Step::Set { name: name.clone(), value: value.clone() });
        }
    }
    if prune {
        pruned(view, plan, &mut steps);
    }
    if conflicts.is_empty() { Ok(steps) } else { Err(conflicts) }
}

fn collect(step: Result<Option<Step>, String>, steps: &mut Vec<Step>, conflicts: &mut Vec<String>) {
    match step {
        Ok(step) => steps.extend(step),
        Err(conflict) => conflicts.push(conflict),
    }
}

fn server_step(view: &View, credentials: &Credentials, server: &FileServer) -> Result<Option<Step>, String> {
    let FileServer { name, host, port, user, password } = server;
    let login = |password: &str| AdminLogin {
        host: host.clone(),
        port: *port,
        user: user.clone(),
        password: password.to_owned(),
    };
    let Some(known) = view.servers.iter().find(|known| known.name.eq_ignore_ascii_case(name)) else {
        let password = password.as_deref();
        let password = password.ok_or_else(|| format!("server {name} is new and needs a password: admin_password_file, admin_password_env or admin_password"))?;
        return Ok(Some(Step::AddServer { name: name.clone(), login: login(password) }));
    };
    let admin = credentials.admin(known.id);
    let known_password = admin.map(|admin| admin.password.reveal());
    let wanted = password.as_deref().or(known_password);
    let wanted = wanted.ok_or_else(|| format!("the topology has no password for server {name}"))?;
    let is_admin_same = *known.admin == **user && Some(wanted) == known_password;
    let is_address_same = *known.host == **host && known.port == *port;
    let what = match (is_address_same, is_admin_same) {
        (true, true) => return Ok(None),
        (true, false) => "another administrator",
        (false, true) => "another address",
        (false, false) => "another address and administrator",
    };
    Ok(Some(Step::ChangeServer { name: name.clone(), login: login(wanted), what }))
}

fn create(plan: &FilePlan, keyspace: &KeyspacePlan) -> Step {
    Step::CreateKeyspace {
        name: keyspace.name.clone(),
        shards: keyspace.shards.iter().map(|shard| new_shard(plan, shard)).collect(),
        home: keyspace.home.0,
    }
}

fn new_shard(plan: &FilePlan, shard: &crate::serve::ShardPlan) -> NewShard {
    NewShard {
        server: plan.servers[shard.server].name.as_str().into(),
        schema: Some(shard.schema.as_str().into()),
        ranges: shard.ranges.clone(),
    }
}

fn declare(keyspace: &KeyspacePlan, table: &str, declaration: &Declaration) -> Step {
    Step::DeclareTable {
        keyspace: keyspace.name.clone(),
        table: table.to_owned(),
        declaration: declaration.clone(),
    }
}

/// What differs in a keyspace that is there.
fn known_keyspace(
    view: &View,
    plan: &FilePlan,
    keyspace: &KeyspacePlan,
    known: &KeyspaceView,
    steps: &mut Vec<Step>,
    conflicts: &mut Vec<String>,
) {
    let name = &keyspace.name;
    let places: Vec<(String, &str)> = keyspace
        .shards
        .iter()
        .map(|shard| (plan.servers[shard.server].name.to_lowercase(), shard.schema.as_str()))
        .collect();
    let known_places: Vec<(String, &str)> = known
        .shards
        .iter()
        .map(|shard| (server_of(view, shard.server).to_lowercase(), shard.schema.as_str()))
        .collect();
    if places.len() < known_places.len() || places[..known_places.len()] != known_places[..] {
        conflicts.push(format!(
            "keyspace {name}: its shards are {}, and the file says {}: rows would have to move, which applying a file does not do",
            listed(&known_places),
            listed(&places)
        ));
        return;
    }
    if known.shards.get(usize::from(keyspace.home.0)).map(|shard| shard.id) != Some(known.home) {
        conflicts.push(format!("keyspace {name}: another shard is home"));
    }
    let further = &keyspace.shards[known_places.len()..];
    if !further.is_empty() {
        let shards = further.iter().map(|shard| NewShard { ranges: Vec::new(), ..new_shard(plan, shard) });
        steps.push(Step::SpreadKeyspace { name: name.clone(), shards: shards.collect() });
    } else if let Some(conflict) = ranges_conflict(keyspace, known) {
        conflicts.push(conflict);
    }
    for (table, declared) in &keyspace.tables {
        match known.tables.iter().find(|known| known.table.name.as_str() == table) {
            None => steps.push(declare(keyspace, table, declared)),
            Some(known) => {
                let found = declaration_of(&known.table);
                if lies_so(&known.table, declared) && found.as_ref() != Some(&lower(declared)) {
                    // Its rows lie so already, and its UNIQUE keys are said to be otherwise.
                    steps.push(declare(keyspace, table, declared));
                } else if found.as_ref() != Some(&lower(declared)) {
                    let found = found.map_or_else(|| "a view".to_owned(), |found| said(&found));
                    conflicts.push(format!(
                        "table {name}.{table} is declared {found}, and the file says {}: forget it first (`podway table forget`)",
                        said(declared)
                    ));
                }
            }
        }
    }
}

fn ranges_conflict(keyspace: &KeyspacePlan, known: &KeyspaceView) -> Option<String> {
    let differing = |(wanted, known): (&crate::serve::ShardPlan, &podway_topology_api::ShardView)| {
        let sorted = |ranges: &[KeyRange]| {
            let mut ranges = ranges.to_vec();
            ranges.sort_by_key(|range| range.first);
            ranges
        };
        (!wanted.ranges.is_empty() && sorted(&wanted.ranges) != sorted(&known.ranges)).then(|| {
            format!(
                "keyspace {}: {} has the keys {}, and the file says {}: rows would have to move",
                keyspace.name,
                known.id,
                find::ranges(&known.ranges),
                find::ranges(&wanted.ranges)
            )
        })
    };
    keyspace.shards.iter().zip(&known.shards).find_map(differing)
}

/// What is there and not in the file.
fn pruned(view: &View, plan: &FilePlan, steps: &mut Vec<Step>) {
    for known in &view.keyspaces {
        match plan.keyspaces.iter().find(|keyspace| keyspace.name == known.name.as_str()) {
            None => steps.push(Step::DropKeyspace { name: known.name.to_string() }),
            Some(keyspace) => {
                let named = |table: &str| keyspace.tables.iter().any(|(name, _)| name == table);
                let tables = known.tables.iter().map(|table| table.table.name.as_str());
                steps.extend(tables.filter(|table| !named(table)).map(|table| Step::ForgetTable {
                    keyspace: known.name.to_string(),
                    table: table.to_owned(),
                }));
            }
        }
    }
    let is_named =
        |server: &&ServerView| plan.servers.iter().any(|named| named.name.eq_ignore_ascii_case(&server.name));
    let servers = view.servers.iter().filter(|server| !is_named(server));
    steps.extend(servers.map(|server| Step::RemoveServer { name: server.name.to_string() }));
    let is_set = |name: &str| plan.settings.iter().any(|(set, _)| set == name);
    let settings =
        view.settings.iter().filter(|setting| setting.value != setting.default && !is_set(&setting.name));
    steps.extend(settings.map(|setting| Step::Reset { name: setting.name.to_string() }));
}

/// How a table is declared; `None`: it is a view.
pub(super) fn declaration_of(table: &podway_model::Table) -> Option<Declaration> {
    match &table.kind {
        podway_model::TableKind::Sharded(sharding) => Some(lower(&Declaration::Sharded {
            columns: find::key(table),
            vindex: sharding.vindex,
            unique_per_shard: sharding.unique_per_shard,
        })),
        podway_model::TableKind::Reference => Some(Declaration::Reference),
        podway_model::TableKind::Home => Some(Declaration::Home),
        podway_model::TableKind::View => None,
    }
}

/// Columns compare without case.
fn lower(declaration: &Declaration) -> Declaration {
    match declaration {
        Declaration::Sharded { columns, vindex, unique_per_shard } => Declaration::Sharded {
            columns: columns.iter().map(|column| column.to_lowercase()).collect(),
            vindex: *vindex,
            unique_per_shard: *unique_per_shard,
        },
        other => other.clone(),
    }
}

fn said(declaration: &Declaration) -> String {
    match declaration {
        Declaration::Sharded { columns, vindex, unique_per_shard } => {
            let per_shard = if *unique_per_shard { ", unique per shard" } else { "" };
            let through = if *vindex == Vindex::Xxh3 {
                String::new()
            } else {
                format!(" through {}", find::vindex_name(*vindex))
            };
            format!("sharded by ({}){through}{per_shard}", columns.join(", "))
        }
        Declaration::Reference => "reference".to_owned(),
        Declaration::Home => "home".to_owned(),
    }
}

fn server_of(view: &View, id: podway_model::ServerId) -> String {
    find::server_name(view, id)
}

fn listed(places: &[(String, &str)]) -> String {
    let texts: Vec<String> = places.iter().map(|(server, schema)| format!("{server}/{schema}")).collect();
    texts.join(", ")
}

fn places(shards: &[NewShard]) -> String {
    let place = |shard: &NewShard| match &shard.schema {
        Some(schema) => format!("{}/{schema}", shard.server),
        None => shard.server.to_string(),
    };
    shards.iter().map(place).collect::<Vec<_>>().join(", ")
}

/// The home shard's place in its keyspace.
pub(super) fn home_place(keyspace: &KeyspaceView) -> usize {
    let is_home = |id: ShardId| id == keyspace.home;
    keyspace.shards.iter().position(|shard| is_home(shard.id)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use podway_model::{ClusterSecret, Epoch, Name, ServerId, Slot};
    use podway_topology_api::{AdminAccount, Secret, ShardView};

    const FILE: &str = r#"
        [servers.a]
        address = "10.0.0.1"
        admin_user = "admin"
        [keyspaces.shop]
        shards = [{ server = "a" }]
    "#;

    fn plan(text: &str) -> FilePlan {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.toml");
        std::fs::write(&path, text).unwrap();
        FilePlan::read(&path).unwrap()
    }

    /// A topology as the file says.
    fn known() -> (View, Credentials) {
        let (first, last) = (Slot::new(0).unwrap(), Slot::new(podway_model::SLOTS - 1).unwrap());
        let server = ServerView {
            id: ServerId(1),
            name: "a".into(),
            host: "10.0.0.1".into(),
            port: 3306,
            uuid: "u".into(),
            version: "8.4.3".into(),
            admin: "admin".into(),
        };
        let shard = ShardView {
            id: ShardId(1),
            server: ServerId(1),
            schema: Name::caseless("shop"),
            epoch: Epoch(1),
            ranges: vec![KeyRange { first, last }],
            freeze: None,
        };
        let keyspace = KeyspaceView {
            name: Name::caseless("shop"),
            home: ShardId(1),
            shards: vec![shard],
            tables: Vec::new(),
        };
        let admin = AdminAccount { user: "admin".into(), password: Secret::new("letmein") };
        let credentials =
            Credentials { secret: ClusterSecret::new(b"secret"), admins: vec![(ServerId(1), admin)] };
        let default_keyspace = Some(Name::caseless("shop"));
        let view =
            View { servers: vec![server], keyspaces: vec![keyspace], default_keyspace, ..View::default() };
        (view, credentials)
    }

    fn check(text: &str, expected: Result<&[&str], &str>) {
        let (view, credentials) = known();
        let decided = steps(&view, &credentials, &plan(text), &[], true);
        match (decided, expected) {
            (Ok(steps), Ok(expected)) => {
                let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
                assert_eq!(steps, expected, "{text}");
            }
            (Err(conflicts), Err(expected)) => {
                assert!(conflicts.iter().any(|conflict| conflict.contains(expected)), "{conflicts:?}");
            }
            (decided, expected) => panic!("{text}: {decided:?}, not {expected:?}"),
        }
    }

    #[test]
    fn what_differs_is_done_and_what_would_move_rows_is_a_conflict() {
        let b = "[servers.b]\naddress = \"10.0.0.2\"\nadmin_user = \"admin\"\nadmin_password = \"x\"\n";
        check(FILE, Ok(&[]));
        check(
            &FILE.replace("10.0.0.1", "10.0.0.9"),
            Ok(&["~ server a: another address (admin@10.0.0.9:3306)"]),
        );
        let tables = format!("{FILE}\ntables.t = {{ shard_by = [\"id\"], vindex = \"hash\" }}");
        check(&tables, Ok(&["+ table shop.t sharded by (id) through hash"]));
        let further = FILE.replace("{ server = \"a\" }", "{ server = \"a\" }, { server = \"b\" }");
        let spread = ["+ server b at 10.0.0.2:3306", "~ keyspace shop: further shards on b/shop"];
        check(&format!("{further}\n{b}"), Ok(&spread));
        let other = FILE.replace("keyspaces.shop", "keyspaces.store");
        check(&other, Ok(&["+ keyspace store on a/store", "- keyspace shop"]));
        check(&format!("{FILE}\n[settings]\n\"x\" = \"1s\""), Ok(&["~ setting x = 1s"]));

        check(
            &FILE.replace("{ server = \"a\" }", "{ server = \"a\", schema = \"s2\" }"),
            Err("rows would have to move"),
        );
        check(
            &FILE.replace("{ server = \"a\" }", "{ server = \"a\", ranges = [\"-80\"] }"),
            Err("has the keys -, and"),
        );
        check(
            &format!("{FILE}\n{}", b.replace("admin_password = \"x\"\n", "")),
            Err("server b is new and needs a password"),
        );
    }
}
