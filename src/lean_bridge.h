/* The foreign functions behind LeanWorker.lean, and the few facts of Lean's ABI that they rest on.
 *
 * Owns: reading and making Lean objects, who releases them, the symbols that Lean looks up, and the words of an error
 * that a Lean script sees. The two things it does not know are behind function pointers: how a row becomes a frame
 * (row_writer.h) and where the next request comes from (the Python callbacks in _lean.pyx).
 *
 * Nothing of Lean is linked: what is needed of it is looked up when a library is opened, so that this module loads
 * without any Lean and serves every toolchain alike.
 *
 * Symbols. Lean's interpreter takes a foreign function by a symbol made from its Lean name, and prefers
 * `l_Name___boxed`: every argument is an object that the callee releases. Compiled code calls the `@[extern]` name, with
 * `@&` arguments borrowed. A module of a Lake package is looked up as `lp_package_Name` by newer interpreters. A
 * trailing argument for the state of the world may come or not, and is never looked at.
 */
#ifndef LEAN_BRIDGE_H
#define LEAN_BRIDGE_H

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "group_end.h"
#include "row_writer.h"

#define LWB_EXPORT __attribute__((visibility("default"), used))

/* -- Lean objects -- */

typedef struct {
    int rc; /* > 0: this thread's own; < 0: shared between threads; 0: never released */
    unsigned cs_size : 16;
    unsigned other : 8;
    unsigned tag : 8;
} lwb_object;

typedef struct {
    lwb_object header;
    size_t size; /* bytes, with the closing NUL */
    size_t capacity;
    size_t length;
    char data[];
} lwb_string;

/* The result of an IO action. Lean's older compilers expect a second field, newer ones never read it. */
typedef struct {
    lwb_object header;
    void *value;
    void *world;
} lwb_result;

enum { LWB_TAG_OK = 0, LWB_TAG_ERROR = 1 };

#define LWB_BOX(n) ((void *)(((uintptr_t)(n) << 1) | 1))

/* The library's functions, filled in by lwb_open. */
static void *(*lwb_alloc_object)(size_t size);
static void (*lwb_dec_ref_cold)(void *object);
static void *(*lwb_mk_string_from_bytes)(const char *data, size_t size);
static void *(*lwb_mk_io_user_error)(void *string);
static void *(*lwb_io_error_to_string)(void *error);
static int (*lwb_main)(int argc, char **argv);

static int lwb_is_scalar(const void *object) {
    return ((uintptr_t)object & 1) != 0;
}

static void lwb_release(void *object) {
    lwb_object *header = (lwb_object *)object;
    if (lwb_is_scalar(object))
        return;
    if (header->rc > 1)
        header->rc--;
    else if (header->rc != 0)
        lwb_dec_ref_cold(object);
}

static void *lwb_string_of(const char *data, size_t size) {
    return lwb_mk_string_from_bytes(data, size);
}

static void *lwb_result_of(unsigned tag, void *value) {
    lwb_result *result = (lwb_result *)lwb_alloc_object(sizeof(lwb_result));
    result->header.rc = 1;
    result->header.cs_size = sizeof(lwb_result);
    result->header.other = 2;
    result->header.tag = tag;
    result->value = value;
    result->world = LWB_BOX(0);
    return result;
}

/* `pure ()`. One object for all rows: a count of 0 means that Lean never writes to it. */
static void *lwb_ok_unit(void) {
    static lwb_result done = {{0, sizeof(lwb_result), 2, LWB_TAG_OK}, LWB_BOX(0), LWB_BOX(0)};
    return &done;
}

static void *lwb_ok(void *value) {
    return lwb_result_of(LWB_TAG_OK, value);
}

static void *lwb_error(const char *text) {
    return lwb_result_of(LWB_TAG_ERROR, lwb_mk_io_user_error(lwb_string_of(text, strlen(text))));
}

/* A natural number below 2^63, which is one that Lean keeps in the pointer itself. */
static int lwb_natural(const void *object, uint64_t *value) {
    if (!lwb_is_scalar(object))
        return 0;
    *value = (uint64_t)((uintptr_t)object >> 1);
    return 1;
}

/* -- what lies behind the functions -- */

/* How the running command ended; the reply callback gets one of these. */
enum { LWB_ANSWERED = 0, LWB_FAILED = 1, LWB_UNKNOWN = 2, LWB_EMITTED = 3 };

static row_writer *lwb_writer;
/* Waits for a request: 1 = `lwb_command` and `lwb_request` hold it, 0 = the worker shall end, -1 = Python raised. */
static int (*lwb_next_callback)(void);
static int (*lwb_reply_callback)(int how, const char *text, size_t size);
/* Lean ends the process: the exit code to end it with, or -1 to let it go. */
static int (*lwb_leaving_callback)(void);
static const char *lwb_command, *lwb_request;
static size_t lwb_command_size, lwb_request_size;
/* The last status that a row or event of the running command was refused with; several threads may set it. */
static int lwb_refused_status;

