//! SHOW TABLE STATUS of a keyspace with several shards: one line per table, in which the sizes of a sharded table are those of all shards together. Each shard is asked
//! as the user; how their lines become one is decided without I/O.

use std::collections::HashMap;
use std::sync::Arc;

use podway_model::{Keyspace, Map, ShardIndex, TableKind};
use podway_wire::codec::put_lenenc_bytes;

use super::core::{Planned, Session, Spot};
use super::gather::{Answer, keyspace_of};
use super::run::FRESH_CONNECTIONS;
use crate::backend::{Rows, Settings};
use crate::error::ProxyError;

/// What NULL is in a row of the text protocol.
const NULL: u8 = 0xFB;

/// A table's line.
type Line = Vec<Option<Vec<u8>>>;

impl Session {
    /// SHOW TABLE STATUS.
    pub(super) async fn show_table_status(&mut self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        let Some(name) = planned.plan.keyspace() else { return Ok(()) };
        let keyspace = keyspace_of(&planned.map, name)?;
        // Home comes first: it alone has all tables.
        let all = (0..keyspace.shards.len()).map(|shard| ShardIndex(shard as u16));
        let shards: Vec<ShardIndex> =
            std::iter::once(keyspace.home).chain(all.filter(|shard| *shard != keyspace.home)).collect();
        let spots = self.spots(planned, &shards).await?;
        let settings = self.settings_outside();
        let mut said = Vec::with_capacity(spots.len());
        for spot in &spots {
            let mut text = Vec::new();
            if !self.rewritten_text(planned, spot, &mut text) {
                text.extend_from_slice(planned.sql);
            }
            said.push(self.status_of(spot, &settings, &text).await?);
        }
        let lines = together(&planned.map, &keyspace, &said);
        let Some(home) = said.into_iter().next() else { return Ok(()) };
        let mut answer = Answer::of(home.into_columns(), self, false);
        self.put_columns(&mut answer);
        for line in lines {
            let mut row = Vec::new();
            for cell in line {
                match cell {
                    Some(cell) => put_lenenc_bytes(&mut row, &cell),
                    None => row.push(NULL),
                }
            }
            let put = self.put_row(&mut answer, &row).await;
            put.map_err(|error| answer.cut_off(error, self))?;
        }
        self.state.row_count = -1;
        self.state.warnings.clear();
        self.put_end(&mut answer, 0).await
    }
}

impl Session {
    /// What one shard says. It has no effect, so that a connection that was dead is no reason to fail.
    async fn status_of(
        &mut self,
        spot: &Spot,
        settings: &Arc<Settings>,
        sql: &[u8],
    ) -> Result<Rows, ProxyError> {
        let mut attempts = FRESH_CONNECTIONS;
        loop {
            let mut connection = self.reader(spot, settings).await?;
            self.handle.set_running([connection.thread().clone()]);
            let rows = tokio::select! {
                biased;
                rows = connection.rows(sql) => rows,
                error = self.client.gone(self.command_bytes) => return Err(ProxyError::ClientGone(error)),
            };
            // It goes on to further shards.
            self.handle.seeks();
            let is_condemned = self.handle.ended_running();
            self.put_away(connection, is_condemned);
            match rows {
                Ok(_) if is_condemned => return Err(ProxyError::interrupted()),
                Err(ProxyError::BackendUnusable { .. }) if attempts > 0 => attempts -= 1,
                rows => return rows.map_err(|error| self.in_logical_names(error, spot)),
            }
        }
    }
}

/// The home shard's lines, those of sharded tables together with the other shards'.
fn together(map: &Map, keyspace: &Keyspace, said: &[Rows]) -> Vec<Line> {
    let Some((home, others)) = said.split_first() else { return Vec::new() };
    let columns: HashMap<&[u8], usize> = (0..).map_while(|at| Some((home.column_name(at)?, at))).collect();
    let at = |name: &str| columns.get(name.as_bytes()).copied();
    let mut lines: Vec<Line> = home.iter().map(<[_]>::to_vec).collect();
    for line in &mut lines {
        let name = text(line, at("Name"));
        let table = name.as_ref().and_then(|name| keyspace.tables.get(&map.names.name(name)));
        if !table.is_some_and(|table| matches!(table.kind, TableKind::Sharded(_))) {
            continue;
        }
        let same = |other: &&[Option<Vec<u8>>]| text(other, at("Name")) == name;
        for other in others.iter().filter_map(|rows| rows.iter().find(same)) {
            for sum in ["Rows", "Data_length", "Index_length", "Data_free"] {
                combine(line, other, at(sum), u64::saturating_add);
            }
            combine(line, other, at("Auto_increment"), u64::max);
            latest(line, other, at("Update_time"));
        }
        let (rows, bytes) = (number(line, at("Rows")), number(line, at("Data_length")));
        if let (Some(rows), Some(bytes), Some(at)) = (rows, bytes, at("Avg_row_length")) {
            line[at] = Some(bytes.checked_div(rows).unwrap_or(0).to_string().into_bytes());
        }
    }
    lines
}

fn text(line: &[Option<Vec<u8>>], at: Option<usize>) -> Option<String> {
    let cell = line.get(at?)?.as_ref()?;
    Some(String::from_utf8_lossy(cell).into_owned())
}

fn number(line: &[Option<Vec<u8>>], at: Option<usize>) -> Option<u64> {
    text(line, at)?.parse().ok()
}

/// Two shards' numbers as one; what one of them does not know does not count.
fn combine(line: &mut Line, other: &[Option<Vec<u8>>], at: Option<usize>, how: fn(u64, u64) -> u64) {
    let Some(place) = at else { return };
    let both = match (number(line, at), number(other, at)) {
        (Some(one), Some(two)) => how(one, two),
        (None, Some(only)) => only,
        _ => return,
    };
    line[place] = Some(both.to_string().into_bytes());
}

/// The later of two times, which compare as their text does.
fn latest(line: &mut Line, other: &[Option<Vec<u8>>], at: Option<usize>) {
    let Some(place) = at else { return };
    if let Some(Some(theirs)) = other.get(place)
        && line[place].as_ref().is_none_or(|ours| ours < theirs)
    {
        line[place] = Some(theirs.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_of_two_shards_become_one() {
        let cell = |text: &str| Some(text.as_bytes().to_vec());
        let mut line = vec![cell("3"), None, cell("2026-01-01 10:00:00"), None];
        let other = [cell("4"), cell("7"), cell("2026-01-02 09:00:00"), None];
        for at in 0..2 {
            combine(&mut line, &other, Some(at), u64::saturating_add);
        }
        combine(&mut line, &other, Some(3), u64::max);
        combine(&mut line, &other, None, u64::max);
        latest(&mut line, &other, Some(2));
        assert_eq!(line, [cell("7"), cell("7"), cell("2026-01-02 09:00:00"), None]);
    }
}
