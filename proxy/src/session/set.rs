//! SET: a server checks and computes the values, the proxy remembers them and puts them on whichever connection a statement goes to.
//!
//! Variables that would change how Podway's own statements work, or hide writes from replicas, never reach a server.

use std::sync::Arc;

use podway_model::Name;
use podway_router::{Assignment, ClientCharset, Effects, Scalar, Scope, SetTarget, SqlMode};
use podway_wire::{ColumnType, OkPacket};

use super::core::Planned;
use super::core::Session;
use super::literals::{held_literal, unsigned};
use super::next_transaction::NextTransaction;
use super::run::read_last_insert_id;
use super::state::{CompletionType, SessionState};
use crate::backend::{BackendConnection, Rows, Settings, UserVariables, quoted_identifier, string_literal};
use crate::error::{ClientError, ErrorCode, ProxyError};

/// Bytes of user variables that a session may carry from connection to connection; with more it stays on one.
pub(super) const MAX_CARRIED: usize = 1 << 20;

/// Variables that are the proxy's: accepted, checked by it, never sent on.
const OWNED: [&str; 13] = [
    "completion_type",
    "interactive_timeout",
    "net_read_timeout",
    "net_write_timeout",
    "podway_after",
    "podway_last_commit",
    "podway_read",
    "podway_stamp_single_shard",
    "session_track_gtids",
    "session_track_schema",
    "session_track_state_change",
    "session_track_system_variables",
    "wait_timeout",
];

/// Variables that would break what Podway or replication relies on.
const REFUSED: [&str; 7] = [
    "gtid_next",
    "original_commit_timestamp",
    "pseudo_replica_mode",
    "pseudo_slave_mode",
    "pseudo_thread_id",
    "session_track_transaction_info",
    "sql_log_bin",
];

/// Variables that are one connection's own: a session that sets one stays on its connection.
const PINNING: [&str; 6] = ["debug", "debug_sync", "insert_id", "profiling", "rand_seed1", "rand_seed2"];

/// What a SET does, sorted by who does it.
#[derive(Default)]
struct Sorted<'a> {
    /// The server's, in their order.
    sent: Vec<&'a Assignment>,
    /// The proxy's own.
    owned: Vec<(&'a Name, &'a Assignment)>,
    /// SET TRANSACTION for the next one.
    next: Vec<&'a Assignment>,
    /// Whether the connection has to stay the session's.
    pins: bool,
    /// Whether it changes more than the session.
    global: bool,
}

impl Session {
    /// SET in all its forms.
    pub(super) async fn set(
        &mut self,
        planned: &Planned<'_>,
        assignments: &[Assignment],
        is_command: bool,
    ) -> Result<(), ProxyError> {
        if let [only] = assignments
            && let Some(on) = plain_autocommit(planned, only)
        {
            return self.set_autocommit(on).await;
        }
        let sorted = sort(assignments)?;
        if !self.state.autocommit
            && self.state.transaction.is_open()
            && assignments.iter().any(sets_autocommit)
        {
            // It may commit, on all servers or on none.
            let what =
                "SET autocommit with other assignments or by an expression, while a transaction is open";
            return Err(ClientError::not_supported(what).into());
        }
        if sorted.global {
            return self.set_global(planned, assignments.len(), is_command).await;
        }
        if !sorted.next.is_empty() && self.state.transaction.is_open() {
            let message = "Transaction characteristics can't be changed while a transaction is in progress";
            return Err(ClientError::new(ErrorCode::TRANSACTION_RUNNING, message).into());
        }
        let all_sent = sorted.sent.len() == assignments.len();
        let mut state = self.state.clone();
        for (name, assignment) in &sorted.owned {
            if !self.set_own(&mut state, planned, name, assignment)? {
                set_owned(&mut state, planned, name, assignment)?;
            }
        }
        if !sorted.next.is_empty() {
            // What was said before, and no transaction has begun since, holds on.
            if state.characteristics.is_none() {
                state.next = NextTransaction::default();
            }
            for assignment in &sorted.next {
                match &assignment.target {
                    SetTarget::Transaction(settings) => state.next.set(settings),
                    SetTarget::SessionTransient(name) => {
                        state.next.assign(name.key(), text_of(planned, assignment));
                    }
                    _ => {}
                }
            }
            state.characteristics = state.next.statement();
        }
        let ok = if sorted.sent.is_empty() {
            OkPacket::default()
        } else {
            let texts: Vec<Vec<u8>> =
                sorted.sent.iter().map(|assignment| text_of(planned, assignment)).collect();
            let rebuilt = [b"SET ".as_slice(), &texts.join(b", ".as_slice())].concat();
            self.set_on_server(planned, (!all_sent).then_some(rebuilt), &sorted, &mut state).await?
        };
        // The server's part may have ended or begun a transaction; the rest is as it was put together above.
        state.transaction = std::mem::take(&mut self.state.transaction);
        state.row_count = 0;
        state.warnings.clear();
        self.state = state;
        self.reply_ok_with(OkPacket { affected_rows: 0, last_insert_id: 0, ..ok }).await
    }

