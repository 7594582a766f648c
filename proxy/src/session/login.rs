//! The connection phase: greeting, TLS, the client's proof of who it is, and the state that its session starts with. The rules of the
//! proof are the wire crate's; here they are given accounts and bytes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use bytes::BytesMut;
use mysql_common::collations::{Collation, CollationId};
use podway_model::{Account, AuthPlugin, Map};
use podway_router::{ClientCharset, Normalised, SqlMode};
use podway_wire::auth::NONCE_LEN;
use podway_wire::{
    AuthStep, CapabilityFlags, ChangeUser, ErrPacket, Greeting, LoginOrTls, PacketReader, ServerAuth,
    StatusFlags, StoredAccount, write_packet,
};
use tokio_rustls::TlsAcceptor;

use super::core::Place;
use super::core::{Flow, Session};
use super::defaults::{FRESH, ServerDefaults};
use super::registry::SessionHandle;
use super::reply::offered;
use super::shared::Shared;
use super::state::{Lexical, SessionState};
use crate::backend::{Fit, PoolKey, ServerPool, string_literal};
use crate::client::ClientStream;
use crate::error::{ClientError, ErrorCode, ProxyError, error_packet};
use crate::execute::PASSED_ON;

/// The largest packet of a login.
const LOGIN_PACKET: usize = 64 << 10;
/// The collation that the greeting names: utf8mb4_0900_ai_ci.
const GREETING_COLLATION: u8 = 255;

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The connection broke, or the client broke the protocol so that nothing can be said.
    #[error("the connection ended during the login: {0}")]
    Gone(#[from] io::Error),
    /// The client was told.
    #[error("{}", String::from_utf8_lossy(&.0.message))]
    Refused(ErrPacket),
}

/// A client that has connected and not logged in yet.
pub struct Arrival {
    /// Its connection.
    pub client: ClientStream,
    /// From where.
    pub peer: SocketAddr,
    /// Its place among the sessions.
    pub handle: Arc<SessionHandle>,
    /// How to speak TLS with it, if that is offered.
    pub tls: Option<TlsAcceptor>,
}

/// Takes a client through the connection phase. The caller sets the deadline.
pub async fn log_in(arrival: Arrival, shared: &Arc<Shared>) -> Result<Session, LoginError> {
    let Arrival { mut client, peer, handle, tls } = arrival;
    let nonce = new_nonce();
    let offer = offered(tls.is_some());
    send(&mut client, 0, &greeting(shared, handle.id, nonce, offer)).await?;
    let mut reader = PacketReader::new(1);
    let mut login = match decode_login(&next_packet(&mut client, &mut reader).await?)? {
        LoginOrTls::Login(login) => login,
        LoginOrTls::Tls(_) => {
            client = over_tls(client, tls, shared).await?;
            match decode_login(&next_packet(&mut client, &mut reader).await?)? {
                LoginOrTls::Login(login) => login,
                LoginOrTls::Tls(_) => return Err(broken("a second request for TLS")),
            }
        }
    };
    login.capabilities &= offer;
    let mut auth = ServerAuth::new(nonce, Some(shared.rsa.clone()));
    let first = auth.on_login(&login, client.is_tls());
    let claim = Claim { user: &login.user, peer };
    let account = prove(&mut client, &mut reader, shared, auth, first, claim).await;
    let account = match account {
        Ok(account) => account,
        Err(LoginError::Refused(refused)) => return Err(refuse(&mut client, reader.seq(), refused).await),
        Err(gone) => return Err(gone),
    };
    let rights = shared.map.load().rights_since(&account.name);
    let key = PoolKey::new(account.name.clone(), login.capabilities & PASSED_ON, rights);
    let mut session = Session::new(shared.clone(), client, handle, account, key, login.capabilities, nonce);
    session.place.sequence = reader.seq();
    match session.start(login.collation_id(), login.database.as_deref()).await {
        Ok(()) => Ok(session),
        Err(error) => {
            let refused = error.for_client().ok_or_else(|| io::Error::other(error.to_string()))?;
            Err(refuse(&mut session.client, session.place.sequence, refused).await)
        }
    }
}

fn greeting(shared: &Shared, id: u32, nonce: [u8; NONCE_LEN], capabilities: CapabilityFlags) -> Vec<u8> {
    let map = shared.map.load();
    let greeting = Greeting {
        version: server_version(&map).into_bytes(),
        connection_id: id,
        nonce,
        capabilities,
        charset: GREETING_COLLATION,
        status: StatusFlags::SERVER_STATUS_AUTOCOMMIT,
        plugin: b"caching_sha2_password".to_vec(),
    };
    let mut payload = Vec::new();
    greeting.encode(&mut payload);
    payload
}

