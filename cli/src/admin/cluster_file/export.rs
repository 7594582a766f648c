//! The topology as a cluster file. Passwords are left out: applying the file to the topology that has them needs none. Reads only.

use std::collections::BTreeMap;

use podway_topology_api::{KeyspaceView, ServerView, View};
use serde::Serialize;

use super::steps::{declaration_of, home_place};
use crate::admin::error::AdminError;
use crate::admin::{find, server_facts};
use crate::provision::Declaration;

/// A cluster file as it is written.
#[derive(Serialize)]
pub(super) struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    default_keyspace: Option<String>,
    servers: BTreeMap<String, ServerPart>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    keyspaces: BTreeMap<String, KeyspacePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<UsersPart>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    settings: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct ServerPart {
    address: String,
    admin_user: String,
}

#[derive(Serialize)]
struct KeyspacePart {
    shards: Vec<ShardPart>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tables: BTreeMap<String, TablePart>,
}

#[derive(Serialize)]
struct ShardPart {
    server: String,
    schema: String,
    ranges: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    home: bool,
}

#[derive(Default, Serialize)]
struct TablePart {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shard_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vindex: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unique_per_shard: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reference: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    home: bool,
}

#[derive(Serialize)]
struct UsersPart {
    adopt: Vec<String>,
}

/// The file.
pub(super) fn file(view: &View) -> File {
    let users: Vec<String> = view
        .accounts
        .iter()
        .map(|account| format!("{}@{}", account.name.user, account.name.host.as_str()))
        .collect();
    let is_set = |setting: &&podway_topology_api::SettingView| setting.value != setting.default;
    File {
        default_keyspace: view.default_keyspace.as_ref().map(ToString::to_string),
        servers: view.servers.iter().map(|server| (server.name.to_string(), server_part(server))).collect(),
        keyspaces: view
            .keyspaces
            .iter()
            .map(|keyspace| (keyspace.name.to_string(), keyspace_part(keyspace, view)))
            .collect(),
        users: (!users.is_empty()).then_some(UsersPart { adopt: users }),
        settings: view
            .settings
            .iter()
            .filter(is_set)
            .map(|setting| (setting.name.to_string(), setting.value.to_string()))
            .collect(),
    }
}

/// The file as TOML.
pub(super) fn text(view: &View) -> Result<String, AdminError> {
    let text = toml::to_string(&file(view)).map_err(std::io::Error::other)?;
    Ok(format!(
        "# The cluster at map {}, without passwords: `podway apply -f` takes it back to its own topology as it is;\n\
         # elsewhere, each server needs its admin_password_file too.\n\n{text}",
        view.revision.0
    ))
}

fn server_part(known: &ServerView) -> ServerPart {
    ServerPart { address: server_facts::address(known), admin_user: known.admin.to_string() }
}

fn keyspace_part(keyspace: &KeyspaceView, view: &View) -> KeyspacePart {
    let home = home_place(keyspace);
    let shard = |(place, shard): (usize, &podway_topology_api::ShardView)| ShardPart {
        server: find::server_name(view, shard.server),
        schema: shard.schema.to_string(),
        ranges: shard.ranges.iter().map(ToString::to_string).collect(),
        home: place == home && home > 0,
    };
    let tables = keyspace.tables.iter().filter_map(|table| {
        let part = match declaration_of(&table.table)? {
            Declaration::Sharded { columns, unique_per_shard, .. } => TablePart {
                shard_by: columns,
                vindex: find::vindex(&table.table),
                unique_per_shard,
                ..TablePart::default()
            },
            Declaration::Reference => TablePart { reference: true, ..TablePart::default() },
            Declaration::Home => TablePart { home: true, ..TablePart::default() },
        };
        Some((table.table.name.to_string(), part))
    });
    KeyspacePart { shards: keyspace.shards.iter().enumerate().map(shard).collect(), tables: tables.collect() }
}
