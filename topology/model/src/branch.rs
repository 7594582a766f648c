//! How Podway's own XA branches are told from those of other programs.

/// The `formatID` of Podway's xids.
pub const BRANCH_FORMAT: i64 = 1347;
