/* Reads a flat JSON object straight into the slots of a msgspec Struct, or declines.

   Owns the fast case only: an object without spaces, with exactly the declared fields, each once, of kinds str, int
   (up to 18 digits), bool, or null where that is allowed. It never refuses: for everything else it declines, and msgspec
   decodes the same text, so that what is accepted, what it becomes and what an error says is msgspec's alone. The GIL is
   held. */
#ifndef LEAN_WORKER_FLAT_STRUCT_H
#define LEAN_WORKER_FLAT_STRUCT_H

#include <Python.h>
#include <structmember.h>

#include "json_scan.h"
#include "wide_copy.h"

#define FLAT_MAX_FIELDS 32
#define FLAT_MAX_KEY 62
#define FLAT_INT_DIGITS 18
#define FLAT_RECENT_BYTES 64
#define FLAT_MISSES 1000

enum { FLAT_STR = 1, FLAT_INT = 2, FLAT_BOOL = 4, FLAT_NONE = 8 };

typedef struct {
    char key[FLAT_MAX_KEY + 3]; /* with its quotes and colon */
    size_t key_bytes;
    uint64_t key_start, key_mask; /* its first bytes, at most eight, and ones for each */
    int kinds;
    Py_ssize_t offset;
    PyObject *recent[2]; /* its last two short ASCII strings: a kind or a module name comes again and again */
    long misses;         /* lookups in vain, less eight times the others; too many end them */
} flat_field;

typedef struct {
    PyTypeObject *type;
    int field_count;
    flat_field fields[FLAT_MAX_FIELDS];
    int next[FLAT_MAX_FIELDS + 1]; /* which field followed the one before; the last entry is for the first field */
    uint8_t *scratch; /* for strings with escapes */
    size_t scratch_bytes;
} flat_struct;

/* Where the slot of a member descriptor is; -1 if `descriptor` is none. */
static inline Py_ssize_t flat_slot_offset(PyObject *descriptor) {
    if (!PyObject_TypeCheck(descriptor, &PyMemberDescr_Type)) return -1;
    PyMemberDef *member = ((PyMemberDescrObject *)descriptor)->d_member;
    return member->type == T_OBJECT_EX || member->type == T_OBJECT ? member->offset : -1;
}

static inline PyObject *flat_text(const uint8_t *p, size_t bytes, int high) {
    if (high) {
        PyObject *text = PyUnicode_DecodeUTF8((const char *)p, (Py_ssize_t)bytes, NULL);
        if (!text) PyErr_Clear();
        return text;
    }
    PyObject *text = PyUnicode_New((Py_ssize_t)bytes, 127);
    if (text) wide_copy(PyUnicode_1BYTE_DATA(text), p, bytes);
    else PyErr_Clear();
    return text;
}

/* The same text as an object that is there already, if the field had it in one of the last two rows. */
static inline PyObject *flat_plain_text(flat_field *field, const uint8_t *p, size_t bytes, int high) {
    if (high || bytes > FLAT_RECENT_BYTES || field->misses > FLAT_MISSES) return flat_text(p, bytes, high);
    for (int i = 0; i < 2; i++) {
        PyObject *known = field->recent[i];
        if (known && (size_t)PyUnicode_GET_LENGTH(known) == bytes && !memcmp(PyUnicode_1BYTE_DATA(known), p, bytes)) {
            field->misses -= field->misses > -FLAT_MISSES ? 8 : 0;
            Py_INCREF(known);
            return known;
        }
    }
    field->misses++;
    PyObject *text = flat_text(p, bytes, high);
    if (text) {
        Py_XDECREF(field->recent[1]);
        field->recent[1] = field->recent[0];
        Py_INCREF(text);
        field->recent[0] = text;
    }
    return text;
}

/* Four hexadecimal digits, or -1. */
static inline int flat_hex4(const uint8_t *p) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        if (!json_is_hex(p[i])) return -1;
        value = value << 4 | (json_is_digit(p[i]) ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    }
    return value;
}

