//! What is recognised in statements: tables of cases.

use super::*;
use crate::charset::ClientCharset;

const VERSION: MySqlVersion = MySqlVersion(90704);

fn recognised_in(sql: &str, mode: SqlMode) -> (Normalised, Recognised) {
    let mut n = Normalised::new();
    n.set_version(VERSION);
    n.run(sql.as_bytes(), mode, ClientCharset::Utf8).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let recognised = recognise(sql.as_bytes(), &n, mode, VERSION);
    (n, recognised)
}

fn recognised(sql: &str) -> Recognised {
    recognised_in(sql, SqlMode::empty()).1
}

fn scalar(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Literal(index) => format!("#{index}"),
        Scalar::NegatedLiteral(index) => format!("-#{index}"),
        Scalar::Word(word) => word.to_string(),
        Scalar::Default => "DEFAULT".into(),
        Scalar::Null => "NULL".into(),
        Scalar::UserVariable(name) => format!("@{name}"),
        Scalar::SystemVariable { scope, name } => format!("@@{scope:?}.{name}"),
        Scalar::Expression => "…".into(),
    }
}

fn assignment(assignment: &Assignment) -> String {
    let value = scalar(&assignment.value.scalar);
    match &assignment.target {
        SetTarget::User(name) => format!("@{name}={value}"),
        SetTarget::Session(name) => format!("session {name}={value}"),
        SetTarget::SessionTransient(name) => format!("transient {name}={value}"),
        SetTarget::Global(name) => format!("global {name}={value}"),
        SetTarget::Persist(name) => format!("persist {name}={value}"),
        SetTarget::PersistOnly(name) => format!("persist_only {name}={value}"),
        SetTarget::Names { collation } => {
            format!(
                "names {value}{}",
                collation.as_ref().map_or(String::new(), |c| format!("/{}", scalar(c)))
            )
        }
        SetTarget::Charset => format!("charset {value}"),
        SetTarget::Transaction(TransactionSettings { scope, isolation, access }) => {
            format!("transaction {scope:?} {isolation:?} {access:?}")
        }
        other => format!("{other:?} {value}"),
    }
}

/// The statement in print.
fn printed(recognised: &Recognised) -> String {
    match &recognised.statement {
        Statement::Set(assignments) => assignments.iter().map(assignment).collect::<Vec<_>>().join("; "),
        Statement::Begin(BeginOptions { read_only, read_write, consistent_snapshot }) => {
            let on = [(read_only, " ro"), (read_write, " rw"), (consistent_snapshot, " snapshot")];
            format!("begin{}", on.iter().filter(|(on, _)| **on).map(|(_, text)| *text).collect::<String>())
        }
        Statement::Commit(Completion { chain, release }) => format!("commit {chain:?} {release:?}"),
        Statement::Rollback(Completion { chain, release }) => format!("rollback {chain:?} {release:?}"),
        Statement::Kill { query_only, id } => format!("kill {query_only} {}", scalar(id)),
        Statement::Malformed(at) => format!("malformed at {at}"),
        other => format!("{other:?}"),
    }
}

fn check_statements(cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        assert_eq!(printed(&recognised(sql)), *expected, "{sql}");
    }
}

#[test]
fn transactions_begin_and_end_in_every_form() {
    check_statements(&[
        ("BEGIN", "begin"),
        ("begin work;", "begin"),
        ("/* app */ -- x\n BEGIN # y", "begin"),
        ("/*!40100 BEGIN */", "begin"),
        ("/*!99999 nothing */ BEGIN /*!99999 WORK OF ART */", "begin"),
        ("START TRANSACTION", "begin"),
        ("START /* c */ TRANSACTION READ ONLY", "begin ro"),
        ("START TRANSACTION READ WRITE, WITH CONSISTENT SNAPSHOT", "begin rw snapshot"),
        ("START TRANSACTION /*!40100 WITH CONSISTENT SNAPSHOT */", "begin snapshot"),
        ("START TRANSACTION WITH CONSISTENT", "malformed at 18"),
        ("BEGIN x", "malformed at 6"),
        ("COMMIT", "commit None None"),
        ("COMMIT WORK", "commit None None"),
        ("COMMIT AND CHAIN", "commit Some(true) None"),
        ("COMMIT AND NO CHAIN RELEASE", "commit Some(false) Some(true)"),
        ("COMMIT AND CHAIN NO RELEASE", "commit Some(true) Some(false)"),
        ("COMMIT NO RELEASE", "commit None Some(false)"),
        ("COMMIT; SELECT 1", "malformed at 6"),
        ("ROLLBACK", "rollback None None"),
        ("ROLLBACK WORK AND NO CHAIN NO RELEASE", "rollback Some(false) Some(false)"),
        ("ROLLBACK RELEASE", "rollback None Some(true)"),
        ("ROLLBACK TO x", "RollbackTo(`x`)"),
        ("ROLLBACK WORK TO SAVEPOINT `a b`", "RollbackTo(`a b`)"),
        ("SAVEPOINT s1", "Savepoint(`s1`)"),
        ("SAVEPOINT `S``1`", "Savepoint(`S`1`)"),
        ("RELEASE SAVEPOINT x", "ReleaseSavepoint(`x`)"),
        ("SAVEPOINT 'x'", "malformed at 10"),
        ("SAVEPOINT", "malformed at 9"),
        ("(BEGIN)", "Query"),
    ]);
}

