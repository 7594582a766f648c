//! Changes to an answer on its way: the physical schema's name back to the logical one, sequence numbers and the "more results" flag for a
//! part of a multi-statement. Pure: packets in, packets out.

use std::borrow::Cow;

use bytes::BytesMut;
use podway_router::TableDirective;
use podway_wire::codec::put_lenenc_bytes;
use podway_wire::{
    CapabilityFlags, ColumnDefinition, Cursor, DecodeError, EofPacket, ErrPacket, HEADER, MAX_PAYLOAD,
    OkPacket, PacketEvent, PacketRole, StatusFlags, decode_text_row, write_packet,
};

use super::definition::declared;

/// One name on the shard, another for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameChange {
    /// The schema's name on the shard.
    pub physical: Vec<u8>,
    /// The keyspace's name.
    pub logical: Vec<u8>,
}

/// What changes in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewriting {
    /// A schema that has another name on the shard.
    pub names: Option<NameChange>,
    /// Whether rows may hold that name: those of information_schema and SHOW.
    pub rows: bool,
    /// How the rows lie of the table whose definition is the answer.
    pub shows: Option<TableDirective>,
    /// Whether rows are in the binary protocol, which are not looked into for names.
    pub binary: bool,
    /// Whether another statement's answer follows.
    pub more_follows: bool,
    /// The sequence number of the first packet.
    pub first_sequence: u8,
    /// The insert id that the client is told, in the place of the server's.
    pub insert_id: Option<u64>,
}

impl Default for Rewriting {
    fn default() -> Rewriting {
        Rewriting {
            names: None,
            rows: false,
            shows: None,
            binary: false,
            more_follows: false,
            first_sequence: 1,
            insert_id: None,
        }
    }
}

impl Rewriting {
    /// Whether the bytes of an answer whose first packet has this sequence number can be copied as they are.
    pub fn is_none(&self, sequence: u8) -> bool {
        self.names.is_none()
            && self.shows.is_none()
            && !self.more_follows
            && self.insert_id.is_none()
            && self.first_sequence == sequence
    }

    /// Appends one packet, changed; `raw` is a whole packet with its header. `columns` counts the columns of the result it belongs to.
    pub fn packet(
        &self,
        raw: &[u8],
        event: PacketEvent,
        state: &mut Progress,
        out: &mut BytesMut,
    ) -> Result<(), DecodeError> {
        let body = &raw[HEADER..];
        let sequence = &mut state.sequence;
        let caps = state.capabilities;
        match event.role {
            PacketRole::ColumnCount => state.columns = Cursor::new(body).lenenc_int("columns")? as usize,
            PacketRole::ColumnDefinition | PacketRole::ParamDefinition => {
                if let Some(names) = &self.names {
                    write_packet(out, sequence, &names.column(body)?);
                    return Ok(());
                }
            }
            PacketRole::Err => {
                write_packet(out, sequence, &self.error(body, caps)?);
                return Ok(());
            }
            PacketRole::Row if self.shows.is_some() && event.total < HEADER + MAX_PAYLOAD => {
                write_packet(out, sequence, &self.definition(body, state.columns)?);
                return Ok(());
            }
            PacketRole::Row => {
                if let Some(names) = self
                    .names
                    .as_ref()
                    .filter(|_| self.rows && !self.binary && event.total < HEADER + MAX_PAYLOAD)
                {
                    write_packet(out, sequence, &names.row(body, state.columns)?);
                    return Ok(());
                }
            }
            PacketRole::Ok if event.last && self.insert_id.is_some() => {
                let mut ok = OkPacket::decode(body, caps)?;
                ok.last_insert_id = self.insert_id.unwrap_or(ok.last_insert_id);
                ok.status.set(
                    StatusFlags::SERVER_MORE_RESULTS_EXISTS,
                    self.more_follows || ok.status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS),
                );
                let mut payload = Vec::with_capacity(body.len() + 8);
                ok.encode(caps, &mut payload);
                write_packet(out, sequence, &payload);
                return Ok(());
            }
            PacketRole::Ok | PacketRole::End if event.last && self.more_follows => {
                write_packet(out, sequence, &with_more_results(body, caps)?);
                return Ok(());
            }
            _ => {}
        }
        out.extend_from_slice(&raw[..HEADER - 1]);
        out.extend_from_slice(&[*sequence]);
        out.extend_from_slice(body);
        *sequence = sequence.wrapping_add(1);
        Ok(())
    }

    fn definition(&self, body: &[u8], columns: usize) -> Result<Vec<u8>, DecodeError> {
        let named = match self.names.as_ref().filter(|_| !self.binary) {
            Some(names) => Cow::Owned(names.row(body, columns)?),
            None => Cow::Borrowed(body),
        };
        match &self.shows {
            Some(directive) => declared(&named, self.binary, directive),
            None => Ok(named.into_owned()),
        }
    }

    fn error(&self, body: &[u8], caps: CapabilityFlags) -> Result<Vec<u8>, DecodeError> {
        let mut error = ErrPacket::decode(body)?;
        if let Some(names) = &self.names {
            error.message = names.text(&error.message);
        }
        let mut payload = Vec::new();
        error.encode(caps, &mut payload);
        Ok(payload)
    }
}

