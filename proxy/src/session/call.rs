//! CALL in a keyspace with several shards: the procedure is the home shard's. What it does is read first, as CREATE PROCEDURE through Podway reads it: it may have been made
//! beside Podway, or when the tables that it names lay otherwise.

use std::collections::BTreeSet;

use podway_model::Name;
use podway_router::{ClientCharset, Normalised, SqlMode, Statement, Target};

use super::core::{Planned, Session};
use super::state::Lexical;
use crate::backend::quoted_identifier;
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::txn::StoredProcedure;

impl Session {
    /// Refuses a CALL of a procedure that may do more than its home shard can do by itself.
    pub(super) async fn check_call(&mut self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        let Statement::Call { procedure: name } = planned.plan.statement() else { return Ok(()) };
        let map = planned.map.clone();
        let keyspace = planned.plan.keyspace().and_then(|name| map.keyspace(name)).cloned();
        let place = keyspace.as_ref().and_then(|keyspace| map.place(keyspace, keyspace.home));
        let (Some(keyspace), Some((server, home))) = (&keyspace, place) else {
            return Err(ClientError::new(ErrorCode::NO_DATABASE, "No database selected").into());
        };
        if keyspace.is_single() {
            return Ok(());
        }
        let side = self.sides(&BTreeSet::from([server.id])).pop();
        let side = side.ok_or_else(|| {
            ClientError::new(ErrorCode::UNKNOWN, "The home shard's server has left the map")
        })?;
        let Some(procedure) = side.procedure(home.schema.as_str(), name).await? else {
            let message = format!("PROCEDURE {}.{name} does not exist", keyspace.name);
            return Err(ClientError::new(ErrorCode::DOES_NOT_EXIST, message).into());
        };
        if self.does_as_at_home(planned, &keyspace.name, &procedure) {
            return Ok(());
        }
        // What it does is not everybody's to know.
        let what = "CALL over several shards of a procedure that uses more than tables of the home shard: CREATE PROCEDURE through Podway says what";
        Err(ClientError::not_supported(what).into())
    }

    /// Whether the procedure could be made through Podway as it is.
    fn does_as_at_home(&self, planned: &Planned<'_>, keyspace: &Name, procedure: &StoredProcedure) -> bool {
        let params: Vec<String> =
            procedure.params.iter().map(|name| format!("{} INT", quoted_identifier(name))).collect();
        let text = format!("CREATE PROCEDURE p ({}) {}", params.join(", "), procedure.body);
        let lexical = Lexical {
            sql_mode: SqlMode::parse(&procedure.sql_mode),
            charset: ClientCharset::default(),
            charset_name: "utf8mb4".to_owned(),
            ..self.state.lexical.clone()
        };
        let mut normal = Normalised::new();
        normal.set_version(planned.map.lowest_version());
        if !procedure.is_sql || normal.run(text.as_bytes(), lexical.sql_mode, lexical.charset).is_err() {
            return false;
        }
        let plan = self.plan_for(&lexical, (&planned.map, Some(keyspace)), text.as_bytes(), &normal);
        matches!(&plan.target, Target::Home { keyspace: Some(home) } if home == keyspace)
            && *plan.statement() == Statement::Query
    }
}
