//! Logins from our side, and the two machines against each other.

use std::sync::Arc;

use mysql_common::constants::StatusFlags;

use super::*;
use crate::auth::rsa::RsaKey;
use crate::auth::server::{AuthStep, ServerAuth, StoredAccount};

const NONCE: [u8; NONCE_LEN] = *b"abcdefghijklmnopqrst";
const OK: &[u8] = b"\0\0\0\x02\0\0\0";
const DENIED: &[u8] = b"\xFF\x15\x04#28000Access denied";

fn greeting(plugin: &[u8]) -> Greeting {
    Greeting {
        version: b"9.7.4".to_vec(),
        connection_id: 7,
        nonce: NONCE,
        capabilities: CapabilityFlags::all(),
        charset: 255,
        status: StatusFlags::SERVER_STATUS_AUTOCOMMIT,
        plugin: plugin.to_vec(),
    }
}

fn of(password: &[u8], key: ServerKey) -> ClientAuth {
    let capabilities = CapabilityFlags::CLIENT_DEPRECATE_EOF | CapabilityFlags::CLIENT_TRANSACTIONS;
    let (user, password) = (b"app".to_vec(), password.to_vec());
    ClientAuth::new(
        BackendLogin { user, password, capabilities, charset: 255, ..BackendLogin::default() },
        key,
    )
}

fn send(payload: &[u8]) -> Result<ClientStep, ClientAuthError> {
    Ok(ClientStep::Send(payload.to_vec()))
}

fn ok() -> Result<ClientStep, ClientAuthError> {
    Ok(ClientStep::Done(OkPacket { status: StatusFlags::SERVER_STATUS_AUTOCOMMIT, ..OkPacket::default() }))
}

fn denied() -> Result<ClientStep, ClientAuthError> {
    Ok(ClientStep::Failed(ErrPacket::new(1045, *b"28000", "Access denied")))
}

type Said<'a> = (&'a [u8], Result<ClientStep, ClientAuthError>);

