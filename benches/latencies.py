"""How long supervision takes on real Lean: cancelling, noticing a crash, being able to serve again.

    cancel    from `CancelToken.cancel` in another thread, in the middle of a stream, to `Cancelled` at the caller;
              the worker stays warm (checked)
    crash     from SIGKILL of a worker in the middle of a stream to `ChildExited` at the caller; it is reaped by then
    respawn   from that SIGKILL to the answer of the first request on the next worker: Lean's start included

Prints median, 99th percentile and maximum of so many rounds, in milliseconds.

    python benches/latencies.py [rounds]
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import threading
import time
from pathlib import Path

import lean_worker as lw

SCRIPT = Path(lw.__file__).parent / "lean" / "demo" / "Demo.lean"
STREAM = lw.StreamingCommand("declarations")
VERSION = lw.JsonCommand("version")
ENDLESS = 1 << 30


class Moment:
    """Acts from a thread of its own a moment after it was told to, and notes when."""

    def __init__(self, act) -> None:
        self._act = act
        self.at = 0.0
        self._timer = threading.Timer(0.005, self._run)

    def _run(self) -> None:
        self.at = time.perf_counter()
        self._act()

    def start(self) -> None:
        self._timer.start()

    def join(self) -> None:
        self._timer.join()


def interrupted(lease: lw.Lease, act, kind: type[BaseException], **options: object) -> tuple[float, float]:
    """Seconds from `act` to `kind` at the caller, and the moment of `act`."""
    moment = Moment(act)

    def on_row(row: lw.DataRow) -> None:
        if row.sequence == 100:
            moment.start()

    try:
        lease.run(STREAM, ENDLESS, on_row=on_row, **options)
    except kind:
        seconds = time.perf_counter() - moment.at
    moment.join()
    return seconds, moment.at


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    capability = lw.LeanCapability(SCRIPT, toolchain="embedded")
    figures: dict[str, list[float]] = {"cancel": [], "crash": [], "respawn": []}
    tolerant = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    with lw.Pool(restarts=tolerant) as pool:
        for _ in range(rounds):
            with pool.lease(capability) as lease:
                lease.call(VERSION)
                pid = lease._loan.worker.pid
                token = lw.CancelToken()
                figures["cancel"].append(interrupted(lease, token.cancel, lw.Cancelled, cancel=token)[0])
                assert not lease.is_stale and lease._loan.worker.pid == pid
                seconds, killed_at = interrupted(lease, lambda pid=pid: os.kill(pid, signal.SIGKILL), lw.ChildExited)
                assert not os.path.exists(f"/proc/{pid}")
                figures["crash"].append(seconds)
            with pool.lease(capability) as lease:
                lease.call(VERSION)
                figures["respawn"].append(time.perf_counter() - killed_at)
    print(f"{rounds} rounds, milliseconds{'median':>16}{'p99':>10}{'max':>10}")
    for name, values in figures.items():
        p99 = statistics.quantiles(values, n=100)[98]
        print(f"{name:22}{statistics.median(values) * 1e3:16.2f}{p99 * 1e3:10.2f}{max(values) * 1e3:10.2f}")


if __name__ == "__main__":
    main()
