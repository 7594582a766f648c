//! DROP TRIGGER in a keyspace with several shards: it names no table, so the home shard's server, which has every trigger, is asked whose it is. A sharded or reference
//! table's is dropped on every shard, as an operation; a home table's at home.

use std::collections::BTreeSet;

use podway_model::{Name, TableKind};
use podway_router::{Definition, Statement, TableChange, Target};

use super::core::{Planned, Session};
use super::state::Warning;
use crate::error::{ClientError, ErrorCode, ProxyError};

impl Session {
    /// DROP TRIGGER.
    pub(super) async fn drop_trigger(
        &mut self,
        planned: &Planned<'_>,
        is_command: bool,
    ) -> Result<(), ProxyError> {
        let Statement::DropTrigger { name: trigger, if_exists } = planned.plan.statement() else {
            return Err(ClientError::not_supported("this DROP over several shards").into());
        };
        let map = &planned.map;
        let keyspace = planned.plan.keyspace().and_then(|name| map.keyspace(name)).cloned();
        let place = keyspace.as_ref().and_then(|keyspace| map.place(keyspace, keyspace.home));
        let (Some(keyspace), Some((server, home))) = (&keyspace, place) else {
            return Err(ClientError::new(ErrorCode::NO_DATABASE, "No database selected").into());
        };
        let side = self.sides(&BTreeSet::from([server.id])).pop();
        let side = side.ok_or_else(|| {
            ClientError::new(ErrorCode::UNKNOWN, "The home shard's server has left the map")
        })?;
        let Some(table) = side.table_of_trigger(home.schema.as_str(), trigger).await? else {
            return self.no_trigger(*if_exists).await;
        };
        let name = map.names.name(&table);
        let kind = keyspace.tables.get(&name).map(|table| &table.kind);
        let mut plan = (*planned.plan).clone();
        plan.target = Target::Home { keyspace: Some(keyspace.name.clone()) };
        if let Some(TableKind::Sharded(_) | TableKind::Reference) = kind {
            plan.target = Target::Everywhere { keyspace: keyspace.name.clone() };
            plan.definition = Some(Box::new(retriggering(name)));
        }
        plan.recognised.statement = Statement::Query;
        let planned = planned.with_plan(plan);
        match planned.plan.target {
            Target::Everywhere { .. } => self.define(&planned, is_command).await,
            _ => self.run_text(&planned, is_command).await,
        }
    }

    /// MySQL says it of whoever asks. It commits what is open all the same.
    async fn no_trigger(&mut self, if_exists: bool) -> Result<(), ProxyError> {
        self.commit_quietly().await?;
        let message = "Trigger does not exist";
        if !if_exists {
            return Err(ClientError::new(ErrorCode::NO_TRIGGER, message).into());
        }
        let (level, code) = (b"Note".to_vec(), ErrorCode::NO_TRIGGER.number);
        self.answer_done(vec![Warning { level, code, message: message.into() }]).await
    }
}

/// What dropping a trigger of a table that every shard has does.
fn retriggering(table: Name) -> Definition {
    Definition {
        changes: vec![TableChange::Retriggered(table)],
        comment: None,
        otherwise: None,
        creates: false,
        foreign_keys: Vec::new(),
    }
}