/// How far a changed answer has come.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The next packet's sequence number.
    pub sequence: u8,
    /// Columns of the current result.
    pub columns: usize,
    /// What was negotiated.
    pub capabilities: CapabilityFlags,
}

fn with_more_results(body: &[u8], caps: CapabilityFlags) -> Result<Vec<u8>, DecodeError> {
    let mut payload = Vec::with_capacity(body.len());
    let is_old_eof = body.first() == Some(&0xFE) && !caps.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF);
    if is_old_eof {
        let mut eof = EofPacket::decode(body)?;
        eof.status |= StatusFlags::SERVER_MORE_RESULTS_EXISTS;
        eof.encode(&mut payload);
    } else {
        let mut ok = OkPacket::decode(body, caps)?;
        ok.status |= StatusFlags::SERVER_MORE_RESULTS_EXISTS;
        ok.encode(caps, &mut payload);
    }
    Ok(payload)
}

impl NameChange {
    /// A column's definition with the logical name: as its schema, and in headers such as `Tables_in_shop`.
    fn column(&self, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut column = ColumnDefinition::decode(body)?;
        if column.schema == self.physical {
            column.schema.clone_from(&self.logical);
        }
        if column.name.starts_with(b"Tables_in_") {
            column.name = self.text(&column.name);
        }
        let mut payload = Vec::with_capacity(body.len());
        column.encode(&mut payload);
        Ok(payload)
    }

    /// A text row whose cells that are the name, or hold it in backticks, hold the logical one. One that begins with a table of the schema's is about that table: all
    /// that it says is said in the client's names.
    fn row(&self, body: &[u8], columns: usize) -> Result<Vec<u8>, DecodeError> {
        let mut payload = Vec::with_capacity(body.len());
        let mut is_of_table = false;
        for (nth, cell) in decode_text_row(body).take(columns).enumerate() {
            match cell? {
                None => payload.push(0xFB),
                Some(cell) if nth == 0 && self.table(cell).is_some() => {
                    is_of_table = true;
                    put_lenenc_bytes(&mut payload, &self.table(cell).unwrap_or_default());
                }
                Some(cell) if is_of_table => put_lenenc_bytes(&mut payload, &self.text(cell)),
                Some(cell) if cell == self.physical => put_lenenc_bytes(&mut payload, &self.logical),
                Some(cell) => put_lenenc_bytes(&mut payload, &self.quoted_in(cell)),
            }
        }
        Ok(payload)
    }

    /// The cells of a row about a table of the schema's: its name first, and texts that may name it.
    pub fn line(&self, line: &mut [Option<Vec<u8>>]) {
        for (nth, cell) in line.iter_mut().enumerate() {
            let Some(text) = cell else { continue };
            let named = if nth == 0 { self.table(text) } else { None };
            *text = named.unwrap_or_else(|| self.text(text));
        }
    }

