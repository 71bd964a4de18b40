# The parent's path of rows; a part of `_frames.pyx`, and the twin of `wire.frames_py.row_cursor`.


@cython.final
cdef class Flag:
    """A bool that every thread sees at once; once set, it stays."""

    cdef readonly bint is_set

    def set(self):
        """Set it."""
        self.is_set = True


@cython.final
cdef class FlatStruct:
    """Decodes rows of a msgspec Struct that has only str, int and bool fields, faster than msgspec does.

    Makes no decision about what is right: a text that is not of the plainest form is declined, for msgspec to decode or
    to refuse. The pure twin declines all.

    Args:
        kind: The Struct.
        fields: For each field: its attribute, its key in JSON, and which of "str", "int", "bool", "none" it may be.
    """

    cdef flat_struct _layout
    cdef object _kind
    cdef bint _usable

    def __init__(self, kind, fields):
        cdef int i
        cdef bytes text
        flat_struct_clear(&self._layout)
        self._kind = kind
        self._layout.type = <PyTypeObject *><PyObject *>kind
        self._usable = 1 <= len(fields) <= FLAT_MAX_FIELDS
        if not self._usable:
            return
        self._layout.field_count = len(fields)
        numbers = {"str": FLAT_STR, "int": FLAT_INT, "bool": FLAT_BOOL, "none": FLAT_NONE}
        for i, (attribute, key, kinds) in enumerate(fields):
            text = orjson.dumps(key) + b":"
            offset = flat_slot_offset(inspect.getattr_static(kind, attribute))
            if offset < 0 or len(text) > FLAT_MAX_KEY:
                self._usable = False
                return
            flat_set_key(&self._layout.fields[i], PyBytes_AS_STRING(text), len(text))
            self._layout.fields[i].kinds = sum({numbers[name] for name in kinds})
            self._layout.fields[i].offset = offset
            self._layout.next[i] = i + 1 if i + 1 < len(fields) else 0
        self._layout.next[len(fields)] = 0

    def __dealloc__(self):
        flat_struct_clear(&self._layout)

    def decode(self, text):
        """The value, or None: declined."""
        _check_bytes("decoding a flat row", text)
        cdef const uint8_t *start = <const uint8_t *>PyBytes_AS_STRING(text)
        return self._read(start, start + PyBytes_GET_SIZE(text), start + PyBytes_GET_SIZE(text))

    cdef object _read(self, const uint8_t *start, const uint8_t *end, const uint8_t *limit):
        if not self._usable:
            return None
        cdef PyObject *found = flat_struct_read(&self._layout, start, end, limit)
        if found == NULL:
            return None
        value = <object>found
        Py_DECREF(value)  # the cast took a reference of its own
        return value


