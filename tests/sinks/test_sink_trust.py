"""A sink believes no files of others, and touches only those of its own directory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import sqlite3
import stat
import struct
from pathlib import Path

import pyarrow.parquet
import pytest

import lean_worker as lw
from lean_worker import sinks
from lean_worker.base import landlock
from lean_worker.sinks import sqlite as sqlite_sink
from lean_worker.sinks import tables
from lean_worker.sinks.journal import Journal, RenameRecord, encoded, journal_name, write_journal
from storing import Stored, files, store, store_and_die
from support import FUNCTIONS

GROUP = "0123456789abcdef"
IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="making files of other users takes root")


def part_name(target="rows.jsonl", group=GROUP, number=1):
    return f".{target}.lw{group}-{number}.part"


def plant(directory, actions, *, home=None, others=(), group=GROUP):
    """A journal as this user's own process would write it, such as code in a sandbox can."""
    here = encoded(directory)
    listed = [encoded(other) for other in others]
    journal = Journal(group, here, here if home is None else encoded(home), listed, actions)
    write_journal(directory / journal_name(group), journal).close()


def rename_of(part, target):
    found = part.lstat()
    return RenameRecord(encoded(part.name), encoded(target), found.st_size, found.st_mtime_ns)


@pytest.fixture
def victim(tmp_path):
    """A directory that no sink writes to, with a file that nobody may touch."""
    home = tmp_path / "victim"
    home.mkdir(mode=0o700)
    (home / "precious").write_text("precious\n")
    yield home
    assert sorted(os.listdir(home)) == ["precious"] and (home / "precious").read_text() == "precious\n"


@pytest.fixture
def shared(tmp_path):
    directory = tmp_path / "shared"
    directory.mkdir()
    return directory


def test_a_planted_journal_of_the_old_form_is_refused(shared, victim):
    (shared / "evil").write_text("evil\n")
    journal = shared / journal_name(GROUP)
    action = {"type": "rename", "part": str(shared / "evil"), "target": str(victim / "precious")}
    journal.write_text(json.dumps({"actions": [action], "pointers": [], "elsewhere": None}))
    with pytest.raises(lw.errors.RecoveryError, match="does not begin as a journal") as caught:
        sinks.recover(shared)
    assert (caught.value.reason, caught.value.path) == (
        "damaged",
        str(journal),
    ) and f"rm {journal}" in caught.value.hint
    store(files(shared, "a"), b"1")  # unrelated work goes on
    assert (shared / "a").read_text() == "1\n" and (shared / "evil").exists()


@as_root
@pytest.mark.parametrize("how", ["owner", "mode", "link", "symbolic link", "fifo", "directory"])
def test_a_journal_that_others_could_have_written_is_refused(shared, how):
    shared.chmod(0o1777)
    part = shared / part_name()
    part.write_text("evil\n")
    plant(shared, [rename_of(part, "rows.jsonl")])
    journal = shared / journal_name(GROUP)
    if how == "owner":
        os.chown(journal, 65534, 65534)
    elif how == "mode":
        journal.chmod(0o664)
    elif how == "link":
        os.link(journal, shared / "second")
    else:
        journal.rename(shared / "elsewhere")
        if how == "symbolic link":
            journal.symlink_to(shared / "elsewhere")
        elif how == "fifo":
            os.mkfifo(journal)
        else:
            journal.mkdir()
    with pytest.raises(lw.errors.RecoveryError, match="somebody else could have written it") as caught:
        sinks.recover(shared)
    assert caught.value.reason == "untrusted" and not (shared / "rows.jsonl").exists()
    store({"a": lw.sinks.JsonLinesSink(shared / "rows.jsonl")}, b"1")
    assert (shared / "rows.jsonl").read_text() == "1\n" and part.read_text() == "evil\n"


