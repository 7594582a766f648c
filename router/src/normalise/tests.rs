//! What the normaliser makes of statements: tables of cases, and properties over generated ones.

use proptest::prelude::*;

use super::*;

fn normalised(sql: &[u8], mode: SqlMode, charset: ClientCharset) -> Result<Normalised, RouterError> {
    let mut n = Normalised::new();
    n.set_version(MySqlVersion(90704));
    n.run(sql, mode, charset).map(|()| n)
}

/// The template in print: `<i>` for an integer and so on.
fn printed(n: &Normalised) -> String {
    let mut out = String::new();
    for &byte in n.template() {
        match byte {
            0x01 => out.push_str("<int>"),
            0x02 => out.push_str("<dec>"),
            0x03 => out.push_str("<float>"),
            0x04 => out.push_str("<str>"),
            0x05 => out.push_str("<nat>"),
            0x06 => out.push_str("<hex>"),
            0x07 => out.push_str("<bit>"),
            0x08 => out.push_str("<?>"),
            LiteralKind::COMMENT => out.push_str("<c>"),
            LiteralKind::HINT => out.push_str("<podway>"),
            byte => out.push(char::from(byte)),
        }
    }
    out
}

/// The original again, from the template and the literals' spans.
fn spliced(n: &Normalised, sql: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for at in 0..n.template().len() {
        out.extend_from_slice(&sql[n.original_range(at..at + 1)]);
    }
    out
}

fn check(sql: &[u8], mode: SqlMode, charset: ClientCharset, expected: &str) {
    let shown = String::from_utf8_lossy(sql).into_owned();
    let n = normalised(sql, mode, charset).unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert_eq!(printed(&n), expected, "{shown}");
    assert_eq!(spliced(&n, sql), sql, "{shown}");
    let literals = n.tokens().filter(|token| matches!(token.kind, crate::lex::TokenKind::Literal(_)));
    assert_eq!(literals.count(), n.literals().len(), "{shown}");
}

#[test]
fn literals_and_comments_become_one_byte_each() {
    let cases = [
        ("SELECT c FROM sbtest1 WHERE id=12345", "SELECT c FROM sbtest1 WHERE id=<int>"),
        (
            "SELECT 1.5, .5, 1., 1e10, 1.e5, 1E-5, 1e+5",
            "SELECT <dec>, <dec>, <dec>, <float>, <float>, <float>, <float>",
        ),
        ("SELECT -5, 5-5, 5--5", "SELECT -<int>, <int>-<int>, <int>--<int>"),
        ("SELECT 0x41, x'41', X'', 0b01, b'01', B''", "SELECT <hex>, <hex>, <hex>, <bit>, <bit>, <bit>"),
        ("SELECT 0X41, 0x4g, 0b2, 0xg, 0x", "SELECT 0X41, 0x4g, 0b2, 0xg, 0x"),
        ("SELECT 1a, t.1a, t.1, a1, t1.c2, 1e", "SELECT 1a, t.1a, t.1, a1, t1.c2, 1e"),
        ("SELECT 1e5abc, 1.5abc, `t`.1a, t .5", "SELECT <float>abc, <dec>abc, `t`<dec>a, t <dec>"),
        ("SELECT 'a', \"b\", 'it''s', 'a\\'b', \"a\"\"b\"", "SELECT <str>, <str>, <str>, <str>, <str>"),
        (
            "SELECT N'a', n'b', t.N'c', _utf8mb4'x', _utf8mb4 0x41",
            "SELECT <nat>, <nat>, t.N<str>, _utf8mb4<str>, _utf8mb4 <hex>",
        ),
        ("SELECT 'a' 'b'", "SELECT <str> <str>"),
        ("SELECT `a'b`, `a``b` FROM `t1`", "SELECT `a'b`, `a``b` FROM `t1`"),
        ("SELECT ?, a?b, ?x", "SELECT <?>, a?b, ?x"),
        (
            "SELECT @a, @'x y', @`x'y`, @@sql_mode, @@session.x1, @a.b1, @1",
            "SELECT @a, @'x y', @`x'y`, @@sql_mode, @@session.x1, @a.b1, @1",
        ),
        ("SELECT @a:=1", "SELECT @a:=<int>"),
        ("SELECT 1 -- x\n+ 2 # y\n+ 3 /* z 'q */", "SELECT <int> <c>\n+ <int> <c>\n+ <int> <c>"),
        ("SELECT 5--", "SELECT <int><c>"),
        ("SELECT 5--\t7", "SELECT <int><c>"),
        ("/* app=1 */ SELECT 1", "<c> SELECT <int>"),
        ("SELECT /*!80030 1 + */ 2", "SELECT /*!80030 <int> + */ <int>"),
        ("SELECT /*! 1 + */ 2", "SELECT /*! <int> + */ <int>"),
        ("SELECT /*!99999 it's /* 'x */ */ 2", "SELECT <c> <int>"),
        ("SELECT /*!999999 x */ 2, /*!800301 x */ 3", "SELECT <c> <int>, <c> <int>"),
        ("SELECT /*!80030 1 /* x */ + */ 2", "SELECT /*!80030 <int> <c> + */ <int>"),
        ("SELECT /*M! 1 + */ 2", "SELECT <c> <int>"),
        ("SELECT /*+ MAX_EXECUTION_TIME(1000) ' */ 1", "SELECT /*+ MAX_EXECUTION_TIME(1000) ' */ <int>"),
        ("SELECT j->'$.a', j->>\"$.b\"", "SELECT j-><str>, j->><str>"),
        ("SELECT /**/1", "SELECT <c><int>"),
        (
            "INSERT INTO t VALUES (1,'a',NULL),(-2.5,'b',x'00')",
            "INSERT INTO t VALUES (<int>,<str>,NULL),(-<dec>,<str>,<hex>)",
        ),
        ("GRANT SELECT ON *.* TO 'u'@'%'", "GRANT SELECT ON *.* TO <str>@'%'"),
        ("CREATE FUNCTION f() AS $js$ it's 1 $js$ x 1", "CREATE FUNCTION f() AS $js$ it's 1 $js$ x <int>"),
        ("SELECT $a, a$b$c", "SELECT $a, a$b$c"),
        (".$$'x'", ".$$<str>"),
        ("SELECT t.$$'x', t .$a$ 'x', `t`.$$'x'", "SELECT t.$$<str>, t .$a$ <str>, `t`.$$<str>"),
        ("SELECT t. $$'x' $$ 1", "SELECT t. $$'x' $$ <int>"),
        ("SELECT 4/2, 4*/* x */2", "SELECT <int>/<int>, <int>*<c><int>"),
        ("", ""),
    ];
    for (sql, expected) in cases {
        check(sql.as_bytes(), SqlMode::empty(), ClientCharset::Utf8, expected);
    }
}

