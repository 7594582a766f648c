"""mysql-connector-python, MySQL's own driver for Python, twice: in pure Python and as an extension around libmysqlclient."""

import functools
import hashlib
import io
import json
import sys
import warnings

import mysql.connector
from mysql.connector.constants import ClientFlag

from checks import LARGE, Checks, Target
from values import EveryType, to_python

IDS = range(1, 17)
"""Enough ids that every shard has some."""

Refused = mysql.connector.Error


class Client:
    """One of the two ways to the target."""

    def __init__(self, target, pure):
        self.target = target
        self.pure = pure

    def connect(self, **options):
        settings = {
            "host": self.target.host, "port": self.target.port, "user": self.target.user, "password": self.target.password,
            "database": self.target.database, "use_pure": self.pure, "autocommit": True, "charset": "utf8mb4",
            "client_flags": [-ClientFlag.MULTI_STATEMENTS],
        }
        settings.update(options)
        return mysql.connector.connect(**settings)


def fetched(cursor, sql, parameters):
    cursor.execute(sql, parameters or ())
    return [list(row) for row in cursor.fetchall()] if cursor.with_rows else cursor.rowcount


def run(connection, sql, parameters=None):
    """By a text: the rows, or how many were changed."""
    cursor = connection.cursor()
    found = fetched(cursor, sql, parameters)
    cursor.close()
    return found


def prepared(connection, sql, parameters=None):
    """By a prepared statement: the rows, or how many were changed."""
    cursor = connection.cursor(prepared=True)
    found = fetched(cursor, sql, parameters)
    cursor.close()
    return found


def connecting(checks, client):
    target = client.target
    # TLS first: the pure driver has no other long way of caching_sha2_password, and the first login of a user takes that one.
    for name, options in [("TLS", {}), ("TLS 1.2", {"tls_versions": ["TLSv1.2"]}), ("plain", {"ssl_disabled": True})]:
        connection = client.connect(**options)
        checks.equal(f"{name}: DATABASE()", run(connection, "SELECT DATABASE()"), [[target.database]])
        checks.equal(f"{name}: on TLS", is_on_tls(connection), name != "plain")
        checks.equal(f"{name}: connection id", connection.connection_id, run(connection, "SELECT CONNECTION_ID()")[0][0])
        connection.close()
    checks.refused("a wrong password", Refused, 1045, "28000", lambda: client.connect(password="wrong"))
    checks.refused("an unknown database", Refused, 1049, "42000", lambda: client.connect(database="no_such_db"))
    connection = client.connect(database=None)
    checks.equal("no database", run(connection, "SELECT DATABASE()"), [[None]])
    connection.database = target.database
    checks.equal("after its choice", run(connection, "SELECT DATABASE()"), [[target.database]])
    connection.close()


def is_on_tls(connection):
    if hasattr(connection, "_cmysql"):
        return connection._cmysql.get_ssl_cipher() is not None
    return "SSL" in type(connection._socket.sock).__name__


def queries(checks, connection):
    for number in IDS:
        prepared(connection, "DELETE FROM entries WHERE account_id = ?", [number])
        prepared(connection, "DELETE FROM accounts WHERE id = ?", [number])
        insert = "INSERT INTO accounts (id, owner, balance) VALUES (?, ?, ?)"
        checks.equal("INSERT", prepared(connection, insert, [number, f"owner {number}", 100]), 1)
    cursor = connection.cursor(prepared=True)
    for number in [*IDS, *IDS]:
        # One statement, prepared once, whose rows lie on every shard in turn.
        found = fetched(cursor, "SELECT id, owner, balance FROM accounts WHERE id = ?", [number])
        checks.equal(f"account {number}, prepared", found, [[number, f"owner {number}", 100]])
        found = run(connection, "SELECT id, owner, balance FROM accounts WHERE id = %s", [number])
        checks.equal(f"account {number}, as text", found, [[number, f"owner {number}", 100]])
    cursor.close()
    for key in ["7", 7.0, "7.0"]:
        found = prepared(connection, "SELECT owner FROM accounts WHERE id = ?", [key])
        checks.equal(f"a key as {key!r}", found, [["owner 7"]])
    checks.equal("a key of NULL", prepared(connection, "SELECT owner FROM accounts WHERE id = ?", [None]), [])
    checks.equal("a reference table", prepared(connection, "SELECT name FROM countries WHERE code = ?", ["JP"]), [["日本"]])
    checks.equal("no table", prepared(connection, "SELECT ?, ?", ["ä", 5]), [["ä", 5]])


