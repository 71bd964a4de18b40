"""One child process from start to reaping: its pipes, its stderr, its end.

Owns starting, killing and reaping a child together with all that it started, the bounded tail of its stderr, and the
words for how it ended. Hides pids, pidfds and signals. Knows nothing of the protocol.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import dataclasses
import fcntl
import os
import resource
import select
import signal
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ..base import clean_start, exit_status, high_descriptors, out_of_memory, process_tree, threads
from ..base.deferred import Deferred
from ..base.forks import Owner
from ..base.patterns import compiled
from ..base.signal_names import signal_name
from ..base.system_errors import PassingOver, of_system
from ..errors import LeanWorkerError
from ..steps import starter
from ..steps.monitor import Monitor
from ..steps.waiting import Event, Ready, Steps, Until, firmly
from ..wire.protocol import TREE_VARIABLE

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path
else:
    subprocess = Deferred("subprocess")

_PIPE_BYTES = 1 << 20
_STDERR_READ_BYTES = 1 << 16
_POLL_SECONDS = 0.02
_SWEEP_SECONDS = 1.5
_LATE_SWEEP_SECONDS = 60.0
_STACK_OVERFLOW = rb"(?i)stack overflow|deep recursion"


@dataclasses.dataclass(frozen=True)
class ExitReport:
    """The end of a child.

    Attributes:
        exit_code: What it returned, or None if a signal ended it.
        signal: Name of the signal that ended it ("SIGKILL"), or None. If both are None, nobody knows how it ended.
        cause: What happened, in words, as far as it is known.
        stderr_tail: The last text it wrote to stderr.
    """

    exit_code: int | None
    signal: str | None
    cause: str
    stderr_tail: str

    def __str__(self) -> str:
        how = f"exit code {'unknown' if self.exit_code is None else self.exit_code}"
        if self.signal is not None:
            how = f"signal {self.signal}"
        return f"{how} ({self.cause})"


class StderrTail:
    """The last bytes of a text that has no end; written by the monitor's thread, read by any."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._chunks: collections.deque[bytes] = collections.deque()
        self._kept_bytes = 0
        self._latest = b""
        self.total_bytes = 0
        self._since_bytes = 0
        self.saw_stack_overflow = False
        """Whether Lean's or the system's words for one went by; a million lines of trace follow them at times."""

    def append(self, chunk: bytes) -> None:
        """Keep `chunk`, and drop the oldest ones that are not needed for the tail."""
        self._chunks.append(chunk)
        self.total_bytes += len(chunk)
        self._kept_bytes += len(chunk)
        # The words may be cut by the end of a chunk.
        if compiled(_STACK_OVERFLOW).search(self._latest[-64:] + chunk):
            self.saw_stack_overflow = True
        self._latest = chunk
        while self._chunks and self._kept_bytes - len(self._chunks[0]) >= self._limit_bytes:
            self._kept_bytes -= len(self._chunks.popleft())

    def begin(self, unread_bytes: int) -> None:
        """Leave out of the tail what came so far, and so many bytes that are still to come."""
        self._since_bytes = self.total_bytes + unread_bytes
        self.saw_stack_overflow = False

    def text(self) -> str:
        """The tail as text; bytes that are not UTF-8 are replaced."""
        while True:
            # No lock: an interrupted reader would leave the monitor waiting for it.
            try:
                kept = b"".join(tuple(self._chunks))
                break
            except RuntimeError:
                continue  # it has grown meanwhile
        length = min(self._limit_bytes, max(0, self.total_bytes - self._since_bytes))
        return kept[max(0, len(kept) - length) :].decode("utf-8", "replace")


