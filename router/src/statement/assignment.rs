//! What SET sets: targets and values. Only types; values are never evaluated.
//!
//! Read next: [`super::effects`].

use podway_model::Name;

use super::span::TemplateSpan;

/// One `target = value` of a SET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// What is set.
    pub target: SetTarget,
    /// To what.
    pub value: Value,
}

/// What a SET assigns to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetTarget {
    /// `@x`, without the `@`.
    User(Name),
    /// `x`, `SESSION x`, `LOCAL x`, `@@session.x`, `@@local.x`.
    Session(Name),
    /// `@@x` without a scope: the session's, but `transaction_isolation` and `transaction_read_only` are the next transaction's.
    SessionTransient(Name),
    /// `GLOBAL x`, `@@global.x`.
    Global(Name),
    /// `PERSIST x`.
    Persist(Name),
    /// `PERSIST_ONLY x`.
    PersistOnly(Name),
    /// NAMES; the value is the character set's name, or DEFAULT.
    Names {
        /// COLLATE.
        collation: Option<Scalar>,
    },
    /// CHARACTER SET, CHARSET; the value is the character set's name, or DEFAULT.
    Charset,
    /// TRANSACTION; the value is empty.
    Transaction(TransactionSettings),
    /// ROLE; the value is what follows.
    Role,
    /// DEFAULT ROLE; the value is what follows.
    DefaultRole,
    /// PASSWORD; the value is what follows.
    Password,
    /// RESOURCE GROUP; the value is what follows.
    ResourceGroup,
}

/// What a SET assigns: where it stands and, where it is simple, what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Where it stands.
    pub span: TemplateSpan,
    /// What it is.
    pub scalar: Scalar,
}

/// A value, where it is one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A literal, by number.
    Literal(usize),
    /// A minus and a literal.
    NegatedLiteral(usize),
    /// A bare or quoted word that is no other variant, as written: `ON`, `utf8mb4`.
    Word(Box<str>),
    /// DEFAULT.
    Default,
    /// NULL.
    Null,
    /// `@x`, without the `@`.
    UserVariable(Name),
    /// `@@x`.
    SystemVariable {
        /// The scope that is written.
        scope: Scope,
        /// The variable.
        name: Name,
    },
    /// Anything else: only MySQL can tell.
    Expression,
}

/// The scope of a variable or of SET TRANSACTION, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// None: of SET TRANSACTION, the next transaction alone.
    Unscoped,
    /// SESSION, LOCAL.
    Session,
    /// GLOBAL.
    Global,
    /// PERSIST.
    Persist,
    /// PERSIST_ONLY.
    PersistOnly,
}

/// What SET TRANSACTION sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionSettings {
    /// Whose transactions.
    pub scope: Scope,
    /// ISOLATION LEVEL.
    pub isolation: Option<Isolation>,
    /// READ ONLY, READ WRITE.
    pub access: Option<AccessMode>,
}

/// An isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "SQL's own names")]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// Whether a transaction may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "SQL's own names")]
pub enum AccessMode {
    ReadOnly,
    ReadWrite,
}