// structure: one table of cases, which reads best whole
#[test]
fn set_is_read_in_all_its_forms() {
    check_statements(&[
        ("SET autocommit=0", "session autocommit=#0"),
        ("SET autocommit = ON", "session autocommit=ON"),
        ("SET @@autocommit=1", "transient autocommit=#0"),
        ("SET @@SESSION.autocommit := OFF", "session autocommit=OFF"),
        (
            "SET SESSION sql_mode='ANSI', @@local.time_zone = '+00:00'",
            "session sql_mode=#0; session time_zone=#1",
        ),
        ("SET LOCAL sql_mode = DEFAULT", "session sql_mode=DEFAULT"),
        ("SET GLOBAL a=1, b=2, SESSION c=3, d=4", "global a=#0; global b=#1; session c=#2; session d=#3"),
        ("SET GLOBAL a=1, @@b=2, @x=3, c=4", "global a=#0; transient b=#1; @x=#2; global c=#3"),
        ("SET PERSIST a=1, PERSIST_ONLY b=2", "persist a=#0; persist_only b=#1"),
        ("SET @@persist.a=1, @@global.b=-2", "persist a=#0; global b=-#1"),
        ("SET @a=1, @b:=@a, @`c d`='x', @'e'=NULL", "@a=#0; @b=@a; @c d=#1; @e=NULL"),
        ("SET @a = 1 + 2, @b = (SELECT 1, 2)", "@a=…; @b=…"),
        ("SET @a = @b := 5", "@a=…"),
        (
            "SET @old = @@sql_mode, @x = @@session.time_zone",
            "@old=@@Unscoped.sql_mode; @x=@@Session.time_zone",
        ),
        ("SET sql_mode = @@global . sql_mode", "session sql_mode=@@Global.sql_mode"),
        ("SET sql_mode = CONCAT(@@sql_mode, ',ANSI')", "session sql_mode=…"),
        ("SET SQL_LOG_BIN= 0", "session SQL_LOG_BIN=#0"),
        ("/*!40101 SET NAMES utf8mb4 */;", "names utf8mb4"),
        (
            "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */",
            "@OLD_SQL_MODE=@@Unscoped.SQL_MODE; session SQL_MODE=#0",
        ),
        ("SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'", "names #0/#1"),
        ("SET NAMES utf8mb4 COLLATE utf8mb4_bin, @a=1", "names utf8mb4/utf8mb4_bin; @a=#0"),
        ("SET NAMES DEFAULT", "names DEFAULT"),
        ("SET NAMES binary", "names binary"),
        ("SET CHARACTER SET latin1", "charset latin1"),
        ("SET CHARSET 'latin1', CHAR SET DEFAULT", "charset #0; charset DEFAULT"),
        ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "transaction Unscoped Some(ReadCommitted) None"),
        (
            "SET SESSION TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE",
            "transaction Session Some(Serializable) Some(ReadOnly)",
        ),
        (
            "SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE",
            "transaction Global Some(RepeatableRead) Some(ReadWrite)",
        ),
        (
            "SET LOCAL TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
            "transaction Session Some(ReadUncommitted) None",
        ),
        ("SET TRANSACTION READ", "malformed at 16"),
        ("SET @a=1, TRANSACTION READ ONLY", "malformed at 22"),
        ("SET PASSWORD = 'x'", "Password …"),
        ("SET PASSWORD FOR u@h = 'x'", "Password …"),
        ("SET ROLE ALL EXCEPT r", "Role …"),
        ("SET ROLE NONE", "Role NONE"),
        ("SET DEFAULT ROLE ALL TO u@h", "DefaultRole …"),
        ("SET RESOURCE GROUP g", "ResourceGroup g"),
        ("SET GLOBAL hot.key_buffer_size = 1024", "global hot.key_buffer_size=#0"),
        ("SET `sql_mode` = ''", "session sql_mode=#0"),
        ("SET transaction_isolation = 'SERIALIZABLE'", "session transaction_isolation=#0"),
        ("SET @@transaction_isolation = 'SERIALIZABLE'", "transient transaction_isolation=#0"),
        ("SET time_zone = ?", "session time_zone=#0"),
        ("SET a=1,", "malformed at 8"),
        ("SET a=", "malformed at 6"),
        ("SET a", "malformed at 5"),
        ("SET session.a = 1", "malformed at 11"),
        ("SET SESSION @a=1", "malformed at 12"),
        ("SET SESSION @@a=1", "malformed at 12"),
        ("SET a=1; SET c=3", "malformed at 7"),
    ]);
}

