//! Logins of all kinds, as literal lists of what is said.

use std::sync::LazyLock;

use super::*;
use crate::auth::rsa::encrypt;

const NONCE: [u8; NONCE_LEN] = *b"abcdefghijklmnopqrst";
const SHA2: &[u8] = caching_sha2::PLUGIN;
const NATIVE: &[u8] = native::PLUGIN;
const ASK_FOR_PASSWORD: &[u8] = &[1, 4];

static KEY: LazyLock<Arc<RsaKey>> = LazyLock::new(|| Arc::new(RsaKey::generate().unwrap()));

fn machine() -> ServerAuth {
    ServerAuth::new(NONCE, Some(KEY.clone()))
}

fn login(plugin: Option<&[u8]>, response: &[u8]) -> Login {
    let mut capabilities = CapabilityFlags::CLIENT_PROTOCOL_41 | CapabilityFlags::CLIENT_SECURE_CONNECTION;
    capabilities.set(CapabilityFlags::CLIENT_PLUGIN_AUTH, plugin.is_some());
    let (plugin, auth_response) = (plugin.map(<[u8]>::to_vec), response.to_vec());
    Login { capabilities, user: b"app".to_vec(), auth_response, plugin, ..Login::default() }
}

fn account(plugin: &[u8], password: &[u8], cached: bool) -> StoredAccount {
    let authentication_string = match (plugin, password) {
        (_, b"") => Vec::new(),
        (NATIVE, password) => native::authentication_string(password),
        (_, password) => caching_sha2::authentication_string(password, b"ABCDEFGHIJKLMNOPQRST"),
    };
    let cached = cached.then(|| Verifier::of(password));
    StoredAccount { plugin: plugin.to_vec(), authentication_string, cached }
}

fn sha2(password: &[u8]) -> Vec<u8> {
    caching_sha2::fast_scramble(password, &NONCE).to_vec()
}

fn begin(login: &Login, is_tls: bool, account: Option<StoredAccount>) -> (ServerAuth, AuthStep) {
    let mut auth = machine();
    assert_eq!(auth.on_login(login, is_tls), AuthStep::NeedAccount);
    let step = auth.with_account(account);
    (auth, step)
}

fn accept() -> AuthStep {
    AuthStep::Accept { send: None, new_verifier: None }
}

fn accept_and_keep(password: &[u8]) -> AuthStep {
    AuthStep::Accept { send: None, new_verifier: Some(Verifier::of(password)) }
}

fn accept_fast() -> AuthStep {
    AuthStep::Accept { send: Some(vec![1, 3]), new_verifier: None }
}

fn send(payload: &[u8]) -> AuthStep {
    AuthStep::Send(payload.to_vec())
}

fn switch_to(plugin: &[u8]) -> AuthStep {
    send(&[b"\xFE", plugin, b"\0", &NONCE, b"\0"].concat())
}

#[test]
fn logins_that_one_packet_decides() {
    let right = native::scramble(b"secret", &NONCE);
    let wrong = native::scramble(b"guess", &NONCE);
    let cases = [
        (
            "a cached password",
            login(Some(SHA2), &sha2(b"secret")),
            account(SHA2, b"secret", true),
            accept_fast(),
        ),
        ("no password where none is due", login(Some(SHA2), b""), account(SHA2, b"", false), accept()),
        ("said with a NUL", login(Some(SHA2), b"\0"), account(SHA2, b"", false), accept()),
        (
            "no password where one is due",
            login(Some(SHA2), b""),
            account(SHA2, b"secret", true),
            AuthStep::Reject,
        ),
        (
            "a scramble cut",
            login(Some(SHA2), &sha2(b"secret")[1..]),
            account(SHA2, b"secret", true),
            AuthStep::Reject,
        ),
        ("native", login(Some(NATIVE), &right), account(NATIVE, b"secret", false), accept()),
        ("native, wrong", login(Some(NATIVE), &wrong), account(NATIVE, b"secret", false), AuthStep::Reject),
        ("native, none due", login(Some(NATIVE), b""), account(NATIVE, b"", false), accept()),
        ("native, none given", login(Some(NATIVE), b""), account(NATIVE, b"secret", false), AuthStep::Reject),
        ("a client older than plugins", login(None, &right), account(NATIVE, b"secret", false), accept()),
        (
            "for an account newer than that",
            login(None, &right),
            account(SHA2, b"x", true),
            AuthStep::Unsupported,
        ),
    ];
    for (name, login, account, expected) in cases {
        for is_tls in [true, false] {
            let (mut auth, step) = begin(&login, is_tls, Some(account.clone()));
            assert_eq!(step, expected, "{name}");
            assert_eq!(
                auth.password_used(),
                !matches!(login.auth_response[..], [] | [0]) && step != AuthStep::Unsupported
            );
            assert_eq!(auth.on_packet(b"more"), AuthStep::Disconnect, "{name}: it is over");
        }
    }
}

