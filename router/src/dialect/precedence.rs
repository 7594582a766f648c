//! MySQL's operators for the parser: how tightly each binds, per sql_mode. Never parses a statement by itself.
//!
//! The table is that of MySQL's grammar, which the manual's differs from in places; `tests/` compares the grouping of every pair
//! of operators with a server's. Read next: [`super::Parsed`].

use std::any::TypeId;
use std::cell::Cell;

use sqlparser::ast::{BinaryOperator, Expr, Ident, Statement, UnaryOperator};
use sqlparser::dialect::{Dialect, MySqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use crate::sql_mode::SqlMode;

const OR: u8 = 5;
const XOR: u8 = 7;
const AND: u8 = 10;
const NOT: u8 = 15;
const COMPARISON: u8 = 20;
/// What an operand of BETWEEN may hold binds tighter than this: predicates, too.
const BETWEEN_OPERAND: u8 = 21;
const PREDICATE: u8 = 22;
const BIT_OR: u8 = 30;
const BIT_AND: u8 = 31;
const SHIFT: u8 = 32;
const SUM: u8 = 33;
const PRODUCT: u8 = 34;
const BIT_XOR: u8 = 35;
const CONCAT: u8 = 36;
const UNARY: u8 = 38;
const JSON_PATH: u8 = 60;
const PERIOD: u8 = 100;

/// How many calls of the dialect a statement may cost, per token, before its parsing is given up: some texts make the parser try
/// the same tokens again and again.
const STEPS_PER_TOKEN: usize = 64;

/// The parser's MySQL with MySQL's precedence.
#[derive(Debug)]
pub(super) struct PodwayDialect {
    mode: SqlMode,
    base: MySqlDialect,
    budget: usize,
    steps: Cell<usize>,
}

impl PodwayDialect {
    /// For a statement of so many tokens.
    pub fn new(mode: SqlMode, tokens: usize) -> Self {
        let budget = (tokens + 1) * STEPS_PER_TOKEN;
        PodwayDialect { mode, base: MySqlDialect {}, budget, steps: Cell::new(0) }
    }

    /// How many steps a statement may cost.
    pub fn budget(&self) -> usize {
        self.budget
    }

    fn step(&self) -> Result<(), ParserError> {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > self.budget { Err(ParserError::RecursionLimitExceeded) } else { Ok(()) }
    }

    /// A prefix operator and its operand, if the next token is one.
    fn prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let token = parser.peek_token_ref();
        let unary = match &token.token {
            Token::Minus => UnaryOperator::Minus,
            Token::Plus => UnaryOperator::Plus,
            Token::Tilde => UnaryOperator::BitwiseNot,
            Token::ExclamationMark => UnaryOperator::BangNot,
            Token::Word(word) if word.keyword == Keyword::NOT => {
                if !self.mode.contains(SqlMode::HIGH_NOT_PRECEDENCE) {
                    return None;
                }
                UnaryOperator::Not
            }
            Token::Word(word) if word.keyword == Keyword::BINARY && word.quote_style.is_none() => {
                let prefix = Ident::with_span(token.span, "BINARY");
                parser.advance_token();
                let value = parser.parse_subexpr(UNARY).map(Box::new);
                return Some(value.map(|value| Expr::Prefixed { prefix, value }));
            }
            Token::Word(word) if word.value.starts_with('@') && word.keyword == Keyword::NoKeyword => {
                return assignment(parser);
            }
            _ => return None,
        };
        parser.advance_token();
        let operand = parser.parse_subexpr(UNARY).map(Box::new);
        Some(operand.map(|expr| Expr::UnaryOp { op: unary, expr }))
    }
}

/// `@x := expr`: everything behind belongs to it.
fn assignment(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    if parser.peek_nth_token_ref(1).token != Token::Assignment {
        return None;
    }
    let variable = parser.next_token();
    let Token::Word(word) = variable.token else { return None };
    let left = Box::new(Expr::Identifier(Ident::with_span(variable.span, word.value)));
    parser.advance_token();
    let right = parser.parse_expr().map(Box::new);
    Some(right.map(|right| Expr::BinaryOp { left, op: BinaryOperator::Assignment, right }))
}

