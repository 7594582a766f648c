//! The normaliser: any bytes under any mode and character set; what it puts back together is what it was given.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podway_router::{ClientCharset, Normalised, SqlMode, split_statements};

const CHARSETS: [&str; 6] = ["utf8mb4", "latin1", "gbk", "sjis", "big5", "gb18030"];

fuzz_target!(|bytes: &[u8]| {
    let Some(([mode, charset], sql)) = bytes.split_first_chunk() else { return };
    let mode = SqlMode::from_bits_truncate((*mode).into());
    let charset = ClientCharset::from_name(CHARSETS[usize::from(*charset) % CHARSETS.len()]);
    let parts = split_statements(sql, mode, charset);
    assert!(parts.iter().all(|part| part.start <= part.end && part.end <= sql.len()));
    let mut normal = Normalised::new();
    if normal.run(sql, mode, charset).is_err() {
        return;
    }
    let whole = normal.original_range(0..normal.template().len());
    assert!(whole.end <= sql.len());
    for literal in normal.literals() {
        assert!(literal.range().end <= sql.len());
    }
});
