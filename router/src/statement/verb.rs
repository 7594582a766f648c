//! What kind of statement it is, by its leading keywords. Never reads further than it must.
//!
//! Read next: [`super::transaction`], [`super::set`], [`super::session`]: what the statements say that the session acts on.

use super::cursor::Cursor;
use super::kind::Verb;
use crate::lex::Symbol;

/// A statement's verb and where things start.
pub(super) struct Leading {
    pub verb: Verb,
    /// The verb of an EXPLAINed statement.
    pub explained: Option<Verb>,
    /// The token at which the statement proper starts: its verb, behind parentheses, EXPLAIN and WITH.
    pub verb_at: usize,
    /// Where the text of the statement starts, behind EXPLAIN's words.
    pub body: u32,
    /// EXPLAIN's FORMAT is PODWAY: what is explained may be anything.
    pub is_podways: bool,
}

/// Reads the leading keywords; the cursor is then behind them, at the first token that its own reader wants.
pub(super) fn leading(at: &mut Cursor<'_>) -> Leading {
    let body = at.offset();
    if at.at_end() {
        return Leading {
            verb: Verb::Empty,
            explained: None,
            verb_at: at.position(),
            body,
            is_podways: false,
        };
    }
    if at.any(&["EXPLAIN", "DESCRIBE", "DESC"]) {
        return explain(at, body);
    }
    let (verb, verb_at) = statement(at);
    Leading { verb, explained: None, verb_at, body, is_podways: false }
}

/// The verb of a statement that is not EXPLAIN, and where it stands.
fn statement(at: &mut Cursor<'_>) -> (Verb, usize) {
    let in_parentheses = at.is_symbol(0, Symbol::LeftParen);
    while at.symbol(Symbol::LeftParen) {}
    if at.word("WITH") {
        skip_common_tables(at);
        while at.symbol(Symbol::LeftParen) {}
    }
    let verb_at = at.position();
    let verb = query_verb(at);
    match verb {
        Some(verb) => (verb, verb_at),
        None if in_parentheses => (Verb::Unknown, verb_at),
        None => (other_verb(at), verb_at),
    }
}

fn query_verb(at: &mut Cursor<'_>) -> Option<Verb> {
    const VERBS: [(&str, Verb); 7] = [
        ("SELECT", Verb::Select),
        ("INSERT", Verb::Insert),
        ("UPDATE", Verb::Update),
        ("DELETE", Verb::Delete),
        ("REPLACE", Verb::Replace),
        ("VALUES", Verb::Values),
        ("TABLE", Verb::Table),
    ];
    VERBS.iter().find(|(word, _)| at.word(word)).map(|&(_, verb)| verb)
}

/// `[RECURSIVE] name [(columns)] AS (query), …`
fn skip_common_tables(at: &mut Cursor<'_>) {
    at.word("RECURSIVE");
    loop {
        at.next();
        if at.is_symbol(0, Symbol::LeftParen) {
            at.skip_group();
        }
        if at.word("AS") && at.is_symbol(0, Symbol::LeftParen) {
            at.skip_group();
        }
        if !at.symbol(Symbol::Comma) {
            return;
        }
    }
}

