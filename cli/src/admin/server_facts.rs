//! What commands say and ask of servers beside each command's own business: addresses, settings to compare with, and what the topology keeps of a server.

use podway_model::NameRule;
use podway_topology_api::{AdminAccount, Secret, ServerFacts, ServerView};

use super::context::Servers;
use super::error::AdminError;
use super::print;
use crate::provision::{AdminLogin, ServerTraits, read_traits};

/// `host:port`.
pub(super) fn address(server: &ServerView) -> String {
    join_address(&server.host, server.port)
}

/// `host:port`, with brackets where the host has colons.
pub(super) fn join_address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What a server that answers is set to. They were all compared when they were added.
pub(super) async fn any_traits(servers: &Servers, others: &[&ServerView]) -> Option<(String, ServerTraits)> {
    for other in others {
        let asked = async {
            let (mut conn, name) = servers.connect(other.id).await?;
            let traits = read_traits(&mut conn).await.map_err(AdminError::at(name))?;
            Ok::<_, AdminError>((name.to_owned(), traits))
        };
        match asked.await {
            Ok(found) => return Some(found),
            Err(error) => print::note(&format!("{error}; another one is asked")),
        }
    }
    None
}

/// What a server says of itself, as the topology keeps it.
pub(super) fn facts(traits: &ServerTraits, login: &AdminLogin) -> ServerFacts {
    ServerFacts {
        host: login.host.as_str().into(),
        port: login.port,
        uuid: traits.facts.uuid.as_str().into(),
        version: traits.facts.version.as_str().into(),
        names: NameRule::from_lower_case_table_names(traits.facts.lower_case_table_names),
    }
}

/// As whom a server is administered, as the topology keeps it.
pub(super) fn admin_account(login: &AdminLogin) -> AdminAccount {
    AdminAccount { user: login.user.as_str().into(), password: Secret::new(&login.password) }
}
