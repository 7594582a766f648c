//! Work that only the leader does: begun in each term in which this node leads, and ended with the node. Who does it sees by the same news that its term is over.

use std::sync::Arc;

use openraft::RaftMetrics;
use podway_topology_api::{Member, NodeId, Term};

use super::Keeper;

impl Keeper {
    /// The term in which this node leads, by these news; `None`: it does not.
    pub fn leads(&self, news: &RaftMetrics<NodeId, Member>) -> Option<Term> {
        (news.current_leader == Some(self.myself.node)).then_some(Term(news.current_term))
    }
}

/// Does `lead` in each term in which this node leads, until the node stops. `lead` returns when its term is over.
pub async fn lead_each_term<F: Future<Output = ()>>(
    keeper: Arc<Keeper>,
    lead: impl Fn(Arc<Keeper>, Term) -> F,
) {
    let mut stopping = keeper.stopping();
    tokio::select! {
        _ = stopping.wait_for(|stops| *stops) => {}
        () = lead_for_ever(&keeper, lead) => {}
    }
}

async fn lead_for_ever<F: Future<Output = ()>>(keeper: &Arc<Keeper>, lead: impl Fn(Arc<Keeper>, Term) -> F) {
    let mut news = keeper.raft.metrics();
    loop {
        let term = keeper.leads(&news.borrow_and_update());
        match term {
            Some(term) => lead(keeper.clone(), term).await,
            None => {
                if news.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}