/// Goes through the exchange after the account is known; each line is a client's packet and our answer to it.
fn check(name: &str, is_tls: bool, account: Option<StoredAccount>, said: &[(&[u8], AuthStep)]) {
    let (mut auth, step) = begin(&login(Some(SHA2), &sha2(b"secret")), is_tls, account);
    assert_eq!(step, send(ASK_FOR_PASSWORD), "{name}");
    assert!(auth.is_costly());
    for (packet, expected) in said {
        assert_eq!(auth.on_packet(packet), *expected, "{name}: {packet:?}");
    }
}

#[test]
fn a_password_that_is_not_cached_is_asked_for_and_kept_once_right() {
    let known = || Some(account(SHA2, b"secret", false));
    let stale =
        || Some(StoredAccount { cached: Some(Verifier::of(b"old")), ..account(SHA2, b"secret", false) });
    let key = [b"\x01", KEY.public_pem().as_bytes()].concat();
    let encrypted = |password: &[u8]| encrypt(KEY.public_pem().as_bytes(), password, &NONCE).unwrap();
    let right = encrypted(b"secret");

    check("over TLS", true, known(), &[(b"secret\0", accept_and_keep(b"secret"))]);
    check("the cache is stale", true, stale(), &[(b"secret\0", accept_and_keep(b"secret"))]);
    check("wrong", true, known(), &[(b"guess\0", AuthStep::Reject)]);
    check("empty", true, known(), &[(b"\0", AuthStep::Reject)]);
    check("without its NUL", true, known(), &[(b"secret", AuthStep::Disconnect)]);
    check("nothing", true, known(), &[(b"", AuthStep::Disconnect)]);
    check("too long", true, known(), &[(&[&[b'x'; 257][..], b"\0"].concat(), AuthStep::Reject)]);

    check("key asked for", false, known(), &[(&[2], send(&key)), (&right, accept_and_keep(b"secret"))]);
    check("key known", false, known(), &[(&right, accept_and_keep(b"secret"))]);
    check("wrong", false, known(), &[(&[2], send(&key)), (&encrypted(b"guess"), AuthStep::Reject)]);
    check("asked for twice", false, known(), &[(&[2], send(&key)), (&[2], AuthStep::Reject)]);
    check("in the clear", false, known(), &[(b"secret\0", AuthStep::Reject)]);
    check("noise", false, known(), &[(&[2], send(&key)), (&[7; 256], AuthStep::Reject)]);
}

#[test]
fn an_account_that_does_not_exist_is_asked_like_one_that_does() {
    let of_another_plugin = StoredAccount { plugin: b"auth_socket".to_vec(), ..StoredAccount::default() };
    let key = [b"\x01", KEY.public_pem().as_bytes()].concat();
    let encrypted = encrypt(KEY.public_pem().as_bytes(), b"secret", &NONCE).unwrap();
    for missing in [None, Some(of_another_plugin), Some(account(SHA2, b"", false))] {
        check("over TLS", true, missing.clone(), &[(b"secret\0", AuthStep::Reject)]);
        check("without", false, missing.clone(), &[(&[2], send(&key)), (&encrypted, AuthStep::Reject)]);
    }
    for response in [&b""[..], b"\0"] {
        let (_, step) = begin(&login(Some(SHA2), response), true, None);
        assert_eq!(step, AuthStep::Reject, "an empty password is none for the decoy either");
    }
    let (_, step) = begin(&login(None, b"01234567890123456789"), true, None);
    assert_eq!(step, AuthStep::Unsupported);
}

