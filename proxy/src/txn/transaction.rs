//! A session's transaction: where it is open, what each server has to be told as it joins, and what an answer says of it.

use std::sync::Arc;

use podway_model::{Gtrid, Name, ServerId, Xid};

use super::coordinator::{Participant, Participants};

/// Savepoints that are remembered: servers that join later are told of them. MySQL bounds them by memory alone.
const MAX_SAVEPOINTS: usize = 1_000;

/// How a transaction was asked to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// START TRANSACTION READ ONLY.
    pub read_only: bool,
    /// START TRANSACTION READ WRITE.
    pub read_write: bool,
    /// It reads from snapshots of one moment on all servers, where there are several.
    pub atomic: bool,
}

/// SET TRANSACTION without a scope: it counts for the next transaction only.
pub type Characteristics = Vec<u8>;

/// A session's transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transaction {
    /// None is open: each statement is its own.
    #[default]
    None,
    /// BEGIN was answered; no server knows of it.
    Pending {
        /// How it was asked to begin.
        begin: Begin,
        /// The savepoints set so far.
        savepoints: Vec<Name>,
    },
    /// A server knows of it, or several do.
    Open(Arc<Open>),
}

/// A transaction that servers know of. The first of them, its primary, has a plain transaction; each further one a branch by XA START.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    primary: Participant,
    branches: Vec<Participant>,
    /// Its name, once a second server has joined.
    gtrid: Option<Gtrid>,
    begin: Begin,
    characteristics: Option<Characteristics>,
    /// Whether the session's transactions only read where nothing else is said.
    reads_by_default: bool,
    savepoints: Vec<Name>,
    /// Whether all of its servers have had plain transactions since its begin, with snapshots of one moment; it writes on one of them at most.
    is_snapshot: bool,
    /// Why no further server may join, if so.
    alone: Option<TransactionError>,
    /// Whether one of its servers has ended its part by itself, as after a deadlock: the others' parts have to be rolled back.
    is_broken: bool,
}

/// Why a statement cannot be part of the transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// There is no such savepoint.
    #[error("SAVEPOINT {0} does not exist")]
    NoSavepoint(Name),
    /// More savepoints than are remembered.
    #[error(
        "more than {MAX_SAVEPOINTS} savepoints in a transaction, before its first statement or over several servers"
    )]
    TooManySavepoints,
    /// A snapshot of another server would be of another time.
    #[error("a further server in a transaction that began WITH CONSISTENT SNAPSHOT")]
    Snapshot,
    /// Its end is the client's to say, on the one server.
    #[error("a further server in an XA transaction of the client's own")]
    OwnXa,
    /// Snapshots of several servers are no branches: only one of them can be committed.
    #[error(
        "a write on a second server in a transaction that reads from one snapshot of all (it began WITH CONSISTENT SNAPSHOT, or podway_read is 'atomic')"
    )]
    SecondWriter,
}

impl Begin {
    /// As START TRANSACTION has it.
    fn mode(self) -> &'static str {
        match (self.read_only, self.read_write) {
            (true, _) => "READ ONLY",
            (_, true) => "READ WRITE",
            _ => "",
        }
    }
}

impl Transaction {
    /// Begins one; whatever was open has been committed.
    pub fn begin(begin: Begin) -> Transaction {
        Transaction::Pending { begin, savepoints: Vec::new() }
    }

    /// Whether the client is told that a transaction is open.
    pub fn is_open(&self) -> bool {
        !matches!(self, Transaction::None)
    }

    fn as_open(&self) -> Option<&Open> {
        match self {
            Transaction::Open(open) => Some(open),
            Transaction::None | Transaction::Pending { .. } => None,
        }
    }

    fn as_open_mut(&mut self) -> Option<&mut Open> {
        match self {
            Transaction::Open(open) => Some(Arc::make_mut(open)),
            Transaction::None | Transaction::Pending { .. } => None,
        }
    }

    /// The server that it was opened on first.
    pub fn server(&self) -> Option<ServerId> {
        self.as_open().map(|open| open.primary.server)
    }

    /// Whether it is open on this server.
    pub fn is_on(&self, server: ServerId) -> bool {
        self.as_open().is_some_and(|open| open.servers().any(|known| known == server))
    }

    /// Whether it is open on more than one server.
    pub fn is_distributed(&self) -> bool {
        self.as_open().is_some_and(|open| !open.branches.is_empty())
    }