#[test]
fn the_sessions_own_statements_are_read() {
    check_statements(&[
        ("", "Empty"),
        (" ; ", "Empty"),
        ("-- nothing\n/* at all */", "Empty"),
        ("USE shop", "Use(\"shop\")"),
        ("use `my shop`;", "Use(\"my shop\")"),
        ("/*!50000 USE */ shop", "Use(\"shop\")"),
        ("USE 'shop'", "malformed at 4"),
        ("KILL 5", "kill false #0"),
        ("KILL CONNECTION 5", "kill false #0"),
        ("KILL QUERY @a", "kill true @a"),
        ("KILL CONNECTION_ID()", "kill false …"),
        ("KILL", "malformed at 4"),
        ("SHOW PROCESSLIST", "ShowProcesslist { full: false }"),
        ("show full processlist", "ShowProcesslist { full: true }"),
        ("SHOW PODWAY shards", "ShowPodway(\"shards\")"),
        ("show podway", "ShowPodway(\"\")"),
        ("SHOW PODWAY shards FROM shop", "Query"),
        ("SHOW FULL PODWAY shards", "Query"),
        (
            "alter podway table shop.orders shard by (a, `b`) using hash",
            "DeclareTable { schema: Some(\"shop\"), name: \"orders\", directive: Sharded { columns: [\"a\", \"b\"], vindex: Hash, unique_per_shard: false } }",
        ),
        (
            "ALTER PODWAY TABLE rates REFERENCE",
            "DeclareTable { schema: None, name: \"rates\", directive: Reference }",
        ),
        ("ALTER PODWAY TABLE t HOME;", "DeclareTable { schema: None, name: \"t\", directive: Home }"),
        ("ALTER PODWAY TABLE t", "malformed at 20"),
        ("ALTER PODWAY TABLE t HOME x", "malformed at 26"),
        ("ALTER PODWAY t HOME", "Query"),
        ("SHOW FULL TABLES", "Query"),
        ("SHOW WARNINGS", "ShowWarnings(Diagnostics { errors_only: false, count_only: false, limit: None })"),
        (
            "SHOW COUNT(*) ERRORS",
            "ShowWarnings(Diagnostics { errors_only: true, count_only: true, limit: None })",
        ),
        (
            "SHOW ERRORS LIMIT 1,2",
            "ShowWarnings(Diagnostics { errors_only: true, count_only: false, limit: Some(Limit { offset: Some(Literal(0)), count: Literal(1) }) })",
        ),
        (
            "SHOW WARNINGS LIMIT 1 OFFSET 2",
            "ShowWarnings(Diagnostics { errors_only: false, count_only: false, limit: Some(Limit { offset: Some(Literal(1)), count: Literal(0) }) })",
        ),
        ("SHOW CREATE TABLE t", "Query"),
        ("LOCK TABLES t READ, u WRITE", "LockTables"),
        ("LOCK TABLE t READ", "LockTables"),
        ("UNLOCK TABLES", "UnlockTables"),
        ("UNLOCK TABLE", "UnlockTables"),
        ("PREPARE p FROM 'SELECT 1'", "Prepare { name: `p`, source: Literal(0) }"),
        ("PREPARE p FROM @s", "Prepare { name: `p`, source: UserVariable(`s`) }"),
        ("EXECUTE p USING @a, @b", "Execute { name: `p`, using: [`a`, `b`] }"),
        ("DEALLOCATE PREPARE p", "Deallocate(`p`)"),
        ("DROP PREPARE p", "Deallocate(`p`)"),
        ("XA START 'x'", "Xa"),
        ("LOAD DATA LOCAL INFILE 'f' INTO TABLE t", "Load { local: true }"),
        ("LOAD DATA CONCURRENT INFILE 'f' INTO TABLE t", "Load { local: false }"),
        ("LOAD XML LOW_PRIORITY LOCAL INFILE 'f' INTO TABLE t", "Load { local: true }"),
        ("SELECT 1; SELECT 2", "malformed at 10"),
        ("SELECT 1;", "Query"),
        ("SELECT /*!80030 1", "malformed at 17"),
        ("SELECT /*!800301x*/ 1", "Refused(\"a version comment that the servers may read differently\")"),
        ("CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END", "Query"),
    ]);
}

