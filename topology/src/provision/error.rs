//! What can go wrong while servers are prepared or read.

use podway_model::AccountName;

/// Why a server could not be prepared or read, or a table not declared.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// Nobody could log in to the server.
    #[error("cannot log in to {address} as {user}: {error}")]
    Login {
        /// `host:port`.
        address: String,
        /// The administrator's name.
        user: String,
        /// What the client library said.
        error: mysql_async::Error,
    },
    /// The server refused a statement.
    #[error("{doing}: {error}")]
    Statement {
        /// What the statement was for.
        doing: String,
        /// What the server said.
        error: mysql_async::Error,
    },
    /// The server has no such account, or one that Podway cannot verify.
    #[error("{0} is no account with caching_sha2_password or mysql_native_password")]
    NoAccount(AccountName),
    /// Another server answers where a known one should.
    #[error("it is {found}, not {known} as the topology has it: another server answers at its address")]
    OtherServer {
        /// The uuid that the topology has.
        known: String,
        /// The uuid that answered.
        found: String,
    },
    /// A server is not, or does not become, what it must be.
    #[error("{0}")]
    Unfit(String),
    /// There is no such table.
    #[error("there is no table {schema}.{table}")]
    NoTable {
        /// Its schema.
        schema: String,
        /// Its name.
        table: String,
    },
    /// The table has no such column.
    #[error("table {table} has no column {column}")]
    NoColumn {
        /// The table.
        table: String,
        /// The missing column.
        column: String,
    },
    /// The table cannot be declared so.
    #[error("table {table} cannot be declared like this: {reason}")]
    Refused {
        /// The table.
        table: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The sharding key is not one that can be routed by.
    #[error("table {table}: {reason}")]
    Key {
        /// The table.
        table: String,
        /// What is wrong with the key.
        reason: String,
    },
}

impl ProvisionError {
    /// For `map_err`: says what the failed statement was for.
    pub(super) fn doing<T: Into<String>>(what: T) -> impl FnOnce(mysql_async::Error) -> ProvisionError {
        move |error| ProvisionError::Statement { doing: what.into(), error }
    }
}
