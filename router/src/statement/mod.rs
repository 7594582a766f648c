//! What a statement is to the session, recognised from its tokens: transactions, SET, USE, KILL, and every effect that outlives the
//! statement. Never builds a tree, never looks at a map, never decides where a statement goes.
//!
//! Reading order: [`kind`] (the types) → [`effects`] (flags and function calls) → [`cursor`] (walking tokens) → [`recognise`].

mod assignment;
mod effects;
mod kind;

pub use assignment::{
    AccessMode, Assignment, Isolation, Scalar, Scope, SetTarget, TransactionSettings, Value,
};
pub use effects::{Effects, FunctionKind, FunctionSpan, SystemVariable};
pub use kind::{BeginOptions, Completion, Diagnostics, Limit, Statement, TemplateSpan, Verb};

use podway_model::{MySqlVersion, Name};

use crate::normalise::Normalised;
use crate::sql_mode::SqlMode;

/// Everything that the tokens of a statement tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// What the session must do itself; [`Statement::Query`] where the statement is only to be run at its target.
    pub statement: Statement,
    /// What kind of statement it is, by its leading keywords.
    pub verb: Verb,
    /// For EXPLAIN of a statement: that statement's verb. Its text starts at `body`.
    pub explained: Option<Verb>,
    /// Where the statement proper starts: behind leading comments and parentheses, behind EXPLAIN's own words.
    pub body: u32,
    /// What outlives the statement, or makes it more than a read.
    pub effects: Effects,
    /// Calls and variables that only the proxy can answer, in order; empty in bodies of routines and views.
    pub functions: Vec<FunctionSpan>,
    /// `@@x` that are read (not those that SET assigns), in order.
    pub system_variables: Vec<SystemVariable>,
    /// User variables that are read, without repetition.
    pub user_variables: Vec<Name>,
    /// User variables that are assigned (SET, `:=`, INTO), without repetition.
    pub assigned_variables: Vec<Name>,
    /// The temporary tables that CREATE TEMPORARY TABLE or DROP TEMPORARY TABLE names.
    pub temporary_tables: Vec<QualifiedName>,
}

/// A name with or without its schema, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualifiedName {
    /// The schema's name, if there is one.
    pub schema: Option<Box<str>>,
    /// The object's name.
    pub name: Box<str>,
}

/// Recognises a statement. What it cannot read is [`Verb::Unknown`] with every effect set that a token suggests.
pub fn recognise(_sql: &[u8], _n: &Normalised, _mode: SqlMode, _version: MySqlVersion) -> Recognised {
    Recognised {
        statement: Statement::Query,
        verb: Verb::Unknown,
        explained: None,
        body: 0,
        effects: Effects::empty(),
        functions: Vec::new(),
        system_variables: Vec::new(),
        user_variables: Vec::new(),
        assigned_variables: Vec::new(),
        temporary_tables: Vec::new(),
    }
}
