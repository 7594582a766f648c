//! Who is let in at the client port, and with which right: whoever shows a certificate from the client authorities, or one of the tokens. Where neither
//! is configured, everyone, with every right; that this is so beyond loopback only on demand, the configuration sees to. What needs which right, `rights`
//! says.

use podway_topology_api::{Command, Right, Token};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::arrivals::Caller;
use super::rights::{Call, needed_for};

/// The rule of a port.
#[derive(Clone)]
pub struct Access {
    /// Digests, so that a comparison takes as long whatever a token's length is.
    tokens: Vec<([u8; 32], Right)>,
    /// Whether certificates are asked for; those that are shown have been verified.
    takes_certificates: bool,
    /// The rights of certificates by the names that they carry; empty: all of them have every right.
    names: Vec<(ServerName<'static>, Right)>,
}

/// What a caller was let in with, for whoever answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted(Right);

impl Granted {
    /// What a request's caller may do; nothing that a request could say changes it.
    pub fn of<T>(request: &Request<T>) -> Result<Granted, Status> {
        let granted = request.extensions().get::<Granted>().copied();
        granted.ok_or_else(|| Status::unauthenticated("the caller was not let in"))
    }

    /// Whether it may call this.
    pub fn allows(self, call: Call) -> Result<(), Status> {
        self.has(call.needs())
    }

    /// Whether it may propose this.
    pub fn allows_to_propose(self, command: &Command) -> Result<(), Status> {
        self.has(needed_for(command))
    }

    fn has(self, needed: Right) -> Result<(), Status> {
        if self.0 >= needed {
            return Ok(());
        }
        let text = format!("it needs the right `{needed}`, and what this caller shows has `{}`", self.0);
        Err(Status::permission_denied(text))
    }
}

impl Access {
    /// Lets in whoever shows one of `tokens`, or a certificate if the port asks for them, with the rights that go with it.
    pub fn new(tokens: &[(Token, Right)], takes_certificates: bool, names: &[(String, Right)]) -> Access {
        let digest = |(token, right): &(Token, Right)| (Sha256::digest(token.reveal()).into(), *right);
        let name = |(name, right): &(String, Right)| Some((ServerName::try_from(name.clone()).ok()?, *right));
        Access {
            tokens: tokens.iter().map(digest).collect(),
            takes_certificates,
            // The configuration has looked that each can be a name.
            names: names.iter().filter_map(name).collect(),
        }
    }

    /// The right of a token; takes as long for each one. The highest where one is there twice.
    fn right_of(&self, shown: &[u8]) -> Option<Right> {
        let digest: [u8; 32] = Sha256::digest(shown).into();
        let mut found = 0_u8;
        for (token, right) in &self.tokens {
            let place = (*right as u8) + 1;
            found.conditional_assign(&place.max(found), token.ct_eq(&digest));
        }
        Right::ALL.get(usize::from(found).checked_sub(1)?).copied()
    }

    /// The right of a verified certificate: the highest of its names.
    fn right_of_certificate(&self, certificate: &CertificateDer<'_>) -> Option<Right> {
        if self.names.is_empty() {
            return Some(Right::Admin);
        }
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        let carried = self.names.iter().filter(|(name, _)| verify_server_name(&parsed, name).is_ok());
        carried.map(|(_, right)| *right).max()
    }

    fn check(
        &self,
        shown: Option<&[u8]>,
        certificate: Option<&CertificateDer<'_>>,
    ) -> Result<Granted, &'static str> {
        if self.tokens.is_empty() && !self.takes_certificates {
            return Ok(Granted(Right::Admin));
        }
        let certificate = certificate.filter(|_| self.takes_certificates);
        let by_certificate = certificate.and_then(|certificate| self.right_of_certificate(certificate));
        let by_token = match shown.map(|value| value.strip_prefix(b"Bearer ")) {
            Some(Some(token)) => self.right_of(token),
            _ => None,
        };
        if let Some(right) = by_certificate.max(by_token) {
            return Ok(Granted(right));
        }
        Err(match shown {
            Some(_) => "the token is not one of this cluster's",
            None if certificate.is_some() => "no name that the certificate carries has a right here",
            None if self.tokens.is_empty() => "a certificate from the cluster's client CA is needed",
            None => "a token is needed",
        })
    }
}

