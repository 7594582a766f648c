//! Where a target is now: its server, how to log in there, and its physical schema. Read from the state at each try, so that a server's new address counts.

use podway_model::ServerId;
use podway_topology_api::{ClientStatement, Ddl, Operation, OperationKind, Target, Term};

use super::error::TryError;
use crate::keeper::Keeper;
use crate::mover::{Control, Login, Owner};

/// A target's place.
pub struct Place {
    pub(super) target: Target,
    pub(super) login: Login,
    /// The password under which Podway is the client there.
    pub(super) password: String,
    /// The physical schema; `None` where the target is a whole server.
    pub(super) schema: Option<Box<str>>,
}

/// Finds a target.
pub fn find(
    keeper: &Keeper,
    operation: &Operation,
    statement: &ClientStatement,
    target: Target,
) -> Result<Place, TryError> {
    keeper.machine.look(|state| {
        let map = state.map();
        let (id, schema): (ServerId, _) = match (target, &operation.kind) {
            (Target::Server(id), _) => (id, None),
            (Target::Shard(shard), OperationKind::Ddl(ddl)) => {
                let shards = map.keyspace_spelled(&ddl.keyspace).map(|keyspace| &keyspace.shards);
                let found = shards.and_then(|shards| shards.iter().find(|known| known.id == shard));
                let found = found.ok_or_else(|| gone(target))?;
                (found.server, Some(found.schema.as_str().into()))
            }
            _ => return Err(gone(target)),
        };
        let (server, admin) = map.server(id).zip(state.admin(id)).ok_or_else(|| gone(target))?;
        let secret = state.secret().ok_or_else(|| gone(target))?;
        let login = Login {
            name: state.server_name(id),
            host: server.host.clone(),
            port: server.port,
            uuid: server.uuid.clone(),
            user: admin.user.clone(),
            password: admin.password.clone(),
        };
        let password = secret.backend_password(&statement.account, &server.uuid);
        Ok(Place { target, login, password, schema })
    })
}

fn gone(target: Target) -> TryError {
    TryError::Later(format!("the topology does not know {target} any more"))
}

impl Place {
    /// The control session of one operation on this target. Opening it ends the one that was there before.
    pub async fn control(
        &self,
        keeper: &Keeper,
        operation: &Operation,
        term: Term,
    ) -> Result<Control, TryError> {
        let cluster = keeper.myself.cluster.get().map(ToString::to_string).unwrap_or_default();
        let work = Some(format!("{}.{}", operation.id.0, short(self.target)));
        Ok(Control::open(self.login.clone(), Owner { cluster, term, work }).await?)
    }

    /// The physical schema of a keyspace here.
    pub fn physical<'a>(&'a self, keyspace: &str, ddl: Option<&Ddl>) -> Option<&'a str> {
        self.schema.as_deref().filter(|_| ddl.is_some_and(|ddl| &*ddl.keyspace == keyspace))
    }
}

/// A target in few characters.
pub fn short(target: Target) -> String {
    match target {
        Target::Shard(shard) => format!("s{}", shard.0),
        Target::Server(server) => format!("v{}", server.0),
    }
}
