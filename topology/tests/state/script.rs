//! A cluster that is told one command after another, and short ways to write commands. Nothing is asserted of the state here.

use podway_model::{
    Account, AccountName, AuthPlugin, Change, ClusterSecret, Column, ColumnDefault, ColumnType, HostPattern,
    HybridTime, KeyRange, Map, Name, NameRule, Revision, Sharding, Slot, Table, TableKind, Vindex,
};
use podway_topology::state::{Applied, State};
use podway_topology_api::{
    AdminAccount, Beat, ClientId, Command, Done, Incarnation, KeyspaceCommand, LogTime, NewShard, Proposal,
    ProxyCommand, ProxyInfo, SequenceCommand, SequenceStep, ServerCommand, ServerFacts, SqlBytes,
    TableCommand, UserPiece, UserPlace, UserStatement, UserVerb, View,
};

/// What proves an account in these tests: 70 bytes, as `caching_sha2_password` stores them.
pub const PROOF: &str = "$A$005$saltsaltsaltsaltsaltPROOFPROOFPROOFPROOFPROOFPROOFPROOFPROOFPRO";
/// The password of every server's administrator.
pub const ADMIN_PASSWORD: &str = "hunter2-of-the-administrator";
/// The cluster's secret.
pub const SECRET: &[u8] = b"secret-of-the-cluster-32-bytes!!";

/// A cluster and the log that it is told.
#[derive(Clone)]
pub struct Script {
    pub state: State,
    /// The log's next index.
    pub index: u64,
    /// The leader's clock, in milliseconds.
    pub at: u64,
    sequence: u64,
}

impl Script {
    /// Nothing at all.
    pub fn empty() -> Script {
        Script { state: State::new(), index: 1, at: 1_000, sequence: 1 }
    }

    /// A founded cluster with servers `a`, `b` and `c`.
    pub fn with_servers() -> Script {
        let mut script = Script::empty();
        script.ok(found());
        for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
            script.ok(add_server(name, number as u16 + 1));
        }
        script
    }

    /// The same with the keyspace `shop` on `a` and `b`, its sharded table `orders` and its reference table `countries`.
    pub fn with_shop() -> Script {
        let mut script = Script::with_servers();
        script.ok(create("shop", &["a", "b"]));
        script.ok(declare("shop", orders()));
        script.ok(declare("shop", table("countries", TableKind::Reference, &["code"])));
        script
    }

    /// One command of a client that counts on, a millisecond after the last.
    pub fn apply(&mut self, command: Command) -> Applied {
        self.sequence += 1;
        let sequence = self.sequence;
        self.propose(ClientId(1), sequence, command)
    }

    pub fn propose(&mut self, client: ClientId, sequence: u64, command: Command) -> Applied {
        let proposal = Proposal { client, sequence, who: "ann".into(), command };
        self.at += 1;
        self.index += 1;
        self.state.apply(LogTime(self.at), self.index, &proposal)
    }

    /// A command that must be done.
    #[track_caller]
    pub fn ok(&mut self, command: Command) -> Done {
        let said = format!("{command:?}");
        self.apply(command).answer.unwrap_or_else(|refusal| panic!("{said}: {refusal}"))
    }

    /// What a command that must be refused is answered.
    #[track_caller]
    pub fn refusal(&mut self, command: Command) -> String {
        let said = format!("{command:?}");
        let applied = self.apply(command);
        assert_eq!(applied.changes, [], "{said}");
        match applied.answer {
            Ok(done) => panic!("{said} was not refused: {done:?}"),
            Err(refusal) => refusal.to_string(),
        }
    }

    /// What watchers are told of a command that must be done.
    #[track_caller]
    pub fn changes(&mut self, command: Command) -> Vec<Change> {
        let said = format!("{command:?}");
        let applied = self.apply(command);
        assert!(applied.answer.is_ok(), "{said}: {:?}", applied.answer);
        applied.changes
    }

    /// A proxy that registers.
    pub fn register(&mut self, name: &str) -> Incarnation {
        match self.ok(register(name)) {
            Done::Registered { incarnation, .. } => incarnation,
            other => panic!("{other:?}"),
        }
    }

    pub fn view(&self) -> View {
        self.state.view()
    }

    pub fn map(&self) -> &Map {
        self.state.map()
    }
}

