//! What a statement is to the session, recognised from its tokens: transactions, SET, USE, KILL, and every effect that outlives the
//! statement. Never builds a tree, never looks at a map, never decides where a statement goes.
//!
//! Reading order: [`span`], [`assignment`], [`maintenance`], [`kind`], [`effects`] (the types) → [`cursor`] (walking tokens) → [`verb`] → [`transaction`],
//! [`set`], [`session`], [`own_variables`], [`xa`] (what the session acts on) → [`verb_effects`], [`calls`], [`items`], [`observe`] (what else it does) →
//! [`recognise`].

mod assignment;
mod calls;
mod cursor;
mod directive;
mod effects;
mod items;
mod kind;
mod maintenance;
mod observe;
mod own_variables;
mod podway_table;
mod session;
mod set;
mod span;
mod transaction;
mod verb;
mod verb_effects;
mod xa;

pub use assignment::{
    AccessMode, Assignment, Isolation, Scalar, Scope, SetTarget, TransactionSettings, Value,
};
pub use directive::TableDirective;
pub use effects::{Effects, FunctionKind, FunctionSpan, SystemVariable};
pub(crate) use items::SELECT_OPTIONS;
pub use kind::{BeginOptions, Completion, Diagnostics, Limit, SelectedShow, ShownObjects, Statement, Verb};
pub use maintenance::{MaintainedTable, Maintenance};
pub use own_variables::shown_variables;
pub use span::TemplateSpan;
pub use xa::check_own_xa;

use std::borrow::Cow;

use podway_model::{MySqlVersion, Name};

use crate::lex::{Symbol, Token};
use crate::normalise::Normalised;
use crate::sql_mode::SqlMode;
use cursor::Cursor;
use observe::Observed;
use verb::Leading;

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

/// Recognises a statement. What it cannot read is [`Verb::Unknown`], with every effect that a token suggests.
pub fn recognise(sql: &[u8], n: &Normalised, mode: SqlMode, version: MySqlVersion) -> Recognised {
    debug_assert_eq!(mode, n.mode(), "a statement is recognised as it was normalised");
    let mut all = n.tokens();
    let tokens: Vec<Token> = all.by_ref().collect();
    let mut cursor = Cursor::new(n, &tokens);
    let leading = verb::leading(&mut cursor);
    let unsure = n.is_ambiguous() || (n.version() != version && memchr::memmem::find(sql, b"/*!").is_some());
    let stores_text = matches!(leading.verb, Verb::CreateRoutine | Verb::AlterRoutine);
    let mut statement = match () {
        () if unsure => Statement::Refused("a version comment that the servers may read differently"),
        () if all.in_version_comment() => Statement::Malformed(n.template().len() as u32),
        () if leading.is_podways && leading.body as usize >= n.template().len() => {
            Statement::Malformed(leading.body)
        }
        () if leading.is_podways => {
            Statement::ExplainPodway { analyze: leading.verb == Verb::ExplainAnalyze }
        }
        () if stores_text && xa::has_xa(n, &tokens) => Statement::Refused("XA in stored programs"),
        () => statement_of(n, &mut cursor, leading.verb),
    };
    if statement == Statement::Query && !stores_text {
        let second = tokens.windows(2).find(|pair| pair[0].is(Symbol::Semicolon));
        statement = second.map_or(statement, |pair| Statement::Malformed(pair[1].start));
    }
    let mut observed = observe::observe(n, &values_of(&statement, &tokens), leading.verb);
    let set = set_effects(&statement, &mut observed);
    let effects = observed.effects | set | verb_effects::of(leading.verb, leading.explained);
    if effects.contains(Effects::STORES_TEXT) {
        observed.functions.clear();
        observed.system_variables.clear();
    }
    note_items(n, &tokens, &leading, &mut observed);
    Recognised {
        temporary_tables: temporary_tables(&mut cursor, leading.verb),
        statement,
        verb: leading.verb,
        explained: leading.explained,
        body: leading.body,
        effects,
        functions: observed.functions,
        system_variables: observed.system_variables,
        user_variables: observed.read.names,
        assigned_variables: observed.assigned.names,
    }
}

