//! What servers send: results, errors, rows, session state, and where an answer ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podway_wire::fuzz::ENTRIES;

/// The decoders that this target feeds.
const NAMES: &[&str] = &["binary_row", "column", "eof", "err", "infile", "ok", "prepare", "response", "rewrite_schema", "session_track", "text_row"];

fuzz_target!(|bytes: &[u8]| {
    for (_, entry) in ENTRIES.iter().filter(|(name, _)| NAMES.contains(name)) {
        entry(bytes);
    }
});
