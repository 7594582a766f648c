//! How the map follows a statement that every shard has: tables with other columns, other names, or gone. What the map does not have does not concern it.
//! Whether the report may be made at all, [`statements`](super::statements) has said.

use podway_model::{Change, Map, Revision};
use podway_topology_api::{Follow, OperationId, OperationKind, Refusal, Report, TableCommand};

use super::State;
use super::keyspaces::find_keyspace;
use super::outcome::{Effect, Now};
use super::users;

impl State {
    /// What a report that was taken does to the map.
    pub(super) fn follow_report(
        &mut self,
        id: OperationId,
        report: &Report,
        map: &Map,
        now: &Now<'_>,
        effect: &mut Effect,
    ) {
        if let Report::AccountsChanged(accounts) | Report::AccountsFollowed(accounts) = report {
            let is_last = matches!(report, Report::AccountsFollowed(_));
            return self.follow_accounts(id, users::Followed { accounts, is_last }, map, now, effect);
        }
        let Some(OperationKind::Ddl(ddl)) = self.operations.find(id).map(|operation| &operation.kind) else {
            return;
        };
        let keyspace = ddl.keyspace.clone();
        match report {
            Report::Declared(table) => {
                let declare = TableCommand::Declare { keyspace, table: table.clone(), next: None };
                // That it can be declared was seen before the report was taken.
                if let Ok(declared) = self.table(&declare, map, now) {
                    effect.changes = declared.changes;
                    effect.what = declared.what;
                }
            }
            Report::Followed(follows) => self.follow_all((id, &keyspace, follows), map, now, effect),
            _ => {}
        }
    }

    fn follow_accounts(
        &mut self,
        id: OperationId,
        followed: users::Followed<'_>,
        map: &Map,
        now: &Now<'_>,
        effect: &mut Effect,
    ) {
        let Some(statement) = self.operations.user_statement(id) else { return };
        match users::changes(statement, &followed, map, now) {
            Ok(changes) => effect.changes = changes,
            Err(refusal) => effect.what = self.operations.not_followed(id, &refusal.to_string()),
        }
    }

    fn follow_all(
        &mut self,
        (id, keyspace, follows): (OperationId, &str, &[Follow]),
        map: &Map,
        now: &Now<'_>,
        effect: &mut Effect,
    ) {
        // Each is done on the map as those before leave it: two tables may change their names.
        let mut next = map.clone();
        for follow in follows {
            match self.follow(keyspace, follow, &next, now) {
                Ok(changes) if changes.is_empty() => {}
                Ok(changes) => {
                    if let Ok(changed) = next.changed(Revision(next.revision.0 + 1), &changes) {
                        next = changed;
                    }
                    effect.changes.extend(changes);
                }
                Err(refusal) => {
                    effect.what = self.operations.not_followed(id, &refusal.to_string());
                    return;
                }
            }
        }
        if effect.changes.is_empty() {
            effect.what = self.operations.finish(id);
        }
    }

    fn follow(
        &mut self,
        keyspace: &str,
        follow: &Follow,
        map: &Map,
        now: &Now<'_>,
    ) -> Result<Vec<Change>, Refusal> {
        let known = find_keyspace(keyspace, map)?;
        let is_known = |name: &str| known.tables.contains_key(map.names.fold(name).as_ref());
        let keyspace = || keyspace.into();
        let command = match follow {
            Follow::Columns { table, columns, .. } if is_known(table) => {
                TableCommand::Alter { keyspace: keyspace(), table: table.clone(), columns: columns.clone() }
            }
            Follow::Renamed { from, to } if is_known(from) => {
                TableCommand::Rename { keyspace: keyspace(), table: from.clone(), to: to.clone() }
            }
            Follow::Forgotten(table) if is_known(table) => {
                TableCommand::Forget { keyspace: keyspace(), table: table.clone() }
            }
            _ => return Ok(Vec::new()),
        };
        let mut changes = self.table(&command, map, now)?.changes;
        if let Follow::Columns { table, next: Some(next), .. } = follow {
            let table = map.names.name(table);
            changes.extend(self.sequences.raise_in_use(known, &table, *next, now.revision));
        }
        Ok(changes)
    }
}