/// The version that clients see: the home server's own, or the lowest of all.
fn server_version(map: &Map) -> String {
    let home = map.default_keyspace().and_then(|keyspace| map.place(keyspace, keyspace.home));
    home.map_or_else(|| map.lowest_version().to_string(), |(server, _)| server.version.to_string())
}

async fn over_tls(
    client: ClientStream,
    tls: Option<TlsAcceptor>,
    shared: &Shared,
) -> Result<ClientStream, LoginError> {
    let acceptor = tls.ok_or_else(|| broken("TLS was not offered"))?;
    let plain = client.into_plain().ok_or_else(|| broken("a request for TLS under TLS"))?;
    let stream = acceptor.accept(plain).await?;
    Ok(ClientStream::over_tls(stream, shared.config.client.write_deadline))
}

fn decode_login(payload: &[u8]) -> Result<LoginOrTls, LoginError> {
    LoginOrTls::decode(payload).map_err(|error| broken(&error.to_string()))
}

fn broken(reason: &str) -> LoginError {
    LoginError::Gone(io::Error::new(io::ErrorKind::InvalidData, reason.to_owned()))
}

fn new_nonce() -> [u8; NONCE_LEN] {
    podway_wire::nonce(rand::random())
}

async fn send(client: &mut ClientStream, mut sequence: u8, payload: &[u8]) -> io::Result<()> {
    let mut packet = BytesMut::new();
    write_packet(&mut packet, &mut sequence, payload);
    client.send(&packet).await
}

async fn refuse(client: &mut ClientStream, sequence: u8, refused: ErrPacket) -> LoginError {
    let mut payload = Vec::new();
    refused.encode(CapabilityFlags::CLIENT_PROTOCOL_41, &mut payload);
    match send(client, sequence, &payload).await {
        Ok(()) => LoginError::Refused(refused),
        Err(error) => LoginError::Gone(error),
    }
}

async fn next_packet(client: &mut ClientStream, reader: &mut PacketReader) -> Result<BytesMut, LoginError> {
    loop {
        match reader.next(&mut client.input, LOGIN_PACKET) {
            Ok(Some(payload)) => return Ok(payload),
            Ok(None) => client.read_some().await?,
            Err(error) => return Err(broken(&error.to_string())),
        }
    }
}

/// Who a client says it is.
#[derive(Clone, Copy)]
struct Claim<'a> {
    user: &'a [u8],
    peer: SocketAddr,
}

/// Drives the proof to its end.
async fn prove(
    client: &mut ClientStream,
    reader: &mut PacketReader,
    shared: &Shared,
    mut auth: ServerAuth,
    first: AuthStep,
    claim: Claim<'_>,
) -> Result<Arc<Account>, LoginError> {
    let host = claim.peer.ip().to_canonical().to_string();
    let account = shared.map.load().account(&String::from_utf8_lossy(claim.user), &host).cloned();
    let mut step = first;
    loop {
        step = match step {
            AuthStep::Send(payload) => {
                send(client, reader.seq(), &payload).await?;
                reader.set_seq(reader.seq().wrapping_add(1));
                let answer = next_packet(client, reader).await?;
                if auth.is_costly() {
                    // Milliseconds of hashing: other sessions of this thread do not wait for it.
                    let hashed = tokio::task::spawn_blocking(move || {
                        let step = auth.on_packet(&answer);
                        (auth, step)
                    });
                    let (returned, step) = hashed.await.map_err(io::Error::other)?;
                    auth = returned;
                    step
                } else {
                    auth.on_packet(&answer)
                }
            }
            AuthStep::NeedAccount => {
                auth.with_account(account.as_ref().map(|account| stored(shared, account)))
            }
            AuthStep::Accept { send: last, new_verifier } => {
                let Some(account) = account else { return Err(denied(shared, &auth, claim.user, &host)) };
                if let Some(payload) = last {
                    send(client, reader.seq(), &payload).await?;
                    reader.set_seq(reader.seq().wrapping_add(1));
                }
                if let Some(verifier) = new_verifier {
                    shared
                        .verifiers
                        .insert(account.name.clone(), (account.authentication_string.clone(), verifier));
                }
                if account.requires_tls && !client.is_tls() {
                    // MySQL says no more than this either.
                    return Err(denied(shared, &auth, claim.user, &host));
                }
                return admit(account, claim.user, &host);
            }
            AuthStep::Reject => return Err(denied(shared, &auth, claim.user, &host)),
            AuthStep::Unsupported => {
                let message = "Client does not support authentication protocol requested by server; consider upgrading MySQL client";
                return Err(LoginError::Refused(error_packet(ErrorCode::OLD_PROTOCOL, message)));
            }
            AuthStep::Disconnect => {
                return Err(LoginError::Refused(error_packet(ErrorCode::BAD_HANDSHAKE, "Bad handshake")));
            }
        };
    }
}

