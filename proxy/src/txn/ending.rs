//! The end of a transaction over several servers, done: what the coordinator decides is sent, and what comes of it is told to it. It goes on whatever becomes of
//! the session, and owns the session's connections meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podway_model::{HybridTime, ServerId, Xid};
use podway_wire::ErrPacket;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::coordinator::{Action, Commit, Event, Outcome, Participants, Ruling, Via};
use super::side::SideServer;
use crate::backend::BackendConnection;
use crate::clock::StampClock;
use crate::config::Safeguards;
use crate::error::ProxyError;

/// Errors after which a statement that ends a transaction may have taken effect all the same: ER_SERVER_SHUTDOWN, ER_QUERY_INTERRUPTED,
/// ER_NEW_ABORTING_CONNECTION, ER_SESSION_WAS_KILLED, ER_CLIENT_INTERACTION_TIMEOUT.
const KILLED: [u16; 5] = [1053, 1317, 1927, 3169, 4031];
/// The pause before the primary is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What ending a transaction needs.
pub struct Ending {
    /// Those that take part.
    pub participants: Participants,
    /// The session's connections to all of them that live.
    #[allow(clippy::vec_box, reason = "they come from the session and go back to it")]
    pub connections: Vec<Box<BackendConnection>>,
    /// The side connections to all of them.
    pub sides: Vec<SideServer>,
    /// Where stamps come from.
    pub clock: Arc<StampClock>,
    /// The first one, if several servers were written to.
    pub stamp: HybridTime,
    /// How long each step may take: a commit has three.
    pub step: Duration,
    /// What is left out.
    pub safeguards: Safeguards,
}

/// How a transaction ended.
pub struct Ended {
    /// What became of it.
    pub outcome: Outcome,
    /// The connections that can be used again.
    #[allow(clippy::vec_box, reason = "they come from the session and go back to it")]
    pub connections: Vec<Box<BackendConnection>>,
    /// The servers' errors.
    pub refused: BTreeMap<ServerId, ErrPacket>,
}

/// What one action came to.
struct Done {
    /// The server whose session's connection it ran on.
    on_session: Option<ServerId>,
    /// The session's connection that it ran on.
    connection: Option<Box<BackendConnection>>,
    event: Event,
    refused: Option<(ServerId, ErrPacket)>,
}

struct Drive {
    commit: Commit,
    /// When its stamp was first thought of, by this machine's clock: the decision must not come much later.
    begun: Duration,
    connections: BTreeMap<ServerId, Box<BackendConnection>>,
    sides: BTreeMap<ServerId, SideServer>,
    clock: Arc<StampClock>,
    safeguards: Safeguards,
    work: JoinSet<Done>,
    /// The tasks that have a session's connection.
    on_session: BTreeMap<ServerId, AbortHandle>,
    /// Events that need no waiting.
    ready: Vec<Event>,
    refused: BTreeMap<ServerId, ErrPacket>,
}

impl Ending {
    /// Commits.
    pub async fn commit(self) -> Ended {
        let (commit, actions) = Commit::new(&self.participants, self.stamp);
        self.drive(commit, actions).await
    }

    /// Rolls back.
    pub async fn roll_back(self) -> Ended {
        let (commit, actions) = Commit::roll_back(&self.participants);
        self.drive(commit, actions).await
    }

    async fn drive(self, commit: Commit, actions: Vec<Action>) -> Ended {
        let step = self.step;
        let by_server = |connection: Box<BackendConnection>| (connection.endpoint().id(), connection);
        let mut drive = Drive {
            commit,
            begun: self.clock.believed(),
            connections: self.connections.into_iter().map(by_server).collect(),
            sides: self.sides.into_iter().map(|side| (side.id(), side)).collect(),
            clock: self.clock,
            safeguards: self.safeguards,
            work: JoinSet::new(),
            on_session: BTreeMap::new(),
            ready: Vec::new(),
            refused: BTreeMap::new(),
        };
        let outcome = drive.run(actions, step).await;
        // What is still under way on side connections counts no more.
        drive.work.abort_all();
        let connections = drive.connections.into_values().collect();
        Ended { outcome, connections, refused: drive.refused }
    }
}

