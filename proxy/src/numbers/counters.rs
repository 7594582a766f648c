//! The numbers of all tables in this proxy's hands: given at once where they are at hand, asked for else. One request of a table is under way at a time.

use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use parking_lot::Mutex;
use podway_model::{Map, Name, Table};
use podway_router::Want;
use podway_topology_api::Incarnation;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::blocks::{Blocks, Step};
use super::{NumberError, NumberSource, NumberedTable};
use crate::topology_watch::CurrentMap;

/// How long a statement waits for numbers.
const WAIT: Duration = Duration::from_secs(5);
/// The pause before it is looked again whether the proxy has its lease, and before a claim is made again for which others have to take over a newer map.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A block that lasted less than this was brief: the next one is larger.
const BRIEF: Duration = Duration::from_secs(10);

/// The tables' numbers.
#[derive(Default)]
pub struct Counters {
    source: OnceLock<Arc<dyn NumberSource>>,
    lease: Mutex<Option<Lease>>,
    tables: DashMap<(Name, Name), Arc<Counter>>,
}

/// The proxy's place in the topology: numbers are used only while it is surely kept.
#[derive(Clone, Copy, Debug)]
struct Lease {
    incarnation: Incarnation,
    until: Instant,
}

/// One table's numbers.
struct Counter {
    state: Mutex<State>,
    /// Whose turn it is to ask for more.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct State {
    /// Who holds the blocks: they are nobody's under another number.
    holder: Option<Incarnation>,
    blocks: Blocks,
    /// When the last block was given.
    given: Option<Instant>,
}

/// The numbers of one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// For each row, the number that it was given; then nothing for what the statement sets besides.
    pub numbers: Vec<Option<u64>>,
    keyspace: Name,
    table: Name,
    generation: u64,
    holder: Incarnation,
}

/// What a statement wants of a table's numbers.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The table's keyspace.
    pub keyspace: &'a Name,
    /// The table.
    pub table: &'a Table,
    /// What each row wants, and what the statement brings besides.
    pub wants: &'a [Want],
}

impl Counters {
    /// Where numbers come from. It is said once.
    pub fn set_source(&self, source: Arc<dyn NumberSource>) {
        if self.source.set(source).is_err() {
            tracing::warn!("the proxy knows already where AUTO_INCREMENT numbers come from");
        }
    }

    /// Whether there is anybody who gives numbers.
    pub fn has_source(&self) -> bool {
        self.source.get().is_some()
    }

    /// The proxy is this incarnation, and surely keeps its lease until then.
    pub fn hold_lease(&self, incarnation: Incarnation, until: Instant) {
        *self.lease.lock() = Some(Lease { incarnation, until });
    }

    /// Forgets tables that are gone.
    pub fn reconcile(&self, map: &Map) {
        self.tables.retain(|(keyspace, table), _| {
            map.keyspace(keyspace).is_some_and(|keyspace| keyspace.tables.contains_key(table))
        });
    }

    /// Numbers that are at hand, without any wait; `None`: they have to be [waited for](Self::wait).
    pub fn at_hand(self: &Arc<Self>, map: &CurrentMap, of: Wanted<'_>) -> Option<Taken> {
        let holder = self.holder().ok()?;
        let counter = self.counter(of)?;
        match counter.step(&map.load(), of, (holder, &[])) {
            Some((Step::Taken(numbers), generation)) => {
                Some(self.taken(&counter, of, holder, (numbers, generation)))
            }
            _ => None,
        }
    }

    /// Numbers for a statement, from the topology where they are not at hand: one entry of `wants` for each row, in their order, 2²⁰ rows at most. In an error nothing was taken. They may be
    /// sent as long as [`Self::is_good`] says so, right before they are.
    pub async fn wait(self: &Arc<Self>, map: &CurrentMap, of: Wanted<'_>) -> Result<Taken, NumberError> {
        let in_time = timeout(WAIT, self.wait_for(map, of)).await;
        in_time.unwrap_or_else(|_| {
            self.holder()?;
            Err(NumberError::Away(format!("no answer within {} s", WAIT.as_secs())))
        })
    }

    /// Whether numbers may still be sent: the proxy has the lease under which it was given them, and they were not called back.
    pub fn is_good(&self, map: &Map, taken: &Taken) -> bool {
        self.holder().is_ok_and(|holder| holder == taken.holder)
            && generation(map, &taken.keyspace, &taken.table) == taken.generation
    }

    async fn wait_for(self: &Arc<Self>, map: &CurrentMap, of: Wanted<'_>) -> Result<Taken, NumberError> {
        let source = self.source.get().ok_or_else(|| NumberError::Away("there is no topology".to_owned()))?;
        let counter =
            self.counter(of).ok_or_else(|| NumberError::Refused("it has no such column".to_owned()))?;
        let mut claimed: Vec<RangeInclusive<u64>> = Vec::new();
        loop {
            let turn = counter.turn.clone().lock_owned().await;
            let Ok(holder) = self.holder() else {
                // It may be heard of again.
                drop(turn);
                sleep(LOOK_AGAIN).await;
                continue;
            };
            let ahead = counter.state.lock().blocks.generation();
            // What is held may be good under a map that is still to come.
            map.wait_until(|map| generation(map, of.keyspace, &of.table.name) >= ahead).await;
            let table = of.asked(holder);
            // `None`: a newer map has come in between.
            let Some((step, generation)) = counter.step(&map.load(), of, (holder, &claimed)) else {
                continue;
            };
            match step {
                Step::Taken(numbers) => {
                    drop(turn);
                    return Ok(self.taken(&counter, of, holder, (numbers, generation)));
                }
                Step::Reserve(count) => {
                    let asked = counter.reserve_apart(source.clone(), (table, count), turn).await;
                    asked.unwrap_or_else(|error| Err(NumberError::Away(error.to_string())))?;
                }
                Step::Claim(values) => {
                    let answer = source.claim(&table, values.clone()).await?;
                    counter.state.lock().blocks.claimed(answer);
                    match answer.unaware {
                        0 => claimed.push(values),
                        _ => {
                            drop(turn);
                            sleep(LOOK_AGAIN).await;
                        }
                    }
                }
                Step::TooMany => {
                    return Err(NumberError::Refused("one statement wants too many numbers".to_owned()));
                }
            }
        }
    }

