//! What `podway user` has the topology run on every server, as statements of the administrator's. Pure.

use podway_model::AccountName;
use podway_topology_api::{NewOperation, SqlBytes, UserPiece, UserPlace, UserStatement, UserVerb};

use crate::provision::{account_literal, text_literal};

/// What stands where a password is.
const SECRET: &str = "<secret>";

/// CREATE USER.
pub(super) fn create(user: &AccountName, password: &str) -> NewOperation {
    let shown = format!("CREATE USER {} IDENTIFIED BY {SECRET}", account_literal(user));
    let text = format!("CREATE USER {} ", account_literal(user));
    new(shown, UserVerb::Create, user, UserPlace::Server, vec![words(&text), identified(password)])
}

/// ALTER USER … IDENTIFIED BY.
pub(super) fn change_password(user: &AccountName, password: &str) -> NewOperation {
    let shown = format!("ALTER USER {} IDENTIFIED BY {SECRET}", account_literal(user));
    let text = format!("ALTER USER {} ", account_literal(user));
    new(shown, UserVerb::Alter, user, UserPlace::Server, vec![words(&text), identified(password)])
}

/// DROP USER.
pub(super) fn drop(user: &AccountName) -> NewOperation {
    let text = format!("DROP USER IF EXISTS {}", account_literal(user));
    new(text.clone(), UserVerb::Drop, user, UserPlace::Server, vec![words(&text)])
}

/// GRANT … ON a keyspace, which is on the schemas of all its shards.
pub(super) fn grant(user: &AccountName, privileges: &str, keyspace: &str) -> NewOperation {
    let whom = account_literal(user);
    let shown = format!("GRANT {privileges} ON {keyspace}.* TO {whom}");
    let pieces = vec![
        words(&format!("GRANT {privileges} ON ")),
        UserPiece::Schema { is_pattern: true },
        words(&format!(".* TO {whom}")),
    ];
    let place = UserPlace::Shards { keyspace: keyspace.into(), home_only: false };
    new(shown, UserVerb::Privileges, user, place, pieces)
}

fn new(
    shown: String,
    verb: UserVerb,
    user: &AccountName,
    place: UserPlace,
    pieces: Vec<UserPiece>,
) -> NewOperation {
    let statement = UserStatement {
        account: None,
        setup: SqlBytes::default(),
        verb,
        accounts: vec![user.clone()],
        roles: Vec::new(),
        place,
        requires_tls: None,
        pieces,
    };
    NewOperation::Users { shown: shown.into(), statement }
}

fn words(text: &str) -> UserPiece {
    UserPiece::Text(bytes(text))
}

fn identified(password: &str) -> UserPiece {
    let text = bytes(&format!("IDENTIFIED BY {}", text_literal(password)));
    UserPiece::Password { account: 0, text, is_whole: false }
}

fn bytes(text: &str) -> SqlBytes {
    SqlBytes(text.as_bytes().into())
}

#[cfg(test)]
mod tests {
    use podway_model::HostPattern;

    use super::*;

    fn user() -> AccountName {
        AccountName { user: "a`b".into(), host: HostPattern::new("10.%") }
    }

    #[test]
    fn what_is_shown_has_no_password() {
        let cases = [
            (create(&user(), "hunter2"), "CREATE USER `a``b`@`10.%` IDENTIFIED BY <secret>"),
            (change_password(&user(), "hunter2"), "ALTER USER `a``b`@`10.%` IDENTIFIED BY <secret>"),
            (drop(&user()), "DROP USER IF EXISTS `a``b`@`10.%`"),
            (grant(&user(), "SELECT, INSERT", "shop"), "GRANT SELECT, INSERT ON shop.* TO `a``b`@`10.%`"),
        ];
        for (operation, expected) in cases {
            assert!(!format!("{operation:?}").contains("hunter2"));
            let NewOperation::Users { shown, .. } = operation else { panic!("it is about users") };
            assert_eq!(&*shown, expected);
        }
    }
}