    async fn set_autocommit(&mut self, on: bool) -> Result<(), ProxyError> {
        if on && !self.state.autocommit {
            if self.state.transaction.is_own_xa() {
                let message = "XAER_RMFAIL: The command cannot be executed when global transaction is in the ACTIVE state";
                return Err(ClientError::new(ErrorCode::XA_STATE, message).into());
            }
            self.commit_quietly().await?;
        }
        self.state.autocommit = on;
        let mut settings = (*self.state.settings).clone();
        settings.put("autocommit", if on { b"1" } else { b"0" });
        self.state.settings = Arc::new(settings);
        self.state.row_count = 0;
        self.state.warnings.clear();
        let mut session_track = Vec::new();
        let value = if on { b"ON".to_vec() } else { b"OFF".to_vec() };
        podway_wire::SessionTrack::SystemVariable { name: b"autocommit".to_vec(), value }
            .encode(&mut session_track);
        self.reply_ok_with(OkPacket { session_track, ..OkPacket::default() }).await
    }

    /// SET GLOBAL and its kin change servers: where there is one, it is asked.
    async fn set_global(
        &mut self,
        planned: &Planned<'_>,
        assignments: usize,
        is_command: bool,
    ) -> Result<(), ProxyError> {
        if !planned.map.is_one_server() {
            return Err(ClientError::not_supported("SET GLOBAL on several servers").into());
        }
        if assignments > 1 {
            return Err(ClientError::not_supported("SET GLOBAL together with other assignments").into());
        }
        self.shared.defaults.clear();
        self.run_text(planned, is_command).await
    }

    /// Lets a server do its part, and reads back what it has made of it.
    async fn set_on_server(
        &mut self,
        planned: &Planned<'_>,
        rebuilt: Option<Vec<u8>>,
        sorted: &Sorted<'_>,
        state: &mut SessionState,
    ) -> Result<OkPacket, ProxyError> {
        let route = self.route(planned)?;
        if planned.plan.keyspace().is_some() {
            self.begin_snapshot(&planned.plan, &planned.map).await?;
        }
        let spot = self.spot(&planned.map, &planned.plan, route)?;
        let mut connection = self.acquire(&planned.plan, &spot).await?;
        let sql = rebuilt.unwrap_or_else(|| {
            let mut rewritten = Vec::new();
            if self.rewritten_text(planned, &spot, &mut rewritten) { rewritten } else { planned.sql.to_vec() }
        });
        let done = async {
            let ok = connection.execute(&sql).await?;
            read_back(&mut connection, &sorted.sent, state).await?;
            if sets_last_insert_id(planned, &sorted.sent) {
                state.last_insert_id = read_last_insert_id(&mut connection, 0).await?;
            }
            Ok::<_, ProxyError>(ok)
        };
        let done = done.await;
        match &done {
            Ok(_) if sorted.pins || state.variables.bytes() > MAX_CARRIED => connection.pin(),
            Ok(_) => {}
            // What it has set before it failed is not known.
            Err(ProxyError::Server(_)) => connection.never_reuse(),
            Err(_) => {}
        }
        if connection.is_usable() {
            let _known = connection.refresh_status().await;
        }
        self.settle(connection);
        if done.is_ok() && !planned.plan.only_reads() {
            self.state.transaction.note_write(spot.pool.id());
        }
        done.map_err(|error| self.in_logical_names(error, &spot))
    }
}

fn sets_autocommit(assignment: &Assignment) -> bool {
    matches!(&assignment.target, SetTarget::Session(name) | SetTarget::SessionTransient(name) if name.key() == "autocommit")
}

