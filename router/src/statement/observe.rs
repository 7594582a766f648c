//! Looks over all tokens of a statement for what makes it more than a read: calls, variables, locks, INTO, hints. Never decides.
//!
//! Only tokens are seen, not scopes: what might be an effect counts as one. Read next: [`crate::Recognised`].

use std::collections::HashSet;

use podway_model::Name;

use super::assignment::Scope;
use super::calls;
use super::cursor::system_name;
use super::effects::{Effects, FunctionKind, FunctionSpan, SystemVariable};
use super::kind::Verb;
use super::span::TemplateSpan;
use crate::lex::{Symbol, Token, TokenKind};
use crate::normalise::Normalised;

/// Databases that MySQL itself keeps.
const SYSTEM_SCHEMAS: [&str; 4] = ["information_schema", "performance_schema", "mysql", "sys"];

/// The schema that Podway keeps on every server.
const OWN_SCHEMA: &str = "_podway";

/// What was seen.
#[derive(Default)]
pub(super) struct Observed {
    pub effects: Effects,
    pub functions: Vec<FunctionSpan>,
    pub system_variables: Vec<SystemVariable>,
    pub read: Names,
    pub assigned: Names,
}

/// Names in the order in which they came, each once.
#[derive(Default)]
pub(super) struct Names {
    pub names: Vec<Name>,
    known: HashSet<Name>,
}

impl Names {
    /// Adds a name, if it is new.
    pub fn add(&mut self, name: Name) {
        if self.known.insert(name.clone()) {
            self.names.push(name);
        }
    }
}

/// Looks over tokens: of a whole statement, or of the values that a SET sets.
pub(super) fn observe(n: &Normalised, tokens: &[Token], verb: Verb) -> Observed {
    let mut observer = Observer { n, tokens, verb, groups: None, seen: Observed::default() };
    let mut at = 0;
    while at < tokens.len() {
        at = observer.token(at);
    }
    observer.seen
}

struct Observer<'a> {
    n: &'a Normalised,
    tokens: &'a [Token],
    verb: Verb,
    /// Made when the first call is seen.
    groups: Option<Vec<u32>>,
    seen: Observed,
}

