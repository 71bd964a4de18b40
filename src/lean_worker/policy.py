"""Limits of a worker: time, bytes, memory, and restarts.

Values are frozen and checked when they are made. All times are in seconds.
"""

from __future__ import annotations

import dataclasses
import resource

from .base.arguments import shown
from .base.time_limit import DEFAULT as DEFAULT
from .base.time_limit import DefaultTimeout as DefaultTimeout
from .base.time_limit import Timeout as Timeout
from .errors import UsageError
from .wire.frames import DEFAULT_FRAME_BYTES, MAX_FRAME_BYTES, MIN_FRAME_BYTES

_MAX_SECONDS = 10 * 365 * 86_400.0
_LARGEST_COUNT = 1 << 50


def check_timeout(what: str, seconds: float | None) -> None:
    """Accept None (no limit) or a finite number of seconds, 0 or more.

    Raises:
        UsageError: Anything else.
    """
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= _MAX_SECONDS:
        raise UsageError(
            f"checking the time limit {what}: expected 0 to {_MAX_SECONDS:.0f} seconds or None, got {shown(seconds)}",
            hint="Give seconds as a number of 0 or more; None means no limit.",
        )


@dataclasses.dataclass(frozen=True)
class Timeouts:
    """Time limits of one worker, in seconds; None means no limit.

    Attributes:
        startup: From starting the process to its handshake; covers Lean's start and the imports of the script.
        request: From sending a request to its end, also while the caller's own sink runs. Each call can override it.
        inactivity: For a streaming request: wait of the caller without a complete frame (row, diagnostic, progress or
            response). Part of a frame does not count, and neither does time in which the caller does not read. A JSON
            command has only `request`.
        write: For the worker to read a request; only a stuck worker needs long.
        cancel_grace: For a worker to stop after a cancel; then it is killed.
        shutdown: For an idle worker to end when asked; then it is killed.
        queue: For `Pool.lease` to wait for an available worker.
        drain: For `Pool.close` to wait until leases are released; then their workers are killed.
    """

    startup: float | None = 120.0
    request: float | None = 600.0
    inactivity: float | None = 600.0
    write: float | None = 30.0
    cancel_grace: float | None = 2.0
    shutdown: float | None = 2.0
    queue: float | None = 600.0
    drain: float | None = 30.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_timeout(field.name, getattr(self, field.name))


@dataclasses.dataclass(frozen=True)
class Limits:
    """Size limits of one worker.

    The last four are system limits for the worker and each program that it starts, on Linux; None does not change them.
    They apply shortly after the start. Core files are never written.

    Attributes:
        max_frame_bytes: Largest JSON body of one frame in either direction, 64 KiB to 256 MiB.
        stderr_tail_bytes: Bytes of the worker's latest stderr that are kept for errors.
        cpu_seconds: Processor time of the worker's whole life; then it is ended (SIGXCPU).
        open_files: Open descriptors, 64 or more; opening more fails in the hosted code.
        processes: Processes of this *user*, including those outside of the worker; root is not limited.
        file_size_kib: Size of a written file.
    """

    max_frame_bytes: int = DEFAULT_FRAME_BYTES
    stderr_tail_bytes: int = 65_536
    cpu_seconds: int | None = None
    open_files: int | None = None
    processes: int | None = None
    file_size_kib: int | None = None

    def __post_init__(self) -> None:
        if type(self.max_frame_bytes) is not int or not MIN_FRAME_BYTES <= self.max_frame_bytes <= MAX_FRAME_BYTES:
            raise UsageError(
                f"checking limits: expected max_frame_bytes from {MIN_FRAME_BYTES} to {MAX_FRAME_BYTES}, "
                f"got {shown(self.max_frame_bytes)}",
                hint="Give an int in bytes, as in 1 << 24.",
            )
        if type(self.stderr_tail_bytes) is not int or not 0 <= self.stderr_tail_bytes <= 1 << 26:
            raise UsageError(
                f"checking limits: expected stderr_tail_bytes from 0 to {1 << 26}, got {shown(self.stderr_tail_bytes)}",
                hint="Give an int in bytes, as in 4096.",
            )
        for name in ("cpu_seconds", "open_files", "processes", "file_size_kib"):
            check_count("checking the limits", name, getattr(self, name))
        if self.open_files is not None and self.open_files < 64:
            raise UsageError(
                f"checking limits: expected open_files of 64 or more, got {self.open_files}",
                hint="Give an int, as in 1024.",
            )