    /// `schema.table` with the logical name.
    fn table(&self, cell: &[u8]) -> Option<Vec<u8>> {
        let table = cell.strip_prefix(self.physical.as_slice())?;
        table.starts_with(b".").then(|| [&self.logical, table].concat())
    }

    /// SQL in which the name stands in backticks.
    pub fn quoted_in(&self, cell: &[u8]) -> Vec<u8> {
        let quote = |name: &[u8]| [b"`".as_slice(), name, b"`"].concat();
        replace(cell, &quote(&self.physical), &quote(&self.logical), |_| true)
    }

    /// A message in which the name stands as a word of its own.
    pub fn text(&self, message: &[u8]) -> Vec<u8> {
        let is_word = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'$' || *byte >= 0x80)
        };
        let end = self.physical.len();
        replace(message, &self.physical, &self.logical, |at| {
            let before = at.checked_sub(1).and_then(|before| message.get(before));
            let after = message.get(at + end);
            let in_header = message[..at].ends_with(b"Tables_in_");
            let joined = !in_header && before == Some(&b'_');
            !is_word(before) && !joined && !is_word(after) && after != Some(&b'_')
        })
    }
}

fn replace(text: &[u8], from: &[u8], to: &[u8], wanted: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut changed = Vec::with_capacity(text.len());
    let mut kept = 0;
    for at in memchr::memmem::find_iter(text, from).filter(|&at| wanted(at)) {
        changed.extend_from_slice(&text[kept..at]);
        changed.extend_from_slice(to);
        kept = at + from.len();
    }
    changed.extend_from_slice(&text[kept..]);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> NameChange {
        NameChange { physical: b"shop__2".to_vec(), logical: b"shop".to_vec() }
    }

    #[test]
    fn messages_name_the_keyspace_where_the_schema_stands_alone() {
        let cases = [
            ("Table 'shop__2.orders' doesn't exist", "Table 'shop.orders' doesn't exist"),
            ("Unknown column 'shop__22.x'", "Unknown column 'shop__22.x'"),
            ("Unknown column 'myshop__2'", "Unknown column 'myshop__2'"),
            ("Unknown column 'my_shop__2'", "Unknown column 'my_shop__2'"),
            ("(`shop__2`.`a`, CONSTRAINT `b`)", "(`shop`.`a`, CONSTRAINT `b`)"),
            ("shop__2", "shop"),
            ("Tables_in_shop__2", "Tables_in_shop"),
            ("Tables_in_shop__2 (o%)", "Tables_in_shop (o%)"),
        ];
        for (from, to) in cases {
            assert_eq!(String::from_utf8(names().text(from.as_bytes())).unwrap(), to);
        }
    }

    #[test]
    fn what_is_said_of_a_table_names_the_keyspace() {
        let said = |name: &str| {
            let mut row = Vec::new();
            let message = format!("Table '{name}.a' doesn't exist");
            for cell in [&format!("{name}.{name}"), "check", "Error", &message] {
                put_lenenc_bytes(&mut row, cell.as_bytes());
            }
            row
        };
        let mut expected = Vec::new();
        for cell in ["shop.shop__2", "check", "Error", "Table 'shop.a' doesn't exist"] {
            put_lenenc_bytes(&mut expected, cell.as_bytes());
        }
        assert_eq!(names().row(&said("shop__2"), 4).unwrap(), expected);
        assert_eq!(names().row(&said("shop__22"), 4).unwrap(), said("shop__22"));
    }

    #[test]
    fn cells_that_are_the_name_or_quote_it_are_changed() {
        let mut row = Vec::new();
        for cell in ["shop__2", "shop__2x", "CREATE DATABASE `shop__2` /*", "a shop__2"] {
            put_lenenc_bytes(&mut row, cell.as_bytes());
        }
        row.push(0xFB);
        let mut expected = Vec::new();
        for cell in ["shop", "shop__2x", "CREATE DATABASE `shop` /*", "a shop__2"] {
            put_lenenc_bytes(&mut expected, cell.as_bytes());
        }
        expected.push(0xFB);
        assert_eq!(names().row(&row, 5).unwrap(), expected);
    }
}