/// Whether LAST_INSERT_ID() may be another on the server then.
fn sets_last_insert_id(planned: &Planned<'_>, sent: &[&Assignment]) -> bool {
    let is_it = |assignment: &&Assignment| {
        matches!(&assignment.target, SetTarget::Session(name) | SetTarget::SessionTransient(name)
            if matches!(name.key(), "last_insert_id" | "identity"))
    };
    planned.plan.effects().contains(Effects::SETS_LAST_INSERT_ID) || sent.iter().any(is_it)
}

/// `autocommit` set to a literal, which needs no server.
fn plain_autocommit(planned: &Planned<'_>, assignment: &Assignment) -> Option<bool> {
    let (SetTarget::Session(name) | SetTarget::SessionTransient(name)) = &assignment.target else {
        return None;
    };
    if name.key() != "autocommit" {
        return None;
    }
    let text = plain_value(planned, &assignment.value.scalar)?;
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "true" => Some(true),
        "0" | "off" | "false" => Some(false),
        _ => None,
    }
}

fn sort(assignments: &[Assignment]) -> Result<Sorted<'_>, ProxyError> {
    let mut sorted = Sorted::default();
    for assignment in assignments {
        match &assignment.target {
            SetTarget::User(_) | SetTarget::Names { .. } | SetTarget::Charset => sorted.sent.push(assignment),
            SetTarget::SessionTransient(name) if is_transaction_variable(name) => {
                sorted.next.push(assignment)
            }
            SetTarget::Session(name) | SetTarget::SessionTransient(name) => {
                sort_variable(&mut sorted, name, assignment)?
            }
            SetTarget::Transaction(settings) => match settings.scope {
                Scope::Unscoped => sorted.next.push(assignment),
                Scope::Session => sorted.sent.push(assignment),
                Scope::Global | Scope::Persist | Scope::PersistOnly => sorted.global = true,
            },
            SetTarget::Global(_) | SetTarget::Persist(_) | SetTarget::PersistOnly(_) => sorted.global = true,
            SetTarget::Role | SetTarget::ResourceGroup => {
                sorted.pins = true;
                sorted.sent.push(assignment);
            }
            SetTarget::DefaultRole => return Err(ClientError::not_supported("SET DEFAULT ROLE").into()),
            SetTarget::Password => return Err(ClientError::not_supported("SET PASSWORD").into()),
        }
    }
    Ok(sorted)
}

fn sort_variable<'a>(
    sorted: &mut Sorted<'a>,
    name: &'a Name,
    assignment: &'a Assignment,
) -> Result<(), ProxyError> {
    let key = name.key();
    if REFUSED.contains(&key) {
        let message = format!("Access denied; {key} belongs to Podway and cannot be set through it");
        return Err(ClientError::new(ErrorCode::PRIVILEGE_NEEDED, message).into());
    }
    if OWNED.contains(&key) {
        sorted.owned.push((name, assignment));
    } else {
        sorted.pins |= PINNING.contains(&key);
        sorted.sent.push(assignment);
    }
    Ok(())
}

fn is_transaction_variable(name: &Name) -> bool {
    matches!(name.key(), "transaction_isolation" | "transaction_read_only")
}

/// The text of a value that is one literal or word.
pub(super) fn plain_value(planned: &Planned<'_>, scalar: &Scalar) -> Option<String> {
    match scalar {
        Scalar::Literal(n) => {
            let text = planned.normal.literals().get(*n)?.text(planned.sql);
            let text = String::from_utf8_lossy(text);
            Some(text.trim_matches(['\'', '"']).to_owned())
        }
        Scalar::Word(word) => Some(word.to_string()),
        _ => None,
    }
}

fn set_owned(
    state: &mut SessionState,
    planned: &Planned<'_>,
    name: &Name,
    assignment: &Assignment,
) -> Result<(), ProxyError> {
    if name.key() != "completion_type" {
        return Ok(());
    }
    let value = plain_value(planned, &assignment.value.scalar);
    let written = &planned.sql[planned.normal.original_range(assignment.value.span.range())];
    if written.eq_ignore_ascii_case(b"RELEASE") {
        let message = "You have an error in your SQL syntax; RELEASE is a reserved word: write 'RELEASE'";
        return Err(ClientError::new(ErrorCode::SYNTAX, message).into());
    }
    state.completion =
        match (value.map(|text| text.to_ascii_uppercase()).as_deref(), &assignment.value.scalar) {
            (Some("0" | "NO_CHAIN"), _) | (_, Scalar::Default) => CompletionType::NoChain,
            (Some("1" | "CHAIN"), _) => CompletionType::Chain,
            (Some("2" | "RELEASE"), _) => CompletionType::Release,
            _ => {
                return Err(ClientError::new(
                    ErrorCode { number: 1231, state: *b"42000" },
                    "Variable 'completion_type' can't be set to that value",
                )
                .into());
            }
        };
    Ok(())
}

