"""A pool's snapshot for other processes of the same user: what `lean-worker top` looks at.

Owns a socket for each pool that wants to be seen, in a private directory, and the reading of all of them. Off unless
asked for: by `serve_snapshot`, or for every pool of a process by the environment variable LEAN_WORKER_TOP=1. A reader
gets figures and the program's name, nothing else, and can change nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import operator
import os
import select
import socket
import stat
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import msgspec

from ..base import threads
from ..base.arguments import check_method
from ..base.forks import Descriptor, Owner, after_fork_in_child
from ..base.trusted_files import path_of
from ..errors import UsageError
from .observer import PoolSnapshot

_SECONDS = 2.0
"""The seconds that one side waits for the other."""
_PAUSE_SECONDS = 0.05
_LARGEST_BYTES = 1 << 24
_numbers = itertools.count()


class _Pool(Protocol):
    def snapshot(self) -> PoolSnapshot: ...


@dataclasses.dataclass(frozen=True)
class LivePool:
    """A pool of some process, at one moment.

    Attributes:
        pid: The process that has the pool.
        number: Which of its pools, from 0.
        program: Its command line, shortened.
        age_seconds: How long the pool has been served.
        snapshot: Its figures.
    """

    pid: int
    number: int
    program: str
    age_seconds: float
    snapshot: PoolSnapshot


def runtime_directory() -> Path:
    """The directory of the sockets: below XDG_RUNTIME_DIR or else the temporary directory, for this user alone.

    Raises:
        UsageError: Something of that name is there that others can write to, or that is another user's.
    """
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if base and os.path.isdir(base):
        directory = Path(base, "lean-worker")
    else:
        directory = Path(tempfile.gettempdir(), f"lean-worker-{os.getuid()}")
    try:
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        facts = directory.lstat()
    except OSError as error:
        raise UsageError(
            f"showing pools to `lean-worker top`: {directory} cannot be made: {error}",
            hint="Set XDG_RUNTIME_DIR to a directory of your own.",
            directory=str(directory),
        ) from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise UsageError(
            f"showing pools to `lean-worker top`: {directory} is no private directory of this user",
            hint="Remove it, or set XDG_RUNTIME_DIR to a directory of your own.",
            directory=str(directory),
        )
    return directory


class SnapshotServer:
    """Answers whoever connects with the pool's snapshot, on a thread of its own. Made by `serve_snapshot`.

    It ends with `close`, with its `with` block, or with the pool's own end. In a forked child it is gone, and nothing
    that is called there touches the parent's socket. The pool's finalizer posts the end to the thread and returns.
    """

    def __init__(self, pool: _Pool, path: Path, number: int) -> None:
        self._pool = weakref.ref(pool)
        self.path = path
        self._number = number
        self._started = time.monotonic()
        self._owner = Owner()
        self._is_closed = False
        self._made: os.stat_result | None = None
        doing = f"showing a pool to `lean-worker top`: cannot listen at {path}"
        hint = "Give the path of a new file of less than 100 bytes in an existing directory, or leave path out."
        try:
            # Whoever takes the one token writes; nobody else uses the end to write to, so that he may close it.
            self._end_tokens = [True]
            self._wake_read, self._wake_write = (Descriptor(operator.index, end) for end in os.pipe())
            os.set_blocking(self._wake_write.fd, False)
        except OSError as error:
            raise UsageError(
                f"{doing}: {error}", hint="Look at the directory that XDG_RUNTIME_DIR or TMPDIR names."
            ) from error
        try:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self._listener.bind(str(path))
                self._made = os.lstat(path)
                os.chmod(path, 0o600)
                self._listener.listen(64)
                self._listener.setblocking(False)
                self._thread = threads.start(self._run, "lean-worker-top")
            except BaseException:
                self._remove_socket()
                self._listener.close()
                raise
        except BaseException as error:
            if isinstance(error, (OSError, ValueError, RuntimeError)):
                raise UsageError(f"{doing}: {error}", hint=hint) from error
            raise
        _servers.add(self)

    def _run(self) -> None:
        try:
            poll = select.poll()
            poll.register(self._listener, select.POLLIN)
            poll.register(self._wake_read.fd, select.POLLIN)
            while True:
                poll.poll()
                pool = self._pool()
                if self._is_closed or pool is None:
                    return
                self._answer(pool)
                del pool
        except (OSError, ValueError):
            return  # it was closed
        finally:
            if self._owner.is_here:
                self._remove_socket()
                self._listener.close()

    def _answer(self, pool: _Pool) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            time.sleep(_PAUSE_SECONDS)  # no descriptor is free, or the client is gone
            return
        with client:
            client.settimeout(_SECONDS)
            with contextlib.suppress(OSError):
                client.sendall(json.dumps(self._facts(pool.snapshot())).encode())

    def _facts(self, snapshot: PoolSnapshot) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "number": self._number,
            "program": " ".join(sys.argv)[:200] or "python",
            "age_seconds": time.monotonic() - self._started,
            "snapshot": dataclasses.asdict(snapshot),
        }

    def close(self) -> None:
        """Stop answering and remove the socket; legal twice, and without effect in a forked child."""
        is_ours = self._post_end()
        if not self._owner.is_here or self._thread is threading.current_thread():
            return
        self._thread.join(_SECONDS)
        if is_ours and not self._thread.is_alive():
            self._wake_read.close()
            self._wake_write.close()

    def _post_end(self) -> bool:
        """Post the end, and return True if nobody did before.

        For finalizers too, which run on any thread at any moment: neither waits nor takes a lock.
        """
        if not self._owner.is_here:
            return False
        try:
            self._end_tokens.pop()
        except IndexError:
            return False
        self._is_closed = True
        self._remove_socket()
        with contextlib.suppress(OSError):
            os.write(self._wake_write.fd, b"x")
        return True

    def _remove_socket(self) -> None:
        """Remove the socket if it is still the one that was made here."""
        made, self._made = self._made, None
        with contextlib.suppress(OSError):
            if made is not None and os.path.samestat(made, os.lstat(self.path)):
                os.unlink(self.path)

    def _leave_to_parent(self) -> None:
        self._is_closed = True
        self._made = None
        self._listener.close()

    def __enter__(self) -> SnapshotServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_servers: weakref.WeakSet[SnapshotServer] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for server in list(_servers):
        server._leave_to_parent()


after_fork_in_child(_leave_all_to_parent)


def serve_snapshot(pool: _Pool, path: str | os.PathLike[str] | None = None) -> SnapshotServer:
    """Let `lean-worker top`, started by the same user, see a pool.

    Args:
        pool: The pool; it is not kept alive by this.
        path: Where the socket is made; by default in a private directory, where `top` finds it by itself.

    Raises:
        UsageError: The socket cannot be made there, or `pool` is no pool.
    """
    check_method("showing a pool to `lean-worker top`", "pool", pool, "snapshot")
    number = next(_numbers)
    if path is not None:
        place = path_of("showing a pool to `lean-worker top`", path)
    else:
        place = runtime_directory() / f"{os.getpid()}-{number}.sock"
    server = SnapshotServer(pool, place, number)
    weakref.finalize(pool, server._post_end)
    return server


def read_snapshot(path: Path) -> LivePool | None:
    """The pool behind a socket of this user; None if nobody answers there, or not as a pool does."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_SECONDS)
            _connect(client, path)
            return msgspec.json.decode(_received(client), type=LivePool)
    except (OSError, ValueError, RecursionError):
        return None