impl Drive {
    async fn run(&mut self, actions: Vec<Action>, step: Duration) -> Outcome {
        let mut deadline = Instant::now() + step;
        let mut actions = actions;
        loop {
            for action in std::mem::take(&mut actions) {
                if let Action::Answer(outcome) = action {
                    return outcome;
                }
                self.begin(action);
            }
            let event = self.next(deadline).await;
            let phase = self.commit.phase();
            actions = self.commit.on(event.clone());
            if self.commit.phase() != phase || event == Event::Late {
                deadline = Instant::now() + step;
            }
        }
    }

    /// What happens next.
    async fn next(&mut self, deadline: Instant) -> Event {
        loop {
            if let Some(event) = self.ready.pop() {
                return event;
            }
            let ended = tokio::select! {
                ended = self.work.join_next_with_id() => ended,
                () = sleep_until(deadline) => return Event::Late,
            };
            let done = match ended {
                None => {
                    // The coordinator waits for something that was never begun: only its deadline can help.
                    sleep_until(deadline).await;
                    return Event::Late;
                }
                Some(Ok((id, done))) => {
                    let is_known = self.forget(id).is_some();
                    if done.on_session.is_some() && !is_known {
                        // It had ended a moment before it was dropped: its connection goes, and nobody hears of it.
                        continue;
                    }
                    done
                }
                // Dropped, which nobody hears of.
                Some(Err(error)) if error.is_cancelled() => continue,
                Some(Err(error)) => match self.forget(error.id()) {
                    Some(server) => {
                        Done { on_session: None, connection: None, event: Event::Lost(server), refused: None }
                    }
                    None => continue,
                },
            };
            self.connections
                .extend(done.connection.map(|connection| (connection.endpoint().id(), connection)));
            self.refused.extend(done.refused);
            return done.event;
        }
    }

    fn forget(&mut self, id: Id) -> Option<ServerId> {
        let server = self.on_session.iter().find(|(_, task)| task.id() == id).map(|(server, _)| *server)?;
        self.on_session.remove(&server);
        Some(server)
    }

    fn begin(&mut self, action: Action) {
        let primary = self.commit.primary();
        let gtrid = self.commit.gtrid();
        let texts = |server, verbs: [&str; 2]| {
            let sql = Xid::new(gtrid, primary, server).sql();
            verbs.map(|verb| verb.replace("{}", &sql).into_bytes()).to_vec()
        };
        match action {
            Action::CommitPlain => {
                self.on_session(primary, vec![b"COMMIT AND NO CHAIN NO RELEASE".to_vec()], Reading::All)
            }
            Action::RollBackPrimary => {
                self.on_session(primary, vec![b"ROLLBACK AND NO CHAIN NO RELEASE".to_vec()], Reading::All);
            }
            Action::CommitOnePhase { server } => {
                self.on_session(server, texts(server, ["XA END {}", "XA COMMIT {} ONE PHASE"]), Reading::All);
            }
            Action::Release { server } | Action::RollBackBranch { server, via: Via::Session } => {
                self.on_session(server, texts(server, ["XA END {}", "XA ROLLBACK {}"]), Reading::Last);
            }
            Action::Prepare { server, stamp } => {
                self.prepare(server, stamp, texts(server, ["XA END {}", "XA PREPARE {}"]))
            }
            Action::Decide { stamp } => self.decide(primary, stamp),
            Action::CommitBranch { server, via: Via::Session } => {
                let text = format!("XA COMMIT {}", Xid::new(gtrid, primary, server).sql()).into_bytes();
                self.on_session(server, vec![text], Reading::Last);
            }
            Action::CommitBranch { server, via: Via::Side } => self.finish_aside(server, true),
            Action::RollBackBranch { server, via: Via::Side } => self.finish_aside(server, false),
            Action::Floor { server, .. } if !self.safeguards.has_floors => {
                self.ready.push(Event::Done(server));
            }
            Action::Floor { server, stamp } => match self.sides.get(&server).cloned() {
                Some(side) => {
                    self.aside(server, async move { rested(side.floor(gtrid, stamp).await).await });
                }
                None => self.ready.push(Event::Lost(server)),
            },
            Action::HighestElsewhere => self.highest_elsewhere(),
            Action::Ask => self.ask(primary),
            Action::NewStamp { after } => {
                // It is committed: whoever gave it, what comes later must be later.
                let stamp = self.clock.after(after);
                self.ready.push(Event::Stamp(stamp));
            }
            Action::Drop { server } => {
                self.connections.remove(&server);
                if let Some(task) = self.on_session.remove(&server) {
                    task.abort();
                }
            }
            Action::Answer(_) => {}
        }
    }

