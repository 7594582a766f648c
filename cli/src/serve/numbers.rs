//! The topology as a proxy's source of AUTO_INCREMENT numbers: blocks and claims, each asked for under a number of its own so that only its retries are the same.

use std::ops::RangeInclusive;

use podway_proxy::{Claimed, LaterNumbers, NumberError, NumberSource, NumberedTable, Reserved};
use podway_topology_api::{
    Command, Done, ProposeError, Proposer, Refusal, SequenceCommand, SequenceStep, TopologyStore,
};

/// A topology, for a proxy's numbers.
#[derive(Debug)]
pub struct TopologyNumbers<S>(pub S);

impl<S: TopologyStore> TopologyNumbers<S> {
    async fn propose(&self, of: &NumberedTable, step: SequenceStep) -> Result<Done, NumberError> {
        let proposer = Proposer::new(self.0.clone(), &of.incarnation.to_string());
        let (keyspace, table) = (of.keyspace.as_str().into(), of.table.as_str().into());
        let command = Command::Sequence(SequenceCommand { keyspace, table, step });
        proposer.propose(command).await.map_err(|error| match error {
            ProposeError::Refused(Refusal::UsedUp { .. }) => NumberError::UsedUp,
            ProposeError::Refused(refusal) => NumberError::Refused(refusal.to_string()),
            ProposeError::Store(error) => NumberError::Away(error.to_string()),
        })
    }
}

impl<S: TopologyStore> NumberSource for TopologyNumbers<S> {
    fn reserve<'a>(&'a self, of: &'a NumberedTable, count: u64) -> LaterNumbers<'a, Reserved> {
        Box::pin(async move {
            match self.propose(of, SequenceStep::Reserve { incarnation: of.incarnation, count }).await? {
                Done::Block { first, last, generation, floor } => {
                    Ok(Reserved { first, last, generation, floor })
                }
                other => Err(NumberError::Away(format!("the topology answered with {other:?}"))),
            }
        })
    }

    fn claim<'a>(&'a self, of: &'a NumberedTable, values: RangeInclusive<u64>) -> LaterNumbers<'a, Claimed> {
        Box::pin(async move {
            let (value, through) = (*values.start(), Some(*values.end()));
            let step = SequenceStep::Claim { incarnation: of.incarnation, value, through };
            match self.propose(of, step).await? {
                Done::Sequence { generation, voided, floor, .. } => {
                    Ok(Claimed { generation, floor, unaware: voided.len() })
                }
                other => Err(NumberError::Away(format!("the topology answered with {other:?}"))),
            }
        })
    }
}
