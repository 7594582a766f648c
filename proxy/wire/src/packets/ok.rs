//! OK: a statement's success, and, for clients without EOF, the end of its rows.
//!
//! What changed in the session rides along as [`crate::SessionTrack`] entries, kept raw here.

use bytes::BufMut;
use mysql_common::constants::{CapabilityFlags, StatusFlags};

use crate::codec::{Cursor, DecodeError, Decoded, put_lenenc_bytes, put_lenenc_int};

/// A success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OkPacket {
    /// [`Self::HEADER`], or [`Self::END_HEADER`] where it ends rows.
    pub header: u8,
    /// Rows changed; rows matched for clients with CLIENT_FOUND_ROWS.
    pub affected_rows: u64,
    /// The first id that the statement generated.
    pub last_insert_id: u64,
    /// The session's state, and whether more results follow.
    pub status: StatusFlags,
    /// Warnings of the statement.
    pub warnings: u16,
    /// Text such as "Rows matched: 1  Changed: 1  Warnings: 0".
    pub info: Vec<u8>,
    /// [`crate::SessionTrack`] entries, one after the other. Sent only with SERVER_SESSION_STATE_CHANGED in `status`.
    pub session_track: Vec<u8>,
}

impl OkPacket {
    /// The first byte after a statement without rows.
    pub const HEADER: u8 = 0x00;

    /// The first byte at the end of rows.
    pub const END_HEADER: u8 = 0xFE;

    /// Writes the payload for a client that logged in with `capabilities`.
    pub fn encode(&self, capabilities: CapabilityFlags, out: &mut Vec<u8>) {
        let tracks = capabilities.contains(CapabilityFlags::CLIENT_SESSION_TRACK);
        let changed = tracks && !self.session_track.is_empty();
        let mut status = self.status;
        status.set(StatusFlags::SERVER_SESSION_STATE_CHANGED, changed);
        out.put_u8(self.header);
        put_lenenc_int(out, self.affected_rows);
        put_lenenc_int(out, self.last_insert_id);
        out.put_u16_le(status.bits());
        out.put_u16_le(self.warnings);
        // MySQL gives the text a length with and without session tracking, whatever its documentation says.
        if changed || !self.info.is_empty() {
            put_lenenc_bytes(out, &self.info);
        }
        if changed {
            put_lenenc_bytes(out, &self.session_track);
        }
    }

    /// Reads the payload from a connection with `capabilities`.
    pub fn decode(payload: &[u8], capabilities: CapabilityFlags) -> Decoded<OkPacket> {
        OkView::read(payload, capabilities).map(|view| view.to_packet())
    }
}

/// An [`OkPacket`] that borrows its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OkView<'a> {
    /// See [`OkPacket::header`].
    pub header: u8,
    /// See [`OkPacket::affected_rows`].
    pub affected_rows: u64,
    /// See [`OkPacket::last_insert_id`].
    pub last_insert_id: u64,
    /// See [`OkPacket::status`].
    pub status: StatusFlags,
    /// See [`OkPacket::warnings`].
    pub warnings: u16,
    /// See [`OkPacket::info`].
    pub info: &'a [u8],
    /// See [`OkPacket::session_track`].
    pub session_track: &'a [u8],
}

