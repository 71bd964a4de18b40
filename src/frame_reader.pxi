# Reading of frames; a part of `_frames.pyx`.

cdef extern from "unistd.h" nogil:
    ssize_t read(int fd, void *buffer, size_t count)

cdef extern from "row_scan.h" nogil:
    ctypedef struct row_parts:
        const uint8_t *stream
        size_t stream_bytes
        uint64_t sequence
        const uint8_t *payload
        size_t payload_bytes
    ctypedef struct row_head:
        uint32_t number
        size_t bytes
    ctypedef struct row_heads:
        pass
    int row_scan(const uint8_t *p, const uint8_t *end, const uint8_t *limit, row_parts *parts)
    int row_scan_rest(const uint8_t *p, const uint8_t *end, row_parts *parts)
    const row_head *row_heads_find(row_heads *known, const uint8_t *p, const uint8_t *end)
    void row_heads_add(row_heads *known, const uint8_t *p, const row_parts *parts, uint32_t number)

cdef enum:
    KEPT_BUFFER_BYTES = 1 << 22
    CHUNK_BYTES = 1 << 12  # less than that is sooner copied
    NAME_CACHE = 8
    PADDING = 16  # bytes behind the buffer, so that the scan may look at 16 at once


cdef uint64_t _length(const uint8_t *prefix) noexcept nogil:
    return (<uint64_t>prefix[0] << 24) | (<uint64_t>prefix[1] << 16) | (<uint64_t>prefix[2] << 8) | prefix[3]


