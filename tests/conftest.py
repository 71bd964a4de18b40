"""Fixtures of all tests: both framings by name, seeded randomness, and the proof that a test left nothing behind."""

from __future__ import annotations

import faulthandler
import importlib
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

# Helpers, and the few test modules that share their tests with another.
sys.path.extend(str(path) for path in sorted(Path(__file__).parent.iterdir()) if path.is_dir())

from lean_worker.pytest_plugin import fake_worker as fake_worker

_STDERR = pytest.StashKey[int]()


def pytest_addoption(parser):
    parser.addoption(
        "--no-c-extension",
        action="store_true",
        help="leave out what needs the compiled modules; without this their absence is an error",
    )
    parser.addoption(
        "--no-ray",
        action="store_true",
        help="leave out what needs Ray; without this its absence is an error where Ray has wheels",
    )


HANG_SECONDS = float(os.environ.get("LEAN_WORKER_HANG_SECONDS", "60"))
"""How long a test that has passed its limit may take to fail before the whole run is ended."""


def pytest_configure(config):
    # Output is not captured yet; a copy, since tests close and replace standard error.
    config.stash[_STDERR] = os.dup(2)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job that a shell has put into the background
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config):
    os.close(config.stash[_STDERR])


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(item, settings):
    """Back up the limit of a test, which is raised in the main thread.

    A test that blocks signals, or that hangs again where it cleans up, would still hang. The stacks of all threads are
    written then, and the run ends.
    """
    faulthandler.dump_traceback_later(settings.timeout + HANG_SECONDS, exit=True, file=item.config.stash[_STDERR])
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_timeout_cancel_timer(item):
    faulthandler.cancel_dump_traceback_later()
    return (yield)


# What takes long there does not depend on how the package was installed: `ci/test` runs it once, from source.
ONCE = {
    "test_deaths",
    "test_edited_scripts",
    "test_embedded_extract",
    "test_embedded_library",
    "test_extract",
    "test_extract_rebuilds",
    "test_file_settings_used",
    "test_forked_workers",
    "test_full_disk",
    "test_hangs",
    "test_held_imports",
    "test_hostile_descriptors",
    "test_job_state",
    "test_judge_isolation",
    "test_lean_environment",
    "test_sandbox_attacks",
    "test_sink_forks",
    "test_sink_trust",
    "test_stored_rows",
    "test_toolchain",
    "test_user_types",
    "test_verify",
    "test_verify_modules",
    "test_verify_rows",
}


def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.path.stem in ONCE:
            item.add_marker(pytest.mark.once)
    markers = ["lean", "compiled"] if config.getoption("--no-c-extension") else []
    if config.getoption("--no-ray") or sys.version_info >= (3, 14):
        markers.append("ray")
    kept, left_out = [], []
    for item in items:
        (left_out if any(item.get_closest_marker(marker) for marker in markers) else kept).append(item)
    if not left_out:
        return
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


@pytest.fixture(
    scope="session",
    params=[pytest.param("_frames", id="c", marks=pytest.mark.compiled), pytest.param("wire.frames_py", id="py")],
)
def frames_impl(request):
    """Each framing in turn, imported by its own name: a missing extension is an error, not a skip."""
    return importlib.import_module(f"lean_worker.{request.param}")


class Rand(random.Random):
    """Seeded randomness whose seed shows in a failure; `Rand(seed)` plays it again."""

    def __init__(self, seed=None):
        self.seed_used = random.randrange(1 << 32) if seed is None else seed
        super().__init__(self.seed_used)

    def __repr__(self):
        return f"Rand({self.seed_used})"


@pytest.fixture
def rand():
    return Rand()


@pytest.fixture(scope="session", autouse=True)
def _isolated_cache(tmp_path_factory):
    """Compiled Lean modules go to a directory of this run, once for all tests."""
    before = os.environ.get("LEAN_WORKER_CACHE_DIR")
    os.environ["LEAN_WORKER_CACHE_DIR"] = str(tmp_path_factory.mktemp("olean-cache"))
    yield
    if before is None:
        del os.environ["LEAN_WORKER_CACHE_DIR"]
    else:
        os.environ["LEAN_WORKER_CACHE_DIR"] = before


@pytest.fixture(scope="session", autouse=True)
def _monitor():
    """The monitor and the starter keep threads and descriptors of their own; they are no leak of the first test."""
    from lean_worker.hosting import temporary
    from lean_worker.steps import monitor, starter

    monitor.shared().call(lambda: None)
    starter.submit(lambda: None).done.wait(None)
    temporary.remove(temporary.make())


@pytest.fixture(scope="session", autouse=True)
def _fakes():
    """The files of scripted workers that tests share go at the end."""
    import fakes

    yield
    fakes.close_fakes()


@pytest.fixture(params=["sync", "aio"])
def Pool(request):
    """`lw.Pool`, and `lw.AsyncPool` behind the same names: one test text holds for both."""
    import lean_worker
    import on_loop

    if request.param == "sync":
        yield lean_worker.Pool
        return
    loops = on_loop.Loops()
    yield loops.Pool
    loops.close()


def _left_behind():
    children = {child.pid for child in psutil.Process().children()}
    threads = {thread.name for thread in threading.enumerate()}
    descriptors = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    return len(children), len(threads), len(descriptors)


_shared_pools: set[str] = set()


def pytest_fixture_setup(fixturedef, request):
    """Note a pool that a module or the session shares: it may start a holder of imports at any time."""
    if fixturedef.argname == "pool" and fixturedef.scope != "function":
        _shared_pools.add(fixturedef.baseid)


def pytest_fixture_post_finalizer(fixturedef, request):
    if fixturedef.argname == "pool":
        _shared_pools.discard(fixturedef.baseid)


@pytest.fixture(autouse=True)
def _nothing_left_behind(request):
    """No child process, thread or descriptor more after a test than before; pools of a module are counted in."""
    for name in request.fixturenames:
        if name == "pool":
            request.getfixturevalue(name)
    before = _left_behind()
    yield
    if "cluster" in request.fixturenames:
        return  # Ray's connections come and go; its fixture ends whatever it started
    if "pool" in request.fixturenames or _shared_pools:
        return  # a shared pool keeps warm workers on purpose; its own end is checked by the module fixture's close
    end = time.monotonic() + 10
    while any(now > then for now, then in zip(_left_behind(), before)):
        assert time.monotonic() < end, (
            f"left behind: {_left_behind()} instead of {before} processes, threads, descriptors"
        )
        time.sleep(0.01)
