//! Who is let in at the client port: whoever shows a certificate from the client authorities, or one of the tokens. Where neither is configured,
//! everyone; that this is so beyond loopback only on demand, the configuration sees to.

use podway_topology_api::Token;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// The rule of a port.
#[derive(Clone)]
pub struct Access {
    /// Digests, so that a comparison takes as long whatever a token's length is.
    tokens: Vec<[u8; 32]>,
    /// Whether certificates are asked for; those that are shown have been verified.
    takes_certificates: bool,
}

impl Access {
    /// Lets in whoever shows one of `tokens`, or a certificate if the port asks for them.
    pub fn new(tokens: &[Token], takes_certificates: bool) -> Access {
        let tokens = tokens.iter().map(|token| Sha256::digest(token.reveal()).into()).collect();
        Access { tokens, takes_certificates }
    }

    /// Whether `shown` is one of the tokens; takes as long for each one.
    fn knows(&self, shown: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(shown).into();
        let none = Choice::from(0);
        self.tokens.iter().fold(none, |known, token| known | token.ct_eq(&digest)).into()
    }

    fn check(&self, shown: Option<&[u8]>, has_certificate: bool) -> Result<(), &'static str> {
        let is_open = self.tokens.is_empty() && !self.takes_certificates;
        if is_open || (self.takes_certificates && has_certificate) {
            return Ok(());
        }
        match shown.map(|value| value.strip_prefix(b"Bearer ")) {
            Some(Some(token)) if self.knows(token) => Ok(()),
            Some(_) => Err("the token is not one of this cluster's"),
            None if self.tokens.is_empty() => Err("a certificate from the cluster's client CA is needed"),
            None => Err("a token is needed"),
        }
    }
}

impl Interceptor for Access {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let shown = request.metadata().get("authorization").map(|value| value.as_bytes());
        let has_certificate = request.peer_certs().is_some_and(|certificates| !certificates.is_empty());
        match self.check(shown, has_certificate) {
            Ok(()) => Ok(request),
            Err(reason) => Err(Status::unauthenticated(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    #[test]
    fn a_token_or_a_certificate_lets_in_and_nothing_else_does() {
        let token = Token::new(TOKEN).unwrap();
        let good: Option<&[u8]> = Some(b"Bearer 0123456789abcdef");
        let both = Access::new(&[Token::random(), token.clone()], true);
        assert_eq!(both.check(good, false), Ok(()));
        assert_eq!(both.check(None, true), Ok(()));
        for shown in ["Bearer 0123456789abcdeF", "0123456789abcdef", "Bearer ", "Basic 0123456789abcdef"] {
            assert!(both.check(Some(shown.as_bytes()), false).is_err(), "{shown}");
        }
        assert!(both.check(None, false).is_err());
        let tokens = Access::new(&[token], false);
        assert!(tokens.check(None, true).is_err(), "a certificate that was not asked for proves nothing");
        let certificates = Access::new(&[], true);
        assert!(certificates.check(good, false).is_err());
    }

    #[test]
    fn without_any_rule_everyone_is_let_in() {
        assert_eq!(Access::new(&[], false).check(None, false), Ok(()));
    }
}
