"""Kills a parent that runs a job at random moments, and goes on with the job until it is done; over and over.

    python tests/helpers/job_kills.py KILLS

In every second job a thread kills workers as well, and every second kill waits until something is done. The output has
to be absent or whole after each kill, and at the end byte for byte that of a job that nobody disturbed. Prints one line
of JSON with what was counted.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import psutil

import lean_worker as lw
from support import FUNCTIONS

REQUESTS = [{"count": 3000 if number % 8 == 7 else number % 100} for number in range(200)]
"""Small items, which share part files, and large ones, which have one each."""
ROWS = lw.StreamingCommand("rows")


def job_in(folder: Path) -> lw.Job:
    # Workers are killed here for nothing that an item did.
    return lw.Job(folder / "ledger", ROWS, FUNCTIONS, out=folder / "rows.jsonl", max_deaths=10_000)


def work(folder: Path, kills_workers: bool) -> None:
    restarts = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    with lw.Pool(max_workers=2, restarts=restarts) as pool:
        if kills_workers:
            threading.Thread(target=kill_workers, daemon=True).start()
        while True:
            try:
                job_in(folder).run(pool, REQUESTS).raise_for_error()
                return
            except lw.ChildExited as error:
                if error.entered_worker:
                    raise
                # Workers were killed while they started, several in a row.


def kill_workers() -> None:
    while True:
        time.sleep(0.1 + random.random() * 0.4)
        children = psutil.Process().children()
        if children:
            with contextlib.suppress(psutil.Error):
                random.choice(children).kill()


def digest_of(folder: Path) -> str:
    return hashlib.sha256((folder / "rows.jsonl").read_bytes()).hexdigest()


def main(kills: int) -> dict[str, int]:
    seen: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        undisturbed = Path(name) / "undisturbed"
        undisturbed.mkdir()
        started = time.monotonic()
        work_aside(undisturbed, kills_workers=False, seconds=None)
        seconds = time.monotonic() - started
        expected = digest_of(undisturbed)
        rows = sum(request["count"] for request in REQUESTS)
        assert len((undisturbed / "rows.jsonl").read_bytes().splitlines()) == rows
        while seen["kills"] < kills:
            folder = Path(name) / f"job{seen['jobs']}"
            folder.mkdir()
            # After a few kills it is left alone, so that every job has an end.
            left = random.randrange(1, 6)
            done_before = 0
            while not work_aside(
                folder,
                seen["jobs"] % 2 == 1,
                random.random() * seconds if left else None,
                more_than=done_before if seen["kills"] % 2 else -1,
            ):
                left -= 1
                seen["kills"] += 1
                assert not (folder / "rows.jsonl").exists() or digest_of(folder) == expected
                done = done_in(folder)
                assert done >= done_before, "an item that was done is not done any more"
                seen["kills that found items done"] += done > 0
                done_before = done
            assert digest_of(folder) == expected
            assert done_in(folder) == len(REQUESTS)
            assert os.listdir(folder / "ledger.parts") == [".lock"]
            seen["jobs"] += 1
    return dict(seen) | {"digests equal": seen["jobs"]}


def done_in(folder: Path) -> int:
    try:
        return job_in(folder).report().done
    except lw.UsageError:
        return 0  # killed before there was a ledger


def work_aside(folder: Path, kills_workers: bool, seconds: float | None, more_than: int = -1) -> bool:
    """Run the job in a process of its own; says whether it came to its end.

    It is killed after so many seconds, or, if they are over before more than `more_than` items are done, then.
    """
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work(folder, kills_workers)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        while done_in(folder) <= more_than and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.005)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