static void lwb_set_request(const char *command, size_t command_size, const char *request, size_t request_size) {
    lwb_command = command;
    lwb_command_size = command_size;
    lwb_request = request;
    lwb_request_size = request_size;
    __atomic_store_n(&lwb_refused_status, 0, __ATOMIC_RELAXED);
}

static int lwb_last_refusal(void) {
    return __atomic_load_n(&lwb_refused_status, __ATOMIC_RELAXED);
}

/* What a script is told when a row (`event` is NULL) or an event was refused; the caller learns it from the loop. */
static void *lwb_result_of_status(int status, const char *event) {
    char text[FAILURE_BYTES + 64];
    if (status == STATUS_OK)
        return lwb_ok_unit();
    __atomic_store_n(&lwb_refused_status, status, __ATOMIC_RELAXED);
    if (status == STATUS_CANCELLED)
        return lwb_error("cancelled by the caller");
    if (status == STATUS_NO_STREAM)
        return lwb_error("rows can be emitted only while a streaming command runs: run it with stream, collect or run");
    if (event) { /* the writer keeps no words for these */
        const char *reason = status == STATUS_MALFORMED   ? "its name is empty"
                             : status == STATUS_TOO_LARGE ? "its frame is larger than the limit"
                                                          : "the parent closed the frame pipe";
        snprintf(text, sizeof text, "%s refused: %s", event, reason);
    } else {
        pthread_mutex_lock(&lwb_writer->lock);
        snprintf(text, sizeof text, "%s", lwb_writer->failure_text);
        pthread_mutex_unlock(&lwb_writer->lock);
    }
    return lwb_error(text);
}

/* -- the functions of LeanWorker.lean, arguments borrowed -- */

static void *lwb_row(const lwb_string *stream, const lwb_string *payload) {
    int status = row_writer_row(lwb_writer, stream->data, stream->size - 1, payload->data, payload->size - 1);
    return lwb_result_of_status(status, NULL);
}

static void *lwb_diagnostic(const lwb_string *code, const lwb_string *message) {
    int status = row_writer_diagnostic(lwb_writer, code->data, code->size - 1, message->data, message->size - 1);
    return lwb_result_of_status(status, "diagnostic");
}

static void *lwb_progress(const lwb_string *phase, const void *current, const void *total) {
    uint64_t done, all;
    if (!lwb_natural(current, &done) || !lwb_natural(total, &all))
        return lwb_error("progress refused: a figure is too large");
    return lwb_result_of_status(row_writer_progress(lwb_writer, phase->data, phase->size - 1, done, all != 0, all),
                                "progress");
}

static void *lwb_fail(const lwb_string *message) {
    return lwb_result_of(LWB_TAG_ERROR, lwb_mk_io_user_error(lwb_string_of(message->data, message->size - 1)));
}

/* The number travels in the error's text, so that a script that catches the error has really taken it back. */
#define LWB_STATUS_TEXT "the command ended with status "

static void *lwb_fail_status(const void *status) {
    char text[sizeof LWB_STATUS_TEXT + 20];
    uint64_t number;
    if (!lwb_natural(status, &number) || number < 1 || number > 255)
        return lwb_error("a command's status has to be a number from 1 to 255");
    snprintf(text, sizeof text, LWB_STATUS_TEXT "%u", (unsigned)number);
    return lwb_error(text);
}

static void *lwb_host_next(void) {
    int more = lwb_next_callback();
    if (more < 0)
        return lwb_error("the worker process failed to take the next request");
    return lwb_ok(LWB_BOX(more));
}

static void *lwb_host_command(void) {
    return lwb_ok(lwb_string_of(lwb_command, lwb_command_size));
}

static void *lwb_host_request(void) {
    return lwb_ok(lwb_string_of(lwb_request, lwb_request_size));
}

static void *lwb_reply(int how, const char *text, size_t size) {
    if (lwb_reply_callback(how, text, size) < 0)
        return lwb_error("the worker process failed to reply");
    return lwb_ok_unit();
}

static void *lwb_host_reply(const lwb_string *terminal) {
    return lwb_reply(LWB_ANSWERED, terminal->data, terminal->size - 1);
}

static void *lwb_host_reply_emitted(const lwb_string *terminal) {
    return lwb_reply(LWB_EMITTED, terminal->data, terminal->size - 1);
}

static void *lwb_host_reply_unknown(const lwb_string *names) {
    return lwb_reply(LWB_UNKNOWN, names->data, names->size - 1);
}

/* Takes the error for good, as Lean's own conversion to text does. */
static void *lwb_host_reply_error(void *error) {
    lwb_string *text = (lwb_string *)lwb_io_error_to_string(error);
    void *result = lwb_reply(LWB_FAILED, text->data, text->size - 1);
    lwb_release(text);
    return result;
}

/* -- the symbols that Lean looks up -- */

