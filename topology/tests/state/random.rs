//! Commands at random, over few names, so that they meet: many are refused, and many are not. Proptest prints the list that broke something, as
//! short as it finds it, and its seed.

use proptest::collection::vec;
use proptest::prelude::*;

use podway_model::{DriftSubject, FreezeId, HybridTime, Revision, ServerId, ShardId, TableKind};
use podway_topology_api::{
    AccountCommand, Beat, ClientStatement, Command, DriftCommand, DriftReport, Finding, Follow, Incarnation,
    KeyspaceCommand, MoveStep, NewOperation, NewShard, OperationCommand, OperationId, ProxyCommand, Report,
    SequenceStep, ServerCommand, ServerMessage, SettingCommand, ShardCommand, TableDeclaration, TableEffect,
    Target, Term, UserVerb,
};

use crate::script::{
    Script, account, account_name, add_server, admin, alter, column, create_with, declare, drop_keyspace,
    facts, forget, orders, register, rename, sequence, sharded, spread, table, user_statement,
};

/// The most commands of one list.
const LONGEST: usize = 120;

/// A cluster that was told a list of commands, a step at a time.
pub fn lists() -> impl Strategy<Value = Vec<Step>> {
    let piece = prop_oneof![15 => step().prop_map(|step| vec![step]), 1 => moved()];
    vec(piece, 1..LONGEST).prop_map(|pieces| pieces.into_iter().flatten().collect())
}

/// A command, how long after the last it comes, and whether it is proposed twice.
#[derive(Clone, Debug)]
pub struct Step {
    pub command: Command,
    pub pause_ms: u64,
    pub is_repeated: bool,
}

/// A cluster with something in it, so that commands find what they are about.
pub fn start() -> Script {
    let mut script = Script::with_shop();
    script.register("p");
    script.ok(Command::Account(AccountCommand::Create(account("ann"))));
    script
}

fn step() -> impl Strategy<Value = Step> {
    let pause = prop_oneof![4 => 0_u64..50, 1 => 500_u64..3_000, 1 => 9_000_u64..40_000];
    (command(), pause, any::<bool>()).prop_map(|(command, pause_ms, is_repeated)| Step {
        command,
        pause_ms,
        is_repeated,
    })
}

/// A move by somebody who knows how, some steps far: by chance alone hardly any would come to its flip.
fn moved() -> impl Strategy<Value = Vec<Step>> {
    let ends = (0..=MoveStep::ALL.len(), any::<bool>());
    (1_u32..6, server_name(), (1_u64..4).prop_map(OperationId), ends).prop_map(
        |(shard, to, id, (far, is_cancelled))| {
            let term = Term(3);
            let report = |report| OperationCommand::Report { id, term, report };
            let schema = Some("shop__9".into());
            let mut commands = vec![
                Command::Operation(OperationCommand::Begin(NewOperation::MoveShard {
                    shard: ShardId(shard),
                    to,
                    schema,
                })),
                Command::Operation(OperationCommand::Take { id, term }),
            ];
            for step in MoveStep::ALL.into_iter().take(far) {
                match step {
                    MoveStep::Freeze => commands.push(everybody_drains()),
                    MoveStep::ShutOut => commands.extend((1..5).map(|number| {
                        Command::Proxy(ProxyCommand::ShutOut { incarnation: Incarnation(number) })
                    })),
                    _ => {}
                }
                commands.push(Command::Operation(report(Report::StepDone(step))));
            }
            if is_cancelled {
                commands.push(Command::Operation(OperationCommand::Cancel { id }));
                commands.push(Command::Operation(report(Report::Undone)));
            }
            let step = |command| Step { command, pause_ms: 1, is_repeated: false };
            commands.into_iter().map(step).collect()
        },
    )
}

fn everybody_drains() -> Command {
    let beat = |number| Beat {
        incarnation: Incarnation(number),
        applied: Revision(0),
        settled: Revision(0),
        clock: HybridTime(0),
        clocks: Default::default(),
        drained: (1..20).map(FreezeId).collect(),
    };
    Command::Proxy(ProxyCommand::Beats((1..9).map(beat).collect()))
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => keyspace(),
        2 => shard(),
        2 => server(),
        4 => tables(),
        1 => accounts(),
        1 => settings(),
        4 => proxy(),
        4 => (1_u32..5, 0_u64..60, 0_u8..4).prop_map(|(number, value, kind)| sequences(number, value, kind)),
        8 => operation(),
        2 => drifts(),
    ]
}

