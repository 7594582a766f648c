//! The control sessions of a term: one for each server that is worked on, kept from step to step while nothing goes wrong, since to log in anew costs a frozen shard's clients
//! more than most steps do. A session that was in use when something went wrong is closed: whoever opens the next one ends what it left under way.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use podway_model::ServerId;
use podway_topology_api::Term;

use super::error::MoveError;
use super::servers::{Control, Login, Owner};
use crate::keeper::Keeper;

/// Them.
pub(super) struct Sessions {
    keeper: Arc<Keeper>,
    term: Term,
    idle: HashMap<ServerId, Control>,
}

impl Sessions {
    /// None yet.
    pub(super) fn new(keeper: Arc<Keeper>, term: Term) -> Sessions {
        Sessions { keeper, term, idle: HashMap::new() }
    }

    /// A server's session, for the caller alone until it is put back.
    pub(super) fn take(
        &mut self,
        id: ServerId,
    ) -> impl Future<Output = Result<Control, MoveError>> + Send + use<> {
        let (login, idle) = (self.login(id), self.idle.remove(&id));
        let cluster = self.keeper.myself.cluster.get();
        let owner = Owner {
            cluster: cluster.map(ToString::to_string).unwrap_or_default(),
            term: self.term,
            work: None,
        };
        async move {
            let login = login.ok_or_else(|| MoveError::Refused(format!("{id} is not known any more")))?;
            if let Some(mut control) = idle.filter(|control| *control.login() == login)
                && control.is_good().await
            {
                return Ok(control);
            }
            Control::open(login, owner).await
        }
    }

    /// A session that has done its work well.
    pub(super) fn put_back(&mut self, id: ServerId, control: Control) {
        self.idle.insert(id, control);
    }

    /// Closes those that are not in use.
    pub(super) fn close(&mut self) {
        self.idle.clear();
    }

    fn login(&self, id: ServerId) -> Option<Login> {
        self.keeper.machine.look(|state| {
            let server = state.map().server(id)?;
            let admin = state.admin(id)?;
            Some(Login {
                name: state.server_name(id),
                host: server.host.clone(),
                port: server.port,
                uuid: server.uuid.clone(),
                user: admin.user.clone(),
                password: admin.password.clone(),
            })
        })
    }
}
