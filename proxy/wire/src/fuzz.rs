//! Every decoder behind one signature, for fuzzers and for the test that feeds them noise.
//!
//! An entry point takes any bytes and must return; what it returns is of no interest.

use mysql_common::constants::CapabilityFlags;

use crate::auth::{AuthStep, BackendLogin, ClientAuth, ServerAuth, ServerKey, StoredAccount, caching_sha2};
use crate::frame::{PacketReader, command_frame, payload};
use crate::packets::{
    auth_exchange, binary_value, change_user, column, command, eof, err, execute, greeting, login, ok,
    prepare, query, row, session_track,
};
use crate::response::{InfileRelay, ResponseKind, ResponseTracker};

/// A decoder's entry point.
pub type Entry = fn(&[u8]);

/// All entry points, by name.
pub const ENTRIES: &[(&str, Entry)] = &[
    ("auth_more_data", |bytes| drop(auth_exchange::AuthMoreData::decode(bytes))),
    ("auth_switch", |bytes| drop(auth_exchange::AuthSwitch::decode(bytes))),
    ("binary_row", binary_row),
    ("binary_value", binary_value),
    ("caching_sha2_string", |bytes| {
        let _ = caching_sha2::check_full(bytes, &[b'x'; 300]);
    }),
    ("change_user", |bytes| {
        with_capabilities(bytes, |rest, caps| drop(change_user::ChangeUser::decode(rest, caps)))
    }),
    ("client_auth", client_auth),
    ("column", |bytes| drop(column::ColumnDefinition::decode(bytes))),
    ("command", |bytes| drop(command::ClientCommand::decode(bytes))),
    ("command_frame", frames),
    ("eof", |bytes| drop(eof::EofPacket::decode(bytes))),
    ("err", |bytes| drop(err::ErrPacket::decode(bytes))),
    ("execute", execute),
    ("greeting", |bytes| drop(greeting::ServerHello::decode(bytes))),
    ("infile", |bytes| drop(InfileRelay::new(0).feed(bytes))),
    ("login", |bytes| drop(login::LoginOrTls::decode(bytes))),
    ("ok", |bytes| with_capabilities(bytes, |rest, caps| drop(ok::OkPacket::decode(rest, caps)))),
    ("prepare", |bytes| drop(prepare::PrepareOk::decode(bytes))),
    ("query", |bytes| with_capabilities(bytes, |rest, caps| drop(query::query_text(rest, caps)))),
    ("response", response),
    ("rewrite_schema", |bytes| drop(column::rewrite_schema(bytes, b"", b"x", &mut Vec::new()))),
    ("server_auth", server_auth),
    ("session_track", |bytes| drop(session_track::SessionTrack::decode_all(bytes))),
    ("text_row", |bytes| row::decode_text_row(bytes).for_each(drop)),
];

/// The first four bytes choose the capabilities, the others are the packet.
fn with_capabilities(bytes: &[u8], run: fn(&[u8], CapabilityFlags)) {
    if let Some((bits, rest)) = bytes.split_first_chunk() {
        run(rest, CapabilityFlags::from_bits_retain(u32::from_le_bytes(*bits)));
    }
}

fn binary_row(bytes: &[u8]) {
    let columns = [column::ColumnDefinition::text("a"), column::ColumnDefinition::int("b")];
    drop(row::decode_binary_row(bytes, &columns));
}

fn binary_value(bytes: &[u8]) {
    if let Some((&column_type, rest)) = bytes.split_first() {
        let mut cursor = crate::codec::Cursor::new(rest);
        drop(binary_value::BinaryValue::read(&mut cursor, column_type, rest.len().is_multiple_of(2)));
    }
}

fn frames(bytes: &[u8]) {
    if let Ok(Some(frame)) = command_frame(bytes, 1 << 20) {
        payload(bytes, &frame, &mut Vec::new());
    }
    let mut buf = bytes::BytesMut::from(bytes);
    let mut reader = PacketReader::new(0);
    while let Ok(Some(_)) = reader.next(&mut buf, 1 << 20) {}
}

fn execute(bytes: &[u8]) {
    let Some(([count, flags], rest)) = bytes.split_first_chunk() else { return };
    let mut capabilities = CapabilityFlags::empty();
    capabilities.set(CapabilityFlags::CLIENT_QUERY_ATTRIBUTES, flags & 1 == 1);
    let long_data = |index| (flags & 2 == 2 && index == 1).then_some(&rest[..rest.len() / 2]);
    let packet = execute::Execute::decode(rest, capabilities, usize::from(*count) % 20, &[], &long_data);
    if let Ok(packet) = packet {
        packet.encode(1, capabilities, &mut Vec::new());
    }
}

fn response(bytes: &[u8]) {
    let Some(([kind, flags], rest)) = bytes.split_first_chunk() else { return };
    let kind = match kind % 7 {
        0 => ResponseKind::Query,
        1 => ResponseKind::Simple,
        2 => ResponseKind::Prepare,
        3 => ResponseKind::Execute,
        4 => ResponseKind::Fetch,
        5 => ResponseKind::FieldList,
        _ => ResponseKind::Statistics,
    };
    let mut capabilities = CapabilityFlags::empty();
    capabilities.set(CapabilityFlags::CLIENT_DEPRECATE_EOF, flags & 1 == 1);
    capabilities.set(CapabilityFlags::CLIENT_SESSION_TRACK, flags & 2 == 2);
    drop(ResponseTracker::new(kind, capabilities, 1).feed(rest));
    let (mut stepping, mut at) = (ResponseTracker::new(kind, capabilities, 1), 0);
    while let Ok(Some(packet)) = stepping.next_packet(&rest[at..]) {
        at += packet.total;
    }
}

fn client_auth(bytes: &[u8]) {
    let mut auth = ClientAuth::new(BackendLogin::default(), ServerKey::Ask);
    for packet in bytes.split(|&byte| byte == b'|') {
        drop(auth.on_packet(packet));
    }
}

fn server_auth(bytes: &[u8]) {
    let Ok(login::LoginOrTls::Login(login)) = login::LoginOrTls::decode(bytes) else { return };
    let mut auth = ServerAuth::new([1; 20], None);
    let mut step = auth.on_login(&login, bytes.len().is_multiple_of(2));
    if step == AuthStep::NeedAccount {
        step = auth.with_account(Some(StoredAccount {
            plugin: b"mysql_native_password".to_vec(),
            ..Default::default()
        }));
    }
    if matches!(step, AuthStep::Send(_)) {
        auth.on_packet(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_entry_point_panics_on_noise(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for (_, entry) in ENTRIES {
                entry(&bytes);
            }
        }

        #[test]
        fn no_entry_point_panics_on_bytes_that_look_like_lengths_and_marks(
            bytes in prop::collection::vec(
                prop_oneof![0u8..12, Just(0x40), 0xF0u8..=0xFF], 0..120)
        ) {
            for (_, entry) in ENTRIES {
                entry(&bytes);
            }
        }
    }
}
