//! INSERT … SELECT and REPLACE … SELECT: the query runs as a statement of its own, wherever its rows are, and its rows are inserted where they belong. Whatever the query
//! computes, it computes once; what is inserted are its rows. So the words that matter here are those of ON DUPLICATE KEY UPDATE alone.

use std::sync::Arc;

use podway_model::{Column, Name, Table};

use super::copies::has_unknown_default;
use super::given_texts::{self, Texts};
use super::inserts::insert_update;
use super::{Scatter, words};
use crate::plan::bind::{Binding, Bound, Place, unreadable};
use crate::plan::gather::{names, span};
use crate::plan::sketch::parts::{Insert, Role, Run};
use crate::plan::tokens::{Class, Tokens};
use crate::{Recognised, RouterError, TemplateSpan};

/// Where a query's rows are inserted.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Which shards get them.
    pub to: Receiver,
    /// The table's name, as the statement spells it.
    pub table: Box<str>,
    /// The columns that are given, where they are known.
    pub columns: Option<Vec<Column>>,
    /// Which of the columns is the AUTO_INCREMENT column, if the cluster gives its numbers.
    pub counter: Option<usize>,
    /// INSERT IGNORE.
    pub ignore: bool,
    /// ON DUPLICATE KEY UPDATE.
    pub updates: bool,
    /// The name of the AUTO_INCREMENT column where the statement does not give it, and where in the list of columns it goes: it is the last of [`Self::columns`] then.
    pub(in crate::plan) added: Option<(u32, Name)>,
    /// In which character sets the query's texts may have been, before they are read in UTF-8.
    pub texts: Texts,
    /// Whether the query has literals of bytes that are numbers where a number is wanted.
    pub has_number_literals: bool,
    /// The query.
    pub(in crate::plan) query: TemplateSpan,
    /// The numbers of the query's parameters: from the first to before the second. Those behind it are of ON DUPLICATE KEY UPDATE.
    pub(in crate::plan) params: (u32, u32),
    /// How many parameters the statement has.
    pub(in crate::plan) all_params: u32,
}

/// Which shards get a query's rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Receiver {
    /// Each row its own shard.
    Sharded(Arc<Table>),
    /// Every shard all rows.
    Copies,
    /// The home shard.
    Home,
}

/// A bound that MySQL has for SELECTs alone.
const TIME_HINT: &[u8] = b"MAX_EXECUTION_TIME";

/// How the rows of a query are inserted; an error names what stands in the way.
pub(in crate::plan) fn transfer(
    binding: &Binding<'_>,
    recognised: &Recognised,
    insert: &Insert,
) -> Result<Scatter, RouterError> {
    let t = binding.t;
    let is_target = |id: &usize| binding.sketch.sources[*id].role == Role::Insert;
    let target = (0..binding.sources.len()).find(is_target).map(|id| &binding.sources[id]);
    let (Some(target), Some(query)) = (target, insert.query) else { return Err(unreadable()) };
    words::check_effects(recognised)?;
    if binding.sketch.needs_home {
        return Err(words::refused("a function of one server"));
    }
    let Some(keyspace) = target.keyspace.as_ref().map(|keyspace| keyspace.name.clone()) else {
        return Err(RouterError::unsupported(format_args!(
            "INSERT … SELECT into the table {}",
            target.table
        )));
    };
    check_comments(t)?;
    let bounded = t.slice(t.start(query.first), t.start(query.end)).to_ascii_uppercase();
    if bounded.windows(TIME_HINT.len()).any(|text| text == TIME_HINT) {
        return Err(words::refused("the hint MAX_EXECUTION_TIME in the query of an INSERT"));
    }
    let mut columns = given(binding, insert, target)?;
    let added = added_counter(binding, insert, target, columns.as_deref());
    if let (Some((_, column)), Some(columns)) = (&added, &mut columns) {
        columns.push(column.clone());
    }
    let tail = insert_update(t);
    check_tail(binding, target, tail)?;
    let to = match &target.place {
        Place::Sharded(table) => {
            check_key(table, columns.as_deref().unwrap_or_default())?;
            Receiver::Sharded(table.clone())
        }
        Place::Reference(_) => {
            check_copy(target, columns.as_deref(), insert, tail, t)?;
            Receiver::Copies
        }
        Place::Home(_) => Receiver::Home,
        _ => return Err(RouterError::unsupported(format_args!("INSERT … SELECT into {}", target.table))),
    };
    let params = |end: usize| (0..end).filter(|&at| matches!(t.class(at), Class::Param(_))).count() as u32;
    let is_copies = to == Receiver::Copies;
    let is_counted = |columns: &Vec<Column>| columns.iter().position(|column| column.auto_increment);
    let transfer = Transfer {
        counter: columns.as_ref().filter(|_| to != Receiver::Home).and_then(is_counted),
        to,
        table: target.table.as_str().into(),
        columns,
        ignore: insert.ignore,
        updates: tail.first < tail.end,
        added: added.map(|(at, column)| (at, column.name)),
        texts: given_texts::texts(binding, query),
        has_number_literals: given_texts::has_number_literals(t, query),
        query: span(t, query),
        params: (params(query.first), params(query.end)),
        all_params: params(t.len()),
    };
    Ok(Scatter { reads_clock: true, is_copies, transfer: Some(Box::new(transfer)), ..Scatter::new(keyspace) })
}

