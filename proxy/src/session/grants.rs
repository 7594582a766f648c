//! SHOW GRANTS: what a user may do in the cluster, in clients' names. Each server knows only the schemas that it holds, so each keyspace's home is asked, under
//! the client's own account; what they say is put together by pure functions.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use podway_model::{Map, Server, ServerId};
use podway_wire::{Cell, ColumnDefinition, ResultSet, RowFormat};

use super::core::{Planned, Session};
use crate::backend::Fit;
use crate::error::{ClientError, ErrorCode, ProxyError};

/// Podway's own schema on each server.
const OWN_SCHEMA: &str = "_podway";

/// What one server says, line by line.
type Said = (ServerId, Vec<String>);

impl Session {
    /// SHOW GRANTS, put together from every keyspace's home.
    pub(super) async fn show_grants(&mut self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        let mut said: Vec<Said> = Vec::new();
        let mut heading = Vec::new();
        for server in homes(&planned.map) {
            let pool = self.shared.pools.get(&server);
            let fit = Fit { settings: self.state.settings.fingerprint(), schema: None };
            let mut connection = pool.checkout(&self.key, fit).await?;
            let nowhere: Arc<str> = "information_schema".into();
            connection.synchronise(&nowhere, &self.state.settings, None).await?;
            let rows = connection.rows(planned.sql).await?;
            connection.give_back(Instant::now());
            if heading.is_empty() {
                heading = rows.column_name(0).unwrap_or_default().to_vec();
            }
            let line = |row: &[Option<Vec<u8>>]| {
                let cell = row.first().cloned().flatten().unwrap_or_default();
                String::from_utf8_lossy(&cell).into_owned()
            };
            said.push((server.id, rows.iter().map(line).collect()));
        }
        if said.is_empty() {
            return Err(ClientError::new(ErrorCode::UNKNOWN, "The cluster has no MySQL server yet").into());
        }
        let lines = merged(&planned.map, &said);
        let rows: Vec<Vec<Cell<'_>>> =
            lines.iter().map(|line| vec![Cell::Bytes(Cow::Borrowed(line.as_bytes()))]).collect();
        let columns = [ColumnDefinition { length: 4096, ..ColumnDefinition::text(heading) }];
        let result = ResultSet { columns: &columns, rows: &rows, status: self.status(), warnings: 0 };
        let format = if self.place.binary { RowFormat::Binary } else { RowFormat::Text };
        let mut out = BytesMut::new();
        result.write(&mut out, &mut self.place.sequence, self.capabilities, format);
        self.state.warnings.clear();
        self.state.row_count = -1;
        self.client.send(&out).await.map_err(ProxyError::ClientGone)
    }
}

/// The servers of all keyspaces' home shards, the default keyspace's first; where there is no keyspace, any server.
fn homes(map: &Map) -> Vec<Arc<Server>> {
    let mut keyspaces: Vec<_> = map.keyspaces().collect();
    let default = map.default_keyspace().map(|keyspace| keyspace.name.clone());
    keyspaces.sort_by_key(|keyspace| (Some(&keyspace.name) != default.as_ref(), keyspace.name.clone()));
    let mut servers: Vec<Arc<Server>> = Vec::new();
    for keyspace in keyspaces {
        let Some((server, _)) = map.place(keyspace, keyspace.home) else { continue };
        if !servers.iter().any(|known| known.id == server.id) {
            servers.push(server.clone());
        }
    }
    if servers.is_empty() {
        servers.extend(map.servers().next().cloned());
    }
    servers
}

/// One list of what several servers say, with keyspaces' names for their schemas and nothing of Podway's own.
fn merged(map: &Map, said: &[Said]) -> Vec<String> {
    let (mut on_everything, mut on_schemas, mut roles) = (Vec::new(), Vec::new(), Vec::new());
    for (n, (server, lines)) in said.iter().enumerate() {
        for line in lines {
            let (list, line) = match schema_of(line) {
                Some(found) => match logical(map, *server, line, &found) {
                    Some(line) => (&mut on_schemas, line),
                    None => continue,
                },
                // What is not on a schema is the same everywhere.
                None if n > 0 => continue,
                None if line.contains(" ON ") => (&mut on_everything, line.clone()),
                None => (&mut roles, line.clone()),
            };
            if !list.contains(&line) {
                list.push(line);
            }
        }
    }
    [on_everything, on_schemas, roles].concat()
}

/// Where a line names a schema.
struct Found {
    /// The name between the backticks, as it stands there.
    range: std::ops::Range<usize>,
    /// Whether it is a pattern: before `.*`.
    is_pattern: bool,
}

