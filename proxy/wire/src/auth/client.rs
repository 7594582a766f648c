//! The client's half of a login: proves to a server that we know an account's password.
//!
//! A password only leaves in the clear where no one listens; whether a key may be asked for otherwise is the caller's word.
//! Next: `server`, the other half.

use mysql_common::constants::CapabilityFlags;
use thiserror::Error;

use super::nonce::NONCE_LEN;
use super::rsa::{self, RsaError};
use super::{caching_sha2, native};
use crate::codec::DecodeError;
use crate::packets::attributes::Attributes;
use crate::packets::auth_exchange::{AuthMoreData, AuthSwitch};
use crate::packets::change_user::ChangeUser;
use crate::packets::err::ErrPacket;
use crate::packets::greeting::Greeting;
use crate::packets::login::{Login, TlsRequest};
use crate::packets::ok::OkPacket;

/// More packets than any login takes: a server that keeps asking is left.
const MAX_STEPS: u8 = 16;

/// What a server must be able to do for us to speak with it.
const REQUIRED: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH);

/// What we log in to a server with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BackendLogin {
    /// The account.
    pub user: Vec<u8>,
    /// Its password.
    pub password: Vec<u8>,
    /// The database to start in.
    pub database: Option<Vec<u8>>,
    /// What we would like; the server's greeting decides what we get. What every login needs is added.
    pub capabilities: CapabilityFlags,
    /// The collation id's low byte.
    pub charset: u8,
    /// The largest packet that we take.
    pub max_packet: u32,
    /// What we say of ourselves.
    pub attributes: Attributes,
}

impl std::fmt::Debug for BackendLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendLogin")
            .field("user", &String::from_utf8_lossy(&self.user))
            .field("database", &self.database.as_deref().map(String::from_utf8_lossy))
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

/// What to encrypt a password with where there is no TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ServerKey {
    /// Nothing: without TLS, only a password that the server has cached gets us in.
    #[default]
    Refuse,
    /// Whatever key the server sends. Keeps listeners out, but not an impostor.
    Ask,
    /// This key, in PEM.
    Known(Vec<u8>),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientStep {
    /// Send this payload, then hand the server's next packet in.
    Send(Vec<u8>),
    /// Only hand the server's next packet in.
    Wait,
    /// We are in.
    Done(OkPacket),
    /// The server said no.
    Failed(ErrPacket),
}

/// Why a login cannot go on; the connection must be closed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientAuthError {
    /// The server is too old.
    #[error("the server lacks capabilities that every login needs: {missing:?}")]
    MissingCapabilities {
        /// Which ones.
        missing: CapabilityFlags,
    },
    /// The account uses a plugin that we do not speak.
    #[error("the server asks for the authentication plugin {0}, which is not supported")]
    UnsupportedPlugin(String),
    /// The password would have to travel where others listen.
    #[error(
        "the server asks for the password on a connection without TLS; enable TLS or give its public key"
    )]
    NeedsTls,
    /// The server's key cannot be used.
    #[error(transparent)]
    Key(#[from] RsaError),
    /// A packet cannot be read.
    #[error("the server sent a packet that cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    /// A packet that has no place in a login, or one too many.
    #[error("the server sent a packet that has no place in a login")]
    Unexpected,
}

/// A login under way.
#[derive(Debug)]
pub struct ClientAuth {
    login: BackendLogin,
    key: ServerKey,
    capabilities: CapabilityFlags,
    secure: bool,
    nonce: [u8; NONCE_LEN],
    plugin: Plugin,
    awaits_key: bool,
    steps: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plugin {
    CachingSha2,
    Native,
}

impl ClientAuth {
    /// A login, or a COM_CHANGE_USER, with an account that we know the password of.
    pub fn new(login: BackendLogin, key: ServerKey) -> Self {
        ClientAuth {
            login,
            key,
            capabilities: CapabilityFlags::empty(),
            secure: false,
            nonce: [0; NONCE_LEN],
            plugin: Plugin::CachingSha2,
            awaits_key: false,
            steps: 0,
        }
    }

    /// What precedes the TLS handshake; afterwards [`on_greeting`](Self::on_greeting) with `secure`. `None`: the server has no
    /// TLS.
    pub fn tls_request(&mut self, greeting: &Greeting) -> Option<Vec<u8>> {
        if !greeting.capabilities.contains(CapabilityFlags::CLIENT_SSL) {
            return None;
        }
        self.login.capabilities |= CapabilityFlags::CLIENT_SSL;
        let (max_packet, charset) = (self.login.max_packet, self.login.charset);
        let mut packet = Vec::new();
        TlsRequest { capabilities: self.negotiate(greeting), max_packet, charset }.encode(&mut packet);
        Some(packet)
    }

    /// The login packet. `secure`: no one listens, be it for TLS or a Unix socket.
    pub fn on_greeting(&mut self, greeting: &Greeting, secure: bool) -> Result<Vec<u8>, ClientAuthError> {
        let missing = REQUIRED - greeting.capabilities;
        if !missing.is_empty() {
            return Err(ClientAuthError::MissingCapabilities { missing });
        }
        self.capabilities = self.negotiate(greeting);
        let auth_response = self.first_response(&greeting.plugin, greeting.nonce, secure);
        let login = Login {
            capabilities: self.capabilities,
            max_packet: self.login.max_packet,
            charset: self.login.charset,
            charset_high: 0,
            user: self.login.user.clone(),
            auth_response,
            database: self.login.database.clone(),
            plugin: Some(self.plugin.name().to_vec()),
            attributes: self.login.attributes.clone(),
        };
        let mut packet = Vec::new();
        login.encode(&mut packet);
        Ok(packet)
    }