/// Pieces of the text stand alone elsewhere: none may begin or end inside a comment that a server reads as text.
pub(super) fn check_comments(t: &Tokens<'_>) -> Result<(), RouterError> {
    match t.slice(0, t.end(t.len())).windows(3).any(|text| text == b"/*!") {
        true => Err(words::refused("a comment for some versions of MySQL")),
        false => Ok(()),
    }
}

/// The columns that the query's give values for, in their order; `None` where they are not known.
fn given(binding: &Binding<'_>, insert: &Insert, target: &Bound) -> Result<Option<Vec<Column>>, RouterError> {
    let Some(all) = target.columns() else { return Ok(None) };
    let Some(tokens) = &insert.columns else {
        return Ok(Some(all.iter().filter(|column| !column.invisible).cloned().collect()));
    };
    let mut listed = Vec::with_capacity(tokens.len());
    for &at in tokens {
        let spelled = binding.t.name(at).ok_or_else(unreadable)?;
        let name = Name::caseless(&spelled);
        let Some(column) = all.iter().find(|column| column.name == name) else {
            // MySQL says what is wrong; but where, for sharded tables, cannot be told.
            return match target.place {
                Place::Home(_) => Ok(None),
                _ => Err(RouterError::new(
                    1054,
                    b"42S22",
                    format!("Unknown column '{spelled}' in 'field list'"),
                )),
            };
        };
        listed.push(column.clone());
    }
    Ok(Some(listed))
}

/// The AUTO_INCREMENT column, where the statement lists columns and this one is not among them; and where its name goes, right before the list's end.
fn added_counter(
    binding: &Binding<'_>,
    insert: &Insert,
    target: &Bound,
    given: Option<&[Column]>,
) -> Option<(u32, Column)> {
    let is_given = |column: &Column| given.is_some_and(|given| given.iter().any(|of| of.name == column.name));
    let last = *insert.columns.as_ref()?.last()?;
    let column = target.columns()?.iter().find(|column| column.auto_increment && !is_given(column))?;
    let is_numbered = matches!(target.place, Place::Sharded(_) | Place::Reference(_));
    (is_numbered && column.name.as_str().is_ascii()).then(|| (binding.t.end(last) as u32, column.clone()))
}

/// Every row must tell its key, and its AUTO_INCREMENT number.
fn check_key(table: &Table, given: &[Column]) -> Result<(), RouterError> {
    let is_given = |column: &Column| given.iter().any(|given| given.name == column.name);
    if let Some(column) = table.key_columns().find(|column| !is_given(column)) {
        return Err(RouterError::unsupported(format_args!(
            "INSERT … SELECT without a value for the sharding key column {}",
            column.name
        )));
    }
    check_counter(&table.columns, &is_given, table.name.as_str())
}

fn check_counter(
    columns: &[Column],
    is_given: &dyn Fn(&Column) -> bool,
    table: &str,
) -> Result<(), RouterError> {
    match columns.iter().find(|column| column.auto_increment && !is_given(column)) {
        None => Ok(()),
        Some(column) => Err(RouterError::unsupported(format_args!(
            "INSERT … SELECT without a value for the AUTO_INCREMENT column {} of {table}",
            column.name
        ))),
    }
}