/// An assignment as it is sent when the statement cannot go as it was written.
fn text_of(planned: &Planned<'_>, assignment: &Assignment) -> Vec<u8> {
    let value = &planned.sql[planned.normal.original_range(assignment.value.span.range())];
    let variable = |scope: &str, name: &Name| format!("{scope}{} = ", quoted_identifier(name.as_str()));
    let target = match &assignment.target {
        SetTarget::User(name) => variable("@", name),
        SetTarget::SessionTransient(name) if is_transaction_variable(name) => {
            format!("@@{} = ", name.as_str())
        }
        SetTarget::Session(name) | SetTarget::SessionTransient(name) => variable("@@SESSION.", name),
        SetTarget::Global(name) => variable("@@GLOBAL.", name),
        SetTarget::Persist(name) => variable("@@PERSIST.", name),
        SetTarget::PersistOnly(name) => variable("@@PERSIST_ONLY.", name),
        SetTarget::Names { collation } => {
            let collation = collation.as_ref().and_then(|scalar| plain_value(planned, scalar));
            let suffix =
                collation.map_or(String::new(), |name| format!(" COLLATE {}", quoted_identifier(&name)));
            return [b"NAMES ", value, suffix.as_bytes()].concat();
        }
        SetTarget::Charset => "CHARACTER SET ".to_owned(),
        SetTarget::Transaction(_) => {
            // The whole statement: SET TRANSACTION stands alone.
            let body = String::from_utf8_lossy(planned.sql).trim_start().to_owned();
            return body.get(3..).unwrap_or_default().trim_start().as_bytes().to_vec();
        }
        SetTarget::Role => "ROLE ".to_owned(),
        SetTarget::DefaultRole => "DEFAULT ROLE ".to_owned(),
        SetTarget::Password => "PASSWORD ".to_owned(),
        SetTarget::ResourceGroup => "RESOURCE GROUP ".to_owned(),
    };
    [target.as_bytes(), value].concat()
}

/// Reads what the assignments have made and notes it in `state` and on the connection.
async fn read_back(
    connection: &mut BackendConnection,
    sent: &[&Assignment],
    state: &mut SessionState,
) -> Result<(), ProxyError> {
    let mut system: Vec<&str> = Vec::new();
    let mut user: Vec<&Name> = Vec::new();
    for assignment in sent {
        match &assignment.target {
            SetTarget::User(name) => user.push(name),
            SetTarget::Session(name) | SetTarget::SessionTransient(name) => system.push(name.key()),
            SetTarget::Names { .. } | SetTarget::Charset => {
                system.extend(["character_set_client", "character_set_results", "collation_connection"])
            }
            SetTarget::Transaction(_) => system.extend(["transaction_isolation", "transaction_read_only"]),
            _ => {}
        }
    }
    if system.iter().any(|name| {
        matches!(*name, "character_set_connection" | "character_set_database" | "collation_database")
    }) {
        system.extend(["collation_connection"]);
    }
    let columns =
        system.iter().map(|name| format!("CONVERT(@@SESSION.{} USING utf8mb4)", quoted_identifier(name)));
    let user_columns = user.iter().copied().flat_map(asked_of);
    let columns: Vec<String> = columns.chain(user_columns).collect();
    if columns.is_empty() {
        return Ok(());
    }
    let rows = connection.rows(format!("SELECT {} LIMIT 1", columns.join(", ")).as_bytes()).await?;
    let mut settings = (*state.settings).clone();
    for (n, name) in system.iter().enumerate() {
        if follows_the_server(name, sent) {
            settings.remove(name);
            // DEFAULT is not always what a new connection has.
            connection.never_reuse();
        } else {
            note_variable(state, &mut settings, name, rows.text(n));
        }
    }
    let mut variables = (*state.variables).clone();
    for (n, name) in user.iter().enumerate() {
        variables.put(name.key(), &user_literal(&rows, system.len() + 4 * n));
    }
    note(connection, state, settings, variables);
    Ok(())
}

