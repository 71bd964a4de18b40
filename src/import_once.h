/* Lets a process import a header's modules once, and every fork of it take the result instead of importing again.
 *
 * `Lean.importModules` is the one function through which Lean's driver loads what a header names. Its first bytes are
 * replaced by a jump to `lio_instead`; the library is linked with -Bsymbolic, so that no symbol can be put in front of it.
 *
 *   the holder   runs the driver on a header. Its call goes through to Lean; the result is kept, and `serve` is called,
 *                which forks for each file and returns in no process.
 *   a fork       runs the driver on a whole file. Its call gets the kept result if it asks for the same thing, and ends
 *                the process with LIO_OTHER_HEADER otherwise.
 *   another one  that has nothing kept only measures: its call goes through to Lean.
 *
 * `Lean.mkEmptyEnvironment`, which the driver calls to parse the header, is answered by what the holder's call gave too:
 * the first states of all extensions, made before the import in either process.
 *
 * Of Lean's ABI this knows how plain objects are laid out (to compare two of them), that imports and options come first
 * among the arguments, and that the result is one word. `lio_kinds` has a letter for each argument that is compared: 'o'
 * for an object, '1' and '4' for a number of so many bytes, of whose word the other bytes may be garbage. Arguments
 * beyond those are passed on unseen.
 * The pages of code that are changed are private to the process.
 */
#ifndef LEAN_WORKER_IMPORT_ONCE_H
#define LEAN_WORKER_IMPORT_ONCE_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LIO_OTHER_HEADER = 96, LIO_NOT_SERVED = 97, LIO_MOST_COMPARED = 8 };
enum { LIO_LAST_CONSTRUCTOR = 244, LIO_ARRAY = 246, LIO_STRING = 249, LIO_MOST_DEEP = 10000 };

#if defined(__x86_64__) && defined(__linux__)
#define LIO_JUMP_BYTES 14
/* jmp *(%rip), and the address behind it */
static void lio_jump_to(unsigned char *code, void *to) {
    static const unsigned char jump[6] = {0xff, 0x25, 0, 0, 0, 0};
    memcpy(code, jump, sizeof jump);
    memcpy(code + sizeof jump, &to, sizeof to);
}
#elif defined(__aarch64__) && defined(__linux__)
#define LIO_JUMP_BYTES 16
/* ldr x16, #8; br x16, and the address behind them: x16 is what a callee may lose between call and entry */
static void lio_jump_to(unsigned char *code, void *to) {
    static const uint32_t jump[2] = {0x58000050, 0xd61f0200};
    memcpy(code, jump, sizeof jump);
    memcpy(code + sizeof jump, &to, sizeof to);
}
#else
#define LIO_JUMP_BYTES 0
static void lio_jump_to(unsigned char *code, void *to) { (void)code, (void)to; }
#endif

typedef struct { int rc; uint16_t size; uint8_t fields, tag; } lio_object;
typedef struct { lio_object header; size_t size, capacity; lio_object *items[]; } lio_array;
typedef struct { lio_object header; size_t size, capacity, length; char data[]; } lio_string;
typedef void *lio_word;
#define LIO_DECLARED lio_word a, lio_word b, lio_word c, lio_word d, lio_word e, lio_word f, lio_word g, lio_word h, \
                     lio_word i, lio_word j, lio_word k, lio_word l, lio_word m, lio_word n
#define LIO_PASSED a, b, c, d, e, f, g, h, i, j, k, l, m, n

/* A function of Lean whose next call comes to us. */
typedef struct {
    lio_word (*function)(LIO_DECLARED); /* NULL for none */
    unsigned char own_code[LIO_JUMP_BYTES ? LIO_JUMP_BYTES : 1];
} lio_entry;