/* A string with escapes; `*at` is just past its opening quote, and then just past the closing one. */
static inline PyObject *flat_escaped_text(flat_struct *s, const uint8_t **at, const uint8_t *end, const uint8_t *limit) {
    const uint8_t *p = *at;
    size_t used = 0;
    int high = 0;
    for (;;) {
        const uint8_t *stop = json_plain_end_within(p, end, limit, &high);
        size_t plain = (size_t)(stop - p);
        if (used + plain + 4 > s->scratch_bytes) {
            size_t bytes = 2 * (used + plain) + 256;
            uint8_t *scratch = (uint8_t *)realloc(s->scratch, bytes);
            if (!scratch) return NULL;
            s->scratch = scratch;
            s->scratch_bytes = bytes;
        }
        uint8_t *out = s->scratch;
        memcpy(out + used, p, plain);
        used += plain;
        p = stop;
        if (p < end && *p == '"') break;
        if (end - p < 2 || *p != '\\') return NULL;
        switch (p[1]) {
        case '"': case '\\': case '/': out[used++] = p[1]; break;
        case 'b': out[used++] = '\b'; break;
        case 'f': out[used++] = '\f'; break;
        case 'n': out[used++] = '\n'; break;
        case 'r': out[used++] = '\r'; break;
        case 't': out[used++] = '\t'; break;
        case 'u': {
            int c = end - p < 6 ? -1 : flat_hex4(p + 2);
            if (c < 0 || (c >= 0xD800 && c <= 0xDFFF)) return NULL; /* msgspec pairs surrogates */
            if (c < 0x80) {
                out[used++] = (uint8_t)c;
            } else if (c < 0x800) {
                out[used++] = (uint8_t)(0xC0 | c >> 6);
                out[used++] = (uint8_t)(0x80 | (c & 0x3F));
            } else {
                out[used++] = (uint8_t)(0xE0 | c >> 12);
                out[used++] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
                out[used++] = (uint8_t)(0x80 | (c & 0x3F));
            }
            if (c >= 0x80) high = 1;
            p += 4;
            break;
        }
        default: return NULL;
        }
        p += 2;
    }
    *at = p + 1;
    return flat_text(s->scratch, used, high);
}

/* The value at `*at`, of one of the field's kinds, as a new reference; NULL: decline. */
static inline PyObject *flat_value(flat_struct *s, flat_field *field, const uint8_t **at, const uint8_t *end, const uint8_t *limit) {
    const uint8_t *p = *at;
    int kinds = field->kinds;
    if (p == end) return NULL;
    if (*p == '"') {
        if (!(kinds & FLAT_STR)) return NULL;
        int high = 0;
        const uint8_t *stop = json_plain_end_within(++p, end, limit, &high);
        if (stop == end) return NULL;
        if (*stop == '\\') {
            *at = p;
            return flat_escaped_text(s, at, end, limit);
        }
        if (*stop != '"') return NULL;
        *at = stop + 1;
        return flat_plain_text(field, p, (size_t)(stop - p), high);
    }
    if (*p == 't' || *p == 'f' || *p == 'n') {
        static const struct { const char *word; size_t bytes; int kind; } words[] = {
            {"true", 4, FLAT_BOOL}, {"false", 5, FLAT_BOOL}, {"null", 4, FLAT_NONE}};
        int which = *p == 't' ? 0 : *p == 'f' ? 1 : 2;
        if (!(kinds & words[which].kind)) return NULL;
        if (!(p = json_skip_word(p, end, words[which].word, words[which].bytes))) return NULL;
        *at = p;
        PyObject *value = which == 0 ? Py_True : which == 1 ? Py_False : Py_None;
        Py_INCREF(value);
        return value;
    }
    if (!(kinds & FLAT_INT)) return NULL;
    int negative = *p == '-';
    p += negative;
    const uint8_t *digits = p;
    int64_t number = 0;
    while (p < end && json_is_digit(*p) && p - digits < FLAT_INT_DIGITS) number = 10 * number + (*p++ - '0');
    /* A longer number, a fraction or an exponent goes on after this, where a separator has to be. */
    if (p == digits || (*digits == '0' && p - digits > 1)) return NULL;
    *at = p;
    return PyLong_FromLongLong(negative ? -number : number);
}

