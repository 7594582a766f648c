//! How a mysqld is run: as a file of the machine's, out of an unpacked tree, or in a container. What it is told is said elsewhere
//! (`template`, `launch`); who watches it is the `guardian`.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::tree::Tree;
use super::version::{self, Unfit};

/// How long a killed container may take to be gone.
const CONTAINER_PATIENCE: Duration = Duration::from_secs(10);

/// Where a mysqld was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The flag or `PODWAY_MYSQLD` named this file.
    Named(PathBuf),
    /// It is on the search path.
    SearchPath(PathBuf),
    /// This Docker image holds it.
    Docker(String),
    /// It was fetched from the distribution into this folder.
    Packages(PathBuf),
}

/// A mysqld that said its version.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// Where it was found.
    pub(super) origin: Origin,
    /// What it calls itself, e.g. `8.4.3`.
    pub(super) version: String,
    file: PathBuf,
    /// The options that tell it where its own files are.
    layout: Vec<OsString>,
    /// For the template's name: another build of one version may not share its data directory.
    pub(super) identity: String,
}

/// Why a program cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("it cannot be run: {0}")]
    NotRun(io::Error),
    #[error("`--version` failed: {0}")]
    Failed(String),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("{0} is not among the unpacked files")]
    NotInTree(&'static str),
}

/// What one run of a mysqld needs of the world around it.
pub(super) struct Place<'a> {
    /// The folder that it reads and writes.
    pub(super) folder: &'a Path,
    /// The port that it is to be reached on, if any.
    pub(super) port: Option<u16>,
    /// The name of its container, should it run in one.
    pub(super) container: &'a str,
}

impl Program {
    /// The mysqld in a file: an installed one, or a fetched one by its launcher.
    pub(super) fn file(origin: Origin, file: &Path) -> Result<Program, ProgramError> {
        let version = version_of(Command::new(file).args(["--no-defaults", "--version"]))?;
        let layout = Tree::of_launcher(file).map(|tree| layout(&tree)).unwrap_or_default();
        Ok(Program { origin, version, file: file.to_owned(), layout, identity: file.display().to_string() })
    }

    /// The mysqld of an unpacked tree.
    pub(super) fn tree(tree: &Tree) -> Result<Program, ProgramError> {
        let file = tree.program("mysqld").ok_or(ProgramError::NotInTree("mysqld"))?;
        Program::file(Origin::Packages(tree.path("")), &file)
    }

    /// The mysqld of a Docker image that is on this machine.
    pub(super) fn docker(image: &str, image_id: &str) -> Result<Program, ProgramError> {
        let mut command = Command::new("docker");
        command.args([
            "run",
            "--rm",
            "--network=none",
            "--entrypoint=mysqld",
            image,
            "--no-defaults",
            "--version",
        ]);
        let version = version_of(&mut command)?;
        Ok(Program {
            origin: Origin::Docker(image.to_owned()),
            version,
            file: "docker".into(),
            layout: Vec::new(),
            identity: image_id.to_owned(),
        })
    }

    /// Whether it runs in a container: its process is then out of reach, and its clients come from another address.
    pub(super) fn is_contained(&self) -> bool {
        matches!(self.origin, Origin::Docker(_))
    }

    /// The words of the command that runs it in `place` with these options; the options come last.
    pub(super) fn words(&self, place: &Place<'_>, options: &[OsString]) -> Vec<OsString> {
        let mut words = vec![self.file.clone().into_os_string()];
        if let Origin::Docker(image) = &self.origin {
            words.extend(
                ["run", "--rm", "--entrypoint=mysqld", "--name", place.container].map(OsString::from),
            );
            words.push(format!("--user={}:{}", nix::unistd::getuid(), nix::unistd::getgid()).into());
            let mut volume = OsString::from("--volume=");
            volume.push(place.folder);
            volume.push(":");
            volume.push(place.folder);
            words.push(volume);
            match place.port {
                Some(port) => words.push(format!("--publish=127.0.0.1:{port}:{port}").into()),
                None => words.push("--network=none".into()),
            }
            words.push(image.into());
        }
        words.push("--no-defaults".into());
        if nix::unistd::getuid().is_root() {
            words.push("--user=root".into());
        }
        words.extend_from_slice(&self.layout);
        words.extend_from_slice(options);
        words
    }

    /// Ends a run at once, and waits until it has ended.
    pub(super) fn kill(&self, child: &mut Child, container: &str) -> io::Result<()> {
        if self.is_contained() {
            // Killing Docker's client would leave the container running. The client ends after it, when its name is free again.
            Command::new("docker").args(["kill", container]).stdin(Stdio::null()).output()?;
            let deadline = Instant::now() + CONTAINER_PATIENCE;
            while child.try_wait()?.is_none() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(10));
            }
        }
        child.kill()?;
        child.wait().map(drop)
    }
}

/// The options that tell an unpacked mysqld where its own files are.
fn layout(tree: &Tree) -> Vec<OsString> {
    let options = [
        ("--basedir=", "usr"),
        ("--lc-messages-dir=", "usr/share/mysql"),
        ("--character-sets-dir=", "usr/share/mysql/charsets"),
        ("--plugin-dir=", "usr/lib/mysql/plugin"),
    ];
    let option = |(name, inner): (&str, &str)| {
        let mut option = OsString::from(name);
        option.push(tree.path(inner));
        option
    };
    options.map(option).to_vec()
}

/// The version that a `… --version` prints, if Podway can use it.
pub(super) fn version_of(command: &mut Command) -> Result<String, ProgramError> {
    let output = command.stdin(Stdio::null()).output().map_err(ProgramError::NotRun)?;
    if !output.status.success() {
        return Err(ProgramError::Failed(complaint(&output)));
    }
    Ok(version::parse(&String::from_utf8_lossy(&output.stdout))?)
}

/// What a failed program complained of: its first line that is called an error, as mysqld does, else its last.
pub(super) fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let error = said.lines().find(|line| line.contains("[ERROR]"));
    let last = error.or_else(|| said.lines().rev().find(|line| !line.trim().is_empty()));
    last.map_or_else(|| output.status.to_string(), str::to_owned)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Named(path) => write!(f, "{} (as named)", path.display()),
            Origin::SearchPath(path) => write!(f, "{} (on PATH)", path.display()),
            Origin::Docker(image) => write!(f, "Docker image {image}"),
            Origin::Packages(path) => write!(f, "packages in {}", path.display()),
        }
    }
}