static lio_entry lio_import, lio_empty;
static void (*lio_serve)(void);
static char lio_kinds[LIO_MOST_COMPARED + 1];
static volatile int64_t *lio_microseconds; /* of the import, for the parent; 0 until it is done */
static lio_word lio_kept_arguments[LIO_MOST_COMPARED];
static lio_word lio_kept;
static lio_word lio_kept_empty, lio_empty_trust;
static struct { const char *text; size_t bytes; } lio_printed[2]; /* to 1 and 2, by initialisers of the header's modules */
static int lio_told = -1; /* a descriptor that gets a line when a fork has taken what was imported */

static int lio_put_code(const lio_entry *entry, const unsigned char *code) {
    if (!LIO_JUMP_BYTES) {
        errno = ENOSYS;
        return -1;
    }
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t at = (uintptr_t)entry->function, page = at & ~(uintptr_t)(page_bytes - 1);
    size_t size = at + LIO_JUMP_BYTES - page;
    /* All three rights in one call: where code may not be written nothing is changed, and no page is left half changed. */
    if (mprotect((void *)page, size, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return -1;
    memcpy((void *)at, code, LIO_JUMP_BYTES);
    __builtin___clear_cache((char *)at, (char *)at + LIO_JUMP_BYTES);
    return mprotect((void *)page, size, PROT_READ | PROT_EXEC);
}

static int lio_is_object(const void *word) { return (uintptr_t)word > UINT32_MAX && ((uintptr_t)word & 1) == 0; }

/* Whoever else holds this argument may not change it in place from now on. */
static void lio_hold(lio_word word) {
    lio_object *held = (lio_object *)word;
    if (!lio_is_object(word)) return;
    if (held->rc > 0) held->rc++;
    else if (held->rc < 0) __atomic_sub_fetch(&held->rc, 1, __ATOMIC_RELAXED);
}

static int lio_same(const lio_object *x, const lio_object *y, int depth) {
    if (x == y) return 1;
    if (depth > LIO_MOST_DEEP || !lio_is_object(x) || !lio_is_object(y) || x->tag != y->tag || x->fields != y->fields) return 0;
    if (x->tag == LIO_STRING) {
        const lio_string *s = (const lio_string *)x, *t = (const lio_string *)y;
        return s->size == t->size && memcmp(s->data, t->data, s->size) == 0;
    }
    lio_object *const *these, *const *those;
    size_t count;
    if (x->tag == LIO_ARRAY) {
        const lio_array *s = (const lio_array *)x, *t = (const lio_array *)y;
        if (s->size != t->size) return 0;
        these = s->items, those = t->items, count = s->size;
    } else if (x->tag <= LIO_LAST_CONSTRUCTOR) {
        these = (lio_object *const *)(x + 1), those = (lio_object *const *)(y + 1), count = x->fields;
        size_t from = sizeof(lio_object) + count * sizeof(lio_word);
        /* The numbers behind the fields; an object that does not tell its size counts as another one. */
        if (x->size < from || x->size != y->size || memcmp((const char *)x + from, (const char *)y + from, x->size - from) != 0)
            return 0;
    } else {
        return 0; /* closures, tasks and the like, which neither imports nor options hold */
    }
    for (size_t at = 0; at < count; at++)
        if (!lio_same(these[at], those[at], depth + 1)) return 0;
    return 1;
}

static int lio_same_argument(char kind, lio_word x, lio_word y) {
    if (kind == '1') return (uint8_t)(uintptr_t)x == (uint8_t)(uintptr_t)y;
    if (kind == '4') return (uint32_t)(uintptr_t)x == (uint32_t)(uintptr_t)y;
    return lio_same((const lio_object *)x, (const lio_object *)y, 0);
}

static void lio_repeat_output(void) {
    for (int at = 0; at < 2; at++) {
        while (lio_printed[at].bytes > 0) {
            ssize_t done = write(at + 1, lio_printed[at].text, lio_printed[at].bytes);
            if (done < 0 && errno != EINTR) break;
            if (done > 0) lio_printed[at].text += done, lio_printed[at].bytes -= (size_t)done;
        }
    }
}

static void lio_tell(void) {
    if (lio_told < 0) return;
    while (write(lio_told, "held\n", 5) < 0 && errno == EINTR) {}
    close(lio_told);
    lio_told = -1;
}

static int64_t lio_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void lio_measured(int64_t began) {
    int64_t took = lio_now() - began;
    if (lio_microseconds) *lio_microseconds = took > 0 ? took : 1;
}

static lio_word lio_instead(LIO_DECLARED) {
    const lio_word arguments[LIO_MOST_COMPARED] = {a, b, c, d, e, f, g, h};
    int64_t began = lio_now();
    if (lio_put_code(&lio_import, lio_import.own_code) != 0) _exit(LIO_NOT_SERVED);
    if (!lio_kept) {
        if (lio_serve) {
            memcpy(lio_kept_arguments, arguments, sizeof arguments);
            for (int at = 0; lio_kinds[at]; at++)
                if (lio_kinds[at] == 'o') lio_hold(arguments[at]);
        }
        lio_word result = lio_import.function(LIO_PASSED);
        lio_measured(began);
        if (!lio_serve) return result;
        lio_kept = result;
        lio_serve();
        _exit(LIO_NOT_SERVED);
    }
    for (int at = 0; lio_kinds[at]; at++)
        if (!lio_same_argument(lio_kinds[at], arguments[at], lio_kept_arguments[at])) _exit(LIO_OTHER_HEADER);
    lio_repeat_output();
    lio_measured(began);
    lio_tell();
    return lio_kept;
}

/* Constructor 0 of a result is `ok`. */
static int lio_is_ok(lio_word result) { return lio_is_object(result) && ((lio_object *)result)->tag == 0; }

static lio_word lio_instead_of_empty(LIO_DECLARED) {
    if (lio_put_code(&lio_empty, lio_empty.own_code) != 0) _exit(LIO_NOT_SERVED);
    lio_word result = lio_kept_empty;
    if (!result || !lio_same_argument('4', a, lio_empty_trust)) {
        result = lio_empty.function(LIO_PASSED);
        if (!lio_is_ok(result)) return result;
        lio_kept_empty = result, lio_empty_trust = a;
    }
    /* Held for ever: to free it would mean to write to all of its memory, which a fork shares. */
    lio_hold(result);
    return result;
}

static int lio_jump(const lio_entry *entry, lio_word (*instead)(LIO_DECLARED)) {
    unsigned char jump[sizeof entry->own_code];
    if (!entry->function) return 0;
    lio_jump_to(jump, (void *)instead);
    return lio_put_code(entry, jump);
}

/* The next calls of the functions come to us. */
static int lio_arm(void) {
    return lio_jump(&lio_import, lio_instead) != 0 || lio_jump(&lio_empty, lio_instead_of_empty) != 0 ? -1 : 0;
}

static void lio_know(lio_entry *entry, void *function) {
    memcpy(&entry->function, &function, sizeof function);
    if (function) memcpy(entry->own_code, function, LIO_JUMP_BYTES);
}

/* Without `serve` the import is only measured; `empty` may be NULL. */
static int lio_prepare(void *import, void *empty, const char *kinds, void (*serve)(void), void *microseconds) {
    lio_know(&lio_import, import);
    lio_know(&lio_empty, empty);
    strncpy(lio_kinds, kinds, LIO_MOST_COMPARED);
    lio_serve = serve;
    lio_microseconds = (volatile int64_t *)microseconds;
    return lio_arm();
}

/* Text that a fork prints to 1 or 2 where it would have imported; it must stay where it is. */
static void lio_print(int descriptor, const char *text, size_t bytes) {
    lio_printed[descriptor - 1].text = text, lio_printed[descriptor - 1].bytes = bytes;
}

/* In a fork: write the line "held" to a descriptor and close it when the import is answered by what is kept. */
static void lio_tell_to(int descriptor) { lio_told = descriptor; }

static int lio_has_worked(void) { return lio_is_ok(lio_kept); }

#endif
