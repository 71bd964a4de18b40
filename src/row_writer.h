/* The child's writer of frames: rows, diagnostics, progress and all other messages, one write(2)
   each, or one store into a ring in shared memory. A row that fits into the ring is put together there.

   Owns the canonical spelling of a frame, sequence numbers and counts of the running stream, and the first failure of
   a row. Hides the descriptor. Any thread may call any function but row_writer_free: one mutex orders them, so frames
   are whole and sequences have no gap. Knows no Python object: hosted Lean code calls it with no interpreter lock. */
#ifndef LEAN_WORKER_ROW_WRITER_H
#define LEAN_WORKER_ROW_WRITER_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "json_scan.h"
#include "ring.h"
#include "row_spelling.h"
#include "wide_copy.h"

enum {
    STATUS_OK = 0,        /* written */
    STATUS_CANCELLED = 1, /* the parent cancelled the request */
    STATUS_MALFORMED = 2, /* no stream name, or a payload that is not JSON */
    STATUS_TOO_LARGE = 3, /* the frame is over the limit */
    STATUS_CLOSED = 4,    /* the parent does not read any more */
    STATUS_NO_STREAM = 5  /* no streaming request is running */
};

enum { ROW_WRITER_WOULD_WAIT = -1 };

#define PUT(text) row_writer_put(w, text, LITERAL_BYTES(text))
#define KEPT_BUFFER_BYTES (1u << 20)
#define FAILURE_BYTES 512

typedef struct {
    char *name;
    size_t name_bytes;
    uint8_t *head; /* all bytes of its frames between their length and their sequence */
    size_t head_bytes;
    uint64_t rows; /* also the next sequence */
} row_stream;

typedef struct {
    pthread_mutex_t lock;
    int fd;
    ring_end ring; /* takes the place of fd once it is attached */
    uint64_t limit_bytes;
    uint8_t *buffer;
    size_t used, capacity;
    row_stream *streams;
    size_t stream_count, stream_capacity, last_stream;
    uint64_t total_rows;
    int streaming, progress;
    int cancelled; /* written under the lock, or by row_writer_cancel, which waits for no row */
    int failure;   /* status of the first row that failed */
    char failure_text[FAILURE_BYTES];
} row_writer;

/* -- bytes of one frame -- */

static inline int row_writer_reserve(row_writer *w, size_t more) {
    if (w->capacity - w->used >= more) return 1;
    size_t capacity = w->capacity ? w->capacity : 4096;
    while (capacity - w->used < more) capacity *= 2;
    uint8_t *buffer = (uint8_t *)realloc(w->buffer, capacity);
    if (!buffer) return 0;
    w->buffer = buffer;
    w->capacity = capacity;
    return 1;
}

/* The caller has reserved the room. */
static inline void row_writer_put(row_writer *w, const void *bytes, size_t count) {
    memcpy(w->buffer + w->used, bytes, count);
    w->used += count;
}

/* The end of `digits` becomes the number; how many there are. */
static inline size_t row_writer_digits(uint8_t digits[U64_DIGITS], uint64_t value) {
    int n = U64_DIGITS;
    do digits[--n] = (uint8_t)('0' + value % 10); while (value /= 10);
    return (size_t)(U64_DIGITS - n);
}

static inline void row_writer_put_u64(row_writer *w, uint64_t value) {
    uint8_t digits[U64_DIGITS];
    size_t count = row_writer_digits(digits, value);
    row_writer_put(w, digits + U64_DIGITS - count, count);
}

/* The inside of a JSON string: only what must be escaped is, and text beyond ASCII stays as it is. */
static inline void row_writer_put_escaped(row_writer *w, const uint8_t *text, size_t bytes) {
    static const char hex[] = "0123456789abcdef";
    const uint8_t *end = text + bytes;
    while (text < end) {
        int high = 0;
        const uint8_t *stop = json_plain_end(text, end, &high);
        row_writer_put(w, text, (size_t)(stop - text));
        if (stop == end) return;
        uint8_t c = *stop;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        size_t escape_bytes = 6;
        switch (c) {
        case '"': case '\\': escape[1] = (char)c; escape_bytes = 2; break;
        case '\b': escape[1] = 'b'; escape_bytes = 2; break;
        case '\f': escape[1] = 'f'; escape_bytes = 2; break;
        case '\n': escape[1] = 'n'; escape_bytes = 2; break;
        case '\r': escape[1] = 'r'; escape_bytes = 2; break;
        case '\t': escape[1] = 't'; escape_bytes = 2; break;
        default: break;
        }
        row_writer_put(w, escape, escape_bytes);
        text = stop + 1;
    }
}