#[test]
fn stored_programs_have_no_xa() {
    check_statements(&[
        ("CREATE PROCEDURE p() BEGIN XA COMMIT 'a'; END", "Refused(\"XA in stored programs\")"),
        (
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO xa /**/ rollback 'a'",
            "Refused(\"XA in stored programs\")",
        ),
        ("ALTER EVENT e DO /*!50000 XA */ END 'a'", "Refused(\"XA in stored programs\")"),
        ("CREATE PROCEDURE xa() SELECT xa FROM t", "Query"),
    ]);
}

#[test]
fn a_declaration_may_say_how_unique_keys_are() {
    check_statements(&[
        (
            "ALTER PODWAY TABLE t SHARD BY (a) USING xxh3 UNIQUE PER SHARD",
            "DeclareTable { schema: None, name: \"t\", directive: Sharded { columns: [\"a\"], vindex: Xxh3, unique_per_shard: true } }",
        ),
        ("ALTER PODWAY TABLE t SHARD BY (a) UNIQUE PER SHARD x", "malformed at 51"),
    ]);
}

#[test]
fn what_is_asked_of_a_transactions_outcome_stands_alone() {
    check_statements(&[
        (
            "select podway_outcome('x')",
            "Outcome { id: Literal(0), alias: None, item: TemplateSpan { start: 7, end: 24 } }",
        ),
        (
            "SELECT PODWAY_OUTCOME(NULL) AS o",
            "Outcome { id: Null, alias: Some(\"o\"), item: TemplateSpan { start: 7, end: 27 } }",
        ),
        ("SELECT PODWAY_OUTCOME('x') FROM t", "Query"),
        ("SELECT PODWAY_OUTCOME('x'), 1", "Query"),
        ("SELECT PODWAY_OUTCOME('x') AS", "Query"),
    ]);
}