def _received(client: socket.socket) -> bytes:
    """All that is sent, within a time and a size: any process of this user can have made the socket."""
    end = time.monotonic() + _SECONDS
    text = bytearray()
    while block := client.recv(65_536):
        text += block
        if len(text) > _LARGEST_BYTES or time.monotonic() > end:
            raise ValueError("it sends more than a snapshot")
    return bytes(text)


def _connect(client: socket.socket, path: Path) -> None:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            client.connect(str(path))
            return
        except BlockingIOError:  # too many wait there already
            if time.monotonic() >= end:
                raise
            time.sleep(0.01)


def read_snapshots() -> list[LivePool]:
    """All pools of this user that are served, oldest process first; sockets of dead processes are removed."""
    found = []
    for path in sorted(runtime_directory().glob("*.sock")):
        pool = read_snapshot(path)
        if pool is not None:
            found.append(pool)
        elif _is_dead(path):
            with contextlib.suppress(OSError):
                path.unlink()
    return sorted(found, key=lambda pool: (-pool.age_seconds, pool.pid, pool.number))


def _is_dead(path: Path) -> bool:
    """Whether a socket has no listener any more: the kernel says so, also of a process in another container."""
    try:
        found = os.lstat(path)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.setblocking(False)
            client.connect(str(path))
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