/// The schema that a line is about: behind ON, with or without the kind of the object.
fn schema_of(line: &str) -> Option<Found> {
    let mut from = 0;
    while let Some(at) = line[from..].find(" ON ") {
        let behind = from + at + 4;
        from = behind;
        // Inside a quoted name no backtick is alone.
        if !line[..behind].matches('`').count().is_multiple_of(2) {
            continue;
        }
        let rest = &line[behind..];
        let kind = ["PROCEDURE ", "FUNCTION ", "LIBRARY "].iter().find(|kind| rest.starts_with(**kind));
        let start = behind + kind.map_or(0, |kind| kind.len());
        let name = line[start..].strip_prefix('`')?;
        let end = closing(name)?;
        let after = &name[end + 1..];
        after.starts_with('.').then_some(())?;
        return Some(Found { range: start + 1..start + 1 + end, is_pattern: after.starts_with(".*") });
    }
    None
}

/// Where the backtick stands that ends a name.
fn closing(name: &str) -> Option<usize> {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'`', Some(b'`')) => at += 2,
            (b'`', _) => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// The line as clients read it; `None`: it is none of their business. A keyspace's privileges are told by its home.
fn logical(map: &Map, server: ServerId, line: &str, found: &Found) -> Option<String> {
    let spelled = line[found.range.clone()].replace("``", "`");
    let schema = if found.is_pattern { unescaped(&spelled) } else { spelled };
    if schema.eq_ignore_ascii_case(OWN_SCHEMA) {
        return None;
    }
    let folded = map.names.name(&schema);
    let keyspace = map.keyspaces().find(|keyspace| {
        keyspace.shards.iter().any(|shard| shard.server == server && shard.schema == folded)
    });
    let Some(keyspace) = keyspace else { return Some(line.to_owned()) };
    let home = map.place(keyspace, keyspace.home);
    if home.is_none_or(|(home, _)| home.id != server) {
        return None;
    }
    let name = keyspace.name.as_str().replace('`', "``");
    let name = if found.is_pattern { escaped(&name) } else { name };
    Some(format!("{}{name}{}", &line[..found.range.start], &line[found.range.end..]))
}

fn unescaped(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next_if(|next| matches!(next, '_' | '%' | '\\')) } else { None };
        out.push(escaped.unwrap_or(c));
    }
    out
}

fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

#[cfg(test)]
mod tests {
    use podway_model::{Epoch, Keyspace, NameRule, Shard, ShardId};

    use super::*;

    /// `shop` on servers 1 (twice) and 2; `my_own` on server 2 alone.
    fn map() -> Map {
        let rule = NameRule::CaseSensitive;
        let mut map = Map::empty(rule);
        for id in 1..=2 {
            map.put_server(Server {
                id: ServerId(id),
                host: "h".into(),
                port: 1,
                uuid: "u".into(),
                version: "8.0.36".into(),
            });
        }
        let shard = |id: u32, server: u32, schema: &str| Shard {
            id: ShardId(id),
            server: ServerId(server),
            schema: rule.name(schema),
            epoch: Epoch(1),
        };
        let shards = vec![shard(1, 1, "shop__3"), shard(2, 1, "shop__2"), shard(3, 2, "shop")];
        map.put_keyspace(Keyspace::evenly(rule.name("shop"), shards).unwrap()).unwrap();
        let own = Keyspace::evenly(rule.name("my_own"), vec![shard(4, 2, "my_own")]).unwrap();
        map.put_keyspace(own).unwrap();
        map
    }

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_servers_say_of_their_schemas_is_said_once_in_clients_names() {
        let first = lines(&[
            "GRANT USAGE ON *.* TO `app`@`%`",
            r"GRANT SELECT ON `\_podway`.* TO `app`@`%`",
            r"GRANT SELECT, INSERT ON `shop\_\_2`.* TO `app`@`%` WITH GRANT OPTION",
            r"GRANT SELECT, INSERT ON `shop\_\_3`.* TO `app`@`%` WITH GRANT OPTION",
            "GRANT UPDATE (`a ON b`) ON `shop__3`.`orders` TO `app`@`%`",
            "GRANT EXECUTE ON PROCEDURE `shop__3`.`p` TO `app`@`%`",
            "GRANT SELECT ON `mysql`.* TO `app`@`%`",
            "GRANT `reader`@`%` TO `app`@`%`",
        ]);
        let second = lines(&[
            "GRANT USAGE ON *.* TO `app`@`%`",
            r"GRANT SELECT, INSERT ON `shop`.* TO `app`@`%` WITH GRANT OPTION",
            r"GRANT DELETE ON `my\_own`.* TO `app`@`%`",
            "GRANT SELECT ON `mysql`.* TO `app`@`%`",
            "GRANT `reader`@`%` TO `app`@`%`",
        ]);
        let expected = lines(&[
            "GRANT USAGE ON *.* TO `app`@`%`",
            r"GRANT SELECT, INSERT ON `shop`.* TO `app`@`%` WITH GRANT OPTION",
            "GRANT UPDATE (`a ON b`) ON `shop`.`orders` TO `app`@`%`",
            "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `app`@`%`",
            "GRANT SELECT ON `mysql`.* TO `app`@`%`",
            r"GRANT DELETE ON `my\_own`.* TO `app`@`%`",
            "GRANT `reader`@`%` TO `app`@`%`",
        ]);
        assert_eq!(merged(&map(), &[(ServerId(1), first), (ServerId(2), second)]), expected);
    }
}