@dataclasses.dataclass(frozen=True)
class MemoryPolicy:
    """Replacement of workers by their memory, age in requests, or idle time. All is off by default; None means off.

    Memory is private memory (USS). `cycle_above_kib` and `kill_above_kib` also count what a worker started, such as the
    program of a `LinesCapability`, with the memory that no file backs (Linux). `check` and `verify` have a limit of
    their own for files. The first three are planned replacements *between* requests, counted as "policy"; a
    lease continues with the new worker.

    Attributes:
        cycle_above_kib: Replace a worker whose memory is above this, once it has served a request: one that is above it
            as soon as it is started serves one request, as does each that follows.
        max_requests: Replace a worker after this many requests.
        max_idle: End a worker after this many seconds without use.
        kill_above_kib: Kill a worker whose memory grows above this *during* a request, which then fails with
            `MemoryLimitExceeded`.
        sample_interval: Seconds between two measurements of a busy worker's memory, 0.01 to 3600.
        pool_budget_kib: Start no worker while all workers together hold this much. Idle workers of other capabilities
            are ended first; then `MemoryBudgetExceeded` is raised.
        address_space_kib: RLIMIT_AS of each worker (Linux). Addresses are not memory: Lean maps its `.olean` files, so
            a worker with Mathlib needs many gigabytes of addresses and little memory. A worker that reaches this limit
            aborts or fails with its own message.
    """

    cycle_above_kib: int | None = None
    max_requests: int | None = None
    max_idle: float | None = None
    kill_above_kib: int | None = None
    sample_interval: float = 0.25
    pool_budget_kib: int | None = None
    address_space_kib: int | None = None

    def __post_init__(self) -> None:
        for name in ("cycle_above_kib", "max_requests", "kill_above_kib", "pool_budget_kib", "address_space_kib"):
            check_count("checking the memory policy", name, getattr(self, name))
        check_timeout("max_idle", self.max_idle)
        check_timeout("sample_interval", self.sample_interval)
        if self.sample_interval is None or not 0.01 <= self.sample_interval <= 3600:
            raise UsageError(
                f"checking the memory policy: expected sample_interval from 0.01 to 3600 seconds, "
                f"got {self.sample_interval}",
                hint="Give seconds, as in sample_interval=0.5.",
            )


@dataclasses.dataclass(frozen=True)
class RestartPolicy:
    """Limits on the failures and replacements of workers of one kind; None means no limit.

    A failure is any unplanned end of a worker: a crash, a failed start, or a kill for a deadline, memory, a broken
    protocol or an ignored cancel. Planned replacements do not count.

    Attributes:
        max_restarts: Most failures within `window`; with more, leases of this capability raise `RestartLimitExceeded`.
        window: Length in seconds of the moving window, above 0.
        backoff: Seconds to wait before the start after a second failure in a row, doubled with each further failure. A
            success, or an error of the hosted code, resets this.
        max_backoff: Most seconds to wait before a start.
        poison_after: Number of workers that a request may end in a row; then it raises `PoisonRequest`. The same
            request with another time limit counts as another request.
    """

    max_restarts: int | None = 16
    window: float = 60.0
    backoff: float = 0.1
    max_backoff: float = 5.0
    poison_after: int | None = 3

    def __post_init__(self) -> None:
        for name in ("max_restarts", "poison_after"):
            check_count("checking the restart policy", name, getattr(self, name))
        for name in ("window", "backoff", "max_backoff"):
            seconds = getattr(self, name)
            check_timeout(name, seconds)
            if seconds is None:
                raise UsageError(
                    f"checking the restart policy: expected {name} in seconds, got None",
                    hint=f"Give seconds, as in {name}=1.0.",
                )
        if self.window <= 0:
            raise UsageError(
                f"checking the restart policy: expected a window above 0 seconds, got {self.window}",
                hint="Give seconds, as in window=60.",
            )


def check_count(doing: str, name: str, value: object) -> None:
    """Accept None, and an integer from 1 to 2**50, so that the system can take it as bytes too.

    Raises:
        UsageError: Anything else.
    """
    if value is not None and (type(value) is not int or value < 1):
        raise UsageError(
            f"{doing}: expected {name} as an integer of 1 or more, or None, got {shown(value)}",
            hint="None means no limit.",
        )
    if isinstance(value, int) and value > _LARGEST_COUNT:
        raise UsageError(
            f"{doing}: expected {name} of at most {_LARGEST_COUNT}, got {shown(value)}", hint="None means no limit."
        )


def resource_limits(limits: Limits, memory: MemoryPolicy) -> dict[int, tuple[int, int | None]]:
    """Return the soft and hard value of each resource limit of a new worker; None does not change the hard one."""
    asked = {
        resource.RLIMIT_AS: None if memory.address_space_kib is None else memory.address_space_kib * 1024,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_FSIZE: None if limits.file_size_kib is None else limits.file_size_kib * 1024,
    }
    found: dict[int, tuple[int, int | None]] = {
        which: (value, value) for which, value in asked.items() if value is not None
    }
    if limits.cpu_seconds is not None:
        # A second more for the hard limit, which is SIGKILL: the soft one says why.
        found[resource.RLIMIT_CPU] = (limits.cpu_seconds, limits.cpu_seconds + 1)
    # Not the hard one: a sanitizer sets the soft one too, in the moment in which this does, and ends its program if the
    # hard one is another by then.
    found[resource.RLIMIT_CORE] = (0, None)
    return found
