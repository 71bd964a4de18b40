/* SIGTERM ends this process and everything below it.

   Linux sends a worker SIGTERM when its parent is gone. The default action would end the worker alone, before its own
   code could end the programs that it started. A worker adopts its orphans (PR_SET_CHILD_SUBREAPER), so that killing its
   own children again and again reaches every process below it, in whatever session. */
#ifndef LEAN_WORKER_GROUP_END_H
#define LEAN_WORKER_GROUP_END_H

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

/* Only calls that are safe in a signal handler, from here on. */

#ifdef __linux__
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Kill the processes that a `children` file lists. */
static void lw_kill_listed(int fd) {
    char text[512];
    long pid = 0;
    ssize_t count;
    while ((count = read(fd, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < count; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = 10 * pid + (text[i] - '0');
            } else {
                if (pid > 1) kill((pid_t)pid, SIGKILL);
                pid = 0;
            }
        }
    if (pid > 1) kill((pid_t)pid, SIGKILL);
}

/* Kill the children of all threads of this process. */
static void lw_kill_children(void) {
    struct entry {
        unsigned long long inode;
        long long offset;
        unsigned short size;
        unsigned char type;
        char name[];
    };
    _Alignas(8) char entries[2048];
    int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tasks < 0) return;
    long count;
    while ((count = syscall(SYS_getdents64, tasks, entries, sizeof entries)) > 0)
        for (long at = 0; at < count;) {
            struct entry *e = (struct entry *)(entries + at);
            at += e->size;
            size_t length = strlen(e->name);
            char path[64];
            if (e->name[0] == '.' || length > 20) continue;
            memcpy(path, e->name, length);
            memcpy(path + length, "/children", sizeof "/children");
            int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
            if (fd < 0) continue;
            lw_kill_listed(fd);
            close(fd);
        }
    close(tasks);
}
#else
static void lw_kill_children(void) {}
#endif

/* Kill and collect what is below this process, for at most about two seconds; returns whether nothing is left. */
static int lw_end_descendants(void) {
    struct timespec pause = {0, 1000000};
    for (int round = 0; round < 2000; round++) {
        pid_t ended;
        while ((ended = waitpid(-1, NULL, WNOHANG)) > 0) {}
#ifndef __linux__
        return 0; /* what made itself independent is not below it there */
#endif
        if (ended < 0 && errno == ECHILD) return 1;
        lw_kill_children();
        nanosleep(&pause, NULL);
    }
    return 0;
}

static void lw_end_tree(int number) {
    int is_alone = lw_end_descendants();
    /* A process that leads no group of its own must not take others along. */
    if (!is_alone && getpgrp() == getpid()) kill(0, SIGKILL);
    /* By the signal that came: whoever waits for this process is told what ended it. */
    struct sigaction action;
    sigset_t only;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigemptyset(&only);
    sigaddset(&only, number);
    sigaction(number, &action, NULL);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    _exit(128 + number);
}

/* Sets an option of this process; 0 if the system took it. */
static inline int lw_set_process_option(int option, unsigned long value) {
#ifdef __linux__
    return prctl(option, value, 0, 0, 0);
#else
    (void)option, (void)value;
    return -1;
#endif
}

static inline int lw_end_tree_on_sigterm(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = lw_end_tree;
    return sigaction(SIGTERM, &action, NULL);
}

#endif
