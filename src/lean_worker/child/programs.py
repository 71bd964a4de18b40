"""One run of a program for one request: turns its output into rows and diagnostics.

Also keeps the run's deadline. The keeper, a separate process, starts the program and kills its whole tree. The host
decides which program runs, and what its end means for the request.

A run is over when the program itself has ended. Processes that it left running are killed then, and all output until
then counts.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..base import linux_calls, process_tree
from ..base.signal_names import signal_name
from ..errors import CapabilityError
from ..wire.frames import RowWriter
from ..wire.protocol import EXIT_HOST_RETURNED
from . import process_end
from .keeper_link import KeeperLink
from .output import Ended, Errors, Lines, Put
from .program_memory import ProgramMemory
from .sandbox import Rules

# Nothing but the interpreter and a few modules: it starts quickly, and has one thread.
_START = "import sys; sys.path.append(sys.argv.pop(1)); from lean_worker.child.keeper_main import main; main()"
_PACKAGES = Path(__file__).resolve().parents[2]
_READ_BYTES = 1 << 18
_PIPE_BYTES = 1 << 20
_READY_SECONDS = 60.0
_LEAVING_SECONDS = 2.0
# Lean can take some hundred MiB in this time.
_MEMORY_SECONDS = 0.05


class Keeper(KeeperLink):
    """The process that runs programs for this worker; see `keeper`.

    Args:
        library: The Lean library that it should run files with, if any.
        environment: Its environment, and that of the programs.
        rules: What programs and files may touch; None if they are not locked in.

    Raises:
        CapabilityError: It did not come up, or cannot lock in what it runs.
    """

    def __init__(self, library: str | None, environment: Mapping[str, str], rules: Rules | None) -> None:
        ours, theirs = socket.socketpair()
        arguments = ["" if rules is None else rules.to_json(), *([] if library is None else [library])]
        with theirs:
            self._process = subprocess.Popen(
                # Its own session: a kill of the worker's process group must not end it before its work is done.
                [sys.executable, "-W", "ignore", "-I", "-S", "-c", _START, str(_PACKAGES), *arguments],
                stdin=theirs.fileno(),
                env=dict(environment),
                start_new_session=True,
            )
        super().__init__(ours)
        self._socket.settimeout(_READY_SECONDS)
        try:
            ready = self.answer()
        except OSError as error:
            if self._was_killed():
                # Nothing is wrong with what is hosted: the parent may start another worker at once.
                process_end.say("the keeper of programs was killed before it was ready; exiting")
                process_end.end(EXIT_HOST_RETURNED)
            self._process.kill()
            raise CapabilityError(f"starting the keeper of programs: {error or 'it ended'}") from error
        if "refused" in ready:
            raise CapabilityError(ready["refused"])
        self.mode: str = ready["ready"]
        self._socket.settimeout(None)
        self._in_use = threading.Lock()
        self._is_closed = False
        threading.Thread(target=self._watch, name="lean-worker-keeper", daemon=True).start()

    def _was_killed(self) -> bool:
        """Whether another process has ended it; it is gone, or about to be, if it is that."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_LEAVING_SECONDS) in (-signal.SIGKILL, -signal.SIGTERM)
        return False

    def _watch(self) -> None:
        """Wait for the keeper to end or to be stopped, which its programs can do to it, and end all that it ran.

        What they had printed by then is in the pipes: a run that is going on reads it before it reports the loss.
        """
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
        if self._is_closed:
            return
        process_tree.kill_descendants(os.getpid())
        with self._in_use:
            if not self._is_closed:
                process_end.say("the keeper of programs was ended or stopped from outside; exiting")
                process_end.end(EXIT_HOST_RETURNED)

    @property
    def pid(self) -> int:
        """Number of the keeper's process."""
        return self._process.pid

    @property
    def in_use(self) -> threading.Lock:
        """Held while a program runs: the worker then does not end of itself when the keeper is lost."""
        return self._in_use

    def close(self) -> None:
        """Let it end, and wait for that."""
        self._is_closed = True
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVING_SECONDS)