@pytest.mark.parametrize(
    ("target", "words"),
    [("../victim/precious", "no name in its own directory"), ("..", "no name"), ("", "no name"), ("a\0b", "no name")],
)
def test_a_journal_names_files_of_its_own_directory_only(shared, victim, target, words):
    part = shared / part_name()
    part.write_text("evil\n")
    plant(shared, [rename_of(part, target)])
    with pytest.raises(lw.errors.RecoveryError, match=words):
        sinks.recover(shared)
    assert part.exists()


def test_a_journal_names_parts_of_its_own_commit_only(shared, victim):
    for name in ("evil", part_name(group="f" * 16), "../victim/precious"):
        plant(shared, [RenameRecord(encoded(name), "rows.jsonl", 0, 0)])
        with pytest.raises(lw.errors.RecoveryError, match="is no part of its commit"):
            sinks.recover(shared)


def test_a_journal_reaches_no_directory_that_does_not_point_back(shared, victim, tmp_path):
    """As code in a sandbox would do it, which may write into one directory and not into the other."""
    plant(shared, [], others=[victim])
    with pytest.raises(lw.errors.RecoveryError, match="where no journal points back"):
        sinks.recover(shared)
    (tmp_path / "link").symlink_to(victim)
    (shared / journal_name(GROUP)).unlink()
    plant(shared, [], others=[tmp_path / "link"])
    with pytest.raises(lw.errors.RecoveryError, match="no directory"):
        sinks.recover(shared)
    # One that points to a home which does not know it decides nothing there.
    (shared / journal_name(GROUP)).unlink()
    plant(shared, [], home=victim)
    sinks.recover(shared)
    assert os.listdir(shared) == []


@pytest.mark.parametrize("wrong", ["relative", "/a/../b", "/a//b", "/a/./b"])
def test_paths_of_directories_are_absolute_and_plain(shared, wrong):
    plant(shared, [], others=[wrong])
    with pytest.raises(lw.errors.RecoveryError, match="no absolute path of a directory"):
        sinks.recover(shared)


@pytest.mark.parametrize("how", ["link", "symbolic link", "changed", "directory"])
def test_a_part_that_was_exchanged_is_not_moved(shared, victim, how):
    store(files(shared, "ab"), b"0")
    store_and_die(files(shared, "ab"), b"1", 0)
    (part,) = shared.glob(".b.*.part")
    part.unlink()
    if how == "link":
        os.link(victim / "precious", part)
    elif how == "symbolic link":
        part.symlink_to(victim / "precious")
    elif how == "changed":
        part.write_text("2\n")
    else:
        part.mkdir()
    sinks.recover(shared)  # nothing had begun: all is called off
    assert [(shared / name).read_text() for name in "ab"] == ["0\n", "0\n"]
    if how == "link":
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


def test_a_database_is_not_reached_through_a_link(shared, victim, tmp_path):
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE rows (payload)")
    before = hashlib.sha256(other.read_bytes()).digest()
    choice = {"a": lw.sinks.SqliteSink(shared / "rows.db"), **files(shared, "b")}
    store_and_die(choice, b"1", 0)
    (shared / "rows.db").unlink(missing_ok=True)
    (shared / "rows.db").symlink_to(other)
    with pytest.raises(lw.errors.RecoveryError, match="no regular file any more"):
        sinks.recover(shared)
    assert hashlib.sha256(other.read_bytes()).digest() == before


@as_root
def test_a_journal_of_another_user_beside_a_database_is_not_replayed(shared):
    target = shared / "rows.db"
    store({"a": lw.sinks.SqliteSink(target)}, b"1")
    for suffix in ("-journal", "-wal"):
        beside = shared / f"rows.db{suffix}"
        beside.write_bytes(b"evil")
        os.chown(beside, 65534, 65534)
        with pytest.raises(lw.SinkError, match="belongs to another user"):
            store({"a": lw.sinks.SqliteSink(target)}, b"2")
        beside.unlink()


@as_root
def test_parts_and_leftovers_of_others_stay(shared, victim):
    shared.chmod(0o1777)
    ours, theirs, link = (shared / part_name(number=number) for number in (1, 2, 3))
    ours.write_text("")
    theirs.write_text("")
    os.chown(theirs, 65534, 65534)
    link.symlink_to(victim / "precious")
    sinks.recover(shared)
    assert sorted(os.listdir(shared)) == sorted([theirs.name, link.name])


