//! Reading what `information_schema` says of a cluster: the home shard of each keyspace for its tables, the others for their numbers, one after the other, each as
//! the user. How what they say becomes one is decided without I/O ([`together`]).

use std::sync::Arc;

use bytes::Bytes;
use podway_model::{Keyspace, Map, ServerId};
use podway_router::{
    CatalogAsk, CatalogRows, Gather, INFORMATION_SCHEMA, Part, Rows, Takes, catalog_asks, catalog_condition,
};
use podway_wire::{ResponseKind, decode_text_row};

use super::super::core::{Planned, Session, Spot};
use super::super::run::{FRESH_CONNECTIONS, NO_DATABASE};
use super::parts::{Budget, PartRows, named, reading, table_columns, uncarried};
use super::{Bound, Taking, keys_of};
use crate::backend::{BackendConnection, Settings, quoted_identifier};
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::{Carriage, CatalogSaid, Line, NameChange, RowStream, together};

impl Session {
    /// Reads the rows that a statement on `information_schema` is computed over.
    pub(super) async fn read_catalog(
        &mut self,
        planned: &Planned<'_>,
        (keyspace, gather): (&Keyspace, &Gather),
        (spot, connection): (&Spot, &mut BackendConnection),
        bound: Option<&Bound<'_>>,
    ) -> Result<Vec<PartRows>, ProxyError> {
        let settings = reading(&self.settings_outside());
        connection.synchronise(&spot.current, &settings, None).await?;
        let budget = Budget::of(&self.shared.config.client);
        let mut read = Vec::with_capacity(gather.parts.len());
        for (nth, part) in gather.parts.iter().enumerate() {
            let Rows::Catalog(rows) = &part.rows else { continue };
            let columns = named(gather, table_columns(INFORMATION_SCHEMA, &part.table, connection).await?);
            let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
            let carriage = Carriage::of(&columns).map_err(|error| uncarried(part, &error))?;
            let schemas = planned.plan.catalog_schemas(
                rows,
                planned.database,
                (planned.sql, planned.normal),
                keys_of(bound),
            );
            let asks = catalog_asks(&planned.map, keyspace, rows, schemas.as_deref());
            let mut said = Vec::with_capacity(asks.len());
            for ask in asks {
                let asked = (ask, nth, part, rows);
                said.push(self.ask_catalog(planned, asked, &carriage, (&settings, &budget), bound).await?);
            }
            let lines = match rows.table {
                Some(table) => together(&planned.map, table, &names, said),
                None => said.into_iter().flat_map(|said| said.lines).collect(),
            };
            let mut document = Vec::new();
            for line in lines {
                let put = carriage.put_row(line.iter().map(Option::as_deref), &mut document);
                put.map_err(|error| uncarried(part, &error))?;
            }
            read.push(PartRows { carriage: Arc::new(carriage), document });
        }
        Ok(read)
    }

    async fn ask_catalog(
        &mut self,
        planned: &Planned<'_>,
        (ask, nth, part, rows): (CatalogAsk, usize, &Part, &CatalogRows),
        carriage: &Carriage,
        (settings, budget): (&Arc<Settings>, &Budget),
        bound: Option<&Bound<'_>>,
    ) -> Result<CatalogSaid, ProxyError> {
        let spot = self.catalog_spot(&planned.map, &ask)?;
        self.check_moving(&spot).await?;
        let schema = ask.of.as_ref().map(|_| &*spot.schema);
        let condition = rows.table.and_then(|table| catalog_condition(table, schema));
        let mut sql = b"SELECT ".to_vec();
        carriage.select_list(&quoted_identifier(&part.alias), &mut sql);
        let literal = |number: u32, takes: Takes| self.literal(bound?, number, takes);
        let text = (planned.sql, planned.normal);
        let place = (INFORMATION_SCHEMA, condition.as_deref());
        planned.plan.part_text_where(part, place, text, &literal, &mut sql);
        let mut took = Taking::begun();
        let (_, lines) = self.lines_of(&spot, settings, &sql, (budget, &mut took)).await?;
        if planned.plan.keyspace() == Some(&ask.keyspace) {
            self.note_shard(nth, ask.shard, took);
        }
        let changes = changes_on(&planned.map, spot.pool.id());
        Ok(CatalogSaid { schema: spot.schema.to_string(), ask, changes, lines })
    }

