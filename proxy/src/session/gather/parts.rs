//! Reading the parts of a statement that is finished in MySQL: each server's parts one after the other on one connection, the servers at the same time, within one
//! bound of rows and bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use podway_model::{Keyspace, Name, ServerId};
use podway_router::{Fold, FoldColumn, Gather, Made, Part, Rows, Takes};
use podway_wire::{BinaryValue, ResponseKind, decode_text_row};
use tokio::task::JoinSet;

use super::super::core::{Planned, Session, Spot};
use super::super::literals::{is_binary, sql_literal};
use super::super::run::warnings;
use super::super::state::Warning;
use super::measure::Taking;
use super::{Bound, MAX_WARNINGS, keys_of};
use crate::backend::{BackendConnection, Settings, quoted_identifier, string_literal};
use crate::config::ClientLimits;
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::{Carriage, RowStream, TableColumn, Uncarried};

/// The rows of a part.
pub(in crate::session) struct PartRows {
    pub(super) carriage: Arc<Carriage>,
    pub(super) document: Vec<u8>,
}

/// One statement that reads some of a part's rows.
struct Job {
    part: usize,
    /// Its place among the spots.
    spot: usize,
    /// The schema in which unqualified names are: several shards may be on one server.
    current: Arc<str>,
    packet: bytes::BytesMut,
    carriage: Arc<Carriage>,
}

/// What one server gave.
struct FromServer {
    connection: Option<Box<BackendConnection>>,
    documents: Vec<(usize, Vec<u8>)>,
    failure: Option<(usize, ProxyError)>,
    /// What its statements warned of, where that is wanted.
    warnings: Vec<Warning>,
    /// What each part took at each spot.
    took: Vec<(usize, usize, Taking)>,
}

/// How much may be read still.
pub(in crate::session) struct Budget {
    rows: AtomicUsize,
    bytes: AtomicUsize,
}

impl Session {
    /// How each part's rows travel: by what its table is now, as its server says to this user.
    pub(super) async fn carriages(
        &mut self,
        gather: &Gather,
        spot: &Spot,
        connection: &mut BackendConnection,
    ) -> Result<Vec<Arc<Carriage>>, ProxyError> {
        let reading = reading(&self.settings_outside());
        connection.synchronise(&spot.current, &reading, None).await?;
        let mut known: BTreeMap<&str, Arc<Carriage>> = BTreeMap::new();
        let mut carriages = Vec::with_capacity(gather.parts.len());
        for part in &gather.parts {
            if !known.contains_key(&*part.table) {
                let columns = table_columns(&spot.schema, &part.table, connection).await?;
                let carriage = carriage(gather, columns).map_err(|error| uncarried(part, &error))?;
                known.insert(&part.table, Arc::new(carriage));
            }
            carriages.extend(known.get(&*part.table).cloned());
        }
        Ok(carriages)
    }

    /// Reads all parts.
    pub(super) async fn read_parts(
        &mut self,
        planned: &Planned<'_>,
        (keyspace, gather): (&Keyspace, &Gather),
        carriages: Vec<Arc<Carriage>>,
        bound: Option<&Bound<'_>>,
    ) -> Result<Vec<PartRows>, ProxyError> {
        let (spots, jobs) = self.jobs(planned, (keyspace, gather), &carriages, bound).await?;
        let tables: Vec<&str> = gather.parts.iter().map(|part| &*part.table).collect();
        self.run_jobs(planned, spots, jobs, carriages, &tables).await
    }

    /// How the shards' aggregates travel: by the types of the columns that they are made of.
    pub(super) async fn fold_carriage(
        &mut self,
        fold: &Fold,
        spot: &Spot,
        connection: &mut BackendConnection,
    ) -> Result<Arc<Carriage>, ProxyError> {
        let reading = reading(&self.settings_outside());
        connection.synchronise(&spot.current, &reading, None).await?;
        let mut known: BTreeMap<&str, Vec<TableColumn>> = BTreeMap::new();
        let mut columns = Vec::with_capacity(fold.columns.len());
        for (nth, column) in fold.columns.iter().enumerate() {
            if column.column.is_some() && !known.contains_key(&*column.table) {
                known.insert(&column.table, table_columns(&spot.schema, &column.table, connection).await?);
            }
            let of_table = known.get(&*column.table).map_or(&[][..], Vec::as_slice);
            let declared = folded(column, of_table).ok_or_else(|| {
                ClientError::new(
                    ErrorCode::UNKNOWN,
                    format!("A column of {} is not there any more", column.table),
                )
            })?;
            columns.push(TableColumn { name: format!("c{nth}"), ..declared });
        }
        let carriage = Carriage::of(&columns);
        let uncarried =
            |error: Uncarried| ClientError::not_supported(&format!("{error}, over several shards"));
        Ok(Arc::new(carriage.map_err(uncarried)?))
    }