cdef class RowCursor:
    """The rows of one request: cut out of a reader's bytes, checked for gaps, decoded, and handed out one at a time.

    All rows at hand are decoded by one `fill`, into nothing but the caller's values. `next` hands them out, and ends
    when none is left or when `halted` is set; it goes on after the next `fill`. One thread at a time uses it.

    Args:
        reader: Where the bytes are.
        halted: Set, from any thread, to hand out no further row.
        decode_text: From a row's JSON text to its value; None: `decode_row` has to see the whole row.
        decode_row: The same from a `Row`, for texts that `decode_text` refuses; its error is the caller's.
        flat: Tried first, if given.

    Attributes:
        rows_delivered: How many rows were handed out.
    """

    cdef FrameReader _reader
    cdef Flag _halted
    cdef object _decode_text
    cdef object _decode_row
    cdef FlatStruct _flat
    cdef bint _is_text
    cdef bint _filling
    cdef list _values
    cdef Py_ssize_t _position
    cdef uint64_t _delivered_before
    cdef object _last_before
    cdef dict _numbers
    cdef list _streams
    cdef uint64_t *_due
    cdef Py_ssize_t _due_capacity
    cdef uint32_t *_stream_of
    cdef Py_ssize_t _row_capacity
    cdef row_heads _heads

    def __init__(self, FrameReader reader not None, Flag halted not None, decode_text, decode_row, FlatStruct flat=None):
        self._reader = reader
        self._halted = halted
        self._decode_text = decode_text
        self._decode_row = decode_row
        self._flat = flat
        self._is_text = decode_text is json_text  # which needs no call
        self._values = []
        self._numbers = {}
        self._streams = []

    def __dealloc__(self):
        free(self._due)
        free(self._stream_of)

    def __iter__(self):
        return self

    def __next__(self):
        cdef Py_ssize_t position = self._position
        if position < len(self._values) and not self._halted.is_set:
            self._position = position + 1
            return self._values[position]
        raise StopIteration

    def take_rows(self):
        """Hand out all rows at hand at once, in order; [] if none is left or `halted` is set."""
        cdef Py_ssize_t position = self._position
        if self._halted.is_set:
            return []
        self._position = len(self._values)
        return self._values[position:]

    def take_by_stream(self):
        """Hand out all rows at hand at once, each stream's in order; {} if none is left or `halted` is set."""
        cdef Py_ssize_t position = self._position
        cdef Py_ssize_t i
        cdef list rows = self.take_rows()
        cdef dict found = {}
        cdef list lists = [None] * len(self._streams)
        for i in range(len(rows)):
            of_stream = lists[self._stream_of[position + i]]
            if of_stream is None:
                of_stream = lists[self._stream_of[position + i]] = []
                found[self._streams[self._stream_of[position + i]]] = of_stream
            (<list>of_stream).append(rows[i])
        return found

    @property
    def rows_delivered(self):
        return self._delivered_before + self._position

    def last(self):
        """Stream and sequence of the row that was handed out last, or None."""
        cdef uint32_t number
        cdef uint64_t later = 0
        cdef Py_ssize_t i
        if self._position == 0:
            return self._last_before
        number = self._stream_of[self._position - 1]
        for i in range(self._position, len(self._values)):
            later += self._stream_of[i] == number
        return self._streams[number], self._due[number] - 1 - later

    def counts(self):
        """Number of decoded rows of each stream."""
        return {stream: self._due[number] for stream, number in self._numbers.items() if self._due[number]}

    def drop(self):
        """Forget the rows that were decoded and not handed out."""
        self._last_before = self.last()
        self._delivered_before += self._position
        self._position = 0
        self._values = []

    def fill(self):
        """Decode the rows at hand, up to the first message or bad frame, and say how many; the ones before must be out.

        0: what comes next is for `FrameReader.take`, or it is not all there yet. A row that is refused is refused when
        all before it were handed out, by this and every later call.

        Raises:
            SequenceGap: A row is missing or double.
            UsageError: It is called while it runs.
            Exception: What `decode_row` raises.
        """
        if self._filling:
            raise UsageError("filling a row cursor: a decoder of the row asked for the next row")
        self.drop()
        self._filling = True
        try:
            while self._fill_one():
                pass
        except Exception as error:
            # The next call meets a refused row again. What a signal handler has raised only this one can tell.
            if not self._values or not (isinstance(error, MemoryError) or self._is_met_again(error)):
                raise
        finally:
            self._filling = False
        return len(self._values)

    cdef bint _is_met_again(self, error) except -1:
        """Whether the next row is refused in the same way, asked once more."""
        try:
            self._fill_one()
        except Exception as second:
            return type(second) is type(error)
        return False

    cdef inline bint _fill_one(self) except -1:
        cdef FrameReader reader = self._reader
        cdef const uint8_t *body = NULL
        cdef uint64_t length = 0
        cdef const row_head *head
        cdef row_parts parts
        cdef uint32_t number
        cdef str name = None
        cdef bytes text
        if not reader._whole_frame(&body, &length):
            return False
        head = row_heads_find(&self._heads, body, body + length)
        if head != NULL and row_scan_rest(body + head.bytes, body + length, &parts):
            number = head.number
            self._expect(number, parts.sequence)
            self._values.append(self._value(number, parts.sequence, parts.payload, parts.payload_bytes, reader._readable))
        else:
            if row_scan(body, body + length, reader._readable, &parts):
                name = reader._name(parts.stream, parts.stream_bytes)
            if name is not None:
                number = self._number(name)
                row_heads_add(&self._heads, body, &parts, number)
                self._expect(number, parts.sequence)
                self._values.append(
                    self._value(number, parts.sequence, parts.payload, parts.payload_bytes, reader._readable)
                )
            else:
                try:
                    read = decode_body(PyBytes_FromStringAndSize(<const char *>body, length))
                except LeanWorkerError:
                    return False  # for `take` to report
                if type(read) is Message:
                    return False
                name, sequence, text = read
                number = self._number(name)
                self._expect(number, sequence)
                self._values.append(
                    self._value(number, sequence, <const uint8_t *>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), NULL)
                )
        self._due[number] += 1
        self._stream_of[len(self._values) - 1] = number
        reader._start += PREFIX + length
        return True

    cdef inline int _expect(self, uint32_t number, uint64_t sequence) except -1:
        """`sequence` is due in the stream of that number; makes room for one row more."""
        cdef Py_ssize_t capacity
        if self._due[number] != sequence:
            raise sequence_gap(self._streams[number], self._due[number], sequence)
        if len(self._values) == self._row_capacity:
            capacity = 2 * self._row_capacity if self._row_capacity else 256
            self._stream_of = <uint32_t *>_grown(self._stream_of, capacity * sizeof(uint32_t))
            self._row_capacity = capacity
        return 0

    cdef uint32_t _number(self, str stream) except? 0xFFFFFFFF:
        """The stream's number; a new stream gets the next one."""
        cdef Py_ssize_t capacity
        found = self._numbers.get(stream)
        if found is None:
            found = len(self._streams)
            if found == self._due_capacity:
                capacity = 2 * self._due_capacity if self._due_capacity else 8
                self._due = <uint64_t *>_grown(self._due, capacity * sizeof(uint64_t))
                self._due_capacity = capacity
            self._due[<Py_ssize_t>found] = 0
            self._streams.append(stream)
            self._numbers[stream] = found
        return found

    cdef inline object _value(
        self, uint32_t number, uint64_t sequence, const uint8_t *payload, size_t payload_bytes, const uint8_t *limit
    ):
        """The value of a row; memory can be read up to `limit`, if given."""
        cdef const uint8_t *end = payload + payload_bytes
        cdef Row row
        cdef bytes text
        if limit == NULL:
            limit = end
        if self._flat is not None:
            value = self._flat._read(payload, end, limit)
            if value is not None:
                return value
        text = PyBytes_FromStringAndSize(<const char *>payload, payload_bytes)
        if self._is_text:
            if json_is_value(payload, end, limit):
                return text
        elif self._decode_text is not None:
            try:
                return self._decode_text(text)
            except (ValueError, RecursionError):
                pass  # `decode_row` says why, or knows another reading
        row = Row.__new__(Row)
        row.stream = self._streams[number]
        row.sequence = sequence
        row.payload = text
        return self._decode_row(row)


cdef class RowIterator:
    """The rows of a cursor, without the cursor's other methods: base of the iterators that users hold.

    Args:
        rows: The cursor. When it has no row at hand, `next` returns what the subclass's `_advance` returns.
    """

    cdef RowCursor _cursor

    def __init__(self, RowCursor rows not None):
        self._cursor = rows

    def __iter__(self):
        return self

    def __next__(self):
        cdef RowCursor rows = self._cursor
        cdef Py_ssize_t position = rows._position
        if position < len(rows._values) and not rows._halted.is_set:
            rows._position = position + 1
            return rows._values[position]
        return self._advance()

    def _advance(self):
        raise StopIteration


cdef void *_grown(void *memory, size_t size_bytes) except NULL:
    cdef void *grown = realloc(memory, size_bytes)
    if grown == NULL:
        raise MemoryError
    return grown