fn server_name() -> impl Strategy<Value = Box<str>> {
    prop::sample::select(vec!["a", "b", "c", "d", "e"]).prop_map(Into::into)
}

fn keyspace_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["shop", "other", "third"])
}

fn new_shards() -> impl Strategy<Value = Vec<NewShard>> {
    let schema = prop::option::of(prop::sample::select(vec!["s1", "s2", "shop"]));
    let shard = (server_name(), schema).prop_map(|(server, schema)| NewShard {
        server,
        schema: schema.map(Into::into),
        ranges: Vec::new(),
    });
    vec(shard, 1..4)
}

fn keyspace() -> impl Strategy<Value = Command> {
    prop_oneof![
        (keyspace_name(), new_shards(), 0_u16..3)
            .prop_map(|(name, shards, home)| create_with(name, shards, home)),
        (keyspace_name(), new_shards()).prop_map(|(name, shards)| spread(name, shards)),
        (keyspace_name(), any::<bool>()).prop_map(|(name, with_tables)| drop_keyspace(name, with_tables)),
        keyspace_name()
            .prop_map(|name| Command::Keyspace(KeyspaceCommand::MakeDefault { name: name.into() })),
    ]
}

fn shard() -> impl Strategy<Value = Command> {
    prop_oneof![
        (1_u32..6).prop_map(|number| Command::Shard(ShardCommand::Freeze { shard: ShardId(number) })),
        (1_u64..6).prop_map(|number| Command::Shard(ShardCommand::Unfreeze { freeze: FreezeId(number) })),
        (server_name(), prop::sample::select(vec!["shop", "s1", "s2"]), any::<bool>()).prop_map(
            |(server, schema, is_kept)| {
                let schema = schema.into();
                Command::Shard(match is_kept {
                    true => ShardCommand::ForgetRetired { server, schema },
                    false => ShardCommand::DropRetired { server, schema },
                })
            }
        ),
    ]
}

fn server() -> impl Strategy<Value = Command> {
    (server_name(), 1_u16..9, 1_u16..9, 0..5).prop_map(|(name, number, other, kind)| {
        Command::Server(match kind {
            0 => return add_server(&name, number),
            1 => ServerCommand::Remove { name },
            2 => ServerCommand::Update { name, facts: facts(number) },
            3 => ServerCommand::Promote {
                name,
                from_uuid: format!("uuid-{other}").into(),
                facts: facts(number),
            },
            _ => ServerCommand::SetAdmin { name, admin: admin() },
        })
    })
}

fn tables() -> impl Strategy<Value = Command> {
    let name = prop::sample::select(vec!["orders", "countries", "notes"]);
    (keyspace_name(), name, 0..7).prop_map(|(keyspace, name, kind)| match kind {
        0 => declare(keyspace, orders()),
        1 => declare(keyspace, table(name, TableKind::Reference, &["code"])),
        2 => declare(keyspace, table(name, TableKind::Home, &[])),
        3 => declare(keyspace, table(name, sharded(&[0]), &["id"])),
        4 => forget(keyspace, name),
        5 => rename(keyspace, name, "renamed"),
        _ => {
            let mut columns = orders().columns;
            columns.push(column("further"));
            alter(keyspace, name, columns)
        }
    })
}

fn accounts() -> impl Strategy<Value = Command> {
    (prop::sample::select(vec!["ann", "bob"]), any::<bool>(), 0..3).prop_map(|(user, locked, kind)| {
        let account = podway_model::Account { locked, ..account(user) };
        Command::Account(match kind {
            0 => AccountCommand::Adopt(account),
            1 => AccountCommand::Alter(account),
            _ => AccountCommand::Drop(account_name(user)),
        })
    })
}

fn settings() -> impl Strategy<Value = Command> {
    let name = prop::sample::select(vec!["proxy.lease", "freeze.hold", "nothing"]);
    let value = prop::sample::select(vec!["3s", "20s", "forever"]);
    (name, value, any::<bool>()).prop_map(|(name, value, is_set)| {
        Command::Setting(match is_set {
            true => SettingCommand::Set { name: name.into(), value: value.into() },
            false => SettingCommand::Reset { name: name.into() },
        })
    })
}