    fn catalog_spot(&self, map: &Map, ask: &CatalogAsk) -> Result<Spot, ProxyError> {
        let gone =
            || ClientError::new(ErrorCode::UNKNOWN, "The statement's shard has left the map: try again");
        let keyspace = map.keyspace(&ask.keyspace).ok_or_else(gone)?;
        let (server, shard) = map.place(keyspace, ask.shard).ok_or_else(gone)?;
        let pool = self.shared.pools.get(server);
        let spot = Spot::new(pool, shard.schema.shared_text(), Some(keyspace.clone()), ask.shard);
        // Every user may enter this one.
        Ok(Spot { current: NO_DATABASE.clone(), ..spot })
    }

    /// All rows that one server gives, with the columns' definitions as it sent them. The statement has no effect, so that a connection that was dead is no reason to
    /// fail.
    pub(in crate::session) async fn lines_of(
        &mut self,
        spot: &Spot,
        settings: &Arc<Settings>,
        sql: &[u8],
        (budget, took): (&Budget, &mut Taking),
    ) -> Result<(Vec<Bytes>, Vec<Line>), ProxyError> {
        let packet = self.query_packet(sql);
        let mut attempts = FRESH_CONNECTIONS;
        loop {
            let connection = self.reader(spot, settings).await?;
            self.handle.set_running([connection.thread().clone()]);
            let mut lines = Vec::new();
            let (read, stream) = match RowStream::send(connection, &packet, ResponseKind::Query).await {
                Err(error) => (Err(error), None),
                Ok(mut stream) => {
                    (self.read_lines(&mut stream, &mut lines, (budget, &mut *took)).await, Some(stream))
                }
            };
            // It goes on to further shards.
            self.handle.seeks();
            let is_condemned = self.handle.ended_running();
            let mut columns = Vec::new();
            if let Some(stream) = stream {
                columns.extend_from_slice(stream.columns());
                self.put_away(stream.into_parts().0, is_condemned);
            }
            // Whatever ended it, a KILL was meant for the statement, not for this shard's part.
            if is_condemned && !matches!(read, Err(ProxyError::ClientGone(_))) {
                return Err(ProxyError::interrupted());
            }
            match read {
                Err(ProxyError::BackendUnusable { .. }) if attempts > 0 => attempts -= 1,
                Err(error) => return Err(self.refused_early(self.in_logical_names(error, spot), spot)),
                Ok(()) => return Ok((columns, lines)),
            }
        }
    }

    pub(super) async fn read_lines(
        &mut self,
        stream: &mut RowStream,
        lines: &mut Vec<Line>,
        (budget, took): (&Budget, &mut Taking),
    ) -> Result<(), ProxyError> {
        loop {
            let row = self.read_row(stream).await?;
            took.saw(row.as_ref());
            let Some(row) = row else { return Ok(()) };
            budget.take(row.len())?;
            let cells: Result<Line, _> =
                decode_text_row(&row).map(|cell| cell.map(|cell| cell.map(<[u8]>::to_vec))).collect();
            lines.push(cells.map_err(|error| stream.surprise(error))?);
        }
    }
}

/// The schemas of a server that clients know by other names.
fn changes_on(map: &Map, server: ServerId) -> Vec<NameChange> {
    let renamed = |keyspace: &Arc<Keyspace>| {
        let there = keyspace.shards.iter().filter(|shard| shard.server == server);
        let renamed = there.filter(|shard| shard.schema != keyspace.name).map(|shard| NameChange {
            physical: shard.schema.as_str().as_bytes().to_vec(),
            logical: keyspace.name.as_str().as_bytes().to_vec(),
        });
        renamed.collect::<Vec<_>>()
    };
    map.keyspaces().flat_map(renamed).collect()
}
