//! Stamps and outcomes, as a client sees them: SET podway_after, PODWAY_OUTCOME, SHOW VARIABLES LIKE 'podway…'.

use podway_model::{Gtrid, HybridClock, HybridTime, Name};
use podway_router::{
    Assignment, Normalised, Plan, Scalar, SetTarget, Statement, TemplateSpan, shown_variables,
};
use podway_wire::{Cell, ColumnDefinition};

use super::core::{Planned, Session};
use super::own_variables::{ReadMode, parse_stamp, parse_switch, read_only, wrong_value};
use super::reply::Column;
use super::set::plain_value;
use super::state::SessionState;
use crate::backend::Description;
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::txn::live;

/// What SHOW VARIABLES answers.
const VARIABLES: [Column; 2] = [
    Column { name: "Variable_name", is_number: false, length: 64 },
    Column { name: "Value", is_number: false, length: 1_024 },
];
/// How names of Podway's own variables begin.
const OWN: &[u8] = b"podway";
/// Characters of the longest outcome.
const OUTCOME_LENGTH: u32 = 9;

/// What PREPARE answers of what is prepared on no server: work of the topology's, which answers no rows, and a SET of Podway's own variables, which no server knows.
pub(super) fn own_description(
    plan: &Plan,
    normal: &Normalised,
    is_for_every_server: bool,
) -> Option<Description> {
    if is_for_every_server {
        return Some(Description::default());
    }
    let Statement::Set(assignments) = plan.statement() else { return None };
    let is_own = |assignment: &Assignment| match &assignment.target {
        SetTarget::Session(name) | SetTarget::SessionTransient(name) => {
            name.key().as_bytes().starts_with(OWN)
        }
        _ => false,
    };
    if !assignments.iter().all(is_own) {
        return None;
    }
    let mut param = Vec::new();
    ColumnDefinition::text("?").encode(&mut param);
    let params = vec![param.into(); normal.param_count()];
    Some(Description { params, ..Description::default() })
}

