//! CREATE TABLE … SELECT of a home table from rows of several shards. MySQL makes the table, empty and under a name of its own, from the statement itself with LIMIT 0: so its columns are
//! those that MySQL derives. Then the query's rows are inserted, as by INSERT … SELECT, and the table gets its name: with all rows, or there is none.

use podway_router::{Making, Normalised, Route, Target};
use podway_wire::OkPacket;

use super::core::{Planned, Session, Spot};
use super::define::declaration;
use super::gather::{definitions, keyspace_of};
use super::state::Warning;
use crate::backend::{BackendConnection, quoted_identifier, string_literal};
use crate::error::{ClientError, ErrorCode, ProxyError};

/// ER_TABLE_EXISTS_ERROR.
const EXISTS: ErrorCode = ErrorCode { number: 1050, state: *b"42S01" };

impl Session {
    /// Makes a table from rows of several shards.
    pub(super) async fn make_table(&mut self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        let Some(making) = planned.plan.making.as_deref() else { return Ok(()) };
        self.check_unlocked("CREATE TABLE … SELECT over several shards")?;
        self.check_free()?;
        if let Some(definition) = planned.plan.definition.as_deref() {
            // It has a COMMENT, which may declare no table that is made of a query.
            declaration(planned, definition)?;
        }
        self.commit_quietly().await?;
        let home = keyspace_of(&planned.map, &making.keyspace)?.home;
        let spot = self.spot(&planned.map, &planned.plan, Route::Shard(home))?;
        self.check_moving(&spot).await?;
        let settings = self.settings_outside();
        let mut connection = self.reader(&spot, &settings).await?;
        let made = self.make_on(planned, making, &spot, &mut connection).await;
        let is_condemned = self.handle.ended_running();
        self.put_away(connection, is_condemned);
        match made {
            Ok(ok) => {
                self.state.row_count = ok.affected_rows as i64;
                self.reply_ok_with(ok).await
            }
            Err(error) => Err(self.refused_early(self.in_logical_names(error, &spot), &spot)),
        }
    }

    async fn make_on(
        &mut self,
        planned: &Planned<'_>,
        making: &Making,
        spot: &Spot,
        connection: &mut BackendConnection,
    ) -> Result<OkPacket, ProxyError> {
        if is_there(connection, spot, &making.table).await? {
            let message = format!("Table '{}' already exists", making.table);
            if !making.if_not_exists {
                return Err(ClientError::new(EXISTS, message).into());
            }
            let message = message.into_bytes();
            self.state.warnings = vec![Warning { level: b"Note".to_vec(), code: EXISTS.number, message }];
            return Ok(OkPacket { warnings: 1, ..OkPacket::default() });
        }
        let (schema, name) = (quoted_identifier(&spot.schema), self.shared.transactions.name());
        let new = format!("podway new {name}");
        let made = self.make_new(planned, (making, &new), spot, connection).await;
        let made = match made {
            Ok(ok) => {
                let to = quoted_identifier(&making.table);
                let rename = format!("RENAME TABLE {schema}.{} TO {schema}.{to}", quoted_identifier(&new));
                connection.execute(rename.as_bytes()).await.map(|_| ok)
            }
            Err(error) => Err(error),
        };
        if made.is_err() {
            let drop = format!("DROP TABLE IF EXISTS {schema}.{}", quoted_identifier(&new));
            // What is left where the server is gone has a name of its own.
            let _dropped = connection.execute(drop.as_bytes()).await;
        }
        made.map_err(|error| renamed(error, &new, &making.table))
    }

    /// Makes the table under its own name, with all rows.
    async fn make_new(
        &mut self,
        planned: &Planned<'_>,
        (making, new): (&Making, &str),
        spot: &Spot,
        connection: &mut BackendConnection,
    ) -> Result<OkPacket, ProxyError> {
        let text = (planned.sql, planned.normal);
        let place = format!("{}.{}", quoted_identifier(making.keyspace.as_str()), quoted_identifier(new));
        let create = making.create_text(text, &place);
        let query = making.query_text(text);
        let mut normal = Normalised::new();
        let mut sql = Vec::new();
        let part = self.part(planned, &create, &mut normal)?;
        if !self.rewritten_text(&part, spot, &mut sql) {
            sql.extend_from_slice(&create);
        }
        connection.execute(&sql).await?;
        let part = self.part(planned, query, &mut normal)?;
        let description = self.prepare_original(&part, spot, connection).await?;
        let columns = definitions(&description.columns, None).map_err(|error| connection.surprise(error))?;
        if columns.iter().any(|column| !column.name.is_ascii())
            && self.state.lexical.charset_name != "utf8mb4"
        {
            let what = "CREATE TABLE … SELECT over several shards of columns whose names are outside ASCII, in another character set than utf8mb4";
            return Err(ClientError::not_supported(what).into());
        }
        let names: Vec<String> =
            columns.iter().map(|column| quoted_identifier(&String::from_utf8_lossy(&column.name))).collect();
        let verb = match making.duplicates {
            Some("REPLACE") => "REPLACE",
            Some(_) => "INSERT IGNORE",
            None => "INSERT",
        };
        let insert = format!("{verb} INTO {place} ({}) ", names.join(", "));
        let insert = [insert.as_bytes(), query].concat();
        let part = self.part(planned, &insert, &mut normal)?;
        if let Target::Refused(error) = &part.plan.target {
            return Err(ClientError::from(error.clone()).into());
        }
        if self.route(&part)? != Route::Scatter {
            return Err(ClientError::not_supported(
                "this query in CREATE TABLE … SELECT over several shards",
            )
            .into());
        }
        self.kept_answer = Some(OkPacket::default());
        let inserted = Box::pin(self.run_scattered(&part, None)).await;
        let kept = self.kept_answer.take().unwrap_or_default();
        inserted?;
        self.commit_quietly().await?;
        Ok(kept)
    }

    /// A statement that is a part of another one.
    fn part<'p>(
        &self,
        planned: &Planned<'p>,
        sql: &'p [u8],
        normal: &'p mut Normalised,
    ) -> Result<Planned<'p>, ProxyError> {
        normal.set_version(planned.map.lowest_version());
        normal
            .run(sql, self.state.lexical.sql_mode, self.state.lexical.charset)
            .map_err(ClientError::from)?;
        let normal: &'p Normalised = normal;
        let plan = self.plan(&planned.map, sql, normal, planned.database);
        let (map, database) = (planned.map.clone(), planned.database);
        Ok(Planned { sql, normal, map, plan, database, numbered: None })
    }
}

async fn is_there(connection: &mut BackendConnection, spot: &Spot, table: &str) -> Result<bool, ProxyError> {
    let literal = |text: &str| String::from_utf8_lossy(&string_literal(text.as_bytes())).into_owned();
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} LIMIT 1",
        literal(&spot.schema),
        literal(table)
    );
    let rows = connection.rows(sql.as_bytes()).await?;
    Ok(rows.text(0).is_some_and(|count| count != "0"))
}

/// A server's error with the table's name in the place of the one under which it was made.
fn renamed(error: ProxyError, new: &str, table: &str) -> ProxyError {
    match error {
        ProxyError::Server(mut refused) => {
            refused.message = String::from_utf8_lossy(&refused.message).replace(new, table).into_bytes();
            ProxyError::Server(refused)
        }
        error => error,
    }
}
