/* Writes a plain Python value as JSON text straight to where it is sent from, or declines.

   Owns the fast case only: dicts with keys of type str, lists, tuples, str, int of 64 bits, float, bool, None, each of
   exactly that type, and msgspec Structs of them whose layout is known. What it writes is what orjson writes for the same
   value, so it is JSON and needs no check. It never refuses: everything else it declines, for the full encoder to write
   or to refuse. Runs no Python code and takes no lock; the GIL is held. */
#ifndef LEAN_WORKER_PLAIN_JSON_H
#define LEAN_WORKER_PLAIN_JSON_H

#include <Python.h>

#include "json_scan.h"
#include "wide_copy.h"

#define PLAIN_MAX_DEPTH 64
#define PLAIN_SLACK_BYTES 32 /* room that is asked for beyond each text, so that the scan may look at 16 bytes at once */
#define PLAIN_INT_BYTES 24

enum { PLAIN_DECLINED = -1, PLAIN_NO_ROOM = -2, PLAIN_WRITTEN = 0 };

typedef struct {
    uint8_t *at;        /* where the next byte goes */
    uint8_t *end;       /* where memory ends */
    PyObject *layouts;  /* a dict from Struct types to capsules of `plain_layout`, or to None */
    PyTypeObject *meta; /* the type of those types, and of no others: theirs may run Python code to be compared */
} plain_output;

/* How msgspec writes the objects of one Struct type. */
typedef struct {
    const char *key; /* with its quotes and colon */
    size_t key_bytes;
    Py_ssize_t offset;
} plain_field;

typedef struct {
    int field_count;
    plain_field fields[];
} plain_layout;

static inline size_t plain_room(const plain_output *out) { return (size_t)(out->end - out->at); }

static inline int plain_put_word(plain_output *out, const char *word, size_t bytes) {
    if (plain_room(out) < bytes + PLAIN_SLACK_BYTES) return PLAIN_NO_ROOM;
    memcpy(out->at, word, bytes);
    out->at += bytes;
    return PLAIN_WRITTEN;
}

static inline uint8_t *plain_put_escape(uint8_t *to, uint8_t c) {
    static const char hex[] = "0123456789abcdef";
    static const char names[] = "btn\0fr"; /* of 8 to 13 */
    *to++ = '\\';
    if (c == '"' || c == '\\') {
        *to++ = c;
    } else if (c >= 8 && c <= 13 && c != 11) {
        *to++ = (uint8_t)names[c - 8];
    } else {
        memcpy(to, "u00", 3);
        to[3] = (uint8_t)hex[c >> 4];
        to[4] = (uint8_t)hex[c & 15];
        to += 5;
    }
    return to;
}

/* A string with its quotes. */
static inline int plain_put_str(plain_output *out, PyObject *text) {
    const uint8_t *from;
    Py_ssize_t length;
#if PY_VERSION_HEX < 0x030C0000
    if (!PyUnicode_IS_READY(text)) return PLAIN_DECLINED;
#endif
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        from = PyUnicode_1BYTE_DATA(text);
        length = PyUnicode_GET_LENGTH(text);
    } else if (!(from = (const uint8_t *)PyUnicode_AsUTF8AndSize(text, &length))) {
        PyErr_Clear();
        return PLAIN_DECLINED;
    }
    size_t bytes = (size_t)length;
    if (plain_room(out) < bytes + PLAIN_SLACK_BYTES) return PLAIN_NO_ROOM;
    uint8_t *to = out->at;
    *to++ = '"';
    wide_copy(to, from, bytes);
    int high = 0;
    const uint8_t *stop = plain_text_end(to, to + bytes, to + bytes + 16, &high);
    to += stop - to;
    if ((size_t)(to - out->at) != bytes + 1) { /* from here on a byte may become six */
        const uint8_t *p = from + (to - out->at - 1), *end = from + bytes;
        if ((size_t)(out->end - to) < 6 * (size_t)(end - p) + PLAIN_SLACK_BYTES) return PLAIN_NO_ROOM;
        while (p < end) {
            to = plain_put_escape(to, *p++);
            stop = plain_text_end(p, end, end, &high);
            memcpy(to, p, (size_t)(stop - p));
            to += stop - p;
            p = stop;
        }
    }
    *to++ = '"';
    out->at = to;
    return PLAIN_WRITTEN;
}

