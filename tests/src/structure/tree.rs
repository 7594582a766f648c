//! Source files into the module tree of a crate: which modules there are, what each defines and re-exports, and which paths it names.
//! What is under `#[cfg(test)]` is left out: tests may look anywhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta, UseTree};

/// The modules of one target (a library, a binary, a test), by their paths from its root, which is the empty path.
#[derive(Clone, Debug, Default)]
pub(super) struct ModuleTree {
    /// The root file, as messages name it.
    pub(super) root: String,
    pub(super) modules: BTreeMap<Vec<String>, Module>,
}

/// One module.
#[derive(Clone, Debug, Default)]
pub(super) struct Module {
    /// Names that it defines itself.
    pub(super) defines: Vec<String>,
    /// Names that it takes from elsewhere: the name here, the path, and whether the path is a glob's.
    pub(super) imports: Vec<Import>,
    /// The paths that begin with `crate`, `self` or `super` in its code.
    pub(super) paths: Vec<Vec<String>>,
}

/// One name brought in by `use`.
#[derive(Clone, Debug)]
pub(super) struct Import {
    /// Its name here; none for a glob.
    pub(super) name: Option<String>,
    /// What it is.
    pub(super) path: Vec<String>,
}

/// A source file.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The path from the repository's root.
    pub(super) name: String,
    pub(super) text: String,
}

/// Every source file below a folder, but for what was built and what is hidden.
pub(super) fn rust_files(root: &Path, folder: &Path) -> anyhow::Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                found.push(Source { name: shown(root, &path), text });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The module trees of a crate's targets.
pub(super) fn trees(root: &Path, folder: &Path) -> anyhow::Result<Vec<ModuleTree>> {
    let mut roots: Vec<PathBuf> =
        ["src/lib.rs", "src/main.rs"].iter().map(|path| folder.join(path)).collect();
    for targets in ["tests", "benches", "examples", "src/bin"] {
        let Ok(entries) = fs::read_dir(folder.join(targets)) else { continue };
        // A target is a file, or a folder with a `main.rs`; other folders have no such file and fall out below.
        let paths = entries.flatten().map(|entry| entry.path());
        roots.extend(paths.filter_map(|path| match path.extension() {
            Some(extension) => (extension == "rs").then_some(path),
            None => Some(path.join("main.rs")),
        }));
    }
    roots.retain(|path| path.exists());
    roots.iter().map(|path| tree(root, path)).collect()
}

fn tree(root: &Path, file: &Path) -> anyhow::Result<ModuleTree> {
    let mut tree = ModuleTree { root: shown(root, file), modules: BTreeMap::new() };
    let children = file.parent().unwrap_or(root).to_owned();
    read_file(&mut tree, &[], file, &children)?;
    Ok(tree)
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// Reads one file as the module `at`; the files of its child modules lie in `children`.
fn read_file(tree: &mut ModuleTree, at: &[String], file: &Path, children: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let parsed = syn::parse_file(&text).with_context(|| file.display().to_string())?;
    read_items(tree, at, &parsed.items, children)
}

fn read_items(tree: &mut ModuleTree, at: &[String], items: &[Item], children: &Path) -> anyhow::Result<()> {
    let mut module = Module::default();
    for item in items {
        match item {
            Item::Mod(inner) if is_for_tests(&inner.attrs) => {}
            Item::Mod(inner) => read_child(tree, at, inner, children)?,
            Item::Use(import) if !is_for_tests(&import.attrs) => {
                flatten(&import.tree, &mut Vec::new(), &mut module.imports)
            }
            Item::Use(_) => {}
            other if is_for_tests(attributes(other)) => {}
            other => {
                module.defines.extend(defined_name(other));
                collect_paths(other.to_token_stream(), &mut module.paths);
            }
        }
    }
    tree.modules.insert(at.to_vec(), module);
    Ok(())
}

/// The file that `#[path = "…"]` names, from the folder of the module's own children.
fn told_file(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

fn read_child(tree: &mut ModuleTree, at: &[String], inner: &ItemMod, children: &Path) -> anyhow::Result<()> {
    let name = inner.ident.to_string();
    let path = [at, std::slice::from_ref(&name)].concat();
    let folder = children.join(&name);
    if let Some((_, items)) = &inner.content {
        return read_items(tree, &path, items, &folder);
    }
    let files = match told_file(&inner.attrs) {
        Some(told) => vec![children.join(told)],
        None => vec![children.join(format!("{name}.rs")), folder.join("mod.rs")],
    };
    match files.iter().find(|file| file.exists()) {
        Some(file) => read_file(tree, &path, file, &folder),
        None => anyhow::bail!("{}: no file for module {}", tree.root, path.join("::")),
    }
}

/// `#[cfg(test)]`, and every condition that has `test` in it.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    let names_test = |tokens: TokenStream| tokens.into_iter().any(|token| token.to_string().contains("test"));
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && names_test(list.tokens.clone()),
        Meta::Path(path) => path.is_ident("test"),
        Meta::NameValue(_) => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        _ => &[],
    }
}

fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn flatten(tree: &UseTree, path: &mut Vec<String>, imports: &mut Vec<Import>) {
    let mut import = |name: Option<String>, last: Option<String>| {
        let path = path.iter().cloned().chain(last).collect();
        imports.push(Import { name, path });
    };
    match tree {
        UseTree::Path(inner) => {
            path.push(inner.ident.to_string());
            flatten(&inner.tree, path, imports);
            path.pop();
        }
        UseTree::Name(name) if name.ident == "self" => import(path.last().cloned(), None),
        UseTree::Name(name) => import(Some(name.ident.to_string()), Some(name.ident.to_string())),
        UseTree::Rename(renamed) => import(Some(renamed.rename.to_string()), Some(renamed.ident.to_string())),
        UseTree::Glob(_) => import(None, None),
        UseTree::Group(group) => group.items.iter().for_each(|inner| flatten(inner, path, imports)),
    }
}

/// Every `crate::…`, `self::…` and `super::…` among the tokens, those inside macros' arguments too.
fn collect_paths(tokens: TokenStream, paths: &mut Vec<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let ident = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    };
    let is_colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    let mut at = 0;
    while at < tokens.len() {
        if let TokenTree::Group(group) = &tokens[at] {
            collect_paths(group.stream(), paths);
        }
        let first = ident(at).filter(|name| ["crate", "self", "super"].contains(&name.as_str()));
        at += 1;
        let Some(first) = first else { continue };
        let mut path = vec![first];
        while is_colon(at) && is_colon(at + 1) {
            let Some(name) = ident(at + 2) else { break };
            path.push(name);
            at += 3;
        }
        if path.len() > 1 {
            paths.push(path);
        }
    }
}