// structure: one table of cases, which reads best whole
#[test]
fn verbs_are_seen_behind_comments_parentheses_and_common_tables() {
    use Verb as V;
    let cases = [
        ("SELECT 1", V::Select),
        ("((SELECT 1) UNION (SELECT 2))", V::Select),
        ("/*!40000 SELECT */ 1", V::Select),
        ("WITH a AS (SELECT 1), b (x, y) AS (SELECT 1, 2) SELECT * FROM a", V::Select),
        ("WITH RECURSIVE a AS (SELECT 1) DELETE FROM t", V::Delete),
        ("WITH a AS (SELECT 1) UPDATE t SET x = 1", V::Update),
        ("(WITH a AS (SELECT 1) SELECT * FROM a)", V::Select),
        ("TABLE t", V::Table),
        ("VALUES ROW(1)", V::Values),
        ("INSERT INTO t VALUES (1)", V::Insert),
        ("REPLACE t SET a=1", V::Replace),
        ("UPDATE t SET a=1", V::Update),
        ("DELETE FROM t", V::Delete),
        ("DO SLEEP(1)", V::Do),
        ("CALL p(1)", V::Call),
        ("LOAD INDEX INTO CACHE t", V::IndexCache),
        ("IMPORT TABLE FROM 'x'", V::ImportTable),
        ("HANDLER t OPEN", V::Handler),
        ("EXPLAIN SELECT 1", V::Explain),
        ("DESC SELECT 1", V::Explain),
        ("EXPLAIN (SELECT 1)", V::Explain),
        ("EXPLAIN FORMAT=TREE SELECT 1", V::Explain),
        ("EXPLAIN FORMAT=JSON INTO @x SELECT 1", V::Explain),
        ("EXPLAIN FORMAT=PODWAY FOR SCHEMA s SELECT 1", V::Explain),
        ("EXPLAIN FORMAT = TREE FOR SCHEMA s SELECT 1", V::Explain),
        ("EXPLAIN ANALYZE SELECT 1", V::ExplainAnalyze),
        ("EXPLAIN ANALYZE FORMAT=TREE WITH a AS (SELECT 1) SELECT 1", V::ExplainAnalyze),
        ("EXPLAIN FOR CONNECTION 5", V::ExplainForConnection),
        ("EXPLAIN t", V::Describe),
        ("DESCRIBE t c", V::Describe),
        ("HELP 'x'", V::Help),
        ("SHOW TABLES", V::Show),
        ("LOCK INSTANCE FOR BACKUP", V::LockInstance),
        ("UNLOCK INSTANCE", V::UnlockInstance),
        ("CREATE TABLE t (a INT)", V::CreateTable),
        ("CREATE TEMPORARY TABLE t (a INT)", V::CreateTemporaryTable),
        ("CREATE /*!32302 TEMPORARY */ TABLE t (a INT)", V::CreateTemporaryTable),
        ("ALTER TABLE t ADD b INT", V::AlterTable),
        ("DROP TABLE IF EXISTS t", V::DropTable),
        ("DROP TEMPORARY TABLE t", V::DropTemporaryTable),
        ("RENAME TABLE a TO b", V::RenameTable),
        ("RENAME USER a TO b", V::Account),
        ("TRUNCATE TABLE t", V::Truncate),
        ("TRUNCATE t", V::Truncate),
        ("CREATE UNIQUE INDEX i ON t (a)", V::CreateIndex),
        ("CREATE FULLTEXT INDEX i ON t (a)", V::CreateIndex),
        ("CREATE SPATIAL INDEX i ON t (a)", V::CreateIndex),
        ("CREATE SPATIAL REFERENCE SYSTEM 1 NAME 'x'", V::OtherDefinition),
        ("CREATE OR REPLACE SPATIAL REFERENCE SYSTEM 1 NAME 'x'", V::OtherDefinition),
        ("DROP INDEX i ON t", V::DropIndex),
        (
            "CREATE OR REPLACE ALGORITHM=MERGE DEFINER=`table`@`%` SQL SECURITY INVOKER VIEW v AS SELECT 1",
            V::CreateView,
        ),
        ("ALTER VIEW v AS SELECT 1", V::AlterView),
        ("CREATE DATABASE d", V::CreateDatabase),
        ("DROP SCHEMA d", V::DropDatabase),
        ("ALTER DATABASE d READ ONLY = 1", V::AlterDatabase),
        ("CREATE DEFINER=event@localhost PROCEDURE p() SELECT 1", V::CreateRoutine),
        (
            "CREATE DEFINER = CURRENT_USER() TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a=1",
            V::CreateRoutine,
        ),
        (
            "/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET @a=1 */",
            V::CreateRoutine,
        ),
        ("CREATE AGGREGATE FUNCTION f RETURNS REAL SONAME 'x'", V::CreateRoutine),
        ("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1", V::CreateRoutine),
        ("ALTER EVENT e ENABLE", V::AlterRoutine),
        ("DROP PROCEDURE p", V::DropRoutine),
        ("CREATE USER 'u'@'h'", V::Account),
        ("ALTER USER u IDENTIFIED BY 'x'", V::Account),
        ("DROP ROLE r", V::Account),
        ("GRANT SELECT ON *.* TO u", V::Account),
        ("REVOKE ALL ON *.* FROM u", V::Account),
        ("CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x')", V::OtherDefinition),
        ("ALTER INSTANCE RELOAD TLS", V::OtherDefinition),
        ("CREATE RESOURCE GROUP g TYPE=USER", V::OtherDefinition),
        ("CREATE UNDO TABLESPACE u ADD DATAFILE 'x'", V::OtherDefinition),
        ("ANALYZE TABLE t", V::TableMaintenance),
        ("CHECKSUM TABLE t", V::ChecksumTable),
        ("CACHE INDEX t IN c", V::IndexCache),
        ("FLUSH TABLES", V::Flush),
        ("RESET PERSIST", V::Reset),
        ("SHUTDOWN", V::Shutdown),
        ("INSTALL PLUGIN p SONAME 'x'", V::Plugin),
        ("CHANGE REPLICATION SOURCE TO SOURCE_HOST='x'", V::Replication),
        ("START REPLICA", V::Replication),
        ("GET DIAGNOSTICS @n = NUMBER", V::GetDiagnostics),
        ("GET STACKED DIAGNOSTICS @n = NUMBER", V::GetDiagnostics),
        ("SIGNAL SQLSTATE '45000'", V::Signal),
        ("FROBNICATE", V::Unknown),
        ("WITH", V::Unknown),
    ];
    for (sql, verb) in cases {
        assert_eq!(recognised(sql).verb, verb, "{sql}");
    }
}

