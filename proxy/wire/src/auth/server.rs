//! The server's half of a login: asks a client until it is known whether it may come in.
//!
//! One machine serves one login or one COM_CHANGE_USER. It looks no account up: it says when it needs one, and is told. A user
//! that does not exist is asked the same questions, with the same work, as one whose password is wrong. Next: `client`,
//! the other half.

use std::sync::Arc;

use mysql_common::constants::CapabilityFlags;

use super::caching_sha2::{self, Verifier, check_full};
use super::native;
use super::nonce::NONCE_LEN;
use super::rsa::RsaKey;
use crate::packets::auth_exchange::{AuthMoreData, AuthSwitch};
use crate::packets::change_user::ChangeUser;
use crate::packets::login::Login;

const REQUEST_PUBLIC_KEY: u8 = 2;
const FAST_SUCCEEDED: u8 = 3;
const FULL_NEEDED: u8 = 4;

/// Checked in place of an account that does not exist. That someone may find its password is no matter: the answer is no.
const DECOY: &[u8] = b"$A$00A$podway decoy salt 20...........................................";

/// What is known of an account.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoredAccount {
    /// Its plugin: `caching_sha2_password` or `mysql_native_password`. Accounts of others cannot log in.
    pub plugin: Vec<u8>,
    /// What `mysql.user` holds; empty for the empty password.
    pub authentication_string: Vec<u8>,
    /// The verifier that an earlier login left.
    pub cached: Option<Verifier>,
}

impl std::fmt::Debug for StoredAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredAccount")
            .field("plugin", &String::from_utf8_lossy(&self.plugin))
            .field("cached", &self.cached.is_some())
            .finish_non_exhaustive()
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthStep {
    /// Send this payload, then hand the client's next packet to [`ServerAuth::on_packet`].
    Send(Vec<u8>),
    /// Look the account up and call [`ServerAuth::with_account`].
    NeedAccount,
    /// The client is who it says.
    Accept {
        /// A payload to send before the OK packet.
        send: Option<Vec<u8>>,
        /// To keep for later logins of this account.
        new_verifier: Option<Verifier>,
    },
    /// It is not, or there is no such account: 1045 (28000).
    Reject,
    /// The account's plugin is one that this client cannot speak: 1251 (08004).
    Unsupported,
    /// The client does not keep to the protocol: 1043 (08S01), then close.
    Disconnect,
}

/// A login under way.
#[derive(Debug)]
pub struct ServerAuth {
    nonce: [u8; NONCE_LEN],
    rsa: Option<Arc<RsaKey>>,
    client: Client,
    account: StoredAccount,
    exists: bool,
    state: State,
}

/// What the client's first packet said.
#[derive(Debug, Default)]
struct Client {
    plugin: Vec<u8>,
    response: Vec<u8>,
    can_switch: bool,
    secure: bool,
    password_used: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Account,
    /// The answer to a switch is due.
    Response,
    /// The password is due, in whatever form the connection allows.
    Password,
    /// The password encrypted with our key is due.
    Ciphertext,
    Finished,
}

impl ServerAuth {
    /// A login on a connection whose greeting carried `nonce`. Without `rsa`, clients without TLS can only log in with
    /// passwords that are cached.
    pub fn new(nonce: [u8; NONCE_LEN], rsa: Option<Arc<RsaKey>>) -> Self {
        let (client, account) = (Client::default(), StoredAccount::default());
        ServerAuth { nonce, rsa, client, account, exists: false, state: State::Start }
    }

