/* The state of files as stat(2) shows it, compared with an earlier one: thousands of them in a few milliseconds.
 *
 * A file's state is its device, inode, size, and the times of the last change of its content and of its entry. Each
 * directory is opened anew and its files are looked up in there, so that only the last part of a path is resolved for each.
 */
#ifndef LEAN_WORKER_FILE_STAMPS_H
#define LEAN_WORKER_FILE_STAMPS_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __APPLE__
#define LFS_TIME(found, which) ((found)->st_##which##timespec)
#else
#define LFS_TIME(found, which) ((found)->st_##which##tim)
#endif
#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

typedef struct { uint64_t device, inode, size, changed, entry_changed; } lfs_stamp;

typedef struct {
    const char *path;
    size_t count; /* of its files, which come one after the other */
} lfs_directory;

static uint64_t lfs_nanoseconds(struct timespec time) {
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int lfs_is_as(int directory, const char *name, const lfs_stamp *stamp) {
    struct stat found;
    return fstatat(directory, name, &found, 0) == 0 && stamp->device == (uint64_t)found.st_dev &&
           stamp->inode == (uint64_t)found.st_ino && stamp->size == (uint64_t)found.st_size &&
           stamp->changed == lfs_nanoseconds(LFS_TIME(&found, m)) &&
           stamp->entry_changed == lfs_nanoseconds(LFS_TIME(&found, c));
}

/* Whether all files are as they were; stops at the first that is not. */
static int lfs_still_hold(const lfs_directory *directories, size_t count, const char *const *names, const lfs_stamp *stamps) {
    int hold = 1;
    for (size_t at = 0; at < count && hold; at++) {
        int opened = open(directories[at].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        hold = opened >= 0;
        for (size_t left = directories[at].count; left > 0 && hold; left--) hold = lfs_is_as(opened, *names++, stamps++);
        if (opened >= 0) close(opened);
    }
    return hold;
}

#endif
