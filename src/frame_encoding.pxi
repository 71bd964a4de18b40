# Encoding of frames; a part of `_frames.pyx`.

cdef extern from "row_writer.h" nogil:
    row_stream *row_writer_known_stream(row_writer *w, const char *name, size_t count)
    row_stream *row_writer_new_stream(row_writer *w, const char *name, size_t count)
    uint64_t row_writer_body_bytes(const row_stream *s, size_t payload_bytes)
    uint8_t *row_writer_put_head(uint8_t *frame, const row_stream *s)
    size_t row_writer_put_tail(uint8_t *frame, uint8_t *payload_end)

cdef extern from "wide_copy.h" nogil:
    void wide_copy(uint8_t *to, const uint8_t *from_, size_t bytes)

cdef extern from "Python.h":
    uint64_t PyLong_AsUnsignedLongLong(object number)

cdef struct row_to_write:
    size_t stream
    uint64_t sequence
    const uint8_t *payload
    size_t payload_bytes


def encode_frame(body, limit_bytes=DEFAULT_FRAME_BYTES):
    """Length and body.

    Raises:
        FrameTooLarge: The body is over the limit.
        UsageError: An argument is of the wrong type or range.
    """
    _check_bytes("encoding a frame's body", body)
    _check_limit(limit_bytes)
    if len(body) > limit_bytes:
        raise _too_large_local(len(body), limit_bytes)
    return len(body).to_bytes(PREFIX_BYTES, "big") + body


def encode_message(type, body, limit_bytes=DEFAULT_FRAME_BYTES):
    """One frame for a message; `body` is its JSON text.

    Raises:
        FrameTooLarge: The frame's body is over the limit.
        UsageError: An argument is of the wrong type or range.
    """
    cdef bytes name = _encode_name("encoding a message's type", type)
    _check_bytes("encoding a message's body", body)
    text = b'{"version":10,"message":{"type":%b,"body":%b}}' % (msgspec.json.encode(name.decode()), body)
    return encode_frame(text, limit_bytes)


def encode_row(stream, sequence, payload, limit_bytes=DEFAULT_FRAME_BYTES):
    """One canonical data-row frame; `payload` is JSON text and goes out verbatim, not validated.

    Raises:
        FrameTooLarge: The frame's body is over the limit.
        UsageError: An argument is of the wrong type or range.
    """
    cdef bytes name = _encode_name("encoding a row's stream", stream)
    if type(sequence) is not int or not 0 <= sequence <= MAX_SEQUENCE:
        raise UsageError(f"encoding a row's sequence: expected 0 to {MAX_SEQUENCE}, got {sequence!r}")
    _check_bytes("encoding a row's payload", payload)
    _check_limit(limit_bytes)
    return _row_frame(name, sequence, payload, limit_bytes)


cdef bytes _row_frame(bytes stream, uint64_t sequence, bytes payload, uint64_t limit_bytes):
    cdef const uint8_t *name = <const uint8_t *>PyBytes_AS_STRING(stream)
    cdef size_t name_bytes = PyBytes_GET_SIZE(stream)
    cdef size_t payload_bytes = PyBytes_GET_SIZE(payload)
    cdef char[20] digits
    cdef int first = 20
    cdef int high = 0
    cdef size_t length
    cdef bytes frame
    cdef char *to
    cdef int i
    if json_plain_end(name, name + name_bytes, &high) != name + name_bytes:
        # Within the quotes that msgspec puts around it.
        stream = msgspec.json.encode(stream.decode())
        name = <const uint8_t *>PyBytes_AS_STRING(stream) + 1
        name_bytes = PyBytes_GET_SIZE(stream) - 2
    while True:
        first -= 1
        digits[first] = <char>(c"0" + sequence % 10)
        sequence //= 10
        if not sequence:
            break
    length = HEAD_BYTES + name_bytes + SEQUENCE_BYTES + (20 - first) + PAYLOAD_BYTES + payload_bytes + TAIL_BYTES
    if length > limit_bytes:
        raise _too_large_local(length, limit_bytes)
    frame = PyBytes_FromStringAndSize(NULL, PREFIX + length)
    to = PyBytes_AS_STRING(frame)
    for i in range(PREFIX):
        to[i] = <char>((length >> (8 * (PREFIX - 1 - i))) & 0xFF)
    to = _put(to + PREFIX, ROW_HEAD, HEAD_BYTES)
    to = _put(to, name, name_bytes)
    to = _put(to, ROW_SEQUENCE, SEQUENCE_BYTES)
    to = _put(to, digits + first, 20 - first)
    to = _put(to, ROW_PAYLOAD, PAYLOAD_BYTES)
    to = _put(to, PyBytes_AS_STRING(payload), payload_bytes)
    _put(to, ROW_TAIL, TAIL_BYTES)
    return frame


