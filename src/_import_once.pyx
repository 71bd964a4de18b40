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
from libc.stdint cimport int64_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

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
    ctypedef struct lfs_directory:
        const char *path
        size_t count
    int lfs_still_hold(const lfs_directory *directories, size_t count, const char *const *names, const lfs_stamp *stamps)

cdef extern from "held_file.h":
    ctypedef struct lhf_rule:
        const char *path
        uint64_t rights
    ctypedef struct lhf_file:
        const int *own
        size_t own_count
        const int *library
        size_t library_count
        const char *directory
        int is_locked_in
        int is_strict
        const void *attributes
        size_t attribute_bytes
        const lhf_rule *rules
        size_t rule_count
        uint64_t own_rights
        int argument_count
        char **arguments
        void *lean_main
        const char *output
        const char *errors
        size_t output_bytes
        size_t errors_bytes
    long lhf_fork(const lhf_file *file, const int *standard, const int *failure)

cdef extern from "held_service.h":
    ctypedef struct lhs_service:
        int worker
        int wake
        int failure[2]
        const char *temporary
        unsigned char *shared
        size_t shared_bytes
        int64_t most_microseconds
        const char *message
        size_t message_bytes
        char *data
        size_t data_bytes
        int received[3]
        int received_count
        long pid
        int has_ended
        int status
        int64_t cpu_microseconds
        char *nonce
    int lhs_serve(lhs_service *service, const lhf_file *file, char *words, size_t most)

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


