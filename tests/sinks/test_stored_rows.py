"""A table has the delivered rows afterwards, or nothing is stored: triggers, constraints, types, views."""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3

import msgspec
import pytest

import lean_worker as lw
from lean_worker.results import StreamSummary
from lean_worker.sinks.sink_set import SinkSet
from support import FUNCTIONS


class Row(msgspec.Struct):
    i: int
    name: str | None = None
    x: float = 0.0


COMMAND = lw.StreamingCommand("rows", row=Row)
PLAIN = "CREATE TABLE rows (i INTEGER, name TEXT, x REAL);"


def rows(*numbers):
    return [Row(number, f"n{number}", number / 2) for number in numbers]


def store(path, new, mode="append", table="rows", command=COMMAND, told=None):
    sinks = SinkSet(lw.sinks.SqliteSink(path, table, mode=mode), command)
    sinks.open()
    try:
        sinks._open[""].write(new, 1)
        told = len(new) if told is None else told
        sinks.commit(StreamSummary(told, {"rows": told}, 0, None))
    finally:
        sinks.close()


def read(path, table="rows"):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute(f'SELECT i, name, x FROM "{table}" ORDER BY i').fetchall()


@pytest.fixture
def database(tmp_path):
    def make(script):
        path = tmp_path / "rows.db"
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.executescript(script)
        return path

    return make


LOSSES = {
    "a trigger ignores": PLAIN
    + "CREATE TRIGGER t BEFORE INSERT ON rows WHEN new.i = 2 BEGIN SELECT RAISE(IGNORE); END;",
    "a trigger deletes": PLAIN
    + "CREATE TRIGGER t AFTER INSERT ON rows WHEN new.i = 2 BEGIN DELETE FROM rows WHERE i = 2; END;",
    "a trigger deletes others": PLAIN
    + "CREATE TRIGGER t AFTER INSERT ON rows WHEN new.i = 3 BEGIN DELETE FROM rows WHERE i = 0; END;",
    "a trigger adds": PLAIN
    + "CREATE TRIGGER t AFTER INSERT ON rows WHEN new.i = 2 BEGIN INSERT INTO rows VALUES (9, 'x', 0); END;",
    "a trigger changes": PLAIN
    + "CREATE TRIGGER t AFTER INSERT ON rows WHEN new.i = 2 BEGIN UPDATE rows SET name = 'N' WHERE i = 2; END;",
    "a trigger swaps": PLAIN
    + "CREATE TRIGGER t AFTER INSERT ON rows WHEN new.i = 3 BEGIN DELETE FROM rows WHERE i = 2;"
    " INSERT INTO rows VALUES (3, 'n3', 1.5); END;",
    "a constraint ignores": "CREATE TABLE rows (i INTEGER UNIQUE ON CONFLICT IGNORE, name TEXT, x REAL);",
    "a constraint replaces": "CREATE TABLE rows (i INTEGER UNIQUE ON CONFLICT REPLACE, name TEXT, x REAL);",
    "a key replaces": "CREATE TABLE rows (i INTEGER PRIMARY KEY ON CONFLICT REPLACE, name TEXT, x REAL);",
    "a key ignores": "CREATE TABLE rows (i INTEGER PRIMARY KEY ON CONFLICT IGNORE, name TEXT, x REAL) WITHOUT ROWID;",
}


@pytest.mark.parametrize("how", LOSSES)
def test_rows_that_would_be_lost_or_changed(database, how):
    path = database(LOSSES[how])
    store(path, rows(0))
    before = read(path)
    with pytest.raises(lw.SinkError, match="were delivered|rows were changed") as caught:
        store(path, rows(1, 2, 3, 0) if "constraint" in how or "key" in how else rows(1, 2, 3))
    assert (caught.value.path, caught.value.doing, caught.value.is_decided) == (str(path), "committing", False)
    assert "'rows'" in caught.value.text and read(path) == before
    if "trigger" in how:
        with pytest.raises(lw.SinkError):
            store(path, rows(0, 1, 2, 3), "replace")
        assert read(path) == before


def test_a_trigger_that_keeps_old_rows(database):
    path = database(PLAIN + "CREATE TRIGGER t BEFORE DELETE ON rows BEGIN SELECT RAISE(IGNORE); END;")
    store(path, rows(1))
    with pytest.raises(lw.SinkError, match="cannot be deleted"):
        store(path, rows(2), "replace")
    assert read(path) == [(1, "n1", 0.5)]


