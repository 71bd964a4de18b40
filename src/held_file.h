/* Forks a file from a process that has imported its header, without Python in the fork.
 *
 * Python's objects count their references, so every line of it in a fork copies pages of memory. What a file needs before
 * Lean's driver runs was worked out before the fork; the fork makes system calls only.
 */
#ifndef LEAN_WORKER_HELD_FILE_H
#define LEAN_WORKER_HELD_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include "import_once.h"

typedef struct {
    int standard[3];         /* become 0, 1 and 2 */
    const int *closed;
    size_t closed_count;
    const int *replaced;     /* get new ones that lead nowhere in their place */
    size_t replaced_count;
    const char *directory;   /* where Lean runs; NULL for here */
    int ruleset;             /* of Landlock, -1 for none */
    int failure;             /* gets the words for what could not be done */
    int argument_count;
    char **arguments;        /* of Lean, NULL behind the last */
    void *lean_main;
    const char *output, *errors;
    size_t output_bytes, errors_bytes;
} lhf_file;

#ifdef __linux__
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { LHF_NOT_STARTED = 127, LHF_RESTRICT_SELF = 446, LHF_CAPABILITIES = 0x20080522, LHF_READ_SEARCH = 2 };

static void lhf_give_up(const lhf_file *file, const char *what) {
    char words[256];
    int count = snprintf(words, sizeof words, "%s: %s", what, strerror(errno));
    if (count > 0) (void)!write(file->failure, words, (size_t)count < sizeof words ? (size_t)count : sizeof words - 1);
    _exit(LHF_NOT_STARTED);
}

/* None of root's powers but that to read files; as far as the system can. */
static void lhf_give_up_privileges(void) {
    struct { uint32_t version; int pid; } header = {LHF_CAPABILITIES, 0};
    uint32_t held[6] = {0};
    syscall(SYS_capget, &header, held);
    uint32_t kept = held[1] & (1u << LHF_READ_SEARCH);
    uint32_t left[6] = {kept, kept, 0, 0, 0, 0};
    prctl(47, 4, 0, 0, 0); /* PR_CAP_AMBIENT, all of them */
    syscall(SYS_capset, &header, left);
}

static void lhf_become(const lhf_file *file, pid_t parent) {
    static const int ignored[] = {SIGCHLD, SIGPIPE, SIGXFSZ};
    for (size_t at = 0; at < sizeof ignored / sizeof *ignored; at++) signal(ignored[at], SIG_DFL);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) _exit(LHF_NOT_STARTED);
    for (int number = 0; number < 3; number++)
        if (dup2(file->standard[number], number) < 0) lhf_give_up(file, "standard streams");
    if (file->directory && chdir(file->directory) != 0) lhf_give_up(file, file->directory);
    for (size_t at = 0; at < file->closed_count; at++) close(file->closed[at]);
    for (size_t at = 0; at < file->replaced_count; at++) {
        int fresh = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fresh < 0) lhf_give_up(file, "descriptors");
        if (fresh != file->replaced[at]) {
            if (dup3(fresh, file->replaced[at], O_CLOEXEC) < 0) lhf_give_up(file, "descriptors");
            close(fresh);
        }
    }
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        (void)!write(score, "1000", 4); /* if memory runs out, this one goes, and no judge */
        close(score);
    }
    if (file->ruleset >= 0) {
        if (syscall(LHF_RESTRICT_SELF, file->ruleset, 0) != 0) lhf_give_up(file, "Landlock");
        close(file->ruleset);
    }
    lhf_give_up_privileges();
    lio_print(1, file->output, file->output_bytes);
    lio_print(2, file->errors, file->errors_bytes);
    if (lio_arm() != 0) lhf_give_up(file, "changing Lean's code in memory");
    optind = 0; /* C's reader of arguments begins anew */
    close(file->failure); /* before the first instruction of hosted code */
    int (*lean_main)(int, char **);
    memcpy(&lean_main, &file->lean_main, sizeof lean_main);
    int code = lean_main(file->argument_count, file->arguments);
    fflush(NULL);
    _exit(code & 0xff);
}

static long lhf_fork(const lhf_file *file) {
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) lhf_become(file, parent);
    return pid;
}
#else
static long lhf_fork(const lhf_file *file) {
    (void)file;
    errno = ENOSYS;
    return -1;
}
#endif

#endif
