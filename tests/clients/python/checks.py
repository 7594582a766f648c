"""What all Python client programs share: their arguments and their report.

A program runs groups of checks. A check that fails is reported with what was expected and what was found, and the rest goes on;
the program's exit status is 1 if any failed. It never creates tables: ../tables.sql has them.
"""

import contextlib
import pathlib
import sys
import traceback

MEBIBYTE = 1 << 20
LARGE = 20 * MEBIBYTE


class Target:
    """Where to connect, from the command line."""

    def __init__(self, arguments):
        if len(arguments) != 7:
            sys.exit(f"usage: {arguments[0]} HOST PORT USER PASSWORD DATABASE SHARDS")
        self.host = arguments[1]
        self.port = int(arguments[2])
        self.user = arguments[3]
        self.password = arguments[4]
        self.database = arguments[5]
        self.shards = int(arguments[6])


class Checks:
    """The report of one program."""

    def __init__(self, name):
        self.name = name
        self.group_name = ""
        self.failures = 0

    @contextlib.contextmanager
    def group(self, name):
        """Checks that belong together. An exception ends the group, not the program."""
        self.group_name = name
        before = self.failures
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever the driver raises is the finding
            place = traceback.extract_tb(error.__traceback__)
            here = [frame for frame in place if "site-packages" not in frame.filename][-1]
            self.fail(f"{type(error).__name__}: {error}, at {pathlib.Path(here.filename).name}:{here.lineno}: {here.line}")
        if self.failures == before:
            print(f"ok {self.name}: {name}", flush=True)

    def fail(self, text):
        self.failures += 1
        print(f"FAILED {self.name}: {self.group_name}: {text}", flush=True)

    def equal(self, what, found, expected):
        """Equal and of one type."""
        if type(found) is not type(expected) or found != expected:
            self.fail(f"{what}: expected {shown(expected)}, found {shown(found)}")

    def holds(self, what, condition, found=""):
        if not condition:
            self.fail(f"{what}: does not hold; found {shown(found)}")

    def refused(self, what, error_class, code, state, action, *arguments):
        """`action` must fail with this error; returns the message."""
        try:
            result = action(*arguments)
        except error_class as error:
            number = getattr(error, "errno", None) or error.args[0]
            self.equal(f"{what}: errno ({error})", number, code)
            found_state = getattr(error, "sqlstate", None)
            if found_state is not None:
                self.equal(f"{what}: SQLSTATE ({error})", found_state, state)
            return str(error)
        self.fail(f"{what}: error {code} was expected, but it went through: {shown(result)}")
        return ""

    def finish(self):
        print(f"{self.name}: {self.failures} failed", flush=True)
        sys.exit(1 if self.failures else 0)


def shown(value):
    """A value for the report: with its type, and not longer than a line or two."""
    text = repr(value)
    if len(text) > 200:
        text = f"{text[:120]} … {text[-40:]} ({len(text)} characters)"
    return f"{text} ({type(value).__name__})"