impl Observer<'_> {
    /// Looks at one token, and gives the next one to look at.
    fn token(&mut self, at: usize) -> usize {
        let token = self.tokens[at];
        match token.kind {
            TokenKind::Word | TokenKind::QuotedName => self.word(at, &token),
            TokenKind::UserVariable => {
                self.user_variable(at, &token);
                at + 1
            }
            TokenKind::Symbol(Symbol::AtAt) => self.system_variable(at),
            TokenKind::Hint => {
                let text = token.text(self.n.template()).to_ascii_uppercase();
                if memchr::memmem::find(&text, b"SET_VAR").is_some() {
                    self.seen.effects |= Effects::SET_VAR_HINT;
                }
                at + 1
            }
            _ => at + 1,
        }
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.n.template(), word))
    }

    fn is_symbol(&self, at: usize, symbol: Symbol) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(symbol))
    }

    fn word(&mut self, at: usize, token: &Token) -> usize {
        self.schema_name(token);
        let qualified = at > 0 && self.is_symbol(at - 1, Symbol::Dot);
        if qualified || self.is_symbol(at + 1, Symbol::Dot) {
            return at + 1;
        }
        if token.kind == TokenKind::Word {
            if self.is_word(at, "INTO") {
                return self.into(at + 1);
            }
            self.keyword(at);
        }
        self.call(at, token)
    }

    fn schema_name(&mut self, token: &Token) {
        let Some(name) = self.n.name(token) else { return };
        if name.eq_ignore_ascii_case(OWN_SCHEMA) {
            self.seen.effects |= Effects::NAMES_PODWAY;
        }
        if SYSTEM_SCHEMAS.iter().any(|schema| name.eq_ignore_ascii_case(schema)) {
            self.seen.effects |= Effects::READS_SYSTEM_SCHEMA;
        }
    }

    fn keyword(&mut self, at: usize) {
        let locks = (self.is_word(at, "FOR")
            && (self.is_word(at + 1, "UPDATE") || self.is_word(at + 1, "SHARE")))
            || (self.is_word(at, "LOCK") && self.is_word(at + 1, "IN") && self.is_word(at + 2, "SHARE"));
        if locks {
            self.seen.effects |= Effects::LOCKS_ROWS;
        } else if self.is_word(at, "SQL_CALC_FOUND_ROWS") {
            self.seen.effects |= Effects::CALC_FOUND_ROWS;
        } else if self.verb == Verb::Flush && (self.is_word(at, "LOCK") || self.is_word(at, "EXPORT")) {
            self.seen.effects |= Effects::PINS;
        }
    }

    /// Behind INTO: OUTFILE, DUMPFILE, or `@a, @b`. Gives the next token to look at.
    fn into(&mut self, start: usize) -> usize {
        if self.is_word(start, "OUTFILE") || self.is_word(start, "DUMPFILE") {
            self.seen.effects |= Effects::SERVER_FILES | Effects::WRITES;
        }
        let mut at = start;
        while let Some(token) = self.tokens.get(at).copied()
            && token.kind == TokenKind::UserVariable
        {
            self.assign(&token);
            self.seen.effects |= Effects::SELECTS_INTO | Effects::PINS;
            at += 1;
            if !self.is_symbol(at, Symbol::Comma) {
                break;
            }
            at += 1;
        }
        at
    }

    fn call(&mut self, at: usize, token: &Token) -> usize {
        let Some(name) = self.n.name(token) else { return at + 1 };
        let opens = self.is_symbol(at + 1, Symbol::LeftParen);
        let quoted = token.kind == TokenKind::QuotedName;
        let Some(mut kind) = calls::function(name.as_bytes(), quoted, opens) else { return at + 1 };
        if self.verb == Verb::Account || self.verb == Verb::CreateDatabase {
            return at + 1;
        }
        let mut end = token.end;
        let mut next = at + 1;
        if opens {
            let groups = self.groups.get_or_insert_with(|| groups(self.tokens));
            let group_end = groups[at + 1] as usize;
            let has_arguments = group_end > at + 3;
            if has_arguments && kind == FunctionKind::LastInsertId {
                kind = FunctionKind::SetLastInsertId;
            }
            // `INSERT INTO user (…)`: a table and its columns.
            if has_arguments != calls::takes_arguments(kind) || self.follows_table_word(at) {
                return at + 1;
            }
            end = self.tokens[group_end - 1].end;
            // Arguments may hold calls, too; an empty list has been seen.
            next = if has_arguments { at + 1 } else { group_end };
        }
        self.function(kind, TemplateSpan { start: token.start, end });
        next
    }

    fn follows_table_word(&self, at: usize) -> bool {
        const WORDS: [&str; 8] =
            ["INTO", "INSERT", "REPLACE", "IGNORE", "DELAYED", "LOW_PRIORITY", "HIGH_PRIORITY", "TABLE"];
        at > 0 && WORDS.iter().any(|word| self.is_word(at - 1, word))
    }

    fn function(&mut self, kind: FunctionKind, span: TemplateSpan) {
        self.seen.effects |= calls::effects(kind);
        self.seen.functions.push(FunctionSpan { kind, span, unaliased_item: None });
    }

    fn user_variable(&mut self, at: usize, token: &Token) {
        if self.is_host(at, token) {
            return;
        }
        let assigns = self.is_symbol(at + 1, Symbol::Assign);
        let by_diagnostics = self.verb == Verb::GetDiagnostics && self.is_symbol(at + 1, Symbol::Equals);
        let into = matches!(self.verb, Verb::Call | Verb::Load);
        if assigns || by_diagnostics || into {
            self.assign(token);
            self.seen.effects |= Effects::PINS;
        }
        if assigns || by_diagnostics {
            return;
        }
        if let Some(name) = self.n.name(token) {
            self.seen.effects |= Effects::READS_USER_VARIABLES;
            self.seen.read.add(Name::caseless(&name));
        }
    }

    /// Whether it is the host of an account's name: only where accounts are named, `BETWEEN@a` is none.
    fn is_host(&self, at: usize, token: &Token) -> bool {
        let names_accounts = matches!(
            self.verb,
            Verb::Account
                | Verb::CreateRoutine
                | Verb::AlterRoutine
                | Verb::CreateView
                | Verb::AlterView
                | Verb::Show
                | Verb::Replication
        );
        let Some(before) = at.checked_sub(1).map(|before| self.tokens[before]) else { return false };
        let named = matches!(before.kind, TokenKind::Word | TokenKind::QuotedName | TokenKind::Literal(_));
        names_accounts && named && before.end == token.start
    }

    fn assign(&mut self, token: &Token) {
        self.seen.effects |= Effects::ASSIGNS_USER_VARIABLES;
        if let Some(name) = self.n.name(token) {
            self.seen.assigned.add(Name::caseless(&name));
        }
    }

    fn system_variable(&mut self, at: usize) -> usize {
        let Some((scope, name, used)) = system_name(self.n, &self.tokens[at + 1..]) else { return at + 1 };
        let next = at + 1 + used;
        let span = TemplateSpan { start: self.tokens[at].start, end: self.tokens[next - 1].end };
        let is_global = !matches!(scope, Scope::Unscoped | Scope::Session);
        if let Some(kind) = calls::variable(name.key(), is_global) {
            self.function(kind, span);
        }
        self.seen.system_variables.push(SystemVariable { scope, name, span });
        next
    }
}

/// For each opening parenthesis, the token behind its closing one (or the end, if it never closes).
fn groups(tokens: &[Token]) -> Vec<u32> {
    let mut ends = vec![tokens.len() as u32; tokens.len()];
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.is(Symbol::LeftParen) {
            open.push(at);
        } else if token.is(Symbol::RightParen)
            && let Some(opening) = open.pop()
        {
            ends[opening] = at as u32 + 1;
        }
    }
    ends
}