    /// Has the shards compute their aggregates.
    pub(super) async fn read_folded(
        &mut self,
        planned: &Planned<'_>,
        keyspace: &Keyspace,
        gather: &Gather,
        (fold, carriage): (&Fold, Arc<Carriage>),
    ) -> Result<Vec<PartRows>, ProxyError> {
        let text = (planned.sql, planned.normal);
        let shards = planned.plan.shards(keyspace, &fold.keys, text, &[]);
        let spots = self.spots(planned, &shards).await?;
        let mut jobs: BTreeMap<ServerId, Vec<Job>> = BTreeMap::new();
        for (nth, spot) in spots.iter().enumerate() {
            let mut sql = b"SELECT ".to_vec();
            carriage.select_list("p", &mut sql);
            self.with_facts(planned, spot, |facts| planned.plan.fold_text(fold, text, facts, &mut sql));
            let (current, packet) = (spot.current.clone(), self.query_packet(&sql));
            let job = Job { part: 0, spot: nth, current, packet, carriage: carriage.clone() };
            jobs.entry(spot.pool.id()).or_default().push(job);
        }
        let tables: Vec<&str> = gather.parts.iter().map(|part| &*part.table).take(1).collect();
        self.run_jobs(planned, spots, jobs, vec![carriage], &tables).await
    }

    /// Runs what each server is asked, all servers at the same time.
    async fn run_jobs(
        &mut self,
        planned: &Planned<'_>,
        spots: Vec<Spot>,
        jobs: BTreeMap<ServerId, Vec<Job>>,
        carriages: Vec<Arc<Carriage>>,
        tables: &[&str],
    ) -> Result<Vec<PartRows>, ProxyError> {
        let settings = reading(&self.state.settings);
        let is_inside = self.reads_on_its_own();
        let mut work = Vec::with_capacity(jobs.len());
        for jobs in jobs.into_values() {
            let Some(spot) = jobs.first().and_then(|job| spots.get(job.spot)) else { continue };
            let ready = match is_inside {
                true => self.acquire(&planned.plan, spot).await,
                false => self.reader(spot, &settings).await,
            };
            match ready {
                Ok(connection) => work.push((connection, jobs)),
                Err(error) => {
                    work.into_iter().for_each(|(connection, _)| self.settle(connection));
                    return Err(self.refused_early(error, spot));
                }
            }
        }
        let threads: Vec<_> = work.iter().map(|(connection, _)| connection.thread().clone()).collect();
        self.handle.set_running(threads);
        let budget = Arc::new(Budget::of(&self.shared.config.client));
        let mut servers = JoinSet::new();
        for (connection, jobs) in work {
            let reading = Reading {
                settings: settings.clone(),
                budget: budget.clone(),
                is_inside,
                hears: self.captured.is_some(),
            };
            servers.spawn(read_all(connection, jobs, reading));
        }
        let documents = self.collect(servers, &spots, tables, is_inside).await?;
        let of_part = |(part, carriage): (usize, Arc<Carriage>)| {
            let mine =
                documents.iter().filter(|(of, _)| *of == part).map(|(_, document)| document.as_slice());
            let document = mine.collect::<Vec<_>>().concat();
            PartRows { carriage, document }
        };
        Ok(carriages.into_iter().enumerate().map(of_part).collect())
    }