    /// Begins with a login packet. `is_tls`: no one listens; a Unix socket counts too.
    pub fn on_login(&mut self, login: &Login, is_tls: bool) -> AuthStep {
        let plugin = match &login.plugin {
            Some(name) => name.clone(),
            // Before there were plugins there was only this one.
            None => native::PLUGIN.to_vec(),
        };
        let can_switch = login.capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH);
        self.begin(plugin, login.auth_response.clone(), can_switch, is_tls)
    }

    /// Begins with a COM_CHANGE_USER of a client that logged in with `capabilities`. A client that can switch plugins is
    /// always asked anew, as MySQL does: its own client sends nothing and waits for that, password or not. The nonce is
    /// best a fresh one then; only for clients that cannot switch it must be the greeting's.
    pub fn on_change_user(
        &mut self,
        change: &ChangeUser,
        capabilities: CapabilityFlags,
        is_tls: bool,
    ) -> AuthStep {
        let can_switch = capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH);
        let plugin = if can_switch { Vec::new() } else { native::PLUGIN.to_vec() };
        self.begin(plugin, change.auth_response.clone(), can_switch, is_tls)
    }

    /// Goes on with the account, or with the knowledge that there is none.
    pub fn with_account(&mut self, account: Option<StoredAccount>) -> AuthStep {
        if self.state != State::Account {
            return self.disconnect();
        }
        let known =
            account.filter(|account| [caching_sha2::PLUGIN, native::PLUGIN].contains(&&account.plugin[..]));
        self.exists = known.is_some();
        self.account = known.unwrap_or_else(|| StoredAccount {
            plugin: caching_sha2::PLUGIN.to_vec(),
            authentication_string: DECOY.to_vec(),
            cached: None,
        });
        if self.client.plugin == self.account.plugin {
            let response = std::mem::take(&mut self.client.response);
            return self.on_response(&response);
        }
        if !self.client.can_switch {
            return self.finish(AuthStep::Unsupported);
        }
        self.state = State::Response;
        let mut packet = Vec::new();
        AuthSwitch { plugin: self.account.plugin.clone(), nonce: self.nonce.to_vec() }.encode(&mut packet);
        AuthStep::Send(packet)
    }

    /// Goes on with the client's next packet. A full exchange ends here with some milliseconds of hashing.
    pub fn on_packet(&mut self, payload: &[u8]) -> AuthStep {
        match self.state {
            State::Response => self.on_response(payload),
            State::Password => self.on_password(payload),
            State::Ciphertext => self.on_ciphertext(payload),
            State::Start | State::Account | State::Finished => self.disconnect(),
        }
    }

    /// Whether the next packet may cost milliseconds of hashing, which an async caller will want to spend elsewhere.
    pub fn is_costly(&self) -> bool {
        matches!(self.state, State::Password | State::Ciphertext)
    }

    /// Whether the client sent a password: error 1045's text says so.
    pub fn password_used(&self) -> bool {
        self.client.password_used
    }

    fn begin(&mut self, plugin: Vec<u8>, response: Vec<u8>, can_switch: bool, secure: bool) -> AuthStep {
        if self.state != State::Start {
            return self.disconnect();
        }
        self.state = State::Account;
        self.client = Client { plugin, response, can_switch, secure, password_used: false };
        AuthStep::NeedAccount
    }

    /// The answer to the nonce, computed by the account's plugin.
    fn on_response(&mut self, response: &[u8]) -> AuthStep {
        // caching_sha2_password says "no password" with a NUL, native with nothing; each client has its own view.
        let is_empty = matches!(response, [] | [0]);
        self.client.password_used = !is_empty;
        if is_empty {
            return self.decide(self.account.authentication_string.is_empty(), None);
        }
        if self.account.plugin == native::PLUGIN {
            let passes = native::check(response, &self.nonce, &self.account.authentication_string);
            return self.decide(passes, None);
        }
        if response.len() != caching_sha2::SCRAMBLE_LEN {
            return self.finish(AuthStep::Reject);
        }
        let cached = self.account.cached.as_ref();
        if self.exists && cached.is_some_and(|verifier| verifier.check_fast(response, &self.nonce)) {
            let send = Some(more_data(&[FAST_SUCCEEDED]));
            return self.finish(AuthStep::Accept { send, new_verifier: None });
        }
        self.state = State::Password;
        AuthStep::Send(more_data(&[FULL_NEEDED]))
    }

    fn on_password(&mut self, payload: &[u8]) -> AuthStep {
        if self.client.secure {
            return match payload.strip_suffix(&[0]) {
                Some(password) => self.judge(password),
                None => self.disconnect(),
            };
        }
        let Some(rsa) = &self.rsa else { return self.finish(AuthStep::Reject) };
        if payload == [REQUEST_PUBLIC_KEY] {
            self.state = State::Ciphertext;
            return AuthStep::Send(more_data(rsa.public_pem().as_bytes()));
        }
        // A client that has our key already does not ask for it.
        self.on_ciphertext(payload)
    }

    fn on_ciphertext(&mut self, payload: &[u8]) -> AuthStep {
        let password = self.rsa.as_ref().and_then(|rsa| rsa.decrypt(payload, &self.nonce));
        match password {
            Some(password) => self.judge(&password),
            None => self.finish(AuthStep::Reject),
        }
    }

    fn judge(&mut self, password: &[u8]) -> AuthStep {
        // An account without a password is asked for one too, and costs as much, but no password is right.
        let stored = match &self.account.authentication_string[..] {
            [] => DECOY,
            stored => stored,
        };
        let verifier =
            check_full(stored, password).filter(|_| !self.account.authentication_string.is_empty());
        self.decide(verifier.is_some(), verifier)
    }

    fn decide(&mut self, passes: bool, new_verifier: Option<Verifier>) -> AuthStep {
        match passes && self.exists {
            true => self.finish(AuthStep::Accept { send: None, new_verifier }),
            false => self.finish(AuthStep::Reject),
        }
    }

    fn disconnect(&mut self) -> AuthStep {
        self.finish(AuthStep::Disconnect)
    }

    fn finish(&mut self, step: AuthStep) -> AuthStep {
        self.state = State::Finished;
        step
    }
}

fn more_data(data: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    AuthMoreData(data.to_vec()).encode(&mut packet);
    packet
}

#[cfg(test)]
mod tests;