def test_a_living_lock_of_somebody_else_does_not_hold_a_sink_for_ever(shared, monkeypatch):
    import fcntl

    from lean_worker.sinks import parts

    monkeypatch.setattr(parts, "_LOCK_SECONDS", 0.1)
    fd = os.open(shared, os.O_RDONLY)  # whoever can read a directory can lock it
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        with pytest.raises(lw.SinkError, match="keeps .* locked"):
            store(files(shared, "a"), b"1")
    finally:
        os.close(fd)
    assert os.listdir(shared) == []


def test_a_part_is_private_until_it_is_whole(shared):
    target = shared / "a"
    target.write_text("0\n")
    target.chmod(0o666)
    with Stored(files(shared, "a"), b"1") as stored:
        (part,) = shared.glob(".*.part")
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        stored.commit()
    assert stat.S_IMODE(target.stat().st_mode) == 0o666


def test_a_damaged_journal_stops_only_what_it_concerns(shared):
    """At each byte: whatever is cut off or changed, it is noticed, and unrelated work goes on."""
    store(files(shared, "ab"), b"0")
    store_and_die(files(shared, "ab"), b"1", 1)
    (journal,) = shared.glob(".lw*.commit")
    whole = journal.read_bytes()
    choose = random.Random(14)
    wrong = [whole[:size] for size in (*range(0, 100, 7), len(whole) - 1)]
    for _ in range(25):
        changed = bytearray(whole)
        changed[choose.randrange(len(whole))] ^= 1 << choose.randrange(8)
        wrong.append(bytes(changed))
    for text in wrong:
        journal.write_bytes(text)
        with pytest.raises(lw.errors.RecoveryError) as caught:
            sinks.recover(shared)
        assert (caught.value.reason, caught.value.path) == ("damaged", str(journal))
        assert [(shared / name).read_text() for name in "ab"] == ["1\n", "0\n"]
    store(files(shared, "c"), b"3")
    with pytest.raises(lw.errors.RecoveryError, match="does not have its digest|do not have its digest|does not begin"):
        store(files(shared, "b"), b"3")
    assert (shared / "c").read_text() == "3\n" and (shared / "b").read_text() == "0\n"
    journal.write_bytes(whole)
    sinks.recover(shared)
    assert [(shared / name).read_text() for name in "abc"] == ["1\n", "1\n", "3\n"]
    assert sorted(os.listdir(shared)) == ["a", "b", "c"]


def test_the_remedy_of_a_damaged_journal_works(shared):
    store(files(shared, "ab"), b"0")
    store_and_die(files(shared, "ab"), b"1", 1)
    (journal,) = shared.glob(".lw*.commit")
    journal.write_bytes(b"")
    with pytest.raises(lw.errors.RecoveryError) as caught:
        store(files(shared, "b"), b"2")
    assert os.system(caught.value.hint.partition(": ")[2]) == 0
    store(files(shared, "b"), b"2")
    assert sorted(os.listdir(shared)) == ["a", "b"] and (shared / "b").read_text() == "2\n"


def test_recovery_proves_what_was_done(shared):
    """A part that is gone, and a target that is not what it would have become: that is told, once the rest is done."""
    store(files(shared, "abc"), b"0")
    store_and_die(files(shared, "abc"), b"1", 1)
    (part,) = shared.glob(".b.*.part")
    part.unlink()
    with pytest.raises(lw.errors.RecoveryError, match="is gone") as caught:
        sinks.recover(shared)
    assert (caught.value.reason, caught.value.targets) == ("incomplete", ("b",))
    assert [(shared / name).read_text() for name in "abc"] == ["1\n", "0\n", "1\n"]
    store(files(shared, "a"), b"2")
    with pytest.raises(lw.errors.RecoveryError):
        store(files(shared, "b"), b"2")


