//! Python and Node with the packages that the client programs need. These are fetched once into the cache folder, for each content of
//! the lock files and each version of the interpreter; one process fetches, the others wait. Nothing is installed on the machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use podway::local_mysql::Cache;
use sha1::{Digest, Sha1};

/// Set where a missing interpreter is an error, as in the suite's own checks.
const REQUIRE: &str = "PODWAY_REQUIRE_CLIENTS";

/// How to start programs of one language.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// The interpreter.
    pub program: PathBuf,
    /// What it must have in its environment.
    pub environment: Option<(&'static str, PathBuf)>,
}

/// The folder of the client programs.
pub fn programs_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Python with the drivers of `requirements.txt`; `None` if there is no Python and none is required.
pub fn python() -> anyhow::Result<Option<Runtime>> {
    let Some(version) = version_or_skip("python3")? else { return Ok(None) };
    let requirements = programs_folder().join("python/requirements.txt");
    let folder = made_once("python", &version, &[&requirements], |folder| {
        let advice = "Python cannot make a virtual environment; on Debian and Ubuntu the package python3-venv is missing";
        run(Command::new("python3").args(["-m", "venv"]).arg(folder)).context(advice)?;
        let mut install = Command::new(folder.join("bin/python"));
        install
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements);
        run(&mut install)
    })?;
    Ok(Some(Runtime { program: folder.join("bin/python"), environment: None }))
}

/// Node with the packages of `package-lock.json`; `None` if there is no Node and none is required.
pub fn node() -> anyhow::Result<Option<Runtime>> {
    let (Some(version), Some(_)) = (version_or_skip("node")?, version_or_skip("npm")?) else {
        return Ok(None);
    };
    let files = ["package.json", "package-lock.json"].map(|file| programs_folder().join("node").join(file));
    let folder = made_once("node", &version, &[&files[0], &files[1]], |folder| {
        for file in &files {
            fs::copy(file, folder.join(file.file_name().context("a file has a name")?))?;
        }
        run(Command::new("npm")
            .args(["ci", "--silent", "--no-audit", "--no-fund", "--omit=dev"])
            .current_dir(folder))
    })?;
    Ok(Some(Runtime {
        program: PathBuf::from("node"),
        environment: Some(("NODE_PATH", folder.join("node_modules"))),
    }))
}

/// What the interpreter says of its version. Without one: an error if it is required, else `None`, said aloud.
fn version_or_skip(interpreter: &str) -> anyhow::Result<Option<String>> {
    match Command::new(interpreter).arg("--version").output() {
        Ok(output) if output.status.success() => {
            Ok(Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()))
        }
        _ if std::env::var_os(REQUIRE).is_some_and(|value| value == "1") => {
            bail!("{REQUIRE}=1, but there is no {interpreter} on PATH; install it")
        }
        _ => {
            eprintln!("SKIPPED: there is no {interpreter} on PATH ({REQUIRE}=1 makes this a failure)");
            Ok(None)
        }
    }
}

/// The folder that `make` fills, filled once for each content of `inputs`.
fn made_once(
    language: &str,
    version: &str,
    inputs: &[&Path],
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let mut digest = Sha1::new();
    digest.update(version);
    for input in inputs {
        digest.update(fs::read(input).with_context(|| input.display().to_string())?);
    }
    let hash: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let parent = Cache::from_env().path().join("clients");
    fs::create_dir_all(&parent)?;
    let folder = parent.join(format!("{language}-{hash}"));
    let lock = File::create(folder.with_extension("lock"))?;
    lock.lock()?;
    // The folder is not moved into its place when it is ready: a virtual environment knows its own path.
    let complete = folder.join(".complete");
    if !complete.exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        eprintln!("fetching the {language} clients into {}", folder.display());
        make(&folder)?;
        File::create(complete)?;
    }
    Ok(folder)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        let said =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        bail!("{command:?}: {}\n{said}", output.status);
    }
    Ok(())
}
