//! Statements about users: whom they may not name, and how the map's accounts follow them.

use podway_model::{Account, Change, ServerId};
use podway_topology_api::{
    AccountCommand, AccountNow, Command, NewOperation, OperationCommand, Report, Target, UserPlace,
    UserStatement, UserVerb,
};

use crate::moves::{begin as begin_move, report, take};
use crate::script::{Script, account, account_name, check, user_statement};

fn begin(statement: UserStatement) -> Command {
    let shown = "…".into();
    Command::Operation(OperationCommand::Begin(NewOperation::Users { shown, statement }))
}

fn tell(what: Report) -> Command {
    report(1, 1, what)
}

fn statement(verb: UserVerb) -> UserStatement {
    user_statement(verb, "…")
}

/// Bob is known, and a statement about Ann was begun.
fn begun(verb: UserVerb) -> Script {
    let mut script = Script::with_servers();
    script.ok(Command::Account(AccountCommand::Adopt(account("bob"))));
    script.ok(begin(statement(verb)));
    script.ok(take(1, 1));
    script
}

fn carry_out(script: &mut Script) {
    for target in [1, 2, 3].map(|number| Target::Server(ServerId(number))) {
        script.ok(tell(Report::TargetBegan { target, before: "x".into() }));
        script.ok(tell(Report::TargetDone { target, warnings: Vec::new() }));
    }
}

#[test]
fn podways_administrators_are_nobodys_to_name() {
    let admin = account_name("podway_admin");
    let about = UserStatement { accounts: vec![admin.clone()], ..statement(UserVerb::Alter) };
    let role = UserStatement { roles: vec![admin.clone()], ..statement(UserVerb::Privileges) };
    let pairs = vec![(account_name("ann"), admin)];
    let refused = "'podway_admin'@'%' is an account by which Podway administers server a: it is changed there, and `podway server` told of it";
    check(
        Script::with_servers(),
        vec![
            (begin(about), refused),
            (begin(role), refused),
            (begin(statement(UserVerb::Rename(pairs))), refused),
            (begin(statement(UserVerb::Alter)), "ok"),
        ],
    );
}

#[test]
fn who_is_made_is_let_in_when_all_servers_have_him() {
    let mut script = begun(UserVerb::Create);
    let made = vec![AccountNow::Known(account("ann"))];
    let early = script.changes(tell(Report::AccountsChanged(made.clone())));
    assert!(
        matches!(&early[..], [Change::Rights { account: Some(name), .. }] if *name == account_name("ann"))
    );
    assert_eq!(script.map().accounts.len(), 1, "not yet");
    carry_out(&mut script);
    let late = script.changes(tell(Report::AccountsFollowed(made.clone())));
    assert!(matches!(&late[..], [Change::Account(_), Change::Rights { .. }]));
    assert_eq!(script.changes(tell(Report::AccountsFollowed(made))), [], "it was said before");
    assert_eq!(script.map().accounts.len(), 2);
}

#[test]
fn who_is_dropped_or_locked_is_refused_when_the_first_server_has_it() {
    let about_bob = |verb| UserStatement { accounts: vec![account_name("bob")], ..statement(verb) };
    let mut script = Script::with_servers();
    script.ok(Command::Account(AccountCommand::Adopt(account("bob"))));
    script.ok(begin(about_bob(UserVerb::Drop)));
    script.ok(take(1, 1));
    let before = script.map().rights_since(&account_name("bob"));
    let locked = Account { locked: true, ..account("bob") };
    script.ok(tell(Report::AccountsChanged(vec![AccountNow::Known(locked)])));
    assert!(script.map().accounts[0].locked);
    assert!(script.map().rights_since(&account_name("bob")) > before);
    script.ok(tell(Report::AccountsChanged(vec![AccountNow::Unknown(account_name("bob"))])));
    assert!(script.map().accounts.is_empty());
}

#[test]
fn what_a_role_may_do_may_be_anybodys_rights() {
    let mut script = begun(UserVerb::Privileges);
    let bob = account_name("bob");
    let before = script.map().rights_since(&bob);
    carry_out(&mut script);
    let changes = script.changes(tell(Report::AccountsFollowed(Vec::new())));
    assert!(matches!(&changes[..], [Change::Rights { account: None, .. }]));
    assert!(script.map().rights_since(&bob) > before);
}

#[test]
fn shards_do_not_move_while_a_statement_about_users_goes_on() {
    let on_shop = |home_only| UserStatement {
        place: UserPlace::Shards { keyspace: "shop".into(), home_only },
        ..statement(UserVerb::Privileges)
    };
    let mut script = Script::with_shop();
    script.ok(begin(on_shop(true)));
    assert_eq!(script.view().operations[0].targets.len(), 1, "the home shard's server alone");
    let refused = script.refusal(begin_move(1, "c"));
    assert_eq!(refused, "shard 1 is part of operation 1, which is not done yet");
    let elsewhere = UserPlace::Shards { keyspace: "nowhere".into(), home_only: false };
    let mut other = Script::with_shop();
    let unknown = other.refusal(begin(UserStatement { place: elsewhere, ..on_shop(true) }));
    assert!(unknown.starts_with("there is no keyspace nowhere"), "{unknown}");
    other.ok(begin_move(1, "c"));
    assert_eq!(
        other.refusal(begin(on_shop(false))),
        "statement about users is part of operation 1, which is not done yet"
    );
}
