//! What the seam makes of statements: groupings, literal numbers, spans, refusals.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, ObjectName, UnaryOperator, ValueWithSpan, Visit, Visitor};

use super::*;
use crate::charset::ClientCharset;

const VERSION: MySqlVersion = MySqlVersion(90704);

fn parsed_as(
    sql: &[u8],
    mode: SqlMode,
    charset: ClientCharset,
) -> Result<(Normalised, Parsed), ParseRefusal> {
    let mut n = Normalised::new();
    n.set_version(VERSION);
    n.run(sql, mode, charset).expect("normalised");
    parse(&n, sql, mode, VERSION).map(|parsed| (n, parsed))
}

fn parsed(sql: &str) -> Result<(Normalised, Parsed), ParseRefusal> {
    parsed_as(sql.as_bytes(), SqlMode::empty(), ClientCharset::Utf8)
}

/// The first expression of a SELECT, every operation in brackets.
fn grouped(sql: &str, mode: SqlMode) -> String {
    let (n, parsed) =
        parsed_as(sql.as_bytes(), mode, ClientCharset::Utf8).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let ast::Statement::Query(query) = parsed.statement else { panic!("{sql}") };
    let ast::SetExpr::Select(select) = *query.body else { panic!("{sql}") };
    let ast::SelectItem::UnnamedExpr(expr) = &select.projection[0] else { panic!("{sql}") };
    show(expr, &n, sql)
}

fn show(expr: &Expr, n: &Normalised, sql: &str) -> String {
    let of = |expr: &Expr| show(expr, n, sql);
    match expr {
        Expr::BinaryOp { left, op, right } => format!("({} {op} {})", of(left), of(right)),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => format!("(NOT {})", of(expr)),
        Expr::UnaryOp { op, expr } => format!("({op}{})", of(expr)),
        Expr::Prefixed { prefix, value } => format!("({prefix} {})", of(value)),
        Expr::Collate { expr, collation } => format!("({} COLLATE {collation})", of(expr)),
        Expr::IsNull(expr) => format!("({} IS NULL)", of(expr)),
        Expr::IsTrue(expr) => format!("({} IS TRUE)", of(expr)),
        Expr::Between { expr, low, high, .. } => {
            format!("({} BETWEEN {} AND {})", of(expr), of(low), of(high))
        }
        Expr::Like { expr, pattern, .. } => format!("({} LIKE {})", of(expr), of(pattern)),
        Expr::RLike { expr, pattern, .. } => format!("({} REGEXP {})", of(expr), of(pattern)),
        Expr::InList { expr, list, .. } => {
            format!("({} IN [{}])", of(expr), list.iter().map(of).collect::<Vec<_>>().join(","))
        }
        Expr::Interval(interval) => format!("interval {}", of(&interval.value)),
        Expr::Nested(expr) => of(expr),
        Expr::Value(value) => {
            let index = Parsed::literal_index(&value.value).map(|index| n.literals()[index].range());
            index.map_or_else(|| value.to_string(), |range| sql[range].to_string())
        }
        other => other.to_string(),
    }
}