#[test]
fn modes_change_what_quotes_mean() {
    let ansi = SqlMode::ANSI_QUOTES;
    check(b"SELECT \"a'b\", 'c'", ansi, ClientCharset::Utf8, "SELECT \"a'b\", <str>");
    check(b"SELECT \"a\\\" FROM t", ansi, ClientCharset::Utf8, "SELECT \"a\\\" FROM t");
    check(b"SELECT 'a\\', 'b'", SqlMode::NO_BACKSLASH_ESCAPES, ClientCharset::Utf8, "SELECT <str>, <str>");
    assert!(normalised(b"SELECT 'a\\', 'b", SqlMode::empty(), ClientCharset::Utf8).is_ok());
}

#[test]
fn trail_bytes_end_no_string_and_start_no_name() {
    let none = SqlMode::empty();
    check(b"SELECT '\x95\x5C', 1", none, ClientCharset::Sjis, "SELECT <str>, <int>");
    check(b"SELECT '\x81\x5C', 1", none, ClientCharset::Gbk, "SELECT <str>, <int>");
    check(b"SELECT '\xA5\x5C', 1", none, ClientCharset::Big5, "SELECT <str>, <int>");
    check(b"SELECT '\x81\x30\x81\x30', 1", none, ClientCharset::Gb18030, "SELECT <str>, <int>");
    check(b"SELECT '\x81\x5C', 1'", none, ClientCharset::Utf8, "SELECT <str>");
    check(
        b"SELECT a\x81\x60 FROM t1 WHERE x = 1",
        none,
        ClientCharset::Gbk,
        "SELECT a\u{81}` FROM t1 WHERE x = <int>",
    );
    check(b"SELECT `\x81\x60`, 'x'", none, ClientCharset::Gbk, "SELECT `\u{81}``, <str>");
}

#[test]
fn what_never_ends_and_what_mysql_refuses_is_a_syntax_error() {
    let cases: [&[u8]; 12] = [
        b"SELECT 'abc",
        b"SELECT \"abc",
        b"SELECT `abc",
        b"SELECT 'abc\\'",
        b"SELECT /* abc",
        b"SELECT /*!99999 abc",
        b"SELECT x'4'",
        b"SELECT b'2'",
        b"SELECT 1.ex",
        b"SELECT 1\0",
        b"SELECT \x04",
        b"SELECT $x$",
    ];
    for sql in cases {
        let error = normalised(sql, SqlMode::empty(), ClientCharset::Utf8).expect_err("refused");
        assert_eq!(error.errno, 1064, "{}", String::from_utf8_lossy(sql));
    }
    let error = normalised(b"SELECT 1,\n 'abc", SqlMode::empty(), ClientCharset::Utf8).expect_err("refused");
    assert!(error.message.ends_with("near ''abc' at line 2"), "{error}");
}

