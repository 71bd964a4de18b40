# Encoding of frames; a part of `_frames.pyx`.


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
    text = b'{"version":10,"message":{"type":%b,"body":%b}}' % (orjson.dumps(name.decode()), body)
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
        # Within the quotes that orjson puts around it.
        stream = orjson.dumps(stream.decode())
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


cdef object _too_large_local(object length, object limit_bytes):
    return FrameTooLarge(
        f"writing a frame: its length of {length} bytes exceeds the limit of {limit_bytes}",
        hint="Raise the frame limit, or send less at once.",
        side="local",
        length_bytes=length,
        limit_bytes=limit_bytes,
    )
