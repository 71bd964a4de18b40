/* Copies of texts of some kilobytes.

   `memcpy` of glibc takes `rep movsb` for them, which is slow on many processors where source and target are not equally
   aligned, as texts within frames never are. With AVX2 this stores whole aligned vectors instead. */
#ifndef LEAN_WORKER_WIDE_COPY_H
#define LEAN_WORKER_WIDE_COPY_H

#include <string.h>

#include "plain_text.h"

#define WIDE_COPY_LEAST_BYTES 1024
#define WIDE_COPY_MOST_BYTES (1u << 18) /* beyond, `memcpy` knows better what to do with the caches */

#if defined(PLAIN_TEXT_HAS_AVX2)
__attribute__((target("avx2"), noinline)) static void wide_copy_avx2(uint8_t *to, const uint8_t *from, size_t bytes) {
    uint8_t *end = to + bytes;
    const __m256i last = _mm256_loadu_si256((const __m256i *)(from + bytes - 32));
    _mm256_storeu_si256((__m256i *)to, _mm256_loadu_si256((const __m256i *)from));
    size_t first = 32 - ((uintptr_t)to & 31);
    to += first;
    from += first;
    while (end - to >= 128) {
        const __m256i *p = (const __m256i *)from;
        __m256i *q = (__m256i *)to;
        __m256i a = _mm256_loadu_si256(p), b = _mm256_loadu_si256(p + 1), c = _mm256_loadu_si256(p + 2),
                d = _mm256_loadu_si256(p + 3);
        _mm256_store_si256(q, a);
        _mm256_store_si256(q + 1, b);
        _mm256_store_si256(q + 2, c);
        _mm256_store_si256(q + 3, d);
        to += 128;
        from += 128;
    }
    for (; end - to >= 32; to += 32, from += 32)
        _mm256_store_si256((__m256i *)to, _mm256_loadu_si256((const __m256i *)from));
    _mm256_storeu_si256((__m256i *)(end - 32), last);
}
#endif

/* As `memcpy`. */
static inline void wide_copy(uint8_t *to, const uint8_t *from, size_t bytes) {
#if defined(PLAIN_TEXT_HAS_AVX2)
    if (bytes >= WIDE_COPY_LEAST_BYTES && bytes <= WIDE_COPY_MOST_BYTES && plain_text_is_wide()) {
        wide_copy_avx2(to, from, bytes);
        return;
    }
#endif
    memcpy(to, from, bytes);
}

#endif
