//! What each way sends. Never sends it.

use podway_model::{Keyspace, Name, ShardIndex, TableKind};

use super::said::{keys_said, merge_said};
use super::{ExplainedPart, Explanation, LIMITED, Last, Scene, Sent, Way, with_facts};
use crate::plan::definition::TableChange;
use crate::plan::gather::{Fold, Gather, Merge, Part, Rows};
use crate::plan::plan::Plan;
use crate::plan::rewrite::{TextPiece, put_name};
use crate::plan::target::Target;
use crate::{ClientCharset, RouterError, Statement};

impl Plan {
    /// One shard runs it.
    pub(super) fn one_shard(&self, scene: &Scene<'_>, keyspace: &Keyspace, shard: ShardIndex) -> Explanation {
        let mut notes = self.keys_said(scene);
        match &self.target {
            Target::Any { .. } => notes.push("any shard would do: all answer it alike".to_owned()),
            Target::Home { .. } if !keyspace.is_single() => {
                notes.push("the home shard alone has what it is about".to_owned());
            }
            Target::Whole { .. } => notes.push("the keyspace has one shard".to_owned()),
            _ => {}
        }
        if self.recognised.statement == Statement::ShowSums {
            notes.push("and the others are asked for their numbers".to_owned());
        }
        if let Statement::ShowSelected(selected) = &self.recognised.statement {
            let text = selected.text(scene.sql, scene.n, scene.facts.charset);
            notes.push(format!("as this SELECT: {}", String::from_utf8_lossy(&text)));
        }
        let sent = vec![self.as_sent(scene, keyspace, shard)];
        let parts = vec![ExplainedPart { title: None, sent }];
        Explanation { notes, parts, ..Explanation::of(Way::OneShard, Some(&keyspace.name)) }
    }

    /// The statement as this shard gets it.
    fn as_sent(&self, scene: &Scene<'_>, keyspace: &Keyspace, shard: ShardIndex) -> Sent {
        let is_named_alike = keyspace.shard(shard).is_some_and(|at| at.schema == keyspace.name);
        let mut text = Vec::new();
        if self.needs_rewrite(is_named_alike && scene.facts.database.is_some()) {
            with_facts(self, scene, (keyspace, shard), |facts| {
                self.rewrite(scene.sql, scene.n, facts, &mut text);
            });
        } else {
            text.extend_from_slice(scene.sql);
        }
        Sent { shard, text }
    }

    /// Rows of several shards are put together.
    pub(super) fn gathered(
        &self,
        scene: &Scene<'_>,
        keyspace: &Keyspace,
    ) -> Result<Explanation, RouterError> {
        let Some(gather) = self.gather.as_deref() else {
            return Err(RouterError::unsupported("a plan that does not say how rows are gathered"));
        };
        let not_one = self.not_one(gather, scene, keyspace);
        let hindrance = gather.merge.as_ref().map(|merge| (merge, scene.unmerged(merge, gather.locks())));
        let reason = match (hindrance, &gather.unmerged) {
            (Some((merge, None)), _) => return self.merged(scene, keyspace, (merge, gather, not_one)),
            (Some((_, Some(reason))), _) => reason,
            (None, Some(reason)) => reason,
            (None, None) => "it is not certain that the shards' own answers are the answer",
        };
        let mut notes = vec![not_one, format!("not merged: {reason}")];
        notes.extend(gather.locks().then(locks_said));
        let unfolded = scene.is_limited.then_some(LIMITED);
        match (&gather.fold, unfolded) {
            (Some(fold), None) => Ok(self.folded(scene, keyspace, (gather, fold), notes)),
            (fold, reason) => {
                if let (Some(_), Some(reason)) = (fold, reason) {
                    notes.push(format!("not folded: {reason}"));
                }
                Ok(self.finished(scene, keyspace, gather, notes))
            }
        }
    }

