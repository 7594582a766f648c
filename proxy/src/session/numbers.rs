//! A statement's AUTO_INCREMENT numbers: got before it is routed, put into its text or its parameters, and told to the client as MySQL would.

use podway_model::Name;
use podway_router::{Effects, KeyValue, Numbers, ParamSource, Piece, Route, Want};
use podway_wire::{BinaryValue, ColumnType, Execute, ParamType};

use xxhash_rust::xxh3::xxh3_64;

use super::core::{Numbered, Planned, Session};
use super::shared::Shared;
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::numbers::{NumberError, Taken, Wanted};

/// Settings under which MySQL numbers otherwise than one by one.
const STRIDES: [&str; 2] = ["auto_increment_increment", "auto_increment_offset"];

/// Of how many accounts and statements it is known that they may.
const MAX_PERMITTED: usize = 10_000;

/// What is said of numbers that were called back before they were sent.
const CALLED_BACK: &str = "its numbers were called back; try again";
/// How often a statement is given other numbers in the place of such.
const OTHER_NUMBERS: usize = 5;

impl Planned<'_> {
    /// The numbers of its rows, for its text.
    pub(super) fn numbers(&self) -> Numbers<'_> {
        match &self.numbered {
            Some(numbered) => Numbers { values: &numbered.taken.numbers, as_params: numbered.as_params },
            None => Numbers::default(),
        }
    }

    /// Whether one of its rows got a number.
    pub(super) fn has_numbers(&self) -> bool {
        self.numbers().values.iter().any(Option::is_some)
    }

    /// The number that the client is told, where it is certain that the server will say another: that of the first row, of several.
    pub(super) fn told_number(&self) -> Option<u64> {
        let counted = self.plan.counted.as_ref()?;
        let first = self.numbers().values.iter().flatten().next().copied()?;
        let says_another = self.plan.effects().contains(Effects::SETS_LAST_INSERT_ID) && !counted.updates();
        (counted.row_count() > 1 || says_another).then_some(first)
    }

    /// What LAST_INSERT_ID() gives after a statement that was answered so, if a number of the cluster's is in a row now.
    pub(super) fn inserted_number(&self, answer: (u64, u64)) -> Option<u64> {
        let numbers = self.numbers().values;
        let first = numbers.iter().flatten().next().copied()?;
        let updates = self.plan.counted.as_ref().is_some_and(|counted| counted.updates());
        is_inserted(answer, updates, first).then_some(first)
    }

    /// The same of a piece: of its one row, where rows go one by one; else of all.
    pub(super) fn number_of_piece(&self, piece: &Piece, answer: (u64, u64)) -> Option<u64> {
        let numbers = self.numbers().values;
        let counted = self.plan.counted.as_ref()?;
        match (piece.rows(), counted.goes_one_by_one(numbers)) {
            (Some(&[row]), true) => {
                let number = numbers.get(row as usize).copied().flatten()?;
                is_inserted(answer, counted.updates(), number).then_some(number)
            }
            _ => numbers.iter().flatten().next().copied(),
        }
    }

    /// An error if its numbers may not be sent any more.
    pub(super) fn check_numbers(&self, shared: &Shared) -> Result<(), ProxyError> {
        match &self.numbered {
            Some(numbered) if self.has_numbers() => check_taken(shared, &numbered.taken),
            _ => Ok(()),
        }
    }

    /// The same statement with these numbers.
    pub(super) fn with_numbers(&self, numbered: Option<Numbered>) -> Planned<'_> {
        let (map, plan) = (self.map.clone(), self.plan.clone());
        Planned { sql: self.sql, normal: self.normal, map, plan, database: self.database, numbered }
    }

    /// The execution with numbers among its parameters; of a part of the rows, if there is a piece.
    pub(super) fn numbered_execution<'v>(&self, execute: &Execute<'v>, piece: Option<&Piece>) -> Execute<'v> {
        let number = ParamType {
            column_type: ColumnType::MYSQL_TYPE_LONGLONG as u8,
            unsigned: true,
            ..Default::default()
        };
        let sources = self.plan.numbered_params(piece, self.normal, self.numbers().values);
        let of = |source: &ParamSource| match source {
            ParamSource::Number(value) => Some((BinaryValue::UInt(*value), number.clone())),
            ParamSource::Given(given) => {
                let given = *given as usize;
                Some((*execute.values.get(given)?, execute.types.get(given)?.clone()))
            }
        };
        let (mut values, mut types): (Vec<_>, Vec<_>) = sources.iter().filter_map(of).unzip();
        let params = values.len();
        values.extend(execute.values.iter().skip(execute.params).copied());
        types.extend(execute.types.iter().skip(execute.params).cloned());
        Execute { values, types: types.into(), params, new_params_bound: true, ..execute.clone() }
    }
}

fn check_taken(shared: &Shared, taken: &Taken) -> Result<(), ProxyError> {
    match shared.numbers.is_good(&shared.map.load(), taken) {
        true => Ok(()),
        false => Err(failed(CALLED_BACK).into()),
    }
}

/// Whether a row with this number is there after a statement of one row was answered so: what ON DUPLICATE KEY UPDATE changed is another row.
pub(super) fn is_inserted((affected, reported): (u64, u64), updates: bool, number: u64) -> bool {
    match updates {
        true => affected == 1 && reported == number,
        false => affected > 0,
    }
}

