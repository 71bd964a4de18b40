# cython: language_level=3
"""Keeps what Lean imported for a header, for forks of this process (`import_once.h`).

Owns the step between Lean's import and the Python function that forks. Callers run Lean's driver, and decide what a fork
does. One header per process; everything happens on the thread that runs the driver.
"""

import os
import traceback

from libc.errno cimport errno
from libc.stdint cimport uintptr_t

cdef extern from "import_once.h":
    int LIO_OTHER_HEADER
    int LIO_NOT_SERVED
    int lio_prepare(void *function, int compared, void (*serve)() noexcept)
    int lio_arm()
    void lio_print(const char *text, size_t bytes)
    int lio_has_worked()

OTHER_HEADER = LIO_OTHER_HEADER
NOT_SERVED = LIO_NOT_SERVED

cdef object _serve = None
cdef bytes _printed = b""


cdef void _call_serve() noexcept with gil:
    try:
        _serve()
    except BaseException:
        traceback.print_exc()
    os._exit(NOT_SERVED)


def prepare(function_address, compared, serve):
    """Let the next import of this process be kept.

    Args:
        function_address: Address of Lean's `importModules`.
        compared: The number of its arguments; a fork has to ask with equal ones, at most 8 are compared.
        serve: Called once the import is done, in the middle of Lean's driver. It forks, and never returns.

    Raises:
        OSError: The code of the library cannot be changed here.
    """
    global _serve
    _serve = serve
    if lio_prepare(<void *><uintptr_t>function_address, compared, _call_serve) != 0:
        raise OSError(errno, os.strerror(errno), "changing Lean's code in memory")


def arm(printed):
    """In a fork: let the next import be answered by what is kept; `printed` is written to stdout then.

    Raises:
        OSError: As of `prepare`.
    """
    global _printed
    _printed = printed
    lio_print(_printed, len(_printed))
    if lio_arm() != 0:
        raise OSError(errno, os.strerror(errno), "changing Lean's code in memory")


def has_worked():
    """Whether Lean could import the header's modules."""
    return bool(lio_has_worked())
