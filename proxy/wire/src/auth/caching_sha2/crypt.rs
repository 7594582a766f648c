//! SHA-256-crypt, with the 20-byte salt that MySQL gives it.
//!
//! The scheme is Ulrich Drepper's "Unix crypt using SHA-256", where a salt has at most 16 bytes; nothing else differs.

use sha2::{Digest, Sha256};

const BLOCK: usize = 32;

/// Characters of a digest.
pub(super) const DIGEST_LEN: usize = 43;

/// The digest of a password, in crypt's own base 64.
pub(super) fn sha256_crypt(password: &[u8], salt: &[u8], rounds: u32) -> [u8; DIGEST_LEN] {
    let mut digest = start(password, salt);
    let repeated_password = stretch(&hash_repeated(password, password.len()), password.len());
    let repeated_salt = stretch(&hash_repeated(salt, 16 + usize::from(digest[0])), salt.len());
    let mut hash = Sha256::new();
    for round in 0..rounds {
        let odd = round % 2 == 1;
        hash.update(if odd { &repeated_password[..] } else { &digest });
        if round % 3 != 0 {
            hash.update(&repeated_salt);
        }
        if round % 7 != 0 {
            hash.update(&repeated_password);
        }
        hash.update(if odd { &digest } else { &repeated_password[..] });
        digest = hash.finalize_reset().into();
    }
    encode(&digest)
}

/// The digest before the first round.
fn start(password: &[u8], salt: &[u8]) -> [u8; BLOCK] {
    let inner: [u8; BLOCK] =
        Sha256::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let mut hash = Sha256::new().chain_update(password).chain_update(salt);
    hash.update(stretch(&inner, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        hash.update(if bits % 2 == 1 { &inner[..] } else { password });
        bits /= 2;
    }
    hash.finalize().into()
}

fn hash_repeated(text: &[u8], times: usize) -> [u8; BLOCK] {
    let mut hash = Sha256::new();
    for _ in 0..times {
        hash.update(text);
    }
    hash.finalize().into()
}

fn stretch(block: &[u8; BLOCK], len: usize) -> Vec<u8> {
    block.iter().copied().cycle().take(len).collect()
}

/// Three bytes make four characters; the bytes are taken ten apart, rotated by one each time, and the last group has two.
fn encode(digest: &[u8; BLOCK]) -> [u8; DIGEST_LEN] {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = [0; DIGEST_LEN];
    let mut groups = [[0; 3]; 11];
    let mut order: [usize; 3] = [0, 10, 20];
    for group in &mut groups[..10] {
        *group = order.map(|at| digest[at]);
        order = [order[2] + 1, order[0] + 1, order[1] + 1];
    }
    groups[10] = [0, digest[31], digest[30]];
    for (characters, [a, b, c]) in text.chunks_mut(4).zip(groups) {
        let mut bits = u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
        for character in characters {
            *character = ALPHABET[(bits & 63) as usize];
            bits >>= 6;
        }
    }
    text
}
