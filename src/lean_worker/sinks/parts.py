"""Files that lie beside their target until they get its name.

Owns how a part is named, that it is locked as long as its process lives (`lifelock`), and what durable means: file and
directory are synced. Hides descriptors. Callers decide when a part gets its target's name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import SinkError
from ..lifelock import open_locked

PART_NAME = re.compile(r"\.lw(?P<group>[0-9a-f]{16})-[0-9]+\.part$")
_SHOWN_NAME_CHARACTERS = 50


def new_group() -> str:
    """A name for parts that are committed together."""
    return secrets.token_hex(8)


@contextlib.contextmanager
def storing(doing: str, path: Path) -> Iterator[None]:
    """The system's refusals within become `SinkError`."""
    try:
        yield
    except OSError as error:
        raise sink_error(doing, path, error) from error


def sink_error(doing: str, path: Path, error: Exception) -> SinkError:
    """The error for what `error` says of `path`."""
    number = getattr(error, "errno", None)
    said = getattr(error, "strerror", None) or str(error)
    hints = {
        errno.ENOSPC: "Make room on that file system; nothing was left behind.",
        errno.ENOENT: "Make the directory first.",
        errno.EACCES: "The directory has to be writable: rows are collected in a file beside the final one.",
    }
    return SinkError(
        f"{doing} {path}: {said}",
        hint=hints.get(number or 0),
        path=str(path),
        doing=doing,
        errno=number,
        is_decided=False,
    )


class PartFile:
    """A new file beside `target`, locked as long as this process has it open. Mode and owner's umask as of `open`.

    Args:
        target: The name that it may get; a symbolic link is followed.
        group: The parts with which it is committed.
        number: Which of them it is.

    Attributes:
        target: The final name, without links.
        path: The present name.
        fd: Its descriptor.

    Raises:
        SinkError: The directory does not exist or is not writable, or the target is no regular file.
    """

    def __init__(self, target: Path, group: str, number: int) -> None:
        with storing("opening", target):
            self.target = Path(os.path.realpath(target))
            shown = self.target.name[:_SHOWN_NAME_CHARACTERS]
            self.path = self.target.with_name(f".{shown}.lw{group}-{number}.part")
            mode = _mode_of(self.target)
            self.fd = open_locked(self.path)
            try:
                if mode is not None:
                    os.fchmod(self.fd, mode)
            except BaseException:
                self.discard()
                raise

    def sync(self) -> None:
        """Have its bytes on the disk."""
        with storing("writing", self.target):
            os.fsync(self.fd)

    def close(self) -> None:
        """Give the lock back; legal twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def discard(self) -> None:
        """Close it, and remove it if it still has its own name."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.close()


def _mode_of(target: Path) -> int | None:
    """The permissions of the file that is there; None if there is none."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is there and is no regular file")
    return stat.S_IMODE(found.st_mode)


def sync_directory(directory: Path) -> None:
    """Have the names in `directory` on the disk."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has no such thing
            raise
    finally:
        os.close(fd)


@contextlib.contextmanager
def locked_directories(directories: list[Path]) -> Iterator[None]:
    """Nobody else commits into these directories meanwhile; waits for whoever does."""
    with contextlib.ExitStack() as stack:
        for directory in sorted(set(directories)):
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
