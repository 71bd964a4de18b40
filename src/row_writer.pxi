# The child's writer; a part of `_frames.pyx`, and the twin of `wire.frames_py.row_writer`.

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
        """Where the C struct `row_writer` is, for the Lean host; valid as long as this object."""
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
        cdef bytes name = _encode_name("writing a row's stream", stream)
        _check_bytes("writing a row's payload", payload)
        cdef const char *name_text = PyBytes_AS_STRING(name)
        cdef size_t name_bytes = PyBytes_GET_SIZE(name)
        cdef const char *payload_text = PyBytes_AS_STRING(payload)
        cdef size_t payload_bytes = PyBytes_GET_SIZE(payload)
        cdef int status
        with nogil:
            status = row_writer_row(self._writer, name_text, name_bytes, payload_text, payload_bytes)
        return status

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
