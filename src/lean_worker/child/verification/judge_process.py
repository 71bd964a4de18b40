"""The process that judges: it imports a statement's modules once, and forks for each candidate.

Owns the environment of one set of imports. It has Lean's kernel inside and runs no code of a candidate, nor of the
statement; what it reads is data. Each judgement happens in a fork, which ends afterwards: crafted data that ends the
kernel ends that fork alone, and what one candidate made Lean build is gone before the next. It has one thread of its
own and imports nothing but the standard library, msgspec and this package.

The worker speaks JSON behind a length of four bytes, over the socket that is this process's standard input:

    open     Open, once, answered by Opened
    judge    Job, answered by Judged

It ends when the worker closes the socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from ..sandbox import hide_memory
from . import wire
from .goals import Module, goals_of, unprovable_goal
from .judge import Decision, Imported, Judge
from .terms import BadData, Reader, Table
from .trial import TRIALS, trial_rows

_T = TypeVar("_T")
_LENGTH_BYTES = 4
_PR_SET_PDEATHSIG = 1
_MAX_ANSWER_BYTES = 1 << 24
_MAX_LOOKED_UP = 4096
_STACK_BYTES = 1 << 29
_TRIAL_SECONDS = 60.0


class Open(msgspec.Struct, frozen=True):
    """The library, and the imports as names' parts and Lean's flags."""

    library: str
    imports: list[tuple[list[str | int], tuple[bool, ...]]]


class Opened(msgspec.Struct, frozen=True):
    """The answer to `Open`.

    Attributes:
        failure: Why there is no judge; None if there is one.
        files: The module files that it has imported, as far as the system tells.
    """

    failure: str | None = None
    files: list[str] = []


class Job(msgspec.Struct, frozen=True):
    """One judgement.

    Attributes:
        statement: The statement's rows, encoded.
        candidate: The candidate's rows, encoded; None to judge the statement itself, as if it were a candidate.
        allowed: The parts of the allowed axioms' names.
        timeout: Seconds.
        memory_bytes: How much memory the judgement may take; None for no limit.
    """

    statement: list[msgspec.Raw]
    candidate: list[msgspec.Raw] | None
    allowed: list[list[str | int]]
    timeout: float | None = None
    memory_bytes: int | None = None


class Judged(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of a judgement: a decision, or why there is none.

    Attributes:
        decision: The decision.
        goals: How many goals the statement has.
        unprovable: A goal of the statement that rests on a `sorry` in what it says.
        bad_data: The candidate's rows are not of the right form.
        timed_out: It did not end in time.
        signal: The signal that ended it.
        exit_code: Its exit code, if it ended otherwise.
        cpu_seconds: Processor time of the judgement.
    """

    decision: Decision | None = None
    goals: int | None = None
    unprovable: str | None = None
    bad_data: str | None = None
    timed_out: bool = False
    signal: int | None = None
    exit_code: int | None = None
    cpu_seconds: float = 0.0


class _Answer(msgspec.Struct, frozen=True):
    """A fork's own words."""

    judged: Judged
    looked_up: list[list[str | int]]


def send(channel: socket.socket, message: msgspec.Struct) -> None:
    """Send one message."""
    data = msgspec.json.encode(message)
    channel.sendall(len(data).to_bytes(_LENGTH_BYTES, "big") + data)


def receive(channel: socket.socket, kind: type[_T]) -> _T | None:
    """Wait for one message; None if the other side has closed."""
    size = _exactly(channel, _LENGTH_BYTES)
    if size is None:
        return None
    data = _exactly(channel, int.from_bytes(size, "big"))
    return None if data is None else msgspec.json.decode(data, type=kind)


