"""Permits for a locked-in process that may fork children for this one, each of which this process allows by itself.

The filter of system calls of such a process lets the kernel ask here before each fork. Without an answer the process
waits; so hosted code in it gets no child of this process that nobody wanted. A permit is worth one fork.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct

_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_QUESTION = struct.Struct("=QII64x")  # number, process, flags, the call
_REPLY = struct.Struct("=QqiI")  # number, result, error, flags
_GO_ON = 1
_NOT_PERMITTED = -1


class ForkPermits:
    """The descriptor of a process's filter of system calls.

    Args:
        descriptor: Owned from now on.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Readable when the process asks."""
        return self._descriptor

    def answer(self, asker: int, *, allow: bool) -> bool:
        """Answer a question that can be read; return whether it was allowed.

        Args:
            asker: The only process and thread whose questions are allowed.
            allow: Whether one fork is allowed now.

        Raises:
            OSError: The descriptor is none of a filter.
        """
        question = bytearray(_QUESTION.size)
        try:
            fcntl.ioctl(self._descriptor, _RECEIVE, question)
        except FileNotFoundError:
            return False  # it was killed meanwhile
        number, pid, _ = _QUESTION.unpack(question)
        allowed = allow and pid == asker
        reply = _REPLY.pack(number, 0, 0 if allowed else _NOT_PERMITTED, _GO_ON if allowed else 0)
        with contextlib.suppress(FileNotFoundError):
            fcntl.ioctl(self._descriptor, _ANSWER, bytearray(reply))
            return allowed
        return False

    def close(self) -> None:
        """Refuse everything from now on."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def filters_of(pid: int | str) -> int:
    """Return how many filters of system calls hold a process, 0 if that is not known."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == "Seccomp_filters" and value.strip().isdecimal():
                return int(value)
    return 0
