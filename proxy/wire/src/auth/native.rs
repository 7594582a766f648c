//! `mysql_native_password`: the SHA-1 scramble of MySQL 4.1, for the accounts and clients that still have nothing better.
//!
//! MySQL 9 no longer ships it. A server keeps `SHA1(SHA1(password))`; who steals that can log in with some effort.

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use super::nonce::NONCE_LEN;

/// The plugin's name.
pub const PLUGIN: &[u8] = b"mysql_native_password";

/// Bytes of a scramble.
pub const SCRAMBLE_LEN: usize = 20;

/// What a client sends to prove that it knows the password; nothing for the empty password.
pub fn scramble(password: &[u8], nonce: &[u8; NONCE_LEN]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = sha1(&[password]);
    let mask = sha1(&[nonce, &sha1(&[&once])]);
    once.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()
}

/// Whether the sender of `scramble` knows the password of `authentication_string` (`*` and 40 hexadecimal digits; empty for the
/// empty password).
pub fn check(scramble: &[u8], nonce: &[u8; NONCE_LEN], authentication_string: &[u8]) -> bool {
    if scramble.is_empty() || authentication_string.is_empty() {
        return scramble.is_empty() && authentication_string.is_empty();
    }
    let (Some(stored), Ok(scramble)) =
        (parse(authentication_string), <&[u8; SCRAMBLE_LEN]>::try_from(scramble))
    else {
        return false;
    };
    let mask = sha1(&[nonce, &stored]);
    let once: [u8; SCRAMBLE_LEN] = std::array::from_fn(|at| scramble[at] ^ mask[at]);
    sha1(&[&once]).ct_eq(&stored).into()
}

/// The authentication string of a password, as `mysql.user` holds it.
pub fn authentication_string(password: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let digits = sha1(&[&sha1(&[password])]).map(|byte| format!("{byte:02X}"));
    format!("*{}", digits.concat()).into_bytes()
}

fn parse(authentication_string: &[u8]) -> Option<[u8; SCRAMBLE_LEN]> {
    let digits = authentication_string.strip_prefix(b"*")?;
    if digits.len() != 2 * SCRAMBLE_LEN || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut stored = [0; SCRAMBLE_LEN];
    for (byte, pair) in stored.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(stored)
}

fn sha1(parts: &[&[u8]]) -> [u8; SCRAMBLE_LEN] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONCE: [u8; 20] = *b"abcdefghijklmnopqrst";

    #[test]
    fn the_stored_string_is_what_the_old_password_function_printed() {
        let cases: [(&[u8], &[u8]); 3] = [
            (b"", b""),
            (b"password", b"*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"),
            (b"root", b"*81F5E21E35407D884A6CD4A731AEBFB6AF209E1B"),
        ];
        for (password, stored) in cases {
            assert_eq!(authentication_string(password), stored);
        }
    }

    #[test]
    fn only_the_right_password_with_the_right_nonce_passes() {
        let stored = authentication_string(b"secret");
        let right = scramble(b"secret", &NONCE);
        let mut other_nonce = NONCE;
        other_nonce[19] ^= 1;
        type Case<'a> = (&'a str, &'a [u8], &'a [u8; 20], &'a [u8], bool);
        let cases: [Case<'_>; 9] = [
            ("right", &right, &NONCE, &stored, true),
            ("hexadecimal digits may be small", &right, &NONCE, &stored.to_ascii_lowercase(), true),
            ("other nonce", &right, &other_nonce, &stored, false),
            ("wrong password", &scramble(b"Secret", &NONCE), &NONCE, &stored, false),
            ("short scramble", &right[..19], &NONCE, &stored, false),
            ("no password for an account with one", b"", &NONCE, &stored, false),
            ("a password for an account without", &right, &NONCE, b"", false),
            ("no password on either side", b"", &NONCE, b"", true),
            ("unreadable account", &right, &NONCE, b"*2470", false),
        ];
        for (name, scramble, nonce, stored, passes) in cases {
            assert_eq!(check(scramble, nonce, stored), passes, "{name}");
        }
    }

    proptest! {
        #[test]
        fn scrambles_are_those_of_another_implementation(
            password in prop::collection::vec(any::<u8>(), 1..100),
            nonce: [u8; 20],
        ) {
            let made = scramble(&password, &nonce);
            let other = mysql_common::scramble::scramble_native(&nonce, &password);
            prop_assert_eq!(Some(&made[..]), other.as_ref().map(|bytes| &bytes[..]));
            prop_assert!(check(&made, &nonce, &authentication_string(&password)));
        }
    }
}
