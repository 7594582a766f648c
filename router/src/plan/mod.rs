//! Where a statement goes: from its tokens and a map to a plan, from a plan and values to a shard. Never runs anything.
//!
//! Reading order:
//! * [`context`] and [`target`]: what goes in and what comes out
//! * [`tokens`] and [`functions`]: the statement as words
//! * [`sketch`]: its blocks, tables and conditions; [`definitions`] and [`show`]: statements about whole tables
//! * [`bind`]: names to what the map knows
//! * [`conjuncts`] and [`pins`]: which tables are pinned to one key; [`rows`]: the keys of new rows
//! * [`definition`], [`spread`] and [`alter`]: DDL on tables that every shard has
//! * [`views`]: what is refused of them
//! * [`decide`]: the target; [`mentions`]: the short way for keyspaces of one shard
//! * [`gather`] and [`gathered`]: SELECTs over several shards, and their texts
//! * [`scatter`], [`scattered`], [`moved`] and [`transferred`]: writes on several shards, what each gets, rows that go to another, and rows of queries
//! * [`numbered`] and [`counted`]: AUTO_INCREMENT numbers that the cluster gives
//! * [`splices`]: what the proxy puts in the place of the client's bytes
//! * [`refused_verbs`]: what is served on one shard alone
//! * [`build`]: all of it, in order
//! * [`plan`], [`route`], [`rewrite`], [`print`]: a plan and its uses
//! * [`explain`]: how a statement is run, for whoever asks
//! * [`cache`]: plans by template
//! * [`usage`]: what a statement does with tables, wherever they lie, for whoever chooses where they are to lie

mod alter;
mod bind;
mod build;
mod cache;
mod conjuncts;
mod context;
mod counted;
mod decide;
mod definition;
mod definitions;
mod explain;
mod functions;
mod gather;
mod gathered;
mod mentions;
mod moved;
mod numbered;
mod pins;
#[allow(clippy::module_inception, reason = "the plan is this module's noun")]
mod plan;
mod print;
mod refused_verbs;
mod rewrite;
mod route;
mod rows;
mod scatter;
mod scattered;
mod show;
mod sketch;
mod splices;
mod spread;
mod target;
mod tokens;
mod transferred;
mod usage;
mod views;

pub use build::plan_uncached;
pub use cache::{CacheStats, PlanCache};
pub use context::PlanContext;
pub use definition::{Child, Definition, ForeignKey, KeyActions, Parent, TableChange};
pub use explain::{ExplainedPart, Explanation, Last, Measured, Measures, Scene, Sent, Way};
pub use gather::{
    Compared, Fold, FoldColumn, Gather, Made, Merge, OrderKey, Part, PartFilter, RowLimit, Rows, Takes,
    Wanted,
};
pub use moved::Destination;
pub use numbered::{Counted, Numbers, ParamSource, Want};
pub use plan::Plan;
pub use rewrite::{Facts, PodwayVariables, TextPiece};
pub use scatter::{Moves, Piece, Receiver, Scatter, Transfer};
pub use target::{KeyPin, KeySource, KeyUse, Route, Splice, SpliceKind, Target};
pub use usage::{Site, Usage, UsedAs, UsedTable, usage};
