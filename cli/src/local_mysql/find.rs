//! Finds a MySQL server to start, or fetches one: the one that was named; the series that was named; else one on the search path; Docker; the
//! distribution's packages.
//! Each way that fails says why, and the last error says all of it and what to do. Read next: `server`.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::cache::Cache;
use super::distribution::Distribution;
use super::program::{Origin, Program, complaint};
use super::template;
use super::tree::Tree;

/// Folders with servers that a user's search path often lacks.
const MORE_FOLDERS: [&str; 5] =
    ["/usr/sbin", "/usr/local/sbin", "/usr/local/mysql/bin", "/opt/homebrew/bin", "/usr/local/bin"];

/// Where and how to look.
#[derive(Clone, Debug)]
pub struct FindOptions {
    /// This file and no other, if given.
    pub mysqld: Option<PathBuf>,
    /// Else the newest of this series and no other, if given: `8.0` or `8.4`. It is fetched from Ubuntu's packages.
    pub series: Option<String>,
    /// The ways to take otherwise, in their order.
    pub ways: Vec<Way>,
    /// The folders to search, as `PATH` lists them.
    pub search_path: OsString,
    /// The Docker image that holds a mysqld.
    pub docker_image: String,
    /// Where fetched and prepared files lie.
    pub cache: Cache,
}

/// A way to come by a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A mysqld on the search path.
    SearchPath,
    /// The Docker daemon, if it answers.
    Docker,
    /// The distribution's packages.
    Packages,
}

/// A MySQL server that can be started any number of times; cheap to clone.
#[derive(Clone, Debug)]
pub struct MysqlSource {
    pub(super) inner: Arc<Found>,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) program: Program,
    pub(super) template: PathBuf,
    pub(super) cache: Cache,
    pub(super) tree: Option<Tree>,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What was tried.
    pub what: String,
    /// Why it did not do.
    pub why: String,
}

/// No server can be started: all that was tried, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindError {
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
    /// What the user can do.
    pub advice: String,
}

impl FindOptions {
    /// What the environment says: `PODWAY_MYSQLD` names a file, `PODWAY_MYSQL_SERIES` a series, `PODWAY_MYSQL_IMAGE` a Docker image other
    /// than `mysql:8.4`, and [`Cache::from_env`] a folder.
    pub fn from_env() -> FindOptions {
        let named = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty());
        let text = |variable: &str| named(variable).map(|value| value.to_string_lossy().into_owned());
        FindOptions {
            mysqld: named("PODWAY_MYSQLD").map(PathBuf::from),
            series: text("PODWAY_MYSQL_SERIES"),
            ways: vec![Way::SearchPath, Way::Docker, Way::Packages],
            search_path: std::env::var_os("PATH").unwrap_or_default(),
            docker_image: text("PODWAY_MYSQL_IMAGE").unwrap_or_else(|| "mysql:8.4".to_owned()),
            cache: Cache::from_env(),
        }
    }
}

impl MysqlSource {
    /// Finds a server and shows that it works, by making the data directory that others are copied from. `progress` is told, one
    /// sentence at a time, what takes long.
    pub fn find(options: &FindOptions, progress: &dyn Fn(&str)) -> Result<MysqlSource, FindError> {
        let mut attempts = Vec::new();
        let mut settle = |what: String, candidate: Result<(Program, Option<Tree>), String>| {
            let found = candidate.and_then(|(program, tree)| {
                let template = template::ensure(&options.cache, &program, progress)
                    .map_err(|error| error.to_string())?;
                Ok(Found { program, template, cache: options.cache.clone(), tree })
            });
            found.map_err(|why| attempts.push(Attempt { what, why })).ok()
        };
        let found = match (&options.mysqld, &options.series) {
            (Some(path), _) => settle(format!("the mysqld that was named, {}", path.display()), named(path)),
            (None, Some(name)) => {
                settle(format!("MySQL {name} from Ubuntu's packages"), series(&options.cache, name, progress))
            }
            (None, None) => options.ways.iter().find_map(|way| match way {
                Way::SearchPath => candidates(&options.search_path)
                    .into_iter()
                    .find_map(|path| settle(format!("{} on PATH", path.display()), on_path(&path)))
                    .or_else(|| settle("mysqld on PATH".into(), Err("there is none other".into()))),
                Way::Docker => settle(
                    format!("Docker with image {}", options.docker_image),
                    docker(&options.docker_image, progress),
                ),
                Way::Packages => {
                    settle("the distribution's packages".into(), packages(&options.cache, progress))
                }
            }),
        };
        match found {
            Some(found) => Ok(MysqlSource { inner: Arc::new(found) }),
            None => Err(FindError { advice: advice(options), attempts }),
        }
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.inner.program.origin
    }

