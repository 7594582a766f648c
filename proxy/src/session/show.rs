//! SHOW PROCESSLIST, SHOW WARNINGS and USE: what the proxy knows better than any one server.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use podway_model::Name;
use podway_router::{Diagnostics, Route, Scalar};
use podway_wire::{Cell, OkPacket, SessionTrack};

use super::core::Planned;
use super::core::Session;
use super::core::Spot;
use super::reply::Column;
use crate::backend::Fit;
use crate::error::{ClientError, ErrorCode, ProxyError};

/// How much of a statement SHOW PROCESSLIST shows without FULL.
const SHORT_INFO: usize = 100;

const PROCESSLIST: [Column; 8] = [
    Column { name: "Id", is_number: true, length: 21 },
    Column { name: "User", is_number: false, length: 32 },
    Column { name: "Host", is_number: false, length: 261 },
    Column { name: "db", is_number: false, length: 64 },
    Column { name: "Command", is_number: false, length: 16 },
    Column { name: "Time", is_number: true, length: 7 },
    Column { name: "State", is_number: false, length: 30 },
    Column { name: "Info", is_number: false, length: 1024 },
];

const WARNINGS: [Column; 3] = [
    Column { name: "Level", is_number: false, length: 7 },
    Column { name: "Code", is_number: true, length: 4 },
    Column { name: "Message", is_number: false, length: 512 },
];

impl Session {
    /// SHOW [FULL] PROCESSLIST: the proxy's sessions, the user's own unless it has the privilege PROCESS.
    pub(super) async fn show_processlist(&mut self, full: bool) -> Result<(), ProxyError> {
        let all = self.shared.registry.all();
        let mine = |row: &super::registry::ProcessRow| row.account.as_ref() == Some(&self.account.name);
        let rows: Vec<_> = all.iter().map(|handle| handle.row()).collect();
        let sees_all = rows.iter().all(mine) || self.has_privilege(&["PROCESS", "SUPER"]).await?;
        let width = if full { usize::MAX } else { SHORT_INFO };
        let cells: Vec<Vec<Cell<'static>>> = rows
            .into_iter()
            .filter(|row| sees_all || row.account.as_ref() == Some(&self.account.name))
            .map(|row| process_cells(row, width))
            .collect();
        self.reply_rows(&PROCESSLIST, &cells).await
    }

    /// SHOW WARNINGS, SHOW ERRORS and their counts.
    pub(super) async fn show_warnings(
        &mut self,
        planned: &Planned<'_>,
        wanted: &Diagnostics,
    ) -> Result<(), ProxyError> {
        let shown: Vec<_> = self
            .state
            .warnings
            .iter()
            .filter(|warning| !wanted.errors_only || warning.level == b"Error")
            .cloned()
            .collect();
        if wanted.count_only {
            let name = if wanted.errors_only { "@@session.error_count" } else { "@@session.warning_count" };
            let column = Column { name, is_number: true, length: 21 };
            return self.reply_rows(&[column], &[vec![Cell::UInt(shown.len() as u64)]]).await;
        }
        let number = |scalar: &Scalar| literal_number(planned, scalar).unwrap_or(u64::MAX) as usize;
        let (offset, count) = match &wanted.limit {
            None => (0, usize::MAX),
            Some(limit) => (limit.offset.as_ref().map_or(0, number), number(&limit.count)),
        };
        let cells: Vec<Vec<Cell<'_>>> = shown
            .into_iter()
            .skip(offset)
            .take(count)
            .map(|warning| {
                vec![bytes_cell(warning.level), Cell::UInt(warning.code.into()), bytes_cell(warning.message)]
            })
            .collect();
        self.reply_rows(&WARNINGS, &cells).await
    }

    /// Whether the account has one of these global privileges on its home server.
    pub(super) async fn has_privilege(&mut self, any_of: &[&str]) -> Result<bool, ProxyError> {
        let list: Vec<String> = any_of.iter().map(|privilege| format!("'{privilege}'")).collect();
        let sql = format!(
            "SELECT 1 FROM information_schema.user_privileges WHERE privilege_type IN ({}) LIMIT 1",
            list.join(",")
        );
        let pool = self.home_spot()?.pool;
        let mut connection = pool
            .checkout(&self.key, Fit { settings: self.state.settings.fingerprint(), schema: None })
            .await?;
        let rows = connection.rows(sql.as_bytes()).await?;
        let found = !rows.first().is_empty();
        connection.give_back(Instant::now());
        Ok(found)
    }

