//! The fence: the source's schema is READ ONLY. From then on MySQL itself refuses every write there, whoever sends it.

use std::time::Duration;

use mysql_async::Error;
use tokio::time::{Instant, sleep};

use super::super::error::MoveError;
use super::control::Control;
use super::text::{name, quoted};
use super::threads::{described, holders};

/// How long one try waits for those who hold something in the schema; the next try comes soon.
const HOLDERS_LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// How often is looked.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// ER_LOCK_WAIT_TIMEOUT.
const LOCK_WAIT_TIMEOUT: u16 = 1205;

/// Statements that run are waited for so long; then the lock is asked for while they do: on a busy schema there is no moment without one, and none lasts.
const BUSY_FOR: Duration = Duration::from_millis(100);

/// Makes a schema READ ONLY, once nobody idle holds anything in it: to wait for a lock on it would have everybody else wait behind.
pub async fn fence(control: &mut Control, schema: &str) -> Result<(), MoveError> {
    if is_fenced(control, schema).await? {
        return Ok(());
    }
    let began = Instant::now();
    let give_up = began + HOLDERS_LEAVE_WITHIN;
    loop {
        let there = holders(control, schema).await?;
        let is_worth_trying = began.elapsed() >= BUSY_FOR && !there.iter().any(|holder| holder.is_idle);
        if there.is_empty() || is_worth_trying {
            break;
        }
        if Instant::now() >= give_up {
            return Err(MoveError::Blocked(format!(
                "schema {schema} of server {} cannot be made READ ONLY: {}; commit, roll back or kill",
                control.server(),
                described(&there)
            )));
        }
        sleep(LOOK_AGAIN).await;
    }
    match control.change(format!("ALTER DATABASE {} READ ONLY = 1", name(schema))).await {
        Err(MoveError::Server { error: Error::Server(refused), .. }) if refused.code == LOCK_WAIT_TIMEOUT => {
            Err(blocked(control, schema).await?)
        }
        Err(error) => Err(error),
        Ok(()) => check_fence(control, schema).await,
    }
}

/// Refuses if a schema is not READ ONLY.
pub async fn check_fence(control: &mut Control, schema: &str) -> Result<(), MoveError> {
    match is_fenced(control, schema).await? {
        true => Ok(()),
        false => Err(MoveError::Refused(format!(
            "schema {schema} of server {} is not READ ONLY any more: somebody has changed that",
            control.server()
        ))),
    }
}

/// Makes a schema writable again.
pub async fn unfence(control: &mut Control, schema: &str) -> Result<(), MoveError> {
    match is_fenced(control, schema).await? {
        true => control.change(format!("ALTER DATABASE {} READ ONLY = 0", name(schema))).await,
        false => Ok(()),
    }
}

/// Whether a schema is READ ONLY.
pub(super) async fn is_fenced(control: &mut Control, schema: &str) -> Result<bool, MoveError> {
    let sql = format!(
        "SELECT OPTIONS FROM information_schema.SCHEMATA_EXTENSIONS WHERE SCHEMA_NAME = {}",
        quoted(schema)
    );
    let options: Vec<Option<String>> = control.rows(&sql).await?;
    Ok(options.into_iter().flatten().any(|options| options.contains("READ ONLY=1")))
}

async fn blocked(control: &mut Control, schema: &str) -> Result<MoveError, MoveError> {
    control.check_no_backup().await?;
    let there = holders(control, schema).await?;
    Ok(MoveError::Blocked(format!(
        "schema {schema} of server {} cannot be made READ ONLY, the lock on it was not got in time: {}",
        control.server(),
        if there.is_empty() { "who had it has left".to_owned() } else { described(&there) }
    )))
}
