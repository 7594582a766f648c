//! Passwords as they are handed to commands: from a file, the environment or standard input, never on the command line, where other users of the
//! machine could read them.

use std::fs;
use std::io::{self, BufRead};
use std::path::Path;

use super::error::AdminError;

/// Where a password comes from; the caller's flags see to it that it is at most one place.
pub(super) struct SecretInput<'a> {
    /// What the flags begin with: `--password`.
    pub(super) flag: &'a str,
    pub(super) file: Option<&'a Path>,
    pub(super) variable: Option<&'a str>,
    pub(super) is_stdin: bool,
}

impl SecretInput<'_> {
    /// Reads it; a line's end is not part of it.
    pub(super) fn read(&self) -> Result<String, AdminError> {
        let flag = self.flag;
        if let Some(path) = self.file {
            let text = fs::read_to_string(path)
                .map_err(|error| AdminError::Usage(format!("{flag}-file {}: {error}", path.display())))?;
            return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        if let Some(variable) = self.variable {
            let unset = |_| AdminError::Usage(format!("{flag}-env: the environment has no {variable}"));
            return std::env::var(variable).map_err(unset);
        }
        if self.is_stdin {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line)?;
            return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
        }
        Err(AdminError::Usage(format!("say where the password is: {flag}-file, {flag}-env or {flag}-stdin")))
    }
}
