//! SQL bytes and a map in, a plan out. Pure: no I/O, no clock, no async. Never prints a tree back to SQL: what is forwarded are the
//! client's own bytes, with spans replaced where the proxy must answer.
//!
//! Reading order:
//! * `error`, `sql_mode`, `charset`: what a client is told, and the lexical context of its statements
//! * [`lex`]: bytes to tokens, as MySQL's lexer sees them
//! * `normalise`: a statement without its literals, the key of the plan cache; `markers`: what stands around its parameters; `split`: statements of one text
//! * `dialect`: the seam to the parser that is not trusted
//! * `statement`: what the session itself must act on, recognised from tokens
//! * `vindex`: from a literal or parameter to a keyspace id
//! * `load`: files of LOAD DATA, cut into records
//! * `plan`: where a statement goes
//! * [`advise`]: where tables should lie, judged by the statements that ran
//! * `accounts`: statements about users, which go to every server

mod accounts;
pub mod advise;
mod charset;
mod dialect;
mod error;
pub mod lex;
mod load;
mod markers;
mod normalise;
mod plan;
mod split;
mod sql_mode;
mod statement;
mod vindex;

pub use accounts::{
    AccountContext, AccountPiece, AccountStatement, AccountVerb, GrantPlace, SECRET, check_accounts_alone,
    is_about_accounts, is_show_grants, read_accounts, without_secrets,
};
pub use charset::ClientCharset;
pub use dialect::{ParseRefusal, Parsed, parse};
pub use error::RouterError;
pub use lex::{Literal, LiteralKind};
pub use load::{FileCharset, FileFormat, Next, Record};
pub use markers::{Marker, markers};
pub use normalise::Normalised;
pub use plan::*;
pub use split::split_statements;
pub use sql_mode::SqlMode;
pub use statement::{
    AccessMode, Assignment, BeginOptions, Completion, Diagnostics, Effects, FunctionKind, FunctionSpan,
    Isolation, Limit, MaintainedTable, Maintenance, QualifiedName, Recognised, Scalar, Scope, SelectedShow,
    SetTarget, ShownObjects, Statement, SystemVariable, TableDirective, TemplateSpan, TransactionSettings,
    Value, Verb, check_own_xa, recognise, shown_variables,
};
pub use vindex::*;