/// Each line is a server's packet and our answer to it.
fn check(name: &str, secure: bool, key: ServerKey, said: &[Said<'_>]) {
    let mut auth = of(b"secret", key);
    auth.on_greeting(&greeting(caching_sha2::PLUGIN), secure).unwrap();
    for (packet, expected) in said {
        assert_eq!(auth.on_packet(packet), *expected, "{name}: {packet:?}");
    }
}

#[test]
fn servers_are_answered_as_they_ask() {
    let unexpected = || Err(ClientAuthError::Unexpected);
    let unsupported = Err(ClientAuthError::UnsupportedPlugin("mysql_clear_password".into()));
    let native = [&b"\xFEmysql_native_password\0"[..], &NONCE, b"\0"].concat();
    let sha2 = [&b"\xFEcaching_sha2_password\0"[..], &[b'n'; 20], b"\0"].concat();
    let short = b"\xFEcaching_sha2_password\0short\0";
    let bad_nonce = DecodeError::Unexpected { field: "length of the nonce", value: 5 };
    let native_answer = native::scramble(b"secret", &NONCE);
    let sha2_answer = caching_sha2::fast_scramble(b"secret", &[b'n'; 20]);
    let refuse = || ServerKey::Refuse;

    check("at once", false, refuse(), &[(OK, ok())]);
    check("fast", false, refuse(), &[(&[1, 3], Ok(ClientStep::Wait)), (OK, ok())]);
    check("no", false, refuse(), &[(DENIED, denied())]);
    check("full, secure", true, refuse(), &[(&[1, 4], send(b"secret\0")), (OK, ok())]);
    check("full, insecure", false, refuse(), &[(&[1, 4], Err(ClientAuthError::NeedsTls))]);
    check("another plugin", true, refuse(), &[(&native, send(&native_answer)), (OK, ok())]);
    check("another nonce", true, refuse(), &[(&sha2, send(&sha2_answer)), (&[1, 3], Ok(ClientStep::Wait))]);
    check("a short nonce", true, refuse(), &[(short, Err(bad_nonce.into()))]);
    check("in the clear", true, refuse(), &[(b"\xFEmysql_clear_password\0", unsupported)]);
    check("the oldest scramble", true, refuse(), &[(&[0xFE], Err(DecodeError::OldProtocol.into()))]);
    check(
        "native has no more to say",
        true,
        refuse(),
        &[(&native, send(&native_answer)), (&[1, 4], unexpected())],
    );
    check("noise", true, refuse(), &[(b"\x05", unexpected())]);
    check("nothing", true, refuse(), &[(b"", unexpected())]);
    check("unknown data", true, refuse(), &[(&[1, 9], unexpected())]);
    check(
        "a bad key",
        false,
        ServerKey::Ask,
        &[(&[1, 4], send(&[2])), (b"\x01no key", Err(RsaError::UnreadableKey.into()))],
    );
}

#[test]
fn a_server_that_keeps_asking_is_left() {
    let mut auth = of(b"secret", ServerKey::Refuse);
    auth.on_greeting(&greeting(caching_sha2::PLUGIN), true).unwrap();
    let switch = [&b"\xFEcaching_sha2_password\0"[..], &NONCE, b"\0"].concat();
    let steps = (0..100).take_while(|_| auth.on_packet(&switch).is_ok()).count();
    assert_eq!(steps, usize::from(MAX_STEPS));
}

#[test]
fn the_login_says_what_both_can_do_and_proves_the_password() {
    let mut login = BackendLogin {
        user: b"app".to_vec(),
        password: b"secret".to_vec(),
        database: Some(b"shop".to_vec()),
        capabilities: CapabilityFlags::CLIENT_DEPRECATE_EOF | CapabilityFlags::CLIENT_CONNECT_ATTRS,
        charset: 45,
        max_packet: 1 << 24,
        attributes: vec![(b"program_name".to_vec(), b"podway".to_vec())],
    };
    let cases = [
        (caching_sha2::PLUGIN, caching_sha2::PLUGIN, caching_sha2::fast_scramble(b"secret", &NONCE).to_vec()),
        (native::PLUGIN, native::PLUGIN, native::scramble(b"secret", &NONCE)),
        (b"sha256_password", caching_sha2::PLUGIN, caching_sha2::fast_scramble(b"secret", &NONCE).to_vec()),
    ];
    for (offered, plugin, response) in cases {
        let mut auth = ClientAuth::new(login.clone(), ServerKey::Refuse);
        let mut hello = greeting(offered);
        hello.capabilities.remove(CapabilityFlags::CLIENT_DEPRECATE_EOF);
        let packet = Login::decode(&auth.on_greeting(&hello, true).unwrap()).unwrap();
        assert_eq!(packet.capabilities, auth.capabilities());
        assert!(!packet.capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF));
        assert!(packet.capabilities.contains(REQUIRED | CapabilityFlags::CLIENT_CONNECT_WITH_DB));
        assert_eq!(packet.plugin.as_deref(), Some(plugin));
        assert_eq!(packet.auth_response, response);
        assert_eq!(
            (packet.database, packet.charset, packet.max_packet),
            (login.database.clone(), 45, 1 << 24)
        );
        assert_eq!(packet.attributes, login.attributes);
    }
    login.password.clear();
    for (plugin, response) in [(caching_sha2::PLUGIN, &b"\0"[..]), (native::PLUGIN, b"")] {
        let mut auth = ClientAuth::new(login.clone(), ServerKey::Refuse);
        let packet = auth.on_greeting(&greeting(plugin), true).unwrap();
        assert_eq!(Login::decode(&packet).unwrap().auth_response, response);
    }
}

#[test]
fn tls_is_asked_for_only_where_there_is_some() {
    let mut auth = of(b"secret", ServerKey::Refuse);
    let mut hello = greeting(caching_sha2::PLUGIN);
    let request = auth.tls_request(&hello).unwrap();
    assert!(TlsRequest::decode(&request).is_ok());
    let login = Login::decode(&auth.on_greeting(&hello, true).unwrap()).unwrap();
    assert!(login.capabilities.contains(CapabilityFlags::CLIENT_SSL));

    hello.capabilities.remove(CapabilityFlags::CLIENT_SSL);
    assert_eq!(of(b"secret", ServerKey::Refuse).tls_request(&hello), None);
}

