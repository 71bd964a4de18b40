/* Forks this process so that the new process is a child of this process's parent (CLONE_PARENT of Linux).
 *
 * Its real parent then gets its exit status, and its end is followed by the new process, as if the parent had started it.
 * For a process whose other threads sleep without a lock: what the C library's fork does about locks is not done here. The
 * thread's number, which the C library keeps, is renewed as that fork does it.
 */
#ifndef LEAN_WORKER_SIBLING_H
#define LEAN_WORKER_SIBLING_H

#include <errno.h>

#ifdef __linux__
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif
#ifndef CLONE_PARENT
#define CLONE_PARENT 0x00008000
#endif
#ifndef CLONE_CHILD_CLEARTID
#define CLONE_CHILD_CLEARTID 0x00200000
#define CLONE_CHILD_SETTID 0x01000000
#endif

/* The place where the C library keeps the calling thread's number; NULL if the kernel does not say. */
static int *lws_thread_number(void) {
    int *place = NULL;
    return prctl(PR_GET_TID_ADDRESS, &place, 0, 0, 0) == 0 ? place : NULL;
}

static long lws_fork(void) {
    int *number = lws_thread_number();
    unsigned long flags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
    if (number == NULL || *number != (int)syscall(SYS_gettid)) {
        errno = ENOSYS;
        return -1;
    }
#if defined(__x86_64__)
    return syscall(SYS_clone, flags, 0, 0, number, 0);
#elif defined(__aarch64__)
    return syscall(SYS_clone, flags, 0, 0, 0, number);
#else
    errno = ENOSYS;
    return -1;
#endif
}
#else
static long lws_fork(void) {
    errno = ENOSYS;
    return -1;
}
#endif

#endif