/// Whether a variable was given back to the server: `timestamp`, say, then runs again, and the value that was read back is a moment's.
fn follows_the_server(name: &str, sent: &[&Assignment]) -> bool {
    const ALWAYS_KNOWN: [&str; 6] = [
        "autocommit",
        "character_set_client",
        "character_set_results",
        "collation_connection",
        "sql_mode",
        "time_zone",
    ];
    let sets = |target: &SetTarget| matches!(target, SetTarget::Session(set) | SetTarget::SessionTransient(set) if set.key() == name);
    let last = sent.iter().rfind(|assignment| sets(&assignment.target));
    !ALWAYS_KNOWN.contains(&name) && last.is_some_and(|assignment| assignment.value.scalar == Scalar::Default)
}

fn note(
    connection: &mut BackendConnection,
    state: &mut SessionState,
    settings: Settings,
    variables: UserVariables,
) {
    state.settings = Arc::new(settings);
    connection.note_settings(&state.settings);
    if variables != *state.variables {
        state.variables = Arc::new(variables);
        connection.note_variables(&state.variables);
    }
}

fn note_variable(state: &mut SessionState, settings: &mut Settings, name: &str, value: Option<String>) {
    // Aliases of what is kept under another name already.
    if matches!(name, "character_set_connection" | "last_insert_id" | "identity") {
        if let (true, Some(id)) =
            (name != "character_set_connection", value.and_then(|text| text.parse().ok()))
        {
            state.last_insert_id = id;
        }
        return;
    }
    let literal = match &value {
        None => b"NULL".to_vec(),
        Some(text) if is_number(text) => text.as_bytes().to_vec(),
        Some(text) => string_literal(text.as_bytes()),
    };
    settings.put(name, &literal);
    let text = value.unwrap_or_default();
    match name {
        "sql_mode" => state.lexical.sql_mode = SqlMode::parse(&text),
        "character_set_client" => {
            state.lexical.charset = ClientCharset::from_name(&text);
            state.lexical.charset_name = text;
        }
        "collation_connection" => state.lexical.collation = text,
        "time_zone" => state.lexical.time_zone = text,
        "autocommit" => state.autocommit = text == "1",
        _ => {}
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.parse::<f64>().is_ok()
}

/// What a server is asked of a user variable, to make it so elsewhere.
pub(super) fn asked_of(name: &Name) -> [String; 4] {
    let variable = format!("@{}", quoted_identifier(name.as_str()));
    [format!("HEX({variable})"), format!("CHARSET({variable})"), format!("COLLATION({variable})"), variable]
}

/// The literal that makes a user variable what the row says: its hexadecimal text, character set, collation and value, from column `at` on.
pub(super) fn user_literal(rows: &Rows, at: usize) -> Vec<u8> {
    let (Some(hex), Some(value)) = (rows.text(at), rows.text(at + 3)) else { return b"NULL".to_vec() };
    let charset = rows.text(at + 1).unwrap_or_default();
    let collation = rows.text(at + 2).unwrap_or_default();
    match rows.column_type(at + 3) {
        Some(ColumnType::MYSQL_TYPE_LONGLONG | ColumnType::MYSQL_TYPE_LONG) if rows.is_unsigned(at + 3) => {
            unsigned(&value)
        }
        Some(ColumnType::MYSQL_TYPE_LONGLONG | ColumnType::MYSQL_TYPE_LONG) => value.into_bytes(),
        Some(ColumnType::MYSQL_TYPE_NEWDECIMAL) if value.contains('.') => value.into_bytes(),
        Some(ColumnType::MYSQL_TYPE_NEWDECIMAL) => format!("{value}.").into_bytes(),
        Some(ColumnType::MYSQL_TYPE_DOUBLE) if value.contains(['e', 'E']) => value.into_bytes(),
        Some(ColumnType::MYSQL_TYPE_DOUBLE) => format!("{value}e0").into_bytes(),
        _ => held_literal(&charset, &collation, &hex),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_texts() {
        for (text, expected) in [
            ("1", true),
            ("-1.5", true),
            ("", false),
            ("+00:00", false),
            ("1.2.3", false),
            ("ON", false),
            (".", false),
        ] {
            assert_eq!(is_number(text), expected, "{text}");
        }
    }
}
