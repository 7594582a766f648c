//! Programs beside the server: the `mysql` client, sysbench, MySQL Router, HAProxy. One that came with the server is taken first, then one on the
//! search path, then the distribution's package, fetched into the cache as the server is. Nothing is installed.

use std::path::PathBuf;
use std::process::Command;

use super::cache::Cache;
use super::distribution::Distribution;
use super::find::MysqlSource;
use super::program::{ProgramError, version_of};
use super::tree::Tree;

/// Finds and fetches programs.
#[derive(Clone, Debug)]
pub struct Tools {
    cache: Cache,
    tree: Option<Tree>,
    search_path: std::ffi::OsString,
}

/// Why a program is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{program} is neither on PATH nor to be had from the distribution ({why}); install it")]
pub struct ToolError {
    /// The program.
    pub program: String,
    /// Why it could not be fetched.
    pub why: String,
}

impl Tools {
    /// Tools for use with a server.
    pub fn of(source: &MysqlSource) -> Tools {
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        Tools { cache: source.inner.cache.clone(), tree: source.inner.tree.clone(), search_path }
    }

    /// The path of a program that is here, fetching nothing. For `mysql` MariaDB's client does not count.
    pub fn installed(&self, program: &str) -> Option<PathBuf> {
        let from_tree = self.tree.as_ref().and_then(|tree| tree.program(program));
        from_tree.or_else(|| {
            let folders = std::env::split_paths(&self.search_path)
                .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
            folders
                .map(|folder| folder.join(program))
                .find(|path| path.is_file() && (program != "mysql" || is_mysqls(path)))
        })
    }

    /// The path of a program, fetched if need be. One path, one program: it can be shown to a person.
    pub fn find(&self, program: &str, progress: &dyn Fn(&str)) -> Result<PathBuf, ToolError> {
        if let Some(path) = self.installed(program) {
            return Ok(path);
        }
        let failed = |why: String| ToolError { program: program.to_owned(), why };
        let fetched = self.fetch(program, progress).map_err(failed)?;
        fetched.program(program).ok_or_else(|| failed("its package holds no such program".to_owned()))
    }

    /// A file that comes with a fetched program, such as sysbench's `usr/share/sysbench/oltp_point_select.lua`.
    pub fn file(&self, program: &str, inner: &str, progress: &dyn Fn(&str)) -> Result<PathBuf, ToolError> {
        let failed = |why: String| ToolError { program: program.to_owned(), why };
        let installed = PathBuf::from("/").join(inner);
        if self.installed(program).is_some() && installed.exists() {
            return Ok(installed);
        }
        let path = self.fetch(program, progress).map_err(failed)?.path(inner);
        if path.exists() { Ok(path) } else { Err(failed(format!("its package holds no {inner}"))) }
    }

    /// A command that runs a program, fetched if need be. A fetched sysbench runs in the folder of its scripts, for it looks for the ones that
    /// they share in the working folder and in `/usr/share` only; and its client library is told where its plugins are, one of which knows
    /// `caching_sha2_password`, for it looks for them below `/usr` only.
    pub fn command(&self, program: &str, progress: &dyn Fn(&str)) -> Result<Command, ToolError> {
        let path = self.find(program, progress)?;
        let mut command = Command::new(&path);
        let tree = Tree::of_launcher(&path).filter(|_| program == "sysbench");
        if let Some(scripts) =
            tree.as_ref().map(|tree| tree.path("usr/share/sysbench")).filter(|path| path.is_dir())
        {
            command.current_dir(scripts);
        }
        if let Some(plugins) = tree.as_ref().and_then(|tree| tree.library("libmariadb3/plugin")) {
            command.env("MARIADB_PLUGIN_DIR", plugins);
        }
        Ok(command)
    }

    fn fetch(&self, program: &str, progress: &dyn Fn(&str)) -> Result<Tree, String> {
        let distribution = Distribution::detect()?;
        let sets = packages_of(program, &distribution);
        Tree::fetch(&self.cache, &distribution, program, &sets, progress).map_err(|error| error.to_string())
    }
}

/// The packages that hold a program, best first.
fn packages_of(program: &str, distribution: &Distribution) -> Vec<Vec<String>> {
    match program {
        "mysql" | "mysqladmin" | "mysqldump" => {
            let clients = distribution.mysql_packages.iter().flatten().filter(|name| name.contains("client"));
            clients.map(|name| vec![name.clone()]).collect()
        }
        "mysqlrouter" => vec![vec!["mysql-router".to_owned()]],
        other => vec![vec![other.to_owned()]],
    }
}

fn is_mysqls(path: &PathBuf) -> bool {
    let version: Result<String, ProgramError> = version_of(Command::new(path).arg("--version"));
    version.is_ok()
}
