//! Accounts: created, altered, adopted, dropped.

use std::sync::Arc;

use podway_model::{Account, AuthPlugin, Change};
use podway_topology_api::{AccountCommand, Command};

use crate::script::{Script, account, account_name, check};

fn create(account: Account) -> Command {
    Command::Account(AccountCommand::Create(account))
}

#[test]
fn accounts_are_created_altered_and_dropped() {
    let locked = Account { locked: true, ..account("ann") };
    let alter = |account: Account| Command::Account(AccountCommand::Alter(account));
    let adopt = |account: Account| Command::Account(AccountCommand::Adopt(account));
    let drop = |user: &str| Command::Account(AccountCommand::Drop(account_name(user)));
    check(
        Script::with_servers(),
        vec![
            (alter(account("ann")), "there is no account 'ann'@'%'"),
            (create(account("ann")), "ok"),
            (create(account("ann")), "unchanged"),
            (create(locked.clone()), "there is an account 'ann'@'%' already"),
            (alter(locked.clone()), "ok"),
            (alter(locked.clone()), "unchanged"),
            (adopt(locked), "unchanged"),
            (adopt(account("ann")), "ok"),
            (adopt(account("bob")), "ok"),
            (drop("anne"), "there is no account 'anne'@'%'; did you mean 'ann'@'%'?"),
            (drop("ann"), "ok"),
            (drop("ann"), "there is no account 'ann'@'%'; did you mean 'bob'@'%'?"),
            (create(account("")), "ok"),
        ],
    );
}

#[test]
fn what_cannot_be_an_account_is_refused() {
    let native = AuthPlugin::MysqlNativePassword;
    check(
        Script::with_servers(),
        vec![
            (
                create(account(&"x".repeat(33))),
                &*format!(
                    "\"'{}'@'%'\" cannot be the name of an account: MySQL takes 32 characters for a user",
                    "x".repeat(33)
                ),
            ),
            (
                create(account("a\nb")),
                "\"'a b'@'%'\" cannot be the name of an account: it has control characters",
            ),
            (
                create(Account { plugin: native, ..account("ann") }),
                "\"'ann'@'%'\" cannot be the name of an account: what proves it is not what its plugin stores",
            ),
            (create(Account { authentication_string: Box::default(), ..account("ann") }), "ok"),
        ],
    );
}

#[test]
fn watchers_are_told_what_proves_an_account_and_readers_are_not() {
    let mut script = Script::with_servers();
    assert_eq!(script.changes(create(account("ann"))), [Change::Account(Arc::new(account("ann")))]);
    let view = serde_json::to_string(&script.view()).unwrap();
    assert!(view.contains("\"ann\"") && !view.contains("PROOF"));
}
