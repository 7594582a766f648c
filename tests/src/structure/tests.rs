//! The checker can fail: small trees made up for it, each with one thing wrong, and the same with it right.

use std::fs;
use std::path::Path;

use super::*;

/// A workspace of crate `low` and crate `high`, which may know it, with these files on top.
fn offences(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "[workspace]\nmembers = ['low', 'high']\n");
    write("low/Cargo.toml", "[package]\nname = 'low'\n");
    write("high/Cargo.toml", "[package]\nname = 'high'\n[dependencies]\nlow = { path = '../low' }\n");
    for name in ["low/src/lib.rs", "high/src/lib.rs"] {
        write(name, "//! A crate.\n");
    }
    files.iter().for_each(|(name, text)| write(name, text));
    let report = check(folder.path(), &rules()).unwrap();
    report.offences.iter().map(Offence::to_string).collect()
}

fn rules() -> Rules {
    let rule = |name, may_know: &[&'static str], must_not_know: &[&'static str]| CrateRule {
        name,
        may_know: may_know.to_vec(),
        must_not_know: must_not_know.to_vec(),
        module_order: Vec::new(),
    };
    let order = vec![vec!["words", "numbers"], vec!["machine"]];
    Rules {
        crates: vec![
            rule("low", &[], &["tokio"]),
            CrateRule { module_order: order, ..rule("high", &["low"], &[]) },
        ],
        max_file_lines: 12,
        max_function_lines: 5,
        empty_names: vec!["util"],
    }
}

#[track_caller]
fn check_offences(files: &[(&str, &str)], expected: &[&str]) {
    let found = offences(files);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{expected:?} is not in {found:?}");
    }
}

#[test]
fn a_clean_workspace_offends_nobody() {
    check_offences(&[], &[]);
}

#[test]
fn crates_know_lower_ones_only() {
    let cases = [
        (
            "low/Cargo.toml",
            "[package]\nname = 'low'\n[dev-dependencies]\nhigh.workspace = true\n",
            "low: depends on high",
        ),
        (
            "low/Cargo.toml",
            "[package]\nname = 'low'\n[dependencies]\nx = { package = 'tokio' }\n",
            "low: depends on tokio",
        ),
        (
            "low/Cargo.toml",
            "[package]\nname = 'low'\n[target.'cfg(unix)'.dependencies]\ntokio = '1'\n",
            "low: depends on tokio",
        ),
        ("high/Cargo.toml", "[package]\nname = 'stranger'\n", "stranger: is a crate without a place"),
    ];
    for (file, text, expected) in cases {
        check_offences(&[(file, text)], &[expected]);
    }
}

#[test]
fn cycles_are_found_through_every_kind_of_path() {
    let lib = ("low/src/lib.rs", "//! A crate.\nmod a;\nmod b;\npub use b::B;\n");
    let b = ("low/src/b.rs", "//! B.\nuse crate::a::A;\npub struct B(A);\n");
    let users_of_b = [
        "use crate::b::B;",
        "use crate::B;",
        "use super::b;",
        "use super::{b as c, missing};",
        "pub use crate::b::*;",
        "fn f() { crate::b::g() }",
        "fn f(x: &super::B) {}",
        "fn f() { println!(\"{}\", crate::b::N) }",
        "impl X { fn f() { let v = vec![super::B]; } }",
        "mod inner { use crate::b::B; }",
        "mod inner { use super::super::B; }",
    ];
    for user in users_of_b {
        let a = format!("//! A.\n{user}\npub struct A;\n");
        check_offences(&[lib, b, ("low/src/a.rs", &a)], &["low/src/lib.rs: modules form a cycle: a"]);
    }
    let innocent = [
        "use low::b::B;",
        "use b::B;",
        "// crate::b::B",
        "#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}",
        "fn f() { \"crate::b\" }",
    ];
    for user in innocent {
        let a = format!("//! A.\n{user}\npub struct A;\n");
        check_offences(&[lib, b, ("low/src/a.rs", &a)], &[]);
    }
}

#[test]
fn a_module_whose_file_is_named_is_read_from_there() {
    let lib =
        ("low/src/lib.rs", "//! A crate.\n#[path = \"elsewhere/a.rs\"]\nmod a;\nmod b;\npub use b::B;\n");
    let b = ("low/src/b.rs", "//! B.\nuse crate::a::A;\npub struct B(A);\n");
    let a = ("low/src/elsewhere/a.rs", "//! A.\nuse crate::B;\npub struct A;\n");
    check_offences(&[lib, b, a], &["low/src/lib.rs: modules form a cycle: a"]);
}

#[test]
fn longer_cycles_and_cycles_of_what_is_inside_are_found() {
    let files = [
        ("low/src/lib.rs", "//! A crate.\nmod a;\nmod b;\nmod c;\n"),
        ("low/src/a/mod.rs", "//! A.\nmod deep;\nmod other;\n"),
        ("low/src/a/deep.rs", "//! Deep.\nuse crate::b::X;\n"),
        ("low/src/a/other.rs", "//! Other.\npub struct Y;\n"),
        ("low/src/b.rs", "//! B.\nuse crate::c::Z;\npub struct X;\n"),
        ("low/src/c.rs", "//! C.\nuse crate::a::other::Y;\npub struct Z;\n"),
    ];
    // No two files use each other, yet a, b and c cannot be read in any order.
    check_offences(&files, &["cycle: a::deep uses b, b uses c, c uses a::other"]);
}

