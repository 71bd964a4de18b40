/* Looks at JSON text without building anything from it: where a string ends, and whether a text is one JSON value.

   Owns the grammar (RFC 8259, UTF-8, nesting of at most JSON_MAX_DEPTH). Knows neither frames nor Python, takes no
   lock and allocates nothing, so that any thread may call it. */
#ifndef LEAN_WORKER_JSON_SCAN_H
#define LEAN_WORKER_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "plain_text.h"

#define JSON_MAX_DEPTH 1024

static inline int json_is_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
static inline int json_is_digit(uint8_t c) { return (unsigned)(c - '0') < 10u; }

/* See `plain_text_end`. */
static inline const uint8_t *json_plain_end_within(const uint8_t *p, const uint8_t *end, const uint8_t *limit,
                                                   int *high) {
    return plain_text_end(p, end, limit, high);
}

static inline const uint8_t *json_plain_end(const uint8_t *p, const uint8_t *end, int *high) {
    return json_plain_end_within(p, end, end, high);
}

/* Whether [p, end) is well-formed UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF. */
static inline int json_is_utf8(const uint8_t *p, const uint8_t *end) {
    while (p < end) {
        uint8_t c = *p;
        ptrdiff_t left = end - p;
        if (c < 0x80) {
            uint64_t eight;
            p++;
            while (end - p >= 8 && (memcpy(&eight, p, 8), !(eight & 0x8080808080808080u))) p += 8;
        } else if (c >= 0xC2 && c <= 0xDF) {
            if (left < 2 || (p[1] & 0xC0) != 0x80) return 0;
            p += 2;
        } else if (c >= 0xE0 && c <= 0xEF) {
            uint8_t low = c == 0xE0 ? 0xA0 : 0x80, top = c == 0xED ? 0x9F : 0xBF;
            if (left < 3 || p[1] < low || p[1] > top || (p[2] & 0xC0) != 0x80) return 0;
            p += 3;
        } else if (c >= 0xF0 && c <= 0xF4) {
            uint8_t low = c == 0xF0 ? 0x90 : 0x80, top = c == 0xF4 ? 0x8F : 0xBF;
            if (left < 4 || p[1] < low || p[1] > top || (p[2] & 0xC0) != 0x80 || (p[3] & 0xC0) != 0x80) return 0;
            p += 4;
        } else {
            return 0;
        }
    }
    return 1;
}

static inline int json_is_hex(uint8_t c) {
    return json_is_digit(c) || (unsigned)((c | 0x20) - 'a') < 6u;
}

/* `json_skip_string` for any string; out of line, so that the way of most strings stays short. */
__attribute__((noinline)) static const uint8_t *json_skip_any_string(const uint8_t *p, const uint8_t *end,
                                                                     const uint8_t *limit) {
    const uint8_t *start = p;
    int high = 0;
    for (;;) {
        p = json_plain_end_within(p, end, limit, &high);
        if (p == end) return NULL;
        if (*p == '"') break;
        if (*p != '\\' || end - p < 2) return NULL;
        switch (p[1]) {
        case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
            p += 2;
            break;
        case 'u':
            if (end - p < 6 || !json_is_hex(p[2]) || !json_is_hex(p[3]) || !json_is_hex(p[4]) || !json_is_hex(p[5]))
                return NULL;
            p += 6;
            break;
        default:
            return NULL;
        }
    }
    if (high && !json_is_utf8(start, p)) return NULL;
    return p + 1;
}

/* From just past an opening quote to just past the closing one; NULL if the string is not well-formed. */
static inline const uint8_t *json_skip_string(const uint8_t *p, const uint8_t *end, const uint8_t *limit) {
    const uint8_t *quote = plain_text_short_end(p, end, limit);
    return quote ? quote + 1 : json_skip_any_string(p, end, limit);
}

static inline const uint8_t *json_skip_digits(const uint8_t *p, const uint8_t *end) {
    if (p == end || !json_is_digit(*p)) return NULL;
    while (p < end && json_is_digit(*p)) p++;
    return p;
}

static inline const uint8_t *json_skip_number(const uint8_t *p, const uint8_t *end) {
    if (p < end && *p == '-') p++;
    if (p < end && *p == '0') p++;
    else if (!(p = json_skip_digits(p, end))) return NULL;
    if (p < end && *p == '.' && !(p = json_skip_digits(p + 1, end))) return NULL;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        if (!(p = json_skip_digits(p, end))) return NULL;
    }
    return p;
}

static inline const uint8_t *json_skip_word(const uint8_t *p, const uint8_t *end, const char *word, size_t length) {
    return (size_t)(end - p) >= length && !memcmp(p, word, length) ? p + length : NULL;
}

static inline const uint8_t *json_skip_spaces(const uint8_t *p, const uint8_t *end) {
    while (p < end && *p <= ' ' && json_is_space(*p)) p++;
    return p;
}

/* Whether [p, end) is exactly one JSON value, spaces around it allowed. Keeps one bit a level, not a call; each is set
   before it is looked at. Memory can be read up to `limit`. */
static inline int json_is_value(const uint8_t *p, const uint8_t *end, const uint8_t *limit) {
    uint64_t in_object[JSON_MAX_DEPTH / 64];
    int depth = 0;
#define JSON_INSIDE_OBJECT() ((in_object[(depth - 1) >> 6] >> ((depth - 1) & 63)) & 1u)
value:
    p = json_skip_spaces(p, end);
    if (p == end) return 0;
    switch (*p) {
    case '"': p = json_skip_string(p + 1, end, limit); break;
    case 't': p = json_skip_word(p, end, "true", 4); break;
    case 'f': p = json_skip_word(p, end, "false", 5); break;
    case 'n': p = json_skip_word(p, end, "null", 4); break;
    case '{':
        if (depth == JSON_MAX_DEPTH) return 0;
        in_object[depth >> 6] |= (uint64_t)1 << (depth & 63);
        depth++;
        p = json_skip_spaces(p + 1, end);
        if (p < end && *p == '}') goto close;
        goto key;
    case '[':
        if (depth == JSON_MAX_DEPTH) return 0;
        in_object[depth >> 6] &= ~((uint64_t)1 << (depth & 63));
        depth++;
        p = json_skip_spaces(p + 1, end);
        if (p < end && *p == ']') goto close;
        goto value;
    default: p = json_skip_number(p, end); break;
    }
    if (!p) return 0;
    goto after;
key:
    if (p == end || *p != '"' || !(p = json_skip_string(p + 1, end, limit))) return 0;
    p = json_skip_spaces(p, end);
    if (p == end || *p != ':') return 0;
    p++;
    goto value;
close:
    p++;
    depth--;
after:
    p = json_skip_spaces(p, end);
    if (depth == 0) return p == end;
    if (p == end) return 0;
    if (*p == ',') {
        p++;
        if (!JSON_INSIDE_OBJECT()) goto value;
        p = json_skip_spaces(p, end);
        goto key;
    }
    if (*p == (JSON_INSIDE_OBJECT() ? '}' : ']')) goto close;
    return 0;
#undef JSON_INSIDE_OBJECT
}

#endif
