//! Podway's own password beside a user's: set first, and then the user's own string put before it, so that it becomes the second one. Between the two
//! statements only `_podway.passwords` has the user's own string; whoever finds it there goes on from there.

use podway_model::{AccountName, AuthPlugin};

use super::accounts::{Stored, stored};
use super::text::Proof;
use crate::mover::{Control, MoveError};
use crate::provision::{account_literal, plugin_name, plugin_of, text_literal, unhex};

/// The strings of passwords that are not in their place at the moment.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS _podway.passwords (user_name VARCHAR(32) COLLATE utf8mb4_bin NOT NULL, \
     host_name VARCHAR(255) COLLATE utf8mb4_bin NOT NULL, plugin VARCHAR(64) NOT NULL, string VARBINARY(1024) NOT NULL, \
     PRIMARY KEY (user_name, host_name))";
/// ER_CREDENTIALS_CONTRADICT_TO_HISTORY.
const USED_BEFORE: u16 = 3638;

/// Sees to it that Podway can log in as this account, by this password; `is_new`: whatever second password it has is not Podway's.
pub(super) async fn put(
    control: &mut Control,
    name: &AccountName,
    backend: &str,
    is_new: bool,
) -> Result<(), MoveError> {
    let found = stored(control.stream(), name).await;
    let Some(account) = control.on_server(found)? else { return Ok(()) };
    // Any other row is of a try that came to its end but for taking the row away.
    let kept = kept(control, name).await?.filter(|own| account.second.as_deref() == Some(&*own.string));
    let Some(own) = kept.clone().or_else(|| account.proof()) else { return Ok(()) };
    if kept.is_none() && account.second.is_some() && !is_new {
        return Ok(());
    }
    if kept.is_none() {
        keep(control, name, &own).await?;
    }
    let whom = account_literal(name);
    let sql = format!("ALTER USER {whom} IDENTIFIED BY {} RETAIN CURRENT PASSWORD", text_literal(backend));
    match control.change(sql.clone()).await {
        Err(error) if error.code() == Some(USED_BEFORE) => {
            without_history(control, name, &account, sql).await?;
        }
        changed => changed?,
    }
    control.change(format!("ALTER USER {whom} {} RETAIN CURRENT PASSWORD", own.clause())).await?;
    if account.is_expired {
        control.change(format!("ALTER USER {whom} PASSWORD EXPIRE")).await?;
    }
    forget(control, name).await
}

/// Podway's password does not change, which is no reuse: the account's rule against it rests for one statement.
async fn without_history(
    control: &mut Control,
    name: &AccountName,
    account: &Stored,
    sql: String,
) -> Result<(), MoveError> {
    let whom = account_literal(name);
    control.change(format!("ALTER USER {whom} PASSWORD HISTORY 0 PASSWORD REUSE INTERVAL 0 DAY")).await?;
    let changed = control.change(sql).await;
    let or_default = |value: Option<u32>, unit: &str| {
        value.map_or_else(|| "DEFAULT".to_owned(), |value| format!("{value}{unit}"))
    };
    let (history, interval) = (or_default(account.reuse.0, ""), or_default(account.reuse.1, " DAY"));
    let sql = format!("ALTER USER {whom} PASSWORD HISTORY {history} PASSWORD REUSE INTERVAL {interval}");
    control.change(sql).await?;
    changed
}

async fn kept(control: &mut Control, name: &AccountName) -> Result<Option<Proof>, MoveError> {
    control.change(TABLE).await?;
    let sql = "SELECT plugin, HEX(string) FROM _podway.passwords WHERE user_name = ? AND host_name = ?";
    let rows: Vec<(String, String)> = control.rows_with(sql, (&*name.user, name.host.as_str())).await?;
    let proof = rows.into_iter().next().and_then(|(plugin, digits)| {
        let plugin: AuthPlugin = plugin_of(&plugin)?;
        Some(Proof { plugin, string: unhex(&digits) })
    });
    Ok(proof)
}

async fn keep(control: &mut Control, name: &AccountName, own: &Proof) -> Result<(), MoveError> {
    let digits: String = own.string.iter().map(|byte| format!("{byte:02X}")).collect();
    let sql = "REPLACE INTO _podway.passwords VALUES (?, ?, ?, UNHEX(?))";
    let values = (&*name.user, name.host.as_str(), plugin_name(own.plugin), digits);
    control.change_with(sql, values).await
}

async fn forget(control: &mut Control, name: &AccountName) -> Result<(), MoveError> {
    let sql = "DELETE FROM _podway.passwords WHERE user_name = ? AND host_name = ?";
    control.change_with(sql, (&*name.user, name.host.as_str())).await
}