static inline int plain_put_int(plain_output *out, PyObject *number) {
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow) return PLAIN_DECLINED;
    if (plain_room(out) < PLAIN_INT_BYTES + PLAIN_SLACK_BYTES) return PLAIN_NO_ROOM;
    uint8_t digits[PLAIN_INT_BYTES];
    int n = PLAIN_INT_BYTES;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do digits[--n] = (uint8_t)('0' + left % 10); while (left /= 10);
    if (value < 0) digits[--n] = '-';
    memcpy(out->at, digits + n, (size_t)(PLAIN_INT_BYTES - n));
    out->at += PLAIN_INT_BYTES - n;
    return PLAIN_WRITTEN;
}

/* A float that Python and orjson spell alike; not the ones with an exponent, nor what has no JSON form. */
static inline int plain_put_float(plain_output *out, PyObject *number) {
    double value = PyFloat_AS_DOUBLE(number), size = value < 0 ? -value : value;
    if (!(size == 0 || (size >= 1e-4 && size < 1e16))) return PLAIN_DECLINED;
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (!text) {
        PyErr_Clear();
        return PLAIN_DECLINED;
    }
    int status = plain_put_word(out, text, strlen(text));
    PyMem_Free(text);
    return status;
}

static int plain_put(plain_output *out, PyObject *value, int depth);

static inline int plain_put_dict(plain_output *out, PyObject *dict, int depth) {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    int status = plain_put_word(out, "{", 1), is_first = 1;
    while (!status && PyDict_Next(dict, &at, &key, &value)) {
        if (!PyUnicode_CheckExact(key)) return PLAIN_DECLINED;
        if (!is_first) *out->at++ = ','; /* within the slack of what is asked for below */
        is_first = 0;
        if ((status = plain_put_str(out, key))) return status;
        *out->at++ = ':';
        status = plain_put(out, value, depth);
    }
    return status ? status : plain_put_word(out, "}", 1);
}

static inline int plain_put_items(plain_output *out, PyObject *const *items, Py_ssize_t count, int depth) {
    int status = plain_put_word(out, "[", 1);
    for (Py_ssize_t i = 0; !status && i < count; i++) {
        if (i) *out->at++ = ',';
        status = plain_put(out, items[i], depth);
    }
    return status ? status : plain_put_word(out, "]", 1);
}

static inline int plain_put_struct(plain_output *out, PyObject *object, int depth) {
    if (Py_TYPE(Py_TYPE(object)) != out->meta) return PLAIN_DECLINED;
    PyObject *capsule = PyDict_GetItem(out->layouts, (PyObject *)Py_TYPE(object));
    if (!capsule || !PyCapsule_CheckExact(capsule)) return PLAIN_DECLINED;
    const plain_layout *layout = (const plain_layout *)PyCapsule_GetPointer(capsule, NULL);
    int status = plain_put_word(out, "{", 1);
    for (int i = 0; !status && i < layout->field_count; i++) {
        const plain_field *field = &layout->fields[i];
        PyObject *value = *(PyObject **)((char *)object + field->offset);
        if (!value) return PLAIN_DECLINED;
        if (i) *out->at++ = ',';
        if ((status = plain_put_word(out, field->key, field->key_bytes))) return status;
        status = plain_put(out, value, depth);
    }
    return status ? status : plain_put_word(out, "}", 1);
}

/* PLAIN_WRITTEN, PLAIN_DECLINED, or PLAIN_NO_ROOM; after the last two what was written so far counts for nothing. Leaves
   at least half of PLAIN_SLACK_BYTES: a sign that follows needs no question. */
static int plain_put(plain_output *out, PyObject *value, int depth) {
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyUnicode_Type) return plain_put_str(out, value);
    if (type == &PyLong_Type) return plain_put_int(out, value);
    if (value == Py_None) return plain_put_word(out, "null", 4);
    if (value == Py_True) return plain_put_word(out, "true", 4);
    if (value == Py_False) return plain_put_word(out, "false", 5);
    if (type == &PyFloat_Type) return plain_put_float(out, value);
    if (depth == PLAIN_MAX_DEPTH) return PLAIN_DECLINED;
    if (type == &PyDict_Type) return plain_put_dict(out, value, depth + 1);
    if (type == &PyList_Type)
        return plain_put_items(out, ((PyListObject *)value)->ob_item, PyList_GET_SIZE(value), depth + 1);
    if (type == &PyTuple_Type)
        return plain_put_items(out, ((PyTupleObject *)value)->ob_item, PyTuple_GET_SIZE(value), depth + 1);
    return plain_put_struct(out, value, depth + 1);
}

#endif
