//! SET in all its forms. Never evaluates a value, never applies one.
//!
//! A form that is not MySQL's is [`None`]: it goes to a server, which says what is wrong. Read next: [`super::session`].

use podway_model::Name;

use super::assignment::{AccessMode, Assignment, Isolation, Scope, SetTarget, TransactionSettings, Value};
use super::cursor::{Cursor, scope_of, system_name};
use super::kind::Statement;
use crate::lex::{Symbol, TokenKind};
use crate::normalise::Normalised;

/// Behind SET.
pub(super) fn set(n: &Normalised, at: &mut Cursor<'_>) -> Option<Statement> {
    if let Some(assignment) = whole_statement(at) {
        return Some(Statement::Set(vec![assignment]));
    }
    if is_transaction(n, at) {
        return transaction(n, at);
    }
    let mut assignments = Vec::new();
    let mut scope = Scope::Unscoped;
    loop {
        assignments.push(one(n, at, &mut scope)?);
        if at.at_end() {
            return Some(Statement::Set(assignments));
        }
        if !at.symbol(Symbol::Comma) {
            return None;
        }
    }
}

/// The forms of SET that take the whole statement.
fn whole_statement(at: &mut Cursor<'_>) -> Option<Assignment> {
    let start = at.position();
    let target = if at.words(&["DEFAULT", "ROLE"]) {
        SetTarget::DefaultRole
    } else if at.words(&["RESOURCE", "GROUP"]) {
        SetTarget::ResourceGroup
    } else if at.word("ROLE") {
        SetTarget::Role
    } else if at.word("PASSWORD") {
        SetTarget::Password
    } else {
        return None;
    };
    // `role` and the like may also be variables of that name: then `=` follows. PASSWORD = … is the password.
    if target != SetTarget::Password && (at.is_symbol(0, Symbol::Equals) || at.is_symbol(0, Symbol::Assign)) {
        at.seek(start);
        return None;
    }
    let mut end = at.clone();
    while !end.at_end() {
        end.next();
    }
    let value = value_until(at, end.position());
    at.seek(end.position());
    Some(Assignment { target, value })
}

fn value_until(at: &Cursor<'_>, end: usize) -> Value {
    Value { span: at.span_until(end), scalar: at.scalar_until(end) }
}

fn is_transaction(n: &Normalised, at: &Cursor<'_>) -> bool {
    let scoped = at.peek(0).is_some_and(|token| scope_of(n, &token).is_some());
    let behind = usize::from(scoped);
    at.is_word(behind, "TRANSACTION")
        && !at.is_symbol(behind + 1, Symbol::Equals)
        && !at.is_symbol(behind + 1, Symbol::Assign)
}

/// `[SESSION | GLOBAL] TRANSACTION …`
fn transaction(n: &Normalised, at: &mut Cursor<'_>) -> Option<Statement> {
    let mut scope = Scope::Unscoped;
    if !at.is_word(0, "TRANSACTION") {
        scope = scope_of(n, &at.next()?)?;
    }
    at.word("TRANSACTION");
    let mut settings = TransactionSettings { scope, isolation: None, access: None };
    loop {
        if at.words(&["ISOLATION", "LEVEL"]) {
            settings.isolation = Some(isolation(at)?);
        } else if at.words(&["READ", "ONLY"]) {
            settings.access = Some(AccessMode::ReadOnly);
        } else if at.words(&["READ", "WRITE"]) {
            settings.access = Some(AccessMode::ReadWrite);
        } else {
            return None;
        }
        if at.at_end() {
            let value = value_until(at, at.position());
            return Some(Statement::Set(vec![Assignment {
                target: SetTarget::Transaction(settings),
                value,
            }]));
        }
        if !at.symbol(Symbol::Comma) {
            return None;
        }
    }
}

