//! Full-text search over several shards: what is certain of InnoDB alone. Other engines leave out a word that half of the rows have, and each shard has other rows.

use podway_model::Keyspace;
use podway_router::{Gather, Route};

use super::super::core::{Planned, Session};
use super::{Bound, keys_of};
use crate::backend::string_literal;
use crate::error::{ClientError, ProxyError};

impl Session {
    /// Refuses searches that each shard would judge by its own rows.
    pub(super) async fn check_searches(
        &mut self,
        planned: &Planned<'_>,
        (keyspace, gather): (&Keyspace, &Gather),
        bound: Option<&Bound<'_>>,
    ) -> Result<(), ProxyError> {
        if gather.searches.is_empty() {
            return Ok(());
        }
        let text = (planned.sql, planned.normal);
        gather.check_searches(text, keys_of(bound)).map_err(ClientError::from)?;
        let spot = self.spot(&planned.map, &planned.plan, Route::Shard(keyspace.home))?;
        self.check_moving(&spot).await?;
        let literal = |text: &str| String::from_utf8_lossy(&string_literal(text.as_bytes())).into_owned();
        let names: Vec<String> = gather.parts.iter().map(|part| literal(&part.table)).collect();
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME IN ({}) AND ENGINE <> 'InnoDB'",
            literal(&spot.schema),
            names.join(", ")
        );
        let settings = self.settings_outside();
        let mut connection = self.reader(&spot, &settings).await?;
        let asked = connection.rows(sql.as_bytes()).await;
        self.put_away(connection, false);
        let rows = asked.map_err(|error| self.refused_early(error, &spot))?;
        match rows.text(0).as_deref() {
            Some("0") => Ok(()),
            _ => Err(ClientError::not_supported(
                "full-text search of tables of another engine than InnoDB over several shards",
            )
            .into()),
        }
    }
}
