//! `caching_sha2_password`: a fast proof for passwords seen before, the password itself for others.
//!
//! A server keeps two things. The account's *authentication string* is slow to compute on purpose, and needs the password.
//! The *verifier*, `SHA256(SHA256(password))`, is learnt whenever a full exchange succeeds, and checks the scrambles of all
//! later logins; it never leaves memory. Next: `crypt`, the slow hash.

mod crypt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::nonce::NONCE_LEN;

/// The plugin's name.
pub const PLUGIN: &[u8] = b"caching_sha2_password";

/// Bytes of a scramble.
pub const SCRAMBLE_LEN: usize = 32;

/// The longest password; MySQL refuses longer ones.
pub const MAX_PASSWORD: usize = 256;

/// Bytes of the salt in an authentication string.
pub const SALT_LEN: usize = 20;

/// What MySQL 9.7 gives new passwords; MySQL 8 gave them 5000.
const ROUNDS: u32 = 10_000;
/// An authentication string counts its rounds in thousands, as three hexadecimal digits.
const ROUNDS_UNIT: u32 = 1000;

/// `SHA256(SHA256(password))`: enough to check a scramble, but not to make one.
#[derive(Clone)]
pub struct Verifier([u8; SCRAMBLE_LEN]);

impl Verifier {
    /// The verifier of a password.
    pub fn of(password: &[u8]) -> Self {
        Verifier(sha256(&[&sha256(&[password])]))
    }

    /// Whether the sender of `scramble` knows the password, in time that does not depend on the scramble's bytes.
    pub fn check_fast(&self, scramble: &[u8], nonce: &[u8; NONCE_LEN]) -> bool {
        let Ok(scramble) = <&[u8; SCRAMBLE_LEN]>::try_from(scramble) else { return false };
        let once_hashed = xor(scramble, &sha256(&[&self.0, nonce]));
        sha256(&[&once_hashed]).ct_eq(&self.0).into()
    }
}

impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Verifier {}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(..)")
    }
}

/// What a client sends to prove, to a server that holds the verifier, that it knows the password.
pub fn fast_scramble(password: &[u8], nonce: &[u8; NONCE_LEN]) -> [u8; SCRAMBLE_LEN] {
    let once = sha256(&[password]);
    let twice = sha256(&[&once]);
    xor(&once, &sha256(&[&twice, nonce]))
}

/// Checks a password against an authentication string from `mysql.user` (`$A$00A$…`). The verifier of a right password is the
/// answer. Costs milliseconds of CPU, which is its purpose.
pub fn check_full(authentication_string: &[u8], password: &[u8]) -> Option<Verifier> {
    let stored = AuthenticationString::parse(authentication_string)?;
    if password.len() > MAX_PASSWORD {
        return None;
    }
    let digest = crypt::sha256_crypt(password, stored.salt, stored.rounds);
    bool::from(digest.ct_eq(stored.digest)).then(|| Verifier::of(password))
}

/// The authentication string of a password, as MySQL would store it with this salt ([`super::nonce`] makes one).
pub fn authentication_string(password: &[u8], salt: &[u8; SALT_LEN]) -> Vec<u8> {
    let mut string = format!("$A${:03X}$", ROUNDS / ROUNDS_UNIT).into_bytes();
    string.extend_from_slice(salt);
    string.extend_from_slice(&crypt::sha256_crypt(password, salt, ROUNDS));
    string
}

/// Whether the bytes have an authentication string's form.
pub fn is_authentication_string(bytes: &[u8]) -> bool {
    AuthenticationString::parse(bytes).is_some()
}

struct AuthenticationString<'a> {
    rounds: u32,
    salt: &'a [u8],
    digest: &'a [u8; crypt::DIGEST_LEN],
}

impl<'a> AuthenticationString<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (digits, rest) = bytes.strip_prefix(b"$A$")?.split_first_chunk::<3>()?;
        let (salt, digest) = rest.strip_prefix(b"$")?.split_at_checked(SALT_LEN)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let thousands = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        Some(AuthenticationString { rounds: thousands * ROUNDS_UNIT, salt, digest: digest.try_into().ok()? })
            .filter(|stored| stored.rounds > 0)
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; SCRAMBLE_LEN] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn xor(a: &[u8; SCRAMBLE_LEN], b: &[u8; SCRAMBLE_LEN]) -> [u8; SCRAMBLE_LEN] {
    std::array::from_fn(|at| a[at] ^ b[at])
}

#[cfg(test)]
mod tests;
