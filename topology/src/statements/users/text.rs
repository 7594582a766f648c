//! A statement's text for one server and one schema there. Pure.

use podway_model::{AccountName, AuthPlugin};
use podway_topology_api::{UserPiece, UserStatement};

use crate::provision::{account_literal, plugin_name, quote_name};

/// What an account proves itself by, as the first server has it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) plugin: AuthPlugin,
    pub(super) string: Box<[u8]>,
}

/// What goes into a text's holes.
pub(super) struct Filling<'a> {
    /// The schema, where the statement is on one.
    pub(super) schema: Option<&'a str>,
    /// `None`: this is the first server, which makes strings of passwords. Else the string of each account, where it has one.
    pub(super) proofs: Option<&'a [Option<Proof>]>,
    /// Whether it may have been run here before.
    pub(super) is_again: bool,
}

/// Why there is no text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoText {
    #[error("{0} has no password on the first server any more")]
    NoProof(AccountName),
    #[error("the statement names an account that it does not have")]
    NoAccount,
}

/// The text.
pub(super) fn text(statement: &UserStatement, filling: &Filling<'_>) -> Result<Vec<u8>, NoText> {
    let mut text = Vec::with_capacity(statement.bytes());
    for piece in &statement.pieces {
        match piece {
            UserPiece::Text(bytes) => text.extend_from_slice(&bytes.0),
            UserPiece::Schema { is_pattern } => {
                let schema = filling.schema.unwrap_or_default();
                let name = if *is_pattern { pattern(schema) } else { schema.to_owned() };
                text.extend_from_slice(quote_name(&name).as_bytes());
            }
            UserPiece::IfExists if filling.is_again => text.extend_from_slice(b"IF EXISTS "),
            UserPiece::IfExists => {}
            UserPiece::Password { account, text: clear, is_whole } => match filling.proofs {
                None => text.extend_from_slice(&clear.0),
                Some(proofs) => {
                    let place = usize::from(*account);
                    let name = statement.accounts.get(place).ok_or(NoText::NoAccount)?;
                    let proof = proofs.get(place).and_then(Option::as_ref);
                    let proof = proof.ok_or_else(|| NoText::NoProof(name.clone()))?;
                    if *is_whole {
                        text.extend_from_slice(format!("ALTER USER {} ", account_literal(name)).as_bytes());
                    }
                    text.extend_from_slice(proof.clause().as_bytes());
                }
            },
        }
    }
    Ok(text)
}

/// Whether a text for later servers is another statement than the client's, which the client himself might not be allowed: whoever may change his own
/// password may not set its string.
pub(super) fn is_own_password(statement: &UserStatement) -> bool {
    statement.pieces.iter().any(|piece| matches!(piece, UserPiece::Password { is_whole: true, .. }))
}

/// Whether the statement sets an account's password.
pub(super) fn sets_password(statement: &UserStatement, account: &AccountName) -> bool {
    let place = statement.accounts.iter().position(|known| known == account);
    statement.pieces.iter().any(
        |piece| matches!(piece, UserPiece::Password { account, .. } if Some(usize::from(*account)) == place),
    )
}

impl Proof {
    /// `IDENTIFIED WITH … AS …`
    pub(super) fn clause(&self) -> String {
        let digits: String = self.string.iter().map(|byte| format!("{byte:02X}")).collect();
        format!("IDENTIFIED WITH {} AS 0x{digits}", plugin_name(self.plugin))
    }
}

/// A schema's name as GRANT takes it literally.
fn pattern(schema: &str) -> String {
    schema.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

#[cfg(test)]
mod tests {
    use podway_model::HostPattern;
    use podway_topology_api::{SqlBytes, UserPlace, UserVerb};

    use super::*;

    fn name(user: &str) -> AccountName {
        AccountName { user: user.into(), host: HostPattern::new("%") }
    }

    fn bytes(text: &str) -> SqlBytes {
        SqlBytes(text.as_bytes().into())
    }

    fn statement(pieces: Vec<UserPiece>) -> UserStatement {
        UserStatement {
            account: Some(name("me")),
            setup: SqlBytes::default(),
            verb: UserVerb::Alter,
            accounts: vec![name("a"), name("b`c")],
            roles: Vec::new(),
            place: UserPlace::Server,
            requires_tls: None,
            pieces,
        }
    }

    fn proof(string: &[u8]) -> Option<Proof> {
        Some(Proof { plugin: AuthPlugin::CachingSha2Password, string: string.into() })
    }

    fn said(statement: &UserStatement, filling: &Filling<'_>) -> String {
        String::from_utf8(text(statement, filling).unwrap()).unwrap()
    }

    #[test]
    fn the_first_server_is_told_the_password_and_all_others_its_string() {
        let password =
            |is_whole| UserPiece::Password { account: 1, text: bytes("IDENTIFIED BY 'x'"), is_whole };
        let part = statement(vec![UserPiece::Text(bytes("CREATE USER a, `b``c` ")), password(false)]);
        let first = Filling { schema: None, proofs: None, is_again: false };
        assert_eq!(said(&part, &first), "CREATE USER a, `b``c` IDENTIFIED BY 'x'");
        let proofs = [None, proof(b"$A\x00")];
        let later = Filling { proofs: Some(&proofs), ..first };
        let clause = "IDENTIFIED WITH caching_sha2_password AS 0x244100";
        assert_eq!(said(&part, &later), format!("CREATE USER a, `b``c` {clause}"));
        let whole = statement(vec![password(true)]);
        assert_eq!(said(&whole, &later), format!("ALTER USER `b``c`@`%` {clause}"));
        assert_eq!(said(&whole, &first), "IDENTIFIED BY 'x'");
        assert!(is_own_password(&whole) && !is_own_password(&part));
        let lost = Filling { proofs: Some(&[None, None]), schema: None, is_again: false };
        assert_eq!(text(&part, &lost), Err(NoText::NoProof(name("b`c"))));
    }

    #[test]
    fn each_schema_stands_as_it_is_read_there() {
        let grant = statement(vec![
            UserPiece::Text(bytes("REVOKE ")),
            UserPiece::IfExists,
            UserPiece::Text(bytes("SELECT ON ")),
            UserPiece::Schema { is_pattern: true },
            UserPiece::Text(bytes(".* FROM a")),
        ]);
        let filling = Filling { schema: Some("shop__2"), proofs: None, is_again: false };
        assert_eq!(said(&grant, &filling), "REVOKE SELECT ON `shop\\_\\_2`.* FROM a");
        let again = Filling { is_again: true, ..filling };
        assert_eq!(said(&grant, &again), "REVOKE IF EXISTS SELECT ON `shop\\_\\_2`.* FROM a");
        let object = statement(vec![UserPiece::Schema { is_pattern: false }]);
        assert_eq!(said(&object, &again), "`shop__2`");
    }
}