    /// Whether a server has ended its part by itself while others have theirs.
    pub fn is_broken(&self) -> bool {
        self.as_open().is_some_and(|open| open.is_broken)
    }

    /// Those that take part, where there are several.
    pub fn participants(&self) -> Option<Participants> {
        let open = self.as_open()?;
        let gtrid = open.gtrid.filter(|_| !open.branches.is_empty())?;
        let of = |participant: &Participant| Participant {
            wrote: participant.wrote && !open.is_read_only(),
            ..*participant
        };
        Some(Participants {
            gtrid,
            primary: of(&open.primary),
            branches: open.branches.iter().map(of).collect(),
        })
    }

    /// How it was asked to begin, for the next one of a chain.
    pub fn chained(&self) -> (Transaction, Option<Characteristics>) {
        match self {
            Transaction::Pending { begin, .. } => (Transaction::begin(*begin), None),
            Transaction::Open(open) => (Transaction::begin(open.begin), open.characteristics.clone()),
            Transaction::None => (Transaction::begin(Begin::default()), None),
        }
    }

    /// The statements that open a pending transaction on its first server, in their order.
    pub fn opening(&self) -> Vec<String> {
        let Transaction::Pending { begin, savepoints } = self else { return Vec::new() };
        let mode = begin.mode();
        let begins = match begin.atomic {
            true => whole(*begin).to_vec(),
            false if mode.is_empty() => vec!["START TRANSACTION".to_owned()],
            false => vec![format!("START TRANSACTION {mode}")],
        };
        begins.into_iter().chain(savepoints.iter().map(savepoint)).collect()
    }

    /// It has been opened on its first server, under SET TRANSACTION's characteristics if there were some.
    pub fn opened(&mut self, server: ServerId, characteristics: Option<Characteristics>) {
        let open = Open::on(server);
        *self = Transaction::Open(Arc::new(match std::mem::take(self) {
            // Where there is more than one server its snapshots are opened on all, at once.
            Transaction::Pending { begin, savepoints } => {
                let alone = begin.atomic.then_some(TransactionError::Snapshot);
                Open { begin, savepoints, characteristics, alone, ..open }
            }
            Transaction::None | Transaction::Open(_) => Open { characteristics, ..open },
        }));
    }

    /// The statements that open a pending transaction's snapshot on any of its servers, in their order. REPEATABLE READ, whatever the session has: at no other level is there a snapshot.
    pub fn opening_snapshot(
        begin: Begin,
        savepoints: &[Name],
        before: Option<&Characteristics>,
    ) -> Vec<Vec<u8>> {
        let mut statements: Vec<Vec<u8>> = before.cloned().into_iter().collect();
        statements.extend(whole(begin).map(String::into_bytes));
        statements.extend(savepoints.iter().map(|name| savepoint(name).into_bytes()));
        statements
    }

    /// Its snapshot has been opened on these servers.
    pub fn opened_snapshot(
        servers: &[ServerId],
        begin: Begin,
        savepoints: Vec<Name>,
        characteristics: Option<Characteristics>,
    ) -> Transaction {
        let Some((first, others)) = servers.split_first() else { return Transaction::begin(begin) };
        let branches = others.iter().map(|server| Participant { server: *server, wrote: false }).collect();
        Transaction::Open(Arc::new(Open {
            branches,
            begin,
            savepoints,
            characteristics,
            is_snapshot: true,
            alone: Some(TransactionError::Snapshot),
            ..Open::on(*first)
        }))
    }

    /// Whether a transaction that no server knows of reads from one snapshot; it begins, if it is to.
    pub fn read_whole(&mut self, is_snapshot: bool) {
        match self {
            Transaction::Pending { begin, .. } => begin.atomic = is_snapshot,
            Transaction::None if is_snapshot => {
                *self = Transaction::begin(Begin { atomic: true, ..Begin::default() });
            }
            Transaction::None | Transaction::Open(_) => {}
        }
    }

    /// Whether it is one snapshot of several servers.
    pub fn is_snapshot(&self) -> bool {
        self.as_open().is_some_and(|open| open.is_snapshot)
    }

    /// How a transaction that no server knows of was asked to begin, and its savepoints.
    pub fn pending(&self) -> Option<(Begin, &[Name])> {
        match self {
            Transaction::Pending { begin, savepoints } => Some((*begin, savepoints)),
            Transaction::None | Transaction::Open(_) => None,
        }
    }