/// What the session must do about a statement of this verb; the cursor stands behind the verb.
fn statement_of(n: &Normalised, at: &mut Cursor<'_>, verb: Verb) -> Statement {
    let statement = match verb {
        Verb::Empty => Some(Statement::Empty),
        Verb::Begin => transaction::begin(at),
        Verb::Commit => transaction::commit(at),
        Verb::Rollback => transaction::rollback(at),
        Verb::Savepoint => transaction::savepoint(at),
        Verb::ReleaseSavepoint => transaction::release(at),
        Verb::Set => set::set(n, at),
        Verb::Use => session::use_database(at),
        Verb::Kill => session::kill(at),
        Verb::Prepare => session::prepare(at),
        Verb::Execute => session::execute(at),
        Verb::Deallocate => session::deallocate(at),
        Verb::Load => session::load(at),
        Verb::LockTables => Some(Statement::LockTables),
        Verb::UnlockTables => at.at_end().then_some(Statement::UnlockTables),
        Verb::Xa => Some(Statement::Xa),
        Verb::Select => return own_variables::outcome(at).unwrap_or(Statement::Query),
        Verb::Show => return session::show(at).unwrap_or(Statement::Query),
        Verb::Unknown | Verb::AlterTable => {
            at.seek(0);
            return podway_table::alter(at).unwrap_or(Statement::Query);
        }
        _ => return Statement::Query,
    };
    statement.unwrap_or_else(|| Statement::Malformed(at.offset()))
}

/// The tokens that are looked over: of a SET, those of its values.
fn values_of<'a>(statement: &Statement, tokens: &'a [Token]) -> Cow<'a, [Token]> {
    let Statement::Set(assignments) = statement else { return Cow::Borrowed(tokens) };
    let evaluated = assignments.iter().filter(|assignment| {
        !matches!(assignment.target, SetTarget::Role | SetTarget::DefaultRole | SetTarget::Password)
    });
    let mut spans = evaluated.map(|assignment| assignment.value.span).peekable();
    let within = |token: &&Token| {
        while spans.next_if(|span| span.end <= token.start).is_some() {}
        spans.peek().is_some_and(|span| span.start <= token.start)
    };
    tokens.iter().filter(within).copied().collect()
}

/// What a SET does beyond what its values do: its targets are no reads.
fn set_effects(statement: &Statement, observed: &mut Observed) -> Effects {
    let Statement::Set(assignments) = statement else {
        return match statement {
            Statement::ShowWarnings(_) => Effects::READS_DIAGNOSTICS,
            Statement::Load { local: false } => Effects::SERVER_FILES,
            _ => Effects::empty(),
        };
    };
    let mut effects = Effects::empty();
    for assignment in assignments {
        effects |= match &assignment.target {
            SetTarget::User(name) => {
                observed.assigned.add(name.clone());
                Effects::ASSIGNS_USER_VARIABLES
            }
            SetTarget::Global(_) | SetTarget::Persist(_) | SetTarget::PersistOnly(_) => Effects::WRITES,
            SetTarget::Role | SetTarget::ResourceGroup => Effects::PINS,
            SetTarget::DefaultRole | SetTarget::Password => Effects::WRITES | Effects::IMPLICIT_COMMIT,
            _ => Effects::empty(),
        };
    }
    effects
}

/// Notes at each call whether it stands in an item that has no name of its own.
fn note_items(n: &Normalised, tokens: &[Token], leading: &Leading, observed: &mut Observed) {
    if leading.verb != Verb::Select || observed.functions.is_empty() {
        return;
    }
    let items = items::unaliased(n, tokens, leading.verb_at);
    for function in &mut observed.functions {
        let behind = items.partition_point(|item| item.end < function.span.end);
        let item = items.get(behind).filter(|item| item.start <= function.span.start);
        function.unaliased_item = item.copied();
    }
}

/// The tables that CREATE TEMPORARY TABLE or DROP TEMPORARY TABLE names; the cursor stands behind TABLE.
fn temporary_tables(at: &mut Cursor<'_>, verb: Verb) -> Vec<QualifiedName> {
    let mut tables = Vec::new();
    if !matches!(verb, Verb::CreateTemporaryTable | Verb::DropTemporaryTable) {
        return tables;
    }
    let _ = at.words(&["IF", "NOT", "EXISTS"]) || at.words(&["IF", "EXISTS"]);
    while let Some(first) = at.name() {
        let second = if at.symbol(Symbol::Dot) { at.name() } else { None };
        tables.push(match second {
            Some(name) => QualifiedName { schema: Some(first), name },
            None => QualifiedName { schema: None, name: first },
        });
        if verb == Verb::CreateTemporaryTable || !at.symbol(Symbol::Comma) {
            break;
        }
    }
    tables
}

#[cfg(test)]
mod tests;
