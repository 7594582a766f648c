//! What callers and nodes prove themselves with: certificates as PEM, and bearer tokens. Secrets stay out of `Debug` and of every message.

use std::fmt;

/// A PEM text: certificates or a key. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem(Vec<u8>);

impl Pem {
    /// Takes the text of a PEM file.
    pub fn new(text: impl Into<Vec<u8>>) -> Pem {
        Pem(text.into())
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({} bytes)", self.0.len())
    }
}

/// A certificate chain and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The chain, the holder's own certificate first.
    pub certificate: Pem,
    /// The key.
    pub key: Pem,
}

/// What a caller shows instead of a certificate: `authorization: Bearer …`. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

/// Why a text cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token has {} to {} visible ASCII characters", Token::MIN_LENGTH, Token::MAX_LENGTH)]
pub struct NotAToken;

impl Token {
    /// A shorter one could be guessed.
    pub const MIN_LENGTH: usize = 16;
    /// A longer one is no token.
    pub const MAX_LENGTH: usize = 512;

    /// Takes a token's text; blanks around it are not part of it.
    pub fn new(text: &str) -> Result<Token, NotAToken> {
        let text = text.trim();
        let fits = (Token::MIN_LENGTH..=Token::MAX_LENGTH).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotAToken);
        }
        Ok(Token(text.into()))
    }

    /// A new one that nobody can guess: 128 bits as hexadecimal digits.
    pub fn random() -> Token {
        Token(format!("{:032x}", rand::random::<u128>()).into())
    }

    /// The text, for whoever has to send or store it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// How a caller makes sure of a node, and proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// The authorities that a node's certificate must come from.
    pub ca: Pem,
    /// The caller's own certificate, where nodes ask for one.
    pub identity: Option<Identity>,
    /// The name that a node's certificate must carry; `None`: the host of the address.
    pub server_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let token = Token::new(" 0123456789abcdef\n").unwrap();
        assert_eq!(token.reveal(), "0123456789abcdef");
        assert!(!format!("{token:?}").contains("0123"));
        let identity = Identity { certificate: Pem::new("public"), key: Pem::new("private") };
        assert!(!format!("{identity:?}").contains("private"));
    }

    #[test]
    fn a_token_is_long_and_printable() {
        for text in ["short", "with a blank in the middle", "0123456789abcdef\u{7f}"] {
            assert_eq!(Token::new(text), Err(NotAToken), "{text:?}");
        }
        assert_ne!(Token::random(), Token::random());
    }
}