def test_columns_of_other_types(database):
    """A value arrives as it is, or nothing does."""
    path = database("CREATE TABLE rows (i REAL, name TEXT, x REAL);")
    with pytest.raises(lw.SinkError, match="would become"):
        store(path, rows(1, 2**53 + 1))
    assert read(path) == []
    path = database("DROP TABLE rows; CREATE TABLE rows (i INTEGER, name INTEGER, x REAL);")
    store(path, rows(1))  # "n1" stays a text there
    with pytest.raises(lw.SinkError, match="would become"):
        store(path, [Row(2, "12")])
    path = database("DROP TABLE rows; CREATE TABLE rows (i VARCHAR(10), name CLOB, x DOUBLE);")
    with pytest.raises(lw.SinkError, match="would become"):
        store(path, rows(1))
    # To replace the rows by others is to have columns of their types.
    store(path, rows(2**53 + 1), "replace")
    assert read(path) == [(2**53 + 1, f"n{2**53 + 1}", (2**53 + 1) / 2)]


ALLOWED = {
    "a log": PLAIN
    + "CREATE TABLE log (i); CREATE TRIGGER t AFTER INSERT ON rows BEGIN INSERT INTO log VALUES (1); END;",
    "a date": "CREATE TABLE rows (i INTEGER, name TEXT, x REAL, at TEXT);"
    "CREATE TRIGGER t AFTER INSERT ON rows BEGIN UPDATE rows SET at = 'now' WHERE rowid = new.rowid; END;",
    "a default": "CREATE TABLE rows (i INTEGER, name TEXT, x REAL, at TEXT DEFAULT 'now');",
    "a generated column": "CREATE TABLE rows (i INTEGER, double AS (2 * i), name TEXT, x REAL);",
    "a key": "CREATE TABLE rows (i INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, x REAL);",
    "no row ids": "CREATE TABLE rows (i INTEGER, name TEXT, x REAL, PRIMARY KEY (i, name)) WITHOUT ROWID;",
    "no types": "CREATE TABLE rows (i, name, x);",
    "letters": "CREATE TABLE ROWS (I INTEGER, Name TEXT, X REAL);",
    "full text": "CREATE VIRTUAL TABLE rows USING fts5(i, name, x);",
}


@pytest.mark.parametrize("how", ALLOWED)
def test_tables_of_all_kinds(database, how):
    try:
        path = database(ALLOWED[how])
    except sqlite3.OperationalError as error:
        pytest.skip(f"SQLite here has no such tables: {error}")
    store(path, rows(1, 5))
    store(path, [Row(2, None, 0.5), Row(3, "N1", 1.0)] if how != "no row ids" else rows(2, 3))
    assert [row[0] for row in read(path)] == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("script", "place"),
    [
        (
            "CREATE TABLE rows (i INTEGER, name INTEGER, x REAL);",
            ("name", 1, "'007' would become 7", "INTEGER", "TEXT"),
        ),
        ("CREATE TABLE rows (i INTEGER, name NUMERIC, x);", ("name", 1, "'007' would become 7", "NUMERIC", "TEXT")),
        ("CREATE TABLE rows (x TEXT, name TEXT, i INTEGER);", ("x", 0, "0.5 would become '0.5'", "TEXT", "REAL")),
        ("CREATE TABLE rows (i REAL, name TEXT, x REAL);", ("i", 0, "4 would become 4.0", "REAL", "INTEGER")),
        # The ids of such rows are not those of their order.
        ("CREATE TABLE rows (i INTEGER PRIMARY KEY, name INTEGER, x REAL);", None),
        ("CREATE TABLE rows (i INTEGER PRIMARY KEY, name INTEGER, x REAL) WITHOUT ROWID;", None),
    ],
)
def test_the_first_value_that_a_column_changes_is_named(database, script, place):
    path = database(script + "INSERT INTO rows (i, name) VALUES (9, 'n');")
    before = read(path)
    with pytest.raises(lw.SinkError) as caught:
        store(path, [Row(4, "n4", 0.5), Row(2, "007", 1.5)])
    error = caught.value
    if place is None:
        assert (error.column, error.row) == (None, None)
        assert "were changed in the table" in error.text
    else:
        column, row, change, there, given = place
        assert (error.column, error.row) == (column, row)
        assert change in error.text
        assert f"as {there}, and the rows as {given}" in error.text
    assert read(path) == before