#[test]
fn a_client_with_another_plugin_is_asked_to_switch() {
    type Case = (&'static [u8], &'static [u8], Vec<u8>, AuthStep);
    let said: [Case; 5] = [
        (NATIVE, SHA2, sha2(b"secret"), accept_fast()),
        (b"mysql_clear_password", SHA2, sha2(b"guess"), send(ASK_FOR_PASSWORD)),
        (b"", SHA2, b"\0".to_vec(), AuthStep::Reject),
        (SHA2, NATIVE, native::scramble(b"secret", &NONCE), accept()),
        (SHA2, NATIVE, b"".to_vec(), AuthStep::Reject),
    ];
    for (offered, of_account, answer, expected) in said {
        let account = account(of_account, b"secret", true);
        let (mut auth, step) = begin(&login(Some(offered), b"0123456789012345678901"), true, Some(account));
        assert_eq!(step, switch_to(of_account));
        assert_eq!(auth.on_packet(&answer), expected, "{}", String::from_utf8_lossy(offered));
    }
}

#[test]
fn a_change_of_user_is_asked_anew_whatever_it_brings() {
    let capabilities = CapabilityFlags::CLIENT_PLUGIN_AUTH;
    for auth_response in [Vec::new(), sha2(b"secret"), b"\0".to_vec()] {
        let plugin = Some(SHA2.to_vec());
        let change = ChangeUser { user: b"app".to_vec(), auth_response, plugin, ..ChangeUser::default() };
        let mut auth = machine();
        assert_eq!(auth.on_change_user(&change, capabilities, true), AuthStep::NeedAccount);
        assert_eq!(auth.with_account(Some(account(SHA2, b"secret", true))), switch_to(SHA2));
        assert_eq!(auth.on_packet(&sha2(b"secret")), accept_fast());
    }
    // A client that cannot switch brings what it has.
    let auth_response = native::scramble(b"secret", &NONCE);
    let change = ChangeUser { user: b"app".to_vec(), auth_response, ..ChangeUser::default() };
    let mut auth = machine();
    assert_eq!(auth.on_change_user(&change, CapabilityFlags::empty(), true), AuthStep::NeedAccount);
    assert_eq!(auth.with_account(Some(account(NATIVE, b"secret", false))), accept());
}

#[test]
fn without_a_key_and_without_tls_only_cached_passwords_pass() {
    let mut auth = ServerAuth::new(NONCE, None);
    auth.on_login(&login(Some(SHA2), &sha2(b"secret")), false);
    assert_eq!(auth.with_account(Some(account(SHA2, b"secret", false))), send(ASK_FOR_PASSWORD));
    assert_eq!(auth.on_packet(&[2]), AuthStep::Reject);
    let mut auth = ServerAuth::new(NONCE, None);
    auth.on_login(&login(Some(SHA2), &sha2(b"secret")), false);
    assert_eq!(auth.with_account(Some(account(SHA2, b"secret", true))), accept_fast());
}

#[test]
fn calls_out_of_turn_end_the_login() {
    let known = || Some(account(SHA2, b"secret", true));
    assert_eq!(machine().on_packet(b"x"), AuthStep::Disconnect);
    assert_eq!(machine().with_account(known()), AuthStep::Disconnect);
    let mut auth = machine();
    auth.on_login(&login(Some(SHA2), b""), true);
    assert_eq!(auth.on_login(&login(Some(SHA2), b""), true), AuthStep::Disconnect);
    assert_eq!(auth.with_account(known()), AuthStep::Disconnect);
}

#[test]
fn nothing_secret_is_printed() {
    let (auth, _) = begin(&login(Some(SHA2), &sha2(b"secret")), true, Some(account(SHA2, b"secret", true)));
    let printed = format!("{auth:?} {:?}", account(SHA2, b"secret", true));
    for secret in ["$A$", "36, 65, 36", "secret"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn the_decoy_costs_what_an_account_costs() {
    assert!(caching_sha2::is_authentication_string(DECOY));
    assert_eq!(DECOY[..7], caching_sha2::authentication_string(b"x", b"ABCDEFGHIJKLMNOPQRST")[..7]);
}

#[test]
fn a_login_can_move_to_another_thread() {
    fn movable<T: Send + 'static>(_: &T) {}
    movable(&machine());
    assert!(!machine().is_costly());
}