    /// Waits for the next of several servers that are read at the same time, and for the client to leave. `is_inside`: on the transaction's own connections.
    pub(super) async fn next_of<T: 'static>(
        &mut self,
        servers: &mut JoinSet<T>,
        is_inside: bool,
    ) -> Result<Option<T>, ProxyError> {
        let ended = tokio::select! {
            biased;
            ended = servers.join_next() => ended,
            error = self.client.gone(self.command_bytes) => return Err(ProxyError::ClientGone(error)),
        };
        ended.transpose().map_err(|_| {
            self.lost |= is_inside;
            ClientError::new(ErrorCode::UNKNOWN, "Reading a shard's rows ended unexpectedly").into()
        })
    }

    /// Waits for all servers; the first failure ends the others' work.
    async fn collect(
        &mut self,
        mut servers: JoinSet<FromServer>,
        spots: &[Spot],
        tables: &[&str],
        is_inside: bool,
    ) -> Result<Vec<(usize, Vec<u8>)>, ProxyError> {
        let mut documents = Vec::new();
        let mut connections = Vec::new();
        let mut failure = None;
        loop {
            let Some(server) = self.next_of(&mut servers, is_inside).await? else { break };
            self.lost |= is_inside && server.connection.is_none();
            connections.extend(server.connection);
            documents.extend(server.documents);
            if let Some(captured) = &mut self.captured {
                captured.of_parts.extend(server.warnings);
            }
            for (part, at, took) in server.took {
                if let Some(spot) = spots.get(at) {
                    self.note_shard(part, spot.index, took);
                }
            }
            if let Some(failed) = server.failure {
                failure.get_or_insert(failed);
                // A transaction needs its connections, and they their answers' ends.
                if !is_inside {
                    break;
                }
            }
        }
        let is_condemned = self.handle.ended_running();
        for connection in connections {
            match is_inside {
                true => self.put_back(connection, is_condemned).await,
                false => self.put_away(connection, is_condemned),
            }
        }
        match failure {
            None => Ok(documents),
            Some((place, ProxyError::Client(error))) if error.code == ErrorCode::NOT_SUPPORTED => {
                let table = tables.get(place).copied().unwrap_or_default();
                Err(ClientError::not_supported(&format!(
                    "{} of the table {table} over several shards",
                    error.message
                ))
                .into())
            }
            Some((spot, error)) => match spots.get(spot) {
                Some(spot) => Err(self.refused_early(self.in_logical_names(error, spot), spot)),
                None => Err(error),
            },
        }
    }

    /// Keeps a connection for the transaction that it read in.
    pub(super) async fn put_back(&mut self, mut connection: Box<BackendConnection>, is_condemned: bool) {
        if is_condemned {
            connection.never_reuse();
        }
        // An error says nothing of what is open: the transaction may have been rolled back.
        if connection.is_usable() {
            let _known = connection.refresh_status().await;
        }
        self.settle(connection);
    }

    /// A parameter's value as a literal, where that means the same.
    pub(super) fn literal(&self, bound: &Bound<'_>, number: u32, takes: Takes) -> Option<Vec<u8>> {
        let value = bound.execute.values.get(number as usize)?;
        let of = bound.execute.types.get(number as usize)?;
        let is_text = matches!(value, BinaryValue::Bytes(_)) && !is_binary(of.column_type);
        let is_taken = match takes {
            Takes::Integers => matches!(value, BinaryValue::Int(_) | BinaryValue::UInt(_)),
            Takes::Text => is_text,
        };
        is_taken.then(|| sql_literal(value, of.column_type, self.state.lexical.reading()))
    }

    /// What each server is asked, and where.
    async fn jobs(
        &mut self,
        planned: &Planned<'_>,
        (keyspace, gather): (&Keyspace, &Gather),
        carriages: &[Arc<Carriage>],
        bound: Option<&Bound<'_>>,
    ) -> Result<(Vec<Spot>, BTreeMap<ServerId, Vec<Job>>), ProxyError> {
        let text = (planned.sql, planned.normal);
        let (mut places, mut spots) = (BTreeMap::new(), Vec::new());
        let mut jobs: BTreeMap<ServerId, Vec<Job>> = BTreeMap::new();
        for (nth, (part, carriage)) in gather.parts.iter().zip(carriages).enumerate() {
            let shards = match &part.rows {
                Rows::Home => vec![keyspace.home],
                Rows::Copy => vec![self.own_turn(keyspace)],
                Rows::Shards(keys) => planned.plan.shards(keyspace, keys, text, keys_of(bound)),
                // Read by `read_catalog`.
                Rows::Catalog(_) => continue,
            };
            for shard in shards {
                let spot = match places.get(&shard) {
                    Some(spot) => *spot,
                    None => {
                        spots.extend(self.spots(planned, &[shard]).await?);
                        places.insert(shard, spots.len() - 1);
                        spots.len() - 1
                    }
                };
                let mut sql = b"SELECT ".to_vec();
                carriage.select_list(&quoted_identifier(&part.alias), &mut sql);
                let literal = |number: u32, takes: Takes| self.literal(bound?, number, takes);
                planned.plan.part_text(part, &spots[spot].schema, text, &literal, &mut sql);
                if let Some(lock) = part.lock {
                    sql.push(b' ');
                    sql.extend_from_slice(lock.sql().as_bytes());
                }
                let (current, packet) = (spots[spot].current.clone(), self.query_packet(&sql));
                let job = Job { part: nth, spot, current, packet, carriage: carriage.clone() };
                jobs.entry(spots[spot].pool.id()).or_default().push(job);
            }
        }
        Ok((spots, jobs))
    }
}

