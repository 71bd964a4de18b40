/* The state of files as stat(2) shows it, compared with an earlier one: thousands of them in a few milliseconds.
 *
 * A file's state is its device, inode, size, and the times of the last change of its content and of its entry.
 */
#ifndef LEAN_WORKER_FILE_STAMPS_H
#define LEAN_WORKER_FILE_STAMPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#ifdef __APPLE__
#define LFS_TIME(found, which) ((found)->st_##which##timespec)
#else
#define LFS_TIME(found, which) ((found)->st_##which##tim)
#endif

typedef struct { uint64_t device, inode, size, changed, entry_changed; } lfs_stamp;

static uint64_t lfs_nanoseconds(struct timespec time) {
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Whether all files are as they were; stops at the first that is not. */
static int lfs_still_hold(const char *const *paths, const lfs_stamp *stamps, size_t count) {
    for (size_t at = 0; at < count; at++) {
        struct stat found;
        const lfs_stamp *stamp = &stamps[at];
        if (stat(paths[at], &found) != 0) return 0;
        if (stamp->device != (uint64_t)found.st_dev || stamp->inode != (uint64_t)found.st_ino ||
            stamp->size != (uint64_t)found.st_size || stamp->changed != lfs_nanoseconds(LFS_TIME(&found, m)) ||
            stamp->entry_changed != lfs_nanoseconds(LFS_TIME(&found, c)))
            return 0;
    }
    return 1;
}

#endif
