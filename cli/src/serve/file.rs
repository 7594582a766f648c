//! The cluster file, exactly as typed; a word that is not known is refused. What it means is `plan`'s to decide.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use podway_model::Vindex;
use serde::Deserialize;

use super::error::PlanError;
use super::limits::Limits;

/// A cluster file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterFile {
    /// From what Podway's own passwords are derived; a topology has that itself.
    pub(super) secret_file: Option<PathBuf>,
    /// Where statements go that name no keyspace; the first by name, if none is given.
    pub(super) default_keyspace: Option<String>,
    pub(super) servers: BTreeMap<String, ServerEntry>,
    #[serde(default)]
    pub(super) keyspaces: BTreeMap<String, KeyspaceEntry>,
    pub(super) users: Option<UsersEntry>,
    /// The cluster's settings, which a topology keeps.
    #[serde(default)]
    pub(super) settings: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) limits: Limits,
}

/// `[servers.NAME]`: where it answers, and as whom to log in to read and prepare it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerEntry {
    pub(super) address: String,
    pub(super) admin_user: String,
    pub(super) admin_password: Option<String>,
    pub(super) admin_password_file: Option<PathBuf>,
    pub(super) admin_password_env: Option<String>,
}

/// `[keyspaces.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyspaceEntry {
    /// In the order in which the slots are cut up between them.
    pub(super) shards: Vec<ShardEntry>,
    #[serde(default)]
    pub(super) tables: BTreeMap<String, TableEntry>,
}

/// A shard: a schema on a server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShardEntry {
    pub(super) server: String,
    /// The keyspace's name, if none is given.
    pub(super) schema: Option<String>,
    /// Its key ranges; none or all shards name theirs. None: the slots are cut evenly.
    #[serde(default)]
    pub(super) ranges: Vec<String>,
    #[serde(default)]
    pub(super) home: bool,
}

/// A table that does not lie whole at home.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableEntry {
    #[serde(default)]
    pub(super) shard_by: Vec<String>,
    pub(super) vindex: Option<Vindex>,
    /// UNIQUE keys without the sharding key may be unique on each shard only.
    #[serde(default)]
    pub(super) unique_per_shard: bool,
    #[serde(default)]
    pub(super) reference: bool,
    /// Whole, on the home shard, as an undeclared table is.
    #[serde(default)]
    pub(super) home: bool,
}

/// `[users]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UsersEntry {
    pub(super) adopt: AdoptEntry,
    pub(super) grant: Option<String>,
}

/// Whom to adopt: "all", or names.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum AdoptEntry {
    Word(String),
    Names(Vec<String>),
}

impl Default for AdoptEntry {
    fn default() -> AdoptEntry {
        AdoptEntry::Word("all".to_owned())
    }
}

impl ClusterFile {
    /// Reads the file's text.
    pub(super) fn parse(path: &Path, text: &str) -> Result<ClusterFile, PlanError> {
        toml::from_str(text)
            .map_err(|error| PlanError::Toml { path: path.to_owned(), error: Box::new(error) })
    }
}
