//! Which bytes of a statement the proxy must replace. Never replaces them: that is [`super::rewrite`].

use super::bind::{Binding, Place};
use super::mentions::Mentions;
use super::plan::Plan;
use super::show::Subject;
use super::sketch::parts::Run;
use super::target::{Splice, SpliceKind};
use super::tokens::{Class, Tokens};
use crate::{Effects, FunctionKind, FunctionSpan, TemplateSpan};

/// The splices of a statement that was understood.
pub(super) fn understood(plan: &mut Plan, binding: &Binding<'_>, show: Option<Subject>) {
    let t = binding.t;
    let about_server =
        show.is_some() || binding.sources.iter().any(|bound| matches!(bound.place, Place::System(_)));
    if about_server {
        plan.recognised.effects |= Effects::READS_SYSTEM_SCHEMA;
    }
    calls(plan, about_server);
    let map = binding.ctx.map;
    for &at in &binding.sketch.qualifiers {
        let keyspace =
            t.name(at).and_then(|name| map.keyspace_spelled(&name).map(|keyspace| keyspace.name.clone()));
        if let Some(keyspace) = keyspace {
            plan.splices.push(Splice {
                span: span(t, Run { first: at, end: at + 1 }),
                kind: SpliceKind::Schema(keyspace),
            });
        }
    }
    if about_server && show.is_none() {
        for at in 0..t.len() {
            if let Class::Literal(number, kind) = t.class(at)
                && kind.is_text()
            {
                let span = span(t, Run { first: at, end: at + 1 });
                plan.splices.push(Splice { span, kind: SpliceKind::SchemaText(number) });
            }
        }
    }
    let items: Vec<TemplateSpan> = binding.sketch.items.iter().map(|&run| span(t, run)).collect();
    headings(plan, &items);
}

/// The splices of a statement that was not understood: names that can only be databases, and calls.
pub(super) fn unread(plan: &mut Plan, t: &Tokens<'_>, mentions: &Mentions) {
    calls(plan, plan.effects().contains(Effects::READS_SYSTEM_SCHEMA));
    for (at, keyspace) in &mentions.tokens {
        let span = span(t, Run { first: *at, end: at + 1 });
        plan.splices.push(Splice { span, kind: SpliceKind::Schema(keyspace.clone()) });
    }
    let items: Vec<TemplateSpan> =
        plan.recognised.functions.iter().filter_map(|call| call.unaliased_item).collect();
    headings(plan, &items);
}

fn span(t: &Tokens<'_>, run: Run) -> TemplateSpan {
    TemplateSpan { start: t.start(run.first) as u32, end: t.end(run.end.max(run.first + 1) - 1) as u32 }
}

fn calls(plan: &mut Plan, about_server: bool) {
    let spliced = |kind: FunctionKind| match kind {
        // A query about the server's own schemas compares with the physical name, and its answer is translated.
        FunctionKind::Database => !about_server,
        FunctionKind::ConnectionId
        | FunctionKind::PseudoThreadId
        | FunctionKind::RowCount
        | FunctionKind::FoundRows
        | FunctionKind::WarningCount
        | FunctionKind::ErrorCount
        | FunctionKind::PodwayLastCommit
        | FunctionKind::PodwayOutcome
        | FunctionKind::PodwayLastCommitVariable
        | FunctionKind::PodwayAfter
        | FunctionKind::PodwayRead
        | FunctionKind::PodwayStampSingleShard
        | FunctionKind::TrackedVariables => true,
        _ => false,
    };
    let place = |call: &FunctionSpan| match call.kind {
        // Its argument stays.
        FunctionKind::PodwayOutcome => {
            TemplateSpan { end: call.span.start + "PODWAY_OUTCOME".len() as u32, ..call.span }
        }
        _ => call.span,
    };
    let calls = plan.recognised.functions.iter().filter(|call| spliced(call.kind));
    let calls: Vec<Splice> =
        calls.map(|call| Splice { span: place(call), kind: SpliceKind::Function(call.kind) }).collect();
    plan.splices.extend(calls);
}

/// Sorts the splices by their ends, and adds the aliases that keep the names of the columns whose text they change.
fn headings(plan: &mut Plan, items: &[TemplateSpan]) {
    let mut starts: Vec<u32> = plan.splices.iter().map(|splice| splice.span.start).collect();
    starts.sort_unstable();
    let changes = |item: &&TemplateSpan| {
        starts.get(starts.partition_point(|&start| start < item.start)).is_some_and(|&start| start < item.end)
    };
    let heading = |item: &TemplateSpan| Splice {
        span: TemplateSpan { start: item.end, end: item.end },
        kind: SpliceKind::Heading(*item),
    };
    let headings: Vec<Splice> = items.iter().filter(changes).map(heading).collect();
    plan.splices.extend(headings);
    plan.splices.sort_by_key(|splice| (splice.span.end, splice.span.start));
    plan.splices.dedup();
}