@cython.auto_pickle(False)
cdef class HeldFile:
    """The needs of a file before Lean runs, worked out before its fork. No line of Python runs in the fork.

    Args:
        own: Descriptors of this process that a file does not get.
        library: Descriptors in whose place it gets new ones that lead nowhere.
        directory: Where it runs; None for here.
        attributes: Of its ruleset of Landlock; None if nothing is taken from it, b"" if only privileges are.
        rules: Paths of the ruleset, with the rights below them.
        own_rights: The file's rights to its own entries of /proc; None if it may start although something could not be
            taken from it. It then has no rule of its own.
        arguments: Lean's; the first one is the program's name.
        lean_main: Address of Lean's command line.
        output: What the import printed to stdout.
        errors: What the import printed to stderr.
    """

    cdef lhf_file _file
    cdef tuple _kept
    cdef lhf_rule *_rules
    cdef char **_words

    def __cinit__(
        self, own, library, bytes directory, bytes attributes, rules, own_rights, arguments, lean_main, bytes output, bytes errors
    ):
        cdef array.array closed = array.array("i", own), replaced = array.array("i", library)
        cdef list words = list(arguments), granted = list(rules)
        cdef lhf_file *file = &self._file
        self._kept = (closed, replaced, directory, attributes, granted, words, output, errors)
        self._rules = <lhf_rule *>malloc((len(granted) + 1) * sizeof(lhf_rule))
        self._words = <char **>malloc((len(words) + 1) * sizeof(char *))
        if self._rules == NULL or self._words == NULL:
            raise MemoryError()
        for at, (path, rights) in enumerate(granted):
            self._rules[at] = lhf_rule(<const char *><bytes>path, rights)
        for at in range(len(words)):
            self._words[at] = <bytes>words[at]
        self._words[len(words)] = NULL
        file.own, file.own_count = closed.data.as_ints, len(closed)
        file.library, file.library_count = replaced.data.as_ints, len(replaced)
        file.directory = NULL if directory is None else <const char *>directory
        file.is_locked_in, file.is_strict = attributes is not None, own_rights is not None
        file.attributes = <const char *>attributes if attributes else NULL
        file.attribute_bytes = len(attributes or b"")
        file.rules, file.rule_count, file.own_rights = self._rules, len(granted), own_rights or 0
        file.argument_count, file.arguments = len(words), self._words
        file.lean_main = <void *><uintptr_t>lean_main
        file.output, file.output_bytes = output, len(output)
        file.errors, file.errors_bytes = errors, len(errors)

    def __dealloc__(self):
        free(self._rules)
        free(self._words)

    def fork(self, standard, failure):
        """Fork a process that is a file from its first instruction on.

        Args:
            standard: Its standard input, output and errors.
            failure: The ends of a pipe; the second gets the words for what could not be done, and is closed before
                Lean runs.

        Returns:
            The new process's number.

        Raises:
            OSError: The system has no such fork, or no room for a process.
        """
        cdef int descriptors[3]
        cdef int ends[2]
        cdef int number
        for at in range(3):
            descriptors[at] = standard[at]
        ends[0], ends[1] = failure
        PyOS_BeforeFork()
        cdef long pid = lhf_fork(&self._file, descriptors, ends)
        number = errno
        PyOS_AfterFork_Parent()
        if pid < 0:
            raise OSError(number, os.strerror(number), "forking a file")
        return pid

    def serve(self, worker, wake, failure, bytes temporary, shared_address, shared_bytes, most_microseconds, bytes message):
        """Run this file for each request that is byte for byte `message`, until something else has to be done.

        Args:
            worker: The socket from which requests come and to which answers go, as of `keeper`.
            wake: Readable when a child has ended; does not block.
            failure: As of `fork`; reading does not block.
            temporary: The directory that a file has to leave empty.
            shared_address: Address of memory that files share with this process. The microseconds of an import come first.
            shared_bytes: Its size.
            most_microseconds: A time that no import takes.
            message: The request, with its length before it.

        Returns:
            What was read from the socket and not acted on; the descriptors that came with it; the number of a file whose
            end was not told, or 0; its wait status and its processor time in seconds, or None if it runs; its nonce; and
            the words for what kept it from starting.
        """
        cdef lhs_service service
        cdef char words[256]
        cdef int count
        memset(&service, 0, sizeof(service))
        service.worker, service.wake = worker, wake
        service.failure[0], service.failure[1] = failure
        service.temporary = temporary
        service.shared, service.shared_bytes = <unsigned char *><uintptr_t>shared_address, shared_bytes
        service.most_microseconds = most_microseconds
        service.message, service.message_bytes = message, len(message)
        count = lhs_serve(&service, &self._file, words, sizeof(words))
        return (
            service.data[:service.data_bytes],
            [service.received[at] for at in range(service.received_count)],
            service.pid,
            (service.status, service.cpu_microseconds / 1e6) if service.has_ended else None,
            service.nonce.decode(),
            words[:count].decode("utf-8", "replace"),
        )


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
    cdef lfs_directory *_directories
    cdef const char **_names
    cdef lfs_stamp *_stamps
    cdef size_t _count

    def __cinit__(self, dict stamps not None):
        cdef size_t at = 0
        cdef bytes directory, name, last = None
        self._kept = sorted((*os.path.split(os.fsencode(path)), stamp) for path, stamp in stamps.items())
        self._count = 0
        self._directories = <lfs_directory *>malloc((len(stamps) + 1) * sizeof(lfs_directory))
        self._names = <const char **>malloc((len(stamps) + 1) * sizeof(char *))
        self._stamps = <lfs_stamp *>malloc((len(stamps) + 1) * sizeof(lfs_stamp))
        if self._directories == NULL or self._names == NULL or self._stamps == NULL:
            raise MemoryError()
        for directory, name, stamp in self._kept:
            if directory != last:
                self._directories[self._count] = lfs_directory(<const char *>directory, 0)
                self._count += 1
                last = directory
            self._directories[self._count - 1].count += 1
            self._names[at] = name
            # A time before 1970 is negative.
            device, inode, size, changed, entry_changed = [number & 0xFFFFFFFFFFFFFFFF for number in stamp]
            self._stamps[at] = lfs_stamp(device, inode, size, changed, entry_changed)
            at += 1

    def __dealloc__(self):
        free(self._directories)
        free(<void *>self._names)
        free(self._stamps)

    def still_hold(self):
        """Return whether every file is as it was."""
        cdef int hold
        with nogil:
            hold = lfs_still_hold(self._directories, self._count, <const char *const *>self._names, self._stamps)
        return bool(hold)