#[test]
fn strings_know_their_introducer_and_whether_they_continue() {
    type Found<'a> = (Option<&'a str>, bool);
    let cases: [(&str, &[Found<'_>]); 14] = [
        ("SELECT _latin1'a'", &[(Some("latin1"), false)]),
        ("SELECT _LATIN1 /* c */ 'a' 'b'", &[(Some("latin1"), false), (None, true)]),
        ("SELECT 'a' -- x\n 'b'", &[(None, false), (None, true)]),
        ("SELECT N'a' 'b'", &[(None, false), (None, true)]),
        ("SELECT _foo'a'", &[(None, false)]),
        ("SELECT x_latin1'a'", &[(None, false)]),
        ("SELECT t._latin1'a'", &[(None, false)]),
        ("SELECT @_latin1'a'", &[(None, false)]),
        ("SELECT `_latin1`'a'", &[(None, false)]),
        ("SELECT x'41' 'b'", &[(None, false), (None, false)]),
        ("SELECT _binary x'41', _utf8mb4 0x41", &[(Some("binary"), false), (Some("utf8mb4"), false)]),
        (
            "SELECT /*!40101 _latin1*/ 'a' /*!40101 'b' */ 'c'",
            &[(Some("latin1"), false), (None, true), (None, true)],
        ),
        ("SELECT /*+ _latin1 */ /*+ x */ 'a'", &[(None, false)]),
        ("SELECT _latin1 /*!40101 'a'*/", &[(Some("latin1"), false)]),
    ];
    for (sql, expected) in cases {
        let n = normalised(sql.as_bytes(), SqlMode::empty(), ClientCharset::Utf8).expect(sql);
        let found: Vec<_> = n.literals().iter().map(|l| (l.introducer(), l.continues())).collect();
        assert_eq!(found, expected, "{sql}");
    }
}

#[test]
fn parameters_are_counted_among_the_literals() {
    let n = normalised(b"SELECT ?, 5, ?", SqlMode::empty(), ClientCharset::Utf8).expect("normalised");
    assert_eq!((0..4).map(|i| n.param_ordinal(i)).collect::<Vec<_>>(), [Some(0), None, Some(1), None]);
    assert_eq!(n.param_count(), 2);
}

/// Pieces that each end where they end, whatever follows.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        " ",
        "\n",
        "a",
        "t1",
        "1",
        "0x41",
        "'x'",
        "'it''s'",
        "'\\''",
        "\"q\"",
        "`n`",
        "`a``b`",
        "/* c */",
        "-- c\n",
        "# c\n",
        "/*!80030 ",
        "*/",
        "/*!99999 c */",
        "/*+ h */",
        "@v",
        "@'v'",
        "@@s",
        ".",
        "..",
        ",",
        "(",
        ")",
        "=",
        "?",
        "-",
        "--",
        "1.5",
        "1e5",
        "e",
        "N",
        "x",
        "_utf8mb4",
        ":=",
        "'\u{e9}'",
        "\u{e9}",
        "$",
        ";",
        "||",
        "*",
        "/",
    ])
}

proptest! {
    #[test]
    fn splicing_gives_every_byte_back(pieces in prop::collection::vec(piece(), 0..40), ansi: bool, plain: bool) {
        let sql = pieces.concat();
        let mut mode = SqlMode::empty();
        mode.set(SqlMode::ANSI_QUOTES, ansi);
        mode.set(SqlMode::NO_BACKSLASH_ESCAPES, plain);
        if let Ok(n) = normalised(sql.as_bytes(), mode, ClientCharset::Utf8) {
            prop_assert_eq!(spliced(&n, sql.as_bytes()), sql.as_bytes());
            let literals = n.tokens().filter(|t| matches!(t.kind, crate::lex::TokenKind::Literal(_))).count();
            prop_assert_eq!(literals, n.literals().len());
        }
    }

    #[test]
    fn any_bytes_are_normalised_or_refused_without_a_panic(sql: Vec<u8>, charset in 0..4usize, bits: u32) {
        let charset = [ClientCharset::Utf8, ClientCharset::Gbk, ClientCharset::Sjis, ClientCharset::Gb18030][charset];
        if let Ok(n) = normalised(&sql, SqlMode::from_bits_truncate(bits), charset) {
            prop_assert_eq!(spliced(&n, &sql), sql);
            let tokens: Vec<_> = n.tokens().collect();
            prop_assert!(tokens.windows(2).all(|pair| pair[0].end <= pair[1].start && pair[0].start < pair[0].end));
        }
    }

    #[test]
    fn literals_of_one_kind_share_a_template(a in 0u64.., b in 0u64.., s in "[^\u{0}]{0,20}", t in "[^\u{0}]{0,20}") {
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        let make = |n: u64, text: &str| format!("SELECT * FROM t WHERE a={n} AND b IN ({},{n}.5)", quoted(text));
        let one = normalised(make(a, &s).as_bytes(), SqlMode::empty(), ClientCharset::Utf8).expect("normalised");
        let two = normalised(make(b, &t).as_bytes(), SqlMode::empty(), ClientCharset::Utf8).expect("normalised");
        prop_assert_eq!(one.template(), two.template());
        prop_assert_eq!(one.hash(), two.hash());
    }
}
