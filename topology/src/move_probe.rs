//! What a node is told about moves besides the cluster's settings: seams for tests. In operation everything here is left at its default.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use podway_topology_api::MoveStep;

/// How a node carries out moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moves {
    /// Whether the source is made READ ONLY. Only a test that shows what is lost without it says no.
    pub has_fence: bool,
    /// Whether proxies are waited for until they have acknowledged the freeze. Only a test that shows what goes wrong without it says no.
    pub has_acknowledgement: bool,
    /// Whether threads of proxies without a lease are ended. Only a test that shows what goes wrong without it says no.
    pub has_shut_out: bool,
    /// Sees, and can hold, each step.
    pub probe: MoveProbe,
}

/// When a step is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of it was done in this try.
    Before,
    /// It is done on the servers, and not reported.
    Done,
    /// It is reported.
    Reported,
}

type Seen = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Sees, and can hold, each step of each move of a node: what it waits for, the step waits for.
#[derive(Clone, Default)]
pub struct MoveProbe(Option<Arc<dyn Fn(MoveStep, Moment) -> Seen + Send + Sync>>);

impl MoveProbe {
    /// A probe that is called at each moment of each step.
    pub fn new(see: impl Fn(MoveStep, Moment) -> Seen + Send + Sync + 'static) -> MoveProbe {
        MoveProbe(Some(Arc::new(see)))
    }

    pub(crate) async fn see(&self, step: MoveStep, moment: Moment) {
        if let Some(see) = &self.0 {
            see(step, moment).await;
        }
    }
}

impl Default for Moves {
    fn default() -> Moves {
        Moves { has_fence: true, has_acknowledgement: true, has_shut_out: true, probe: MoveProbe::default() }
    }
}

impl PartialEq for MoveProbe {
    fn eq(&self, other: &MoveProbe) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for MoveProbe {}

impl fmt::Debug for MoveProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "MoveProbe(…)" } else { "MoveProbe(none)" })
    }
}
