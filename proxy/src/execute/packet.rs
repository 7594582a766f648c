//! Packets that the proxy makes of a client's.

use bytes::BytesMut;
use podway_wire::{CapabilityFlags, Command, Execute, HEADER, write_packet};

/// The execution with all there is to say: types, and what was sent ahead.
pub fn execute_packet(execute: &Execute<'_>, backend_id: u32, capabilities: CapabilityFlags) -> BytesMut {
    let mut payload = vec![Command::COM_STMT_EXECUTE as u8];
    execute.encode(backend_id, capabilities, &mut payload);
    let mut packet = BytesMut::with_capacity(payload.len() + HEADER);
    write_packet(&mut packet, &mut 0, &payload);
    packet
}
