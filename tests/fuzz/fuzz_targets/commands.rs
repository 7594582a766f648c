//! What clients send: frames, commands, query attributes, executions with their values.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podway_wire::fuzz::ENTRIES;

/// The decoders that this target feeds.
const NAMES: &[&str] = &["binary_value", "command", "command_frame", "execute", "query"];

fuzz_target!(|bytes: &[u8]| {
    for (_, entry) in ENTRIES.iter().filter(|(name, _)| NAMES.contains(name)) {
        entry(bytes);
    }
});
