/* Where plain text ends: the first byte that cannot stand in a JSON string as it is.

   Owns the vector code. SSE2 on x86-64 and NEON on 64-bit ARM are the baseline, bytes one by one the rest; long texts are
   scanned with AVX2 where the processor has it, which is found out when the program runs. Knows nothing else of JSON. */
#ifndef LEAN_WORKER_PLAIN_TEXT_H
#define LEAN_WORKER_PLAIN_TEXT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#define PLAIN_TEXT_BASELINE "sse2"
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define PLAIN_TEXT_BASELINE "neon"
#else
#define PLAIN_TEXT_BASELINE "bytes"
#endif

#if defined(__SSE2__) && defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define PLAIN_TEXT_HAS_AVX2 1
#include <immintrin.h>
#endif

#define PLAIN_TEXT_WIDE_BYTES 128 /* from here on a call of the widest code pays */

/* -- 16 bytes at once -- */

#if defined(__SSE2__)
typedef __m128i plain_vector;
static inline plain_vector plain_load(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline plain_vector plain_or(plain_vector a, plain_vector b) { return _mm_or_si128(a, b); }
/* Bytes of all ones where text stops. */
static inline plain_vector plain_stops(plain_vector v) {
    const __m128i last_control = _mm_set1_epi8(0x1f);
    return _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))),
                        _mm_cmpeq_epi8(_mm_max_epu8(v, last_control), last_control));
}
/* Whether any byte has its highest bit. */
static inline int plain_any(plain_vector v) { return _mm_movemask_epi8(v) != 0; }
#define PLAIN_MASK_SHIFT 0 /* a mask has one bit for each byte */
static inline uint64_t plain_mask(plain_vector v) { return (unsigned)_mm_movemask_epi8(v); }
#elif defined(__aarch64__) && defined(__ARM_NEON)
typedef uint8x16_t plain_vector;
static inline plain_vector plain_load(const uint8_t *p) { return vld1q_u8(p); }
static inline plain_vector plain_or(plain_vector a, plain_vector b) { return vorrq_u8(a, b); }
static inline plain_vector plain_stops(plain_vector v) {
    return vorrq_u8(vorrq_u8(vceqq_u8(v, vdupq_n_u8('"')), vceqq_u8(v, vdupq_n_u8('\\'))), vcltq_u8(v, vdupq_n_u8(0x20)));
}
static inline int plain_any(plain_vector v) { return vmaxvq_u8(v) >= 0x80; }
#define PLAIN_MASK_SHIFT 2 /* four bits for each byte */
static inline uint64_t plain_mask(plain_vector v) {
    uint16x8_t spread = vreinterpretq_u16_u8(vreinterpretq_u8_s8(vshrq_n_s8(vreinterpretq_s8_u8(v), 7)));
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(spread, 4)), 0);
}
#endif

/* -- long texts; each returns where it has got to, which is before the first stop -- */

#if defined(__SSE2__) || (defined(__aarch64__) && defined(__ARM_NEON))
static inline const uint8_t *plain_text_long_baseline(const uint8_t *p, const uint8_t *end, int *high) {
    while (end - p >= 64) {
        plain_vector a = plain_load(p), b = plain_load(p + 16), c = plain_load(p + 32), d = plain_load(p + 48);
        if (plain_any(plain_or(plain_or(plain_stops(a), plain_stops(b)), plain_or(plain_stops(c), plain_stops(d))))) break;
        if (plain_any(plain_or(plain_or(a, b), plain_or(c, d)))) *high = 1;
        p += 64;
    }
    return p;
}
#endif

#if defined(PLAIN_TEXT_HAS_AVX2)
__attribute__((target("avx2"), noinline)) static const uint8_t *plain_text_long_avx2(const uint8_t *p, const uint8_t *end,
                                                                                      int *high) {
    const __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\'), control = _mm256_set1_epi8(0x1f);
    __m256i highs = _mm256_setzero_si256();
#define PLAIN_STOPS_32(v)                                                                                     \
    _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(v, quote), _mm256_cmpeq_epi8(v, backslash)),             \
                    _mm256_cmpeq_epi8(_mm256_min_epu8(v, control), v))
    while (end - p >= 128) {
        const __m256i *q = (const __m256i *)p;
        __m256i a = _mm256_loadu_si256(q), b = _mm256_loadu_si256(q + 1), c = _mm256_loadu_si256(q + 2),
                d = _mm256_loadu_si256(q + 3);
        __m256i any = _mm256_or_si256(_mm256_or_si256(PLAIN_STOPS_32(a), PLAIN_STOPS_32(b)),
                                      _mm256_or_si256(PLAIN_STOPS_32(c), PLAIN_STOPS_32(d)));
        if (_mm256_movemask_epi8(any)) break;
        highs = _mm256_or_si256(highs, _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d)));
        p += 128;
    }
