/* SIGTERM ends the whole process group.

   Linux sends a worker SIGTERM when its parent is gone. The default action would end the worker alone, before its own
   code could end the programs that it started. */
#ifndef LEAN_WORKER_GROUP_END_H
#define LEAN_WORKER_GROUP_END_H

#include <signal.h>
#include <string.h>
#include <unistd.h>

static void lw_end_group(int number) {
    (void)number;
    /* Only calls that are safe in a handler. A process that leads no group of its own must not take others along. */
    if (getpgrp() == getpid()) kill(0, SIGKILL);
    _exit(128 + SIGTERM);
}

static inline int lw_end_group_on_sigterm(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = lw_end_group;
    return sigaction(SIGTERM, &action, NULL);
}

#endif
