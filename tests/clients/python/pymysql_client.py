"""PyMySQL, a client in pure Python: it knows no prepared statements and writes parameters into the text itself."""

import decimal
import functools
import hashlib
import importlib.metadata
import json
import ssl
import sys
import tempfile

import pymysql
import pymysql.cursors
from pymysql.constants import CLIENT

from checks import LARGE, Checks, Target
from values import EveryType, to_python

IDS = range(1, 17)
"""Enough ids that every shard has some."""


def connect(target, **options):
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    settings = {
        "host": target.host, "port": target.port, "user": target.user, "password": target.password,
        "database": target.database, "ssl": tls, "autocommit": True, "max_allowed_packet": 64 << 20,
        "init_command": None, "charset": "utf8mb4",
    }
    settings.update(options)
    return pymysql.connect(**settings)


def listed(parameters):
    return parameters if parameters is None or isinstance(parameters, (list, tuple)) else [parameters]


def rows(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, listed(parameters))
        return [list(row) for row in cursor.fetchall()]


def run(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        return cursor.execute(sql, listed(parameters))


def connecting(checks, target):
    # The first login of a user takes the long way of caching_sha2_password: here by the server's RSA key, as there is no TLS.
    for name, tls in [("plain", None), ("TLS", True)]:
        options = {} if tls else {"ssl": None, "ssl_disabled": True}
        connection = connect(target, **options)
        checks.equal(f"{name}: DATABASE()", rows(connection, "SELECT DATABASE()"), [[target.database]])
        checks.equal(f"{name}: on TLS", isinstance(connection._sock, ssl.SSLSocket), bool(tls))
        checks.equal(f"{name}: USER()", rows(connection, "SELECT SUBSTRING_INDEX(USER(), '@', 1)"), [[target.user]])
        version = rows(connection, "SELECT @@version")[0][0]
        checks.equal(f"{name}: the greeting's version", connection.get_server_info(), version)
        checks.equal(f"{name}: the greeting's number", connection.thread_id(), rows(connection, "SELECT CONNECTION_ID()")[0][0])
        connection.close()
    error = pymysql.err.OperationalError
    checks.refused("a wrong password", error, 1045, "28000", lambda: connect(target, password="wrong"))
    checks.refused("an empty password", error, 1045, "28000", lambda: connect(target, password=""))
    checks.refused("an unknown user", error, 1045, "28000", lambda: connect(target, user="nobody_at_all"))
    message = checks.refused("an unknown database", error, 1049, "42000", lambda: connect(target, database="no_such_db"))
    checks.holds("1049 names the database", "'no_such_db'" in message, message)
    with connect(target, database=None) as connection:
        checks.equal("no database", rows(connection, "SELECT DATABASE()"), [[None]])
        checks.refused("no database selected", error, 1046, "3D000", run, connection, "SELECT * FROM settings")
        connection.select_db(target.database)
        checks.equal("after COM_INIT_DB", rows(connection, "SELECT DATABASE()"), [[target.database]])
        checks.refused("COM_INIT_DB of an unknown one", error, 1049, "42000", connection.select_db, "no_such_db")
        run(connection, f"USE `{target.database}`")
        checks.equal("after USE", rows(connection, "SELECT DATABASE()"), [[target.database]])


def queries(checks, connection, target):
    for number in IDS:
        run(connection, "DELETE FROM entries WHERE account_id = %s", number)
        run(connection, "DELETE FROM accounts WHERE id = %s", number)
        checks.equal("INSERT", run(connection, "INSERT INTO accounts VALUES (%s, %s, %s)", (number, f"owner {number}", 100)), 1)
    for number in IDS:
        found = rows(connection, "SELECT id, owner, balance FROM accounts WHERE id = %s", number)
        checks.equal(f"account {number}", found, [[number, f"owner {number}", 100]])
        joined = "SELECT a.owner, c.name FROM accounts a JOIN countries c ON c.code = 'JP' WHERE a.id = %s"
        found = rows(connection, joined, number)
        checks.equal(f"account {number} with a reference table", found, [[f"owner {number}", "日本"]])
        qualified = f"SELECT COUNT(*) FROM `{target.database}`.accounts WHERE id = %s"
        checks.equal("qualified", rows(connection, qualified, number), [[1]])
    checks.equal("a reference table", rows(connection, "SELECT name FROM countries ORDER BY code"),
                 [["Österreich"], ["日本"], ["United States"]])
    checks.equal("no row", rows(connection, "SELECT * FROM accounts WHERE id = 999"), [])
    with connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute("SELECT owner AS o, balance * 2 AS `twice the` FROM accounts WHERE id = 3")
        checks.equal("names", cursor.fetchall(), [{"o": "owner 3", "twice the": 200}])
    for number in IDS:
        with connection.cursor() as cursor:
            cursor.execute("SELECT owner FROM accounts WHERE id = %s", [number])
            field = cursor._result.fields[0]
            checks.equal("a column's names", (field.db.decode(), field.table_name, field.org_table, field.name),
                         (target.database, "accounts", "accounts", "owner"))


def every_type(checks, connection):
    run(connection, "SET time_zone = '+00:00'")

    # A TIME goes as its text: PyMySQL writes a negative timedelta in a way that MySQL does not read.
    def to_parameter(kind, text):
        return text if kind == "time" else to_python(kind, text)

    def to_expected(kind, text):
        return json.loads(text) if kind == "json" else to_python(kind, text)

    def from_driver(kind, value):
        if kind == "bit":
            return int.from_bytes(value, "big")
        return json.loads(value) if kind == "json" else value

    both = functools.partial(run, connection), functools.partial(rows, connection)
    EveryType(checks, to_parameter, to_expected, from_driver).check(*both)


def errors(checks, connection, target):
    error = pymysql.err.MySQLError
    for number in IDS:
        message = checks.refused("a duplicate", error, 1062, "23000", run, connection,
                                 "INSERT INTO accounts VALUES (%s, 'again', 0)", number)
        checks.holds("1062 names the key", "'accounts.PRIMARY'" in message, message)
        message = checks.refused("a foreign key", error, 1452, "23000", run, connection,
                                 "INSERT INTO entries VALUES (%s, 1, 'no account')", number + 1000)
        checks.holds("1452 has the logical name", f"(`{target.database}`.`entries`," in message, message)
        unknown = "SELECT nope FROM accounts WHERE id = %s"
        checks.refused("an unknown column", error, 1054, "42S22", run, connection, unknown, number)
    message = checks.refused("an unknown table", error, 1146, "42S02", run, connection, "SELECT * FROM no_such_table")
    checks.holds("1146 has the logical name", f"'{target.database}.no_such_table'" in message, message)
    message = checks.refused("syntax", error, 1064, "42000", run, connection, "SELEC 1")
    checks.holds("1064 shows the place", "'SELEC 1'" in message, message)
    checks.refused("no data", error, 1048, "23000", run, connection, "INSERT INTO settings (name) VALUES (NULL)")
    checks.equal("usable after errors", rows(connection, "SELECT 1"), [[1]])


def large_values(checks, connection):
    body = bytes(range(256)) * (LARGE // 256)
    for number in IDS[:4]:
        run(connection, "DELETE FROM blobs WHERE id = %s", number)
        run(connection, "INSERT INTO blobs VALUES (%s, %s)", (number, body))
        found = rows(connection, "SELECT body, LENGTH(body), SHA2(body, 256) FROM blobs WHERE id = %s", number)[0]
        checks.equal(f"blob {number}", [found[0] == body, *found[1:]], [True, LARGE, hashlib.sha256(body).hexdigest()])
        run(connection, "DELETE FROM blobs WHERE id = %s", number)
    # A payload of exactly 16 MiB less one byte is followed by an empty packet.
    for length in [(1 << 24) - 2, (1 << 24) - 1, 1 << 24]:
        text = "SELECT LENGTH('" + "x" * (length - len("\x03SELECT LENGTH('')")) + "')"
        checks.equal(f"a command of {length} bytes", rows(connection, text), [[length - len("\x03SELECT LENGTH('')")]])
        # The row's payload is its one cell: four bytes of length and the text.
        checks.equal(f"a row of {length} bytes", len(rows(connection, f"SELECT REPEAT('y', {length - 4})")[0][0]), length - 4)


def transactions(checks, target):
    connection, other = connect(target, autocommit=False), connect(target)
    balance = lambda where, number: rows(where, "SELECT balance FROM accounts WHERE id = %s", number)  # noqa: E731
    for number in IDS[:6]:
        run(other, "UPDATE accounts SET balance = 100 WHERE id = %s", number)
        run(connection, "UPDATE accounts SET balance = 50 WHERE id = %s", number)
        checks.equal("own write", balance(connection, number), [[50]])
        checks.equal("not yet committed", balance(other, number), [[100]])
        connection.rollback()
        checks.equal("rolled back", balance(connection, number), [[100]])
        connection.commit()
        connection.begin()
        run(connection, "UPDATE accounts SET balance = 60 WHERE id = %s", number)
        run(connection, "SAVEPOINT here")
        run(connection, "UPDATE accounts SET balance = 70 WHERE id = %s", number)
        run(connection, "ROLLBACK TO SAVEPOINT here")
        run(connection, "RELEASE SAVEPOINT here")
        connection.commit()
        checks.equal("to the savepoint", balance(other, number), [[60]])
        checks.refused("no such savepoint", pymysql.err.MySQLError, 1305, "42000", run, connection, "ROLLBACK TO SAVEPOINT here")
    connection.autocommit(True)
    checks.equal("autocommit", (connection.get_autocommit(), rows(connection, "SELECT @@autocommit")), (True, [[1]]))
    run(connection, "START TRANSACTION READ ONLY")
    checks.refused("a read-only transaction", pymysql.err.MySQLError, 1792, "25006", run, connection,
                   "UPDATE accounts SET balance = 1 WHERE id = 1")
    connection.rollback()
    run(connection, "BEGIN")
    run(connection, "UPDATE accounts SET balance = 1 WHERE id = 1")
    connection.close()
    checks.equal("closing rolls back", balance(other, 1), [[60]])
    other.close()


def results_of_writes(checks, connection):
    run(connection, "DELETE FROM settings")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO settings (name, n) VALUES ('first', 1)")
        first = cursor.lastrowid
        checks.holds("an insert id", first > 0, first)
        checks.equal("LAST_INSERT_ID()", rows(connection, "SELECT LAST_INSERT_ID()"), [[first]])
        cursor.executemany("INSERT INTO settings (name, n) VALUES (%s, %s)", [("second", 2), ("third", 3)])
        checks.equal("many rows", cursor.rowcount, 2)
        checks.equal("ROW_COUNT()", rows(connection, "SELECT ROW_COUNT()"), [[2]])
        checks.equal("an update of two", cursor.execute("UPDATE settings SET n = 9 WHERE n > 1"), 2)
        checks.equal("an update of nothing new", cursor.execute("UPDATE settings SET n = 9 WHERE n > 1"), 0)
        run(connection, "SET SESSION sql_mode = ''")
        cursor.execute("UPDATE settings SET n = 300 WHERE name = 'first'")
        checks.equal("warnings", cursor._result.warning_count, 1)
        checks.equal("SHOW WARNINGS", connection.show_warnings(),
                     (("Warning", 1264, "Out of range value for column 'n' at row 1"),))
        checks.equal("clamped", rows(connection, "SELECT n FROM settings WHERE name = 'first'"), [[127]])
        checks.equal("a delete", cursor.execute("DELETE FROM settings"), 3)
    run(connection, "SET SESSION sql_mode = DEFAULT")


def found_rows_of_the_client(checks, target):
    with connect(target, client_flag=CLIENT.FOUND_ROWS) as found, connect(target) as changed:
        for number in IDS[:6]:
            run(changed, "UPDATE accounts SET balance = 7 WHERE id = %s", number)
            for _ in range(2):
                checks.equal("rows found", run(found, "UPDATE accounts SET balance = 7 WHERE id = %s", number), 1)
                checks.equal("rows changed", run(changed, "UPDATE accounts SET balance = 7 WHERE id = %s", number), 0)


def session_state(checks, target):
    """Sessions that take turns on the same pooled connections keep what is theirs."""
    sessions = [connect(target) for _ in range(4)]
    zones = ["+01:00", "-03:30", "+00:00", "+09:00"]
    modes = ["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "PIPES_AS_CONCAT"]
    charsets = ["utf8mb4", "latin1", "utf8mb4", "ascii"]
    for n, session in enumerate(sessions):
        run(session, f"SET NAMES {charsets[n]}")
        run(session, f"SET time_zone = '{zones[n]}', @n = {n}, @text = 'of {n}'")
        run(session, f"SET SESSION sql_mode = '{modes[n]}'")
    for number in IDS:
        for n, session in enumerate(sessions):
            found = rows(session, "SELECT @@character_set_client, @@time_zone, @@sql_mode, @n, @text, "
                         f"HOUR(FROM_UNIXTIME(0)) FROM accounts WHERE id = {number}")
            hour = [1, 20, 0, 9][n]
            checks.equal(f"session {n} at {number}", found, [[charsets[n], zones[n], modes[n], n, f"of {n}", hour]])
    checks.equal("ANSI_QUOTES", rows(sessions[1], 'SELECT "balance" + 0 FROM accounts WHERE id = 16'), [[100]])
    checks.equal("NO_BACKSLASH_ESCAPES", rows(sessions[2], "SELECT LENGTH('\\')"), [[1]])
    checks.equal("PIPES_AS_CONCAT", rows(sessions[3], "SELECT 'a' || 'b'"), [["ab"]])
    for n, session in enumerate(sessions):
        run(session, "SET @n = @n + 10")
        checks.equal("a variable from a variable", rows(session, "SELECT @n"), [[n + 10]])
        session.close()
    with connect(target) as fresh:
        found = rows(fresh, "SELECT @n, @@sql_mode = @@GLOBAL.sql_mode, @@time_zone")
        checks.equal("a new session has none of it", found, [[None, 1, "SYSTEM"]])


def living_and_dying(checks, target):
    connection = connect(target)
    connection.ping()
    old = connection.thread_id()
    with connect(target) as killer:
        run(killer, f"KILL {old}")
    try:
        rows(connection, "SELECT 1")
        checks.fail("a killed connection answered")
    except pymysql.err.OperationalError as error:
        checks.holds("killed", error.args[0] in (2006, 2013, 4031), error)
    connection.connect()
    checks.holds("a new connection", connection.thread_id() != old, old)
    checks.equal("reconnected", rows(connection, "SELECT DATABASE()"), [[target.database]])
    connection.close()


def several_statements(checks, target):
    connection = connect(target, client_flag=CLIENT.MULTI_STATEMENTS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1; SET @a = 'x;y'; SELECT @a, ';' /* ; */; SELECT balance FROM accounts WHERE id = 16")
        found = []
        while True:
            found.append(cursor.fetchall())
            if not cursor.nextset():
                break
        checks.equal("results", found, [((1,),), [], (("x;y", ";"),), ((100,),)])
        cursor.execute("SELECT 1; SELECT nope; SELECT 3")
        checks.equal("before the error", cursor.fetchall(), ((1,),))
        checks.refused("in the second", pymysql.err.MySQLError, 1054, "42S22", cursor.nextset)
        checks.equal("usable after it", rows(connection, "SELECT 5"), [[5]])
        if target.shards == 1:
            cursor.execute("CALL two_results(5)")
            found = [cursor.fetchall()]
            while cursor.nextset():
                found.append(cursor.fetchall())
            checks.equal("a procedure's results", found, [((5,),), ((6, "second"),), []])
        else:
            checks.refused("CALL over shards", pymysql.err.MySQLError, 1235, "42000", cursor.execute, "CALL two_results(5)")
    connection.close()
    with connect(target) as single:
        checks.refused("without MULTI_STATEMENTS", pymysql.err.MySQLError, 1064, "42000", run, single, "SELECT 1; SELECT 2")


def unbuffered(checks, target):
    digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)"
    number = "a.d + 5 * b.d + 25 * c.d + 125 * e.d"
    many = f"SELECT {number}, REPEAT('z', 500) FROM {digits} a, {digits} b, {digits} c, {digits} e ORDER BY 1"
    with connect(target, cursorclass=pymysql.cursors.SSCursor) as connection:
        with connection.cursor() as cursor:
            cursor.execute(many)
            checks.equal("row by row", [row[0] for row in cursor.fetchall_unbuffered()], list(range(625)))
            cursor.execute(many)
            checks.equal("left early", cursor.fetchone()[0], 0)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'next'")
            checks.equal("after it", cursor.fetchall(), [("next",)])


def infile(checks, target):
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file, connect(target, local_infile=True) as connection:
        run(connection, "DELETE FROM settings")
        file.write("".join(f"row {n},{n % 100}\n" for n in range(5000)))
        file.flush()
        load = f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE settings FIELDS TERMINATED BY ',' (name, n)"
        checks.equal("rows loaded", run(connection, load), 5000)
        checks.equal("rows there", rows(connection, "SELECT COUNT(*), SUM(n) FROM settings"), [[5000, decimal.Decimal(247500)]])
        run(connection, "DELETE FROM settings")
        missing = load.replace(file.name, "/no/such/file")
        checks.refused("a file that is not there", pymysql.err.OperationalError, 1017, "HY000", run, connection, missing)
        checks.equal("usable after it", rows(connection, "SELECT COUNT(*) FROM settings"), [[0]])


def main():
    target = Target(sys.argv)
    checks = Checks(f"PyMySQL {importlib.metadata.version('PyMySQL')}")
    with checks.group("connecting"):
        connecting(checks, target)
    with checks.group("queries"), connect(target) as connection:
        queries(checks, connection, target)
    with checks.group("every type"), connect(target) as connection:
        every_type(checks, connection)
    with checks.group("errors"), connect(target) as connection:
        errors(checks, connection, target)
    with checks.group("session state"):
        session_state(checks, target)
    with checks.group("several statements"):
        several_statements(checks, target)
    with checks.group("results of writes"), connect(target) as connection:
        results_of_writes(checks, connection)
    with checks.group("transactions"):
        transactions(checks, target)
    with checks.group("CLIENT_FOUND_ROWS"):
        found_rows_of_the_client(checks, target)
    with checks.group("unbuffered"):
        unbuffered(checks, target)
    with checks.group("LOCAL INFILE"):
        infile(checks, target)
    with checks.group("ping, kill, reconnect"):
        living_and_dying(checks, target)
    with checks.group("large values"), connect(target) as connection:
        large_values(checks, connection)
    checks.finish()


main()
