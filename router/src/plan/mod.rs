//! Where a statement goes: from its tokens and a map to a plan, from a plan and values to a shard. Never runs anything.
//!
//! Reading order:
//! * [`context`] and [`target`]: what goes in and what comes out
//! * [`tokens`] and [`functions`]: the statement as words
//! * [`sketch`] and [`outline`]: its blocks, tables and conditions; [`definitions`] [`show`] and [`show_selected`]: statements about whole tables
//! * [`bind`]: names to what the map knows
//! * [`conjuncts`] and [`pins`]: which tables are pinned to one key; [`rows`]: the keys of new rows
//! * [`definition`], [`spread`] and [`alter`]: DDL on tables that every shard has
//! * [`views`]: what is refused of them; [`stored`]: triggers
//! * [`decide`]: the target; [`mentions`]: the short way for keyspaces of one shard
//! * [`gather`] and [`gathered`]: SELECTs over several shards, and their texts
//! * [`catalog_tables`] and [`catalog`]: `information_schema`
//! * [`scatter`], [`scattered`], [`limited`], [`fed`], [`moved`], [`transferred`] and [`loaded`]: writes on several shards, what each gets, so many rows and no more, rows that others are computed with, rows that go to another, rows of queries and of files
//! * [`numbered`] and [`counted`]: AUTO_INCREMENT numbers that the cluster gives
//! * [`splices`]: what the proxy puts in the place of the client's bytes
//! * [`refused_verbs`]: what is served on one shard alone
//! * [`build`]: all of it, in order
//! * [`hinted`]: comments that name a shard
//! * [`plan`], [`route`], [`rewrite`], [`print`]: a plan and its uses
//! * [`explain`]: how a statement is run, for whoever asks
//! * [`cache`]: plans by template
//! * [`usage`]: what a statement does with tables, wherever they lie, for whoever chooses where they are to lie

mod alter;
mod bind;
mod build;
mod cache;
mod catalog;
mod catalog_tables;
mod conjuncts;
mod context;
mod counted;
mod decide;
mod definition;
mod definitions;
mod explain;
mod fed;
mod functions;
mod gather;
mod gathered;
mod hinted;
mod limited;
mod loaded;
mod locked;
mod locked_use;
mod locks;
mod made;
mod making;
mod mentions;
mod moved;
mod numbered;
mod outline;
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
mod show_selected;
mod sketch;
mod splices;
mod spread;
mod stored;
mod target;
mod tokens;
mod transferred;
mod uniques;
mod usage;
mod views;

pub use build::plan_uncached;
pub use cache::{CacheStats, PlanCache};
pub use catalog::{CatalogAsk, catalog_asks, catalog_condition, is_of_servers};
pub use catalog_tables::{
    CatalogTable, INFORMATION_SCHEMA, Numbers as CatalogNumbers, find as catalog_table,
};
pub use context::PlanContext;
pub use definition::{Child, Definition, ForeignKey, KeyActions, Parent, TableChange};
pub use explain::{ExplainedPart, Explanation, Last, Measured, Measures, Scene, Sent, Way};
pub use gather::{
    CatalogRows, Compared, Fold, FoldColumn, Gather, Locked, Made, Merge, OrderKey, Part, PartFilter, RowLimit,
    RowLock, Rows, SchemaSource, Takes, Wanted,
};
pub use loaded::LoadFile;
pub use locked::{LockMode, LockedTable, LockedUse, TableLock, TableLocks};
pub use locked_use::locked_use;
pub use made::Making;
pub use moved::Destination;
pub use numbered::{Counted, Numbers, ParamSource, Want};
pub use plan::Plan;
pub use rewrite::{Facts, PodwayVariables, TextPiece};
pub use scatter::{Chosen, FieldPlace, Limited, Load, Moves, Piece, Receiver, Scatter, Texts, Transfer};
pub use target::{KeyPin, KeySource, KeyUse, Route, Splice, SpliceKind, Target};
pub use usage::{Site, Usage, UsedAs, UsedTable, usage};