/* Start a frame with room for `more` bytes; 0 if there is no memory. */
static inline int row_writer_begin_frame(row_writer *w, size_t more) {
    w->used = 0;
    if (!row_writer_reserve(w, more + FRAME_PREFIX_BYTES)) return 0;
    w->used = FRAME_PREFIX_BYTES;
    return 1;
}

static inline int row_writer_is_too_large(row_writer *w, size_t body) {
    return body > w->limit_bytes || body > UINT32_MAX;
}

static inline void row_writer_set_length(uint8_t *frame, size_t body) {
    for (int i = 0; i < FRAME_PREFIX_BYTES; i++) frame[i] = (uint8_t)(body >> (8 * (3 - i)));
}

/* Write the frame that was put together, whole, or nothing of it if it is over the limit. */
static inline int row_writer_end_frame(row_writer *w) {
    size_t body = w->used - FRAME_PREFIX_BYTES;
    if (row_writer_is_too_large(w, body)) return STATUS_TOO_LARGE;
    row_writer_set_length(w->buffer, body);
    size_t written = 0;
    if (w->ring.memory) {
        if (!ring_put(&w->ring, w->buffer, w->used, w->fd)) return STATUS_CLOSED;
        written = w->used;
    }
    while (written < w->used) {
        ssize_t n = write(w->fd, w->buffer + written, w->used - written);
        if (n >= 0) {
            written += (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {w->fd, POLLOUT, 0};
            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return STATUS_CLOSED;
        }
    }
    if (w->capacity > KEPT_BUFFER_BYTES) { /* one huge row must not keep its memory for good */
        free(w->buffer);
        w->buffer = NULL;
        w->capacity = 0;
    }
    return STATUS_OK;
}

/* -- state of one request; the lock is held -- */

/* The stream of that name, if it has had a row. */
static inline row_stream *row_writer_known_stream(row_writer *w, const char *name, size_t bytes) {
    for (size_t i = 0, at = w->last_stream; i < w->stream_count; i++) { /* rows of one stream come in runs */
        row_stream *s = &w->streams[at];
        /* The last byte first: names that are alike differ there. */
        if (s->name_bytes == bytes && (!bytes || s->name[bytes - 1] == name[bytes - 1]) && !memcmp(s->name, name, bytes)) {
            w->last_stream = at;
            return s;
        }
        if (++at == w->stream_count) at = 0;
    }
    return NULL;
}

/* A stream of that name, which is UTF-8, not empty and not known; NULL if there is no memory. */
static inline row_stream *row_writer_new_stream(row_writer *w, const char *name, size_t bytes) {
    if (w->stream_count == w->stream_capacity) {
        size_t capacity = w->stream_capacity ? 2 * w->stream_capacity : 8;
        row_stream *streams = (row_stream *)realloc(w->streams, capacity * sizeof(row_stream));
        if (!streams) return NULL;
        w->streams = streams;
        w->stream_capacity = capacity;
    }
    if (!row_writer_begin_frame(w, LITERAL_BYTES(ROW_HEAD ROW_SEQUENCE) + 6 * bytes)) return NULL;
    PUT(ROW_HEAD);
    row_writer_put_escaped(w, (const uint8_t *)name, bytes);
    PUT(ROW_SEQUENCE);
    size_t head_bytes = w->used - FRAME_PREFIX_BYTES;
    uint8_t *copy = (uint8_t *)malloc(head_bytes + bytes); /* both texts */
    if (!copy) return NULL;
    memcpy(copy, w->buffer + FRAME_PREFIX_BYTES, head_bytes);
    memcpy(copy + head_bytes, name, bytes);
    w->last_stream = w->stream_count++;
    w->streams[w->last_stream] = (row_stream){(char *)copy + head_bytes, bytes, copy, head_bytes, 0};
    return &w->streams[w->last_stream];
}

static inline void row_writer_forget_streams(row_writer *w) {
    for (size_t i = 0; i < w->stream_count; i++) free(w->streams[i].head);
    w->stream_count = w->last_stream = 0;
    w->total_rows = 0;
}

static inline int row_writer_refusal(row_writer *w) {
    if (!w->streaming) return STATUS_NO_STREAM;
    if (__atomic_load_n(&w->cancelled, __ATOMIC_ACQUIRE)) return STATUS_CANCELLED;
    return w->failure;
}

static inline int row_writer_fail(row_writer *w, int status) {
    w->failure = status;
    return status;
}

/* Cut `bytes` back to whole UTF-8 characters. */
static inline int row_writer_whole_characters(const char *text, size_t bytes, size_t at_most) {
    if (bytes <= at_most) return (int)bytes;
    while (at_most && ((uint8_t)text[at_most] & 0xC0) == 0x80) at_most--;
    return (int)at_most;
}

static inline int row_writer_put_progress(row_writer *w, const char *phase, size_t phase_bytes, uint64_t current,
                                          int has_total, uint64_t total) {
    if (!row_writer_begin_frame(w, 6 * phase_bytes + 160)) return STATUS_TOO_LARGE;
    PUT("{\"version\":10,\"message\":{\"type\":\"progress_tick\",\"body\":{\"phase\":\"");
    row_writer_put_escaped(w, (const uint8_t *)phase, phase_bytes);
    PUT("\",\"current\":");
    row_writer_put_u64(w, current);
    PUT(",\"total\":");
    if (has_total) row_writer_put_u64(w, total);
    else PUT("null");
    PUT("}}}");
    return row_writer_end_frame(w);
}

/* -- what hosted code and the request loop call -- */

static inline row_writer *row_writer_new(int fd, uint64_t limit_bytes) {
    row_writer *w = (row_writer *)calloc(1, sizeof(row_writer));
    if (!w) return NULL;
    pthread_mutex_init(&w->lock, NULL);
    w->fd = fd;
    w->limit_bytes = limit_bytes;
    return w;
}

/* From now on frames go through the ring; 0 if it cannot be mapped. */
static inline int row_writer_attach_ring(row_writer *w, int memory_fd, uint64_t size, int data_fd, int space_fd) {
    pthread_mutex_lock(&w->lock);
    int attached = ring_open(&w->ring, memory_fd, size, data_fd, space_fd);
    pthread_mutex_unlock(&w->lock);
    return attached;
}

static inline void row_writer_free(row_writer *w) {
    if (!w) return;
    ring_close(&w->ring);
    row_writer_forget_streams(w);
    free(w->streams);
    free(w->buffer);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static inline void row_writer_begin(row_writer *w, int progress) {
    pthread_mutex_lock(&w->lock);
    row_writer_forget_streams(w);
    w->streaming = 1;
    w->progress = progress;
    w->failure = STATUS_OK;
    w->failure_text[0] = 0;
    __atomic_store_n(&w->cancelled, 0, __ATOMIC_RELEASE);
    if (progress) row_writer_put_progress(w, "data_stream", 11, 0, 0, 0);
    pthread_mutex_unlock(&w->lock);
}

/* The first bytes of a row's frame, up to its payload; where that begins. */
static inline uint8_t *row_writer_put_head(uint8_t *frame, const row_stream *s) {
    uint8_t digits[U64_DIGITS];
    size_t count = row_writer_digits(digits, s->rows);
    uint8_t *to = frame + FRAME_PREFIX_BYTES;
    memcpy(to, s->head, s->head_bytes);
    to += s->head_bytes;
    memcpy(to, digits + U64_DIGITS - count, count);
    to += count;
    memcpy(to, ROW_PAYLOAD, LITERAL_BYTES(ROW_PAYLOAD));
    return to + LITERAL_BYTES(ROW_PAYLOAD);
}

/* The last bytes of a row's frame, and its length; how many bytes it has in all. */
static inline size_t row_writer_put_tail(uint8_t *frame, uint8_t *payload_end) {
    memcpy(payload_end, ROW_TAIL, LITERAL_BYTES(ROW_TAIL));
    size_t bytes = (size_t)(payload_end - frame) + LITERAL_BYTES(ROW_TAIL);
    row_writer_set_length(frame, bytes - FRAME_PREFIX_BYTES);
    return bytes;
}

/* Bytes of the next row's body. */
static inline uint64_t row_writer_body_bytes(const row_stream *s, size_t payload_bytes) {
    size_t digits = 1;
    for (uint64_t left = s->rows; left >= 10; left /= 10) digits++;
    return s->head_bytes + digits + LITERAL_BYTES(ROW_PAYLOAD ROW_TAIL) + payload_bytes;
}

/* At most as many bytes has a frame of `s` without its payload. */
static inline size_t row_writer_frame_bytes(const row_stream *s) {
    return FRAME_PREFIX_BYTES + s->head_bytes + U64_DIGITS + LITERAL_BYTES(ROW_PAYLOAD ROW_TAIL);
}

/* A row was written, or not: count it, or keep why. */
static inline int row_writer_row_done(row_writer *w, row_stream *s, int status) {
    if (status == STATUS_OK) {
        s->rows++;
        w->total_rows++;
        if (w->progress) status = row_writer_put_progress(w, "data_stream", 11, w->total_rows, 0, 0);
    }
    if (status == STATUS_TOO_LARGE)
        snprintf(w->failure_text, FAILURE_BYTES, "row frame too large: %zu bytes exceeds %llu",
                 w->used - FRAME_PREFIX_BYTES, (unsigned long long)w->limit_bytes);
    if (status == STATUS_CLOSED) snprintf(w->failure_text, FAILURE_BYTES, "the parent closed the frame pipe");
    return status == STATUS_OK ? STATUS_OK : row_writer_fail(w, status);
}

/* The stream of a row that is about to be written; NULL: `*status` says why not. */
static inline row_stream *row_writer_stream(row_writer *w, const char *name, size_t bytes, int *status) {
    row_stream *s = row_writer_known_stream(w, name, bytes);
    if (s) return s;
    if (!bytes || !json_is_utf8((const uint8_t *)name, (const uint8_t *)name + bytes)) {
        snprintf(w->failure_text, FAILURE_BYTES, "row stream name is %s", bytes ? "not UTF-8" : "empty");
        *status = row_writer_fail(w, STATUS_MALFORMED);
        return NULL;
    }
    if (!(s = row_writer_new_stream(w, name, bytes))) *status = row_writer_fail(w, STATUS_TOO_LARGE);
    return s;
}

/* With `may_wait` 0: ROW_WRITER_WOULD_WAIT and no change if there is no room in the ring, or no ring. */
static inline int row_writer_row_locked(row_writer *w, const char *stream, size_t stream_bytes, const char *payload,
                                        size_t payload_bytes, int may_wait) {
    int status = row_writer_refusal(w);
    if (status) return status;
    row_stream *s = row_writer_stream(w, stream, stream_bytes, &status);
    if (!s) return status;
    const uint8_t *payload_end = (const uint8_t *)payload + payload_bytes;
    size_t most = row_writer_frame_bytes(s) + payload_bytes;
    uint8_t *frame = NULL;
    int in_ring = w->ring.memory && !w->progress && ring_room(&w->ring, most, &frame) >= most;
    if (!in_ring && !may_wait) return ROW_WRITER_WOULD_WAIT;
    if (!json_is_value((const uint8_t *)payload, payload_end, payload_end)) {
        snprintf(w->failure_text, FAILURE_BYTES, "row payload is not valid JSON: stream '%.*s', sequence %llu, starts with '%.*s'",
                 row_writer_whole_characters(stream, stream_bytes, 80), stream, (unsigned long long)s->rows,
                 row_writer_whole_characters(payload, payload_bytes, 80), payload);
        return row_writer_fail(w, STATUS_MALFORMED);
    }
    if (!in_ring) {
        if (!row_writer_begin_frame(w, most)) return row_writer_row_done(w, s, STATUS_TOO_LARGE);
        frame = w->buffer;
    }
    uint8_t *to = row_writer_put_head(frame, s);
    wide_copy(to, (const uint8_t *)payload, payload_bytes);
    size_t bytes = row_writer_put_tail(frame, to + payload_bytes);
    if (!in_ring || row_writer_is_too_large(w, bytes - FRAME_PREFIX_BYTES)) {
        w->used = bytes;
        return row_writer_row_done(w, s, in_ring ? STATUS_TOO_LARGE : row_writer_end_frame(w));
    }
    ring_publish(&w->ring, bytes);
    return row_writer_row_done(w, s, STATUS_OK);
}

/* Write a row without waiting for anybody, or not at all: ROW_WRITER_WOULD_WAIT. */
static inline int row_writer_row_at_once(row_writer *w, const char *stream, size_t stream_bytes, const char *payload,
                                         size_t payload_bytes) {
    if (pthread_mutex_trylock(&w->lock)) return ROW_WRITER_WOULD_WAIT;
    int status = row_writer_row_locked(w, stream, stream_bytes, payload, payload_bytes, 0);
    pthread_mutex_unlock(&w->lock);
    return status;
}

static inline int row_writer_row(row_writer *w, const char *stream, size_t stream_bytes, const char *payload,
                                 size_t payload_bytes) {
    pthread_mutex_lock(&w->lock);
    int status = row_writer_row_locked(w, stream, stream_bytes, payload, payload_bytes, 1);
    pthread_mutex_unlock(&w->lock);
    return status;
}

/* Events may also be sent while a command without rows runs; only a cancel or a broken pipe stops them. */
static inline int row_writer_event_refusal(row_writer *w) {
    if (__atomic_load_n(&w->cancelled, __ATOMIC_ACQUIRE)) return STATUS_CANCELLED;
    return w->failure == STATUS_CLOSED ? STATUS_CLOSED : STATUS_OK;
}

static inline int row_writer_diagnostic(row_writer *w, const char *code, size_t code_bytes, const char *message,
                                        size_t message_bytes) {
    pthread_mutex_lock(&w->lock);
    int status = row_writer_event_refusal(w);
    if (status == STATUS_OK && (!code_bytes || !json_is_utf8((const uint8_t *)code, (const uint8_t *)code + code_bytes) ||
                                !json_is_utf8((const uint8_t *)message, (const uint8_t *)message + message_bytes)))
        status = STATUS_MALFORMED;
    if (status == STATUS_OK && !row_writer_begin_frame(w, 6 * (code_bytes + message_bytes) + 128)) status = STATUS_TOO_LARGE;
    if (status == STATUS_OK) {
        PUT("{\"version\":10,\"message\":{\"type\":\"diagnostic\",\"body\":{\"code\":\"");
        row_writer_put_escaped(w, (const uint8_t *)code, code_bytes);
        PUT("\",\"message\":\"");
        row_writer_put_escaped(w, (const uint8_t *)message, message_bytes);
        PUT("\"}}}");
        status = row_writer_end_frame(w);
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}

static inline int row_writer_progress(row_writer *w, const char *phase, size_t phase_bytes, uint64_t current,
                                      int has_total, uint64_t total) {
    pthread_mutex_lock(&w->lock);
    int status = row_writer_event_refusal(w);
    if (status == STATUS_OK && (!phase_bytes || !json_is_utf8((const uint8_t *)phase, (const uint8_t *)phase + phase_bytes)))
        status = STATUS_MALFORMED;
    if (status == STATUS_OK) status = row_writer_put_progress(w, phase, phase_bytes, current, has_total, total);
    pthread_mutex_unlock(&w->lock);
    return status;
}

/* Any other message: `type` needs no escapes, `body` is JSON text. */
static inline int row_writer_message(row_writer *w, const char *type, size_t type_bytes, const char *body, size_t body_bytes) {
    pthread_mutex_lock(&w->lock);
    int status = STATUS_TOO_LARGE;
    if (row_writer_begin_frame(w, type_bytes + body_bytes + 64)) {
        PUT("{\"version\":10,\"message\":{\"type\":\"");
        row_writer_put(w, type, type_bytes);
        PUT("\",\"body\":");
        row_writer_put(w, body, body_bytes);
        PUT("}}");
        status = row_writer_end_frame(w);
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}
#undef PUT

/* No more rows; counts and failure can be read until the next begin. */
static inline void row_writer_finish(row_writer *w) {
    pthread_mutex_lock(&w->lock);
    w->streaming = 0;
    pthread_mutex_unlock(&w->lock);
}

/* Does not take the lock: a row that waits for the parent to read holds it. */
static inline void row_writer_cancel(row_writer *w) { __atomic_store_n(&w->cancelled, 1, __ATOMIC_RELEASE); }

#endif
