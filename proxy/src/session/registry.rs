//! Who is connected and what they are at: for SHOW PROCESSLIST, KILL, the deadlines of idle and of long statements, and shutdown.
//!
//! A session's phase is one atomic: only who moves it from Idle to Closing may end an idle session, so a command that has arrived is never lost to it.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use parking_lot::Mutex;
use podway_model::{AccountName, Gtrid, Revision, ServerId};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::backend::ServerThread;

/// How much of a statement SHOW FULL PROCESSLIST shows.
const INFO_BYTES: usize = 1 << 10;

const IDLE: u8 = 0;
const BUSY: u8 = 1;
const CLOSING: u8 = 2;

/// No map: nothing is under way.
const NOTHING: u64 = u64::MAX;

/// All sessions by their number.
#[derive(Default)]
pub struct Registry(DashMap<u32, Arc<SessionHandle>>);

/// What others may know of a session, and do to it.
pub struct SessionHandle {
    /// Its number: CONNECTION_ID().
    pub id: u32,
    /// From where it came: `host:port`.
    pub peer: String,
    phase: AtomicU8,
    /// The revision of the map that its statement or transaction began under; [`NOTHING`] while there is none.
    under: AtomicU64,
    /// Its transaction or statement was ended because it would not let a shard go.
    evicted: AtomicBool,
    /// Where its statement goes is not known yet.
    seeks: AtomicBool,
    /// Whether a thread is kept for more than a transaction, so that most statements need not look.
    has_kept: AtomicBool,
    /// Whether its transaction is open on several servers, so that most sessions need not be looked at.
    is_several: AtomicBool,
    /// Its transaction gives way in a deadlock over several servers: the statement that is ended for it is told so.
    gives_way: AtomicBool,
    abort: OnceLock<AbortHandle>,
    /// Wakes a statement that waits for its client's file, to be ended.
    wakes: Notify,
    /// How much of its client's file has come: records and bytes.
    loaded: (AtomicU64, AtomicU64),
    info: Mutex<Info>,
}

/// What a session is at.
struct Info {
    account: Option<AccountName>,
    database: Option<Arc<str>>,
    command: &'static str,
    since: Instant,
    text: Vec<u8>,
    in_transaction: bool,
    /// The threads that work for its statement.
    running: Vec<Arc<ServerThread>>,
    /// The threads that its open transaction is on.
    holds: Vec<Arc<ServerThread>>,
    /// The threads that keep something of it besides, by what can be carried to no other: locks, temporary tables …
    kept: Vec<Kept>,
    /// The threads of its transaction on all servers, with its name where there are several.
    parts: (Option<Gtrid>, Vec<Arc<ServerThread>>),
    /// Whether someone is about to end what runs: its connection must not go to another session then, whom the KILL would hit.
    condemned: bool,
    /// Whether its statement reads its client's file, between the servers' parts of the work.
    loads: bool,
    /// Whether somebody ends that.
    is_interrupted: bool,
}

/// A thread that keeps something of a session.
struct Kept {
    thread: Arc<ServerThread>,
    /// The revision of the map under which it began to.
    under: Revision,
    /// It was ended, because it would not let a shard go; the session has yet to be told.
    is_ended: bool,
}

/// What of a session is to be ended on a server that a shard leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evicted {
    /// The statement that runs there, by KILL QUERY.
    Statement,
    /// The idle transaction, with its thread.
    Transaction,
    /// What else a thread keeps, with the thread.
    Kept,
}

/// A statement of a transaction over several servers that is at work.
#[derive(Clone)]
pub struct AtWork {
    /// The session.
    pub session: Arc<SessionHandle>,
    /// The transaction.
    pub gtrid: Gtrid,
    /// The server's threads that have its parts.
    pub threads: Vec<(ServerId, u32)>,
    /// When the statement came: another one has come at another time.
    pub since: Instant,
    /// The statement's first bytes.
    pub text: Vec<u8>,
}