#[test]
fn tests_of_several_files_are_looked_at_too() {
    let files = [
        ("low/tests/whole/main.rs", "//! Tests.\nmod a;\nmod b;\n"),
        ("low/tests/whole/a.rs", "//! A.\nuse crate::b::B;\npub struct A;\n"),
        ("low/tests/whole/b.rs", "//! B.\nuse crate::a::A;\npub struct B;\n"),
    ];
    check_offences(&files, &["low/tests/whole/main.rs: modules form a cycle: a uses b, b uses a"]);
}

#[test]
fn a_module_and_what_is_inside_it_are_one_thing() {
    let files = [
        ("low/src/lib.rs", "//! A crate.\nmod a;\n"),
        (
            "low/src/a/mod.rs",
            "//! A.\nmod one;\nmod two;\nuse one::One;\npub(crate) use two::Two;\npub struct Shared(One);\n",
        ),
        ("low/src/a/one.rs", "//! One.\nuse super::{Shared, Two};\npub struct One(Two);\n"),
        ("low/src/a/two.rs", "//! Two.\nuse super::Shared;\npub struct Two;\n"),
    ];
    check_offences(&files, &[]);
    let back = ("low/src/a/two.rs", "//! Two.\nuse super::One;\npub struct Two;\n");
    check_offences(
        &[files[0], files[1], files[2], back],
        &["low/src/lib.rs in a: modules form a cycle: a::one uses a::two"],
    );
}

#[test]
fn a_ruled_order_of_modules_is_kept() {
    let lib = ("high/src/lib.rs", "//! A crate.\nmod machine;\nmod numbers;\nmod words;\n");
    let machine = ("high/src/machine.rs", "//! M.\nuse crate::words::W;\npub struct M;\n");
    let words = ("high/src/words.rs", "//! W.\nuse crate::numbers::N;\npub struct W;\n");
    let numbers = ("high/src/numbers.rs", "//! N.\npub struct N;\n");
    check_offences(&[lib, machine, words, numbers], &[]);

    let upward = ("high/src/numbers.rs", "//! N.\nuse crate::machine::M;\n");
    let quiet = ("high/src/machine.rs", "//! M.\npub struct M;\n");
    check_offences(&[lib, quiet, words, upward], &["numbers uses machine, but numbers is below machine"]);
    let unplaced = ("high/src/lib.rs", "//! A crate.\nmod extra;\n");
    check_offences(&[unplaced, ("high/src/extra.rs", "//! E.\n")], &["module extra has no place"]);
}

#[test]
fn every_file_says_what_it_is() {
    let cases = [
        ("//! What it is.\n", true),
        ("#![no_main]\n//! What it is.\n", true),
        ("// SPDX\n\n//! What it is.\n", true),
        ("", false),
        ("//!\n", false),
        ("use std::fmt;\n//! Too late.\n", false),
        ("/// Of an item.\nstruct X;\n", false),
    ];
    for (text, is_fine) in cases {
        let file = ("fuzz/any.rs", text);
        let expected: &[&str] = if is_fine { &[] } else { &["fuzz/any.rs: "] };
        // What comes too late for a file's doc is not Rust either; one complaint is enough here.
        let found = offences(&[file]);
        assert_eq!(found.is_empty(), expected.is_empty(), "{text:?}: {found:?}");
    }
}

#[test]
fn names_that_say_nothing_are_named() {
    check_offences(&[("low/src/util.rs", "//! Things.\n")], &["low/src/util.rs: a module called util"]);
    check_offences(
        &[("low/src/util/mod.rs", "//! Things.\n")],
        &["low/src/util/mod.rs: a module called util"],
    );
}

#[test]
fn what_is_large_needs_a_reason() {
    let long_file = |head: &str| format!("//! What it is.\n{head}\n{}", "const A: u8 = 1;\n".repeat(11));
    let long_function =
        |above: &str, inside: &str| format!("//! What it is.\n{above}\nfn f() {{\n{inside}\n\n\n\n}}\n");
    let reason = "// structure: a table that is read as one";
    let cases = [
        (long_file(""), Some("low/src/x.rs: 13 lines, over 12")),
        (long_file("// structure: so"), Some("low/src/x.rs: 13 lines")),
        (long_file(reason), None),
        (long_function("", ""), Some("low/src/x.rs:3 f: 6 lines, over 5")),
        (long_function(reason, ""), None),
        (long_function("", reason), None),
        (long_function(&format!("{reason}\n#[inline]"), ""), None),
        (long_function(&format!("{reason}\nconst B: u8 = 1;"), ""), Some("low/src/x.rs:4 f")),
        (
            format!("//! What it is.\nimpl X {{\n    fn g() {{{}    }}\n}}\n", "\n".repeat(6)),
            Some("low/src/x.rs:3 g: 7 lines"),
        ),
    ];
    for (text, expected) in cases {
        check_offences(&[("low/src/x.rs", &text)], expected.as_slice());
    }
}

#[test]
fn sizes_are_reported_largest_first() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/structure");
    let mut report = Report::default();
    for source in tree::rust_files(&root, &root).unwrap() {
        sizes::check(&source, &Rules::podway(), &mut report);
    }
    assert!(report.files.iter().any(|size| size.name == "tests.rs" && size.lines > 100));
    assert!(report.functions.iter().any(|size| size.name.ends_with("sizes_are_reported_largest_first")));
    assert!(report.sizes(3).starts_with(&format!("{} files", report.files.len())));
}