@cython.final
cdef class FrameReader:
    """Cuts a stream of bytes into rows and messages; does no input or output itself. Not for several threads at once.

    Args:
        limit_bytes: Largest body that is accepted.

    Raises:
        UsageError: The limit is out of range.
    """

    cdef uint64_t _limit_bytes
    cdef const uint8_t *_bytes      # what is looked at: [_start, _end) of it are not taken
    cdef const uint8_t *_readable   # memory can be read up to here, whatever stands in it
    cdef size_t _start
    cdef size_t _end
    cdef uint8_t *_buffer           # memory of our own: `_bytes` is there, unless it is in `_chunk`
    cdef size_t _capacity
    cdef bytes _chunk               # what was fed as one object, and is looked at where it is
    cdef bytes _next_chunk          # is looked at when all before it is taken
    cdef size_t _next_start
    cdef object _error
    cdef list _names
    cdef list _texts

    def __cinit__(self, limit_bytes=DEFAULT_FRAME_BYTES):
        _check_limit(limit_bytes)
        self._limit_bytes = limit_bytes
        self._names = [b""] * NAME_CACHE
        self._texts = [""] * NAME_CACHE

    def __dealloc__(self):
        free(self._buffer)

    @property
    def limit_bytes(self):
        """Largest body that is accepted."""
        return self._limit_bytes

    @property
    def pending_bytes(self):
        """Bytes that were fed and not yet taken."""
        return self._end - self._start + self._next_bytes()

    cdef size_t _next_bytes(self) noexcept:
        return PyBytes_GET_SIZE(self._next_chunk) - self._next_start if self._next_chunk is not None else 0

    def feed(self, data):
        """Add the bytes that came next.

        Raises:
            UsageError: `data` is not bytes.
        """
        _check_bytes("feeding a frame reader", data)
        cdef size_t count = PyBytes_GET_SIZE(data)
        cdef size_t some = count
        cdef bint is_chunk = count >= CHUNK_BYTES and self._next_chunk is None
        if is_chunk:
            # Not copied, but for the part that belongs to a frame which was cut.
            some = self._cut_frame_needs(<const uint8_t *>PyBytes_AS_STRING(data), count)
        if some:
            self._reserve(some)
            memcpy(self._buffer + self._end, PyBytes_AS_STRING(data), some)
            self._end += some
        if is_chunk:
            self._next_chunk = data
            self._next_start = some

    cdef size_t _cut_frame_needs(self, const uint8_t *data, size_t count) noexcept:
        """Count the bytes of `data`, at most all, that are missing to the last frame at hand."""
        cdef uint8_t[PREFIX] prefix
        cdef uint64_t length
        cdef size_t at = self._start
        cdef size_t have
        cdef size_t i
        while at != self._end:
            have = self._end - at
            for i in range(PREFIX):
                prefix[i] = self._bytes[at + i] if i < have else data[i - have]
            length = PREFIX + _length(prefix)
            if length > have:
                return min(length - have, count)
            at += length
        return 0

    cdef bint _look_at_next(self) noexcept:
        """If all at hand is taken, look at the next chunk; False if nothing is there to look at."""
        if self._start != self._end:
            return True
        if self._next_chunk is None:
            return False
        self._chunk = self._next_chunk
        self._next_chunk = None
        self._bytes = <const uint8_t *>PyBytes_AS_STRING(self._chunk)
        self._start = self._next_start
        self._end = PyBytes_GET_SIZE(self._chunk)
        self._readable = self._bytes + self._end
        return self._start != self._end

    cdef int _reserve(self, size_t more) except -1:
        """Room for `more` bytes in our own buffer, where everything at hand is afterwards."""
        cdef size_t next_bytes = self._next_bytes()
        self._make_room(next_bytes + more)
        if self._next_chunk is not None:
            memcpy(self._buffer + self._end, PyBytes_AS_STRING(self._next_chunk) + self._next_start, next_bytes)
            self._end += next_bytes
            self._next_chunk = None
        return 0

    cdef int _make_room(self, size_t more) except -1:
        """The same but for the next chunk. What was taken makes way first, then the buffer doubles."""
        cdef size_t left = self._end - self._start
        if self._chunk is not None:
            self._grow(left + more)
            memcpy(self._buffer, self._bytes + self._start, left)
            self._chunk = None
            self._start = 0
            self._end = left
        elif left == 0:
            self._start = self._end = 0
            if self._capacity > KEPT_BUFFER_BYTES and more <= KEPT_BUFFER_BYTES:
                # One huge row must not keep its memory for good.
                free(self._buffer)
                self._buffer = NULL
                self._capacity = 0
        if self._capacity - self._end < more and self._start:
            memmove(self._buffer, self._buffer + self._start, left)
            self._start = 0
            self._end = left
        self._grow(self._end + more)
        self._bytes = self._buffer
        self._readable = self._buffer + self._capacity + PADDING
        return 0

    cdef int _grow(self, size_t size) except -1:
        """Room for `size` bytes in all."""
        cdef size_t capacity = self._capacity if self._capacity else 1 << 16
        cdef uint8_t *buffer
        if size <= self._capacity and self._capacity:
            return 0
        while capacity < size:
            capacity *= 2
        buffer = <uint8_t *>realloc(self._buffer, capacity + PADDING)
        if buffer == NULL:
            raise MemoryError
        self._buffer = buffer
        self._capacity = capacity
        return 0

    def take(self, max_items=0):
        """Every whole frame at hand, in order; at most `max_items` of them unless that is 0. [] means: feed more.

        A bad frame is reported after the good ones before it were taken, by this and every later call.

        Raises:
            FrameTooLarge: A length is over the limit; known as soon as the length is, before anything is allocated.
            VersionMismatch: A frame is of another protocol version.
            MalformedFrame: A frame is not the JSON envelope.
            UsageError: `max_items` is not a whole number, 0 or more.
        """
        if type(max_items) is not int or max_items < 0:
            raise UsageError(f"taking frames: expected max_items as an int from 0, got {max_items!r}")
        cdef list items = []
        if self._error is None:
            try:
                self._take_into(items, min(max_items, 1 << 62))
            except LeanWorkerError as error:
                self._error = error
        if self._error is not None and not items:
            raise self._error
        return items

    cdef inline bint _whole_frame(self, const uint8_t **body, uint64_t *length) noexcept:
        """Whether the next frame is all there and within the limit, and if so where its body is."""
        cdef const uint8_t *prefix
        if self._error is not None or (self._end == self._start and not self._look_at_next()):
            return False
        if self._end - self._start < PREFIX:
            return False
        prefix = self._bytes + self._start
        length[0] = _length(prefix)
        body[0] = prefix + PREFIX
        return length[0] <= self._limit_bytes and self._end - self._start - PREFIX >= length[0]

    def read(self, fd, most_bytes):
        """Read what `fd` has, at most `most_bytes`, and say how many bytes came; 0 at its end.

        Raises:
            OSError: The system's reason; `BlockingIOError` if nothing is there.
        """
        cdef int descriptor = fd
        cdef size_t most = most_bytes
        cdef ssize_t count
        cdef int reason
        self._reserve(most)
        with nogil:
            count = read(descriptor, self._buffer + self._end, most)
            reason = errno
        if count < 0:
            raise OSError(reason, os.strerror(reason))
        self._end += count
        return count

    cdef int _take_into(self, list items, Py_ssize_t max_items) except -1:
        cdef const uint8_t *prefix
        cdef uint64_t length
        cdef Py_ssize_t taken = 0
        while (max_items == 0 or taken < max_items) and self._look_at_next() and self._end - self._start >= PREFIX:
            prefix = self._bytes + self._start
            length = _length(prefix)
            if length > self._limit_bytes:
                raise _too_large_remote(length, self._limit_bytes)
            if self._end - self._start - PREFIX < length:
                return 0
            items.append(self._read_body(prefix + PREFIX, length))
            self._start += PREFIX + length
            taken += 1
        return 0

    cdef object _read_body(self, const uint8_t *body, size_t length):
        cdef Row row
        cdef str name = None
        cdef row_parts parts
        if row_scan(body, body + length, self._readable, &parts):
            name = self._name(parts.stream, parts.stream_bytes)
        if name is not None:
            row = Row.__new__(Row)
            row.stream = name
            row.sequence = parts.sequence
            row.payload = PyBytes_FromStringAndSize(<const char *>parts.payload, parts.payload_bytes)
            return row
        read = decode_body(PyBytes_FromStringAndSize(<const char *>body, length))
        return read if type(read) is Message else Row(*read)

    cdef str _name(self, const uint8_t *text, size_t length):
        """The stream's name, None if it has no reading; a stream's rows share one string, if few streams are mixed."""
        cdef size_t slot = 0
        if length:
            slot = (text[0] + 3 * text[length - 1] + length) % NAME_CACHE
        cdef bytes known = <bytes>self._names[slot]
        if <size_t>PyBytes_GET_SIZE(known) == length and not memcmp(PyBytes_AS_STRING(known), text, length):
            return <str>self._texts[slot]
        cdef str name
        if memchr(text, c"\\", length) == NULL:
            name = PyUnicode_DecodeUTF8(<const char *>text, length, NULL)
        else:
            try:
                name = _decode_name(PyBytes_FromStringAndSize(<const char *>text - 1, length + 2))  # and its quotes
            except msgspec.DecodeError:
                return None
        self._names[slot] = PyBytes_FromStringAndSize(<const char *>text, length)
        self._texts[slot] = name
        return name


_decode_name = msgspec.json.Decoder(str).decode


cdef object _too_large_remote(uint64_t length, uint64_t limit_bytes):
    return FrameTooLarge(
        f"reading a frame: its length of {length} bytes exceeds the limit of {limit_bytes}",
        hint="Raise the frame limit for such rows; a length like this can also mean that the worker printed text.",
        side="remote",
        length_bytes=length,
        limit_bytes=limit_bytes,
    )


cdef object sequence_gap(object stream, object expected, object received):
    return SequenceGap(
        f"reading rows: stream {stream!r} should go on with sequence {expected}, got {received}",
        side="remote",
        stream=stream,
        expected=expected,
        received=received,
    )


def resolve_row(row):
    """Decode the frame of `row` with the full decoder; used when its payload failed to decode.

    Raises:
        MalformedFrame: The frame is not JSON.
        UsageError: `row` is no row.
    """
    if type(row) is not Row:
        raise UsageError(f"resolving a row: expected a Row, got {type(row).__name__}")
    return Row(*decode_body(encode_row(row.stream, row.sequence, row.payload, 0xFFFFFFFF)[PREFIX_BYTES:]))