    /// Runs statements on the session's connection.
    fn on_session(&mut self, server: ServerId, statements: Vec<Vec<u8>>, reading: Reading) {
        let Some(mut connection) = self.connections.remove(&server) else {
            return self.ready.push(Event::Lost(server));
        };
        let task = self.work.spawn(async move {
            let answer = connection.execute_all(&statements).await;
            judged(server, connection, answer, reading)
        });
        self.on_session.insert(server, task);
    }

    fn prepare(&mut self, server: ServerId, stamp: HybridTime, end_and_prepare: Vec<Vec<u8>>) {
        let (Some(mut connection), Some(side)) =
            (self.connections.remove(&server), self.sides.get(&server).cloned())
        else {
            return self.ready.push(Event::Lost(server));
        };
        let (gtrid, parts) = (self.commit.gtrid().to_string(), self.commit.parts());
        let clock = self.clock.clone();
        let task = self.work.spawn(async move {
            let thread = connection.thread().number.to_string();
            let stamp = stamp.0.to_string();
            let token = connection.endpoint().transaction_token(&["mark", &thread, &gtrid, &stamp, &parts]);
            let mark = format!("CALL _podway.mark('{token}', '{gtrid}', {stamp}, '{parts}')").into_bytes();
            let statements = [vec![mark], end_and_prepare].concat();
            let answer = connection.execute_all(&statements).await;
            let mut done = judged(server, connection, answer, Reading::All);
            if done.event == Event::Done(server) {
                // Behind the preparation: what this transaction depends on is below what is read now.
                done.event = match side.highest().await {
                    Ok(highest) => Event::Prepared { server, highest: clock.heard(highest) },
                    Err(_) => Event::Refused(server),
                };
            }
            done
        });
        self.on_session.insert(server, task);
    }

    fn decide(&mut self, primary: ServerId, stamp: HybridTime) {
        let Some(connection) = self.connections.get(&primary) else {
            return self.ready.push(Event::Lost(primary));
        };
        let (gtrid, parts) = (self.commit.gtrid().to_string(), self.commit.parts());
        let thread = connection.thread().number.to_string();
        // By the server's clock, which may be another than this one: the stamp is not to be older than this when it appears.
        let deadline = match self.safeguards.has_deadline {
            true => (self.begun + DECIDE_WITHIN).as_micros().to_string(),
            false => i64::MAX.to_string(),
        };
        let stamp = stamp.0.to_string();
        let parts_of_token = ["decide", &thread, &gtrid, &deadline, &stamp, &parts];
        let token = connection.endpoint().transaction_token(&parts_of_token);
        let decide = format!("CALL _podway.decide('{token}', '{gtrid}', {deadline}, {stamp}, '{parts}')");
        self.on_session(primary, vec![decide.into_bytes()], Reading::All);
    }

    fn finish_aside(&mut self, server: ServerId, commits: bool) {
        let xid = Xid::new(self.commit.gtrid(), self.commit.primary(), server);
        match self.sides.get(&server).cloned() {
            Some(side) if commits => {
                self.aside(server, async move { rested(side.finish(xid, true).await).await });
            }
            Some(side) => self.aside(server, async move { side.finish(xid, false).await }),
            None => self.ready.push(Event::Lost(server)),
        }
    }