fn stored(shared: &Shared, account: &Account) -> StoredAccount {
    let plugin = match account.plugin {
        AuthPlugin::CachingSha2Password => b"caching_sha2_password".to_vec(),
        AuthPlugin::MysqlNativePassword => b"mysql_native_password".to_vec(),
    };
    StoredAccount {
        plugin,
        authentication_string: account.authentication_string.to_vec(),
        cached: shared.verifier(&account.name, &account.authentication_string),
    }
}

fn admit(account: Arc<Account>, user: &[u8], host: &str) -> Result<Arc<Account>, LoginError> {
    let user = String::from_utf8_lossy(user);
    if account.locked {
        let message = format!("Access denied for user '{user}'@'{host}'. Account is locked.");
        return Err(LoginError::Refused(error_packet(
            ErrorCode { number: 3118, state: *b"HY000" },
            &message,
        )));
    }
    Ok(account)
}

fn denied(shared: &Shared, auth: &ServerAuth, user: &[u8], host: &str) -> LoginError {
    shared.metrics.denied.fetch_add(1, Relaxed);
    let using = if auth.password_used() { "YES" } else { "NO" };
    let message = format!(
        "Access denied for user '{}'@'{host}' (using password: {using})",
        String::from_utf8_lossy(user)
    );
    LoginError::Refused(error_packet(ErrorCode::ACCESS_DENIED, &message))
}

impl Session {
    fn new(
        shared: Arc<Shared>,
        client: ClientStream,
        handle: Arc<SessionHandle>,
        account: Arc<Account>,
        key: PoolKey,
        capabilities: CapabilityFlags,
        nonce: [u8; NONCE_LEN],
    ) -> Session {
        let state = SessionState::default();
        Session {
            shared,
            client,
            handle,
            account,
            key,
            capabilities,
            initial: state.clone(),
            state,
            held: Vec::new(),
            place: Place::default(),
            under: None,
            command_bytes: 0,
            normal: Normalised::new(),
            payload: Vec::new(),
            statements: Default::default(),
            next_statement: 1,
            nonce,
            started: Instant::now(),
            ended: Instant::now(),
            sql_statements: Default::default(),
            measures: None,
            lost: false,
            locks: None,
            kept_answer: None,
            captured: None,
            late: None,
        }
    }

    /// Gives the session the state that a new one has on its server, and answers the login.
    async fn start(&mut self, collation: u16, database: Option<&[u8]>) -> Result<(), ProxyError> {
        let defaults = self.find_defaults().await?;
        self.state = initial_state(&defaults, collation);
        self.initial = self.state.clone();
        if let Some(name) = database.filter(|name| !name.is_empty()) {
            let name = String::from_utf8_lossy(name).into_owned();
            self.state.database = Some(self.check_database(&name).await?);
        }
        self.handle.logged_in(&self.account.name, self.state.database.as_ref().map(|name| name.as_str()));
        self.reply_ok().await
    }