#undef PLAIN_STOPS_32
    if (_mm256_movemask_epi8(highs)) *high = 1;
    return p;
}
/* 1: use AVX2, 0: do not, -1: not asked yet. Threads that ask at once find the same. */
static int plain_text_wide = -1;
static inline int plain_text_is_wide(void) {
    if (__builtin_expect(plain_text_wide < 0, 0)) {
        __builtin_cpu_init();
        plain_text_wide = __builtin_cpu_supports("avx2") != 0;
    }
    return plain_text_wide;
}
#endif

/* Which code scans long texts. With `wide` 0 it is the baseline from now on, with 1 the best there is; -1 leaves it. */
static inline const char *plain_text_code(int wide) {
#if defined(PLAIN_TEXT_HAS_AVX2)
    if (wide >= 0) plain_text_wide = -1;
    if (wide == 0) plain_text_wide = 0;
    if (plain_text_is_wide()) return "avx2";
#else
    (void)wide;
#endif
    return PLAIN_TEXT_BASELINE;
}

/* -- the scan -- */

/* The quote that ends a short string (less than 32 bytes) of ASCII without escapes, as most are; NULL: look with more
   care. */
static inline const uint8_t *plain_text_short_end(const uint8_t *p, const uint8_t *end, const uint8_t *limit) {
#if defined(__SSE2__) || (defined(__aarch64__) && defined(__ARM_NEON))
    if (limit - p < 16) return NULL;
    plain_vector v = plain_load(p);
    uint64_t stops = plain_mask(plain_stops(v));
    if (!stops) {
        if (plain_mask(v) || limit - p < 32) return NULL;
        p += 16;
        v = plain_load(p);
        stops = plain_mask(plain_stops(v));
    }
    if (!stops || plain_mask(v) & ((stops & (0u - stops)) - 1u)) return NULL;
    p += __builtin_ctzll(stops) >> PLAIN_MASK_SHIFT;
    return p < end && *p == '"' ? p : NULL;
#else
    (void)p, (void)end, (void)limit;
    return NULL;
#endif
}

/* The first byte of [p, end) that cannot stand in a JSON string as it is: a quote, a backslash, a control character.
   `end` if there is none. `*high` becomes nonzero if a byte before it is not ASCII. Looks at 16 bytes at once as long as
   they end before `limit`, up to which memory can be read; what stands past `end` counts for nothing. */
static inline const uint8_t *plain_text_end(const uint8_t *p, const uint8_t *end, const uint8_t *limit, int *high) {
#if defined(__SSE2__) || (defined(__aarch64__) && defined(__ARM_NEON))
    while (limit - p >= 16 && p < end) {
        plain_vector v = plain_load(p);
        uint64_t stops = plain_mask(plain_stops(v)), highs = plain_mask(v);
        if (end - p < 16) stops |= (uint64_t)1 << ((end - p) << PLAIN_MASK_SHIFT);
        if (stops) {
            uint64_t before = (stops & (0u - stops)) - 1u; /* the bits below the first stop */
            if (highs & before) *high = 1;
            return p + (__builtin_ctzll(stops) >> PLAIN_MASK_SHIFT);
        }
        if (highs) *high = 1;
        p += 16;
#if defined(PLAIN_TEXT_HAS_AVX2)
        if (end - p >= PLAIN_TEXT_WIDE_BYTES && plain_text_is_wide()) p = plain_text_long_avx2(p, end, high);
#endif
        p = plain_text_long_baseline(p, end, high);
    }
#else
    (void)limit;
#endif
    for (; p < end; p++) {
        if (*p == '"' || *p == '\\' || *p < 0x20) return p;
        if (*p >= 0x80) *high = 1;
    }
    return end;
}

#endif
