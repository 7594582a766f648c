//! The parts of a statement that matter for where it goes. Data only. Read next: [`super::walker`].

/// A block's number in [`Sketch::blocks`].
pub(in crate::plan) type BlockId = usize;
/// A source's number in [`Sketch::sources`].
pub(in crate::plan) type SourceId = usize;

/// A run of tokens: `first .. end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Run {
    pub first: usize,
    pub end: usize,
}

/// Everything found in one statement.
#[derive(Debug, Default)]
pub(in crate::plan) struct Sketch {
    pub blocks: Vec<Block>,
    pub sources: Vec<Source>,
    /// Names of databases that stand before a table's or column's name: the token of each.
    pub qualifiers: Vec<usize>,
    /// Select-list items that have no alias and are more than a column's name.
    pub items: Vec<Run>,
    /// Functions that are not MySQL's own: the token of each name.
    pub foreign_functions: Vec<usize>,
    /// A function or clause that must run where the whole cluster agrees on one server (GET_LOCK and the like).
    pub needs_home: bool,
    /// A construct that is understood and not served over several shards.
    pub refusal: Option<String>,
    /// What an INSERT or REPLACE stores.
    pub insert: Option<Insert>,
    /// Locking clauses, as they stand.
    pub locks: Vec<LockClause>,
    /// Columns that UPDATE or ON DUPLICATE KEY UPDATE sets, with the block whose tables they belong to.
    pub assigned: Vec<(BlockId, Run)>,
    /// Names that DELETE gives as its targets, with the block of its tables.
    pub deleted: Vec<(BlockId, Run)>,
}

/// One SELECT (or the tables of an UPDATE, DELETE or INSERT).
#[derive(Debug, Default)]
pub(in crate::plan) struct Block {
    /// The block whose columns its expressions can also name.
    pub parent: Option<BlockId>,
    /// Of the parent's tables, those in sight: in ON the join's own, in LATERAL those before it. `None`: all.
    pub parent_scope: Option<Vec<SourceId>>,
    pub sources: Vec<SourceId>,
    pub filters: Vec<Filter>,
    pub merges: Vec<Merge>,
    /// Whether a NATURAL join makes columns of two tables one.
    pub natural: bool,
    pub lock: Lock,
}

/// Which tables of a block FOR UPDATE, FOR SHARE or LOCK IN SHARE MODE locks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::plan) enum Lock {
    #[default]
    None,
    All,
    /// FOR UPDATE OF these: the tokens of their names.
    Of(Vec<usize>),
}

/// FOR UPDATE, FOR SHARE or LOCK IN SHARE MODE.
#[derive(Debug)]
pub(in crate::plan) struct LockClause {
    pub run: Run,
    /// The blocks that it is about.
    pub arms: Vec<BlockId>,
    /// The names behind OF.
    pub tables: Vec<usize>,
    /// Where NOWAIT or SKIP LOCKED stands, if it does; else the clause's end.
    pub behind_tables: usize,
}

/// A condition that every row of the tables it reaches meets when it has a part in the block's result.
#[derive(Debug)]
pub(in crate::plan) struct Filter {
    pub run: Run,
    /// The tables that it reaches; `None`: all of the block.
    pub reach: Option<Vec<SourceId>>,
    /// The tables whose columns it can name without a subquery; `None`: all of the block.
    pub scope: Option<Vec<SourceId>>,
}

/// `USING (a, b)`.
#[derive(Debug)]
pub(in crate::plan) struct Merge {
    /// The tokens of the columns' names.
    pub columns: Vec<usize>,
    pub left: Vec<SourceId>,
    pub right: Vec<SourceId>,
    pub join: JoinKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum JoinKind {
    Inner,
    Left,
    Right,
}

/// A thing in FROM.
#[derive(Debug)]
pub(in crate::plan) struct Source {
    pub block: BlockId,
    pub kind: SourceKind,
    /// The token of the alias, or of the table's own name.
    pub alias: Option<usize>,
    /// Whether an outer join may put NULLs in the place of its rows.
    pub nullable: bool,
    pub role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum SourceKind {
    /// A table by name: the tokens of its database, where given, and of its name.
    Table { database: Option<usize>, name: usize },
    /// A derived table, a CTE, JSON_TABLE: its own tables are found elsewhere.
    Derived,
}

/// What the statement does with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Role {
    Read,
    /// INSERT's or REPLACE's target.
    Insert,
    /// Named in UPDATE or DELETE: which of them is written is found by name.
    Change,
    /// LOAD DATA, DDL and maintenance: the table as a whole.
    Whole,
}

/// Rows of values, each a run of tokens.
pub(in crate::plan) type Rows = Vec<Vec<Run>>;

/// What an INSERT or REPLACE stores.
#[derive(Debug)]
pub(in crate::plan) struct Insert {
    /// INSERT IGNORE.
    pub ignore: bool,
    /// The tokens of the column list's names; `None`: the table's own order.
    pub columns: Option<Vec<usize>>,
    /// One run of tokens per value; `None`: the rows come from a query.
    pub rows: Option<Rows>,
    /// The query whose rows are stored, where they are not listed.
    pub query: Option<Run>,
    /// The tokens of each row of VALUES, parentheses included.
    pub places: Vec<Run>,
}