    /// The current or default keyspace's home.
    pub(super) fn home_spot(&self) -> Result<Spot, ProxyError> {
        let map = self.shared.map.load();
        let plan = self.plain_plan(&map);
        self.spot(&map, &plan, Route::Any)
    }

    /// USE and COM_INIT_DB: the shard decides whether the user may.
    pub(super) async fn use_database(&mut self, name: &[u8]) -> Result<(), ProxyError> {
        let text = String::from_utf8_lossy(name).into_owned();
        let database = self.check_database(&text).await?;
        let track = SessionTrack::Schema(database.as_str().as_bytes().to_vec());
        self.state.database = Some(database);
        self.state.row_count = 0;
        self.state.warnings.clear();
        let mut session_track = Vec::new();
        track.encode(&mut session_track);
        self.reply_ok_with(OkPacket { session_track, ..OkPacket::default() }).await
    }

    /// The database with this name, if it is there and the user may see it.
    pub(super) async fn check_database(&mut self, text: &str) -> Result<Name, ProxyError> {
        let map = self.shared.map.load();
        let unknown = || ClientError::new(ErrorCode::UNKNOWN_DATABASE, format!("Unknown database '{text}'"));
        let name = map.names.name(text);
        let keyspace = map.keyspace(&name).cloned();
        let is_physical =
            map.keyspaces().any(|keyspace| keyspace.shards.iter().any(|shard| shard.schema == name));
        let of_servers = ["information_schema", "mysql", "performance_schema", "sys"];
        let is_servers =
            of_servers.iter().any(|known| known.eq_ignore_ascii_case(text)) || map.is_one_server();
        let (home, schema) = match (&keyspace, map.default_keyspace()) {
            (Some(keyspace), _) => (keyspace.clone(), None),
            (None, Some(default)) if is_servers && !is_physical && text != "_podway" => {
                (default.clone(), Some(text))
            }
            _ => return Err(unknown().into()),
        };
        let (server, shard) = map.place(&home, home.home).ok_or_else(unknown)?;
        let schema = schema.map_or_else(|| shard.schema.shared_text(), Arc::from);
        let spot = Spot::new(self.shared.pools.get(server), schema, keyspace, home.home);
        let fit = Fit { settings: self.state.settings.fingerprint(), schema: Some(&spot.current) };
        let mut connection = spot.pool.checkout(&self.key, fit).await?;
        let allowed = connection.synchronise(&spot.current, &self.state.settings, None).await;
        connection.give_back(Instant::now());
        allowed.map_err(|error| self.in_logical_names(error, &spot))?;
        Ok(spot.keyspace.map_or(name, |keyspace| keyspace.name.clone()))
    }
}

fn process_cells(row: super::registry::ProcessRow, width: usize) -> Vec<Cell<'static>> {
    let text = |text: String| Cell::Bytes(Cow::Owned(text.into_bytes()));
    let user =
        row.account.as_ref().map_or("unauthenticated user".to_owned(), |account| account.user.to_string());
    let info = if row.text.is_empty() {
        Cell::Null
    } else {
        Cell::Bytes(Cow::Owned(row.text[..row.text.len().min(width)].to_vec()))
    };
    vec![
        Cell::UInt(row.id.into()),
        text(user),
        text(row.peer),
        row.database.map_or(Cell::Null, |database| text(database.to_string())),
        text(row.command.to_owned()),
        Cell::UInt(row.time.as_secs()),
        text(match (row.loaded, row.in_transaction) {
            (Some((records, bytes)), _) => format!("loading: {records} records, {bytes} bytes"),
            (None, true) => "in transaction".to_owned(),
            (None, false) => String::new(),
        }),
        info,
    ]
}

fn bytes_cell(bytes: Vec<u8>) -> Cell<'static> {
    Cell::Bytes(Cow::Owned(bytes))
}

/// A number that stands in the statement as a literal.
pub(super) fn literal_number(planned: &Planned<'_>, scalar: &Scalar) -> Option<u64> {
    let Scalar::Literal(n) = scalar else { return None };
    let text = planned.normal.literals().get(*n)?.text(planned.sql);
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}
