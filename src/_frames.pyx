# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, auto_pickle=False
"""Frames of wire protocol 10, compiled: the twin of `wire.frames_py`, which is the reference.

Owns the layout (u32 big-endian length, then that many bytes of JSON), the canonical spelling of data rows, the frame
limit, and the child's writer. Hides nothing: feed bytes, take rows and messages. What they mean is `protocol`'s.

A canonical data row is recognised by its spelling and its payload is cut out as it stands, unread; every other frame is
read in full by `envelope`. The payload is validated once, by whoever decodes it; if that fails, `resolve_row` tells
whether the frame has another reading.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove

import inspect
import os

import msgspec
import orjson

from lean_worker.wire.envelope import MAX_SEQUENCE, PROTOCOL_VERSION, Message, decode_body
from lean_worker.events import StreamRow
from lean_worker.errors import FrameTooLarge, LeanWorkerError, MalformedFrame, SequenceGap, UsageError


cdef extern from "json_scan.h" nogil:
    const uint8_t *json_plain_end(const uint8_t *p, const uint8_t *end, int *high)
    int json_is_utf8(const uint8_t *p, const uint8_t *end)
    int json_is_space(uint8_t c)
    int json_is_digit(uint8_t c)
    const uint8_t *json_plain_end_within(const uint8_t *p, const uint8_t *end, const uint8_t *limit, int *high)
    const uint8_t *json_skip_string(const uint8_t *p, const uint8_t *end, const uint8_t *limit)
    int json_is_value(const uint8_t *p, const uint8_t *end, const uint8_t *limit)

cdef extern from "unistd.h" nogil:
    ssize_t read(int fd, void *buffer, size_t count)

cdef extern from "flat_struct.h":
    const int FLAT_STR
    const int FLAT_INT
    const int FLAT_BOOL
    const int FLAT_NONE
    const int FLAT_MAX_FIELDS
    const int FLAT_MAX_KEY
    ctypedef struct flat_field:
        char *key
        size_t key_bytes
        int kinds
        Py_ssize_t offset
    ctypedef struct flat_struct:
        PyTypeObject *type
        int field_count
        flat_field *fields
        int *next
    void flat_struct_clear(flat_struct *s)
    Py_ssize_t flat_slot_offset(object descriptor)
    PyObject *flat_struct_read(flat_struct *s, const uint8_t *p, const uint8_t *end, const uint8_t *limit)

cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030D0000
    #define lw_is_finalizing() Py_IsFinalizing()
    #else
    #define lw_is_finalizing() _Py_IsFinalizing()
    #endif
    """
    int lw_is_finalizing()

cdef extern from "ring.h" nogil:
    ctypedef struct ring_end:
        void *memory
        uint64_t size
    int ring_open(ring_end *e, int memory_fd, uint64_t size, int data_fd, int space_fd)
    void ring_close(ring_end *e)
    uint64_t ring_waiting(ring_end *e)
    void ring_take(ring_end *e, uint8_t *to, uint64_t count)
    void ring_reader_sleeps(ring_end *e, int sleeps)

cdef extern from "row_writer.h" nogil:
    const char *ROW_HEAD
    const char *ROW_SEQUENCE
    const char *ROW_PAYLOAD
    const char *ROW_TAIL
    ctypedef struct row_stream:
        char *name
        size_t name_bytes
        uint64_t rows
    ctypedef struct row_writer:
        uint64_t limit_bytes
        row_stream *streams
        size_t stream_count
        uint64_t total_rows
        int failure
        char *failure_text
    int row_writer_attach_ring(row_writer *w, int memory_fd, uint64_t size, int data_fd, int space_fd)
    row_writer *row_writer_new(int fd, uint64_t limit_bytes)
    void row_writer_free(row_writer *w)
    void row_writer_begin(row_writer *w, int progress)
    int row_writer_row(row_writer *w, const char *stream, size_t stream_bytes, const char *payload, size_t payload_bytes)
    int row_writer_diagnostic(row_writer *w, const char *code, size_t code_bytes, const char *message, size_t message_bytes)
    int row_writer_progress(row_writer *w, const char *phase, size_t phase_bytes, uint64_t current, int has_total, uint64_t total)
    int row_writer_message(row_writer *w, const char *type, size_t type_bytes, const char *body, size_t body_bytes)
    void row_writer_finish(row_writer *w)
    void row_writer_cancel(row_writer *w)

