//! The data directory that all others are copied from: made once per mysqld by `--initialize-insecure`, and
//! given a random root password in the same run, because other users of the machine can reach the port too. It is never served itself.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rand::Rng;
use rand::distr::Alphanumeric;
use sha2::{Digest, Sha256};

use super::cache::{Cache, PARTIAL, beside, remove_dir};
use super::program::{Place, Program, complaint};

/// Rises when templates are made otherwise than before.
const LAYOUT: u32 = 2;

/// The file in each data directory with the password of `root`.
const PASSWORD_FILE: &str = "podway-root-password";

/// Why there is no template.
#[derive(Debug, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("it could not make a data directory below {folder}: {said}")]
    Initialize { folder: String, said: String },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The template for this mysqld, made if the cache has none. That it could be made shows that the mysqld works here.
pub(super) fn ensure(
    cache: &Cache,
    program: &Program,
    progress: &dyn Fn(&str),
) -> Result<PathBuf, TemplateError> {
    let digest = Sha256::digest(program.identity.as_bytes());
    let digits: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("data/{}-{digits}-{LAYOUT}", program.version);
    let on_wait = || progress("waiting for another process that is making a data directory");
    cache.finished(&name, &on_wait, |partial| {
        progress(&format!("making a data directory with MySQL {}", program.version));
        let scratch = beside(partial, ".scratch");
        remove_dir(&scratch)?;
        fs::create_dir_all(&scratch)?;
        let made = make(program, &scratch);
        if made.is_ok() {
            fs::rename(scratch.join("data"), partial)?;
        }
        remove_dir(&scratch)?;
        made
    })
}

/// Copies a template to `target`, which gets its name only when it is complete.
pub(super) fn copy(template: &Path, target: &Path) -> io::Result<()> {
    let partial = beside(target, PARTIAL);
    remove_dir(&partial)?;
    copy_tree(template, &partial)?;
    fs::rename(&partial, target)
}

/// The password of `root` in a data directory that was copied from a template.
pub(super) fn root_password(data: &Path) -> io::Result<String> {
    fs::read_to_string(data.join(PASSWORD_FILE))
}

/// Makes `scratch/data`.
fn make(program: &Program, scratch: &Path) -> Result<(), TemplateError> {
    let data = scratch.join("data");
    let password: String = rand::rng().sample_iter(Alphanumeric).take(24).map(char::from).collect();
    let accounts = scratch.join("accounts.sql");
    write_secret(&accounts, &account_statements(program, &password))?;
    let option = |name: &str, path: &Path| {
        let mut option = OsString::from(name);
        option.push(path);
        option
    };
    let options = [
        "--initialize-insecure".into(),
        option("--datadir=", &data),
        option("--init-file=", &accounts),
        "--innodb-redo-log-capacity=8M".into(),
    ];
    run(program, scratch, &options)?;
    if !data.join("mysql.ibd").exists() {
        let said =
            "it wrote nothing there (does a Docker daemon on another machine serve this one?)".to_owned();
        return Err(TemplateError::Initialize { folder: scratch.display().to_string(), said });
    }
    write_secret(&data.join(PASSWORD_FILE), &password)?;
    match fs::remove_file(data.join("auto.cnf")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// One statement a line, as `--init-file` wants it. A contained server sees its clients come from the bridge's address.
fn account_statements(program: &Program, password: &str) -> String {
    let mut text = format!("ALTER USER root@localhost IDENTIFIED BY '{password}';\n");
    if program.is_contained() {
        text += &format!(
            "CREATE USER root@'%' IDENTIFIED BY '{password}';\nGRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n"
        );
    }
    text
}

fn run(program: &Program, scratch: &Path, options: &[OsString]) -> Result<(), TemplateError> {
    let container = format!("podway-template-{}", std::process::id());
    let words = program.words(&Place { folder: scratch, port: None, container: &container }, options);
    let output = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(TemplateError::Initialize { folder: scratch.display().to_string(), said: complaint(&output) })
}

/// Writes a new file that only this user can read.
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    File::options().create_new(true).write(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// Copies files and folders, with their permissions; the standard library shares the blocks where the file system can.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir() => copy_tree(&entry.path(), &target)?,
            kind if kind.is_file() => drop(fs::copy(entry.path(), target)?),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_all_files_and_no_link_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("mysql")).unwrap();
        fs::write(from.join("mysql/x"), "1").unwrap();
        fs::write(from.join(PASSWORD_FILE), "secret").unwrap();
        copy(&from, &to).unwrap();
        fs::write(to.join("mysql/x"), "2").unwrap();
        assert_eq!(fs::read_to_string(from.join("mysql/x")).unwrap(), "1");
        assert_eq!(root_password(&to).unwrap(), "secret");
        assert!(!beside(&to, PARTIAL).exists());
    }
}