/// A row of SHOW PROCESSLIST.
#[derive(Clone, Debug)]
pub struct ProcessRow {
    /// CONNECTION_ID().
    pub id: u32,
    /// Its account; none before the login has ended.
    pub account: Option<AccountName>,
    /// `host:port`.
    pub peer: String,
    /// Its current database.
    pub database: Option<Arc<str>>,
    /// What it is at, in MySQL's words.
    pub command: &'static str,
    /// For how long.
    pub time: Duration,
    /// Whether a transaction is open.
    pub in_transaction: bool,
    /// How many records and bytes of its client's file have come, if its statement reads one.
    pub loaded: Option<(u64, u64)>,
    /// The statement's first bytes.
    pub text: Vec<u8>,
}

impl Registry {
    /// Adds a session.
    pub fn insert(&self, handle: Arc<SessionHandle>) {
        self.0.insert(handle.id, handle);
    }

    /// Forgets a session.
    pub fn remove(&self, id: u32) {
        self.0.remove(&id);
    }

    /// The session with this number.
    pub fn get(&self, id: u32) -> Option<Arc<SessionHandle>> {
        self.0.get(&id).map(|handle| handle.clone())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The statements of transactions over several servers that have been at work for longer than this.
    pub fn at_work_in_several(&self, than: Duration) -> Vec<AtWork> {
        self.0.iter().filter_map(|handle| SessionHandle::at_work_in_several(&handle, than)).collect()
    }

    /// All sessions.
    pub fn all(&self) -> Vec<Arc<SessionHandle>> {
        let mut all: Vec<_> = self.0.iter().map(|handle| handle.clone()).collect();
        all.sort_by_key(|handle| handle.id);
        all
    }
}

impl SessionHandle {
    /// A session that has just connected.
    pub fn new(id: u32, peer: String) -> SessionHandle {
        let info = Info {
            account: None,
            database: None,
            command: "Connect",
            since: Instant::now(),
            text: Vec::new(),
            in_transaction: false,
            running: Vec::new(),
            holds: Vec::new(),
            kept: Vec::new(),
            parts: (None, Vec::new()),
            condemned: false,
            loads: false,
            is_interrupted: false,
        };
        SessionHandle {
            id,
            peer,
            phase: AtomicU8::new(BUSY),
            under: AtomicU64::new(NOTHING),
            evicted: AtomicBool::new(false),
            seeks: AtomicBool::new(false),
            has_kept: AtomicBool::new(false),
            is_several: AtomicBool::new(false),
            gives_way: AtomicBool::new(false),
            abort: OnceLock::new(),
            wakes: Notify::new(),
            loaded: (AtomicU64::new(0), AtomicU64::new(0)),
            info: Mutex::new(info),
        }
    }

    /// Says which task the session is.
    pub fn set_task(&self, abort: AbortHandle) {
        let _ = self.abort.set(abort);
    }

    /// The login has ended well.
    pub fn logged_in(&self, account: &AccountName, database: Option<&str>) {
        let mut info = self.info.lock();
        info.account = Some(account.clone());
        info.database = database.map(Arc::from);
    }