    /// Its servers, the first one first.
    pub fn servers(&self) -> Vec<ServerId> {
        self.as_open().map(|open| open.servers().collect()).unwrap_or_default()
    }

    /// The servers that may have been written to.
    pub fn writers(&self) -> Vec<ServerId> {
        let wrote = |open: &Open| open.all().filter(|of| of.wrote).map(|of| of.server).collect();
        self.as_open().map(wrote).unwrap_or_default()
    }

    /// The only server that was written to, where the session's COMMIT ends the transaction.
    pub fn wrote_alone(&self) -> Option<ServerId> {
        let open = self.as_open()?;
        let is_own = !self.is_own_xa();
        let [only] = self.writers()[..] else { return None };
        (is_own && !open.is_read_only()).then_some(only)
    }

    /// Lets a statement that may write run on this server.
    ///
    /// # Errors
    /// Where another one has been written to, and both could not be committed together.
    pub fn check_write(&self, server: ServerId) -> Result<(), TransactionError> {
        let is_second = self.is_snapshot() && self.writers().iter().any(|writer| *writer != server);
        if is_second { Err(TransactionError::SecondWriter) } else { Ok(()) }
    }

    /// The statements by which a further server joins, in their order. `fresh`: its name, if it has none yet. `reads_by_default`: whether the session's transactions only
    /// read where nothing else is said, now.
    ///
    /// # Errors
    /// Where no further server may join.
    pub fn joining(
        &self,
        server: ServerId,
        fresh: Gtrid,
        reads_by_default: bool,
    ) -> Result<Vec<Vec<u8>>, TransactionError> {
        let Some(open) = self.as_open() else { return Ok(Vec::new()) };
        if let Some(reason) = &open.alone {
            return Err(reason.clone());
        }
        let xid = Xid::new(open.gtrid.unwrap_or(fresh), open.primary.server, server);
        let mut statements = Vec::new();
        if open.reads_by_default != reads_by_default {
            let mode = if open.reads_by_default { "ONLY" } else { "WRITE" };
            statements.push(format!("SET TRANSACTION READ {mode}").into_bytes());
        }
        statements.extend(open.characteristics.iter().cloned());
        match (open.begin.read_only, open.begin.read_write) {
            (true, _) => statements.push(b"SET TRANSACTION READ ONLY".to_vec()),
            (_, true) => statements.push(b"SET TRANSACTION READ WRITE".to_vec()),
            _ => {}
        }
        statements.push(format!("XA START {}", xid.sql()).into_bytes());
        statements.extend(open.savepoints.iter().map(|name| savepoint(name).into_bytes()));
        Ok(statements)
    }

    /// A further server has joined, under this name if it had none yet.
    pub fn joined(&mut self, server: ServerId, fresh: Gtrid) {
        if let Some(open) = self.as_open_mut() {
            open.gtrid.get_or_insert(fresh);
            open.branches.push(Participant { server, wrote: false });
        }
    }

    /// It began in a session whose transactions only read where nothing else is said.
    pub fn read_by_default(&mut self) {
        if let Some(open) = self.as_open_mut() {
            open.reads_by_default = true;
        }
    }

    /// It goes on where another one has ended: COMMIT AND CHAIN.
    pub fn go_on_from(&mut self, before: &Transaction) {
        if let (Some(open), Some(before)) = (self.as_open_mut(), before.as_open()) {
            open.begin = before.begin;
            open.characteristics.clone_from(&before.characteristics);
            open.reads_by_default = before.reads_by_default;
        }
    }

    /// It is the client's own XA transaction: no further server may join.
    pub fn keep_to_xa(&mut self) {
        if let Some(open) = self.as_open_mut() {
            open.alone = Some(TransactionError::OwnXa);
        }
    }

    /// Whether it is the client's own XA transaction, which MySQL ends by XA statements alone.
    pub fn is_own_xa(&self) -> bool {
        self.as_open().is_some_and(|open| open.alone == Some(TransactionError::OwnXa))
    }

    /// It has a snapshot of its server: no further one may join.
    pub fn keep_to_snapshot(&mut self) {
        if let Some(open) = self.as_open_mut() {
            open.alone = Some(TransactionError::Snapshot);
        }
    }

