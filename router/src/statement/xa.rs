//! XA statements of clients, which MySQL lets anybody give about any transaction: none may name one of Podway's own. Read next: [`podway_model::Gtrid`].

use podway_model::Gtrid;

use super::{Recognised, Verb};
use crate::RouterError;
use crate::lex::{Literal, LiteralKind, Token};
use crate::normalise::Normalised;

/// ER_XAER_INVAL, XAE05.
const INVALID: (u16, [u8; 5]) = (1398, *b"XAE05");
/// Words behind XA that say what is done.
const VERBS: [&str; 7] = ["START", "BEGIN", "END", "PREPARE", "COMMIT", "ROLLBACK", "RECOVER"];

/// Refuses an XA statement that names a transaction of Podway's own, or may do so: a text with a backslash, or with other characters than ASCII, which servers may convert before they compare it. A format's number makes no
/// difference: MySQL does not compare it.
pub fn check_own_xa(recognised: &Recognised, sql: &[u8], n: &Normalised) -> Result<(), RouterError> {
    if recognised.verb != Verb::Xa || !n.literals().iter().any(|literal| may_be_ours(literal, sql)) {
        return Ok(());
    }
    let (errno, sqlstate) = INVALID;
    let message = "XAER_INVAL: this may be the name of one of Podway's own transactions; name others in plain ASCII letters";
    Err(RouterError::new(errno, &sqlstate, message))
}

/// Whether a stored program ends, or begins, XA transactions: its literals are looked at by nobody when it is called.
pub(super) fn has_xa(n: &Normalised, tokens: &[Token]) -> bool {
    let is = |token: &Token, word: &str| token.is_word(n.template(), word);
    tokens.windows(2).any(|pair| is(&pair[0], "XA") && VERBS.iter().any(|verb| is(&pair[1], verb)))
}

fn may_be_ours(literal: &Literal, sql: &[u8]) -> bool {
    let text = literal.text(sql);
    let is_ours = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| Gtrid::parse(text).is_some());
    match literal.kind() {
        LiteralKind::Integer | LiteralKind::Decimal | LiteralKind::Float => false,
        LiteralKind::String => {
            let within = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
            literal.continues() || !within.is_ascii() || within.contains(&b'\\') || is_ours(within)
        }
        LiteralKind::Hex => of_hex(text).is_none_or(|bytes| is_ours(&bytes)),
        // Nobody writes texts so: what is long enough is not read.
        LiteralKind::Bit => text.len() >= Gtrid::LENGTH * 8 - 7,
        LiteralKind::National | LiteralKind::Param => true,
    }
}

/// The bytes of `x'…'` or `0x…`.
fn of_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = match text.get(1)? {
        b'\'' => text.get(2..text.len().checked_sub(1)?)?.to_vec(),
        _ => text.get(2..)?.to_vec(),
    };
    let padded = if digits.len() % 2 == 1 { [b"0", &digits[..]].concat() } else { digits };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    padded.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientCharset, SqlMode, recognise};

    const OURS: &str = "6a1b2c3d4e5f6071-0007-0003-0000a91f";

    #[track_caller]
    fn check(sql: &str, is_refused: bool) {
        let mut n = Normalised::new();
        n.run(sql.as_bytes(), SqlMode::default(), ClientCharset::default()).unwrap();
        let recognised = recognise(sql.as_bytes(), &n, SqlMode::default(), n.version());
        assert_eq!(check_own_xa(&recognised, sql.as_bytes(), &n).is_err(), is_refused, "{sql}");
    }

    #[test]
    fn podways_own_transactions_are_named_by_no_client_however_it_is_written() {
        let hex: String = OURS.bytes().map(|byte| format!("{byte:02x}")).collect();
        let bits: String = OURS.bytes().map(|byte| format!("{byte:08b}")).collect();
        for name in [
            format!("'{OURS}'"),
            format!("\"{OURS}\""),
            format!("x'{hex}'"),
            format!("X'{}'", hex.to_uppercase()),
            format!("0x{hex}"),
            format!("b'{bits}'"),
            format!("0b{}", &bits[2..]),
            format!("'\\{OURS}'"),
            "'〰〰'".to_owned(),
        ] {
            for verb in ["START", "BEGIN", "END", "PREPARE", "COMMIT", "ROLLBACK"] {
                check(&format!("XA {verb} {name}"), true);
                check(&format!("xa {verb} {name},'1.2',1"), true);
                check(&format!("/* c */ XA /*!50000 {verb} */ {name} , X'312E32', 1347"), true);
            }
        }
        for sql in [
            "XA START 'mine'",
            "XA COMMIT 'mine','branch',1347",
            "XA COMMIT X'6D696E65',0x6272,7 ONE PHASE",
            &format!("XA COMMIT '{OURS}x'"),
            &format!("XA COMMIT '{}'", OURS.to_uppercase()),
            "XA RECOVER",
            &format!("SELECT '{OURS}'"),
        ] {
            check(sql, false);
        }
    }
}
