//! SELECT … INTO user variables over several shards. The query runs without its INTO, and its row becomes the session's variables: where MySQL finishes it, MySQL assigns them and
//! they are read back; where shards' own rows are its result, their values are written as literals. Of what such rows do not say all (a FLOAT, the digits of what is computed) MySQL is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use podway_router::{Effects, Gather, Normalised, Route, SelectInto, Statement, Target};
use podway_wire::{ColumnDefinition, OkPacket};

use super::captured::{Assigning, Captured};
use super::core::{Planned, Session, Spot};
use super::gather::{Bound, definitions, keys_of, keyspace_of};
use super::literals::held_literal;
use super::run::warnings;
use super::set::{MAX_CARRIED, asked_of, user_literal};
use super::state::Warning;
use super::transfer::cells_of;
use super::variable_values::{Kind, kind_of, literal};
use crate::backend::{BackendConnection, Rows, UserVariables};
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::{execute_packet, sequence_of_answer};

/// ER_SP_FETCH_NO_DATA.
const NO_DATA: (u16, &[u8]) = (1329, b"No data - zero rows fetched, selected, or processed");

impl Session {
    /// Runs a query and assigns its row to variables.
    pub(super) async fn select_into(
        &mut self,
        planned: &Planned<'_>,
        into: &SelectInto,
        bound: Option<&Bound<'_>>,
    ) -> Result<(), ProxyError> {
        let text = (planned.sql, planned.normal);
        let sql = into.query_text(text);
        let mut normal = Normalised::new();
        normal.set_version(planned.map.lowest_version());
        normal
            .run(&sql, self.state.lexical.sql_mode, self.state.lexical.charset)
            .map_err(ClientError::from)?;
        let plan = self.plan(&planned.map, &sql, &normal, planned.database);
        if let Target::Refused(error) = &plan.target {
            return Err(ClientError::from(error.clone()).into());
        }
        let (map, database) = (planned.map.clone(), planned.database);
        let query = Planned { sql: &sql, normal: &normal, map, plan, database, numbered: None };
        let route = query.plan.route(&query.map, &sql, &normal, keys_of(bound)).map_err(ClientError::from)?;
        let gather = query.plan.gather.as_deref().filter(|gather| gather.into.is_none());
        let is_query = *query.plan.statement() == Statement::Query && route == Route::Gather;
        let Some(gather) = gather.filter(|_| is_query) else {
            return Err(ClientError::not_supported("this SELECT … INTO over several shards").into());
        };
        // Texts come in the character sets that they have.
        let mut settings = (*self.state.settings).clone();
        settings.put("character_set_results", b"NULL");
        let kept = std::mem::replace(&mut self.state.settings, Arc::new(settings));
        let taken = self.take_row((planned, &query), gather, into, bound).await;
        self.state.settings = kept;
        self.answer_into(taken?).await
    }

    /// Runs the query; gives what it has left, its variables being assigned.
    async fn take_row(
        &mut self,
        (planned, query): (&Planned<'_>, &Planned<'_>),
        gather: &Gather,
        into: &SelectInto,
        bound: Option<&Bound<'_>>,
    ) -> Result<Captured, ProxyError> {
        let (spot, may_merge) = self.check_into((planned, query), gather, into, bound).await?;
        let text = into.text((planned.sql, planned.normal)).to_vec();
        let variables = into.variables.clone();
        let assigning = Assigning { text, variables, may_merge, rows: None };
        self.captured = Some(Captured::of_one_row(assigning, self.shared.config.client.max_gathered_bytes));
        let ran = Box::pin(self.run_gathered(query, bound)).await;
        let captured = self.captured.take().unwrap_or_default();
        let is_assigned = captured.into.as_ref().is_some_and(|into| into.rows.is_some());
        let is_over =
            matches!(&ran, Err(ProxyError::Client(error)) if error.code == ErrorCode::TOO_MANY_ROWS);
        if is_over {
            // As in MySQL the first row is assigned all the same.
            self.state.found_rows = 1;
        }
        if (ran.is_ok() || is_over) && !is_assigned {
            self.assign_row(&captured, into, &spot).await?;
        }
        ran.map(|()| captured)
    }