impl Session {
    /// The numbers that a statement needs. Waits for the topology only if they are not at hand.
    pub(super) async fn number(
        &mut self,
        planned: &Planned<'_>,
        params: &[KeyValue<'_>],
        as_params: bool,
    ) -> Result<Option<Numbered>, ProxyError> {
        let plan = planned.plan.clone();
        let text = (planned.sql, planned.normal);
        let (Some(counted), Some(wants)) =
            (&plan.counted, plan.wanted_numbers(text, params).map_err(ClientError::from)?)
        else {
            return Ok(None);
        };
        let wants_next = wants.contains(&Want::Next);
        if !self.shared.numbers.has_source() {
            // Numbers that the statement brings are its own business; without numbers the router says what is missing.
            return Ok(None);
        }
        if wants_next {
            self.check_strides(counted.table.name.as_str())?;
        }
        if !as_params && wants.iter().any(|want| *want != Want::Nothing) {
            self.check_permitted(planned, &counted.keyspace, &counted.table.name).await?;
        }
        let of = Wanted { keyspace: &counted.keyspace, table: &counted.table, wants: &wants };
        let taken = self.reserve_numbers(of).await?;
        Ok(Some(Numbered { taken, as_params }))
    }

    /// Numbers for rows of a sharded or reference table that has a [`Counter`](podway_model::Counter): the one way to get some, for LAST_INSERT_ID()'s sake in the order of the rows.
    /// Waits for the topology only if they are not at hand; an error means that nothing was taken. Whoever inserts rows from elsewhere (a query, a file) asks here for each chunk
    /// of them before it sends the chunk, and calls [`Self::check_taken`] when the connection is at hand and right before it sends.
    pub(super) async fn reserve_numbers(&mut self, of: Wanted<'_>) -> Result<Taken, ProxyError> {
        let shared = self.shared.clone();
        if let Some(taken) = shared.numbers.at_hand(&shared.map, of) {
            return Ok(taken);
        }
        let waited = Box::pin(shared.numbers.wait(&shared.map, of));
        tokio::select! {
            biased;
            taken = waited => Ok(taken.map_err(|error| no_number(&error, of))?),
            error = self.client.gone(self.command_bytes) => Err(ProxyError::ClientGone(error)),
        }
    }

    /// Right before a statement is sent, its connection at hand: its numbers must still be this proxy's. Had the proxy lost its lease, the connection would be ended with it.
    pub(super) fn check_numbers(&self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        planned.check_numbers(&self.shared)
    }

    /// An error if numbers may not be sent any more.
    pub(super) fn check_taken(&self, taken: &Taken) -> Result<(), ProxyError> {
        check_taken(&self.shared, taken)
    }

    /// Numbers are used up, or moved, before a shard is asked: so whoever may not change the table must not get so far. MySQL says so, when it prepares the statement: once for
    /// each account, table and shape of a statement, for rights may be on columns. A prepared statement was prepared already.
    pub(super) async fn check_permitted(
        &mut self,
        planned: &Planned<'_>,
        keyspace: &Name,
        table: &Name,
    ) -> Result<(), ProxyError> {
        let text = xxh3_64(planned.normal.template());
        let who = (self.account.name.clone(), keyspace.clone(), table.clone(), text);
        let is_known = self.shared.permitted.get(&who).is_some_and(|rights| *rights == self.key.rights());
        if is_known {
            return Ok(());
        }
        // Every table that the statement may name is at home.
        let spot = self.spot(&planned.map, &planned.plan, Route::Gather)?;
        let mut text = Vec::new();
        let asked = match self.rewritten_text(planned, &spot, &mut text) {
            true => &text,
            false => planned.sql,
        };
        self.prepare_at(&spot, asked).await.map_err(|error| self.in_logical_names(error, &spot))?;
        if self.shared.permitted.len() >= MAX_PERMITTED {
            self.shared.permitted.clear();
        }
        self.shared.permitted.insert(who, self.key.rights());
        Ok(())
    }

    /// Refuses numbers for a table where MySQL would not count one by one.
    pub(super) fn check_strides(&self, table: &str) -> Result<(), ProxyError> {
        let is_other = |name: &&&str| self.state.settings.get(name).is_some_and(|value| value != b"1");
        match STRIDES.iter().find(is_other) {
            None => Ok(()),
            Some(name) => {
                let what = format!("AUTO_INCREMENT numbers for the table {table} with {name} other than 1");
                Err(ClientError::not_supported(&what).into())
            }
        }
    }
}

/// Whether a statement was not sent because its numbers were called back: it gets others then, a few times.
pub(super) fn wants_others(error: &ProxyError, tried: &mut usize) -> bool {
    let is_it = matches!(error, ProxyError::Client(error)
        if error.code == ErrorCode::NO_NUMBER && error.message.ends_with(CALLED_BACK));
    *tried += usize::from(is_it);
    is_it && *tried <= OTHER_NUMBERS
}

fn failed(why: &str) -> ClientError {
    let message = format!("Failed to read auto-increment value from storage engine: {why}");
    ClientError::new(ErrorCode::NO_NUMBER, message)
}

fn no_number(error: &NumberError, of: Wanted<'_>) -> ClientError {
    let table = &of.table.name;
    match error {
        NumberError::Away(why) => failed(&format!(
            "Podway's topology has to be asked for numbers of the table {table}, and nothing was written ({why})"
        )),
        NumberError::UsedUp | NumberError::Refused(_) => failed(&format!("table {table}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_inserted_or_another_one_was_changed() {
        let cases = [
            ((1, 7), false, true),
            ((0, 0), false, false),
            ((2, 7), false, true),
            ((1, 7), true, true),
            ((2, 3), true, false),
            ((1, 3), true, false),
            ((0, 0), true, false),
            ((2, 7), true, false),
        ];
        for (answer, updates, inserted) in cases {
            assert_eq!(is_inserted(answer, updates, 7), inserted, "{answer:?} {updates}");
        }
    }
}
