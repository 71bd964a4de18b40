# cython: language_level=3, auto_pickle=False
"""Things that an interrupt must not cut in two: an open descriptor, a finalizer, both ends of a `with` block.

Python raises an interrupt (Ctrl-C) between two instructions of a function written in Python. Here there are none.
`lean_worker.base.interrupts` has the pure twin.
"""

from cpython.exc cimport PyErr_SetInterrupt
from libc.errno cimport EINTR, errno
from posix.unistd cimport close as close_descriptor

import os

cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030d0000
    #define lw_is_finalizing() Py_IsFinalizing()
    #else
    #define lw_is_finalizing() _Py_IsFinalizing()
    #endif
    """
    int lw_is_finalizing()


cdef class Holder:
    """A descriptor that is closed at the latest when nobody holds the holder any more.

    Args:
        opener: A function written in C that returns a descriptor, such as `os.open`; called with all other arguments.

    Attributes:
        fd: Its number; -1 once it is closed.
    """

    cdef object __weakref__
    cdef int _fd

    def __cinit__(self):
        self._fd = -1

    @property
    def fd(self):
        return self._fd

    def __init__(self, opener, *arguments, **keywords):
        self._fd = opener(*arguments, **keywords)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def close(self):
        """Close it; legal twice.

        Raises:
            OSError: The system says so; it is closed.
        """
        cdef int fd = self._fd
        self._fd = -1
        if fd >= 0 and close_descriptor(fd) != 0 and errno != EINTR:
            raise OSError(errno, os.strerror(errno))

    def __dealloc__(self):
        if self._fd >= 0:
            close_descriptor(self._fd)


cdef class Droppable:
    """Base of what has to be cleaned up when nobody holds it any more."""

    def __del__(self):
        if lw_is_finalizing():
            return  # modules are being taken apart, and the process's end ends everything that it holds
        # Here an interrupt would be swallowed, and what it interrupted with it: it comes again afterwards.
        if _surely(self._dropped):
            PyErr_SetInterrupt()

    def _dropped(self):
        """Nobody holds it any more; never waits, and may be called again."""


cdef class Leaving(Droppable):
    """Base of what is used in a `with` block and must not be left open by an interrupt."""

    def __exit__(self, kind, error, trace):
        try:
            self._leave(kind, error, trace)
        except BaseException:
            _surely(self._left)
            raise

    def _leave(self, kind, error, trace):
        """Do what leaving the block means; may wait and may be interrupted."""
        raise NotImplementedError

    def _left(self):
        """See that it is done on another thread; never waits, and may be called again."""
        raise NotImplementedError


cdef bint _surely(step) except -1:
    # An interrupt can come in here too; a hundred of them at once do not. Says whether one came.
    cdef bint was_interrupted = False
    for _ in range(100):
        try:
            step()
            break
        except KeyboardInterrupt:
            was_interrupted = True
    return was_interrupted
