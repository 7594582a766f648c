//! What shards say of their tables, as one: databases by the names that clients know, one row for a table, and numbers of all shards together. Pure: rows in, rows
//! out. Read next: `session/gather/catalog.rs`, which asks them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

use podway_model::{Keyspace, Map, TableKind};
use podway_router::{CatalogAsk, CatalogTable, is_of_servers};

use super::rewriting::NameChange;

/// A row's cells as text; `None` is NULL.
pub type Line = Vec<Option<Vec<u8>>>;

/// What one shard said of a table of `information_schema`.
pub struct CatalogSaid {
    /// What it was asked.
    pub ask: CatalogAsk,
    /// Its schema's name on its server.
    pub schema: String,
    /// Schemas of that server that have another name than their keyspaces.
    pub changes: Vec<NameChange>,
    /// Its rows.
    pub lines: Vec<Line>,
}

/// The places of a table's columns in its rows, as far as they have a part in putting rows together.
struct Places<'t> {
    table: &'t CatalogTable,
    columns: &'t [String],
}

/// The rows of all, the first of which have to be those of home shards: others add numbers to them. `columns` are the names of the first cells.
pub fn together(map: &Map, table: &CatalogTable, columns: &[String], said: Vec<CatalogSaid>) -> Vec<Line> {
    let places = Places { table, columns };
    let mut found: Vec<Line> = Vec::new();
    let mut at: HashMap<Line, usize> = HashMap::new();
    let mut means = Vec::new();
    for of_shard in said {
        let keyspace = of_shard.ask.of.as_ref().and_then(|name| map.keyspace(name));
        let CatalogSaid { ask, schema, changes, lines } = of_shard;
        for mut line in lines {
            if !places.is_about(&line, &ask, &schema) {
                continue;
            }
            let is_sharded = keyspace.is_some_and(|keyspace| places.is_sharded(&line, map, keyspace));
            places.translate(&mut line, &changes);
            match (ask.is_whole, is_sharded) {
                (true, true) => {
                    at.insert(places.key(&line), found.len());
                    means.push(found.len());
                    found.push(line);
                }
                (true, false) => found.push(line),
                (false, true) => {
                    if let Some(&place) = at.get(&places.key(&line)) {
                        places.add(&mut found[place], &line);
                    }
                }
                (false, false) => {}
            }
        }
    }
    if let Some([mean, sum, count]) = table.numbers.mean {
        for place in means {
            average(&mut found[place], [mean, sum, count].map(|name| places.at(name)));
        }
    }
    found
}

impl Places<'_> {
    fn at(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.eq_ignore_ascii_case(name))
    }

    fn text<'l>(&self, line: &'l Line, name: &str) -> Option<Cow<'l, str>> {
        line.get(self.at(name)?)?.as_deref().map(String::from_utf8_lossy)
    }

    /// The database that a row is about, as its server calls it.
    fn owner<'l>(&self, line: &'l Line) -> Option<Cow<'l, str>> {
        match self.table.schemas.first() {
            Some(column) => self.text(line, column),
            None => match self.text(line, self.table.paths.first()?)? {
                Cow::Borrowed(path) => path_parts(path).map(|(schema, _)| schema.into()),
                Cow::Owned(path) => path_parts(&path).map(|(schema, _)| schema.to_owned().into()),
            },
        }
    }

    /// Whether a row is about what its shard was asked about: others are another shard's, or nobody's.
    fn is_about(&self, line: &Line, ask: &CatalogAsk, schema: &str) -> bool {
        let owner = self.owner(line);
        let is_path = self.table.schemas.is_empty();
        match (&ask.of, owner) {
            (Some(_), Some(owner)) if is_path => file_name(schema).is_some_and(|name| name == owner),
            (Some(_), Some(owner)) => plain_pattern(&owner).eq_ignore_ascii_case(schema),
            (Some(_), None) => false,
            (None, Some(owner)) => is_of_servers(&owner),
            (None, None) => is_path,
        }
    }

    /// Whether a row is about a table whose rows every shard has some of.
    fn is_sharded(&self, line: &Line, map: &Map, keyspace: &Keyspace) -> bool {
        let name = match (self.table.table, self.table.paths.first()) {
            (Some(column), _) => self.text(line, column).map(Cow::into_owned),
            (None, Some(column)) => {
                let path = self.text(line, column).unwrap_or_default();
                path_parts(&path).map(|(_, table)| table_name(table))
            }
            (None, None) => None,
        };
        let table = name.and_then(|name| keyspace.tables.get(&map.names.name(&name)));
        table.is_some_and(|table| matches!(table.kind, TableKind::Sharded(_)))
    }

    /// What tells a row from others: what it is about, by clients' names.
    fn key(&self, line: &Line) -> Line {
        let first = |columns: &'static [&'static str]| columns.first().copied();
        let owner = first(self.table.schemas).or_else(|| first(self.table.paths));
        let columns = owner.into_iter().chain(self.table.table).chain(self.table.numbers.key.iter().copied());
        columns.map(|name| line.get(self.at(name)?)?.clone()).collect()
    }

    /// Puts clients' names in the place of the server's.
    fn translate(&self, line: &mut Line, changes: &[NameChange]) {
        self.change(line, self.table.schemas, &|cell| {
            let cell = String::from_utf8_lossy(cell);
            let is_it = |names: &&NameChange| plain_pattern(&cell).as_bytes() == names.physical;
            changes.iter().find(is_it).map(|names| names.logical.clone())
        });
        self.change(line, self.table.paths, &|cell| {
            changes.iter().find_map(|names| translated_path(cell, names))
        });
        for names in changes {
            self.change(line, self.table.texts, &|cell| Some(names.quoted_in(cell)));
        }
    }

    fn change(&self, line: &mut Line, columns: &[&str], changed: &dyn Fn(&[u8]) -> Option<Vec<u8>>) {
        for place in columns.iter().filter_map(|name| self.at(name)) {
            if let Some(Some(cell)) = line.get_mut(place)
                && let Some(changed) = changed(cell)
            {
                *cell = changed;
            }
        }
    }

    fn add(&self, line: &mut Line, other: &Line) {
        for sum in self.table.numbers.sums {
            combine(line, other, self.at(sum), u64::saturating_add);
        }
        for highest in self.table.numbers.highest {
            let place = self.at(highest);
            match number(line, place).or_else(|| number(other, place)) {
                Some(_) => combine(line, other, place, u64::max),
                None => latest(line, other, place),
            }
        }
    }
}

