"""The parent's side of a holder: a process that has imported what a Lean script imports, and forks workers.

Owns the start of the holder (`child.worker_holder` is its own side), the question whether it is ready, the handing over
of descriptors, and the proof that what it reports is a new child of this process. A worker that it forks is a child
like any other. If anything goes wrong, `fork` returns None and leaves nothing behind; callers then start a
worker plainly.
"""

from __future__ import annotations

import contextlib
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
            self._directory = temporary.make()
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
        if self._is_ready or not self.is_usable:
            return self._is_ready and self.is_usable
        if not self._is_started.is_set:
            return False
        assert self._socket is not None
        try:
            head = self._socket.recv(_MOST_ANSWER, socket.MSG_PEEK)
            size = 4 + int.from_bytes(head[:4], "big")
            if head and len(head) < size <= _MOST_ANSWER:
                return False
            answer = json.loads(self._socket.recv(size)[4:])
            self.why = str(answer.get("refused", ""))[:1000]
            self.imports = tuple(map(str, answer["ready"]["imports"])) if not self.why else ()
        except BlockingIOError:
            return False
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.why = "it ended before it was ready"
        self._is_ready = not self.why
        return self._is_ready

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

    # -- workers --

    def fork(self, wish: Wish) -> Forked | None:
        """See `process.Forker`."""
        if not self.is_ready():
            return None
        assert self._socket is not None
        mark = f"{TREE_VARIABLE}={wish.env[TREE_VARIABLE]}".encode()
        since = time.time()
        try:
            told, telling = high_descriptors.pipe()
        except OSError:
            return None
        lines = b""
        try:
            try:
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
            return Forked(pid)
        self.why = self.why or "it forked no worker"
        _end_failed(pid, mark, since)
        return None

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
        lines = b""
        while not (_pid_in(lines) and b"held\n" in lines):
            if poller.poll(_LOOK_SECONDS * 1000):
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