    /// A statement that may write is about to run on this server.
    pub fn note_write(&mut self, server: ServerId) {
        let is_new = |of: &Participant| of.server == server && !of.wrote;
        let is_noted = |open: &Open| !open.all().any(is_new);
        if self.as_open().is_none_or(is_noted) {
            return;
        }
        if let Some(open) = self.as_open_mut() {
            let all = std::iter::once(&mut open.primary).chain(&mut open.branches);
            all.filter(|of| of.server == server).for_each(|of| of.wrote = true);
        }
    }

    /// SAVEPOINT: where servers know of the transaction, it has been set there.
    pub fn set_savepoint(&mut self, name: &Name) -> Result<(), TransactionError> {
        let is_full = |savepoints: &mut Vec<Name>| {
            savepoints.retain(|existing| existing != name);
            savepoints.len() >= MAX_SAVEPOINTS
        };
        match self {
            Transaction::None => {}
            Transaction::Pending { savepoints, .. } => {
                if is_full(savepoints) {
                    return Err(TransactionError::TooManySavepoints);
                }
                savepoints.push(name.clone());
            }
            Transaction::Open(open) => {
                let open = Arc::make_mut(open);
                match is_full(&mut open.savepoints) {
                    true => open.alone = Some(TransactionError::TooManySavepoints),
                    false => open.savepoints.push(name.clone()),
                }
            }
        }
        Ok(())
    }

    /// ROLLBACK TO: later savepoints are gone.
    pub fn roll_back_to(&mut self, name: &Name) -> Result<(), TransactionError> {
        self.forget_behind(name, 1)
    }

    /// RELEASE SAVEPOINT: it and later ones are gone.
    pub fn release(&mut self, name: &Name) -> Result<(), TransactionError> {
        self.forget_behind(name, 0)
    }

    fn forget_behind(&mut self, name: &Name, kept: usize) -> Result<(), TransactionError> {
        let savepoints = match self {
            Transaction::Pending { savepoints, .. } => Some(savepoints),
            Transaction::Open(open) => Some(&mut Arc::make_mut(open).savepoints),
            Transaction::None => None,
        };
        let position = savepoints.and_then(|savepoints| {
            let position = savepoints.iter().position(|existing| existing == name)?;
            savepoints.truncate(position + kept);
            Some(position)
        });
        position.map(|_| ()).ok_or_else(|| TransactionError::NoSavepoint(name.clone()))
    }

    /// What it is after an answer of `server` that said whether a transaction is open there.
    pub fn after_answer(mut self, server: ServerId, open_there: bool) -> Transaction {
        match &mut self {
            Transaction::Open(open) if !open.servers().any(|known| known == server) => self,
            Transaction::Open(_) if open_there => self,
            // The others' parts are there still.
            Transaction::Open(open) if !open.branches.is_empty() => {
                Arc::make_mut(open).is_broken = true;
                self
            }
            Transaction::Open(_) => Transaction::None,
            Transaction::None | Transaction::Pending { .. } if open_there => {
                self.opened(server, None);
                self
            }
            // A statement that ran outside it says nothing of it.
            Transaction::None | Transaction::Pending { .. } => self,
        }
    }
}

impl Open {
    fn on(server: ServerId) -> Open {
        Open {
            primary: Participant { server, wrote: false },
            branches: Vec::new(),
            gtrid: None,
            begin: Begin::default(),
            characteristics: None,
            reads_by_default: false,
            savepoints: Vec::new(),
            is_snapshot: false,
            alone: None,
            is_broken: false,
        }
    }

    /// Whether each of its servers was told to refuse whatever would write.
    fn is_read_only(&self) -> bool {
        let by_default = self.reads_by_default && !self.begin.read_write && self.characteristics.is_none();
        self.begin.read_only || by_default
    }

    fn all(&self) -> impl Iterator<Item = &Participant> {
        std::iter::once(&self.primary).chain(&self.branches)
    }

    fn servers(&self) -> impl Iterator<Item = ServerId> {
        self.all().map(|of| of.server)
    }
}

/// What begins a transaction that reads from one snapshot, whatever the session's isolation level.
fn whole(begin: Begin) -> [String; 2] {
    let comma = if begin.mode().is_empty() { "" } else { ", " };
    [
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ".to_owned(),
        format!("START TRANSACTION WITH CONSISTENT SNAPSHOT{comma}{}", begin.mode()),
    ]
}

fn savepoint(name: &Name) -> String {
    format!("SAVEPOINT `{}`", name.as_str().replace('`', "``"))
}

#[cfg(test)]
mod tests;
