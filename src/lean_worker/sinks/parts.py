"""Parts: files beside their target that later get the target's name.

A part is locked while its process lives. A finished part and its directory are synced. Removal, replacement or change
of a part by somebody else is detected.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..base import linux_calls
from ..base.arguments import shown
from ..base.forks import Descriptor, Owner
from ..base.interrupts import Droppable
from ..base.process_lock import is_named, open_locked, remove_if_dead
from ..base.system_errors import no_memory
from ..errors import LeanWorkerError, SinkError
from ..hosting.sandbox import is_granted

PART_NAME = re.compile(r"\.(?P<shown>[^/]*)\.lw(?P<group>[0-9a-f]{16})-[0-9]+\.part", re.DOTALL)
_SHOWN_NAME_CHARACTERS = 50
_LOCK_SECONDS = 60.0
_HINTS = {
    errno.ENOSPC: "Make room on that file system; nothing was left behind.",
    errno.EDQUOT: "Make room within the quota; nothing was left behind.",
    errno.ENOENT: "Make the directory first.",
    errno.EACCES: "The directory has to be writable: rows are collected in a file beside the final one.",
    errno.EROFS: "The file system is mounted read-only; choose another directory.",
    errno.EMFILE: "This process has too many files open; raise the limit (ulimit -n), or use fewer sinks at once.",
    errno.ENFILE: "The system has too many files open.",
}


def is_no_database(error: Exception) -> bool:
    """Whether SQLite says of a file that it is something else; by its words, as Python 3.10 has no numbers for them."""
    return isinstance(error, sqlite3.DatabaseError) and str(error) == "file is not a database"


def new_group() -> str:
    """A name for parts that are committed together."""
    return secrets.token_hex(8)


def journal_name(group: str) -> str:
    """The name of a commit's journal in each of its directories."""
    return f".lw{group}.commit"


def shown_name(target: str) -> str:
    """Return the piece of a target's name that the names of its parts contain."""
    return target[:_SHOWN_NAME_CHARACTERS]


@contextlib.contextmanager
def storing(doing: str, path: Path) -> Iterator[None]:
    """The refusals of the system and of SQLite within become `SinkError`, and a MemoryError `ResourceExhausted`."""
    try:
        yield
    except MemoryError as error:
        raise no_memory(f"{doing} {path}") from error
    except LeanWorkerError:
        raise
    except (OSError, sqlite3.Error, ValueError) as error:  # ValueError: a NUL character, or one that no name can have
        raise sink_error(doing, path, error) from error


def sink_error(doing: str, path: Path, error: Exception) -> SinkError:
    """The error for what `error` says of `path`."""
    number = getattr(error, "errno", None)
    hint = _HINTS.get(number or 0)
    if is_no_database(error):
        hint = "Give another path: this file is something else, or was damaged."
    elif isinstance(error, sqlite3.OperationalError) and str(error) == "database is locked":
        hint = "Another program writes to the database; run the request again when it is done."
    said = getattr(error, "strerror", None) or str(error)
    return SinkError(
        f"{doing} {path}: {said}",
        hint=hint,
        path=str(path),
        doing=doing,
        errno=number,
        is_decided=False,
    )


def refusal(doing: str, path: Path, why: str, hint: str) -> SinkError:
    """The error for what we refuse ourselves."""
    return SinkError(f"{doing} {path}: {why}", hint=hint, path=str(path), doing=doing, errno=None, is_decided=False)


def cell_error(path: Path, refused: tuple[str, int, Any, Exception], rows_before: int) -> SinkError:
    """The error for a value that the store at `path` cannot hold as it is.

    Args:
        path: The target.
        refused: The column, the row's index among the last rows, the value, and why it cannot be stored.
        rows_before: Number of rows stored before the last ones.
    """
    column, index, value, error = refused
    row = rows_before + index
    failure = sink_error("writing", path, error)
    return SinkError(
        f"writing {path}: column {column!r}, row {row}: {shown(value)} cannot be stored as it is: {error}",
        hint=f"Declare the field {column!r} as a type that holds it there: str, or Any for its JSON text.",
        path=str(path),
        doing="writing",
        errno=failure.errno,
        column=column,
        row=row,
        is_decided=False,
    )