def test_a_moved_directory_is_told(shared, tmp_path):
    other = tmp_path / "another"  # the home, as it comes first
    other.mkdir()
    choice = {"a": lw.sinks.JsonLinesSink(other / "a"), "b": lw.sinks.JsonLinesSink(shared / "b")}
    store(choice, b"0")
    store_and_die(choice, b"1", 1)
    shared.rename(tmp_path / "moved")
    with pytest.raises(lw.errors.RecoveryError, match="the directory was moved"):
        sinks.recover(tmp_path / "moved")
    (tmp_path / "moved").rename(shared)
    sinks.recover(shared)
    assert [(other / "a").read_text(), (shared / "b").read_text()] == ["1\n", "1\n"]
    assert os.listdir(other) == ["a"] and os.listdir(shared) == ["b"]
    shutil.rmtree(other)


def test_names_of_any_bytes(tmp_path):
    directory = tmp_path / os.fsdecode(b"d\xff \n%2e")
    directory.mkdir()
    other = tmp_path / "two"
    other.mkdir()
    odd = os.fsdecode(b"r\xfe\n'\"%?#.x")
    choice = {
        "a": lw.sinks.JsonLinesSink(directory / odd),
        "b": lw.sinks.JsonLinesSink(other / odd),
        "c": lw.sinks.SqliteSink(directory / f"{odd}.db"),
    }
    store(choice, b"0")
    store_and_die(choice, b"1", 1)
    sinks.recover(other)
    assert [(place / odd).read_text() for place in (directory, other)] == ["1\n", "1\n"]
    assert len(os.listdir(directory)) == 2 and os.listdir(other) == [odd]
    store({"a": lw.sinks.JsonLinesSink(directory / odd, mode="append")}, b"2")
    assert (directory / odd).read_text() == "1\n2\n"


# -- code in a sandbox, which is of the same user --


@pytest.fixture
def granted(tmp_path, monkeypatch):
    """A directory that sandboxed code of this process may write to."""
    from lean_worker.hosting import sandbox

    monkeypatch.setattr(sandbox, "_granted", set())
    directory = tmp_path / "granted"
    directory.mkdir()
    lw.Sandbox(writable=[directory]).arguments()  # as for a start
    return directory


def test_a_link_that_sandboxed_code_made_is_not_followed(granted, victim, tmp_path):
    (granted / "file").symlink_to(victim / "precious")
    (granted / "directory").symlink_to(victim)
    (granted / "up").symlink_to("..")
    (tmp_path / "innocent").symlink_to(granted / "directory")
    places = [granted / "file", granted / "directory" / "precious", granted / "up" / "victim" / "precious"]
    for target in (*places, tmp_path / "innocent" / "precious", granted / "directory" / ".." / "victim" / "precious"):
        for make in (lw.sinks.JsonLinesSink, lw.sinks.SqliteSink, lw.sinks.ParquetSink):
            with pytest.raises(lw.SinkError, match="which may have made it"):
                store({"a": make(target)}, b"1")
    (tmp_path / "mine").symlink_to(granted / "rows")  # a link of the user's own
    store({"a": lw.sinks.JsonLinesSink(tmp_path / "mine")}, b"1")
    assert (granted / "rows").read_text() == "1\n"


def test_a_ledger_does_not_lie_where_sandboxed_code_can_write(granted):
    from lean_worker.batch.ledger import Ledger

    with pytest.raises(lw.errors.RecoveryError, match="sandboxed code may write"):
        Ledger(granted / "ledger", for_work=True)
    assert os.listdir(granted) == []


