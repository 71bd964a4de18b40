"""Reading of files that a user's directory has, without a wait: a fifo or a device in their place is refused.

Also the check of paths that stand in such files.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from .forks import Descriptor

_MOST_BYTES = 1 << 28


_LONGEST_PATH = 4096
_LONGEST_NAME = 255


def why_no_path(text: str) -> str | None:
    """Return why no file can have this path, which stands in a file; None if one can."""
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        return "it has a character that file names cannot have"
    if b"\0" in encoded:
        return "it has a NUL character"
    if len(encoded) >= _LONGEST_PATH or any(len(part) > _LONGEST_NAME for part in encoded.split(b"/")):
        return "it is longer than a path can be"
    return None


def read_regular(path: Path) -> bytes:
    """Return the bytes of a regular file; a symbolic link is followed.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger than any file of its kind (256 MiB).
    """
    with Descriptor(os.open, path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY) as file:
        found = os.fstat(file.fd)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        blocks, size_bytes = [], 0
        while block := os.read(file.fd, 1 << 20 if found.st_size >= 1 << 16 else 1 << 16):
            size_bytes += len(block)
            if max(size_bytes, found.st_size) > _MOST_BYTES:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
            blocks.append(block)
        return b"".join(blocks)
