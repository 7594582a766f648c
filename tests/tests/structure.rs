//! The repository keeps its own rules: layers of crates, modules without cycles, files that say what they are, sizes with reasons. The rules
//! are in the harness's `structure::Rules::podway`; the checker has its own tests beside it.

use std::path::Path;

use podway_tests::structure::{Rules, check};

#[test]
fn the_repository_keeps_its_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let report = check(&root, &Rules::podway()).unwrap();
    println!("{}", report.sizes(10));
    let offences: Vec<String> = report.offences.iter().map(ToString::to_string).collect();
    assert!(offences.is_empty(), "{} rules are broken:\n{}", offences.len(), offences.join("\n"));
}