fn proxy() -> impl Strategy<Value = Command> {
    let beat = (1_u32..5, 0_u64..200, vec((1_u64..6).prop_map(FreezeId), 0..4)).prop_map(
        |(number, revision, drained)| Beat {
            incarnation: Incarnation(number),
            applied: Revision(revision),
            settled: Revision(revision),
            clock: HybridTime(revision),
            clocks: Default::default(),
            drained,
        },
    );
    prop_oneof![
        1 => Just(()).prop_map(|()| register("p")),
        4 => vec(beat, 0..5).prop_map(|beats| Command::Proxy(ProxyCommand::Beats(beats))),
        1 => (1_u32..5, any::<bool>()).prop_map(|(number, leaves)| {
            let incarnation = Incarnation(number);
            Command::Proxy(match leaves {
                true => ProxyCommand::Deregister { incarnation },
                false => ProxyCommand::ShutOut { incarnation },
            })
        }),
    ]
}

/// What somebody reports who has looked just now, or long ago. Whoever tells a cluster of it says when that was.
fn drifts() -> impl Strategy<Value = Command> {
    let subject = prop_oneof![
        prop::sample::select(vec!["orders", "countries", "strange"]).prop_map(crate::drifts::of),
        (1_u32..5).prop_map(|number| DriftSubject::Server(ServerId(number))),
    ];
    let finding = (subject, any::<bool>(), 0..4).prop_map(|(subject, stops_pinning, kind)| match kind {
        0 => Finding::Agrees { subject },
        1 => Finding::Columns { keyspace: "shop".into(), table: "orders".into(), columns: orders().columns },
        _ => Finding::Differs { subject, what: "it differs".into(), stops_pinning },
    });
    let report = (vec(finding, 0..3), 0_u64..3, any::<bool>()).prop_map(|(findings, answers, is_late)| {
        DriftCommand::Report(DriftReport {
            as_of: if is_late { Revision(3) } else { JUST_NOW },
            last_operation: OperationId(0),
            answers,
            unread: Vec::new(),
            findings,
        })
    });
    prop_oneof![1 => Just(DriftCommand::Check), 6 => report].prop_map(Command::Drift)
}

/// Stands for the revision that a cluster is at when it is told.
const JUST_NOW: Revision = Revision(u64::MAX);

/// The command as it is told to a cluster: a look that was just now was at what the cluster is.
pub fn told(command: &Command, script: &Script) -> Command {
    match command {
        Command::Drift(DriftCommand::Report(report)) if report.as_of == JUST_NOW => {
            crate::drifts::report(script, report.findings.clone())
        }
        other => other.clone(),
    }
}

fn sequences(number: u32, value: u64, kind: u8) -> Command {
    let incarnation = Incarnation(number);
    sequence(match kind {
        0 => SequenceStep::Reserve { incarnation, count: value },
        1 => SequenceStep::Advance { to: value },
        2 => SequenceStep::Claim { incarnation, value, through: None },
        _ => SequenceStep::Restart { next: value },
    })
}

fn operation() -> impl Strategy<Value = Command> {
    let id = (1_u64..5).prop_map(OperationId);
    let term = (1_u64..3).prop_map(Term);
    let command = prop_oneof![
        2 => begin().prop_map(OperationCommand::Begin),
        2 => (id.clone(), term.clone()).prop_map(|(id, term)| OperationCommand::Take { id, term }),
        8 => (id.clone(), term, report())
            .prop_map(|(id, term, report)| OperationCommand::Report { id, term, report }),
        1 => id.clone().prop_map(|id| OperationCommand::Cancel { id }),
        1 => id.clone().prop_map(|id| OperationCommand::Retry { id }),
        1 => id.prop_map(|id| OperationCommand::GiveUp { id }),
    ];
    command.prop_map(Command::Operation)
}

