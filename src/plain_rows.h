/* Rows from plain Python values: encoded where the frame stands, without a text of their own, and without a check.

   Owns how `plain_json.h` and `row_writer.h` meet. Declines whatever would need a wait for another thread before it is
   encoded; the caller then takes the long way, with the same bytes and the same errors. The GIL is held. */
#ifndef LEAN_WORKER_PLAIN_ROWS_H
#define LEAN_WORKER_PLAIN_ROWS_H

#include "plain_json.h"
#include "row_writer.h"

enum { PLAIN_LEAST_ROOM_BYTES = 256 };

/* Encode a row's frame at `frame`, within `room` bytes: its bytes in all, or PLAIN_DECLINED or PLAIN_NO_ROOM. */
static inline Py_ssize_t plain_rows_frame(row_stream *s, uint8_t *frame, size_t room, PyObject *value, plain_output *out) {
    size_t around = row_writer_frame_bytes(s);
    if (room < around + PLAIN_LEAST_ROOM_BYTES) return PLAIN_NO_ROOM;
    out->at = row_writer_put_head(frame, s);
    out->end = frame + room - LITERAL_BYTES(ROW_TAIL);
    int status = plain_put(out, value, 0);
    return status ? status : (Py_ssize_t)row_writer_put_tail(frame, out->at);
}

/* The same into the writer's own buffer, which grows; what is over the limit is declined, for others to refuse. */
static inline Py_ssize_t plain_rows_buffered(row_writer *w, row_stream *s, PyObject *value, plain_output *out) {
    size_t room = row_writer_frame_bytes(s) + 1024;
    for (;;) {
        if (!row_writer_begin_frame(w, room)) return PLAIN_DECLINED;
        Py_ssize_t bytes = plain_rows_frame(s, w->buffer, w->capacity, value, out);
        if (bytes != PLAIN_NO_ROOM) return bytes;
        if (w->capacity / 8 > w->limit_bytes) return PLAIN_DECLINED; /* escapes ask for room that they may not need */
        room = 2 * w->capacity;
    }
}

/* Write one row; a status, or PLAIN_DECLINED and no change. */
static inline int plain_rows_put(row_writer *w, const char *stream, size_t stream_bytes, PyObject *value, plain_output *out) {
    if (!stream_bytes || pthread_mutex_trylock(&w->lock)) return PLAIN_DECLINED;
    int status = row_writer_refusal(w);
    row_stream *s = status ? NULL : row_writer_stream(w, stream, stream_bytes, &status);
    Py_ssize_t bytes = PLAIN_NO_ROOM;
    if (!s) goto unlock;
    if (w->ring.memory && !w->progress) {
        uint8_t *frame;
        uint64_t room = ring_room(&w->ring, row_writer_frame_bytes(s) + PLAIN_LEAST_ROOM_BYTES, &frame);
        bytes = plain_rows_frame(s, frame, room, value, out);
        if (bytes > 0 && !row_writer_is_too_large(w, (size_t)bytes - FRAME_PREFIX_BYTES)) {
            ring_publish(&w->ring, (uint64_t)bytes);
            status = row_writer_row_done(w, s, STATUS_OK);
            goto unlock;
        }
    }
    if (bytes == PLAIN_NO_ROOM) bytes = plain_rows_buffered(w, s, value, out);
    if (bytes < 0 || row_writer_is_too_large(w, (size_t)bytes - FRAME_PREFIX_BYTES)) {
        status = PLAIN_DECLINED;
        goto unlock;
    }
    w->used = (size_t)bytes;
    Py_BEGIN_ALLOW_THREADS /* others that hold the GIL only try the lock */
    status = row_writer_row_done(w, s, row_writer_end_frame(w));
    pthread_mutex_unlock(&w->lock);
    Py_END_ALLOW_THREADS
    return status;
unlock:
    pthread_mutex_unlock(&w->lock);
    return status;
}

/* A new capsule with the layout of a Struct type, whose keys are those of `keys`; NULL with an exception. */
static inline void plain_layout_free(PyObject *capsule) { free(PyCapsule_GetPointer(capsule, NULL)); }

static inline PyObject *plain_layout_new(PyObject *keys, PyObject *offsets) {
    Py_ssize_t count = PyTuple_GET_SIZE(keys);
    size_t text_bytes = 0, size = sizeof(plain_layout) + (size_t)count * sizeof(plain_field);
    for (Py_ssize_t i = 0; i < count; i++) text_bytes += (size_t)PyBytes_GET_SIZE(PyTuple_GET_ITEM(keys, i));
    plain_layout *layout = (plain_layout *)malloc(size + text_bytes);
    if (!layout) return PyErr_NoMemory();
    char *text = (char *)layout + size;
    layout->field_count = (int)count;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *key = PyTuple_GET_ITEM(keys, i);
        size_t bytes = (size_t)PyBytes_GET_SIZE(key);
        memcpy(text, PyBytes_AS_STRING(key), bytes);
        layout->fields[i] = (plain_field){text, bytes, PyLong_AsSsize_t(PyTuple_GET_ITEM(offsets, i))};
        text += bytes;
    }
    PyObject *capsule = PyCapsule_New(layout, NULL, plain_layout_free);
    if (!capsule) free(layout);
    return capsule;
}

#endif
