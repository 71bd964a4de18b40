"""Compiled scripts that are kept: used by all workers, and only where nobody could tell the difference."""

from __future__ import annotations

import contextlib
import dataclasses
import mmap
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

import lean_worker as lw
from kept import ANSWER, IMPORTED, PANIC, TEXT, answered, capability, entries, long_text, marks, remnants, uses_kept
from lean_worker.child import kept_modules, kept_scripts, olean_cache, script_compiler
from raw_child import starter
from support import embedded_library, wait_until

pytestmark = [pytest.mark.lean, pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc/self/fd")]


def test_all_workers_import_what_was_compiled_once(kept: Path, tmp_path: Path) -> None:
    hosted = capability(tmp_path / "Said.lean")
    assert answered(hosted) == ("WORD", True)
    (entry,) = kept.iterdir()
    inode = entry.stat().st_ino
    assert [answered(hosted) for _ in range(2)] == [("WORD", True)] * 2
    assert list(kept.iterdir()) == [entry] and entry.stat().st_ino == inode
    assert sorted(each.name for each in entry.iterdir()) == ["LeanWorkerScript.olean", "digest"]
    assert all(each.stat().st_mode & 0o777 == 0o644 for each in entry.iterdir())


def test_another_text_is_another_script(kept: Path, tmp_path: Path) -> None:
    script = tmp_path / "Said.lean"
    for word, count in [("a", 1), ("b", 2), ("a", 2), ("b", 2), ("c", 3)]:
        assert answered(capability(script, TEXT.replace("WORD", word))) == (word, True)
        assert len(entries(kept)) == count
    assert answered(capability(tmp_path / "Named.lean", TEXT.replace("WORD", "a"))) == ("a", True)
    assert len(entries(kept)) == 3
    with_option = capability(script, TEXT.replace("WORD", "a"), options={"maxRecDepth": 600})
    assert answered(with_option) == ("a", True)
    assert len(entries(kept)) == 4


@pytest.mark.parametrize("where", ["below the working directory", "elsewhere"])
def test_a_panic_has_the_same_words(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """It names the module, whose name depends on the working directory."""
    (tmp_path / "Below").mkdir()
    script = tmp_path / "Below" / "Said.lean"
    if where == "below the working directory":
        monkeypatch.chdir(tmp_path)
    hosted, off = capability(script), capability(script, env={kept_scripts.SWITCH: "1"})
    said = []
    for each, is_kept in ((off, False), (hosted, True), (hosted, True), (off, False)):
        with lw.Pool(1) as pool, pool.lease(each) as lease:
            assert uses_kept(pool) is is_kept
            with pytest.raises(lw.ChildExited) as failed:
                lease.call(PANIC)
            said.append(str(failed.value.stderr_tail).splitlines()[-1])
    assert "is too much" in said[0]
    assert said == said[:1] * 4


def test_what_lean_says_of_a_script_it_says_each_time(kept: Path, tmp_path: Path) -> None:
    text = TEXT.replace("answer : Command", "answer (unused : Nat) : Command").replace("cons answer", "cons (answer 1)")
    script = tmp_path / "Warned.lean"
    script.write_text(text)
    tried = []
    with starter() as start:
        for _ in range(2):
            worker = start(*IMPORTED, script=script).greet()
            worker.send("request", op="terminate")
            code, stderr = worker.end()
            assert code == 0 and stderr.count("is not explicitly referenced") == 1
            tried.append([(each.name, each.stat().st_ino, each.stat().st_mtime_ns) for each in kept.iterdir()])
    # Not even tried again: that would take the time of a second elaboration at each start.
    assert tried[0] == tried[1] and len(tried[0]) == 1 and tried[0][0][0].endswith(".tried")
    (mark,) = marks(kept)
    os.utime(mark, (time.time() - 2 * kept_modules.TRIED_SECONDS,) * 2)
    assert answered(capability(script, text)) == ("WORD", False)
    assert mark.stat().st_mtime_ns != tried[0][0][2]  # after a day it was


@pytest.mark.parametrize("words", [0, 1])
def test_a_compilation_with_a_single_byte_of_words_counts_as_one_with_words(tmp_path: Path, words: int) -> None:
    """Macros can print what they like; these are not kept for another reason now, so Lean is run without that."""
    script = tmp_path / "Said.lean"
    said = 'dbg_trace ""; ' if words else ""
    script.write_text(
        "prelude\nimport LeanWorker\nopen LeanWorker\n"
        f'syntax "now!" : term\nmacro_rules | `(now!) => {said}pure (Lean.Syntax.mkStrLit "x")\n'
        "def word : String := now!\n"
    )
    assert compiled_silently(script, tmp_path / "Said.olean") is not bool(words)


def compiled_silently(script: Path, module: Path, seconds: float = 60) -> bool:
    environment = {"LEAN_PATH": str(olean_cache.prepare(embedded_library()))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAN_PATH", environment["LEAN_PATH"])
        arguments = ["-Dinterpreter.prefer_native=false", "-o", str(module), f"--root={script.parent}", str(script)]
        return script_compiler.compile_silently(embedded_library(), arguments, seconds)


def test_a_compilation_leaves_no_byte_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package lies here as an installer leaves it that compiles nothing."""
    package = tmp_path / "packages" / "lean_worker"
    shutil.copytree(Path(lw.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(script_compiler, "_PACKAGES", package.parent)
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    assert compiled_silently(script, tmp_path / "Said.olean")
    assert not list(package.rglob("*.pyc"))


def test_a_compilation_ends_when_its_time_is_over(tmp_path: Path) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(long_text())
    assert not compiled_silently(script, tmp_path / "Said.olean", 0.1)
    assert not (tmp_path / "Said.olean").exists()
    assert not Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def test_what_a_short_line_of_a_macro_says_comes_each_time(kept: Path, tmp_path: Path) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(
        TEXT.replace('"WORD"', "now!").replace(
            "private def",
            'syntax "now!" : term\nmacro_rules | `(now!) => dbg_trace "line 2"; pure (Lean.Syntax.mkStrLit "WORD")\n'
            "private def",
        )
    )
    with starter() as start:
        for _ in range(2):
            worker = start(*IMPORTED, script=script).greet()
            worker.send("request", op="terminate")
            code, stderr = worker.end()
            assert code == 0 and "line 2" in stderr


def test_nothing_is_kept_in_a_sandbox_or_where_it_is_switched_off(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = capability(tmp_path / "Said.lean")
    off = capability(tmp_path / "Said.lean", env={kept_scripts.SWITCH: "1"})
    assert answered(off) == ("WORD", False)
    assert not kept.exists()
    assert answered(hosted) == ("WORD", True)
    assert answered(off) == ("WORD", False)
    locked_in = capability(tmp_path / "Said.lean", sandbox=lw.Sandbox())
    with contextlib.suppress(lw.CapabilityError):  # no sandboxes here
        assert answered(locked_in) == ("WORD", False)
    assert answered(hosted) == ("WORD", True)


def test_the_search_path_is_as_it_was(kept: Path, tmp_path: Path) -> None:
    """Also for what `main` does before it serves, and for the programs that it starts."""
    text = TEXT.replace(
        'private def word : String := "WORD"\ndef answer : Command',
        "def answer (before : String) : Command",
    )
    path = 'Option.getD (← IO.getEnv "LEAN_PATH") ""'
    text = text.replace(
        '  run _ := return (String.append "\\"" (String.append word "\\""))',
        f'  run _ := do return (String.append "\\"" (String.append before (String.append ({path}) "\\"")))',
    ).replace(":= serve (List.cons answer", f":= do\n  let before := {path}\n  serve (List.cons (answer before)")
    assert text.count("getEnv") == 2 and "answer before" in text
    hosted = capability(tmp_path / "Said.lean", text)
    off = capability(tmp_path / "Said.lean", text, env={kept_scripts.SWITCH: "1"})
    said = [answered(each) for each in (hosted, hosted, off)]
    assert said[0][0] == said[1][0] == said[2][0] != ""
    assert [is_kept for _, is_kept in said] == [True, True, False]


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


@pytest.mark.parametrize("how", ["mapped memory", "another directory"])
def test_what_is_kept_is_what_was_read(kept: Path, tmp_path: Path, how: str) -> None:
    """Another text lies there while Lean compiles, and the old one when it serves, with the old times."""
    script, other = tmp_path / "here" / "Said.lean", tmp_path / "there" / "Said.lean"
    good = long_text(100)
    bad = good.replace("WORD", "EVIL")
    for file, text in ((script, good), (other, bad)):
        file.parent.mkdir()
        file.write_text(text)
    age = script.stat().st_ctime_ns
    hosted = lw.LeanCapability(script, toolchain="embedded")

    def swap(text: str) -> None:
        if how == "mapped memory":
            place = good.index("WORD")
            memory[place : place + 4] = text[place : place + 4].encode()
        else:
            script.parent.rename(tmp_path / "away")
            other.parent.rename(script.parent)
            (tmp_path / "away").rename(other.parent)
            (script.parent / "swap file").touch()

    with open(script, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory, starter() as start:
        memory[0:1] = memory[0:1]
        wait_until(lambda: time.time_ns() > max(age, script.stat().st_ctime_ns) + 2_000_000_000)
        worker = start(script=script)
        wait_until(lambda: remnants(kept))
        swap(bad)
        worker.greet()
        swap(good)
        assert script.read_text() == good
        worker.send("request", op="terminate")
        worker.end()
    assert len(entries(kept)) == 1
    assert [answered(hosted) for _ in range(2)] == [("WORD", True)] * 2


def test_workers_that_start_at_once_compile_a_script_once(kept: Path, tmp_path: Path) -> None:
    hosted = capability(tmp_path / "Said.lean")
    with contextlib.ExitStack() as workers:
        started = [workers.enter_context(starter()) for _ in range(4)]
        children = [start(*IMPORTED, script=tmp_path / "Said.lean") for start in started]
        for child in children:
            child.greet()
    assert len(list(kept.iterdir())) == 1
    assert answered(hosted) == ("WORD", True)
