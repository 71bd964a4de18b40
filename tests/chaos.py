"""Streams over two workers while something kills workers at random moments; checks that nothing is lost or doubled.

    python tests/chaos.py [--seconds 60] [--lean] [--seed N]

Four threads run streams of random length as fast as the pool lets them; one kills a random worker every few
milliseconds. Each request must have exactly one outcome, by the caller's count and by the pool's. The rows of a request
that succeeded must be all of its rows, in order; those of one that failed a gapless beginning of them. In the end no
process is left. Prints its figures; a broken rule ends it with an AssertionError.
"""

from __future__ import annotations

import argparse
import collections
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
from support import FUNCTIONS, INTEROP, send_signal

THREADS = 4
MAX_ROWS = 3000


def run(seconds: float, *, lean: bool = False, seed: int | None = None) -> dict[str, object]:
    """Run the chaos and return its figures."""
    seed = random.randrange(1 << 32) if seed is None else seed
    events: list[lw.PoolEvent] = []
    outcomes: collections.Counter[str] = collections.Counter()
    committed = [0]
    broken: list[BaseException] = []
    lock = threading.Lock()
    end = time.monotonic() + seconds
    restarts = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    pool = lw.Pool(max_workers=2, restarts=restarts, on_event=events.append, timeouts=lw.Timeouts(request=60))
    pids: set[int] = set()

    def one_stream(randomness: random.Random) -> None:
        count = randomness.randrange(MAX_ROWS)
        rows: list[int] = []
        command = lw.StreamingCommand("declarations" if lean else "rows")
        outcome = "not begun"
        try:
            with pool.lease(INTEROP if lean else FUNCTIONS) as lease:
                request = count if lean else {"count": count}
                name = "index" if lean else "i"
                outcome = "ok"
                summary = lease.run(command, request, on_row=lambda row: rows.append(row.payload[name]))
                assert summary.total_rows == count and rows == list(range(count))
        except lw.StaleLease:
            outcome = "not begun"  # killed between the grant and the request
        except (lw.ChildExited, lw.ProtocolError) as error:
            assert rows == list(range(len(rows))), "a failed stream has a gapless beginning"
            if outcome == "ok":
                assert error.facts.get("rows_delivered", 0) == len(rows)
                outcome = type(error).__name__ if error.facts.get("entered_worker") else "not begun"
        with lock:
            outcomes[outcome] += 1
            if outcome == "ok":
                committed[0] += count

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
            with pool._lock:
                alive = [worker.pid for worker in pool._workers if hasattr(worker, "_process") and not worker.is_gone]
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
    pool.close()
    snapshot = pool.snapshot()
    told = collections.Counter(event.facts["outcome"] for event in events if event.kind == "request_ended")
    ours = {name: count for name, count in outcomes.items() if name != "not begun"}
    assert dict(snapshot.outcomes) == dict(told) == ours, (seed, snapshot.outcomes, told, ours)
    assert snapshot.requests == sum(ours.values())
    assert (snapshot.leased, snapshot.idle, snapshot.queued) == (0, 0, 0)
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).ppid() == os.getpid()]
    return {
        "seed": seed,
        "seconds": seconds,
        "host": "Lean" if lean else "Python",
        "kills": kills[0],
        "workers": snapshot.started,
        "outcomes": dict(outcomes),
        "committed_rows": committed[0],
        "delivered_rows": snapshot.rows_delivered,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--lean", action="store_true", help="real Lean instead of Python functions")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    for name, value in run(options.seconds, lean=options.lean, seed=options.seed).items():
        print(f"{name:16}{value}")


if __name__ == "__main__":
    main()
