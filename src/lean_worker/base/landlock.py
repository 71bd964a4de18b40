"""Landlock: limits on the files that this process, and every process that it starts from now on, can read and write.

Also separates the process from processes outside: it cannot trace them or read their memory and environment. From Linux
6.12 on it cannot signal them or reach their abstract sockets.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
from collections.abc import Iterable

LEAST_VERSION = 3
"""Kernels with an older Landlock let a process truncate every file that it can read."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on all processors
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
READ = _EXECUTE | _READ_FILE | _READ_DIR
"""The rights to read a file or directory, and to run programs there."""
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_OF_LEAST_VERSION = (1 << 15) - 1
_NETWORK_FROM, _IOCTL_DEV_FROM, _SCOPED_FROM = 4, 5, 6
_SCOPED = 3  # abstract sockets and signals


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the version of Landlock that this kernel has, 0 if it has none."""
    found: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    return max(found, 0)


@dataclasses.dataclass(frozen=True)
class Plan:
    """A ruleset as the kernel is told of it, worked out before it is made.

    Attributes:
        attributes: Of the ruleset, as `landlock_create_ruleset` takes them.
        paths: Each path, and the rights below it; those that do not exist need no rule.
    """

    attributes: bytes
    paths: tuple[tuple[bytes, int], ...]


def plan(readable: Iterable[str | os.PathLike[str]], writable: Iterable[str | os.PathLike[str]]) -> Plan:
    """Return the plan for a ruleset; arguments as of `restrict`.

    Raises:
        OSError: This kernel's Landlock is too old, or there is none.
    """
    found = version()
    if found < LEAST_VERSION:
        _raise("Landlock")
    handled = _OF_LEAST_VERSION | (_IOCTL_DEV if found >= _IOCTL_DEV_FROM else 0)
    attributes = bytes(_Ruleset(handled, 0, _SCOPED if found >= _SCOPED_FROM else 0))
    # Older kernels know a shorter structure.
    size = 24 if found >= _SCOPED_FROM else 16 if found >= _NETWORK_FROM else 8
    granted = [(path, READ) for path in readable] + [(path, handled) for path in writable]
    paths = ((os.fsencode(path), rights if os.path.isdir(path) else rights & _OF_FILES) for path, rights in granted)
    return Plan(attributes[:size], tuple(paths))


def restrict(readable: Iterable[str | os.PathLike[str]], writable: Iterable[str | os.PathLike[str]]) -> None:
    """Restrict this thread, and all that it starts, to these files and directories; there is no way back.

    It needs `no_new_privs`. Paths that do not exist are left out.

    Args:
        readable: What may be read, and programs there run.
        writable: What may be read and written.

    Raises:
        OSError: The kernel refuses; the error names the path if it is one path's.
    """
    chosen = plan(readable, writable)
    size = ctypes.c_size_t(len(chosen.attributes))
    made: int = _libc.syscall(_CREATE_RULESET, chosen.attributes, size, ctypes.c_uint32(0))
    if made < 0:
        _raise("Landlock")
    try:
        for path, rights in chosen.paths:
            _allow(made, path, rights)
        if _libc.syscall(_RESTRICT_SELF, made, 0) != 0:
            _raise("Landlock")
    finally:
        os.close(made)


def _allow(ruleset: int, path: bytes, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = _PathBeneath(rights, descriptor)
        if _libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0)) != 0:
            _raise(f"Landlock, of {os.fsdecode(path)}")
    finally:
        os.close(descriptor)


def _raise(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")