/// Makes all that one server is asked see one snapshot, as the parts of one statement do.
const ONE_SNAPSHOT: [&[u8]; 2] = [
    b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    b"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
];
const END_SNAPSHOT: &[u8] = b"COMMIT AND NO CHAIN NO RELEASE";

/// How servers are read.
struct Reading {
    settings: Arc<Settings>,
    budget: Arc<Budget>,
    /// Inside the session's transaction.
    is_inside: bool,
    /// Whether warnings are asked for.
    hears: bool,
}

/// Runs one server's statements.
async fn read_all(mut connection: Box<BackendConnection>, jobs: Vec<Job>, reading: Reading) -> FromServer {
    let mut from = FromServer {
        connection: None,
        documents: Vec::with_capacity(jobs.len()),
        failure: None,
        warnings: Vec::new(),
        took: Vec::new(),
    };
    let first = jobs.first().map_or(0, |job| job.spot);
    // A transaction has a snapshot of its own, or wants none.
    let is_several = jobs.len() > 1 && !reading.is_inside;
    if is_several && let Err(error) = execute_all(&mut connection, &ONE_SNAPSHOT).await {
        from.failure = Some((first, error));
    }
    for job in jobs {
        if from.failure.is_some() {
            break;
        }
        if let Err(error) = connection.synchronise(&job.current, &reading.settings, None).await {
            from.failure = Some((job.spot, error));
            break;
        }
        let mut stream = match RowStream::send(connection, &job.packet, ResponseKind::Query).await {
            Ok(stream) => stream,
            Err(error) => {
                from.failure = Some((job.spot, error));
                return from;
            }
        };
        let (mut document, mut took) = (Vec::new(), Taking::begun());
        let read = read_rows(&mut stream, (&job.carriage, &reading.budget), &mut document, &mut took).await;
        from.took.push((job.part, job.spot, took));
        if reading.is_inside && matches!(read, Err(ProxyError::Client(_))) {
            // What is not wanted any more has to be read all the same: the connection is the transaction's.
            stream.read_out().await;
        }
        let summary;
        (connection, summary) = stream.into_parts();
        let mut read = read;
        if reading.hears && read.is_ok() && summary.warnings > 0 && from.warnings.len() < MAX_WARNINGS {
            read = warnings(&mut connection).await.map(|found| from.warnings.extend(found));
        }
        match read {
            Ok(()) => from.documents.push((job.part, document)),
            Err(error) => {
                let place = if is_of_table(&error) { job.part } else { job.spot };
                from.failure = Some((place, error));
            }
        }
    }
    if is_several
        && from.failure.is_none()
        && let Err(error) = execute_all(&mut connection, &[END_SNAPSHOT]).await
    {
        from.failure = Some((first, error));
    }
    from.connection = Some(connection);
    from
}

async fn execute_all(connection: &mut BackendConnection, statements: &[&[u8]]) -> Result<(), ProxyError> {
    for statement in statements {
        connection.execute(statement).await?;
    }
    Ok(())
}

/// Whether an error is about a table's rows, not about a server.
fn is_of_table(error: &ProxyError) -> bool {
    matches!(error, ProxyError::Client(error) if error.code == ErrorCode::NOT_SUPPORTED)
}

async fn read_rows(
    stream: &mut RowStream,
    (carriage, budget): (&Carriage, &Budget),
    document: &mut Vec<u8>,
    took: &mut Taking,
) -> Result<(), ProxyError> {
    loop {
        let row = stream.next().await?;
        took.saw(row.as_ref());
        let Some(row) = row else { return Ok(()) };
        let before = document.len();
        let cells: Result<Vec<Option<&[u8]>>, _> = decode_text_row(&row).collect();
        let cells = cells.map_err(|error| stream.surprise(error))?;
        carriage
            .put_row(cells.into_iter(), document)
            .map_err(|error| ClientError::new(ErrorCode::NOT_SUPPORTED, error.to_string()))?;
        budget.take(document.len() - before)?;
    }
}