#[test]
fn operators_group_as_in_mysql() {
    let cases = [
        ("a OR b AND c", "(a OR (b AND c))"),
        ("a XOR b OR c AND d", "((a XOR b) OR (c AND d))"),
        ("a XOR b AND c", "(a XOR (b AND c))"),
        ("a = 5 AND k = 1 || c = 2", "(((a = 5) AND (k = 1)) OR (c = 2))"),
        ("a && b || c", "((a AND b) OR c)"),
        ("NOT a = b AND c", "((NOT (a = b)) AND c)"),
        ("NOT a IS NULL", "(NOT (a IS NULL))"),
        ("! a = b", "((!a) = b)"),
        ("!a + b", "((!a) + b)"),
        ("a = b IS NULL", "((a = b) IS NULL)"),
        ("a IS NULL = b", "((a IS NULL) = b)"),
        ("a = b LIKE c", "(a = (b LIKE c))"),
        ("a LIKE b = c", "((a LIKE b) = c)"),
        ("a IN (1, 2) = b IN (3)", "((a IN [1,2]) = (b IN [3]))"),
        ("a BETWEEN b AND c AND d", "((a BETWEEN b AND c) AND d)"),
        ("a BETWEEN b AND c = d", "((a BETWEEN b AND c) = d)"),
        ("a BETWEEN b AND c LIKE d", "(a BETWEEN b AND (c LIKE d))"),
        ("a BETWEEN b AND c BETWEEN d AND e", "(a BETWEEN b AND (c BETWEEN d AND e))"),
        ("a BETWEEN b AND c IN (1)", "(a BETWEEN b AND (c IN [1]))"),
        ("a | b & c << d + e * f ^ g", "(a | (b & (c << (d + (e * (f ^ g))))))"),
        ("a ^ b * c + d << e & f | g", "((((((a ^ b) * c) + d) << e) & f) | g)"),
        ("a + b | c", "((a + b) | c)"),
        ("5 MOD 2 * 3", "((5 % 2) * 3)"),
        ("5 DIV 2 ^ 3", "(5 % (2 ^ 3))"),
        ("-a ^ b", "((-a) ^ b)"),
        ("- a * b", "((-a) * b)"),
        ("~a + b", "((~a) + b)"),
        ("a - -b", "(a - (-b))"),
        ("BINARY a = b", "((BINARY a) = b)"),
        ("BINARY a + b", "((BINARY a) + b)"),
        ("a = b COLLATE x", "(a = (b COLLATE x))"),
        ("-a COLLATE x", "(-(a COLLATE x))"),
        ("a SOUNDS LIKE b", "(a LIKE b)"),
        ("a REGEXP b + c", "(a REGEXP (b + c))"),
        ("@a := 1 OR b", "(@a := (1 OR b))"),
        ("j->'$.a' = 5", "((j -> '$.a') = 5)"),
        ("-j->>'$.a' + 1", "((-(j ->> '$.a')) + 1)"),
        ("a + INTERVAL 1 + 2 DAY_HOUR > b", "((a + interval (1 + 2)) > b)"),
        ("a <=> b = c", "((a <=> b) = c)"),
        ("a < b = c", "((a < b) = c)"),
    ];
    for (expression, expected) in cases {
        assert_eq!(grouped(&format!("SELECT {expression}"), SqlMode::empty()), expected, "{expression}");
    }
}

#[test]
fn modes_change_the_grouping() {
    let concat = SqlMode::PIPES_AS_CONCAT;
    assert_eq!(grouped("SELECT a = b || c", concat), "(a = (b || c))");
    assert_eq!(grouped("SELECT a ^ b || c", concat), "(a ^ (b || c))");
    assert_eq!(grouped("SELECT -a || c", concat), "((-a) || c)");
    let high = SqlMode::HIGH_NOT_PRECEDENCE;
    assert_eq!(grouped("SELECT NOT a = b", high), "((NOT a) = b)");
    assert_eq!(grouped("SELECT NOT a BETWEEN 1 AND 2", high), "((NOT a) BETWEEN 1 AND 2)");
    assert_eq!(grouped("SELECT a NOT IN (1) OR b", high), "((a IN [1]) OR b)");
}

/// Collects literals and names.
#[derive(Default)]
struct Collector {
    literals: Vec<usize>,
    tables: Vec<TemplateSpan>,
}

impl Visitor for Collector {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let idents = relation.0.iter().filter_map(|part| part.as_ident());
        self.tables.extend(idents.filter_map(Parsed::ident_span));
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        self.literals.extend(Parsed::literal_index(&value.value));
        ControlFlow::Continue(())
    }
}

