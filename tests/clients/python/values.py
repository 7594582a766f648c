"""The values of every type, from ../values.json, and how MySQL itself spells what it has stored."""

import datetime
import decimal
import json
import pathlib


def columns_of_every_type():
    """(column, kind, [text, text, text]) of every column of every_type."""
    path = pathlib.Path(__file__).parent.parent / "values.json"
    for column in json.loads(path.read_text(encoding="utf-8")):
        yield column["column"], column["kind"], [spelled_out(value) for value in column["values"]]


def spelled_out(value):
    return value if isinstance(value, str) else value["repeat"] * value["times"]


def server_text(column, kind):
    """An expression that makes MySQL itself say what it has stored, in a spelling that no driver converts."""
    if kind == "bytes":
        return f"LOWER(HEX({column}))"
    if kind == "bit":
        return f"CAST({column} + 0 AS CHAR)"
    if kind == "text":
        return f"LOWER(HEX(CONVERT({column} USING utf8mb4)))"
    return f"CAST({column} AS CHAR)"


def expected_server_text(kind, text):
    return text.encode().hex() if kind == "text" else text


def same_server_text(kind, found, expected):
    if kind == "float":
        return float(found) == float(expected)
    return found == expected


def to_python(kind, text):
    """The Python value that a text of ../values.json stands for."""
    converters = {
        "int": int,
        "bit": int,
        "decimal": decimal.Decimal,
        "float": float,
        "bytes": bytes.fromhex,
        "date": datetime.date.fromisoformat,
        "datetime": datetime.datetime.fromisoformat,
        "time": to_timedelta,
    }
    return converters.get(kind, str)(text)


def to_timedelta(text):
    hours, minutes, seconds = text.lstrip("-").split(":")
    micros = round(decimal.Decimal(seconds) * 1_000_000)
    time = datetime.timedelta(hours=int(hours), minutes=int(minutes), microseconds=micros)
    return -time if text.startswith("-") else time


class EveryType:
    """Puts every value into every_type and compares what comes back, for any DB-API driver."""

    def __init__(self, checks, to_parameter, to_expected, from_driver):
        """`to_parameter(kind, text)`: the value to send; `to_expected(kind, text)`: the one to come back;
        `from_driver(kind, value)`: what is compared with it."""
        self.checks = checks
        self.to_parameter = to_parameter
        self.to_expected = to_expected
        self.from_driver = from_driver

    def check(self, execute, query, mark="%s", first_id=101, left_out=()):
        """`execute(sql, parameters)` changes rows, `query(sql, parameters)` returns them. Of the columns left out, only what
        MySQL has is looked at: the driver cannot read them."""
        columns = list(columns_of_every_type())
        names = ", ".join(name for name, _, _ in columns)
        marks = ", ".join([mark] * (len(columns) + 1))
        spelled = ", ".join(server_text(name, kind) for name, kind, _ in columns)
        for row in range(4):
            number = first_id + row
            # The last row is all NULL.
            texts = [texts[row] if row < 3 else None for _, _, texts in columns]
            sent = [text if text is None else self.to_parameter(kind, text) for (_, kind, _), text in zip(columns, texts)]
            execute(f"DELETE FROM every_type WHERE id = {mark}", [number])
            execute(f"INSERT INTO every_type (id, {names}) VALUES ({marks})", [number, *sent])
            found = query(f"SELECT {names} FROM every_type WHERE id = {mark}", [number])[0]
            stored = query(f"SELECT {spelled} FROM every_type WHERE id = {mark}", [number])[0]
            for (name, kind, _), text, value, in_server in zip(columns, texts, found, stored):
                if name not in left_out:
                    self.compare(f"{name} in row {row}", kind, text, value)
                self.compare_stored(f"{name} in row {row}", kind, text, in_server)

    def compare(self, what, kind, text, value):
        if text is None:
            self.checks.equal(what, value, None)
        else:
            self.checks.equal(what, self.from_driver(kind, value), self.to_expected(kind, text))

    def compare_stored(self, what, kind, text, stored):
        if text is None:
            self.checks.equal(f"{what} in MySQL", stored, None)
            return
        asked = expected_server_text(kind, text)
        holds = same_server_text(kind, stored, asked)
        self.checks.holds(f"{what}: MySQL has {asked[:80]}", holds, stored)