def every_type(checks, connection, pure):
    run(connection, "SET time_zone = '+00:00'")

    def to_expected(kind, text):
        if kind == "json":
            return json.loads(text)
        return set(text.split(",")) if kind == "set" else to_python(kind, text)

    def from_driver(kind, value):
        if isinstance(value, (bytes, bytearray)):
            value = bytes(value) if kind in ("bytes", "bit") else value.decode()
        if isinstance(value, set):
            value = ",".join(sorted(value))
        if kind == "bit" and isinstance(value, bytes):
            return int.from_bytes(value, "big")
        return json.loads(value) if kind == "json" else value

    values = EveryType(checks, to_python, to_expected, from_driver)
    values.check(functools.partial(run, connection), functools.partial(run, connection))

    # What the driver itself gets wrong in the binary protocol is not asked of it. The pure one binds negative times as MySQL
    # takes none, loses the sign of a TIME that it reads, and reads a YEAR as text. The C one binds doubles as FLOAT and times
    # wrongly, has no integers over 2^63, and ends a text at its first NUL.
    def to_bound(kind, text):
        if kind == "bit":
            # As a signed number, of the same bits.
            return int(text) - (1 << 64) if int(text) >= 1 << 63 else int(text)
        is_big = kind == "int" and int(text) >= 1 << 63
        is_beyond_it = (kind == "time" and text.startswith("-")) if pure else (kind in ("time", "float") or is_big)
        return text if is_beyond_it else to_python(kind, text)

    values = EveryType(checks, to_bound, to_expected, from_driver)
    left_out = ["c_time", "c_time0", "c_year"] if pure else ["c_ubigint", "c_varchar", "c_text"]
    both = functools.partial(prepared, connection), functools.partial(prepared, connection)
    values.check(*both, mark="?", first_id=201, left_out=left_out)


def errors(checks, connection, target):
    for execute, mark in [(run, "%s"), (prepared, "?")]:
        way = execute.__name__
        for number in IDS:
            duplicate = f"INSERT INTO accounts VALUES ({mark}, 'again', 0)"
            checks.refused(f"{way}: a duplicate", Refused, 1062, "23000", execute, connection, duplicate, [number])
            unknown = f"SELECT nope FROM accounts WHERE id = {mark}"
            checks.refused(f"{way}: an unknown column", Refused, 1054, "42S22", execute, connection, unknown, [number])
        unknown = "SELECT * FROM no_such_table"
        message = checks.refused(f"{way}: an unknown table", Refused, 1146, "42S02", execute, connection, unknown)
        checks.holds(f"{way}: the logical name", f"'{target.database}.no_such_table'" in message, message)
        checks.refused(f"{way}: syntax", Refused, 1064, "42000", execute, connection, "SELEC 1")
        checks.equal(f"{way}: usable after errors", execute(connection, "SELECT 1"), [[1]])


