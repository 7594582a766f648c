//! Programs of a newer release than the machine's: packages unpacked into one folder, started through that folder's own loader with
//! its own libc. For each program a small script in `launch-2/` does that, so that the rest of Podway, and a person, can run it by one
//! path. Nothing here is installed. See `apt` for where the packages come from.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use super::apt::{Apt, AptError};
use super::cache::Cache;
use super::distribution::Distribution;

/// Rises when packages are unpacked otherwise than before, so that old trees are not taken for new ones.
const LAYOUT: u32 = 1;
/// The folder of a tree's launchers. Its number rises when they are written otherwise than before: that needs no packages to be
/// fetched again, and another Podway that uses the same cache keeps its own launchers.
const LAUNCHERS: &str = "launch-2";
/// Folders of libraries that a package keeps to itself, relative to the root: MySQL's and MySQL Router's.
const PRIVATE_LIBRARIES: [&str; 2] = ["usr/lib/mysql/private", "usr/lib/mysql-router"];

/// Why a tree could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum TreeError {
    #[error(transparent)]
    Apt(#[from] AptError),
    #[error("`dpkg -x {package}` failed: {said}")]
    Unpack { package: String, said: String },
    #[error("the unpacked packages hold no C library with a loader")]
    NoLoader,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An unpacked set of packages.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The tree named `name` with the first of these sets of packages that the distribution has; fetched if it is not in the cache.
    pub(super) fn fetch(
        cache: &Cache,
        distribution: &Distribution,
        name: &str,
        sets: &[Vec<String>],
        progress: &dyn Fn(&str),
    ) -> Result<Tree, TreeError> {
        let (tree, folder) = Tree::fetch_files(cache, distribution, name, sets, progress)?;
        let on_wait = || progress("waiting for another process that is fetching packages");
        let launch = format!("{folder}/{LAUNCHERS}");
        cache.finished(&launch, &on_wait, |partial| write_launchers(&tree.root, partial))?;
        Ok(tree)
    }

    /// The same without launchers, for packages that hold no programs; and its name in the cache.
    pub(super) fn fetch_files(
        cache: &Cache,
        distribution: &Distribution,
        name: &str,
        sets: &[Vec<String>],
        progress: &dyn Fn(&str),
    ) -> Result<(Tree, String), TreeError> {
        let folder = format!("packages/{}-{name}-{}-{LAYOUT}", distribution.label, std::env::consts::ARCH);
        let on_wait = || progress("waiting for another process that is fetching packages");
        let root = cache.finished(&folder, &on_wait, |partial| -> Result<(), TreeError> {
            let scratch = partial.join("scratch");
            progress(&format!("reading the package lists of {}", distribution.label));
            let apt = Apt::update(&scratch, distribution)?;
            let packages = apt.first_available(sets)?;
            progress(&format!("downloading {} and their libraries", packages.join(", ")));
            let files = apt.download(&packages)?;
            progress(&format!("unpacking {} packages", files.len()));
            unpack(&files, partial)?;
            fs::remove_dir_all(&scratch)?;
            Ok(())
        })?;
        Ok((Tree { root }, folder))
    }

    /// The tree that this launcher, of this Podway or of another one, belongs to, if it is one.
    pub(super) fn of_launcher(file: &Path) -> Option<Tree> {
        let folder = file.parent()?;
        folder.file_name()?.to_str().filter(|name| name.starts_with("launch"))?;
        let root = folder.parent()?;
        root.join("usr").is_dir().then(|| Tree { root: root.to_owned() })
    }

    /// What to run for this program, if the tree has it.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        Some(self.root.join(LAUNCHERS).join(name)).filter(|path| path.exists())
    }

    /// What is in one of the tree's folders of libraries by this name, if it is.
    pub(super) fn library(&self, inner: &str) -> Option<PathBuf> {
        let dirs = library_dirs(&self.root).ok()?;
        dirs.iter().map(|dir| self.root.join(dir).join(inner)).find(|path| path.exists())
    }

    /// A file or folder of the tree.
    pub(super) fn path(&self, inner: &str) -> PathBuf {
        self.root.join(inner)
    }
}

/// `dpkg -x` for each file, several at a time.
fn unpack(files: &[PathBuf], root: &Path) -> Result<(), TreeError> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut by_size = files.to_vec();
    by_size.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).map_or(0, |metadata| metadata.len())));
    thread::scope(|scope| {
        let unpack_every = |first: usize| {
            let mut files = by_size.iter().skip(first).step_by(workers);
            files.try_for_each(|file| unpack_one(file, root))
        };
        let running: Vec<_> = (0..workers).map(|first| scope.spawn(move || unpack_every(first))).collect();
        running.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("an unpacking thread panicked").into()))
        })
    })
}

