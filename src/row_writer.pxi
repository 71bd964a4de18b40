# The child's writer; a part of `_frames.pyx`, and the twin of `wire.frames_py.row_writer`.

cdef extern from "row_writer.h" nogil:
    const int ROW_WRITER_WOULD_WAIT
    int row_writer_row_at_once(row_writer *w, const char *stream, size_t stream_bytes, const char *payload, size_t payload_bytes)

cdef extern from "plain_rows.h":
    const int PLAIN_DECLINED
    ctypedef struct plain_output:
        PyObject *layouts
        PyTypeObject *meta
    int plain_rows_put(row_writer *w, const char *stream, size_t stream_bytes, PyObject *value, plain_output *out)
    object plain_layout_new(tuple keys, tuple offsets)

cdef enum:
    AT_ONCE_BYTES = 1 << 14  # a longer row is checked and copied with the GIL released
    MOST_LAYOUTS = 512

cdef dict _layouts = {}
cdef object _struct_meta = type(msgspec.Struct)


cdef object _plain_layout(object kind):
    """Tell `plain_rows.h` how msgspec writes the objects of a type; None: it is left to msgspec."""
    if not issubclass(kind, msgspec.Struct) or issubclass(kind, (StreamRow, Diagnostic, Progress)):
        return None  # what a host sends otherwise than as a row is not for us
    config = kind.__struct_config__
    if config.array_like or config.tag is not None or config.omit_defaults:
        return None
    offsets = tuple([flat_slot_offset(inspect.getattr_static(kind, name)) for name in kind.__struct_fields__])
    if min(offsets, default=0) < 0:
        return None
    return plain_layout_new(tuple([orjson.dumps(key) + b":" for key in kind.__struct_encode_fields__]), offsets)


cdef bint _learn_layout(object kind) except -1:
    """Remember the layout of a type that was not met before; False if there is nothing new to learn."""
    if type(kind) is not _struct_meta or kind in _layouts:
        return False
    if len(_layouts) >= MOST_LAYOUTS:
        _layouts.clear()
    _layouts[kind] = layout = _plain_layout(kind)
    return layout is not None