fn explain(at: &mut Cursor<'_>, body: u32) -> Leading {
    let start = at.position();
    let analyze = at.word("ANALYZE");
    let (mut is_podways, mut has_more) = (false, false);
    loop {
        if at.word("FORMAT") {
            at.symbol(Symbol::Equals);
            is_podways = at.is_word(0, "PODWAY");
            at.next();
        } else if at.word("INTO") || at.words(&["FOR", "SCHEMA"]) || at.words(&["FOR", "DATABASE"]) {
            has_more = true;
            at.next();
        } else if !at.any(&["EXTENDED", "PARTITIONS"]) {
            break;
        }
    }
    // Podway's format has no further words: with them it is MySQL's to refuse.
    is_podways &= !has_more;
    if at.words(&["FOR", "CONNECTION"]) {
        return Leading {
            verb: Verb::ExplainForConnection,
            explained: None,
            verb_at: start,
            body,
            is_podways: false,
        };
    }
    const QUERIES: [&str; 8] = ["SELECT", "WITH", "TABLE", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"];
    if is_podways || at.is_symbol(0, Symbol::LeftParen) || at.is_any(&QUERIES) {
        let body = at.offset();
        let (explained, verb_at) = statement(at);
        let verb = if analyze { Verb::ExplainAnalyze } else { Verb::Explain };
        return Leading { verb, explained: Some(explained), verb_at, body, is_podways };
    }
    at.seek(start);
    Leading { verb: Verb::Describe, explained: None, verb_at: start, body, is_podways: false }
}

/// The verbs that their first words decide; of two that start alike, the longer comes first.
const SIMPLE: [(&[&str], Verb); 55] = [
    (&["SET"], Verb::Set),
    (&["BEGIN"], Verb::Begin),
    (&["START", "TRANSACTION"], Verb::Begin),
    (&["START"], Verb::Replication),
    (&["COMMIT"], Verb::Commit),
    (&["ROLLBACK"], Verb::Rollback),
    (&["SAVEPOINT"], Verb::Savepoint),
    (&["RELEASE", "SAVEPOINT"], Verb::ReleaseSavepoint),
    (&["USE"], Verb::Use),
    (&["SHOW"], Verb::Show),
    (&["DO"], Verb::Do),
    (&["CALL"], Verb::Call),
    (&["LOAD", "INDEX"], Verb::IndexCache),
    (&["LOAD"], Verb::Load),
    (&["IMPORT"], Verb::ImportTable),
    (&["HANDLER"], Verb::Handler),
    (&["HELP"], Verb::Help),
    (&["LOCK", "TABLES"], Verb::LockTables),
    (&["LOCK", "TABLE"], Verb::LockTables),
    (&["LOCK", "INSTANCE"], Verb::LockInstance),
    (&["UNLOCK", "TABLES"], Verb::UnlockTables),
    (&["UNLOCK", "TABLE"], Verb::UnlockTables),
    (&["UNLOCK", "INSTANCE"], Verb::UnlockInstance),
    (&["XA"], Verb::Xa),
    (&["PREPARE"], Verb::Prepare),
    (&["EXECUTE"], Verb::Execute),
    (&["DEALLOCATE", "PREPARE"], Verb::Deallocate),
    (&["DROP", "PREPARE"], Verb::Deallocate),
    (&["TRUNCATE"], Verb::Truncate),
    (&["RENAME", "USER"], Verb::Account),
    (&["RENAME"], Verb::RenameTable),
    (&["GRANT"], Verb::Account),
    (&["REVOKE"], Verb::Account),
    (&["ANALYZE"], Verb::TableMaintenance),
    (&["CHECK"], Verb::TableMaintenance),
    (&["CHECKSUM"], Verb::ChecksumTable),
    (&["OPTIMIZE"], Verb::TableMaintenance),
    (&["REPAIR"], Verb::TableMaintenance),
    (&["CACHE"], Verb::IndexCache),
    (&["FLUSH"], Verb::Flush),
    (&["RESET"], Verb::Reset),
    (&["KILL"], Verb::Kill),
    (&["SHUTDOWN"], Verb::Shutdown),
    (&["RESTART"], Verb::Restart),
    (&["CLONE"], Verb::Clone),
    (&["INSTALL"], Verb::Plugin),
    (&["UNINSTALL"], Verb::Plugin),
    (&["CHANGE"], Verb::Replication),
    (&["STOP"], Verb::Replication),
    (&["PURGE"], Verb::Replication),
    (&["BINLOG"], Verb::Replication),
    (&["GET", "STACKED", "DIAGNOSTICS"], Verb::GetDiagnostics),
    (&["GET"], Verb::GetDiagnostics),
    (&["SIGNAL"], Verb::Signal),
    (&["RESIGNAL"], Verb::Signal),
];

fn other_verb(at: &mut Cursor<'_>) -> Verb {
    if let Some((_, verb)) = SIMPLE.iter().find(|(words, _)| at.words(words)) {
        return *verb;
    }
    if at.word("CREATE") {
        create(at)
    } else if at.word("ALTER") {
        alter(at)
    } else if at.word("DROP") {
        drop(at)
    } else {
        Verb::Unknown
    }
}

/// What a definition defines: the first of the words that name one. The cursor stands behind it.
fn object(at: &mut Cursor<'_>) -> Option<Object> {
    const OBJECTS: [(&str, Object); 18] = [
        ("TABLE", Object::Table),
        ("TABLES", Object::Table),
        ("INDEX", Object::Index),
        ("VIEW", Object::View),
        ("DATABASE", Object::Database),
        ("SCHEMA", Object::Database),
        ("PROCEDURE", Object::Routine),
        ("FUNCTION", Object::Routine),
        ("LIBRARY", Object::Routine),
        ("TRIGGER", Object::Routine),
        ("EVENT", Object::Routine),
        ("USER", Object::Account),
        ("ROLE", Object::Account),
        ("SERVER", Object::Other),
        ("TABLESPACE", Object::Other),
        ("LOGFILE", Object::Other),
        ("RESOURCE", Object::Other),
        ("INSTANCE", Object::Other),
    ];
    while !at.at_end() {
        if let Some((_, object)) = OBJECTS.iter().find(|(word, _)| at.word(word)) {
            return Some(*object);
        }
        let names_definer = at.is_any(&["DEFINER", "ALGORITHM"]) && at.is_symbol(1, Symbol::Equals);
        if names_definer {
            at.next();
            at.next();
        }
        if at.words(&["SPATIAL", "REFERENCE"]) {
            return Some(Object::Other);
        }
        // The definer may be named like an object.
        if names_definer || !at.is_symbol(0, Symbol::LeftParen) {
            at.next();
        } else {
            at.skip_group();
        }
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Object {
    Table,
    Index,
    View,
    Database,
    Routine,
    Account,
    Other,
}

fn create(at: &mut Cursor<'_>) -> Verb {
    let temporary = at.is_word(0, "TEMPORARY") || (at.is_word(0, "OR") && at.is_word(2, "TEMPORARY"));
    match object(at) {
        Some(Object::Table) if temporary => Verb::CreateTemporaryTable,
        Some(Object::Table) => Verb::CreateTable,
        Some(Object::Index) => Verb::CreateIndex,
        Some(Object::View) => Verb::CreateView,
        Some(Object::Database) => Verb::CreateDatabase,
        Some(Object::Routine) => Verb::CreateRoutine,
        Some(Object::Account) => Verb::Account,
        Some(Object::Other) => Verb::OtherDefinition,
        None => Verb::Unknown,
    }
}

fn alter(at: &mut Cursor<'_>) -> Verb {
    match object(at) {
        Some(Object::Table) => Verb::AlterTable,
        Some(Object::View) => Verb::AlterView,
        Some(Object::Database) => Verb::AlterDatabase,
        Some(Object::Routine) => Verb::AlterRoutine,
        Some(Object::Account) => Verb::Account,
        Some(Object::Other | Object::Index) => Verb::OtherDefinition,
        None => Verb::Unknown,
    }
}

fn drop(at: &mut Cursor<'_>) -> Verb {
    let temporary = at.is_word(0, "TEMPORARY");
    match object(at) {
        Some(Object::Table) if temporary => Verb::DropTemporaryTable,
        Some(Object::Table) => Verb::DropTable,
        Some(Object::Index) => Verb::DropIndex,
        Some(Object::View) => Verb::DropView,
        Some(Object::Database) => Verb::DropDatabase,
        Some(Object::Routine) => Verb::DropRoutine,
        Some(Object::Account) => Verb::Account,
        Some(Object::Other) => Verb::OtherDefinition,
        None => Verb::Unknown,
    }
}