    /// The bytes after the command byte of a COM_CHANGE_USER, on a connection that has logged in as `capabilities` say. The
    /// greeting's nonce is good for it once more.
    pub fn change_user(
        &mut self,
        greeting: &Greeting,
        capabilities: CapabilityFlags,
        secure: bool,
    ) -> Vec<u8> {
        self.capabilities = capabilities;
        let auth_response = self.first_response(&greeting.plugin, greeting.nonce, secure);
        let change = ChangeUser {
            user: self.login.user.clone(),
            auth_response,
            database: self.login.database.clone(),
            charset: self.login.charset.into(),
            plugin: Some(self.plugin.name().to_vec()),
            attributes: self.login.attributes.clone(),
        };
        let mut packet = Vec::new();
        change.encode(capabilities, &mut packet);
        packet
    }

    /// Goes on with the server's next packet.
    pub fn on_packet(&mut self, payload: &[u8]) -> Result<ClientStep, ClientAuthError> {
        self.steps = self.steps.saturating_add(1);
        if self.steps > MAX_STEPS {
            return Err(ClientAuthError::Unexpected);
        }
        match payload.first() {
            Some(&OkPacket::HEADER) => Ok(ClientStep::Done(OkPacket::decode(payload, self.capabilities)?)),
            Some(&ErrPacket::HEADER) => Ok(ClientStep::Failed(ErrPacket::decode(payload)?)),
            Some(&AuthSwitch::HEADER) => self.on_switch(&AuthSwitch::decode(payload)?),
            Some(&AuthMoreData::HEADER) => self.on_more_data(&payload[1..]),
            _ => Err(ClientAuthError::Unexpected),
        }
    }

    /// What the connection agreed on.
    pub fn capabilities(&self) -> CapabilityFlags {
        self.capabilities
    }

    fn negotiate(&self, greeting: &Greeting) -> CapabilityFlags {
        let mut wanted = self.login.capabilities | REQUIRED;
        wanted.set(CapabilityFlags::CLIENT_CONNECT_WITH_DB, self.login.database.is_some());
        wanted & greeting.capabilities
    }

    fn first_response(&mut self, plugin: &[u8], nonce: [u8; NONCE_LEN], secure: bool) -> Vec<u8> {
        self.secure = secure;
        self.nonce = nonce;
        // A server whose default we do not speak will ask the account's own plugin anyway.
        self.plugin = Plugin::from_name(plugin).unwrap_or(Plugin::CachingSha2);
        self.response()
    }

    fn on_switch(&mut self, switch: &AuthSwitch) -> Result<ClientStep, ClientAuthError> {
        self.plugin = Plugin::from_name(&switch.plugin).ok_or_else(|| {
            ClientAuthError::UnsupportedPlugin(String::from_utf8_lossy(&switch.plugin).into_owned())
        })?;
        let value = switch.nonce.len() as u64;
        self.nonce = switch.nonce[..]
            .try_into()
            .map_err(|_| DecodeError::Unexpected { field: "length of the nonce", value })?;
        self.awaits_key = false;
        Ok(ClientStep::Send(self.response()))
    }

    fn on_more_data(&mut self, data: &[u8]) -> Result<ClientStep, ClientAuthError> {
        const REQUEST_PUBLIC_KEY: u8 = 2;
        const FAST_SUCCEEDED: &[u8] = &[3];
        const FULL_NEEDED: &[u8] = &[4];
        if self.plugin != Plugin::CachingSha2 {
            return Err(ClientAuthError::Unexpected);
        }
        if self.awaits_key {
            self.awaits_key = false;
            return Ok(ClientStep::Send(rsa::encrypt(data, &self.login.password, &self.nonce)?));
        }
        match (data, self.secure, &self.key) {
            (FAST_SUCCEEDED, _, _) => Ok(ClientStep::Wait),
            (FULL_NEEDED, true, _) => Ok(ClientStep::Send([&self.login.password[..], &[0]].concat())),
            (FULL_NEEDED, false, ServerKey::Known(pem)) => {
                Ok(ClientStep::Send(rsa::encrypt(pem, &self.login.password, &self.nonce)?))
            }
            (FULL_NEEDED, false, ServerKey::Ask) => {
                self.awaits_key = true;
                Ok(ClientStep::Send(vec![REQUEST_PUBLIC_KEY]))
            }
            (FULL_NEEDED, false, ServerKey::Refuse) => Err(ClientAuthError::NeedsTls),
            _ => Err(ClientAuthError::Unexpected),
        }
    }

    /// What the plugin in force says to the nonce in force.
    fn response(&self) -> Vec<u8> {
        let password = &self.login.password;
        match self.plugin {
            Plugin::Native => native::scramble(password, &self.nonce),
            // No password at all is said with a NUL.
            Plugin::CachingSha2 if password.is_empty() => vec![0],
            Plugin::CachingSha2 => caching_sha2::fast_scramble(password, &self.nonce).to_vec(),
        }
    }
}

impl Plugin {
    fn from_name(name: &[u8]) -> Option<Plugin> {
        [Plugin::CachingSha2, Plugin::Native].into_iter().find(|plugin| plugin.name() == name)
    }

    fn name(self) -> &'static [u8] {
        match self {
            Plugin::CachingSha2 => caching_sha2::PLUGIN,
            Plugin::Native => native::PLUGIN,
        }
    }
}

#[cfg(test)]
mod tests;
