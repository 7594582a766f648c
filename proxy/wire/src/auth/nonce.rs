//! The 20 bytes that a password is scrambled with, so that what is overheard once cannot be said again.
//!
//! Randomness comes from the caller.

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 20;

/// Makes a nonce of random bytes. Clients read it as a C string, so no byte is NUL; MySQL also leaves out `$` and bytes
/// beyond ASCII, and so do we. 140 random bits remain.
pub fn nonce(random: [u8; NONCE_LEN]) -> [u8; NONCE_LEN] {
    random.map(|byte| match byte & 0x7F {
        0 => 1,
        b'$' => b'$' + 1,
        ascii => ascii,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nonce_holds_a_nul_a_dollar_or_a_byte_beyond_ascii() {
        for byte in 0..=u8::MAX {
            for made in nonce([byte; NONCE_LEN]) {
                assert!(made != 0 && made != b'$' && made < 0x80, "{byte} became {made}");
            }
        }
    }
}
