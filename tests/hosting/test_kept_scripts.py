"""Compiled scripts that are kept: used by later workers, and only where nobody could tell the difference."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import lean_worker as lw
from lean_worker.child import kept_scripts, olean_cache
from raw_child import LEAN, starter
from support import copy_of_cache, embedded_library, wait_until

pytestmark = [pytest.mark.lean, pytest.mark.skipif(sys.platform != "linux", reason="Linux counts what is written")]

ANSWER = lw.JsonCommand("answer", None, str)
PANIC = lw.JsonCommand("panic", None, str)
IMPORTED = ("--import", "LeanWorker")
TEXT = """prelude
import LeanWorker
open LeanWorker
private def word : String := "WORD"
def answer : Command where
  name := "answer"
  run _ := return (String.append "\\"" (String.append word "\\""))
def tooMuch : Command where
  name := "panic"
  run _ := do
    let text : String := panic! "it is too much"
    return text
def main : IO Unit := serve (List.cons answer (List.cons tooMuch List.nil))
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the cache, for this module."""
    return copy_of_cache(tmp_path_factory.mktemp("kept") / "cache")


@pytest.fixture
def kept(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory of kept scripts; nothing is there."""
    monkeypatch.setenv("LEAN_WORKER_CACHE_DIR", str(compiled))
    directory = compiled / "scripts"
    shutil.rmtree(directory, ignore_errors=True)
    yield directory
    if directory.is_file():
        directory.unlink()


def capability(script: Path, text: str = TEXT, **settings: object) -> lw.LeanCapability:
    """A script; the import makes it one that is copied for the worker, so that its age does not matter."""
    script.write_text(text)
    return lw.LeanCapability(script, toolchain="embedded", imports=("LeanWorker",), **settings)


def answered(capability: lw.LeanCapability) -> tuple[str, bool]:
    """The answer of a new worker, and True if it imported a kept script."""
    with lw.Pool(1) as pool, pool.lease(capability) as lease:
        return lease.call(ANSWER), uses_kept(pool)


def uses_kept(pool: lw.Pool) -> bool:
    (pid,) = pool._core.workers.pids()
    return "LeanWorkerScript.olean" in Path(f"/proc/{pid}/maps").read_text()


def test_a_later_worker_imports_what_an_earlier_one_compiled(kept: Path, tmp_path: Path) -> None:
    hosted = capability(tmp_path / "Said.lean")
    assert [answered(hosted) for _ in range(3)] == [("WORD", False), ("WORD", True), ("WORD", True)]
    (entry,) = kept.iterdir()
    assert sorted(each.name for each in entry.iterdir()) == ["LeanWorkerScript.olean", "digest", "run.lean"]
    assert all(each.stat().st_mode & 0o777 == 0o644 for each in entry.iterdir())


def test_another_text_is_another_script(kept: Path, tmp_path: Path) -> None:
    script = tmp_path / "Said.lean"
    for word, was_kept in [("a", False), ("b", False), ("a", True), ("b", True), ("c", False)]:
        assert answered(capability(script, TEXT.replace("WORD", word))) == (word, was_kept)
    assert answered(capability(tmp_path / "Named.lean", TEXT.replace("WORD", "a"))) == ("a", True)
    with_option = capability(script, TEXT.replace("WORD", "a"), options={"maxRecDepth": 600})
    assert answered(with_option) == ("a", False)


