//! The connection phase from both sides: greetings, logins, proofs, COM_CHANGE_USER.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podway_wire::fuzz::ENTRIES;

/// The decoders that this target feeds.
const NAMES: &[&str] = &["auth_more_data", "auth_switch", "caching_sha2_string", "change_user", "client_auth", "greeting", "login", "server_auth"];

fuzz_target!(|bytes: &[u8]| {
    for (_, entry) in ENTRIES.iter().filter(|(name, _)| NAMES.contains(name)) {
        entry(bytes);
    }
});
