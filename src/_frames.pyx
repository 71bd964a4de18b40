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
from cpython.exc cimport PyErr_Clear, PyErr_Occurred
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove

import os

import msgspec

from lean_worker.base.deferred import Deferred
from lean_worker.wire.envelope import MAX_SEQUENCE, PROTOCOL_VERSION, Message, decode_body
from lean_worker.events import Diagnostic, Progress, StreamRow
from lean_worker.errors import FrameTooLarge, LeanWorkerError, MalformedFrame, SequenceGap, UsageError

# Both import `inspect` and what that needs, a third of a worker's start; only some row types need them.
inspect = Deferred("inspect")
orjson = Deferred("orjson")


cdef extern from "json_scan.h" nogil:
    const uint8_t *json_plain_end(const uint8_t *p, const uint8_t *end, int *high)
    int json_is_utf8(const uint8_t *p, const uint8_t *end)
    int json_is_value(const uint8_t *p, const uint8_t *end, const uint8_t *limit)
    const char *plain_text_code(int wide)

cdef extern from "flat_struct.h":
    const int FLAT_STR
    const int FLAT_INT
    const int FLAT_BOOL
    const int FLAT_NONE
    const int FLAT_MAX_FIELDS
    const int FLAT_MAX_KEY
    ctypedef struct flat_field:
        int kinds
        Py_ssize_t offset
    ctypedef struct flat_struct:
        PyTypeObject *type
        int field_count
        flat_field *fields
        int *next
    void flat_struct_clear(flat_struct *s)
    void flat_set_key(flat_field *field, const char *key, size_t count)
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
        size_t last_stream
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


cdef extern from "Python.h":
    const char *utf8_of "PyUnicode_AsUTF8AndSize"(object text, Py_ssize_t *count)  # NULL with an exception


cdef const char *_name_text(str what, object value, Py_ssize_t *count) except NULL:
    """The same without a copy: `value` owns the text."""
    cdef const char *text
    if type(value) is str:
        text = utf8_of(value, count)
        if text != NULL:
            return text
        PyErr_Clear()
    _encode_name(what, value)  # which says what is wrong
    raise AssertionError


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


def _scan_code(int wide=-1):
    """Choose the code that scans long texts, for tests: with 0 the baseline from now on, with 1 the best there is."""
    return plain_text_code(wide).decode()


include "frame_reader.pxi"
include "frame_encoding.pxi"
include "row_cursor.pxi"
include "ring.pxi"
include "row_writer.pxi"
