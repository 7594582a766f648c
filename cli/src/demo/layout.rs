//! What a kept data directory remembers beside the servers' own folders: which shard lies where, the user, and whether the
//! rows are in. The map and the cluster's secret are the topology's, in a folder of its own. For its owner's eyes only (mode 0600). Read next: `shop`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use podway_model::{Epoch, NameRule, ServerId, Shard, ShardId};
use podway_topology::{PlacementError, propose};
use serde::{Deserialize, Serialize};

use super::shop::KEYSPACE;

/// The file's name in the data directory.
const FILE: &str = "podway-demo.toml";
/// Changes with the file's meaning.
const FORMAT: u32 = 2;

/// Where the shards of a demo lie, and who may use them.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Layout {
    format: u32,
    /// Whether rows are to be loaded, or are there.
    pub(super) rows: Rows,
    /// Who may use the shop.
    pub(super) user: String,
    /// The user's password.
    pub(super) password: String,
    shards: Vec<PlacedShard>,
}

/// What is known of the shop's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Rows {
    /// None are wanted: what is in the tables is the user's own.
    Unwanted,
    /// They are to be loaded; after a start that was cut short, some are there.
    Loading,
    /// They are there.
    Loaded,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlacedShard {
    id: u32,
    server: u32,
    schema: String,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// It could not be read or written.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Its file is not one that was written here.
    #[error("{path} cannot be read ({reason}); name another --data-dir, or remove this one", path = path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It holds something else.
    #[error("{path} is not empty and holds no demo; name an empty folder as --data-dir, or one that is not there", path = path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// It holds another number of shards.
    #[error(
        "the data directory holds {found} shards, so --shards {wanted} cannot be had from it; leave --shards out, or name another --data-dir"
    )]
    OtherShards {
        /// How many it holds.
        found: usize,
        /// How many were asked for.
        wanted: u16,
    },
}

impl Layout {
    /// A new demo: as many servers as shards, placed as the topology proposes. The last of several shards has a physical schema of
    /// another name, as after a reshard.
    pub(super) fn new(count: u16, wants_rows: bool) -> Result<Layout, PlacementError> {
        let ids: Vec<ShardId> = (1..=u32::from(count)).map(ShardId).collect();
        let servers: Vec<ServerId> = (1..=u32::from(count)).map(ServerId).collect();
        let is_renamed = |shard: &ShardId| count > 1 && shard.0 == u32::from(count);
        let placed = |(shard, server): (ShardId, ServerId)| PlacedShard {
            id: shard.0,
            server: server.0,
            schema: if is_renamed(&shard) { format!("{KEYSPACE}__2") } else { KEYSPACE.to_owned() },
        };
        Ok(Layout {
            format: FORMAT,
            rows: if wants_rows { Rows::Loading } else { Rows::Unwanted },
            user: "demo".to_owned(),
            password: "demo".to_owned(),
            shards: propose(&ids, &servers)?.into_iter().map(placed).collect(),
        })
    }

    /// What the folder remembers; nothing if it is empty or not there.
    pub(super) fn read(folder: &Path) -> Result<Option<Layout>, LayoutError> {
        let path = folder.join(FILE);
        let broken = |reason: String| LayoutError::Broken { path: path.clone(), reason };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return nothing_in(folder).map(|()| None);
            }
            Err(error) => return Err(LayoutError::Io { path, error }),
        };
        let layout: Layout = toml::from_str(&text).map_err(|error| broken(error.message().to_owned()))?;
        if layout.format != FORMAT {
            return Err(broken(format!("format {} is another version's", layout.format)));
        }
        if layout.shards.is_empty() {
            return Err(broken("its shards are missing".to_owned()));
        }
        Ok(Some(layout))
    }

    /// Remembers it in the folder, in one step: a reader finds the old file or this one.
    pub(super) fn write(&self, folder: &Path) -> Result<(), LayoutError> {
        let path = folder.join(FILE);
        let failed = |error| LayoutError::Io { path: path.clone(), error };
        let text = toml::to_string(self)
            .map_err(|error| LayoutError::Broken { path: path.clone(), reason: error.to_string() })?;
        fs::create_dir_all(folder).map_err(failed)?;
        let written = tempfile::Builder::new()
            .prefix(FILE)
            .make_in(folder, |path| {
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
            })
            .and_then(|mut file| {
                file.write_all(b"# Written by `podway demo`.\n")?;
                file.write_all(text.as_bytes())?;
                file.as_file().sync_all()?;
                Ok(file)
            });
        written.map_err(failed)?.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The same, if it has this many shards.
    pub(super) fn of_shards(self, wanted: u16) -> Result<Layout, LayoutError> {
        let found = self.shards.len();
        if found == usize::from(wanted) { Ok(self) } else { Err(LayoutError::OtherShards { found, wanted }) }
    }

    /// The shards as the map is to have them.
    pub(super) fn shards(&self) -> Vec<Shard> {
        let shard = |placed: &PlacedShard| Shard {
            id: ShardId(placed.id),
            server: ServerId(placed.server),
            schema: NameRule::CaseSensitive.name(&placed.schema),
            epoch: Epoch(1),
        };
        self.shards.iter().map(shard).collect()
    }

    /// The servers' numbers, lowest first.
    pub(super) fn servers(&self) -> Vec<u32> {
        let numbers: std::collections::BTreeSet<u32> = self.shards.iter().map(|shard| shard.server).collect();
        numbers.into_iter().collect()
    }
}

fn nothing_in(folder: &Path) -> Result<(), LayoutError> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(LayoutError::Foreign { path: folder.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LayoutError::Io { path: folder.to_owned(), error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_server_has_one_shard_and_the_last_shard_another_name() {
        for count in 1..=8 {
            let layout = Layout::new(count, true).unwrap();
            assert_eq!(layout.servers(), (1..=u32::from(count)).collect::<Vec<_>>());
            let schemas: Vec<String> = layout.shards().iter().map(|shard| shard.schema.to_string()).collect();
            let expected = if count > 1 { "shop__2" } else { "shop" };
            assert_eq!(schemas.last().unwrap(), expected);
            assert!(schemas[..schemas.len() - 1].iter().all(|schema| schema == "shop"));
        }
    }

    #[test]
    fn a_folder_remembers_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        assert!(Layout::read(&kept).unwrap().is_none());
        let layout = Layout::new(2, false).unwrap();
        layout.write(&kept).unwrap();
        layout.write(&kept).unwrap();
        assert!(Layout::read(&kept).unwrap().unwrap() == layout);
        let mode = fs::metadata(kept.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&kept).unwrap().count(), 1, "no half-written file stays");
    }

    #[test]
    fn a_folder_with_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter.txt"), "dear").unwrap();
        assert!(matches!(Layout::read(folder.path()), Err(LayoutError::Foreign { .. })));
        fs::write(folder.path().join(FILE), "format = 7").unwrap();
        assert!(matches!(Layout::read(folder.path()), Err(LayoutError::Broken { .. })));
    }
}