@cython.final
cdef class RowWriter:
    """Writes the child's frames: rows, events and all other messages, one write a frame. Threads may share it.

    Args:
        fd: Where to write; it stays the caller's.
        limit_bytes: Largest body that may be written.

    Raises:
        UsageError: An argument is of the wrong type or range.
    """

    cdef row_writer *_writer

    def __cinit__(self, fd, limit_bytes):
        if type(fd) is not int or not 0 <= fd <= 0x7FFFFFFF:
            raise UsageError(f"making a row writer: expected a file descriptor, got {fd!r}")
        _check_limit(limit_bytes)
        self._writer = row_writer_new(fd, limit_bytes)
        if self._writer == NULL:
            raise MemoryError

    def __dealloc__(self):
        row_writer_free(self._writer)

    @property
    def limit_bytes(self):
        """Largest body that may be written."""
        return self._writer.limit_bytes

    @limit_bytes.setter
    def limit_bytes(self, value):
        _check_limit(value)
        self._writer.limit_bytes = value

    def address(self):
        """Address of the C struct `row_writer`, for the Lean host; valid as long as this object."""
        return <size_t>self._writer

    def attach_ring(self, memory_fd, size_bytes, data_fd, space_fd):
        """From now on write into the ring of that memory; False, and no change, if it cannot be mapped."""
        return bool(row_writer_attach_ring(self._writer, memory_fd, size_bytes, data_fd, space_fd))

    def begin(self, progress):
        """A streaming request begins: sequences, failure and cancellation start anew.

        With `progress` a tick goes out now and after each row, as the original protocol has it.
        """
        cdef int ticks = bool(progress)
        with nogil:
            row_writer_begin(self._writer, ticks)

    def row(self, stream, payload):
        """Write one row with the stream's next sequence; the status says whether it was written.

        Raises:
            UsageError: An argument is of the wrong type.
        """
        _check_bytes("writing a row's payload", payload)
        cdef Py_ssize_t name_bytes = 0
        cdef const char *name_text = _name_text("writing a row's stream", stream, &name_bytes)
        cdef const char *payload_text = PyBytes_AS_STRING(payload)
        cdef size_t payload_bytes = PyBytes_GET_SIZE(payload)
        cdef int status = ROW_WRITER_WOULD_WAIT
        if payload_bytes <= AT_ONCE_BYTES:
            status = row_writer_row_at_once(self._writer, name_text, name_bytes, payload_text, payload_bytes)
        if status == ROW_WRITER_WOULD_WAIT:
            with nogil:
                status = row_writer_row(self._writer, name_text, name_bytes, payload_text, payload_bytes)
        return status

    def plain_rows(self, stream, values):
        """Write the values of an iterator as rows, as long as they are plain, and come to the first that is not.

        Plain are dicts with keys of type `str`, lists, tuples, strings, numbers, bools, None, and Structs of them, if
        the encoder of `child.python_host` would write the same bytes. Each row can be read before the next value is
        asked for. How many values are taken for plain is not said: the pure twin takes none.

        A `StreamRow` is a value for a stream of its own.

        Returns:
            Status and value: `STATUS_OK` and a value that was not written, or why a row was not written and None.

        Raises:
            StopIteration: The iterator has ended; with its value.
            UsageError: `stream` is no string.
            Exception: What the iterator raises.
        """
        cdef Py_ssize_t rows_bytes = 0
        cdef Py_ssize_t name_bytes
        cdef const char *rows_text = _name_text("writing a row's stream", stream, &rows_bytes)
        cdef const char *name_text
        cdef object value
        cdef object payload
        cdef int status
        cdef plain_output out
        out.layouts = <PyObject *>_layouts
        out.meta = <PyTypeObject *><PyObject *>_struct_meta
        while True:
            value = payload = next(values)
            name_text, name_bytes = rows_text, rows_bytes
            if type(value) is StreamRow:
                payload = value.payload
                if type(value.stream) is not str:
                    return STATUS_OK, value
                try:
                    name_text = PyUnicode_AsUTF8AndSize(value.stream, &name_bytes)
                except UnicodeEncodeError:
                    return STATUS_OK, value
            status = plain_rows_put(self._writer, name_text, name_bytes, <PyObject *>payload, &out)
            if status == PLAIN_DECLINED and _learn_layout(type(payload)):
                status = plain_rows_put(self._writer, name_text, name_bytes, <PyObject *>payload, &out)
            if status == PLAIN_DECLINED:
                return STATUS_OK, value
            if status:
                return status, None

    def diagnostic(self, code, message):
        """Write one diagnostic; `code` is not empty.

        Raises:
            UsageError: An argument is of the wrong type.
        """
        cdef bytes code_bytes = _encode_name("writing a diagnostic's code", code)
        cdef bytes message_bytes = _encode_name("writing a diagnostic's message", message)
        cdef const char *code_text = PyBytes_AS_STRING(code_bytes)
        cdef size_t code_count = PyBytes_GET_SIZE(code_bytes)
        cdef const char *message_text = PyBytes_AS_STRING(message_bytes)
        cdef size_t message_count = PyBytes_GET_SIZE(message_bytes)
        cdef int status
        with nogil:
            status = row_writer_diagnostic(self._writer, code_text, code_count, message_text, message_count)
        return status

    def progress(self, phase, current, total):
        """Write how far the work is; `phase` is not empty, `total` is None when unknown.

        Raises:
            UsageError: An argument is of the wrong type or range.
        """
        cdef bytes name = _encode_name("writing a progress phase", phase)
        if type(current) is not int or not 0 <= current <= MAX_SEQUENCE:
            raise UsageError(f"writing progress: expected current from 0 to {MAX_SEQUENCE}, got {current!r}")
        if total is not None and (type(total) is not int or not 0 <= total <= MAX_SEQUENCE):
            raise UsageError(f"writing progress: expected total from 0 to {MAX_SEQUENCE} or None, got {total!r}")
        cdef const char *text = PyBytes_AS_STRING(name)
        cdef size_t count = PyBytes_GET_SIZE(name)
        cdef uint64_t done = current
        cdef int has_total = total is not None
        cdef uint64_t all_units = total if total is not None else 0
        cdef int status
        with nogil:
            status = row_writer_progress(self._writer, text, count, done, has_total, all_units)
        return status

    def message(self, type, body):
        """Write any other message; `body` is its JSON text. Legal at any time.

        Raises:
            UsageError: An argument is of the wrong type.
        """
        cdef bytes name = _encode_name("encoding a message's type", type)
        _check_bytes("encoding a message's body", body)
        cdef const char *text = PyBytes_AS_STRING(name)
        cdef size_t count = PyBytes_GET_SIZE(name)
        cdef const char *body_text = PyBytes_AS_STRING(body)
        cdef size_t body_count = PyBytes_GET_SIZE(body)
        cdef int status
        with nogil:
            status = row_writer_message(self._writer, text, count, body_text, body_count)
        return status

    def finish(self):
        """No more rows: total, rows of each stream, and text and status of the first row that failed, if one did."""
        cdef size_t i
        cdef row_stream *stream
        with nogil:
            row_writer_finish(self._writer)
        counts = {}
        for i in range(self._writer.stream_count):
            stream = &self._writer.streams[i]
            if stream.rows:
                counts[PyUnicode_DecodeUTF8(stream.name, stream.name_bytes, NULL)] = stream.rows
        failure = None
        if self._writer.failure:
            failure = (<bytes>self._writer.failure_text).decode("utf-8", "replace")
        return self._writer.total_rows, counts, failure, self._writer.failure

    def cancel(self):
        """From another thread: later rows and events of this request are refused; waits for no row."""
        row_writer_cancel(self._writer)
