"""System calls and constants of Linux that a Python has only if it was built with a new enough C library.

Builds for many systems, such as those of uv and conda, are made with glibc 2.17: their `os` has no `memfd_create` and
no `pidfd_open`, and their `fcntl` no seals, on whatever system they run. The kernel is asked by number then.
"""

from __future__ import annotations

import errno
import os
import sys

from .bare_signal import signal

F_ADD_SEALS = 1033
F_OFD_SETLK = 37
F_SEAL_GROW = 4
F_SEAL_SEAL = 1
F_SEAL_SHRINK = 2
O_TMPFILE = 0o20000000 | os.O_DIRECTORY
P_PIDFD = 3
_MFD_CLOEXEC, _MFD_ALLOW_SEALING = 1, 2

_MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}
_PIDFD_SEND_SIGNAL = {"x86_64": 424, "aarch64": 424}
_PIDFD_OPEN = {"x86_64": 434, "aarch64": 434}


def memory_file(name: str, *, takes_seals: bool = False) -> int:
    """Return a descriptor of a new file in memory, which programs that are executed do not inherit.

    Raises:
        OSError: The system has none, or refuses it.
    """
    flags = _MFD_CLOEXEC | (_MFD_ALLOW_SEALING if takes_seals else 0)
    create = getattr(os, "memfd_create", None)
    return _ask(_MEMFD_CREATE, name.encode(), flags) if create is None else int(create(name, flags))


def open_pidfd(pid: int) -> int:
    """Return a descriptor of a process.

    Raises:
        OSError: There is no such process, the system has none, or refuses it.
    """
    opened = getattr(os, "pidfd_open", None)
    return _ask(_PIDFD_OPEN, pid, 0) if opened is None else int(opened(pid))


def send_signal(pidfd: int, number: int) -> None:
    """Send a signal to the process of a descriptor.

    Raises:
        OSError: It has ended, the system has no such call, or refuses it.
    """
    send = getattr(signal, "pidfd_send_signal", None)
    if send is None:
        _ask(_PIDFD_SEND_SIGNAL, pidfd, number, None, 0)
    else:
        send(pidfd, number)


def _ask(numbers: dict[str, int], *arguments: int | bytes | None) -> int:
    is_known = sys.platform == "linux" and sys.maxsize > 1 << 32  # of 32 bits it has other numbers
    number = numbers.get(os.uname().machine) if is_known else None
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    try:
        import ctypes  # in no worker of another Python
    except ImportError as error:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
    words = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    result: int = ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
