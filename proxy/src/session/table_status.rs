//! SHOW TABLE STATUS of a keyspace with several shards: one line per table, in which the sizes of a sharded table are those of all shards together; and SHOW INDEX of a
//! sharded table. Each shard is asked as the user; how their lines become one is decided without I/O.

use std::collections::HashMap;

use podway_model::{Keyspace, Map, ShardIndex, TableKind};
use podway_wire::codec::put_lenenc_bytes;

use super::core::{Planned, Session};
use super::gather::{Answer, Budget, Taking, definitions, keyspace_of};
use crate::error::ProxyError;
use crate::execute::{Line, average, combine, latest};

/// What NULL is in a row of the text protocol.
const NULL: u8 = 0xFB;

impl Session {
    /// SHOW TABLE STATUS, SHOW INDEX.
    pub(super) async fn show_table_status(&mut self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        let Some(name) = planned.plan.keyspace() else { return Ok(()) };
        let keyspace = keyspace_of(&planned.map, name)?;
        // Home comes first: it alone has all tables.
        let all = (0..keyspace.shards.len()).map(|shard| ShardIndex(shard as u16));
        let shards: Vec<ShardIndex> =
            std::iter::once(keyspace.home).chain(all.filter(|shard| *shard != keyspace.home)).collect();
        let spots = self.spots(planned, &shards).await?;
        let settings = self.settings_outside();
        let budget = Budget::of(&self.shared.config.client);
        let (mut columns, mut said) = (Vec::new(), Vec::with_capacity(spots.len()));
        for spot in &spots {
            let mut text = Vec::new();
            if !self.rewritten_text(planned, spot, &mut text) {
                text.extend_from_slice(planned.sql);
            }
            let (of_spot, lines) =
                self.lines_of(spot, &settings, &text, (&budget, &mut Taking::begun())).await?;
            if said.is_empty() {
                columns = definitions(&of_spot, spot.name_change().as_ref())
                    .map_err(|error| spot.pool.endpoint().lost(error))?;
            }
            said.push(lines);
        }
        let names: Vec<Vec<u8>> = columns.iter().map(|column| column.name.to_vec()).collect();
        let lines = together(&planned.map, &keyspace, &names, said);
        let mut answer = Answer::of(columns, self, false);
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

/// The home shard's lines, those of sharded tables together with the other shards'.
fn together(map: &Map, keyspace: &Keyspace, names: &[Vec<u8>], said: Vec<Vec<Line>>) -> Vec<Line> {
    let mut said = said.into_iter();
    let Some(mut lines) = said.next() else { return Vec::new() };
    let others: Vec<Vec<Line>> = said.collect();
    let columns: HashMap<&[u8], usize> =
        names.iter().enumerate().map(|(at, name)| (name.as_slice(), at)).collect();
    let at = |name: &str| columns.get(name.as_bytes()).copied();
    if let (Some(index), place) = (at("Key_name"), at("Seq_in_index")) {
        for line in &mut lines {
            let same = |other: &&Line| {
                text(other, Some(index)) == text(line, Some(index)) && text(other, place) == text(line, place)
            };
            let found: Vec<&Line> = others.iter().filter_map(|lines| lines.iter().find(same)).collect();
            for other in found {
                combine(line, other, at("Cardinality"), u64::saturating_add);
            }
        }
        return lines;
    }
    for line in &mut lines {
        let name = text(line, at("Name"));
        let table = name.as_ref().and_then(|name| keyspace.tables.get(&map.names.name(name)));
        if !table.is_some_and(|table| matches!(table.kind, TableKind::Sharded(_))) {
            continue;
        }
        let same = |other: &&Line| text(other, at("Name")) == name;
        for other in others.iter().filter_map(|lines| lines.iter().find(same)) {
            for sum in ["Rows", "Data_length", "Index_length", "Data_free"] {
                combine(line, other, at(sum), u64::saturating_add);
            }
            combine(line, other, at("Auto_increment"), u64::max);
            latest(line, other, at("Update_time"));
        }
        average(line, ["Avg_row_length", "Data_length", "Rows"].map(at));
    }
    lines
}

fn text(line: &[Option<Vec<u8>>], at: Option<usize>) -> Option<String> {
    let cell = line.get(at?)?.as_ref()?;
    Some(String::from_utf8_lossy(cell).into_owned())
}