#[test]
fn explain_names_the_verb_and_the_text_that_it_explains() {
    let cases = [
        ("EXPLAIN SELECT 1", Some(Verb::Select), "SELECT"),
        ("EXPLAIN FORMAT=JSON INTO @x UPDATE t SET a=1", Some(Verb::Update), "UPDATE"),
        ("DESC (SELECT 1)", Some(Verb::Select), "(SELECT"),
        ("EXPLAIN ANALYZE WITH a AS (SELECT 1) DELETE FROM t", Some(Verb::Delete), "WITH"),
        ("/* c */ SELECT 1", None, "SELECT"),
        ("DESC t", None, "DESC"),
    ];
    for (sql, explained, body) in cases {
        let (n, found) = recognised_in(sql, SqlMode::empty());
        assert_eq!(found.explained, explained, "{sql}");
        assert!(n.template()[found.body as usize..].starts_with(body.as_bytes()), "{sql}");
    }
}

#[test]
fn effects_are_seen_wherever_they_stand() {
    use Effects as E;
    let pinned = E::ASSIGNS_USER_VARIABLES | E::PINS;
    let cases = [
        ("SELECT 1", E::empty()),
        ("SELECT * FROM t FOR UPDATE", E::LOCKS_ROWS),
        ("SELECT * FROM t FOR SHARE SKIP LOCKED", E::LOCKS_ROWS),
        ("SELECT * FROM t LOCK IN SHARE MODE", E::LOCKS_ROWS),
        ("SELECT * FROM t /*!40001 FOR UPDATE */", E::LOCKS_ROWS),
        ("SELECT SQL_CALC_FOUND_ROWS * FROM t", E::CALC_FOUND_ROWS),
        ("SELECT FOUND_ROWS(), ROW_COUNT()", E::READS_DIAGNOSTICS),
        ("SELECT @@warning_count, @@session.error_count", E::READS_DIAGNOSTICS),
        ("SELECT LAST_INSERT_ID()", E::READS_LAST_INSERT_ID),
        ("SELECT @@identity + @@last_insert_id", E::READS_LAST_INSERT_ID),
        ("UPDATE s SET id = LAST_INSERT_ID(id + 1)", E::SETS_LAST_INSERT_ID | E::WRITES),
        ("SELECT @a, @b", E::READS_USER_VARIABLES),
        ("SELECT 1 BETWEEN@a AND@b", E::READS_USER_VARIABLES),
        ("SELECT @a := 1", pinned),
        ("SELECT @a := @b", pinned | E::READS_USER_VARIABLES),
        ("SELECT 1, 2 INTO @a, @b", pinned | E::SELECTS_INTO),
        ("SELECT a INTO @a FROM t", pinned | E::SELECTS_INTO),
        ("SELECT 1 INTO OUTFILE 'x'", E::SERVER_FILES | E::WRITES),
        ("SELECT LOAD_FILE('x')", E::SERVER_FILES),
        ("SELECT GET_LOCK('a', 1)", E::USER_LOCKS | E::PINS),
        ("SELECT `get_lock`('a', 1)", E::USER_LOCKS | E::PINS),
        ("SELECT RELEASE_LOCK('a'), IS_FREE_LOCK('a')", E::USER_LOCKS),
        ("DO RELEASE_ALL_LOCKS()", E::USER_LOCKS),
        ("SET @a = 1", E::ASSIGNS_USER_VARIABLES),
        ("SET @a := 1", E::ASSIGNS_USER_VARIABLES),
        ("SET @a = @b", E::ASSIGNS_USER_VARIABLES | E::READS_USER_VARIABLES),
        ("SET @a = (@b := 1)", pinned),
        ("SET @a = LAST_INSERT_ID()", E::ASSIGNS_USER_VARIABLES | E::READS_LAST_INSERT_ID),
        ("SET SESSION sql_mode = ''", E::empty()),
        ("SET GLOBAL x = 1", E::WRITES),
        ("SET ROLE r", E::PINS),
        ("SET PASSWORD = 'x'", E::WRITES | E::IMPLICIT_COMMIT),
        ("GET DIAGNOSTICS @n = NUMBER", pinned | E::READS_DIAGNOSTICS),
        ("SHOW WARNINGS", E::READS_DIAGNOSTICS | E::READS_SYSTEM_SCHEMA),
        ("BEGIN", E::IMPLICIT_COMMIT),
        ("COMMIT", E::empty()),
        ("CREATE TABLE t (a INT)", E::WRITES | E::IMPLICIT_COMMIT),
        ("CREATE TEMPORARY TABLE t (a INT)", E::WRITES | E::CREATES_TEMPORARY_TABLE | E::PINS),
        ("DROP TEMPORARY TABLE t", E::WRITES | E::DROPS_TEMPORARY_TABLE),
        ("LOCK TABLES t READ", E::IMPLICIT_COMMIT | E::PINS),
        ("FLUSH TABLES WITH READ LOCK", E::WRITES | E::IMPLICIT_COMMIT | E::PINS),
        ("CALL p(@a)", pinned | E::WRITES | E::MANY_RESULTS | E::READS_USER_VARIABLES),
        ("PREPARE p FROM @s", E::PINS | E::READS_USER_VARIABLES),
        ("LOAD DATA INFILE 'x' INTO TABLE t", E::WRITES | E::SERVER_FILES),
        ("LOAD DATA LOCAL INFILE 'x' INTO TABLE t", E::WRITES),
        ("SELECT * FROM information_schema.tables", E::READS_SYSTEM_SCHEMA),
        ("SELECT * FROM `mysql` . user", E::READS_SYSTEM_SCHEMA),
        ("SELECT * FROM _podway.meta", E::NAMES_PODWAY),
        ("SELECT * FROM `_Podway`.meta", E::NAMES_PODWAY),
        ("SELECT /*+ SET_VAR(time_zone='UTC') */ 1", E::SET_VAR_HINT),
        (
            "CREATE VIEW v AS SELECT @@warning_count",
            E::WRITES | E::IMPLICIT_COMMIT | E::STORES_TEXT | E::READS_DIAGNOSTICS,
        ),
        ("EXPLAIN UPDATE t SET a=1", E::READS_SYSTEM_SCHEMA),
        ("EXPLAIN ANALYZE UPDATE t JOIN u SET a=1", E::READS_SYSTEM_SCHEMA | E::WRITES),
        ("GRANT SELECT ON *.* TO u@localhost", E::WRITES | E::IMPLICIT_COMMIT),
        ("INSERT INTO user (a) VALUES (1)", E::WRITES),
        ("SELECT 'LAST_INSERT_ID() @a GET_LOCK(1)'", E::empty()),
        ("SELECT t.last_insert_id, `found_rows`, db.get_lock(1)", E::empty()),
    ];
    for (sql, effects) in cases {
        assert_eq!(recognised(sql).effects, effects, "{sql}");
    }
}

