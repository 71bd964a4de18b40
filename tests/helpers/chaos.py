"""Streams over two workers while something kills workers at random moments; checks that nothing is lost or doubled.

    python tests/helpers/chaos.py [--seconds 60] [--lean | --forked | --locked-in] [--seed N]

Four threads run streams of random length as fast as the pool lets them; one kills a random worker every few
milliseconds. Each request must have exactly one outcome, by the caller's count and by the pool's. The rows of a request
that succeeded must be all of its rows, in order; those of one that failed a gapless beginning of them. In the end no
process is left. Prints its figures; a broken rule ends it with an AssertionError. Workers are Python functions, or with
`--lean` real Lean, with `--forked` forks of a process with its imports, and with `--locked-in` such forks in a sandbox.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))

import lean_worker as lw
from accounts import Accounts
from support import FUNCTIONS, HELD_INTEROP, INTEROP, send_signal

THREADS = 4
MAX_ROWS = 3000


HOSTS = {
    "Python": FUNCTIONS,
    "Lean": INTEROP,
    "forked": HELD_INTEROP,
    "locked in": dataclasses.replace(HELD_INTEROP, sandbox=lw.Sandbox()),
}


def run(seconds: float, *, host: str = "Python", seed: int | None = None) -> dict[str, object]:
    """Run the chaos and return its figures."""
    lean = host != "Python"
    seed = random.randrange(1 << 32) if seed is None else seed
    accounts = Accounts()
    broken: list[BaseException] = []
    end = time.monotonic() + seconds
    restarts = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    pool = lw.Pool(max_workers=2, restarts=restarts, on_event=accounts.on_event, timeouts=lw.Timeouts(request=60))
    pids: set[int] = set()

    def one_stream(randomness: random.Random) -> None:
        count = randomness.randrange(MAX_ROWS)
        rows: list[int] = []
        command = lw.StreamingCommand("declarations" if lean else "rows")
        name = "index" if lean else "i"

        def run(lease: lw.Lease) -> int:
            try:
                request = count if lean else {"count": count}
                summary = lease.run(command, request, on_row=lambda row: rows.append(row.payload[name]))
            except lw.LeanWorkerError as error:
                assert isinstance(error, (lw.ChildExited, lw.ProtocolError, lw.errors.StaleLease)), error
                assert rows == list(range(len(rows))), "a failed stream has a gapless beginning"
                assert error.facts.get("rows_delivered", 0) == len(rows)
                raise
            assert summary.total_rows == count and rows == list(range(count))
            return count

        accounts.request(pool, HOSTS[host], run)

    def work(number: int) -> None:
        randomness = random.Random(f"{seed} {number}")
        try:
            while time.monotonic() < end and not broken:
                one_stream(randomness)
        except BaseException as error:
            broken.append(error)

    def kill() -> None:
        randomness = random.Random(f"{seed} killer")
        while time.monotonic() < end and not broken:
            time.sleep(randomness.uniform(0.05, 0.6) if lean else randomness.uniform(0.002, 0.2))
            alive = pool._core.workers.pids()
            if alive:
                pids.update(alive)
                send_signal(randomness.choice(alive), signal.SIGKILL)
                kills[0] += 1

    kills = [0]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    threads.append(threading.Thread(target=kill))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise AssertionError(f"seed {seed}") from broken[0]
    snapshot = accounts.close(pool, seed)
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).ppid() == os.getpid()]
    return {
        "seed": seed,
        "seconds": seconds,
        "host": host,
        "kills": kills[0],
        "workers": snapshot.started,
        "forked": snapshot.forked,
        "outcomes": dict(accounts.outcomes),
        "committed_rows": accounts.committed_rows,
        "delivered_rows": snapshot.rows_delivered,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    for name in HOSTS:
        flag = f"--{name.lower().replace(' ', '-')}"
        parser.add_argument(flag, dest="host", action="store_const", const=name, default="Python")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    for name, value in run(options.seconds, host=options.host, seed=options.seed).items():
        print(f"{name:16}{value}")


if __name__ == "__main__":
    main()