static inline void flat_set_key(flat_field *field, const char *key, size_t bytes) {
    memset(field->key, 0, sizeof field->key);
    memcpy(field->key, key, bytes);
    field->key_bytes = bytes;
    field->key_start = field->key_mask = 0;
    size_t first = bytes < 8 ? bytes : 8;
    memcpy(&field->key_start, key, first);
    memset(&field->key_mask, 0xff, first);
}

static inline int flat_key_is(const flat_field *field, const uint8_t *p, const uint8_t *end, const uint8_t *limit) {
    uint64_t start;
    if ((size_t)(end - p) <= field->key_bytes) return 0;
    if (limit - p < 8) return !memcmp(p, field->key, field->key_bytes);
    memcpy(&start, p, 8);
    if ((start & field->key_mask) != field->key_start) return 0;
    return field->key_bytes <= 8 || !memcmp(p + 8, field->key + 8, field->key_bytes - 8);
}

/* An object of the type with empty slots. The collector does not know it: strings and numbers are in no cycle. */
static inline PyObject *flat_new(PyTypeObject *type) {
    unsigned long before = 0; /* flags of objects with something before their head */
#ifdef Py_TPFLAGS_MANAGED_DICT
    before |= Py_TPFLAGS_MANAGED_DICT;
#endif
#ifdef Py_TPFLAGS_MANAGED_WEAKREF
    before |= Py_TPFLAGS_MANAGED_WEAKREF;
#endif
    PyObject *object;
    if (type->tp_itemsize || type->tp_dictoffset || type->tp_weaklistoffset || (type->tp_flags & before) ||
        !(type->tp_flags & Py_TPFLAGS_HAVE_GC)) {
        object = type->tp_alloc(type, 0);
        if (object && PyObject_IS_GC(object)) PyObject_GC_UnTrack(object);
        return object;
    }
    if ((object = PyObject_GC_New(PyObject, type))) memset(object + 1, 0, (size_t)type->tp_basicsize - sizeof(PyObject));
    return object;
}

/* A new object of the Struct's type, or NULL without an exception: let msgspec decode [p, end). Memory can be read up to
   `limit`. */
static inline PyObject *flat_struct_read(flat_struct *s, const uint8_t *p, const uint8_t *end, const uint8_t *limit) {
    if (p == end || *p++ != '{') return NULL;
    PyObject *object = flat_new(s->type);
    if (!object) {
        PyErr_Clear();
        return NULL;
    }
    int previous = s->field_count;
    for (int i = 0; i < s->field_count; i++) {
        int at = s->next[previous];
        if (!flat_key_is(&s->fields[at], p, end, limit)) {
            for (at = 0; at < s->field_count && !flat_key_is(&s->fields[at], p, end, limit);) at++;
            if (at == s->field_count) goto decline;
            s->next[previous] = at; /* the next row has its keys in the same order, as a rule */
        }
        previous = at;
        PyObject **slot = (PyObject **)((char *)object + s->fields[at].offset);
        if (*slot) goto decline; /* a key that comes twice */
        p += s->fields[at].key_bytes;
        if (!(*slot = flat_value(s, &s->fields[at], &p, end, limit))) goto decline;
        if (p == end || *p++ != (i + 1 < s->field_count ? ',' : '}')) goto decline;
    }
    if (p != end) goto decline;
    return object;
decline:
    PyErr_Clear();
    Py_DECREF(object);
    return NULL;
}

static inline void flat_struct_clear(flat_struct *s) {
    for (int i = 0; i < s->field_count; i++) {
        Py_CLEAR(s->fields[i].recent[0]);
        Py_CLEAR(s->fields[i].recent[1]);
    }
    free(s->scratch);
    s->scratch = NULL;
}

#endif
