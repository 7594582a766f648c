//! What differs on the servers from the map: reported, kept, told to watchers, forgotten, and never taken over from a look that is out of date.

use podway_model::{Change, Drift, DriftSubject, NameRule, Revision, ServerId, ShardId};
use podway_topology_api::{
    Command, Done, DriftCommand, DriftReport, Finding, LogTime, NewOperation, OperationCommand, OperationId,
    ServerCommand,
};

use crate::script::{Script, alter, check, column, forget, orders, rename};

/// What differs of a table of the shop.
pub fn of(table: &str) -> DriftSubject {
    let name = |text| NameRule::CaseSensitive.name(text);
    DriftSubject::Table { keyspace: name("shop"), table: name(table) }
}

pub fn differs(subject: DriftSubject, what: &str, stops_pinning: bool) -> Finding {
    Finding::Differs { subject, what: what.into(), stops_pinning }
}

/// A report of somebody who has looked just now.
pub fn report(script: &Script, findings: Vec<Finding>) -> Command {
    Command::Drift(DriftCommand::Report(DriftReport {
        as_of: script.map().revision,
        last_operation: script.state.last_operation(),
        answers: 0,
        unread: Vec::new(),
        findings,
    }))
}

fn ok(script: &mut Script, findings: Vec<Finding>) {
    let command = report(script, findings);
    script.ok(command);
}

fn drift<'a>(script: &'a Script, table: &str) -> Option<&'a Drift> {
    script.map().drift(&of(table)).map(|drift| &**drift)
}

#[test]
fn a_difference_is_kept_with_its_beginning_and_goes_when_it_is_gone() {
    let mut script = Script::with_shop();
    script.at = 5_000;
    ok(&mut script, vec![differs(of("orders"), "its column note is missing on shard 2", false)]);
    let since = drift(&script, "orders").unwrap().since_ms;
    assert_eq!(since, 5_001);
    assert_eq!(
        script.view().log.last().unwrap().what.as_ref(),
        "table shop.orders: its column note is missing on shard 2"
    );
    script.at = 9_000;
    let command = report(&script, vec![differs(of("orders"), "its engine differs", true)]);
    let changes = script.changes(command);
    let drift_now = Drift { what: "its engine differs".into(), since_ms: since, stops_pinning: true };
    assert_eq!(changes, [Change::Drift { subject: of("orders"), drift: Some(drift_now.into()) }]);
    assert!(changes[0].is_of_schema(), "plans of before are not used any more");
    assert_eq!(script.map().schema_version, script.index, "so the schema's version rises");
    let keyspace = NameRule::CaseSensitive.name("shop");
    let table = NameRule::CaseSensitive.name("orders");
    assert!(script.map().unpinned(&keyspace, &table).is_some());
    let seen = script.view().drifts;
    assert_eq!((seen.len(), seen[0].since, seen[0].stops_pinning), (1, LogTime(since), true));
    let lines = script.view().log.len();
    ok(&mut script, vec![differs(of("orders"), "its engine differs", true)]);
    assert_eq!(script.view().log.len(), lines, "what is known is not logged again");
    ok(&mut script, vec![Finding::Agrees { subject: of("orders") }]);
    assert_eq!(drift(&script, "orders"), None);
    assert!(script.map().unpinned(&keyspace, &table).is_none());
}

#[test]
fn a_look_that_is_out_of_date_changes_nothing() {
    let mut script = Script::with_shop();
    let late = report(&script, vec![differs(of("orders"), "x", true)]);
    script.ok(alter("shop", "countries", vec![column("code"), column("name")]));
    let said = script.refusal(late);
    assert!(said.contains("the shards were compared with map"), "{said}");
    let late = report(&script, vec![differs(of("orders"), "x", true)]);
    let to_c = NewOperation::MoveShard { shard: ShardId(1), to: "c".into(), schema: None };
    script.ok(Command::Operation(OperationCommand::Begin(to_c)));
    let said = script.refusal(late);
    assert!(said.contains("since then something began"), "{said}");
    assert_eq!(drift(&script, "orders"), None);
}

