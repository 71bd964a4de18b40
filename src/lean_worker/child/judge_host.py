"""Hosts judges: decides whether declarations prove a statement, without running any of their code.

Owns which judges there are: one process for each set of imports, a few at a time, the least recently used ends first.
One whose imports were compiled again since ends too, and what it has said last does not count.
Requests and answers are those of `verification.judge_process`.
"""

from __future__ import annotations

import collections
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..errors import CapabilityError
from ..wire import protocol
from ..wire.frames import RowWriter
from .file_run import environment
from .loop import Command, RequestLoop
from .module_stamps import ModulesChanged, ModuleStamps, search_path
from .verification.judge_process import Job, Judged, Open, Opened, receive, send

COMMAND = "judge"
MAX_JUDGES = 4
_ATTEMPTS = 3
_OPEN_SECONDS = 600.0
_LATE_SECONDS = 10.0
_LEAVING_SECONDS = 2.0
_START = (
    "import sys; sys.path[:0] = sys.argv.pop(1).split('\\n'); "
    "from lean_worker.child.verification.judge_process import main; main()"
)

Imports = tuple[tuple[tuple[str | int, ...], tuple[bool, ...]], ...]


class Request(msgspec.Struct, frozen=True):
    """A job for the judge of these imports."""

    imports: Imports
    job: Job


class _Killed(Exception):
    """A judge was killed from outside while it started; its arguments are the signal's number."""


class _Cancelled(Exception):
    """The caller has cancelled the judgement."""


