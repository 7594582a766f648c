//! What a session has set and what its last statement left: plain values, to be put on whichever connection a statement goes to.

use std::sync::Arc;

use podway_model::{Name, ServerId};
use podway_router::{ClientCharset, SqlMode};

use super::literals::Reading;
use super::next_transaction::NextTransaction;
use super::own_variables::OwnVariables;
use crate::backend::{Settings, UserVariables};
use crate::txn::{Characteristics, Transaction};

/// The session's state.
#[derive(Clone, Debug, Default)]
pub struct SessionState {
    /// The current database, by its logical name.
    pub database: Option<Name>,
    /// System variables.
    pub settings: Arc<Settings>,
    /// User variables.
    pub variables: Arc<UserVariables>,
    /// How the session's SQL is to be read.
    pub lexical: Lexical,
    /// `@@autocommit`.
    pub autocommit: bool,
    /// `@@completion_type`.
    pub completion: CompletionType,
    /// The open transaction.
    pub transaction: Transaction,
    /// The server whose connection has what a query assigned to user variables, which is carried to no other.
    pub assigned_on: Option<ServerId>,
    /// SET TRANSACTION for the next transaction.
    pub characteristics: Option<Characteristics>,
    /// What that is made of.
    pub next: NextTransaction,
    /// LAST_INSERT_ID().
    pub last_insert_id: u64,
    /// ROW_COUNT().
    pub row_count: i64,
    /// FOUND_ROWS().
    pub found_rows: u64,
    /// SHOW WARNINGS.
    pub warnings: Vec<Warning>,
    /// The variables that are Podway's own.
    pub own: OwnVariables,
    /// Temporary tables of this session.
    pub temporary_tables: Vec<Name>,
}

/// How SQL is read: what plans depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lexical {
    /// `@@sql_mode`.
    pub sql_mode: SqlMode,
    /// `@@character_set_client`.
    pub charset: ClientCharset,
    /// Its name.
    pub charset_name: String,
    /// `@@collation_connection`.
    pub collation: String,
    /// `@@time_zone`.
    pub time_zone: String,
}

impl Lexical {
    /// How text literals read.
    pub fn reading(&self) -> Reading<'_> {
        let backslash_escapes = !self.sql_mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
        Reading { charset: &self.charset_name, backslash_escapes }
    }
}

/// What COMMIT and ROLLBACK do besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompletionType {
    /// Nothing.
    #[default]
    NoChain,
    /// Begin the next transaction.
    Chain,
    /// End the session.
    Release,
}

/// A row of SHOW WARNINGS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Note, Warning or Error.
    pub level: Vec<u8>,
    /// MySQL's number.
    pub code: u16,
    /// The text.
    pub message: Vec<u8>,
}

impl SessionState {
    /// How many of the last statement's conditions are errors.
    pub fn error_count(&self) -> u64 {
        self.warnings.iter().filter(|warning| warning.level == b"Error").count() as u64
    }
}
