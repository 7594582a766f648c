//! `podway demo --bank`: money moves, what is chosen from the menu is killed and comes back, and the sum is what it was.

use std::io::Write;

use crate::podway::{Podway, wait_until_gone};

#[test]
fn the_sum_stays_while_a_proxy_and_a_server_are_killed_from_the_menu() {
    let args = ["demo", "--bank", "--shards", "2", "--port", "0", "--no-data", "--seconds", "60"];
    let (mut podway, mut typed) = Podway::start_typing(&args);
    podway.line("Type a letter and Enter.");
    let mut choose = |letter: &str| typed.write_all(format!("{letter}\n").as_bytes()).unwrap();
    let commits = |line: &str| -> u64 { line.split_whitespace().nth(2).unwrap().parse().unwrap() };
    let until_more = |podway: &mut Podway, than: u64| loop {
        let line = podway.line("  ");
        if line.contains(" committed, ") && commits(&line) > than {
            return commits(&line);
        }
    };
    let first = until_more(&mut podway, 5);
    choose("p");
    podway.line("killed proxy bank-");
    podway.line("proxy bank-");
    choose("m");
    podway.line("killed MySQL server-");
    podway.line("MySQL server-");
    until_more(&mut podway, first);
    choose("what");
    podway.line("Type a letter and Enter.");
    let children = podway.children();
    choose("q");
    let rest = podway.line("The sum is what it was: 60000; ");
    assert!(rest.ends_with("0 branches are in doubt."), "{rest}");
    let ended = podway.wait();
    assert!(ended.status.success(), "{}: {}", ended.status, ended.said);
    assert!(!podway.printed.contains("NOT 60000"), "{}", podway.printed);
    wait_until_gone(&children);
}
