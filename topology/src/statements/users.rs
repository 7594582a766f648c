//! Statements about users, roles and privileges, on every server: what they need besides being run.

use podway_topology_api::Operation;

use super::error::TryError;
use crate::mover::Control;

/// By what it is seen later whether the statement took effect: it is not seen, and is run again.
pub async fn before(_control: &mut Control, _operation: &Operation) -> Result<String, TryError> {
    Ok(String::new())
}