@pytest.mark.parametrize("mode", ["append", "replace"])
@pytest.mark.parametrize("trigger", ["", "CREATE TRIGGER t INSTEAD OF INSERT ON v BEGIN SELECT 1; END;"])
def test_a_view_is_no_table(database, mode, trigger):
    path = database(PLAIN + "CREATE VIEW v AS SELECT * FROM rows;" + trigger)
    with pytest.raises(lw.SinkError, match="is a view there, and no table") as caught:
        store(path, rows(1), mode, "v")
    assert caught.value.doing == "opening" and read(path) == []


def test_constraints_that_refuse(database):
    path = database("CREATE TABLE rows (i INTEGER CHECK (i < 3), name TEXT NOT NULL, x REAL);")
    store(path, rows(1))
    for new in (rows(2, 3), [Row(2)]):
        with pytest.raises(lw.SinkError, match="constraint failed"):
            store(path, new)
    assert read(path) == [(1, "n1", 0.5)]


def test_a_table_whose_part_is_not_what_was_delivered(database):
    path = database(PLAIN)
    with pytest.raises(lw.SinkError, match="3 rows were delivered and 2 stored"):
        store(path, rows(1, 2), told=3)
    assert read(path) == []


def test_names_that_cannot_be_tables(tmp_path):
    for name in ("", "a\0b", "\ud800", "_lean_worker_commits", "_Lean_Worker_Commits", "sqlite_x", "SQLite_", 3):
        with pytest.raises(lw.UsageError, match="table's name"):
            lw.sinks.SqliteSink(tmp_path / "rows.db", name)


def test_a_database_that_another_program_holds_is_told_with_a_hint(tmp_path):
    path = tmp_path / "rows.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE x (y)")
        other.execute("BEGIN EXCLUSIVE")
        with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
            with pytest.raises(lw.SinkError, match="database is locked") as caught:
                lease.run(lw.StreamingCommand("rows"), {"count": 1}, sink=lw.sinks.SqliteSink(path))
    assert "Another program writes to the database" in caught.value.hint


def test_fields_that_are_one_column_to_sqlite(tmp_path):
    class Alike(msgspec.Struct):
        a: int
        A: int

    command, sink = lw.StreamingCommand("rows", row=Alike), lw.sinks.SqliteSink(tmp_path / "rows.db")
    with lw.Pool() as pool, pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.UsageError, match="'a' and 'A' are one column to SQLite"):
            lease.run(command, {"count": 1}, sink=sink)
    assert list(tmp_path.iterdir()) == []


STATEMENTS = {
    "BEFORE": ["SELECT RAISE(IGNORE)", "DELETE FROM rows WHERE i = new.i - 1", "UPDATE rows SET x = x + 1"],
    "AFTER": [
        "DELETE FROM rows WHERE i = new.i",
        "UPDATE rows SET i = i + 100 WHERE i = new.i",
        "INSERT INTO rows VALUES (new.i, new.name, new.x)",
        "SELECT 1",
        "UPDATE rows SET name = upper(name) WHERE i = new.i",
        "INSERT INTO other VALUES (new.i)",
    ],
}
COLUMNS = ["INTEGER", "TEXT", "REAL", "", "NUMERIC", "INTEGER UNIQUE ON CONFLICT IGNORE"]