#[test]
fn a_server_that_is_too_old_is_left() {
    let mut hello = greeting(caching_sha2::PLUGIN);
    hello.capabilities.remove(CapabilityFlags::CLIENT_PLUGIN_AUTH);
    let missing = CapabilityFlags::CLIENT_PLUGIN_AUTH;
    let error = of(b"secret", ServerKey::Refuse).on_greeting(&hello, true);
    assert_eq!(error, Err(ClientAuthError::MissingCapabilities { missing }));
}

#[test]
fn a_server_that_never_comes_to_an_end_is_refused_for_good() {
    let mut auth = of(b"secret", ServerKey::Refuse);
    auth.on_greeting(&greeting(caching_sha2::PLUGIN), true).unwrap();
    let waits = std::iter::repeat_with(|| auth.on_packet(&[1, 3])).take(1000);
    let waits: Vec<bool> = waits.map(|step| step == Ok(ClientStep::Wait)).collect();
    let (first, others) = waits.split_at(usize::from(MAX_STEPS));
    assert!(first.iter().all(|waits| *waits) && !others.contains(&true), "{waits:?}");
}

/// Lets both machines speak until one of them is done; whether the client is in.
fn meet(
    mut client: ClientAuth,
    rsa: &Arc<RsaKey>,
    account: &StoredAccount,
    secure: bool,
) -> Result<bool, ClientAuthError> {
    let mut server = ServerAuth::new(NONCE, Some(rsa.clone()));
    let login = Login::decode(&client.on_greeting(&greeting(caching_sha2::PLUGIN), secure)?).unwrap();
    assert_eq!(server.on_login(&login, secure), AuthStep::NeedAccount);
    let mut step = server.with_account(Some(account.clone()));
    loop {
        let answer = match step {
            AuthStep::Send(payload) => client.on_packet(&payload)?,
            AuthStep::Accept { send, .. } => {
                if let Some(payload) = send {
                    assert_eq!(client.on_packet(&payload), Ok(ClientStep::Wait));
                }
                client.on_packet(OK)?
            }
            _ => client.on_packet(DENIED)?,
        };
        match answer {
            ClientStep::Send(payload) => step = server.on_packet(&payload),
            ClientStep::Done(_) => return Ok(true),
            other => return Ok(!matches!(other, ClientStep::Failed(_))),
        }
    }
}

#[test]
fn the_two_machines_understand_each_other() {
    let rsa = Arc::new(RsaKey::generate().unwrap());
    let known = || ServerKey::Known(rsa.public_pem().as_bytes().to_vec());
    for password in [&b""[..], b"secret", &[b'x'; 200]] {
        let sha2 = match password {
            b"" => Vec::new(),
            password => caching_sha2::authentication_string(password, b"ABCDEFGHIJKLMNOPQRST"),
        };
        let verifier = Some(caching_sha2::Verifier::of(password)).filter(|_| !password.is_empty());
        let accounts = [
            (caching_sha2::PLUGIN, sha2.clone(), None),
            (caching_sha2::PLUGIN, sha2, verifier),
            (native::PLUGIN, native::authentication_string(password), None),
        ];
        for (plugin, authentication_string, cached) in accounts {
            let account = StoredAccount { plugin: plugin.to_vec(), authentication_string, cached };
            for (key, secure) in [(ServerKey::Refuse, true), (ServerKey::Ask, false), (known(), false)] {
                assert_eq!(meet(of(password, key.clone()), &rsa, &account, secure), Ok(true), "{account:?}");
                assert_eq!(meet(of(b"guess", key), &rsa, &account, secure), Ok(false), "{account:?}");
            }
        }
    }
}

#[test]
fn no_password_is_printed() {
    let printed = format!("{:?}", of(b"secret", ServerKey::Refuse));
    assert!(!printed.contains("secret") && !printed.contains("115, 101"), "{printed}");
}
