//! A prepared statement that is executed under a newer map or other settings than it was prepared under. Its plan says where rows go and what numbers they want, for the
//! settings under which it was prepared; MySQL stores as those of the execution say: under another sql_mode a key may be cut short, a zero may stay or get a number. So
//! what its values decide is refused under others.

use std::sync::Arc;

use podway_model::Map;
use podway_router::{Plan, Target};

use super::core::{ClientStatement, Session};
use crate::error::{ClientError, ProxyError};

impl Session {
    /// Brings a statement's plan in line with the map; an error where the session's settings are not those of the plan, and matter.
    pub(super) fn replan(&self, statement: &mut ClientStatement, map: &Arc<Map>) -> Result<(), ProxyError> {
        if statement.schema_version != map.schema_version {
            let lexical = statement.lexical.clone();
            statement.normal.set_version(map.lowest_version());
            let of = (&**map, statement.database.as_ref());
            statement.plan = self.plan_for(&lexical, of, &statement.text, &statement.normal);
            statement.schema_version = map.schema_version;
        }
        if statement.lexical != self.state.lexical && is_by_values(&statement.plan) {
            let what = "a statement whose values decide where it goes, prepared under another sql_mode, time_zone or character set";
            return Err(ClientError::not_supported(what).into());
        }
        Ok(())
    }
}

/// Whether values say where it goes, or which numbers are its.
fn is_by_values(plan: &Plan) -> bool {
    plan.counted.is_some()
        || matches!(plan.target, Target::Keys { .. } | Target::Gathered { .. } | Target::Scattered { .. })
}
