//! What differs on the servers from the map: asked for, reported, forgotten. A report counts only if nothing has changed since the shards were read: then what
//! it found is so of this map, and no statement that changes tables is under way between. Nothing is compared here.

use std::sync::Arc;

use podway_model::{Change, Drift, DriftSubject, Map};
use podway_topology_api::{
    ChecksView, Done, DriftReport, DriftView, Finding, LogTime, MAX_FINDINGS, OperationId, Refusal,
    TableCommand, Thing,
};
use serde::{Deserialize, Serialize};

use super::keyspaces::find_keyspace;
use super::names::{check_identifier, sentence, unknown};
use super::outcome::{Effect, Now};
use super::tables;

/// How many sentences of a report the log of changes gets.
const TOLD: usize = 5;
/// How many things that could not be read are kept.
const UNREAD_KEPT: usize = 20;

/// When the shards were compared, and whether somebody waits for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Checks {
    /// How often somebody asked.
    asked: u64,
    /// Up to which request it was done.
    answered: u64,
    at: Option<LogTime>,
    unread: Vec<Box<str>>,
}

/// What a report comes to besides its changes of tables.
pub(super) struct Reported {
    pub(super) effect: Effect,
    /// Tables whose columns are to be taken over.
    pub(super) taken_over: Vec<TableCommand>,
}

impl Checks {
    /// Somebody wants the shards compared.
    pub(super) fn ask(&mut self) -> Effect {
        self.asked += 1;
        Effect::quiet(Done::CheckAsked(self.asked))
    }

    /// The number of the last request that nothing was reported for.
    pub(super) fn open(&self) -> Option<u64> {
        (self.asked > self.answered).then_some(self.asked)
    }

    /// How often somebody asked.
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }

    /// The shards were compared.
    pub(super) fn report(
        &mut self,
        report: &DriftReport,
        last: OperationId,
        map: &Map,
        now: &Now<'_>,
    ) -> Result<Reported, Refusal> {
        if report.as_of != map.revision || report.last_operation != last {
            return Err(Refusal::Outdated { read: report.as_of, current: map.revision });
        }
        if report.findings.len() > MAX_FINDINGS {
            return Err(Refusal::Full { what: Thing::Finding, limit: MAX_FINDINGS as u64 });
        }
        let (mut changes, mut told, mut taken_over) = (Vec::new(), Vec::new(), Vec::new());
        for finding in &report.findings {
            match finding {
                Finding::Differs { subject, what, stops_pinning } => {
                    let subject = named(subject, map)?;
                    let known = map.drift(&subject);
                    let since_ms = known.map_or(now.at.0, |drift| drift.since_ms);
                    let drift = Drift { what: sentence(what), since_ms, stops_pinning: *stops_pinning };
                    if known.is_some_and(|known| **known == drift) {
                        continue;
                    }
                    told.push(format!("{subject}: {}", drift.what));
                    changes.push(Change::Drift { subject, drift: Some(Arc::new(drift)) });
                }
                Finding::Agrees { subject } => {
                    let subject = named(subject, map)?;
                    if map.drift(&subject).is_some() {
                        told.push(format!("{subject} is as it should be again"));
                        changes.push(Change::Drift { subject, drift: None });
                    }
                }
                Finding::Columns { keyspace, table, columns } => {
                    let command = TableCommand::Alter {
                        keyspace: keyspace.clone(),
                        table: table.clone(),
                        columns: columns.clone(),
                    };
                    // One that cannot be taken over keeps none of the others from it.
                    if tables::execute(&command, map).is_ok_and(|effect| !effect.changes.is_empty()) {
                        told.push(format!("table {keyspace}.{table} was altered on every shard"));
                        taken_over.push(command);
                    }
                }
            }
        }
        self.answered = self.answered.max(report.answers.min(self.asked));
        self.at = Some(now.at);
        self.unread = report.unread.iter().take(UNREAD_KEPT).map(|what| sentence(what)).collect();
        let more = told.len().saturating_sub(TOLD);
        told.truncate(TOLD);
        if more > 0 {
            told.push(format!("and {more} more"));
        }
        let what = (!told.is_empty()).then(|| told.join("; "));
        Ok(Reported { effect: Effect { done: Done::Changed, changes, what }, taken_over })
    }

    pub(super) fn view(&self) -> ChecksView {
        let Checks { asked, answered, at, unread } = self.clone();
        ChecksView { asked, answered, at, unread }
    }
}

/// What differs, as a reader may see it.
pub(super) fn view(map: &Map) -> Vec<DriftView> {
    let view = |(subject, drift): (&DriftSubject, &Arc<Drift>)| DriftView {
        subject: subject.clone(),
        what: drift.what.clone(),
        since: LogTime(drift.since_ms),
        stops_pinning: drift.stops_pinning,
    };
    map.drifts().map(view).collect()
}

/// The mark of a table that gets another name goes with it.
pub(super) fn renamed(before: &DriftSubject, after: DriftSubject, map: &Map) -> Option<Change> {
    let drift = map.drift(before)?;
    Some(Change::Drift { subject: after, drift: Some(drift.clone()) })
}

/// The subject as the map names it; one that the map cannot have is refused.
fn named(subject: &DriftSubject, map: &Map) -> Result<DriftSubject, Refusal> {
    match subject {
        DriftSubject::Server(id) => match map.server(*id) {
            Some(_) => Ok(subject.clone()),
            None => Err(unknown(Thing::Server, &id.0.to_string(), [])),
        },
        DriftSubject::Table { keyspace, table } => {
            check_identifier(Thing::Table, table.as_str())?;
            let keyspace = find_keyspace(keyspace.as_str(), map)?.name.clone();
            Ok(DriftSubject::Table { keyspace, table: map.names.name(table.as_str()) })
        }
    }
}
