/* Takes the frame of a data row apart by its spelling.

   Owns the canonical spelling as a reader sees it: what stands before and after the stream's name, the sequence and the
   payload. Remembers how the frames of the last streams began, so that a row of the same stream is recognised by one
   comparison. The payload is cut out as it stands, unread. Knows no Python. */
#ifndef LEAN_WORKER_ROW_SCAN_H
#define LEAN_WORKER_ROW_SCAN_H

#include "json_scan.h"
#include "row_spelling.h"

typedef struct {
    const uint8_t *stream; /* its name, as it is spelled within the quotes */
    size_t stream_bytes;
    uint64_t sequence;
    const uint8_t *payload;
    size_t payload_bytes;
} row_parts;

/* The parts from the sequence on, which begins at `p`; 0 if it is no canonical row. */
static inline int row_scan_rest(const uint8_t *p, const uint8_t *end, row_parts *parts) {
    if (end - p < (ptrdiff_t)LITERAL_BYTES("0" ROW_PAYLOAD "0" ROW_TAIL)) return 0;
    end -= LITERAL_BYTES(ROW_TAIL);
    if (memcmp(end, ROW_TAIL, LITERAL_BYTES(ROW_TAIL))) return 0;
    const uint8_t *first = p;
    uint64_t value = 0;
    for (; p < end && json_is_digit(*p); p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (p - first >= U64_DIGITS - 1 && value > (UINT64_MAX - digit) / 10) return 0;
        value = 10 * value + digit;
    }
    if (p == first || (*first == '0' && p - first > 1)) return 0;
    if (end - p < (ptrdiff_t)LITERAL_BYTES(ROW_PAYLOAD "0") || memcmp(p, ROW_PAYLOAD, LITERAL_BYTES(ROW_PAYLOAD))) return 0;
    p += LITERAL_BYTES(ROW_PAYLOAD);
    /* The full decoder leaves spaces around a payload out; so that both agree, such a row is left to it. */
    if (json_is_space(*p) || json_is_space(end[-1])) return 0;
    parts->sequence = value;
    parts->payload = p;
    parts->payload_bytes = (size_t)(end - p);
    return 1;
}

/* Whether [p, end) is a canonical data row, and if so where its parts are. Memory can be read up to `limit`. */
static inline int row_scan(const uint8_t *p, const uint8_t *end, const uint8_t *limit, row_parts *parts) {
    if (end - p < (ptrdiff_t)LITERAL_BYTES(ROW_HEAD ROW_SEQUENCE "0" ROW_PAYLOAD "0" ROW_TAIL)) return 0;
    if (memcmp(p, ROW_HEAD, LITERAL_BYTES(ROW_HEAD))) return 0;
    p += LITERAL_BYTES(ROW_HEAD);
    int high = 0;
    const uint8_t *q = plain_text_end(p, end, limit, &high);
    if (q < end && *q == '\\') {
        if (!(q = json_skip_string(p, end, limit))) return 0;
        q--;
        high = 0;
    }
    if (end - q < (ptrdiff_t)LITERAL_BYTES(ROW_SEQUENCE) || memcmp(q, ROW_SEQUENCE, LITERAL_BYTES(ROW_SEQUENCE))) return 0;
    if (high && !json_is_utf8(p, q)) return 0;
    parts->stream = p;
    parts->stream_bytes = (size_t)(q - p);
    return row_scan_rest(q + LITERAL_BYTES(ROW_SEQUENCE), end, parts);
}

/* -- how frames of known streams begin -- */

#define ROW_HEADS 4
#define ROW_HEAD_BYTES 160 /* a longer one is not remembered */

typedef struct {
    uint32_t number; /* of the stream */
    size_t bytes;
    uint8_t text[ROW_HEAD_BYTES];
} row_head;

typedef struct {
    int count, next; /* where the next row's is looked for first */
    row_head heads[ROW_HEADS];
} row_heads;

/* The head that [p, end) begins with, or NULL. */
static inline const row_head *row_heads_find(row_heads *known, const uint8_t *p, const uint8_t *end) {
    for (int i = 0, at = known->next; i < known->count; i++) {
        const row_head *head = &known->heads[at];
        if (++at >= known->count) at = 0;
        if ((size_t)(end - p) > head->bytes && !memcmp(p, head->text, head->bytes)) {
            known->next = at; /* streams come in turn, or there is one */
            return head;
        }
    }
    return NULL;
}

/* Remember how a row began whose parts are those. */
static inline void row_heads_add(row_heads *known, const uint8_t *p, const row_parts *parts, uint32_t number) {
    size_t bytes = (size_t)(parts->stream - p) + parts->stream_bytes + LITERAL_BYTES(ROW_SEQUENCE);
    if (bytes > ROW_HEAD_BYTES) return;
    int at = known->count < ROW_HEADS ? known->count++ : known->next;
    known->heads[at].number = number;
    known->heads[at].bytes = bytes;
    memcpy(known->heads[at].text, p, bytes);
    known->next = at + 1 < known->count ? at + 1 : 0;
}

#endif