def _exactly(channel: socket.socket, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        chunk = channel.recv(min(count - len(data), 1 << 20))
        if not chunk:
            return None
        data += chunk
    return bytes(data)


class JudgeProcess:
    """The loop of this process."""

    def __init__(self, worker: socket.socket) -> None:
        self._worker = worker
        self._table = Table()
        self._heap: Any = None
        self._imported: Any = None

    def serve(self) -> None:
        """Serve until the worker closes."""
        wanted = receive(self._worker, Open)
        if wanted is None:
            return
        failure = self._open(wanted)
        send(self._worker, Opened(failure, _imported_files()))
        if failure is not None:
            return
        gc.collect()
        gc.freeze()  # forks would copy every page that a collection touches
        while (job := receive(self._worker, Job)) is not None:
            send(self._worker, self._judge(job))

    def _open(self, wanted: Open) -> str | None:
        from .. import kernel_library, lean_library

        try:
            lean_library.preload(Path(wanted.library))
            self._heap = kernel_library.Heap(os.fsencode(wanted.library))
            version = self._heap.version()
            if version not in kernel_library.KNOWN_VERSIONS:
                return kernel_library.refusal(version, wanted.library)
            imports = [(self._table.named(*parts), flags) for parts, flags in wanted.imports]
            self._heap.extend(self._table.names, self._table.levels, self._table.expressions, ())
            self._heap.import_modules(imports)
        except OSError as error:
            return str(error)
        self._imported = Imported(self._table, self._heap, kernel_library.Memory())
        return self._try_out()

    def _try_out(self) -> str | None:
        """Tell why this Lean cannot judge: it must accept a known proof, and refuse each known wrong one."""
        statement = trial_rows(None)
        for name, expected in TRIALS.items():
            judged = self._judge(Job(statement, trial_rows(name), [], _TRIAL_SECONDS))
            decision = judged.decision
            verdict = "proved" if expected is None else "not_replayed"
            if decision is None or (decision.verdict, decision.reason) != (verdict, expected):
                return f"the trial of {name} ended with {judged}: this Lean's kernel cannot be asked in this way"
        return None

    # -- one judgement --

    def _judge(self, job: Job) -> Judged:
        read, write = os.pipe()
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            self._be_a_judge(job, write)
        os.close(write)
        data, is_late = _read_until(read, None if job.timeout is None else began + job.timeout)
        os.close(read)
        if is_late or len(data) > _MAX_ANSWER_BYTES:
            os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        cpu_seconds = usage.ru_utime + usage.ru_stime
        if is_late:
            return Judged(timed_out=True, cpu_seconds=cpu_seconds)
        if os.WIFSIGNALED(status):
            return Judged(signal=os.WTERMSIG(status), cpu_seconds=cpu_seconds)
        try:
            answer = msgspec.json.decode(data, type=_Answer)
        except msgspec.DecodeError:
            return Judged(exit_code=os.WEXITSTATUS(status), cpu_seconds=cpu_seconds)
        # The next candidate will ask the imports for much the same. The names come from a fork that saw data only,
        # and name declarations of the imports.
        for parts in answer.looked_up:
            self._imported.find(self._table.named(*parts))
        self._imported.looked_up.clear()
        return msgspec.structs.replace(answer.judged, cpu_seconds=cpu_seconds)

    def _be_a_judge(self, job: Job, write: int) -> NoReturn:
        code = 70
        try:
            self._worker.close()
            _limit(job)
            answer = _Answer(self._decide(job), self._found())
            data = memoryview(msgspec.json.encode(answer))
            while data:
                data = data[os.write(write, data) :]
            code = 0
        except BaseException as error:
            with contextlib.suppress(BaseException):
                print(f"lean-worker judge: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(code)

    def _decide(self, job: Job) -> Judged:
        statement = self._read(job.statement)
        goals = goals_of(self._table, statement)
        if not goals:
            return Judged(goals=0)
        if job.candidate is None:
            unprovable = unprovable_goal(self._table, statement, goals)
            if unprovable is not None:
                return Judged(goals=len(goals), unprovable=self._table.text(unprovable))
            candidate = statement
        else:
            try:
                candidate = self._read(job.candidate)
            except BadData as error:
                return Judged(goals=len(goals), bad_data=str(error))
        allowed = [self._table.named(*parts) for parts in job.allowed]
        judge = Judge(self._table, self._heap, self._imported, statement, candidate, allowed)
        return Judged(judge.decide(), len(goals))

    def _read(self, rows: list[msgspec.Raw]) -> Module:
        reader: Reader = self._table.reader()
        for row in rows:
            try:
                terms = msgspec.json.decode(row, type=wire.Terms)
            except (ValueError, RecursionError) as error:
                raise BadData(f"rows of the wrong form: {error}") from error
            reader.read(terms)
        if reader.imports is None:
            raise BadData("the last row is missing")
        return Module(reader.constants, reader.imports, reader.is_module)

    def _found(self) -> list[list[str | int]]:
        names = self._imported.looked_up[:_MAX_LOOKED_UP]
        return [list(self._table.parts(name)) for name in names if self._imported.find(name)[0] is not None]


def _limit(job: Job) -> None:
    """Let the fork end with its parent, and take no more than it may."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if job.memory_bytes is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (job.memory_bytes, job.memory_bytes))


def _read_until(descriptor: int, end: float | None) -> tuple[bytes, bool]:
    """Return what comes until the end of the pipe, and whether `end` came first."""
    data = bytearray()
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    while len(data) <= _MAX_ANSWER_BYTES:
        left = None if end is None else max(0.0, end - time.monotonic())
        if not poller.poll(None if left is None else left * 1000):
            return bytes(data), True
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            break
        data += chunk
    return bytes(data), False


def _imported_files() -> list[str]:
    from ..module_stamps import mapped_modules

    try:
        return mapped_modules()
    except OSError:
        return []


def main() -> NoReturn:
    """Serve the worker at the other end of standard input, and end the process."""
    import threading

    hide_memory()
    worker = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.setrecursionlimit(10_000)
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)  # the length of numerals is bounded where they are read
    # The kernel recurses deeply; the main thread's stack is as small as the user's limit says.
    threading.stack_size(_STACK_BYTES)
    done = threading.Thread(target=JudgeProcess(worker).serve)
    done.start()
    done.join()
    os._exit(0)


if __name__ == "__main__":
    main()
