# cython: language_level=3
"""Keeps what Lean imported for a header, for forks of this process (`import_once.h`).

Owns the step between Lean's import and the Python function that forks. Callers run Lean's driver, and decide what a fork
does. One header per process; everything happens on the thread that runs the driver.
"""

import os
import traceback

cimport cython
from cpython cimport array
from libc.errno cimport errno
from libc.stdint cimport uint64_t, uintptr_t
from libc.stdlib cimport free, malloc

cdef extern from "import_once.h":
    int LIO_OTHER_HEADER
    int LIO_NOT_SERVED
    int lio_prepare(void *function, void *empty, const char *kinds, void (*serve)() noexcept, void *microseconds)
    int lio_arm()
    void lio_print(int descriptor, const char *text, size_t bytes)
    void lio_tell_to(int descriptor)
    int lio_has_worked()

cdef extern from "file_stamps.h" nogil:
    ctypedef struct lfs_stamp:
        uint64_t device, inode, size, changed, entry_changed
    int lfs_still_hold(const char *const *paths, const lfs_stamp *stamps, size_t count)

cdef extern from "held_file.h":
    ctypedef struct lhf_file:
        int standard[3]
        const int *closed
        size_t closed_count
        const int *replaced
        size_t replaced_count
        const char *directory
        int ruleset
        int failure
        int argument_count
        char **arguments
        void *lean_main
        const char *output
        const char *errors
        size_t output_bytes
        size_t errors_bytes
    long lhf_fork(const lhf_file *file)

cdef extern from "sibling.h":
    long lws_fork()

cdef extern from "Python.h":
    void PyOS_BeforeFork()
    void PyOS_AfterFork_Parent()
    void PyOS_AfterFork_Child()

OTHER_HEADER = LIO_OTHER_HEADER
NOT_SERVED = LIO_NOT_SERVED

cdef object _serve = None
cdef tuple _printed = ()


cdef void _call_serve() noexcept with gil:
    try:
        _serve()
    except BaseException:
        traceback.print_exc()
    os._exit(NOT_SERVED)


def measure(function_address, microseconds_address):
    """Let the time of this process's next import be measured.

    Args:
        function_address: Address of Lean's `importModules`.
        microseconds_address: Address of 8 bytes that get the time when the import is done.

    Raises:
        OSError: The code of the library cannot be changed here.
    """
    if lio_prepare(<void *><uintptr_t>function_address, NULL, b"", NULL, <void *><uintptr_t>microseconds_address) != 0:
        raise OSError(errno, os.strerror(errno), "changing Lean's code in memory")


def prepare(function_address, empty_address, kinds, microseconds_address, serve):
    """Let the next import of this process be kept.

    Args:
        function_address: Address of Lean's `importModules`.
        empty_address: Address of Lean's `mkEmptyEnvironment`, whose next result is kept too; 0 for none.
        kinds: A letter for each argument that has to be the same in a fork, at most 8: "o" for an object, "1" and "4"
            for a number of so many bytes.
        microseconds_address: Address of 8 bytes that get the time of an import; all forks share them.
        serve: Called once the import is done, in the middle of Lean's driver. It forks, and never returns.

    Raises:
        OSError: The code of the library cannot be changed here.
    """
    global _serve
    _serve = serve
    place = <void *><uintptr_t>microseconds_address
    empty = <void *><uintptr_t>empty_address
    if lio_prepare(<void *><uintptr_t>function_address, empty, kinds.encode(), _call_serve, place) != 0:
        raise OSError(errno, os.strerror(errno), "changing Lean's code in memory")


def arm(output, errors):
    """In a fork: let the next import be answered by what is kept; the texts are written to stdout and stderr then.

    Raises:
        OSError: As of `prepare`.
    """
    global _printed
    _printed = (output, errors)
    lio_print(1, output, len(output))
    lio_print(2, errors, len(errors))
    if lio_arm() != 0:
        raise OSError(errno, os.strerror(errno), "changing Lean's code in memory")


def tell_to(descriptor):
    """In a fork: write the line "held" to `descriptor`, and close it, when the import is answered by what is kept."""
    lio_tell_to(descriptor)