@pytest.mark.parametrize("where", ["below the working directory", "elsewhere"])
def test_a_panic_has_the_same_words(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """It names the module, whose name depends on the working directory."""
    (tmp_path / "Below").mkdir()
    script = tmp_path / "Below" / "Said.lean"
    if where == "below the working directory":
        monkeypatch.chdir(tmp_path)
    hosted, off = capability(script), capability(script, env={kept_scripts.SWITCH: "1"})
    said = []
    for each, was_kept in ((off, False), (hosted, False), (hosted, True), (off, False)):
        with lw.Pool(1) as pool, pool.lease(each) as lease:
            assert uses_kept(pool) is was_kept
            with pytest.raises(lw.ChildExited) as failed:
                lease.call(PANIC)
            said.append(str(failed.value.stderr_tail).splitlines()[-1])
    assert "is too much" in said[0]
    assert said == said[:1] * 4


def test_what_lean_says_of_a_script_it_says_each_time(kept: Path, tmp_path: Path) -> None:
    text = TEXT.replace("answer : Command", "answer (unused : Nat) : Command").replace("cons answer", "cons (answer 1)")
    script = tmp_path / "Warned.lean"
    script.write_text(text)
    with starter() as start:
        for _ in range(2):
            worker = start(*IMPORTED, script=script).greet()
            worker.send("request", op="terminate")
            code, stderr = worker.end()
            assert code == 0 and "is not explicitly referenced" in stderr
    assert not list(kept.iterdir())


@pytest.mark.parametrize("how", ["cut", "other bytes", "no module", "no digest", "other text", "for all", "a file"])
def test_what_is_damaged_is_compiled_again(kept: Path, tmp_path: Path, how: str) -> None:
    hosted = capability(tmp_path / "Said.lean")
    answered(hosted)
    (entry,) = kept.iterdir()
    module = entry / "LeanWorkerScript.olean"
    data = module.read_bytes()
    if how == "cut":
        module.write_bytes(data[: len(data) // 2])
    elif how == "other bytes":
        module.write_bytes(data.replace(b"WORD", b"FAKE"))
    elif how == "no module":
        module.unlink()
    elif how == "no digest":
        (entry / "digest").unlink()
    elif how == "other text":
        (entry / "run.lean").write_text("prelude\nimport LeanWorker\ndef main : IO Unit := return Unit.unit\n")
    elif how == "for all":
        module.chmod(0o666)
    else:
        shutil.rmtree(entry)
        entry.write_text("in the way")
    assert [answered(hosted) for _ in range(2)] == [("WORD", False), ("WORD", True)]
    assert list(kept.iterdir()) == [entry]


def test_a_script_starts_where_nothing_can_be_kept(kept: Path, tmp_path: Path) -> None:
    hosted = capability(tmp_path / "Said.lean")
    kept.write_text("in the way")
    assert answered(hosted) == ("WORD", False)
    kept.unlink()
    kept.mkdir()
    kept.chmod(0o777)
    assert answered(hosted) == ("WORD", False)
    assert not list(kept.iterdir())


def test_nothing_is_kept_in_a_sandbox_or_where_it_is_switched_off(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = capability(tmp_path / "Said.lean")
    off = capability(tmp_path / "Said.lean", env={kept_scripts.SWITCH: "1"})
    assert answered(off) == ("WORD", False)
    assert not kept.exists()
    assert answered(hosted) == ("WORD", False)
    assert answered(off) == ("WORD", False)
    locked_in = capability(tmp_path / "Said.lean", sandbox=lw.Sandbox())
    with contextlib.suppress(lw.CapabilityError):  # no sandboxes here
        assert answered(locked_in) == ("WORD", False)
    assert answered(hosted) == ("WORD", True)


def test_the_search_path_is_as_it_was(kept: Path, tmp_path: Path) -> None:
    path = 'Option.getD (← IO.getEnv "LEAN_PATH") ""'
    text = TEXT.replace(
        '  run _ := return (String.append "\\"" (String.append word "\\""))',
        f'  run _ := do return (String.append "\\"" (String.append ({path}) "\\""))',
    )
    assert "getEnv" in text
    hosted = capability(tmp_path / "Said.lean", text)
    (first, was_kept), (second, is_kept) = answered(hosted), answered(hosted)
    assert (was_kept, is_kept) == (False, True) and first == second != ""


def test_a_worker_with_limits_keeps_nothing(kept: Path, tmp_path: Path) -> None:
    hosted = capability(tmp_path / "Said.lean")
    memory = lw.MemoryPolicy(address_space_kib=64 << 20)
    with lw.Pool(1, memory=memory) as pool, pool.lease(hosted) as lease:
        assert lease.call(ANSWER) == "WORD"
    assert not kept.exists() or not list(kept.iterdir())


def test_a_worker_starts_in_a_directory_that_is_gone(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = capability(tmp_path / "Said.lean")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    said = []
    for switch in ("1", ""):
        with contextlib.suppress(lw.LeanWorkerError):
            said.append(answered(dataclasses.replace(hosted, env={kept_scripts.SWITCH: switch})))
    assert len(said) in (0, 2)  # with it as without


def test_workers_that_compile_one_script_at_once_keep_it_once(kept: Path, tmp_path: Path) -> None:
    hosted = capability(tmp_path / "Said.lean")
    with contextlib.ExitStack() as workers:
        started = [workers.enter_context(starter()) for _ in range(4)]
        children = [start(*IMPORTED, script=tmp_path / "Said.lean") for start in started]
        for child in children:
            child.greet()
    assert len(list(kept.iterdir())) == 1
    assert answered(hosted) == ("WORD", True)


def test_a_worker_killed_at_any_moment_leaves_what_the_next_can_use(kept: Path, tmp_path: Path) -> None:
    hosted = capability(tmp_path / "Said.lean")
    seconds = started_in(tmp_path / "Said.lean")
    shutil.rmtree(kept)
    for tenth in range(12):
        with starter() as start:
            worker = start(*IMPORTED, script=tmp_path / "Said.lean")
            time.sleep(seconds * tenth / 10)  # the moment is what is tested, whatever it hits
            os.kill(worker.process.pid, signal.SIGKILL)
        for entry in kept.iterdir() if kept.exists() else ():
            assert entry.name.startswith(".new-") or (entry / "digest").exists()
        assert answered(hosted)[0] == "WORD"
        for entry in kept.iterdir():
            if tenth % 2 and not entry.name.startswith("."):
                shutil.rmtree(entry)


def started_in(script: Path) -> float:
    """Seconds until a worker serves."""
    began = time.monotonic()
    with starter() as start:
        start(*IMPORTED, script=script).greet()
        return time.monotonic() - began


# -- which scripts may be kept --


def found(script: Path, own_modules: Path, arguments: tuple[str, ...] = (), is_copy: bool = True) -> object:
    return kept_scripts.find(
        script, is_copy=is_copy, own_modules=own_modules, library=embedded_library(), arguments=arguments
    )


@pytest.fixture
def own_modules(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = olean_cache.prepare(embedded_library())
    monkeypatch.setenv("LEAN_PATH", str(directory))
    return directory


@pytest.mark.parametrize(
    "text",
    [
        "#eval 1",
        "#print axioms word",
        "initialize table : IO.Ref Nat ← IO.mkRef 0",
        "@[init word] def other := 1",
        "builtin_initialize word",
        'elab "now" : term => readTheClock',
        "elab_rules : term | `(now) => readTheClock",
        "@[term_elab now] def now : TermElab := readTheClock",
        "@[command_elab now] def now : CommandElab := readTheClock",
        "@[tactic now] def now : Tactic := readTheClock",
        "@[macro now] def now : Macro := readTheClock",
        "def now := by_elab readTheClock",
        "run_cmd readTheClock",
        "run_elab readTheClock",
        "example : True := by run_tac readTheClock",
        'def text := include_str "other.txt"',
        "simproc now (_) := readTheClock",
        "dsimproc_decl now (_) := readTheClock",
        "register_simp_attr now",
        '@[extern "clock"] opaque now : Nat',
        "@[implemented_by other] def now := 1",
        "def now := unsafeIO readTheClock",
        "-- one could #eval this",
        'example : x = y := by bv_check "other.lrat"',
    ],
)
def test_no_script_is_kept_that_could_run_code_of_its_own(own_modules: Path, tmp_path: Path, text: str) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    assert found(script, own_modules) is not None
    script.write_text(f"{TEXT}\n{text}\n")
    assert found(script, own_modules) is None


@pytest.mark.parametrize(
    "header",
    [
        "module prelude\npublic import LeanWorker\n",
        "prelude\nimport LeanWorker\nimport Mathlib.Logic.Basic\n",
        "import LeanWorker\nimport «Lean Worker»\n",
    ],
)
def test_scripts_are_kept_by_header(own_modules: Path, tmp_path: Path, header: str) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(f"{header}def main : IO Unit := return Unit.unit\n")
    assert found(script, own_modules) is None


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("Said.lean", True),
        ("Deep/Said.lean", True),
        ("script", True),
        ("LeanWorker.lean", False),
        ("Init/Said.lean", False),
        ("a.b.lean", False),
        ("a b/Said.lean", False),
        ("1.lean", False),
        ("S_数.lean", False),
    ],
)
def test_scripts_are_kept_by_the_name_of_their_module(
    own_modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, may: bool
) -> None:
    script = tmp_path / name
    script.parent.mkdir(exist_ok=True)
    script.write_text(TEXT)
    assert found(script, own_modules) is not None  # outside of the working directory it has no name
    monkeypatch.chdir(tmp_path)
    assert (found(script, own_modules) is not None) is may
    link = tmp_path / "Link.lean"  # Lean follows links before it takes the module's name
    link.symlink_to(script)
    assert (found(link, own_modules) is not None) is may


@pytest.mark.parametrize(
    ("argument", "may"),
    [
        ("-DmaxRecDepth=600", True),
        ("-j1", True),
        ("--threads=1", True),
        ("--memory=1000", False),
        ("--plugin=/p.so", False),
        ("--load-dynlib=/l.so", False),
        ("--root=/", False),
        ("-o/x.olean", False),
        ("--setup=/s.json", False),
    ],
)
def test_scripts_are_kept_by_options(own_modules: Path, tmp_path: Path, argument: str, may: bool) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    assert (found(script, own_modules, (argument,)) is not None) is may


@pytest.mark.parametrize("name", ["LeanWorker", "LeanWorker.olean"])
def test_no_script_is_kept_whose_imports_can_be_compiled_again(
    own_modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    monkeypatch.setenv("LEAN_PATH", f"{own_modules}{os.pathsep}{tmp_path}")
    assert found(script, own_modules) is not None
    (tmp_path / name).mkdir()
    assert found(script, own_modules) is None


def test_a_script_that_has_just_changed_is_too_new(own_modules: Path, tmp_path: Path) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    written_ns = script.stat().st_ctime_ns
    assert found(script, own_modules, is_copy=False) is None
    wait_until(lambda: time.time_ns() > written_ns + 2_000_000_000)
    assert found(script, own_modules, is_copy=False) is not None
    os.utime(script, (0, 0))  # as a copy that keeps its time
    assert found(script, own_modules, is_copy=False) is None


@pytest.mark.parametrize("how", ["in place", "replaced", "removed", "another directory", "another file"])
def test_a_script_that_changes_while_it_is_compiled_is_not_kept(
    own_modules: Path, kept: Path, tmp_path: Path, how: str
) -> None:
    script, other = tmp_path / "here" / "Said.lean", tmp_path / "other" / "Said.lean"
    for file, text in ((other, TEXT.replace("WORD", "NEWS")), (script, TEXT)):
        file.parent.mkdir()
        file.write_text(text)
    written_ns = script.stat().st_ctime_ns
    wait_until(lambda: time.time_ns() > written_ns + 2_000_000_000)

    def swap() -> None:
        here, there = (script.parent, other.parent) if how == "another directory" else (script, other)
        here.rename(tmp_path / "away")
        there.rename(here)
        (tmp_path / "away").rename(there)

    keeping = kept_scripts.find(
        script, is_copy=False, own_modules=own_modules, library=embedded_library(), arguments=()
    )
    assert keeping is not None
    with contextlib.ExitStack() as cleanup:
        arguments = keeping.arguments(cleanup)
        if how == "in place":
            script.write_text(TEXT.replace("WORD", "NEWS"))
        elif how == "replaced":
            (tmp_path / "new").write_text(TEXT.replace("WORD", "NEWS"))
            (tmp_path / "new").replace(script)
        elif how.startswith("another"):
            swap()
        # In a process of its own, as Lean would do it in this one; so nothing counts as written here.
        lean = [sys.executable, "-m", "lean_worker.child.lean_driver", str(embedded_library())]
        subprocess.run([*lean, *arguments[: arguments.index("--run")], str(script)], check=True, timeout=60)
        if how == "removed":
            script.unlink()
        elif how.startswith("another"):
            swap()
            assert script.read_text() == TEXT
        keeping.served()
    assert not list(kept.iterdir())


def test_there_are_only_so_many(kept: Path) -> None:
    kept.mkdir()
    hour = 3600
    ages = {"young": 0, **{f"old-{i:03}": 2 * hour + i for i in range(210)}, ".new-a": 2 * hour, ".new-b": 0}
    for name, age in ages.items():
        (kept / name).mkdir()
        os.utime(kept / name, (time.time() - age, time.time() - age))
    assert kept_scripts._has_room(kept)
    left = {each.name for each in kept.iterdir()}
    assert {"young", ".new-b", "old-000"} <= left and ".new-a" not in left and "old-209" not in left
    assert 190 < len(left) <= 200
    for name in left | {"more"}:
        (kept / name).mkdir(exist_ok=True)
        os.utime(kept / name)
    while len(list(kept.iterdir())) <= 200:
        (kept / f"young-{len(list(kept.iterdir()))}").mkdir()
    assert not kept_scripts._has_room(kept)  # none is old enough to be removed
    assert len(list(kept.iterdir())) == 201


def test_a_script_is_kept_as_it_lies(own_modules: Path) -> None:
    assert found(LEAN / "Interop.lean", own_modules, is_copy=False) is not None