    fn aside(
        &mut self,
        server: ServerId,
        errand: impl Future<Output = Result<(), ProxyError>> + Send + 'static,
    ) {
        self.work.spawn(async move {
            let (event, refused) = match errand.await {
                Ok(()) => (Event::Done(server), None),
                Err(ProxyError::Server(refused)) => (Event::Refused(server), Some((server, refused))),
                Err(_) => (Event::Lost(server), None),
            };
            Done { on_session: None, connection: None, event, refused }
        });
    }

    fn highest_elsewhere(&mut self) {
        let sides: Option<Vec<SideServer>> =
            self.commit.unprepared().map(|server| self.sides.get(&server).cloned()).collect();
        let Some(sides) = sides else {
            return self.ready.push(Event::HighestFailed);
        };
        let clock = self.clock.clone();
        self.work.spawn(async move {
            let highest = highest_of(sides).await.map(|highest| clock.heard(highest));
            let event = highest.map_or(Event::HighestFailed, Event::Highest);
            Done { on_session: None, connection: None, event, refused: None }
        });
    }

    fn ask(&mut self, primary: ServerId) {
        let Some(side) = self.sides.get(&primary).cloned() else {
            // Nobody can be asked; the deadline says so.
            return;
        };
        let (gtrid, parts) = (self.commit.gtrid(), self.commit.parts());
        self.work.spawn(async move {
            let ruling: Result<Ruling, ProxyError> = side.rule(gtrid, &parts).await;
            let event = match ruling {
                Ok(ruling) => Event::Ruled(ruling),
                Err(_) => {
                    sleep(ASK_AGAIN).await;
                    Event::RulingFailed
                }
            };
            Done { on_session: None, connection: None, event, refused: None }
        });
    }
}

/// The highest stamp of several servers; none, if one of them does not say.
async fn highest_of(sides: Vec<SideServer>) -> Option<HybridTime> {
    let mut asked = JoinSet::new();
    for side in sides {
        asked.spawn(async move { side.highest().await.ok() });
    }
    let all = asked.join_all().await;
    all.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// What is tried again when it fails: not at once.
async fn rested(done: Result<(), ProxyError>) -> Result<(), ProxyError> {
    if done.is_err() {
        sleep(ASK_AGAIN).await;
    }
    done
}

/// How long a stamp may wait for its decision, by the primary's clock: whoever compares snapshots looks so far back for what is decided after them.
pub(super) const DECIDE_WITHIN: Duration = Duration::from_secs(10);

/// Whose answer counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// The first refusal of all.
    All,
    /// The last statement's; that the server does not know the xid is no refusal.
    Last,
}

/// ER_XAER_NOTA.
const UNKNOWN_XID: u16 = 1397;

/// What the answers on a session's connection mean.
fn judged(
    server: ServerId,
    connection: Box<BackendConnection>,
    answers: Result<Vec<Result<(), ErrPacket>>, ProxyError>,
    reading: Reading,
) -> Done {
    let (connection, event, refused) = outcome_of(server, connection, answers, reading);
    Done { on_session: Some(server), connection, event, refused }
}

/// The connection if it lives, what happened, and the server's error.
type Judged = (Option<Box<BackendConnection>>, Event, Option<(ServerId, ErrPacket)>);

fn outcome_of(
    server: ServerId,
    connection: Box<BackendConnection>,
    answers: Result<Vec<Result<(), ErrPacket>>, ProxyError>,
    reading: Reading,
) -> Judged {
    let Ok(answers) = answers else { return (None, Event::Lost(server), None) };
    let refused = match reading {
        Reading::All => answers.into_iter().find_map(Result::err),
        Reading::Last => answers
            .into_iter()
            .next_back()
            .and_then(Result::err)
            .filter(|refused| refused.code != UNKNOWN_XID),
    };
    match refused {
        None => (Some(connection), Event::Done(server), None),
        Some(refused) if KILLED.contains(&refused.code) => {
            (None, Event::Lost(server), Some((server, refused)))
        }
        Some(refused) => (Some(connection), Event::Refused(server), Some((server, refused))),
    }
}