fn isolation(at: &mut Cursor<'_>) -> Option<Isolation> {
    const LEVELS: [(&[&str], Isolation); 4] = [
        (&["READ", "UNCOMMITTED"], Isolation::ReadUncommitted),
        (&["READ", "COMMITTED"], Isolation::ReadCommitted),
        (&["REPEATABLE", "READ"], Isolation::RepeatableRead),
        (&["SERIALIZABLE"], Isolation::Serializable),
    ];
    LEVELS.iter().find(|(words, _)| at.words(words)).map(|&(_, level)| level)
}

/// One assignment of a list. A scope that is written holds for the bare names behind it, too, as MySQL has it.
fn one(n: &Normalised, at: &mut Cursor<'_>, scope: &mut Scope) -> Option<Assignment> {
    if let Some(assignment) = character_set(at) {
        return assignment;
    }
    let start = at.position();
    let token = at.peek(0)?;
    let target = match token.kind {
        TokenKind::UserVariable => {
            at.next();
            SetTarget::User(Name::caseless(&n.name(&token)?))
        }
        TokenKind::Symbol(Symbol::AtAt) => {
            at.next();
            let (scope, name) = names(n, at)?;
            match scope {
                Scope::Unscoped => SetTarget::SessionTransient(name),
                scope => scoped(scope, name),
            }
        }
        TokenKind::Word | TokenKind::QuotedName => {
            let is_scope = !at.is_symbol(1, Symbol::Equals) && !at.is_symbol(1, Symbol::Assign);
            if is_scope && let Some(found) = scope_of(n, &token) {
                *scope = found;
                at.next();
            }
            let (inner, name) = names(n, at)?;
            // `SET session.x` is no variable of MySQL's; only `@@session.x` is.
            if inner != Scope::Unscoped {
                at.seek(start);
                return None;
            }
            scoped(*scope, name)
        }
        _ => return None,
    };
    if !at.symbol(Symbol::Equals) && !at.symbol(Symbol::Assign) {
        return None;
    }
    let end = at.value_end();
    let value = value_until(at, end);
    (end > at.position()).then(|| at.seek(end))?;
    Some(Assignment { target, value })
}

fn scoped(scope: Scope, name: Name) -> SetTarget {
    match scope {
        Scope::Unscoped | Scope::Session => SetTarget::Session(name),
        Scope::Global => SetTarget::Global(name),
        Scope::Persist => SetTarget::Persist(name),
        Scope::PersistOnly => SetTarget::PersistOnly(name),
    }
}

/// Takes `[scope.]name[.name]`.
fn names(n: &Normalised, at: &mut Cursor<'_>) -> Option<(Scope, Name)> {
    let mut ahead = Vec::new();
    while let Some(token) = at.peek(ahead.len()) {
        ahead.push(token);
        if ahead.len() > 5 {
            break;
        }
    }
    let (scope, name, used) = system_name(n, &ahead)?;
    at.seek(at.position() + used);
    Some((scope, name))
}

/// NAMES, CHARACTER SET, CHARSET; None if it is none of them, Some(None) if it is a broken one.
fn character_set(at: &mut Cursor<'_>) -> Option<Option<Assignment>> {
    let start = at.position();
    let is_names = at.word("NAMES");
    if !is_names && !at.words(&["CHARACTER", "SET"]) && !at.words(&["CHAR", "SET"]) && !at.word("CHARSET") {
        return None;
    }
    if at.is_symbol(0, Symbol::Equals) || at.is_symbol(0, Symbol::Assign) {
        at.seek(start);
        return None;
    }
    if at.at_end() {
        return Some(None);
    }
    let value = value_until(at, at.position() + 1);
    at.next();
    let collation = if is_names && at.word("COLLATE") {
        if at.at_end() {
            return Some(None);
        }
        Some(at.scalar())
    } else {
        None
    };
    let target = if is_names { SetTarget::Names { collation } } else { SetTarget::Charset };
    Some(Some(Assignment { target, value }))
}
