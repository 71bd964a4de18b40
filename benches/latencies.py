"""How long things take on real Lean: a first row, a command, a start, cancelling, noticing a crash, serving again.

    row       the age of a row in the caller's hands, while Lean emits one each 10 ms and the machine is otherwise idle
    brief row the same while Lean emits one each 0.08 ms
    command   a warm command that answers at once
    open      a lease with a new worker: Lean loaded, its script compiled
    python    the same with a Python host, which is what the process and its handshake alone cost
    cancel    from `CancelToken.cancel` in another thread, in the middle of a stream, to `Cancelled` at the caller;
              the worker stays warm (checked)
    crash     from SIGKILL of a worker in the middle of a stream to `ChildExited` at the caller; it is reaped by then
    respawn   from that SIGKILL to the answer of the first request on the next worker: Lean's start included

Prints median, 99th percentile and maximum, in milliseconds.

    python benches/latencies.py [rounds]
"""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from pathlib import Path

import compare

import lean_worker as lw

BENCH = Path(__file__).with_name("Clock.lean")
SCRIPT = Path(lw.__file__).parent / "lean" / "demo" / "Demo.lean"
STREAM = lw.StreamingCommand("declarations")
VERSION = lw.JsonCommand("version")
ENDLESS = 1 << 30


class Event:
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
    moment = Event(act)

    def on_row(row: lw.DataRow) -> None:
        if row.sequence == 100:
            moment.start()

    try:
        lease.run(STREAM, ENDLESS, on_row=on_row, **options)
    except kind:
        seconds = time.perf_counter() - moment.at
    moment.join()
    return seconds, moment.at


def row_ages(name: str, rounds: int) -> list[float]:
    """Seconds; the row says when it was emitted."""
    command = lw.StreamingCommand(name, row=int)
    with (
        lw.Pool() as pool,
        pool.lease(lw.LeanCapability(BENCH, toolchain="embedded")) as lease,
        lease.stream(command, rounds) as rows,
    ):
        return [(time.monotonic_ns() - emitted) / 1e9 for emitted in rows]


def first_row_times(lease: lw.Lease, rounds: int) -> list[float]:
    """Seconds from asking for a stream to its first row."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        with lease.stream(STREAM, 10) as rows:
            next(rows)
            found.append(time.perf_counter() - started)
            assert len(list(rows)) == 9
    return found


def command_times(lease: lw.Lease, rounds: int) -> list[float]:
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        assert lease.call(VERSION)["version"] == 1
        found.append(time.perf_counter() - started)
    return found


def open_times(capability: lw.Capability, rounds: int) -> list[float]:
    found = []
    for _ in range(rounds):
        with lw.Pool() as pool:
            started = time.perf_counter()
            with pool.lease(capability):
                found.append(time.perf_counter() - started)
    return found


def supervision_times(capability: lw.Capability, rounds: int) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {"cancel": [], "crash": [], "respawn": []}
    tolerant = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    with lw.Pool(restarts=tolerant) as pool:
        for _ in range(rounds):
            with pool.lease(capability) as lease:
                lease.call(VERSION)
                pid = lease._core.loan.worker.pid
                token = lw.CancelToken()
                figures["cancel"].append(interrupted(lease, token.cancel, lw.Cancelled, cancel=token)[0])
                assert not lease.is_stale and lease._core.loan.worker.pid == pid
                seconds, killed_at = interrupted(lease, lambda pid=pid: os.kill(pid, signal.SIGKILL), lw.ChildExited)
                assert not os.path.exists(f"/proc/{pid}")
                figures["crash"].append(seconds)
            with pool.lease(capability) as lease:
                lease.call(VERSION)
                figures["respawn"].append(time.perf_counter() - killed_at)
    return figures


def main() -> None:
    rounds = compare.rounds_from_arguments(200)
    capability = lw.LeanCapability(SCRIPT, toolchain="embedded")
    figures = {"row": row_ages("paced", rounds), "brief row": row_ages("stamped", 25 * rounds)}
    with lw.Pool() as pool, pool.lease(capability) as lease:
        command_times(lease, 20)
        figures["first row asked for"] = first_row_times(lease, rounds)
        figures["command"] = command_times(lease, 5 * rounds)
    figures["open"] = open_times(capability, rounds // 10)
    figures["python"] = open_times(
        lw.PythonCapability("pipe_child:COMMANDS", path=[Path(__file__).parent]), rounds // 10
    )
    figures.update(supervision_times(capability, rounds))
    print(f"{rounds} rounds, milliseconds{'median':>16}{'p99':>10}{'max':>10}")
    for name, values in figures.items():
        p99 = statistics.quantiles(values, n=100, method="inclusive")[98]
        print(f"{name:22}{statistics.median(values) * 1e3:16.3f}{p99 * 1e3:10.3f}{max(values) * 1e3:10.3f}")
    compare.save("latencies", figures)


if __name__ == "__main__":
    main()
