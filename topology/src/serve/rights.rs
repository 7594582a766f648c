//! What each call and command needs, as one table. Who has which right, [`access`](super::access) says.

use podway_topology_api::{
    Command, NewOperation, OperationCommand, ProxyCommand, Right, SequenceCommand, SequenceStep, TableCommand,
};

/// What can be called at the client port, but for proposals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Reading the view.
    Read,
    /// Following the map.
    Watch,
    /// Asking who the nodes are.
    Members,
    /// A proxy makes itself known.
    Register,
    /// A proxy's heartbeat.
    Report,
    /// Asking for what lets one into the servers.
    Credentials,
    /// Changing the nodes.
    ChangeMembers,
}

impl Call {
    /// The least right that allows it.
    pub fn needs(self) -> Right {
        match self {
            Call::Read | Call::Watch | Call::Members => Right::Read,
            Call::Register | Call::Report | Call::Credentials => Right::Proxy,
            Call::ChangeMembers => Right::Admin,
        }
    }
}

/// The least right that allows a command to be proposed. What is not said to be a proxy's is an administrator's.
pub fn needed_for(command: &Command) -> Right {
    match command {
        // Of the proxy's own life.
        Command::Proxy(ProxyCommand::Register(_) | ProxyCommand::Deregister { .. }) => Right::Proxy,
        Command::Sequence(SequenceCommand { step, .. }) => match step {
            SequenceStep::Reserve { .. } | SequenceStep::Advance { .. } | SequenceStep::Claim { .. } => {
                Right::Proxy
            }
            // `ALTER TABLE … AUTO_INCREMENT = n` and TRUNCATE, by a user whose privileges the servers check.
            SequenceStep::Restart { .. } => Right::Proxy,
        },
        // A user's statement, which each server runs with that user's privileges or not at all.
        Command::Operation(OperationCommand::Begin(NewOperation::Ddl { .. })) => Right::Proxy,
        // Without a user it runs as each server's administrator: not for a proxy.
        Command::Operation(OperationCommand::Begin(NewOperation::Users { statement, .. }))
            if statement.account.is_some() =>
        {
            Right::Proxy
        }
        // What such a statement left behind, and tables that are declared by SQL.
        Command::Table(
            TableCommand::Declare { .. }
            | TableCommand::Alter { .. }
            | TableCommand::Rename { .. }
            | TableCommand::Forget { .. },
        ) => Right::Proxy,
        _ => Right::Admin,
    }
}

#[cfg(test)]
mod tests {
    use podway_model::{AccountName, FreezeId, HostPattern, ShardId};
    use podway_topology_api::{
        Incarnation, KeyspaceCommand, OperationId, ProxyInfo, ServerCommand, SettingCommand, ShardCommand,
        SqlBytes, UserPiece, UserPlace, UserStatement, UserVerb,
    };

    use super::*;

    #[test]
    fn calls_need_what_the_table_says() {
        let table = [
            (Call::Read, Right::Read),
            (Call::Watch, Right::Read),
            (Call::Members, Right::Read),
            (Call::Register, Right::Proxy),
            (Call::Report, Right::Proxy),
            (Call::Credentials, Right::Proxy),
            (Call::ChangeMembers, Right::Admin),
        ];
        for (call, right) in table {
            assert_eq!(call.needs(), right, "{call:?}");
        }
    }

    fn sequence(step: SequenceStep) -> Command {
        Command::Sequence(SequenceCommand { keyspace: "k".into(), table: "t".into(), step })
    }

    fn begin(operation: NewOperation) -> Command {
        Command::Operation(OperationCommand::Begin(operation))
    }

    #[test]
    fn commands_need_what_the_table_says() {
        let incarnation = Incarnation(1);
        let info = ProxyInfo { name: "p".into(), address: "h:1".into(), version: "0".into() };
        let account = AccountName { user: "u".into(), host: HostPattern::new("%") };
        let statement = |by: Option<AccountName>| UserStatement {
            account: by,
            setup: SqlBytes::default(),
            verb: UserVerb::Drop,
            accounts: vec![account.clone()],
            roles: Vec::new(),
            place: UserPlace::Server,
            requires_tls: None,
            pieces: vec![UserPiece::Text(SqlBytes(b"DROP USER u".as_slice().into()))],
        };
        let users = |by| NewOperation::Users { shown: "DROP USER u".into(), statement: statement(by) };
        let name = || Box::<str>::from("n");
        let table = [
            (Command::Proxy(ProxyCommand::Register(info)), Right::Proxy),
            (Command::Proxy(ProxyCommand::Deregister { incarnation }), Right::Proxy),
            (Command::Proxy(ProxyCommand::ShutOut { incarnation }), Right::Admin),
            (Command::Proxy(ProxyCommand::Beats(Vec::new())), Right::Admin),
            (sequence(SequenceStep::Reserve { incarnation, count: 1 }), Right::Proxy),
            (sequence(SequenceStep::Claim { incarnation, value: 1, through: None }), Right::Proxy),
            (sequence(SequenceStep::Advance { to: 1 }), Right::Proxy),
            (sequence(SequenceStep::Restart { next: 1 }), Right::Proxy),
            (begin(users(Some(account.clone()))), Right::Proxy),
            (begin(users(None)), Right::Admin),
            (begin(NewOperation::MoveShard { shard: ShardId(1), to: name(), schema: None }), Right::Admin),
            (Command::Operation(OperationCommand::Cancel { id: OperationId(1) }), Right::Admin),
            (Command::Table(TableCommand::Forget { keyspace: name(), table: name() }), Right::Proxy),
            (Command::Keyspace(KeyspaceCommand::MakeDefault { name: name() }), Right::Admin),
            (Command::Shard(ShardCommand::Unfreeze { freeze: FreezeId(1) }), Right::Admin),
            (Command::Server(ServerCommand::Remove { name: name() }), Right::Admin),
            (Command::Setting(SettingCommand::Reset { name: name() }), Right::Admin),
        ];
        for (command, right) in table {
            assert_eq!(needed_for(&command), right, "{command:?}");
        }
    }
}
