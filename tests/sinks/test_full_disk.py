"""A disk that fills up at any moment of a commit: what is there afterwards is the old rows or the new ones.

With root a small file system of its own is filled to each number of free pages; without it the limit on the size of
files takes its place, which cuts writes short in the same way.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import lean_worker as lw
from lean_worker import sinks
from lean_worker.batch.ledger import Ledger, NewItem
from storing import Stored, die_after, files, store
from support import IMPORTABLE

STREAMS = "abcdefgh"
LONG = 180
"""Characters of a name: the journal of eight files is larger than a page."""


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 pages; skipped where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    page = resource.getpagesize()
    command = ["mount", "-t", "tmpfs", "-o", f"size={64 * page}", "tmpfs", str(place)]
    try:
        outcome = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no file system can be mounted: {error}")
    if outcome.returncode:
        pytest.skip(f"no file system can be mounted: {outcome.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path, free_pages: int) -> None:
    filler = place / "filler"
    filler.unlink(missing_ok=True)
    facts = os.statvfs(place)
    with filler.open("wb") as file:
        file.write(b"x" * max(0, facts.f_bavail - free_pages) * facts.f_frsize)


def choice_in(place: Path) -> dict[str, lw.sinks.Sink]:
    return {name: lw.sinks.JsonLinesSink(place / (name * LONG)) for name in STREAMS}


def state(place: Path) -> set[str]:
    return {(place / (name * LONG)).read_text() for name in STREAMS}


def leftovers(place: Path) -> set[str]:
    return set(os.listdir(place)) - {name * LONG for name in STREAMS} - {"filler"}


def commit_on_full_disk(place: Path, free_pages: int, actions: int | None) -> int:
    """Commit in a child whose disk fills up when the parts are there; gives its status, 7 for a SinkError."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            with Stored(choice_in(place), b"1") as stored:
                if actions is not None:
                    die_after(actions)
                prepare = type(stored.sinks)._compare

                def filled(self, summary):
                    prepare(self, summary)
                    for sink in self._open.values():
                        sink._flush()
                    fill(place, free_pages)

                type(stored.sinks)._compare = filled
                stored.commit()
            code = 0
        except lw.SinkError as error:
            code = 7 if error.errno == errno.ENOSPC else 8
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("actions", [None, 0, 3])
def test_each_number_of_free_pages(small_disk, actions):
    """Whether the process ends by itself or is killed in front of one of its renames."""
    codes = []
    for free_pages in range(6):
        fill(small_disk, 64)
        sinks.recover(small_disk)
        store(choice_in(small_disk), b"0")
        codes.append(commit_on_full_disk(small_disk, free_pages, actions))
        before = state(small_disk)
        sinks.recover(small_disk)  # on the disk that is still full
        assert state(small_disk) in ({"0\n"}, {"1\n"}), free_pages
        if codes[-1] == 7:
            assert state(small_disk) == {"0\n"}
        elif codes[-1] == 0:
            assert before == {"1\n"}
        else:
            assert codes[-1] == -signal.SIGKILL and state(small_disk) == {"1\n"}
        assert leftovers(small_disk) == set()
    assert codes[0] == 7 and codes[-1] == (0 if actions is None else -signal.SIGKILL)


SIZES = {"jsonl": lw.sinks.JsonLinesSink, "db": lw.sinks.SqliteSink, "parquet": lw.sinks.ParquetSink}


@pytest.mark.parametrize("name", SIZES)
def test_a_sink_on_a_full_disk(small_disk, name):
    target = small_disk / f"rows.{name}"
    store({"a": SIZES[name](target)}, b'"old"', 20)
    outcomes = set()
    before = target.read_bytes()
    for free_pages in (0, 1, 2, 3, 4, 5, 6, 8, 11, 15, 20, 40):
        fill(small_disk, free_pages)
        try:
            store({"a": SIZES[name](target)}, json.dumps(str(free_pages) * 300).encode(), 20)
            outcomes.add("new")
            before = target.read_bytes()
        except lw.SinkError:
            outcomes.add("old")
            assert rows_of(target) == rows_in_bytes(before, small_disk, name)
        assert set(os.listdir(small_disk)) == {target.name, "filler"}
    assert outcomes == {"old", "new"}


def rows_of(path: Path) -> list:
    if path.suffix != ".db":
        return [path.read_bytes()]
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return list(database.execute("SELECT * FROM rows"))


def rows_in_bytes(content: bytes, place: Path, name: str) -> list:
    if name != "db":
        return [content]
    copy = place.parent / "copy.db"
    copy.write_bytes(content)
    return rows_of(copy)


def item(number: int) -> NewItem:
    return NewItem(f"{number:064x}", json.dumps("x" * 500), "rows", "", "", "")


def test_a_ledger_on_a_full_disk(small_disk):
    """The result is there as a whole, or the file is as before."""
    path = small_disk / "ledger"
    with Ledger(path, for_work=True) as ledger:
        ledger.ask_for([item(0)])
    for free_pages in range(0, 24, 3):
        fill(small_disk, free_pages)
        asked = [item(number) for number in range(free_pages + 2)]
        wanted = None
        try:
            with Ledger(path, for_work=True) as ledger:
                wanted = ledger.count()
                ledger.ask_for(asked)
                wanted = len(asked)
        except lw.SinkError as error:
            assert not isinstance(error, lw.errors.RecoveryError)
        fill(small_disk, 40)
        with Ledger(path, for_work=True) as ledger:
            assert wanted is None or ledger.count() == wanted


LIMITED = """
import os, resource, sys
sys.path[:0] = sys.argv[1].split(os.pathsep)
from pathlib import Path
import lean_worker as lw
from storing import files, store
place, limit = Path(sys.argv[2]), int(sys.argv[3])
from lean_worker.sinks import commit
write = commit._write_journal
def limited(*arguments):
    # No file of this process may grow beyond this: what a full disk does to a write, at the same byte.
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    write(*arguments)
commit._write_journal = limited
perform, done = commit._perform, 0
def dying(*arguments):
    global done
    if done == 2:
        os._exit(9)
    done += 1
    perform(*arguments)
commit._perform = dying
try:
    store(files(place, "abc"), b"1")
except lw.SinkError as error:
    print("refused", error.errno)
"""


def test_a_journal_is_whole_or_not_there(tmp_path):
    """For users without root: the journal is cut at some bytes, and after it the process dies half way."""
    place = tmp_path / "out"
    place.mkdir()
    outcomes = set()
    for limit in (0, 1, 20, 86, 87, 88, 200, 400, 600, 5000):
        store(files(place, "abc"), b"0")
        command = [sys.executable, "-c", LIMITED, IMPORTABLE, str(place), str(limit)]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=60)
        sinks.recover(place)
        found = {(place / name).read_text() for name in "abc"}
        assert found == ({"1\n"} if outcome.returncode == 9 else {"0\n"}), (limit, outcome)
        assert outcome.returncode == 9 or f"refused {errno.EFBIG}" in outcome.stdout, outcome
        assert sorted(os.listdir(place)) == ["a", "b", "c"]
        outcomes.add(outcome.returncode)
    assert outcomes == {0, 9}
