//! A time of day for each proxy's process, which can be set while it runs: a library of a few lines of C stands before the C library. Where there is no C compiler, and elsewhere than on Linux, all have the machine's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Clocks are wrong by no more.
pub const SKEW: Duration = Duration::from_millis(500);

/// What makes clocks of processes' own.
#[derive(Clone, Debug)]
pub struct Clocks {
    library: PathBuf,
    folder: PathBuf,
}

impl Clocks {
    /// Builds the library in this folder, where clocks are kept too.
    pub fn make(folder: &Path) -> Option<Clocks> {
        let library = folder.join("own_clock.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/chaos/own_clock.c");
        let compiled =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
        let is_made = cfg!(target_os = "linux") && compiled.is_ok_and(|status| status.success());
        if !is_made {
            println!("no C compiler, or not Linux: all proxies have this machine's clock");
        }
        is_made.then(|| Clocks { library, folder: folder.to_owned() })
    }

    /// Sets a process's clock: so many milliseconds ahead of the machine's; negative: behind.
    pub fn set(&self, name: &str, ahead_ms: i64) -> anyhow::Result<()> {
        // In place: a process that runs has the file mapped.
        let path = self.place(name);
        let file = std::fs::File::options().write(true).create(true).truncate(false).open(path)?;
        std::os::unix::fs::FileExt::write_all_at(&file, &(ahead_ms * 1_000_000).to_ne_bytes(), 0)?;
        Ok(())
    }

    /// Has a process begin with the clock of this name, which was set.
    pub fn give(&self, command: &mut Command, name: &str) {
        command.env("LD_PRELOAD", &self.library).env("PODWAY_CHAOS_CLOCK", self.place(name));
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.clock"))
    }
}
