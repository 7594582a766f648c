//! What a move brings where.

use podway_topology_api::OperationId;

/// What is to arrive on a target.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The move's number.
    pub operation: OperationId,
    /// The schema on the source.
    pub from_schema: &'a str,
    /// The schema on the target.
    pub to_schema: &'a str,
}