/// All copies must stay alike.
fn check_copy(
    target: &Bound,
    given: Option<&[Column]>,
    insert: &Insert,
    tail: Run,
    t: &Tokens<'_>,
) -> Result<(), RouterError> {
    let name = &target.table;
    let refused = |what: &str| RouterError::unsupported(format_args!("{what} the reference table {name}"));
    let (Some(all), Some(given)) = (target.columns(), given) else {
        return Err(refused("INSERT … SELECT, where columns are not known, into"));
    };
    if insert.ignore && tail.first < tail.end {
        return Err(refused("INSERT IGNORE … ON DUPLICATE KEY UPDATE of"));
    }
    if (tail.first..tail.end).any(|at| t.is(at, "DEFAULT")) && all.iter().any(has_unknown_default) {
        return Err(refused("DEFAULT in a change of"));
    }
    let is_given = |column: &Column| given.iter().any(|given| given.name == column.name);
    if let Some(column) = all.iter().find(|column| !is_given(column) && has_unknown_default(column)) {
        return Err(refused(&format!("INSERT without a value for the column {} of", column.name)));
    }
    check_counter(all, &is_given, name)
}

/// ON DUPLICATE KEY UPDATE may name the table's own columns alone: what the query had besides is not there any more.
fn check_tail(binding: &Binding<'_>, target: &Bound, tail: Run) -> Result<(), RouterError> {
    let t = binding.t;
    if tail.first >= tail.end {
        return Ok(());
    }
    words::check(t, tail, &[&words::OVER_ROWS[..], &["VALUES"]].concat())?;
    let Some(columns) = target.columns() else {
        return Err(words::refused("ON DUPLICATE KEY UPDATE of a table whose columns are not known"));
    };
    for at in tail.first..tail.end {
        if t.is(at, "SELECT") {
            return Err(words::refused("a subquery in ON DUPLICATE KEY UPDATE behind a query"));
        }
    }
    for name in names(t, tail) {
        let spelled = t.name(name.end - 1).ok_or_else(unreadable)?;
        let is_column = columns.iter().any(|column| column.name == Name::caseless(&spelled));
        let qualifier = (name.end - name.first > 1).then(|| t.name(name.end - 3)).flatten();
        let qualifier_is_missing = qualifier.is_none();
        let is_own = qualifier.is_none_or(|qualifier| {
            binding.ctx.map.names.fold(&qualifier) == binding.ctx.map.names.fold(&target.table)
        });
        // MySQL holds it for ambiguous where the query has such a column, too.
        let is_set = binding.sketch.assigned.iter().any(|(_, run)| *run == name);
        let is_of_row = name.first >= 2 && t.are(name.first - 2, &["VALUES", "("]);
        let may_be_other = |bound: &Bound| {
            let columns = bound
                .columns()
                .map(|columns| columns.iter().any(|column| column.name == Name::caseless(&spelled)));
            columns.unwrap_or(true)
        };
        let others = binding
            .sources
            .iter()
            .zip(&binding.sketch.sources)
            .filter(|(_, source)| source.role != Role::Insert);
        let is_unclear = !is_set
            && !is_of_row
            && qualifier_is_missing
            && others.into_iter().any(|(bound, _)| may_be_other(bound));
        if !is_column || !is_own || is_unclear {
            return Err(words::refused(format_args!("{spelled} in ON DUPLICATE KEY UPDATE behind a query")));
        }
    }
    if let Place::Sharded(table) = &target.place {
        let sets_key = binding.sketch.assigned.iter().any(|(_, run)| {
            let name = t.name(run.end - 1).map(|name| Name::caseless(&name));
            name.is_none_or(|name| table.key_columns().any(|column| column.name == name))
        });
        if sets_key {
            return Err(words::refused("a change of the sharding key in ON DUPLICATE KEY UPDATE"));
        }
    }
    Ok(())
}

impl Transfer {
    /// About how many bytes it holds.
    pub(super) fn memory(&self) -> usize {
        let columns = self.columns.as_ref().map_or(0, |columns| columns.capacity() * 2 * size_of::<Column>());
        size_of::<Transfer>() + self.table.len() + columns
    }

    /// Whether the AUTO_INCREMENT column is one that the statement does not give.
    pub fn adds_counter(&self) -> bool {
        self.added.is_some()
    }

    /// The numbers of the query's parameters.
    pub fn query_params(&self) -> Vec<u32> {
        (self.params.0..self.params.1).collect()
    }

    /// The numbers of the parameters that stand in ON DUPLICATE KEY UPDATE.
    pub fn other_params(&self) -> Vec<u32> {
        (0..self.params.0).chain(self.params.1..self.all_params).collect()
    }
}
