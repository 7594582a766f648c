//! The topology as a proxy's sessions use it: operations begun, waited for and listed, tables declared. What they are for, it does not know.

use std::time::Duration;

use podway_proxy::{Declared, Later, OperationError, Operations};
use podway_topology_api::{
    Command, Credentials, Done, NewOperation, Operation, OperationCommand, OperationId, ProposeError,
    Proposer, Refusal, StoreError, TableCommand, TopologyStore, View,
};

use crate::provision::{
    AdminLogin, Declarable, Declaration, ShardPlace, Wanted, declaration, declare_everywhere,
};

/// A topology, for a proxy's sessions.
#[derive(Debug)]
pub struct TopologyOperations<S>(pub S);

impl<S: TopologyStore> Operations for TopologyOperations<S> {
    fn begin<'a>(&'a self, new: NewOperation, who: &'a str) -> Later<'a, OperationId> {
        Box::pin(async move {
            // Under a number of its own: only its retries are the same operation.
            let proposer = Proposer::new(self.0.clone(), who);
            match proposer.propose(Command::Operation(OperationCommand::Begin(new))).await {
                Ok(Done::Began(id)) => Ok(id),
                Ok(other) => Err(OperationError::Away(format!("it answered with {other:?}"))),
                Err(error) => Err(failed(error)),
            }
        })
    }

    fn end<'a>(&'a self, id: OperationId, within: Duration) -> Later<'a, Operation> {
        Box::pin(async move {
            let known = self.0.operation(id, within).await.map_err(away)?;
            known.ok_or_else(|| OperationError::Refused(format!("the topology has forgotten {id}")))
        })
    }

    fn list<'a>(&'a self) -> Later<'a, Vec<Operation>> {
        Box::pin(async move { Ok(self.0.read(true).await.map_err(away)?.operations) })
    }

    fn declare<'a>(&'a self, declared: Declared<'a>, who: &'a str) -> Later<'a, String> {
        Box::pin(async move {
            let view = self.0.read(true).await.map_err(away)?;
            let credentials = self.0.credentials().await.map_err(away)?;
            let wanted = declaration(declared.declaration);
            let places = places(&view, &credentials, declared.keyspace, &wanted)?;
            let known = view.keyspaces.iter().find(|known| known.name.as_str() == declared.keyspace);
            let shards = known.map_or(0, |keyspace| keyspace.shards.len());
            let known = known.and_then(|keyspace| {
                keyspace.tables.iter().find(|known| known.table.name.as_str() == declared.table)
            });
            let wanted = Wanted::new(declared.table, &wanted, false);
            let wanted = wanted.of_known(known.map(|known| &known.table), shards);
            let Declarable { table, next } = declare_everywhere(&places, wanted)
                .await
                .map_err(|error| OperationError::Refused(error.to_string()))?;
            let command = TableCommand::Declare { keyspace: declared.keyspace.into(), table, next };
            let proposer = Proposer::new(self.0.clone(), who);
            proposer.propose(Command::Table(command)).await.map_err(failed)?;
            Ok(format!("{}.{} declared", declared.keyspace, declared.table))
        })
    }
}

/// The shards that have to have a table.
fn places(
    view: &View,
    credentials: &Credentials,
    keyspace: &str,
    wanted: &Declaration,
) -> Result<Vec<ShardPlace>, OperationError> {
    let gone = |what: &str| OperationError::Refused(format!("the topology does not know {what}"));
    let known = view.keyspaces.iter().find(|known| known.name.as_str() == keyspace);
    let known = known.ok_or_else(|| gone(keyspace))?;
    let is_wanted = |id| *wanted != Declaration::Home || id == known.home;
    let place = |shard: &podway_topology_api::ShardView| {
        let server = view.servers.iter().find(|server| server.id == shard.server);
        let (server, admin) = server.zip(credentials.admin(shard.server)).ok_or_else(|| gone("a server"))?;
        let login = AdminLogin {
            host: server.host.to_string(),
            port: server.port,
            user: admin.user.to_string(),
            password: admin.password.reveal().to_owned(),
        };
        Ok(ShardPlace { server: server.name.to_string(), login, schema: shard.schema.as_str().to_owned() })
    };
    known.shards.iter().filter(|shard| is_wanted(shard.id)).map(place).collect()
}

fn failed(error: ProposeError) -> OperationError {
    match error {
        ProposeError::Refused(Refusal::Busy { operation, .. }) => OperationError::Busy(operation),
        ProposeError::Refused(refusal @ Refusal::OwnAccount { .. }) => {
            OperationError::Denied(refusal.to_string())
        }
        ProposeError::Refused(refusal) => OperationError::Refused(refusal.to_string()),
        ProposeError::Store(error) => away(error),
    }
}

fn away(error: StoreError) -> OperationError {
    OperationError::Away(error.to_string())
}
