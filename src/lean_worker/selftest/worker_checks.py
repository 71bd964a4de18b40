"""Checks of workers that are forks of a process with their imports, compared with workers that are started."""

from __future__ import annotations

import platform
import sys
import time
from pathlib import Path
from typing import Any

from ..base.holder_limits import MOST_VARIABLE, OFF_VARIABLE, is_off, most_holders
from ..blocking.lease import Lease
from ..blocking.pool import Pool
from ..commands import StreamingCommand
from ..errors import CapabilityError, ChildExited, LeanWorkerError, RequestTimeout
from ..hosting.capability import LeanCapability
from ..hosting.sandbox import Sandbox
from ..policy import RestartPolicy, Timeouts
from ..pool.observer import PoolEvent
from . import texts
from .registry import Failed, Found, Setting, Skipped, check, expect

_START_SECONDS = 300.0
_LOOK_SECONDS = 0.05
_AGAIN_SECONDS = 2.0
_LIMIT_SECONDS = 1.0
_ROWS: StreamingCommand[Any, Any, Any] = StreamingCommand("rows")
_FOREVER: StreamingCommand[Any, Any, Any] = StreamingCommand("forever")
_PANIC: StreamingCommand[Any, Any, Any] = StreamingCommand("panic")


@check("worker.forked", "workers that are forks of a process with their imports")
def forked(setting: Setting) -> Found:
    return _forked(setting, None)


@check("worker.forked_in_sandbox", "the same in a sandbox")
def forked_in_sandbox(setting: Setting) -> Found:
    return _forked(setting, Sandbox())


def _forked(setting: Setting, sandbox: Sandbox | None) -> Found:
    why = _why_none()
    if why:
        return Found("not here", f"{why}; each worker imports")
    script = Path(setting.directory, "Forked.lean")
    script.write_text(texts.script(setting), "utf-8")
    imports = ("LeanWorker",) if setting.is_bare else ("Lean",)
    capability = LeanCapability(script, toolchain=setting.lean, imports=imports, sandbox=sandbox)
    events: list[PoolEvent] = []
    calm = RestartPolicy(max_restarts=None, backoff=0)
    with Pool(1, timeouts=Timeouts(startup=_START_SECONDS), restarts=calm, on_event=events.append) as pool:
        started = time.monotonic()
        try:
            lease = pool.lease(capability)
        except CapabilityError as error:
            if sandbox is not None and "locking a worker in" in str(error):
                raise Skipped("no sandbox here") from error
            raise
        seconds = time.monotonic() - started
        with lease:
            expected = _rows(lease)
            why = _await_fork(pool, lease, events)
            if why:
                return Found("not here", f"{why}; each worker imports")
            expect(_rows(lease) == expected, "a forked worker sent other rows than a started one")
        _survives(pool, capability, expected)
        times = []
        with pool.lease(capability) as lease:
            for _ in range(5):
                before = time.monotonic()
                lease.cycle()
                times.append(time.monotonic() - before)
        count = pool.snapshot().forked
    expect(count >= 6, f"expected at least 6 forked workers, got {count}")
    return Found(
        f"{sorted(times)[2] * 1000:.0f} ms",
        f"for a replacement, {seconds * 1000:.0f} ms for the first start; rows, panics and time limits are the same",
    )


def _rows(lease: Lease) -> list[Any]:
    return [row.payload for row in lease.collect(_ROWS).rows]


def _why_none() -> str:
    """Return why this machine has no such workers, "" if it may have them."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return "only Linux on x86-64 and 64-bit ARM has them"
    if is_off() or most_holders() < 1:
        return f"{OFF_VARIABLE} or {MOST_VARIABLE} is set, and refuses them"
    return ""


def _await_fork(pool: Pool, lease: Lease, events: list[PoolEvent]) -> str:
    """Replace the worker of a lease by a fork as soon as that can be; return why it cannot be, "" if it was."""
    end = time.monotonic() + _START_SECONDS
    again = time.monotonic() + _AGAIN_SECONDS
    while time.monotonic() < end:
        if pool.snapshot().holders or time.monotonic() > again:
            lease.cycle()  # also notices a holder that refused
            again = time.monotonic() + _AGAIN_SECONDS
        if pool.snapshot().forked:
            return ""
        refused = [event for event in list(events) if event.kind == "holder_lost"]
        if refused:
            return str(refused[0].facts["why"])
        time.sleep(_LOOK_SECONDS)
    raise Failed(f"no process with the imports was ready within {_START_SECONDS:g} s, and none said why")


def _survives(pool: Pool, capability: LeanCapability, expected: list[Any]) -> None:
    """Check that forked workers end as started ones do, and that the next one serves."""
    ends: tuple[tuple[StreamingCommand[Any, Any, Any], type[LeanWorkerError]], ...]
    ends = ((_PANIC, ChildExited), (_FOREVER, RequestTimeout))
    for command, kind in ends:
        with pool.lease(capability) as lease:
            try:
                for _ in lease.stream(command, timeout=_LIMIT_SECONDS if command is _FOREVER else _START_SECONDS):
                    pass
            except kind:
                pass
            else:
                raise Failed(f"expected {kind.__name__} of the command {command.name} in a forked worker")
        with pool.lease(capability) as lease:
            expect(_rows(lease) == expected, f"after {command.name} the next worker sent other rows")
