"""Without descriptors, threads, disk or a temporary directory: documented errors, and service again afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading

import pytest

import lean_worker as lw
from descriptors import descriptors_left
from many_requests import ECHO, NO_LIMITS, ROWS
from support import FUNCTIONS, HELPERS, IMPORTABLE

pytestmark = pytest.mark.supervision


def use(pool):
    with pool.lease(FUNCTIONS) as lease:
        assert lease.call(ECHO, 1) == 1
        assert len(lease.collect(ROWS, {"count": 3}).rows) == 3


@pytest.mark.parametrize("is_warm", [False, True])
def test_without_descriptors(is_warm):
    refused = []
    for count in range(0, 24, 2):
        with lw.Pool(1, restarts=NO_LIMITS) as pool:
            if is_warm:
                use(pool)
            with descriptors_left(count):
                try:
                    use(pool)
                except lw.LeanWorkerError as error:
                    refused.append(type(error).__name__)
                with contextlib.suppress(lw.LeanWorkerError):
                    pool.snapshot()
            use(pool)
            assert pool.snapshot().leased == 0
    assert is_warm or set(refused) == {"ResourceExhausted"}, refused


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8])
def test_a_process_whose_first_worker_finds_no_descriptor(count):
    script = (
        "import faulthandler; faulthandler.dump_traceback_later(60, exit=True)\n"
        "import lean_worker as lw\nfrom test_exhausted import FUNCTIONS, NO_LIMITS, descriptors_left, use\n"
        "with lw.Pool(1, restarts=NO_LIMITS) as pool:\n"
        f"    with descriptors_left({count}):\n"
        "        try:\n"
        "            use(pool)\n"
        "        except lw.errors.ResourceExhausted as error:\n"
        "            print(error.resource, error.retry)\n"
        "    use(pool)\n"
    )
    argv = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([IMPORTABLE, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, env=environment)
    assert (done.returncode, done.stdout) == (0, "descriptor safe\n"), done.stdout + done.stderr


def test_many_requests_without_threads():
    """The system refuses a thread whose stack does not fit into the address space."""
    with lw.Pool(2, restarts=NO_LIMITS) as pool:
        use(pool)
        before = threading.stack_size(1 << 46)
        try:
            with pytest.raises(lw.errors.ResourceExhausted) as caught:
                list(pool.map(ECHO, range(3), capability=FUNCTIONS))
        finally:
            threading.stack_size(before)
        assert caught.value.resource == "thread"
        assert [outcome.value for outcome in pool.map(ECHO, range(3), capability=FUNCTIONS)] == [0, 1, 2]


@pytest.mark.parametrize("place", ["missing", "file"])
def test_without_a_temporary_directory(place, tmp_path):
    script = tmp_path / "user.py"
    script.write_text(
        f"import sys, tempfile; sys.path.insert(0, {str(HELPERS)!r})\n"
        "import lean_worker as lw\nfrom support import FUNCTIONS\n"
        f"tempfile.tempdir = {str(tmp_path / 'missing' if place == 'missing' else script)!r}\n"
        "with lw.Pool(1) as pool:\n"
        "    try:\n"
        "        pool.lease(FUNCTIONS).release()\n"
        "    except lw.LeanWorkerError as error:\n"
        "        print('refused', type(error).__name__)\n"
        "    tempfile.tempdir = None\n"
        "    pool.lease(FUNCTIONS).release()\n"
        "print('served')\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "served" in done.stdout, done.stdout + done.stderr
    assert tempfile.gettempdir()
