//! No cycle between the modules of a crate, and no step upward where their order is ruled.
//!
//! What counts: a module uses another when a `use` or a path of it leads to something that lives there, through re-exports too. Between a
//! module and the modules inside it nothing counts, in either direction: they are one thing with an inside. So the question is asked
//! anew in each module: among its children, each taken with all that is inside it, does any use lead back?

use std::collections::{BTreeMap, BTreeSet};

use super::Offence;
use super::tree::ModuleTree;

/// How many re-exports a name is followed through.
const MAX_HOPS: usize = 16;

type Path = Vec<String>;
/// For each child: the children that it uses, and one use to show.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

/// The offences of one target's modules. `order` has the root's children in layers, lowest first, if that is ruled.
pub(super) fn check(tree: &ModuleTree, order: &[Vec<&'static str>]) -> Vec<Offence> {
    let edges = edges(tree);
    let parents: BTreeSet<Path> =
        tree.modules.keys().filter_map(|path| Some(path.split_last()?.1.to_vec())).collect();
    let mut offences = Vec::new();
    for parent in parents {
        let uses = uses_among_children(&parent, &edges);
        offences.extend(cycles(&uses).into_iter().map(|cycle| offence(tree, &parent, &cycle, &uses)));
        if parent.is_empty() && !order.is_empty() && tree.root.ends_with("lib.rs") {
            offences.extend(out_of_order(tree, order, &uses));
        }
    }
    offences
}

/// Who uses whom: pairs of modules, neither inside the other.
fn edges(tree: &ModuleTree) -> BTreeSet<(Path, Path)> {
    let mut edges = BTreeSet::new();
    for (at, module) in &tree.modules {
        let imported = module.imports.iter().map(|import| &import.path);
        for path in imported.chain(&module.paths) {
            let Some(target) = resolve(tree, at, path, MAX_HOPS) else { continue };
            if !at.starts_with(&target) && !target.starts_with(at) {
                edges.insert((at.clone(), target));
            }
        }
    }
    edges
}

/// The module in which what `path` names lives, if that is in this crate.
fn resolve(tree: &ModuleTree, at: &Path, path: &[String], hops: usize) -> Option<Path> {
    let hops = hops.checked_sub(1)?;
    let (mut current, mut rest) = start(tree, at, path)?;
    while let Some((name, after)) = rest.split_first() {
        let child = [current.as_slice(), std::slice::from_ref(name)].concat();
        if tree.modules.contains_key(&child) {
            (current, rest) = (child, after);
            continue;
        }
        return Some(owner(tree, &current, name, hops).unwrap_or(current));
    }
    Some(current)
}

/// Where a path begins: its first module, and what follows.
fn start<'p>(tree: &ModuleTree, at: &Path, path: &'p [String]) -> Option<(Path, &'p [String])> {
    let (first, mut rest) = path.split_first()?;
    let mut current = match first.as_str() {
        "crate" => Vec::new(),
        "self" => at.clone(),
        "super" => at.split_last()?.1.to_vec(),
        name => {
            let child = [at.as_slice(), &[name.to_owned()]].concat();
            return tree.modules.contains_key(&child).then_some((child, rest));
        }
    };
    while rest.first().is_some_and(|name| name == "super") {
        current.pop()?;
        rest = &rest[1..];
    }
    Some((current, rest))
}

/// The module that `name`, looked up in `module`, comes from: itself, or one that it takes the name from.
fn owner(tree: &ModuleTree, module: &Path, name: &str, hops: usize) -> Option<Path> {
    let hops = hops.checked_sub(1)?;
    let content = tree.modules.get(module)?;
    if content.defines.iter().any(|defined| defined == name) {
        return Some(module.clone());
    }
    let named = content.imports.iter().find(|import| import.name.as_deref() == Some(name));
    if let Some(import) = named {
        return resolve(tree, module, &import.path, hops);
    }
    let globs = content.imports.iter().filter(|import| import.name.is_none());
    globs
        .filter_map(|import| resolve(tree, module, &import.path, hops))
        .filter(|source| source != module)
        .find_map(|source| {
            let child = [source.as_slice(), &[name.to_owned()]].concat();
            if tree.modules.contains_key(&child) { Some(child) } else { owner(tree, &source, name, hops) }
        })
}

fn uses_among_children(parent: &Path, edges: &BTreeSet<(Path, Path)>) -> Uses {
    let mut uses = Uses::new();
    let child = |path: &Path| (path.starts_with(parent)).then(|| path.get(parent.len()).cloned()).flatten();
    for (from, to) in edges {
        if let (Some(left), Some(right)) = (child(from), child(to))
            && left != right
        {
            let shown = format!("{} uses {}", from.join("::"), to.join("::"));
            uses.entry(left).or_default().entry(right).or_insert(shown);
        }
    }
    uses
}

/// One cycle for each group of modules that all lead to each other.
fn cycles(uses: &Uses) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    for start in uses.keys() {
        if found.iter().flatten().any(|known| known == start) {
            continue;
        }
        found.extend(shortest_way_back(uses, start));
    }
    found
}

/// The shortest way from a module back to itself, if there is one: breadth first.
fn shortest_way_back(uses: &Uses, start: &String) -> Option<Vec<String>> {
    let mut ways: Vec<Vec<String>> = vec![vec![start.clone()]];
    let mut seen: BTreeSet<&String> = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in way.last().and_then(|last| uses.get(last)).into_iter().flat_map(BTreeMap::keys) {
                if next == start {
                    return Some(way);
                }
                if seen.insert(next) {
                    longer.push([way.as_slice(), std::slice::from_ref(next)].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

fn offence(tree: &ModuleTree, parent: &Path, cycle: &[String], uses: &Uses) -> Offence {
    let steps = (0..cycle.len()).map(|n| uses[&cycle[n]][&cycle[(n + 1) % cycle.len()]].clone());
    let place =
        if parent.is_empty() { tree.root.clone() } else { format!("{} in {}", tree.root, parent.join("::")) };
    Offence {
        offender: place,
        what: format!("modules form a cycle: {}", steps.collect::<Vec<_>>().join(", ")),
    }
}

fn out_of_order(tree: &ModuleTree, order: &[Vec<&'static str>], uses: &Uses) -> Vec<Offence> {
    let layer = |name: &String| order.iter().position(|layer| layer.contains(&name.as_str()));
    let top: BTreeSet<&String> = tree.modules.keys().filter_map(|path| path.first()).collect();
    let unplaced = top.into_iter().filter(|name| layer(name).is_none());
    let mut offences: Vec<Offence> = unplaced
        .map(|name| Offence {
            offender: tree.root.clone(),
            what: format!("module {name} has no place in the crate's order; give it one in the rules"),
        })
        .collect();
    for (from, targets) in uses {
        for (to, shown) in targets {
            if let (Some(lower), Some(upper)) = (layer(from), layer(to))
                && upper > lower
            {
                let what = format!("{shown}, but {from} is below {to} in the crate's order");
                offences.push(Offence { offender: tree.root.clone(), what });
            }
        }
    }
    offences
}
