//! Each seed runs in a process of its own, with chance that the seed decides: tokio, hash maps and retries draw random bytes from the system, and a
//! few lines of C before the C library give them the seed's (`one_chance.c`). So one seed is one run, wherever and whenever it runs. Where there is
//! no C compiler, seeds still decide all trouble, but not the order of tasks that wake at the same moment; that is said.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::fault::Fault;

/// The test that a child runs.
const CHILD: &str = "a_child_runs_one_seed";

/// What a child is told, in its environment.
pub mod told {
    pub const SEED: &str = "PODWAY_SIMULATION_CHANCE";
    pub const FAULT: &str = "PODWAY_SIMULATION_FAULT";
    pub const LOG: &str = "PODWAY_SIMULATION_LOG";
}

/// The library that decides chance; `None`: there is no C compiler.
fn one_chance() -> Option<&'static Path> {
    static MADE: OnceLock<Option<(TempDir, PathBuf)>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let library = directory.path().join("one_chance.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/one_chance.c");
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
        let is_made = compiled.is_ok_and(|status| status.success());
        if !is_made {
            println!("no C compiler: a seed decides the trouble, but not all of the run");
        }
        is_made.then_some((directory, library))
    });
    made.as_ref().map(|(_, library)| library.as_path())
}

/// Whether one seed is one run here.
pub fn is_repeatable() -> bool {
    cfg!(target_os = "linux") && one_chance().is_some()
}

/// Begins to run a seed. Where `log` is said, all that happened is written there.
pub fn begin(seed: u64, fault: Fault, log: Option<&Path>) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([CHILD, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    child.env(told::SEED, seed.to_string()).env(told::FAULT, format!("{fault:?}"));
    if let Some(log) = log {
        child.env(told::LOG, log);
    }
    if let Some(library) = one_chance() {
        child.env("LD_PRELOAD", library);
    }
    child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for a run, and tells what was wrong with it; an empty text: nothing.
pub fn end(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return String::new();
    }
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}\n{error}\n{}", output.status)
}
