//! Runs statements on both sides in one session each and says how they fared. Podway goes first: what it refuses, MySQL never sees.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Statement, Value};

use crate::world::World;
use podway_tests::answer::{Answer, execute, prepare, query};

/// What Podway refuses with where it does not serve a statement.
const REFUSALS: [u16; 6] = [1235, 1049, 1044, 1227, 1142, 1295];
/// Errors that MySQL gives or not according to which rows it looks at, in which order.
const BY_CHANCE: [u16; 10] = [1292, 1366, 1690, 1264, 1365, 1411, 1406, 3854, 1265, 3995];

/// What MySQL says of text that has no form in a character set, as a literal and as a parameter.
const CONVERSIONS: [u16; 2] = [3854, 3988];

/// How a statement fared.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Both sides gave the same rows, or had the same effect.
    Same,
    /// Both sides gave the same error.
    SameError,
    /// Podway did not serve it.
    Refused(u16, String),
    /// MySQL met a value, among rows that Podway did not have to look at, that stops the statement.
    Chance,
    /// They differ.
    Differs(String),
}

/// A client's session on each side.
pub struct Sessions {
    ours: Conn,
    theirs: Conn,
    prepared: Option<(Statement, Statement)>,
}

impl Sessions {
    /// Connects.
    pub async fn new(world: &World) -> Sessions {
        let (ours, theirs) = tokio::join!(world.proxied(), world.single());
        Sessions { ours, theirs, prepared: None }
    }

    /// Runs a text.
    pub async fn text(&mut self, sql: &[u8], ordered: bool) -> Outcome {
        let ours = query(&mut self.ours, sql).await;
        if let Answer::Refused(code, text) = &ours
            && REFUSALS.contains(code)
        {
            return Outcome::Refused(*code, text.clone());
        }
        outcome(&ours, &query(&mut self.theirs, sql).await, ordered)
    }

    /// Prepares a text for [`execute`](Self::execute).
    pub async fn prepare(&mut self, sql: &str) -> Outcome {
        self.prepared = None;
        let ours = match prepare(&mut self.ours, sql).await {
            Err(Answer::Refused(code, text)) if REFUSALS.contains(&code) => {
                return Outcome::Refused(code, text);
            }
            ours => ours,
        };
        match (ours, prepare(&mut self.theirs, sql).await) {
            (Ok(ours), Ok(theirs)) => {
                self.prepared = Some((ours, theirs));
                Outcome::Same
            }
            (Err(ours), Err(theirs)) => outcome(&ours, &theirs, false),
            (Ok(_), Err(theirs)) => Outcome::Differs(format!("prepared, MySQL {}", theirs.shown())),
            (Err(ours), Ok(_)) => Outcome::Differs(format!("{}, MySQL prepares it", ours.shown())),
        }
    }

    /// Runs what was prepared last.
    pub async fn execute(&mut self, params: &[Value], ordered: bool) -> Outcome {
        let Some((our_statement, their_statement)) = &self.prepared else {
            return Outcome::Refused(1235, "it was not prepared".into());
        };
        let ours = execute(&mut self.ours, our_statement, params).await;
        if let Answer::Refused(code, text) = &ours
            && REFUSALS.contains(code)
        {
            return Outcome::Refused(*code, text.clone());
        }
        outcome(&ours, &execute(&mut self.theirs, their_statement, params).await, ordered)
    }

    /// Prepares and runs.
    pub async fn prepared(&mut self, sql: &str, params: &[Value], ordered: bool) -> Outcome {
        match self.prepare(sql).await {
            Outcome::Same => {
                let outcome = self.execute(params, ordered).await;
                if let Some((ours, theirs)) = self.prepared.take() {
                    let _ = tokio::join!(self.ours.close(ours), self.theirs.close(theirs));
                }
                outcome
            }
            other => other,
        }
    }

    /// Ends both, rolling back what is open.
    pub async fn end(self) {
        let _ = tokio::join!(self.ours.disconnect(), self.theirs.disconnect());
    }

    /// COM_RESET_CONNECTION on both.
    pub async fn reset(&mut self) {
        let _ = tokio::join!(self.ours.reset(), self.theirs.reset());
    }
}

fn outcome(ours: &Answer, theirs: &Answer, ordered: bool) -> Outcome {
    match (ours, theirs, ours.difference(theirs, ordered)) {
        (Answer::Parts(_), Answer::Parts(_), None) => Outcome::Same,
        (Answer::Refused(..), _, None) => Outcome::SameError,
        (Answer::Refused(ours, _), Answer::Refused(theirs, _), _)
            if CONVERSIONS.contains(ours) && CONVERSIONS.contains(theirs) =>
        {
            Outcome::SameError
        }
        (_, Answer::Refused(code, _), _) if BY_CHANCE.contains(code) => Outcome::Chance,
        // Over several shards rows are looked at in another order, and more of them.
        (Answer::Refused(code, _), Answer::Parts(_), _) if BY_CHANCE.contains(code) => Outcome::Chance,
        (_, _, difference) => Outcome::Differs(difference.unwrap_or_else(|| ours.shown())),
    }
}
