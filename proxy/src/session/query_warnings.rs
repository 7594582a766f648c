//! The warnings of a query whose rows are inserted: in a strict INSERT MySQL makes errors of some.

use podway_router::SqlMode;
use podway_wire::ErrPacket;

use super::captured::Captured;
use super::core::Session;
use super::state::Warning;
use crate::error::{ClientError, ProxyError};

/// Warnings that are errors in a strict statement that writes, with their SQLSTATEs: those of MySQL's `Strict_error_handler` that a query can have.
#[rustfmt::skip]
const ERRORS_WHERE_STRICT: [(u16, &[u8; 5]); 17] = [
    (1048, b"23000"), (1260, b"HY000"), (1261, b"01000"), (1262, b"01000"), (1263, b"22004"), (1264, b"22003"), (1265, b"01000"), (1292, b"22007"),
    (1301, b"HY000"), (1364, b"HY000"), (1365, b"22012"), (1366, b"HY000"), (1406, b"22001"), (1411, b"HY000"), (1423, b"HY000"), (1441, b"22008"),
    (3020, b"2201E"),
];
/// Warnings about how the statement is written: deprecated syntax, functions and character sets.
const OF_THE_TEXT: [u16; 4] = [1287, 1681, 3719, 3778];
impl Session {
    /// Notes that a part of a captured query has given so many warnings, of which these are known.
    pub(super) fn note_heard(&mut self, given: usize, heard: usize) {
        if let Some(captured) = &mut self.captured {
            captured.warned_unheard |= given > heard;
        }
    }

    /// What an INSERT makes of its query's warnings: an error of the first, where it is strict; else they are its own.
    pub(super) fn judge_warnings(
        &self,
        captured: &mut Captured,
        ignore: bool,
    ) -> Result<Vec<Warning>, ProxyError> {
        let mut found = std::mem::take(&mut captured.warnings);
        if self.state.lexical.charset_name != "utf8mb4" {
            for warning in &mut found {
                warning.message.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
            }
        }
        if ignore || !self.state.lexical.sql_mode.contains(SqlMode::STRICT) {
            return Ok(found);
        }
        judge_strictly(found.iter().chain(&captured.of_parts), captured.warned_unheard)?;
        Ok(found)
    }
}

fn judge_strictly<'w>(
    found: impl IntoIterator<Item = &'w Warning>,
    is_unheard: bool,
) -> Result<(), ProxyError> {
    let refused = |what: &str| Err(ClientError::not_supported(what).into());
    for warning in found.into_iter().filter(|warning| warning.level != b"Note") {
        if let Some((code, state)) = ERRORS_WHERE_STRICT.iter().find(|(code, _)| *code == warning.code) {
            let message = warning.message.clone();
            return Err(ProxyError::Server(ErrPacket { code: *code, state: **state, message }));
        }
        if !OF_THE_TEXT.contains(&warning.code) {
            return refused(&format!(
                "a query with the warning {} as the rows of an INSERT over several shards, in strict mode",
                warning.code
            ));
        }
    }
    match is_unheard {
        true => refused(
            "a query whose warnings are not known as the rows of an INSERT over several shards, in strict mode",
        ),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_of_a_query_are_errors_where_it_is_strict() {
        let warning = |level: &str, code| Warning { level: level.into(), code, message: b"so".to_vec() };
        let judged = |found: &[Warning], is_unheard| match judge_strictly(found, is_unheard) {
            Ok(()) => 0,
            Err(ProxyError::Server(refused)) => refused.code,
            Err(ProxyError::Client(refused)) => refused.code.number,
            Err(_) => u16::MAX,
        };
        for (found, is_unheard, expected) in [
            (vec![], false, 0),
            (vec![], true, 1235),
            (vec![warning("Warning", 1365)], true, 1365),
            (vec![warning("Note", 1365)], false, 0),
            (vec![warning("Warning", 1681), warning("Warning", 1292)], false, 1292),
            (vec![warning("Warning", 3778)], false, 0),
            (vec![warning("Warning", 1), warning("Warning", 1292)], false, 1235),
        ] {
            assert_eq!(judged(&found, is_unheard), expected, "{found:?} {is_unheard}");
        }
    }
}
