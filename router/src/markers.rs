//! What stands around a statement's parameters, for whoever writes values in their places: there a value may read otherwise than a parameter does.

use crate::lex::{LiteralKind, Symbol, TokenKind};
use crate::normalise::Normalised;

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marker {
    /// The number of its literal.
    pub literal: usize,
    /// A string, or another parameter, stands directly before or behind it: two strings would be one.
    pub is_beside_string: bool,
    /// It begins an element of ORDER BY or GROUP BY: an integer would be a column's place.
    pub may_be_place: bool,
}

/// Words behind which no list of ORDER BY or GROUP BY goes on.
const ENDS: [&str; 8] = ["SELECT", "LIMIT", "HAVING", "WINDOW", "SET", "UPDATE", "VALUES", "WITH"];

/// The parameters, in order.
pub fn markers(n: &Normalised) -> Vec<Marker> {
    let template = n.template();
    let kind = |kind: TokenKind| match kind {
        TokenKind::Literal(number) => n.literals().get(number as usize).map(|literal| literal.kind()),
        _ => None,
    };
    let may_join = |of: TokenKind| matches!(kind(of), Some(LiteralKind::String | LiteralKind::Param));
    let mut found: Vec<Marker> = Vec::new();
    // Of each open parenthesis: whether a list goes on in it.
    let mut lists = vec![false];
    let mut begins = false;
    let mut before: Option<TokenKind> = None;
    for token in n.tokens() {
        let is_param = kind(token.kind) == Some(LiteralKind::Param);
        if may_join(token.kind)
            && before.is_some_and(|before| kind(before) == Some(LiteralKind::Param))
            && let Some(last) = found.last_mut()
        {
            last.is_beside_string = true;
        }
        if let (true, TokenKind::Literal(number)) = (is_param, token.kind) {
            found.push(Marker {
                literal: number as usize,
                is_beside_string: before.is_some_and(may_join),
                may_be_place: begins,
            });
        }
        begins = match token.kind {
            TokenKind::Symbol(Symbol::LeftParen) => {
                lists.push(false);
                begins
            }
            TokenKind::Symbol(Symbol::RightParen) => {
                if lists.len() > 1 {
                    lists.pop();
                }
                false
            }
            TokenKind::Symbol(Symbol::Plus) => begins,
            TokenKind::Symbol(Symbol::Comma) => lists.last() == Some(&true),
            TokenKind::Word => {
                let is_by = token.is_word(template, "BY");
                if let Some(list) = lists.last_mut()
                    && (is_by || ENDS.iter().any(|word| token.is_word(template, word)))
                {
                    *list = is_by;
                }
                is_by
            }
            _ => false,
        };
        before = Some(token.kind);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientCharset, SqlMode};

    #[test]
    fn places_and_strings_beside_are_seen() {
        let cases = [
            ("SELECT ? FROM t WHERE a IN (?, ?) LIMIT ?, ?", "....."),
            ("SELECT a FROM t ORDER BY ?", "p"),
            ("SELECT a FROM t ORDER BY a, (+?) DESC, ? LIMIT ?, ?", "pp.."),
            ("SELECT a FROM t GROUP BY ?, b HAVING a IN (?, ?)", "p.."),
            ("SELECT a FROM t ORDER BY FIELD(a, ?, ?), b + ?", "..."),
            ("SELECT a FROM t ORDER BY (SELECT ?)", "."),
            ("SELECT ? 'abc'", "s"),
            ("SELECT ? /* c */ 'abc', 'x' ?, ? ?", "ssss"),
            ("SELECT ? `abc`, ? AS 'abc'", ".."),
        ];
        for (sql, expected) in cases {
            let mut normal = Normalised::new();
            normal.run(sql.as_bytes(), SqlMode::empty(), ClientCharset::Utf8).unwrap();
            let shown: String = markers(&normal)
                .iter()
                .map(|marker| match (marker.is_beside_string, marker.may_be_place) {
                    (true, _) => 's',
                    (_, true) => 'p',
                    _ => '.',
                })
                .collect();
            assert_eq!(shown, expected, "{sql}");
        }
    }
}