impl Interceptor for Access {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let shown = request.metadata().get("authorization").map(|value| value.as_bytes());
        let caller = request.extensions().get::<Caller>();
        let granted = self.check(shown, caller.and_then(|caller| caller.certificate.as_ref()));
        request.extensions_mut().insert(granted.map_err(Status::unauthenticated)?);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate(names: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        CertificateParams::new(names).unwrap().self_signed(&key).unwrap().der().clone()
    }

    fn right(granted: Result<Granted, &'static str>) -> Option<Right> {
        granted.ok().map(|Granted(right)| right)
    }

    #[test]
    fn a_token_or_a_certificate_lets_in_and_nothing_else_does() {
        let token = Token::new("0123456789abcdef").unwrap();
        let shown: Option<&[u8]> = Some(b"Bearer 0123456789abcdef");
        let (own, all) = (certificate(&["p1"]), Some(Right::Admin));
        let both = Access::new(&[(Token::random(), Right::Read), (token.clone(), Right::Admin)], true, &[]);
        assert_eq!(right(both.check(shown, None)), all);
        assert_eq!(right(both.check(None, Some(&own))), all);
        for wrong in ["Bearer 0123456789abcdeF", "0123456789abcdef", "Bearer ", "Basic 0123456789abcdef"] {
            assert!(both.check(Some(wrong.as_bytes()), None).is_err(), "{wrong}");
        }
        assert!(both.check(None, None).is_err());
        let tokens = Access::new(&[(token, Right::Admin)], false, &[]);
        assert!(
            tokens.check(None, Some(&own)).is_err(),
            "a certificate that was not asked for proves nothing"
        );
        let certificates = Access::new(&[], true, &[]);
        assert!(certificates.check(shown, None).is_err());
    }

    #[test]
    fn without_any_rule_everyone_is_let_in() {
        assert_eq!(right(Access::new(&[], false, &[]).check(None, None)), Some(Right::Admin));
    }

    #[test]
    fn each_token_has_its_right() {
        let tokens = Right::ALL.map(|right| (Token::random(), right));
        let access = Access::new(&tokens, false, &[]);
        for (token, expected) in &tokens {
            let shown = format!("Bearer {}", token.reveal());
            assert_eq!(right(access.check(Some(shown.as_bytes()), None)), Some(*expected));
        }
    }

    #[test]
    fn certificates_have_the_right_of_their_names() {
        let names = [
            ("p1".to_owned(), Right::Proxy),
            ("desk".to_owned(), Right::Read),
            ("p1".to_owned(), Right::Read),
        ];
        let access = Access::new(&[], true, &names);
        let of = |names: &[&str]| right(access.check(None, Some(&certificate(names))));
        assert_eq!(of(&["p1"]), Some(Right::Proxy));
        assert_eq!(of(&["desk"]), Some(Right::Read));
        assert_eq!(of(&["desk", "p1"]), Some(Right::Proxy));
        assert_eq!(of(&["p2"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_right_includes_the_lesser_ones() {
        for (has, needs, is_enough) in [
            (Right::Read, Call::Watch, true),
            (Right::Read, Call::Credentials, false),
            (Right::Proxy, Call::Credentials, true),
            (Right::Proxy, Call::ChangeMembers, false),
            (Right::Admin, Call::ChangeMembers, true),
        ] {
            assert_eq!(Granted(has).allows(needs).is_ok(), is_enough, "{has} {needs:?}");
        }
        let refused = Granted(Right::Read).allows(Call::ChangeMembers).unwrap_err();
        assert!(refused.message().contains("`admin`") && refused.message().contains("`read`"));
    }
}