#[test]
fn values_are_literal_numbers_and_spans_are_offsets() {
    let cases: [(&str, &[&str], &[&str]); 6] = [
        ("SELECT 'a' 'b', 5 FROM `my db`.t1 WHERE x = ?", &["'a'", "5", "?"], &["`my db`", "t1"]),
        (
            "SELECT /* c */ 0x41, b'1' /*!80000 , 'x' */ /*!99999 , 7 */ FROM t",
            &["0x41", "b'1'", "'x'"],
            &["t"],
        ),
        (
            "INSERT INTO s.t (a, b) VALUES (1, _latin1'x'), (-2.5, N'y')",
            &["1", "'x'", "2.5", "N'y'"],
            &["s", "t"],
        ),
        (
            "UPDATE LOW_PRIORITY IGNORE t SET a = 'long literal' WHERE id = 7",
            &["'long literal'", "7"],
            &["t"],
        ),
        ("DELETE QUICK FROM t WHERE id IN (1, 2, 3)", &["1", "2", "3"], &["t"]),
        ("SELECT 'it''s \\' ; --' FROM t LOCK IN SHARE MODE", &["'it''s \\' ; --'"], &["t"]),
    ];
    for (sql, literals, tables) in cases {
        let (n, parsed) = parsed(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let mut found = Collector::default();
        let _ = parsed.statement.visit(&mut found);
        let values: Vec<&str> =
            found.literals.iter().map(|&index| &sql[n.literals()[index].range()]).collect();
        assert_eq!(values, literals, "{sql}");
        let names: Vec<&str> = found.tables.iter().map(|span| &sql[n.original_range(span.range())]).collect();
        assert_eq!(names, tables, "{sql}");
    }
}

#[test]
fn mysqls_own_spellings_parse() {
    let cases = [
        "SELECT * FROM t LOCK IN SHARE MODE",
        "SELECT !a, 5 MOD 2, MOD(5, 2), a SOUNDS LIKE b FROM t",
        "SELECT a + INTERVAL '1:2' MINUTE_SECOND FROM t",
        "SELECT EXTRACT(DAY_HOUR FROM a) FROM t",
        "INSERT INTO t PARTITION (p0) (a) VALUES (1)",
        "SELECT * FROM t PARTITION (p0, p1) WHERE a = 1",
        "SELECT a FROM t INTO @a",
        "SELECT a, b INTO @a, @b FROM t WHERE id = 1",
        "SELECT @@sql_mode, @@session.time_zone, @a, @'b c', @@`x`",
        "INSERT DELAYED IGNORE INTO t SET a = 1",
        "SELECT SUM(a) OVER (PARTITION BY b) FROM t",
        "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)",
        "SELECT /*+ MAX_EXECUTION_TIME(5) */ 1",
        "SELECT 1 FROM DUAL",
        "REPLACE INTO t VALUES (1, 'a')",
        "SELECT * FROM a, b LEFT JOIN c ON c.x = b.x WHERE a.id = b.id",
        "SELECT t.`select`, t.from FROM t",
        "WITH RECURSIVE c AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT * FROM c",
    ];
    for sql in cases {
        let parsed = parsed(sql);
        assert!(parsed.is_ok(), "{sql}: {:?}", parsed.err());
    }
}

#[test]
fn bytes_that_are_no_utf8_are_no_hindrance_in_literals() {
    let (n, _) = parsed_as(
        b"SELECT '\xFF\xFE', `t` FROM t WHERE a = '\x81\x5C'",
        SqlMode::empty(),
        ClientCharset::Gbk,
    )
    .expect("parsed");
    assert_eq!(n.literals().len(), 2);
    let refused = parsed_as(b"SELECT `\x81\x40` FROM t", SqlMode::empty(), ClientCharset::Gbk);
    assert_eq!(refused.err(), Some(ParseRefusal::NameEncoding));
}

#[test]
fn what_would_overflow_a_stack_is_refused_first() {
    let too_deep = [
        format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("SELECT 1 WHERE {}", vec!["a = 1"; 5_000].join(" OR ")),
        format!("SELECT {}1", "-".repeat(5_000)),
        format!("SELECT {}1", "!".repeat(5_000)),
        format!("SELECT {} 1", "NOT ".repeat(5_000)),
        vec!["SELECT 1"; 5_000].join(" UNION "),
        format!("SELECT {}1{}", "CASE WHEN ".repeat(5_000), " THEN 1 END".repeat(5_000)),
        format!("SELECT {}1{}", "f(".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT {}1{}", "(SELECT ".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT * FROM {}t{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT * FROM t {}", "JOIN t ".repeat(5_000)),
        format!("SELECT a {}", "COLLATE x ".repeat(5_000)),
        format!("SELECT {} 1", "BINARY ".repeat(5_000)),
    ];
    for sql in too_deep {
        let refused = parsed(&sql).err();
        assert!(matches!(refused, Some(ParseRefusal::TooComplex { .. })), "{}: {refused:?}", &sql[..60]);
    }
}

#[test]
fn wide_statements_are_parsed() {
    let wide = [
        format!("SELECT * FROM t WHERE a IN ({})", vec!["1"; 50_000].join(",")),
        format!("INSERT INTO t (a, b) VALUES {}", vec!["(-1, 'x')"; 10_000].join(",")),
        format!("SELECT {}", vec!["a + 1"; 2_000].join(", ")),
        format!("SELECT * FROM t WHERE {}", vec!["a = 1"; 200].join(" OR ")),
        format!("SELECT {}1{}", "(".repeat(100), ")".repeat(100)),
    ];
    for sql in wide {
        let parsed = parsed(&sql);
        assert!(parsed.is_ok(), "{}: {:?}", &sql[..60], parsed.err());
    }
}

#[test]
fn nothing_makes_the_parser_try_for_long() {
    let parts = [
        ("(", "1", ")"),
        ("f(", "1", ")"),
        ("IF(a, ", "1", ", 2)"),
        ("CASE WHEN ", "1", " THEN 2 END"),
        ("(SELECT ", "1", ")"),
        ("CAST(", "1", " AS CHAR)"),
        ("a IN (", "1", ")"),
        ("EXISTS (SELECT ", "1", ")"),
        ("current_time(", "1", ""),
        ("case-", "c", ""),
        ("IF(current_time(", "x", ""),
        ("(((SELECT * FROM (", "t", ""),
        ("INTERVAL (", "1", ") DAY"),
        ("CONVERT(", "1", ", CHAR)"),
    ];
    for (open, middle, close) in parts {
        for depth in [20, 60, 120] {
            let sql = format!("SELECT {}{middle}{}", open.repeat(depth), close.repeat(depth));
            let started = std::time::Instant::now();
            let _ = parsed(&sql);
            assert!(started.elapsed().as_secs() < 2, "{open} × {depth}: {:?}", started.elapsed());
        }
        let sql = format!("SELECT * FROM {}t{}", "(".repeat(100), ")".repeat(100));
        let started = std::time::Instant::now();
        let _ = parsed(&sql);
        assert!(started.elapsed().as_secs() < 2, "FROM");
    }
}

#[test]
fn what_is_not_one_statement_is_refused() {
    assert_eq!(parsed("SELECT 1; SELECT 2").err(), Some(ParseRefusal::NotOneStatement));
    assert_eq!(parsed("").err(), Some(ParseRefusal::NotOneStatement));
    assert_eq!(parsed("SELECT /*!800301x*/ 1").err(), Some(ParseRefusal::VersionComment));
    assert!(matches!(parsed("FROBNICATE t").err(), Some(ParseRefusal::Unparsed(_))));
    assert!(matches!(parsed("SELECT INTERVAL 1 DAY + a OR b").err(), Some(ParseRefusal::Unparsed(_))));
}
