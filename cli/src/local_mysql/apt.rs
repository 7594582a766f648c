//! The distribution's packages without root and without touching the machine: apt-get with a state of its own, in which next to
//! nothing counts as installed, so that libc and all other libraries come along. Signatures are checked as apt always does. It only
//! downloads; unpacking is `tree`'s.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::distribution::Distribution;

/// Packages that the servers and clients name but do not need: only their maintainer scripts and helper scripts do.
const NOT_NEEDED: [&str; 6] = ["adduser", "debconf", "lsb-base", "passwd", "perl", "psmisc"];

/// Why packages could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum AptError {
    #[error("{0} is not there")]
    Missing(&'static str),
    #[error("`{command}` failed: {said}")]
    Failed { command: String, said: String },
    #[error("the archive has none of {0}")]
    NoPackage(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// apt-get with a private state in a folder.
pub(super) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Sets up the state and reads the archive's package lists.
    pub(super) fn update(folder: &Path, distribution: &Distribution) -> Result<Apt, AptError> {
        for needed in ["apt-get", "dpkg"] {
            if run(Command::new(needed).arg("--version")).is_err() {
                return Err(AptError::Missing(needed));
            }
        }
        let architecture = run(Command::new("dpkg").arg("--print-architecture"))?;
        for part in ["lists/partial", "cache/archives/partial", "state"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("sources.list"), distribution.sources.join("\n") + "\n")?;
        fs::write(folder.join("state/status"), status(architecture.trim()))?;
        fs::write(folder.join("apt.conf"), configuration(folder, architecture.trim()))?;
        let apt = Apt { folder: folder.to_owned() };
        run(apt.command("apt-get").args(["-q", "update"]))?;
        Ok(apt)
    }

    /// The first of these sets whose packages the archive has all.
    pub(super) fn first_available(&self, sets: &[Vec<String>]) -> Result<Vec<String>, AptError> {
        let is_there = |package: &String| {
            run(self.command("apt-cache").args(["show", "--no-all-versions", package]))
                .is_ok_and(|text| !text.is_empty())
        };
        let found = sets.iter().find(|packages| packages.iter().all(is_there));
        found.cloned().ok_or_else(|| AptError::NoPackage(sets.concat().join(", ")))
    }

    /// Downloads the packages and all they depend on; returns the files.
    pub(super) fn download(&self, packages: &[String]) -> Result<Vec<PathBuf>, AptError> {
        let mut command = self.command("apt-get");
        run(command
            .args(["-q", "-y", "--no-install-recommends", "--download-only", "install"])
            .args(packages))?;
        let entries = fs::read_dir(self.folder.join("cache/archives"))?;
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
        Ok(paths
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .collect())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(self.folder.join("apt.conf"))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C");
        command
    }
}

/// apt's settings: the machine's own, for its proxy and the like, but no file of the machine's is written and no hook of it is run.
fn configuration(folder: &Path, architecture: &str) -> String {
    let path = |part: &str| folder.join(part).display().to_string();
    let settings = [
        ("Dir::Etc::sourcelist", path("sources.list")),
        ("Dir::Etc::sourceparts", "/dev/null".into()),
        ("Dir::Etc::preferences", "/dev/null".into()),
        ("Dir::Etc::preferencesparts", "/dev/null".into()),
        ("Dir::State", path("state")),
        ("Dir::State::status", path("state/status")),
        ("Dir::State::lists", path("lists")),
        ("Dir::Cache", path("cache")),
        ("Dir::Cache::archives", path("cache/archives")),
        ("Dir::Log", path("state")),
        ("APT::Architectures", architecture.into()),
        ("APT::Sandbox::User", "root".into()),
        ("APT::Keep-Downloaded-Packages", "true".into()),
        ("Acquire::Languages", "none".into()),
        ("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false".into()),
        ("Acquire::Retries", "3".into()),
        ("Debug::NoLocking", "true".into()),
    ];
    let cleared = [
        "APT::Architectures",
        "APT::Default-Release",
        "APT::Update::Pre-Invoke",
        "APT::Update::Post-Invoke",
        "APT::Update::Post-Invoke-Success",
        "DPkg::Pre-Install-Pkgs",
    ];
    let cleared: String = cleared.iter().map(|name| format!("#clear {name};\n")).collect();
    settings.iter().fold(cleared, |text, (name, value)| text + &format!("{name} \"{value}\";\n"))
}

/// What dpkg would say is installed.
fn status(architecture: &str) -> String {
    let entry = |package: &&str| {
        format!(
            "Package: {package}\nStatus: install ok installed\nVersion: 99:1\nArchitecture: {architecture}\nMulti-Arch: allowed\n\
             Maintainer: none\nDescription: not needed\n\n"
        )
    };
    NOT_NEEDED.iter().map(entry).collect()
}

/// Runs a command to its end; what it printed, or what it complained of.
fn run(command: &mut Command) -> Result<String, AptError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let arguments = command.get_args().skip(2).map(|argument| argument.to_string_lossy().into_owned());
    let shown = arguments.fold(name, |text, argument| text + " " + &argument);
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let errors: Vec<&str> = complaints.lines().filter(|line| line.starts_with("E:")).collect();
    let said = if errors.is_empty() { complaints.trim().to_owned() } else { errors.join("; ") };
    Err(AptError::Failed { command: shown, said })
}
