//! How a process is, as `/health` tells it: whether to send it clients, and what somebody should look at. Decides only.

use serde::Serialize;

/// Whether clients should be sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Yes.
    Serving,
    /// Yes; but something is not as it should be.
    Degraded,
    /// No.
    NotServing,
}

/// How a process is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Health {
    /// Whether clients should be sent here.
    pub status: Standing,
    /// What is not as it should be, in words.
    pub notes: Vec<String>,
    /// The revision of the map that it has; 0: none.
    pub map_revision: u64,
}

impl Health {
    /// All is well where there are no notes.
    pub(crate) fn new(is_serving: bool, notes: Vec<String>, map_revision: u64) -> Health {
        let status = match (is_serving, notes.is_empty()) {
            (false, _) => Standing::NotServing,
            (true, true) => Standing::Serving,
            (true, false) => Standing::Degraded,
        };
        Health { status, notes, map_revision }
    }

    /// HTTP's status code: a load balancer looks at nothing else. What is degraded still serves.
    pub(crate) fn code(&self) -> u16 {
        match self.status {
            Standing::Serving | Standing::Degraded => 200,
            Standing::NotServing => 503,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_sent_to_whatever_serves_be_it_degraded() {
        let note = || vec!["the topology is away".to_owned()];
        let cases = [
            (true, Vec::new(), Standing::Serving, 200),
            (true, note(), Standing::Degraded, 200),
            (false, Vec::new(), Standing::NotServing, 503),
            (false, note(), Standing::NotServing, 503),
        ];
        for (is_serving, notes, standing, code) in cases {
            let health = Health::new(is_serving, notes, 7);
            assert_eq!((health.status, health.code()), (standing, code));
        }
    }
}
