/* A ring of bytes in shared memory: frames from one writer to one reader without a system call a frame.

   Owns the order of the stores that make a frame visible, and who wakes whom. A frame that was put is in the reader's
   memory, whatever becomes of the writer. A side that finds nothing to do says that it sleeps, looks once more, and then
   waits in poll(2) on its wake-up pipe; the other side writes a byte there, only for a sleeper. The reader keeps its own
   count of what it took, reads each number in the ring once, and trusts none: hosted code can write to it. */
#ifndef LEAN_WORKER_RING_H
#define LEAN_WORKER_RING_H

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wide_copy.h"

typedef struct {
    _Alignas(64) _Atomic uint64_t head; /* bytes ever put */
    _Alignas(64) _Atomic uint64_t tail; /* bytes ever taken */
    _Alignas(64) _Atomic uint32_t reader_sleeps;
    _Alignas(64) _Atomic uint32_t writer_sleeps;
    _Alignas(64) uint8_t bytes[];
} ring_memory;

/* One side's view of it. */
typedef struct {
    ring_memory *memory;
    uint64_t size; /* of the ring, a power of two */
    uint64_t at;   /* this side's own count */
    uint64_t tail; /* the writer's last look at the reader's; looked at again when there is no room up to it */
    int data_fd;   /* the writer's end of the pipe that wakes the reader; -1 in the reader */
    int space_fd;  /* this side's end of the pipe that wakes the writer */
} ring_end;

static inline int ring_open(ring_end *e, int memory_fd, uint64_t size, int data_fd, int space_fd) {
    void *memory = mmap(NULL, sizeof(ring_memory) + size, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
    if (memory == MAP_FAILED) return 0;
    *e = (ring_end){(ring_memory *)memory, size, 0, 0, data_fd, space_fd};
    return 1;
}

static inline void ring_close(ring_end *e) {
    if (e->memory) munmap(e->memory, sizeof(ring_memory) + e->size);
    e->memory = NULL;
}

static inline void ring_wake(int fd) {
    /* Never waits: the pipe does not block, and a full one has woken the other side already. */
    ssize_t ignored = write(fd, "", 1);
    (void)ignored;
}

/* Copy between the ring at `at` and `bytes`, around its end. */
static inline void ring_copy(ring_end *e, uint8_t *bytes, uint64_t count, int out) {
    uint64_t offset = e->at & (e->size - 1), first = count < e->size - offset ? count : e->size - offset;
    uint8_t *ring = e->memory->bytes;
    wide_copy(out ? bytes : ring + offset, out ? ring + offset : bytes, first);
    memcpy(out ? bytes + first : ring, out ? ring : bytes + first, count - first);
}

static inline uint64_t ring_space(ring_end *e) {
    uint64_t used = e->at - atomic_load(&e->memory->tail);
    return used > e->size ? 0 : e->size - used;
}

/* Wait until there is room for `need` bytes; 0 if the reader is gone, which `life_fd`, a pipe's writing end, tells. */
static inline int ring_wait_space(ring_end *e, uint64_t need, int life_fd) {
    while (ring_space(e) < need) {
        atomic_store(&e->memory->writer_sleeps, 1);
        if (ring_space(e) < need) {
            struct pollfd fds[2] = {{e->space_fd, POLLIN, 0}, {life_fd, 0, 0}};
            char wakes[64];
            poll(fds, 2, -1);
            if (fds[1].revents) return 0;
            if (fds[0].revents) {
                ssize_t count = read(e->space_fd, wakes, sizeof wakes);
                if (!count || (count < 0 && errno != EAGAIN && errno != EINTR)) return 0;
            }
        }
        atomic_store(&e->memory->writer_sleeps, 0);
    }
    return 1;
}

/* Bytes that can be written at `*at` now, in one piece, if that is at least `wanted`, or else some number less than it.
   They are not to be seen before `ring_publish`. */
static inline uint64_t ring_room(ring_end *e, uint64_t wanted, uint8_t **at) {
    uint64_t offset = e->at & (e->size - 1), piece = e->size - offset, used = e->at - e->tail;
    if (used > e->size || e->size - used < wanted) {
        e->tail = atomic_load(&e->memory->tail);
        used = e->at - e->tail;
    }
    uint64_t space = used > e->size ? 0 : e->size - used;
    *at = e->memory->bytes + offset;
    return piece < space ? piece : space;
}

/* Let the reader see `count` bytes more, and wake it if it sleeps. */
static inline void ring_publish(ring_end *e, uint64_t count) {
    e->at += count;
    atomic_store(&e->memory->head, e->at);
    if (atomic_load(&e->memory->reader_sleeps)) ring_wake(e->data_fd);
}

/* Put a frame; 0 if the reader is gone. One that fits is there as a whole or not at all. */
static inline int ring_put(ring_end *e, const uint8_t *frame, uint64_t count, int life_fd) {
    while (count) {
        if (!ring_wait_space(e, count <= e->size ? count : 1, life_fd)) return 0;
        uint64_t space = ring_space(e), some = count < space ? count : space;
        ring_copy(e, (uint8_t *)frame, some, 0);
        ring_publish(e, some);
        frame += some;
        count -= some;
    }
    return 1;
}

static inline void ring_reader_sleeps(ring_end *e, int sleeps) {
    atomic_store(&e->memory->reader_sleeps, (uint32_t)sleeps);
}

/* Bytes to take; more than the ring holds if its counts were overwritten. */
static inline uint64_t ring_waiting(ring_end *e) { return atomic_load(&e->memory->head) - e->at; }

/* Take `count` bytes that are waiting. */
static inline void ring_take(ring_end *e, uint8_t *to, uint64_t count) {
    ring_copy(e, to, count, 1);
    e->at += count;
    atomic_store(&e->memory->tail, e->at);
    if (atomic_load(&e->memory->writer_sleeps)) ring_wake(e->space_fd);
}

#endif
