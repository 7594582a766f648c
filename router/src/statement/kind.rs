//! The kinds of statements that a session acts on, and the verbs that a planner tells apart. Only types.
//!
//! Values that a client writes as literals are literal numbers here, never text: a plan is shared by all statements of one template.
//! Read next: [`super::assignment`], what SET sets.

use podway_model::Name;

use super::assignment::{Assignment, Scalar};
use super::directive::TableDirective;
use super::span::TemplateSpan;

/// What the session has to do about a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Blanks and comments only: MySQL answers 1065.
    Empty,
    /// Run it at its target and forward the answer.
    Query,
    /// BEGIN, START TRANSACTION.
    Begin(BeginOptions),
    /// COMMIT.
    Commit(Completion),
    /// ROLLBACK.
    Rollback(Completion),
    /// SAVEPOINT name.
    Savepoint(Name),
    /// ROLLBACK TO name.
    RollbackTo(Name),
    /// RELEASE SAVEPOINT name.
    ReleaseSavepoint(Name),
    /// SET, with all that it sets, in order.
    Set(Vec<Assignment>),
    /// USE database: the text as written, to be compared under the map's rule for names.
    Use(Box<str>),
    /// KILL.
    Kill {
        /// KILL QUERY: the connection stays.
        query_only: bool,
        /// The connection's number.
        id: Scalar,
    },
    /// SHOW PROCESSLIST.
    ShowProcesslist {
        /// SHOW FULL PROCESSLIST.
        full: bool,
    },
    /// SHOW PODWAY topic: Podway's own picture of the cluster. The topic as written; empty where there is none.
    ShowPodway(Box<str>),
    /// SELECT PODWAY_OUTCOME(id), alone.
    Outcome {
        /// The transaction's id.
        id: Scalar,
        /// The column's name, where it is given.
        alias: Option<Box<str>>,
        /// The call, whose text is the column's name otherwise.
        item: TemplateSpan,
    },
    /// SHOW WARNINGS, SHOW ERRORS.
    ShowWarnings(Diagnostics),
    /// SHOW TABLE STATUS of a keyspace with several shards, SHOW INDEX of a sharded table: with numbers that all shards know together.
    ShowSums,
    /// A SHOW that over several shards is a SELECT of `information_schema`.
    ShowSelected(SelectedShow),
    /// LOCK TABLES.
    LockTables,
    /// UNLOCK TABLES.
    UnlockTables,
    /// PREPARE name FROM source.
    Prepare {
        /// The statement's name.
        name: Name,
        /// Its text: a literal or a user variable.
        source: Scalar,
    },
    /// EXECUTE name USING variables.
    Execute {
        /// The statement's name.
        name: Name,
        /// The user variables with its parameters' values, in order.
        using: Vec<Name>,
    },
    /// DEALLOCATE PREPARE name, DROP PREPARE name.
    Deallocate(Name),
    /// XA in any form.
    Xa,
    /// LOAD DATA, LOAD XML.
    Load {
        /// LOCAL: the client sends the file.
        local: bool,
    },
    /// ALTER PODWAY TABLE: how an empty table's rows are to lie from now on.
    DeclareTable {
        /// Its database, where it is given.
        schema: Option<Box<str>>,
        /// The table.
        name: Box<str>,
        /// How.
        directive: TableDirective,
    },
    /// EXPLAIN FORMAT=PODWAY of the statement that starts at [`Recognised::body`](super::Recognised::body).
    ExplainPodway {
        /// EXPLAIN ANALYZE: it is run, and what it took is shown too.
        analyze: bool,
    },
    /// DROP TRIGGER, where a keyspace has several shards.
    DropTrigger {
        /// Its name, without its database.
        name: Box<str>,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// CALL, where a keyspace has several shards: its home shard's procedure.
    Call {
        /// Its name, without its database.
        procedure: Box<str>,
    },
    /// DDL on tables that every shard has, or may have: an operation of the topology's.
    Define,
    /// A statement of the session's, or several statements in one, that MySQL would not read beyond this byte of the
    /// template: to be answered with 1064, never to be sent.
    Malformed(u32),
    /// Nobody may run this; it names why.
    Refused(&'static str),
}

/// What BEGIN says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BeginOptions {
    /// READ ONLY.
    pub read_only: bool,
    /// READ WRITE.
    pub read_write: bool,
    /// WITH CONSISTENT SNAPSHOT.
    pub consistent_snapshot: bool,
}

/// What COMMIT or ROLLBACK says; None is what `@@completion_type` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// AND CHAIN, AND NO CHAIN.
    pub chain: Option<bool>,
    /// RELEASE, NO RELEASE.
    pub release: Option<bool>,
}

/// What SHOW WARNINGS and SHOW ERRORS ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    /// ERRORS, not WARNINGS.
    pub errors_only: bool,
    /// COUNT(*).
    pub count_only: bool,
    /// LIMIT.
    pub limit: Option<Limit>,
}

/// LIMIT offset, count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many to leave out.
    pub offset: Option<Scalar>,
    /// How many to give.
    pub count: Scalar,
}

/// A statement's kind by its leading keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is named as its keywords are")]
pub enum Verb {
    /// None of these.
    Unknown,
    /// No token at all.
    Empty,
    Select,
    Values,
    Table,
    Insert,
    Replace,
    Update,
    Delete,
    Do,
    Call,
    /// LOAD DATA, LOAD XML.
    Load,
    ImportTable,
    Handler,
    /// EXPLAIN of a statement.
    Explain,
    /// EXPLAIN ANALYZE: runs the statement.
    ExplainAnalyze,
    ExplainForConnection,
    /// DESCRIBE of a table.
    Describe,
    Help,
    Show,
    Use,
    Set,
    Begin,
    Commit,
    Rollback,
    Savepoint,
    ReleaseSavepoint,
    LockTables,
    UnlockTables,
    LockInstance,
    UnlockInstance,
    Xa,
    Prepare,
    Execute,
    Deallocate,
    CreateTable,
    CreateTemporaryTable,
    AlterTable,
    DropTable,
    DropTemporaryTable,
    RenameTable,
    Truncate,
    CreateIndex,
    DropIndex,
    CreateView,
    AlterView,
    DropView,
    CreateDatabase,
    AlterDatabase,
    DropDatabase,
    /// PROCEDURE, FUNCTION, TRIGGER, EVENT.
    CreateRoutine,
    AlterRoutine,
    DropRoutine,
    /// Users, roles, grants, passwords.
    Account,
    /// Servers, tablespaces, logfile groups, resource groups, spatial reference systems, instances, loadable functions.
    OtherDefinition,
    /// ANALYZE, CHECK, CHECKSUM, OPTIMIZE, REPAIR TABLE.
    TableMaintenance,
    /// CACHE INDEX, LOAD INDEX.
    IndexCache,
    Flush,
    Reset,
    Kill,
    Shutdown,
    Restart,
    Clone,
    Plugin,
    /// CHANGE …, START/STOP REPLICA and GROUP_REPLICATION, PURGE, BINLOG.
    Replication,
    GetDiagnostics,
    Signal,
}

/// A SHOW that is run as a SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedShow {
    /// What it shows.
    pub objects: ShownObjects,
    /// The text behind LIKE.
    pub pattern: Option<TemplateSpan>,
    /// What stands behind WHERE.
    pub condition: Option<TemplateSpan>,
}

/// What a SHOW shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShownObjects {
    /// Databases.
    Databases,
    /// The tables of this keyspace, with their sizes.
    TableStatus(Box<str>),
}