fn infix_precedence(parser: &Parser<'_>) -> u8 {
    let token = |ahead: usize| &parser.peek_nth_token_ref(ahead).token;
    match token(0) {
        Token::Word(word) if word.quote_style.is_none() => match word.keyword {
            Keyword::OR => OR,
            Keyword::XOR => XOR,
            Keyword::AND => AND,
            Keyword::IS => COMPARISON,
            Keyword::NOT => match token(1) {
                Token::Word(next) if is_predicate(next.keyword) => PREDICATE,
                _ => 0,
            },
            keyword if is_predicate(keyword) => PREDICATE,
            _ => 0,
        },
        Token::Eq | Token::Spaceship | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => {
            COMPARISON
        }
        Token::Pipe => BIT_OR,
        Token::Ampersand => BIT_AND,
        Token::ShiftLeft | Token::ShiftRight => SHIFT,
        Token::Plus | Token::Minus => SUM,
        Token::Mul | Token::Div | Token::Mod => PRODUCT,
        Token::Caret => BIT_XOR,
        Token::StringConcat => CONCAT,
        Token::Arrow | Token::LongArrow => JSON_PATH,
        Token::Period => PERIOD,
        _ => 0,
    }
}

fn is_predicate(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::IN | Keyword::BETWEEN | Keyword::LIKE | Keyword::REGEXP | Keyword::RLIKE | Keyword::MEMBER
    )
}

/// What the parser's own MySQL answers, we answer alike.
macro_rules! as_mysql {
    ($($method:ident)*) => {
        $(fn $method(&self) -> bool {
            self.base.$method()
        })*
    };
}

impl Dialect for PodwayDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<MySqlDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.base.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.base.is_identifier_part(ch)
    }

    fn is_table_factor_alias(&self, explicit: bool, keyword: &Keyword, parser: &mut Parser<'_>) -> bool {
        self.base.is_table_factor_alias(explicit, keyword, parser)
    }

    as_mysql! {
        supports_string_literal_backslash_escape ignores_wildcard_escapes supports_numeric_prefix
        supports_bitwise_shift_operators require_interval_qualifier supports_limit_comma supports_create_table_select
        supports_insert_set supports_user_host_grantee supports_table_hints supports_match_against
        supports_select_modifiers supports_set_names supports_comma_separated_set_assignments
        supports_update_order_by supports_data_type_signed_suffix supports_cross_join_constraint
        supports_double_ampersand_operator supports_binary_kw_as_cast
        supports_constraint_keyword_without_name supports_key_column_option supports_group_by_with_modifier
        supports_left_associative_joins_without_parens
    }

    fn parse_statement(&self, parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
        self.base.parse_statement(parser)
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        if let Err(error) = self.step() {
            return Some(Err(error));
        }
        self.prefix(parser)
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, left: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        // MySQL groups `INTERVAL 1 DAY + x OR y` and `a + INTERVAL 1 DAY * b` like nothing else: not worth knowing.
        let leads = matches!(left, Expr::Interval(_)) && infix_precedence(parser) >= SUM;
        leads.then(|| Err(ParserError::ParserError("INTERVAL before an arithmetic operator".into())))
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        Some(self.step().map(|()| infix_precedence(parser)))
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Period => PERIOD,
            Precedence::DoubleColon | Precedence::AtTz | Precedence::Colon => JSON_PATH,
            Precedence::PgOther => JSON_PATH,
            Precedence::MulDivModOp => PRODUCT,
            Precedence::PlusMinus => SUM,
            Precedence::Caret => BIT_XOR,
            Precedence::Ampersand => BIT_AND,
            Precedence::Pipe => BIT_OR,
            Precedence::Between => BETWEEN_OPERAND,
            Precedence::Like => PREDICATE,
            Precedence::Eq | Precedence::Is => COMPARISON,
            Precedence::UnaryNot => NOT,
            Precedence::And => AND,
            Precedence::Xor => XOR,
            Precedence::Or => OR,
        }
    }
}
