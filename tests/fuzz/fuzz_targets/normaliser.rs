//! The normaliser: any bytes under any mode, character set and version. What it puts back together is what it was given, its tokens stand in
//! order, and what is read from them next needs no luck either.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podway_model::MySqlVersion;
use podway_router::{ClientCharset, Normalised, SqlMode, recognise, split_statements};

const CHARSETS: [&str; 6] = ["utf8mb4", "latin1", "gbk", "sjis", "big5", "gb18030"];

fuzz_target!(|bytes: &[u8]| {
    let Some(([mode, charset], sql)) = bytes.split_first_chunk() else { return };
    let mode = SqlMode::from_bits_truncate((*mode).into());
    let charset = ClientCharset::from_name(CHARSETS[usize::from(*charset) % CHARSETS.len()]);
    let parts = split_statements(sql, mode, charset);
    assert!(parts.iter().all(|part| part.start <= part.end && part.end <= sql.len()));
    for version in [MySqlVersion::FLOOR, MySqlVersion(90704)] {
        let mut normal = Normalised::new();
        normal.set_version(version);
        if normal.run(sql, mode, charset).is_ok() {
            check(sql, &normal, mode, version);
        }
    }
});

fn check(sql: &[u8], normal: &Normalised, mode: SqlMode, version: MySqlVersion) {
    let mut spliced = Vec::with_capacity(sql.len());
    for at in 0..normal.template().len() {
        spliced.extend_from_slice(&sql[normal.original_range(at..at + 1)]);
    }
    assert_eq!(spliced, sql);
    let mut end = 0;
    for token in normal.tokens() {
        assert!(end <= token.start && token.start < token.end);
        end = token.end;
        normal.name(&token);
    }
    assert!(end as usize <= normal.template().len());
    recognise(sql, normal, mode, version);
}
