"""The directory of compiled modules that are kept, each under a name of 64 hexadecimal digits.

An entry is a directory that is never changed: it is built beside the others and renamed. The digest of its module
tells a whole one from a broken one. Who uses an entry opens it first, so that it may be removed at any moment.

An empty file beside it says that somebody has begun to build the entry. It stays if nothing came of that, so that the
others do not try the same in vain; after a day one of them may.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.deferred import Deferred
from ..base.patterns import compiled
from . import olean_cache

try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

if TYPE_CHECKING:
    import resource
    import shutil
    import tempfile
else:
    # Only a worker that compiles needs them.
    resource, shutil, tempfile = Deferred("resource"), Deferred("shutil"), Deferred("tempfile")

MODULE = "LeanWorkerScript"
"""The name under which a kept module is imported."""
COMPILED = f"{MODULE}.olean"
"""The name of a module's file."""

MOST_ENTRIES = 200
MOST_BYTES = 512 << 20
MOST_BYTES_EACH = 64 << 20
MOST_TRIED = 1000
UNUSED_SECONDS = 3600.0
"""The time after which an entry may be removed if there are too many."""
TRIED_SECONDS = 86_400.0
"""The time after which something that could not be built may be tried again."""
DEAD_SECONDS = 300.0
"""The age at which nobody builds an entry any more."""
_USED_SECONDS = UNUSED_SECONDS / 2
_DIGEST = "digest"
_MOST_DIGEST_BYTES = 100
_UNFINISHED = ".new-"
_REMNANTS = (_UNFINISHED, ".broken-")
_TRIED = ".tried"
_NAME = r"[0-9a-f]{64}"
_LEAST_FREE_BYTES = 64 << 20
_LEAST_FREE_FILES = 100
# What stays so. Other errors may be of the moment, and say nothing about what is there.
_BROKEN = (errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def open_whole(entry: Path) -> int | None:
    """Open the module of an entry; None if there is none that is whole, and that only root and ourselves can change.

    Raises:
        OSError: It cannot be read now, or others can write to the directory; it may be whole.
    """
    with contextlib.ExitStack() as opened:
        try:
            directory = _open(entry.parent, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY, None, opened)
            if olean_cache.what_others_may(directory):
                raise PermissionError(errno.EPERM, "others can write to it", str(entry.parent))
            at = _open(entry.name, _READ | os.O_DIRECTORY, directory, opened)
            found, kept = _open(COMPILED, _READ, at, opened), _open(_DIGEST, _READ, at, opened)
        except OSError as error:
            if error.errno in _BROKEN:
                return None
            raise
        if any(olean_cache.what_others_may(each) for each in (at, found, kept)):
            return None
        if not all(stat.S_ISREG(os.stat(each).st_mode) for each in (found, kept)):
            return None
        if _content(kept, _MOST_DIGEST_BYTES) != _digest(_content(found, MOST_BYTES_EACH)):
            return None
        with contextlib.suppress(OSError):  # an entry of root's
            # Not at each use: it is a write to the disk. It is seldom enough to look for what others have left.
            if abs(time.time() - os.stat(at).st_mtime) > _USED_SECONDS:
                os.utime(at)
                sweep(entry.parent)
        return os.dup(found)


def build(entry: Path, compile_into: Callable[[Path], bool]) -> bool:
    """Build an entry, unless others build it or it was tried before; return whether it may be there now.

    Args:
        entry: Its directory.
        compile_into: Leaves the module in a directory; returns whether it did.

    Raises:
        OSError: It cannot be written; it may be tried again.
    """
    directory = entry.parent
    directory.mkdir(mode=0o755, exist_ok=True)
    if olean_cache.what_others_may(directory):
        return False
    entries, room = sweep(directory)
    if entries >= MOST_ENTRIES or room < MOST_BYTES_EACH or not _has_space(directory):
        return False  # for now
    # To write a module takes more than to run it.
    limits = [resource.getrlimit(each)[0] for each in (resource.RLIMIT_FSIZE, resource.RLIMIT_AS)]
    if any(limit != resource.RLIM_INFINITY for limit in limits):
        return False
    tried = directory / f"{entry.name}{_TRIED}"
    try:
        os.close(os.open(tried, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
    except FileExistsError:
        return False
    came_to_nothing = False
    try:
        if os.path.lexists(entry):
            module = open_whole(entry)
            if module is not None:
                os.close(module)
                return True  # another worker has just built it
            olean_cache.discard(entry)
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=directory))
        try:
            if not compile_into(unfinished) or (unfinished / COMPILED).stat().st_size > MOST_BYTES_EACH:
                came_to_nothing = _has_space(directory)
                return False
            data = (unfinished / COMPILED).read_bytes()
            (unfinished / _DIGEST).write_bytes(_digest(data))
            olean_cache.make_readable(unfinished)
            unfinished.rename(entry)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    finally:
        if not came_to_nothing:
            tried.unlink(missing_ok=True)
    return True


def sweep(directory: Path) -> tuple[int, int]:
    """Remove what builds have left, and the oldest entries that nobody uses if there are too many for one more.

    Returns:
        The number of entries that are left, and the bytes that they leave to others.
    """
    entries: list[tuple[float, str, int]] = []
    tried: list[tuple[float, str]] = []
    now = time.time()
    with os.scandir(directory) as found:
        for each in found:
            try:
                changed = each.stat(follow_symlinks=False).st_mtime
            except OSError:
                continue  # another worker has removed it
            if each.name.startswith(_REMNANTS):
                if abs(now - changed) > DEAD_SECONDS:
                    _remove(each.path)
            elif each.name.endswith(_TRIED):
                tried.append((changed, each.path))
            elif compiled(_NAME).fullmatch(each.name):
                size = _size(each.path)
                if size > MOST_BYTES_EACH:
                    _remove(each.path)  # somebody has written to it
                else:
                    entries.append((changed, each.path, size))
    tried.sort()
    for at, (changed, path) in enumerate(tried):
        if abs(now - changed) > TRIED_SECONDS or at < len(tried) - MOST_TRIED:
            _remove(path)
    # A time that is far ahead was that of another clock.
    entries.sort(key=lambda entry: -abs(now - entry[0]))
    left, room = len(entries), MOST_BYTES - sum(size for _, _, size in entries)
    for changed, path, size in entries:
        if (left < MOST_ENTRIES and room >= MOST_BYTES_EACH) or abs(now - changed) < UNUSED_SECONDS:
            break
        _remove(path)
        left, room = left - 1, room + size
    return left, room


def _has_space(directory: Path) -> bool:
    """Whether the disk has room for more than one module."""
    space = os.statvfs(directory)
    has_files = space.f_files == 0 or space.f_favail >= _LEAST_FREE_FILES  # not every file system counts them
    return has_files and space.f_bavail * space.f_frsize >= _LEAST_FREE_BYTES


def _open(name: Path | str, flags: int, directory: int | None, opened: contextlib.ExitStack) -> int:
    descriptor = os.open(name, flags, dir_fd=directory)
    opened.callback(os.close, descriptor)
    return descriptor


def _content(descriptor: int, most: int) -> bytes:
    """The bytes of a file, and of one that is longer than this at least one byte more."""
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(most + 1)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).hexdigest().encode()


def _size(entry: str) -> int:
    with contextlib.suppress(OSError):
        return os.lstat(os.path.join(entry, COMPILED)).st_size
    return 0


def _remove(path: str) -> None:
    """Remove a directory or a file, as far as that is possible."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)
    # What is left may be a directory in hundreds of others, for which there were not enough frames or descriptors.
    with contextlib.suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            _flatten(path)
        else:
            os.unlink(path)  # a file or a link


def _flatten(directory: str) -> None:
    """Remove a directory, however deep it is: what lies in those below comes up before they go."""
    while names := os.listdir(directory):
        for name in names:
            below = os.path.join(directory, name)
            try:
                os.unlink(below)
            except IsADirectoryError:
                for each in os.listdir(below):
                    os.rename(os.path.join(below, each), os.path.join(directory, os.urandom(16).hex()))
                os.rmdir(below)
    os.rmdir(directory)