MIN_FRAME_BYTES = 1 << 16
DEFAULT_FRAME_BYTES = 1 << 20
MAX_FRAME_BYTES = 1 << 28
PREFIX_BYTES = 4

STATUS_OK = 0
STATUS_CANCELLED = 1
STATUS_MALFORMED = 2
STATUS_TOO_LARGE = 3
STATUS_CLOSED = 4
STATUS_NO_STREAM = 5

cdef enum:
    PREFIX = 4
    HEAD_BYTES = 61
    SEQUENCE_BYTES = 13
    PAYLOAD_BYTES = 11
    TAIL_BYTES = 3
    KEPT_BUFFER_BYTES = 1 << 22
    NAME_CACHE = 8
    PADDING = 16  # bytes behind the buffer, so that the scan may look at 16 at once


# -- checks of arguments, the same in both twins --


cdef int _check_limit(object limit_bytes) except -1:
    if type(limit_bytes) is not int or not 1 <= limit_bytes <= 0xFFFFFFFF:
        raise UsageError(f"setting a frame limit: expected 1 to 4294967295 bytes, got {limit_bytes!r}")
    return 0


cdef int _check_bytes(str what, object value) except -1:
    if type(value) is not bytes:
        raise UsageError(f"{what}: expected bytes, got {type(value).__name__}")
    return 0


cdef bytes _encode_name(str what, object value):
    if type(value) is not str:
        raise UsageError(f"{what}: expected a string, got {type(value).__name__}")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"{what}: the string has no UTF-8 form: {error.reason}") from error


# -- rows --


@cython.final
@cython.no_gc
@cython.freelist(1024)
cdef class Row:
    """One data row as it came off the wire.

    Attributes:
        stream: Name of its stream.
        sequence: Its position in the stream.
        payload: Its JSON text, verbatim and not validated.
    """

    cdef readonly str stream
    cdef readonly uint64_t sequence
    cdef readonly bytes payload

    def __init__(self, str stream, uint64_t sequence, bytes payload):
        self.stream = stream
        self.sequence = sequence
        self.payload = payload

    def __eq__(self, other):
        if type(other) is not Row:
            return NotImplemented
        cdef Row row = <Row>other
        return self.stream == row.stream and self.sequence == row.sequence and self.payload == row.payload

    def __hash__(self):
        return hash((self.stream, self.sequence, self.payload))

    def __repr__(self):
        return f"Row(stream={self.stream!r}, sequence={self.sequence!r}, payload={self.payload!r})"

    def __reduce__(self):
        return (Row, (self.stream, self.sequence, self.payload))


# -- reading --


@cython.final
cdef class FrameReader:
    """Cuts a stream of bytes into rows and messages; does no input or output itself. Not for several threads at once.

    Args:
        limit_bytes: Largest body that is accepted.

    Raises:
        UsageError: The limit is out of range.
    """

    cdef uint64_t _limit_bytes
    cdef uint8_t *_buffer
    cdef size_t _start
    cdef size_t _end
    cdef size_t _capacity
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
        return self._end - self._start

    def feed(self, data):
        """Add the bytes that came next.

        Raises:
            UsageError: `data` is not bytes.
        """
        _check_bytes("feeding a frame reader", data)
        cdef size_t count = PyBytes_GET_SIZE(data)
        self._reserve(count)
        memcpy(self._buffer + self._end, PyBytes_AS_STRING(data), count)
        self._end += count

    cdef int _reserve(self, size_t more) except -1:
        """Room for `more` bytes: what was taken makes way first, then the buffer doubles. There is one afterwards."""
        cdef size_t capacity = self._capacity
        cdef uint8_t *buffer
        if self._start == self._end:
            self._start = self._end = 0
            if capacity > KEPT_BUFFER_BYTES and more <= KEPT_BUFFER_BYTES:
                # One huge row must not keep its memory for good.
                free(self._buffer)
                self._buffer = NULL
                self._capacity = capacity = 0
        if capacity and capacity - self._end >= more:
            return 0
        if self._start:
            memmove(self._buffer, self._buffer + self._start, self._end - self._start)
            self._end -= self._start
            self._start = 0
        if capacity and capacity - self._end >= more:
            return 0
        if capacity == 0:
            capacity = 1 << 16
        while capacity - self._end < more:
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

    cdef bint _whole_frame(self, const uint8_t **body, uint64_t *length) noexcept:
        """Whether the next frame is all there and within the limit, and if so where its body is."""
        cdef const uint8_t *prefix
        if self._error is not None or self._end - self._start < PREFIX:
            return False
        prefix = self._buffer + self._start
        length[0] = (<uint64_t>prefix[0] << 24) | (<uint64_t>prefix[1] << 16) | (<uint64_t>prefix[2] << 8) | prefix[3]
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
        while self._end - self._start >= PREFIX and (max_items == 0 or taken < max_items):
            prefix = self._buffer + self._start
            length = (<uint64_t>prefix[0] << 24) | (<uint64_t>prefix[1] << 16) | (<uint64_t>prefix[2] << 8) | prefix[3]
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
        cdef const uint8_t *stream = NULL
        cdef size_t stream_bytes = 0
        cdef uint64_t sequence = 0
        cdef const uint8_t *payload = NULL
        cdef size_t payload_bytes = 0
        if _scan_row(body, body + length, &stream, &stream_bytes, &sequence, &payload, &payload_bytes):
            name = self._name(stream, stream_bytes)
        if name is not None:
            row = Row.__new__(Row)
            row.stream = name
            row.sequence = sequence
            row.payload = PyBytes_FromStringAndSize(<const char *>payload, payload_bytes)
            return row
        parts = decode_body(PyBytes_FromStringAndSize(<const char *>body, length))
        return parts if type(parts) is Message else Row(*parts)

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