def fork_sibling():
    """Fork this process; the new process is a child of this process's parent. All other threads have to be asleep.

    Returns:
        The new process's number, 0 in the new process.

    Raises:
        OSError: The system has no such fork, or no room for a process.
    """
    cdef int number
    PyOS_BeforeFork()
    cdef long pid = lws_fork()
    if pid == 0:
        PyOS_AfterFork_Child()
        return 0
    number = errno
    PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, os.strerror(number), "forking a sibling")
    return pid


def fork_file(standard, closed, replaced, bytes directory, ruleset, failure, list arguments, lean_main, bytes output, bytes errors):
    """Fork a process that is a file from its first instruction on: no line of Python runs in it.

    Args:
        standard: Its standard input, output and errors.
        closed: Descriptors that it must not have.
        replaced: Descriptors in whose place it gets new ones that lead nowhere.
        directory: Where it runs; None for here.
        ruleset: A ruleset of Landlock that holds it; -1 for none.
        failure: A descriptor that gets the words for what could not be done, and is closed before Lean runs.
        arguments: Lean's, as bytes; the first one is the program's name.
        lean_main: Address of Lean's command line.
        output: What the import printed to stdout.
        errors: What the import printed to stderr.

    Returns:
        The new process's number.

    Raises:
        OSError: The system has no such fork, or no room for a process.
    """
    cdef lhf_file file
    cdef int number
    cdef long pid
    cdef list names = list(arguments)
    cdef array.array shut = array.array("i", closed), renewed = array.array("i", replaced)
    cdef char **words = <char **>malloc((len(names) + 1) * sizeof(char *))
    if words == NULL:
        raise MemoryError()
    try:
        for at in range(len(names)):
            words[at] = <bytes>names[at]
        words[len(names)] = NULL
        for at in range(3):
            file.standard[at] = standard[at]
        file.closed, file.closed_count = shut.data.as_ints, len(shut)
        file.replaced, file.replaced_count = renewed.data.as_ints, len(renewed)
        file.directory = NULL if directory is None else <const char *>directory
        file.ruleset, file.failure = ruleset, failure
        file.argument_count, file.arguments = len(names), words
        file.lean_main = <void *><uintptr_t>lean_main
        file.output, file.output_bytes = output, len(output)
        file.errors, file.errors_bytes = errors, len(errors)
        PyOS_BeforeFork()
        pid = lhf_fork(&file)
        number = errno
        PyOS_AfterFork_Parent()
        if pid < 0:
            raise OSError(number, os.strerror(number), "forking a file")
        return pid
    finally:
        free(words)


def has_worked():
    """Return whether Lean could import the header's modules."""
    return bool(lio_has_worked())


@cython.auto_pickle(False)
cdef class FileStamps:
    """Files as they were when they were looked at, for a quick look whether they still are.

    Args:
        stamps: For each path its device, inode, size, and the times of the last change of content and entry in
            nanoseconds.
    """

    cdef list _kept
    cdef const char **_paths
    cdef lfs_stamp *_stamps
    cdef size_t _count

    def __cinit__(self, dict stamps not None):
        cdef size_t at = 0
        cdef bytes path
        self._kept = [os.fsencode(each) for each in stamps]
        self._count = len(stamps)
        self._paths = <const char **>malloc((self._count + 1) * sizeof(char *))
        self._stamps = <lfs_stamp *>malloc((self._count + 1) * sizeof(lfs_stamp))
        if self._paths == NULL or self._stamps == NULL:
            raise MemoryError()
        for path, stamp in zip(self._kept, stamps.values()):
            self._paths[at] = path
            # A time before 1970 is negative.
            device, inode, size, changed, entry_changed = [number & 0xFFFFFFFFFFFFFFFF for number in stamp]
            self._stamps[at] = lfs_stamp(device, inode, size, changed, entry_changed)
            at += 1

    def __dealloc__(self):
        free(<void *>self._paths)
        free(self._stamps)

    def still_hold(self):
        """Return whether every file is as it was."""
        cdef int hold
        with nogil:
            hold = lfs_still_hold(<const char *const *>self._paths, self._stamps, self._count)
        return bool(hold)
