/* A ring of bytes in shared memory, one writer and one reader: the experiment of `ring.py`. Built by it with cc.

   A row is published by one store of `head`; from then on it survives the writer, without a system call. The reader
   sleeps in poll(2) on an eventfd when the ring is empty, and the writer rings it only if it is asleep. */
#define _GNU_SOURCE
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    _Alignas(64) _Atomic uint64_t head; /* bytes ever written */
    _Alignas(64) _Atomic uint64_t tail; /* bytes ever read */
    _Alignas(64) _Atomic uint32_t reader_sleeps;
    _Alignas(64) uint8_t data[];
} ring;

static void pause_us(long us) {
    struct timespec t = {0, us * 1000};
    nanosleep(&t, NULL);
}

static void copy_in(ring *r, uint64_t size, uint64_t at, const uint8_t *from, uint64_t count) {
    uint64_t offset = at & (size - 1), first = count < size - offset ? count : size - offset;
    memcpy(r->data + offset, from, first);
    memcpy(r->data, from + first, count - first);
}

/* Publish frames (each with its length in front) one by one. */
void ring_write(ring *r, uint64_t size, int wake_fd, const uint8_t *frames, uint64_t bytes) {
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    while (bytes) {
        uint64_t count = 4 + ((uint64_t)frames[0] << 24 | frames[1] << 16 | frames[2] << 8 | frames[3]);
        while (head + count - atomic_load_explicit(&r->tail, memory_order_acquire) > size) pause_us(20);
        copy_in(r, size, head, frames, count);
        head += count;
        atomic_store(&r->head, head); /* ordered before the look at the reader */
        if (atomic_load(&r->reader_sleeps)) {
            uint64_t one = 1;
            if (write(wake_fd, &one, sizeof one) < 0) return;
        }
        frames += count;
        bytes -= count;
    }
}

/* The same through a pipe: one write a frame. */
void pipe_write(int fd, const uint8_t *frames, uint64_t bytes) {
    while (bytes) {
        uint64_t count = 4 + ((uint64_t)frames[0] << 24 | frames[1] << 16 | frames[2] << 8 | frames[3]), done = 0;
        while (done < count) {
            ssize_t n = write(fd, frames + done, count - done);
            if (n < 0) return;
            done += (uint64_t)n;
        }
        frames += count;
        bytes -= count;
    }
}

/* What is there, at most `most` bytes; waits for some. 0: the other end of `life_fd` is gone, and so are all bytes. */
uint64_t ring_read(ring *r, uint64_t size, int wake_fd, int life_fd, uint8_t *to, uint64_t most) {
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed), head;
    int alive = 1;
    while ((head = atomic_load_explicit(&r->head, memory_order_acquire)) == tail) {
        if (!alive) return 0;
        atomic_store(&r->reader_sleeps, 1);
        if (atomic_load(&r->head) == tail) {
            struct pollfd fds[2] = {{wake_fd, POLLIN, 0}, {life_fd, POLLIN, 0}};
            poll(fds, 2, -1);
            uint64_t count;
            if (fds[0].revents && read(wake_fd, &count, sizeof count) < 0) return 0;
            alive = !fds[1].revents;
        }
        atomic_store(&r->reader_sleeps, 0);
    }
    uint64_t count = head - tail < most ? head - tail : most, offset = tail & (size - 1);
    uint64_t first = count < size - offset ? count : size - offset;
    memcpy(to, r->data + offset, first);
    memcpy(to + first, r->data, count - first);
    atomic_store_explicit(&r->tail, tail + count, memory_order_release);
    return count;
}