    /// Its version, as it prints it.
    pub fn version(&self) -> &str {
        &self.inner.program.version
    }
}

fn named(path: &Path) -> Result<(Program, Option<Tree>), String> {
    let absolute = std::path::absolute(path).map_err(|error| error.to_string())?;
    let program =
        Program::file(Origin::Named(absolute.clone()), &absolute).map_err(|error| error.to_string())?;
    Ok((program, Tree::of_launcher(&absolute)))
}

/// Every mysqld on the search path and in the folders where servers like to lie.
fn candidates(search_path: &OsString) -> Vec<PathBuf> {
    let folders = std::env::split_paths(search_path).chain(MORE_FOLDERS.map(PathBuf::from));
    let mut found: Vec<PathBuf> = Vec::new();
    for path in folders.map(|folder| folder.join("mysqld")).filter(|path| path.is_file()) {
        let is_same = |other: &PathBuf| path.canonicalize().ok() == other.canonicalize().ok();
        if !found.iter().any(is_same) {
            found.push(path);
        }
    }
    found
}

fn on_path(path: &Path) -> Result<(Program, Option<Tree>), String> {
    let program =
        Program::file(Origin::SearchPath(path.to_owned()), path).map_err(|error| error.to_string())?;
    Ok((program, None))
}

fn docker(image: &str, progress: &dyn Fn(&str)) -> Result<(Program, Option<Tree>), String> {
    let run = |arguments: &[&str]| -> Result<String, String> {
        let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("docker cannot be run: {error}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(complaint(&output))
        }
    };
    run(&["version", "--format", "{{.Server.Version}}"])?;
    let identify = || run(&["image", "inspect", "--format", "{{.Id}}", image]);
    let image_id = identify().or_else(|_| {
        progress(&format!("pulling the Docker image {image}"));
        run(&["pull", "--quiet", image])?;
        identify()
    })?;
    let program = Program::docker(image, &image_id).map_err(|error| error.to_string())?;
    Ok((program, None))
}

fn packages(cache: &Cache, progress: &dyn Fn(&str)) -> Result<(Program, Option<Tree>), String> {
    packages_of(&Distribution::detect()?, cache, progress)
}

/// Only Ubuntu still packages the older series; its keys come from this machine, or are a package of its distribution's.
fn series(cache: &Cache, name: &str, progress: &dyn Fn(&str)) -> Result<(Program, Option<Tree>), String> {
    let keyring = match Distribution::ubuntu_keyring() {
        Some(path) => path.to_owned(),
        None => {
            let sets = [vec!["ubuntu-keyring".to_owned()]];
            let fetched =
                Tree::fetch_files(cache, &Distribution::detect()?, "ubuntu-keyring", &sets, progress);
            let (tree, _) = fetched.map_err(|error| error.to_string())?;
            tree.path("usr/share/keyrings/ubuntu-archive-keyring.gpg")
        }
    };
    packages_of(&Distribution::of_series(name, &keyring)?, cache, progress)
}

fn packages_of(
    distribution: &Distribution,
    cache: &Cache,
    progress: &dyn Fn(&str),
) -> Result<(Program, Option<Tree>), String> {
    let tree = Tree::fetch(cache, distribution, "mysql", &distribution.mysql_packages, progress)
        .map_err(|error| error.to_string())?;
    let program = Program::tree(&tree).map_err(|error| error.to_string())?;
    Ok((program, Some(tree)))
}

fn advice(options: &FindOptions) -> String {
    if options.mysqld.is_some() {
        return "name the mysqld of MySQL 8.0.30 or later (not MariaDB), or name none, and one is found or fetched".into();
    }
    if options.series.is_some() {
        return "this needs Debian or Ubuntu, and their archives; or name no series, and any server is found or fetched".into();
    }
    let install = if cfg!(target_os = "macos") {
        "`brew install mysql`, or start Docker"
    } else {
        "install MySQL 8.0.30 or later, or start Docker"
    };
    format!(
        "{install}; or set PODWAY_MYSQLD to a mysqld. Fetched files lie in {}, which must be writable (PODWAY_CACHE names another folder)",
        options.cache.path().display()
    )
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no MySQL server could be found or fetched:")?;
        for attempt in &self.attempts {
            writeln!(f, "  - {}: {}", attempt.what, attempt.why)?;
        }
        write!(f, "What to do: {}.", self.advice)
    }
}

impl std::error::Error for FindError {}
