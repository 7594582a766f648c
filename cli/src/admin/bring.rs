//! The users and roles of the cluster brought to a server that is to belong to it. Nothing is changed on the servers that are there.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_topology_api::ServerView;

use super::context::Servers;
use super::error::AdminError;
use super::print;
use crate::provision::{AdminLogin, bring_accounts, ensure_account, read_accounts};

/// Brings the users and roles of a server that answers to a new one, and Podway's own password to those that may log in.
pub(super) async fn bring_users(
    servers: &Servers,
    others: &[&ServerView],
    conn: &mut Conn,
    (name, login): (&str, &AdminLogin),
) -> Result<(), AdminError> {
    let Some(other) = others.first() else { return Ok(()) };
    let (mut from, other_name) = servers.connect(other.id).await?;
    let spared = [other.admin.as_ref(), login.user.as_str(), "root"];
    let refused = bring_accounts(&mut from, conn, &spared).await.map_err(AdminError::at(name))?;
    for text in refused {
        print::note(&format!("server {name}: not brought from server {other_name}: {text}"));
    }
    let uuid: Option<String> = conn
        .query_first("SELECT @@server_uuid")
        .await
        .map_err(|error| AdminError::refused(format!("server {name}: {error}")))?;
    let uuid = uuid.unwrap_or_default();
    for account in read_accounts(&mut from).await.map_err(AdminError::at(other_name))? {
        if servers.may_log_in(&account.name) {
            let password = servers.credentials.secret.backend_password(&account.name, &uuid);
            ensure_account(conn, &account, &[], &password).await.map_err(AdminError::at(name))?;
        }
    }
    Ok(())
}
