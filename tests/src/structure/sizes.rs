//! What is asked of each file by itself: that it opens with `//!`, has a telling name, and is no larger than it should be, nor any function in it,
//! unless a comment `// structure: <reason>` says why.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::rules::Rules;
use super::tree::Source;
use super::{Offence, Report};

/// How a comment begins that gives the reason for a size.
const REASON: &str = "// structure: ";
/// A reason shorter than this is none.
const SHORTEST_REASON: usize = 12;
/// A file's reason stands among its first lines.
const HEAD_LINES: usize = 30;

/// The size of a file or function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// The file, and the function behind a colon.
    pub name: String,
    /// How many lines it has.
    pub lines: usize,
}

/// Adds a file's sizes and offences to the report.
pub(super) fn check(source: &Source, rules: &Rules, report: &mut Report) {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut offend =
        |offender: &str, what: String| report.offences.push(Offence { offender: offender.to_owned(), what });
    if !opens_with_its_purpose(&lines) {
        offend(&source.name, "does not open with a `//!` that says what it is".to_owned());
    }
    if let Some(name) = module_name(&source.name).filter(|name| rules.empty_names.contains(name)) {
        offend(
            &source.name,
            format!("a module called {name} may hold anything; name it after what it holds"),
        );
    }
    if lines.len() > rules.max_file_lines && !has_reason(&lines[..HEAD_LINES.min(lines.len())]) {
        let what = format!(
            "{} lines, over {}: split it, or say why not: `{REASON}…` at its head",
            lines.len(),
            rules.max_file_lines
        );
        offend(&source.name, what);
    }
    report.files.push(Size { name: source.name.clone(), lines: lines.len() });

    let parsed = match syn::parse_file(&source.text) {
        Ok(parsed) => parsed,
        Err(error) => return offend(&source.name, format!("is not Rust: {error}")),
    };
    let mut functions = Functions::default();
    functions.visit_file(&parsed);
    for function in functions.found {
        let name = format!("{}:{} {}", source.name, function.first, function.name);
        let size = function.last - function.first + 1;
        if size > rules.max_function_lines && !has_reason(function.with_its_comment(&lines)) {
            let what = format!(
                "{size} lines, over {}: cut it, or say why not: `{REASON}…` above or in it",
                rules.max_function_lines
            );
            offend(&name, what);
        }
        report.functions.push(Size { name, lines: size });
    }
}

/// Whether the first line that is neither blank, nor an attribute of the file, nor a plain comment begins with `//!`.
fn opens_with_its_purpose(lines: &[&str]) -> bool {
    let is_before = |line: &&&str| {
        let is_plain_comment = line.starts_with("//") && !line.starts_with("//!");
        line.trim().is_empty() || line.starts_with("#!") || is_plain_comment
    };
    let first = lines.iter().find(|line| !is_before(line));
    first.is_some_and(|line| line.strip_prefix("//!").is_some_and(|text| !text.trim().is_empty()))
}

/// The name of the module that a file holds: `mod.rs` holds its folder's.
fn module_name(path: &str) -> Option<&str> {
    let stem = path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix(".rs"))?;
    stem.rsplit('/').next()
}

fn has_reason(lines: &[&str]) -> bool {
    let mut reasons = lines.iter().filter_map(|line| line.trim().strip_prefix(REASON));
    reasons.any(|reason| reason.trim().len() >= SHORTEST_REASON)
}

/// A function's lines, counted from 1.
#[derive(Debug)]
struct Function {
    name: String,
    first: usize,
    last: usize,
}

impl Function {
    /// Its lines with the comments and attributes right above it.
    fn with_its_comment<'a, 'b>(&self, lines: &'b [&'a str]) -> &'b [&'a str] {
        let is_attached = |line: &&&str| ["//", "#["].iter().any(|start| line.trim().starts_with(start));
        let attached = lines[..self.first - 1].iter().rev().take_while(is_attached).count();
        &lines[self.first - 1 - attached..self.last]
    }
}

#[derive(Default)]
struct Functions {
    found: Vec<Function>,
}

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (first, last) = (signature.span().start().line, block.span().end().line);
        self.found.push(Function { name: signature.ident.to_string(), first, last });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}
