//! Who may call Podway's procedures: every user, for it is in users' sessions that their transactions are decided. Making the procedures is not done here.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{AccountName, HostPattern};

use super::error::ProvisionError;
use super::literal::{account_literal, text_literal};
use super::procedures::PROCEDURES;

/// So many users are named in one GRANT.
const GRANTEES: usize = 100;

/// Lets an account call the procedures, where a server has them. To be run after whatever makes or changes an account there.
pub async fn grant_calls(conn: &mut Conn, name: &AccountName) -> Result<(), ProvisionError> {
    for sql in lacking_calls(conn, Some(name)).await? {
        let doing = ProvisionError::doing("letting a user call Podway's procedures");
        conn.query_drop(sql).await.map_err(doing)?;
    }
    Ok(())
}

/// GRANTs for everybody, or for one, who may not call the procedures that are there: users, the definer included, and no roles.
pub async fn lacking_calls(
    conn: &mut Conn,
    only: Option<&AccountName>,
) -> Result<Vec<String>, ProvisionError> {
    let names: Vec<String> = PROCEDURES.iter().map(|one| text_literal(one.name)).collect();
    let sql = format!(
        "SELECT r.ROUTINE_NAME, u.user, u.host FROM mysql.user u \
         JOIN information_schema.ROUTINES r ON r.ROUTINE_SCHEMA = '_podway' AND r.ROUTINE_NAME IN ({}) \
         LEFT JOIN mysql.procs_priv p ON p.User = u.user AND p.Host = u.host AND p.Db = '_podway' \
         AND p.Routine_name = r.ROUTINE_NAME AND p.Routine_type = 'PROCEDURE' AND FIND_IN_SET('Execute', p.Proc_priv) \
         WHERE p.User IS NULL AND u.user NOT LIKE 'mysql.%' AND (? OR (u.user = ? AND u.host = ?)) \
         AND NOT (u.account_locked = 'Y' AND u.password_expired = 'Y' AND u.authentication_string = '') \
         ORDER BY 1, 2, 3",
        names.join(", ")
    );
    let (user, host) = only.map_or(("", ""), |name| (&*name.user, name.host.as_str()));
    let lacking: Vec<(String, String, String)> = conn
        .exec(sql, (only.is_none(), user, host))
        .await
        .map_err(ProvisionError::doing("reading who may call Podway's procedures"))?;
    let mut by_procedure: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (procedure, user, host) in lacking {
        let name = AccountName { user: user.into(), host: HostPattern::new(&host) };
        by_procedure.entry(procedure).or_default().push(account_literal(&name));
    }
    let mut grants = Vec::new();
    for (procedure, users) in by_procedure {
        for users in users.chunks(GRANTEES) {
            grants.push(format!("GRANT EXECUTE ON PROCEDURE _podway.{procedure} TO {}", users.join(", ")));
        }
    }
    Ok(grants)
}
