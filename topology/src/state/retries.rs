//! The first answer to each of a client's last commands, so that a retry is answered the same and done once. Clients that were silent longest
//! are forgotten first.

use std::collections::{BTreeMap, VecDeque};

use podway_topology_api::{Answer, ClientId, Refusal};
use serde::{Deserialize, Serialize};

/// How many clients are remembered.
pub(super) const MAX_CLIENTS: usize = 4_096;
/// How many of a client's last commands are remembered: a client has at most this many under way.
pub(super) const ANSWERS_PER_CLIENT: usize = 16;

/// What clients were answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Retries {
    clients: BTreeMap<ClientId, Remembered>,
    /// Counts commands: the order in which clients were heard.
    heard: u64,
    /// Clients by when they were heard last.
    order: BTreeMap<u64, ClientId>,
}

/// What one client was answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Remembered {
    heard: u64,
    /// Sequence numbers up to this one are forgotten.
    forgotten: Option<u64>,
    /// Later ones, in their order.
    answers: VecDeque<(u64, Answer)>,
}

impl Retries {
    /// What this command was answered before, if it is a retry.
    pub(super) fn answer(&self, client: ClientId, sequence: u64) -> Option<Answer> {
        let known = self.clients.get(&client)?;
        let answer = known.answers.iter().find(|(number, _)| *number == sequence);
        match answer {
            Some((_, answer)) => Some(answer.clone()),
            None => known.forgotten.is_some_and(|last| sequence <= last).then_some(Err(Refusal::Forgotten)),
        }
    }

    /// Remembers an answer.
    pub(super) fn remember(&mut self, client: ClientId, sequence: u64, answer: Answer) {
        self.heard += 1;
        let known = self.clients.entry(client).or_default();
        self.order.remove(&known.heard);
        known.heard = self.heard;
        self.order.insert(self.heard, client);
        let place = known.answers.partition_point(|(number, _)| *number < sequence);
        known.answers.insert(place, (sequence, answer));
        if known.answers.len() > ANSWERS_PER_CLIENT {
            known.forgotten = known.answers.pop_front().map(|(number, _)| number);
        }
        if self.clients.len() > MAX_CLIENTS
            && let Some((_, silent)) = self.order.pop_first()
        {
            self.clients.remove(&silent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podway_topology_api::{Done, Refusal};

    fn refused(sequence: u64) -> Answer {
        Err(Refusal::Sequence {
            table: podway_model::Name::caseless("t"),
            reason: sequence.to_string().into(),
        })
    }

    #[test]
    fn a_retry_is_answered_as_the_first_time() {
        let mut retries = Retries::default();
        let client = ClientId(7);
        assert_eq!(retries.answer(client, 1), None);
        for sequence in [1, 3, 2] {
            retries.remember(client, sequence, refused(sequence));
        }
        for sequence in [1, 2, 3] {
            assert_eq!(retries.answer(client, sequence), Some(refused(sequence)));
        }
        assert_eq!(retries.answer(client, 4), None);
        assert_eq!(retries.answer(ClientId(8), 1), None);
    }

    #[test]
    fn what_is_no_longer_known_is_never_taken_for_new() {
        let mut retries = Retries::default();
        let client = ClientId(7);
        (1..=100).for_each(|sequence| retries.remember(client, sequence, Ok(Done::Changed)));
        let oldest_known = 100 - ANSWERS_PER_CLIENT as u64 + 1;
        assert_eq!(retries.answer(client, oldest_known), Some(Ok(Done::Changed)));
        for sequence in [0, 1, oldest_known - 1] {
            assert_eq!(retries.answer(client, sequence), Some(Err(Refusal::Forgotten)));
        }
    }

    #[test]
    fn the_client_that_was_silent_longest_is_forgotten_first() {
        let mut retries = Retries::default();
        for client in 0..MAX_CLIENTS as u128 {
            retries.remember(ClientId(client), 1, Ok(Done::Changed));
        }
        retries.remember(ClientId(0), 2, Ok(Done::Changed));
        retries.remember(ClientId(u128::MAX), 1, Ok(Done::Changed));
        assert_eq!(retries.clients.len(), MAX_CLIENTS);
        assert_eq!(retries.order.len(), MAX_CLIENTS);
        assert_eq!(retries.answer(ClientId(1), 1), None);
        assert_eq!(retries.answer(ClientId(0), 1), Some(Ok(Done::Changed)));
    }
}
