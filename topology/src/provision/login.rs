//! Logging in to a server as its administrator, and what a server says of itself.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use podway_model::{NameRule, Server, ServerId};

use super::error::ProvisionError;

/// Where a server answers, and as whom to log in to prepare it.
#[derive(Clone)]
pub struct AdminLogin {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// A user who may create users and schemas.
    pub user: String,
    /// The password.
    pub password: String,
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// `@@server_uuid`.
    pub uuid: String,
    /// `@@version`.
    pub version: String,
    /// `@@lower_case_table_names`.
    pub lower_case_table_names: u8,
}

impl AdminLogin {
    /// Logs in.
    pub async fn connect(&self) -> Result<Conn, ProvisionError> {
        let options = OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(Some(&self.user))
            .pass(Some(&self.password))
            .prefer_socket(false);
        Conn::new(options).await.map_err(|error| ProvisionError::Login {
            address: format!("{}:{}", self.host, self.port),
            user: self.user.clone(),
            error,
        })
    }
}

impl std::fmt::Debug for AdminLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AdminLogin({}@{}:{})", self.user, self.host, self.port)
    }
}

impl ServerFacts {
    /// How the server compares names.
    pub fn names(&self) -> NameRule {
        NameRule::from_lower_case_table_names(self.lower_case_table_names)
    }

    /// The server as the map has it.
    pub fn server(&self, id: ServerId, login: &AdminLogin) -> Server {
        Server {
            id,
            host: login.host.as_str().into(),
            port: login.port,
            uuid: self.uuid.as_str().into(),
            version: self.version.as_str().into(),
        }
    }
}

/// Asks a server what it is.
pub async fn read_facts(conn: &mut Conn) -> Result<ServerFacts, ProvisionError> {
    let sql = "SELECT @@server_uuid, @@version, @@lower_case_table_names";
    let row: Option<(String, String, u8)> = conn
        .query_first(sql)
        .await
        .map_err(ProvisionError::doing("reading the server's uuid and version"))?;
    let (uuid, version, lower_case_table_names) = row.unwrap_or_default();
    Ok(ServerFacts { uuid, version, lower_case_table_names })
}