    /// The defaults of the home server, or of any that answers.
    async fn find_defaults(&self) -> Result<Arc<ServerDefaults>, ProxyError> {
        let map = self.shared.map.load();
        let home = map
            .default_keyspace()
            .and_then(|keyspace| map.place(keyspace, keyspace.home))
            .map(|(server, _)| server);
        let mut last = ClientError::new(ErrorCode::UNKNOWN, "The cluster has no MySQL server yet").into();
        for server in home.into_iter().chain(map.servers()) {
            let pool = self.shared.pools.get(server);
            match server_defaults(&self.shared, &pool, &self.key).await {
                Ok(defaults) => return Ok(defaults),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// COM_CHANGE_USER: a new login on the same connection; the session starts anew.
    pub(super) async fn change_user(&mut self, body: &[u8]) -> Result<Flow, ProxyError> {
        let malformed = |error: podway_wire::DecodeError| {
            ClientError::new(ErrorCode::MALFORMED_PACKET, error.to_string())
        };
        let wanted = ChangeUser::decode(body, self.capabilities).map_err(malformed)?;
        let peer = self.client.peer().map_err(ProxyError::ClientGone)?;
        self.client.consume(std::mem::take(&mut self.command_bytes));
        self.held.clear();
        self.locks = None;
        self.statements.clear();
        self.sql_statements.clear();
        let mut auth = ServerAuth::new(self.nonce, Some(self.shared.rsa.clone()));
        let first = auth.on_change_user(&wanted, self.capabilities, self.client.is_tls());
        let mut reader = PacketReader::new(1);
        let claim = Claim { user: &wanted.user, peer };
        let shared = self.shared.clone();
        let proof = prove(&mut self.client, &mut reader, &shared, auth, first, claim);
        let proved = tokio::time::timeout(shared.config.client.login_deadline, proof).await;
        self.place.sequence = reader.seq();
        match proved {
            Err(_) => return Ok(Flow::Close),
            Ok(Err(LoginError::Gone(error))) => return Err(ProxyError::ClientGone(error)),
            Ok(Err(LoginError::Refused(refused))) => {
                self.reply_error(&refused).await?;
                return Ok(Flow::Close);
            }
            Ok(Ok(account)) => {
                let rights = self.shared.map.load().rights_since(&account.name);
                self.key = PoolKey::new(account.name.clone(), self.key.capabilities(), rights);
                self.account = account;
            }
        }
        let started = self.start(wanted.charset, wanted.database.as_deref()).await;
        match started {
            Ok(()) => Ok(Flow::Next),
            Err(error) => {
                self.failed(error).await;
                Ok(Flow::Close)
            }
        }
    }
}

/// The defaults of this server; asked for under the client's own account where they are not known yet.
async fn server_defaults(
    shared: &Shared,
    pool: &Arc<ServerPool>,
    key: &PoolKey,
) -> Result<Arc<ServerDefaults>, ProxyError> {
    if let Some(known) = shared.defaults.get(&pool.id()).filter(|known| known.asked.elapsed() < FRESH) {
        return Ok(known.clone());
    }
    let mut connection = pool.checkout(key, Fit { settings: 0, schema: None }).await?;
    let sql = b"SELECT @@GLOBAL.sql_mode, @@GLOBAL.time_zone, @@GLOBAL.autocommit, @@GLOBAL.collation_server";
    let rows = connection.rows(sql).await?;
    let text = |column| rows.text(column).unwrap_or_default();
    let defaults = ServerDefaults {
        sql_mode: text(0),
        time_zone: text(1),
        autocommit: text(2) != "0",
        collation: text(3),
        asked: Instant::now(),
    };
    let defaults = Arc::new(defaults);
    connection.give_back(Instant::now());
    shared.defaults.insert(pool.id(), defaults.clone());
    Ok(defaults)
}

/// What a session starts with on a server with these defaults, for a client that asked for this collation.
fn initial_state(defaults: &ServerDefaults, collation: u16) -> SessionState {
    let (charset, collation) = collation_names(collation).unwrap_or_else(|| {
        let charset = defaults.collation.split('_').next().unwrap_or("utf8mb4").to_owned();
        (charset, defaults.collation.clone())
    });
    let mut settings = defaults.settings();
    settings.put("character_set_client", &string_literal(charset.as_bytes()));
    settings.put("character_set_results", &string_literal(charset.as_bytes()));
    settings.put("collation_connection", &string_literal(collation.as_bytes()));
    SessionState {
        settings: Arc::new(settings),
        autocommit: defaults.autocommit,
        lexical: Lexical {
            sql_mode: SqlMode::parse(&defaults.sql_mode),
            charset: ClientCharset::from_name(&charset),
            charset_name: charset,
            collation,
            time_zone: defaults.time_zone.clone(),
        },
        ..SessionState::default()
    }
}

/// A collation's character set and name; none for those that no client may use.
fn collation_names(id: u16) -> Option<(String, String)> {
    let id = CollationId::from(id);
    let collation: Collation<'_> = id.into();
    let charset = collation.charset().to_owned();
    let is_for_clients = !matches!(charset.as_str(), "ucs2" | "utf16" | "utf16le" | "utf32" | "");
    (id != CollationId::UNKNOWN_COLLATION_ID && is_for_clients)
        .then(|| (charset, collation.collation().to_owned()))
}