impl Budget {
    /// All that one statement may read.
    pub(in crate::session) fn of(limits: &ClientLimits) -> Budget {
        Budget {
            rows: AtomicUsize::new(limits.max_gathered_rows),
            bytes: AtomicUsize::new(limits.max_gathered_bytes),
        }
    }

    pub(super) fn take(&self, bytes: usize) -> Result<(), ProxyError> {
        let has = |left: &AtomicUsize, taken: usize| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(taken)).is_ok()
        };
        let what = match (has(&self.rows, 1), has(&self.bytes, bytes)) {
            (true, true) => return Ok(()),
            (false, _) => "client.max_gathered_rows",
            (true, false) => "client.max_gathered_bytes",
        };
        let message = format!(
            "The statement needs more rows of several shards than {what} allows to be finished in MySQL: narrow it by a sharding key or conditions, or raise the bound"
        );
        Err(ClientError::new(ErrorCode::OUT_OF_ROOM, message).into())
    }
}

/// The columns that the statement can have to do with; one at least, for the rows to be counted.
fn carriage(gather: &Gather, columns: Vec<TableColumn>) -> Result<Carriage, Uncarried> {
    let named = named(gather, columns.clone());
    if !named.is_empty() {
        return Carriage::of(&named);
    }
    let mut alone = columns.iter().map(|column| Carriage::of(std::slice::from_ref(column)));
    let first = alone.next().unwrap_or(Err(Uncarried::NoColumns));
    if first.is_ok() { first } else { alone.find(Result::is_ok).unwrap_or(first) }
}

/// The columns that the statement names.
pub(super) fn named(gather: &Gather, mut columns: Vec<TableColumn>) -> Vec<TableColumn> {
    if let Some(names) = &gather.columns {
        columns.retain(|column| names.iter().any(|name| *name == Name::caseless(&column.name)));
    }
    columns
}

pub(in crate::session) async fn table_columns(
    schema: &str,
    table: &str,
    connection: &mut BackendConnection,
) -> Result<Vec<TableColumn>, ProxyError> {
    let table = format!("{}.{}", quoted_identifier(schema), quoted_identifier(table));
    let rows = connection.rows(format!("SHOW FULL COLUMNS FROM {table}").as_bytes()).await?;
    Ok(rows.iter().map(table_column).collect())
}

/// The type of partial results, as a column of that type would be declared.
fn folded(column: &FoldColumn, of_table: &[TableColumn]) -> Option<TableColumn> {
    let of_type = |declared: String| TableColumn {
        name: String::new(),
        declared,
        collation: None,
        extra: String::new(),
    };
    let Some(name) = &column.column else { return Some(of_type("bigint".to_owned())) };
    let found = of_table.iter().find(|found| *name == Name::caseless(&found.name))?;
    Some(match column.made {
        Made::Count => of_type("bigint".to_owned()),
        Made::Value => TableColumn { extra: String::new(), ..found.clone() },
        Made::Sum => {
            // DECIMAL(precision,scale); integers have no scale.
            let scale = found
                .declared
                .split_once(',')
                .and_then(|(_, rest)| rest.split_once(')'))
                .map_or("0", |(scale, _)| scale);
            of_type(format!("decimal(65,{scale})"))
        }
    })
}

fn table_column(row: &[Option<Vec<u8>>]) -> TableColumn {
    let text =
        |nth: usize| row.get(nth).cloned().flatten().map(|text| String::from_utf8_lossy(&text).into_owned());
    TableColumn {
        name: text(0).unwrap_or_default(),
        declared: text(1).unwrap_or_default(),
        collation: text(2),
        extra: text(6).unwrap_or_default(),
    }
}

pub(super) fn uncarried(part: &Part, error: &Uncarried) -> ProxyError {
    ClientError::not_supported(&format!("{error}, of the table {}, over several shards", part.table)).into()
}

/// Settings under which parts are read: the session's own, with text in UTF-8.
pub(in crate::session) fn reading(settings: &Settings) -> Arc<Settings> {
    let mut settings = settings.clone();
    settings.put("character_set_results", &string_literal(b"utf8mb4"));
    // It counts rows of the whole result, not of its parts.
    if settings.get("sql_select_limit").is_some() {
        settings.put("sql_select_limit", b"DEFAULT");
    }
    Arc::new(settings)
}