cdef char *_put(char *to, const void *text, size_t count) noexcept:
    memcpy(to, text, count)
    return to + count


def encode_rows(rows, limit_bytes=DEFAULT_FRAME_BYTES, check=False):
    """The frames of many rows, one after the other: `encode_row` of each `(stream, sequence, payload)`.

    With `check` each payload is looked through, and has to be JSON.

    Raises:
        FrameTooLarge: A frame's body is over the limit.
        UsageError: An argument is of the wrong type or range, or a payload is not JSON.
    """
    _check_limit(limit_bytes)
    if type(rows) is not list:
        raise UsageError(f"encoding rows: expected a list, got {type(rows).__name__}")
    # A writer that writes nowhere keeps how the frames of each stream begin.
    cdef row_writer *writer = row_writer_new(-1, limit_bytes)
    cdef row_to_write *found = <row_to_write *>realloc(NULL, (len(rows) + 1) * sizeof(row_to_write))
    try:
        if writer == NULL or found == NULL:
            raise MemoryError
        return _rows_frames(writer, found, tuple(rows), check)
    finally:
        free(found)
        row_writer_free(writer)


cdef bytes _rows_frames(row_writer *writer, row_to_write *found, tuple rows, bint check):
    cdef uint64_t total = 0
    cdef uint64_t length
    cdef row_stream *stream = NULL
    cdef row_to_write *row
    cdef uint8_t *at
    cdef uint8_t *payload_start
    cdef uint8_t *end
    cdef Py_ssize_t i
    cdef Py_ssize_t count = len(rows)
    cdef tuple given
    cdef bytes frames
    for i in range(count):
        if type(rows[i]) is not tuple or len(<tuple>rows[i]) != 3:
            raise UsageError(f"encoding rows: expected (stream, sequence, payload), got {rows[i]!r:.80}")
        given = <tuple>rows[i]
        row = &found[i]
        stream = _stream_named(writer, given[0])
        row.stream = writer.last_stream
        row.sequence = stream.rows = _sequence_of(given[1])
        _check_bytes("encoding a row's payload", given[2])
        row.payload = <const uint8_t *>PyBytes_AS_STRING(<bytes>given[2])
        row.payload_bytes = PyBytes_GET_SIZE(<bytes>given[2])
        length = row_writer_body_bytes(stream, row.payload_bytes)
        if length > writer.limit_bytes:
            raise _too_large_local(length, writer.limit_bytes)
        total += PREFIX + length
    frames = PyBytes_FromStringAndSize(NULL, total)
    at = <uint8_t *>PyBytes_AS_STRING(frames)
    end = at + total
    for i in range(count):
        row = &found[i]
        stream = &writer.streams[row.stream]
        stream.rows = row.sequence
        payload_start = row_writer_put_head(at, stream)
        wide_copy(payload_start, row.payload, row.payload_bytes)
        if check and not json_is_value(payload_start, payload_start + row.payload_bytes, end):
            raise UsageError(f"encoding a row's payload: expected JSON, got {(<tuple>rows[i])[2][:80]!r}")
        at += row_writer_put_tail(at, payload_start + row.payload_bytes)
    return frames


cdef row_stream *_stream_named(row_writer *writer, object name) except NULL:
    cdef Py_ssize_t count = 0
    cdef const char *text = _name_text("encoding a row's stream", name, &count)
    cdef row_stream *stream = row_writer_known_stream(writer, text, count)
    if stream == NULL:
        stream = row_writer_new_stream(writer, text, count)
        if stream == NULL:
            raise MemoryError
    return stream


cdef uint64_t _sequence_of(object sequence) except? 0xFFFFFFFFFFFFFFFF:
    cdef uint64_t value
    if type(sequence) is int:
        value = PyLong_AsUnsignedLongLong(sequence)
        if value != <uint64_t>-1 or not PyErr_Occurred():
            return value
        PyErr_Clear()
    raise UsageError(f"encoding a row's sequence: expected 0 to {MAX_SEQUENCE}, got {sequence!r}")


cdef object _too_large_local(object length, object limit_bytes):
    return FrameTooLarge(
        f"writing a frame: its length of {length} bytes exceeds the limit of {limit_bytes}",
        hint="Raise the frame limit, or send less at once.",
        side="local",
        length_bytes=length,
        limit_bytes=limit_bytes,
    )