class _Judge:
    """One judge process.

    Attributes:
        has_met_a_build: Whether modules seem to have changed while it imported them.

    Raises:
        CapabilityError: It did not come up.
        _Killed: It was killed.
    """

    def __init__(self, library: str, environment: dict[str, str], imports: Imports) -> None:
        self._socket, theirs = socket.socketpair()
        self._stamps: ModuleStamps | None = None
        self.has_met_a_build = False
        began = time.time_ns()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-I", "-S", "-c", _START, "\n".join(sys.path)],
                stdin=theirs.fileno(),
                env=environment,
            )
        self._socket.settimeout(_OPEN_SECONDS)
        try:
            send(self._socket, Open(library, [(list(parts), flags) for parts, flags in imports]))
            opened = receive(self._socket, Opened)
        except (OSError, msgspec.DecodeError) as error:
            raise self._not_opened(str(error)) from error
        if opened is None:
            raise self._not_opened("it ended")
        if opened.failure is not None:
            self.close()
            raise CapabilityError(f"starting a judge: {opened.failure}")
        names = [".".join(map(str, parts)) for parts, _ in imports]
        try:
            self._stamps = ModuleStamps(opened.files, names, search_path(environment["LEAN_PATH"], None), began)
        except ModulesChanged:
            self.has_met_a_build = True
        except ValueError:
            pass  # the system does not tell what is mapped

    def is_current(self) -> bool | None:
        """Whether it would import the same files now; None if nothing tells."""
        return None if self._stamps is None else self._stamps.still_hold()

    def has_ended(self) -> bool:
        """Whether it is not there any more."""
        return self._process.poll() is not None

    def _not_opened(self, why: str) -> CapabilityError | _Killed:
        try:
            code = self._process.wait(_LEAVING_SECONDS)
        except subprocess.TimeoutExpired:
            code = None  # it hangs, and is killed here
        self.close()
        if code is not None and code in (-signal.SIGKILL, -signal.SIGTERM):
            return _Killed(-code)
        return CapabilityError(f"starting a judge: {why}; its exit code is {code}")

    def judge(self, job: Job) -> Judged:
        """Have it judge.

        Raises:
            OSError: It is gone, or gave no answer long after the time limit.
        """
        self._socket.settimeout(None if job.timeout is None else job.timeout + _LATE_SECONDS)
        send(self._socket, job)
        judged = receive(self._socket, Judged)
        if judged is None:
            raise ConnectionError("the judge ended")
        return judged

    def interrupt(self) -> None:
        """From any thread: end it at once."""
        self._process.send_signal(signal.SIGKILL)

    def close(self) -> int | None:
        """Let it end; its exit code."""
        self._socket.close()
        try:
            return self._process.wait(_LEAVING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def serve(loop: RequestLoop, writer: RowWriter, library: str, paths: Sequence[str]) -> int:
    """Judge until the parent says `terminate`; the return value is the process's exit code."""
    try:
        lean_environment = environment(Path(library), paths, takes_inherited=False)
    except CapabilityError as error:
        print(f"lean-worker child: {error}", file=sys.stderr, flush=True)
        return protocol.EXIT_HOST_FAILED
    host = _Host(loop, library, lean_environment)
    loop.on_cancel(host.interrupt)
    loop.open()
    while (command := loop.next_command()) is not None:
        if command.export != COMMAND or command.kind != "json":
            loop.reply_unknown(command, [COMMAND])
            continue
        host.run(command)
    host.close()
    return 0


class _Host:
    """The judges of this worker."""

    def __init__(self, loop: RequestLoop, library: str, environment_of_judges: dict[str, str]) -> None:
        self._loop = loop
        self._library = library
        self._environment = environment_of_judges
        self._judges: collections.OrderedDict[Imports, _Judge] = collections.OrderedDict()
        self._working: _Judge | None = None

    def run(self, command: Command) -> None:
        """Answer one command."""
        try:
            request = msgspec.json.decode(command.request_json, type=Request)
        except (msgspec.DecodeError, RecursionError) as error:
            self._loop.reply_failed(command, protocol.CODE_COMMAND_FAILED, f"the request does not fit: {error}")
            return
        try:
            judged = self._judged(request)
        except CapabilityError as error:
            self._loop.reply_failed(command, protocol.CODE_COMMAND_FAILED, error.text)
            return
        except _Killed as killed:
            judged = Judged(signal=killed.args[0])
        except _Cancelled:
            self._loop.reply_failed(command, protocol.CODE_CANCELLED, "cancelled by the caller")
            return
        self._loop.reply_ok(command, msgspec.json.encode(judged).decode())

    def _judged(self, request: Request) -> Judged:
        """Judge by modules that are the same after it as when they were imported."""
        for attempts_left in reversed(range(_ATTEMPTS)):
            is_new = request.imports not in self._judges
            judge = self._judge_for(request.imports)
            self._working = judge
            try:
                if self._loop.is_cancelled:
                    judge.interrupt()
                judged = judge.judge(request.job)
            except (OSError, msgspec.DecodeError) as error:
                self._judges.pop(request.imports)
                code = judge.close()
                if self._loop.is_cancelled:
                    raise _Cancelled from error
                print(f"lean-worker child: judging: {error}", file=sys.stderr, flush=True)
                return Judged(
                    exit_code=code if code is not None and code >= 0 else None,
                    signal=-code if code and code < 0 else None,
                )
            finally:
                self._working = None
            is_current = judge.is_current()
            if not is_current:
                self._judges.pop(request.imports).close()
            may_stand = is_new and not (judge.has_met_a_build and attempts_left)
            if is_current or (is_current is None and may_stand):
                return judged
        return Judged(bad_data="modules were compiled again each time while it judged")

    def _judge_for(self, imports: Imports) -> _Judge:
        judge = self._judges.get(imports)
        if judge is not None and judge.has_ended():
            self._judges.pop(imports).close()
            judge = None
        if judge is None:
            while len(self._judges) >= MAX_JUDGES:
                self._judges.popitem(last=False)[1].close()
            judge = self._judges[imports] = _Judge(self._library, self._environment, imports)
        self._judges.move_to_end(imports)
        return judge

    def interrupt(self) -> None:
        """From the thread that reads requests: the running judgement was cancelled."""
        working = self._working
        if working is not None:
            working.interrupt()

    def close(self) -> None:
        """End all judges."""
        for judge in self._judges.values():
            judge.close()
