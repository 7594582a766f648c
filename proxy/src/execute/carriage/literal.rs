//! Texts as every session reads them.

use super::cell::put_hex;

pub(super) fn hex_literal(text: &str) -> String {
    let mut digits = Vec::new();
    put_hex(text.as_bytes(), &mut digits);
    format!("X'{}'", String::from_utf8_lossy(&digits))
}

pub(super) fn literals(members: &[String]) -> String {
    let list: Vec<String> =
        members.iter().map(|member| format!("_utf8mb4 {}", hex_literal(member))).collect();
    list.join(", ")
}