cdef bint _scan_row(
    const uint8_t *p,
    const uint8_t *end,
    const uint8_t **stream,
    size_t *stream_bytes,
    uint64_t *sequence,
    const uint8_t **payload,
    size_t *payload_bytes,
) noexcept nogil:
    """Whether [p, end) is a canonical data row, and if so where its parts are."""
    cdef int high = 0
    cdef const uint8_t *q
    cdef uint64_t digit
    cdef uint64_t value = 0
    if end - p < HEAD_BYTES + SEQUENCE_BYTES + 1 + PAYLOAD_BYTES + 1 + TAIL_BYTES:
        return False
    if memcmp(p, ROW_HEAD, HEAD_BYTES) or memcmp(end - TAIL_BYTES, ROW_TAIL, TAIL_BYTES):
        return False
    end -= TAIL_BYTES
    p += HEAD_BYTES
    q = json_plain_end_within(p, end, end + TAIL_BYTES, &high)
    if q < end and q[0] == c"\\":
        q = json_skip_string(p, end, end + TAIL_BYTES)
        if q == NULL:
            return False
        q -= 1
        high = 0
    if end - q < SEQUENCE_BYTES + 1 + PAYLOAD_BYTES + 1 or memcmp(q, ROW_SEQUENCE, SEQUENCE_BYTES):
        return False
    if high and not json_is_utf8(p, q):
        return False
    stream[0] = p
    stream_bytes[0] = q - p
    p = q + SEQUENCE_BYTES
    q = p
    while q < end and json_is_digit(q[0]):
        digit = q[0] - c"0"
        if value > (<uint64_t>0xFFFFFFFFFFFFFFFF - digit) // 10:
            return False
        value = 10 * value + digit
        q += 1
    if q == p or (p[0] == c"0" and q - p > 1):
        return False
    if end - q < PAYLOAD_BYTES + 1 or memcmp(q, ROW_PAYLOAD, PAYLOAD_BYTES):
        return False
    q += PAYLOAD_BYTES
    # The full decoder leaves spaces around a payload out; so that both agree, such a row is left to it.
    if json_is_space(q[0]) or json_is_space((end - 1)[0]):
        return False
    sequence[0] = value
    payload[0] = q
    payload_bytes[0] = end - q
    return True


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


# -- encoding --


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


# -- validation --


def is_json(text):
    """Whether `text` is exactly one JSON value: RFC 8259, valid UTF-8, at most 1024 levels deep.

    A lone surrogate in an escape, or a number that fits no float, is JSON all the same.

    Raises:
        UsageError: `text` is not bytes.
    """
    _check_bytes("validating JSON", text)
    cdef const uint8_t *start = <const uint8_t *>PyBytes_AS_STRING(text)
    return bool(json_is_value(start, start + PyBytes_GET_SIZE(text), start + PyBytes_GET_SIZE(text)))


def json_text(text):
    """`text` itself, if it is JSON: what decodes rows of type `bytes`.

    Raises:
        ValueError: It is not.
        UsageError: `text` is not bytes.
    """
    if not is_json(text):
        raise ValueError("not JSON")
    return text


include "row_cursor.pxi"
include "ring.pxi"
include "row_writer.pxi"