fn begin() -> impl Strategy<Value = NewOperation> {
    prop_oneof![
        3 => (1_u32..6, server_name()).prop_map(|(shard, to)| NewOperation::MoveShard {
            shard: ShardId(shard),
            to,
            schema: None,
        }),
        1 => any::<bool>().prop_map(|declares| NewOperation::Ddl {
            keyspace: "shop".into(),
            effects: match declares {
                true => vec![TableEffect::Created("new".into())],
                false => vec![TableEffect::Altered("orders".into())],
            },
            shown: "ALTER TABLE".into(),
            statement: statement("ALTER TABLE orders COMMENT 'swordfish'"),
            declaration: declares.then_some(TableDeclaration::Reference),
        }),
        1 => Just(NewOperation::Users {
            shown: "SET PASSWORD".into(),
            statement: user_statement(UserVerb::Alter, "SET PASSWORD FOR ann = 'swordfish'"),
        }),
    ]
}

fn statement(text: &str) -> ClientStatement {
    ClientStatement::plain(account("ann").name, text)
}

fn report() -> impl Strategy<Value = Report> {
    let target = prop_oneof![
        (1_u32..4).prop_map(|number| Target::Shard(ShardId(number))),
        (1_u32..4).prop_map(|number| Target::Server(podway_model::ServerId(number))),
    ];
    // The early steps more often, or few moves would come to their flip.
    let step = prop_oneof![
        prop::sample::select(MoveStep::ALL.to_vec()),
        prop::sample::select(vec![MoveStep::Prepare, MoveStep::Freeze, MoveStep::ShutOut]),
    ];
    prop_oneof![
        8 => step.clone().prop_map(Report::StepDone),
        3 => target.clone().prop_map(|target| Report::TargetBegan { target, before: "x".into() }),
        3 => target.clone().prop_map(|target| Report::TargetDone { target, warnings: Vec::new() }),
        1 => target.clone().prop_map(|target| Report::TargetFailed { target, reason: "no".into() }),
        1 => target.prop_map(|target| Report::TargetRefused { target, error: refusal() }),
        1 => Just(Report::Declared(table("new", TableKind::Reference, &["id"]))),
        1 => Just(Report::NotDeclared(refusal())),
        1 => Just(Report::Followed(vec![
            Follow::Columns { table: "orders".into(), columns: orders().columns, next: None },
            Follow::Forgotten("countries".into()),
            Follow::Restarted("orders".into()),
        ])),
        1 => Just(Report::TakenOver),
        1 => step.prop_map(|step| Report::StepFailed { step, reason: "no".into() }),
        1 => Just(Report::Undone),
        1 => Just(Report::GivenUp { reason: "no".into() }),
    ]
}

fn refusal() -> ServerMessage {
    ServerMessage { code: 1062, state: "23000".into(), text: "no".into() }
}

/// Lists that never came to a flip would prove nothing of flips.
#[test]
fn random_lists_come_to_what_they_are_for() {
    use podway_topology_api::{Done, OperationKind, OperationState};
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let (mut done, mut refused, mut expired, mut voided, mut flipped, mut undone) = (0, 0, 0, 0, 0, 0);
    let mut drifted = 0;
    for _ in 0..150 {
        let steps = lists().new_tree(&mut runner).unwrap().current();
        let mut script = start();
        for step in steps {
            script.at += step.pause_ms;
            let command = told(&step.command, &script);
            drifted += script.map().drifts().count();
            match script.apply(command).answer {
                Ok(Done::Beats { expired: ended, .. }) => expired += ended.len(),
                Ok(Done::Sequence { voided: holders, .. }) => voided += holders.len(),
                Ok(_) => done += 1,
                Err(_) => refused += 1,
            }
        }
        for operation in script.view().operations {
            let OperationKind::MoveShard(one) = &operation.kind else { continue };
            flipped += usize::from(one.step > MoveStep::Flip);
            undone +=
                usize::from(one.step > MoveStep::Prepare && operation.state == OperationState::Cancelled);
        }
    }
    let counts = format!(
        "done {done}, refused {refused}, expired {expired}, voided {voided}, flipped {flipped}, undone {undone}, drifted {drifted}"
    );
    println!("{counts}");
    assert!(
        done > 1_000
            && refused > 1_000
            && expired > 10
            && voided > 10
            && flipped > 3
            && undone > 3
            && drifted > 100,
        "{counts}"
    );
}