    /// Has MySQL judge the statement as its client wrote it, and says whether the shards' own rows tell all that the variables are to hold.
    async fn check_into(
        &mut self,
        (planned, query): (&Planned<'_>, &Planned<'_>),
        gather: &Gather,
        into: &SelectInto,
        bound: Option<&Bound<'_>>,
    ) -> Result<(Spot, bool), ProxyError> {
        let home = keyspace_of(&query.map, &gather.keyspace)?.home;
        let spot = self.spot(&query.map, &query.plan, Route::Shard(home))?;
        self.check_moving(&spot).await?;
        let settings = self.settings_outside();
        let mut connection = self.reader(&spot, &settings).await?;
        let may_merge = gather.merge.is_some() && bound.is_none();
        let judged = self.judge_into((planned, query), (&spot, may_merge), &mut connection).await;
        self.put_away(connection, false);
        let columns =
            judged.map_err(|error| self.refused_early(self.in_logical_names(error, &spot), &spot))?;
        if may_merge && columns.len() != into.variables.len() {
            let message = "The used SELECT statements have a different number of columns";
            return Err(ClientError::new(ErrorCode::WRONG_COLUMN_COUNT, message).into());
        }
        Ok((spot, may_merge && columns.iter().all(|column| kind_of(column).is_some())))
    }

    /// The query's columns, where they are wanted.
    async fn judge_into(
        &mut self,
        (planned, query): (&Planned<'_>, &Planned<'_>),
        (spot, wants_columns): (&Spot, bool),
        connection: &mut BackendConnection,
    ) -> Result<Vec<ColumnDefinition>, ProxyError> {
        self.prepare_original(planned, spot, connection).await?;
        if !wants_columns {
            return Ok(Vec::new());
        }
        let description = self.prepare_original(query, spot, connection).await?;
        definitions(&description.columns, None).map_err(|error| connection.surprise(error))
    }

    /// Assigns what a shard's row says.
    async fn assign_row(
        &mut self,
        captured: &Captured,
        into: &SelectInto,
        spot: &Spot,
    ) -> Result<(), ProxyError> {
        let Some(row) = captured.rows.first() else { return Ok(()) };
        let kinds: Option<Vec<Kind>> = captured.columns.iter().map(kind_of).collect();
        let kinds = kinds.filter(|kinds| kinds.len() == into.variables.len()).ok_or_else(|| {
            ClientError::not_supported(
                "SELECT … INTO over several shards, of other columns than it was prepared with",
            )
        })?;
        let collations = self.collations(&kinds, spot).await?;
        let cells = cells_of(&captured.columns, row, false)?;
        let mut variables = (*self.state.variables).clone();
        for ((kind, cell), name) in kinds.iter().zip(&cells).zip(&into.variables) {
            let written = match (cell.as_deref(), kind) {
                (None, _) => Some(b"NULL".to_vec()),
                (Some(cell), Kind::Text(id)) => collations
                    .get(id)
                    .map(|(charset, collation)| held_literal(charset, collation, &digits_of(cell))),
                (Some(cell), kind) => literal(*kind, cell),
            };
            let written = written.ok_or_else(|| {
                ClientError::not_supported(
                    "SELECT … INTO over several shards, of a value that no literal says",
                )
            })?;
            variables.put(name.key(), &written);
        }
        check_carried(&variables)?;
        self.state.variables = Arc::new(variables);
        Ok(())
    }

    /// The character set and the name of each collation that a text has.
    async fn collations(
        &mut self,
        kinds: &[Kind],
        spot: &Spot,
    ) -> Result<BTreeMap<u16, (String, String)>, ProxyError> {
        let ids: Vec<String> = kinds
            .iter()
            .filter_map(|kind| if let Kind::Text(id) = kind { Some(id.to_string()) } else { None })
            .collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = format!(
            "SELECT ID, CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLLATIONS WHERE ID IN ({})",
            ids.join(", ")
        );
        let settings = self.settings_outside();
        let mut connection = self.reader(spot, &settings).await?;
        let asked = connection.rows(sql.as_bytes()).await;
        self.put_away(connection, false);
        let rows = asked.map_err(|error| self.refused_early(error, spot))?;
        let text = |cell: &Option<Vec<u8>>| {
            cell.as_ref().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
        };
        let known = rows.iter().filter_map(|row| match row {
            [id, charset, collation] => Some((text(id).parse().ok()?, (text(charset), text(collation)))),
            _ => None,
        });
        Ok(known.collect())
    }