PLANTS = """
import os, sys
def attack(request):
    import hashlib, json
    out, victim = request["out"], request["victim"]
    tried = []
    group = "0123456789abcdef"
    part = os.path.join(out, f".precious.lw{group}-1.part")
    with open(part, "w") as file:
        file.write("evil\\n")
    found = os.stat(part)
    for target in ("precious", "../victim/precious", victim + "/precious"):
        for others in ([], [victim]):
            action = {"type": "rename", "part": os.path.basename(part), "target": target, "size_bytes": found.st_size,
                      "mtime_ns": found.st_mtime_ns}
            journal = {"group": group, "directory": out, "home": out, "others": others, "actions": [action]}
            text = json.dumps(journal).encode()
            head = b"lean-worker commit 2 " + hashlib.sha256(text).hexdigest().encode() + b"\\n"
            name = f".lw{group[:-1]}{len(tried)}.commit"
            fd = os.open(os.path.join(out, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(fd, head + text.replace(group.encode(), (group[:-1] + str(len(tried))).encode()))
            os.close(fd)
            tried.append(name)
    for name in ("rows.jsonl", "rows.db"):
        os.symlink(os.path.join(victim, "precious"), os.path.join(out, name))
    try:
        open(os.path.join(victim, "precious"), "w")
        return "no sandbox"
    except PermissionError:
        return len(tried)
def rows(request):
    yield {"i": 1}
COMMANDS = {"attack": attack, "rows": rows}
"""


def test_code_in_a_real_sandbox_reaches_nothing_outside(victim, tmp_path, shared):
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "attacker.py").write_text(PLANTS.replace("\\\\", "\\"))
    capability = lw.PythonCapability(
        "attacker:COMMANDS", path=[tmp_path / "module"], sandbox=lw.Sandbox(writable=[shared])
    )
    with lw.Pool() as pool:
        try:
            lease = pool.lease(capability)
        except lw.CapabilityError as error:
            pytest.skip(f"no sandbox can be had here: {error.text}")
        with lease:
            told = lease.call(lw.JsonCommand("attack"), {"out": str(shared), "victim": str(victim)})
            assert told == 6
            for target in (shared / "rows.jsonl", shared / "rows.db"):
                sink = lw.sinks.SqliteSink(target) if target.suffix == ".db" else lw.sinks.JsonLinesSink(target)
                with pytest.raises(lw.SinkError, match="which may have made it"):
                    lease.run(lw.StreamingCommand("rows"), sink=sink)
            lease.run(lw.StreamingCommand("rows"), sink=lw.sinks.JsonLinesSink(shared / "other.jsonl"))
    with pytest.raises(lw.errors.RecoveryError):
        sinks.recover(shared)
    assert (shared / "other.jsonl").read_text() == '{"i":1}\n'


# -- journals of SQLite that name other files --

HOT = bytes.fromhex("d9d505f920a163d7")


