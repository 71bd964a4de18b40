# cython: language_level=3
"""Lean inside this process: run its driver, and answer the foreign functions of LeanWorker.lean.

Owns the step between Lean's threads and Python: requests and replies go through the two callbacks given to `run_lean`.
Rows, diagnostics and progress never come here: they go from Lean straight to the frame writer, with no interpreter
lock and no Python object. Hides Lean's ABI (lean_bridge.h). Callers decide what is run, and give Lean its environment
before.

One Lean per process: `run_lean` is called once, on the main thread, and may not come back, because Lean can end the
process.
"""

import sys

from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc

cdef extern from "lean_bridge.h" nogil:
    ctypedef struct row_writer:
        pass
    row_writer *lwb_writer
    int (*lwb_next_callback)() noexcept
    int (*lwb_reply_callback)(int how, const char *text, size_t size) noexcept
    int (*lwb_leaving_callback)() noexcept
    void lwb_set_request(const char *command, size_t command_size, const char *request, size_t request_size)
    int lwb_last_refusal()
    const char *lwb_open(const char *library, const char *own_file)
    int lwb_run(int argc, char **argv)
    void lwb_trim()
    int LWB_ANSWERED
    int LWB_FAILED
    int LWB_UNKNOWN
    int LWB_EMITTED

cdef extern from "<dlfcn.h>" nogil:
    void *dlopen(const char *file, int mode)
    const char *dlerror()
    int RTLD_NOW
    int RTLD_GLOBAL

cdef extern from "group_end.h" nogil:
    int lw_end_tree_on_sigterm()
    int lw_set_process_option(int option, unsigned long value)

ANSWERED = LWB_ANSWERED
FAILED = LWB_FAILED
UNKNOWN = LWB_UNKNOWN
EMITTED = LWB_EMITTED

cdef object _next_request = None
cdef object _reply = None
cdef object _leaving = None
# Lean copies the running request's texts out of these.
cdef bytes _command_text = b""
cdef bytes _request_text = b""


cdef int _take_next() noexcept with gil:
    global _command_text, _request_text
    try:
        request = _next_request()
        if request is None:
            return 0
        _command_text, _request_text = request
        lwb_set_request(_command_text, len(_command_text), _request_text, len(_request_text))
        return 1
    except BaseException:
        _show_exception()
        return -1


cdef int _take_reply(int how, const char *text, size_t size) noexcept with gil:
    try:
        _reply(how, text[:size], lwb_last_refusal())
        return 0
    except BaseException:
        _show_exception()
        return -1


cdef int _take_leaving() noexcept with gil:
    try:
        code = _leaving()
        return -1 if code is None else code
    except BaseException:
        _show_exception()
        return -1


cdef void _show_exception() noexcept:
    try:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    except BaseException:
        pass


def load_part(part):
    """Load a part of a split libleanshared, for all that is loaded after it.

    Args:
        part: Its path, as bytes; it stays loaded.

    Raises:
        OSError: It cannot be loaded, as before a part that it needs.
    """
    cdef bytes path = part
    if dlopen(path, RTLD_NOW | RTLD_GLOBAL) == NULL:
        raise OSError((<bytes>dlerror()).decode("utf-8", "replace"))


def open_lean(library):
    """Load libleanshared so that Lean finds the foreign functions of this module; `run_lean` does it by itself.

    Args:
        library: Path of libleanshared, as bytes; it stays loaded.

    Raises:
        OSError: As of `run_lean`.
    """
    cdef bytes library_path = library
    cdef bytes own_file = __file__.encode()
    cdef const char *problem = lwb_open(library_path, own_file)
    if problem != NULL:
        raise OSError((<bytes>problem).decode("utf-8", "replace"))


def run_lean(library, arguments, writer_address, next_request, reply, leaving):
    """Run Lean's command line, as `lean ARGUMENTS…` would.

    Args:
        library: Path of libleanshared, as bytes; it stays loaded.
        arguments: Lean's arguments as a list of bytes, without the program's name.
        writer_address: `RowWriter.address()`; the writer has to outlive the call.
        next_request: Called without arguments, on a thread of Lean's, for the next command. Answers its name and its
            request text as UTF-8 bytes, or None if `LeanWorker.serve` shall return.
        reply: Called with how a command ended (`ANSWERED`, `EMITTED`, `FAILED`, `UNKNOWN`), a text as bytes (the terminal JSON
            text, or the error's), and the status that the last refused row or event of the command had, 0 for none.
        leaving: Called without arguments when Lean ends the process itself. Answers the exit code to end it with at
            once, or None to let it go as Lean wants.

    An exception out of a callback is printed, and raised in Lean as an IO error.

    Returns:
        Lean's exit code.

    Raises:
        OSError: The library cannot be loaded or is not that of a supported Lean.
    """
    global _next_request, _reply, _leaving, lwb_writer, lwb_next_callback, lwb_reply_callback, lwb_leaving_callback
    cdef list words = [b"lean", *arguments]
    cdef bytes word
    cdef int count = len(words), code, i
    open_lean(library)
    _next_request, _reply, _leaving = next_request, reply, leaving
    lwb_writer = <row_writer *><uintptr_t>writer_address
    lwb_next_callback = _take_next
    lwb_reply_callback = _take_reply
    lwb_leaving_callback = _take_leaving
    cdef char **argv = <char **>malloc((count + 1) * sizeof(char *))
    if argv == NULL:
        raise MemoryError()
    for i in range(count):
        word = words[i]
        argv[i] = word
    argv[count] = NULL
    with nogil:
        code = lwb_run(count, argv)
    free(argv)
    return code


def end_tree_on_sigterm():
    """Let SIGTERM end this process and all below it at once, whatever its threads are doing.

    A handler in Python would wait for the main thread to come back from Lean.

    Raises:
        OSError: The system refused the handler.
    """
    if lw_end_tree_on_sigterm() != 0:
        raise OSError("sigaction failed")


def set_process_option(int option, unsigned long value):
    """Set an option of this process, as prctl(2) does; return whether the system took it."""
    return lw_set_process_option(option, value) == 0


def trim():
    """Give the operating system back the memory that `malloc` keeps free, where it can."""
    with nogil:
        lwb_trim()
