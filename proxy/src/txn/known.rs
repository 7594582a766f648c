//! What has become of a transaction, for a client that was told that it is not known. Only asked, never settled: who asks must not decide it.

use std::sync::Arc;

use podway_model::{Gtrid, Map};
use tokio::task::JoinSet;

use super::coordinator::Ruling;
use super::transactions::Transactions;

/// What is known of a transaction over several servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was committed.
    Committed,
    /// It was rolled back, and can never be committed.
    Aborted,
    /// No server that could be asked has a decision: there is none yet, or none any more, or never was one.
    Undecided,
}

impl Known {
    /// As PODWAY_OUTCOME gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Known::Committed => "committed",
            Known::Aborted => "aborted",
            Known::Undecided => "unknown",
        }
    }

    /// What servers' decisions come to. Only the transaction's first server has one, and its name is not a part of the transaction's: all are asked.
    fn of(decisions: impl IntoIterator<Item = Ruling>) -> Known {
        let known = |ruling| match ruling {
            Ruling::Committed(_) => Known::Committed,
            Ruling::Aborted => Known::Aborted,
        };
        let mut all = decisions.into_iter().map(known);
        let first = all.next().unwrap_or(Known::Undecided);
        if all.any(|other| other == Known::Committed) { Known::Committed } else { first }
    }
}

impl Transactions {
    /// What has become of a transaction, by the decisions on these servers. Without a map that is known to be the newest nothing is: another server may have taken a
    /// primary's place, and the old one be wrong.
    pub async fn known(&self, map: Option<Arc<Map>>, gtrid: Gtrid) -> Known {
        let Some(map) = map else { return Known::Undecided };
        let mut asked = JoinSet::new();
        for server in map.servers() {
            let side = self.side.of(server);
            asked.spawn(async move { side.decided(gtrid).await });
        }
        let mut decisions = Vec::new();
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(decision)) => decisions.extend(decision),
                Ok(Err(error)) => {
                    tracing::warn!(transaction = %gtrid, %error, "a server could not be asked for a decision")
                }
                Err(_) => {}
            }
            if Known::of(decisions.iter().copied()) == Known::Committed {
                break;
            }
        }
        Known::of(decisions)
    }
}

#[cfg(test)]
mod tests {
    use podway_model::HybridTime;

    use super::*;

    #[test]
    fn one_servers_decision_is_enough_and_none_is_no_answer() {
        let committed = Ruling::Committed(HybridTime(7));
        for (decisions, expected) in [
            (vec![], "unknown"),
            (vec![committed], "committed"),
            (vec![Ruling::Aborted], "aborted"),
            (vec![Ruling::Aborted, committed], "committed"),
        ] {
            assert_eq!(Known::of(decisions).as_str(), expected);
        }
    }
}