impl<'a> OkView<'a> {
    /// Reads the payload from a connection with `capabilities`.
    pub fn read(payload: &'a [u8], capabilities: CapabilityFlags) -> Decoded<OkView<'a>> {
        let mut cursor = Cursor::new(payload);
        let header = cursor.u8("header")?;
        if header != OkPacket::HEADER && header != OkPacket::END_HEADER {
            return Err(DecodeError::Unexpected { field: "header", value: header.into() });
        }
        let affected_rows = cursor.lenenc_int("affected rows")?;
        let last_insert_id = cursor.lenenc_int("last insert id")?;
        let status = StatusFlags::from_bits_retain(cursor.u16le("status")?);
        let warnings = cursor.u16le("warnings")?;
        let (mut info, mut session_track) = (&[][..], &[][..]);
        if !cursor.is_empty() {
            info = read_info(&mut cursor, capabilities)?;
        }
        if status.contains(StatusFlags::SERVER_SESSION_STATE_CHANGED) && !cursor.is_empty() {
            session_track = cursor.lenenc_bytes("session state")?;
        }
        cursor.finish()?;
        Ok(OkView { header, affected_rows, last_insert_id, status, warnings, info, session_track })
    }

    /// The same with texts of its own.
    pub fn to_packet(&self) -> OkPacket {
        OkPacket {
            header: self.header,
            affected_rows: self.affected_rows,
            last_insert_id: self.last_insert_id,
            status: self.status,
            warnings: self.warnings,
            info: self.info.to_vec(),
            session_track: self.session_track.to_vec(),
        }
    }
}

/// The text has a length from MySQL; servers that follow the documentation leave it out without session tracking.
fn read_info<'a>(cursor: &mut Cursor<'a>, capabilities: CapabilityFlags) -> Decoded<&'a [u8]> {
    if capabilities.contains(CapabilityFlags::CLIENT_SESSION_TRACK) {
        return cursor.lenenc_bytes("info");
    }
    let mut attempt = cursor.clone();
    match attempt.lenenc_bytes("info") {
        Ok(info) if attempt.is_empty() => {
            *cursor = attempt;
            Ok(info)
        }
        _ => Ok(cursor.rest()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACK: CapabilityFlags = CapabilityFlags::CLIENT_SESSION_TRACK;
    const PLAIN: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41;

    fn cases() -> Vec<(&'static [u8], CapabilityFlags, OkPacket)> {
        let status = StatusFlags::SERVER_STATUS_AUTOCOMMIT;
        let no_index = status | StatusFlags::SERVER_STATUS_NO_INDEX_USED;
        let tracked = status | StatusFlags::SERVER_SESSION_STATE_CHANGED;
        let info = b"Rows matched: 1  Changed: 1  Warnings: 0".to_vec();
        let plain = OkPacket { status, ..OkPacket::default() };
        vec![
            (b"\0\0\0\x02\0\0\0", PLAIN, plain.clone()),
            (b"\0\0\0\x02\0\0\0", TRACK, plain.clone()),
            (
                b"\0\x01\0\x22\0\0\0(Rows matched: 1  Changed: 1  Warnings: 0",
                PLAIN,
                OkPacket { affected_rows: 1, status: no_index, info, ..OkPacket::default() },
            ),
            (
                b"\0\0\0\x02\x40\0\0\0\x0D\x01\x0B\x0Awire_probe",
                TRACK,
                OkPacket {
                    status: tracked,
                    session_track: b"\x01\x0B\x0Awire_probe".to_vec(),
                    ..OkPacket::default()
                },
            ),
            (b"\xFE\0\0\x02\0\x01\0", TRACK, OkPacket { header: OkPacket::END_HEADER, warnings: 1, ..plain }),
            (
                b"\0\xFC\xE8\x03\xFD\0\0\x01\x02\0\0\0",
                PLAIN,
                OkPacket { affected_rows: 1000, last_insert_id: 65_536, status, ..OkPacket::default() },
            ),
        ]
    }

    #[test]
    fn captured_packets_are_read_and_written() {
        for (bytes, capabilities, ok) in cases() {
            assert_eq!(OkPacket::decode(bytes, capabilities), Ok(ok.clone()));
            let mut out = Vec::new();
            ok.encode(capabilities, &mut out);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn session_state_is_not_sent_to_those_who_did_not_ask() {
        let (_, _, ok) = cases().remove(3);
        let mut out = Vec::new();
        ok.encode(PLAIN, &mut out);
        assert_eq!(out, b"\0\0\0\x02\0\0\0");
    }

    #[test]
    fn a_text_without_a_length_is_read_too() {
        let ok = OkPacket::decode(b"\0\0\0\x02\0\0\0Records: 2", PLAIN).unwrap();
        assert_eq!(ok.info, b"Records: 2");
    }

    #[test]
    fn cut_packets_are_refused() {
        for (bytes, capabilities, ok) in cases() {
            for len in 0..7 {
                assert!(OkPacket::decode(&bytes[..len], capabilities).is_err());
            }
            if !ok.session_track.is_empty() {
                assert!(OkPacket::decode(&bytes[..bytes.len() - 1], capabilities).is_err());
            }
        }
    }
}