#[test]
fn what_every_shard_has_is_taken_over_and_what_would_change_a_key_is_not() {
    let mut script = Script::with_shop();
    let mut columns = orders().columns;
    columns.insert(0, column("note"));
    let taken = |table: &str, columns: Vec<podway_model::Column>| Finding::Columns {
        keyspace: "shop".into(),
        table: table.into(),
        columns,
    };
    let impossible = taken("orders", vec![column("id")]);
    let both = vec![impossible, taken("countries", vec![column("code"), column("name")])];
    ok(&mut script, both);
    let keyspace = script.map().keyspace_spelled("shop").unwrap();
    assert_eq!(keyspace.tables["orders"].columns, orders().columns);
    assert_eq!(keyspace.tables["countries"].columns.len(), 2);
    ok(&mut script, vec![taken("orders", columns.clone())]);
    let known = script.map().keyspace_spelled("shop").unwrap().tables["orders"].clone();
    assert_eq!(known.columns, columns);
    assert_eq!(known.key_columns().next().unwrap().name.as_str(), "customer_id");
}

#[test]
fn a_mark_goes_with_its_table() {
    let marked = || {
        let mut script = Script::with_shop();
        ok(
            &mut script,
            vec![differs(of("orders"), "x", true), differs(DriftSubject::Server(ServerId(3)), "y", false)],
        );
        script
    };
    let mut script = marked();
    script.ok(rename("shop", "orders", "purchases"));
    assert_eq!(drift(&script, "orders"), None);
    assert!(drift(&script, "purchases").unwrap().stops_pinning, "a new name makes no key certain");
    script.ok(forget("shop", "purchases"));
    assert_eq!(drift(&script, "purchases"), None);
    script.ok(Command::Server(ServerCommand::Remove { name: "c".into() }));
    assert_eq!(script.map().drifts().count(), 0);
    let mut script = marked();
    script.ok(crate::script::drop_keyspace("shop", true));
    assert_eq!(script.map().drifts().count(), 1, "the server's is left");
}

#[test]
fn what_the_map_cannot_have_is_refused() {
    let script = Script::with_shop();
    let elsewhere = DriftSubject::Table {
        keyspace: NameRule::CaseSensitive.name("shopp"),
        table: NameRule::CaseSensitive.name("orders"),
    };
    let many = vec![differs(of("orders"), "x", false); 501];
    let commands = vec![
        (
            report(&script, vec![differs(elsewhere, "x", false)]),
            "there is no keyspace shopp; did you mean shop?",
        ),
        (
            report(&script, vec![differs(DriftSubject::Server(ServerId(9)), "x", false)]),
            "there is no server 9",
        ),
        (report(&script, many), "there are 500 findings, and there can be no more"),
        (report(&script, vec![differs(of("a table that nobody declared"), "x", false)]), "ok"),
    ];
    check(script, commands);
}

#[test]
fn who_asks_for_a_look_hears_when_it_is_done() {
    let mut script = Script::with_shop();
    assert!(!script.state.wants_check());
    assert_eq!(script.ok(Command::Drift(DriftCommand::Check)), Done::CheckAsked(1));
    assert_eq!(script.ok(Command::Drift(DriftCommand::Check)), Done::CheckAsked(2));
    assert!(script.state.wants_check());
    let answering = |script: &Script, answers| {
        Command::Drift(DriftCommand::Report(DriftReport {
            as_of: script.map().revision,
            last_operation: OperationId(0),
            answers,
            unread: vec!["server b: it does not answer".into()],
            findings: Vec::new(),
        }))
    };
    let first = answering(&script, 1);
    script.ok(first);
    assert!(script.state.wants_check(), "the second one came while the first was looked after");
    let second = answering(&script, 2);
    script.ok(second);
    assert!(!script.state.wants_check());
    let checks = script.view().checks;
    assert_eq!((checks.asked, checks.answered, checks.unread.len()), (2, 2, 1));
    assert_eq!(script.map().revision, Revision(script.index - 4), "watchers hear nothing of it");
}