@dataclasses.dataclass(frozen=True)
class Wish:
    """A child that should be forked instead of started.

    Attributes:
        argv: Program and arguments.
        env: Its whole environment.
        cwd: Its working directory, or None for ours.
        descriptors: Its standard input, output and errors.
        inherited_fds: Descriptors that it gets besides.
        resources: Its resource limits.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None
    descriptors: Sequence[int]
    inherited_fds: Sequence[int]
    resources: Mapping[int, tuple[int, int | None]]


class Forked:
    """A child of this process that another process has forked.

    Args:
        pid: Its number.
        directory: Its temporary directory, if that is another one than was wished.
    """

    def __init__(self, pid: int, directory: Path | None = None) -> None:
        self.pid = pid
        self.directory = directory
        self.returncode: int | None = None


class Forker(Protocol):
    """A process that can fork children for this one."""

    def fork(self, wish: Wish) -> Forked | None:
        """Return the new child, with nothing of it left if there is none; on the starter's thread, and may wait."""
        ...


class ChildProcess:
    """One child and everything it starts; `starting` starts it, in a process group of its own.

    Any thread may kill it; one thread at a time may use its pipes. `close_pipes` gives them back.

    Args:
        stderr_tail_bytes: How much of its stderr to keep.
        on_stderr: Called with each piece of its stderr, and with nothing at its end, on the monitor's thread; must be
            short.
        resources: Its resource limits (RLIMIT_…) with soft and hard value, on Linux; a hard limit that is lower already
            stays, as does one for which None is given.
        inherited_fds: Descriptors of ours that it gets too, under the same numbers.
        forker: Asked first to fork it.

    Attributes:
        pipe_bytes: How much the frame pipe holds.
        ended: When it was reaped, and nothing is left of what it started.
    """

    def __init__(
        self,
        monitor: Monitor,
        stderr_tail_bytes: int,
        on_stderr: Callable[[bytes], None] | None = None,
        resources: Mapping[int, tuple[int, int | None]] | None = None,
        inherited_fds: Sequence[int] = (),
        forker: Forker | None = None,
    ) -> None:
        self._owner = Owner()
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._forker = forker
        self._on_stderr = on_stderr
        self._resources = dict(resources or {})
        self._inherited_fds = tuple(inherited_fds)
        self.pipe_bytes = 1 << 16
        self._pipes: list[int] = []
        self._stderr_fd: int | None = None
        self._pidfd: int | None = None
        self._mark = f"{TREE_VARIABLE}={os.urandom(16).hex()}"
        self._status: int | None = None
        self._ooms_before: int | None = None
        self._reaped = False
        self._kill_reason: LeanWorkerError | None = None
        self._stderr = StderrTail(stderr_tail_bytes)
        self.ended = Event()
        self._monitor = monitor

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
        # Made here, and not by Popen: they must not get the numbers of standard streams, in this process either.
        theirs = contextlib.ExitStack()
        ours = contextlib.ExitStack()
        try:
            with theirs:
                stdin, self.requests_fd = _pipe(theirs, ours)
                stdout, self.frames_fd = reversed(_pipe(ours, theirs))
                stderr, stderr_fd = reversed(_pipe(ours, theirs))
                self._ooms_before = out_of_memory.kills()
                name, _, value = self._mark.partition("=")
                process = self._spawn(argv, {**env, name: value}, cwd, (stdin, stdout, stderr))
        except (OSError, ValueError) as error:
            ours.close()
            raise of_system(f"starting a worker: running {argv[0]}", error, argv=tuple(argv), cwd=cwd) from error
        ours.pop_all()
        self._pipes = [self.requests_fd, self.frames_fd]
        self._stderr_fd = stderr_fd
        for descriptor in (*self._pipes, stderr_fd):
            os.set_blocking(descriptor, False)
        if sys.platform == "linux":
            # A larger pipe lets the child run ahead of a busy caller. Refused when the user's pipe quota is used up.
            with contextlib.suppress(OSError):
                fcntl.fcntl(self.frames_fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            self.pipe_bytes = fcntl.fcntl(self.frames_fd, fcntl.F_GETPIPE_SZ)
            # Set from here, so that it needs neither code between fork and exec nor the child's help.
            for which, (soft, hard) in self._resources.items():
                with contextlib.suppress(OSError):  # it has ended already
                    most = resource.prlimit(process.pid, which)[1]
                    if hard is None:
                        hard = most
                    elif most != resource.RLIM_INFINITY:
                        soft, hard = min(soft, most), min(hard, most)
                    resource.prlimit(process.pid, which, (soft, hard))
        self._process = process

    def _spawn(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str | None, descriptors: tuple[int, int, int]
    ) -> subprocess.Popen[bytes] | Forked:
        if self._forker is not None:
            wish = Wish(argv, env, cwd, descriptors, self._inherited_fds, self._resources)
            forked = self._forker.fork(wish)
            if forked is not None:
                return forked
        stdin, stdout, stderr = descriptors
        return subprocess.Popen(
            clean_start.command(argv, env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            start_new_session=True,
            pass_fds=self._inherited_fds,
        )

    # -- watch: on the monitor's thread --

    def _watch(self) -> None:
        assert self._process is not None and self._stderr_fd is not None
        self._monitor.watch(self._stderr_fd, self._drain_stderr)
        self._pidfd = exit_status.open_pidfd(self._process.pid)
        if self._kill_reason is not None:
            self._signal_tree()  # it was killed before it was there
        if self._pidfd is None:  # not Linux, or an old one: ask again and again
            self._monitor.call_at(time.monotonic() + _POLL_SECONDS, self._poll_end)
        else:
            self._monitor.watch(self._pidfd, self._reap)

    def _poll_end(self) -> None:
        if not self.has_ended:
            self._monitor.call_at(time.monotonic() + _POLL_SECONDS, self._poll_end)
        else:
            self._reap()

    def _drain_stderr(self) -> None:
        if self._stderr_fd is None:
            return  # told once more, after its end
        try:
            chunk = os.read(self._stderr_fd, _STDERR_READ_BYTES)
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
        descriptor, self._stderr_fd = self._stderr_fd, None
        if descriptor is not None:
            self._monitor.unwatch(descriptor)
            os.close(descriptor)
            if self._on_stderr is not None:
                self._on_stderr(b"")

    def _reap(self) -> None:
        """The child has ended: end what it started while its group still has its name, then collect it."""
        if self._reaped:
            return  # told once more: its process id may be another's by now
        if self._pidfd is not None:
            self._monitor.unwatch(self._pidfd)
        assert self._process is not None
        self._signal_tree()
        self._status = exit_status.collect(self._process.pid, self._pidfd)
        # So that Popen does not wait.
        self._process.returncode = -1 if self._status is None else self._status
        self._reaped = True
        pidfd, self._pidfd = self._pidfd, None
        if pidfd is not None:
            os.close(pidfd)
        self._drain_what_is_left()
        try:
            # Not here: with thousands of processes it takes a while.
            threads.start_bare(lambda: self._sweep(_LATE_SWEEP_SECONDS))
        except RuntimeError:
            self._sweep(0.0)  # the system gives no thread, or this process is about to end

    def _sweep(self, late_seconds: float) -> None:
        """End what has escaped: a process in another session whose worker died before it could be asked."""
        is_swept = False
        try:
            is_swept = process_tree.kill_marked(self._mark.encode(), _SWEEP_SECONDS)
        finally:
            self._monitor.post(self.ended.set)
        if not is_swept and late_seconds:
            # As long as this process has no descriptor left, it cannot look. Nobody waits for this any more.
            process_tree.kill_marked(self._mark.encode(), late_seconds)

    def _drain_what_is_left(self) -> None:
        # Bounded: a process that outlives the group's kill could still be writing.
        for _ in range(64):
            if self._stderr_fd is None:
                return
            try:
                chunk = os.read(self._stderr_fd, _STDERR_READ_BYTES)
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
    def is_fork(self) -> bool:
        """Whether it was forked by `forker`."""
        return isinstance(self._process, Forked)

    @property
    def forked_directory(self) -> Path | None:
        """The temporary directory that it got from `forker`; None if it has the one that was wished."""
        return self._process.directory if isinstance(self._process, Forked) else None

    @property
    def has_ended(self) -> bool:
        """Whether the child is gone; asks the system, since the monitor may not have come to reap it yet."""
        process = self._process
        if self._reaped or process is None or not self._owner.is_here:
            return True
        # The monitor may reap it in this moment, and close the pidfd.
        return exit_status.has_ended(process.pid, self._pidfd) or self._reaped

    @property
    def kill_reason(self) -> LeanWorkerError | None:
        """The reason for which we killed it, a copy to be raised; None if we did not. See `Interruption.error`."""
        return copy.copy(self._kill_reason)

    def kill(self, reason: LeanWorkerError) -> None:
        """End it and all below it; the first reason is the one that is kept. Safe in signal handlers."""
        if self._kill_reason is None and not self._reaped:
            self._kill_reason = reason
        # On the thread that reaps: until then the process id, and so its group's, belongs to nobody else.
        if self._owner.is_here:
            self._monitor.post(self._signal_tree)

    def _signal_tree(self) -> None:
        if self._process is None or self._reaped or not self._owner.is_here:
            return
        if not exit_status.is_collected(self._process.pid, self._pidfd):
            # First: once it has ended, nothing tells whose a process in another session was.
            process_tree.kill_descendants(self._process.pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close_pipes(self) -> None:
        """Give its pipes back, on the monitor's thread, when nobody uses them any more; legal twice."""
        if self._owner.is_here:
            self._close_pipes()

    def _close_pipes(self) -> None:
        pipes, self._pipes = self._pipes, []
        for descriptor in pipes:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def leave_to_parent(self) -> None:
        """In a forked child, right after the fork: do not hold the pipes open, and touch the process no more."""
        self.ended = Event()
        self.ended.set()
        process = self._process
        if process is None:
            return
        process.returncode = -1  # so that Popen does not try to reap what is not our child
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        if self._stderr_fd is not None:
            os.close(self._stderr_fd)
            self._stderr_fd = None
        self._close_pipes()

    def readable(self, other_fds: Sequence[int], timeout: float | None) -> Ready:
        """A wait until its frame pipe, or one of `other_fds`, can be read, at most `timeout` seconds."""
        return Ready(dict.fromkeys((self.frames_fd, *other_fds), select.POLLIN), timeout)

    def writable(self, other_fd: int) -> Ready:
        """A wait until a request can be written on, or `other_fd` can be read."""
        return Ready({self.requests_fd: select.POLLOUT, other_fd: select.POLLIN}, None)

    def report(self) -> ExitReport:
        """Return how it ended; call this after it has `ended`."""
        code = self._status
        tail = self._stderr.text()
        if code is None:
            return ExitReport(None, None, _CAUSE_UNKNOWN, tail)
        if code >= 0:
            return ExitReport(code, None, _cause_of_exit(code, self._stderr.saw_stack_overflow), tail)
        name = signal_name(-code)
        killed_by_us = self._kill_reason is not None and -code == signal.SIGKILL
        cause = _cause_of_signal(name, self._stderr.saw_stack_overflow, killed_by_us)
        if name == "SIGKILL" and not killed_by_us:
            cause = out_of_memory.cause_of_kill(self._ooms_before)
        return ExitReport(None, name, cause, tail)

    def begin_stderr(self) -> None:
        """Begin the tail anew: what was written for one request is not shown for the next."""
        descriptor = self._stderr_fd
        unread = bytearray(4)
        if descriptor is not None:
            with PassingOver():  # it was closed meanwhile
                fcntl.ioctl(descriptor, termios.FIONREAD, unread)
        self._stderr.begin(int.from_bytes(unread, sys.byteorder))

    def stderr_tail(self) -> str:
        """The last text of its stderr so far."""
        return self._stderr.text()


_CAUSE_UNKNOWN = "this process ignores SIGCHLD, or another part of it has collected the worker"


def _pipe(read_ends: contextlib.ExitStack, write_ends: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed by these."""
    read_end, write_end = high_descriptors.pipe()
    read_ends.callback(os.close, read_end)
    write_ends.callback(os.close, write_end)
    return read_end, write_end


def _cause_of_exit(code: int, saw_stack_overflow: bool) -> str:
    if saw_stack_overflow and code:
        return "stack overflow: recursion without end"
    if code == 0:
        return "the hosted program ended by itself"
    if code == 134:
        return "abort, such as a Lean panic"
    if code == 137:
        return "the hosted program failed; 137 often means that a program it ran was killed"
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
    return "ended by a signal from outside"
