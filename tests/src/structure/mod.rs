//! Checks the shape of the repository itself: which crate may know which, that the modules of a crate form no cycle, that every file says
//! what it is, and that nothing grows without a reason. It reads sources and manifests and runs nothing.
//!
//! Reading order: [`rules`](Rules) → `tree` (files into modules) → `crates`, `modules`, `sizes` (one check each) → [`check`].

mod crates;
mod modules;
mod rules;
mod sizes;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::path::Path;

pub use rules::{CrateRule, Rules};
pub use sizes::Size;

/// A broken rule, with the offender's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offence {
    /// The file, manifest or module that broke it.
    pub offender: String,
    /// What it did, and what to do.
    pub what: String,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Broken rules, in order of offender.
    pub offences: Vec<Offence>,
    /// Every file, the largest first.
    pub files: Vec<Size>,
    /// Every function, the largest first.
    pub functions: Vec<Size>,
}

/// Checks the workspace in this folder.
pub fn check(root: &Path, rules: &Rules) -> anyhow::Result<Report> {
    let mut report = Report::default();
    for member in crates::members(root)? {
        report.offences.extend(crates::check(&member, rules));
        for tree in tree::trees(root, &member.folder)? {
            report.offences.extend(modules::check(&tree, rules.module_order(&member.name)));
        }
    }
    let sources = tree::rust_files(root, root)?;
    for source in &sources {
        sizes::check(source, rules, &mut report);
    }
    report.offences.sort();
    report.offences.dedup();
    for sizes in [&mut report.files, &mut report.functions] {
        sizes.sort_by(|a, b| (b.lines, &a.name).cmp(&(a.lines, &b.name)));
    }
    Ok(report)
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.offender, self.what)
    }
}

impl Report {
    /// The sizes as a text: how much there is, and what is largest.
    pub fn sizes(&self, shown: usize) -> String {
        let total: usize = self.files.iter().map(|size| size.lines).sum();
        let mut text =
            format!("{} files, {total} lines, {} functions\n", self.files.len(), self.functions.len());
        for (title, sizes) in [("largest files", &self.files), ("largest functions", &self.functions)] {
            text += &format!("{title}:\n");
            for size in sizes.iter().take(shown) {
                text += &format!("{:6} {}\n", size.lines, size.name);
            }
        }
        text
    }
}