class Programs:
    """Runs programs, one at a time.

    Args:
        writer: Where rows and diagnostics go.
        keeper: What starts them.
        other_lines: "fail" or "diagnostic": what a line that is no JSON object is.
        stderr: "diagnostics", or "worker" to pass it on to the worker's own.
        is_cancelled: Whether the parent has cancelled the running command.
    """

    def __init__(
        self, writer: RowWriter, keeper: Keeper, other_lines: str, stderr: str, is_cancelled: Callable[[], bool]
    ) -> None:
        self._writer = writer
        self._keeper = keeper
        self._other_lines = other_lines
        self._stderr = stderr
        self._is_cancelled = is_cancelled
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)

    @property
    def wake_descriptor(self) -> int:
        """Readable after `wake`, until a run has looked."""
        return self._wake_read

    def wake(self) -> None:
        """From any thread: look whether the command was cancelled."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"!")

    def run(
        self,
        job: Mapping[str, Any],
        stdin: bytes,
        put: Put,
        timeout: float | None = None,
        link: KeeperLink | None = None,
        kill_above_kib: int | None = None,
    ) -> Ended:
        """Run one program to its end.

        Args:
            job: What the keeper should run.
            stdin: What the program reads.
            put: Where its rows go.
            timeout: Seconds until it is killed.
            link: What starts the program, if it is not the keeper itself.
            kill_above_kib: Its memory, with that of all it starts, above which it is killed.

        Raises:
            ConnectionError: The keeper is gone.
        """
        chosen = self._keeper if link is None else link
        memory = None if kill_above_kib is None else ProgramMemory(kill_above_kib)
        run = _Run(self, chosen, put, None if timeout is None else time.monotonic() + timeout, memory)
        with contextlib.ExitStack() as cleanup:
            output, output_end = _pipe(cleanup)
            errors, errors_end = _pipe(cleanup) if self._stderr == "diagnostics" else (None, os.dup(2))
            cleanup.enter_context(self._keeper.in_use)
            try:
                with _file_of(stdin) as input_file:
                    chosen.run(job, [input_file.fileno(), output_end, errors_end])
            finally:
                os.close(output_end)
                os.close(errors_end)
            return run.pump(output, errors)


class _Run:
    """One run in progress."""

    def __init__(
        self, programs: Programs, link: KeeperLink, put: Put, end: float | None, memory: ProgramMemory | None
    ) -> None:
        self._programs = programs
        self._keeper = link
        self._end = end
        self._memory = memory
        self._next_look = time.monotonic()
        self._ended = Ended()
        self._is_stopped = False
        self._lines = Lines(programs._writer, put, programs._other_lines, self._ended)
        self._errors = Errors(programs._writer)

    def pump(self, output: int, errors: int | None) -> Ended:
        sources: dict[int, Callable[[bytes], object]] = {output: self._take_output}
        if errors is not None:
            sources[errors] = self._errors.feed
        wake = self._programs._wake_read
        poller = select.poll()
        for descriptor in (*sources, wake, self._keeper.fileno()):
            poller.register(descriptor, select.POLLIN)
        self._look_for_cancel()
        while True:
            ready = {descriptor for descriptor, _ in poller.poll(self._milliseconds())}
            for descriptor in [d for d in sources if d in ready]:
                if not _drain_once(descriptor, sources[descriptor]):
                    poller.unregister(descriptor)
                    del sources[descriptor]
            if wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake, 4096)
                self._look_for_cancel()
            if self._end is not None and time.monotonic() >= self._end and not self._is_stopped:
                self._ended.timed_out = True
                self._stop()
            self._look_at_memory()
            if self._keeper.fileno() in ready:
                try:
                    answer = self._keeper.ended()
                except BaseException:
                    self._drain(sources)
                    raise
                if answer is None:
                    continue
                # What escaped the keeper may go on printing.
                self._drain(sources)
                return self._finish(answer)

    @staticmethod
    def _drain(sources: Mapping[int, Callable[[bytes], object]]) -> None:
        """Read what was printed by now; it counts, also if the keeper is lost."""
        for descriptor, take in sources.items():
            _drain_rest(descriptor, take)

    def _milliseconds(self) -> int | None:
        moments = [self._end, None if self._memory is None else self._next_look]
        next_one = min((moment for moment in moments if moment is not None), default=None)
        if next_one is None or self._is_stopped:
            return None
        return max(0, int((next_one - time.monotonic()) * 1000) + 1)

    def _look_at_memory(self) -> None:
        if self._memory is None or self._is_stopped or time.monotonic() < self._next_look:
            return
        self._ended.killed_at_kib = self._memory.excess_kib()
        if self._ended.killed_at_kib is not None:
            self._stop()
        self._next_look = time.monotonic() + _MEMORY_SECONDS

    def _look_for_cancel(self) -> None:
        if self._programs._is_cancelled():
            self._ended.cancelled = True
            self._stop()

    def _stop(self) -> None:
        if not self._is_stopped:
            self._is_stopped = True
            self._keeper.kill()

    def _take_output(self, data: bytes) -> None:
        if not self._is_stopped and not self._lines.feed(data):
            self._stop()

    def _finish(self, answer: Mapping[str, Any]) -> Ended:
        ended = self._ended
        ended.exit_code = answer["exit_code"]
        ended.not_started = answer["not_started"]
        ended.cpu_seconds = answer["cpu_seconds"]
        ended.directory = answer["directory"]
        ended.import_seconds = answer["import_seconds"]
        if answer["signal"] is not None:
            ended.signal = signal_name(answer["signal"])
        if not self._is_stopped:
            self._lines.finish(is_whole=ended.exit_code == 0)
            if answer["left"]:
                text = f"the program left {answer['left']} processes behind; they were ended"
                self._programs._writer.diagnostic("left_behind", text)
        self._errors.finish()
        ended.stderr_tail = self._errors.tail()
        return ended


def _drain_once(descriptor: int, take: Callable[[bytes], object]) -> bool:
    """Read and hand on what is there; False at the end."""
    try:
        data = os.read(descriptor, _READ_BYTES)
    except BlockingIOError:
        return True
    if data:
        take(data)
    return bool(data)


def _drain_rest(descriptor: int, take: Callable[[bytes], object]) -> None:
    """Read and hand on what is there now, and nothing that is written after that."""
    left = array.array("i", [0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(descriptor, termios.FIONREAD, left)
    while left[0] > 0:
        data = os.read(descriptor, min(left[0], _READ_BYTES))
        if not data:
            return
        left[0] -= len(data)
        take(data)


def _pipe(cleanup: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe whose reading end, closed by `cleanup`, does not block."""
    read_end, write_end = os.pipe()
    cleanup.callback(os.close, read_end)
    os.set_blocking(read_end, False)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.fcntl(read_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)  # type: ignore[arg-type]
    return read_end, write_end


def _file_of(text: bytes) -> Any:
    """A file with this content: a program that does not read it blocks nobody."""
    try:
        file: Any = os.fdopen(linux_calls.memory_file("stdin"), "w+b")
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(text)
    file.flush()
    file.seek(0)
    return file
