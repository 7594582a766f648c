//! The servers as they answer: logged in to, asked what they are, and refused where they do not fit each other. Read next: `keyspaces`.

use mysql_async::Conn;
use podway_model::{ClusterSecret, NameRule, Server, ServerId};

use super::error::ServeError;
use super::plan::ServerPlan;
use crate::provision::{ServerFacts, TransactionsReady, ensure_transactions, read_facts};

/// A server that was logged in to.
#[derive(Debug)]
pub(crate) struct ReachedServer {
    /// Its name for people.
    pub(crate) name: String,
    pub(crate) facts: ServerFacts,
    /// As the map has it.
    pub(crate) server: Server,
    pub(crate) conn: Conn,
}

/// The numbers that servers have had in this process's maps: one is never used again for another server.
#[derive(Debug, Default)]
pub(super) struct ServerNumbers(Vec<String>);

impl ServerNumbers {
    fn of(&mut self, uuid: &str) -> ServerId {
        let known = self.0.iter().position(|known| known == uuid);
        let index = known.unwrap_or_else(|| {
            self.0.push(uuid.to_owned());
            self.0.len() - 1
        });
        ServerId(index as u32 + 1)
    }
}

/// Logs in to all servers and compares them.
pub(super) async fn reach_all(
    plans: &[ServerPlan],
    numbers: &mut ServerNumbers,
) -> Result<Vec<ReachedServer>, ServeError> {
    let mut reached: Vec<ReachedServer> = Vec::new();
    for ServerPlan { name, login } in plans {
        let mut conn = login.connect().await.map_err(ServeError::at(name))?;
        let facts = read_facts(&mut conn).await.map_err(ServeError::at(name))?;
        if facts.version.to_ascii_lowercase().contains("mariadb") {
            return Err(ServeError::unfit(
                name,
                "it is a MariaDB, which Podway does not serve; MySQL 8.0.30 or later is needed",
            ));
        }
        if let Some(other) = reached.iter().find(|other| other.facts.uuid == facts.uuid) {
            let reason = format!(
                "it has the server_uuid of {}, so it is the same server or a copy of its data directory; for a copy, remove its auto.cnf and restart it",
                other.name
            );
            return Err(ServeError::unfit(name, reason));
        }
        if let Some(other) =
            reached.iter().find(|other| other.facts.lower_case_table_names != facts.lower_case_table_names)
        {
            let reason = format!(
                "its lower_case_table_names is {}, that of {} is {}; all must compare names alike",
                facts.lower_case_table_names, other.name, other.facts.lower_case_table_names
            );
            return Err(ServeError::unfit(name, reason));
        }
        let server = facts.server(numbers.of(&facts.uuid), login);
        reached.push(ReachedServer { name: name.clone(), facts, server, conn });
    }
    Ok(reached)
}

/// Makes all servers ready for transactions over several of them, as far as they can be.
pub(super) async fn prepare_transactions(
    servers: &mut [ReachedServer],
    secret: &ClusterSecret,
    notes: &mut Vec<String>,
) -> Result<(), ServeError> {
    for ReachedServer { name, facts, conn, .. } in servers {
        let ready = ensure_transactions(conn, secret, &facts.uuid).await.map_err(ServeError::at(name))?;
        if let TransactionsReady::Unfit(why) = ready {
            notes
                .push(format!("server {name}: it takes no part in transactions over several servers: {why}"));
        }
    }
    Ok(())
}

/// How these servers compare names.
pub(super) fn name_rule(servers: &[ReachedServer]) -> NameRule {
    servers.first().map(|server| server.facts.names()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_its_number_and_no_other_gets_it() {
        let mut numbers = ServerNumbers::default();
        let given: Vec<u32> = ["a", "b", "a", "c", "b"].map(|uuid| numbers.of(uuid).0).to_vec();
        assert_eq!(given, [1, 2, 1, 3, 2]);
    }
}
