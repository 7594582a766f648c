//! Names to what the map knows: databases, tables, columns. Never guesses: a column that could be another table's is nobody's.
//! Read next: [`super::pins`].

use std::sync::Arc;

use podway_model::{Column, Keyspace, Name, Table, TableKind};

use super::catalog_tables;
use super::context::PlanContext;
use super::sketch::parts::{BlockId, JoinKind, Run, Sketch, SourceId, SourceKind};
use super::tokens::Tokens;
use crate::RouterError;

/// Podway's own schema on each server: no client may name it.
const OWN_SCHEMA: &str = "_podway";

/// What a database's name stands for.
#[derive(Clone, Debug)]
pub(super) enum Database {
    Keyspace(Arc<Keyspace>),
    /// `mysql`, `information_schema`, `performance_schema`, `sys`.
    System,
    /// One that the map does not know.
    Foreign(Name),
}

/// What a source is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Its rows are those of other sources.
    Derived,
    Sharded(Arc<Table>),
    Reference(Option<Arc<Table>>),
    Home(Option<Arc<Table>>),
    View,
    /// With the columns of a table of `information_schema` that conditions are looked for on.
    System(Option<Arc<Table>>),
    Foreign,
}

/// A source with its keyspace.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub place: Place,
    pub keyspace: Option<Arc<Keyspace>>,
    pub database: Option<Name>,
    /// The table's name; empty for what has none.
    pub table: String,
    /// The form of the alias that is compared.
    pub alias: Option<String>,
}

impl Bound {
    /// The table's columns, where they are known.
    pub(super) fn columns(&self) -> Option<&[Column]> {
        let table = match &self.place {
            Place::Sharded(table)
            | Place::Home(Some(table))
            | Place::Reference(Some(table))
            | Place::System(Some(table)) => table,
            _ => return None,
        };
        (!table.columns.is_empty()).then_some(&table.columns)
    }

    /// Whether a condition on this column cannot be asked of a shard, which calls databases otherwise.
    pub(super) fn is_translated(&self, position: usize) -> bool {
        let table = matches!(self.place, Place::System(Some(_))).then(|| catalog_tables::find(&self.table));
        table.flatten().is_some_and(|table| position < table.schemas.len())
    }

    fn column(&self, name: &Name) -> Option<usize> {
        self.columns()?.iter().position(|column| column.name == *name)
    }
}

/// The tables that an expression can name without a subquery.
#[derive(Clone, Copy)]
struct Sight<'a> {
    block: BlockId,
    /// `None`: all of the block.
    scope: Option<&'a [SourceId]>,
}

/// A sketch whose names are bound.
pub(super) struct Binding<'s> {
    pub t: &'s Tokens<'s>,
    pub sketch: &'s Sketch,
    pub sources: Vec<Bound>,
    pub ctx: &'s PlanContext<'s>,
}

/// What this database's name stands for.
pub(super) fn database(ctx: &PlanContext<'_>, name: &str) -> Result<Database, RouterError> {
    if name.eq_ignore_ascii_case(OWN_SCHEMA) {
        let message = format!("Access denied to database '{OWN_SCHEMA}'");
        return Err(RouterError::new(1044, b"42000", message));
    }
    if let Some(keyspace) = ctx.map.keyspace_spelled(name) {
        return Ok(Database::Keyspace(Arc::clone(keyspace)));
    }
    let always_caseless = ["information_schema", "performance_schema"];
    let folded = ctx.map.names.fold(name);
    if always_caseless.iter().any(|own| own.eq_ignore_ascii_case(name))
        || ["mysql", "sys"].contains(&&*folded)
    {
        return Ok(Database::System);
    }
    Ok(Database::Foreign(ctx.map.names.name(name)))
}

/// What is said of a name in bytes that are no text.
pub(super) fn unreadable() -> RouterError {
    RouterError::unsupported("names outside ASCII in this character set")
}

impl<'s> Binding<'s> {
    /// Refuses a statement while an operation changes what one of its names stands for.
    pub(super) fn check_held(&self) -> Result<(), RouterError> {
        for bound in &self.sources {
            let Some(keyspace) = bound.keyspace.as_ref().filter(|_| !bound.table.is_empty()) else {
                continue;
            };
            if let Some(by) = keyspace.held(&self.ctx.map.names.name(&bound.table)) {
                return Err(RouterError::held(&keyspace.name, &bound.table, by));
            }
        }
        Ok(())
    }

