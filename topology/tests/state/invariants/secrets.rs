//! Secrets are in no view, no printed value, no answer, no line of the log (`View`: "everything but secrets"; `Secret`: "never printed").

use podway_topology_api::{AccountCommand, Command};
use proptest::prelude::*;

use super::play;
use crate::random::{lists, start};
use crate::script::{ADMIN_PASSWORD, PROOF, SECRET, account, add_server, found};

/// Whatever of these is seen was not to be. Statements of operations have the last one in them.
fn leaks(text: &str) -> Option<&'static str> {
    let secret = std::str::from_utf8(SECRET).unwrap();
    let as_bytes = |text: &str| format!("{:?}", text.as_bytes()).trim_matches(['[', ']']).to_owned();
    let numbers = |text: &str| as_bytes(text).replace(' ', "");
    [ADMIN_PASSWORD, &PROOF[7..], secret, "swordfish"].into_iter().find_map(|hidden| {
        let is_seen =
            text.contains(hidden) || text.contains(&as_bytes(hidden)) || text.contains(&numbers(hidden));
        is_seen.then_some("a secret is seen")
    })
}

proptest! {
    #![proptest_config(super::lists_tried(48))]
    #[test]
    fn secrets_are_never_seen(steps in lists()) {
        play(&steps, |script, applied| {
            let answer = serde_json::to_string(&applied.answer).unwrap();
            let refusal = applied.answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let printed = format!("{applied:?} {:?} {answer} {refusal}", script.state);
            assert_eq!(leaks(&printed), None, "{printed}");
        });
        let mut script = start();
        for step in &steps {
            let printed = format!("{:?}", step.command);
            assert_eq!(leaks(&printed), None, "{printed}");
            script.apply(step.command.clone());
        }
        let view = script.view();
        for seen in [serde_json::to_string(&view).unwrap(), format!("{view:?}")] {
            assert_eq!(leaks(&seen), None, "{seen}");
        }
        // The look itself would find them: stored, they are all there.
        assert!(leaks(&serde_json::to_string(&script.state).unwrap()).is_some());
    }
}

#[test]
fn commands_with_secrets_are_printed_without_them() {
    let adopt = Command::Account(AccountCommand::Adopt(account("ann")));
    for command in [found(), add_server("a", 1), adopt] {
        assert_eq!(leaks(&format!("{command:?}")), None);
        assert!(leaks(&serde_json::to_string(&command).unwrap()).is_some(), "stored, it is there");
    }
}
