//! A statement that gives a table of several shards a name that a view on the home shard's server uses, or a trigger or event: it would show and change the part of its
//! own server.

use std::time::Duration;

use podway_topology_api::{Ddl, TableDeclaration, TableEffect, Target};
use tokio::time::timeout;

use super::error::TryError;
use super::work::Attempt;
use crate::provision::{AdminLogin, program_in_the_way, used_by_a_view, view_using};

/// The home shard's server says within this which views there are, or the try was in vain.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

impl Attempt {
    /// Refuses it, naming the view.
    ///
    /// # Errors
    /// There is such a view, or the home shard's server cannot be asked now.
    pub(super) async fn check_views(&self, ddl: &Ddl) -> Result<(), TryError> {
        let names = new_names(ddl);
        // With one shard a view sees all rows there are.
        if names.is_empty() || self.operation.targets.len() < 2 {
            return Ok(());
        }
        let home = self.keeper.machine.look(|state| {
            let keyspace = state.map().keyspace_spelled(&ddl.keyspace)?;
            keyspace.shard(keyspace.home).map(|shard| Target::Shard(shard.id))
        });
        let home = home.ok_or_else(|| {
            TryError::Later(format!("the topology does not know {} any more", ddl.keyspace))
        })?;
        let place = self.place(home)?;
        let (server, schema) = (&place.login.name, place.schema.as_deref().unwrap_or_default());
        let later = |why: String| TryError::Later(format!("server {server}: {why}"));
        let login = AdminLogin {
            host: place.login.host.to_string(),
            port: place.login.port,
            user: place.login.user.to_string(),
            password: place.login.password.reveal().to_owned(),
        };
        let asked = async {
            let mut conn = login.connect().await?;
            let mut found = None;
            for name in names {
                found = view_using(&mut conn, schema, name)
                    .await?
                    .map(|view| used_by_a_view(name, &view, server));
                if found.is_none() {
                    found = program_in_the_way(&mut conn, schema, name).await?;
                }
                if found.is_some() {
                    break;
                }
            }
            // What was asked is known; how the session ends does not matter.
            let _ = conn.disconnect().await;
            Ok::<_, crate::provision::ProvisionError>(found)
        };
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(what))) => {
                Err(TryError::unsupported(format!("This version of Podway doesn't yet support this: {what}")))
            }
            Ok(Err(error)) => Err(later(error.to_string())),
            Err(_) => Err(later(format!("it does not answer within {ANSWER_WITHIN:?}"))),
        }
    }
}

/// The names that tables of several shards get by it.
fn new_names(ddl: &Ddl) -> Vec<&str> {
    let declared = match &ddl.declaration {
        Some(TableDeclaration::Sharded { .. } | TableDeclaration::Reference) => ddl.tables(),
        Some(TableDeclaration::Home) | None => Vec::new(),
    };
    let renamed = ddl.effects.iter().filter_map(|effect| match effect {
        TableEffect::Renamed { to, .. } => Some(&**to),
        _ => None,
    });
    declared.into_iter().chain(renamed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_new_where_a_table_is_declared_or_renamed() {
        let ddl = |effects, declaration| Ddl {
            keyspace: "shop".into(),
            effects,
            shown: "…".into(),
            declaration,
            held: None,
            declared: None,
            followed: None,
        };
        let renamed = TableEffect::Renamed { from: "a".into(), to: "b".into() };
        assert_eq!(new_names(&ddl(vec![renamed, TableEffect::Altered("b".into())], None)), ["b"]);
        let created = || vec![TableEffect::Created("t".into())];
        assert_eq!(new_names(&ddl(created(), Some(TableDeclaration::Reference))), ["t"]);
        assert!(new_names(&ddl(created(), Some(TableDeclaration::Home))).is_empty());
        assert!(new_names(&ddl(created(), None)).is_empty());
    }
}