@pytest.mark.parametrize("seed", range(2))
def test_any_table(tmp_path, seed):
    """A model: after a store that returned the table is as it was and the rows that were delivered; else as it was."""
    choose = random.Random(seed)
    outcomes = set()
    for number in range(30):
        path = tmp_path / f"{number}.db"
        types = [choose.choice(COLUMNS) for _ in range(3)]
        script = f"CREATE TABLE rows (i {types[0]}, name {types[1]}, x {types[2]}); CREATE TABLE other (i);"
        if choose.random() < 0.6:
            moment = choose.choice(["BEFORE", "AFTER"])
            when = choose.choice(["", "WHEN new.i % 3 = 0", "WHEN new.name IS NULL"])
            script += f"CREATE TRIGGER t {moment} INSERT ON rows {when} BEGIN {choose.choice(STATEMENTS[moment])}; END;"
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.executescript(script)
        for _ in range(3):
            before = values_of(path)
            new = [
                Row(
                    choose.choice([choose.randint(0, 9), 2**53 + 1, -(2**63)]),
                    choose.choice([None, "", "a", "A", "12", "1e3", "é\0"]),
                    choose.choice([0.0, 0.5, -1.0, 1e300, 2.0**60]),
                )
                for _ in range(choose.randint(0, 5))
            ]
            mode = choose.choice(["append", "append", "replace"])
            try:
                store(path, new, mode)
                old = [] if mode == "replace" else before
                delivered = [(row.i, "integer", row.name, kind(row.name), row.x, "real") for row in new]
                assert values_of(path) == sorted([*old, *delivered], key=repr), script
                outcomes.add("stored")
            except lw.SinkError:
                assert values_of(path) == before, script
                outcomes.add("refused")
    assert outcomes == {"stored", "refused"}


def kind(name):
    return "null" if name is None else "text"


def values_of(path):
    names = itertools.chain.from_iterable((name, f"typeof({name})") for name in ("i", "name", "x"))
    with contextlib.closing(sqlite3.connect(path)) as database:
        return sorted(database.execute(f"SELECT {', '.join(names)} FROM rows"), key=repr)


# -- columns that have the names of SQLite's own numbers of rows --

OWN_NAMES = ["rowid", "RowId", "_rowid_", "oid", "OID"]
NAMES = [names for count in (1, 2, 3) for names in itertools.combinations(OWN_NAMES, count)]
ONE_COLUMN_EACH = [names for names in NAMES if len(set(map(str.casefold, names))) == len(names)]


def numbered(names, numbers):
    """A command of rows with columns of these names, and rows in no order."""
    row = msgspec.defstruct("Numbered", [("n", int), *((name, int) for name in names)])
    return lw.StreamingCommand("rows", row=row), [row(n, *(5 * n * n % 11 - 3 for _ in names)) for n in numbers]


@pytest.mark.parametrize("names", ONE_COLUMN_EACH, ids=" ".join)
def test_a_column_may_have_the_name_of_a_row_s_number(tmp_path, names):
    path = tmp_path / "rows.db"
    command, new = numbered(names, range(20))
    for mode, times in (("append", 1), ("append", 2), ("replace", 1)):
        store(path, new, mode, command=command)
        with contextlib.closing(sqlite3.connect(path)) as database:
            assert [row[0] for row in database.execute("SELECT * FROM rows")] == [row.n for row in new] * times


@pytest.mark.parametrize("names", ONE_COLUMN_EACH, ids=" ".join)
def test_what_such_a_table_would_change_is_told(database, names):
    """Its values are of any type; none of them is taken for a number of a row, or for SQL."""
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join("'it''s'" for _ in names)
    path = database(f"CREATE TABLE rows (n NUMERIC, {columns}); INSERT INTO rows VALUES (0, {values});")
    command, new = numbered(names, range(1, 5))
    store(path, new, command=command)
    row = msgspec.defstruct("Text", [("n", str), *((name, int) for name in names)])
    for n in ("x", "12"):
        texts = [row(n, *(3 for _ in names))]
        if n == "x":
            store(path, texts, command=lw.StreamingCommand("rows", row=row))
        else:
            with pytest.raises(lw.SinkError, match="'12' would become 12|were changed in the table"):
                store(path, texts, command=lw.StreamingCommand("rows", row=row))
    with contextlib.closing(sqlite3.connect(path)) as found:
        assert [each[0] for each in found.execute("SELECT n FROM rows")] == [0, 1, 2, 3, 4, "x"]


def test_replaced_rows_may_have_null_where_the_old_ones_had_none(tmp_path):
    path = tmp_path / "rows.db"
    old, new = (msgspec.defstruct("Numbered", [("n", kind)]) for kind in (int, int | None))
    store(path, [old(1)], command=lw.StreamingCommand("rows", row=old))
    store(path, [new(2), new(None)], "replace", command=lw.StreamingCommand("rows", row=new))
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT n FROM rows").fetchall() == [(2,), (None,)]