fn unpack_one(file: &Path, root: &Path) -> Result<(), TreeError> {
    let output = Command::new("dpkg").arg("-x").arg(file).arg(root).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(TreeError::Unpack { package: file.display().to_string(), said })
}

/// Writes a script for each program of the tree into `launch`, which is to lie right below the root.
fn write_launchers(root: &Path, launch: &Path) -> Result<(), TreeError> {
    let library_dirs = library_dirs(root)?;
    let loader = loader(root, &library_dirs).ok_or(TreeError::NoLoader)?;
    let library_path =
        library_dirs.iter().map(|dir| format!("$root/{}", dir.display())).collect::<Vec<_>>().join(":");
    for folder in ["usr/bin", "usr/sbin"] {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { continue };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_elf(path)) {
            let Some(name) = path.file_name() else { continue };
            let program = Path::new(folder).join(name);
            let script = format!(
                "#!/bin/sh\n# Runs a program of this folder with this folder's own C library.\nroot=\"${{0%/*}}/..\"\n\
                 OPENSSL_CONF=/dev/null\nexport OPENSSL_CONF\n\
                 exec \"$root/{}\" --library-path \"{library_path}\" \"$root/{}\" \"$@\"\n",
                loader.display(),
                program.display(),
            );
            let target = launch.join(name);
            fs::write(&target, script)?;
            fs::set_permissions(&target, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// The folders with libraries, relative to the root: those named by the machine's kind (`usr/lib/x86_64-linux-gnu`), and private ones.
fn library_dirs(root: &Path) -> Result<Vec<PathBuf>, TreeError> {
    let mut dirs = Vec::new();
    for base in ["usr/lib", "lib"] {
        let Ok(entries) = fs::read_dir(root.join(base)) else { continue };
        let names = entries.flatten().map(|entry| entry.file_name());
        dirs.extend(
            names
                .filter(|name| name.to_string_lossy().contains("-linux-gnu"))
                .map(|name| Path::new(base).join(name)),
        );
    }
    dirs.extend(PRIVATE_LIBRARIES.map(PathBuf::from).into_iter().filter(|dir| root.join(dir).is_dir()));
    if dirs.iter().any(|dir| root.join(dir).join("libc.so.6").exists()) {
        Ok(dirs)
    } else {
        Err(TreeError::NoLoader)
    }
}

/// The loader beside that C library, relative to the root.
fn loader(root: &Path, library_dirs: &[PathBuf]) -> Option<PathBuf> {
    let outside = ["usr/lib", "lib", "usr/lib64", "lib64"].map(PathBuf::from);
    library_dirs.iter().chain(&outside).find_map(|dir| {
        let names = fs::read_dir(root.join(dir)).ok()?.flatten().map(|entry| entry.file_name());
        let mut loaders = names.filter(|name| name.to_string_lossy().starts_with("ld-linux"));
        loaders.find(|name| root.join(dir).join(name).exists()).map(|name| dir.join(name))
    })
}

/// Whether the file, followed if it is a link, is a program for this machine rather than a script.
fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_run_programs_through_the_trees_own_loader() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let launch = root.join(LAUNCHERS);
        for dir in ["usr/bin", "usr/lib/any-linux-gnu", "usr/lib/mysql-router", LAUNCHERS] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        fs::write(root.join("usr/lib/any-linux-gnu/libc.so.6"), "").unwrap();
        fs::write(root.join("usr/bin/script"), "#!/usr/bin/perl\n").unwrap();
        fs::write(root.join("usr/bin/program"), b"\x7fELF").unwrap();
        assert!(matches!(write_launchers(root, &launch), Err(TreeError::NoLoader)));

        // This "loader" prints how it was called.
        let loader = root.join("usr/lib/any-linux-gnu/ld-linux-any.so.1");
        fs::write(&loader, "#!/bin/sh\necho \"$@\"\n").unwrap();
        fs::set_permissions(&loader, fs::Permissions::from_mode(0o755)).unwrap();
        write_launchers(root, &launch).unwrap();
        let tree = Tree { root: root.to_owned() };
        assert!(tree.program("script").is_none());
        let output = Command::new(tree.program("program").unwrap()).args(["a b", "c"]).output().unwrap();
        let base = format!("{}/{LAUNCHERS}/..", root.display());
        let libraries = format!("{base}/usr/lib/any-linux-gnu:{base}/usr/lib/mysql-router");
        let expected = format!("--library-path {libraries} {base}/usr/bin/program a b c\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        for (folder, is_launcher) in [(LAUNCHERS, true), ("launch", true), ("usr/bin", false)] {
            let found = Tree::of_launcher(&root.join(folder).join("program"));
            assert_eq!(found.is_some_and(|tree| tree.root == root), is_launcher, "{folder}");
        }
    }
}