/* BORROWED: for compiled code. OWNED: for the interpreter. Both under the plain name and those of a Lake package. */
#define LWB_NAMES(name, extern_name, parameters, borrowed, owned)                                                      \
    LWB_EXPORT void *extern_name parameters { borrowed; }                                                              \
    LWB_EXPORT void *l_LeanWorker_##name parameters { borrowed; }                                                      \
    LWB_EXPORT void *lp_LeanWorker_LeanWorker_##name parameters { borrowed; }                                          \
    LWB_EXPORT void *lp_lean__worker_LeanWorker_##name parameters { borrowed; }                                        \
    LWB_EXPORT void *l_LeanWorker_##name##___boxed parameters { owned; }                                               \
    LWB_EXPORT void *lp_LeanWorker_LeanWorker_##name##___boxed parameters { owned; }                                   \
    LWB_EXPORT void *lp_lean__worker_LeanWorker_##name##___boxed parameters { owned; }

#define LWB_FUNCTION_0(name, extern_name, call) LWB_NAMES(name, extern_name, (void), return call(), return call())

#define LWB_FUNCTION_1(name, extern_name, call)                                                                        \
    LWB_NAMES(name, extern_name, (void *a), return call(a), void *result = call(a); lwb_release(a); return result)

#define LWB_FUNCTION_2(name, extern_name, call)                                                                        \
    LWB_NAMES(name, extern_name, (void *a, void *b), return call(a, b), void *result = call(a, b); lwb_release(a);     \
              lwb_release(b); return result)

#define LWB_FUNCTION_3(name, extern_name, call)                                                                        \
    LWB_NAMES(name, extern_name, (void *a, void *b, void *c), return call(a, b, c), void *result = call(a, b, c);      \
              lwb_release(a); lwb_release(b); lwb_release(c); return result)

LWB_FUNCTION_2(row, lean_worker_row, lwb_row)
LWB_FUNCTION_2(diagnostic, lean_worker_diagnostic, lwb_diagnostic)
LWB_FUNCTION_3(progress, lean_worker_progress, lwb_progress)
LWB_FUNCTION_1(fail, lean_worker_fail, lwb_fail)
LWB_FUNCTION_1(failStatus, lean_worker_fail_status, lwb_fail_status)
LWB_FUNCTION_0(Host_next, lean_worker_host_next, lwb_host_next)
LWB_FUNCTION_0(Host_command, lean_worker_host_command, lwb_host_command)
LWB_FUNCTION_0(Host_request, lean_worker_host_request, lwb_host_request)
LWB_FUNCTION_1(Host_reply, lean_worker_host_reply, lwb_host_reply)
LWB_FUNCTION_1(Host_replyEmitted, lean_worker_host_reply_emitted, lwb_host_reply_emitted)
LWB_FUNCTION_1(Host_replyUnknown, lean_worker_host_reply_unknown, lwb_host_reply_unknown)
/* Its argument is owned in Lean too, so both forms take it for good. */
LWB_NAMES(Host_replyError, lean_worker_host_reply_error, (void *error), return lwb_host_reply_error(error),
          return lwb_host_reply_error(error))

/* -- opening a library, running Lean -- */

/* Load `library` and look up what is needed of it. NULL, or what is wrong. */
static const char *lwb_open(const char *library, const char *own_file) {
    static char problem[1024];
    static const struct {
        const char *name;
        void *slot;
    } needed[] = {
        {"lean_alloc_object", &lwb_alloc_object},
        {"lean_dec_ref_cold", &lwb_dec_ref_cold},
        {"lean_mk_string_from_bytes", &lwb_mk_string_from_bytes},
        {"lean_mk_io_user_error", &lwb_mk_io_user_error},
        {"lean_io_error_to_string", &lwb_io_error_to_string},
        {"lean_main", &lwb_main},
    };
    /* Python loaded this module for itself alone; Lean's interpreter looks among the global symbols. */
    void *handle = dlopen(own_file, RTLD_NOW | RTLD_GLOBAL);
    if (handle)
        handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
    if (!handle) {
        snprintf(problem, sizeof problem, "%s", dlerror());
        return problem;
    }
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        void *found = dlsym(handle, needed[i].name);
        if (!found) /* in a part of a split library that this one does not name as needed */
            found = dlsym(RTLD_DEFAULT, needed[i].name);
        if (!found) {
            snprintf(problem, sizeof problem, "%s has no %s: not a Lean 4 library, or a version that is not supported",
                     library, needed[i].name);
            return problem;
        }
        memcpy(needed[i].slot, &found, sizeof found);
    }
    return NULL;
}

static int lwb_running;

static void lwb_leaving(void) {
    int code = lwb_running ? lwb_leaving_callback() : -1;
    if (lwb_running) lw_end_descendants();
    if (code >= 0) {
        fflush(NULL);
        _exit(code);
    }
}

/* The `lean` command. Lean returns from it, or ends the process: after errors in the script it does the latter. Output
 * goes line by line, because what a script printed should be seen when its process dies. */
static int lwb_run(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    atexit(lwb_leaving);
    lwb_running = 1;
    int code = lwb_main(argc, argv);
    lwb_running = 0;
    fflush(NULL);
    return code;
}

/* Gives the kernel back the pages that malloc keeps free; 30 µs. */
static void lwb_trim(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

#endif