#[test]
fn calls_are_found_with_their_spans_and_items() {
    use FunctionKind as F;
    type Found<'a> = (F, &'a str, Option<&'a str>);
    let cases: [(&str, &[Found<'_>]); 20] = [
        ("SELECT CONNECTION_ID()", &[(F::ConnectionId, "CONNECTION_ID()", Some("CONNECTION_ID()"))]),
        ("SELECT connection_id ( ) AS c", &[(F::ConnectionId, "connection_id ( )", None)]),
        ("SELECT CONNECTION_ID() c, 1", &[(F::ConnectionId, "CONNECTION_ID()", None)]),
        ("SELECT CONNECTION_ID() 'c'", &[(F::ConnectionId, "CONNECTION_ID()", None)]),
        (
            "SELECT SQL_NO_CACHE 1, ROW_COUNT() + 'x', 2 FROM t",
            &[(F::RowCount, "ROW_COUNT()", Some("ROW_COUNT() + 'x'"))],
        ),
        (
            "SELECT CASE WHEN ROW_COUNT() THEN 1 ELSE 2 END",
            &[(F::RowCount, "ROW_COUNT()", Some("CASE WHEN ROW_COUNT() THEN 1 ELSE 2 END"))],
        ),
        ("SELECT ROW_COUNT() AND a", &[(F::RowCount, "ROW_COUNT()", Some("ROW_COUNT() AND a"))]),
        ("SELECT a FROM t WHERE x = LAST_INSERT_ID()", &[(F::LastInsertId, "LAST_INSERT_ID()", None)]),
        (
            "SELECT IF(1, DATABASE(), SCHEMA ())",
            &[
                (F::Database, "DATABASE()", Some("IF(1, DATABASE(), SCHEMA ())")),
                (F::Database, "SCHEMA ()", Some("IF(1, DATABASE(), SCHEMA ())")),
            ],
        ),
        (
            "SELECT @@identity, @@session.last_insert_id x",
            &[
                (F::Identity, "@@identity", Some("@@identity")),
                (F::LastInsertIdVariable, "@@session.last_insert_id", None),
            ],
        ),
        (
            "SELECT @@pseudo_thread_id",
            &[(F::PseudoThreadId, "@@pseudo_thread_id", Some("@@pseudo_thread_id"))],
        ),
        ("(SELECT FOUND_ROWS()) UNION SELECT 1", &[(F::FoundRows, "FOUND_ROWS()", Some("FOUND_ROWS()"))]),
        (
            "SELECT CURRENT_USER, USER()",
            &[(F::CurrentUser, "CURRENT_USER", Some("CURRENT_USER")), (F::User, "USER()", Some("USER()"))],
        ),
        ("SELECT `database`()", &[]),
        ("INSERT INTO user () VALUES ()", &[]),
        ("INSERT INTO t VALUES (LAST_INSERT_ID(), 'a')", &[(F::LastInsertId, "LAST_INSERT_ID()", None)]),
        (
            "SELECT GET_LOCK(DATABASE(), 1)",
            &[
                (F::GetLock, "GET_LOCK(DATABASE(), 1)", Some("GET_LOCK(DATABASE(), 1)")),
                (F::Database, "DATABASE()", Some("GET_LOCK(DATABASE(), 1)")),
            ],
        ),
        ("CREATE VIEW v AS SELECT CONNECTION_ID()", &[]),
        ("SET @a = CONNECTION_ID()", &[(F::ConnectionId, "CONNECTION_ID()", None)]),
        (
            "SELECT 'long literal', CONNECTION_ID() /* c */",
            &[(F::ConnectionId, "CONNECTION_ID()", Some("CONNECTION_ID()"))],
        ),
    ];
    for (sql, expected) in cases {
        let (n, found) = recognised_in(sql, SqlMode::empty());
        let text = |span: TemplateSpan| &sql[n.original_range(span.range())];
        let found: Vec<Found<'_>> =
            found.functions.iter().map(|f| (f.kind, text(f.span), f.unaliased_item.map(text))).collect();
        assert_eq!(found, expected, "{sql}");
    }
}

#[test]
fn variables_are_listed_once() {
    let found = recognised("SELECT @a, @A, @`b c` INTO @d, @e");
    assert_eq!(found.user_variables, [Name::caseless("a"), Name::caseless("b c")]);
    assert_eq!(found.assigned_variables, [Name::caseless("d"), Name::caseless("e")]);
    let found = recognised("SET @x = @@global.sql_mode, @@session.time_zone = @y");
    assert_eq!(found.user_variables, [Name::caseless("y")]);
    assert_eq!(found.assigned_variables, [Name::caseless("x")]);
    let read: Vec<_> = found.system_variables.iter().map(|v| (v.scope, v.name.to_string())).collect();
    assert_eq!(read, [(Scope::Global, "sql_mode".to_string())]);
}

#[test]
fn temporary_tables_are_named() {
    let table = |schema: Option<&str>, name: &str| QualifiedName {
        schema: schema.map(Into::into),
        name: name.into(),
    };
    let cases = [
        ("CREATE TEMPORARY TABLE t (a INT)", vec![table(None, "t")]),
        ("CREATE TEMPORARY TABLE IF NOT EXISTS `d`.`t` LIKE u", vec![table(Some("d"), "t")]),
        ("DROP TEMPORARY TABLE IF EXISTS a, b.c", vec![table(None, "a"), table(Some("b"), "c")]),
        ("DROP TABLE a", vec![]),
    ];
    for (sql, expected) in cases {
        assert_eq!(recognised(sql).temporary_tables, expected, "{sql}");
    }
}

#[test]
fn quoted_names_follow_the_mode() {
    let (_, found) = recognised_in("USE \"My Shop\"", SqlMode::ANSI_QUOTES);
    assert_eq!(found.statement, Statement::Use("My Shop".into()));
    let (_, found) = recognised_in("USE \"My Shop\"", SqlMode::empty());
    assert_eq!(found.statement, Statement::Malformed(4));
}