    /// Has MySQL run the statement that finishes the query, and assign its row.
    pub(super) async fn run_final_into(
        &mut self,
        planned: &Planned<'_>,
        spot: &Spot,
        mut connection: Box<BackendConnection>,
        (text, variables): (Vec<u8>, Vec<podway_model::Name>),
        bound: Option<&Bound<'_>>,
    ) -> Result<(), ProxyError> {
        self.handle.set_running([connection.thread().clone()]);
        let known = self.state.variables.clone();
        let settings = connection.settings().clone();
        let prepared =
            bound.map(|bound| (bound.execute, bound.key(self.preparation(planned, spot, &text, &settings))));
        let packet = self.query_packet(if bound.is_none() { &text } else { b"" });
        let work = async {
            connection.synchronise(&spot.current, &settings, Some(&known)).await?;
            let ran = match prepared {
                None => connection.run(&packet, sequence_of_answer(&packet)).await,
                Some((execute, key)) => {
                    let id = connection.ready(key, &text.into()).await?;
                    let packet = execute_packet(execute, id, connection.capabilities());
                    let ran = connection.run(&packet, sequence_of_answer(&packet)).await;
                    // Its text holds rows: nobody will execute it again.
                    connection.close_statement(key).await?;
                    ran
                }
            };
            read_assigned(planned, &mut connection, (&variables, &known), ran).await
        };
        let worked = tokio::select! {
            biased;
            worked = work => worked,
            error = self.client.gone(self.command_bytes) => Err(ProxyError::ClientGone(error)),
        };
        let is_condemned = self.handle.ended_running();
        if worked.is_err() {
            // What it has assigned is not known.
            connection.never_reuse();
        }
        self.put_away(connection, is_condemned);
        let assigned = worked.map_err(|error| self.in_logical_names(error, spot))?;
        check_carried(&assigned.variables)?;
        self.state.variables = assigned.variables;
        if let Some(found_rows) = assigned.found_rows {
            self.state.found_rows = found_rows;
        }
        if let Some(captured) = &mut self.captured {
            captured.warnings = assigned.warnings;
            if let Some(into) = &mut captured.into {
                into.rows = Some(assigned.rows);
            }
        }
        assigned.refused.map_or(Ok(()), |refused| Err(ProxyError::Server(refused)))
    }

    async fn answer_into(&mut self, captured: Captured) -> Result<(), ProxyError> {
        let by_mysql = captured.into.as_ref().and_then(|into| into.rows);
        let affected_rows = by_mysql.unwrap_or(captured.rows.len() as u64);
        let mut found = captured.warnings;
        if affected_rows == 0 && !found.iter().any(|warning| warning.code == NO_DATA.0) {
            let (code, message) = NO_DATA;
            found.push(Warning { level: b"Warning".to_vec(), code, message: message.to_vec() });
        }
        let warnings = u16::try_from(found.len()).unwrap_or(u16::MAX);
        self.state.row_count = affected_rows as i64;
        self.state.warnings = found;
        self.reply_ok_with(OkPacket { affected_rows, warnings, ..OkPacket::default() }).await
    }
}

/// What a statement has assigned.
struct Assigned {
    variables: Arc<UserVariables>,
    rows: u64,
    warnings: Vec<Warning>,
    found_rows: Option<u64>,
    /// It had more than one row, of which the first was assigned.
    refused: Option<podway_wire::ErrPacket>,
}

/// Reads back what a statement has assigned on its connection.
async fn read_assigned(
    planned: &Planned<'_>,
    connection: &mut BackendConnection,
    (names, known): (&[podway_model::Name], &Arc<UserVariables>),
    ran: Result<OkPacket, ProxyError>,
) -> Result<Assigned, ProxyError> {
    let (ok, refused) = match ran {
        Ok(ok) => (ok, None),
        Err(ProxyError::Server(refused)) if refused.code == ErrorCode::TOO_MANY_ROWS.number => {
            (OkPacket { affected_rows: 1, ..OkPacket::default() }, Some(refused))
        }
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    if ok.warnings > 0 {
        found = warnings(connection).await?;
    }
    let mut found_rows = Some(ok.affected_rows);
    if refused.is_none() && planned.plan.effects().contains(Effects::CALC_FOUND_ROWS) {
        let rows = connection.rows(b"SELECT FOUND_ROWS() LIMIT 1").await?;
        found_rows = rows.text(0).and_then(|text| text.parse().ok());
    }
    let mut variables = known.clone();
    if ok.affected_rows > 0 {
        let rows = read_variables(connection, names).await?;
        let mut read = (**known).clone();
        for (nth, name) in names.iter().enumerate() {
            read.put(name.key(), &user_literal(&rows, 4 * nth));
        }
        variables = Arc::new(read);
        connection.note_variables(&variables);
    }
    Ok(Assigned { variables, rows: ok.affected_rows, warnings: found, found_rows, refused })
}

async fn read_variables(
    connection: &mut BackendConnection,
    names: &[podway_model::Name],
) -> Result<Rows, ProxyError> {
    let asked: Vec<String> = names.iter().flat_map(asked_of).collect();
    connection.rows(format!("SELECT {} LIMIT 1", asked.join(", ")).as_bytes()).await
}

/// Refuses more than a session carries from connection to connection.
fn check_carried(variables: &UserVariables) -> Result<(), ProxyError> {
    match variables.bytes() > MAX_CARRIED {
        true => Err(ClientError::not_supported(
            "user variables of more than a megabyte, assigned by SELECT … INTO over several shards",
        )
        .into()),
        false => Ok(()),
    }
}

fn digits_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