/// Privileges on a database name it as a pattern, in which `_` is escaped.
fn plain_pattern(name: &str) -> Cow<'_, str> {
    if name.contains('\\') { name.replace("\\_", "_").replace("\\%", "%").into() } else { name.into() }
}

/// The database and the rest of `shop/orders` and `./shop/orders.ibd`.
fn path_parts(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("./").unwrap_or(path).split_once('/')
}

/// A path with the client's name of the database.
fn translated_path(cell: &[u8], names: &NameChange) -> Option<Vec<u8>> {
    let path = str::from_utf8(cell).ok()?;
    let (schema, rest) = path_parts(path)?;
    let physical = file_name(str::from_utf8(&names.physical).ok()?)?;
    let logical = file_name(str::from_utf8(&names.logical).ok()?)?;
    let dot = if path.starts_with("./") { "./" } else { "" };
    (schema == physical).then(|| format!("{dot}{logical}/{rest}").into_bytes())
}

/// The table's name in a path's second part; letters outside ASCII stay as they are written there.
fn table_name(path: &str) -> String {
    let end = path.find(['#', '.']).unwrap_or(path.len());
    let mut name = String::new();
    let mut rest = &path[..end];
    while let Some(at) = rest.find('@') {
        name.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 5).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let decoded = code.filter(u8::is_ascii);
        name.push(decoded.map_or('@', char::from));
        rest = if decoded.is_some() { &rest[at + 5..] } else { &rest[at + 1..] };
    }
    name + rest
}

/// A name as files have it; none for one outside ASCII.
fn file_name(name: &str) -> Option<String> {
    let mut spelled = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => spelled.push(letter),
            letter if letter.is_ascii() => write!(spelled, "@{:04x}", u32::from(letter)).ok()?,
            _ => return None,
        }
    }
    Some(spelled)
}

fn number(line: &Line, at: Option<usize>) -> Option<u64> {
    str::from_utf8(line.get(at?)?.as_ref()?).ok()?.parse().ok()
}

/// Two shards' numbers as one; what one of them does not know does not count.
pub fn combine(line: &mut Line, other: &Line, at: Option<usize>, how: fn(u64, u64) -> u64) {
    let Some(place) = at.filter(|place| *place < line.len()) else { return };
    let both = match (number(line, at), number(other, at)) {
        (Some(one), Some(two)) => how(one, two),
        (None, Some(only)) => only,
        _ => return,
    };
    line[place] = Some(both.to_string().into_bytes());
}

/// The later of two times, which compare as their text does.
pub fn latest(line: &mut Line, other: &Line, at: Option<usize>) {
    let Some(place) = at.filter(|place| *place < line.len()) else { return };
    if let Some(Some(theirs)) = other.get(place)
        && line[place].as_ref().is_none_or(|ours| ours < theirs)
    {
        line[place] = Some(theirs.clone());
    }
}

/// What is the mean of a sum over a count: at the first place what is at the second over what is at the third.
pub fn average(line: &mut Line, [mean, sum, count]: [Option<usize>; 3]) {
    if let (Some(sum), Some(count), Some(place)) = (number(line, sum), number(line, count), mean) {
        line[place] = Some(sum.checked_div(count).unwrap_or(0).to_string().into_bytes());
    }
}

#[cfg(test)]
mod tests;
