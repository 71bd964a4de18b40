"""The parent's side of a holder: a process that has imported what a Lean script imports, and forks workers.

Owns the start of the holder (`child.worker_holder` is its own side), the question whether it is ready, the handing over
of descriptors, and the proof that what it reports is a new child of this process. A worker that it forks is a child
like any other. If anything goes wrong, `fork` returns None and leaves nothing behind; callers then start a
worker plainly.
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Any

from ..base import exit_status, high_descriptors, process_tree
from ..base.deferred import Deferred
from ..errors import StaleLease
from ..hosting.launch import CHILD_WORDS, Launch
from ..steps.monitor import Monitor
from ..steps.waiting import Event, Steps, Until
from ..toolchains.environment import TEMPORARY_DIRECTORY
from ..wire.protocol import RING_VARIABLE, TREE_VARIABLE
from .fork_permits import ForkPermits, filters_of
from .process import ChildProcess, Forked, Wish

if TYPE_CHECKING:
    import json
    import socket
    from pathlib import Path

    from ..hosting import temporary
else:
    json = Deferred("json")
    socket = Deferred("socket")
    temporary = Deferred("lean_worker.hosting.temporary")

_STDERR_BYTES = 4096
_FORK_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_END_SECONDS = 10.0
_MOST_ANSWER = 1 << 20
_PAUSE_SECONDS = 0.001
_INT_BYTES = array.array("i").itemsize
_STOPPED = ("T", "t", "Z", "X", "")


class Holder:
    """One holder. `starting` and `closing` are for the monitor's thread, `fork` is for the starter's.

    Args:
        launch: What its workers host.
        monitor: Who watches it.

    Attributes:
        imports: The modules that the script names; () before it is ready.
        served: Workers that it has forked.
        why: Why it cannot fork, "" while it can.
    """

    def __init__(self, launch: Launch, monitor: Monitor) -> None:
        self.launch = launch
        self._monitor = monitor
        self.imports: tuple[str, ...] = ()
        self.served = 0
        self.why = ""
        self._is_ready = False
        self._socket: socket.socket | None = None
        self._process: ChildProcess | None = None
        self._directory: Path | None = None
        self._permits: ForkPermits | None = None
        self._is_started = Event()

    @property
    def pid(self) -> int:
        """For memory samples; 0 before the start and after the end."""
        return 0 if self._process is None or self._process.has_ended else self._process.pid

    @property
    def is_usable(self) -> bool:
        """Whether it is being started, or lives and has not refused."""
        if self.why:
            return False
        return not self._is_started.is_set or (self._process is not None and not self._process.has_ended)

    # -- start and end --

    def starting(self) -> Steps[None]:
        """Start it, and wait for no more than that.

        Raises:
            CapabilityError: It cannot be started.
            OSError: The system has no descriptor left.
        """
        end = -1
        try:
            self._directory = temporary.make_nest()
            ours, theirs = socket.socketpair()
            end = high_descriptors.lifted(theirs.detach())
            self._socket = socket.socket(fileno=high_descriptors.lifted(ours.detach()))
            self._socket.setblocking(False)
            process = self._process = ChildProcess(self._monitor, _STDERR_BYTES, inherited_fds=(end,))
            env = {TEMPORARY_DIRECTORY: str(self._directory), **self.launch.env}
            yield from process.starting(self.launch.holder_argv(end), env, self.launch.cwd)
        finally:
            if end >= 0:
                os.close(end)
            self._is_started.set()

    def is_ready(self) -> bool:
        """Return whether it has imported and can fork; asks nobody and does not wait."""
        if self._is_ready or self.why:
            return self._is_ready and self.is_usable
        if not self._is_started.is_set or self._socket is None:
            return False
        try:
            if self.launch.is_locked_in and self._permits is None:
                # Sent before any hosted code ran.
                _, (descriptor,) = self._answer(1)
                self._permits = ForkPermits(descriptor)
            answer, _ = self._answer(0)
            self.why = str(answer.get("refused", ""))[:1000]
            self.imports = tuple(map(str, answer["ready"]["imports"])) if not self.why else ()
        except BlockingIOError:
            return False
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.why = "it ended before it was ready"
        self._is_ready = not self.why
        return self._is_ready and self.is_usable

    def why_lost(self) -> str:
        """Return why it is not usable; one that has refused may have ended before anybody read what it said."""
        self.is_ready()
        return self.why or "it ended"

    def _answer(self, most_descriptors: int) -> tuple[Any, list[int]]:
        """Read the next message and its descriptors.

        Raises:
            BlockingIOError: It is not there yet.
            ValueError: It is no message.
        """
        assert self._socket is not None
        head = self._socket.recv(_MOST_ANSWER, socket.MSG_PEEK)
        size = 4 + int.from_bytes(head[:4], "big")
        if head and len(head) < size <= _MOST_ANSWER:
            raise BlockingIOError
        room = socket.CMSG_SPACE(most_descriptors * _INT_BYTES) if most_descriptors else 0
        data, passed, _, _ = self._socket.recvmsg(size, room, socket.MSG_CMSG_CLOEXEC)
        descriptors = array.array("i")
        for level, kind, content in passed:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(content[: len(content) - len(content) % _INT_BYTES])
        return json.loads(data[4:]), descriptors.tolist()

    def closing(self) -> Steps[None]:
        """End it; its workers go on."""
        self.why = self.why or "it was closed"
        process = self._process
        if process is not None:
            process.kill(StaleLease("the holder was closed", entered_worker=False))
        yield Until(self._is_started, _END_SECONDS)
        if process is not None:
            if process.pid:
                yield Until(process.ended, _END_SECONDS)
            process.close_pipes()
        self._close_socket()
        directory, self._directory = self._directory, None
        if directory is not None:
            temporary.remove(directory)

    def leave_to_parent(self) -> None:
        """In a forked child, right after the fork: do not hold its descriptors."""
        self.why = "it belongs to another process"
        if self._process is not None:
            self._process.leave_to_parent()
        self._close_socket()

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._permits is not None:
            self._permits.close()

    # -- workers --

    def fork(self, wish: Wish) -> Forked | None:
        """See `process.Forker`."""
        if not self.is_ready():
            return None
        assert self._socket is not None
        try:
            told, telling = high_descriptors.pipe()
        except OSError:
            return None
        mark = f"{TREE_VARIABLE}={wish.env[TREE_VARIABLE]}".encode()
        since = time.time()
        directory: Path | None = None
        before = set(process_tree.children(os.getpid())) if self._permits is not None else set()
        lines = b""
        try:
            try:
                if self._permits is not None and TEMPORARY_DIRECTORY not in self.launch.env:
                    # It can write only where this holder can.
                    assert self._directory is not None
                    directory = temporary.make_in(self._directory)
                    wish = dataclasses.replace(wish, env={**wish.env, TEMPORARY_DIRECTORY: str(directory)})
                self._ask(wish, telling)
            finally:
                os.close(telling)
            lines = self._await(told)
        except (OSError, ValueError) as error:
            self.why = f"forking a worker: {error}"
        finally:
            os.close(told)
        pid = _pid_in(lines)
        if pid and b"held\n" in lines and _is_new_child(pid, mark):
            self.served += 1
            return Forked(pid, directory)
        self.why = self.why or "it forked no worker"
        if self._permits is not None:
            self._end_with_stranger(before)
        _end_failed(pid, mark, since)
        if directory is not None:
            temporary.remove(directory)
        return None

    def _end_with_stranger(self, before: set[int]) -> None:
        """End a locked-in holder, and a child of this process that its hosted code may have made of the permit.

        Nothing else starts processes with a filter of system calls in this process meanwhile: all are started by this
        thread.
        """
        assert self._process is not None
        self._process.kill(StaleLease("the holder did not fork as it should", entered_worker=False))
        end = time.monotonic() + _END_SECONDS
        while not self._process.has_ended and time.monotonic() < end:
            time.sleep(_PAUSE_SECONDS)
        ours = filters_of("self")
        while time.monotonic() < end:
            new = set(process_tree.children(os.getpid())) - before - {self._process.pid}
            strangers = [pid for pid in new if filters_of(pid) > ours]
            if not strangers:
                return
            for pid in strangers:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                exit_status.collect(pid, None)
            time.sleep(_PAUSE_SECONDS)

    def _ask(self, wish: Wish, telling: int) -> None:
        ring = wish.env.get(RING_VARIABLE, "")
        wishes: dict[str, Any] = {
            "arguments": list(wish.argv[CHILD_WORDS:]),
            "environment": dict(wish.env),
            "cwd": os.getcwd() if wish.cwd is None else wish.cwd,
            "parent": os.getpid(),
            "limits": [(which, soft, hard) for which, (soft, hard) in wish.resources.items()],
            "ring_bytes": int(ring.rpartition(",")[2]) if ring else None,
        }
        text = json.dumps(wishes).encode()
        data = len(text).to_bytes(4, "big") + text
        descriptors = [*wish.descriptors, telling, *wish.inherited_fds]
        assert self._socket is not None
        sent = socket.send_fds(self._socket, [data], descriptors)
        end = time.monotonic() + _FORK_SECONDS
        while sent < len(data):
            self._look(end)
            with contextlib.suppress(BlockingIOError):
                sent += self._socket.send(data[sent:])

    def _await(self, told: int) -> bytes:
        """Read what holder and worker report, to the end of both reports or of the pipe."""
        end = time.monotonic() + _FORK_SECONDS
        poller = select.poll()
        poller.register(told, select.POLLIN)
        if self._permits is not None:
            poller.register(self._permits, select.POLLIN)
        was_permitted = False
        lines = b""
        while not (_pid_in(lines) and b"held\n" in lines):
            ready = [descriptor for descriptor, _ in poller.poll(_LOOK_SECONDS * 1000)]
            if self._permits is not None and self._permits.fileno() in ready:
                if self._permits.answer(self.pid, allow=not was_permitted):
                    was_permitted = True
                self._look(end)
            elif ready:
                chunk = os.read(told, 4096)
                if not chunk or len(lines) > 4096:
                    return lines
                lines += chunk
            else:
                self._look(end)
        return lines

    def _look(self, end: float) -> None:
        """Give up a holder that was stopped or needs too long."""
        if time.monotonic() > end:
            raise ValueError("it does not answer")
        if process_tree.state(self.pid or "gone") in _STOPPED and time.monotonic() > end - _FORK_SECONDS + 1:
            raise ValueError("it was stopped")


def _pid_in(lines: bytes) -> int:
    for line in lines.split(b"\n")[:-1]:
        words = line.split()
        if len(words) == 2 and words[0] == b"pid" and words[1].isdigit() and len(words[1]) < 10:
            return int(words[1])
    return 0


def _is_new_child(pid: int, mark: bytes) -> bool:
    """Whether it is a living child of this process with this mark, which was drawn for it alone.

    The holder has run hosted code: what it says may be the number of another child.
    """
    return process_tree.parent(pid) == str(os.getpid()) and process_tree.is_marked(pid, mark)


def _end_failed(pid: int, mark: bytes, since: float) -> None:
    """End and collect what came of a fork that failed."""
    end = time.monotonic() + _END_SECONDS
    while time.monotonic() < end:
        ours = process_tree.children(os.getpid())
        left = [child for child in ours if process_tree.is_marked(child, mark)]
        # What has ended has no environment any more, but an age.
        dead = (
            pid in ours
            and pid not in left
            and process_tree.state(pid) == "Z"
            and process_tree.started(pid) >= since - 1
        )
        if dead:
            exit_status.collect(pid, None)
        if not left:
            return
        pid = left[0]
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)
