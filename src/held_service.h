/* Serves files that differ in nothing but their text, which comes through a descriptor, without Python in the holder.
 *
 * After a fork every page that Python writes to is copied, and its reference counts are everywhere. So a request that is
 * byte for byte the last one is served here: fork, wait, answer. Everything else is left to Python as it was found: other
 * requests, a request to kill, a file that leaves processes or files behind, or that could not be started.
 */
#ifndef LEAN_WORKER_HELD_SERVICE_H
#define LEAN_WORKER_HELD_SERVICE_H

#include "held_file.h"

enum { LHS_MESSAGE_BYTES = 1 << 14, LHS_NONCE_BYTES = 16 };

typedef struct {
    int worker;                  /* the socket */
    int wake;                    /* readable when a child has ended; does not block */
    int failure[2];              /* as of `lhf_fork`; reading does not block */
    const char *temporary;       /* the directory that a file has to leave empty */
    volatile unsigned char *shared; /* memory shared with files, first the microseconds of the import */
    size_t shared_bytes;
    int64_t most_microseconds;
    const char *message;         /* the request for `file`, its length before it */
    size_t message_bytes;
    /* What is found when something else has to be done: */
    char data[LHS_MESSAGE_BYTES]; /* read from the socket */
    size_t data_bytes;
    int received[3];             /* descriptors that came with it */
    int received_count;
    long pid;                    /* of a file whose end was not told yet, 0 for none */
    int has_ended, status;
    int64_t cpu_microseconds;
    char nonce[2 * LHS_NONCE_BYTES + 1];
} lhs_service;

#ifdef __linux__
#include <poll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Whether the request is the last one once more. */
static int lhs_receive(lhs_service *service) {
    union { char bytes[CMSG_SPACE(3 * sizeof(int))]; struct cmsghdr aligned; } control;
    struct iovec part = {service->data, sizeof service->data};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t count;
    do count = recvmsg(service->worker, &message, MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    service->data_bytes = count > 0 ? (size_t)count : 0;
    if (count <= 0) return 0;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
        service->received_count = (int)((each->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(service->received, CMSG_DATA(each), (size_t)service->received_count * sizeof(int));
    }
    return service->received_count == 3 && service->data_bytes == service->message_bytes &&
           memcmp(service->data, service->message, service->message_bytes) == 0;
}

/* A worker that is gone is noticed when it is read from. */
static void lhs_tell(const lhs_service *service, char *text, int bytes) {
    for (int at = 0; at < 4; at++) text[at] = (char)((unsigned)(bytes - 4) >> (24 - 8 * at));
    while (bytes > 0) {
        ssize_t done = send(service->worker, text, (size_t)bytes, MSG_NOSIGNAL);
        if (done < 0 && errno != EINTR) return;
        if (done > 0) text += done, bytes -= (int)done;
    }
}

static void lhs_tell_start(lhs_service *service) {
    unsigned char drawn[LHS_NONCE_BYTES];
    char text[128];
    /* Only now that the fork is made, so that the file does not know it. */
    if (getrandom(drawn, sizeof drawn, 0) != sizeof drawn) _exit(LIO_NOT_SERVED);
    for (size_t at = 0; at < sizeof drawn; at++) snprintf(service->nonce + 2 * at, 3, "%02x", drawn[at]);
    lhs_tell(service, text, snprintf(text, sizeof text, "    {\"started\": \"%s\"}", service->nonce));
}

static void lhs_tell_end(lhs_service *service) {
    char text[512], imported[32] = "null", code[16] = "null", number[16] = "null";
    int64_t took;
    memcpy(&took, (const void *)service->shared, sizeof took);
    if (took > 0 && took < service->most_microseconds)
        snprintf(imported, sizeof imported, "%lld.%06d", (long long)(took / 1000000), (int)(took % 1000000));
    if (WIFSIGNALED(service->status)) snprintf(number, sizeof number, "%d", WTERMSIG(service->status));
    else snprintf(code, sizeof code, "%d", WEXITSTATUS(service->status));
    int bytes = snprintf(
        text, sizeof text,
        "    {\"exit_code\": %s, \"signal\": %s, \"not_started\": null, \"left\": 0, \"cpu_seconds\": %lld.%06d, "
        "\"import_seconds\": %s, \"nonce\": \"%s\", \"directory\": null}",
        code, number, (long long)(service->cpu_microseconds / 1000000), (int)(service->cpu_microseconds % 1000000),
        imported, service->nonce);
    lhs_tell(service, text, bytes);
}

/* Collects what has ended; whether no child is left. All that lost its parent is our child. */
static int lhs_reap(lhs_service *service) {
    for (;;) {
        struct rusage usage;
        int status;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid <= 0) return pid < 0;
        if (pid != service->pid) continue;
        service->has_ended = 1, service->status = status;
        service->cpu_microseconds = (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                                    usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    }
}

static int lhs_is_empty(const char *directory) {
    struct entry { uint64_t inode; int64_t offset; unsigned short bytes; unsigned char type; char name[]; };
    _Alignas(struct entry) char entries[1024];
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), is_empty = descriptor >= 0;
    long count = 0;
    while (is_empty && (count = syscall(SYS_getdents64, descriptor, entries, sizeof entries)) > 0)
        for (long at = 0; at < count; at += ((struct entry *)(entries + at))->bytes) {
            const char *name = ((struct entry *)(entries + at))->name;
            if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) is_empty = 0;
        }
    if (descriptor >= 0) close(descriptor);
    return is_empty && count == 0;
}

/* Waits for the end of the file; 0 if Python has to go on with it. */
static int lhs_wait(lhs_service *service) {
    struct pollfd ready[2] = {{service->worker, POLLIN, 0}, {service->wake, POLLIN, 0}};
    char scratch[512];
    int is_alone = 0;
    while (!service->has_ended) {
        if (poll(ready, 2, -1) < 0) continue;
        if (ready[1].revents) (void)!read(service->wake, scratch, sizeof scratch);
        is_alone = lhs_reap(service);
        if (ready[0].revents && !service->has_ended) return 0;
    }
    return is_alone && lhs_is_empty(service->temporary);
}

/* Serves until something else has to be done; the words for what kept a file from starting go to `words`. */
static int lhs_serve(lhs_service *service, const lhf_file *file, char *words, size_t most) {
    ssize_t count;
    while (lhs_receive(service)) {
        while (read(service->failure[0], words, most) > 0) {} /* of a file that Python went on with */
        memset((void *)service->shared, 0, service->shared_bytes); /* what one file leaves there, the next must not find */
        service->pid = lhf_fork(file, service->received, service->failure);
        if (service->pid < 0) {
            service->pid = 0;
            break;
        }
        for (int at = 0; at < 3; at++) close(service->received[at]);
        service->received_count = 0, service->data_bytes = 0;
        lhs_tell_start(service);
        int is_plain = lhs_wait(service);
        if (service->has_ended && (count = read(service->failure[0], words, most)) > 0) return (int)count;
        if (!is_plain) break;
        lhs_tell_end(service);
        service->pid = 0, service->has_ended = 0;
    }
    return 0;
}
#else
static int lhs_serve(lhs_service *service, const lhf_file *file, char *words, size_t most) {
    (void)service, (void)file, (void)words, (void)most;
    return 0;
}
#endif

#endif
