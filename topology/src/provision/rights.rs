//! What a server's administrative account must be allowed, for everything that Podway does there. The list in `docs/operations.md` is this one.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::error::ProvisionError;

/// Privileges on everything; of those in one line any will do: MySQL gave some another name.
const NEEDED: [&[&str]; 29] = [
    &["SELECT"],
    &["INSERT"],
    &["UPDATE"],
    &["DELETE"],
    &["CREATE"],
    &["DROP"],
    &["ALTER"],
    &["INDEX"],
    &["REFERENCES"],
    &["TRIGGER"],
    &["CREATE VIEW"],
    &["CREATE ROUTINE"],
    &["ALTER ROUTINE"],
    &["SHOW VIEW"],
    &["EXECUTE"],
    &["LOCK TABLES"],
    &["PROCESS"],
    &["RELOAD"],
    &["SHOW DATABASES"],
    &["CREATE USER"],
    &["GRANT OPTION"],
    &["APPLICATION_PASSWORD_ADMIN"],
    &["CONNECTION_ADMIN"],
    &["ROLE_ADMIN", "SUPER"],
    &["SET_ANY_DEFINER", "SET_USER_ID", "SUPER"],
    &["SHOW_ROUTINE"],
    &["SYSTEM_USER"],
    &["SYSTEM_VARIABLES_ADMIN", "SUPER"],
    &["XA_RECOVER_ADMIN"],
];

/// Those that are passed on to Podway's own account; MySQL lets each be passed on by itself.
const PASSED_ON: [&str; 4] = ["CONNECTION_ADMIN", "SHOW_ROUTINE", "SYSTEM_USER", "XA_RECOVER_ADMIN"];

/// What the account of this session lacks; granted to it, or to a role that it has now.
pub async fn missing_rights(conn: &mut Conn) -> Result<Vec<&'static str>, ProvisionError> {
    let sql = "SELECT PRIVILEGE_TYPE, MAX(IS_GRANTABLE = 'YES') FROM information_schema.USER_PRIVILEGES \
               WHERE GRANTEE = CONCAT('\\'', REPLACE(CURRENT_USER(), '@', '\\'@\\''), '\\'') \
               OR GRANTEE IN (SELECT CONCAT('\\'', ROLE_NAME, '\\'@\\'', ROLE_HOST, '\\'') FROM information_schema.ENABLED_ROLES) \
               GROUP BY PRIVILEGE_TYPE";
    let rows: Vec<(String, bool)> =
        conn.query(sql).await.map_err(ProvisionError::doing("reading the administrator's privileges"))?;
    Ok(missing(&rows.into_iter().collect()))
}

/// What is not among these; with each whether it may be passed on.
fn missing(has: &BTreeMap<String, bool>) -> Vec<&'static str> {
    let may_grant = has.values().any(|grantable| *grantable);
    let is_there = |name: &str| match name {
        "GRANT OPTION" => may_grant,
        name => has.get(name).is_some_and(|grantable| *grantable || !PASSED_ON.contains(&name)),
    };
    NEEDED.iter().filter(|any| !any.iter().any(|name| is_there(name))).map(|any| any[0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let all = || -> BTreeMap<String, bool> {
            NEEDED.iter().map(|any| (any[any.len() - 1].to_owned(), true)).collect()
        };
        assert_eq!(missing(&all()), Vec::<&str>::new());
        let mut without = all();
        without.remove("SYSTEM_USER");
        without.remove("SELECT");
        assert_eq!(missing(&without), ["SELECT", "SYSTEM_USER"]);
        let passed_on: BTreeMap<String, bool> = all().into_keys().map(|name| (name, false)).collect();
        let expected = ["GRANT OPTION", "CONNECTION_ADMIN", "SYSTEM_USER", "XA_RECOVER_ADMIN"];
        assert_eq!(missing(&passed_on), expected);
    }
}