    /// Binds every source.
    pub(super) fn new(
        ctx: &'s PlanContext<'s>,
        t: &'s Tokens<'s>,
        sketch: &'s Sketch,
    ) -> Result<Binding<'s>, RouterError> {
        let mut binding = Binding { t, sketch, sources: Vec::with_capacity(sketch.sources.len()), ctx };
        for source in &sketch.sources {
            let alias = match source.alias {
                Some(at) => Some(binding.folded(at)?),
                None => None,
            };
            let bound = match source.kind {
                SourceKind::Derived => Bound {
                    place: Place::Derived,
                    keyspace: None,
                    database: None,
                    table: String::new(),
                    alias,
                },
                SourceKind::Table { database, name } => binding.table(database, name, alias)?,
            };
            binding.sources.push(bound);
        }
        Ok(binding)
    }

    /// Whether every table, of which there is one at least, is in a keyspace of one shard.
    pub(super) fn is_of_single_keyspaces(&self) -> bool {
        let mut tables =
            self.sources.iter().filter(|bound| !matches!(bound.place, Place::Derived)).peekable();
        let is_single = |bound: &Bound| bound.keyspace.as_ref().is_some_and(|keyspace| keyspace.is_single());
        tables.peek().is_some() && tables.all(is_single)
    }

    fn folded(&self, at: usize) -> Result<String, RouterError> {
        let name = self.t.name(at).ok_or_else(unreadable)?;
        Ok(self.ctx.map.names.fold(&name).into_owned())
    }

    fn table(
        &self,
        database_at: Option<usize>,
        name: usize,
        alias: Option<String>,
    ) -> Result<Bound, RouterError> {
        let spelled = self.t.name(name).ok_or_else(unreadable)?;
        let place_of = match database_at {
            Some(at) => database(self.ctx, &self.t.name(at).ok_or_else(unreadable)?)?,
            None => {
                let current = self.ctx.keyspace.ok_or_else(RouterError::no_database)?;
                database(self.ctx, current.as_str())?
            }
        };
        let table = spelled.clone().into_owned();
        let written = match database_at {
            Some(at) => self.t.name(at).map(|name| self.ctx.map.names.name(&name)),
            None => self.ctx.keyspace.cloned(),
        };
        let bound = |place, keyspace| Bound {
            place,
            keyspace,
            database: written.clone(),
            table: table.clone(),
            alias: alias.clone(),
        };
        Ok(match place_of {
            Database::System => {
                let is_catalog = written.as_ref().is_some_and(catalog_tables::is_information_schema);
                let columns = if is_catalog { catalog_tables::columns(&table) } else { None };
                bound(Place::System(columns), None)
            }
            Database::Foreign(_) => bound(Place::Foreign, None),
            Database::Keyspace(keyspace) => {
                let place = self.place(&keyspace, &spelled)?;
                bound(place, Some(keyspace))
            }
        })
    }

    fn place(&self, keyspace: &Keyspace, name: &str) -> Result<Place, RouterError> {
        let folded = self.ctx.map.names.fold(name);
        let declared = keyspace.tables.get(folded.as_ref());
        let place = match declared.map(|table| (&table.kind, table)) {
            None => Place::Home(None),
            Some((TableKind::Home, table)) => Place::Home(Some(Arc::clone(table))),
            Some((TableKind::Reference, table)) => Place::Reference(Some(Arc::clone(table))),
            Some((TableKind::Sharded(_), table)) => Place::Sharded(Arc::clone(table)),
            Some((TableKind::View, _)) => Place::View,
        };
        let is_marked = || self.ctx.map.unpinned(&keyspace.name, &self.ctx.map.names.name(name)).is_some();
        let place = match place {
            // What uses tables of several shards, and is not one, is a view. It can be dropped.
            Place::Home(_) if !keyspace.is_single() && is_marked() && !self.t.are(0, &["DROP", "VIEW"]) => {
                Place::View
            }
            place => place,
        };
        let is_temporary = self.ctx.temporary_tables.iter().any(|table| table.key() == folded);
        match place {
            Place::Home(_) if is_temporary => Ok(Place::Home(None)),
            _ if is_temporary => {
                Err(RouterError::unsupported(format_args!("a temporary table that hides the table {name}")))
            }
            place => Ok(place),
        }
    }

    /// The column that `run` (`[[database.]table.]column`) names in an expression of `block`, where `scope` are the block's tables in
    /// sight: its source and its position there. `None` where it is not certain.
    pub(super) fn column(
        &self,
        run: Run,
        block: BlockId,
        scope: Option<&[SourceId]>,
    ) -> Option<(SourceId, usize)> {
        let t = self.t;
        let length = run.end - run.first;
        let well_formed =
            (0..length).all(|n| if n % 2 == 0 { t.is_name(run.first + n) } else { t.is(run.first + n, ".") });
        if !well_formed || t.is(run.first.wrapping_sub(1), "@@") {
            return None;
        }
        let name = |at| t.name(at).map(|name| Name::caseless(&name));
        let here = Sight { block, scope };
        match length {
            1 => self.unqualified(&name(run.first)?, here),
            3 => self.qualified(None, run.first, &name(run.first + 2)?, here),
            5 => self.qualified(Some(run.first), run.first + 2, &name(run.first + 4)?, here),
            _ => None,
        }
    }

    fn in_sight(&self, sight: Sight<'_>) -> impl Iterator<Item = SourceId> {
        let all = &self.sketch.blocks[sight.block].sources;
        all.iter().copied().filter(move |source| sight.scope.is_none_or(|scope| scope.contains(source)))
    }

    fn qualified(
        &self,
        database: Option<usize>,
        table: usize,
        column: &Name,
        sight: Sight<'_>,
    ) -> Option<(SourceId, usize)> {
        let alias = self.folded(table).ok()?;
        let database = match database {
            Some(at) => Some(self.ctx.map.names.name(&self.t.name(at)?)),
            None => None,
        };
        let mut sight = Some(sight);
        while let Some(current) = sight {
            let mut found = self.in_sight(current).filter(|&id| {
                let source = &self.sources[id];
                source.alias.as_ref() == Some(&alias) && (database.is_none() || source.database == database)
            });
            if let Some(source) = found.next() {
                let position = self.sources[source].column(column)?;
                return found.next().is_none().then_some((source, position));
            }
            let block = &self.sketch.blocks[current.block];
            sight = block.parent.map(|parent| Sight { block: parent, scope: block.parent_scope.as_deref() });
        }
        None
    }

    /// An unqualified name is looked for in its own block alone: in an outer one it could be a select-list alias.
    fn unqualified(&self, column: &Name, sight: Sight<'_>) -> Option<(SourceId, usize)> {
        let block = &self.sketch.blocks[sight.block];
        if block.natural {
            return None;
        }
        let names_it = |&at: &usize| self.t.name(at).is_none_or(|name| Name::caseless(&name) == *column);
        let mut merges = block.merges.iter().filter(|merge| merge.columns.iter().any(names_it));
        let candidates: Vec<SourceId> = match merges.next() {
            None => self.in_sight(sight).collect(),
            // What USING makes of two columns is the left one's value, unless the join is a RIGHT one.
            Some(merge)
                if merges.next().is_none() && merge.join != JoinKind::Right && sight.scope.is_none() =>
            {
                let all_known = merge.left.iter().all(|&source| self.sources[source].columns().is_some());
                if !all_known || !self.is_only_in(column, &merge.left, &merge.right, &block.sources) {
                    return None;
                }
                merge.left.clone()
            }
            Some(_) => return None,
        };
        let mut found =
            candidates.iter().filter_map(|&source| Some((source, self.sources[source].column(column)?)));
        let only = found.next()?;
        found.next().is_none().then_some(only)
    }

    fn is_only_in(&self, column: &Name, left: &[SourceId], right: &[SourceId], all: &[SourceId]) -> bool {
        all.iter()
            .filter(|source| !left.contains(source) && !right.contains(source))
            .all(|&source| self.sources[source].column(column).is_none())
    }

    /// The sources of a block that an unqualified or qualified column, or a table's name in DELETE, may mean.
    pub(super) fn candidates(&self, run: Run, block: BlockId) -> Vec<SourceId> {
        if let Some((source, _)) = self.column(run, block, None) {
            return vec![source];
        }
        let t = self.t;
        let sources = &self.sketch.blocks[block].sources;
        if run.end - run.first == 1 {
            let Some(name) = t.name(run.first).map(|name| Name::caseless(&name)) else {
                return sources.clone();
            };
            let may_have = |&&id: &&SourceId| {
                self.sources[id].columns().is_none() || self.sources[id].column(&name).is_some()
            };
            return sources.iter().filter(may_have).copied().collect();
        }
        self.named(run.end - 3, sources)
    }

    /// The sources of this alias.
    pub(super) fn named(&self, table: usize, sources: &[SourceId]) -> Vec<SourceId> {
        let Ok(alias) = self.folded(table) else { return sources.to_vec() };
        sources.iter().filter(|&&id| self.sources[id].alias.as_ref() == Some(&alias)).copied().collect()
    }
}