    fn merged(
        &self,
        scene: &Scene<'_>,
        keyspace: &Keyspace,
        (merge, gather, not_one): (&Merge, &Gather, String),
    ) -> Result<Explanation, RouterError> {
        let text = (scene.sql, scene.n);
        let mut shards = self.shards(keyspace, &merge.keys, text, &[]);
        if shards.len() < 2 {
            let shard = shards.pop().unwrap_or(keyspace.home);
            let mut one = self.one_shard(scene, keyspace, shard);
            one.notes = keys_said(&merge.keys, scene);
            return Ok(one);
        }
        let wanted = merge.wanted(scene.sql, scene.n)?;
        let mut notes = vec![not_one];
        notes.extend(keys_said(&merge.keys, scene));
        notes.extend(merge_said(merge, wanted, scene));
        notes.extend(gather.locks().then(locks_said));
        let sent = |shard: ShardIndex| {
            let mut out = Vec::new();
            with_facts(self, scene, (keyspace, shard), |facts| {
                self.shard_text(merge, wanted, text, facts, &mut out);
            });
            Sent { shard, text: out }
        };
        let parts = vec![ExplainedPart { title: None, sent: shards.into_iter().map(sent).collect() }];
        Ok(Explanation { notes, parts, ..Explanation::of(Way::Merged, Some(&keyspace.name)) })
    }

    fn folded(
        &self,
        scene: &Scene<'_>,
        keyspace: &Keyspace,
        (gather, fold): (&Gather, &Fold),
        mut notes: Vec<String>,
    ) -> Explanation {
        let text = (scene.sql, scene.n);
        notes.extend(keys_said(&fold.keys, scene));
        let sent = |shard: ShardIndex| {
            let mut out = b"SELECT *".to_vec();
            with_facts(self, scene, (keyspace, shard), |facts| self.fold_text(fold, text, facts, &mut out));
            Sent { shard, text: out }
        };
        let sent = self.shards(keyspace, &fold.keys, text, &[]).into_iter().map(sent).collect();
        let parts = vec![ExplainedPart {
            title: Some("part 1: the shards' own aggregates, as JSON".to_owned()),
            sent,
        }];
        let mut last = Vec::new();
        with_facts(self, scene, (keyspace, keyspace.home), |facts| {
            self.folded_text(fold, text, facts, b"(part 1)", &mut last);
        });
        let last = Some(Last { at_home: has_home_part(gather), text: last });
        Explanation { notes, parts, last, ..Explanation::of(Way::Folded, Some(&keyspace.name)) }
    }

    fn finished(
        &self,
        scene: &Scene<'_>,
        keyspace: &Keyspace,
        gather: &Gather,
        notes: Vec<String>,
    ) -> Explanation {
        let text = (scene.sql, scene.n);
        let parts = self.parts_said(scene, keyspace, gather);
        let mut last = Vec::new();
        with_facts(self, scene, (keyspace, keyspace.home), |facts| {
            self.final_text(gather, text, facts, &part_name, &mut last);
        });
        let last = Some(Last { at_home: has_home_part(gather), text: last });
        Explanation { notes, parts, last, ..Explanation::of(Way::Finished, Some(&keyspace.name)) }
    }

    /// What is read of each table.
    fn parts_said(&self, scene: &Scene<'_>, keyspace: &Keyspace, gather: &Gather) -> Vec<ExplainedPart> {
        let text = (scene.sql, scene.n);
        let part = |(nth, part): (usize, &Part)| {
            let alias = if part.alias == part.table { String::new() } else { format!(" AS {}", part.alias) };
            let title = format!("part {}: {}{alias}, as JSON", nth + 1, part.table);
            let shards = match &part.rows {
                Rows::Catalog(rows) => return self.catalog_part(scene, keyspace, (title, part, rows)),
                Rows::Home => vec![keyspace.home],
                Rows::Copy => vec![keyspace.home],
                Rows::Shards(keys) => self.shards(keyspace, keys, text, &[]),
            };
            let sent = |shard: ShardIndex| {
                let mut out = self.part_head(scene, keyspace, (gather, part));
                let schema = keyspace.shard(shard).map_or("", |shard| shard.schema.as_str());
                self.part_text(part, schema, text, &|_, _| None, &mut out);
                put_lock(part, &mut out);
                Sent { shard, text: out }
            };
            let from = if part.rows == Rows::Copy { ", from any shard" } else { "" };
            ExplainedPart {
                title: Some(format!("{title}{from}")),
                sent: shards.into_iter().map(sent).collect(),
            }
        };
        gather.parts.iter().enumerate().map(part).collect()
    }

