"""One child process from start to reaping: its pipes, its stderr, its end.

Owns starting, killing and reaping a child together with its whole process group, the bounded tail of its stderr, and
the words for how it ended. Hides pids, pidfds and signals. Knows nothing of the protocol.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import fcntl
import os
import re
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from . import monitor, starter
from .errors import CapabilityError, LeanWorkerError
from .forks import Home
from .waits import Moment, Ready, Steps, Until, firmly

_PIPE_BYTES = 1 << 20
_STDERR_READ_BYTES = 1 << 16
_POLL_SECONDS = 0.02
_STACK_OVERFLOW = re.compile(rb"stack overflow|deep recursion", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class ExitReport:
    """How a child ended.

    Attributes:
        exit_code: What it returned, or None if a signal ended it.
        signal: Name of the signal that ended it ("SIGKILL"), or None.
        cause: What probably happened, in words.
        stderr_tail: The last text it wrote to stderr.
    """

    exit_code: int | None
    signal: str | None
    cause: str
    stderr_tail: str

    def __str__(self) -> str:
        how = f"exit code {self.exit_code}" if self.signal is None else f"signal {self.signal}"
        return f"{how} ({self.cause})"


class StderrTail:
    """The last bytes of a text that has no end; written by the monitor's thread, read by any."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._chunks: collections.deque[bytes] = collections.deque()
        self._kept_bytes = 0
        self._latest = b""
        self.saw_stack_overflow = False
        """Whether Lean's or the system's words for one went by; a million lines of trace follow them at times."""

    def append(self, chunk: bytes) -> None:
        """Keep `chunk`, and drop the oldest ones that are not needed for the tail."""
        self._chunks.append(chunk)
        self._kept_bytes += len(chunk)
        # The words may be cut by the end of a chunk.
        if _STACK_OVERFLOW.search(self._latest[-64:] + chunk):
            self.saw_stack_overflow = True
        self._latest = chunk
        while self._chunks and self._kept_bytes - len(self._chunks[0]) >= self._limit_bytes:
            self._kept_bytes -= len(self._chunks.popleft())

    def text(self) -> str:
        """The tail as text; bytes that are not UTF-8 are replaced."""
        while True:
            # No lock: an interrupted reader would leave the monitor waiting for it.
            try:
                kept = b"".join(tuple(self._chunks))
                break
            except RuntimeError:
                continue  # it has grown meanwhile
        return kept[max(0, len(kept) - self._limit_bytes) :].decode("utf-8", "replace")