impl Session {
    /// Sets a variable of Podway's own; false: it is none.
    pub(super) fn set_own(
        &self,
        state: &mut SessionState,
        planned: &Planned<'_>,
        name: &Name,
        assignment: &Assignment,
    ) -> Result<bool, ProxyError> {
        let scalar = &assignment.value.scalar;
        let value = plain_value(planned, scalar);
        let is_default = *scalar == Scalar::Default;
        let is_next_only = matches!(assignment.target, SetTarget::SessionTransient(_));
        match (name.key(), value) {
            ("podway_last_commit", _) => return Err(read_only(name.key()).into()),
            ("session_track_system_variables", value) => {
                let is_list = |byte: u8| byte.is_ascii_alphanumeric() || b"_.$*, ".contains(&byte);
                if let Some(odd) = value.as_ref().filter(|list| !list.bytes().all(is_list)) {
                    return Err(wrong_value(name.key(), odd).into());
                }
                if is_default || value.is_some() {
                    state.own.track(value);
                }
            }
            ("podway_read", _) if is_default => state.own.read = ReadMode::Fast,
            ("podway_read", Some(value)) => {
                let mode = ReadMode::parse(&value).ok_or_else(|| wrong_value(name.key(), &value))?;
                match is_next_only {
                    true => state.own.read_next = Some(mode),
                    false => state.own.read = mode,
                }
            }
            ("podway_stamp_single_shard", _) if is_default => state.own.stamps_single_shard = None,
            ("podway_stamp_single_shard", Some(value)) => {
                let on = parse_switch(&value).ok_or_else(|| wrong_value(name.key(), &value))?;
                state.own.stamps_single_shard = Some(on);
            }
            ("podway_after", _) if is_default => state.own.after = None,
            ("podway_after", Some(value)) if value.is_empty() => state.own.after = None,
            ("podway_after", Some(value)) => {
                let stamp = parse_stamp(&value).ok_or_else(|| wrong_value(name.key(), &value))?;
                self.come_after(stamp)?;
                state.own.after = Some(stamp);
            }
            ("podway_after" | "podway_read" | "podway_stamp_single_shard", None) => {
                let what = format!("a value of {} that is not one literal", name.key());
                return Err(ClientError::not_supported(&what).into());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whatever this proxy stamps from now on comes after this stamp.
    fn come_after(&self, stamp: HybridTime) -> Result<(), ProxyError> {
        Ok(self.shared.transactions.clock.come_after(stamp).map_err(|error| {
            let most = HybridClock::MOST_AHEAD.as_millis();
            let code = ErrorCode { number: 1231, state: *b"42000" };
            ClientError::new(
                code,
                format!(
                    "Variable 'podway_after' can't be set to the value of '{stamp}': {error} ({most} ms)"
                ),
            )
        })?)
    }

    /// SELECT PODWAY_OUTCOME(id).
    pub(super) async fn show_outcome(
        &mut self,
        planned: &Planned<'_>,
        id: &Scalar,
        alias: Option<&str>,
        item: TemplateSpan,
    ) -> Result<(), ProxyError> {
        let incorrect = || {
            let code = ErrorCode { number: 1210, state: *b"HY000" };
            ClientError::new(code, "Incorrect arguments to PODWAY_OUTCOME: a transaction's id is expected")
        };
        let known = match id {
            Scalar::Null => None,
            Scalar::Literal(_) => {
                let text = plain_value(planned, id).unwrap_or_default();
                let gtrid = Gtrid::parse(&text).ok_or_else(incorrect)?;
                let transactions = self.shared.transactions.clone();
                let map = live(&self.shared.map);
                let known = tokio::select! {
                    biased;
                    known = transactions.known(map, gtrid) => known,
                    error = self.client.gone(self.command_bytes) => return Err(ProxyError::ClientGone(error)),
                };
                Some(known.as_str())
            }
            _ => return Err(ClientError::not_supported("PODWAY_OUTCOME() of an expression").into()),
        };
        let written = || {
            let range = planned.normal.original_range(item.range());
            String::from_utf8_lossy(planned.sql.get(range).unwrap_or_default()).into_owned()
        };
        let heading = alias.map_or_else(written, str::to_owned);
        let column = ColumnDefinition { length: OUTCOME_LENGTH * 4, ..ColumnDefinition::text(heading) };
        let cell = known.map_or(Cell::Null, |known| Cell::Bytes(known.as_bytes().into()));
        self.state.row_count = -1;
        self.state.warnings.clear();
        self.reply_result(&[column], &[vec![cell]]).await
    }

    /// What SHOW VARIABLES LIKE compares with, where only variables of Podway's own can be meant.
    pub(super) fn own_pattern(&self, planned: &Planned<'_>) -> Option<Vec<u8>> {
        let Scalar::Literal(nth) = shown_variables(&planned.plan.recognised, planned.normal)? else {
            return None;
        };
        let literal = planned.normal.literals().get(nth)?.text(planned.sql);
        let pattern = literal.get(1..literal.len().checked_sub(1)?)?;
        let begins = pattern.get(..OWN.len())?;
        begins.eq_ignore_ascii_case(OWN).then(|| pattern.to_vec())
    }

    /// SHOW VARIABLES LIKE 'podway…'.
    pub(super) async fn show_own_variables(&mut self, pattern: &[u8]) -> Result<(), ProxyError> {
        let text = |text: String| Cell::Bytes(text.into_bytes().into());
        let row = |(name, value): (&'static str, String)| vec![text(name.to_owned()), text(value)];
        let rows: Vec<Vec<Cell<'static>>> =
            self.state.own.like(pattern, self.stamps_by_default()).into_iter().map(row).collect();
        self.state.warnings.clear();
        self.reply_rows(&VARIABLES, &rows).await
    }
}