    /// The columns that a part is read for, as far as the map knows its table.
    fn part_head(&self, scene: &Scene<'_>, keyspace: &Keyspace, (gather, part): (&Gather, &Part)) -> Vec<u8> {
        let table = keyspace.tables.get(&scene.map.names.name(&part.table));
        let known = table.map_or(&[][..], |table| table.columns.as_slice());
        let is_named = |name: &Name| gather.columns.as_ref().is_none_or(|names| names.contains(name));
        let mut out = b"SELECT ".to_vec();
        let named: Vec<&Name> =
            known.iter().map(|column| &column.name).filter(|name| is_named(name)).collect();
        for (nth, name) in named.iter().enumerate() {
            if nth > 0 {
                out.extend_from_slice(b", ");
            }
            put_name(name.as_str().as_bytes(), ClientCharset::Utf8, &mut out);
        }
        if named.is_empty() {
            out.extend_from_slice("…".as_bytes());
        }
        out
    }

    /// Several shards write.
    pub(super) fn scattered(
        &self,
        scene: &Scene<'_>,
        keyspace: &Keyspace,
    ) -> Result<Explanation, RouterError> {
        let Some(scatter) = self.scatter.as_deref() else {
            return Err(RouterError::unsupported("a plan that does not say how it writes on several shards"));
        };
        let text = (scene.sql, scene.n);
        let pieces = self.pieces(scatter, keyspace, text, &[], &self.shown_numbers(text))?;
        let mut notes = vec![match (scatter.is_copies, pieces.len()) {
            _ if scatter.transfer.is_some() => {
                "the query is run as a statement of its own; its rows are inserted where they belong"
                    .to_owned()
            }
            _ if scatter.load.is_some() => {
                "the client's file is cut into records, which are loaded where they belong".to_owned()
            }
            _ if scatter.moves.is_some() => {
                "not one shard: rows whose new sharding key leads to another one go there".to_owned()
            }
            _ if scatter.is_at_home => {
                "the home shard writes, with rows of others, which are read first and stay locked".to_owned()
            }
            _ if scatter.fed.is_some() => {
                "not one shard: its rows meet rows of others, which are read first and stay locked".to_owned()
            }
            (true, _) => "not one shard: every shard has a copy of the reference table".to_owned(),
            (false, _) if scatter.rows.is_empty() && scatter.keys.is_empty() => {
                "not one shard: nothing pins its rows to one key".to_owned()
            }
            (false, count) => format!("not one shard: its keys lead to {count} shards"),
        }];
        notes.extend(self.keys_said(scene));
        notes.push("one after the other, all in one transaction".to_owned());
        if let Some(limited) = scatter.limited.as_deref().filter(|_| pieces.len() > 1) {
            let how = match &limited.chosen {
                Some(_) => {
                    "each shard locks its first rows; the first of all are written by their primary keys"
                }
                None => "each shard writes what is left of it",
            };
            notes.push(format!("LIMIT is of all shards together: {how}"));
        }
        if scatter.reads_clock {
            notes.push("with the proxy's clock as every shard's timestamp".to_owned());
        }
        let sent = pieces.iter().map(|piece| {
            let mut out = Vec::new();
            with_facts(self, scene, (keyspace, piece.shard), |facts| match &scatter.fed {
                Some(gather) => self.fed_text(gather, text, facts, &part_name, &mut out),
                None => self.piece_text(piece, text, facts, &mut out),
            });
            Sent { shard: piece.shard, text: out }
        });
        let sent = sent.collect();
        let mut parts = scatter.fed.as_ref().map_or(Vec::new(), |fed| self.parts_said(scene, keyspace, fed));
        let title =
            scatter.fed.is_some().then(|| "then, with all rows of the parts on each shard".to_owned());
        parts.push(ExplainedPart { title, sent });
        Ok(Explanation { notes, parts, ..Explanation::of(Way::Scattered, Some(&keyspace.name)) })
    }

