//! What a statement does beyond giving rows: flags, and the calls that only the proxy can answer. Only types.
//!
//! Read next: [`super::recognise`].

use bitflags::bitflags;
use podway_model::Name;

use super::assignment::Scope;
use super::span::TemplateSpan;

bitflags! {
    /// What a statement does or needs. Seen by tokens, so each may be set without need, but is never missing.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Effects: u32 {
        /// It may change rows, definitions or the server.
        const WRITES = 1 << 0;
        /// FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE.
        const LOCKS_ROWS = 1 << 1;
        /// It reads `@x`.
        const READS_USER_VARIABLES = 1 << 2;
        /// It assigns `@x`: SET, `:=`, INTO.
        const ASSIGNS_USER_VARIABLES = 1 << 3;
        /// LAST_INSERT_ID(), @@last_insert_id, @@identity.
        const READS_LAST_INSERT_ID = 1 << 4;
        /// SQL_CALC_FOUND_ROWS.
        const CALC_FOUND_ROWS = 1 << 5;
        /// ROW_COUNT(), FOUND_ROWS(), @@warning_count, @@error_count, GET DIAGNOSTICS, SHOW WARNINGS: what the last statement left.
        const READS_DIAGNOSTICS = 1 << 6;
        /// MySQL commits the open transaction first.
        const IMPLICIT_COMMIT = 1 << 7;
        /// CREATE TEMPORARY TABLE.
        const CREATES_TEMPORARY_TABLE = 1 << 8;
        /// It leaves something that only its own connection has.
        const PINS = 1 << 9;
        /// SHOW, DESCRIBE, information_schema and the like: cells may hold physical schema names.
        const READS_SYSTEM_SCHEMA = 1 << 10;
        /// LAST_INSERT_ID(expr): it sets what LAST_INSERT_ID() gives.
        const SETS_LAST_INSERT_ID = 1 << 11;
        /// DROP TEMPORARY TABLE.
        const DROPS_TEMPORARY_TABLE = 1 << 12;
        /// GET_LOCK and its kin.
        const USER_LOCKS = 1 << 13;
        /// INTO OUTFILE, INTO DUMPFILE, LOAD_FILE, LOAD DATA without LOCAL: files of the server.
        const SERVER_FILES = 1 << 14;
        /// A hint sets variables for the statement alone.
        const SET_VAR_HINT = 1 << 15;
        /// Its answer may be several result sets: CALL.
        const MANY_RESULTS = 1 << 16;
        /// `_podway` stands in it as a name.
        const NAMES_PODWAY = 1 << 17;
        /// It defines a stored program or a view: the text inside runs later, elsewhere.
        const STORES_TEXT = 1 << 18;
        /// INTO @x, or INTO a variable.
        const SELECTS_INTO = 1 << 19;
    }
}

/// A call or variable that only the proxy can answer, and where it stands, argument list included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSpan {
    /// Which.
    pub kind: FunctionKind,
    /// Where it stands.
    pub span: TemplateSpan,
    /// The item of the outermost SELECT list that it is in, where that item has no alias: replacing the call changes
    /// the column's name unless the item's own text is added as an alias.
    pub unaliased_item: Option<TemplateSpan>,
}

/// Which call or variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FunctionKind {
    /// CONNECTION_ID()
    ConnectionId,
    /// DATABASE(), SCHEMA()
    Database,
    /// ROW_COUNT()
    RowCount,
    /// FOUND_ROWS()
    FoundRows,
    /// LAST_INSERT_ID()
    LastInsertId,
    /// LAST_INSERT_ID(expr)
    SetLastInsertId,
    /// @@last_insert_id
    LastInsertIdVariable,
    /// @@identity
    Identity,
    /// @@warning_count
    WarningCount,
    /// @@error_count
    ErrorCount,
    /// @@pseudo_thread_id
    PseudoThreadId,
    /// USER(), SESSION_USER(), SYSTEM_USER()
    User,
    /// CURRENT_USER, CURRENT_USER()
    CurrentUser,
    /// CURRENT_ROLE()
    CurrentRole,
    /// GET_LOCK(…)
    GetLock,
    /// RELEASE_LOCK(…)
    ReleaseLock,
    /// RELEASE_ALL_LOCKS()
    ReleaseAllLocks,
    /// IS_FREE_LOCK(…), IS_USED_LOCK(…)
    InspectLock,
    /// LOAD_FILE(…)
    LoadFile,
    /// PODWAY_LAST_COMMIT()
    PodwayLastCommit,
    /// PODWAY_OUTCOME(…)
    PodwayOutcome,
    /// @@podway_last_commit
    PodwayLastCommitVariable,
    /// @@podway_after
    PodwayAfter,
    /// @@podway_read
    PodwayRead,
    /// @@podway_stamp_single_shard
    PodwayStampSingleShard,
    /// @@session_track_system_variables, of which the proxy decides for its own
    TrackedVariables,
}

/// `@@x` that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemVariable {
    /// The scope that is written.
    pub scope: Scope,
    /// The variable.
    pub name: Name,
    /// Where it stands, from the first `@`.
    pub span: TemplateSpan,
}
