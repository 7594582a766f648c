//! What we answer ourselves, followed as if a server had sent it.

use bytes::BytesMut;
use mysql_common::constants::{CapabilityFlags, StatusFlags};

use super::{Event, ResponseKind, ResponseTracker};
use crate::packets::column::ColumnDefinition;
use crate::packets::prepare::{PrepareAnswer, PrepareOk};
use crate::packets::result_set::{ResultSet, RowFormat};
use crate::packets::row::Cell;

#[test]
fn a_whole_answer_is_one_that_can_be_followed() {
    let (a, b) = ([ColumnDefinition::text("?")], [ColumnDefinition::text("a"), ColumnDefinition::int("b")]);
    for capabilities in [CapabilityFlags::empty(), CapabilityFlags::CLIENT_DEPRECATE_EOF] {
        for (params, columns) in [(&a[..], &b[..]), (&[], &b), (&a, &[]), (&[], &[])] {
            let status = StatusFlags::SERVER_STATUS_AUTOCOMMIT;
            let answer = PrepareAnswer { statement_id: 7, params, columns, warnings: 3, status };
            let (mut out, mut seq) = (BytesMut::new(), 1);
            answer.write(&mut out, &mut seq, capabilities);
            let mut tracker = ResponseTracker::new(ResponseKind::Prepare, capabilities, 1);
            let progress = tracker.feed(&out).unwrap();
            assert_eq!((progress.consumed, progress.event), (out.len(), Event::Done));
            let (columns, params) = (columns.len() as u16, params.len() as u16);
            let expected = PrepareOk { statement_id: 7, columns, params, warnings: 3 };
            assert_eq!(tracker.summary().prepared, Some(expected));
            assert_eq!(tracker.next_seq(), seq);
        }
    }
}

#[test]
fn every_form_of_a_result_is_one_that_can_be_followed() {
    let columns = [ColumnDefinition::text("a"), ColumnDefinition::int("b")];
    let all: Vec<Vec<Cell<'_>>> = (0..300i64).map(|n| vec![Cell::from("text"), Cell::from(n)]).collect();
    let track = CapabilityFlags::CLIENT_DEPRECATE_EOF | CapabilityFlags::CLIENT_SESSION_TRACK;
    for capabilities in [CapabilityFlags::empty(), CapabilityFlags::CLIENT_DEPRECATE_EOF, track] {
        for (format, kind) in
            [(RowFormat::Text, ResponseKind::Query), (RowFormat::Binary, ResponseKind::Execute)]
        {
            for rows in [&all[..], &[]] {
                let status = StatusFlags::SERVER_STATUS_IN_TRANS;
                let (mut out, mut seq) = (BytesMut::new(), 1);
                ResultSet { columns: &columns, rows, status, warnings: 2 }.write(
                    &mut out,
                    &mut seq,
                    capabilities,
                    format,
                );
                let mut tracker = ResponseTracker::new(kind, capabilities, 1);
                let progress = tracker.feed(&out).unwrap();
                assert_eq!((progress.consumed, progress.event), (out.len(), Event::Done));
                let summary = tracker.summary();
                assert_eq!((summary.rows, summary.warnings), (rows.len() as u64, 2));
                assert_eq!((summary.status, summary.next_seq), (status, seq));
            }
        }
    }
}
