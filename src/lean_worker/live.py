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
import os
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

from .errors import UsageError
from .observe import PoolSnapshot

_SECONDS = 2.0
"""How long one side waits for the other."""
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
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    facts = directory.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise UsageError(
            f"showing pools to `lean-worker top`: {directory} is no private directory of this user",
            hint="Remove it, or set XDG_RUNTIME_DIR to a directory of your own.",
            directory=str(directory),
        )
    return directory


class SnapshotServer:
    """Answers whoever connects with the pool's snapshot, on a thread of its own. Made by `serve_snapshot`.

    It ends with `close`, with its `with` block, or with the pool's own end. In a forked child it is gone.
    """

    def __init__(self, pool: _Pool, path: Path, number: int) -> None:
        self._pool = weakref.ref(pool)
        self.path = path
        self._number = number
        self._started = time.monotonic()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(str(path))
            os.chmod(path, 0o600)
            self._listener.listen(64)
        except OSError as error:
            self._listener.close()
            raise UsageError(f"showing a pool to `lean-worker top`: cannot listen at {path}: {error}") from error
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="lean-worker-top", daemon=True)
        self._thread.start()
        _servers.add(self)

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                pool = self._pool()
                if self._is_closed or pool is None:
                    return
                client.settimeout(_SECONDS)
                with contextlib.suppress(OSError):
                    client.sendall(json.dumps(self._facts(pool.snapshot())).encode())
            del pool

    def _facts(self, snapshot: PoolSnapshot) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "number": self._number,
            "program": " ".join(sys.argv)[:200] or "python",
            "age_seconds": time.monotonic() - self._started,
            "snapshot": dataclasses.asdict(snapshot),
        }

    def close(self) -> None:
        """Stop answering and remove the socket; legal twice."""
        if self._is_closed:
            return
        self._is_closed = True
        # The thread waits in `accept`; a connection wakes it everywhere.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.settimeout(_SECONDS)
            _connect(knock, self.path)
        if self._thread is not threading.current_thread():
            self._thread.join(_SECONDS)
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _leave_to_parent(self) -> None:
        self._is_closed = True
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


os.register_at_fork(after_in_child=_leave_all_to_parent)


def serve_snapshot(pool: _Pool, path: str | os.PathLike[str] | None = None) -> SnapshotServer:
    """Let `lean-worker top`, started by the same user, see a pool.

    Args:
        pool: The pool; it is not kept alive by this.
        path: Where the socket is made; by default in a private directory, where `top` finds it by itself.

    Raises:
        UsageError: The socket cannot be made there.
    """
    number = next(_numbers)
    place = Path(path) if path is not None else runtime_directory() / f"{os.getpid()}-{number}.sock"
    server = SnapshotServer(pool, place, number)
    weakref.finalize(pool, server.close)
    return server


def read_snapshot(path: Path) -> LivePool | None:
    """The pool behind a socket; None if nobody answers there."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_SECONDS)
            _connect(client, path)
            text = b"".join(iter(lambda: client.recv(65_536), b""))
        facts = json.loads(text)
        return LivePool(**facts | {"snapshot": PoolSnapshot(**facts["snapshot"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


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
        elif not _is_running(path.name.partition("-")[0]):
            path.unlink(missing_ok=True)
    return sorted(found, key=lambda pool: (-pool.age_seconds, pool.pid, pool.number))


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