    fn taken(
        self: &Arc<Self>,
        counter: &Arc<Counter>,
        of: Wanted<'_>,
        holder: Incarnation,
        (numbers, generation): (Vec<Option<u64>>, u64),
    ) -> Taken {
        if of.wants.iter().any(|want| *want != Want::Nothing)
            && counter.state.lock().blocks.runs_out()
            && let Ok(turn) = counter.turn.clone().try_lock_owned()
            && let Some(source) = self.source.get().cloned()
        {
            // Nobody waits for it.
            let _later = counter.reserve_apart(source, (of.asked(holder), 1), turn);
        }
        let (keyspace, table) = (of.keyspace.clone(), of.table.name.clone());
        Taken { numbers, keyspace, table, generation, holder }
    }

    /// This proxy, if it surely has its lease.
    fn holder(&self) -> Result<Incarnation, NumberError> {
        let lease = *self.lease.lock();
        match lease.filter(|lease| Instant::now() < lease.until) {
            Some(lease) => Ok(lease.incarnation),
            None => {
                Err(NumberError::Away("the topology has not been heard of for half a proxy.lease".to_owned()))
            }
        }
    }

    fn counter(&self, of: Wanted<'_>) -> Option<Arc<Counter>> {
        let key = (of.keyspace.clone(), of.table.name.clone());
        if let Some(known) = self.tables.get(&key) {
            return Some(known.value().clone());
        }
        let largest = of.table.counter()?.largest;
        let new = || {
            let state = State { holder: None, blocks: Blocks::new(largest), given: None };
            Arc::new(Counter { state: Mutex::new(state), turn: Arc::default() })
        };
        Some(self.tables.entry(key).or_insert_with(new).value().clone())
    }
}

impl Counter {
    fn step(
        &self,
        map: &Map,
        of: Wanted<'_>,
        (holder, claimed): (Incarnation, &[RangeInclusive<u64>]),
    ) -> Option<(Step, u64)> {
        let mut state = self.state.lock();
        if state.holder != Some(holder) {
            state.blocks.forget();
            state.holder = Some(holder);
        }
        let named = generation(map, of.keyspace, &of.table.name);
        state.blocks.enter(named);
        // Else what is held is of a map that has not come yet.
        (state.blocks.generation() == named).then(|| (state.blocks.step(of.wants, claimed), named))
    }

    /// The same, which goes on if nobody waits for it any more: what the topology counts as this proxy's has to be known here. Where that is not known, all that is held is
    /// given up, for the topology remembers a proxy's last blocks alone.
    fn reserve_apart(
        self: &Arc<Self>,
        source: Arc<dyn NumberSource>,
        (of, least): (NumberedTable, u64),
        turn: OwnedMutexGuard<()>,
    ) -> JoinHandle<Result<(), NumberError>> {
        let counter = self.clone();
        tokio::spawn(async move {
            let asked = timeout(WAIT, counter.reserve(&*source, &of, least)).await;
            let asked = asked
                .unwrap_or_else(|_| Err(NumberError::Away(format!("no answer within {} s", WAIT.as_secs()))));
            if let Err(error) = &asked {
                tracing::debug!(table = %of.table, %error, "no further AUTO_INCREMENT numbers yet");
                if matches!(error, NumberError::Away(_)) {
                    counter.state.lock().blocks.forget();
                }
            }
            drop(turn);
            asked
        })
    }

    /// Asks for a further block, of at least so many numbers. Whoever calls has the turn.
    async fn reserve(
        &self,
        source: &dyn NumberSource,
        of: &NumberedTable,
        least: u64,
    ) -> Result<(), NumberError> {
        let count = self.state.lock().blocks.make_room().max(least);
        let given = source.reserve(of, count).await?;
        let mut state = self.state.lock();
        if state.holder != Some(of.incarnation) {
            return Ok(());
        }
        let was_brief = state.given.is_some_and(|given| given.elapsed() < BRIEF);
        state.given = Some(Instant::now());
        state.blocks.add(given, was_brief);
        Ok(())
    }
}

impl Wanted<'_> {
    fn asked(&self, incarnation: Incarnation) -> NumberedTable {
        NumberedTable { keyspace: self.keyspace.clone(), table: self.table.name.clone(), incarnation }
    }
}

/// Under which generation a table's blocks are good.
fn generation(map: &Map, keyspace: &Name, table: &Name) -> u64 {
    map.keyspace(keyspace).map_or(0, |keyspace| keyspace.sequence_generation(table))
}
