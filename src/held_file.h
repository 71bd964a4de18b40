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
    const char *path;
    uint64_t rights;             /* below it, as of Landlock */
} lhf_rule;

typedef struct {
    const int *own;              /* descriptors of the holder, which a file does not get */
    size_t own_count;
    const int *library;          /* those of Lean's library: a file gets new ones in their place, which lead nowhere */
    size_t library_count;
    const char *directory;       /* where Lean runs; NULL for here */
    int is_locked_in;            /* whether anything is taken from the file */
    int is_strict;               /* whether it must not start if something cannot be taken from it */
    const void *attributes;      /* of a ruleset of Landlock; NULL for none */
    size_t attribute_bytes;
    const lhf_rule *rules;
    size_t rule_count;
    uint64_t own_rights;         /* to its own entries of /proc; 0 for no rule */
    int argument_count;
    char **arguments;            /* of Lean, NULL behind the last */
    void *lean_main;
    const char *output, *errors; /* what the import printed */
    size_t output_bytes, errors_bytes;
} lhf_file;

#ifdef __linux__
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { LHF_NOT_STARTED = 127, LHF_CAPABILITIES = 0x20080522, LHF_READ_SEARCH = 2 };
enum { LHF_CREATE_RULESET = 444, LHF_ADD_RULE = 445, LHF_RESTRICT_SELF = 446, LHF_PATH_BENEATH = 1 };

static void lhf_give_up(int failure, const char *what) {
    char words[256];
    int count = snprintf(words, sizeof words, "%s: %s", what, strerror(errno));
    if (count > 0) (void)!write(failure, words, (size_t)count < sizeof words ? (size_t)count : sizeof words - 1);
    _exit(LHF_NOT_STARTED);
}

static int lhf_allow(int ruleset, const char *path, uint64_t rights, int stays_open) {
    int descriptor = open(path, O_PATH | O_CLOEXEC);
    if (descriptor < 0) return 0; /* what does not exist needs no rule */
    struct { uint64_t allowed; int32_t parent; } __attribute__((packed)) rule = {rights, descriptor};
    long failed = syscall(LHF_ADD_RULE, ruleset, LHF_PATH_BENEATH, &rule, 0u);
    if (!stays_open) close(descriptor);
    return failed ? -1 : 0;
}

static int lhf_restrict_files(const lhf_file *file) {
    if (!file->attributes) return 0;
    int ruleset = (int)syscall(LHF_CREATE_RULESET, file->attributes, file->attribute_bytes, 0u), failed = ruleset < 0;
    for (size_t at = 0; at < file->rule_count && !failed; at++)
        failed = lhf_allow(ruleset, file->rules[at].path, file->rules[at].rights, 0) != 0;
    if (file->own_rights && !failed) {
        char own[32];
        snprintf(own, sizeof own, "/proc/%ld", (long)getpid());
        /* Open as long as the process lives: the kernel forgets a rule with an entry of /proc that nobody holds. */
        failed = lhf_allow(ruleset, own, file->own_rights, 1) != 0;
    }
    failed = failed || syscall(LHF_RESTRICT_SELF, ruleset, 0) != 0;
    int number = errno;
    if (ruleset >= 0) close(ruleset);
    errno = number;
    return failed ? -1 : 0;
}

/* None of root's powers; but that to read files, where the file is not to be locked in by all means. */
static int lhf_give_up_privileges(const lhf_file *file) {
    struct { uint32_t version; int pid; } header = {LHF_CAPABILITIES, 0};
    uint32_t held[6] = {0};
    if (!file->is_strict) syscall(SYS_capget, &header, held);
    uint32_t kept = held[1] & (1u << LHF_READ_SEARCH);
    uint32_t left[6] = {kept, kept, 0, 0, 0, 0};
    long ambient = prctl(47, 4, 0, 0, 0); /* PR_CAP_AMBIENT, all of them */
    return syscall(SYS_capset, &header, left) != 0 || ambient != 0 ? -1 : 0;
}

static void lhf_become(const lhf_file *file, const int standard[3], const int failure[2], pid_t parent) {
    static const int ignored[] = {SIGCHLD, SIGPIPE, SIGXFSZ};
    for (size_t at = 0; at < sizeof ignored / sizeof *ignored; at++) signal(ignored[at], SIG_DFL);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) _exit(LHF_NOT_STARTED);
    for (int number = 0; number < 3; number++)
        if (dup2(standard[number], number) < 0) lhf_give_up(failure[1], "standard streams");
    if (file->directory && chdir(file->directory) != 0) lhf_give_up(failure[1], file->directory);
    for (int number = 0; number < 3; number++)
        if (standard[number] > 2) close(standard[number]);
    close(failure[0]);
    for (size_t at = 0; at < file->own_count; at++)
        if (file->own[at] != failure[1]) close(file->own[at]);
    for (size_t at = 0; at < file->library_count; at++) {
        int fresh = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fresh < 0) lhf_give_up(failure[1], "descriptors");
        if (fresh != file->library[at]) {
            if (dup3(fresh, file->library[at], O_CLOEXEC) < 0) lhf_give_up(failure[1], "descriptors");
            close(fresh);
        }
    }
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        (void)!write(score, "1000", 4); /* if memory runs out, this one goes, and no judge */
        close(score);
    }
    if (file->is_locked_in) {
        if (lhf_restrict_files(file) != 0 && file->is_strict) lhf_give_up(failure[1], "Landlock");
        if (lhf_give_up_privileges(file) != 0 && file->is_strict) lhf_give_up(failure[1], "giving up privileges");
    }
    lio_print(1, file->output, file->output_bytes);
    lio_print(2, file->errors, file->errors_bytes);
    if (lio_arm() != 0) lhf_give_up(failure[1], "changing Lean's code in memory");
    optind = 0; /* C's reader of arguments begins anew */
    close(failure[1]); /* before the first instruction of hosted code */
    int (*lean_main)(int, char **);
    memcpy(&lean_main, &file->lean_main, sizeof lean_main);
    int code = lean_main(file->argument_count, file->arguments);
    fflush(NULL);
    _exit(code & 0xff);
}

/* `standard` become 0, 1 and 2; the second end of the pipe `failure` gets the words for what could not be done, and is
 * closed before Lean runs. */
static long lhf_fork(const lhf_file *file, const int standard[3], const int failure[2]) {
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) lhf_become(file, standard, failure, parent);
    return pid;
}
#else
static long lhf_fork(const lhf_file *file, const int standard[3], const int failure[2]) {
    (void)file, (void)standard, (void)failure;
    errno = ENOSYS;
    return -1;
}
#endif

#endif