class ChildProcess:
    """One child and everything it starts, as one process group; `starting` starts it.

    Any thread may kill it; one thread at a time may use its pipes. `close_pipes` gives them back.

    Args:
        stderr_tail_bytes: How much of its stderr to keep.
        on_stderr: Called with each piece of its stderr, on the monitor's thread; must be short.
        resources: Its resource limits (RLIMIT_…) with soft and hard value, on Linux; a hard limit that is lower already
            stays, as does one for which None is given.
        inherited_fds: Descriptors of ours that it gets too, under the same numbers.

    Attributes:
        pipe_bytes: How much the frame pipe holds.
        ended: When it was reaped.
    """

    def __init__(
        self,
        stderr_tail_bytes: int,
        on_stderr: Callable[[bytes], None] | None = None,
        resources: Mapping[int, tuple[int, int | None]] | None = None,
        inherited_fds: Sequence[int] = (),
    ) -> None:
        self._home = Home()
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd: int | None = None
        self._on_stderr = on_stderr
        self._resources = dict(resources or {})
        self._inherited_fds = tuple(inherited_fds)
        self.pipe_bytes = 1 << 16
        self._reaped = False
        self._kill_reason: LeanWorkerError | None = None
        self._stderr = StderrTail(stderr_tail_bytes)
        self.ended = Moment()
        self._monitor = monitor.shared()

    def starting(self, argv: Sequence[str], env: Mapping[str, str], cwd: str | None) -> Steps[None]:
        """Start it; once.

        Args:
            argv: Program and arguments.
            env: Its whole environment.
            cwd: Its working directory, or None for ours.

        Raises:
            CapabilityError: The program cannot be started.
        """
        self._monitor.start()
        start = starter.submit(lambda: self._start(argv, env, cwd))
        try:
            yield from firmly(Until(start.done, None))
            start.result()
        finally:
            if self._process is not None:
                self._monitor.call(self._watch)

    # -- start: on the starter's thread --

    def _start(self, argv: Sequence[str], env: Mapping[str, str], cwd: str | None) -> None:
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(env),
                cwd=cwd,
                bufsize=0,
                start_new_session=True,
                pass_fds=self._inherited_fds,
            )
        except (OSError, ValueError) as error:
            raise CapabilityError(
                f"starting a worker: {argv[0]} cannot be run: {error}", argv=tuple(argv), cwd=cwd
            ) from error
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
        if sys.platform == "linux":
            # A larger pipe lets the child run ahead of a busy caller. Refused when the user's pipe quota is used up.
            with contextlib.suppress(OSError):
                fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)  # type: ignore[arg-type]
            self.pipe_bytes = fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ)  # type: ignore[arg-type]
            # Set from here, so that it needs neither code between fork and exec nor the child's help.
            for which, (soft, hard) in self._resources.items():
                with contextlib.suppress(OSError):  # it has ended already
                    most = resource.prlimit(process.pid, which)[1]
                    if hard is None:
                        hard = most
                    elif most != resource.RLIM_INFINITY:
                        soft, hard = min(soft, most), min(hard, most)
                    resource.prlimit(process.pid, which, (soft, hard))
        assert process.stdin is not None and process.stdout is not None
        self.requests_fd = process.stdin.fileno()
        self.frames_fd = process.stdout.fileno()
        self._process = process

    # -- watch: on the monitor's thread --

    def _watch(self) -> None:
        process = self._process
        assert process is not None and process.stderr is not None
        self._monitor.watch(process.stderr.fileno(), self._drain_stderr)
        if self._kill_reason is not None:
            self._signal_group()  # it was killed before it was there
        try:
            self._pidfd = os.pidfd_open(process.pid)
        except (AttributeError, OSError):
            self._pidfd = None  # not Linux, or an old one: ask again and again
            self._monitor.call_at(time.monotonic() + _POLL_SECONDS, self._poll_end)
        else:
            self._monitor.watch(self._pidfd, self._reap)

    def _poll_end(self) -> None:
        if not self.has_ended:
            self._monitor.call_at(time.monotonic() + _POLL_SECONDS, self._poll_end)
        else:
            self._reap()

    def _drain_stderr(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        stderr = self._process.stderr
        try:
            chunk = os.read(stderr.fileno(), _STDERR_READ_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._take_stderr(chunk)
        else:
            self._close_stderr()

    def _take_stderr(self, chunk: bytes) -> None:
        self._stderr.append(chunk)
        if self._on_stderr is not None:
            self._on_stderr(chunk)

    def _close_stderr(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        stderr = self._process.stderr
        if not stderr.closed:
            self._monitor.unwatch(stderr.fileno())
            stderr.close()

    def _reap(self) -> None:
        """The child is a zombie: end what it started while its group still has its name, then collect it."""
        if self._pidfd is not None:
            self._monitor.unwatch(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        assert self._process is not None
        self._signal_group()
        self._process.wait()
        self._reaped = True
        self._drain_what_is_left()
        self.ended.come()

    def _drain_what_is_left(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        stderr = self._process.stderr
        # Bounded: a grandchild that outlives the group's kill for a moment could still be writing.
        for _ in range(64):
            if stderr.closed:
                return
            try:
                chunk = os.read(stderr.fileno(), _STDERR_READ_BYTES)
            except BlockingIOError:
                break
            if not chunk:
                break
            self._take_stderr(chunk)
        self._close_stderr()

    # -- from any thread --

    @property
    def pid(self) -> int:
        """For memory samples; never shown to callers. 0 before the start."""
        return 0 if self._process is None else self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the child is gone; asks the system, since the monitor may not have come to reap it yet."""
        if self._reaped or self._process is None or not self._home.is_here:
            return True
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True  # reaped in this moment

    @property
    def kill_reason(self) -> LeanWorkerError | None:
        """Why we killed it; None if we did not."""
        return self._kill_reason

    def kill(self, reason: LeanWorkerError) -> None:
        """End the whole process group; the first reason is the one that is kept. Safe in signal handlers."""
        if self._kill_reason is None and not self._reaped:
            self._kill_reason = reason
        # On the thread that reaps: until then the process id, and so its group's, belongs to nobody else.
        if self._home.is_here:
            self._monitor.post(self._signal_group)

    def _signal_group(self) -> None:
        if self._process is not None and not self._reaped and self._home.is_here:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close_pipes(self) -> None:
        """Give its pipes back, on the monitor's thread, when nobody uses them any more; legal twice."""
        if self._process is None or not self._home.is_here:
            return
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    def leave_to_parent(self) -> None:
        """In a forked child, right after the fork: do not hold the pipes open, and touch the process no more."""
        self.ended = Moment()
        self.ended.come()
        process = self._process
        if process is None:
            return
        process.returncode = -1  # so that Popen does not try to reap what is not our child
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    def readable(self, other_fds: Sequence[int], timeout: float | None) -> Ready:
        """Until its frame pipe, or one of `other_fds`, can be read, at most `timeout` seconds."""
        return Ready(dict.fromkeys((self.frames_fd, *other_fds), select.POLLIN), timeout)

    def writable(self, other_fd: int) -> Ready:
        """Until a request can be written on, or `other_fd` can be read."""
        return Ready({self.requests_fd: select.POLLOUT, other_fd: select.POLLIN}, None)

    def report(self) -> ExitReport:
        """How it ended; call this after it has `ended`."""
        assert self._process is not None
        code = self._process.returncode
        tail = self._stderr.text()
        if code is None or code >= 0:
            return ExitReport(code, None, _cause_of_exit(code, self._stderr.saw_stack_overflow), tail)
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        killed_by_us = self._kill_reason is not None and -code == signal.SIGKILL
        return ExitReport(None, name, _cause_of_signal(name, self._stderr.saw_stack_overflow, killed_by_us), tail)

    def stderr_tail(self) -> str:
        """The last text of its stderr so far."""
        return self._stderr.text()


def _cause_of_exit(code: int | None, saw_stack_overflow: bool) -> str:
    if saw_stack_overflow and code:
        return "stack overflow: recursion without end"
    if code == 0:
        return "the hosted program ended by itself"
    if code == 134:
        return "abort, such as a Lean panic"
    if code == 137:
        return "killed, probably out of memory"
    return "the hosted program failed"


def _cause_of_signal(name: str, saw_stack_overflow: bool, killed_by_us: bool) -> str:
    if killed_by_us:
        return "killed by lean-worker"
    if saw_stack_overflow and name != "SIGKILL":
        return "stack overflow: recursion without end"
    if name == "SIGABRT":
        return "abort, such as a Lean panic"
    if name in ("SIGSEGV", "SIGBUS"):
        return "memory fault, such as a stack overflow or a bug in native code"
    if name == "SIGXCPU":
        return "its processor time was used up: Limits.cpu_seconds, or a limit from outside"
    if name == "SIGKILL":
        return "killed from outside, probably out of memory"
    return "ended by a signal from outside"
