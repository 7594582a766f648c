//! The comment `/*podway: shard=-80 */` or `/*podway: key(customers)=42 */` in a SELECT or its EXPLAIN: that shard answers the statement by itself, of its own rows. It
//! never makes anything written: whatever writes is refused with it. Which shard it is, is known when the values are; what it may stand in, when the statement is
//! planned.

use podway_model::{KeyRange, Keyspace, KeyspaceId, Map, SLOT_BITS, ShardIndex, Slot, TableKind};

use super::gather::Rows;
use super::plan::Plan;
use super::target::{Route, Target};
use crate::lex::LiteralKind;
use crate::vindex::{KeyValue, Pinned, PredicateId, ValueContext, keyspace_id_for_predicate, literal_value};
use crate::{Effects, Normalised, RouterError, Statement, Verb};

/// The target of a statement with such a comment, planned without it.
pub(super) fn hinted(plan: &Plan, target: Target) -> Result<Target, RouterError> {
    let more =
        Effects::WRITES | Effects::PINS | Effects::MANY_RESULTS | Effects::USER_LOCKS | Effects::SERVER_FILES;
    let is_read = matches!(
        plan.verb(),
        Verb::Select | Verb::Table | Verb::Values | Verb::Explain | Verb::ExplainAnalyze
    ) && !plan.effects().intersects(more);
    match target {
        Target::Any { .. } | Target::Home { .. } | Target::Keys { .. } | Target::Gathered { .. }
            if is_read =>
        {
            Ok(target)
        }
        // What is explained has the comment as well, or has it not.
        Target::Nowhere if matches!(plan.statement(), Statement::ExplainPodway { .. }) => Ok(target),
        Target::Refused(_) | Target::Whole { .. } => Ok(target),
        _ => Err(RouterError::unsupported(
            "a podway comment that names a shard or a key, in anything but a SELECT or its EXPLAIN",
        )),
    }
}

impl Plan {
    /// The shard that the statement's own comment names.
    pub(super) fn hinted_route(
        &self,
        map: &Map,
        hint: &[u8],
        n: &Normalised,
    ) -> Result<Option<Route>, RouterError> {
        let Some(keyspace) = self.keyspace().and_then(|name| map.keyspace(name)) else { return Ok(None) };
        if keyspace.is_single() || matches!(self.target, Target::Whole { .. } | Target::Refused(_)) {
            return Ok(None);
        }
        let shard = self.hinted_shard(map, keyspace, hint, n)?;
        let mut parts = self.gather.iter().flat_map(|gather| &gather.parts);
        let has_home = parts.any(|part| matches!(part.rows, Rows::Home | Rows::Catalog(_)));
        let needs_home = match &self.target {
            Target::Home { .. } => true,
            Target::Keys { needs_home, .. } => *needs_home || has_home,
            _ => has_home,
        };
        if needs_home && shard != keyspace.home {
            return Err(RouterError::unsupported(
                "a podway comment that names another shard than the home shard, which alone has what the statement is about",
            ));
        }
        Ok(Some(Route::Shard(shard)))
    }

    fn hinted_shard(
        &self,
        map: &Map,
        keyspace: &Keyspace,
        hint: &[u8],
        n: &Normalised,
    ) -> Result<ShardIndex, RouterError> {
        let said = String::from_utf8_lossy(hint).trim().to_owned();
        let unreadable = || {
            RouterError::unsupported(format_args!(
                "the podway comment {said}: it is shard=RANGE or key(TABLE)=VALUE"
            ))
        };
        let (left, right) = said.split_once('=').ok_or_else(unreadable)?;
        let (left, right) = (left.trim(), right.trim());
        if left.eq_ignore_ascii_case("shard") {
            let range: KeyRange = right.parse().map_err(|_| unreadable())?;
            return owner(keyspace, range).ok_or_else(|| {
                RouterError::unsupported(format_args!(
                    "the podway comment {said}: no one shard of {} has all of this range",
                    keyspace.name
                ))
            });
        }
        let (word, table) = left.split_once('(').ok_or_else(unreadable)?;
        let table = table.trim_end().strip_suffix(')').ok_or_else(unreadable)?.trim();
        if !word.trim().eq_ignore_ascii_case("key") {
            return Err(unreadable());
        }
        let found = keyspace.tables.get(&map.names.name(table.trim_matches('`')));
        let found = found.filter(|table| matches!(table.kind, TableKind::Sharded(_))).ok_or_else(|| {
            RouterError::unsupported(format_args!(
                "the podway comment {said}: {table} is no sharded table of {}",
                keyspace.name
            ))
        })?;
        let mut values = Normalised::new();
        values.set_version(n.version());
        values.run(right.as_bytes(), n.mode(), n.charset()).map_err(|_| unreadable())?;
        let key = self.hinted_values(right.as_bytes(), &values).ok_or_else(unreadable)?;
        let key = key.into_iter().map(|value| Pinned { value, null_safe: false });
        match keyspace_id_for_predicate(found, key) {
            PredicateId::Id(id) => Ok(keyspace.shard_of(id)),
            PredicateId::NoRow | PredicateId::Uncertain => Err(RouterError::unsupported(format_args!(
                "the podway comment {said}: where this key leads is not certain"
            ))),
        }
    }

    /// The values in `42` or `(1, 'a')`; none where something else stands there.
    fn hinted_values<'v>(&self, text: &'v [u8], n: &'v Normalised) -> Option<Vec<KeyValue<'v>>> {
        let values = &self.values;
        let context =
            ValueContext { sql_mode: values.sql_mode, charset: values.charset, collation: &values.collation };
        let is_plain = |byte: &u8| {
            LiteralKind::from_placeholder(*byte).is_some()
                || matches!(byte, b'(' | b',' | b')' | b' ' | b'\t')
        };
        let literals = n.literals();
        let is_value = n.template().iter().all(is_plain) && !literals.is_empty();
        let is_one_each = n.template().iter().filter(|byte| **byte == b',').count() + 1 == literals.len();
        let value = |at: usize| literal_value(text, literals, at, &context);
        (is_value && is_one_each).then(|| (0..literals.len()).map(value).collect())
    }
}

/// The shard that has all of a range.
fn owner(keyspace: &Keyspace, range: KeyRange) -> Option<ShardIndex> {
    let slots = (range.first.index()..=range.last.index()).filter_map(Slot::new);
    let mut owners =
        slots.map(|slot| keyspace.shard_of(KeyspaceId((slot.index() as u64) << (u64::BITS - SLOT_BITS))));
    let first = owners.next()?;
    owners.all(|shard| shard == first).then_some(first)
}