/// Each case is a command and what it is answered: the refusal's text, or "ok".
#[track_caller]
pub fn check(mut script: Script, cases: Vec<(Command, &str)>) {
    for (number, (command, expected)) in cases.into_iter().enumerate() {
        let said = format!("{command:?}");
        let applied = script.apply(command);
        let answered = match &applied.answer {
            Ok(Done::Unchanged) => "unchanged".to_owned(),
            Ok(_) => "ok".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        assert_eq!(answered, expected, "case {number}: {said}");
        if applied.answer.is_err() || applied.answer == Ok(Done::Unchanged) {
            assert_eq!(applied.changes, [], "case {number}: {said}");
        }
    }
}

pub fn found() -> Command {
    Command::Found { secret: ClusterSecret::new(SECRET) }
}

pub fn facts(number: u16) -> ServerFacts {
    ServerFacts {
        host: format!("10.0.0.{number}").into(),
        port: 3306,
        uuid: format!("uuid-{number}").into(),
        version: "8.4.3".into(),
        names: NameRule::CaseSensitive,
    }
}

pub fn admin() -> AdminAccount {
    AdminAccount { user: "podway_admin".into(), password: podway_topology_api::Secret::new(ADMIN_PASSWORD) }
}

pub fn add_server(name: &str, number: u16) -> Command {
    Command::Server(ServerCommand::Add { name: name.into(), facts: facts(number), admin: admin() })
}

pub fn shard_on(server: &str) -> NewShard {
    NewShard { server: server.into(), schema: None, ranges: Vec::new() }
}

pub fn shard_in(server: &str, schema: &str) -> NewShard {
    NewShard { schema: Some(schema.into()), ..shard_on(server) }
}

pub fn range(first: usize, last: usize) -> KeyRange {
    KeyRange { first: Slot::new(first).unwrap(), last: Slot::new(last).unwrap() }
}

pub fn create(name: &str, servers: &[&str]) -> Command {
    create_with(name, servers.iter().map(|server| shard_on(server)).collect(), 0)
}

pub fn create_with(name: &str, shards: Vec<NewShard>, home: u16) -> Command {
    Command::Keyspace(KeyspaceCommand::Create { name: name.into(), shards, home })
}

pub fn spread(name: &str, shards: Vec<NewShard>) -> Command {
    Command::Keyspace(KeyspaceCommand::Spread { name: name.into(), shards })
}

pub fn drop_keyspace(name: &str, with_tables: bool) -> Command {
    Command::Keyspace(KeyspaceCommand::Drop { name: name.into(), with_tables })
}

pub fn column(name: &str) -> Column {
    Column {
        name: Name::caseless(name),
        column_type: ColumnType::Integer { bytes: 8, unsigned: true },
        collation: None,
        nullable: false,
        auto_increment: false,
        generated: false,
        default: ColumnDefault::None,
        invisible: false,
    }
}

pub fn text(name: &str) -> Column {
    Column {
        column_type: ColumnType::Varchar(100),
        collation: Some("utf8mb4_0900_ai_ci".into()),
        ..column(name)
    }
}

pub fn sharded(keys: &[usize]) -> TableKind {
    TableKind::Sharded(Sharding::by(keys.to_vec(), Vindex::Xxh3))
}

pub fn table(name: &str, kind: TableKind, columns: &[&str]) -> Table {
    let columns = columns.iter().map(|name| column(name)).collect();
    Table { name: NameRule::CaseSensitive.name(name), kind, columns }
}

/// `orders (id AUTO_INCREMENT, customer_id)`, sharded by `customer_id`.
pub fn orders() -> Table {
    let mut orders = table("orders", sharded(&[1]), &["id", "customer_id"]);
    orders.columns[0].auto_increment = true;
    orders
}

pub fn declare(keyspace: &str, table: Table) -> Command {
    Command::Table(TableCommand::Declare { keyspace: keyspace.into(), table, next: None })
}

pub fn alter(keyspace: &str, table: &str, columns: Vec<Column>) -> Command {
    Command::Table(TableCommand::Alter { keyspace: keyspace.into(), table: table.into(), columns })
}

pub fn rename(keyspace: &str, table: &str, to: &str) -> Command {
    Command::Table(TableCommand::Rename { keyspace: keyspace.into(), table: table.into(), to: to.into() })
}

pub fn forget(keyspace: &str, table: &str) -> Command {
    Command::Table(TableCommand::Forget { keyspace: keyspace.into(), table: table.into() })
}

pub fn account_name(user: &str) -> AccountName {
    AccountName { user: user.into(), host: HostPattern::new("%") }
}

pub fn account(user: &str) -> Account {
    Account {
        name: account_name(user),
        plugin: AuthPlugin::CachingSha2Password,
        authentication_string: PROOF.as_bytes().into(),
        requires_tls: false,
        locked: false,
    }
}

pub fn register(name: &str) -> Command {
    let info = ProxyInfo { name: name.into(), address: "10.1.0.1:6033".into(), version: "0.1.0".into() };
    Command::Proxy(ProxyCommand::Register(info))
}

pub fn beat(incarnation: Incarnation) -> Beat {
    Beat {
        incarnation,
        applied: Revision(0),
        settled: Revision(0),
        clock: HybridTime(0),
        clocks: Default::default(),
        drained: Vec::new(),
    }
}

pub fn beats(beats: Vec<Beat>) -> Command {
    Command::Proxy(ProxyCommand::Beats(beats))
}

pub fn sequence(step: SequenceStep) -> Command {
    Command::Sequence(SequenceCommand { keyspace: "shop".into(), table: "orders".into(), step })
}

/// A statement about ann, as she gives it.
pub fn user_statement(verb: UserVerb, text: &str) -> UserStatement {
    let ann = account("ann").name;
    UserStatement {
        account: Some(ann.clone()),
        setup: SqlBytes::default(),
        verb,
        accounts: vec![ann],
        roles: Vec::new(),
        place: UserPlace::Server,
        requires_tls: None,
        pieces: vec![UserPiece::Text(SqlBytes(text.as_bytes().into()))],
    }
}