    /// The topology has every shard do it.
    pub(super) fn everywhere_said(
        &self,
        scene: &Scene<'_>,
        keyspace: &Keyspace,
        declares: bool,
    ) -> Explanation {
        let changes = self.definition.as_ref().map_or(&[][..], |definition| definition.changes.as_slice());
        let mut notes: Vec<String> = changes.iter().map(|change| change_said(change, keyspace)).collect();
        notes.push(match declares {
            true => "everywhere but at home first; at home when every proxy knows the table".to_owned(),
            false => "on one shard first, then on the others; it commits the open transaction".to_owned(),
        });
        let pieces = with_facts(self, scene, (keyspace, keyspace.home), |facts| {
            self.text_pieces(scene.sql, scene.n, facts)
        });
        let sent = |shard: ShardIndex| {
            let schema = |name: &Name| {
                let shard = keyspace.shard(shard).filter(|_| keyspace.name == *name);
                shard.map_or(name.as_str(), |shard| shard.schema.as_str()).to_owned()
            };
            let mut text = Vec::new();
            for piece in &pieces {
                match piece {
                    TextPiece::Text(bytes) => text.extend_from_slice(bytes),
                    TextPiece::Schema(name) => {
                        put_name(schema(name).as_bytes(), ClientCharset::Utf8, &mut text);
                    }
                }
            }
            Sent { shard, text }
        };
        let sent = (0..keyspace.shards.len()).map(|shard| sent(ShardIndex(shard as u16))).collect();
        let parts = vec![ExplainedPart { title: None, sent }];
        Explanation { notes, parts, ..Explanation::of(Way::Operation, Some(&keyspace.name)) }
    }
}

fn put_lock(part: &Part, out: &mut Vec<u8>) {
    if let Some(lock) = part.lock {
        out.push(b' ');
        out.extend_from_slice(lock.sql().as_bytes());
    }
}

fn locks_said() -> String {
    "locks: what is read stays locked until the transaction ends; on its own the statement has one of its own".to_owned()
}

/// What stands for a part's rows.
fn part_name(part: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("(part {})", part + 1).as_bytes());
}

fn has_home_part(gather: &Gather) -> bool {
    gather.is_catalog() || gather.parts.iter().any(|part| part.rows == Rows::Home)
}

fn change_said(change: &TableChange, keyspace: &Keyspace) -> String {
    let kind = |name: &Name| match keyspace.tables.get(name).map(|table| &table.kind) {
        Some(TableKind::Sharded(_)) => "sharded ",
        Some(TableKind::Reference) => "reference ",
        _ => "",
    };
    match change {
        TableChange::Altered(name) => format!("alters the {}table {name}", kind(name)),
        TableChange::Created(name) => format!("creates the {}table {name}", kind(name)),
        TableChange::Dropped(name) => format!("drops the {}table {name}", kind(name)),
        TableChange::Emptied(name) => format!("empties the {}table {name}", kind(name)),
        TableChange::Retriggered(name) => format!("changes the triggers of the {}table {name}", kind(name)),
        TableChange::Renamed { from, to } => format!("renames the {}table {from} to {to}", kind(from)),
    }
}
