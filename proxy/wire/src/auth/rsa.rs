//! The password's way to the server where there is no TLS: encrypted with a key that the server hands out.
//!
//! It keeps listeners out, not someone who answers in the server's place with a key of their own; whether to ask for a key at
//! all is the caller's choice. OAEP with SHA-1, as MySQL has it.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::nonce::NONCE_LEN;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
const PEM_LINE: usize = 64;

/// Why a key is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RsaError {
    /// The key could not be made.
    #[error("an RSA key could not be made")]
    Generate,
    /// What the server calls its key is none.
    #[error("the server's public key cannot be read")]
    UnreadableKey,
    /// The password does not fit the key.
    #[error("the password is too long for the server's public key")]
    PasswordTooLong,
}

/// A server's key, made at its start and never stored.
pub struct RsaKey {
    private: OaepPrivateDecryptingKey,
    public_pem: String,
}

impl RsaKey {
    /// Makes a key of 2048 bits. Takes a good part of a second.
    pub fn generate() -> Result<Self, RsaError> {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| RsaError::Generate)?;
        let der: PublicKeyX509Der = private.public_key().as_der().map_err(|_| RsaError::Generate)?;
        let public_pem = to_pem(der.as_ref());
        let private = OaepPrivateDecryptingKey::new(private).map_err(|_| RsaError::Generate)?;
        Ok(RsaKey { private, public_pem })
    }

    /// What clients that ask for the key are sent.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// The password in `ciphertext`; `None` when it is not for this key and nonce.
    pub fn decrypt(&self, ciphertext: &[u8], nonce: &[u8; NONCE_LEN]) -> Option<Vec<u8>> {
        let mut plain = vec![0; self.private.min_output_size()];
        let len = self.private.decrypt(&OAEP_SHA1_MGF1SHA1, ciphertext, &mut plain, None).ok()?.len();
        plain.truncate(len);
        mask(&mut plain, nonce);
        (plain.pop() == Some(0)).then_some(plain)
    }
}

impl std::fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RsaKey(..)")
    }
}

/// Encrypts a password for the server whose key is `pem`.
pub fn encrypt(pem: &[u8], password: &[u8], nonce: &[u8; NONCE_LEN]) -> Result<Vec<u8>, RsaError> {
    let der = from_pem(pem).ok_or(RsaError::UnreadableKey)?;
    let key = PublicEncryptingKey::from_der(&der).map_err(|_| RsaError::UnreadableKey)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| RsaError::UnreadableKey)?;
    let mut plain = [password, &[0]].concat();
    mask(&mut plain, nonce);
    let mut ciphertext = vec![0; key.ciphertext_size()];
    let encrypted = key.encrypt(&OAEP_SHA1_MGF1SHA1, &plain, &mut ciphertext, None);
    let len = encrypted.map_err(|_| RsaError::PasswordTooLong)?.len();
    ciphertext.truncate(len);
    Ok(ciphertext)
}

fn mask(password: &mut [u8], nonce: &[u8; NONCE_LEN]) {
    for (byte, mask) in password.iter_mut().zip(nonce.iter().cycle()) {
        *byte ^= mask;
    }
}

fn to_pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut pem = format!("{BEGIN}\n");
    for at in (0..body.len()).step_by(PEM_LINE) {
        pem.push_str(&body[at..body.len().min(at + PEM_LINE)]);
        pem.push('\n');
    }
    pem + END + "\n"
}

fn from_pem(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let body: String = body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    STANDARD.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; NONCE_LEN] = *b"abcdefghijklmnopqrst";

    #[test]
    fn a_password_comes_back_with_the_nonce_it_was_sent_with_and_only_then() {
        let key = RsaKey::generate().unwrap();
        for password in [&b""[..], b"secret", "pässwörd".as_bytes(), &[b'x'; 200]] {
            let ciphertext = encrypt(key.public_pem().as_bytes(), password, &NONCE).unwrap();
            assert_eq!(key.decrypt(&ciphertext, &NONCE).as_deref(), Some(password));
            let mut other = NONCE;
            other.iter_mut().for_each(|byte| *byte ^= 1);
            assert_ne!(key.decrypt(&ciphertext, &other).as_deref(), Some(password));
        }
    }

    #[test]
    fn what_is_not_for_this_key_is_no_password() {
        let (key, other) = (RsaKey::generate().unwrap(), RsaKey::generate().unwrap());
        let ciphertext = encrypt(other.public_pem().as_bytes(), b"secret", &NONCE).unwrap();
        for bytes in [&ciphertext[..], &[], &[0; 256], &[0xFF; 256], &[1; 300]] {
            assert_eq!(key.decrypt(bytes, &NONCE), None);
        }
    }

    #[test]
    fn bad_keys_and_long_passwords_have_their_own_errors() {
        let key = RsaKey::generate().unwrap();
        let pem = key.public_pem();
        let long = [b'x'; 250];
        let cases: [(&[u8], &[u8], RsaError); 4] = [
            (b"", b"x", RsaError::UnreadableKey),
            (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", b"x", RsaError::UnreadableKey),
            (&pem.as_bytes()[..60], b"x", RsaError::UnreadableKey),
            (pem.as_bytes(), &long, RsaError::PasswordTooLong),
        ];
        for (pem, password, error) in cases {
            assert_eq!(encrypt(pem, password, &NONCE), Err(error));
        }
    }
}
