//! Which crate depends on which, from the manifests, against the layers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use toml::{Table, Value};

use super::Offence;
use super::rules::Rules;

/// A crate of the workspace.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// What it depends on, in any way.
    pub(super) dependencies: Vec<String>,
}

/// The members of the workspace in `root`.
pub(super) fn members(root: &Path) -> anyhow::Result<Vec<Member>> {
    let workspace = read(root)?;
    let listed =
        workspace.get("workspace").and_then(|workspace| workspace.get("members")).and_then(Value::as_array);
    let folders = listed.context("the root manifest lists no members")?.iter().filter_map(Value::as_str);
    folders.map(|folder| member(&root.join(folder))).collect()
}

/// Whether a member knows only what it may.
pub(super) fn check(member: &Member, rules: &Rules) -> Vec<Offence> {
    let offence = |what: String| Offence { offender: member.name.clone(), what };
    let Some(rule) = rules.of_crate(&member.name) else {
        return vec![offence(
            "is a crate without a place in the layers; give it one in the rules".to_owned(),
        )];
    };
    let ours = |name: &str| rules.of_crate(name).is_some();
    let is_forbidden = |name: &&String| {
        (ours(name) && !rule.may_know.contains(&name.as_str())) || rule.must_not_know.contains(&name.as_str())
    };
    let forbidden = member.dependencies.iter().filter(is_forbidden);
    forbidden.map(|name| offence(format!("depends on {name}, which its layer must not know"))).collect()
}

fn member(folder: &Path) -> anyhow::Result<Member> {
    let manifest = read(folder)?;
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    let name = name.with_context(|| format!("{} names no package", folder.display()))?.to_owned();
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let places = targets.filter_map(Value::as_table).chain([&manifest]);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = places.flat_map(|place| kinds.iter().filter_map(|kind| place.get(*kind)?.as_table()));
    let dependencies = tables.flat_map(Table::iter).map(|(key, value)| {
        let renamed = value.get("package").and_then(Value::as_str);
        renamed.unwrap_or(key).to_owned()
    });
    Ok(Member { name, folder: folder.to_owned(), dependencies: dependencies.collect() })
}

fn read(folder: &Path) -> anyhow::Result<Table> {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    text.parse().with_context(|| path.display().to_string())
}
