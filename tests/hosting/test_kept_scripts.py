"""Compiled scripts that are kept: used by all workers, and only where nobody could tell the difference."""

from __future__ import annotations

import contextlib
import dataclasses
import mmap
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import lean_worker as lw
from lean_worker.child import kept_modules, kept_scripts, olean_cache, script_compiler
from raw_child import LEAN, starter
from support import copy_of_cache, embedded_library, is_running, wait_until

pytestmark = [pytest.mark.lean, pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc/self/fd")]

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


@pytest.fixture
def own_modules(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = olean_cache.prepare(embedded_library())
    monkeypatch.setenv("LEAN_PATH", str(directory))
    return directory


def found(script: Path, own_modules: Path, arguments: tuple[str, ...] = ()) -> kept_scripts.KeptScript | None:
    return kept_scripts.find(
        script, script.read_bytes(), own_modules=own_modules, library=embedded_library(), arguments=arguments
    )


def capability(script: Path, text: str = TEXT, **settings: object) -> lw.LeanCapability:
    """A script; the import makes it one that is copied for the worker."""
    script.write_text(text)
    return lw.LeanCapability(script, toolchain="embedded", imports=("LeanWorker",), **settings)


def answered(capability: lw.LeanCapability) -> tuple[str, bool]:
    """The answer of a new worker, and True if it imported a kept script."""
    with lw.Pool(1) as pool, pool.lease(capability) as lease:
        return lease.call(ANSWER), uses_kept(pool)


def uses_kept(pool: lw.Pool) -> bool:
    (pid,) = pool._core.workers.pids()
    return "LeanWorkerScript.olean" in Path(f"/proc/{pid}/maps").read_text()


def entries(kept: Path) -> list[Path]:
    """Entries that are kept, without marks and remnants."""
    return [each for each in kept.iterdir() if len(each.name) == 64] if kept.exists() else []


def marks(kept: Path) -> list[Path]:
    """Marks of scripts that were tried and not kept."""
    return sorted(kept.glob("*.tried"))


def remnants(kept: Path) -> list[Path]:
    """Entries that are being built, or were left unfinished."""
    return sorted(kept.glob(".*"))


def long_text(definitions: int = 600) -> str:
    """A script that takes long to compile."""
    more = "\n".join(f"def f{i} (a b : Nat) : Nat := Nat.add (Nat.mul a b) {i}" for i in range(definitions))
    return TEXT.replace("def main", f"{more}\ndef main")


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


@pytest.mark.parametrize(
    "how",
    [
        "cut",
        "other bytes",
        "no module",
        "a pipe",
        "a link",
        "no digest",
        "empty digest",
        "for all",
        "a file",
        "a dangling link",
    ],
)
def test_what_is_damaged_is_compiled_again(kept: Path, tmp_path: Path, how: str) -> None:
    hosted = capability(tmp_path / "Said.lean")
    answered(hosted)
    (entry,) = kept.iterdir()
    held = os.open(entry, os.O_RDONLY)  # so that its inode is not given to another
    inode = entry.stat().st_ino
    module = entry / "LeanWorkerScript.olean"
    data = module.read_bytes()
    if how == "cut":
        module.write_bytes(data[: len(data) // 2])
    elif how == "other bytes":
        module.write_bytes(data.replace(b"WORD", b"FAKE"))
    elif how == "no module":
        module.unlink()
    elif how == "a pipe":
        module.unlink()
        os.mkfifo(module, 0o644)
    elif how == "a link":
        module.rename(tmp_path / "moved.olean")
        module.symlink_to(tmp_path / "moved.olean")
    elif how == "no digest":
        (entry / "digest").unlink()
    elif how == "empty digest":
        (entry / "digest").write_bytes(b"")
    elif how == "for all":
        module.chmod(0o666)
    else:
        entry.rename(tmp_path / "away")
        if how == "a file":
            entry.write_text("in the way")
        else:
            entry.symlink_to(tmp_path / "nowhere")
    assert [answered(hosted) for _ in range(2)] == [("WORD", True)] * 2
    assert list(kept.iterdir()) == [entry] and entry.is_dir() and not entry.is_symlink()
    assert entry.stat().st_ino != inode
    os.close(held)


def test_what_cannot_be_read_for_a_moment_stays(own_modules: Path, kept: Path, tmp_path: Path) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    keeping = found(script, own_modules)
    assert keeping is not None
    with contextlib.ExitStack() as cleanup:
        assert keeping.arguments(cleanup)[-1] != str(script)
    (entry,) = kept.iterdir()
    inode = entry.stat().st_ino
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = os.dup(0)
    os.close(spare)
    reads = []
    for more in range(40):  # one of them fails at each descriptor that is needed
        with contextlib.ExitStack() as cleanup:
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare + more, hard))
            try:
                reads.append(keeping.arguments(cleanup) != ["--run", str(script)])
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert list(kept.iterdir()) == [entry] and entry.stat().st_ino == inode
    assert reads == sorted(reads) and set(reads) == {False, True}


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


@pytest.mark.parametrize("body", ['panic! "no database"', 'throw (IO.userError "no database")'])
def test_a_start_that_fails_leaves_nothing_unfinished(kept: Path, tmp_path: Path, body: str) -> None:
    text = TEXT.replace(":= serve (", f":= do\n  let _ : Nat ← (({body}) : IO Nat)\n  serve (")
    script = tmp_path / "Said.lean"
    script.write_text(text)
    for _ in range(2):
        with pytest.raises(lw.LeanWorkerError, match="no database"):
            answered(capability(script, text))
    assert not remnants(kept) and len(list(kept.iterdir())) == 1


def test_a_start_that_takes_too_long_leaves_nothing_unfinished(kept: Path, tmp_path: Path) -> None:
    text = TEXT.replace(":= serve (", ":= do\n  IO.sleep 1000000\n  serve (")
    script = tmp_path / "Said.lean"
    script.write_text(text)
    with starter() as start:
        worker = start(*IMPORTED, script=script)
        wait_until(lambda: entries(kept) or remnants(kept))
        wait_until(lambda: "LeanWorkerScript.olean" in Path(f"/proc/{worker.process.pid}/maps").read_text())
    assert not remnants(kept) and not marks(kept) and len(entries(kept)) == 1


def test_what_killed_workers_left_is_removed_also_where_nothing_new_is_kept(kept: Path, tmp_path: Path) -> None:
    hosted = capability(tmp_path / "Said.lean")
    answered(hosted)
    (entry,) = kept.iterdir()
    old = time.time() - 2 * kept_modules.DEAD_SECONDS
    for name, when in ((".new-a", old), (".broken-b", old), (".new-young", time.time())):
        (kept / name).mkdir()
        (kept / name / "LeanWorkerScript.olean").write_text("much")
        os.utime(kept / name, (when, when))
    assert answered(hosted) == ("WORD", True)
    assert len(remnants(kept)) == 3  # it is looked for now and then
    os.utime(entry, (time.time() - kept_modules.UNUSED_SECONDS,) * 2)
    assert answered(hosted) == ("WORD", True)
    assert [each.name for each in remnants(kept)] == [".new-young"]
    assert time.time() - entry.stat().st_mtime < kept_modules.UNUSED_SECONDS / 2


def test_remnants_and_odd_names_do_not_stop_the_keeping(kept: Path, tmp_path: Path) -> None:
    kept.mkdir()
    for number in range(201):
        (kept / f".new-{number}").mkdir()
    (kept / "dangling").symlink_to(tmp_path / "nowhere")
    (kept / ("e" * 64)).symlink_to(tmp_path / "nowhere")
    (kept / "odd\udcff").write_text("odd")
    assert answered(capability(tmp_path / "Said.lean")) == ("WORD", True)


@pytest.mark.parametrize("what", ["all", "the unfinished one"])
def test_a_worker_starts_although_the_cache_is_cleaned_meanwhile(kept: Path, tmp_path: Path, what: str) -> None:
    text = long_text(150)
    capability(tmp_path / "Said.lean", text)
    with starter() as start:
        worker = start(*IMPORTED, script=tmp_path / "Said.lean")
        wait_until(lambda: any((each / "setup.json").exists() for each in remnants(kept)))
        shutil.rmtree(kept if what == "all" else remnants(kept)[0], ignore_errors=True)
        worker.greet()
    assert not remnants(kept) and not entries(kept)
    assert answered(capability(tmp_path / "Said.lean", text))[0] == "WORD"


def test_an_entry_may_be_removed_when_lean_has_not_read_it_yet(own_modules: Path, kept: Path, tmp_path: Path) -> None:
    script = tmp_path / "Said.lean"
    script.write_text('prelude\nimport LeanWorker\ndef main : IO Unit := IO.println "WORD"\n')
    keeping = found(script, own_modules)
    assert keeping is not None
    for _ in range(2):  # when it has just been compiled, and when it was kept
        with contextlib.ExitStack() as cleanup:
            arguments = keeping.arguments(cleanup)
            (entry,) = kept.iterdir()
            entry.rename(tmp_path / "away")
            script.write_text("that is no Lean")
            run = subprocess.run(
                [sys.executable, "-m", "lean_worker.child.lean_driver", str(embedded_library()), *arguments],
                pass_fds=[fd for fd in range(3, 100) if f"fd/{fd}" in " ".join(arguments) + modules_of(arguments)],
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert (run.returncode, run.stdout, run.stderr) == (0, "WORD\n", "")
        (tmp_path / "away").rename(entry)


def modules_of(arguments: list[str]) -> str:
    """The text of the setup."""
    (setup,) = [each for each in arguments if each.startswith("--setup=")]
    return Path(setup.partition("=")[2]).read_text()


def test_the_clean_up_of_another_worker_takes_no_start_down(kept: Path, tmp_path: Path) -> None:
    """An entry that nobody has used for hours is opened by one and removed by the other."""
    hosted = capability(tmp_path / "Said.lean")
    answered(hosted)
    stop = threading.Event()

    def clean() -> None:
        while not stop.is_set():
            for entry in entries(kept):
                shutil.rmtree(entry, ignore_errors=True)

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    try:
        for _ in range(5):
            assert answered(hosted)[0] == "WORD"
    finally:
        stop.set()
        cleaner.join()
    assert answered(hosted) == ("WORD", True)


def test_a_worker_starts_on_a_disk_that_is_full(
    kept: Path, compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    need = sum(1 for _ in compiled.rglob("*")) + 3
    try:
        mounting = ["mount", "-t", "tmpfs", "-o", f"size=400m,nr_inodes={need + 300}", "tmpfs", str(disk)]
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted")
    try:
        shutil.copytree(compiled, disk / "cache")
        (disk / "cache" / "scripts").mkdir()
        monkeypatch.setenv("LEAN_WORKER_CACHE_DIR", str(disk / "cache"))
        (disk / "filler").mkdir()
        hosted = capability(tmp_path / "Said.lean", long_text(150))
        with starter() as start:
            worker = start(*IMPORTED, script=tmp_path / "Said.lean")
            wait_until(lambda: remnants(disk / "cache" / "scripts"))
            fill(disk, 0)  # while it compiles
            worker.greet()
        assert not entries(disk / "cache" / "scripts")
        for free in (0, 1, 2, 6):
            fill(disk, free)
            assert answered(hosted) == ("WORD", False)
        shutil.rmtree(disk / "filler")
        assert answered(hosted) == ("WORD", True)  # that it did not work was no fault of the script
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, free: int) -> None:
    """Leave room for so many files only."""
    shutil.rmtree(disk / "filler")
    (disk / "filler").mkdir()
    for number in range(os.statvfs(disk).f_ffree - free):
        (disk / "filler" / str(number)).touch()


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


def test_a_worker_killed_at_any_moment_leaves_what_the_next_can_use(kept: Path, tmp_path: Path) -> None:
    hosted = capability(tmp_path / "Said.lean")
    seconds = started_in(tmp_path / "Said.lean")
    shutil.rmtree(kept)
    for tenth in range(12):
        with starter() as start:
            worker = start(*IMPORTED, script=tmp_path / "Said.lean")
            time.sleep(seconds * tenth / 10)  # the moment is what is tested, whatever it hits
            os.kill(worker.process.pid, signal.SIGKILL)
        assert all((entry / "digest").exists() for entry in entries(kept))
        assert answered(hosted)[0] == "WORD"
        for entry in kept.iterdir():
            if tenth % 2:
                entry.unlink() if entry.is_file() else shutil.rmtree(entry)


def started_in(script: Path) -> float:
    """Seconds until a worker serves."""
    began = time.monotonic()
    with starter() as start:
        start(*IMPORTED, script=script).greet()
        return time.monotonic() - began


def test_the_compiling_process_ends_with_its_worker(kept: Path, tmp_path: Path) -> None:
    hosted = capability(tmp_path / "Said.lean", long_text())
    with starter() as start:
        worker = start(*IMPORTED, script=tmp_path / "Said.lean")
        children = Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children")
        wait_until(lambda: remnants(kept) and children.read_text())
        (compiling,) = map(int, children.read_text().split())
        # Before it has said that it wants to end too, it would.
        wait_until(lambda: "libleanshared" in Path(f"/proc/{compiling}/maps").read_text())
        os.kill(worker.process.pid, signal.SIGKILL)
        wait_until(lambda: not is_running(compiling))
    assert len(remnants(kept)) == len(marks(kept)) == 1 and not entries(kept)
    # It is not tried again: the time for this start may be too short for it.
    assert answered(hosted) == ("WORD", False)


def test_there_are_only_so_many(kept: Path, tmp_path: Path) -> None:
    kept.mkdir()
    now = time.time()
    ages = [*(7200 + number for number in range(210)), 0]
    names = [f"{number:064x}" for number in range(len(ages))]
    for name, age in zip(names, ages, strict=True):
        (kept / name).mkdir()
        os.utime(kept / name, (now - age, now - age))
    for number in range(kept_modules.MOST_TRIED + 5):
        (kept / f"{number:064x}.tried").touch()
    assert kept_modules.sweep(kept) == (199, kept_modules.MOST_BYTES)
    assert sorted(each.name for each in entries(kept)) == [*names[:198], names[-1]]  # the oldest went
    assert len(marks(kept)) == kept_modules.MOST_TRIED
    for name in names:
        (kept / name).mkdir(exist_ok=True)
        os.utime(kept / name)
    assert kept_modules.sweep(kept)[0] == 211  # none is old enough to be removed
    assert answered(capability(tmp_path / "Said.lean")) == ("WORD", False)
    assert len(entries(kept)) == 211


def test_there_are_only_so_many_bytes(kept: Path, tmp_path: Path) -> None:
    kept.mkdir()
    now = time.time()
    names = [f"{number:064x}" for number in range(4)]
    for at, name in enumerate(names):
        (kept / name).mkdir()
        with open(kept / name / "LeanWorkerScript.olean", "wb") as file:
            file.truncate(kept_modules.MOST_BYTES // 3)  # of holes
        os.utime(kept / name, (now - 7200 - at,) * 2)
    entries_left, room = kept_modules.sweep(kept)
    assert (entries_left, room) == (2, kept_modules.MOST_BYTES - 2 * (kept_modules.MOST_BYTES // 3))
    assert sorted(each.name for each in entries(kept)) == names[:2]
    with open(kept / names[0] / "LeanWorkerScript.olean", "wb") as file:
        file.truncate(2 * (kept_modules.MOST_BYTES // 3))  # two bytes are left, and nobody may go
    for name in names[:2]:
        os.utime(kept / name)
    assert answered(capability(tmp_path / "Said.lean")) == ("WORD", False)
    assert sorted(each.name for each in entries(kept)) == names[:2] and not remnants(kept)


# -- which scripts may be kept --


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
        "macro_rules | `(now) => readTheClock",
        'macro "now" : term => readTheClock',
        "set_option profiler true",
        "@[quot_precheck now] def now := readTheClock",
        "@[app_unexpander word, simp] def now := readTheClock",
        "@[simp, cpass] def now := readTheClock",
        "@[simp /- ] -/, cpass] def now := readTheClock",
        "@[simp -- ]\n, cpass] def now := readTheClock",
        '@[deprecated "x]" (since := "y"), cpass] def now := readTheClock',
        "@[$now] def now := readTheClock",
        "@[simp.cpass] def now := readTheClock",
        "@[«cpass»] def now := readTheClock",
        "attribute [quot_precheck now] word",
        "attribute /- -/ [cpass] word",
        "attribute [simp] word attribute [local cpass] word",
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
        ("-Dprofiler=true", False),
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


@pytest.mark.parametrize(
    "text",
    [
        "@[inline] def other := 1",
        "@[inline, simp ↓ 100, always_inline] def other := 1",
        '@[deprecated word "use word, or [this]" (since := "2026-01-01"), inline] def other := 1',
        "@[macro_inline, specialize f] def other := 1",
        "@[ inherit_doc word ] def other := 1",
        "attribute [local instance] other",
        "attribute [-simp] other",
        "attribute [scoped simp, -instance] other",
        "def other := @id Nat 1",
        "@[default_instance high, reducible] instance : Inhabited Nat := other",
    ],
)
def test_attributes_that_run_no_code_are_no_reason(own_modules: Path, tmp_path: Path, text: str) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(f"{TEXT}\n{text}\n")
    assert found(script, own_modules) is not None


def test_a_script_of_many_commands_may_be_kept(own_modules: Path) -> None:
    assert found(LEAN / "Interop.lean", own_modules) is not None