    /// The session waits for a command. False: it is to end.
    pub fn idle(&self, database: Option<&str>, in_transaction: bool, now: Instant) -> bool {
        {
            let mut info = self.info.lock();
            if info.database.as_deref() != database {
                info.database = database.map(Arc::from);
            }
            info.command = "Sleep";
            info.since = now;
            info.text.clear();
            info.in_transaction = in_transaction;
        }
        self.phase.compare_exchange(BUSY, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// A command has come. False: the session was ended a moment before.
    pub fn busy(&self) -> bool {
        self.phase.compare_exchange(IDLE, BUSY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// What the command is.
    pub fn working(&self, command: &'static str, text: &[u8], since: Instant) {
        let mut info = self.info.lock();
        info.command = command;
        info.since = since;
        info.text.clear();
        info.text.extend_from_slice(&text[..text.len().min(INFO_BYTES)]);
    }

    /// Which threads work for it from now on.
    pub fn set_running(&self, threads: impl IntoIterator<Item = Arc<ServerThread>>) {
        let mut info = self.info.lock();
        info.running.clear();
        info.running.extend(threads);
        self.seeks.store(false, Ordering::SeqCst);
    }

    /// The threads have ended their work. True: a KILL for one is on its way, and may hit whatever it does next.
    pub fn ended_running(&self) -> bool {
        let mut info = self.info.lock();
        info.running.clear();
        std::mem::take(&mut info.condemned)
    }

    /// The threads that work for it now, to be ended by the caller.
    pub fn condemn(&self) -> Vec<Arc<ServerThread>> {
        let mut info = self.info.lock();
        info.condemned = !info.running.is_empty();
        if info.loads {
            info.is_interrupted = true;
            self.wakes.notify_one();
        }
        info.running.clone()
    }

    /// Its statement reads its client's file from now on.
    pub fn begins_file(&self) {
        self.info.lock().loads = true;
    }

    /// Its client's file has been read.
    pub fn ends_file(&self) {
        let mut info = self.info.lock();
        // A KILL QUERY that came too late is not the next statement's.
        (info.loads, info.is_interrupted) = (false, false);
        drop(info);
        self.has_loaded(0, 0);
    }

    /// Completes when somebody ends the statement that reads its client's file.
    pub async fn interrupted(&self) {
        while !std::mem::take(&mut self.info.lock().is_interrupted) {
            self.wakes.notified().await;
        }
    }

    /// How much of the file has been read.
    pub fn has_loaded(&self, records: u64, bytes: u64) {
        self.loaded.0.store(records, Ordering::Relaxed);
        self.loaded.1.store(bytes, Ordering::Relaxed);
    }

    /// Whether someone is about to end what runs.
    pub fn is_condemned(&self) -> bool {
        self.info.lock().condemned
    }

    /// A statement is about to run under this map. In one order with [`crate::topology_watch::CurrentMap::revision`].
    pub fn runs_under(&self, revision: Revision) {
        self.under.store(revision.0, Ordering::SeqCst);
    }

    /// Neither a statement nor a transaction is under way.
    pub fn runs_under_nothing(&self) {
        if self.under.swap(NOTHING, Ordering::AcqRel) != NOTHING {
            let mut info = self.info.lock();
            info.holds.clear();
            self.evicted.store(false, Ordering::Relaxed);
        }
    }

    /// Marks that what it has had under way on this server since before a revision is to end, and gives the thread to be ended by the caller.
    pub fn evict(&self, server: ServerId, before: Revision) -> Option<(Arc<ServerThread>, Evicted)> {
        let mut info = self.info.lock();
        let there = |thread: &&Arc<ServerThread>| thread.endpoint.id() == server;
        if self.under().is_some_and(|under| under < before) {
            let running = info.running.iter().find(there).cloned();
            let holds = info.holds.iter().find(there).cloned();
            info.condemned |= running.is_some();
            let statement = running.map(|thread| (thread, Evicted::Statement));
            let found = statement.or_else(|| Some((holds?, Evicted::Transaction)));
            if found.is_some() {
                self.evicted.store(true, Ordering::Release);
                return found;
            }
        }
        let kept = info.kept.iter().find(|kept| kept.is_from_before(server, before))?;
        Some((kept.thread.clone(), Evicted::Kept))
    }

    /// The thread that was marked to end is no more; the session has yet to be told.
    pub fn let_go(&self, thread: &Arc<ServerThread>, what: Evicted) {
        let mut info = self.info.lock();
        for kept in info.kept.iter_mut().filter(|kept| Arc::ptr_eq(&kept.thread, thread)) {
            kept.is_ended = true;
        }
        if what == Evicted::Transaction {
            info.holds.retain(|held| !Arc::ptr_eq(held, thread));
            if info.holds.is_empty() {
                self.under.store(NOTHING, Ordering::Release);
            }
        }
    }

    /// A thread keeps something of the session from now on, by a statement under this map.
    pub fn keeps(&self, thread: &Arc<ServerThread>, under: Revision) {
        let mut info = self.info.lock();
        if !info.kept.iter().any(|kept| Arc::ptr_eq(&kept.thread, thread)) {
            info.kept.push(Kept { thread: thread.clone(), under, is_ended: false });
            self.has_kept.store(true, Ordering::Release);
        }
    }

    /// Whether a thread keeps something of it, or did until it was ended.
    pub fn has_kept(&self) -> bool {
        self.has_kept.load(Ordering::Acquire)
    }

    /// Only these threads keep something of it still. Those that were ended are forgotten when the session has been told.
    pub fn keeps_only(&self, is_kept: impl Fn(&Arc<ServerThread>) -> bool) {
        let mut info = self.info.lock();
        info.kept.retain(|kept| is_kept(&kept.thread));
        self.has_kept.store(!info.kept.is_empty(), Ordering::Release);
    }

    /// Whether a thread on this server has kept something of it since before a revision, and lives.
    pub fn has_kept_since_before(&self, server: ServerId, before: Revision) -> bool {
        self.has_kept() && self.info.lock().kept.iter().any(|kept| kept.is_from_before(server, before))
    }

    /// The threads that kept something of it and were ended.
    pub fn ended(&self) -> Vec<Arc<ServerThread>> {
        if !self.has_kept() {
            return Vec::new();
        }
        let info = self.info.lock();
        info.kept.iter().filter(|kept| kept.is_ended).map(|kept| kept.thread.clone()).collect()
    }

    /// Its client has been told.
    pub fn was_told(&self) {
        self.evicted.store(false, Ordering::Release);
    }

    /// Whether what it has under way was marked to end.
    pub fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Acquire)
    }

    /// The revision of the map that its statement or transaction began under.
    pub fn under(&self) -> Option<Revision> {
        let revision = self.under.load(Ordering::SeqCst);
        (revision != NOTHING).then_some(Revision(revision))
    }

    /// Its transaction is open on this thread.
    pub fn holds(&self, thread: &Arc<ServerThread>) {
        let mut info = self.info.lock();
        if !info.holds.iter().any(|held| Arc::ptr_eq(held, thread)) {
            info.holds.push(thread.clone());
        }
    }

    /// Its transaction has been opened on this thread's server, and on no other yet.
    pub fn opens(&self, thread: &Arc<ServerThread>) {
        self.info.lock().parts = (None, vec![thread.clone()]);
        self.is_several.store(false, Ordering::Release);
    }

    /// A further server has joined its transaction of this name; `threads`: where it is known to be now. What is known from before counts for the other servers that
    /// take part.
    pub fn joins(
        &self,
        gtrid: Gtrid,
        threads: Vec<Arc<ServerThread>>,
        takes_part: impl Fn(ServerId) -> bool,
    ) {
        let (name, parts) = &mut self.info.lock().parts;
        *name = Some(gtrid);
        let server = |thread: &Arc<ServerThread>| thread.endpoint.id();
        let is_newer = |known: &Arc<ServerThread>| threads.iter().any(|new| server(new) == server(known));
        parts.retain(|known| takes_part(server(known)) && !is_newer(known));
        parts.extend(threads);
        self.is_several.store(true, Ordering::Release);
    }

    /// Its transaction is about to end, or has ended: what its threads do next is no part of it.
    pub fn parts_end(&self) {
        if self.is_several.swap(false, Ordering::AcqRel) {
            self.info.lock().parts = (None, Vec::new());
        }
    }

    fn at_work_in_several(handle: &Arc<SessionHandle>, than: Duration) -> Option<AtWork> {
        let is_at_work = || handle.phase.load(Ordering::Acquire) == BUSY;
        if !handle.is_several.load(Ordering::Acquire) || !is_at_work() {
            return None;
        }
        let info = handle.info.lock();
        let gtrid = info.parts.0.filter(|_| !info.running.is_empty() && info.since.elapsed() > than)?;
        let of = |thread: &Arc<ServerThread>| (thread.endpoint.id(), thread.number);
        Some(AtWork {
            session: handle.clone(),
            gtrid,
            threads: info.parts.1.iter().map(of).collect(),
            since: info.since,
            text: info.text.clone(),
        })
    }

    /// Marks that its transaction gives way, if it is at the same statement still, and gives the threads to be interrupted by the caller.
    pub fn give_way(&self, gtrid: Gtrid, since: Instant) -> Vec<Arc<ServerThread>> {
        let mut info = self.info.lock();
        if info.parts.0 != Some(gtrid) || info.since != since || info.running.is_empty() {
            return Vec::new();
        }
        info.condemned = true;
        self.gives_way.store(true, Ordering::Release);
        info.running.clone()
    }

    /// Whether its transaction was marked to give way.
    pub fn gives_way(&self) -> bool {
        self.gives_way.load(Ordering::Acquire)
    }

    /// That is over.
    pub fn has_given_way(&self) {
        self.gives_way.store(false, Ordering::Release);
    }

    /// Where its statement goes is not known yet: an open transaction may come to a further server by it.
    pub fn seeks(&self) {
        self.seeks.store(true, Ordering::SeqCst);
    }

    /// Whether its statement or transaction is on this server, or may come to be: where it is, is known from when it is sent.
    pub fn may_touch(&self, server: ServerId) -> bool {
        let info = self.info.lock();
        if self.seeks.load(Ordering::SeqCst) {
            return true;
        }
        let mut threads = info.running.iter().chain(&info.holds).peekable();
        threads.peek().is_none() || threads.any(|thread| thread.endpoint.id() == server)
    }

    /// Nothing is sought any more: its statement has ended.
    pub fn seeks_nothing(&self) {
        self.seeks.store(false, Ordering::SeqCst);
    }

    /// Its account.
    pub fn account(&self) -> Option<AccountName> {
        self.info.lock().account.clone()
    }

    /// Whether it has been told to end.
    pub fn is_ending(&self) -> bool {
        self.phase.load(Ordering::Acquire) == CLOSING
    }

    /// Ends it at once, with what runs for it.
    pub fn end(&self) {
        self.phase.store(CLOSING, Ordering::Release);
        if let Some(task) = self.abort.get() {
            task.abort();
        }
    }

    /// Ends it if it is idle; outside a transaction only, where asked. True: it ends, or has already.
    pub fn end_if_idle(&self, outside_transaction: bool, idle_for: Duration) -> bool {
        {
            let info = self.info.lock();
            if (outside_transaction && info.in_transaction) || info.since.elapsed() < idle_for {
                return false;
            }
        }
        let ended = self.phase.compare_exchange(IDLE, CLOSING, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if ended && let Some(task) = self.abort.get() {
            task.abort();
        }
        ended || self.phase.load(Ordering::Acquire) == CLOSING
    }

    /// For how long its statement has been at work; `None` while it is idle.
    pub fn at_work_for(&self) -> Option<Duration> {
        let is_busy = self.phase.load(Ordering::Acquire) == BUSY;
        is_busy.then(|| self.info.lock().since.elapsed())
    }

    /// Its row of SHOW PROCESSLIST.
    pub fn row(&self) -> ProcessRow {
        let info = self.info.lock();
        ProcessRow {
            id: self.id,
            account: info.account.clone(),
            peer: self.peer.clone(),
            database: info.database.clone(),
            command: info.command,
            time: info.since.elapsed(),
            in_transaction: info.in_transaction,
            loaded: info
                .loads
                .then(|| (self.loaded.0.load(Ordering::Relaxed), self.loaded.1.load(Ordering::Relaxed))),
            text: info.text.clone(),
        }
    }
}

impl Kept {
    fn is_from_before(&self, server: ServerId, before: Revision) -> bool {
        !self.is_ended && self.under < before && self.thread.endpoint.id() == server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_side_wins_an_idle_session() {
        let handle = SessionHandle::new(1, "h:1".into());
        assert!(!handle.end_if_idle(true, Duration::ZERO), "it is busy logging in");
        assert!(handle.idle(None, false, Instant::now()));
        assert!(handle.busy());
        assert!(!handle.end_if_idle(true, Duration::ZERO), "a command has come");
        assert!(handle.idle(None, true, Instant::now()));
        assert!(!handle.end_if_idle(true, Duration::ZERO), "a transaction is open");
        assert!(handle.end_if_idle(false, Duration::ZERO));
        assert!(!handle.busy(), "the command came too late");
    }

    #[test]
    fn a_session_is_idle_long_enough_only_after_its_time() {
        let handle = SessionHandle::new(1, "h:1".into());
        handle.idle(Some("shop"), false, Instant::now());
        assert!(!handle.end_if_idle(false, Duration::from_secs(60)));
        assert_eq!(handle.row().database.as_deref(), Some("shop"));
        assert_eq!(handle.row().command, "Sleep");
    }
}