def plant_super_journal(database, victim):
    """A hot journal, as of a transaction over several databases: SQLite plays it back and deletes what it names."""
    with contextlib.closing(sqlite3.connect(database)) as opened:
        opened.execute("CREATE TABLE mine (x)")
        opened.commit()
    name = os.fsencode(victim)
    head = HOT + struct.pack(">IIIII", 0, 1, database.stat().st_size // 4096, 512, 4096)
    tail = struct.pack(">I", (0x40000000 // 4096) + 1) + name + struct.pack(">II", len(name), sum(name)) + HOT
    database.with_name(f"{database.name}-journal").write_bytes(head.ljust(512, b"\0") + tail)


def test_sqlite_deletes_what_a_super_journal_names(tmp_path):
    """The reason for the next test."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    plant_super_journal(tmp_path / "rows.db", victim)
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as opened:
        opened.execute("SELECT * FROM mine").fetchall()
    assert not victim.exists()


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_journal_that_names_another_file_is_refused(tmp_path, mode):
    (tmp_path / "home").mkdir()
    victim = tmp_path / "home" / "victim"
    victim.write_text("precious")
    plant_super_journal(tmp_path / "rows.db", victim)
    with lw.Pool(1) as pool, pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.errors.SinkError, match="names another file"):
            sink = sinks.SqliteSink(tmp_path / "rows.db", "rows", mode=mode)
            lease.run(lw.StreamingCommand("rows", row=dict), {"count": 3}, sink=sink)
    assert victim.read_text() == "precious"


def test_a_journal_where_sandboxed_code_may_write_is_refused(tmp_path):
    granted = tmp_path / "granted"
    granted.mkdir()
    database = granted / "rows.db"
    with contextlib.closing(sqlite3.connect(database)) as opened:
        opened.execute("CREATE TABLE mine (x)")
        opened.commit()
    (granted / "rows.db-wal").write_bytes(b"")
    lw.Sandbox(writable=[granted]).arguments()
    with lw.Pool(1) as pool, pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.errors.SinkError, match="sandboxed code"):
            lease.run(lw.StreamingCommand("rows", row=dict), {"count": 3}, sink=sinks.SqliteSink(database, "rows"))


@pytest.mark.parametrize("journal_mode", ["DELETE", "WAL"])
def test_a_database_of_ones_own_where_sandboxed_code_may_write(tmp_path, journal_mode):
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as opened:
        opened.execute(f"PRAGMA journal_mode = {journal_mode}")
        opened.execute("CREATE TABLE mine (x)")
        opened.commit()
    lw.Sandbox(writable=[tmp_path]).arguments()
    with lw.Pool(1) as pool, pool.lease(FUNCTIONS) as lease:
        for _ in range(2):
            sink = sinks.SqliteSink(tmp_path / "rows.db", "rows", mode="append")
            lease.run(lw.StreamingCommand("rows", row=dict), {"count": 3}, sink=sink)
    with contextlib.closing(sqlite3.connect(tmp_path / "rows.db")) as opened:
        assert opened.execute("SELECT count(*) FROM rows").fetchone() == (6,)


@pytest.mark.skipif(landlock.version() < landlock.LEAST_VERSION, reason="no sandbox can be had here")
@pytest.mark.parametrize("moment", ["before the request", "at the commit"])
def test_a_journal_that_comes_after_the_look_reaches_nothing_outside(granted, victim, monkeypatch, moment):
    """Sandboxed code that is faster than SQLite: what it plants has no more rights than it has itself."""
    precious, database = victim / "precious", granted / "rows.db"
    planted = []
    look = tables.why_foreign_journal

    def look_and_be_late(target, found, *, is_open=False):
        why = look(target, found, is_open=is_open)
        if why is None and not is_open and not planted:
            plant_super_journal(database, precious)
            planted.append(moment)
        return why

    where = sqlite_sink if moment == "before the request" else tables
    monkeypatch.setattr(where, "why_foreign_journal", look_and_be_late)
    with lw.Pool(1) as pool, pool.lease(FUNCTIONS) as lease:
        if moment == "before the request":
            database.touch()
        with contextlib.suppress(lw.SinkError):
            lease.run(lw.StreamingCommand("rows", row=dict), {"count": 3}, sink=sinks.SqliteSink(database, "rows"))
    assert planted and precious.exists()


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rows_that_are_collected_where_sandboxed_code_may_write_cannot_be_changed(granted, tmp_path, kind):
    """In its directory that code can overwrite every file that has a name: a part has none before it is whole."""
    seen = []

    def attack(progress):
        for part in granted.iterdir():
            seen.append(part.name)
            with open(part, "r+b") as file:
                file.write(b"?" * min(100, os.fstat(file.fileno()).st_size))

    kinds = {"jsonl": lw.sinks.JsonLinesSink, "parquet": lw.sinks.ParquetSink}
    with lw.Pool(1) as pool, pool.lease(FUNCTIONS) as lease:
        for place in (tmp_path, granted):
            lease.run(
                lw.StreamingCommand("wide", row=dict),
                {"count": 20_000, "size_bytes": 100},
                sink=kinds[kind](place / f"rows.{kind}"),
                on_progress=attack,
            )
    assert seen == []
    found = granted / f"rows.{kind}"
    assert found.stat().st_mode == (tmp_path / found.name).stat().st_mode
    read = pyarrow.parquet.read_table if kind == "parquet" else Path.read_bytes
    assert read(found) == read(tmp_path / found.name)
    assert [path.name for path in granted.iterdir()] == [found.name]
