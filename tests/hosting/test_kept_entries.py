"""The directory of kept scripts: what is damaged, removed, left over or too much in it stops no worker."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import lean_worker as lw
from kept import IMPORTED, TEXT, answered, capability, entries, found, long_text, marks, remnants, started_in
from lean_worker.child import kept_modules
from raw_child import starter
from support import embedded_library, is_running, wait_until

pytestmark = [pytest.mark.lean, pytest.mark.skipif(sys.platform != "linux", reason="Linux has /proc/self/fd")]


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
        "a module of a TB",
        "a digest of a TB",
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
    elif how.endswith("of a TB"):  # of holes
        os.truncate(module if how.startswith("a module") else entry / "digest", 1 << 40)
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


def test_an_entry_of_a_clock_that_was_ahead_counts_as_an_old_one(kept: Path) -> None:
    kept.mkdir()
    now = time.time()
    for number in range(kept_modules.MOST_ENTRIES):
        (kept / f"{number:064x}").mkdir()
        os.utime(kept / f"{number:064x}", (now + 86_400 + number,) * 2)
    assert kept_modules.sweep(kept)[0] == kept_modules.MOST_ENTRIES - 1


@pytest.mark.parametrize("name", [".new-deep", ".broken-deep", "MARK"])
def test_what_lies_in_a_thousand_directories_is_removed(
    own_modules: Path, kept: Path, tmp_path: Path, name: str
) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    keeping = found(script, own_modules)
    assert keeping is not None
    kept.mkdir()
    deep = kept / (f"{keeping._entry.name}.tried" if name == "MARK" else name)
    deep.mkdir()
    below = os.open(deep, os.O_RDONLY)
    for _ in range(1500):  # deeper than Python's frames, and than a path may be long
        os.mkdir("d", dir_fd=below)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=below))
        next_one = os.open("d", os.O_RDONLY, dir_fd=below)
        os.close(below)
        below = next_one
    os.close(below)
    old = time.time() - 2 * kept_modules.TRIED_SECONDS
    os.utime(deep, (old, old))
    try:
        with contextlib.ExitStack() as cleanup:
            assert keeping.arguments(cleanup) != ["--run", str(script)]
        assert list(kept.iterdir()) == [keeping._entry]
    finally:
        subprocess.run(["rm", "-rf", str(deep)], check=True)


@pytest.mark.parametrize("others", [0, 30])
def test_a_worker_of_few_free_descriptors_takes_no_part(own_modules: Path, tmp_path: Path, others: int) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.dup(0) for _ in range(others)]
    looking = os.dup(0)  # as to look takes one
    limit = max(map(int, os.listdir("/proc/self/fd"))) + 45
    more: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        os.close(looking)
        taking_part = []
        with contextlib.suppress(OSError):
            while True:
                taking_part.append(found(script, own_modules) is not None)
                more.append(os.dup(0))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in held + more:
            os.close(each)
    assert taking_part.count(False) == 40 and taking_part == sorted(taking_part, reverse=True)
    assert found(script, own_modules) is not None


@pytest.mark.parametrize("most", [0, 1, 10, 40, 60, 100, 150])
def test_a_limit_of_the_size_of_files_stops_no_start(own_modules: Path, kept: Path, tmp_path: Path, most: int) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    keeping = found(script, own_modules)
    assert keeping is not None
    with contextlib.ExitStack() as cleanup:
        assert keeping.arguments(cleanup) != ["--run", str(script)]
    before = os.listdir("/proc/self/fd")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with contextlib.ExitStack() as cleanup:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
        try:
            arguments = keeping.arguments(cleanup)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        if arguments == ["--run", str(script)]:
            assert os.listdir("/proc/self/fd") == before
        else:
            assert most >= 100 and modules_of(arguments).endswith("}")
    assert len(entries(kept)) == 1


@pytest.mark.parametrize("program", [None, ""])
def test_a_python_that_does_not_know_its_program_keeps_nothing(
    own_modules: Path, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None
) -> None:
    script = tmp_path / "Said.lean"
    script.write_text(TEXT)
    keeping = found(script, own_modules)
    assert keeping is not None
    with monkeypatch.context() as patch, contextlib.ExitStack() as cleanup:
        patch.setattr(sys, "executable", program)
        assert keeping.arguments(cleanup) == ["--run", str(script)]
    assert not list(kept.iterdir())  # no mark, so that others keep it
    with contextlib.ExitStack() as cleanup:
        assert keeping.arguments(cleanup) != ["--run", str(script)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", program)
            assert keeping.arguments(cleanup) != ["--run", str(script)]


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
    most, each = kept_modules.MOST_BYTES, kept_modules.MOST_BYTES_EACH
    names = [f"{number:064x}" for number in range(most // each + 1)]

    def make(name: str, age: float) -> None:
        (kept / name).mkdir(exist_ok=True)
        with open(kept / name / "LeanWorkerScript.olean", "wb") as file:
            file.truncate(each)  # of holes
        os.utime(kept / name, (now - age,) * 2)

    for at, name in enumerate(names):
        make(name, 7200 + at)
    assert kept_modules.sweep(kept) == (len(names) - 2, each)
    assert sorted(entry.name for entry in entries(kept)) == names[:-2]  # the oldest went
    for name in names[:-1]:
        make(name, 0)  # as many as may be, and nobody may go
    assert answered(capability(tmp_path / "Said.lean")) == ("WORD", False)
    assert sorted(entry.name for entry in entries(kept)) == names[:-1] and not remnants(kept)