def large_values(checks, connection, pure):
    body = bytes(range(256)) * (LARGE // 256)
    ways = [("text", run, "%s", body), ("prepared", prepared, "?", body)]
    if pure:
        # An open file goes ahead of the execution, by COM_STMT_SEND_LONG_DATA.
        ways.append(("long data", prepared, "?", None))
    for name, execute, mark, value in ways:
        execute(connection, f"DELETE FROM blobs WHERE id = {mark}", [31])
        sent = value if value is not None else NamedBytes(body)
        execute(connection, f"INSERT INTO blobs VALUES ({mark}, {mark})", [31, sent])
        found = execute(connection, f"SELECT LENGTH(body), SHA2(body, 256) FROM blobs WHERE id = {mark}", [31])
        checks.equal(f"{name}: in MySQL", found, [[LARGE, hashlib.sha256(body).hexdigest()]])
        # The pure driver does not join the packets of a binary row over 16 MiB: that one is read as text.
        if pure:
            execute, mark = run, "%s"
        found = execute(connection, f"SELECT body FROM blobs WHERE id = {mark}", [31])[0][0]
        checks.holds(f"{name}: comes back", bytes(found) == body, len(found))
        run(connection, "DELETE FROM blobs WHERE id = 31")


class NamedBytes(io.BytesIO):
    """A file in memory that says, as files do, that it is binary."""

    mode = "rb"


def transactions(checks, client):
    connection, other = client.connect(autocommit=False), client.connect()
    update, select = "UPDATE accounts SET balance = ? WHERE id = ?", "SELECT balance FROM accounts WHERE id = ?"
    for number in IDS[:6]:
        prepared(other, update, [100, number])
        checks.equal("an update", prepared(connection, update, [50, number]), 1)
        checks.equal("in a transaction", connection.in_transaction, True)
        checks.equal("own write", prepared(connection, select, [number]), [[50]])
        checks.equal("not yet committed", prepared(other, select, [number]), [[100]])
        connection.rollback()
        checks.equal("not in one", connection.in_transaction, False)
        checks.equal("rolled back", prepared(other, select, [number]), [[100]])
        connection.start_transaction(isolation_level="READ COMMITTED")
        prepared(connection, update, [60, number])
        run(connection, "SAVEPOINT here")
        prepared(connection, update, [70, number])
        run(connection, "ROLLBACK TO here")
        connection.commit()
        checks.equal("to the savepoint", prepared(other, select, [number]), [[60]])
    connection.autocommit = True
    checks.equal("autocommit", (connection.autocommit, run(connection, "SELECT @@autocommit")), (True, [[1]]))
    connection.start_transaction(readonly=True)
    checks.refused("a read-only transaction", Refused, 1792, "25006", prepared, connection, update, [1, 1])
    connection.rollback()
    connection.close()
    other.close()


def results_of_writes(checks, connection):
    run(connection, "DELETE FROM settings")
    for execute, name in [(run, "by text"), (prepared, "prepared")]:
        cursor = connection.cursor(prepared=execute is prepared)
        cursor.execute(f"INSERT INTO settings (name, n) VALUES ('{name}', 1)")
        checks.equal(f"{name}: rows", cursor.rowcount, 1)
        checks.equal(f"{name}: LAST_INSERT_ID()", execute(connection, "SELECT LAST_INSERT_ID()"), [[cursor.lastrowid]])
        run(connection, "SET SESSION sql_mode = ''")
        cursor.execute(f"UPDATE settings SET n = 300 WHERE name = '{name}'")
        if execute is run:
            checks.equal(f"{name}: warnings", cursor.warning_count, 1)
        shown = run(connection, "SHOW WARNINGS")
        checks.equal(f"{name}: SHOW WARNINGS", shown, [["Warning", 1264, "Out of range value for column 'n' at row 1"]])
        run(connection, "SET SESSION sql_mode = DEFAULT")
        cursor.close()
    checks.equal("a delete", run(connection, "DELETE FROM settings"), 2)


def session_state(checks, client):
    """Sessions that take turns on the same pooled connections keep what is theirs."""
    sessions = [client.connect(time_zone=zone) for zone in ["+01:00", "-03:30", "+00:00", "+09:00"]]
    for n, session in enumerate(sessions):
        run(session, "SET @n = %s", [n])
        session.sql_mode = ["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "PIPES_AS_CONCAT"][n]
    for number in IDS:
        for n, session in enumerate(sessions):
            found = prepared(session, "SELECT @n, HOUR(FROM_UNIXTIME(0)) FROM accounts WHERE id = ?", [number])
            checks.equal(f"session {n} at {number}", found, [[n, [1, 20, 0, 9][n]]])
    checks.equal("PIPES_AS_CONCAT", prepared(sessions[3], "SELECT 'a' || 'b'"), [["ab"]])
    for session in sessions:
        session.close()


def living_and_dying(checks, client):
    target = client.target
    connection = client.connect()
    connection.ping()
    old = connection.connection_id
    run(connection, "SET @kept = 1, time_zone = '+05:00'")
    connection.cmd_reset_connection()
    checks.equal("after a reset", run(connection, "SELECT @kept, @@time_zone, DATABASE()"), [[None, "SYSTEM", target.database]])
    checks.equal("the id stays", run(connection, "SELECT CONNECTION_ID()"), [[old]])
    run(connection, "SET @kept = 1")
    connection.cmd_change_user(target.user, target.password, target.database)
    checks.equal("after change_user", run(connection, "SELECT @kept, DATABASE()"), [[None, target.database]])
    checks.holds("COM_STATISTICS", "Uptime" in str(connection.cmd_statistics()), connection.cmd_statistics())
    other = client.connect()
    checks.refused("change_user, wrongly", Refused, 1045, "28000", other.cmd_change_user, target.user, "wrong", target.database)
    if client.pure:
        checks.refused("killed by itself", Refused, 1317, "70100", connection.cmd_process_kill, old)
    else:
        checks.refused("killed by itself", Refused, 1317, "70100", run, connection, f"KILL {old}")
    connection.reconnect(attempts=3)
    checks.holds("a new connection", connection.connection_id != old, old)
    checks.equal("reconnected", prepared(connection, "SELECT owner FROM accounts WHERE id = ?", [3]), [["owner 3"]])
    connection.close()


def several_statements(checks, client):
    connection = client.connect(client_flags=[ClientFlag.MULTI_STATEMENTS])
    cursor = connection.cursor()
    cursor.execute("SELECT 1; SET @a = 'x;y'; SELECT @a; SELECT owner FROM accounts WHERE id = 16", map_results=True)
    found = [rows for _, rows in cursor.fetchsets() if rows]
    checks.equal("results", found, [[(1,)], [("x;y",)], [("owner 16",)]])
    if client.target.shards == 1:
        cursor.callproc("two_results", [5])
        found = [result.fetchall() for result in stored_results(cursor)]
        checks.equal("a procedure's results", found, [[(5,)], [(6, "second")]])
    else:
        checks.refused("CALL over shards", Refused, 1235, "42000", run, connection, "CALL two_results(5)")
    connection.close()
    connection = client.connect()
    checks.refused("without MULTI_STATEMENTS", Refused, 1064, "42000", run, connection, "SELECT 1; SELECT 2")
    connection.close()


def stored_results(cursor):
    with warnings.catch_warnings(action="ignore"):
        return list(cursor.stored_results())


def cursor_on_the_server(checks, client):
    """COM_STMT_EXECUTE with a read-only cursor, and COM_STMT_FETCH: only the pure driver has a way to ask for it."""
    connection = client.connect()
    digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)"
    select = f"SELECT a.d + 5 * b.d FROM accounts, {digits} a, {digits} b WHERE accounts.id = ? ORDER BY 1"
    statement = connection.cmd_stmt_prepare(select.encode())
    number = statement["statement_id"]
    for id in IDS:
        _, columns, _ = connection.cmd_stmt_execute(number, [id], statement["parameters"], flags=1)
        found = []
        for _ in range(3):
            connection.cmd_stmt_fetch(number, 10)
            part, end = connection.get_rows(binary=True, columns=columns)
            found.append([row[0] for row in part])
        checks.equal("in parts of ten", found, [list(range(10)), list(range(10, 20)), list(range(20, 25))])
        connection.cmd_stmt_reset(number)
    connection.cmd_stmt_close(number)
    checks.equal("usable after it", run(connection, "SELECT 1"), [[1]])
    connection.close()


def try_all(checks, client):
    target = client.target
    with checks.group("connecting"):
        connecting(checks, client)
    with_connection = [
        ("queries", queries, []), ("every type", every_type, [client.pure]), ("errors", errors, [target]),
        ("results of writes", results_of_writes, []), ("large values", large_values, [client.pure]),
    ]
    for name, group, more in with_connection:
        with checks.group(name), client.connect() as connection:
            group(checks, connection, *more)
    groups = [
        ("session state", session_state), ("several statements", several_statements), ("transactions", transactions),
        ("ping, reset, change_user, kill, reconnect", living_and_dying),
    ]
    if client.pure:
        groups.append(("cursor on the server", cursor_on_the_server))
    for name, group in groups:
        with checks.group(name):
            group(checks, client)


def main():
    target = Target(sys.argv)
    version = mysql.connector.__version__
    checks = Checks(f"mysql-connector-python {version}")
    for pure in [True, False]:
        checks.name = f"mysql-connector-python {version} ({'pure' if pure else 'C'})"
        if not pure and not mysql.connector.HAVE_CEXT:
            checks.fail("the C extension is not in this machine's wheel")
            continue
        try_all(checks, Client(target, pure))
    checks.finish()


main()