class Directory:
    """An open directory; it stays the same directory even if its path changes.

    Raises:
        OSError: It cannot be opened, or `path` is a link.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = Descriptor(os.open, path, flags)

    @property
    def fd(self) -> int:
        """Its descriptor; -1 once it is closed."""
        return self._descriptor.fd

    def is_in_place(self) -> bool:
        """Whether its path still leads to it."""
        return is_named(self.fd, self.path)

    def look(self, name: str) -> os.stat_result | None:
        """Facts of the file of that name, and not of what a link leads to; None if there is none."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def unlink(self, name: str) -> None:
        """Remove a file if it exists."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def sync(self) -> None:
        """Have its names on the disk."""
        try:
            os.fsync(self.fd)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that has no such thing
                raise

    def close(self) -> None:
        """Give the descriptor back; legal twice."""
        self._descriptor.close()

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class PartFile(Droppable):
    """A new file beside `target`, locked as long as this process has it open.

    Only this user can read it until `finish`. In a forked child it is closed, and no call there changes it. In a
    directory that sandboxed code may write to, it has no name before `finish`: that code cannot open it.

    Args:
        target: The name that it gets at the commit; a symbolic link is followed.
        group: Name of its commit.
        number: Number of this part in the commit.
        mode: Its final permissions; None for those of the target, or else those of a new file.
        needs_name: Whether it has to have a name at once, for a library that opens it by that.

    Attributes:
        target: The final name, without links.
        directory: Its directory.
        name: Its present name there.
        size_bytes: Number of bytes that `write` wrote.

    Raises:
        SinkError: The directory does not exist or is not writable, or the target is not a regular file.
    """

    def __init__(
        self, target: Path, group: str, number: int, mode: int | None = None, *, needs_name: bool = False
    ) -> None:
        self.size_bytes = 0
        self._has_name = True
        self._owner = Owner()
        self._group = group
        self._descriptor: Descriptor | None = None
        self._finished: os.stat_result | None = None
        with storing("opening", target):
            self.target = Path(os.path.realpath(target))
            self.name = f".{shown_name(self.target.name)}.lw{group}-{number}.part"
            old_mode = _mode_of(self.target) if mode is None else mode
            self.directory = Directory(self.target.parent)
            try:
                if not needs_name and is_granted(str(self.directory.path)):
                    self._descriptor = _open_unnamed(self.directory.fd)
                    self._has_name = self._descriptor is None
                if self._descriptor is None:
                    self._descriptor = open_locked(self.name, 0o666, self.directory.fd)
                # Made with the umask's permissions, to learn them; nobody else writes to it before it is finished.
                self._mode = stat.S_IMODE(os.fstat(self.fd).st_mode) if old_mode is None else old_mode
                os.fchmod(self.fd, 0o600)
            except BaseException:
                self.discard()
                raise

    @property
    def path(self) -> Path:
        """Its present path."""
        return self.target.with_name(self.name)

    @property
    def fd(self) -> int:
        """Its descriptor; -1 once it is closed."""
        return -1 if self._descriptor is None else self._descriptor.fd

    @property
    def is_ours(self) -> bool:
        """Whether this process made it, and is not a forked child."""
        return self._owner.is_here

    def write(self, block: bytes | bytearray | memoryview) -> None:
        """Add all bytes of `block`.

        Raises:
            SinkError: Somebody else made it shorter or longer meanwhile.
            OSError: They cannot be written; how many were is not known.
        """
        self._check_size(self.size_bytes)
        rest = memoryview(block).cast("B")
        while rest:
            written = os.write(self.fd, rest)
            if written <= 0:
                raise OSError(errno.EIO, "the system wrote nothing and gave no reason")
            self.size_bytes += written
            rest = rest[written:]

    def check_named(self) -> None:
        """Notice that somebody removed or replaced it.

        Raises:
            SinkError: Somebody did.
        """
        if not self.directory.is_in_place():
            raise self._changed(f"its directory {self.directory.path} was moved, removed or replaced meanwhile")
        if self._has_name and not is_named(self.fd, self.name, self.directory.fd):
            raise self._changed(f"the file {self.name} with its rows was removed or replaced meanwhile")

    def finish(self, expected_bytes: int | None = None) -> None:
        """Have its bytes on the disk under the final permissions; nothing is written after this.

        Args:
            expected_bytes: How large it has to be; None if that is not known.

        Raises:
            SinkError: It cannot be, or somebody else changed it.
        """
        with storing("writing", self.target):
            os.fchmod(self.fd, self._mode)
            os.fsync(self.fd)
            if not self._has_name:
                self._has_name = True  # and `discard` removes it
                os.link(f"/proc/self/fd/{self.fd}", self.name, dst_dir_fd=self.directory.fd, follow_symlinks=True)
            self.check_named()
            if expected_bytes is not None:
                self._check_size(expected_bytes)
            found = os.fstat(self.fd)
            if found.st_nlink != 1:
                raise self._changed(f"the file {self.name} with its rows got a second name (a hard link) meanwhile")
            self._finished = found

    def _check_size(self, expected_bytes: int) -> None:
        found = os.fstat(self.fd).st_size
        if found != expected_bytes:
            raise self._changed(
                f"the file {self.name} with its rows has {found} bytes and not the {expected_bytes} that were written:"
                " somebody else changed it meanwhile"
            )

    @property
    def finished(self) -> os.stat_result:
        """Its facts as of `finish`."""
        assert self._finished is not None
        return self._finished

    def check(self) -> None:
        """Notice that somebody removed, replaced or changed it since `finish`.

        Raises:
            SinkError: Somebody did.
        """
        with storing("committing", self.target):
            self.check_named()
            if _content(os.fstat(self.fd)) != _content(self.finished):
                raise self._changed(f"the file {self.name} with its rows was changed by somebody else meanwhile")

    def check_arrived(self) -> None:
        """Notice that its target's name leads to another file, after it was given that name.

        Raises:
            SinkError: It does.
        """
        with storing("committing", self.target):
            if not is_named(self.fd, self.target.name, self.directory.fd):
                raise self._changed("it was replaced by somebody else in the moment in which its rows got their name")

    def _changed(self, why: str) -> SinkError:
        hint = "Find out which program removes or changes files there (a cleaner?), and run the request again."
        return refusal("committing", self.target, why, hint)

    def close(self) -> None:
        """Give the lock back; legal twice."""
        if self._descriptor is not None:
            if self.is_ours:
                self._descriptor.unlock()
            self._descriptor.close()
        self.directory.close()

    def _dropped(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # it may not have come into being
            if self._finished is not None and self.directory.look(journal_name(self._group)) is not None:
                self.close()  # it is whole, and belongs to a commit that may have been decided
            else:
                self.discard()

    def discard(self) -> None:
        """Close it, and remove it if it still has its own name; nothing in a forked child."""
        try:
            if self.is_ours and self.directory.fd >= 0:
                if self._descriptor is None:
                    remove_if_dead(self.name, self.directory.fd)  # it may have been made, and is locked by nobody then
                elif self.fd >= 0 and self._has_name and is_named(self.fd, self.name, self.directory.fd):
                    self.directory.unlink(self.name)
        finally:
            self.close()


def _open_unnamed(directory_fd: int) -> Descriptor | None:
    """A locked file without a name; None where the file system has no such thing."""
    if sys.platform != "linux":
        return None
    try:
        file = Descriptor(os.open, ".", linux_calls.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666, dir_fd=directory_fd)
    except OSError:  # also where it can make no file at all, which the other way says better
        return None
    fcntl.flock(file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _content(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_nlink, found.st_size, found.st_mtime_ns


def _mode_of(target: Path) -> int | None:
    """The permissions of the file that is there; None if there is none."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is there and is no regular file")
    return stat.S_IMODE(found.st_mode)


@contextlib.contextmanager
def locked_directories(directories: Sequence[Path]) -> Iterator[dict[Path, Directory]]:
    """Lock these directories against other commits; wait at most a minute for another commit.

    Raises:
        OSError: One cannot be opened, or another process keeps it locked.
    """
    with contextlib.ExitStack() as stack:
        opened = {}
        for path in sorted(set(directories)):
            opened[path] = directory = stack.enter_context(Directory(path))
            _lock(directory)
            stack.callback(_unlock, directory)
        yield opened


def _lock(directory: Directory) -> None:
    # With an end: any process that can read the directory can keep it locked for ever.
    end = time.monotonic() + _LOCK_SECONDS
    pause = 0.001
    while True:
        try:
            fcntl.flock(directory.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= end:
                raise OSError(errno.EAGAIN, f"another process keeps {directory.path} locked") from error
        time.sleep(pause)
        pause = min(2 * pause, 0.005)


def _unlock(directory: Directory) -> None:
    # By name, and not by closing: a child that was forked at this moment may have the descriptor too.
    if directory.fd >= 0:
        fcntl.flock(directory.fd, fcntl.LOCK_UN)
